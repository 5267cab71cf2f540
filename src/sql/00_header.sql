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
-- pg_stat_statements, where it is loaded and tracks nested statements.
SELECT pg_catalog.set_config(s.name, 'none', true)
  FROM pg_catalog.pg_settings s
 WHERE s.name = 'pg_stat_statements.track';

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
    OUT advice text)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT e.extversion, i.library_version, current_setting('server_version'),
           i.preloaded, i.started_at, i.shared_memory_bytes,
           s.extversion, s.extnamespace::regnamespace::text,
           i.statements_preloaded, i.advice
      FROM steward.module_info() i
           LEFT JOIN pg_extension e ON e.extname = 'pg_steward'
           LEFT JOIN pg_extension s ON s.extname = 'pg_stat_statements';
END;
COMMENT ON FUNCTION @extschema@.get_steward_info() IS
'one row about pg_steward itself: installed and loaded version, whether it was loaded at server start (since when, with how many bytes of shared memory), where pg_stat_statements is, and in "advice" the configuration line that is missing, if any; anyone may call it';
