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
SELECT * FROM advise(ARRAY['SELECT id, body FROM message WHERE room = $1 AND id < $2 ORDER BY id DESC LIMIT $3',
    'SELECT count(*) FROM message WHERE room = $1'], ARRAY[1, 10000]);

-- INCLUDE has to save a part of what the statement takes today: not what is
-- left of it beside an index that finds its rows
SELECT definition LIKE '%(email)' AS email_alone FROM
    advise(ARRAY['SELECT name FROM person WHERE email = $1']) AS definition;
SELECT * FROM advise(ARRAY['SELECT p.name FROM message m JOIN person p ON p.id = m.room WHERE m.room = $1 AND p.email > $2'], NULL, 0.01)
 WHERE advise LIKE 'person%INCLUDE%';

-- a statement that gets many times as fast counts beside one that takes nearly
-- all of the time, unless more is asked for
\set both 'ARRAY[\'SELECT sum(length(a.body)) FROM message a, message b WHERE a.room = b.room\', \'SELECT name FROM person WHERE email = $1\']'
SELECT split_part(advise, ' ', 1) AS advised FROM advise(:both, ARRAY[10, 1]) WHERE advise LIKE 'person%';
SELECT split_part(advise, ' ', 1) AS advised FROM advise(:both, ARRAY[10, 1], 5) WHERE advise LIKE 'person%';

-- nobody asks at the moment
SELECT count(*) FROM get_index_advisor_progress();
RESET search_path;
DROP SCHEMA am CASCADE;
