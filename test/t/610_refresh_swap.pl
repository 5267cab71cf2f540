# Refreshing by exchange of files where files are lost most easily: crashes on a
# server that writes no WAL for new files (wal_level = minimal), and a standby;
# and what others notice of a refresh that wants an exclusive lock.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $preload = "shared_preload_libraries = 'pg_stat_statements,pg_steward'\nautovacuum = off\n";
my $setup = q{
	CREATE EXTENSION pg_steward CASCADE;
	CREATE EXTENSION amcheck;
	CREATE TABLE base AS SELECT g AS id, 0 AS n, repeat(md5(g::text), CASE WHEN g % 100 = 0 THEN 300 ELSE 2 END) AS doc
	  FROM generate_series(1, 5000) g;
	ALTER TABLE base ALTER doc SET STORAGE EXTERNAL;
	CREATE MATERIALIZED VIEW view AS SELECT * FROM base;
	CREATE UNIQUE INDEX ON view (id);
	CREATE INDEX ON view (md5(doc));
	CREATE INDEX ON view USING hash (n);
	CREATE FUNCTION state() RETURNS text LANGUAGE sql AS $$
		SELECT format('n %s, %s rows, %s differ, %s corrupt, %s left behind',
			(SELECT max(n) FROM view), (SELECT count(*) FROM view),
			(SELECT count(*) FROM (SELECT * FROM view EXCEPT ALL SELECT * FROM base) d),
			(SELECT count(*) - 2 FROM pg_index i JOIN pg_class c ON c.oid = indexrelid, LATERAL bt_index_check(indexrelid, true)
			  WHERE indrelid = 'view'::regclass AND relam = 403) + (SELECT count(*) FROM verify_heapam('view')),
			(SELECT count(*) FROM pg_class WHERE relname LIKE 'pg\_temp\_%')) $$};

sub start_session
{
	my ($node, $text) = @_;
	my ($in, $out) = ('', '');
	my $handle = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ],
		'<', \$in, '>', \$out, '2>&1', IPC::Run::timer(180));
	$in .= "$text\n\\echo done\n";
	$handle->pump until $out =~ /done/;
	return ($handle, \$in, \$out);
}

my $node = PostgreSQL::Test::Cluster->new('minimal');
$node->init;
$node->append_conf('postgresql.conf', "${preload}wal_level = minimal\nmax_wal_senders = 0\nwal_skip_threshold = 0\n");
$node->start;
$node->safe_psql('postgres', $setup);
$node->safe_psql('postgres', q{
	UPDATE base SET n = 1;
	BEGIN;
	SELECT refresh_matview_now('view', 'swap');
	SAVEPOINT a;
	DELETE FROM base WHERE id = 1;
	SELECT refresh_matview_now('view', 'swap');
	ROLLBACK TO a;
	SELECT refresh_matview_now('view', 'diff');
	COMMIT});
is($node->safe_psql('postgres', 'SELECT state()'),
	'n 1, 5000 rows, 0 differ, 0 corrupt, 0 left behind', 'before the crash');
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', 'SELECT state()'),
	'n 1, 5000 rows, 0 differ, 0 corrupt, 0 left behind', 'crash after the commit');

my ($handle) = start_session($node, q{UPDATE base SET n = 2; BEGIN; SELECT refresh_matview_now('view', 'swap');});
$node->safe_psql('postgres', 'CHECKPOINT');
$node->stop('immediate');
$handle->kill_kill;
$node->start;
is($node->safe_psql('postgres', 'SELECT state()'),
	'n 1, 5000 rows, 5000 differ, 0 corrupt, 0 left behind', 'crash before the commit');
$node->safe_psql('postgres', q{SELECT refresh_matview_now('view', 'swap')});
is($node->safe_psql('postgres', 'SELECT state()'),
	'n 2, 5000 rows, 0 differ, 0 corrupt, 0 left behind', 'refreshed');
$node->stop;

# A standby replays it.
my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', $preload);
$primary->start;
$primary->safe_psql('postgres', $setup);
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
$primary->safe_psql('postgres', q{UPDATE base SET n = 3; SELECT refresh_matview_now('view', 'swap')});
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', 'SELECT state()'),
	'n 3, 5000 rows, 0 differ, 0 corrupt, 0 left behind', 'on the standby');
$standby->stop;

# While a session idle in a transaction keeps the view, refreshes that want it
# exclusively ask in short tries.  Whoever reads meanwhile waits for one try at
# most: far less than half a second, not until the idle session ends.
for my $method (qw(plain swap))
{
	my ($idle, $idle_in) = start_session($primary, 'BEGIN; SELECT count(*) FROM view;');
	my ($in, $out) = ('', '');
	my $refresh = IPC::Run::start([ 'psql', '-XAtq', '-d', $primary->connstr('postgres') ],
		'<', \$in, '>', \$out, '2>&1', IPC::Run::timer(180));
	$in .= "SELECT 'used ' || method_used FROM refresh_matview_now('view', '$method');\n";
	$refresh->pump_nb;
	$primary->poll_query_until('postgres',
		"SELECT phase = 'waiting for a lock' AND duration_ms > 300 FROM get_matview_refresh_progress()")
	  or die 'the refresh does not wait';
	my ($reader, $reader_in, $reader_out) = start_session($primary, "SELECT 'ready';");
	my $longest = 0;
	for my $try (1 .. 40)
	{
		my $start = time;
		$$reader_in .= "SELECT 'read $try', count(*) FROM view;\n";
		$reader->pump until $$reader_out =~ /read $try\|5000/;
		my $took = time - $start;
		$longest = $took if $took > $longest;
	}
	note "$method: longest read beside a waiting refresh: $longest s";
	cmp_ok($longest, '<', 2, "$method: readers do not queue behind it");
	is($out, '', "$method: it still waits");
	$$idle_in .= "COMMIT;\n\\q\n";
	$idle->finish;
	$in .= "\\q\n";
	$refresh->finish;
	like($out, qr/used $method/, "$method: it ends when it can");
	$$reader_in .= "\\q\n";
	$reader->finish;
}

# It gives up in the end, and nothing has changed.
my ($idle, $idle_in) = start_session($primary, 'BEGIN; SELECT count(*) FROM view;');
my ($status, $out, $error) = $primary->psql('postgres', q{
	UPDATE base SET n = 4;
	SET pg_steward.lock_timeout = '5ms';
	SELECT refresh_matview_now('view', 'swap')});
like($error, qr/could not obtain exclusive lock on materialized view "view"/, 'swap gives up');
$$idle_in .= "COMMIT;\n\\q\n";
$idle->finish;
is($primary->safe_psql('postgres', 'SELECT state()'),
	'n 3, 5000 rows, 5000 differ, 0 corrupt, 0 left behind', 'nothing has changed');

# A session that ends during a refresh leaves no progress behind.
$primary->safe_psql('postgres', q{
	CREATE FUNCTION nap(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM pg_sleep(1000); RETURN i; END $$;
	CREATE TABLE naps (id int);
	CREATE MATERIALIZED VIEW napping AS SELECT id, public.nap(id) FROM naps;
	INSERT INTO naps VALUES (1)});
my ($in, $said) = ('', '');
my $napper = IPC::Run::start([ 'psql', '-XAtq', '-d', $primary->connstr('postgres') ],
	'<', \$in, '>', \$said, '2>&1', IPC::Run::timer(180));
$in .= "SELECT refresh_matview_now('napping', 'diff');\n";
$napper->pump_nb;
$primary->poll_query_until('postgres',
	q{SELECT phase = 'executing the query' AND matview_name = 'napping' FROM get_matview_refresh_progress()})
  or die 'no progress';
$primary->safe_psql('postgres', 'SELECT pg_terminate_backend(pid) FROM get_matview_refresh_progress()');
ok($primary->poll_query_until('postgres', 'SELECT count(*) = 0 FROM get_matview_refresh_progress()'),
	'no progress is left behind');
$napper->kill_kill;

$primary->stop;
done_testing();
