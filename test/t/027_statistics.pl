# What pgpool-II's operators know from SHOW POOL_NODES and pcp_health_check_stats, on a real cluster: that the numbers
# are those of what happened.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use JSON::PP;
use PgStatus;
use PgStatus::Http;
use Test::More;

my @nodes = start_three();
my ($primary, $standby1, $standby2) = @nodes;
open_http(@nodes);

sub rows_of {
    my ($node, $view) = @_;
    return @{ decode_json(sql($node, "SELECT json_agg(v ORDER BY node_id) FROM $view v")) };
}

subtest 'pool_nodes' => sub {
    wait_caught_up(@nodes);
    sql($primary, 'SELECT pg_status_stats_reset()');
    my @rows = rows_of($primary, 'pg_status_pool_nodes');
    is_deeply([ map { "$_->{node_id} $_->{hostname} $_->{port}" } @rows ],
        [ map { "$_ 127.0.0.1 " . $nodes[$_]->port } 0 .. 2 ], 'who they are');
    is_deeply([ map { "$_->{status} $_->{pg_status} $_->{role} $_->{pg_role}" } @rows ],
        [ 'up up primary primary', ('up up standby standby') x 2 ], 'what they are');
    is_deeply([ map { $_->{select_cnt} } @rows ], [ 0, 0, 0 ], 'nobody was chosen yet');
    is_deeply([ map { sprintf '%.6f', $_->{lb_weight} } @rows ], [ ('0.333333') x 3 ], 'weights make one');
    is($rows[0]{replication_delay}, 0, 'the primary is not behind');
    is_deeply([ map { $_->{replication_state} } @rows ], [ undef, 'streaming', 'streaming' ], 'who streams');
    is_deeply([ map { $_->{replication_sync_state} } @rows ], [ undef, 'async', 'async' ], 'and how');

    # The node that is shown as the next one is the next one; in SQL and over HTTP alike.
    foreach my $ask (sub { sql($primary, 'SELECT pg_status_replica()') }, sub { (discover($primary, '/replica'))[1] }) {
        my ($next) = grep { $_->{load_balance_node} } rows_of($primary, 'pg_status_pool_nodes');
        is($ask->(), "$next->{hostname}:$next->{port}", 'the next one is the one that is shown');
    }
    sql($primary, 'SELECT pg_status_master()');
    is_deeply([ map { $_->{select_cnt} } rows_of($primary, 'pg_status_pool_nodes') ], [ 1, 1, 1 ],
        'each was chosen once, however it was asked for');
    discover($primary, '/replica?lag_ms=x');
    discover($primary, '/hosts');
    is_deeply([ map { $_->{select_cnt} } rows_of($primary, 'pg_status_pool_nodes') ], [ 1, 1, 1 ],
        'no answer without a choice counts');

    sql($primary, 'SELECT pg_status_set_weight(0, 0)');
    is_deeply([ map { $_->{lb_weight} } rows_of($primary, 'pg_status_pool_nodes') ], [ 0, 0.5, 0.5 ], 'weights of 0, 1 and 1');
    sql($primary, 'SELECT pg_status_set_weight(0, NULL)');
    sql($primary, 'SELECT pg_status_detach_node(1)');
    my $row = (rows_of($primary, 'pg_status_pool_nodes'))[1];
    is("$row->{status} $row->{pg_status}", 'down up', 'a detached node is down, though its server is up');
    sql($primary, 'SELECT pg_status_attach_node(1)');

    # Counts belong to hosts, not to places in the list.
    sql($primary, 'SELECT pg_status_replica()') foreach 1 .. 2;
    my %before = map { $_->{port} => $_->{select_cnt} } rows_of($primary, 'pg_status_pool_nodes');
    set_conf($primary, 'pg_status.hosts' => hosts_of($standby2, $primary));
    wait_for('the list', sub { sql($primary, 'SELECT count(*) FROM pg_status_hosts') == 2 });
    is_deeply([ map { $_->{select_cnt} } rows_of($primary, 'pg_status_pool_nodes') ],
        [ map { $before{ $_->port } } $standby2, $primary ], 'they move with them');
    set_conf($primary, 'pg_status.hosts' => hosts_of(@nodes));
    wait_row($primary, $_, 'up', \&is_up) foreach @nodes;
};

subtest 'stats' => sub {
    forget_session($standby2);
    my $name = name_of($standby2);
    is(sql($primary, "SELECT pg_status_stats_reset('$name')"), 't', 'the counts of one host begin anew');
    my @rows = rows_of($primary, 'pg_status_stats');
    ok($rows[2]{total_count} < $rows[1]{total_count}, 'of that one only');
    is($rows[2]{fail_count}, 0, 'no check has failed since');
    is($rows[2]{last_failed_health_check}, undef, 'nor ever');

    $standby2->stop('immediate');
    wait_row($primary, $standby2, 'down', \&is_down);
    $standby2->start;
    wait_row($primary, $standby2, 'up', \&is_up);
    my $row = (rows_of($primary, 'pg_status_stats'))[2];
    is($row->{total_count}, $row->{success_count} + $row->{fail_count}, 'successes and failures are all there is');
    ok($row->{fail_count} >= 3, "there were failures: $row->{fail_count}");
    ok($row->{retry_count} >= 2 && $row->{retry_count} <= $row->{fail_count} + 1, "some were retries: $row->{retry_count}");
    ok($row->{max_retry_count} >= 2, "in a row: $row->{max_retry_count}");
    cmp_ok(abs($row->{average_retry_count} - $row->{retry_count} / $row->{total_count}), '<', 1e-9, 'on average');
    ok($row->{min_health_check_duration} > 0
          && $row->{min_health_check_duration} <= $row->{average_health_check_duration}
          && $row->{average_health_check_duration} <= $row->{max_health_check_duration},
        'durations: ' . join(' <= ', map { $row->{"${_}_health_check_duration"} } qw(min average max)) . ' ms');
    ok($row->{last_failed_health_check} lt $row->{last_successful_health_check}, 'it failed before it succeeded');
    is($row->{skip_count}, 0, 'none is ever skipped');
    is($row->{last_skip_health_check}, undef, 'likewise');
    is($row->{status}, 'up', 'it is up');
};

subtest 'who may' => sub {
    sql($primary, 'CREATE ROLE plain; CREATE ROLE monitor; GRANT pg_monitor TO monitor');
    is(sql($primary, 'SET ROLE plain; SELECT count(*) FROM pg_status_pool_nodes'), 3, 'pool_nodes: everybody');
    ok(!eval { sql($primary, 'SELECT count(*) FROM pg_status_stats') }, 'stats: not everybody');
    ok(!eval { sql($primary, 'SELECT pg_status_stats_reset()') }, 'nor may everybody reset them');
    is(sql($primary, 'SET ROLE monitor; SELECT count(*) FROM pg_status_stats'), 3, 'stats: pg_monitor');
    sql($primary, 'RESET ROLE');
};

done_testing();
