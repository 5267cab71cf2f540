# Policies of materialized views: over dump and restore, where views are
# renamed and dropped under locks, on a standby, without preloading; and what
# the worker keeps of its runs.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_stat_statements,pg_steward'
autovacuum = off
pg_steward.max_refresh_workers = 0
});
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE source');
$node->safe_psql('postgres', "CREATE DATABASE $_") for qw(plain custom);

my $policies = q{SELECT matview_name, matview::regclass, every, cron, time_zone, target_lag, downstream, method,
	yield_after, max_runtime, assume_deterministic, on_upstream_error, paused, created
	FROM steward.matview_policy ORDER BY 1};

sub wait_for
{
	my ($database, $condition, $what) = @_;
	ok($node->poll_query_until($database, "SELECT $condition"), $what);
}

# -------------------------------------------------------- dump and restore

$node->safe_psql('source', q{
	CREATE SCHEMA tools;
	CREATE EXTENSION pg_stat_statements SCHEMA tools;
	CREATE EXTENSION pg_steward SCHEMA tools;
	CREATE SCHEMA "Odd.schema";
	CREATE TABLE book (id int PRIMARY KEY, title text);
	INSERT INTO book SELECT g, 'title ' || g FROM generate_series(1, 100) g;
	CREATE MATERIALIZED VIEW "Odd.schema"."a ""view""" AS SELECT count(*) FROM book;
	-- this one depends on the primary key: a dump creates it behind the data
	CREATE MATERIALIZED VIEW by_key AS SELECT id, title, count(*) FROM book GROUP BY id;
	CREATE MATERIALIZED VIEW left_out AS SELECT max(id) FROM book;
	SELECT tools.schedule_matview_refresh('"Odd.schema"."a ""view"""', cron => '0 3 * * *',
		time_zone => 'Europe/Berlin', yield_after => '0', on_upstream_error => 'continue');
	SELECT tools.schedule_matview_refresh('by_key', every => '1 hour', method => 'diff', max_runtime => '1 min',
		assume_deterministic => true);
	SELECT tools.schedule_matview_refresh('left_out', target_lag => '1 day', paused => true);
	INSERT INTO steward.matview_state (matview, skips) VALUES ('by_key', 5);
	INSERT INTO steward.matview_refresh_history (matview, started, finished, outcome, duration_ms)
	VALUES ('by_key', now(), now(), 'ok', 1)});
my $all = $node->safe_psql('source', $policies);
my $expected = join "\n", grep { !/left_out/ } split /\n/, $all;
is(scalar(split /\n/, $all), 3, 'three policies');
is($node->safe_psql('source', q{BEGIN; DROP MATERIALIZED VIEW left_out;
		SELECT count(*) FROM steward.matview_policy; ROLLBACK}),
	'2', 'a policy goes in the transaction that drops its view');

my $dump = "$PostgreSQL::Test::Utils::tmp_check/policies";
$node->command_ok(
	[ 'pg_dump', '-T', 'left_out', '-f', "$dump.sql", $node->connstr('source') ], 'dump');
$node->command_ok(
	[ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$dump.sql", $node->connstr('plain') ],
	'restore');
$node->command_ok(
	[ 'pg_dump', '-T', 'left_out', '-Fc', '-f', "$dump.dump", $node->connstr('source') ],
	'dump to an archive');
$node->command_ok(
	[ 'pg_restore', '-j', '2', '--exit-on-error', '-d', $node->connstr('custom'), "$dump.dump" ],
	'restore of an archive');
for my $database (qw(plain custom))
{
	# jobs side by side may create a view before the policies are there
	my $behind = $database eq 'custom' ? '' : "public.by_key\n";
	is($node->safe_psql($database, q{SELECT matview_name FROM steward.matview_policy WHERE matview IS NULL}
			. ($behind ? '' : q{ AND matview_name <> 'public.by_key'}) . ' ORDER BY 1'),
		"${behind}public.left_out", "$database: views that come behind the data, or not at all, wait");
	# a call of any of our functions finds them
	$node->safe_psql($database, q{SELECT tools.alter_matview_refresh('by_key')});
	is($node->safe_psql($database, $policies =~ s/ORDER/WHERE matview IS NOT NULL ORDER/r),
		$expected, "$database: same policies");
	is($node->safe_psql($database, q{SELECT (SELECT count(*) FROM steward.matview_state)
			+ (SELECT count(*) FROM steward.matview_refresh_history)}),
		'0', "$database: no past");
}
# again, found by the worker
$node->safe_psql('custom', q{
	UPDATE steward.matview_policy SET matview = NULL WHERE matview_name = 'public.by_key';
	DELETE FROM steward.matview_policy WHERE matview_name = 'public.left_out'});
$node->append_conf('postgresql.conf', 'pg_steward.max_refresh_workers = 2');
$node->reload;
wait_for('custom', 'count(matview) = 2 FROM steward.matview_policy', 'the worker finds a view');
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE plain');
is($node->safe_psql('copy', q{SELECT matview_name FROM steward.matview_policy
		WHERE matview = to_regclass(matview_name) ORDER BY 1}),
	qq{"Odd.schema"."a ""view"""\npublic.by_key}, 'policies of a copied database');
$node->safe_psql('plain', 'CREATE MATERIALIZED VIEW left_out AS SELECT max(id) FROM book');
wait_for('plain', q{matview = 'left_out'::regclass FROM steward.matview_policy WHERE matview_name = 'public.left_out'},
	'a view that is created later gets its policy');
$node->safe_psql('plain', 'ALTER MATERIALIZED VIEW left_out RENAME TO moved; ALTER SCHEMA "Odd.schema" RENAME TO even');
wait_for('plain', q{count(*) = 2 FROM steward.matview_policy WHERE matview_name IN ('public.moved', 'even."a ""view"""')},
	'names follow');
$node->safe_psql('postgres', "DROP DATABASE $_") for qw(copy plain custom source);

# ------------------------------------------------------- what the worker keeps

$node->safe_psql('postgres', q{
	CREATE EXTENSION pg_steward CASCADE;
	CREATE TABLE base AS SELECT g AS id FROM generate_series(1, 100) g;
	CREATE MATERIALIZED VIEW good AS SELECT id FROM base;
	CREATE MATERIALIZED VIEW bad AS SELECT 1 / (id - 1) AS broken FROM base WITH NO DATA;
	-- clock_timestamp() keeps it from being skipped
	CREATE MATERIALIZED VIEW often AS SELECT clock_timestamp() - clock_timestamp() > '1 year' AS no FROM base;
	INSERT INTO steward.matview_refresh_history (matview, started, finished, outcome, duration_ms)
	SELECT m::regclass, t, t, 'ok', 1
	  FROM unnest('{good,often}'::text[]) m, unnest(ARRAY[now() - interval '31 days', now() - interval '29 days']) t});
$node->safe_psql('postgres', q{
	SELECT schedule_matview_refresh('good', target_lag => '1 s');
	SELECT schedule_matview_refresh('bad', every => '1 s')});
wait_for('postgres', q{count(*) = 1 FROM get_matview_status() WHERE matview_name = 'good' AND last_ok IS NOT NULL},
	'refreshed');
$node->safe_psql('postgres', q{UPDATE base SET id = id + 1000 WHERE id <= 10; DELETE FROM base WHERE id = 20});
wait_for('postgres', q{count(*) = 1 FROM get_matview_refresh_history('good') WHERE rows_deleted > 0},
	'a change is noted');
is($node->safe_psql('postgres', q{
		SELECT rows_changed, last_method, wal_bytes > 0, last_duration_ms > 0, consecutive_failures
		  FROM get_matview_status() WHERE matview_name = 'good'}),
	'21|diff|t|t|0', 'the state of a good run');
is($node->safe_psql('postgres', q{
		SELECT outcome, method, rows_inserted, rows_deleted, wal_bytes > 0, duration_ms > 0, started <= finished, error
		  FROM get_matview_refresh_history('good') WHERE rows_deleted > 0}),
	'ok|diff|10|11|t|t|t|', 'its history');
is($node->safe_psql('postgres', q{
		SELECT round(delta_ratio::numeric, 3), typical_duration_ms > 0 FROM steward.matview_state WHERE matview = 'good'::regclass}),
	'0.033|t', 'the share of changed rows counts for less than a third');
wait_for('postgres', q{count(*) = 1 FROM get_matview_status() WHERE matview_name = 'bad' AND consecutive_failures > 0
	AND last_sqlstate = '22012' AND last_error = 'division by zero' AND last_ok IS NULL AND state = 'never_populated'},
	'the state of a failed run');
is($node->safe_psql('postgres', q{
		SELECT DISTINCT outcome, sqlstate, error, rows_inserted, method FROM get_matview_refresh_history('bad')}),
	'failed|22012|division by zero||', 'its history');
is($node->safe_psql('postgres', q{SELECT count(*) FROM steward.matview_refresh_history
		WHERE finished < now() - interval '30 days'}), '0', 'old history is gone');
is($node->safe_psql('postgres', q{SELECT count(*) FROM steward.matview_refresh_history
		WHERE finished BETWEEN now() - interval '30 days' AND now() - interval '28 days'}), '2', 'younger is not');
# one view does not fill the table
$node->safe_psql('postgres', q{
	INSERT INTO steward.matview_refresh_history (matview, started, finished, outcome, duration_ms)
	SELECT 'often', now(), now(), 'ok', 1 FROM generate_series(1, 10200);
	SELECT schedule_matview_refresh('often', every => '1 s')});
# "good" and "bad" take numbers, too: be at the next hundred again and again
ok( $node->poll_query_until('postgres', q{
		SELECT setval('steward.matview_refresh_history_id_seq',
		              (SELECT max(id) FROM steward.matview_refresh_history) / 100 * 100 + 99) > 0
		   AND count(*) <= 10100 FROM steward.matview_refresh_history WHERE matview = 'often'::regclass}),
	'a view has at most so many rows');
cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM steward.matview_refresh_history WHERE matview = 'often'::regclass}),
	'>=', 10000, 'and no fewer');
$node->safe_psql('postgres', q{SELECT unschedule_matview_refresh('often'), unschedule_matview_refresh('bad')});

# ------------------------------------------------------------------- locks

my $holder = $node->background_psql('postgres', on_error_stop => 1);
$holder->query_safe(q{BEGIN; SELECT alter_matview_refresh('good', yield_after => '5 s')});
my $before = $node->safe_psql('postgres', q{SELECT last_ok FROM steward.matview_state WHERE matview = 'good'::regclass});
$node->safe_psql('postgres', 'INSERT INTO base VALUES (5000)');
wait_for('postgres', "last_ok > '$before' FROM steward.matview_state WHERE matview = 'good'::regclass",
	'a lock on a policy does not keep its view from being refreshed');
my ($status, $out, $err) = $node->psql('postgres', q{SELECT pause_matview_refresh('good')});
like($err, qr/canceling statement due to lock timeout/, 'nor makes it others wait');
$node->safe_psql('postgres', q{SET lock_timeout = '5s'; DROP MATERIALIZED VIEW good});
is($node->safe_psql('postgres', 'SELECT count(*) FROM steward.matview_policy'), '1', 'or keeps the view from being dropped');
$holder->query_safe('COMMIT');
wait_for('postgres', 'count(*) = 0 FROM steward.matview_policy', 'the policy is gone when the lock is');
$node->safe_psql('postgres', q{CREATE MATERIALIZED VIEW good AS SELECT id FROM base;
	SELECT schedule_matview_refresh('good', every => '1 day', paused => true)});
$holder->query_safe('BEGIN; LOCK TABLE steward.matview_policy');
$node->safe_psql('postgres', q{SET lock_timeout = '5s'; DROP MATERIALIZED VIEW good});
$holder->query_safe('ROLLBACK');
$holder->quit;
is($node->safe_psql('postgres', 'SELECT pause_matview_refresh()'), '0', 'a policy without a view does not count');
is($node->safe_psql('postgres', 'SELECT count(*) FROM steward.matview_policy'), '0', 'and is removed');

# ------------------------------------------------- standby, not preloaded

$node->safe_psql('postgres', q{CREATE MATERIALIZED VIEW good AS SELECT id FROM base;
	SELECT schedule_matview_refresh('good', every => '1 day', paused => true)});
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q{SELECT policy, state, reason FROM get_matview_status() WHERE matview_name = 'good'}),
	'every 1 d, paused|unknown|known on the primary only', 'the status on a standby');
like(($standby->psql('postgres', q{SELECT resume_matview_refresh()}))[2],
	qr/cannot execute resume_matview_refresh\(\) during recovery/, 'nothing is written there');
$standby->stop;

$node->append_conf('postgresql.conf', q{
shared_preload_libraries = ''
});
$node->restart;
like(($node->psql('postgres', q{SELECT alter_matview_refresh('good', every => '2 days')}))[2], qr/^$/, 'an old policy');
is($node->safe_psql('postgres', q{SELECT policy, state, reason FROM get_matview_status() WHERE matview_name = 'good'}),
	'every 2 d, paused|unknown|pg_steward is not preloaded', 'the status without preloading');
$node->safe_psql('postgres', q{DROP MATERIALIZED VIEW good; CREATE MATERIALIZED VIEW good AS SELECT 1 AS a});
like(($node->psql('postgres', q{SELECT schedule_matview_refresh('good', every => '1 day')}))[2],
	qr/WARNING:  materialized views are not refreshed until pg_steward is preloaded\nHINT:  .*shared_preload_libraries/,
	'a new policy warns');
is($node->safe_psql('postgres', q{SELECT count(*) FROM steward.matview_policy}), '1', 'that of the dropped view is gone');
$node->stop;

done_testing();
