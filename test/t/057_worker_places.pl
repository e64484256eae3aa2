# A server with too few places for workers: it says so when it starts, answers what it knows of itself, and does not take
# a primary out of service for what nobody can find out.
use strict;
use warnings;
use FindBin;
use IPC::Run;
use lib $FindBin::RealBin;
use PgStatus;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# One place is the launcher's of logical replication, which is registered first.
sub start_with {
    my ($places) = @_;
    my $node = new_node("places$places");
    init_node($node, max_worker_processes => $places, 'pg_status.fence' => 'on',
        'pg_status.hosts' => name_of($node));
    $node->start;
    $node->safe_psql('postgres', 'CREATE EXTENSION pg_status');
    return $node;
}

my $none = start_with(1);
like(log_text($none, 0), qr/WARNING:  pg_status: max_worker_processes is too low/, 'no place: a warning at the start');
like(log_text($none, 0), qr/DETAIL:  No port answers/,                             '... that says what is missing');
is(raw_status($none),                          'refused', 'no port is open');
is(sql($none, 'SELECT pg_status_live()'),      'f',       'SQL says that it does not live');
is(sql($none, 'SELECT pg_status_master() IS NULL'), 't', '... and names nobody');
$none->stop;

# pg_rewind runs a server like this one; it has no workers, whatever is set
my $select = "SELECT 'it ran'\n";
my $ran = IPC::Run::run([ 'postgres', '--single', '-D', $none->data_dir, qw(-c statement_timeout=0 -c exit_on_error=off template1) ], '<', \$select, '>&', \my $said);
ok($ran, 'a single-user server runs') or diag $said;
like($said, qr/it ran/, '... and does what it is told');
unlike($said, qr/pg_status: max_worker_processes/, '... without a word of pg_status about workers');

my $one = start_with(2);
like(log_text($one, 0), qr/DETAIL:  No host is checked.*pg_status\.fence does nothing/, 'one place: what is missing');
like(log_text($one, 0), qr/HINT:  pg_status takes three; max_worker_processes is 2/,    '... and what to set');
soon_is('the raw port says what it knows, in spite of fence', 'MASTER', sub { raw_status($one) });
is(sql($one, 'SELECT fenced FROM pg_status_quorum()'), 'f', 'SQL, too');
like(sql($one, 'SELECT note FROM pg_status_quorum()'), qr/max_worker_processes is too low/, '... with the reason');
is(sql($one, 'SELECT pg_status_master() IS NULL'), 't', 'nobody is named');
$one->stop;

my $two = start_with(3);
like(log_text($two, 0), qr/DETAIL:  The end of recovery is noticed later/, 'two places: what is missing');
$two->stop;

my $all = start_with(4);
unlike(log_text($all, 0), qr/max_worker_processes/, 'three places: not a word');
soon_is('and hosts are checked', name_of($all), sub { try_sql($all, 'SELECT pg_status_master()') // '' });
$all->stop;

done_testing;
