# What valgrind's memcheck says of servers that run under it: takes in the report of each process that has ended, knows
# which of them was a worker of pg_status and of which server, and what in a report is pg_status's. It starts and ends
# nothing.
#
# Under valgrind a process has no title: who is who is found in the servers' logs, which have to have log_line_prefix
# as configure_base() sets it and log_min_messages = debug3, so that each worker is named there when it starts. Numbers
# of processes come again, so reports are to be taken in every few seconds.
package PgStatus::Memcheck;

use strict;
use warnings;

use PgStatus;

# A line of a stack in pg_status: by a function's name, by the library or, where reports have paths, by the source.
my $rooms     = qr/postgres|base|config|probe|judge|publish|choose|answer|loop/;
my $our_frame = qr{^ +(?:at|by) 0x.*(?:\bpgst_|\bpg_status(?:::|_|\.so\b|\.c:)|\bsrc/(?:$rooms)/[^/]+:\d+\))}m;

# $folder: where the reports are, each named by the number of its process. The nodes need not run yet.
sub new {
    my ($class, $folder, @nodes) = @_;
    return bless { folder => $folder, nodes => \@nodes, read => {}, worker => {}, reports => [] }, $class;
}

# Takes in the reports of processes that have ended, and puts them aside.
sub hear {
    my ($self) = @_;
    my @ended = grep { has_ended($_) } map { m{/(\d+)\z} } glob "$self->{folder}/*";
    $self->read_logs;
    foreach my $pid (@ended) {
        my $path = "$self->{folder}/$pid";
        my $worker = delete $self->{worker}{$pid};
        push @{ $self->{reports} }, { pid => $pid, %{ $worker // {} }, %{ understand(read_from($path, 0)) } };
        rename $path, "$self->{folder}/heard-" . @{ $self->{reports} } . "-$pid" or die "$path: $!";
    }
    return;
}

sub has_ended { my $stat = eval { read_from("/proc/$_[0]/stat", 0) } // return 1; return $stat =~ /\) Z / }

# Who of the processes is a worker.
sub read_logs {
    my ($self) = @_;
    foreach my $node (@{ $self->{nodes} }) {
        next unless -e $node->logfile;
        my $text = read_from($node->logfile, $self->{read}{ $node->name } // 0) =~ s/[^\n]*\z//r;
        $self->{read}{ $node->name } += length $text;
        while ($text =~ /^\d\S+ \S+ \S+ \[(\d+)\] pg_status (\w+) [A-Z]+\d?: /mg) {
            $self->{worker}{$1} = { node => $node->name, kind => $2 };
        }
    }
    return;
}

# The process id of the worker of a node ('poller', 'listener') that runs now, or undef.
sub worker {
    my ($self, $node, $kind) = @_;
    $self->hear;
    my ($pid) = grep {
        my $worker = $self->{worker}{$_};
        $worker->{node} eq $node->name && $worker->{kind} eq $kind && -e "$self->{folder}/$_"
    } keys %{ $self->{worker} };
    return $pid;
}

# All reports until now, each a hash:
#   pid
#   node, kind   of a worker; else not there
#   ended        whether the report has an end; one who is killed leaves none
#   errors, lost how many errors, and how many bytes are lost, definitely or indirectly
#   died         the signal that a process died of by its own fault
#   ours         the errors and losses in which pg_status has a part, as texts
#   all          all of them, as texts
sub reports { my ($self) = @_; $self->hear; return @{ $self->{reports} } }

sub understand {
    my ($text) = @_;
    $text =~ s/^==\d+== ?//mg;
    my %report = (ended => 0, errors => 0, lost => 0, all => []);
    foreach my $part (split /\n\s*\n/, $text) {
        # an error has a stack, and so has the allocation of what is lost
        push @{ $report{all} }, $part if $part =~ /^ +at 0x/m;
    }
    $report{ours} = [ grep { $_ =~ $our_frame } @{ $report{all} } ];
    ($report{died}) = $text =~ /Process terminating with default action of signal \d+ \((SIG(?!TERM|QUIT|KILL)\w+)\)/;
    @report{qw(ended errors)} = (1, $1) if $text =~ /^ERROR SUMMARY: (\d+) errors/m;
    $report{lost} += $1 =~ s/,//gr while $text =~ /(?:definitely|indirectly) lost: ([\d,]+) bytes/g;
    return \%report;
}

1;
