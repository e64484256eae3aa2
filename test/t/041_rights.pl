# A hardened server takes SELECT on its views, or EXECUTE on its functions, from PUBLIC. The polls do without what their
# role may not read, say once what would help, and find out with the next connection that it was granted. No REVOKE makes
# anybody down, unnames the primary or fences it: what is not known speaks against nobody.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PgStatus;
use PgStatus::Http;
use PostgreSQL::Test::Cluster;
use Test::More;

my @functions = split ' ', 'pg_control_system() pg_control_checkpoint() pg_control_recovery() pg_walfile_name(pg_lsn)
  pg_last_wal_receive_lsn() pg_last_xact_replay_timestamp() pg_is_wal_replay_paused() pg_postmaster_start_time()
  clock_timestamp() date_part(text,timestamptz) current_setting(text,bool) pg_backend_pid() inet_client_addr()
  pg_stat_get_wal_receiver() pg_stat_get_wal_senders() pg_stat_get_activity(int) pg_get_replication_slots() row_number()';
my @views = qw(pg_stat_wal_receiver pg_stat_replication pg_replication_slots);
my @objects = ((map { "FUNCTION pg_catalog.$_" } @functions), map { "pg_catalog.$_" } @views);

my @nodes = start_three('pg_status.fence' => 'on');
my ($primary, @standbys) = @nodes;
$primary->safe_psql('postgres', 'CREATE ROLE watcher LOGIN; CREATE ROLE monitor LOGIN IN ROLE pg_monitor');
open_http(@nodes);

sub of_object {
    my ($object) = @_;
    return $object =~ /^FUNCTION/ ? "EXECUTE ON $object" : "SELECT ON $object";
}

# At once, so that no poll sees a part of it.
sub at_once { return $primary->safe_psql('postgres', join '; ', 'BEGIN', @_, 'COMMIT') }
sub take    { return at_once(map { 'REVOKE ' . of_object($_) . ' FROM PUBLIC' } @_) }
sub grant   { return at_once(map { 'GRANT ' . of_object($_) . ' TO PUBLIC' } @_) }

sub end_sessions {
    foreach my $node (@nodes) {
        $node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE application_name LIKE 'pg\_status%' AND backend_type = 'client backend'});
    }
    return;
}

sub offsets { return map { $_->name => log_offset($_) } @nodes }

# The lines of a node's log since then that tell this of a host.
sub told {
    my ($node, $offset, $what) = @_;
    return grep { /$what/ } split /\n/, log_text($node, $offset);
}
my $denied  = 'does not let the role of the polls read all';
my $allowed = 'lets the role of the polls read all';

sub all_is_well {
    my ($what, %offset) = @_;
    foreach my $node (@nodes) {
        sees_all_three($node, $primary, $what);
        # (who does not tell its vote has none: that a fence cannot work then is true)
        is(scalar(told($node, $offset{ $node->name }, 'is suspect|is down|split brain|belongs to another|says FENCED')), 0,
            "$what: " . $node->name . ' says nothing of a failure');
    }
    is(raw_status($primary), 'MASTER', "$what: the primary is MASTER");
    is(code($primary, '/primary'), 200, "$what: it passes its check");
    return;
}

# Without these: what is told, once, with the right that would help; and that all goes on.
sub without {
    my ($what, @taken) = @_;
    my %offset = offsets();
    take(@taken);
    foreach my $node (@nodes) {
        wait_for("$what: " . $node->name . ' to tell of all three', sub { told($node, $offset{ $node->name }, $denied) == 3 });
    }
    wait_polls(3, @nodes);
    all_is_well($what, %offset);
    foreach my $node (@nodes) {
        is(scalar(told($node, $offset{ $node->name }, $denied)), 3, "$what: " . $node->name . ' has told it once of each');
        my @hints = told($node, $offset{ $node->name }, 'HINT: .*GRANT');
        foreach my $object (@taken > 1 ? () : @taken) {
            my ($name) = $object =~ /(pg_catalog\.\w+)/;
            is(scalar(grep { /GRANT (?:EXECUTE|SELECT) ON .*\Q$name\E/ } @hints), 3, "$what: " . $node->name . ' says what would help');
        }
    }
    return %offset;
}

sub with_again {
    my ($what, @taken) = @_;
    grant(@taken);
    wait_caught_up($primary, @standbys);
    my %offset = offsets();
    end_sessions();
    foreach my $node (@nodes) {
        wait_for("$what: " . $node->name . ' to read all again', sub { told($node, $offset{ $node->name }, $allowed) == 3 });
    }
    wait_for("$what: the primary to be known", sub { raw_status($primary) eq 'MASTER' });
    wait_roles(\@nodes, { primary => 'primary', standby1 => 'standby', standby2 => 'standby' });
    return;
}

sub sync_states { return sql($_[0], q{SELECT string_agg(coalesce(sync_state, '?'), ' ' ORDER BY node_id) FROM pg_status_hosts()}) }

foreach my $role (qw(watcher monitor)) {
    set_conf($_, 'pg_status.conninfo' => "dbname=postgres user=$role") foreach @nodes;
    foreach my $node (@nodes) {
        wait_for($node->name . " to poll as $role", sub {
            sql($node, "SELECT count(*) FROM pg_stat_activity WHERE usename = '$role' AND application_name LIKE 'pg\\_status%'") >= 3;
        });
    }
    wait_roles(\@nodes, { primary => 'primary', standby1 => 'standby', standby2 => 'standby' });

    # of a member of pg_monitor: what its membership might be thought to give
    my @each = $role eq 'watcher' ? @objects : grep { /pg_control|pg_stat_(?:wal_receiver|replication)$/ } @objects;
    foreach my $object (@each) {
        my ($name) = $object =~ /pg_catalog\.(.*)/;
        my $what = "$role without $name";
        without($what, $object);
        if ($name =~ /^pg_control_system|^pg_postmaster/) {
            is(sql($_, 'SELECT count(DISTINCT system_identifier) FROM pg_status_hosts() WHERE system_identifier IS NOT NULL'),
                1, "$what: " . $_->name . ' knows who they are from the inside') foreach @nodes;
        }
        if ($name eq 'pg_stat_replication') {
            unlike(sync_states($_), qr/async|sync/, "$what: " . $_->name . ' does not call a standby asynchronous') foreach @nodes;
            is(code($standbys[0], '/sync'), 503, "$what: nobody is synchronous who is not known to be");
        }
        with_again($what, $object);
    }
    without("$role without any", @objects);
    is(sql($primary, q{SELECT count(*) FROM pg_status_hosts() WHERE lsn IS NULL}), 0, "$role without any: positions are known");
    with_again("$role without any", @objects);
}
$_->stop foreach reverse @nodes;
done_testing;
