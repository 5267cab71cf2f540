-- A plain greedy over HypoPG, as many tools do it: b-trees of one and two
-- columns whose names occur in a statement with that of their table, each tried
-- alone for each statement with a generic plan, then the best by calls times
-- saved cost, by byte as HypoPG counts them if there is a budget, counting for
-- a statement only what improves on those chosen.
CREATE TABLE bench.hypo_gain (queryid bigint, definition text, bytes bigint, before float8, after float8, calls bigint);
CREATE FUNCTION bench.hypo_gains(OUT plans int, OUT failed int) LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET client_min_messages = warning AS $$
DECLARE
	s record;
	c record;
	nparams int;
	run text;
	plan json;
	before float8;
	after float8;
	size bigint;
BEGIN
	plans := 0;
	failed := 0;
	FOR s IN SELECT p.queryid, regexp_replace(query, '^PREPARE \w+ AS ', '') AS query, p.calls FROM pg_stat_statements p
			  WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
				AND query ~* '^(PREPARE \w+ AS )?(SELECT|WITH|UPDATE|DELETE)' LOOP
		BEGIN
			EXECUTE 'PREPARE hypo_s AS ' || s.query;
		EXCEPTION WHEN OTHERS THEN
			failed := failed + 1;
			CONTINUE;
		END;
		SELECT coalesce(cardinality(parameter_types), 0) INTO nparams FROM pg_prepared_statements WHERE name = 'hypo_s';
		run := 'EXPLAIN (FORMAT json) EXECUTE hypo_s' || CASE WHEN nparams > 0 THEN '(' || repeat('NULL, ', nparams - 1) || 'NULL)' ELSE '' END;
		PERFORM hypopg_reset();
		EXECUTE run INTO plan;
		before := (plan #>> '{0,Plan,Total Cost}')::float8;
		FOR c IN
			WITH named AS (
				SELECT t.oid::regclass AS tab, a.attname AS col
				  FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
				 WHERE t.relnamespace = 'public'::regnamespace AND t.relkind = 'r' AND s.query ~ ('\m' || t.relname || '\M')
				   AND s.query ~ ('\m' || a.attname || '\M') AND a.atttypid NOT IN ('jsonb'::regtype, 'text[]'::regtype))
			SELECT format('CREATE INDEX ON %s (%I)', tab, col) AS definition FROM named
			UNION ALL
			SELECT format('CREATE INDEX ON %s (%I, %I)', x.tab, x.col, y.col) FROM named x JOIN named y ON x.tab = y.tab AND x.col <> y.col
		LOOP
			PERFORM hypopg_reset();
			SELECT hypopg_relation_size(indexrelid) INTO size FROM hypopg_create_index(c.definition);
			EXECUTE 'DEALLOCATE hypo_s';
			EXECUTE 'PREPARE hypo_s AS ' || s.query;
			EXECUTE run INTO plan;
			plans := plans + 1;
			after := (plan #>> '{0,Plan,Total Cost}')::float8;
			IF after < before * 0.9 THEN INSERT INTO bench.hypo_gain VALUES (s.queryid, c.definition, size, before, after, s.calls); END IF;
		END LOOP;
		EXECUTE 'DEALLOCATE hypo_s';
	END LOOP;
	PERFORM hypopg_reset();
END $$;
CREATE FUNCTION bench.hypo_choose(how_many int, max_bytes float8 = 'infinity') RETURNS SETOF text LANGUAGE plpgsql
SET client_min_messages = warning AS $$
DECLARE
	best record;
	bytes_left float8 := max_bytes;
BEGIN
	DROP TABLE IF EXISTS gain_left;
	CREATE TEMP TABLE gain_left AS SELECT * FROM bench.hypo_gain;
	FOR i IN 1..how_many LOOP
		SELECT g.definition, g.bytes INTO best FROM gain_left g WHERE g.bytes <= bytes_left GROUP BY g.definition, g.bytes
		 ORDER BY sum((g.before - g.after) * g.calls) / CASE WHEN max_bytes < 'infinity' THEN g.bytes ELSE 1 END DESC, length(g.definition), g.definition LIMIT 1;
		EXIT WHEN best IS NULL;
		RETURN NEXT best.definition;
		bytes_left := bytes_left - best.bytes;
		UPDATE gain_left g SET before = b.after FROM gain_left b
		 WHERE b.definition = best.definition AND b.queryid = g.queryid AND b.after < g.before;
		DELETE FROM gain_left g WHERE g.after >= g.before * 0.9;
	END LOOP;
END $$;
