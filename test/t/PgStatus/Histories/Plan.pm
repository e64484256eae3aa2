# What is to happen, from a seed: the cluster, and the next act from what the servers are. The same seed and the same
# servers make the same plan. It does nothing to anybody.
#
# What the servers are comes as a hash: name -> { up, role (primary, standby), upstream, frozen ('', 'all', 'poller'),
# pg_status, ruined }, with the lists' order, and who is shut out of or cut off from whom beside it
# (PgStatus::Histories::Cluster).
package PgStatus::Histories::Plan;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(new_plan);

# %can: vote: this version knows the attribute vote=no; network: servers can be cut off. What cannot be rolls no dice, so
# that a seed means the same where there are no namespaces.
sub new_plan {
    my ($seed, %can) = @_;
    my $self = bless { state => $seed % 2147483646 + 1, can => \%can, next => [] }, __PACKAGE__;
    $self->roll foreach 1 .. 5;    # neighbouring seeds begin alike
    return $self;
}

# From 0 to below 1. Perl's own generator is used by others, too, who would change what comes.
sub roll {
    my ($self) = @_;
    $self->{state} = $self->{state} * 48271 % 2147483647;
    return $self->{state} / 2147483647;
}

sub chance { my ($self, $probability) = @_; return $self->roll < $probability }
sub any_of { my ($self, @from) = @_; return @from ? $from[ int($self->roll * @from) ] : undef }

sub shuffled {
    my ($self, @from) = @_;
    my @out;
    push @out, splice @from, int($self->roll * @from), 1 while @from;
    return @out;
}

# ---- the cluster ---------------------------------------------------------------------------------------------------

# A history without acts.
sub cluster {
    my ($self)  = @_;
    my $count   = $self->any_of(2, 3, 3, 3, 4, 4, 5);
    my @names   = ('a' .. 'e')[ 0 .. $count - 1 ];
    my @servers = { name => 'a', upstream => undef, pg_status => 1, vote => 1 };
    foreach my $i (1 .. $#names) {
        my $cascade = $i > 1 && $self->chance(0.25);
        my $plain   = $self->chance(0.15) && $i > 1;
        my $far     = $self->chance(0.4) && $i == $#names && $count > 3 && $self->{can}{vote};
        push @servers, {
            name      => $names[$i],
            upstream  => $cascade ? $names[ 1 + int($self->roll * ($i - 1)) ] : 'a',
            pg_status => $plain ? 0 : 1,
            vote      => $far ? 0 : 1
        };
    }
    my $voters = grep { $_->{pg_status} && $_->{vote} } @servers;
    return {
        servers => \@servers,
        list    => [ $self->chance(0.5) ? @names : $self->shuffled(@names) ],
        fence   => $voters >= 3 && $self->chance(0.5) ? 1 : 0,
        acts    => []
    };
}

# ---- acts ----------------------------------------------------------------------------------------------------------

# How long nothing happens: short, so that acts meet; longer; or until all should have settled.
sub pause {
    my ($self) = @_;
    my $kind    = $self->roll;
    my $seconds = $kind < 0.4 ? 0.1 + 1.4 * $self->roll : $kind < 0.65 ? 2 + 3 * $self->roll : 7 + 2 * $self->roll;
    return [ 'pause', sprintf '%.1f', $seconds ];
}

# The next act: [word, ...], one that is possible now.
sub next_act {
    my ($self, $now) = @_;
    foreach (1 .. 200) {
        push @{ $self->{next} }, $self->story($now) unless @{ $self->{next} };
        my $act = shift @{ $self->{next} } // next;
        return $act if is_possible($now, @$act);
    }
    return [ 'sessions', $self->any_of(grep { $now->{servers}{$_}{up} } sort keys %{ $now->{servers} }) ];
}

sub up       { my ($now) = @_; return grep { $now->{servers}{$_}{up} && !$now->{servers}{$_}{frozen} } names($now) }
sub names    { my ($now) = @_; return sort keys %{ $now->{servers} } }
sub primaries { my ($now) = @_; return grep { $now->{servers}{$_}{role} eq 'primary' } up($now) }
sub standbys { my ($now) = @_; return grep { $now->{servers}{$_}{role} eq 'standby' } up($now) }
sub others   { my ($name, @from) = @_; return grep { $_ ne $name } @from }

# One act, or some that belong together, as people and failover tools do them.
sub story {
    my ($self, $now) = @_;
    my ($primary, $standby) = ($self->any_of(primaries($now)), $self->any_of(standbys($now)));
    my @down  = grep { !$now->{servers}{$_}{up} } names($now);
    my $any   = $self->any_of(up($now));
    return $self->cut_off($now, $primary // $any, $standby) if $self->{can}{network} && defined $any && $self->chance(0.4);
    my $kind  = $self->roll;
    return map { [ 'start', $_ ] } $self->any_of(@down) if @down && $self->chance(0.25);
    if ($kind < 0.16 && defined $primary && defined $standby) {    # a failover, sooner or later followed
        my @rest = $self->shuffled(others($standby, standbys($now)));
        return ([ $self->any_of('kill', 'stop', 'freeze'), $primary ], [ 'promote', $standby ],
            (map { [ 'follow', $_, $standby ] } grep { $self->chance(0.7) } @rest),
            $self->any_of([ 'start', $primary ], [ 'thaw', $primary ], [ 'rebuild', $primary, $standby, 'rewind' ]));
    }
    if ($kind < 0.30 && defined $standby) {                        # promoted while the primary lives
        my @rest = $self->shuffled(others($standby, standbys($now)));
        return ([ 'promote', $standby ], (map { [ 'follow', $_, $standby ] } grep { $self->chance(0.4) } @rest),
            $self->any_of([ 'restart', $standby, seconds($self) ], [ 'restart', $primary // $standby, seconds($self) ]));
    }
    if ($kind < 0.38 && standbys($now) > 1) {                      # two at once
        my ($one, $two, @rest) = $self->shuffled(standbys($now));
        return (($self->chance(0.7) && defined $primary ? [ 'kill', $primary ] : ()), [ 'promote', $one, $two ],
            map { [ 'follow', $_, $self->any_of($one, $two) ] } @rest);
    }
    return [ 'unsignal', $standby ] if $kind < 0.46 && defined $standby;
    return [ 'restart', $any, seconds($self) ] if $kind < 0.56 && defined $any;
    return [ 'follow', $standby, $self->any_of(others($standby, names($now))) ] if $kind < 0.62 && defined $standby;
    if ($kind < 0.70) {
        my $name = $self->any_of(names($now));
        my $from = $self->any_of(others($name, up($now)));
        return defined $from ? [ 'rebuild', $name, $from, $self->any_of('rewind', 'backup') ] : ();
    }
    if ($kind < 0.78 && defined $any) {
        return ([ $self->any_of('freeze', 'freeze_poller'), $any ], [ 'thaw', $any ]);
    }
    if ($kind < 0.92 && defined $any) {
        my $whom = defined $primary && $self->chance(0.6) ? $primary : $any;
        my $how  = $self->any_of([ 'shut_in', $whom ], [ 'shut_out', $whom ],
            map { [ 'refuse', $_, $whom ] } others($whom, up($now)));
        return ($how, ($self->chance(0.3) && defined $standby ? [ 'promote', $standby ] : ()), ['allow']);
    }
    return [ 'sessions', $any ] if $kind < 0.95 && defined $any;
    my @list = @{ $now->{list} };
    my @gone = grep { my $name = $_; !grep { $_ eq $name } @list } names($now);
    return [ 'list', $self->shuffled(@list, @gone) ] if @gone || $self->chance(0.5) || @list < 3;
    pop @list;
    return [ 'list', @list ];
}

# Somebody, rather a primary, is cut off for a while, in which a failover may happen.
sub cut_off {
    my ($self, $now, $primary, $standby) = @_;
    my $whom = $self->chance(0.6) ? $primary : $self->any_of(up($now));
    my @acts = $self->any_of([ 'cut', $whom ], [ 'silence', $whom ],
        map { ([ 'drop', $_, $whom ], [ 'drop', $whom, $_ ]) } $self->any_of(others($whom, up($now))) // ());
    my $fails_over = defined $standby && $standby ne $whom && $self->chance(0.5);
    if ($fails_over) {
        my @rest = $self->shuffled(others($standby, others($whom, standbys($now))));
        push @acts, [ 'promote', $standby ], map { [ 'follow', $_, $standby ] } grep { $self->chance(0.7) } @rest;
    }
    # long enough to be certain of something
    push @acts, [ 'pause', sprintf '%.1f', 6 + 6 * $self->roll ] if $self->chance(0.5);
    push @acts, ['heal'];
    push @acts, [ 'rebuild', $whom, $standby, 'rewind' ] if $fails_over && $self->chance(0.4);
    return @acts;
}

sub seconds { my ($self) = @_; return sprintf '%.1f', 0.2 + 5 * $self->roll }

# Whether an act makes sense now. What is shut out or frozen would only hold up what works with pg_hba.conf and files.
sub is_possible {
    my ($now, $word, @who) = @_;
    my $all     = $now->{servers};
    my $server  = $all->{ $who[0] // '' } // {};
    my $running = $server->{up} && !$server->{frozen};
    return $server->{up}                         if $word eq 'kill';
    return $server->{frozen}                     if $word eq 'thaw';
    return !$server->{up} && !$server->{ruined}  if $word eq 'start';
    return %{ $now->{refused} } ? 1 : 0          if $word eq 'allow';
    return %{ $now->{cut} } ? 1 : 0              if $word eq 'heal';
    return $running && $server->{pg_status}      if $word eq 'freeze_poller' || $word eq 'shut_out';
    return $running                              if $word =~ /\A(?:stop|restart|freeze|sessions|shut_in|cut|silence)\z/;
    return $running && $server->{role} eq 'standby' && !loops($all, @who) if $word eq 'follow';
    return $running && $server->{role} eq 'standby' if $word eq 'unsignal';
    return $word ne 'list' || 1 unless $word =~ /\A(?:promote|refuse|drop|rebuild)\z/;
    if ($word eq 'promote') {
        return !grep { !$all->{$_}{up} || $all->{$_}{frozen} || $all->{$_}{role} ne 'standby' } @who;
    }
    my $other = $all->{ $who[1] };
    return $server->{pg_status} && $other->{up} && !$other->{frozen} if $word eq 'refuse';
    return $running && $other->{up} && !$other->{frozen} if $word eq 'drop';
    return 0 if %{ $now->{refused} } || %{ $now->{cut} } || !$other->{up} || $other->{frozen} || $server->{frozen};
    return $who[0] ne $who[1] && !loops($all, @who);
}

# Whether a standby would follow itself, over others.
sub loops {
    my ($all, $name, $upstream) = @_;
    my %seen;
    while (defined $upstream && !$seen{$upstream}++) {
        return 1 if $upstream eq $name;
        $upstream = $all->{$upstream}{role} eq 'standby' ? $all->{$upstream}{upstream} : undef;
    }
    return 0;
}

# What undoes all that is only for a while, for the end of a history.
sub undo {
    my ($self, $now, $list) = @_;
    my @acts = map { [ 'thaw', $_ ] } grep { $now->{servers}{$_}{frozen} } names($now);
    push @acts, ['heal'] if %{ $now->{cut} };
    push @acts, ['allow'] if %{ $now->{refused} };
    push @acts, [ 'list', @$list ] if "@$list" ne "@{ $now->{list} }";
    push @acts, map { [ 'start', $_ ] }
      grep { !$now->{servers}{$_}{up} && !$now->{servers}{$_}{ruined} && $self->chance(0.6) } names($now);
    return @acts;
}

1;
