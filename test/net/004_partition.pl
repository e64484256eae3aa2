# The majority view. A network that falls apart with the primary alone on one side: what each side says before, during
# and after, with a promotion on the larger side, with pg_status.fence off and on. And a fault of one node alone: it
# knows from the others that nothing happened to the primary.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/../t";
use PgNet;
use PgStatus;
use Test::More;

my ($network, @nodes) = start_cluster([qw(alpha beta gamma)]);

# By README.md; see 001_unreachable_primary.pl.
my $busy      = 2;
my $most_down = 3 * (1 + 0.1) + 1 + $busy;
my $most_up   = 2 * 1 + $busy;

# voters, majority, voters in sight, whether these are a majority, whether this node is fenced
sub quorum_of {
    return sql($_[0], q(SELECT concat_ws(' ', voters, majority, in_sight, quorum, fenced) FROM pg_status_quorum()));
}

sub wait_quorum {
    my ($node, $wanted) = @_;
    my $seen = '';
    eval { wait_for('', sub { ($seen = quorum_of($node)) eq $wanted }) };
    is($seen, $wanted, $node->name . ' sees: voters, majority, in sight, quorum, fenced');
    return;
}

sub split_brain { return sql($_[0], 'SELECT pg_status_is_split_brain()') eq 't' }

# A node shows a thing before it has logged it.
sub logs_once {
    my ($node, $offset, $pattern, $what) = @_;
    my @lines;
    eval { wait_for('', sub { @lines = grep { /$pattern/ } pg_status_log($node, $offset) }) };
    is(scalar @lines, 1, $what);
    return;
}

# $lonely is the primary and is cut off, $promoted takes over, $third follows it; then $lonely is rebuilt.
sub partition {
    my ($fence, $lonely, $promoted, $third) = @_;
    my @larger = ($promoted, $third);
    my ($old, $new) = ($lonely->name, $promoted->name);
    my %offset = map { $_->name => log_offset($_) } @nodes;

    note 'before';
    foreach my $node (@nodes) {
        wait_quorum($node, '3 2 3 t f');
        is(master_on($node), $old, $node->name . ' names the primary');
    }
    wait_says($lonely, 'MASTER', 200, 'the primary');
    wait_caught_up($lonely, @larger);

    note 'apart';
    $network->cut($old);
    in_time("$old is unnamed", $most_down, timed("$old to be unnamed", \@larger, sub { master_on($_[0]) eq '' }));
    foreach my $node (@larger) {
        wait_quorum($node, '3 2 2 t f');
        wait_says($node, 'STANDBY', 503, 'a standby without a primary');
    }
    wait_quorum($lonely, '3 2 1 f ' . ($fence ? 't' : 'f'));
    my @lonely_says = $fence ? ('FENCED', 503, 'fenced') : ('MASTER', 200, 'a primary as ever');
    wait_says($lonely, @lonely_says);
    is(check_code($lonely, $_), 200, "$_ of $old is as ever") foreach qw(/health /liveness);
    is(master_on($lonely), $old, "$old names itself: it is all that it reaches");
    logs_once($lonely, $offset{$old}, qr/WARNING: .*this primary sees no majority/, 'and warns once of no majority');

    note 'apart, with two primaries';
    $promoted->promote;
    in_time("$new is named", 0.1 + $busy, timed("$new to be named", \@larger, sub { master_on($_[0]) eq $new }));
    wait_says($promoted, 'MASTER', 200, 'the new primary');
    set_conf($third, primary_conninfo => $third->way_to($promoted));
    wait_row($_, $third->name, 'behind the new primary', sub { ($_[0]{upstream} // '') eq $new }) foreach @larger;
    wait_quorum($_, '3 2 2 t f') foreach @larger;
    ok(!split_brain($_), $_->name . ' knows of one primary') foreach @nodes;
    wait_says($lonely, @lonely_says);

    note 'together again';
    $network->heal;
    in_time('the split brain is reported', $most_up, timed('all to see it', \@nodes, \&split_brain));
    foreach my $node (@nodes) {
        wait_quorum($node, '3 2 3 t ' . ($fence && $node == $lonely ? 't' : 'f'));
        is(master_on($node), $new, $node->name . ' names the primary of the higher timeline');
        logs_once($node, $offset{ $node->name }, qr/WARNING: .*split brain/, 'and warns once');
    }
    wait_says($promoted, 'MASTER', 200, 'the new primary');
    # it takes writes, and sees a majority; but also its successor
    wait_says($lonely, $fence ? ('FENCED', 503) : ('MASTER', 200), 'the old one');

    note 'rebuilt';
    forget_session($lonely);
    $lonely->stop;
    wait_for($_->name . ' to see the end of the split brain', sub { !split_brain($_) }) foreach @larger;
    $lonely->rebuild($promoted);
    $lonely->start;
    wait_for("$old to take sessions", sub { defined try_sql($lonely, 'SELECT 1') });
    wait_picture($_, 'rebuilt', $old => 'standby', $new => 'primary', $third->name => 'standby') foreach @nodes;
    wait_says($lonely, 'STANDBY', 503, 'the old primary, rebuilt');
    return;
}

my ($alpha, $beta, $gamma) = @nodes;
subtest 'without fence' => sub { partition(0, $alpha, $beta, $gamma) };

set_conf($_, 'pg_status.fence' => 'on') foreach @nodes;
subtest 'with fence' => sub { partition(1, $beta, $gamma, $alpha) };

subtest 'a fault of one node alone' => sub {
    my %offset = map { $_->name => log_offset($_) } @nodes;
    $network->drop('alpha', 'gamma', 5432);
    my $row = wait_row($alpha, 'gamma', 'down', \&is_down);
    $row = wait_row($alpha, 'gamma', 'down for itself only',
        sub { $_[0]{unreachable_here} && $_[0]{votes_up} == 2 && $_[0]{votes_down} == 1 });
    is($row->{state}, 'down', 'the primary is down for this node, and up for two others');
    is(quorum_of($alpha), '3 2 2 t f', 'which still sees a majority');
    logs_once($alpha, $offset{alpha}, qr/WARNING: .*only this node cannot reach host "gamma"/,
        'its log warns that it alone cannot reach it');
    is_deeply([ grep { /"gamma" is down/ } pg_status_log($alpha, $offset{alpha}) ], [], 'and announces no outage');
    foreach my $node ($beta, $gamma) {
        my $seen = row($node, 'gamma');
        is_deeply([ @{$seen}{qw(state fails)}, $seen->{unreachable_here} ? 1 : 0 ], [ 'up', 0, 0 ],
            $node->name . ' sees nothing of it');
        is(master_on($node), 'gamma', 'and names the primary');
        is_deeply([ grep { /"gamma"/ } pg_status_log($node, $offset{ $node->name }) ], [], 'without a line in its log');
    }
    $network->heal;
    in_time('gamma is named again', $most_up, timed('it', [$alpha], sub { master_on($_[0]) eq 'gamma' }));
    $row = wait_row($alpha, 'gamma', 'up for all', sub { $_[0]{votes_up} == 3 && $_[0]{votes_down} == 0 });
    ok(!$row->{unreachable_here}, 'and is reachable from here, too');
};

done_testing;
