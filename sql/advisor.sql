-- Index advisor: workload, choice and reports.  Which candidates a statement
-- brings, and what hypothetical indexes cost, is tested elsewhere.
\set VERBOSITY terse
CREATE SCHEMA ad;
SET search_path = ad, public;
CREATE TABLE orders (id int PRIMARY KEY, user_id int NOT NULL, status text NOT NULL,
                     created_at timestamptz NOT NULL, total int, note text);
INSERT INTO orders SELECT g, g * 7 % 1000, CASE WHEN g % 50 = 0 THEN 'pending' ELSE 'paid' END,
       timestamptz '2026-01-01' + g * interval '1 minute', g % 777, repeat('x', 60)
  FROM generate_series(1, 30000) g;
CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL, seen_at timestamptz, visits int, country int);
INSERT INTO users SELECT g, 'u' || g || '@example.org', now() - g * interval '1 minute', g, g % 20
  FROM generate_series(1, 10000) g;
CREATE TABLE tiny (id int, a int);
INSERT INTO tiny SELECT g, g FROM generate_series(1, 20) g;
VACUUM ANALYZE orders;
VACUUM ANALYZE users;
ANALYZE tiny;
-- what is suggested for given queries; estimates are not for comparison
CREATE FUNCTION advise(queries text[], weights float8[] DEFAULT NULL, max_indexes int DEFAULT 20,
                       min_gain_pct float8 DEFAULT 0.5, max_bytes bigint DEFAULT NULL)
RETURNS TABLE (rank int, definition text) LANGUAGE sql AS $$
    SELECT s.rank, replace(s.index_definition, 'CREATE INDEX CONCURRENTLY ON ad.', '')
      FROM public.get_index_suggestions(max_bytes => $5, max_indexes => $3, min_gain_pct => $4,
                                        queries => $1, weights => $2) s $$;

-- from pg_stat_statements: what was executed, with the parameters it has there
SELECT "Stat Schema".pg_stat_statements_reset() IS NOT NULL AS reset;
SELECT count(*) FROM orders WHERE user_id = 14 AND created_at > '2026-01-15';
SELECT count(*) FROM orders WHERE user_id = 21 AND created_at > '2026-01-16';
SELECT id, created_at FROM orders WHERE user_id = 14 ORDER BY created_at DESC LIMIT 2;
SELECT visits FROM users WHERE email = 'u77@example.org';
SELECT id FROM users WHERE id = 5;
SELECT rank, schema_name, table_name, access_method, estimated_bytes BETWEEN 100000 AND 2000000 AS size_ok,
       saved_ms_per_day > 0 AS saves, improved_pct BETWEEN 0.01 AND 100 AS pct_ok, write_cost_ms_per_day AS writes,
       queries_improved AS queries, jsonb_array_length(evidence) AS evidence,
       regexp_replace(index_definition, ' INCLUDE .*', '') AS definition
  FROM get_index_suggestions() ORDER BY table_name;
SELECT bool_and(cumulative_improved_pct <= 100
                AND abs(cumulative_improved_pct - total) < 0.1) AS adds_up
  FROM (SELECT cumulative_improved_pct, sum(improved_pct) OVER (ORDER BY rank) AS total
          FROM get_index_suggestions()) s;
-- the statements behind them; the session remembers
SELECT suggestion = 1 AS first, calls_per_day > 0 AS calls, mean_ms_after < mean_ms_before AS faster, query
  FROM get_index_suggestion_queries() WHERE query LIKE '%email%' AND query LIKE 'SELECT visits%';
SELECT count(*) FROM get_index_suggestion_queries(99);
SELECT count(*) FROM get_index_advisor_skipped();
-- what PREPARE prepares, also with types that only it tells
SELECT * FROM advise(ARRAY['PREPARE a AS SELECT visits FROM users WHERE email = $1',
    'PREPARE b (int, interval) AS SELECT total FROM orders WHERE user_id = $1 AND created_at > now() - $2']);
SELECT improved_pct > 50 AS improved, execution_ms IS NULL AS not_run, note
  FROM analyze_query('PREPARE a AS SELECT visits FROM users WHERE email = $1');
-- partitions that only values would tell
CREATE TABLE parted (at int, v int) PARTITION BY RANGE (at);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20);
SELECT plan LIKE '%parted_1%' AND plan LIKE '%parted_2%' AS all_shown
  FROM analyze_query('SELECT sum(v) FROM parted WHERE at >= $1 AND at < $2');
SELECT plan LIKE '%parted_1%' AND plan LIKE '%parted_2%' AS all_shown
  FROM analyze_query('SELECT 1 WHERE (SELECT count(*) FROM parted WHERE at = $1) > 0');
DROP TABLE parted;
-- evidence names statements of pg_stat_statements
SELECT bool_and(p.queryid IS NOT NULL AND (e.cost_after < e.cost_before)) AS found
  FROM get_index_suggestions() s,
       jsonb_to_recordset(s.evidence) AS e(queryid bigint, cost_before float8, cost_after float8)
       LEFT JOIN "Stat Schema".pg_stat_statements p USING (queryid);

-- the planner uses what was advised, for every statement it was advised for
SELECT regexp_replace(index_definition, 'CONCURRENTLY | INCLUDE .*', '', 'g') AS ddl FROM get_index_suggestions() ORDER BY table_name \gexec
EXPLAIN (COSTS OFF) SELECT id, created_at FROM orders WHERE user_id = 14 ORDER BY created_at DESC LIMIT 2;
EXPLAIN (COSTS OFF) SELECT visits FROM users WHERE email = 'u77@example.org';
SELECT count(*) AS advised_again FROM advise(ARRAY['SELECT visits FROM users WHERE email = $1',
    'SELECT id, created_at FROM orders WHERE user_id = $1 ORDER BY created_at DESC LIMIT $2']);
SELECT format('DROP INDEX %s', i.indexrelid::regclass) FROM pg_index i
 WHERE i.indrelid IN ('orders'::regclass, 'users'::regclass) AND NOT i.indisprimary ORDER BY 1 \gexec

-- texts that normalization leaves without sense
SELECT definition FROM advise(ARRAY['SELECT total FROM orders WHERE created_at > timestamptz $1 - interval $2 day AND created_at < timestamp(3) with time zone $3']);
SELECT definition FROM advise(ARRAY['SELECT extract($1 from created_at), date_trunc($2, created_at) FROM orders WHERE user_id = $3 + $4']);
SELECT definition FROM advise(ARRAY['SELECT total, note FROM orders WHERE user_id IN ($1 /*, ... */) AND total = $2']);
SELECT definition FROM advise(ARRAY['SELECT count(*) FROM generate_series($1, $2) g JOIN orders o ON o.user_id = g AND $3 IS NOT NULL AND o.note <> double precision $4::text']);
SELECT definition FROM advise(ARRAY['SELECT sum(CASE WHEN note IN ($1, $2) THEN $3 WHEN note = $4 THEN $5 ELSE $6 END) FROM orders WHERE user_id = $7']);
SELECT definition FROM advise(ARRAY['SELECT FROM WHERE', 'SELECT 1; SELECT 2', 'VACUUM', '', 'SELECT * FROM nowhere', 'SELECT total FROM orders WHERE user_id = $1 AND total = 5']);

-- statements of functions have the names of their variables
CREATE FUNCTION lookup(p_user int, p_total int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint; r record;
BEGIN
    n := (SELECT count(*) FROM orders WHERE user_id = p_user AND total = $2);
    FOR r IN SELECT * FROM users u WHERE u.visits = lookup.p_total LOOP n := n + r.id; END LOOP;
    RETURN n;
END $$;
SELECT "Stat Schema".pg_stat_statements_reset() IS NOT NULL AS reset;
SELECT lookup(14, 2), lookup(21, 3);
SELECT regexp_replace(index_definition, ' INCLUDE .*', '') AS definition FROM get_index_suggestions() ORDER BY table_name;
SELECT count(*) FROM get_index_advisor_skipped();

-- nothing of a workload is executed, whatever it claims to be
CREATE FUNCTION stable_bomb() RETURNS int STABLE LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'executed'; END $$;
CREATE FUNCTION immutable_bomb(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'executed'; END $$;
CREATE FUNCTION bomb_equal(int, int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'executed'; END $$;
CREATE OPERATOR === (FUNCTION = bomb_equal, LEFTARG = int, RIGHTARG = int);
SELECT definition FROM advise(ARRAY[
    'SELECT total FROM orders WHERE user_id = stable_bomb() AND total = immutable_bomb(5) AND 1 === 2']);
SELECT definition FROM advise(ARRAY[
    'UPDATE orders SET total = immutable_bomb(1) WHERE user_id = immutable_bomb($1)',
    'DELETE FROM orders WHERE user_id = 3', 'INSERT INTO orders SELECT * FROM orders']);
SELECT count(*) FROM orders;

-- decoys: none of these may be advised
-- served already: by the key, by a wider index, a whole scan, a tiny table
CREATE INDEX users_country_visits_idx ON users (country, visits);
SELECT definition FROM advise(ARRAY['SELECT * FROM orders WHERE id = $1', 'SELECT * FROM orders', 'SELECT * FROM tiny WHERE a = $1',
    'SELECT count(*) FROM users WHERE country = $1', 'SELECT id FROM users WHERE country = $1 AND visits = $2',
    'UPDATE users SET visits = visits + 1 WHERE id = $1', 'SELECT * FROM pg_class WHERE relpages = $1']);
-- one index is enough for both
SELECT rank, definition FROM advise(ARRAY['SELECT note FROM orders WHERE user_id = $1', 'SELECT note FROM orders WHERE user_id = $1 AND created_at > $2']);
-- an index on a column that is updated all the time costs more than it saves
SELECT definition FROM advise(ARRAY['SELECT email FROM users WHERE seen_at < $1', 'UPDATE users SET seen_at = now() WHERE id = $1'],
                              ARRAY[20, 5e6]);
SELECT definition FROM advise(ARRAY['SELECT email FROM users WHERE seen_at = $1', 'UPDATE users SET seen_at = now() WHERE id = $1'],
                              ARRAY[1e6, 100]);
-- order with LIMIT, where the filter is correlated: not the order alone
CREATE TABLE events (id int, kind int, at int, payload text);
INSERT INTO events SELECT g, g / 3000, g, repeat('x', 100) FROM generate_series(1, 30000) g;
VACUUM ANALYZE events;
SELECT definition FROM advise(ARRAY['SELECT * FROM events WHERE kind = $1 ORDER BY at LIMIT $2']);

-- limits
\set three 'ARRAY[''SELECT note FROM orders WHERE user_id = $1'', ''SELECT visits FROM users WHERE email = $1'', ''SELECT id FROM orders WHERE total = $1 AND created_at = $2'']'
SELECT count(*) FROM advise(:three);
SELECT rank FROM advise(:three, max_indexes => 1);
SELECT count(*) FROM advise(:three, max_indexes => 0);
SELECT count(*) FROM advise(:three, min_gain_pct => 100);
SELECT count(*) FROM advise(:three, max_bytes => 1000);
SELECT sum(estimated_bytes) <= 700000 AS fits, count(*) BETWEEN 1 AND 2 AS some
  FROM get_index_suggestions(max_bytes => 700000, queries => :three);
SELECT count(*) <= 3 AS best_so_far FROM get_index_suggestions(deadline => '1 us', queries => :three);
SELECT count(*) FROM advise('{}');
-- weights decide
SELECT definition FROM advise(:three, ARRAY[1, 1000000, 1], 1);
SELECT definition FROM advise(:three, ARRAY[1000000, 1, 1], 1);

-- errors change nothing and say what to do
SELECT get_index_suggestions(max_bytes => -1);
SELECT get_index_suggestions(max_indexes => -1);
SELECT get_index_suggestions(min_gain_pct => 101);
SELECT get_index_suggestions(min_gain_pct => 'NaN');
SELECT get_index_suggestions(deadline => '-1 s');
SELECT get_index_suggestions(weights => '{1}');
SELECT get_index_suggestions(queries => '{"SELECT 1"}', weights => '{1,2}');
SELECT get_index_suggestions(queries => '{"SELECT 1"}', weights => '{-1}');
SELECT get_index_suggestions(queries => '{"SELECT 1"}', weights => '{NaN}');
SELECT get_index_suggestions(queries => '{NULL}');
SELECT get_droppable_indexes('-1 s');
SELECT analyze_query(NULL);
SELECT analyze_query('SELECT 1', true, '0 s');
SHOW search_path;
SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'ad.orders'::regclass;

-- names that only the role's search path finds, or only one schema has
CREATE ROLE ad_app LOGIN;
GRANT ALL ON SCHEMA ad TO ad_app;
GRANT SELECT ON ALL TABLES IN SCHEMA ad TO ad_app;
ALTER ROLE ad_app SET search_path = ad;
SELECT "Stat Schema".pg_stat_statements_reset() IS NOT NULL AS reset;
SET ROLE ad_app;
SELECT count(note) FROM orders WHERE user_id = 14 AND total = 2;
RESET ROLE;
SET search_path = public;
SELECT regexp_replace(index_definition, ' INCLUDE .*', '') AS definition FROM get_index_suggestions() WHERE table_name = 'orders';
ALTER ROLE ad_app RESET search_path;
SELECT regexp_replace(index_definition, ' INCLUDE .*', '') AS definition FROM get_index_suggestions() WHERE table_name = 'orders';
SET search_path = ad, public;

-- rights: texts need pg_read_all_stats, tables pg_read_all_data or ownership
CREATE ROLE ad_nobody LOGIN;
CREATE ROLE ad_stats LOGIN IN ROLE pg_read_all_stats;
CREATE ROLE ad_reader LOGIN IN ROLE pg_read_all_stats, pg_read_all_data;
CREATE ROLE ad_owner LOGIN IN ROLE pg_read_all_stats;
GRANT USAGE ON SCHEMA ad, "Stat Schema" TO PUBLIC;
SET client_min_messages = warning;	-- how many were left out
SET ROLE ad_nobody;
SELECT count(*) FROM public.get_index_suggestions();
SELECT queryid, reason LIKE '%statements of other roles: needs pg_read_all_stats' AS hidden, query FROM public.get_index_advisor_skipped()
 WHERE queryid IS NULL;
SELECT reason FROM public.get_droppable_indexes();
SELECT public.analyze_query('SELECT * FROM ad.orders WHERE user_id = 5');
SET ROLE ad_stats;
SELECT count(*) FROM public.get_index_suggestions();
SELECT reason, query FROM public.get_index_advisor_skipped() WHERE query LIKE 'SELECT count(note)%';
SET ROLE ad_reader;
SELECT count(*) FROM public.get_index_suggestions();
RESET ROLE;
ALTER TABLE orders OWNER TO ad_owner;
SET ROLE ad_owner;
SELECT count(*) FROM public.get_index_suggestions();
-- code of others is not called with the caller's rights, nor even looked at
RESET ROLE;
SET ROLE ad_app;
CREATE FUNCTION ad.ours(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1';
SELECT count(note) AS foreign_code FROM ad.orders WHERE total = 3 AND ad.ours(user_id) = 15;
SET ROLE ad_reader;
SELECT reason FROM public.get_index_advisor_skipped() WHERE query LIKE '%foreign_code FROM%';
RESET ROLE;
SELECT reason FROM get_index_advisor_skipped() WHERE query LIKE '%foreign_code FROM%';
RESET client_min_messages;
ALTER TABLE orders OWNER TO CURRENT_USER;
-- what one role has asked for, another does not see
SELECT count(*) > 0 AS mine FROM get_index_suggestions(queries => :three);
SET ROLE ad_nobody;
SELECT count(*) FROM public.get_index_suggestion_queries();
RESET ROLE;

-- indexes that can go: never keys, constraints, or the last one of a foreign key
CREATE TABLE items (order_id int REFERENCES orders, user_id int, amount int, kind int,
                    UNIQUE (user_id, order_id));
INSERT INTO items SELECT g, g % 100, g % 10, g % 3 FROM generate_series(1, 20000) g;
CREATE INDEX items_order_idx ON items (order_id);
CREATE INDEX items_user_idx ON items (user_id);
CREATE INDEX items_user2_idx ON items (user_id);
CREATE INDEX items_kind_idx ON items (kind) WHERE amount = 3;
CREATE INDEX items_amount_idx ON items (amount, kind);
CREATE UNIQUE INDEX items_unique_idx ON items (order_id, user_id, amount);
ALTER TABLE items ALTER order_id SET NOT NULL, ALTER user_id SET NOT NULL, ALTER amount SET NOT NULL;
VACUUM ANALYZE items;
SELECT "Stat Schema".pg_stat_statements_reset() IS NOT NULL AS reset;
SELECT count(*) FROM items WHERE user_id = 5;
SELECT count(*) FROM items WHERE amount = 5 AND kind = 2;
SELECT pg_stat_force_next_flush();
SELECT count(*) FROM items;
SELECT index_name, reason, drop_command FROM get_droppable_indexes() WHERE table_name = 'items' ORDER BY 1;
SELECT index_name, regexp_replace(reason, '[0-9.]+ days', 'N days') AS reason FROM get_droppable_indexes('0 s') WHERE table_name = 'items' ORDER BY 1;

-- one statement
SELECT total_cost > cost_with_indexes AS helps, improved_pct > 50 AS much, index_definitions, execution_ms, result_rows, note,
       split_part(plan, '(cost', 1) AS plan
  FROM analyze_query('SELECT note FROM orders WHERE user_id = $1 AND total = $2');
SELECT index_definitions, execution_ms >= 0 AS measured, result_rows, note, plan LIKE '%actual%' AS ran
  FROM analyze_query('SELECT note FROM orders WHERE user_id = 14 AND total = 2', true);
SELECT execution_ms, result_rows, note, plan LIKE '%Result%' AS plan FROM analyze_query('SELECT pg_sleep(600)', true, '50 ms');
-- the timeout of the session still holds
SET statement_timeout = '100 ms';
SELECT note FROM analyze_query('SELECT pg_sleep(600)', true, '10 min');
SELECT note FROM analyze_query('SELECT pg_sleep(600)', true, '20 ms');
SELECT pg_sleep(600);
RESET statement_timeout;
-- nothing that could change something is run, and no view of ours of it stays
SELECT note FROM analyze_query('UPDATE orders SET total = 0', true);
SELECT note FROM analyze_query('WITH x AS (DELETE FROM orders RETURNING id) SELECT * FROM x', true);
SELECT note FROM analyze_query('SELECT * FROM orders FOR UPDATE', true);
CREATE SEQUENCE ad_seq;
SELECT note FROM analyze_query('SELECT nextval(''ad_seq'')', true);
SELECT note FROM analyze_query('SELECT * FROM orders WHERE id = $1', true);
SELECT note FROM analyze_query('SELECT 1 / 0', true);
SELECT note FROM analyze_query('SELECT FROM WHERE');
SELECT note FROM analyze_query('VACUUM orders');
SELECT note, index_definitions, plan IS NOT NULL AS plan FROM analyze_query('SELECT 1');
SHOW transaction_read_only;
SELECT is_called FROM ad_seq;

-- follow-up: kept, created, compared
SELECT "Stat Schema".pg_stat_statements_reset() IS NOT NULL AS reset;
SELECT visits FROM users WHERE email = 'u77@example.org';
SELECT keep_index_suggestions();
SELECT table_name, improved_pct > 0 AS forecast, kept_by = current_user AS mine, built_at, jsonb_array_length(queries) AS queries, index_definition
  FROM steward.index_suggestion;
SELECT index_name, calls_since, mean_ms_before > 0 AS before, mean_ms_since, verdict FROM check_index_suggestions();
SELECT format('CREATE INDEX users_email_idx%s', substr(index_definition, strpos(index_definition, ' ON ')))
  FROM steward.index_suggestion \gexec
SELECT index_name, calls_since, verdict FROM check_index_suggestions();
SELECT keep_index_suggestions();
-- as if it had taken long before, and then as if it had been fast
UPDATE steward.index_suggestion SET queries = jsonb_set(queries, '{0,total_ms}', '1e6');
SELECT visits FROM users WHERE email = 'u77@example.org';
SELECT index_name, calls_since, changed_pct < -99 AS changed, mean_ms_since < 1000 AS since, verdict FROM check_index_suggestions();
UPDATE steward.index_suggestion SET queries = jsonb_set(queries, '{0,total_ms}', '0.0001'),
       built_queries = jsonb_set(built_queries, '{0,total_ms}', '-1000');
SELECT index_name, calls_since, changed_pct > 1000 AS changed, verdict FROM check_index_suggestions();
DELETE FROM steward.index_suggestion;
-- in a transaction that is read-only reports work, and keeping is refused
BEGIN READ ONLY;
SELECT count(*) >= 0 AS works FROM get_index_suggestions();
SELECT count(*) >= 0 AS works FROM get_droppable_indexes();
SELECT count(*) FROM check_index_suggestions();
SELECT keep_index_suggestions();
ROLLBACK;

RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA ad CASCADE;
DROP ROLE ad_app, ad_nobody, ad_stats, ad_reader, ad_owner;
REVOKE USAGE ON SCHEMA "Stat Schema" FROM PUBLIC;
