-- Constants sampled for index advice.
CREATE SCHEMA cs;
SET search_path = cs, public;
SET jit = off;
CREATE ROLE cs_owner LOGIN;
CREATE ROLE cs_stats LOGIN IN ROLE pg_read_all_stats;
CREATE ROLE cs_data LOGIN IN ROLE pg_read_all_data;
CREATE ROLE cs_both LOGIN IN ROLE pg_read_all_stats, pg_read_all_data;
GRANT USAGE ON SCHEMA cs TO PUBLIC;
GRANT USAGE ON SCHEMA "Stat Schema" TO PUBLIC;
CREATE TABLE task (id int PRIMARY KEY, state text NOT NULL, kind varchar(20), owner int, level int, props jsonb, name text, at timestamptz, pad text);
INSERT INTO task SELECT i, CASE WHEN i % 500 = 0 THEN 'hidden-open' WHEN i % 499 = 0 THEN 'it''s' ELSE 'done' END,
       'k' || i % 40, i % 1000, i % 30, jsonb_build_object('hidden-color', 'c' || i % 5000), md5(i::text),
       '2025-01-01'::timestamptz + i * interval '1 min', repeat('x', 100) FROM generate_series(1, 30000) i;
CREATE TABLE plain AS SELECT * FROM task;
ALTER TABLE task OWNER TO cs_owner;
VACUUM ANALYZE task, plain;

-- Execute a statement with k from 1 on, and forget what was before
CREATE PROCEDURE fresh() LANGUAGE sql AS $$
	SELECT public.reset_sampled_constants();
	SELECT "Stat Schema".pg_stat_statements_reset();
$$;
CREATE VIEW state AS SELECT statements, samples, used_bytes > 0 AS uses, used_bytes <= total_bytes AS fits, evictions FROM public.get_sampled_constants_state();
CREATE VIEW advice AS SELECT rank, regexp_replace(index_definition, '^.* USING ', '') AS suggestion FROM public.get_index_suggestions(min_gain_pct => 0.1);
GRANT SELECT ON state, advice TO PUBLIC;

-- off: nothing is kept, and only superusers turn it on
SHOW pg_steward.sample_constants;
CALL fresh();
SELECT count(*) FROM task WHERE state = 'hidden-open' AND owner = 500;
SELECT * FROM state;
SET ROLE cs_both;
SET pg_steward.sample_constants = on;
SELECT reset_sampled_constants();
RESET ROLE;
SHOW pg_steward.sample_constants_memory;
SET pg_steward.sample_constants_memory = '2MB';

-- a constant that never changes becomes a predicate, others do not
CALL fresh();
SET pg_steward.sample_constants = on;
\o /dev/null
SELECT format('SELECT name FROM task WHERE state = ''hidden-open'' AND owner = %s AND level < 99 ORDER BY at LIMIT 3', i * 500 % 1000) FROM generate_series(1, 12) i \gexec
\o
RESET pg_steward.sample_constants;
SELECT * FROM state;
SELECT * FROM advice;
SELECT count(*) FROM get_index_advisor_skipped() WHERE reason !~ 'needs';
-- the planner can use it
SELECT index_definition AS ddl FROM get_index_suggestions() \gset
SELECT replace(:'ddl', 'CONCURRENTLY', 'task_open_idx') AS ddl \gset
:ddl;
EXPLAIN (COSTS OFF) SELECT name FROM task WHERE state = 'hidden-open' AND owner = 500 AND level < 99 ORDER BY at LIMIT 3;
-- and then there is nothing more to say, and nothing to drop
SELECT * FROM advice;
SELECT count(*) AS droppable FROM get_droppable_indexes('0 s') WHERE index_name = 'task_open_idx';
DROP INDEX task_open_idx;

-- who may not read everything has advice without constants
SET ROLE cs_stats;
SELECT * FROM advice;
SET ROLE cs_data;
SELECT * FROM advice;
RESET ROLE;
GRANT pg_read_all_stats TO cs_owner;
SET ROLE cs_owner;
SELECT * FROM advice;
SET ROLE cs_both;
SELECT * FROM advice;
SELECT bool_or(f::text ~ 'hidden') AS seen FROM get_index_suggestions() f;
SELECT bool_or(f::text ~ 'hidden-open') AS seen FROM get_index_suggestion_queries() f;
RESET ROLE;
REVOKE pg_read_all_stats FROM cs_owner;
-- nor do kept suggestions tell
SELECT keep_index_suggestions();
SET ROLE cs_stats;
SELECT count(*) FROM steward.index_suggestion;
SELECT count(*) FROM check_index_suggestions();
SET ROLE cs_both;
SELECT count(*) FROM check_index_suggestions();
RESET ROLE;
DELETE FROM steward.index_suggestion;

-- forgotten on demand, and with the statement
SELECT reset_sampled_constants();
SELECT * FROM state;
SELECT * FROM advice;
SET pg_steward.sample_constants = on;
SELECT name FROM task WHERE state = 'hidden-open' AND owner = 1 AND pad = 'a';
RESET pg_steward.sample_constants;
SELECT statements > 0 AS kept FROM state;
SELECT "Stat Schema".pg_stat_statements_reset() IS NOT NULL AS reset;
SELECT * FROM advice;
SELECT * FROM state;

-- a constant that changes, a number of something, or one seen too seldom
CALL fresh();
SET pg_steward.sample_constants = on;
\o /dev/null
SELECT format('SELECT name FROM task WHERE state = %L AND owner = 500', (ARRAY['hidden-open', 'it''s'])[1 + i % 2]) FROM generate_series(1, 12) i \gexec
SELECT format('SELECT pad FROM plain WHERE id = 7', i) FROM generate_series(1, 12) i \gexec
\o
RESET pg_steward.sample_constants;
SELECT suggestion FROM advice ORDER BY 1;
CALL fresh();
SET pg_steward.sample_constants = on;
SELECT name FROM task WHERE state = 'hidden-open' AND owner = 500 AND level = 99;
SELECT name FROM task WHERE state = 'hidden-open' AND owner = 500 AND level = 99;
RESET pg_steward.sample_constants;
SELECT * FROM advice;

-- keys with constants in them, however they are written
CALL fresh();
SET pg_steward.sample_constants = on;
\o /dev/null
SELECT format('SELECT id FROM task WHERE props ->> %s = ''c%s''', (ARRAY['''hidden-color''', 'E''hidden\x2dcolor''', '$q$hidden-color$q$'])[1 + i % 3], i) FROM generate_series(1, 12) i \gexec
SELECT format('SELECT id FROM task WHERE name LIKE ''%s%%''', substr(md5(i::text), 1, 8)) FROM generate_series(1, 12) i \gexec
SELECT format('SELECT count(*) FROM task WHERE (at AT TIME ZONE ''UTC'')::date = ''2025-01-%s''', i + 1) FROM generate_series(1, 12) i \gexec
SELECT format('SELECT count(*) FROM plain WHERE level < 0.%s', i) FROM generate_series(1, 12) i \gexec
SELECT format('SELECT /* %s */ count(*) FROM task WHERE mod(owner, 1000) + -7 = %s AND kind <> ''none''', i, i) FROM generate_series(1, 12) i \gexec
\o
RESET pg_steward.sample_constants;
SELECT suggestion FROM advice ORDER BY 1;
SELECT count(*) FROM get_index_advisor_skipped();

-- several statements in one message, each with its own constants
CALL fresh();
SET pg_steward.sample_constants = on;
\o /dev/null
SELECT format('SELECT name FROM task WHERE state = ''hidden-open'' AND owner = %s; SELECT pad FROM plain WHERE kind = ''k7'' AND owner = %s', i * 500, i) FROM generate_series(1, 12) i \gexec
\o
RESET pg_steward.sample_constants;
SELECT suggestion FROM advice ORDER BY 1;

-- values of prepared statements serve estimates; no index can rely on them
CALL fresh();
SET pg_steward.sample_constants = on;
PREPARE by_state (text, int) AS SELECT name FROM task WHERE state = $1 AND owner = $2 AND level <> -1;
\o /dev/null
SELECT 'EXECUTE by_state(''hidden-open'', 500)' FROM generate_series(1, 12) i \gexec
\o
RESET pg_steward.sample_constants;
SELECT samples FROM state;
SELECT * FROM advice;
DEALLOCATE by_state;
-- a value that most rows have: no index would help, whatever a generic plan hopes for
CALL fresh();
SET pg_steward.sample_constants = on;
PREPARE done (text) AS SELECT count(pad) FROM task WHERE state = $1;
\o /dev/null
SELECT 'EXECUTE done(''done'')' FROM generate_series(1, 12) i \gexec
\o
RESET pg_steward.sample_constants;
SELECT * FROM advice;
SELECT reset_sampled_constants() > 0 AS forgotten;
SELECT count(*) AS without_samples FROM advice;
DEALLOCATE done;

-- the unit of an interval stands behind it
CALL fresh();
SET pg_steward.sample_constants = on;
\o /dev/null
SELECT 'SELECT count(task) FROM task WHERE at >= timestamptz ''2025-01-01'' AND at < timestamptz ''2025-01-01'' + interval ''20'' day' FROM generate_series(1, 3) i \gexec
\o
RESET pg_steward.sample_constants;
SELECT * FROM advice;
CALL fresh();
SET pg_steward.sample_constants = on;
\o /dev/null
SELECT 'SELECT count(task) FROM task WHERE at >= timestamptz ''2025-01-01'' AND at < timestamptz ''2025-01-01'' + interval ''10'' minute' FROM generate_series(1, 3) i \gexec
\o
RESET pg_steward.sample_constants;
SELECT * FROM advice;

-- positions are numbers
CALL fresh();
SET pg_steward.sample_constants = on;
\o /dev/null
SELECT format('SELECT count(pad) FROM task WHERE substring(name from 3 for 9) = %L', substr(md5(i::text), 3, 9)) FROM generate_series(1, 3) i \gexec
\o
RESET pg_steward.sample_constants;
SELECT * FROM advice;

-- what is odd is left out, and costs the statement nothing
CALL fresh();
CREATE DOMAIN small AS int CHECK (VALUE < 10);
SET pg_steward.sample_constants = on;
SELECT count(*) FROM task WHERE owner = NULL OR level = '3' AND kind = U&'k\0034' OR owner IN (-1, - 2, +3) OR level = 4::small;
SELECT count(*) FROM task WHERE at > now() - interval '3 days' AND extract(year FROM at) = 1.9e3 AND name = $$a'b$$ AND true;
SELECT count(*) FROM task WHERE name = repeat('ab', 200) OR name = 'abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghij';
PREPARE arrays (int[], numeric, bool, timestamptz, small) AS SELECT count(*) FROM task WHERE owner = ANY ($1) AND level < $2 AND $3 AND at > $4 AND level = $5 AND kind = 'k1';
EXECUTE arrays ('{1,2,3}', 5.5, true, '2025-01-01', 4);
EXECUTE arrays (NULL, NULL, false, 'infinity', NULL);
SELECT count(*) FROM task a JOIN plain b USING (id) WHERE (a.owner, b.level) IN (SELECT 1, 2 FROM plain WHERE kind = 'k1' LIMIT 3) GROUP BY b.kind HAVING count(*) > 3;
INSERT INTO plain (id) VALUES (1), (2);
INSERT INTO plain (id) SELECT id + 1000000 FROM task WHERE owner = 999 AND state = 'none';
UPDATE plain SET pad = 'y' WHERE owner = 77 AND kind = 'k9';
RESET pg_steward.sample_constants;
DEALLOCATE arrays;
SELECT statements > 5 AS many, samples > 8 AS samples, fits FROM state;
SELECT count(*) > 0 AS works FROM advice;
SELECT reason, query FROM get_index_advisor_skipped();
DROP DOMAIN small;
SELECT count(*) > 0 AS works FROM advice;

SELECT reset_sampled_constants() > 0 AS forgotten;
RESET search_path;
SET client_min_messages = warning;
REVOKE USAGE ON SCHEMA "Stat Schema" FROM PUBLIC;
DROP SCHEMA cs CASCADE;
DROP ROLE cs_owner, cs_stats, cs_data, cs_both;
