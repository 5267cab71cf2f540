-- get_table_bloat() against the truth: the size before and after VACUUM FULL.
-- Planted waste of every kind, beside tables that only look wasteful.
CREATE SCHEMA tb;
SET search_path = tb, public;
SELECT setseed(0.37);

-- rows deleted at random, vacuumed or not; in one region; all; the last ones
CREATE TABLE scattered AS SELECT g AS id, md5(g::text) AS doc FROM generate_series(1, 60000) g;
DELETE FROM scattered WHERE random() < 0.3;
CREATE TABLE vacuumed AS SELECT * FROM scattered;
DELETE FROM vacuumed WHERE random() < 0.4;
VACUUM vacuumed;
CREATE TABLE region AS SELECT g AS id, md5(g::text) AS doc FROM generate_series(1, 60000) g;
DELETE FROM region WHERE id BETWEEN 20000 AND 35000;
VACUUM region;
CREATE TABLE emptied AS SELECT g AS id FROM generate_series(1, 50000) g;
DELETE FROM emptied;
CREATE TABLE tail AS SELECT g AS id, md5(g::text) AS doc FROM generate_series(1, 60000) g;
DELETE FROM tail WHERE id > 45000;
-- a load that failed
CREATE TABLE aborted AS SELECT g AS id, md5(g::text) AS doc FROM generate_series(1, 30000) g;
BEGIN;
INSERT INTO aborted SELECT g, md5(g::text) FROM generate_series(1, 30000) g;
ROLLBACK;
-- updates, HOT and others; dead line pointers
CREATE TABLE hot (id int PRIMARY KEY, n int, doc text) WITH (fillfactor = 60);
INSERT INTO hot SELECT g, 0, md5(g::text) FROM generate_series(1, 40000) g;
UPDATE hot SET n = 1 WHERE id % 2 = 0;
UPDATE hot SET n = 2 WHERE id % 4 = 0;
CREATE TABLE updated AS SELECT g AS id, 0 AS n, md5(g::text) AS doc FROM generate_series(1, 40000) g;
UPDATE updated SET n = 1 WHERE id % 2 = 0;
CREATE TABLE stubs (id int PRIMARY KEY, doc text);
INSERT INTO stubs SELECT g, md5(g::text) FROM generate_series(1, 40000) g;
DELETE FROM stubs WHERE id % 10 <> 0;
SELECT count(*) FROM stubs;
-- columns dropped, in the heap and in TOAST; added, with a default
CREATE TABLE dropped (id int, gone text, doc text);
INSERT INTO dropped SELECT g, repeat('x', 100), md5(g::text) FROM generate_series(1, 40000) g;
ALTER TABLE dropped DROP gone;
CREATE TABLE dropped_toast (id int, gone text, doc text);
ALTER TABLE dropped_toast ALTER gone SET STORAGE EXTERNAL, ALTER doc SET STORAGE EXTERNAL;
INSERT INTO dropped_toast
SELECT g, CASE WHEN g % 3 > 0 THEN repeat('x', 2100 + g % 3000) END, CASE WHEN g % 2 > 0 THEN repeat('y', 5000) END
  FROM generate_series(1, 3000) g;
ALTER TABLE dropped_toast DROP gone;
CREATE TABLE added AS SELECT g AS id, md5(g::text) AS doc FROM generate_series(1, 60000) g;
ALTER TABLE added ADD n bigint DEFAULT 7, ADD more text DEFAULT 'a default value of some length';
DELETE FROM added WHERE id % 5 < 3;
-- wide rows, TOAST with deleted values
CREATE TABLE wide (id int, doc text);
ALTER TABLE wide ALTER doc SET STORAGE PLAIN;
INSERT INTO wide SELECT g, repeat('x', 1500 + (random() * 2500)::int) FROM generate_series(1, 4000) g;
DELETE FROM wide WHERE random() < 0.4;
CREATE TABLE toasted (id int, doc text);
ALTER TABLE toasted ALTER doc SET STORAGE EXTERNAL;
INSERT INTO toasted SELECT g, repeat('x', 2100 + (random() * 6000)::int) FROM generate_series(1, 4000) g;
DELETE FROM toasted WHERE id % 3 = 0;
VACUUM toasted;
INSERT INTO toasted SELECT g, repeat('x', 2100 + (random() * 6000)::int) FROM generate_series(1, 500) g;
-- the same with other persistence, other kinds
CREATE UNLOGGED TABLE unlogged AS SELECT * FROM scattered;
DELETE FROM unlogged WHERE id % 2 = 0;
CREATE MATERIALIZED VIEW mv AS SELECT * FROM scattered;
CREATE UNIQUE INDEX ON mv (id);
UPDATE scattered SET doc = doc || 'x' WHERE id % 4 = 0;
REFRESH MATERIALIZED VIEW CONCURRENTLY mv;
CREATE TEMP TABLE own_temp AS SELECT g AS id, md5(g::text) AS doc FROM generate_series(1, 40000) g;
DELETE FROM own_temp WHERE id % 3 = 0;

-- values that a rewrite takes back from TOAST, and those it leaves there
CREATE TABLE main_shortened (id int, doc text, other text);
ALTER TABLE main_shortened ALTER doc SET STORAGE MAIN, ALTER other SET STORAGE MAIN;
INSERT INTO main_shortened
SELECT g, (SELECT string_agg(md5((g * 1000 + i)::text), '') FROM generate_series(1, 16 + g % 44) i),
       (SELECT string_agg(md5((g * 1000 - i)::text), '') FROM generate_series(1, 100 + g % 160) i)
  FROM generate_series(1, 1500) g;
UPDATE main_shortened SET doc = left(doc, 700) WHERE id % 2 = 0;

-- no waste: fresh, fillfactor, alignment, wide rows, TOAST, nulls, empty, tiny
CREATE TABLE fresh AS SELECT g AS id, md5(g::text) AS doc FROM generate_series(1, 60000) g;
CREATE TABLE padded AS SELECT true AS a, g::bigint AS b, true AS c, g::bigint AS d, 1::smallint AS e, g::bigint AS f FROM generate_series(1, 40000) g;
CREATE TABLE fill70 (id int, doc text) WITH (fillfactor = 70);
INSERT INTO fill70 SELECT g, md5(g::text) FROM generate_series(1, 50000) g;
VACUUM fill70;
CREATE TABLE wide_fresh (id int, doc text);
ALTER TABLE wide_fresh ALTER doc SET STORAGE PLAIN;
INSERT INTO wide_fresh SELECT g, repeat('x', 3000) FROM generate_series(1, 2000) g;
CREATE TABLE toasted_fresh (id int, doc text);
ALTER TABLE toasted_fresh ALTER doc SET STORAGE EXTERNAL;
INSERT INTO toasted_fresh SELECT g, repeat('x', 9000) FROM generate_series(1, 800) g;
CREATE TABLE sparse (id int, a text, b text, c text, d bigint, e text, f text, g text, h text, i text);
INSERT INTO sparse (id, e) SELECT g, CASE WHEN g % 7 = 0 THEN md5(g::text) END FROM generate_series(1, 60000) g;
CREATE TABLE empty (id int);
CREATE TABLE tiny AS SELECT 1 AS id;

-- estimates, six samples and one full reading of each
CREATE TEMP TABLE subject AS
SELECT c.oid AS relid, c.relname, pg_relation_size(c.oid) AS heap,
       CASE WHEN c.reltoastrelid <> 0 THEN pg_relation_size(c.reltoastrelid) ELSE 0 END AS toast,
       c.relname IN ('fresh', 'padded', 'fill70', 'wide_fresh', 'toasted_fresh', 'sparse', 'empty', 'tiny') AS clean
  FROM pg_class c
 WHERE c.relkind IN ('r', 'm') AND (c.relnamespace = 'tb'::regnamespace OR c.oid = 'own_temp'::regclass);
CREATE TEMP TABLE sample AS
SELECT s.relid, b.* FROM subject s, generate_series(1, 6) i, LATERAL get_table_bloat(s.relid::regclass, i) b;
CREATE TEMP TABLE sample_10 AS
SELECT s.relid, b.* FROM subject s, LATERAL get_table_bloat(s.relid::regclass, sample_blocks => 10) b;
CREATE TEMP TABLE exact AS
SELECT s.relid, b.* FROM subject s, LATERAL get_table_bloat(s.relid::regclass, method => 'exact') b;
CREATE TEMP TABLE quick AS
SELECT s.relid, b.* FROM subject s, LATERAL get_table_bloat(s.relid::regclass, method => 'quick') b;

-- the truth
SELECT format('VACUUM FULL %s', relid::regclass) FROM subject ORDER BY relname \gexec
CREATE TEMP TABLE truth AS
SELECT s.*, greatest(s.heap - pg_relation_size(s.relid), 0) AS wasted,
       greatest(s.toast - CASE WHEN c.reltoastrelid <> 0 THEN pg_relation_size(c.reltoastrelid) ELSE 0 END, 0) AS toast_wasted
  FROM subject s JOIN pg_class c ON c.oid = s.relid;
CREATE TEMP VIEW error AS
SELECT e.method, t.relname, t.clean, t.heap + t.toast AS size,
       coalesce(abs(e.wasted_bytes - t.wasted) * 100.0 / nullif(t.heap, 0), 0) AS heap_error,
       coalesce(abs(e.toast_wasted_bytes - t.toast_wasted) * 100.0 / nullif(t.toast, 0), 0) AS toast_error,
       t.wasted BETWEEN e.wasted_bytes_low AND e.wasted_bytes_high AS heap_covered,
       t.toast_wasted BETWEEN e.toast_wasted_bytes_low AND e.toast_wasted_bytes_high AS toast_covered,
       e.wasted_bytes_low <= e.wasted_bytes AND e.wasted_bytes <= e.wasted_bytes_high
       AND e.heap_bytes = t.heap AND e.toast_bytes = t.toast AS consistent,
       e.reason
  FROM truth t JOIN (TABLE sample UNION ALL TABLE exact UNION ALL TABLE quick) e USING (relid);

-- the plants are what they are meant to be
SELECT relname, wasted + toast_wasted > 0.15 * (heap + toast) AS wasteful, clean
  FROM truth ORDER BY relname COLLATE "C";
-- expected to be empty: wrong by more than a tenth of a point, of all blocks
SELECT * FROM error WHERE method = 'exact'
   AND NOT (heap_error <= 0.1 AND toast_error <= 0.1 AND heap_covered AND toast_covered AND consistent AND reason IS NULL);
-- expected to be empty: wrong by more than three points, by a sample
SELECT * FROM error WHERE method = 'sample'
   AND NOT (heap_error <= 3 AND toast_error <= 3 AND consistent AND reason IS NULL);
SELECT avg(heap_error) <= 0.3 AS heap_good, avg(toast_error) <= 0.3 AS toast_good,
       avg(heap_covered::int) >= 0.9 AS heap_covered, avg(toast_covered::int) >= 0.9 AS toast_covered
  FROM error WHERE method = 'sample';
-- expected to be empty: maps that were believed and were wrong
SELECT * FROM error WHERE method = 'quick' AND reason IS NULL AND NOT (heap_error <= 8 AND toast_error <= 15);
SELECT relname, reason FROM error WHERE method = 'quick' AND relname IN ('vacuumed', 'region', 'fill70', 'scattered', 'dropped') ORDER BY 1;
SELECT bool_and(num_nulls(wasted_bytes_low, wasted_bytes_high, dead_tuple_bytes, held_by_xmin_bytes) = 4) AS no_interval,
       max(blocks_read) <= 8 AS maps_only
  FROM quick;
-- few blocks suffice for a rough answer, and it says how rough
SELECT max(blocks_read) < 260 AS few, bool_and(heap_bytes = 0 OR wasted_bytes_high - wasted_bytes_low >= 0) AS interval,
       count(*) FILTER (WHERE abs(s.wasted_bytes - t.wasted) > 0.2 * t.heap) <= 3 AS rough
  FROM sample_10 s JOIN truth t USING (relid);
-- clean tables need nothing, afterwards nobody does
SELECT bool_and(fix_sql IS NULL) AS no_advice FROM sample s JOIN subject USING (relid) WHERE clean;
SELECT count(*) AS still_wasteful FROM subject s, LATERAL get_table_bloat(s.relid::regclass, method => 'exact') b WHERE b.waste_pct > 0.5;
-- counts
SELECT dead_tuple_bytes > 1000000 AS dead, free_bytes < 1000000 AS full, held_by_xmin_bytes AS held FROM exact WHERE table_name = 'tail';
SELECT dead_tuple_bytes AS dead, free_bytes > 1000000 AS free FROM exact WHERE table_name = 'region';

-- advice
CREATE TABLE "Needs Quotes" AS SELECT g AS id, md5(g::text) AS doc FROM generate_series(1, 30000) g;
DELETE FROM "Needs Quotes" WHERE id % 2 = 0;
SELECT regexp_replace(fix_sql, '[0-9]+ [kM]?B', 'SIZE', 'g') AS fix_sql FROM get_table_bloat('"Needs Quotes"', 0);
-- too little to rewrite
SELECT fix_sql FROM get_table_bloat('"Needs Quotes"');
-- a name does not end a comment
BEGIN;
INSERT INTO pg_extension SELECT g.oid, g.name, e.extowner, e.extnamespace, false, '1', NULL, NULL
  FROM pg_extension e, (VALUES (1, 'pg_repack'), (2, 'pg_squeeze')) g(oid, name) WHERE e.extname = 'pg_steward';
SELECT regexp_replace(fix_sql, '[0-9]+ [kM]?B', 'SIZE', 'g') AS fix_sql FROM get_table_bloat('"Needs Quotes"', 0);
ALTER TABLE "Needs Quotes" RENAME TO "two
lines";
SELECT regexp_replace(fix_sql, '[0-9]+ [kM]?B', 'SIZE', 'g') AS fix_sql FROM get_table_bloat('"two
lines"', 0);
ROLLBACK;
VACUUM "Needs Quotes";
SELECT fix_sql ~ '^VACUUM FULL' AS rewrite_only, bloat_ratio BETWEEN 0.4 AND 0.6 AS half, waste_pct BETWEEN 40 AND 60 AS pct,
       wasted_space = pg_size_pretty(wasted_bytes + toast_wasted_bytes) AS pretty
  FROM get_table_bloat('"Needs Quotes"', 0);

-- all tables: only what wastes enough, most wasteful first; nothing else is read
CREATE TABLE big_waste AS SELECT g AS id, repeat('x', 1000) AS doc FROM generate_series(1, 20000) g;
DELETE FROM big_waste WHERE id % 5 <> 0;
SELECT schema_name, table_name, waste_pct > 75 AS much FROM get_table_bloat() WHERE schema_name = 'tb';
SELECT count(*) FROM get_table_bloat() WHERE schema_name IN ('pg_catalog', 'information_schema', 'pg_toast');
SELECT bool_and(w >= lead) AS sorted, count(*) > 20 AS all_there
  FROM (SELECT wasted_bytes + toast_wasted_bytes AS w, lead(wasted_bytes + toast_wasted_bytes) OVER () FROM get_table_bloat(min_waste_bytes => 0)) s;
SELECT table_name FROM get_table_bloat('pg_catalog.pg_proc');
-- bounded
SET pg_steward.bloat_max_blocks = 100;
SELECT sum(blocks_read) < 500 AS bounded, count(reason) > 0 AS some_left_out,
       min(reason) FROM get_table_bloat(min_waste_bytes => 0);
SELECT reason FROM get_table_bloat(method => 'exact') WHERE table_name = 'big_waste';
SELECT reason IS NULL AS whole FROM get_table_bloat('big_waste', method => 'exact');
RESET pg_steward.bloat_max_blocks;

-- partitions, rolled up on each level, and single
CREATE TABLE part (id int, at int, doc text) PARTITION BY RANGE (at);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (100);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (100) TO (200) PARTITION BY LIST (id);
CREATE TABLE part_2a PARTITION OF part_2 FOR VALUES IN (1);
CREATE TABLE part_2b PARTITION OF part_2 DEFAULT;
CREATE TABLE part_empty (a int) PARTITION BY LIST (a);
INSERT INTO part SELECT g % 3, g % 200, repeat('x', 500) FROM generate_series(1, 50000) g;
DELETE FROM part WHERE at >= 100;
SELECT p.table_name, p.heap_bytes = t.heap AS heap, p.wasted_bytes = t.wasted AS wasted,
       p.wasted_bytes_low = p.wasted_bytes AS exact, p.waste_pct > 90 AS much, p.blocks_read = t.blocks AS blocks
  FROM get_table_bloat('part', 0, 'exact') p
       CROSS JOIN LATERAL (
           SELECT sum(b.heap_bytes) AS heap, sum(b.wasted_bytes) AS wasted, sum(b.blocks_read) AS blocks
             FROM pg_partition_tree(p.table_name::regclass) l, LATERAL get_table_bloat(l.relid, 0, 'exact') b
            WHERE l.isleaf) t
 ORDER BY 1;
SELECT table_name, waste_pct > 80 AS much FROM get_table_bloat('part_2', 0) ORDER BY 1;
SELECT table_name, reason, wasted_bytes FROM get_table_bloat('part_empty');
-- partitions of which each wastes little are looked at for their sum
SELECT table_name FROM get_table_bloat(min_waste_bytes => (SELECT sum(wasted_bytes)::bigint - 300000 FROM get_table_bloat('part', 0) WHERE table_name = 'part'))
 WHERE table_name LIKE 'part%';

-- withheld in words
CREATE FOREIGN DATA WRAPPER tb_wrapper;
CREATE SERVER tb_server FOREIGN DATA WRAPPER tb_wrapper;
CREATE FOREIGN TABLE remote (a int) SERVER tb_server;
CREATE VIEW v AS SELECT 1 AS a;
CREATE ACCESS METHOD tb_heap TYPE TABLE HANDLER heap_tableam_handler;
CREATE TABLE other_am (a int) USING tb_heap;
INSERT INTO other_am SELECT generate_series(1, 1000);
SELECT table_name, heap_bytes > 0 AS sized, wasted_bytes, waste_pct, fix_sql, reason
  FROM unnest('{remote,other_am}'::regclass[]) r, LATERAL get_table_bloat(r);
SELECT * FROM get_table_bloat('v');
SELECT * FROM get_table_bloat('stubs_pkey');
SELECT reason, schema_name, wasted_bytes FROM get_table_bloat(4294967295::oid::regclass);
-- wrong arguments
SELECT get_table_bloat(method => 'guess');
SELECT get_table_bloat(min_waste_bytes => -1);
SELECT get_table_bloat(sample_blocks => 0);
SELECT count(*) > 0 AS defaults FROM get_table_bloat(NULL, NULL, NULL, NULL);

-- who may: the owner, pg_stat_scan_tables, pg_monitor; the same numbers for all
CREATE ROLE tb_nobody;
CREATE ROLE tb_monitor IN ROLE pg_monitor;
CREATE ROLE tb_scan IN ROLE pg_stat_scan_tables;
SELECT 'tb.big_waste'::regclass::oid AS big_waste \gset
SET ROLE tb_nobody;
SELECT reason, heap_bytes > 0 AS sized, wasted_bytes FROM get_table_bloat(:big_waste);
SELECT DISTINCT reason FROM get_table_bloat(min_waste_bytes => 0) WHERE schema_name = 'tb' ORDER BY 1;
RESET ROLE;
SELECT to_jsonb(b) AS root FROM get_table_bloat('big_waste', method => 'exact') b \gset
SET ROLE tb_monitor;
SELECT to_jsonb(b) = :'root' AS same FROM get_table_bloat(:big_waste, method => 'exact') b;
SET ROLE tb_scan;
SELECT to_jsonb(b) = :'root' AS same FROM get_table_bloat(:big_waste, method => 'exact') b;
RESET ROLE;
ALTER TABLE big_waste OWNER TO tb_nobody;
SET ROLE tb_nobody;
SELECT to_jsonb(b) = :'root' AS same FROM get_table_bloat(:big_waste, method => 'exact') b;
RESET ROLE;

RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA tb CASCADE;
DROP FOREIGN DATA WRAPPER tb_wrapper CASCADE;
DROP ACCESS METHOD tb_heap;
DROP ROLE tb_nobody, tb_monitor, tb_scan;
