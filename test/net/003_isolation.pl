# What is sick stays alone with it: with one host frozen, one black-holed, one whose name the name server never answers
# for, and one whose name does not exist, all others are polled as ever, for a minute, and the node answers. Then names
# by themselves: one that moves to another address, and a name server that falls silent and comes back.
#
# PG_STATUS_NET_SECONDS shortens the minute while one works on this file.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/../t";
use PgNet;
use PgNet::Freshness;
use PgNet::NameServer;
use PgStatus;
use Test::More;
use Time::HiRes qw(time);

my $seconds = $ENV{PG_STATUS_NET_SECONDS} || 60;
my @names   = qw(primary standby frozen blackholed);

my ($network, @nodes) = make_cluster(\@names,
    more => join '', map { ", $_.test name=$_" } qw(moving hanging nowhere));
my ($primary, $standby, $frozen, $blackholed) = @nodes;
my @watchers = ($primary, $standby);

# `moving` is the standby under a second name, at first
my $name_server = PgNet::NameServer->new($network, @names);
$name_server->tell('moving.test' => $standby->host, 'hanging.test' => 'hang');
start_all(\@nodes, moving => 'standby', hanging => 'down', nowhere => 'down');

subtest 'the sick change nothing for the others' => sub {
    my @healthy = qw(primary standby moving);
    my $fresh   = PgNet::Freshness->new(map { [ $_, @healthy ] } @watchers);
    forget_session($frozen);
    freeze($frozen);
    $network->silence('blackholed');
    my ($end, $asked, $slowest, @wrong) = (time + $seconds, 0, 0);
    $fresh->watch('the minute to be over',
        sub {
            foreach my $node (@watchers) {
                my $start = time;
                my $word  = raw_word($node);
                my $took  = time - $start;
                $slowest = $took if $took > $slowest;
                push @wrong, $word if $word ne ($node == $primary ? 'MASTER' : 'STANDBY');
                my $master = master_on($node);
                push @wrong, 'named: ' . $master if $master ne 'primary';
                $asked++;
            }
            return time > $end;
        });
    $fresh->judge(1 + 0.4);
    is_deeply(\@wrong, [], "the raw port had the right word, and the primary its name, all of $asked times");
    cmp_ok($slowest, '<', 1, sprintf 'the slowest answer of the raw port took %.0f ms', 1000 * $slowest);
    foreach my $node (@watchers) {
        my %of = map { $_->{host} => $_ } @{ all_of($node) };
        my $on = $node->name . ': ';
        is($of{$_}{state}, 'down', "$on$_ is down, because: $of{$_}{last_error}")
          foreach qw(frozen blackholed hanging nowhere);
        like($of{nowhere}{last_error}, qr/could not resolve the name: .*not found/i, 'the last one: there is no name');
        like($of{hanging}{last_error}, qr/resolve/, 'the one before: there is no answer');
    }
    thaw();
    $network->heal;
    foreach my $node (@watchers) {
        in_time('frozen and blackholed are up again', 2 * 1 + 2,
            timed('them to be up', [$node], sub { is_up(row($_[0], 'frozen')) && is_up(row($_[0], 'blackholed')) }));
    }
};

subtest 'a silent name server' => sub {
    my $fresh = PgNet::Freshness->new(map { [ $_, 'primary', 'standby', 'moving' ] } @watchers);
    $name_server->tell(map { $_ => 'hang' } qw(moving.test hanging.test nowhere.test));
    foreach my $node (@watchers) {
        wait_row($node, 'nowhere', 'silent, too', sub { $_[0]{last_error} !~ /not found/i });
    }
    # `moving` has to be connected to anew, by the address that is remembered
    my $ended = sql($standby, q(SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity)
          . q( WHERE application_name LIKE 'pg\\_status %'));
    cmp_ok($ended, '>=', 2, "$ended sessions of pollers are ended");
    my $end = time + 5;
    $fresh->watch('a while', sub { time > $end });
    my $oldest = $fresh->oldest;
    cmp_ok($oldest, '<=', 1 + 1 + 0.4, sprintf 'the last known address serves: nobody was older than %.2f s', $oldest);
    is(master_on($_), 'primary', $_->name . ' names the primary') foreach @watchers;

    $name_server->tell(map { $_ => $blackholed->host } qw(hanging.test nowhere.test));
    $name_server->tell('moving.test' => $standby->host);
    foreach my $node (@watchers) {
        in_time('hosts have names again, and are up', 2 * 1 + 2,
            timed('them to be up', [$node], sub { is_up(row($_[0], 'hanging')) && is_up(row($_[0], 'nowhere')) }));
    }
};

subtest 'a name moves to another address' => sub {
    forget_session($standby);
    $standby->stop;
    wait_row($primary, 'moving', 'down with its server', \&is_down);
    $name_server->tell('moving.test' => $frozen->host);
    in_time('the moved host is up', 3 * 1 + 2, timed('it to be up', [$primary], sub { is_up(row($_[0], 'moving')) }));
    is(row($primary, 'standby')->{state}, 'down', 'at the old address it is not');
    is(master_on($primary), 'primary', 'the primary is named');
};

done_testing;
