# Bloat of indexes with damaged pages, after a crash, on a standby.
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
	CREATE TABLE t AS
	  SELECT g AS id, g % 50 AS k, point(g, g % 100) AS p, ARRAY[g, g % 10] AS a, g::text AS s
	    FROM generate_series(1, 20000) g;
	CREATE INDEX t_good ON t (k);
	CREATE INDEX t_btree ON t (id);
	CREATE INDEX t_item ON t (id);
	CREATE INDEX t_meta ON t (id);
	CREATE INDEX t_zero ON t (id);
	CREATE INDEX t_hash ON t USING hash (id);
	CREATE INDEX t_gist ON t USING gist (p);
	CREATE INDEX t_gin ON t USING gin (a);
	CREATE INDEX t_spgist ON t USING spgist (s);
	CREATE UNLOGGED TABLE u (id int PRIMARY KEY);
	INSERT INTO u SELECT generate_series(1, 1000);
	VACUUM t;
	DELETE FROM t WHERE id % 2 = 0});

# The same numbers on a standby.
my $numbers = q{
	SELECT string_agg(index_name || ' ' || wasted_bytes, ', ' ORDER BY index_name)
	  FROM get_index_bloat('t', method => 'exact') WHERE access_method = 'btree'};
$node->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'b', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
my $expected = $node->safe_psql('postgres', $numbers);
like($expected, qr/t_btree [1-9]/, 'primary: there is bloat');
is($standby->safe_psql('postgres', $numbers), $expected, 'standby: same numbers');
like(
	$standby->safe_psql('postgres', q{SELECT fix_sql FROM get_index_bloat('t_btree')}),
	qr/^-- on the primary:\nREINDEX INDEX CONCURRENTLY public.t_btree;$/,
	'standby: what to do where');
like(
	$standby->safe_psql('postgres', q{SELECT reason FROM get_index_bloat('u')}),
	qr/^skipped: unlogged/, 'standby: unlogged index is left out in words');
$standby->stop;

# Write bytes into a block of an index, or replace it.
sub damage
{
	my ($path, $block, $offset, $bytes) = @_;

	open my $file, '+<:raw', $node->data_dir . "/$path" or die "could not open $path: $!";
	seek $file, $block * 8192 + $offset, 0 or die $!;
	print $file $bytes or die $!;
	close $file or die $!;
}
my %path = map { split /\|/ } split /\n/, $node->safe_psql('postgres', q{
	SELECT relname, pg_relation_filepath(oid) FROM pg_class WHERE relname LIKE 't\_%'});
$node->stop;
damage($path{t_btree}, 3, 16, pack('v', 8000));		# special space elsewhere
damage($path{t_item}, 2, 28, "\xff" x 40);		# line pointers out of the page
damage($path{t_meta}, 0, 24, "\0" x 8);			# magic number
damage($path{t_zero}, 2, 0, "\0" x 8192);		# a page of zeros is an empty page
damage($path{t_hash}, 3, 8190, "\x12\x34");		# page identifier
damage($path{t_gist}, 3, 8190, "\x12\x34");
damage($path{t_gin}, 3, 16, pack('v', 8000));
damage($path{t_spgist}, 3, 8190, "\x12\x34");
$node->start;

for my $method ('sample', 'exact')
{
	for my $index (qw(t_btree t_item t_meta t_hash t_gist t_gin t_spgist))
	{
		like(
			$node->safe_psql('postgres', qq{
				SELECT num_nulls(wasted_bytes, wasted_bytes_low, wasted_bytes_high), reason
				  FROM get_index_bloat('$index', method => '$method')}),
			qr/^3\|(damaged page: block \d of index "$index"|failed: .*invalid page)/,
			"$method: damage of $index is told");
	}
	is( $node->safe_psql('postgres', qq{
			SELECT string_agg(index_name, ' ' ORDER BY index_name)
			  FROM get_index_bloat('t', method => '$method')
			 WHERE reason IS NULL AND index_name ~ '^t_' AND index_name <> 't_zero'}),
		't_good', "$method: and the rest goes on");
}

# After a crash the free space map may call pages free that are not.
$node->safe_psql('postgres', q{
	CREATE TABLE reused (id int PRIMARY KEY);
	INSERT INTO reused SELECT generate_series(1, 50000);
	DELETE FROM reused WHERE id < 45000;
	VACUUM reused;
	VACUUM reused;
	CHECKPOINT;
	INSERT INTO reused SELECT generate_series(50001, 94000)});
$node->stop('immediate');
$node->start;
my ($wasted, $size) = split /\|/, $node->safe_psql('postgres', q{
	SELECT wasted_bytes, index_bytes FROM get_index_bloat('reused', method => 'exact')});
$node->safe_psql('postgres', 'REINDEX TABLE reused');
my $after = $node->safe_psql('postgres', q{SELECT pg_relation_size('reused_pkey')});
cmp_ok(abs($wasted - ($size - $after)), '<=', 0.02 * $size, 'crash: the map is not trusted');

$node->stop;
done_testing();
