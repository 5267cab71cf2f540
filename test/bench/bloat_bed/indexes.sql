-- Indexes of many histories, for test/bench/bloat; see tables.sql.
\set ON_ERROR_STOP on
SET max_parallel_workers_per_gather = 0;
SET max_parallel_maintenance_workers = 0;
SET client_min_messages = warning;
CREATE SCHEMA idx;
SET search_path = idx, public;
SELECT setseed(:seed) \g /dev/null
CREATE TABLE source AS
SELECT g AS id, gen_random_uuid() AS u, (random() * 5)::int AS status, (random() * 4000)::int AS city,
       md5(random()::text) AS name, '/products/category/' || g % 300 || '/' || md5(g::text) AS path,
       (random() * 1000)::numeric(8, 2) AS price, now() + (g / 20) * interval '1 second' AS at,
       CASE WHEN random() < .3 THEN g END AS sparse, random() < .1 AS active
  FROM generate_series(1, 80000) g;

-- built when the table was full
CREATE TABLE fresh AS TABLE source;
CREATE INDEX fresh_id ON fresh (id);
CREATE INDEX fresh_u ON fresh (u);
CREATE INDEX fresh_status ON fresh (status);
CREATE INDEX fresh_city ON fresh (city);
CREATE INDEX fresh_name ON fresh (lower(name));
CREATE INDEX fresh_path ON fresh (path);
CREATE INDEX fresh_many ON fresh (status, city, name DESC);
CREATE INDEX fresh_include ON fresh (city) INCLUDE (price);
CREATE INDEX fresh_partial ON fresh (at) WHERE active;
CREATE INDEX fresh_price ON fresh (price);
CREATE INDEX fresh_fill_50 ON fresh (id) WITH (fillfactor = 50);
CREATE INDEX fresh_fill_100 ON fresh (name) WITH (fillfactor = 100);
CREATE INDEX fresh_nodedup ON fresh (city) WITH (deduplicate_items = off);
CREATE INDEX fresh_dedup_later ON fresh (status) WITH (deduplicate_items = off);
ALTER INDEX fresh_dedup_later SET (deduplicate_items = on);
CREATE INDEX fresh_sparse ON fresh (sparse);
VACUUM ANALYZE fresh;

-- filled row by row, in no order and in order
CREATE TABLE grown (LIKE source);
CREATE INDEX grown_id ON grown (id);
CREATE INDEX grown_u ON grown (u);
CREATE INDEX grown_city ON grown (city);
CREATE INDEX grown_name ON grown (name text_pattern_ops);
CREATE INDEX grown_at ON grown (at);
CREATE INDEX grown_path ON grown (path) WITH (fillfactor = 70);
CREATE UNIQUE INDEX grown_unique ON grown (name, id);
INSERT INTO grown SELECT * FROM source WHERE id % 2 = 0 ORDER BY id;
INSERT INTO grown SELECT * FROM source WHERE id % 2 = 1 ORDER BY id;
VACUUM ANALYZE grown;

-- deletes, vacuumed and not
CREATE TABLE thinned AS TABLE source;
CREATE INDEX thinned_id ON thinned (id);
CREATE INDEX thinned_u ON thinned (u);
CREATE INDEX thinned_status ON thinned (status);
CREATE INDEX thinned_city ON thinned (city);
CREATE INDEX thinned_path ON thinned (path);
CREATE INDEX thinned_partial ON thinned (name) WHERE status < 2;
DELETE FROM thinned WHERE random() < .55;
VACUUM ANALYZE thinned;
CREATE TABLE thinned_raw AS TABLE source;
CREATE INDEX thinned_raw_id ON thinned_raw (id);
CREATE INDEX thinned_raw_city ON thinned_raw (city);
CREATE INDEX thinned_raw_name ON thinned_raw (name);
CREATE INDEX thinned_raw_partial ON thinned_raw (u) WHERE active;
ANALYZE thinned_raw;
DELETE FROM thinned_raw WHERE random() < .4 OR active AND random() < .6;
CREATE TABLE expired AS TABLE source;
CREATE INDEX expired_id ON expired (id);
CREATE INDEX expired_u ON expired (u);
CREATE INDEX expired_at ON expired (at);
DELETE FROM expired WHERE id BETWEEN 10000 AND 60000;
VACUUM ANALYZE expired;
CREATE TABLE expired_raw AS TABLE source;
CREATE INDEX expired_raw_id ON expired_raw (id);
CREATE INDEX expired_raw_city ON expired_raw (city);
VACUUM ANALYZE expired_raw;
DELETE FROM expired_raw WHERE id > 50000;
CREATE TABLE sparse_left AS TABLE source;
CREATE INDEX sparse_left_id ON sparse_left (id);
CREATE INDEX sparse_left_path ON sparse_left (path);
DELETE FROM sparse_left WHERE id % 100 > 0;
VACUUM ANALYZE sparse_left;
CREATE TABLE killed AS TABLE source;
CREATE INDEX killed_id ON killed (id);
VACUUM ANALYZE killed;
DELETE FROM killed WHERE id % 4 > 0;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT count(price) FROM killed WHERE id > 0 \g /dev/null
RESET enable_seqscan;
RESET enable_bitmapscan;
CREATE TABLE aborted AS SELECT * FROM source WHERE id <= 40000;
CREATE INDEX aborted_u ON aborted (u);
CREATE INDEX aborted_id ON aborted (id);
ANALYZE aborted;
BEGIN; INSERT INTO aborted SELECT * FROM source; ROLLBACK;

-- updates
CREATE TABLE moved AS SELECT id, name, status FROM source;
CREATE INDEX moved_id ON moved (id);
CREATE INDEX moved_status ON moved (status);
ALTER TABLE moved ADD PRIMARY KEY (name);
UPDATE moved SET status = status + 1 WHERE random() < .5;
VACUUM moved;
UPDATE moved SET id = id + 100000 WHERE random() < .3;
VACUUM ANALYZE moved;
CREATE TABLE moved_raw AS SELECT id, name, status FROM source;
CREATE INDEX moved_raw_id ON moved_raw (id);
CREATE INDEX moved_raw_status ON moved_raw (status);
ANALYZE moved_raw;
UPDATE moved_raw SET status = 9 WHERE random() < .5;
CREATE TABLE hot (id int PRIMARY KEY, n int) WITH (fillfactor = 50);
INSERT INTO hot SELECT g, 0 FROM generate_series(1, 60000) g;
ANALYZE hot;
UPDATE hot SET n = 1;
CREATE TABLE window_moved (id int PRIMARY KEY, v text);
INSERT INTO window_moved SELECT g, 'x' FROM generate_series(1, 40000) g;
DELETE FROM window_moved WHERE id < 30000;
VACUUM window_moved;
INSERT INTO window_moved SELECT g, 'x' FROM generate_series(40001, 70000) g;
DELETE FROM window_moved WHERE id < 60000 AND random() < .9;
VACUUM ANALYZE window_moved;
CREATE TABLE rebuilt AS TABLE source;
CREATE INDEX rebuilt_u ON rebuilt (u);
DELETE FROM rebuilt WHERE random() < .5;
REINDEX INDEX rebuilt_u;
ANALYZE rebuilt;
-- large enough for a sample to miss something
CREATE TABLE large AS
SELECT g AS id, gen_random_uuid() AS u, (1000 * random() ^ 3)::int AS k, left(md5(random()::text), 4 + g % 25) AS t
  FROM generate_series(1, 400000) g;
CREATE INDEX large_id ON large (id);
CREATE INDEX large_u ON large (u);
CREATE INDEX large_k ON large (k);
CREATE INDEX large_t ON large (t);
CREATE INDEX large_k_id ON large (k, id);
DELETE FROM large WHERE id BETWEEN 50000 AND 120000 OR k < 2 OR random() < .1;
VACUUM ANALYZE large;
CREATE TABLE large_raw AS SELECT id, u, k FROM large;
CREATE INDEX large_raw_id ON large_raw (id);
CREATE INDEX large_raw_u ON large_raw (u);
CREATE INDEX large_raw_k ON large_raw (k);
VACUUM ANALYZE large_raw;
DELETE FROM large_raw WHERE id % 100000 < 20000 OR id % 7 = 0;
UPDATE large_raw SET k = k + 1 WHERE id % 11 = 0;
CREATE TABLE large_grown (id int, k int, u uuid);
CREATE INDEX large_grown_u ON large_grown (u);
CREATE INDEX large_grown_k ON large_grown (k);
INSERT INTO large_grown SELECT id, k, u FROM large WHERE id < 60000;
INSERT INTO large_grown SELECT id, k, u FROM large WHERE id > 250000;
DELETE FROM large_grown WHERE u < '30000000-0000-0000-0000-000000000000' AND random() < .9;
VACUUM ANALYZE large_grown;
-- few keys, many rows of each
CREATE TABLE flagged AS SELECT id, id % 100 = 0 AS done, (id % 3)::bigint AS kind, repeat('k', 900 + id % 300) || id AS long FROM large LIMIT 60000;
CREATE INDEX flagged_done ON flagged (done);
CREATE INDEX flagged_kind ON flagged (kind);
CREATE INDEX flagged_kind_id ON flagged (kind, id DESC);
CREATE INDEX flagged_long ON flagged (long) WHERE id % 20 = 0;
ANALYZE flagged;
UPDATE flagged SET done = true WHERE id % 3 = 0;
CREATE TABLE flagged_vacuumed AS SELECT id, done, kind FROM flagged;
CREATE INDEX flagged_vacuumed_done ON flagged_vacuumed (done);
CREATE INDEX flagged_vacuumed_kind ON flagged_vacuumed (kind);
UPDATE flagged_vacuumed SET done = NOT done WHERE random() < .5;
DELETE FROM flagged_vacuumed WHERE kind = 1;
VACUUM ANALYZE flagged_vacuumed;
CREATE TABLE one_value AS SELECT id, 'same'::text AS v, NULL::int AS n FROM large LIMIT 50000;
CREATE INDEX one_value_v ON one_value (v);
CREATE INDEX one_value_n ON one_value (n);
ANALYZE one_value;
UPDATE one_value SET v = 'other' WHERE id % 2 = 0;
CREATE TABLE index_tiny AS SELECT g AS id FROM generate_series(1, 100) g;
CREATE INDEX index_tiny_id ON index_tiny (id);
CREATE TABLE index_empty (id int PRIMARY KEY);

-- other access methods
CREATE TABLE other_source AS
SELECT g AS id, ARRAY(SELECT (random() * 3000)::int FROM generate_series(1, 6) WHERE g > 0) AS tags,
       jsonb_build_object('k', g % 500, 'city', (random() * 900)::int, 'name', left(md5(g::text), 6)) AS doc,
       int4range((random() * 1e6)::int, NULL) * int4range(NULL, 1500000) AS span,
       point(random() * 1000, random() * 1000) AS at, 'item/' || (random() * 5000)::int || '/' || md5(g::text) AS name,
       to_tsvector('simple', md5((g % 2000)::text) || ' ' || md5((g % 311)::text) || ' w' || g % 97) AS words
  FROM generate_series(1, 40000) g;
CREATE TABLE other_fresh AS TABLE other_source;
CREATE INDEX other_fresh_gin_tags ON other_fresh USING gin (tags);
CREATE INDEX other_fresh_gin_doc ON other_fresh USING gin (doc);
CREATE INDEX other_fresh_gin_words ON other_fresh USING gin (words);
CREATE INDEX other_fresh_gist_span ON other_fresh USING gist (span);
CREATE INDEX other_fresh_gist_at ON other_fresh USING gist (at);
CREATE INDEX other_fresh_hash ON other_fresh USING hash (name);
CREATE INDEX other_fresh_brin ON other_fresh USING brin (id);
CREATE INDEX other_fresh_spgist_name ON other_fresh USING spgist (name);
CREATE INDEX other_fresh_spgist_at ON other_fresh USING spgist (at);
VACUUM ANALYZE other_fresh;
CREATE TABLE other_grown (LIKE other_source);
CREATE INDEX other_grown_gin_tags ON other_grown USING gin (tags);
CREATE INDEX other_grown_gin_path ON other_grown USING gin (doc jsonb_path_ops) WITH (fastupdate = off);
CREATE INDEX other_grown_gist_span ON other_grown USING gist (span);
CREATE INDEX other_grown_gist_at ON other_grown USING gist (at);
CREATE INDEX other_grown_hash ON other_grown USING hash (id);
CREATE INDEX other_grown_hash_dups ON other_grown USING hash ((id % 50));
CREATE INDEX other_grown_spgist ON other_grown USING spgist (name);
CREATE INDEX other_grown_brin ON other_grown USING brin (span) WITH (pages_per_range = 4);
INSERT INTO other_grown SELECT * FROM other_source WHERE id % 2 = 0;
INSERT INTO other_grown SELECT * FROM other_source WHERE id % 2 = 1;
ANALYZE other_grown;
CREATE TABLE other_thinned AS TABLE other_source;
CREATE INDEX other_thinned_gin_tags ON other_thinned USING gin (tags);
CREATE INDEX other_thinned_gin_doc ON other_thinned USING gin (doc);
CREATE INDEX other_thinned_gist_span ON other_thinned USING gist (span);
CREATE INDEX other_thinned_gist_at ON other_thinned USING gist (at);
CREATE INDEX other_thinned_hash ON other_thinned USING hash (name);
CREATE INDEX other_thinned_spgist ON other_thinned USING spgist (name);
DELETE FROM other_thinned WHERE random() < .6;
VACUUM ANALYZE other_thinned;
CREATE TABLE other_raw AS TABLE other_source;
CREATE INDEX other_raw_gin_tags ON other_raw USING gin (tags);
CREATE INDEX other_raw_gist_at ON other_raw USING gist (at);
CREATE INDEX other_raw_hash ON other_raw USING hash (id);
ANALYZE other_raw;
DELETE FROM other_raw WHERE id % 5 < 2;
DROP TABLE source, other_source;
