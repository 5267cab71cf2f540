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

# Counters that are about to overflow: a file in which each bucket of the
# statement has 2^31 - 1 executions, and one has 2^40.
my $key = sql(q{
	SELECT s.queryid, d.oid, s.userid FROM pg_stat_statements s JOIN pg_database d ON d.datname = current_database()
	 WHERE s.query LIKE '%AS timed%'});
sql('SELECT reset_query_latency()');
$node->stop;
my $file = $node->data_dir . '/pg_stat/pg_steward_latency.stat';
my $header = substr(slurp_file($file), 0, 48);
substr($header, 40, 4) = pack('L', 1);
my ($queryid, $database, $role) = split /\|/, $key;
my $content = $header . pack('q L L L L Q Q q', $queryid, $database, $role, 1, 0, 0, 0, 0);
my $full = 2**31 - 1;
foreach my $bucket (0 .. 527)
{
	$content .= number(1) . number($bucket == 527 ? 2**40 : $full);
}
$content .= pack('C', 0);
open my $handle, '>:raw', $file or die "could not open $file: $!";
print $handle $content, pack('L', crc32c($content));
close $handle;
{
	local %ENV = (%ENV, LD_PRELOAD => "$dir/clock.so", TEST_CLOCK => "$dir/clock");
	$node->start;
}
my $expected = 527 * $full + 2**40;
is(counted('NULL'), "$expected|$expected", 'large counts are read');
foreach my $round (1 .. 3)
{
	execute(20);
	$expected += 20;
	is(counted('NULL'), "$expected|$expected", "round $round: not one is lost at 2^31");
	is(counted("'1 min'"), '20|20', "round $round: nor in the last minute");
	advance(2);
}
{
	local %ENV = (%ENV, LD_PRELOAD => "$dir/clock.so", TEST_CLOCK => "$dir/clock");
	$node->restart;
}
is(counted('NULL'), "$expected|$expected", 'nor over a restart');
is(sql('SELECT latency_dropped FROM get_steward_info()'), '0', 'none was dropped');

$node->stop;
done_testing();

# A number as the file has it: seven bits a byte, lowest first.
sub number
{
	my ($number) = @_;
	my $bytes = '';
	for (; $number >= 128; $number >>= 7)
	{
		$bytes .= chr(128 | ($number & 127));
	}
	return $bytes . chr($number);
}

# Checksum of the file.
sub crc32c
{
	my ($data) = @_;
	my $crc = 0xffffffff;
	foreach my $byte (unpack 'C*', $data)
	{
		$crc ^= $byte;
		$crc = $crc & 1 ? ($crc >> 1) ^ 0x82f63b78 : $crc >> 1 for 1 .. 8;
	}
	return $crc ^ 0xffffffff;
}
