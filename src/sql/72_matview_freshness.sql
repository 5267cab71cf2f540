-- What is known about changes of materialized views.  Internal.

CREATE FUNCTION steward.matview_freshness(
    matview regclass,
    assume_deterministic boolean DEFAULT false,
    OUT state text,
    OUT reason text,
    OUT stale_since timestamptz,
    OUT peeked text,
    OUT recheck boolean,
    OUT mark bigint)
RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 1000 ROWS 1
AS 'MODULE_PATHNAME', 'pg_steward_matview_freshness';
COMMENT ON FUNCTION steward.matview_freshness(regclass, boolean) IS
'internal: whether a materialized view holds what its query would return (fresh, stale, unknown, never_populated), why not, and since when that is known; "peeked" is what shared memory alone says, "recheck" whether catalogs must be read to be sure, "mark" a number that each refresh by pg_steward changes; uncommitted changes do not count, also those of the caller; anybody may call it';

CREATE FUNCTION steward.matview_definition(
    matview regclass,
    assume_deterministic boolean DEFAULT false,
    OUT signature bigint,
    OUT obstacle text,
    OUT depends_on_settings boolean)
RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 1000 ROWS 1
AS 'MODULE_PATHNAME', 'pg_steward_matview_definition';
COMMENT ON FUNCTION steward.matview_definition(regclass, boolean) IS
'internal: a number that changes when the result of a materialized view may change though no row does, why its changes cannot be followed, if so, as a phrase after "because", and whether it depends on settings such as TimeZone; anybody may call it';

CREATE FUNCTION steward.matview_sources(
    matview regclass,
    OUT kind text,
    OUT relation regclass)
RETURNS SETOF record
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 1000 ROWS 10
AS 'MODULE_PATHNAME', 'pg_steward_matview_sources';
COMMENT ON FUNCTION steward.matview_sources(regclass) IS
'internal: the tables, with partitions and children, and materialized views that a materialized view reads, and the views and partitioned tables on the way, which have kind "view"; anybody may call it';
