# A server that does not preload pg_status: a dump of a database that has it can be restored there, the functions say what
# is missing, and a session that asks again and again does not grow.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use PgStatus;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($with, $plain) = map { new_node($_) } qw(with plain);
init_node($with, 'pg_status.hosts' => name_of($with));
init_node($plain, shared_preload_libraries => '');
$_->start foreach $with, $plain;
$with->safe_psql('postgres', q{
    CREATE DATABASE app; CREATE ROLE reader});
$with->safe_psql('app', q{
    CREATE EXTENSION pg_status;
    CREATE VIEW standbys AS SELECT host, lag_ms FROM pg_status_hosts WHERE NOT master;
    GRANT EXECUTE ON FUNCTION pg_status_poll_now(text) TO reader;
    COMMENT ON EXTENSION pg_status IS 'as we have it'});
$plain->safe_psql('postgres', 'CREATE ROLE reader');

my $dump = PostgreSQL::Test::Utils::tempdir() . '/app.dump';
command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $with->connstr('app') ], 'a dump');
$plain->safe_psql('postgres', 'CREATE DATABASE app TEMPLATE template0');
command_ok([ 'pg_restore', '-1', '--exit-on-error', '-d', $plain->connstr('app'), $dump ],
    'is restored in one transaction, without an error');

my $session = PgStatus::Session->new($plain->connstr('app'));
is($session->query(q{SELECT count(*) FROM pg_extension WHERE extname = 'pg_status'}), 1, 'with the extension');

my @functions = split /\n/, $session->query(q{
    SELECT format('SELECT %s(%s)', p.oid::regproc,
                  (SELECT string_agg('NULL::' || format_type(t, NULL), ', ' ORDER BY n)
                   FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY a(t, n)))
    FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid JOIN pg_proc p ON p.oid = d.objid
    WHERE e.extname = 'pg_status' AND d.classid = 'pg_proc'::regclass AND NOT p.proisstrict
      AND p.proname NOT IN ('pg_status_version', 'pg_status_reload') AND p.prolang = 13});
cmp_ok(@functions, '>=', 15, scalar(@functions) . ' functions');
foreach my $call (@functions) {
    ok(!eval { $session->query($call); 1 }, "$call: an error");
    like($@, qr/must be loaded through "shared_preload_libraries"/, '... that says what is missing');
}
like($session->query('SELECT pg_status_version()'), qr/^[0-9.]+/, 'the version is told');
is($session->query(q{SELECT count(current_setting('pg_status.opinions', true))}), 0, 'other nodes find no opinions here');
my (undef, undef, $error) = $plain->psql('app', 'SELECT * FROM standbys');
like($error, qr/HINT:  Add pg_status to "shared_preload_libraries"/, 'a hint tells what to do');

# In blocks, so that a thousand failed calls are one statement.
sub fail_often {
    $session->query(q{DO $$ BEGIN FOR i IN 1..3000 LOOP
        BEGIN PERFORM pg_status_master(); EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END;
    END LOOP; END $$});
    my ($kb) = read_from('/proc/' . $session->query('SELECT pg_backend_pid()') . '/status', 0) =~ /^VmData:\s+(\d+) kB/m;
    return $kb;
}
fail_often();
my $before = fail_often();
fail_often() foreach 1 .. 5;
cmp_ok(fail_often() - $before, '<', 512, 'a session in which calls fail does not grow');
$session->close;

done_testing;
