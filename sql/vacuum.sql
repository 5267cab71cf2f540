-- get_vacuum_status(): thresholds in force and the distance to them.
-- autovacuum is off in this server, so first with the server's switch, then
-- with it on but too slow to act.
CREATE TABLE vs_plain (id int, doc text);
CREATE TABLE vs_options (id int) WITH (autovacuum_vacuum_threshold = 10,
    autovacuum_vacuum_scale_factor = 0.5, autovacuum_analyze_threshold = 7,
    autovacuum_analyze_scale_factor = 0, autovacuum_vacuum_insert_threshold = -1,
    autovacuum_freeze_max_age = 1000000, fillfactor = 70);
CREATE TABLE vs_off (id int) WITH (autovacuum_enabled = false);
CREATE TABLE vs_raised (id int, doc text) WITH (autovacuum_freeze_max_age = 2000000000,
    toast.autovacuum_vacuum_threshold = 3);
CREATE TABLE vs_inherits (id int, doc text) WITH (autovacuum_vacuum_threshold = 5);
-- numbers as the server accepts them
CREATE TABLE vs_spelt (id int) WITH (autovacuum_freeze_max_age = '2e5', autovacuum_vacuum_threshold = 50.7,
    autovacuum_multixact_freeze_max_age = 100000.6, autovacuum_analyze_scale_factor = 1e-1);
CREATE MATERIALIZED VIEW vs_mv AS SELECT 1 AS one;
CREATE TEMP TABLE vs_temp (id int);
INSERT INTO vs_plain SELECT generate_series(1, 1000);
INSERT INTO vs_options SELECT generate_series(1, 100);
SELECT pg_stat_force_next_flush();
VACUUM (FREEZE, ANALYZE) vs_plain, vs_options;
DELETE FROM vs_plain WHERE id <= 100;
DELETE FROM vs_options WHERE id <= 5;
INSERT INTO vs_plain SELECT generate_series(1, 30);
SELECT pg_stat_force_next_flush();

CREATE FUNCTION vs_status() RETURNS TABLE (t text, kind text, live bigint, dead bigint, dead_pct float8,
    until_vacuum bigint, until_analyze bigint, av text, vacuum_at bigint, insert_at bigint, analyze_at bigint,
    xid_limit bigint, mxid_limit bigint)
LANGUAGE sql AS $$
    SELECT table_name, kind, live_rows, dead_rows, dead_pct, rows_until_autovacuum, rows_until_autoanalyze,
           autovacuum, vacuum_threshold_rows, insert_threshold_rows, analyze_threshold_rows,
           xid_age_limit, mxid_age_limit
      FROM public.get_vacuum_status() WHERE table_name LIKE 'vs\_%' ORDER BY table_name, kind $$;
SELECT DISTINCT av, until_vacuum, until_analyze FROM vs_status();

ALTER SYSTEM SET autovacuum = on;
ALTER SYSTEM SET autovacuum_naptime = '1d';
SELECT pg_reload_conf();
\c
-- plain: 50 + 0.2 * 1000 = 250 dead rows, so 151 more than 100; 1000 + 0.2 *
-- 1000 inserted (from 18 on, only what is not frozen counts, which is nothing
-- unless somebody else's snapshot stood in the way); 50 + 0.1 * 1000
-- changed, of which 130 have happened.  options: 10 + 0.5 * 100 = 60, and
-- never for inserts
SELECT t, kind, live, dead, dead_pct, until_vacuum, until_analyze, av, vacuum_at, analyze_at, xid_limit, mxid_limit
  FROM vs_status();
SELECT t, insert_at = 1000 + 200 * (1 - coalesce(to_jsonb(c) ->> 'relallfrozen', '0')::float8 / c.relpages) AS insert_at
  FROM vs_status() JOIN pg_class c ON c.relname = t
 WHERE t IN ('vs_options', 'vs_plain') AND kind = 'table' ORDER BY t;

-- the server's settings are followed, and 18's maximum is a limit
SET autovacuum_vacuum_threshold = 1;	-- refused: not for a session
ALTER SYSTEM SET autovacuum_vacuum_threshold = 20;
SELECT pg_reload_conf();
\c
SELECT table_name, vacuum_threshold_rows FROM get_vacuum_status()
 WHERE table_name IN ('vs_plain', 'vs_options') AND kind = 'table' ORDER BY 1;
DO $$ BEGIN
    IF current_setting('autovacuum_vacuum_max_threshold', true) IS NOT NULL THEN
        ALTER TABLE vs_plain SET (autovacuum_vacuum_max_threshold = 120);
    END IF;
END $$;
SELECT vacuum_threshold_rows = CASE WHEN limited THEN 120 ELSE 220 END AS threshold,
       rows_until_autovacuum = CASE WHEN limited THEN 21 ELSE 121 END AS until
  FROM get_vacuum_status(),
       (SELECT current_setting('server_version_num')::int >= 180000 AS limited) v
 WHERE table_name = 'vs_plain' AND kind = 'table';

-- dates and ages
SELECT table_name, last_vacuum IS NOT NULL AS vacuumed, last_analyze IS NOT NULL AS analyzed,
       last_autovacuum, xid_age BETWEEN 1 AND 100000 AS age, mxid_age >= 0 AS mxage, running
  FROM get_vacuum_status() WHERE table_name IN ('vs_plain', 'vs_off') AND kind = 'table' ORDER BY 1;

-- most dead rows first
SELECT table_name FROM get_vacuum_status(1);
SELECT get_vacuum_status(-1);

ALTER SYSTEM RESET ALL;
SELECT pg_reload_conf();
DROP FUNCTION vs_status();
DROP TABLE vs_plain, vs_options, vs_spelt, vs_off, vs_raised, vs_inherits;
DROP MATERIALIZED VIEW vs_mv;
