-- Candidates of the index advisor: of each kind the right one is proposed, the
-- planner says it would use it, and, once it is built, does so at that cost.
CREATE SCHEMA ac;
SET search_path = ac, public;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_trgm;
RESET client_min_messages;

CREATE DOMAIN plate AS varchar(10) CHECK (value <> '');
CREATE TABLE customer (id int PRIMARY KEY, email text NOT NULL, name text COLLATE "C", region int, deleted_at timestamptz, car plate);
INSERT INTO customer SELECT g, 'User' || g || '@Example.com', md5(g::text), g % 40,
                            CASE WHEN g % 10 <> 0 THEN timestamptz '2024-01-01' + g * interval '1 min' END, 'X' || g
  FROM generate_series(1, 20000) g;
CREATE TABLE orders (id int PRIMARY KEY, customer_id int, status text, total numeric(10,2), at timestamptz NOT NULL,
                     shipped boolean NOT NULL, tags text[], doc jsonb, note text, period int4range, place point,
                     secret json, filler text);
INSERT INTO orders
SELECT g, g * 7919 % 20000 + 1, CASE WHEN g % 50 = 0 THEN 'pending' ELSE 'done' END, g * 37 % 10007 / 10.0,
       timestamptz '2024-01-01' + g * interval '5 min', g % 100 <> 0,
       ARRAY['t' || g % 500, 'u' || g % 700], jsonb_build_object('sku', g % 3000), md5(g::text) || md5((-g)::text),
       int4range(g, g + 5), point(g % 173, g % 199), '{}', repeat('x', 250)
  FROM generate_series(1, 30000) g;
CREATE TABLE item (order_id int, line int, product_id int, price numeric(10,2), filler text, PRIMARY KEY (order_id, line));
INSERT INTO item SELECT g / 2, g % 2, g * 31 % 5000, g % 1000, repeat('y', 50) FROM generate_series(1, 40000) g;
CREATE TABLE tiny AS SELECT g AS a FROM generate_series(1, 100) g;
VACUUM ANALYZE customer, orders, item, tiny;

-- Is this candidate proposed for this statement, and, when it is built, used,
-- at the cost and with the size that were predicted?  Definitions without
-- "CREATE INDEX ON ac.".
CREATE FUNCTION try(query text, VARIADIC wanted text[], OUT proposed bool, OUT planned bool, OUT used bool,
                    OUT cheaper bool, OUT cost_as_planned bool, OUT size_as_planned bool)
LANGUAGE plpgsql AS
$$
DECLARE
    candidate record;
    plan json;
    cost float8;
    definition text;
    number int := 0;
    bytes float8 := 0;
BEGIN
    SELECT array_agg(c.definition) AS definitions, bool_and(c.used) AS used, min(c.cost_before) AS cost_before,
           min(c.cost_with) AS cost_with, sum(c.estimated_bytes) AS bytes, min(c.table_name::text) AS table_name
      INTO candidate
      FROM steward.index_candidates(query, true) c GROUP BY c.group_number
    HAVING array_agg(substr(c.definition, 20) ORDER BY c.definition) = (SELECT array_agg(w ORDER BY w) FROM unnest(wanted) w);
    proposed := FOUND;
    IF NOT proposed THEN RETURN; END IF;
    planned := candidate.used;
    cheaper := candidate.cost_with < candidate.cost_before;

    FOREACH definition IN ARRAY candidate.definitions LOOP
        number := number + 1;
        EXECUTE format('CREATE INDEX built_%s ON %s', number, substr(definition, 17));
        bytes := bytes + pg_relation_size('built_' || number);
    END LOOP;
    -- expressions get statistics, partial indexes an exact number of rows
    IF candidate.definitions::text ~ '[(][(]|lower' THEN
        EXECUTE 'ANALYZE ' || candidate.table_name;
    END IF;
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
    used := (SELECT count(*) = number FROM generate_series(1, number) n WHERE plan::text LIKE '%"built_' || n || '"%');
    cost := (plan -> 0 -> 'Plan' ->> 'Total Cost')::float8;
    cost_as_planned := abs(candidate.cost_with / cost - 1) < 0.03;
    size_as_planned := candidate.bytes / bytes BETWEEN 0.9 AND 1.1;
    FOR n IN 1..number LOOP
        EXECUTE 'DROP INDEX built_' || n;
    END LOOP;
END
$$;

-- equality, range, order; in the right sequence
SELECT * FROM try('SELECT * FROM orders WHERE customer_id = 5', 'orders USING btree (customer_id)');
SELECT * FROM try('SELECT * FROM orders WHERE customer_id = 5 AND at > ''2024-02-01''', 'orders USING btree (customer_id, at)');
SELECT * FROM try('SELECT * FROM orders WHERE at < ''2024-01-03'' AND at > ''2024-01-02''', 'orders USING btree (at)');
SELECT * FROM try('SELECT * FROM orders WHERE customer_id = 5 ORDER BY at DESC LIMIT 3', 'orders USING btree (customer_id, at)');
SELECT * FROM try('SELECT * FROM orders WHERE status = ''pending'' AND total > 990 ORDER BY at LIMIT 3', 'orders USING btree (status, total)');
SELECT * FROM try('SELECT * FROM orders ORDER BY total DESC NULLS LAST, id LIMIT 10', 'orders USING btree (total DESC NULLS LAST, id)');
SELECT * FROM try('SELECT * FROM orders ORDER BY total DESC, id DESC LIMIT 10', 'orders USING btree (total, id)');
SELECT * FROM try('SELECT * FROM orders WHERE (customer_id, id) > (100, 5) ORDER BY customer_id, id LIMIT 10', 'orders USING btree (customer_id, id)');
SELECT * FROM try('SELECT * FROM orders WHERE customer_id IN (1, 5, 9)', 'orders USING btree (customer_id)');
SELECT * FROM try('SELECT * FROM orders WHERE customer_id = ANY (''{1,5,9}'') AND status = ''pending''', 'orders USING btree (customer_id, status)');
SELECT * FROM try('SELECT * FROM customer WHERE car = ''X77''', 'customer USING btree (car)');
SELECT * FROM try('SELECT * FROM customer WHERE name LIKE ''abcd%''', 'customer USING btree (name)');
SELECT * FROM try('SELECT max(total) FROM orders', 'orders USING btree (total)');
-- joins, both sides
SELECT * FROM try('SELECT o.at FROM item i JOIN orders o ON o.id = i.order_id WHERE i.product_id = 31', 'item USING btree (product_id)');
SELECT * FROM try('SELECT * FROM customer c JOIN orders o ON o.customer_id = c.id WHERE c.id BETWEEN 3 AND 7', 'orders USING btree (customer_id)');
SELECT * FROM try('SELECT * FROM customer c WHERE c.id < 9 AND EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id AND o.status = ''pending'')',
                  'orders USING btree (customer_id, status)');
SELECT * FROM try('SELECT c.id, (SELECT max(o.at) FROM orders o WHERE o.customer_id = c.id) FROM customer c WHERE c.id < 50',
                  'orders USING btree (customer_id, at)');
-- covering
SELECT * FROM try('SELECT customer_id, total FROM orders WHERE customer_id BETWEEN 5 AND 25', 'orders USING btree (customer_id) INCLUDE (total)');
SELECT * FROM try('SELECT customer_id, count(*) FROM orders GROUP BY customer_id', 'orders USING btree (customer_id)');
SELECT * FROM try('SELECT status, at, row_number() OVER (PARTITION BY status ORDER BY at) FROM orders', 'orders USING btree (status, at)');
SELECT * FROM try('SELECT DISTINCT status FROM orders', 'orders USING btree (status)');
-- expressions
SELECT * FROM try('SELECT * FROM customer WHERE lower(email) = ''user77@example.com''', 'customer USING btree (lower(email))');
-- an implicit cast is one, and its values are not the column's
SELECT * FROM try('SELECT * FROM item WHERE product_id = 77.0', 'item USING btree (((product_id)::numeric))');
SELECT * FROM try('SELECT * FROM orders WHERE (doc ->> ''sku'')::int = 77', 'orders USING btree ((((doc ->> ''sku''::text))::integer))');
-- a range over an expression: before it is indexed nothing is known about it
SELECT proposed, planned, used, cheaper FROM try('SELECT * FROM orders WHERE (doc ->> ''sku'')::int < 20', 'orders USING btree ((((doc ->> ''sku''::text))::integer))');
-- partial
SELECT * FROM try('SELECT id, customer_id FROM orders WHERE NOT shipped ORDER BY at LIMIT 5', 'orders USING btree (at) WHERE ((NOT shipped))');
SELECT * FROM try('SELECT * FROM customer WHERE deleted_at IS NULL AND region = 7', 'customer USING btree (region) WHERE ((deleted_at IS NULL))');
SELECT * FROM try('SELECT * FROM orders WHERE status = ''pending'' AND at > ''2024-04-01''', 'orders USING btree (at) WHERE ((status = ''pending''::text))');
SELECT * FROM try('SELECT id FROM orders WHERE NOT shipped', 'orders USING btree (id) WHERE ((NOT shipped))');
SELECT count(*) AS no_constant_without_leave
  FROM steward.index_candidates('SELECT * FROM orders WHERE status = ''pending'' AND at > ''2024-04-01''')
 WHERE definition LIKE '%pending%';
-- inverted, range types, nearest
SELECT proposed, planned, used, cheaper FROM try('SELECT * FROM orders WHERE tags @> ''{t5}''', 'orders USING gin (tags)');
SELECT proposed, planned, used, cheaper FROM try('SELECT * FROM orders WHERE doc @> ''{"sku": 5}''', 'orders USING gin (doc jsonb_path_ops)');
SELECT proposed, planned, used, cheaper FROM try('SELECT * FROM orders WHERE doc ? ''nothing''', 'orders USING gin (doc)');
SELECT proposed, planned, used, cheaper FROM try('SELECT * FROM orders WHERE note LIKE ''%abcdef%''', 'orders USING gin (note gin_trgm_ops)');
SELECT proposed, planned, used, cheaper FROM try('SELECT * FROM orders WHERE to_tsvector(''simple'', note) @@ to_tsquery(''simple'', ''abc'')',
                                                 'orders USING gin (to_tsvector(''simple''::regconfig, note))');
SELECT proposed, planned, used, cheaper FROM try('SELECT * FROM orders WHERE period && int4range(5, 9)', 'orders USING gist (period)');
SELECT proposed, planned, used, cheaper FROM try('SELECT * FROM orders ORDER BY place <-> point(7, 7) LIMIT 3', 'orders USING gist (place)');
-- block ranges, where the table follows the column
SELECT * FROM try('SELECT sum(total) FROM orders WHERE at BETWEEN ''2024-02-01'' AND ''2024-02-05''', 'orders USING brin (at)');
-- the correlation of a column says nothing about its nulls
CREATE TABLE closing AS SELECT CASE WHEN g % 100 <> 0 THEN g END AS closed, g % 50 AS a, repeat('x', 400) AS filler FROM generate_series(1, 25000) g;
VACUUM ANALYZE closing;
SELECT count(*) FILTER (WHERE definition LIKE '%brin%') AS brin, count(*) > 0 AS others
  FROM steward.index_candidates('SELECT * FROM closing WHERE closed IS NULL AND a = 5');
SELECT count(*) FILTER (WHERE definition LIKE '%brin%') AS brin
  FROM steward.index_candidates('SELECT * FROM closing WHERE closed IS NULL UNION ALL SELECT * FROM closing WHERE closed BETWEEN 9 AND 50');
DROP TABLE closing;
SELECT count(*) AS brin_without_correlation FROM steward.index_candidates('SELECT sum(total) FROM orders WHERE total > 500')
 WHERE definition LIKE '%brin%';
-- an OR needs all its arms
SELECT * FROM try('SELECT * FROM orders WHERE customer_id = 5 OR total = 77.7', 'orders USING btree (customer_id)', 'orders USING btree (total)');
SELECT * FROM try('SELECT * FROM orders WHERE (customer_id = 5 AND status = ''done'') OR total BETWEEN 7 AND 7.2',
                  'orders USING btree (customer_id, status)', 'orders USING btree (total)');
SELECT count(*) AS half_an_or FROM steward.index_candidates('SELECT * FROM orders WHERE customer_id = 5 OR random() > 0.5')
 WHERE definition LIKE '%customer_id%';

-- every kind of statement
SELECT * FROM try('UPDATE orders SET total = 0 WHERE customer_id = 5', 'orders USING btree (customer_id)');
SELECT * FROM try('DELETE FROM orders WHERE customer_id = 5', 'orders USING btree (customer_id)');
SELECT * FROM try('SELECT * FROM orders WHERE customer_id = 5 FOR UPDATE', 'orders USING btree (customer_id)');
SELECT * FROM try('MERGE INTO orders o USING (VALUES (5)) v (c) ON o.customer_id = v.c WHEN MATCHED THEN DELETE', 'orders USING btree (customer_id)');
SELECT * FROM try('INSERT INTO tiny SELECT id FROM orders WHERE customer_id = 5', 'orders USING btree (customer_id)');
SELECT * FROM try('SELECT id FROM orders WHERE customer_id = 5 UNION SELECT region FROM customer WHERE id = 3', 'orders USING btree (customer_id)');
SELECT * FROM try('SELECT * FROM (SELECT id FROM customer WHERE region = 5 UNION ALL SELECT id FROM orders WHERE customer_id = 7) u', 'orders USING btree (customer_id)');
SELECT * FROM try('WITH o AS MATERIALIZED (SELECT * FROM orders WHERE customer_id = 5) SELECT * FROM o', 'orders USING btree (customer_id)');
SELECT * FROM try('SELECT * FROM customer WHERE id IN (SELECT customer_id FROM orders WHERE total = 77.7)', 'orders USING btree (total)');
-- an order that LIMIT is hoped to cut short costs much if that hope is wrong
SELECT cost_with < cost_before AS cheaper, full_cost_with > 10 * cost_with AS risky, risks & 1 AS limit_risk
  FROM steward.index_candidates('SELECT * FROM orders WHERE total > 500 ORDER BY at LIMIT 5') WHERE definition LIKE '%btree (at)';
SELECT definition, risks & 2 AS unknown_range FROM steward.index_candidates('SELECT * FROM orders WHERE total > $1') WHERE definition LIKE '%(total)';
-- parameters: as pg_stat_statements has them
SELECT definition, used FROM steward.index_candidates('SELECT * FROM orders WHERE customer_id = $1 AND at >= $2 LIMIT $3')
 WHERE cost_with < cost_before / 100 ORDER BY 1;

-- a view over a partial index, INCLUDE: statements that broke others
CREATE VIEW open_orders AS SELECT id, customer_id, total FROM orders WHERE NOT shipped;
SELECT * FROM try('SELECT * FROM open_orders WHERE customer_id = 100', 'orders USING btree (customer_id) WHERE ((NOT shipped))');
SELECT * FROM try('SELECT v.total, c.name FROM open_orders v JOIN customer c ON c.id = v.customer_id WHERE v.customer_id = 100',
                  'orders USING btree (customer_id) INCLUDE (total) WHERE ((NOT shipped))');
CREATE VIEW nested AS SELECT v.*, c.region FROM open_orders v LEFT JOIN customer c ON c.id = v.customer_id AND c.deleted_at IS NULL;
SELECT count(*) > 0 AS survived FROM steward.index_candidates('SELECT n.* FROM nested n FULL JOIN open_orders o USING (id) WHERE n.region = 5 OR o.total > 5');
SELECT count(*) > 0 AS survived FROM steward.index_candidates('SELECT count(*) FROM orders o, LATERAL (SELECT * FROM item i WHERE i.product_id = o.customer_id ORDER BY price LIMIT 1) x WHERE NOT o.shipped GROUP BY GROUPING SETS ((o.status), ())');

-- inheritance: each table; partitions: the whole, in three steps
CREATE TABLE base (a int, b int, filler text);
CREATE TABLE derived (c int) INHERITS (base);
INSERT INTO base SELECT g, g % 50, repeat('x', 50) FROM generate_series(1, 5000) g;
INSERT INTO derived SELECT g, g % 50, repeat('x', 50), 0 FROM generate_series(1, 5000) g;
CREATE TABLE event (id bigint, at date NOT NULL, kind int, gone int, who int, filler text) PARTITION BY RANGE (at);
CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE "Event 2" (filler text, who int, kind int, at date NOT NULL, id bigint) PARTITION BY LIST (kind);
ALTER TABLE event DROP gone;
CREATE TABLE event_2a PARTITION OF "Event 2" FOR VALUES IN (0);
CREATE TABLE event_2b PARTITION OF "Event 2" DEFAULT;
ALTER TABLE event ATTACH PARTITION "Event 2" FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
INSERT INTO event SELECT g, date '2024-01-01' + g % 59, g % 3, g % 2000, repeat('x', 50) FROM generate_series(1, 20000) g;
VACUUM ANALYZE base, derived, event;
SELECT group_number, table_name, definition, used FROM steward.index_candidates('SELECT * FROM base WHERE a = 7') WHERE definition !~ 'INCLUDE' ORDER BY 3;
SELECT group_number, table_name, definition, used FROM steward.index_candidates('SELECT * FROM base WHERE a + b = 7') ORDER BY 3;
SELECT definition, used, cost_with < cost_before AS cheaper
  FROM steward.index_candidates('SELECT * FROM event WHERE who = $1 ORDER BY at DESC LIMIT 5')
 WHERE definition LIKE '%(who, at)' ORDER BY 1;
CREATE INDEX mine ON event_2b (who);
SELECT commands FROM steward.index_candidates('SELECT * FROM event WHERE who = $1') WHERE definition LIKE '%(who)'
\gset
\echo :commands
SELECT unnest(string_to_array(rtrim(replace(:'commands', ' CONCURRENTLY', ''), ';'), E';\n')) AS command
\gexec
SELECT bool_and(indisvalid) AS valid, count(*) FROM pg_index WHERE indrelid = ANY ('{event,event_1,"\"Event 2\"",event_2a,event_2b}'::regclass[]);
EXPLAIN (COSTS OFF) SELECT id FROM event WHERE who = 7 AND at < '2024-01-05';
SELECT count(*) AS again FROM steward.index_candidates('SELECT * FROM event WHERE who = $1') WHERE definition LIKE '%(who)';
-- of a partition that is asked directly
SELECT definition FROM steward.index_candidates('SELECT * FROM event_2b WHERE id = $1') WHERE definition !~ 'INCLUDE';

-- nothing to propose: served already, a unique key is given, too small, not
-- indexable, volatile, catalogs
CREATE INDEX served ON orders (customer_id, at);
SELECT definition FROM steward.index_candidates('SELECT * FROM orders WHERE customer_id = $1');
SELECT definition FROM steward.index_candidates('SELECT * FROM orders WHERE customer_id = $1 ORDER BY at DESC LIMIT 1');
SELECT definition FROM steward.index_candidates('SELECT * FROM orders WHERE id = $1 AND status = $2');
SELECT definition FROM steward.index_candidates('SELECT * FROM tiny WHERE a = $1');
SELECT definition FROM steward.index_candidates('SELECT * FROM orders WHERE secret::text = $1');
SELECT definition FROM steward.index_candidates('SELECT * FROM orders WHERE total > random()');
SELECT definition FROM steward.index_candidates('SELECT * FROM orders WHERE ctid = $1');
SELECT definition FROM steward.index_candidates('SELECT * FROM orders TABLESAMPLE SYSTEM (1) WHERE status = $1');
SELECT definition FROM steward.index_candidates('SELECT * FROM pg_class WHERE relpages = $1');
SELECT definition FROM steward.index_candidates('SELECT 1');
-- never more than the limit
SELECT count(*) <= 40 AS bounded, count(*) > 10 AS many FROM steward.index_candidates(
  'SELECT * FROM orders WHERE customer_id = $1 AND status = $2 AND total = $3 AND at = $4 AND note = $5 AND shipped AND filler > $6 AND period = $7 ORDER BY tags, doc LIMIT 5');

SET client_min_messages = warning;
DROP SCHEMA ac CASCADE;
