-- Tables of many histories, for test/bench/bloat.  Each statement is a
-- transaction; :seed makes another bed of the same kind.
\set ON_ERROR_STOP on
SET max_parallel_workers_per_gather = 0;
SET client_min_messages = warning;
CREATE SCHEMA heap;
SET search_path = heap, public;
SELECT setseed(:seed) \g /dev/null
-- incompressible text of some length
CREATE FUNCTION noise(len integer) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT left(string_agg(md5(random()::text), ''), len) FROM generate_series(1, 1 + len / 32) $$;

CREATE FUNCTION g_share(id int) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$ SELECT CASE WHEN id < 20000 THEN .1 ELSE .5 END $$;

-- append, expire
CREATE TABLE log_clean AS
SELECT g AS id, now() - g * interval '1 second' AS at, (g % 7)::smallint AS level,
       repeat(chr(97 + g % 26), 10 + (random() * 60)::int) AS message
  FROM generate_series(1, 90000) g;
VACUUM ANALYZE log_clean;
CREATE TABLE log_expired AS TABLE log_clean;
VACUUM ANALYZE log_expired;
DELETE FROM log_expired WHERE id < 31000;
VACUUM ANALYZE log_expired;
CREATE TABLE log_expired_raw AS TABLE log_clean;
VACUUM ANALYZE log_expired_raw;
DELETE FROM log_expired_raw WHERE id BETWEEN 20000 AND 65000;
CREATE TABLE log_tail_cut AS TABLE log_clean;
DELETE FROM log_tail_cut WHERE id > 40000;
VACUUM ANALYZE log_tail_cut;
CREATE TABLE log_tail_dead AS TABLE log_clean;
ANALYZE log_tail_dead;
DELETE FROM log_tail_dead WHERE id > 50000;
CREATE TABLE log_tail_kept AS TABLE log_clean;
DELETE FROM log_tail_kept WHERE id > 35000;
VACUUM (TRUNCATE false, ANALYZE) log_tail_kept;

-- deletes here and there
CREATE TABLE account AS
SELECT g AS id, md5(g::text) AS email, (random() * 1e6)::numeric(12, 2) AS balance, random() < .5 AS active
  FROM generate_series(1, 100000) g;
CREATE TABLE account_random AS TABLE account;
DELETE FROM account_random WHERE random() < .22;
VACUUM ANALYZE account_random;
CREATE TABLE account_random_raw AS TABLE account;
VACUUM ANALYZE account_random_raw;
DELETE FROM account_random_raw WHERE random() < .45;
CREATE TABLE account_half_known AS TABLE account;
DELETE FROM account_half_known WHERE random() < .2;
VACUUM ANALYZE account_half_known;
DELETE FROM account_half_known WHERE id % 5 = 0;
CREATE TABLE account_few AS TABLE account;
VACUUM (FREEZE, ANALYZE) account_few;
DELETE FROM account_few WHERE random() < .01;
VACUUM ANALYZE account;

-- updates
CREATE TABLE session_hot (id int PRIMARY KEY, hits int, agent text) WITH (fillfactor = 80);
INSERT INTO session_hot SELECT g, 0, repeat('m', (random() * 80)::int) FROM generate_series(1, 60000) g;
VACUUM ANALYZE session_hot;
UPDATE session_hot SET hits = hits + 1 WHERE random() < .3;
UPDATE session_hot SET hits = hits + 1 WHERE random() < .3;
CREATE TABLE session_cold (id int PRIMARY KEY, hits int, agent text);
CREATE INDEX ON session_cold (hits);
INSERT INTO session_cold SELECT g, 0, repeat('m', (random() * 80)::int) FROM generate_series(1, 50000) g;
ANALYZE session_cold;
UPDATE session_cold SET hits = hits + 1;
CREATE TABLE session_churn (id int PRIMARY KEY, hits int, agent text);
INSERT INTO session_churn SELECT g, 0, repeat('m', (random() * 80)::int) FROM generate_series(1, 50000) g;
UPDATE session_churn SET hits = 1, agent = agent || 'xyz' WHERE random() < .2;
VACUUM session_churn;
UPDATE session_churn SET hits = 2, agent = left(agent, 5) WHERE random() < .3;
VACUUM ANALYZE session_churn;
UPDATE session_churn SET hits = 3, agent = agent || repeat('w', 100) WHERE random() < .1;
UPDATE session_churn SET hits = 4 WHERE random() < .05;
CREATE TABLE one_row AS SELECT 1 AS id, 0::bigint AS n;
DO $$ BEGIN FOR i IN 1..40000 LOOP UPDATE one_row SET n = n + 1; END LOOP; END $$;
CREATE TABLE update_undone AS TABLE account;
VACUUM ANALYZE update_undone;
BEGIN; UPDATE update_undone SET balance = 0; ROLLBACK;
CREATE TABLE rows_locked AS TABLE account;
VACUUM ANALYZE rows_locked;
BEGIN; SELECT count(*) FROM (SELECT 1 FROM rows_locked FOR UPDATE) x \g /dev/null
COMMIT;
CREATE TABLE hot_spot (id int PRIMARY KEY, n int, pad text);
INSERT INTO hot_spot SELECT g, 0, repeat('p', 60) FROM generate_series(1, 80000) g;
VACUUM ANALYZE hot_spot;
DO $$ BEGIN FOR i IN 1..12 LOOP UPDATE hot_spot SET n = n + 1 WHERE id BETWEEN 30000 AND 33000; END LOOP; END $$;

-- loads that failed
CREATE TABLE load_aborted AS SELECT * FROM account WHERE id <= 40000;
ANALYZE load_aborted;
BEGIN; INSERT INTO load_aborted SELECT * FROM account; ROLLBACK;
CREATE TABLE load_retried (LIKE account);
BEGIN; INSERT INTO load_retried SELECT * FROM account; ROLLBACK;
INSERT INTO load_retried SELECT * FROM account WHERE id <= 50000;
VACUUM ANALYZE load_retried;
CREATE TABLE load_no_statistics (LIKE account);
BEGIN; INSERT INTO load_no_statistics SELECT * FROM account WHERE id % 3 = 0; ROLLBACK;
INSERT INTO load_no_statistics SELECT * FROM account;
BEGIN; INSERT INTO load_no_statistics SELECT * FROM account WHERE id % 3 = 1; ROLLBACK;

-- widths
CREATE TABLE wide (id int, a text, b text);
ALTER TABLE wide ALTER a SET STORAGE PLAIN, ALTER b SET STORAGE PLAIN;
INSERT INTO wide SELECT g, repeat('a', 1200), repeat('b', 1400) FROM generate_series(1, 4000) g;
VACUUM ANALYZE wide;
CREATE TABLE wide_deleted (LIKE wide INCLUDING STORAGE);
INSERT INTO wide_deleted SELECT g, repeat('a', 300 + (random() * 900)::int), repeat('b', 700) FROM generate_series(1, 8000) g;
DELETE FROM wide_deleted WHERE random() < .3;
VACUUM ANALYZE wide_deleted;
CREATE TABLE skew AS
SELECT g AS id, repeat('s', CASE WHEN random() < .05 THEN 1700 ELSE 15 END) AS v FROM generate_series(1, 60000) g;
VACUUM ANALYZE skew;
CREATE TABLE skew_big_deleted AS TABLE skew;
DELETE FROM skew_big_deleted WHERE length(v) > 1000 AND random() < .6;
VACUUM ANALYZE skew_big_deleted;
CREATE TABLE skew_small_deleted AS TABLE skew;
ANALYZE skew_small_deleted;
DELETE FROM skew_small_deleted WHERE length(v) < 1000 AND random() < .7;
CREATE TABLE narrow AS SELECT (g % 30000)::smallint AS n FROM generate_series(1, 200000) g;
VACUUM ANALYZE narrow;
CREATE TABLE narrow_deleted AS SELECT g % 2 = 0 AS flag FROM generate_series(1, 200000) g;
DELETE FROM narrow_deleted WHERE random() < .7;
VACUUM ANALYZE narrow_deleted;
CREATE TABLE padded AS
SELECT true AS a, g::bigint AS b, 'x'::"char" AS c, g::float8 AS d, 1::smallint AS e, now() AS f
  FROM generate_series(1, 60000) g;
VACUUM ANALYZE padded;
CREATE TABLE mostly_null AS
SELECT g AS id, CASE WHEN g % 9 = 0 THEN g END AS c1, CASE WHEN g % 7 = 0 THEN g::text END AS c2,
       NULL::int AS c3, NULL::text AS c4, NULL::timestamptz AS c5, NULL::numeric AS c6, NULL::int AS c7, NULL::int AS c8,
       CASE WHEN g % 50 = 0 THEN repeat('n', 400) END AS c9
  FROM generate_series(1, 90000) g;
DELETE FROM mostly_null WHERE random() < .15;
VACUUM ANALYZE mostly_null;
CREATE TABLE set_null AS
SELECT g AS id, g AS a, g AS b, g AS c, g AS d, g AS e, g AS f, md5(g::text) AS h FROM generate_series(1, 40000) g;
VACUUM ANALYZE set_null;
UPDATE set_null SET a = NULL, b = NULL, d = NULL, h = NULL WHERE random() < .8;
VACUUM set_null;
CREATE TABLE short_long AS
SELECT g AS id, repeat('v', 120 + g % 12) AS v, repeat('c', 3)::char(20) AS c FROM generate_series(1, 40000) g;
DELETE FROM short_long WHERE id % 13 < 4;
VACUUM ANALYZE short_long;

CREATE TABLE one_a_page (id int, v text);
ALTER TABLE one_a_page ALTER v SET STORAGE PLAIN;
INSERT INTO one_a_page SELECT g, repeat('1', 4200 + g % 3000) FROM generate_series(1, 1200) g;
DELETE FROM one_a_page WHERE id % 3 = 0;
CREATE TABLE four_a_page (id int, v text);
ALTER TABLE four_a_page ALTER v SET STORAGE PLAIN;
INSERT INTO four_a_page SELECT g, repeat('4', 1600 + (random() * 800)::int) FROM generate_series(1, 5000) g;
DELETE FROM four_a_page WHERE random() < .35;
VACUUM ANALYZE four_a_page;
CREATE TABLE drift AS SELECT g AS id, repeat('d', 10 + g / 100) AS v FROM generate_series(1, 40000) g;
DELETE FROM drift WHERE random() < g_share(id);
VACUUM ANALYZE drift;
CREATE TABLE many_columns AS SELECT g AS id FROM generate_series(1, 15000) g;
DO $$ BEGIN FOR i IN 1..90 LOOP EXECUTE format('ALTER TABLE many_columns ADD c%s int', i); END LOOP; END $$;
UPDATE many_columns SET c7 = id, c70 = id, c90 = id WHERE random() < .6;
VACUUM ANALYZE many_columns;
UPDATE many_columns SET c33 = 1 WHERE id % 5 = 0;
CREATE TABLE savepoints AS TABLE account;
DO $$ BEGIN FOR i IN 1..20 LOOP
    BEGIN
        INSERT INTO savepoints SELECT * FROM account WHERE id % 40 = i;
        IF i % 2 = 0 THEN RAISE EXCEPTION 'undo'; END IF;
    EXCEPTION WHEN raise_exception THEN NULL; END;
END LOOP; END $$;
CREATE TABLE new_pages AS TABLE account;

-- changes of the table itself
CREATE TABLE column_dropped AS SELECT g AS id, repeat('d', 250) AS gone, md5(g::text) AS kept FROM generate_series(1, 30000) g;
ALTER TABLE column_dropped DROP gone;
VACUUM ANALYZE column_dropped;
CREATE TABLE columns_dropped AS
SELECT g AS id, g AS a, g::bigint AS b, repeat('x', g % 100) AS c, g::numeric AS d, md5(g::text) AS e FROM generate_series(1, 50000) g;
ALTER TABLE columns_dropped DROP b, DROP c;
UPDATE columns_dropped SET a = a + 1 WHERE random() < .4;
DELETE FROM columns_dropped WHERE random() < .2;
CREATE TABLE column_added AS SELECT g AS id, md5(g::text) AS v FROM generate_series(1, 60000) g;
ALTER TABLE column_added ADD t timestamptz DEFAULT now(), ADD n numeric DEFAULT 12345.678, ADD s text DEFAULT repeat('s', 40);
VACUUM ANALYZE column_added;
CREATE TABLE column_added_deleted AS SELECT g AS id, repeat('w', 100) AS v FROM generate_series(1, 50000) g;
ALTER TABLE column_added_deleted ADD x int, ADD y text DEFAULT 'some default';
DELETE FROM column_added_deleted WHERE random() < .5;
ALTER TABLE column_added_deleted DROP x;
VACUUM ANALYZE column_added_deleted;

-- fillfactor
CREATE TABLE fill_50 WITH (fillfactor = 50) AS TABLE account;
VACUUM ANALYZE fill_50;
CREATE TABLE fill_70 WITH (fillfactor = 70) AS TABLE log_clean;
VACUUM ANALYZE fill_70;
CREATE TABLE fill_85_deleted WITH (fillfactor = 85) AS TABLE log_clean;
DELETE FROM fill_85_deleted WHERE random() < .25;
VACUUM ANALYZE fill_85_deleted;
CREATE TABLE fill_30_wide (id int, v text) WITH (fillfactor = 30);
INSERT INTO fill_30_wide SELECT g, repeat('f', 900) FROM generate_series(1, 5000) g;
VACUUM ANALYZE fill_30_wide;
CREATE TABLE fill_later AS TABLE account;
ALTER TABLE fill_later SET (fillfactor = 75);
DELETE FROM fill_later WHERE random() < .4;
VACUUM ANALYZE fill_later;

-- other kinds
CREATE UNLOGGED TABLE queue_unlogged AS TABLE log_clean;
DELETE FROM queue_unlogged WHERE id < 70000;
INSERT INTO queue_unlogged SELECT * FROM log_clean WHERE id < 20000;
CREATE UNLOGGED TABLE clean_unlogged AS TABLE log_clean;
CREATE TABLE queue_steady AS SELECT * FROM log_clean WHERE id <= 30000;
DO $$ BEGIN FOR i IN 1..4 LOOP
    DELETE FROM queue_steady WHERE random() < .5;
    INSERT INTO queue_steady SELECT * FROM log_clean WHERE random() < .16;
END LOOP; END $$;
VACUUM ANALYZE queue_steady;
DELETE FROM queue_steady WHERE random() < .5;
INSERT INTO queue_steady SELECT * FROM log_clean WHERE random() < .1;
CREATE MATERIALIZED VIEW matview_clean AS SELECT id, email, balance * 2 AS twice FROM account;
ANALYZE matview_clean;
CREATE TABLE matview_source AS SELECT id, email, 1 AS n FROM account WHERE id <= 50000;
CREATE MATERIALIZED VIEW matview_refreshed AS TABLE matview_source;
CREATE UNIQUE INDEX ON matview_refreshed (id);
UPDATE matview_source SET n = 2 WHERE id % 2 = 0;
REFRESH MATERIALIZED VIEW CONCURRENTLY matview_refreshed;
UPDATE matview_source SET n = 3 WHERE id % 3 = 0;
REFRESH MATERIALIZED VIEW CONCURRENTLY matview_refreshed;
CREATE TABLE part (id int, at int, doc text) PARTITION BY RANGE (at);
CREATE TABLE part_clean PARTITION OF part FOR VALUES FROM (0) TO (100);
CREATE TABLE part_half PARTITION OF part FOR VALUES FROM (100) TO (200);
CREATE TABLE part_raw PARTITION OF part FOR VALUES FROM (200) TO (300);
CREATE TABLE part_empty PARTITION OF part FOR VALUES FROM (300) TO (400);
CREATE TABLE part_sub PARTITION OF part FOR VALUES FROM (400) TO (500) PARTITION BY LIST (id);
CREATE TABLE part_sub_rest PARTITION OF part_sub DEFAULT;
INSERT INTO part SELECT g, CASE WHEN g % 5 = 3 THEN 10 ELSE g % 5 * 100 END, repeat('p', 40) FROM generate_series(1, 120000) g;
DELETE FROM part_half WHERE random() < .5;
VACUUM part_half;
DELETE FROM part_raw WHERE id < 40000;
DELETE FROM part_sub_rest WHERE random() < .8;
VACUUM part_sub_rest;
ANALYZE part;

-- small ones
CREATE TABLE tiny_page AS SELECT g FROM generate_series(1, 20) g;
CREATE TABLE tiny_deleted AS SELECT g, repeat('t', 50) AS v FROM generate_series(1, 700) g;
DELETE FROM tiny_deleted WHERE g % 4 > 0;
VACUUM ANALYZE tiny_deleted;
CREATE TABLE small_deleted AS SELECT g, repeat('t', 50) AS v FROM generate_series(1, 7000) g;
DELETE FROM small_deleted WHERE random() < .6;
CREATE TABLE small_200 AS SELECT g, repeat('t', 60) AS v FROM generate_series(1, 16000) g;
DELETE FROM small_200 WHERE random() < .33;
VACUUM ANALYZE small_200;
CREATE TABLE never_filled (id int);
CREATE TABLE emptied AS TABLE account;
VACUUM ANALYZE emptied;
DELETE FROM emptied;
CREATE TABLE emptied_vacuumed AS TABLE account;
DELETE FROM emptied_vacuumed;
VACUUM emptied_vacuumed;
CREATE TABLE emptied_kept AS TABLE account;
DELETE FROM emptied_kept;
VACUUM (TRUNCATE false) emptied_kept;

-- bloat in some pages only
CREATE TABLE alternating AS TABLE account;
DELETE FROM alternating WHERE (ctid::text::point)[0]::int % 2 = 1 AND random() < .9;
VACUUM ANALYZE alternating;
CREATE TABLE alternating_raw AS TABLE account;
ANALYZE alternating_raw;
DELETE FROM alternating_raw WHERE (ctid::text::point)[0]::int % 3 = 1;
CREATE TABLE islands AS TABLE account;
VACUUM ANALYZE islands;
DELETE FROM islands WHERE (ctid::text::point)[0]::int % 200 < 37;
CREATE TABLE front_loaded AS TABLE log_clean;
DELETE FROM front_loaded WHERE id < 30000 AND random() < .85;
VACUUM front_loaded;
INSERT INTO front_loaded SELECT * FROM log_clean WHERE id < 4000;
ANALYZE front_loaded;
CREATE TABLE stubs (id int PRIMARY KEY, v text);
INSERT INTO stubs SELECT g, repeat('x', 30) FROM generate_series(1, 120000) g;
VACUUM ANALYZE stubs;
DELETE FROM stubs WHERE id % 12 > 0;
CREATE TABLE stubs_partly (id int PRIMARY KEY, v text);
INSERT INTO stubs_partly SELECT g, repeat('x', 100) FROM generate_series(1, 60000) g;
ANALYZE stubs_partly;
DELETE FROM stubs_partly WHERE random() < .6;
SELECT count(*) FROM stubs \g /dev/null
SELECT count(*) FROM stubs_partly WHERE id < 25000 \g /dev/null
CREATE TABLE big AS
SELECT g AS id, md5(g::text) AS a, repeat(chr(65 + g % 20), g % 90) AS b, now() AS c FROM generate_series(1, 450000) g;
DELETE FROM big WHERE random() < .12;
VACUUM ANALYZE big;
CREATE TABLE big_skewed AS
SELECT g AS id, repeat('z', (900 * random() ^ 8)::int) AS v FROM generate_series(1, 400000) g;
ANALYZE big_skewed;
DELETE FROM big_skewed WHERE id % 100000 < 15000 OR random() < .05;

-- TOAST
CREATE TABLE doc_clean (id int, doc text);
ALTER TABLE doc_clean ALTER doc SET STORAGE EXTERNAL;
INSERT INTO doc_clean SELECT g, noise(2200 + (random() * 6000)::int) FROM generate_series(1, 2500) g;
VACUUM ANALYZE doc_clean;
CREATE TABLE doc_random (LIKE doc_clean INCLUDING STORAGE);
INSERT INTO doc_random TABLE doc_clean;
VACUUM ANALYZE doc_random;
DELETE FROM doc_random WHERE random() < .4;
CREATE TABLE doc_expired (LIKE doc_clean INCLUDING STORAGE);
INSERT INTO doc_expired TABLE doc_clean;
DELETE FROM doc_expired WHERE id BETWEEN 500 AND 1600;
VACUUM ANALYZE doc_expired;
CREATE TABLE doc_updated (LIKE doc_clean INCLUDING STORAGE);
INSERT INTO doc_updated TABLE doc_clean;
UPDATE doc_updated SET doc = doc || left(doc, 50) WHERE random() < .35;
VACUUM doc_updated;
UPDATE doc_updated SET doc = left(doc, 2500) WHERE random() < .2;
CREATE TABLE doc_pointer (LIKE doc_clean INCLUDING STORAGE);
INSERT INTO doc_pointer TABLE doc_clean;
UPDATE doc_pointer SET id = id + 1;
UPDATE doc_pointer SET id = id + 1;
VACUUM ANALYZE doc_pointer;
CREATE TABLE doc_aborted (LIKE doc_clean INCLUDING STORAGE);
INSERT INTO doc_aborted SELECT * FROM doc_clean WHERE id % 2 = 0;
BEGIN; INSERT INTO doc_aborted SELECT * FROM doc_clean WHERE id % 3 = 0; ROLLBACK;
CREATE TABLE json_inline AS
SELECT g AS id, jsonb_build_object('id', g, 'tags', ARRAY[g % 5, g % 7], 'name', md5(g::text)) AS doc FROM generate_series(1, 50000) g;
DELETE FROM json_inline WHERE random() < .25;
VACUUM ANALYZE json_inline;
CREATE TABLE json_toast AS
SELECT g AS id, (SELECT jsonb_object_agg('key' || i, md5((g * i)::text)) FROM generate_series(1, 60 + g % 80) i) AS doc
  FROM generate_series(1, 2500) g;
UPDATE json_toast SET doc = doc || '{"extra": true}' WHERE random() < .3;
VACUUM ANALYZE json_toast;
CREATE TABLE text_compressed AS
SELECT g AS id, repeat(md5(g::text) || repeat('lorem ipsum ', 4), 100 + g % 300) AS doc FROM generate_series(1, 6000) g;
DELETE FROM text_compressed WHERE id % 3 = 0;
CREATE TABLE toast_skew (id int, doc text);
ALTER TABLE toast_skew ALTER doc SET STORAGE EXTERNAL;
INSERT INTO toast_skew SELECT g, noise((2100 + 50000 * random() ^ 10)::int) FROM generate_series(1, 3000) g;
DELETE FROM toast_skew WHERE random() < .2;
VACUUM ANALYZE toast_skew;
CREATE TABLE toast_early (id int, a text, b text) WITH (toast_tuple_target = 256);
INSERT INTO toast_early SELECT g, noise(200 + g % 300), noise(300) FROM generate_series(1, 9000) g;
DELETE FROM toast_early WHERE random() < .3;
VACUUM ANALYZE toast_early;
CREATE TABLE toast_extended (id int, doc text);
INSERT INTO toast_extended SELECT g, repeat(noise(400), 5 + g % 20) || noise(2500) FROM generate_series(1, 3000) g;
UPDATE toast_extended SET doc = doc || noise(100) WHERE id % 4 = 0;
DELETE FROM toast_extended WHERE id % 10 = 0;
CREATE TABLE toast_main (id int, doc text, other text);
ALTER TABLE toast_main ALTER doc SET STORAGE MAIN, ALTER other SET STORAGE MAIN;
INSERT INTO toast_main SELECT g, noise(500 + g % 1400), noise((8000 * random() ^ 6)::int) FROM generate_series(1, 3000) g;
UPDATE toast_main SET doc = left(doc, 700) WHERE random() < .5;
VACUUM toast_main;
CREATE TABLE toast_dropped AS SELECT id, doc, md5(id::text) AS kept FROM doc_clean;
ALTER TABLE toast_dropped DROP doc;
VACUUM ANALYZE toast_dropped;
CREATE TABLE toast_part_dropped (id int, a text, b text);
ALTER TABLE toast_part_dropped ALTER a SET STORAGE EXTERNAL, ALTER b SET STORAGE EXTERNAL;
INSERT INTO toast_part_dropped SELECT id, doc, CASE WHEN id % 3 > 0 THEN reverse(doc) END FROM doc_clean WHERE id < 1500;
ALTER TABLE toast_part_dropped DROP b;
DELETE FROM toast_part_dropped WHERE random() < .3;
VACUUM ANALYZE toast_part_dropped;

-- a transaction that stays open, also over a restart, holds what is deleted
-- after it began
CREATE TABLE held AS TABLE account;
CREATE TABLE held_partly AS TABLE account;
CREATE TABLE held_toast (LIKE doc_clean INCLUDING STORAGE);
INSERT INTO held_toast SELECT * FROM doc_clean WHERE id < 1200;
VACUUM ANALYZE held, held_partly, held_toast;
DELETE FROM held_partly WHERE random() < .3;
