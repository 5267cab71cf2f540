# A dump carries the extension and what users keep; a restore works again.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf',
	q{shared_preload_libraries = 'pg_stat_statements,pg_steward'});
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE source');
$node->safe_psql('postgres', 'CREATE DATABASE target');
$node->safe_psql('source', q{
	CREATE SCHEMA tools;
	CREATE EXTENSION pg_stat_statements SCHEMA tools;
	CREATE EXTENSION pg_steward SCHEMA tools;
	CREATE TABLE book AS SELECT g AS id FROM generate_series(1, 100) g;
	CREATE VIEW report AS SELECT table_name, total_bytes FROM tools.get_table_sizes();
	CREATE TABLE steward.notes AS SELECT 'kept' AS note});

my $file = "$PostgreSQL::Test::Utils::tmp_check/dump.sql";
$node->command_ok([ 'pg_dump', '-f', $file, $node->connstr('source') ], 'dump');
$node->command_ok(
	[ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $file, $node->connstr('target') ],
	'restore');

# every member, its definition, rights and comment
my $members = q{
	SELECT pg_describe_object(d.classid, d.objid, 0), pg_get_functiondef(p.oid), p.proacl,
	       obj_description(d.objid, d.classid::regclass::text)
	  FROM pg_depend d LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
	 WHERE d.deptype = 'e' AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_steward')
	 ORDER BY 1};
is($node->safe_psql('target', $members), $node->safe_psql('source', $members), 'same members');
isnt($node->safe_psql('target', $members), '', 'there are some');
is($node->safe_psql('target', 'SELECT count(*) FROM book'), '100', 'data');
is($node->safe_psql('target', 'SELECT note FROM steward.notes'), 'kept', 'data in schema steward');
is($node->safe_psql('target', q{SELECT total_bytes > 0 FROM report WHERE table_name = 'book'}),
	't', 'a view over a report works');

# a database copied as a template answers, too
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE target');
is($node->safe_psql('copy', 'SELECT size_bytes > 0 FROM tools.get_database_size()'), 't', 'copy');

done_testing();
