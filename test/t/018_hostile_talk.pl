# Peers that talk, but not as a PostgreSQL server should: other protocols, silence at each point, a trickle, floods,
# texts that are meant to break a line of log, a JSON string or a terminal; and TLS that is refused or out of date. Each
# costs its own host its own deadline, and nothing else: the others are asked at their pace, memory is bounded, the
# worker and the server go on, and what is shown of such a peer is short and harmless.
#
# It must not know how the poller reads; it knows the protocol's bytes, and what SQL, HTTP and the log show.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use JSON::PP;
use PgStatus;
use PgStatus::Http;
use PgStatus::Peers;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

# ---- texts that are meant to do harm

my $line     = '2026-01-01 00:00:00.000 UTC [1] LOG:  FAKED LINE';
my $fake     = "\r$line\r\n$line\n";
my $terminal = "\x1b[2J\x1b]0;title\x07\xc2\x9b2J\x00\x7f\x08";
my $broken   = "\xff\xfe\xc3\x28\xed\xa0\x80\xf8";
my $markup   = q{"quotes' \\ } . "{\\\"a\\\":1} <script>alert(1)</script> %s %n \$\$";
my $hostile  = "$markup $broken $terminal" =~ s/\0//gr . $fake . 'y' x 300;
my $megabyte = 'z' x 1_000_000;

my $query_row = row_description(1);

# name -> how it talks, and what last_error says of it
my @talks = (
    [ http => { at_once => "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", login => '', close => 1 },
        qr/expected authentication request|received invalid|unexpected|closed/ ],
    [ ssh => { at_once => "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n" },
        qr/expected authentication request|received invalid|within the time/ ],
    [ mute   => {}, qr/within the time allowed/ ],
    [ hole   => { login => welcome('15.20') }, qr/no answer within the time allowed/ ],
    [ half   => { login => substr(welcome('15.20'), 0, 11) }, qr/within the time allowed/ ],
    [ half_row => { login => welcome('15.20'), answer => $query_row . "D\0\0\0\x64\0\1\0\0" },
        qr/no answer within the time allowed/ ],
    [ trickle => { login => welcome('15.20') . 'N' . pack('N', 100_000), trickle => 1, answer => 'x' x 4000 },
        qr/within the time allowed/ ],
    [ rows => { login => welcome('15.20'), answer => $query_row, endless => data_row('x' x 100) x 50 },
        qr/the answer is too long/ ],
    [ empty_rows => { login => welcome('15.20'), answer => row_description(0), endless => data_row() x 200 },
        qr/the answer is too long/ ],
    [ notices => { login => welcome('15.20'), answer => '',
            endless => message('N', "SNOTICE\0C00000\0Mhello\0\0") x 100 },
        qr/no answer within the time allowed/ ],
    [ giant_field => { login => welcome('15.20'), endless => "\0" x 200_000,
            answer => $query_row . 'D' . pack('N n N', 900_000_000, 1, 899_999_990) }, qr/./ ],
    [ giant_login => { login => 'E' . pack('N', 2_000_000_000) . 'SFATAL', endless => 'x' x 200_000 }, qr/./ ],
    [ hostile_login => { login => error_message('FATAL', '28000', $hostile), close => 1 }, qr/^FATAL:  "quotes' \\/ ],
    [ hostile_query => { login => welcome('15.20'),
            answer => error_message('ERROR', '42501', $hostile) . ready_for_query() }, qr/^"quotes' \\/ ],
    [ long_login => { login => error_message('FATAL', '28000', 'z' x 29_000), close => 1 }, qr/^FATAL:  z{100,}$/ ],
    [ megabyte_query => { login => welcome('15.20'),
            answer => error_message('ERROR', '42501', $megabyte) . ready_for_query() }, qr/^z{200,}$/ ],
    [ hostile_fact => { login => welcome("15.20 $hostile"), answer => answer_of([ primary_cells(1 => $hostile) ]) },
        qr/no usable system identifier/ ],
);
# These answer like a PostgreSQL server of another cluster, with hostile names in the answer.
my @walsender = (23 => '1', (map { $_ => $hostile } 24, 25, 27, 28, 30), 26 => '127.0.0.1', 29 => '0', 31 => 'standby');
my $liar = { login => welcome("15.20$broken"), answer => answer_of(
    [ primary_cells(5 => $hostile, (map { $_ => $hostile } 20 .. 22), @walsender) ],
    [ primary_cells(@walsender, 25 => $megabyte) ]) };

# ---- servers with TLS, made by openssl

my $certificates = PostgreSQL::Test::Utils::tempdir();

sub openssl { return system("openssl @_ >>'$certificates/log' 2>&1") == 0 }

# A certificate for 127.0.0.1 that begins and ends at these days from now.
sub certificate {
    my ($name, $begin, $end) = @_;
    my $stamp = sub { POSIX::strftime('%Y%m%d%H%M%SZ', gmtime(time + 86400 * $_[0])) };
    my $at = "$certificates/$name";
    mkdir "$at.ca";
    PostgreSQL::Test::Utils::append_to_file("$at.cnf", <<~"END");
        [req]
        distinguished_name = dn
        [dn]
        [ca]
        default_ca = here
        [here]
        dir = $at.ca
        database = $at.ca/index
        new_certs_dir = $at.ca
        serial = $at.ca/serial
        default_md = sha256
        policy = any
        x509_extensions = names
        [any]
        commonName = supplied
        [names]
        subjectAltName = IP:127.0.0.1
        END
    PostgreSQL::Test::Utils::append_to_file("$at.ca/index",  '');
    PostgreSQL::Test::Utils::append_to_file("$at.ca/serial", "01\n");
    return
         openssl("req -new -newkey rsa:2048 -nodes -keyout $at.key -out $at.csr -subj /CN=127.0.0.1 -config $at.cnf")
      && openssl("ca -batch -selfsign -keyfile $at.key -in $at.csr -out $at.crt -notext -startdate "
          . $stamp->($begin) . ' -enddate ' . $stamp->($end) . " -config $at.cnf")
      && chmod 0600, "$at.key";
}

my $user = getpwuid $<;
my $good = new_node('good');

sub host { return row($good, $_[0]) }
init_node($good, 'pg_status.hosts' => name_of($good), 'pg_status.poll_timeout' => '500ms', max_connections => 40,
    'pg_status.http_port' => discovery_port($good), 'pg_status.check_port' => check_port($good));
$good->start;
$good->safe_psql('postgres', 'CREATE EXTENSION pg_status');
wait_row($good, $good, 'up', \&is_up);
my ($poller, $postmaster) = (worker_pid($good, 'poller'), postmaster_pid($good));
my $from = log_offset($good);
my ($most_age, $most_memory, $looks) = (0, 0, 0);

sub poller_memory_mb { return (read_from("/proc/$poller/status", 0) =~ /^VmRSS:\s+(\d+) kB/m)[0] / 1024 }

# One look at how the good host fares beside the others.
sub look {
    my $age = sql($good, 'SELECT extract(epoch FROM clock_timestamp() - last_success)'
          . " FROM pg_status_host('" . name_of($good) . "')");
    $most_age = $age if $age > $most_age;
    my $memory = poller_memory_mb();
    $most_memory = $memory if $memory > $most_memory;
    $looks++;
    return;
}

sub is_clean {
    my ($text) = @_;
    return $text !~ /[\x00-\x1f\x7f-\x9f]|\x{fffd}|\x{2028}|\x{2029}/;
}

subtest 'peers that talk nonsense' => sub {
    my @hosts = (name_of($good), (map { peer($_->[0], %{ $_->[1] }) } @talks), peer('liar', %$liar));
    set_conf($good, 'pg_status.hosts' => join ', ', @hosts);
    foreach my $talk (@talks) {
        my ($name, undef, $says) = @$talk;
        my $row;
        my $down = eval {
            wait_for("$name to be down",
                sub { look(); $row = host($name); is_down($row) && ($row->{last_error} // '') =~ $says });
        };
        my $error = $row->{last_error} // '';
        ok($down, "$name: down, as it should be") or diag "state $row->{state}, last_error $error";
        note "$name: $error";
        ok(is_clean($error) && length $error <= 255, 'last_error is short and clean');
        is($row->{role}, 'unknown', 'nothing is claimed of it');
    }
    my $start = time;
    wait_for('a while of all this', sub { look(); time > $start + 5 });
    my $liar_row = host('liar');
    is($liar_row->{state}, 'up', 'who answers well is up, whatever its names are');
    ok(!$liar_row->{master}, 'but a server of another cluster is not the master');
    is(sql($good, 'SELECT pg_status_master()'), name_of($good), 'the master is named all the time');
};

subtest 'what is shown of them' => sub {
    my ($status, $json) = discover($good, '/hosts');
    is($status, 200, '/hosts answers');
    unlike($json, qr/[\x00-\x1f\x7f]/, 'in one line without control characters');
    my $hosts = decode_json($json);
    is(scalar @$hosts, @talks + 2, 'that JSON can be parsed, and every host is in it');
    unlike($json, qr/FAKED|script/, 'and no text of a peer is');
    foreach my $path (qw(/patroni /cluster)) {
        my (undef, $body) = check($good, $path);
        ok(eval { decode_json($body); 1 }, "$path is JSON") or diag $body;
        unlike($body, qr/[\x00-\x1f\x7f]/, 'in one line');
    }
    my (undef, $metrics) = check($good, '/metrics');
    my $comment = qr/# (?:HELP|TYPE) pg_status_\w+ [^\x00-\x1f]*/;
    my $sample  = qr/pg_status_\w+(?:\{[^\x00-\x1f]*\})? [-+.\w]+/;
    my @odd     = grep { !/\A(?:$comment|$sample)\z/ } split /\n/, $metrics;
    is_deeply(\@odd, [], 'every line of /metrics is one');
    if (-x '/usr/bin/promtool') {
        my $file = "$certificates/metrics";
        PostgreSQL::Test::Utils::append_to_file($file, $metrics);
        is(system("promtool check metrics <'$file' >/dev/null 2>&1") >> 8, 0, 'promtool is content');
    }
    my $texts = sql($good, 'SELECT json_agg(h) FROM pg_status_hosts() h');
    ok(eval { decode_json($texts); 1 }, 'what SQL gives is valid text');
    my $log = log_text($good, $from);
    my @faked = grep { /FAKED LINE/ } split /[\r\n]/, $log;
    cmp_ok(scalar @faked, '>', 0, 'somebody tried to fake lines of the log');
    is_deeply([ grep { !/\A[-\d]+ [:.\d]+ UTC \[$poller\] pg_status poller / } @faked ], [], 'and did not succeed');
    my @poller_lines = grep { /\[$poller\]/ } split /\n/, $log;
    my @moving = grep { /[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]/ } @poller_lines;
    is_deeply(\@moving, [], 'nothing in it moves a terminal');
    my ($longest) = sort { $b <=> $a } map { length } @poller_lines;
    cmp_ok($longest, '<', 700, "its longest line has $longest bytes");
    cmp_ok(scalar @poller_lines, '<', 4 * @talks + 30, 'and there are ' . @poller_lines . ' lines about it all');
};

subtest 'the others meanwhile' => sub {
    # poll_interval is 200 ms, and 400 ms more is the goal; the rest is for a busy machine
    cmp_ok($most_age, '<', 1, sprintf 'last_success was never older than %.3f s (%d looks)', $most_age, $looks);
  SKIP: {
        skip 'under ASan memory is not bounded', 1 if is_under_asan($poller);
        cmp_ok($most_memory, '<', 250, sprintf 'the poller had at most %.0f MB', $most_memory);
    }
    is(worker_pid($good, 'poller'), $poller, 'the poller is the same process');
    is(postmaster_pid($good), $postmaster, 'so is the server');
    is(raw_status($good), 'MASTER', 'the raw port answers');
};

subtest 'TLS' => sub {
    plan skip_all => 'openssl is not installed' if system('openssl version >/dev/null 2>&1') != 0;
    plan skip_all => 'the server has no TLS' if `pg_config --configure` !~ /ssl/;
    my ($plain, $fresh, $expired) = map { new_node($_) } qw(plain fresh expired);
    my $tls = init_node($plain, 'pg_status.hosts' => '', ssl => 'off');
    init_node($_, 'pg_status.hosts' => '') foreach $fresh, $expired;
    my %days = (fresh => [ -10, 10 ], expired => [ -10, -1 ]);
    foreach my $node ($fresh, $expired) {
        certificate($node->name, @{ $days{ $node->name } }) or die "openssl: see $certificates/log";
        my $file = "$certificates/" . $node->name;
        configure($node, ssl => 'on', ssl_cert_file => "$file.crt", ssl_key_file => "$file.key");
    }
    $_->start foreach $plain, $fresh, $expired;
    my $roots = "$certificates/roots";
    PostgreSQL::Test::Utils::append_to_file($roots, read_from("$certificates/$_.crt", 0)) foreach qw(fresh expired);
    my @hosts = map { name_of($_) . ' name=' . $_->name } $plain, $fresh, $expired;

    # the good one has no TLS itself: it is asked through its socket here, where TLS is not used
    my ($socket_dir) = $good->host;
    set_conf($good,
        'pg_status.conninfo' => "dbname=postgres user=$user sslmode=verify-full sslrootcert=$roots",
        'pg_status.hosts'    => join ', ', "$socket_dir:" . $good->port . ' name=here', @hosts);
    my $row = wait_row($good, 'plain', 'down', \&is_down);
    like($row->{last_error}, qr/server does not support SSL, but SSL was required/, "TLS refused: $row->{last_error}");
    $row = wait_row($good, 'expired', 'down', \&is_down);
    like($row->{last_error}, qr/certificate verify failed|certificate has expired/, "expired: $row->{last_error}");
    $row = wait_row($good, 'fresh', 'up', \&is_up);
    is($row->{last_error}, undef, 'a good certificate is taken');
    wait_row($good, 'here', 'up', \&is_up);

    set_conf($good, 'pg_status.conninfo' => "dbname=postgres user=$user sslmode=require");
    wait_row($good, 'expired', 'up', \&is_up);
    pass('who does not ask for verification is not told of it');
    $row = wait_row($good, 'plain', 'down', \&is_down);
    like($row->{last_error}, qr/server does not support SSL/, 'TLS is still required');

    # a certificate that ends its time while the connection is kept: told when it is renewed
    set_conf($good, 'pg_status.conninfo' => "dbname=postgres user=$user sslmode=verify-full sslrootcert=$roots",
        'pg_status.conn_max_age' => '1s');
    wait_row($good, 'fresh', 'up', \&is_up);
    configure($fresh, ssl_cert_file => "$certificates/expired.crt", ssl_key_file => "$certificates/expired.key");
    $fresh->reload;
    $row = wait_row($good, 'fresh', 'down', \&is_down);
    like($row->{last_error}, qr/certificate verify failed|certificate has expired/, 'the next renewal tells it');
    is(worker_pid($good, 'poller'), $poller, 'the poller is the same process');
};

done_testing;
