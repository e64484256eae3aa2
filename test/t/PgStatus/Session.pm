# A session that stays open: psql behind two pipes, so that many queries run on one connection without a process for
# each. It knows nothing of pg_status, nor of what is asked.
package PgStatus::Session;

use strict;
use warnings;

use Carp;
use IO::Select;
use IPC::Open3;
use Time::HiRes qw(time);

# Deadline of every answer, in seconds, unless a session has its own.
my $usual_patience = $ENV{PG_TEST_TIMEOUT_DEFAULT} || 60;

sub new {
    my ($class, $connstr, $patience) = @_;
    my $pid = open3(my $in, my $out, undef, 'psql', '-XAtq', '-d', $connstr, '-f', '-');
    my $self = bless { in => $in, out => $out, pid => $pid, count => 0, patience => $patience // $usual_patience }, $class;
    eval { $self->query('SELECT 1'); 1 } or do {
        my $why = $@;
        $self->drop;
        die $why;
    };
    return $self;
}

# Sends a query without waiting for its end.
sub send {
    my ($self, $query) = @_;
    local $SIG{PIPE} = 'IGNORE';
    $self->{count}++;
    syswrite $self->{in}, "$query\n;\n\\echo end-of-query-$self->{count}\n" or croak "session is gone: $!";
    return;
}

# Waits for the end of what was sent; returns its output, dies when there is an error in it.
sub receive {
    my ($self) = @_;
    my ($text, $mark, $deadline) = ('', "end-of-query-$self->{count}\n", time + $self->{patience});
    while ($text !~ s/(?:\A|(?<=\n))\Q$mark\E\z//) {
        croak "no answer in time; so far: $text" if time > $deadline;
        next unless IO::Select->new($self->{out})->can_read($self->{patience} < 1 ? $self->{patience} : 1);
        sysread $self->{out}, $text, 65536, length $text or croak "session ended: $text";
    }
    croak $text if $text =~ /^(?:psql:\S+ )?(?:ERROR|FATAL|PANIC):/m;
    return $text =~ s/\n\z//r;
}

sub query {
    my ($self, $query) = @_;
    $self->send($query);
    return $self->receive;
}

sub close {
    my ($self) = @_;
    # the end of the pipe alone tells psql nothing while another process of the test holds it open, too
    local $SIG{PIPE} = 'IGNORE';
    syswrite $self->{in}, "\\q\n";
    close $self->{in};
    close $self->{out};
    waitpid $self->{pid}, 0;
    return;
}

# Ends it without a word: of a server that does not answer, psql would wait.
sub drop {
    my ($self) = @_;
    kill 'KILL', $self->{pid};
    CORE::close($self->{$_}) foreach qw(in out);
    waitpid $self->{pid}, 0;
    return;
}

1;
