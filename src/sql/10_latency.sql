-- What is slow.

CREATE FUNCTION @extschema@.get_slow_queries(
    limit_count integer DEFAULT 10,
    min_mean_ms double precision DEFAULT 0,
    order_by text DEFAULT 'mean',
    query_length integer DEFAULT 200,
    OUT query text,
    OUT calls bigint,
    OUT total_time_ms double precision,
    OUT mean_time_ms double precision,
    OUT max_time_ms double precision,
    OUT stddev_time_ms double precision,
    OUT p50_ms double precision,
    OUT p95_ms double precision,
    OUT p99_ms double precision,
    OUT latency text,
    OUT aborted bigint,
    OUT waiting_pct double precision,
    OUT coverage_pct double precision,
    OUT min_time_ms double precision,
    OUT rows bigint,
    OUT total_pct double precision,
    OUT hit_pct double precision,
    OUT temp_bytes bigint,
    OUT wal_bytes bigint,
    OUT username text,
    OUT database_name text,
    OUT queryid bigint,
    OUT first_seen timestamptz)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 10
AS 'MODULE_PATHNAME', 'pg_steward_slow_queries';
COMMENT ON FUNCTION @extschema@.get_slow_queries(integer, double precision, text, integer) IS
'the statements of all databases that cost most, from pg_stat_statements; times in ms with waits for row locks in them, rows and bytes summed over all calls; total_pct is the share of all execution time, hit_pct the share of shared blocks found in memory (null without any), first_seen is null before PostgreSQL 17; p50_ms, p95_ms, p99_ms are percentiles of the latency that clients see: with parse, lock waits and planning, with failed executions (aborted); latency draws them from below 0.03 ms to above 3 s, two characters for each power of ten; waiting_pct is the share of latency before execution, coverage_pct compares the calls of histograms and pg_stat_statements; these columns are null without a histogram; order_by is one of mean, total, calls, max, rows, io, temp, wal, p95, p99; query_length 0 shows whole texts; anyone may call it, other roles'' texts need pg_read_all_stats; needs pg_stat_statements in shared_preload_libraries';

CREATE FUNCTION steward.query_latency(
    queryid bigint,
    percentiles double precision[],
    period interval,
    OUT queryid bigint,
    OUT dbid oid,
    OUT userid oid,
    OUT toplevel boolean,
    OUT calls bigint,
    OUT aborted bigint,
    OUT total_ms double precision,
    OUT waited_ms double precision,
    OUT percentile double precision,
    OUT latency_ms double precision,
    OUT since timestamptz)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL SAFE ROWS 1000
AS 'MODULE_PATHNAME', 'pg_steward_query_latency';
COMMENT ON FUNCTION steward.query_latency(bigint, double precision[], interval) IS
'internal: a row for each latency histogram and percentile; anyone may call it, other roles'' query ids need pg_read_all_stats';

CREATE FUNCTION @extschema@.get_query_latency(
    queryid bigint DEFAULT NULL,
    percentiles double precision[] DEFAULT '{0.5,0.9,0.95,0.99,0.999}',
    period interval DEFAULT NULL,
    OUT queryid bigint,
    OUT database_name text,
    OUT username text,
    OUT toplevel boolean,
    OUT calls bigint,
    OUT aborted bigint,
    OUT percentile double precision,
    OUT latency_ms double precision,
    OUT mean_latency_ms double precision,
    OUT mean_exec_ms double precision,
    OUT waiting_pct double precision,
    OUT since timestamptz)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
    SELECT l.queryid, d.datname::text, r.rolname::text, l.toplevel,
           l.calls, l.aborted, l.percentile, l.latency_ms,
           round((l.total_ms / l.calls)::numeric, 6)::float8,
           round(((l.total_ms - l.waited_ms) / l.calls)::numeric, 6)::float8,
           round((100 * l.waited_ms / nullif(l.total_ms, 0))::numeric, 2)::float8,
           l.since
      FROM steward.query_latency($1, $2, $3) l
           LEFT JOIN pg_database d ON d.oid = l.dbid
           LEFT JOIN pg_roles r ON r.oid = l.userid
     ORDER BY l.total_ms DESC, l.queryid, l.dbid, l.userid, l.toplevel,
              l.percentile;
END;
COMMENT ON FUNCTION @extschema@.get_query_latency(bigint, double precision[], interval) IS
'latency percentiles of one query or of all (queryid null), a row for each percentile, most total time first; latency is what the client waited for, from its message to the end of execution; mean_exec_ms and waiting_pct show how much of that was execution and how much came before; aborted executions are in all figures; queryid 0 are statements that failed before they were identified; period: the last minutes, up to an hour, null for everything since the reset; aborted, mean_exec_ms and waiting_pct are null for a period; anyone may call it, other roles'' query ids need pg_read_all_stats; needs pg_steward in shared_preload_libraries';

CREATE FUNCTION @extschema@.get_latency_histogram(
    queryid bigint DEFAULT NULL,
    period interval DEFAULT NULL,
    OUT lower_ms double precision,
    OUT upper_ms double precision,
    OUT count bigint)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL SAFE ROWS 100
AS 'MODULE_PATHNAME', 'pg_steward_latency_histogram';
COMMENT ON FUNCTION @extschema@.get_latency_histogram(bigint, interval) IS
'how many executions took at least lower_ms and less than upper_ms, of one query or of everything that clients sent (queryid null), in the last minutes (period, up to an hour) or since the reset; buckets without executions are left out; anyone may call it, other roles'' queries need pg_read_all_stats; needs pg_steward in shared_preload_libraries';

CREATE FUNCTION @extschema@.get_latency_summary(
    period interval DEFAULT NULL,
    OUT calls bigint,
    OUT aborted bigint,
    OUT p50_ms double precision,
    OUT p95_ms double precision,
    OUT p99_ms double precision,
    OUT warning_ms integer,
    OUT above_warning_pct double precision,
    OUT critical_ms integer,
    OUT above_critical_pct double precision,
    OUT latency text,
    OUT verdict text,
    OUT since timestamptz)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL SAFE ROWS 1
AS 'MODULE_PATHNAME', 'pg_steward_latency_summary';
COMMENT ON FUNCTION @extschema@.get_latency_summary(interval) IS
'one row over everything that clients sent, in the last minutes (period, up to an hour) or since the reset: latency percentiles, the share above pg_steward.latency_warning and pg_steward.latency_critical, and as verdict which of the two the 95th percentile exceeds: ok, warning, critical, or no data; anyone may call it; needs pg_steward in shared_preload_libraries';

CREATE FUNCTION @extschema@.reset_query_latency(
    queryid bigint DEFAULT NULL,
    database_name name DEFAULT NULL,
    username name DEFAULT NULL)
RETURNS bigint
LANGUAGE C VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'pg_steward_reset_latency';
COMMENT ON FUNCTION @extschema@.reset_query_latency(bigint, name, name) IS
'forgets the latency histograms of a query (0: of statements that failed before they were identified), a database, a role, or what matches several of these; all for no argument; returns their number; superusers only, unless granted; needs pg_steward in shared_preload_libraries';
REVOKE EXECUTE ON FUNCTION @extschema@.reset_query_latency(bigint, name, name) FROM PUBLIC;

CREATE FUNCTION steward.latency_self_check(
    durations_ms double precision[],
    percentiles double precision[],
    OUT percentile double precision,
    OUT latency_ms double precision)
RETURNS SETOF record
LANGUAGE C IMMUTABLE PARALLEL SAFE ROWS 10
AS 'MODULE_PATHNAME', 'pg_steward_latency_self_check';
COMMENT ON FUNCTION steward.latency_self_check(double precision[], double precision[]) IS
'internal: what reports would say of given durations, to check their accuracy; anyone may call it';
