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
'the statements of all databases that cost most, from pg_stat_statements; times in ms with waits for row locks in them, rows and bytes summed over all calls; total_pct is the share of all execution time, hit_pct the share of shared blocks found in memory (null without any), first_seen is null before PostgreSQL 17; order_by is one of mean, total, calls, max, rows, io, temp, wal; query_length 0 shows whole texts; anyone may call it, other roles'' texts need pg_read_all_stats; needs pg_stat_statements in shared_preload_libraries';
