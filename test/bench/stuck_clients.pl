# Clients that harm: stuck_clients.pl NUMBER PORT...
#
# Holds NUMBER connections to ports of 127.0.0.1, and makes a new one for each that is ended. Every other client begins a
# request and says nothing more; the rest ask without end and read nothing. Besides, one socket listens whose backlog is
# full: whoever connects to it gets no answer at all, as from an address behind a firewall.
#
# Writes the port of that socket when all are there, and goes on until it is killed.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use Socket qw(SOCK_STREAM);

my ($number, @ports) = @ARGV;
die "usage: stuck_clients.pl NUMBER PORT...\n" unless @ports;
$SIG{PIPE} = 'IGNORE';
$| = 1;

my $hole = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "listen: $!\n";
my @fill = map {
    IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $hole->sockport, Blocking => 0)
} 1 .. 4;

my %asks;    # a client that never reads -> 1
my $select = IO::Select->new;
my $opened = 0;

sub open_one {
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $ports[ $opened % @ports ], Timeout => 5)
      or return 0;
    $socket->blocking(0);
    $select->add($socket);
    if (int($opened++ / @ports) % 2) { $asks{$socket} = 1 }
    else                             { syswrite $socket, "GET /hosts HTTP/1.1\r\nHost: x\r\nX-Slow: " }
    return 1;
}

my $told;
while (1) {
    foreach (1 .. $number - $select->count) { open_one() or last }
    print $hole->sockport, "\n" unless $told++;
    foreach my $socket ($select->handles) {
        my $gone;
        if ($asks{$socket}) {
            my $sent = syswrite $socket, "GET /hosts HTTP/1.1\r\nHost: x\r\n\r\n" x 20;
            $gone = !defined $sent && !$!{EAGAIN};
        }
        else {
            $gone = defined sysread $socket, my $answer, 4096;    # a time-out is told, or the end
        }
        next unless $gone;
        delete $asks{$socket};
        $select->remove($socket);
        close $socket;
    }
    select undef, undef, undef, 0.05;
}
