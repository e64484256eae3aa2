# The primary cannot be reached any more, in each of the ways in which a network fails: every other node stops naming it
# in time, it goes on being what it is, and once the network is whole again all is as before, in time.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/../t";
use PgNet;
use PgStatus;
use Test::More;

my ($network, @nodes) = start_cluster([qw(primary standby1 standby2)]);
my ($primary, @standbys) = @nodes;
my %all_up = (primary => 'primary', standby1 => 'standby', standby2 => 'standby');

# With the default settings, by README.md: max_fails x (poll_timeout + fast_poll_interval) + poll_interval = 4.3 s. And
# a probe of a host that is down may have begun just before it was there again: 1 s for that, 1 s until the next. What
# is added is for a busy machine.
my $busy      = 2;
my $most_down = 3 * (1 + 0.1) + 1 + $busy;
my $most_up   = 2 * 1 + $busy;

# An outage lasts for so many failed polls, so that all that waits longer each time (TCP's retransmissions, say) has
# come to waits that can be seen.
my $many = 14;

# The questions arrived, and the answers are lost: they are sent when nothing gets through.
sub lose_the_answers {
    forget_session($primary);
    freeze($primary);
    wait_row($_, 'primary', 'silent', sub { $_[0]{fails} > 0 }) foreach @standbys;
    $network->silence('primary');
    thaw();
    return;
}

my %fault = (
    'cable out'       => sub { $network->cut('primary') },
    'silent drop'     => sub { $network->silence('primary') },
    'lost answers'    => \&lose_the_answers,
    'tcp-reset'       => sub { $network->refuse('primary') },
    'blackhole route' => sub { $network->no_route($_, 'primary') foreach qw(standby1 standby2) });

foreach my $name ('cable out', 'silent drop', 'lost answers', 'tcp-reset', 'blackhole route') {
    subtest $name => sub {
        my %offset = map { $_->name => log_offset($_) } @nodes;
        $fault{$name}->();
        in_time('primary is unnamed', $most_down,
            timed('the primary to be unnamed', \@standbys, sub { master_on($_[0]) eq '' }));
        foreach my $standby (@standbys) {
            my $row = row($standby, 'primary');
            is($row->{state}, 'down', $standby->name . ' has it down');
            cmp_ok($row->{fails}, '>=', 3, 'after three failures');
            isnt($row->{last_error}, undef, "because: $row->{last_error}");
            is(raw_word($standby), 'STANDBY', 'and is a standby itself');
            wait_picture($standby, 'meanwhile', %all_up, primary => 'down');
        }
        # a blackhole route leads nowhere from the standbys only, but the answers to the primary take it, too
        wait_picture($primary, 'from the other side', %all_up, standby1 => 'down', standby2 => 'down');
        is(master_on($primary), 'primary', 'the primary names itself, as ever');
        is(raw_word($primary), 'MASTER', 'and says so');
        is(check_code($primary, '/primary'), 200, 'on the check port, too');

        foreach my $node (@nodes) {
            wait_row($node, $_, 'down for a while', sub { $_[0]{fails} >= $many })
              foreach $node == $primary ? qw(standby1 standby2) : 'primary';
        }
        $network->heal;
        my $whole = join ' ', map { "$_=$all_up{$_}" } sort keys %all_up;
        in_time('all are up again', $most_up,
            timed('all to be up', \@nodes, sub { picture($_[0]) eq $whole && master_on($_[0]) eq 'primary' }));
        foreach my $node (@nodes) {
            foreach my $standby (@standbys) {
                wait_row($node, $standby->name, 'streaming, in sync',
                    sub { ($_[0]{upstream} // '') eq 'primary' && $_[0]{sync_by_time} && $_[0]{sync_by_bytes} });
            }
            is(sql($node, 'SELECT pg_status_is_split_brain()'), 'f', $node->name . ' never saw a split brain');
            is_deeply([ grep { /split brain/i } pg_status_log($node, $offset{ $node->name }) ], [], 'nor logged one');
        }
    };
}

done_testing;
