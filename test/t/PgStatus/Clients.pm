# Crowds of clients that behave badly, or are just many: each crowd lives in processes of its own, so that the test can
# ask the server meanwhile, and so that the usual limit of 1024 open files is enough. They know a port, some bytes and a
# manner; what these bytes mean, and what the server should make of them, is each test's own matter.
package PgStatus::Clients;

use strict;
use warnings;

use Exporter 'import';
use IO::Handle;
use JSON::PP;
use POSIX ();
use Socket;
use Time::HiRes qw(time);

our @EXPORT = qw(crowd);

# Sockets of one process.
my $most_each = 500;

# A client that comes again does so after this many seconds.
my $pause = 0.5;

my %alive;    # process id -> 1: to be ended, also when the test dies
END { local $?; dismiss(keys %alive) }

sub dismiss {
    kill 'KILL', @_;
    foreach my $pid (@_) {
        waitpid $pid, 0;
        delete $alive{$pid};
    }
    return;
}

# Starts `count` clients of `port`, each of which sends `say`. Their manner:
#   pace        bytes a second (default: as fast as they are taken)
#   endless     begin again with `say` when it is said
#   half_close  end their side when all is said
#   deaf        never read
#   reset       break the connection when all is said
#   again       whoever is gone comes again
sub crowd {
    my (%how) = @_;
    my $self = bless { children => [] }, __PACKAGE__;
    for (my $left = $how{count}; $left > 0; $left -= $most_each) {
        push @{ $self->{children} }, start(%how, count => $left < $most_each ? $left : $most_each);
    }
    return $self;
}

sub start {
    my (%how) = @_;
    pipe my $read, my $write or die "pipe: $!";
    my $parent = $$;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        eval { live($write, $parent, %how); 1 } or print STDERR "clients: $@";
        POSIX::_exit(0);
    }
    $alive{$pid} = 1;
    close $write;
    $read->blocking(0);
    return { pid => $pid, read => $read, text => '', tally => { open => 0, answered => 0, ended => {} } };
}

# What they have seen until now: {open} that are connected, {answered} that got bytes and are connected, {ended} how
# many went, by what they had got: the status of an HTTP answer, another answer's first line, 'nothing'.
sub tally {
    my ($self) = @_;
    my %sum = (open => 0, answered => 0, ended => {});
    foreach my $child (@{ $self->{children} }) {
        while (sysread $child->{read}, $child->{text}, 65536, length $child->{text}) { }
        # the last whole line counts
        $child->{tally} = decode_json($1) if $child->{text} =~ s/\A(?:.*\n)?(.+)\n//s;
        my $tally = $child->{tally};
        $sum{$_} += $tally->{$_} foreach qw(open answered);
        $sum{ended}{$_} += $tally->{ended}{$_} foreach keys %{ $tally->{ended} };
    }
    return \%sum;
}

# How many have ended, whatever they had got.
sub ended {
    my ($self) = @_;
    my $ended = 0;
    $ended += $_ foreach values %{ $self->tally->{ended} };
    return $ended;
}

# They are gone at once, all of them; the kernel ends their connections.
sub leave {
    my ($self) = @_;
    dismiss(map { $_->{pid} } @{ $self->{children} });
    return;
}

# ---- in the processes of a crowd -----------------------------------------------------------------------------------

my %how;
my %client_by_fd;
my (@speak, @come);    # [time, client] and [time]: who says its next byte, and who comes again; the earliest first
my ($reading, $writing) = ('', '');    # for select()
my %tally = (open => 0, answered => 0, ended => {});

sub live {
    (my $report, my $parent, %how) = @_;
    $SIG{PIPE} = 'IGNORE';
    my $json = JSON::PP->new->canonical;
    my ($told, $told_at) = ('', 0);
    come() foreach 1 .. $how{count};
    while (getppid == $parent) {
        my $now  = time;
        my $text = $json->encode(\%tally) . "\n";
        if ($text ne $told && $now > $told_at + 0.02) {
            syswrite $report, $text;
            ($told, $told_at) = ($text, $now);
        }
        while (@speak && $speak[0][0] <= $now) { speak((shift @speak)->[1]) }
        while (@come && $come[0][0] <= $now) { shift @come; come() }
        next if select(my $readable = $reading, my $writable = $writing, undef, 0.01) <= 0;
        foreach my $fd (keys %client_by_fd) {
            my $client = $client_by_fd{$fd};
            say_more($client, 65536) if vec $writable, $fd, 1;
            hear($client) if $client->{socket} && vec $readable, $fd, 1;
        }
    }
    return;
}

sub come {
    socket my $socket, PF_INET, SOCK_STREAM, 0 or die "socket: $!";
    # one that does not read shall not be read for by the kernel
    setsockopt $socket, SOL_SOCKET, SO_RCVBUF, 4096 if $how{deaf};
    my $client = { socket => $socket, fd => fileno $socket, left => $how{say}, heard => '' };
    $client_by_fd{ $client->{fd} } = $client;
    $tally{open}++;
    if (!connect $socket, pack_sockaddr_in($how{port}, INADDR_LOOPBACK)) {
        gone($client, 'refused');
        return;
    }
    $socket->blocking(0);
    vec($reading, $client->{fd}, 1) = $how{deaf} ? 0 : 1;
    if ($how{pace}) {
        # not all of them at the same moment
        push @speak, [ time + rand 1 / $how{pace}, $client ];
        @speak = sort { $a->[0] <=> $b->[0] } @speak;
    } else {
        vec($writing, $client->{fd}, 1) = 1;
    }
    return;
}

sub speak {
    my ($client) = @_;
    return unless $client->{socket};
    say_more($client, 1);
    push @speak, [ time + 1 / $how{pace}, $client ] if $client->{socket};
    return;
}

sub say_more {
    my ($client, $most) = @_;
    my $sent = syswrite $client->{socket}, $client->{left}, $most;
    if (!defined $sent) {
        return if $!{EAGAIN};
        # what it was told before is still there to be read
        $how{deaf} ? gone($client) : hear($client, 'to the end');
        return;
    }
    substr $client->{left}, 0, $sent, '';
    return if length $client->{left};
    $client->{left} = $how{say} if $how{endless};
    return if length $client->{left};
    vec($writing, $client->{fd}, 1) = 0;
    shutdown $client->{socket}, 1 if $how{half_close};
    return unless $how{reset};
    setsockopt $client->{socket}, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    gone($client, 'reset');
    return;
}

sub hear {
    my ($client, $to_the_end) = @_;
    my $got;
    do {
        $got = sysread $client->{socket}, my $bytes, 65536;
        return if !defined $got && $!{EAGAIN} && !$to_the_end;
        $tally{answered}++ if $got && $client->{heard} eq '';
        $client->{heard} = substr $client->{heard} . $bytes, 0, 200 if $got;
    } while ($got && $to_the_end);
    gone($client) unless $got;
    return;
}

sub gone {
    my ($client, $why) = @_;
    my $heard = $client->{heard};
    $why //= $heard eq '' ? 'nothing' : $heard =~ m{\AHTTP/1\.1 (\d+)} ? $1 : $heard =~ s/\n.*//sr;
    $tally{ended}{$why}++;
    $tally{answered}-- if $heard ne '';
    $tally{open}--;
    vec($_, $client->{fd}, 1) = 0 foreach $reading, $writing;
    delete $client_by_fd{ $client->{fd} };
    close delete $client->{socket};
    push @come, [ time + $pause ] if $how{again};
    return;
}

1;
