# Processes that do something beside the test: each runs a function, holds nothing open that is the test's, and ends
# when the test does, however that ends. It knows nothing of what they do.
package PgStatus::Child;

use strict;
use warnings;

use Carp;
use Exporter 'import';
use IO::Handle;
use POSIX ();

our @EXPORT = qw(start_child end_child has_parent);

my %alive;     # process id -> 1
my $parent;    # in a child: who started it

END { local $?; end_child(keys %alive) }

# Runs $work in a process of its own; it gets the writing end of a pipe. Returns its process id, and the reading end,
# which does not block. @handles are those of the test's that the process keeps.
sub start_child {
    my ($work, @handles) = @_;
    pipe my $read, my $write or croak "pipe: $!";
    my $starter = $$;
    my $pid = fork // croak "fork: $!";
    if ($pid == 0) {
        $parent = $starter;
        keep_only(map { fileno $_ } $write, @handles);
        $SIG{$_} = 'DEFAULT' foreach qw(INT TERM HUP);
        $SIG{PIPE} = 'IGNORE';
        eval { $work->($write); 1 } or print STDERR "child: $@";
        # nothing of the test's is to be ended with this process
        POSIX::_exit(0);
    }
    $alive{$pid} = 1;
    close $write;
    $read->blocking(0);
    return ($pid, $read);
}

# A psql whose other end is held open here would never end. What was inherited becomes /dev/null and is not closed: perl
# still counts these numbers as taken, and would never close a file that got one of them anew.
sub keep_only {
    my %kept = map { $_ => 1 } @_;
    opendir my $folder, '/proc/self/fd' or croak "/proc/self/fd: $!";
    my @open = grep { /\A\d+\z/ && $_ > 2 && !$kept{$_} } readdir $folder;
    closedir $folder;
    my $null = POSIX::open('/dev/null', POSIX::O_RDWR()) // croak "/dev/null: $!";
    # the folder's own number is free already
    POSIX::dup2($null, $_) foreach grep { -e "/proc/self/fd/$_" && $_ != $null } @open;
    POSIX::close($null);
    return;
}

# In a child: whether to go on.
sub has_parent { return getppid == $parent }

sub end_child {
    kill 'KILL', @_;
    foreach my $pid (@_) {
        waitpid $pid, 0;
        delete $alive{$pid};
    }
    return;
}

1;
