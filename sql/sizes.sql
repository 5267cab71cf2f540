-- get_table_sizes(), get_database_size(): equal to the server's own functions.
CREATE SCHEMA "Sz Schema";
SET search_path = "Sz Schema", public;
CREATE TABLE plain (id int PRIMARY KEY, a int, b text);
INSERT INTO plain SELECT g, g % 10, repeat('x', 100) FROM generate_series(1, 10000) g;
CREATE INDEX ON plain (a);
CREATE TABLE "Mixed ""Case" (id int);
CREATE TABLE toasted (id int, doc text);
ALTER TABLE toasted ALTER doc SET STORAGE EXTERNAL;
INSERT INTO toasted SELECT g, repeat(md5(g::text), 500) FROM generate_series(1, 100) g;
CREATE TABLE analyzed AS SELECT g FROM generate_series(1, 5000) g;
ANALYZE analyzed;
CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY);
INSERT INTO unlogged SELECT generate_series(1, 1000);
CREATE MATERIALIZED VIEW mv AS SELECT * FROM plain;
CREATE INDEX ON mv (a);
CREATE TABLE part (id int, at int, doc text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (100);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (100) TO (200) PARTITION BY LIST (id);
CREATE TABLE part_2a PARTITION OF part_2 DEFAULT;
CREATE TABLE part_empty (a int) PARTITION BY LIST (a);
INSERT INTO part SELECT g, g % 200, repeat('y', 50) FROM generate_series(1, 4000) g;
VACUUM ANALYZE part_1, part_2a;
CREATE FOREIGN DATA WRAPPER sz_wrapper;
CREATE SERVER sz_server FOREIGN DATA WRAPPER sz_wrapper;
CREATE TABLE part_foreign (a int) PARTITION BY LIST (a);
CREATE TABLE part_local PARTITION OF part_foreign FOR VALUES IN (1);
CREATE FOREIGN TABLE part_remote PARTITION OF part_foreign FOR VALUES IN (2) SERVER sz_server;
INSERT INTO part_foreign SELECT 1 FROM generate_series(1, 100);
CREATE TEMP TABLE mine (id int PRIMARY KEY);
INSERT INTO mine SELECT generate_series(1, 1000);
CREATE SEQUENCE seq;
CREATE VIEW v AS SELECT * FROM plain;
VACUUM ANALYZE plain;
ANALYZE mv;
-- an update of all rows doubles the pages, not the rows
CREATE TABLE updated WITH (autovacuum_enabled = off) AS SELECT g FROM generate_series(1, 5000) g;
SELECT pg_stat_force_next_flush();
ANALYZE updated;
UPDATE updated SET g = g + 1;
SELECT pg_stat_force_next_flush();
-- a queue that was emptied, vacuumed and filled again
CREATE TABLE refilled (id int) WITH (autovacuum_enabled = off);
INSERT INTO refilled SELECT generate_series(1, 20000);
DELETE FROM refilled WHERE id < 19990;
SELECT pg_stat_force_next_flush();
VACUUM refilled;
INSERT INTO refilled SELECT generate_series(1, 15000);
SELECT pg_stat_force_next_flush();
SELECT pg_stat_reset_single_table_counters(t::regclass) FROM unnest(ARRAY['toasted', 'analyzed']) t;

-- estimates
SELECT table_name, kind, row_count, row_count_source
  FROM get_table_sizes() WHERE schema_name = 'Sz Schema' OR table_name = 'mine'
 ORDER BY table_name COLLATE "C";

-- every table of its own storage equals pg_total_relation_size() and family
SELECT count(*) >= 9 AS several,
       bool_and(total_bytes = pg_total_relation_size(r)
                AND indexes_bytes = pg_indexes_size(r)
                AND heap_bytes + toast_bytes = pg_table_size(r)
                AND total_bytes = heap_bytes + toast_bytes + indexes_bytes) AS equal,
       bool_and(total_size = pg_size_pretty(total_bytes)
                AND table_size = pg_size_pretty(heap_bytes)
                AND indexes_size = pg_size_pretty(indexes_bytes)) AS pretty
  FROM (SELECT *, format('%I.%I', schema_name, table_name)::regclass AS r FROM get_table_sizes()) s
 WHERE kind <> 'partitioned table';
-- nothing is missing, nothing appears twice
SELECT count(*) FROM (
    SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'm', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    EXCEPT ALL
    SELECT schema_name, table_name FROM get_table_sizes()) missing;
SELECT count(*) - count(DISTINCT (schema_name, table_name)) AS doubles FROM get_table_sizes();

-- a partitioned table is the sum over its tree
SELECT s.table_name, s.total_bytes = t.total AS equal, s.row_count
  FROM get_table_sizes() s
       CROSS JOIN LATERAL (
           SELECT sum(pg_total_relation_size(relid)) AS total
             FROM pg_partition_tree(format('%I.%I', s.schema_name, s.table_name)::regclass)) t
 WHERE s.kind = 'partitioned table' AND s.table_name <> 'part_empty'
 ORDER BY 1;

-- biggest first, and limited
SELECT bool_and(x) AS sorted FROM (
    SELECT total_bytes >= lead(total_bytes) OVER (ORDER BY n)
      FROM (SELECT row_number() OVER () AS n, total_bytes FROM get_table_sizes()) a) b(x);
SELECT count(*) FROM get_table_sizes(3);
SELECT count(*) FROM get_table_sizes(0);
SELECT get_table_sizes(-1);

-- after a rewrite, a truncation, and in a transaction of one's own
BEGIN;
TRUNCATE plain;
SELECT total_bytes = pg_total_relation_size('plain') AS equal FROM get_table_sizes() WHERE table_name = 'plain';
ROLLBACK;
VACUUM FULL plain;
SELECT total_bytes = pg_total_relation_size('plain') AS equal FROM get_table_sizes() WHERE table_name = 'plain';

-- the database
CHECKPOINT;
SELECT database_name = current_database() AS here,
       size_bytes = pg_database_size(current_database()) AS equal,
       size = pg_size_pretty(size_bytes) AS pretty,
       tables_bytes + indexes_bytes + toast_bytes + other_bytes = size_bytes AS adds_up,
       least(tables_bytes, indexes_bytes, toast_bytes, other_bytes) > 0 AS all_there,
       note
  FROM get_database_size();
SELECT tables_bytes = (SELECT sum(pg_relation_size(oid, 'main') + pg_relation_size(oid, 'fsm')
                                  + pg_relation_size(oid, 'vm') + pg_relation_size(oid, 'init'))
                         FROM pg_class WHERE relkind IN ('r', 'm') AND NOT relisshared) AS tables_equal,
       indexes_bytes = (SELECT sum(pg_indexes_size(oid))
                          FROM pg_class WHERE relkind IN ('r', 'm') AND NOT relisshared) AS indexes_equal,
       toast_bytes = (SELECT sum(pg_total_relation_size(oid))
                        FROM pg_class WHERE relkind = 't' AND NOT relisshared) AS toast_equal
  FROM get_database_size();
SELECT count(*) = (SELECT count(*) FROM pg_database) AS all_there,
       count(size_bytes) = count(*) AS visible, count(tables_bytes) AS with_parts
  FROM get_database_size(all_databases => true);

RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA "Sz Schema" CASCADE;
DROP FOREIGN DATA WRAPPER sz_wrapper CASCADE;
