# The decoys of the fourth batch, and what is to be reported as something else
# than n_plus_one.  Written and labelled as the rest of it:
# StewardWorkloadsFourth.pm.
package StewardWorkloadsFourthDecoys;
use strict;
use warnings;

use StewardWorkloads;
use Time::HiRes qw(sleep);

sub workload { return StewardWorkloads::workload('fourth', @_); }
sub between { return StewardWorkloads::between(@_); }
sub clients { return StewardWorkloads::clients(@_); }

# a pause between the given milliseconds
sub pause { my ($from, $to) = @_; sleep(($from + rand($to - $from)) / 1000); }

# ------------------------------------------------- other kinds that are true

# The search engine has the list, the database sees the keys only.
workload('searchhits', { a => 'repeated_lookup' }, sub {
	my ($connect, $t) = @_;
	clients(2, sub {
		my $c = $connect->(application => 'elastic');
		for (1 .. 15)
		{
			$c->execute("SELECT id, name FROM ${t}_a WHERE id = \$1", between(1, 2000)) for 1 .. between(10, 20);
			pause(60, 90);
		}
		$c->close;
	});
});

# Six feature flags for each page, after a list that has nothing to do with
# them.
workload('flags', { c => 'repeated_lookup' }, sub {
	my ($connect, $t) = @_;
	clients(2, sub {
		my $c = $connect->(application => 'flags');
		for (1 .. 20)
		{
			$c->execute("SELECT id, name FROM ${t}_a WHERE page = \$1 LIMIT \$2", between(1, 90), between(9, 20));
			$c->execute("SELECT n FROM ${t}_c WHERE name = \$1", "c$_") for 1 .. 6;
			pause(1, 10);
		}
		$c->close;
	});
});

# current_user() asks each time, eight times a page.
workload('sameuser', { c => 'duplicate_query' }, sub {
	my ($connect, $t) = @_;
	clients(2, sub {
		my $c = $connect->(application => 'templates');
		for (1 .. 15)
		{
			my $user = between(1, 1000);
			$c->execute("SELECT count(*) FROM ${t}_a WHERE page = \$1", between(1, 90));
			$c->execute("SELECT id, name FROM ${t}_c WHERE id = \$1", $user) for 1 .. 8;
			pause(60, 80);
		}
		$c->close;
	});
});

# A file is imported, a row at a time.
workload('importcsv', { b => 'row_by_row_write' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'import');
	my $id = 100000;
	for (1 .. 5)
	{
		$c->query("SELECT id, name FROM ${t}_c WHERE id <= 30");
		$c->query("INSERT INTO ${t}_b (id, a_id, name) VALUES (" . $id++ . ', ' . between(1, 2000) . ", 'x')")
		  for 1 .. 40;
		pause(60, 80);
	}
	$c->close;
});

# executemany() of a driver that loops: each row of the list is updated.
workload('loopupdate', { a => 'row_by_row_write' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'psycopg2');
	for (1 .. 8)
	{
		$c->query('BEGIN');
		my $rows = $c->query("SELECT id, n FROM ${t}_a WHERE page = " . between(1, 90));
		$c->query("UPDATE ${t}_a SET n = " . ($_->[1] + 1) . " WHERE id = $_->[0]") foreach @$rows;
		$c->query('COMMIT');
		pause(2, 10);
	}
	$c->close;
});

# ------------------------------------------------------------------ decoys

# Pages of a list, with the count of all rows.
workload('pager', {}, sub {
	my ($connect, $t) = @_;
	clients(2, sub {
		my $c = $connect->(application => 'pager');
		for (1 .. 40)
		{
			$c->query("SELECT count(*) FROM ${t}_a");
			$c->query("SELECT id, name FROM ${t}_a ORDER BY id LIMIT 20 OFFSET " . 20 * between(0, 90));
			pause(2, 15);
		}
		$c->close;
	});
}, may => { repeated_lookup => 1, duplicate_query => 1 });

# A batch reads a table by key, a thousand rows at a time, and sends what it
# reads elsewhere.
workload('syncbykey', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'sync');
	for (1 .. 4)
	{
		my $last = 0;
		while (1)
		{
			my $rows = $c->execute("SELECT id, name FROM ${t}_b WHERE id > \$1 ORDER BY id LIMIT 400", $last);
			last unless @$rows;
			$last = $rows->[-1][0];
		}
		pause(5, 10);
	}
	$c->close;
}, may => { repeated_lookup => 1 });

# Waits for work that rarely comes.
workload('poll', {}, sub {
	my ($connect, $t) = @_;
	clients(2, sub {
		my $c = $connect->(application => 'poller');
		for (1 .. 80)
		{
			my $rows = $c->query("SELECT id, name FROM ${t}_a WHERE n = 1 LIMIT 10");
			$c->query("UPDATE ${t}_a SET n = 2 WHERE id = $_->[0]") foreach @$rows;
			$c->query("UPDATE ${t}_a SET n = 1 WHERE id = " . between(1, 2000)) if rand() < 0.1;
			pause(3, 15);
		}
		$c->close;
	});
}, may => { duplicate_query => 1 });

# A driver that sends all rows of executemany() before it waits.
workload('insertpipeline', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'psycopg3');
	my $id = 200000;
	for (1 .. 10)
	{
		my $rows = $c->execute("SELECT id, name FROM ${t}_a WHERE page = \$1", between(1, 90));
		$c->pipeline(map { [ "INSERT INTO ${t}_b (id, a_id, name) VALUES (\$1, \$2, \$3)", $id++, @$_ ] } @$rows);
		pause(2, 10);
	}
	$c->close;
}, may => { row_by_row_write => 1 });

# Parts of a table are copied out.
workload('copyout', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'dump');
	for (1 .. 4)
	{
		$c->query("SELECT min(id), max(id) FROM ${t}_b");
		$c->query("COPY (SELECT * FROM ${t}_b WHERE id BETWEEN $_ * 500 + 1 AND $_ * 500 + 500) TO STDOUT")
		  for 0 .. 19;
		pause(2, 10);
	}
	$c->close;
});

# A cache is filled in pieces, by array.
workload('warmer', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'warmer');
	for (1 .. 8)
	{
		my @ids = map { $_->[0] } @{ $c->execute("SELECT id FROM ${t}_a WHERE page < \$1 ORDER BY id", between(10, 20)) };
		while (my @some = splice @ids, 0, 25)
		{
			$c->execute("SELECT id, a_id, name FROM ${t}_b WHERE a_id = ANY (\$1)", '{' . join(',', @some) . '}');
		}
		pause(5, 20);
	}
	$c->close;
});

# The same with lists in the text.
workload('inlists', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'chunks');
	for (1 .. 8)
	{
		my @ids = map { $_->[0] } @{ $c->query("SELECT id FROM ${t}_a WHERE page < 15") };
		while (my @some = splice @ids, 0, 30)
		{
			$c->query("SELECT id, a_id FROM ${t}_b WHERE a_id IN (" . join(', ', @some) . ')');
		}
		pause(5, 20);
	}
	$c->close;
});

# What an eager-loading ORM sends, page after page.
workload('eager', {}, sub {
	my ($connect, $t) = @_;
	clients(3, sub {
		my $c = $connect->(application => 'eager');
		for (1 .. 60)
		{
			my @rows = @{ $c->query("SELECT id, c_id FROM ${t}_a WHERE page = " . between(1, 90)) };
			next unless @rows;
			$c->query("SELECT * FROM ${t}_b WHERE a_id IN (" . join(', ', map { $_->[0] } @rows) . ')');
			$c->query("SELECT * FROM ${t}_c WHERE id IN (" . join(', ', map { $_->[1] } @rows) . ')');
		}
		$c->close;
	});
});

# A synthetic load of key look-ups and writes.
workload('tpcb', {}, sub {
	my ($connect, $t, $pgbench) = @_;
	$pgbench->('-n', '-c', 4, '-T', 2, '-f', [ qq{
\\set a random(1, 2000)
\\set c random(1, 1000)
BEGIN;
SELECT n FROM ${t}_a WHERE id = :a;
UPDATE ${t}_a SET n = n + 1 WHERE id = :a;
UPDATE ${t}_c SET n = n + 1 WHERE id = :c;
SELECT id, name FROM ${t}_b WHERE a_id = :a;
END;
}, 1 ], '-f', [ qq{
\\set p random(1, 90)
SELECT id, name FROM ${t}_a WHERE page = :p;
}, 1 ]);
}, may => { repeated_lookup => 1, row_by_row_write => 1 });

# Workers of a queue, a job at a time.
workload('skiplocked', {}, sub {
	my ($connect, $t) = @_;
	clients(3, sub {
		my $c = $connect->(application => 'jobs');
		for (1 .. 60)
		{
			$c->query('BEGIN');
			my $rows = $c->query("SELECT id, name FROM ${t}_a WHERE n = 0 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED");
			$c->query("UPDATE ${t}_a SET n = 1 WHERE id = $rows->[0][0]");
			$c->query('COMMIT');
			pause(0, 3);
		}
		$c->close;
	});
}, may => { row_by_row_write => 1 });

# Optimistic locking: a few tries until nobody else was faster.
workload('optimistic', {}, sub {
	my ($connect, $t) = @_;
	clients(3, sub {
		my $c = $connect->(application => 'retry');
		for (1 .. 25)
		{
			my $id = between(1, 3);
			for (1 .. 10)
			{
				my $n = $c->execute("SELECT n FROM ${t}_c WHERE id = \$1", $id)->[0][0];
				pause(0, 2);
				last if @{ $c->execute("UPDATE ${t}_c SET n = \$1 + 1 WHERE id = \$2 AND n = \$1 RETURNING n", $n, $id) };
			}
		}
		$c->close;
	});
}, may => { duplicate_query => 1, repeated_lookup => 1, row_by_row_write => 1 });

# A load balancer asks whether the database lives.
workload('health', {}, sub {
	my ($connect, $t) = @_;
	clients(2, sub {
		my $c = $connect->(application => 'haproxy', pooled => 1);
		for (1 .. 60)
		{
			$c->query("SELECT 1 FROM ${t}_a LIMIT 1");
			$c->query("SELECT id, name FROM ${t}_a WHERE page = " . between(1, 90)) if rand() < 0.1;
			pause(5, 20);
		}
		$c->close;
	});
}, may => { duplicate_query => 1 });

# Session, user, and what the user has: one of each for a request, requests
# one after the other.
workload('visits', {}, sub {
	my ($connect, $t) = @_;
	clients(3, sub {
		my $c = $connect->(application => 'sessions');
		for (1 .. 80)
		{
			my $user = between(1, 1000);
			$c->execute("SELECT name FROM ${t}_c WHERE id = \$1", $user);
			$c->execute("SELECT id, name FROM ${t}_a WHERE id = \$1", $user);
			$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $user);
		}
		$c->close;
	});
});

# Lists and details of independent visitors through the pooler.
workload('visitors', {}, sub {
	my ($connect, $t) = @_;
	clients(4, sub {
		my $c = $connect->(application => 'visitors', pooled => 1);
		for (1 .. 120)
		{
			if (rand() < 0.08)
			{
				$c->execute("SELECT id, name FROM ${t}_a WHERE page = \$1", between(1, 90));
			}
			else
			{
				my $id = between(1, 2000);
				$c->execute("SELECT id, name, c_id FROM ${t}_a WHERE id = \$1", $id);
				$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $id);
			}
			pause(0, 6);
		}
		$c->close;
	});
}, may => { repeated_lookup => 1 });

# Cursors, read in pieces by protocol and by SQL.
workload('pieces', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'cursor');
	for (1 .. 5)
	{
		$c->query('BEGIN');
		$c->fetch(50, sub { pause(0, 1) }, "SELECT id, name FROM ${t}_b WHERE a_id < \$1", 200);
		$c->query("DECLARE pieces CURSOR FOR SELECT id, name FROM ${t}_a WHERE page < 20");
		while (@{ $c->query('FETCH 20 FROM pieces') }) { pause(0, 1) }
		$c->query('COMMIT');
	}
	$c->close;
});

# A function that loops, called once a page after the page's list.
workload('functionloop', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'plpgsql');
	$c->query("CREATE OR REPLACE FUNCTION ${t}_f(p int) RETURNS int LANGUAGE plpgsql AS \$\$
		DECLARE r record; total int := 0;
		BEGIN
			FOR r IN SELECT id FROM ${t}_a WHERE page = p LOOP
				total := total + (SELECT count(*) FROM ${t}_b WHERE a_id = r.id);
			END LOOP;
			RETURN total;
		END \$\$");
	for (1 .. 20)
	{
		my $page = between(1, 90);
		$c->query("SELECT id FROM ${t}_a WHERE page = $page");
		$c->query("SELECT ${t}_f($page)");
		pause(1, 5);
	}
	$c->close;
});

# A report asks for each of twelve months, after its settings.
workload('months', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'report');
	for (1 .. 6)
	{
		$c->query("SELECT name, n FROM ${t}_c WHERE id <= " . between(4, 30));
		$c->query("SELECT count(*), sum(n) FROM ${t}_b WHERE id BETWEEN $_ * 800 AND $_ * 800 + 799") for 0 .. 11;
		pause(60, 80);
	}
	$c->close;
}, may => { repeated_lookup => 1 });

# Work from a message broker: independent items, a transaction each.
workload('broker', {}, sub {
	my ($connect, $t) = @_;
	clients(3, sub {
		my $c = $connect->(application => 'kafka');
		$c->query("SELECT id, name FROM ${t}_c WHERE id <= 40");
		for (1 .. 40)
		{
			my $id = between(1, 2000);
			$c->query('BEGIN');
			$c->execute("SELECT id, name, n FROM ${t}_a WHERE id = \$1 FOR UPDATE", $id);
			$c->execute("INSERT INTO ${t}_b (id, a_id) SELECT max(id) + 1, \$1 FROM ${t}_b ON CONFLICT DO NOTHING", $id);
			$c->execute("UPDATE ${t}_a SET n = n + 1 WHERE id = \$1", $id);
			$c->query('COMMIT');
			pause(1, 5);
		}
		$c->close;
	});
}, may => { repeated_lookup => 1, row_by_row_write => 1 },
	known => 'as many items as the list has rows, by accident');

# Suggestions while somebody types.
workload('typing', {}, sub {
	my ($connect, $t) = @_;
	clients(3, sub {
		my $c = $connect->(application => 'suggest');
		for (1 .. 8)
		{
			my $word = 'a' . between(100, 999);
			$c->execute("SELECT id, name FROM ${t}_a WHERE name LIKE \$1 ORDER BY name LIMIT 8", substr($word, 0, $_) . '%')
			  for 1 .. 4;
			pause(5, 30);
		}
		$c->close;
	});
}, may => { repeated_lookup => 1 });

1;
