# Hosts of other majors than the server that polls them, without pg_status: real servers of each major that test/peers
# has brought, a primary and a standby of it, polled as a cluster of their own, by a role that may see all and by one that
# may only log in; and all of them in one list with this server.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use JSON::PP;
use PgStatus;
use PgStatus::OtherMajor;
use PostgreSQL::Test::Cluster;
use Test::More;

my $folder = $ENV{PGST_PEERS} // '';
my @majors = PgStatus::OtherMajor::majors_in($folder);
plan skip_all => 'no servers of other majors: test/peers FOLDER brings them, PGST_PEERS=FOLDER names them' unless @majors;

my $observer = init_node(new_node('observer'), 'pg_status.hosts' => '127.0.0.1:1');
$observer->start;
$observer->safe_psql('postgres', 'CREATE EXTENSION pg_status');

# Lets the observer poll these, as this role; returns when it has seen all of them.
sub poll {
    my ($user, @nodes) = @_;
    set_conf($observer, 'pg_status.hosts' => hosts_of(@nodes), 'pg_status.conninfo' => "dbname=postgres user=$user");
    wait_for("$user to poll " . join(', ', map { $_->name } @nodes),
        sub { sql($observer, q(SELECT string_agg(host, ',' ORDER BY node_id) FROM pg_status_hosts())) eq
              join ',', map { name_of($_) } @nodes });
    foreach my $node (@nodes) {
        my $sessions = "SELECT count(*) FROM pg_stat_activity WHERE usename = '$user'";
        wait_for("$user to have a session on " . $node->name, sub { (try_sql($node, $sessions) // 0) > 0 });
    }
    wait_polls(1, $observer);
    return map { wait_row($observer, $_, 'up', \&is_up) } @nodes;
}

# A position as the server under test writes it: newer ones with leading zeros.
sub position { my ($node, $query) = @_; return sql($observer, "SELECT '" . sql($node, $query) . "'::pg_lsn") }

# Some columns of a row, as a hash.
sub of_row { my ($row, @columns) = @_; return { map { $_ => $row->{$_} } @columns } }

# A primary and a standby of a major, which streams, and the role `ordinary`, which can do nothing but log in.
sub start_pair {
    my ($major) = @_;
    my ($primary, $standby) = map { PgStatus::OtherMajor->new($folder, $major, "$_$major") } qw(primary standby);
    $primary->init;
    $primary->start;
    sql($primary, 'CREATE ROLE ordinary LOGIN');
    sql($primary, 'CREATE ROLE monitor LOGIN IN ROLE pg_monitor');
    $primary->stop('fast');
    $standby->init_standby_of($primary);
    $_->start foreach $primary, $standby;
    return ($primary, $standby);
}

sub pair_is_right {
    my ($primary, $standby, $user, %known) = @_;
    my $version = sql($primary, 'SHOW server_version_num');
    my $system  = sql($primary, 'SELECT system_identifier FROM pg_control_system()');
    poll($user, $primary, $standby);
    my $row = wait_row($observer, $primary, 'as the primary', sub { $_[0]{master} && $_[0]{role} eq 'primary' });
    is_deeply(of_row($row, qw(timeline server_version system_identifier lag_bytes)),
        { timeline => 1, server_version => $version, system_identifier => $system, lag_bytes => 0 },
        "$user sees the primary");
    is($row->{lsn}, position($primary, 'SELECT pg_current_wal_lsn()'), 'and how far it has come');

    $row = wait_row($observer, $standby, 'in sync',
        sub { $_[0]{sync_by_bytes} && $_[0]{sync_by_time} && (!%known || ($_[0]{sync_state} // '') eq 'async') });
    is_deeply(of_row($row, qw(role timeline server_version system_identifier lag_bytes replay_paused replication_state
                sync_state upstream)),
        { role => 'standby', timeline => 1, server_version => $version, system_identifier => $system, lag_bytes => 0,
            replay_paused => JSON::PP::false, replication_state => undef, sync_state => undef, upstream => undef, %known },
        'and the standby');
    is($row->{lsn}, position($standby, 'SELECT pg_last_wal_replay_lsn()'), 'and how far that has replayed');
    return;
}

# A standby that is held back: how far is known, and that it is again as good as the primary once it is let go.
sub lag_is_right {
    my ($primary, $standby) = @_;
    sql($standby, 'SELECT pg_wal_replay_pause()');
    wait_row($observer, $standby, 'paused', sub { $_[0]{replay_paused} });
    my $from = sql($standby, 'SELECT pg_last_wal_replay_lsn()');
    sql($primary, q(SELECT count(pg_logical_emit_message(true, 'x', repeat('x', 1000000))) FROM generate_series(1, 3)));
    my $behind = sql($primary, "SELECT pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '$from')");
    my $row = wait_row($observer, $standby, 'behind', sub { ($_[0]{lag_bytes} // 0) >= $behind });
    cmp_ok($row->{lag_bytes}, '<', $behind + 100_000, "a standby is behind by $behind bytes");
    wait_row($observer, $standby, 'ever older', sub { ($_[0]{lag_ms} // 0) >= 1000 });
    sql($standby, 'SELECT pg_wal_replay_resume()');
    $row = wait_row($observer, $standby, 'in sync again', sub { $_[0]{sync_by_bytes} && $_[0]{sync_by_time} });
    ok(!$row->{replay_paused}, 'and is not, when it is let go');
    return;
}

sub failover_is_right {
    my ($primary, $standby) = @_;
    wait_caught_up($primary, $standby);
    $primary->stop('immediate');
    wait_row($observer, $primary, 'down', \&is_down);
    is(sql($observer, 'SELECT pg_status_master()'), '', 'nobody is named while there is no primary');
    sql($standby, 'SELECT pg_promote()');
    my $row = wait_row($observer, $standby, 'as the primary', sub { $_[0]{master} });
    is_deeply(of_row($row, qw(role timeline state)), { role => 'primary', timeline => 2, state => 'up' },
        'the one that was promoted is, on its timeline');
    return;
}

my @pairs;
foreach my $major (@majors) {
    subtest "PostgreSQL $major" => sub {
        my ($primary, $standby) = start_pair($major);
        note sql($primary, 'SELECT version()');
        push @pairs, [ $primary, $standby ];
        pair_is_right($primary, $standby, 'monitor', upstream => name_of($primary), sync_state => 'async',
            replication_state => 'streaming');
        lag_is_right($primary, $standby);
        pair_is_right($primary, $standby, 'ordinary');
    };
}

# One of its own is the cluster; the others are foreign to it: up, with their roles, and never chosen.
subtest 'all of them in one list' => sub {
    my @others = map { @$_ } @pairs;
    sql($observer, 'CREATE ROLE monitor LOGIN IN ROLE pg_monitor');
    poll('monitor', $observer, @others);
    wait_row($observer, $observer, 'as the primary', sub { $_[0]{master} });
    my (%seen, %expected);
    foreach my $pair (@pairs) {
        foreach my $i (0, 1) {
            my ($node, $role) = ($pair->[$i], qw(primary standby)[$i]);
            my $row = wait_row($observer, $node, "as $role", sub { is_up($_[0]) && $_[0]{role} eq $role });
            my $lsn = $i == 0 ? 'pg_current_wal_lsn()' : 'pg_last_wal_replay_lsn()';
            $seen{ $node->name } = of_row($row, qw(role state timeline lsn server_version master lag_bytes sync_state));
            $expected{ $node->name } = { role => $role, state => 'up', timeline => 1, lsn => position($node, "SELECT $lsn"),
                server_version => sql($node, 'SHOW server_version_num'), master => JSON::PP::false, lag_bytes => undef,
                sync_state => undef };
        }
    }
    is_deeply(\%seen, \%expected, 'each is up, in its role, of its version, and nobody of this cluster');
    is(sql($observer, 'SELECT pg_status_master()'), name_of($observer), 'the own server is the primary');
    is(sql($observer, 'SELECT pg_status_replica()'), name_of($observer), 'and the only one to read from');
};

foreach my $pair (@pairs) {
    subtest 'a failover of ' . $pair->[0]->name => sub {
        poll('monitor', @$pair);
        wait_row($observer, $pair->[0], 'as the primary', sub { $_[0]{master} });
        failover_is_right(@$pair);
    };
}

my @wrong = grep { /ERROR/ } map { my $node = $_; map { $node->name . ": $_" }
      split /\n/, read_from($node->data_dir . '.log', 0) } map { @$_ } @pairs;
is_deeply(\@wrong, [], 'none of them met an error');
done_testing;
