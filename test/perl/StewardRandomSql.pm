# Random statements over any tables, for tests in which nothing may break.
#
# A generator is given the columns of tables, [relation, column, type class]
# with a class of "number", "text", "time", "bool" or "other"; and makes SELECTs
# with joins of every kind, subqueries at every place, set operations, windows,
# grouping sets, WITH, LATERAL and TABLESAMPLE, and INSERT, UPDATE and DELETE.
# They name existing columns and compare what can be compared, so that the
# server takes nearly all.  The same seed gives the same statements.
package StewardRandomSql;
use strict;
use warnings;

# new(columns => [...], writable => regexp of relations that may be changed)
sub new
{
	my ($class, %self) = @_;
	my %relations;
	push @{ $relations{ $_->[0] } }, $_ foreach @{ $self{columns} };
	$self{relations} = \%relations;
	$self{names} = [ sort keys %relations ];
	srand($self{seed} // 1);
	return bless \%self, $class;
}

sub pick { return $_[ int(rand(@_)) ] }
sub chance { return rand() < $_[0] }

# A table under a new alias: what is written in FROM, and its columns as
# [expression, class].
sub table
{
	my ($self, $name) = @_;
	$name //= pick(@{ $self->{names} });
	my $alias = 't' . ++$self->{aliases};
	return ("$name $alias",
		[ map { [ "$alias.$_->[1]", $_->[2] ] } @{ $self->{relations}{$name} } ]);
}

# A constant or parameter of a class
sub constant
{
	my ($self, $class) = @_;
	return '$' . (1 + int(rand(4))) . { number => '::numeric', text => '::text', time => '::timestamptz', bool => '::bool' }->{$class}
	  if chance(0.2);
	return pick(0, 1, 7, 42, 1000, -5, '2.5') if $class eq 'number';
	return pick(q{'a'}, q{'closed'}, q{''}, q{'x%'}) if $class eq 'text';
	return pick(q{timestamptz '2025-01-01'}, 'now()', q{(now() - interval '1 day')}) if $class eq 'time';
	return pick('true', 'false', 'NULL::bool');
}

# A value of a class over the columns in scope, or a constant
sub value
{
	my ($self, $class, $scope, $depth) = @_;
	my @fitting = grep { $_->[1] eq $class } @$scope;
	return $self->constant($class) if !@fitting || chance(0.25);
	my $column = pick(@fitting)->[0];
	return $column if $depth <= 0 || chance(0.7);
	return pick("($column + " . $self->value('number', $scope, $depth - 1) . ')', "abs($column)", "coalesce($column, 0)", "-$column") if $class eq 'number';
	return pick("lower($column)", "substr($column, 1, 3)", "($column || 'x')", "coalesce($column, '')") if $class eq 'text';
	return pick("date_trunc('day', $column)", "($column + interval '1 hour')") if $class eq 'time';
	return "(NOT $column)";
}

# A condition over the columns in scope
sub condition
{
	my ($self, $scope, $depth) = @_;
	my @known = grep { $_->[1] ne 'other' } @$scope;
	return 'true' unless @known;
	my ($column, $class) = @{ pick(@known) };
	my $kind = int(rand($depth > 0 ? 12 : 6));

	return "$column IS " . pick('', 'NOT ') . 'NULL' if $kind == 0;
	return $class eq 'bool' ? $column : "$column IN (" . join(', ', map { $self->constant($class) } 0 .. int(rand(4))) . ')' if $kind == 1;
	return "$column BETWEEN " . $self->value($class, $scope, 0) . ' AND ' . $self->value($class, $scope, 0) if $kind == 2;
	return "$column::text " . pick('LIKE', 'ILIKE', '~') . " 'a%'" if $kind == 3 && $class eq 'text';
	return "($column, $known[0][0]) " . pick('<', '>=', '=') . ' (' . $self->constant($class) . ', ' . $self->constant($known[0][1]) . ')' if $kind == 4;
	return $self->value($class, $scope, 1) . pick(' = ', ' = ', ' < ', ' >= ', ' <> ', ' IS DISTINCT FROM ') . $self->value($class, $scope, 1) if $kind < 6;
	return '(' . $self->condition($scope, $depth - 1) . pick(' AND ', ' OR ') . $self->condition($scope, $depth - 1) . ')' if $kind < 8;
	return 'NOT (' . $self->condition($scope, $depth - 1) . ')' if $kind == 8;

	my ($from, $inner) = $self->table();
	my @same = grep { $_->[1] eq $class } @$inner;
	my $where = $self->condition([ @$inner, @$scope ], $depth - 1);
	return pick('EXISTS', 'NOT EXISTS') . " (SELECT FROM $from WHERE $where)" if $kind == 9 || !@same;
	return "$column " . pick('IN', 'NOT IN') . ' (SELECT ' . pick(@same)->[0] . " FROM $from WHERE $where)" if $kind == 10;
	return "$column " . pick('=', '>', '<') . ' (SELECT ' . pick('max', 'min') . '(' . pick(@same)->[0] . ") FROM $from WHERE $where)"
	  if $class ne 'bool';
	return "$column = ANY (ARRAY(SELECT " . pick(@same)->[0] . " FROM $from WHERE $where))";
}

# FROM: one to three tables or subqueries; adds their columns to the scope
sub from
{
	my ($self, $scope, $depth) = @_;
	my ($text, $columns) = $self->table();
	$text .= pick(' TABLESAMPLE SYSTEM (10)', ' TABLESAMPLE BERNOULLI (5) REPEATABLE (3)')
	  if chance(0.03) && $text !~ /^(pg_catalog\.pg_(stat|locks)|open_ticket|public\.open_ticket|information_schema)/ && $self->{sample};
	push @$scope, @$columns;
	for (my $i = int(rand(3)); $i > 0; $i--)
	{
		if ($depth > 0 && chance(0.2))
		{
			my $alias = 's' . ++$self->{aliases};
			my ($inner, $classes) = $self->select($depth - 1, []);
			$text .= ', ' . pick('', 'LATERAL ') . "($inner) $alias";
			push @$scope, map { [ "$alias.c$_", $classes->[$_] ] } 0 .. $#$classes;
			next;
		}
		my ($other, $more) = $self->table();
		my ($l, $r) = (pick(grep { $_->[1] ne 'other' } @$scope), undef);
		$r = pick(grep { $_->[1] eq $l->[1] } @$more) if $l;
		if ($l && $r)
		{
			my $full = chance(0.1);
			$text .= ($full ? ' FULL JOIN ' : pick(' JOIN ', ' JOIN ', ' LEFT JOIN ', ' RIGHT JOIN ')) . "$other ON $l->[0] = $r->[0]";
			$text .= ' AND ' . $self->condition($more, 0) if !$full && chance(0.2);
		}
		else
		{
			$text .= " CROSS JOIN $other";
		}
		push @$scope, @$more;
	}
	return $text;
}

# A SELECT and the classes of its columns, which are named c0, c1, ...
sub select
{
	my ($self, $depth, $outer, $wanted) = @_;
	my @scope;
	my $from = $self->from(\@scope, $depth);
	my $where = chance(0.85) ? ' WHERE ' . $self->condition([ @scope, @$outer ], $depth) : '';
	my @classes = $wanted ? @$wanted : map { pick('number', 'text', 'time', 'bool') } 0 .. int(rand(3));
	my @values = map { $self->value($_, \@scope, 1) } @classes;
	my @known = grep { $_->[1] ne 'other' } @scope;
	my $kind = int(rand(10));

	# groups: their keys are the columns
	if ($kind < 2 && @known)
	{
		my @keys = map { pick(grep { $_->[1] eq $classes[0] } @known) // $known[0] } 0 .. int(rand(2));
		my $by = join(', ', map { $_->[0] } @keys);
		$by = pick('ROLLUP', 'CUBE', 'GROUPING SETS') . " ($by)" if chance(0.3);
		my $text = "SELECT $keys[0][0] AS c0, " . pick('count(*)', 'count(DISTINCT ' . $keys[0][0] . ')') . " AS c1 FROM $from$where GROUP BY $by";
		$text .= ' HAVING count(*) > ' . pick(0, 1, '$1') if chance(0.4);
		return ($text, [ $keys[0][1], 'number' ]) unless $wanted;
	}
	if ($kind == 2 && @known && !$wanted)
	{
		return ("SELECT " . pick(@known)->[0] . "::text AS c0, row_number() OVER (PARTITION BY " . pick(@known)->[0] . " ORDER BY " . pick(@known)->[0] . pick('', ' DESC') . ") AS c1 FROM $from$where",
			[ 'text', 'number' ]);
	}
	my $distinct = $kind == 3 ? 'DISTINCT ' : '';
	my $text = "SELECT $distinct" . join(', ', map { "$values[$_] AS c$_" } 0 .. $#values) . " FROM $from$where";
	if ($distinct eq '' && @known && chance(0.4))
	{
		$text .= ' ORDER BY ' . join(', ', map { pick(@known)->[0] . pick('', ' DESC', ' DESC NULLS LAST', ' NULLS FIRST') } 0 .. int(rand(2)));
	}
	$text .= ' LIMIT ' . pick(1, 10, '$1', '10 OFFSET 5') if chance(0.3);
	return ($text, \@classes);
}

# One statement
sub statement
{
	my ($self) = @_;
	my $kind = int(rand(12));
	$self->{aliases} = 0;

	if ($kind == 0)
	{
		my ($l, $classes) = $self->select(1, []);
		my ($r) = $self->select(1, [], $classes);
		return "($l) " . pick('UNION', 'UNION ALL', 'INTERSECT', 'EXCEPT') . " ($r)";
	}
	if ($kind == 1)
	{
		my ($w, $classes) = $self->select(1, []);
		my $scope = [ map { [ "w.c$_", $classes->[$_] ] } 0 .. $#$classes ];
		return 'WITH w AS ' . pick('', 'MATERIALIZED ', 'NOT MATERIALIZED ') . "($w) SELECT * FROM w WHERE " . $self->condition($scope, 1);
	}
	my @writable = grep { $_ =~ $self->{writable} } @{ $self->{names} };
	if ($kind < 4 && @writable)
	{
		my ($target, $columns) = $self->table(pick(@writable));
		my @known = grep { $_->[1] =~ /^(number|text|bool)$/ } @$columns;
		return "DELETE FROM $target WHERE " . $self->condition($columns, 1) if $kind == 2 || !@known;
		my ($column, $class) = @{ pick(@known) };
		my $name = $column =~ s/^\w+\.//r;
		my ($from, $more) = $self->table();
		my $set = $class eq 'text' ? q{'x'} : $class eq 'bool' ? 'true' : '1';
		return "UPDATE $target SET $name = $set" . (chance(0.4) ? " FROM $from" : '') . ' WHERE ' . $self->condition($columns, 1);
	}
	my ($text) = $self->select(2, []);
	return $text;
}

1;
