# What people run today beside bgw_replstatus, Patroni and pg-status, with nothing but addresses changed: HAProxy with
# the configurations docs/haproxy/from-*.cfg, a client of pg-status, the question of vip-manager's Patroni type (which no
# Debian has), the probes of Kubernetes, keepalived, and libpq's own choice of a host. Each is asked before a failover,
# while there is no primary, and after it. It must not know of anything that only pg_status has.
use strict;
use warnings;
use FindBin;
use IO::Socket::INET;
use lib $FindBin::RealBin;
use PgStatus;
use PgStatus::Haproxy;
use PgStatus::Http;
use Test::More;

skip_without('haproxy', 'nc');
my @nodes = start_three();
my ($primary, $standby1, $standby2) = @nodes;
open_http(@nodes);
sql($primary, 'CREATE TABLE written (port int)');

my $bgw     = PgStatus::Haproxy->start('from-bgw_replstatus.cfg', \@nodes);
my $patroni = PgStatus::Haproxy->start('from-patroni.cfg',        \@nodes);

my $write = q{INSERT INTO written SELECT current_setting('port')::int RETURNING port};
my $where = q{SELECT current_setting('port') || ' ' || pg_is_in_recovery()};

# The servers that sessions reach: "port in_recovery" -> how many sessions.
sub reached {
    my ($proxy, $frontend, $sessions) = @_;
    my %reached;
    $reached{ $proxy->query($frontend, $where) }++ foreach 1 .. $sessions;
    return \%reached;
}

# A request as HTTP libraries send it, with headers that they add by themselves: (status, body).
sub http_get {
    my ($port, $path, $agent, @headers) = @_;
    my $answer = ask($port, join("\r\n", "GET $path HTTP/1.1", "Host: 127.0.0.1:$port", "User-Agent: $agent", @headers,
        'Accept-Encoding: gzip', 'Connection: close', '', ''));
    return $answer =~ m{\AHTTP/1\.[01] (\d+) .*?\r\n\r\n(.*)\z}s ? ($1, $2) : (0, $answer);
}

# ---- the clients ---------------------------------------------------------------------------------------------------

sub bgw_replstatus_users {
    my ($writer) = @_;
    $bgw->wait_serving('cluster', [$writer]);
    is($bgw->query('postgresql', $write), $writer->port, 'a write arrives at the only one that says MASTER');
    is_deeply(reached($bgw, 'postgresql', 4), { $writer->port . ' false' => 4 }, 'and so does everything else');
    return;
}

sub patroni_users {
    my ($writer, @readers) = @_;
    $patroni->wait_serving('pg_write_servers', [$writer]);
    $patroni->wait_serving('pg_read_servers',  \@readers);
    is($patroni->query('pg_write', $write), $writer->port, 'pg_write has the primary, and a write arrives there');
    is_deeply(reached($patroni, 'pg_read', 4), { map { $_->port . ' true' => 4 / @readers } @readers },
        'pg_read has all standbys, in turn');
    my ($status, $page) = http_get($patroni->port('stats'), '/stats', 'Mozilla/5.0');
    is($status, 200, 'the stats page is there');
    like($page, qr/pg_write_servers.*pg_read_servers/s, 'with both backends');
    return;
}

# The client's address for what the sidecar calls a host. Servers of this test share an address, so their names have a
# port; in production the body is the host's name as it is written in pg_status.hosts.
sub place { return 'host=' . $_[0] =~ s/:(\d+)\z/ port=$1/r }

sub pg_status_users {
    my ($sidecar, $writer, @readers) = @_;
    my $port = discovery_port($sidecar);
    my @json = ('Accept: application/json');
    is_deeply([ http_get($port, '/ready', 'kube-probe/1.30') ], [ 200, 'OK' ], 'the readiness probe');
    wait_for($sidecar->name . ' to name the writer',
        sub { (http_get($port, '/master', 'python-httpx/0.27'))[1] eq name_of($writer) });
    my (undef, $host) = http_get($port, '/master', 'python-httpx/0.27');
    is(query_at(place($host), $write), $writer->port, 'GET /master before a write: the body is where to connect to');
    is(json_of(http_get($port, '/master', 'axios/1.7', @json))->{host}, $host, 'and .host for those who want JSON');

    # Right after a failover a standby may not be known to be in sync yet, and the primary is named.
    my %is_standby = map { name_of($_) => 1 } @readers;
    foreach my $path (qw(/replica /sync_by_time /sync_by_bytes /sync_by_time_or_bytes /sync_by_time_and_bytes
        /most_sync_by_bytes)) {
        my $named;
        wait_for("$path to name a standby",
            sub { $is_standby{ $named = (http_get($port, $path, 'python-httpx/0.27'))[1] } });
        is(query_at(place($named), 'SELECT pg_is_in_recovery()'), 't', "GET $path before a read: a standby");
    }
    my $hosts = json_of(http_get($port, '/hosts', 'Grafana/11'));
    my %alive = map { $_->{host} => $_->{master} ? 'master' : 'replica' } grep { $_->{alive} } @$hosts;
    is(scalar @$hosts, 3, 'GET /hosts for the dashboard has all three');
    is_deeply(\%alive, { name_of($writer) => 'master', map { $_ => 'replica' } keys %is_standby },
        'and knows who is alive');
    return;
}

# dcs-type patroni, trigger-key /leader, trigger-value 200: who keeps the virtual address.
sub vip_manager {
    my (@asked) = @_;
    return join ' ', map { $_->name }
      grep { (http_get(check_port($_), '/leader', 'Go-http-client/1.1'))[0] == 200 } @asked;
}

sub kubernetes {
    my (@asked) = @_;
    foreach my $path (qw(/liveness /readiness)) {
        foreach my $node (@asked) {
            my $status = 0;
            my @request = (check_port($node), $path, 'kube-probe/1.30', 'Accept: */*');
            wait_for($node->name . " to pass $path", sub { ($status) = http_get(@request); $status == 200 });
            is($status, 200, $node->name . ": httpGet $path");
        }
    }
    return;
}

# A MISC_CHECK is a command whose exit status counts; an HTTP_GET wants status_code 200.
sub keepalived_by_nc {
    my (@asked) = @_;
    return join ' ', map { $_->name }
      grep { system('nc 127.0.0.1 ' . raw_port($_) . ' </dev/null | grep -qx MASTER') == 0 } @asked;
}

sub keepalived_by_http {
    my (@asked) = @_;
    my @headers = ('User-Agent: KeepAliveClient', 'Host: 127.0.0.1');
    return join ' ', map { $_->name }
      grep { (fetch(check_port($_), '/primary', 'GET', @headers))[0] == 200 } @asked;
}

# Several hosts in one connection string: libpq tries one after the other. `primary` is known from psql 14 on.
sub libpq {
    my ($query, @modes) = @_;
    my $hosts = 'host=' . join(',', ('127.0.0.1') x @nodes) . ' port=' . join(',', map { $_->port } reverse @nodes);
    return join ' ', map { query_at("$hosts target_session_attrs=$_", $query) } @modes;
}

my @modes = ('read-write', `psql --version` =~ /\) 13\b/ ? () : 'primary');

# Everybody finds the primary and the standbys.
sub everybody_finds {
    my ($writer, @readers) = @_;
    my @running = ($writer, @readers);
    subtest 'bgw_replstatus behind HAProxy' => sub { bgw_replstatus_users($writer) };
    subtest 'Patroni behind HAProxy'        => sub { patroni_users(@running) };
    foreach my $node (@running) {
        subtest 'pg-status on ' . $node->name => sub { pg_status_users($node, @running) };
    }
    subtest 'Kubernetes' => sub { kubernetes(@running) };
    is(vip_manager(@nodes),        $writer->name, 'vip-manager: the address is on the primary');
    is(keepalived_by_nc(@nodes),   $writer->name, 'keepalived: MISC_CHECK with nc is true on the primary');
    is(keepalived_by_http(@nodes), $writer->name, 'keepalived: so is HTTP_GET');
    is(libpq($write, @modes), join(' ', ($writer->port) x @modes), "libpq: target_session_attrs @modes");
    return;
}

# ---- the story -----------------------------------------------------------------------------------------------------

subtest 'the files' => sub {
    unlike($_->said, qr/WARNING|ALERT/, "$_->{file} is valid, without a warning") foreach $bgw, $patroni;
};

subtest 'what HAProxy sends' => sub {
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 10, Blocking => 0) or die "no port: $!";
    my $proxy = PgStatus::Haproxy->start('from-patroni.cfg', \@nodes, check_at => sub { $listener->sockport });
    my %sent;
    wait_for('both requests',
        sub {
            my $client = $listener->accept or return 0;
            $client->blocking(1);
            local $/ = "\r\n\r\n";
            $sent{ <$client> // '' }++;
            print $client "HTTP/1.0 200 OK\r\n\r\n";
            delete $sent{''};
            return keys %sent >= 2;
        });
    $proxy->stop;
    is_deeply([ sort keys %sent ], [ map { "GET $_ HTTP/1.0\r\n\r\n" } '/primary', '/replica' ],
        'httpchk sends HTTP/1.0, without a Host header or any other');
    foreach my $request (sort keys %sent) {
        my @codes = map { ask(check_port($_), $request) =~ m{\AHTTP/1\.[01] (\d+) } } @nodes;
        is_deeply(\@codes, $request =~ /primary/ ? [ 200, 503, 503 ] : [ 503, 200, 200 ], "answers: @codes");
    }
};

subtest 'a primary and two standbys' => sub { everybody_finds(@nodes) };

subtest 'no primary' => sub {
    wait_caught_up(@nodes);
    forget_session($primary);
    $primary->stop('immediate');
    my @standbys = ($standby1, $standby2);
    $bgw->wait_serving('cluster', []);
    is($bgw->query('postgresql', $write), '', 'bgw_replstatus behind HAProxy: no session, so no write');
    $patroni->wait_serving('pg_write_servers', []);
    is($patroni->query('pg_write', $write), '', 'Patroni behind HAProxy: pg_write has no server');
    $patroni->wait_serving('pg_read_servers', \@standbys);
    is_deeply(reached($patroni, 'pg_read', 2), { map { $_->port . ' true' => 1 } @standbys },
        'pg_read has its standbys');
    foreach my $node (@standbys) {
        my $port = discovery_port($node);
        wait_for('no primary to be known', sub { (http_get($port, '/master', 'python-httpx/0.27'))[0] == 404 });
        my ($status, $body) = http_get($port, '/master', 'axios/1.7', 'Accept: application/json');
        is("$status " . (json_of($status, $body)->{host} // 'null'), '404 null', 'pg-status: 404, and .host is null');
        is((http_get($port, '/replica', 'axios/1.7'))[0], 200, 'but /replica has one');
        is_deeply([ http_get($port, '/ready', 'kube-probe/1.30') ], [ 200, 'OK' ], 'and it stays ready');
        my ($alive) = http_get(check_port($node), '/liveness', 'kube-probe/1.30');
        is($alive, 200, 'Kubernetes: nobody is to be restarted');
    }
    is(vip_manager(@nodes),        '', 'vip-manager: the address is nowhere');
    is(keepalived_by_nc(@nodes),   '', 'keepalived: nc finds nobody');
    is(keepalived_by_http(@nodes), '', 'nor does HTTP_GET');
    is(libpq($write, 'read-write'), '', 'libpq: no session to write in');
};

subtest 'a standby is promoted' => sub {
    $standby1->promote;
    set_conf($standby2, primary_conninfo => conninfo_of($standby1, $standby2));
    everybody_finds($standby1, $standby2);
    is(sql($standby1, 'SELECT count(DISTINCT port) FROM written'), 2, 'what was written before is there, too');
};

subtest 'no standby' => sub {
    forget_session($standby2);
    $standby2->stop('immediate');
    $patroni->wait_serving('pg_read_servers', []);
    is($patroni->query('pg_read', $where), '', 'Patroni behind HAProxy: pg_read has no server');
    is(code($standby1, '/read-only'), 200, 'the primary would take part with /read-only');
    my $replica = sub { (http_get(discovery_port($standby1), '/replica', 'python-httpx/0.27'))[1] };
    wait_for('the standby to be given up', sub { $replica->() eq name_of($standby1) });
    pass('pg-status: /replica falls back to the primary');
};

# What must not be done, and what then saves the data.
subtest 'the old primary is started as it was' => sub {
    $primary->start;
    $bgw->wait_serving('cluster', [ $primary, $standby1 ]);
    is_deeply(reached($bgw, 'postgresql', 4), { $primary->port . ' false' => 4 },
        'bgw_replstatus behind HAProxy: two say MASTER; the one that is not backup takes all, nothing is shared');
    $patroni->wait_serving('pg_write_servers', [ $primary, $standby1 ]);
    is_deeply(reached($patroni, 'pg_write', 4), { map { $_->port . ' false' => 2 } $primary, $standby1 },
        'Patroni behind HAProxy: without backup they share the writes');
};

done_testing;
