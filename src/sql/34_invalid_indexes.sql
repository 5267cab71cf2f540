-- Indexes that were left unfinished, those of TOAST included.  The planner
-- settings are those of 33_index_reports.sql, for the same reason.

CREATE FUNCTION @extschema@.get_invalid_indexes(
    OUT schema_name text,
    OUT table_name text,
    OUT index_name text,
    OUT state text,
    OUT index_size text,
    OUT index_bytes bigint,
    OUT is_unique boolean,
    OUT slows_writes boolean,
    OUT reason text,
    OUT fix_sql text)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED COST 30000 ROWS 5 SET jit = off
BEGIN ATOMIC
    WITH RECURSIVE
    invalid AS MATERIALIZED (
        SELECT i.indexrelid, i.indrelid, i.indisready, i.indislive, i.indisunique, i.indisprimary,
               x.relname, x.relkind, x.relispartition, t.relname AS table_name, n.nspname,
               -- the table that a TOAST table belongs to: its locks count, too
               (SELECT o.oid FROM pg_class o WHERE t.relkind = 't' AND o.reltoastrelid = t.oid) AS owner
          FROM pg_index i
               JOIN pg_class x ON x.oid = i.indexrelid
               JOIN pg_class t ON t.oid = i.indrelid
               JOIN pg_namespace n ON n.oid = t.relnamespace
         WHERE (NOT i.indisvalid OR NOT i.indisready OR NOT i.indislive)
           AND t.relpersistence <> 't'),
    -- Who builds or drops an index concurrently keeps this lock on its table
    -- from the beginning to the end, and on the index when that is rebuilt or
    -- dropped; VACUUM and ANALYZE take it on tables, too.  What process does
    -- which, everybody may see; on what, not.
    holder AS MATERIALIZED (
        SELECT l.relation,
               bool_or(EXISTS (SELECT FROM pg_stat_progress_create_index b WHERE b.pid = l.pid)) AS builds,
               bool_or(NOT EXISTS (SELECT FROM pg_stat_progress_vacuum v WHERE v.pid = l.pid)
                       AND NOT EXISTS (SELECT FROM pg_stat_progress_analyze v WHERE v.pid = l.pid)) AS other,
               min(l.pid) AS pid
          FROM pg_locks l
         WHERE l.locktype = 'relation' AND l.granted
           AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
           AND l.pid IS DISTINCT FROM pg_backend_pid()
           AND l.mode IN ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock',
                          'ExclusiveLock', 'AccessExclusiveLock')
           AND l.relation IN (SELECT i.indexrelid FROM invalid i UNION SELECT i.indrelid FROM invalid i
                              UNION SELECT i.owner FROM invalid i)
         GROUP BY l.relation),
    left_over AS MATERIALIZED (
        SELECT i.*, h.pid AS busy,
               (SELECT min(s.indexrelid) FROM pg_index s
                 WHERE s.indrelid = i.indrelid AND s.indisvalid AND s.indisready AND s.indislive
                   AND steward.index_covers(s.indexrelid, i.indexrelid) = 'identical') AS twin
          FROM invalid i
               LEFT JOIN holder h ON h.relation = i.indrelid AND h.other
         WHERE NOT EXISTS (SELECT FROM holder b WHERE b.relation = i.indexrelid)
           AND NOT EXISTS (SELECT FROM holder b WHERE b.relation IN (i.indrelid, i.owner) AND b.builds)),
    tree (root, member) AS (
        SELECT l.indexrelid, l.indexrelid FROM left_over l
        UNION ALL
        SELECT t.root, h.inhrelid FROM tree t JOIN pg_inherits h ON h.inhparent = t.member),
    amount AS (
        SELECT t.root, coalesce(sum(s.all_bytes), 0)::bigint AS bytes
          FROM tree t LEFT JOIN steward.relation_sizes() s ON s.relid = t.member
         GROUP BY t.root),
    judged AS (
        SELECT l.*, w.relname AS twin_name,
               CASE WHEN pg_is_in_recovery() THEN 'unknown on a standby'
                    WHEN l.busy IS NOT NULL THEN 'perhaps in progress'
                    WHEN l.relkind = 'I' THEN 'incomplete'
                    WHEN NOT l.indislive THEN 'half dropped'
                    WHEN l.relname ~ '_ccnew[0-9]*$' AND l.twin IS NOT NULL THEN 'leftover of REINDEX'
                    WHEN l.relname ~ '_ccold[0-9]*$' AND l.twin IS NOT NULL THEN 'leftover of REINDEX'
                    WHEN l.twin IS NOT NULL THEN 'failed, built again'
                    ELSE 'failed' END AS state
          FROM left_over l LEFT JOIN pg_class w ON w.oid = l.twin
         -- asked after the locks: what ended while we looked is no more invalid
         WHERE steward.index_invalid_now(l.indexrelid))
    SELECT j.nspname::text, j.table_name::text, j.relname::text, j.state,
           pg_size_pretty(a.bytes), a.bytes, j.indisunique, j.indisready AND j.indislive AND j.relkind = 'i',
           CASE j.state
                WHEN 'unknown on a standby' THEN 'invalid: being built or left behind, only the primary knows'
                WHEN 'perhaps in progress'
                THEN format('process %s holds a lock of its table under which indexes are built or dropped: look again when it is gone', j.busy)
                WHEN 'incomplete' THEN 'not all partitions have a valid index attached to it'
                WHEN 'half dropped' THEN 'DROP INDEX CONCURRENTLY was interrupted'
                WHEN 'leftover of REINDEX'
                THEN CASE WHEN j.relname ~ '_ccold[0-9]*$'
                          THEN format('REINDEX CONCURRENTLY finished, %I is the new index', j.twin_name)
                          ELSE format('REINDEX CONCURRENTLY was interrupted, %I is still the index', j.twin_name) END
                WHEN 'failed, built again' THEN format('%I does its work', j.twin_name)
                ELSE 'CREATE, REINDEX or DROP INDEX CONCURRENTLY failed or was interrupted: no query uses it'
                     || CASE WHEN j.indisunique THEN ', though it may refuse duplicates; remove those in the table first' ELSE '' END END
           || coalesce((SELECT format('; TOAST of %I.%I', n.nspname, o.relname)
                          FROM pg_class o JOIN pg_namespace n ON n.oid = o.relnamespace WHERE o.oid = j.owner), ''),
           CASE j.state
                WHEN 'unknown on a standby' THEN NULL
                WHEN 'perhaps in progress' THEN NULL
                WHEN 'incomplete' THEN steward.partitioned_index_sql(j.indrelid, j.indexrelid, steward.index_tail(j.indexrelid))
                WHEN 'failed' THEN format('REINDEX INDEX CONCURRENTLY %I.%I;', j.nspname, j.relname)
                ELSE CASE WHEN j.relispartition THEN format('REINDEX INDEX CONCURRENTLY %I.%I;', j.nspname, j.relname)
                          ELSE steward.drop_index_sql(j.indexrelid, j.relkind) END END
      FROM judged j JOIN amount a ON a.root = j.indexrelid
     ORDER BY a.bytes DESC, j.nspname, j.relname;
END;
COMMENT ON FUNCTION @extschema@.get_invalid_indexes() IS
'indexes that no query uses because building or dropping them failed, biggest first, TOAST included; those being built or dropped right now are left out, and where a lock leaves that open, state says "perhaps in progress"; slows_writes: rows are still written to it; fix_sql is one command a line: REINDEX, DROP where a valid index does the same work, or, of a partitioned table, what is missing; a standby cannot tell which are being built; anyone may call it';
