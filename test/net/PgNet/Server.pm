# A PostgreSQL server at one end of a PgNet::Network. To PgStatus.pm it is a node: it has a name, a data folder, a log
# and a connection string, which leads through its Unix-domain socket: no fault of the network is in a question's way.
#
# It knows nothing of what a test is about, nor of pg_status. Servers run as the user that TEST_USER names, by default
# postgres; those that still run are stopped at the end of the test, however it ends.
package PgNet::Server;

use strict;
use warnings;

use Carp;
use File::Basename qw(basename);
use File::Path qw(remove_tree);
use PgNet::Network qw(command);
use PostgreSQL::Test::Utils ();
use Time::HiRes qw(time usleep);

my $user     = $ENV{TEST_USER} || 'postgres';
my $patience = $ENV{PG_TEST_TIMEOUT_DEFAULT} || 60;
my $owner    = $$;
my ($data, $sockets);    # folders of all servers of this test
my %started;             # name -> a server that may run

END {
    local $?;
    if ($$ == $owner) {
        $SIG{$_} = 'IGNORE' foreach qw(INT TERM HUP);
        stop_all();
        # by hand: temporary folders of PostgreSQL's test library outlive a failure
        remove_tree($sockets) if defined $sockets;
    }
}

# A server at the end of that name. It has no data yet: init(), copy() and rebuild() give it some.
sub new {
    my ($class, $network, $name) = @_;
    $data    //= folder(PostgreSQL::Test::Utils::tempdir('net'));
    $sockets //= folder(PostgreSQL::Test::Utils::tempdir_short());
    my $self = bless { network => $network, name => $name }, $class;
    folder("$sockets/$name");
    open my $log, '>', $self->logfile or croak $self->logfile . ": $!";
    close $log;
    give($self->logfile);
    return $self;
}

# Makes a folder that belongs to the servers' user.
sub folder {
    my ($path) = @_;
    -d $path or mkdir $path or croak "$path: $!";
    chmod 0755, $path;
    return give($path);
}

sub give {
    my ($path) = @_;
    my ($uid, $gid) = (getpwnam $user)[ 2, 3 ] or croak "there is no user $user";
    chown $uid, $gid, $path or croak "$path: $!";
    return $path;
}

sub name      { return $_[0]{name} }
sub host      { return $_[0]{network}->address($_[0]{name}) }
sub port      { return 5432 }
sub data_dir  { return "$data/$_[0]{name}" }
sub namespace { return $_[0]{network}->namespace($_[0]{name}) }

sub logfile {
    my ($self) = @_;
    return sprintf '%s/%s_%s.log', $PostgreSQL::Test::Utils::log_path, basename($0, '.pl'), $self->{name};
}

sub connstr {
    my ($self, $database) = @_;
    return "host=$sockets/$self->{name} port=" . $self->port . " user=postgres dbname=$database";
}

# ---- data ----------------------------------------------------------------------------------------------------------

# A new cluster that lets everybody in from the network. The superuser is postgres, whoever runs it.
sub init {
    my ($self) = @_;
    command($self->as_user, 'initdb', '-D', $self->data_dir, qw(-U postgres -A trust -N --no-locale -E UTF8));
    $self->append_conf('pg_hba.conf', "host all,replication all 10.77.0.0/24 trust\n");
    $self->own_settings;
    return;
}

# Becomes a standby of $upstream, which was never started.
sub copy {
    my ($self, $upstream) = @_;
    command('cp', '-a', $upstream->data_dir, $self->data_dir);
    $self->follow_from_start($upstream);
    return;
}

# Throws away what it has and becomes a standby of $upstream, which runs and can be reached.
sub rebuild {
    my ($self, $upstream) = @_;
    remove_tree($self->data_dir);
    command($self->{network}->at($self->name), $self->as_user, 'pg_basebackup', '-D', $self->data_dir,
        '-d', 'host=' . $upstream->host . ' user=postgres', qw(-X stream -c fast --no-sync));
    $self->follow_from_start($upstream);
    return;
}

sub follow_from_start {
    my ($self, $upstream) = @_;
    $self->own_settings;
    $self->append_conf('standby.signal', '');
    $self->append_conf('postgresql.conf', 'primary_conninfo = ' . quoted($self->way_to($upstream)) . "\n");
    return;
}

# The settings that no two servers share.
sub own_settings {
    my ($self) = @_;
    $self->append_conf('postgresql.conf', 'cluster_name = ' . quoted($self->{name}) . "\n"
          . 'unix_socket_directories = ' . quoted("$sockets/$self->{name}") . "\n");
    return;
}

# What primary_conninfo has to be for this server to follow $upstream.
sub way_to {
    my ($self, $upstream) = @_;
    return 'host=' . $upstream->host . " user=postgres application_name=$self->{name}";
}

sub quoted { return "'" . $_[0] =~ s/'/''/gr . "'" }

# Adds to a file in the data folder.
sub append_conf {
    my ($self, $name, $text) = @_;
    my $path = $self->data_dir . "/$name";
    open my $file, '>>', $path or croak "$path: $!";
    print $file $text;
    close $file or croak "$path: $!";
    give($path);
    return;
}

# ---- running -------------------------------------------------------------------------------------------------------

sub as_user { return ('runuser', '-u', $user, '--') }

sub pg_ctl {
    my ($self, @what) = @_;
    local $ENV{PGOPTIONS};    # of the test's sessions
    delete $ENV{PGOPTIONS};
    return command($self->{network}->at($self->name), $self->as_user,
        'pg_ctl', '-D', $self->data_dir, '-l', $self->logfile, '-w', '-t', $patience, '-s', @what);
}

sub start {
    my ($self) = @_;
    $started{ $self->name } = $self;
    $self->pg_ctl('start');
    return;
}

sub stop {
    my ($self, $mode) = @_;
    $self->pg_ctl('stop', '-m', $mode // 'fast');
    delete $started{ $self->name };
    return;
}

sub reload  { return $_[0]->pg_ctl('reload') }
sub promote { return $_[0]->pg_ctl('promote') }

# To a server, SIGQUIT is an immediate shutdown: it frees its shared memory. Who does not obey goes with its namespace.
sub stop_all {
    my %left;
    foreach my $server (values %started) {
        open my $file, '<', $server->data_dir . '/postmaster.pid' or next;
        my $pid = int <$file>;
        $left{$pid} = 1 if kill 'QUIT', $pid;
        kill 'CONT', $pid;
    }
    my $deadline = time + 3;
    while (%left && time < $deadline) {
        delete @left{ grep { !kill 0, $_ } keys %left };
        usleep(10_000);
    }
    return;
}

1;
