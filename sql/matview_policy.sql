-- Policies of materialized views: who may write what, and what comes of it.
-- All are paused, so that the worker leaves them alone.
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
SET intervalstyle = 'postgres';
CREATE SCHEMA policy;
SET search_path TO policy, public;
CREATE ROLE policy_owner;
CREATE ROLE policy_other;
CREATE ROLE policy_stats IN ROLE pg_read_all_stats;
GRANT USAGE, CREATE ON SCHEMA policy TO policy_owner;
GRANT USAGE ON SCHEMA policy TO policy_other, policy_stats;
CREATE TABLE base AS SELECT g AS id FROM generate_series(1, 10) g;
GRANT SELECT ON base TO policy_owner;
CREATE VIEW policies AS
    SELECT matview::regclass, matview_name, every, cron, time_zone, target_lag, nullif(downstream, false) AS down, on_change_debounce AS debounce,
           method, yield_after, max_runtime, assume_deterministic AS assume, on_upstream_error AS upstream, paused
      FROM steward.matview_policy ORDER BY matview_name;
-- The worker may just be looking at the policies; what it has locked is brought up to date next time.
CREATE PROCEDURE settle() LANGUAGE plpgsql AS $$
BEGIN
    LOOP
        PERFORM pause_matview_refresh();
        EXIT WHEN NOT EXISTS (SELECT FROM steward.matview_policy p
                                     LEFT JOIN pg_class c ON c.oid = p.matview
                               WHERE CASE WHEN p.matview IS NULL THEN
                                               EXISTS (SELECT FROM pg_matviews m WHERE format('%I.%I', m.schemaname, m.matviewname) = p.matview_name)
                                               AND NOT EXISTS (SELECT FROM steward.matview_policy o WHERE o.matview = to_regclass(p.matview_name))
                                          WHEN c.oid IS NULL THEN true
                                          ELSE p.matview_name <> format('%I.%I', c.relnamespace::regnamespace::text, c.relname) END)
              AND NOT EXISTS (SELECT FROM steward.matview_state s
                               WHERE NOT EXISTS (SELECT FROM steward.matview_policy p WHERE p.matview = s.matview));
        COMMIT;
        PERFORM pg_sleep(0.01);
    END LOOP;
END $$;
SET ROLE policy_owner;
CREATE MATERIALIZED VIEW daily AS SELECT * FROM base;
CREATE MATERIALIZED VIEW hourly AS SELECT * FROM base;
CREATE MATERIALIZED VIEW empty AS SELECT * FROM base WITH NO DATA;
CREATE TABLE no_view AS SELECT 1 AS a;
CREATE VIEW plain_view AS SELECT 1 AS a;

-- each kind of schedule
SELECT schedule_matview_refresh('daily', target_lag => '5 minutes', paused => true);
SELECT schedule_matview_refresh('hourly', every => '90 s', method => 'Diff', yield_after => '0', max_runtime => '1 hour',
                                assume_deterministic => true, on_upstream_error => 'continue', paused => true);
SET timezone = 'Europe/Berlin';
SELECT schedule_matview_refresh('policy.empty', cron => '0 3 * * mon-fri', paused => true);
SET timezone = 'UTC';
RESET ROLE;
SELECT * FROM policies;
SELECT count(*) AS just_now FROM steward.matview_policy WHERE created BETWEEN now() - interval '1 hour' AND clock_timestamp();
SET ROLE policy_owner;
SELECT alter_matview_refresh('daily', downstream => true);
SELECT alter_matview_refresh('hourly', on_change_debounce => '10 s', method => 'plain', max_runtime => '1 min');
SELECT alter_matview_refresh('empty', time_zone => 'UTC');
RESET ROLE;
SELECT * FROM policies;
SET ROLE policy_owner;
SELECT alter_matview_refresh('daily', cron => '@daily', time_zone => 'America/New_York');
SELECT alter_matview_refresh('daily', cron => '@hourly');
SELECT alter_matview_refresh('hourly', assume_deterministic => false, on_upstream_error => 'wait', yield_after => '2 s', paused => true);
SELECT alter_matview_refresh('empty', every => '1 day');
RESET ROLE;
SELECT * FROM policies;
SET ROLE policy_owner;

-- nothing of this is one, and nothing changes by it
\set VERBOSITY default
CREATE MATERIALIZED VIEW spare AS SELECT 1 AS a;
SELECT schedule_matview_refresh('spare');
SELECT schedule_matview_refresh('spare', every => '1 min', target_lag => '1 min');
SELECT schedule_matview_refresh('spare', cron => '* * * * *', downstream => true);
SELECT schedule_matview_refresh('spare', time_zone => 'UTC');
SELECT schedule_matview_refresh('spare', every => '1 min', time_zone => 'UTC');
SELECT schedule_matview_refresh('spare', cron => '* * * * *', time_zone => 'Nowhere');
SELECT schedule_matview_refresh('spare', cron => '61 * * * *');
SELECT schedule_matview_refresh('spare', cron => '0 0 31 2 *');
SELECT schedule_matview_refresh('spare', every => '0');
SELECT schedule_matview_refresh('spare', every => '-1 min');
SELECT schedule_matview_refresh('spare', every => '1 ms');
SELECT schedule_matview_refresh('spare', every => '1 month');
SELECT schedule_matview_refresh('spare', every => '3651 days');
SELECT schedule_matview_refresh('spare', every => '2000000000 days');
SELECT schedule_matview_refresh('spare', every => '2000000000 hours');
SELECT schedule_matview_refresh('spare', target_lag => '-2000000000 days');
SELECT schedule_matview_refresh('spare', on_change_debounce => '0.5 s');
SELECT schedule_matview_refresh('spare', every => '1 min', method => 'magic');
SELECT schedule_matview_refresh('spare', every => '1 min', yield_after => '-1 s');
SELECT schedule_matview_refresh('spare', every => '1 min', max_runtime => '0');
SELECT schedule_matview_refresh('spare', every => '1 min', on_upstream_error => 'ignore');
SELECT schedule_matview_refresh(NULL, every => '1 min');
SELECT schedule_matview_refresh('no_view', every => '1 min');
SELECT schedule_matview_refresh('plain_view', every => '1 min');
SELECT schedule_matview_refresh('nowhere', every => '1 min');
SELECT schedule_matview_refresh(1, every => '1 min');
SELECT schedule_matview_refresh('daily', every => '1 min');
SELECT alter_matview_refresh('spare', every => '1 min');
SELECT alter_matview_refresh('hourly', time_zone => 'UTC');
SELECT alter_matview_refresh('hourly', every => '1 min', cron => '* * * * *');
SELECT alter_matview_refresh('hourly', downstream => false, method => 'diff');
SELECT alter_matview_refresh('hourly', downstream => true);
SELECT alter_matview_refresh('hourly', downstream => false);
SELECT unschedule_matview_refresh('spare');
SELECT pause_matview_refresh('spare');
SELECT resume_matview_refresh('no_view');
START TRANSACTION READ ONLY;
SELECT pause_matview_refresh();
ROLLBACK;
\set VERBOSITY terse
RESET ROLE;
SELECT * FROM policies;

-- views of others
-- (until 16 it is the owner who may, then that can be granted: messages differ)
CREATE FUNCTION sqlstate_of(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE command;
    RETURN 'works';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
SET ROLE policy_other;
SELECT sqlstate_of(command), command
  FROM (VALUES ($$SELECT schedule_matview_refresh('spare', every => '1 min')$$), ($$SELECT alter_matview_refresh('daily', every => '1 min')$$),
               ($$SELECT unschedule_matview_refresh('daily')$$), ($$SELECT pause_matview_refresh('daily')$$),
               ($$SELECT resume_matview_refresh('daily')$$)) c(command);
SELECT pause_matview_refresh(), resume_matview_refresh();
SELECT count(*) FROM steward.matview_policy;
SELECT count(*) FROM steward.matview_state;
SELECT count(*) FROM steward.matview_refresh_history;
DELETE FROM steward.matview_policy;
SELECT schema_name, matview_name, policy FROM get_matview_status() WHERE schema_name = 'policy' ORDER BY 1, 2;
RESET ROLE;
-- who may maintain it, where that can be granted
SELECT current_setting('server_version_num')::int >= 170000 AS has_maintain \gset
\set expected 0
\if :has_maintain
\set expected 1
GRANT MAINTAIN ON daily TO policy_other;
\endif
SET ROLE policy_other;
SELECT pause_matview_refresh() = :expected AS ok;
RESET ROLE;
SET ROLE policy_owner;
SELECT pause_matview_refresh();

-- The status: of the latest refresh, as the worker notes it.
RESET ROLE;
INSERT INTO steward.matview_state VALUES
    ('daily', '2026-01-02 03:04:05+00', '2026-01-02 03:04:05+00', 'diff', 12.5, 20, 3, 0.1, 456, 0, 0, NULL, NULL, NULL, NULL, NULL, 7),
    ('hourly', NULL, '2026-01-02 03:04:05+00', NULL, NULL, NULL, NULL, NULL, NULL, 10, 1,
     E'division by zero\nin row "secret" ' || repeat('x', 200), '22012', '2026-01-03 03:04:05+00', 'suspended', NULL, 0);
INSERT INTO steward.matview_refresh_history (matview, started, finished, method, outcome, rows_inserted, rows_deleted, rows_updated,
                                             wal_bytes, temp_bytes, cpu_ms, duration_ms, sqlstate, error)
VALUES ('daily', '2026-01-02 03:04:05+00', '2026-01-02 03:04:06+00', 'diff', 'ok', 1, 1, 1, 456, 0, 10.5, 12.5, NULL, NULL),
       ('hourly', '2026-01-02 03:04:05+00', '2026-01-02 03:04:06+00', NULL, 'failed', NULL, NULL, NULL, NULL, NULL, NULL, 1000, '22012', 'division by zero in row "secret"');
CREATE VIEW status AS
    SELECT matview_name, policy, state, last_ok, last_duration_ms AS ms, last_method, rows_changed, wal_bytes, skips, next_due, overdue_seconds AS overdue,
           consecutive_failures AS failures, last_sqlstate, left(last_error, 35) AS error, length(last_error) AS length
      FROM get_matview_status() WHERE schema_name = 'policy' ORDER BY matview_name;
GRANT SELECT ON status TO PUBLIC;
SELECT matview_name, policy, last_ok, ms, last_method, rows_changed, wal_bytes, skips, next_due, overdue FROM status;
SELECT matview_name, failures, last_sqlstate, error, length FROM status;
SELECT * FROM get_matview_refresh_history();
SELECT matview_name, outcome FROM get_matview_refresh_history('daily', 10);
SELECT matview_name FROM get_matview_refresh_history(limit_count => 1);
SELECT matview_name FROM get_matview_refresh_history(limit_count => -1);
-- errors can contain data
SET ROLE policy_owner;
SELECT matview_name, last_sqlstate, left(last_error, 16) AS error FROM get_matview_status() WHERE last_error IS NOT NULL;
SELECT matview_name, sqlstate, error FROM get_matview_refresh_history('hourly');
SET ROLE policy_stats;
SELECT matview_name, last_sqlstate, left(last_error, 16) AS error FROM get_matview_status() WHERE last_error IS NOT NULL;
SELECT matview_name, sqlstate, error FROM get_matview_refresh_history('hourly');
SET ROLE policy_other;
SELECT matview_name, last_sqlstate, last_error FROM get_matview_status() WHERE last_error IS NOT NULL;
SELECT matview_name, sqlstate, error FROM get_matview_refresh_history('hourly');
SELECT count(*) FROM get_matview_status() WHERE schema_name = 'policy' AND matview_name <> 'daily' AND reason IS NOT NULL AND reason NOT LIKE 'skipped: %';
SELECT matview_name, state FROM get_matview_status() WHERE matview_name = 'empty';
RESET ROLE;
-- as psql shows it where the table is wider than the screen
SELECT max(length(line)) <= 160 AS fits
  FROM get_matview_status() s CROSS JOIN LATERAL json_each_text(to_json(s)) c
       CROSS JOIN LATERAL (SELECT rpad(c.key, 21) || '| ' || c.value AS line) l
 WHERE s.schema_name = 'policy';
-- resuming forgets what kept it from being refreshed, not what happened
BEGIN;
SELECT resume_matview_refresh('hourly');
SELECT consecutive_failures, crash_count, not_before, suspended, last_sqlstate FROM steward.matview_state WHERE matview = 'hourly'::regclass;
SELECT matview_name, policy FROM status WHERE matview_name = 'hourly';
ROLLBACK;
SELECT matview_name, policy FROM status WHERE matview_name = 'hourly';

-- Names follow, rows go with their view.
ALTER MATERIALIZED VIEW daily RENAME TO "Da""ily";
ALTER SCHEMA policy RENAME TO policy2;
SET search_path TO policy2, public;
CALL settle();
SELECT matview_name FROM policies;
BEGIN;
DROP MATERIALIZED VIEW "Da""ily";
ROLLBACK;
SELECT count(*) FROM steward.matview_policy;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT 1;
DROP TABLE base CASCADE;
COMMIT;
CALL settle();
SELECT matview_name FROM policies;
-- one that the hook did not see, and what is left of the others
INSERT INTO steward.matview_policy (matview_name, every, downstream, method, assume_deterministic, on_upstream_error, paused, created)
VALUES ('policy2.spare', '1 min', false, 'auto', false, 'wait', true, now());
UPDATE steward.matview_policy SET matview = 1;
CALL settle();
SELECT count(*) FROM steward.matview_policy;
SELECT count(*) FROM steward.matview_state;
-- a row of a dump, before its view is there and after
INSERT INTO steward.matview_policy (matview, matview_name, every, downstream, method, assume_deterministic, on_upstream_error, paused, created)
VALUES (1, 'policy2.later', '1 min', false, 'auto', false, 'wait', true, now()),
       ('spare'::regclass, 'policy2.later', '1 min', false, 'auto', false, 'wait', true, now()),
       (1, 'policy2.no_view', '1 min', false, 'auto', false, 'wait', true, now()),
       (1, 'policy2.spare', '2 min', false, 'auto', false, 'wait', true, now());
SELECT matview::regclass, matview_name, every FROM steward.matview_policy ORDER BY matview_name, matview;
CREATE MATERIALIZED VIEW later AS SELECT 1 AS a;
CALL settle();
SELECT matview::regclass, matview_name FROM steward.matview_policy ORDER BY matview_name, matview;
-- what is written by hand is checked, too
UPDATE steward.matview_policy SET every = NULL;
UPDATE steward.matview_policy SET every = NULL, cron = '* * * *', time_zone = 'UTC';
UPDATE steward.matview_policy SET every = NULL, cron = '* * * * *';
UPDATE steward.matview_policy SET method = 'magic';
UPDATE steward.matview_policy SET every = '-1 s';

-- unscheduled, and again
SELECT unschedule_matview_refresh('spare');
SELECT unschedule_matview_refresh('spare');
SELECT schedule_matview_refresh('spare', downstream => true, paused => true);
SELECT policy FROM get_matview_status() WHERE matview_name = 'spare';

-- objects of the same names, operators included, do not stand in
CREATE SCHEMA hostile AUTHORIZATION policy_owner;
SET ROLE policy_owner;
CREATE FUNCTION hostile.boom(a anyelement, b anyelement) RETURNS boolean LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'hostile operator ran as %', current_user; END $$;
CREATE OPERATOR hostile.= (FUNCTION = hostile.boom, LEFTARG = anyelement, RIGHTARG = anyelement);
CREATE FUNCTION hostile.format(text, text, text) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'hostile function ran as %', current_user; END $$;
CREATE VIEW hostile.pg_class AS SELECT 1 AS oid;
RESET ROLE;
SET search_path TO hostile, pg_catalog, policy2, public;
SELECT unschedule_matview_refresh('spare');
SELECT schedule_matview_refresh('spare', every => '1 min', paused => true);
SELECT alter_matview_refresh('spare', every => '2 min');
SELECT pause_matview_refresh() OPERATOR(pg_catalog.>) 0;
SELECT count(*) OPERATOR(pg_catalog.>) 0 FROM get_matview_status();
SELECT count(*) OPERATOR(pg_catalog.>=) 0 FROM get_matview_refresh_history();
DROP MATERIALIZED VIEW spare;
SET search_path TO policy2, public;
SELECT pause_matview_refresh() >= 0 AS works;
SELECT count(*) FROM steward.matview_policy WHERE matview_name = 'policy2.spare';

SET client_min_messages = warning;
DELETE FROM steward.matview_policy;
TRUNCATE steward.matview_state, steward.matview_refresh_history;
DROP SCHEMA policy2, hostile CASCADE;
DROP ROLE policy_owner, policy_other, policy_stats;
