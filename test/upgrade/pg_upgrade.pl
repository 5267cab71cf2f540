# pg_upgrade of a cluster where pg_steward is installed, preloaded and holds
# data.  Run by test/run with the server programs of two majors: this one, and
# the older one whose installation PG_STEWARD_OLD_SERVER names.
#
# Compared before and after: the user's tables, all tables of schema steward
# (data.sql fills them), the members of the extension with their definitions'
# signatures, owners, privileges and comments.  A view of the user over a
# report must survive as well.
use strict;
use warnings;
use Cwd qw(abs_path);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $old_path = $ENV{PG_STEWARD_OLD_SERVER};

plan skip_all => 'PG_STEWARD_OLD_SERVER names no older server'
  unless $old_path && -x "$old_path/bin/postgres";
$old_path = abs_path($old_path);
my $new_path = abs_path(`pg_config --bindir` =~ s/\s+$//r . '/..');

# Two databases: one as most users have it, one with names that need quotes
# (the server forbids quotes in the name of an extension's schema).
my %schema_of = (shop => 'public', 'odd "base' => 'Odd schema');

# A cluster with both libraries preloaded.
sub make_node
{
	my ($name, $path) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name, install_path => $path);

	$node->init(extra => ['--data-checksums']);
	$node->append_conf('postgresql.conf',
		"shared_preload_libraries = 'pg_stat_statements,pg_steward'");
	return $node;
}

# Tables of schema steward, user tables, and what they hold.
sub contents
{
	my ($node, $database) = @_;
	my $tables = $node->safe_psql(
		$database, q{
		SELECT format('%I.%I', n.nspname, c.relname)
		  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		 WHERE n.nspname IN ('steward', 'app') AND c.relkind IN ('r', 'p')
		 ORDER BY 1});
	my %contents;

	$contents{$_} = $node->safe_psql($database, "SELECT t::text FROM $_ t ORDER BY 1")
	  for split /\n/, $tables;
	return \%contents;
}

# Members of the extension: identity, owner, privileges, comment.
sub members
{
	my ($node, $database) = @_;

	return $node->safe_psql(
		$database, q{
		SELECT i.type, i.identity, p.proacl, p.proowner::regrole,
		       c.relacl, c.relowner::regrole, n.nspacl,
		       obj_description(d.objid, d.classid::regclass::name)
		  FROM pg_extension e
		       JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass
		            AND d.refobjid = e.oid AND d.deptype = 'e'
		       CROSS JOIN pg_identify_object(d.classid, d.objid, d.objsubid) i
		       LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
		       LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
		       LEFT JOIN pg_namespace n ON d.classid = 'pg_namespace'::regclass AND n.oid = d.objid
		 WHERE e.extname = 'pg_steward'
		 ORDER BY 1, 2});
}

# Reports that can be called without arguments.
sub reports
{
	my ($node, $database) = @_;

	return split /\n/, $node->safe_psql(
		$database, q{
		SELECT format('%I.%I()', n.nspname, p.proname)
		  FROM pg_extension e
		       JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass
		            AND d.refobjid = e.oid AND d.deptype = 'e'
		       JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
		       JOIN pg_namespace n ON n.oid = p.pronamespace
		 WHERE e.extname = 'pg_steward' AND p.prokind = 'f' AND p.proretset
		   AND n.nspname <> 'steward' AND p.pronargs = p.pronargdefaults
		 ORDER BY 1});
}

# Each report answers.
sub check_reports
{
	my ($node, $database, $when) = @_;

	for my $report (reports($node, $database))
	{
		my ($status, $rows, $error) =
		  $node->psql($database, "SELECT count(*) FROM $report");

		ok($status == 0 && $rows =~ /^\d+$/, "$database, $when: $report answers")
		  or diag($error);
	}
}

my $old = make_node('old', $old_path);
my $new = make_node('new', $new_path);

$old->start;
for my $database (sort keys %schema_of)
{
	my $schema = $schema_of{$database};

	$old->safe_psql('postgres', 'CREATE DATABASE "' . $database =~ s/"/""/gr . '"');
	$old->safe_psql(
		$database, qq{
		CREATE SCHEMA IF NOT EXISTS "$schema";
		CREATE EXTENSION pg_steward SCHEMA "$schema" CASCADE;
		CREATE SCHEMA app;
		CREATE TABLE app.books (id int PRIMARY KEY, title text);
		INSERT INTO app.books SELECT i, repeat('book ' || i, 100) FROM generate_series(1, 1000) i;
		CREATE VIEW app.sizes AS SELECT * FROM "$schema".get_table_sizes() t(
		    schema_name, table_name);
	});
	$old->safe_psql($database, slurp_file('test/upgrade/data.sql'));
}

my (%contents, %members);
for my $database (sort keys %schema_of)
{
	$contents{$database} = contents($old, $database);
	$members{$database} = members($old, $database);
	is(scalar(grep { $_ eq '' } values %{ $contents{$database} }),
		0, "$database: every table of schema steward holds data")
	  or diag('test/upgrade/data.sql fills none of: '
		  . join ', ',
		grep { $contents{$database}{$_} eq '' } sort keys %{ $contents{$database} });
	check_reports($old, $database, 'before');
}
$old->stop;

command_ok(
	[   'pg_upgrade', '--no-sync',
		'--old-datadir', $old->data_dir,
		'--new-datadir', $new->data_dir,
		'--old-bindir', "$old_path/bin",
		'--new-bindir', "$new_path/bin",
		'--socketdir', $new->host,
		'--old-port', $old->port,
		'--new-port', $new->port ],
	'pg_upgrade');
if (!Test::More->builder->is_passing)
{
	# its log files say why
	for my $log (glob($new->data_dir . '/pg_upgrade_output.d/*/log/*'))
	{
		diag("$log:\n" . slurp_file($log)) if -s $log;
	}
	done_testing();
	exit 1;
}

$new->start;
for my $database (sort keys %schema_of)
{
	my $schema = $schema_of{$database};

	is_deeply(contents($new, $database), $contents{$database}, "$database: same data");
	is(members($new, $database), $members{$database}, "$database: same members");
	check_reports($new, $database, 'after');
	is( $new->safe_psql(
			$database,
			q{SELECT count(*) FROM app.sizes WHERE schema_name = 'app' AND table_name = 'books'}
		),
		'1',
		"$database: a user's view over a report works");
	$new->safe_psql($database,
		qq{DROP EXTENSION pg_steward CASCADE; CREATE EXTENSION pg_steward SCHEMA "$schema"});
	is(members($new, $database), $members{$database},
		"$database: a fresh extension has the same members");
}
$new->stop;

done_testing();
