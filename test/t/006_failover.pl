# Servers that fail: terminated sessions, a frozen peer, a server of another cluster, a killed primary, a promotion, the
# old primary coming back.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use JSON::PP;
use PgStatus;
use PostgreSQL::Test::Cluster;
use Test::More;
use Time::HiRes qw(time usleep);

my $foreign = new_node('foreign');
my @nodes   = start_three(
    'pg_status.poll_timeout' => '300ms',
    more                     => ', ' . name_of($foreign) . ' name=foreign');
my ($primary, $standby1, $standby2) = @nodes;
my @killed;

sub master_on { return sql($_[0], 'SELECT pg_status_master()') }

subtest 'a server of another cluster' => sub {
    init_node($foreign, 'pg_status.hosts' => '');
    $foreign->start;
    my $ours = row($primary, $primary)->{system_identifier};
    foreach my $node (@nodes) {
        my $row = wait_row($node, 'foreign', 'up', \&is_up);
        isnt($row->{system_identifier}, $ours, $node->name . ' shows it, with its own system identifier');
        ok(!$row->{master}, 'not as the master');
        is(master_on($node), name_of($primary), 'the primary stays the primary');
        is(sql($node, 'SELECT pg_status_is_split_brain()'), 'f', 'no split brain');
        my $named = sql($node, 'SELECT DISTINCT pg_status_replica() FROM generate_series(1, 12)');
        unlike($named, qr/foreign/, 'nobody is sent there');
        my @told = grep { /WARNING: .*"foreign"/ } pg_status_log($node, 0);
        is(scalar @told, 1, 'the log warns of it once');
    }
    $foreign->stop;
};

subtest 'terminated sessions' => sub {
    my %offset = map { $_->name => log_offset($_) } @nodes;
    my ($rounds, $killed, $most_fails, @wrong) = (20, 0, 0);
    my $name = name_of($primary);
    foreach my $round (1 .. $rounds) {
        my $since = sql($primary, 'SELECT clock_timestamp()');
        $killed += sql($primary, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
              . " WHERE application_name LIKE 'pg\\_status %'");
        wait_for("every node to have asked again, round $round",
            sub {
                my $done = 0;
                foreach my $node (@nodes) {
                    my ($fails, $state, $master, $again) = split /\|/,
                      sql($node, "SELECT fails, state, pg_status_master(), last_success > '$since' AND fails = 0"
                          . " FROM pg_status_host('$name')");
                    $most_fails = $fails if $fails > $most_fails;
                    push @wrong, $node->name . ": $state, master is $master" if $state eq 'down' || $master ne $name;
                    $done++ if $again eq 't';
                }
                return $done == @nodes;
            });
    }
    cmp_ok($killed, '>=', 2 * $rounds, "$killed sessions terminated");
    is_deeply(\@wrong, [], 'the primary was never down, nor unnamed');
    cmp_ok($most_fails, '<=', 1, 'each time there was at most one failure');
    foreach my $node (@nodes) {
        my @lines = pg_status_log($node, $offset{ $node->name });
        cmp_ok(scalar @lines, '<=', 2 * $rounds, $node->name . ' logged ' . @lines . ' lines about it');
    }
};

subtest 'a frozen peer' => sub {
    forget_session($standby2);
    freeze($standby2);
    my ($last, $since, $longest) = ('', time, 0);
    my $down_at;
    wait_for('the frozen server to be down for a while',
        sub {
            my $check = row($primary, $standby1)->{last_check};
            if ($check ne $last) {
                my $gap = time - $since;
                $longest = $gap if $last ne '' && $gap > $longest;
                ($last, $since) = ($check, time);
            }
            $down_at //= time if row($primary, $standby2)->{state} eq 'down';
            return $down_at && time > $down_at + 2;
        });
    wait_row($standby1, $standby2, 'down', \&is_down);
    cmp_ok($longest, '<', 1, sprintf 'the others are polled as ever: at most %.3f s apart', $longest);
    is(row($primary, $standby1)->{state}, 'up', 'and up');
    is_deeply([ @{ row($primary, $standby2) }{qw(alive master lag_ms lag_bytes lsn sync_by_time role)} ],
        [ JSON::PP::false, JSON::PP::false, undef, undef, undef, JSON::PP::false, 'unknown' ],
        'of a server that is down nothing is claimed');
    is(sql($primary, 'SELECT DISTINCT pg_status_replica() FROM generate_series(1, 6)'), name_of($standby1),
        'and nobody is sent there');
    is(raw_status($primary), 'MASTER', 'the raw port does not mind');
    thaw();
    foreach my $node ($primary, $standby1) {
        wait_row($node, $standby2, 'up again', sub { is_up($_[0]) && $_[0]{sync_by_time} });
    }
    wait_for('it to know the primary',
        sub { (try_sql($standby2, 'SELECT pg_status_master()') // '') eq name_of($primary) });
    pass('woken, it is up again');
};

subtest 'the primary is killed' => sub {
    forget_session($primary);
    @killed = processes_of($primary);
    $primary->kill9;
    wait_for('its raw port to close', sub { raw_status($primary) eq 'refused' });
    foreach my $node ($standby1, $standby2) {
        wait_for($node->name . ' to name nobody', sub { master_on($node) eq '' });
        my $row = row($node, $primary);
        is($row->{state}, 'down', $node->name . ' has it down');
        cmp_ok($row->{fails}, '>=', 3, 'after three failures');
        like($row->{last_error}, qr/refused/i, 'and tells why');
        my @states = map { /"\Q@{[ name_of($primary) ]}\E" (is suspect|is down|cannot be reached)/ ? $1 : () }
          grep { !/terminat/ } pg_status_log($node, 0);
        like(join(', ', @states), qr/is suspect, (is down|cannot be reached)(, is down)?\z/, 'suspect first, by the log');
        is(raw_status($node), 'STANDBY', 'it says STANDBY itself');
        isnt(sql($node, 'SELECT pg_status_replica()'), '', 'and standbys are handed out without a primary');
    }
};

subtest 'a standby is promoted' => sub {
    $standby1->promote;
    my $start = time;
    foreach my $node ($standby1, $standby2) {
        wait_for($node->name . ' to name the new primary', sub { master_on($node) eq name_of($standby1) });
        is(row($node, $standby1)->{timeline}, 2, $node->name . ' names the new primary, on timeline 2');
    }
    cmp_ok(time - $start, '<', 5, sprintf 'within %.3f s of it', time - $start);
    set_conf($standby2, primary_conninfo => conninfo_of($standby1, $standby2));
    foreach my $node ($standby1, $standby2) {
        wait_row($node, $standby2, 'behind the new primary',
            sub { ($_[0]{upstream} // '') eq name_of($standby1) && $_[0]{timeline} == 2 && $_[0]{sync_by_time} });
        is(sql($node, 'SELECT pg_status_replica()'), name_of($standby2), $node->name . ' hands out the other standby');
        is(sql($node, 'SELECT pg_status_is_split_brain()'), 'f', 'no split brain in a failover');
    }
};

sub split_brain_lines { return grep { /split brain/i } pg_status_log($_[0], 0) }

subtest 'the old primary comes back' => sub {
    wait_for('the killed processes to be gone', sub { !kill 0, @killed });
    $primary->start;
    foreach my $node (@nodes) {
        wait_for($node->name . ' to see the split brain',
            sub { (try_sql($node, 'SELECT pg_status_is_split_brain()') // '') eq 't' });
        is(master_on($node), name_of($standby1), $node->name . ' sees the split brain; the higher timeline is named');
        is_deeply([ map { row($node, $_)->{role} } $primary, $standby1 ], [ 'primary', 'primary' ], 'both are shown');
        is_deeply([ map { row($node, $_)->{master} } $primary, $standby1 ], [ JSON::PP::false, JSON::PP::true ],
            'only one as the master');
        my $named = sql($node, 'SELECT DISTINCT pg_status_replica() FROM generate_series(1, 6)');
        is($named, name_of($standby2), 'the loser is not handed out as a replica');
    }
    is(raw_status($primary),  'MASTER', 'the old primary says MASTER: it does take writes');
    is(raw_status($standby1), 'MASTER', 'so does the new one');
    forget_session($primary);
    $primary->stop;
    foreach my $node ($standby1, $standby2) {
        wait_for($node->name . ' to see its end', sub { sql($node, 'SELECT pg_status_is_split_brain()') eq 'f' });
        is(master_on($node), name_of($standby1), $node->name . ' still names the higher timeline');
        my @lines = split_brain_lines($node);
        is(scalar @lines, 2, 'the log has one line for the beginning and one for the end');
        like($lines[0] // '', qr/WARNING:/, 'the first is a warning');
    }
    is(scalar(grep { /WARNING/ } split_brain_lines($primary)), 1, 'the old primary logged it once as well');
};

done_testing;
