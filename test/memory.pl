# The day of test/memory: what happens to its three servers, and the judgement on the reports that valgrind made of
# their processes. It runs inside the place that test/memory has made, with a pg_ctl that starts servers under valgrind.
#
# Everything takes 20 to 50 times longer there, so timeouts of the polls are long, and what is waited for has minutes.
# The poller's watchdog needs no other setting: a step counts as stuck when it has lasted for ten seconds and has used
# five of processor time, or has lasted for a minute; the longest here, a handful of logins, takes less than one.
use strict;
use warnings;

my $terminal;
BEGIN { open $terminal, '>&', \*STDOUT or die "STDOUT: $!" }    # PostgreSQL::Test::Utils takes STDOUT for its log

use FindBin;
use lib "$FindBin::RealBin/t";
use List::Util qw(sum0);
use PgStatus;
use PgStatus::Clients;
use PgStatus::Failover;
use PgStatus::Http;
use PgStatus::Memcheck;
use PgStatus::Peers;
use PgStatus::Questions;
use PgStatus::Soak::Vitals;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(time);

my ($days, $folder) = @ARGV;

# What each node goes back to after each change.
my %usual = (
    'pg_status.poll_interval'      => '1s',
    'pg_status.fast_poll_interval' => '200ms',
    'pg_status.poll_timeout'       => '5s',
    'pg_status.conn_max_age'       => '5min',
    'pg_status.max_fails'          => 3,
    'pg_status.max_clients'        => 512,
    'pg_status.client_timeout'     => '5s',
    'pg_status.listen_addresses'   => '127.0.0.1',
    'pg_status.allow'              => '',
    'pg_status.dc'                 => '',
    'pg_status.geo'                => '',
    'pg_status.fence'              => 'off',
    'pg_status.conninfo'           => 'dbname=postgres user=' . getpwuid $<);

# A poll in fast motion; fewer than this in a day would prove little.
my $fewest_polls = 1000;

my ($passed, $failed) = (0, 0);
my (@nodes, $primary, $memcheck, $hosts, $nowhere, @bad_hosts);
my (%counted, %ended, %cut);    # process id -> 1: we ended it; it was cut short
my ($changes, $rebuilt) = (0, 0);
my $secrets = PostgreSQL::Test::Utils::tempdir();

# ---- telling -------------------------------------------------------------------------------------------------------

sub say_out { syswrite $terminal, "$_\n" foreach @_; return }

sub verify {
    my ($good, $what, @more) = @_;
    $good ? $passed++ : $failed++;
    say_out(map { s/^/# /mgr } @more) unless $good;
    say_out(($good ? 'ok - ' : 'not ok - ') . $what);
    return $good;
}

# ---- counting ------------------------------------------------------------------------------------------------------

# The counters of a node begin anew with each worker, and a host's with each time that it comes into the list.
sub count {
    my ($node) = @_;
    $memcheck->hear;
    my ($status, $text) = check($node, '/metrics');
    return unless $status == 200;
    while ($text =~ /^(pg_status_(polls|requests|config_reloads)_total\S*) (\d+)$/mg) {
        my $counter = $counted{$2}{ $node->name . $1 } //= { before => 0, last => 0 };
        $counter->{before} += $counter->{last} if $3 < $counter->{last};
        $counter->{last} = $3;
    }
    return;
}

sub counted {
    my ($what, $pattern) = @_;
    my $all = $counted{$what} // {};
    return sum0(map { $all->{$_}{before} + $all->{$_}{last} } grep { $_ =~ $pattern } keys %$all);
}

# ---- the cluster ---------------------------------------------------------------------------------------------------

sub standbys { return grep { $_ != $primary } @nodes }

sub all_known {
    my %role = map { $_->name => $_ == $primary ? 'primary' : 'standby' } @nodes;
    wait_roles(\@nodes, \%role);
    $memcheck->hear;
    return;
}

# What a day has beside PostgreSQL's own: a certificate and a role with a password.
sub open_doors {
    system("openssl req -x509 -newkey rsa:2048 -nodes -keyout '$secrets/key' -out '$secrets/crt' -subj /CN=localhost"
          . " -addext subjectAltName=IP:127.0.0.1 -days 2 2>'$secrets/log'") == 0
      or die read_from("$secrets/log", 0);
    append_to_file("$secrets/pass", "*:*:*:watcher:secret\n");
    chmod 0600, "$secrets/key", "$secrets/pass";
    sql($primary, "SET password_encryption = 'scram-sha-256'");
    sql($primary, "CREATE ROLE watcher LOGIN PASSWORD 'secret' IN ROLE pg_monitor");
    foreach my $node (@nodes) {
        my $hba = $node->data_dir . '/pg_hba.conf';
        my $old = read_from($hba, 0);
        unlink $hba;
        append_to_file($hba, "host all watcher 127.0.0.1/32 scram-sha-256\n$old");
    }
    reconfigure([@nodes], ssl => 'on', ssl_cert_file => "$secrets/crt", ssl_key_file => "$secrets/key");
    return;
}

sub start {
    $nowhere = '127.0.0.1:' . PostgreSQL::Test::Cluster::get_free_port() . ' name=nowhere';
    @nodes = start_cluster([qw(node1 node2 node3)],
        %usual,
        more                    => ", $nowhere",
        log_min_messages        => 'debug3',       # names each worker when it starts
        log_min_error_statement => 'panic',
        jit                     => 'off',
        bgwriter_delay          => '10s',
        authentication_timeout  => '5min',
        wal_sender_timeout      => 0,
        wal_receiver_timeout    => 0,
        checkpoint_timeout      => '1h');
    $primary  = $nodes[0];
    $hosts    = hosts_of(@nodes) . ", $nowhere";
    $memcheck = PgStatus::Memcheck->new($folder, @nodes);
    open_doors();
    start_bad_hosts();
    return;
}

sub start_bad_hosts {
    my $row = row_description(1);
    @bad_hosts = (
        peer('refusing', login => error_message('FATAL', '28P01', 'password authentication failed'), close => 1),
        peer('full',     login => error_message('FATAL', '53300', 'sorry, too many clients already'), close => 1),
        peer('starting', login => error_message('FATAL', '57P03', 'the database system is starting up'), close => 1),
        peer('hostile',  login => error_message('FATAL', '28000', "\r\n\x1b[2J" . '"%s\\' x 2000), close => 1),
        peer('http',     at_once => "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", login => '', close => 1),
        peer('half',     login => substr(welcome('15.0'), 0, 11)),
        peer('half_row', login => welcome('15.0'), answer => $row . "D\0\0\0\x64\0\1\0\0"),
        peer('rows',     login => welcome('15.0'), answer => $row, endless => data_row('x' x 100) x 50),
        peer('denied',   login => welcome('15.0'),
            answer => error_message('ERROR', '42501', 'z' x 100_000) . ready_for_query()),
        peer('other',    login => welcome('15.0'), answer => answer_of([ primary_cells() ])),
        peer('mute'),
        'no-such-host.invalid name=unknown', 'localhost:1 name=by_name', '/nonexistent:1 name=no_socket');
    return;
}

# ---- reloads -------------------------------------------------------------------------------------------------------

# Gives nodes other settings, and returns when both workers of each have read them. That is told by a file that is to be
# included and does not exist: each process that reads the settings has a line in the log about it.
sub reconfigure {
    my ($which, %settings) = @_;
    my $mark = 'change-' . ++$changes;
    my %offset = map { $_->name => log_offset($_) } @$which;
    foreach my $node (@$which) {
        replace_conf($node, %settings, include_if_exists => $mark);
        kill 'HUP', postmaster_pid($node);
    }
    foreach my $node (@$which) {
        foreach my $kind (qw(poller listener)) {
            my $told = qr{pg_status $kind LOG:  skipping missing configuration file ".*/$mark"};
            wait_for("the $kind of " . $node->name . ' to read its settings',
                sub { log_text($node, $offset{ $node->name }) =~ $told });
        }
    }
    return;
}

# Until each host was asked since now.
sub all_asked {
    my ($node) = @_;
    my $since = sql($node, 'SELECT clock_timestamp()');
    wait_for('each host of ' . $node->name . ' to be asked',
        sub { sql($node, "SELECT coalesce(bool_and(last_check > '$since'), false) FROM pg_status_hosts") eq 't' });
    return;
}

# [ name, how often each host is asked then, settings of pg_status ]: tried one after the other, on each node in turn.
sub changes {
    my ($node) = @_;
    my $login    = 'dbname=postgres user=' . getpwuid $<;
    my $free     = sub { PostgreSQL::Test::Cluster::get_free_port() };
    my $own      = $node->port;
    my @labelled = map { name_of($nodes[$_]) . ' dc=' . qw(east west east)[$_] . " geo=g weight=$_" } 0 .. 2;
    my $named    = join ', ', map { name_of($_) . ' name=' . $_->name } @nodes;
    my $refused  = join ', ', map { "127.0.9.$_:1" } 1 .. 50;
    my $bad      = join ', ', @bad_hosts;
    my $roots    = "$login sslmode=verify-full sslrootcert=";
    return (
        [ 'another order of hosts',   1, hosts => "$nowhere, " . hosts_of(reverse @nodes) ],
        [ 'fewer hosts',              1, hosts => hosts_of($node) ],
        [ 'no host but itself',       1, hosts => '' ],
        [ 'itself by its socket',     1, hosts => $node->host . ":$own name=here, " . hosts_of(@nodes) ],
        [ 'labels',                   1, hosts => join(', ', @labelled), dc => 'east', geo => 'g' ],
        [ 'labels of some',           1, hosts => "$labelled[0], " . hosts_of(@nodes[ 1, 2 ]), dc => 'east' ],
        [ 'other names',              1, hosts => $named ],
        [ 'many hosts',               3, hosts => "$hosts, $refused" ],
        [ 'bad hosts',                4, hosts => "$hosts, $bad", poll_timeout => '2s' ],
        [ 'a wrong list of hosts',    0, hosts => 'db1:, db2 nmae=x' ],
        [ 'one place twice',          0, hosts => '127.0.0.1, 127.0.0.1:6543', conninfo => "$login port=6543" ],
        [ 'a password',               1, conninfo => "dbname=postgres user=watcher passfile=$secrets/pass" ],
        [ 'no password',              1, conninfo => 'dbname=postgres user=watcher passfile=/nonexistent' ],
        [ 'no such role',             2, conninfo => 'dbname=postgres user=nobody_here' ],
        [ 'no such database',         1, conninfo => "$login dbname=nowhere" ],
        [ 'TLS',                      1, conninfo => "$login sslmode=require" ],
        [ 'TLS that is verified',     4, conninfo => "$roots$secrets/crt", conn_max_age => '1s' ],
        [ 'TLS without a root',       1, conninfo => "$roots/nonexistent" ],
        [ 'no TLS, other options',    1, conninfo => "$login sslmode=disable options='-c statement_timeout=9s'" ],
        [ 'new connections',          4, conn_max_age => '1s' ],
        [ 'no patience',              5, poll_timeout => '10ms' ],
        [ 'a fast pace',              20, poll_interval => '20ms', fast_poll_interval => '10ms' ],
        [ 'a slow pace',              0, poll_interval => '11s' ],
        [ 'other ports',              0, port => $free->(), http_port => $free->(), check_port => $free->() ],
        [ 'ports that are taken',     0, port => $own, http_port => $own ],
        [ 'closed ports',             0, port => 0, http_port => 0, check_port => 0 ],
        [ 'all addresses',            0, listen_addresses => '*' ],
        [ 'addresses by name',        0, listen_addresses => 'localhost' ],
        [ 'addresses of others',      0, listen_addresses => '127.0.0.1, 192.0.2.1' ],
        [ 'no addresses',             0, listen_addresses => '' ],
        [ 'no clients allowed',       0, allow => '192.0.2.0/24, 2001:db8::/32' ],
        [ 'these clients allowed',    0, allow => '127.0.0.1, ::1' ],
        [ 'few clients, in a hurry',  0, max_clients => 3, client_timeout => '300ms' ]);
}

sub reload {
    my @each = changes($nodes[0]);
    foreach my $number (0 .. $#each) {
        my $node = $nodes[ $number % @nodes ];
        my ($name, $rounds, %settings) = @{ (changes($node))[$number] };
        reconfigure([$node], map { ("pg_status.$_" => $settings{$_}) } keys %settings);
        all_asked($node) foreach 1 .. $rounds;
        glance($node);
        count($node);
        reconfigure([$node], %usual,
            'pg_status.hosts'      => $hosts,
            'pg_status.port'       => raw_port($node),
            'pg_status.http_port'  => discovery_port($node),
            'pg_status.check_port' => check_port($node));
        progress($name);
    }
    # one after the other, without waiting
    foreach (1 .. 20) {
        kill 'HUP', map { postmaster_pid($_) } @nodes;
        glance($_) foreach @nodes;
    }
    reconfigure([@nodes]);
    all_known();
    return;
}

# ---- other events --------------------------------------------------------------------------------------------------

sub questions {
    foreach my $node (@nodes) { ask_everything($node); all_asked($node) }
    return;
}

sub sessions_ended {
    my @how = qw(terminate cancel terminate);
    foreach my $node (@nodes) {
        my $how = shift @how;
        sql($node, "SELECT count(pg_${how}_backend(pid)) FROM pg_stat_activity"
              . " WHERE application_name LIKE 'pg\\_status %'");
    }
    all_asked($_) foreach @nodes;
    all_known();
    return;
}

sub workers_ended {
    foreach my $node (@nodes) {
        foreach my $kind (qw(poller listener)) {
            my $pid = $memcheck->worker($node, $kind) // die "no $kind of " . $node->name . "\n";
            count($node);
            $ended{$pid} = 1;
            kill 'TERM', $pid;
            wait_for("a new $kind of " . $node->name,
                sub { my $now = $memcheck->worker($node, $kind); $now && $now != $pid });
        }
        glance($node);
    }
    foreach my $node (@nodes) {
        wait_for('the ports of ' . $node->name, sub { code($node, '/liveness') == 200 });
    }
    all_known();
    return;
}

sub bad_clients {
    my $node = $nodes[1];
    reconfigure([$node], 'pg_status.max_clients' => 20, 'pg_status.client_timeout' => '1s');
    my @crowds = (
        crowd(port => raw_port($node), count => 30, say => 'x', reset => 1, again => 1),
        crowd(port => discovery_port($node), count => 30, say => "GET /hosts HTTP/1.1\r\nHo", pace => 5, again => 1),
        crowd(port => discovery_port($node), count => 5, say => "GET /hosts HTTP/1.1\r\nHost: x\r\n\r\n", endless => 1,
            deaf => 1, again => 1),
        crowd(port => check_port($node), count => 10, say => "agent\n", half_close => 1, again => 1));
    # whoever never reads does not notice that it was let go
    my $deaf = crowd(port => check_port($node), count => 30, say => "GET /metrics HTTP/1.0\r\n\r\n", deaf => 1);
    wait_for('many clients of each sort to come and go', sub { !grep { $_->ended < 30 } @crowds });
    $_->leave foreach @crowds, $deaf;
    reconfigure([$node], %usual);
    wait_for('the ports of ' . $node->name, sub { code($node, '/liveness') == 200 });
    return;
}

# A standby; two_primaries() freezes the primary.
sub frozen {
    my ($node) = standbys();
    my @others = grep { $_ != $node } @nodes;
    reconfigure([@others], 'pg_status.poll_timeout' => '2s');
    freeze($node);
    foreach my $other (@others) {
        wait_row($other, $node, 'down', \&is_down);
        ask_everything($other);
    }
    thaw();
    reconfigure([@others], 'pg_status.poll_timeout' => $usual{'pg_status.poll_timeout'});
    all_known();
    return;
}

sub fence {
    my @standbys = standbys();
    reconfigure([@nodes], 'pg_status.fence' => 'on', 'pg_status.hosts' => hosts_of(@nodes),
        'pg_status.poll_timeout' => '2s');
    all_known();
    freeze($_) foreach @standbys;
    wait_for('the primary to be fenced', sub { raw_status($primary) eq 'FENCED' });
    ask_everything($primary);
    thaw();
    wait_for('the primary to be the master', sub { raw_status($primary) eq 'MASTER' });
    reconfigure([@nodes], 'pg_status.fence' => 'off', 'pg_status.hosts' => $hosts,
        'pg_status.poll_timeout' => $usual{'pg_status.poll_timeout'});
    all_known();
    return;
}

# The server waits for our session, and says so.
sub smart_stop {
    my ($node) = standbys();
    sql($node, 'SELECT 1');
    count($node);
    kill 'TERM', postmaster_pid($node);
    wait_for($node->name . ' to be stopping', sub { raw_status($node) eq 'STOPPING' });
    glance($node);
    forget_session($node);
    $node->stop('fast');
    glance($_) foreach grep { $_ != $node } @nodes;
    start_again($node);
    all_known();
    return;
}

sub failover { return replace_primary(0) }
sub two_primaries { return replace_primary(1) }

# The server kills whoever has not ended after five seconds: of these processes a report cannot be expected.
sub stop_at_once {
    my ($node) = @_;
    $cut{ $memcheck->worker($node, $_) // 0 } = 1 foreach qw(poller listener);
    $node->stop('immediate');
    return;
}

# The primary is stopped at once, or frozen until another has taken its place; then it becomes a standby again.
sub replace_primary {
    my ($awakes) = @_;
    my ($old, $new, $third) = ($primary, standbys());
    wait_caught_up($old, $new, $third);
    count($old);
    forget_session($old);
    $awakes ? freeze($old) : stop_at_once($old);
    wait_row($_, $old, 'down', \&is_down) foreach $new, $third;
    glance($_) foreach $new, $third;
    $new->promote;
    follow($third, $new);
    $primary = $new;
    wait_roles([ $new, $third ], { $new->name => 'primary', $third->name => 'standby' });
    if ($awakes) {
        thaw();
        foreach my $node (@nodes) {
            wait_for($node->name . ' to see two primaries',
                sub { (try_sql($node, 'SELECT pg_status_is_split_brain()') // '') eq 't' });
            glance($node);
        }
        ask_everything($new);
        count($old);
        forget_session($old);
        stop_at_once($old);
    }
    ask_everything($new) unless $awakes;
    glance($third);
    rebuild($old, $new, qw(rewind backup)[ $rebuilt++ % 2 ]);
    all_known();
    return;
}

my @events = (
    [ 'questions'      => \&questions ],
    [ 'reload'         => \&reload ],
    [ 'sessions ended' => \&sessions_ended ],
    [ 'bad clients'    => \&bad_clients ],
    [ 'workers ended'  => \&workers_ended ],
    [ 'frozen'         => \&frozen ],
    [ 'fence'          => \&fence ],
    [ 'smart stop'     => \&smart_stop ],
    [ 'failover'       => \&failover ],
    [ 'two primaries'  => \&two_primaries ]);

# ---- the whole -----------------------------------------------------------------------------------------------------

my $began = time;

sub progress {
    my ($what) = @_;
    $memcheck->hear;
    printf "# %.1f s: %s\n", time - $began, $what;
    return;
}

sub live {
    my %known = map { @$_ } @events;
    my @names = $ENV{EVENTS} ? split /,\s*/, $ENV{EVENTS} : map { $_->[0] } @events;
    foreach my $day (1 .. $days) {
        foreach my $name (@names) {
            my $start = time;
            ($known{$name} or die "there is no event \"$name\"\n")->();
            count($_) foreach @nodes;
            $memcheck->hear;
            say_out(sprintf '# %5.1f s  %s (%.1f s)', time - $began, $name, time - $start);
        }
    }
    foreach my $node (reverse @nodes) {
        forget_session($node);
        $node->stop('fast');
    }
    return;
}

# Whoever was not cut short has left a report.
sub judge_workers {
    my %judged;
    foreach my $worker (grep { $_->{kind} } $memcheck->reports) {
        my $who = "$worker->{node} $worker->{kind} $worker->{pid}";
        if (!$worker->{ended}) {
            $cut{ $worker->{pid} } ? say_out("# $who was killed in an immediate stop") : verify(0, "$who: no report");
            next;
        }
        $judged{"$worker->{node} $worker->{kind}"}++;
        verify(!$worker->{errors} && !$worker->{lost} && !$worker->{died},
            "$who: $worker->{errors} errors, $worker->{lost} bytes definitely or indirectly lost"
              . ($worker->{died} ? ", died of $worker->{died}" : ''), @{ $worker->{all} });
    }
    foreach my $node (@nodes) {
        foreach my $kind (qw(poller listener)) {
            my $who = $node->name . " $kind";
            verify($judged{$who}, "$who: " . ($judged{$who} // 0) . ' of them left a report');
        }
    }
    return;
}

# Sessions in which our functions ran, the postmaster in which our settings are defined, and all others.
sub judge_others {
    my @others = grep { !$_->{kind} && $_->{ended} } $memcheck->reports;
    my @ours   = map { @{ $_->{ours} } } @others;
    my $theirs = sum0(map { scalar @{ $_->{all} } } @others) - @ours;
    my %same;
    verify(!@ours, @others . ' other processes of the servers: ' . @ours . ' errors or losses in pg_status'
          . " ($theirs reports without it)", grep { !$same{ s/0x[0-9A-F]+/0x/gr }++ } @ours);
    my @died = grep { $_->{died} } @others;
    verify(!@died, @died . ' of them died by their own fault', map { @{ $_->{all} } } @died);
    return;
}

sub judge_logs {
    foreach my $node (@nodes) {
        my @trouble = grep { !/ DEBUG:  / } log_trouble($node, \%ended);
        verify(!@trouble, $node->name . "'s log has " . @trouble . ' lines that nothing explains', @trouble);
    }
    return;
}

sub judge_day {
    my $polls = counted('polls', qr/./);
    my @each = map { my $result = $_; "$result " . counted('polls', qr/result="$result"/) } qw(ok error timeout);
    verify($polls >= $fewest_polls || $ENV{EVENTS}, "$polls polls: " . join(', ', @each));
    @each = map { my $port = $_; "$port " . counted('requests', qr/port="$port"/) } qw(raw discovery check);
    verify(counted('requests', qr/./), counted('requests', qr/./) . ' answers: ' . join(', ', @each));
    verify(counted('config_reloads', qr/./), counted('config_reloads', qr/./) . ' reloads');
    return;
}

$SIG{$_} = sub { die "interrupted\n" } foreach qw(INT TERM HUP);
eval {
    start();
    say_out(sprintf '# %5.1f s  three servers are up', time - $began);
    live();
    1;
} or verify(0, 'the day went to its end', $@);
thaw();
eval { $_->stop('fast', fail_ok => 1) foreach @nodes; 1 } or say_out("# the end: $@");
eval {
    judge_workers();
    judge_others();
    judge_logs();
    judge_day();
    1;
} or verify(0, 'the judgement', $@);
say_out("$passed passed, $failed failed");
exit($failed || !$passed ? 1 : 0);
