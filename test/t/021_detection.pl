# How soon a killed primary and a promotion are noticed, with the default settings, over three rounds in which each of
# three servers is the primary once. The times are printed; their bounds here are generous, test/bench/failover is the
# place for targets.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PgStatus;
use PgStatus::Detection;
use PgStatus::Failover;
use Test::More;

my $bound = 5;    # seconds
my @nodes = start_cluster([qw(node1 node2 node3)]);

foreach my $kill ([ 'all its processes', \&kill_all ], [ 'its postmaster', \&kill_postmaster ],
    [ 'all its processes', \&kill_all ]) {
    my ($what, $how) = @$kill;
    my ($old,  $new) = map { $_->name } @nodes;
    subtest "$old is killed ($what), $new is promoted" => sub {
        my $seen = failover_round(\@nodes, $how);
        foreach my $node (sort keys %{ $seen->{unnamed} }) {
            my $time = $seen->{unnamed}{$node};
            cmp_ok($time, '<', $bound, sprintf '%s names %s no more after %.3f s', $node, $old, $time);
        }
        cmp_ok($seen->{master}, '<', 60, sprintf '%s says MASTER after %.3f s', $new, $seen->{master});
        foreach my $node (sort keys %{ $seen->{named} }) {
            my $time = $seen->{named}{$node};
            cmp_ok($time, '<', $bound, sprintf '%s names it %.3f s later', $node, $time);
        }
        is_deeply($seen->{strange}, [], 'nobody names anybody else, nor anybody twice');
        is(sql($_, 'SELECT pg_status_is_split_brain()'), 'f', $_->name . ' sees no split brain') foreach @nodes;
    };
}

done_testing;
