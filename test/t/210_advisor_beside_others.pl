# The index advisor's planner hooks: on a standby, and beside another extension
# with hypothetical indexes, HypoPG, where it is installed.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_stat_statements,pg_steward'
autovacuum = off
});
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION pg_steward CASCADE;
	CREATE TABLE t AS SELECT g AS id, g % 1000 AS a, repeat('x', 100) AS filler FROM generate_series(1, 20000) g;
	CREATE UNLOGGED TABLE u AS SELECT * FROM t;
	VACUUM ANALYZE t, u;});
$node->backup('base');

my $ask = q{SELECT definition, used FROM steward.index_candidates('SELECT * FROM t WHERE a = $1 AND lower(filler) = $2') WHERE definition ~ '[(]a[)]'};
my $answer = 'CREATE INDEX ON public.t USING btree (a)|t';
is($node->safe_psql('postgres', $ask), $answer, 'candidate');

# On a standby: reads only.  What cannot be read there is an error, not a crash.
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', $ask), $answer, 'candidate on a standby');
my ($ret, $out, $err) = $standby->psql('postgres', q{SELECT * FROM steward.index_candidates('SELECT * FROM u WHERE a = 1')});
like($err, qr/cannot access temporary or unlogged relations during recovery/, 'unlogged table on a standby');
$standby->stop;

# A temporary table of one's own has candidates, too.
is( $node->safe_psql('postgres', q{
		CREATE TEMP TABLE mine AS SELECT * FROM t;
		ANALYZE mine;
		SELECT definition ~ 'mine USING btree' FROM steward.index_candidates('SELECT * FROM mine WHERE a = 1') LIMIT 1;}),
	't', 'temporary table');

SKIP:
{
	skip 'hypopg is not installed', 8
	  if $node->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'hypopg'}) eq '0';
	$node->safe_psql('postgres', 'CREATE EXTENSION hypopg');

	my $theirs = q{SELECT count(*) FROM hypopg_create_index('CREATE INDEX ON t (a) INCLUDE (id) WHERE filler IS NOT NULL')};
	my $explain = q{EXPLAIN (COSTS OFF) SELECT * FROM t WHERE a = 1 AND filler IS NOT NULL};

	# in both orders of loading
	foreach my $order ([ $theirs, $ask ], [ $ask, $theirs ])
	{
		$out = $node->safe_psql('postgres', join(';', @$order, $explain, $ask, $explain));
		like($out, qr/Index Scan.*<\d+>btree_t_a.*Index Scan.*<\d+>btree_t_a/s, "hypopg's index stays visible to its EXPLAIN");
		my $count = () = $out =~ /\Q$answer\E/g;
		is($count, 2, 'and is none of our business');
	}

	# our functions inside of EXPLAIN, which turns hypopg on
	$out = $node->safe_psql('postgres', "$theirs; EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) $ask; $explain; $ask");
	like($out, qr/Function Scan on index_candidates/, 'inside of EXPLAIN');
	like($out, qr/\Q$answer\E/, 'and after it');
	$out = $node->safe_psql('postgres', "$theirs; CREATE VIEW v AS SELECT * FROM t WHERE filler IS NOT NULL; "
		  . q{SELECT count(*) > 0 FROM steward.index_candidates('SELECT id FROM v WHERE a = 1'); }
		  . 'EXPLAIN (COSTS OFF) SELECT id FROM v WHERE a = 1');
	like($out, qr/^t$/m, 'view over a predicate');
	is($node->safe_psql('postgres', "SELECT 1"), '1', 'the server lives');
}

$node->stop;
done_testing();
