# The check of a host is prepared where the session is ours alone, and nowhere else: behind a real PgBouncer that gives
# each statement another session, what we prepared would not be there the next time, and what has its name there may be
# somebody else's. The pooler refuses what we would set with the startup packet, as it does when it is delivered: it is
# set with each question. The hosts are a server itself, and addresses of one pooler in front of it.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PgStatus;
use PgStatus::Child;
use PgStatus::Http;
use PgStatus::Worst qw(leave_to_test);
use PostgreSQL::Test::Cluster;
use Test::More;

my ($pgbouncer) = grep { -x } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin';
plan skip_all => 'pgbouncer is not installed' unless $pgbouncer;

# behind a pooler that passes no startup options on: what ends a session or a question before ours is heard
leave_to_test(qw(idle_session_timeout statement_timeout exit_on_error));
my $server = init_node(new_node('server'), shared_preload_libraries => '');
$server->start;

my @addresses = map { "127.0.8.$_" } 1 .. 8;
my $port      = PostgreSQL::Test::Cluster::get_free_port();
my $folder    = PostgreSQL::Test::Utils::tempdir();
my $log       = "$folder/pgbouncer.log";
PostgreSQL::Test::Utils::append_to_file("$folder/pgbouncer.ini", <<"END");
[databases]
* = host=127.0.0.1 port=${\$server->port} user=${\scalar getpwuid $<} dbname=postgres
[pgbouncer]
listen_addr = ${\join ',', @addresses}
listen_port = $port
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
END

start_child(sub {
    open STDOUT, '>',  $log     or die "$log: $!";
    open STDERR, '>&', \*STDOUT or die "$log: $!";
    exec $pgbouncer, "$folder/pgbouncer.ini" or die "$pgbouncer: $!";
});
wait_for('PgBouncer', sub { -e $log && log_of() =~ /process up/ });

sub log_of { return PgStatus::Outside::read_from($log, 0) }

my $observer = new_node('observer');
init_node($observer,
    'pg_status.hosts'         => join(', ', name_of($server) . ' name=direct', map { "$_:$port" } @addresses),
    'pg_status.poll_interval' => '100ms',
    'pg_status.poll_timeout'  => '10s',
    'pg_status.conn_max_age'  => '2s',
    'pg_status.check_port'    => check_port($observer));
$observer->start;
$observer->safe_psql('postgres', 'CREATE EXTENSION pg_status');
wait_for('all to be up', sub { sql($observer, q{SELECT bool_and(state = 'up') FROM pg_status_hosts}) eq 't' });

# How many checks have ended so, of all hosts.
sub polls {
    my ($result) = @_;
    my (undef, $text) = check($observer, '/metrics');
    my $sum = 0;
    $sum += $1 while $text =~ /^pg_status_polls_total\{host="[^"]+",result="$result"\} (\d+)$/mg;
    return $sum;
}

my ($good, $offset) = (polls('ok'), log_offset($observer));
wait_for('fifty more checks of each, over several connections', sub { polls('ok') >= $good + 50 * (1 + @addresses) });
is(polls('error') + polls('timeout'), 0, 'none has failed');
is(scalar(grep { /suspect|down/ } pg_status_log($observer, $offset)), 0, 'nor does the log tell of any');
is(scalar(grep { /ERROR/ } log_lines($server, 0)), 0, 'the server knows of no error, either');

# of those that the poller and the pooler keep
sub sessions { return sql($server, "SELECT count(*) FROM pg_stat_activity WHERE query ~ '^$_[0]'") }
wait_for('the direct session to be asked what is prepared there', sub { sessions('EXECUTE pg_status_probe') == 1 });
cmp_ok(sessions('SET TRANSACTION ISOLATION'), '>', 1, 'those of the pooler are asked in plain words');

my ($refused, $logins) = map { my $what = $_; scalar(() = log_of() =~ /$what/g) } 'pooler error: unsupported', 'login attempt';
cmp_ok($refused, '>=', scalar @addresses, 'the pooler refused what we would set at the start of a session');
cmp_ok(2 * $refused, '<', $logins, 'and was not asked for it each time');

# What others prepare in sessions that are shared, by the same name, is none of ours.
my $pooled = "host=$addresses[0] port=$port dbname=postgres user=" . getpwuid $<;
PostgreSQL::Test::Utils::system_log('psql', '-XAtq', '-d', $pooled, '-c',
    "PREPARE pg_status_probe AS SELECT true, 'somebody else''s'") foreach 1 .. 3;    # (or it is there already)
($good, $offset) = (polls('ok'), log_offset($observer));
wait_for('twenty more checks of each', sub { polls('ok') >= $good + 20 * (1 + @addresses) });
is(polls('error') + polls('timeout'), 0, 'none has failed');
is(scalar(grep { /ERROR/ && !/already exists/ } log_lines($server, 0)), 0, 'nor was there an error');

# What the pooler does not take of our own options, nobody can leave out for us: the error says what to do.
set_conf($observer, 'pg_status.conninfo' => 'dbname=postgres user=' . getpwuid($<) . " options='-c geqo=off'");
wait_for('those behind the pooler to be down',
    sub { sql($observer, q{SELECT count(*) FROM pg_status_hosts WHERE state = 'down'}) == @addresses });
like($observer->safe_psql('postgres', q{SELECT min(last_error) FROM pg_status_hosts WHERE state = 'down'}),
    qr/unsupported startup parameter.*options.*\(.*ignore_startup_parameters\)/, 'with the way out');
is(sql($observer, q{SELECT state FROM pg_status_hosts WHERE host = 'direct'}), 'up', 'the server itself takes them');
done_testing;
