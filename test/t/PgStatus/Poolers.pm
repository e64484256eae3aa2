# Connection poolers in front of test servers: which there are on this machine, how each is configured, started, made to
# read its settings again, and what an operator does to it. Each leads to one server; what comes of that is the tests'
# own matter.
#
# Programs are those of the system, and those that test/poolers brought: PGST_POOLERS names its folder.
package PgStatus::Poolers;

use strict;
use warnings;

use Carp;
use Exporter 'import';
use PgStatus;
use PgStatus::Child;
use PgStatus::Outside;
use PgStatus::Wire;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(pooler_programs missing_poolers why_unusable start_pooler lead_to disturb restart_pooler pooler_log);

my %running;    # process id, and that of its group -> 1

# Some have processes of their own, which would outlast them.
END { local $?; kill 'KILL', map { -$_ } keys %running }

my %programs = (pgbouncer => 'PgBouncer', pgpool => 'Pgpool-II', odyssey => 'Odyssey', pgagroal => 'pgagroal');

# All that can be run here: { kind, path, version } each, the same version once.
sub pooler_programs {
    my %seen;
    my @folders = (split(/:/, $ENV{PATH}), '/usr/sbin', $ENV{PGST_POOLERS} ? glob "$ENV{PGST_POOLERS}/*/bin" : ());
    my @found;
    foreach my $kind (sort keys %programs) {
        foreach my $path (grep { -x } map { "$_/$kind" } @folders) {
            my ($version) = `'$path' --version 2>&1` =~ /(\d+\.\d+(?:\.\d+)?)/ or next;
            push @found, { kind => $kind, path => $path, version => $version, name => "$programs{$kind} $version" }
              unless $seen{"$kind $version"}++;
        }
    }
    return @found;
}

# The names of those that are not here at all.
sub missing_poolers {
    my %here = map { $_->{kind} => 1 } @_;
    return map { $programs{$_} } grep { !$here{$_} } sort keys %programs;
}

# Why a program is of no use here, seen with one client: '' it is. (pgagroal 2.1.0 of Debian dies of its own check at each.)
sub why_unusable {
    my ($program, $node) = @_;
    return '' if $program->{kind} ne 'pgagroal';
    my $self = set_up($program, $node);
    launch($self);
    my $died = 'buffer overflow detected';
    my $leads = wait_for("$program->{name} to lead to a server or to fail", sub {
        return 'no' if pooler_log($self) =~ /\Q$died\E/;
        return eval { PgStatus::Wire->new($self->{port})->close; 1 } ? 'yes' : 0;
    });
    stop($self);
    return $leads eq 'yes' ? '' : "it ends with each client: $died";
}

# Starts one in front of a node, and returns when it leads there. %options: mode (the pool mode, where there are some;
# by default its own), settings (a text for the end of its configuration), nodes (of Pgpool-II: all that it balances).
sub start_pooler {
    my ($program, $node, %options) = @_;
    my $self = set_up($program, $node, %options);
    run($self);
    return $self;
}

sub set_up {
    my ($program, $node, %options) = @_;
    my $self = { program => $program, node => $node, port => PostgreSQL::Test::Cluster::get_free_port(),
        folder => PostgreSQL::Test::Utils::tempdir(), settings => '', %options };
    $self->{second_port} = PostgreSQL::Test::Cluster::get_free_port() if $program->{kind} eq 'pgpool';
    write_configuration($self);
    return $self;
}

# From now on it is to lead to another node; it reads that at once, or is started anew.
sub lead_to {
    my ($self, $node) = @_;
    $self->{node} = $node;
    write_configuration($self);
    return $self->{program}{kind} eq 'pgbouncer' ? console($self, 'RELOAD') : restart_pooler($self);
}

sub pooler_log { return read_from("$_[0]{folder}/log", 0) }

# One of the things that operators do, the next one each time. What a pooler refuses just then is no fault.
sub disturb {
    my ($self) = @_;
    my $turn = $self->{turns}++;
    my $kind = $self->{program}{kind};
    return restart_pooler($self) if $turn % 6 == 5;
    if ($kind eq 'pgbouncer') {
        my @acts = (['RECONNECT'], ['RELOAD'], ['KILL postgres', 'RESUME postgres'], ['PAUSE postgres', 'RESUME postgres'],
            ['DISABLE postgres', 'ENABLE postgres']);
        # each by itself: to pause takes until the last session has ended, and is to be undone also when that lasts
        eval { console($self, $_) } foreach @{ $acts[ $turn % @acts ] };
    } elsif ($kind eq 'pgagroal') {
        end_sessions($self);
    } else {
        $turn % 2 ? kill('HUP', $self->{pid}) : end_sessions($self);
    }
    return;
}

# The server ends what the pooler has there.
sub end_sessions {
    my ($self) = @_;
    sql($self->{node}, q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend'
        AND client_addr IS NOT NULL AND pid <> pg_backend_pid()});
    return;
}

sub restart_pooler {
    my ($self) = @_;
    stop($self);
    return run($self);
}

sub stop {
    my ($self) = @_;
    # pgpool's and pgagroal's fast shutdown; the others end at once
    kill 'INT', $self->{pid};
    my $pid = $self->{pid};
    eval { wait_for("$self->{program}{name} to end", sub { waitpid($pid, POSIX::WNOHANG()) != 0 }) };
    kill 'KILL', -$pid;
    end_child($pid);
    delete $running{$pid};
    return;
}

sub console {
    my ($self, $command) = @_;
    my $console = PgStatus::Wire->new($self->{port}, database => 'pgbouncer', patience => 2);
    $console->query($command);
    $console->close;
    return;
}

sub run {
    my ($self) = @_;
    launch($self);
    eval {
        wait_for("$self->{program}{name} to lead to " . $self->{node}->name,
            sub { my $session = eval { PgStatus::Wire->new($self->{port}) } or return 0; $session->close; 1 });
        1;
    } or croak $@ . pooler_log($self);
    return;
}

sub launch {
    my ($self) = @_;
    my $folder = $self->{folder};
    my @command = command_of($self);
    ($self->{pid}) = start_child(sub {
        setpgrp;
        chdir $folder or die "$folder: $!";
        open STDOUT, '>>', "$folder/log" or die "$folder/log: $!";
        open STDERR, '>&', \*STDOUT or die "$folder/log: $!";
        exec @command or die "$command[0]: $!";
    });
    $running{ $self->{pid} } = 1;
    return;
}

sub command_of {
    my ($self) = @_;
    my ($kind, $path, $folder) = (@{ $self->{program} }{qw(kind path)}, $self->{folder});
    return ($path, '-q', "$folder/conf") if $kind eq 'pgbouncer';
    return ($path, '-n', '-f', "$folder/conf", '-F', "$folder/pcp.conf", '-a', "$folder/hba") if $kind eq 'pgpool';
    return ($path, "$folder/conf") if $kind eq 'odyssey';
    return ($path, '-c', "$folder/conf", '-a', "$folder/hba");
}

# ---- their configurations: what each needs, and no more --------------------------------------------------------------

sub write_configuration {
    my ($self) = @_;
    my $write = { pgbouncer => \&pgbouncer_files, pgpool => \&pgpool_files, odyssey => \&odyssey_files,
        pgagroal => \&pgagroal_files }->{ $self->{program}{kind} };
    my %text = $write->($self);
    foreach my $name (keys %text) {
        open my $file, '>', "$self->{folder}/$name" or croak "$self->{folder}/$name: $!";
        print $file $text{$name};
        CORE::close($file);
    }
    return;
}

sub pgbouncer_files {
    my ($self) = @_;
    my $user = getpwuid $<;
    my $mode = $self->{mode} ? "pool_mode = $self->{mode}" : '';
    return (users => qq("$user" ""\n), conf => <<"END");
[databases]
* = host=127.0.0.1 port=${\$self->{node}->port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $self->{port}
unix_socket_dir =
auth_type = trust
auth_file = $self->{folder}/users
admin_users = $user
$mode
$self->{settings}
END
}

# Where it leads to one server only it is told so: otherwise it looks for a primary, and waits for one.
sub pgpool_files {
    my ($self) = @_;
    my @nodes = @{ $self->{nodes} // [ $self->{node} ] };
    my $mode = @nodes > 1 ? 'streaming_replication' : 'raw';
    my $backends = join '', map { "backend_hostname$_ = '127.0.0.1'\nbackend_port$_ = " . $nodes[$_]->port
        . "\nbackend_weight$_ = 1\nbackend_flag$_ = 'DISALLOW_TO_FAILOVER'\n" } 0 .. $#nodes;
    my $user = getpwuid $<;
    return (hba => '', 'pcp.conf' => '', conf => <<"END");
listen_addresses = '127.0.0.1'
port = $self->{port}
pcp_listen_addresses = '127.0.0.1'
pcp_port = $self->{second_port}
unix_socket_directories = '$self->{folder}'
pcp_socket_dir = '$self->{folder}'
pid_file_name = '$self->{folder}/pid'
logdir = '$self->{folder}'
backend_clustering_mode = '$mode'
num_init_children = 16
sr_check_user = '$user'
sr_check_period = 5
$backends
$self->{settings}
END
}

sub odyssey_files {
    my ($self) = @_;
    my $mode = $self->{mode} // 'session';
    return (conf => <<"END");
daemonize no
log_format "%p %t %l [%i %s] (%c) %m\\n"
log_to_stdout yes
locks_dir "$self->{folder}"
unix_socket_dir "$self->{folder}"
unix_socket_mode "0644"
listen { host "127.0.0.1" port $self->{port} }
storage "server" { type "remote" host "127.0.0.1" port ${\$self->{node}->port} }
database default {
  user default {
    authentication "none"
    storage "server"
    pool "$mode"
    pool_size 20
    $self->{settings}
  }
}
END
}

sub pgagroal_files {
    my ($self) = @_;
    return (hba => "host all all all trust\n", conf => <<"END");
[pgagroal]
host = 127.0.0.1
port = $self->{port}
log_type = console
log_level = info
max_connections = 60
unix_socket_dir = $self->{folder}
$self->{settings}
[primary]
host = 127.0.0.1
port = ${\$self->{node}->port}
END
}

1;
