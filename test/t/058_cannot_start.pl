# A server that cannot start: its recovery fails each time. Whoever asks a port meanwhile is refused, or told STARTING; at no
# moment is it called a primary.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PgStatus;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('node');
init_node($node, 'pg_status.hosts' => name_of($node));
$node->start;
wait_for('it to answer', sub { raw_status($node) eq 'MASTER' });
$node->stop('immediate');

# without its WAL there is no checkpoint to begin with
my $wal = $node->data_dir . '/pg_wal';
rename "$wal/$_", "$wal/$_.gone" foreach grep { /^[0-9A-F]{24}$/ } slurp_dir($wal);

my %said;
foreach my $round (1 .. 5) {
    my $from = log_offset($node);
    my $pid  = fork // die "fork: $!";
    if ($pid == 0) {
        open STDOUT, '>', '/dev/null';
        delete $ENV{PGOPTIONS};    # of the test's sessions
        exec 'pg_ctl', '-D', $node->data_dir, '-l', $node->logfile, '-w', 'start';
    }
    while (waitpid($pid, POSIX::WNOHANG()) == 0) {
        $said{ (eval { raw_status($node) }) // 'refused' }++;
    }
    like(log_text($node, $from), qr/PANIC|FATAL.*checkpoint/, "round $round: it could not start");
}
# (its listener may end while somebody asks)
delete @said{ 'refused', 'reset', 'closed', 'STARTING', '' };
is_deeply([ keys %said ], [], 'nothing but STARTING was said');

rename "$wal/$_", "$wal/" . s/\.gone$//r foreach grep { /\.gone$/ } slurp_dir($wal);
$node->start;
soon_is('with its WAL it starts', 'MASTER', sub { raw_status($node) });
done_testing;
