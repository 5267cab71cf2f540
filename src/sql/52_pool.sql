-- Whether connections run out, and who takes them.  Numbers come from the
-- sampler, see src/pool/sampler.c; names from the server's views.

CREATE FUNCTION steward.machine_cpus()
RETURNS double precision
LANGUAGE C VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'pg_steward_machine_cpus';
COMMENT ON FUNCTION steward.machine_cpus() IS
'internal: processors that the server may use, by affinity and control groups, perhaps a fraction; anyone may call it';

CREATE FUNCTION steward.pool_now(
    OUT max_connections integer,
    OUT usable integer,
    OUT used integer,
    OUT half_open integer,
    OUT client_backends integer,
    OUT active integer,
    OUT idle integer,
    OUT idle_in_transaction integer,
    OUT untracked integer,
    OUT sampled_at timestamptz,
    OUT peak_pct double precision,
    OUT peak_at timestamptz,
    OUT seconds_over_warning double precision,
    OUT seconds_over_critical double precision,
    OUT status_since timestamptz,
    OUT connects_per_second double precision,
    OUT refused_slots bigint,
    OUT refused_reserved bigint,
    OUT refused_database bigint,
    OUT refused_role bigint,
    OUT refused_other bigint,
    OUT connects bigint,
    OUT auth_failures bigint,
    OUT status text,
    OUT advice text)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 1
AS 'MODULE_PATHNAME', 'pg_steward_pool_now';
COMMENT ON FUNCTION steward.pool_now() IS
'internal: connections counted now, and what the sampler in the background knows; anyone may call it';

CREATE FUNCTION steward.pool_history(
    since timestamptz,
    OUT sampled_at timestamptz,
    OUT usable integer,
    OUT used integer,
    OUT half_open integer,
    OUT active integer,
    OUT idle integer,
    OUT idle_in_transaction integer,
    OUT oldest_idle_in_transaction_seconds bigint,
    OUT refused integer,
    OUT connects integer,
    OUT status text,
    OUT queued integer)
RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 1000
AS 'MODULE_PATHNAME', 'pg_steward_pool_history';
COMMENT ON FUNCTION steward.pool_history(timestamptz) IS
'internal: samples of the connections since a time; anyone may call it';

CREATE FUNCTION steward.pool_replay(
    at_seconds double precision[],
    used double precision[],
    refused double precision[],
    usable integer,
    queued double precision[] DEFAULT '{}',
    OUT said_at_seconds double precision,
    OUT news text,
    OUT status text,
    OUT cause text)
RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 10
AS 'MODULE_PATHNAME', 'pg_steward_pool_replay';
COMMENT ON FUNCTION steward.pool_replay(double precision[], double precision[], double precision[], integer, double precision[]) IS
'internal: what would have been logged, with the present settings, for samples at these seconds with so many slots used, clients refused, and clients queued for too long; anyone may call it';

CREATE FUNCTION @extschema@.get_pool_pressure(
    OUT max_connections integer,
    OUT usable integer,
    OUT used integer,
    OUT half_open integer,
    OUT client_backends integer,
    OUT active integer,
    OUT idle integer,
    OUT idle_in_transaction integer,
    OUT utilisation_pct double precision,
    OUT peak_pct double precision,
    OUT peak_at timestamptz,
    OUT refused_total bigint,
    OUT seconds_over_warning double precision,
    OUT seconds_over_critical double precision,
    OUT status text,
    OUT advice text,
    OUT status_since timestamptz,
    OUT connects_per_second double precision,
    OUT auth_failures bigint,
    OUT refused_by jsonb,
    OUT sampled_at timestamptz)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED ROWS 1
BEGIN ATOMIC
    SELECT p.max_connections, p.usable, p.used, p.half_open, p.client_backends,
           p.active, p.idle, p.idle_in_transaction,
           round((100.0 * p.used / greatest(p.usable, 1))::numeric, 1)::float8,
           round(p.peak_pct::numeric, 1)::float8, p.peak_at,
           p.refused_slots + p.refused_reserved + p.refused_database + p.refused_role
               + p.refused_other,
           p.seconds_over_warning, p.seconds_over_critical, p.status,
           CASE WHEN p.status = 'ok' AND p.used < 0.75 * p.usable THEN NULL ELSE p.advice END,
           p.status_since, round(p.connects_per_second::numeric, 1)::float8,
           p.auth_failures,
           CASE WHEN p.refused_slots IS NOT NULL THEN
               jsonb_build_object('slots', p.refused_slots, 'reserved', p.refused_reserved,
                                  'database', p.refused_database, 'role', p.refused_role,
                                  'other', p.refused_other) END,
           p.sampled_at
      FROM steward.pool_now() p;
END;
COMMENT ON FUNCTION @extschema@.get_pool_pressure() IS
'one row: how near the server is to refusing clients; usable are the slots that are not reserved, used those taken, half-open connections included, which pg_stat_activity does not show; peak_pct, refused_total (clients refused, by limit in refused_by) and auth_failures are since the server started; seconds_over_* is how long the use has been above the thresholds of pg_steward.pool_*; status is ok, warning or critical; anyone may call it';

CREATE FUNCTION @extschema@.get_pool_history(
    since interval DEFAULT '1 hour',
    OUT sampled_at timestamptz,
    OUT used integer,
    OUT usable integer,
    OUT utilisation_pct double precision,
    OUT half_open integer,
    OUT active integer,
    OUT idle integer,
    OUT idle_in_transaction integer,
    OUT oldest_idle_in_transaction_seconds bigint,
    OUT connects integer,
    OUT refused integer,
    OUT status text,
    OUT queued integer)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED ROWS 1000
BEGIN ATOMIC
    SELECT h.sampled_at, h.used, h.usable,
           round((100.0 * h.used / greatest(h.usable, 1))::numeric, 1)::float8,
           h.half_open, h.active, h.idle, h.idle_in_transaction,
           h.oldest_idle_in_transaction_seconds, h.connects, h.refused, h.status,
           h.queued
      FROM steward.pool_history(coalesce(clock_timestamp() - since, '-infinity')) h
     ORDER BY h.sampled_at;
END;
COMMENT ON FUNCTION @extschema@.get_pool_history(interval) IS
'connections over time, oldest first: every sample of the last day (at the default pg_steward.pool_sample_interval), before that the worst of each quarter of an hour, for a month; null for all; connects and refused are since the row before, queued are clients that waited in PgBouncer; kept in shared memory, lost at a restart; anyone may call it';

CREATE FUNCTION @extschema@.get_connection_pool_stats(
    OUT database_name text,
    OUT username text,
    OUT application_name text,
    OUT client_addr inet,
    OUT total bigint,
    OUT active bigint,
    OUT idle bigint,
    OUT idle_in_transaction bigint,
    OUT oldest_idle_seconds double precision,
    OUT oldest_xact_seconds double precision,
    OUT connection_limit integer,
    OUT limit_used_pct double precision,
    OUT limit_of text,
    OUT note text)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED ROWS 20
BEGIN ATOMIC
    SELECT steward.forget_activity();
    WITH client AS (
        SELECT a.*, clock_timestamp() AS now,
               a.backend_type IS NULL AS hidden
          FROM pg_stat_activity a
         WHERE a.backend_type = 'client backend'
            OR (a.backend_type IS NULL AND a.datid IS NOT NULL AND a.usesysid IS NOT NULL)),
    by_role AS (
        SELECT c.usesysid, r.rolconnlimit AS most, count(*) AS n
          FROM client c JOIN pg_roles r ON r.oid = c.usesysid
         WHERE r.rolconnlimit > 0 AND NOT r.rolsuper
         GROUP BY 1, 2),
    by_database AS (
        SELECT c.datid, d.datconnlimit AS most, count(*) AS n
          FROM client c JOIN pg_database d ON d.oid = c.datid
         WHERE d.datconnlimit > 0
         GROUP BY 1, 2),
    pool AS (
        SELECT c.datid, c.usesysid, c.datname, c.usename, c.application_name, c.client_addr,
               count(*) AS total,
               count(*) FILTER (WHERE c.state IN ('active', 'fastpath function call')) AS active,
               count(*) FILTER (WHERE c.state = 'idle') AS idle,
               count(*) FILTER (WHERE c.state LIKE 'idle in transaction%') AS in_xact,
               max(extract(epoch FROM c.now - c.state_change))
                   FILTER (WHERE c.state LIKE 'idle%') AS oldest_idle,
               max(extract(epoch FROM c.now - c.xact_start)) AS oldest_xact,
               bool_or(c.hidden) AS hidden
          FROM client c
         GROUP BY 1, 2, 3, 4, 5, 6)
    SELECT p.datname::text, p.usename::text, p.application_name, p.client_addr,
           p.total,
           CASE WHEN NOT p.hidden THEN p.active END,
           CASE WHEN NOT p.hidden THEN p.idle END,
           CASE WHEN NOT p.hidden THEN p.in_xact END,
           round(p.oldest_idle, 1)::float8, round(p.oldest_xact, 1)::float8,
           l.most, round(100.0 * l.n / l.most, 1)::float8, l.what,
           CASE WHEN p.hidden THEN 'skipped: needs pg_read_all_stats' END
      FROM pool p
           LEFT JOIN LATERAL (
               SELECT x.most, x.n, x.what
                 FROM (SELECT r.most, r.n, 'role' AS what FROM by_role r
                        WHERE r.usesysid = p.usesysid
                       UNION ALL
                       SELECT d.most, d.n, 'database' FROM by_database d
                        WHERE d.datid = p.datid) x
                ORDER BY x.n::float8 / x.most DESC
                LIMIT 1) l ON true
     ORDER BY p.total DESC, p.datname, p.usename, p.application_name, p.client_addr;
END;
COMMENT ON FUNCTION @extschema@.get_connection_pool_stats() IS
'client connections by database, role, application and address, most first; limit_used_pct is how much of the CONNECTION LIMIT of the role or database (limit_of, whichever is nearer) all its connections use; anyone may call it, states, times and addresses of other roles'' connections need pg_read_all_stats';

CREATE FUNCTION @extschema@.get_idle_in_transaction(
    min_age interval DEFAULT '0',
    OUT pid integer,
    OUT database_name text,
    OUT username text,
    OUT application_name text,
    OUT client_addr inet,
    OUT idle_seconds double precision,
    OUT xact_seconds double precision,
    OUT state text,
    OUT blocks bigint,
    OUT holds_back_xids bigint,
    OUT last_query text,
    OUT terminate_sql text)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED ROWS 10
BEGIN ATOMIC
    SELECT steward.forget_activity();
    WITH waiting AS (
        SELECT unnest(pg_blocking_pids(a.pid)) AS pid
          FROM pg_stat_activity a
         WHERE a.wait_event_type = 'Lock')
    SELECT a.pid, a.datname::text, a.usename::text, a.application_name, a.client_addr,
           round(extract(epoch FROM clock_timestamp() - a.state_change), 1)::float8,
           round(extract(epoch FROM clock_timestamp() - a.xact_start), 1)::float8,
           CASE WHEN a.backend_type IS NULL THEN 'skipped: needs pg_read_all_stats'
                ELSE a.state END,
           (SELECT count(*) FROM waiting w WHERE w.pid = a.pid),
           age(a.backend_xmin)::bigint, a.query,
           format('SELECT pg_terminate_backend(%s);', a.pid)
      FROM pg_stat_activity a
     WHERE (a.backend_type = 'client backend' AND a.state LIKE 'idle in transaction%'
            AND clock_timestamp() - a.state_change >= coalesce(min_age, '0'))
        OR (a.backend_type IS NULL AND a.datid IS NOT NULL AND a.usesysid IS NOT NULL)
     ORDER BY a.state_change NULLS LAST, a.pid;
END;
COMMENT ON FUNCTION @extschema@.get_idle_in_transaction(interval) IS
'client connections that have a transaction open and do nothing, for at least min_age, longest first; blocks counts processes that wait for their locks, holds_back_xids the transactions whose dead rows VACUUM must keep for them; anyone may call it, connections of other roles need pg_read_all_stats';

CREATE FUNCTION @extschema@.get_blocking(
    OUT root_pid integer,
    OUT depth integer,
    OUT pid integer,
    OUT blocked_by integer[],
    OUT blocks bigint,
    OUT waiting_seconds double precision,
    OUT xact_seconds double precision,
    OUT state text,
    OUT database_name text,
    OUT username text,
    OUT application_name text,
    OUT waits_for text,
    OUT query text,
    OUT end_sql text)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED ROWS 10
BEGIN ATOMIC
    SELECT steward.forget_activity();
    WITH RECURSIVE
    waiter AS MATERIALIZED (
        SELECT DISTINCT l.pid, pg_blocking_pids(l.pid) AS blockers
          FROM pg_locks l
         WHERE NOT l.granted),
    edge AS (
        SELECT DISTINCT w.pid, b.blocker
          FROM waiter w, unnest(w.blockers) AS b(blocker)),
    tree AS (
        SELECT DISTINCT e.blocker AS root, 0 AS depth, e.blocker AS pid, ARRAY[e.blocker] AS path
          FROM edge e
         WHERE NOT EXISTS (SELECT FROM edge x WHERE x.pid = e.blocker)
        UNION ALL
        SELECT t.root, t.depth + 1, e.pid, t.path || e.pid
          FROM tree t JOIN edge e ON e.blocker = t.pid
         WHERE e.pid <> ALL (t.path) AND t.depth < 20),
    -- a waiter that several roots block is shown under each
    node AS (
        SELECT DISTINCT ON (t.root, t.pid) t.root, t.depth, t.pid, t.path
          FROM tree t
         ORDER BY t.root, t.pid, t.depth),
    wanted AS (
        SELECT DISTINCT ON (l.pid) l.pid, l.waitstart,
               concat_ws(' ', l.mode, 'on', l.locktype,
                         CASE WHEN l.database = (SELECT d.oid FROM pg_database d
                                                  WHERE d.datname = current_database())
                              THEN l.relation::regclass::text ELSE l.relation::text END) AS what
          FROM pg_locks l
         WHERE NOT l.granted
         ORDER BY l.pid, l.waitstart)
    SELECT n.root, n.depth, n.pid,
           (SELECT w.blockers FROM waiter w WHERE w.pid = n.pid),
           (SELECT count(*) FROM node x WHERE x.root = n.root AND x.pid <> n.pid
               AND n.pid = ANY (x.path)),
           round(extract(epoch FROM clock_timestamp() - w.waitstart), 1)::float8,
           round(extract(epoch FROM clock_timestamp() - a.xact_start), 1)::float8,
           CASE WHEN n.pid = 0 THEN 'prepared transaction'
                WHEN a.pid IS NOT NULL AND a.backend_type IS NULL
                THEN 'skipped: needs pg_read_all_stats'
                ELSE coalesce(a.state, a.backend_type) END,
           a.datname::text, a.usename::text, a.application_name, w.what, a.query,
           CASE WHEN n.depth > 0 THEN NULL
                WHEN n.pid = 0 THEN 'SELECT * FROM pg_prepared_xacts ORDER BY prepared;'
                WHEN a.state = 'active' THEN format('SELECT pg_cancel_backend(%s);', n.pid)
                WHEN a.backend_type = 'client backend'
                THEN format('SELECT pg_terminate_backend(%s);', n.pid) END
      FROM node n
           LEFT JOIN pg_stat_activity a ON a.pid = n.pid
           LEFT JOIN wanted w ON w.pid = n.pid
     ORDER BY (SELECT count(*) FROM node x WHERE x.root = n.root) DESC, n.root, n.path;
END;
COMMENT ON FUNCTION @extschema@.get_blocking() IS
'who waits for whose locks, as trees: depth 0 is a process that waits for nobody and blocks others (0 stands for prepared transactions), with the statement that would end it in end_sql; blocks counts all processes behind it; anyone may call it, activity of other roles needs pg_read_all_stats';

CREATE FUNCTION @extschema@.get_kill_candidates(
    idle interval DEFAULT '10 minutes',
    active interval DEFAULT '1 hour',
    OUT pid integer,
    OUT database_name text,
    OUT username text,
    OUT application_name text,
    OUT state text,
    OUT state_seconds double precision,
    OUT reason text,
    OUT kill_sql text,
    OUT query text)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED ROWS 10
BEGIN ATOMIC
    SELECT steward.forget_activity();
    WITH client AS (
        SELECT a.*,
               clock_timestamp() - CASE WHEN a.state IN ('active', 'fastpath function call')
                                        THEN a.query_start ELSE a.state_change END AS since,
               a.backend_type IS NULL AS hidden
          FROM pg_stat_activity a
         WHERE (a.backend_type = 'client backend'
                OR (a.backend_type IS NULL AND a.datid IS NOT NULL AND a.usesysid IS NOT NULL))
           AND a.pid <> pg_backend_pid()
           -- backups, restores and replication, whatever their process is
           AND a.application_name NOT LIKE ALL (ARRAY['pg_dump%', 'pg_restore%', 'pg_basebackup%',
                                                      'pgbackrest%', 'barman%', 'pg_rewind%'])
           -- who is needed when nobody else gets in
           AND NOT EXISTS (SELECT FROM pg_roles r
                            WHERE r.oid = a.usesysid AND (r.rolsuper OR r.rolreplication))
           AND NOT EXISTS (SELECT FROM pg_roles r
                            WHERE r.rolname = 'pg_use_reserved_connections'
                              AND pg_has_role(a.usesysid, r.oid, 'USAGE'))
           -- maintenance takes its time
           AND NOT EXISTS (SELECT FROM pg_stat_progress_vacuum v WHERE v.pid = a.pid)
           AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index i WHERE i.pid = a.pid)
           AND NOT EXISTS (SELECT FROM pg_stat_progress_analyze n WHERE n.pid = a.pid)),
    judged AS (
        SELECT c.*,
               CASE WHEN c.state LIKE 'idle in transaction%' AND c.since >= idle THEN 1
                    WHEN c.state IN ('active', 'fastpath function call') AND c.since >= active THEN 2
                    WHEN c.state = 'idle' AND c.since >= idle THEN 3 END AS verdict
          FROM client c)
    SELECT j.pid, j.datname::text, j.usename::text, j.application_name, j.state,
           round(extract(epoch FROM j.since), 1)::float8,
           CASE WHEN j.hidden THEN 'skipped: needs pg_read_all_stats'
                WHEN j.verdict = 1 THEN 'has a transaction open and does nothing'
                WHEN j.verdict = 2 THEN 'its statement runs for long'
                WHEN j.verdict = 3 THEN 'takes a slot and does nothing' END,
           CASE WHEN j.verdict = 2 THEN format('SELECT pg_cancel_backend(%s);', j.pid)
                WHEN j.verdict IN (1, 3) THEN format('SELECT pg_terminate_backend(%s);', j.pid) END,
           j.query
      FROM judged j
     WHERE j.verdict IS NOT NULL OR j.hidden
     ORDER BY j.verdict NULLS LAST, j.since DESC, j.pid;
END;
COMMENT ON FUNCTION @extschema@.get_kill_candidates(interval, interval) IS
'statements that would end client connections which do nothing for at least "idle", or cancel statements that run for at least "active"; nothing is ended by the call; walsenders, autovacuum, backup programs, superusers, replication roles, members of pg_use_reserved_connections and sessions in VACUUM, ANALYZE or CREATE INDEX are never named; null leaves a kind out; anyone may call it, connections of other roles need pg_read_all_stats';

CREATE TABLE steward.pool_event (
    at timestamptz NOT NULL,
    news text NOT NULL,
    status text NOT NULL,
    cause text NOT NULL,
    used integer NOT NULL,
    usable integer NOT NULL,
    refused bigint NOT NULL,
    detail text NOT NULL);
SELECT pg_extension_config_dump('steward.pool_event', '');
GRANT SELECT ON steward.pool_event TO pg_monitor;
COMMENT ON TABLE steward.pool_event IS
'changes of the level of pool pressure, written by the background worker; kept for pg_steward.pool_event_retention days; members of pg_monitor may read it';
COMMENT ON COLUMN steward.pool_event.at IS 'when the sample was taken';
COMMENT ON COLUMN steward.pool_event.news IS 'raised, lowered or cleared';
COMMENT ON COLUMN steward.pool_event.status IS 'the new level: ok, warning or critical';
COMMENT ON COLUMN steward.pool_event.cause IS 'what made the level rise';
COMMENT ON COLUMN steward.pool_event.used IS 'connection slots taken';
COMMENT ON COLUMN steward.pool_event.usable IS 'connection slots that are not reserved';
COMMENT ON COLUMN steward.pool_event.refused IS 'clients refused since the sample before';
COMMENT ON COLUMN steward.pool_event.detail IS 'the detail of the log line';
