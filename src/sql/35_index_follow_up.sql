-- What became of suggestions.

CREATE TABLE steward.index_suggestion (
    index_definition text PRIMARY KEY,
    schema_name text NOT NULL,
    table_name text NOT NULL,
    estimated_bytes bigint NOT NULL,
    saved_ms_per_day double precision NOT NULL,
    improved_pct double precision NOT NULL,
    kept_at timestamptz NOT NULL,
    kept_by name NOT NULL,
    queries jsonb NOT NULL,
    built_at timestamptz,
    built_queries jsonb);
SELECT pg_catalog.pg_extension_config_dump('steward.index_suggestion', '');
COMMENT ON TABLE steward.index_suggestion IS
'suggestions kept by keep_index_suggestions(), to compare with what came of them; definitions can contain sampled constants, so that pg_read_all_data reads it; superusers write it, unless granted';
COMMENT ON COLUMN steward.index_suggestion.index_definition IS 'command that creates the index';
COMMENT ON COLUMN steward.index_suggestion.schema_name IS 'schema of the table';
COMMENT ON COLUMN steward.index_suggestion.table_name IS 'table that the index is for';
COMMENT ON COLUMN steward.index_suggestion.estimated_bytes IS 'estimated size of the index in bytes';
COMMENT ON COLUMN steward.index_suggestion.saved_ms_per_day IS 'forecast: time saved in ms a day';
COMMENT ON COLUMN steward.index_suggestion.improved_pct IS 'forecast: share of the time of all statements that is saved, in percent';
COMMENT ON COLUMN steward.index_suggestion.kept_at IS 'when it was kept';
COMMENT ON COLUMN steward.index_suggestion.kept_by IS 'role that kept it';
COMMENT ON COLUMN steward.index_suggestion.queries IS
'statements it is for: queryid, calls and total_ms counted until kept_at, ms_after: forecast of the mean time in ms';
COMMENT ON COLUMN steward.index_suggestion.built_at IS
'when keep_index_suggestions() first found the index there; null: not yet';
COMMENT ON COLUMN steward.index_suggestion.built_queries IS
'the same counters until built_at';

CREATE FUNCTION steward.index_columns_text(index_definition text)
RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN rtrim(split_part(substr(index_definition, strpos(index_definition, ' USING ') + 7), chr(10), 1), ';');
COMMENT ON FUNCTION steward.index_columns_text(text) IS
'internal: what a definition says behind USING, which identifies an index of a table; anyone may call it';

CREATE FUNCTION steward.suggested_index(schema_name text, table_name text, index_definition text)
RETURNS regclass
LANGUAGE sql VOLATILE STRICT PARALLEL SAFE
BEGIN ATOMIC
    SELECT i.indexrelid::regclass
      FROM pg_namespace n
           JOIN pg_class t ON t.relnamespace = n.oid
           JOIN pg_index i ON i.indrelid = t.oid
     WHERE n.nspname = suggested_index.schema_name AND t.relname = suggested_index.table_name
       AND i.indisvalid
       AND steward.index_columns_text(steward.index_definition(i.indexrelid))
           = steward.index_columns_text(suggested_index.index_definition)
     ORDER BY 1 LIMIT 1;
END;
COMMENT ON FUNCTION steward.suggested_index(text, text, text) IS
'internal: the valid index that does what a suggestion says, null if there is none; anyone may call it';

CREATE FUNCTION steward.statement_counters(queries jsonb)
RETURNS jsonb
LANGUAGE sql VOLATILE STRICT PARALLEL RESTRICTED
BEGIN ATOMIC
    SELECT coalesce(jsonb_agg(jsonb_build_object(
               'queryid', q.queryid, 'calls', s.calls, 'total_ms', s.total_ms, 'ms_after', q.ms_after)
               ORDER BY q.place), '[]')
      FROM ROWS FROM (jsonb_to_recordset(queries) AS (queryid bigint, ms_after double precision))
               WITH ORDINALITY q(queryid, ms_after, place)
           JOIN (SELECT g.queryid, sum(g.calls) AS calls, sum(g.total_time_ms) AS total_ms
                   FROM @extschema@.get_slow_queries(NULL) g
                  WHERE g.database_name = current_database()
                  GROUP BY g.queryid) s USING (queryid);
END;
COMMENT ON FUNCTION steward.statement_counters(jsonb) IS
'internal: calls and total time in ms so far of the statements of a suggestion; anyone may call it';

CREATE FUNCTION @extschema@.keep_index_suggestions(
    max_bytes bigint DEFAULT NULL,
    max_indexes integer DEFAULT 20,
    min_gain_pct double precision DEFAULT 0.5,
    deadline interval DEFAULT '30 s')
RETURNS bigint
LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
    -- those that were built since: measure from now on
    UPDATE steward.index_suggestion k
       SET built_at = clock_timestamp(),
           built_queries = steward.statement_counters(k.queries)
     WHERE k.built_at IS NULL
       AND steward.suggested_index(k.schema_name, k.table_name, k.index_definition) IS NOT NULL;
    WITH kept AS (
        INSERT INTO steward.index_suggestion AS k
               (index_definition, schema_name, table_name, estimated_bytes,
                saved_ms_per_day, improved_pct, kept_at, kept_by, queries)
        SELECT g.index_definition, g.schema_name, g.table_name, g.estimated_bytes,
               g.saved_ms_per_day, g.improved_pct, clock_timestamp(), current_user,
               steward.statement_counters(g.evidence)
          FROM @extschema@.get_index_suggestions(max_bytes, max_indexes, min_gain_pct, deadline) g
            ON CONFLICT (index_definition) DO UPDATE
           SET estimated_bytes = excluded.estimated_bytes,
               saved_ms_per_day = excluded.saved_ms_per_day,
               improved_pct = excluded.improved_pct,
               kept_at = excluded.kept_at, kept_by = excluded.kept_by,
               queries = excluded.queries, built_at = NULL, built_queries = NULL
        RETURNING 1)
    SELECT count(*) FROM kept;
END;
COMMENT ON FUNCTION @extschema@.keep_index_suggestions(bigint, integer, double precision, interval) IS
'stores what get_index_suggestions() says now, with the counters of the statements concerned, in steward.index_suggestion, and returns the number of suggestions; called again when indexes were created, it starts to measure from then on; not on a standby; needs pg_read_all_stats, and INSERT, UPDATE on steward.index_suggestion, which superusers have unless granted';

CREATE FUNCTION @extschema@.check_index_suggestions(
    OUT schema_name text,
    OUT table_name text,
    OUT index_name text,
    OUT queryid bigint,
    OUT calls_since bigint,
    OUT mean_ms_before double precision,
    OUT mean_ms_since double precision,
    OUT mean_ms_forecast double precision,
    OUT changed_pct double precision,
    OUT verdict text,
    OUT since timestamptz,
    OUT index_definition text)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED COST 100000 ROWS 100
BEGIN ATOMIC
    WITH compared AS (
        SELECT k.*, steward.suggested_index(k.schema_name, k.table_name, k.index_definition) AS built,
               b.queryid, b.ms_after,
               b.total_ms / nullif(b.calls, 0) AS before_ms,
               -- counters that went back were reset: all of them count
               CASE WHEN n.calls >= f.calls AND n.total_ms >= f.total_ms
                    THEN n.calls - f.calls ELSE n.calls END AS calls_since,
               CASE WHEN n.calls >= f.calls AND n.total_ms >= f.total_ms
                    THEN n.total_ms - f.total_ms ELSE n.total_ms END AS ms_since
          FROM steward.index_suggestion k
               CROSS JOIN LATERAL jsonb_to_recordset(k.queries)
                    AS b(queryid bigint, calls double precision, total_ms double precision, ms_after double precision)
               LEFT JOIN LATERAL jsonb_to_recordset(coalesce(k.built_queries, k.queries))
                    AS f(queryid bigint, calls double precision, total_ms double precision)
                      ON f.queryid = b.queryid
               LEFT JOIN LATERAL jsonb_to_recordset(steward.statement_counters(k.queries))
                    AS n(queryid bigint, calls double precision, total_ms double precision)
                      ON n.queryid = b.queryid),
    changes AS (
        SELECT c.*, c.ms_since / nullif(c.calls_since, 0) AS since_ms FROM compared c)
    SELECT c.schema_name, c.table_name, c.built::text, c.queryid,
           CASE WHEN c.built IS NOT NULL THEN coalesce(c.calls_since, 0)::bigint END,
           round(c.before_ms::numeric, 3)::float8,
           CASE WHEN c.built IS NOT NULL THEN round(c.since_ms::numeric, 3)::float8 END,
           round(c.ms_after::numeric, 3)::float8,
           CASE WHEN c.built IS NOT NULL
                THEN round((100 * (c.since_ms / nullif(c.before_ms, 0) - 1))::numeric, 1)::float8 END,
           CASE WHEN c.built IS NULL THEN 'not created'
                WHEN coalesce(c.calls_since, 0) < 1 THEN 'no calls since'
                WHEN c.since_ms > c.before_ms * 1.1 AND c.since_ms - c.before_ms > 0.05 THEN 'regression'
                WHEN c.since_ms < c.before_ms * 0.9 THEN 'improved'
                ELSE 'unchanged' END,
           coalesce(c.built_at, c.kept_at), c.index_definition
      FROM changes c
     ORDER BY c.schema_name, c.table_name, c.index_definition, c.queryid;
END;
COMMENT ON FUNCTION @extschema@.check_index_suggestions() IS
'for each statement of each suggestion kept by keep_index_suggestions(): its mean time in ms before, since the index was found created (if that was not noted, since the suggestion was kept), and as forecast; verdict is improved, unchanged, regression (more than 10 percent and 0.05 ms slower), no calls since, or not created; changes nothing; needs pg_read_all_stats, pg_read_all_data or SELECT on steward.index_suggestion, and pg_stat_statements';
