-- get_index_bloat(): estimate, REINDEX, compare.  A share of the index's size
-- in percent is what errors are measured in.
CREATE SCHEMA ib;
GRANT USAGE ON SCHEMA ib TO PUBLIC;
SET search_path = ib, public;
SET synchronous_commit = on;
SELECT setseed(0.25);

-- every table with bloat that only its index knows, and decoys without
CREATE TABLE churned (id int PRIMARY KEY, u uuid, k int, note text);
CREATE INDEX churned_u ON churned (u);
CREATE INDEX churned_k ON churned (k);
CREATE INDEX churned_part ON churned (id) WHERE note = 'open';
CREATE INDEX churned_expr ON churned (lower(note), k);
INSERT INTO churned SELECT g, md5(g::text)::uuid, g % 700, 'open' FROM generate_series(1, 60000) g;
VACUUM churned;
DELETE FROM churned WHERE id % 5 < 2;
VACUUM churned;
UPDATE churned SET note = 'done' WHERE id % 5 = 3;
CREATE TABLE ranged (id int PRIMARY KEY, u uuid UNIQUE);
INSERT INTO ranged SELECT g, md5(g::text)::uuid FROM generate_series(1, 60000) g;
DELETE FROM ranged WHERE id < 50000;
VACUUM ranged;
CREATE TABLE dead (id int, k int);
INSERT INTO dead SELECT g, g % 3000 FROM generate_series(1, 60000) g;
CREATE INDEX dead_id ON dead (id);
CREATE INDEX dead_k ON dead (k);
VACUUM dead;
DELETE FROM dead WHERE k % 2 = 0;
CREATE TABLE fresh (id int PRIMARY KEY, k int, t text, n int);
INSERT INTO fresh SELECT g, g % 100, md5(g::text), CASE WHEN g % 3 = 0 THEN g END FROM generate_series(1, 60000) g;
CREATE INDEX fresh_k ON fresh (k) WITH (fillfactor = 60);
CREATE INDEX fresh_t ON fresh (t) INCLUDE (k);
CREATE INDEX fresh_n ON fresh (n DESC) WITH (deduplicate_items = off);
VACUUM fresh;
CREATE TABLE other (id int, p point, r int4range, a int[], t text);
INSERT INTO other SELECT g, point(random(), random()), int4range(g, g + 10), ARRAY[g % 1000, g % 37, g], 'key/' || md5(g::text)
  FROM generate_series(1, 20000) g;
CREATE INDEX other_hash ON other USING hash (id);
CREATE INDEX other_gist ON other USING gist (p);
CREATE INDEX other_range ON other USING gist (r);
CREATE INDEX other_gin ON other USING gin (a);
CREATE INDEX other_spgist ON other USING spgist (t);
CREATE INDEX other_brin ON other USING brin (id);
CREATE TABLE other_fresh AS TABLE other;
CREATE INDEX other_fresh_hash ON other_fresh USING hash (id);
CREATE INDEX other_fresh_gist ON other_fresh USING gist (p);
CREATE INDEX other_fresh_gin ON other_fresh USING gin (a);
CREATE INDEX other_fresh_spgist ON other_fresh USING spgist (t);
CREATE INDEX other_fresh_brin ON other_fresh USING brin (id);
VACUUM other;
VACUUM other_fresh;
DELETE FROM other WHERE id % 2 = 0;
VACUUM other;
-- what this session changed is to be counted before ANALYZE, not after
SELECT pg_stat_force_next_flush();
ANALYZE;

-- estimates, now
CREATE TEMP TABLE estimate AS
SELECT m.method AS asked, b.*
  FROM (VALUES ('sample'), ('exact'), ('quick')) m(method)
       CROSS JOIN (VALUES ('churned'::regclass), ('ranged'), ('dead'), ('fresh'), ('other'), ('other_fresh')) t(relid)
       CROSS JOIN LATERAL get_index_bloat(t.relid, method => m.method) b
 WHERE b.index_name !~ '^pg_toast';

-- what each method says about what; no row of another index
SELECT index_name, access_method AS am,
       string_agg(coalesce(method, left(reason, 30)), ', ' ORDER BY asked) FILTER (WHERE asked <> 'sample') AS "exact, quick",
       -- small indexes are read whole
       bool_and(method IN ('sample', 'exact', 'model')) FILTER (WHERE asked = 'sample') AS sample
  FROM estimate GROUP BY index_name, access_method ORDER BY index_name;

-- the truth: sizes before and after
CREATE TEMP TABLE truth AS
SELECT c.relname AS index_name, pg_relation_size(c.oid) AS before, 0::bigint AS after
  FROM pg_class c WHERE c.relnamespace = 'ib'::regnamespace AND c.relkind = 'i';
REINDEX SCHEMA ib;
UPDATE truth SET after = pg_relation_size(('ib.' || index_name)::regclass);

-- expected to be empty: errors above what is promised
SELECT e.index_name, e.asked, round(100.0 * (e.wasted_bytes - greatest(t.before - t.after, 0)) / t.before, 1) AS error_pct
  FROM estimate e JOIN truth t USING (index_name)
 WHERE abs(e.wasted_bytes - greatest(t.before - t.after, 0)) >
       t.before * CASE WHEN e.access_method = 'btree' AND e.asked = 'exact' THEN 0.012
                       WHEN e.access_method = 'btree' THEN 0.05
                       ELSE 0.15 END
       -- two pages are nothing
       + 2 * 8192;

-- expected to be empty: intervals that are none, impossible numbers
SELECT index_name, asked FROM estimate
 WHERE method <> 'quick'
   AND NOT (0 <= wasted_bytes_low AND wasted_bytes_low <= wasted_bytes AND wasted_bytes <= wasted_bytes_high
            AND wasted_bytes_high <= index_bytes AND dead_entry_bytes >= 0 AND deleted_page_bytes >= 0)
    OR method = 'quick' AND num_nonnulls(wasted_bytes_low, wasted_bytes_high) > 0
    OR blocks_read > CASE asked WHEN 'quick' THEN 10 WHEN 'sample' THEN 640 ELSE 3000 END
    OR (wasted_bytes IS NULL) <> (reason IS NOT NULL);

-- bloat, and what to do; the decoys have neither
SELECT index_name, waste_pct > 25 AS bloated, fix_sql FROM estimate
 WHERE asked = 'sample' AND fix_sql IS NOT NULL ORDER BY index_name;

-- dead entries and deleted pages are told apart
SELECT index_name, deleted_page_bytes > 0.5 * index_bytes AS deleted, dead_entry_bytes > 0.3 * index_bytes AS dead
  FROM estimate WHERE asked = 'exact' AND index_name IN ('ranged_pkey', 'dead_id') ORDER BY 1;

-- rebuilt indexes are not bloated, by any method
SELECT count(*) > 30 AS measured, bool_and(b.wasted_bytes <= greatest(0.15 * b.index_bytes, 16384)) AS small,
       bool_and(b.wasted_bytes <= greatest(0.015 * b.index_bytes, 8192)) FILTER (WHERE access_method = 'btree') AS btree_none
  FROM (VALUES ('sample'), ('exact')) m(method)
       CROSS JOIN (VALUES ('churned'::regclass), ('ranged'), ('dead'), ('fresh'), ('other'), ('other_fresh')) t(relid)
       CROSS JOIN LATERAL get_index_bloat(t.relid, method => m.method) b;

-- the interval covers the truth as often as it says, or nearly
CREATE TABLE covered (u uuid);
CREATE INDEX covered_u ON covered (u);
INSERT INTO covered SELECT md5(g::text)::uuid FROM generate_series(1, 150000) g;
DELETE FROM covered WHERE u < '80000000-0000-0000-0000-000000000000' AND random() < 0.7;
CREATE TEMP TABLE draws AS
SELECT b.* FROM generate_series(1, 30) g CROSS JOIN LATERAL get_index_bloat('covered_u', min_waste_bytes => g * 0, sample_blocks => 60) b;
SELECT pg_relation_size('covered_u') AS before \gset
REINDEX INDEX covered_u;
SELECT count(*) FILTER (WHERE :before - pg_relation_size('covered_u') BETWEEN wasted_bytes_low AND wasted_bytes_high) >= 25 AS covers,
       count(DISTINCT wasted_bytes) > 5 AS differ,
       max(wasted_bytes_high - wasted_bytes_low) < 0.4 * :before AS narrow
  FROM draws;
DROP TABLE covered;

-- what an old snapshot still sees stays
CREATE TABLE held (id int PRIMARY KEY);
INSERT INTO held SELECT generate_series(1, 30000);
VACUUM held;
BEGIN;
DELETE FROM held WHERE id % 3 > 0;
SELECT wasted_bytes = 0 AS kept, dead_entry_bytes = 0 AS not_dead FROM get_index_bloat('held', method => 'exact');
COMMIT;
SELECT waste_pct > 60 AS gone FROM get_index_bloat('held', method => 'exact');

-- a partitioned index is the sum of its partitions; any of them can be asked for
CREATE TABLE part (id int, at int, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (100);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (100) TO (200) PARTITION BY LIST (id);
CREATE TABLE part_2a PARTITION OF part_2 DEFAULT;
INSERT INTO part SELECT g, g % 200 FROM generate_series(1, 40000) g;
DELETE FROM part WHERE id % 4 > 0;
SELECT index_name, waste_pct > 60 AS bloated, fix_sql FROM get_index_bloat('part', 0, 'exact') ORDER BY index_name;
SELECT b.index_bytes = sum(pg_relation_size(i.indexrelid)) AS sum
  FROM get_index_bloat('part_pkey', method => 'exact') b, pg_index i
 WHERE b.index_name = 'part_pkey' AND i.indrelid IN ('part_1'::regclass, 'part_2a'::regclass) GROUP BY b.index_bytes;
SELECT index_name FROM get_index_bloat('part_2a') UNION ALL SELECT index_name FROM get_index_bloat('part_1_pkey');

-- names, constraints, TOAST, temporary and system tables, invalid indexes
CREATE TABLE "Odd ""Name" (id int, r int4range, doc text, EXCLUDE USING gist (r WITH &&));
CREATE INDEX "In Dex" ON "Odd ""Name" (id);
ALTER TABLE "Odd ""Name" ALTER doc SET STORAGE EXTERNAL;
INSERT INTO "Odd ""Name" SELECT g, int4range(g * 2, g * 2 + 1), repeat('x', 5000) FROM generate_series(1, 3000) g;
DELETE FROM "Odd ""Name" WHERE id > 100;
VACUUM "Odd ""Name";
SELECT table_name, regexp_replace(index_name, '[0-9]+', 'N') AS index_name,
       regexp_replace(fix_sql, '[0-9]+', 'N') AS fix_sql
  FROM get_index_bloat('"Odd ""Name"') ORDER BY 2;
CREATE TEMP TABLE mine (id int PRIMARY KEY);
INSERT INTO mine SELECT generate_series(1, 20000);
DELETE FROM mine WHERE id > 100;
SELECT waste_pct > 80 AS bloated, fix_sql ~ '^REINDEX INDEX pg_temp_[0-9]+.mine_pkey;$' AS fix FROM get_index_bloat('mine');
SELECT count(*) > 0 AS catalog, bool_and(reason IS NULL) AS measured FROM get_index_bloat('pg_class');
CREATE TABLE twice (a int);
INSERT INTO twice VALUES (1), (1);
\set VERBOSITY terse
CREATE UNIQUE INDEX CONCURRENTLY twice_a ON twice (a);
\set VERBOSITY default
SELECT index_name, wasted_bytes = index_bytes AS all_of_it, method, reason, fix_sql FROM get_index_bloat('twice');
CREATE VIEW nothing AS SELECT 1 AS a;
SELECT count(*) FROM get_index_bloat('nothing');

-- without a target: what is worth it, and nothing else
SELECT count(*) FROM get_index_bloat();
SELECT count(*) > 0 AS some, bool_and(wasted_bytes >= 50000) AS enough FROM get_index_bloat(min_waste_bytes => 50000) WHERE reason IS NULL;
SET pg_steward.bloat_max_blocks = 100;
SELECT count(*) > 0 AS bounded FROM get_index_bloat(min_waste_bytes => 0)
 WHERE reason = 'skipped: pg_steward.bloat_max_blocks were read';
RESET pg_steward.bloat_max_blocks;

-- the same for those who may read statistics of tables, words for others
CREATE TEMP TABLE as_superuser AS SELECT * FROM get_index_bloat('dead', method => 'exact');
GRANT ALL ON as_superuser TO PUBLIC;
CREATE ROLE ib_scan;
GRANT pg_stat_scan_tables TO ib_scan;
CREATE ROLE ib_nobody;
SET ROLE ib_scan;
SELECT count(*) FROM (SELECT * FROM get_index_bloat('ib.dead', method => 'exact') EXCEPT SELECT * FROM as_superuser) d;
SET ROLE ib_nobody;
SELECT index_name, index_bytes > 0 AS size, wasted_bytes, reason FROM get_index_bloat('ib.dead') ORDER BY index_name;
RESET ROLE;
DROP ROLE ib_scan, ib_nobody;

-- what is locked is skipped, not waited for
BEGIN;
LOCK TABLE fresh IN ACCESS EXCLUSIVE MODE;
PREPARE TRANSACTION 'ib';
SELECT index_name, index_bytes > 0 AS size, wasted_bytes, reason FROM get_index_bloat('fresh') WHERE index_name ~ '^fresh' ORDER BY index_name;
COMMIT PREPARED 'ib';

-- not possible
SELECT * FROM get_index_bloat('dead', method => 'guess');
SELECT * FROM get_index_bloat('dead', method => NULL);
SELECT * FROM get_index_bloat('dead', sample_blocks => 0);
DROP SCHEMA ib CASCADE;
