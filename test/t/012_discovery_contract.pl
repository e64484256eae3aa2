# What the discovery port promises, row by row, through sockets and on a real cluster: each path as text and as JSON,
# parameters and their errors, turns and limits, near and distant hosts, HTTP's own rules, bare lines, readiness, and
# what is said of hosts that are suspect or down. It knows the promise only, not how an answer comes about.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IO::Socket::INET;
use JSON::PP;
use PgStatus;
use PgStatus::Http;
use PostgreSQL::Test::Cluster;
use Test::More;

my $text_type = 'text/plain; charset=utf-8';
my $json_type = 'application/json';
my @want_json = ('GET', 'Accept: application/json');
my $nobody    = '{"host":null,"dc":null,"geo":null}';

my @selectors = map { "/$_" }
  qw(replica sync_by_time sync_by_bytes sync_by_time_or_bytes sync_by_time_and_bytes most_sync_by_bytes);

sub error_json { return qq({"error_text": "$_[0]"}) }

# ---- asking --------------------------------------------------------------------------------------------------------

# One request, as [status, Content-Type, body]. Every answer of this port is held to what all have in common.
sub told {
    my ($node, $path, $method, @headers) = @_;
    my ($status, $body, $head) = discover($node, $path, $method, @headers);
    my @wrong = grep { !$_->[1] } (
        [ 'Cache-Control',    (field_of($head, 'Cache-Control')    // '') eq 'no-store' ],
        [ 'X-Pg-Status-Port', (field_of($head, 'X-Pg-Status-Port') // '') eq 'discovery' ],
        [ 'Content-Length',   (field_of($head, 'Content-Length')   // '') eq length $body ],
        [ 'Content-Type',     defined field_of($head, 'Content-Type') == ($body ne '') ],
        [ 'Allow',            defined field_of($head, 'Allow') == ($status == 405) ]);
    fail(($method // 'GET') . " $path: $_->[0] is wrong in: $head") foreach @wrong;
    return [ $status, field_of($head, 'Content-Type'), $body ];
}

# [status, body] of a request.
sub short { my $told = told(@_); return [ @$told[ 0, 2 ] ] }

# The same many times: who was named how often. $what is a path, or several, asked in turn.
sub named {
    my ($node, $what, $times) = @_;
    my %count;
    foreach (1 .. $times) {
        $count{ told($node, $_)->[2] }++ foreach ref $what ? @$what : $what;
    }
    return \%count;
}

# Host -> its object of /hosts.
sub host_objects { return { map { $_->{host} => $_ } @{ json_of(discover($_[0], '/hosts')) } } }

sub object_of { my ($on, $of) = @_; return host_objects($on)->{ ref $of ? name_of($of) : $of } // {} }

# Waits until $node's /hosts shows $of with these values.
sub wait_object {
    my ($node, $of, %values) = @_;
    my $seen;
    my $ok = eval {
        wait_for('/hosts of ' . $node->name,
            sub {
                $seen = object_of($node, $of);
                return !grep { ($seen->{$_} // 'null') ne ($values{$_} // 'null') } keys %values;
            });
    };
    die $@ . 'last seen: ' . encode_json($seen // {}) . ', wanted: ' . encode_json(\%values) unless $ok;
    return $seen;
}

# ---- readiness: a host that never answers --------------------------------------------------------------------------

# Connections are made by the kernel, and nobody ever reads from them.
my $silent = IO::Socket::INET->new(Listen => 16, LocalAddr => '127.0.0.1') or die "could not listen: $!";
my $alone  = new_node('alone');
init_node($alone,
    'pg_status.hosts'        => name_of($alone) . ', 127.0.0.1:' . $silent->sockport . ' name=silent',
    'pg_status.poll_timeout' => '8s',
    'pg_status.http_port'    => discovery_port($alone));
$alone->start;
wait_for('its discovery port', sub { (discover($alone, '/live'))[0] == 200 });

subtest 'before every host was checked once' => sub {
    my $not_ready = [ 503, $json_type, error_json('pg_monitor is not ready') ];
    my @paths = ('/ready', '/master', @selectors, '/hosts', '/status', '/status?host=silent', '/status?host=nobody');
    push @paths, map { ("$_?lag_ms=abc", "$_?min_lsn=abc") } @selectors;
    my %told = map { $_ => [ told($alone, $_), told($alone, $_, @want_json) ] } @paths;
    is_deeply(\%told, { map { $_ => [ $not_ready, $not_ready ] } @paths },
        'every path that tells of hosts says so, as JSON, before it looks at parameters');

    sql($alone, 'CREATE EXTENSION pg_status');
    my $version = sql($alone, 'SELECT pg_status_version()');
    is_deeply(told($alone, '/live'),           [ 200, $text_type, 'OK' ],     'it lives');
    is_deeply(told($alone, '/version'),        [ 200, $text_type, $version ], 'and has a version');
    is_deeply(told($alone, '/nope'),           [ 404, undef,      '' ], 'an unknown path is not found');
    is_deeply(told($alone, '/master', 'POST'), [ 405, undef,      '' ], 'the method is looked at first');
    is_deeply(told($alone, '/%zz'),            [ 400, undef,      '' ], 'and what is no path');
    my %lines = map { $_ => discovery_line($alone, $_) } qw(master replica?lag_ms=abc ready live nope);
    is_deeply(\%lines,
        {   master               => "error not ready\n",
            'replica?lag_ms=abc' => "error not ready\n",
            ready                => "error not ready\n",
            live                 => "OK\n",
            nope                 => "error not found\n" },
        'lines are told the same');
    is(sql($alone, 'SELECT pg_status_ready()'), 'f', 'so does SQL: all this was before the end of the first check');
};

# The silent host has its time, while the cluster is made.
my @nodes = start_three(
    'pg_status.max_fails'          => 1000,      # a host that stops stays suspect, for as long as that is wanted
    'pg_status.fast_poll_interval' => '100ms',
    cluster_name                   => 'contract');
my ($primary, $standby1, $standby2) = @nodes;
my ($p, $s1, $s2) = map { name_of($_) } @nodes;
my @reads = grep { !/most/ } @selectors;
open_http(@nodes);

# Where the primary writes, in the form of every version: from 19 on SQL fills up the second half with zeros.
sub position_in_sql { return sql($primary, 'SELECT pg_current_wal_lsn()') =~ s{/0+(?=.)}{/}r }

# ---- the paths -----------------------------------------------------------------------------------------------------

subtest 'each path, as text and as JSON' => sub {
    my $version = sql($standby1, 'SELECT pg_status_version()');
    foreach my $node (@nodes) {
        my $name = $node->name;
        my $ok   = [ 200, $text_type, 'OK' ];
        is_deeply([ told($node, '/live'),  told($node, '/live',  @want_json) ], [ $ok, $ok ], "$name: /live");
        is_deeply([ told($node, '/ready'), told($node, '/ready', @want_json) ], [ $ok, $ok ], "$name: /ready");
        my $says = [ 200, $text_type, $version ];
        is_deeply([ told($node, '/version'), told($node, '/version', @want_json) ], [ $says, $says ],
            "$name: /version");
        is_deeply(told($node, '/master'), [ 200, $text_type, $p ], "$name: /master");
        is_deeply(told($node, '/master', @want_json), [ 200, $json_type, qq({"host":"$p","dc":null,"geo":null}) ],
            "$name: /master as JSON");
        foreach my $path (@selectors) {
            my ($status, $type, $body) = @{ told($node, $path) };
            is_deeply([ $status, $type, scalar grep { $_ eq $body } $s1, $s2 ], [ 200, $text_type, 1 ],
                "$name: $path names a standby, without a newline");
            ($status, $type, $body) = @{ told($node, $path, @want_json) };
            is_deeply([ $status, $type, scalar grep { $body eq qq({"host":"$_","dc":null,"geo":null}) } $s1, $s2 ],
                [ 200, $json_type, 1 ], "$name: $path as JSON");
        }
        foreach my $path ('/hosts', "/status?host=$s1") {
            is_deeply([ @{ told($node, $path) }[ 0, 1 ] ], [ 200, $json_type ], "$name: $path is always JSON");
        }
    }
};

subtest 'paths that are none here' => sub {
    my @paths = map { "/$_" } '', qw(master/ Master MASTER hosts/ hosts/1 %2fmaster primary leader read-only health sync
      replica%20 liveness readiness patroni metrics agent masters %00ff~);
    my @unknown = grep { $_ !~ /%00/ } @paths;
    my %told = map { $_ => [ told($primary, $_), told($primary, $_, @want_json) ] } @unknown;
    my $not_found = [ 404, undef, '' ];
    is_deeply(\%told, { map { $_ => [ $not_found, $not_found ] } @unknown }, 'not found, without a body and its type');

    is_deeply(short($primary, '/%6daster'),    [ 200, $p ], 'a path is decoded before it is looked for');
    is_deeply(short($primary, '/m%61ste%72?'), [ 200, $p ], 'wherever its escapes are');
    my $bad    = [ 400, undef, '' ];
    my @broken = ('/%zz', '/master%', '/master%2', '/master%g0', '/master%00', '/%00ff~', '/replica?lag_ms=%zz');
    is_deeply({ map { $_ => told($primary, $_, @want_json) } @broken }, { map { $_ => $bad } @broken },
        'a broken escape and a NUL are bad requests, with nothing to say');
};

subtest 'host objects' => sub {
    my @keys = qw(dc geo master alive possible_dead lag_ms sync_by_time lag_bytes sync_by_bytes lsn);
    my @keys_of_ours = qw(role state timeline system_identifier last_ok_ms weight votes_up votes_down unreachable_here diverged
        superseded read_only takes_sessions maintenance maintenance_reason);
    my ($status, undef, $text) = @{ told($primary, '/hosts') };
    my @objects = $text =~ /(\{.*?\})/g;
    is(scalar @objects, 3, 'one object for each host');
    foreach my $i (0 .. $#objects) {
        my @found = $objects[$i] =~ /"(\w+)":/g;
        is_deeply([ @found[ 0 .. @keys ] ], [ 'host', @keys ], "the known keys in their order, host $i");
        is_deeply([ sort @found[ @keys + 1 .. $#found ] ],
            [ sort @keys_of_ours ], 'ours come after them');
        my $name = name_of($nodes[$i]);
        like($objects[$i], qr/^\{"host":"\Q$name\E",/, 'in configured order');
        my $status_text = told($primary, "/status?host=$name")->[2];
        is_deeply([ $status_text =~ /"(\w+)":/g ], [ @found[ 1 .. $#found ] ], '/status: the same but the name');
    }

    my $system = sql($primary, 'SELECT system_identifier FROM pg_control_system()');
    # The position may move between two looks at it: it is compared when it did not.
    my ($object, $lsn);
    wait_for('the position to be the same in SQL, before and after',
        sub {
            $lsn    = position_in_sql();
            $object = object_of($primary, $primary);
            return $object->{lsn} eq $lsn && position_in_sql() eq $lsn;
        });
    like($lsn, qr{\A[1-9A-F][0-9A-F]*/[1-9A-F][0-9A-F]*\z|\A0/[1-9A-F][0-9A-F]*\z}, 'the primary: its write position');
    is_deeply([ @$object{qw(master alive possible_dead sync_by_time sync_by_bytes)} ],
        [ JSON::PP::true, JSON::PP::true, JSON::PP::false, JSON::PP::true, JSON::PP::true ], 'its flags');
    is_deeply([ @$object{qw(lag_ms lag_bytes role state timeline system_identifier)} ],
        [ 0, 0, 'primary', 'up', 1, $system ], 'its values; the identifier as a text');
    # not at $lsn: the primary may have written more by now
    wait_for('a standby to be where the primary is',
        sub {
            my $objects = host_objects($primary);
            $object = $objects->{$s1};
            return defined $object->{lag_bytes} && $object->{lag_bytes} == 0 && $object->{lsn} eq $objects->{$p}{lsn};
        });
    is_deeply([ @$object{qw(master alive possible_dead sync_by_time sync_by_bytes)} ],
        [ JSON::PP::false, JSON::PP::true, JSON::PP::false, JSON::PP::true, JSON::PP::true ], 'a standby: its flags');
    is_deeply([ @$object{qw(lag_ms role state timeline system_identifier)} ], [ 0, 'standby', 'up', 1, $system ],
        'its values');
};

subtest '/status?host=' => sub {
    my $is_s1     = sub { my $told = told($primary, @_); return "$told->[0] $told->[1]" };
    my $escaped   = $s1 =~ s/:/%3A/r;
    my $lowercase = $s1 =~ s/:/%3a/r;
    is($is_s1->("/status?host=$_"), "200 $json_type", "$_ is found") foreach $s1, $escaped, $lowercase;
    is($is_s1->("/status?x=1&host=$s1&host=nobody"), "200 $json_type", 'the first of two values counts');
    my $not_found = [ 404, undef, '' ];
    foreach my $value ('nobody', '', '127.0.0.1', "$s1%20", uc "x$s1", "$s1/") {
        is_deeply(told($primary, "/status?host=$value", @want_json), $not_found, "\"$value\" is not, as JSON neither");
    }
    is_deeply(told($primary, '/status?host'), $not_found, 'a parameter without = has an empty value');
    my $missing = [ 400, $json_type, error_json(q(Get parameter 'host' wasn't passed)) ];
    foreach my $path ('/status', '/status?', '/status?HOST=' . $s1, '/status?lag_ms=abc') {
        is_deeply(told($primary, $path), $missing, "$path: no host was given");
    }
};

# ---- parameters ----------------------------------------------------------------------------------------------------

subtest 'parameters' => sub {
    my $max     = '18446744073709551615';
    my @numbers = ('', '-1', '%2B1', '+1', '%201', '1%20', '1a', 'abc', '0x10', '1.5', '1e3', '18446744073709551616');
    my @lsns    = (
        '',                '0',     '/',    '0/',     '/0', '0/1/2', '100000000/0', '0/100000000',
        '000000001/0',     '0x1/0', 'G/0',  '-1/0',   '+0/0', '0/0%20', '0-0',
        '1:', ':0/1', '0:0/1', 'x:0/1', '-1:0/1', '1:1:0/1', '4294967296:0/1', '1:0', '1:%200/1');
    my %bad = (lag_ms => \@numbers, lag_bytes => \@numbers, min_lsn => \@lsns);
    foreach my $path (@selectors) {
        my (%told, %expected);
        foreach my $name (sort keys %bad) {
            foreach my $value (@{ $bad{$name} }) {
                my $request = "$path?$name=$value";
                $told{$request}     = told($primary, $request);
                $expected{$request} = [ 400, $json_type, error_json("Invalid $name") ];
            }
            $told{"$path?$name"}     = told($primary, "$path?$name");
            $expected{"$path?$name"} = [ 400, $json_type, error_json("Invalid $name") ];
        }
        is_deeply(\%told, \%expected, "$path refuses wrong values, also of what it has no use for");

        my @good = (
            "lag_ms=$max&lag_bytes=$max", 'lag_ms=0007&lag_ms=abc', 'min_lsn=0/0', 'min_lsn=0%2F0',
            'min_lsn=0/0000000a', 'min_lsn=ffffffff/FFFFFFFF', 'LAG_MS=abc', 'unknown=1', 'unknown', '&&',
            'lag_ms=%37', 'min_lsn=1:0/1', 'min_lsn=1%3A0/1', 'min_lsn=9:0/0');
        is_deeply({ map { $_ => told($primary, "$path?$_")->[0] } @good }, { map { $_ => 200 } @good },
            "$path takes right ones, the first of two, and ignores others");
    }
    my @wrong = ([ lag_ms => 'x' ], [ lag_bytes => 'x' ], [ min_lsn => 'x' ]);
    foreach my $order ([ 0, 1, 2 ], [ 2, 1, 0 ], [ 1, 2, 0 ]) {
        my $query = join '&', map { "$_->[0]=$_->[1]" } @wrong[@$order];
        is(told($primary, "/replica?$query")->[2], error_json('Invalid lag_ms'), "$query: lag_ms is complained of");
    }
    is(told($primary, '/replica?min_lsn=x&lag_bytes=x')->[2], error_json('Invalid lag_bytes'), 'then lag_bytes');
    is(told($primary, '/replica?lag_ms=abc&lag_ms=1')->[0],   400, 'a wrong value before a right one is wrong');
    foreach my $path ('/master', '/hosts', '/version', '/live', '/ready') {
        is(told($primary, "$path?lag_ms=abc&lag_bytes=-1&min_lsn=x")->[0], 200, "$path has no parameters");
    }
    is(told($primary, "/status?host=$s1&lag_ms=abc")->[0], 200, 'nor has /status but its own');
};

# All are on their first timeline, so nothing can be lost yet; and of a second one nothing is known.
subtest 'a position with its timeline' => sub {
    foreach my $case ([ '0/1', 200, undef ], [ '1:0/1', 200, undef ], [ '2:0/1', 404, 'unknown' ], [ '2:0/0', 200, undef ]) {
        my ($position, $code, $reason) = @$case;
        foreach my $path (@reads) {
            my ($status, undef, $head) = discover($primary, "$path?min_lsn=$position");
            is($status, $code, "$path?min_lsn=$position");
            is(field_of($head, 'X-Pg-Status-Reason'), $reason, 'and why');
        }
    }
    is(discovery_line($primary, 'replica?min_lsn=2:0/1'), "\n", 'an empty line');
};

subtest 'turns' => sub {
    my @five = (@reads, '/replica?min_lsn=0/1');
    my @told = map { told($primary, $_)->[2] } map { @five } 1 .. 4;
    my ($first, $second) = $told[0] eq $s1 ? ($s1, $s2) : ($s2, $s1);
    is_deeply(\@told, [ map { $_ % 2 ? $second : $first } 0 .. $#told ], 'all routes take their turns together');
    is(sql($primary, 'SELECT pg_status_replica()'), $first,  'SQL has a turn of the same');
    is(told($primary, '/replica')->[2],             $second, 'and the next is for HTTP');
    is(discovery_line($primary, 'replica'), "$first\n", 'and for a line');

    is(told($primary, $_)->[0], 200, "$_ takes no turn")
      foreach '/most_sync_by_bytes', '/master', '/replica?min_lsn=FFFFFFFF/FFFFFFFF', "/status?host=$s1";
    is(told($primary, '/replica')->[2], $second, 'so the turn after these is what it would have been');

    my @sockets = map { connect_to(discovery_port($primary)) } 1 .. 4;
    send_pieces($_, "GET /replica HTTP/1.1\r\n\r\n" x 10) foreach @sockets;
    my %count;
    $count{ receive($_)->{body} }++ foreach map { my $socket = $_; ($socket) x 10 } @sockets;
    is_deeply(\%count, { $s1 => 20, $s2 => 20 }, 'four clients at once: everybody has the same number of turns');
    is_deeply(named($standby1, '/replica', 6), { $s1 => 3, $s2 => 3 }, 'each node has turns of its own');
};

# ---- HTTP ----------------------------------------------------------------------------------------------------------

subtest 'methods' => sub {
    my $not_allowed = [ 405, undef, '' ];
    my @methods     = qw(HEAD POST PUT DELETE OPTIONS PATCH TRACE);
    foreach my $path ('/master', '/', '/nope', '/replica?lag_ms=abc', '/%zz', '/live') {
        is_deeply({ map { $_ => told($primary, $path, $_) } @methods }, { map { $_ => $not_allowed } @methods },
            "nothing but GET for $path");
    }
    is(field_of((discover($primary, '/master', $_))[2], 'Allow'), 'GET', "$_ is told what is allowed") foreach @methods;
    is_deeply(told($primary, '*', 'OPTIONS'), $not_allowed, 'OPTIONS of the whole server is none either');
};

subtest 'Accept' => sub {
    my %rows = (
        'application/json'                                => 'json',
        'APPLICATION/Json'                                => 'json',
        'text/html, application/json;q=0.1, */*'          => 'json',
        'application/json; charset=utf-8'                 => 'json',
        'application/json;q=1.000'                        => 'json',
        'text/plain, application/json;q=0.001'            => 'json',
        'application/json;q=0, application/json'          => 'json',
        'application/json;q=0'                            => 'text',
        'application/json;q=0.0'                          => 'text',
        'application/json; Q=0.000'                       => 'text',
        '*/*'                                             => 'text',
        'application/*'                                   => 'text',
        'text/plain'                                      => 'text',
        'application/jsonp, application/json-seq, x/json' => 'text',
        ''                                                => 'text');
    my %types = ($text_type => 'text', $json_type => 'json');
    my %told = map { $_ => $types{ told($primary, '/master', 'GET', "Accept: $_")->[1] } } keys %rows;
    is_deeply(\%told, \%rows, 'JSON when a range is literally that and not of quality 0, else text');
    is(told($primary, '/master', 'GET', 'Accept: text/html', 'Accept: application/json')->[1], $json_type,
        'in a second field, too');
    is(told($primary, '/master', 'GET', 'Content-Type: application/json')->[1], $text_type,
        'what the request says of itself is no wish');
};

# Sends a request, and one more after its answer: "closed" when the server ends the connection after the first.
sub persistence {
    my ($request) = @_;
    my $socket = connect_to(discovery_port($primary));
    send_pieces($socket, $request);
    my $answer = receive($socket);
    is_deeply([ $answer->{status}, $answer->{body} ], [ 200, $p ], 'served: ' . $request =~ s/\r\n/ | /gr);
    my $said = lc(field_of($answer->{head}, 'Connection') // '');
    send_pieces($socket, "GET /live HTTP/1.1\r\n\r\n");
    my $next = eval { receive($socket) };
    return ($next ? 'stays' : 'closed') . ($said && ": $said");
}

subtest 'versions and connections' => sub {
    my @rows = (
        [ 'HTTP/1.1', 'stays', 'Host: x' ],
        [ 'HTTP/1.1', 'stays' ],
        [ 'HTTP/1.1', 'stays',             'Host: x', 'Connection: keep-alive' ],
        [ 'HTTP/1.1', 'closed: close',     'Host: x', 'Connection: close' ],
        [ 'HTTP/1.1', 'closed: close',     'Host: x', 'connection: Foo, CLOSE' ],
        [ 'HTTP/1.0', 'closed: close' ],
        [ 'HTTP/1.0', 'closed: close',     'Host: x' ],
        [ 'HTTP/1.0', 'stays: keep-alive', 'Connection: keep-alive' ],
        [ 'HTTP/1.0', 'closed: close',     'Connection: keep-alive, close' ]);
    foreach my $row (@rows) {
        my ($version, $expected, @headers) = @$row;
        my $what = persistence(join "\r\n", "GET /master $version", @headers, '', '');
        is($what, $expected, join(', ', $version, @headers) . ": $expected");
    }
    foreach my $target ("http://db1.example:8000/master", "HTTP://x/master?a=b") {
        is(persistence("GET $target HTTP/1.1\r\nHost: x\r\n\r\n"), 'stays', "the target $target");
    }
    is((answers_to(discovery_port($primary), "GET http://x HTTP/1.0\r\n\r\n"))[0]{status}, 404,
        'without a path: the path /, which is none here');
};

subtest 'many requests on one connection' => sub {
    my @requests = (
        [ '/master',             'GET',  200, $p ],
        [ '/nope',               'GET',  404, '' ],
        [ '/live',               'GET',  200, 'OK' ],
        [ '/master',             'POST', 405, '' ],
        [ '/replica?lag_ms=abc', 'GET',  400, error_json('Invalid lag_ms') ],
        [ '/%6daster',           'GET',  200, $p ],
        [ '/%zz',                'GET',  400, '' ],
        [ '/ready',              'GET',  200, 'OK' ]);
    my $bytes = join '', map { "$_->[1] $_->[0] HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" } @requests;
    $bytes .= "GET /live HTTP/1.1\r\nConnection: close\r\n\r\nGET /master HTTP/1.1\r\n\r\n";
    my @expected = ((map { [ @$_[ 2, 3 ] ] } @requests), [ 200, 'OK' ]);
    my $served   = sub { [ map { [ $_->{status}, $_->{body} ] } answers_to(discovery_port($primary), @_) ] };
    is_deeply($served->($bytes), \@expected, 'sent at once: answered in order, up to the one that wants to close');
    foreach my $size (1, 7, 64) {
        my $part = $size == 1 ? substr($bytes, -200) =~ s/\A.*?\r\n\r\n//sr : $bytes;
        my @last = $size == 1 ? @expected[ -($part =~ s/\r\n\r\n/$&/g) + 1 .. -1 ] : @expected;
        is_deeply($served->([ $part =~ /.{1,$size}/gs ]), \@last, "in pieces of $size bytes");
    }
    my $depth = 1000;
    my @many = answers_to(discovery_port($primary),
        ("GET /live HTTP/1.1\r\n\r\n" x $depth) . "GET /master HTTP/1.0\r\n\r\n");
    is(scalar(grep { "$_->{status} $_->{body}" eq '200 OK' } @many), $depth, "$depth requests at once");
    is($many[-1]{body},                                              $p,     'and the last of them');
};

subtest 'bodies, large heads and what is no HTTP' => sub {
    my $pid    = worker_pid($primary, 'listener');
    my $status = sub { join ' ', map { $_->{status} } answers_to(discovery_port($primary), @_) };
    my $next   = "GET /live HTTP/1.0\r\n\r\n";
    is($status->("GET /master HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello$next"), 413, 'a body: refused, and the end');
    is($status->("GET /master HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n$next"), 413, 'the largest');
    is($status->("GET /master HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n$next"),  413, 'one in chunks');
    is($status->("POST /master HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello$next"), 405, 'the method counts before it');
    is($status->("GET /master HTTP/1.1\r\nContent-Length: 0\r\n\r\n$next"), '200 200', 'an empty one is none');

    my $head = sub {
        my ($size) = @_;
        my ($begin, $end) = ("GET /master HTTP/1.0\r\nCookie: ", "\r\n\r\n");
        return $begin . 'c' x ($size - length "$begin$end") . $end;
    };
    is($status->($head->($_)), 200, "a head of $_ bytes is served") foreach 3000, 8192;
    like($status->($head->($_)), qr/^(431|413|400)$/, "one of $_ bytes is refused") foreach 16385, 60000;
    my $lines = join '', map { "X-Header-$_: " . 'x' x 50 . "\r\n" } 1 .. 100;
    is($status->("GET /master HTTP/1.0\r\n$lines\r\n"), 200, 'many headers are served');
    like($status->("GET /master HTTP/1.0\r\n" . $lines x 4 . "\r\n"), qr/^(431|413|400)$/, 'too many are refused');

    my %bad = (
        'a TLS hello'           => "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" . "\xa5" x 500,
        'NULs'                  => "\0" x 100,
        'a NUL in the head'     => "GET /master HTTP/1.1\r\nX: a\0b\r\n\r\n",
        'a negative length'     => "GET /master HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        'a length in words'     => "GET /master HTTP/1.1\r\nContent-Length: ten\r\n\r\n",
        'two lengths'           => "GET /master HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        'a version from beyond' => "GET /master HTTP/9.9\r\n\r\n",
        'a header with a blank' => "GET /master HTTP/1.1\r\nHo st: x\r\n\r\n",
        'no colon'              => "GET /master HTTP/1.1\r\nnonsense\r\n\r\n");
    foreach my $what (sort keys %bad) {
        my @answers = answers_to(discovery_port($primary), $bad{$what});
        is_deeply([ map { [ $_->{status}, $_->{body} ] } @answers ], [ [ 400, '' ] ], "$what: a bad request");
    }

    # Nobody closes here and the time for a request is far away: whoever gets an answer got it at once.
    set_conf($primary, 'pg_status.client_timeout' => '1h');
    my $socket = connect_to(discovery_port($primary));
    send_pieces($socket, "GET /master HTTP/1.1\nHost: x\n\n");
    my $answer = receive($socket);
    is($answer->{status}, 400, 'lines that end in LF alone are refused at once');
    like($answer->{body}, qr/\bCR LF\b/, 'with a word of help');
    is(receive($socket), undef, 'and the end of the connection');
    set_conf($primary, 'pg_status.client_timeout' => '5s');
    is(worker_pid($primary, 'listener'), $pid, 'the listener is the same as before all this');
    is_deeply(short($primary, '/master'), [ 200, $p ], 'and answers');
};

subtest 'bare lines' => sub {
    my $port    = discovery_port($primary);
    my $version = sql($primary, 'SELECT pg_status_version()');
    my $filler  = 'x' x (1024 - length 'master?x=');
    my @rows    = (
        [ "master\n",                               "$p\n",                     'a path without its slash' ],
        [ "master\r\n",                             "$p\n",                     'ended as by telnet' ],
        [ "master  \n",                             "$p\n",                     'blanks at its end' ],
        [ "%6daster\n",                             "$p\n",                     'decoded' ],
        [ "replica?min_lsn=FFFFFFFF/0\n",           "$p\n",                     'with parameters' ],
        [ "live\n",                                 "OK\n",                     'it lives' ],
        [ "ready\r\n",                              "OK\n",                     'it is ready' ],
        [ "version\n",                              "$version\n",               'its version' ],
        [ "status?host=nobody\n",                   "\n",                       'not found: an empty line' ],
        [ "replica?lag_ms=abc\n",                   "error Invalid lag_ms\n",    'a bad lag_ms' ],
        [ "sync_by_time?lag_bytes=-1\r\n",          "error Invalid lag_bytes\n", 'a bad lag_bytes' ],
        [ "most_sync_by_bytes?min_lsn=\n",          "error Invalid min_lsn\n",   'a bad min_lsn' ],
        [ "nope\n",                                 "error not found\n",         'an unknown path' ],
        [ "/nope\n",                                "error not found\n",         'one with a second slash' ],
        [ "\n",                                     "error not found\n",         'an empty line' ],
        [ "master%zz\n",                            "error bad request\n",       'a broken escape' ],
        [ "master?x=$filler\n",                     "$p\n",                      '1024 bytes' ],
        [ "master\nreplica\nGET / HTTP/1.0\r\n\r\n", "$p\n",                     'what follows a line is ignored' ],
        [ "\r\nGET /live HTTP/1.0\r\n\r\n",            "error not found\n",         'an empty line before a request' ],
        [ "GET /master\n",                          "error not found\n",         'a request without its version' ]);
    is(ask($port, $_->[0]), $_->[1], $_->[2]) foreach @rows;
    like(ask($port, "replica\n"), qr/\A(?:\Q$s1\E|\Q$s2\E)\n\z/, 'a standby');
    unlike(ask($port, "master?x=${filler}x\n"), qr/\Q$p\E/, 'more than 1024 bytes are too many');
    my @table = split /\n/, ask($port, "hosts\n");
    is(join(' ', map { (split)[0] } @table), "host $p $s1 $s2", 'hosts, as a table');
    my @begins = map { index $_, (split)[1] } @table;
    is_deeply(\@begins, [ ($begins[0]) x 4 ], '... whose columns are aligned');
    is(decode_json(ask($port, "status?host=$s1\n"))->{role}, 'standby',            'status, as JSON');

    my $socket = connect_to($port);
    send_pieces($socket, split //, "replica?min_lsn=FFFFFFFF/0\n");
    is(join('', <$socket>), "$p\n", 'byte by byte, and then the end');
};

# ---- near and distant hosts ----------------------------------------------------------------------------------------

# The three hosts with these labels: [dc, geo] each, '' for none.
sub hosts_with_labels {
    my @labels = @_;
    return join ', ', map {
        my ($dc, $geo) = @{ shift @labels };
        name_of($_) . ' application_name=' . $_->name . ($dc && " dc=$dc") . ($geo && " geo=$geo")
    } @nodes;
}

# Waits until reads on the primary go to @expected only, in equal shares.
sub wait_named {
    my ($what, $path, @expected) = @_;
    my $times    = 6 / @expected;
    my $expected = { map { $_ => $times } @expected };
    my $seen;
    eval {
        wait_for($what,
            sub {
                $seen = named($primary, $path, 6);
                return join(' ', map { "$_=" . ($seen->{$_} // 0) } sort @expected) eq join ' ',
                  map { "$_=$times" } sort @expected;
            });
    };
    return is_deeply($seen, $expected, $what);
}

subtest 'near hosts' => sub {
    set_conf($primary, 'pg_status.hosts' => hosts_with_labels([qw(east eu)], [qw(east us)], [qw(west eu)]));
    wait_object($primary, $standby1, dc => 'east', geo => 'us');
    is_deeply(told($primary, '/master', @want_json), [ 200, $json_type, qq({"host":"$p","dc":"east","geo":"eu"}) ],
        'where a host is stands in its JSON');
    is(told($primary, "/status?host=$s2")->[2] =~ /^\{"dc":"west","geo":"eu","master":/ ? 1 : 0, 1, 'and in /status');
    my @rows = (
        [ 'east',  '',   $s1 ],
        [ '',      'eu', $s2 ],
        [ 'east',  'eu', $s1 ],
        [ 'west',  'us', $s2 ],
        [ 'north', '',   $s1, $s2 ],
        [ 'north', 'eu', $s2 ],
        [ 'East',  '',   $s1, $s2 ],
        [ 'east',  'us', $s1 ],
        [ '',      '',   $s1, $s2 ]);
    foreach my $row (@rows) {
        my ($dc, $geo, @expected) = @$row;
        set_conf($primary, 'pg_status.dc' => $dc, 'pg_status.geo' => $geo);
        foreach my $path (@reads) {
            wait_named("node in \"$dc\" of \"$geo\": $path to " . join(' and ', map { $_ eq $s1 ? 1 : 2 } @expected),
                $path, @expected);
        }
    }

    set_conf($primary, 'pg_status.dc' => 'west', 'pg_status.geo' => 'us');
    wait_named('the near one first', '/replica', $s2);
    set_conf($primary, 'pg_status.hosts' => hosts_with_labels([qw(east eu)], [qw(west us)], [ '', 'eu' ]));
    wait_named('a host without dc: only geo counts', '/replica', $s1);
    my $offset = log_offset($primary);
    set_conf($primary, 'pg_status.hosts' => hosts_with_labels([qw(east eu)], [qw(east us)], [ '', 'eu' ]),
        'pg_status.geo' => 'eu');
    wait_named('geo decides, whatever dc says', '/replica', $s2);
    my $objects = host_objects($primary);
    is_deeply([ map { $objects->{$_}{dc} } $p, $s1, $s2 ], [ 'east', 'east', undef ], 'the labels are shown as ever');
    my @again = grep { /WARNING: .*\bdc\b/ } pg_status_log($primary, $offset);
    is(scalar @again, 0, 'there is no second warning of what was so before');
    $offset = log_offset($primary);
    set_conf($primary, 'pg_status.hosts' => hosts_with_labels([qw(east eu)], [qw(east us)], [qw(west eu)]),
        'pg_status.dc' => 'east');
    wait_named('all have one: dc counts again', '/replica', $s1);
    set_conf($primary, 'pg_status.hosts' => hosts_with_labels([ '', 'eu' ], [qw(east us)], [qw(west eu)]));
    wait_named('and no more: the primary counts as well', '/replica', $s2);
    my @warnings = grep { /WARNING: .*\bdc\b/ } pg_status_log($primary, $offset);
    is(scalar @warnings, 1, 'one warning tells of it') or diag(@warnings);

    set_conf($primary, 'pg_status.hosts' => hosts_with_labels([qw(east eu)], [qw(east us)], [qw(west eu)]),
        'pg_status.dc' => '', 'pg_status.geo' => '');
    wait_named('neither is set: everybody in turn', '/replica', $s1, $s2);
};

# ---- limits --------------------------------------------------------------------------------------------------------

sub write_wal {
    my ($bytes) = @_;
    sql($primary, "SELECT pg_logical_emit_message(true, 'filler', repeat('x', $bytes))");
    return;
}

sub wait_replayed {
    my ($standby) = @_;
    my $lsn = sql($primary, 'SELECT pg_current_wal_lsn()');
    wait_for($standby->name . ' to catch up',
        sub { sql($standby, "SELECT pg_last_wal_replay_lsn() >= '$lsn'") eq 't' });
    return;
}

# Asks while the lag that /hosts shows stays as it is, for an idle primary writes now and then: $ask gets the bytes that
# the standbys are behind, what it returns is returned.
sub while_steady {
    my ($ask) = @_;
    my $lags = sub { my $objects = host_objects($primary); return map { $objects->{$_}{lag_bytes} } $s1, $s2 };
    my $result;
    wait_for('the lag to be steady',
        sub {
            my @before = $lags->();
            $result = $ask->(@before);
            return $result && "@before" eq join ' ', $lags->();
        });
    return $result;
}

# The position so many bytes after another.
sub lsn_after {
    my ($lsn, $bytes) = @_;
    my ($high, $low) = map { hex } split m{/}, $lsn;
    my $sum = ($high << 32) + $low + $bytes;
    return sprintf '%X/%X', $sum >> 32, $sum & 0xFFFFFFFF;
}

subtest 'the freshest standby' => sub {
    foreach my $standby ($standby1, $standby2) {
        wait_replayed($standby);
        sql($standby, 'SELECT pg_wal_replay_pause()');
    }
    write_wal(100_000);
    set_conf($primary, 'pg_status.dc' => 'west');
    wait_named('the second is the near one', '/replica', $s2);
    my $named = while_steady(
        sub {
            my ($lag1, $lag2) = @_;
            return $lag1 >= 100_000 && $lag1 == $lag2 && named($primary, '/most_sync_by_bytes', 4);
        });
    is_deeply($named, { $s1 => 4 }, 'equally far behind: the first in configured order, near or not');
    set_conf($primary, 'pg_status.dc' => '');
    wait_named('neither is near', '/replica', $s1, $s2);

    write_wal(2_000_000);
    sql($standby2, 'SELECT pg_wal_replay_resume()');
    wait_replayed($standby2);
    sql($standby2, 'SELECT pg_wal_replay_pause()');
    write_wal(100_000);
    $named = while_steady(
        sub {
            my ($lag1, $lag2) = @_;
            # by less than 2000000 they differ while one of them was asked before the last writes, and one after
            return $lag2 >= 100_000 && $lag1 - $lag2 >= 2_000_000 && named($primary, '/most_sync_by_bytes', 4);
        });
    is_deeply($named, { $s2 => 4 }, 'the one that is behind by less');
};

subtest 'limits of standbys that are up' => sub {
    wait_object($primary, $standby1, state => 'up', sync_by_bytes => 0, sync_by_time => 0);
    my @rows = (
        [ 'lag_bytes as far as the first is behind', sub { "/replica?lag_bytes=$_[0]" },         [ $s1, $s2 ] ],
        [ 'one byte less',                           sub { '/replica?lag_bytes=' . ($_[0] - 1) }, [$s2] ],
        [ 'as far as the second is behind',          sub { "/replica?lag_bytes=$_[1]" },         [$s2] ],
        [ 'one byte less: the primary',              sub { '/replica?lag_bytes=' . ($_[1] - 1) }, [$p] ],
        [ 'no bytes: the primary',                   sub { '/sync_by_bytes?lag_bytes=0' },       [$p] ],
        [ 'the default of 1000000 bytes',            sub { '/sync_by_bytes' },                   [$s2] ],
        [ '/replica has no default',                 sub { '/replica' },                         [ $s1, $s2 ] ]);
    foreach my $row (@rows) {
        my ($what, $path, $expected) = @$row;
        my $named = while_steady(sub { named($primary, $path->(@_), 4) });
        is_deeply([ sort keys %$named ], [ sort @$expected ], $what);
    }
    while_steady(
        sub {
            my $objects = host_objects($primary);
            my @ends    = map { lsn_after(@{ $objects->{$_} }{qw(lsn lag_bytes)}) } $s1, $s2;
            return !grep { $_ ne $objects->{$p}{lsn} } @ends;
        });
    pass('position and lag add up to where the primary is');
    wait_object($primary, $standby1, sync_by_time => 0);
    pass('a lag of more than the default 1000 ms');
    unlike(join(' ', keys %{ named($primary, '/sync_by_time', 4) }), qr/\Q$s1\E/, 'is not in sync by time');
};

# Stopped while they are far behind, both are suspect, and suspect hosts keep their values: now milliseconds can be
# compared exactly, too.
my ($ms1, $bytes1, $lsn1, $ms2, $bytes2, $lsn2);

subtest 'suspect hosts' => sub {
    set_conf($primary, 'pg_status.dc' => 'west');
    wait_named('the second is the near one', '/replica', $s2);
    # each behind by some milliseconds, too, when it is last asked
    wait_for('both to be behind in time',
        sub {
            my $objects = host_objects($primary);
            my ($first, $second) = map { $objects->{$_}{lag_ms} // 0 } $s1, $s2;
            return $first > $second && $second > 1;
        });
    forget_session($_) foreach $standby1, $standby2;
    $standby2->stop;
    my $object = wait_object($primary, $standby2, alive => 1, possible_dead => 1);
    is($object->{state}, 'suspect', 'stopped, it is suspect');
    wait_named('a distant host that answers comes before a near one that is suspect', '/replica', $s1);
    $standby1->stop;
    wait_object($primary, $standby1, alive => 1, possible_dead => 1);
    wait_named('both are suspect: the near one', '/replica', $s2);
    set_conf($primary, 'pg_status.dc' => '');
    wait_named('both are suspect and neither near', '/replica', $s1, $s2);

    my $objects = host_objects($primary);
    ($ms1, $bytes1, $lsn1) = @{ $objects->{$s1} }{qw(lag_ms lag_bytes lsn)};
    ($ms2, $bytes2, $lsn2) = @{ $objects->{$s2} }{qw(lag_ms lag_bytes lsn)};
    note "behind: $ms1 ms, $bytes1 bytes at $lsn1 and $ms2 ms, $bytes2 bytes at $lsn2";
    cmp_ok($ms1,    '>', $ms2,    'the last values are kept: the first is older');
    cmp_ok($bytes1, '>', $bytes2, 'and further behind');
    is_deeply([ @{ $objects->{$s1} }{qw(master sync_by_time sync_by_bytes role)} ],
        [ JSON::PP::false, JSON::PP::false, JSON::PP::false, 'standby' ], 'and not made to look better');
};

# Rows of a path and query, and who is named by four such requests.
sub check_rows {
    my @rows = @_;
    foreach my $row (@rows) {
        my ($path, @expected) = @$row;
        is_deeply(named($primary, $path, 4), { map { $_ => 4 / @expected } @expected },
            "$path: " . join(' and ', map { $_ eq $s1 ? 'first' : $_ eq $s2 ? 'second' : 'primary' } @expected));
    }
    return;
}

subtest 'limits include their value' => sub {
    my ($max, $both) = ('18446744073709551615', [ $s1, $s2 ]);
    my ($less1, $less2) = ($ms1 - 1, $ms2 - 1);
    my ($fewer1, $fewer2) = ($bytes1 - 1, $bytes2 - 1);
    my $or  = '/sync_by_time_or_bytes';
    my $and = '/sync_by_time_and_bytes';
    my $old = $lsn1 =~ s{^(\w+)/(\w+)}{sprintf '%s/%08x', lc $1, hex $2}er;    # another spelling of the same
    check_rows(
        [ "/replica",                                         @$both ],
        [ "/replica?lag_ms=$max&lag_bytes=$max",              @$both ],
        [ "/replica?lag_ms=$ms1",                             @$both ],
        [ "/replica?lag_ms=$less1",                           $s2 ],
        [ "/replica?lag_ms=$ms2",                             $s2 ],
        [ "/replica?lag_ms=$less2",                           $p ],
        [ "/replica?lag_bytes=$bytes1",                       @$both ],
        [ "/replica?lag_bytes=$fewer1",                       $s2 ],
        [ "/replica?lag_bytes=$bytes2",                       $s2 ],
        [ "/replica?lag_bytes=$fewer2",                       $p ],
        [ "/replica?lag_ms=$ms1&lag_bytes=$bytes2",           $s2 ],
        [ "/replica?lag_ms=$less2&lag_bytes=$bytes1",         $p ],
        [ "/replica?min_lsn=0/0",                             @$both ],
        [ "/replica?min_lsn=$lsn1",                           @$both ],
        [ "/replica?min_lsn=$old",                            @$both ],
        [ '/replica?min_lsn=' . lsn_after($lsn1, 1),          $s2 ],
        [ "/replica?min_lsn=$lsn2",                           $s2 ],
        [ '/replica?min_lsn=' . lsn_after($lsn2, 1),          $p ],
        [ "/replica?lag_bytes=$bytes2&lag_bytes=$bytes1",     $s2 ],
        [ "/sync_by_time?lag_ms=$ms1",                        @$both ],
        [ "/sync_by_time?lag_ms=$less1",                      $s2 ],
        [ "/sync_by_time?lag_ms=$less2",                      $p ],
        [ "/sync_by_time?lag_ms=$ms1&lag_bytes=0",            @$both ],
        [ "/sync_by_time?lag_ms=$ms1&min_lsn=$lsn2",          $s2 ],
        [ "/sync_by_bytes?lag_bytes=$bytes1",                 @$both ],
        [ "/sync_by_bytes?lag_bytes=$fewer1",                 $s2 ],
        [ "/sync_by_bytes?lag_bytes=$fewer2",                 $p ],
        [ "/sync_by_bytes?lag_bytes=$bytes1&lag_ms=0",        @$both ],
        [ "$or?lag_ms=$ms1&lag_bytes=0",                      @$both ],
        [ "$or?lag_ms=0&lag_bytes=$bytes1",                   @$both ],
        [ "$or?lag_ms=$ms2&lag_bytes=$bytes1",                @$both ],
        [ "$or?lag_ms=$less1&lag_bytes=$fewer1",              $s2 ],
        [ "$or?lag_ms=$less2&lag_bytes=$fewer2",              $p ],
        [ "$or?lag_ms=$ms1&lag_bytes=$bytes1&min_lsn=$lsn2",  $s2 ],
        [ "$and?lag_ms=$ms1&lag_bytes=$bytes1",               @$both ],
        [ "$and?lag_ms=$ms1&lag_bytes=$fewer1",               $s2 ],
        [ "$and?lag_ms=$less1&lag_bytes=$bytes1",             $s2 ],
        [ "$and?lag_ms=$less2&lag_bytes=$bytes1",             $p ],
        [ "$and?lag_ms=$ms1&lag_bytes=$fewer2",               $p ],
        [ "/most_sync_by_bytes?lag_bytes=$bytes1",            $s2 ],
        [ "/most_sync_by_bytes?lag_bytes=$bytes2",            $s2 ],
        [ "/most_sync_by_bytes?lag_bytes=$fewer2",            $p ],
        [ "/most_sync_by_bytes?lag_ms=0&lag_bytes=$bytes1",   $s2 ],
        [ "/most_sync_by_bytes?min_lsn=$lsn2",                $s2 ],
        [ '/most_sync_by_bytes?min_lsn=' . lsn_after($lsn2, 1), $p ]);
};

subtest 'limits that are not given are those of the settings' => sub {
    # sync_max_lag_ms, sync_max_lag_bytes, which of the two standbys is then in sync by time and by bytes, and who is
    # named by each path
    my @rows = (
        [ $ms2,     $bytes2,     [ 0, 1 ], [ 0, 1 ], [$s2], [$s2], [$s2], [$s2], [$s2] ],
        [ $ms1,     $bytes2,     [ 1, 1 ], [ 0, 1 ], [ $s1, $s2 ], [$s2], [ $s1, $s2 ], [$s2], [$s2] ],
        [ $ms2,     $bytes1,     [ 0, 1 ], [ 1, 1 ], [$s2], [ $s1, $s2 ], [ $s1, $s2 ], [$s2], [$s2] ],
        [ $ms2 - 1, $bytes2,     [ 0, 0 ], [ 0, 1 ], [$p], [$s2], [$s2], [$p], [$s2] ],
        [ $ms2 - 1, $bytes2 - 1, [ 0, 0 ], [ 0, 0 ], [$p], [$p], [$p], [$p], [$p] ],
        [ $ms1,     $bytes1,     [ 1, 1 ], [ 1, 1 ], ([ $s1, $s2 ]) x 4, [$s2] ]);
    foreach my $row (@rows) {
        my ($ms, $bytes, $by_time, $by_bytes, @expected) = @$row;
        set_conf($primary, 'pg_status.sync_max_lag_ms' => "${ms}ms", 'pg_status.sync_max_lag_bytes' => "${bytes}B");
        foreach my $i (0, 1) {
            wait_object($primary, ($standby1, $standby2)[$i], sync_by_time => $by_time->[$i],
                sync_by_bytes => $by_bytes->[$i]);
        }
        pass("/hosts shows who is in sync with $ms ms and $bytes bytes");
        check_rows(map { [ $selectors[ $_ + 1 ], @{ $expected[$_] } ] } 0 .. $#expected);
        is(object_of($primary, $primary)->{sync_by_time}, JSON::PP::true, 'the primary always is');
    }
};

# ---- hosts that are down -------------------------------------------------------------------------------------------

subtest 'hosts that are down' => sub {
    set_conf($primary, 'pg_status.max_fails' => 3);
    foreach my $standby ($standby1, $standby2) {
        my $object = wait_object($primary, $standby, alive => 0);
        is_deeply([ @$object{qw(master alive possible_dead sync_by_time sync_by_bytes)} ],
            [ JSON::PP::false, JSON::PP::false, JSON::PP::true, JSON::PP::false, JSON::PP::false ],
            $standby->name . ': neither alive nor in sync, and possibly dead');
        is_deeply([ @$object{qw(lag_ms lag_bytes lsn role state)} ], [ undef, undef, undef, 'unknown', 'down' ],
            'nothing else is claimed of it');
        is(told($primary, '/status?host=' . name_of($standby))->[0], 200, 'it has a status all the same');
    }
    is_deeply([ @{ object_of($primary, $primary) }{qw(alive possible_dead)} ], [ JSON::PP::true, JSON::PP::false ],
        'the primary is alive');
    is_deeply(named($primary, [@selectors], 2), { $p => 12 }, 'every route leads to the primary');
    $_->start foreach $standby1, $standby2;
    wait_roles(\@nodes, { primary => 'primary', standby1 => 'standby', standby2 => 'standby' });
    wait_named('they are back', '/replica', $s1, $s2);
};

subtest 'no primary' => sub {
    set_conf($standby2, 'pg_status.max_fails' => 3);
    forget_session($primary);
    $primary->stop;
    # On standby1 a host has a thousand checks before it is down.
    my $object = wait_object($standby1, $primary, possible_dead => 1);
    is_deeply([ @$object{qw(master alive role state)} ], [ JSON::PP::true, JSON::PP::true, 'primary', 'suspect' ],
        'a suspect primary is still the primary');
    is_deeply(short($standby1, '/master'), [ 200, $p ], 'and is named');
    is_deeply(named($standby1, '/replica', 6), { $s1 => 3, $s2 => 3 }, 'standbys are served as ever');

    wait_object($standby2, $primary, alive => 0);
    is_deeply(told($standby2, '/master'),             [ 404, undef,      '' ],      'once it is down nobody is named');
    is_deeply(told($standby2, '/master', @want_json), [ 404, $json_type, $nobody ], 'nor in JSON');
    is(discovery_line($standby2, 'master'), "\n", 'nor to a line');
    is_deeply(told($standby2, '/ready'), [ 200, $text_type, 'OK' ], 'ready it stays');
    is_deeply(named($standby2, '/replica', 6), { $s1 => 3, $s2 => 3 }, 'standbys are served all the same');
    is_deeply(told($standby2, '/replica?lag_bytes=0&lag_ms=0&min_lsn=FFFFFFFF/0', @want_json),
        [ 404, $json_type, $nobody ], 'and when none of them fits there is nobody to fall back to');
};

subtest 'a new primary' => sub {
    $standby2->promote;
    wait_for('standby1 to name it', sub { told($standby1, '/master')->[2] eq $s2 });
    my $objects = host_objects($standby1);
    is_deeply([ map { $objects->{$_}{master} ? 1 : 0 } $p, $s1, $s2 ], [ 0, 0, 1 ],
        'it is named while the old one, first in the list, is suspect');
    is($objects->{$p}{state}, 'suspect', 'as it still is');
    my $object = wait_object($standby1, $standby1, lag_ms => undef, lag_bytes => undef);
    is_deeply([ @$object{qw(alive sync_by_time sync_by_bytes)} ],
        [ JSON::PP::true, JSON::PP::false, JSON::PP::false ], 'the lag behind it of who does not follow is not known');
    is_deeply(named($standby1, \@selectors, 2), { $s1 => 2, $s2 => 10 },
        'and is within no limit: only /replica, which has none, names it');
};

# ---- readiness: the end --------------------------------------------------------------------------------------------

subtest 'after every host was checked once' => sub {
    wait_for('the first check of the silent host to end', sub { told($alone, '/ready')->[0] == 200 });
    is_deeply(short($alone, '/master'), [ 200, name_of($alone) ], 'the live host is named');
    my $object = object_of($alone, 'silent');
    is_deeply([ @$object{qw(alive possible_dead)} ], [ JSON::PP::false, JSON::PP::true ], 'the silent one is none');
    is(told($alone, '/replica?lag_ms=abc')->[2], error_json('Invalid lag_ms'), 'now parameters are looked at');

    my @dead = map { 'name=' . $_ } qw(gone1 gone2);
    my @ready;
    set_conf($alone, 'pg_status.hosts' => join ', ', map { "127.0.0.1:" . (shift @$_) . " $_->[0]" }
          map { [ PostgreSQL::Test::Cluster::get_free_port(), $_ ] } @dead);
    wait_for('the new hosts to be down',
        sub {
            push @ready, told($alone, '/ready')->[0];
            my $objects = host_objects($alone);
            return !grep { ($objects->{$_}{state} // '') ne 'down' } qw(gone1 gone2);
        });
    is_deeply([ grep { $_ != 200 } @ready ], [], 'new hosts do not make it unready, nor does the end of all');
    is_deeply([ told($alone, $_), told($alone, $_, @want_json) ], [ [ 404, undef, '' ], [ 404, $json_type, $nobody ] ],
        "$_: nobody") foreach '/master', @selectors;
    is(discovery_line($alone, 'replica'), "\n", 'to a line as well');
};

done_testing;
