# The clients of a soak: they ask all ports of all nodes and SQL all the time, over new and over kept connections, and
# hold each answer against the promise of the moment; others vanish, never read, or say half of what they want; one
# writes. They do nothing to the nodes, and do not know what is done to them.
package PgStatus::Soak::Load;

use strict;
use warnings;

use Exporter 'import';
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use List::Util qw(shuffle);
use PgStatus;
use PgStatus::Child;
use PgStatus::Clients;
use PgStatus::Http;
use PgStatus::Session;
use PgStatus::Soak::Promise;
use Time::HiRes qw(time usleep);

our @EXPORT = qw(start_load);

# Between two questions of one client, in microseconds.
my ($rest, $sql_rest, $write_rest) = (10_000, 50_000, 20_000);

# A node that is frozen answers when it goes on; beyond this it counts as one that does not answer.
my $patience = 20;

my $many = 12;    # of each sort of bad clients, for each node

# Starts all clients of these nodes; the promises are read from a file.
sub start_load {
    my ($promise_path, @nodes) = @_;
    my $self = bless { nodes => \@nodes, children => [], crowds => [], counts => {}, wrong => [] }, __PACKAGE__;
    foreach my $node (@nodes) {
        # before the fork, so that all know the same numbers
        my %port = (raw => raw_port($node), discovery => discovery_port($node), check => check_port($node));
        $self->add(sub { ask_ports($_[0], $promise_path, $node->name, \%port) });
        $self->add(sub { ask_sql($_[0], $promise_path, $node) });
    }
    my $any = sprintf 'host=%s port=%s dbname=postgres target_session_attrs=read-write connect_timeout=2',
      join(',', map { $_->host } @nodes), join(',', map { $_->port } @nodes);
    $self->add(sub { write_rows($_[0], $promise_path, $any) });
    $self->come;
    return $self;
}

sub add {
    my ($self, $work) = @_;
    my ($pid, $read) = start_child($work);
    push @{ $self->{children} }, { pid => $pid, read => $read, text => '' };
    return;
}

# The bad clients come; and go, all at once.
sub come {
    my ($self) = @_;
    foreach my $node (@{ $self->{nodes} }) {
        push @{ $self->{crowds} },
          crowd(port => raw_port($node), count => $many, say => 'x', reset => 1, again => 1),
          crowd(port => discovery_port($node), count => $many, say => "GET /hosts HTTP/1.1\r\nHost: x\r\n\r\n",
            endless => 1, deaf => 1, again => 1),
          crowd(port => check_port($node), count => $many, say => "GET /metrics HTTP/1.1\r\nHo", pace => 10,
            again => 1);
    }
    return;
}

sub go {
    my ($self) = @_;
    foreach my $crowd (@{ $self->{crowds} }) {
        $self->{counts}{'bad clients that ended'} += $crowd->ended;
        $crowd->leave;
    }
    $self->{crowds} = [];
    return;
}

# Hears what the clients have to tell. To be called every few seconds: a client whose pipe is full stands still.
sub hear {
    my ($self) = @_;
    foreach my $child (@{ $self->{children} }) {
        while (sysread $child->{read}, $child->{text}, 65536, length $child->{text}) { }
        while ($child->{text} =~ s/\A(.*)\n//) {
            my $told = decode_json($1);
            $self->{counts}{$_} += $told->{counts}{$_} foreach keys %{ $told->{counts} };
            push @{ $self->{wrong} }, @{ $told->{wrong} };
        }
    }
    $_->tally foreach @{ $self->{crowds} };
    return;
}

# What was answered until now: kind of client -> number of answers, beside 'no answer', 'not judged', 'rows written',
# 'bad clients that ended'; and the texts of the wrong answers.
sub counts { my ($self) = @_; $self->hear; return $self->{counts} }
sub wrong  { my ($self) = @_; $self->hear; return @{ $self->{wrong} } }

# All clients are alive: one that died would leave its port unwatched.
sub dead_clients {
    my ($self) = @_;
    return grep { !kill(0, $_->{pid}) || read_from("/proc/$_->{pid}/stat", 0) =~ /\) Z / } @{ $self->{children} };
}

sub stop {
    my ($self) = @_;
    $self->go;
    end_child(map { $_->{pid} } @{ $self->{children} });
    return;
}

# ---- in the processes of the clients -------------------------------------------------------------------------------

my %news    = (counts => {}, wrong => []);    # what was not told yet
my $told_at = 0;

sub report {
    my ($pipe) = @_;
    return if time < $told_at + 0.5;
    syswrite $pipe, encode_json(\%news) . "\n";
    %news    = (counts => {}, wrong => []);
    $told_at = time;
    return;
}

# Asks a question and judges the answer.
sub judge {
    my ($path, $node, $kind, $port, $ask) = @_;
    my $before  = read_promise($path);
    my $start   = time;
    my @answers = $ask->();
    my $after   = read_promise($path);
    my $promise = both_promises($before, $after);
    return judge_each($node, $kind, $port, $start, $promise, \@answers) if $promise;
    $news{counts}{'not judged'}++;
    return;
}

sub judge_each {
    my ($node, $kinds, $port, $start, $promise, $answers) = @_;
    my @kinds = ref $kinds ? @$kinds : ($kinds);
    @kinds = ($kinds[0]) if $answers->[0] eq 'absent';
    foreach my $i (0 .. $#kinds) {
        my $answer = $answers->[$i];
        $news{counts}{ $answer eq 'absent' ? 'no answer' : $port }++;
        next if is_kept($promise, $node, $kinds[$i], $answer);
        push @{ $news{wrong} }, sprintf '%s: %s, %s (%s): "%s" after %.3f s, allowed was %s', clock($start), $node,
          $kinds[$i], $port, $answer, time - $start,
          encode_json({ %$promise, nodes => { $node => $promise->{nodes}{$node} } });
    }
    return;
}

sub clock {
    my ($second, $minute, $hour) = gmtime $_[0];
    return sprintf '%02d:%02d:%06.3f', $hour, $minute, $second + $_[0] - int $_[0];
}

# undef when nobody listens there.
sub connection { return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $_[0], Timeout => $patience) }

# Sends bytes, returns all until the end; undef without an answer.
sub ask_once {
    my ($port, $bytes) = @_;
    my $socket = connection($port) or return undef;
    syswrite $socket, $bytes if $bytes ne '';
    my ($text, $deadline) = ('', time + $patience);
    while (time < $deadline) {
        next unless IO::Select->new($socket)->can_read(1);
        my $got = sysread $socket, $text, 65536, length $text;
        return undef if !defined $got || !$got && $text eq '';
        return $text unless $got;
    }
    return undef;
}

my $whole_answer = qr{\AHTTP/1\.1 (\d+) .*?\r\nContent-Length: (\d+)\r\n.*?\r\n\r\n(.*)\z}is;
my %kept;    # port -> connection

# The same over a connection that stays, for HTTP with one answer: (status, body), or nothing.
sub ask_kept {
    my ($port, $path) = @_;
    my $old    = delete $kept{$port};
    my $socket = $old // connection($port) // return;
    my ($text, $deadline) = ('', time + $patience);
    syswrite $socket, "GET $path HTTP/1.1\r\nHost: x\r\n\r\n" or return;
    while (time < $deadline) {
        if (my ($status, $size, $body) = $text =~ $whole_answer) {
            if (length $body == $size) {
                $kept{$port} = $socket;
                return ($status, $body);
            }
        }
        next unless IO::Select->new($socket)->can_read(1);
        sysread $socket, $text, 65536, length $text or return;
    }
    return;
}

sub http_once {
    my ($port, $path) = @_;
    my $text = ask_once($port, "GET $path HTTP/1.0\r\n\r\n") // return;
    return $text =~ $whole_answer ? ($1, $3) : (0, $text);
}

# A host's name, '' for none, 'unready' where the node does not know, 'absent', or the whole of another answer.
sub host_answer {
    my ($status, $body) = @_;
    return 'absent' unless defined $status;
    return $body if $status == 200;
    return ''    if $status == 404;
    return $status == 503 && $body =~ /not ready|stale/ ? 'unready' : "$status $body";
}

sub code_answer { return $_[0] // 'absent' }

sub line_answer {
    my ($text) = @_;
    return 'absent' unless defined $text;
    my ($line) = $text =~ /\A(.*)\n\z/ or return "no line: $text";
    return $line =~ /\Aerror (?:stale|not ready)/ ? 'unready' : $line;
}

# A kept connection that has just been let go is no answer of the node: asked anew at once. Only then is it absent.
sub kept_or_new { my ($port, $path) = @_; my @answer = ask_kept($port, $path); return @answer ? @answer : ask_kept(@_) }

sub ask_ports {
    my ($pipe, $path, $node, $port) = @_;
    my %asked = (
        'raw'                  => [ 'raw',     sub { line_answer(ask_once($port->{raw}, '')) } ],
        'raw, asked'           => [ 'raw',     sub { line_answer(ask_once($port->{raw}, "GET / HTTP/1.0\r\n\r\n")) } ],
        'check'                => [ 'primary', sub { code_answer(http_once($port->{check}, '/primary')) } ],
        'check, kept'          => [ 'replica', sub { code_answer(kept_or_new($port->{check}, '/replica')) } ],
        'discovery'            => [ 'pick',    sub { host_answer(http_once($port->{discovery}, '/replica')) } ],
        'discovery, kept'      => [ 'named',   sub { host_answer(kept_or_new($port->{discovery}, '/master')) } ],
        'discovery, line'      => [ 'named',   sub { line_answer(ask_once($port->{discovery}, "master\n")) } ],
        'agent'                => [ 'agent',   sub { line_answer(ask_once($port->{check}, "agent?role=primary\n")) } ],
    );
    while (has_parent()) {
        foreach my $how (shuffle keys %asked) {
            be_quiet($pipe, $path, sub { %kept = () });
            my ($kind, $ask) = @{ $asked{$how} };
            judge($path, $node, $kind, $how, $ask);
            usleep($rest);
        }
        report($pipe);
    }
    return;
}

sub be_quiet {
    my ($pipe, $path, $let_go) = @_;
    return unless read_promise($path)->{quiet};
    $let_go->();
    while (has_parent() && read_promise($path)->{quiet}) { report($pipe); usleep(20_000) }
    return;
}

sub ask_sql {
    my ($pipe, $path, $node) = @_;
    my $session;
    my $query = q{SELECT concat_ws('|', coalesce(pg_status_master(), ''), coalesce(pg_status_replica(), ''),
        coalesce(left(pg_status_is_split_brain()::text, 1), ''))};
    my $ask = sub {
        my $row = eval { ($session //= PgStatus::Session->new($node->connstr('postgres')))->query($query) };
        # psql tells of a lost connection in many words
        return split /\|/, $row, -1 if defined $row && $row =~ /\A[^|\n]*\|[^|\n]*\|[tf]?\z/;
        $session->close if $session;
        undef $session;
        return 'absent';
    };
    while (has_parent()) {
        be_quiet($pipe, $path, sub { });
        judge($path, $node->name, [qw(named pick split)], 'SQL', $ask);
        report($pipe);
        usleep($sql_rest);
    }
    return;
}

# Rows go to whoever takes writes.
sub write_rows {
    my ($pipe, $path, $connstr) = @_;
    my $session;
    while (has_parent()) {
        be_quiet($pipe, $path, sub { });
        my $done = eval {
            $session //= PgStatus::Session->new($connstr);
            $session->query(q{INSERT INTO soak SELECT i, repeat('x', 200) FROM generate_series(1, 5) i});
            1;
        };
        if ($done) {
            $news{counts}{'rows written'} += 5;
        } elsif ($session) {
            $session->close;
            undef $session;
        }
        report($pipe);
        usleep($write_rest);
    }
    return;
}

1;
