-- What the sets did.  A statement is improved if it takes at least 30 % less
-- time and 0.05 ms, three executions together, and slower with 30 % and 0.15 ms
-- more; neither while its plans are those without the set, as then it is noise.
CREATE VIEW bench.comparison AS
	SELECT m.state, s.id, s.trap, s.calls, n.cost AS cost_before, m.cost AS cost_after, n.ms AS ms_before, m.ms AS ms_after,
		   m.ms < 0.7 * n.ms AND m.ms < n.ms - 0.05 AND m.plan <> n.plan AS improved,
		   m.ms > 1.3 * n.ms AND m.ms > n.ms + 0.15 AND m.plan <> n.plan AS slower, n.plan AS plan_before, m.plan AS plan_after
	  FROM bench.measurement m JOIN bench.measurement n ON n.id = m.id AND n.state = 'none' JOIN bench.statement s ON s.id = m.id
	 WHERE m.state <> 'none';
CREATE VIEW bench.score AS
	SELECT c.state, (SELECT count(*) FROM bench.built b WHERE b.state = c.state) AS indexes,
		   (SELECT pg_size_pretty(sum(b.bytes)::bigint) FROM bench.built b WHERE b.state = c.state) AS size,
		   round((100 * sum(c.cost_after * c.calls) / sum(c.cost_before * c.calls))::numeric, 1) AS cost_pct,
		   round((100 * sum(c.ms_after * c.calls) / sum(c.ms_before * c.calls))::numeric, 1) AS time_pct,
		   count(*) FILTER (WHERE c.improved) AS improved,
		   count(*) FILTER (WHERE e.improved AND c.improved) || ' of ' || count(*) FILTER (WHERE e.improved) AS of_expert,
		   round(100.0 * count(*) FILTER (WHERE e.improved AND c.improved) / nullif(count(*) FILTER (WHERE e.improved), 0), 1) AS of_expert_pct,
		   count(*) FILTER (WHERE c.slower) AS slower
	  FROM bench.comparison c JOIN bench.comparison e ON e.id = c.id AND e.state = 'expert'
	 GROUP BY c.state ORDER BY 1;
-- Sizes as estimated and as built
CREATE VIEW bench.size_ratio AS
	SELECT b.definition, a.estimated_bytes, b.bytes, a.estimated_bytes::float8 / b.bytes AS ratio
	  FROM bench.built b JOIN bench.advice a
		ON regexp_replace(split_part(split_part(a.index_definition, E'\n', 1), ';', 1), '^.* ON (ONLY )?', '') = regexp_replace(b.definition, '^.* ON (ONLY )?', '')
	 WHERE b.state = 'advisor' AND b.bytes > 65536;
-- Costs as evidence says and as planned with the set built, without parameters
-- known in both cases; not with LIMIT $n, which the advisor takes to be small
CREATE VIEW bench.whatif_ratio AS
	SELECT e.queryid, min(e.cost_after) AS whatif, min(r.cost) AS real, min(e.cost_after) / min(r.cost) AS ratio
	  FROM bench.advice a, jsonb_to_recordset(a.evidence) AS e(queryid bigint, cost_after float8) JOIN bench.replanned r USING (queryid)
	  JOIN bench.texts t USING (queryid) WHERE t.query !~ 'LIMIT'
	 GROUP BY e.queryid;
