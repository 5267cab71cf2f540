# Is a materialized view that is called fresh always what its query returns?
# Writers of every kind change tables and definitions at random; checkers ask
# about a view within one snapshot and compare.  A view may be called stale
# without need, now and then; it must never be called fresh in error.
#
# What makes the comparison exact: the mark is read, then a snapshot taken, view
# and query compared with it, and the state asked for at last.  If the view is
# fresh and has the same mark, the snapshot sees the refresh, and nothing that
# the query reads has changed between the refresh and the question.  This holds
# also for what snapshots do not protect from: TRUNCATE, rewrites, plain REFRESH.
#
# PG_STEWARD_STRESS_SECONDS sets the time of each part (default 8).
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{PG_STEWARD_STRESS_SECONDS} // 8;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 'logical');
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_stat_statements,pg_steward'
autovacuum = off
max_connections = 60
max_prepared_transactions = 20
fsync = off
log_statement = none
});
$node->start;
my $dir = PostgreSQL::Test::Utils::tempdir;
append_to_file("$dir/rows.csv", join('', map { "$_,7\n" } 1000 .. 1005));
chmod 0755, $dir;

$node->safe_psql('postgres', 'CREATE DATABASE source');
$node->safe_psql('source', q{
	CREATE TABLE replicated (a int PRIMARY KEY, b int);
	CREATE PUBLICATION pub FOR TABLE replicated;
	SELECT pg_create_logical_replication_slot('sub', 'pgoutput')});
my $source = $node->connstr('source');
$node->safe_psql('postgres', qq{
	CREATE EXTENSION pg_steward CASCADE;
	CREATE TABLE plain (a int, b int);
	CREATE UNLOGGED TABLE fast (a int, b int);
	CREATE TABLE parted (a int, b int) PARTITION BY RANGE (a);
	CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (100);
	CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (100) TO (200);
	CREATE TABLE loose (a int, b int);
	INSERT INTO loose SELECT 200 + g, g FROM generate_series(1, 5) g;
	CREATE TABLE parent (a int PRIMARY KEY, b int);
	CREATE TABLE child (a int REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE, b int);
	CREATE TABLE audited (a int, b int);
	CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS
		\$\$ BEGIN INSERT INTO audited VALUES (NEW.a, NEW.b); RETURN NULL; END \$\$;
	CREATE TRIGGER audit AFTER INSERT OR UPDATE ON plain FOR EACH ROW EXECUTE FUNCTION audit();
	CREATE TABLE replicated (a int PRIMARY KEY, b int);
	CREATE SUBSCRIPTION sub CONNECTION \$\$$source\$\$ PUBLICATION pub
		WITH (create_slot = false, slot_name = 'sub');
	CREATE FUNCTION inner_value(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT \$1 + 1';
	CREATE FUNCTION value(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
		'BEGIN RETURN public.inner_value(\$1); END';
	CREATE VIEW between AS SELECT a, b FROM plain;
	CREATE PROCEDURE many_commits() LANGUAGE plpgsql AS \$\$
	BEGIN
		FOR i IN 1 .. 5 LOOP
			UPDATE fast SET b = b + 1 WHERE a = i;
			COMMIT;
			PERFORM pg_sleep(random() * 0.02);
		END LOOP;
	END \$\$;
	CREATE FUNCTION uncounted() RETURNS void LANGUAGE sql SET track_counts = off
		AS 'UPDATE fast SET b = b + 1 WHERE a = 3';
	CREATE FUNCTION touch(t regclass) RETURNS void LANGUAGE plpgsql AS \$\$
	DECLARE k int := (random() * 20)::int;
	BEGIN
		CASE (random() * 4)::int
		WHEN 0 THEN EXECUTE format('INSERT INTO %s VALUES (%s, 1)', t, k);
		WHEN 1 THEN EXECUTE format('DELETE FROM %s WHERE a = %s', t, k);
		ELSE EXECUTE format('UPDATE %s SET b = b + 1 WHERE a = %s', t, k);
		END CASE;
	END \$\$;
	INSERT INTO plain SELECT g, g FROM generate_series(1, 20) g;
	INSERT INTO fast SELECT * FROM plain;
	INSERT INTO parted SELECT g * 9, g FROM generate_series(1, 20) g;
	INSERT INTO parent SELECT * FROM plain;
	INSERT INTO child SELECT * FROM plain;

	CREATE MATERIALIZED VIEW mv_simple AS
		SELECT b % 3 AS k, count(*), sum(b) FROM fast GROUP BY 1;
	CREATE MATERIALIZED VIEW mv_view AS
		SELECT v.a, v.b, p.b AS pb FROM between v LEFT JOIN parted p ON p.b = v.a;
	CREATE MATERIALIZED VIEW mv_parted AS
		SELECT a, value(b) AS b FROM parted;
	CREATE MATERIALIZED VIEW mv_keys AS
		SELECT p.a, count(c.*) , (SELECT count(*) FROM audited) AS n
		  FROM parent p LEFT JOIN child c USING (a) GROUP BY 1;
	CREATE MATERIALIZED VIEW mv_applied AS SELECT sum(b), count(*) FROM replicated;
	CREATE MATERIALIZED VIEW mv_second AS
		SELECT k, count * 2 AS twice FROM mv_simple UNION ALL SELECT -1, count(*) FROM mv_keys;

	CREATE TABLE verdict (matview text, fresh bool, peeked bool, same_mark bool, differences bigint);
	CREATE FUNCTION differs(matview regclass) RETURNS bigint LANGUAGE plpgsql AS \$\$
	DECLARE n bigint;
	BEGIN
		EXECUTE format('SELECT count(*) FROM ((SELECT * FROM %1\$s EXCEPT ALL (%2\$s))
		                UNION ALL ((%2\$s) EXCEPT ALL SELECT * FROM %1\$s)) d',
		               matview, rtrim(pg_get_viewdef(matview), ';')) INTO n;
		RETURN n;
	END \$\$;
});

# What writers do, one line a transaction; pgbench runs each file many times.
my %writers = (
	rows => q{
\set pause random(0, 60) * random(0, 1) * random(0, 1)
\set what random(1, 9)
BEGIN;
SELECT touch(t) FROM (VALUES ('fast'::regclass), ('plain'), ('parent'), ('child'), ('parted'))
  v (t) WHERE t NOT IN ('parent', 'child', 'parted') AND random() < 0.7;
\sleep :pause ms
\if :what <= 2
ROLLBACK;
\elif :what = 3
SAVEPOINT a;
UPDATE plain SET b = b + 1 WHERE a = 1;
ROLLBACK TO a;
INSERT INTO fast VALUES (2, 2);
COMMIT;
\elif :what = 4
SAVEPOINT a;
DELETE FROM child WHERE a = 2;
RELEASE a;
COMMIT;
\else
COMMIT;
\endif
},
	bulk => qq{
\\set what random(1, 6)
\\if :what = 1
BEGIN;
TRUNCATE fast;
INSERT INTO fast SELECT g, g FROM generate_series(1, 20) g;
COMMIT;
\\elif :what = 2
COPY fast FROM '$dir/rows.csv' (FORMAT csv);
\\elif :what = 3
MERGE INTO fast f USING (SELECT DISTINCT ON (a) a, b FROM plain) p ON f.a = p.a
  WHEN MATCHED AND f.b > 10 THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (p.a, p.b);
\\elif :what = 4
BEGIN;
TRUNCATE fast;
COPY fast FROM '$dir/rows.csv' (FORMAT csv, FREEZE);
COMMIT;
\\elif :what = 5
WITH gone AS (DELETE FROM audited RETURNING a, b) INSERT INTO fast SELECT * FROM gone LIMIT 10;
\\else
DELETE FROM fast WHERE a > 500;
\\endif
\\sleep 30 ms
},
	calls => q{
\set what random(1, 4)
\if :what = 1
CALL many_commits();
\elif :what = 2
SELECT uncounted();
\elif :what = 3
SET track_counts = off;
UPDATE plain SET b = b + 1 WHERE a = 4;
RESET track_counts;
\else
BEGIN;
SET LOCAL track_counts = off;
UPDATE parent SET b = b + 1 WHERE a = 5;
SET LOCAL track_counts = on;
COMMIT;
\endif
\sleep 40 ms
},
	prepared => q{
\set pause random(0, 50) * random(0, 1)
\set what random(1, 3)
BEGIN;
UPDATE plain SET b = b + 1 WHERE a = :client_id + 6;
UPDATE fast SET b = b + 1 WHERE a = :client_id + 6;
PREPARE TRANSACTION 'p:client_id';
\sleep :pause ms
\if :what = 1
ROLLBACK PREPARED 'p:client_id';
\else
COMMIT PREPARED 'p:client_id';
\endif
\sleep 20 ms
},
	keys => q{
\set k random(1, 20)
BEGIN;
DELETE FROM parent WHERE a = :k;
INSERT INTO parent VALUES (:k, 1);
INSERT INTO child VALUES (:k, 1);
COMMIT;
UPDATE parent SET a = a + 100 WHERE a = :k;
UPDATE parent SET a = a - 100 WHERE a = :k + 100;
\sleep 30 ms
},
	definitions => q{
\set what random(1, 6)
\if :what = 1
CREATE OR REPLACE VIEW between AS SELECT a, b FROM plain WHERE a % 2 = 0;
\elif :what = 2
CREATE OR REPLACE VIEW between AS SELECT a, b FROM plain;
\elif :what = 3
CREATE OR REPLACE FUNCTION inner_value(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 2';
\elif :what = 4
CREATE OR REPLACE FUNCTION inner_value(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1';
\elif :what = 5
ALTER TABLE parted ATTACH PARTITION loose FOR VALUES FROM (200) TO (300);
\sleep 20 ms
ALTER TABLE parted DETACH PARTITION loose;
\else
ALTER TABLE parted ATTACH PARTITION loose FOR VALUES FROM (200) TO (300);
\sleep 20 ms
ALTER TABLE parted DETACH PARTITION loose CONCURRENTLY;
\endif
\sleep 60 ms
},
	rewrites => q{
\set what random(1, 4)
\if :what = 1
ALTER TABLE parent ALTER b TYPE int USING b + 1;
\elif :what = 2
VACUUM FULL fast;
\elif :what = 3
CREATE TEMP TABLE scratch (a text PRIMARY KEY);
INSERT INTO scratch VALUES ('x');
DROP TABLE scratch;
\else
UPDATE parted SET a = 150 - a WHERE a BETWEEN 20 AND 40 OR a BETWEEN 110 AND 130;
\endif
\sleep 80 ms
});

# A checker: asks, compares, refreshes what is stale, by a method of ours or by
# the server's command, which needs a first mark.
sub checker
{
	my ($view, $method) = @_;
	my $refresh = qq{SELECT refresh_matview_now('$view', '$method')
  FROM steward.matview_freshness('$view') WHERE state <> 'fresh';};

	$refresh = qq{SELECT mark <> 0 AND state <> 'fresh' AS stale, mark = 0 AS unmarked
  FROM steward.matview_freshness('$view') \\gset
\\if :stale
REFRESH MATERIALIZED VIEW $view;
\\elif :unmarked
SELECT refresh_matview_now('$view', 'plain');
\\endif} if $method eq 'server';
	return qq{
SELECT mark AS before FROM steward.matview_freshness('$view') \\gset
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT differs('$view') AS differences \\gset
INSERT INTO verdict
SELECT '$view', state = 'fresh', peeked = 'fresh' AND NOT recheck, mark = :before, :differences
  FROM steward.matview_freshness('$view');
COMMIT;
$refresh
\\sleep 5 ms
};
}

# Writers rest now and then, or no view would ever be fresh.
my $rest = q{
\set rest random(0, 300)
\sleep :rest ms
};

my %files;
for my $name (keys %writers)
{
	$files{$name} = "$dir/$name.sql";
	append_to_file($files{$name}, $writers{$name} . $rest);
}
my %views = (
	mv_simple => 'diff', mv_view => 'diff', mv_parted => 'diff',
	mv_keys => 'server', mv_applied => 'diff', mv_second => 'auto');
for my $view (keys %views)
{
	append_to_file("$dir/check_$view.sql", checker($view, $views{$view}));
}

# Start pgbench; several files are taken at random.
my @running;

sub start_pgbench
{
	my ($database, $clients, @files) = @_;
	my $log = "$dir/log" . scalar(@running);
	# pgbench gives up after an error: a deadlock of DDL, say
	my $run = IPC::Run::start(
		[ 'sh', '-c',
		  'end=$(($(date +%s) + $1)); shift; while now=$(date +%s); [ $now -lt $end ]; do "$@" -T $((end - now)); done',
		  'sh', $seconds, 'pgbench', '-n', '-c', $clients, '--max-tries=10',
		  (map { ('-f', $_) } @files),
		  '-h', $node->host, '-p', $node->port, $database ],
		'<', \undef, '>', "$log.out", '2>', "$log.err");
	push @running, [ $run, $log ];
	return;
}

sub finish_all
{
	for my $entry (@running)
	{
		my ($run, $log) = @$entry;
		$run->finish;
		my $errors = slurp_file("$log.err");
		# deadlocks and crossing DDL are part of the game
		my @bad = grep { /ERROR/ && !/deadlock|serialize|concurrent|pending detach|already a partition|not a partition|duplicate key/ }
		  split /\n/, $errors;
		note(join "\n", @bad[ 0 .. ($#bad > 5 ? 5 : $#bad) ]) if @bad;
	}
	@running = ();
	return;
}

append_to_file("$dir/source.sql", q{
INSERT INTO replicated VALUES (random(1, 50), 1) ON CONFLICT (a) DO UPDATE SET b = replicated.b + 1;
\sleep 100 ms
} =~ s/random\(1, 50\)/(random() * 50)::int/r);

sub run_part
{
	my ($what) = @_;

	$node->safe_psql('postgres', 'TRUNCATE verdict');
	start_pgbench('source', 1, "$dir/source.sql");
	start_pgbench('postgres', 2, $files{rows});
	start_pgbench('postgres', 2, $files{prepared});
	start_pgbench('postgres', 1, @files{qw(bulk keys)});
	start_pgbench('postgres', 1, $files{calls});
	start_pgbench('postgres', 1, @files{qw(definitions rewrites)});
	start_pgbench('postgres', 1, "$dir/check_$_.sql") for sort keys %views;
	finish_all();

	note $node->safe_psql('postgres', q{
		SELECT matview, count(*) AS checks,
		       count(*) FILTER (WHERE fresh AND same_mark) AS fresh,
		       count(*) FILTER (WHERE fresh AND same_mark AND differences > 0) AS wrong,
		       count(*) FILTER (WHERE NOT fresh AND differences = 0) AS "needlessly stale"
		  FROM verdict GROUP BY 1 ORDER BY 1});
	is($node->safe_psql('postgres', q{
		SELECT count(*) FROM verdict WHERE fresh AND same_mark AND differences > 0}),
		'0', "no view was called fresh in error, $what");
	is($node->safe_psql('postgres', q{
		SELECT count(*) FROM verdict WHERE peeked AND same_mark AND differences > 0}),
		'0', "nor by shared memory alone, $what");
	ok($node->safe_psql('postgres', q{
		SELECT count(DISTINCT matview) FROM verdict WHERE fresh AND same_mark}) > 0,
		"views were fresh at times, $what");
	ok($node->safe_psql('postgres', q{
		SELECT count(DISTINCT matview) FROM verdict WHERE NOT fresh AND differences > 0}) > 0,
		"and stale at times, $what");
	return;
}

run_part('with all slots');

# When almost all tables share a slot, views look stale too often, no more.
$node->append_conf('postgresql.conf', 'pg_steward.refresh_clock_slots = 8');
$node->restart;
run_part('with 8 slots');

# Everything is quiet: what is refreshed stays fresh, where no other table has
# the same slot.
$node->safe_psql('postgres', 'ALTER SUBSCRIPTION sub DISABLE');
$node->append_conf('postgresql.conf', 'pg_steward.refresh_clock_slots = 65536');
$node->restart;
$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_stat_subscription WHERE pid IS NOT NULL')
  or die 'the subscription goes on';
$node->safe_psql('postgres', "SELECT refresh_matview_now('$_')")
  for qw(mv_simple mv_view mv_parted mv_keys mv_applied mv_second);
is($node->safe_psql('postgres', q{
	SELECT string_agg(DISTINCT state || differs(matviewname::regclass) || coalesce(matviewname || reason, ''), ',')
	  FROM pg_matviews, steward.matview_freshness(matviewname::regclass)}),
	'fresh0', 'all views are fresh at the end');

$node->safe_psql('postgres', q{
	ALTER SUBSCRIPTION sub SET (slot_name = NONE);
	DROP SUBSCRIPTION sub});
$node->stop;
done_testing();
