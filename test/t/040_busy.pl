# Reports beside traffic that creates, rewrites and drops what they look at,
# and in the presence of temporary tables of other sessions and tablespaces.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_stat_statements,pg_steward'
autovacuum = off
max_connections = 30
pg_steward.n_plus_one_gap = '10s'
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_steward CASCADE');

# Tables in another tablespace, and moved between tablespaces.
my $dir = PostgreSQL::Test::Utils::tempdir();
$node->safe_psql('postgres', "CREATE TABLESPACE other LOCATION '$dir'");
$node->safe_psql('postgres', q{
	CREATE TABLE here (id int PRIMARY KEY);
	CREATE TABLE there (id int PRIMARY KEY, doc text) TABLESPACE other;
	CREATE TABLE moved (id int PRIMARY KEY USING INDEX TABLESPACE other);
	INSERT INTO here SELECT generate_series(1, 1000);
	INSERT INTO there SELECT g, repeat('x', 100) FROM generate_series(1, 1000) g;
	INSERT INTO moved SELECT generate_series(1, 1000);
	ALTER TABLE moved SET TABLESPACE other;
	ALTER INDEX moved_pkey SET TABLESPACE pg_default});
is( $node->safe_psql(
		'postgres', q{SELECT count(*), bool_and(total_bytes = pg_total_relation_size(format('%I.%I', schema_name, table_name)::regclass))
		                FROM get_table_sizes() WHERE schema_name = 'public'}),
	'3|t', 'sizes over two tablespaces');
is( $node->safe_psql(
		'postgres', q{SELECT size_bytes = pg_database_size('postgres') FROM get_database_size()}),
	't', 'database over two tablespaces');

# A temporary table of another session appears with its own size.
my ($in, $out, $timer) = ('', '', IPC::Run::timer(180));
my $handle = IPC::Run::start(
	[ 'psql', '-XAtq', '-d', $node->connstr('postgres') ],
	'<', \$in, '>', \$out, $timer);
$in .= "CREATE TEMP TABLE theirs AS SELECT generate_series(1, 1000) AS id;\n\\echo ready\n";
$handle->pump until $out =~ /ready/;
is( $node->safe_psql(
		'postgres', q{SELECT kind, total_bytes >= 32768 FROM get_table_sizes() WHERE table_name = 'theirs'}),
	'temporary table|t', 'temporary table of another session');
is( $node->safe_psql(
		'postgres', q{SELECT size_bytes = pg_database_size('postgres') FROM get_database_size()}),
	't', 'database with temporary files');

# Who waits for a lock says for whom.
$in .= "BEGIN;\nLOCK TABLE here;\n\\echo locked\n";
$handle->pump until $out =~ /locked/;
my ($win, $wout) = ('', '');
my $waiter = IPC::Run::start(
	[ 'psql', '-XAtq', '-d', $node->connstr('postgres') ],
	'<', \$win, '>', \$wout, $timer);
$win .= "SET application_name = 'waiter';\nSELECT count(*) FROM here;\n\\q\n";
$waiter->pump_nb;
ok( $node->poll_query_until(
		'postgres', q{
	SELECT count(*) = 1 AND bool_and(w.blocked_by = ARRAY[b.pid] AND w.wait_event_type = 'Lock'
	                                 AND b.blocked_by IS NULL)
	  FROM get_active_connections() w, get_active_connections() b
	 WHERE w.application_name = 'waiter' AND b.query LIKE 'LOCK TABLE here%'}),
	'blocked_by');
$in .= "COMMIT;\n";
$handle->pump_nb;
$waiter->finish;

# The same session, as an idle transaction, then seen by whom may not see.
$in .= "SET application_name = 'theirs';\nBEGIN;\nSELECT 1 AS held;\n\\echo begun\n";
$handle->pump until $out =~ /begun/;
ok( $node->poll_query_until(
		'postgres', q{
	SELECT count(*) = 1 AND bool_and(state = 'idle in transaction' AND query = 'SELECT 1 AS held;'
	       AND duration > '0' AND duration_seconds > 0 AND xact_seconds >= duration_seconds
	       AND connected_seconds >= xact_seconds AND database_name = 'postgres')
	  FROM get_active_connections() WHERE application_name = 'theirs'}),
	'idle in transaction');
$node->safe_psql('postgres', 'CREATE ROLE steward_nobody');
is( $node->safe_psql(
		'postgres', q{
	SET ROLE steward_nobody;
	SELECT state, query, duration, pid > 0 FROM get_active_connections() WHERE application_name = 'theirs'}),
	'skipped: needs pg_read_all_stats|<insufficient privilege>||t',
	'unprivileged: held back, and said so');
$in .= "\\q\n";
$handle->finish;

# A report in a long transaction sees who came after its begin.
$out = '';
$handle = IPC::Run::start(
	[ 'psql', '-XAtq', '-d', $node->connstr('postgres') ],
	'<', \$in, '>', \$out, $timer);
$in .= "BEGIN;\nSELECT count(*) FROM get_active_connections();\n\\echo looked\n";
$handle->pump until $out =~ /looked/;
($win, $wout) = ('', '');
$waiter = IPC::Run::start(
	[ 'psql', '-XAtq', '-d', $node->connstr('postgres') ],
	'<', \$win, '>', \$wout, $timer);
$win .= "SET application_name = 'late';\n\\echo here\n";
$waiter->pump until $wout =~ /here/;
$out = '';
$in .= "SELECT 'late: ' || count(*) FROM get_active_connections() WHERE application_name = 'late';\n\\echo again\n";
$handle->pump until $out =~ /again/;
like($out, qr/late: 1/, 'a fresh look within a transaction');
$win .= "\\q\n";
$waiter->finish;
$in .= "\\q\n";
$handle->finish;

# A text that this database's encoding does not have costs the texts, not the
# report.
$node->safe_psql('postgres', "CREATE DATABASE utf ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
$node->safe_psql('postgres', "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
$node->safe_psql('utf', qq{SET client_encoding = 'UTF8'; SELECT 1 AS "\x{e6}\x{97}\x{a5}"});
$node->safe_psql('latin', 'CREATE EXTENSION pg_steward CASCADE');
is( $node->safe_psql('latin', 'SELECT DISTINCT query, count(*) > 3, count(queryid) > 3 FROM get_slow_queries() GROUP BY query'),
	'skipped: a text is not valid in the encoding of this database|t|t',
	'undecodable text');
$node->safe_psql('latin', 'CREATE TABLE k AS SELECT generate_series(1, 20) AS id');
$node->safe_psql('latin', join(";\n",
		map { ('SELECT id FROM k ORDER BY id', map { "SELECT id AS one FROM k WHERE id = $_" } 1 .. 20) } 1 .. 5));
is( $node->safe_psql('latin', 'SELECT kind, query IS NULL FROM get_n_plus_one_queries()'),
	'n_plus_one|t', 'nor the report of N+1');
is($node->safe_psql('latin', 'SHOW search_path'), '"$user", public', 'and settings are as before');

# The same statements over and over, from several clients at once.
$node->pgbench(
	'--no-vacuum --client=6 --jobs=2 --transactions=60',
	0,
	[qr{processed: 360/360}],
	[qr{^$}],
	'reports beside DDL',
	{
		'ddl@4' => q{
			\set n random(1, 1000000000)
			BEGIN;
			CREATE TABLE busy_:n (id int PRIMARY KEY, doc text);
			INSERT INTO busy_:n SELECT g, repeat('x', 3000) FROM generate_series(1, 20) g;
			COMMIT;
			TRUNCATE busy_:n;
			DROP TABLE busy_:n;
		},
		'vacuum_full@1' => q{ VACUUM here; },
		'report@4' => q{
			SELECT count(*) FROM get_table_sizes();
			SELECT count(*) FROM get_database_size();
			SELECT count(*) FROM get_index_usage();
			SELECT count(*) FROM get_vacuum_status();
			SELECT count(*) FROM get_slow_queries();
			SELECT count(*) FROM get_active_connections();
			SELECT count(*) FROM get_cache_hit_ratio();
		},
	});
is( $node->safe_psql(
		'postgres', q{SELECT bool_and(total_bytes = pg_total_relation_size(format('%I.%I', schema_name, table_name)::regclass))
		                FROM get_table_sizes()}),
	't', 'still equal');

# A report can be cancelled, and leaves nothing behind.
my ($ret, $stdout, $stderr) = $node->psql('postgres', q{
	SET statement_timeout = '1ms';
	SELECT count(*) FROM generate_series(1, 100000) g, LATERAL (SELECT count(*) FROM steward.relation_sizes() WHERE g > 0) x});
like($stderr, qr/canceling statement due to statement timeout/, 'cancelled');

# Repeated calls do not grow the backend.
is( $node->safe_psql(
		'postgres', q{
	SELECT count(*) FROM (SELECT get_table_sizes(), get_database_size(), get_slow_queries(), get_index_usage(), get_vacuum_status()) x;
	CREATE TEMP TABLE before AS SELECT sum(total_bytes) AS bytes FROM pg_backend_memory_contexts;
	DO $$ BEGIN FOR i IN 1..200 LOOP
		PERFORM get_table_sizes(); PERFORM get_database_size(); PERFORM get_slow_queries();
		PERFORM get_schema_sizes(); PERFORM get_tablespace_sizes(); PERFORM get_disk_usage();
		PERFORM get_index_usage(); PERFORM get_vacuum_status(); PERFORM get_active_connections();
	END LOOP; END $$;
	CREATE TEMP TABLE after AS SELECT sum(total_bytes) AS bytes FROM pg_backend_memory_contexts;
	SELECT a.bytes - b.bytes < 3000000 FROM before b, after a}) =~ /t$/ ? 't' : 'f',
	't', 'memory does not grow');

# A server that was killed comes back with everything.
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', 'SELECT preloaded FROM get_steward_info()'), 't', 'after a crash');

done_testing();
