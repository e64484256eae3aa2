# What the check port promises, row by row, on a real cluster: the code of each path for a primary and for standbys of
# each kind, lag limits and other parameters, methods, JSON held against SQL, agent replies, and nodes that start or
# shut down. It knows the promise only, not how an answer comes about.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use JSON::PP;
use List::Util qw(max);
use PgStatus;
use PgStatus::Http;
use PostgreSQL::Test::Cluster;
use Test::More;

my $json_type    = 'application/json';
my $metrics_type = 'text/plain; version=0.0.4; charset=utf-8';
my $methods      = 'GET, HEAD, OPTIONS';

my @nodes = start_three();
my ($primary, $standby1, $standby2) = @nodes;
my ($p, $s1, $s2) = map { name_of($_) } @nodes;
open_http(@nodes);

# Paths and their codes for a primary and for an asynchronous, a synchronous and a quorum standby.
my @kinds = qw(primary async sync quorum);
my %codes = (
    (map { $_ => [ 200, 503, 503, 503 ] } qw(/ /primary /read-write /master /leader)),
    (map { $_ => [ 503, 503, 503, 503 ] } qw(/standby-leader /standby_leader)),
    '/replica'   => [ 503, 200, 200, 200 ],
    '/read-only' => [ 200, 200, 200, 200 ],
    (map { $_ => [ 503, 503, 200, 503 ] } qw(/sync /synchronous)),
    '/quorum' => [ 503, 503, 503, 200 ],
    (map { $_ => [ 503, 200, 503, 503 ] } qw(/async /asynchronous)),
    (map { $_ => [ 200, 503, 200, 503 ] } qw(/read-only-sync /read-only-synchronous)),
    '/read-only-quorum' => [ 200, 503, 503, 200 ],
    (map { $_ => [ 200, 200, 200, 200 ] } qw(/health /liveness /readiness /patroni /node /cluster /metrics /ui
          /ui/data)));
my %silent = map { $_ => 1 } qw(/liveness /readiness);
# Those that ask for a role, and those of them that take parameters.
my @role_paths = grep { !m{^/(health|liveness|readiness|patroni|node|cluster|metrics|ui|ui/data)$} } sort keys %codes;
my @families   = qw(/replica /read-only /sync /synchronous /quorum /async /asynchronous /read-only-sync
  /read-only-synchronous /read-only-quorum);

my @heard;    # all agent replies

# ---- asking --------------------------------------------------------------------------------------------------------

# One request: (status, body, head). Every answer of this port is held to what all have in common.
sub told {
    my ($node, $path, $method, @headers) = @_;
    $method //= 'GET';
    my ($status, $body, $head) = check($node, $path, $method, @headers);
    my $length = field_of($head, 'Content-Length') // '';
    my $bodyless = $method eq 'HEAD' || $method eq 'OPTIONS';
    my %right    = (
        'Cache-Control'    => (field_of($head, 'Cache-Control')    // '') eq 'no-store',
        'X-Pg-Status-Port' => (field_of($head, 'X-Pg-Status-Port') // '') eq 'check',
        # (of what the page lives on HEAD does not tell it)
        'Content-Length'   => $method ne 'HEAD' ? $length eq length $body
            : $path eq '/ui/data' && $status == 200 ? $length eq '' : $length =~ /^\d+$/,
        'Content-Type'     => $method eq 'HEAD' || defined field_of($head, 'Content-Type') == ($body ne ''),
        'Allow'            => $status != 405 || (field_of($head, 'Allow') // '') eq $methods,
        'no body'          => !$bodyless || $body eq '');
    fail("$method $path: $_ is wrong in: $head") foreach grep { !$right{$_} } sort keys %right;
    return ($status, $body, $head);
}

sub status_of { return (told(@_))[0] }
sub node_json { return json_of(told($_[0], $_[1] // '/patroni')) }

# The codes of many requests to one node, as a hash.
sub statuses { my ($node, @paths) = @_; return { map { $_ => status_of($node, $_) } @paths } }

sub agent {
    my ($node, $command) = @_;
    my $reply = line($node, $command);
    push @heard, $reply;
    return $reply;
}

# Each path, with each method, to a node of that kind.
sub check_paths {
    my ($node, $kind) = @_;
    my ($column) = grep { $kinds[$_] eq $kind } 0 .. $#kinds;
    my (%seen, %expected, @wrong);
    foreach my $path (sort keys %codes) {
        $expected{$path} = [ ($codes{$path}[$column]) x 3 ];
        $seen{$path}     = [ map { status_of($node, $path, $_) } qw(GET HEAD OPTIONS) ];
        my (undef, $body, $head) = told($node, $path);
        my $type = field_of($head, 'Content-Type') // '';
        my %others = ('/metrics' => $metrics_type, '/ui' => 'text/html; charset=utf-8');
        my $wanted = $silent{$path} ? '' : $others{$path} // $json_type;
        push @wrong, "$path has the type \"$type\"" if $type ne $wanted;
        next if $type ne $json_type || $path =~ m{\A/(?:cluster|ui/data)\z};
        my $json = decode_json($body);
        push @wrong, "$path: $body" if $json->{state} ne 'running' || !exists $json->{patroni};
    }
    is_deeply(\%seen, \%expected, $node->name . ", $kind: each path has its code, by GET, HEAD and OPTIONS");
    is_deeply(\@wrong, [], $node->name . ": each has its type, each health path describes the node");
    return;
}

# Changes who is synchronous, and returns when the standbys know it of themselves.
sub set_synchronous {
    my ($names, $state1, $state2) = @_;
    set_conf($primary, synchronous_standby_names => $names);
    foreach my $pair ([ $standby1, $state1 ], [ $standby2, $state2 ]) {
        my ($standby, $state) = @$pair;
        wait_row($_, $standby, $state, sub { ($_[0]{sync_state} // '') eq $state }) foreach @nodes;
    }
    return;
}

# ---- kinds of nodes ------------------------------------------------------------------------------------------------

subtest 'a primary and asynchronous standbys' => sub {
    check_paths($primary,  'primary');
    check_paths($standby1, 'async');
};

subtest 'a synchronous standby' => sub {
    set_synchronous('FIRST 1 (standby1, standby2)', 'sync', 'potential');
    check_paths($standby1, 'sync');
    check_paths($standby2, 'async');
    is(node_json($standby1)->{sync_standby}, JSON::PP::true, 'its JSON says so');
    ok(!exists node_json($standby2)->{sync_standby}, 'and that of the other nothing');
    my %roles = map { $_->{name} => $_->{role} } @{ node_json($primary, '/cluster')->{members} };
    is_deeply(\%roles, { $p => 'leader', $s1 => 'sync_standby', $s2 => 'replica' }, '/cluster has it, too');
    is(agent($standby1, 'sync'), "up\n",          'so has its agent');
    is(agent($standby2, 'sync'), "down # not synchronous\n", 'and the other one');
};

subtest 'a quorum standby' => sub {
    set_synchronous('ANY 1 (standby1)', 'quorum', 'async');
    check_paths($standby1, 'quorum');
    check_paths($standby2, 'async');
    is(node_json($standby1)->{quorum_standby}, JSON::PP::true, 'its JSON says so');
    ok(!exists node_json($standby1)->{sync_standby}, 'and not that it is synchronous');
    my %roles = map { $_->{name} => $_->{role} } @{ node_json($standby2, '/cluster')->{members} };
    is_deeply(\%roles, { $p => 'leader', $s1 => 'quorum_standby', $s2 => 'replica' }, '/cluster has it, too');
    set_synchronous('', 'async', 'async');
    check_paths($standby1, 'async');
};

subtest 'two ports, two meanings' => sub {
    # what GET gets on the discovery port and on the check port, of the primary and of a standby
    my %rows = (
        '/replica'        => [ 200, 200, 503, 200 ],
        '/master'         => [ 200, 200, 200, 503 ],
        '/'               => [ 404, 404, 200, 503 ],
        '/primary'        => [ 404, 404, 200, 503 ],
        '/leader'         => [ 404, 404, 200, 503 ],
        '/read-only'      => [ 404, 404, 200, 200 ],
        '/health'         => [ 404, 404, 200, 200 ],
        '/sync'           => [ 404, 404, 503, 503 ],
        '/sync_by_time'   => [ 200, 200, 404, 404 ],
        '/hosts'          => [ 200, 200, 404, 404 ],
        '/version'        => [ 200, 200, 404, 404 ],
        '/live'           => [ 200, 200, 404, 404 ],
        '/ready'          => [ 200, 200, 404, 404 ],
        '/liveness'       => [ 404, 404, 200, 200 ],
        '/readiness'      => [ 404, 404, 200, 200 ],
        '/replica?lag=x'  => [ 200, 200, 400, 400 ],
        '/replica?lag_ms=x' => [ 400, 400, 503, 200 ]);
    my %seen = map { my $path = $_;
        $path => [ map { $_->[0] } map { my $ask = $_; map { [ $ask->($_, $path) ] } $primary, $standby1 } \&discover,
            \&check ] } keys %rows;
    is_deeply(\%seen, \%rows, 'the same path');
    foreach my $method (qw(HEAD OPTIONS)) {
        is_deeply([ (discover($standby1, '/replica', $method))[0], status_of($standby1, '/replica', $method) ],
            [ 405, 200 ], "$method is for checks only");
    }
    is(field_of((discover($standby1, '/replica'))[2], 'X-Pg-Status-Port'), 'discovery', 'each says which one it is');
    is(field_of((told($standby1, '/replica'))[2],     'X-Pg-Status-Port'), 'check',     'so a check can ask for it');
    like((discover($standby1, '/replica'))[2],  qr{^Content-Type: text/plain}m, 'text by default there');
    is(field_of((told($standby1, '/replica', 'GET', 'Accept: text/plain'))[2], 'Content-Type'), $json_type,
        'always JSON here');
};

# ---- parameters ----------------------------------------------------------------------------------------------------

subtest 'paths that are none here' => sub {
    my @unknown = map { "/$_" } qw(xprimaryx xreplicax Primary primary/ replicas read-only- agent config history restart
      switchover ui/ sync_by_bytes %2fprimary *);
    foreach my $path (@unknown) {
        is_deeply([ map { status_of($standby1, $path, $_) } qw(GET HEAD OPTIONS) ], [ (404) x 3 ], "$path: not found");
    }
    my ($status, $body, $head) = told($standby1, '/nope');
    is_deeply([ $status, $body, field_of($head, 'Content-Type') ], [ 404, '{"error_text": "Not found"}', $json_type ],
        'with JSON that says so');
    is(field_of((told($standby1, '/nope', 'HEAD'))[2], 'Content-Length'), length $body, 'HEAD tells its length');
    is(status_of($standby1, '/%72eplica'), 200, 'a path is decoded');
    is_deeply([ (told($standby1, $_))[ 0, 1 ] ], [ 400, '' ], "$_ is no path")
      foreach '/%zz', '/replica%00', '/replica?lag=%';
};

subtest 'lag sizes' => sub {
    my @good = qw(1048576 0 10MB 10%20MB 10+MB %2010MB%20 1.5GB 10240kB 10485760B 1TB 0.5MB);
    my @bad  = (
        '',      'abc', '-1', '%2B1', '10mb', '10KB', '10M', '10MBx', '10%20M%20B', '1e9', '0x10', '1.5', 'MB', '1,5MB',
        '18446744073709551616', '99999999999TB', 'NaN', '1..5MB', '.');
    foreach my $path (@families, '/readiness') {
        my %expected = map { ("$path?lag=$_" => 400) } @bad;
        is_deeply(statuses($standby1, keys %expected), \%expected, "$path refuses what is no size");
        is_deeply(statuses($primary,  keys %expected), \%expected, 'on a primary, too');
        my $code = $path =~ /sync|quorum/ && $path !~ /async/ ? 503 : 200;
        %expected = map { ("$path?lag=$_" => $code) } @good;
        # The WAL that an idle primary writes now and then is replayed at once, but maybe not before a check of "0".
        wait_for("$path to take sizes",
            sub { my $seen = statuses($standby1, keys %expected); !grep { $seen->{$_} != $code } keys %expected });
        pass("and takes sizes as PostgreSQL writes them");
    }
    foreach my $method (qw(GET HEAD OPTIONS)) {
        is(status_of($standby1, '/replica?lag=abc', $method), 400, "$method is refused the same");
    }
    is((told($standby1, '/replica?lag=abc'))[1],    '{"error_text": "Invalid lag"}',  'the error is named');
    is((told($standby1, '/readiness?mode=abc'))[1], '{"error_text": "Invalid mode"}', 'that of the mode as well');
    is(status_of($standby1, "/readiness?mode=$_"), 400, "mode=$_ is none")  foreach '', 'replay', 'Apply', 'write%20';
    is(status_of($standby1, "/readiness?mode=$_"), 200, "mode=$_ is known") foreach qw(apply write);
    my %ignored = map { ("$_?lag=abc&mode=abc&tag_x=1&replication_state=x" => 200) }
      qw(/ /primary /master /read-write /leader /health /liveness /patroni /node /cluster /metrics);
    is_deeply(statuses($primary, keys %ignored), \%ignored, 'paths that have no parameters ignore them');
};

subtest 'other parameters' => sub {
    # code of the query on /replica, /read-only and /async of a standby, and on /read-only of the primary
    my @rows = (
        [ 'replication_state=streaming'                             => 200, 200 ],
        [ 'replication_state=in%20archive%20recovery'               => 503, 200 ],
        [ 'replication_state=in+archive+recovery'                   => 503, 200 ],
        [ 'replication_state=Streaming'                             => 503, 200 ],
        [ 'replication_state='                                      => 503, 200 ],
        [ 'replication_state'                                       => 503, 200 ],
        [ 'replication_state=streaming&replication_state=x'         => 200, 200 ],
        [ 'replication_state=x&replication_state=streaming'         => 503, 200 ],
        [ 'tag_x=1'                                                 => 503, 503 ],
        [ 'tag_x=false'                                             => 503, 503 ],
        [ 'tag_nofailover='                                         => 503, 503 ],
        [ 'unknown=1&x'                                             => 200, 200 ],
        [ 'LAG=abc&Replication_state=x&Tag_x=1'                     => 200, 200 ],
        [ 'lag=abc&lag=1MB'                                         => 400, 400 ],
        [ 'lag=1MB&lag=abc'                                         => 200, 200 ],
        [ 'tag_x=1&lag=abc'                                         => 400, 400 ]);
    foreach my $row (@rows) {
        my ($query, $standby, $on_primary) = @$row;
        is_deeply([ (map { status_of($standby1, "$_?$query") } qw(/replica /read-only /async)),
                status_of($primary, "/read-only?$query") ], [ ($standby) x 3, $on_primary ], $query);
    }
    is(status_of($primary, '/replica?replication_state=streaming'), 503, 'a primary is no replica, whatever is asked');
};

# ---- HTTP ----------------------------------------------------------------------------------------------------------

subtest 'methods' => sub {
    foreach my $method (qw(POST PUT DELETE PATCH TRACE)) {
        my @told = map { [ (told($primary, $_, $method))[ 0, 1 ] ] } qw(/ /primary /nope /%zz /restart /patroni);
        is_deeply(\@told, [ ([ 405, '' ]) x 6 ], "$method is not allowed");
    }
    is_deeply([ map { status_of($_, '*', 'OPTIONS') } @nodes ], [ 200, 503, 503 ], 'OPTIONS * is the primary check');
    is_deeply([ map { status_of($_, '/', 'OPTIONS') } @nodes ], [ 200, 503, 503 ], 'as is OPTIONS /');
    foreach my $path ('/primary', '/replica', '/patroni', '/cluster', '/metrics', '/ui') {
        my $length = sub { field_of((told($standby1, $path, $_[0]))[2], 'Content-Length') };
        wait_for("the length of $path to be the same twice",
            sub { my $before = $length->('GET'); $length->('HEAD') == $before && $before > 0 });
        is($length->('OPTIONS'), 0, "$path: HEAD tells the length of GET's body, OPTIONS has none");
    }
    is(field_of((told($standby1, $_, 'HEAD'))[2], 'Content-Length'), 0, "$_ has no body") foreach sort keys %silent;
};

subtest 'connections' => sub {
    my $requests = join '', map { "$_ HTTP/1.1\r\nHost: x\r\n\r\n" } 'GET /replica', 'OPTIONS /', 'GET /nope', 'POST /',
      'GET /liveness', 'GET /replica?lag=x';
    $requests .= "GET /health HTTP/1.0\r\n\r\n";
    my @expected = (200, 503, 404, 405, 200, 400, 200);
    foreach my $bytes ($requests, [ $requests =~ /.{1,11}/gs ]) {
        is_deeply([ map { $_->{status} } answers_to(check_port($standby1), $bytes) ], \@expected,
            'many requests on one connection' . (ref $bytes ? ', in pieces' : ''));
    }
    my $socket = connect_to(check_port($standby1));
    send_pieces($socket, "HEAD /replica HTTP/1.1\r\n\r\n");
    is(receive($socket, 'no body')->{status}, 200, 'HEAD on a connection that stays');
    send_pieces($socket, "OPTIONS /replica HTTP/1.1\r\nConnection: close\r\n\r\n");
    is(receive($socket)->{status}, 200,   'which is in step afterwards');
    is(receive($socket),           undef, 'and ends when the client wants it');
    my $status = sub { join ' ', map { $_->{status} } answers_to(check_port($standby1), @_) };
    is($status->("GET /replica HTTP/1.1\r\nContent-Length: 2\r\n\r\nhiGET / HTTP/1.1\r\n\r\n"), 413, 'no body');
    is($status->("GET http://db2:8008/replica HTTP/1.0\r\n\r\n"),                            200, 'an absolute target');
    is($status->("GET /replica HTTP/1.0\r\nCookie: " . 'x' x 8000 . "\r\n\r\n"),              200, 'a large head');
    like($status->("GET /replica HTTP/1.0\r\nCookie: " . 'x' x 17000 . "\r\n\r\n"), qr/^(431|413|400)$/, 'a huge one');
    my ($help) = answers_to(check_port($standby1), "GET /replica HTTP/1.0\n\n");
    like("$help->{status} $help->{body}", qr/^400 .*\bCR LF\b/, 'lines that end in LF alone: a word of help');
};

# ---- JSON ----------------------------------------------------------------------------------------------------------

# A time as the JSON has it, by SQL.
sub time_in_sql {
    my ($node, $expression) = @_;
    return sql($node, "SELECT to_char($expression AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00:00'");
}

sub bytes_in_sql { my ($node, $lsn) = @_; return sql($node, "SELECT $lsn - '0/0'::pg_lsn") }

# What /patroni says of any node, less what differs.
sub check_node_json {
    my ($node, $json) = @_;
    my $name = $node->name;
    is_deeply([ @$json{qw(state server_version timeline)} ], [ 'running', sql($node, 'SHOW server_version_num'), 1 ],
        "$name: state, version and timeline");
    is($json->{postmaster_start_time}, time_in_sql($node, 'pg_postmaster_start_time()'), 'start time');
    my $identifier = sql($node, 'SELECT system_identifier FROM pg_control_system()');
    is($json->{database_system_identifier}, $identifier, 'identifier');
    cmp_ok(abs(time - $json->{dcs_last_seen}), '<', 60, 'a host was seen just now');
    is_deeply($json->{patroni},
        {   version => sql($node, 'SELECT pg_status_version()'),
            scope   => sql($node, 'SHOW cluster_name'),
            name    => name_of($node) },
        'who speaks');
    my %own = %{ $json->{pg_status} };
    my $age = delete $own{polled_ms};
    my $why = delete $own{primary_reason};
    is($why // '', sql($node, 'SELECT pg_status_primary_reason()'), 'why it is this primary');
    cmp_ok($age, '<', 60000, 'the last sign of life of the poller');
    is_deeply(\%own,
        {   version            => sql($node, 'SELECT pg_status_version()'),
            lag_bytes          => 0,
            lag_ms             => 0,
            primary            => $p,
            split_brain        => JSON::PP::false,
            diverged           => JSON::PP::false,
            quorum             => JSON::PP::true,
            fenced             => JSON::PP::false,
            fence_cause        => undef,
            read_only          => JSON::PP::false,
            maintenance        => JSON::PP::false,
            maintenance_reason => undef },
        'and what is our own');
    my @special = qw(pause cluster_unlocked tags pending_restart failsafe_mode_is_active);
    is_deeply([ grep { exists $json->{$_} } @special ], [],
        'keys that only a special state has are not there');
    my ($text) = (told($node, '/patroni'))[1];
    like($text, qr/"database_system_identifier":"\d+"/, 'the identifier is a text');
    like($text, qr/"server_version":\d+,/,              'the version a number');
    is_deeply([ sort keys %{ node_json($node, $_) } ], [ sort keys %$json ], "$_ has the same keys")
      foreach '/node', '/health', '/primary', '/replica', '/sync', '/';
    return;
}

subtest 'JSON of a primary' => sub {
    my $json;
    wait_for('the position to be the same in SQL',
        sub { $json = node_json($primary); $json->{xlog}{location} == bytes_in_sql($primary, 'pg_current_wal_lsn()') });
    is_deeply([ keys %{ $json->{xlog} } ], ['location'], 'its position is the one it has written');
    is($json->{role}, 'primary', 'its role');
    ok(!exists $json->{replication_state}, 'it does not replicate from anybody');
    is_deeply(
        [ sort { $a->{application_name} cmp $b->{application_name} } @{ $json->{replication} } ],
        decode_json(sql($primary, q{SELECT json_agg(r ORDER BY r.application_name COLLATE "C") FROM (SELECT usename,
            application_name, host(client_addr) AS client_addr, state, sync_state, sync_priority
            FROM pg_stat_replication) r})),
        'who replicates from it is as in pg_stat_replication');
    check_node_json($primary, $json);
};

subtest 'JSON of a standby' => sub {
    sql($primary, q(SELECT pg_logical_emit_message(true, 'filler', 'x')));
    my $json;
    my $by_sql = sub {
        return {
            received_location  => bytes_in_sql($standby1, 'pg_last_wal_receive_lsn()'),
            replayed_location  => bytes_in_sql($standby1, 'pg_last_wal_replay_lsn()'),
            replayed_timestamp => time_in_sql($standby1, 'pg_last_xact_replay_timestamp()'),
            paused             => JSON::PP::false };
    };
    my $encoder = JSON::PP->new->canonical;
    my $as_text = sub { my %xlog = %{ $_[0] }; $encoder->encode({ map { $_ => "$xlog{$_}" } keys %xlog }) };
    wait_for('the positions to be the same in SQL, and up to date',
        sub {
            $json = node_json($standby1);
            return $as_text->($json->{xlog}) eq $as_text->($by_sql->())
              && $json->{xlog}{replayed_location} == $json->{xlog}{received_location}
              && "$json->{pg_status}{lag_bytes} $json->{pg_status}{lag_ms}" eq '0 0';
        });
    pass('positions and the time of the last commit are those of SQL');
    is_deeply([ @$json{qw(role replication_state)} ], [qw(replica streaming)], 'role and state');
    ok(!exists $json->{replication}, 'nobody replicates from it');
    check_node_json($standby1, $json);
};

subtest '/cluster' => sub {
    foreach my $node (@nodes) {
        my $json;
        wait_for('nobody to lag', sub {
            $json = node_json($node, '/cluster');
            return !grep { ($_->{lag} // 0) ne '0' } @{ $json->{members} };
        });
        is_deeply($json,
            {   scope          => sql($node, 'SHOW cluster_name'),
                primary_reason => sql($node, 'SELECT pg_status_primary_reason()') || undef,
                members        => [
                    map {
                        my $is_primary = $_ == $primary;
                        {   name     => name_of($_),
                            role     => $is_primary ? 'leader' : 'replica',
                            state    => $is_primary ? 'running' : 'streaming',
                            host     => '127.0.0.1',
                            port     => $_->port,
                            timeline => 1,
                            $is_primary ? () : (lag => 0) }
                    } @nodes ] },
            $node->name . ' lists all');
    }
};

# ---- agent replies -------------------------------------------------------------------------------------------------

my $full = "up\n";
# one that some replies put into maintenance may have been put there before this server was started
my $ready    = "up ready\n";
my $weighted = "up 100%\n";

subtest 'agent replies' => sub {
    # command, reply of a primary, reply of a standby that keeps up
    my @rows = (
        [ 'agent?role=primary',                    $full,                      "down # replica\n" ],
        [ 'agent?role=primary&down=down',          $full,                      "down # replica\n" ],
        [ 'agent?role=primary&down=maint',         $ready, "up maint # replica\n" ],
        [ 'agent?role=primary&down=drain',         $ready, "up drain\n" ],
        [ 'agent',                                 $full,                      "down # replica\n" ],
        [ 'agent?role=replica',                    "down # primary\n",         $full ],
        [ "agent?role=replica&lag=10MB\r",         "down # primary\n",         $full ],
        [ 'agent?role=replica&lag=10MB&soft=1MB',  "down # primary\n",         $weighted ],
        [ 'agent?role=replica&down=maint',         "up maint # primary\n",     $ready ],
        [ 'agent?role=replica&down=drain',         "up drain\n",               $ready ],
        [ 'agent?role=replica&primary_weight=5',   "up 5%\n",            $weighted ],
        [ 'agent?role=replica&primary_weight=100', $weighted, $weighted ],
        [ 'agent?role=any',                        $full,                      $full ],
        [ 'agent?role=any&lag=10MB',               $full,                      $full ],
        [ 'agent?role=any&primary_weight=5',       "up 5%\n",            $weighted ],
        [ '',                                      $full,                      "down # replica\n" ],
        [ "\r",                                    $full,                      "down # replica\n" ],
        [ 'primary',                               $full,                      "down # replica\n" ],
        [ 'leader',                                $full,                      "down # replica\n" ],
        [ 'replica',                               "down # primary\n",         $full ],
        [ "replica?lag=10MB\r",                    "down # primary\n",         $full ],
        [ 'read-only?lag=10MB',                    $full,                      $full ],
        [ 'sync',                                  "down # primary\n",         "down # not synchronous\n" ],
        [ 'quorum',                                "down # primary\n",         "down # not in the quorum\n" ],
        [ 'async',                                 "down # primary\n",         $full ],
        [ 'replica?tag_x=1',                       "down # primary\n",         "down # no tags\n" ],
        [ 'replica?replication_state=x',           "down # primary\n",         "down # other replication state\n" ],
        [ 'health',                                $full,                      $full ],
        [ 'liveness',                              $full,                      $full ],
        [ 'readiness',                             $full,                      $full ],
        [ 'patroni',                               $full,                      $full ],
        [ 'cluster',                               $full,                      $full ],
        [ 'metrics',                               $full,                      $full ],
        [ 'agent?unknown=1&role=any',              $full,                      $full ],
        [ 'agent?role=any&role=primary',           $full,                      $full ],
        map { ([ $_->[0], ("fail # $_->[1]\n") x 2 ]) } (
            [ 'agent?role=leader',                       'Invalid role' ],
            [ 'agent?role=',                             'Invalid role' ],
            [ 'agent?role=replica&lag=abc',              'Invalid lag' ],
            [ 'agent?role=replica&lag=-1',               'Invalid lag' ],
            [ 'agent?role=replica&lag=10MB&soft=1mb',    'Invalid soft' ],
            [ 'agent?role=replica&down=up',              'Invalid down' ],
            [ 'agent?role=replica&primary_weight=0',     'Invalid primary_weight' ],
            [ 'agent?role=replica&primary_weight=101',   'Invalid primary_weight' ],
            [ 'agent?role=replica&primary_weight=five',  'Invalid primary_weight' ],
            [ 'agent%zz',                                'Bad request' ],
            [ 'agents',                                  'Not found' ],
            [ 'replica?lag=abc',                         'Invalid lag' ],
            [ 'readiness?mode=x',                        'Invalid mode' ],
            [ 'nope',                                    'Not found' ],
            [ '/replica',                                'Not found' ]));
    my (%seen, %expected);
    foreach my $row (@rows) {
        my ($command, @replies) = @$row;
        $expected{$command} = \@replies;
        $seen{$command}     = [ map { agent($_, $command) } $primary, $standby1 ];
    }
    is_deeply(\%seen, \%expected, 'of a primary and of a standby');
    is(ask(check_port($standby1), "replica\nprimary\nGET / HTTP/1.0\r\n\r\n"), $full, 'one line, one reply');
    my $socket = connect_to(check_port($standby1));
    send_pieces($socket, split //, "agent?role=replica&lag=10MB\n");
    is(join('', <$socket>), $full, 'byte by byte');
};

# ---- lag -----------------------------------------------------------------------------------------------------------

# Asks while the lag of a paused standby stays as it is, for an idle primary writes now and then: $ask gets the bytes.
sub while_steady {
    my ($ask) = @_;
    my $result;
    wait_for('the lag to be steady',
        sub {
            my $lag = node_json($standby2)->{pg_status}{lag_bytes};
            $result = $ask->($lag);
            return node_json($standby2)->{pg_status}{lag_bytes} == $lag;
        });
    return $result;
}

subtest 'a standby that lags' => sub {
    sql($standby2, 'SELECT pg_wal_replay_pause()');
    sql($primary,  q(SELECT pg_logical_emit_message(true, 'filler', repeat('x', 2000000))));
    my $position = bytes_in_sql($primary, 'pg_current_wal_lsn()');
    wait_for('it to have received all',
        sub {
            my $json = node_json($standby2);
            return $json->{xlog}{received_location} >= $position && $json->{pg_status}{lag_bytes} >= 2_000_000
              && $json->{pg_status}{lag_ms} > 0;
        });
    my $json = node_json($standby2);
    is($json->{xlog}{paused}, JSON::PP::true, 'replay is paused');
    is($json->{xlog}{replayed_location}, bytes_in_sql($standby2, 'pg_last_wal_replay_lsn()'), 'where it was paused');
    wait_for('the primary to know it',
        sub {
            my ($member) = grep { $_->{name} eq $s2 } @{ node_json($primary, '/cluster')->{members} };
            return $member->{lag} ne 'unknown' && $member->{lag} >= 2_000_000;
        });

    # query => code; %d is the lag and what is added to it
    my @rows = (
        [ 'lag=%d', 0,  200 ], [ 'lag=%d', -1, 503 ], [ 'lag=%d', 1, 200 ], [ 'lag=0', 0, 503 ], [ 'lag=10MB', 0, 200 ],
        [ 'lag=1953kB', 0, 503 ], [ 'lag=1MB', 0, 503 ], [ 'lag=1.5MB', 0, 503 ], [ 'lag=3MB', 0, 200 ],
        [ 'lag=1GB&lag=0', 0, 200 ], [ 'lag=0&lag=1GB', 0, 503 ], [ '', 0, 200 ]);
    foreach my $row (@rows) {
        my ($query, $more, $code) = @$row;
        my $told = while_steady(
            sub {
                my $filled = sprintf $query, $_[0] + $more;
                return [ map { status_of($standby2, "$_?$filled") } qw(/replica /read-only /async /readiness) ];
            });
        $told->[3] = $code if $query eq '';    # it has a default
        is_deeply($told, [ ($code) x 4 ], "$query ($more): $code");
    }
    is(status_of($standby2, '/readiness'),                   503, 'not ready: behind by more than the default');
    is(status_of($standby2, '/readiness?lag=10MB'),          200, 'but within a limit of its own');
    is(status_of($standby2, '/readiness?mode=write'),        200, 'and as for what it has received');
    is(while_steady(sub { status_of($standby2, '/readiness?mode=write&lag=0') }), 200, 'that is all there is');
    my $replayed = while_steady(
        sub { [ map { status_of($standby2, '/readiness?mode=apply&lag=' . ($_[0] - $_)) } 0, 1 ] });
    is_deeply($replayed, [ 200, 503 ], 'mode=apply: as for what it has replayed, which is the default');
    is(status_of($standby1, '/readiness'), 200, 'the other standby is ready');
    is(status_of($standby2, $_),           200, "$_ does not ask for lag") foreach '/replica', '/health', '/liveness';
};

subtest 'agents of a standby that lags' => sub {
    # command with %d for the lag and its parts and multiples, and the reply
    my @rows = (
        [ 'agent?role=replica',                           sub { '' },           $full ],
        [ 'agent?role=replica&lag=%d&weight=100',         sub { $_[0] },        "up 5%\n" ],
        [ 'agent?role=replica&lag=%d',                    sub { $_[0] - 1 },    'down' ],
        [ 'agent?role=any&lag=%d',                        sub { $_[0] - 1 },    'down' ],
        [ 'agent?role=replica&down=drain&lag=%d',         sub { $_[0] - 1 },    "up drain\n" ],
        [ 'agent?role=replica&down=maint&lag=%d',         sub { $_[0] - 1 },    'up maint' ],
        [ 'agent?role=replica&lag=%d',                    sub { $_[0] * 10 },   $full ],
        [ 'agent?role=replica&lag=%d&weight=100',         sub { $_[0] * 2 },    "up 55%\n" ],
        [ 'agent?role=any&lag=%d&weight=40',              sub { $_[0] * 2 },    "up 20%\n" ],
        [ 'agent?role=any&lag=%d',                        sub { $_[0] * 2 },    $full ],
        [ 'agent?role=replica&soft=0&lag=%d',             sub { $_[0] * 2 },    "up 50%\n" ],
        [ 'agent?role=replica&soft=0&lag=%d',             sub { $_[0] * 4 },    "up 75%\n" ],
        [ 'agent?role=replica&soft=0&lag=%d',             sub { $_[0] * 1000 }, $weighted ],
        [ 'agent?role=replica&lag=1GB&soft=%d',           sub { $_[0] },        $weighted ],
        [ 'agent?role=primary&lag=%d',                    sub { $_[0] - 1 },    "down # replica\n" ],
        [ 'replica?lag=%d',                               sub { $_[0] },        $full ],
        [ 'replica?lag=%d',                               sub { $_[0] - 1 },    'down' ],
        [ 'readiness',                                    sub { '' },           'default' ]);
    foreach my $row (@rows) {
        my ($command, $number, $expected) = @$row;
        my $told = while_steady(
            sub {
                my ($lag) = @_;
                my $limit = $number->($lag);
                my $reason = "lag $lag over " . ($expected eq 'default' ? 1000000 : $limit);
                my $reply = agent($standby2, $limit eq '' ? $command : sprintf $command, $limit);
                return [ $reply, $expected ] if $expected =~ /\n/;
                return [ $reply, ($expected eq 'default' ? 'down' : $expected) . " # $reason\n" ];
            });
        is($told->[0], $told->[1], "$command: " . $told->[1] =~ s/\n//r);
    }
    sql($standby2, 'SELECT pg_wal_replay_resume()');
    wait_for('it to catch up', sub { agent($standby2, 'agent?role=replica&lag=1MB') eq $full });
    is(status_of($standby2, '/readiness'), 200, 'caught up, it is ready');
};

# ---- nodes that do not take sessions -------------------------------------------------------------------------------

# Each role path of a node that serves nobody, and what is answered all the same.
sub check_closed {
    my ($node, $health) = @_;
    my %expected = map { $_ => 503 } @role_paths, '/readiness';
    $expected{$_} = 200 foreach qw(/liveness /patroni /node /cluster /metrics /ui /ui/data);
    $expected{'/health'} = $health;
    is_deeply(statuses($node, keys %expected), \%expected, $node->name . ': no role, but alive');
    is_deeply([ map { status_of($node, $_, 'OPTIONS') } '/', '*', '/liveness' ], [ 503, 503, 200 ], 'by OPTIONS, too');
    is(status_of($node, '/replica?lag=abc'), 400, 'nonsense is nonsense');
    is(status_of($node, '/nope'),            404, 'and what is not there is not there');
    return;
}

subtest 'a node that is starting' => sub {
    my $closed = new_node('closed');
    init_standby($closed, $primary, hot_standby => 'off', 'pg_status.check_port' => check_port($closed));
    $closed->start;
    wait_for('it to answer', sub { code($closed, '/liveness') == 200 });
    wait_for('its poller to tell of the others',
        sub { pid_status($closed) eq 'standby' && !exists node_json($closed)->{cluster_unlocked} });
    check_closed($closed, 503);
    my $json = node_json($closed);
    is($json->{state}, 'starting', 'its state');
    is_deeply([ grep { exists $json->{$_} } qw(role xlog replication_state) ], [], 'no role is claimed');
    is($json->{pg_status}{primary}, $p, 'it knows the primary');
    is(agent($closed, $_), "down # starting\n", "\"$_\"")
      foreach '', qw(replica primary agent agent?role=any health readiness);
    is(agent($closed, 'agent?role=replica&down=maint'), "down # starting\n", 'which is nobody\'s will');
    is(agent($closed, 'liveness'),       $full,                "alive it is");
    is(agent($closed, 'agent?lag=abc'), "fail # Invalid lag\n", 'and nonsense fails');
    $closed->stop;
};

# A smart shutdown that cannot end, because a session is open; $during is called meanwhile.
sub during_smart_shutdown {
    my ($node, $during) = @_;
    my $client = session($node);
    forget_session($node);
    system('pg_ctl', '-W', '-s', '-D', $node->data_dir, '-m', 'smart', 'stop') == 0 or die "pg_ctl: exit $?";
    wait_for('the shutdown to begin',
        sub { pid_status($node) eq 'stopping' && agent($node, 'agent?role=any') =~ /^stopped/ });
    $during->();
    is($client->query('SELECT 1'), 1, 'while the session that is there goes on');
    $client->close;
    wait_for('the server to be gone', sub { !defined postmaster_pid($node) });
    $node->_update_pid(0);
    return;
}

subtest 'a standby that shuts down' => sub {
    during_smart_shutdown($standby2,
        sub {
            check_closed($standby2, 200);
            is_deeply([ @{ node_json($standby2) }{qw(state role)} ], [ 'stopping', 'replica' ], 'its JSON says so');
            is(agent($standby2, $_), "stopped # shutting down\n", "\"$_\"")
              foreach '', qw(replica primary agent agent?role=replica&down=drain readiness);
            is(agent($standby2, 'health'),    $full,                   'health asks only whether the server runs');
            is(agent($standby2, 'agent?soft='), "fail # Invalid soft\n", 'and nonsense fails');
        });
    my %state;
    wait_for('the others to see it',
        sub {
            %state = map { $_->{name} => $_ } @{ node_json($primary, '/cluster')->{members} };
            return $state{$s2}{state} eq 'down';
        });
    is_deeply([ @{ $state{$s2} }{qw(role lag timeline)} ], [ 'unknown', 'unknown', 1 ], '/cluster: it is down');
};

subtest 'a primary that shuts down' => sub {
    during_smart_shutdown($primary,
        sub {
            check_closed($primary, 200);
            is_deeply([ @{ node_json($primary) }{qw(state role)} ], [ 'stopping', 'primary' ], 'its JSON says so');
            is(agent($primary, $_), "stopped # shutting down\n", "\"$_\"") foreach '', qw(primary agent agent?role=any);
        });
};

# ---- without a primary ---------------------------------------------------------------------------------------------

subtest 'a standby without a primary' => sub {
    wait_row($standby1, $primary, 'down', \&is_down);
    wait_for('its WAL receiver to end', sub { node_json($standby1)->{replication_state} ne 'streaming' });
    my %expected = (
        '/replica'                                           => 200,
        '/read-only'                                         => 200,
        '/replica?replication_state=streaming'               => 503,
        '/replica?replication_state=in%20archive%20recovery' => 200,
        '/sync'                                              => 503,
        '/async'                                             => 503,
        '/quorum'                                            => 503,
        '/primary'                                           => 503,
        '/readiness'                                         => 503,
        '/readiness?lag=1TB&mode=write'                      => 503,
        '/health'                                            => 200,
        '/liveness'                                          => 200);
    is_deeply(statuses($standby1, keys %expected), \%expected, 'it serves reads, it does not stream');
    my $json = node_json($standby1);
    is_deeply([ @$json{qw(cluster_unlocked replication_state)} ], [ JSON::PP::true, 'in archive recovery' ],
        'nobody is the primary');
    is($json->{pg_status}{primary}, undef, 'nor is one named');
    is(agent($standby1, 'async'),                "down # sync state unknown\n", 'who is synchronous is not known');
    is(agent($standby1, 'readiness'),            "down # not streaming\n",      'ready it is not');
    is(agent($standby1, 'agent?role=replica'),   $full,                         'reads are welcome');
    my ($member) = grep { $_->{name} eq $p } @{ node_json($standby1, '/cluster')->{members} };
    is_deeply([ @$member{qw(role state lag)} ], [qw(unknown down unknown)], '/cluster: the primary is down');
};

# First with a leader to ask for, which is not there: its WAL receivers only ever want to start.
foreach my $where ('which is gone', 'that it was told of') {
    subtest "a standby that knows of no leader $where" => sub {
        forget_session($standby1);
        $standby1->stop;
        configure($standby1, primary_conninfo => '') if $where eq 'that it was told of';
        $standby1->start;
        # nothing is demanded of an answer yet: the port may not be open
        wait_for('it to be a standby', sub { code($standby1, '/replica') == 200 });
        my $json = node_json($standby1);
        is($json->{pg_status}{lag_bytes}, undef, 'how far it is behind is not known');
        is(sql($standby1, 'SELECT lag_bytes IS NULL FROM pg_status_local()'), 't', 'nor is it in SQL');
        my %expected = (
            '/replica'             => 200,
            '/replica?lag=1TB'     => 503,
            '/read-only?lag=1TB'   => 503,
            '/readiness?lag=1TB'   => 503);
        is_deeply(statuses($standby1, keys %expected), \%expected, 'so it is within no limit');
        is(agent($standby1, 'agent?role=replica&lag=1TB'),  "down # lag unknown\n", 'by its agent as well');
        is(agent($standby1, 'agent?role=any&lag=1TB&down=maint'), "up maint # lag unknown\n", 'in whatever words');
        is(agent($standby1, 'replica?lag=1TB'),             "down # lag unknown\n", 'and by its path');
        is(agent($standby1, 'agent?role=replica'),          $full,                  'without a limit it does not matter');
    };
}

subtest 'a standby that is promoted' => sub {
    $standby1->promote;
    is_deeply(statuses($standby1, qw(/primary /replica /read-only /sync)),
        { '/primary' => 200, '/replica' => 503, '/read-only' => 200, '/sync' => 503 }, 'a primary at once');
    is(agent($standby1, 'agent?role=primary'), $full, 'so says its agent');
    wait_for('its timeline', sub { node_json($standby1)->{timeline} == 2 });
    is(node_json($standby1)->{role}, 'primary', 'and its JSON');
};

subtest 'all agent replies' => sub {
    my %wrong;
    foreach my $reply (@heard) {
        my $words = $reply =~ s/#.*//sr;
        my $health = () = $words =~ /\b(up|down|fail|stopped)\b/g;
        $wrong{$reply} = 'no single line'   if $reply !~ /\A[^\r\n]+\n\z/;
        $wrong{$reply} = 'too long'         if length $reply > 255;
        $wrong{$reply} = 'words of health'  if $health != 1;
        $wrong{$reply} = 'other words'      if $words =~ /\bup\b/ && $words !~ /\Aup(?: ready| drain| maint)?(?: \d+%)?\s*\z/;
    }
    my $longest = max map { length } @heard;
    is_deeply(\%wrong, {}, scalar @heard . " lines of one word of health, at most $longest bytes");
};

done_testing;
