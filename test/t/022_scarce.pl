# A server that runs short: no memory for the poller, no room for the log, a wall clock that jumps, and settings that
# are reloaded thousands of times. pg_status does with less, says so once, and recovers; nothing is lost on the way.
#
# It must not know how memory or time are used inside; it takes them away and looks at what is answered.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PgStatus;
use PgStatus::Http;
use PgStatus::Peers;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

sub status_kb { my ($pid, $what) = @_; return (read_from("/proc/$pid/status", 0) =~ /^$what:\s+(\d+) kB/m)[0] }
sub files     { return scalar(() = glob "/proc/$_[0]/fd/*") }

# Waits for a good probe of each host that began after this call.
sub wait_asked {
    my ($node) = @_;
    my $since = sql($node, 'SELECT clock_timestamp()');
    my $query = "SELECT bool_and(last_success > '$since') FROM pg_status_hosts()";
    return wait_for('every host to be asked', sub { sql($node, $query) eq 't' });
}

subtest 'no memory for the poller' => sub {
    plan skip_all => 'prlimit is not installed' unless -x '/usr/bin/prlimit';
    my ($node, $peer) = map { new_node($_) } qw(poor rich);
    # answers with as many and as long walsenders as are read, once there is this file
    my $flag = PostgreSQL::Test::Utils::tempdir() . '/fat';
    my @walsender = (23 => '1', (map { $_ => 'x' x 255 } 24, 25, 27, 28, 30), 26 => '127.0.0.1', 29 => '0', 31 => 'standby');
    my ($thin, $fat) = (answer_of([primary_cells()]), answer_of(([ primary_cells(@walsender) ]) x 1000));
    my $fat_peer = peer('fat', login => welcome('15.20'), answer => sub { -e $flag ? $fat : $thin });
    init_node($peer, 'pg_status.hosts' => '');
    $peer->start;
    init_node($node, 'pg_status.hosts' => join ', ', name_of($node), name_of($peer), $fat_peer);
    $node->start;
    $node->safe_psql('postgres', 'CREATE EXTENSION pg_status');
    wait_row($node, $_, 'up', \&is_up) foreach $node, $peer, 'fat';
    wait_asked($node);
    my ($poller, $postmaster) = (worker_pid($node, 'poller'), postmaster_pid($node));
    plan skip_all => 'ASan ends a process that gets no memory' if is_under_asan($poller);
    my ($files, $offset) = (files($poller), log_offset($node));
    my $limit = sub { system('prlimit', '--pid', $poller, "--data=$_[0]:") == 0 or die 'prlimit failed' };
    my %errors;

    # from nothing to what one such answer takes: memory runs out in libpq, in reading the answer, in judging it
    foreach my $spare (map { 300_000 * $_ } 0 .. 12) {
        $limit->(1024 * status_kb($poller, 'VmData') + $spare);
        PostgreSQL::Test::Utils::append_to_file($flag, '');
        my ($until, $words) = (time + 0.7, 0);
        wait_for('a while without memory',
            sub {
                $words++ if raw_status($node) eq 'MASTER';
                my $error = row($node, 'fat')->{last_error};
                $errors{$error}++ if defined $error;
                return time > $until;
            });
        unlink $flag;
        cmp_ok($words, '>', 3, "with $spare bytes to spare the raw port answers ($words times)");
        $limit->('unlimited');
        is(worker_pid($node, 'poller') // 'none', $poller, 'the poller is the same process');
        wait_row($node, $_, 'up again', \&is_up) foreach $node, $peer, 'fat';
        wait_asked($node);
        is(sql($node, 'SELECT pg_status_master()') ne '', 1, 'and a primary is named');
    }
    note "last_error of it: $_" foreach sort keys %errors;
    wait_for('no descriptor to be lost', sub { files($poller) <= $files + 1 });
    is(postmaster_pid($node), $postmaster, 'the server was not restarted');
    my @told = pg_status_log($node, $offset);
    my $out = grep { /: out of memory, the last known state/ } @told;
    cmp_ok($out + keys %errors, '>', 0, 'memory did run out');
    cmp_ok($out, '<=', 3, "which is told once, not each time ($out lines)");
    cmp_ok(scalar @told, '<', 60, 'the log is not flooded: ' . @told . ' lines');
    unlike(log_text($node, $offset), qr/terminated by signal|all server processes terminated/, 'nobody crashed');
    $_->stop foreach $node, $peer;
};

# A full disk, as the logging collector sees it: its writes fail from then on, by a limit on the size of files, which
# needs no right to mount a small file system.
subtest 'no room for the log' => sub {
    my $node = new_node('full');
    my $logs = PostgreSQL::Test::Utils::tempdir();
    init_node($node, logging_collector => 'on', log_directory => $logs, log_filename => 'server.log',
        log_rotation_size => 0, log_rotation_age => 0);
    $node->start;
    $node->safe_psql('postgres', 'CREATE EXTENSION pg_status');
    wait_row($node, name_of($node) =~ s/.*:/localhost:/r, 'up', \&is_up);
    my @children = split /\n/, `ps -o pid=,args= --ppid @{[ postmaster_pid($node) ]}`;
    my ($collector) = map { /^\s*(\d+)\s.*logger/ ? $1 : () } @children;
    plan skip_all => 'prlimit is not installed' unless -x '/usr/bin/prlimit';
    my %pid = map { $_ => worker_pid($node, $_) } qw(poller listener);
    my $size = -s "$logs/server.log";
    system('prlimit', '--pid', $collector, "--fsize=$size:") == 0 or die 'prlimit failed';
    my $dead = PostgreSQL::Test::Cluster::get_free_port();
    my $least = 0;
    foreach my $round (1 .. 20) {
        # each round is told in the log, or would be
        set_conf($node, 'pg_status.hosts' => name_of($node) . ($round % 2 ? ", 127.0.0.1:$dead name=dead" : ''));
        wait_for("round $round", sub { @{ all_of($node) } == ($round % 2 ? 2 : 1) });
        wait_row($node, 'dead', 'down', \&is_down) if $round % 2;
        $least++ if raw_status($node) eq 'MASTER';
    }
    is($least, 20, 'the raw port answers all the time');
    is(-s "$logs/server.log", $size, 'nothing could be written into the log');
    wait_asked($node);
    is_deeply({ map { $_ => worker_pid($node, $_) } keys %pid }, \%pid, 'both workers are the same processes');
    system('prlimit', '--pid', $collector, '--fsize=unlimited:') == 0 or die 'prlimit failed';
    set_conf($node, 'pg_status.hosts' => name_of($node) . ", 127.0.0.1:$dead name=again");
    wait_for('the log to go on', sub { read_from("$logs/server.log", $size) =~ /host "again" is down/ });
    pass('with room again, the log goes on');
    $node->stop;
};

subtest 'the wall clock jumps' => sub {
    my $clock   = PostgreSQL::Test::Utils::tempdir() . '/clock';
    my $library = "$clock.so";
    is(system('cc', '-shared', '-fPIC', '-O2', '-o', $library, "$FindBin::RealBin/clock_shift.c"), 0, 'a clock to be moved');
    my ($node, $peer) = map { new_node($_) } qw(jumping steady);
    my $dead = PostgreSQL::Test::Cluster::get_free_port();
    my $set_clock = sub {
        my ($seconds) = @_;
        open my $file, -e $clock ? '+<' : '>', $clock or die "$clock: $!";
        syswrite($file, pack 'q', $seconds) == 8 or die "$clock: $!";
        close $file;
    };
    $set_clock->(0);
    init_node($peer, 'pg_status.hosts' => '');
    $peer->start;
    plan skip_all => 'ASan has to be the first library of a server' if is_under_asan(postmaster_pid($peer));
    init_node($node, 'pg_status.hosts' => name_of($node) . ', ' . name_of($peer) . ", 127.0.0.1:$dead name=dead",
        'pg_status.http_port' => discovery_port($node), 'pg_status.check_port' => check_port($node));
    {
        local %ENV = (%ENV, LD_PRELOAD => $library, CLOCK_SHIFT => $clock);
        $node->start;
    }
    $node->safe_psql('postgres', 'CREATE EXTENSION pg_status');
    wait_row($node, $_, 'up', \&is_up) foreach $node, $peer;
    wait_row($node, 'dead', 'down', \&is_down);
    my $states = sub {
        return sql($node, "SELECT string_agg(host || ' ' || state, ', ' ORDER BY node_id) FROM pg_status_hosts()");
    };
    # of the hosts that answer; a time before or after the jump is none of now
    my $age  = 'extract(epoch FROM clock_timestamp() - last_success)';
    my $ages = "SELECT min($age), max($age) FROM pg_status_hosts() WHERE host <> 'dead'"
      . " AND abs(extract(epoch FROM clock_timestamp() - last_check)) < 60";
    my $metrics = sub { my ($line) = @_; return (check($node, '/metrics'))[1] =~ /^pg_status_$line (\d+)$/mg };
    my $changes = sub { return join ' ', $metrics->('state_changes_total\{.*\}') };
    my $polls   = sub { my $sum = 0; $sum += $_ foreach $metrics->('polls_total\{.*result="ok"\}'); return $sum };
    my ($before, $changed_before) = ($states->(), $changes->());
    my $poller = worker_pid($node, 'poller');
    my $offset = log_offset($node);
    like($before, qr/up.*up.*dead down/, "before: $before");

    foreach my $days (-1, 2, -3650, 365, 0) {
        my $jump = "$days days";
        $set_clock->(86400 * $days);
        my $apart = abs(sql($node, 'SELECT extract(epoch FROM clock_timestamp())::bigint') - time - 86400 * $days);
        cmp_ok($apart, '<', 600, "the server's clock is $jump away");
        my ($start, $first) = (time, $polls->());
        my ($lowest, $highest) = (0, 0);
        wait_for("24 good polls after $jump",
            sub {
                my @seen = split /\|/, sql($node, $ages);
                if (defined $seen[0] && $seen[0] ne '') {
                    $lowest  = $seen[0] if $seen[0] < $lowest;
                    $highest = $seen[1] if $seen[1] > $highest;
                }
                return $polls->() >= $first + 24;
            });
        my $took = time - $start;
        cmp_ok($took, '>', 1.2, sprintf '%s: 24 polls of two hosts each 200 ms took %.2f s', $jump, $took);
        cmp_ok($took, '<', 15, 'and they keep their pace');
        is($states->(), $before, 'no host changed its state');
        is($changes->(), $changed_before, 'not even for a moment');
        cmp_ok($lowest,  '>', -1, "ages are no less than $lowest s");
        cmp_ok($highest, '<', 10, "nor more than $highest s");
        my $age_ms = json_of(discover($node, '/status?host=' . name_of($peer)))->{last_ok_ms};
        cmp_ok($age_ms, '<', 10_000, "in JSON: $age_ms ms");
        is(sql($node, "SELECT abs($age) < 60 FROM pg_status_host('" . name_of($peer) . "')"), 't',
            'times are told by the new clock');
        is(raw_status($node), 'MASTER', 'the raw port answers');
        is(sql($node, 'SELECT pg_status_live()'), 't', 'both workers are live');
    }
    is(worker_pid($node, 'poller'), $poller, 'the poller is the same process');
    is_deeply([ pg_status_log($node, $offset) ], [], 'and nothing was said');
    $_->stop foreach $node, $peer;
};

subtest 'thousands of reloads' => sub {
    my ($node, $peer) = map { new_node($_) } qw(reloaded other);
    my $dead = PostgreSQL::Test::Cluster::get_free_port();
    init_node($peer, 'pg_status.hosts' => '');
    $peer->start;
    init_node($node, 'pg_status.hosts' => name_of($node), 'pg_status.allow' => '');
    $node->start;
    $node->safe_psql('postgres', 'CREATE EXTENSION pg_status');
    wait_row($node, $node, 'up', \&is_up);
    my %pid = map { $_ => worker_pid($node, $_) } qw(poller listener);
    my @lists = (
        name_of($node),
        join(', ', map { name_of($_) } $node, $peer),
        join(', ', map { name_of($_) } $peer, $node) . ", 127.0.0.1:$dead name=dead dc=a",
        name_of($peer) . ' name=renamed, ' . name_of($node) . ' name=self, no-such-host.invalid name=nowhere',
    );
    my $listens = '127.0.0.1';
    my ($rounds, $each) = (30, 100);
    my $sent = 0;
    my (%first, %last);
    my $postmaster = postmaster_pid($node);
    foreach my $round (1 .. $rounds) {
        my $list = $lists[ $round % @lists ];
        $listens = $round % 3 ? '127.0.0.1' : '127.0.0.1, 127.0.0.2';
        $node->append_conf('postgresql.conf', "pg_status.hosts = '$list'\npg_status.listen_addresses = '$listens'\n"
              . 'pg_status.poll_timeout = ' . (500 + $round) . "\n");
        # in bursts: the workers read what is there when they get to it
        foreach my $i (1 .. $each) {
            kill 'HUP', $i % 10 ? values %pid : $postmaster;
            $sent++;
            raw_status($node) if $i % 25 == 0;
        }
        $node->reload;
        my $count = () = $list =~ /(?:\A|, )/g;
        wait_for("round $round to be in force", sub { @{ all_of($node) } == $count });
        if ($round % 5 == 0) {
            foreach my $host (map { $_->{host} } @{ all_of($node) }) {
                wait_row($node, $host, $host =~ /dead|nowhere/ ? ('down', \&is_down) : ('up', \&is_up));
            }
        }
        next unless $round % 10 == 0;
        wait_for('two words', sub { raw_status($node) eq 'MASTER' });
        # both at rest, with the same settings
        set_conf($node, 'pg_status.hosts' => name_of($node), 'pg_status.listen_addresses' => '127.0.0.1');
        wait_for('one host', sub { @{ all_of($node) } == 1 });
        wait_row($node, $node, 'up', \&is_up);
        wait_asked($node);
        foreach my $kind (keys %pid) {
            my %now = (memory => status_kb($pid{$kind}, 'VmRSS'), files => files($pid{$kind}));
            $first{$kind} //= {%now};
            $last{$kind} = {%now};
        }
    }
    is(sql($node, 'SELECT pg_status_master()'), name_of($node), "after $sent signals the primary is named");
    is_deeply({ map { $_ => worker_pid($node, $_) } keys %pid }, \%pid, 'by the same workers');
    foreach my $kind (sort keys %pid) {
        my ($first, $last) = ($first{$kind}, $last{$kind});
        cmp_ok($last->{files}, '<=', $first->{files} + 2, "$kind: $first->{files} descriptors, then $last->{files}");
      SKIP: {
            skip 'ASan keeps what was freed', 1 if is_under_asan($pid{$kind});
            cmp_ok($last->{memory}, '<', $first->{memory} + 2048,
                "$kind: $first->{memory} kB, then $last->{memory} kB");
        }
    }
    is(raw_status($node, address => '127.0.0.2'), 'refused', 'the address that was taken away is closed');
    my $left = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pg\\_status reloaded%'";
    is(sql($peer, $left), 0, 'no session is left at a host that is asked no more');
    $_->stop foreach $node, $peer;
};

done_testing;
