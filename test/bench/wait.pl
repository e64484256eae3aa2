# The rounds of test/bench/wait, and its table. It runs inside the place that test/bench/wait has made.
use strict;
use warnings;

my $terminal;
BEGIN { open $terminal, '>&', \*STDOUT or die "STDOUT: $!" }    # PostgreSQL::Test::Utils takes STDOUT for its log

use FindBin;
use lib "$FindBin::RealBin/../t";
use PgStatus;
use PgStatus::Clients;
use PgStatus::Failover;
use PgStatus::Http;
use PgStatus::Waiter;
use PostgreSQL::Test::Cluster;
use Time::HiRes qw(time usleep);

my ($rounds, $clients, $seconds) = @ENV{qw(ROUNDS CLIENTS SECONDS_)};
my $strict = grep { $_ eq '--strict' } @ARGV;
my $missed = 0;
my @table;

# Seconds from a change to the answer, as a median; seconds of processor time in each second, more than without clients.
my ($told_target, $cpu_target) = (0.05, 0.002);

sub say_out { syswrite $terminal, "$_\n" foreach @_; return }

sub sorted { my @sorted = sort { $a <=> $b } @_; return @sorted }

sub median {
    my @sorted = sorted(@_);
    return ($sorted[ $#sorted / 2 ] + $sorted[ @sorted / 2 ]) / 2;
}

sub verdict {
    my ($figure, $target) = @_;
    $missed++ if $figure > $target;
    return $figure <= $target ? 'PASS' : 'MISS';
}

# A line of the table, as row() of lib.sh writes it; the target is for the median.
sub tell_times {
    my ($measure, @times) = @_;
    my ($middle, @of) = (median(@times), sorted(@times));
    push @table, sprintf '| %s, ms | %.1f |  | %.1f (%.1f to %.1f), %d changes | <= %d | %s |', $measure,
      1000 * $middle, 1000 * $middle, 1000 * $of[0], 1000 * $of[-1], scalar @times, 1000 * $told_target,
      verdict($middle, $told_target);
    return;
}

# Of one change in each round: the end of the standby, as the primary first sees it.
sub measure_changes {
    my ($primary, undef, $standby) = @_;
    my (@http, @sql);
    foreach my $round (1 .. $rounds) {
        my $known  = sql($primary, 'SELECT pg_status_generation()');
        my $waiter = start_waiter(discovery_port($primary), $known);
        my $wait   = session($primary);
        $wait->send("SELECT pg_status_wait($known, 60), extract(epoch FROM clock_timestamp())");
        wait_for('both to wait', sub { waits($primary) });
        $standby->stop('immediate');
        my (undef, $when) = split /\|/, $wait->receive;
        my ($answer) = wait_for('the answer', sub { my @all = $waiter->answers; @all && $all[0] });
        my $at = sql($primary, "SELECT extract(epoch FROM at) FROM pg_status_events WHERE seq = $known + 1");
        push @http, $answer->[2] - $at;
        push @sql,  $when - $at;
        say_out(sprintf 'round %d: told over HTTP after %.1f ms, in SQL after %.1f ms', $round, 1000 * $http[-1],
            1000 * $sql[-1]);
        $waiter->leave;
        $wait->close;
        wait_row($primary, $standby, 'down', \&is_down);
        $standby->start;
        wait_row($primary, $standby, 'up', \&is_up);
    }
    tell_times('a standby ends: from the change to the answer of GET /hosts?wait=', @http);
    tell_times('a standby ends: from the change to the end of pg_status_wait()',      @sql);
    return;
}

# Whether somebody waits in SQL, and a client of the discovery port is connected.
sub waits {
    my ($node) = @_;
    return 0 if sql($node, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Extension'") == 0;
    return connections($node) > 0;
}

sub connections {
    return (check($_[0], '/metrics'))[1] =~ /^pg_status_connections\{port="discovery"\} (\d+)/m ? $1 : -1;
}

sub cpu_seconds {
    my ($pid) = @_;
    return $1 / 1e9 if -e "/proc/$pid/schedstat" && read_from("/proc/$pid/schedstat", 0) =~ /\A(\d+)/;
    my @fields = split ' ', read_from("/proc/$pid/stat", 0) =~ s/\A.*\)//sr;
    return ($fields[11] + $fields[12]) / 100;
}

# Of the listener, in each second.
sub cpu_of {
    my ($node) = @_;
    my $pid = worker_pid($node, 'listener');
    my ($start, $before) = (time, cpu_seconds($pid));
    wait_for("$seconds s", sub { usleep(100_000); time > $start + $seconds });
    return (cpu_seconds($pid) - $before) / (time - $start);
}

# In turns, on one server: with nobody, and with all of them.
sub measure_cost {
    my ($node) = @_;
    my (@without, @with, @told);
    foreach my $round (1 .. 3) {
        push @without, cpu_of($node);
        my $known = sql($node, 'SELECT pg_status_generation()');
        my $crowd = crowd(port => discovery_port($node), count => $clients, say => blocking_request($known, 300));
        wait_for('all to wait', sub { connections($node) == $clients });
        push @with, cpu_of($node);
        die "a change came in between\n" if sql($node, 'SELECT pg_status_generation()') != $known;
        replace_conf($node, 'pg_status.hosts' => hosts_of($node) . " name=round$round");
        $node->reload;
        wait_for('all answers', sub { $crowd->tally->{answered} == $clients });
        my $at = sql($node, "SELECT extract(epoch FROM at) FROM pg_status_events WHERE seq = $known + 1");
        push @told, time - $at;
        $crowd->leave;
        wait_for('them to be gone', sub { connections($node) == 0 });
        say_out(sprintf 'round %d: %.3f ms of processor time in each second without clients, %.3f ms with %d that '
              . 'wait; all are told of a change after %.0f ms',
            $round, 1000 * $without[-1], 1000 * $with[-1], $clients, 1000 * $told[-1]);
    }
    my ($without, $with) = (median(@without), median(@with));
    push @table, sprintf '| %d clients that wait: listener, ms of processor time in each second | %.3f '
      . '| nobody waits %.3f | %+.3f | <= %d | %s |', $clients, 1000 * $with, 1000 * $without,
      1000 * ($with - $without), 1000 * $cpu_target, verdict($with - $without, $cpu_target);
    push @table, sprintf '| %d clients that wait: until all of them have the answer, ms | %.0f |  |  |  |  |', $clients,
      1000 * median(@told);
    return;
}

my @nodes = start_cluster([qw(node1 node2 node3)]);
measure_changes(@nodes);
$_->stop('immediate') foreach @nodes;

my $alone = new_node('alone');
init_node($alone,
    'pg_status.hosts'              => hosts_of($alone),
    'pg_status.poll_interval'      => '1s',
    'pg_status.fast_poll_interval' => '100ms',
    'pg_status.max_clients'        => $clients + 100,
    'pg_status.http_port'          => discovery_port($alone),
    'pg_status.check_port'         => check_port($alone));
$alone->start;
$alone->safe_psql('postgres', 'CREATE EXTENSION pg_status');
wait_roles([$alone], { alone => 'primary' });
measure_cost($alone);
$alone->stop;

open my $rows, '>', $ENV{ROWS} or die "$ENV{ROWS}: $!";
print $rows map { "$_\n" } @table;
close $rows or die "$ENV{ROWS}: $!";
exit($strict && $missed ? 1 : 0);
