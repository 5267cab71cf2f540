-- What is asked again and again.

CREATE FUNCTION @extschema@.get_n_plus_one_queries(
    limit_count integer DEFAULT 20,
    min_groups integer DEFAULT 3,
    query_length integer DEFAULT 200,
    OUT kind text,
    OUT query text,
    OUT parent_query text,
    OUT groups bigint,
    OUT median_executions bigint,
    OUT max_executions bigint,
    OUT rows_per_execution double precision,
    OUT parent_rows double precision,
    OUT time_ms double precision,
    OUT saved_ms double precision,
    OUT inside_function boolean,
    OUT application_name text,
    OUT database_name text,
    OUT username text,
    OUT first_seen timestamptz,
    OUT last_seen timestamptz,
    OUT suggestion text,
    OUT queryid bigint,
    OUT parent_queryid bigint)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 20
AS 'MODULE_PATHNAME', 'pg_steward_n_plus_one_queries';
COMMENT ON FUNCTION @extschema@.get_n_plus_one_queries(integer, integer, integer) IS
'candidates for combining statements, most to save first: a statement that runs once for each row of a parent query (n_plus_one), once for each row written (row_by_row_write), once for each of many keys (repeated_lookup), or again with the same values (duplicate_query); a group is what follows one execution of the parent, or is one piece of work; time_ms is the latency of all executions; saved_ms is what one combined query would save: the shortest pause between two executions of a group, for all but one, execution time not counted; min_groups: how often it must have been seen, unless it was very clear; query_length 0 shows whole texts, which are null without pg_stat_statements; anyone may call it, other roles'' texts need pg_read_all_stats; needs pg_steward in shared_preload_libraries';

CREATE FUNCTION @extschema@.reset_n_plus_one()
RETURNS void
LANGUAGE C VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'pg_steward_reset_n_plus_one';
COMMENT ON FUNCTION @extschema@.reset_n_plus_one() IS
'forgets what get_n_plus_one_queries() has found; superusers only, unless granted; needs pg_steward in shared_preload_libraries';
REVOKE EXECUTE ON FUNCTION @extschema@.reset_n_plus_one() FROM PUBLIC;

CREATE FUNCTION steward.n_plus_one_pairs(
    OUT queryid bigint,
    OUT parent_queryid bigint,
    OUT groups bigint,
    OUT matched bigint,
    OUT enclosed bigint,
    OUT coherent bigint,
    OUT executions bigint,
    OUT mean_ratio double precision,
    OUT ratio_deviation2 double precision,
    OUT trigger_rate double precision,
    OUT calls bigint,
    OUT parent_calls bigint,
    OUT parent_rows bigint,
    OUT sampled bigint,
    OUT distinct_values bigint,
    OUT pause_ms double precision,
    OUT shortest_pause_ms double precision,
    OUT flags integer)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL SAFE ROWS 100
AS 'MODULE_PATHNAME', 'pg_steward_n_plus_one_pairs';
COMMENT ON FUNCTION steward.n_plus_one_pairs() IS
'internal: the evidence from which get_n_plus_one_queries() judges, a row for each pair of parent and child; anyone may call it, other roles'' query ids need pg_read_all_stats';

CREATE FUNCTION steward.n_plus_one_info(
    OUT entries integer,
    OUT max_entries integer,
    OUT evictions bigint,
    OUT reset_at timestamptz)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL SAFE ROWS 1
AS 'MODULE_PATHNAME', 'pg_steward_n_plus_one_info';
COMMENT ON FUNCTION steward.n_plus_one_info() IS
'internal: how full the memory of get_n_plus_one_queries() is; an entry is a pair of queries, or one query; anyone may call it';
