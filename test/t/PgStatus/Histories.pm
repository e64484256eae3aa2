# One history from its beginning to the judgement: made up from a seed, or repeated from a script. What can be done is in
# Histories::Cluster, what is to be done in ::Plan, what was said in ::Recorder, what was true in ::Truth, and what of it
# was wrong in ::Judge.
package PgStatus::Histories;

use strict;
use warnings;

use PgStatus::Histories::Cluster;
use PgStatus::Histories::Judge;
use PgStatus::Histories::Place;
use PgStatus::Histories::Plan;
use PgStatus::Histories::Recorder;
use PgStatus::Histories::Script;
use PgStatus::Histories::Truth;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

# The histories that are part of test/run: [seed, how] each. Short ones: a standby of five promoted by mistake, under a
# fence; a failover while the old primary is frozen, which comes back; a cascaded standby promoted, the primary restarted.
sub fixed { return map { [ $_, acts => 4, quiet => 8 ] } 4, 8, 11 }

# A violation in words.
sub told_of {
    my ($violation) = @_;
    return sprintf '%s: from %.1f to %.1f s, %d times: %s %s', @$violation{qw(kind from to count node text)};
}

# Servers on paper, for many histories one after the other, at a Histories::Place.
sub new {
    my ($class, $place) = @_;
    return bless { cluster => PgStatus::Histories::Cluster->new($place // PgStatus::Histories::Place->new) }, $class;
}

# Makes one up. acts: how many things are done (pauses and what undoes them not counted); quiet: seconds at the end in
# which nothing happens (default: until nobody may be unnamed any more).
sub from_seed {
    my ($self, $seed, %how) = @_;
    my $plan    = new_plan($seed, %{ $self->{cluster}{can} });
    my $history = $plan->cluster;
    my @list    = @{ $history->{list} };
    my $bounds  = bounds_of(\%PgStatus::Histories::Cluster::settings);
    my $left    = $how{acts};
    my @next;
    my $quiet = $how{quiet} // $bounds->{nobody} + 2;
    my $undone;
    my $come = sub {
        my ($now) = @_;
        if (!@next && $left > 0) {
            @next = ($plan->next_act($now), $plan->pause);
            $left-- if $next[0][0] ne 'pause';
        } elsif (!@next && !$undone++) {
            @next = ($plan->undo($now, \@list), [ 'pause', sprintf '%.1f', $quiet ]);
        }
        return shift @next;
    };
    return $self->run($history, $come);
}

# Repeats one. It is as long as its script says.
sub from_script {
    my ($self, $text) = @_;
    my $history = parse_script($text);
    my @acts    = @{ $history->{acts} };
    $history->{acts} = [];
    return $self->run($history, sub { shift @acts });
}

# Returns { script, acts (how many, without pauses), times (when which was), answers, promises (how many), certain (percent
# of the answers), violations, judging, seconds }; dies when the servers do not begin.
sub run {
    my ($self, $history, $next) = @_;
    my $cluster = $self->{cluster};
    my $start   = clock_gettime(CLOCK_MONOTONIC);
    my ($record, $begin, $end, @acts);
    my $done = eval {
        $cluster->begin($history);
        my $recorder = start_recorder($cluster->{template}->basedir, $cluster->{servers}, $cluster->{place});
        $recorder->wait_for_all;
        $begin = clock_gettime(CLOCK_MONOTONIC);
        while (my $act = $next->($cluster)) {
            push @{ $history->{acts} }, $act;
            push @acts, $cluster->act(@$act);
        }
        $end    = clock_gettime(CLOCK_MONOTONIC);
        $record = $recorder->finish;
        1;
    };
    my $why = $@;
    my @trouble = $cluster->trouble;
    $cluster->end;
    my $stopped = clock_gettime(CLOCK_MONOTONIC);
    my $script = script_text($history);
    die "$why\nin the history:\n$script" unless $done;
    my $truth = PgStatus::Histories::Truth->new(
        history  => $history,
        acts     => \@acts,
        sights   => $record->{sight},
        births   => $record->{birth},
        settings => \%PgStatus::Histories::Cluster::settings,
        begin    => $begin,
        end      => $end);
    my ($wrong, $certain) = judge_record($truth, $record);
    my $judged = clock_gettime(CLOCK_MONOTONIC);
    my %crash = (kind => 'crash', node => '', from => 0, to => $end - $begin, count => 1);
    my @violations = (@$wrong, map { { %crash, text => $_ } } @trouble);
    return {
        script     => $script,
        acts       => scalar(grep { $_->{words}[0] ne 'pause' } @acts),
        answers    => scalar @{ $record->{answer} },
        promises   => scalar @{ $record->{promise} },
        certain    => $certain,
        violations => \@violations,
        judging    => $judged - $stopped,
        seconds    => clock_gettime(CLOCK_MONOTONIC) - $start,
        times      => [ map { sprintf '%7.1f s  %s', $_->{t0} - $begin, join ' ', @{ $_->{words} } } @acts ]
    };
}

1;
