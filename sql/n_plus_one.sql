-- get_n_plus_one_queries(): statements planted by hand, in transactions, so
-- that no pause of a slow machine tears them apart.
SELECT reset_n_plus_one();
CREATE TABLE np_author (id int PRIMARY KEY, name text);
CREATE TABLE np_book (id int PRIMARY KEY, author int, title text);
INSERT INTO np_author SELECT g, 'author ' || g FROM generate_series(1, 8) g;
INSERT INTO np_book SELECT g, 1 + g % 8, 'book ' || g FROM generate_series(1, 16) g;

-- a list, and a statement for each of its rows: three times
\set ECHO none
\o /dev/null
BEGIN;
SELECT format('SELECT title FROM np_book WHERE author = %s', id) FROM np_author \gexec
COMMIT;
BEGIN;
SELECT format('SELECT title FROM np_book WHERE author = %s', id) FROM np_author \gexec
COMMIT;
BEGIN;
SELECT format('SELECT title FROM np_book WHERE author = %s', id) FROM np_author \gexec
COMMIT;
-- writes and look-ups without a list, and the same question over and over
BEGIN;
SELECT string_agg(format('INSERT INTO np_book VALUES (%s, 1, ''new'')', g), ';') FROM generate_series(101, 160) g \gexec
COMMIT;
BEGIN;
SELECT string_agg(format('SELECT name FROM np_author WHERE id = %s', g), ';') FROM generate_series(1, 60) g \gexec
COMMIT;
BEGIN;
SELECT string_agg('SELECT count(*) FROM np_author', ';') FROM generate_series(1, 60) g \gexec
COMMIT;
-- catalogs, rows to be locked, and calls of functions do not count
BEGIN;
SELECT string_agg('SELECT relname FROM pg_class WHERE oid = ' || g, ';') FROM generate_series(1, 60) g \gexec
COMMIT;
BEGIN;
SELECT string_agg(format('SELECT name FROM np_author WHERE id = %s FOR UPDATE', g), ';') FROM generate_series(1, 60) g \gexec
COMMIT;
BEGIN;
SELECT string_agg('SELECT length(''x'')', ';') FROM generate_series(1, 60) g \gexec
COMMIT;
-- a loop inside a function, tracked
CREATE FUNCTION np_loop() RETURNS int LANGUAGE plpgsql AS $$
DECLARE author record; books int; total int := 0;
BEGIN
    FOR author IN SELECT id FROM np_author LOOP
        SELECT count(*) INTO books FROM np_book WHERE np_book.author = author.id;
        total := total + books;
    END LOOP;
    RETURN total;
END $$;
SET pg_steward.track = 'all';
SELECT np_loop();
SELECT np_loop();
SELECT np_loop();
RESET pg_steward.track;
\o
\set ECHO all

SELECT kind, query, parent_query, groups, median_executions, max_executions,
       rows_per_execution, parent_rows, inside_function
  FROM get_n_plus_one_queries() WHERE query LIKE '%np\_%'
 ORDER BY kind COLLATE "C", query COLLATE "C";
SELECT DISTINCT kind, suggestion FROM get_n_plus_one_queries() WHERE query LIKE '%np\_%' ORDER BY 1, 2;
SELECT bool_and(time_ms > 0) AS time, bool_and(saved_ms >= 0) AS saved,
       bool_and(saved_ms = 0 OR NOT inside_function) AS nothing_to_save_inside,
       bool_and(first_seen <= last_seen AND last_seen <= clock_timestamp()) AS seen,
       bool_and(application_name LIKE 'pg_regress%') AS application,
       bool_and(database_name = current_database() AND username = current_user) AS here,
       bool_and(queryid IS NOT NULL AND (parent_queryid IS NULL) = (parent_query IS NULL)) AS ids
  FROM get_n_plus_one_queries() WHERE query LIKE '%np\_%';

-- arguments
SELECT count(*) FROM get_n_plus_one_queries(1);
SELECT count(*) FROM get_n_plus_one_queries(0);
SELECT length(query) FROM get_n_plus_one_queries(1, query_length => 10);
SELECT count(*) FROM get_n_plus_one_queries(min_groups => 4) WHERE kind = 'n_plus_one';
SELECT get_n_plus_one_queries(-1);
SELECT get_n_plus_one_queries(min_groups => 0);
SELECT get_n_plus_one_queries(query_length => -1);

-- other roles see that something is there, not what
CREATE ROLE np_nobody;
CREATE ROLE np_stats IN ROLE pg_read_all_stats;
GRANT USAGE ON SCHEMA "Stat Schema" TO np_stats, np_nobody;
SET ROLE np_nobody;
SELECT count(*) > 0 AS rows, bool_and(query = '<insufficient privilege>') AS hidden,
       count(queryid) AS ids, count(parent_queryid) AS parent_ids, count(application_name) AS applications
  FROM get_n_plus_one_queries();
SELECT count(*) > 0 AS rows, count(queryid) AS ids FROM steward.n_plus_one_pairs();
SELECT reset_n_plus_one();
RESET ROLE;
SET ROLE np_stats;
SELECT count(*) FROM get_n_plus_one_queries() WHERE query LIKE '%np\_%' AND kind = 'n_plus_one';
RESET ROLE;
REVOKE USAGE ON SCHEMA "Stat Schema" FROM np_stats, np_nobody;
SET ROLE np_stats;
-- without pg_stat_statements there are ids, but no texts
SELECT count(*) > 0 AS rows, count(query) AS texts, count(queryid) > 0 AS ids FROM get_n_plus_one_queries();
RESET ROLE;
DROP ROLE np_nobody, np_stats;

-- settings
SHOW pg_steward.n_plus_one;
SHOW pg_steward.n_plus_one_threshold;
SHOW pg_steward.n_plus_one_gap;
SHOW pg_steward.n_plus_one_max;
SET pg_steward.n_plus_one_threshold = 2;
SELECT reset_n_plus_one();
SET pg_steward.n_plus_one = off;
\set ECHO none
\o /dev/null
BEGIN;
SELECT format('SELECT title FROM np_book WHERE author = %s', id) FROM np_author \gexec
COMMIT;
\o
\set ECHO all
SELECT count(*) FROM steward.n_plus_one_pairs();
SELECT entries, max_entries, evictions, reset_at <= now() AS reset FROM steward.n_plus_one_info();
RESET pg_steward.n_plus_one;
DROP FUNCTION np_loop();
DROP TABLE np_author, np_book;
