# A real HAProxy in front of a real cluster, with the three configurations of docs/haproxy that are written for
# pg_status: which servers are up, where SQL ends up, how a standby that falls behind loses weight, and all that again
# after a failover. It must not know how an answer comes about, only what HAProxy makes of it.
use strict;
use warnings;
use File::Path;
use FindBin;
use lib $FindBin::RealBin;
use PgStatus;
use PgStatus::Haproxy;
use PgStatus::Http;
use PgStatus::Session;
use Test::More;

skip_without('haproxy');
# Replication slots are not used: WAL is kept until the last standby has followed a new primary.
my @nodes = start_three(wal_keep_size => '512MB');
my ($primary, $standby1, $standby2) = @nodes;
open_http(@nodes);
sql($primary, 'CREATE TABLE written (port int)');

my %proxy = map { $_ => PgStatus::Haproxy->start("$_.cfg", \@nodes) } qw(raw http agent);

my $write = q{INSERT INTO written SELECT current_setting('port')::int RETURNING port};

# The weights that a backend of agent.cfg gives to nodes, in their order.
sub weights {
    my ($rows, @of) = @_;
    return [ map { $rows->{ $_->name }{weight} } @of ];
}

# A condition for wait_serving(): these weights.
sub weighs {
    my ($weights, @of) = @_;
    return sub { "@{ weights($_[0], @of) }" eq "@$weights" };
}

sub names { return join(' and ', map { $_->name } @_) || 'nobody' }

# Everywhere exactly these: the primary (or none) for writes, the standbys for reads.
sub exactly_serve {
    my ($writer, @readers) = @_;
    my @writers = $writer ? $writer : ();
    foreach my $name (sort keys %proxy) {
        $proxy{$name}->wait_serving('writes', \@writers);
        pass("$name.cfg: up for writes: " . names(@writers));
        $proxy{$name}->wait_serving('reads', \@readers);
        pass("$name.cfg: up for reads: " . names(@readers));
    }
    my @all = (@writers, @readers);
    my @weights = ((5) x @writers, (100) x @readers);
    $proxy{agent}->wait_serving('reads_or_primary', \@all, weighs(\@weights, @all));
    pass('agent.cfg: up for reads that may go to the primary: ' . names(@all) . ", weights @weights");
    return;
}

# The servers, by their ports, that sessions through a frontend reach; each with whether it is in recovery.
sub reached {
    my ($proxy, $frontend, $sessions) = @_;
    my %reached;
    my $query = q{SELECT current_setting('port') || ' ' || pg_is_in_recovery()};
    $reached{ $proxy->query($frontend, $query) }++ foreach 1 .. $sessions;
    return \%reached;
}

sub sql_arrives {
    my ($writer, @readers) = @_;
    foreach my $name (sort keys %proxy) {
        is($proxy{$name}->query('writes', $write), $writer->port, "$name.cfg: a write ends up on the primary");
        is_deeply(reached($proxy{$name}, 'reads', 4), { map { $_->port . ' true' => 4 / @readers } @readers },
            "$name.cfg: four sessions that read are spread over the standbys");
    }
    return;
}

subtest 'the files' => sub {
    foreach my $name (sort keys %proxy) {
        unlike($proxy{$name}->said, qr/WARNING|ALERT/, "$name.cfg is valid, without a warning");
    }
};

subtest 'a primary and two standbys' => sub {
    exactly_serve(@nodes);
    sql_arrives(@nodes);
    my $agents = $proxy{agent}->wait_serving('reads', [ $standby1, $standby2 ],
        sub { 3 == grep { $_->{agent_status} =~ /^L7/ && $_->{last_agt} } values %{ $_[0] } });
    is_deeply([ map { $agents->{ $_->name }{agent_status} } @nodes ], [qw(L7STS L7OK L7OK)], 'the agents are heard');
    like($agents->{primary}{last_agt}, qr/down \(primary\)/, 'HAProxy shows why the primary takes no reads');
};

subtest 'a standby falls behind' => sub {
    my $megabytes = q{SELECT pg_logical_emit_message(true, '', repeat('x', 1024 * 1024)) FROM generate_series(1, %d)};
    my @standbys = ($standby1, $standby2);
    sql($standby1, 'SELECT pg_wal_replay_pause()');
    sql($primary, sprintf $megabytes, 4);
    # (The other one has to replay the 4 MB, too, and weighs less until then.)
    my $is_less = sub {
        my ($paused, $other) = @{ weights($_[0], @standbys) };
        return $paused > 40 && $paused < 90 && $other == 100;
    };
    my $rows = $proxy{agent}->wait_serving('reads', \@standbys, $is_less);
    my $weight = $rows->{standby1}{weight};
    is($weight % 5, 0, "4 MB behind: up with a weight of $weight of 100, the other one with 100");
    $rows = $proxy{agent}->wait_serving('reads_or_primary', \@nodes, $is_less);
    is($rows->{primary}{weight}, 5, 'it is the same where the primary takes part');

    sql($primary, sprintf $megabytes, 8);
    $rows = $proxy{agent}->wait_serving('reads', [$standby2],
        sub { $_[0]{standby1}{status} eq 'DOWN (agent)' && $_[0]{standby1}{last_agt} });
    like($rows->{standby1}{last_agt}, qr/down \(lag 1\d{7} over 10485760\)/,
        '12 MB behind: down, and HAProxy shows the lag');
    $proxy{agent}->wait_serving('reads_or_primary', [ $primary, $standby2 ]);
    $proxy{http}->wait_serving('reads', [$standby2]);
    pass('nor is it read from where only a code tells');
    $proxy{raw}->wait_serving('reads', \@standbys);
    pass('the raw port knows no limit');
    is_deeply(reached($proxy{$_}, 'reads', 2), { $standby2->port . ' true' => 2 }, "$_.cfg: reads go to the other one")
      foreach qw(agent http);

    sql($standby1, 'SELECT pg_wal_replay_resume()');
    $proxy{agent}->wait_serving('reads', \@standbys, weighs([ 100, 100 ], @standbys));
    pass('replay resumed: up, with full weight');
    exactly_serve(@nodes);
};

subtest 'checks that are aimed at the discovery port' => sub {
    my $wrong = PgStatus::Haproxy->start('http.cfg', \@nodes, check_at => \&discovery_port);
    my $rows = $wrong->wait_serving('reads', []);
    is_deeply([ map { $rows->{ $_->name }{check_code} } @nodes ], [ 200, 200, 200 ],
        'no server is up for reads, though each one answered 200');
    $wrong->wait_serving('writes', []);
    pass('nor for writes');
    $wrong->stop;
};

subtest 'no primary' => sub {
    wait_caught_up(@nodes);
    forget_session($primary);
    $primary->stop('immediate');
    exactly_serve(undef, $standby1, $standby2);
    is($proxy{$_}->query('writes', 'SELECT 1'), '', "$_.cfg: nobody takes writes") foreach sort keys %proxy;
};

subtest 'a standby is promoted' => sub {
    $standby1->promote;
    set_conf($standby2, primary_conninfo => conninfo_of($standby1, $standby2));
    # Until it has followed to the new timeline, a standby is within no limit of lag.
    wait_for('the other one to follow',
        sub { json_of(check($standby2, '/patroni'))->{timeline} == 2 && code($standby2, '/replica?lag=10MB') == 200 });
    exactly_serve($standby1, $standby2);
    sql_arrives($standby1, $standby2);
};

subtest 'the old primary is rebuilt as a standby' => sub {
    $standby1->backup('base');
    rmtree($primary->data_dir);
    init_standby($primary, $standby1,
        'pg_status.http_port' => discovery_port($primary), 'pg_status.check_port' => check_port($primary));
    $primary->start;
    exactly_serve($standby1, $primary, $standby2);
    sql_arrives($standby1, $primary, $standby2);
};

# A smart shutdown waits for the sessions, and would do so for ever if HAProxy kept them.
subtest 'the primary begins a smart shutdown' => sub {
    my $place = 'dbname=postgres host=127.0.0.1 port=';
    my %session = map { $_ => PgStatus::Session->new($place . $proxy{$_}->port('writes')) } sort keys %proxy;
    forget_session($standby1);
    $standby1->stop('smart');
    foreach my $name (sort keys %session) {
        ok(!eval { $session{$name}->query('SELECT 1') }, "$name.cfg: HAProxy has ended the session on it");
        $session{$name}->close;
    }
    exactly_serve(undef, $primary, $standby2);
};

subtest 'no standby' => sub {
    forget_session($_) foreach $primary, $standby2;
    $standby2->stop('immediate');
    $primary->promote;
    exactly_serve($primary);
    is($proxy{agent}->query('reads', 'SELECT 1'), '', 'nobody takes reads');
    is_deeply(reached($proxy{agent}, 'reads_or_primary', 2), { $primary->port . ' false' => 2 },
        'but for those that may go to the primary');
};

done_testing;
