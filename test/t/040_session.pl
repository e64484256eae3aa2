# Settings that are legal and unkind to a session that only asks: whatever a server, a database or a role has as its
# defaults, the polls go on. In serializable transactions every query on a hot standby fails, and deferrable ones wait.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PgStatus;
use PgStatus::Http;
use PostgreSQL::Test::Cluster;
use Test::More;

my @unkind = (default_transaction_isolation => 'serializable', default_transaction_deferrable => 'on',
    default_transaction_read_only => 'on', statement_timeout => '1ms', lock_timeout => '1ms');

# our own questions are no polls
$ENV{PGOPTIONS} = '-c default_transaction_isolation=read\\ committed -c default_transaction_read_only=off'
  . ' -c statement_timeout=0 -c lock_timeout=0';

my @nodes = start_three('pg_status.fence' => 'on');
my ($primary, $standby1, $standby2) = @nodes;
open_http(@nodes);

# Every session of the pollers ends, and the next ones are asked some times.
sub begin_anew {
    my ($what) = @_;
    foreach my $node (@nodes) {
        $node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE application_name LIKE 'pg\_status%'});
    }
    foreach my $node (@nodes) {
        my $since = sql($node, 'SELECT clock_timestamp()');
        wait_for("$what: " . $node->name . ' to hear of all',
            sub { sql($node, "SELECT bool_and(last_success > timestamptz '$since' + interval '1 s') FROM pg_status_hosts()") eq 't' });
    }
    return;
}

sub all_is_well {
    my ($what, %offset) = @_;
    foreach my $node (@nodes) {
        sees_all_three($node, $primary, $what);
    }
    is(raw_status($primary), 'MASTER', "$what: the primary is not fenced");
    foreach my $node (@nodes) {
        my @errors = grep { /ERROR/ } split /\n/, log_text($node, $offset{ $node->name });
        is_deeply(\@errors, [], "$what: no error in the log of " . $node->name);
    }
    return;
}

sub offsets { return map { $_->name => log_offset($_) } @nodes }

begin_anew('before');
my %offset = offsets();
set_conf($_, @unkind) foreach @nodes;
begin_anew('set in the file');
all_is_well('set in the file', %offset);

set_conf($_, map { $unkind[ 2 * $_ ] => $_ > 2 ? 0 : (qw(read\ committed off off))[$_] } 0 .. 4) foreach @nodes;
begin_anew('reset');
my $role = sql($primary, 'SELECT current_user');
for (my $i = 0; $i < @unkind; $i += 2) {
    my ($name, $value) = @unkind[ $i, $i + 1 ];
    $primary->safe_psql('postgres', "ALTER ROLE \"$role\" SET $name = '$value'") if $i % 4 == 0;
    $primary->safe_psql('postgres', "ALTER DATABASE postgres SET $name = '$value'") if $i % 4 != 0;
}
my $lsn = sql($primary, 'SELECT pg_current_wal_lsn()');
wait_for($_->name . ' to have it', sub { sql($_, "SELECT pg_last_wal_replay_lsn() >= '$lsn'") eq 't' }) foreach $standby1, $standby2;
%offset = offsets();
begin_anew('set for the role and the database');
all_is_well('set for the role and the database', %offset);

$_->stop foreach reverse @nodes;
done_testing;
