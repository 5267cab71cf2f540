# Differential refresh of random views, over random changes, and now and then a
# refresh by exchange of files: after each, the view equals its query and every
# index its table.  Then what regression tests
# cannot do: temporary files that run out, crashes, a standby.
#
# PG_STEWARD_FUZZ_ROUNDS sets the number of views (default 6),
# PG_STEWARD_FUZZ_SEED repeats a run.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $rounds = $ENV{PG_STEWARD_FUZZ_ROUNDS} // 6;
my $seed = $ENV{PG_STEWARD_FUZZ_SEED} // time;
srand($seed);
note "PG_STEWARD_FUZZ_SEED=$seed";

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_stat_statements,pg_steward'
autovacuum = off
max_parallel_workers_per_gather = 1
});
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION pg_steward CASCADE;
	CREATE EXTENSION amcheck;
	CREATE TYPE pair AS (a int, b text);
	CREATE FUNCTION differs(matview regclass) RETURNS bigint LANGUAGE plpgsql AS $$
	DECLARE n bigint;
	BEGIN
		EXECUTE format('SELECT count(*) FROM ((SELECT row_::text FROM %1$s row_ EXCEPT ALL SELECT row_::text FROM (%2$s) row_)
		                UNION ALL (SELECT row_::text FROM (%2$s) row_ EXCEPT ALL SELECT row_::text FROM %1$s row_)) d',
		               matview, rtrim(pg_get_viewdef(matview), ';')) INTO n;
		RETURN n;
	END $$;
	CREATE FUNCTION corrupt(matview regclass) RETURNS bigint LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM bt_index_check(i.indexrelid, true)
		   FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
		  WHERE i.indrelid = matview AND a.amname = 'btree';
		RETURN (SELECT count(*) FROM verify_heapam(matview));
	END $$});

sub pick
{
	return $_[ int(rand(@_)) ];
}

# Types, with an expression for a value that depends on a number g.
my %types = (
	int => 'g',
	int2 => '(g % 1000)::int2',
	bigint => 'g::bigint << 20',
	bool => 'g % 2 = 0',
	text => q{repeat('t' || g, g % 50)},
	'text[]' => q{ARRAY[g::text, NULL, repeat('é', g % 30)]},
	numeric => q{(g::numeric / 7)::numeric(20, 5)},
	float8 => q{CASE g % 5 WHEN 0 THEN '-0'::float8 WHEN 1 THEN 'nan' ELSE g END},
	float4 => 'g::float4 / 3',
	json => q{json_build_object('k', g)},
	jsonb => q{jsonb_build_object('k', repeat('v', g % 3000))},
	point => 'point(g, -g)',
	pair => q{CASE WHEN g % 4 = 0 THEN (NULL, NULL)::pair ELSE (g, repeat('p', g % 3000))::pair END},
	'pair[]' => q{ARRAY[(g, 'x')::pair, NULL]},
	bytea => q{decode(repeat(md5(g::text), g % 200), 'hex')},
	timestamptz => q{'2020-01-01 00:00:00+00'::timestamptz + g * interval '1 minute'},
	interval => q{make_interval(mins => g)},
	uuid => 'md5(g::text)::uuid',
	'"char"' => q{chr(65 + g % 20)::"char"},
	name => q{('n' || g)::name},
	'bit varying' => '(g::bit(16))::bit varying',
	inet => q{'10.0.0.0'::inet + g},
	int4range => 'int4range(g, g + 2)',
	tsvector => q{to_tsvector('simple', 'a' || g || ' b')});

# Values for all columns, for rows numbered g; some are null.
sub values_of
{
	my (@columns) = @_;

	return join ', ', map {
		my $offset = pick(0, 0, 1, 7);
		my $value = $types{$_};
		$value =~ s/\bg\b/(g + $offset)/g if $offset;
		pick(0, 0, 1) ? "CASE WHEN g % 3 = 0 THEN NULL ELSE $value END" : $value
	} @columns;
}

# One change of the table.
sub change
{
	my ($table, @columns) = @_;
	my $rows = pick(1, 10, 500);
	my $column = int(rand(@columns));
	my $value = values_of($columns[$column]);
	$value =~ s/\bg\b/coalesce(id, 5)/g;
	my $part = pick(1, 2, 10, 100);

	return pick(
		"INSERT INTO $table SELECT (SELECT coalesce(max(id), 0) FROM $table) + g, g % 10, (SELECT coalesce(max(u), 0) FROM $table) + g, "
		  . values_of(@columns) . " FROM generate_series(1, $rows) g",
		"INSERT INTO $table SELECT * FROM $table WHERE id IS NULL AND k % $part = 0",
		"INSERT INTO $table SELECT NULL, 1, NULL, " . join(', ', ('NULL') x @columns) . " FROM generate_series(1, $rows)",
		"UPDATE $table SET c$column = $value WHERE coalesce(id, 1) % $part = 0",
		"UPDATE $table SET k = k + 1 WHERE coalesce(id, 0) % $part = 0",
		"UPDATE $table SET id = (SELECT max(id) + min(id) FROM $table) - id WHERE id IS NOT NULL",
		"UPDATE $table SET id = id + 1",
		"UPDATE $table SET u = (SELECT max(u) + min(u) FROM $table) - u",
		"UPDATE $table SET u = w.u FROM (SELECT id, lead(u, 1, (SELECT min(u) FROM $table)) OVER (ORDER BY u) AS u FROM $table WHERE u IS NOT NULL) w WHERE w.id = $table.id",
		"DELETE FROM $table WHERE coalesce(id, k) % $part = 0",
		pick("TRUNCATE $table", 'SELECT 1', 'SELECT 1'));
}

for my $round (1 .. $rounds)
{
	my @columns = map { pick(sort keys %types) } 0 .. int(rand(5));
	my $c = 0;
	my $list = join ', ', map { 'c' . $c++ . " $_" } @columns;
	my $rows = pick(0, 10, 300, 3000);
	my $memory = pick('64kB', '256kB', '64MB');
	my $fill = pick(100, 70, 20);
	my $unique = rand() < 0.6;
	my $query = $unique
	  ? pick("SELECT * FROM t$round", "SELECT id, t.k + 1 AS k, u, t FROM t$round t")
	  : pick("SELECT * FROM t$round", "SELECT * FROM t$round UNION ALL SELECT * FROM t$round WHERE k = 1",
		"SELECT k, count(*) AS id, array_agg(t.c0::text ORDER BY t.c0::text) AS a FROM t$round t GROUP BY k");
	my @indexes = map { "CREATE $_" } grep { rand() < 0.5 } (
		"INDEX ON m$round (k)", "INDEX ON m$round (k, id)", "INDEX ON m$round ((k * 2)) WHERE id > 10",
		"INDEX ON m$round USING hash (id)", "INDEX ON m$round USING brin (k)");
	push @indexes, "CREATE UNIQUE INDEX ON m$round (id)" if $unique;
	push @indexes, "CREATE UNIQUE INDEX ON m$round ((id * 2)) INCLUDE (k)" if $unique && rand() < 0.5;
	push @indexes, "CREATE UNIQUE INDEX ON m$round (k, id) WHERE k < 5" if $unique && rand() < 0.5;
	push @indexes, "CREATE UNIQUE INDEX ON m$round (u)" if $unique && rand() < 0.5;
	my $kind = pick('TABLE', 'TABLE', 'UNLOGGED TABLE');

	my @statements = (
		"CREATE $kind t$round (id int, k int, u int, $list)",
		"INSERT INTO t$round SELECT g, g % 10, g, " . values_of(@columns) . " FROM generate_series(1, $rows) g",
		"CREATE MATERIALIZED VIEW m$round WITH (fillfactor = $fill) AS $query",
		@indexes, "SET pg_steward.refresh_diff_memory = '$memory'");
	my $failed = 0;
	my $session = join ";\n", @statements;
	$node->safe_psql('postgres', $session);
	for my $step (1 .. 6)
	{
		my $changes = join ";\n", map { change("t$round", @columns) } 1 .. pick(0, 1, 1, 2);
		my $method = pick('diff', 'diff', 'diff', 'swap');
		my $result = $node->safe_psql(
			'postgres', "SET pg_steward.refresh_diff_memory = '$memory'; SET client_min_messages = error;
			$changes; SELECT method_used FROM refresh_matview_now('m$round', '$method');
			SELECT rows_inserted, rows_deleted, rows_updated FROM refresh_matview_now('m$round', 'diff');
			SELECT differs('m$round'), corrupt('m$round')");
		my @lines = split /\n/, $result;
		next if $lines[-3] eq $method && $lines[-2] eq '0|0|0' && $lines[-1] eq '0|0';
		$failed++;
		diag "view: $session\nmethod: $method\nchanges: $changes\nresult: $result";
	}
	is($failed, 0, "view $round, $rows rows, $memory, fillfactor $fill, " . @indexes . ' indexes');
}

# Temporary files run out: an error, and nothing is changed.
$node->safe_psql('postgres', q{
	CREATE TABLE base AS SELECT g AS id, repeat(md5(g::text), 5) AS doc FROM generate_series(1, 20000) g;
	CREATE MATERIALIZED VIEW view AS SELECT * FROM base;
	CREATE UNIQUE INDEX ON view (id);
	UPDATE base SET doc = 'new' WHERE id % 2 = 0});
my ($status, $out, $error) = $node->psql('postgres', q{
	SET temp_file_limit = '200kB';
	SET pg_steward.refresh_diff_memory = '64kB';
	SELECT refresh_matview_now('view', 'diff')});
like($error, qr/temporary file size exceeds "?temp_file_limit"?/, 'temporary files run out');
is($node->safe_psql('postgres', q{SELECT count(*) FROM view WHERE doc = 'new'}),
	'0', 'nothing changed');

# A statement timeout ends it in any phase.
($status, $out, $error) = $node->psql('postgres', q{
	CREATE FUNCTION nap(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM pg_sleep(100); RETURN i; END $$;
	CREATE TABLE naps (id int);
	CREATE MATERIALIZED VIEW napping AS SELECT id, public.nap(id) FROM naps;
	INSERT INTO naps VALUES (1);
	SET statement_timeout = '500ms';
	SELECT refresh_matview_now('napping', 'diff')});
like($error, qr/canceling statement due to statement timeout/, 'statement_timeout');

# A crash before the commit: the old rows, and sound indexes.
my ($in, $seen) = ('', '');
my $handle = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ],
	'<', \$in, '>', \$seen, IPC::Run::timer(180));
$in .= "BEGIN; SELECT rows_updated FROM refresh_matview_now('view', 'diff');\n\\echo done\n";
$handle->pump until $seen =~ /done/;
like($seen, qr/^10000$/m, 'refreshed, not committed');
$node->safe_psql('postgres', 'CHECKPOINT');
$node->stop('immediate');
$handle->kill_kill;
$node->start;
is($node->safe_psql('postgres', q{SELECT count(*) FILTER (WHERE doc = 'new'), count(*), corrupt('view') FROM view}),
	'0|20000|0', 'crash before the commit');

# A crash after it: the new ones.
$node->safe_psql('postgres', q{SELECT refresh_matview_now('view', 'diff')});
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', q{SELECT differs('view'), corrupt('view')}), '0|0', 'crash after the commit');

# A standby gets the rows, and refuses to refresh.
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->safe_psql('postgres', q{
	DELETE FROM base WHERE id % 5 = 0;
	UPDATE base SET doc = 'newer' WHERE id % 7 = 0;
	SELECT refresh_matview_now('view', 'diff')});
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q{SELECT differs('view'), corrupt('view'), count(*) FROM view}),
	'0|0|16000', 'rows on the standby');
for my $method (qw(auto diff plain swap))
{
	($status, $out, $error) = $standby->psql('postgres', "SELECT refresh_matview_now('view', '$method')");
	like($error, qr/cannot execute refresh_matview_now\(\) during recovery/, "$method on the standby");
}

$standby->stop;
$node->stop;
done_testing();
