-- Refreshing by exchange of files: the view equals its query afterwards, with
-- all that belongs to it in place, and nothing of the work is left.
CREATE SCHEMA refresh_swap;
SET search_path TO refresh_swap, public;
\set VERBOSITY terse

-- rows by which a view and its query differ, both ways
CREATE FUNCTION differs(matview regclass) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM ((SELECT row_::text FROM %1$s row_ EXCEPT ALL SELECT row_::text FROM (%2$s) row_)
                    UNION ALL (SELECT row_::text FROM (%2$s) row_ EXCEPT ALL SELECT row_::text FROM %1$s row_)) d',
                   matview, rtrim(pg_get_viewdef(matview), ';')) INTO n;
    RETURN n;
END $$;
CREATE FUNCTION swap(matview regclass) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s: +%s -%s ~%s =%s %s', r.method_used, r.rows_inserted, r.rows_deleted, r.rows_updated, r.rows_unchanged, r.note)
      FROM refresh_matview_now($1, 'swap') r $$;
-- a view, its indexes and its TOAST table with its index
CREATE FUNCTION parts(matview regclass) RETURNS SETOF pg_class LANGUAGE sql AS $$
    SELECT c FROM pg_class v, pg_class c
     WHERE v.oid = matview
       AND (c.oid IN (v.oid, v.reltoastrelid) OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid IN (v.oid, v.reltoastrelid))) $$;

CREATE TABLE base (id int PRIMARY KEY, n int, doc text, tags int[], place point, part int);
ALTER TABLE base ALTER doc SET STORAGE EXTERNAL;
INSERT INTO base SELECT g, g % 20, repeat(md5(g::text), CASE WHEN g % 10 = 0 THEN 200 ELSE 1 END), ARRAY[g, g % 7], point(g, g), g % 3
  FROM generate_series(1, 500) g;
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * $1';
CREATE MATERIALIZED VIEW all_kinds WITH (fillfactor = 80, autovacuum_enabled = off) AS SELECT * FROM base;
COMMENT ON MATERIALIZED VIEW all_kinds IS 'kept';
CREATE UNIQUE INDEX kinds_id ON all_kinds (id) WITH (fillfactor = 70);
CREATE INDEX kinds_desc ON all_kinds (n DESC NULLS LAST, doc COLLATE "C" text_pattern_ops) WHERE length(doc) < 100;
CREATE INDEX kinds_include ON all_kinds (id) INCLUDE (n);
CREATE INDEX kinds_expression ON all_kinds (refresh_swap.twice(n), md5(doc)) WHERE refresh_swap.twice(part) > 0;
CREATE INDEX kinds_hash ON all_kinds USING hash (doc);
CREATE INDEX kinds_gin ON all_kinds USING gin (tags);
CREATE INDEX kinds_gist ON all_kinds USING gist (place);
CREATE INDEX kinds_spgist ON all_kinds USING spgist (place);
CREATE INDEX kinds_brin ON all_kinds USING brin (part) WITH (pages_per_range = 2);
ALTER INDEX kinds_expression ALTER COLUMN 1 SET STATISTICS 7;
ALTER MATERIALIZED VIEW all_kinds CLUSTER ON kinds_id;
GRANT SELECT ON all_kinds TO pg_monitor;
ANALYZE all_kinds;
CREATE VIEW on_top AS SELECT count(*), sum(n) FROM all_kinds;
CREATE TABLE before AS SELECT p.oid, p.relname, p.relfilenode, p.relkind FROM parts('all_kinds') p;
CREATE TABLE definitions AS SELECT i.indexrelid, pg_get_indexdef(i.indexrelid) AS command, to_jsonb(i) AS catalog FROM pg_index i WHERE i.indrelid = 'all_kinds'::regclass;

UPDATE base SET n = n + 1, doc = doc || 'x' WHERE id % 5 = 0;
DELETE FROM base WHERE id % 7 = 0;
INSERT INTO base SELECT g, 1, 'new', '{1}', point(0, g), 1 FROM generate_series(501, 520) g;
SELECT swap('all_kinds'), differs('all_kinds');
-- the same relations with new files
SELECT relkind, count(*), count(*) FILTER (WHERE p.relfilenode <> b.relfilenode) AS new_files,
       count(*) FILTER (WHERE p.relname = b.relname) AS same_names
  FROM before b JOIN parts('all_kinds') p USING (oid, relkind) GROUP BY relkind ORDER BY relkind;
SELECT bool_and(pg_get_indexdef(indexrelid) = command AND to_jsonb(i) = catalog) AS same_indexes, count(*)
  FROM definitions JOIN pg_index i USING (indexrelid);
SELECT t.relname = 'pg_toast_' || v.oid AS toast_named, t.relrewrite = 0 AS toast_settled, d.deptype, count(*) OVER () AS dependencies
  FROM pg_class v JOIN pg_class t ON t.oid = v.reltoastrelid
  JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = t.oid AND d.refobjid = v.oid WHERE v.oid = 'all_kinds'::regclass;
SELECT reltuples, relpages > 0 AS pages, reloptions, obj_description(oid), has_table_privilege('pg_monitor', oid, 'SELECT')
  FROM pg_class WHERE oid = 'all_kinds'::regclass;
SELECT count(*) AS statistics FROM pg_stats WHERE schemaname = 'refresh_swap' AND tablename = 'all_kinds';
SELECT count(*) AS left_behind FROM pg_class WHERE relname LIKE 'pg\_temp\_%' OR oid IN (SELECT reltoastrelid FROM pg_class WHERE relname LIKE 'pg\_temp\_%');
SELECT * FROM on_top;
-- each index finds its rows
SET enable_seqscan = off;
SELECT (SELECT count(*) FROM all_kinds WHERE id > 500) AS btree,
       (SELECT count(*) FROM all_kinds WHERE refresh_swap.twice(n) = 2 AND refresh_swap.twice(part) > 0) AS expression,
       (SELECT count(*) FROM all_kinds WHERE doc = 'new') AS hash,
       (SELECT count(*) FROM all_kinds WHERE tags @> '{1}') AS gin,
       (SELECT count(*) FROM all_kinds WHERE place <@ box '((0,501),(0,600))') AS gist,
       (SELECT count(*) FROM all_kinds WHERE part = 1) AS brin,
       (SELECT count(*) FROM base WHERE part = 1) AS brin_expected;
RESET enable_seqscan;
-- and goes on to be maintained
UPDATE base SET tags = '{77777}' WHERE id = 501;
SELECT rows_inserted, rows_updated FROM refresh_matview_now('all_kinds', 'diff');
SET enable_seqscan = off;
SELECT id FROM all_kinds WHERE tags @> '{77777}';
RESET enable_seqscan;
SELECT swap('all_kinds'), differs('all_kinds');
REFRESH MATERIALIZED VIEW CONCURRENTLY all_kinds;
REINDEX TABLE all_kinds;
VACUUM FULL all_kinds;
SELECT swap('all_kinds'), differs('all_kinds');

-- a view that reads it has become stale, by the exchange as well
CREATE MATERIALIZED VIEW reads_it AS SELECT count(*) AS n, sum(n) AS total FROM all_kinds;
CREATE FUNCTION state(matview regclass) RETURNS text LANGUAGE sql AS $$ SELECT f.state FROM steward.matview_freshness($1, false) f $$;
SELECT rows_unchanged FROM refresh_matview_now('reads_it', 'diff');
SELECT state('reads_it');
SELECT swap('all_kinds');
SELECT state('reads_it');
SELECT rows_unchanged FROM refresh_matview_now('reads_it', 'diff');
SELECT state('reads_it');
DROP MATERIALIZED VIEW reads_it;

-- without data, without rows, without columns, without TOAST
CREATE MATERIALIZED VIEW filled AS SELECT id, n FROM base WITH NO DATA;
CREATE INDEX ON filled (n);
SELECT swap('filled'), differs('filled');
CREATE MATERIALIZED VIEW no_columns AS SELECT FROM base;
DELETE FROM base WHERE id > 500;
SELECT swap('no_columns');
SELECT count(*) FROM no_columns;
CREATE MATERIALIZED VIEW empty_one AS SELECT id FROM base WHERE false;
SELECT swap('empty_one'), differs('empty_one');

-- transactions: nested, repeated, with cursors, with other methods
BEGIN;
DELETE FROM base WHERE id <= 10;
SELECT swap('all_kinds'), differs('all_kinds');
SAVEPOINT a;
DELETE FROM base WHERE id <= 20;
SELECT swap('all_kinds'), differs('all_kinds');
SELECT rows_inserted FROM refresh_matview_now('all_kinds', 'plain');
SELECT swap('all_kinds'), differs('all_kinds');
ROLLBACK TO a;
SELECT count(*), count(*) FILTER (WHERE length(doc) > 6000) AS toasted FROM all_kinds;
SELECT rows_inserted, rows_deleted FROM refresh_matview_now('all_kinds', 'diff');
DECLARE c CURSOR FOR SELECT * FROM all_kinds;
FETCH 1 FROM c \g (format=unaligned tuples_only=on)
SELECT swap('all_kinds');
ROLLBACK;
SELECT swap('all_kinds'), differs('all_kinds');

-- an error in the query, or in an index, changes nothing
SELECT relfilenode AS before FROM pg_class WHERE oid = 'all_kinds'::regclass \gset
CREATE UNIQUE INDEX kinds_unique ON all_kinds ((CASE WHEN id = 1 THEN n ELSE -id END));
UPDATE base SET n = -2 WHERE id = 1;
-- the user knows the index by its name, not the one that was being built
\set VERBOSITY default
SELECT refresh_matview_now('all_kinds', 'swap');
\set VERBOSITY terse
SELECT relfilenode = :before AS unchanged FROM pg_class WHERE oid = 'all_kinds'::regclass;
DROP INDEX kinds_unique;
CREATE MATERIALIZED VIEW divided AS SELECT 100 / n AS q FROM base WHERE id <> 20;
UPDATE base SET n = 0 WHERE id = 2;
SELECT swap('divided');
SELECT count(*) AS left_behind FROM pg_class WHERE relname LIKE 'pg\_temp\_%';

-- an index that is not valid stays so, and does not fail
CREATE UNIQUE INDEX CONCURRENTLY kinds_invalid ON all_kinds (n);
SELECT swap('all_kinds'), differs('all_kinds');
SELECT indisvalid, indisunique FROM pg_index WHERE indexrelid = 'kinds_invalid'::regclass;
DROP INDEX kinds_invalid;

-- an index over whole rows is built where it belongs
CREATE INDEX kinds_whole ON all_kinds ((all_kinds IS NOT NULL));
SELECT swap('all_kinds'), differs('all_kinds');

-- files stay in their tablespaces, whatever new tables get by default
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE regress_swap_space LOCATION '';
CREATE INDEX filled_elsewhere ON filled (id) TABLESPACE regress_swap_space;
SET default_tablespace = regress_swap_space;
SELECT swap('filled'), differs('filled');
RESET default_tablespace;
SELECT relname FROM parts('filled') WHERE reltablespace <> 0;
DROP INDEX filled_elsewhere;
DROP TABLESPACE regress_swap_space;

-- as the owner of the view, restricted
CREATE ROLE regress_swap_owner;
GRANT USAGE, CREATE ON SCHEMA refresh_swap TO regress_swap_owner;
GRANT SELECT ON base TO regress_swap_owner;
SET ROLE regress_swap_owner;
CREATE FUNCTION who() RETURNS text LANGUAGE sql AS 'SELECT current_user || '' '' || current_setting(''search_path'')';
CREATE FUNCTION who_index(int) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN current_user; END';
CREATE MATERIALIZED VIEW owned AS SELECT n, refresh_swap.who() AS w FROM refresh_swap.base WHERE id < 3;
CREATE INDEX owned_who ON owned (refresh_swap.who_index(n));
RESET ROLE;
SELECT swap('owned');
SELECT DISTINCT w FROM owned;
SET enable_seqscan = off;
SELECT count(*) FROM owned WHERE refresh_swap.who_index(n) = 'regress_swap_owner';
RESET enable_seqscan;
SELECT relowner::regrole FROM parts('owned') GROUP BY relowner;
REVOKE SELECT ON base FROM regress_swap_owner;
SELECT swap('owned');

-- nothing is running: the report says so
SELECT count(*) FROM get_matview_refresh_progress();
-- and from inside of a refresh it sees it
CREATE FUNCTION running() RETURNS text LANGUAGE sql AS
    'SELECT string_agg(format(''%s.%s %s: %s'', p.schema_name, p.matview_name, p.method, p.phase), '', '') FROM public.get_matview_refresh_progress() p';
CREATE MATERIALIZED VIEW watching AS SELECT refresh_swap.running() AS r;
SELECT swap('watching');
SELECT r FROM watching;
SELECT method_used FROM refresh_matview_now('watching', 'diff');
SELECT r FROM watching;
SELECT method_used FROM refresh_matview_now('watching', 'plain');
SELECT r FROM watching;
-- a refresh that fails is not running any more
SELECT swap('divided');
SELECT count(*) FROM get_matview_refresh_progress();

\set VERBOSITY default
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA refresh_swap CASCADE;
DROP OWNED BY regress_swap_owner;
DROP ROLE regress_swap_owner;
