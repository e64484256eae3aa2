# Whom each node names as the primary, by SQL and by the discovery port, from the start of such a watch until its end:
# nobody asks only now and then, so "never named" means in none of many thousand answers. Who should be named is the
# test's matter.
package PgStatus::Named;

use strict;
use warnings;

use PgStatus;
use PgStatus::Http;
use PgStatus::Watch;
use Test::More;

# Between two questions of each watcher, in microseconds.
my $rest = 10_000;

# Begins; returns when each watcher has an answer.
sub new {
    my ($class, @nodes) = @_;
    my %watch;
    foreach my $node (@nodes) {
        my $name = $node->name;
        $watch{$name} = {
            SQL  => watch_sql($node, 'SELECT pg_status_master()', $rest),
            HTTP => watch_master(discovery_port($node), $rest)
        };
    }
    my %said = ('' => 'nobody', gone => 'gone', 503 => 'unready', map { name_of($_) => $_->name } @nodes);
    my $self = bless { watch => \%watch, said => \%said, names => [ map { $_->name } @nodes ] }, $class;
    $self->seen(now());
    return $self;
}

sub end {
    my ($self) = @_;
    foreach my $of (values %{ $self->{watch} }) { $_->leave foreach values %$of }
    return;
}

# All answers from $since on, the one of that moment included: [seconds since then, node, SQL or HTTP, answer] each, in
# the order of their times. An answer: the name of a node, 'nobody', 'gone' without a server, 'unready' when it does not
# know yet, or the text itself.
sub seen {
    my ($self, $since) = @_;
    my @seen;
    foreach my $name (@{ $self->{names} }) {
        foreach my $way (qw(SQL HTTP)) {
            push @seen, map { [ $_->[0] - $since, $name, $way, $self->{said}{ $_->[1] } // $_->[1] ] }
              $self->{watch}{$name}{$way}->changes_since($since);
        }
    }
    return sort { $a->[0] <=> $b->[0] } @seen;
}

# A test: from $since on the nodes @$on have answered nothing but what is in @$allowed (words as above).
sub only {
    my ($self, $what, $since, $on, $allowed) = @_;
    my %is_asked = map { $_->name => 1 } @$on;
    my %is_right = map { (ref $_ ? $_->name : $_) => 1 } @$allowed;
    my @wrong    = grep { $is_asked{ $_->[1] } && !$is_right{ $_->[3] } } $self->seen($since);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is_deeply([ map { sprintf '%+.3f s: %s, %s: %s', @$_ } @wrong ], [], $what);
}

# A test: from $since on no node has named one of @$whom.
sub never {
    my ($self, $what, $since, @whom) = @_;
    my %is_wrong = map { $_->name => 1 } @whom;
    my @wrong    = grep { $is_wrong{ $_->[3] } } $self->seen($since);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is_deeply([ map { sprintf '%+.3f s: %s, %s: %s', @$_ } @wrong ], [], $what);
}

# Tests: each of the nodes @$on names $whom, by SQL and HTTP, soon. Returns when that was so.
sub soon {
    my ($self, $whom, @on) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    soon_is('named by ' . join(' and ', map { $_->name } @on) . ': ' . $whom->name, 1,
        sub { !grep { $_ ne name_of($whom) } map { $self->last_of($_) } @on });
    return now();
}

sub last_of {
    my ($self, $node) = @_;
    return map { ($_->changes)[-1][1] } values %{ $self->{watch}{ $node->name } };
}

1;
