# Index reports on a primary and its standby, and after a crash.
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
});
$primary->start;
$primary->safe_psql('postgres', q{
	CREATE EXTENSION pg_steward CASCADE;
	CREATE TABLE p (id int PRIMARY KEY);
	CREATE TABLE t (a int, b int, c int REFERENCES p);
	INSERT INTO t SELECT g, g, NULL FROM generate_series(1, 1000) g;
	CREATE INDEX t_a ON t (a);
	CREATE INDEX t_b ON t (b);
	CREATE INDEX t_b_too ON t (b);
	CREATE INDEX t_spoilt ON t (a, b);
	UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_spoilt'::regclass;
	VACUUM ANALYZE t});

my $unused = q{SELECT index_name, verdict, reason ~ 'standbys count', drop_sql IS NOT NULL
	FROM get_unused_indexes(0, '0') ORDER BY 1};
my $redundant = q{SELECT index_name, drop_sql IS NOT NULL FROM get_redundant_indexes()};
my $missing = q{SELECT constraint_name, create_sql IS NOT NULL FROM get_missing_fk_indexes()};
my $invalid = q{SELECT index_name, state, fix_sql IS NOT NULL FROM get_invalid_indexes()};

is($primary->safe_psql('postgres', $unused),
	"t_a|unused|f|t\nt_b|unused|f|t\nt_b_too|unused|f|t", 'no standby: unused');

$primary->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby_1');
$standby->init_from_backup($primary, 'b', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);

# The primary has the commands, the standby cannot run them.
is($primary->safe_psql('postgres', $unused),
	"t_a|unused|t|t\nt_b|unused|t|t\nt_b_too|unused|t|t", 'primary: unused, but there is a standby');
is($primary->safe_psql('postgres', $redundant), 't_b_too|t', 'primary: redundant');
is($primary->safe_psql('postgres', $missing), 't_c_fkey|t', 'primary: missing');
is($primary->safe_psql('postgres', $invalid), 't_spoilt|failed|t', 'primary: invalid');
is($standby->safe_psql('postgres', $redundant), 't_b_too|f', 'standby: redundant');
is($standby->safe_psql('postgres', $missing), 't_c_fkey|f', 'standby: missing');
is($standby->safe_psql('postgres', $invalid),
	't_spoilt|unknown on a standby|f', 'standby: the primary may be building it');

# Scans count where they happen.
$standby->safe_psql('postgres', 'SET enable_seqscan = off; SELECT count(*) FROM t WHERE a = 5');
ok( $standby->poll_query_until(
		'postgres', q{SELECT NOT EXISTS (SELECT FROM get_unused_indexes(0, '0') WHERE index_name = 't_a')}),
	'standby: used here');
is($standby->safe_psql('postgres', $unused),
	"t_b|unused on this standby|t|f\nt_b_too|unused on this standby|t|f", 'standby: the others are not');
like($primary->safe_psql('postgres', $unused), qr/^t_a\|unused\|t\|t$/m, 'primary: does not know');

# A crash empties the counters: what was observed before is not known.
my $since = q{SELECT min(observed_since) FROM get_unused_indexes(0, '0') WHERE index_name = 't_a'};
my $before = $primary->safe_psql('postgres', 'SELECT now()');
is($primary->safe_psql('postgres', "SELECT ($since) < '$before'"), 't', 'observed since before');
$primary->restart;
is($primary->safe_psql('postgres', "SELECT ($since) < '$before'"), 't', 'and over a clean restart');
$primary->stop('immediate');
$primary->start;
is($primary->safe_psql('postgres', "SELECT ($since) > '$before'"), 't', 'but not over a crash');
is( $primary->safe_psql(
		'postgres', q{SELECT DISTINCT verdict, drop_sql, reason ~ 'counters are new'
			FROM get_unused_indexes(0, '1 hour') WHERE index_name = 't_a'}),
	'too early||t', 'too early after the crash');

done_testing();
