# Periods of latency histograms, on a server whose clock the test sets: a
# library that is loaded before all others adds the seconds in a file to what
# gettimeofday() returns.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir();
append_to_file("$dir/clock.c", <<'END');
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
int
gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
	struct timespec now;
	char		text[32] = "";
	int			file = open(getenv("TEST_CLOCK"), O_RDONLY);

	clock_gettime(CLOCK_REALTIME, &now);
	if (file >= 0)
	{
		if (read(file, text, sizeof(text) - 1) > 0)
			now.tv_sec += atol(text);
		close(file);
	}
	tv->tv_sec = now.tv_sec;
	tv->tv_usec = now.tv_nsec / 1000;
	return 0;
}
END
if (system("cc -shared -fPIC -o $dir/clock.so $dir/clock.c") != 0)
{
	plan skip_all => 'no C compiler';
}
# The server's clock starts at the fifth second of a minute, so that no minute
# ends while the test runs unless it says so.
my $offset = 65 - time % 60;

# Let so many minutes pass.
sub advance
{
	my ($minutes) = @_;
	$offset += 60 * $minutes;
	open my $handle, '>', "$dir/clock" or die "could not open clock: $!";
	print $handle "$offset\n";
	close $handle;
	return;
}
advance(0);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_stat_statements,pg_steward'
autovacuum = off
pg_steward.max_queries = 100
});
{
	local %ENV = (%ENV, LD_PRELOAD => "$dir/clock.so", TEST_CLOCK => "$dir/clock");
	$node->start;
}

sub sql { return $node->safe_psql('postgres', @_); }
sub execute
{
	sql('SELECT count(*) AS timed FROM pg_am;' x $_[0]);
	return;
}

# Executions in the last minutes, by each report.
sub counted
{
	my ($period) = @_;
	return sql(qq{
		SELECT coalesce((SELECT calls FROM get_query_latency(q, '{0.5}', $period)), 0),
		       coalesce((SELECT sum(count) FROM get_latency_histogram(q, $period)), 0)
		  FROM (SELECT queryid AS q FROM pg_stat_statements WHERE query LIKE '%AS timed%') s});
}
sql('CREATE EXTENSION pg_steward CASCADE');
execute(5);
is(counted("'1 min'"), '5|5', 'just now: last minute');
advance(3);
is(counted("'1 min'"), '0|0', 'three minutes ago: not the last minute');
is(counted("'5 min'"), '5|5', 'three minutes ago: last 5 minutes');
execute(2);
is(counted("'1 min'"), '2|2', 'more now');
is(counted("'5 min'"), '7|7', 'both');
advance(3);
is(counted("'5 min'"), '2|2', 'six minutes ago: not the last 5 minutes');
is(counted("'60 min'"), '7|7', 'six minutes ago: last hour');
execute(1);
advance(50);
is(counted("'5 min'"), '0|0', 'nothing in the last 5 minutes');
is(counted("'60 min'"), '8|8', 'everything in the last hour');
advance(20);
is(counted("'60 min'"), '0|0', 'nothing in the last hour');
is(counted('NULL'), '8|8', 'all is still there');
is(sql("SELECT calls < 10 FROM get_latency_summary('1 min')"), 't', 'summary of the last minute');
is(sql("SELECT now() - since BETWEEN '59 min' AND '62 min' FROM get_latency_summary('1 hour')"), 't', 'since when');

# A clock that is set back.
execute(1);
advance(-30);
execute(3);
is(counted("'1 min'"), '3|3', 'clock set back: last minute');
is(counted('NULL'), '12|12', 'clock set back: all');
advance(30);
execute(1);
is(counted('NULL'), '13|13', 'clock set forward again');

# A reset ends the past, too.
sql('SELECT reset_query_latency()');
execute(4);
is(counted("'60 min'"), '4|4', 'only what came after the reset');

# More records than the log holds: it forgets the oldest, and says so.
for (1 .. 60)
{
	advance(1);
	sql(join(';', 'SELECT count(*) AS timed FROM pg_am', map { "LISTEN channel$_" } 1 .. 80));
}
is(counted('NULL'), '64|64', 'all: exact');
my ($minutes, $since) = split /\|/, sql(q{
	SELECT calls, round(extract(epoch FROM now() - since) / 60)
	  FROM get_query_latency((SELECT queryid FROM pg_stat_statements WHERE query LIKE '%AS timed%'), '{0.5}', '60 min')});
cmp_ok($minutes, '>', 20, "an hour that is too long for the log: $minutes minutes are left");
cmp_ok($minutes, '<', 60, 'but not all');
cmp_ok(abs($minutes - $since), '<=', 2, "and it is known since when: $since minutes");
is(counted("'10 min'"), join('|', ($minutes >= 11 ? 11 : $minutes) x 2), 'the last 10 minutes are complete');
is(sql('SELECT latency_evictions, latency_dropped FROM get_steward_info()'), '0|0', 'nothing was lost');

$node->stop;
done_testing();
