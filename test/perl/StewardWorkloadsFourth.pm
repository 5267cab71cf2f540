# A fourth batch of workloads for the detection of repeated statements, written
# without knowledge of the rule and labelled before they were run: what ORMs,
# frameworks, drivers and pools of several languages send, and what looks
# similar and is not to be reported.  StewardWorkloads.pm explains the format.
package StewardWorkloadsFourth;
use strict;
use warnings;

use StewardWorkloads;
use Time::HiRes qw(sleep);

sub workload { return StewardWorkloads::workload('fourth', @_); }
sub between { return StewardWorkloads::between(@_); }
sub clients { return StewardWorkloads::clients(@_); }

# a pause between the given milliseconds
sub pause { my ($from, $to) = @_; sleep(($from + rand($to - $from)) / 1000); }

# ------------------------------------------------ true ones: web applications

# Rails: two associations of each row, in turn, named prepared statements.
workload('railsindex', { b => 'n_plus_one', c => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(2, sub {
		my $c = $connect->(application => 'puma', named => 1);
		for (1 .. 15)
		{
			my $rows = $c->execute(qq{SELECT "a".* FROM "${t}_a" AS a WHERE a.page = \$1 LIMIT \$2},
				between(1, 90), 25);
			foreach (@$rows)
			{
				$c->execute(qq{SELECT COUNT(*) FROM ${t}_b WHERE a_id = \$1}, $_->[0]);
				$c->execute(qq{SELECT c.* FROM ${t}_c c WHERE c.id = \$1 LIMIT \$2}, $_->[1], 1);
			}
			pause(1, 8);
		}
		$c->close;
	});
});

# Django: a foreign key without select_related, literals, session and user
# before each page.
workload('djtemplate', { c => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(3, sub {
		my $c = $connect->(application => 'gunicorn');
		for (1 .. 12)
		{
			$c->query("SELECT n FROM ${t}_a WHERE id = " . between(1, 2000));
			$c->query("SELECT name, n FROM ${t}_c WHERE name = 'c" . between(1, 900) . "'");
			my $rows = $c->query("SELECT id, c_id, name FROM ${t}_a WHERE page = "
				  . between(1, 90) . " ORDER BY name LIMIT 10");
			foreach (@$rows)
			{
				$c->query("SELECT id, name, n FROM ${t}_c WHERE id = $_->[1] LIMIT 21");
				pause(0.3, 2);
			}
			pause(2, 15);
		}
		$c->close;
	});
});

# PHP: a connection for each request, emulated prepares.
workload('phppdo', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(2, sub {
		for (1 .. 12)
		{
			my $c = $connect->(application => 'php-fpm');
			$c->query("SET NAMES 'utf8'");
			my $rows = $c->query("SELECT id, name FROM ${t}_a WHERE page = '" . between(1, 90) . "'");
			$c->query("SELECT * FROM ${t}_b WHERE a_id = '$_->[0]' ORDER BY id DESC") foreach @$rows;
			$c->close;
		}
	});
});

# Laravel: exists() for each row, prepared and closed each time.
workload('eloquent', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(2, sub {
		my $c = $connect->(application => 'laravel');
		for (1 .. 15)
		{
			my $rows = $c->execute(qq{select * from "${t}_a" where "page" = \$1 order by "id" desc limit 15},
				between(1, 90));
			$c->execute(qq{select exists(select * from "${t}_b" where "a_id" = \$1 and "n" >= \$2) as "exists"},
				$_->[0], 0)
			  foreach @$rows;
			pause(1, 10);
		}
		$c->close;
	});
});

# Has the current user done something with each row?
workload('liked', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(2, sub {
		my $c = $connect->(application => 'feed');
		for (1 .. 15)
		{
			my $user = between(1, 100);
			my $rows = $c->execute("SELECT id, name FROM ${t}_a WHERE page < \$1 ORDER BY id DESC LIMIT 12",
				between(2, 90));
			$c->execute("SELECT 1 FROM ${t}_b WHERE a_id = \$1 AND n = \$2 LIMIT 1", $_->[0], $user)
			  foreach @$rows;
		}
		$c->close;
	});
});

# SQLAlchemy: the identity map asks for each different customer once, in a
# transaction that is rolled back.
workload('sessionmap', { c => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(2, sub {
		my $c = $connect->(application => 'alchemy');
		for (1 .. 15)
		{
			$c->query('BEGIN');
			my $rows = $c->query("SELECT id, 1 + c_id % 18 FROM ${t}_a WHERE page = " . between(1, 90));
			my %seen;
			foreach (@$rows)
			{
				next if $seen{ $_->[1] }++;
				$c->query("SELECT ${t}_c.id, ${t}_c.name FROM ${t}_c WHERE ${t}_c.id = $_->[1]");
			}
			$c->query('ROLLBACK');
			pause(1, 5);
		}
		$c->close;
	});
});

# Two lists on one page, each with its own.
workload('twolists', { a => 'n_plus_one', b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'portal');
	for (1 .. 15)
	{
		my $first = between(1, 900);
		my $rows = $c->query("SELECT id FROM ${t}_a WHERE page = " . between(1, 90));
		$c->query("SELECT name FROM ${t}_b WHERE a_id = $_->[0]") foreach @$rows;
		$rows = $c->query("SELECT id FROM ${t}_c WHERE id >= $first ORDER BY id LIMIT 8");
		$c->query("SELECT name FROM ${t}_a WHERE c_id = $_->[0]") foreach @$rows;
		pause(2, 10);
	}
	$c->close;
});

# Only rows with a flag have their detail loaded.
workload('filtered', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(2, sub {
		my $c = $connect->(application => 'shop');
		for (1 .. 20)
		{
			my $rows = $c->execute("SELECT id, c_id FROM ${t}_a WHERE page IN (\$1, \$2)",
				between(1, 45), between(46, 90));
			$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $_->[0])
			  foreach grep { $_->[1] % 3 == 0 } @$rows;
			pause(1, 8);
		}
		$c->close;
	});
});

# A polymorphic association: half the rows have their child in one table,
# half in the other.
workload('polymorphic', { b => 'n_plus_one', c => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(2, sub {
		my $c = $connect->(application => 'timeline', named => 1);
		for (1 .. 20)
		{
			my $rows = $c->execute("SELECT id, c_id FROM ${t}_a WHERE page = \$1", between(1, 90));
			foreach (@$rows)
			{
				if (rand() < 0.5) { $c->execute("SELECT * FROM ${t}_b WHERE a_id = \$1", $_->[0]); }
				else { $c->execute("SELECT * FROM ${t}_c WHERE id = \$1", $_->[1]); }
			}
			pause(1, 5);
		}
		$c->close;
	});
});

# Between the children: progress of the request, feature flags, a keep-alive.
workload('interleaved', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(2, sub {
		my ($client) = @_;
		my $c = $connect->(application => 'worker');
		for (1 .. 12)
		{
			my $rows = $c->query("SELECT id, name FROM ${t}_a WHERE page = " . between(1, 90));
			foreach (@$rows)
			{
				$c->query('SELECT 1') if rand() < 0.3;
				$c->execute("SELECT sum(n) FROM ${t}_b WHERE a_id = \$1", $_->[0]);
				$c->query("UPDATE ${t}_c SET n = n + 1 WHERE id = $client") if rand() < 0.4;
			}
			$c->query("INSERT INTO ${t}_c (id, name) SELECT max(id) + 1 + $client, 'log' FROM ${t}_c"
				  . ' ON CONFLICT DO NOTHING');
			pause(1, 8);
		}
		$c->close;
	});
}, may => { row_by_row_write => 1, duplicate_query => 1 });

# A list that is a report of its own: join, aggregate, window.
workload('aggregated', { a => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'dashboard');
	for (1 .. 12)
	{
		my $first = between(1, 1500);
		my $rows = $c->query("SELECT b.a_id, count(*), rank() OVER (ORDER BY count(*) DESC) FROM ${t}_b b"
			  . " JOIN ${t}_c c ON c.id = b.a_id % 1000 + 1 WHERE b.a_id BETWEEN $first AND $first + 400"
			  . " GROUP BY b.a_id ORDER BY 3, 1 LIMIT 10");
		$c->query("SELECT name, page FROM ${t}_a WHERE id = $_->[0]") foreach @$rows;
		pause(2, 10);
	}
	$c->close;
});

# ------------------------------------------------------ nested and breadth-first

# Two levels, the inner lists are long.
workload('nestlong', { a => 'n_plus_one', b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(2, sub {
		my $c = $connect->(application => 'catalog');
		for (1 .. 6)
		{
			my $first = between(1, 80);
			my $pages = $c->execute("SELECT id FROM ${t}_c WHERE id >= \$1 ORDER BY id LIMIT 6", $first);
			foreach (@$pages)
			{
				my $rows = $c->execute("SELECT id, name FROM ${t}_a WHERE page = \$1", $_->[0]);
				$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $_->[0]) foreach @$rows;
			}
			pause(2, 10);
		}
		$c->close;
	});
});

# Two levels, the inner lists have two rows.
workload('nestshort', { a => 'n_plus_one', b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(2, sub {
		my $c = $connect->(application => 'accounts', named => 1);
		for (1 .. 12)
		{
			my $rows = $c->execute("SELECT id FROM ${t}_c WHERE id >= \$1 ORDER BY id LIMIT 10", between(1, 900));
			foreach (@$rows)
			{
				my $inner = $c->execute("SELECT id, name FROM ${t}_a WHERE c_id = \$1", $_->[0]);
				$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $_->[0]) foreach @$inner;
			}
			pause(2, 10);
		}
		$c->close;
	});
});

# GraphQL: all authors of the list, then all comments of the list.
workload('breadthfirst', { b => 'n_plus_one', c => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(2, sub {
		my $c = $connect->(application => 'apollo');
		for (1 .. 15)
		{
			my $rows = $c->execute("SELECT id, c_id FROM ${t}_a WHERE page = \$1 LIMIT 10", between(1, 90));
			$c->execute("SELECT id, name FROM ${t}_c WHERE id = \$1", $_->[1]) foreach @$rows;
			$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1 LIMIT 3", $_->[0]) foreach @$rows;
			pause(1, 5);
		}
		$c->close;
	});
});

# GraphQL on Node: the resolvers of one list take turns on the connections of
# the pool.  No connection sees all of it: "repeated look-up" is not false.
workload('resolverpool', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my @pool = map { $connect->(application => 'node') } 1 .. 3;
	my $next = 0;
	for (1 .. 20)
	{
		my $rows = $pool[ $next++ % 3 ]->execute("SELECT id FROM ${t}_a WHERE page = \$1", between(1, 90));
		$pool[ $next++ % 3 ]->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $_->[0])
		  foreach @$rows;
		pause(2, 15);
	}
	$_->close foreach @pool;
}, may => { repeated_lookup => 1 });

# Go: the rows of the list are still open on one connection while the loop's
# body takes another one.  "Repeated look-up" is not false.
workload('gonested', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my ($first, $second) = map { $connect->(application => 'go') } 1 .. 2;
	for (1 .. 20)
	{
		my $rows = $first->execute("SELECT id FROM ${t}_a WHERE page = \$1", between(1, 90));
		$second->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $_->[0]) foreach @$rows;
		pause(2, 15);
	}
	$_->close foreach $first, $second;
}, may => { repeated_lookup => 1 });

# Go: the list is read first; each request takes any connection of the pool.
workload('goslice', { c => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my @pool = map { $connect->(application => 'go', named => 1) } 1 .. 4;
	for (1 .. 24)
	{
		my $c = $pool[ rand @pool ];
		my $rows = $c->execute("SELECT id, c_id FROM ${t}_a WHERE page = \$1 LIMIT 9", between(1, 90));
		$c->execute("SELECT name FROM ${t}_c WHERE id = \$1", $_->[1]) foreach @$rows;
	}
	$_->close foreach @pool;
});

# ------------------------------------------------------------------- keys

workload('uuidkeys', { v => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'spring');
	$c->query("DROP TABLE IF EXISTS ${t}_u, ${t}_v");
	$c->query("CREATE TABLE ${t}_u AS SELECT md5(g::text)::uuid AS id, g / 15 AS page FROM generate_series(1, 1500) g");
	$c->query("CREATE TABLE ${t}_v AS SELECT md5('v' || g)::uuid AS id, md5((1 + g % 1500)::text)::uuid AS u_id"
		  . ' FROM generate_series(1, 6000) g');
	$c->query("CREATE INDEX ON ${t}_u (page); CREATE INDEX ON ${t}_v (u_id); ANALYZE ${t}_u, ${t}_v");
	for (1 .. 20)
	{
		my $rows = $c->execute("select u.id from ${t}_u u where u.page = \$1", between(1, 90));
		$c->execute("select v.id, v.u_id from ${t}_v v where v.u_id = \$1", $_->[0]) foreach @$rows;
		pause(1, 8);
	}
	$c->close;
});

workload('slugs', { c => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'cms');
	$c->query("CREATE INDEX ON ${t}_c (name)");
	for (1 .. 20)
	{
		my $rows = $c->query("SELECT 'c' || c_id AS slug FROM ${t}_a WHERE page = " . between(1, 90) . ' LIMIT 14');
		$c->query("SELECT id, n FROM ${t}_c WHERE name = '$_->[0]'") foreach @$rows;
		pause(1, 8);
	}
	$c->close;
});

# A translation by row and language; the language is that of the request.
workload('compositekey', { tr => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $admin = $connect->();
	$admin->query("DROP TABLE IF EXISTS ${t}_tr");
	$admin->query("CREATE TABLE ${t}_tr AS SELECT g AS a_id, l AS lang, l || g AS title"
		  . " FROM generate_series(1, 2000) g, unnest('{de,en,fr}'::text[]) l");
	$admin->query("ALTER TABLE ${t}_tr ADD PRIMARY KEY (a_id, lang); ANALYZE ${t}_tr");
	$admin->close;
	clients(2, sub {
		my $c = $connect->(application => 'i18n');
		for (1 .. 15)
		{
			my $lang = (qw(de en fr))[ rand 3 ];
			my $rows = $c->execute("SELECT id FROM ${t}_a WHERE page = \$1", between(1, 90));
			$c->execute("SELECT title FROM ${t}_tr WHERE lang = \$1 AND a_id = \$2", $lang, $_->[0])
			  foreach @$rows;
			pause(1, 8);
		}
		$c->close;
	});
});

# A preloader that is called for each row: lists with one element.
workload('singlein', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'sequel');
	for (1 .. 15)
	{
		my $rows = $c->query("SELECT id FROM ${t}_a WHERE page = " . between(1, 90));
		$c->query("SELECT * FROM ${t}_b WHERE (${t}_b.a_id IN ($_->[0]))") foreach @$rows;
		pause(1, 8);
	}
	$c->close;
});

# --------------------------------------------------- transactions, batches

# Hibernate: lazy collections in a transaction, at its end a JDBC batch.
workload('hibflush', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(2, sub {
		my $c = $connect->(application => 'hibernate');
		for (1 .. 12)
		{
			$c->query('BEGIN');
			my $rows = $c->execute("select a1_0.id, a1_0.name from ${t}_a a1_0 where a1_0.page = \$1", between(1, 90));
			$c->execute("select b1_0.a_id, b1_0.id, b1_0.name from ${t}_b b1_0 where b1_0.a_id = \$1", $_->[0])
			  foreach @$rows;
			$c->pipeline(map { [ "update ${t}_a set n = \$1 where id = \$2", 5, $_->[0] ] }
				  sort { $a->[0] <=> $b->[0] } @$rows);
			$c->query('COMMIT');
			pause(1, 8);
		}
		$c->close;
	});
}, may => { row_by_row_write => 1 });

# Rails, dependent: :destroy: the children of each row are loaded, then each
# is deleted.
workload('destroy', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'sidekiq', named => 1);
	for my $page (1 .. 12)
	{
		$c->query('BEGIN');
		my $rows = $c->execute("SELECT id FROM ${t}_a WHERE page = \$1 LIMIT 8", $page);
		foreach (@$rows)
		{
			my $children = $c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $_->[0]);
			$c->execute("DELETE FROM ${t}_b WHERE id = \$1", $_->[0]) foreach @$children;
		}
		$c->query('COMMIT');
		pause(1, 8);
	}
	$c->close;
}, may => { row_by_row_write => 1 });

# The list is read through a cursor in pieces.
workload('scroll', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'batch');
	for (1 .. 5)
	{
		my $page = between(1, 80);
		$c->query('BEGIN');
		$c->fetch(25, sub {
			my ($rows) = @_;
			$c->execute("SELECT count(*) FROM ${t}_b WHERE a_id = \$1", $_->[0]) foreach @$rows;
		}, "SELECT id FROM ${t}_a WHERE page BETWEEN \$1 AND \$1 + 4", $page);
		$c->query('COMMIT');
		pause(2, 10);
	}
	$c->close;
});

# An export that runs once.
workload('exportonce', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'export');
	$c->query('BEGIN ISOLATION LEVEL REPEATABLE READ');
	my $rows = $c->query("SELECT id, name FROM ${t}_a WHERE page < 15 ORDER BY name");
	$c->query("SELECT id, name FROM ${t}_b WHERE a_id = $_->[0] ORDER BY id") foreach @$rows;
	$c->query('COMMIT');
	$c->close;
});

# Few requests.
workload('fewrequests', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'admin');
	for my $page (3, 11, 40, 41)
	{
		my $rows = $c->execute("SELECT id FROM ${t}_a WHERE page = \$1 LIMIT 12", $page);
		$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $_->[0]) foreach @$rows;
		pause(100, 200);
	}
	$c->close;
});

# Many requests with short lists.
workload('manysmall', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(3, sub {
		my $c = $connect->(application => 'api');
		for (1 .. 60)
		{
			my $rows = $c->execute("SELECT id FROM ${t}_a WHERE page = \$1 LIMIT \$2", between(1, 90), between(4, 8));
			$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $_->[0]) foreach @$rows;
		}
		$c->close;
	});
});

# Lists of very different length.
workload('anysize', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(2, sub {
		my $c = $connect->(application => 'search');
		for (1 .. 25)
		{
			my $rows = $c->execute("SELECT id FROM ${t}_a WHERE page >= \$1 ORDER BY id LIMIT \$2",
				between(1, 90), int(1 + 40 * rand() ** 2));
			$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $_->[0]) foreach @$rows;
			pause(1, 6);
		}
		$c->close;
	});
});

# The application works a while on each row.
workload('thinking', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(3, sub {
		my $c = $connect->(application => 'pdf');
		for (1 .. 5)
		{
			my $rows = $c->execute("SELECT id FROM ${t}_a WHERE page = \$1 LIMIT 10", between(1, 90));
			foreach (@$rows)
			{
				$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $_->[0]);
				pause(4, 25);
			}
			pause(30, 80);
		}
		$c->close;
	});
});

# The same in a transaction, with a remote call for each row.
workload('thinkingtx', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(3, sub {
		my $c = $connect->(application => 'billing');
		for (1 .. 4)
		{
			$c->query('BEGIN');
			my $rows = $c->execute("SELECT id FROM ${t}_a WHERE page = \$1 LIMIT 7", between(1, 90));
			foreach (@$rows)
			{
				$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $_->[0]);
				pause(20, 90);
			}
			$c->query('COMMIT');
		}
		$c->close;
	});
});

# ------------------------------------------------------------ pools and load

# Through the pooler, a transaction for each request.
workload('pooltx', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(4, sub {
		my $c = $connect->(application => 'atomic', pooled => 1);
		for (1 .. 12)
		{
			$c->query('BEGIN');
			my $rows = $c->query("SELECT id, name FROM ${t}_a WHERE page = " . between(1, 90));
			$c->query("SELECT count(*) FROM ${t}_b WHERE a_id = $_->[0]") foreach @$rows;
			$c->query('COMMIT');
			pause(1, 8);
		}
		$c->close;
	});
});

# Through the pooler, without transactions, one request at a time.
workload('poolone', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	my $c = $connect->(application => 'one', pooled => 1);
	for (1 .. 15)
	{
		my $rows = $c->execute("SELECT id, name FROM ${t}_a WHERE page = \$1", between(1, 90));
		$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $_->[0]) foreach @$rows;
		pause(1, 8);
	}
	$c->close;
});

# Through the pooler, without transactions, four requests at a time on two
# server connections.
workload('poolauto', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(4, sub {
		my $c = $connect->(application => 'auto', pooled => 1);
		for (1 .. 15)
		{
			my $rows = $c->execute("SELECT id, name FROM ${t}_a WHERE page = \$1", between(1, 90));
			$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1", $_->[0]) foreach @$rows;
			pause(5, 30);
		}
		$c->close;
	});
});

# Six clients, each with other pages between those with the fault.
workload('mixedload', { b => 'n_plus_one' }, sub {
	my ($connect, $t) = @_;
	clients(6, sub {
		my $c = $connect->(application => 'web');
		for (1 .. 40)
		{
			if (rand() < 0.3)
			{
				my $rows = $c->execute("SELECT id, name FROM ${t}_a WHERE page = \$1 ORDER BY name", between(1, 90));
				$c->execute("SELECT id, name FROM ${t}_b WHERE a_id = \$1 ORDER BY id", $_->[0]) foreach @$rows;
			}
			elsif (rand() < 0.5)
			{
				$c->execute("SELECT * FROM ${t}_a WHERE id = \$1", between(1, 2000));
				$c->execute("SELECT * FROM ${t}_c WHERE id = \$1", between(1, 1000));
			}
			else
			{
				$c->execute("UPDATE ${t}_c SET n = n + 1 WHERE id = \$1", between(1, 1000));
			}
			pause(0.5, 4);
		}
		$c->close;
	});
});

1;
