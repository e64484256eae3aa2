# Watchers: each is a process that asks one port, or one query, over and over, with a rest in between, and tells when
# the answer became another one. Times are of the monotonic clock, in seconds; now() reads the same one. What an
# answer means is the caller's matter.
package PgStatus::Watch;

use strict;
use warnings;

use Carp;
use Exporter 'import';
use IO::Select;
use IO::Socket::INET;
use PgStatus;
use PgStatus::Child;
use PgStatus::Session;
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC usleep);

our @EXPORT = qw(now watch_master watch_word watch_code watch_sql);

# Between an answer and the next question, in microseconds, where the caller does not say.
my $usual_rest = 1000;

# Between two attempts at a session: each is a process.
my $session_rest = 50_000;

sub now { return clock_gettime(CLOCK_MONOTONIC) }

# Whom the discovery port at this number names as the primary, over a kept connection: a name, '' for nobody, 'gone'
# without an answer, or the status of another answer. All of these take the rest, too.
sub watch_master { my ($port, $rest) = @_; return watch(sub { ask_master($port) }, $rest) }

# The raw port's word, or 'gone'.
sub watch_word { my ($port, $rest) = @_; return watch(sub { ask_word($port) }, $rest) }

# The status that a path has at a port, over a kept connection, or 'gone'.
sub watch_code { my ($port, $path, $rest) = @_; return watch(sub { ask_code($port, $path) }, $rest) }

# What a query gives, one line, in a session that stays: 'gone' without one, or the text of an error.
sub watch_sql {
    my ($node, $query, $rest) = @_;
    my $connstr = $node->connstr('postgres');
    return watch(sub { ask_sql($connstr, $query) }, $rest);
}

sub watch {
    my ($ask, $rest) = @_;
    my ($pid, $read) = start_child(sub { live($_[0], $ask, $rest // $usual_rest) });
    return bless { pid => $pid, read => $read, text => '', changes => [] }, __PACKAGE__;
}

# All changes until now, the first answer included: [time, answer, when it was last asked with that result] each.
sub changes {
    my ($self) = @_;
    while (sysread $self->{read}, $self->{text}, 65536, length $self->{text}) { }
    while ($self->{text} =~ s/\A(\S+) (\S+) (\S+) (\S+) (.*)\n//) {
        push @{ $self->{changes} }, [ $1, $5 ] if !@{ $self->{changes} } || $self->{changes}[-1][1] ne $5;
        $self->{changes}[-1][2] = $2;
        @$self{qw(pace slowest)} = ($3, $4);
    }
    return @{ $self->{changes} };
}

# Those with an answer to what was asked after $since. All that was answered until now is in it: a watcher that tells
# nothing any more is waited for, so that its silence is not taken for constancy.
sub changes_since {
    my ($self, $since) = @_;
    my $now = now();
    wait_for('a watcher to answer', sub { my @changes = $self->changes; @changes && $changes[-1][2] > $now });
    return grep { $_->[2] > $since } $self->changes;
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
    my ($report, $ask, $rest) = @_;
    my ($start, $before, $asked_before, $last, $answers, $slowest, $told) = (now(), undef, 0, "\n", 0, 0, 0);
    while (has_parent()) {
        my $asked  = now();
        my $answer = $ask->();
        my $now    = now();
        $answers++;
        $slowest = $now - $before if defined $before && $now - $before > $slowest;
        # until when the last answer held is told with the next one; the pace, now and then, too
        if ($answer ne $last || $now > $told + 0.25) {
            my @how = (($now - $start) / $answers, $slowest);
            my $text = $answer eq $last || !defined $before ? '' : line($before, $asked_before, @how, $last);
            syswrite $report, $text . line($now, $asked, @how, $answer);
            ($last, $told) = ($answer, $now);
        }
        ($before, $asked_before) = ($now, $asked);
        usleep($rest);
    }
    return;
}

sub line { return sprintf "%.6f %.6f %.6f %.6f %s\n", @_ }

my $kept;    # the watcher's connection

my $whole_head = qr{\AHTTP/1\.1 (\d+) .*?\r\nContent-Length: (\d+)\r\n.*?\r\n\r\n(.*)\z}is;

sub ask_master {
    my ($port) = @_;
    my ($status, $body) = ask_kept($port, '/master') or return 'gone';
    return $status == 200 ? $body : $status == 404 ? '' : $status;
}

sub ask_code { return (ask_kept(@_))[0] // 'gone' }

# (status, body), or nothing. A connection that the server has let go by now says nothing about the server.
sub ask_kept {
    my $old    = $kept;
    my @answer = eval { fetch_kept(@_) };
    return @answer if @answer;
    undef $kept;
    return unless $old;
    @answer = eval { fetch_kept(@_) };
    undef $kept unless @answer;
    return @answer;
}

sub fetch_kept {
    my ($port, $path) = @_;
    $kept //= connect_to($port);
    syswrite $kept, "GET $path HTTP/1.1\r\nHost: x\r\n\r\n" or die "gone\n";
    my $text = '';
    while (1) {
        if (my ($status, $size, $body) = $text =~ $whole_head) {
            return ($status, $body) if length $body == $size;
        }
        IO::Select->new($kept)->can_read(10) or die "no answer\n";
        sysread $kept, $text, 65536, length $text or die "gone\n";
    }
}

my $session;    # the watcher's own

sub ask_sql {
    my ($connstr, $query) = @_;
    my $answer = eval { ($session //= PgStatus::Session->new($connstr))->query($query) };
    return $answer if defined $answer && $answer !~ /\n/;
    my $why = $answer // $@;
    $session->close if $session;
    undef $session;
    return "error: $1" if $why =~ /^(?:psql:\S+ )?(ERROR: .*)/m;
    usleep($session_rest);
    return 'gone';
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
