-- Schedules in cron syntax: what is one, and the times it names.
\set VERBOSITY terse
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
SET intervalstyle = 'postgres';
CREATE SCHEMA cron;
SET search_path TO cron, public;

-- fields, names, ranges, lists, steps
CREATE FUNCTION next(cron text, after timestamptz, n int DEFAULT 1, zone text DEFAULT 'UTC')
RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE t timestamptz := after;
BEGIN
    FOR i IN 1 .. n LOOP t := steward.cron_next(cron, zone, t); END LOOP;
    RETURN t;
END $$;
SELECT c.cron, next(c.cron, '2026-01-01 00:00') AS first, next(c.cron, '2026-01-01 00:00', 3) AS third
  FROM (VALUES ('* * * * *'), ('*/15 * * * *'), ('7 * * * *'), ('0 3 * * *'), ('0,30 8-9 * * *'), ('50-59/4 23 * * *'),
               ('0 0 1 * *'), ('0 0 * * sun'), ('0 0 * * 0'), ('0 0 * * 7'), ('0 0 * * fri-7'), ('0 12 * * Mon-FRI'),
               ('0 0 1 jan,JUL *'), ('0 0 31 * *'), ('0 0 29 feb *'), ('0 0 30 1-2 *'), (E'  5\t4  *  *\n* '),
               ('@hourly'), ('@daily'), ('@midnight'), ('@weekly'), ('@monthly'), ('@yearly'), ('@annually'), ('@HOURLY'))
       AS c(cron);

-- two restricted days: either; one that begins with a star: both
SELECT c.cron, array_agg(to_char(next(c.cron, '2026-01-31 12:00', i), 'Dy DD Mon')) AS days
  FROM (VALUES ('0 0 13 * fri'), ('0 0 13 * *'), ('0 0 * * fri'), ('0 0 */2 * fri'), ('0 0 13 * */2'), ('0 0 1-31 * fri')) AS c(cron),
       generate_series(1, 5) i
 GROUP BY c.cron ORDER BY c.cron COLLATE "C";

-- 29 February, also where a century leaves it out, and on a weekday
SELECT next('0 0 29 2 *', '2026-03-01'), next('0 0 29 2 *', '2096-03-01'), next('0 0 29 2 */7', '2026-01-01'),
       next('0 0 29 2 */7', '2080-01-01');

-- strictly after, whatever the seconds are
SELECT next('0 3 * * *', '2026-05-01 03:00:00'), next('0 3 * * *', '2026-05-01 02:59:59.999999'), next('* * * * *', '2026-05-01 02:59:30');
-- before 2000 and far ahead
SELECT next('0 3 * * *', '1969-12-31 12:00:30'), next('0 3 1 1 *', '9999-05-01'), next('* * * * *', '294276-12-31 23:59:30');
SELECT steward.cron_next('* * * * *', 'UTC', 'infinity'), steward.cron_next(NULL, 'UTC', now());

-- each is an error that names what is wrong
CREATE FUNCTION fails(cron text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE message text; detail text; state text;
BEGIN
    PERFORM steward.cron_next(cron, 'UTC', '2026-01-01');
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, state = RETURNED_SQLSTATE;
    RETURN concat_ws(' | ', state, message, nullif(detail, ''));
END $$;
SELECT c.cron, fails(c.cron)
  FROM (VALUES (''), ('* * * *'), ('* * * * * *'), ('60 * * * *'), ('* 24 * * *'), ('* * 0 * *'), ('* * 32 * *'), ('* * * 0 *'),
               ('* * * 13 *'), ('* * * * 8'), ('-1 * * * *'), ('1- * * * *'), ('5-1 * * * *'), ('*/0 * * * *'), ('5/15 * * * *'),
               ('*/ * * * *'), ('1,,2 * * * *'), ('1, * * * *'), (', * * * *'), ('1x * * * *'), ('*x * * * *'), ('* * * foo *'), ('* * * january *'),
               ('* * * * fr'), ('* * L * *'), ('* * ? * *'), ('* * * * 1#2'), ('99999999999 * * * *'), ('1.5 * * * *'), ('* * * * sat-sun'),
               ('0 0 31 2 *'), ('0 0 31 4,6,9,11 *'), ('0 0 30,31 feb */2'), ('@reboot'), ('@'), ('@daily 5'), ('mon * * * *'), ('ä * * * *'))
       AS c(cron);
-- but this comes: on Mondays in February
SELECT fails('0 0 31 2 mon');
SELECT steward.cron_next('* * * * *', 'Nowhere/Land', now());
SELECT steward.cron_next('* * * * *', repeat('x', 100), now());

-- the same as trying each minute
CREATE TABLE spec (cron text, minutes int[], hours int[], days int[], months int[], weekdays int[], both_days boolean);
INSERT INTO spec VALUES
    ('*/7 * * * *', '{0,7,14,21,28,35,42,49,56}', NULL, NULL, NULL, NULL, true),
    ('1-5,30 2-4,22 * * *', '{1,2,3,4,5,30}', '{2,3,4,22}', NULL, NULL, NULL, true),
    ('59 23 28-31 * *', '{59}', '{23}', '{28,29,30,31}', NULL, NULL, true),
    ('0 0 13 * 5', '{0}', '{0}', '{13}', NULL, '{5}', false),
    ('10 */6 */9 * 1,3', '{10}', '{0,6,12,18}', '{1,10,19,28}', NULL, '{1,3}', true),
    ('0 5 1 3,12 *', '{0}', '{5}', '{1}', '{3,12}', NULL, true);
SELECT s.cron, count(*) AS starts, count(t.first) AS within_40_days,
       count(*) FILTER (WHERE t.first IS DISTINCT FROM CASE WHEN t.next <= a + interval '40 days' THEN t.next END) AS wrong
  FROM spec s
       CROSS JOIN (VALUES ('2026-02-20 13:37:11+00'::timestamptz), ('2027-12-31 23:59:00+00'), ('2028-02-28 04:00:00+00'), ('2026-03-13 00:00:00+00')) v(a)
       CROSS JOIN LATERAL (
           SELECT steward.cron_next(s.cron, 'UTC', a) AS next, min(m) AS first
             FROM generate_series(date_trunc('minute', a) + interval '1 min', a + interval '40 days', '1 min') m
            WHERE (s.minutes IS NULL OR extract(minute FROM m) = ANY (s.minutes))
              AND (s.hours IS NULL OR extract(hour FROM m) = ANY (s.hours))
              AND (s.months IS NULL OR extract(month FROM m) = ANY (s.months))
              AND CASE WHEN s.both_days THEN (s.days IS NULL OR extract(day FROM m) = ANY (s.days))
                                    AND (s.weekdays IS NULL OR extract(dow FROM m) = ANY (s.weekdays))
                       ELSE extract(day FROM m) = ANY (s.days) OR extract(dow FROM m) = ANY (s.weekdays) END) t
 GROUP BY s.cron ORDER BY s.cron COLLATE "C";

-- The clock is put forward: Berlin, 29 March 2026, 01:00 UTC, from 2 to 3.
-- What the missing hour names comes once, at its end, and no later.
SET timezone = 'Europe/Berlin';
SELECT c.cron, array_agg(next(c.cron, '2026-03-28 23:50', i, 'Europe/Berlin')) AS times
  FROM (VALUES ('30 2 * * *'), ('*/20 2 * * *'), ('0 3 * * *'), ('30 1,2,3 * * *'), ('30 * * * *'), ('0 2 29 3 *')) AS c(cron), generate_series(1, 4) i
 GROUP BY c.cron ORDER BY c.cron COLLATE "C";
-- The clock is put back: 25 October 2026, 01:00 UTC, from 3 to 2.  What the
-- repeated hour names comes once, unless the schedule is for all hours.
SELECT c.cron, array_agg(next(c.cron, '2026-10-24 23:50', i, 'Europe/Berlin')) AS times
  FROM (VALUES ('30 2 * * *'), ('*/20 2 * * *'), ('0 3 * * *'), ('30 1,2,3 * * *'), ('30 * * * *'), ('*/30 * * * *')) AS c(cron), generate_series(1, 4) i
 GROUP BY c.cron ORDER BY c.cron COLLATE "C";
-- asked in the middle of the repeated hour, and before and at its ends
SELECT a, next('*/20 2 * * *', a, 1, 'Europe/Berlin') AS fixed_hour, next('*/20 * * * *', a, 1, 'Europe/Berlin') AS all_hours
  FROM (VALUES ('2026-10-25 02:25+02'::timestamptz), ('2026-10-25 02:45+02'), ('2026-10-25 02:00+01'), ('2026-10-25 02:25+01'), ('2026-10-25 03:00+01')) v(a);
SELECT a, next('30 2 * * *', a, 1, 'Europe/Berlin')
  FROM (VALUES ('2026-03-29 01:59:59+01'::timestamptz), ('2026-03-29 03:00+02'), ('2026-03-29 03:01+02')) v(a);
-- half an hour, a whole day, and a zone given by its offset
SELECT next('15 2 * * *', '2026-10-03 12:00+00', 1, 'Australia/Lord_Howe') AT TIME ZONE 'Australia/Lord_Howe' AS lord_howe,
       next('0 12 30 12 *', '2011-12-29 12:00+00', 1, 'Pacific/Apia') AT TIME ZONE 'Pacific/Apia' AS samoa,
       next('0 12 * * *', '2026-01-01 00:00+00', 1, '<+0530>-05:30') AT TIME ZONE 'UTC' AS offset_only;
-- over years and zones: each day once, never early
SELECT zone, count(*) AS runs, bool_and(t > lag) AS in_order, max(t - lag) AS longest, min(t - lag) AS shortest
  FROM (SELECT zone, t, lag(t) OVER (PARTITION BY zone ORDER BY i)
          FROM (VALUES ('Europe/Berlin'), ('America/New_York'), ('Australia/Lord_Howe'), ('Asia/Kolkata')) z(zone)
               CROSS JOIN LATERAL (
                   WITH RECURSIVE r(i, t) AS (
                       SELECT 0, '2026-01-01 00:00+00'::timestamptz
                       UNION ALL SELECT i + 1, steward.cron_next('30 2 * * *', zone, t) FROM r WHERE i < 730)
                   SELECT * FROM r WHERE i > 0) x) s
 WHERE lag IS NOT NULL GROUP BY zone ORDER BY zone;

RESET timezone;
SET client_min_messages = warning;
DROP SCHEMA cron CASCADE;
