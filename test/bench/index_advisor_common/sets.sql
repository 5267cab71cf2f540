-- Sets of indexes compared: all are built once, and a set is in force while the
-- others' indexes are marked invalid, so that the planner does not see them.
CREATE TABLE bench.member (state text, idx oid, rank int);
CREATE TABLE bench.known_index AS SELECT oid, ''::text AS definition FROM bench.base_index;

-- Build an index for a set, or take the one there is; up to so many real bytes
-- of the set as a whole.
CREATE FUNCTION bench.build(state text, definition text, max_bytes float8 = 'infinity') RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	made oid;
	same oid;
	def text;
BEGIN
	EXECUTE regexp_replace(rtrim(definition, ';'), '\mCONCURRENTLY\M', '');
	SELECT a.name::oid, regexp_replace(a.definition, '^.* ON ', '') INTO STRICT made, def FROM bench.added a WHERE a.name NOT IN (SELECT oid FROM bench.known_index);
	SELECT k.oid INTO same FROM bench.known_index k WHERE k.definition = def;
	IF same IS NOT NULL THEN
		EXECUTE format('DROP INDEX %s', made::regclass);
		made := same;
	ELSE
		INSERT INTO bench.known_index VALUES (made, def);
	END IF;
	IF pg_relation_size(made) + (SELECT coalesce(sum(pg_relation_size(idx)), 0) FROM bench.member m WHERE m.state = build.state) <= max_bytes THEN
		INSERT INTO bench.member VALUES (state, made, 1 + (SELECT count(*) FROM bench.member m WHERE m.state = build.state));
	END IF;
END $$;

CREATE FUNCTION bench.use_set(state text) RETURNS void LANGUAGE sql AS $$
	UPDATE pg_index i SET indisvalid = wanted
	  FROM (SELECT k.oid, EXISTS (SELECT FROM bench.member m WHERE m.idx = k.oid AND m.state = use_set.state) AS wanted FROM bench.known_index k WHERE k.definition <> '') k
	 WHERE i.indexrelid = k.oid AND i.indisvalid <> wanted
$$;

-- What a set costs, and the different plans over all sets with the least CPU
-- time of each in ms: executions of the plans of a statement take turns.
CREATE TABLE bench.planned (state text, id int, cost float8, plan text);
CREATE TABLE bench.cpu (id int, plan text, ms float8, PRIMARY KEY (id, plan));
CREATE FUNCTION bench.plan(of_state text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	s bench.statement;
	j json;
	line text;
	lines text;
BEGIN
	PERFORM bench.use_set(of_state);
	FOR s IN SELECT * FROM bench.statement LOOP
		EXECUTE 'EXPLAIN (FORMAT json) ' || (bench.fill(s, 1)).literal INTO j;
		lines := '';
		FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || (bench.fill(s, 1)).literal LOOP
			lines := lines || line || E'\n';
		END LOOP;
		INSERT INTO bench.planned VALUES (of_state, s.id, (j #>> '{0,Plan,Total Cost}')::float8, lines);
	END LOOP;
END $$;
-- of this backend, in ms
CREATE FUNCTION bench.cpu_ms() RETURNS float8 LANGUAGE sql VOLATILE AS $$SELECT split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::float8 / 1e6$$;
CREATE FUNCTION bench.run(rounds int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	s bench.statement;
	p record;
	began float8;
BEGIN
	FOR s IN SELECT * FROM bench.statement ORDER BY id LOOP
		FOR r IN 1..rounds LOOP
			FOR p IN SELECT min(state) AS state, plan FROM bench.planned WHERE id = s.id GROUP BY plan ORDER BY plan LOOP
				CONTINUE WHEN EXISTS (SELECT FROM bench.cpu c WHERE c.id = s.id AND c.plan = p.plan AND c.ms > 10000);
				PERFORM bench.use_set(p.state);
				began := bench.cpu_ms();
				EXECUTE (bench.fill(s, 1)).literal;
				INSERT INTO bench.cpu VALUES (s.id, p.plan, bench.cpu_ms() - began)
					ON CONFLICT (id, plan) DO UPDATE SET ms = least(cpu.ms, excluded.ms);
			END LOOP;
		END LOOP;
	END LOOP;
END $$;

-- A statement is slower if it takes 10 % and 5 ms more CPU time than without
-- the set, with another plan.
CREATE VIEW bench.set_comparison AS
	SELECT p.state, s.id, s.trap, n.cost AS cost_before, p.cost AS cost_after, cn.ms AS ms_before, cp.ms AS ms_after,
		   p.plan <> n.plan AND cp.ms > 1.1 * cn.ms AND cp.ms > cn.ms + 5 AS slower
	  FROM bench.planned p JOIN bench.planned n ON n.id = p.id AND n.state = 'none' JOIN bench.statement s ON s.id = p.id
	  JOIN bench.cpu cp ON cp.id = p.id AND cp.plan = p.plan JOIN bench.cpu cn ON cn.id = n.id AND cn.plan = n.plan;
CREATE VIEW bench.set_score AS
	SELECT c.state, (SELECT count(*) FROM bench.member m WHERE m.state = c.state) AS indexes,
		   (SELECT round(sum(pg_relation_size(idx)) / 1e6, 1) FROM bench.member m WHERE m.state = c.state) AS real_mb,
		   round((100 * sum(c.cost_after) FILTER (WHERE few) / sum(c.cost_before) FILTER (WHERE few))::numeric, 1) AS cost_pct_19,
		   round((100 * sum(c.ms_after) FILTER (WHERE few) / sum(c.ms_before) FILTER (WHERE few))::numeric, 1) AS cpu_pct_19,
		   round((sum(c.cost_after) / 1000)::numeric) AS cost_k_22, round((sum(c.ms_after) / 1000)::numeric, 2) AS cpu_s_22,
		   count(*) FILTER (WHERE slower) AS slower
	  FROM (SELECT *, left(trap, 2) NOT IN ('02', '17', '20') AS few FROM bench.set_comparison) c GROUP BY c.state;
