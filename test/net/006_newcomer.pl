# Three nodes as Debian sets them up and the README says: each knows its own name as 127.0.1.1 (/etc/hosts), all have the
# cluster_name '15/main', the standbys stream without an application_name, the list has the plain names. Which row of
# pg_stat_replication is whose, and so who is synchronous, is right on every node and the same on all; a row that is
# another host's is never taken.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/../t";
use JSON::PP;
use PgNet;
use PgNet::Network qw(in_namespace);
use PgStatus;
use PgStatus::Http;
use Test::More;

# A server's WAL receiver would take its name from there.
delete $ENV{PGAPPNAME};

my @names = qw(db1 db2 db3);
my ($network, @nodes) = make_cluster(
    \@names,
    'pg_status.hosts'           => join(', ', @names),
    synchronous_standby_names   => '*',
    synchronous_commit          => 'on',
    'pg_status.http_port'       => 8000);
my ($db1, $db2, $db3) = @nodes;

my %hba;    # node name -> what its pg_hba.conf was

sub plain_way { return 'host=' . $_[0]->name . ' user=postgres' }

foreach my $node (@nodes) {
    my @others = grep { $_ != $node } @nodes;
    $network->set_own_file($node->name, 'hosts',
        join '', "127.0.0.1 localhost\n", '127.0.1.1 ' . $node->name . "\n", map { $_->host . ' ' . $_->name . "\n" } @others);
    # nothing of the outside: names come from that file alone
    $network->set_own_file($node->name, 'resolv.conf', "nameserver 127.0.0.9\noptions timeout:1 attempts:1\n");
    # cluster_name of its own comes with the framework
    configure($node, cluster_name => '15/main', $node == $db1 ? () : (primary_conninfo => plain_way($db1)));
}
start_all(\@nodes);

# ---- what is true, and what each node says --------------------------------------------------------------------------

# sync_state as the primary has it, of each standby: by the address that the test knows.
sub truth {
    my ($primary) = @_;
    my %name_of = map { $_->host => $_->name } @nodes;
    my $rows = decode_json(sql($primary,
            "SELECT coalesce(json_agg(r), '[]') FROM (SELECT host(client_addr) AS address, sync_state"
          . " FROM pg_stat_replication WHERE state = 'streaming') r"));
    return map { $name_of{ $_->{address} } => $_->{sync_state} } @$rows;
}

sub told {
    my ($on) = @_;
    return join ' ', map { "$_->{host}=" . ($_->{sync_state} // 'unknown') . ($_->{upstream} ? "<$_->{upstream}" : '') }
      sort { $a->{host} cmp $b->{host} } grep { $_->{role} && $_->{role} eq 'standby' } @{ all_of($on) };
}

sub wanted {
    my ($upstream, %sync) = @_;
    return join ' ', map { "$_=$sync{$_}" . ($upstream->{$_} ? "<$upstream->{$_}" : '') } sort keys %sync;
}

# All nodes say this of all standbys, and each standby's own paths, body and line of /cluster do.
sub is_everywhere {
    my ($what, $sync, $upstream, @on) = @_;
    @on = @nodes unless @on;
    soon_is($_->name . ": $what", wanted($upstream, %$sync), sub { told($_) }) foreach @on;
    foreach my $node (grep { exists $sync->{ $_->name } } @on) {
        my $state = $sync->{ $node->name };
        my %code  = (
            '/sync'  => $state eq 'sync' ? 200 : 503,
            '/async' => $state =~ /async|potential/ ? 200 : 503,
            '/read-only-sync' => $state eq 'sync' ? 200 : 503);
        soon_is($node->name . ": $_", $code{$_}, sub { check_code($node, $_) }) foreach sort keys %code;
    }
    foreach my $node (@on) {
        my %member = map { $_->{name} => $_->{role} } @{ body($node, '/cluster')->{members} };
        my %role   = (sync => 'sync_standby', quorum => 'quorum_standby', unknown => 'unknown');
        is_deeply({ map { $_ => $member{$_} } keys %$sync }, { map { $_ => $role{ $sync->{$_} } // 'replica' } keys %$sync },
            $node->name . ": /cluster, $what");
    }
    return;
}

sub body {
    my ($node, $path) = @_;
    return decode_json(in_namespace($node->namespace, sub { (fetch($PgNet::check_port, $path))[1] }));
}

subtest 'two standbys' => sub {
    my %upstream = (db2 => 'db1', db3 => 'db1');
    wait_for('both to stream', sub { my %true = truth($db1); keys %true == 2 });
    my %true = truth($db1);
    is(sql($db1, 'SELECT DISTINCT application_name FROM pg_stat_replication'), '15/main', 'under one name');
    is_deeply([ sort values %true ], [ 'potential', 'sync' ], 'one is synchronous, the other may become it');
    is_everywhere('as the primary has it', \%true, \%upstream);
    sql($db1, "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (*)'");
    $db1->reload;
    is_everywhere('a quorum', { db2 => 'quorum', db3 => 'quorum' }, \%upstream);
    sql($db1, q(ALTER SYSTEM SET synchronous_standby_names = '*'));
    $db1->reload;
    is_everywhere('the first again', {%true}, \%upstream);
    foreach my $node (@nodes) {
        is_deeply([ grep { /cannot be told/ } pg_status_log($node, 0) ], [], $node->name . ' has no doubt');
    }
};

# db2 streams, but shuts out the polls of the others; db3 has no WAL receiver: the one row is not db3's.
subtest 'a row of a host that does not answer is not given to another' => sub {
    sql($db3, q(ALTER SYSTEM SET primary_conninfo = 'host=db1 port=9999'));
    $db3->reload;
    shut_out($db2, $db1, $db3);
    foreach my $node ($db1, $db3) {
        wait_row($node, 'db2', 'down', \&is_down);
    }
    wait_for('one row', sub { my %true = truth($db1); "@{[%true]}" eq 'db2 sync' });
    is_everywhere('what db3 is', { db3 => 'async' }, {}, $db1, $db3);
    is(check_code($db2, '/sync'), 200, 'db2 is synchronous, and knows it');
    let_in($db2);
    wait_row($_, 'db2', 'up', \&is_up) foreach $db1, $db3;
    sql($db3, 'ALTER SYSTEM RESET primary_conninfo');
    $db3->reload;
};

# db2 is in nobody's list and streams; db3 does not: the only row is nobody's.
subtest 'a row of a host that is not in the list is nobody\'s' => sub {
    foreach my $node (@nodes) {
        sql($node, q(ALTER SYSTEM SET "pg_status.hosts" = 'db1, db3'));
        $node->reload;
    }
    sql($db3, q(ALTER SYSTEM SET primary_conninfo = 'host=db1 port=9999'));
    $db3->reload;
    wait_for('one row', sub { my %true = truth($db1); "@{[%true]}" eq 'db2 sync' });
    is_everywhere('what db3 is', { db3 => 'async' }, {}, $db1, $db3);
    sql($db1, 'CREATE TABLE acknowledged AS SELECT generate_series(1, 1000)');
    is(check_code($db3, '/sync'), 503, 'while what was acknowledged is on db2 alone');
    is(check_code($db3, '/replica?replication_state=streaming'), 503, 'it is not streaming');
    foreach my $node (@nodes) {
        sql($node, 'ALTER SYSTEM RESET "pg_status.hosts"');
        $node->reload;
    }
    sql($db3, 'ALTER SYSTEM RESET primary_conninfo');
    $db3->reload;
    my %true;
    wait_for('both to stream again', sub { %true = truth($db1); keys %true == 2 });
    is_everywhere('as before', \%true, { db2 => 'db1', db3 => 'db1' });
};

subtest 'cascaded, and back' => sub {
    sql($db3, q(ALTER SYSTEM SET primary_conninfo = 'host=db2 user=postgres'));
    $db3->reload;
    is_everywhere('db3 streams from db2', { db2 => 'sync', db3 => 'async' }, { db2 => 'db1', db3 => 'db2' });
    is(check_code($db3, '/readiness'), 200, 'it is ready');
    sql($db3, 'ALTER SYSTEM RESET primary_conninfo');
    $db3->reload;
    my %true;
    wait_for('both to stream again', sub { %true = truth($db1); keys %true == 2 });
    is_everywhere('as before', \%true, { db2 => 'db1', db3 => 'db1' });
};

# README's line for the network, and nothing for 127.0.0.1, from which a node polls itself here.
subtest 'a node that does not let itself in says so, with the line that is missing' => sub {
    my $offset = log_offset($db3);
    $hba{db3} = slurp($db3->data_dir . '/pg_hba.conf');
    write_hba($db3, join '', grep { !/127\.0\.0\.1/ } $hba{db3} =~ /^[^\n]*\n/gm);
    wait_row($db3, 'db3', 'down', \&is_down);
    my $log  = sub { log_text($db3, $offset) };
    my $line = qr{WARNING: .*host "db3" (?:is down|cannot be reached from here)[^\n]*\n[^\n]*HINT: [^\n]*: host postgres postgres 127\.0\.0\.1/32 };
    wait_for('the line', sub { $log->() =~ $line });
    wait_polls(3, $db3);
    is(scalar(() = $log->() =~ /HINT:  Add this line/g), 1, 'once');
    is(row($db1, 'db3')->{state}, 'up', 'for the others it is up');
    let_in($db3);
    wait_row($db3, 'db3', 'up', \&is_up);
};

# ---- pg_hba.conf ----------------------------------------------------------------------------------------------------

# It lets in nobody from these any more; sessions that are there are ended.
sub shut_out {
    my ($node, @from) = @_;
    $hba{ $node->name } = slurp($node->data_dir . '/pg_hba.conf');
    my $rules = join '', map { 'host postgres postgres ' . $_->host . "/32 reject\n" } @from;
    write_hba($node, $rules . $hba{ $node->name });
    return;
}

sub let_in { my ($node) = @_; write_hba($node, $hba{ $node->name }); return }

sub write_hba {
    my ($node, $text) = @_;
    my $path = $node->data_dir . '/pg_hba.conf';
    open my $file, '>', $path or die "$path: $!";
    print $file $text;
    close $file or die "$path: $!";
    $node->reload;
    sql($node, q(SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'pg_status%'));
    return;
}

sub slurp { my ($path) = @_; open my $file, '<', $path or die "$path: $!"; local $/; return <$file> }

done_testing;
