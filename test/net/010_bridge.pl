# A link that is cut between two nodes, while a third one reaches both: each of the two sees a majority. The standby at the
# one end is promoted; with pg_status.fence only the primary that the node between them names goes on saying MASTER.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/../t";
use PgNet;
use PgStatus;
use Test::More;

my ($network, $alpha, $beta, $gamma);
($network, $alpha, $beta, $gamma) = start_cluster([qw(alpha beta gamma)]);
my @nodes = ($alpha, $beta, $gamma);
set_conf($_, 'pg_status.fence' => 'on') foreach @nodes;
wait_picture($_, 'at first', alpha => 'primary', beta => 'standby', gamma => 'standby') foreach @nodes;

sub note_of { return sql($_[0], 'SELECT note FROM pg_status_quorum()') }

# It says so for some rounds of polls on end.
sub keeps_saying {
    my ($node, $word, $what) = @_;
    my %seen;
    foreach my $round (1 .. 5) {
        $seen{ raw_word($node) }++;
        wait_polls(1, $gamma);
    }
    is_deeply([ keys %seen ], [$word], $node->name . ": $what");
    return;
}

subtest 'the node between follows the old primary' => sub {
    my $offset = log_offset($beta);
    $network->drop($_->[0], $_->[1], 5432) foreach [qw(alpha beta)], [qw(beta alpha)];
    wait_row($alpha, 'beta',  'out of reach', \&is_down);
    wait_row($beta,  'alpha', 'out of reach', \&is_down);
    wait_row($beta, 'alpha', 'out of reach for itself only', sub { $_[0]{unreachable_here} });
    is(raw_word($alpha), 'MASTER', 'the primary goes on');
    $beta->promote;
    wait_says($beta, 'FENCED', 503, 'promoted beside a primary that the node between names');
    keeps_saying($beta,  'FENCED', 'and stays so');
    keeps_saying($alpha, 'MASTER', 'the one that is named');
    is(check_code($alpha, '/primary'), 200, 'its check is fine');
    is(master_on($gamma), 'alpha', 'the node between names it');
    like(note_of($beta), qr/majority.*names another/, 'the note tells why');
    wait_for('the line', sub { grep { /this primary says FENCED/ } pg_status_log($beta, $offset) });
};

subtest 'the node between follows the new one' => sub {
    set_conf($gamma, primary_conninfo => $gamma->way_to($beta));
    wait_for('gamma to name beta', sub { master_on($gamma) eq 'beta' });
    wait_says($beta,  'MASTER', 200, 'it is followed now');
    wait_says($alpha, 'FENCED', 503, 'and the old one has a successor');
    keeps_saying($_->[0], $_->[1], 'for good') foreach [ $beta, 'MASTER' ], [ $alpha, 'FENCED' ];
};

done_testing;
