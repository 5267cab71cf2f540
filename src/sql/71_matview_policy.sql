-- Materialized views that refresh themselves: policies, state, history.

CREATE FUNCTION steward.cron_next(cron text, time_zone text, after timestamptz)
RETURNS timestamptz
LANGUAGE C STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'pg_steward_cron_next';
COMMENT ON FUNCTION steward.cron_next(text, text, timestamptz) IS
'the first time after "after" that a schedule in cron syntax names in a time zone, an error if it is not one; anyone may call it';

CREATE FUNCTION steward.is_cron(cron text)
RETURNS boolean
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'pg_steward_is_cron';
COMMENT ON FUNCTION steward.is_cron(text) IS
'internal: true, or an error that says what is wrong with a schedule in cron syntax; anyone may call it';

-- A dump has to survive views that it does not contain, or creates only after
-- the data: so the view is stored as a number, which a dump does not check,
-- and by its name, from which the trigger finds the number again.
CREATE TABLE steward.matview_policy (
    matview oid UNIQUE,
    matview_name text NOT NULL,
    every interval CHECK (every BETWEEN '1 s' AND '3650 days'),
    cron text CHECK (steward.is_cron(cron)),
    time_zone text CHECK ((time_zone IS NULL) = (cron IS NULL) AND length(time_zone) < 64),
    target_lag interval CHECK (target_lag BETWEEN '1 s' AND '3650 days'),
    downstream boolean NOT NULL,
    on_change_debounce interval CHECK (on_change_debounce BETWEEN '1 s' AND '3650 days'),
    method text NOT NULL CHECK (method IN ('auto', 'diff', 'plain', 'concurrently', 'swap')),
    yield_after interval CHECK (yield_after BETWEEN '0' AND '3650 days'),
    max_runtime interval CHECK (max_runtime > '0' AND max_runtime <= '3650 days'),
    assume_deterministic boolean NOT NULL,
    on_upstream_error text NOT NULL CHECK (on_upstream_error IN ('wait', 'continue')),
    paused boolean NOT NULL,
    created timestamptz NOT NULL,
    CONSTRAINT matview_policy_one_schedule
        CHECK (num_nonnulls(every, cron, target_lag, on_change_debounce) + downstream::int = 1));
SELECT pg_catalog.pg_extension_config_dump('steward.matview_policy', '');
COMMENT ON TABLE steward.matview_policy IS
'which materialized views are refreshed when, one row a view; written by schedule_matview_refresh() and its like; superusers may read it, all others see get_matview_status()';
COMMENT ON COLUMN steward.matview_policy.matview IS 'the materialized view; null: not there yet after a restore';
COMMENT ON COLUMN steward.matview_policy.matview_name IS 'its name with the schema, by which a restored database finds it';
COMMENT ON COLUMN steward.matview_policy.every IS 'schedule: time between two starts';
COMMENT ON COLUMN steward.matview_policy.cron IS 'schedule: five fields of cron';
COMMENT ON COLUMN steward.matview_policy.time_zone IS 'time zone of cron';
COMMENT ON COLUMN steward.matview_policy.target_lag IS 'schedule: how old the content may be';
COMMENT ON COLUMN steward.matview_policy.downstream IS 'schedule: when views that read this one are refreshed';
COMMENT ON COLUMN steward.matview_policy.on_change_debounce IS 'schedule: so long after a change';
COMMENT ON COLUMN steward.matview_policy.method IS 'auto, diff, plain, concurrently or swap';
COMMENT ON COLUMN steward.matview_policy.yield_after IS
'a refresh that others wait for so long gives way; 0: never; null: pg_steward.refresh_yield_after';
COMMENT ON COLUMN steward.matview_policy.max_runtime IS 'a refresh that takes longer is cancelled; null: no limit';
COMMENT ON COLUMN steward.matview_policy.assume_deterministic IS
'functions in the view are taken for ones whose results change with the tables only';
COMMENT ON COLUMN steward.matview_policy.on_upstream_error IS
'when a view that this one reads could not be refreshed: wait for it, or continue with its old content';
COMMENT ON COLUMN steward.matview_policy.paused IS 'not refreshed until resumed';
COMMENT ON COLUMN steward.matview_policy.created IS 'when it was scheduled';

CREATE FUNCTION steward.find_policy_view()
RETURNS trigger
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'pg_steward_find_policy_view';
COMMENT ON FUNCTION steward.find_policy_view() IS
'internal: trigger that finds the view of a new policy by its name; only for superusers, as the trigger of a table';

CREATE FUNCTION steward.policy_changed()
RETURNS trigger
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'pg_steward_policy_changed';
COMMENT ON FUNCTION steward.policy_changed() IS
'internal: trigger that tells the background worker of changed policies; only for superusers, as the trigger of a table';

CREATE TRIGGER find_view BEFORE INSERT ON steward.matview_policy
    FOR EACH ROW EXECUTE FUNCTION steward.find_policy_view();
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON steward.matview_policy
    FOR EACH STATEMENT EXECUTE FUNCTION steward.policy_changed();

CREATE TABLE steward.matview_state (
    matview regclass PRIMARY KEY,
    last_ok timestamptz,
    last_attempt timestamptz,
    last_method text,
    last_duration_ms double precision,
    typical_duration_ms double precision,
    last_rows_changed bigint,
    delta_ratio double precision,
    last_wal_bytes bigint,
    consecutive_failures integer NOT NULL DEFAULT 0,
    crash_count integer NOT NULL DEFAULT 0,
    last_error text,
    last_sqlstate text,
    not_before timestamptz,
    suspended text CHECK (suspended IN ('suspended', 'quarantined')),
    running_since timestamptz,
    skips bigint NOT NULL DEFAULT 0)
    WITH (fillfactor = 50);
-- belongs to this server's past: nothing of it is dumped
SELECT pg_catalog.pg_extension_config_dump('steward.matview_state', 'WHERE false');
COMMENT ON TABLE steward.matview_state IS
'the latest refresh of materialized views that have a policy, written by the background worker; not dumped; superusers may read it, all others see get_matview_status()';
COMMENT ON COLUMN steward.matview_state.matview IS 'the materialized view';
COMMENT ON COLUMN steward.matview_state.last_ok IS 'when the latest good refresh started';
COMMENT ON COLUMN steward.matview_state.last_attempt IS 'when the latest refresh started, good or not';
COMMENT ON COLUMN steward.matview_state.last_method IS 'method of the latest good refresh';
COMMENT ON COLUMN steward.matview_state.last_duration_ms IS 'its duration in ms';
COMMENT ON COLUMN steward.matview_state.typical_duration_ms IS 'duration in ms that nine of ten of the latest 20 good refreshes kept';
COMMENT ON COLUMN steward.matview_state.last_rows_changed IS 'rows that the latest good refresh inserted, deleted and updated; null: not known';
COMMENT ON COLUMN steward.matview_state.delta_ratio IS 'share of rows that refreshes change, 0 to 1, an average in which the latest counts most';
COMMENT ON COLUMN steward.matview_state.last_wal_bytes IS 'WAL that the latest good refresh wrote, in bytes';
COMMENT ON COLUMN steward.matview_state.consecutive_failures IS 'failures since the latest good refresh';
COMMENT ON COLUMN steward.matview_state.crash_count IS 'how often the server crashed during its refresh, since a good one';
COMMENT ON COLUMN steward.matview_state.last_error IS 'message of the latest failure, null after a good refresh';
COMMENT ON COLUMN steward.matview_state.last_sqlstate IS 'its SQLSTATE';
COMMENT ON COLUMN steward.matview_state.not_before IS 'when it is tried again';
COMMENT ON COLUMN steward.matview_state.suspended IS 'suspended after failures or quarantined after crashes, until resumed; else null';
COMMENT ON COLUMN steward.matview_state.running_since IS 'start of the refresh that is running';
COMMENT ON COLUMN steward.matview_state.skips IS 'refreshes since the latest good one that were not needed';

CREATE TABLE steward.matview_refresh_history (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    matview regclass NOT NULL,
    started timestamptz NOT NULL,
    finished timestamptz NOT NULL,
    method text,
    outcome text NOT NULL,
    rows_inserted bigint,
    rows_deleted bigint,
    rows_updated bigint,
    wal_bytes bigint,
    temp_bytes bigint,
    cpu_ms double precision,
    duration_ms double precision NOT NULL,
    sqlstate text,
    error text);
CREATE INDEX matview_refresh_history_matview_id_idx ON steward.matview_refresh_history (matview, id);
CREATE INDEX matview_refresh_history_finished_idx ON steward.matview_refresh_history (finished);
SELECT pg_catalog.pg_extension_config_dump('steward.matview_refresh_history', 'WHERE false');
COMMENT ON TABLE steward.matview_refresh_history IS
'refreshes by the background worker, kept for pg_steward.refresh_history_retention days, at most 10000 rows or so a view; not dumped; superusers may read it';
COMMENT ON SEQUENCE steward.matview_refresh_history_id_seq IS 'numbers of steward.matview_refresh_history';
COMMENT ON COLUMN steward.matview_refresh_history.id IS 'number of the row';
COMMENT ON COLUMN steward.matview_refresh_history.matview IS 'the materialized view; a number if it was dropped since';
COMMENT ON COLUMN steward.matview_refresh_history.started IS 'when the refresh started';
COMMENT ON COLUMN steward.matview_refresh_history.finished IS 'when it ended';
COMMENT ON COLUMN steward.matview_refresh_history.method IS 'how it was refreshed, null if it did not come to that';
COMMENT ON COLUMN steward.matview_refresh_history.outcome IS
'ok; verified_equal: nothing differed; failed; yielded: others waited for it; cancelled; crashed';
COMMENT ON COLUMN steward.matview_refresh_history.rows_inserted IS 'rows inserted, null: not known';
COMMENT ON COLUMN steward.matview_refresh_history.rows_deleted IS 'rows deleted, null: not known';
COMMENT ON COLUMN steward.matview_refresh_history.rows_updated IS 'rows updated, null: not known';
COMMENT ON COLUMN steward.matview_refresh_history.wal_bytes IS 'WAL written, in bytes';
COMMENT ON COLUMN steward.matview_refresh_history.temp_bytes IS 'temporary files written, in bytes';
COMMENT ON COLUMN steward.matview_refresh_history.cpu_ms IS 'processor time of the worker, in ms';
COMMENT ON COLUMN steward.matview_refresh_history.duration_ms IS 'duration in ms';
COMMENT ON COLUMN steward.matview_refresh_history.sqlstate IS 'SQLSTATE of a failure';
COMMENT ON COLUMN steward.matview_refresh_history.error IS 'message of a failure';

CREATE FUNCTION @extschema@.schedule_matview_refresh(
    matview regclass,
    every interval DEFAULT NULL,
    cron text DEFAULT NULL,
    time_zone text DEFAULT NULL,
    target_lag interval DEFAULT NULL,
    downstream boolean DEFAULT false,
    on_change_debounce interval DEFAULT NULL,
    method text DEFAULT 'auto',
    yield_after interval DEFAULT NULL,
    max_runtime interval DEFAULT NULL,
    assume_deterministic boolean DEFAULT false,
    on_upstream_error text DEFAULT 'wait',
    paused boolean DEFAULT false)
RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'pg_steward_schedule_matview_refresh';
COMMENT ON FUNCTION @extschema@.schedule_matview_refresh(regclass, interval, text, text, interval, boolean, interval, text, interval, interval, boolean, text, boolean) IS
'has the background worker refresh a materialized view by one kind of schedule: "every" so long, by "cron" (five fields, in "time_zone" or that of the session), whenever its content would get older than "target_lag", "downstream": as the views that read it need it, or "on_change_debounce" after a change; a view whose tables did not change is not refreshed; an error if it has a schedule; only for the owner of the view and, from PostgreSQL 17, for who has MAINTAIN on it: others may call it in vain';

CREATE FUNCTION @extschema@.alter_matview_refresh(
    matview regclass,
    every interval DEFAULT NULL,
    cron text DEFAULT NULL,
    time_zone text DEFAULT NULL,
    target_lag interval DEFAULT NULL,
    downstream boolean DEFAULT NULL,
    on_change_debounce interval DEFAULT NULL,
    method text DEFAULT NULL,
    yield_after interval DEFAULT NULL,
    max_runtime interval DEFAULT NULL,
    assume_deterministic boolean DEFAULT NULL,
    on_upstream_error text DEFAULT NULL,
    paused boolean DEFAULT NULL)
RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'pg_steward_alter_matview_refresh';
COMMENT ON FUNCTION @extschema@.alter_matview_refresh(regclass, interval, text, text, interval, boolean, interval, text, interval, interval, boolean, text, boolean) IS
'changes how a materialized view is refreshed: what is null stays, a schedule replaces the one it had; only for the owner of the view and, from PostgreSQL 17, for who has MAINTAIN on it: others may call it in vain';

CREATE FUNCTION @extschema@.unschedule_matview_refresh(matview regclass)
RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'pg_steward_unschedule_matview_refresh';
COMMENT ON FUNCTION @extschema@.unschedule_matview_refresh(regclass) IS
'ends the scheduled refreshes of a materialized view; only for the owner of the view and, from PostgreSQL 17, for who has MAINTAIN on it: others may call it in vain';

CREATE FUNCTION @extschema@.pause_matview_refresh(matview regclass DEFAULT NULL)
RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'pg_steward_pause_matview_refresh';
COMMENT ON FUNCTION @extschema@.pause_matview_refresh(regclass) IS
'stops scheduled refreshes of a materialized view, or of all that the caller may refresh, until resumed, and returns their number; only for the owner of the view and, from PostgreSQL 17, for who has MAINTAIN on it: others may call it in vain';

CREATE FUNCTION @extschema@.resume_matview_refresh(matview regclass DEFAULT NULL)
RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'pg_steward_resume_matview_refresh';
COMMENT ON FUNCTION @extschema@.resume_matview_refresh(regclass) IS
'refreshes a materialized view, or all that the caller may refresh, by their schedules again, whether they were paused by users, suspended after failures or quarantined after crashes, and returns their number; only for the owner of the view and, from PostgreSQL 17, for who has MAINTAIN on it: others may call it in vain';

CREATE FUNCTION @extschema@.get_matview_status(
    OUT schema_name text,
    OUT matview_name text,
    OUT policy text,
    OUT state text,
    OUT stale_since timestamptz,
    OUT last_ok timestamptz,
    OUT last_duration_ms double precision,
    OUT last_method text,
    OUT rows_changed bigint,
    OUT wal_bytes bigint,
    OUT skips bigint,
    OUT next_due timestamptz,
    OUT overdue_seconds double precision,
    OUT consecutive_failures integer,
    OUT last_sqlstate text,
    OUT last_error text,
    OUT reason text)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 10000 ROWS 20
AS 'MODULE_PATHNAME', 'pg_steward_get_matview_status';
COMMENT ON FUNCTION @extschema@.get_matview_status() IS
'one row for each materialized view: its schedule and whether that is paused, suspended, quarantined, queued or running; state is fresh (what its query would return), stale (since when it is known), unknown (reason says why) or never_populated; the latest good refresh: start, duration in ms, method, rows changed, WAL in bytes, and refreshes since that were not needed; when the next one is due, and for how many seconds already; failures since, and the latest; null: no policy or not known; anyone may call it, errors and reasons of views that the caller may not refresh need pg_read_all_stats';

CREATE FUNCTION @extschema@.get_matview_refresh_history(
    matview regclass DEFAULT NULL,
    limit_count integer DEFAULT 100,
    OUT schema_name text,
    OUT matview_name text,
    OUT started timestamptz,
    OUT finished timestamptz,
    OUT method text,
    OUT outcome text,
    OUT duration_ms double precision,
    OUT rows_inserted bigint,
    OUT rows_deleted bigint,
    OUT rows_updated bigint,
    OUT wal_bytes bigint,
    OUT temp_bytes bigint,
    OUT cpu_ms double precision,
    OUT sqlstate text,
    OUT error text)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 1000 ROWS 100
AS 'MODULE_PATHNAME', 'pg_steward_get_matview_refresh_history';
COMMENT ON FUNCTION @extschema@.get_matview_refresh_history(regclass, integer) IS
'refreshes by the background worker, of one materialized view or all, latest first: when, how, how it ended (ok; verified_equal: nothing differed; failed; yielded: others waited for it; cancelled; crashed), durations in ms, sizes in bytes; null: not known; anyone may call it, errors of views that the caller may not refresh need pg_read_all_stats';
