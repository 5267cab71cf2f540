# Disk usage against du and df, and sizes that need more than one directory or
# more than one file: links, tablespaces, segments, files that come and go.
use strict;
use warnings;

use File::Path qw(make_path);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $tmp = $PostgreSQL::Test::Utils::tmp_check;
my $wal = PostgreSQL::Test::Utils::tempdir() . '/wal';
my $space = PostgreSQL::Test::Utils::tempdir();
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--waldir', $wal ]);
my $data = $node->data_dir;
make_path("$data/inside");
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_stat_statements,pg_steward'
autovacuum = off
logging_collector = on
});
$node->start;
$node->safe_psql('postgres', "CREATE TABLESPACE far LOCATION '$space'");
# foolish, warned of and possible
$node->safe_psql('postgres', "CREATE TABLESPACE inside LOCATION '$data/inside'");
$node->safe_psql('postgres', q{
	CREATE EXTENSION pg_steward CASCADE;
	CREATE TABLE far (id int PRIMARY KEY USING INDEX TABLESPACE far, doc text) TABLESPACE far;
	ALTER TABLE far ALTER doc SET STORAGE EXTERNAL;
	INSERT INTO far SELECT g, repeat('x', 4000) FROM generate_series(1, 500) g;
	CREATE TABLE near AS SELECT * FROM far;
	CREATE TABLE inside TABLESPACE inside AS SELECT * FROM far;
	CHECKPOINT});

# bytes that du counts
sub du
{
	my (@options) = @_;
	my ($out) = run_command([ 'du', '-s', '--block-size=1', @options ]);
	return $out =~ /^(\d+)/ ? $1 : die "du: $out";
}

# wait until a query and du agree; the file system allocates late
sub same_as_du
{
	my ($query, $name, @options) = @_;
	my ($ours, $theirs);

	foreach my $attempt (1 .. 100)
	{
		$node->safe_psql('postgres', 'CHECKPOINT');
		$theirs = du(@options);
		$ours = $node->safe_psql('postgres', $query);
		last if $ours == $theirs;
		system('sync', '-f', $data);
	}
	is($ours, $theirs, $name);
}

# All of the data directory, nothing twice; WAL and the tablespace elsewhere.
same_as_du(
	qq{SELECT sum(allocated_bytes) FROM get_disk_usage() WHERE path = '$data' OR starts_with(path, '$data/')},
	'data directory', $data);
same_as_du(q{SELECT sum(allocated_bytes) FROM get_disk_usage() WHERE area = 'wal'},
	'WAL behind a link', $wal);
same_as_du(q{SELECT sum(allocated_bytes) FROM get_disk_usage() WHERE tablespace_name = 'far'},
	'tablespace', glob("$space/PG_*"));
is( $node->safe_psql(
		'postgres', qq{
	SELECT (SELECT path FROM get_disk_usage() WHERE area = 'wal'),
	       (SELECT starts_with(path, '$space/PG_') FROM get_disk_usage() WHERE tablespace_name = 'far'),
	       (SELECT starts_with(path, '$data/inside/PG_') FROM get_disk_usage() WHERE tablespace_name = 'inside')}),
	"$wal|t|t", 'paths');
is( $node->safe_psql(
		'postgres', q{
	SELECT d.bytes = g.size_bytes FROM get_disk_usage() d JOIN get_tablespace_sizes() g USING (tablespace_name)
	 WHERE d.area = 'tablespace' ORDER BY tablespace_name}),
	"t\nt", 'tablespaces as the sizes have them');
is( $node->safe_psql('postgres', qq{SELECT path = '$data/log', bytes > 0, file_count FROM get_disk_usage() WHERE area = 'log'}),
	't|t|1', 'log');

# The file system as df has it.
my ($df) = run_command([ 'df', '--block-size=1', '--output=size,pcent', $data ]);
my ($size, $pcent) = $df =~ /(\d+)\s+(\d+)%\s*$/;
is( $node->safe_psql(
		'postgres', q{SELECT DISTINCT total_bytes FROM get_disk_usage() WHERE area = 'databases'}),
	$size, 'size of the file system');
my $mount = $node->safe_psql('postgres', q{SELECT mount_point FROM get_disk_usage() WHERE area = 'databases'});
my $device = (stat $data)[0];
ok($data =~ /^\Q$mount\E/ && (stat $mount)[0] == $device
	  && ($mount eq '/' || (stat "$mount/..")[0] != $device), "mount point $mount");
ok( $node->safe_psql(
		'postgres', qq{SELECT used_pct BETWEEN $pcent - 3 AND $pcent + 2 FROM get_disk_usage() WHERE area = 'databases'}
	) eq 't',
	'share used');

# Another file system, if there is one that we may write to.
SKIP:
{
	my ($other) = grep { -d && -w _ && (stat _)[0] != $device } '/dev/shm', '/tmp', $ENV{TMPDIR} // ();
	skip 'no second file system', 1 unless defined $other;
	my $place = "$other/pg_steward_$$";
	make_path($place);
	$node->safe_psql('postgres', "CREATE TABLESPACE apart LOCATION '$place'");
	is( $node->safe_psql(
			'postgres', q{
		SELECT a.device <> d.device, a.mount_point <> d.mount_point
		  FROM get_disk_usage() a, get_disk_usage() d
		 WHERE a.tablespace_name = 'apart' AND d.area = 'databases'}),
		't|t', 'another file system is another device');
	$node->safe_psql('postgres', 'DROP TABLESPACE apart');
	rmdir $place;
}

# Log directory outside: its own files only; the data directory as the log
# directory: nothing twice.
my $logs = PostgreSQL::Test::Utils::tempdir();
make_path("$logs/deep");
append_to_file("$logs/a.log", 'x' x 1000);
append_to_file("$logs/deep/b.log", 'x' x 5000);
$node->append_conf('postgresql.conf', "logging_collector = off\nlog_directory = '$logs'");
$node->restart;
is( $node->safe_psql(
		'postgres', q{SELECT path, bytes, file_count FROM get_disk_usage() WHERE area = 'log'}),
	"$logs|1000|1", 'log directory elsewhere');
$node->append_conf('postgresql.conf', "log_directory = '.'");
$node->reload;
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM get_disk_usage() WHERE area = 'log' AND path IS NULL});
same_as_du(
	qq{SELECT sum(allocated_bytes) FROM get_disk_usage() WHERE path = '$data' OR starts_with(path, '$data/')},
	'data directory is the log directory', $data);

# What the server's user may not read is told, and the rest is there.
SKIP:
{
	skip 'root reads everything', 1 if $> == 0;
	my $pgdir = (glob("$space/PG_*"))[0];
	make_path("$pgdir/closed");
	chmod 0, "$pgdir/closed";
	is( $node->safe_psql(
			'postgres', q{SELECT note, bytes > 0 FROM get_disk_usage() WHERE area = 'tablespace' AND tablespace_name = 'far'}),
		'skipped: 1 files or directories that could not be read|t',
		'unreadable directory');
	chmod 0700, "$pgdir/closed";
	rmdir "$pgdir/closed";
}

# Files and directories that vanish while we look.
my $pid = fork // die "could not fork: $!";
if ($pid == 0)
{
	my $n = 0;
	until (-e "$tmp/stop")
	{
		my $dir = "$data/base/busy_" . $n++ % 50;
		mkdir $dir;
		if (open my $handle, '>', "$dir/file") { close $handle }
		unlink "$dir/file";
		rmdir $dir;
	}
	require POSIX;
	POSIX::_exit(0);
}
my ($ret, $out, $err) = $node->psql(
	'postgres', q{
	SELECT count(*) = 100 AND bool_and(bytes > 0) FROM generate_series(1, 100) g,
	       LATERAL (SELECT bytes FROM get_disk_usage() WHERE area = 'databases' AND g > 0) x});
append_to_file("$tmp/stop", '');
waitpid $pid, 0;
is("$ret|$out|$err", '0|t|', 'vanishing files do no harm');

# A table is never empty or incomplete because it is just being rewritten, and
# temporary tables of a session that crashed are.
$node->safe_psql('postgres', q{
	CREATE TABLE rewritten AS SELECT g, repeat('r', 100) AS v FROM generate_series(1, 20000) g;
	CREATE INDEX ON rewritten (g);
	VACUUM rewritten;
	-- so that reading the directory takes a while
	DO $$ BEGIN FOR i IN 1..500 LOOP EXECUTE format('CREATE TABLE many_%s (doc text)', i); END LOOP; END $$});
my $full = $node->safe_psql('postgres', q{VACUUM FULL rewritten; SELECT pg_total_relation_size('rewritten')});
unlink "$tmp/stop";
$pid = fork // die "could not fork: $!";
if ($pid == 0)
{
	$node->psql('postgres', 'VACUUM FULL rewritten') until -e "$tmp/stop";
	require POSIX;
	POSIX::_exit(0);
}
my $wrong = $node->safe_psql('postgres', qq{
	CREATE TEMP TABLE seen (bytes bigint);
	DO \$\$ BEGIN FOR i IN 1..200 LOOP
		INSERT INTO seen SELECT total_bytes FROM get_table_sizes() WHERE table_name = 'rewritten';
	END LOOP; END \$\$;
	SELECT count(*), count(*) FILTER (WHERE bytes <> $full), min(bytes), max(bytes) FROM seen});
append_to_file("$tmp/stop", '');
waitpid $pid, 0;
is($wrong, "200|0|$full|$full", 'a table that is rewritten all the time');
my ($in, $tempout, $temperr) = ("CREATE TEMP TABLE left_behind AS SELECT generate_series(1, 1000) g;\nSELECT 'made';\n", '', '');
my $session = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \$in, '>', \$tempout, '2>', \$temperr);
$session->pump until $tempout =~ /made/ || $temperr;
is($node->safe_psql('postgres', q{SELECT total_bytes > 0 FROM get_table_sizes() WHERE table_name = 'left_behind'}),
	't', 'temporary table of another session');
$node->stop('immediate');
$session->kill_kill;
$node->start;
is($node->safe_psql('postgres', q{SELECT total_bytes FROM get_table_sizes() WHERE table_name = 'left_behind'}),
	'0', 'left behind by a crash');

# More than one segment: all count, in the heap and in what belongs to it.
my $file = $node->safe_psql('postgres', q{SELECT pg_relation_filepath('near')});
my $toast = $node->safe_psql('postgres',
	q{SELECT pg_relation_filepath(reltoastrelid) FROM pg_class WHERE relname = 'near'});
$node->safe_psql('postgres', 'CHECKPOINT');
$node->stop;
foreach my $path ($file, $toast)
{
	truncate "$data/$path", 1 << 30 or die $!;
	foreach my $segment (1 .. 2)
	{
		append_to_file("$data/$path.$segment", '');
		truncate "$data/$path.$segment", $segment == 2 ? 8192 * 3 : 1 << 30 or die $!;
	}
}
$node->start;
is( $node->safe_psql(
		'postgres', q{
	SELECT total_bytes = pg_total_relation_size('near'), total_bytes > 4 * (1::bigint << 30),
	       heap_bytes - pg_relation_size('near', 'fsm') - pg_relation_size('near', 'vm') = 2 * (1::bigint << 30) + 24576
	  FROM get_table_sizes() WHERE table_name = 'near'}),
	't|t|t', 'segments');
is( $node->safe_psql(
		'postgres', q{
	SELECT count(*) FROM (SELECT * FROM get_table_sizes() EXCEPT ALL SELECT * FROM get_table_sizes(exact => true)) x}),
	'0', 'segments: exact is equal');
is( $node->safe_psql(
		'postgres', q{
	SELECT size_bytes = pg_database_size('postgres') FROM get_database_size()}),
	't', 'segments: database');
is( $node->safe_psql(
		'postgres', q{
	SELECT allocated_bytes < bytes FROM get_disk_usage() WHERE area = 'databases'}),
	't', 'sparse files take less than their length');

$node->stop;
done_testing();
