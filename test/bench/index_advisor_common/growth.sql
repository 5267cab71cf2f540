-- 300 tables and statements in any number, for how the advisor's time grows
DO $$ BEGIN FOR i IN 1..300 LOOP
	EXECUTE format('CREATE TABLE g%s (id int PRIMARY KEY, a int, b int, c text, d timestamptz, e bool)', i);
	EXECUTE format('INSERT INTO g%s SELECT g, g %% 500, g * 7 %% 90, md5(g::text), now() - g * interval ''1 min'', g %% 50 = 0 FROM generate_series(1, 2000) g', i);
END LOOP; END $$;
CREATE FUNCTION growth_statements(n int) RETURNS text[] LANGUAGE sql AS $$
	SELECT array_agg(format((ARRAY[
			'SELECT * FROM g%1$s WHERE a = $1 AND b > $2',
			'SELECT id, c FROM g%1$s WHERE b = $1 ORDER BY d DESC LIMIT $2',
			'SELECT x.c, y.d FROM g%1$s x JOIN g%2$s y ON y.a = x.id WHERE x.c = $1',
			'SELECT count(*) FROM g%1$s WHERE lower(c) = $1 OR b = $2',
			'UPDATE g%1$s SET e = false WHERE d < $1 AND e',
			'SELECT b, count(*) FROM g%1$s WHERE d BETWEEN $1 AND $2 GROUP BY b',
			'SELECT x.c FROM g%1$s x JOIN g%2$s y USING (a) JOIN g%3$s z ON z.b = y.b WHERE x.id = $1 AND z.e'])[1 + i % 7],
			1 + i % 300, 1 + i * 7 % 300, 1 + i * 13 % 300)) FROM generate_series(1, n) i $$;
VACUUM ANALYZE;
