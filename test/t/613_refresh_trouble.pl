# Scheduled refreshes in trouble that others make, or the view itself: crashes
# of other processes, a query that crashes the server, deadlocks, no room for
# temporary files, tables and databases that are locked, no connection left,
# settings that break sessions.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StewardClient;
use Test::More;
use Time::HiRes qw(sleep);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# a user would never find a deadlock: a refresh has to
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_stat_statements,pg_steward'
autovacuum = off
restart_after_crash = on
log_min_messages = info
max_connections = 12
max_prepared_transactions = 1
deadlock_timeout = 10min
pg_steward.max_refresh_workers = 1
});
$node->start;
my $user = getpwuid($<);

# Poll until the condition holds, in a server that may be restarting.
sub wait_for
{
	my ($condition, $what, $database) = @_;
	for (1 .. 1800)
	{
		my ($rc, $out) = $node->psql($database // 'postgres', "SELECT $condition");
		if ($rc == 0 && defined $out && $out eq 't')
		{
			ok(1, $what);
			return;
		}
		sleep 0.1;
	}
	ok(0, $what);
	diag $node->psql($database // 'postgres',
		'SELECT matview::regclass, outcome, error FROM steward.matview_refresh_history ORDER BY id DESC LIMIT 10');
	return;
}

sub value
{
	my ($expression) = @_;
	return $node->safe_psql('postgres', "SELECT $expression");
}

# A column of the state of a view
sub state_of
{
	my ($view, $columns) = @_;
	return value("$columns FROM steward.matview_state WHERE matview = '$view'::regclass");
}

# The view "quick" gets a row more, and has it.
my $rows = 0;
sub quick_follows
{
	my ($what) = @_;
	$rows++;
	$node->safe_psql('postgres', 'INSERT INTO t VALUES (1)');
	wait_for("(SELECT n FROM quick) = $rows", $what);
	return;
}

# Have a view tried again at once, without forgetting its failures.
sub try_again
{
	my ($view) = @_;
	$node->safe_psql('postgres', qq{
		BEGIN;
		UPDATE steward.matview_state SET not_before = NULL WHERE matview = '$view'::regclass;
		UPDATE steward.matview_policy SET paused = paused;
		COMMIT});
	return;
}

sub pid_of
{
	my ($type) = @_;
	return value("pid FROM pg_stat_activity WHERE backend_type = '$type'");
}

$node->safe_psql('postgres', q{
	CREATE EXTENSION pg_steward CASCADE;
	CREATE TABLE t (a int);
	CREATE MATERIALIZED VIEW quick AS SELECT count(*) AS n FROM t;
	SELECT schedule_matview_refresh('quick', target_lag => '1 s')});
quick_follows('a view is refreshed');

# ------------------------------------------------ crashes of other processes

# The index makes writing some rows last.
$node->safe_psql('postgres', q{
	CREATE FUNCTION slow(a int) RETURNS int IMMUTABLE LANGUAGE plpgsql
	AS 'BEGIN PERFORM pg_catalog.pg_sleep(600) WHERE a = 0; RETURN a; END';
	CREATE TABLE source AS SELECT g AS a FROM generate_series(1, 100) g;
	CREATE MATERIALIZED VIEW writing AS SELECT a FROM source;
	CREATE INDEX ON writing (slow(a));
	SELECT schedule_matview_refresh('writing', every => '1 s', method => 'diff')});
wait_for(q{(SELECT last_ok IS NOT NULL FROM steward.matview_state WHERE matview = 'writing'::regclass)},
	'a view that will be written slowly');
$node->safe_psql('postgres', 'DELETE FROM source WHERE a > 50; INSERT INTO source SELECT g FROM generate_series(-50, 0) g');
my $crashes = 0;
foreach my $victim ('checkpointer', 'client backend')
{
	wait_for(q{EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'pg_steward refresh worker'
			AND query ~ 'refreshing writing: writing differences')}, 'a refresh is writing');
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $victim eq 'checkpointer' ? pid_of($victim) : $session->query('SELECT pg_backend_pid()');
	kill 9, $pid;
	$crashes++;
	wait_for("(SELECT crash_count FROM steward.matview_state WHERE matview = 'writing'::regclass) = $crashes",
		"the $victim is killed");
	eval { $session->quit };
	is(value('count(*) || $$ $$ || sum(a) FROM writing'), '100 5050', 'the view is as it was');
	is(state_of('writing', q{suspended IS NULL AND running_since IS NULL AND not_before > now() + interval '4 min'}), 't',
		'it waits, as it may have been the reason');
	is(state_of('quick', 'crash_count || $$ $$ || consecutive_failures'), '0 0', 'another one is innocent');
	quick_follows('and is refreshed');
	try_again('writing') if $crashes == 1;
}
$node->safe_psql('postgres', q{DELETE FROM source WHERE a = 0; SELECT resume_matview_refresh('writing')});
wait_for('count(*) = 100 AND sum(a) = 0 FROM writing', 'refreshed at last');
is(state_of('writing', 'crash_count || $$ $$ || consecutive_failures'), '0 0', 'crashes are forgotten');
$node->safe_psql('postgres', q{SELECT unschedule_matview_refresh('writing')});

# ------------------------------------------- a query that crashes its process

$node->safe_psql('postgres', q{
	CREATE FUNCTION crash() RETURNS int LANGUAGE plpgsql AS $$
	BEGIN
		COPY (SELECT 1) TO PROGRAM 'kill -SEGV $PPID';
		PERFORM pg_catalog.pg_sleep(600);
		RETURN 1;
	END$$;
	CREATE TABLE danger (a int);
	CREATE MATERIALIZED VIEW crashing AS SELECT a, crash() AS c FROM danger;
	SELECT schedule_matview_refresh('crashing', every => '1 s');
	INSERT INTO danger VALUES (1)});
foreach my $crash (1 .. 3)
{
	wait_for("(SELECT crash_count FROM steward.matview_state WHERE matview = 'crashing'::regclass) = $crash",
		'a query crashes the server');
	try_again('crashing') if $crash < 3;
}
is(state_of('crashing', 'suspended'), 'quarantined', 'not a fourth time');
like(value(q{policy FROM get_matview_status() WHERE matview_name = 'crashing'}), qr/quarantined/, 'the status says so');
my $log = slurp_file($node->logfile);
is(scalar(() = $log =~ /refresh worker.*terminated by signal 11/g), 3, 'they were crashes');
is(scalar(() = $log =~ /WARNING: .* no longer refreshed, because the server crashed 3 times/g), 1, 'the log says so');
try_again('crashing');
quick_follows('others are refreshed');
is(state_of('crashing', 'crash_count || suspended'), '3quarantined', 'time does not heal it');
$node->safe_psql('postgres', q{TRUNCATE danger; SELECT resume_matview_refresh('crashing')});
wait_for(q{(SELECT crash_count = 0 AND suspended IS NULL AND last_ok > last_attempt - interval '1 s'
              FROM steward.matview_state WHERE matview = 'crashing'::regclass)},
	'resumed by hand');
$node->safe_psql('postgres', q{SELECT unschedule_matview_refresh('crashing')});

# ------------------------------------------------------------------ deadlocks

# The refresh waits for an advisory lock of the user as soon as he waits for
# the view; it does not give way to him by the policy.
$node->safe_psql('postgres', q{
	ALTER SYSTEM SET pg_steward.refresh_lock_timeout = '10min';
	SELECT pg_reload_conf();
	CREATE FUNCTION cross() RETURNS int LANGUAGE plpgsql AS $$
	BEGIN
		WHILE NOT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE NOT granted AND relation = 'public.crossing'::regclass)
		LOOP
			PERFORM pg_catalog.pg_sleep(0.01);
		END LOOP;
		PERFORM pg_catalog.pg_advisory_xact_lock(1);
		RETURN 1;
	END$$;
	CREATE TABLE crossed (a int);
	CREATE MATERIALIZED VIEW crossing AS SELECT a, cross() FROM crossed});
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; SELECT pg_advisory_xact_lock(1)');
$node->safe_psql('postgres', q{INSERT INTO crossed VALUES (1);
	SELECT schedule_matview_refresh('crossing', every => '1 h', method => 'diff', yield_after => '0')});
wait_for(q{EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'pg_steward refresh worker'
	AND query ~ 'refreshing crossing: executing')}, 'a refresh that will be in a deadlock');
$holder->query_safe(q{COMMENT ON MATERIALIZED VIEW crossing IS 'text'; COMMIT});
ok(1, 'the user is not its victim');
$holder->quit;
wait_for(q{(SELECT last_sqlstate = '40P01' AND not_before < now() + interval '10 s' AND suspended IS NULL
              FROM steward.matview_state WHERE matview = 'crossing'::regclass)}, 'the refresh is, and waits a little');
$node->safe_psql('postgres', q{SELECT unschedule_matview_refresh('crossing');
	ALTER SYSTEM RESET pg_steward.refresh_lock_timeout; SELECT pg_reload_conf()});
quick_follows('others are refreshed');

# ------------------------------------------------- no room for temporary files

$node->safe_psql('postgres', q{
	ALTER SYSTEM SET temp_file_limit = '1MB';
	ALTER SYSTEM SET work_mem = '64kB';
	SELECT pg_reload_conf();
	CREATE TABLE much (a int);
	CREATE MATERIALIZED VIEW sorted AS SELECT DISTINCT a, repeat(md5(a::text), 3) AS text FROM much;
	SELECT schedule_matview_refresh('sorted', every => '1 s')});
wait_for(q{(SELECT last_ok IS NOT NULL FROM steward.matview_state WHERE matview = 'sorted'::regclass)}, 'a view of little');
$node->safe_psql('postgres', 'INSERT INTO much SELECT generate_series(1, 30000)');
wait_for(q{(SELECT last_sqlstate = '53400' AND not_before < now() + interval '10 s' AND suspended IS NULL
              FROM steward.matview_state WHERE matview = 'sorted'::regclass)}, 'temp_file_limit stops a refresh for a while');
is(value('count(*) FROM sorted'), 0, 'the view is as it was');
quick_follows('others are refreshed');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_ls_tmpdir()'), 0, 'no files are left');
$node->safe_psql('postgres', q{ALTER SYSTEM RESET temp_file_limit; ALTER SYSTEM RESET work_mem; SELECT pg_reload_conf()});
$node->safe_psql('postgres', q{SELECT resume_matview_refresh('sorted')});
wait_for('count(*) = 30000 FROM sorted', 'refreshed when there is room');
$node->safe_psql('postgres', q{SELECT unschedule_matview_refresh('sorted')});

# -------------------------------------------------- no room for the view itself

# Files that must not grow are what a test can have instead of a full disk.
# Processes have the limit that the postmaster had when they were started.
my $postmaster = (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];
sub limit_files
{
	my ($limit) = @_;
	system_or_bail('prlimit', '--pid', $postmaster, "--fsize=$limit:");
	$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
		WHERE backend_type = 'pg_steward refresh worker'});
	return;
}

SKIP:
{
	skip 'there is no prlimit', 10 if system('prlimit --version >/dev/null 2>&1') != 0;
	# files of relations that nobody knows; empty ones are removed by the next checkpoint
	my $stray = q{count(*) FROM pg_ls_dir('base/' || (SELECT oid FROM pg_database WHERE datname = 'postgres')) AS f(name),
		pg_stat_file('base/' || (SELECT oid FROM pg_database WHERE datname = 'postgres') || '/' || f.name, true) AS s
		WHERE f.name ~ '^[0-9]+$' AND s.size > 0
		  AND NOT EXISTS (SELECT FROM pg_class WHERE pg_relation_filenode(oid) = f.name::oid)};
	$node->safe_psql('postgres', q{
		CREATE TABLE size (n int);
		INSERT INTO size VALUES (10);
		CREATE MATERIALIZED VIEW large AS SELECT g, repeat('x', 1000) AS pad FROM size, generate_series(1, n) g;
		SELECT schedule_matview_refresh('large', every => '1 s', method => 'diff')});
	wait_for(q{(SELECT last_ok IS NOT NULL FROM steward.matview_state WHERE matview = 'large'::regclass)}, 'a small view');
	my $before = value($stray);
	limit_files(24 * 1024 * 1024);
	$node->safe_psql('postgres', 'UPDATE size SET n = 30000');
	foreach my $method ('diff', 'swap')
	{
		$node->safe_psql('postgres', "SELECT alter_matview_refresh('large', method => '$method'), resume_matview_refresh('large')");
		wait_for(q{(SELECT last_error ~ 'File too large' AND not_before > now() AND running_since IS NULL
		              FROM steward.matview_state WHERE matview = 'large'::regclass)}, "$method: a file cannot grow");
		is(value('count(*) FROM large'), 10, 'the view is as it was');
		quick_follows('others are refreshed');
		is(value($stray), $before, 'no files are left');
	}
	limit_files('unlimited');
	$node->safe_psql('postgres', q{SELECT resume_matview_refresh('large')});
	wait_for('count(*) = 30000 FROM large', 'refreshed when there is room');
	$node->safe_psql('postgres', 'DROP MATERIALIZED VIEW large');
}

# ------------------------------------------------------- a history that is locked

$holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK TABLE steward.matview_refresh_history');
my $last_ok = state_of('quick', 'last_ok');
quick_follows('refreshed while the history is locked');
wait_for("last_ok > '$last_ok' AND running_since IS NULL FROM steward.matview_state WHERE matview = 'quick'::regclass",
	'the result is noted');
my $run = state_of('quick', 'last_ok');
$holder->query_safe('COMMIT');
$holder->quit;
is(state_of('quick', 'consecutive_failures || coalesce(last_sqlstate, $$$$)'), '0', 'it is no failure');
quick_follows('refreshed when it is not');
wait_for("EXISTS (SELECT FROM steward.matview_refresh_history WHERE matview = 'quick'::regclass AND started > '$run')",
	'the history goes on');
is(value(qq{count(*) FROM steward.matview_refresh_history WHERE matview = 'quick'::regclass
	AND (started BETWEEN '$last_ok'::timestamptz + interval '1 us' AND '$run' OR outcome = 'cancelled')}), 0,
	'with a gap, which is no cancelled run');

# The state is locked when a refresh ends.
$node->safe_psql('postgres', q{
	CREATE TABLE gate (a int);
	CREATE FUNCTION wait_at_gate() RETURNS int LANGUAGE plpgsql AS $$
	BEGIN
		WHILE EXISTS (SELECT FROM public.gate)
		LOOP
			PERFORM pg_catalog.pg_sleep(0.01);
		END LOOP;
		RETURN 1;
	END$$;
	CREATE MATERIALIZED VIEW gated AS SELECT wait_at_gate() AS n;
	SELECT schedule_matview_refresh('gated', every => '1 h')});
wait_for(q{EXISTS (SELECT FROM steward.matview_refresh_history WHERE matview = 'gated'::regclass)}, 'a view');
foreach my $lock ('LOCK TABLE steward.matview_state', q{SELECT FROM steward.matview_state WHERE matview = 'gated'::regclass FOR UPDATE})
{
	my $offset = -s $node->logfile;
	$last_ok = state_of('gated', 'last_ok');
	$node->safe_psql('postgres', q{INSERT INTO gate VALUES (1); SELECT refresh_matview_now('gated', wait => false)});
	wait_for(q{EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'pg_steward refresh worker' AND query ~ 'refreshing gated')},
		'it is being refreshed');
	$holder = $node->background_psql('postgres');
	$holder->query_safe("BEGIN; $lock");
	$node->safe_psql('postgres', 'DELETE FROM gate');
	$node->wait_for_log(qr/LOG: .*state of materialized view with OID \d+ is locked/, $offset);
	$holder->query_safe('COMMIT');
	$holder->quit;
	$node->safe_psql('postgres', 'UPDATE steward.matview_policy SET paused = paused');
	wait_for("running_since IS NULL AND last_ok > '$last_ok' AND consecutive_failures = 0
		FROM steward.matview_state WHERE matview = 'gated'::regclass", "noted in the end, after $lock");
}
is(value(q{string_agg(outcome, ' ') FROM steward.matview_refresh_history WHERE matview = 'gated'::regclass}),
	'verified_equal verified_equal verified_equal', 'nothing was cancelled');
quick_follows('and others are refreshed');
$node->safe_psql('postgres', q{SELECT unschedule_matview_refresh('gated')});

# -------------------------------------------------------------- when it is due

$node->safe_psql('postgres', q{
	CREATE MATERIALIZED VIEW due AS SELECT count(*) AS n FROM t;
	SELECT refresh_matview_now('due')});
quick_follows('a change');
is($node->safe_psql('postgres', q{
	BEGIN;
	SAVEPOINT a;
	SELECT schedule_matview_refresh('due', target_lag => '1 hour');
	SELECT state, next_due - stale_since BETWEEN '59 min' AND '60 min', overdue_seconds
	  FROM get_matview_status() WHERE matview_name = 'due';
	ROLLBACK TO a;
	SELECT schedule_matview_refresh('due', on_change_debounce => '2 hours');
	SELECT state, next_due - stale_since = '2 hours' FROM get_matview_status() WHERE matview_name = 'due';
	ROLLBACK}) =~ s/^\n//mgr, "stale|t|0\nstale|t", 'it is known when a view is due before a worker has seen its policy');

# ----------------------------------------- a database that is locked by a rename

$node->safe_psql('postgres', 'CREATE DATABASE shop');
$node->safe_psql('shop', q{
	CREATE EXTENSION pg_steward CASCADE;
	-- clock_timestamp() keeps it from being skipped
	CREATE MATERIALIZED VIEW always AS SELECT clock_timestamp() AS at;
	SELECT schedule_matview_refresh('always', every => '1 s')});
wait_for(q{EXISTS (SELECT FROM steward.matview_refresh_history)}, 'a view that is refreshed each second', 'shop');
ok($node->poll_query_until('postgres', q{SELECT NOT EXISTS (SELECT FROM pg_stat_activity
	WHERE datname = 'shop' AND backend_type = 'client backend')}), 'nobody is there');
my $offset = -s $node->logfile;
$holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; ALTER DATABASE shop RENAME TO store');
quick_follows('the only worker is free for another database');
unlike(slurp_file($node->logfile, $offset), qr/lock timeout/, 'it knows that it cannot get in');
# of that it does not know
$holder->query_safe(q{PREPARE TRANSACTION 'rename'});
$node->wait_for_log(qr/ERROR: .*lock timeout/, $offset);
quick_follows('or gives up soon');
my $now = value('clock_timestamp()');
$holder->query_safe(q{ROLLBACK PREPARED 'rename'});
$holder->quit;
wait_for("(SELECT at > '$now' FROM always)", 'and comes back', 'shop');
$node->safe_psql('postgres', 'DROP DATABASE shop');

# ----------------------------------------------------------- no connection left

wait_for(q{NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'pg_steward refresh worker')},
	'workers end when there is nothing to do');
my @clients;
while (@clients < 20)
{
	my $client = eval { StewardClient->new(host => $node->host, port => $node->port, user => $user) };
	last if !defined $client;
	push @clients, $client;
}
is(scalar(@clients), 12, 'there is no connection left');
my $control = $clients[0];
$rows++;
$control->query('INSERT INTO t VALUES (1)');
my $tries = 0;
sleep 0.1 while $control->query('SELECT n FROM quick')->[0][0] != $rows && $tries++ < 1800;
is($control->query('SELECT n FROM quick')->[0][0], $rows, 'refreshes need none');
$_->close foreach @clients;
ok($node->poll_query_until('postgres', 'SELECT true'), 'connections again');

# ------------------------------------------------------------------- settings

# The worker is connected as the first superuser, and works as the owner.
my @settings = (
	q{statement_timeout = '1ms'}, q{lock_timeout = '1ms'},
	q{idle_in_transaction_session_timeout = '1ms'}, q{idle_session_timeout = '1ms'},
	q{default_transaction_read_only = on}, q{default_transaction_isolation = 'serializable'});
my @names = map { /^(\w+)/ } @settings;
$node->safe_psql('postgres', q{CREATE ROLE owner; GRANT SELECT ON t TO owner; ALTER MATERIALIZED VIEW quick OWNER TO owner});
$ENV{PGOPTIONS} = join ' ', map { "-c $_=0" } grep { /timeout/ } @names;
$ENV{PGOPTIONS} .= ' -c transaction_timeout=0' if $node->pg_version >= 17;
$ENV{PGOPTIONS} .= ' -c default_transaction_read_only=off -c default_transaction_isolation=read\ committed';
foreach my $places ([ 'SYSTEM' ], [ 'DATABASE postgres', "ROLE $user", 'ROLE owner' ])
{
	foreach my $place (@$places)
	{
		# nobody could connect if the server had that
		$node->safe_psql('postgres', "ALTER $place SET transaction_timeout = '1ms'")
		  if $node->pg_version >= 17 && $place ne 'SYSTEM';
		$node->safe_psql('postgres', "ALTER $place SET $_") foreach @settings;
	}
	$node->restart;
	quick_follows('settings do not stop refreshes: ' . join ', ', @$places);
	$node->safe_psql('postgres', "ALTER SYSTEM RESET $_") foreach @names;
}
is(state_of('quick', 'consecutive_failures'), 0, 'nor make them fail');
is(value(q{count(*) FROM steward.matview_refresh_history WHERE matview = 'quick'::regclass AND outcome = 'failed'}), 0,
	'not one');

$node->stop;
done_testing();
