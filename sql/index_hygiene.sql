-- get_unused_indexes(), get_redundant_indexes(), get_missing_fk_indexes(),
-- get_invalid_indexes(): planted faults (their names begin with bad) beside
-- decoys that must not be reported (good).  A database of its own, so that
-- nobody else's tables are in the way.
CREATE DATABASE hygiene;
\c hygiene
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION pg_steward CASCADE;

-- Unused -----------------------------------------------------------------

CREATE SCHEMA unused;
SET search_path = unused, public;
CREATE TABLE parent (id int PRIMARY KEY, code text CONSTRAINT good_key UNIQUE);
CREATE TABLE t (a int, b int, c int, d int, e int, f text, r int4range, k int NOT NULL, p1 int REFERENCES parent, p2 int REFERENCES parent, p3 int REFERENCES parent, p4 int REFERENCES parent);
INSERT INTO parent SELECT g, g FROM generate_series(1, 100) g;
INSERT INTO t SELECT g, g, g, g, g, g, int4range(g, g + 1), g, 1 + g % 100, 1 + g % 100, 1 + g % 100, g FROM generate_series(1, 100) g;
CREATE INDEX bad_a ON t (a);
CREATE INDEX bad_expression ON t (lower(f));
CREATE INDEX "bad ""Quoted""" ON t USING hash (b);
-- serves a foreign key, but so does a unique index that stays
CREATE UNIQUE INDEX good_unique ON t (p4, a);
CREATE INDEX bad_fk_copy ON t (p4, b);
CREATE INDEX good_scanned ON t (c);
CREATE INDEX good_bitmap ON t (d);
ALTER TABLE t ADD CONSTRAINT good_exclusion EXCLUDE USING gist (r WITH &&);
CREATE UNIQUE INDEX good_identity ON t (k);
ALTER TABLE t REPLICA IDENTITY USING INDEX good_identity;
CREATE INDEX good_clustered ON t (e);
CLUSTER t USING good_clustered;
CREATE INDEX good_fk ON t (p1);
-- one of them has to stay, and nobody can say which
CREATE INDEX good_fk_one ON t (p2, b);
CREATE INDEX good_fk_other ON t (p2, c);
CREATE INDEX good_fk_partial ON t (p3) WHERE p3 IS NOT NULL;
CREATE INDEX good_invalid ON t (b, c);
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'good_invalid'::regclass;
CREATE TEMP TABLE temporary (a int);
CREATE INDEX good_temporary ON temporary (a);
CREATE TABLE part (a int, b int, c int) PARTITION BY RANGE (a);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (100);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (100) TO (200) PARTITION BY RANGE (a);
CREATE TABLE part_21 PARTITION OF part_2 FOR VALUES FROM (100) TO (200);
INSERT INTO part SELECT g, g, g FROM generate_series(0, 199) g;
CREATE INDEX bad_part ON part (a);
CREATE INDEX good_part_scanned ON part (b);
CREATE INDEX good_part_clustered ON part (c);
ALTER TABLE part_1 CLUSTER ON part_1_c_idx;
CREATE INDEX bad_part_local ON part_21 (c, b);
-- these could stand in for one that is used: only one report may drop one
CREATE TABLE w (a int, b int);
CREATE INDEX bad_older ON w (b);
CREATE INDEX good_used_copy ON w (b);
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'bad_older'::regclass;
CREATE INDEX used_prefix ON w (a);
ANALYZE t, part;
SET enable_seqscan = off;
SELECT count(*) FROM t WHERE c = 5;
SET enable_indexscan = off;
SET enable_indexonlyscan = off;
SELECT count(*) FROM t WHERE d = 5;
RESET enable_indexscan;
RESET enable_indexonlyscan;
SELECT count(*) FROM part_21 WHERE b = 105;
SELECT count(*) FROM w WHERE b = 5;
UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'bad_older'::regclass;
SELECT count(*) FROM w WHERE a = 5;
CREATE INDEX bad_wide ON w (a, b);
RESET enable_seqscan;
SELECT pg_stat_force_next_flush();
RESET search_path;

SELECT table_name, index_name, verdict, index_bytes > 0 AS has_size, index_size = pg_size_pretty(index_bytes) AS pretty,
       index_scans AS scans, observed_days < 1 AND observed_since <= now() AS observed, rows_written > 0 AS written,
       table_scans > 0 AS read, reason, drop_sql
  FROM get_unused_indexes(0, '0') WHERE schema_name = 'unused' ORDER BY index_name COLLATE "C";
SELECT index_name, keep_index_name, drop_sql FROM get_redundant_indexes() WHERE table_name = 'w' ORDER BY index_name;
-- partitions are summed
SELECT index_bytes = (SELECT sum(pg_relation_size(x.oid)) FROM pg_class x
                       WHERE x.relname IN ('part_1_a_idx', 'part_21_a_idx')) AS summed
  FROM get_unused_indexes(0, '0') WHERE index_name = 'bad_part';
-- of today is too early, small is left out, and what is not counted is unknown
SELECT DISTINCT verdict, reason LIKE 'no scan, but %', drop_sql FROM get_unused_indexes(0);
SELECT count(*) FROM get_unused_indexes();
SELECT count(*) FROM get_unused_indexes(NULL, NULL) WHERE verdict = 'unused' AND schema_name = 'unused';
SET track_counts = off;
SELECT DISTINCT verdict, drop_sql FROM get_unused_indexes(0, '0');
RESET track_counts;
-- a reset, of one index or of all, makes it too early again
SELECT observed_since AS before FROM get_unused_indexes(0, '0') WHERE index_name = 'bad_a' \gset
SELECT pg_stat_reset_single_table_counters('unused.bad_a'::regclass) IS NOT NULL AS reset;
SELECT observed_since > :'before' AS later FROM get_unused_indexes(0, '0') WHERE index_name = 'bad_a';
SELECT pg_stat_reset() IS NOT NULL AS reset;
SELECT count(*) > 0 AS early, bool_and(verdict = 'too early') AS all_early FROM get_unused_indexes(0, '1 hour');
-- wrong arguments
SELECT get_unused_indexes(-1);
SELECT get_unused_indexes(0, '-1 s');
-- the command works
SELECT drop_sql FROM get_unused_indexes(0, '0') WHERE index_name LIKE 'bad "Q%' \gexec
SELECT count(*) FROM get_unused_indexes(0, '0') WHERE index_name LIKE 'bad "Q%';
DROP SCHEMA unused CASCADE;

-- Redundant --------------------------------------------------------------

CREATE SCHEMA redundant;
SET search_path = redundant, public;
CREATE TABLE r1 (id int, a int, b int, c int, d int, t text, v varchar, j jsonb, n numeric, PRIMARY KEY (id));
-- two copies, three copies: one stays
CREATE INDEX good_copy_1 ON r1 (a, b);
CREATE INDEX bad_copy_2 ON r1 (a, b);
CREATE INDEX bad_copy_3 ON r1 USING btree (a ASC NULLS LAST, b);
-- the start of another one, whatever stands behind it
CREATE INDEX bad_prefix ON r1 (a);
-- a copy of the primary key; another constraint that says the same
CREATE INDEX bad_pk_copy ON r1 (id);
ALTER TABLE r1 ADD CONSTRAINT "bad key" UNIQUE (id);
-- unique: the plain one goes, though it is older
CREATE INDEX bad_plain ON r1 (b);
CREATE UNIQUE INDEX good_unique ON r1 (b);
CREATE UNIQUE INDEX bad_unique_copy ON r1 (b);
-- read backwards
CREATE INDEX good_forward ON r1 (c, d);
CREATE INDEX bad_backward ON r1 (c DESC, d DESC);
CREATE INDEX bad_backward_prefix ON r1 (c DESC);
-- INCLUDE: fewer columns, or columns that are keys of the other
CREATE INDEX good_included ON r1 (d) INCLUDE (a, b);
CREATE INDEX bad_included ON r1 (d) INCLUDE (b);
CREATE INDEX bad_included_key ON r1 (c) INCLUDE (d);
-- expressions and conditions, written in two ways
CREATE INDEX good_expression ON r1 (lower(t), (a + 1));
CREATE INDEX bad_expression ON r1 ((lower(t)));
CREATE INDEX good_partial ON r1 (t) WHERE a > 5 AND b IS NOT NULL;
CREATE INDEX bad_partial ON r1 (t) WHERE (a > 5) AND ((b) IS NOT NULL);
-- two names of one operator class
CREATE INDEX good_opclass ON r1 (v text_ops, n);
CREATE INDEX bad_opclass ON r1 (v varchar_ops);
CREATE INDEX good_gin ON r1 USING gin (j);
CREATE INDEX bad_gin ON r1 USING gin (j);
CREATE TABLE rp (a int, b int) PARTITION BY RANGE (a);
CREATE TABLE rp_1 PARTITION OF rp FOR VALUES FROM (0) TO (10);
CREATE TABLE rp_2 PARTITION OF rp FOR VALUES FROM (10) TO (20);
CREATE INDEX good_part ON rp (a, b);
CREATE INDEX bad_part ON rp (a);
-- of one partition only
CREATE INDEX bad_part_local ON rp_1 (a);

-- decoys: each differs from its neighbour in one thing
CREATE TABLE d1 (a int, b int, c int, t text, u text, j jsonb, r int4range, x timestamptz NOT NULL, k int NOT NULL, m int, o int);
CREATE INDEX good_d01 ON d1 (a, b);
CREATE INDEX good_d02 ON d1 (b, a);
CREATE INDEX good_d03 ON d1 (a, b DESC);
CREATE INDEX good_d04 ON d1 (a NULLS FIRST, b);
CREATE INDEX good_d05 ON d1 (a DESC NULLS LAST, b);
CREATE INDEX good_d06 ON d1 (a, b) WHERE c > 0;
CREATE INDEX good_d07 ON d1 (a, b) WHERE c > 1;
CREATE INDEX good_d08 ON d1 (a) INCLUDE (c);
CREATE UNIQUE INDEX good_d09 ON d1 (a);
CREATE INDEX good_d10 ON d1 USING hash (a);
CREATE INDEX good_d11 ON d1 (t);
CREATE INDEX good_d12 ON d1 (t text_pattern_ops);
CREATE INDEX good_d13 ON d1 (t COLLATE "C");
CREATE INDEX good_d14 ON d1 (lower(t));
CREATE INDEX good_d15 ON d1 (upper(t));
CREATE INDEX good_d16 ON d1 (lower(t COLLATE "C"));
CREATE INDEX good_d17 ON d1 (lower(u));
CREATE INDEX good_d18 ON d1 USING gin (j);
CREATE INDEX good_d19 ON d1 USING gin (j jsonb_path_ops);
CREATE INDEX good_d20 ON d1 USING brin (x);
CREATE INDEX good_d21 ON d1 USING brin (x) WITH (pages_per_range = 16);
CREATE INDEX good_d22 ON d1 USING brin (x timestamptz_minmax_multi_ops);
CREATE INDEX good_d23 ON d1 USING brin (x timestamptz_minmax_multi_ops (values_per_range = 64));
CREATE UNIQUE INDEX good_d24 ON d1 (c);
CREATE UNIQUE INDEX good_d25 ON d1 (c) NULLS NOT DISTINCT;
ALTER TABLE d1 ADD CONSTRAINT good_d26 EXCLUDE USING gist (r WITH &&);
ALTER TABLE d1 ADD CONSTRAINT good_d27 EXCLUDE USING gist (r WITH &&) WHERE (a > 0);
-- what a deferred constraint lets pass, this one does not
CREATE TABLE d2 (a int NOT NULL, b int NOT NULL, c int, d int, e int);
ALTER TABLE d2 ADD CONSTRAINT good_e1 UNIQUE (a) DEFERRABLE;
CREATE UNIQUE INDEX good_e2 ON d2 (a);
-- each for a reason of its own has to stay
CREATE UNIQUE INDEX good_e3 ON d2 (b);
ALTER TABLE d2 ADD CONSTRAINT good_e4 UNIQUE (b);
ALTER TABLE d2 REPLICA IDENTITY USING INDEX good_e3;
CREATE INDEX good_e5 ON d2 (c);
CLUSTER d2 USING good_e5;
CREATE INDEX good_e6 ON d2 (c, d);
-- an invalid one keeps nothing, and is no business of this report
CREATE INDEX good_e7 ON d2 (d);
CREATE INDEX good_e8 ON d2 (d, c);
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'good_e8'::regclass;
CREATE INDEX good_e9 ON d2 (e, a) WHERE e > 0;
CREATE INDEX good_e10 ON d2 (e);
-- the target of a foreign key, beside a primary key
CREATE TABLE d3 (a int NOT NULL CONSTRAINT good_f1 UNIQUE);
CREATE TABLE d4 (a int REFERENCES d3 (a));
ALTER TABLE d3 ADD CONSTRAINT good_f2 PRIMARY KEY (a);
CREATE TABLE d5 (a int, b int) PARTITION BY RANGE (a);
CREATE TABLE d5_1 PARTITION OF d5 FOR VALUES FROM (0) TO (10);
CREATE INDEX good_g1 ON d5 (a);
CREATE INDEX good_g2 ON d5 (b);
-- a plain constraint is not given up for an index without one
CREATE TABLE d6 (a int, b int);
ALTER TABLE d6 ADD CONSTRAINT good_h1 UNIQUE (a);
CREATE UNIQUE INDEX good_h2 ON d6 (a) INCLUDE (b);
RESET search_path;

SELECT index_name, keep_index_name, kind, reason, drop_sql FROM get_redundant_indexes()
 WHERE schema_name = 'redundant' AND table_name NOT LIKE 'd_' ORDER BY index_name COLLATE "C";
-- expected to be empty
SELECT table_name, index_name, keep_index_name, kind FROM get_redundant_indexes()
 WHERE schema_name = 'redundant' AND table_name LIKE 'd_';
SELECT bool_and(definition LIKE 'CREATE % INDEX %' OR definition LIKE 'CREATE INDEX %') AS defined,
       bool_and(index_size = pg_size_pretty(index_bytes)) AS pretty, bool_and(keep_bytes > 0 AND index_bytes > 0) AS sizes,
       bool_and(index_scans >= 0 AND keep_scans >= 0) AS scans
  FROM get_redundant_indexes() WHERE table_name = 'r1';
-- when all are dropped, nothing is redundant any more, and no good one is gone
SELECT unnest(string_to_array(rtrim(drop_sql, ';'), '; ')) FROM get_redundant_indexes()
 WHERE table_name NOT LIKE 'd_' ORDER BY index_name COLLATE "C" \gexec
SELECT count(*) FROM get_redundant_indexes() WHERE table_name NOT LIKE 'd_';
SELECT count(*) FROM pg_class WHERE relname LIKE 'bad%' AND relnamespace = 'redundant'::regnamespace;
SELECT count(*) FROM pg_class WHERE relname LIKE 'good%' AND relnamespace = 'redundant'::regnamespace;
DROP SCHEMA redundant CASCADE;

-- Foreign keys -----------------------------------------------------------

CREATE SCHEMA fk;
SET search_path = fk, public;
CREATE TABLE p (id int PRIMARY KEY, n numeric UNIQUE, t text UNIQUE, l bigint UNIQUE, UNIQUE (id, l), UNIQUE (id, l, t));
INSERT INTO p SELECT g, g, g, g FROM generate_series(1, 2000) g;
CREATE TABLE c1 (id int PRIMARY KEY, a int, b bigint, c text, up int);
INSERT INTO c1 SELECT g, g, g, g, nullif(g - 1, 0) FROM generate_series(1, 1500) g;
ALTER TABLE c1 ADD CONSTRAINT bad_plain FOREIGN KEY (a) REFERENCES p ON DELETE CASCADE;
ALTER TABLE c1 ADD CONSTRAINT bad_self FOREIGN KEY (up) REFERENCES c1;
ALTER TABLE c1 ADD CONSTRAINT bad_many FOREIGN KEY (a, b) REFERENCES p (id, l);
ALTER TABLE c1 ADD CONSTRAINT bad_twice FOREIGN KEY (a) REFERENCES p DEFERRABLE;
ALTER TABLE c1 ADD CONSTRAINT bad_collation FOREIGN KEY (c) REFERENCES p (t) NOT VALID;
CREATE INDEX ON c1 (c COLLATE "C");
CREATE INDEX ON c1 (b, a) WHERE b > 100;
CREATE INDEX ON c1 (b, c, a);
CREATE INDEX ON c1 ((a + 0));
CREATE INDEX ON c1 USING brin (a);
CREATE TABLE c2 (a int CONSTRAINT bad_cast REFERENCES p (n), b int CONSTRAINT bad_invalid REFERENCES p,
                 c int CONSTRAINT bad_partial REFERENCES p, d int CONSTRAINT bad_second REFERENCES p,
                 e int CONSTRAINT bad_other_null REFERENCES p);
CREATE INDEX ON c2 (a);
CREATE INDEX c2_b ON c2 (b);
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'c2_b'::regclass;
CREATE INDEX ON c2 (c) WHERE c IS NULL;
CREATE INDEX ON c2 (c, d) WHERE c IS NOT NULL AND c > 5;
CREATE INDEX ON c2 (e) WHERE d IS NOT NULL;
CREATE TABLE cp (a int, b int, f int, g int, h int) PARTITION BY RANGE (b);
CREATE TABLE cp_1 PARTITION OF cp FOR VALUES FROM (0) TO (10);
CREATE TABLE cp_2 PARTITION OF cp FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (b);
CREATE TABLE "cp 21" (h int, g int, f int, b int, a int);
ALTER TABLE cp_2 ATTACH PARTITION "cp 21" FOR VALUES FROM (10) TO (20);
ALTER TABLE cp ADD CONSTRAINT bad_part FOREIGN KEY (a) REFERENCES p;
ALTER TABLE cp ADD CONSTRAINT bad_part_half FOREIGN KEY (f) REFERENCES p;
CREATE INDEX ON cp_1 (f);

-- decoys
ALTER TABLE cp ADD CONSTRAINT good_part FOREIGN KEY (g) REFERENCES p;
CREATE INDEX ON cp (g);
ALTER TABLE cp ADD CONSTRAINT good_part_leaves FOREIGN KEY (h) REFERENCES p;
CREATE INDEX ON cp_1 (h, b);
CREATE INDEX ON "cp 21" (h) WHERE h IS NOT NULL;
CREATE TABLE pp (a int PRIMARY KEY) PARTITION BY RANGE (a);
CREATE TABLE pp_1 PARTITION OF pp FOR VALUES FROM (0) TO (10);
CREATE TABLE pp_2 PARTITION OF pp FOR VALUES FROM (10) TO (20);
CREATE TABLE c3 (a int, b bigint, c text, d smallint, e int, f int, g int, h int PRIMARY KEY, x text, y varchar,
    CONSTRAINT good_exact FOREIGN KEY (e) REFERENCES p,
    CONSTRAINT good_reversed FOREIGN KEY (a, b) REFERENCES p (id, l),
    CONSTRAINT good_three FOREIGN KEY (b, c, a) REFERENCES p (l, t, id),
    CONSTRAINT good_type FOREIGN KEY (d) REFERENCES p (l),
    CONSTRAINT good_hash FOREIGN KEY (f) REFERENCES p,
    CONSTRAINT good_not_null FOREIGN KEY (g) REFERENCES p,
    CONSTRAINT good_primary FOREIGN KEY (h) REFERENCES p,
    CONSTRAINT good_pattern FOREIGN KEY (x) REFERENCES p (t),
    CONSTRAINT good_varchar FOREIGN KEY (y) REFERENCES p (t),
    CONSTRAINT good_to_parts FOREIGN KEY (e) REFERENCES pp);
CREATE INDEX ON c3 (e DESC);
CREATE INDEX ON c3 (b, a, c);
CREATE INDEX ON c3 (d);
CREATE INDEX ON c3 USING hash (f);
CREATE INDEX ON c3 (g) WHERE g IS NOT NULL;
CREATE INDEX ON c3 (x text_pattern_ops);
CREATE INDEX ON c3 (y) INCLUDE (x);
CREATE TABLE c4 (a int, b bigint, CONSTRAINT good_both_null FOREIGN KEY (a, b) REFERENCES p (id, l));
CREATE INDEX ON c4 (b, a) WHERE a IS NOT NULL AND b IS NOT NULL;
CREATE TEMP TABLE tp (a int PRIMARY KEY);
CREATE TEMP TABLE tc (a int CONSTRAINT good_temporary REFERENCES tp);
RESET search_path;
-- since 18 there are foreign keys that nobody enforces, and those over periods
SELECT current_setting('server_version_num')::int >= 180000 AS has_unenforced \gset
\if :has_unenforced
ALTER TABLE fk.c1 ADD CONSTRAINT good_unenforced FOREIGN KEY (b) REFERENCES fk.p (l) NOT ENFORCED;
CREATE TABLE fk.tp (r int4range, v daterange, UNIQUE (r, v WITHOUT OVERLAPS));
CREATE TABLE fk.tc (r int4range, v daterange, w daterange,
    CONSTRAINT good_period FOREIGN KEY (r, PERIOD v) REFERENCES fk.tp (r, PERIOD v),
    CONSTRAINT good_period_gist FOREIGN KEY (r, PERIOD w) REFERENCES fk.tp (r, PERIOD v));
CREATE INDEX ON fk.tc USING gist (r, v);
\endif
SELECT pg_stat_force_next_flush();
ANALYZE;

SELECT table_name, constraint_name, column_names, priority, referenced_table, on_delete, row_estimate, reason,
       regexp_replace(create_sql, '_[0-9a-f]{8,16}_idx', '_HASH_idx', 'g') AS create_sql
  FROM get_missing_fk_indexes() ORDER BY constraint_name COLLATE "C";
SELECT constraint_name, table_size = pg_size_pretty(table_bytes) AS pretty, table_bytes >= pg_relation_size('fk.c1') AS bytes
  FROM get_missing_fk_indexes(1000) ORDER BY constraint_name COLLATE "C";
-- a deleted row of the referenced table is what an index is for
DELETE FROM fk.p WHERE id = 2000;
SELECT pg_stat_force_next_flush();
SELECT constraint_name, priority, referenced_deletes FROM get_missing_fk_indexes(1000) ORDER BY constraint_name COLLATE "C";
SELECT get_missing_fk_indexes(-1);
SELECT steward.check_minimum(-1, NULL);
-- two keys of one table, each with an index of its own
CREATE TABLE fk.two (a int REFERENCES fk.p, b bigint REFERENCES fk.p (l)) PARTITION BY LIST (a);
CREATE TABLE fk.two_1 PARTITION OF fk.two FOR VALUES IN (1);
SELECT count(*), count(DISTINCT create_sql) AS commands FROM get_missing_fk_indexes() WHERE table_name = 'two';
-- the commands do what is missing
\set ECHO none
SELECT unnest(string_to_array(create_sql, E'\n')) FROM get_missing_fk_indexes() \gexec
\set ECHO all
SELECT constraint_name FROM get_missing_fk_indexes() ORDER BY constraint_name COLLATE "C";
SELECT count(*) AS attached, bool_and(indisvalid) AS valid
  FROM pg_index WHERE indrelid = 'fk.cp'::regclass AND indkey[0] = 1;
SELECT count(*) FROM get_invalid_indexes() WHERE table_name LIKE 'cp%';
DROP SCHEMA fk CASCADE;

-- Invalid ----------------------------------------------------------------

CREATE SCHEMA invalid;
SET search_path = invalid, public;
CREATE FUNCTION fails(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
    $$ BEGIN IF current_setting('hygiene.fail', true) = 'on' THEN RAISE 'built to fail'; END IF; RETURN $1; END $$;
CREATE TABLE i1 (a int, b int, c text);
INSERT INTO i1 SELECT g % 10, g, repeat(md5(g::text), 200) FROM generate_series(1, 100) g;
-- a failed build
CREATE UNIQUE INDEX CONCURRENTLY bad_failed ON i1 (a);
-- one that was repeated under another name
SET hygiene.fail = on;
CREATE INDEX CONCURRENTLY bad_repeated ON i1 (invalid.fails(a));
RESET hygiene.fail;
CREATE INDEX good_repeated ON i1 (invalid.fails(a));
-- a failed rebuild
CREATE INDEX good_rebuilt ON i1 (invalid.fails(b));
SET hygiene.fail = on;
REINDEX INDEX CONCURRENTLY good_rebuilt;
-- a name that looks like one
CREATE INDEX CONCURRENTLY bad_ccnew ON i1 (b, invalid.fails(a));
RESET hygiene.fail;
CREATE INDEX good_ccnew ON i1 (b, a);
CREATE INDEX good_ccold ON i1 (a, b);
-- as an interrupted DROP INDEX CONCURRENTLY leaves it, and a failed rebuild with TOAST
CREATE INDEX bad_dropped ON i1 (a, c);
UPDATE pg_index SET indisvalid = false, indisready = false, indislive = false WHERE indexrelid = 'bad_dropped'::regclass;
-- it may go at any moment: the definition of such an index is not asked for
SELECT index_name, definition IS NULL AS withheld FROM get_index_usage() WHERE index_name = 'bad_dropped';
CREATE TABLE i2 (a int, c text);
CREATE INDEX good_toasted ON i2 (invalid.fails(a));
INSERT INTO i2 VALUES (1, 'x');
SET hygiene.fail = on;
REINDEX TABLE CONCURRENTLY i2;
RESET hygiene.fail;
-- a partitioned one: an attached partition, one that waits to be attached, one without
CREATE TABLE ip (a int, b int) PARTITION BY RANGE (a);
CREATE TABLE ip_1 PARTITION OF ip FOR VALUES FROM (0) TO (10);
CREATE TABLE ip_2 (b int, x int, a int);
ALTER TABLE ip_2 DROP x;
ALTER TABLE ip ATTACH PARTITION ip_2 FOR VALUES FROM (10) TO (20);
CREATE TABLE ip_3 PARTITION OF ip FOR VALUES FROM (20) TO (30);
CREATE INDEX bad_part ON ONLY ip (b DESC) INCLUDE (a) WHERE a > 5;
CREATE INDEX ip_1_b ON ip_1 (b DESC) INCLUDE (a) WHERE a > 5;
CREATE INDEX ip_2_b ON ip_2 (b DESC) INCLUDE (a) WHERE a > 5;
CREATE INDEX ip_2_other ON ip_2 (b) INCLUDE (a) WHERE a > 5;
ALTER INDEX bad_part ATTACH PARTITION ip_1_b;
CREATE INDEX good_part ON ip (a);
-- an invalid one is attached to it
CREATE TABLE iv (a int) PARTITION BY RANGE (a);
CREATE TABLE iv_1 PARTITION OF iv FOR VALUES FROM (0) TO (10);
CREATE TABLE iv_2 PARTITION OF iv FOR VALUES FROM (10) TO (20);
INSERT INTO iv VALUES (1), (1);
CREATE UNIQUE INDEX CONCURRENTLY bad_attached ON iv_1 (a);
DELETE FROM iv;
CREATE UNIQUE INDEX bad_whole ON iv (a);
-- a key of one
CREATE TABLE ik (a int NOT NULL) PARTITION BY RANGE (a);
CREATE TABLE ik_1 PARTITION OF ik FOR VALUES FROM (0) TO (10);
ALTER TABLE ONLY ik ADD CONSTRAINT bad_key PRIMARY KEY (a);
RESET search_path;

SELECT regexp_replace(table_name, '[0-9]{4,}', 'OID') AS table_name, regexp_replace(index_name, '[0-9]{4,}', 'OID') AS index_name,
       state, index_size = pg_size_pretty(index_bytes) AS pretty, is_unique, slows_writes,
       regexp_replace(reason, '[0-9]{4,}', 'OID') AS reason, regexp_replace(regexp_replace(fix_sql, '_[0-9a-f]{8,16}_idx', '_HASH_idx', 'g'), '[0-9]{4,}', 'OID', 'g') AS fix_sql
  FROM get_invalid_indexes() ORDER BY index_name COLLATE "C";
-- the commands put it right, once the duplicates are gone
DELETE FROM invalid.i1 WHERE b > 10;
\set ECHO none
SELECT unnest(string_to_array(fix_sql, E'\n')) FROM get_invalid_indexes() \gexec
\set ECHO all
SELECT count(*) FROM get_invalid_indexes();
SELECT count(*) FROM pg_index WHERE NOT indisvalid;
SELECT x.relname FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
 WHERE t.relname = 'i1' ORDER BY x.relname COLLATE "C";
-- another's lock leaves it open; one's own does not
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'invalid.good_ccold'::regclass;
BEGIN;
LOCK TABLE invalid.i1 IN SHARE UPDATE EXCLUSIVE MODE;
SELECT index_name, state FROM get_invalid_indexes();
COMMIT;

-- Tables of extensions are for their authors: expected to be 0, 0, 0
CREATE TABLE member (a int PRIMARY KEY, b int REFERENCES member, c int);
CREATE INDEX member_1 ON member (c);
CREATE INDEX member_2 ON member (c);
ALTER EXTENSION pg_stat_statements ADD TABLE member;
SELECT (SELECT count(*) FROM get_unused_indexes(0, '0') u WHERE u.table_name = 'member') AS unused,
       (SELECT count(*) FROM get_redundant_indexes() r WHERE r.table_name = 'member') AS redundant,
       (SELECT count(*) FROM get_missing_fk_indexes() f WHERE f.table_name = 'member') AS missing;

-- Everybody may ask ------------------------------------------------------

CREATE ROLE hygiene_nobody;
CREATE TABLE secret_parent (id int PRIMARY KEY);
CREATE TABLE secret (a int REFERENCES secret_parent, b int);
CREATE INDEX secret_b_1 ON secret (b);
CREATE INDEX secret_b_2 ON secret (b);
REVOKE ALL ON secret, secret_parent FROM PUBLIC;
SET ROLE hygiene_nobody;
SELECT count(*) FROM get_unused_indexes(0, '0') WHERE table_name = 'secret';
SELECT index_name, drop_sql FROM get_redundant_indexes() WHERE table_name = 'secret';
SELECT constraint_name, create_sql FROM get_missing_fk_indexes() WHERE table_name = 'secret';
SELECT index_name, state FROM get_invalid_indexes();
RESET ROLE;

\c contrib_regression
DROP DATABASE hygiene;
DROP ROLE hygiene_nobody;
