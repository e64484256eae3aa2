# A network of namespaces that a test owns: each end has its own namespace, an address and a cable into one bridge; each
# fault is made here, and heal() takes all of them back. Needs root. The machine's own network is not touched: every
# interface is born inside of a namespace.
#
# It knows nothing of PostgreSQL. Names of namespaces carry the test's process id, so that tests can run side by side,
# and all of them go at the end of the test, however it ends, with the processes in them.
package PgNet::Network;

use strict;
use warnings;

use Carp;
use Errno;
use Exporter 'import';
use File::Basename qw(basename);
use File::Path qw(make_path remove_tree);
use IPC::Run;
use Time::HiRes qw(time usleep);

our @EXPORT_OK = qw(obstacle sweep command in_namespace system_call);

my $owner  = $$;
my $prefix = "pgst-$owner-";      # sweep() knows it, too

my $namespaces = '/run/netns';
my $own_files  = '/etc/netns';    # NAME/resolv.conf there is /etc/resolv.conf for what ip-netns(8) starts in NAME

my @made;                         # namespaces, in the order they were made

# Not die(), which an eval {} would catch: exit() runs the END blocks, here and in the modules that use this one.
foreach my $signal (qw(INT TERM HUP)) {
    $SIG{$signal} = sub { exit 1 };
}

END {
    local $?;
    if ($$ == $owner) {
        $SIG{$_} = 'IGNORE' foreach qw(INT TERM HUP);
        clean_up();
    }
}

# ---- what all of this needs ----------------------------------------------------------------------------------------

# Why such a network cannot be made here, as one line; '' when it can. Makes a small one with every fault to find out.
sub obstacle {
    return 'only root can make network namespaces' if $> != 0;
    foreach my $tool (qw(ip iptables runuser)) {
        return "$tool is missing" unless grep { -x "$_/$tool" } split /:/, $ENV{PATH};
    }
    sweep();
    my $tried = eval {
        my $network = PgNet::Network->new('try-');
        $network->plug($_) foreach qw(a b);
        $network->cut('a');
        $network->silence('a');
        $network->drop('a', 'b', 5432);
        $network->deafen('a', 5432);
        $network->refuse('a');
        $network->no_route('a', 'b');
        $network->heal;
        in_namespace($network->namespace('a'), sub { 1 });
        1;
    };
    my $why = $tried ? '' : $@ =~ s/\s+/ /gr;
    clean_up();
    return $why;
}

# Runs a command and returns what it wrote; croaks with that when it failed.
sub command {
    my (@command) = @_;
    my $said = '';
    IPC::Run::run(\@command, '<', \undef, '>&', \$said) or croak "@command: $said";
    return $said;
}

# Runs $code with this process in a namespace and returns what it returned. Sockets that were made there stay there, so
# that this is all it takes to be a client in another place.
sub in_namespace {
    my ($namespace, $code) = @_;
    open my $home, '<', '/proc/self/ns/net' or croak "/proc/self/ns/net: $!";
    enter("$namespaces/$namespace");
    my @result = eval { wantarray ? $code->() : scalar $code->() };
    my $error  = $@;
    set_namespace($home) or die "could not come back from $namespace: $!";
    die $error if $error ne '';
    return wantarray ? @result : $result[0];
}

sub enter {
    my ($path) = @_;
    open my $there, '<', $path or croak "$path: $!";
    set_namespace($there) or croak "could not enter $path: $!";
    return;
}

# 0x40000000 says: a network namespace.
sub set_namespace { my ($handle) = @_; return system_call('setns', fileno $handle, 0x40000000) }

# A call of the system's that Perl has no function for; whether it succeeded. Perl knows their numbers, which come into
# the package that asks for them first.
sub system_call {
    my ($name, @arguments) = @_;
    require 'syscall.ph';
    my $number = PgNet::Network->can("SYS_$name") or croak "there is no system call $name";
    return syscall($number->(), @arguments) == 0;
}

# ---- ends and cables -----------------------------------------------------------------------------------------------

# A bridge without cables. $kind goes into the namespaces' names, for a second network of the same test.
sub new {
    my ($class, $kind) = @_;
    my $self = bless { kind => $kind // '', addresses => {}, undo => [] }, $class;
    $self->{switch} = $self->add_namespace('switch');
    command('ip', '-n', $self->{switch}, 'link', 'add', 'bridge', 'type', 'bridge');
    command('ip', '-n', $self->{switch}, 'link', 'set', 'dev', 'bridge', 'up');
    return $self;
}

sub add_namespace {
    my ($self, $name) = @_;
    my $namespace = $self->namespace($name);
    push @made, $namespace;    # first: a signal may come in between
    command('ip', 'netns', 'add', $namespace);
    command('ip', '-n', $namespace, 'link', 'set', 'lo', 'up');
    return $namespace;
}

# A new end, of a name of at most 15 characters, with the next free address.
sub plug {
    my ($self, $name) = @_;
    my $namespace = $self->add_namespace($name);
    my $address   = '10.77.0.' . (1 + keys %{ $self->{addresses} });
    command(qw(ip link add eth0 netns), $namespace, qw(type veth peer name), $name, 'netns', $self->{switch});
    command('ip', '-n', $self->{switch}, 'link', 'set', 'dev', $name, 'master', 'bridge', 'up');
    command('ip', '-n', $namespace, 'addr', 'add', "$address/24", 'dev', 'eth0');
    command('ip', '-n', $namespace, 'link', 'set', 'eth0', 'up');
    $self->{addresses}{$name} = $address;
    return;
}

sub namespace { my ($self, $name) = @_; return "$prefix$self->{kind}$name" }
sub address   { my ($self, $name) = @_; return $self->{addresses}{$name} // croak "there is no end $name" }

# How a command starts that is to run at an end.
sub at { my ($self, $name) = @_; return ('ip', 'netns', 'exec', $self->namespace($name)) }

# Gives what will be started at an end an /etc/resolv.conf, or another file of /etc, of its own.
sub set_resolv_conf { my ($self, $name, $text) = @_; return $self->set_own_file($name, 'resolv.conf', $text) }

sub set_own_file {
    my ($self, $name, $file_name, $text) = @_;
    my $folder = "$own_files/" . $self->namespace($name);
    # another test may remove the empty folder above at this moment
    foreach my $try (1 .. 100) { last if eval { make_path($folder) } }
    open my $file, '>', "$folder/$file_name" or croak "$folder/$file_name: $!";
    print $file $text;
    close $file or croak "$folder/$file_name: $!";
    return;
}

# ---- faults --------------------------------------------------------------------------------------------------------
# Ends are given by name.

# The cable is pulled out: the link is down on both sides.
sub cut {
    my ($self, $name) = @_;
    $self->fault([ 'ip', '-n', $self->{switch}, 'link', 'set', 'dev', $name, 'down' ],
        [ 'ip', '-n', $self->{switch}, 'link', 'set', 'dev', $name, 'up' ]);
    return;
}

# Nothing comes through in either direction, and nobody is told.
sub silence {
    my ($self, $name) = @_;
    $self->rule($name, qw(INPUT -i eth0 -j DROP));
    $self->rule($name, qw(OUTPUT -o eth0 -j DROP));
    return;
}

# What $from sends to a TCP port of $to is lost; all else comes through, also what the other says on a connection it
# made itself.
sub drop {
    my ($self, $from, $to, $port) = @_;
    $self->rule($from, 'OUTPUT', '-d', $self->address($to), qw(-p tcp --dport), $port, qw(-j DROP));
    return;
}

# What comes in from outside for a TCP port of an end is lost, also on connections that are there; what it asks others,
# and hears from them, comes through.
sub deafen {
    my ($self, $name, $port) = @_;
    $self->rule($name, qw(INPUT -i eth0 -p tcp --dport), $port, qw(-j DROP));
    return;
}

# Whatever comes through TCP, in either direction, is answered by a reset. (A reset itself is not.)
sub refuse {
    my ($self, $name) = @_;
    my @all = qw(-p tcp --tcp-flags RST NONE -j REJECT --reject-with tcp-reset);
    $self->rule($name, qw(INPUT -i eth0), @all);
    $self->rule($name, qw(OUTPUT -o eth0), @all);
    return;
}

# $from has no way to $to: what it sends is an error at once. The way back is there.
sub no_route {
    my ($self, $from, $to) = @_;
    my @ip    = ('ip', '-n', $self->namespace($from));
    my @route = ('blackhole', $self->address($to) . '/32');
    $self->fault([ @ip, 'route', 'add', @route ], [ @ip, 'route', 'del', @route ]);
    return;
}

# All faults are gone.
sub heal {
    my ($self) = @_;
    while (my $undo = pop @{ $self->{undo} }) { command(@$undo) }
    return;
}

sub rule {
    my ($self, $name, $chain, @rule) = @_;
    my @iptables = ($self->at($name), 'iptables', '-w');
    $self->fault([ @iptables, '-A', $chain, @rule ], [ @iptables, '-D', $chain, @rule ]);
    return;
}

sub fault {
    my ($self, $do, $undo) = @_;
    command(@$do);
    push @{ $self->{undo} }, $undo;
    return;
}

# ---- the end -------------------------------------------------------------------------------------------------------

# Removes every namespace that was made.
sub clean_up {
    remove_namespace($_) foreach reverse splice @made;
    rmdir $own_files;    # stays when there is anything in it
    return;
}

# Ends what still runs in a namespace, then removes it.
sub remove_namespace {
    my ($namespace) = @_;
    if (-e "$namespaces/$namespace") {
        # politely first: a server that is killed leaves shared memory behind
        foreach my $signal (qw(INT KILL)) {
            my @left = pids_in($namespace) or last;
            kill $_, @left foreach $signal, 'CONT';
            my $deadline = time + 2;
            usleep(10_000) while pids_in($namespace) && time < $deadline;
        }
        eval { command('ip', 'netns', 'del', $namespace); 1 } or warn $@;
    }
    remove_tree("$own_files/$namespace");
    return;
}

sub pids_in {
    my ($namespace) = @_;
    my $pids = eval { command('ip', 'netns', 'pids', $namespace) } // '';
    return split ' ', $pids;
}

# Removes what tests left that could not clean up any more, because somebody killed them: all that carries the process
# id of no process. Returns its names.
sub sweep {
    my %left = map { basename($_) => 1 } glob("$namespaces/pgst-* $own_files/pgst-*");
    my @left = grep { /\Apgst-(\d+)-/ && !kill(0, $1) && $!{ESRCH} } sort keys %left;
    remove_namespace($_) foreach @left;
    rmdir $own_files if @left;
    return @left;
}

1;
