# A primary and two standbys: what each of them says through the raw port and through SQL, and how the lag of a standby
# is told when the primary is idle, when replay is paused and when the link is cut.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PgStatus;
use Test::More;
use Time::HiRes qw(time usleep);

my @selectors = map { "pg_status_$_()" }
  qw(sync_by_time sync_by_bytes sync_by_time_or_bytes sync_by_time_and_bytes most_sync_by_bytes);

my @nodes = start_three('pg_status.sync_max_lag_ms' => 500, 'pg_status.sync_max_lag_bytes' => 200_000);
my ($primary, $standby1, $standby2) = @nodes;
sql($primary, 'CREATE TABLE filler (t text)');

# Every host that the selectors name in twenty rounds on a node.
sub named_by_selectors {
    my ($node) = @_;
    my %named;
    foreach my $call (@selectors, 'pg_status_replica(lag_ms => 500)', 'pg_status_replica(lag_bytes => 200000)') {
        $named{$_}++ foreach split /\n/, sql($node, "SELECT $call FROM generate_series(1, 20)");
    }
    return \%named;
}

sub write_some { sql($primary, "INSERT INTO filler SELECT repeat('x', 1000) FROM generate_series(1, 100)") }

# Waits for a condition on a row while the primary keeps writing.
sub wait_row_writing {
    my ($on, $of, $what, $condition) = @_;
    return wait_row($on, $of, $what, sub { write_some(); usleep(10_000); $condition->(@_) });
}

subtest 'who is who' => sub {
    is(raw_status($primary),  'MASTER',  'the raw port of the primary');
    is(raw_status($standby1), 'STANDBY', 'the raw port of a standby');
    is(raw_status($standby2), 'STANDBY', 'the raw port of the other standby');
    foreach my $node (@nodes) {
        my $name = $node->name;
        is(sql($node, 'SELECT pg_status_master()'), name_of($primary), "$name names the primary");
        is( sql($node, 'SELECT host, master, alive, possible_dead, role, state, timeline, fails FROM pg_status_hosts'),
            join("\n",
                name_of($primary) . '|t|t|f|primary|up|1|0',
                map { name_of($_) . '|f|t|f|standby|up|1|0' } $standby1, $standby2),
            "$name shows all three, in configured order");
        is(sql($node, 'SELECT count(DISTINCT system_identifier), count(DISTINCT server_version) FROM pg_status_hosts'),
            '1|1', "$name sees one cluster");
        is(sql($node, 'SELECT pg_status_is_split_brain()'), 'f', "$name sees no split brain");
        is(sql($node, 'SELECT pg_status_live()'),           't', "$name is live");
    }
    is(sql($primary,  'SELECT role, state FROM pg_status_local()'), 'primary|running', 'the primary about itself');
    is(sql($standby1, 'SELECT role, state FROM pg_status_local()'), 'standby|running', 'a standby about itself');
};

subtest 'taking turns' => sub {
    foreach my $node (@nodes) {
        my %turns;
        $turns{$_}++ foreach split /\n/, sql($node, 'SELECT pg_status_replica() FROM generate_series(1, 6)');
        is_deeply(\%turns, { name_of($standby1) => 3, name_of($standby2) => 3 },
            'six calls on ' . $node->name . ' give each standby three turns');
    }
    foreach my $node ($standby1, $standby2) {
        my $calls = join ', ', 'pg_status_master()', 'pg_status_replica()', @selectors;
        my $names = sql($node,
            "BEGIN READ ONLY; SELECT $calls, (SELECT count(*) FROM pg_status_hosts), pg_status_ready(); COMMIT");
        unlike($names, qr/\|\|/, 'everything answers in a read-only transaction on ' . $node->name);
        like($names, qr/\|3\|t\z/, 'and sees all hosts');
    }
};

subtest 'replication as the primary tells it' => sub {
    my $details = 'SELECT replication_state, sync_state, upstream FROM pg_status_hosts';
    foreach my $node (@nodes) {
        my $standby = 'streaming|async|' . name_of($primary);
        wait_for($node->name . ' to know how the standbys replicate',
            sub { sql($node, $details) eq "||\n$standby\n$standby" });
        pass($node->name . ' shows replication_state, sync_state and upstream; none for the primary');
    }
    set_conf($primary, synchronous_standby_names => 'standby1');
    foreach my $node (@nodes) {
        wait_row($node, $standby1, 'as synchronous', sub { ($_[0]{sync_state} // '') eq 'sync' });
        is(row($node, $standby1)->{sync_priority}, 1, $node->name . ' shows the synchronous standby');
        is(row($node, $standby2)->{sync_state}, 'async', 'and the other as async');
    }
    set_conf($primary, synchronous_standby_names => '');
    foreach my $node (@nodes) {
        is( sql($node, "SELECT string_agg(DISTINCT application_name, ',' ORDER BY application_name)"
                  . " FROM pg_stat_activity WHERE application_name LIKE 'pg\\_status%'"),
            'pg_status primary,pg_status standby1,pg_status standby2',
            'the connections on ' . $node->name . ' say who polls');
    }
};

subtest 'an idle primary has no lag' => sub {
    sql($primary, 'CHECKPOINT');
    foreach my $standby ($standby1, $standby2) {
        wait_row($primary, $standby, 'caught up', sub { ($_[0]{lag_ms} // -1) == 0 });
    }
    my (%last, %samples, %behind);
    my $end = time + 5;
    while (time < $end) {
        foreach my $node (@nodes) {
            foreach my $row (grep { $_->{role} eq 'standby' } @{ all_of($node) }) {
                my $key = $node->name . ' of ' . $row->{host};
                next if ($last{$key} // '') eq $row->{last_check};
                $last{$key} = $row->{last_check};
                $samples{$key}++;
                $behind{$key}++ if ($row->{lag_ms} // -1) != 0;
            }
        }
        usleep(20_000);
    }
    foreach my $key (sort keys %samples) {
        cmp_ok($samples{$key}, '>=', 10, "$key: $samples{$key} polls in 5 s");
        cmp_ok($behind{$key} // 0, '<=', 1, 'all of them with lag_ms 0, but for one at most');
    }
};

# A standby that falls behind while the primary writes: seen on every node, out of the selectors, and back.
sub falls_behind_and_returns {
    my ($standby, $other) = @_;
    foreach my $node (@nodes) {
        my $row = wait_row_writing($node, $standby, 'behind',
            sub { defined $_[0]{lag_ms} && $_[0]{lag_ms} > 500 && $_[0]{lag_bytes} > 200_000 });
        ok(!$row->{sync_by_time} && !$row->{sync_by_bytes}, $node->name . ' does not call it in sync');
        ok($row->{alive} && $row->{state} eq 'up', 'nor dead');
        my $later = wait_row_writing($node, $standby, 'further behind',
            sub { $_[0]{lag_ms} > $row->{lag_ms} + 500 && $_[0]{lag_bytes} > $row->{lag_bytes} });
        cmp_ok($later->{lag_ms}, '<', 60_000, 'and its lag grows like a clock: ' . $later->{lag_ms} . ' ms');
        wait_row($node, $other, 'in sync', sub { $_[0]{sync_by_time} && $_[0]{sync_by_bytes} });
        is_deeply([ keys %{ named_by_selectors($node) } ],
            [ name_of($other) ], 'selectors with a limit name only the standby that is in sync');
    }
    return;
}

sub is_back {
    my ($standby) = @_;
    foreach my $node (@nodes) {
        wait_row($node, $standby, 'back in sync',
            sub { $_[0]{sync_by_time} && $_[0]{sync_by_bytes} && $_[0]{lag_ms} == 0 });
        wait_for('the selectors to name it again', sub { named_by_selectors($node)->{ name_of($standby) } });
        pass($node->name . ' names it again');
    }
    return;
}

subtest 'paused replay' => sub {
    sql($standby1, 'SELECT pg_wal_replay_pause()');
    falls_behind_and_returns($standby1, $standby2);
    ok(row($_, $standby1)->{replay_paused}, $_->name . ' shows that replay is paused') foreach @nodes;
    sql($standby1, 'SELECT pg_wal_replay_resume()');
    is_back($standby1);
};

subtest 'cut link' => sub {
    my $dead_port = PostgreSQL::Test::Cluster::get_free_port();
    set_conf($standby2, primary_conninfo => "host=127.0.0.1 port=$dead_port");
    wait_for('the link to be cut', sub { sql($standby2, 'SELECT count(*) FROM pg_stat_wal_receiver') eq '0' });
    falls_behind_and_returns($standby2, $standby1);
    is(sql($standby2, 'SELECT pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()'),
        't', 'all of this with everything replayed that was received');
    is(row($primary, $standby2)->{upstream}, undef, 'a standby without a receiver has no upstream');
    set_conf($standby2, primary_conninfo => conninfo_of($primary, $standby2));
    is_back($standby2);
};

subtest 'a role without pg_monitor' => sub {
    sql($primary, 'CREATE ROLE watcher LOGIN');
    $primary->wait_for_catchup($_, 'replay', $primary->lsn('insert')) foreach $standby1, $standby2;
    my %offset = map { $_->name => log_offset($_) } @nodes;
    set_conf($_, 'pg_status.conninfo' => 'dbname=postgres user=watcher') foreach @nodes;
    foreach my $node (@nodes) {
        wait_row($node, $_, 'without details', sub { !defined $_[0]{sync_state} }) foreach $standby1, $standby2;
        my $seen = row($node, $standby2)->{last_check};
        my %polls;
        wait_for('ten more polls', sub { $polls{ row($node, $standby2)->{last_check} }++; keys %polls > 10 });
        is(sql($node, 'SELECT pg_status_master()'), name_of($primary), $node->name . ' still knows the primary');
        my $row = row($node, $standby1);
        is_deeply([ @$row{qw(role state lag_ms fails replication_state)} ], [ 'standby', 'up', 0, 0, undef ],
            'and that the standby is there and has no lag');
        is($row->{upstream}, name_of($primary), 'whom it follows it tells itself');
        my @told = grep { /pg_monitor/ } log_lines($node, $offset{ $node->name });
        cmp_ok(scalar @told, '>=', 1, 'the log names the missing right');
        cmp_ok(scalar @told, '<=', 3, 'once for each host, not for each poll');
    }
};

done_testing;
