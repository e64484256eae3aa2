# Servers of another PostgreSQL major than the one under test, without pg_status in them, from programs that test/peers
# has brought: initdb, postgres and pg_ctl are all that there is. They answer what name_of(), sql() and the like ask of a
# node, and end with the test. It knows nothing of what they are for.
package PgStatus::OtherMajor;

use strict;
use warnings;

use Carp;
use PgStatus;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

my @started;

END { local $?; $_->end foreach @started }

# The majors that are in the folder, the oldest first.
sub majors_in {
    my ($folder) = @_;
    return sort { $a <=> $b } map { m{/(\d+)/bin/postgres\z} } glob "$folder/*/bin/postgres";
}

# A server on paper; its name is that of its data directory, too.
sub new {
    my ($class, $folder, $major, $name) = @_;
    my $port = PostgreSQL::Test::Cluster::get_free_port();
    return bless { bin => "$folder/$major/bin", name => $name, port => $port,
        data => PostgreSQL::Test::Utils::tempdir() . "/$name" }, $class;
}

sub name     { return $_[0]{name} }
sub port     { return $_[0]{port} }
sub data_dir { return $_[0]{data} }

sub connstr { return "host=127.0.0.1 port=$_[0]{port} dbname=$_[1]" }

# A cluster of its own that lets in everybody from this machine; %settings as for configure().
sub init {
    my ($self, %settings) = @_;
    $self->run('initdb', '-D', $self->{data}, '-A', 'trust', '-N', '--no-locale', '-U', scalar getpwuid $<);
    $self->add_conf(listen_addresses => '127.0.0.1', unix_socket_directories => '', port => $self->{port}, fsync => 'off',
        %settings);
    return $self;
}

# A standby of another one, which has to be stopped: there is no pg_basebackup.
sub init_standby_of {
    my ($self, $upstream) = @_;
    $self->call('cp', '-a', $upstream->{data}, $self->{data});
    append_to_file("$self->{data}/standby.signal", '');
    $self->add_conf(port => $self->{port}, primary_conninfo => conninfo_of($upstream, $self));
    return $self;
}

sub add_conf {
    my ($self, %settings) = @_;
    append_to_file("$self->{data}/postgresql.conf", join '', conf_lines(%settings));
    return;
}

sub start {
    my ($self) = @_;
    push @started, $self;
    $self->run('pg_ctl', '-D', $self->{data}, '-l', "$self->{data}.log", '-w', '-t', 120, 'start');
    return;
}

sub stop {
    my ($self, $mode) = @_;
    forget_session($self);
    $self->run('pg_ctl', '-D', $self->{data}, '-m', $mode, '-w', '-t', 120, 'stop');
    return;
}

# Whatever state it is in; what pg_ctl says is of no interest when it does not run any more.
sub end {
    my ($self) = @_;
    eval { $self->stop('immediate') } if -e "$self->{data}/postmaster.pid";
    return;
}

sub run { my ($self, $program, @arguments) = @_; return $self->call("$self->{bin}/$program", @arguments) }

# Its output goes into a file: a server that it starts would hold a pipe open.
sub call {
    my ($self, @command) = @_;
    my $said = "$self->{data}.said";
    my $pid  = fork // croak "fork: $!";
    if ($pid == 0) {
        open STDOUT, '>',  $said    or die "$said: $!";
        open STDERR, '>&', \*STDOUT or die "$said: $!";
        exec @command or die "$command[0]: $!";
    }
    waitpid $pid, 0;
    croak "@command:\n" . PgStatus::Outside::read_from($said, 0) if $?;
    return;
}

1;
