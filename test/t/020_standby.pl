# Reports on a primary, on its standby, and while the link between them dies.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_stat_statements,pg_steward'
autovacuum = off
wal_receiver_status_interval = '1s'
});
$primary->start;
$primary->safe_psql('postgres', q{
	CREATE EXTENSION pg_steward CASCADE;
	CREATE ROLE steward_nobody LOGIN;
	CREATE ROLE stats LOGIN IN ROLE pg_read_all_stats;
	CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 1000) g;
	CREATE UNLOGGED TABLE u AS SELECT g AS id FROM generate_series(1, 1000) g});
$primary->safe_psql('postgres', q{SELECT pg_create_physical_replication_slot('slot_1')});
is($primary->safe_psql('postgres', 'SELECT count(*) FROM get_replication_status()'),
	'0', 'no row without standbys');

$primary->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby_1');
$standby->init_from_backup($primary, 'b', has_streaming => 1);
$standby->append_conf('postgresql.conf', q{primary_slot_name = 'slot_1'});
$standby->start;
$primary->safe_psql('postgres', 'INSERT INTO t VALUES (0)');
$primary->wait_for_catchup($standby);

# wait for a query on a node to return true
sub wait_true
{
	my ($node, $query, $name) = @_;
	ok($node->poll_query_until('postgres', $query), $name);
}

# Caught up and idle: nothing behind, in bytes and in seconds, on both sides.
wait_true(
	$primary, q{
	SELECT count(*) = 1 AND bool_and(role = 'primary' AND application_name = 'standby_1'
	       AND state = 'streaming' AND sync_state = 'async' AND slot_name = 'slot_1'
	       AND pending_bytes = 0 AND write_bytes = 0 AND flush_bytes = 0 AND replay_bytes = 0
	       AND bytes_behind = 0 AND seconds_behind = 0 AND pid > 0)
	  FROM get_replication_status()}, 'primary: caught up');
wait_true(
	$standby, q{
	SELECT count(*) = 1 AND bool_and(role = 'standby' AND state = 'streaming'
	       AND bytes_behind = 0 AND seconds_behind = 0 AND slot_name = 'slot_1'
	       AND receive_lsn = replay_lsn AND last_message_seconds < 60)
	  FROM get_replication_status()}, 'standby: caught up and connected');

is( $primary->safe_psql(
		'postgres',
		q{SELECT (SELECT count(*) FROM pg_stat_activity WHERE application_name = 'standby_1'),
		         (SELECT count(*) FROM get_active_connections() WHERE application_name = 'standby_1')}),
	'1|0', 'a walsender is no client connection');

# Replay stands still: behind, on both sides.
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
wait_true($standby, q{SELECT pg_get_wal_replay_pause_state() = 'paused'}, 'replay paused');
$primary->safe_psql('postgres', 'INSERT INTO t SELECT generate_series(1, 1000)');
wait_true(
	$primary, q{
	SELECT bool_and(pending_bytes = 0 AND replay_bytes > 50000 AND bytes_behind >= replay_bytes)
	  FROM get_replication_status()}, 'primary: bytes flushed but not replayed');
wait_true(
	$standby, q{
	SELECT bool_and(state = 'streaming' AND replay_bytes > 50000 AND bytes_behind > 50000
	       AND seconds_behind > 0) FROM get_replication_status()}, 'standby: behind');
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
$primary->wait_for_catchup($standby);
wait_true(
	$standby,
	q{SELECT bool_and(bytes_behind = 0 AND seconds_behind = 0) FROM get_replication_status()},
	'standby: caught up again');

# What may not be seen is said to be so.
foreach my $node ($primary, $standby)
{
	is( $node->safe_psql(
			'postgres',
			'SET ROLE steward_nobody; SELECT state, bytes_behind, seconds_behind FROM get_replication_status()'),
		'skipped: needs pg_read_all_stats||',
		$node->name . ': unprivileged');
	is( $node->safe_psql(
			'postgres',
			q{SET ROLE stats; SELECT bool_and(state = 'streaming') FROM get_replication_status()}),
		't',
		$node->name . ': pg_read_all_stats');
}

# All reports work on a standby; an unlogged table is empty there.
foreach my $report (
	qw(get_steward_info() get_slow_queries() get_table_sizes() get_database_size(true)
	get_schema_sizes() get_tablespace_sizes(true) get_disk_usage()
	get_active_connections(true) get_cache_hit_ratio() get_index_usage() get_vacuum_status())
  )
{
	my ($ret) = $standby->psql('postgres', "SELECT * FROM $report");
	is($ret, 0, "standby: $report");
}
is( $standby->safe_psql(
		'postgres',
		q{SELECT bool_and(total_bytes = pg_total_relation_size(format('%I.%I', schema_name, table_name)::regclass))
		    FROM get_table_sizes()}),
	't', 'standby: sizes are equal');
is( $standby->safe_psql(
		'postgres', q{SELECT size_bytes = pg_database_size('postgres') FROM get_database_size()}),
	't', 'standby: database size is equal');

# The link dies: not 0 seconds behind, but unknown.
$primary->stop('immediate');
wait_true(
	$standby, q{
	SELECT count(*) = 1 AND bool_and(state = 'disconnected' AND bytes_behind IS NULL
	       AND seconds_behind IS NULL AND receive_lsn IS NOT NULL AND replay_lsn IS NOT NULL)
	  FROM get_replication_status()}, 'standby: disconnected');

# Promoted: no standby any more.
$standby->promote;
wait_true($standby, 'SELECT count(*) = 0 FROM get_replication_status()', 'promoted: no row');
is($standby->safe_psql('postgres', 'SELECT preloaded FROM get_steward_info()'), 't', 'still loaded');

done_testing();
