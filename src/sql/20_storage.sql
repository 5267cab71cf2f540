-- What is big.  Sizes come from the directories of the database and never wait
-- for a lock; see relation_files.c and relation_sizes.c.

CREATE FUNCTION steward.relation_sizes(
    OUT relid oid,
    OUT main_bytes bigint,
    OUT all_bytes bigint)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 20000 ROWS 10000
AS 'MODULE_PATHNAME', 'pg_steward_relation_sizes';
COMMENT ON FUNCTION steward.relation_sizes() IS
'internal: bytes on disk of each relation of this database that has files, and of the shared catalogs, of the main fork and of all forks, without a lock on any of them; anyone may call it';

CREATE FUNCTION steward.table_sizes(
    OUT relid oid,
    OUT main_bytes bigint,
    OUT heap_bytes bigint,
    OUT toast_bytes bigint,
    OUT indexes_bytes bigint)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 20000 ROWS 10000
AS 'MODULE_PATHNAME', 'pg_steward_table_sizes';
COMMENT ON FUNCTION steward.table_sizes() IS
'internal: bytes on disk of each table and materialized view, catalogs included: of the main fork, of all forks, of TOAST with its index and of the indexes, without a lock on any of them; anyone may call it';

CREATE FUNCTION steward.storage_sums(
    OUT schema_oid oid,
    OUT tablespace_oid oid,
    OUT part text,
    OUT relations bigint,
    OUT bytes bigint)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 20000 ROWS 100
AS 'MODULE_PATHNAME', 'pg_steward_storage_sums';
COMMENT ON FUNCTION steward.storage_sums() IS
'internal: number and bytes on disk of tables, indexes, TOAST relations (indexes included) and sequences, by the schema of the table and the tablespace of the relation; part "other" with schema 0 is files of no relation that is seen; tablespace pg_global is shared by all databases; anyone may call it';

CREATE FUNCTION steward.partition_members(
    OUT root oid,
    OUT member oid)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 1000 ROWS 1000
AS 'MODULE_PATHNAME', 'pg_steward_partition_members';
COMMENT ON FUNCTION steward.partition_members() IS
'internal: every relation that has a parent, tables and indexes, with its parent and all above that; exact for partitions only; anyone may call it';

CREATE FUNCTION @extschema@.get_table_sizes(
    limit_count integer DEFAULT NULL,
    exact boolean DEFAULT false,
    OUT schema_name text,
    OUT table_name text,
    OUT row_count bigint,
    OUT total_size text,
    OUT table_size text,
    OUT indexes_size text,
    OUT total_bytes bigint,
    OUT heap_bytes bigint,
    OUT toast_bytes bigint,
    OUT indexes_bytes bigint,
    OUT row_count_source text,
    OUT kind text)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED COST 30000 ROWS 100
BEGIN ATOMIC
    WITH
    -- from the directories, or one by one, with the locks that takes
    size AS MATERIALIZED (
        SELECT s.relid, s.main_bytes, s.heap_bytes, s.toast_bytes, s.indexes_bytes
          FROM steward.table_sizes() s
         WHERE exact IS NOT TRUE
        UNION ALL
        SELECT t.oid, m.bytes, m.total - m.toast - m.indexes, m.toast, m.indexes
          FROM pg_class t
               JOIN pg_namespace n ON n.oid = t.relnamespace
               CROSS JOIN LATERAL (
                   SELECT pg_relation_size(t.oid) AS bytes,
                          coalesce(pg_total_relation_size(nullif(t.reltoastrelid, 0)), 0) AS toast,
                          pg_indexes_size(t.oid) AS indexes,
                          pg_total_relation_size(t.oid) AS total) m
         WHERE exact AND t.relkind IN ('r', 'm')
           AND n.nspname NOT IN ('pg_catalog', 'information_schema')),
    -- every table that has storage of its own
    leaf AS MATERIALIZED (
        SELECT c.oid, n.nspname::text AS schema_name, c.relname::text AS table_name,
               CASE WHEN c.relkind = 'm' THEN 'materialized view'
                    WHEN c.relispartition THEN 'partition'
                    WHEN c.relpersistence = 't' THEN 'temporary table'
                    WHEN c.relpersistence = 'u' THEN 'unlogged table'
                    ELSE 'table'
               END AS kind,
               h.heap_bytes AS heap, h.toast_bytes AS toast, h.indexes_bytes AS indexes,
               CASE e.source
                    WHEN 'empty file' THEN 0
                    WHEN 'activity counters' THEN e.counted
                    WHEN 'planner estimate' THEN e.planned
               END AS row_estimate,
               e.source AS row_estimate_source
          FROM size h
               JOIN pg_class c ON c.oid = h.relid
               JOIN pg_namespace n ON n.oid = c.relnamespace
               -- The planner takes the density at the last VACUUM or ANALYZE
               -- times the pages of now, and so counts bloat as rows, and
               -- misses rows that filled a table emptied before.  The counters
               -- know better once VACUUM or ANALYZE has set them, but count
               -- twice what was loaded just before; a crash or reset empties
               -- them.  So counters it is, unless they say up to twice as much.
               -- Without either having been set, they are believed if they
               -- claim a row a page at least.
               CROSS JOIN LATERAL (
                   SELECT CASE WHEN c.reltuples >= 0 AND c.relpages > 0
                               THEN round(c.reltuples::float8 / c.relpages
                                          * (h.main_bytes / current_setting('block_size')::integer))
                          END AS planned,
                          CASE WHEN pg_stat_get_vacuum_count(c.oid) + pg_stat_get_autovacuum_count(c.oid)
                                    + pg_stat_get_analyze_count(c.oid) + pg_stat_get_autoanalyze_count(c.oid) > 0
                                    OR (c.reltuples < 0 OR c.relpages = 0)
                                       AND pg_stat_get_tuples_inserted(c.oid) > 0
                                       AND pg_stat_get_live_tuples(c.oid)
                                           >= h.main_bytes / current_setting('block_size')::integer
                               THEN pg_stat_get_live_tuples(c.oid) END AS counted) r
               CROSS JOIN LATERAL (
                   SELECT r.planned, r.counted,
                          CASE WHEN h.main_bytes = 0 THEN 'empty file'
                               WHEN r.planned IS NULL AND r.counted IS NOT NULL
                                    OR r.counted < r.planned OR r.counted > 2.1 * r.planned
                               THEN 'activity counters'
                               WHEN r.planned IS NOT NULL THEN 'planner estimate'
                               ELSE 'unknown: never analyzed' END AS source) e
         WHERE c.relkind IN ('r', 'm')
           AND n.nspname NOT IN ('pg_catalog', 'information_schema')),
    -- every partition with each partitioned table above it
    tree AS MATERIALIZED (
        SELECT m.root, m.member
          FROM steward.partition_members() m
               JOIN pg_partitioned_table p ON p.partrelid = m.root),
    rolled AS (
        SELECT t.root, sum(l.heap)::bigint AS heap, sum(l.toast)::bigint AS toast,
               sum(l.indexes)::bigint AS indexes, sum(l.row_estimate) AS row_estimate,
               count(*) <> count(l.row_estimate) AS unknown
          FROM leaf l JOIN tree t ON t.member = l.oid
         GROUP BY t.root),
    partly_foreign AS (
        SELECT DISTINCT t.root
          FROM tree t JOIN pg_foreign_table f ON f.ftrelid = t.member),
    entry AS (
        SELECT l.schema_name, l.table_name, l.heap, l.toast, l.indexes,
               l.row_estimate, l.row_estimate_source, l.kind
          FROM leaf l
        UNION ALL
        SELECT n.nspname, p.relname,
               coalesce(r.heap, 0), coalesce(r.toast, 0), coalesce(r.indexes, 0),
               -- unknown as soon as it is for one partition
               CASE WHEN NOT coalesce(r.unknown, false) THEN coalesce(r.row_estimate, 0) END,
               CASE WHEN r.unknown
                    THEN 'unknown: a partition was never analyzed'
                    WHEN f.root IS NOT NULL
                    THEN 'sum of partitions, foreign ones left out'
                    ELSE 'sum of partitions' END,
               'partitioned table'
          FROM pg_partitioned_table pt
               JOIN pg_class p ON p.oid = pt.partrelid
               JOIN pg_namespace n ON n.oid = p.relnamespace
               LEFT JOIN rolled r ON r.root = p.oid
               LEFT JOIN partly_foreign f ON f.root = p.oid),
    shown AS (
        SELECT e.schema_name, e.table_name, e.row_estimate, e.heap, e.toast, e.indexes,
               e.row_estimate_source, e.kind
          FROM entry e
         ORDER BY e.heap + e.toast + e.indexes DESC, e.schema_name COLLATE "C", e.table_name COLLATE "C"
         LIMIT steward.check_limit(limit_count))
    SELECT s.schema_name, s.table_name, s.row_estimate::bigint,
           pg_size_pretty(s.heap + s.toast + s.indexes),
           pg_size_pretty(s.heap),
           pg_size_pretty(s.indexes),
           s.heap + s.toast + s.indexes, s.heap, s.toast, s.indexes,
           s.row_estimate_source, s.kind
      FROM shown s;
END;
COMMENT ON FUNCTION @extschema@.get_table_sizes(integer, boolean) IS
'tables, materialized views, partitions and partitioned tables (summed over their tree) of this database, biggest first, system catalogs left out; sizes pretty, then in bytes: heap with its maps, TOAST with its index, indexes; row_count is an estimate whose origin row_count_source tells; limit_count NULL shows all; never waits for a lock, unless exact => true asks the server for the size of one relation after the other, which locks each for a moment (ACCESS SHARE) and waits for whoever holds it exclusively; anyone may call it';

CREATE FUNCTION @extschema@.get_database_size(
    all_databases boolean DEFAULT false,
    OUT database_name text,
    OUT size text,
    OUT size_bytes bigint,
    OUT tables_bytes bigint,
    OUT indexes_bytes bigint,
    OUT toast_bytes bigint,
    OUT other_bytes bigint,
    OUT note text)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED COST 30000 ROWS 1
BEGIN ATOMIC
    WITH part AS (
        SELECT coalesce(sum(s.bytes), 0)::bigint AS total,
               coalesce(sum(s.bytes) FILTER (WHERE s.part = 'table'), 0)::bigint AS tables,
               coalesce(sum(s.bytes) FILTER (WHERE s.part = 'index'), 0)::bigint AS indexes,
               coalesce(sum(s.bytes) FILTER (WHERE s.part = 'toast'), 0)::bigint AS toast
          FROM steward.storage_sums() s
               LEFT JOIN pg_tablespace t ON t.oid = s.tablespace_oid
         WHERE t.spcname IS DISTINCT FROM 'pg_global')
    SELECT d.datname::text, pg_size_pretty(p.total), p.total,
           p.tables, p.indexes, p.toast, p.total - p.tables - p.indexes - p.toast, NULL
      FROM part p, pg_database d
     WHERE d.datname = current_database()
    UNION ALL
    SELECT d.datname::text, pg_size_pretty(b.bytes), b.bytes, NULL, NULL, NULL, NULL,
           CASE WHEN v.visible THEN 'parts: connect to the database'
                ELSE 'skipped: needs CONNECT on the database or pg_read_all_stats' END
      FROM pg_database d
           CROSS JOIN LATERAL (
               SELECT has_database_privilege(d.oid, 'CONNECT')
                      OR pg_has_role('pg_read_all_stats', 'USAGE') AS visible) v
           CROSS JOIN LATERAL (
               SELECT CASE WHEN v.visible THEN pg_database_size(d.oid) END AS bytes) b
     WHERE all_databases AND d.datname <> current_database()
     ORDER BY 3 DESC NULLS LAST, 1;
END;
COMMENT ON FUNCTION @extschema@.get_database_size(boolean) IS
'size of this database, pretty and in bytes, with the bytes of its tables, indexes (TOAST indexes apart), TOAST and all other files, which add up; with all_databases => true also the total of every other database, null where the caller may not see it; never waits for a lock; anyone may call it';

CREATE FUNCTION @extschema@.get_schema_sizes(
    limit_count integer DEFAULT NULL,
    OUT schema_name text,
    OUT size text,
    OUT size_bytes bigint,
    OUT tables_bytes bigint,
    OUT indexes_bytes bigint,
    OUT toast_bytes bigint,
    OUT other_bytes bigint,
    OUT table_count bigint,
    OUT index_count bigint,
    OUT note text)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED COST 30000 ROWS 20
BEGIN ATOMIC
    WITH part AS (
        SELECT s.schema_oid, coalesce(t.spcname = 'pg_global', false) AS shared, s.part, s.relations, s.bytes
          FROM steward.storage_sums() s
               LEFT JOIN pg_tablespace t ON t.oid = s.tablespace_oid),
    -- one row for a schema, one for files of none, and shared ones apart
    place AS (
        SELECT n.oid, false AS shared, n.nspname::text AS name, NULL AS note
          FROM pg_namespace n
         WHERE n.nspname !~ '^pg_(toast|temp_|toast_temp_)'
            OR n.oid IN (SELECT p.schema_oid FROM part p)
        UNION ALL
        VALUES (0::oid, false, NULL,
                'files of no relation: just dropped or created, left behind by a crash, or the database''s own'),
               (0::oid, true, 'pg_catalog', 'shared by all databases, not part of the size of this one')),
    total AS (
        SELECT l.name, l.note,
               coalesce(sum(p.bytes), 0)::bigint AS total,
               coalesce(sum(p.bytes) FILTER (WHERE p.part = 'table'), 0)::bigint AS tables,
               coalesce(sum(p.bytes) FILTER (WHERE p.part = 'index'), 0)::bigint AS indexes,
               coalesce(sum(p.bytes) FILTER (WHERE p.part = 'toast'), 0)::bigint AS toast,
               coalesce(sum(p.relations) FILTER (WHERE p.part = 'table'), 0)::bigint AS table_count,
               coalesce(sum(p.relations) FILTER (WHERE p.part = 'index'), 0)::bigint AS index_count
          FROM place l
               LEFT JOIN part p ON p.shared = l.shared
                               AND (p.shared OR p.schema_oid = l.oid)
         GROUP BY l.oid, l.shared, l.name, l.note)
    SELECT t.name, pg_size_pretty(t.total), t.total, t.tables, t.indexes, t.toast,
           t.total - t.tables - t.indexes - t.toast, t.table_count, t.index_count, t.note
      FROM total t
     ORDER BY t.total DESC, t.name, t.note
     LIMIT steward.check_limit(limit_count);
END;
COMMENT ON FUNCTION @extschema@.get_schema_sizes(integer) IS
'bytes of each schema of this database, biggest first, with the bytes of its tables, indexes, TOAST (with its indexes) and the rest, which add up, and the number of tables and indexes; TOAST belongs to the schema of its table; all rows but the one of the shared catalogs add up to the size of the database; limit_count NULL shows all; never waits for a lock; anyone may call it';

CREATE FUNCTION @extschema@.get_tablespace_sizes(
    all_databases boolean DEFAULT false,
    OUT tablespace_name text,
    OUT size text,
    OUT size_bytes bigint,
    OUT tables_bytes bigint,
    OUT indexes_bytes bigint,
    OUT toast_bytes bigint,
    OUT other_bytes bigint,
    OUT table_count bigint,
    OUT index_count bigint,
    OUT all_databases_bytes bigint,
    OUT note text)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED COST 30000 ROWS 5
BEGIN ATOMIC
    WITH total AS (
        SELECT s.tablespace_oid,
               sum(s.bytes)::bigint AS total,
               coalesce(sum(s.bytes) FILTER (WHERE s.part = 'table'), 0)::bigint AS tables,
               coalesce(sum(s.bytes) FILTER (WHERE s.part = 'index'), 0)::bigint AS indexes,
               coalesce(sum(s.bytes) FILTER (WHERE s.part = 'toast'), 0)::bigint AS toast,
               coalesce(sum(s.relations) FILTER (WHERE s.part = 'table'), 0)::bigint AS table_count,
               coalesce(sum(s.relations) FILTER (WHERE s.part = 'index'), 0)::bigint AS index_count
          FROM steward.storage_sums() s
         GROUP BY s.tablespace_oid)
    SELECT s.spcname::text, pg_size_pretty(b.total), b.total, b.tables, b.indexes, b.toast,
           b.total - b.tables - b.indexes - b.toast, b.table_count, b.index_count,
           CASE WHEN all_databases AND v.visible THEN pg_tablespace_size(s.oid) END,
           CASE WHEN all_databases AND NOT v.visible
                THEN 'skipped: needs CREATE on the tablespace or pg_read_all_stats'
                WHEN s.spcname = 'pg_global' THEN 'shared by all databases, not part of the size of this one' END
      FROM pg_tablespace s
           LEFT JOIN total t ON t.tablespace_oid = s.oid
           CROSS JOIN LATERAL (
               SELECT coalesce(t.total, 0) AS total, coalesce(t.tables, 0) AS tables,
                      coalesce(t.indexes, 0) AS indexes, coalesce(t.toast, 0) AS toast,
                      coalesce(t.table_count, 0) AS table_count, coalesce(t.index_count, 0) AS index_count) b
           CROSS JOIN LATERAL (
               SELECT s.oid = (SELECT d.dattablespace FROM pg_database d WHERE d.datname = current_database())
                      OR has_tablespace_privilege(s.oid, 'CREATE')
                      OR pg_has_role('pg_read_all_stats', 'USAGE') AS visible) v
     ORDER BY b.total DESC, s.spcname;
END;
COMMENT ON FUNCTION @extschema@.get_tablespace_sizes(boolean) IS
'bytes of this database in each tablespace, biggest first, with the bytes of tables, indexes, TOAST (with its indexes) and the rest, which add up, and the number of tables and indexes; all rows but the one of the shared catalogs, pg_global, add up to the size of the database; with all_databases => true also what all databases have there, null where the caller may not see it; never waits for a lock; anyone may call it';

CREATE FUNCTION @extschema@.get_cache_hit_ratio(
    OUT cache text,
    OUT hit_pct double precision,
    OUT block_requests bigint,
    OUT blocks_hit bigint,
    OUT blocks_read bigint,
    OUT stats_since timestamptz)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED COST 10000 ROWS 5
BEGIN ATOMIC
    WITH io AS (
        SELECT CASE WHEN n.nspname IN ('pg_catalog', 'information_schema') THEN 'catalog'
                    WHEN c.relkind = 't' OR n.nspname = 'pg_toast' THEN
                        CASE WHEN o.relnamespace = 'pg_catalog'::regnamespace THEN 'catalog' ELSE 'toast' END
                    WHEN c.relkind = 'i' THEN 'index'
                    ELSE 'heap'
               END AS cache,
               pg_stat_get_blocks_fetched(c.oid) AS requests,
               pg_stat_get_blocks_hit(c.oid) AS hits
          FROM pg_class c
               JOIN pg_namespace n ON n.oid = c.relnamespace
               LEFT JOIN pg_index i ON i.indexrelid = c.oid
               LEFT JOIN pg_class o ON o.reltoastrelid = coalesce(i.indrelid, c.oid)
         WHERE c.relkind IN ('r', 'm', 't', 'i')),
    total AS (
        SELECT k.cache, k.position,
               coalesce(sum(io.requests), 0)::bigint AS requests,
               coalesce(sum(io.hits), 0)::bigint AS hits
          FROM (VALUES (1, 'heap'), (2, 'index'), (3, 'toast'), (4, 'catalog')) k(position, cache)
               LEFT JOIN io ON io.cache = k.cache
         GROUP BY k.cache, k.position
        UNION ALL
        SELECT 'all', 5, coalesce(sum(io.requests), 0)::bigint, coalesce(sum(io.hits), 0)::bigint
          FROM io)
    SELECT t.cache, round(100.0 * t.hits / nullif(t.requests, 0), 2)::float8,
           t.requests, t.hits, t.requests - t.hits,
           (SELECT pg_stat_get_db_stat_reset_time(d.oid) FROM pg_database d WHERE d.datname = current_database())
      FROM total t
     ORDER BY t.position;
END;
COMMENT ON FUNCTION @extschema@.get_cache_hit_ratio() IS
'share of block requests answered from shared buffers, in percent, for the heaps, indexes and TOAST of this database''s user tables, for the system catalogs and for all of them; null without traffic; block_requests tells how much to trust it; counted since stats_since, which is null when the counters were never reset; a block read may still come from the operating system''s cache; anyone may call it';
