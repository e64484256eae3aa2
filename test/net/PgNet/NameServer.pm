# A name server at ends of a PgNet::Network, on the loopback of each: it gives the address of some names, says of all
# others that they do not exist, and says nothing at all about names that were told to hang. What it says can be changed
# at any time. Its process ends with the test.
#
# It knows the A record of DNS, and that is all it knows.
package PgNet::NameServer;

use strict;
use warnings;

use Carp;
use IO::Select;
use IO::Socket::INET;
use PgNet::Network qw(in_namespace);
use POSIX ();
use PostgreSQL::Test::Utils ();

my ($a_record, $no_error, $no_such_name) = (1, 0, 3);
my $owner = $$;
my @children;

END {
    local $?;
    if ($$ == $owner) { kill 'KILL', $_ foreach @children; waitpid $_, 0 foreach @children }
}

# A name server for what is started at the ends of these names from now on. It answers when this returns.
sub new {
    my ($class, $network, @ends) = @_;
    my $self = bless { file => PostgreSQL::Test::Utils::tempdir('names') . '/names', names => {} }, $class;
    $self->tell;
    my @sockets;
    foreach my $end (@ends) {
        push @sockets, in_namespace($network->namespace($end),
            sub { IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1', LocalPort => 53) })
          // croak "port 53 of $end: $!";
        $network->set_resolv_conf($end, "nameserver 127.0.0.1\n");
    }
    my $pid = fork // croak "fork: $!";
    if ($pid == 0) {
        $SIG{$_} = 'DEFAULT' foreach qw(INT TERM HUP);
        eval { $self->serve(@sockets); 1 } or print STDERR "name server: $@";
        POSIX::_exit(1);
    }
    push @children, $pid;
    return $self;
}

# Changes what it says: name => address, name => 'hang', name => undef (it does not exist).
sub tell {
    my ($self, %names) = @_;
    %{ $self->{names} } = (%{ $self->{names} }, %names);
    open my $file, '>', "$self->{file}.new" or croak "$self->{file}.new: $!";
    foreach my $name (sort keys %{ $self->{names} }) {
        print $file "$name $self->{names}{$name}\n" if defined $self->{names}{$name};
    }
    close $file or croak "$self->{file}.new: $!";
    rename "$self->{file}.new", $self->{file} or croak "$self->{file}: $!";
    return;
}

# ---- in its own process --------------------------------------------------------------------------------------------

sub serve {
    my ($self, @sockets) = @_;
    my $select = IO::Select->new(@sockets);
    while (getppid == $owner) {
        foreach my $socket ($select->can_read(1)) {
            my $from   = recv($socket, my $query, 4096, 0) // next;
            my $answer = $self->answer_to($query) // next;
            send $socket, $answer, 0, $from;
        }
    }
    return;
}

sub names {
    my ($self) = @_;
    open my $file, '<', $self->{file} or die "$self->{file}: $!";
    return map { split } <$file>;
}

# One message of RFC 1035 for another; undef to hang.
sub answer_to {
    my ($self,   $query) = @_;
    my ($number, $rest)  = unpack 'n x10 a*', $query;
    my ($question, @labels) = ('');
    while (1) {
        my $length = unpack('C', $rest) // return;
        $question .= substr $rest, 0, 1 + $length, '';
        last if $length == 0;
        push @labels, substr $question, -$length;
    }
    $question .= substr $rest, 0, 4, '';
    my $type    = unpack 'n', substr $question, -4;
    my %names   = $self->names;
    my $told    = $names{ lc join '.', @labels };
    return if defined $told && $told eq 'hang';
    my $records = defined $told && $type == $a_record ? 1 : 0;
    my $flags   = 0x8180 | (defined $told ? $no_error : $no_such_name);
    my $answer  = pack('n6', $number, $flags, 1, $records, 0, 0) . $question;
    # the name is the one at offset 12; class IN, may be kept for an hour
    $answer .= pack 'n n n N n a4', 0xC00C, $a_record, 1, 3600, 4, pack 'C4', split /\./, $told if $records;
    return $answer;
}

1;
