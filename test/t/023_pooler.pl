# Hosts behind a real PgBouncer that gives each statement another session: what was prepared in one is not there in the
# next, and somebody else may have prepared it there. The hosts are addresses of one pooler in front of one server.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PgStatus;
use PgStatus::Child;
use PgStatus::Http;
use PostgreSQL::Test::Cluster;
use Test::More;

my ($pgbouncer) = grep { -x } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin';
plan skip_all => 'pgbouncer is not installed' unless $pgbouncer;

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
ignore_startup_parameters = extra_float_digits,options
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
    'pg_status.hosts'         => join(', ', map { "$_:$port" } @addresses),
    'pg_status.poll_interval' => '100ms',
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
wait_for('fifty more checks of each, over several connections', sub { polls('ok') >= $good + 50 * @addresses });
is(polls('error') + polls('timeout'), 0, 'none has failed');
is(scalar(grep { /suspect|down/ } pg_status_log($observer, $offset)), 0, 'nor does the log tell of any');

my $told = () = log_text($server, 0) =~ /ERROR:  prepared statement "pg_status_probe" (?:does not exist|already exists)/g;
cmp_ok($told, '>', 0, "the server was asked for what was not there, or was ($told times)");
my $plain = sql($server, q{SELECT count(*) FROM pg_stat_activity WHERE query ~ '^SELECT f.in_recovery'});
cmp_ok($plain, '>', 0, "and is asked in plain words then ($plain sessions)");
done_testing;
