# The rounds of test/bench/failover, and its table. It runs inside the place that test/bench/failover has made.
use strict;
use warnings;

my $terminal;
BEGIN { open $terminal, '>&', \*STDOUT or die "STDOUT: $!" }    # PostgreSQL::Test::Utils takes STDOUT for its log

use FindBin;
use lib "$FindBin::RealBin/../t";
use PgStatus;
use PgStatus::Detection;
use PgStatus::Failover;
use PostgreSQL::Test::Cluster;

my $rounds = $ENV{ROUNDS} || 10;
my $strict = grep { $_ eq '--strict' } @ARGV;
my ($missed, $strange) = (0, 0);
my @table;

# A killed or stopped server is missed within the first, a promotion is known within the second, both in seconds: medians of the
# node that was slowest in each round.
my ($unnamed_target, $named_target) = (0.5, 0.25);

sub say_out { syswrite $terminal, "$_\n" foreach @_; return }

sub median {
    my @sorted = sort { $a <=> $b } @_;
    return ($sorted[ $#sorted / 2 ] + $sorted[ @sorted / 2 ]) / 2;
}

sub worst { return (sort { $b <=> $a } @_)[0] }
sub least { return (sort { $a <=> $b } @_)[0] }
sub ms    { return sprintf $_[0] < 0.0095 ? '%.1f' : '%.0f', 1000 * $_[0] }

# A line of the table, as row() of lib.sh writes it; the target, in seconds, is for the median.
sub tell_row {
    my ($measure, $target, @times) = @_;
    my $verdict = !defined $target ? '' : median(@times) <= $target ? 'PASS' : 'MISS';
    $missed++ if $verdict eq 'MISS';
    push @table, sprintf '| %s, ms | %s |  | %s (%s to %s), %d rounds | %s | %s |', $measure, ms(median(@times)),
      ms(median(@times)), ms(least(@times)), ms(worst(@times)), scalar @times,
      defined $target ? '<= ' . ms($target) : '', $verdict;
    return;
}

sub times_of { my ($times) = @_; return join ', ', map { "$_ " . ms($times->{$_}) } sort keys %$times }

# Ten rounds of one kind, and their lines in the table.
sub measure {
    my ($what, $kill, $nodes) = @_;
    my (@seen, %unnamed_at, %named_at, @unnamed, @named, @own);
    foreach my $round (1 .. $rounds) {
        my ($old, $new) = map { $_->name } @$nodes;
        my $seen = failover_round($nodes, $kill);
        say_out(sprintf '%s, round %d: %s is gone, named no more after ms: %s; %s is promoted, says MASTER after %s'
              . ' ms, is named ms later: %s (asked each %s ms)', $what, $round, $old, times_of($seen->{unnamed}), $new,
            ms($seen->{master}), times_of($seen->{named}), ms($seen->{pace}));
        say_out("STRANGE: $_") foreach @{ $seen->{strange} };
        $strange += @{ $seen->{strange} };
        push @{ $unnamed_at{$_} }, $seen->{unnamed}{$_} foreach keys %{ $seen->{unnamed} };
        push @unnamed, worst(values %{ $seen->{unnamed} });
        push @own,     delete $seen->{named}{$new};
        push @{ $named_at{$_} }, $seen->{named}{$_} foreach keys %{ $seen->{named} };
        push @named, worst(values %{ $seen->{named} });
        push @seen, $seen;
    }
    tell_row("$what: unnamed by every other node", $unnamed_target, @unnamed);
    tell_row("$what: unnamed by $_", undef, @{ $unnamed_at{$_} }) foreach sort keys %unnamed_at;
    tell_row("$what: from the order to promote to MASTER on the raw port", undef, map { $_->{master} } @seen);
    tell_row("$what: from there to named by every other node", $named_target, @named);
    tell_row("$what: from there to named by $_", undef, @{ $named_at{$_} }) foreach sort keys %named_at;
    tell_row("$what: from there to named by the promoted node itself", undef, @own);
    tell_row("$what: time between two answers", undef, map { $_->{pace} } @seen);
    tell_row("$what: time between two answers, the longest of each round", undef, map { $_->{slowest} } @seen);
    return;
}

my @nodes = start_cluster([qw(node1 node2 node3)]);
measure('all processes killed', \&kill_all, \@nodes);
measure('postmaster killed',    \&kill_postmaster, \@nodes);
measure('stopped fast',         \&stop_fast, \@nodes);
open my $rows, '>', $ENV{ROWS} or die "$ENV{ROWS}: $!";
print $rows map { "$_\n" } @table, "| ended primaries and promotions: answers that named what they should not, or told of a split brain | $strange |  |  | 0 | "
  . ($strange ? 'MISS' : 'PASS') . ' |';
close $rows or die "$ENV{ROWS}: $!";
exit(($strange || $strict && $missed) ? 1 : 0);
