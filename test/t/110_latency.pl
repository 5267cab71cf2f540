# Latency histograms where sessions wait for each other, fail, or work beside
# pg_stat_statements in either order: all three protocols, parallel query,
# nothing but pg_steward preloaded.
use strict;
use warnings;

use IPC::Run;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_stat_statements,pg_steward'
autovacuum = off
});
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION pg_steward CASCADE;
	CREATE TABLE item (id int PRIMARY KEY, name text);
	INSERT INTO item SELECT g, 'item ' || g FROM generate_series(1, 20000) g;
	VACUUM ANALYZE item});

sub sql { return $node->safe_psql('postgres', @_); }

# A script of one statement, for pgbench.
my $script = PostgreSQL::Test::Utils::tempdir() . '/blocked.sql';
append_to_file($script, "SELECT count(*) AS blocked FROM item WHERE id = 3;\n");

# Run the script once while another session holds a lock on its table for so
# many seconds; returns what pgbench says.
sub run_blocked
{
	my ($protocol, $seconds, %env) = @_;
	my ($in, $out, $timer) = ('', '', IPC::Run::timer(180));
	my $holder = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres') ],
		'<', \$in, '>', \$out, $timer);

	$in .= "BEGIN; LOCK TABLE item IN ACCESS EXCLUSIVE MODE;\n\\echo locked\n";
	$holder->pump until $out =~ /locked/;
	$in .= "SELECT pg_sleep($seconds);\nCOMMIT;\n\\q\n";
	$holder->pump_nb;
	local %ENV = (%ENV, %env);
	my ($stdout, $stderr);
	IPC::Run::run(
		[
			'pgbench', '-n', '-t', '1', '-M', $protocol, '-f', $script,
			'-h', $node->host, '-p', $node->port, 'postgres'
		],
		'>', \$stdout, '2>', \$stderr);
	$holder->finish;
	return $stderr;
}

my $blocked = q{(SELECT queryid FROM pg_stat_statements WHERE query LIKE '%AS blocked FROM item%')};
my @protocols = qw(simple extended prepared);
foreach my $protocol (@protocols)
{
	run_blocked($protocol, 1);
}
is( sql(qq{SELECT calls, aborted, percentile, latency_ms > 600, mean_exec_ms < 500, waiting_pct > 50
	         FROM get_query_latency($blocked, '{0.01,0.5,1}')}),
	"3|0|0.01|t|t|t\n3|0|0.5|t|t|t\n3|0|1|t|t|t",
	'waiting for a lock before execution is latency, in all protocols');
is( sql(qq{SELECT calls, mean_time_ms < 500, p50_ms > 600, waiting_pct > 50, coverage_pct
	         FROM get_slow_queries(NULL) WHERE queryid = $blocked}),
	'3|t|t|t|100', 'and shown beside the time of execution');

# Cancelled while they wait, before they are identified.
foreach my $protocol (@protocols)
{
	like(run_blocked($protocol, 1, PGOPTIONS => '-c statement_timeout=300ms'),
		qr/canceling statement due to statement timeout/, "cancelled: $protocol");
}
is( sql(qq{SELECT calls, aborted, min(latency_ms) > 250
	         FROM get_query_latency($blocked, '{0.01,1}') GROUP BY 1, 2}),
	'6|3|t', 'cancelled statements are in the histogram of their query, in all protocols');
is(sql(qq{SELECT p99_ms > 600, aborted, coverage_pct FROM get_slow_queries(NULL) WHERE queryid = $blocked}),
	't|3|100', 'coverage leaves out what pg_stat_statements cannot know');

# One of several statements in a message, and a text with other literals.
{
	my ($in, $out, $timer) = ('', '', IPC::Run::timer(180));
	my $holder = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres') ],
		'<', \$in, '>', \$out, $timer);
	$in .= "BEGIN; LOCK TABLE item IN ACCESS EXCLUSIVE MODE;\n\\echo locked\n";
	$holder->pump until $out =~ /locked/;
	my ($ret, undef, $err) = $node->psql('postgres',
		"SET statement_timeout = '300ms'; SELECT count(*) AS blocked FROM  item /* why */ WHERE id = 42");
	like($err, qr/canceling statement/, 'cancelled: second statement of a message');
	$in .= "COMMIT;\n\\q\n";
	$holder->finish;
	is(sql(qq{SELECT calls, aborted FROM get_query_latency($blocked, '{1}')}),
		'7|4', 'counted for its query');
}

# Parsing is waited for once, by the statement that was parsed: not by one
# with the same id that is executed later, and a PREPARE does not bring along
# the statements before it in its message.
{
	my @in = ('') x 2;
	my @out = ('') x 2;
	my ($client, $holder) = map {
		IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ],
			'<', \$in[$_], '>', \$out[$_], IPC::Run::timer(180))
	} 0 .. 1;
	my $query = 'SELECT max(id) AS twice FROM item WHERE id = 3';
	$in[0] .= "PREPARE twice AS $query; EXECUTE twice;\n\\echo prepared\n";
	$client->pump until $out[0] =~ /prepared/;
	$in[1] .= "BEGIN; LOCK TABLE item IN ACCESS EXCLUSIVE MODE;\n\\echo locked\n";
	$holder->pump until $out[1] =~ /locked/;
	$in[1] .= "SELECT pg_sleep(2);\nCOMMIT;\n\\q\n";
	$holder->pump_nb;
	$in[0] .= "$query;\nEXECUTE twice;\n\\q\n";
	$client->pump_nb;
	$holder->finish;
	$client->finish;
	is( sql(q{SELECT calls, calls * (mean_latency_ms - mean_exec_ms) BETWEEN 1200 AND 3000 FROM get_query_latency(
		      (SELECT queryid FROM pg_stat_statements WHERE query LIKE '%AS twice FROM item%'), '{1}')}),
		'3|t', 'waiting in parse analysis counts once');
}
sql('SELECT pg_sleep(1) AS before\; PREPARE after AS SELECT min(name) AS after FROM item; EXECUTE after');
is( sql(q{SELECT calls, latency_ms < 800 FROM get_query_latency(
	      (SELECT queryid FROM pg_stat_statements WHERE query LIKE '%AS after FROM item%'), '{1}')}),
	'1|t', 'PREPARE after another statement in one message');

# Cancelled while they run.
foreach my $protocol (@protocols)
{
	my $sleep = "$script.$protocol";
	append_to_file($sleep, "SELECT pg_sleep(30), 1 AS slept;\n");
	local $ENV{PGOPTIONS} = '-c statement_timeout=200ms';
	IPC::Run::run(
		[
			'pgbench', '-n', '-t', '1', '-M', $protocol, '-f', $sleep,
			'-h', $node->host, '-p', $node->port, 'postgres'
		],
		'>', \my $stdout, '2>', \my $stderr);
}
is( sql(q{SELECT calls, aborted, percentile, latency_ms BETWEEN 190 AND 2000 FROM get_query_latency(percentiles => '{0.01,1}')
	       WHERE calls = aborted AND calls = 3}),
	"3|3|0.01|t\n3|3|1|t", 'cancelled in execution, in all protocols');

# Percentiles of real executions, against what the clients measured of the
# same ones: a shape for which mean and standard deviation tell nothing.  A
# client sees a little more, and much more only if it had to wait for a CPU.
my $dir = PostgreSQL::Test::Utils::tempdir();
append_to_file("$dir/shape.sql", q{
\set slow random(1, 100)
\set us random(40000, 60000)
\if :slow > 90
\set us random(300000, 400000)
\endif
SELECT pg_sleep(:us / 1000000.0), 2 AS shape;
});
{
	IPC::Run::run(
		[
			'pgbench', '-n', '-t', '40', '-c', '8', '-l', "--log-prefix=$dir/log", '-f', "$dir/shape.sql",
			'-h', $node->host, '-p', $node->port, 'postgres'
		],
		'>', \my $stdout, '2>', \my $stderr);
	my @ms = sort { $a <=> $b } map { (split ' ')[2] / 1000 }
	  map { split /\n/, slurp_file($_) } glob "$dir/log*";
	is(scalar @ms, 320, 'clients measured all executions');
	foreach my $percentile (0.1, 0.5, 0.8, 0.97, 0.99)
	{
		my $measured = $ms[ POSIX::ceil($percentile * @ms) - 1 ];
		my $reported = sql(qq{SELECT latency_ms FROM get_query_latency((SELECT queryid
		    FROM pg_stat_statements WHERE query LIKE '%AS shape'), ARRAY[$percentile]::float8[])});
		ok($reported < 1.0304 * $measured && $reported > 0.7 * $measured,
			"percentile $percentile: $reported ms, the clients measured $measured ms");
	}
}

# A client that thinks between fetches, and between Bind and Sync, is not slow.
sql(q{BEGIN; DECLARE c CURSOR FOR SELECT id AS fetched FROM item; FETCH 1 FROM c; SELECT pg_sleep(0.3) AS thinking; FETCH 1 FROM c; COMMIT});
is(sql(q{SELECT calls, max_time_ms < 200, p99_ms < 200 FROM get_slow_queries(NULL) WHERE query LIKE 'FETCH%' OR query LIKE 'DECLARE%' ORDER BY 1}),
	"1|t|t\n2|t|t", 'thinking is not latency');

# Parallel query: the leader is counted, once.
my $parallel = q{
	SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
	SET max_parallel_workers_per_gather = 2;
};
like(sql("$parallel EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT count(*) AS parallel FROM item"),
	qr/Workers Launched: 2/, 'workers run');
sql("$parallel SELECT count(*) AS parallel FROM item");
is(sql(q{SELECT calls, coverage_pct FROM get_slow_queries(NULL) WHERE query = 'SELECT count(*) AS parallel FROM item'}),
	'1|100', 'a parallel query is counted once');

# Whatever the order of loading, both see the same, and pg_stat_statements has
# its block counters.
my @blocks;
foreach my $libraries ('pg_stat_statements,pg_steward', 'pg_steward,pg_stat_statements')
{
	$node->append_conf('postgresql.conf', "shared_preload_libraries = '$libraries'");
	$node->restart;
	sql('SELECT pg_stat_statements_reset()');
	sql('SELECT reset_query_latency()');
	sql("SELECT count(name) AS counted FROM item WHERE id = $_") foreach 1 .. 5;
	sql('CREATE TABLE utility (id int); DROP TABLE utility');
	push @blocks, sql(q{SELECT shared_blks_hit + shared_blks_read FROM pg_stat_statements WHERE query LIKE '%AS counted FROM%'});
	is(sql(q{SELECT calls, coverage_pct FROM get_slow_queries(NULL)
		      WHERE query LIKE '%AS counted FROM%' OR query LIKE '%TABLE utility%' ORDER BY query COLLATE "C"}),
		"1|100\n1|100\n5|100", "$libraries: statements are counted by both");
	is(sql(q{SELECT l.calls, abs(l.mean_exec_ms - s.mean_exec_time) < 0.00001
		      FROM pg_stat_statements s, get_query_latency(s.queryid, '{1}') l WHERE s.query LIKE '%AS counted FROM%'}),
		'5|t', "$libraries: time of execution is the same");
}
cmp_ok($blocks[0], '>=', 10, 'pg_stat_statements counts blocks');
is($blocks[1], $blocks[0], 'and the same number whatever the order');

# So much time of one statement that the word for the times of short executions
# is full, twice: none of it is lost.
$node->pgbench(
	'--no-vacuum --client=80 --jobs=2 --protocol=simple --transactions=45',
	0, [qr{processed: 3600/3600}], [qr{^$}], 'much time',
	{ latency_sums => 'SELECT true AS summed, pg_sleep(0.04);' });
is(sql(q{SELECT l.calls, l.mean_exec_ms > 39, abs(l.mean_exec_ms - s.mean_exec_time) < 0.00001,
		        l.mean_latency_ms >= l.mean_exec_ms, l.mean_latency_ms < l.latency_ms * 1.031
		   FROM pg_stat_statements s, get_query_latency(s.queryid, '{1}') l WHERE s.query LIKE '%AS summed%'}),
	'3600|t|t|t|t', 'time is exact');

# Not tracked by pg_stat_statements, but by us; and the other way round.
sql(q{ALTER SYSTEM SET pg_stat_statements.track = 'none'});
$node->reload;
$node->poll_query_until('postgres', q{SELECT current_setting('pg_stat_statements.track') = 'none'});
sql('SELECT count(*) AS ours FROM item, item AS other WHERE item.id = 1 AND other.id = 1');
is(sql(q{SELECT count(*) FROM pg_stat_statements WHERE query LIKE '%AS ours%'}), '0', 'theirs is off');
cmp_ok(sql(q{SELECT count(*) FROM get_query_latency(percentiles => '{1}')}), '>', 3, 'ours works');

# Alone.
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_steward'");
$node->restart;
sql('SELECT pg_sleep(0.05) AS alone');
sql('SELECT pg_sleep(0.05) AS alone');
is(sql(q{SELECT calls, latency_ms BETWEEN 48 AND 1000, mean_exec_ms BETWEEN 48 AND 1000
	       FROM get_query_latency(percentiles => '{0.5}') WHERE latency_ms > 45 AND calls = 2 AND aborted = 0}),
	'2|t|t', 'without pg_stat_statements');
my ($ret, $out, $err) = $node->psql('postgres', 'SELECT * FROM get_slow_queries()');
like($err, qr/pg_stat_statements is not loaded at server start/, 'what is missing is said');

# Not preloaded: said by each function that needs it.
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_stat_statements'");
$node->restart;
foreach my $function ('get_query_latency()', 'get_latency_histogram()', 'get_latency_summary()', 'reset_query_latency()')
{
	($ret, $out, $err) = $node->psql('postgres', "SELECT * FROM $function");
	like($err, qr/pg_steward is not loaded at server start/, "$function needs preloading");
}
is(sql(q{SELECT count(*) > 0, count(p50_ms), count(latency) FROM get_slow_queries(NULL)}),
	't|0|0', 'get_slow_queries() works without histograms');
is(sql('SELECT latency_queries IS NULL, preloaded FROM get_steward_info()'), 't|f', 'info');

$node->stop;
done_testing();
