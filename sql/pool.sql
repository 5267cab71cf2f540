-- Pool pressure: the rule on replayed samples, the arithmetic of pools, and
-- reports over sessions of this test alone.

-- The rule with the default thresholds, a sample every 5 seconds, 100 slots.
CREATE FUNCTION replay(pieces int[], refused_at int[] DEFAULT '{}')
RETURNS TABLE (said_at float8, news text, status text, cause text)
LANGUAGE sql AS $$
    -- pieces: seconds and use, one after the other
    WITH piece AS (
        SELECT i, pieces[2 * i - 1] AS seconds, pieces[2 * i] AS used
          FROM generate_series(1, cardinality(pieces) / 2) i),
    sample AS (
        SELECT row_number() OVER (ORDER BY p.i, s) * 5 AS at, p.used
          FROM piece p, generate_series(5, p.seconds, 5) s)
    SELECT r.*
      FROM (SELECT array_agg(at::float8 ORDER BY at) AS at,
                   array_agg(used::float8 ORDER BY at) AS used,
                   array_agg((at = ANY (refused_at))::int::float8 ORDER BY at) AS refused
              FROM sample) x,
           steward.pool_replay(x.at, x.used, x.refused, 100) r
$$;

-- nothing to say: all day at 70 %, at exactly the threshold, short peaks
SELECT * FROM replay('{86400, 70}');
SELECT * FROM replay('{3600, 75}');
SELECT * FROM replay('{295, 96, 60, 60, 295, 96, 60, 60, 295, 96}');
SELECT * FROM replay('{595, 89, 5, 74, 595, 89, 5, 74}');

-- a warning after ten minutes, cleared after two below 65
SELECT * FROM replay('{60, 50, 700, 80, 300, 60}');
-- critical after five minutes above 90, on the way down a warning
SELECT * FROM replay('{600, 91, 600, 78, 600, 30}');
-- at once
SELECT * FROM replay('{60, 50, 5, 97, 600, 50}');
SELECT * FROM replay('{60, 50, 600, 20}', '{30, 60, 170}');
-- swings around a threshold: one warning, not twenty
SELECT * FROM replay('{610, 80, 30, 70, 30, 80, 30, 70, 30, 80, 30, 70, 30, 80, 30, 70, 30, 80, 120, 60}');
-- a day at 95 %: raised once, then a line an hour
SELECT news, status, count(*), min(said_at), max(said_at) FROM replay('{86400, 95}') GROUP BY 1, 2 ORDER BY 4;
-- up to 95 and back, slowly: just the transitions
SELECT * FROM replay('{300, 60, 700, 80, 700, 95, 700, 78, 700, 60}');

-- gaps and clocks: nobody knows what was between two samples far apart
SELECT * FROM steward.pool_replay('{0, 5, 600, 605}', '{80, 80, 80, 80}', '{0, 0, 0, 0}', 100);
SELECT * FROM steward.pool_replay('{0, 300, 600, 605}', '{80, 80, 80, 80}', '{0, 0, 0, 0}', 100);
SELECT * FROM steward.pool_replay('{100, 105, 0, 5, 10}', '{80, 80, 80, 98, 80}', '{0, 0, 0, 0, 0}', 100);
SELECT * FROM steward.pool_replay('{0}', '{1}', '{0}', 0);
SELECT * FROM steward.pool_replay('{0}', '{1, 2}', '{0}', 10);
SELECT * FROM steward.pool_replay('{0, nan}', '{1, 2}', '{0, 0}', 10);
SELECT * FROM steward.pool_replay('{0, null}', '{1, 2}', '{0, 0}', 10);

-- clients in the queue of a pooler: a warning, whatever else is free; a full
-- server is worse, and goes first
SELECT r.* FROM (SELECT array_agg(s::float8 ORDER BY s) AS at, array_agg(10::float8) AS used,
                        array_agg(0::float8) AS refused,
                        array_agg((s BETWEEN 60 AND 90 OR s = 120)::int::float8 ORDER BY s) AS queued
                   FROM generate_series(5, 600, 5) s) x,
       steward.pool_replay(at, used, refused, 100, queued) r;
SELECT * FROM steward.pool_replay('{0, 5, 10, 15}', '{10, 10, 98, 50}', '{0, 0, 0, 0}', 100, '{0, 1, 1, 1}');
SELECT * FROM steward.pool_replay('{0, 5}', '{10, 10}', '{0, 0}', 100, '{1}');

-- Does a plan fit?  This server has max_connections = 100, 3 reserved.
SELECT current_setting('max_connections') AS max_connections,
       current_setting('superuser_reserved_connections') AS reserved;
\x on
-- 4 x (10 + 10) = 80 fits; with a job queue's 20 it does not
SELECT * FROM check_pool_plan(4, 1, 10, 10);
SELECT * FROM check_pool_plan(4, 1, 10, 10, 20);
-- 8 x (20 + 40) = 480
SELECT * FROM check_pool_plan(8, 1, 20, 40);
-- 5 x 20 = 100 leaves no margin
SELECT * FROM check_pool_plan(5, 1, 20);
-- more processes than slots: only a pooler helps
SELECT * FROM check_pool_plan(50, 4, 1);
-- what is said to fit, fits
SELECT f.status, f.connections_total
  FROM check_pool_plan(4, 2, 10, 10, 10) p,
       check_pool_plan(4, 2, p.pool_size_that_fits, p.max_overflow_that_fits, 10) f;
SELECT count(*) AS wrong
  FROM generate_series(1, 12, 3) i, generate_series(1, 4, 3) w, generate_series(1, 30, 7) s, generate_series(0, 40, 16) o,
       check_pool_plan(i, w, s, o, 5) p, check_pool_plan(i, w, greatest(p.pool_size_that_fits, 1), p.max_overflow_that_fits, 5) f
 WHERE p.pool_size_that_fits > 0 AND (f.status <> 'ok' OR p.pool_size_that_fits > s OR p.max_overflow_that_fits > o)
    OR p.max_overflow_that_fits < 0 OR (p.status = 'ok') <> (p.pool_size_that_fits = s AND p.max_overflow_that_fits = o);

-- Little's law: 1000 a second of 20 ms are 20 at a time, on average
SELECT connections_needed, connections_available, fits, pool_size_per_worker, connections_total,
       busy_connections, query_ms, query_ms_source, cpu_busy_pct = round((2000 / cpus)::numeric, 1) AS cpu_right
  FROM recommend_pool_size(1000, 20);
SELECT connections_needed, connections_available, fits, pool_size_per_worker, connections_total
  FROM recommend_pool_size(1000, 20, 5, 4);
SELECT connections_needed, fits, pool_size_per_worker, connections_total, busy_connections, advice LIKE '%pooler%' AS pooler
  FROM recommend_pool_size(10, 1, 50, 4);
SELECT connections_needed, fits, pool_size_per_worker FROM recommend_pool_size(1, 1);
SELECT query_ms > 0 AS measured, query_ms_source FROM recommend_pool_size(expected_rps => 10);
\x off
SELECT recommend_pool_size(0);
SELECT recommend_pool_size(10, -1);
SELECT recommend_pool_size(10, 1, 0);
SELECT recommend_pool_size(10, 1, 1, NULL);
SELECT recommend_pool_size(10, 1, 1, 1, 1.5);
SELECT check_pool_plan(0, 1, 1);
SELECT check_pool_plan(1, NULL, 1);
SELECT check_pool_plan(1, 1, 0);
SELECT check_pool_plan(1, 1, 1, -1);
SELECT check_pool_plan(1, 1, 1, 1, -1);

-- This moment.
SELECT used >= client_backends AS slots, client_backends >= 1 AS me, active >= 1 AS working,
       half_open >= 0 AS half_open, usable = max_connections - 3 AS usable,
       utilisation_pct = round(100.0 * used / usable, 1) AS pct, refused_total >= 0 AS refused,
       refused_by ?& '{slots,reserved,role,database,other}' AS kinds, status
  FROM get_pool_pressure();
SELECT count(*) > 0 AS sampled, bool_and(used <= usable + 3) AS sane FROM get_pool_history();
SELECT count(*) > 0 AS sampled FROM get_pool_history(NULL);
SELECT count(*) FROM get_pool_history('-1 hour');
SELECT database_name = current_database() AS here, total, active, idle, idle_in_transaction, note
  FROM get_connection_pool_stats() WHERE application_name = 'pg_regress/pool';

-- PgBouncer: none is watched here; secrets do not belong into the setting.
SELECT state FROM get_pgbouncer_pools();
SELECT state, console FROM get_pgbouncer_stats();
SELECT count(*) FROM get_pool_recommendations() WHERE topic LIKE 'pgbouncer%';
ALTER SYSTEM SET pg_steward.pgbouncer_conninfo = 'host=a; host=b password=secret';
ALTER SYSTEM SET pg_steward.pgbouncer_conninfo = 'host=a,b';
ALTER SYSTEM SET pg_steward.pgbouncer_conninfo = 'host';
SHOW pg_steward.pgbouncer_conninfo;

-- Limits of roles and databases.
CREATE ROLE regress_pool_limited LOGIN CONNECTION LIMIT 4;
SELECT count(*) FROM get_pool_recommendations() WHERE topic IN ('limit', 'refused', 'reserved', 'half open');

-- Nobody of ours may be ended.
SELECT count(*) FROM get_kill_candidates('0', '0') WHERE pid = pg_backend_pid();
SELECT count(*) FROM get_idle_in_transaction('1 hour');
SELECT count(*) FROM get_blocking();

-- Without rights: counts, but no others' activity.
SET ROLE regress_pool_limited;
SELECT status, used > 0 AS used FROM get_pool_pressure();
SELECT count(*) > 0 AS visible, bool_or(note = 'skipped: needs pg_read_all_stats') AS said
  FROM get_connection_pool_stats();
SELECT topic, severity FROM get_pool_recommendations() WHERE severity = 'skipped';
SELECT DISTINCT reason FROM get_kill_candidates();
SELECT DISTINCT state FROM get_idle_in_transaction();
SELECT state FROM get_pgbouncer_pools();
RESET ROLE;
DROP ROLE regress_pool_limited;
DROP FUNCTION replay(int[], int[]);
