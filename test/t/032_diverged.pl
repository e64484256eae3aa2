# Standbys whose history is not the primary's: those of another server that was promoted to the same timeline number,
# and those that have replayed more of the old timeline than the new one continues. They are shown as such, have no
# lag, and nobody is sent to them who asks for a limit or for a position. And positions that come with their timeline:
# those that were lost with the old primary, and those that were not.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PgStatus;
use PgStatus::Failover;
use PgStatus::Http;
use PgStatus::Named;
use PgStatus::Watch;
use Test::More;

my @fast      = ('pg_status.poll_interval' => '200ms', 'pg_status.fast_poll_interval' => '50ms');
my $megabytes = q{SELECT pg_logical_emit_message(true, '', repeat('x', 1024 * 1024)) FROM generate_series(1, %d)};

# Returns a position: who has replayed it has all of what was written.
sub write_megabytes {
    my ($node, $count) = @_;
    sql($node, sprintf $megabytes, $count);
    return sql($node, 'SELECT pg_current_wal_flush_lsn()');
}

sub wait_replayed {
    my ($node, $lsn) = @_;
    wait_for($node->name . " to have replayed $lsn",
        sub { sql($node, "SELECT pg_last_wal_replay_lsn() >= '$lsn'") eq 't' });
    return;
}

sub wait_streams_timeline {
    my ($node, $timeline) = @_;
    my $query = "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming' AND received_tli = $timeline";
    wait_for($node->name . " to stream timeline $timeline", sub { sql($node, $query) });
    return;
}

my @nodes;    # of the scenario: whose names can be answers

sub known {
    my ($answer) = @_;
    my ($node) = grep { name_of($_) eq $answer } @nodes;
    return $node ? $node->name : $answer;
}

# All that a selector names on a node within a dozen calls, by SQL.
sub chosen {
    my ($node, $selector) = @_;
    my @hosts = split /\n/, sql($node, "SELECT DISTINCT coalesce($selector, 'nobody') FROM generate_series(1, 12)");
    return join ' ', sort map { known($_) } @hosts;
}

# The same by the discovery port: names or statuses; with a position that is lost, as the head says it.
sub found {
    my ($node, $path) = @_;
    my %answers;
    foreach (1 .. 6) {
        my ($status, $body, $head) = discover($node, $path);
        my $reason = field_of($head, 'X-Pg-Status-Reason');
        $answers{ $status == 200 ? known($body) : ($reason // '') eq 'lost' ? "$status lost" : $status }++;
    }
    return join ' ', sort keys %answers;
}

# What $on shows of $of: state, whether it is diverged, both lags, whether it is in sync.
sub shown {
    my ($on, $of) = @_;
    my $row = row($on, $of);
    return join ' ', $row->{state}, map({ $row->{$_} ? $_ : () } qw(diverged superseded sync_by_time sync_by_bytes)),
      map { "$_=" . ($row->{$_} // 'unknown') } qw(lag_ms lag_bytes);
}

my $is_diverged = 'diverged diverged lag_ms=unknown lag_bytes=unknown';
my $is_good     = 'up sync_by_time sync_by_bytes lag_ms=0 lag_bytes=0';

# Each selector that has a limit, by SQL and HTTP.
my %limited = (
    'pg_status_replica(lag_ms => 999999999999)'    => '/replica?lag_ms=999999999999',
    'pg_status_replica(lag_bytes => 999999999999)' => '/replica?lag_bytes=999999999999',
    'pg_status_sync_by_time()'                     => '/sync_by_time',
    'pg_status_sync_by_bytes()'                    => '/sync_by_bytes',
    'pg_status_sync_by_time_or_bytes()'            => '/sync_by_time_or_bytes',
    'pg_status_sync_by_time_and_bytes()'           => '/sync_by_time_and_bytes');

# Each of them names exactly these on each of these nodes.
sub soon_limits_choose {
    my ($wanted, @on) = @_;
    foreach my $node (@on) {
        my %found;
        my $ask = sub {
            %found = map { ($_ => chosen($node, $_), $limited{$_} => found($node, $limited{$_})) } keys %limited;
            return join ', ', map { "$_: $found{$_}" } grep { $found{$_} ne $wanted } sort keys %found;
        };
        soon_is($node->name . ": whatever has a limit names $wanted", '', $ask);
    }
    return;
}

# Who is named for a position, by SQL and HTTP, on each of these nodes. $given: how it is written, [for SQL, for HTTP].
sub soon_position_chooses {
    my ($what, $given, $by_sql, $by_http, @on) = @_;
    foreach my $node (@on) {
        soon_is($node->name . ": $what", "$by_sql, $by_http",
            sub { chosen($node, "pg_status_replica($given->[0])") . ', ' . found($node, "/replica?$given->[1]") });
    }
    return;
}

sub position { my ($lsn) = @_; return [ "min_lsn => '$lsn'", "min_lsn=$lsn" ] }

sub position_on {
    my ($timeline, $lsn) = @_;
    return [ "min_lsn => '$lsn', timeline => $timeline", "min_lsn=$timeline:$lsn" ];
}

subtest 'two are promoted to the same timeline' => sub {
    @nodes = start_cluster([qw(d1 d2 d3 d4 d5)], @fast);
    my ($dead, $winner, $loser, $of_loser, $of_winner) = @nodes;
    my @left = ($winner, $loser, $of_loser, $of_winner);
    wait_caught_up(@nodes);
    forget_session($dead);
    $dead->stop('immediate');
    # should one of those that follow have got more than who is promoted
    catch_up_with($winner, $_) foreach $loser, $of_winner;
    catch_up_with($loser, $of_loser);
    my $named = PgStatus::Named->new(@left);
    $winner->promote;
    follow($of_winner, $winner);
    my $since = $named->soon($winner, @left);
    wait_streams_timeline($of_winner, 2);
    foreach my $node (@left) {
        wait_row($node, $of_winner, 'behind the first', sub { ($_[0]{upstream} // '') eq name_of($winner) });
    }
    $loser->promote;
    follow($of_loser, $loser);
    wait_streams_timeline($of_loser, 2);
    foreach my $node (@left) {
        my $row = wait_row($node, $loser, 'as a primary', sub { ($_[0]{role} // '') eq 'primary' });
        is($row->{timeline}, 2, $node->name . ' sees another primary on timeline 2');
        wait_row($node, $of_loser, 'on timeline 2', sub { ($_[0]{timeline} // 0) == 2 });
    }
    my $won  = write_megabytes($winner, 1);
    my $lost = write_megabytes($loser,  8);
    wait_replayed($of_winner, $won);
    wait_replayed($of_loser,  $lost);

    foreach my $node (@left) {
        my $on = $node->name . ': ';
        soon_is($on . 'the standby of the other one is diverged', $is_diverged, sub { shown($node, $of_loser) });
        soon_is($on . 'that of the first is good', $is_good, sub { shown($node, $of_winner) });
        soon_is($node->name . ': and the other one itself is superseded', 1,
            sub { row($node, $loser)->{superseded} ? 1 : 0 });
        soon_is($node->name . ' has an event of it', 1,
            sub { sql($node, q(SELECT count(*) FROM pg_status_events WHERE kind = 'diverged')
                      . sprintf q( AND host = '%s' AND new = 'true'), name_of($of_loser)) });
    }
    foreach my $path ('/replica?lag=10MB', '/readiness') {
        soon_is("its own $path is 503",                   503, sub { code($of_loser,  $path) });
        soon_is("$path of the first one's standby is 200", 200, sub { code($of_winner, $path) });
    }
    soon_limits_choose($of_winner->name, @left);
    my $good = $of_winner->name;
    soon_position_chooses('who has what was written on the first', position($won), $good, $good, @left);
    # (which of the two timelines 2 it is a position of, nobody can tell: the primary is what is left)
    my $left = $winner->name;
    soon_position_chooses('no standby has what was written on the other', position($lost), $left, $left, @left);
    foreach my $node (@left) {
        my $most = known(sql($node, 'SELECT pg_status_most_sync_by_bytes()'));
        is($most, $good, $node->name . ': and so is the most in sync');
    }
    $named->only('the first stayed named all the time', $since, \@left, [$winner]);
    $named->end;

    my @still = ($winner, $of_loser, $of_winner);
    my $place = name_of($of_loser);
    my %state = map { $_->name => watch_sql($_,
            "SELECT concat_ws(' ', state, lag_ms, lag_bytes) FROM pg_status_host('$place')", 10_000) } @still;
    my %limit = map { $_->name => watch_sql($_, 'SELECT pg_status_replica(lag_ms => 999999999999)', 10_000) } @still;
    my $stopped = now();
    forget_session($loser);
    $loser->stop('fast');
    wait_row($_, $loser, 'down', \&is_down) foreach @still;
    # further than the other one ever got: then no number tells any more that it is another history
    my $further = write_megabytes($winner, 12);
    is(sql($winner, "SELECT '$further'::pg_lsn > '$lost'"), 't', 'the first gets past where the other one was stopped');
    wait_replayed($of_winner, $further);
    foreach my $node (@still) {
        wait_polls(3, $node);
        my $name = $node->name;
        is_deeply([ map { $_->[1] } $state{$name}->changes_since($stopped) ], ['diverged'],
            "$name: the other one is stopped, its standby is diverged all the time");
        is_deeply([ grep { $_ eq $place } map { $_->[1] } $limit{$name}->changes_since($stopped) ], [],
            "$name: and is never handed out within a limit");
    }
    $_->leave foreach values %state, values %limit;

    # pg_rewind sees nothing to be done: the timelines have the same number
    forget_session($of_loser);
    $of_loser->stop('fast');
    rebuild($of_loser, $winner, 'backup');
    foreach my $node (@still) {
        soon_is($node->name . ': made anew it is good', $is_good, sub { shown($node, $of_loser) });
    }
    foreach my $path ('/replica?lag=10MB', '/readiness') {
        soon_is("its own $path is 200", 200, sub { code($of_loser, $path) });
    }
    soon_limits_choose($of_loser->name . ' ' . $of_winner->name, $winner);
    foreach my $node (@still) { forget_session($node); $node->stop('immediate') }
};

subtest 'a standby past the fork, and positions with their timeline' => sub {
    @nodes = start_cluster([qw(e1 e2 e3)], @fast);
    my ($dead, $new, $ahead) = @nodes;
    my @left = ($new, $ahead);
    my $common = write_megabytes($dead, 1);
    wait_replayed($_, $common) foreach @left;
    detach($new);
    my $not_shipped_to_new = write_megabytes($dead, 2);
    wait_replayed($ahead, $not_shipped_to_new);
    detach($ahead);
    my $never_shipped = write_megabytes($dead, 1);
    forget_session($dead);
    $dead->stop('immediate');
    $new->promote;
    follow($ahead, $new);
    wait_for($_->name . ' to name the promoted one', sub { sql($_, 'SELECT pg_status_master()') eq name_of($new) })
      foreach @left;
    foreach my $node (@left) {
        soon_is($node->name . ': the standby past the fork is diverged', $is_diverged, sub { shown($node, $ahead) });
    }
    foreach my $path ('/replica?lag=10MB', '/readiness') {
        soon_is("its own $path is 503", 503, sub { code($ahead, $path) });
    }
    soon_limits_choose($new->name, @left);

    my @lost = ('nobody', '404 lost');
    soon_position_chooses('a position that was never shipped is lost', position_on(1, $never_shipped), @lost, @left);
    soon_position_chooses('so is one that only a diverged standby has', position_on(1, $not_shipped_to_new), @lost,
        @left);
    soon_position_chooses('one before the fork: the primary has it', position_on(1, $common), ($new->name) x 2, @left);

    forget_session($ahead);
    $ahead->stop('fast');
    my $how = rebuild($ahead, $new, 'rewind');
    foreach my $node (@left) {
        soon_is($node->name . ": rebuilt ($how) it is good", $is_good, sub { shown($node, $ahead) });
    }
    foreach my $path ('/replica?lag=10MB', '/readiness') {
        soon_is("its own $path is 200", 200, sub { code($ahead, $path) });
    }
    soon_limits_choose($ahead->name, @left);
    my $written = write_megabytes($new, 1);
    my @ahead = ($ahead->name) x 2;
    soon_position_chooses('one of the new timeline: who follows has it', position_on(2, $written), @ahead, @left);
    soon_position_chooses('one before the fork: who follows has it', position_on(1, $common), @ahead, @left);
    soon_position_chooses('what was never shipped is lost as before', position_on(1, $never_shipped), @lost, @left);

    sql($ahead, 'SELECT pg_wal_replay_pause()');
    $written = write_megabytes($new, 1);
    soon_position_chooses('who follows has it not yet: the primary', position_on(2, $written), ($new->name) x 2, @left);
    sql($ahead, 'SELECT pg_wal_replay_resume()');
    soon_position_chooses('and then who follows', position_on(2, $written), @ahead, @left);
    foreach my $node (@left) { forget_session($node); $node->stop('immediate') }
};

done_testing;
