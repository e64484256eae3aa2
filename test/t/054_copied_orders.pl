# Orders of maintenance belong to one server. They come along with every copy of its data directory: a base backup, a copy
# of the stopped server, a restored backup in the same place. None of these is out of service for it. The server itself
# stays out, also when its directory is moved, and its log says so at each start.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PgStatus;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('node');
init_node($node, 'pg_status.hosts' => name_of($node));
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_status');
wait_for('it to know itself', sub { (try_sql($node, 'SELECT pg_status_ready()') // '') eq 't' });
sub take_out {
    sql($node, q{SELECT pg_status_detach_node('} . name_of($node) . q{', reason => 'new disk')});
    is(raw_status($node), 'MAINT', 'it is taken out');
}
take_out();
$node->backup('hot');

my $dir  = $node->data_dir;
my $kept = "$dir/pg_status.orders";
sub stop { forget_session($node); $node->stop('fast') }

# Starts it; what the raw port says once it has started, and what of the log is new.
sub start_again {
    my $from = log_offset($node);
    $node->start;
    wait_for('it to have started', sub { raw_status($node) =~ /^(MASTER|MAINT)$/ });
    return (raw_status($node), log_text($node, $from));
}

sub is_in_service {
    my ($what) = @_;
    my ($word, $log) = start_again();
    is($word, 'MASTER', "$what: in service");
    like($log, qr/WARNING:  pg_status: the orders of maintenance .* are not used/, '... with a warning');
    like($log, qr/DETAIL:  It came here with a copy of another data directory, or from a backup/, '... that says why');
    ok(!-e $kept && -e "$kept.unused", '... and the file is set aside');
}

stop();
my ($word, $log) = start_again();
is($word, 'MAINT', 'after a restart it is still out');
is(scalar(() = $log =~ /LOG:  pg_status: host "\S+" is out of service, as was ordered before the start: new disk/g), 1,
    'one line of the log says so, and why');

# The library before this one did not tell the volume: $change is made to the head, in place.
sub change_head {
    my ($change) = @_;
    open my $file, '+<', $kept or die $!;
    my $text = do { local $/; <$file> };
    $text =~ s/^pg_status orders 2 (\d+) (\w+) \w+ (\w+)$/pg_status orders 1 $1 $2 $3/m or die $text;
    $change->($text);
    seek $file, 0, 0;
    truncate $file, 0;
    print {$file} $text;
    close $file or die $!;
    return;
}
stop();
change_head(sub { });
is((start_again())[0], 'MAINT', 'what an older library has kept counts for the newer one');
sql($node, q{SELECT pg_status_attach_node('} . name_of($node) . q{')});
take_out();

stop();
rename $dir, "$dir.moved" or die $!;
symlink "$dir.moved", $dir or die $!;
is((start_again())[0], 'MAINT', 'a directory that was moved is the same one');
stop();
unlink $dir or die $!;
rename "$dir.moved", $dir or die $!;

# the copy takes the place of the original, which stays, so that no inode can be the same
system_or_bail('cp', '-a', $dir, "$dir.copy");
rename $dir, "$dir.old" or die $!;
rename "$dir.copy", $dir or die $!;
is_in_service('a copy of the stopped server in the same place');

take_out();
stop();
change_head(sub { $_[0] =~ s/^(pg_status orders 1 \d+) \w+/$1 00000000/ });
is_in_service('a file of an older library that is of another place');

take_out();
stop();
system_or_bail('cp', '-a', $node->backup_dir . '/hot', "$dir.restored");
system_or_bail('cp', '-a', "$dir/postgresql.conf", "$dir.restored/postgresql.conf");
rename $dir, "$dir.old2" or die $!;
rename "$dir.restored", $dir or die $!;
is_in_service('a base backup in the same place');

# As where the file happens to be the very same: only the label tells that it came with a backup.
take_out();
stop();
system_or_bail('cp', '-a', $node->backup_dir . '/hot', "$dir.again");
system_or_bail('cp', '-a', "$dir/postgresql.conf", "$dir.again/postgresql.conf");
rename $kept, "$dir.again/pg_status.orders" or die $!;
rename $dir, "$dir.old3" or die $!;
rename "$dir.again", $dir or die $!;
is_in_service('a backup with the same file');

take_out();
stop();
is((start_again())[0], 'MAINT', 'orders that are given to the restored one are its own');
done_testing;
