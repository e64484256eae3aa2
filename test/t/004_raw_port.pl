# The raw port as load balancers and scanners use it: many at once, clients that talk first, clients that never close,
# refused sources, ports that change and ports that are taken.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Errno qw(EINPROGRESS);
use IO::Select;
use IO::Socket::INET;
use IO::Socket::IP;
use PgStatus;
use PostgreSQL::Test::Cluster;
use Test::More;
use Time::HiRes qw(time);

my $slow_ms = 1000;    # an answer later than this is a failure; what is really expected is a few milliseconds

my $have_ipv6 = IO::Socket::IP->new(LocalHost => '::1', Listen => 1) ? 1 : 0;
my $addresses = '127.0.0.1, 127.0.0.2' . ($have_ipv6 ? ', ::1' : '');

my $node = init_node(new_node('node'), 'pg_status.listen_addresses' => $addresses);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_status');
wait_for('the first answer', sub { raw_status($node) eq 'MASTER' });

# Opens connections without waiting, $at_once of them at any time, for as long as $more, called with the number opened
# so far, is true. Each is read to its end and closed. Returns how many ended how, and the slowest in milliseconds.
sub storm {
    my ($at_once, $more) = @_;
    my $server = pack_sockaddr_in(raw_port($node), inet_aton('127.0.0.1'));
    my ($select, %open, %count) = (IO::Select->new);
    my ($opened, $slowest) = (0, 0);
    while (1) {
        while (keys %open < $at_once && $more->($opened)) {
            my $socket = IO::Socket::INET->new(Proto => 'tcp', Blocking => 0) or die "socket: $!";
            $opened++;
            if (!connect($socket, $server) && $! != EINPROGRESS) {
                $count{"connect: $!"}++;
                next;
            }
            $open{ fileno $socket } = { start => time, bytes => '' };
            $select->add($socket);
        }
        last unless keys %open;
        foreach my $socket ($select->can_read(0.1)) {
            my $client = $open{ fileno $socket };
            my $got    = sysread $socket, $client->{bytes}, 4096, length $client->{bytes};
            next if $got;
            finish($client, defined $got ? 'FIN' : "$!", \%count, \$slowest);
            delete $open{ fileno $socket };
            $select->remove($socket);
            close $socket;
        }
        my $now   = time;
        my @stuck = grep { $now - $open{ fileno $_ }{start} > 10 } $select->handles;
        foreach my $socket (@stuck) {
            finish($open{ fileno $socket }, 'nothing for 10 s', \%count, \$slowest);
            delete $open{ fileno $socket };
            $select->remove($socket);
        }
    }
    return (\%count, $slowest * 1000, $opened);
}

sub finish {
    my ($client, $how, $count, $slowest) = @_;
    my $took = time - $client->{start};
    $$slowest = $took if $took > $$slowest;
    $count->{"\"$client->{bytes}\", $how"}++;
    return;
}

sub calm {
    my ($what, $count, $slowest, $opened) = @_;
    is_deeply($count, { "\"MASTER\n\", FIN" => $opened }, "$what: all $opened got the whole line and a FIN");
    cmp_ok($slowest, '<', $slow_ms, sprintf '%s: the slowest took %.1f ms', $what, $slowest);
    return;
}

subtest 'addresses' => sub {
    foreach my $address ('127.0.0.1', '127.0.0.2') {
        is_deeply([ raw_bytes($node, address => $address) ], [ "MASTER\n", 'closed' ], "answers on $address");
    }
    is(raw_status($node, address => '127.0.0.3'), 'refused', 'but not on an address that is not listed');
  SKIP: {
        skip 'this machine has no IPv6', 1 unless $have_ipv6;
        is(raw_status($node, address => '::1'), 'MASTER', 'answers on ::1');
    }
};

subtest 'many at once' => sub {
    my $end = time + 5;
    calm('128 at a time for 5 s', storm(128, sub { time < $end }));
    calm("burst $_ of 512", storm(512, sub { $_[0] < 512 })) foreach 1 .. 5;
};

subtest 'clients that send first' => sub {
    my %hello = (
        'a line end'     => "\r\n",
        'HTTP'           => "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        'a PROXY header' => "PROXY TCP4 127.0.0.1 127.0.0.1 56324 443\r\n",
        '64 KiB'         => 'x' x 65536);
    foreach my $what (sort keys %hello) {
        my %count;
        foreach (1 .. 250) {
            my ($bytes, $how) = raw_bytes($node, send => $hello{$what});
            $count{"$bytes$how"}++;
        }
        is_deeply(\%count, { "MASTER\nclosed" => 250 }, "$what first: the whole line and a FIN, 250 of 250");
    }
};

subtest 'silent holders' => sub {
    my (@held, $slowest);
    foreach (1 .. 600) {
        push @held, IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => raw_port($node)) // die "connect: $!";
        next if @held % 50;
        my $start = time;
        my $word  = raw_status($node);
        my $took  = time - $start;
        $slowest = $took if !defined $slowest || $took > $slowest;
        is($word, 'MASTER', 'an answer with ' . @held . ' connections held open');
    }
    cmp_ok($slowest * 1000, '<', $slow_ms, sprintf 'the slowest took %.1f ms', $slowest * 1000);
    my %count;
    foreach my $socket (@held) {
        my ($bytes, $how) = read_to_end($socket);
        $count{"$bytes$how"}++;
    }
    is_deeply([ grep { !/\AMASTER\n/ } keys %count ], [], 'and each holder has had its line as well');
};

subtest 'refused sources' => sub {
    set_conf($node, 'pg_status.allow' => '127.0.0.1/32');
    wait_for('the setting to be used', sub { (raw_bytes($node, from => '127.0.0.3'))[0] eq '' });
    my %count;
    foreach (1 .. 50) {
        my ($bytes, $how) = raw_bytes($node, from => '127.0.0.3');
        $count{"$bytes$how"}++;
    }
    is_deeply(\%count, { closed => 50 }, 'closed without data');
    is(raw_status($node, from => '127.0.0.1'), 'MASTER', 'an allowed source is answered');
    set_conf($node, 'pg_status.allow' => '');
    wait_for('everyone to be allowed again', sub { raw_status($node, from => '127.0.0.3') eq 'MASTER' });
};

subtest 'reload moves the port' => sub {
    my ($old, $new) = (raw_port($node), PostgreSQL::Test::Cluster::get_free_port());
    my $connect  = sub { IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $old) // die "connect: $!" };
    my $listener = worker_pid($node, 'listener');
    my @clients  = map { $connect->() } 1 .. 20;
    is(raw_status($node), 'MASTER', 'one more client is answered, so those before it have been accepted');

    # Ten more connect while the listener sleeps, so that it finds the reload and the clients at the same time.
    kill 'STOP', $listener;
    push @clients, map { $connect->() } 1 .. 10;
    set_conf($node, 'pg_status.port' => $new);
    wait_for('the reload to reach it', sub { pending_signals($listener) & 1 });    # SIGHUP
    kill 'CONT', $listener;
    wait_for('the new port', sub { raw_status($node, port => $new) eq 'MASTER' });
    wait_for('the old port to close', sub { raw_status($node) eq 'refused' });
    my @ends = map { join '', read_to_end($_) } @clients;
    is_deeply([ @ends[ 0 .. 19 ] ], [ ("MASTER\nclosed") x 20 ], 'connections made before are unharmed');
    is_deeply([ @ends[ 20 .. 29 ] ], [ ("MASTER\nclosed") x 10 ], 'also those made at the same moment');
    is(worker_pid($node, 'listener'), $listener, 'by the same worker');
    set_conf($node, 'pg_status.port' => 0);
    wait_for('port 0 to close it', sub { raw_status($node, port => $new) eq 'refused' });
    set_conf($node, 'pg_status.port' => $old, 'pg_status.listen_addresses' => '127.0.0.2');
    wait_for('another address', sub { raw_status($node, address => '127.0.0.2') eq 'MASTER' });
    is(raw_status($node), 'refused', 'and the one left out is closed');
    set_conf($node, 'pg_status.listen_addresses' => '127.0.0.1');
    wait_for('the first address', sub { raw_status($node) eq 'MASTER' });
    pass('moved, closed and opened again without a restart');
};

subtest 'a port that is taken' => sub {
    $node->stop;
    my $squatter = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => raw_port($node), Listen => 5,
        ReuseAddr => 1) or die "could not take the port: $!";
    my $offset = log_offset($node);
    forget_session($node);
    $node->start;
    is(sql($node, 'SELECT 1'), 1, 'the server starts all the same');
    wait_for('a warning', sub { grep { /WARNING: .*\Q@{[ raw_port($node) ]}\E/ } pg_status_log($node, $offset) });
    my $listener = worker_pid($node, 'listener');
    close $squatter;
    wait_for('the port to be bound', sub { raw_status($node) eq 'MASTER' });
    is(worker_pid($node, 'listener'), $listener, 'and binds the port when it is free, by the same worker');
    my @warnings = grep { /WARNING/ } pg_status_log($node, $offset);
    cmp_ok(scalar @warnings, '<=', 3, 'without filling the log');
};

done_testing;
