# Rows of the primary's pg_stat_replication that are no standby's: of an archiver, a base backup and a subscriber, on a
# standby's own machine and, worse, under its name. The standby keeps its own row, and one that streams from elsewhere
# is not given theirs, on no node. Every server has the same cluster_name, and the standbys no application_name.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/../t";
use IPC::Run;
use JSON::PP;
use PgNet;
use PgNet::Network qw(in_namespace);
use PgStatus;
use PgStatus::Http;
use PostgreSQL::Test::Utils ();
use Test::More;

# A server's WAL receiver would take its name from there.
delete $ENV{PGAPPNAME};

my ($network, @nodes) = make_cluster([qw(db1 db2 db3)], wal_level => 'logical', synchronous_commit => 'local');
my ($db1, $db2, $db3) = @nodes;

sub plain_way { return 'host=' . $_[0]->host . ' user=postgres' }

# cluster_name of its own, and an application_name, come with the framework
configure($_, cluster_name => '15/main', $_ == $db1 ? () : (primary_conninfo => plain_way($db1))) foreach @nodes;
start_all(\@nodes);

my $folder = PgNet::Server::folder(PostgreSQL::Test::Utils::tempdir('others'));
my $archives = 0;
my %running;    # what -> the process

# Starts a program next to a server, under a name; returns when the primary has a row of it that $condition is true of.
sub start_other {
    my ($what, $at, $name, $condition, @command) = @_;
    my $output = '';
    $running{$what} = IPC::Run::start(
        [ $network->at($at->name), $at->as_user, 'env', "PGAPPNAME=$name", @command ],
        '<', \undef, '>&', \$output);
    eval {
        wait_for("$what: its row",
            sub { sql($db1, "SELECT count(*) FROM pg_stat_replication WHERE $condition") ne '0' });
        1;
    } or do {
        $running{$what}->kill_kill;
        die "$@: $output";
    };
    return;
}

# Also what it has started itself: all that takes WAL from the primary and replays none.
sub stop_other {
    my ($what) = @_;
    (delete $running{$what})->kill_kill;
    sql($db1, 'SELECT pg_terminate_backend(pid) FROM pg_stat_replication WHERE replay_lsn IS NULL');
    return;
}

END { $_->kill_kill foreach values %running }

# sync_state and replication_state of both standbys, on all nodes; and the codes of the standbys' own paths.
sub says {
    my ($on) = @_;
    return join ' ', map { my $row = row($on, $_->name); join '/', map { $_ // 'none' } @$row{qw(sync_state replication_state)} }
      $db2, $db3;
}

sub all_say {
    my ($what, $wanted) = @_;
    wait_polls(2, @nodes);
    soon_is($_->name . ": $what", $wanted, sub { says($_[0] // $_) }) foreach @nodes;
    return;
}

# What the primary has of the standbys themselves, which may change places when one of them connects anew.
sub truth {
    return join ' ', map {
        sql($db1, "SELECT string_agg(sync_state || '/' || state, ',') FROM pg_stat_replication WHERE client_addr = '"
              . $_->host . "' AND replay_lsn IS NOT NULL")
    } $db2, $db3;
}

sub receivewal {
    my ($at, @more) = @_;
    my $to = PgNet::Server::folder("$folder/wal" . ++$archives);    # empty: an old one would go on where it ended
    return ('pg_receivewal', '-D', $to, '-d', plain_way($db1), '--synchronous', '--no-loop', @more);
}

subtest 'an archiver on the synchronous standby\'s machine' => sub {
    sql($db1, q(ALTER SYSTEM SET synchronous_standby_names = '"15/main"'));
    $db1->reload;
    wait_for('one to be synchronous',
        sub { says($db1) =~ m{\A(?:sync/streaming potential|potential/streaming sync)/streaming\z} });
    my $before = says($db1);
    all_say('before', $before);
    foreach my $name ('barman_receive_wal', '15/main', 'db2') {
        my $row = "application_name = '$name' AND client_addr = '" . $db2->host . q(' AND replay_lsn IS NULL AND write_lsn IS NOT NULL);
        start_other('archiver', $db2, $name, $row, receivewal($db2));
        all_say("beside an archiver that calls itself $name", $before);
        is(check_code($db2, '/sync'), $before =~ /\Async/ ? 200 : 503, "$name: /sync of db2");
        stop_other('archiver');
        wait_for('its end', sub { sql($db1, "SELECT count(*) FROM pg_stat_replication WHERE $row") eq '0' });
    }
};

subtest 'a base backup' => sub {
    wait_for('both to stream', sub { says($db1) =~ m{/streaming .*/streaming} });
    my $to = PgNet::Server::folder("$folder/backup");
    start_other('backup', $db2, '15/main', q(state = 'backup'),
        'pg_basebackup', '-D', $to, '-d', plain_way($db1), qw(-X stream -c fast -r 64k --no-sync));
    foreach my $node (@nodes) {
        soon_is($node->name . ': during a backup under the name of the standby', 'as it is',
            sub { my ($says, $truth) = (says($node), truth()); $says eq $truth ? 'as it is' : "$says instead of $truth" });
    }
    is(sql($db1, q(SELECT count(*) > 2 FROM pg_stat_replication WHERE application_name = '15/main')),
        't', 'which still runs');
    soon_is($_->name . ' is one of both', 1, sub { (check_code($_, '/async') == 200) + (check_code($_, '/sync') == 200) })
      foreach $db2, $db3;
    stop_other('backup');
    wait_for('its end', sub { sql($db1, q(SELECT count(*) FROM pg_stat_replication)) eq '2' });
};

# db3 streams from db2: all rows of the primary from db3's machine are of others.
subtest 'a cascaded standby, with an archiver and a subscriber on its machine' => sub {
    sql($db3, q(ALTER SYSTEM SET primary_conninfo = ') . plain_way($db2) . q('));
    $db3->reload;
    all_say('cascaded', 'sync/streaming async/none');
    sql($db1, q(ALTER SYSTEM SET synchronous_standby_names = 'FIRST 1 (barman_receive_wal, db3)'));
    $db1->reload;
    start_other('archiver', $db3, 'barman_receive_wal', q(application_name = 'barman_receive_wal' AND sync_state = 'sync'),
        receivewal($db3));
    # as a subscription does, under the name of the host
    sql($db1, 'CREATE PUBLICATION everything FOR ALL TABLES');
    sql($db1, q(SELECT pg_create_logical_replication_slot('db3', 'pgoutput')));
    start_other('subscriber', $db3, 'db3', q(application_name = 'db3' AND state = 'streaming'),
        'pg_recvlogical', '-d', plain_way($db1) . ' dbname=postgres', qw(--start -S db3 -f - --fsync-interval 1
          -o proto_version=1 -o publication_names=everything));
    all_say('not one of these rows is its own', 'async/streaming async/none');
    is(check_code($db3, $_->[0]), $_->[1], "db3: $_->[0] is $_->[1]")
      foreach [ '/sync', 503 ], [ '/async', 200 ], [ '/read-only-sync', 503 ], [ '/readiness', 200 ];
    is(row($db1, 'db3')->{upstream}, 'db2', 'it streams from db2');
    foreach my $node (@nodes) {
        is_deeply([ grep { /cannot be told/ } pg_status_log($node, 0) ], [], $node->name . ' has had no doubt');
    }
    stop_other($_) foreach sort keys %running;
};

# An archive feeds db3: it has no receiver at all.
subtest 'a standby without a receiver' => sub {
    sql($db3, q(ALTER SYSTEM SET primary_conninfo = ''));
    $db3->reload;
    all_say('none', 'async/streaming async/none');
    is(check_code($db3, $_->[0]), $_->[1], "db3: $_->[0] is $_->[1]")
      foreach [ '/sync', 503 ], [ '/async', 200 ], [ '/readiness', 503 ], [ '/replica', 200 ];
};

done_testing;
