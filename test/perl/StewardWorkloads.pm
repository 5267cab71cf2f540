# Workloads for the detection of repeated statements, with what is true about
# them.  Each has tables of its own (w_NAME_a, _b, _c), so that a query in the
# report tells which workload it comes from.
#
# A workload: name, half (development or held out), truth, and code.  Truth
# names the tables whose statements are to be reported, and as what; nothing
# else of the workload may be reported as n_plus_one.  "may" names kinds that
# are arguable there and count neither way; "known" says why the report is
# wrong there, which counts all the same.  The code gets a function that
# connects, directly or through the pooler.
package StewardWorkloads;
use strict;
use warnings;

use StewardClient;
use Time::HiRes qw(sleep time);

our @workloads;

sub workload
{
	my ($half, $name, $truth, $code, %more) = @_;
	push @workloads,
	  { half => $half, name => $name, truth => $truth, code => $code, may => {}, %more };
}

# Tables of a workload: a has b's (b.a_id) and points to c's (a.c_id).
sub tables
{
	my ($name) = @_;
	return qq{
CREATE TABLE w_${name}_c (id int PRIMARY KEY, name text, n int DEFAULT 0);
CREATE TABLE w_${name}_a (id int PRIMARY KEY, c_id int, name text, page int, n int DEFAULT 0);
CREATE TABLE w_${name}_b (id int PRIMARY KEY, a_id int, name text, n int DEFAULT 0);
INSERT INTO w_${name}_c SELECT g, 'c' || g FROM generate_series(1, 1000) g;
INSERT INTO w_${name}_a SELECT g, 1 + g * 7 % 1000, 'a' || g, g / 20 FROM generate_series(1, 2000) g;
INSERT INTO w_${name}_b SELECT g, 1 + g % 2000, 'b' || g FROM generate_series(1, 10000) g;
CREATE INDEX ON w_${name}_b (a_id);
CREATE INDEX ON w_${name}_a (page);
ANALYZE w_${name}_a, w_${name}_b, w_${name}_c;
};
}

sub between { my ($from, $to) = @_; return $from + int(rand($to - $from + 1)); }

# clients(N, CODE): CODE in N processes
sub clients
{
	my ($n, $code) = @_;
	my @children;
	for my $i (1 .. $n)
	{
		my $pid = fork() // die "fork: $!";
		if ($pid == 0)
		{
			srand($i * 7919);
			eval { $code->($i); 1 } or warn $@;
			require POSIX;
			POSIX::_exit(0);
		}
		push @children, $pid;
	}
	waitpid($_, 0) foreach @children;
}

# ---------------------------------------------------------------- development

workload('dev', 'django', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(2, sub {
		my $c = $connect->(application => 'django');
		for (1 .. 25)
		{
			my $page = between(1, 90);
			$c->query("SELECT s.name FROM ${t}_c s WHERE s.id = " . between(1, 1000));
			my $rows = $c->query("SELECT id, name FROM ${t}_a WHERE page = $page ORDER BY id LIMIT 20");
			$c->query("SELECT id, name FROM ${t}_b WHERE a_id = $_->[0] LIMIT 21") foreach @$rows;
			sleep 0.005;
		}
		$c->close;
	});
});

workload('dev', 'sqlalchemy', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(named => 1);
	for (1 .. 15)
	{
		$c->query('BEGIN');
		my $rows = $c->execute("SELECT id FROM ${t}_a WHERE page BETWEEN \$1 AND \$1 + 1", between(1, 90));
		splice @$rows, between(8, 25);
		$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $_->[0]) foreach @$rows;
		$c->query('ROLLBACK');
	}
	$c->close;
});

workload('dev', 'nested', { b => 'n_plus_one', c => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(named => 1);
	for (1 .. 12)
	{
		my $rows = $c->execute("SELECT id FROM ${t}_a WHERE page = \$1 LIMIT 8", between(1, 90));
		foreach my $a (@$rows)
		{
			my $items = $c->execute("SELECT id FROM ${t}_b WHERE a_id BETWEEN \$1 AND \$1 + 1", $a->[0]);
			$c->execute("SELECT name FROM ${t}_c WHERE id = \$1", 1 + $_->[0] * 31 % 997) foreach @$items;
		}
		sleep 0.01;
	}
	$c->close;
});

workload('dev', 'identitymap', { c => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 30)
	{
		my $rows = $c->execute("SELECT id FROM ${t}_a WHERE page BETWEEN \$1 AND \$1 + 1", between(1, 90));
		my %seen;
		foreach (@$rows)
		{
			my $key = 1 + ($_->[0] * 13) % 9;
			$c->execute("SELECT name FROM ${t}_c WHERE id = \$1", $key) unless $seen{$key}++;
		}
	}
	$c->close;
});

workload('dev', 'etl', { c => 'n_plus_one', b => 'row_by_row_write' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 4)
	{
		my $rows = $c->execute("SELECT id, c_id FROM ${t}_a WHERE page BETWEEN \$1 AND \$1 + 2", between(1, 90));
		foreach (@$rows)
		{
			$c->query('BEGIN');
			$c->execute("SELECT name, n FROM ${t}_c WHERE id = \$1", $_->[1]);
			$c->execute("UPDATE ${t}_b SET n = n + 1 WHERE id = \$1", $_->[0]);
			$c->query('COMMIT');
		}
	}
	$c->close;
});

workload('dev', 'pooled', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(8, sub {
		my $c = $connect->(pooled => 1, application => 'shop');
		for (1 .. 20)
		{
			my $rows = $c->execute("SELECT id FROM ${t}_a WHERE page = \$1 LIMIT 15", between(1, 90));
			$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $_->[0]) foreach @$rows;
			sleep rand 0.02;
		}
		$c->close;
	});
});

workload('dev', 'twochildren', { b => 'n_plus_one', c => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 15)
	{
		my $rows = $c->execute("SELECT id, c_id FROM ${t}_a WHERE page = \$1", between(1, 90));
		$c->execute("SELECT id, name FROM ${t}_c WHERE n = 0 ORDER BY id LIMIT 6");
		foreach (@$rows)
		{
			$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $_->[0]);
			$c->execute("SELECT name FROM ${t}_c WHERE id = \$1", $_->[1]);
		}
		sleep 0.003;
	}
	$c->close;
});

workload('dev', 'plpgsql', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	$c->query("SET pg_steward.track = 'all'");
	$c->query("CREATE FUNCTION ${t}_f(p int) RETURNS int LANGUAGE plpgsql AS \$\$
		DECLARE r record; s int := 0; x int;
		BEGIN
			FOR r IN SELECT id FROM ${t}_a WHERE page = p LOOP
				SELECT count(*) INTO x FROM ${t}_b WHERE a_id = r.id;
				s := s + x;
			END LOOP;
			RETURN s;
		END\$\$");
	$c->execute("SELECT ${t}_f(\$1)", $_) foreach 1 .. 20;
	$c->close;
}, may => { repeated_lookup => 1 });

workload('dev', 'pgbench', {}, sub {
	my ($connect, $t, $pgbench) = @_;
	$pgbench->('-i', '-q');
	$pgbench->('-S', '-c', 4, '-T', 2, '-n');
	$pgbench->('-c', 2, '-T', 2, '-n', '-M', 'prepared');
});

workload('dev', 'executemany', { b => 'row_by_row_write' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for my $batch (1 .. 5)
	{
		$c->query('BEGIN');
		$c->query("INSERT INTO ${t}_b VALUES (" . ($batch * 100000 + $_) . ", 1, 'x')") foreach 1 .. 40;
		$c->query('COMMIT');
	}
	$c->close;
});

workload('dev', 'keyset', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(named => 1);
	for (1 .. 3)
	{
		my ($last, $rows) = (0);
		do
		{
			$rows = $c->execute("SELECT id, name FROM ${t}_a WHERE id > \$1 ORDER BY id LIMIT 50", $last);
			$last = $rows->[-1][0] if @$rows;
		} while (@$rows == 50);
		sleep 0.1;
	}
	$c->close;
});

workload('dev', 'poller', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 120)
	{
		$c->execute("SELECT id, name FROM ${t}_b WHERE n > \$1 LIMIT 10", 0);
		sleep 0.02;
	}
	$c->close;
});

workload('dev', 'pooledauth', {}, sub {
	my ($connect, $t) = @_;
	clients(8, sub {
		my $c = $connect->(pooled => 1);
		for (1 .. 80)
		{
			$c->execute("SELECT name FROM ${t}_c WHERE id = \$1", between(1, 1000));
			if (rand() < 0.1)
			{
				$c->execute("SELECT id, name FROM ${t}_a WHERE page = \$1", between(1, 90));
			}
			else
			{
				$c->execute("SELECT name FROM ${t}_b WHERE id = \$1", between(1, 1000));
			}
			sleep rand 0.01;
		}
		$c->close;
	});
});

workload('dev', 'dataloader', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 40)
	{
		my $rows = $c->execute("SELECT id FROM ${t}_a WHERE page = \$1", between(1, 90));
		$c->execute("SELECT id, a_id, name FROM ${t}_b WHERE a_id = ANY (\$1::int[])",
			'{' . join(',', map { $_->[0] } @$rows) . '}');
	}
	$c->close;
});

workload('dev', 'fewtimes', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 40)
	{
		$c->execute("SELECT name FROM ${t}_c WHERE id = \$1", between(1, 1000)) for 1 .. between(3, 4);
		$c->execute("SELECT id, name FROM ${t}_a WHERE page = \$1", between(1, 90));
		$c->execute("SELECT count(*) FROM ${t}_b WHERE a_id = \$1", 7);
		sleep 0.002;
	}
	$c->close;
});

workload('dev', 'idsfromfile', { b => 'repeated_lookup' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'batch');
	for (1 .. 4)
	{
		$c->execute("SELECT name FROM ${t}_b WHERE id = \$1", between(1, 10000)) for 1 .. 60;
		sleep 0.15;
	}
	$c->close;
});

workload('dev', 'duplicates', { c => 'duplicate_query' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 10)
	{
		$c->query('BEGIN');
		for (1 .. 8)
		{
			$c->execute("SELECT name FROM ${t}_c WHERE name = \$1", 'c7');
			$c->execute("SELECT name FROM ${t}_b WHERE id = \$1", between(1, 10000)) if $_ == 3;
		}
		$c->query('COMMIT');
		sleep 0.005;
	}
	$c->close;
});

workload('dev', 'portal', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 6)
	{
		$c->query('BEGIN');
		$c->fetch(50, sub { }, "SELECT id, name FROM ${t}_a WHERE page BETWEEN \$1 AND \$1 + 20", between(1, 70));
		$c->query('COMMIT');
	}
	$c->close;
});

workload('dev', 'streamed', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 6)
	{
		$c->query('BEGIN');
		$c->fetch(10, sub {
			my ($rows) = @_;
			$c->execute("SELECT name FROM ${t}_b WHERE a_id = \$1", $_->[0]) foreach @$rows;
		}, "SELECT id, name FROM ${t}_a WHERE page BETWEEN \$1 AND \$1 + 1", between(1, 70));
		$c->query('COMMIT');
	}
	$c->close;
});

workload('dev', 'queue', {}, sub {
	my ($connect, $t) = @_;
	clients(2, sub {
		my $c = $connect->();
		for (1 .. 5)
		{
			for (1 .. 15)
			{
				$c->query('BEGIN');
				my $job = $c->execute("SELECT id FROM ${t}_a WHERE n = 0 ORDER BY id FOR UPDATE SKIP LOCKED LIMIT 1");
				$c->execute("UPDATE ${t}_a SET n = 1 WHERE id = \$1", $job->[0][0]) if @$job;
				$c->query('COMMIT');
			}
			sleep 0.1;
		}
		$c->close;
	});
});

# --------------- held out at first; development since they have been looked at

workload('second', 'activerecord', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(2, sub {
		my $c = $connect->(named => 1, application => 'rails');
		for (1 .. 15)
		{
			$c->query('SELECT 1');
			$c->execute("SELECT c.* FROM ${t}_c c WHERE c.id = \$1 LIMIT 1", between(1, 1000));
			my $rows = $c->execute("SELECT a.* FROM ${t}_a a WHERE a.page >= \$1 ORDER BY id LIMIT \$2", between(1, 90), 25);
			$c->execute("SELECT COUNT(*) FROM ${t}_b b WHERE b.a_id = \$1", $_->[0]) foreach @$rows;
			$c->query('BEGIN');
			$c->execute("UPDATE ${t}_c SET n = n + 1 WHERE id = \$1", between(1, 1000));
			$c->query('COMMIT');
			sleep rand 0.03;
		}
		$c->close;
	});
});

workload('second', 'hibernate', { b => 'n_plus_one', c => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'spring');
	for (1 .. 20)
	{
		$c->query('SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE');
		$c->query('BEGIN');
		my $rows = $c->execute("select a1_0.id, a1_0.c_id from ${t}_a a1_0 where a1_0.page = \$1", between(1, 90));
		splice @$rows, between(10, 18);
		my %seen;
		foreach (@$rows)
		{
			my $key = 1 + $_->[0] % 14;
			$c->execute("select c1_0.id, c1_0.name from ${t}_c c1_0 where c1_0.id = \$1", $key) unless $seen{$key}++;
			$c->execute("select b1_0.a_id, b1_0.id, b1_0.name from ${t}_b b1_0 where b1_0.a_id = \$1", $_->[0]);
		}
		$c->query('COMMIT');
		sleep rand 0.004;
	}
	$c->close;
});

workload('second', 'threelevels', { a => 'n_plus_one', b => 'n_plus_one', c => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 6)
	{
		my $pages = $c->query("SELECT DISTINCT page FROM ${t}_a WHERE page BETWEEN 10 AND " . between(15, 18));
		foreach my $page (@$pages)
		{
			my $as = $c->query("SELECT id FROM ${t}_a x WHERE page = $page->[0] LIMIT " . between(5, 9));
			foreach my $a (@$as)
			{
				my $bs = $c->query("SELECT id FROM ${t}_b WHERE a_id IN ($a->[0], $a->[0] + 1)");
				splice @$bs, between(5, 8);
				$c->query("SELECT name FROM ${t}_c WHERE id = 1 + $_->[0] * 31 % 997") foreach @$bs;
			}
		}
		sleep 0.02;
	}
	$c->close;
});

workload('second', 'pooledxact', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(6, sub {
		my $c = $connect->(pooled => 1);
		for (1 .. 15)
		{
			$c->query('BEGIN');
			my $rows = $c->execute("SELECT id FROM ${t}_a WHERE page = \$1 LIMIT 12", between(1, 90));
			$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $_->[0]) foreach @$rows;
			$c->query('COMMIT');
			sleep rand 0.01;
		}
		$c->close;
	});
});

workload('second', 'pooledmix', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(8, sub {
		my ($i) = @_;
		my $c = $connect->(pooled => 1);
		for (1 .. 40)
		{
			if ($i % 2)
			{
				my $rows = $c->execute("SELECT id FROM ${t}_a WHERE page = \$1 LIMIT 10", between(1, 90));
				$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $_->[0]) foreach @$rows;
			}
			else
			{
				$c->execute("SELECT name FROM ${t}_c WHERE id = \$1", between(1, 1000));
				$c->execute("SELECT name FROM ${t}_a WHERE id = \$1", between(1, 1000));
			}
			sleep rand 0.01;
		}
		$c->close;
	});
});

workload('second', 'threeparents', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 30)
	{
		my $kind = between(1, 3);
		my $page = between(1, 90);
		my $rows = $kind == 1
		  ? $c->execute("SELECT id FROM ${t}_a WHERE page = \$1", $page)
		  : $kind == 2
		  ? $c->execute("SELECT id FROM ${t}_a WHERE page BETWEEN \$1 AND \$1 + 1 ORDER BY name LIMIT 9", $page)
		  : $c->execute("SELECT a.id FROM ${t}_a a JOIN ${t}_c c ON c.id = a.c_id WHERE a.page = \$1 AND c.n = 0 LIMIT 14", $page);
		$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1 ORDER BY id", $_->[0]) foreach @$rows;
		sleep rand 0.006;
	}
	$c->close;
});

workload('second', 'partial', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 30)
	{
		my $rows = $c->execute("SELECT id FROM ${t}_a WHERE page BETWEEN \$1 AND \$1 + 1", between(1, 90));
		foreach (@$rows)
		{
			$c->execute("SELECT name FROM ${t}_b WHERE a_id = \$1", $_->[0]) if rand() < 0.4;
		}
		sleep rand 0.004;
	}
	$c->close;
});

workload('second', 'adminpages', { c => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for my $page (0 .. 14)
	{
		$c->query("SELECT count(*) FROM ${t}_a");
		my $rows = $c->query("SELECT id, c_id FROM ${t}_a ORDER BY id LIMIT 20 OFFSET " . 20 * $page);
		$c->query("SELECT id, name FROM ${t}_c WHERE id = $_->[1]") foreach @$rows;
	}
	$c->close;
});

workload('second', 'deleteloop', { b => 'row_by_row_write' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for my $page (1 .. 8)
	{
		my $rows = $c->execute("SELECT b.id FROM ${t}_b b JOIN ${t}_a a ON a.id = b.a_id WHERE a.page = \$1 LIMIT 30", $page);
		$c->execute("DELETE FROM ${t}_b WHERE id = \$1", $_->[0]) foreach @$rows;
		sleep rand 0.01;
	}
	$c->close;
});

workload('second', 'noise', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 12)
	{
		$c->query('BEGIN');
		$c->query("SET LOCAL statement_timeout = '10s'");
		my $rows = $c->execute("SELECT id FROM ${t}_a WHERE page = \$1", between(1, 90));
		foreach (@$rows)
		{
			$c->query('SAVEPOINT s');
			$c->execute("SELECT name FROM ${t}_b WHERE a_id = \$1", $_->[0]);
			$c->query('RELEASE s');
			$c->query('DEALLOCATE ALL') if rand() < 0.1;
			$c->execute("SELECT count(*) FROM ${t}_c") if rand() < 0.2;
		}
		$c->query('COMMIT');
	}
	$c->close;
}, may => { duplicate_query => 1 });

workload('second', 'smalllists', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(named => 1);
	for (1 .. 60)
	{
		my $rows = $c->execute("SELECT id FROM ${t}_a WHERE page = \$1 LIMIT \$2", between(1, 90), between(1, 10));
		$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $_->[0]) foreach @$rows;
		sleep rand 0.004;
	}
	$c->close;
});

workload('second', 'onceanight', { c => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	my $rows = $c->execute("SELECT c_id FROM ${t}_a WHERE page < 20");
	$c->execute("SELECT name FROM ${t}_c WHERE id = \$1", $_->[0]) foreach @$rows;
	$c->close;
});

workload('second', 'pgbenchmix', {}, sub {
	my ($connect, $t, $pgbench) = @_;
	$pgbench->('-n', '-c', 4, '-T', 3, '-R', 800, '-M', 'prepared',
		'-f', ["\\set i random(1, 1000)\nSELECT name FROM ${t}_c WHERE id = :i;\n", 85],
		'-f', ["\\set i random(1, 90)\nSELECT id, name FROM ${t}_a WHERE page = :i;\n", 15]);
});

workload('second', 'sessions', {}, sub {
	my ($connect, $t) = @_;
	clients(2, sub {
		my $c = $connect->();
		for (1 .. 300)
		{
			$c->execute("SELECT name FROM ${t}_c WHERE id = \$1", between(1, 1000));
			$c->execute("SELECT id, name FROM ${t}_a WHERE page = \$1", between(1, 90)) if rand() < 0.05;
			sleep -0.003 * log(1 - rand);
		}
		$c->close;
	});
}, may => { repeated_lookup => 1 });

workload('second', 'keysetxact', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 4)
	{
		$c->query('BEGIN');
		my $parts = $c->execute("SELECT page FROM ${t}_a WHERE id < 130 GROUP BY 1");
		my ($last, $rows) = (0);
		do
		{
			$rows = $c->execute("SELECT id, name FROM ${t}_b WHERE id > \$1 AND id < 900 ORDER BY id LIMIT 20", $last);
			$last = $rows->[-1][0] if @$rows;
		} while (@$rows == 20);
		$c->query('COMMIT');
	}
	$c->close;
});

workload('second', 'pipelined', { b => 'row_by_row_write' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 6)
	{
		$c->pipeline(map { [ "UPDATE ${t}_b SET n = \$1 WHERE id = \$2", $_, between(1, 10000) ] } 1 .. 30);
		sleep 0.08;
	}
	$c->close;
});

workload('second', 'heartbeat', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 120)
	{
		$c->execute("SELECT id, name FROM ${t}_a WHERE n = \$1 ORDER BY id LIMIT 6", 0);
		$c->execute("UPDATE ${t}_c SET n = n + 1 WHERE id = \$1", 1);
		sleep 0.015;
	}
	$c->close;
});

workload('second', 'dashboard', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 50)
	{
		$c->execute("SELECT id, name FROM ${t}_a WHERE page = \$1", between(1, 90));
		$c->execute("SELECT count(*) FROM ${t}_b WHERE a_id = \$1", $_) foreach 1 .. 4;
		sleep 0.002;
	}
	$c->close;
});

workload('second', 'chunks', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 3)
	{
		my $rows = $c->execute("SELECT id FROM ${t}_a WHERE page < 40");
		while (my @chunk = map { $_->[0] } splice @$rows, 0, 100)
		{
			$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = ANY (\$1::int[])", '{' . join(',', @chunk) . '}');
			$c->query("SELECT id, name FROM ${t}_c WHERE id IN (" . join(',', map { 1 + $_ % 1000 } @chunk) . ')') if @chunk == 100;
		}
	}
	$c->close;
});

workload('second', 'payload', { c => 'repeated_lookup' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 8)
	{
		$c->query('BEGIN');
		for (1 .. between(10, 30))
		{
			$c->query("SELECT name FROM ${t}_c WHERE id = " . between(1, 1000));
		}
		$c->execute("INSERT INTO ${t}_b VALUES (\$1, 1, 'order')", 20000 + $_);
		$c->query('COMMIT');
	}
	$c->close;
});

workload('second', 'functionperrow', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	$c->query("SET pg_steward.track = 'all'");
	$c->query("CREATE FUNCTION ${t}_f(i int) RETURNS bigint LANGUAGE plpgsql AS \$\$
		DECLARE x bigint; BEGIN SELECT count(*) INTO x FROM ${t}_b WHERE a_id = i; RETURN x; END\$\$");
	$c->execute("SELECT id, ${t}_f(id) FROM ${t}_a WHERE page = \$1", $_) foreach 1 .. 12;
	$c->close;
}, may => { repeated_lookup => 1 });

workload('second', 'bulkinsert', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for my $batch (1 .. 8)
	{
		$c->query("INSERT INTO ${t}_b VALUES " . join(', ', map { "(" . ($batch * 100000 + $_) . ", 1, 'x')" } 1 .. 100));
	}
	$c->query("COPY (SELECT id FROM ${t}_a WHERE page = 3) TO '/dev/null'") for 1 .. 6;
	$c->close;
});

workload('second', 'fetchcursor', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 4)
	{
		$c->query('BEGIN');
		$c->query("DECLARE cur CURSOR FOR SELECT id, name FROM ${t}_a");
		1 while @{ $c->query('FETCH 100 FROM cur') } == 100;
		$c->query('COMMIT');
	}
	$c->close;
});

workload('second', 'chat', {}, sub {
	my ($connect, $t) = @_;
	clients(3, sub {
		my ($i) = @_;
		my $c = $connect->(pooled => 1);
		for (1 .. 40)
		{
			$c->execute("SELECT id, name FROM ${t}_a WHERE page = \$1 LIMIT 7", between(1, 90)) if rand() < 0.3;
			$c->execute("INSERT INTO ${t}_b VALUES (\$1, 1, 'hello')", 20000 + $i * 1000 + $_);
			sleep rand 0.03;
		}
		$c->close;
	});
}, may => { row_by_row_write => 1 });

# --------------- held out in a second round; development since

workload('third', 'prisma', { b => 'n_plus_one', c => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(3, sub {
		my $c = $connect->(named => 1, application => 'node');
		for (1 .. 12)
		{
			my $rows = $c->execute("SELECT id, c_id FROM ${t}_a WHERE 1=1 ORDER BY id ASC LIMIT \$1 OFFSET \$2", 10, 10 * between(0, 40));
			$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1 LIMIT \$2 OFFSET \$3", $_->[0], 3, 0) foreach @$rows;
			$c->execute("SELECT COUNT(*) FROM (SELECT id FROM ${t}_c WHERE id = \$1) AS s", $_->[1]) foreach @$rows;
			sleep rand 0.02;
		}
		$c->close;
	});
});

workload('third', 'laravel', { b => 'n_plus_one', c => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'php');
	for (1 .. 15)
	{
		$c->query('BEGIN');
		$c->execute("select * from ${t}_c where id = \$1 limit 1", between(1, 1000));
		my $rows = $c->execute("select * from ${t}_a where page = \$1", between(1, 90));
		splice @$rows, between(6, 19);
		foreach (@$rows)
		{
			$c->execute("select name from ${t}_c where id = \$1", $_->[1]);
			my $posts = $c->execute("select * from ${t}_b where a_id = \$1 limit 3", $_->[0]);
		}
		$c->query('COMMIT');
		sleep rand 0.005;
	}
	$c->close;
});

workload('third', 'pooledtwo', { b => 'n_plus_one', a => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(12, sub {
		my $c = $connect->(pooled => 1);
		for (1 .. 20)
		{
			if (rand() < 0.5)
			{
				my $rows = $c->execute("SELECT id FROM ${t}_a WHERE page = \$1", between(1, 90));
				$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $_->[0]) foreach @$rows;
			}
			else
			{
				my $rows = $c->execute("SELECT id FROM ${t}_c WHERE id > \$1 ORDER BY id LIMIT 8", between(1, 900));
				$c->execute("SELECT name FROM ${t}_a WHERE id = \$1", $_->[0]) foreach @$rows;
			}
			sleep rand 0.02;
		}
		$c->close;
	});
});

workload('third', 'graphql', { b => 'n_plus_one', c => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 12)
	{
		my $as = $c->execute("SELECT id FROM ${t}_a WHERE page = \$1 LIMIT \$2", between(1, 90), between(5, 15));
		my %seen;
		foreach my $a (@$as)
		{
			my $bs = $c->execute("SELECT id FROM ${t}_b WHERE a_id = \$1", $a->[0]);
			foreach (@$bs)
			{
				my $key = 1 + ($_->[0] * 17) % 300;
				$c->execute("SELECT count(*) FROM ${t}_c WHERE id = \$1", $key) unless $seen{$key}++;
			}
		}
		sleep 0.06;
	}
	$c->close;
});

workload('third', 'report', { c => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 2)
	{
		$c->query('BEGIN ISOLATION LEVEL REPEATABLE READ');
		my $rows = $c->query("SELECT c_id, name FROM ${t}_a WHERE page BETWEEN $_ AND 15");
		$c->query("SELECT name FROM ${t}_c WHERE id = $_->[0]") foreach @$rows;
		$c->query('COMMIT');
		sleep 0.1;
	}
	$c->close;
});

workload('third', 'slowchildren', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 6)
	{
		my $rows = $c->execute("SELECT id FROM ${t}_a WHERE page = \$1", between(1, 90));
		foreach (@$rows)
		{
			$c->execute("SELECT name, pg_sleep(0.002) FROM ${t}_b WHERE a_id = \$1 LIMIT 1", $_->[0]);
			sleep 0.004;
		}
	}
	$c->close;
});

workload('third', 'arraycolumn', { b => 'repeated_lookup' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 10)
	{
		my $row = $c->execute("SELECT string_agg(id::text, ',') FROM ${t}_b WHERE a_id BETWEEN \$1 AND \$1 + 2", between(1, 1000));
		$c->execute("SELECT name FROM ${t}_b WHERE id = \$1", $_) foreach split /,/, $row->[0][0];
		sleep 0.07;
	}
	$c->close;
}, may => { n_plus_one => 1 });

workload('third', 'openinview', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 12)
	{
		$c->query('BEGIN');
		$c->execute("SELECT name FROM ${t}_c WHERE id = \$1", between(1, 1000));
		my $rows = $c->execute("SELECT id FROM ${t}_a WHERE page = \$1", between(1, 90));
		$c->query('COMMIT');
		splice @$rows, between(8, 20);
		$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $_->[0]) foreach @$rows;
		sleep rand 0.01;
	}
	$c->close;
});

workload('third', 'keepalive', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 12)
	{
		my $rows = $c->execute("SELECT id FROM ${t}_a WHERE page = \$1 ORDER BY name", between(1, 90));
		foreach (@$rows)
		{
			$c->query('SELECT 1');
			$c->query("SHOW search_path") if rand() < 0.3;
			$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $_->[0]);
		}
		sleep rand 0.01;
	}
	$c->close;
});

workload('third', 'poolednested', { b => 'n_plus_one', c => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(5, sub {
		my $c = $connect->(pooled => 1);
		for (1 .. 8)
		{
			$c->query('BEGIN');
			my $as = $c->execute("SELECT id FROM ${t}_a WHERE page = \$1 LIMIT 6", between(1, 90));
			foreach my $a (@$as)
			{
				my $bs = $c->execute("SELECT id FROM ${t}_b WHERE a_id BETWEEN \$1 AND \$1 + 1 LIMIT 7", $a->[0]);
				$c->execute("SELECT name FROM ${t}_c WHERE id = \$1", 1 + $_->[0] * 37 % 997) foreach @$bs;
			}
			$c->query('COMMIT');
			sleep rand 0.02;
		}
		$c->close;
	});
});

workload('third', 'textkeys', { c => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'psycopg');
	for (1 .. 12)
	{
		my $rows = $c->query("SELECT id, 'c' || c_id FROM ${t}_a WHERE page IN (" . between(1, 40) . ", " . between(41, 90) . ")");
		$c->query("SELECT id FROM ${t}_c WHERE name = '$_->[1]'") foreach splice @$rows, 0, 25;
	}
	$c->close;
});

workload('third', 'twiceperrow', { c => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(named => 1);
	for (1 .. 20)
	{
		my $rows = $c->execute("SELECT id, c_id FROM ${t}_a WHERE page = \$1 LIMIT \$2", between(1, 90), between(6, 18));
		foreach (@$rows)
		{
			$c->execute("SELECT name FROM ${t}_c WHERE id = \$1", $_->[1]);
			$c->execute("SELECT name FROM ${t}_c WHERE id = \$1", 1 + $_->[0] % 1000);
		}
		sleep rand 0.004;
	}
	$c->close;
});

workload('third', 'untilfound', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 25)
	{
		my $rows = $c->execute("SELECT id FROM ${t}_a WHERE page = \$1", between(1, 90));
		splice @$rows, between(4, 20);
		$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $_->[0]) foreach @$rows;
		sleep 0.06;
	}
	$c->close;
});

workload('third', 'returning', { b => 'row_by_row_write' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 6)
	{
		$c->query('BEGIN');
		my $rows = $c->execute("SELECT id FROM ${t}_b WHERE a_id BETWEEN \$1 AND \$1 + 3", between(1, 900));
		$c->execute("UPDATE ${t}_b SET n = n + 1 WHERE id = \$1 RETURNING n", $_->[0]) foreach @$rows;
		$c->query('COMMIT');
	}
	$c->close;
});

workload('third', 'upserts', { c => 'row_by_row_write' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(named => 1);
	for (1 .. 5)
	{
		$c->execute("INSERT INTO ${t}_c VALUES (\$1, \$2) ON CONFLICT (id) DO UPDATE SET name = excluded.name", between(1, 2000), 'x') for 1 .. 35;
		sleep 0.12;
	}
	$c->close;
});

workload('third', 'pooledtpcb', {}, sub {
	my ($connect, $t, $pgbench) = @_;
	my $c = $connect->(pooled => 1);
	$c->close;
	$pgbench->('-i', '-q');
	$pgbench->('pooled', '-n', '-c', 8, '-T', 2);
});

workload('third', 'ratelimited', {}, sub {
	my ($connect, $t, $pgbench) = @_;
	$pgbench->('-i', '-q');
	$pgbench->('-n', '-S', '-c', 3, '-T', 3, '-R', 300);
}, may => { repeated_lookup => 1 });

workload('third', 'cycle', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 40)
	{
		foreach my $page (1 .. 4)
		{
			$c->execute("SELECT name FROM ${t}_c WHERE id = \$1", $_ % 1000) for 1 .. 2;
			$c->execute("SELECT id, name, $page AS p$page FROM ${t}_a WHERE page = \$1 ORDER BY " . ('id', 'name', 'c_id', 'n')[ $page - 1 ], between(1, 90));
			$c->execute("SELECT count(*) FROM ${t}_b WHERE a_id = \$1", between(1, 1000)) if $page < 4;
		}
		sleep 0.001;
	}
	$c->close;
});

workload('third', 'pooledpermissions', {}, sub {
	my ($connect, $t) = @_;
	clients(12, sub {
		my $c = $connect->(pooled => 1);
		for (1 .. 50)
		{
			$c->execute("SELECT name FROM ${t}_c WHERE id = \$1", between(1, 1000));
			$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", between(1, 1000));
			$c->execute("SELECT name FROM ${t}_a WHERE id = \$1", between(1, 1000));
			sleep rand 0.01;
		}
		$c->close;
	});
});

workload('third', 'infinitescroll', {}, sub {
	my ($connect, $t) = @_;
	clients(4, sub {
		my $c = $connect->(pooled => 1);
		my $last = 0;
		for (1 .. 15)
		{
			$c->execute("SELECT name FROM ${t}_c WHERE id = \$1", between(1, 1000));
			my $rows = $c->execute("SELECT id, name FROM ${t}_a WHERE id > \$1 ORDER BY id LIMIT 20", $last);
			$last = $rows->[-1][0];
			sleep 0.05 + rand 0.05;
		}
		$c->close;
	});
});

workload('third', 'export', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 3)
	{
		my ($last, $rows) = (0);
		do
		{
			$rows = $c->execute("SELECT id, name FROM ${t}_a WHERE id > \$1 ORDER BY id LIMIT 200", $last);
			if (@$rows)
			{
				$last = $rows->[-1][0];
				$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = ANY (\$1::int[])", '{' . join(',', map { $_->[0] } @$rows) . '}');
			}
		} while (@$rows == 200);
	}
	$c->close;
});

workload('third', 'leaderboard', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 150)
	{
		$c->execute("SELECT id, name FROM ${t}_a ORDER BY n DESC, id LIMIT 10");
		$c->execute("SELECT name FROM ${t}_c WHERE id = \$1", 1);
		sleep 0.01;
	}
	$c->close;
});

workload('third', 'unnest', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for my $batch (1 .. 8)
	{
		$c->execute("INSERT INTO ${t}_b SELECT u, 1, 'x' FROM unnest(\$1::int[]) u", '{' . join(',', map { $batch * 100000 + $_ } 1 .. 100) . '}');
	}
	$c->close;
});

workload('third', 'autocomplete', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 10)
	{
		my $typed = '';
		for (1 .. between(5, 9))
		{
			$typed .= between(0, 9);
			$c->execute("SELECT id, name FROM ${t}_a WHERE name LIKE \$1 LIMIT 10", "a%" . substr($typed, 0, 2) . '%');
			sleep 0.02 + rand 0.02;
		}
		sleep 0.1;
	}
	$c->close;
});

workload('third', 'doblock', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	$c->query("SET pg_steward.track = 'all'");
	for (1 .. 6)
	{
		$c->query("DO \$\$ DECLARE i int; n bigint; BEGIN
			FOREACH i IN ARRAY (SELECT array_agg(id) FROM ${t}_a WHERE page = $_) LOOP
				SELECT count(*) INTO n FROM ${t}_b WHERE a_id = i;
				UPDATE ${t}_a SET n = 1 WHERE id = i;
			END LOOP; END \$\$");
	}
	$c->close;
}, may => { repeated_lookup => 1, row_by_row_write => 1 });

workload('third', 'introspection', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 4)
	{
		my $tables = $c->query("SELECT oid, relname, '${t}_a' FROM pg_class WHERE relkind = 'r' ORDER BY oid LIMIT 30");
		$c->query("SELECT attname, '${t}_a' FROM pg_attribute WHERE attrelid = $_->[0]") foreach @$tables;
	}
	$c->close;
});

# ------------------------------------------------------------------- held out

workload('heldout', 'feed', { c => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(3, sub {
		my $c = $connect->(named => 1);
		for (1 .. 20)
		{
			$c->execute("SELECT n FROM ${t}_b WHERE id = \$1", between(1, 1000));
			my $rows = $c->execute("SELECT a.id, a.c_id, b.name FROM ${t}_a a JOIN ${t}_b b ON b.a_id = a.id WHERE a.page = \$1 ORDER BY b.id LIMIT 16", between(1, 90));
			my %cache;
			$cache{ $_->[1] } //= $c->execute("SELECT name FROM ${t}_c WHERE id = \$1", $_->[1]) foreach @$rows;
			sleep rand 0.008;
		}
		$c->close;
	});
});

workload('heldout', 'mailer', { c => 'n_plus_one', a => 'row_by_row_write' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'worker');
	for (1 .. 3)
	{
		my $rows = $c->query("SELECT id, c_id FROM ${t}_a WHERE n = 0 ORDER BY id LIMIT 40");
		foreach (@$rows)
		{
			$c->query("SELECT name FROM ${t}_c WHERE id = $_->[1]");
			$c->query("UPDATE ${t}_a SET n = 1 WHERE id = $_->[0]");
		}
		sleep 0.2;
	}
	$c->close;
});

workload('heldout', 'pooledlong', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(4, sub {
		my $c = $connect->(pooled => 1);
		for (1 .. 15)
		{
			my $rows = $c->execute("SELECT id FROM ${t}_a WHERE page BETWEEN \$1 AND \$1 + 1", between(1, 90));
			$c->query("SELECT name FROM ${t}_b WHERE a_id = $_->[0] ORDER BY id LIMIT 1") foreach @$rows;
			sleep rand 0.05;
		}
		$c->close;
	});
});

workload('heldout', 'tree', { a => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 15)
	{
		my $rows = $c->execute("SELECT DISTINCT a_id FROM ${t}_b WHERE id BETWEEN \$1 AND \$1 + \$2", between(1, 900), between(6, 15));
		$c->execute("SELECT c_id, name FROM ${t}_a WHERE id = \$1", $_->[0]) foreach @$rows;
		$c->execute("SELECT count(*) FROM ${t}_c");
		sleep rand 0.01;
	}
	$c->close;
});

workload('heldout', 'serializers', { b => 'n_plus_one', c => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(named => 1);
	for (1 .. 10)
	{
		$c->query('BEGIN');
		my $rows = $c->execute("SELECT id, c_id FROM ${t}_a WHERE page = \$1 ORDER BY id DESC", between(1, 90));
		$c->execute("SELECT EXISTS (SELECT 1 FROM ${t}_b WHERE a_id = \$1)", $_->[0]) foreach @$rows;
		foreach (@$rows)
		{
			$c->query('SAVEPOINT x');
			$c->execute("SELECT id, name FROM ${t}_c WHERE id BETWEEN \$1 AND \$1 + 2", $_->[1]);
			$c->query('RELEASE SAVEPOINT x');
		}
		$c->query('COMMIT');
	}
	$c->close;
});

workload('heldout', 'csvimport', { a => 'repeated_lookup', b => 'row_by_row_write' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for my $file (1 .. 4)
	{
		$c->query('BEGIN');
		for (1 .. 30)
		{
			$c->query("SELECT id FROM ${t}_a WHERE id = " . between(1, 2000));
			$c->query("INSERT INTO ${t}_b VALUES (" . ($file * 100000 + $_) . ", 1, 'row')");
		}
		$c->query('COMMIT');
		sleep 0.1;
	}
	$c->close;
});

workload('heldout', 'shoppingcart', {}, sub {
	my ($connect, $t) = @_;
	clients(3, sub {
		my ($i) = @_;
		my $c = $connect->();
		for (1 .. 40)
		{
			$c->query('BEGIN');
			$c->execute("SELECT name FROM ${t}_c WHERE id = \$1", between(1, 1000));
			$c->execute("SELECT id, name FROM ${t}_a WHERE page = \$1", between(1, 90)) if $_ % 3 == 0;
			$c->execute("UPDATE ${t}_c SET n = n + 1 WHERE id = \$1", $i);
			$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", between(1, 1000));
			$c->query('COMMIT');
			sleep rand 0.01;
		}
		$c->close;
	});
});

workload('heldout', 'searchpages', {}, sub {
	my ($connect, $t) = @_;
	clients(6, sub {
		my $c = $connect->(pooled => 1);
		for (1 .. 40)
		{
			my $rows = $c->execute("SELECT id, name FROM ${t}_a WHERE page = \$1 ORDER BY name LIMIT 10", between(1, 90));
			for (1 .. between(0, 2))
			{
				$c->execute("SELECT name FROM ${t}_b WHERE id = \$1", between(1, 1000));
			}
			sleep rand 0.01;
		}
		$c->close;
	});
});

workload('heldout', 'timeseries', {}, sub {
	my ($connect, $t, $pgbench) = @_;
	$pgbench->('-n', '-c', 3, '-T', 2, '-M', 'extended',
		'-f', ["\\set i random(1, 900)\nINSERT INTO ${t}_b VALUES (100000 + (random() * 1e9)::int, :i, 'p') ON CONFLICT DO NOTHING;\n", 8],
		'-f', ["\\set i random(1, 90)\nSELECT id, name FROM ${t}_a WHERE page = :i;\nSELECT count(*) FROM ${t}_c WHERE id < :i;\n", 2]);
}, may => { row_by_row_write => 1 });

workload('heldout', 'batchedwalk', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	for (1 .. 4)
	{
		my $roots = $c->execute("SELECT id FROM ${t}_a WHERE page = \$1", between(1, 60));
		my @level = map { $_->[0] } @$roots;
		for (1 .. 8)
		{
			my $next = $c->execute("SELECT id % 2000 + 1 FROM ${t}_b WHERE a_id = ANY (\$1::int[]) LIMIT 50", '{' . join(',', @level) . '}');
			@level = map { $_->[0] } @$next;
		}
		sleep 0.02;
	}
	$c->close;
});

workload('heldout', 'refreshers', {}, sub {
	my ($connect, $t) = @_;
	clients(2, sub {
		my $c = $connect->();
		for (1 .. 60)
		{
			$c->execute("SELECT id, name FROM ${t}_c WHERE n = 0 ORDER BY id LIMIT 8");
			$c->execute("SELECT count(*) FROM ${t}_b") for 1 .. 2;
			sleep 0.025;
		}
		$c->close;
	});
});

workload('heldout', 'plpgsqlwrites', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->();
	$c->query("SET pg_steward.track = 'all'");
	$c->query("CREATE FUNCTION ${t}_f(p int) RETURNS void LANGUAGE plpgsql AS \$\$
		DECLARE r record; BEGIN
			FOR r IN SELECT id, c_id FROM ${t}_a WHERE page = p LOOP
				PERFORM name FROM ${t}_c WHERE id = r.c_id;
				INSERT INTO ${t}_b VALUES (200000 + r.id, r.id, 'f');
			END LOOP; END\$\$");
	$c->query("SELECT ${t}_f($_)") foreach 1 .. 10;
	$c->close;
}, may => { repeated_lookup => 1, row_by_row_write => 1 });

1;
