# Watches, look by look, how old the last successful probe of hosts is to nodes that poll them: the age is what the
# asked server itself makes of its own clock. What made a host sick that is not watched here is the test's matter.
package PgNet::Freshness;

use strict;
use warnings;

use Carp;
use PgNet;
use PgStatus;
use Test::More;
use Time::HiRes qw(time usleep);

# Each watch: [node, names of the hosts that it should always know].
sub new {
    my ($class, @watches) = @_;
    return bless { watches => \@watches, looks => 0, oldest => {}, wrong => {} }, $class;
}

# Looks about every 100 ms until $done->() is true.
sub watch {
    my ($self, $what, $done) = @_;
    my $deadline = time + 300;
    until ($done->()) {
        croak "timed out waiting for: $what" if time > $deadline;
        my $next = time + 0.1;
        $self->look(@$_) foreach @{ $self->{watches} };
        $self->{looks}++;
        my $left = $next - time;
        usleep($left * 1e6) if $left > 0;
    }
    return;
}

sub look {
    my ($self, $node, @hosts) = @_;
    my $names = join ', ', map { "'$_'" } @hosts;
    my $name  = $node->name;
    my @rows  = split /\n/,
      sql($node, 'SELECT host, state, extract(epoch FROM clock_timestamp() - last_success) FROM pg_status_hosts()'
          . " WHERE host IN ($names)");
    $self->{wrong}{"$name shows " . @rows . ' hosts'}++ if @rows != @hosts;
    foreach (@rows) {
        my ($host, $state, $age) = split /\|/;
        my $oldest = \$self->{oldest}{"$host, seen by $name"};
        $$oldest = $age if $age > ($$oldest // -1);
        $self->{wrong}{"$host is $state for $name"}++ if $state ne 'up';
    }
    return;
}

# The worst age that was seen, in seconds.
sub oldest {
    my ($self) = @_;
    my ($worst) = sort { $b <=> $a } values %{ $self->{oldest} };
    return $worst;
}

# Tests: every host was up at each look, and never older than $limit seconds.
sub judge {
    my ($self, $limit) = @_;
    my $oldest = $self->{oldest};
    is_deeply($self->{wrong}, {}, "every healthy host was up at each of $self->{looks} looks");
    foreach my $whose (sort keys %$oldest) {
        cmp_ok($oldest->{$whose}, '<=', $limit, "$whose was never older than $limit s");
    }
    my ($worst) = sort { $oldest->{$b} <=> $oldest->{$a} } keys %$oldest;
    diag(sprintf 'oldest last_success of %d looks: %.3f s (%s)', $self->{looks}, $oldest->{$worst}, $worst);
    return;
}

1;
