-- Indexes that cost more than they give, and foreign keys that lack one.
-- Everything is read from the catalogs and counters: no lock of a user's table
-- is waited for, see index_compare.c and index_foreign_key.c.

CREATE FUNCTION steward.check_minimum(value bigint, argument text)
RETURNS bigint
LANGUAGE C IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'pg_steward_check_minimum';
COMMENT ON FUNCTION steward.check_minimum(bigint, text) IS
'internal: the threshold given for an argument, 0 for null, an error for a negative one; anyone may call it';

CREATE FUNCTION steward.index_covers(keeper oid, covered oid)
RETURNS text
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'pg_steward_index_covers';
COMMENT ON FUNCTION steward.index_covers(oid, oid) IS
'internal: how one index makes another of the same table redundant: identical, included (the same keys and more INCLUDE columns) or prefix (more keys); null if it does not; anyone may call it';

CREATE FUNCTION steward.index_serves_key(index_oid oid, constraint_oid oid)
RETURNS boolean
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'pg_steward_index_serves_key';
COMMENT ON FUNCTION steward.index_serves_key(oid, oid) IS
'internal: whether a valid index can look up the rows that refer to a row by a foreign key; anyone may call it';

CREATE FUNCTION steward.key_indexable(constraint_oid oid)
RETURNS boolean
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'pg_steward_key_indexable';
COMMENT ON FUNCTION steward.key_indexable(oid) IS
'internal: whether an ordinary b-tree on the columns of a foreign key could serve it: not if they are cast to compare them; anyone may call it';

CREATE FUNCTION steward.index_invalid_now(index_oid oid)
RETURNS boolean
LANGUAGE C VOLATILE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'pg_steward_index_invalid_now';
COMMENT ON FUNCTION steward.index_invalid_now(oid) IS
'internal: whether an index exists and is invalid in the newest state of the catalogs; anyone may call it';

CREATE FUNCTION steward.index_created_at(index_oid oid)
RETURNS timestamptz
LANGUAGE C VOLATILE STRICT PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'pg_steward_index_created_at';
COMMENT ON FUNCTION steward.index_created_at(oid) IS
'internal: when the file of an index was created, so that the index is at least as old; null where the file system does not tell; anyone may call it';

CREATE FUNCTION steward.counting_since()
RETURNS timestamptz
LANGUAGE sql VOLATILE PARALLEL RESTRICTED
BEGIN ATOMIC
    -- Counters of relations vanish in a crash without a trace of their own.
    -- Those of the whole server are then started anew with the time; any of
    -- them may have been reset later by hand, so the oldest is taken.
    SELECT greatest(
               least(pg_stat_get_bgwriter_stat_reset_time(),
                     (SELECT a.stats_reset FROM pg_stat_archiver a),
                     (SELECT w.stats_reset FROM pg_stat_wal w)),
               (SELECT pg_stat_get_db_stat_reset_time(d.oid) FROM pg_database d
                 WHERE d.datname = current_database()));
END;
COMMENT ON FUNCTION steward.counting_since() IS
'internal: since when the counters of this database''s relations count: the last reset, crash, or creation of this server; anyone may call it';

CREATE FUNCTION steward.index_tail(index_oid oid)
RETURNS text
LANGUAGE sql VOLATILE PARALLEL SAFE COST 1000
BEGIN ATOMIC
    SELECT CASE WHEN starts_with(d.definition, h.head) THEN substr(d.definition, length(h.head) + 1) END
      FROM pg_index i
           JOIN pg_class x ON x.oid = i.indexrelid
           JOIN pg_class t ON t.oid = i.indrelid
           JOIN pg_namespace n ON n.oid = t.relnamespace
           CROSS JOIN LATERAL (SELECT format('CREATE %sINDEX %I ON %s%I.%I USING ',
                                             CASE WHEN i.indisunique THEN 'UNIQUE ' END, x.relname,
                                             CASE WHEN x.relkind = 'I' THEN 'ONLY ' END,
                                             n.nspname, t.relname) AS head) h
           CROSS JOIN LATERAL (SELECT steward.index_definition(i.indexrelid) AS definition) d
     WHERE i.indexrelid = index_oid;
END;
COMMENT ON FUNCTION steward.index_tail(oid) IS
'internal: what stands behind USING in the definition of an index; null while its table is locked exclusively; anyone may call it';

CREATE FUNCTION steward.drop_index_sql(relation oid, kind "char")
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT CASE WHEN kind = 'I'
                THEN format('BEGIN; SET LOCAL lock_timeout = ''2s''; DROP INDEX %I.%I; COMMIT;', n.nspname, x.relname)
                ELSE format('DROP INDEX CONCURRENTLY %I.%I;', n.nspname, x.relname) END
      FROM pg_class x JOIN pg_namespace n ON n.oid = x.relnamespace
     WHERE x.oid = relation;
END;
COMMENT ON FUNCTION steward.drop_index_sql(oid, "char") IS
'internal: the command that drops an index of this relkind; one of a partitioned table cannot be dropped concurrently, so that its locks are not waited for longer than two seconds; anyone may call it';

CREATE FUNCTION steward.new_index_name(table_name name, table_oid oid, tail text)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    -- Fits into 63 bytes, so that the number stays, which makes it unique: of
    -- the table and of what is indexed, for it may lack more than one index.
    SELECT format('%s_%s_idx', left(table_name::text, CASE WHEN octet_length(table_name::text) = length(table_name::text)
                                                           THEN 40 ELSE 10 END),
                  to_hex(hashtextextended(tail COLLATE "C", table_oid::bigint)));
END;
COMMENT ON FUNCTION steward.new_index_name(name, oid, text) IS
'internal: a name for a new index of a table, of which "tail" is what stands behind USING; anyone may call it';

CREATE FUNCTION steward.partitioned_index_sql(table_oid oid, index_oid oid, tail text)
RETURNS text
LANGUAGE sql VOLATILE PARALLEL SAFE COST 10000
BEGIN ATOMIC
    -- The tree of partitions, each with its index below that of its parent,
    -- if there is one, and else a finished one that could be attached.
    WITH RECURSIVE
    root AS (
        SELECT i.indexrelid, i.indisunique,
               CASE k.contype WHEN 'p' THEN 'PRIMARY KEY' WHEN 'u' THEN 'UNIQUE' END AS key_kind
          FROM (SELECT index_oid AS oid) a
               LEFT JOIN pg_index i ON i.indexrelid = a.oid
               LEFT JOIN pg_constraint k ON k.conindid = a.oid AND k.contype IN ('p', 'u')),
    node AS (
        SELECT 0 AS level, table_oid AS oid, c.relkind, n.nspname, c.relname,
               nullif(index_oid, 0) AS attached, NULL::oid AS spare,
               NULL::text COLLATE "C" AS parent_index,
               format('%I.%I', n.nspname, coalesce(
                   (SELECT x.relname FROM pg_class x WHERE x.oid = index_oid),
                   steward.new_index_name(c.relname, c.oid, tail))) AS own_index
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.oid = table_oid
        UNION ALL
        SELECT d.level, d.oid, d.relkind, d.nspname, d.relname, d.attached, d.spare, d.parent_index,
               format('%I.%I', d.nspname, coalesce(
                   (SELECT x.relname FROM pg_class x WHERE x.oid = coalesce(d.attached, d.spare)),
                   steward.new_index_name(d.relname, d.oid, tail)))
          FROM (SELECT p.level + 1 AS level, c.oid, c.relkind, n.nspname, c.relname, a.attached,
                       -- only a leaf's is looked for: it costs most
                       (SELECT min(s.indexrelid) FROM pg_index s, root r
                         WHERE a.attached IS NULL AND c.relkind = 'r' AND r.indexrelid IS NOT NULL
                           AND s.indrelid = c.oid AND s.indisvalid AND s.indisready AND s.indislive
                           AND s.indisunique = r.indisunique
                           AND NOT EXISTS (SELECT FROM pg_inherits u WHERE u.inhrelid = s.indexrelid)
                           AND steward.index_tail(s.indexrelid) = tail) AS spare,
                       p.own_index AS parent_index
                  FROM node p
                       JOIN pg_inherits h ON h.inhparent = p.oid AND NOT h.inhdetachpending
                       JOIN pg_class c ON c.oid = h.inhrelid
                       JOIN pg_namespace n ON n.oid = c.relnamespace
                       CROSS JOIN LATERAL (
                           SELECT min(i.indexrelid) AS attached
                             FROM pg_inherits hi JOIN pg_index i ON i.indexrelid = hi.inhrelid
                            WHERE hi.inhparent = p.attached AND i.indrelid = c.oid) a
                 WHERE c.relkind IN ('r', 'p')) d),
    command AS (
        SELECT d.level, d.relkind, d.nspname, d.relname,
               -- a constraint of a table that is partitioned itself would lock all below it
               CASE WHEN r.key_kind IS NOT NULL AND d.relkind = 'p' AND d.attached IS NULL THEN NULL
               ELSE concat_ws(chr(10),
                   CASE WHEN d.attached IS NULL AND d.spare IS NULL
                        THEN format('CREATE %sINDEX %s%I ON %s%I.%I USING %s;',
                                    CASE WHEN r.indisunique THEN 'UNIQUE ' END,
                                    CASE WHEN d.relkind = 'r' THEN 'CONCURRENTLY ' END,
                                    steward.new_index_name(d.relname, d.oid, tail),
                                    CASE WHEN d.relkind = 'p' THEN 'ONLY ' END,
                                    d.nspname, d.relname, tail)
                        WHEN NOT i.indisvalid AND d.relkind = 'r'
                        THEN format('REINDEX INDEX CONCURRENTLY %s;', d.own_index) END,
                   CASE WHEN d.attached IS NULL AND r.key_kind IS NOT NULL
                             AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = d.spare
                                                AND k.contype IN ('p', 'u'))
                        THEN format('ALTER TABLE %I.%I ADD %s USING INDEX %I;', d.nspname, d.relname, r.key_kind,
                                    coalesce((SELECT x.relname FROM pg_class x WHERE x.oid = d.spare),
                                             steward.new_index_name(d.relname, d.oid, tail))) END,
                   CASE WHEN d.parent_index IS NOT NULL AND (d.attached IS NULL OR NOT i.indisvalid AND d.relkind = 'r')
                        THEN format('ALTER INDEX %s ATTACH PARTITION %s;', d.parent_index, d.own_index) END)
               END AS text
          FROM node d CROSS JOIN root r
               LEFT JOIN pg_index i ON i.indexrelid = d.attached)
    SELECT CASE WHEN tail IS NOT NULL AND count(c.text) = count(*)
                THEN string_agg(nullif(c.text, ''), chr(10) ORDER BY c.relkind = 'r', c.level, c.nspname, c.relname) END
      FROM command c;
END;
COMMENT ON FUNCTION steward.partitioned_index_sql(oid, oid, text) IS
'internal: the commands, one a line, that build an index of a partitioned table without locking out its writers, or complete the one given (0: none): each partition''s index concurrently, then attached; null if that cannot be done; anyone may call it';
