# What is said and what is true while a history runs, each with the time before the question and the time after the
# answer. Processes of their own ask every node at all its ports (answers), and every server over a session of their own,
# past pg_status (sights); one holds nodes to what they say of min_lsn (promises). They judge nothing.
#
# What a server's data are is told by its rows: each time that a server begins to be a primary it begins a branch, with a
# name of its own, and writes rows of this branch from then on. So the rows of a server tell whose writes it has, and how
# far, whatever the numbers of timelines say.
#
# Records are lines in files, fields separated by tabs:
#   answer  t0 t1 node question answer
#   sight   t0 t1 server recovery timeline start branch followers rows      nobody was let in: gone alone
#   birth   t1 server branch timeline rows forks       the rows that it began with; its timeline history as T@LSN,T@LSN
#   promise t0 t1 node form timeline lsn primary host found master-before master-after row's time
package PgStatus::Histories::Recorder;

use strict;
use warnings;

use Exporter 'import';
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use PgStatus;
use PgStatus::Child;
use PgStatus::Http;
use PgStatus::Session;
use Time::HiRes qw(clock_gettime usleep CLOCK_MONOTONIC);

our @EXPORT = qw(start_recorder);

my $round    = 0.1;    # seconds from one round of questions to the next
my $patience = 1.5;    # a server that is silent for longer is frozen

sub now { return clock_gettime(CLOCK_MONOTONIC) }

# Starts to ask the servers (name -> { node, pg_status }), each from inside of its $place (a Histories::Place); what they
# say goes to files in $folder.
sub start_recorder {
    my ($folder, $servers, $place) = @_;
    my $self = bless { children => [], files => [], names => { map { name_of($servers->{$_}{node}) => $_ } keys %$servers } },
      __PACKAGE__;
    $self->add("$folder/promises", sub { hold_to_promises($_[0], $servers, $place, $self->{names}) });
    foreach my $name (sort keys %$servers) {
        my $node = $servers->{$name}{node};
        $self->add("$folder/sights_$name", sub { look_at($_[0], $name, $node) });
        next unless $servers->{$name}{pg_status};
        my %door = map { $_->[0] => [ $place, $name, $_->[1] ] }
          ([ raw => raw_port($node) ], [ discovery => discovery_port($node) ], [ check => check_port($node) ]);
        $self->add("$folder/answers_$name", sub { ask_node($_[0], $name, \%door, $self->{names}) });
    }
    return $self;
}

sub add {
    my ($self, $path, $work) = @_;
    open my $file, '>', $path or die "could not write $path: $!\n";
    my ($pid, $read) = start_child(sub { $work->($file) }, $file);
    push @{ $self->{children} }, { pid => $pid, read => $read };
    push @{ $self->{files} }, $path;
    return;
}

# Waits until everybody has been asked once.
sub wait_for_all {
    my ($self) = @_;
    wait_for('the first answers', sub { !grep { -s $_ == 0 && !/promises/ } @{ $self->{files} } });
    return;
}

# Ends it; returns all records: { answer, sight, birth, promise }, lists of lists of fields without the first.
sub finish {
    my ($self) = @_;
    end_child(map { $_->{pid} } @{ $self->{children} });
    my %records = map { $_ => [] } qw(answer sight birth promise);
    foreach my $path (@{ $self->{files} }) {
        my $text = read_from($path, 0);
        $text =~ s/[^\n]*\z//;    # the last line may be a part of one
        foreach (split /\n/, $text) {
            my ($kind, @fields) = split /\t/, $_, -1;
            push @{ $records{$kind} }, \@fields;
        }
        unlink $path;
    }
    return \%records;
}

# ---- in the processes ----------------------------------------------------------------------------------------------

sub note { my ($file, @fields) = @_; syswrite $file, join("\t", @fields) . "\n"; return }

# Sends bytes to a door (place, server, port), returns all until the end of the connection; undef without an answer.
sub ask_port {
    my ($door, $bytes) = @_;
    my ($place, $name, $port) = @$door;
    my $socket = $place->at($name,
        sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => $patience) })
      or return undef;
    syswrite $socket, $bytes if $bytes ne '';
    my ($text, $deadline) = ('', now() + $patience);
    while ((my $left = $deadline - now()) > 0) {
        next unless IO::Select->new($socket)->can_read($left);
        my $got = sysread $socket, $text, 65536, length $text;
        return undef if !defined $got || !$got && $text eq '';
        return $text unless $got;
    }
    return undef;
}

# (status, body), or nothing.
sub get {
    my ($door, $path) = @_;
    my $text = ask_port($door, "GET $path HTTP/1.0\r\n\r\n") // return;
    return $text =~ m{\AHTTP/1\.1 (\d+) .*?\r\n\r\n(.*)\z}s ? ($1, $2) : (0, '');
}

# A server's name, 'nobody', 'absent', or the status of another answer.
sub host_of {
    my ($names, $status, $body) = @_;
    return 'absent' unless defined $status;
    return $status == 404 ? 'nobody' : $status unless $status == 200;
    return $names->{$body} // "unknown host $body";
}

sub ask_node {
    my ($file, $name, $door, $names) = @_;
    my $host = sub { my ($path) = @_; return sub { host_of($names, get($door->{discovery}, $path)) } };
    my $code = sub { my ($path) = @_; return sub { (get($door->{check}, $path))[0] // 'absent' } };
    my @questions = (
        [ raw     => sub { (ask_port($door->{raw}, '') // 'absent') =~ s/\n.*//sr } ],
        [ master  => $host->('/master') ],
        [ primary => $code->('/primary') ],
        [ lag     => $code->('/replica?lag=10MB') ],
        [ replica => $host->('/replica') ],
        [ limit   => $host->('/replica?lag_bytes=10000000') ],
        [ time    => $host->('/sync_by_time?lag_ms=60000') ],
        [ most    => $host->('/most_sync_by_bytes?lag_bytes=10000000') ]);
    while (has_parent()) {
        my $begun = now();
        foreach my $question (@questions) {
            my $t0     = now();
            my $answer = $question->[1]->();
            note($file, 'answer', $t0, now(), $name, $question->[0], $answer);
            last if $answer eq 'absent';
        }
        rest($begun);
    }
    return;
}

sub rest {
    my ($begun) = @_;
    my $left = $begun + $round - now();
    usleep(1e6 * $left) if $left > 0;
    return;
}

# A session that is not waited for without an end; undef when nobody lets it in.
sub session_with {
    my ($node) = @_;
    # a psql for each try would be dear
    IO::Socket::UNIX->new(Peer => sprintf '%s/.s.PGSQL.%d', $node->host, $node->port) or return undef;
    return eval { PgStatus::Session->new($node->connstr('postgres') . ' connect_timeout=2', $patience) };
}

my $look = q{SELECT concat_ws('|', pg_is_in_recovery()::int,
    CASE WHEN NOT pg_is_in_recovery() THEN ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int ELSE 0 END,
    extract(epoch FROM pg_postmaster_start_time()),
    coalesce((SELECT string_agg(DISTINCT application_name, ',') FROM pg_stat_replication WHERE state = 'streaming'), '-'),
    coalesce((SELECT string_agg(branch || ':' || seq, ',') FROM (SELECT branch, max(seq) AS seq FROM written
      GROUP BY branch) b), '-'))} =~ s/\s*\n\s*/ /gr;

# What a server's data directory tells of how its timeline came about; '' of the first one.
sub forks_of {
    my ($node, $timeline) = @_;
    open my $file, '<', sprintf '%s/pg_wal/%08X.history', $node->data_dir, $timeline or return '';
    return join ',', map { m{\A(\d+)\t([0-9A-F]+/[0-9A-F]+)} ? "$1\@$2" : () } <$file>;
}

# Looks at a server, and writes rows where it takes them.
sub look_at {
    my ($file, $name, $node) = @_;
    my ($session, $branch, $timeline, $seq);
    my $births = 0;
    while (has_parent()) {
        my $t0 = now();
        $session //= session_with($node);
        my $row = $session ? eval { $session->query($look) } : undef;
        my ($recovery, $now_on, $start, $followers, $rows) = ($row // '') =~ /\A([01])\|(\d+)\|([^|]+)\|([^|]+)\|([^|\n]+)\z/;
        if (!defined $recovery) {
            note($file, 'sight', $t0, now(), $name, 'gone');
            $session->drop if $session;
            undef $session;
        } else {
            undef $branch if $recovery || defined $branch && $timeline != $now_on;
            if (!$recovery && !defined $branch) {
                ($branch, $timeline, $seq) = ($name . ++$births, $now_on, 0);
                note($file, 'birth', now(), $name, $branch, $timeline, $rows, forks_of($node, $timeline));
            }
            # the rows tell of the branch only when the first of them is there
            my $known = defined $branch && $rows =~ /\b$branch:/ ? $branch : '-';
            note($file, 'sight', $t0, now(), $name, $recovery, $now_on, $start, $known, $followers, $rows);
            if (!$recovery) {
                $seq++;
                eval { $session->query("INSERT INTO written VALUES ('$branch', $seq)"); 1 } or do {
                    $session->drop;
                    undef $session;
                };
            }
        }
        rest($t0);
    }
    return;
}

# Writes a row on whom a node names as the primary, asks the node who has it, and reads it there at once. Rows of a while
# ago are asked for again, with their timeline: a position of a history that has lost must not be found.
sub hold_to_promises {
    my ($file, $servers, $place, $names) = @_;
    my %session;
    my $ask = sub {
        my ($name, $query) = @_;
        $session{$name} //= session_with($servers->{$name}{node}) // return undef;
        my $result = eval { $session{$name}->query($query) };
        $session{$name}->drop, delete $session{$name} unless defined $result;
        return $result;
    };
    my @asked = grep { $servers->{$_}{pg_status} } sort keys %$servers;
    my ($number, $timelines_known, @rows) = (0, 1);
    srand;
    while (has_parent()) {
        my $name  = $asked[ $number++ % @asked ];
        my $door  = [ $place, $name, discovery_port($servers->{$name}{node}) ];
        my $before = host_of($names, get($door, '/master'));
        my $row;
        if ($servers->{$before} && int($number / @asked) % 2) {
            my $id = "p$number";
            # up to the end of the commit, and not beyond what a standby can reach
            my $at = $ask->($before, "INSERT INTO promised VALUES ('$id');"
                  . q( SELECT ('x' || left(pg_walfile_name(pg_current_wal_flush_lsn()), 8))::bit(32)::int || ' ')
                  . q( || pg_current_wal_flush_lsn()));
            if (($at // '') =~ m{\A(\d+) ([0-9A-F]+/[0-9A-F]+)\z}) {
                $row = { id => $id, on => $before, timeline => $1, lsn => $2, time => now() };
                push @rows, $row;
                shift @rows if @rows > 100;
            }
        } elsif (@rows) {
            $row = $rows[ int rand @rows ];
        }
        if ($row) {
            my $form = $timelines_known && rand() < 0.6 ? 'timeline' : 'plain';
            my $t0    = now();
            my ($status, $body) = get($door, "/replica?min_lsn="
                  . ($form eq 'timeline' ? "$row->{timeline}:$row->{lsn}" : $row->{lsn}));
            my $t1 = now();
            my $host = host_of($names, $status, $body);
            $timelines_known = 0 if $host eq '400' && $form eq 'timeline';
            if ($servers->{$host}) {
                my $found = $ask->($host, "SELECT count(*) FROM promised WHERE id = '$row->{id}'") // 'unknown';
                my $after = host_of($names, get($door, '/master'));
                note($file, 'promise', $t0, $t1, $name, $form, $row->{timeline}, $row->{lsn}, $row->{on}, $host, $found,
                    $before, $after, $row->{time});
            }
        }
        usleep(40_000);
    }
    return;
}

1;
