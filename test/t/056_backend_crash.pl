# After a crash of any backend of a standby its workers are there again, all of them: its promotion is noticed as ever.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PgStatus;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

# An hour between two checks: nothing but the end of recovery itself makes the poller ask.
my ($primary, $standby) = map { new_node($_) } qw(primary standby);
init_node($primary, 'pg_status.hosts' => hosts_of($primary), restart_after_crash => 'on');
$primary->start;
$primary->safe_psql('postgres', 'CREATE EXTENSION pg_status');
$primary->backup('base');
init_standby($standby, $primary,
    'pg_status.hosts'         => hosts_of($standby),
    'pg_status.poll_interval' => '1h',
    log_min_messages          => 'debug1');
$standby->start;
wait_for('the standby to know itself', sub { (try_sql($standby, 'SELECT pg_status_ready()') // '') eq 't' });

my $session = session($standby);
my $victim  = $session->query('SELECT pg_backend_pid()');
my $before  = worker_pid($standby, 'poller');
kill 'KILL', $victim;
forget_session($standby);
wait_for('new workers', sub { my $now = worker_pid($standby, 'poller'); $now && $now != $before });
wait_for('SQL', sub { (try_sql($standby, 'SELECT pg_status_ready() AND pg_is_in_recovery()') // '') eq 't' });
wait_for('it to be known as a standby', sub { (row($standby, $standby)->{role} // '') eq 'standby' });

my $from = log_offset($standby);
$standby->promote;
my $since = time;
soon_is('the promotion is noticed', name_of($standby), sub { sql($standby, 'SELECT pg_status_master()') });
cmp_ok(time - $since, '<', 30, sprintf 'at once (%.0f ms), and not in an hour', 1000 * (time - $since));
like(log_text($standby, $from), qr/background worker "pg_status promotion"/, 'the worker that announces it was run');

done_testing;
