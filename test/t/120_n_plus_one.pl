# Detection of repeated statements: the workloads of test/perl, run by real
# clients, some of them through PgBouncer in transaction mode if it is
# installed.
use strict;
use warnings;

use File::Temp qw(tempdir);
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use StewardClient;
use StewardWorkloads;
use StewardWorkloadsFourth;
use StewardWorkloadsFourthDecoys;
use StewardWorkloadsFifth;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_stat_statements,pg_steward'
autovacuum = off
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_steward CASCADE');
my $user = $node->safe_psql('postgres', 'SELECT current_user');

# The pooler, with two connections to the server.
my ($pooler, $pooler_port);
my ($program) = grep { -x } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin';
if ($program)
{
	my $directory = tempdir(CLEANUP => 1);
	$pooler_port = PostgreSQL::Test::Cluster::get_free_port();
	append_to_file("$directory/ini", sprintf(
		"[databases]\npostgres = host=%s port=%d user=%s\n[pgbouncer]\nlisten_port = %d\n"
		  . "unix_socket_dir = %s\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 2\n",
		$node->host, $node->port, $user, $pooler_port, $directory));
	$pooler = { directory => $directory };
	$pooler->{run} = IPC::Run::start([ $program, "$directory/ini" ],
		'>', "$directory/log", '2>&1');
	for (1 .. 100)
	{
		last if -S "$directory/.s.PGSQL.$pooler_port";
		select undef, undef, undef, 0.1;
	}
}

# Workloads run in processes of their own: leave a note that one needs what is
# not there.
my $unmet = "$PostgreSQL::Test::Utils::tmp_check/unmet";

sub need_pooler
{
	return if $pooler;
	append_to_file($unmet, 'x');
	die "PgBouncer is not installed\n";
}

sub connect_to
{
	my (%arg) = @_;
	return StewardClient->new(host => $node->host, port => $node->port, user => $user, %arg)
	  unless delete $arg{pooled};
	need_pooler();
	return StewardClient->new(host => $pooler->{directory}, port => $pooler_port, user => $user, %arg);
}

# pgbench; scripts are given as [TEXT, WEIGHT]
sub pgbench
{
	my @arg = @_;
	my @server = ('-h', $node->host, '-p', $node->port);
	if ($arg[0] eq 'pooled')
	{
		shift @arg;
		need_pooler();
		@server = ('-h', $pooler->{directory}, '-p', $pooler_port);
	}
	my $directory = tempdir(CLEANUP => 1);
	my $n = 0;
	foreach (grep { ref } @arg)
	{
		my $file = "$directory/" . ++$n;
		append_to_file($file, $_->[0]);
		$_ = "$file\@$_->[1]";
	}
	my ($out, $err);
	IPC::Run::run([ 'pgbench', @server, '-U', $user, @arg, 'postgres' ], '>', \$out, '2>', \$err)
	  or die "pgbench failed: $err";
}

# Run a workload, and say what the report lacks and what it has too much.
# False if it could not be run.
sub run_workload
{
	my ($workload, $missed, $false) = @_;
	my $t = "w_$workload->{name}";

	$node->safe_psql('postgres',
		"SET client_min_messages = warning; DROP TABLE IF EXISTS ${t}_a, ${t}_b, ${t}_c;"
		  . StewardWorkloads::tables($workload->{name}) . 'SELECT reset_n_plus_one()');
	eval { $workload->{code}->(\&connect_to, $t, \&pgbench); 1 } or return 0;
	select undef, undef, undef, 0.2;
	my %found = map { split /=/ } split /\n/, $node->safe_psql('postgres', qq{
		SELECT DISTINCT substring(query from '(?:${t}_|pgbench_)([a-z]+)') || '-' || kind || '=1'
		  FROM get_n_plus_one_queries(NULL, query_length => 0)
		 WHERE query ~ '${t}_|pgbench_'});
	@$missed = grep { !delete $found{$_} }
	  map { "$_-$workload->{truth}{$_}" } sort keys %{ $workload->{truth} };
	@$false = grep { my ($kind) = /-(.*)/; !$workload->{may}{$kind} } sort keys %found;
	return 1;
}

my %count = (found => 0, missed => 0, false => 0);
foreach my $workload (@StewardWorkloads::workloads)
{
  SKIP:
	{
		my (@missed, @false);

		# The report judges by how statements follow each other in time, which a
		# busy machine disturbs: what goes wrong gets another chance.
		for my $try (1 .. 3)
		{
			unlink $unmet;
			my $ran = run_workload($workload, \@missed, \@false);
			skip "$workload->{name}: PgBouncer is not installed", 1 if -e $unmet;
			die "$workload->{name}: $@" unless $ran;
			last if !@false && !@missed;
			note "$workload->{name}, run $try: missed (@missed), false (@false)";
		}
		$count{found} += keys(%{ $workload->{truth} }) - @missed;
		$count{missed} += @missed;
		$count{false} += @false;
		if ($workload->{known})
		{
			note "$workload->{name}, $workload->{known}: missed (@missed), false (@false)";
		}
		else
		{
			ok(!@false, "$workload->{name}: nothing false") or diag "reported: @false";
		}
	}
}

note "found $count{found}, missed $count{missed}, false $count{false}";
cmp_ok($count{found} / ($count{found} + $count{missed}), '>=', 0.9, 'recall');
cmp_ok($count{found} / ($count{found} + $count{false}), '>=', 0.9, 'precision');

SKIP:
{
	skip 'PgBouncer is not installed', 1 unless $pooler;
	$pooler->{run}->kill_kill;
	pass('pooler stopped');
}
done_testing();
