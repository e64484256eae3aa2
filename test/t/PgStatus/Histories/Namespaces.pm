# The place with a network: each server in a network namespace of its own, on the bridge of a PgNet::Network, whose faults
# leave everything else as it is: SQL goes through Unix-domain sockets, and what is asked with at() is asked inside.
#
# Namespaces need root, servers must not be root's, and whoever loads PostgreSQL's test library has to be the one who
# starts servers. So the process is the servers' user, and remembers that it was root: it is again for as long as it
# enters a namespace or makes a fault. What it executes remembers nothing. To be loaded before that library, so that the
# namespaces go after the servers.
package PgStatus::Histories::Namespaces;

use strict;
use warnings;
use parent 'PgStatus::Histories::Place';

use Carp;
use PgNet::Network qw(in_namespace system_call);

my $owner = $$;
my ($uid, $gid);    # of the servers' user, after step_down()

# Before PgNet::Network removes what it made.
END { local $?; become(0, 0) if $$ == $owner && defined $uid }

# This process becomes $user.
sub step_down {
    my ($user) = @_;
    ($uid, $gid) = (getpwnam $user)[ 2, 3 ] or croak "there is no user $user";
    $) = "$gid $gid";    # no other groups
    become($uid, $gid);
    return;
}

# Real and effective; the other one is saved, so that it can be had again, and so that a child can be ended by its parent
# also while it is root.
sub become {
    my ($new_uid, $new_gid) = @_;
    my @saved = $new_uid ? (0, 0) : ($uid, $gid);
    my @steps = ([ 'setresgid', $new_gid, $new_gid, $saved[1] ], [ 'setresuid', $new_uid, $new_uid, $saved[0] ]);
    foreach my $step ($new_uid ? @steps : reverse @steps) {
        system_call(@$step) or croak "could not become user $new_uid: $!";
    }
    return;
}

# Runs $code as somebody, then goes back to somebody else, however it ends.
sub between {
    my ($before, $after, $code) = @_;
    become(@$before);
    my @result = eval { wantarray ? $code->() : scalar $code->() };
    my $error  = $@;
    become(@$after);
    die $error if $error ne '';
    return wantarray ? @result : $result[0];
}

sub as_root { my ($code) = @_; return between([ 0, 0 ], [ $uid, $gid ], $code) }

# Ends for servers of these names.
sub new {
    my ($class, @names) = @_;
    my $self = bless {}, $class;
    as_root(sub {
        $self->{network} = PgNet::Network->new;
        $self->{network}->plug($_) foreach @names;
    });
    return $self;
}

sub has_network { return 1 }
sub address     { my ($self, $name) = @_; return $self->{network}->address($name) }
sub listens     { return '*' }

sub at {
    my ($self, $name, $code) = @_;
    my $namespace = $self->{network}->namespace($name);
    return as_root(sub {
        return in_namespace($namespace, sub { return between([ $uid, $gid ], [ 0, 0 ], $code) });
    });
}

# Faults, as in PgNet::Network.
sub cut     { my ($self, @fault) = @_; as_root(sub { $self->{network}->cut(@fault) });     return }
sub silence { my ($self, @fault) = @_; as_root(sub { $self->{network}->silence(@fault) }); return }
sub drop    { my ($self, @fault) = @_; as_root(sub { $self->{network}->drop(@fault) });    return }
sub heal    { my ($self) = @_;         as_root(sub { $self->{network}->heal });            return }

1;
