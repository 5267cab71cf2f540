-- get_table_sizes(), get_database_size(), get_schema_sizes(),
-- get_tablespace_sizes(): equal to the server's own functions.
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
-- indexes, TOAST and tables of one schema in several tablespaces
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE sz_space LOCATION '';
CREATE TABLESPACE sz_unused LOCATION '';
CREATE TABLE elsewhere (id int PRIMARY KEY USING INDEX TABLESPACE sz_space, doc text) TABLESPACE sz_space;
ALTER TABLE elsewhere ALTER doc SET STORAGE EXTERNAL;
INSERT INTO elsewhere SELECT g, repeat('z', 3000) FROM generate_series(1, 300) g;
VACUUM elsewhere;
CREATE TABLE index_elsewhere AS SELECT * FROM plain;
CREATE INDEX ON index_elsewhere (id) TABLESPACE sz_space;
ANALYZE index_elsewhere;
CREATE SCHEMA sz_second;
CREATE TABLE sz_second.alone AS SELECT g FROM generate_series(1, 3000) g;
CREATE SCHEMA sz_empty;
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
-- one relation after the other by the server gives the same
SELECT count(*) AS different FROM (
    (SELECT * FROM get_table_sizes() EXCEPT ALL SELECT * FROM get_table_sizes(exact => true))
    UNION ALL
    (SELECT * FROM get_table_sizes(NULL, true) EXCEPT ALL SELECT * FROM get_table_sizes(NULL, NULL))) x;
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

-- the schemas: each is the sum of its relations
CREATE FUNCTION pg_temp.schema_bytes(schema_name text, kinds "char"[], shared boolean) RETURNS bigint
LANGUAGE sql AS $$
    SELECT coalesce(sum(pg_table_size(c.oid)), 0)::bigint
      FROM pg_class c
     WHERE c.relnamespace = schema_name::regnamespace AND c.relisshared = shared AND c.relkind = ANY (kinds) $$;
SELECT s.schema_name, s.note,
       s.tables_bytes + s.toast_bytes = pg_temp.schema_bytes(quote_ident(s.schema_name), '{r,m}', s.note IS NOT NULL) AS tables,
       s.indexes_bytes = pg_temp.schema_bytes(quote_ident(s.schema_name), '{i}', s.note IS NOT NULL) AS indexes,
       s.other_bytes >= pg_temp.schema_bytes(quote_ident(s.schema_name), '{S}', s.note IS NOT NULL) AS sequences,
       s.table_count = t.tables AND s.index_count = t.indexes AS counts,
       s.size = pg_size_pretty(s.size_bytes) AS pretty,
       s.tables_bytes + s.indexes_bytes + s.toast_bytes + s.other_bytes = s.size_bytes AS adds_up
  FROM get_schema_sizes() s
       CROSS JOIN LATERAL (
           SELECT count(*) FILTER (WHERE c.relkind IN ('r', 'm')) AS tables,
                  count(*) FILTER (WHERE c.relkind = 'i') AS indexes
             FROM pg_class c
            WHERE c.relnamespace = quote_ident(s.schema_name)::regnamespace
              AND c.relisshared = (s.note IS NOT NULL)) t
 WHERE s.schema_name IN ('Sz Schema', 'sz_second', 'sz_empty', 'pg_catalog')
 ORDER BY s.schema_name COLLATE "C", s.note NULLS FIRST;
SELECT size_bytes > 0 AS temporary FROM get_schema_sizes()
 WHERE schema_name = pg_my_temp_schema()::regnamespace::text;
SELECT sum(s.size_bytes) FILTER (WHERE s.schema_name IS DISTINCT FROM 'pg_catalog' OR s.note IS NULL)
       = pg_database_size(current_database()) AS database,
       sum(s.size_bytes) FILTER (WHERE s.schema_name = 'pg_catalog' AND s.note IS NOT NULL)
       = (SELECT pg_tablespace_size(oid) FROM pg_tablespace WHERE spcname = 'pg_global') AS shared,
       count(*) FILTER (WHERE s.schema_name LIKE 'pg_toast%') AS toast_schemas
  FROM get_schema_sizes() s;
-- the tablespaces
SELECT tablespace_name,
       tables_bytes > 0 AS tables, indexes_bytes > 0 AS indexes, toast_bytes > 0 AS toast,
       tables_bytes + indexes_bytes + toast_bytes + other_bytes = size_bytes AS adds_up,
       all_databases_bytes = pg_tablespace_size(tablespace_name) AS all_equal, note
  FROM get_tablespace_sizes(all_databases => true)
 ORDER BY tablespace_name COLLATE "C";
SELECT t.tables_bytes = pg_table_size('elsewhere') - pg_total_relation_size(c.reltoastrelid) AS tables,
       t.toast_bytes = pg_total_relation_size(c.reltoastrelid) AS toast,
       t.indexes_bytes = pg_indexes_size('elsewhere') + pg_indexes_size('index_elsewhere') AS indexes,
       t.table_count, t.index_count, t.other_bytes
  FROM get_tablespace_sizes() t, pg_class c
 WHERE t.tablespace_name = 'sz_space' AND c.oid = 'elsewhere'::regclass;
SELECT sum(size_bytes) FILTER (WHERE tablespace_name <> 'pg_global') = pg_database_size(current_database()) AS database,
       count(all_databases_bytes) AS not_asked_for
  FROM get_tablespace_sizes();
SELECT count(*) = (SELECT count(*) FROM pg_database) AS all_there,
       count(size_bytes) = count(*) AS visible, count(tables_bytes) AS with_parts
  FROM get_database_size(all_databases => true);

RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA "Sz Schema" CASCADE;
DROP SCHEMA sz_second, sz_empty CASCADE;
DROP TABLESPACE sz_space;
DROP TABLESPACE sz_unused;
DROP FOREIGN DATA WRAPPER sz_wrapper CASCADE;
