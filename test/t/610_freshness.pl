# What is known about materialized views over restarts, crashes, promotion,
# prepared transactions and databases with a number that was used before.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_stat_statements,pg_steward'
autovacuum = off
max_prepared_transactions = 10
restart_after_crash = on
pg_steward.refresh_max_views = 10
});
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION pg_steward CASCADE;
	CREATE TABLE t (a int);
	CREATE UNLOGGED TABLE u (a int);
	INSERT INTO u SELECT generate_series(1, 5);
	CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM t;
	CREATE MATERIALIZED VIEW m_u AS SELECT count(*) FROM u});

sub state
{
	my ($view, $on) = @_;
	return ($on // $node)->safe_psql('postgres', "SELECT state FROM steward.matview_freshness('$view')");
}

sub peeked
{
	my ($view) = @_;
	return $node->safe_psql('postgres', "SELECT peeked || CASE WHEN recheck THEN ' recheck' ELSE '' END FROM steward.matview_freshness('$view')");
}

sub refresh
{
	my ($view, $on) = @_;
	($on // $node)->safe_psql('postgres', "SELECT refresh_matview_now('$view')");
	return;
}

# a restart forgets; what was prepared before it is noticed after it
refresh('m');
is(state('m'), 'fresh', 'fresh after its refresh');
$node->safe_psql('postgres', q{BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'one'});
is(state('m'), 'fresh', 'what is only prepared is not seen');
$node->restart;
is(state('m'), 'unknown', 'nothing is known after a restart');
refresh('m');
is(state('m'), 'fresh', 'fresh beside a transaction prepared before the restart');
$node->safe_psql('postgres', q{COMMIT PREPARED 'one'});
is(peeked('m'), 'stale', 'its commit is noticed');
refresh('m');
is(state('m'), 'fresh', 'and counts once');

# so is one that is rolled back: we cannot know, and are careful
$node->safe_psql('postgres', q{BEGIN; CREATE TABLE x (a int); INSERT INTO t VALUES (1); PREPARE TRANSACTION 'two'});
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'two'});
is(state('m'), 'stale', 'a prepared transaction that is rolled back counts as a change');

# many changes in one prepared transaction
refresh('m');
$node->safe_psql('postgres', join ';', 'BEGIN', (map { "CREATE TABLE y$_ (a int)" } 1 .. 80),
	'INSERT INTO t VALUES (3)', q{PREPARE TRANSACTION 'three'});
is(state('m'), 'fresh', 'a large one is prepared');
$node->safe_psql('postgres', q{COMMIT PREPARED 'three'});
is(state('m'), 'stale', 'its commit is noticed, too');
refresh('m');
is(state('m'), 'fresh', 'and does not linger');

# a crash empties unlogged tables, and shared memory
refresh('m_u');
is(state('m_u'), 'fresh', 'view of an unlogged table');
my $pid = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'");
kill 'KILL', $pid;
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid")
  or die 'no restart after the crash';
is(state('m_u'), 'unknown', 'nothing is known after a crash');
is($node->safe_psql('postgres', 'SELECT (SELECT count(*) FROM u), (SELECT count FROM m_u)'), '0|5',
	'the view is indeed stale');

# more views than have room: who was asked about last stays
$node->safe_psql('postgres', join ';', map { "CREATE MATERIALIZED VIEW many_$_ AS SELECT a FROM t" } 1 .. 15);
refresh("many_$_") for 1 .. 15;
is(state('many_15'), 'fresh', 'the latest has room');
is(state('many_1'), 'unknown', 'the oldest had to go');
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM pg_matviews, steward.matview_freshness(matviewname::regclass) WHERE state = 'fresh'}),
	'10', 'as many as the setting allows');

# a database with the number of another: the same view, the same table
$node->safe_psql('postgres', 'CREATE DATABASE model');
$node->safe_psql('model', q{
	CREATE EXTENSION pg_steward CASCADE;
	CREATE TABLE t (a int);
	CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM t;
	INSERT INTO t VALUES (1)});
$node->safe_psql('postgres', 'CREATE DATABASE again TEMPLATE model OID 99999');
$node->safe_psql('again', "SELECT refresh_matview_now('m')");
is($node->safe_psql('again', "SELECT state, m.count FROM steward.matview_freshness('m'), m"), 'fresh|1',
	'fresh in the first database');
$node->safe_psql('postgres', 'DROP DATABASE again');
$node->safe_psql('postgres', 'CREATE DATABASE again TEMPLATE model OID 99999');
is($node->safe_psql('again', "SELECT state = 'fresh', m.count FROM steward.matview_freshness('m'), m"), 'f|0',
	'not in the second, which has another content');
$node->safe_psql('again', "SELECT refresh_matview_now('m')");
is($node->safe_psql('again', "SELECT state FROM steward.matview_freshness('m')"), 'fresh',
	'but after a refresh there');

# a standby knows nothing; after promotion it does, prepared ones included
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->safe_psql('postgres', q{BEGIN; INSERT INTO t VALUES (4); PREPARE TRANSACTION 'four'});
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', "SELECT state, reason FROM steward.matview_freshness('m')"),
	'unknown|the server is a standby', 'a standby says so');
$standby->promote;
is(state('m', $standby), 'unknown', 'nothing is known after promotion');
refresh('m', $standby);
is(state('m', $standby), 'fresh', 'fresh after a refresh');
$standby->safe_psql('postgres', q{COMMIT PREPARED 'four'});
is(state('m', $standby), 'stale', 'a transaction prepared on the former primary is noticed');
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'four'});
$standby->stop;
$node->stop;

# without preloading
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "'pg_stat_statements'");
$node->start;
is($node->safe_psql('postgres', "SELECT state, reason FROM steward.matview_freshness('m')"),
	'unknown|pg_steward is not loaded at server start', 'not preloaded');
$node->stop;
done_testing();
