-- What the index advisor's parts think: internal, for tests and curiosity.

CREATE FUNCTION steward.index_candidates(
    query text,
    constants boolean DEFAULT false,
    OUT group_number integer,
    OUT table_name regclass,
    OUT definition text,
    OUT commands text,
    OUT estimated_bytes double precision,
    OUT cost_before double precision,
    OUT cost_with double precision,
    OUT full_cost_with double precision,
    OUT used boolean,
    OUT risks integer
)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE STRICT COST 10000 ROWS 20
AS 'MODULE_PATHNAME', 'pg_steward_index_candidates';
COMMENT ON FUNCTION steward.index_candidates(text, boolean) IS
'internal: indexes that might help one statement, with the planner''s cost of the statement without and with each group of them alone; superusers, unless granted';
REVOKE EXECUTE ON FUNCTION steward.index_candidates(text, boolean) FROM PUBLIC;

CREATE FUNCTION steward.index_model(
    index regclass,
    OUT definition text,
    OUT real_bytes double precision,
    OUT estimated_bytes double precision,
    OUT real_rows double precision,
    OUT estimated_rows double precision,
    OUT real_height integer,
    OUT estimated_height integer
)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE STRICT COST 10000 ROWS 1
AS 'MODULE_PATHNAME', 'pg_steward_index_model';
COMMENT ON FUNCTION steward.index_model(regclass) IS
'internal: size of an index in bytes, rows and levels above the leaves, beside those that the advisor would expect if it did not exist; superusers, unless granted';
REVOKE EXECUTE ON FUNCTION steward.index_model(regclass) FROM PUBLIC;

CREATE FUNCTION steward.index_whatif(
    query text,
    index regclass,
    OUT real_cost double precision,
    OUT cost_without double precision,
    OUT hypothetical_cost double precision,
    OUT real_used boolean,
    OUT hypothetical_used boolean
)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE STRICT COST 10000 ROWS 1
AS 'MODULE_PATHNAME', 'pg_steward_index_whatif';
COMMENT ON FUNCTION steward.index_whatif(text, regclass) IS
'internal: the planner''s cost of a statement with an index, without it, and with a hypothetical copy in its place; superusers, unless granted';
REVOKE EXECUTE ON FUNCTION steward.index_whatif(text, regclass) FROM PUBLIC;
