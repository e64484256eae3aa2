# Reading one's own writes: after each write, a host is asked for with min_lsn = the position of that write, and the
# row must be there, whatever the standbys are going through meanwhile.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PgStatus;
use Test::More;

my $writes = 1000;

my @nodes = start_three('pg_status.poll_interval' => '50ms', 'pg_status.fast_poll_interval' => '20ms');
my ($primary, $standby1, $standby2) = @nodes;
my %node_by_host = map { name_of($_) => $_ } @nodes;

sql($primary, 'CREATE TABLE written (id int PRIMARY KEY)');
$primary->wait_for_catchup($_, 'replay', $primary->lsn('insert')) foreach $standby1, $standby2;

# What happens to the standbys, and at which write.
my %event = (
    200 => [ 'standby2 applies 300 ms late', sub { set_conf($standby2, recovery_min_apply_delay => '300ms') } ],
    300 => [ 'replay paused on standby1',    sub { sql($standby1, 'SELECT pg_wal_replay_pause()') } ],
    450 => [ 'replay resumed on standby1',   sub { sql($standby1, 'SELECT pg_wal_replay_resume()') } ],
    550 => [ 'standby1 restarts',            \&restart_standby1 ],
    650 => [ 'standby2 applies at once',     sub { set_conf($standby2, recovery_min_apply_delay => '0') } ],
    750 => [ 'replay paused on standby2',    sub { sql($standby2, 'SELECT pg_wal_replay_pause()') } ],
    850 => [ 'replay resumed on standby2',   sub { sql($standby2, 'SELECT pg_wal_replay_resume()') } ]);

# It names nobody until it has asked everybody once.
sub restart_standby1 {
    forget_session($standby1);
    $standby1->restart;
    wait_for('standby1 to be ready', sub { (try_sql($standby1, 'SELECT pg_status_ready()') // '') eq 't' });
    return;
}

my @selectors = (
    'pg_status_replica(min_lsn => %s)',                    'pg_status_sync_by_time(min_lsn => %s)',
    'pg_status_sync_by_bytes(min_lsn => %s)',              'pg_status_sync_by_time_or_bytes(min_lsn => %s)',
    'pg_status_sync_by_time_and_bytes(NULL, NULL, %s)',    'pg_status_most_sync_by_bytes(min_lsn => %s)');

my ($reads, $missing, %named) = (0, 0);

# Asks a node for a host that has the write at $lsn, and reads the row there. True when a standby was named.
sub read_back {
    my ($asked, $selector, $id, $lsn) = @_;
    my $host   = sql($asked, 'SELECT ' . sprintf $selector, "'$lsn'");
    my $reader = $node_by_host{$host};
    $reads++;
    if (!$reader || sql($reader, "SELECT count(*) FROM written WHERE id = $id") ne '1') {
        $missing++;
        diag "write $id at $lsn: " . $asked->name . " named \"$host\", and it is not there";
    }
    $named{ $reader ? $reader->name : 'nobody' }++;
    return $reader && $reader != $primary;
}

foreach my $id (1 .. $writes) {
    if (my $event = $event{$id}) {
        note "write $id: $event->[0]";
        $event->[1]->();
    }
    my $lsn = sql($primary, "INSERT INTO written VALUES ($id); SELECT pg_current_wal_lsn()");
    my $asked = $nodes[ $id % 3 ];
    my $selector = $selectors[ $id % @selectors ];
    read_back($asked, $selector, $id, $lsn);
    next if $id % 20;

    # Right after the write no poll has seen a standby there yet, so most answers are the primary. Ask now and then
    # until a standby is named: its answer is the one that could be wrong.
    wait_for("a standby for write $id", sub { read_back($asked, $selector, $id, $lsn) });
}

is($missing, 0, "$reads reads after $writes writes: the row was there every time");
cmp_ok($reads, '>=', $writes, 'no write was skipped');
cmp_ok($named{$_} // 0, '>=', 10, "$_ was named " . ($named{$_} // 0) . ' times') foreach map { $_->name } @nodes;

# A position that nobody has reached yet: only the primary is left.
my $far = 'FFFFFFFF/0';
is(sql($standby1, "SELECT pg_status_replica(min_lsn => '$far')"), name_of($primary),
    'a position in the future is answered with the primary');

done_testing;
