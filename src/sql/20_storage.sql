-- What is big.  Sizes come from the directories of the database and never wait
-- for a lock; see relation_files.c.

CREATE FUNCTION steward.relation_files(
    OUT tablespace_oid oid,
    OUT file_number oid,
    OUT temp_owner integer,
    OUT main_bytes bigint,
    OUT all_bytes bigint)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 10000 ROWS 1000
AS 'MODULE_PATHNAME', 'pg_steward_relation_files';
COMMENT ON FUNCTION steward.relation_files() IS
'internal: bytes on disk of each relation of this database by tablespace, file number and number of the owning backend (-1: not temporary), of the main fork and of all forks; file number 0 is whatever belongs to no relation; anyone may call it';

CREATE FUNCTION steward.relation_sizes(
    OUT relid oid,
    OUT main_bytes bigint,
    OUT all_bytes bigint)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED COST 20000 ROWS 1000
BEGIN ATOMIC
    SELECT r.oid, f.main_bytes, f.all_bytes
      FROM steward.relation_files() f
           LEFT JOIN (
               SELECT c.oid,
                      CASE WHEN c.relfilenode <> 0 THEN c.relfilenode
                           ELSE pg_relation_filenode(c.oid) END AS file_number,
                      CASE WHEN c.reltablespace <> 0 THEN c.reltablespace
                           ELSE d.dattablespace END AS tablespace_oid,
                      CASE WHEN c.relpersistence = 't'
                           THEN substring(n.nspname FROM '^pg_(?:toast_)?temp_([0-9]+)$')::integer
                           ELSE -1 END AS temp_owner
                 FROM pg_class c
                      JOIN pg_namespace n ON n.oid = c.relnamespace
                      JOIN pg_database d ON d.datname = current_database()
                WHERE c.relkind IN ('r', 'm', 't', 'i', 'S')
                  AND NOT c.relisshared) r
             ON r.file_number = f.file_number
            AND r.tablespace_oid = f.tablespace_oid
            AND r.temp_owner = f.temp_owner;
END;
COMMENT ON FUNCTION steward.relation_sizes() IS
'internal: bytes on disk of each relation of this database that has files, of the main fork and of all forks, without taking a lock; relid is null for files of no relation that the caller''s snapshot sees; shared catalogs are left out; anyone may call it';

CREATE FUNCTION @extschema@.get_table_sizes(
    limit_count integer DEFAULT NULL,
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
    WITH RECURSIVE
    size AS MATERIALIZED (
        SELECT s.relid, s.main_bytes, s.all_bytes FROM steward.relation_sizes() s),
    index_size AS (
        SELECT i.indrelid, sum(s.all_bytes)::bigint AS bytes
          FROM pg_index i JOIN size s ON s.relid = i.indexrelid
         GROUP BY i.indrelid),
    -- every table that has storage of its own
    leaf AS MATERIALIZED (
        SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, c.relispartition,
               coalesce(h.all_bytes, 0) AS heap,
               coalesce(t.all_bytes, 0) + coalesce(ti.bytes, 0) AS toast,
               coalesce(x.bytes, 0) AS indexes,
               CASE e.source
                    WHEN 'empty file' THEN 0
                    WHEN 'activity counters' THEN e.counted
                    WHEN 'planner estimate' THEN e.planned
               END AS row_estimate,
               e.source AS row_estimate_source
          FROM pg_class c
               JOIN pg_namespace n ON n.oid = c.relnamespace
               LEFT JOIN size h ON h.relid = c.oid
               LEFT JOIN size t ON t.relid = c.reltoastrelid
               LEFT JOIN index_size ti ON ti.indrelid = c.reltoastrelid
               LEFT JOIN index_size x ON x.indrelid = c.oid
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
                          CASE WHEN coalesce(h.main_bytes, 0) = 0 THEN 'empty file'
                               WHEN r.planned IS NULL AND r.counted IS NOT NULL
                                    OR r.counted < r.planned OR r.counted > 2.1 * r.planned
                               THEN 'activity counters'
                               WHEN r.planned IS NOT NULL THEN 'planner estimate'
                               ELSE 'unknown: never analyzed' END AS source) e
         WHERE c.relkind IN ('r', 'm')
           AND n.nspname NOT IN ('pg_catalog', 'information_schema')),
    -- every partition with each partitioned table above it
    tree (root, member) AS (
        SELECT i.inhparent, i.inhrelid
          FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent
         WHERE p.relkind = 'p'
        UNION
        SELECT t.root, i.inhrelid
          FROM tree t JOIN pg_inherits i ON i.inhparent = t.member),
    entry AS (
        SELECT l.nspname, l.relname, l.heap, l.toast, l.indexes,
               l.row_estimate, l.row_estimate_source,
               CASE WHEN l.relkind = 'm' THEN 'materialized view'
                    WHEN l.relispartition THEN 'partition'
                    WHEN l.relpersistence = 't' THEN 'temporary table'
                    WHEN l.relpersistence = 'u' THEN 'unlogged table'
                    ELSE 'table'
               END AS kind
          FROM leaf l
        UNION ALL
        SELECT n.nspname, p.relname,
               coalesce(sum(l.heap), 0)::bigint,
               coalesce(sum(l.toast), 0)::bigint,
               coalesce(sum(l.indexes), 0)::bigint,
               -- unknown as soon as it is for one partition
               CASE WHEN count(l.oid) = count(l.row_estimate)
                    THEN coalesce(sum(l.row_estimate), 0) END,
               CASE WHEN count(l.oid) <> count(l.row_estimate)
                    THEN 'unknown: a partition was never analyzed'
                    WHEN bool_or(f.relkind = 'f')
                    THEN 'sum of partitions, foreign ones left out'
                    ELSE 'sum of partitions' END,
               'partitioned table'
          FROM pg_class p
               JOIN pg_namespace n ON n.oid = p.relnamespace
               LEFT JOIN tree t ON t.root = p.oid
               LEFT JOIN leaf l ON l.oid = t.member
               LEFT JOIN pg_class f ON f.oid = t.member
         WHERE p.relkind = 'p'
         GROUP BY p.oid, n.nspname, p.relname)
    SELECT e.nspname::text, e.relname::text, e.row_estimate::bigint,
           pg_size_pretty(e.heap + e.toast + e.indexes),
           pg_size_pretty(e.heap),
           pg_size_pretty(e.indexes),
           e.heap + e.toast + e.indexes, e.heap, e.toast, e.indexes,
           e.row_estimate_source, e.kind
      FROM entry e
     ORDER BY e.heap + e.toast + e.indexes DESC, e.nspname, e.relname
     LIMIT steward.check_limit(limit_count);
END;
COMMENT ON FUNCTION @extschema@.get_table_sizes(integer) IS
'tables, materialized views, partitions and partitioned tables (summed over their tree) of this database, biggest first, system catalogs left out; sizes pretty, then in bytes: heap with its maps, TOAST with its index, indexes; row_count is an estimate whose origin row_count_source tells; limit_count NULL shows all; never waits for a lock; anyone may call it';

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
        SELECT sum(s.all_bytes)::bigint AS total,
               coalesce(sum(s.all_bytes) FILTER (WHERE c.relkind IN ('r', 'm')), 0)::bigint AS tables,
               coalesce(sum(s.all_bytes) FILTER (WHERE c.relkind = 'i' AND o.relkind <> 't'), 0)::bigint AS indexes,
               coalesce(sum(s.all_bytes) FILTER (WHERE c.relkind = 't' OR o.relkind = 't'), 0)::bigint AS toast
          FROM steward.relation_sizes() s
               LEFT JOIN pg_class c ON c.oid = s.relid
               LEFT JOIN pg_index i ON i.indexrelid = c.oid
               LEFT JOIN pg_class o ON o.oid = i.indrelid)
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
