# Watchers: each is a process that asks one port over and over, as fast as it gets answers with a short rest in between,
# and tells when the answer became another one. Times are of the monotonic clock, in seconds; now() reads the same one.
# What an answer means is the caller's matter.
package PgStatus::Watch;

use strict;
use warnings;

use Carp;
use Exporter 'import';
use IO::Select;
use IO::Socket::INET;
use PgStatus;
use PgStatus::Child;
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC usleep);

our @EXPORT = qw(now watch_master watch_word);

# Between an answer and the next question, in microseconds.
my $rest = 1000;

sub now { return clock_gettime(CLOCK_MONOTONIC) }

# Whom the discovery port at this number names as the primary, over a kept connection: a name, '' for nobody, 'gone'
# without an answer, or the status of another answer.
sub watch_master { return watch($_[0], \&ask_master) }

# The raw port's word, or 'gone'.
sub watch_word { return watch($_[0], \&ask_word) }

sub watch {
    my ($port, $ask) = @_;
    my ($pid, $read) = start_child(sub { live($_[0], $port, $ask) });
    return bless { pid => $pid, read => $read, text => '', changes => [] }, __PACKAGE__;
}

# All changes until now, the first answer included: [time, answer] each.
sub changes {
    my ($self) = @_;
    while (sysread $self->{read}, $self->{text}, 65536, length $self->{text}) { }
    while ($self->{text} =~ s/\A(\S+) (\S+) (\S+) (.*)\n//) {
        push @{ $self->{changes} }, [ $1, $4 ] if !@{ $self->{changes} } || $self->{changes}[-1][1] ne $4;
        @$self{qw(pace slowest)} = ($2, $3);
    }
    return @{ $self->{changes} };
}

# When the answer was first one for which $condition is true, after $since; undef: not yet.
sub when {
    my ($self, $since, $condition) = @_;
    foreach my $change ($self->changes) {
        return $change->[0] if $change->[0] >= $since && $condition->($change->[1]);
    }
    return undef;
}

# The same, waited for.
sub wait_when {
    my ($self, $what, $since, $condition) = @_;
    return wait_for($what, sub { $self->when($since, $condition) });
}

# The answers after $since, in their order.
sub answers_since {
    my ($self, $since) = @_;
    return map { $_->[1] } grep { $_->[0] >= $since } $self->changes;
}

# The time between two answers, in seconds, on average and at most: how exact the times are.
sub pace    { my ($self) = @_; $self->changes; return $self->{pace} }
sub slowest { my ($self) = @_; $self->changes; return $self->{slowest} }

sub leave { my ($self) = @_; $self->changes; end_child($self->{pid}); return }

# ---- in the process of a watcher -----------------------------------------------------------------------------------

sub live {
    my ($report, $port, $ask) = @_;
    my ($start, $before, $last, $answers, $slowest, $told) = (now(), undef, "\n", 0, 0, 0);
    while (has_parent()) {
        my $answer = $ask->($port);
        my $now    = now();
        $answers++;
        $slowest = $now - $before if defined $before && $now - $before > $slowest;
        $before  = $now;
        # the pace is told now and then, too
        if ($answer ne $last || $now > $told + 0.1) {
            syswrite $report, sprintf "%.6f %.6f %.6f %s\n", $now, ($now - $start) / $answers, $slowest, $answer;
            ($last, $told) = ($answer, $now);
        }
        usleep($rest);
    }
    return;
}

my $kept;    # the watcher's connection

my $whole_head = qr{\AHTTP/1\.1 (\d+) .*?\r\nContent-Length: (\d+)\r\n.*?\r\n\r\n(.*)\z}is;

sub ask_master {
    my ($port) = @_;
    my $answer = eval { ask_kept($port) };
    return $answer if defined $answer;
    undef $kept;
    return 'gone';
}

sub ask_kept {
    my ($port) = @_;
    $kept //= connect_to($port);
    syswrite $kept, "GET /master HTTP/1.1\r\nHost: x\r\n\r\n" or die "gone\n";
    my $text = '';
    while (1) {
        if (my ($status, $size, $body) = $text =~ $whole_head) {
            return $status == 200 ? $body : $status == 404 ? '' : $status if length $body == $size;
        }
        IO::Select->new($kept)->can_read(10) or die "no answer\n";
        sysread $kept, $text, 65536, length $text or die "gone\n";
    }
}

sub ask_word {
    my ($port) = @_;
    my $socket = eval { connect_to($port) } or return 'gone';
    my $text = '';
    while (IO::Select->new($socket)->can_read(10)) { sysread $socket, $text, 64, length $text or last }
    return $text =~ /\A([A-Z]+)\n\z/ ? $1 : 'gone';
}

sub connect_to {
    my ($port) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 10) or die "refused\n";
    setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1 or die "setsockopt: $!\n";
    return $socket;
}

1;
