# The discovery port and the check port on real servers: who is the primary, is this node one, what does a load balancer's
# agent hear; before and after a failover.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PgStatus;
use PgStatus::Http;
use Test::More;

my @nodes = start_three();
my ($primary, $standby1, $standby2) = @nodes;
open_http(@nodes);

subtest 'discovery' => sub {
    foreach my $node (@nodes) {
        is_deeply([ (discover($node, '/master'))[ 0, 1 ] ], [ 200, name_of($primary) ], $node->name . ' names the primary');
    }
    my %turns;
    $turns{ (discover($standby1, '/replica'))[1] }++ for 1 .. 6;
    is_deeply(\%turns, { name_of($standby1) => 3, name_of($standby2) => 3 }, 'each standby has three turns of six');
    is_deeply(json_of(discover($primary, '/master', 'GET', 'Accept: application/json')),
        { host => name_of($primary), dc => undef, geo => undef }, 'the same as JSON');
    my $hosts = json_of(discover($primary, '/hosts'));
    is(join(' ', map { $_->{host} } @$hosts), join(' ', map { name_of($_) } @nodes), '/hosts, in configured order');
    is((discover($primary, '/status?host=' . name_of($standby1)))[0], 200, '/status of a host');
    is((discover($primary, '/status?host=nobody'))[0], 404, 'and of none');
    is_deeply([ (discover($primary, '/replica?lag_ms=abc'))[ 0, 1 ] ], [ 400, '{"error_text": "Invalid lag_ms"}' ], 'a bad parameter');
    is((discover($primary, '/replica', 'POST'))[0], 405, 'only GET');
    is((discover($primary, '/'))[0], 404, 'no page here');
    is(ask(discovery_port($primary), "master\n"), name_of($primary) . "\n", 'as a bare line');
};

subtest 'checks of this node' => sub {
    my %expected = (
        '/'                  => [ 200, 503 ],
        '/primary'           => [ 200, 503 ],
        '/replica'           => [ 503, 200 ],
        '/replica?lag=10MB'  => [ 503, 200 ],
        '/read-only'         => [ 200, 200 ],
        '/async'             => [ 503, 200 ],
        '/sync'              => [ 503, 503 ],
        '/health'            => [ 200, 200 ],
        '/readiness'         => [ 200, 200 ],
        '/patroni'           => [ 200, 200 ],
        '/metrics'           => [ 200, 200 ],
        '/replica?lag=abc'   => [ 400, 400 ],
        '/xprimaryx'         => [ 404, 404 ]);
    foreach my $path (sort keys %expected) {
        is_deeply([ map { code($_, $path) } @nodes ], [ @{ $expected{$path} }, $expected{$path}[1] ], $path);
    }
    is_deeply([ map { code($_, '/primary', 'OPTIONS') } @nodes ], [ 200, 503, 503 ], 'OPTIONS gets the same code');
    is_deeply([ map { code($_, '/replica', 'HEAD') } @nodes ], [ 503, 200, 200 ], 'and HEAD');
    is(code($standby1, '/primary', 'DELETE'), 405, 'nothing else');
};

subtest 'agent replies' => sub {
    is(line($primary,  'agent?role=primary'), "up\n", 'the primary');
    is(line($standby1, 'agent?role=primary'), "down # replica\n", 'a standby is none');
    is(line($standby1, 'agent?role=replica&lag=10MB'), "up\n", 'a standby that keeps up');
    like(line($standby1, 'agent?role=replica&lag=abc'), qr/^fail # /, 'nonsense is never up');
};

subtest 'after a failover' => sub {
    wait_caught_up(@nodes);
    $primary->stop('immediate');
    $standby1->promote;
    wait_for('the new primary', sub { (discover($standby2, '/master'))[1] eq name_of($standby1) });
    is(code($standby1, '/primary'), 200, 'it checks as the primary');
    is(code($standby1, '/replica'), 503, 'and not as a replica');
    is(line($standby1, 'agent?role=primary'), "up\n", 'its agent says so');
    wait_for('the other standby to know that it was left behind', sub { code($standby2, '/replica?lag=1TB') == 503 });
    is(code($standby2, '/replica'), 200, 'where nobody asks for its lag it is a replica');
    is(line($standby2, 'agent?role=replica&lag=1TB'), "down # lag unknown\n", 'its agent says so');
    set_conf($standby2, primary_conninfo => conninfo_of($standby1, $standby2));
    wait_for('it to follow', sub { code($standby2, '/replica?lag=1MB') == 200 && code($standby2, '/async') == 200 });
};

is(raw_status($standby1), 'MASTER', 'the raw port answers as ever');
done_testing;
