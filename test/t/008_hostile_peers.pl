# Peers that are stuck or mean no good: a server that hangs while it logs sessions in, one that asks for endless hashing,
# one that announces a huge answer. None of them may cost the others anything, nor this server.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IO::Socket::INET;
use PgStatus;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $user = getpwuid $<;

# ---- a peer that speaks the protocol's words, one client at a time, and does what it is told with them

my @children;
END { local $?; kill 'KILL', $_ foreach @children; waitpid $_, 0 foreach @children }

sub read_exactly {
    my ($client, $bytes) = @_;
    my $all = '';
    while (length $all < $bytes) {
        sysread($client, $all, $bytes - length $all, length $all) or return;
    }
    return $all;
}

sub message { my ($type, $body) = @_; return $type . pack('N', 4 + length $body) . $body }

# The startup packet, after requests for encryption were declined.
sub welcome {
    my $client = shift;
    while (defined(my $head = read_exactly($client, 4))) {
        my $body = read_exactly($client, unpack('N', $head) - 4) // return;
        return 1 if unpack('N', $body) == 196608;
        syswrite $client, 'N';
    }
    return;
}

sub start_peer {
    my $talk = shift;
    my $socket = IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1', ReuseAddr => 1) or die "listen: $!";
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        $SIG{PIPE} = 'IGNORE';
        while (my $client = $socket->accept) {
            $talk->($client) if welcome($client);
            close $client;
        }
        POSIX::_exit(0);
    }
    push @children, $pid;
    return '127.0.0.1:' . $socket->sockport;
}

my $hasher = start_peer(sub {
    my $client = shift;
    syswrite $client, message('R', pack('N', 10) . "SCRAM-SHA-256\0\0");
    my $head = read_exactly($client, 5) // return;
    my $first = read_exactly($client, unpack('x N', $head) - 4) // return;
    my ($nonce) = $first =~ /,r=(.*)/ or return;
    syswrite $client, message('R', pack('N', 11) . "r=${nonce}abc,s=c2FsdHNhbHQ=,i=2000000000");
    sysread $client, my $rest, 1;
});

# A row of 900 MB, of which as much is sent as is taken.
my $giant = start_peer(sub {
    my $client = shift;
    syswrite $client, message('R', pack('N', 0)) . message('Z', 'I');
    read_exactly($client, 5) // return;
    syswrite $client, message('T', pack('n', 1) . "a\0" . pack('N n N n N n', 0, 0, 25, -1, -1, 0));
    syswrite $client, 'D' . pack('N', 900_000_000) . pack('n N', 1, 899_999_990);
    my $zeros = "\0" x 1_000_000;
    while (syswrite $client, $zeros) { }
});

# ---- the servers

my ($watcher, $stuck) = (new_node('watcher'), new_node('stuck'));
my $passfile = PostgreSQL::Test::Utils::tempdir() . '/pass';
append_to_file($passfile, "*:*:*:*:anything\n");
chmod 0600, $passfile;
init_node($stuck, 'pg_status.hosts' => name_of($stuck), max_connections => 30);
$stuck->start;
init_node($watcher,
    'pg_status.hosts'    => join(', ', map { name_of($_) } $watcher, $stuck) . ", $hasher name=hasher, $giant name=giant",
    'pg_status.conninfo' => "dbname=postgres user=$user passfile=$passfile");
$watcher->start;
$watcher->safe_psql('postgres', 'CREATE EXTENSION pg_status');

sub host { return row($watcher, $_[0]) }
sub last_check { return sql($watcher, "SELECT extract(epoch FROM last_check) FROM pg_status_host('" . name_of($_[0]) . "')") }
sub memory_mb {
    my ($kb) = read_from('/proc/' . worker_pid($watcher, 'poller') . '/status', 0) =~ /^VmRSS:\s+(\d+) kB/m;
    return $kb / 1024;
}

subtest 'endless hashing is refused' => sub {
    wait_for('the verdict', sub { (host('hasher')->{state} // '') eq 'down' });
    like(host('hasher')->{last_error}, qr/rounds of password hashing/, 'and the reason is told');
};

subtest 'a huge answer costs no memory to speak of' => sub {
    my $most = 0;
    wait_for('the verdict', sub {
        my $now = memory_mb();
        $most = $now if $now > $most;
        (host('giant')->{state} // '') eq 'down';
    });
    my $checked = last_check($watcher);
    wait_for('ten more rounds', sub {
        my $now = memory_mb();
        $most = $now if $now > $most;
        last_check($watcher) > $checked + 2;
    });
  SKIP: {
        skip 'under ASan memory is not bounded', 1 if is_under_asan(worker_pid($watcher, 'poller'));
        cmp_ok($most, '<', 250, "at most $most MB");
    }
    is(host(name_of($watcher))->{state}, 'up', 'the others are asked as ever');
};

subtest 'a server that hangs at the login is not filled with sessions' => sub {
    wait_for('both are up', sub { host(name_of($stuck))->{state} eq 'up' });
    my $locker = session($stuck);
    $locker->query('BEGIN');
    $locker->query('LOCK pg_catalog.pg_authid');
    # the kept sessions go on; new ones would hang
    $locker->query("SELECT pg_terminate_backend(pid) FROM pg_stat_get_activity(NULL) WHERE application_name LIKE 'pg_status%'");
    wait_for('it is down', sub { host(name_of($stuck))->{state} eq 'down' });
    my $checked = last_check($stuck);
    wait_for('many more probes', sub { last_check($stuck) > $checked + 8 });
    my $backends = () = processes_of($stuck);
    # one for each poller, this session, and the server's own processes
    cmp_ok($backends, '<=', 14, "$backends processes");
    ok(wait_for('the others', sub { last_check($watcher) > $checked + 8 }), 'the others are asked meanwhile');
    $locker->query('ROLLBACK');
    $locker->close;
    wait_for('it is up again', sub { host(name_of($stuck))->{state} eq 'up' });
};

is(raw_status($watcher), 'MASTER', 'the raw port answers');
done_testing;
