-- get_slow_queries(): pg_stat_statements, ordered, filtered and explained.
-- Statement shapes with known counts; their times are whatever they are.
SELECT "Stat Schema".pg_stat_statements_reset() IS NOT NULL AS reset;
CREATE TABLE sq_book (id int PRIMARY KEY, title text);
INSERT INTO sq_book SELECT g, 'book ' || g FROM generate_series(1, 1000) g;
SELECT pg_sleep(0.5) AS "sq_slow";
SELECT count(*) AS sq_many FROM sq_book WHERE id = 1;
SELECT count(*) AS sq_many FROM sq_book WHERE id = 2;
SELECT count(*) AS sq_many FROM sq_book WHERE id = 3;
SELECT
    count(*)
        AS   sq_spaced  ,  'böök' AS name
FROM sq_book;

-- the slow one is the slowest, and its figures agree with each other
SELECT query, calls, rows, mean_time_ms >= 50 AS mean_ok,
       total_time_ms = mean_time_ms AS one_call, min_time_ms = max_time_ms AS same,
       stddev_time_ms, username = current_user AS me, database_name = current_database() AS here,
       temp_bytes, queryid IS NOT NULL AS has_id
  FROM get_slow_queries(1);

-- exactly what pg_stat_statements says
SELECT count(*) >= 5 AS several,
       bool_and(g.calls = s.calls AND g.rows = s.rows
                AND abs(g.total_time_ms - s.total_exec_time) < 0.001
                AND abs(g.max_time_ms - s.max_exec_time) < 0.001
                AND abs(g.min_time_ms - s.min_exec_time) < 0.001
                AND g.wal_bytes = s.wal_bytes) AS equal
  FROM get_slow_queries(NULL, query_length => 0) g
       JOIN "Stat Schema".pg_stat_statements s USING (queryid)
 WHERE g.query LIKE '%sq\_%' AND g.query NOT LIKE '%get_slow%';
SELECT round(sum(total_pct)) AS total_pct FROM get_slow_queries(NULL);
SELECT bool_and(hit_pct BETWEEN 0 AND 100) FROM get_slow_queries(NULL);

-- known where the server knows it
SELECT bool_and((first_seen IS NOT NULL) = (current_setting('server_version_num')::int >= 170000))
  FROM get_slow_queries(NULL);

-- every order sorts by what it names
SELECT o.order_by, (SELECT bool_and(x) FROM (
           SELECT v >= lead(v) OVER (ORDER BY n) FROM (
               SELECT row_number() OVER () AS n,
                      CASE o.order_by WHEN 'mean' THEN mean_time_ms WHEN 'total' THEN total_time_ms
                          WHEN 'calls' THEN calls WHEN 'max' THEN max_time_ms WHEN 'rows' THEN rows
                          WHEN 'temp' THEN temp_bytes WHEN 'wal' THEN wal_bytes END AS v
                 FROM get_slow_queries(NULL, 0, o.order_by)) a) b(x)) AS sorted
  FROM unnest(ARRAY['mean', 'total', 'calls', 'max', 'rows', 'temp', 'wal']) o(order_by);
SELECT count(*) > 0 AS works FROM get_slow_queries(order_by => 'io');
SELECT query, calls FROM get_slow_queries(NULL, order_by => 'calls') WHERE query LIKE '%sq_many%';

-- length: cut in characters and folded to one line, or the whole text
SELECT query FROM get_slow_queries(NULL, query_length => 44) WHERE query LIKE '%sq\_spaced%';
SELECT query FROM get_slow_queries(NULL) WHERE query LIKE '%sq\_spaced%';
SELECT query FROM get_slow_queries(NULL, query_length => 0) WHERE query LIKE '%sq\_spaced%';

-- filter and limits
SELECT count(*) FROM get_slow_queries(min_mean_ms => 1e9);
SELECT count(*) FROM get_slow_queries(0);
SELECT count(*) FROM get_slow_queries(2);
SELECT get_slow_queries(-1);
SELECT get_slow_queries(order_by => 'p42');
SELECT get_slow_queries(query_length => -1);

-- our own statements are not reported, although nested ones are tracked
SHOW pg_stat_statements.track;
SELECT count(*) > 0 AS tracked FROM "Stat Schema".pg_stat_statements WHERE query LIKE '%/* pg\_steward */%';
SELECT count(*) FROM get_slow_queries(NULL, query_length => 0)
 WHERE query LIKE '%pg_steward%' OR query LIKE '%steward.%';

-- what looks like ours but was sent by a client is reported
SELECT /* pg_steward */ 1 AS sq_disguised;
SELECT count(*) FROM get_slow_queries(NULL) WHERE query LIKE '%sq_disguised%' AND query NOT LIKE '%get_slow%';

-- settings of the session that change how SQL is read change nothing
DO $$ BEGIN
    PERFORM set_config('standard_conforming_strings', 'off', false);
EXCEPTION WHEN OTHERS THEN	-- since 19 it is always on
END $$;
SELECT query FROM get_slow_queries(1);
RESET standard_conforming_strings;

-- settings changed while it runs are restored, after an error as well
SET search_path = pg_temp, public;
SET lock_timeout = '7s';
SELECT count(*) > 0 AS works FROM get_slow_queries();
SELECT get_slow_queries(order_by => 'x');
SHOW search_path;
SHOW lock_timeout;
RESET search_path;
RESET lock_timeout;
DROP TABLE sq_book;
