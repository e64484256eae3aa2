# What the nodes may answer at the moment: written by the one who does things to them before it does them, read by the
# clients before and after each question. So a client can tell a wrong answer from one that the event of the moment
# explains. It knows what each answer means, and nothing of why it is allowed.
#
# A promise is a hash:
#   number   grows with each promise
#   quiet    true: clients let go of their connections and wait
#   named    whom anybody may name as the primary: a list of hosts' names, '' for nobody
#   picked   whom anybody may name as a standby to read from, likewise
#   split    whether a split brain may be told ('may'), must be ('must'), or neither ('')
#   nodes    node name -> { roles    'primary', 'standby': what it may say that it is
#                           passing  true: it may also say that it is starting or stopping
#                           absent   true: it may refuse, break off, or be silent
#                           unready  true: it may say that it does not know, or name nobody }
package PgStatus::Soak::Promise;

use strict;
use warnings;

use Carp;
use Exporter 'import';
use JSON::PP;
use PgStatus;

our @EXPORT = qw(write_promise read_promise both_promises is_kept);

my $json = JSON::PP->new->canonical;

# Readers see the old one or the new one, never a part.
sub write_promise {
    my ($path, $promise) = @_;
    open my $file, '>', "$path.new" or croak "could not write $path.new: $!";
    print $file $json->encode($promise);
    close $file;
    rename "$path.new", $path or croak "could not rename $path.new: $!";
    return;
}

my ($last_text, $last_promise) = ('');

sub read_promise {
    my $text = read_from($_[0], 0);
    ($last_text, $last_promise) = ($text, $json->decode($text)) if $text ne $last_text;
    return $last_promise;
}

# What was allowed at some time while a question was on its way; undef: too much has changed meanwhile.
sub both_promises {
    my ($before, $after) = @_;
    return $after if $before->{number} == $after->{number};
    return undef  if $before->{number} + 1 != $after->{number};
    my %both = (quiet => 0, split => 'may', nodes => {});
    $both{$_} = [ @{ $before->{$_} }, @{ $after->{$_} } ] foreach qw(named picked);
    foreach my $name (keys %{ $after->{nodes} }) {
        my ($old, $new) = map { $_->{nodes}{$name} } $before, $after;
        $both{nodes}{$name} = { map { $_ => $old->{$_} || $new->{$_} } qw(passing absent unready) };
        $both{nodes}{$name}{roles} = [ @{ $old->{roles} }, @{ $new->{roles} } ];
    }
    return \%both;
}

sub has { my ($list, $wanted) = @_; return grep { $_ eq $wanted } @$list }

# Whether an answer to a question ($kind) is allowed. 'absent' is the answer of a node that gave none.
sub is_kept {
    my ($promise, $node, $kind, $answer) = @_;
    my $may = $promise->{nodes}{$node};
    return $may->{absent} if $answer eq 'absent';
    if ($kind eq 'raw') {
        return $may->{passing} if $answer =~ /\AST(?:ARTING|OPPING)\z/;
        return has($may->{roles}, $answer eq 'MASTER' ? 'primary' : $answer eq 'STANDBY' ? 'standby' : 'nothing');
    }
    if ($kind eq 'primary' || $kind eq 'replica') {    # the check port's codes
        my ($yes, $no) = $kind eq 'primary' ? qw(primary standby) : qw(standby primary);
        return has($may->{roles}, $yes) if $answer eq '200';
        return $answer eq '503' && ($may->{passing} || has($may->{roles}, $no));
    }
    if ($kind eq 'agent') {                             # asked whether it is a primary
        return has($may->{roles}, 'primary') if $answer =~ /\Aup /;
        return $answer =~ /\A(?:down|stopped) / && ($may->{passing} || has($may->{roles}, 'standby'));
    }
    if ($kind eq 'split') {
        return $may->{unready} || $promise->{split} ne 'must' if $answer eq 'f';
        return $may->{unready} || $promise->{split} ne '' if $answer eq 't';
        return $may->{unready};
    }
    my $hosts = $kind eq 'pick' ? $promise->{picked} : $promise->{named};    # a host's name
    return $may->{unready} if $answer eq 'unready';
    return $may->{unready} || has($hosts, '') if $answer eq '';
    return has($hosts, $answer);
}

1;
