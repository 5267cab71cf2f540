-- Which of several possible sets of indexes is advised.
SET client_min_messages = warning;
CREATE SCHEMA am;
SET search_path = am, public;
-- one room has a twelfth of all messages, most have few
CREATE TABLE message (id int PRIMARY KEY, room int NOT NULL, body text NOT NULL);
INSERT INTO message SELECT i, CASE WHEN i % 12 = 0 THEN 0 ELSE i * 7 % 3001 END, repeat(md5(i::text), 3) FROM generate_series(1, 40000) i;
CREATE TABLE person (id int PRIMARY KEY, email text NOT NULL, name text NOT NULL);
INSERT INTO person SELECT i, md5(i::text) || '@example.org', md5((-i)::text) FROM generate_series(1, 30000) i;
VACUUM ANALYZE message, person;

CREATE FUNCTION am.advise(queries text[], weights float8[] = NULL, min_gain_pct float8 = 0.5)
RETURNS SETOF text LANGUAGE sql AS $$
    SELECT regexp_replace(index_definition, '^CREATE INDEX CONCURRENTLY ON am\.', '')
      FROM get_index_suggestions(queries => advise.queries, weights => advise.weights, min_gain_pct => advise.min_gain_pct)
     ORDER BY 1
$$;

-- what LIMIT and ranges need are keys, even if others would do with less
SELECT * FROM advise(ARRAY['SELECT id FROM message WHERE room = $1']);
SELECT * FROM advise(ARRAY['SELECT count(*) FROM message WHERE room = $1',
    'SELECT id FROM message WHERE room = $1',
    'SELECT id, body FROM message WHERE room = $1 AND id < $2 ORDER BY id DESC LIMIT $3']);

-- INCLUDE has to save a part of what the statement takes today: not what is
-- left of it beside an index that finds its rows
SELECT definition LIKE '%(email)' AS email_alone FROM
    advise(ARRAY['SELECT name FROM person WHERE email = $1']) AS definition;
SELECT * FROM advise(ARRAY['SELECT p.name FROM message m JOIN person p ON p.id = m.room WHERE m.room = $1 AND p.email > $2'], NULL, 0.01)
 WHERE advise LIKE 'person%INCLUDE%';

-- less than min_gain_pct is enough where a call gets several times as fast, by
-- milliseconds; not where it hardly matters, nor if the caller wants more
CREATE TABLE hint (id int PRIMARY KEY, word text NOT NULL);
INSERT INTO hint SELECT i, md5(i::text) FROM generate_series(1, 2000) i;
VACUUM ANALYZE hint;
\set slow 'ARRAY[''SELECT sum(length(body)) FROM message'', ''SELECT name FROM person WHERE email = $1'', ''SELECT id FROM hint WHERE word = $1'']'
SELECT * FROM advise(:slow, ARRAY[250, 1, 10]);
SELECT bool_and(improved_pct BETWEEN 0.05 AND 0.5) AS less_than_min_gain FROM get_index_suggestions(queries => :slow, weights => ARRAY[250, 1, 10]);
SELECT count(*) FROM advise(:slow, ARRAY[250, 1, 10], 1.5);
SELECT count(*) FROM advise(:slow, ARRAY[25000, 1, 10]);
-- a statement that takes nearly all time does not hide the rest if it can be
-- helped
\set cured 'ARRAY[''SELECT id FROM message WHERE body = $1'', ''SELECT name FROM person WHERE email = $1'', ''SELECT id FROM hint WHERE word = $1'']'
SELECT * FROM advise(:cured, ARRAY[25000, 10, 1]);
SELECT max(cumulative_improved_pct) > 99 AS nearly_all, min(improved_pct) < 0.05 AS more FROM get_index_suggestions(queries => :cured, weights => ARRAY[25000, 10, 1]);

-- an index for pages of all claims would tempt the planner to look there for the
-- few in a state that only the latest have; then there has to be one for those
CREATE TABLE claim (id int PRIMARY KEY, parcel_id int NOT NULL, state text NOT NULL, filed_at timestamptz NOT NULL, reason text NOT NULL);
INSERT INTO claim SELECT i, i * 7 % 15000, CASE WHEN i > 19700 THEN 'new' WHEN i % 37 = 0 THEN 'accepted' ELSE 'closed' END,
                         '2025-01-01'::timestamptz + i * interval '1 min', repeat(md5(i::text), 3) FROM generate_series(1, 20000) i;
VACUUM ANALYZE claim;
\set claims 'ARRAY[''SELECT id, state, filed_at FROM claim WHERE (filed_at, id) < ($1, $2) ORDER BY filed_at DESC, id DESC LIMIT 25'', ''SELECT id, parcel_id FROM claim WHERE state = $1 ORDER BY filed_at LIMIT 20'']'
SELECT * FROM advise(:claims, ARRAY[100, 1]);
-- if only one may be advised, not that which makes the other statement slower
SELECT * FROM advise(:claims, NULL, 20);

-- a deadline that comes early returns the best of what was looked at
DO $$ BEGIN FOR i IN 1..40 LOOP
    EXECUTE format('CREATE TABLE t%s AS SELECT g AS id, g %% 50 AS a, g * 7 %% 90 AS b, g::text AS c, g * 3 %% 700 AS d FROM generate_series(1, 4000) g', i);
    EXECUTE format('ANALYZE t%s', i);
END LOOP; END $$;
SELECT array_agg(format('SELECT x.id, y.%s FROM t%s x JOIN t%s y USING (%s) WHERE x.%s = $1 AND y.%s > $2 ORDER BY x.%s', c[1 + i % 3], 1 + i % 40, 1 + i * 7 % 40,
                        c[1 + i % 4], c[1 + i % 5], c[1 + i / 5 % 5], c[1 + i / 7 % 5])) AS many
  FROM generate_series(1, 1500) i, (SELECT '{a,b,c,d,id}'::text[]) AS columns(c) \gset
SELECT count(*) > 0 AS some FROM get_index_suggestions(deadline => '800 ms', min_gain_pct => 0.01, queries => :'many');
SELECT count(*) > 0 AS some FROM get_index_suggestions(deadline => '1 us', min_gain_pct => 0.01, queries => :'many');

-- nobody asks at the moment
SELECT count(*) FROM get_index_advisor_progress();
RESET search_path;
DROP SCHEMA am CASCADE;
