# Scheduled refreshes over many rounds of what may happen to them: commands on
# whole databases while refreshes compute, write or are idle there, signals to
# the launcher and the workers at random moments, many views and databases.
# Afterwards every view is right, nothing is stuck, and nothing has grown.
#
# PG_STEWARD_ENDURANCE sets the number of rounds (default 8); signals are a
# fifth of that, and from 100 rounds on there are as many views and databases
# as README.md promises.  PG_STEWARD_ENDURANCE_SEED repeats a run's choices.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use List::Util qw(max sum);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StewardClient;
use Test::More;
use Time::HiRes qw(sleep time);

my $rounds = $ENV{PG_STEWARD_ENDURANCE} // 8;
my $signals = max(6, int($rounds / 5));
my ($views, $databases, $partitions) = $rounds >= 100 ? (1000, 50, 1000) : (150, 6, 100);
my $seed = $ENV{PG_STEWARD_ENDURANCE_SEED} // int(rand(1_000_000));
srand($seed);
diag("$rounds rounds, $signals signals, seed $seed");

# Longest time of a command that has to be alone in a database, in seconds
my $longest = 2;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_stat_statements,pg_steward'
autovacuum = off
restart_after_crash = on
log_min_messages = info
log_statement = none
log_checkpoints = off
max_worker_processes = 12
max_locks_per_transaction = 128
pg_steward.max_refresh_workers = 3
pg_steward.refresh_max_views = 1200
});
$node->start;
my $place = PostgreSQL::Test::Utils::tempdir();
mkdir "$place/ts";
$node->safe_psql('postgres', "CREATE TABLESPACE elsewhere LOCATION '$place/ts'");

sub client
{
	my ($database) = @_;
	return StewardClient->new(host => $node->host, port => $node->port, dbname => $database,
		user => scalar getpwuid($<), application => 'endurance');
}

my $main = client('postgres');

# Poll until the condition holds.
sub wait_until
{
	my ($client, $condition, $seconds) = @_;
	my $end = time + ($seconds // 120);
	while (time < $end)
	{
		return 1 if $client->query("SELECT $condition")->[0][0] eq 't';
		sleep 0.02;
	}
	return 0;
}

sub launcher_pid
{
	return $main->query(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_steward launcher'})->[0][0];
}

# Memory of a process that is its own, in kB
sub own_memory
{
	my ($pid) = @_;
	my ($anonymous) = slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m;
	return $anonymous;
}

# Rows of catalogs that what is left behind would add to
sub catalog_rows
{
	my ($client) = @_;
	return join ' ', @{ $client->query(q{SELECT (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_attribute),
		(SELECT count(*) FROM pg_database), (SELECT count(*) FROM pg_depend)})->[0] };
}

sub log_lines
{
	my ($pattern) = @_;
	my @lines = slurp_file($node->logfile) =~ /$pattern/g;
	return scalar @lines;
}

# ------------------------------------------------- commands on whole databases

# Views that take forever to compute, that have much to write, and that are
# seldom refreshed, so that the worker is idle; two of them are paused.
$main->query('CREATE DATABASE mold');
$node->safe_psql('mold', q{
	CREATE EXTENSION pg_steward CASCADE;
	CREATE FUNCTION nap(seconds float8) RETURNS int LANGUAGE plpgsql
	AS 'BEGIN PERFORM pg_catalog.pg_sleep(seconds); RETURN 1; END';
	CREATE TABLE t (a int);
	INSERT INTO t VALUES (1);
	CREATE MATERIALIZED VIEW compute AS SELECT nap(600) AS n WITH NO DATA;
	CREATE MATERIALIZED VIEW apply AS
		SELECT g AS id, clock_timestamp()::text AS at FROM generate_series(1, 20000) g;
	CREATE INDEX ON apply (id);
	CREATE INDEX ON apply (at);
	CREATE MATERIALIZED VIEW idle AS SELECT count(*) AS n FROM t;
	SELECT schedule_matview_refresh('compute', every => '1 s', method => 'diff', paused => true);
	SELECT schedule_matview_refresh('apply', every => '1 s', method => 'diff', paused => true);
	SELECT schedule_matview_refresh('idle', target_lag => '1 s')});

my @phases = qw(compute apply idle);
my %in_phase = (
	compute => q{state = 'active' AND query ~ 'refreshing .*compute'},
	apply => q{state = 'active' AND query ~ 'refreshing apply: writing differences'},
	idle => q{state = 'idle'});
my %seconds;
my $failures = 0;

# Have a worker of a database be in a phase.
sub reach
{
	my ($database, $phase) = @_;
	my $client = client($database);
	$client->query(q{SELECT count(pause_matview_refresh(v)) FROM unnest('{compute,apply}'::regclass[]) v});
	$client->query("SELECT resume_matview_refresh('$phase')") if $phase ne 'idle';
	# one that computes forever is told to do something else
	$client->query(qq{SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '$database'
		AND backend_type = 'pg_steward refresh worker' AND query ~ 'compute'}) if $phase ne 'compute';
	$client->query(q{INSERT INTO t VALUES (1)}) if $phase eq 'idle';
	$client->close;
	wait_until($main, qq{NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = '$database' AND backend_type = 'client backend')});
	my $reached = wait_until($main, qq{EXISTS (SELECT FROM pg_stat_activity WHERE datname = '$database'
		AND backend_type = 'pg_steward refresh worker' AND $in_phase{$phase})}, 60);
	if (!$reached)
	{
		$failures++;
		diag("no worker in $database came to: $phase");
	}
	return;
}

# The mold comes to rest, without what refreshes have left in the view.
sub calm
{
	reach('mold', 'idle');
	$node->safe_psql('mold', 'REFRESH MATERIALIZED VIEW apply');
	return;
}

# Run a command, and note how long it took.
sub run
{
	my ($command) = @_;
	my $start = time;
	eval { $main->query($command) };
	my $error = $@;
	my $took = time - $start;
	my $kind = $command =~ s/\b(mold|round)\w*//gr;
	push @{ $seconds{$kind} }, $took;
	diag("$command: $took s") if $took >= $longest;
	return 1 if $error eq '';
	$failures++;
	diag("$command: $error");
	return 0;
}

my @commands = (
	[ 'DROP DATABASE round' ],
	[ 'ALTER DATABASE round RENAME TO round2', 'DROP DATABASE round2' ],
	[ 'DROP DATABASE round WITH (FORCE)' ],
	[ 'ALTER DATABASE round SET TABLESPACE elsewhere', 'DROP DATABASE round' ]);

sub round
{
	my ($number) = @_;
	# it is copied while it is used, now and then
	reach('mold', $phases[ int(rand @phases) ]) if $number % 4 == 0;
	return if !run('CREATE DATABASE round TEMPLATE mold');
	calm() if $number % 4 == 0;
	reach('round', $phases[ $number % @phases ]);
	# anywhere in the phase
	sleep rand 0.1;
	foreach my $command (@{ $commands[ $number % @commands ] })
	{
		run($command) or last;
		sleep rand 0.3;
	}
	$main->query('DROP DATABASE IF EXISTS round WITH (FORCE)') if $failures > 0;
	return;
}

my $launcher = launcher_pid();
my ($memory, $rows, $lines, $since);
my $warm = max(2, int($rounds / 20));
foreach my $number (1 .. $rounds)
{
	round($number);
	if ($number == $warm)
	{
		$memory = own_memory($launcher);
		$lines = log_lines(qr/\n/);
		$since = time;
	}
}
my @all = map { @$_ } values %seconds;
is($failures, 0, 'no command on a database failed');
cmp_ok(max(@all), '<', $longest, 'none took long');
diag(sprintf '%d commands, at most %.2f s, on average %.2f s: %s', scalar @all, max(@all), sum(@all) / @all,
	join ', ', map { sprintf '%s %.2f', $_, max(@{ $seconds{$_} }) } sort keys %seconds);
is(log_lines(qr/still waiting for backend/), 0, 'no barrier was waited for');
is(log_lines(qr/is being accessed by other users/), 0, 'nobody was in the way');
my $per_round = (log_lines(qr/\n/) - $lines) / max($rounds - $warm, 1);
cmp_ok($per_round, '<', 60, 'lines in the log for a round');

is(launcher_pid(), $launcher, 'the launcher is the same');
my $grown = own_memory($launcher) - $memory;
cmp_ok($grown, '<', 2048, 'it has not grown');
diag("launcher: $memory kB, grown by $grown kB; $per_round lines a round");

# ---------------------------------------------------- signals at random moments

$main->query('DROP DATABASE mold');
$main->query('CREATE DATABASE shop');
my $shop = client('shop');
$shop->query(q{
	CREATE EXTENSION pg_steward CASCADE;
	CREATE TABLE sales (id int PRIMARY KEY, day int, amount int);
	INSERT INTO sales SELECT g, g % 50, g FROM generate_series(1, 20000) g});
my %query = (
	by_diff => 'SELECT id, amount, md5(day::text) AS text FROM sales',
	by_swap => 'SELECT id, day, repeat(md5(amount::text), 3) AS text FROM sales',
	by_plain => 'SELECT day, sum(amount) AS total FROM sales GROUP BY day',
	by_server => 'SELECT day, count(*) AS n FROM sales GROUP BY day');
my %method = (by_diff => 'diff', by_swap => 'swap', by_plain => 'plain', by_server => 'concurrently');
foreach my $view (sort keys %query)
{
	my ($key) = $query{$view} =~ /SELECT (\w+)/;
	$shop->query("CREATE MATERIALIZED VIEW $view AS $query{$view}");
	$shop->query("CREATE UNIQUE INDEX ON $view ($key)");
}
$shop->query(q{
	CREATE MATERIALIZED VIEW upper AS SELECT max(total) AS m FROM by_plain;
	CREATE MATERIALIZED VIEW top AS SELECT m, (SELECT count(*) FROM by_diff) AS n FROM upper});
$query{upper} = "SELECT max(total) AS m FROM ($query{by_plain}) v";
$query{top} = "SELECT max(total) AS m, (SELECT count(*) FROM sales) AS n FROM ($query{by_plain}) v";
my $before = catalog_rows($shop);
$shop->query("SELECT schedule_matview_refresh('$_', target_lag => '1 s', method => '" . ($method{$_} // 'auto') . "')")
  foreach sort keys %query;

my %sent;
foreach my $number (1 .. $signals)
{
	$shop->query(sprintf 'UPDATE sales SET amount = amount + 1 WHERE id %% 10 = %d', $number % 10);
	$shop->query('SELECT resume_matview_refresh()');
	sleep rand 1;
	my $type = rand() < 0.25 ? 'launcher' : 'refresh worker';
	# no other process may get its number before the signal: it is sent there
	my $function = rand() < 0.6 ? 'pg_terminate_backend' : 'pg_cancel_backend';
	wait_until($shop, qq{EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'pg_steward $type' AND coalesce(datname, 'shop') = 'shop')}, 20);
	my $hit = $shop->query(qq{SELECT count($function(pid)) FROM pg_stat_activity
		WHERE backend_type = 'pg_steward $type' AND coalesce(datname, 'shop') = 'shop'})->[0][0];
	$sent{"$function $type"} += $hit;
}
diag(join ', ', map { "$sent{$_} $_" } sort keys %sent);

ok(wait_until($shop, q{EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'pg_steward launcher')}), 'the launcher is back');
is($shop->query(q{SELECT count(*) FROM steward.matview_state WHERE suspended IS NOT NULL OR crash_count > 0})->[0][0], 0,
	'no view is suspended, nor is anything taken for a crash');
$shop->query('SELECT resume_matview_refresh()');
$shop->query('UPDATE sales SET amount = amount + 1 WHERE id % 10 = 0');
foreach my $view (sort keys %query)
{
	ok( wait_until($shop, "NOT EXISTS (TABLE $view EXCEPT ALL $query{$view}) AND NOT EXISTS ($query{$view} EXCEPT ALL TABLE $view)"),
		"$view is right");
}
ok( wait_until($shop, q{NOT EXISTS (SELECT FROM steward.matview_state WHERE running_since IS NOT NULL OR consecutive_failures > 0)
	AND NOT EXISTS (SELECT FROM get_matview_status() WHERE state <> 'fresh')}),
	'all views are fresh, none is stuck')
  or diag explain $shop->query(q{SELECT * FROM get_matview_status()});
is(catalog_rows($shop), $before, 'nothing is left in the catalogs');
is($shop->query('SELECT count(*) FROM get_matview_refresh_progress()')->[0][0], 0, 'or among running refreshes');
diag(join ', ', map { "$_->[0] $_->[1]" }
	  @{ $shop->query('SELECT outcome, count(*) FROM steward.matview_refresh_history GROUP BY 1 ORDER BY 1') });
$shop->close;

# ------------------------------------------------------ many views and databases

my $start = time;
$main->query('CREATE DATABASE many');
my $many = client('many');
$many->query('CREATE EXTENSION pg_steward CASCADE; CREATE TABLE t (a int)');
$many->query(qq{DO 'BEGIN FOR i IN 1 .. $views - 1 LOOP
	EXECUTE format(\$\$CREATE MATERIALIZED VIEW v%s AS SELECT count(*) + %s AS n FROM t\$\$, i, i);
	PERFORM schedule_matview_refresh(format(\$\$v%s\$\$, i)::regclass, target_lag => interval \$\$2 s\$\$);
	END LOOP; END'});
$many->query(qq{CREATE TABLE parts (a int, b int) PARTITION BY LIST (a)});
$many->query(qq{DO 'BEGIN FOR i IN 1 .. $partitions LOOP
	EXECUTE format(\$\$CREATE TABLE parts%s PARTITION OF parts FOR VALUES IN (%s)\$\$, i, i);
	END LOOP; END'});
$many->query(q{CREATE MATERIALIZED VIEW over_parts AS SELECT a, sum(b) AS n FROM parts GROUP BY a;
	SELECT schedule_matview_refresh('over_parts', target_lag => '2 s')});
diag(sprintf '%d views, one over %d partitions: created in %.1f s', $views, $partitions, time - $start);
$main->query('CREATE DATABASE one');
$node->safe_psql('one', q{
	CREATE EXTENSION pg_steward CASCADE;
	CREATE TABLE t (a int);
	CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n FROM t;
	SELECT schedule_matview_refresh('v', target_lag => '2 s')});
$main->query("CREATE DATABASE one$_ TEMPLATE one") foreach 2 .. $databases;

my $all_done = "(SELECT count(*) = $views FROM steward.matview_state WHERE last_ok IS NOT NULL)";
ok(wait_until($many, $all_done, 300), 'all of many views have been refreshed');
ok(wait_until($many, q{NOT EXISTS (SELECT FROM get_matview_status() WHERE state <> 'fresh')}, 300), 'and are fresh');
$start = time;
$many->query("INSERT INTO t VALUES (1); INSERT INTO parts VALUES ($partitions, 7)");
ok(wait_until($many, "n = 7 FROM over_parts WHERE a = $partitions") , 'a view over many partitions follows')
  if wait_until($many, "EXISTS (SELECT FROM over_parts WHERE a = $partitions)", 300);
ok(wait_until($many, q{NOT EXISTS (SELECT FROM get_matview_status() WHERE state <> 'fresh')}, 300), 'so do all others');
diag(sprintf 'a change reached %d views in %.1f s', $views, time - $start);
is($many->query("SELECT n FROM v@{[ $views - 1 ]}")->[0][0], $views, 'with the right content');

my $behind = 0;
$start = time;
foreach my $number (1 .. $databases)
{
	my $client = client('one' . ($number > 1 ? $number : ''));
	$client->query('INSERT INTO t VALUES (1)');
	$client->close;
}
foreach my $number (1 .. $databases)
{
	my $client = client('one' . ($number > 1 ? $number : ''));
	$behind++ if !wait_until($client, 'n = 1 FROM v', 300);
	$client->close;
}
is($behind, 0, 'views of all databases follow');
diag(sprintf 'a change in each of %d databases was there in %.1f s', $databases, time - $start);

$launcher = launcher_pid();
cmp_ok(own_memory($launcher), '<', 16384, 'memory of the launcher');
ok(wait_until($main, q{NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'pg_steward refresh worker')}),
	'workers end when there is nothing to do');
$lines = log_lines(qr/\n/);
sleep 5;
cmp_ok(log_lines(qr/\n/) - $lines, '<=', 5, 'a server at rest has nothing to say');
diag('launcher: ' . own_memory($launcher) . ' kB with all views');

is(log_lines(qr/PANIC|TRAP|terminated by signal/), 0, 'no crash');
$main->close;
$node->stop;
done_testing();
