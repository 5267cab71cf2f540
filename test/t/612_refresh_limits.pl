# Scheduled refreshes where something is short or in the way: suspension after
# failures, locked policies, prepared changes of policies, pressure, a launcher
# that is killed, no room for workers, and a synchronous standby that is gone.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# room for the launcher, who watches PgBouncer, and one more process
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_stat_statements,pg_steward'
autovacuum = off
restart_after_crash = on
log_min_messages = info
max_prepared_transactions = 2
max_worker_processes = 3
max_logical_replication_workers = 0
pg_steward.pool_sample_interval = 1
pg_steward.pool_clear_after = 1
pg_steward.pool_warning_after = 0
pg_steward.pool_critical_after = 0
});
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION pg_steward CASCADE;
	CREATE FUNCTION part(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1 / $1; END';
	CREATE FUNCTION name() RETURNS text LANGUAGE plpgsql VOLATILE AS $$BEGIN RETURN 'x'; END$$;
	CREATE TABLE t (a int);
	CREATE TABLE divisor (a int);
	INSERT INTO divisor VALUES (1);
	CREATE MATERIALIZED VIEW quick AS SELECT count(*) AS n FROM t;
	CREATE MATERIALIZED VIEW other AS SELECT count(*) AS n FROM t;
	CREATE MATERIALIZED VIEW prepared AS SELECT count(*) AS n FROM t;
	CREATE MATERIALIZED VIEW patient AS SELECT count(*) AS n FROM t;
	CREATE MATERIALIZED VIEW assumed AS SELECT count(*) AS n, public.name() FROM t;
	CREATE MATERIALIZED VIEW failing AS SELECT public.part(a) AS n FROM divisor;
	SELECT schedule_matview_refresh('quick', target_lag => '1 s');
	SELECT schedule_matview_refresh('other', target_lag => '1 s')});

sub wait_for
{
	my ($condition, $what) = @_;
	ok($node->poll_query_until('postgres', "SELECT $condition"), $what)
	  or diag $node->safe_psql('postgres',
		'SELECT matview, outcome, error FROM steward.matview_refresh_history ORDER BY id DESC LIMIT 10');
	return;
}

sub value
{
	my ($expression) = @_;
	return $node->safe_psql('postgres', "SELECT $expression");
}

# A row more, with which the view is refreshed
my $rows = 0;
sub follows
{
	my ($view, $what) = @_;
	$rows++;
	$node->safe_psql('postgres', "SET synchronous_commit = local; INSERT INTO t VALUES ($rows)");
	wait_for("(SELECT n FROM $view) = $rows", $what);
	return;
}

sub lines
{
	my ($pattern) = @_;
	my @lines = slurp_file($node->logfile) =~ /$pattern/g;
	return scalar @lines;
}

follows('quick', 'a view is refreshed');

# ------------------------------------------------------------------ suspension

# nine failures are behind it
$node->safe_psql('postgres', q{
	SELECT schedule_matview_refresh('failing', every => '1 s')});
wait_for(q{EXISTS (SELECT FROM steward.matview_state WHERE matview = 'failing'::regclass AND last_ok IS NOT NULL)},
	'a view is refreshed that will fail');
$node->safe_psql('postgres', q{
	BEGIN;
	UPDATE steward.matview_state SET consecutive_failures = 8 WHERE matview = 'failing'::regclass;
	UPDATE divisor SET a = 0;
	UPDATE steward.matview_policy SET paused = paused;
	COMMIT});
wait_for(q{(SELECT consecutive_failures FROM steward.matview_state WHERE matview = 'failing'::regclass) = 9},
	'its ninth failure');
is(value(q{(SELECT suspended FROM steward.matview_state WHERE matview = 'failing'::regclass) IS NULL}), 't', 'is not the last');
is(lines('no longer refreshed'), 0, 'nothing to be said yet');
$node->safe_psql('postgres', q{
	BEGIN;
	UPDATE steward.matview_state SET not_before = NULL WHERE matview = 'failing'::regclass;
	UPDATE steward.matview_policy SET paused = paused;
	COMMIT});
wait_for(q{(SELECT suspended FROM steward.matview_state WHERE matview = 'failing'::regclass) = 'suspended'},
	'the tenth is');
is(lines('WARNING: .*materialized view public\.failing is no longer refreshed after 10 failures'), 1, 'the log tells');
like(value(q{(SELECT policy FROM get_matview_status() WHERE matview_name = 'failing')}), qr/suspended/, 'so does the status');
$node->safe_psql('postgres', q{UPDATE divisor SET a = 1; SELECT resume_matview_refresh('failing')});
wait_for(q{(SELECT consecutive_failures = 0 AND suspended IS NULL AND last_error IS NULL
              FROM steward.matview_state WHERE matview = 'failing'::regclass)},
	'resumed, it is refreshed');
$node->safe_psql('postgres', q{SELECT unschedule_matview_refresh('failing')});

# --------------------------------------------- locked policies, and prepared ones

# Users hold locks on the policy and on the state of a view, which is renamed.
my $holder = $node->background_psql('postgres');
$holder->query_safe(q{BEGIN; SELECT alter_matview_refresh('other', yield_after => '1 s'), resume_matview_refresh('other')});
$node->safe_psql('postgres', q{ALTER MATERIALIZED VIEW other RENAME TO renamed});
follows('quick', 'a view is refreshed while the policy of another one is locked');
is(value(q{(SELECT matview_name FROM steward.matview_policy WHERE matview = 'renamed'::regclass)}), 'public.other',
	'which has to wait');
$holder->query_safe('COMMIT');
$holder->quit;
wait_for(qq{(SELECT n FROM renamed) = $rows}, 'and is refreshed afterwards');
wait_for(q{(SELECT matview_name FROM steward.matview_policy WHERE matview = 'renamed'::regclass) = 'public.renamed'},
	'by its new name');
is(lines('lock timeout'), 0, 'nobody has run into a lock');

$node->safe_psql('postgres', q{
	BEGIN;
	SELECT schedule_matview_refresh('prepared', target_lag => '1 s');
	PREPARE TRANSACTION 'policy'});
follows('quick', 'others go on while a policy is prepared');
is(value('(SELECT n FROM prepared)'), 0, 'which has no effect');
$node->safe_psql('postgres', q{COMMIT PREPARED 'policy'});
wait_for("(SELECT n FROM prepared) = $rows", 'until COMMIT PREPARED');

# ------------------------------------------------------- assumptions, pressure

$node->safe_psql('postgres', q{
	SELECT schedule_matview_refresh('assumed', target_lag => '1 hour', assume_deterministic => true);
	SELECT refresh_matview_now('assumed');
	SELECT schedule_matview_refresh('patient', target_lag => '1 hour');
	SELECT refresh_matview_now('patient')});
is(value(q{(SELECT state FROM get_matview_status() WHERE matview_name = 'assumed')}), 'fresh', 'fresh by assumption');
$node->safe_psql('postgres', q{SELECT alter_matview_refresh('assumed', assume_deterministic => false)});
is(value(q{(SELECT state || ': ' || reason FROM get_matview_status() WHERE matview_name = 'assumed')}),
	'unknown: it calls the volatile function name()', 'and not without it');
$node->safe_psql('postgres', q{SELECT unschedule_matview_refresh('assumed')});

follows('quick', 'a change');
my $wait = q{(SELECT next_due - stale_since FROM get_matview_status() WHERE matview_name = 'patient' AND state = 'stale')};
wait_for("$wait < '1 hour'", 'a view is due within its lag');
$node->append_conf('postgresql.conf', "pg_steward.pool_warning_pct = 1\npg_steward.pool_critical_pct = 1");
$node->reload;
wait_for("$wait > '1 hour 59 minutes'", 'and at twice that while connections run out');
$node->append_conf('postgresql.conf', "pg_steward.pool_warning_pct = 80\npg_steward.pool_critical_pct = 90");
$node->reload;
wait_for("$wait < '1 hour'", 'and as before when that is over');

# ----------------------------------------------------------- no room for workers

wait_for(q{NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'pg_steward refresh worker')},
	'workers end when there is nothing to do');
my $parallel = $node->background_psql('postgres');
$parallel->query_safe(q{SELECT set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query')});
$parallel->{stdin} .= "SELECT pg_sleep(600);\n";
$parallel->{run}->pump_nb;
wait_for(q{EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'parallel worker')}, 'a query takes the last process');
my $full = 'there is no room for a worker that refreshes materialized views';
my $before = lines($full);
my $offset = -s $node->logfile;
$rows++;
$node->safe_psql('postgres', "INSERT INTO t VALUES ($rows)");
$node->wait_for_log($full, $offset);
my $first = time;
$node->wait_for_log(qr/$full.*$full/s, $offset);
$node->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND query ~ '^SELECT pg_sleep'});
wait_for("(SELECT n FROM quick) = $rows", 'refreshed as soon as there is room');
# at 0, 1, 7, 23 s
cmp_ok(lines($full) - $before, '<=', 3 + (time - $first) / 10, 'a line for each time that the pause was doubled');
eval { $parallel->quit };

# ------------------------------------------- a synchronous standby that is gone

$node->safe_psql('postgres', q{ALTER SYSTEM SET synchronous_standby_names = 'gone'});
$node->reload;
wait_for(q{current_setting('synchronous_standby_names') = 'gone'}, 'commits wait for a standby that is gone');
follows('quick', 'refreshes do not');
$node->append_conf('postgresql.auto.conf', "synchronous_standby_names = ''");
$node->reload;

# ------------------------------------------------------- the launcher is killed

my $launcher = value(q{pid FROM pg_stat_activity WHERE backend_type = 'pg_steward launcher'});
kill 9, $launcher;
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pg_steward launcher' AND pid <> $launcher"),
	'another launcher comes after a crash');
follows('quick', 'and refreshes go on');
is(value('sum(crash_count) FROM steward.matview_state'), 0, 'which nobody takes for a crash of a refresh');

$node->stop;
done_testing();
