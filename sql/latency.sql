-- Latency histograms: accuracy, what is counted, reports, reset, privileges.

-- Accuracy, against the exact percentiles of the same durations: no error
-- above 1/33 for any shape.
SELECT setseed(0.5);
CREATE TEMP TABLE shape AS
SELECT s.name, s.n, d.ms
  FROM (VALUES ('lognormal', 1000), ('two humps', 5000), ('pareto', 5000), ('exponential', 200),
               ('lock waits', 3000), ('constant', 100), ('one', 1), ('point select', 20000)) s(name, n)
       CROSS JOIN LATERAL (
           SELECT CASE s.name
                  WHEN 'lognormal' THEN exp(1.5 * sqrt(-2 * ln(1 - random())) * cos(6.2831853 * random()))
                  WHEN 'two humps' THEN CASE WHEN random() < 0.9 THEN 0.2 + random() * 0.1 ELSE 400 + random() * 50 END
                  WHEN 'pareto' THEN 0.05 / power(1 - random(), 1 / 1.2)
                  WHEN 'exponential' THEN -12 * ln(1 - random())
                  WHEN 'lock waits' THEN CASE WHEN random() < 0.985 THEN 0.1 * (1 + random()) ELSE 1000 + 3000 * random() END
                  WHEN 'constant' THEN 7.5
                  WHEN 'one' THEN 123456.789
                  ELSE 0.01 + 0.002 * random() - 0.004 * ln(1 - random())
                  END AS ms
             FROM generate_series(1, s.n + (0 * length(s.name)))) d;
WITH estimate AS (
    SELECT s.name, c.percentile, c.latency_ms,
           (SELECT percentile_disc(c.percentile) WITHIN GROUP (ORDER BY x) FROM unnest(s.durations) x) AS exact_ms
      FROM (SELECT name, array_agg(ms) AS durations FROM shape GROUP BY name) s,
           LATERAL steward.latency_self_check(s.durations, '{0,0.01,0.5,0.9,0.95,0.99,0.999,1}') c)
SELECT name, count(*), max(abs(latency_ms - exact_ms) / exact_ms) <= 1 / 33.0 AS within_bound
  FROM estimate GROUP BY name ORDER BY name;

-- Both ends of every bucket: the bound is reached, and never passed.
WITH edge AS (
    SELECT lower_ms AS ms FROM (
        SELECT (16 + c) * power(2::float8, r) * 64 / 1e6 AS lower_ms
          FROM generate_series(0, 31) r, generate_series(0, 15) c) b
    UNION ALL
    SELECT ((17 + c) * power(2::float8, r) * 64 - 1) / 1e6
      FROM generate_series(0, 31) r, generate_series(0, 15) c)
SELECT count(*), max(error) <= 1 / 33.0 + 1e-6 AS within_bound, max(error) > 0.0303 AS bound_is_tight
  FROM (SELECT abs(c.latency_ms - e.ms) / e.ms AS error
          FROM edge e, LATERAL steward.latency_self_check(ARRAY[e.ms], '{0.5}') c) x;
-- below 1.024 ms / 1000 the error is less than 64 ns, above 73 minutes there is one bucket
SELECT max(abs(c.latency_ms - ns / 1e6)) * 1e6 <= 64 AS within_64_ns
  FROM generate_series(0, 1023) ns, LATERAL steward.latency_self_check(ARRAY[ns / 1e6]::float8[], '{0.5}') c;
SELECT count(DISTINCT latency_ms) FROM unnest(ARRAY[4.4e6, 1e7, 9e11]) ms,
       LATERAL steward.latency_self_check(ARRAY[ms], '{0.5}');
SELECT latency_ms < 0.001 AS negative_is_zero FROM steward.latency_self_check('{-5}', '{0.5}');
SELECT * FROM steward.latency_self_check('{}', '{0.5}');
SELECT * FROM steward.latency_self_check('{1,NaN}', '{0.5}');
SELECT * FROM steward.latency_self_check('{1}', '{1.5}');
SELECT * FROM steward.latency_self_check('{1}', NULL);
SELECT * FROM steward.latency_self_check(NULL, '{0.5}');

-- What is counted.  The id of a statement by its text.
CREATE TABLE lat_item (id int PRIMARY KEY, name text);
INSERT INTO lat_item SELECT g, 'item ' || g FROM generate_series(1, 100) g;
CREATE FUNCTION id_of(pattern text) RETURNS bigint LANGUAGE sql AS $$
    SELECT DISTINCT queryid FROM "Stat Schema".pg_stat_statements WHERE query LIKE pattern
       AND userid = (SELECT oid FROM pg_roles WHERE rolname = session_user) $$;
CREATE VIEW counted AS
SELECT l.queryid, l.toplevel, l.calls, l.aborted, l.latency_ms, l.mean_latency_ms, l.mean_exec_ms, l.waiting_pct, s.calls AS stat_calls, left(regexp_replace(s.query, '\$?\y\d+', 'N', 'g'), 46) AS query
  FROM get_query_latency(percentiles => '{1}') l
       JOIN pg_database d ON d.datname = l.database_name
       JOIN pg_roles r ON r.rolname = l.username
       JOIN "Stat Schema".pg_stat_statements s ON s.queryid = l.queryid AND s.toplevel = l.toplevel AND s.dbid = d.oid AND s.userid = r.oid;
CREATE FUNCTION lat_nested(n int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE total int := 0; one int;
BEGIN
    FOR i IN 1..n LOOP
        SELECT count(*) INTO one FROM lat_item AS lat_inner WHERE id = i;
        total := total + one;
        BEGIN
            PERFORM 1 / (lat_inner.id - lat_inner.id) FROM lat_item AS lat_inner WHERE id = i;
        EXCEPTION WHEN division_by_zero THEN NULL;
        END;
    END LOOP;
    RETURN total;
END $$;
SELECT "Stat Schema".pg_stat_statements_reset() IS NOT NULL AS reset;
SELECT reset_query_latency() > 0 AS reset;
SET pg_steward.track = 'all';
SELECT count(*) AS lat_simple FROM lat_item WHERE id = 1;
SELECT count(*) AS lat_simple FROM lat_item WHERE id = 2;
SELECT lat_nested(3);
SET pg_steward.track = 'top';
SELECT lat_nested(4);
SET pg_steward.track = 'none';
SELECT lat_nested(4);
SELECT count(*) AS lat_simple FROM lat_item WHERE id = 3;
RESET pg_steward.track;
PREPARE lat_prepared AS SELECT count(*) AS lat_prepared FROM lat_item WHERE id = $1;
EXECUTE lat_prepared(1);
EXECUTE lat_prepared(2);
EXECUTE lat_prepared(3);
DEALLOCATE lat_prepared;
BEGIN;
DECLARE lat_cursor CURSOR FOR SELECT id AS lat_cursor FROM lat_item;
FETCH 10 FROM lat_cursor;
FETCH 10 FROM lat_cursor;
CLOSE lat_cursor;
COMMIT;
CREATE TABLE lat_utility (id int);
DROP TABLE lat_utility;
DO $$ BEGIN PERFORM count(*) FROM lat_item AS lat_do; END $$;
EXPLAIN (COSTS OFF) SELECT count(*) AS lat_explained FROM lat_item;
COPY (SELECT id AS lat_copy FROM lat_item WHERE id < 3) TO STDOUT;
-- errors: of a query that runs, in the planner, in parse analysis, of a utility command
SELECT 1 / (id - 1) AS lat_error FROM lat_item WHERE id = 1;
SELECT 1 / 0 AS lat_planned;
SELECT lat_no_such_column FROM lat_item;
CREATE TABLE lat_item (id int);
BEGIN;
SAVEPOINT a;
SELECT 1 / (id - 1) AS lat_error FROM lat_item WHERE id = 1;
ROLLBACK TO a;
SELECT count(*) AS lat_simple FROM lat_item WHERE id = 3;
COMMIT;
-- a query is nested only while another one runs
BEGIN;
DECLARE lat_cursor CURSOR FOR SELECT lat_nested(1) FROM lat_item;
FETCH 10 FROM lat_cursor;
SELECT count(*) AS lat_simple FROM lat_item WHERE id = 4;
ABORT;
SET statement_timeout = '50ms';
SELECT pg_sleep(10) AS lat_cancelled;
RESET statement_timeout;

-- (equal to pg_stat_statements except for what ran with track = none)
SELECT query, toplevel, calls, aborted, stat_calls - (calls - aborted) AS missing
  FROM counted WHERE query LIKE '%lat\_%' AND query NOT LIKE '%lat\_nested(N)' AND query NOT LIKE 'CLOSE%'
                 AND toplevel
 ORDER BY query COLLATE "C";
-- nested ones, with track = all only: three rounds, each with one that fails
SELECT query, calls, aborted FROM counted WHERE NOT toplevel ORDER BY query COLLATE "C";
SELECT toplevel, calls, aborted, percentile FROM get_query_latency(id_of('SELECT lat_nested%'), '{0.5}');
-- those that failed always are in no statistics but ours
SELECT calls, aborted, database_name = current_database() AS here, username = session_user AS me
  FROM get_query_latency(0, '{0.5}');
SELECT aborted, count(*) FROM get_query_latency(percentiles => '{0.5}') l
 WHERE calls = aborted AND queryid <> 0
   AND NOT EXISTS (SELECT FROM counted c WHERE c.queryid = l.queryid) GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM get_query_latency(percentiles => '{0.5}')
 WHERE calls = 1 AND aborted = 1 AND latency_ms BETWEEN 49 AND 5000;

-- Reports agree with each other.
SELECT pg_sleep(0.06) AS lat_sleep;
SELECT pg_sleep(0.12) AS lat_sleep;
SELECT calls, p50_ms BETWEEN 58 AND 110 AS p50, p95_ms >= 116 AS p95, p95_ms = p99_ms AS p99,
       length(latency) AS length, aborted, waiting_pct < 50 AS ran, coverage_pct
  FROM get_slow_queries(NULL) WHERE query = 'SELECT pg_sleep($1) AS lat_sleep';
SELECT percentile, latency_ms BETWEEN 58 AND 110 AS first, latency_ms BETWEEN 116 AND 200 AS second,
       mean_exec_ms BETWEEN 90 AND 150 AS mean, mean_latency_ms >= mean_exec_ms AS waited
  FROM get_query_latency(id_of('SELECT pg_sleep($1) AS lat_sleep'));
SELECT sum(count), min(lower_ms) BETWEEN 56 AND 110 AS lowest, max(upper_ms) BETWEEN 120 AND 210 AS highest,
       bool_and(upper_ms / lower_ms <= 17.0 / 16) AS narrow
  FROM get_latency_histogram(id_of('SELECT pg_sleep($1) AS lat_sleep'));
SELECT count(*) > 0 AS found, bool_and(query <> '' AND coverage_pct >= 0) AS all_good
  FROM get_slow_queries(NULL) WHERE p50_ms IS NOT NULL;
SELECT o.order_by, (SELECT bool_and(ok) FROM (
           SELECT v >= lead(v) OVER (ORDER BY n) OR lead(v) OVER (ORDER BY n) IS NULL AS ok FROM (
               SELECT row_number() OVER () AS n, CASE o.order_by WHEN 'p95' THEN p95_ms ELSE p99_ms END AS v
                 FROM get_slow_queries(NULL, 0, o.order_by)) a) b) AS sorted
  FROM unnest(ARRAY['p95', 'p99']) o(order_by);
-- (a statement that runs is not in the report of it)
SELECT s.calls - (SELECT sum(count) FROM get_latency_histogram()) AS difference,
       s.aborted, s.p50_ms <= s.p95_ms AND s.p95_ms <= s.p99_ms AS ordered, s.warning_ms, s.critical_ms,
       s.above_warning_pct >= s.above_critical_pct AS shares, length(s.latency), s.verdict
  FROM get_latency_summary() s;
SET pg_steward.latency_warning = 0;
SELECT verdict, above_warning_pct FROM get_latency_summary();
SET pg_steward.latency_critical = 0;
SELECT verdict, above_critical_pct FROM get_latency_summary();
RESET pg_steward.latency_warning;
RESET pg_steward.latency_critical;

-- What a cursor runs is nested, also when COMMIT runs the rest of it.
-- (No EXCEPTION block: a subtransaction that COMMIT runs and that fails trips
-- an assertion of the server's own.)
CREATE OR REPLACE FUNCTION lat_nested(n int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE total int := 0; one int;
BEGIN
    FOR i IN 1..n LOOP
        SELECT count(*) INTO one FROM lat_item AS lat_inner WHERE id = i;
        total := total + one;
    END LOOP;
    RETURN total;
END $$;
SET pg_steward.track = 'all';
SELECT reset_query_latency(id_of('SELECT count(*)%FROM lat_item AS lat_inner%')) > 0 AS reset;
BEGIN;
DECLARE lat_hold CURSOR WITH HOLD FOR SELECT id, lat_nested(1) FROM lat_item WHERE id <= 4;
FETCH 1 FROM lat_hold;
COMMIT;
SELECT toplevel, calls FROM get_query_latency(id_of('SELECT count(*)%FROM lat_item AS lat_inner%'), '{0.5}');
RESET pg_steward.track;
BEGIN;
DECLARE lat_hold_top CURSOR WITH HOLD FOR SELECT id, lat_nested(1) FROM lat_item WHERE id <= 4;
FETCH 1 FROM lat_hold_top;
COMMIT;
SELECT toplevel, calls FROM get_query_latency(id_of('SELECT count(*)%FROM lat_item AS lat_inner%'), '{0.5}');
SELECT sum(lat_nested) FROM (VALUES (1)) v, LATERAL lat_nested(1);
FETCH 2 FROM lat_hold;
FETCH ALL FROM lat_hold_top;
CLOSE lat_hold;
CLOSE lat_hold_top;
SELECT toplevel, calls FROM get_query_latency(id_of('SELECT count(*)%FROM lat_item AS lat_inner%'), '{0.5}');

-- Periods: everything happened in the last hour.
SELECT calls, aborted, since <= now() AS past
  FROM get_query_latency(id_of('SELECT pg_sleep($1) AS lat_sleep'), '{0.5}', '5 min');
SELECT sum(count) FROM get_latency_histogram(id_of('SELECT pg_sleep($1) AS lat_sleep'), '1 hour');
SELECT calls > 10 AS some, aborted, verdict FROM get_latency_summary('60 min');
SELECT get_latency_summary('61 min');
SELECT get_latency_summary('-1 min');
SELECT get_latency_summary('1 month');
SELECT * FROM steward.latency_self_check('{1}', '{0.5,NULL}');

-- Reset: what failed unidentified, and nothing else; one query, a role, a database, all.
SELECT reset_query_latency(0, current_database(), session_user);
SELECT count(*) FROM get_query_latency(0);
SELECT reset_query_latency(0) <= 3 AS few;
SELECT count(*) > 5 AS others_stay FROM get_query_latency(percentiles => '{0.5}');
SELECT reset_query_latency(id_of('SELECT pg_sleep($1) AS lat_sleep'));
SELECT count(*) FROM get_query_latency(id_of('SELECT pg_sleep($1) AS lat_sleep'));
SELECT coverage_pct FROM get_slow_queries(NULL) WHERE query = 'SELECT pg_sleep($1) AS lat_sleep';
SELECT reset_query_latency(username => 'no_such_role');
SELECT reset_query_latency(database_name => 'no_such_database');
SELECT reset_query_latency(1, 'postgres', current_user);
SELECT reset_query_latency(database_name => 'template1');
SELECT reset_query_latency(database_name => current_database()) > 5 AS some;

-- Privileges: figures for everyone, ids of others for pg_read_all_stats.
CREATE ROLE lat_other;
CREATE ROLE lat_reader IN ROLE pg_read_all_stats;
SELECT count(*) AS lat_mine FROM lat_item;
SELECT id_of('SELECT count(*) AS lat_mine%') AS mine \gset
GRANT USAGE ON SCHEMA "Stat Schema" TO lat_other;
SET ROLE lat_other;
SELECT count(*) > 0 AS some, count(queryid) AS ids FROM get_query_latency(percentiles => '{0.5}') WHERE username <> 'lat_other';
SELECT count(*) FROM get_query_latency(:mine);
SELECT count(*) FROM get_latency_histogram(:mine);
SELECT calls > 0 AS some FROM get_latency_summary();
SELECT count(p50_ms) FROM get_slow_queries(NULL, order_by => 'p95') WHERE username <> 'lat_other';
SELECT reset_query_latency();
SET ROLE lat_reader;
SELECT count(*) FROM get_query_latency(:mine, '{0.5}');
SELECT count(*) FROM get_latency_histogram(:mine);
SET ROLE lat_other;
SET pg_steward.track = 'none';
RESET ROLE;

-- Loss is visible.
SELECT latency_queries > 0 AS queries, latency_max_queries, latency_evictions, latency_dropped FROM get_steward_info();
DROP VIEW counted;
DROP FUNCTION lat_nested, id_of;
DROP TABLE lat_item;
REVOKE USAGE ON SCHEMA "Stat Schema" FROM lat_other;
DROP ROLE lat_other, lat_reader;
