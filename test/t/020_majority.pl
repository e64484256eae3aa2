# What the nodes say of each other: votes, a majority, a fault that only one node has, and a primary that sees nobody
# else, with and without pg_status.fence. The cuts are made with pg_hba.conf: each node connects as a role of its own, and
# whom a server does not let in cannot see it. How packets get lost is no business of this test.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PgStatus;
use PgStatus::Http;
use PgStatus::Watchers;
use PostgreSQL::Test::Cluster;
use Test::More;

my @nodes = map { new_node($_) } qw(primary standby1 standby2);
my ($primary, $standby1, $standby2) = @nodes;

sub quorum { return sql($_[0], 'SELECT voters, majority, in_sight, quorum, fence, fenced, note FROM pg_status_quorum()') }
sub votes { my $row = row(@_); return join '|', map { $_ // 'null' } @{$row}{qw(state votes_up votes_down)},
      $row->{unreachable_here} ? 'here' : 'all' }
sub body { return (check($primary, $_[0]))[1] }
sub logged { my ($node, $from) = @_; return join "\n", pg_status_log($node, $from) }

init_node($primary, 'pg_status.hosts' => hosts_of(@nodes), 'pg_status.check_port' => check_port($primary),
    'pg_status.conninfo' => 'dbname=postgres user=' . watcher_of($primary));
$primary->start;
$primary->safe_psql('postgres', 'CREATE EXTENSION pg_status');
create_watchers($primary, @nodes);
shut_out($primary);
$primary->backup('base');
foreach my $standby ($standby1, $standby2) {
    init_standby($standby, $primary, 'pg_status.check_port' => 0,
        'pg_status.conninfo' => 'dbname=postgres user=' . watcher_of($standby));
    $standby->start;
}
wait_roles(\@nodes, { primary => 'primary', standby1 => 'standby', standby2 => 'standby' });

subtest 'all see all' => sub {
    foreach my $node (@nodes) {
        wait_for($node->name . ' to see everybody', sub { quorum($node) eq '3|2|3|t|f|f|' });
        pass($node->name . ' sees three of three');
        foreach my $host (@nodes) {
            wait_for('all votes', sub { votes($node, $host) eq 'up|3|0|all' });
            pass('and three votes for ' . $host->name);
        }
    }
};

subtest 'one node cannot reach the primary' => sub {
    my %offset = map { $_->name => log_offset($_) } @nodes;
    shut_out($primary, $standby1);
    wait_for('the fault to be found', sub { votes($standby1, $primary) eq 'down|2|1|here' });
    pass('it has it down, and knows that two of three reach it');
    is(quorum($standby1), '3|2|2|t|f|f|', 'a majority is still in sight');
    my $log = logged($standby1, $offset{standby1});
    like($log, qr/cannot be reached from here after 3 failures/, 'the log says that it cannot be reached from here');
    like($log, qr/WARNING:  pg_status: only this node cannot reach host/, 'then, that only this node cannot');
    wait_for('many more checks', sub { row($standby1, $primary)->{fails} > 15 });
    is(scalar(() = logged($standby1, $offset{standby1}) =~ /only this node/g), 1, 'once');
    unlike($log, qr/is down/, 'and announces no outage');
    foreach my $node ($primary, $standby2) {
        wait_for($node->name . ' to hear of it', sub { votes($node, $primary) eq 'up|2|1|all' });
        is(sql($node, 'SELECT pg_status_master()'), name_of($primary), 'the others go on naming the primary');
        is_deeply([ grep { !/terminat/ } pg_status_log($node, $offset{ $node->name }) ], [], 'and log nothing');
    }
    shut_out($primary);
    wait_for('it to be over', sub { votes($standby1, $primary) eq 'up|3|0|all' });
    like(logged($standby1, $offset{standby1}), qr/is up again/, 'healed');
};

subtest 'a server that is down for all' => sub {
    my %offset = map { $_->name => log_offset($_) } @nodes;
    $standby2->stop('immediate');
    foreach my $node ($primary, $standby1) {
        wait_for($node->name . ' to hear the other', sub { votes($node, $standby2) eq 'down|0|2|all' });
        is(quorum($node), '3|2|2|t|f|f|', 'two of three are left');
        like(logged($node, $offset{ $node->name }),
            qr/is down after 3 failures|is down: 2 of 3 voting nodes cannot reach it/, 'the log says that it is down');
        unlike(logged($node, $offset{ $node->name }), qr/only this node/, 'and never that only this node thinks so');
    }
    $standby2->start;
    foreach my $node (@nodes) {
        wait_for($node->name . ' to see everybody', sub { (try_sql($node, 'SELECT in_sight FROM pg_status_quorum()') // 0) == 3 });
    }
    pass('started again');
};

subtest 'a primary that sees nobody else' => sub {
    my $offset = log_offset($primary);
    shut_out($_, $primary) foreach $standby1, $standby2;
    wait_for('it to be alone', sub { quorum($primary) eq '3|2|1|f|f|f|' });
    pass('it sees one of three');
    like(logged($primary, $offset), qr/WARNING:  pg_status: this primary sees no majority: only 1 of 3/, 'and warns of it');
    like(log_text($primary, $offset), qr/goes on saying MASTER, as pg_status.fence is off/, 'that it goes on');
    is(raw_status($primary), 'MASTER', 'it says MASTER');
    is(code($primary, '/primary'), 200, 'and passes its check');
    like(body('/metrics'), qr/^pg_status_quorum 0$/m, 'the metric says that there is no majority');

    set_conf($primary, 'pg_status.fence' => 'on');
    wait_for('the fence', sub { raw_status($primary) eq 'FENCED' });
    pass('with fence it says FENCED');
    wait_for('the line', sub { logged($primary, $offset) =~ /WARNING:  pg_status: this primary says FENCED/ });
    like(quorum($primary), qr/^3\|2\|1\|f\|t\|t\|This primary says FENCED/, 'in SQL, too');
    is(code($primary, $_), 503, "$_ is 503") foreach qw(/primary / /master /leader /read-write /read-only /replica /readiness);
    is(code($primary, $_), 200, "$_ is 200") foreach qw(/health /liveness /patroni /metrics);
    is(sql($primary, q(SELECT pg_status_check('primary'))), 503, 'SQL says the same');
    is(sql($primary, q(SELECT pg_status_agent('agent'))), 'down # fenced', 'and so does the agent');
    like(body('/patroni'), qr/"quorum":false,"fenced":true/, 'and JSON');
    is(sql($primary, 'SELECT pg_is_in_recovery()'), 'f', 'the server goes on as before');

    $offset = log_offset($primary);
    $primary->stop('immediate');
    $primary->start;
    wait_for('it to be back', sub { raw_status($primary) eq 'FENCED' });
    my @words;
    wait_for('it to know', sub {
        push @words, raw_status($primary);
        (try_sql($primary, 'SELECT pg_status_ready()') // '') eq 't' && @words > 20;
    });
    is_deeply([ grep { $_ ne 'FENCED' } @words ], [], 'restarted alone it does not take itself for a majority');
    wait_for('it to miss the others', sub { logged($primary, $offset) =~ /this primary sees no majority/ });
    pass('which it warns of when the others are given up');

    # the same servers by other names: nothing is known of any of them, and two do not answer for a while
    freeze($standby1);
    freeze($standby2);
    set_conf($primary, 'pg_status.poll_timeout' => '2s',
        'pg_status.hosts' => join ', ', map { name_of($_) . ' name=new_' . $_->name } @nodes);
    @words = ();
    wait_for('the new list to be asked', sub {
        push @words, raw_status($primary);
        sql($primary, "SELECT count(*) FROM pg_status_hosts() WHERE host LIKE 'new%' AND last_check IS NOT NULL") == 3;
    });
    is_deeply([ grep { $_ ne 'FENCED' } @words ], [], 'nor does it with another list of the same hosts');
    thaw();
    set_conf($primary, 'pg_status.poll_timeout' => '1s', 'pg_status.hosts' => hosts_of(@nodes));

    $offset = log_offset($primary);
    shut_out($standby1);
    wait_for('the majority', sub { raw_status($primary) eq 'MASTER' });
    is(code($primary, '/primary'), 200, 'one more node in sight is a majority: it says MASTER again');
    wait_for('the line', sub { logged($primary, $offset) =~ /this primary says MASTER again/ });
    pass('which is logged');
    shut_out($standby2);
    wait_for('everybody', sub { quorum($primary) eq '3|2|3|t|t|f|' });
};

subtest 'a primary whose poller is stuck' => sub {
    my $offset = log_offset($primary);
    my $poller = worker_pid($primary, 'poller');
    kill 'STOP', $poller;
    wait_for('what it knew to be too old', sub { raw_status($primary) eq 'FENCED' });
    wait_for('the log to say why',
        sub { log_text($primary, $offset) =~ /this primary says FENCED.*\n.*DETAIL: .*the poller/ });
    pass('knows of no majority, and the log says why');
    kill 'CONT', $poller;
    wait_for('it to go on', sub { raw_status($primary) eq 'MASTER' });
    pass('until it goes on');
};

subtest 'two nodes' => sub {
    my $offset = log_offset($primary);
    my $hosts = hosts_of($primary, $standby1);
    set_conf($primary, 'pg_status.hosts' => $hosts);
    wait_for('the new list', sub { quorum($primary) =~ /^2\|\|2\|\|t\|f\|pg_status.fence cannot work/ });
    pass('there is no majority, and fencing cannot work');
    wait_for('the warning', sub { logged($primary, $offset) =~ /WARNING:  pg_status: pg_status.fence cannot work/ });
    my @told = grep { /cannot work/ } pg_status_log($primary, $offset);
    is(scalar @told, 1, 'the log warns of it once');
    shut_out($standby1, $primary);
    wait_row($primary, $standby1, 'down', sub { $_[0]{state} eq 'down' });
    is(raw_status($primary), 'MASTER', 'alone it is not fenced');
    unlike(body('/metrics'), qr/^pg_status_quorum /m, 'and the metric is not there');
    shut_out($standby1);
};

subtest 'who may read opinions' => sub {
    my $text = sql($standby1, q(SELECT current_setting('pg_status.opinions')));
    like($text, qr/\Aopinions 1\n(\S+ (up|down) (\d+|-) \d+ \d+ (primary|incumbent|-)\n?){3}\z/, 'one line for each host');
    is(sql($standby1, "SELECT count(*) FROM pg_settings WHERE name = 'pg_status.opinions'"), 0, 'it is not in lists');
    is(try_sql($standby1, q(SET pg_status.opinions = 'opinions 1')), undef, 'and cannot be set');
};

done_testing;
