-- get_disk_usage(): equal to the server's own functions; who may call it.
-- Comparisons with du and df: test/t/210_disk_usage.pl.
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE du_space LOCATION '';
CREATE TABLE du_far (id int PRIMARY KEY) TABLESPACE du_space;
INSERT INTO du_far SELECT generate_series(1, 10000);
CHECKPOINT;

-- one row each
SELECT area, tablespace_name, count(*) FROM get_disk_usage()
 WHERE area NOT IN ('log', 'temporary files')
 GROUP BY 1, 2 ORDER BY 1, 2;
SELECT count(*) - count(DISTINCT path) AS doubles FROM get_disk_usage() WHERE path IS NOT NULL;
SELECT area, size, bytes, note FROM get_disk_usage() WHERE area = 'log';
SELECT bool_and(size = pg_size_pretty(bytes)) AS pretty,
       bool_and(allocated_bytes >= 0 AND bytes >= 0 AND file_count >= 0) AS positive,
       bool_and(path LIKE current_setting('data_directory') || '%') AS here,
       count(DISTINCT device) AS devices, count(DISTINCT total_bytes) AS file_systems
  FROM get_disk_usage() WHERE area <> 'log';
SELECT bool_and(used_pct BETWEEN 0 AND 100 AND total_bytes >= free_bytes
                AND free_bytes >= available_bytes AND available_bytes >= 0
                AND current_setting('data_directory') LIKE rtrim(mount_point, '/') || '/%') AS sane
  FROM get_disk_usage() WHERE area <> 'log';

-- as others count
SELECT d.bytes = (SELECT sum(pg_database_size(oid)) FROM pg_database)
                 - (SELECT bytes FROM get_disk_usage() WHERE area = 'tablespace') AS databases
  FROM get_disk_usage() d WHERE d.area = 'databases';
SELECT sum(g.size_bytes) = d.bytes AS tablespace
  FROM get_disk_usage() d JOIN get_tablespace_sizes() g USING (tablespace_name)
 WHERE d.area = 'tablespace' GROUP BY d.bytes;
SELECT d.bytes = g.size_bytes AS shared
  FROM get_disk_usage() d JOIN get_tablespace_sizes() g USING (tablespace_name)
 WHERE d.area = 'shared catalogs';
SELECT d.bytes = sum(w.size) AS wal, d.file_count = count(*) AS files
  FROM get_disk_usage() d, pg_ls_waldir() w WHERE d.area = 'wal' GROUP BY d.bytes, d.file_count;

-- temporary files of a query under way, in either tablespace
SET work_mem = '64kB';
CREATE TEMP VIEW tmp AS
SELECT d.tablespace_name, d.bytes = sum(f.size) AS equal, d.bytes > 1000000 AS big
  FROM get_disk_usage() d
       JOIN pg_tablespace t ON t.spcname = d.tablespace_name
       CROSS JOIN LATERAL pg_ls_tmpdir(t.oid) f
 WHERE d.area = 'temporary files'
 GROUP BY d.tablespace_name, d.bytes;
BEGIN;
DECLARE du_near CURSOR FOR SELECT repeat('x', 100) || g AS x FROM generate_series(1, 30000) g ORDER BY 1;
FETCH 1 FROM du_near \g /dev/null
SET LOCAL temp_tablespaces = du_space;
DECLARE du_there CURSOR FOR SELECT repeat('x', 100) || g AS x FROM generate_series(1, 30000) g ORDER BY 1;
FETCH 1 FROM du_there \g /dev/null
SELECT * FROM tmp ORDER BY 1;
COMMIT;
SELECT coalesce(sum(bytes), 0) AS left_over FROM get_disk_usage() WHERE area = 'temporary files';

-- WAL that a slot holds back
SELECT 'reserved' FROM pg_create_physical_replication_slot('du_slot', true);
SELECT 'written' FROM pg_logical_emit_message(false, 'steward', repeat('x', 1000));
SELECT regexp_replace(note, '^\d+ \S+ (of it|at most)', 'SIZE') AS note, file_count > 0 AS files
  FROM get_disk_usage() WHERE area = 'wal';
SELECT file_count FROM get_disk_usage() WHERE area = 'replication slots';
SELECT pg_drop_replication_slot('du_slot');
SELECT note FROM get_disk_usage() WHERE area = 'wal';

-- who may call it
\set SHOW_CONTEXT never
CREATE ROLE du_nobody LOGIN;
CREATE ROLE "du Stats" LOGIN IN ROLE pg_read_all_stats;
CREATE ROLE du_monitor LOGIN IN ROLE pg_monitor;
SET ROLE du_nobody;
SELECT count(*) FROM get_disk_usage();
SELECT count(*) FROM steward.disk_areas();
SET ROLE "du Stats";
SELECT count(*) FROM get_disk_usage();
RESET ROLE;
CREATE TEMP TABLE du_super AS SELECT area, path, bytes, file_count, total_bytes FROM get_disk_usage() WHERE area IN ('wal', 'tablespace', 'multixacts', 'replication slots');
GRANT SELECT ON du_super TO PUBLIC;
SET ROLE du_monitor;
SELECT count(*) AS different FROM (
    SELECT area, path, bytes, file_count, total_bytes FROM get_disk_usage() WHERE area IN ('wal', 'tablespace', 'multixacts', 'replication slots')
    EXCEPT ALL SELECT * FROM du_super) x;
RESET ROLE;
DROP TABLE du_super, du_far;
DROP TABLESPACE du_space;
DROP ROLE du_nobody, "du Stats", du_monitor;
