\echo Use "CREATE EXTENSION pg_steward CASCADE" to load this file. \quit

-- Functions of pg_steward are created in the schema that the user chose,
-- tables and internal functions in the schema steward.
--
-- Rules for all pieces of this script: nothing but pg_catalog is found
-- without a schema, at creation (the next line) and at run time (BEGIN ATOMIC
-- bodies are parsed here; other bodies pin search_path).  All functions run
-- with the rights of the caller.  Bodies use only columns that exist in every
-- supported server version; a newer column is read as to_jsonb(row) ->> 'name',
-- which is null where the server does not have it.
SET LOCAL search_path TO pg_catalog, pg_temp;

-- Creating the extension is no workload: keep these statements out of
-- the statistics, where nested statements are tracked.
SELECT pg_catalog.set_config(s.name, 'none', true)
  FROM pg_catalog.pg_settings s
 WHERE s.name IN ('pg_stat_statements.track', 'pg_steward.track');

CREATE SCHEMA steward;
COMMENT ON SCHEMA steward IS 'tables and internal functions of pg_steward';
GRANT USAGE ON SCHEMA steward TO PUBLIC;

CREATE FUNCTION steward.check_limit(limit_count integer)
RETURNS bigint
LANGUAGE C IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'pg_steward_check_limit';
COMMENT ON FUNCTION steward.check_limit(integer) IS
'internal: the number of rows for a LIMIT clause, all for null, an error for a negative number; anyone may call it';

CREATE FUNCTION steward.module_info(
    OUT library_version text,
    OUT preloaded boolean,
    OUT started_at timestamptz,
    OUT shared_memory_bytes bigint,
    OUT statements_preloaded boolean,
    OUT advice text)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL SAFE ROWS 1
AS 'MODULE_PATHNAME', 'pg_steward_module_info';
COMMENT ON FUNCTION steward.module_info() IS
'internal: what the loaded library says about itself; anyone may call it';

CREATE FUNCTION steward.latency_info(
    OUT entries bigint,
    OUT max_entries bigint,
    OUT pages bigint,
    OUT max_pages bigint,
    OUT evictions bigint,
    OUT dropped bigint,
    OUT reset_at timestamptz)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL SAFE ROWS 1
AS 'MODULE_PATHNAME', 'pg_steward_latency_info';
COMMENT ON FUNCTION steward.latency_info() IS
'internal: how full the memory for latency histograms is and what was lost; no row without it; anyone may call it';

CREATE FUNCTION @extschema@.get_steward_info(
    OUT version text,
    OUT library_version text,
    OUT server_version text,
    OUT preloaded boolean,
    OUT started_at timestamptz,
    OUT shared_memory_bytes bigint,
    OUT statements_version text,
    OUT statements_schema text,
    OUT statements_preloaded boolean,
    OUT advice text,
    OUT latency_queries bigint,
    OUT latency_max_queries bigint,
    OUT latency_evictions bigint,
    OUT latency_dropped bigint)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT e.extversion, i.library_version, current_setting('server_version'),
           i.preloaded, i.started_at, i.shared_memory_bytes,
           s.extversion, s.extnamespace::regnamespace::text,
           i.statements_preloaded, i.advice,
           l.entries, l.max_entries, l.evictions, l.dropped
      FROM steward.module_info() i
           LEFT JOIN steward.latency_info() l ON true
           LEFT JOIN pg_extension e ON e.extname = 'pg_steward'
           LEFT JOIN pg_extension s ON s.extname = 'pg_stat_statements';
END;
COMMENT ON FUNCTION @extschema@.get_steward_info() IS
'one row about pg_steward itself: installed and loaded version, whether it was loaded at server start (since when, with how many bytes of shared memory), where pg_stat_statements is, and in "advice" the configuration line that is missing, if any; latency_queries counts the statements with a latency histogram, latency_evictions those that made room for others, latency_dropped executions that found no room; anyone may call it';
