# Peers that talk as a test tells them to: a process each, which serves many clients on a port of its own and ends with
# the test, also when that dies. They know the bytes of PostgreSQL's protocol and the columns of the poller's query; why
# they say what they say, and what the poller should make of it, is each test's own matter.
package PgStatus::Peers;

use strict;
use warnings;

use Exporter 'import';
use IO::Select;
use IO::Socket::INET;
use POSIX ();

our @EXPORT = qw(peer message error_message row_description data_row ready_for_query welcome primary_cells answer_of);

my @children;
END { local $?; kill 'KILL', @children; waitpid $_, 0 foreach @children }

sub message { my ($type, $body) = @_; return $type . pack('N', 4 + length $body) . $body }

sub error_message {
    my ($severity, $state, $text) = @_;
    return message('E', "S$severity\0V$severity\0C$state\0M$text\0\0");
}

sub row_description {
    my ($columns) = @_;
    my $column = "c\0" . pack('N n N n N n', 0, 0, 25, 0xFFFF, 0xFFFFFFFF, 0);
    return message('T', pack('n', $columns) . $column x $columns);
}

sub data_row {
    my (@cells) = @_;
    my @sized = map { defined $_ ? pack('N', length $_) . $_ : pack('N', 0xFFFFFFFF) } @cells;
    return message('D', pack('n', scalar @cells) . join('', @sized));
}

sub ready_for_query { return message('Z', 'I') }

# To a client that is let in.
sub welcome {
    my ($version) = @_;
    return message('R', pack 'N', 0) . message('S', "server_version\0$version\0") . ready_for_query();
}

# Starts a peer; what a client says first is passed over. How it talks:
#   at_once     bytes, before the client has said anything
#   login       bytes, in answer to the startup packet (requests for encryption are declined before)
#   answer      bytes, in answer to the query; or a function that gives them, called in the peer's process
#   endless     bytes that follow, over and over, for as long as they are taken
#   trickle     a byte every 20 ms instead of all at once
#   close       ends the connection then; without it the peer falls silent
sub peer {
    my ($name, %how) = @_;
    my $listening = IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1', ReuseAddr => 1) or die "listen: $!";
    my $parent = $$;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        $SIG{PIPE} = 'IGNORE';
        eval { serve($listening, $parent, %how) };
        print STDERR "peer $name: $@" if $@;
        POSIX::_exit(0);
    }
    push @children, $pid;
    return '127.0.0.1:' . $listening->sockport . " name=$name";
}

sub serve {
    my ($listening, $parent, %how) = @_;
    my %client;    # fd -> { socket, in, out, stage }
    $listening->blocking(0);
    my $pause = $how{trickle} ? 0.02 : 0.2;
    while (getppid == $parent) {
        my $reading = IO::Select->new($listening, map { $_->{socket} } values %client);
        my $writing = IO::Select->new(map { $_->{socket} } grep { $_->{out} ne '' && !$how{trickle} } values %client);
        my ($readable, $writable) = IO::Select->select($reading, $writing, undef, $pause);
        foreach my $socket (@{ $readable // [] }) {
            if ($socket == $listening) {
                my $new = $listening->accept or next;
                $new->blocking(0);
                $client{ fileno $new } = { socket => $new, in => '', out => $how{at_once} // '', stage => 'startup' };
                next;
            }
            my $one = $client{ fileno $socket };
            my $got = sysread $socket, $one->{in}, 65536, length $one->{in};
            if (!$got && !$!{EAGAIN}) { delete $client{ fileno $socket }; next }
            understand($one, %how);
        }
        my @speaking = $how{trickle} ? values %client : map { $client{ fileno $_ } // () } @{ $writable // [] };
        foreach my $one (@speaking) {
            next if $one->{out} eq '';
            my $sent = syswrite $one->{socket}, $one->{out}, $how{trickle} ? 1 : length $one->{out};
            if (!defined $sent && !$!{EAGAIN}) { delete $client{ fileno $one->{socket} }; next }
            substr $one->{out}, 0, $sent // 0, '';
            $one->{out} = $how{endless} if $one->{out} eq '' && $one->{flooding};
        }
        foreach my $fd (keys %client) {
            delete $client{$fd} if $how{close} && $client{$fd}{said} && $client{$fd}{out} eq '';
        }
    }
    return;
}

sub understand {
    my ($one, %how) = @_;
    while (1) {
        my $head = $one->{stage} eq 'startup' ? 0 : 1;
        return if length $one->{in} < $head + 4;
        my $size = $head + unpack 'N', substr $one->{in}, $head, 4;
        return if length $one->{in} < $size;
        my $code = $one->{stage} eq 'startup' ? unpack 'N', substr $one->{in}, 4, 4 : 0;
        substr $one->{in}, 0, $size, '';
        if ($one->{stage} eq 'startup' && $code != 196608) {
            $one->{out} .= 'N' unless exists $how{at_once};
        } elsif ($one->{stage} eq 'startup') {
            $one->{stage} = 'query';
            say_to($one, exists $how{login}, $how{login}, !exists $how{answer}, %how);
        } else {
            say_to($one, exists $how{answer}, $how{answer}, 1, %how);
        }
    }
}

sub say_to {
    my ($one, $speaks, $bytes, $last, %how) = @_;
    return unless $speaks;
    $one->{out} .= ref $bytes ? $bytes->() : $bytes;
    return unless $last;
    $one->{said} = 1;
    if ($how{endless}) { $one->{out} .= $how{endless}; $one->{flooding} = 1 }
    return;
}

# The columns of the query's answer, of a good primary; some cells spoiled by number, which is that of src/probe/reply.cpp:
# 20 to 22 are what pg_status there tells, 23 to 31 are of a walsender (pid, user, name, address, states, priority, slot, kind).
sub primary_cells {
    my (%spoiled) = @_;
    my @cells = ('f', '7000000000000000001', undef, '000000030000000A000000FE', '1700000000.25', 'main', '1700000100.5',
        'A/FE000060', (undef) x 26);
    $cells[$_] = $spoiled{$_} foreach keys %spoiled;
    return @cells;
}

sub answer_of {
    my (@rows) = @_;
    return row_description(scalar @{ $rows[0] }) . join('', map { data_row(@$_) } @rows)
      . message('C', 'SELECT ' . @rows . "\0") . ready_for_query();
}

1;
