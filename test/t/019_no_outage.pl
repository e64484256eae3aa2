# What is no outage, and what is one. A server that ends our sessions, cancels our query, has no place for one more
# session, reloads, or finds us in the way of recovery goes on running: no host ever leaves up or suspect for that, and
# the primary is always named. One that refuses, is silent, or does not let us in any more is down, and last_error says
# why.
#
# It must not know how the poller does it; it looks at every answer that SQL gives meanwhile.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PgStatus;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Socket;
use Test::More;
use Time::HiRes qw(time);

# pg_status connects as a role that is no superuser, so that no place is reserved for it. The connections are renewed
# every second.
my @nodes = (new_node('primary'), new_node('standby'));
my ($primary, $standby) = @nodes;
my %settings = (
    'pg_status.hosts'        => hosts_of(@nodes),
    'pg_status.conninfo'     => 'dbname=postgres user=monitor',
    'pg_status.conn_max_age' => '1s',
    'pg_status.poll_timeout' => '10s',
    max_connections          => 20,
    superuser_reserved_connections => 3,
    max_standby_streaming_delay    => '50ms',
    hot_standby_feedback           => 'off',
    wal_receiver_status_interval   => '1s',
);
init_node($primary, %settings);
$primary->start;
$primary->safe_psql('postgres', 'CREATE EXTENSION pg_status; CREATE ROLE monitor LOGIN IN ROLE pg_monitor;'
      . ' CREATE TABLE written (i int)');
$primary->backup('base');
init_standby($standby, $primary);
$standby->start;
wait_roles(\@nodes, { primary => 'primary', standby => 'standby' });

# Names that are not looked up: a locked pg_authid would hold up the query.
my $ours = "FROM pg_stat_get_activity(NULL) WHERE application_name LIKE 'pg\\_status %'";
my %sees = map { $_->name => session($_) } @nodes;

my (@wrong, %seen_states, $samples);
my $named = name_of($primary);    # whom each node is to name

# Looks once at what each node says; anything that an outage would look like is remembered.
sub sample {
    foreach my $node (@nodes) {
        my $master = $sees{ $node->name }->query('SELECT pg_status_master()');
        push @wrong, $node->name . " names '$master'" if $master ne $named;
        my $states = $sees{ $node->name }->query(
            "SELECT string_agg(state || coalesce(' (' || last_error || ')', ''), ', ' ORDER BY node_id)"
              . ' FROM pg_status_hosts()');
        $seen_states{$_}++ foreach $states =~ /\b(up|suspect|down|unknown)\b(?= \(|,|$)/g;
        push @wrong, $node->name . " sees $states" if $states =~ /\b(?:down|unknown)\b(?: \(|,|$)/;
        $samples++;
    }
    return;
}

# Waits as wait_for() does, and samples all the while.
sub watch {
    my ($what, $condition) = @_;
    return wait_for($what, sub { sample(); $condition->() });
}

sub nothing_wrong {
    my ($what) = @_;
    is_deeply(\@wrong, [], "$what: no host left up or suspect, and the primary was always named ($samples looks: "
          . join(', ', map { "$_ $seen_states{$_}" } sort keys %seen_states) . ')');
    my $suspect = $seen_states{suspect} // 0;
    ($samples, @wrong) = (0);
    %seen_states = ();
    return $suspect;
}

# Every poller has asked each host with success since now.
sub all_asked_since {
    my ($since) = @_;
    my $query = "SELECT bool_and(last_success > '$since') FROM pg_status_hosts()";
    foreach my $node (@nodes) { return 0 if $sees{ $node->name }->query($query) ne 't' }
    return 1;
}

sub now_on { return $sees{ $_[0]->name }->query('SELECT clock_timestamp()') }

sub log_count { my ($node, $offset, $what) = @_; return scalar(grep { /$what/ } log_lines($node, $offset)) }

subtest 'sessions that are terminated' => sub {
    my $killed = 0;
    foreach my $round (1 .. 15) {
        my $since = now_on($primary);
        $killed += $sees{ $_->name }->query("SELECT count(pg_terminate_backend(pid)) $ours") foreach @nodes;
        watch("success after round $round", sub { all_asked_since($since) });
    }
    cmp_ok($killed, '>=', 15, "$killed sessions terminated");
    # as fast as it goes: also in the middle of a login, and of a query
    my $storm = session($primary);
    $storm->send("DO \$\$ BEGIN FOR i IN 1 .. 1500 LOOP PERFORM pg_terminate_backend(pid) $ours;"
          . ' PERFORM pg_sleep(0.001); PERFORM pg_stat_clear_snapshot(); END LOOP; END $$');
    my $start = time;
    watch('a storm of it', sub { time > $start + 1.5 });
    $storm->receive;
    $storm->close;
    my $since = now_on($primary);
    watch('success after the storm', sub { all_asked_since($since) });
    nothing_wrong('terminated');
};

subtest 'connections that are renewed' => sub {
    my $offset = log_offset($primary);
    my $started = "SELECT coalesce(max(backend_start)::text, '') $ours";
    foreach my $round (1 .. 4) {
        my $last = $sees{primary}->query($started);
        watch("a newer session, $round", sub { $sees{primary}->query($started) gt $last });
    }
    is(nothing_wrong('renewed'), 0, 'nor did one get suspect');
    is(log_count($primary, $offset, 'FATAL'), 0, 'nothing was refused');
};

# The query is caught by a lock on what it reads.
subtest 'a query that is cancelled' => sub {
    my $offset = log_offset($primary);
    my $locker = session($primary);
    $locker->query('BEGIN');
    $locker->query('LOCK pg_catalog.pg_authid');
    my $waiting = sub {
        $locker->query('SELECT pg_stat_clear_snapshot()');
        return $locker->query("SELECT count(*) $ours AND wait_event_type = 'Lock'") == 2;
    };
    my $log = 'canceling statement due to user request';
    my $cancelled = 0;
    foreach my $round (1 .. 3) {
        watch('both queries to wait', $waiting);
        $cancelled += $locker->query("SELECT count(pg_cancel_backend(pid)) $ours AND wait_event_type = 'Lock'");
        watch("their end, $round", sub { log_count($primary, $offset, $log) >= 2 * $round });
    }
    is($cancelled, 6, 'six queries cancelled');
    watch('both queries to wait again', $waiting);
    my $since = now_on($primary);
    $locker->query('COMMIT');
    $locker->close;
    watch('success', sub { all_asked_since($since) });
    is(nothing_wrong('cancelled'), 0, 'nor did one get suspect');
};

subtest 'a standby in the way of recovery' => sub {
    # only the standby is asked here: on the primary, the queries would wait for the same locks
    $named = '';
    foreach my $node (@nodes) {
        set_conf($node, 'pg_status.hosts' => hosts_of($standby));
        wait_for('one host', sub { @{ all_of($node) } == 1 });
    }
    my $offset = log_offset($standby);
    my ($locker, $other) = map { session($primary) } 1 .. 2;
    $locker->query('BEGIN');
    $locker->query('LOCK pg_catalog.pg_authid');
    $other->query('INSERT INTO written VALUES (0)');    # sends the lock's record, too
    my $waiting = "SELECT count(*) $ours AND wait_event_type = 'Lock'";
    watch('both queries on the standby to wait', sub { $sees{standby}->query($waiting) == 2 });
    # recovery waits for a lock on the view, which they have locked before; after 50 ms it waits no more
    $locker->query('LOCK pg_catalog.pg_stat_replication');
    $other->query('INSERT INTO written VALUES (0)');
    watch('conflicts', sub { log_count($standby, $offset, 'canceling statement due to conflict with recovery') >= 2 });
    watch('both queries on the standby to wait again', sub { $sees{standby}->query($waiting) == 2 });
    my $since = now_on($primary);
    $locker->query('COMMIT');
    $_->close foreach $locker, $other;
    watch('success', sub { all_asked_since($since) });
    is(nothing_wrong('in conflict'), 0, 'nor did one get suspect');
    $named = name_of($primary);
    set_conf($_, 'pg_status.hosts' => hosts_of(@nodes)) foreach @nodes;
    wait_roles(\@nodes, { primary => 'primary', standby => 'standby' });
};

subtest 'reloads of the peer' => sub {
    my $since;
    foreach my $round (1 .. 10) {
        foreach my $node (@nodes) { set_conf($node, work_mem => (64 + $round) . 'kB', cluster_name => undef) }
        $since = now_on($primary);
        watch("success after reload $round", sub { all_asked_since($since) });
    }
    is(nothing_wrong('reloaded'), 0, 'nor did one get suspect');
};

# Sessions until the server takes no more of this role.
sub fill {
    my ($node) = @_;
    my @sessions;
    while (my $session = eval { PgStatus::Session->new($node->connstr('postgres') . ' user=monitor') }) {
        push @sessions, $session;
        die 'the server never gets full' if @sessions > 100;
    }
    return @sessions;
}

subtest 'too many clients: the sessions that are there go on' => sub {
    my @filled = fill($primary);
    cmp_ok(scalar @filled, '>', 5, @filled . ' sessions until the server is full');
    # several renewals are turned down
    my $full = qr/FATAL:.*(?:too many clients|remaining connection slots|too many connections for role)/;
    my $from = log_offset($primary);
    watch('renewals to be turned down', sub { log_count($primary, $from, $full) >= 4 });
    my $since = now_on($primary);
    watch('success all the same', sub { all_asked_since($since) });
    is(nothing_wrong('full'), 0, 'nor did one get suspect');

    # And now without a session. (The place of one that is ended is free for the next; a limit of the role's is not.)
    $_->close foreach @filled;
    $sees{primary}->query('ALTER ROLE monitor CONNECTION LIMIT 0');
    $sees{primary}->query("SELECT count(pg_terminate_backend(pid)) $ours");
    my $error = watch('it to be suspect', sub {
        my $row = row($standby, $primary);
        $row->{state} eq 'suspect' && $row->{last_error};
    });
    like($error, qr/^FATAL:  too many connections for role/, 'last_error says it');
    my $offset_suspect = log_offset($primary);
    my $start = time;
    watch('many more than max_fails attempts', sub { log_count($primary, $offset_suspect, $full) >= 16 });
    my $took = time - $start;
    cmp_ok($took, '>', 1, sprintf 'it is asked at the usual pace (16 attempts of two pollers in %.1f s)', $took);
    is(row($standby, $primary)->{state}, 'suspect', 'still suspect');
    cmp_ok(row($standby, $primary)->{fails}, '<=', 1, 'one failure, however long it lasts');
    $sees{primary}->query('ALTER ROLE monitor CONNECTION LIMIT -1');
    watch('it to be up again', sub { is_up(row($standby, $primary)) && is_up(row($primary, $primary)) });
    nothing_wrong('full, without a session');
};

subtest 'authentication that starts to fail' => sub {
    set_conf($_, 'pg_status.poll_timeout' => '1s') foreach @nodes;
    my $hba = $standby->data_dir . '/pg_hba.conf';
    my $saved = read_from($hba, 0);
    # through the socket, everybody; over TCP, everybody but monitor
    PostgreSQL::Test::Utils::append_to_file("$hba.new", "host all monitor all reject\n$saved");
    rename "$hba.new", $hba or die "rename: $!";
    $standby->reload;
    my $row = wait_row($primary, $standby, 'down', \&is_down);
    like($row->{last_error}, qr/FATAL:  pg_hba\.conf rejects connection/, 'no new session is let in: down');
    is($sees{primary}->query('SELECT pg_status_master()'), name_of($primary), 'the primary is named as ever');
    unlink $hba;
    PostgreSQL::Test::Utils::append_to_file($hba, $saved);
    $standby->reload;
    wait_row($primary, $standby, 'up again', \&is_up);

    $primary->safe_psql('postgres', 'ALTER ROLE monitor NOLOGIN');
    wait_row($primary, $_, 'down', \&is_down) foreach @nodes;
    like(row($primary, $primary)->{last_error}, qr/not permitted to log in/, 'a role that may not log in is told');
    is($sees{primary}->query('SELECT pg_status_master()'), '', 'nothing is claimed of a host that does not answer');
    $primary->safe_psql('postgres', 'ALTER ROLE monitor LOGIN');
    wait_roles(\@nodes, { primary => 'primary', standby => 'standby' });
};

# A place that refuses, resets or is silent.
subtest 'refused, reset, silent' => sub {
    my %place;
    foreach my $kind (qw(reset silent)) {
        socket my $socket, PF_INET, SOCK_STREAM, 0 or die "socket: $!";
        bind $socket, pack_sockaddr_in(0, INADDR_LOOPBACK) or die "bind: $!";
        listen $socket, 50 or die "listen: $!";
        $place{$kind} = { socket => $socket, port => (unpack_sockaddr_in(getsockname $socket))[0] };
    }
    my $refused = PostgreSQL::Test::Cluster::get_free_port();
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        # takes each connection and resets it at once, for as long as its parent is there
        my $parent = getppid;
        while (getppid == $parent) {
            my $ready = '';
            vec($ready, fileno $place{reset}{socket}, 1) = 1;
            next if select($ready, undef, undef, 0.1) <= 0;
            accept my $client, $place{reset}{socket} or next;
            setsockopt $client, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
            close $client;
        }
        require POSIX;
        POSIX::_exit(0);
    }
    my $ended = eval {
        set_conf($primary, 'pg_status.poll_timeout' => '300ms',
            'pg_status.hosts' => join ', ', hosts_of(@nodes), "127.0.0.1:$refused name=refused",
            map { "127.0.0.1:$place{$_}{port} name=$_" } sort keys %place);
        my %says = (refused => qr/Connection refused/, reset => qr/reset by peer|closed the connection unexpectedly/,
            silent => qr/no answer within the time allowed|no connection within the time allowed/);
        foreach my $name (sort keys %says) {
            my $row = wait_row($primary, $name, 'down', \&is_down);
            like($row->{last_error}, $says{$name}, "$name: down, and last_error says it: $row->{last_error}");
        }
        is(row($primary, $standby)->{state}, 'up', 'the others are up');
        1;
    };
    my $why = $@;
    kill 'KILL', $pid;
    waitpid $pid, 0;
    die $why unless $ended;
};

$_->close foreach values %sees;
done_testing;
