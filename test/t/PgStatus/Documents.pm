# The documents of the tree as text, and what they are held against: the metrics that servers give. It knows how
# Markdown is written, and nothing of what a document says.
package PgStatus::Documents;

use strict;
use warnings;

use Carp;
use Exporter 'import';
use File::Basename;
use PgStatus;
use PgStatus::Http;

our @EXPORT = qw(document exists_in_tree anchors_of links_of blocks_of sections_of families_of);

my $top = dirname(__FILE__) . '/../../..';

# A file of the tree, by its path from the top.
sub document { return read_from("$top/$_[0]", 0) }

# Without blocks of code, in which a # begins a comment.
sub prose { return $_[0] =~ s/^ *```.*?^ *```$//msgr }

# What a text has as headings, as the ends of links to them.
sub anchors_of {
    my ($text) = @_;
    return map { s/[^\w\- ]//gr =~ tr/ /-/r } map { lc } prose($text) =~ /^#+ (.*)$/mg;
}

# The places within the tree that a document links to: [path from the top, anchor or ''] each.
sub links_of {
    my ($path) = @_;
    my @links;
    foreach my $link (prose(document($path)) =~ /\]\(([^)\s]+)\)/g) {
        next if $link =~ /^\w+:/;
        my ($file, $anchor) = $link =~ /\A([^#]*)#?(.*)\z/;
        my $place = $file eq '' ? $path : (dirname($path) eq '.' ? '' : dirname($path) . '/') . $file;
        1 while $place =~ s{[^/]+/\.\./}{};
        push @links, [ $place, $anchor ];
    }
    return @links;
}

sub exists_in_tree { return -e "$top/$_[0]" }

# The blocks of code in a language ('': those that name none), without their indentation.
sub blocks_of {
    my ($text, $wanted) = @_;
    my @blocks;
    while ($text =~ /^( *)```(\w*)\n(.*?)^ *```$/msg) {
        my ($indentation, $language, $block) = ($1, $2, $3);
        push @blocks, $block =~ s/^$indentation//mgr if $language eq $wanted;
    }
    return @blocks;
}

# The sections under headings of the third level: [heading, text] each.
sub sections_of {
    my ($text) = @_;
    my @sections;
    foreach my $part (split /^(?=##+ )/m, $text) {
        push @sections, [ $1, $2 ] if $part =~ /\A### ([^\n]*)\n(.*)\z/s;
    }
    return @sections;
}

# Metric families of all these nodes together, by name: { name, type, labels (sorted names) }. What only a primary has,
# and what only a standby has, is among them.
sub families_of {
    my (@nodes) = @_;
    my (%family, %labels);
    foreach my $node (@nodes) {
        my ($status, $text) = check($node, '/metrics');
        croak $node->name . ": no metrics, but $status" unless $status == 200;
        my $family;
        foreach my $line (split /\n/, $text) {
            if ($line =~ /^# TYPE (\S+) (\S+)$/) {
                $family = $family{$1} //= { name => $1, type => $2 };
            }
            elsif ($line !~ /^#/) {
                my ($given) = $line =~ /^[^{ ]+\{(.*)\} /;
                $labels{ $family->{name} }{$_} = 1 foreach grep { $_ ne 'le' } ($given // '') =~ /(?:^|,)(\w+)="/g;
            }
        }
    }
    $_->{labels} = [ sort keys %{ $labels{ $_->{name} } // {} } ] foreach values %family;
    return map { $family{$_} } sort keys %family;
}

1;
