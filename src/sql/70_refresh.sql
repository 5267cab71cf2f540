-- Materialized views.

CREATE FUNCTION @extschema@.refresh_matview_now(
    matview regclass,
    method text DEFAULT 'auto',
    OUT method_used text,
    OUT rows_inserted bigint,
    OUT rows_deleted bigint,
    OUT rows_updated bigint,
    OUT rows_unchanged bigint,
    OUT duration_ms double precision,
    OUT wal_bytes bigint,
    OUT note text)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE COST 100000 ROWS 1
AS 'MODULE_PATHNAME', 'pg_steward_refresh_matview_now';
COMMENT ON FUNCTION @extschema@.refresh_matview_now(regclass, text) IS
'refreshes a materialized view at once, in the current transaction, and tells what that changed, in rows, how long it took, in milliseconds, and how much WAL it wrote, in bytes; method "diff" runs the query of the view and writes only rows that differ, without disturbing readers, "plain" and "concurrently" are REFRESH MATERIALIZED VIEW of the server, "auto" is diff, or for a view that diff cannot refresh what "note" explains; a null count is not known; only for the owner of the view and, from PostgreSQL 17, for who has MAINTAIN on it: others may call it in vain';
