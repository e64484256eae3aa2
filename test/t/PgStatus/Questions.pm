# Everything that can be asked of a node, good questions and bad ones: each path and word of each port, bytes that are
# no question at all, each SQL function with and without arguments, settings that are refused. It looks at no answer
# closer than it takes to know that there was one: what they should be is said in other tests.
package PgStatus::Questions;

use strict;
use warnings;

use Exporter 'import';
use IO::Select;
use PgStatus;
use PgStatus::Http;
use Time::HiRes qw(time);

our @EXPORT = qw(ask_everything glance);

# Deadline of an answer, in seconds; who sent half a request is told to go, or let go, before.
my $patience = 120;

my @accept    = ('Accept: application/json');
my @limits    = qw(?lag_ms=1000 ?lag_bytes=1MB ?lag_bytes=18446744073709551615 ?lag_ms=-1 ?lag_ms=%31
  ?lag_ms=1&lag_bytes=x ?min_lsn=0/1 ?min_lsn=FFFFFFFF/FFFFFFFF ?min_lsn=no);
my @selectors = qw(/replica /sync_by_time /sync_by_bytes /sync_by_time_or_bytes /sync_by_time_and_bytes
  /most_sync_by_bytes);
my @discovery = (qw(/master /hosts /status /status?host=nobody /status?host=%zz /ready /live /version /nope /%zz /
      /hosts?wait=0.01&generation=1 /hosts?wait=x /hosts?wait=1),
    @selectors, map { "$selectors[0]$_" } @limits);
my @roles = qw(/ /primary /master /read-write /leader /standby-leader /standby_leader /replica /read-only /sync
  /synchronous /quorum /async /asynchronous /read-only-sync /read-only-synchronous /read-only-quorum /readiness /health
  /liveness);
my @check = (@roles, qw(/patroni /node /cluster /metrics /ui /ui/data /ui/data?since=1 /ui/data?wait=0.01&generation=1
      /ui/data?since=18446744073709551615 /ui/data?wait=1 /ui/data?since=x /nope
      /replica?lag=10MB /replica?lag=x /replica?tag_a=b /replica?replication_state=streaming
      /readiness?lag=1kB&mode=write /readiness?mode=apply));
my @agent = ('agent', 'agent?role=replica&lag=10MB&soft=1MB', 'agent?role=any&primary_weight=5&down=drain',
    'agent?role=primary&down=maint', 'agent?role=none', 'agent?lag=', 'replica?lag=10MB', 'primary', 'metrics', 'nope',
    'x' x 1100);

# A TLS 1.2 hello, a PostgreSQL startup packet and a request for encryption, HTTP/2's first words, and worse.
my @garbage = (
    "\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03" . "\x5a" x 32 . "\x00\x00\x04\x13\x01\x00\xff\x01\x00",
    pack('N N', 8, 80877103), pack('N N Z* Z* x', 23, 196608, 'user', 'nobody'), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    join('', map { chr } 0 .. 255), "\0" x 5000, "\r\n\r\n\r\n", "\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "GET /hosts HTTP/1.1\r\n" . "X-Field: " . 'y' x 17_000 . "\r\n\r\n", "GET /" . 'z' x 17_000 . " HTTP/1.1\r\n\r\n",
    "GET /replica HTTP/1.1\r\n: nothing\r\n\r\n", "GET /replica HTTP/1.1\r\nHost: a\r\n" . "A: b\r\n" x 2000 . "\r\n");

my @halves = ('', 'G', "GET /hosts HT", "GET /hosts HTTP/1.1\r\nHost: x\r\nAccept: appl", 'agent?role=rep', "\x16\x03");

my @sql = (
    map({ "SELECT pg_status_$_" } 'master()', 'replica()', 'replica(lag_ms => 500)', "replica(min_lsn => '0/1')",
        "replica(1, 2, 'FF/FF')", 'sync_by_time()', "sync_by_time(18446744073709551615, '0/1')", 'sync_by_bytes()',
        'sync_by_bytes(0)', 'sync_by_time_or_bytes()', 'sync_by_time_and_bytes(1000, 1000)', 'most_sync_by_bytes()',
        "most_sync_by_bytes(1, '1/0')", 'ready()', 'live()', 'version()', 'is_split_brain()', 'quorum()', 'local()'),
    'SELECT * FROM pg_status_hosts', 'SELECT * FROM pg_status_hosts()', 'SELECT * FROM pg_status_local()',
    'SELECT h.* FROM pg_status_hosts g, pg_status_host(g.host) h', "SELECT * FROM pg_status_host('nobody')",
    'SELECT * FROM pg_status_host(NULL)', 'SELECT * FROM pg_status_quorum()',
    map({ "SELECT count(*) FROM pg_status_$_" } qw(events stats pool_nodes)), 'SELECT pg_status_generation()',
    'SELECT pg_status_wait(0)', 'SELECT pg_status_wait(pg_status_generation(), 0.01)', 'SELECT pg_status_poll_now()',
    "SELECT pg_status_detach_node(host, reason => 'asked for'), pg_status_attach_node(host),
        pg_status_set_weight(host, 2), pg_status_set_weight(host, NULL), pg_status_stats_reset(host)
        FROM pg_status_hosts() WHERE role = 'standby'",
    map({ "SELECT pg_status_check('$_')" } 'primary', '/replica?lag=10MB', 'metrics', 'nope', '', 'replica?lag=x'),
    map({ "SELECT pg_status_agent('$_')" } 'agent', 'agent?role=replica&lag=10MB', 'agent?role=none', ''),
    "SELECT current_setting('pg_status.opinions'), current_setting('pg_status.node_state')",
    "SELECT current_setting('pg_status.facts')",
    "SELECT count(*) FROM pg_settings WHERE name LIKE 'pg_status.%'",
    'SELECT count(pg_status_replica()) FROM generate_series(1, 200)');

# Each of these is an error.
my @bad_sql = (
    'SELECT pg_status_replica(lag_ms => -1)', "SELECT pg_status_replica(lag_ms => 'NaN')",
    'SELECT pg_status_replica(lag_bytes => 18446744073709551616)', 'SELECT pg_status_sync_by_time(0.5)',
    "SELECT pg_status_detach_node('nobody')", 'SELECT pg_status_set_weight(0, -1)', 'SELECT pg_status_wait(0, -1)',
    "SET pg_status.opinions = 'opinions 1'", "SET pg_status.hosts = 'a'", "SET pg_status.node_state = 'primary'",
    "SET pg_status.facts = 'facts 1'",
    map { "ALTER SYSTEM SET pg_status.$_" } "hosts = 'db1:'", "hosts = 'a, b name=a'", "hosts = 'a weight=heavy'",
        "hosts = '" . join(',', map { "h$_" } 1 .. 100) . "'", "conninfo = 'sslmoed=require'",
        "conninfo = 'password=tell-nobody'", "conninfo = 'dbname=postgres password'", "listen_addresses = 'nope'",
        "allow = '10.0.0.0/33'", "allow = '10.1.2.3/8'", 'port = 70000', "dc = 'a b'");

# All of it, of one node. Dies when a good question gets no answer.
sub ask_everything {
    my ($node) = @_;
    my ($discovery, $check) = (discovery_port($node), check_port($node));
    foreach my $send (undef, 'x', "GET / HTTP/1.0\r\n\r\n", $garbage[0]) {
        my $word = raw_status($node, defined $send ? (send => $send) : ());
        die $node->name . ": the raw port says $word\n" unless $word =~ /\A[A-Z]+\z/;
    }
    foreach my $path (@discovery) {
        answered($node, $path, discover($node, $path));
        answered($node, $path, discover($node, $path, 'GET', @accept));
    }
    answered($node, $_, discover($node, '/master', $_)) foreach qw(HEAD POST OPTIONS NOPE);
    discovery_line($node, substr $_, 1) foreach @discovery;
    answered($node, $_, check($node, $_)) foreach @check;
    foreach my $method (qw(HEAD OPTIONS POST)) { answered($node, $method, check($node, $_, $method)) foreach @roles }
    line($node, $_) foreach @agent;
    foreach my $port ($discovery, $check) {
        # one after the other on one connection, all at once, and in pieces
        my @paths = $port == $check ? @roles : @selectors;
        my $last = "GET /live HTTP/1.1\r\nConnection: close\r\n\r\n";
        my @answers = answers_to($port, join('', map { "GET $_ HTTP/1.1\r\nHost: x\r\n\r\n" } @paths) . $last);
        die $node->name . ': ' . @answers . " answers to a pipeline\n" unless @answers == @paths + 1;
        answers_to($port, [ 'GE', "T /master HTTP/1.1\r", "\nHost: x\r\nConne", "ction: close\r\n\r", "\n" ]);
        say_and_leave($port, $_, 1) foreach @garbage, @halves;
        say_and_leave($port, $_, 0) foreach @garbage, @halves;
    }
    ask_sql($node);
    return;
}

sub answered {
    my ($node, $path, $status) = @_;
    die $node->name . ": no answer to $path\n" unless $status;
    return;
}

# Says something that may be no request; waits for what comes of it, or does not.
sub say_and_leave {
    my ($port, $bytes, $wait) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my $socket = connect_to($port);
    syswrite $socket, $bytes if length $bytes;
    shutdown $socket, 1 if $wait;
    my $deadline = time + $patience;
    while ($wait) {
        die "neither answered nor let go on port $port\n" if time > $deadline;
        next unless IO::Select->new($socket)->can_read(1);
        sysread $socket, my $answer, 65536 or last;
    }
    close $socket;
    return;
}

# In a session of its own, which ends afterwards. Twice, because what is kept once for a session is not lost.
sub ask_sql {
    my ($node) = @_;
    my $session = session($node);
    $session->query($_) foreach @sql, @sql;
    foreach my $query (@bad_sql) {
        die $node->name . ": $query is no error\n" if defined eval { $session->query($query) };
    }
    $session->close;
    return;
}

# A short look, at whichever ports are open: 0 stands for one that is not where it should be.
sub glance {
    my ($node) = @_;
    raw_status($node);
    discover($node, $_) foreach qw(/master /replica /hosts);
    check($node, $_) foreach qw(/primary /replica?lag=1MB /patroni /cluster);
    line($node, 'agent?role=any');
    return;
}

1;
