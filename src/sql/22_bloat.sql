-- What a rewrite of a table would free; see src/storage/heap_bloat.c.

-- The method that was used is a column in the place where it is declared.
CREATE FUNCTION @extschema@.get_table_bloat(
    target regclass DEFAULT NULL,
    min_waste_bytes bigint DEFAULT 10485760,
    OUT schema_name text,
    OUT table_name text,
    OUT bloat_ratio double precision,
    OUT wasted_space text,
    OUT heap_bytes bigint,
    OUT wasted_bytes bigint,
    OUT wasted_bytes_low bigint,
    OUT wasted_bytes_high bigint,
    OUT toast_bytes bigint,
    OUT toast_wasted_bytes bigint,
    OUT toast_wasted_bytes_low bigint,
    OUT toast_wasted_bytes_high bigint,
    OUT waste_pct double precision,
    OUT dead_tuple_bytes bigint,
    OUT free_bytes bigint,
    OUT held_by_xmin_bytes bigint,
    OUT blocks_read bigint,
    INOUT method text DEFAULT 'sample',
    OUT reason text,
    OUT fix_sql text,
    IN sample_blocks integer DEFAULT 300)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE COST 100000 ROWS 100
AS 'MODULE_PATHNAME', 'pg_steward_table_bloat';
COMMENT ON FUNCTION @extschema@.get_table_bloat(regclass, bigint, text, integer) IS
'what a rewrite (VACUUM FULL, pg_repack) of a table, materialized view or partition would free now, partitioned tables summed over their tree, biggest waste first; bloat_ratio is the wasted share of heap and TOAST (0 to 1), waste_pct the same in percent, wasted_space the sum of both pretty; then bytes of the heap, wasted with a 95 % interval, the same of TOAST, bytes of removable dead rows, free bytes on pages, bytes of dead rows that an old transaction still holds (not counted as wasted); blocks_read of heap, TOAST and maps; reason why numbers are missing; fix_sql to consider. target NULL looks at all tables but system catalogs and hides what wastes less than min_waste_bytes. method sample reads about sample_blocks blocks at random, exact all of them (progress in pg_stat_progress_analyze), quick only the maps, without interval. Never queues for a lock. Tables of others need pg_stat_scan_tables (pg_monitor), else the row says so; anyone may call it';
