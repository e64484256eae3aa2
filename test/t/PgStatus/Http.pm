# The discovery port and the check port of test servers, asked as a client would: opens them, sends requests and lines,
# takes answers apart. What an answer should be is each test's own matter.
package PgStatus::Http;

use strict;
use warnings;

use Exporter 'import';
use IO::Socket::INET;
use JSON::PP;
use PgStatus;
use PostgreSQL::Test::Cluster;

our @EXPORT = qw(discovery_port check_port open_http ask fetch discover check code line json_of);

my (%discovery_port_of, %check_port_of);    # node name -> port

# The ports that open_http() gives to a node; taken when first asked for.
sub discovery_port { return $discovery_port_of{ $_[0]->name } //= PostgreSQL::Test::Cluster::get_free_port() }
sub check_port     { return $check_port_of{ $_[0]->name }     //= PostgreSQL::Test::Cluster::get_free_port() }

# Opens both ports of running nodes, and returns when they answer and each standby's sync state is known: the role is
# known earlier, from the standby itself, but only the primary tells how it replicates.
sub open_http {
    my (@nodes) = @_;
    set_conf($_, 'pg_status.http_port' => discovery_port($_), 'pg_status.check_port' => check_port($_)) foreach @nodes;
    foreach my $node (@nodes) {
        wait_for('the ports of ' . $node->name, sub { code($node, '/liveness') == 200 && (discover($node, '/ready'))[0] == 200 });
        wait_for($node->name . ' to be fit for its role',
            sub { code($node, '/primary') == 200 || (code($node, '/async') == 200 && code($node, '/readiness') == 200) });
    }
    return;
}

# Sends bytes to a port, returns all that comes until the server ends the connection; '' when there is no answer.
sub ask {
    my ($port, $bytes) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 60) or return '';
    print $socket $bytes;
    local $/;
    return <$socket> // '';
}

# One request, with the header lines given: (status, body, head). The status is 0 when that was no HTTP answer.
sub fetch {
    my ($port, $path, $method, @headers) = @_;
    $method //= 'GET';
    my $answer = ask($port, join("\r\n", "$method $path HTTP/1.0", @headers, '', ''));
    my ($head, $status, $body) = $answer =~ m{\A(HTTP/1\.1 (\d+) .*?\r\n)\r\n(.*)\z}s or return (0, $answer, '');
    return ($status, $body, $head);
}

# A request to a node's discovery port, or to its check port.
sub discover { my ($node, $path, @more) = @_; return fetch(discovery_port($node), $path, @more) }
sub check    { my ($node, $path, @more) = @_; return fetch(check_port($node), $path, @more) }

# The status alone, and the body alone, decoded.
sub code    { return (check(@_))[0] }
sub json_of { my ($status, $body) = @_; return decode_json($body) }

# A line command to a node's check port: what an agent hears.
sub line { my ($node, $command) = @_; return ask(check_port($node), "$command\n") }

1;
