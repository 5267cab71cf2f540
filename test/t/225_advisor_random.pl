# Random statements through the index advisor: over the tables of a help desk
# and the catalogs, from a generator of our own, and from SQLsmith where it is
# installed.  Whatever they are, the report comes back, what was left out has a
# reason, no error is one of the server's own code, and memory stays bounded.
#
# PG_STEWARD_RANDOM_STATEMENTS is how many; PG_STEWARD_RANDOM_SEED from where.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StewardRandomSql;
use Test::More;

my $statements = $ENV{PG_STEWARD_RANDOM_STATEMENTS} || 100;
my $seed = $ENV{PG_STEWARD_RANDOM_SEED} || 11;

my $node = PostgreSQL::Test::Cluster->new('random');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_stat_statements,pg_steward'
shared_buffers = 32MB
autovacuum = off
jit = off
pg_stat_statements.max = 5000
});
$node->start;

# The schema of the benchmark, with fewer rows.
my $schema = slurp_file("$FindBin::RealBin/../bench/index_advisor_oltp/schema.sql");
$schema =~ s/generate_series\(1, (\d{5,})\)/'generate_series(1, ' . int($1 \/ 20) . ')'/ge;
$node->safe_psql('postgres', "$schema; CREATE EXTENSION pg_steward CASCADE; VACUUM ANALYZE;"
	  . 'CREATE ROLE visitor; GRANT pg_read_all_data TO visitor');

my @columns = map { [ split /\|/, $_ ] } split /\n/, $node->safe_psql('postgres', q{
	SELECT format('%I.%I', n.nspname, c.relname), quote_ident(a.attname),
	       CASE WHEN t.typtype <> 'b' OR t.typcategory = 'A' THEN 'other' WHEN t.typname IN ('int2', 'int4', 'int8', 'numeric', 'float4', 'float8') THEN 'number'
	            WHEN t.typname IN ('text', 'varchar', 'bpchar') THEN 'text' WHEN t.typname IN ('timestamptz', 'date', 'timestamp') THEN 'time'
	            WHEN t.typname = 'bool' THEN 'bool' ELSE 'other' END
	  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
	 WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v')
	   AND (n.nspname = 'public' AND c.relname !~ '^pg_' OR
	        n.nspname = 'pg_catalog' AND c.relname IN ('pg_class', 'pg_attribute', 'pg_index', 'pg_constraint', 'pg_type', 'pg_proc', 'pg_tables', 'pg_indexes', 'pg_settings', 'pg_stat_user_tables'))
	 ORDER BY 1, a.attnum});
my $generator = StewardRandomSql->new(columns => \@columns, writable => qr/^public\.(?!open_)/, seed => $seed);
my @queries = map { $generator->statement() } 1 .. $statements;

# SQLsmith ends its statements with ";" and writes each over many lines.
my $smith = `sqlsmith --version 2>&1` =~ /SQLsmith/ ? 'sqlsmith' : undef;
if ($smith)
{
	my $out = '';
	IPC::Run::run([ $smith, '--dry-run', "--seed=$seed", "--max-queries=$statements", '--target=' . $node->connstr('postgres') ],
		'>', \$out, '2>', \my $err);
	my @more = grep { /\S/ } split /;\s*\n/, $out;
	cmp_ok(scalar @more, '>=', $statements * 0.9, 'statements of SQLsmith') or diag($err);
	push @queries, @more;
}
my $list = join ', ', map { "\$query\$$_\$query\$" } @queries;

# SQLsmith takes liberties with types; what the server can prepare counts.
my %taken = map { $_ => 1 } split /\n/, $node->safe_psql('postgres', qq{
	CREATE TEMP TABLE taken (n bigint);
	DO \$do\$ DECLARE q record; BEGIN
	    FOR q IN SELECT * FROM unnest(ARRAY[$list]) WITH ORDINALITY AS u(text, n) LOOP
	        BEGIN
	            EXECUTE 'PREPARE s AS ' || q.text;
	            DEALLOCATE s;
	            INSERT INTO taken VALUES (q.n - 1);
	        EXCEPTION WHEN OTHERS THEN NULL;
	        END;
	    END LOOP;
	END \$do\$;
	SELECT n FROM taken});
my $refused = join ', ', map { "\$query\$$queries[$_]\$query\$" } grep { !$taken{$_} } 0 .. $#queries;
@queries = @queries[ grep { $taken{$_} } 0 .. $#queries ];
cmp_ok(scalar @queries, '>=', $statements * 0.95, 'statements that the server takes');
$list = join ', ', map { "\$query\$$_\$query\$" } @queries;

# All in one run.
my $suggest = q{
	SELECT count(*) > 0, bool_and(estimated_bytes > 0 AND saved_ms_per_day > 0 AND index_definition IS NOT NULL AND reason IS NOT NULL)
	  FROM get_index_suggestions(max_indexes => 100, min_gain_pct => 0.001, deadline => '10 min', queries => ARRAY[%s]::text[]);};
my ($ret, $rows, $messages) = $node->psql('postgres', sprintf($suggest, $list)
	  . q{SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s+(\d+)')::int;});
is($ret, 0, 'advice on ' . @queries . ' random statements') or diag($messages);
my ($result, $kilobytes) = split /\n/, $rows;
is($result, 't|t', 'with suggestions');
cmp_ok($kilobytes, '<', 256 * 1024, 'memory is bounded');
my $told = () = $messages =~ /was left out/g;
my $left_out = $told + ($messages =~ /(\d+) more queries were left out/ ? $1 : 0);
cmp_ok($left_out, '<=', 0.02 * @queries, 'hardly any is left out') or diag($messages);
unlike($messages, qr/cache lookup|unrecognized node|could not find|no relation entry|variable not found|unexpected/, 'no failure inside');
diag("$left_out of " . @queries . " left out, $kilobytes kB, $messages") if $ENV{PG_STEWARD_RANDOM_STATEMENTS};

# What the server does not take is left out, with a reason.
my ($code, $none, $why) = $node->psql('postgres', sprintf($suggest, $refused));
is($code, 0, 'advice on what the server does not take');
$told = () = $why =~ /was left out/g;
my $reasons = () = $why =~ /was left out: \S/g;
is($told, $reasons, 'is that it has a reason to leave it out');

# One by one.  That numbers of a type's modifier, which SQLsmith invents, make no
# sense is an internal error in the server's own view.
my $failures = $node->safe_psql('postgres', qq{
	CREATE TEMP TABLE failure (query text, error text, state text);
	DO \$do\$ DECLARE q text; BEGIN
	    FOREACH q IN ARRAY ARRAY[$list] LOOP
	        BEGIN
	            PERFORM count(*) FROM analyze_query(q);
	        EXCEPTION WHEN OTHERS THEN INSERT INTO failure VALUES (q, SQLERRM, SQLSTATE);
	        END;
	    END LOOP;
	END \$do\$;
	SELECT state, error, query FROM failure WHERE state ~ '^(XX|57|58)' AND error !~ 'invalid INTERVAL typmod'});
is($failures, '', 'no failure inside, one by one');

# As pg_stat_statements has them, those that a reader can execute in no time.
$node->safe_psql('postgres', 'SELECT pg_stat_statements_reset()');
my ($input, $output, $errors) = ("SET ROLE visitor; SET default_transaction_read_only = on; SET statement_timeout = '50ms';\n", '', '');
my $executed = 0;
foreach my $query (@queries)
{
	next if $query =~ /\$\d/ || $query !~ /^\s*(SELECT|WITH)/i;
	$input .= "$query;\n";
	last if ++$executed >= 150;
}
IPC::Run::run([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \$input, '>', \$output, '2>', \$errors);
unlike($errors, qr/server closed the connection|internal error/, 'executed');
is( $node->safe_psql('postgres', q{
		SELECT (SELECT count(*) > 0 FROM pg_stat_statements WHERE query ~* '^\s*(select|with)'),
		       (SELECT count(*) >= 0 FROM get_index_suggestions(min_gain_pct => 0.001)),
		       (SELECT count(*) FROM get_index_advisor_skipped() WHERE coalesce(reason, '') = ''),
		       (SELECT count(*) >= 0 FROM get_droppable_indexes())}),
	't|t|0|t', 'advice from pg_stat_statements');

# Nothing of this ended a process, or the server.
my $log = slurp_file($node->logfile);
unlike($log, qr/TRAP:|PANIC|terminated by signal|was terminated/, 'no process crashed');
unlike($log, qr/ERROR:\s+XX/, 'no internal errors in the log');

$node->stop;
done_testing();
