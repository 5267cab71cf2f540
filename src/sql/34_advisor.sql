-- Which indexes are missing.

CREATE FUNCTION @extschema@.get_index_suggestions(
    max_bytes bigint DEFAULT NULL,
    max_indexes integer DEFAULT 20,
    min_gain_pct double precision DEFAULT 0.5,
    deadline interval DEFAULT '30 s',
    queries text[] DEFAULT NULL,
    weights double precision[] DEFAULT NULL,
    OUT rank integer,
    OUT schema_name text,
    OUT table_name text,
    OUT access_method text,
    OUT estimated_bytes bigint,
    OUT saved_ms_per_day double precision,
    OUT improved_pct double precision,
    OUT cumulative_improved_pct double precision,
    OUT write_cost_ms_per_day double precision,
    OUT queries_improved integer,
    OUT confidence text,
    OUT index_definition text,
    OUT reason text,
    OUT evidence jsonb)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 10
AS 'MODULE_PATHNAME', 'pg_steward_index_suggestions';
COMMENT ON FUNCTION @extschema@.get_index_suggestions(bigint, integer, double precision, interval, text[], double precision[]) IS
'indexes that would save time, most useful first: for the statements of this database in pg_stat_statements, or for "queries", executed as often a day as "weights" say; saved_ms_per_day is what the index saves beyond those before it, improved_pct its share of the time of all statements, cumulative_improved_pct that of all up to this one, write_cost_ms_per_day the time that inserts and updates take for it; confidence is high, medium or low and reason tells why; max_bytes limits the space of all together, min_gain_pct is the least improvement of one in percent of the time of all statements, of which those that take a tenth or more and become ten times as fast count with what they take then, a tenth of that where a statement becomes several times as fast; after deadline the best found so far is returned; executes nothing, changes nothing; needs pg_read_all_stats for others'' statements, and pg_read_all_data or ownership of the tables: others are left out, see get_index_advisor_skipped(); anyone may call it';

CREATE FUNCTION @extschema@.get_index_suggestion_queries(
    rank integer DEFAULT NULL,
    OUT suggestion integer,
    OUT queryid bigint,
    OUT calls_per_day double precision,
    OUT mean_ms_before double precision,
    OUT mean_ms_after double precision,
    OUT saved_ms_per_day double precision,
    OUT query text)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 10
AS 'MODULE_PATHNAME', 'pg_steward_index_suggestion_queries';
COMMENT ON FUNCTION @extschema@.get_index_suggestion_queries(integer) IS
'the statements, 20 at most, that use a suggestion of the latest get_index_suggestions() of this session (of all, if rank is null), with the estimated time of one call in ms before and after; calls get_index_suggestions() if that was not called; needs pg_read_all_stats for others'' statements; anyone may call it';

CREATE FUNCTION @extschema@.get_index_advisor_skipped(
    OUT queryid bigint,
    OUT calls_per_day double precision,
    OUT total_ms_per_day double precision,
    OUT reason text,
    OUT query text)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE COST 100000 ROWS 10
AS 'MODULE_PATHNAME', 'pg_steward_index_advisor_skipped';
COMMENT ON FUNCTION @extschema@.get_index_advisor_skipped() IS
'statements of this database that get_index_suggestions() does not consider, and why: they cannot be analyzed as they stand in pg_stat_statements, or the caller may not read what they are about; anyone may call it';

CREATE FUNCTION @extschema@.get_index_advisor_progress(
    OUT pid integer,
    OUT database_name text,
    OUT user_name text,
    OUT phase text,
    OUT statements_done integer,
    OUT statements_total integer,
    OUT indexes_chosen integer,
    OUT elapsed_seconds double precision)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 100 ROWS 1
AS 'MODULE_PATHNAME', 'pg_steward_index_advisor_progress';
COMMENT ON FUNCTION @extschema@.get_index_advisor_progress() IS
'how far calls of get_index_suggestions() and get_droppable_indexes() are, in all databases: the phase, statements done in this phase of all, indexes chosen so far; those of other roles only for pg_read_all_stats; anyone may call it';

CREATE FUNCTION @extschema@.analyze_query(
    query text,
    run boolean DEFAULT false,
    timeout interval DEFAULT '5 s',
    OUT total_cost double precision,
    OUT cost_with_indexes double precision,
    OUT improved_pct double precision,
    OUT index_definitions text[],
    OUT execution_ms double precision,
    OUT result_rows bigint,
    OUT note text,
    OUT plan text)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE COST 100000 ROWS 1
AS 'MODULE_PATHNAME', 'pg_steward_analyze_query';
COMMENT ON FUNCTION @extschema@.analyze_query(text, boolean, interval) IS
'plan of one statement, which may have $1 in place of constants as in pg_stat_statements, its cost, the indexes that would help it and the cost with them, in the planner''s units; with run => true a SELECT that changes and locks nothing is executed, in a read-only subtransaction that is rolled back, for no longer than timeout: then execution_ms and result_rows are set and the plan shows what happened; note says why it was not; needs the rights that the statement needs, and pg_read_all_data or ownership of its tables; anyone may call it';

CREATE FUNCTION @extschema@.get_droppable_indexes(
    min_age interval DEFAULT '7 days',
    with_suggestions boolean DEFAULT false,
    OUT schema_name text,
    OUT table_name text,
    OUT index_name text,
    OUT index_bytes bigint,
    OUT index_scans bigint,
    OUT queries integer,
    OUT reason text,
    OUT drop_command text,
    OUT evidence jsonb)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 10
AS 'MODULE_PATHNAME', 'pg_steward_droppable_indexes';
COMMENT ON FUNCTION @extschema@.get_droppable_indexes(interval, boolean) IS
'indexes without which every statement of the workload costs the same, found by planning those that use one (column queries) without it; never unique ones, those behind constraints or replica identity, or the last one of a foreign key; an index without scans is reported if scans and statements were counted for min_age at least; with_suggestions assumes that get_index_suggestions() were built; index_scans are on this server only: a standby counts its own; executes nothing, changes nothing; needs pg_read_all_stats, and pg_read_all_data or ownership of the tables; anyone may call it';
