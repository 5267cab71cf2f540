-- What REINDEX would free; see src/storage/index_bloat.c.

CREATE FUNCTION steward.index_bloat(
    indexes oid[],
    method text,
    sample_blocks integer,
    bounded boolean,
    OUT index_oid oid,
    OUT index_bytes bigint,
    OUT wasted_bytes bigint,
    OUT wasted_bytes_low bigint,
    OUT wasted_bytes_high bigint,
    OUT deleted_page_bytes bigint,
    OUT dead_entry_bytes bigint,
    OUT held_by_xmin_bytes bigint,
    OUT blocks_read bigint,
    OUT method_used text,
    OUT reason text)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE COST 100000 ROWS 100
AS 'MODULE_PATHNAME', 'pg_steward_index_bloat';
COMMENT ON FUNCTION steward.index_bloat(oid[], text, integer, boolean) IS
'internal: bytes that REINDEX would free of each of these indexes, those of one table next to each other; bounded: reads at most pg_steward.bloat_max_blocks; numbers need pg_stat_scan_tables or ownership of the table; anyone may call it';

CREATE FUNCTION @extschema@.get_index_bloat(
    target regclass DEFAULT NULL,
    min_waste_bytes bigint DEFAULT 10485760,
    OUT schema_name text,
    OUT table_name text,
    OUT index_name text,
    OUT access_method text,
    OUT index_bytes bigint,
    OUT wasted_bytes bigint,
    OUT wasted_bytes_low bigint,
    OUT wasted_bytes_high bigint,
    OUT waste_pct double precision,
    OUT wasted_space text,
    OUT deleted_page_bytes bigint,
    OUT dead_entry_bytes bigint,
    OUT held_by_xmin_bytes bigint,
    OUT blocks_read bigint,
    INOUT method text DEFAULT 'sample',
    OUT reason text,
    OUT fix_sql text,
    IN sample_blocks integer DEFAULT 300)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE COST 100000 ROWS 100 SET jit = off
BEGIN ATOMIC
    WITH RECURSIVE
    -- the target and, if it is partitioned, all below it
    wanted (relid) AS (
        SELECT target::oid
        UNION
        SELECT i.inhrelid
          FROM wanted w
               JOIN pg_class p ON p.oid = w.relid AND p.relkind IN ('p', 'I')
               JOIN pg_inherits i ON i.inhparent = w.relid),
    -- their indexes, and the owner if the table is TOAST; a named target costs
    -- a few index look-ups, however many relations there are
    about (oid, owner) AS (
        SELECT x.indexrelid, o.oid
          FROM pg_index x LEFT JOIN pg_class o ON o.reltoastrelid = x.indrelid
         WHERE target IS NULL
        UNION ALL
        SELECT f.oid, f.owner
          FROM wanted w
               CROSS JOIN LATERAL (
                   SELECT x.indexrelid, NULL::oid
                     FROM pg_index x WHERE x.indexrelid = w.relid
                    UNION ALL
                   SELECT x.indexrelid, NULL::oid
                     FROM pg_index x WHERE x.indrelid = w.relid
                    UNION ALL
                   SELECT x.indexrelid, o.oid
                     FROM pg_class o JOIN pg_index x ON x.indrelid = o.reltoastrelid
                    WHERE o.oid = w.relid
                   OFFSET 0) f (oid, owner)),
    -- what is said of them, with the table that the user knows
    candidate AS (
        SELECT i.*, target IS NOT NULL AND target::oid IN (i.oid, i.indrelid, i.table_oid) AS named
          FROM about a
               CROSS JOIN LATERAL (
                   SELECT c.oid, c.relname, c.relnamespace, c.relkind, c.relpersistence, m.amname,
                          coalesce(o.oid, t.oid) AS table_oid, x.indrelid,
                          coalesce(o.relname, t.relname) AS table_name, n.nspname,
                          x.indisvalid, x.indisexclusion,
                          EXISTS (SELECT FROM pg_constraint k
                                   WHERE k.conrelid = x.indrelid AND k.conindid = c.oid) AS is_constraint
                     FROM pg_class c
                          JOIN pg_index x ON x.indexrelid = c.oid
                          JOIN pg_am m ON m.oid = c.relam
                          JOIN pg_class t ON t.oid = x.indrelid
                          LEFT JOIN pg_class o
                            ON o.oid = coalesce(a.owner,
                                                CASE WHEN t.relkind = 't'
                                                     THEN (SELECT u.oid FROM pg_class u WHERE u.reltoastrelid = t.oid) END)
                          JOIN pg_namespace n ON n.oid = coalesce(o.relnamespace, t.relnamespace)
                    WHERE c.oid = a.oid
                   OFFSET 0) i
         WHERE target IS NOT NULL OR i.nspname NOT IN ('pg_catalog', 'information_schema')),
    -- every index with each partitioned index above it
    tree (root, member) AS (
        SELECT i.inhparent, i.inhrelid
          FROM candidate p
               CROSS JOIN LATERAL (
                   SELECT h.inhparent, h.inhrelid FROM pg_inherits h WHERE h.inhparent = p.oid OFFSET 0) i
         WHERE p.relkind = 'I'
        UNION
        SELECT t.root, i.inhrelid
          FROM tree t JOIN pg_inherits i ON i.inhparent = t.member),
    -- without a target, sizes tell which indexes are not worth reading
    size AS MATERIALIZED (
        SELECT s.relid, s.main_bytes FROM steward.relation_sizes() s WHERE target IS NULL),
    sized AS (
        SELECT c.oid, c.indrelid, s.main_bytes AS bytes,
               greatest(s.main_bytes,
                        (SELECT max(g.bytes)
                           FROM (SELECT sum(s2.main_bytes) AS bytes
                                   FROM tree up
                                        JOIN tree all_of ON all_of.root = up.root
                                        JOIN size s2 ON s2.relid = all_of.member
                                  WHERE up.member = c.oid
                                  GROUP BY up.root) g)) AS tree_bytes
          FROM candidate c LEFT JOIN size s ON s.relid = c.oid
         WHERE c.relkind = 'i'),
    chosen AS (
        SELECT array_agg(z.oid ORDER BY z.table_bytes DESC NULLS LAST, z.indrelid,
                                        z.bytes DESC NULLS LAST, z.oid) AS indexes
          FROM (SELECT s.oid, s.indrelid, s.bytes, sum(s.bytes) OVER (PARTITION BY s.indrelid) AS table_bytes
                  FROM sized s
                 WHERE target IS NOT NULL OR s.tree_bytes >= min_waste_bytes OR s.bytes IS NULL) z),
    measured AS (
        SELECT b.index_oid, b.index_bytes,
               CASE WHEN NOT i.busy THEN b.wasted_bytes END AS wasted_bytes,
               CASE WHEN NOT i.busy THEN b.wasted_bytes_low END AS wasted_bytes_low,
               CASE WHEN NOT i.busy THEN b.wasted_bytes_high END AS wasted_bytes_high,
               b.deleted_page_bytes, b.dead_entry_bytes, b.held_by_xmin_bytes,
               b.blocks_read, b.method_used,
               CASE WHEN i.busy THEN 'skipped: invalid, and CREATE INDEX, REINDEX or VACUUM is at work on its table'
                    WHEN NOT c.indisvalid AND b.reason IS NULL
                    THEN 'invalid: left over from a failed CREATE INDEX or REINDEX, no query uses it'
                    ELSE b.reason END AS reason
          FROM chosen
               CROSS JOIN LATERAL steward.index_bloat(chosen.indexes, $3, $4, target IS NULL) b
               JOIN candidate c ON c.oid = b.index_oid
               CROSS JOIN LATERAL (
                   SELECT NOT c.indisvalid AND EXISTS (
                              SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
                               WHERE d.datname = current_database() AND l.relation = c.indrelid
                                 AND l.mode = 'ShareUpdateExclusiveLock' AND l.granted) AS busy) i),
    entry AS (
        SELECT m.*, c.named, c.nspname, c.table_name, c.relname, c.relnamespace, c.amname,
               c.relpersistence, c.indisexclusion, c.is_constraint, c.indisvalid
          FROM measured m JOIN candidate c ON c.oid = m.index_oid
        UNION ALL
        SELECT c.oid,
               sum(m.index_bytes)::bigint,
               sum(m.wasted_bytes)::bigint,
               greatest(sum(m.wasted_bytes) - sqrt(sum((m.wasted_bytes - m.wasted_bytes_low)::float8 ^ 2)), 0)::bigint,
               least(sum(m.wasted_bytes) + sqrt(sum((m.wasted_bytes_high - m.wasted_bytes)::float8 ^ 2)),
                     sum(m.index_bytes))::bigint,
               sum(m.deleted_page_bytes)::bigint,
               sum(m.dead_entry_bytes)::bigint,
               sum(m.held_by_xmin_bytes)::bigint,
               sum(m.blocks_read)::bigint,
               min(m.method_used),
               CASE WHEN count(m.reason) > 0
                    THEN format('%s of %s partitions incomplete, such as: %s', count(m.reason), count(*), min(m.reason)) END,
               c.named, c.nspname, c.table_name, c.relname, c.relnamespace, c.amname,
               c.relpersistence, c.indisexclusion, c.is_constraint, true
          FROM candidate c
               JOIN tree t ON t.root = c.oid
               JOIN measured m ON m.index_oid = t.member
         WHERE c.relkind = 'I'
         GROUP BY c.oid, c.named, c.nspname, c.table_name, c.relname, c.relnamespace, c.amname,
                  c.relpersistence, c.indisexclusion, c.is_constraint)
    SELECT e.nspname::text, e.table_name::text, e.relname::text, e.amname::text,
           e.index_bytes, e.wasted_bytes, e.wasted_bytes_low, e.wasted_bytes_high,
           p.waste_pct, pg_size_pretty(e.wasted_bytes),
           e.deleted_page_bytes, e.dead_entry_bytes, e.held_by_xmin_bytes,
           e.blocks_read, e.method_used, e.reason,
           CASE WHEN pg_is_in_recovery() THEN '-- on the primary:' || chr(10) ELSE '' END ||
           CASE WHEN NOT e.indisvalid AND e.wasted_bytes IS NOT NULL AND NOT e.is_constraint
                THEN format('DROP INDEX CONCURRENTLY %s;', p.name)
                         || CASE WHEN e.relname ~ '_cc(new|old)[0-9]*$' THEN ''
                                 ELSE format(' -- or build it anew: REINDEX INDEX CONCURRENTLY %s;', p.name) END
                WHEN e.wasted_bytes < min_waste_bytes AND NOT e.named
                     OR e.wasted_bytes < 0.2 * e.index_bytes
                     OR e.wasted_bytes_low < 0.1 * e.index_bytes
                     OR e.wasted_bytes IS NULL OR e.wasted_bytes = 0 THEN NULL
                WHEN e.indisexclusion
                THEN format('REINDEX INDEX %s; -- nobody writes the table or uses the index meanwhile: an exclusion constraint cannot be rebuilt concurrently', p.name)
                WHEN e.nspname = 'pg_catalog'
                THEN format('REINDEX INDEX %s; -- nobody writes the table or uses the index meanwhile: a system catalog cannot be rebuilt concurrently', p.name)
                WHEN e.relpersistence = 't' THEN format('REINDEX INDEX %s;', p.name)
                ELSE format('REINDEX INDEX CONCURRENTLY %s;', p.name) END
      FROM entry e
           CROSS JOIN LATERAL (
               SELECT round(100.0 * e.wasted_bytes / nullif(e.index_bytes, 0), 2)::float8 AS waste_pct,
                      e.relnamespace::regnamespace::text || '.' || quote_ident(e.relname) AS name) p
     WHERE e.named OR e.reason IS NOT NULL OR e.wasted_bytes >= min_waste_bytes
     ORDER BY e.wasted_bytes DESC NULLS LAST, e.index_bytes DESC, e.nspname, e.relname;
END;
COMMENT ON FUNCTION @extschema@.get_index_bloat(regclass, bigint, text, integer) IS
'what REINDEX of an index, with its table as it is, would free, biggest waste first: bytes now, wasted with a 95 % interval, in percent and pretty; bytes of deleted and empty pages, of entries for rows that are dead, of entries for dead rows that an old transaction still holds (REINDEX keeps those); blocks_read of index, table and maps; method sample, exact, quick, model (no exact rules: GIN, GiST, SP-GiST) or catalog; reason why numbers are missing; fix_sql to consider. target is an index, a table (all its indexes, also that of its TOAST), a partitioned table or index (summed over its tree); NULL looks at all indexes but those of system catalogs and hides what wastes less than min_waste_bytes. method sample reads about sample_blocks blocks at random, of the index and as many of its table, exact all of them, quick only the free space map, if statistics permit. Never queues for a lock. Indexes on tables of others need pg_stat_scan_tables (pg_monitor), else the row says so; anyone may call it';
