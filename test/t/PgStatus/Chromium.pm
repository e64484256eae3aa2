# A Chromium without a window as a process, and its DevTools protocol: JSON messages, each ended by a NUL byte, through
# the file descriptors 3 and 4. A class on top of this one makes a browser of it: it takes the events in take_event().
package PgStatus::Chromium;

use strict;
use warnings;

use Carp;
use Fcntl 'F_DUPFD';
use File::Path;
use File::Temp;
use IO::Handle;
use IO::Poll qw(POLLHUP POLLIN);
use IO::Select;
use JSON::PP;
use List::Util 'max';
use PgStatus::Child;
use POSIX ();
use Socket;
use Time::HiRes 'time';

# Deadline of every call, in seconds. An idle machine takes a second to start the browser, and much less for the rest.
our $patience = $ENV{PG_TEST_TIMEOUT_DEFAULT} || 60;

# Where Debian has the program itself. What stands in the PATH is a script that adds the settings of the machine.
my @places = ('/usr/lib/chromium/chromium', map { "$_/chromium" } split /:/, $ENV{PATH});

my @flags = (
    qw(--headless=new --remote-debugging-pipe --no-startup-window --disable-gpu --lang=en-US),
    '--force-color-profile=srgb',
    # Its sandbox needs user namespaces, which containers do not have, or root. It opens our own page only.
    '--no-sandbox',
    # /dev/shm is 64 MB in containers.
    '--disable-dev-shm-usage',
    # It talks to nobody but this machine, whatever a page or the environment says, and leaves no reports.
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.*, EXCLUDE [::1]',
    qw(--no-proxy-server --disable-background-networking --disable-component-update --disable-domain-reliability),
    qw(--disable-sync --disable-extensions --disable-default-apps --disable-client-side-phishing-detection --no-pings),
    qw(--disable-breakpad --metrics-recording-only --no-first-run --no-default-browser-check --password-store=basic),
    '--disable-search-engine-choice-screen',
    # A page without a window is not less important, and frames of others are watched like the page itself.
    qw(--disable-background-timer-throttling --disable-renderer-backgrounding --disable-backgrounding-occluded-windows),
    '--disable-features=Translate,OptimizationHints,MediaRouter,IsolateOrigins,site-per-process');

my %running;    # process id of a keeper -> its browser
END { local ($?, $@); eval { $_->quit; 1 } or print STDERR $@ foreach values %running }

# Why there can be no browser here; '' when there can. (test/setup installs it.)
sub what_is_missing { return (grep { -x } @places) ? '' : 'chromium is not installed' }

# ---- the process ---------------------------------------------------------------------------------------------------

# Starts a Chromium with one empty page; dies where there is none, or when it does not start.
sub start {
    my ($class) = @_;
    croak what_is_missing() if what_is_missing();
    my $folder = File::Temp::tempdir('browserXXXXXX', TMPDIR => 1);    # a socket's path must be short
    socketpair my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC or croak "socketpair: $!";
    my ($pid, $errors) = start_child(sub { keep_browser($folder, $theirs, $_[0]) }, $theirs);
    close $theirs;
    $ours->blocking(0);
    my $self = bless {
        pid => $pid, socket => $ours, errors => $errors, said => '', in => '', out => '', last_id => 0, answer => {},
        json => JSON::PP->new->utf8
    }, $class;
    $running{$pid} = $self;
    my $target = $self->ask('Target.createTarget', url => 'about:blank');
    $self->{session} =
      $self->ask('Target.attachToTarget', targetId => $target->{targetId}, flatten => JSON::PP::true)->{sessionId};
    return $self;
}

# In a process of its own: runs the browser until it ends or the test hangs up, however the test ends; then nothing is
# left of it, neither processes nor the folder with all that it writes.
sub keep_browser {
    my ($folder, $socket, $errors) = @_;
    $SIG{$_} = 'IGNORE' foreach qw(INT TERM HUP);    # they would leave the browser alone; the test ends by them, too
    pipe my $gone, my $alive or croak "pipe: $!";     # its output: it has ended when all of its processes have
    my $pid = fork // croak "fork: $!";
    if ($pid == 0) {
        $SIG{$_} = 'DEFAULT' foreach qw(INT TERM HUP);
        setpgrp 0, 0;
        my ($path, $zone) = @ENV{qw(PATH TZ)};
        %ENV = (PATH => $path, HOME => $folder, TMPDIR => $folder, LC_ALL => 'C.UTF-8', TZ => $zone // 'UTC');
        $ENV{"DBUS_${_}_BUS_ADDRESS"} = 'disabled:' foreach qw(SESSION SYSTEM);
        open STDIN, '<', '/dev/null';
        # 3 and 4 may be in use, and by what is to go there
        my @from = map { fcntl $_, F_DUPFD, 10 } $alive, $errors, $socket, $socket;
        POSIX::dup2($from[ $_ - 1 ], $_) foreach 1 .. 4;
        POSIX::close($_) foreach @from;
        exec { (grep { -x } @places)[0] } 'chromium', @flags, "--user-data-dir=$folder/profile" or POSIX::_exit(127);
    }
    setpgrp $pid, $pid;    # whoever of the two is first
    close $alive;
    my $poll = IO::Poll->new;
    $poll->mask($socket => POLLHUP);
    $poll->mask($gone => POLLIN);
    # another process of the test may hold the socket when the test has ended
    while (has_parent() && !$poll->events($socket)) {
        last if $poll->events($gone) && !sysread $gone, my $text, 65536;
        $poll->poll(1);
    }
    kill 'KILL', -$pid;
    1 while sysread $gone, my $text, 65536;
    waitpid $pid, 0;
    rmtree($folder);
    return;
}

# Ends the browser; returns when nothing is left of it. It may have ended before.
sub quit {
    my ($self) = @_;
    return unless delete $running{ $self->{pid} };
    shutdown $self->{socket}, 2;
    my $deadline = time + $patience;
    my $ended = 0;
    while (!$ended && time < $deadline) {
        IO::Select->new($self->{errors})->can_read(1) or next;
        $ended = !sysread $self->{errors}, $self->{said}, 4096, length $self->{said};
    }
    end_child($self->{pid});
    croak 'the browser does not end' unless $ended;
    return;
}

# ---- the protocol --------------------------------------------------------------------------------------------------

# Whether it can still be asked.
sub is_running { return $running{ $_[0]{pid} } }

# Dies with what the browser said last, and ends it.
sub give_up {
    my ($self, $why) = @_;
    eval { $self->quit };
    my @lines = grep { !m{ERROR:dbus/} } split /\n/, $self->{said};    # that there is no bus is meant
    splice @lines, 0, -10 if @lines > 10;
    croak join "\n", "browser: $why; its last words:", @lines, '';
}

# Sends a command to a session, or to the browser where that is undef; returns its number.
sub post {
    my ($self, $session, $method, %params) = @_;
    my %message = (id => ++$self->{last_id}, method => $method, params => \%params);
    $message{sessionId} = $session if defined $session;
    $self->{out} .= $self->{json}->encode(\%message) . "\0";
    return $self->{last_id};
}

# A command to the page; returns its result, and dies with the browser's words when it refuses.
sub ask {
    my ($self, $method, %params) = @_;
    my $id = $self->post($self->{session}, $method, %params);
    $self->{answer}{$id} = undef;
    $self->wait_for_message("the answer to $method", sub { $self->{answer}{$id} });
    my $answer = delete $self->{answer}{$id};
    croak "$method: $answer->{error}{message}" if $answer->{error};
    return $answer->{result};
}

# Takes messages until $condition is true.
sub wait_for_message {
    my ($self, $what, $condition) = @_;
    croak 'the browser has ended' unless $self->is_running;
    my $deadline = time + $patience;
    local $SIG{PIPE} = 'IGNORE';
    until ($condition->()) {
        $self->give_up("timed out waiting for $what") if time > $deadline;
        my $writers = length $self->{out} ? IO::Select->new($self->{socket}) : undef;
        my ($readable, $writable) =
          IO::Select->select(IO::Select->new(@$self{qw(socket errors)}), $writers, undef, max(0, $deadline - time));
        if (@{ $writable // [] }) {
            my $count = syswrite $self->{socket}, $self->{out};
            substr $self->{out}, 0, $count // 0, '';
        }
        foreach my $handle (@{ $readable // [] }) {
            my $into = $handle == $self->{socket} ? \$self->{in} : \$self->{said};
            my $before = length $$into;
            my $count = sysread $handle, $$into, 1 << 20, $before;
            $self->give_up("ended before $what") if defined $count ? !$count : !$!{EAGAIN} && !$!{EINTR};
            $self->take_messages($before) if $handle == $self->{socket};
        }
    }
    return;
}

# Takes what is complete of the input; there is no end of a message before $from.
sub take_messages {
    my ($self, $from) = @_;
    my $start = 0;
    while ((my $end = index $self->{in}, "\0", max($from, $start)) >= 0) {
        my $message = $self->{json}->decode(substr $self->{in}, $start, $end - $start);
        $start = $end + 1;
        if (!$message->{id}) { $self->take_event(@$message{qw(method params)}, $message->{sessionId} // '') }
        elsif (exists $self->{answer}{ $message->{id} }) { $self->{answer}{ $message->{id} } = $message }
    }
    substr $self->{in}, 0, $start, '';
    return;
}

1;
