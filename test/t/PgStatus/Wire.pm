# A client that speaks PostgreSQL's protocol itself, without a process or a library: for hundreds of short sessions, and
# for peers that a library would not talk to. Simple queries, and servers that ask for no password. It knows nothing of
# what is asked.
package PgStatus::Wire;

use strict;
use warnings;

use Carp;
use IO::Select;
use IO::Socket::INET;
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);

# A session at a port of 127.0.0.1; dies when there is none in time. %options: user, database, patience (seconds), and
# `startup`: more parameters for the startup packet, names and values in turn.
sub new {
    my ($class, $port, %options) = @_;
    my $self = bless { in => '', patience => $options{patience} // 10 }, $class;
    $self->{socket} = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => $self->{patience})
      or croak "no connection: $!";
    setsockopt $self->{socket}, IPPROTO_TCP, TCP_NODELAY, 1;
    my @startup = (user => $options{user} // scalar getpwuid($<), database => $options{database} // 'postgres',
        @{ $options{startup} // [] });
    my $packet = pack('N', 3 << 16) . join('', map { "$_\0" } @startup) . "\0";
    $self->put(pack('N', 4 + length $packet) . $packet);
    $self->take_until_ready;
    return $self;
}

# The rows of all statements of a query, each a reference to its cells; dies with the server's words.
sub query {
    my ($self, $query) = @_;
    $self->put('Q' . pack('N', 5 + length $query) . "$query\0");
    return $self->take_until_ready;
}

# Says good-bye, as a client should.
sub close {
    my ($self) = @_;
    eval { $self->put('X' . pack('N', 4)) };
    return $self->drop;
}

# Goes without a word.
sub drop { my ($self) = @_; CORE::close($self->{socket}); return }

sub put {
    my ($self, $bytes) = @_;
    local $SIG{PIPE} = 'IGNORE';
    (syswrite($self->{socket}, $bytes) // 0) == length $bytes or croak "connection lost: $!";
    return;
}

sub take_until_ready {
    my ($self) = @_;
    my ($deadline, $error, @rows) = (time + $self->{patience});
    while (1) {
        my ($type, $body) = $self->message($deadline);
        if ($type eq 'D') { push @rows, cells($body) }
        if ($type eq 'R' && unpack('N', $body) != 0) { croak 'a password is asked for' }
        if ($type eq 'E') {
            my ($text) = $body =~ /(?:\A|\0)M([^\0]*)/;
            $error //= $text;
            croak $text if $body =~ /(?:\A|\0)S(?:FATAL|PANIC)\0/;
        }
        last if $type eq 'Z';
    }
    croak $error if defined $error;
    return @rows;
}

sub message {
    my ($self, $deadline) = @_;
    while (1) {
        my $size = length $self->{in} < 5 ? undef : 1 + unpack 'N', substr $self->{in}, 1, 4;
        if (defined $size && length $self->{in} >= $size) {
            my $message = substr $self->{in}, 0, $size, '';
            return (substr($message, 0, 1), substr $message, 5);
        }
        my $left = $deadline - time;
        croak 'no answer in time' if $left <= 0 || !IO::Select->new($self->{socket})->can_read($left);
        sysread $self->{socket}, $self->{in}, 65536, length $self->{in} or croak 'connection lost';
    }
}

sub cells {
    my ($body) = @_;
    my $count = unpack 'n', substr $body, 0, 2, '';
    my @cells;
    foreach (1 .. $count) {
        my $size = unpack 'l>', substr $body, 0, 4, '';
        push @cells, $size < 0 ? undef : substr $body, 0, $size, '';
    }
    return \@cells;
}

1;
