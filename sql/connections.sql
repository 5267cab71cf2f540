-- get_active_connections(): client connections only, and not the caller's.
SELECT count(*) FROM get_active_connections() WHERE pid = pg_backend_pid();
SELECT database_name = current_database() AS here, username = current_user AS me, state,
       query ~ 'get_active_connections' AS this_query,
       duration, duration_seconds, xact_seconds, connected_seconds >= 0 AS connected
  FROM get_active_connections(include_self => true) WHERE pid = pg_backend_pid();

-- background processes never appear
SELECT count(*) FROM get_active_connections(true) c JOIN pg_stat_activity a USING (pid)
 WHERE a.backend_type <> 'client backend';
SELECT count(*) > 3 AS there_are_some FROM pg_stat_activity WHERE backend_type <> 'client backend';
