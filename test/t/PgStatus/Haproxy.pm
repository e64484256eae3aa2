# A real HAProxy in front of test servers, with a configuration of docs/haproxy as users get it. Only these are changed:
# the addresses and ports of `server` and `bind` lines, a Unix socket is added through which the state is read, and
# checks come more often (see sooner()). Which servers should be up is each test's own matter.
package PgStatus::Haproxy;

use strict;
use warnings;

use Carp;
use Exporter 'import';
use File::Basename;
use File::Path;
use File::Temp;
use IO::Socket::UNIX;
use IPC::Run;
use PgStatus;
use PgStatus::Http;
use POSIX ();
use PostgreSQL::Test::Cluster;
use Test::More;

our @EXPORT = qw(query_at skip_without);

# Debian has it where an ordinary user's PATH does not lead.
$ENV{PATH} .= ':/usr/sbin:/usr/local/sbin';

my $docs = dirname(__FILE__) . '/../../../docs/haproxy';

# The ports that pg_status has in the documentation, and whose they are in a test.
my %port_of = (5400 => \&raw_port, 5401 => \&raw_port, 5402 => \&raw_port, 8008 => \&check_port);

my %running;    # process ids of what was started
my @folders;    # where their sockets are
my $count = 0;

# A test that is told to stop has to stop what it started: an exit runs END, which a signal by itself does not.
$SIG{$_} ||= sub { exit 1 }
  foreach qw(INT TERM HUP);

END {
    local $?;
    stop_process($_) foreach keys %running;
    rmtree(\@folders);
}

# Why there can be no HAProxy here: a program is missing, or HAProxy does not know all that the files use; '' when it
# can. (test/setup installs them.)
sub what_is_missing {
    my (@programs) = @_;
    foreach my $program (@programs) {
        return "$program is not installed" unless grep { -x "$_/$program" } split /:/, $ENV{PATH};
    }
    my ($version) = `haproxy -v` =~ /version (\d+\.\d+)/;
    return ($version // 0) < 2.4 ? 'HAProxy is older than 2.4' : '';
}

# Skips the whole test file where something is missing.
sub skip_without {
    my $missing = what_is_missing(@_);
    plan skip_all => $missing if $missing;
    return;
}

# ---- the configuration ---------------------------------------------------------------------------------------------

# All intervals of checks are a tenth of what the file says, and of HAProxy's own 2 s where it says nothing: so that a
# test need not wait for seconds. Numbers of checks (rise, fall) and timeouts stay.
sub sooner {
    my ($text) = @_;
    my $given = 0;
    my $tenth = sub { $given++; return $_[0] * ($_[1] eq 's' ? 100 : 0.1) . 'ms' };
    $text =~ s/^(\s+(?:default-)?server .*)/$1 =~ s{(inter) (\d+)(m?s)\b}{"$1 " . $tenth->($2, $3)}ger/gme;
    $text =~ s/^defaults\n/defaults\n    default-server inter 200ms\n/m or croak 'no defaults' unless $given;
    return $text;
}

# The n-th server of each section is the n-th node. Dies when a line is not of the kind that is known here, because
# then something would stay that does not belong to the test.
sub local_places {
    my ($self, $text) = @_;
    my ($section, %servers) = ('');
    my @lines = split /\n/, $text;
    foreach (@lines) {
        next if /^\s*(?:#|$)/;
        if (/^(\w+) ?(\S*)/) {
            $section = $2 || $1;
        }
        elsif (/^\s+bind /) {
            $self->{port_of}{$section} = PostgreSQL::Test::Cluster::get_free_port();
            s/^(\s+bind )[\w.*]+:\d+$/${1}127.0.0.1:$self->{port_of}{$section}/ or croak "not understood: $_";
        }
        elsif (/^\s+server (\S+) /) {
            my $node = $self->{nodes}[ $servers{$section}++ ] or croak "more servers than nodes in $section";
            croak "$1 is another name for a server" if ($self->{name_of}{ $node->name } //= $1) ne $1;
            s/^(\s+server \S+ )[\w.]+:\d+ /$1 . '127.0.0.1:' . $node->port . ' '/e or croak "not understood: $_";
            s/\bport (\d+)\b/'port ' . $self->status_port($1, $node)/ge or croak "no port to check: $_";
        }
    }
    croak 'no servers or nowhere to connect' unless %servers && $self->{port_of};
    croak 'fewer servers than nodes' if grep { $_ != @{ $self->{nodes} } } values %servers;
    return join("\n", @lines) . "\n";
}

sub status_port {
    my ($self, $number, $node) = @_;
    my $port = $self->{check_at} // $port_of{$number} or croak "port $number is nobody's";
    return $port->($node);
}

# Adds a line to the global section, which is made where there is none.
sub with_socket {
    my ($self, $text) = @_;
    my $line = "    stats socket $self->{socket} mode 600 level admin\n";
    return $text =~ s/^global\n/global\n$line/mr if $text =~ /^global\n/m;
    return "global\n$line\n$text";
}

# ---- the process ---------------------------------------------------------------------------------------------------

# Starts HAProxy with a file of docs/haproxy, for nodes in the order of its server lines; returns when it answers.
# $options{check_at}, a function of a node, gives the port that is to be checked instead of the one the file means;
# $options{edit} makes another text of the file.
sub start {
    my ($class, $file, $nodes, %options) = @_;
    push @folders, File::Temp::tempdir('haproxyXXXXXX', TMPDIR => 1);    # a socket's path must be short
    my $self = bless { file => $file, nodes => $nodes, socket => "$folders[-1]/socket", %options }, $class;
    $self->{config} = dirname($nodes->[0]->logfile) . '/' . basename($0, '.pl') . '_' . ++$count . "_$file";
    open my $config, '>', $self->{config} or croak "could not write $self->{config}: $!";
    my $text = read_from("$docs/$file", 0);
    $text = $self->{edit}->($text) if $self->{edit};
    print $config $self->with_socket(sooner($self->local_places($text)));
    close $config or croak "could not write $self->{config}: $!";
    my $log = "$self->{config}.log";
    system("haproxy -c -f '$self->{config}' >'$log' 2>&1") == 0
      or croak "HAProxy does not take $file: " . read_from($log, 0);
    $self->{said} = read_from($log, 0);

    defined($self->{pid} = fork) or croak "could not fork: $!";
    if (!$self->{pid}) {
        open STDIN,  '<',  '/dev/null';
        open STDOUT, '>>', $log;
        open STDERR, '>>', $log;
        exec 'haproxy', '-db', '-f', $self->{config} or POSIX::_exit(127);
    }
    $running{ $self->{pid} } = 1;
    wait_for("HAProxy with $file",
        sub {
            croak 'HAProxy ended: ' . read_from($log, 0) if has_ended($self->{pid});
            return $self->ask_socket('show info');
        });
    return $self;
}

sub stop {
    my ($self) = @_;
    stop_process($self->{pid});
    return;
}

sub stop_process {
    my ($pid) = @_;
    return unless delete $running{$pid};
    return if has_ended($pid);
    kill 'TERM', $pid;
    waitpid $pid, 0;
    return;
}

sub has_ended { return waitpid($_[0], POSIX::WNOHANG()) != 0 }

# ---- what it sees --------------------------------------------------------------------------------------------------

# What `haproxy -c` said about the file.
sub said { return $_[0]{said} }

# The port of a `listen` or `frontend` section.
sub port {
    my ($self, $section) = @_;
    return $self->{port_of}{$section} // croak "$self->{file} has no frontend $section";
}

# One query in a new session through a frontend.
sub query {
    my ($self, $section, $query) = @_;
    return query_at('host=127.0.0.1 port=' . $self->port($section), $query);
}

# The same without HAProxy, wherever the connection string leads. '' when there is no session.
sub query_at {
    my ($place, $query) = @_;
    my @psql = ('psql', '-XAtq', '-d', "dbname=postgres connect_timeout=30 $place", '-c', $query);
    IPC::Run::run(\@psql, '<', \'', '>', \my $result, '2>', \my $error);
    chomp $result;
    return $result;
}

sub ask_socket {
    my ($self, $command) = @_;
    my $socket = IO::Socket::UNIX->new(Peer => $self->{socket}) or return '';
    print $socket "$command\n";
    local $/;
    return <$socket> // '';
}

# What HAProxy's operator orders, of a server by its node: an error where HAProxy has anything to say against it.
# %s is the server, as backend/name.
sub operate {
    my ($self, $backend, $node, $command) = @_;
    my $said = $self->ask_socket(sprintf $command, "$backend/$self->{name_of}{ $node->name }");
    croak "HAProxy refuses '$command': $said" if $said =~ /\w/;
    return;
}

# The servers of a backend as HAProxy sees them: node name -> columns of `show stat` by their names. ("* " before a
# status says that the next check is on its way, and is left out.)
sub servers {
    my ($self, $backend) = @_;
    my ($head, @lines) = split /\n/, $self->ask_socket('show stat -1 4 -1');    # all sections, servers, all
    my @names = split /,/, $head =~ s/^# //r;
    my %server;
    foreach my $line (@lines) {
        my (%row, @values);
        push @values, $1 while $line =~ /("(?:[^"]|"")*"|[^,]*)(?:,|$)/g;
        @row{@names} = map { s/^"(.*)"$/$1/sr =~ s/""/"/gr } @values[ 0 .. $#names ];
        s/^\* // foreach @row{qw(check_status agent_status)};
        $server{ $row{svname} } = \%row if $row{pxname} eq $backend;
    }
    return { map { $_->name => $server{ $self->{name_of}{ $_->name } } } @{ $self->{nodes} } };
}

# Before the first check is done a server counts as up, and its check_status is INI.
sub is_serving     { return $_[0]{status} eq 'UP' && $_[0]{check_status} eq 'L7OK' }
sub is_not_serving { return $_[0]{status} =~ /^DOWN(?! \d)/ }

# Waits until exactly these nodes are up in a backend, all others down, and $condition, called with the rows, is true;
# returns the rows.
sub wait_serving {
    my ($self, $backend, $nodes, $condition) = @_;
    my %wanted = map { $_->name => 1 } @$nodes;
    my $rows;
    my $seen = eval {
        wait_for("$self->{file}: $backend to serve by " . (join(' and ', sort keys %wanted) || 'nobody'),
            sub {
                $rows = $self->servers($backend);
                foreach my $name (keys %$rows) {
                    return 0 unless $wanted{$name} ? is_serving($rows->{$name}) : is_not_serving($rows->{$name});
                }
                return !$condition || $condition->($rows);
            });
    };
    croak $@ . join '', map { "last seen: $_ @{ $rows->{$_} }{qw(status weight check_status last_chk last_agt)}\n" }
      sort keys %$rows
      unless $seen;
    return $rows;
}

1;
