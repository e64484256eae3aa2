# Very many hosts: their checks are spread over the interval and begin in time, a fault that strikes all of them at once
# is told and got over, and too few file descriptors cost only the hosts for which none is left. The hosts are the
# addresses of a primary and three standbys without pg_status. How fast that is, and how much of a processor it takes
# with a thousand hosts, is measured by test/bench/scale.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use POSIX ();
use PgStatus;
use PgStatus::Worst qw(unshielded);
use PgStatus::Http;
use Test::More;
use Time::HiRes qw(time);

my $per_server = 60;    # a PostgreSQL server listens on 64 sockets at most

my @servers = map { new_node($_) } qw(primary standby1 standby2 standby3);
my @addresses = map { "127.0.7.$_" } 1 .. $per_server;
my %settings = (
    shared_preload_libraries => '',
    listen_addresses         => join(',', '127.0.0.1', @addresses),
    max_connections          => $per_server + 40,
    log_min_messages         => 'fatal');

my ($primary, @standbys) = @servers;
init_node($primary, %settings)->start;
$primary->backup('base');
init_standby($_, $primary, %settings)->start foreach @standbys;

my $observer = new_node('observer');
my @hosts = map { my $port = $_->port; map { "$_:$port" } @addresses } @servers;
init_node($observer,
    'pg_status.hosts'              => join(', ', @hosts),
    'pg_status.max_hosts'          => 1000,
    'pg_status.poll_interval'      => '1s',
    'pg_status.fast_poll_interval' => '100ms',
    'pg_status.check_port'         => check_port($observer));

sub count { return sql($observer, "SELECT count(*) FROM pg_status_hosts WHERE $_[0]") }
sub await_all {
    my ($state, $hosts) = @_;
    return wait_for("all to be $state", sub { count("state = '$state'") == ($hosts // @hosts) });
}

# ---- too few descriptors, from the start

SKIP: {
    skip 'prlimit is not installed', 1 unless -x '/usr/bin/prlimit';
    subtest 'a hard limit that is too low' => sub {
        # as $observer->start would, under a limit
        unshielded(sub {
            system('prlimit', '--nofile=160:160', 'pg_ctl', '-w', '-s', '-D', $observer->data_dir, '-l',
                $observer->logfile, 'start') == 0;
        }) or BAIL_OUT('the server does not start under a limit of open files');
        $observer->_update_pid(1);
        $observer->safe_psql('postgres', 'CREATE EXTENSION pg_status');
        # Who has a descriptor is settled when each has been checked since it last changed: those that fail for another
        # reason leave theirs to the next one.
        my $given_up = "state = 'down' AND last_error ~ 'no descriptor is left for this host: .'";
        my ($were_up, $since) = ('', '-infinity');
        wait_for('the rest to be given up', sub {
            my ($now, $are_up, $others) = split /\|/,
              sql($observer, qq{SELECT clock_timestamp(), string_agg(host, ' ' ORDER BY host) FILTER (WHERE state = 'up'),
                count(*) FILTER (WHERE state <> 'up' AND NOT ($given_up)) FROM pg_status_hosts});
            if ($are_up ne $were_up) { ($were_up, $since) = ($are_up, $now) }
            return $others == 0 && count("last_check > '$since'") == @hosts;
        });

        # (they are addresses of few servers)
        my @all    = grep { /poller WARNING/ } pg_status_log($observer, 0);
        my @warned = grep { !/are the same server/ } @all;
        cmp_ok(@all - @warned, '<', 60, 'that some of them are the same server is told of a few only');
        is(@warned, 1, 'one warning of the poller');
        like($warned[0], qr/may open 160 files, but may need 336$/, 'that tells how many are needed');
        like(log_text($observer, 0), qr/HINT:  Raise the hard limit of open files/, 'and what to do');

        my $up = count("state = 'up'");
        cmp_ok($up, '>=', 80,  "$up hosts are up");
        cmp_ok($up, '<',  160, 'but not all');
        is(count($given_up), @hosts - $up, 'each of the others shows why it is not');
        $since = sql($observer, 'SELECT clock_timestamp()');
        wait_for('another check of all', sub { count("last_check > '$since'") == @hosts });
        is(count("state = 'up' AND last_success > '$since'"), $up, 'those that are up are asked as ever');
        my $descriptors = () = glob '/proc/' . worker_pid($observer, 'poller') . '/fd/*';
        cmp_ok($descriptors, '<=', 160 - 30, "some descriptors are left for others ($descriptors are used)");
        is(raw_status($observer), 'MASTER', 'the raw port answers');

        my $pid = worker_pid($observer, 'poller');
        set_conf($observer, 'pg_status.hosts' => join ', ', @hosts[ -100 .. -1 ]);
        await_all('up', 100);
        is(worker_pid($observer, 'poller'), $pid, 'fewer hosts are all asked, by the same process');
        $observer->stop;
        forget_session($observer);
        configure($observer, 'pg_status.hosts' => join ', ', @hosts);
    };
}

$observer->start;
$observer->safe_psql('postgres', 'CREATE EXTENSION IF NOT EXISTS pg_status');
my $began = time;
await_all('up');
note sprintf 'all up %.2f s after the start', time - $began;
my $poller = worker_pid($observer, 'poller');

# ---- in step

# Checks so far that began at most so many seconds late, and all of them.
sub punctual {
    my ($bound) = @_;
    my (undef, $text) = check($observer, '/metrics');
    my ($in_time) = $text =~ /^pg_status_poll_lateness_seconds_bucket\{le="\Q$bound\E"\} (\d+)$/m
      or die 'no such class';
    my ($all) = $text =~ /^pg_status_poll_lateness_seconds_count (\d+)$/m;
    return ($in_time, $all);
}

subtest 'checks are spread over the interval and begin in time' => sub {
    # how many checks were finished in each tenth of a second, by the last check of each host
    my $tenths = q{SELECT count(*), max(n) FROM (SELECT count(*) AS n FROM pg_status_hosts
        GROUP BY floor(extract(epoch FROM last_check) * 10)::bigint % 10) AS tenths};
    my ($used, $most);
    wait_for('each tenth of a second to have its share', sub {
        ($used, $most) = split /\|/, sql($observer, $tenths);
        return $used == 10 && $most < @hosts / 3;
    });
    pass("each tenth of a second has checks, at most $most of " . @hosts);

    my ($in_time, $all, $in_time_now, $all_now, $took);
    # of hosts that all answer: one that does not, on a busy machine, is asked faster
    wait_for('three rounds without a failure', sub {
        my ($since, $offset) = (time, log_offset($observer));
        ($in_time, $all) = punctual('0.25');
        wait_for('three more rounds',
            sub { ($in_time_now, $all_now) = punctual('0.25'); $all_now >= $all + 3 * @hosts });
        $took = time - $since;
        return !grep { /is suspect/ } pg_status_log($observer, $offset);
    });
    my $late = ($all_now - $all) - ($in_time_now - $in_time);
    cmp_ok($late, '<=', ($all_now - $all) / 20, "at most one in twenty is late by more than 250 ms ($late are)");
    cmp_ok($took, '>', 2, 'and nobody is asked more often than each second');
};

subtest 'all of them freeze at once' => sub {
    my $offset = log_offset($observer);
    freeze($_) foreach reverse @servers;
    await_all('down');
    is(sql($observer, 'SELECT pg_status_master()'), '', 'there is no primary');
    is(raw_status($observer), 'MASTER', 'the raw port answers');
    thaw();
    await_all('up');
    wait_for('the primary', sub { sql($observer, 'SELECT pg_status_master()') eq $hosts[0] });
    is(worker_pid($observer, 'poller'), $poller, 'the poller is the same process');
    my @lines = pg_status_log($observer, $offset);
    cmp_ok(@lines, '<', 1000, 'the log is bounded: ' . @lines . ' lines');
};

SKIP: {
    skip 'prlimit is not installed', 1 unless -x '/usr/bin/prlimit';
    subtest 'descriptors run out, and come back' => sub {
        my $limit = sub { system('prlimit', '--pid', $poller, "--nofile=$_[0]:") == 0 or die 'prlimit failed' };
        my $full = () = glob "/proc/$poller/fd/*";
        # New ones get the lowest free numbers, and the last 32 are not for hosts: whichever numbers the primary's had,
        # few can be used again.
        $limit->(60);
        $primary->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE application_name LIKE 'pg_status%'});
        wait_for('hosts without a descriptor', sub { count("last_error ~ 'no descriptor is left'") > $per_server / 2 });
        is(count("state = 'up' AND host !~ ':" . $primary->port . "\$'"), @hosts - $per_server,
            'those that have theirs are up');
        is(raw_status($observer), 'MASTER', 'the raw port answers');
        my ($user_before, $system_before) = cpu($poller);
        my $began = time;
        wait_for('five rounds', sub { time > $began + 5 });
        my ($user_after, $system_after) = cpu($poller);
        my $used = ($user_after - $user_before + $system_after - $system_before) / (time - $began);
        cmp_ok($used, '<', 0.5, sprintf 'the poller uses %.1f %% of a core meanwhile', 100 * $used);
        $limit->($full + 100);
        await_all('up');
        is(worker_pid($observer, 'poller'), $poller, 'the poller is the same process');
    };
}

# Seconds of processor time: of its own and in the kernel.
sub cpu {
    my ($pid) = @_;
    my @fields = split ' ', read_from("/proc/$pid/stat", 0) =~ s/\A.*\)//r;
    return map { $_ / POSIX::sysconf(POSIX::_SC_CLK_TCK()) } @fields[ 11, 12 ];
}

my $crashes = grep { /terminated by signal|was stuck/ } log_lines($observer, 0);
is($crashes, 0, 'nobody crashed');
is(raw_status($observer), 'MASTER', 'the server answers after all of this');
done_testing;
