# A poller that is stuck in a library is ended and comes back; one that was merely kept from running is not.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PgStatus;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my ($peer, $watcher) = map { new_node($_) } qw(peer watcher);
init_node($peer, shared_preload_libraries => '');
$peer->start;

my $place   = PostgreSQL::Test::Utils::tempdir();
my $library = "$place/stuck_call.so";
is(system('cc', '-shared', '-fPIC', '-O2', '-o', $library, "$FindBin::RealBin/stuck_call.c", '-ldl'), 0, 'a call that does not end');

sub be_stuck_with {
    my ($port) = @_;
    open my $file, '+>', "$place/port" or die "$place/port: $!";
    print {$file} pack('l', $port);
    return close $file;
}
be_stuck_with(0);
init_node($watcher, 'pg_status.hosts' => name_of($peer));
{
    local $ENV{LD_PRELOAD} = $library;
    local $ENV{STUCK_PORT} = "$place/port";
    $watcher->start;
}
$watcher->safe_psql('postgres', 'CREATE EXTENSION pg_status');
wait_row($watcher, $peer, 'up', \&is_up);
my $poller = wait_for('the poller', sub { worker_pid($watcher, 'poller') });
END { local $?; kill 'CONT', $poller if $poller }

# Seconds of its processor time.
sub used {
    my @fields = split ' ', read_from("/proc/$poller/stat", 0) =~ s/\A.*\)//r;
    return $fields[11] / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

my $before = used();
be_stuck_with($peer->port);
# (so that connections are made anew)
set_conf($watcher, 'pg_status.conninfo' => 'dbname=postgres connect_timeout=7 user=' . getpwuid($<));
wait_for('the poller to be stuck', sub { used() > $before + 0.3 });

# It is kept from running until after the watchdog's first look was due.
my $stopped = time;
kill 'STOP', $poller;
wait_for('eleven seconds', sub { usleep(100_000); time > $stopped + 11 });
is(raw_status($watcher), 'MASTER', 'the raw port answers meanwhile');
# for the next poller: this one cannot look at settings now
set_conf($watcher,
    'pg_status.conninfo' => 'dbname=postgres user=' . getpwuid($<),
    'pg_status.hosts'    => name_of($watcher));
kill 'CONT', $poller;

my $next = wait_for('a new poller', sub { my $pid = worker_pid($watcher, 'poller'); $pid && $pid != $poller && $pid });
my @told;
wait_for('it to tell', sub { @told = grep { /was stuck/ } log_lines($watcher, 0) });
is(@told, 1, 'the one that is stuck was ended, once');
like($told[0], qr/LOG:  pg_status worker was stuck for [2-6]0 seconds and was ended/, 'not for the time in which it did not run');
wait_row($watcher, $watcher, 'up', \&is_up);
is(sql($watcher, 'SELECT pg_status_master()'), name_of($watcher), 'the next one works');
is(worker_pid($watcher, 'poller'), $next, 'and goes on');
unlike(log_text($watcher, 0), qr/terminated by signal|all server processes terminated/, 'nobody crashed');
undef $poller;

# With that server in the list for good, one poller is stuck with it; the next one leaves it alone and serves the others.
my $from = log_offset($watcher);
set_conf($watcher,
    'pg_status.hosts'    => name_of($watcher) . ', ' . name_of($peer) . ' name=hostile',
    'pg_status.conninfo' => 'dbname=postgres connect_timeout=8 user=' . getpwuid($<));
my $after = wait_for('a poller after the one that is stuck',
    sub { my $pid = worker_pid($watcher, 'poller'); $pid && $pid != $next && $pid });
my $spared = wait_row($watcher, 'hostile', 'left alone',
    sub { $_[0] && $_[0]{state} eq 'down' && ($_[0]{last_error} // '') =~ /^left alone for \d+ s more/ });
wait_polls(5, $watcher);
is(sql($watcher, 'SELECT pg_status_ready()'),  't',               'the next one knows all others');
is(sql($watcher, 'SELECT pg_status_master()'), name_of($watcher), '... and names the primary');
is(worker_pid($watcher, 'poller'), $after, '... and is not stuck');
like(log_text($watcher, $from), qr/LOG:  pg_status: host "hostile" is left alone for 60 s/, 'the log says so');
done_testing;
