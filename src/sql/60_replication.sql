-- How far standbys are behind.

CREATE FUNCTION @extschema@.get_replication_status(
    OUT role text,
    OUT application_name text,
    OUT client_addr inet,
    OUT state text,
    OUT sync_state text,
    OUT pending_bytes bigint,
    OUT write_bytes bigint,
    OUT flush_bytes bigint,
    OUT replay_bytes bigint,
    OUT bytes_behind bigint,
    OUT seconds_behind double precision,
    OUT write_lag_seconds double precision,
    OUT flush_lag_seconds double precision,
    OUT replay_lag_seconds double precision,
    OUT sent_lsn pg_lsn,
    OUT receive_lsn pg_lsn,
    OUT replay_lsn pg_lsn,
    OUT last_message_seconds double precision,
    OUT slot_name text,
    OUT pid integer)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED ROWS 5
BEGIN ATOMIC
    WITH position AS (
        -- the end of what this server could send
        SELECT CASE WHEN pg_is_in_recovery()
                    THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
                    ELSE pg_current_wal_lsn() END AS lsn),
    receiver AS (
        SELECT r.*,
               extract(epoch FROM clock_timestamp() - r.last_msg_receipt_time) AS silence,
               -- the server ends a silent connection after wal_receiver_timeout;
               -- when that is off, judge by its default
               CASE WHEN r.status = 'streaming'
                     AND clock_timestamp() - r.last_msg_receipt_time
                         < coalesce(nullif(current_setting('wal_receiver_timeout')::interval, '0'), '60 s')
                    THEN true ELSE false END AS connected
          FROM (SELECT true AS one) x
               LEFT JOIN pg_stat_wal_receiver r ON true
         WHERE pg_is_in_recovery()),
    standby AS (
        SELECT r.*,
               pg_last_wal_receive_lsn() AS received,
               pg_last_wal_replay_lsn() AS replayed,
               greatest(r.latest_end_lsn, pg_last_wal_receive_lsn()) AS known_end
          FROM receiver r),
    judged AS (
        SELECT s.*,
               s.replayed >= s.known_end
               -- WAL that ends with a page ends within a record that the
               -- primary is still writing, which nobody can replay yet: a
               -- commit is sent with all of its record
               OR (pg_wal_lsn_diff(s.known_end, '0/0') % current_setting('wal_block_size')::integer = 0
                   AND pg_wal_lsn_diff(s.known_end, s.replayed) < 2 * current_setting('wal_block_size')::integer
                   AND NOT pg_is_wal_replay_paused()
                   AND current_setting('recovery_min_apply_delay')::interval = '0') AS caught_up
          FROM standby s)
    SELECT CASE WHEN pg_is_in_recovery() THEN 'standby (sending)' ELSE 'primary' END,
           w.application_name, w.client_addr,
           coalesce(w.state, 'skipped: needs pg_read_all_stats'), w.sync_state,
           CASE WHEN w.sent_lsn >= p.lsn THEN 0
                ELSE pg_wal_lsn_diff(p.lsn, w.sent_lsn) END::bigint,
           pg_wal_lsn_diff(w.sent_lsn, w.write_lsn)::bigint,
           pg_wal_lsn_diff(w.write_lsn, w.flush_lsn)::bigint,
           pg_wal_lsn_diff(w.flush_lsn, w.replay_lsn)::bigint,
           CASE WHEN w.replay_lsn >= p.lsn THEN 0
                ELSE pg_wal_lsn_diff(p.lsn, w.replay_lsn) END::bigint,
           -- no measured lag and nothing missing: caught up and idle
           CASE WHEN w.replay_lsn IS NULL THEN NULL
                WHEN w.replay_lsn >= p.lsn THEN 0
                ELSE round(extract(epoch FROM w.replay_lag), 3)::float8 END,
           round(extract(epoch FROM w.write_lag), 3)::float8,
           round(extract(epoch FROM w.flush_lag), 3)::float8,
           round(extract(epoch FROM w.replay_lag), 3)::float8,
           w.sent_lsn, w.flush_lsn, w.replay_lsn,
           round(extract(epoch FROM clock_timestamp() - w.reply_time), 3)::float8,
           s.slot_name::text, w.pid
      FROM position p, pg_stat_replication w
           LEFT JOIN pg_replication_slots s ON s.active_pid = w.pid
    UNION ALL
    SELECT 'standby', NULL, NULL,
           CASE WHEN s.pid IS NULL AND EXISTS (SELECT FROM pg_settings g
                                                WHERE g.name = 'primary_conninfo' AND g.setting = '')
                THEN 'archive recovery'
                WHEN s.pid IS NULL THEN 'disconnected'
                WHEN s.status IS NULL THEN 'skipped: needs pg_read_all_stats'
                WHEN s.connected THEN 'streaming'
                ELSE 'disconnected' END,
           NULL, NULL, NULL, NULL,
           -- replay may be ahead of what was received: from the archive
           CASE WHEN s.replayed >= s.received THEN 0
                ELSE pg_wal_lsn_diff(s.received, s.replayed) END::bigint,
           CASE WHEN NOT s.connected THEN NULL
                WHEN s.replayed >= s.known_end THEN 0
                ELSE pg_wal_lsn_diff(s.known_end, s.replayed) END::bigint,
           CASE WHEN NOT s.connected THEN NULL
                WHEN s.caught_up THEN 0
                ELSE round(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 3)::float8 END,
           NULL, NULL, NULL,
           NULL, s.received, s.replayed,
           round(s.silence, 3)::float8, s.slot_name, s.pid
      FROM judged s;
END;
COMMENT ON FUNCTION @extschema@.get_replication_status() IS
'one row for each standby or other receiver connected to this server, and one for this server if it is a standby; bytes not yet sent (pending), sent but not written, written but not flushed, flushed but not replayed, and in all (bytes_behind); seconds_behind is 0 when caught up, on a standby only while the connection is alive, and null with state disconnected when it is not (archive recovery if it has no primary to connect to); on a standby that is catching up it is an upper bound; details of others'' connections need pg_read_all_stats';
