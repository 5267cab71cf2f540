-- When tables were and will be vacuumed and analyzed.

CREATE FUNCTION steward.storage_option(
    options text[],
    toast_owner_options text[],
    name text)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT split_part(o, '=', 2)
      FROM unnest(coalesce(options, toast_owner_options)) o
     WHERE split_part(o, '=', 1) = name;
END;
COMMENT ON FUNCTION steward.storage_option(text[], text[], text) IS
'internal: value of a storage parameter, null when it is not set; a TOAST table without any of its own uses those of its owner, as autovacuum does; anyone may call it';

CREATE FUNCTION @extschema@.get_vacuum_status(
    limit_count integer DEFAULT NULL,
    OUT schema_name text,
    OUT table_name text,
    OUT kind text,
    OUT live_rows bigint,
    OUT dead_rows bigint,
    OUT dead_pct double precision,
    OUT rows_until_autovacuum bigint,
    OUT rows_until_autoanalyze bigint,
    OUT last_vacuum timestamptz,
    OUT last_autovacuum timestamptz,
    OUT last_analyze timestamptz,
    OUT last_autoanalyze timestamptz,
    OUT autovacuum text,
    OUT running text,
    OUT inserted_since_vacuum bigint,
    OUT changed_since_analyze bigint,
    OUT vacuum_threshold_rows bigint,
    OUT insert_threshold_rows bigint,
    OUT analyze_threshold_rows bigint,
    OUT xid_age bigint,
    OUT xid_age_limit bigint,
    OUT mxid_age bigint,
    OUT mxid_age_limit bigint)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED COST 10000 ROWS 100
BEGIN ATOMIC
    WITH tab AS (
        SELECT s.relid, coalesce(o.oid, c.oid) AS shown, c.relkind, c.relpages, c.relfrozenxid, c.relminmxid,
               greatest(c.reltuples, 0)::float8 AS reltuples,
               s.n_live_tup, s.n_dead_tup, s.n_ins_since_vacuum, s.n_mod_since_analyze,
               s.last_vacuum, s.last_autovacuum, s.last_analyze, s.last_autoanalyze,
               -- A parameter set to a negative value means the server's setting.  The
               -- server reads whole numbers as it reads others, and rounds them.
               coalesce(nullif(greatest(round(steward.storage_option(c.reloptions, o.reloptions, 'autovacuum_vacuum_threshold')::float8), -1), -1),
                        current_setting('autovacuum_vacuum_threshold')::float8) AS vacuum_base,
               coalesce(nullif(greatest(steward.storage_option(c.reloptions, o.reloptions, 'autovacuum_vacuum_scale_factor')::float8, -1), -1),
                        current_setting('autovacuum_vacuum_scale_factor')::float8) AS vacuum_scale,
               -- for these two -1 is a value of its own: no limit, never
               coalesce(round(steward.storage_option(c.reloptions, o.reloptions, 'autovacuum_vacuum_max_threshold')::float8),
                        current_setting('autovacuum_vacuum_max_threshold', true)::float8, -1) AS vacuum_max,
               coalesce(round(steward.storage_option(c.reloptions, o.reloptions, 'autovacuum_vacuum_insert_threshold')::float8),
                        current_setting('autovacuum_vacuum_insert_threshold')::float8) AS insert_base,
               coalesce(nullif(greatest(steward.storage_option(c.reloptions, o.reloptions, 'autovacuum_vacuum_insert_scale_factor')::float8, -1), -1),
                        current_setting('autovacuum_vacuum_insert_scale_factor')::float8) AS insert_scale,
               coalesce(nullif(greatest(round(steward.storage_option(c.reloptions, o.reloptions, 'autovacuum_analyze_threshold')::float8), -1), -1),
                        current_setting('autovacuum_analyze_threshold')::float8) AS analyze_base,
               coalesce(nullif(greatest(steward.storage_option(c.reloptions, o.reloptions, 'autovacuum_analyze_scale_factor')::float8, -1), -1),
                        current_setting('autovacuum_analyze_scale_factor')::float8) AS analyze_scale,
               -- a table may lower the limits on its age, not raise them
               least(steward.storage_option(c.reloptions, o.reloptions, 'autovacuum_freeze_max_age')::float8::bigint,
                     current_setting('autovacuum_freeze_max_age')::bigint) AS xid_age_limit,
               least(steward.storage_option(c.reloptions, o.reloptions, 'autovacuum_multixact_freeze_max_age')::float8::bigint,
                     current_setting('autovacuum_multixact_freeze_max_age')::bigint) AS mxid_age_limit,
               -- since 18 only the part that is not frozen counts for inserts
               CASE WHEN current_setting('server_version_num')::integer >= 180000 AND c.relpages > 0
                    THEN 1 - least((to_jsonb(c) ->> 'relallfrozen')::float8 / c.relpages, 1)
                    ELSE 1 END AS unfrozen,
               CASE WHEN NOT current_setting('autovacuum')::boolean
                         OR NOT current_setting('track_counts')::boolean THEN 'off for the server'
                    WHEN NOT coalesce(steward.storage_option(c.reloptions, o.reloptions, 'autovacuum_enabled')::boolean, true)
                    THEN 'off for the table'
                    ELSE 'on' END AS autovacuum
          FROM pg_stat_all_tables s
               JOIN pg_class c ON c.oid = s.relid
               LEFT JOIN pg_class o ON c.relkind = 't' AND o.reltoastrelid = c.oid
               JOIN pg_namespace n ON n.oid = coalesce(o.relnamespace, c.relnamespace)
         WHERE c.relkind IN ('r', 'm', 't')
           AND c.relpersistence <> 't'
           AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')),
    threshold AS (
        SELECT t.*,
               CASE WHEN t.vacuum_max >= 0
                    THEN least(t.vacuum_base + t.vacuum_scale * t.reltuples, t.vacuum_max)
                    ELSE t.vacuum_base + t.vacuum_scale * t.reltuples END AS vacuum_at,
               CASE WHEN t.insert_base >= 0
                    THEN t.insert_base + t.insert_scale * t.reltuples * t.unfrozen END AS insert_at,
               CASE WHEN t.relkind <> 't'
                    THEN t.analyze_base + t.analyze_scale * t.reltuples END AS analyze_at,
               CASE WHEN t.relfrozenxid <> '0' THEN age(t.relfrozenxid)::bigint END AS xid_age,
               CASE WHEN t.relminmxid <> '0' THEN mxid_age(t.relminmxid)::bigint END AS mxid_age
          FROM tab t),
    -- autovacuum acts when the counter is above the threshold
    due AS (
        SELECT t.*,
               CASE WHEN t.xid_age > t.xid_age_limit OR t.mxid_age > t.mxid_age_limit THEN 0
                    WHEN t.autovacuum = 'on'
                    THEN greatest(least(floor(t.vacuum_at) + 1 - t.n_dead_tup,
                                        floor(t.insert_at) + 1 - t.n_ins_since_vacuum), 0)
               END AS until_vacuum,
               CASE WHEN t.autovacuum = 'on' AND t.analyze_at IS NOT NULL
                    THEN greatest(floor(t.analyze_at) + 1 - t.n_mod_since_analyze, 0)
               END AS until_analyze
          FROM threshold t)
    SELECT n.nspname::text, c.relname::text,
           CASE d.relkind WHEN 'm' THEN 'materialized view' WHEN 't' THEN 'TOAST' ELSE 'table' END,
           d.n_live_tup, d.n_dead_tup,
           round(100.0 * d.n_dead_tup / nullif(d.n_live_tup + d.n_dead_tup, 0), 2)::float8,
           d.until_vacuum::bigint, d.until_analyze::bigint,
           d.last_vacuum, d.last_autovacuum, d.last_analyze, d.last_autoanalyze,
           d.autovacuum, p.phase,
           d.n_ins_since_vacuum, d.n_mod_since_analyze,
           floor(d.vacuum_at)::bigint, floor(d.insert_at)::bigint, floor(d.analyze_at)::bigint,
           d.xid_age, d.xid_age_limit, d.mxid_age, d.mxid_age_limit
      FROM due d
           JOIN pg_class c ON c.oid = d.shown
           JOIN pg_namespace n ON n.oid = c.relnamespace
           LEFT JOIN pg_stat_progress_vacuum p ON p.relid = d.relid AND p.datname = current_database()
     ORDER BY d.n_dead_tup DESC, d.n_live_tup DESC, n.nspname, c.relname, d.relkind
     LIMIT steward.check_limit(limit_count);
END;
COMMENT ON FUNCTION @extschema@.get_vacuum_status(integer) IS
'tables, materialized views and TOAST (under their table''s name) of this database, most dead rows first: when they were last vacuumed and analyzed by hand and by autovacuum, the thresholds in force for each (settings, storage parameters, the maximum of PostgreSQL 18), and how many more rows must die or be inserted before autovacuum acts: 0 is due now, null is never; running is the phase of a vacuum at work; ages in transactions; anyone may call it';
