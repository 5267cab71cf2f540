# The index advisor's planner hooks: on a standby, and beside other extensions
# that have their hands in indexes, HypoPG and pg_hint_plan, where they are
# installed.  Statements that crashed servers in which these are combined, or
# with partial and INCLUDE indexes that are hypothetical, are among ours.
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

# A view over a partial index of an expression, with order and LIMIT; INCLUDE for
# an index-only scan; for us alone and, if it can be, beside HypoPG, whose
# EXPLAIN of the same may crash.
$node->safe_psql('postgres', q{
	CREATE TABLE f AS SELECT g AS id, now() - g % 400 * interval '1 day' AS ts, (g % 40 + 10)::bigint AS denom, (g % 977)::bigint AS num
	  FROM generate_series(1, 40000) g;
	CREATE INDEX ON f (ts);
	CREATE VIEW ratios AS SELECT id, ts, num::numeric / denom AS ratio FROM f WHERE denom >= 10 AND num > 0;
	VACUUM ANALYZE f;});
my $crashers = q{ARRAY['SELECT ratio, ts FROM ratios WHERE ts >= now() - interval ''90 days'' ORDER BY ratio DESC LIMIT 20',
	'SELECT id, denom FROM f WHERE num = 3 AND denom > 45', 'SELECT a FROM t WHERE a = 3 AND id = 4', 'SELECT count(*) FROM ratios r JOIN t ON t.id = r.id WHERE ratio > 90']};
my $advice = qq{SELECT count(*) > 1, bool_and(estimated_bytes > 0) FROM get_index_suggestions(min_gain_pct => 0.01, queries => $crashers)};
my $each = qq{SELECT count(*) > 3 FROM unnest($crashers) q, steward.index_candidates(q)};
is($node->safe_psql('postgres', "$advice; $each"), "t|t\nt", 'partial, INCLUDE and view');
SKIP:
{
	skip 'hypopg is not installed', 1
	  if $node->safe_psql('postgres', q{SELECT count(*) FROM pg_extension WHERE extname = 'hypopg'}) eq '0';
	is( $node->safe_psql('postgres', q{
			SELECT count(*) FROM hypopg_create_index('CREATE INDEX ON f ((num::numeric / denom)) WHERE num > 0 AND denom >= 10');
			SELECT count(*) FROM hypopg_create_index('CREATE INDEX ON f (num) INCLUDE (id, denom)');} . "$advice; $each"),
		"1\n1\nt|t\nt", "beside hypopg's own of the kind");
}

# Hints look up all indexes that the planner sees by name.
SKIP:
{
	($ret, $out, $err) = $node->psql('postgres', q{LOAD 'pg_hint_plan'});
	skip 'pg_hint_plan is not installed', 3 if $ret != 0;

	$node->safe_psql('postgres', 'CREATE INDEX t_id_idx ON t (id)');
	my $hinted = '/*+ IndexScan(t t_id_idx) NoSeqScan(f) IndexScan(f f_ts_idx) */ ';
	foreach my $load ('', q{LOAD 'pg_hint_plan'; })
	{
		# loaded before our hooks are installed, and after
		my $before = $load eq '' ? q{SELECT count(*) FROM get_droppable_indexes() WHERE false; LOAD 'pg_hint_plan'; } : $load;
		$out = $node->safe_psql('postgres', $before . "$hinted$advice; $hinted$each; $hinted EXPLAIN (COSTS OFF) SELECT * FROM t WHERE id = 3 AND a = 4; SELECT 'alive'");
		like($out, qr/t\|t\nt\n.*t_id_idx.*alive/s, 'hints' . ($load eq '' ? '' : ', loaded first'));
	}
	$out = $node->safe_psql('postgres', q{LOAD 'pg_hint_plan'; SELECT count(*) > 0 FROM analyze_query('/*+ IndexScan(t t_id_idx) */ SELECT * FROM t WHERE a = 4 AND id = 3')});
	is($out, 't', 'hints inside of a statement that we plan');
}

$node->stop;
done_testing();
