-- Materialized views.

CREATE FUNCTION @extschema@.refresh_matview_now(
    matview regclass,
    method text DEFAULT NULL,
    wait boolean DEFAULT true,
    OUT method_used text,
    OUT rows_inserted bigint,
    OUT rows_deleted bigint,
    OUT rows_updated bigint,
    OUT rows_unchanged bigint,
    OUT duration_ms double precision,
    OUT cpu_ms double precision,
    OUT wal_bytes bigint,
    OUT temp_bytes bigint,
    OUT note text)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE COST 100000 ROWS 1
AS 'MODULE_PATHNAME', 'pg_steward_refresh_matview_now';
COMMENT ON FUNCTION @extschema@.refresh_matview_now(regclass, text, boolean) IS
'refreshes a materialized view at once, in the current transaction, and tells what that changed, in rows, how long it took and what this process spent on processors, in milliseconds, and how much it wrote to WAL and to temporary files, in bytes; method "diff" runs the query of the view and writes only rows that differ, without disturbing readers, "swap" fills a new table and locks readers out only to exchange it for the old one, "plain" and "concurrently" are REFRESH MATERIALIZED VIEW of the server, "auto" is diff, or for a view that diff cannot refresh what "note" explains; null is the method of the view''s policy, or auto; a null count is not known; with wait => false the refresh worker does it, soon after; only for the owner of the view and, from PostgreSQL 17, for who has MAINTAIN on it: others may call it in vain';

CREATE FUNCTION @extschema@.get_matview_refresh_progress(
    OUT pid integer,
    OUT schema_name text,
    OUT matview_name text,
    OUT method text,
    OUT phase text,
    OUT rows_computed bigint,
    OUT rows_compared bigint,
    OUT rows_applied bigint,
    OUT duration_ms double precision)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL SAFE COST 100 ROWS 2
AS 'MODULE_PATHNAME', 'pg_steward_get_matview_refresh_progress';
COMMENT ON FUNCTION @extschema@.get_matview_refresh_progress() IS
'the refreshes of materialized views of this database that are running, those that pg_steward runs: process, view, method, what it is at, rows that the view''s query has given, stored rows compared, rows inserted, updated or deleted so far, time since its beginning in milliseconds; counts are null where the server''s REFRESH does the work; anyone may call it, refreshes of other roles need pg_read_all_stats or the right to refresh the view; needs pg_steward in shared_preload_libraries';
