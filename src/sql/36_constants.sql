-- Constants that were sampled for index advice.

CREATE FUNCTION @extschema@.reset_sampled_constants()
RETURNS bigint
LANGUAGE C VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'pg_steward_reset_constants';
COMMENT ON FUNCTION @extschema@.reset_sampled_constants() IS
'forgets the constants and parameter values that pg_steward.sample_constants has collected, of all databases, and returns the number of statements concerned; superusers only, unless granted; needs pg_steward in shared_preload_libraries';
REVOKE EXECUTE ON FUNCTION @extschema@.reset_sampled_constants() FROM PUBLIC;

CREATE FUNCTION @extschema@.get_sampled_constants_state(
    OUT statements bigint,
    OUT samples bigint,
    OUT used_bytes bigint,
    OUT total_bytes bigint,
    OUT evictions bigint)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL SAFE COST 1000 ROWS 1
AS 'MODULE_PATHNAME', 'pg_steward_constants_state';
COMMENT ON FUNCTION @extschema@.get_sampled_constants_state() IS
'one row: of how many statements, in all databases, constants were sampled because of pg_steward.sample_constants, how many samples there are (up to 3 sets of constants and 3 of parameter values for each), the shared memory that they take and that there is for them, and how often a statement had to make room; constants themselves are shown to nobody; anyone may call it; needs pg_steward in shared_preload_libraries';
