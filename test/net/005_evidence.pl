# A primary with pg_status.fence = on goes by what it hears now, and by nothing older: when only the way in is cut;
# when its poller was frozen while it was cut off, and goes on with what it knew before; when a cut has healed, and
# its successor is in sight. What it says is asked without a break, next to it.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/../t";
use JSON::PP;
use PgNet;
use PgNet::Network qw(in_namespace);
use PgStatus;
use PgStatus::Http;
use PgStatus::Watch;
use Test::More;
use Time::HiRes qw(time);

my ($network, @nodes) = start_cluster([qw(alpha beta gamma)], 'pg_status.fence' => 'on');
my ($alpha, $beta, $gamma) = @nodes;

# A WAL receiver that tries to connect during a fault would otherwise go on trying ever more rarely long after it.
set_conf($_, primary_conninfo => $_->way_to($alpha) . ' tcp_user_timeout=2000') foreach $beta, $gamma;

# By README.md; see 001_unreachable_primary.pl.
my $busy      = 2;
my $cut_bound = 3 * (1 + 0.1) + 1;
my $most_up   = 2 * 1 + $busy;

# Word of the raw port and status of /primary, asked at the server's own side of any fault.
my $rest = 10_000;
my %says = map { $_->name => in_namespace($_->namespace, \&watch_says) } $alpha, $beta;

sub watch_says {
    return { word => watch_word($PgNet::raw_port, $rest), code => watch_code($PgNet::check_port, '/primary', $rest) };
}

sub said_only {
    my ($node, $what, $since, $word, $code) = @_;
    my %right = (word => $word, code => $code);
    foreach my $kind (qw(word code)) {
        my @wrong = grep { $_->[1] ne $right{$kind} } $says{ $node->name }{$kind}->changes_since($since);
        is_deeply([ map { sprintf '%+.3f s: %s', $_->[0] - $since, $_->[1] } @wrong ], [],
            "$what: not one " . ($kind eq 'word' ? 'word' : 'status of /primary') . " but $right{$kind}");
    }
    return;
}

# Returns since when a node says this, in seconds after $since; tests that it comes to that.
sub soon_says {
    my ($node, $word, $code, $since, $what) = @_;
    soon_is($node->name . ": $what", "$word $code", sub { raw_word($node) . ' ' . check_code($node, '/primary') });
    return ($says{ $node->name }{word}->when($since, sub { $_[0] eq $word }) // now()) - $since;
}

sub cause {
    my ($node) = @_;
    my $body = in_namespace($node->namespace, sub { (fetch($PgNet::check_port, '/patroni'))[1] });
    return decode_json($body)->{pg_status}{fence_cause} // 'none';
}

sub wait_whole {
    foreach my $node (@nodes) {
        wait_for($node->name . ' to know that all see all',
            sub { (try_sql($node, 'SELECT min(votes_up) FROM pg_status_hosts()') // '') eq scalar @nodes });
    }
    return;
}

# So many seconds of what the watchers see.
sub hold { my ($what, $seconds) = @_; my $end = time + $seconds; wait_for($what, sub { time > $end }); return }

wait_whole();

subtest 'the way in is cut' => sub {
    my $start = now();
    $network->deafen('alpha', 5432);
    my $took = soon_says($alpha, 'FENCED', 503, $start, 'nobody reaches it');
    cmp_ok($took, '<=', $cut_bound + 2, sprintf 'within %.1f s', $cut_bound + 2);
    diag(sprintf 'alpha says FENCED after %.2f s', $took);
    soon_is('the cause in JSON', 'unreachable', sub { cause($alpha) });
    is(sql($alpha, 'SELECT in_sight FROM pg_status_quorum()'), 3, 'though it reaches all others');
    my $fenced = now();
    hold('it to go on for a while', 5);
    said_only($alpha, 'as long as that lasts', $fenced, 'FENCED', 503);
    $network->heal;
    soon_says($alpha, 'MASTER', 200, $fenced, 'healed');
    wait_whole();
};

subtest 'frozen, cut off, and thawed' => sub {
    my $start = now();
    freeze_worker($alpha, 'poller');
    hold('its poller to be frozen for 7 s', 7);
    my $took = soon_says($alpha, 'FENCED', 503, $start, 'its poller is frozen');
    diag(sprintf 'alpha says FENCED after %.2f s', $took);
    $network->cut('alpha');
    my $cut = now();
    thaw();
    hold('it to have given up all others', $cut_bound + 5);
    said_only($alpha, 'thawed, with what it knew before', $cut, 'FENCED', 503);
    is(cause($alpha), 'no_majority', 'the cause in JSON');
    $network->heal;
    my $healed = now();
    $took = soon_says($alpha, 'MASTER', 200, $healed, 'healed');
    cmp_ok($took, '<=', $most_up, sprintf 'within %.1f s', $most_up);
    wait_whole();
};

subtest 'a cut has healed, and there is a successor' => sub {
    wait_caught_up(@nodes);
    my $start = now();
    $network->cut('alpha');
    soon_says($alpha, 'FENCED', 503, $start, 'cut off');
    my $fenced = now();
    wait_for('beta to name nobody', sub { master_on($_) eq '' }) foreach $beta, $gamma;
    $beta->promote;
    set_conf($gamma, primary_conninfo => $gamma->way_to($beta));
    foreach my $node ($beta, $gamma) {
        wait_for($node->name . ' to name beta', sub { master_on($node) eq 'beta' });
        wait_row($node, 'gamma', 'behind beta', sub { ($_[0]{upstream} // '') eq 'beta' });
    }
    my $master = now();
    soon_says($beta, 'MASTER', 200, $master, 'promoted on the larger side');
    $master = now();
    $network->heal;
    foreach my $node (@nodes) {
        soon_is($node->name . ' reports the split brain', 't', sub { sql($node, 'SELECT pg_status_is_split_brain()') });
        soon_is($node->name . ' names the new primary', 'beta', sub { master_on($node) });
    }
    wait_whole();
    hold('the old one to look at it for a while', 5);
    like(cause($alpha), qr/\A(?:successor|outvoted)\z/, 'the cause in JSON: ' . cause($alpha));
    said_only($alpha, 'the old one, from the cut on', $fenced, 'FENCED', 503);
    said_only($beta, 'the new one', $master, 'MASTER', 200);
};

foreach my $watch (values %says) { $_->leave foreach values %$watch }
done_testing;
