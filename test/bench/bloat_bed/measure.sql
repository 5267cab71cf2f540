-- What test/bench/bloat measures with: the relations of the bed, the peers, and
-- a procedure for each that records estimate, cost and reason.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION pgstattuple;
CREATE SCHEMA bed;
SET search_path = bed, public;

-- one row a file: heaps, TOAST, indexes; "target" is what functions are given
CREATE TABLE bed.relation AS
SELECT c.oid, c.oid AS target, c.relname::text AS name, 'heap' AS part, 'heap' AS am,
       pg_relation_size(c.oid) AS size, NULL::bigint AS truth
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname IN ('heap', 'pgb', 'pgb_70', 'pgb_run') AND c.relkind IN ('r', 'm') AND c.relname <> 'holder'
UNION ALL
SELECT c.reltoastrelid, c.oid, c.relname || '/toast', 'toast', 'heap', pg_relation_size(c.reltoastrelid), NULL
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname IN ('heap', 'pgb', 'pgb_70', 'pgb_run') AND c.relkind IN ('r', 'm')
   AND pg_relation_size(nullif(c.reltoastrelid, 0)) > 0
UNION ALL
SELECT c.oid, c.oid, c.relname::text, 'index', a.amname::text, pg_relation_size(c.oid), NULL
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am a ON a.oid = c.relam
 WHERE n.nspname IN ('idx', 'pgb', 'pgb_70', 'pgb_run') AND c.relkind = 'i';

-- what the server believes about tables, which REINDEX corrects
CREATE TABLE bed.belief AS
SELECT oid, relpages, reltuples, relallvisible FROM pg_class WHERE relkind IN ('r', 'm');

CREATE TABLE bed.result (
    method text, oid oid, estimate bigint, low bigint, high bigint,
    blocks bigint, ms float8, reason text);

-- The estimate from statistics alone, as it is commonly pasted: rows times
-- (line pointer, header with its null bitmap, average widths), aligned.
CREATE VIEW bed.by_statistics AS
WITH stat AS MATERIALIZED (
    SELECT format('%I.%I', schemaname, tablename)::regclass::oid AS relation, attname, null_frac, avg_width
      FROM pg_stats WHERE schemaname NOT IN ('pg_catalog', 'information_schema')),
item AS MATERIALIZED (
    SELECT c.oid AS owner, c.oid AS relation, t.attname
      FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid AND t.attnum > 0
     WHERE c.relkind IN ('r', 'm')
    UNION ALL
    SELECT i.indexrelid, t.attrelid, t.attname
      FROM pg_index i
           CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, position)
           JOIN pg_attribute t ON (t.attrelid, t.attnum) =
                (CASE WHEN k.attnum = 0 THEN i.indexrelid ELSE i.indrelid END,
                 CASE WHEN k.attnum = 0 THEN k.position::int2 ELSE k.attnum END)),
width AS MATERIALIZED (
    SELECT owner, sum((1 - null_frac) * avg_width) AS width, bool_or(null_frac > 0) AS nulls, count(*) AS columns
      FROM item JOIN stat USING (relation, attname) GROUP BY owner),
aligned AS (
    SELECT c.oid, c.reltuples, pg_relation_size(c.oid) AS size, a.amname,
           coalesce(substring(array_to_string(c.reloptions, ' ') FROM 'fillfactor=([0-9]+)')::float8,
                    CASE a.amname WHEN 'btree' THEN 90 ELSE 100 END) / 100 AS fill,
           w.width, w.nulls, w.columns
      FROM pg_class c JOIN pg_am a ON a.oid = c.relam JOIN width w ON w.owner = c.oid
     WHERE c.reltuples >= 0)
SELECT oid,
       CASE amname
           WHEN 'heap' THEN size - 8192 * ceil(reltuples
               * (4 + 8 * ceil((23 + CASE WHEN nulls THEN ceil(columns / 8.0) ELSE 0 END) / 8.0) + 8 * ceil(width / 8.0))
               / (fill * (8192 - 24)))
           WHEN 'btree' THEN size - 8192 * (1 + ceil(reltuples
               * (4 + 8 * ceil((8 + CASE WHEN nulls THEN 8 ELSE 0 END) / 8.0) + 8 * ceil(width / 8.0))
               / (fill * (8192 - 24 - 16))))
       END AS wasted
  FROM aligned WHERE amname IN ('heap', 'btree');

-- Run a query for one relation: first for its cost in blocks, which also fills
-- the caches of the catalogs, then for its result and its time, the best of 3.
CREATE PROCEDURE bed.run(method text, relation oid, query text) LANGUAGE plpgsql AS $$
DECLARE
    plan json;
    began timestamptz;
    ms float8;
    r record;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ' || query INTO plan;
    FOR i IN 1..3 LOOP
        began := clock_timestamp();
        EXECUTE query INTO r;
        ms := least(ms, extract(epoch FROM clock_timestamp() - began) * 1000);
    END LOOP;
    INSERT INTO bed.result
    VALUES (method, relation, r.estimate, r.low, r.high,
            (plan #>> '{0,Plan,Shared Hit Blocks}')::bigint + (plan #>> '{0,Plan,Shared Read Blocks}')::bigint,
            ms, r.reason);
    IF to_jsonb(r) ? 'toast_estimate' THEN
        INSERT INTO bed.result
        SELECT method, t.oid, r.toast_estimate, r.toast_low, r.toast_high, 0, 0, r.reason
          FROM bed.relation t WHERE t.target = relation AND t.part = 'toast';
    END IF;
EXCEPTION WHEN others THEN
    INSERT INTO bed.result VALUES (method, relation, NULL, NULL, NULL, NULL, NULL, 'ERROR: ' || SQLERRM);
END $$;

CREATE FUNCTION bed.ours(method text, relation oid, part text, blocks int DEFAULT 300) RETURNS text LANGUAGE sql AS $$
    SELECT CASE part WHEN 'heap' THEN format(
        'SELECT wasted_bytes AS estimate, wasted_bytes_low AS low, wasted_bytes_high AS high, reason,
                toast_wasted_bytes AS toast_estimate, toast_wasted_bytes_low AS toast_low, toast_wasted_bytes_high AS toast_high
           FROM get_table_bloat(%s::regclass, 0, %L, %s)', relation, method, blocks)
    ELSE format(
        'SELECT wasted_bytes AS estimate, wasted_bytes_low AS low, wasted_bytes_high AS high, reason
           FROM get_index_bloat(%s::regclass, 0, %L, %s)', relation, method, blocks) END $$;

CREATE PROCEDURE bed.run_all(method text) LANGUAGE plpgsql AS $$
DECLARE
    t record;
    q text;
    none text := ', NULL::bigint AS low, NULL::bigint AS high, NULL AS reason';
BEGIN
    FOR t IN SELECT * FROM bed.relation ORDER BY oid LOOP
        q := CASE
            WHEN method IN ('sample', 'exact', 'quick') AND t.part <> 'toast' THEN bed.ours(method, t.oid, t.part)
            WHEN method = 'pgstattuple' AND t.am IN ('heap', 'btree', 'gist', 'hash') THEN
                format('SELECT (dead_tuple_len + free_space)::bigint AS estimate%s FROM pgstattuple(%s::regclass)', none, t.oid)
            WHEN method = 'pgstattuple_approx' AND t.am = 'heap' THEN
                format('SELECT (dead_tuple_len + approx_free_space)::bigint AS estimate%s FROM pgstattuple_approx(%s::regclass)', none, t.oid)
            WHEN method = 'pgstatindex' AND t.am = 'btree' THEN
                format('SELECT CASE WHEN avg_leaf_density <> ''NaN'' THEN index_size * (100 - avg_leaf_density) / 100 ELSE 0 END::bigint AS estimate%s
                          FROM pgstatindex(%s::regclass)', none, t.oid)
        END;
        IF q IS NOT NULL THEN
            CALL bed.run(method, t.oid, q);
            COMMIT;
        END IF;
    END LOOP;
END $$;

-- The statistics are asked for all relations at once, as everybody does.
CREATE PROCEDURE bed.run_statistics() LANGUAGE plpgsql AS $$
DECLARE
    plan json;
    began timestamptz;
    ms float8;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) SELECT * FROM bed.by_statistics' INTO plan;
    began := clock_timestamp();
    CREATE TEMP TABLE guess AS SELECT * FROM bed.by_statistics;
    ms := extract(epoch FROM clock_timestamp() - began) * 1000;
    INSERT INTO bed.result
    SELECT 'statistics', r.oid, g.wasted, NULL, NULL,
           ((plan #>> '{0,Plan,Shared Hit Blocks}')::bigint + (plan #>> '{0,Plan,Shared Read Blocks}')::bigint) / count(*) OVER (),
           ms / count(*) OVER (), NULL
      FROM bed.relation r LEFT JOIN guess g USING (oid)
     WHERE r.part <> 'toast' AND r.am IN ('heap', 'btree');
END $$;

-- Sample again and again.
CREATE TABLE bed.draw (oid oid, estimate bigint, low bigint, high bigint);
CREATE PROCEDURE bed.draw_samples(repeats int) LANGUAGE plpgsql AS $$
DECLARE
    t record;
    r record;
BEGIN
    FOR t IN SELECT * FROM bed.relation WHERE part <> 'toast' ORDER BY oid LOOP
        FOR i IN 1..repeats LOOP
            BEGIN
                EXECUTE bed.ours('sample', t.oid, t.part) INTO r;
                INSERT INTO bed.draw VALUES (t.oid, r.estimate, r.low, r.high);
                IF to_jsonb(r) ? 'toast_estimate' THEN
                    INSERT INTO bed.draw
                    SELECT o.oid, r.toast_estimate, r.toast_low, r.toast_high
                      FROM bed.relation o WHERE o.target = t.oid AND o.part = 'toast';
                END IF;
            EXCEPTION WHEN others THEN
                NULL;               -- recorded by bed.run()
            END;
        END LOOP;
        COMMIT;
    END LOOP;
END $$;
CREATE VIEW bed.coverage AS
SELECT CASE WHEN r.part <> 'index' THEN 'heap, TOAST' WHEN r.am = 'btree' THEN 'b-tree' ELSE 'other index' END AS class,
       r.name, r.size / 8192 AS blocks, round(100.0 * r.truth / r.size, 2) AS truth, count(*) AS draws,
       round(100.0 * avg((r.truth BETWEEN d.low AND d.high)::int), 1) AS covered,
       -- at most a page or 0.1 pp beside the interval
       round(100.0 * avg((r.truth BETWEEN d.low - greatest(8192, r.size / 1000) AND d.high + greatest(8192, r.size / 1000))::int), 1) AS nearly,
       round(avg(100.0 * (d.estimate - r.truth) / r.size), 2) AS bias,
       round(max(abs(100.0 * (d.estimate - r.truth) / r.size)), 2) AS worst,
       round(avg(100.0 * (d.high - d.low) / r.size / 2), 2) AS half_width
  FROM bed.draw d JOIN bed.relation r USING (oid)
 WHERE d.low IS NOT NULL AND r.size > 0
 GROUP BY 1, r.name, r.size, r.truth;

-- Errors in percentage points of the relation's size.  What is not answered has
-- none.
CREATE VIEW bed.error AS
SELECT s.method, CASE WHEN r.part <> 'index' THEN 'heap, TOAST' WHEN r.am = 'btree' THEN 'b-tree' ELSE 'other index' END AS class,
       r.*, s.estimate, s.low, s.high, s.blocks, s.ms, s.reason,
       100.0 * r.truth / r.size AS truth_pct,
       CASE WHEN s.estimate IS NOT NULL THEN 100.0 * (greatest(s.estimate, 0) - r.truth) / r.size END AS pp,
       s.estimate IS NOT NULL AND 100.0 * (greatest(s.estimate, 0) - r.truth) / r.size > 10 AND 100.0 * r.truth / r.size < 10 AS false_positive,
       s.estimate IS NOT NULL AND 100.0 * (r.truth - greatest(s.estimate, 0)) / r.size > 10 AND 100.0 * r.truth / r.size >= 10 AS false_negative
  FROM bed.result s JOIN bed.relation r USING (oid)
 WHERE r.size > 0;
CREATE VIEW bed.summary AS
SELECT class, method, count(*) AS n,
       round(avg(abs(pp)), 2) AS mean, round(percentile_cont(.5) WITHIN GROUP (ORDER BY abs(pp))::numeric, 2) AS median,
       round(max(abs(pp)), 1) AS max, count(*) FILTER (WHERE abs(pp) > 5) AS over_5,
       count(*) FILTER (WHERE false_positive) AS fp, count(*) FILTER (WHERE false_negative) AS fn,
       count(*) FILTER (WHERE estimate IS NULL) AS no_answer,
       round(sum(blocks) / count(*)) AS blocks_mean, round(percentile_cont(.5) WITHIN GROUP (ORDER BY ms) FILTER (WHERE ms > 0)::numeric, 2) AS ms_median,
       round(sum(ms)::numeric) AS ms_sum
  FROM bed.error WHERE size >= 64 * 8192
 GROUP BY class, method;
