# Loading: by CREATE EXTENSION alone, by shared_preload_libraries alone, in
# single-user mode and during a binary upgrade; and what is said when
# something is missing.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;

# Nothing is preloaded: reports that need nothing work, the others say what to
# do, in the same words for the program and for the person.
$node->safe_psql('postgres', 'CREATE EXTENSION pg_steward CASCADE');
is( $node->safe_psql(
		'postgres',
		q{SELECT preloaded, started_at IS NULL, shared_memory_bytes, statements_preloaded, advice
		    FROM get_steward_info()}),
	q{f|t|0|f|Add the line "shared_preload_libraries = 'pg_stat_statements,pg_steward'" to postgresql.conf and restart the server.},
	'not preloaded: advice is the configuration line');
foreach my $report (
	qw(get_table_sizes() get_database_size(true) get_active_connections(true)
	get_cache_hit_ratio() get_index_usage() get_vacuum_status() get_replication_status())
  )
{
	my ($ret) = $node->psql('postgres', "SELECT * FROM $report");
	is($ret, 0, "$report works without preload");
}

# SQLSTATE, detail and hint of the error that a statement ends with
sub error_of
{
	my ($sql, $user) = @_;
	my $role = $user ? "SET ROLE $user;" : '';
	my ($ret, $out, $err) = $node->psql('postgres', "$role $sql",
		extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	isnt($ret, 0, "fails: $sql");
	return $err;
}
my $err = error_of('SELECT * FROM get_slow_queries()');
like($err, qr/ERROR:  55000: pg_stat_statements is not loaded at server start/,
	'errcode and message');
like($err, qr/DETAIL:  This function reads the counters that pg_stat_statements collects/, 'detail');
like($err, qr/HINT:  Add the line "shared_preload_libraries = 'pg_stat_statements,pg_steward'" to postgresql.conf and restart the server\./,
	'hint');

# What is preloaded already stays in the line, for those who may see it, also
# when it is written with directory and suffix.
$node->append_conf('postgresql.conf',
	q{shared_preload_libraries = '$libdir/auto_explain.so, pg_steward'});
$node->restart;
$node->safe_psql('postgres', 'CREATE ROLE steward_nobody');
like(error_of('SELECT * FROM get_slow_queries()'),
	qr/shared_preload_libraries = '\$libdir\/auto_explain\.so, pg_steward,pg_stat_statements'/,
	'hint keeps libraries');
$err = error_of('SELECT * FROM get_slow_queries()', 'steward_nobody');
like($err, qr/shared_preload_libraries = 'pg_stat_statements,pg_steward'/,
	'hint for unprivileged roles');
unlike($err, qr/auto_explain/, 'which does not tell the setting');
is($node->safe_psql('postgres', 'SELECT preloaded, statements_preloaded FROM get_steward_info()'),
	't|f', 'preloaded alone');

# Preloaded with path and suffix is preloaded.
$node->append_conf('postgresql.conf',
	q{shared_preload_libraries = '"$libdir/pg_stat_statements.so", pg_steward'});
$node->restart;
is( $node->safe_psql(
		'postgres',
		'SELECT preloaded, statements_preloaded, advice IS NULL FROM get_steward_info()'),
	't|t|t', 'preloaded by path');
is($node->safe_psql('postgres', 'SELECT count(*) > 0 FROM get_slow_queries()'),
	't', 'get_slow_queries works');

# The extension goes where pg_stat_statements is not: CASCADE is needed and
# the server says so; a view of an old version is reported.
$node->safe_psql('postgres', 'CREATE DATABASE second');
my ($ret, $out, $stderr) = $node->psql('second', 'CREATE EXTENSION pg_steward');
like($stderr, qr/required extension "pg_stat_statements" is not installed/, 'requirement');
$node->safe_psql('second', q{
	CREATE EXTENSION pg_stat_statements VERSION '1.7';
	CREATE EXTENSION pg_steward});
($ret, $out, $stderr) = $node->psql('second', 'SELECT * FROM get_slow_queries()');
like($stderr, qr/extension "pg_stat_statements" is too old.*ALTER EXTENSION pg_stat_statements UPDATE/s,
	'old version is told');
foreach my $version ('1.8', '1.9', '1.10')
{
	$node->safe_psql('second', "ALTER EXTENSION pg_stat_statements UPDATE TO '$version'");
	is($node->safe_psql('second', 'SELECT count(*) > 0, count(first_seen) FROM get_slow_queries()'),
		't|0', "view of version $version");
}
$node->safe_psql('second', 'ALTER EXTENSION pg_stat_statements UPDATE');
is($node->safe_psql('second', 'SELECT count(*) > 0 FROM get_slow_queries()'),
	't', 'newest view');
($ret, $out, $stderr) = $node->psql('second', 'DROP EXTENSION pg_stat_statements');
like($stderr, qr/extension pg_steward depends on extension pg_stat_statements/, 'dependency');

# Single-user mode, and the mode pg_upgrade starts servers in: nothing breaks.
$node->stop;
my $stdin = "SELECT size_bytes > 0 AS single_user_works FROM get_database_size();\n"
  . "SELECT preloaded AS single_user_preloaded FROM get_steward_info();\n";
my ($stdout, $stderr2) = ('', '');
IPC::Run::run([ 'postgres', '--single', '-F', '-D', $node->data_dir, 'postgres' ],
	'<', \$stdin, '>', \$stdout, '2>', \$stderr2);
is($?, 0, 'single-user server ends well');
like($stdout, qr/single_user_works = "t"/, 'reports work in single-user mode');
like($stdout, qr/single_user_preloaded = "t"/, 'preloaded in single-user mode');

$node->append_conf('postgresql.conf', q{unix_socket_permissions = 0700});
command_ok(
	[
		'pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile,
		'-o', '-b --cluster-name=upgrade', 'start'
	],
	'server starts in binary upgrade mode');
is($node->safe_psql('postgres', 'SELECT preloaded FROM get_steward_info()'),
	'f', 'no shared memory during a binary upgrade');
command_ok([ 'pg_ctl', '-w', '-D', $node->data_dir, '-m', 'fast', 'stop' ], 'and stops');

done_testing();
