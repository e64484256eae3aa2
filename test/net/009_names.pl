# What a name means may change while the session to its old address lives: a name that moves is followed within a
# minute, one that does not exist any more ends its address, and a name server that says nothing ends nothing. The
# answers of this name server may be kept for an hour; nobody who has to find a host that has moved may do that.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/../t";
use PgNet;
use PgNet::NameServer;
use PgStatus;
use Test::More;
use Time::HiRes qw(time);

my @names = qw(primary standby other);
my ($network, @nodes) = make_cluster(\@names,
    more => join '', map { ", $_.test name=$_" } qw(moving leaving staying));
my ($primary, $standby, $other) = @nodes;

my $name_server = PgNet::NameServer->new($network, @names);
$name_server->tell(map { $_ . '.test' => $standby->host } qw(moving leaving staying));
start_all(\@nodes, map { $_ => 'standby' } qw(moving leaving staying));

my $start = time;
$name_server->tell('moving.test' => $other->host, 'leaving.test' => undef, 'staying.test' => 'hang');
my $moved = eval {
    wait_for('the old server to be asked no more under two names', sub {
        sql($standby, q(SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pg\\_status %')
            . q( AND client_addr = ') . $primary->host . q(')) <= 2;
    });
};
ok($moved, sprintf 'both have left the old address after %.1f s, and its sessions ended', time - $start);
cmp_ok(time - $start, '<', 60, 'within a minute');
wait_row($primary, 'moving', 'up at its new address', \&is_up);
my $gone = wait_row($primary, 'leaving', 'down', \&is_down);
like($gone->{last_error}, qr/could not resolve the name: .*not found/i, "down, because: $gone->{last_error}");
is(row($primary, 'staying')->{state}, 'up', 'whose name server says nothing stays up');
is(row($primary, 'standby')->{state}, 'up', 'the server itself is up all the time');
done_testing;
