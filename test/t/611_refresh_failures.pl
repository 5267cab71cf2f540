# What must not stop materialized views from being refreshed, nor be stopped by
# that: crashes, shutdowns, commands on whole databases, DROP EXTENSION, and
# the promotion of a standby.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_stat_statements,pg_steward'
autovacuum = off
restart_after_crash = on
log_min_messages = info
});
$node->start;
$node->safe_psql('postgres', q{CREATE ROLE shop LOGIN});
my $place = PostgreSQL::Test::Utils::tempdir();

# A database with a view whose refresh takes ten minutes, if it is not empty.
sub create_shop
{
	my ($name) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql($name, q{
		CREATE EXTENSION pg_steward CASCADE;
		CREATE FUNCTION nap(seconds float8) RETURNS int LANGUAGE plpgsql
		AS 'BEGIN PERFORM pg_catalog.pg_sleep(seconds); RETURN 1; END';
		CREATE TABLE t (a int);
		CREATE MATERIALIZED VIEW quick AS SELECT count(*) AS n FROM t;
		CREATE MATERIALIZED VIEW long AS SELECT nap(600) AS n FROM t;
		INSERT INTO t VALUES (1);
		SELECT schedule_matview_refresh('long', every => '1 s', method => 'diff')});
	return;
}

# Poll until the condition holds, in a server that may be restarting.
sub wait_for
{
	my ($database, $condition, $what) = @_;
	for (1 .. 1800)
	{
		my ($rc, $out) = $node->psql($database, "SELECT $condition");
		if ($rc == 0 && defined $out && $out eq 't')
		{
			ok(1, $what);
			return;
		}
		sleep 0.1;
	}
	ok(0, $what);
	diag $node->psql($database, 'SELECT matview, outcome, error FROM steward.matview_refresh_history ORDER BY id DESC LIMIT 10');
	return;
}

my $runs_long = q{EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
	AND backend_type = 'pg_steward refresh worker' AND query ~ 'refreshing .*long' AND state = 'active')};

# The worker that refreshes the long view
sub worker_pid
{
	my ($database) = @_;
	return $node->safe_psql($database, q{SELECT pid FROM pg_stat_activity
		WHERE datname = current_database() AND backend_type = 'pg_steward refresh worker'});
}

# --------------------------------------- commands that need to be alone in it

mkdir "$place/ts";
$node->safe_psql('postgres', "CREATE TABLESPACE elsewhere LOCATION '$place/ts'");
create_shop('shop');
wait_for('shop', $runs_long, 'a long refresh runs');
foreach my $command (
	'ALTER DATABASE shop RENAME TO store',
	'ALTER DATABASE store SET TABLESPACE elsewhere',
	'CREATE DATABASE copy TEMPLATE store',
	'DROP DATABASE copy')
{
	my ($database) = $command =~ /(copy|store)$|(store)/;
	is($node->psql('postgres', $command), 0, $command);
	# its next run is after a back-off: start it anew for the next command
	next if $command =~ /DROP/;
	$node->safe_psql('store', q{SELECT resume_matview_refresh('long')});
	wait_for('store', $runs_long, 'the refresh runs again');
}
is($node->safe_psql('store', q{SELECT bool_and(outcome = 'cancelled') FROM steward.matview_refresh_history}),
	't', 'refreshes were cancelled, not more');

# DROP EXTENSION, rolled back and for good
$node->safe_psql('store', q{SET lock_timeout = '20 s'; BEGIN; DROP EXTENSION pg_steward; ROLLBACK});
wait_for('store', $runs_long, 'nothing happens when DROP EXTENSION is rolled back');
is($node->psql('store', q{SET lock_timeout = '20 s'; DROP EXTENSION pg_steward}), 0, 'DROP EXTENSION does not wait for a refresh');
ok($node->poll_query_until('postgres', q{SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'pg_steward refresh worker')}),
	'and ends it');
$node->safe_psql('store', q{CREATE EXTENSION pg_steward;
	SELECT schedule_matview_refresh('quick', target_lag => '1 s')});
wait_for('store', q{EXISTS (SELECT FROM steward.matview_refresh_history)}, 'the extension again');
$node->safe_psql('store', q{SELECT schedule_matview_refresh('long', every => '1 s', method => 'diff')});
wait_for('store', $runs_long, 'and a long refresh');
is($node->psql('postgres', 'DROP DATABASE store'), 0, 'DROP DATABASE');
$node->safe_psql('postgres', 'DROP TABLESPACE elsewhere');

# ---------------------------------------------------- shutdown, end of workers

create_shop('shop');
wait_for('shop', $runs_long, 'a long refresh runs');
$node->restart;
wait_for('shop', q{(SELECT outcome = 'cancelled' AND sqlstate = '57P01' FROM steward.matview_refresh_history ORDER BY id LIMIT 1)},
	'a fast shutdown ends it, and is not taken for a crash');
wait_for('shop', $runs_long, 'it is tried again');
is($node->safe_psql('shop', 'SELECT crash_count FROM steward.matview_state'), 0, 'no crash');
my $pid = worker_pid('shop');
$node->safe_psql('shop', "SELECT pg_terminate_backend($pid)");
wait_for('shop', q{(SELECT count(*) FROM steward.matview_refresh_history WHERE outcome = 'cancelled') = 2},
	'a worker that was terminated has cancelled its refresh');
$node->safe_psql('shop', 'SELECT resume_matview_refresh()');
wait_for('shop', $runs_long, 'once more');
$pid = worker_pid('shop');
$node->safe_psql('shop', "SELECT pg_cancel_backend($pid)");
wait_for('shop', q{(SELECT count(*) FROM steward.matview_refresh_history WHERE outcome = 'cancelled') = 3},
	'a refresh can be cancelled');
is(worker_pid('shop'), $pid, 'the worker goes on');

# The launcher is one process of many.
my $launcher = $node->safe_psql('shop', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_steward launcher'});
$node->safe_psql('shop', q{SELECT schedule_matview_refresh('quick', target_lag => '1 s')});
$node->safe_psql('shop', "SELECT pg_terminate_backend($launcher)");
wait_for('shop', "EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'pg_steward launcher' AND pid <> $launcher)",
	'another launcher comes');
$node->safe_psql('shop', 'INSERT INTO t VALUES (2)');
wait_for('shop', '(SELECT n FROM quick) = 2', 'and goes on');

# ---------------------------------------------------------------------- crash

foreach my $crash (1 .. 3)
{
	$node->safe_psql('shop', q{UPDATE steward.matview_state SET not_before = NULL
		WHERE matview = 'long'::regclass;
		UPDATE steward.matview_policy SET paused = paused});
	wait_for('shop', $runs_long, 'a long refresh runs');
	$node->safe_psql('shop', q{UPDATE steward.matview_policy SET method = 'diff'})
	  if $crash == 1;
	kill 9, worker_pid('shop');
	wait_for('shop', "(SELECT crash_count FROM steward.matview_state WHERE matview = 'long'::regclass) = $crash",
		'a crash is noticed');
}
is($node->safe_psql('shop', q{SELECT suspended, not_before > now() + interval '4 min' FROM steward.matview_state
	WHERE matview = 'long'::regclass}), 'quarantined|t', 'the third one is the last');
is($node->safe_psql('shop', q{SELECT count(*) FROM steward.matview_refresh_history WHERE outcome = 'crashed'}), 3,
	'crashes in the history');
is($node->safe_psql('shop', 'SELECT count(*) FROM long'), 0, 'the view is as it was');
$node->safe_psql('shop', 'INSERT INTO t VALUES (3)');
wait_for('shop', '(SELECT n FROM quick) = 3', 'others are refreshed');

# ------------------------------------------------------------------- promotion

$node->safe_psql('shop', q{SELECT unschedule_matview_refresh('long')});
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->safe_psql('shop', 'INSERT INTO t VALUES (4)');
wait_for('shop', '(SELECT n FROM quick) = 4', 'the primary refreshes');
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is($standby->safe_psql('shop', 'SELECT n FROM quick'), 4, 'the standby follows');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_steward refresh worker'}), 0,
	'without workers');
$node->stop('immediate');
$standby->promote;
$standby->safe_psql('shop', 'INSERT INTO t VALUES (5)');
ok($standby->poll_query_until('shop', 'SELECT n = 5 FROM quick'), 'after promotion it refreshes');
is($standby->safe_psql('shop', q{SELECT count(*) FROM steward.matview_refresh_history WHERE outcome = 'crashed'}), 3,
	'and finds no crash');
$standby->stop;
done_testing();
