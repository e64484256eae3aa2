# A history as a text that repeats it, and back: which servers there are, what pg_status is told of them, and one line
# for each act. It does nothing, and knows of each act only how it is written.
#
#   server NAME primary                 the first one
#   server NAME standby UPSTREAM        with more words: no_pg_status, no_vote
#   list NAME...                        pg_status.hosts at the beginning
#   fence on                            or off
#   then acts, one on a line; see PgStatus::Histories::Cluster
package PgStatus::Histories::Script;

use strict;
use warnings;

use Carp;
use Exporter 'import';

our @EXPORT = qw(script_text parse_script);

# A history: { servers => [ { name, upstream (undef: the primary), pg_status, vote } ], list => [names],
# fence => 0 or 1, acts => [ [word, ...] ] }.
sub script_text {
    my ($history) = @_;
    my @lines;
    foreach my $server (@{ $history->{servers} }) {
        push @lines, join ' ', 'server', $server->{name},
          defined $server->{upstream} ? ('standby', $server->{upstream}) : 'primary',
          $server->{pg_status} ? () : 'no_pg_status', $server->{vote} ? () : 'no_vote';
    }
    push @lines, join ' ', 'list', @{ $history->{list} };
    push @lines, 'fence ' . ($history->{fence} ? 'on' : 'off');
    push @lines, map { join ' ', @$_ } @{ $history->{acts} };
    return join '', map { "$_\n" } @lines;
}

sub parse_script {
    my ($text) = @_;
    my %history = (servers => [], fence => 0, acts => []);
    foreach my $line (split /\n/, $text) {
        $line =~ s/#.*//;
        my ($word, @more) = split ' ', $line;
        next unless defined $word;
        if ($word eq 'server') {
            my ($name, $role, @rest) = @more;
            my $upstream = $role eq 'standby' ? shift @rest : undef;
            my %said = map { $_ => 1 } @rest;
            push @{ $history{servers} }, {
                name      => $name,
                upstream  => $upstream,
                pg_status => $said{no_pg_status} ? 0 : 1,
                vote      => $said{no_vote}      ? 0 : 1
            };
        } elsif ($word eq 'list' && !$history{list}) {
            $history{list} = \@more;
        } elsif ($word eq 'fence') {
            $history{fence} = $more[0] eq 'on' ? 1 : 0;
        } else {
            push @{ $history{acts} }, [ $word, @more ];
        }
    }
    croak 'this is no history: no servers, or no list' unless @{ $history{servers} } && $history{list};
    return \%history;
}

1;
