-- Reports on indexes that nobody uses, that repeat others, and that are missing
-- below foreign keys.  Tables of the system, of extensions and temporary ones
-- are left out.  The planner takes the recursion over partitions for much
-- dearer than it is: compiling the query would cost more than running it,
-- therefore jit is off.

CREATE FUNCTION @extschema@.get_unused_indexes(
    min_bytes bigint DEFAULT 10485760,
    min_age interval DEFAULT '30 days',
    OUT schema_name text,
    OUT table_name text,
    OUT index_name text,
    OUT verdict text,
    OUT index_size text,
    OUT index_bytes bigint,
    OUT index_scans bigint,
    OUT observed_days double precision,
    OUT observed_since timestamptz,
    OUT rows_written bigint,
    OUT table_scans bigint,
    OUT reason text,
    OUT drop_sql text)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED COST 30000 ROWS 100 SET jit = off
BEGIN ATOMIC
    WITH RECURSIVE
    args AS MATERIALIZED (
        SELECT steward.check_minimum(min_bytes, 'min_bytes') AS bytes,
               steward.check_minimum(floor(extract(epoch FROM min_age))::bigint, 'min_age') AS seconds),
    size AS MATERIALIZED (
        SELECT s.relid, s.all_bytes FROM steward.relation_sizes() s),
    -- indexes that serve for nothing but speed, those of partitions by their root
    plain AS MATERIALIZED (
        SELECT i.indexrelid, i.indrelid, i.indkey[0] AS first_column, i.indexprs IS NOT NULL AS on_expression,
               x.relname, x.relkind, t.relname AS table_name, n.nspname
          FROM pg_index i
               JOIN pg_class x ON x.oid = i.indexrelid
               JOIN pg_class t ON t.oid = i.indrelid
               JOIN pg_namespace n ON n.oid = t.relnamespace
         WHERE NOT x.relispartition
           AND NOT i.indisunique AND NOT i.indisprimary AND NOT i.indisexclusion
           AND i.indisvalid AND i.indisready AND i.indislive
           AND t.relpersistence <> 't'
           AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')),
    partitioned (root, member) AS (
        SELECT p.indexrelid, h.inhrelid
          FROM plain p JOIN pg_inherits h ON h.inhparent = p.indexrelid
         WHERE p.relkind = 'I'
        UNION ALL
        SELECT t.root, h.inhrelid
          FROM partitioned t JOIN pg_inherits h ON h.inhparent = t.member),
    -- each with the indexes that have storage; the oldest tells the age of all
    unscanned AS MATERIALIZED (
        SELECT m.root, sum(coalesce(s.all_bytes, 0))::bigint AS bytes,
               sum(pg_stat_get_tuples_inserted(i.indrelid) + pg_stat_get_tuples_updated(i.indrelid)
                   - pg_stat_get_tuples_hot_updated(i.indrelid))::bigint AS rows_written,
               array_agg(m.member) AS members, array_agg(i.indrelid) AS tables
          FROM (SELECT p.indexrelid AS root, p.indexrelid AS member FROM plain p WHERE p.relkind = 'i'
                UNION ALL
                SELECT t.root, t.member FROM partitioned t) m
               JOIN pg_index i ON i.indexrelid = m.member
               LEFT JOIN size s ON s.relid = m.member
         GROUP BY m.root
        HAVING sum(pg_stat_get_numscans(m.member)) = 0
           AND NOT bool_or(i.indisclustered) AND NOT bool_or(i.indisreplident)
           AND sum(coalesce(s.all_bytes, 0)) >= (SELECT a.bytes FROM args a)),
    candidate AS (
        SELECT p.*, u.bytes, u.rows_written, u.tables, g.counting_since,
               greatest(g.counting_since,
                        (SELECT min(steward.index_created_at(e.member)) FROM unnest(u.members) e(member))) AS since
          FROM unscanned u
               JOIN plain p ON p.indexrelid = u.root
               CROSS JOIN (SELECT steward.counting_since() AS counting_since) g
         -- nothing depends on it, and neither it nor its table is an extension's
         WHERE NOT EXISTS (SELECT FROM pg_depend d
                            WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = p.indexrelid AND d.deptype = 'n')
           AND NOT EXISTS (SELECT FROM pg_depend d
                            WHERE d.classid = 'pg_class'::regclass AND d.objid IN (p.indexrelid, p.indrelid)
                              AND d.deptype = 'e')
           -- not the only one that stays and finds the rows that refer to a row
           AND NOT EXISTS (
               SELECT FROM pg_constraint k
                WHERE k.contype = 'f' AND k.conrelid = p.indrelid AND p.first_column = ANY (k.conkey)
                  AND steward.index_serves_key(p.indexrelid, k.oid)
                  AND NOT EXISTS (
                      SELECT FROM pg_index o
                       WHERE o.indrelid = p.indrelid AND o.indexrelid <> p.indexrelid
                         AND (o.indisunique OR o.indisclustered OR o.indisreplident
                              OR pg_stat_get_numscans(o.indexrelid) > 0)
                         AND o.indkey[0] = ANY (k.conkey)
                         AND steward.index_serves_key(o.indexrelid, k.oid)))),
    judged AS (
        SELECT c.*,
               -- The other report may drop one that is in use, and rely on this.
               (SELECT min(x.relname::text)
                  FROM pg_index o JOIN pg_class x ON x.oid = o.indexrelid
                 WHERE o.indrelid = c.indrelid AND o.indexrelid <> c.indexrelid AND o.indkey[0] = c.first_column
                   AND o.indisvalid AND o.indisready AND o.indislive
                   AND (c.relkind = 'I' OR pg_stat_get_numscans(o.indexrelid) > 0)
                   AND steward.index_covers(c.indexrelid, o.indexrelid) IS NOT NULL) AS stand_in,
               extract(epoch FROM clock_timestamp() - c.since) AS age,
               CASE WHEN NOT current_setting('track_counts')::boolean THEN 'unknown'
                    WHEN extract(epoch FROM clock_timestamp() - c.since) IS NULL THEN 'unknown'
                    WHEN extract(epoch FROM clock_timestamp() - c.since) < a.seconds THEN 'too early'
                    WHEN pg_is_in_recovery() THEN 'unused on this standby'
                    ELSE 'unused' END AS verdict
          FROM candidate c CROSS JOIN args a)
    SELECT j.nspname::text, j.table_name::text, j.relname::text, j.verdict,
           pg_size_pretty(j.bytes), j.bytes, 0::bigint,
           round((j.age / 86400)::numeric, 1)::float8, j.since, j.rows_written, r.scans,
           concat_ws('; ',
               CASE WHEN j.verdict = 'unknown' AND NOT current_setting('track_counts')::boolean
                    THEN 'scans are not counted: track_counts is off'
                    WHEN j.verdict = 'unknown' THEN 'not known since when scans are counted'
                    WHEN j.verdict = 'too early' AND j.since > j.counting_since
                    THEN 'no scan, but its file is new: the index, or a rebuild of it'
                    WHEN j.verdict = 'too early' THEN 'no scan, but the counters are new: reset, crash or new server'
                    ELSE 'no scan in ' || floor(j.age / 86400) || ' days' END,
               CASE WHEN j.verdict LIKE 'unused%' AND r.scans = 0
                    THEN 'its table was not read at all' END,
               CASE WHEN j.verdict = 'unused on this standby' THEN 'the primary and other standbys count their own scans' END,
               CASE WHEN j.verdict = 'unused'
                         AND (EXISTS (SELECT FROM pg_stat_replication)
                              OR EXISTS (SELECT FROM pg_replication_slots s WHERE s.slot_type = 'physical'))
                    THEN 'standbys count their own scans, ask them first' END,
               CASE WHEN j.on_expression THEN 'ANALYZE keeps statistics of its expressions, CREATE STATISTICS can replace them' END,
               'it could replace ' || quote_ident(j.stand_in) || ': see get_redundant_indexes()'),
           CASE WHEN j.verdict = 'unused' AND j.stand_in IS NULL THEN steward.drop_index_sql(j.indexrelid, j.relkind) END
      FROM judged j
           CROSS JOIN LATERAL (
               SELECT coalesce(sum(pg_stat_get_numscans(t.oid)), 0)::bigint
                      + coalesce((SELECT sum(pg_stat_get_numscans(i.indexrelid)) FROM pg_index i
                                   WHERE i.indrelid = ANY (j.tables)), 0)::bigint AS scans
                 FROM unnest(j.tables) t(oid)) r
     ORDER BY j.verdict NOT LIKE 'unused%', j.bytes DESC, j.nspname, j.relname;
END;
COMMENT ON FUNCTION @extschema@.get_unused_indexes(bigint, interval) IS
'indexes of at least min_bytes that were not scanned since observed_since, when counting began or their file was created, whichever is later; verdict is "unused" if that is at least min_age ago, else "too early", "unknown" if nothing counts; never one that is unique, behind a constraint, replica identity, clustered, of an extension, or the only one to serve a foreign key; those of partitions count as one; rows_written are inserts and updates that each wrote to it, table_scans all scans of its table; usage is counted on each server by itself; anyone may call it';

CREATE FUNCTION @extschema@.get_redundant_indexes(
    OUT schema_name text,
    OUT table_name text,
    OUT index_name text,
    OUT keep_index_name text,
    OUT kind text,
    OUT index_size text,
    OUT index_bytes bigint,
    OUT keep_bytes bigint,
    OUT index_scans bigint,
    OUT keep_scans bigint,
    OUT reason text,
    OUT definition text,
    OUT keep_definition text,
    OUT drop_sql text)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED COST 30000 ROWS 100 SET jit = off
BEGIN ATOMIC
    WITH RECURSIVE
    valid AS MATERIALIZED (
        SELECT i.indexrelid, i.indrelid, i.indkey[0] AS first_column, i.indisunique, i.indisprimary, i.indisexclusion,
               i.indisreplident, i.indisclustered, x.relam, x.relkind, x.relispartition, x.relname,
               t.relname AS table_name, n.nspname
          FROM pg_index i
               JOIN pg_class x ON x.oid = i.indexrelid
               JOIN pg_class t ON t.oid = i.indrelid
               JOIN pg_namespace n ON n.oid = t.relnamespace
         WHERE i.indisvalid AND i.indisready AND i.indislive
           AND t.relpersistence <> 't'
           AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')),
    pair AS MATERIALIZED (
        SELECT p.keeper, p.covered, p.kind
          FROM (SELECT a.indexrelid AS keeper, b.indexrelid AS covered,
                       steward.index_covers(a.indexrelid, b.indexrelid) AS kind
                  FROM valid a
                       JOIN valid b ON b.indrelid = a.indrelid AND b.first_column = a.first_column
                                   AND b.relam = a.relam AND b.indexrelid <> a.indexrelid
                OFFSET 0) p
         WHERE p.kind IS NOT NULL),
    member AS MATERIALIZED (
        SELECT v.*, k.contype, k.conname,
               v.indisprimary OR v.indisexclusion OR v.indisreplident OR v.indisclustered OR v.relispartition
               OR EXISTS (SELECT FROM pg_depend d
                           WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = v.indexrelid AND d.deptype = 'n')
               OR EXISTS (SELECT FROM pg_depend d
                           WHERE d.refclassid = 'pg_constraint'::regclass AND d.refobjid = k.oid AND d.deptype = 'n')
               OR EXISTS (SELECT FROM pg_depend d
                           WHERE d.classid = 'pg_class'::regclass AND d.objid IN (v.indexrelid, v.indrelid)
                             AND d.deptype = 'e')
               OR coalesce(k.conislocal = false, false) AS needed
          FROM valid v
               LEFT JOIN pg_constraint k ON k.conindid = v.indexrelid AND k.contype IN ('p', 'u', 'x')
                                        AND k.conrelid = v.indrelid
         WHERE v.indexrelid IN (SELECT p.keeper FROM pair p UNION ALL SELECT p.covered FROM pair p)),
    -- which of two equal ones stays: one that has to, a key, a constraint, a
    -- unique one, one that was scanned, the older one
    ranked AS MATERIALIZED (
        SELECT m.*, m.needed::integer * 16 + m.indisprimary::integer * 8 + (m.contype IS NOT NULL)::integer * 4
                    + m.indisunique::integer * 2 + (pg_stat_get_numscans(m.indexrelid) > 0)::integer AS rank
          FROM member m),
    loser AS MATERIALIZED (
        SELECT p.covered, p.keeper, p.kind
          FROM pair p
               JOIN ranked a ON a.indexrelid = p.keeper
               JOIN ranked b ON b.indexrelid = p.covered
         WHERE NOT b.needed
           -- a constraint gives way to a constraint only
           AND (b.contype IS NULL OR a.contype IS NOT NULL)
           AND (NOT EXISTS (SELECT FROM pair r WHERE r.keeper = p.covered AND r.covered = p.keeper)
                OR a.rank > b.rank
                OR a.rank = b.rank AND a.indexrelid < b.indexrelid)),
    -- one keeper for each, which is not to be dropped itself
    choice AS MATERIALIZED (
        SELECT DISTINCT ON (l.covered) l.covered, l.keeper, l.kind
          FROM loser l JOIN ranked a ON a.indexrelid = l.keeper
         WHERE l.keeper NOT IN (SELECT o.covered FROM loser o)
         ORDER BY l.covered, array_position(ARRAY['identical', 'included', 'prefix'], l.kind), a.rank DESC, l.keeper),
    tree (root, member) AS (
        SELECT v.indexrelid, v.indexrelid FROM ranked v
         WHERE v.indexrelid IN (SELECT c.covered FROM choice c UNION ALL SELECT c.keeper FROM choice c)
        UNION ALL
        SELECT t.root, h.inhrelid
          FROM tree t JOIN pg_inherits h ON h.inhparent = t.member),
    amount AS MATERIALIZED (
        SELECT t.root, coalesce(sum(s.all_bytes), 0)::bigint AS bytes,
               sum(pg_stat_get_numscans(t.member))::bigint AS scans
          FROM tree t LEFT JOIN steward.relation_sizes() s ON s.relid = t.member
         GROUP BY t.root)
    SELECT b.nspname::text, b.table_name::text, b.relname::text, a.relname::text, c.kind,
           pg_size_pretty(bs.bytes), bs.bytes, ks.bytes, bs.scans, ks.scans,
           concat_ws('; ',
               CASE c.kind WHEN 'identical' THEN 'same keys, order and condition'
                           WHEN 'included' THEN 'same keys, and the other one includes more columns'
                           ELSE 'its keys are the first ones of the other' END,
               CASE WHEN b.contype IS NOT NULL THEN 'another constraint enforces the same'
                    WHEN a.indisprimary THEN 'the other is the primary key'
                    WHEN a.contype IS NOT NULL THEN 'the other is behind a constraint'
                    WHEN b.indisunique THEN 'the other is unique in the same way'
                    WHEN a.indisunique THEN 'the other is unique' END,
               CASE WHEN c.kind = 'prefix' AND ks.bytes > 2 * bs.bytes
                    THEN 'the other is ' || round(ks.bytes::numeric / greatest(bs.bytes, 1), 1) || ' times as big to scan' END),
           steward.index_definition(c.covered), steward.index_definition(c.keeper),
           CASE WHEN pg_is_in_recovery() THEN NULL
                WHEN b.contype IS NOT NULL
                THEN format('BEGIN; SET LOCAL lock_timeout = ''2s''; ALTER TABLE %I.%I DROP CONSTRAINT %I; COMMIT;',
                            b.nspname, b.table_name, b.conname)
                ELSE steward.drop_index_sql(c.covered, b.relkind) END
      FROM choice c
           JOIN ranked a ON a.indexrelid = c.keeper
           JOIN ranked b ON b.indexrelid = c.covered
           JOIN amount ks ON ks.root = c.keeper
           JOIN amount bs ON bs.root = c.covered
     ORDER BY bs.bytes DESC, b.nspname, b.relname;
END;
COMMENT ON FUNCTION @extschema@.get_redundant_indexes() IS
'indexes whose work another valid index of the table does, biggest first: index_name can go, keep_index_name stays; kind is identical, included (the same keys, more INCLUDE columns) or prefix (more keys); operator classes, collations, directions, expressions, conditions, uniqueness and access methods are compared as the planner does, primary keys, replica identities, clustered indexes and what others depend on stay, indexes of partitions count as one; bytes, and scans on this server; definitions are null while the table is locked exclusively; drop_sql is null on a standby; anyone may call it';

CREATE FUNCTION @extschema@.get_missing_fk_indexes(
    min_rows bigint DEFAULT 0,
    OUT schema_name text,
    OUT table_name text,
    OUT constraint_name text,
    OUT column_names text[],
    OUT priority text,
    OUT referenced_table text,
    OUT on_delete text,
    OUT row_estimate bigint,
    OUT table_size text,
    OUT table_bytes bigint,
    OUT referenced_deletes bigint,
    OUT referenced_updates bigint,
    OUT reason text,
    OUT create_sql text)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED COST 30000 ROWS 100 SET jit = off
BEGIN ATOMIC
    WITH RECURSIVE
    args AS MATERIALIZED (
        SELECT steward.check_minimum(min_rows, 'min_rows') AS rows),
    size AS MATERIALIZED (
        SELECT s.relid, s.all_bytes FROM steward.relation_sizes() s),
    -- as declared, not what partitions inherit, without an index of its own table
    bare AS MATERIALIZED (
        SELECT k.oid, k.conname, k.conrelid, k.confrelid, k.conkey, k.confdeltype, t.relkind, t.relname, n.nspname
          FROM pg_constraint k
               JOIN pg_class t ON t.oid = k.conrelid
               JOIN pg_namespace n ON n.oid = t.relnamespace
         WHERE k.contype = 'f' AND k.conparentid = 0
           AND t.relpersistence <> 't'
           AND n.nspname NOT IN ('pg_catalog', 'information_schema')
           AND NOT EXISTS (SELECT FROM pg_index i
                            WHERE i.indrelid = k.conrelid AND i.indkey[0] = ANY (k.conkey)
                              AND steward.index_serves_key(i.indexrelid, k.oid))
           AND NOT EXISTS (SELECT FROM pg_depend d
                            WHERE d.classid = 'pg_class'::regclass AND d.objid = k.conrelid AND d.deptype = 'e')
           -- since 18 a foreign key may be declared without being enforced
           AND (to_jsonb(k) ->> 'conenforced') IS DISTINCT FROM 'false'),
    -- the same key on each partition: all of them having an index is enough
    part_key (root, key, relid) AS (
        SELECT b.oid, b.oid, b.conrelid FROM bare b WHERE b.relkind = 'p'
        UNION ALL
        SELECT p.root, k.oid, k.conrelid
          FROM part_key p JOIN pg_constraint k ON k.conparentid = p.key AND k.conrelid <> p.relid),
    leaf AS MATERIALIZED (
        SELECT p.root, p.relid, c.relname, n.nspname, p.key,
               EXISTS (SELECT FROM pg_index i
                        WHERE i.indrelid = p.relid AND steward.index_serves_key(i.indexrelid, p.key)) AS served
          FROM part_key p
               JOIN pg_class c ON c.oid = p.relid
               JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind = 'r'),
    leaves AS MATERIALIZED (
        SELECT l.root, count(*) AS total, count(*) FILTER (WHERE l.served) AS served
          FROM leaf l GROUP BY l.root),
    missing AS MATERIALIZED (
        SELECT b.*, coalesce(l.total, 0) AS leaves, coalesce(l.served, 0) AS served,
               steward.key_indexable(b.oid) AS usable
          FROM bare b LEFT JOIN leaves l ON l.root = b.oid
         WHERE l.root IS NULL OR l.served < l.total),
    -- another one that asks for an index which starts with the same columns
    shared AS (
        SELECT DISTINCT ON (m.oid) m.oid, t.conname
          FROM missing m
               JOIN missing t ON t.conrelid = m.conrelid AND t.conkey[1] = m.conkey[1]
         WHERE t.oid <> m.oid AND t.served = m.served AND t.usable AND m.usable
           AND t.conkey[1:cardinality(m.conkey)] = m.conkey
           AND (cardinality(t.conkey) > cardinality(m.conkey) OR t.oid < m.oid)
         ORDER BY m.oid, cardinality(t.conkey) DESC, t.oid),
    -- a table, or all partitions of one
    storage (root, relid, relkind) AS (
        SELECT m.relid, m.relid, c.relkind
          FROM (SELECT x.conrelid AS relid FROM missing x
                UNION
                SELECT x.confrelid FROM missing x) m
               JOIN pg_class c ON c.oid = m.relid
        UNION ALL
        SELECT s.root, c.oid, c.relkind
          FROM storage s
               JOIN pg_inherits h ON h.inhparent = s.relid
               JOIN pg_class c ON c.oid = h.inhrelid
         WHERE s.relkind = 'p'),
    amount AS MATERIALIZED (
        SELECT s.root, coalesce(sum(z.all_bytes), 0)::bigint AS bytes,
               -- the estimate of the last ANALYZE, unless far more is counted now;
               -- what was loaded just before is counted twice
               sum(CASE WHEN c.reltuples >= 0 AND pg_stat_get_live_tuples(c.oid) <= 2.1 * c.reltuples
                        THEN c.reltuples
                        ELSE pg_stat_get_live_tuples(c.oid) END)::bigint AS row_estimate,
               sum(pg_stat_get_tuples_deleted(c.oid))::bigint AS deletes,
               sum(pg_stat_get_tuples_updated(c.oid))::bigint AS updates
          FROM storage s
               JOIN pg_class c ON c.oid = s.relid
               LEFT JOIN size z ON z.relid = s.relid
         WHERE s.relkind <> 'p'
         GROUP BY s.root)
    SELECT m.nspname::text, m.relname::text, m.conname::text, k.names, p.priority,
           format('%I.%I', rn.nspname, r.relname),
           CASE m.confdeltype WHEN 'c' THEN 'cascade' WHEN 'n' THEN 'set null' WHEN 'd' THEN 'set default'
                              WHEN 'r' THEN 'restrict' ELSE 'no action' END,
           coalesce(a.row_estimate, 0), pg_size_pretty(coalesce(a.bytes, 0)), coalesce(a.bytes, 0),
           coalesce(ra.deletes, 0), coalesce(ra.updates, 0),
           concat_ws('; ',
               CASE WHEN m.served > 0 THEN format('%s of %s partitions have no index', m.leaves - m.served, m.leaves)
                    ELSE 'no index' END
               || ' that starts with ' || CASE WHEN cardinality(k.names) = 1 THEN 'the column' ELSE 'the columns' END,
               CASE WHEN NOT m.usable THEN 'the referenced columns have other types, to which these are cast: an index on them could not be used' END,
               CASE p.priority
                    WHEN 'high' THEN 'each deleted row of the referenced table reads the whole table'
                    WHEN 'medium' THEN 'no row of the referenced table was deleted yet'
                    ELSE 'small: an index would hardly be used' END,
               'the index for ' || quote_ident(o.conname) || ' will do'),
           CASE WHEN NOT m.usable OR o.conname IS NOT NULL OR pg_is_in_recovery() THEN NULL
                WHEN m.relkind <> 'p'
                THEN format('CREATE INDEX CONCURRENTLY ON %I.%I (%s);', m.nspname, m.relname, k.list)
                WHEN m.served = 0
                THEN steward.partitioned_index_sql(m.conrelid, 0, format('btree (%s)', k.list))
                ELSE (SELECT string_agg(format('CREATE INDEX CONCURRENTLY ON %I.%I (%s);', l.nspname, l.relname, k.list),
                                        chr(10) ORDER BY l.nspname, l.relname)
                        FROM leaf l WHERE l.root = m.oid AND NOT l.served) END
      FROM missing m
           CROSS JOIN args g
           JOIN pg_class r ON r.oid = m.confrelid
           JOIN pg_namespace rn ON rn.oid = r.relnamespace
           LEFT JOIN amount a ON a.root = m.conrelid
           LEFT JOIN amount ra ON ra.root = m.confrelid
           CROSS JOIN LATERAL (
               SELECT array_agg(t.attname::text ORDER BY e.n) AS names,
                      string_agg(format('%I', t.attname), ', ' ORDER BY e.n) AS list
                 FROM unnest(m.conkey) WITH ORDINALITY e(attnum, n)
                      JOIN pg_attribute t ON t.attrelid = m.conrelid AND t.attnum = e.attnum) k
           LEFT JOIN shared o ON o.oid = m.oid
           CROSS JOIN LATERAL (
               SELECT CASE WHEN coalesce(a.row_estimate, 0) < 1000 THEN 'low'
                           WHEN ra.deletes > 0 THEN 'high'
                           ELSE 'medium' END AS priority) p
     WHERE coalesce(a.row_estimate, 0) >= g.rows
     ORDER BY array_position(ARRAY['high', 'medium', 'low'], p.priority), a.bytes DESC, m.nspname, m.relname, m.conname;
END;
COMMENT ON FUNCTION @extschema@.get_missing_fk_indexes(bigint) IS
'enforced foreign keys whose columns no valid index of the referencing table starts with, in any order, so that deleting a row of the referenced table, or changing its key, reads all of the referencing one; priority is low below 1000 rows (such are left out with min_rows => 1000), high if rows of the referenced table were deleted since counting began, else medium; partitioned tables appear once, their rows and bytes (without indexes and TOAST) summed; create_sql is one command a line, null on a standby and where no index could be used; anyone may call it';
