-- How many connections an application should have.

CREATE FUNCTION steward.usable_connections()
RETURNS integer
LANGUAGE sql STABLE PARALLEL RESTRICTED
BEGIN ATOMIC
    SELECT p.usable FROM steward.pool_now() p;
END;
COMMENT ON FUNCTION steward.usable_connections() IS
'internal: connections that ordinary users can have; anyone may call it';

CREATE FUNCTION steward.require(condition boolean, message text, hint text)
RETURNS boolean
LANGUAGE C IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'pg_steward_require';
COMMENT ON FUNCTION steward.require(boolean, text, text) IS
'internal: an error with this message and hint unless the condition is true; anyone may call it';

CREATE FUNCTION steward.check_plan_arguments(instances integer, workers integer, more text)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT steward.require(instances BETWEEN 1 AND 100000,
                           'argument "instances" must be between 1 and 100000',
                           'It is the number of copies of the application that run.')
       AND steward.require(workers BETWEEN 1 AND 100000,
                           format('argument "%s" must be between 1 and 100000', more),
                           'It is the number of processes of one instance that have a pool of their own.');
END;
COMMENT ON FUNCTION steward.check_plan_arguments(integer, integer, text) IS
'internal: an error unless both numbers are possible; anyone may call it';

CREATE FUNCTION steward.measured_query_ms()
RETURNS double precision
LANGUAGE C VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'pg_steward_measured_query_ms';
COMMENT ON FUNCTION steward.measured_query_ms() IS
'internal: mean execution time of the statements of this database, in milliseconds, from pg_stat_statements, null if there are none; anyone may call it, statements of other roles need pg_read_all_stats';

CREATE FUNCTION @extschema@.recommend_pool_size(
    expected_rps double precision,
    avg_query_ms double precision DEFAULT NULL,
    instances integer DEFAULT 1,
    workers_per_instance integer DEFAULT 1,
    safety_margin double precision DEFAULT 0.8,
    OUT connections_needed integer,
    OUT connections_available integer,
    OUT fits boolean,
    OUT pool_size_per_worker integer,
    OUT connections_total integer,
    OUT busy_connections double precision,
    OUT query_ms double precision,
    OUT query_ms_source text,
    OUT cpus double precision,
    OUT cpu_busy_pct double precision,
    OUT advice text)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED ROWS 1
BEGIN ATOMIC
    WITH checked AS (
        SELECT steward.require(expected_rps > 0 AND expected_rps < 1e9,
                               'argument "expected_rps" must be positive',
                               'It is the number of statements a second at the busiest time.')
           AND steward.require(coalesce(avg_query_ms, 1) > 0 AND coalesce(avg_query_ms, 1) < 1e9,
                               'argument "avg_query_ms" must be positive',
                               'Use NULL for what pg_stat_statements has measured.')
           AND steward.require(safety_margin > 0 AND safety_margin <= 1,
                               'argument "safety_margin" must be above 0 and at most 1',
                               'It is the share of the usable connections that applications may take.')
           AND steward.check_plan_arguments(instances, workers_per_instance, 'workers_per_instance') AS ok),
    measured AS (
        SELECT coalesce(avg_query_ms, steward.measured_query_ms()) AS ms
          FROM checked c WHERE c.ok),
    load AS (
        SELECT m.ms,
               -- Little's law: those in service at a time
               expected_rps * m.ms / 1000 AS busy,
               floor(steward.usable_connections() * safety_margin)::integer AS available,
               steward.machine_cpus() AS cpus,
               instances * workers_per_instance AS workers
          FROM measured m
         WHERE steward.require(m.ms IS NOT NULL, 'no statement was measured yet',
                               'Pass "avg_query_ms", the mean time of a statement in milliseconds.')),
    need AS (
        -- arrivals vary: by the square root rule two standard deviations more
        SELECT l.*, greatest(ceil(l.busy + 2 * sqrt(l.busy)), l.workers)::integer AS needed
          FROM load l),
    share AS (
        SELECT n.*,
               ceil(n.needed::float8 / n.workers)::integer AS wanted_each,
               n.available / n.workers AS possible_each
          FROM need n)
    SELECT s.needed, s.available,
           s.wanted_each * s.workers <= s.available,
           CASE WHEN s.wanted_each <= s.possible_each THEN s.wanted_each
                ELSE s.possible_each END,
           CASE WHEN s.wanted_each <= s.possible_each THEN s.wanted_each
                ELSE s.possible_each END * s.workers,
           round(s.busy::numeric, 2)::float8, round(s.ms::numeric, 3)::float8,
           CASE WHEN avg_query_ms IS NOT NULL THEN 'argument' ELSE 'pg_stat_statements' END,
           s.cpus, round((100 * s.busy / s.cpus)::numeric, 1)::float8,
           concat_ws(' ',
               CASE WHEN s.possible_each = 0
                    THEN format('%s workers cannot each have a connection of the %s available: put a pooler such as PgBouncer in transaction mode between them and the server.',
                                s.workers, s.available)
                    WHEN s.wanted_each > s.possible_each
                    THEN format('%s workers with %s connections each are %s, but %s are available: use fewer workers, a pooler, or a higher max_connections.',
                                s.workers, s.wanted_each, s.wanted_each * s.workers, s.available)
                    ELSE format('%s of %s available connections, %s for each worker.',
                                s.wanted_each * s.workers, s.available, s.wanted_each) END,
               CASE WHEN s.busy > s.cpus
                    THEN format('On average %s statements run at a time on %s processors: unless they mostly wait for disk or locks, more connections will not make them faster.',
                                round(s.busy::numeric, 1), round(s.cpus::numeric, 1)) END)
      FROM share s;
END;
COMMENT ON FUNCTION @extschema@.recommend_pool_size(double precision, double precision, integer, integer, double precision) IS
'the size of each worker''s connection pool for a load: busy_connections by Little''s law (statements a second times their mean time), connections_needed with two standard deviations for bursts, connections_available the share safety_margin of the usable slots; avg_query_ms null takes what pg_stat_statements measured in this database; cpu_busy_pct above 100 means that the processors, not the pool, are the limit if statements compute; anyone may call it';

CREATE FUNCTION @extschema@.check_pool_plan(
    instances integer,
    workers integer,
    pool_size integer,
    max_overflow integer DEFAULT 0,
    other_connections integer DEFAULT 0,
    OUT fits boolean,
    OUT status text,
    OUT connections_total integer,
    OUT usable_connections integer,
    OUT utilisation_pct double precision,
    OUT missing integer,
    OUT pool_size_that_fits integer,
    OUT max_overflow_that_fits integer,
    OUT max_connections_that_fits integer,
    OUT advice text)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED ROWS 1
BEGIN ATOMIC
    WITH checked AS (
        SELECT steward.check_plan_arguments(instances, workers, 'workers')
           AND steward.require(pool_size BETWEEN 1 AND 1000000,
                               'argument "pool_size" must be between 1 and 1000000',
                               'It is the number of connections that one worker keeps.')
           AND steward.require(coalesce(max_overflow, 0) BETWEEN 0 AND 1000000,
                               'argument "max_overflow" must be between 0 and 1000000',
                               'It is the number of connections that one worker opens beyond its pool.')
           AND steward.require(coalesce(other_connections, 0) BETWEEN 0 AND 1000000,
                               'argument "other_connections" must be between 0 and 1000000',
                               'Count job queues, monitoring, migrations and people.') AS ok),
    plan AS (
        SELECT instances::bigint * workers AS pools,
               instances::bigint * workers * (pool_size + coalesce(max_overflow, 0))
                   + coalesce(other_connections, 0) AS total,
               coalesce(other_connections, 0) AS others,
               steward.usable_connections() AS usable,
               current_setting('max_connections')::integer AS most
          FROM checked c WHERE c.ok),
    each AS (
        -- connections for one pool that leave a tenth of the slots free
        SELECT p.*, greatest(floor((floor(p.usable * 0.9) - p.others) / p.pools), 0)::bigint AS room
          FROM plan p),
    fit AS (
        SELECT e.*,
               least(pool_size, greatest(floor(e.room::float8 * pool_size
                                               / (pool_size + coalesce(max_overflow, 0))), least(e.room, 1)))::integer AS size
          FROM each e)
    SELECT f.total <= f.usable,
           CASE WHEN f.total > f.usable THEN 'critical'
                WHEN f.total > 0.9 * f.usable THEN 'warning'
                ELSE 'ok' END,
           least(f.total, 2147483647)::integer, f.usable,
           round(100.0 * f.total / greatest(f.usable, 1), 1)::float8,
           least(greatest(f.total - f.usable, 0), 2147483647)::integer,
           f.size,
           least(coalesce(max_overflow, 0), f.room - f.size)::integer,
           least(ceil(f.total / 0.9) + f.most - f.usable, 262143)::integer,
           CASE WHEN f.total > f.usable
                THEN format('%s pools of %s connections and %s others are %s, but only %s of max_connections = %s can be used: %s clients would be refused.',
                            f.pools, pool_size + coalesce(max_overflow, 0), f.others, f.total,
                            f.usable, f.most, f.total - f.usable)
                WHEN f.total > 0.9 * f.usable
                THEN format('%s of %s usable connections leave no room for a deployment, a migration or a person.',
                            f.total, f.usable)
                ELSE format('%s of %s usable connections.', f.total, f.usable) END
           || CASE WHEN f.total > 0.9 * f.usable AND f.room = 0
                   THEN ' Put a pooler such as PgBouncer in transaction mode between the workers and the server.'
                   ELSE '' END
      FROM fit f;
END;
COMMENT ON FUNCTION @extschema@.check_pool_plan(integer, integer, integer, integer, integer) IS
'whether the connections that applications may open fit into this server: instances * workers * (pool_size + max_overflow) + other_connections against the slots that are not reserved; status is warning above 90 %; the numbers ..._that_fits leave a tenth of the slots free, 0 means that only a pooler helps; anyone may call it';

CREATE FUNCTION @extschema@.get_pool_recommendations(
    OUT topic text,
    OUT severity text,
    OUT recommendation text,
    OUT fix_sql text,
    OUT evidence jsonb)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED ROWS 5
BEGIN ATOMIC
    SELECT steward.forget_activity();
    WITH p AS MATERIALIZED (SELECT n.* FROM steward.pool_now() n),
    stats AS MATERIALIZED (SELECT s.* FROM @extschema@.get_connection_pool_stats() s),
    pooler AS MATERIALIZED (SELECT b.* FROM @extschema@.get_pgbouncer_pools() b),
    -- a queue: what the server has left, nine tenths of its slots at most
    queue AS (
        SELECT q.*, greatest(floor(0.9 * p.usable) - p.used, 0) AS room,
               p.active, p.usable, p.used, steward.machine_cpus() AS cpus
          FROM pooler q, p
         WHERE q.cl_waiting > 0 AND q.database_name IS NOT NULL),
    found AS (
        SELECT 'slots' AS topic,
               CASE WHEN p.refused_slots + p.refused_reserved > 0 OR p.used >= 0.9 * p.usable
                    THEN 'critical' ELSE 'warning' END AS severity,
               format('At the worst %s %% of the %s usable connections were taken%s: make the clients'' pools smaller, or put a pooler such as PgBouncer in transaction mode in front.',
                      round(greatest(p.peak_pct, 100.0 * p.used / greatest(p.usable, 1))::numeric),
                      p.usable,
                      CASE WHEN p.refused_slots + p.refused_reserved > 0
                           THEN format(', and %s clients were refused',
                                       p.refused_slots + p.refused_reserved)
                           ELSE '' END) AS recommendation,
               NULL::text AS fix_sql,
               jsonb_build_object('used', p.used, 'usable', p.usable, 'peak_pct', p.peak_pct,
                                  'refused', p.refused_slots + p.refused_reserved) AS evidence
          FROM p
         WHERE greatest(p.peak_pct, 100.0 * p.used / greatest(p.usable, 1))
               > current_setting('pg_steward.pool_warning_pct')::float8
            OR p.refused_slots + p.refused_reserved > 0
        UNION ALL
        SELECT 'limit',
               CASE WHEN s.limit_used_pct >= 100 THEN 'critical' ELSE 'warning' END,
               format('Connections use %s %% of the CONNECTION LIMIT %s of the %s %I.',
                      s.limit_used_pct, s.connection_limit, s.limit_of,
                      CASE s.limit_of WHEN 'role' THEN s.username ELSE s.database_name END),
               format('ALTER %s %I CONNECTION LIMIT %s;', upper(s.limit_of),
                      CASE s.limit_of WHEN 'role' THEN s.username ELSE s.database_name END,
                      ceil(s.connection_limit * 1.5)),
               jsonb_build_object('limit', s.connection_limit, 'used_pct', s.limit_used_pct)
          FROM (SELECT DISTINCT ON (x.limit_of, CASE x.limit_of WHEN 'role' THEN x.username
                                                              ELSE x.database_name END) x.*
                  FROM stats x WHERE x.limit_used_pct >= 90
                 ORDER BY x.limit_of, CASE x.limit_of WHEN 'role' THEN x.username
                                                     ELSE x.database_name END) s
        UNION ALL
        SELECT 'refused', 'critical',
               format('%s clients were refused because a role or database had reached its CONNECTION LIMIT.',
                      p.refused_role + p.refused_database),
               NULL,
               jsonb_build_object('role', p.refused_role, 'database', p.refused_database)
          FROM p WHERE p.refused_role + p.refused_database > 0
        UNION ALL
        SELECT 'idle', 'info',
               format('%s of %s connections of %I to %I (%s) are idle: a pool of %s would do at this moment.',
                      s.idle, s.total, s.username, s.database_name,
                      coalesce(nullif(s.application_name, ''), 'no application_name'),
                      greatest(s.total - s.idle, 1) * 2),
               NULL,
               jsonb_build_object('total', s.total, 'idle', s.idle, 'active', s.active,
                                  'oldest_idle_seconds', s.oldest_idle_seconds,
                                  'client_addr', s.client_addr)
          FROM stats s
         WHERE s.total >= 10 AND s.idle >= 0.75 * s.total
        UNION ALL
        SELECT 'idle in transaction', 'warning',
               format('%I keeps a transaction open in %I for %s seconds.',
                      s.username, s.database_name, s.oldest_xact_seconds),
               format('ALTER ROLE %I SET idle_in_transaction_session_timeout = ''5min'';', s.username),
               jsonb_build_object('count', s.idle_in_transaction,
                                  'oldest_xact_seconds', s.oldest_xact_seconds,
                                  'application_name', s.application_name)
          FROM stats s
         WHERE s.idle_in_transaction > 0 AND s.oldest_idle_seconds >= 300
           AND s.oldest_xact_seconds >= 300
        UNION ALL
        SELECT 'half open', 'warning',
               format('%s connections have not authenticated: look for clients that connect and stay silent.',
                      p.half_open),
               'ALTER SYSTEM SET authentication_timeout = ''10s'';',
               jsonb_build_object('half_open', p.half_open, 'used', p.used,
                                  'authentication_timeout', current_setting('authentication_timeout'))
          FROM p WHERE p.half_open >= 5 AND p.half_open * 10 >= p.used
        UNION ALL
        SELECT 'churn', 'info',
               format('%s new connections a second: each costs a process; a pooler or longer-lived pools save that.',
                      round(p.connects_per_second::numeric, 1)),
               NULL,
               jsonb_build_object('connects_per_second', p.connects_per_second)
          FROM p WHERE p.connects_per_second >= 5
        UNION ALL
        SELECT 'reserved', 'warning',
               'No connection is reserved for superusers: when all are taken, nobody can get in to help.',
               'ALTER SYSTEM SET superuser_reserved_connections = 3;',
               jsonb_build_object('superuser_reserved_connections', 0)
         WHERE current_setting('superuser_reserved_connections')::integer = 0
        UNION ALL
        SELECT 'max_connections', 'info',
               format('max_connections = %s is many for %s processors, and at most %s %% were used: a smaller value protects memory, and a pooler serves the same clients.',
                      p.max_connections, round(steward.machine_cpus()::numeric, 1),
                      round(p.peak_pct::numeric)),
               NULL,
               jsonb_build_object('max_connections', p.max_connections,
                                  'cpus', steward.machine_cpus(), 'peak_pct', p.peak_pct)
          FROM p
         WHERE p.max_connections > 100 AND p.max_connections > 50 * steward.machine_cpus()
           AND p.peak_pct < 50
        UNION ALL
        SELECT 'pgbouncer queue',
               CASE WHEN q.maxwait_seconds >= 1 THEN 'warning' ELSE 'info' END,
               format('%s clients wait for pool %s of %s in PgBouncer %s (pool_size %s, %s busy), the first for %s s: %s',
                      q.cl_waiting, q.database_name, q.username, q.console,
                      coalesce(q.pool_size::text, 'unknown'), q.sv_active, q.maxwait_seconds,
                      CASE WHEN q.pool_size IS NULL OR q.sv_active IS NULL
                           THEN 'compare its pool_size with what this server can take.'
                           WHEN q.sv_active < q.pool_size
                           THEN 'the pool is not full, look at max_db_connections, max_user_connections and whether PgBouncer gets in here.'
                           WHEN q.room = 0
                           THEN 'this server has no connection left for a larger pool: shorten transactions, or lend from a pool that is idle.'
                           WHEN q.active > 2 * q.cpus
                           THEN format('more connections would share the same %s processors, where %s are busy already: shorten transactions.',
                                       round(q.cpus::numeric, 1), q.active)
                           ELSE format('raise pool_size to %s; this server has %s connections left.',
                                       q.pool_size + least(q.cl_waiting, q.room), q.room) END),
               NULL,
               jsonb_build_object('console', q.console, 'cl_waiting', q.cl_waiting,
                                  'maxwait_seconds', q.maxwait_seconds, 'sv_active', q.sv_active,
                                  'pool_size', q.pool_size, 'used', q.used, 'usable', q.usable,
                                  'active', q.active, 'cpus', q.cpus)
          FROM queue q
        UNION ALL
        SELECT 'pgbouncer size', 'warning',
               format('The %s pools of PgBouncer may open %s connections; this server takes %s: unless some lead to another server, make pool_size smaller, or clients are refused.',
                      count(*), sum(b.pool_size + coalesce(b.reserve_size, 0)), p.usable),
               NULL,
               jsonb_build_object('pools', count(*), 'pool_size', sum(b.pool_size),
                                  'reserve_size', sum(b.reserve_size), 'usable', p.usable)
          FROM pooler b, p WHERE b.database_name IS NOT NULL
         GROUP BY p.usable
        HAVING sum(b.pool_size + coalesce(b.reserve_size, 0)) > p.usable
        UNION ALL
        SELECT 'pgbouncer clients', CASE WHEN c.clients_pct >= 100 THEN 'critical' ELSE 'warning' END,
               format('%s of max_client_conn = %s clients are connected to PgBouncer %s: it will refuse more.',
                      c.clients, c.max_client_conn, c.console),
               NULL,
               jsonb_build_object('clients', c.clients, 'max_client_conn', c.max_client_conn)
          FROM (SELECT DISTINCT s.console, s.clients, s.max_client_conn, s.clients_pct
                  FROM @extschema@.get_pgbouncer_stats() s) c
         WHERE c.clients_pct >= 90
        UNION ALL
        SELECT 'pgbouncer', 'warning',
               format('The console of PgBouncer %s cannot be read: %s.', b.console, b.state),
               NULL, jsonb_build_object('state', b.state, 'error', b.error)
          FROM pooler b
         WHERE b.state NOT IN ('ok', 'starting') AND b.state NOT LIKE 'skipped:%'
        UNION ALL
        SELECT 'visibility', 'skipped', 'skipped: needs pg_read_all_stats to see connections of other roles', NULL,
               jsonb_build_object('hidden', count(*))
          FROM stats s WHERE s.note IS NOT NULL HAVING count(*) > 0)
    SELECT f.topic, f.severity, f.recommendation, f.fix_sql, f.evidence
      FROM found f
     ORDER BY CASE f.severity WHEN 'critical' THEN 1 WHEN 'warning' THEN 2 WHEN 'info' THEN 3 ELSE 4 END,
              f.topic, f.recommendation;
END;
COMMENT ON FUNCTION @extschema@.get_pool_recommendations() IS
'what to change so that connections do not run out: one row for each finding, worst first, with the numbers in evidence and, where one statement does it, the statement; anyone may call it, connections of other roles need pg_read_all_stats, pools of PgBouncer pg_monitor';
