-- Differential refresh: whatever the view is, it equals its query afterwards,
-- and no more is written than differs.
CREATE SCHEMA refresh;
SET search_path TO refresh, public;
\set VERBOSITY terse

-- rows by which a view and its query differ, both ways
CREATE FUNCTION differs(matview regclass) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM ((SELECT row_::text FROM %1$s row_ EXCEPT ALL SELECT row_::text FROM (%2$s) row_)
                    UNION ALL (SELECT row_::text FROM (%2$s) row_ EXCEPT ALL SELECT row_::text FROM %1$s row_)) d',
                   matview, rtrim(pg_get_viewdef(matview), ';')) INTO n;
    RETURN n;
END $$;
CREATE FUNCTION diff(matview regclass) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s: +%s -%s ~%s =%s', r.method_used, r.rows_inserted, r.rows_deleted, r.rows_updated, r.rows_unchanged)
      FROM refresh_matview_now($1, 'diff') r $$;

-- duplicates, nulls, rows of nothing but nulls
CREATE TABLE base (id int, doc text);
INSERT INTO base VALUES (1, 'a'), (1, 'a'), (1, 'a'), (2, NULL), (2, NULL), (NULL, 'c'), (NULL, NULL), (NULL, NULL);
CREATE MATERIALIZED VIEW plain_rows AS SELECT * FROM base;
SELECT diff('plain_rows'), differs('plain_rows');
DELETE FROM base WHERE ctid IN ('(0,1)', '(0,5)', '(0,8)');
INSERT INTO base VALUES (NULL, 'c'), (3, ''), (2, 'NULL');
SELECT diff('plain_rows'), differs('plain_rows');
SELECT diff('plain_rows');
UPDATE base SET doc = CASE WHEN doc IS NULL THEN '' END;
SELECT diff('plain_rows'), differs('plain_rows');
DELETE FROM base;
SELECT diff('plain_rows'), differs('plain_rows');
SELECT diff('plain_rows');
INSERT INTO base SELECT g % 3 FROM generate_series(1, 30) g;
SELECT diff('plain_rows'), differs('plain_rows');
SELECT method_used, rows_inserted, rows_deleted, rows_updated, rows_unchanged,
       duration_ms > 0 AS took_time, wal_bytes < 1000 AS wrote_nothing, note
  FROM refresh_matview_now('plain_rows');

-- no column at all
CREATE MATERIALIZED VIEW no_columns AS SELECT FROM base;
DELETE FROM base WHERE id = 1;
SELECT diff('no_columns');
SELECT diff('no_columns');
SELECT count(*) FROM no_columns;

-- more columns than fit in one bitmap of nulls
SELECT format('CREATE MATERIALIZED VIEW wide AS SELECT %s FROM base', string_agg(format('CASE WHEN id = %s THEN 1 END AS c%s', g % 4, g), ', '))
  AS command FROM generate_series(1, 150) g \gset
\set ECHO none
:command;
\set ECHO all
UPDATE base SET id = 3 WHERE ctid = (SELECT min(ctid) FROM base WHERE id = 0);
SELECT diff('wide'), differs('wide');
SELECT diff('wide');

-- types: without equality, of any length, stored in any way
CREATE TYPE pair AS (a int, b text);
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE typed (
    id int PRIMARY KEY, c1 point, c2 json, c3 jsonb, c4 pair, c5 pair[], c6 numeric, c7 float8, c8 "char", c9 bool,
    c10 name, c11 interval, c12 timetz, c13 inet, c14 bit varying, c15 int2, c16 mood, c17 positive, c18 int4range,
    c19 int4multirange, c20 tsvector, c21 bytea, c22 polygon, c23 uuid, c24 char(10), c25 oidvector, c26 macaddr, c27 text[][],
    c28 float4, c29 date, c30 money, c31 int);
ALTER TABLE typed DROP COLUMN c31;
INSERT INTO typed
SELECT g, point(g, 0), json_build_object('k', g), jsonb_build_object('k', repeat('x', g * 40)), (g, repeat('y', g * 50))::pair,
       ARRAY[(g, 'é')::pair, NULL, (NULL, NULL)::pair], g::numeric / 3, g / 7.0, 'c', g % 2 = 0,
       'n' || g, make_interval(days => g), '12:00+02', '10.0.0.1', B'101', g, 'ok', g, int4range(g, g + 1),
       '{[1,2),[5,7)}', to_tsvector('simple', 'a b ' || g), decode(repeat('ab', g * 30), 'hex'), '((0,0),(1,1),(2,0))',
       md5(g::text)::uuid, 'p', '1 2', '08:00:2b:01:02:03', ARRAY[ARRAY['a', NULL], ARRAY['c', g::text]], g / 3.0, '2020-01-01', 1
  FROM generate_series(1, 300) g;
INSERT INTO typed (id) VALUES (1000);
CREATE MATERIALIZED VIEW types AS
    SELECT t.*, t AS whole, ARRAY[t.c5[1]] AS built, t.c4::text AS shown, array_cat(t.c27, t.c27) AS grown, array_agg(t.c6) OVER () AS all_c6
      FROM typed t;
SELECT diff('types'), differs('types');
UPDATE typed SET c7 = '-0', c28 = 'nan', c6 = 1.0 WHERE id = 1;
SELECT diff('types') IS NOT NULL AS done, differs('types');
CREATE UNIQUE INDEX ON types (id);
UPDATE typed SET c7 = '0', c6 = 1.0 WHERE id = 1;
UPDATE typed SET c6 = 1.00 WHERE id = 2;
SELECT diff('types') IS NOT NULL AS done, differs('types');
CREATE MATERIALIZED VIEW single AS SELECT id, c1, c4, c5, c6, c7 FROM typed;
CREATE UNIQUE INDEX ON single (id);
UPDATE typed SET c7 = '-0' WHERE id = 1;
UPDATE typed SET c6 = 1.000 WHERE id = 2;
UPDATE typed SET c1 = NULL WHERE id = 3;
UPDATE typed SET c4 = (3, NULL) WHERE id = 4;
UPDATE typed SET c5[2] = (1, '') WHERE id = 5;
SELECT diff('single'), differs('single');
SELECT diff('single');

-- toasted values: compared by content, and kept if they did not change
CREATE TABLE long (id int PRIMARY KEY, n int, doc text, packed text);
ALTER TABLE long ALTER doc SET STORAGE EXTERNAL;
INSERT INTO long SELECT g, g, string_agg(md5(g || '/' || h), ''), repeat('same', 10000)
  FROM generate_series(1, 20) g, generate_series(1, 700) h GROUP BY g;
CREATE MATERIALIZED VIEW toasted AS SELECT * FROM long;
CREATE UNIQUE INDEX ON toasted (id);
SELECT diff('toasted');
UPDATE long SET doc = overlay(doc placing 'Z' FROM 20000) WHERE id = 7;
SELECT diff('toasted'), differs('toasted');
UPDATE long SET n = n + 1;
CHECKPOINT;
SELECT rows_updated, wal_bytes < 448000 / 2 AS kept FROM refresh_matview_now('toasted', 'diff');
SELECT differs('toasted'), sum(length(doc)), sum(length(packed)) FROM toasted;

-- unique keys that change places, in one index, in two, in expressions
CREATE TABLE keys (id int, name text, n int);
INSERT INTO keys SELECT g, 'n' || g, 0 FROM generate_series(1, 10) g;
CREATE MATERIALIZED VIEW keyed AS SELECT * FROM keys;
CREATE UNIQUE INDEX keyed_id ON keyed (id);
UPDATE keys SET id = 11 - id;
SELECT diff('keyed'), differs('keyed');
CREATE UNIQUE INDEX keyed_name ON keyed (lower(name)) INCLUDE (n) WHERE id > 0;
UPDATE keys SET id = CASE WHEN id < 10 THEN id + 1 ELSE 1 END;
SELECT diff('keyed'), differs('keyed');
UPDATE keys SET name = 'n' || id, n = n + 1;
SELECT diff('keyed'), differs('keyed');
UPDATE keys SET n = n + 1 WHERE id <= 4;
UPDATE keys SET id = 21 - id WHERE id > 8;
SELECT diff('keyed'), differs('keyed');
INSERT INTO keys VALUES (NULL, NULL, 1), (NULL, NULL, 2);
SELECT diff('keyed'), differs('keyed');
UPDATE keys SET n = n + 10 WHERE id IS NULL;
SELECT diff('keyed'), differs('keyed');
-- whether a row is in a partial index decides, too
CREATE TABLE versions (name text, is_current bool, n int);
INSERT INTO versions VALUES ('a', false, 1), ('a', true, 2);
CREATE MATERIALIZED VIEW versioned AS SELECT * FROM versions ORDER BY n;
CREATE UNIQUE INDEX ON versioned (name) WHERE is_current;
UPDATE versions SET n = CASE WHEN is_current THEN 3 ELSE 4 END;
SELECT diff('versioned'), differs('versioned');
UPDATE versions SET is_current = NOT is_current;
SELECT diff('versioned'), differs('versioned');
-- twice the same key is an error and changes nothing
INSERT INTO keys VALUES (5, 'other', 1);
SELECT diff('keyed');
SELECT count(*), count(*) FILTER (WHERE name = 'other') FROM keyed;
DELETE FROM keys WHERE name = 'other';
SELECT diff('keyed');

-- updates in place: no index entries where a page has room
CREATE TABLE counts AS SELECT g AS id, 0 AS n FROM generate_series(1, 1000) g;
CREATE MATERIALIZED VIEW counted WITH (fillfactor = 70) AS SELECT * FROM counts;
CREATE UNIQUE INDEX ON counted (id);
UPDATE counts SET n = 1 WHERE id % 10 = 0;
BEGIN;
SELECT diff('counted'), differs('counted');
SELECT pg_stat_get_xact_tuples_hot_updated('counted'::regclass) AS hot, pg_stat_get_xact_tuples_updated('counted'::regclass) AS updated;
COMMIT;

-- every index follows
CREATE TABLE words (id int, doc text, tags int[], place point, part int);
INSERT INTO words SELECT g, 'word' || g, ARRAY[g, g % 7], point(g, g), g % 3 FROM generate_series(1, 500) g;
CREATE MATERIALIZED VIEW indexed AS SELECT * FROM words;
CREATE UNIQUE INDEX ON indexed (id);
CREATE INDEX ON indexed USING hash (doc);
CREATE INDEX ON indexed USING gin (tags);
CREATE INDEX ON indexed USING gist (place);
CREATE INDEX ON indexed USING brin (part);
CREATE INDEX ON indexed (upper(doc)) WHERE part = 1;
UPDATE words SET doc = 'changed' || id, tags = ARRAY[id + 1000], place = point(id, 0), part = 1 WHERE id % 50 = 0;
DELETE FROM words WHERE id % 50 = 1;
INSERT INTO words SELECT g, 'new' || g, ARRAY[g], point(g, g), 9 FROM generate_series(501, 600) g;
SELECT diff('indexed'), differs('indexed');
SET enable_seqscan = off;
SELECT (SELECT count(*) FROM indexed WHERE doc = 'changed50') AS hash,
       (SELECT count(*) FROM indexed WHERE tags @> '{1050}') AS gin,
       (SELECT count(*) FROM indexed WHERE place <@ box '((0,0),(1000,0.5))') AS gist,
       (SELECT count(*) FROM indexed WHERE part = 9) AS brin,
       (SELECT count(*) FROM indexed WHERE upper(doc) LIKE 'CHANGED%' AND part = 1) AS partial,
       (SELECT count(*) FROM indexed WHERE id = 51) AS gone;
RESET enable_seqscan;

-- little memory: everything spills, the result is the same
CREATE TABLE many AS SELECT g AS id, md5(g::text) AS doc, g % 7 AS n FROM generate_series(1, 6000) g;
INSERT INTO many SELECT NULL, 'same', 1 FROM generate_series(1, 1500);
CREATE MATERIALIZED VIEW spilled AS SELECT * FROM many;
CREATE MATERIALIZED VIEW spilled_unique AS SELECT * FROM many WHERE id IS NOT NULL;
CREATE UNIQUE INDEX ON spilled_unique (id);
SET pg_steward.refresh_diff_memory = '64kB';
SELECT diff('spilled'), diff('spilled_unique');
UPDATE many SET n = n + 1 WHERE id % 100 = 0;
DELETE FROM many WHERE id % 100 = 1;
DELETE FROM many WHERE ctid IN (SELECT ctid FROM many WHERE doc = 'same' LIMIT 300);
INSERT INTO many SELECT g, 'new', 0 FROM generate_series(6001, 6300) g;
SELECT diff('spilled'), differs('spilled');
SELECT diff('spilled_unique'), differs('spilled_unique');
UPDATE many SET n = n + 1;
SELECT diff('spilled_unique'), differs('spilled_unique');
DELETE FROM many;
SELECT diff('spilled'), diff('spilled_unique');
RESET pg_steward.refresh_diff_memory;
\set VERBOSITY sqlstate
SET pg_steward.refresh_diff_memory = '10kB';
\set VERBOSITY terse

-- an error in the query, or in an index, changes nothing
CREATE TABLE divisors AS SELECT g AS d FROM generate_series(1, 100) g;
CREATE MATERIALIZED VIEW divided AS SELECT d, 100 / d AS q FROM divisors;
CREATE INDEX ON divided ((1 / (d - 200)));
UPDATE divisors SET d = d + 1 WHERE d > 50;
INSERT INTO divisors VALUES (0);
SELECT diff('divided');
SELECT count(*), max(d) FROM divided;
UPDATE divisors SET d = 200 WHERE d = 0;
SELECT diff('divided');
SELECT count(*), max(d) FROM divided;
DELETE FROM divisors WHERE d = 200;
SELECT diff('divided'), differs('divided');

-- transactions: rolled back, nested, repeated, with changes of their own
BEGIN;
INSERT INTO divisors VALUES (300);
SELECT diff('divided');
SAVEPOINT a;
DELETE FROM divisors WHERE d > 10;
SELECT diff('divided'), differs('divided');
ROLLBACK TO a;
SELECT count(*), max(d) FROM divided;
UPDATE divisors SET d = 301 WHERE d = 300;
SELECT diff('divided'), differs('divided');
SELECT diff('divided');
ROLLBACK;
SELECT count(*), max(d) FROM divided;
SELECT diff('divided');
DO $$
BEGIN
    INSERT INTO divisors VALUES (400);
    PERFORM diff('divided');
    ASSERT (SELECT max(d) FROM divided) = 400, 'visible to the next statement';
END $$;
BEGIN ISOLATION LEVEL REPEATABLE READ;
UPDATE divisors SET d = 401 WHERE d = 400;
SELECT diff('divided'), differs('divided');
UPDATE divisors SET d = 402 WHERE d = 401;
SELECT diff('divided'), differs('divided');
ROLLBACK;
SELECT xmin::text::bigint AS before FROM pg_class WHERE oid = 'divided'::regclass \gset
DELETE FROM divisors WHERE d = 400;
SELECT diff('divided'), xmin::text::bigint = :before AS catalog_untouched FROM pg_class WHERE oid = 'divided'::regclass;

-- volatile functions run once: what is compared is what is written
CREATE MATERIALIZED VIEW dice AS SELECT g AS id, random() AS r FROM generate_series(1, 100) g;
CREATE UNIQUE INDEX ON dice (id);
SELECT diff('dice');

-- with parallel workers
CREATE TABLE big AS SELECT g AS id, g % 100 AS n FROM generate_series(1, 20000) g;
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
CREATE MATERIALIZED VIEW summed AS SELECT n, count(*), sum(id) FROM big GROUP BY n;
DELETE FROM big WHERE id % 500 = 0;
SELECT diff('summed'), differs('summed');
RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size;

-- methods of the server, and what auto does
SELECT method_used, rows_inserted, rows_deleted, rows_updated, rows_unchanged, note FROM refresh_matview_now('summed', 'plain');
UPDATE counts SET n = 2 WHERE id = 1;
SELECT method_used, rows_inserted, rows_deleted, rows_updated, rows_unchanged, note FROM refresh_matview_now('counted', 'CONCURRENTLY');
CREATE MATERIALIZED VIEW empty_one AS SELECT * FROM counts WITH NO DATA;
SELECT diff('empty_one');
SELECT method_used, rows_inserted, rows_deleted, note FROM refresh_matview_now('empty_one');
SELECT method_used, rows_unchanged, note FROM refresh_matview_now('empty_one');
CREATE ACCESS METHOD heap_too TYPE TABLE HANDLER heap_tableam_handler;
CREATE MATERIALIZED VIEW other_am USING heap_too AS SELECT * FROM counts;
SELECT method_used, rows_inserted, note FROM refresh_matview_now('other_am');
CREATE UNIQUE INDEX ON other_am (id) WHERE n > 0;
SELECT method_used FROM refresh_matview_now('other_am');
CREATE UNIQUE INDEX ON other_am (id);
SELECT method_used, rows_inserted, rows_deleted, note FROM refresh_matview_now('other_am');
SELECT diff('other_am');

-- refused
SELECT refresh_matview_now('summed', 'fast');
SELECT refresh_matview_now(NULL);
SELECT refresh_matview_now('summed', wait => NULL);
SELECT refresh_matview_now('counts');
SELECT refresh_matview_now('keyed_id');
SELECT refresh_matview_now(1);
SELECT refresh_matview_now('summed', 'concurrently');
BEGIN READ ONLY;
SELECT refresh_matview_now('summed');
ROLLBACK;
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM summed;
FETCH 1 FROM c \g (format=unaligned tuples_only=on)
SELECT diff('summed');
ROLLBACK;

-- as the owner of the view, restricted, with a safe search_path
CREATE ROLE regress_refresh_owner;
CREATE ROLE regress_refresh_other;
GRANT USAGE, CREATE ON SCHEMA refresh TO regress_refresh_owner;
GRANT USAGE ON SCHEMA refresh TO regress_refresh_other;
GRANT SELECT ON counts TO regress_refresh_owner;
CREATE TABLE secret AS SELECT 'treasure'::text AS t;
SET ROLE regress_refresh_owner;
CREATE TABLE command (c text);
INSERT INTO command VALUES ('SELECT 1');
CREATE FUNCTION hostile() RETURNS text LANGUAGE plpgsql AS $$
DECLARE c text;
BEGIN
    FOR c IN SELECT x.c FROM refresh.command x LOOP EXECUTE c; END LOOP;
    PERFORM set_config('work_mem', '1MB', false);
    RETURN current_user || ' ' || current_setting('search_path');
END $$;
CREATE MATERIALIZED VIEW hostile_view AS SELECT n, refresh.hostile() AS h FROM refresh.counts WHERE id = 1;
RESET ROLE;
SET work_mem = '5MB';
SELECT diff('hostile_view') IS NOT NULL AS done;
SELECT n, h FROM hostile_view;
SELECT session_user = current_user AS still_me, current_setting('work_mem'), current_setting('search_path');
UPDATE command SET c = 'SET ROLE ' || session_user;
SELECT diff('hostile_view');
UPDATE command SET c = 'CREATE TEMP TABLE trap (i int)';
SELECT diff('hostile_view');
UPDATE command SET c = 'SELECT * FROM refresh.secret';
SELECT diff('hostile_view');
-- in expressions of its indexes, too
CREATE FUNCTION hostile_index(int) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM * FROM refresh.secret;
    RETURN current_user;
END $$;
UPDATE command SET c = 'SELECT 1';
SET ROLE regress_refresh_owner;
CREATE MATERIALIZED VIEW hostile_indexed AS SELECT n FROM refresh.counts WHERE n = 1 AND id < 0;
CREATE INDEX ON hostile_indexed (hostile_index(n));
RESET ROLE;
UPDATE counts SET id = -5, n = 1 WHERE id = 1;
SELECT diff('hostile_indexed');
UPDATE counts SET id = 1 WHERE id = -5;
-- who has lost the right to read cannot have it refreshed
REVOKE SELECT ON counts FROM regress_refresh_owner;
SELECT diff('hostile_view');
GRANT SELECT ON counts TO regress_refresh_owner;
SELECT n, h FROM hostile_view;
-- others cannot refresh at all; owners can, and from 17 who has MAINTAIN
SET ROLE regress_refresh_other;
\set VERBOSITY sqlstate
SELECT refresh_matview_now('hostile_view');
SELECT refresh_matview_now('hostile_view', 'plain');
\set VERBOSITY terse
RESET ROLE;
DO $$
BEGIN
    IF current_setting('server_version_num')::int >= 170000 THEN
        EXECUTE 'GRANT MAINTAIN ON hostile_view TO regress_refresh_other';
    ELSE
        EXECUTE 'GRANT regress_refresh_owner TO regress_refresh_other';
    END IF;
END $$;
SET ROLE regress_refresh_other;
SELECT method_used FROM refresh_matview_now('hostile_view');
RESET ROLE;
SELECT h FROM hostile_view;

\set VERBOSITY default
RESET work_mem;
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA refresh CASCADE;
DROP OWNED BY regress_refresh_owner, regress_refresh_other;
DROP ROLE regress_refresh_owner, regress_refresh_other;
