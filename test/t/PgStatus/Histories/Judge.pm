# Holds the record of a history against the truth: which answers were certainly wrong. Pure.
#
# Kinds of violation:
#   named     a server was named as the primary, or handed out, that has lost, or that is not the winner
#   diverged  a standby with another history than the primary's was handed out by a selector with a limit, or passed one
#   promise   a host that was named for min_lsn does not have the row that was written there
#   fence     a primary that has to be fenced says MASTER
#   apart     two nodes of one side name different primaries for longer than the bound
#   nobody    nobody is named though there is one primary, alive and seen by all
package PgStatus::Histories::Judge;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(judge_record);

# Answers that fall to the same fault are told once, with their number; a gap of so many seconds makes it two.
my $same_time = 3;

# record: as Recorder gives it. Returns what was wrong, the first in time first: { kind, node, text, from, to, count },
# times since the beginning; and for how many percent of the answers to "who is the primary" that was certain.
sub judge_record {
    my ($truth, $record) = @_;
    my $self = bless { truth => $truth, found => {}, violations => [], certain => 0, bounds => $truth->{bounds} }, __PACKAGE__;
    $self->judge_answer(@$_) foreach @{ $record->{answer} };
    $self->judge_promise(@$_) foreach @{ $record->{promise} };
    $self->compare_nodes($record->{answer});
    my $asked = grep { $_->[3] eq 'master' && $_->[4] ne 'absent' } @{ $record->{answer} };
    return ([ sort { $a->{from} <=> $b->{from} } @{ $self->{violations} } ], $asked ? 100 * $self->{certain} / $asked : 0);
}

sub found {
    my ($self, $kind, $node, $t0, $t1, $text) = @_;
    my ($from, $to) = map { $_ - $self->{truth}{begin} } $t0, $t1;
    my $old = $self->{found}{"$kind $node $text"};
    if ($old && $from < $old->{to} + $same_time) {
        $old->{to} = $to if $to > $old->{to};
        $old->{count}++;
        return;
    }
    my $new = { kind => $kind, node => $node, text => $text, from => $from, to => $to, count => 1 };
    $self->{found}{"$kind $node $text"} = $new;
    push @{ $self->{violations} }, $new;
    return;
}

my %has_limit = map { $_ => 1 } qw(limit time most);

sub judge_answer {
    my ($self, $t0, $t1, $node, $question, $answer) = @_;
    my ($truth, $bound) = ($self->{truth}, $self->{bounds}{bound});
    my $since = $t0 - $bound;
    if ($question eq 'raw' || $question eq 'primary') {
        return unless $truth->{history}{fence} && ($answer eq 'MASTER' || $answer eq '200');
        my $why = $truth->fence_reason($node, $since, $t1) // return;
        $self->found('fence', $node, $t0, $t1, "says $answer" . ($question eq 'raw' ? '' : ' on /primary') . " though $why");
        return;
    }
    my $winner = $truth->stable_winner($node, $since, $t1);
    $self->{certain}++ if defined $winner && $question eq 'master' && $answer ne 'absent';
    if ($question eq 'lag') {
        $self->found('diverged', $node, $t0, $t1, "passes /replica?lag=10MB with another history than ${winner}'s")
          if $answer eq '200' && defined $winner && $winner ne $node && $truth->had_diverged($node, $winner, $since, $t1);
        return;
    }
    if ($answer eq 'nobody') {
        my $long = $t0 - $self->{bounds}{nobody};
        my $only = $question eq 'master' ? $truth->stable_winner($node, $long, $t1) : undef;
        $self->found('nobody', $node, $t0, $t1, "names nobody though $only is the only primary")
          if defined $only && $long >= $truth->{begin} && $truth->most_claimants($long, $t1) == 1;
        return;
    }
    return unless $truth->{server}{$answer};
    my $how = $question eq 'master' ? 'names' : "hands out ($question)";
    if ($question eq 'master' || $truth->claimed($answer, $since, $t1)) {
        $self->found('named', $node, $t0, $t1, "$how $answer though it is $winner by every rule"), return
          if defined $winner && $winner ne $answer;
        $self->found('named', $node, $t0, $t1, "$how $answer, which has lost")
          if !defined $winner && $truth->had_lost($node, $answer, $t0 - 0.3, $t1);
        return;
    }
    $self->found('diverged', $node, $t0, $t1, "$how $answer, which has another history than $winner")
      if $has_limit{$question} && defined $winner && $winner ne $answer && $truth->had_diverged($answer, $winner, $since, $t1);
    return;
}

# With a timeline the position says whose it is, unless two servers began a timeline of that number. Without one it is
# the named primary's, so that has to be the one that wrote the row, before and after, undisturbed.
sub judge_promise {
    my ($self, $t0, $t1, $node, $form, $timeline, $lsn, $primary, $host, $found, $before, $after, $written) = @_;
    return if $found ne '0';
    my ($truth, $bound) = ($self->{truth}, $self->{bounds}{bound});
    # a standby that crashed shows less than it had shown, for a while
    return if $truth->was_touched($t0 - $bound, $t1 + 2, $host, $node);
    my $named = $before eq $primary && $after eq $primary && !$truth->was_touched($t0 - $bound, $t1, $primary)
      && $truth->wrote_on($primary, $written, $t1);
    my $alone = 1 >= grep { $_->{timeline} == $timeline } values %{ $truth->{branch} };
    return unless $named || $form eq 'timeline' && $alone;
    my $diverged = $truth->went_apart($host, $primary, $t1);
    return if $diverged && !$truth->shows_history($host, $primary);
    return if $named && $diverged && !$truth->had_diverged($host, $primary, $t0 - $bound, $t1);
    $self->found('promise', $node, $t0, $t1, "names $host for min_lsn=" . ($form eq 'timeline' ? 'T:LSN' : 'LSN')
          . " of $primary, which has not the row that was written there" . ($diverged ? ' (it has diverged)' : ''));
    return;
}

# ---- two nodes -----------------------------------------------------------------------------------------------------

# Whom a node names in each step: a server when the answers before and after it agree, else undef.
sub names_of {
    my ($self, $node, $answers) = @_;
    my $truth = $self->{truth};
    my @named;
    my $last;
    foreach my $answer (@$answers) {
        my ($t0, $t1, undef, undef, $host) = @$answer;
        if ($last && $last->[4] eq $host && $t0 - $last->[1] < 1.5 && $truth->{server}{$host}) {
            $named[$_] = $host foreach $truth->steps($last->[1], $t0);
        }
        $last = $answer;
    }
    return \@named;
}

sub compare_nodes {
    my ($self, $answers) = @_;
    my $truth = $self->{truth};
    my %answers;
    push @{ $answers{ $_->[2] } }, $_ foreach grep { $_->[3] eq 'master' } @$answers;
    my @nodes = sort keys %answers;
    my %named = map { $_ => $self->names_of($_, $answers{$_}) } @nodes;
    foreach my $i (0 .. $#nodes) {
        foreach my $j ($i + 1 .. $#nodes) { $self->compare(\%named, @nodes[ $i, $j ]) }
    }
    return;
}

sub compare {
    my ($self, $named, @pair) = @_;
    my $truth = $self->{truth};
    my $bound = $self->{bounds}{bound};
    my ($last, $since) = ('');
    foreach my $k (0 .. $truth->{last}) {
        my ($one, $two)     = map { $named->{$_}[$k] // '' } @pair;
        my ($here, $there)  = map { $truth->side_of($_, $k) // '' } @pair;
        my $same = $here ne '' && $here eq $there && 2 == grep { my $node = $_; grep { $_ eq $node } split / /, $here } @pair;
        my $now  = $same && $one ne '' && $two ne '' && $one ne $two ? "$one $two " . $truth->state_of($k) : '';
        $since = $k if $now ne $last;
        $last  = $now;
        next if $now eq '';
        my $time = $truth->{begin} + ($k - $since) / 10;
        next if $time - $truth->{begin} <= $bound;
        my $at = $truth->{begin} + $k / 10;
        $self->found('apart', "$pair[0] and $pair[1]", $at - $bound, $at, "name $one and $two, with the same hosts in sight");
    }
    return;
}

1;
