# Constants sampled for index advice: off until it is turned on, from sessions
# of every protocol, bounded in memory while many execute, in no log, and gone
# after a restart or a crash.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use StewardClient;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_stat_statements,pg_steward'
autovacuum = off
jit = off
log_statement = 'none'
log_min_messages = debug1
pg_steward.sample_constants_memory = 64kB
restart_after_crash = on
});
$node->start;
my $columns = join ', ', map { "c$_ int" } 1 .. 30;
$node->safe_psql('postgres', qq{
CREATE EXTENSION pg_steward CASCADE;
CREATE TABLE wide ($columns);
CREATE TABLE task (id int PRIMARY KEY, state text NOT NULL, owner int, at timestamptz, pad text);
INSERT INTO task SELECT i, CASE WHEN i % 500 = 0 THEN 'secret-state' ELSE 'done' END, i % 1000, now(), repeat('x', 100)
  FROM generate_series(1, 30000) i;
VACUUM ANALYZE});
my $user = $node->safe_psql('postgres', 'SELECT current_user');

sub client
{
	return StewardClient->new(host => $node->host, port => $node->port, user => $user, @_);
}

sub state
{
	return $node->safe_psql('postgres',
		'SELECT statements, samples FROM get_sampled_constants_state()');
}

sub advice
{
	return $node->safe_psql('postgres', q{
		SELECT string_agg(regexp_replace(index_definition, '^.* USING ', ''), '; ' ORDER BY rank)
		  FROM get_index_suggestions()});
}

# Executions in the extended protocol, the constant in the text.
sub work
{
	my $c = client(@_);
	$c->execute("SELECT pad FROM task WHERE state = 'secret-state' AND owner = \$1", 500 * ($_ % 2)) for 1 .. 12;
	$c->close;
}

work();
is(state(), '0|0', 'nothing is kept by default');
unlike(advice(), qr/secret/, 'and advice knows nothing');

$node->safe_psql('postgres', 'ALTER SYSTEM SET pg_steward.sample_constants = on');
$node->reload;
$node->poll_query_until('postgres', 'SHOW pg_steward.sample_constants', 'on');
work();
is(state(), '1|6', 'constants and values of unnamed statements');
my $offset = -s $node->logfile;
is(advice(), q{btree (owner) WHERE ((state = 'secret-state'::text))},
	'the constant is a predicate');

# An error in the middle of advice, and one while constants are taken
$node->psql('postgres', q{SET statement_timeout = 1; SELECT count(*) FROM get_index_suggestions()});
$node->psql('postgres', q{SELECT count(*) FROM task WHERE state = 'secret-state' AND owner / (owner - owner) = 1},
	on_error_stop => 0);
my $log = slurp_file($node->logfile, $offset);
# the server logs texts of statements that failed, but not those that did not
my @lines = grep { /secret-state/ && !/STATEMENT:/ } split /\n/, $log;
is("@lines", '', 'no constant in the log');

# Named statements are parsed once: one set of constants, values of executions
$node->safe_psql('postgres', 'SELECT reset_sampled_constants()');
work(named => 1);
is($node->safe_psql('postgres', 'SELECT samples BETWEEN 2 AND 4 FROM get_sampled_constants_state()'),
	't', 'constants and values of named statements');

# More statements than there is room for, of several sessions at once
my $script = join "\n", map {
	my $a = $_;
	map { "SELECT count(*) FROM wide WHERE c$a = 7 AND c$_ = 77;" } 1 .. 30
} 1 .. 10;
my $file = $node->basedir . '/statements.sql';
append_to_file($file, "$script\n");
$node->command_ok([ 'pgbench', '-n', '-c', '4', '-j', '2', '-t', '3', '-f', $file,
	$node->connstr('postgres') ], 'many statements');
my $checks = q{SELECT evictions > 100 AND statements > 20 AND statements <= 128, used_bytes <= total_bytes, total_bytes <= 66 * 1024
	FROM get_sampled_constants_state()};
is($node->safe_psql('postgres', $checks), 't|t|t', 'memory is bounded');
# what is executed now is kept, what was executed long ago is not
is(advice() =~ /secret/ ? 1 : 0, 0, 'constants of old statements made room');
work();
like(advice(), qr/secret/, 'and come back when they are executed');

# Big values are left out, small ones beside them are not
$node->safe_psql('postgres', 'SELECT reset_sampled_constants()');
my $big = 'y' x 20000;
$node->safe_psql('postgres', "SELECT count(*) FROM task WHERE pad = '$big' AND owner = 7");
my $c = client();
$c->execute('SELECT count(*) FROM task WHERE pad = $1 AND id < 0', $big);
$c->close;
is($node->safe_psql('postgres', q{SELECT statements, samples, used_bytes < 2000 FROM get_sampled_constants_state()}),
	'2|3|t', 'big values are not kept');

# Turned off again, what is there is used; a restart forgets it
$node->safe_psql('postgres', 'SELECT reset_sampled_constants(), pg_stat_statements_reset()');
work();
$node->safe_psql('postgres', 'ALTER SYSTEM SET pg_steward.sample_constants = off');
$node->reload;
$node->poll_query_until('postgres', 'SHOW pg_steward.sample_constants', 'off');
my $before = state();
work();
is(state(), $before, 'nothing more is kept');
like(advice(), qr/secret/, 'samples are used while the setting is off');
$node->restart;
is(state(), '0|0', 'a restart forgets');
unlike(advice(), qr/secret/, 'advice has forgotten as well');

# After a crash there is nothing either
$node->safe_psql('postgres', 'ALTER SYSTEM SET pg_steward.sample_constants = on');
$node->reload;
$node->poll_query_until('postgres', 'SHOW pg_steward.sample_constants', 'on');
work();
$node->safe_psql('postgres', 'ALTER SYSTEM SET pg_steward.sample_constants = off');
$node->reload;
$node->poll_query_until('postgres', 'SHOW pg_steward.sample_constants', 'off');
isnt(state(), '0|0', 'kept before a crash');
my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'});
kill 'KILL', $pid;
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid"), 'restarted after a crash');
is(state(), '0|0', 'a crash forgets');

$node->stop;
done_testing();
