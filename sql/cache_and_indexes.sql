-- get_cache_hit_ratio(), get_index_usage(): counters of this database.
-- A separate database, so that nobody else's traffic is in the way.
CREATE DATABASE ci_empty;
\c ci_empty
SET client_min_messages = warning;
CREATE EXTENSION pg_steward CASCADE;
RESET client_min_messages;

-- no traffic is null, neither 0 nor 100
SELECT cache, hit_pct, block_requests, blocks_hit, blocks_read FROM get_cache_hit_ratio()
 WHERE cache IN ('heap', 'index', 'toast');
SELECT string_agg(cache, ' ') FROM get_cache_hit_ratio();

CREATE TABLE ci (id int PRIMARY KEY, a int, doc text);
ALTER TABLE ci ALTER doc SET STORAGE EXTERNAL;
INSERT INTO ci SELECT g, g % 5, repeat('x', 3000) FROM generate_series(1, 1000) g;
CREATE INDEX ci_a_idx ON ci (a) WHERE id > 10;
CREATE UNIQUE INDEX ci_expr_idx ON ci ((id + 1));
CREATE TABLE never (id int PRIMARY KEY);
VACUUM ANALYZE ci;
SELECT pg_stat_force_next_flush();
SELECT pg_stat_reset() IS NOT NULL AS reset;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT count(doc) FROM ci WHERE id = 5;
SELECT count(doc) FROM ci WHERE id = 6;
SELECT length(max(doc)) FROM ci WHERE id = 7;
SELECT count(*) FROM ci WHERE id + 1 = 7;
RESET enable_seqscan;
SELECT count(*) FROM ci;
SELECT pg_stat_force_next_flush();

SELECT cache, hit_pct BETWEEN 0 AND 100 AS has_ratio, block_requests > 0 AS traffic,
       blocks_hit + blocks_read = block_requests AS adds_up, stats_since <= now() AS since
  FROM get_cache_hit_ratio();
SELECT (SELECT block_requests FROM get_cache_hit_ratio() WHERE cache = 'heap') =
       (SELECT sum(heap_blks_hit + heap_blks_read) FROM pg_statio_user_tables) AS heap_equal,
       (SELECT block_requests FROM get_cache_hit_ratio() WHERE cache = 'index') =
       (SELECT sum(idx_blks_hit + idx_blks_read) FROM pg_statio_user_tables) AS index_equal,
       (SELECT block_requests FROM get_cache_hit_ratio() WHERE cache = 'toast') =
       (SELECT sum(toast_blks_hit + toast_blks_read + tidx_blks_hit + tidx_blks_read)
          FROM pg_statio_user_tables) AS toast_equal,
       (SELECT block_requests FROM get_cache_hit_ratio() WHERE cache = 'toast') > 0 AS toast_traffic;

SELECT table_name, index_name, index_scans, index_use_pct, table_seq_scans, is_unique, is_primary,
       is_valid, backs_constraint, definition
  FROM get_index_usage() WHERE schema_name <> 'steward' ORDER BY index_scans, index_name;
SELECT bool_and(index_bytes = pg_relation_size(format('%I.%I', schema_name, index_name)::regclass)
                AND index_size = pg_size_pretty(index_bytes)) AS sizes_equal,
       count(stats_since) = count(*) AS since,
       (count(last_scan) > 0) = (current_setting('server_version_num')::int >= 160000) AS last_scan
  FROM get_index_usage();
SELECT count(*) FROM get_index_usage(1);
SELECT get_index_usage(-1);
\c contrib_regression
DROP DATABASE ci_empty;
