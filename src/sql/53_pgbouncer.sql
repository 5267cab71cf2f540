-- What PgBouncer says about its pools, see src/pool/pgbouncer.c.

CREATE FUNCTION @extschema@.get_pgbouncer_pools(
    OUT console text,
    OUT state text,
    OUT database_name text,
    OUT username text,
    OUT cl_active bigint,
    OUT cl_waiting bigint,
    OUT sv_active bigint,
    OUT sv_idle bigint,
    OUT sv_used bigint,
    OUT pool_size bigint,
    OUT reserve_size bigint,
    OUT pool_mode text,
    OUT maxwait_seconds double precision,
    OUT sampled_at timestamptz,
    OUT error text)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL SAFE ROWS 10
AS 'MODULE_PATHNAME', 'pg_steward_get_pgbouncer_pools';
COMMENT ON FUNCTION @extschema@.get_pgbouncer_pools() IS
'the pools of the PgBouncers that pg_steward.pgbouncer_conninfo names, as they were at sampled_at: clients (cl_) that have a server connection and that wait for one, server connections (sv_), and how long the first client in the queue has waited; state is ok, starting, unreachable, timeout, refused, invalid answer or stale (the poller has not asked for long), error says more; a row without a database has the sums of a console; anyone may call it, names of consoles, databases and users need pg_monitor';

CREATE FUNCTION @extschema@.get_pgbouncer_stats(
    OUT console text,
    OUT state text,
    OUT clients bigint,
    OUT max_client_conn bigint,
    OUT clients_pct double precision,
    OUT default_pool_size bigint,
    OUT database_name text,
    OUT total_xact_count bigint,
    OUT total_query_count bigint,
    OUT total_received_bytes bigint,
    OUT total_sent_bytes bigint,
    OUT total_xact_ms double precision,
    OUT total_query_ms double precision,
    OUT total_wait_ms double precision,
    OUT avg_xacts_per_second bigint,
    OUT avg_queries_per_second bigint,
    OUT avg_received_bytes_per_second bigint,
    OUT avg_sent_bytes_per_second bigint,
    OUT avg_xact_ms double precision,
    OUT avg_query_ms double precision,
    OUT avg_wait_ms double precision,
    OUT sampled_at timestamptz,
    OUT error text)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL SAFE ROWS 10
AS 'MODULE_PATHNAME', 'pg_steward_get_pgbouncer_stats';
COMMENT ON FUNCTION @extschema@.get_pgbouncer_stats() IS
'for each database of the PgBouncers that pg_steward.pgbouncer_conninfo names: totals since PgBouncer started, averages of its last period (wait is the time of a client in the queue), and for the console how many of max_client_conn clients are connected; anyone may call it, names of consoles and databases, and their statistics, need pg_monitor';
