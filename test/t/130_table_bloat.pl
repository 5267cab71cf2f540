# get_table_bloat(): held snapshots, a standby, damaged pages, missing files.
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
max_standby_streaming_delay = -1
});
$primary->start;
$primary->safe_psql('postgres', q{
	CREATE EXTENSION pg_steward CASCADE;
	CREATE ROLE mon LOGIN IN ROLE pg_monitor;
	CREATE ROLE nobody LOGIN;
	CREATE TABLE waste AS SELECT g AS id, md5(g::text) AS doc FROM generate_series(1, 50000) g;
	DELETE FROM waste WHERE id % 3 = 0;
	CREATE TABLE docs (id int, doc text);
	ALTER TABLE docs ALTER doc SET STORAGE EXTERNAL;
	INSERT INTO docs SELECT g, repeat('x', 3000) FROM generate_series(1, 2000) g;
	DELETE FROM docs WHERE id % 2 = 0;
	CREATE UNLOGGED TABLE fleeting AS SELECT g AS id FROM generate_series(1, 1000) g;
	CREATE TABLE intact AS SELECT g AS id, md5(g::text) AS doc FROM generate_series(1, 20000) g;
	VACUUM intact});

my $exact = q{SELECT table_name, heap_bytes, wasted_bytes, toast_bytes, toast_wasted_bytes,
	dead_tuple_bytes, free_bytes, held_by_xmin_bytes, reason
	FROM get_table_bloat(min_waste_bytes => 0, method => 'exact') WHERE table_name <> 'fleeting' ORDER BY 1};

# A snapshot that is held: what it sees is no waste, and is told apart.
my $holder = $primary->background_psql('postgres');
$holder->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM waste');
$primary->safe_psql('postgres', 'DELETE FROM intact WHERE id % 2 = 0');
is( $primary->safe_psql(
		'postgres', q{SELECT wasted_bytes, held_by_xmin_bytes > 500000, dead_tuple_bytes,
			fix_sql LIKE '-- first end the old transaction%' FROM get_table_bloat('intact', 0, 'exact')}),
	'0|t|0|t', 'rows that a snapshot holds are no waste');
is( $primary->safe_psql(
		'postgres', q{SELECT wasted_bytes, held_by_xmin_bytes > 500000, dead_tuple_bytes
			FROM get_table_bloat('intact', 0)}),
	'0|t|0', 'by a sample, too');
my $before = $primary->safe_psql('postgres', q{SELECT pg_relation_size('intact')});
$primary->safe_psql('postgres', 'VACUUM FULL intact');
is($primary->safe_psql('postgres', q{SELECT pg_relation_size('intact')}),
	$before, 'VACUUM FULL frees nothing, indeed');
$holder->query_safe('COMMIT');
$holder->quit;
is( $primary->safe_psql(
		'postgres', q{SELECT waste_pct BETWEEN 49 AND 51, held_by_xmin_bytes, dead_tuple_bytes > 500000
			FROM get_table_bloat('intact', 0, 'exact')}),
	't|0|t', 'without it they are');

# The same numbers on a standby, and for pg_monitor.
my $on_primary = $primary->safe_psql('postgres', $exact);
$primary->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'b', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', $exact), $on_primary, 'standby: the primary\'s numbers');
is( $standby->safe_psql('postgres', $exact, extra_params => [ '-U', 'mon' ]),
	$on_primary, 'standby: pg_monitor sees them');
is( $primary->safe_psql('postgres', $exact, extra_params => [ '-U', 'mon' ]),
	$on_primary, 'primary: pg_monitor sees them');
is( $primary->safe_psql(
		'postgres',
		q{SELECT bool_and(reason = 'skipped: needs pg_stat_scan_tables, or ownership of the table'
			AND num_nonnulls(wasted_bytes, toast_wasted_bytes, dead_tuple_bytes, free_bytes, fix_sql) = 0)
			FROM get_table_bloat(min_waste_bytes => 0)},
		extra_params => [ '-U', 'nobody' ]),
	't', 'others do not');
is( $standby->safe_psql(
		'postgres', q{SELECT abs(waste_pct - 33.3) < 3, wasted_bytes_low <= wasted_bytes, reason IS NULL,
			fix_sql LIKE '-- on the primary:%' FROM get_table_bloat('waste', 0)}),
	't|t|t|t', 'standby: by a sample');
is($standby->safe_psql('postgres', q{SELECT reason FROM get_table_bloat('fleeting')}),
	'skipped: unlogged tables are empty on a standby', 'standby: unlogged table');

# On a standby, the replay of a lock waits for us, and a long scan gives way.
my $reader = $standby->background_psql('postgres');
$reader->query_safe('BEGIN; SELECT count(*) FROM waste');
$primary->safe_psql('postgres', 'BEGIN; LOCK TABLE waste IN ACCESS EXCLUSIVE MODE; SELECT pg_current_xact_id(); COMMIT; SELECT pg_switch_wal()');
ok( $standby->poll_query_until(
		'postgres', q{SELECT count(*) = 1 FROM pg_locks WHERE relation = 'waste'::regclass AND NOT granted}),
	'standby: replay waits for a lock');
is( $reader->query_safe(q{SELECT reason FROM get_table_bloat('waste', 0, 'exact')}),
	'skipped: gave way to another session that needs the table',
	'standby: a scan gives way to replay');
$reader->query_safe('COMMIT');
$reader->quit;
$primary->wait_for_catchup($standby);
$standby->stop;

# A damaged page, a missing file, a missing map: rows of their own, the rest
# goes on.
$primary->safe_psql('postgres', q{
	CREATE TABLE damaged AS SELECT * FROM waste;
	CREATE TABLE gone AS SELECT * FROM waste;
	CREATE TABLE mapless AS SELECT * FROM waste;
	DELETE FROM mapless WHERE id % 2 = 0;
	VACUUM mapless;
	CREATE TABLE docs2 AS SELECT * FROM docs;
	CHECKPOINT});
my %path = map { $_ => $primary->data_dir . '/' . $primary->safe_psql('postgres', "SELECT pg_relation_filepath('$_')") }
  qw(damaged gone mapless);
$path{toast} = $primary->data_dir . '/'
  . $primary->safe_psql('postgres', q{SELECT pg_relation_filepath(reltoastrelid) FROM pg_class WHERE relname = 'docs2'});
$primary->stop;
foreach my $file (@path{qw(damaged toast)})
{
	open my $handle, '+<:raw', $file or die "could not open $file: $!";
	seek $handle, 8192 * 5, 0;
	print $handle "\xa5" x 8192;
	close $handle;
}
unlink $path{gone} or die "could not remove $path{gone}: $!";
foreach my $map ("$path{mapless}_fsm", "$path{mapless}_vm")
{
	open my $handle, '+<:raw', $map or die "could not open $map: $!";
	print $handle "\xa5" x 8192;
	close $handle;
}
$primary->start;
is( $primary->safe_psql(
		'postgres', q{SELECT table_name, wasted_bytes IS NULL, heap_bytes > 0,
			regexp_replace(reason, '"?base/[0-9/]+"?', 'FILE')
			FROM get_table_bloat(min_waste_bytes => 0, method => 'exact') WHERE reason IS NOT NULL ORDER BY 1}),
	"damaged|t|t|failed: invalid page in block 5 of relation FILE\n"
	  . "docs2|t|t|failed: invalid page in block 5 of relation FILE\n"
	  . 'gone|t|f|failed: could not open file FILE: No such file or directory',
	'damaged tables say so');
is( $primary->safe_psql('postgres', q{SELECT count(*) FROM get_table_bloat(min_waste_bytes => 0, method => 'exact')
		WHERE reason IS NULL AND table_name IN ('waste', 'docs', 'intact', 'mapless')}),
	'4', 'the others are measured');
is( $primary->safe_psql(
		'postgres', q{SELECT abs(s.waste_pct - e.waste_pct) < 3 FROM get_table_bloat('mapless', 0) s,
			get_table_bloat('mapless', 0, 'exact') e}),
	't', 'maps that are damaged make no estimate wrong');
is($primary->safe_psql('postgres', 'SELECT 1'), '1', 'the server is alive');

# Cancelled, not turned into a row.
my ($rc, $stdout, $stderr) = $primary->psql('postgres', q{
	CREATE TABLE long AS SELECT g AS id FROM generate_series(1, 1000000) g;
	SET statement_timeout = '1ms';
	SELECT count(*) FROM generate_series(1, 50), get_table_bloat('long', 0, 'exact')});
like($stderr, qr/canceling statement due to statement timeout/, 'cancellation ends the report');

done_testing();
