# The index advisor on a standby, without pg_stat_statements, beside a locked
# table and for random statements.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $statements = $ENV{PG_STEWARD_RANDOM_STATEMENTS} || 200;
my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_stat_statements,pg_steward'
autovacuum = off
pg_stat_statements.max = 5000
});
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION pg_steward CASCADE;
	CREATE TABLE o (id int PRIMARY KEY, a int, b int, c text, d timestamptz, e bool, f int[], g jsonb, h numeric);
	INSERT INTO o SELECT i, i % 1000, i % 7, md5(i::text), timestamptz '2026-01-01' + i * interval '1 minute',
	       i % 50 = 0, ARRAY[i % 5, i % 11], jsonb_build_object('k', i % 100), i
	  FROM generate_series(1, 20000) i;
	CREATE TABLE p (id int, a int, d timestamptz, c text) PARTITION BY RANGE (id);
	CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10000);
	CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10000) TO (30000);
	INSERT INTO p SELECT i, i % 500, now() - i * interval '1 minute', md5(i::text) FROM generate_series(1, 20000) i;
	CREATE VIEW v AS SELECT o.a, o.c, p.d FROM o JOIN p ON o.a = p.a WHERE o.b < 5;
	SELECT pg_stat_statements_reset()});
$node->safe_psql('postgres', 'VACUUM ANALYZE');

# A standby has statements of its own, and can be asked about others.
$node->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'b', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
$standby->safe_psql('postgres', 'SELECT * FROM o WHERE a = 5 AND b = 3');
my $wanted = 'CREATE INDEX CONCURRENTLY ON public.o USING btree (a, b)';
is($standby->safe_psql('postgres', 'SELECT index_definition FROM get_index_suggestions()'),
	$wanted, 'standby: from its own statements');
is( $standby->safe_psql('postgres',
		q{SELECT index_definition FROM get_index_suggestions(queries => '{"UPDATE o SET c = $1 WHERE a = $2 AND b = $3"}')}),
	$wanted, 'standby: for given queries, also those that write');
is( $standby->safe_psql('postgres',
		q{SELECT count(*), (SELECT coalesce(string_agg(reason || ': ' || query, ', '), 'none') FROM get_index_advisor_skipped()), (SELECT count(*) FROM check_index_suggestions()),
		         (SELECT result_rows FROM analyze_query('SELECT id FROM o WHERE id < 4', true))
		    FROM get_droppable_indexes()}),
	'0|none|0|3', 'standby: the other reports');
my ($ret, $out, $err) = $standby->psql('postgres', 'SELECT keep_index_suggestions()');
like($err, qr/cannot execute (INSERT|UPDATE) in a read-only transaction/, 'standby: cannot keep');

# A locked table costs its statements, not the report.
$node->safe_psql('postgres', 'SELECT * FROM o WHERE a = 5; SELECT count(*) FROM p WHERE a = 7');
my ($in, $locked, $timer) = ('', '', IPC::Run::timer(180));
my $locker = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ],
	'<', \$in, '>', \$locked, $timer);
$in .= "BEGIN;\nLOCK TABLE o;\n\\echo locked\n";
$locker->pump until $locked =~ /locked/;

# While a run waits for that lock, others see how far it is; not when it ended.
my ($asked, $answer) = ('', '');
my $asker = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ],
	'<', \$asked, '>', \$answer, '2>', \my $asker_error, $timer);
$asked .= q{SET pg_steward.lock_timeout = '60s'; SELECT * FROM get_index_suggestions(queries => '{"SELECT * FROM o WHERE a = 1"}');} . "\n\\q\n";
$asker->pump_nb;
ok( $node->poll_query_until('postgres',
		q{SELECT count(*) = 1 FROM get_index_advisor_progress() WHERE phase = 'analyzing statements' AND statements_total = 1
		     AND database_name = 'postgres' AND elapsed_seconds >= 0}),
	'progress of a run that waits');
$node->safe_psql('postgres', 'SELECT pg_cancel_backend(pid) FROM get_index_advisor_progress()');
$asker->finish;
ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM get_index_advisor_progress()'),
	'no progress after it was canceled');
is($node->safe_psql('postgres', 'SELECT DISTINCT table_name FROM get_index_suggestions()'),
	'p', 'suggestions beside a locked table');
is( $node->safe_psql('postgres',
		q{SELECT DISTINCT reason FROM get_index_advisor_skipped() WHERE query LIKE '%FROM o %'}),
	'one of its tables is locked', 'its statements are reported as skipped');
$in .= "ROLLBACK;\n\\q\n";
$locker->finish;

# Waiting for the advisor: it can be cancelled, and the session goes on.
($ret, $out, $err) = $node->psql('postgres', q{
	SET statement_timeout = '1ms';
	SELECT count(*) FROM get_index_suggestions(queries => (SELECT array_agg('SELECT * FROM o x, o y, p z WHERE x.a = y.b AND z.a = x.a AND y.a = ' || i)
	  FROM generate_series(1, 300) i));
	RESET statement_timeout;
	SELECT 'alive'}, on_error_stop => 0);
like($err, qr/canceling statement due to statement timeout/, 'cancelled');
like($out, qr/alive/, 'the session goes on');

# Random statements: whatever they are, the report comes back.  Those that the
# server takes are planned; those that it does not are skipped.
srand(42);

sub pick { return $_[ int(rand(@_)) ] }

# a boolean expression over the columns of table "t"
sub condition
{
	my ($depth) = @_;
	my $kind = int(rand($depth > 0 ? 13 : 10));

	return 't.' . pick(qw(a b id)) . pick(' = ', ' < ', ' >= ', ' <> ') . pick('5', '$1', 't.id', '(SELECT max(id) FROM o)') if $kind == 0;
	return "t.c " . pick('= ', 'LIKE ', '~ ', 'ILIKE ') . pick(q{'ab%'}, '$2', q{'%x%'}) if $kind == 1;
	return "t.d " . pick('> ', '< ', 'BETWEEN $3 AND ') . pick('now()', q{timestamptz '2026-01-05'}) if $kind == 2;
	return 't.a IN (' . join(', ', map { int(rand(100)) } 1 .. 1 + int(rand(5))) . ')' if $kind == 3;
	return 't.a = ANY (' . pick('$4::int[]', 'ARRAY[1,2,3]') . ')' if $kind == 4;
	return '(t.a, t.id) ' . pick('<', '>', '=') . ' (3, 4)' if $kind == 5;
	return 't.' . pick(qw(a c d)) . pick(' IS NULL', ' IS NOT NULL') if $kind == 6;
	return pick(q{lower(t.c) = 'x'}, 't.a % 7 = 3', 'abs(t.a) < 3', 'date_trunc($5, t.d) = now()') if $kind == 7;
	return pick('EXISTS', 'NOT EXISTS') . ' (SELECT FROM o u WHERE u.a = t.a AND u.b > ' . int(rand(9)) . ')' if $kind == 8;
	return 't.a ' . pick('IN', 'NOT IN') . ' (SELECT u.' . pick(qw(a b id)) . ' FROM ' . pick(qw(o)) . ' u)' if $kind == 9;
	return '(' . condition($depth - 1) . pick(' AND ', ' OR ') . condition($depth - 1) . ')' if $kind < 12;
	return 'NOT (' . condition($depth - 1) . ')';
}

# the rest of a SELECT
sub tail
{
	my $text = '';
	$text .= ' ORDER BY ' . join(', ', map { "t.$_" . pick('', ' DESC', ' DESC NULLS LAST', ' NULLS FIRST') } pick([qw(a)], [qw(d a)], [qw(c)], [qw(b d)])->@*)
	  if rand() < 0.5;
	$text .= ' LIMIT ' . pick('1', '$6', '10 OFFSET 5', 'ALL') if rand() < 0.5;
	return $text;
}

sub statement
{
	my $kind = int(rand(12));
	my $where = ' WHERE ' . condition(2);

	return "SELECT t.a, t.c FROM o t$where" . tail() . pick('', '', ' FOR UPDATE', ' FOR SHARE SKIP LOCKED') if $kind < 3;
	return "SELECT count(*), max(t.d) FROM o t$where GROUP BY " . pick('t.a', 't.b, t.a', 'ROLLUP (t.a, t.b)', 'date_trunc($7, t.d)') if $kind == 3;
	return 'SELECT DISTINCT ' . pick('ON (t.a)', '') . " t.a, t.c FROM o t$where" if $kind == 4;
	return "SELECT t.a, x.c FROM o t " . pick('JOIN', 'LEFT JOIN', 'FULL JOIN') . ' ' . pick('o', 'p', 'v') . " x ON x.a = t.a$where" . tail() if $kind < 7;
	return "UPDATE o t SET b = b + 1$where" if $kind == 7;
	return 'DELETE FROM ' . pick('o', 'o', 'ONLY o') . " t$where" if $kind == 8;
	return "WITH w AS " . pick('', 'MATERIALIZED ', 'NOT MATERIALIZED ') . "(SELECT * FROM o t$where) SELECT * FROM w JOIN p USING (a) WHERE p.id < 9" if $kind == 9;
	return "SELECT t.a FROM o t$where " . pick('UNION', 'UNION ALL', 'EXCEPT', 'INTERSECT') . ' SELECT a FROM p WHERE a < $1' if $kind == 10;
	return 'SELECT *, row_number() OVER (PARTITION BY t.a ORDER BY t.d) FROM ' . pick('o', 'o') . " t$where" . pick('', ' LIMIT 3');
}

my @queries = map { statement() } 1 .. $statements;
my $list = join ', ', map { "\$q\$$_\$q\$" } @queries;
my ($rows, $messages);
($ret, $rows, $messages) = $node->psql('postgres', qq{
	SELECT count(*) BETWEEN 1 AND 40, bool_and(estimated_bytes > 0 AND saved_ms_per_day > 0)
	  FROM get_index_suggestions(max_indexes => 40, min_gain_pct => 0.01, deadline => '3 min', queries => ARRAY[$list])});
is($ret, 0, "advice on $statements random statements") or diag($messages);
is($rows, 't|t', 'with suggestions');
diag($messages) if $ENV{PG_STEWARD_RANDOM_STATEMENTS};
my $skipped = () = $messages =~ /was left out/g;
cmp_ok($skipped, '<', 5, 'nearly all of them can be planned');
unlike($messages, qr/cache lookup|unrecognized node|could not find|internal/, 'no failure inside');

# A deadline that is over at once is no error, and told.
($ret, $rows, $messages) = $node->psql('postgres', qq{
	SELECT count(*) >= 0 FROM get_index_suggestions(deadline => '1 us', queries => ARRAY[$list])});
is($ret, 0, 'deadline over at once') or diag($messages);
like($messages, qr/NOTICE:  the deadline came before everything was compared/, 'is told');

# One after the other, as analyze_query() sees them; the last ones run as well.
my $failures = $node->safe_psql('postgres', qq{
	CREATE TEMP TABLE failures (query text, error text, state text);
	DO \$d\$ DECLARE q text; n int := 0; BEGIN
	    FOREACH q IN ARRAY (ARRAY[$list])[1:60] LOOP
	        BEGIN
	            PERFORM count(*) FROM analyze_query(q, n % 4 = 0, '1 s');
	        EXCEPTION WHEN OTHERS THEN INSERT INTO failures VALUES (q, SQLERRM, SQLSTATE);
	        END;
	        n := n + 1;
	    END LOOP;
	END \$d\$;
	SELECT state, error, query FROM failures WHERE state ~ '^(XX|58|57)'});
is($failures, '', 'no failure inside, one by one');

# The suggestions can be created, all of them, and then nothing is missing.
my $ddl = $node->safe_psql('postgres', qq{
	SET client_min_messages = error;
	SELECT index_definition || ';' FROM get_index_suggestions(max_indexes => 10, queries => ARRAY[$list], deadline => '3 min')});
($ret, $out, $err) = $node->psql('postgres', $ddl, on_error_stop => 1);
is($ret, 0, 'suggestions can be created') or diag("$err\n$ddl");
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_index WHERE NOT indisvalid'),
	'0', 'and are valid');

# Without pg_stat_statements: an error that says what to do; given queries work.
$standby->stop;
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', q{''});
$node->restart;
($ret, $out, $err) = $node->psql('postgres', 'SELECT * FROM get_index_suggestions()');
like($err, qr/pg_stat_statements is not loaded at server start/, 'not loaded');
is( $node->safe_psql('postgres',
		q{SELECT count(*) FROM get_index_suggestions(queries => '{"SELECT * FROM p WHERE c = $1"}')}),
	'1', 'not loaded: for given queries');

done_testing();
