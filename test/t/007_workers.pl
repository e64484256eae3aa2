# The workers as guests in the server: they come back when ended, reload, cost nothing when idle, keep quiet, and the
# library explains itself where it was not preloaded.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use POSIX ();
use PgStatus;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my @kinds = ('poller', 'listener');

# Defaults for polling: what is measured here is what users get.
my $node = new_node('node');
my $dead = '127.0.0.1:' . PostgreSQL::Test::Cluster::get_free_port();
init_node($node,
    'pg_status.hosts'              => name_of($node) . ", $dead",
    'pg_status.poll_interval'      => '1s',
    'pg_status.fast_poll_interval' => '100ms');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_status');
wait_row($node, $dead, 'down', \&is_down);
wait_for('the raw port', sub { raw_status($node) ne 'refused' });
is(raw_status($node), 'MASTER', 'the server is up and answers');

subtest 'quiet and idle' => sub {
    my $ticks  = POSIX::sysconf(POSIX::_SC_CLK_TCK());
    my $cpu    = sub { my $t = 0; $t += cpu_ticks(worker_pid($node, $_)) foreach @kinds; $t / $ticks };
    my $offset = log_offset($node);
    my ($start, $before) = (time, $cpu->());
    my %polls;
    wait_for('5 s of polling', sub { usleep(50_000); $polls{ row($node, $node)->{last_check} }++; time > $start + 5 });
    my $used = $cpu->() - $before;
    cmp_ok(scalar keys %polls, '>=', 3, keys(%polls) . ' polls in 5 s');
    my $took = time - $start;
    cmp_ok($used, '<', 0.1 * $took, sprintf 'both workers used %.2f s of CPU in %.1f s', $used, $took);
    is_deeply([ pg_status_log($node, $offset) ], [], 'and logged nothing');
    my @seen = split /\n/, sql($node, 'SELECT backend_type FROM pg_stat_activity');
    ok(!grep({ /pg_status/ } @seen), 'without a database connection of their own');
};

sub cpu_ticks {
    my ($pid) = @_;
    open my $stat, '<', "/proc/$pid/stat" or die "/proc/$pid/stat: $!";
    my @fields = split ' ', <$stat> =~ s/\A.*\)//r;
    return $fields[11] + $fields[12];    # utime and stime; the first field here is the state
}

subtest 'ended workers come back' => sub {
    my $postmaster = postmaster_pid($node);
    my $session    = session($node);
    $session->query('CREATE TEMP TABLE mine ()');
    foreach my $kind (@kinds) {
        my $pid = worker_pid($node, $kind);
        kill 'TERM', $pid;
        my $new = wait_for("a new $kind", sub { my $now = worker_pid($node, $kind); $now && $now != $pid && $now });
        isnt($new, $pid, "a $kind that was ended comes back");
        wait_for('the raw port', sub { raw_status($node) eq 'MASTER' });
        my $since = sql($node, 'SELECT clock_timestamp()');
        wait_for('a new poll',
            sub { sql($node, "SELECT last_check > '$since' FROM pg_status_hosts LIMIT 1") eq 't' });
        is(sql($node, 'SELECT pg_status_master()'), name_of($node), 'and does its work');
        wait_for('both to be live', sub { sql($node, 'SELECT pg_status_live()') eq 't' });
    }
    is($session->query('SELECT count(*) FROM mine'), 0, 'no session was ended by it');
    is(postmaster_pid($node), $postmaster, 'nor the server');
    $session->close;
};

subtest 'reload' => sub {
    my %pid = map { $_ => worker_pid($node, $_) } @kinds;
    set_conf($node, 'pg_status.hosts' => name_of($node) . ' name=other', 'pg_status.allow' => '127.0.0.9');
    wait_for('the poller to use the new settings', sub { sql($node, 'SELECT pg_status_master()') eq 'other' });
    wait_for('the listener to use them as well', sub { (raw_bytes($node))[0] eq '' });
    is_deeply({ map { $_ => worker_pid($node, $_) } @kinds }, \%pid, 'by the same workers');
    set_conf($node, 'pg_status.allow' => '');
    wait_for('answers', sub { raw_status($node) eq 'MASTER' });
};

subtest 'not preloaded' => sub {
    my $plain = init_node(new_node('plain'), shared_preload_libraries => '');
    $plain->start;
    $plain->safe_psql('postgres', $_) foreach "LOAD 'pg_status'", 'CREATE EXTENSION pg_status';
    my (undef, $output, $error) = $plain->psql('postgres',
        "\\set VERBOSITY verbose\nSELECT pg_status_master();\nSELECT 'alive'", on_error_stop => 0);
    like($error, qr/ERROR:  55000: .*pg_status/, 'an error that names the library, with its SQLSTATE');
    like($error, qr/^HINT:  .*shared_preload_libraries/m, 'and a hint that tells what to set');
    is($output, 'alive', 'the session goes on');
    is(raw_status($plain), 'refused', 'and no worker runs');
    $plain->stop;
};

subtest 'pg_upgrade' => sub {
    my ($bindir, $libdir) = map { s/\n//r } map { scalar `pg_config --$_` } qw(bindir pkglibdir);
    my ($old, $new) = map { init_node(new_node($_), 'pg_status.port' => 0) } qw(old new);
    $old->start;
    $old->safe_psql('postgres', 'CREATE EXTENSION pg_status');
    my $version = $old->safe_psql('postgres', 'SHOW server_version_num');
    $old->stop;
    plan skip_all => "no pg_upgrade in $bindir" unless -x "$bindir/pg_upgrade";
    # (it loads $libdir/pg_status, for 18 in that very folder; that of 19 finds a staged one, and before 18 Debian's does)
    plan skip_all => 'pg_upgrade of PostgreSQL 18 finds no library that is not installed'
      if $version =~ /^18/ && !-e "$libdir/pg_status.so";
    my $sockets = PostgreSQL::Test::Utils::tempdir_short();
    my $output;
    chdir $sockets;
    IPC::Run::run([ "$bindir/pg_upgrade", '--check', '-b', $bindir, '-B', $bindir, '-d', $old->data_dir,
            '-D', $new->data_dir, '-p', $old->port, '-P', $new->port, '-s', $sockets ],
        '>', \$output, '2>&1');
    is($?, 0, 'pg_upgrade --check is content') or diag $output;
    like($output, qr/Clusters are compatible/, 'and says so');
};

is(sql($node, 'SELECT pg_status_master()'), 'other', 'the server answers after all of this');
is(raw_status($node), 'MASTER', 'also on the raw port');

done_testing;
