-- What takes the disk space of the whole server, and how much is left; see
-- disk_usage.c.

CREATE FUNCTION steward.disk_areas(
    OUT area text,
    OUT tablespace_oid oid,
    OUT path text,
    OUT bytes bigint,
    OUT allocated_bytes bigint,
    OUT files bigint,
    OUT unreadable bigint,
    OUT device bigint,
    OUT mount_point text,
    OUT total_bytes bigint,
    OUT free_bytes bigint,
    OUT available_bytes bigint,
    OUT used_pct double precision)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL SAFE COST 50000 ROWS 20
AS 'MODULE_PATHNAME', 'pg_steward_disk_areas';
COMMENT ON FUNCTION steward.disk_areas() IS
'internal: the directories of the server with the bytes and files in them that are in no other row, the number of files that could not be read, and the space of their file systems; needs pg_monitor';

CREATE FUNCTION @extschema@.get_disk_usage(
    OUT area text,
    OUT size text,
    OUT bytes bigint,
    OUT allocated_bytes bigint,
    OUT file_count bigint,
    OUT used_pct double precision,
    OUT available_bytes bigint,
    OUT free_bytes bigint,
    OUT total_bytes bigint,
    OUT mount_point text,
    OUT device bigint,
    OUT tablespace_name text,
    OUT path text,
    OUT note text)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL SAFE COST 50000 ROWS 20
BEGIN ATOMIC
    WITH wal AS (
        SELECT pg_wal_lsn_diff(
                   CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                        ELSE pg_current_wal_lsn() END,
                   s.restart_lsn) AS bytes,
               s.slot_name, s.active
          FROM pg_replication_slots s
         WHERE s.restart_lsn IS NOT NULL AND s.wal_status IS DISTINCT FROM 'lost'
         ORDER BY 1 DESC, 2
         LIMIT 1),
    place AS MATERIALIZED (
        SELECT a.* FROM steward.disk_areas() a)
    SELECT a.area, pg_size_pretty(a.bytes), a.bytes, a.allocated_bytes, a.files,
           round(a.used_pct::numeric, 2)::float8, a.available_bytes, a.free_bytes, a.total_bytes,
           a.mount_point, a.device, t.spcname::text, a.path,
           nullif(concat_ws('; ',
               CASE WHEN a.area = 'wal'
                    THEN (SELECT format('%s %s held back by replication slot %I, which is %s',
                                        pg_size_pretty(w.bytes),
                                        CASE WHEN w.bytes > a.bytes THEN 'at most' ELSE 'of it' END,
                                        w.slot_name,
                                        CASE WHEN w.active THEN 'in use' ELSE 'not in use' END)
                            FROM wal w WHERE w.bytes > 0) END,
               CASE WHEN a.area = 'tablespace' AND t.oid IS NULL
                    THEN 'belongs to no tablespace' END,
               CASE WHEN a.unreadable > 0
                    THEN format('skipped: %s files or directories that could not be read', a.unreadable) END), '')
      FROM place a
           LEFT JOIN pg_tablespace t ON t.oid = a.tablespace_oid
    UNION ALL
    SELECT 'log', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
           'skipped: logging_collector is off, the log goes where the start script sends it'
     WHERE current_setting('logging_collector') = 'off'
       AND NOT EXISTS (SELECT FROM place a WHERE a.area = 'log')
     ORDER BY 3 DESC NULLS LAST, 1, 13;
END;
COMMENT ON FUNCTION @extschema@.get_disk_usage() IS
'what takes the disk space of the server, biggest first: one row for each directory, all of which add up; bytes are the lengths of the files, allocated_bytes what du counts; used_pct (percent, as df has it), available_bytes (for the server), free_bytes (with what is reserved for root) and total_bytes are of the file system, which rows with the same device share; area "other" is the rest of the data directory; needs pg_monitor';
