# One round of a failover, with the times that matter: the primary of a cluster is killed, its loss is noticed, a
# standby is promoted, the promotion is noticed, the old primary comes back as a standby. It measures; how fast is fast
# enough is the caller's matter.
package PgStatus::Detection;

use strict;
use warnings;

use Carp;
use Exporter 'import';
use PgStatus;
use PgStatus::Failover;
use PgStatus::Http;
use PgStatus::Watch;

our @EXPORT = qw(failover_round);

# The first of @$nodes is the primary, the second is promoted, all others are standbys; all see each other. $kill is
# kill_all, kill_postmaster or stop_fast of PgStatus::Failover. Returns a hash:
#   unnamed   node name -> seconds from the kill until this node named the killed one no more; all nodes but that one
#   master    seconds from the order to promote until the promoted node's raw port said MASTER
#   named     node name -> seconds from then until this node named the promoted one; below 0 when it was earlier
#   strange   what was answered in between that is neither the old name, nobody, nor the new name, or not in this order,
#             and who reported a split brain where there is none
#   pace, slowest   the time between two answers of one port, on average and at most: how exact the times are
# Afterwards the nodes are in their new order: the promoted one first, the old primary, a standby again, last.
sub failover_round {
    my ($nodes, $kill) = @_;
    my ($old, $new, @others) = @$nodes;
    my @left   = ($new, @others);
    my %master = map { $_->name => watch_master(discovery_port($_)) } @left;
    # (each now and then, so that the others are not slowed)
    my %split = map { $_->name => watch_sql($_, 'SELECT pg_status_is_split_brain()', 10_000) } @left;
    my %result;

    wait_caught_up($old, @left);
    foreach my $node (@left) {
        $master{ $node->name }->wait_when($node->name . ' to name the primary', 0, sub { $_[0] eq name_of($old) });
    }
    forget_session($old);
    my $killed = now();
    $kill->($old);
    foreach my $node (@left) {
        my $when = $master{ $node->name }
          ->wait_when($node->name . ' to name the killed primary no more', $killed, sub { $_[0] ne name_of($old) });
        $result{unnamed}{ $node->name } = $when - $killed;
    }

    my $word = watch_word(raw_port($new));
    $word->wait_when('the word of ' . $new->name, 0, sub { $_[0] eq 'STANDBY' });
    my $ordered = now();
    $new->promote;
    my $first = $word->wait_when($new->name . ' to say MASTER', $ordered, sub { $_[0] eq 'MASTER' });
    $result{master} = $first - $ordered;
    foreach my $node (@left) {
        my $when = $master{ $node->name }
          ->wait_when($node->name . ' to name the promoted node', $ordered, sub { $_[0] eq name_of($new) });
        $result{named}{ $node->name } = $when - $first;
    }

    $result{strange} = [];
    foreach my $node (@left) {
        my @answers = $master{ $node->name }->answers_since($killed);
        push @{ $result{strange} }, $node->name . ': ' . join ', ', map { "\"$_\"" } @answers
          unless "@answers" eq " " . name_of($new);
    }
    foreach my $node (@left) {
        my @answers = map { $_->[1] } $split{ $node->name }->changes_since($killed);
        push @{ $result{strange} }, $node->name . ': split brain ' . join ', ', @answers unless "@answers" eq 'f';
    }
    my @words = $word->answers_since($ordered);
    push @{ $result{strange} }, $new->name . ': ' . join ', ', @words unless "@words" eq 'MASTER';
    ($result{slowest}) = sort { $b <=> $a } map { $_->slowest } $word, values %master;
    ($result{pace})    = sort { $b <=> $a } map { $_->pace } $word, values %master;
    $_->leave foreach $word, values %master, values %split;

    follow($_, $new) foreach @others;
    rebuild($old, $new, 'rewind');
    @$nodes = (@left, $old);
    wait_roles($nodes, { $new->name => 'primary', map { $_->name => 'standby' } @others, $old });
    foreach my $standby (@others, $old) {
        foreach my $node (@$nodes) {
            wait_row($node, $standby, 'behind the new primary', sub { ($_[0]{upstream} // '') eq name_of($new) });
        }
    }
    return \%result;
}

1;
