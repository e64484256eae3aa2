# What was true at each moment of a history, from what was done (acts) and what was seen of the servers past pg_status
# (sights, births). Time is cut into steps; of each step it is known, not known, or known not to be. Pure: it asks nobody.
#
# The judge reports only what is certainly wrong, so everything here leans to "not known":
#
# A *branch* is what one server wrote from one beginning as a primary to its end, over restarts. It descends from the
# branches whose rows the server had when it began, each up to the last row that it had. A server *has* a branch when it
# has a row of it. A standby has *diverged* from a primary when it has rows that the primary's branch does not go through.
#
# The *winner*, in the eyes of one node and by the rules of election, is the claimant (a live server out of recovery, of
# the node's list) that beats every other server which may claim, and every tree without a head: live standbys with rows
# that the winner has not. Trees are counted twice, in all servers and in those that vote, and at their smallest for the
# winner (who certainly streams from it), at their largest for the others (who may, by its configuration); both counts
# have to agree. Against another one the winner has to be
#   of a newer timeline (its history goes through the other's): the incumbent, or at least as big and followed by
#                                                              somebody, as it may have been refused; against a tree
#                                                              without a head as big is enough
#   of the same timeline, or neither is newer:                 bigger, or as big and the incumbent
#   of an older one, or when that is not known:                bigger and the incumbent
# Of a server without pg_status the history is not known: against it, or for it, only the last of these counts.
# There is no winner while anything of this is not known, while the node itself is frozen, down or gets another list, and
# while anybody is shut out of anybody.
# Who is cut off from a server through the network is shut out of it, too; and what is said to stream over such a way does
# not count. A server that is cut off from all others, both ways, is gone for them like a frozen one; they have a winner
# among themselves if they are a majority.
#
# The *incumbent* of a node is who has been its winner for as long as it may take to learn anything (`bound`); it is
# forgotten as soon as anybody else may be chosen: another winner, no winner for a reason that may make nodes choose, or
# its own absence while there is a claimant that has not lost. A node that starts has the one of a majority of voters.
#
# A branch has *lost*, in the eyes of a node, when its server claimed beside an incumbent, or when the incumbent's branch
# descends from it (then it is *superseded*). That is over
#   for a superseded one: when no live server has the incumbent's branch: at once if it was never seen to claim, or if a
#     live standby is set to follow it, else after ten seconds, as then the incumbent is gone without a sign;
#   for another one: ten seconds after the incumbent stopped to claim, or as soon as a live standby is set to follow it:
#     a claimant that lost needs a follower of its own, and is not named just because the other one restarts;
#   for both: when the node restarts, or many are shut out of the incumbent, or the node out of anybody, or when the
#     incumbent is taken off the list, by which somebody has decided.
package PgStatus::Histories::Truth;

use strict;
use warnings;

use Exporter 'import';
use List::Util qw(max min);

our @EXPORT = qw(bounds_of);

my $step = 0.1;

# In these many seconds something that is gone without a sign stops to count; a little less, as the nodes begin to count
# later than we do.
my $gone_time = 9;

# From the settings (seconds), how long it may take until a node believes what is true. A silent server, frozen or behind a
# network that loses what is sent, is down after max_fails probes of poll_timeout, each fast_poll_interval later, begun
# within a poll_interval; another node's opinion of it comes one poll of that node and one of ours later. All of it twice,
# for a machine at half speed. What a stuck poller knew is too old after max_fails + 1 rounds and two seconds. A second and
# a half is for processes that wait to run.
#   bound   for all that is learned;  nobody   until the only primary must be named: a primary that is gone without a
#   sign keeps its place for ten seconds
sub bounds_of {
    my ($settings) = @_;
    my $down  = $settings->{max_fails} * ($settings->{poll_timeout} + $settings->{fast_poll_interval})
      + $settings->{poll_interval};
    my $told  = 2 * $settings->{poll_interval};
    my $stale = ($settings->{max_fails} + 1) * max($settings->{poll_interval}, $settings->{poll_timeout}) + 2;
    my $bound = max($stale, 2 * ($down + $told)) + 1.5;
    return { bound => $bound, nobody => $bound + 10 };
}

# history: as in Script. acts, sights, births: as Cluster and Recorder give them. begin, end: times; everybody named the
# first primary at the beginning.
sub new {
    my ($class, %told) = @_;
    my $self = bless { %told, bounds => bounds_of($told{settings}) }, $class;
    $self->{names} = [ map { $_->{name} } @{ $self->{history}{servers} } ];
    $self->{server} = { map { $_->{name} => $_ } @{ $self->{history}{servers} } };
    $self->{last} = $self->index_of($self->{end});
    $self->take_births;
    $self->take_acts;
    $self->take_sights($_) foreach @{ $self->{names} };
    $self->follow_nodes;
    return $self;
}

sub index_of { my ($self, $time) = @_; return max(0, int(($time - $self->{begin}) / $step)) }

# The steps from one time to another, the ends included. Before the beginning all had been as in the first step for long.
sub steps { my ($self, $from, $to) = @_; return $self->index_of($from) .. min($self->{last}, 1 + $self->index_of($to)) }

# ---- branches ------------------------------------------------------------------------------------------------------

sub rows_of { my ($text) = @_; return { map { split /:/ } grep { /:/ } split /,/, $text } }

sub take_births {
    my ($self) = @_;
    foreach (sort { $a->[0] <=> $b->[0] } @{ $self->{births} }) {
        my ($time, $server, $branch, $timeline, $rows, $forks) = @$_;
        my $new = { server => $server, timeline => $timeline, from => rows_of($rows), forks => $forks // '' };
        my $old = $self->forerunner_of($new);
        # one that went on with the number of its forerunner is on the same timeline, in what a server can show
        my $own = $old && $old->{timeline} == $timeline ? $old->{history}[-1] : $branch;
        $new->{history} = [ grep({ $_ ne $own } @{ $old ? $old->{history} : [] }), $own ];
        $self->{branch}{$branch} = $new;
    }
    return;
}

# The branch that a new one left, or goes on with. Its rows tell; where nothing was written on the one that it left, its
# timeline history does, if only one branch was there to be left at that place.
sub forerunner_of {
    my ($self, $new) = @_;
    my $by_rows = $self->{branch}{ $self->newest_of($new->{from}) // '' };
    my ($before, $left) = $new->{forks} =~ /\A(.*?),?(\d+)@[^,@]+\z/ or return $by_rows;
    return $by_rows if $by_rows && $by_rows->{timeline} >= $left;
    my @at = grep { $_->{timeline} == $left && $_->{forks} eq $before } values %{ $self->{branch} };
    return @at == 1 ? $at[0] : $by_rows;
}

# How the timelines of two branches are to each other: 'newer', 'older', 'same' (also two of that number that know nothing
# of each other).
sub relation {
    my ($self, $one, $two) = @_;
    my ($mine, $theirs) = map { $self->{branch}{$_}{history} } $one, $two;
    return 'same'  if $mine->[-1] eq $theirs->[-1];
    return 'newer' if grep { $_ eq $theirs->[-1] } @$mine;
    return 'older' if grep { $_ eq $mine->[-1] } @$theirs;
    return 'same';
}

# Whether a server with these rows is somewhere on the way of a branch.
sub is_on {
    my ($self, $rows, $branch) = @_;
    my $from = $self->{branch}{$branch}{from};
    foreach my $other (keys %$rows) {
        next if $other eq $branch;
        return 0 unless exists $from->{$other} && $rows->{$other} <= $from->{$other};
    }
    return 1;
}

# The branch that the newest of these rows are of: the one with most forerunners.
sub newest_of {
    my ($self, $rows) = @_;
    my $forerunners = sub { scalar keys %{ $self->{branch}{ $_[0] }{from} } };
    return (sort { $forerunners->($b) <=> $forerunners->($a) || $a cmp $b } grep { $self->{branch}{$_} } keys %$rows)[0];
}

# ---- what was done -------------------------------------------------------------------------------------------------

sub status_of {
    my ($server) = @_;
    return !$server->{up} ? 'down' : { all => 'frozen', poller => 'poller', '' => 'up' }->{ $server->{frozen} };
}

# For each step: {status}{server}: up, down, frozen, poller, change; {role}{server}: primary, standby, change;
# {upstream}{server}: the servers that it may be set to follow; {refused}: { "who where" => 1, or 0.5 while not known }, of
# servers whose pg_status gets nowhere, by pg_hba.conf or the network; {cut}: the same by the network, of all servers;
# {list}: names, undef while it changes; {busy}: 1 while something is done.
sub take_acts {
    my ($self) = @_;
    my (%servers, @list, %refused, %cut);
    foreach my $server (@{ $self->{history}{servers} }) {
        $servers{ $server->{name} } = {
            up       => 1,
            frozen   => '',
            upstream => $server->{upstream},
            role     => defined $server->{upstream} ? 'standby' : 'primary'
        };
    }
    @list = @{ $self->{history}{list} };
    my $k = 0;
    my $fill = sub {
        my ($until) = @_;
        for (; $k < $until && $k <= $self->{last}; $k++) {
            foreach my $name (keys %servers) {
                my $server = $servers{$name};
                $self->{status}{$name}[$k]   = status_of($server);
                $self->{role}{$name}[$k]     = $server->{role};
                $self->{upstream}{$name}[$k] = [ grep { defined } $server->{upstream} ];
            }
            $self->{list}[$k]    = [@list];
            $self->{refused}[$k] = {%refused};
            $self->{cut}[$k]     = {%cut};
            $self->{busy}[$k]    = 0;
        }
    };
    foreach my $act (grep { $_->{words}[0] ne 'pause' } @{ $self->{acts} }) {
        my ($from, $to) = ($self->index_of($act->{t0}), $self->index_of($act->{t1}) + 3);
        $fill->($from);
        my $after   = $act->{servers};
        # who has no pg_status asks nobody
        my @asking = grep { $self->{server}{ (split ' ')[0] }{pg_status} } keys %{ $act->{cut} // {} };
        my $refused_now = { %{ $act->{refused} }, map { $_ => 1 } @asking };
        my $relists = $act->{words}[0] eq 'list';
        $to += 10 if $relists;    # a reload is asked for and not waited for
        my %touched = map { $_ => 1 } @{ $act->{words} };
        my @mixed   = ($from .. min($to, $self->{last}));
        foreach my $name (keys %servers) {
            my ($old, $new) = ($servers{$name}, $after->{$name});
            my $moves = $act->{words}[0] =~ /\A(?:restart|unsignal|rebuild)\z/ && $act->{words}[1] eq $name;
            foreach my $i (@mixed) {
                $self->{status}{$name}[$i] = status_of($old) ne status_of($new) || $moves ? 'change' : status_of($new);
                $self->{role}{$name}[$i] = $old->{role} eq $new->{role} ? $new->{role} : 'change';
                $self->{upstream}{$name}[$i] = [ grep { defined } $old->{upstream}, $new->{upstream} ];
            }
        }
        foreach my $i (@mixed) {
            $self->{list}[$i]    = $relists ? undef : [@list];
            $self->{refused}[$i] = mixed_of(\%refused, $refused_now);
            $self->{cut}[$i]     = mixed_of(\%cut, $act->{cut} // {});
            $self->{busy}[$i]    = 1;
        }
        %servers = %$after;
        %refused = %$refused_now;
        %cut     = %{ $act->{cut} // {} };
        @list    = @{ $act->{list} };
        $k       = @mixed ? $mixed[-1] + 1 : $k;
    }
    $fill->($self->{last} + 1);
    $self->trail($self->{refused});
    $self->trail($self->{cut});
    return;
}

# What holds before and after an act holds all the time; what holds once may.
sub mixed_of {
    my ($before, $after) = @_;
    return { map { $_ => $before->{$_} && $after->{$_} ? 1 : 0.5 } keys %$before, keys %$after };
}

# A host that was shut out may be asked more rarely the longer that lasted, so the end of it may be noticed as late. TCP,
# too, sends again what was lost after twice the time that it has waited before.
sub trail {
    my ($self, $pairs) = @_;
    my (%since, %until);
    my $bound = $self->{bounds}{bound} / $step;
    foreach my $k (0 .. $self->{last}) {
        my $now = $pairs->[$k];
        foreach my $pair (keys %since) {
            next if exists $now->{$pair};
            $until{$pair} = $k + max($bound, $k - delete $since{$pair});
        }
        $since{$_} //= $k foreach keys %$now;
        foreach my $pair (keys %until) {
            $now->{$pair} //= 0.5 if $k < $until{$pair};
        }
    }
    return;
}

# ---- what was seen -------------------------------------------------------------------------------------------------

sub sight_of {
    my ($t0, $t1, undef, $recovery, $timeline, $start, $branch, $followers, $rows) = @_;
    return {
        t0        => $t0,
        t1        => $t1,
        gone      => $recovery eq 'gone',
        recovery  => $recovery,
        start     => $start // '',
        branch    => $branch // '-',
        followers => { map { $_ => 1 } split /,/, $followers // '' },
        rows      => rows_of($rows // '')
    };
}

# Whether two sights tell that a server has been the same, and the same primary or standby, in between.
sub agree {
    my ($before, $after) = @_;
    return 0 if !$before || !$after || $before->{gone} || $after->{gone};
    return $before->{start} eq $after->{start} && $before->{recovery} eq $after->{recovery}
      && $after->{t0} - $before->{t1} < 1.5 ? 1 : 0;
}

# For each step and server: {live}: 1, 0, undef not known; {claim}: 1 it is a primary, 0 it is not; {begun}: it was restarted;
# {own}: the branch that
# it writes, or wrote last, while it is no standby; {rows}: those that it had at least; {streams}: who streamed from it
# before and after the step, both lists; {maybe}: either.
sub take_sights {
    my ($self, $name) = @_;
    my @sights = map { sight_of(@$_) } sort { $a->[0] <=> $b->[0] } grep { $_->[2] eq $name } @{ $self->{sights} };
    my ($i, $frozen_since, $own, $rows) = (0, undef, undef, {});
    foreach my $k (0 .. $self->{last}) {
        my $time = $self->{begin} + $k * $step;
        $i++ while $i < @sights && $sights[$i]{t0} < $time + $step;
        # the last that ended before the step, the first that began after it
        my $j = $i - 1;
        $j-- while $j >= 0 && $sights[$j]{t1} > $time;
        my ($before, $after) = ($j >= 0 ? $sights[$j] : undef, $sights[$i]);
        my $status = $self->{status}{$name}[$k];
        my $role   = $self->{role}{$name}[$k];
        $frozen_since = $status eq 'frozen' ? $frozen_since // $k : undef;
        my $same = agree($before, $after);
        my $live = $status eq 'down' ? 0
          : $status eq 'frozen' ? ($k - $frozen_since > $self->{bounds}{bound} / $step ? 0 : undef)
          : $status =~ /up|poller/ && $same ? 1 : undef;
        my $claim = defined $live && !$live || $role eq 'standby' ? 0
          : !$live || $role ne 'primary' || $before->{recovery} ? undef
          : $before->{branch} eq $after->{branch} && $before->{branch} ne '-' ? 1 : undef;
        $rows = $before->{rows} if $before && !$before->{gone};
        $own  = $before->{branch} if $before && $before->{recovery} eq '0' && $before->{branch} ne '-';
        $own  = undef if $role eq 'standby';
        $self->{begun}{$name}[$k]   = $before && $after && !$before->{gone} && !$after->{gone}
          && $before->{start} ne $after->{start};
        $self->{live}{$name}[$k]    = $live;
        $self->{claim}{$name}[$k]   = $claim;
        $self->{own}{$name}[$k]     = $own;
        $self->{rows}{$name}[$k]    = $rows;
        $self->{streams}{$name}[$k] =
          $live ? { map { $_ => 1 } grep { $after->{followers}{$_} } keys %{ $before->{followers} } } : {};
        $self->{maybe}{$name}[$k]   = { map { %{ $_->{followers} } } grep { $_ && !$_->{gone} } $before, $after };
    }
    return;
}

# ---- trees ---------------------------------------------------------------------------------------------------------

sub votes { my ($self, $name) = @_; return $self->{server}{$name}{pg_status} && $self->{server}{$name}{vote} }

# Servers -> [how many, how many of them vote].
sub count { my ($self, @names) = @_; return [ scalar @names, scalar grep { $self->votes($_) } @names ] }

# Who certainly follows a claimant, itself included. That it streams is not enough: one that is past the fork connects
# time and again, is called streaming for a moment each time, and never gets a row of the new branch.
sub certain_tree {
    my ($self, $k, $head, $listed) = @_;
    my %in = ($head => 1);
    my $branch = $self->{own}{$head}[$k] // return keys %in;
    my @open = ($head);
    while (defined(my $name = shift @open)) {
        next unless $self->{live}{$name}[$k];
        foreach my $other (keys %{ $self->{streams}{$name}[$k] }) {
            next if $in{$other} || !$listed->{$other} || !$self->{live}{$other}[$k];
            next if $self->{cut}[$k]{"$name $other"} || $self->{cut}[$k]{"$other $name"};
            next if $self->{claim}{$other}[$k] // 1;
            next unless defined $self->{rows}{$other}[$k]{$branch};
            $in{$other} = 1;
            push @open, $other;
        }
    }
    return keys %in;
}

# Whether somebody certainly follows this server/branch.
sub is_followed {
    my ($self, $k, $winner) = @_;
    my ($server) = split m{/}, $winner;
    return $self->certain_tree($k, $server, { map { $_ => 1 } @{ $self->{list}[$k] // [] } }) > 1;
}

# Who may stream from it.
sub possible_tree {
    my ($self, $k, $head, $listed) = @_;
    my %in = ($head => 1);
    my $more = 1;
    while ($more) {
        $more = 0;
        foreach my $name (grep { !$in{$_} } @{ $self->{names} }) {
            next unless $self->{role}{$name}[$k] ne 'primary';
            my $set  = grep { $in{$_} } @{ $self->{upstream}{$name}[$k] };
            my $seen = grep { $self->{maybe}{$_}[$k]{$name} } keys %in;
            $in{$name} = $more = 1 if $set || $seen;
        }
    }
    return grep { $_ eq $head || $listed->{$_} && ($self->{live}{$_}[$k] // 1) } keys %in;
}

# Whether a winner with this smallest tree certainly beats another one.
#   other: { branch (undef: not known), told (its history, as far as pg_status tells it), size (largest) }
sub beats {
    my ($self, $winner, $other) = @_;
    my ($mine, $theirs) = ($winner->{size}, $other->{size});
    my $bigger   = $mine->[0] > $theirs->[0]  && $mine->[1] > $theirs->[1];
    my $as_big   = $mine->[0] >= $theirs->[0] && $mine->[1] >= $theirs->[1];
    return 1 if $bigger && $winner->{incumbent};
    return 0 unless defined $other->{branch} && $winner->{told} && $other->{told};
    my $relation = $self->relation($winner->{branch}, $other->{branch});
    return 0 if $relation eq 'older';
    # (one that may have been refused beside the other one needs a follower)
    return $winner->{incumbent} || $as_big && (!$other->{claims} || $mine->[0] > 1) if $relation eq 'newer';
    return $bigger || $as_big && $winner->{incumbent};
}

# The winner of a step in the eyes of a node: ("server/branch", ''), or (undef, why not): blind, list, refused, nobody,
# open.
sub elect {
    my ($self, $node, $k, $incumbent) = @_;
    return (undef, 'blind') if $self->{status}{$node}[$k] ne 'up';
    return (undef, 'list') unless $self->{list}[$k];
    my %away = map { $_ => 1 } $self->away_from($node, $k);
    my @list = grep { !$away{$_} } @{ $self->{list}[$k] };
    my %listed = map { $_ => 1 } @list;
    my @candidates = grep { $self->{claim}{$_}[$k] // 1 } @list;
    my %claims = map { $_ => 1 } @candidates;
    # Whoever is shut out sees less than there is, and what it names moves what the others hold.
    foreach my $pair (keys %{ $self->{refused}[$k] }) {
        my ($who, $where) = split ' ', $pair;
        return (undef, 'refused') if !$away{$who} && !$away{$where};
    }
    return (undef, 'nobody') unless @candidates;
    foreach my $name (grep { $self->{claim}{$_}[$k] } @candidates) {
        my $branch = $self->{own}{$name}[$k];
        my %mine   = map { $_ => 1 } $self->certain_tree($k, $name, \%listed);
        my $winner = {
            branch    => $branch,
            told      => $self->shows_history($name),
            size      => $self->count(keys %mine),
            incumbent => ($incumbent // '') eq "$name/$branch"
        };
        # Whoever does not certainly follow the winner may count for another one: what it is set to follow says little
        # where it cannot.
        my @rest = grep { !$mine{$_} && !$claims{$_} && ($self->{live}{$_}[$k] // 1) } @list;
        my @others = map { {
            branch => $self->{own}{$_}[$k],
            told   => $self->shows_history($_),
            claims => 1,
            size   => $self->count($_, @rest)
        } } grep { $_ ne $name } @candidates;
        push @others, $self->headless($k, $branch, \%listed, \%claims, \%mine);
        return ("$name/$branch", '') unless grep { !$self->beats($winner, $_) } @others;
    }
    return (undef, 'open');
}

# The servers of the list that have been cut off from all others for so long that a node takes them for gone; nobody when
# the rest of the voters are no majority.
sub away_from {
    my ($self, $node, $k) = @_;
    return () if !%{ $self->{cut}[$k] };
    my @away   = grep { $_ ne $node && $self->is_island($_, $k) } @{ $self->{list}[$k] };
    my %away   = map { $_ => 1 } @away;
    my @voters = $self->voters($k);
    my $there  = grep { !$away{$_} && $self->{live}{$_}[$k] } @voters;
    return 2 * $there > @voters ? @away : ();
}

sub is_island {
    my ($self, $server, $k) = @_;
    my @ways = map { ("$_ $server", "$server $_") } grep { $_ ne $server } @{ $self->{names} };
    foreach my $i (max(0, $k - int($self->{bounds}{bound} / $step)) .. $k) {
        return 0 if grep { ($self->{cut}[$i]{$_} // 0) < 1 } @ways;
    }
    return 1;
}

# Whether a majority may say that it cannot reach a server: those that are shut out, and all that are not certainly there.
sub may_be_outvoted {
    my ($self, $server, $k) = @_;
    my @voters  = $self->voters($k);
    my $against = grep { $_ ne $server && ($self->{refused}[$k]{"$_ $server"} || !$self->{live}{$_}[$k]) } @voters;
    return 2 * $against >= @voters;
}

# Live standbys with rows that are not on the winner's way: they may be a tree whose head is not live.
sub headless {
    my ($self, $k, $branch, $listed, $claims, $mine) = @_;
    my %trees;
    foreach my $name (grep { $listed->{$_} && !$claims->{$_} && !$mine->{$_} } @{ $self->{names} }) {
        next unless $self->{live}{$name}[$k] // 1;
        my $rows = $self->{rows}{$name}[$k];
        next if $self->is_on($rows, $branch);
        push @{ $trees{ $self->newest_of($rows) // '' } }, $name;
    }
    return map { {
        branch => $_ eq '' ? undef : $_,
        told   => $self->shows_history(@{ $trees{$_} }),
        size   => $self->count(@{ $trees{$_} })
    } } keys %trees;
}

# ---- what a node must have come to believe -------------------------------------------------------------------------

# For each step, in the eyes of a node: {winner}, {since} the step since when it is the same one, {lost}:
# { "server/branch" => 1 }. All nodes step by step, as one that starts hears the others.
sub follow_nodes {
    my ($self) = @_;
    my $first = $self->{history}{servers}[0]{name};
    my %of = map { $_ => { last => '', since => -1e9, incumbent => "$first/${first}1", lost => {} } }
      grep { $self->{server}{$_}{pg_status} } @{ $self->{names} };
    foreach my $k (0 .. $self->{last}) {
        foreach my $node (sort keys %of) { $self->follow_node($node, $k, $of{$node}) }
    }
    return;
}

sub follow_node {
    my ($self, $node, $k, $now) = @_;
    my $bound = $self->{bounds}{bound} / $step;
    my $lost  = $now->{lost};
    if ($self->{status}{$node}[$k] =~ /down|change/ || $self->{begun}{$node}[$k]) {
        %$lost = ();
        $now->{incumbent} = undef;
    }
    $now->{incumbent} //= $self->told_by_majority($node, $k);
    my ($winner, $why) = $k == 0 ? ($now->{incumbent}, '') : $self->elect($node, $k, $now->{incumbent});
    # (one that has lost may still be refused, until somebody follows it)
    ($winner, $why) = (undef, 'open') if defined $winner && $lost->{$winner} && !$self->is_followed($k, $winner);
    if (defined $winner) {
        $now->{since}     = $k      if $winner ne $now->{last} && $k > 0;
        $now->{incumbent} = undef   if defined $now->{incumbent} && $now->{incumbent} ne $winner;
        $now->{incumbent} = $winner if $k - $now->{since} >= $bound;
        delete $lost->{$winner};
        $self->lose($node, $k, $winner, $lost) if $k - $now->{since} >= $bound;
    } elsif ($why ne 'list' && $why ne 'nobody' && !($why eq 'open' && $self->is_kept($k, $now->{incumbent}, $lost))) {
        $now->{incumbent} = undef;
    }
    $now->{last} = $winner // '';
    $self->release($node, $k, $lost);
    $self->{incumbent}{$node}[$k] = $now->{incumbent};
    $self->{winner}{$node}[$k]    = $winner;
    $self->{since}{$node}[$k]     = $now->{since};
    $self->{lost}{$node}[$k]      = { map { $_ => 1 } keys %$lost };
    return;
}

# An incumbent that is away keeps its place while all that claim have lost to it.
sub is_kept {
    my ($self, $k, $incumbent, $lost) = @_;
    return 0 unless defined $incumbent;
    my ($server) = split m{/}, $incumbent;
    return 0 if $self->{claim}{$server}[$k];
    foreach my $name (grep { $_ ne $server && ($self->{claim}{$_}[$k] // 1) } @{ $self->{list}[$k] }) {
        my $own = $self->{own}{$name}[$k];
        return 0 unless defined $own && $lost->{"$name/$own"};
    }
    return 1;
}

# Whom a majority of the voters has as the incumbent (in this step or the one before), as a node hears that has none.
sub told_by_majority {
    my ($self, $node, $k) = @_;
    my $list = $self->{list}[$k] or return undef;
    my @voters = grep { $self->votes($_) } @$list;
    my %said;
    foreach my $name (grep { $_ ne $node && $self->{live}{$_}[$k] && !$self->{refused}[$k]{"$node $_"} } @voters) {
        my $incumbent = $self->{incumbent}{$name}[$k] // $self->{incumbent}{$name}[ $k - 1 ] // next;
        $said{$incumbent}++;
    }
    my ($most) = sort { $said{$b} <=> $said{$a} } keys %said;
    return defined $most && $said{$most} > @voters / 2 ? $most : undef;
}

sub lose {
    my ($self, $node, $k, $winner, $lost) = @_;
    my ($server, $branch) = split m{/}, $winner;
    return unless $self->shows_history($server);
    foreach my $name (grep { $_ ne $server && $self->shows_history($_) } @{ $self->{list}[$k] }) {
        next unless $self->{claim}{$name}[$k];
        my $own = $self->{own}{$name}[$k];
        my $superseded = $self->relation($branch, $own) eq 'newer';
        $lost->{"$name/$own"} = { by => $server, branch => $branch, superseded => $superseded, seen => 1 };
    }
    foreach my $old (keys %{ $self->{branch}{$branch}{from} }) {
        my $name = ($self->{branch}{$old} // next)->{server};
        next if $name eq $server || !$self->shows_history($name);
        $lost->{"$name/$old"} //= { by => $server, branch => $branch, superseded => 1, seen => 0 };
    }
    return;
}

sub release {
    my ($self, $node, $k, $lost) = @_;
    my $long = $gone_time / $step;
    my %listed = map { $_ => 1 } @{ $self->{list}[$k] // [] };
    my @refused = map { [ split ' ' ] } keys %{ $self->{refused}[$k] };
    my %outvoted = map { $_->[1] => $self->may_be_outvoted($_->[1], $k) } @refused;
    my $all_shut = grep { $_->[0] eq $node } @refused;
    foreach my $key (keys %$lost) {
        my ($one, $server) = ($lost->{$key}, split m{/}, $key);
        my $there = $one->{superseded}
          ? grep({ $listed{$_} && $self->{live}{$_}[$k] && exists $self->{rows}{$_}[$k]{ $one->{branch} } }
            @{ $self->{names} })
          : $self->{claim}{ $one->{by} }[$k] && $self->{own}{ $one->{by} }[$k] eq $one->{branch};
        $one->{gone} = $there ? undef : $one->{gone} // $k;
        my $over = defined $one->{gone} && ($k - $one->{gone} > $long || $one->{superseded} && !$one->{seen});
        $over ||= !($one->{superseded} && $there) && $self->possible_tree($k, $server, \%listed) > 1;
        $over ||= $all_shut || $outvoted{ $one->{by} } || !$listed{ $one->{by} };
        delete $lost->{$key} if $over;
    }
    return;
}

# ---- what the judge asks -------------------------------------------------------------------------------------------

# The server that has been the winner for a node all the time from $from to $to; undef.
sub stable_winner {
    my ($self, $node, $from, $to) = @_;
    my @steps = $self->steps($from, $to) or return undef;
    my $winner = $self->{winner}{$node}[ $steps[-1] ] // return undef;
    return undef if $self->{since}{$node}[ $steps[-1] ] > $steps[0];
    return (split m{/}, $winner)[0];
}

# Whether a server's own branch had lost for a node all the time.
sub had_lost {
    my ($self, $node, $server, $from, $to) = @_;
    my @steps = $self->steps($from, $to) or return 0;
    foreach my $k (@steps) {
        my $own = $self->{own}{$server}[$k] // return 0;
        return 0 unless $self->{lost}{$node}[$k]{"$server/$own"};
    }
    return 1;
}

# Whether a server certainly was a primary all the time.
sub claimed {
    my ($self, $server, $from, $to) = @_;
    my @steps = $self->steps($from, $to) or return 0;
    return !grep { !$self->{claim}{$server}[$_] } @steps;
}

# Whether these servers tell their history: of others only the number of the timeline is known, which proves little.
sub shows_history { my ($self, @names) = @_; return !grep { !$self->{server}{$_}{pg_status} } @names }

# Whether a server has been a primary on one branch from one time to another.
sub wrote_on {
    my ($self, $server, $from, $to) = @_;
    my ($first, @steps) = map { $self->{own}{$server}[$_] // '' } $self->steps($from, $to);
    return $first ne '' && !grep { $_ ne $first } @steps;
}

# Whether a server had, at a time, rows that $primary's branch does not go through, or is a primary of its own. True also
# when that is not known.
sub went_apart {
    my ($self, $server, $primary, $time) = @_;
    my $k      = $self->index_of($time);
    my $branch = $self->{own}{$primary}[$k];
    return 0 if $server eq $primary;
    return $self->{claim}{$server}[$k] // 1 || !defined $branch || !$self->is_on($self->{rows}{$server}[$k], $branch);
}

# Whether a live server had rows that $primary's branch does not go through, all the time.
sub had_diverged {
    my ($self, $server, $primary, $from, $to) = @_;
    my @steps = $self->steps($from, $to) or return 0;
    return 0 unless $self->shows_history($server, $primary);
    foreach my $k (@steps) {
        my $branch = $self->{own}{$primary}[$k];
        return 0 unless $self->{live}{$server}[$k] && defined $branch;
        # (who has no row at all has nothing that speaks against it)
        return 0 if !%{ $self->{rows}{$server}[$k] } || $self->is_on($self->{rows}{$server}[$k], $branch);
    }
    return 1;
}

# Whether anything was done to these servers in that time.
sub was_touched {
    my ($self, $from, $to, @names) = @_;
    my %name = map { $_ => 1 } @names;
    foreach my $act (@{ $self->{acts} }) {
        next if $act->{words}[0] eq 'pause' || $act->{t1} < $from || $act->{t0} > $to;
        return 1 if $act->{words}[0] =~ /\A(?:list|allow|heal)\z/ || grep { $name{$_} } @{ $act->{words} };
    }
    return 0;
}

sub voters { my ($self, $k) = @_; my $list = $self->{list}[$k] or return (); return grep { $self->votes($_) } @$list }

# Why a primary has to be fenced all the time, in words; undef when that is not certain. In lists of less than three
# voters there is no majority.
sub fence_reason {
    my ($self, $node, $from, $to) = @_;
    my @steps = $self->steps($from, $to) or return undef;
    my ($alone, $unreachable) = (1, 1);
    foreach my $k (@steps) {
        my @voters = $self->voters($k);
        return undef unless @voters >= 3 && grep { $_ eq $node } @voters;
        my $majority = int(@voters / 2) + 1;
        my $refused  = $self->{refused}[$k];
        my @others   = grep { $_ ne $node } @voters;
        my @there    = grep { $self->{status}{$_}[$k] !~ /down|frozen/ } @others;
        my $in_sight = 1 + grep { ($refused->{"$node $_"} // 0) < 1 } @there;
        my @awake    = grep { $self->{live}{$_}[$k] && $self->{status}{$_}[$k] eq 'up' } @others;
        my $against  = grep { ($refused->{"$_ $node"} // 0) == 1 && !exists $refused->{"$node $_"} } @awake;
        $alone       = 0 unless $in_sight < $majority;
        $unreachable = 0 unless $against >= $majority && $self->{status}{$node}[$k] eq 'up';
    }
    return 'it sees no majority'             if $alone;
    return 'a majority cannot reach it'      if $unreachable;
    my $winner = $self->stable_winner($node, $from, $to);
    return "it sees its successor, $winner" if defined $winner && $winner ne $node && $self->claimed($node, $from, $to);
    return undef;
}

# A text that is the same for two nodes of one side: whom they may ask, and the list. undef: not known, or not awake.
sub side_of {
    my ($self, $node, $k) = @_;
    my $list = $self->{list}[$k] or return undef;
    return undef unless $self->{live}{$node}[$k] && $self->{status}{$node}[$k] eq 'up';
    my $refused = $self->{refused}[$k];
    return undef if grep { $refused->{"$node $_"} && $refused->{"$node $_"} < 1 } @$list;
    return join ' ', grep { !$refused->{"$node $_"} } @$list;
}

# A text of all that nodes may learn in a step: two steps with the same text are the same to them.
sub state_of {
    my ($self, $k) = @_;
    return $self->{state}[$k] //= join ' ', $self->{busy}[$k] ? "busy $k" : '', map {
        my $name = $_;
        join ',', $name, $self->{status}{$name}[$k], map({ $self->{$_}{$name}[$k] // '-' } qw(live claim own)),
          sort keys %{ $self->{streams}{$name}[$k] }
    } @{ $self->{names} };
}

# How many servers of the list may claim, at most, in this time.
sub most_claimants {
    my ($self, $from, $to) = @_;
    my $most = 0;
    foreach my $k ($self->steps($from, $to)) {
        my @claim = grep { $self->{claim}{$_}[$k] // 1 } @{ $self->{list}[$k] // $self->{names} };
        $most = max($most, scalar @claim);
    }
    return $most;
}

1;
