# A program that listens where PgBouncer's admin console is expected, and
# behaves well or badly.  It serves 127.0.0.1 in a process group of its own,
# which ends with stop() or with the object.
#
#   new('good', pools => FILE)   FILE has lines "database user cl_waiting maxwait"
#   new('mute')                  takes connections and never says anything
#   new('backlog')               does not even take connections
#   new('garbage')               answers with noise
#   new('columns')               SHOW POOLS without the column "database"
#   new('rows')                  SHOW POOLS without an end
#   new('huge')                  a row of 900 MB
#   new('drip')                  a byte now and then
#   new('fatal')                 refuses the login
#   new('question')              asks for a password
#   new('scram')                 wants a proof that takes an hour to compute
#   new('notices')               does little but send notices
#   new('closing')               closes the connection after each answer
package StewardConsole;

use strict;
use warnings;

use IO::Socket::INET;
use POSIX ();

sub new
{
	my ($class, $mode, %option) = @_;
	my $socket = IO::Socket::INET->new(
		LocalAddr => '127.0.0.1', LocalPort => $option{port} // 0, Proto => 'tcp',
		Listen => $mode eq 'backlog' ? 1 : 20, ReuseAddr => 1) or die "listen: $!";
	my $self = bless { port => $socket->sockport, owner => $$ }, $class;

	if ($mode eq 'backlog')
	{
		# connections beyond the backlog stay half-way
		$self->{socket} = $socket;
		$self->{fill} = [ map {
			IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port},
				Proto => 'tcp', Blocking => 0) } 1 .. 4 ];
		return $self;
	}
	$self->{pid} = fork() // die "fork: $!";
	if ($self->{pid} == 0)
	{
		POSIX::setpgid(0, 0);
		$SIG{CHLD} = 'IGNORE';
		$SIG{TERM} = 'DEFAULT';
		$SIG{PIPE} = 'DEFAULT';
		while (my $client = $socket->accept)
		{
			next if fork();
			close $socket;
			eval { serve($client, $mode, %option); };
			POSIX::_exit(0);
		}
		POSIX::_exit(0);
	}
	POSIX::setpgid($self->{pid}, $self->{pid});
	close $socket;
	return $self;
}

sub port { return $_[0]{port}; }

sub conninfo
{
	my ($self, $more) = @_;
	return "host=127.0.0.1 port=$self->{port} user=watcher " . ($more // '');
}

sub stop
{
	my ($self) = @_;
	return if $self->{owner} != $$;
	if (my $pid = delete $self->{pid})
	{
		kill 'KILL', -$pid;
		waitpid $pid, 0;
	}
	delete $self->{fill};
	close delete $self->{socket} if $self->{socket};
}

sub DESTROY { my $status = $?; $_[0]->stop; $? = $status; }

# --- in the process that serves a connection --------------------------------

sub take
{
	my ($client, $length) = @_;
	my $data = '';
	while (length $data < $length)
	{
		sysread($client, $data, $length - length $data, length $data) or POSIX::_exit(0);
	}
	return $data;
}

sub put
{
	my ($client, $data) = @_;
	while (length $data)
	{
		my $n = syswrite($client, $data) or POSIX::_exit(0);
		substr($data, 0, $n) = '';
	}
}

sub message { return $_[0] . pack('N', length($_[1]) + 4) . $_[1]; }

sub row_description
{
	return message('T', pack('n', scalar @_)
		  . join '', map { "$_\0" . pack('NnNnNn', 0, 0, 25, 65535, 0, 0) } @_);
}

sub data_row
{
	return message('D', pack('n', scalar @_)
		  . join '', map { defined $_ ? pack('N', length $_) . $_ : pack('N', 0xffffffff) } @_);
}

sub failure
{
	my ($severity, $text) = @_;
	return message('E', "S$severity\0V$severity\0C08P01\0M$text\0\0");
}

my $ready = message('Z', 'I');

# The first words: refuse encryption, take the parameters.
sub greet
{
	my ($client) = @_;
	for (;;)
	{
		my $body = take($client, unpack('N', take($client, 4)) - 4);
		return if unpack('N', $body) != 80877103 && unpack('N', $body) != 80877104;
		put($client, 'N');
	}
}

# Ask for a proof of knowing a password that takes so many rounds.
sub ask_for_proof
{
	my ($client) = @_;
	put($client, message('R', pack('N', 10) . "SCRAM-SHA-256\0\0"));
	take($client, 1);
	my $first = take($client, unpack('N', take($client, 4)) - 4);
	my ($nonce) = $first =~ /r=([^,]*)/;
	put($client, message('R', pack('N', 11) . "r=${nonce}x,s=c2FsdHNhbHQ=,i=2000000000"));
	sleep 60;
}

# Answers of a PgBouncer with columns of another version.
sub answer
{
	my ($query, %option) = @_;
	if ($query =~ /^SHOW POOLS/)
	{
		my $rows = '';
		open my $file, '<', $option{pools} or POSIX::_exit(0);
		while (my $line = <$file>)
		{
			my ($database, $user, $waiting, $maxwait) = split ' ', $line;
			$rows .= data_row('news', $user, $maxwait, $database, 3, $waiting, undef, 'many');
		}
		return row_description(qw(invented user maxwait database cl_active cl_waiting sv_active sv_idle))
		  . data_row('news', 'pgbouncer', 0, 'pgbouncer', 1, 0, 0, 0) . $rows;
	}
	return row_description(qw(name pool_size reserve_pool_size)) . data_row('shop', 7, 3)
	  if $query =~ /^SHOW DATABASES/;
	return failure('ERROR', 'unsupported') if $query =~ /^SHOW (STATS|LISTS)/;
	return row_description(qw(key value default)) . data_row('max_client_conn', 200, 100)
	  . data_row('default_pool_size', -5, 20);
}

sub serve
{
	my ($client, $mode, %option) = @_;
	if ($mode eq 'mute') { sleep 600; return; }
	if ($mode eq 'garbage') { put($client, join '', map { chr(33 + ($_ * 7919) % 90) } 1 .. 5000); sleep 600; return; }
	greet($client);
	if ($mode eq 'fatal') { put($client, failure('FATAL', "go\naway, \x{7f}\x{e4}")); return; }
	if ($mode eq 'question') { put($client, message('R', pack('N', 3))); sleep 60; return; }
	if ($mode eq 'scram') { ask_for_proof($client); return; }
	if ($mode eq 'drip')
	{
		foreach (split //, message('R', pack('N', 0)) x 100)
		{
			put($client, $_);
			select undef, undef, undef, 0.2;
		}
		return;
	}
	put($client, message('R', pack('N', 0)) . message('S', "server_version\0" . "1.99\0") . $ready);
	for (;;)
	{
		my $type = take($client, 1);
		my $query = take($client, unpack('N', take($client, 4)) - 4);
		return if $type eq 'X';
		if ($type ne 'Q')
		{
			put($client, failure('FATAL', 'extended query protocol not supported by admin console'));
			return;
		}
		if ($mode eq 'columns')
		{
			put($client, row_description('lie') . data_row('lie') . message('C', "SHOW\0") . $ready);
			next;
		}
		if ($mode eq 'rows')
		{
			put($client, row_description(qw(database cl_waiting)));
			my $many = data_row('x' x 200, 1) x 500;
			put($client, $many) for 1 .. 100_000;
		}
		if ($mode eq 'huge')
		{
			put($client, row_description('database') . 'D' . pack('NnN', 900_000_010, 1, 900_000_000));
			my $much = 'x' x 1_000_000;
			put($client, $much) for 1 .. 900;
		}
		if ($mode eq 'notices')
		{
			put($client, message('N', "SNOTICE\0VNOTICE\0C00000\0Mgossip of the console\0\0") x 1000)
			  for 1 .. 100_000;
		}
		put($client, answer($query, %option) . message('C', "SHOW\0") . $ready);
		return if $mode eq 'closing' && $query =~ /CONFIG/;
	}
}

1;
