# A client of the frontend/backend protocol, for workloads that have to send
# what applications and their drivers send: simple queries, unnamed and named
# prepared statements, through a pooler or directly.  Unix sockets and no
# password; values are sent as text.
package StewardClient;
use strict;
use warnings;

use IO::Socket::UNIX;

# new(host => directory, port => , dbname => , user => , application => )
sub new
{
	my ($class, %arg) = @_;
	my $self = bless { prepared => {}, named => $arg{named} }, $class;
	$self->{socket} =
	  IO::Socket::UNIX->new(Peer => "$arg{host}/.s.PGSQL.$arg{port}")
	  or die "could not connect: $!";
	my $startup = pack('N', 196608) . join(
		"\0",
		user => $arg{user} // 'postgres',
		database => $arg{dbname} // 'postgres',
		application_name => $arg{application} // 'perl',
		'', '');
	$self->{buffer} = '';
	$self->{out} = pack('N', length($startup) + 4) . $startup;
	$self->_flush;
	$self->_result;
	return $self;
}

sub _put
{
	my ($self, $type, $body) = @_;
	$self->{out} .= $type . pack('N', length($body) + 4) . $body;
}

sub _flush
{
	my ($self) = @_;
	my $done = 0;
	while ($done < length $self->{out})
	{
		$done += syswrite($self->{socket}, $self->{out},
			length($self->{out}) - $done, $done) // die "write: $!";
	}
	$self->{out} = '';
}

sub _message
{
	my ($self) = @_;
	while (1)
	{
		if (length $self->{buffer} >= 5)
		{
			my ($type, $length) = unpack('aN', $self->{buffer});
			if (length $self->{buffer} >= $length + 1)
			{
				my $body = substr($self->{buffer}, 5, $length - 4);
				substr($self->{buffer}, 0, $length + 1) = '';
				return ($type, $body);
			}
		}
		sysread($self->{socket}, $self->{buffer}, 65536, length $self->{buffer})
		  or die "connection closed";
	}
}

# Read up to the end of the answer; rows of all statements in it.
sub _result
{
	my ($self) = @_;
	my (@rows, $error);
	while (1)
	{
		my ($type, $body) = $self->_message;
		if ($type eq 'D')
		{
			my $n = unpack('n', $body);
			my ($at, @row) = (2);
			for (1 .. $n)
			{
				my $length = unpack('l>', substr($body, $at, 4));
				$at += 4;
				push @row, $length < 0 ? undef : substr($body, $at, $length);
				$at += $length if $length > 0;
			}
			push @rows, \@row;
		}
		elsif ($type eq 'E') { ($error) = $body =~ /\0M([^\0]*)/; }
		elsif ($type eq 'Z') { last; }
	}
	die "$error\n" if defined $error;
	return \@rows;
}

# query(SQL): simple protocol
sub query
{
	my ($self, $sql) = @_;
	$self->_put('Q', "$sql\0");
	$self->_flush;
	return $self->_result;
}

sub _execute
{
	my ($self, $sql, @values) = @_;
	my $name = '';
	if ($self->{named})
	{
		$name = $self->{prepared}{$sql} // '';
		if ($name eq '')
		{
			$name = $self->{prepared}{$sql} = 's' . keys %{ $self->{prepared} };
			$self->_put('P', "$name\0$sql\0" . pack('n', 0));
		}
	}
	else
	{
		$self->_put('P', "\0$sql\0" . pack('n', 0));
	}
	my $bind = "\0$name\0" . pack('n', 0) . pack('n', scalar @values);
	$bind .= defined $_ ? pack('N', length) . $_ : pack('l>', -1) foreach @values;
	$self->_put('B', $bind . pack('n', 0));
	$self->_put('D', "P\0");
	$self->_put('E', "\0" . pack('N', 0));
}

# execute(SQL, VALUES): extended protocol, one round trip
sub execute
{
	my ($self, @arg) = @_;
	$self->_execute(@arg);
	$self->_put('S', '');
	$self->_flush;
	return $self->_result;
}

# pipeline([SQL, VALUES], ...): several statements before one Sync
sub pipeline
{
	my ($self, @statements) = @_;
	$self->_execute(@$_) foreach @statements;
	$self->_put('S', '');
	$self->_flush;
	return $self->_result;
}

# fetch(SIZE, CODE, SQL, VALUES): a portal read in pieces; CODE gets the rows
# of each piece.  In a transaction.  CODE may use the connection.
sub fetch
{
	my ($self, $size, $code, $sql, @values) = @_;
	my $portal = 'c' . ++$self->{portals};
	my $bind = "$portal\0\0" . pack('n', 0) . pack('n', scalar @values);
	$bind .= pack('N', length) . $_ foreach @values;
	$self->_put('P', "\0$sql\0" . pack('n', 0));
	$self->_put('B', $bind . pack('n', 0));
	my $rows;
	do
	{
		$self->_put('E', "$portal\0" . pack('N', $size));
		$self->_put('S', '');
		$self->_flush;
		$rows = $self->_result;
		$code->($rows) if @$rows;
	} while (@$rows == $size);
	$self->_put('C', "P$portal\0");
	$self->_put('S', '');
	$self->_flush;
	$self->_result;
}

sub close
{
	my ($self) = @_;
	$self->_put('X', '');
	$self->_flush;
	close $self->{socket};
}

1;
