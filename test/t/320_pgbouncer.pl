# PgBouncer is asked for its queues: consoles that lie, hang or are gone, queues
# that last, and, if it is installed, PgBouncer itself.
use strict;
use warnings;

use File::Temp qw(tempdir);
use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

use StewardClient;
use StewardConsole;

my $directory = tempdir(CLEANUP => 1);
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_stat_statements,pg_steward'
autovacuum = off
log_line_prefix = '%m [%p] %b %e '
pg_steward.pool_sample_interval = 1
pg_steward.pool_clear_after = 1
pg_steward.pgbouncer_interval = 1
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_steward CASCADE; CREATE DATABASE victim; CREATE ROLE nobody');
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');

sub wait_for
{
	my ($condition, $what) = @_;
	ok($node->poll_query_until('postgres', $condition), $what)
	  or diag $node->safe_psql('postgres', 'SELECT * FROM get_pgbouncer_pools()');
}

sub query { return $node->safe_psql('postgres', $_[0]); }

# Change settings
my %setting;
sub set
{
	%setting = (%setting, @_);
	$node->append_conf('postgresql.conf',
		join '', map { "pg_steward.$_ = '" . ($setting{$_} =~ s/'/''/gr) . "'\n" } keys %setting);
	$node->reload;
}

sub write_pools
{
	my ($file, @lines) = @_;
	open my $handle, '>', "$directory/$file.new" or die;
	print $handle map { "$_\n" } @lines;
	close $handle;
	rename "$directory/$file.new", "$directory/$file" or die;
}

# ---------------------------------------------------------------- the setting

is(query('SELECT console, state, cl_waiting FROM get_pgbouncer_pools()'),
	'|skipped: needs pg_steward.pgbouncer_conninfo|', 'nothing to watch');
is(query('SELECT console, state, clients FROM get_pgbouncer_stats()'),
	'|skipped: needs pg_steward.pgbouncer_conninfo|', 'in either report');

# What the check hook says to a value
sub complaint
{
	my ($value) = @_;
	my ($ret, $out, $err) = $node->psql('postgres',
		"ALTER SYSTEM SET pg_steward.pgbouncer_conninfo = '" . ($value =~ s/'/''/gr) . "'");
	$err =~ s/^psql:<stdin>:1: //mg;
	return $err;
}
my $said = complaint('host=a user=b password=geheim');
like($said, qr/^ERROR:  connection string must not contain "password"\nDETAIL:  Connection string 1 has a secret.*\nHINT:  .*"passfile"/,
	'a password is refused');
unlike($said =~ s/^(LINE|STATEMENT).*//mgr, qr/geheim/, 'and not repeated');
like(complaint('host=a;postgresql://u:geheim@b/'), qr/must not contain "password"\nDETAIL:  Connection string 2 /,
	'in a URI, too');
like(complaint(q{host='a;b' sslpassword=x}), qr/must not contain "sslpassword"\nDETAIL:  Connection string 1 /,
	'a semicolon within quotes separates nothing');
like(complaint('host=a; nonsense'), qr/^ERROR:  invalid connection string\nDETAIL:  Connection string 2: .*"nonsense".*\nHINT:  /,
	'what cannot be parsed is refused');
like(complaint('hots=a'), qr/^ERROR:  invalid connection string\nDETAIL:  Connection string 1: .*"hots"/,
	'an option that there is not');
like(complaint('host=a,b'), qr/must name one host/, 'several hosts');
like(complaint('host=a;' x 9), qr/too many connection strings/, 'too many');
is(complaint(' ; ;'), '', 'none');
query('ALTER SYSTEM RESET pg_steward.pgbouncer_conninfo');

# ---------------------------------------------------------------- bad company

my %console;
write_pools('good', 'shop app 0 0', 'other app 0 0');
my @modes = qw(good mute backlog garbage columns rows huge drip);
$console{$_} = StewardConsole->new($_, pools => "$directory/good") foreach @modes;
set(pgbouncer_conninfo => join ';', map { $console{$_}->conninfo } @modes);

# The state of a console
sub state_is
{
	my ($mode, $state, $error) = @_;
	my $label = '127.0.0.1:' . $console{$mode}->port;
	wait_for(qq{SELECT count(*) > 0 AND bool_and(state = '$state') FROM get_pgbouncer_pools() WHERE console = '$label'},
		"$mode: $state");
	like(query(qq{SELECT error FROM get_pgbouncer_pools() WHERE console = '$label'}), $error, "$mode: error")
	  if $error;
}
state_is('good', 'ok');
state_is('mute', 'timeout', qr/^there was no complete answer within 2 seconds$/);
state_is('backlog', 'timeout');
state_is('garbage', 'invalid answer');
state_is('columns', 'invalid answer', qr/^the answer to SHOW POOLS has no column "database"$/);
state_is('rows', 'invalid answer', qr/^the answer is too long$/);
state_is('huge', 'invalid answer', qr/^the answer is too long$/);
state_is('drip', 'timeout');
my $label = '127.0.0.1:' . $console{good}->port;
is(query(qq{
	SELECT database_name, username, cl_active, cl_waiting, sv_active, sv_idle, sv_used, pool_size,
	       reserve_size, pool_mode, maxwait_seconds, error
	  FROM get_pgbouncer_pools() WHERE console = '$label' ORDER BY 1}),
	"other|app|3|0|||||||0|\nshop|app|3|0||||7|3||0|",
	'columns by name: unknown ones ignored, missing ones and nonsense null');
is(query(qq{
	SELECT clients, max_client_conn, clients_pct, default_pool_size, database_name, total_xact_count, state
	  FROM get_pgbouncer_stats() WHERE console = '$label'}), '|200||||||ok' =~ s/\|\|\|\|\|\|/|||||/r,
	'what the console does not tell');

# Others go on meanwhile.
my $before = query('SELECT sampled_at FROM get_pool_pressure()');
my $answered = query(qq{SELECT max(sampled_at) FROM get_pgbouncer_pools() WHERE console = '$label'});
wait_for("SELECT sampled_at > '$before'::timestamptz + interval '3 s' FROM get_pool_pressure()", 'the sampler goes on');
wait_for(qq{SELECT max(sampled_at) > '$answered'::timestamptz + interval '3 s' FROM get_pgbouncer_pools() WHERE console = '$label'},
	'and so does the console that answers');
query('DROP DATABASE victim');
is(query('SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE \'%pgbouncer%\''), 0,
	'the poller has no part in what backends wait for');
is(query(q{SELECT count(*) FROM get_pool_recommendations() WHERE topic = 'pgbouncer' AND recommendation ~ 'cannot be read'}),
	7, 'recommendations name those that cannot be read');
my $log = slurp_file($node->logfile);
is(scalar(() = $log =~ /LOG:  PgBouncer console "127.0.0.1:\d+" cannot be read: /g), 7, 'one line for each in the log');
like($log, qr/08006 LOG:  PgBouncer console "127.0.0.1:\d+" cannot be read: timeout\n[^\n]*DETAIL:  there was/, 'with the reason');
unlike($log, qr/gossip|was terminated by signal|PANIC/, 'and nothing else');

# Names of others' pools are not for everyone.
is(query(qq{SET ROLE nobody; SELECT DISTINCT console, database_name, username, error FROM get_pgbouncer_pools()}),
	'|||skipped: needs pg_monitor', 'no names without rights');
is(query(qq{SET ROLE nobody; SELECT cl_active, cl_waiting, error FROM get_pgbouncer_pools() WHERE state = 'ok'}),
	'6|0|skipped: needs pg_monitor', 'but counts');
is(query(q{SET ROLE nobody; SELECT count(*), count(total_xact_count), count(console) FROM get_pgbouncer_stats()}),
	'8|0|0', 'neither in statistics');
is(query(q{GRANT pg_monitor TO nobody; SET ROLE nobody; SELECT count(DISTINCT console) FROM get_pgbouncer_pools();
	RESET ROLE; REVOKE pg_monitor FROM nobody}), '8', 'with pg_monitor all');
my ($ret, $out, $err) = $node->psql('postgres', 'SET ROLE nobody; SHOW pg_steward.pgbouncer_conninfo');
like($err, qr/permission denied|must be superuser/, 'the setting is not for everyone');

# The server stops while consoles hang.
my $started = time;
$node->stop('fast');
cmp_ok(time - $started, '<', 5, 'a fast shutdown does not wait for them');
$node->start;
state_is('good', 'ok');
state_is('mute', 'timeout');

# ---------------------------------------------------------------- more of it

$console{$_}->stop foreach grep { $_ ne 'good' } @modes;
my $passfile = "$directory/pass";
append_to_file($passfile, "*:*:*:*:secret\n");
chmod 0600, $passfile;
$console{$_} = StewardConsole->new($_, pools => "$directory/good") foreach qw(fatal question scram notices closing);
$console{gone} = StewardConsole->new('mute');
$console{gone}->stop;
my $offset = -s $node->logfile;
my $missing = 'host=no-such-host.invalid user=watcher';
set(pgbouncer_conninfo => join ';', $console{fatal}->conninfo, $console{question}->conninfo,
	$console{scram}->conninfo("passfile=$passfile"), $console{notices}->conninfo,
	$console{closing}->conninfo, $console{gone}->conninfo, $missing,
	'host=localhost user=watcher port=' . $console{good}->port);
state_is('fatal', 'refused', qr/FATAL:  go away, \?\?$/);
state_is('question', 'refused', qr/password/);
state_is('scram', 'timeout', qr/^it makes its client compute for too long$/);
state_is('notices', 'invalid answer', qr/^the answer is too long$/);
state_is('closing', 'ok');
state_is('gone', 'unreachable');
wait_for(q{SELECT bool_or(state IN ('unreachable', 'timeout')) FROM get_pgbouncer_pools() WHERE console = 'no-such-host.invalid'},
	'a host that there is not');
wait_for(q{SELECT count(*) = 2 FROM get_pgbouncer_pools() WHERE state = 'ok' AND console LIKE 'localhost:%'},
	'a host by its name');
my $text = slurp_file($node->logfile, $offset);
unlike($text, qr/gossip|was terminated by signal|PANIC|crash of another/, 'notices are not in the log, and nobody crashed');

# A console that closes connections is connected to again.
$label = '127.0.0.1:' . $console{closing}->port;
$answered = query(qq{SELECT max(sampled_at) FROM get_pgbouncer_pools() WHERE console = '$label'});
wait_for(qq{SELECT max(sampled_at) > '$answered'::timestamptz + interval '2 s' FROM get_pgbouncer_pools() WHERE console = '$label'},
	'connections that are closed are made again');

# One that comes back is found, with a line in the log.
$console{gone} = StewardConsole->new('good', port => $console{gone}->port, pools => "$directory/good");
state_is('gone', 'ok');
$node->wait_for_log(qr/LOG:  PgBouncer console "127.0.0.1:\d+" can be read again/, $offset);
$_->stop foreach values %console;

# ---------------------------------------------------------------- queues

# More pools than are kept: those that wait are.
write_pools('many', map { $_ < 90 ? "d$_ app 0 0" : "d$_ app $_ 0" } 1 .. 100);
$console{many} = StewardConsole->new('good', pools => "$directory/many");
set(pgbouncer_conninfo => $console{many}->conninfo);
wait_for(q{SELECT count(*) = 65 FROM get_pgbouncer_pools()}, 'as many pools as fit');
is(query(q{SELECT sum(cl_waiting) FROM get_pgbouncer_pools() WHERE database_name IS NOT NULL}),
	1045, 'with them all in which clients wait');
is(query(q{SELECT cl_waiting, cl_active, error FROM get_pgbouncer_pools() WHERE database_name IS NULL}),
	'1045|300|truncated: 36 of 100 pools are not shown', 'the rest is said');
is(query(q{SET ROLE nobody; SELECT cl_waiting FROM get_pgbouncer_pools()}), '1045', 'sums for everyone');
$console{many}->stop;

# The rule: clients that wait, or wait for long, for long enough.
sub levels
{
	my ($since) = @_;
	return join ', ', slurp_file($node->logfile, $since)
	  =~ /53300 \w+:  connection pool pressure is (at level \w+|over)\n/g;
}
write_pools('rule', 'shop app 3 0');
$console{rule} = StewardConsole->new('good', pools => "$directory/rule");
$offset = -s $node->logfile;
set(pgbouncer_conninfo => $console{rule}->conninfo,
	pgbouncer_waiting_after => 3600, pgbouncer_maxwait_after => 2);
wait_for(q{SELECT count(*) >= 4 FROM get_pool_history('1 hour') WHERE queued = 3}, 'the history has the queue');
is(levels($offset), '', 'a queue that moves is no reason for a warning');
write_pools('rule', 'shop app 3 5', 'shop other 1 0');
wait_for(q{SELECT status = 'warning' FROM get_pool_pressure()}, 'clients that wait for long are');
is(levels($offset), 'at level warning', 'one line');
$text = slurp_file($node->logfile, $offset);
like($text, qr/DETAIL:  status=warning cause="clients wait in a pooler" .* queued=4 pools=\[\{console="127.0.0.1:\d+" database="shop" user="app" cl_waiting=3 maxwait_seconds=5.0 sv_active=-1 pool_size=7\}, \{[^]]*user="other" cl_waiting=1 /,
	'with the pools that wait');
like($text, qr/HINT:  Clients wait in PgBouncer: /, 'and what to do');
write_pools('rule', 'shop app 0 0');
wait_for(q{SELECT status = 'ok' FROM get_pool_pressure()}, 'until they are served');
is(levels($offset), 'at level warning, over', 'which is said');

$offset = -s $node->logfile;
write_pools('rule', 'shop app 1 0');
set(pgbouncer_waiting_after => 2, pgbouncer_maxwait_after => 3600);
wait_for(q{SELECT status = 'warning' FROM get_pool_pressure()}, 'a queue that is never empty is a reason');
# the console hangs: nobody knows
$console{rule}->stop;
wait_for(q{SELECT status = 'ok' FROM get_pool_pressure()}, 'a queue nobody can see is none');
is(levels($offset), 'at level warning, over', 'which is said');

# Setting it to nothing ends it.
set(pgbouncer_conninfo => '');
wait_for(q{SELECT state = 'skipped: needs pg_steward.pgbouncer_conninfo' FROM get_pgbouncer_pools()}, 'watching ends');

# ---------------------------------------------------------------- PgBouncer

my ($program) = grep { -x } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin';
SKIP:
{
	skip 'PgBouncer is not installed', 1 unless $program;

	my $port = PostgreSQL::Test::Cluster::get_free_port();
	append_to_file("$directory/users", qq{"watcher" "secret"\n"$superuser" ""\n"stranger" "secret"\n});
	append_to_file("$directory/ini", sprintf(
		"[databases]\npostgres = host=%s port=%d user=%s\n[pgbouncer]\nlisten_port = %d\n"
		  . "unix_socket_dir = %s\nauth_type = hba\nauth_hba_file = %s\nauth_file = %s\n"
		  . "pool_mode = transaction\ndefault_pool_size = 2\nreserve_pool_size = 1\nreserve_pool_timeout = 600\n"
		  . "max_client_conn = 50\nstats_users = watcher\n",
		$node->host, $node->port, $superuser, $port, $directory, "$directory/hba", "$directory/users"));
	append_to_file("$directory/hba", "local pgbouncer all scram-sha-256\nlocal all all trust\n");

	my $start_pooler = sub {
		my $run = IPC::Run::start([ $program, "$directory/ini" ], '>', "$directory/log", '2>&1');
		for (1 .. 100)
		{
			last if -S "$directory/.s.PGSQL.$port";
			select undef, undef, undef, 0.1;
		}
		return $run;
	};
	my $pooler = $start_pooler->();

	set(pgbouncer_conninfo => "host=$directory port=$port user=watcher passfile=$passfile",
		pgbouncer_waiting_after => 2);
	wait_for(q{SELECT state = 'ok' FROM get_pgbouncer_pools()}, 'PgBouncer answers');


	# Two server connections, which wait for a lock, and six clients.
	$offset = -s $node->logfile;
	my $locker = $node->background_psql('postgres');
	$locker->query_safe('SELECT pg_advisory_lock(1)');
	my @client = map {
		IPC::Run::start([ 'psql', '-X', '-q', '-h', $directory, '-p', $port, '-U', $superuser,
			'-c', 'SELECT pg_advisory_xact_lock_shared(1)', 'postgres' ], '<', \undef, '>', \my $out, '2>&1')
	} 1 .. 6;
	wait_for(q{SELECT cl_active = 2 AND cl_waiting = 4 AND sv_active = 2 AND pool_size = 2
	  FROM get_pgbouncer_pools() WHERE database_name = 'postgres'}, 'four clients wait');
	is(query(q{SELECT username, reserve_size, pool_mode, error FROM get_pgbouncer_pools() WHERE database_name = 'postgres'}),
		"$superuser|1|transaction|", 'in this pool');
	is(query(q{SELECT clients >= 7, max_client_conn, default_pool_size, database_name, avg_wait_ms >= 0 FROM get_pgbouncer_stats()}),
		't|50|2|postgres|t', 'statistics');
	wait_for(q{SELECT count(*) > 0 FROM get_pgbouncer_pools() WHERE maxwait_seconds > 1}, 'the first of them for more than a second');
	like(query(q{SELECT severity || ' ' || recommendation FROM get_pool_recommendations() WHERE topic = 'pgbouncer queue'}),
		qr/^warning 4 clients wait for pool postgres of .* \(pool_size 2, 2 busy\), the first for [\d.]+ s: (raise pool_size to 6;|more connections would share)/,
		'what could be done');
	wait_for(q{SELECT status = 'warning' FROM get_pool_pressure()}, 'a warning');
	wait_for(q{SELECT count(*) > 0 FROM steward.pool_event WHERE cause = 'clients wait in a pooler' AND detail ~ 'cl_waiting=4'},
		'which is kept');
	$locker->quit;
	$_->finish foreach @client;
	wait_for(q{SELECT cl_waiting = 0 AND cl_active = 0 FROM get_pgbouncer_pools() WHERE database_name = 'postgres'}, 'and clears');
	wait_for(q{SELECT status = 'ok' FROM get_pool_pressure()}, 'with the warning');

	# It goes, and comes back.
	$pooler->kill_kill;
	wait_for(q{SELECT state = 'unreachable' FROM get_pgbouncer_pools()}, 'PgBouncer is stopped');
	$pooler = $start_pooler->();
	wait_for(q{SELECT state = 'ok' FROM get_pgbouncer_pools()}, 'and started again');

	# Those who are not let in.
	set(pgbouncer_conninfo => "host=$directory port=$port user=watcher passfile=/nonexistent");
	wait_for(q{SELECT state = 'refused' FROM get_pgbouncer_pools()}, 'no password');
	set(pgbouncer_conninfo => "host=$directory port=$port user=stranger passfile=$passfile");
	wait_for(q{SELECT state = 'refused' FROM get_pgbouncer_pools()}, 'a user who may not see statistics');
	$pooler->kill_kill;
}
$node->stop;
done_testing();
