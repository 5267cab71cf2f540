-- Statements of an application and what they take, for benchmarks of advice.
-- {#...} and {...} in a template are SQL expressions over k, the number of the
-- execution; their values become literals, the former as they are, the latter
-- quoted.  "calls" is how often the workload executes a statement; prepared ones
-- are sent with PREPARE and EXECUTE.
CREATE SCHEMA bench;
CREATE TABLE bench.statement (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, trap text NOT NULL, calls int NOT NULL,
	prepared bool NOT NULL DEFAULT false, template text NOT NULL);

-- A statement of execution k, or with parameters for PREPARE and their values
CREATE FUNCTION bench.fill(s bench.statement, k int, OUT literal text, OUT parametrized text, OUT args text) LANGUAGE plpgsql AS $$
DECLARE
	part text[];
	n int := 0;
	v text;
BEGIN
	literal := s.template;
	parametrized := s.template;
	FOR part IN SELECT regexp_matches(s.template, '(\{#?([^}]*)\})', 'g') LOOP
		EXECUTE format('SELECT (%s)::text FROM (SELECT %s AS k) x', part[2], k) INTO v;
		IF left(part[1], 2) <> '{#' THEN v := quote_literal(v); END IF;
		n := n + 1;
		literal := overlay(literal PLACING v FROM strpos(literal, part[1]) FOR length(part[1]));
		parametrized := overlay(parametrized PLACING '$' || n FROM strpos(parametrized, part[1]) FOR length(part[1]));
		args := concat_ws(', ', args, v);
	END LOOP;
END $$;

-- The whole workload as a script: executions of all statements, mixed
CREATE FUNCTION bench.workload() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('PREPARE s%s AS %s;', s.id, (bench.fill(s, 1)).parametrized) FROM bench.statement s WHERE s.prepared
	UNION ALL
	(SELECT CASE WHEN s.prepared THEN format('EXECUTE s%s (%s);', s.id, f.args) ELSE f.literal || ';' END
	   FROM bench.statement s, generate_series(1, s.calls) k, bench.fill(s, k) f
	  ORDER BY k::float8 / s.calls, s.id)
$$;

-- One row for each statement: planner's cost and the least time in ms, both the
-- sum of three executions with different values, and the shape of their plans;
-- writes are rolled back.
CREATE TABLE bench.measurement (state text, id int, cost float8, ms float8, plan text);
CREATE FUNCTION bench.measure(state text, rounds int, only_ids int[] = NULL) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	s bench.statement;
	q text[];
	plan json;
	plans text;
	c float8;
	best float8[];
	began timestamptz;
	ms float8;
BEGIN
	FOR s IN SELECT * FROM bench.statement WHERE only_ids IS NULL OR id = ANY (only_ids) ORDER BY id LOOP
		SELECT array_agg((bench.fill(s, k)).literal) INTO q FROM unnest(ARRAY[2, 3, 7]) k;
		c := 0;
		plans := '';
		best := NULL;
		FOR i IN 1..3 LOOP
			EXECUTE 'EXPLAIN (FORMAT json) ' || q[i] INTO plan;
			c := c + (plan #>> '{0,Plan,Total Cost}')::float8;
			plans := plans || (SELECT string_agg(x[2], ' ') FROM regexp_matches(plan::text, '"(Node Type|Index Name)": "([^"]*)"', 'g') x) || '; ';
			best[i] := 'infinity';
			FOR r IN 1..rounds LOOP
				BEGIN
					began := clock_timestamp();
					EXECUTE q[i];
					ms := 1000 * extract(epoch FROM clock_timestamp() - began);
					IF s.template !~ '^(SELECT|WITH)' THEN RAISE EXCEPTION USING ERRCODE = 'ZZ001'; END IF;
				EXCEPTION WHEN SQLSTATE 'ZZ001' THEN NULL;
				END;
				best[i] := least(best[i], ms);
				EXIT WHEN r >= 3 AND best[i] > 100;
			END LOOP;
		END LOOP;
		INSERT INTO bench.measurement VALUES (state, s.id, c, (best[1] + best[2] + best[3]), plans);
	END LOOP;
END $$;
CREATE TABLE bench.base_index AS
	SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relkind IN ('i', 'I');
-- what has been built beside the schema's own indexes
CREATE VIEW bench.added AS
	SELECT c.oid::regclass AS name, i.indrelid::regclass AS table_name, pg_get_indexdef(c.oid) AS definition,
		   CASE c.relkind WHEN 'I' THEN (SELECT sum(pg_relation_size(relid)) FROM pg_partition_tree(c.oid)) ELSE pg_relation_size(c.oid) END AS bytes
	  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_index i ON i.indexrelid = c.oid
	 WHERE n.nspname = 'public' AND c.relkind IN ('i', 'I') AND NOT c.relispartition AND c.oid NOT IN (SELECT oid FROM bench.base_index);
CREATE TABLE bench.built (state text, name text, table_name text, definition text, bytes bigint, estimated_bytes bigint);
