# A waiter: a process that asks one discovery port for the list of hosts with a blocking query, over and over: each time
# for a change of what it knows. It tells when it had which answer. What has changed is the caller's matter.
package PgStatus::Waiter;

use strict;
use warnings;

use Carp;
use Exporter 'import';
use IO::Select;
use IO::Socket::INET;
use PgStatus::Child;
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);

our @EXPORT = qw(start_waiter blocking_request);

# The bytes of a blocking query, for at most so many seconds.
sub blocking_request {
    my ($generation, $seconds) = @_;
    return "GET /hosts?wait=$seconds&generation=$generation HTTP/1.1\r\nHost: x\r\n\r\n";
}

# Begins to wait for what comes after $generation at the discovery port of this number.
sub start_waiter {
    my ($port, $generation) = @_;
    my ($pid, $read) = start_child(sub { live($_[0], $port, $generation) });
    return bless { pid => $pid, read => $read, text => '', answers => [] }, __PACKAGE__;
}

# All answers until now: [the generation that was known before, that of the answer, when it was there] each. The time is
# that of the wall clock, in seconds.
sub answers {
    my ($self) = @_;
    while (sysread $self->{read}, $self->{text}, 65536, length $self->{text}) { }
    while ($self->{text} =~ s/\A(\d+) (\d+) (\S+)\n//) { push @{ $self->{answers} }, [ $1, $2, $3 ] }
    return @{ $self->{answers} };
}

sub leave { my ($self) = @_; end_child($self->{pid}); return }

# ---- in the process of a waiter ------------------------------------------------------------------------------------

# The generation that a whole answer tells; undef: it is not whole.
sub told_by {
    my ($text) = @_;
    my ($head, $body) = $text =~ /\A(.*?\r\n)\r\n(.*)\z/s or return undef;
    my ($size)       = $head =~ /^Content-Length: (\d+)\r$/mi;
    my ($generation) = $head =~ /^X-Pg-Status-Generation: (\d+)\r$/mi;
    return length $body == $size ? $generation : undef;
}

sub live {
    my ($report, $port, $known) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 10) or die "refused\n";
    setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1 or die "setsockopt: $!\n";
    while (has_parent()) {
        syswrite $socket, blocking_request($known, 60) or die "gone\n";
        my ($text, $new) = ('');
        until (defined $new) {
            IO::Select->new($socket)->can_read(1) or has_parent() ? next : return;
            sysread $socket, $text, 65536, length $text or die "gone\n";
            $new = told_by($text);
        }
        syswrite $report, sprintf "%s %s %.6f\n", $known, $new, time if $new ne $known;
        $known = $new;
    }
    return;
}

1;
