# A fifth batch of workloads for the detection of repeated statements: shapes
# that the others do not have, labelled before they were run.
# StewardWorkloads.pm explains the format.
package StewardWorkloadsFifth;
use strict;
use warnings;

use StewardWorkloads;
use Time::HiRes qw(sleep time);

sub workload { return StewardWorkloads::workload('fifth', @_); }
sub between { return StewardWorkloads::between(@_); }
sub clients { return StewardWorkloads::clients(@_); }

# a pause between the given milliseconds
sub pause { my ($from, $to) = @_; sleep(($from + rand($to - $from)) / 1000); }

# An inner list of none to four rows.
workload('nestvary', { a => 'n_plus_one', b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(2, sub {
		my $c = $connect->(application => 'orders');
		for (1 .. 15)
		{
			my $rows = $c->execute("SELECT id FROM ${t}_c WHERE id >= \$1 ORDER BY id LIMIT 10", between(1, 80));
			foreach (@$rows)
			{
				my $inner = $c->execute("SELECT id FROM ${t}_a WHERE page = \$1 LIMIT \$2", $_->[0], between(0, 4));
				$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $_->[0]) foreach @$inner;
			}
			pause(2, 10);
		}
		$c->close;
	});
});

# Three levels, three and two rows in the inner lists.
workload('nestthree', { a => 'n_plus_one', b => 'n_plus_one', d => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'menu', named => 1);
	$c->query("DROP TABLE IF EXISTS ${t}_d");
	$c->query("CREATE TABLE ${t}_d AS SELECT * FROM ${t}_c; ALTER TABLE ${t}_d ADD PRIMARY KEY (id)");
	for (1 .. 10)
	{
		my $outer = $c->execute("SELECT id FROM ${t}_c WHERE id >= \$1 ORDER BY id LIMIT 8", between(1, 80));
		foreach (@$outer)
		{
			my $middle = $c->execute("SELECT id FROM ${t}_a WHERE page = \$1 LIMIT 3", $_->[0]);
			foreach (@$middle)
			{
				my $inner = $c->execute("SELECT id FROM ${t}_b WHERE a_id = \$1 LIMIT 2", $_->[0]);
				$c->execute("SELECT name FROM ${t}_d WHERE id = \$1", 1 + $_->[0] % 1000) foreach @$inner;
			}
		}
		pause(2, 10);
	}
	$c->close;
});

# Two levels through the pooler, in transactions.
workload('poolnest', { a => 'n_plus_one', b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(3, sub {
		my $c = $connect->(application => 'invoices', pooled => 1);
		for (1 .. 12)
		{
			$c->query('BEGIN');
			my $rows = $c->execute("SELECT id FROM ${t}_c WHERE id >= \$1 ORDER BY id LIMIT \$2", between(1, 80), between(6, 14));
			foreach (@$rows)
			{
				my $inner = $c->execute("SELECT id FROM ${t}_a WHERE page = \$1 LIMIT \$2", $_->[0], between(1, 3));
				$c->execute("SELECT name FROM ${t}_b WHERE a_id = \$1 LIMIT 1", $_->[0]) foreach @$inner;
			}
			$c->query('COMMIT');
			pause(2, 10);
		}
		$c->close;
	});
});

# Two rows of five need more, in lists of any length.
workload('thinned', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(2, sub {
		my $c = $connect->(application => 'crm');
		for (1 .. 18)
		{
			my $rows = $c->execute("SELECT id FROM ${t}_a WHERE page >= \$1 ORDER BY id LIMIT \$2", between(1, 80), between(15, 40));
			$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $_->[0]) foreach grep { rand() < 0.4 } @$rows;
			pause(2, 10);
		}
		$c->close;
	});
});

# An identity map, in lists of any length.
workload('mapvary', { c => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(2, sub {
		my $c = $connect->(application => 'doctrine');
		for (1 .. 18)
		{
			my $rows = $c->query("SELECT id, c_id FROM ${t}_a WHERE page >= " . between(1, 80) . ' ORDER BY id LIMIT ' . between(8, 30));
			my %seen;
			foreach (@$rows)
			{
				my $key = between(1, 25);
				$c->query("SELECT id, name FROM ${t}_c WHERE id = $key") unless $seen{$key}++;
			}
			pause(2, 10);
		}
		$c->close;
	});
});

# Workers claim some jobs at once, and load what belongs to each.
workload('claimed', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'worker');
	for (1 .. 12)
	{
		my $rows = $c->execute("UPDATE ${t}_a SET n = 1 WHERE id IN (SELECT id FROM ${t}_a WHERE n = 0"
			  . " ORDER BY id LIMIT \$1 FOR UPDATE SKIP LOCKED) RETURNING id, name", 15);
		foreach (@$rows)
		{
			$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $_->[0]);
			pause(0, 1);
		}
		pause(10, 30);
	}
	$c->close;
}, may => { repeated_lookup => 1 });

# The list comes out of a function.
workload('fromfunction', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'postgrest');
	$c->query("CREATE OR REPLACE FUNCTION ${t}_f(p int) RETURNS SETOF int LANGUAGE plpgsql AS"
		  . " \$\$ BEGIN RETURN QUERY SELECT id FROM ${t}_a WHERE page = p; END \$\$");
	for (1 .. 12)
	{
		my $rows = $c->execute("SELECT id FROM ${t}_f(\$1) AS id", between(1, 90));
		$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $_->[0]) foreach @$rows;
		pause(2, 10);
	}
	$c->close;
});

# The same list on two pages, one of which needs nothing more.
workload('twopages', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(2, sub {
		my $c = $connect->(application => 'site');
		for (1 .. 30)
		{
			my $rows = $c->execute("SELECT id FROM ${t}_a WHERE page = \$1", between(1, 90));
			if (rand() < 0.5)
			{
				$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $_->[0]) foreach @$rows;
			}
			pause(2, 10);
		}
		$c->close;
	});
});

# Buyer and seller of each of ten sales.
workload('buyerseller', { c => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'sales');
	for (1 .. 15)
	{
		my $rows = $c->execute("SELECT id, c_id FROM ${t}_a WHERE page = \$1 LIMIT 10", between(1, 90));
		foreach (@$rows)
		{
			$c->execute("SELECT name FROM ${t}_c WHERE id = \$1", $_->[1]);
			$c->execute("SELECT name FROM ${t}_c WHERE id = \$1", 1 + $_->[0] * 3 % 1000);
		}
		pause(2, 10);
	}
	$c->close;
});

# A child that fails now and then, and is undone.
workload('undone', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'import');
	for (1 .. 12)
	{
		$c->query('BEGIN');
		my $rows = $c->execute("SELECT id FROM ${t}_a WHERE page = \$1", between(1, 90));
		foreach (@$rows)
		{
			$c->query('SAVEPOINT one');
			$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $_->[0]);
			if (rand() < 0.15)
			{
				eval { $c->query("INSERT INTO ${t}_c (id) VALUES (1)") };
				$c->query('ROLLBACK TO one');
			}
			$c->query('RELEASE one');
		}
		$c->query('COMMIT');
		pause(2, 10);
	}
	$c->close;
});

# ------------------------------------------------------------------ decoys

# One client refreshes a list at fixed times, others look up what they need,
# on the same connections.
workload('ticker', {}, sub {
	my ($connect, $t) = @_;
	clients(4, sub {
		my ($client) = @_;
		my $c = $connect->(application => 'ticker', pooled => 1);
		my $end = time + 2.5;
		while (time < $end)
		{
			if ($client == 1)
			{
				$c->execute("SELECT id, name FROM ${t}_a WHERE page = \$1", between(1, 90));
				sleep 0.04;
			}
			else
			{
				$c->execute("SELECT name FROM ${t}_c WHERE id = \$1", between(1, 1000));
				sleep(-0.004 * log(1 - rand));
			}
		}
		$c->close;
	});
}, may => { repeated_lookup => 1 });

# A few lists among many look-ups, one after the other.
workload('fewlists', {}, sub {
	my ($connect, $t) = @_;
	clients(2, sub {
		my $c = $connect->(application => 'fewlists');
		for (1 .. 50)
		{
			$c->execute("SELECT name FROM ${t}_c WHERE id = \$1", between(1, 1000));
			$c->execute("SELECT id, name FROM ${t}_a WHERE page = \$1", between(1, 90)) if rand() < 0.07;
			pause(0, 3);
		}
		$c->close;
	});
}, may => { repeated_lookup => 1 });

# Twelve settings after a short list of any length.
workload('settings', { c => 'repeated_lookup' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'settings');
	for (1 .. 20)
	{
		$c->execute("SELECT id, name FROM ${t}_a WHERE page = \$1 LIMIT \$2", between(1, 90), between(5, 11));
		$c->execute("SELECT n FROM ${t}_c WHERE id = \$1", $_) for 1 .. 12;
		pause(2, 10);
	}
	$c->close;
});

# Seven entries of a menu after a list that always has twenty rows.
workload('sevenmenu', { c => 'repeated_lookup' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'menu');
	for (1 .. 15)
	{
		$c->execute("SELECT id, name FROM ${t}_a WHERE page = \$1", between(1, 90));
		$c->execute("SELECT name FROM ${t}_c WHERE id = \$1", $_) for 1 .. 7;
		pause(2, 10);
	}
	$c->close;
}, known => 'looks like a client that knows most of the rows already');

# A checkout: many statements, each once or twice, after the lines of a cart.
workload('checkout', {}, sub {
	my ($connect, $t) = @_;
	clients(3, sub {
		my $c = $connect->(application => 'checkout');
		for (1 .. 30)
		{
			my $user = between(1, 1000);
			$c->query('BEGIN');
			$c->execute("SELECT name FROM ${t}_c WHERE id = \$1", $user);
			$c->execute("SELECT b.id, a.name FROM ${t}_b b JOIN ${t}_a a ON a.id = b.a_id WHERE a.page = \$1", between(1, 90));
			$c->execute("SELECT n FROM ${t}_c WHERE id = \$1 FOR UPDATE", $user);
			$c->execute("UPDATE ${t}_c SET n = n + 1 WHERE id = \$1", $user);
			$c->execute("SELECT count(*) FROM ${t}_a WHERE c_id = \$1", $user) for 1 .. between(1, 2);
			$c->query('COMMIT');
		}
		$c->close;
	});
});

# Maintenance of each table of a list, by statements that have no plan.
workload('maintenance', {}, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'cron');
	for (1 .. 4)
	{
		my $tables = $c->query("SELECT g % 3, name FROM ${t}_a, generate_series(1, 8) g WHERE id = 1");
		$c->query("ANALYZE ${t}_" . (qw(a b c))[ $_->[0] ]) foreach @$tables;
		pause(2, 10);
	}
	$c->close;
});

1;
