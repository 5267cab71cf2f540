# Materialized views that refresh themselves: schedules, skips, waves through
# views on views, errors, rights, settings, and users that wait.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# settings that a worker must not take over
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_stat_statements,pg_steward'
autovacuum = off
log_min_messages = info
statement_timeout = 20min
lock_timeout = 20min
default_transaction_read_only = off
pg_steward.refresh_yield_after = 500
});
$node->start;
$node->safe_psql('postgres', q{
	CREATE ROLE shop LOGIN;
	CREATE DATABASE shop OWNER shop});
$node->safe_psql('shop', q{
	CREATE EXTENSION pg_steward CASCADE;
	CREATE FUNCTION runs(view text, result text DEFAULT NULL) RETURNS bigint LANGUAGE sql
	AS 'SELECT count(*) FROM steward.matview_refresh_history
	     WHERE matview = to_regclass(view) AND (result IS NULL OR outcome = result)'});
$node->safe_psql('shop', 'GRANT ALL ON SCHEMA public TO shop');

# Run as the owner of the views.
sub shop
{
	my ($sql) = @_;
	return $node->safe_psql('shop', $sql, extra_params => [ '-U', 'shop' ]);
}

sub wait_for
{
	my ($condition, $what) = @_;
	ok($node->poll_query_until('shop', "SELECT $condition"), $what)
	  or diag $node->safe_psql('shop',
		'SELECT matview, outcome, error FROM steward.matview_refresh_history ORDER BY id DESC LIMIT 10');
}

sub value
{
	my ($expression) = @_;
	return $node->safe_psql('shop', "SELECT $expression");
}

# ------------------------------------------------- a view follows its table

shop(q{
	CREATE TABLE sales (id int PRIMARY KEY, day date, amount int);
	INSERT INTO sales SELECT g, date '2026-01-01' + g % 10, g FROM generate_series(1, 1000) g;
	CREATE MATERIALIZED VIEW sales_by_day AS
		SELECT day, sum(amount) AS total FROM sales GROUP BY day;
	SELECT schedule_matview_refresh('sales_by_day', target_lag => '2 s')});
wait_for(q{runs('sales_by_day') = 1}, 'a view is looked at when it is scheduled');
shop(q{INSERT INTO sales VALUES (2000, '2027-01-01', 5)});
wait_for(q{EXISTS (SELECT FROM sales_by_day WHERE day = '2027-01-01')}, 'it follows its table');
is(value(q{(SELECT row(outcome, method, rows_inserted, rows_deleted, rows_updated)
              FROM steward.matview_refresh_history ORDER BY id DESC LIMIT 1)}),
	'(ok,diff,1,0,0)', 'by the difference');

# While nothing changes there is no refresh, no session, and no WAL.
wait_for(q{NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'pg_steward refresh worker')},
	'the worker ends when there is nothing to do');
my $runs = value(q{runs('sales_by_day')});
my $skips = value(q{(SELECT skips FROM get_matview_status() WHERE matview_name = 'sales_by_day')});
my $lsn = value('pg_current_wal_insert_lsn()');
wait_for("(SELECT skips FROM get_matview_status() WHERE matview_name = 'sales_by_day') >= $skips + 2",
	'a fresh view is skipped');
is(value(q{runs('sales_by_day')}), $runs, 'and not refreshed');
is(value("pg_current_wal_insert_lsn() = '$lsn'"), 't', 'without WAL');

# Other schedules, one run at once on demand.
shop(q{
	CREATE TABLE t (a int);
	CREATE MATERIALIZED VIEW by_interval AS SELECT count(*) AS n FROM t;
	CREATE MATERIALIZED VIEW by_cron AS SELECT count(*) AS n FROM t;
	CREATE MATERIALIZED VIEW on_change AS SELECT count(*) AS n FROM t;
	CREATE MATERIALIZED VIEW unpopulated AS SELECT count(*) AS n FROM t WITH NO DATA;
	CREATE MATERIALIZED VIEW on_demand AS SELECT count(*) AS n FROM t;
	CREATE MATERIALIZED VIEW resting AS SELECT count(*) AS n FROM t;
	SELECT schedule_matview_refresh('by_interval', every => '1 s');
	SELECT schedule_matview_refresh('by_cron', cron => '0 0 29 2 *');
	SELECT schedule_matview_refresh('on_change', on_change_debounce => '1 s');
	SELECT schedule_matview_refresh('unpopulated', target_lag => '1 day');
	SELECT schedule_matview_refresh('resting', every => '1 s', paused => true)});
wait_for(q{runs('by_interval') = 1 AND runs('on_change') = 1 AND runs('unpopulated') = 1},
	'views without a refresh are refreshed');
is(value('(SELECT n FROM unpopulated)'), 0, 'one without data is filled');
shop('INSERT INTO t VALUES (1)');
wait_for('(SELECT n FROM by_interval) = 1 AND (SELECT n FROM on_change) = 1', 'every, and on change');
is(value(q{(SELECT n FROM by_cron) + (SELECT n FROM resting) + runs('by_cron') + runs('resting')}), 0,
	'neither cron before its time nor a paused one');
shop(q{SELECT refresh_matview_now(v, wait => false) FROM unnest(ARRAY['by_cron', 'on_demand']::regclass[]) v});
wait_for(q{(SELECT n FROM by_cron) = 1 AND (SELECT n FROM on_demand) = 1},
	'a worker refreshes on demand, with a policy and without');
shop(q{SELECT resume_matview_refresh('resting')});
wait_for('(SELECT n FROM resting) = 1', 'resumed');
shop(q{SELECT unschedule_matview_refresh(v) FROM unnest(ARRAY['by_interval', 'on_change', 'resting']::regclass[]) v});

# ---------------------------------------------------------- views on views

# A diamond on a chain, in which only the end has a lag; a decoy on another
# table, and one behind a view whose content does not change.
shop(q{
	CREATE TABLE base (a int, b int);
	CREATE TABLE other (a int);
	INSERT INTO base SELECT g, g % 10 FROM generate_series(1, 100) g;
	CREATE MATERIALIZED VIEW c0 AS SELECT a, b FROM base;
	CREATE VIEW between AS SELECT * FROM c0;
	CREATE MATERIALIZED VIEW c1 AS SELECT a, b FROM between;
	CREATE MATERIALIZED VIEW lefty AS SELECT sum(a) AS s FROM c1;
	CREATE MATERIALIZED VIEW righty AS SELECT count(*) AS n FROM c1;
	CREATE MATERIALIZED VIEW bottom AS SELECT s, n FROM lefty, righty;
	CREATE MATERIALIZED VIEW groups AS SELECT DISTINCT b FROM c1;
	CREATE MATERIALIZED VIEW behind_groups AS SELECT count(*) AS n FROM groups;
	CREATE MATERIALIZED VIEW elsewhere AS SELECT count(*) AS n FROM other;
	SELECT schedule_matview_refresh(v, downstream => true)
	  FROM unnest(ARRAY['lefty', 'c1', 'groups', 'righty', 'c0']::regclass[]) v;
	SELECT schedule_matview_refresh(v, target_lag => '1 s')
	  FROM unnest(ARRAY['bottom', 'behind_groups', 'elsewhere']::regclass[]) v});
wait_for(q{runs('bottom') > 0 AND runs('behind_groups') > 0 AND runs('elsewhere') > 0 AND runs('c0') > 0},
	'the first wave');
wait_for(q{NOT EXISTS (SELECT FROM get_matview_status() WHERE policy IS NOT NULL AND state <> 'fresh'
	AND matview_name IN ('c0', 'c1', 'lefty', 'righty', 'bottom', 'groups', 'behind_groups', 'elsewhere'))},
	'all are fresh');
my $last = value('(SELECT max(id) FROM steward.matview_refresh_history)');
my $decoys = value(q{runs('behind_groups') || ' ' || runs('elsewhere')});
shop('INSERT INTO base VALUES (1000, 3)');
wait_for('(SELECT s = 6050 AND n = 101 FROM bottom)', 'a change reaches the end');
wait_for(q{runs('groups', 'verified_equal') > 0}, 'and a view that it does not alter');
is(value(qq{(SELECT string_agg(matview::text, ' ' ORDER BY id) FROM steward.matview_refresh_history
              WHERE id > $last AND matview IN ('c0'::regclass, 'c1', 'bottom'))}),
	'c0 c1 bottom', 'in order, each once');
is(value(qq{(SELECT count(*) FROM steward.matview_refresh_history
              WHERE id > $last AND matview IN ('lefty'::regclass, 'righty'))}), 2, 'both sides of the diamond once');
is(value(q{runs('behind_groups') || ' ' || runs('elsewhere')}), $decoys, 'others are left alone');

# ------------------------------------------------------------------- errors

# Each fails in its way, is tried again later, and does not disturb the others.
shop(q{
	CREATE TABLE bad (a int);
	INSERT INTO bad VALUES (1);
	CREATE MATERIALIZED VIEW divides AS SELECT 1 / a AS x FROM bad;
	CREATE MATERIALIZED VIEW unique_key AS SELECT a % 2 AS x FROM bad;
	CREATE UNIQUE INDEX ON unique_key (x);
	CREATE MATERIALIZED VIEW after_divides AS SELECT count(*) AS n FROM divides;
	CREATE MATERIALIZED VIEW brave AS SELECT count(*) + (SELECT count(*) FROM bad) AS n FROM divides;
	SELECT schedule_matview_refresh(v, target_lag => '1 s') FROM unnest(ARRAY['divides', 'unique_key', 'after_divides']::regclass[]) v;
	SELECT schedule_matview_refresh('brave', target_lag => '1 s', on_upstream_error => 'continue')});
$node->safe_psql('shop', q{
	CREATE TABLE secret (a int);
	GRANT SELECT ON secret TO shop});
shop(q{CREATE MATERIALIZED VIEW not_allowed AS SELECT count(*) AS n FROM secret;
	SELECT schedule_matview_refresh('not_allowed', target_lag => '1 s')});
wait_for(q{runs('divides') > 0 AND runs('unique_key') > 0 AND runs('not_allowed') > 0 AND runs('brave') > 0 AND runs('after_divides') > 0}, 'good at first');
my $waits = value(q{runs('after_divides')});
shop('INSERT INTO bad VALUES (0), (2)');
$node->safe_psql('shop', 'REVOKE SELECT ON secret FROM shop; INSERT INTO secret VALUES (1)');
wait_for(q{(SELECT count(*) = 3 FROM steward.matview_state WHERE consecutive_failures > 0)}, 'three fail');
is(value(q{(SELECT string_agg(format('%s %s', matview::regclass, last_sqlstate), ', ' ORDER BY matview::regclass::text)
              FROM steward.matview_state WHERE consecutive_failures > 0)}),
	'divides 22012, not_allowed 42501, unique_key 23505', 'with their errors');
is(value(q{(SELECT bool_and(not_before > last_attempt + interval '40 s') FROM steward.matview_state
              WHERE consecutive_failures > 0)}), 't', 'and are left alone for a while');
wait_for('(SELECT n FROM brave) = 4', 'one goes on with what there is');
is(value(q{runs('after_divides')}), $waits, 'another one waits');
shop(q{DELETE FROM bad WHERE a <> 1; SELECT resume_matview_refresh('divides')});
wait_for(q{(SELECT consecutive_failures = 0 FROM steward.matview_state WHERE matview = 'divides'::regclass)},
	'resumed by hand');
is(value(q{runs('divides', 'failed')}), 1, 'after one failure');
shop(q{SELECT unschedule_matview_refresh(v) FROM unnest(ARRAY['unique_key', 'not_allowed', 'divides', 'after_divides', 'brave']::regclass[]) v});

# -------------------------------------------------------------- nobody waits

# A refresh that takes long, and a command that wants its lock: it gives way.
shop(q{
	CREATE FUNCTION nap(seconds float8) RETURNS int LANGUAGE plpgsql
	AS 'BEGIN PERFORM pg_catalog.pg_sleep(seconds); RETURN 1; END';
	CREATE MATERIALIZED VIEW long AS SELECT nap(600) AS n WITH NO DATA;
	SELECT schedule_matview_refresh('long', every => '1 day', method => 'diff')});
wait_for(q{EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'pg_steward refresh worker'
	AND query ~ 'refreshing .*long')}, 'a long refresh runs, and says so');
is($node->psql('shop', q{SET lock_timeout = '30 s'; ALTER MATERIALIZED VIEW long RENAME TO longer},
	extra_params => [ '-U', 'shop' ]), 0, 'a user who wants its lock gets it');
wait_for(q{runs('longer', 'yielded') = 1}, 'the refresh gave way');
shop(q{SELECT unschedule_matview_refresh('longer')});

# A limit of time.
shop(q{SELECT schedule_matview_refresh('longer', every => '1 day', max_runtime => '1 s')});
wait_for(q{runs('longer', 'failed') = 1}, 'a refresh that takes too long is cancelled');
is(value(q{(SELECT last_sqlstate FROM steward.matview_state WHERE matview = 'longer'::regclass)}), '57014', 'and noted');
shop(q{SELECT unschedule_matview_refresh('longer')});

# ------------------------------------------------------------------ settings

$node->safe_psql('shop', q{
	ALTER DATABASE shop SET default_transaction_read_only = on;
	ALTER DATABASE shop SET statement_timeout = '1ms';
	ALTER DATABASE shop SET default_transaction_isolation = 'serializable';
	ALTER DATABASE shop SET search_path = 'nowhere';
	ALTER DATABASE shop SET session_replication_role = 'replica'});
$node->restart;
$ENV{PGOPTIONS} = '-c default_transaction_read_only=off -c statement_timeout=0 -c search_path=public '
  . '-c default_transaction_isolation=read\ committed';
wait_for(q{EXISTS (SELECT FROM steward.matview_refresh_history
	WHERE matview = 'sales_by_day'::regclass AND started > pg_postmaster_start_time())},
	'after a restart nothing is known to be fresh');
$runs = value(q{runs('sales_by_day', 'ok')});
shop(q{INSERT INTO sales VALUES (3000, '2028-01-01', 5)});
wait_for("runs('sales_by_day', 'ok') > $runs", 'settings of a database do not stop the worker');
is(value(q{(SELECT total FROM sales_by_day WHERE day = '2028-01-01')}), 5, 'the view is right');

my $log = slurp_file($node->logfile);
unlike($log, qr/terminated by signal|PANIC|TRAP/, 'no crash');
$node->stop;
done_testing();
