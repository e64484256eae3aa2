# The discovery port and the check port of test servers, asked as a client would: opens them, sends requests and lines,
# takes answers apart. What an answer should be is each test's own matter.
#
# Two ways of asking: fetch() and what is built on it make a connection for each request; connect_to(), send_pieces()
# and receive() show what happens on one that stays.
package PgStatus::Http;

use strict;
use warnings;

use Carp;
use Exporter 'import';
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use PgStatus;
use PostgreSQL::Test::Cluster;
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);

our @EXPORT = qw(discovery_port check_port open_http ask fetch discover check code line discovery_line json_of
  field_of connect_to send_pieces receive answers_to);

# Deadline of every answer, in seconds.
my $patience = $ENV{PG_TEST_TIMEOUT_DEFAULT} || 60;

my (%discovery_port_of, %check_port_of);    # node name -> port
my %unread;                                 # socket -> bytes that receive() has not yet made use of

# The ports that open_http() gives to a node; taken when first asked for.
sub discovery_port { return $discovery_port_of{ $_[0]->name } //= PostgreSQL::Test::Cluster::get_free_port() }
sub check_port     { return $check_port_of{ $_[0]->name }     //= PostgreSQL::Test::Cluster::get_free_port() }

# Opens both ports of running nodes, and returns when they answer and each standby's sync state is known: the role is
# known earlier, from the standby itself, but only the primary tells how it replicates.
sub open_http {
    my (@nodes) = @_;
    set_conf($_, 'pg_status.http_port' => discovery_port($_), 'pg_status.check_port' => check_port($_)) foreach @nodes;
    foreach my $node (@nodes) {
        wait_for('the ports of ' . $node->name,
            sub { code($node, '/liveness') == 200 && (discover($node, '/ready'))[0] == 200 });
        wait_for($node->name . ' to be fit for its role',
            sub {
                return 1 if code($node, '/primary') == 200;
                return code($node, '/async') == 200 && code($node, '/readiness') == 200;
            });
    }
    return;
}

# Sends bytes to a port, returns all that comes until the server ends the connection; '' when there is no answer.
sub ask {
    my ($port, $bytes) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 60) or return '';
    print $socket $bytes;
    return (read_to_end($socket))[0];
}

# One request, with the header lines given: (status, body, head). The status is 0 when that was no HTTP answer.
sub fetch {
    my ($port, $path, $method, @headers) = @_;
    $method //= 'GET';
    my $answer = ask($port, join("\r\n", "$method $path HTTP/1.0", @headers, '', ''));
    my ($head, $status, $body) = $answer =~ m{\A(HTTP/1\.1 (\d+) .*?\r\n)\r\n(.*)\z}s or return (0, $answer, '');
    return ($status, $body, $head);
}

# A request to a node's discovery port, or to its check port.
sub discover { my ($node, $path, @more) = @_; return fetch(discovery_port($node), $path, @more) }
sub check    { my ($node, $path, @more) = @_; return fetch(check_port($node), $path, @more) }

# The status alone, and the body alone, decoded.
sub code    { return (check(@_))[0] }
sub json_of { my ($status, $body) = @_; return decode_json($body) }

# The value of a field in a head; undef when it is not there, and a text that fits nothing when it is there twice.
sub field_of {
    my ($head, $name) = @_;
    my @values = $head =~ /^\Q$name\E: *(.*?)\r$/mgi;
    return @values > 1 ? "given twice: @values" : $values[0];
}

# A line command to a node's check port: what an agent hears. And one to its discovery port.
sub line           { my ($node, $command) = @_; return ask(check_port($node),     "$command\n") }
sub discovery_line { my ($node, $command) = @_; return ask(discovery_port($node), "$command\n") }

# ---- connections that stay -----------------------------------------------------------------------------------------

sub connect_to {
    my ($port) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => $patience)
      or croak "could not connect to port $port: $!";
    setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1 or croak "setsockopt: $!";
    $unread{$socket} = '';
    return $socket;
}

# Sends each piece after the server has read the one before, so that it really sees them one by one: it serves its
# connections in the order in which something comes, so the answer on a second connection tells when that is.
sub send_pieces {
    my ($socket, @pieces) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my $second = @pieces > 1 ? connect_to($socket->peerport) : undef;
    while (@pieces) {
        syswrite $socket, shift @pieces;
        next unless @pieces;
        syswrite $second, "GET / HTTP/1.1\r\n\r\n";
        receive($second);
    }
    return;
}

# The next answer on a connection: { status, head, body }, taken off by its Content-Length; undef when the server has
# ended the connection instead. $no_body: the answer to a HEAD.
sub receive {
    my ($socket, $no_body) = @_;
    my $deadline = time + $patience;
    while (1) {
        if ($unread{$socket} =~ m{\A(HTTP/1\.1 (\d+) .*?\r\n)\r\n}s) {
            my ($head, $status, $size) = ($1, $2, length $&);
            my $length = $no_body ? 0 : field_of($head, 'Content-Length') // croak "no length: $head";
            if (length $unread{$socket} >= $size + $length) {
                my $answer = substr $unread{$socket}, 0, $size + $length, '';
                return { status => $status, head => $head, body => substr($answer, $size) };
            }
        }
        croak "no answer in time, only: $unread{$socket}" if time > $deadline;
        next unless IO::Select->new($socket)->can_read(1);
        my $got = sysread $socket, $unread{$socket}, 65536, length $unread{$socket};
        next if $got;
        croak 'connection broken: ' . (defined $got ? "rest: $unread{$socket}" : $!)
          if !defined $got || $unread{$socket} ne '';
        delete $unread{$socket};
        return undef;
    }
}

# Sends bytes (or the pieces of an array) on a connection of their own; returns all answers until the server ends it.
# The last request has to ask for that.
sub answers_to {
    my ($port, $bytes) = @_;
    my $socket = connect_to($port);
    send_pieces($socket, ref $bytes ? @$bytes : $bytes);
    my @answers;
    while (my $answer = receive($socket)) { push @answers, $answer }
    return @answers;
}

1;
