# One standby's packets to the primary are lost, in one direction only and without a word, so that its connection to the
# primary stays half open: for it the primary is down, and for nobody else anything changes.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/../t";
use PgNet;
use PgNet::Freshness;
use PgStatus;
use Test::More;
use Time::HiRes qw(time);

my ($network, @nodes) = start_cluster([qw(primary standby1 standby2)]);
my ($primary, $standby1, $standby2) = @nodes;
my @hosts = map { $_->name } @nodes;

my $fresh = PgNet::Freshness->new(
    [ $primary,  @hosts ],
    [ $standby2, @hosts ],
    [ $standby1, 'standby1', 'standby2' ]);

$network->drop('standby1', 'primary', 5432);
my ($start, $took) = (time);
$fresh->watch('the primary to be down for a while, for one',
    sub {
        my $down = is_down(row($standby1, 'primary'));
        $took //= time - $start if $down;
        return $took && time > $start + $took + 5;
    });
cmp_ok($took, '<=', 3 * (1 + 0.1) + 1 + 2, 'standby1 has the primary down in time');
diag(sprintf 'standby1: primary is down after %.2f s', $took);
$fresh->judge(1 + 0.4);
is(master_on($standby1), '', 'standby1 names nobody');
is(master_on($_), 'primary', $_->name . ' names the primary') foreach $primary, $standby2;
is(raw_word($primary), 'MASTER', 'the primary says so');
is(raw_word($_), 'STANDBY', $_->name . ' says STANDBY') foreach $standby1, $standby2;

$network->heal;
my %took = timed('it to be up', [$standby1], sub { master_on($_[0]) eq 'primary' });
in_time('primary is named again', 2 * 1 + 2, %took);

done_testing;
