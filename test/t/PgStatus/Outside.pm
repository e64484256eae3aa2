# What can be seen of a server without SQL: what its raw port says, its log, its processes. It starts and stops nothing
# but processes that a test freezes, and knows nothing of what a test is about.
package PgStatus::Outside;

use strict;
use warnings;

use Carp;
use Exporter 'import';
use IO::Select;
use IO::Socket::IP;
use PostgreSQL::Test::Cluster;
use Time::HiRes qw(time);

our @EXPORT = qw(
  raw_port raw_bytes raw_status read_to_end
  log_offset log_text log_lines pg_status_log read_from
  worker_pid postmaster_pid pid_status processes_of pending_signals is_under_asan freeze freeze_worker thaw
);

my %raw_port_of;    # node name -> its pg_status.port
my @frozen;         # processes that must be woken before the servers can be stopped

END { kill 'CONT', @frozen if @frozen }

# ---- the raw port --------------------------------------------------------------------------------------------------

# The port that pg_status.port of a node is set to; taken when it is first asked for.
sub raw_port { return $raw_port_of{ $_[0]->name } //= PostgreSQL::Test::Cluster::get_free_port() }

# One connection to a raw port: (bytes received, how it ended). How: closed (FIN), reset, timeout, refused, or another
# error's text. $options: address, port, from (source address), send (bytes to send first).
sub raw_bytes {
    my ($node, %options) = @_;
    my $socket = IO::Socket::IP->new(
        PeerHost => $options{address} // '127.0.0.1',
        PeerPort => $options{port}    // raw_port($node),
        $options{from} ? (LocalHost => $options{from}) : (),
        Timeout => 10);
    if (!$socket) {
        return ('', $!{ECONNREFUSED} ? 'refused' : $!{ECONNRESET} ? 'reset' : "$!");
    }
    if (defined $options{send}) {
        local $SIG{PIPE} = 'IGNORE';
        syswrite $socket, $options{send};
    }
    return read_to_end($socket);
}

sub read_to_end {
    my ($socket) = @_;
    my ($bytes, $deadline) = ('', time + 10);
    while ((my $left = $deadline - time) > 0) {
        next unless IO::Select->new($socket)->can_read($left);
        my $got = sysread $socket, $bytes, 4096, length $bytes;
        return ($bytes, $!{ECONNRESET} ? 'reset' : "$!") unless defined $got;
        return ($bytes, 'closed') unless $got;
    }
    return ($bytes, 'timeout');
}

# The word that a raw port says, or how the connection went when that was not one whole line and a FIN.
sub raw_status {
    my ($node,  %options) = @_;
    my ($bytes, $how)     = raw_bytes($node, %options);
    return $1 if $how eq 'closed' && $bytes =~ /\A([A-Z]+)\n\z/;
    return $how if $bytes eq '';
    return "$how after \"$bytes\"";
}

# ---- log and processes ---------------------------------------------------------------------------------------------

sub log_offset { return -s $_[0]->logfile }

# The server's log from an offset on.
sub log_text { return read_from($_[0]->logfile, $_[1] // 0) }

sub log_lines { my ($node, $offset) = @_; return split /\n/, log_text($node, $offset) }

sub read_from {
    my ($path, $offset) = @_;
    open my $file, '<', $path or croak "could not read $path: $!";
    seek $file, $offset, 0;
    local $/ = undef;
    return <$file> // '';
}

# The messages (not their details and hints) that pg_status's workers logged since then.
sub pg_status_log {
    my ($node, $offset) = @_;
    return grep { /\] pg_status \w+ (?!DETAIL|HINT|CONTEXT)[A-Z]+: / } log_lines($node, $offset);
}

sub postmaster_pid { return pid_file($_[0])->[0] }

# Line 8 of postmaster.pid: starting, ready, standby, stopping, or '' without a server.
sub pid_status { return (pid_file($_[0])->[7] // '') =~ s/\s+\z//r }

sub pid_file {
    my ($node) = @_;
    open my $file, '<', $node->data_dir . '/postmaster.pid' or return [];
    chomp(my @lines = <$file>);
    return \@lines;
}

# The process id of a worker ('poller', 'listener'), or undef: workers are not in pg_stat_activity.
sub worker_pid {
    my ($node, $kind) = @_;
    my $postmaster = postmaster_pid($node) or return undef;
    foreach (split /\n/, `ps -o pid=,args= --ppid $postmaster`) {
        return $1 if /^\s*(\d+)\s.*pg_status \Q$kind\E/;
    }
    return undef;
}

# The postmaster and its children.
sub processes_of {
    my ($node) = @_;
    my $postmaster = postmaster_pid($node);
    return ($postmaster, split ' ', `ps -o pid= --ppid $postmaster`);
}

# The signals that wait for a process, as a bit mask.
sub pending_signals {
    my ($pid) = @_;
    my ($mask) = read_from("/proc/$pid/status", 0) =~ /^ShdPnd:\s*(\w+)/m;
    return hex $mask;
}

# Whether a process runs under AddressSanitizer (test/versions --asan): that ends a process which gets no memory.
sub is_under_asan { return read_from("/proc/$_[0]/maps", 0) =~ m{/libasan\.so} }

# Stops a whole server as it stands, the postmaster first so that nothing new is started. thaw() or the end of the test
# lets it go on.
sub freeze {
    my ($node) = @_;
    kill 'STOP', postmaster_pid($node);
    push @frozen, my @whole = processes_of($node);
    kill 'STOP', @whole;
    return;
}

# Stops a worker alone, as one that gets no processor any more; thaw() as above.
sub freeze_worker {
    my ($node, $kind) = @_;
    push @frozen, my $pid = worker_pid($node, $kind) // croak $node->name . " has no $kind";
    kill 'STOP', $pid;
    return;
}

sub thaw {
    kill 'CONT', @frozen;
    @frozen = ();
    return;
}

1;
