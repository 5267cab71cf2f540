-- The advisor's models beside reality: sizes of indexes, and what the planner
-- makes of indexes that do not exist.
CREATE SCHEMA am;
SET search_path = am, public;
CREATE TABLE parent (a int, b int, PRIMARY KEY (a, b));
INSERT INTO parent SELECT g, g % 7 FROM generate_series(1, 4000) g;
CREATE TABLE t (id int PRIMARY KEY, few int, many int, null_mostly int, word text, words text,
                amount numeric(12,2), at timestamptz, flag boolean, code char(12), uid uuid,
                ratio float8, tags int[], doc jsonb, period int4range,
                FOREIGN KEY (many, few) REFERENCES parent (a, b));
INSERT INTO t SELECT g, (g * 7919 % 4000 + 1) % 7, g * 7919 % 4000 + 1,
                     CASE WHEN g % 20 = 0 THEN g % 300 END,
                     (ARRAY['red','green','blue','yellow','magenta'])[1 + g % 5],
                     repeat(md5(g::text), 1 + g % 3), g * 37 % 100003 / 100.0,
                     timestamptz '2024-01-01' + g * interval '7 min', g % 50 = 0, 'C' || g % 3000,
                     md5(g::text)::uuid, g * 0.7, ARRAY[g % 10, g % 100, g % 1000],
                     jsonb_build_object('kind', g % 5, 'n', g % 4001, 'name', md5((g % 900)::text)),
                     int4range(g, g + 10)
  FROM generate_series(1, 30000) g;
VACUUM ANALYZE parent;
VACUUM ANALYZE t;

-- each of these is built, and estimated as if it were not there
CREATE INDEX b01 ON t (few);
CREATE INDEX b02 ON t (many);
CREATE INDEX b03 ON t (null_mostly);
CREATE INDEX b04 ON t (word);
CREATE INDEX b05 ON t (words);
CREATE INDEX b06 ON t (amount);
CREATE INDEX b07 ON t (at DESC NULLS LAST);
CREATE INDEX b08 ON t (flag);
CREATE INDEX b09 ON t (code);
CREATE INDEX b10 ON t (uid);
CREATE INDEX b11 ON t (ratio);
CREATE INDEX b12 ON t (many, few);
CREATE INDEX b13 ON t (word, at);
CREATE INDEX b14 ON t (many) INCLUDE (amount, word);
CREATE INDEX b15 ON t (at) WHERE flag;
CREATE INDEX b16 ON t (few) WHERE null_mostly IS NOT NULL;
CREATE INDEX b17 ON t (lower(words));
CREATE INDEX b18 ON t ((doc ->> 'kind'));
CREATE INDEX b19 ON t (((doc ->> 'n')::int), word);
CREATE INDEX b20 ON t (null_mostly) WHERE null_mostly IS NULL;
CREATE INDEX g01 ON t USING gin (tags);
CREATE INDEX g02 ON t USING gin (doc);
CREATE INDEX g03 ON t USING gin (doc jsonb_path_ops);
CREATE INDEX g04 ON t USING gin (to_tsvector('english', words));
CREATE INDEX r01 ON t USING brin (at);
CREATE INDEX h01 ON t USING hash (uid);
CREATE INDEX s01 ON t USING gist (period);
ANALYZE t;
CREATE TEMP TABLE model AS
SELECT c.relname AS name, m.estimated_bytes / m.real_bytes AS ratio, m.*
  FROM pg_class c, steward.index_model(c.oid) m
 WHERE c.relnamespace = 'am'::regnamespace AND c.relkind = 'i' AND c.relname ~ '^[a-z][0-9]{2}$';

-- expected to be empty: estimates that are off
SELECT name, definition, round(ratio::numeric, 2) AS ratio, real_height, estimated_height
  FROM model
 WHERE NOT ratio BETWEEN 0.93 AND 1.07 AND name ~ '^b'
    OR NOT ratio BETWEEN 1 / 1.5 AND 1.5
    OR real_height <> estimated_height AND name ~ '^b'
    OR name ~ '^b' AND abs(real_rows - estimated_rows) > 0.02 * real_rows + 10
 ORDER BY name;
SELECT count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY ratio) BETWEEN 0.97 AND 1.03 AS median
  FROM model WHERE name ~ '^b';

-- a table ordered by a column: equal values stand together, or near each other
CREATE TABLE near_order AS
SELECT g / 30 AS together, g / 30 + g * 7919 % 13 AS near, repeat('x', 60) AS filler FROM generate_series(1, 60000) g;
CREATE INDEX near_1 ON near_order (together);
CREATE INDEX near_2 ON near_order (near);
ANALYZE near_order;
SELECT c.relname, m.estimated_bytes / m.real_bytes BETWEEN 0.93 AND 1.07 AS right
  FROM pg_class c, steward.index_model(c.oid) m WHERE c.relname IN ('near_1', 'near_2') ORDER BY 1;

-- columns that depend on each other: a sample of rows shows it; who may not read
-- the table takes them for independent, but extended statistics tell it, too
CREATE ROLE am_blind;
GRANT USAGE ON SCHEMA am TO am_blind;
GRANT EXECUTE ON FUNCTION steward.index_model(regclass), steward.index_candidates(text, boolean) TO am_blind;
CREATE TABLE dependent AS
SELECT g % 3000 AS city, g % 3000 / 10 AS region FROM generate_series(1, 30000) g;
CREATE INDEX d01 ON dependent (region, city);
ANALYZE dependent;
SELECT estimated_bytes / real_bytes BETWEEN 0.93 AND 1.07 AS right FROM steward.index_model('d01');
SET ROLE am_blind;
SELECT estimated_bytes / real_bytes > 1.5 AS too_big FROM steward.index_model('d01');
RESET ROLE;
CREATE STATISTICS d_stat ON region, city FROM dependent;
ANALYZE dependent;
SET ROLE am_blind;
SELECT estimated_bytes / real_bytes BETWEEN 0.93 AND 1.07 AS right FROM steward.index_model('d01');
RESET ROLE;
-- a table ordered by a column: ANALYZE finds too few different values
CREATE TABLE ordered AS SELECT g / 4 AS a, repeat('x', 20) AS filler FROM generate_series(1, 60000) g;
CREATE INDEX o01 ON ordered (a);
ANALYZE ordered;
SELECT estimated_bytes / real_bytes BETWEEN 0.93 AND 1.07 AS right FROM steward.index_model('o01');

-- nothing is known: no statistics, no rows, no columns
CREATE TABLE empty (a int, b text);
CREATE INDEX e01 ON empty (a, b);
CREATE INDEX e02 ON empty USING gin (to_tsvector('english', b));
SELECT name, (m).real_bytes <= 2 * (m).estimated_bytes AS not_less
  FROM (SELECT i::text AS name, steward.index_model(i) AS m FROM unnest('{e01,e02}'::regclass[]) i) x;
SELECT steward.index_model('t');

-- what the planner makes of a hypothetical copy: the same cost, and the same
-- use, as of the index itself
CREATE TEMP TABLE question (name text, query text);
INSERT INTO question VALUES
('b02', 'SELECT * FROM t WHERE many = $1'),
('b03', 'SELECT * FROM t WHERE null_mostly = 40'),
('b05', 'SELECT words FROM t WHERE words = $1'),
('b07', 'SELECT * FROM t ORDER BY at DESC NULLS LAST LIMIT 10'),
('b10', 'SELECT * FROM t WHERE uid = $1'),
('b11', 'SELECT * FROM t WHERE ratio < 70'),
('b12', 'SELECT count(*) FROM t WHERE many = $1 AND few = $2'),
('b13', 'SELECT * FROM t WHERE word = ''red'' ORDER BY at LIMIT 5'),
('b14', 'SELECT amount, word FROM t WHERE many BETWEEN 10 AND 20'),
('b15', 'SELECT * FROM t WHERE flag AND at > ''2024-05-01'''),
('b16', 'SELECT * FROM t WHERE few = 3 AND null_mostly IS NOT NULL'),
('b17', 'SELECT * FROM t WHERE lower(words) = $1'),
('b19', 'SELECT * FROM t WHERE (doc ->> ''n'')::int = 5 AND word = ''red'''),
('r01', 'SELECT count(*) FROM t WHERE at < ''2024-01-02''');
CREATE TEMP TABLE answer AS
SELECT q.name, q.query, w.*
  FROM question q, steward.index_whatif(q.query, q.name::regclass) w;
SELECT name, real_used, hypothetical_used, abs(hypothetical_cost / real_cost - 1) < 0.03 AS same_cost,
       cost_without >= real_cost AS no_worse
  FROM answer ORDER BY name;

-- GIN: the server guesses the inner shape of what it cannot open
SELECT q, real_used = hypothetical_used AS same_use,
       hypothetical_cost / real_cost BETWEEN 0.5 AND 2 AS similar_cost
  FROM (VALUES ('g01', 'SELECT * FROM t WHERE tags @> ''{5,77}'''),
               ('g03', 'SELECT * FROM t WHERE doc @> ''{"n": 7}''')) x (i, q),
       steward.index_whatif(q, i::regclass);

-- a copy in the place of a primary key costs the same, though not unique
SELECT hypothetical_used, abs(hypothetical_cost - real_cost) < 0.03 * real_cost AS same_cost
  FROM steward.index_whatif('SELECT * FROM t WHERE id < 50', 't_pkey');

-- a query that a function runs while the planner evaluates it sees what exists,
-- and nothing else: it is executed
CREATE FUNCTION looks_up(wanted int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
$$
BEGIN
    EXECUTE 'SELECT count(*) FROM am.other WHERE a = $1' INTO wanted USING wanted;
    RETURN wanted;
END
$$;
CREATE TABLE other AS SELECT g AS a, repeat('x', 200) AS filler FROM generate_series(1, 20000) g;
VACUUM ANALYZE other;
SELECT definition, used FROM steward.index_candidates('SELECT * FROM other WHERE a = looks_up(5)');
-- and nobody sees them afterwards, nor after an error inside the planner
CREATE FUNCTION fails(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN RAISE EXCEPTION 'planner met an error'; END $$;
SELECT * FROM steward.index_candidates('SELECT * FROM other WHERE a = fails(5)');
EXPLAIN (COSTS OFF) SELECT * FROM other WHERE a = 5;
SELECT count(*) FROM other WHERE a = 5;

-- statements that have no plan
SELECT * FROM steward.index_candidates('VACUUM t');
SELECT * FROM steward.index_candidates('SELECT 1; SELECT 2');
SELECT * FROM steward.index_candidates('SELECT * FROM no_such_table');
SELECT * FROM steward.index_candidates('EXPLAIN SELECT 1');

-- who may not read a table gets no sample of it
SET ROLE am_blind;
SELECT estimated_bytes > 0 AS guessed FROM steward.index_model('am.g02');
SELECT estimated_bytes > 0 AS guessed FROM steward.index_model('am.b17');
RESET ROLE;
REVOKE ALL ON FUNCTION steward.index_model(regclass), steward.index_candidates(text, boolean) FROM am_blind;
-- and functions of users are not called for one, whoever asks
CREATE FUNCTION trap(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN RAISE EXCEPTION 'trap'; END $$;
SELECT definition FROM steward.index_candidates('SELECT * FROM t WHERE trap(word) = $1');
SET client_min_messages = warning;
DROP SCHEMA am CASCADE;
DROP ROLE am_blind;
