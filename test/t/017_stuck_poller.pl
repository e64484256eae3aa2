# A poller that is stuck in a library is ended and comes back; one that was merely kept from running is not. A server
# makes it stuck that asks, behind TLS where nobody can look at it first, for endless password hashing. It must not know
# how the time is taken.
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

plan skip_all => 'this PostgreSQL has no TLS' unless `pg_config --configure` =~ /--with-(openssl|ssl=openssl)/;
plan skip_all => 'openssl is not installed' unless `openssl version 2>&1` =~ /^OpenSSL/;

my ($peer, $watcher) = map { new_node($_) } qw(peer watcher);
init_node($peer, shared_preload_libraries => '', ssl => 'on');
my $place = $peer->data_dir;
system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=peer -keyout '$place/server.key' "
    . "-out '$place/server.crt' 2>/dev/null") == 0 or die 'no certificate';
chmod 0600, "$place/server.key";
unlink "$place/pg_hba.conf";
append_to_file("$place/pg_hba.conf", "local all all trust\nhostssl all monitor 127.0.0.1/32 scram-sha-256\n");
$peer->start;

# A verifier of two thousand million rounds: what else is in it does not matter, for nobody gets to the end of them.
# CREATE ROLE would try it out.
my $key      = 'A' x 43 . '=';
my $verifier = "SCRAM-SHA-256\$2000000000:c2FsdHNhbHRzYWx0c2FsdA==\$$key:$key";
$peer->safe_psql('postgres', 'CREATE ROLE monitor LOGIN');
$peer->safe_psql('postgres', "UPDATE pg_authid SET rolpassword = '$verifier' WHERE rolname = 'monitor'");

my $passfile = PostgreSQL::Test::Utils::tempdir() . '/pass';
append_to_file($passfile, "*:*:*:*:anything\n");
chmod 0600, $passfile;
init_node($watcher, 'pg_status.hosts' => name_of($peer));
$watcher->start;
$watcher->safe_psql('postgres', 'CREATE EXTENSION pg_status');
my $poller = wait_for('the poller', sub { worker_pid($watcher, 'poller') });
END { local $?; kill 'CONT', $poller if $poller }

# Seconds of its processor time.
sub used {
    my @fields = split ' ', read_from("/proc/$poller/stat", 0) =~ s/\A.*\)//r;
    return $fields[11] / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

my $before = used();
set_conf($watcher, 'pg_status.conninfo' => "dbname=postgres user=monitor sslmode=require passfile=$passfile");
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
$watcher->safe_psql('postgres', 'CREATE ROLE monitor LOGIN IN ROLE pg_monitor');
my $from = log_offset($watcher);
set_conf($watcher,
    'pg_status.hosts'    => name_of($watcher) . ', ' . name_of($peer) . ' name=hostile',
    'pg_status.conninfo' => "dbname=postgres user=monitor sslmode=prefer passfile=$passfile");
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
