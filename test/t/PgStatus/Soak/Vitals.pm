# How the workers of the nodes are: their open files, their memory, what the servers' logs say of their end. It looks,
# and does nothing to them.
package PgStatus::Soak::Vitals;

use strict;
use warnings;

use Exporter 'import';
use PgStatus;

our @EXPORT = qw(worker_files worker_memory median quarters log_trouble pg_status_pids);

# What a process has open, as a sorted list: sockets as 'socket', its server's log as 'log', other files by their path.
sub worker_files {
    my ($pid) = @_;
    return sort map { s/:\[\d+\]//r =~ s{\A/.*\.log\z}{log}r } grep { defined } map { readlink } glob "/proc/$pid/fd/*";
}

# Its memory in kB: { rss, private }; undef when it is gone.
sub worker_memory {
    my ($pid) = @_;
    my $text = eval { read_from("/proc/$pid/smaps_rollup", 0) } // return undef;
    my ($rss) = $text =~ /^Rss:\s+(\d+)/m or return undef;
    my $private = 0;
    $private += $_ foreach $text =~ /^Private_(?:Clean|Dirty):\s+(\d+)/mg;
    return { rss => $rss, private => $private };
}

sub median {
    my @sorted = sort { $a <=> $b } @_;
    return @sorted ? ($sorted[ $#sorted / 2 ] + $sorted[ @sorted / 2 ]) / 2 : undef;
}

# The medians of the first to the fourth quarter of a series.
sub quarters {
    my @series = @_;
    return map { median(@series[ int($_ * @series / 4) .. int(($_ + 1) * @series / 4) - 1 ]) } 0 .. 3;
}

# The lines of a server's log that nothing explains. $ended: the processes that we have ended, as keys.
#
# Workers end with code 1, so each shutdown has a line of them; and a child whose own end was ours is no news.
sub log_trouble {
    my ($node, $ended) = @_;
    my (@trouble, $stopping);
    foreach (log_lines($node, 0)) {
        $stopping = 1 if /postmaster LOG:  received (?:smart|fast|immediate) shutdown request/;
        $stopping = 0 if /postmaster LOG:  starting PostgreSQL/;
        if (/PANIC:|TRAP:|AddressSanitizer|pg_status worker (?:cannot go on|was stuck)/) {
            push @trouble, $_;
        } elsif (/\(PID (\d+)\) was terminated by signal/) {
            push @trouble, $_ unless $ended->{$1};
        } elsif (/\(PID (\d+)\) exited with exit code/) {
            my $pid = $1;
            push @trouble, $_ unless $ended->{$pid} || $stopping && /background worker .* exited with exit code 1$/;
        } elsif (/\] pg_status \w+ (?:FATAL|ERROR|PANIC):/) {
            push @trouble, $_;
        }
    }
    return @trouble;
}

1;
