-- How indexes are used.

CREATE FUNCTION steward.index_definition(index_oid oid)
RETURNS text
LANGUAGE C VOLATILE STRICT PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'pg_steward_index_definition';
COMMENT ON FUNCTION steward.index_definition(oid) IS
'internal: the command that creates an index, null while somebody holds or awaits an exclusive lock on its table; anyone may call it';

CREATE FUNCTION @extschema@.get_index_usage(
    limit_count integer DEFAULT NULL,
    OUT schema_name text,
    OUT table_name text,
    OUT index_name text,
    OUT index_scans bigint,
    OUT index_use_pct double precision,
    OUT index_size text,
    OUT index_bytes bigint,
    OUT table_seq_scans bigint,
    OUT tuples_read bigint,
    OUT tuples_fetched bigint,
    OUT last_scan timestamptz,
    OUT is_unique boolean,
    OUT is_primary boolean,
    OUT is_valid boolean,
    OUT backs_constraint boolean,
    OUT stats_since timestamptz,
    OUT definition text)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED COST 30000 ROWS 100
BEGIN ATOMIC
    WITH size AS MATERIALIZED (
        SELECT s.relid, s.all_bytes FROM steward.relation_sizes() s),
    usage AS (
        SELECT n.nspname, t.relname AS table_name, x.relname AS index_name, i.*,
               coalesce(s.all_bytes, 0) AS bytes,
               u.idx_scan, u.idx_tup_read, u.idx_tup_fetch,
               pg_stat_get_numscans(i.indrelid) AS seq_scan,
               -- scans of any index of the table
               sum(u.idx_scan) OVER (PARTITION BY i.indrelid) AS table_idx_scan,
               (to_jsonb(u) ->> 'last_idx_scan')::timestamptz AS last_idx_scan
          FROM pg_stat_user_indexes u
               JOIN pg_index i ON i.indexrelid = u.indexrelid
               JOIN pg_class x ON x.oid = i.indexrelid
               JOIN pg_class t ON t.oid = i.indrelid
               JOIN pg_namespace n ON n.oid = t.relnamespace
               LEFT JOIN size s ON s.relid = i.indexrelid
         WHERE t.relkind <> 't')
    SELECT u.nspname::text, u.table_name::text, u.index_name::text,
           u.idx_scan,
           round(100.0 * u.idx_scan / nullif(u.seq_scan + u.table_idx_scan, 0), 2)::float8,
           pg_size_pretty(u.bytes), u.bytes,
           u.seq_scan, u.idx_tup_read, u.idx_tup_fetch, u.last_idx_scan,
           u.indisunique, u.indisprimary, u.indisvalid,
           EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = u.indexrelid
                      AND k.contype IN ('p', 'u', 'x')),
           (SELECT pg_stat_get_db_stat_reset_time(d.oid) FROM pg_database d WHERE d.datname = current_database()),
           steward.index_definition(u.indexrelid)
      FROM usage u
     ORDER BY u.idx_scan, u.bytes DESC, u.nspname, u.index_name
     LIMIT steward.check_limit(limit_count);
END;
COMMENT ON FUNCTION @extschema@.get_index_usage(integer) IS
'indexes of this database''s user tables, least used first, then biggest first; index_use_pct is the share of all scans of the table that used this index; last_scan is null before PostgreSQL 16; counted since stats_since (null: never reset) and on this server only: a standby counts its own scans; never waits for a lock, definition is null while the table is locked exclusively; anyone may call it';
