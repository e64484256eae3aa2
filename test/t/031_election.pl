# Who is named as the primary when two servers claim to be it: not the one with the highest number, nor the first in the
# list, nor the last one left, but the one that the others follow, and that was named before. Each scenario is watched
# without a break on every node; whatever was named for a moment only is found, too.
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

# A server that is started again has to learn before it can answer.
my @not_yet = qw(gone unready nobody);

# Three servers, the first of @$names the primary, with the others as standbys, in the order of @$listed in all lists.
sub start_nodes {
    my ($names, $listed) = @_;
    my @nodes = start_cluster($names, 'pg_status.poll_interval' => '200ms', 'pg_status.fast_poll_interval' => '50ms');
    my %node  = map { $_->name => $_ } @nodes;
    my @list  = @node{@$listed};
    set_conf($_, 'pg_status.hosts' => hosts_of(@list)) foreach @list;
    foreach my $node (@list) {
        wait_for('the list', sub { all_of($node)->[0]{host} eq name_of($list[0]) });
    }
    my %roles = map { $_ => 'standby' } @$names;
    wait_roles(\@nodes, { %roles, $names->[0] => 'primary' });
    foreach my $standby (@nodes[ 1, 2 ]) {
        wait_for($standby->name . ' to be fit',
            sub { code($standby, '/replica?lag=10MB') == 200 && code($standby, '/readiness') == 200 });
    }
    wait_caught_up(@nodes);
    return @list;
}

sub end_nodes {
    my ($named, @nodes) = @_;
    $named->end;
    foreach my $node (@nodes) {
        forget_session($node);
        $node->stop('immediate');
    }
    return;
}

# All of @nodes report a split brain.
sub soon_split {
    my ($wanted, @nodes) = @_;
    foreach my $node (@nodes) {
        soon_is($node->name . " says of a split brain: $wanted", $wanted,
            sub { try_sql($node, 'SELECT pg_status_is_split_brain()') });
    }
    return;
}

sub reason { my ($node) = @_; return try_sql($node, 'SELECT pg_status_primary_reason()') // 'none' }

# The statuses that a watcher has seen from $since on, each once.
sub codes {
    my ($watch, $since) = @_;
    my %seen = map { $_->[1] => 1 } $watch->changes_since($since);
    return [ sort keys %seen ];
}

subtest 'a standby is promoted beside a primary that a standby follows' => sub {
    my @nodes = start_nodes([qw(a1 a2 a3)], [qw(a1 a2 a3)]);
    my ($primary, $standby, $wrong) = @nodes;
    my $named = PgStatus::Named->new(@nodes);
    my %check = map { $_ => watch_code(check_port($standby), $_, 10_000) } '/replica?lag=10MB', '/readiness';
    $_->wait_when('its first answer', 0, sub { $_[0] eq '200' }) foreach values %check;

    my $start = now();
    $wrong->promote;
    foreach my $node (@nodes) {
        wait_row($node, $wrong, 'as a primary', sub { ($_[0]{role} // '') eq 'primary' && $_[0]{timeline} == 2 });
    }
    soon_split('t', @nodes);
    sql($primary, 'CREATE TABLE written (i int)');
    wait_polls(3, @nodes);
    foreach my $node (@nodes) {
        my $reason = reason($node);
        like($reason, qr/\w+ \w+/, $node->name . ' says why: ' . $reason);
        is(json_of(check($node, '/cluster'))->{primary_reason}, $reason, 'in /cluster, too');
        my @hosts = map { row($node, $_) } @nodes;
        is_deeply([ map { $_->{master} ? 1 : 0 } @hosts ], [ 1, 0, 0 ], 'the table has one master');
        is_deeply([ map { $_->{superseded} ? 1 : 0 } @hosts ], [ 0, 0, 1 ], 'and one that claims to be it and is not');
        is_deeply([ map { $_->{diverged} ? 1 : 0 } @hosts ], [ 0, 0, 0 ], 'and no diverged standby');
    }

    foreach my $node (@nodes) {
        my $ended = end_pollers_sessions($node, 0.1, 1.5);
        cmp_ok($ended, '>=', 5, $node->name . ": $ended sessions of pollers ended, one at a time");
    }
    foreach my $round (1 .. 3) {
        $_->reload foreach @nodes;
        wait_polls(1, @nodes);
    }
    $named->only('nobody names anybody else, nor nobody, from the promotion on', $start, \@nodes, [$primary]);
    is_deeply(codes($check{$_}, $start), ['200'], "the standby passes $_ all that time") foreach sort keys %check;

    # those that just start have no memory of their own
    foreach my $started ($standby, $wrong) {
        my $since = now();
        restart_taking($started, 0);
        $named->soon($primary, @nodes);
        wait_polls(2, @nodes);
        $named->only($started->name . ' restarted: the others go on naming the same', $since,
            [ grep { $_ != $started } @nodes ], [$primary]);
        $named->only('and it names nobody else', $since, [$started], [ $primary, @not_yet ]);
    }
    foreach my $path (sort keys %check) {
        soon_is("the standby passes $path again", '200', sub { code($standby, $path) });
    }

    my $since = now();
    restart_taking($primary, 2);
    $named->soon($primary, @nodes);
    wait_polls(2, @nodes);
    $named->only('the primary restarted: nobody else is named meanwhile', $since, \@nodes, [ $primary, @not_yet ]);
    soon_split('t', @nodes);
    $_->leave foreach values %check;
    end_nodes($named, @nodes);
};

subtest 'the right primary restarts beside a superseded one' => sub {
    my @nodes = start_nodes([qw(b1 b2 b3)], [qw(b1 b2 b3)]);
    my ($old, $new, $third) = @nodes;
    my $named = PgStatus::Named->new(@nodes);
    $new->promote;
    follow($third, $new);
    my $since = $named->soon($new, @nodes);
    foreach my $node (@nodes) {
        wait_row($node, $third, 'behind the new primary', sub { ($_[0]{upstream} // '') eq name_of($new) });
    }
    soon_split('t', @nodes);
    wait_polls(2, @nodes);
    $named->only('once named, it stays named', $since, \@nodes, [$new]);

    my @split;
    restart_taking($new, 5, sub { push @split, try_sql($third, 'SELECT pg_status_is_split_brain()') // 'none' });
    my %seen = map { ("$_->[1] $_->[3]" => 1) } $named->seen($since);
    ok($seen{ $_->name . ' nobody' }, $_->name . ' named nobody meanwhile') foreach $old, $third;
    is_deeply([ grep { $_ ne 't' } @split ], [], 'the split brain was not over for that');
    $named->soon($new, @nodes);
    wait_polls(2, @nodes);
    $named->never('the superseded one was never named by anybody', $since, $old, $third);
    end_nodes($named, @nodes);
};

subtest 'a standby is started without standby.signal' => sub {
    my @nodes = start_nodes([qw(c2 c1 c3)], [qw(c1 c2 c3)]);
    my ($rogue, $primary, $standby) = @nodes;
    my $named = PgStatus::Named->new(@nodes);
    my $since = $named->soon($primary, @nodes);
    restart_without_signal($rogue);
    foreach my $node (@nodes) {
        my $row = wait_row($node, $rogue, 'as a primary', sub { ($_[0]{role} // '') eq 'primary' });
        is($row->{timeline}, 1, $node->name . ' sees the first in the list as a primary on the same timeline');
    }
    soon_split('t', @nodes);
    $named->soon($primary, @nodes);
    wait_polls(3, @nodes);
    my @others = ($primary, $standby);
    $named->only('the others named the right one all the time', $since, \@others, [$primary]);
    $named->only('and it does itself, once it knows', $since, [$rogue], [ $primary, @not_yet ]);

    my $storm = now();
    my $ended = end_pollers_sessions($primary, 0.05, 4);
    cmp_ok($ended, '>=', 40, "$ended sessions of pollers ended within 4 s");
    wait_polls(1, @nodes);
    $named->only('which changes nothing', $storm, \@nodes, [$primary]);

    restart_taking($primary, 3);
    $named->soon($primary, @nodes);
    wait_polls(2, @nodes);
    $named->never('while the right one restarts, it is not named either', $since, $rogue, $standby);
    end_nodes($named, @nodes);
};

done_testing;
