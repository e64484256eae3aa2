# A server that answers in the sessions there are and lets no new one in: a frozen postmaster, and a role that may log in
# no more. And that one that is slow, or lets nobody in for long, is not bothered: few lines in its log.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PgStatus;
use PgStatus::Http;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my @nodes = start_three();
my ($primary, $standby1, $standby2) = @nodes;
$primary->safe_psql('postgres', 'CREATE ROLE monitor LOGIN IN ROLE pg_monitor');
wait_caught_up($primary, $standby1, $standby2);
foreach my $node (@nodes) {
    configure($node,
        'pg_status.check_port' => check_port($node),
        'pg_status.conninfo'   => 'dbname=postgres user=monitor');
    $node->reload;
}
wait_for('the check ports', sub { eval { code($_, '/health') } // '' eq '200' or return 0 foreach @nodes; 1 });
wait_row($primary, $_, 'as monitor', sub { is_up($_[0]) && $_[0]{takes_sessions} }) foreach @nodes;

# Seconds until $condition.
sub seconds_to {
    my ($what, $condition) = @_;
    my $start = time;
    wait_for($what, $condition);
    return time - $start;
}

subtest 'all is well' => sub {
    foreach my $node (@nodes) {
        is(code($node, '/readiness'), 200, $node->name . ' is ready');
        is(row($primary, $node)->{takes_sessions}, 1, 'and takes sessions');
    }
    is(code($primary, '/primary?sessions=1'), 200, 'the primary');
    is(code($primary, '/primary?sessions=maybe'), 400, 'neither yes nor no');
};

subtest 'the postmaster of the primary is frozen' => sub {
    sql($_, 'SELECT 1') foreach @nodes;    # sessions that are there before
    my $pid = postmaster_pid($primary);
    kill 'STOP', $pid or die "kill: $!";
    my $took = eval {
        seconds_to('all nodes to know',
            sub { foreach (@nodes) { return 0 if row($_, $primary)->{takes_sessions} } return 1 });
    };
    is($@, '', sprintf 'all know after %.1f s', $took // -1);
    foreach my $node (@nodes) {
        my $row = row($node, $primary);
        is($row->{state}, 'suspect', $node->name . ': suspect');
        like($row->{last_error}, qr/^takes no new sessions: /, 'because it takes no new sessions');
        is($row->{role}, 'primary', 'it is the primary all the same');
        is($row->{fails}, 0, 'and its checks succeed');
    }
    soon_is('its own /readiness', 503, sub { code($primary, '/readiness') });
    is(code($primary, '/primary?sessions=1'), 503, '/primary?sessions=1');
    is(code($primary, '/primary'), 200, '/primary');
    like((check($primary, '/metrics'))[1], qr/^pg_status_host_takes_sessions\{host="\Q@{[name_of($primary)]}\E"\} 0$/m, 'a metric');
    is(code($standby1, '/readiness'), 200, 'a standby is ready');
    my $connections = () = map { /^\S+\s+\S+/ } grep { /:@{[sprintf '%04X', $primary->port]} / }
      split /\n/, slurp('/proc/net/tcp');
    cmp_ok($connections, '<', 40, "no crowd is waiting at the door ($connections)");
    kill 'CONT', $pid;
    my $back = seconds_to('all nodes to know',
        sub { foreach (@nodes) { return 0 unless row($_, $primary)->{takes_sessions} && is_up(row($_, $primary)) } return 1 });
    cmp_ok($back, '<', 30, sprintf 'it goes on: known after %.2f s', $back);
    is(code($primary, '/readiness'), 200, 'ready again');
};

# (what it tells in the session there is, is of now)
subtest 'the postmaster of a standby is frozen, and its replay' => sub {
    sql($_, 'SELECT 1') foreach @nodes;
    my $pid = postmaster_pid($standby1);
    kill 'STOP', $pid or die "kill: $!";
    my $was = wait_row($primary, $standby1, 'suspect',
        sub { $_[0]{state} eq 'suspect' && $_[0]{last_error} =~ /^takes no new sessions/ });
    cmp_ok($was->{lag_bytes}, '<', 1_000_000, 'it is not behind when that is found out');
    sql($standby1, 'SELECT pg_wal_replay_pause()');
    sql($primary, q{SELECT pg_logical_emit_message(false, 'test', repeat('x', 5000000))});
    my $behind = wait_row($primary, $standby1, 'behind', sub { ($_[0]{lag_bytes} // 0) > 4_000_000 });
    is($behind->{sync_by_bytes}, 0, 'it is not in sync');
    like((check($primary, '/metrics'))[1], qr/^pg_status_host_lag_bytes\{host="\Q@{[name_of($standby1)]}\E"\} [45]\d{6}$/m, 'a metric');
    sql($standby1, 'SELECT pg_wal_replay_resume()');
    wait_row($primary, $standby1, 'not behind', sub { defined $_[0]{lag_bytes} && $_[0]{lag_bytes} < 1_000_000 });
    kill 'CONT', $pid;
    wait_row($primary, $standby1, 'up again', sub { is_up($_[0]) && $_[0]{takes_sessions} });
};

subtest 'a slow login' => sub {
    configure($standby1, pre_auth_delay => '2s');
    $standby1->reload;
    my $since = sql($primary, 'SELECT clock_timestamp()');
    my %seen;
    my $end = time + 25;
    wait_for('two trials of each', sub { $seen{ row($_, $standby1)->{state} }++ foreach @nodes; time > $end });
    is_deeply([ keys %seen ], ['up'], 'is not taken for none');
    configure($standby1, pre_auth_delay => '0');
    $standby1->reload;
};

subtest 'the role may log in no more' => sub {
    my @offsets = map { log_offset($_) } @nodes;
    sql($primary, 'ALTER ROLE monitor NOLOGIN');
    my $took = seconds_to('the primary to be down', sub { is_down(row($primary, $primary)) });
    cmp_ok($took, '<', 45, sprintf 'down after %.1f s, not after conn_max_age', $took);
    my $row = row($primary, $primary);
    like($row->{last_error}, qr/role "monitor" is not permitted to log in/, 'because: ' . $row->{last_error});
    is($row->{takes_sessions}, 0, 'it takes no sessions of ours');
    # (each that goes down is news, and makes the others be asked more often for a while)
    foreach my $of (@nodes) { wait_row($_, $of, 'down', \&is_down) foreach @nodes }

    # at its poll_interval of 200 ms each of the three nodes would make a hundred
    my $offset = log_offset($primary);
    my $end    = time + 20;
    wait_for('20 s', sub { time > $end });
    my @lines = grep { /not permitted to log in/ } log_lines($primary, $offset);
    cmp_ok(scalar @lines, '<=', 60, 'in the next 20 s it has ' . @lines . ' lines of three nodes in its log');
    sql($primary, 'ALTER ROLE monitor LOGIN');
    sql($_, 'SELECT pg_status_poll_now()') foreach @nodes;
    my $back = seconds_to('all to be up', sub { foreach (@nodes) { return 0 unless is_up(row($_, $primary)) } return 1 });
    cmp_ok($back, '<', 20, sprintf 'asked to, they notice at once that it may again: %.2f s', $back);
};

# PostgreSQL tells a client no more than that the password is wrong.
subtest 'the password has expired' => sub {
    my $passfile = PostgreSQL::Test::Utils::tempdir() . '/passfile';
    open my $file, '>', $passfile or die "$passfile: $!";
    print {$file} "*:*:*:monitor:secret\n";
    close $file or die "$passfile: $!";
    chmod 0600, $passfile or die "$passfile: $!";
    sql($primary, q{ALTER ROLE monitor PASSWORD 'secret'});
    wait_caught_up($primary, $standby1, $standby2);
    my $hba = $primary->data_dir . '/pg_hba.conf';
    my $was = slurp($hba);
    open $file, '>', $hba or die "$hba: $!";
    print {$file} "host all monitor 127.0.0.1/32 scram-sha-256\n$was";
    close $file or die "$hba: $!";
    $primary->reload;
    set_conf($_, 'pg_status.conninfo' => "dbname=postgres user=monitor passfile=$passfile") foreach @nodes;
    wait_row($_, $primary, 'up with a password', sub { is_up($_[0]) && $_[0]{takes_sessions} }) foreach @nodes;

    sql($primary, q{ALTER ROLE monitor VALID UNTIL '2020-01-01'});
    my $took = seconds_to('the primary to be down', sub { is_down(row($primary, $primary)) });
    cmp_ok($took, '<', 45, sprintf 'down after %.1f s, not after conn_max_age', $took);
    like(row($primary, $primary)->{last_error}, qr/password authentication failed for user "monitor"/, 'because of the password');
    sql($primary, q{ALTER ROLE monitor VALID UNTIL 'infinity'});
    sql($_, 'SELECT pg_status_poll_now()') foreach @nodes;
    wait_row($_, $primary, 'up again', sub { is_up($_[0]) && $_[0]{takes_sessions} }) foreach @nodes;
};

sub slurp { open my $file, '<', $_[0] or die "$_[0]: $!"; local $/; return scalar <$file> }

done_testing;
