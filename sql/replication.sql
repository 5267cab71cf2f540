-- get_replication_status() on a server without standbys; the rest is in
-- test/t/020_standby.pl.
SELECT count(*) FROM get_replication_status();
