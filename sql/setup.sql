-- One extension for all tests of this database; pg_stat_statements in a schema
-- of its own, with a name that needs quotes.
CREATE SCHEMA "Stat Schema";
CREATE EXTENSION pg_stat_statements SCHEMA "Stat Schema";
CREATE EXTENSION pg_steward;
SELECT extname, extnamespace::regnamespace, extrelocatable
  FROM pg_extension WHERE extname LIKE 'pg_st%' ORDER BY 1;

-- what the library says about itself
SELECT version = library_version AS same_version, preloaded,
       started_at <= now() AS started, shared_memory_bytes > 0 AS has_memory,
       statements_schema, statements_preloaded, advice
  FROM get_steward_info();

-- settings are known, and misspelt ones are reported
SHOW pg_steward.lock_timeout;
\set VERBOSITY sqlstate
SET pg_steward.lock_timeout = '-1';
SET pg_steward.lock_timeuot = 1;
\set VERBOSITY terse

-- in another schema, and everything goes away with it
CREATE SCHEMA elsewhere;
DROP EXTENSION pg_steward;
SELECT count(*) FROM pg_namespace WHERE nspname = 'steward';
CREATE EXTENSION pg_steward SCHEMA elsewhere;
SELECT size_bytes > 0 AS works FROM elsewhere.get_database_size();
SELECT get_table_sizes();
SET search_path TO elsewhere;
SELECT count(*) FROM get_database_size();
RESET search_path;
ALTER EXTENSION pg_steward SET SCHEMA public;
DROP EXTENSION pg_steward;
DROP SCHEMA elsewhere;

-- a schema of that name stands in the way: refused, nothing left behind
CREATE SCHEMA steward;
CREATE EXTENSION pg_steward;
SELECT count(*) FROM pg_extension WHERE extname = 'pg_steward';
DROP SCHEMA steward;
CREATE EXTENSION pg_steward;
