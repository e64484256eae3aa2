# A listener that gets no more memory: whoever cannot be answered is let go, nobody gets half an answer, no descriptor is
# lost, and above all the server goes on. Memory is refused by a limit that is set to what the listener has just then.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IO::Socket::INET;
use PgStatus;
use PgStatus::Http;
use Test::More;

plan skip_all => 'prlimit is not installed' unless -x '/usr/bin/prlimit';

my $node = new_node('node');
init_node($node);
$node->start;
open_http($node);
my $listener   = worker_pid($node, 'listener');
my $postmaster = postmaster_pid($node);
plan skip_all => 'ASan ends a process that gets no memory' if is_under_asan($listener);
my $log_start  = log_offset($node);

sub files { return scalar(() = glob "/proc/$listener/fd/*") }

sub limit_memory {
    my ($bytes) = @_;
    system('prlimit', '--pid', $listener, "--data=$bytes:") == 0 or die 'prlimit failed';
    return;
}

sub in_use { return 1024 * (read_from("/proc/$listener/status", 0) =~ /^VmData:\s+(\d+)/m)[0] }

sub client {
    my ($port) = @_;
    return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 30);
}

# A whole answer is one whose body is as long as its head says.
sub is_whole {
    my ($answer) = @_;
    my ($length, $body) = $answer =~ m{\AHTTP/1\.1 \d+ .*?\r\nContent-Length: (\d+)\r\n.*?\r\n\r\n(.*)\z}s or return 0;
    return length $body == $length;
}

# Clients of the check port that have been answered once, and stay.
sub regulars {
    my ($count) = @_;
    my @clients = map { client(check_port($node)) } 1 .. $count;
    foreach my $client (@clients) {
        print $client "GET /liveness HTTP/1.1\r\n\r\n";
        sysread $client, my $bytes, 4096;
    }
    return @clients;
}

# Heads that never end fill what memory there is, in smaller and smaller portions.
sub eat {
    my (@clients) = @_;
    my @portions = ((15000) x 14, 8000, 4000, 2000, 1000, 600, 490);
    foreach my $i (0 .. $#clients) {
        syswrite $clients[$i], "GET /primary HTTP/1.1\r\nX: " . 'a' x $portions[ @portions * $i / @clients ];
    }
    return;
}

my $files = files();
local $SIG{PIPE} = 'IGNORE';

# libuv has made room for watchers up to certain numbers of descriptors when that many were there for the first time.
foreach my $count (120, 250, 480) {
    my @clients = regulars($count);
    limit_memory(in_use());
    eat(@clients[ 0 .. $count - 11 ]);
    my ($whole, $nothing, $broken) = (0, 0, 0);
    foreach my $i (1 .. 120) {
        my $port   = $i % 2 ? discovery_port($node) : check_port($node);
        my $answer = ask($port, 'GET /' . ($i % 2 ? 'hosts' : 'patroni') . " HTTP/1.0\r\n\r\n");
        $answer eq '' ? $nothing++ : is_whole($answer) ? $whole++ : $broken++;
    }
    is($broken, 0, "$count clients: every answer is a whole one ($whole), or there is none ($nothing)");
    is(raw_status($node), 'MASTER', 'the raw port answers');
    limit_memory('unlimited');
    is(worker_pid($node, 'listener') // 'none', $listener, 'the listener is the same process');
    $_->close foreach @clients;
    wait_for('all descriptors to be closed', sub { files() <= $files });
    pass('no descriptor is lost');
}

like((discover($node, '/master'))[1], qr/^localhost:/, 'the discovery port answers again');
is(code($node, '/primary'),         200,            'the check port answers again');
is(raw_status($node),               'MASTER',       'so does the raw port');
like((check($node, '/metrics'))[1], qr/connections\{port="check"\} 1\n/, 'no client is counted who is not there');
is(postmaster_pid($node), $postmaster, 'the server was not restarted');
unlike(log_text($node, $log_start), qr/terminated by signal|all server processes terminated/, 'nobody crashed');
my @told = pg_status_log($node, $log_start);
cmp_ok(@told, '<', 20, 'the log is not flooded');
cmp_ok(scalar(grep { /out of memory/ } @told), '>', 0, 'and it says what happened');

done_testing;
