# What SQL alone tells of hosts without pg_status, which newer servers tell more of: PostgreSQL 19 knows which timeline a
# standby replays (pg_stat_recovery), shows a receiver that only connects, and warns at the login of a password that
# expires, as older ones do of other things. Where the server under test is older, the rest is unknown, or not told.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IO::Socket::INET;
use PgStatus;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($primary, $standby, $cascade) = my @nodes = map { new_node($_) } qw(primary standby cascade);
init_node($primary, shared_preload_libraries => '', checkpoint_timeout => '1h', wal_retrieve_retry_interval => '50ms');
my $hba = $primary->data_dir . '/pg_hba.conf';
my $known = read_from($hba, 0);
open my $file, '>', $hba or die "$hba: $!";
print $file "host all expiring 127.0.0.1/32 scram-sha-256\n$known";
close $file or die "$hba: $!";
$primary->start;
$primary->safe_psql('postgres', 'CREATE ROLE monitor LOGIN IN ROLE pg_monitor');
$primary->backup('base');
init_standby($standby, $primary);
$standby->start;
init_standby($cascade, $primary, primary_conninfo => conninfo_of($standby, $cascade));
$cascade->start;
my $version = sql($primary, 'SHOW server_version_num');
my $is_19   = $version >= 190000;

# A server beside the cluster that has never seen any of it.
sub new_observer {
    my ($name, $conninfo, %settings) = @_;
    my $observer = init_node(new_node($name), 'pg_status.hosts' => hosts_of(@nodes),
        'pg_status.conninfo' => "dbname=postgres $conninfo", %settings);
    $observer->start;
    $observer->safe_psql('postgres', 'CREATE EXTENSION pg_status');
    return $observer;
}

subtest 'a password that expires' => sub {
    sql($primary, q(DO $$ BEGIN
        PERFORM set_config('password_encryption', 'scram-sha-256', true);
        EXECUTE format('CREATE ROLE expiring LOGIN PASSWORD ''secret'' VALID UNTIL %L',
        now() + interval '60 hours'); END $$));
    wait_caught_up($primary, $standby, $cascade);
    my $passfile = PostgreSQL::Test::Utils::tempdir() . '/passfile';
    append_to_file($passfile, "127.0.0.1:*:*:expiring:secret\n");
    chmod 0600, $passfile;
    my $observer = new_observer('warned', "user=expiring passfile=$passfile", 'pg_status.conn_max_age' => '1s');
    wait_row($observer, $_, 'up', \&is_up) foreach @nodes;
    my %sessions;
    wait_for('each to have let it in five times',
        sub {
            foreach my $node (@nodes) {
                $sessions{ $node->name }{$_} = 1 foreach split /\n/,
                  sql($node, q(SELECT pid FROM pg_stat_activity WHERE usename = 'expiring'));
            }
            return !grep { keys %{ $sessions{ $_->name } // {} } < 5 } @nodes;
        });
    my @told = grep { /warns at the login: role password will expire soon/ } pg_status_log($observer, 0);
    my @details = grep { /DETAIL: .*role "expiring" will expire in / } log_lines($observer, 0);
    is(scalar @told, $is_19 ? @nodes : 0, 'is told of once for each host, where the server knows');
    is(scalar @details, scalar @told, 'with the role, and how long it is good for');
    unlike(log_text($observer, 0), qr/secret/, 'and nothing of it');
    is(scalar(grep { /WARNING/ } log_lines($observer, 0)), scalar @told, 'nothing else is wrong');
    $observer->stop;
};

# (with sessions that are open already: psql prints it, too)
subtest 'another warning of the login' => sub {
    plan skip_all => 'PostgreSQL 15 is the first that knows the version of a collation' if $version < 150000;
    sql($primary, q(UPDATE pg_database SET datcollversion = 'long ago' WHERE datname = 'postgres'));
    wait_caught_up($primary, $standby, $cascade);
    my $observer = new_observer('mismatch', 'user=monitor');
    wait_row($observer, $_, 'up', \&is_up) foreach @nodes;
    sql($primary, q(UPDATE pg_database SET datcollversion = NULL WHERE datname = 'postgres'));
    wait_caught_up($primary, $standby, $cascade);
    my @told = grep { /warns at the login: .*collation version/ } pg_status_log($observer, 0);
    is(scalar @told, @nodes, 'is told of once for each host');
    $observer->stop;
};

my $observer = new_observer('observer', 'user=monitor');

subtest 'a receiver that only connects' => sub {
    wait_row($observer, $cascade, 'streaming', sub { ($_[0]{upstream} // '') eq name_of($standby) });
    my $silent = IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1') or die "no socket: $!\n";
    my $port = $silent->sockport;
    set_conf($cascade, primary_conninfo => conninfo_of($standby, $cascade) =~ s/port=\d+/port=$port/r);
    my $shown = $is_19 ? 'connecting' : '';
    wait_for('the receiver to connect',
        sub {
            return 0 if sql($standby, 'SELECT count(*) FROM pg_stat_replication') ne '0';
            return sql($cascade, "SELECT coalesce(max(status), '') FROM pg_stat_wal_receiver") eq $shown;
        });
    my $row = wait_row($observer, $cascade, 'not streaming', sub { !defined $_[0]{upstream} });
    wait_polls(2, $observer);
    $row = row($observer, $cascade);
    ok(is_up($row) && $row->{role} eq 'standby', 'does not make the standby less than up');
    is($row->{upstream}, undef, 'and does not stream from anybody');
    set_conf($cascade, primary_conninfo => conninfo_of($standby, $cascade));
    $silent->close;
    wait_row($observer, $cascade, 'streaming again', sub { ($_[0]{upstream} // '') eq name_of($standby) });
};

# Its control file is of the old timeline until its next restart point, and its receiver is gone.
subtest 'a standby that has come to another timeline' => sub {
    wait_caught_up($primary, $standby, $cascade);
    forget_session($primary);
    $primary->stop('immediate');
    sql($standby, 'SELECT pg_promote()');
    sql($standby, q(SELECT pg_logical_emit_message(true, 'x', 'x')));
    wait_caught_up($standby, $cascade);
    set_conf($cascade, primary_conninfo => '');
    wait_for('the receiver to be gone', sub { sql($cascade, 'SELECT count(*) FROM pg_stat_wal_receiver') eq '0' });
    is(sql($cascade, 'SELECT timeline_id FROM pg_control_checkpoint()'), 1, 'has it not in its control file');

    my $another = new_observer('another', 'user=monitor');
    wait_row($another, $standby, 'as the primary', sub { $_[0]{master} && $_[0]{timeline} == 2 });
    my $row = wait_row($another, $cascade, 'up', \&is_up);
    # (a page that was written meanwhile has taken the minimum recovery point there)
    my $told = sql($cascade, 'SELECT greatest(timeline_id, min_recovery_end_timeline) FROM pg_control_checkpoint(), pg_control_recovery()');
    like($row->{timeline}, $is_19 ? qr/\A2\z/ : qr/\A[1$told]\z/, 'is known to be on it, where the server tells');
    if ($is_19) {
        $row = wait_row($another, $cascade, 'with its lag', sub { defined $_[0]{lag_bytes} });
        # (the primary writes a little by itself)
        cmp_ok($row->{lag_bytes}, '<', 100_000, 'and to lack next to nothing');
    }
    is(scalar(grep { /ERROR/ } map { log_lines($_, 0) } $standby, $cascade), 0, 'and was asked nothing that it lacks');
};

done_testing;
