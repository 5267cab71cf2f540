-- What REINDEX would free; see index_bloat.c.

CREATE FUNCTION steward.index_bloat(
    indexes oid[],
    method text,
    sample_blocks integer,
    min_bytes bigint,
    bounded boolean,
    OUT index_oid oid,
    OUT index_bytes bigint,
    OUT wasted_bytes bigint,
    OUT wasted_bytes_low bigint,
    OUT wasted_bytes_high bigint,
    OUT deleted_page_bytes bigint,
    OUT dead_entry_bytes bigint,
    OUT held_by_xmin_bytes bigint,
    OUT blocks_read bigint,
    OUT method_used text,
    OUT reason text)
RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 100000 ROWS 100
AS 'MODULE_PATHNAME', 'pg_steward_index_bloat';
COMMENT ON FUNCTION steward.index_bloat(oid[], text, integer, bigint, boolean) IS
'internal: bytes that REINDEX would free of each of these indexes, those of one table next to each other; smaller ones than min_bytes are left out; bounded: reads at most pg_steward.bloat_max_blocks; numbers need pg_stat_scan_tables or ownership of the table; anyone may call it';
