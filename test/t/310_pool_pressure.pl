# Pool pressure on a real server: slots of clients that say nothing, refusals
# by each limit, lines in the log and events, restarts of the launcher, and
# the reports about sessions.
use strict;
use warnings;

use FindBin;
use IO::Socket::UNIX;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use StewardClient;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_stat_statements,pg_steward'
max_connections = 20
max_wal_senders = 5
superuser_reserved_connections = 3
log_line_prefix = '%m [%p] %b %e '
log_min_messages = warning
autovacuum = off
restart_after_crash = on
pg_steward.pool_sample_interval = 1
pg_steward.pool_clear_after = 1
pg_steward.pool_immediate_pct = 100
pg_steward.notify_channel = 'pool'
});
my $hba = slurp_file($node->data_dir . '/pg_hba.conf');
unlink $node->data_dir . '/pg_hba.conf';
$node->append_conf('pg_hba.conf', "local all silent scram-sha-256\n$hba");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_steward CASCADE');
$node->safe_psql('postgres', q{
CREATE ROLE app LOGIN;
CREATE ROLE silent LOGIN PASSWORD 'x';
CREATE ROLE small LOGIN CONNECTION LIMIT 2;
CREATE DATABASE narrow CONNECTION LIMIT 1;
CREATE DATABASE other});

sub pressure
{
	my ($columns) = @_;
	return $node->safe_psql('postgres', "SELECT $columns FROM get_pool_pressure()");
}

sub wait_for
{
	my ($condition, $what) = @_;
	ok($node->poll_query_until('postgres', $condition), $what);
}

# An authenticated session of a role
sub session
{
	my (%arg) = @_;
	return StewardClient->new(host => $node->host, port => $node->port,
		user => 'app', %arg);
}

# A client that is refused: SQLSTATE
sub refused
{
	my (%arg) = @_;
	my $socket = IO::Socket::UNIX->new(
		Peer => $node->host . '/.s.PGSQL.' . $node->port) or die "connect: $!";
	my $startup = pack('N', 196608)
	  . join("\0", user => $arg{user} // 'app', database => $arg{dbname} // 'postgres', '', '');
	syswrite($socket, pack('N', length($startup) + 4) . $startup);
	my $answer = '';
	while (sysread($socket, my $part, 4096)) { $answer .= $part; }
	return $answer =~ /\0C(\w{5})\0/ ? $1 : 'none';
}

# A client that is asked for a password, and says nothing
sub half_open
{
	my $socket = IO::Socket::UNIX->new(
		Peer => $node->host . '/.s.PGSQL.' . $node->port) or die "connect: $!";
	my $startup = pack('N', 196608) . join("\0", user => 'silent', database => 'postgres', '', '');
	syswrite($socket, pack('N', length($startup) + 4) . $startup);
	sysread($socket, my $question, 1) or die 'no answer';
	die "asked for no password: $question" if $question ne 'R';
	return $socket;
}

# ---------------------------------------------------------------- counting

# Clients that are asked for a password and stay silent have slots, but are
# seen nowhere else.
my @silent = map { half_open() } 1 .. 8;
wait_for('SELECT half_open = 8 FROM get_pool_pressure()', '8 half-open connections are counted');
is(pressure('client_backends'), 1, 'as clients only the caller');
# a session that is just connecting may be counted with them, but not always
wait_for('SELECT count(*) > 0 FROM get_pool_history() WHERE half_open = 8', 'the sampler sees them');
wait_for(q{SELECT recommendation LIKE '8 connections have not authenticated%'
	  FROM get_pool_recommendations() WHERE topic = 'half open'}, 'and are named in recommendations');
close $_ foreach @silent;
wait_for('SELECT half_open = 0 FROM get_pool_pressure()', 'until they are gone');

# Refusals by each limit, all of them.
my @small = map { session(user => 'small') } 1 .. 2;
is(refused(user => 'small'), '53300', 'refused by the limit of the role') foreach 1 .. 3;
my $narrow = session(dbname => 'narrow');
is(refused(dbname => 'narrow'), '53300', 'refused by the limit of the database') foreach 1 .. 2;
is($node->safe_psql('postgres', q{
	SELECT username, limit_of, connection_limit, limit_used_pct
	  FROM get_connection_pool_stats() WHERE connection_limit IS NOT NULL ORDER BY username}),
	"app|database|1|100\nsmall|role|2|100", 'limits and their use');
is($node->safe_psql('postgres', q{
	SELECT topic, severity, fix_sql FROM get_pool_recommendations()
	 WHERE topic IN ('limit', 'refused') ORDER BY topic, fix_sql}),
	"limit|critical|ALTER DATABASE narrow CONNECTION LIMIT 2;\n"
	  . "limit|critical|ALTER ROLE small CONNECTION LIMIT 3;\nrefused|critical|",
	'limits in recommendations');
$_->close foreach @small, $narrow;
wait_for('SELECT client_backends = 1 FROM get_pool_pressure()', 'sessions have ended');

my @app;
my $full = 0;
push @app, session() foreach 1 .. 17;
foreach (1 .. 20)
{
	$full++ if refused() eq '53300';
}
is($full, 20, 'no slot but the reserved ones');
my @super = map { session(user => $node->safe_psql('postgres', 'SELECT current_user')) } 1 .. 2;
# not by psql, whose slot may still be taken when it has ended
is(join('|', @{ $super[0]->query(q{
	SELECT refused_by ->> 'reserved', refused_by ->> 'role', refused_by ->> 'database', refused_total
	  FROM get_pool_pressure()})->[0] }),
	'20|3|2|25', 'all refusals are counted, by limit');
push @super, session(user => $super[0]->query('SELECT current_user')->[0][0]);
my $slots = 0;
foreach (1 .. 18)
{
	$slots++ if refused() eq '53300';
}
is($slots, 18, 'no slot at all');
(pop @super)->close;
# our own attempts may be refused, too, until that session is gone
wait_for("SELECT (refused_by ->> 'slots')::int >= 18 AND refused_total = (refused_by ->> 'slots')::int + 25 FROM get_pool_pressure()",
	'refusals without any slot are counted');
is(pressure('utilisation_pct > 100'), 't', 'reserved slots are beyond 100 %');
wait_for('SELECT peak_pct > 100 FROM get_pool_pressure()', 'and so is the peak');
$_->close foreach @super;

# ---------------------------------------------------------------- the log

my $log = $node->logfile;
like(slurp_file($log), qr/pg_steward launcher 53300 WARNING:  connection pool pressure is at level critical\n/,
	'refusals are critical at once');
wait_for("SELECT status = 'critical' FROM get_pool_pressure()", 'status');
$_->close foreach @app;
$node->wait_for_log(qr/connection pool pressure is at level|LOG:  connection pool pressure is over/);
wait_for("SELECT status = 'ok' FROM get_pool_pressure()", 'the level ends');

# Exactly the transitions, with who takes the slots.
$node->append_conf('postgresql.conf', q{
pg_steward.pool_warning_pct = 40
pg_steward.pool_warning_after = 1
pg_steward.pool_critical_pct = 70
pg_steward.pool_critical_after = 1
});
$node->reload;
my $offset = -s $log;
@app = map { session(application => 'shop "1"') } 1 .. 8;
$app[0]->query('BEGIN');
wait_for('SELECT count(*) >= 3 FROM get_pool_history() WHERE used >= 8', 'three samples');
wait_for("SELECT status = 'warning' FROM get_pool_pressure()", 'warning');
push @app, session(application => 'shop "1"') foreach 1 .. 5;
wait_for("SELECT status = 'critical' FROM get_pool_pressure()", 'critical');
$_->close foreach splice @app, 8, 5;
wait_for("SELECT status = 'warning' AND used < 12 FROM get_pool_pressure()", 'back to warning');
$_->close foreach splice @app;
wait_for("SELECT status = 'ok' FROM get_pool_pressure()", 'back to ok');
my @lines = slurp_file($log, $offset) =~ /53300 (\w+:  connection pool pressure.*)\n/g;
is_deeply(\@lines, [
	'WARNING:  connection pool pressure is at level warning',
	'WARNING:  connection pool pressure is at level critical',
	'WARNING:  connection pool pressure is at level warning',
	'LOG:  connection pool pressure is over' ], 'one line for each transition');
my $text = slurp_file($log, $offset);
like($text, qr/DETAIL:  status=warning cause="above threshold" used=\d+ usable=17 max_connections=20 utilisation_pct=\d\d\.\d half_open=0 active=\d idle=\d+ idle_in_transaction=1 /,
	'numbers in the detail');
like($text, qr/top=\[\{database="postgres" role="app" application_name="shop \?1\?" state="idle" count=\d+ oldest_seconds=\d+\}, /,
	'and the top consumers');
like($text, qr/HINT:  Most connections are idle/, 'and what to do in the hint');

# ---------------------------------------------------------------- events

wait_for('SELECT count(*) >= 4 FROM steward.pool_event WHERE at > now() - interval \'1 day\' AND cause = \'above threshold\' OR news = \'cleared\'',
	'events are kept');
is($node->safe_psql('postgres', q{
	SELECT string_agg(news || ' ' || status, ', ' ORDER BY at)
	  FROM (SELECT * FROM steward.pool_event ORDER BY at DESC LIMIT 4) e}),
	'raised warning, raised critical, lowered warning, cleared ok', 'in order');
is($node->safe_psql('other', q{SELECT count(*) FROM pg_class WHERE relname = 'pool_event'}), 0,
	'a database without the extension is left alone');

my $listener = $node->background_psql('postgres');
$listener->query_safe('LISTEN pool');
refused(user => 'nobody');
@small = map { session(user => 'small') } 1 .. 2;
refused(user => 'small');
wait_for("SELECT status = 'critical' FROM get_pool_pressure()", 'refused again');
my $heard = '';
foreach (1 .. 100)
{
	$heard .= $listener->query('SELECT 1') . "\n";
	last if $heard =~ /pool_pressure/;
	select undef, undef, undef, 0.1;
}
like($heard, qr/"event": "pool_pressure".*"status": "critical", "cause": "clients refused"/,
	'a notification is sent');
$listener->quit;
$_->close foreach @small;

# ---------------------------------------------------------------- sessions

my $keeper = session(application => 'keeper');
$keeper->query('CREATE TEMP TABLE mine (i int)');
$node->safe_psql('postgres', 'CREATE TABLE t (i int); GRANT ALL ON t TO app');
$keeper->query('BEGIN');
$keeper->query('LOCK TABLE t');
my $dump = session(application => 'pg_dump');
$dump->query('BEGIN');
$dump->query('SELECT 1');
my $waiter = $node->background_psql('postgres', on_error_stop => 0, wait => 0,
	extra_params => [ '-U', 'app' ]);
$waiter->query_until(qr/go/, "\\echo go\nSET application_name = 'waiter';\nSELECT * FROM t;\n");
wait_for('SELECT count(*) = 2 FROM get_blocking()', 'a tree of two');
is($node->safe_psql('postgres', q{
	SELECT depth, state, application_name, blocks, blocked_by[1] = root_pid, waits_for,
	       end_sql = format('SELECT pg_terminate_backend(%s);', root_pid)
	  FROM get_blocking() ORDER BY depth}),
	"0|idle in transaction|keeper|1|||t\n1|active|waiter|0|t|AccessShareLock on relation t|",
	'who blocks whom');
is($node->safe_psql('postgres', q{
	SELECT application_name, state, blocks, last_query FROM get_idle_in_transaction() ORDER BY 1}),
	"keeper|idle in transaction|1|LOCK TABLE t\npg_dump|idle in transaction|0|SELECT 1",
	'open transactions');
is($node->safe_psql('postgres', q{
	SELECT application_name, reason, split_part(kill_sql, '(', 1)
	  FROM get_kill_candidates('0', '0')}),
	"keeper|has a transaction open and does nothing|SELECT pg_terminate_backend\n"
	  . "waiter|its statement runs for long|SELECT pg_cancel_backend",
	'candidates: neither pg_dump nor superusers');
is($node->safe_psql('postgres', q{SELECT count(*) FROM get_kill_candidates(NULL, NULL)}), 0,
	'null leaves a kind out');
is($node->safe_psql('postgres', q{
	CREATE ROLE nobody_special; SET ROLE nobody_special;
	SELECT DISTINCT reason, kill_sql IS NULL, query FROM get_kill_candidates('0', '0')}),
	'skipped: needs pg_read_all_stats|t|<insufficient privilege>', 'without rights nothing is proposed');
$keeper->close;
$dump->close;
$waiter->quit;

# ---------------------------------------------------------------- robustness

# The launcher comes back, and knows what it knew.
my $launcher = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_steward launcher'};
my $pid = $node->safe_psql('postgres', $launcher);
my $refused = pressure('refused_total');
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
wait_for("SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pg_steward launcher' AND pid <> $pid",
	'the launcher is started again');
wait_for(q{SELECT sampled_at > now() - interval '3 s' FROM get_pool_pressure()}, 'and samples');
is(pressure('refused_total'), $refused, 'nothing was forgotten');

# It holds up nobody.
$node->safe_psql('postgres', 'DROP DATABASE narrow');
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE other');
my $locker = $node->background_psql('postgres');
$locker->query_safe('BEGIN; LOCK TABLE pg_authid, pg_database IN ACCESS EXCLUSIVE MODE');
my $before = $locker->query_safe('SELECT sampled_at FROM get_pool_pressure()');
my $moved = 0;
foreach (1 .. 100)
{
	$moved = $locker->query_safe("SELECT sampled_at > '$before'::timestamptz + interval '2 s' FROM get_pool_pressure()") eq 't';
	last if $moved;
	select undef, undef, undef, 0.1;
}
ok($moved, 'samples go on while the catalogs are locked');
$locker->query_safe('COMMIT');
$locker->quit;

# Off and on again.
$node->append_conf('postgresql.conf', 'pg_steward.pool_sample_interval = 0');
$node->reload;
wait_for(q{SELECT status = 'skipped: needs pg_steward.pool_sample_interval above 0' FROM get_pool_pressure()},
	'the sampler can be turned off');
$node->append_conf('postgresql.conf', 'pg_steward.pool_sample_interval = 1');
$node->reload;
wait_for(q{SELECT status = 'ok' FROM get_pool_pressure()}, 'and on');

# A crash resets the counters, and the launcher is there again.
my $backend = session();
my $victim = $backend->query('SELECT pg_backend_pid()')->[0][0];
kill 'KILL', $victim;
ok($node->poll_query_until('postgres', 'SELECT refused_total = 0 FROM get_pool_pressure()'),
	'counters start anew after a crash');
wait_for(q{SELECT status = 'ok' FROM get_pool_pressure()}, 'and so does the sampler');

# ---------------------------------------------------------------- a standby

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
ok($standby->poll_query_until('postgres', q{SELECT status = 'ok' FROM get_pool_pressure()}),
	'the sampler runs on a standby');
my @standby_app;
push @standby_app, StewardClient->new(host => $standby->host, port => $standby->port, user => 'app')
  foreach 1 .. 13;
$standby->wait_for_log(qr/connection pool pressure is at level critical/);
pass('and logs there');
is($standby->safe_psql('postgres', 'SELECT count(*) >= 13 FROM get_kill_candidates(\'0\')'), 't',
	'reports work');
$_->close foreach @standby_app;
$standby->promote;
ok($standby->poll_query_until('postgres', q{SELECT count(*) > 0 FROM steward.pool_event WHERE at > now() - interval '30 s' AND news IN ('cleared', 'lowered')}),
	'after promotion events are kept');
$standby->stop;
$node->stop;
done_testing();
