# Events and blocking queries on real servers: a failover is told in its order, with old and new values; who waits, in
# SQL or over HTTP, learns of a change when it is there; waiting ends as it should, and costs nothing; the ring of
# events keeps the last 1,024, and stays when the poller is started anew. Latencies are printed, their bound here is generous:
# test/bench/wait is the place for targets.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use JSON::PP;
use PgStatus;
use PgStatus::Clients;
use PgStatus::Failover;
use PgStatus::Http;
use PgStatus::Waiter;
use PostgreSQL::Test::Cluster;
use Test::More;
use Time::HiRes qw(time usleep);

my $ring = 1024;

sub generation { return sql($_[0], 'SELECT pg_status_generation()') }

# The events after $since, as hashes; of some kinds only.
sub events_of {
    my ($node, $since, @kinds) = @_;
    my $events = decode_json(
        sql($node, "SELECT coalesce(json_agg(e ORDER BY seq), '[]') FROM pg_status_events e WHERE seq > $since"));
    return grep {
        my $event = $_;
        !@kinds || grep { $event->{kind} eq $_ } @kinds
    } @$events;
}

# "kind host: old -> new", where NULL is "-".
sub text_of {
    my ($event) = @_;
    my ($host, $old, $new) = map { $event->{$_} // '-' } qw(host old new);
    return "$event->{kind} $host: $old -> $new";
}

my ($primary, $standby1, $standby2) = my @nodes = start_three();
my ($p, $s1, $s2) = map { name_of($_) } @nodes;
open_http(@nodes);

subtest 'what there is after the start' => sub {
    foreach my $node (@nodes) {
        my @events = events_of($node, 0);
        my @seqs   = map { $_->{seq} } @events;
        is($seqs[-1], generation($node), $node->name . ': the newest event is the generation of changes');
        is_deeply(\@seqs, [ $seqs[0] .. $seqs[-1] ], 'each number is one more than the one before');
        my $start = sql($node, 'SELECT (extract(epoch FROM pg_postmaster_start_time()) * 1000)::bigint');
        cmp_ok(abs($seqs[0] - 1 - $start), '<', 60_000, 'they begin at the milliseconds of the start');
        my %last = map { ($_->{host} // '') . " $_->{kind}" => $_->{new} } @events;
        my %role = ($p => 'primary', $s1 => 'standby', $s2 => 'standby');
        is_deeply(
            { map { $_ => [ @last{ "$_ state", "$_ role" } ] } keys %role },
            { map { $_ => [ 'up', $role{$_} ] } keys %role },
            'the last ones of each host are what it is');
        is($last{' primary'}, $p, 'so is that of the primary');
        is(sql($node, q{SELECT count(*) FROM pg_status_events WHERE at < pg_postmaster_start_time() - interval '1 s'
                OR at > clock_timestamp() + interval '1 s'}), 0, 'all happened since the start');
    }
};

# ---- a change comes ------------------------------------------------------------------------------------------------

subtest 'a change ends the wait, and is there to be seen' => sub {
    my $known  = generation($primary);
    my $wait   = session($primary);
    my $socket = connect_to(discovery_port($primary));
    my $line   = connect_to(discovery_port($primary));
    $wait->send("SELECT pg_status_wait($known, 60)");
    syswrite $socket, blocking_request($known, 60) . "GET /live HTTP/1.1\r\n\r\n";
    syswrite $line,   "hosts?wait=60&generation=$known\n";
    shutdown $line, 1;
    $standby2->stop('immediate');

    my $answer = receive($socket);
    is($answer->{status}, 200, 'the blocking query is answered');
    my $told = field_of($answer->{head}, 'X-Pg-Status-Generation');
    cmp_ok($told, '>', $known, 'with the number of the change');
    my ($host) = grep { $_->{host} eq $s2 } @{ decode_json($answer->{body}) };
    isnt($host->{state}, 'up', 'and with a list that shows it');
    is(receive($socket)->{body}, 'OK', 'what was sent behind it is answered behind it');
    cmp_ok($wait->receive, '>', $known, 'so is the wait in SQL');
    my ($hosts) = read_to_end($line);
    is(scalar(my @lines = split /\n/, $hosts), 4, 'and a bare line, whose side had ended, with a table');
    $wait->close;
    my ($first) = events_of($primary, $known);
    is(text_of($first), "state $s2: up -> suspect", 'this was the change');

    $standby2->start;
    wait_roles(\@nodes, { primary => 'primary', standby1 => 'standby', standby2 => 'standby' });
};

subtest 'without a change it ends with its time' => sub {
    my $known = generation($primary);
    my $start = time;
    is(sql($primary, "SELECT pg_status_wait($known, 0.3)"), $known, 'SQL: the same number');
    cmp_ok(time - $start, '>=', 0.3, 'after its time');
    $start = time;
    my ($status, undef, $head) = discover($primary, "/hosts?wait=0.3&generation=$known");
    is("$status " . field_of($head, 'X-Pg-Status-Generation'), "200 $known", 'HTTP: the list as it is');
    cmp_ok(time - $start, '>=', 0.3, 'after its time');
    is(sql($primary, "SELECT pg_status_wait($known - 1, 60)"), $known, 'what is known already is not waited for');
    is((discover($primary, '/hosts?wait=60&generation=' . ($known - 1)))[0], 200, 'nor over HTTP');
    is((discover($primary, '/hosts?wait=301&generation=1'))[1], '{"error_text": "Invalid wait"}', 'too long a wait');
    is((discover($primary, '/hosts?wait=5'))[1], '{"error_text": "Invalid generation"}', 'a wait for nothing');
};

# The time from each change to the answer of a client that waits for it. Both clocks are this machine's.
subtest 'how soon' => sub {
    my $begin  = generation($primary);
    my $waiter = start_waiter(discovery_port($primary), $begin);
    my @sql;
    foreach my $round (1 .. 7) {
        my $known = generation($primary);
        my $wait  = session($primary);
        $wait->send("SELECT pg_status_wait($known, 60), extract(epoch FROM clock_timestamp())");
        $standby2->stop('immediate');
        my (undef, $when) = split /\|/, $wait->receive;
        push @sql, $when - sql($primary, "SELECT extract(epoch FROM at) FROM pg_status_events WHERE seq = $known + 1");
        $wait->close;
        wait_row($primary, $standby2, 'down', \&is_down);
        $standby2->start;
        wait_row($primary, $standby2, 'up', \&is_up);
    }
    my $end = generation($primary);
    wait_for('the last answer', sub { my @answers = $waiter->answers; @answers && $answers[-1][1] >= $end });
    my %at = map { split /\|/ } split /\n/,
      sql($primary, "SELECT seq, extract(epoch FROM at) FROM pg_status_events WHERE seq > $begin");
    my @http = map { $_->[2] - $at{ $_->[0] + 1 } } $waiter->answers;
    $waiter->leave;
    cmp_ok(scalar @http, '>=', 20, @http . ' changes were told over HTTP');
    foreach my $way ([ 'HTTP', @http ], [ 'SQL', @sql ]) {
        my ($name, @times) = @$way;
        @times = sort { $a <=> $b } @times;
        my $median = $times[ @times / 2 ];
        note(sprintf '%s: %d changes, told after %.1f ms (median), %.1f ms (longest)',
            $name, scalar @times, 1000 * $median, 1000 * $times[-1]);
        # a listener that nobody wakes would take half a second, as it gives a sign of life each second
        cmp_ok($median, '<', 0.3, "$name: the median is far below a second");
    }
};

# ---- waits that end otherwise --------------------------------------------------------------------------------------

# Starts a wait in SQL, and returns the session and its process id when it sleeps.
sub waiting_session {
    my ($node)  = @_;
    my $session = session($node);
    my $pid     = $session->query('SELECT pg_backend_pid()');
    $session->send('SELECT pg_status_wait(pg_status_generation(), 3600)');
    wait_for('the session to wait',
        sub { sql($node, "SELECT wait_event_type FROM pg_stat_activity WHERE pid = $pid") eq 'Extension' });
    return ($session, $pid);
}

subtest 'a wait in SQL ends when it is told to' => sub {
    my ($session, $pid) = waiting_session($primary);
    is(sql($primary, "SELECT pg_cancel_backend($pid)"), 't', 'it is cancelled');
    ok(!eval { $session->receive; 1 }, 'and ends');
    like($@, qr/canceling statement due to user request/, 'with that error');
    cmp_ok($session->query('SELECT pg_status_wait(0)'), '>', 0, 'the session goes on, and may wait again');
    $session->close;

    ($session, $pid) = waiting_session($primary);
    is(sql($primary, "SELECT pg_terminate_backend($pid)"), 't', 'another one is terminated');
    ok(!eval { $session->receive; 1 }, 'and ends');
    like($@, qr/terminating connection due to administrator command|session ended/, 'with its session');
    is(sql($primary, "SELECT count(*) FROM pg_stat_activity WHERE pid = $pid"), 0, 'which is gone');

    my $ended = session($primary);
    ok(!eval { $ended->query('SET statement_timeout = 100; SELECT pg_status_wait(pg_status_generation())'); 1 },
        'a time-out ends it, too');
    like($@, qr/canceling statement due to statement timeout/, 'as it ends any statement');
    $ended->close;
};

# ---- a new poller --------------------------------------------------------------------------------------------------

subtest 'a poller that is started anew goes on where the last one ended' => sub {
    my $known  = generation($primary);
    my $count  = scalar events_of($primary, 0);
    my $wait   = session($primary);
    my $before = sql($primary, "SELECT last_check FROM pg_status_host('$s2')");
    my $pid    = worker_pid($primary, 'poller');
    $wait->send("SELECT pg_status_wait($known, 60)");
    kill 'TERM', $pid;
    wait_for('another poller', sub { my $now = worker_pid($primary, 'poller'); $now && $now != $pid });
    wait_for('its first polls',
        sub { sql($primary, "SELECT last_check > clock_timestamp() - interval '0.5 s' AND last_check > '$before'
                  FROM pg_status_host('$s2')") eq 't' });
    wait_roles([$primary], { primary => 'primary' });
    is(generation($primary), $known, 'what it finds as it was is no event');
    is(scalar events_of($primary, 0), $count, 'and all events are still there');
    $standby2->stop('immediate');
    cmp_ok($wait->receive, '>', $known, 'who waits is told of the next change');
    $wait->close;
    is(text_of((events_of($primary, $known))[0]), "state $s2: up -> suspect", 'which has the next number');
    $standby2->start;
    wait_roles(\@nodes, { primary => 'primary', standby1 => 'standby', standby2 => 'standby' });
};

# ---- a failover ----------------------------------------------------------------------------------------------------

subtest 'a failover' => sub {
    my $known = generation($standby2);
    wait_caught_up($primary, $standby1, $standby2);
    forget_session($primary);
    kill_all($primary);
    wait_row($standby2, $primary, 'down', \&is_down);
    $standby1->promote;
    wait_row($standby2, $standby1, 'as the primary', sub { $_[0]{master} });
    my @told = events_of($standby2, $known, qw(state role primary split_brain));
    is_deeply(
        [ map { text_of($_) } @told ],
        [
            "state $p: up -> suspect",
            "state $p: suspect -> down",
            "role $p: primary -> unknown",
            "primary -: $p -> -",
            "role $s1: standby -> primary",
            "primary -: - -> $s1" ],
        'is told in its order');
    like($told[0]{detail}, qr/./,             'with what went wrong');
    like($told[1]{detail}, qr/after 3 fail/,  'how often');
    like($told[3]{detail}, qr/^"\Q$p\E" /,    'why the primary is none any more');
    is($told[4]{detail},   'timeline 2',      'and the timeline of the new one');
};

# ---- one server: the end of a server, a crowd, a full ring ---------------------------------------------------------

$standby1->stop('immediate');
$standby2->stop('immediate');

my $alone = new_node('alone');
init_node($alone,
    'pg_status.hosts'       => name_of($alone),
    'pg_status.max_clients' => 1100,
    'pg_status.max_hosts'   => 1200,
    'pg_status.http_port'   => discovery_port($alone),
    'pg_status.check_port'  => check_port($alone));
$alone->start;
$alone->safe_psql('postgres', 'CREATE EXTENSION pg_status');
wait_roles([$alone], { alone => 'primary' });

# Nanoseconds of processor time, as far as the kernel counts them, else its ticks.
sub cpu_seconds {
    my ($pid) = @_;
    return $1 / 1e9 if -e "/proc/$pid/schedstat" && read_from("/proc/$pid/schedstat", 0) =~ /\A(\d+)/;
    my @fields = split ' ', read_from("/proc/$pid/stat", 0) =~ s/\A.*\)//sr;
    return ($fields[11] + $fields[12]) / 100;
}

sub connections {
    return (check($alone, '/metrics'))[1] =~ /^pg_status_connections\{port="discovery"\} (\d+)/m ? $1 : -1;
}

subtest 'a thousand that wait' => sub {
    my $known    = generation($alone);
    my $listener = worker_pid($alone, 'listener');
    my $crowd    = crowd(port => discovery_port($alone), count => 1000, say => blocking_request($known, 300));
    wait_for('all of them', sub { connections() == 1000 });
    my ($start, $before) = (time, cpu_seconds($listener));
    wait_for('3 s', sub { usleep(50_000); time > $start + 3 });
    my ($took, $used) = (time - $start, cpu_seconds($listener) - $before);
    note(sprintf 'the listener used %.1f ms of processor time in %.1f s', 1000 * $used, $took);
    cmp_ok($used, '<', 0.01 * $took, 'cost the listener next to nothing');
    is_deeply($crowd->tally, { open => 1000, answered => 0, ended => {} }, 'and all of them wait');
    is((discover($alone, '/live'))[0], 200, 'others are served');

    my $told = time;
    set_conf($alone, 'pg_status.hosts' => name_of($alone) . ' name=other');
    wait_for('the first answer', sub { $crowd->tally->{answered} });
    is(raw_status($alone), 'MASTER', 'while they are answered, the raw port answers, too');
    wait_for('all answers', sub { $crowd->tally->{answered} == 1000 });
    note(sprintf 'a reload that changed the list was told to all of them after %.0f ms', 1000 * (time - $told));
    is_deeply($crowd->tally->{ended}, {}, 'nobody had to go');
    $crowd->leave;
    wait_for('them to be gone', sub { connections() == 0 });
};

subtest 'those who go while they wait are noticed' => sub {
    my $crowd = crowd(port => discovery_port($alone), count => 100, say => blocking_request(generation($alone), 300));
    wait_for('all of them', sub { connections() == 100 });
    $crowd->leave;
    ok(wait_for('their places', sub { connections() == 0 }), 'their places are free');
};

subtest 'client_timeout is not for those who wait' => sub {
    set_conf($alone, 'pg_status.client_timeout' => '100ms');
    wait_for('the new time-out', sub {
        my $slow = connect_to(discovery_port($alone));
        my $start = time;
        syswrite $slow, 'GET';
        eval { receive($slow) };
        return time < $start + 2;
    });
    my $known = generation($alone);
    my $start = time;
    my ($status, undef, $head) = discover($alone, "/hosts?wait=1&generation=$known");
    is($status, 200, 'who waits is answered');
    cmp_ok(time - $start, '>=', 1, 'after its own time');
    set_conf($alone, 'pg_status.client_timeout' => '5s');
};

subtest 'the ring is full' => sub {
    my $known = generation($alone);
    my $port  = PostgreSQL::Test::Cluster::get_free_port();
    my @dead  = map { sprintf '127.1.%d.%d:%d', $_ / 250, 1 + $_ % 250, $port } 0 .. 1099;
    set_conf($alone, 'pg_status.max_fails' => 1, 'pg_status.hosts' => join ', ', name_of($alone), @dead);
    # those that are down, this server under its new name, the list itself, and the primary that it had
    wait_for('an event of each', sub { generation($alone) >= $known + @dead + 5 });
    is(sql($alone, 'SELECT count(*), max(seq) - min(seq), max(seq) = pg_status_generation() FROM pg_status_events'),
        "$ring|" . ($ring - 1) . '|t', "the last $ring are there, none is missing");
    is(sql($alone, "SELECT count(*) - count(DISTINCT host) FROM pg_status_events WHERE host LIKE '127.1.%'"),
        0, 'each host is told of once');
};

subtest 'a fast shutdown waits for nobody who waits' => sub {
    my $newest = generation($alone);
    my ($session) = waiting_session($alone);
    my $socket = connect_to(discovery_port($alone));
    syswrite $socket, blocking_request($newest, 300);
    forget_session($alone);
    my $start = time;
    $alone->stop('fast');
    cmp_ok(time - $start, '<', 20, sprintf 'it took %.1f s', time - $start);
    ok(!eval { $session->receive; 1 }, 'the session was ended');
    ok(!eval { receive($socket) }, 'and the connection, without an answer');

    $alone->start;
    wait_for('the first event', sub { (try_sql($alone, 'SELECT count(*) > 0 FROM pg_status_events') // '') eq 't' });
    my ($first) = map { $_->{seq} } events_of($alone, 0);
    cmp_ok($first, '>', $newest, 'after a restart numbers begin above those from before');
};

done_testing;
