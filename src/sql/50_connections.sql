-- Who is connected and what they do.

CREATE FUNCTION steward.forget_activity()
RETURNS void
LANGUAGE C VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'pg_steward_forget_activity';
COMMENT ON FUNCTION steward.forget_activity() IS
'internal: forget the snapshot of pg_stat_activity that the server keeps until the end of the transaction, so that the next look is a fresh one; anyone may call it';

CREATE FUNCTION @extschema@.get_active_connections(
    include_self boolean DEFAULT false,
    OUT database_name text,
    OUT username text,
    OUT application_name text,
    OUT client_addr inet,
    OUT state text,
    OUT query text,
    OUT duration interval,
    OUT duration_seconds double precision,
    OUT xact_seconds double precision,
    OUT connected_seconds double precision,
    OUT wait_event_type text,
    OUT wait_event text,
    OUT pid integer,
    OUT blocked_by integer[])
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED ROWS 50
BEGIN ATOMIC
    SELECT steward.forget_activity();
    WITH client AS (
        SELECT a.*, clock_timestamp() AS now, a.pid = pg_backend_pid() AS is_self
          FROM pg_stat_activity a
         WHERE a.backend_type = 'client backend'
            -- the server hides the type of other roles' processes from
            -- unprivileged callers; only clients have a database and a role,
            -- and the parallel workers that work for them
            OR (a.backend_type IS NULL AND a.datid IS NOT NULL AND a.usesysid IS NOT NULL)),
    timed AS (
        -- time in the current state; the call of this function is no slow query
        SELECT c.*,
               CASE WHEN c.is_self THEN NULL
                    WHEN c.state IN ('active', 'fastpath function call') THEN c.now - c.query_start
                    ELSE c.now - c.state_change
               END AS in_state,
               CASE WHEN NOT c.is_self THEN c.now - c.xact_start END AS in_xact,
               c.now - c.backend_start AS connected
          FROM client c
         WHERE include_self OR NOT c.is_self)
    SELECT t.datname::text, t.usename::text, t.application_name, t.client_addr,
           CASE WHEN t.backend_type IS NULL THEN 'skipped: needs pg_read_all_stats'
                ELSE t.state END,
           t.query,
           date_trunc('milliseconds', t.in_state),
           round(extract(epoch FROM t.in_state), 3)::float8,
           round(extract(epoch FROM t.in_xact), 3)::float8,
           round(extract(epoch FROM t.connected), 3)::float8,
           t.wait_event_type, t.wait_event, t.pid,
           CASE WHEN t.wait_event_type = 'Lock' THEN pg_blocking_pids(t.pid) END
      FROM timed t
     ORDER BY CASE WHEN t.state IN ('active', 'fastpath function call') THEN 1
                   WHEN t.state LIKE 'idle in transaction%' THEN 2
                   WHEN t.state = 'idle' THEN 3
                   ELSE 4 END,
              t.in_state DESC NULLS LAST, t.pid;
END;
COMMENT ON FUNCTION @extschema@.get_active_connections(boolean) IS
'client connections of all databases, working ones first, longest first; duration is the time in the current state: since the statement began for active ones, since the last one ended otherwise; blocked_by are the processes whose locks a waiting one waits for (0 stands for a prepared transaction); the caller''s own connection is left out unless include_self is true, and then has no duration; anyone may call it, other roles'' activity needs pg_read_all_stats';
