# The memory of the detection of repeated statements: bounded, shared by many
# clients, empty after a crash; and sessions that end while a group goes on.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use StewardClient;
use StewardWorkloads;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_stat_statements,pg_steward'
autovacuum = off
pg_steward.n_plus_one_max = 10
restart_after_crash = on
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_steward CASCADE');
my $user = $node->safe_psql('postgres', 'SELECT current_user');
$node->safe_psql('postgres', StewardWorkloads::tables('m'));

sub client
{
	return StewardClient->new(host => $node->host, port => $node->port, user => $user, @_);
}

# Run one page with so many children, in a transaction.  Pages with different
# marks have different statements.
sub page
{
	my ($c, $children, $mark) = @_;
	my $more = ' AND id > 0' x $mark;
	$c->query('BEGIN');
	my $rows = $c->execute("SELECT id FROM w_m_a WHERE n = 0$more ORDER BY id LIMIT \$1", $children);
	$c->execute("SELECT name FROM w_m_b WHERE a_id = \$1$more", $_->[0]) foreach @$rows;
	$c->query('COMMIT');
}

# A group is visible while it goes on and its session is idle afterwards.
my $c = client(application => 'shop');
page($c, 30, 0) for 1 .. 3;
is($node->safe_psql('postgres', q{
	SELECT kind, groups, median_executions, max_executions, parent_rows, application_name
	  FROM get_n_plus_one_queries()}),
	'n_plus_one|3|30|30|30|shop', 'visible while the session is idle');
is($node->safe_psql('postgres', 'SELECT executions, matched, calls FROM steward.n_plus_one_pairs()'),
	'90|3|90', 'counted exactly');
$c->query('SELECT 1');
$c->close;
is($node->safe_psql('postgres', 'SELECT groups, executions, matched FROM steward.n_plus_one_pairs()'),
	'3|90|3', 'the same after the session');

# 30 entries; more pairs than that, and the oldest makes room.
$c = client();
page($c, 6, $_) for 1 .. 40;
$c->close;
is($node->safe_psql('postgres',
		'SELECT entries = max_entries, max_entries, evictions > 0 FROM steward.n_plus_one_info()'),
	't|30|t', 'memory is bounded');
is($node->safe_psql('postgres', q{
	SELECT bool_or(query ~ '(AND .*){40}'), bool_or(query !~ 'AND')
	  FROM get_n_plus_one_queries(NULL, 1, 0)}),
	't|f', 'the latest pair is there, the first one is not');

# 8 clients, evictions and resets at the same time
StewardWorkloads::clients(8, sub {
	my ($i) = @_;
	my $c = client();
	for my $n (1 .. 60)
	{
		page($c, 8, ($n * $i) % 50);
		$c->query('SELECT reset_n_plus_one()') if $i == 1 && $n % 10 == 0;
		$c->query('SELECT count(*) FROM get_n_plus_one_queries()') if $i == 2;
	}
	$c->close;
});
is($node->safe_psql('postgres', q{
	SELECT count(*) FILTER (WHERE groups <= 0 OR executions < 5 * groups OR matched > groups
	                           OR coherent > groups OR mean_ratio < 0)
	  FROM steward.n_plus_one_pairs()}), '0', 'figures make sense');
is($node->safe_psql('postgres', 'SELECT entries <= max_entries FROM steward.n_plus_one_info()'),
	't', 'within the limits');

# The same by 4 clients without evictions: nothing is lost.
$node->safe_psql('postgres', 'SELECT reset_n_plus_one()');
StewardWorkloads::clients(4, sub {
	my $c = client();
	page($c, 9, 0) for 1 .. 50;
	$c->close;
});
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'client backend'});
is($node->safe_psql('postgres', q{SELECT groups, executions, matched FROM steward.n_plus_one_pairs() WHERE parent_queryid IS NOT NULL}),
	'200|1800|200', 'many clients are counted exactly');

# An error in the middle of a group, and a cancelled transaction
$node->safe_psql('postgres', 'SELECT reset_n_plus_one()');
$c = client();
for (1 .. 3)
{
	$c->query('BEGIN');
	my $rows = $c->execute('SELECT id FROM w_m_a ORDER BY id LIMIT $1', 12);
	$c->execute('SELECT name FROM w_m_b WHERE a_id = $1', $_->[0]) foreach @$rows;
	eval { $c->query('SELECT 1 / count(*) FROM w_m_a WHERE id < 0') };
	$c->query('ROLLBACK');
}
is($node->safe_psql('postgres', q{SELECT kind, groups, max_executions FROM get_n_plus_one_queries()}),
	'n_plus_one|3|12', 'transactions that are rolled back count');

# Off, and a higher threshold, take effect in sessions that are there.
$node->append_conf('postgresql.conf', 'pg_steward.n_plus_one_threshold = 20');
$node->reload;
select undef, undef, undef, 0.5;
$c->query('SELECT 1');
$node->safe_psql('postgres', 'SELECT reset_n_plus_one()');
page($c, 12, 0);
is($node->safe_psql('postgres', 'SELECT count(*) FROM steward.n_plus_one_pairs()'), '0', 'threshold');
page($c, 25, 0) for 1 .. 3;
is($node->safe_psql('postgres', 'SELECT groups FROM get_n_plus_one_queries()'), '3', 'above it');
$node->append_conf('postgresql.conf', 'pg_steward.n_plus_one = off');
$node->reload;
select undef, undef, undef, 0.5;
page($c, 25, 0) for 1 .. 3;
is($node->safe_psql('postgres', 'SELECT groups FROM get_n_plus_one_queries()'), '3', 'off');
$c->close;

# A crash: the server comes back with empty memory.
my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'});
kill 'KILL', $pid;
$node->poll_query_until('postgres', 'SELECT 1', '1');
is($node->safe_psql('postgres', 'SELECT entries FROM steward.n_plus_one_info()'), '0', 'empty after a crash');

# Without preload
$node->append_conf('postgresql.conf', q{shared_preload_libraries = 'pg_stat_statements'});
$node->restart;
foreach my $call ('get_n_plus_one_queries()', 'reset_n_plus_one()', 'steward.n_plus_one_info()')
{
	my ($ret, $out, $err) = $node->psql('postgres', "SELECT * FROM $call");
	like($err, qr/pg_steward is not loaded at server start/, "$call says what is missing");
}

# Without pg_stat_statements there are no texts, but everything else.
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_steward'
pg_steward.n_plus_one = on
});
$node->restart;
$c = client();
page($c, 25, 0) for 1 .. 3;
is($node->safe_psql('postgres', q{
	SELECT kind, groups, query IS NULL, parent_query IS NULL, queryid IS NOT NULL
	  FROM get_n_plus_one_queries()}),
	'n_plus_one|3|t|t|t', 'without pg_stat_statements');
$c->close;

done_testing();
