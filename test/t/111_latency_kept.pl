# Latency histograms over restarts and crashes, on a standby, and beside many
# clients that count, evict and reset at the same time.
use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_stat_statements,pg_steward'
autovacuum = off
restart_after_crash = on
pg_steward.max_queries = 100
pg_stat_statements.max = 100000
});
$node->start;
my $file = $node->data_dir . '/pg_stat/pg_steward_latency.stat';

sub sql { return $node->safe_psql('postgres', @_); }

sql(q{
	CREATE EXTENSION pg_steward CASCADE;
	CREATE TABLE item (id int PRIMARY KEY, name text);
	INSERT INTO item SELECT g, 'item ' || g FROM generate_series(1, 1000) g;
	VACUUM ANALYZE item});
my $kept = q{coalesce((SELECT queryid FROM pg_stat_statements WHERE query LIKE 'SELECT count(*) AS kept FROM item%'), -1)};
sub kept
{
	my ($more) = @_;
	return sql("SELECT calls, aborted, latency_ms, mean_exec_ms FROM get_query_latency($kept, '{0.5,1}'" . ($more || '') . ')');
}
sql("SELECT count(*) AS kept FROM item WHERE id = $_") foreach 1 .. 7;
$node->psql('postgres', q{SELECT count(*) AS kept FROM item WHERE id = 'x'});

# A clean restart keeps everything; periods start anew.
my $before = kept();
like($before, qr/^8\|1\|/, 'counted');
like(kept(", '1 hour'"), qr/^8\|/, 'in the last hour');
my $reset_at = sql('SELECT since FROM get_latency_summary()');
$node->stop('fast');
ok(-f $file, 'file is there when the server is down');
cmp_ok(-s $file, '<', 50 * 1024, 'and small');
$node->start;
ok(!-f $file, 'file is gone when the server is up');
is(kept(), $before, 'histogram is kept over a restart');
is(kept(", '1 hour'"), '', 'but is no part of the last hour');
is(sql('SELECT since FROM get_latency_summary()'), $reset_at, 'time of the reset is kept');
sql('SELECT count(*) AS kept FROM item WHERE id = 1');
like(kept(), qr/^9\|1\|/, 'counting goes on');
like(kept(", '5 min'"), qr/^1\|/, 'and the last minutes have what is new');

# A damaged file, and one of another format, are dropped and said so.
foreach my $damage ([ 100, 'x' ], [ 0, 'abcd' ])
{
	$node->stop;
	open my $handle, '+<:raw', $file or die "could not open $file: $!";
	seek $handle, $damage->[0], 0;
	print $handle $damage->[1];
	close $handle;
	my $log_size = -s $node->logfile;
	$node->start;
	like(slurp_file($node->logfile, $log_size), qr/LOG:  ignoring file "pg_stat\/pg_steward_latency.stat"/,
		"damage at $damage->[0] is noticed");
	is(kept(), '', 'and nothing is read');
	sql('SELECT count(*) AS kept FROM item WHERE id = 1');
}
# an empty and a cut one
foreach my $size (0, 90)
{
	$node->stop;
	truncate $file, $size;
	$node->start;
	is(kept(), '', "a file of $size bytes is dropped");
	sql('SELECT count(*) AS kept FROM item WHERE id = 1');
}

# A crash forgets: of the server, and of one process.
sql('SELECT count(*) AS kept FROM item WHERE id = 1');
$node->stop('immediate');
ok(!-f $file, 'no file after a crash');
$node->start;
is(kept(), '', 'nothing is left after a crash');
sql('SELECT count(*) AS kept FROM item WHERE id = 1');
my ($in, $out, $timer) = ('', '', IPC::Run::timer(180));
my $victim = IPC::Run::start(
	[ 'psql', '-XAtq', '-d', $node->connstr('postgres') ],
	'<', \$in, '>', \$out, '2>', \my $victim_err, $timer);
$in .= "SELECT 'pid ' || pg_backend_pid();\n";
$victim->pump until $out =~ /pid (\d+)/;
my ($pid) = $out =~ /pid (\d+)/;
$in .= "SELECT pg_sleep(100);\n";
$victim->pump_nb;
is(PostgreSQL::Test::Utils::system_log('pg_ctl', 'kill', 'KILL', $pid), 0, 'killed a backend');
$in .= "\\q\n";
eval { $victim->finish; };
ok($node->poll_query_until('postgres', 'SELECT true'), 'server is back');
is(kept(), '', 'nothing is left after a crash of a process');
sql("SELECT count(*) AS kept FROM item WHERE id = $_") foreach 1 .. 3;
like(kept(), qr/^3\|0\|/, 'and counting goes on');

# Without pg_steward.save.
$node->append_conf('postgresql.conf', 'pg_steward.save = off');
$node->restart;
$node->restart;
is(kept(), '', 'pg_steward.save = off keeps nothing');
ok(!-f $file, 'and leaves no file');

# A standby counts its own statements.
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->append_conf('postgresql.conf', 'pg_steward.save = on');
$standby->start;
$standby->safe_psql('postgres', "SELECT count(*) AS kept FROM item WHERE id = $_") foreach 1 .. 4;
is($standby->safe_psql('postgres', "SELECT calls FROM get_query_latency(percentiles => '{1}') WHERE calls = 4"),
	'4', 'standby: counts');
$standby->restart;
is($standby->safe_psql('postgres', "SELECT calls FROM get_query_latency(percentiles => '{1}') WHERE calls = 4"),
	'4', 'standby: keeps them over a restart');
is($standby->safe_psql('postgres', q{SELECT calls > 4, verdict FROM get_latency_summary()}), 't|ok', 'standby: summary');
$standby->stop;

# Eight clients that execute one hot statement, and so many others that most
# of them have to make room: nothing of the hot one is lost.
sql('SELECT reset_query_latency()');
sql('SELECT pg_stat_statements_reset()');
sub many
{
	my ($title, $transactions, $script) = @_;
	$node->pgbench(
		"--no-vacuum --client=8 --jobs=2 --protocol=simple --transactions=$transactions",
		0, [qr{processed: \d+/\d+}], [qr{^$}], $title, { $script->[0] => $script->[1] });
	return;
}
many('evictions', 1500, [ 'latency_evict', q{
	\set id random(1, 2000)
	SELECT count(*) AS hot FROM item WHERE id = :id;
	LISTEN channel:id;
} ]);
my $hot = q{(SELECT queryid FROM pg_stat_statements WHERE query LIKE 'SELECT count(*) AS hot FROM item%')};
is(sql("SELECT calls, aborted FROM get_query_latency($hot, '{0.5}')"), '12000|0', 'hot statement: exact');
is(sql("SELECT sum(count) FROM get_latency_histogram($hot)"), '12000', 'also in the histogram');
is(sql("SELECT calls FROM get_query_latency($hot, '{0.5}', '30 min')"), '12000', 'also in the last minutes');
is(sql('SELECT latency_queries <= 100, latency_evictions > 500, latency_dropped FROM get_steward_info()'),
	't|t|0', 'others made room, and it shows');

# What is executed again and again stays even when it is not for a while, in
# which the others take all room several times; what is not executed any more
# goes in the end.
{
	my $others = 0;
	my $churn = sub { return join ';', map { 'UNLISTEN other' . $others++ } 1 .. $_[0]; };
	my $steady = 'SELECT max(id) AS steady FROM item';
	my $calls = qq{SELECT calls FROM get_query_latency((SELECT queryid FROM pg_stat_statements WHERE query = '$steady'), '{0.5}')};

	sql('SELECT reset_query_latency()');
	sql(join ';', $steady, map { ($steady, $churn->(50)) } 1 .. 40);
	sql($churn->(800));
	sql($steady);
	is(sql($calls), '42', 'a statement in use stays');
	sql($churn->(6000));
	is(sql($calls), '', 'one that is not goes');
}

# The same with resets of other queries, of everything, and reports; what is
# counted in the end is nonsense in no way.
sql('SELECT reset_query_latency()');
many('resets', 800, [ 'latency_reset', q{
	\set id random(1, 2000)
	SELECT count(*) AS hot FROM item WHERE id = :id;
	LISTEN channel:id;
	SELECT reset_query_latency(:id);
	\if :id < 100
	SELECT count(*) FROM get_query_latency(period => '10 min');
	SELECT count(*) FROM get_latency_histogram();
	\endif
} ]);
is(sql("SELECT calls, aborted FROM get_query_latency($hot, '{0.5}')"), '6400|0', 'hot statement: exact beside resets of others');
many('resets of the hot one', 800, [ 'latency_reset_hot', q{
	\set id random(1, 2000)
	SELECT count(*) AS hot FROM item WHERE id = :id;
	\if :id < 200
	SELECT reset_query_latency();
	\endif
} ]);
is(sql(q{SELECT count(*) FROM get_query_latency(percentiles => '{0,1}')
	      WHERE calls < 1 OR calls > 6400 OR aborted <> 0 OR latency_ms < 0 OR latency_ms > 60000
	         OR mean_exec_ms < 0 OR mean_exec_ms > 60000 OR mean_latency_ms < mean_exec_ms
	         OR waiting_pct NOT BETWEEN 0 AND 100}),
	'0', 'resets leave no nonsense');

# Six clients execute one statement while two forget it in every way, and look
# all the time for what cannot be.  A report may see the times of an execution
# before its count, so it is asked for the mean only afterwards.
my $nonsense = q{calls < 1 OR aborted <> 0 OR latency_ms < 0 OR latency_ms > 60000
	OR mean_exec_ms < 0 OR mean_exec_ms > 60000 * 9 OR mean_latency_ms < mean_exec_ms
	OR mean_latency_ms > 60000 * 9 OR waiting_pct NOT BETWEEN 0 AND 100};
my $hot_queryid = sql("SELECT $hot");
$node->pgbench(
	'--no-vacuum --client=8 --jobs=2 --protocol=prepared --time=4',
	0, [qr{processed: \d+}], [qr{^$}], 'resets beside one hot statement', {
	'latency_reset_beside' => '
	\if :client_id < 6
	' . ("SELECT count(*) AS hot FROM item WHERE id = 1;\n" x 20) . "
	\\else
	SELECT reset_query_latency();
	SELECT reset_query_latency(queryid => $hot_queryid);
	SELECT reset_query_latency(database_name => 'postgres');
	SELECT 1 / (count(*) = 0)::int FROM get_query_latency(percentiles => '{0,0.5,1}') WHERE $nonsense;
	SELECT 1 / (count(*) = 0)::int FROM get_latency_histogram($hot_queryid) WHERE count < 1 OR count > 100000000;
	\\endif
	" });
is(sql("SELECT count(*) FROM get_query_latency(percentiles => '{0,1}') WHERE $nonsense"), '0', 'no nonsense is left');
is(sql(q{SELECT count(*) FROM (SELECT queryid, mean_latency_ms, min(latency_ms), max(latency_ms), min(calls) AS calls
		      FROM get_query_latency(percentiles => '{0,1}') GROUP BY 1, 2) q
		 WHERE mean_latency_ms NOT BETWEEN min / 1.032 - 0.0001 AND max * 1.032 + 0.0001}),
	'0', 'times and counts belong to the same executions');
is(sql('SELECT reset_query_latency() > 0'), 't', 'reset');
is(sql('SELECT latency_queries, latency_evictions, latency_dropped FROM get_steward_info()'), '1|0|0', 'everything was freed');
# all pages and entries can be used again
many('all room is there again', 100, [ 'latency_again', q{
	\set id random(1, 90)
	LISTEN channel:id;
} ]);
is(sql('SELECT latency_evictions, latency_dropped FROM get_steward_info()'), '0|0', 'no eviction below the limit');

# A file with more statements than there is room for: the rest was evicted.
$node->append_conf('postgresql.conf', "pg_steward.save = on\npg_steward.max_queries = 200");
$node->restart;
sql(join ';', map { "LISTEN channel$_" } 1 .. 160);
my ($queries, $evictions) = split /\|/, sql('SELECT latency_queries, latency_evictions FROM get_steward_info()');
cmp_ok($queries, '>=', 160, "$queries statements");
is($evictions, 0, 'all have room');
$node->append_conf('postgresql.conf', 'pg_steward.max_queries = 100');
$node->restart;
my ($loaded, $lost) = split /\|/, sql('SELECT latency_queries, latency_evictions FROM get_steward_info()');
cmp_ok($loaded, '<=', 100, "$loaded are left when fewer are kept");
cmp_ok($loaded + $lost, '>=', $queries, "and $lost evictions");

$node->stop;
done_testing();
