# A standby that is fed by the archive only, beside one that streams: what it is called on every surface, and that it follows
# a promotion by the archive, too.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PgStatus;
use PgStatus::Http;
use Test::More;

my @nodes = map { new_node($_) } qw(primary streaming archived);
my ($primary, $streaming, $archived) = @nodes;
$primary->init(allows_streaming => 1, has_archiving => 1);
PgStatus::configure_base($primary, 'pg_status.hosts' => hosts_of(@nodes));
$primary->start;
$primary->safe_psql('postgres', 'CREATE EXTENSION pg_status; CREATE TABLE t (n int)');
$primary->backup('base');
init_standby($streaming, $primary);
$archived->init_from_backup($primary, 'base', has_restoring => 1);
configure($archived, 'pg_status.port' => raw_port($archived), listen_addresses => '127.0.0.1');
$_->start foreach $streaming, $archived;
set_conf($_, 'pg_status.check_port' => check_port($_)) foreach @nodes;
wait_roles(\@nodes, { primary => 'primary', streaming => 'standby', archived => 'standby' });

# Writes on $node and hands the WAL to the archive; returns where that ended.
sub write_and_archive {
    my ($node) = @_;
    $node->safe_psql('postgres', 'INSERT INTO t SELECT generate_series(1, 1000)');
    my $lsn = $node->safe_psql('postgres', 'SELECT pg_current_wal_lsn()');
    $node->safe_psql('postgres', 'SELECT pg_switch_wal()');
    return $lsn;
}

sub has_replayed {
    my ($lsn) = @_;
    wait_for("the archive-fed standby to have replayed $lsn",
        sub { $archived->safe_psql('postgres', "SELECT pg_last_wal_replay_lsn() >= '$lsn'") eq 't' });
    return;
}

sub is_as_it_is {
    my ($of, $timeline) = @_;
    foreach my $on (@$of) {
        my $row = wait_row($on, $archived, "described by the timeline $timeline, and asynchronous",
            sub { is_up($_[0]) && ($_[0]{timeline} // 0) == $timeline && ($_[0]{sync_state} // '') eq 'async' && defined $_[0]{lag_bytes} });
        is_deeply([ @$row{qw(role replication_state upstream)}, $row->{diverged} ? 1 : 0 ], [ 'standby', undef, undef, 0 ],
            $on->name . ': a standby without a WAL receiver');
    }
    soon_is('/async',   200, sub { code($archived, '/async') });
    soon_is('/replica', 200, sub { code($archived, '/replica') });
    soon_is('/readiness', 503, sub { code($archived, '/readiness') });
    is(code($archived, '/sync'), 503, '/sync');
    return;
}

has_replayed(write_and_archive($primary));
is_as_it_is(\@nodes, 1);

wait_caught_up($primary, $streaming);
$primary->stop('fast');
$streaming->promote;
my @left = ($streaming, $archived);
wait_for('the promoted one to be named', sub { 2 == grep { sql($_, 'SELECT pg_status_master()') eq name_of($streaming) } @left });
has_replayed(write_and_archive($streaming));
is_as_it_is(\@left, 2);
done_testing;
