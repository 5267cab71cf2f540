-- Whether materialized views are fresh, and what decides that.
SET client_min_messages = warning;
CREATE SCHEMA fresh;
SET search_path = fresh, public;

CREATE TABLE t (a int, b text, at timestamptz);
INSERT INTO t SELECT g, g::text, '2026-01-01'::timestamptz + g * interval '1 hour' FROM generate_series(1, 10) g;
CREATE TABLE other (a int);
CREATE VIEW v AS SELECT a, b FROM t;
CREATE VIEW vv AS SELECT v.a, other.a AS o FROM v LEFT JOIN other USING (a);
CREATE TABLE p (a int, b int) PARTITION BY RANGE (a);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (b);
CREATE TABLE p21 PARTITION OF p2 FOR VALUES FROM (0) TO (10);
CREATE TABLE base (a int);
CREATE TABLE heir () INHERITS (base);
CREATE MATERIALIZED VIEW m AS SELECT a % 3 AS k, count(*) FROM vv GROUP BY 1;
CREATE MATERIALIZED VIEW m_up AS SELECT k FROM m UNION ALL SELECT a FROM p UNION ALL SELECT a FROM ONLY base;
CREATE MATERIALIZED VIEW m_heirs AS SELECT a, (SELECT max(a) FROM t) FROM base;
CREATE MATERIALIZED VIEW m_none AS SELECT 1 AS one WITH NO DATA;

CREATE FUNCTION state(matview regclass) RETURNS text LANGUAGE sql AS $$
	SELECT f.state || coalesce(': ' || f.reason, '')
	       || CASE WHEN (f.stale_since IS NOT NULL) = (f.state = 'stale') THEN '' ELSE ' WRONG TIME' END
	       || CASE WHEN f.peeked = f.state OR f.recheck OR f.state = 'never_populated' THEN '' ELSE ' WRONG PEEK' END
	  FROM steward.matview_freshness(matview) f $$;
CREATE FUNCTION peeked(matview regclass) RETURNS text LANGUAGE sql AS
	$$ SELECT peeked || CASE WHEN recheck THEN ', recheck' ELSE '' END FROM steward.matview_freshness(matview) $$;

-- sources: through views, partitions and children, not behind other matviews
SELECT * FROM steward.matview_sources('m') ORDER BY 1, 2::text;
SELECT * FROM steward.matview_sources('m_up') ORDER BY 1, 2::text;
SELECT * FROM steward.matview_sources('m_heirs') ORDER BY 1, 2::text;

-- why changes cannot be followed
CREATE FUNCTION obstacle(query text, assume bool = false) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
	EXECUTE 'CREATE MATERIALIZED VIEW fresh.tried AS ' || query || ' WITH NO DATA';
	SELECT coalesce(obstacle, 'none') || CASE WHEN depends_on_settings THEN ' (settings)' ELSE '' END
	  INTO result FROM steward.matview_definition('fresh.tried', assume);
	DROP MATERIALIZED VIEW fresh.tried;
	RETURN result;
END $$;
CREATE FUNCTION slow(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION steady(int) RETURNS int STABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION firm(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION dated(int, timestamptz = now()) RETURNS timestamptz IMMUTABLE LANGUAGE sql AS 'SELECT $2';
CREATE FUNCTION moody(int, int) RETURNS int VOLATILE LANGUAGE sql AS 'SELECT $1';
CREATE AGGREGATE moody_sum(int) (SFUNC = moody, STYPE = int, INITCOND = '0');
CREATE TYPE colour AS ENUM ('red', 'green');
CREATE SEQUENCE seq;
CREATE TABLE secret (a int);
ALTER TABLE secret ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE TABLE mild (a int);
ALTER TABLE mild ENABLE ROW LEVEL SECURITY;
CREATE FOREIGN DATA WRAPPER dummy;
CREATE SERVER dummy FOREIGN DATA WRAPPER dummy;
CREATE FOREIGN TABLE far (a int) SERVER dummy;
CREATE TABLE pf (a int) PARTITION BY LIST (a);
CREATE FOREIGN TABLE pf_far PARTITION OF pf FOR VALUES IN (1) SERVER dummy;
SELECT query, obstacle(query), CASE WHEN obstacle(query, true) = obstacle(query) THEN 'same' ELSE obstacle(query, true) END AS vouched
  FROM (VALUES
	(1, 'SELECT a, upper(b) FROM t'),
	(2, 'SELECT random() FROM t'),
	(3, 'SELECT a FROM t WHERE at < now()'),
	(4, 'SELECT CURRENT_DATE FROM t'),
	(5, 'SELECT a FROM t WHERE slow(a) = 1'),
	(6, 'SELECT steady(a) FROM t'),
	(7, 'SELECT firm(a) FROM t'),
	(8, 'SELECT moody_sum(a) FROM t'),
	(9, 'SELECT a FROM t TABLESAMPLE SYSTEM (10)'),
	(10, 'SELECT at::date, date_trunc(''day'', at), count(*) FROM t GROUP BY 1, 2'),
	(11, 'SELECT at::text, to_char(at, ''YYYY'') FROM t'),
	(12, 'SELECT b::date FROM t'),
	(13, 'SELECT json_agg(a), concat(a, b) FROM t GROUP BY a, b'),
	(14, 'SELECT json_agg(''red''::colour), json_agg(t) AS whole FROM t'),
	(15, 'SELECT array_agg(at)::text FROM t'),
	(16, 'SELECT (''fresh.t''::regclass)::text'),
	(17, 'SELECT relname FROM pg_class'),
	(18, 'SELECT last_value FROM seq'),
	(19, 'SELECT a FROM secret'),
	(20, 'SELECT a FROM mild'),
	(21, 'SELECT a FROM far'),
	(22, 'SELECT a FROM pf'),
	(23, 'SELECT xmin::text AS x FROM t'),
	(24, 'SELECT tableoid AS x FROM t'),
	(25, 'SELECT table_name::text FROM information_schema.tables'),
	(26, 'WITH x AS (SELECT a FROM t WHERE EXISTS (SELECT FROM other WHERE random() < 1)) SELECT * FROM x'),
	(27, 'SELECT dated(a) FROM t')
	) q (n, query) ORDER BY n;

-- life of a view
SELECT state('m_none'), state('m');
SELECT count(*) FROM refresh_matview_now('m');
SELECT count(*) FROM refresh_matview_now('m_up');
SELECT count(*) FROM refresh_matview_now('m_heirs');
SELECT state('m'), state('m_up'), state('m_heirs');
INSERT INTO p VALUES (11, 1);
SELECT state('m'), state('m_up'), state('m_heirs');
SELECT count(*) FROM refresh_matview_now('m_up');
INSERT INTO heir VALUES (1);
SELECT state('m'), state('m_up'), state('m_heirs');
SELECT count(*) FROM refresh_matview_now('m_heirs');
-- what is rolled back did not happen; nor locks, and rows of other tables
BEGIN; INSERT INTO t VALUES (1); ROLLBACK;
BEGIN; SAVEPOINT s; DELETE FROM t; ROLLBACK TO s; SELECT count(*) FROM (SELECT FROM t FOR UPDATE) x; COMMIT;
CREATE TABLE unrelated AS SELECT * FROM t;
CREATE TEMP TABLE scratch (a text PRIMARY KEY); INSERT INTO scratch VALUES ('x'); DROP TABLE scratch;
SELECT peeked('m'), peeked('m_up'), peeked('m_heirs');
-- a change upstream stops where nothing differs
UPDATE t SET b = 'same group' WHERE a = 1;
SELECT state('m'), state('m_up');
SELECT rows_inserted, rows_deleted FROM refresh_matview_now('m');
SELECT state('m'), state('m_up');
INSERT INTO t VALUES (77);
SELECT rows_inserted + rows_deleted + rows_updated > 0 AS changed FROM refresh_matview_now('m');
SELECT state('m'), state('m_up');
SELECT count(*) FROM refresh_matview_now('m_up');
-- refreshes that leave no mark, or take it away
BEGIN; SELECT count(*) FROM refresh_matview_now('m'); ROLLBACK;
SELECT state('m');
INSERT INTO t VALUES (78);
BEGIN; SAVEPOINT s; SELECT count(*) FROM refresh_matview_now('m'); ROLLBACK TO s; COMMIT;
SELECT state('m');
BEGIN; SAVEPOINT s; SELECT count(*) FROM refresh_matview_now('m'); RELEASE s; COMMIT;
SELECT state('m');
BEGIN; SELECT count(*) FROM refresh_matview_now('m'); INSERT INTO t VALUES (79); COMMIT;
SELECT state('m');
BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM refresh_matview_now('m'); COMMIT;
SELECT state('m');
SELECT count(*) FROM refresh_matview_now('m');
BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1; REFRESH MATERIALIZED VIEW m; COMMIT;
SELECT state('m'), state('m_up');

-- the server's command renews a mark, where there is one
SELECT count(*) FROM refresh_matview_now('m');
INSERT INTO t VALUES (80);
REFRESH MATERIALIZED VIEW m;
SELECT state('m'), state('m_up');
INSERT INTO t VALUES (81);
BEGIN; REFRESH MATERIALIZED VIEW m; INSERT INTO t VALUES (82); COMMIT;
SELECT state('m');
DO $$ BEGIN REFRESH MATERIALIZED VIEW m; REFRESH MATERIALIZED VIEW m; END $$;
SELECT state('m');
INSERT INTO t VALUES (83);
BEGIN; REFRESH MATERIALIZED VIEW m; ROLLBACK;
SELECT state('m');
CREATE ROLE freshness_other;
GRANT USAGE ON SCHEMA fresh TO freshness_other;
SET ROLE freshness_other;
\set VERBOSITY sqlstate
REFRESH MATERIALIZED VIEW m;
\set VERBOSITY default
RESET ROLE;
DROP OWNED BY freshness_other;
DROP ROLE freshness_other;
CREATE MATERIALIZED VIEW m_key AS SELECT DISTINCT a FROM t;
CREATE UNIQUE INDEX ON m_key (a);
REFRESH MATERIALIZED VIEW m_key;
SELECT state('m_key');
SELECT count(*) FROM refresh_matview_now('m_key');
INSERT INTO t VALUES (84);
REFRESH MATERIALIZED VIEW CONCURRENTLY m_key;
SELECT state('m_key');
DROP MATERIALIZED VIEW m_key;
SELECT count(*) FROM refresh_matview_now('m');
REFRESH MATERIALIZED VIEW m WITH NO DATA;
SELECT state('m');
SELECT count(*) FROM refresh_matview_now('m', 'plain');
-- its own catalog changes are looked at once
SELECT peeked('m'); SELECT peeked('m');

-- changes of definition: noticed without a connection, then looked at
SELECT count(*) FROM refresh_matview_now('m_up');
ANALYZE t; CREATE INDEX ON t (a); ALTER TABLE t ALTER a SET STATISTICS 10;
SELECT peeked('m'); SELECT peeked('m');
ALTER TABLE t ADD nothing int;
SELECT peeked('m'); SELECT peeked('m'); SELECT state('m');
SELECT count(*) FROM refresh_matview_now('m');
CREATE FUNCTION changes(ddl text, matview regclass = 'm') RETURNS text LANGUAGE plpgsql AS $$
DECLARE before bigint := (SELECT signature FROM steward.matview_definition(matview));
BEGIN
	EXECUTE ddl;
	RETURN CASE WHEN before = (SELECT signature FROM steward.matview_definition(matview)) THEN 'same' ELSE 'another' END;
END $$;
SELECT ddl, changes(ddl) FROM (VALUES
	(1, 'CREATE OR REPLACE VIEW v AS SELECT a, b FROM t WHERE a > 1'),
	(2, 'ALTER TABLE t ADD c int'),
	(3, 'ALTER TABLE t RENAME c TO d'),
	(4, 'ALTER TABLE t DROP d'),
	(5, 'ALTER TABLE t RENAME TO t2'),
	(6, 'ALTER TABLE t2 RENAME TO t'),
	(7, 'TRUNCATE other'),
	(8, 'CREATE INDEX ON other (a)'),
	(9, 'ALTER TABLE t ENABLE ROW LEVEL SECURITY'),
	(10, 'CREATE TABLE elsewhere (a int)')) d (n, ddl) ORDER BY n;
SELECT state('m');
SELECT ddl, changes(ddl, 'm_up') FROM (VALUES
	(1, 'CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (20) TO (30)'),
	(2, 'ALTER TABLE p DETACH PARTITION p3'),
	(3, 'ALTER TABLE p ATTACH PARTITION p3 FOR VALUES FROM (20) TO (30)'),
	(4, 'ALTER TABLE heir NO INHERIT base'),
	(5, 'DROP TABLE p3')) d (n, ddl) ORDER BY n;
SELECT state('m_up');
SELECT changes('ALTER TABLE heir INHERIT base', 'm_heirs');

-- functions, also those that functions call
CREATE FUNCTION outer_one(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN fresh.firm($1); END';
CREATE MATERIALIZED VIEW m_call AS SELECT outer_one(a) FROM t;
SELECT count(*) FROM refresh_matview_now('m_call');
SELECT peeked('m_call');
CREATE OR REPLACE FUNCTION firm(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1';
SELECT peeked('m_call');
SELECT count(*) FROM refresh_matview_now('m_call');
SELECT changes($$CREATE OR REPLACE FUNCTION outer_one(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1'$$, 'm_call');

-- counting switched off
SELECT count(*) FROM refresh_matview_now('m_heirs');
SET track_counts = off; INSERT INTO unrelated VALUES (1); RESET track_counts;
SELECT peeked('m_heirs');
SELECT count(*) FROM refresh_matview_now('m_heirs');
BEGIN; SET LOCAL track_counts = off; INSERT INTO base VALUES (1); SET LOCAL track_counts = on; COMMIT;
SELECT state('m_heirs');

-- prepared transactions count when they are committed
SELECT count(*) FROM refresh_matview_now('m_heirs');
BEGIN; INSERT INTO base VALUES (2); PREPARE TRANSACTION 'fresh';
SELECT state('m_heirs');
COMMIT PREPARED 'fresh';
SELECT peeked('m_heirs');
BEGIN; SELECT count(*) FROM refresh_matview_now('m_heirs'); PREPARE TRANSACTION 'fresh';
COMMIT PREPARED 'fresh';
SELECT state('m_heirs');

-- an assumption that is withdrawn
CREATE MATERIALIZED VIEW m_random AS SELECT random() FROM t;
SELECT count(*) FROM refresh_matview_now('m_random');
SELECT state('m_random');
-- what is no materialized view, or gone
SELECT state, reason FROM steward.matview_freshness('t');
SELECT state, reason FROM steward.matview_freshness(1);
SELECT * FROM steward.matview_sources(1);

SET search_path = public;
DROP SCHEMA fresh CASCADE;
DROP FOREIGN DATA WRAPPER dummy CASCADE;
