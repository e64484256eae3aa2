# A database of another encoding than UTF-8: hosts are found by the names that are written in its encoding, orders and their
# reasons come over, and nothing that is shown is invalid there.
use strict;
use warnings;
use utf8;
use Encode qw(encode);
use FindBin;
use lib $FindBin::RealBin;
use PgStatus;
use PostgreSQL::Test::Cluster;
use Test::More;

my $node = new_node('node');
init_node($node, 'pg_status.hosts' => encode('UTF-8', name_of($node) . ' name=köln'));
$node->start;
sql($node, 'CREATE EXTENSION pg_status');
wait_for('it to be the primary', sub { raw_status($node) eq 'MASTER' && sql($node, 'SELECT pg_status_master()') ne '' });

foreach my $encoding (qw(LATIN1 SQL_ASCII)) {
    my $database = lc $encoding;
    sql($node, "CREATE DATABASE $database TEMPLATE template0 ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C'");
    my $ask = sub {
        my ($query) = @_;
        return $node->safe_psql($database, encode('UTF-8', $query), extra_params => [ '-v', 'ON_ERROR_STOP=1' ]);
    };
    $ask->('CREATE EXTENSION pg_status');
    my $known = $encoding eq 'LATIN1' ? "'köln'" : "convert_from('\\x6bc3b66c6e', 'SQL_ASCII')";
    is($ask->("SET client_encoding = 'UTF8'; SELECT state FROM pg_status_host($known)"), 'up', "$encoding: found by its name");
    my $shown = $ask->('SELECT host FROM pg_status_hosts');
    is($shown, 'k??ln', "$encoding: shown without what may be invalid there");
    is($ask->("SET client_encoding = 'UTF8'; SELECT pg_status_detach_node($known, true, 'Wärme')"), 't', "$encoding: taken out");
    is($ask->('SELECT maintenance_reason FROM pg_status_hosts'), 'W??rme', "$encoding: with the reason");
    is($ask->("SET client_encoding = 'UTF8'; SELECT pg_status_attach_node($known)"), 't', "$encoding: and put back");
}
is(sql($node, 'SELECT host FROM pg_status_hosts'), encode('UTF-8', 'köln'), 'UTF-8: the name as it is');
done_testing;
