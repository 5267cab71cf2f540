-- What unprivileged roles see: their own, and in words what is held back.
CREATE ROLE steward_nobody LOGIN;
CREATE ROLE steward_stats LOGIN IN ROLE pg_read_all_stats;
CREATE ROLE steward_monitor LOGIN IN ROLE pg_monitor;
CREATE DATABASE pv_closed;
REVOKE CONNECT ON DATABASE pv_closed FROM PUBLIC;
CREATE TABLE pv_secret (id int PRIMARY KEY, up int REFERENCES pv_secret, a int);
CREATE INDEX pv_secret_1 ON pv_secret (a);
CREATE INDEX pv_secret_2 ON pv_secret (a);
INSERT INTO pv_secret SELECT generate_series(1, 100);
REVOKE ALL ON pv_secret FROM PUBLIC;
SELECT count(*) AS pv_marker FROM pv_secret;

SET ROLE steward_nobody;
-- pg_stat_statements itself may be out of reach
SELECT count(*) FROM get_slow_queries();
RESET ROLE;
GRANT USAGE ON SCHEMA "Stat Schema" TO PUBLIC;
REVOKE SELECT ON "Stat Schema".pg_stat_statements FROM PUBLIC;
SET ROLE steward_nobody;
SELECT count(*) FROM get_slow_queries();
RESET ROLE;
GRANT SELECT ON "Stat Schema".pg_stat_statements TO PUBLIC;
SET ROLE steward_nobody;
-- others' statements are counted, without text and identifier
SELECT count(*) FROM get_slow_queries(NULL) WHERE query LIKE '%pv_marker%';
SELECT count(*) > 0 AS hidden, count(queryid) AS ids FROM get_slow_queries(NULL)
 WHERE query = '<insufficient privilege>';
SELECT 1 AS pv_own;
SELECT count(*) AS own, count(queryid) AS ids FROM get_slow_queries(NULL) WHERE query LIKE '%AS pv_own';
-- sizes need no right on the table
SELECT total_bytes > 0 AS visible FROM get_table_sizes() WHERE table_name = 'pv_secret';
SELECT size_bytes > 0 AS visible, tables_bytes > 0 AS parts, note FROM get_database_size();
SELECT database_name, size, size_bytes, note FROM get_database_size(true) WHERE database_name = 'pv_closed';
SELECT count(*) > 0 FROM get_vacuum_status();
SELECT count(*) > 0 FROM get_index_usage();
SELECT count(*) FROM get_cache_hit_ratio();
SELECT count(*) FROM get_replication_status();
-- internal functions are no way around
SELECT count(*) > 0 AS works FROM steward.relation_sizes();
CREATE TABLE steward.mine (id int);
RESET ROLE;

SET ROLE steward_stats;
SELECT count(*) FROM get_slow_queries(NULL) WHERE query LIKE '%pv_marker%';
SELECT size_bytes > 0 AS visible FROM get_database_size(true) WHERE database_name = 'pv_closed';
RESET ROLE;
SET ROLE steward_monitor;
SELECT count(*) FROM get_slow_queries(NULL) WHERE query LIKE '%pv_marker%';
SELECT size_bytes > 0 AS visible FROM get_database_size(true) WHERE database_name = 'pv_closed';
RESET ROLE;

-- objects of the same names, operators included, do not stand in
CREATE SCHEMA hostile AUTHORIZATION steward_nobody;
SET ROLE steward_nobody;
CREATE FUNCTION hostile.boom(anyelement) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'hostile function ran as %', current_user; END $$;
CREATE FUNCTION hostile.boom(a anyelement, b anyelement) RETURNS boolean LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'hostile operator ran as %', current_user; END $$;
CREATE FUNCTION hostile.pg_size_pretty(bigint) RETURNS text LANGUAGE sql AS $$ SELECT hostile.boom($1) $$;
CREATE FUNCTION hostile.round(numeric, int) RETURNS text LANGUAGE sql AS $$ SELECT hostile.boom($1) $$;
CREATE FUNCTION hostile.starts_with(text, text) RETURNS boolean LANGUAGE sql AS $$ SELECT hostile.boom($1, $2) $$;
CREATE OPERATOR hostile.= (FUNCTION = hostile.boom, LEFTARG = anyelement, RIGHTARG = anyelement);
CREATE OPERATOR hostile.>= (FUNCTION = hostile.boom, LEFTARG = anyelement, RIGHTARG = anyelement);
CREATE VIEW hostile.pg_class AS SELECT hostile.boom(1)::text AS oid;
CREATE VIEW hostile.pg_database AS SELECT hostile.boom(1)::text AS datname;
CREATE VIEW hostile.pg_stat_statements AS SELECT hostile.boom(1)::text AS query;
CREATE VIEW hostile.pg_roles AS SELECT hostile.boom(1)::text AS rolname;
RESET ROLE;
SET search_path = hostile, pg_catalog, public;
SELECT count(*) OPERATOR(pg_catalog.>) 0 AS works FROM public.get_slow_queries();
SELECT count(*) OPERATOR(pg_catalog.>) 0 AS works FROM public.get_table_sizes();
SELECT count(*) FROM public.get_database_size();
SELECT count(*) OPERATOR(pg_catalog.>) 0 AS works FROM public.get_active_connections(true);
SELECT count(*) FROM public.get_cache_hit_ratio();
SELECT count(*) OPERATOR(pg_catalog.>) 0 AS works FROM public.get_index_usage();
SELECT count(*) OPERATOR(pg_catalog.>) 0 AS works FROM public.get_unused_indexes(0, '0');
SELECT count(*) OPERATOR(pg_catalog.>) 0 AS works FROM public.get_redundant_indexes();
SELECT count(*) OPERATOR(pg_catalog.>) 0 AS works FROM public.get_missing_fk_indexes();
SELECT count(*) FROM public.get_invalid_indexes();
SELECT count(*) OPERATOR(pg_catalog.>) 0 AS works FROM public.get_vacuum_status();
SELECT count(*) FROM public.get_replication_status();
SELECT count(*) FROM public.get_steward_info();
RESET search_path;

SET client_min_messages = warning;
DROP SCHEMA hostile CASCADE;
DROP TABLE pv_secret;
DROP DATABASE pv_closed;
DROP ROLE steward_nobody, steward_stats, steward_monitor;
