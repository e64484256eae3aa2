# Histories that are made up (test/histories): first that its judge finds what is wrong in a record, and nothing in one
# that is right; then three short histories of real servers, always the same, in which nobody may say anything wrong.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PgStatus;
use PgStatus::Histories;
use PgStatus::Histories::Judge;
use PgStatus::Histories::Plan;
use PgStatus::Histories::Script;
use PgStatus::Histories::Truth;
use Test::More;

# ---- made-up records -----------------------------------------------------------------------------------------------

my %settings = (poll_interval => 0.2, fast_poll_interval => 0.05, poll_timeout => 0.5, max_fails => 3);
my $bounds   = bounds_of(\%settings);

my $three = "server a primary\nserver b standby a\nserver c standby a\nlist a b c\nfence on\n";

# Sights of a server from one second to another, each tenth: what looks the same all the time.
sub seen {
    my ($server, $from, $to, %is) = @_;
    return map { my $t = $_ / 10;
        [ $t + 0.01, $t + 0.02, $server, $is{branch} ? (0, 1) : (1, 0), $is{start} // 1, $is{branch} // '-',
            $is{followers} // '-', $is{rows} // '-' ] } 10 * $from .. 10 * $to - 1;
}

# The same answer, each tenth.
sub said {
    my ($node, $question, $answer, $from, $to) = @_;
    return map { [ $_ / 10 + 0.03, $_ / 10 + 0.04, $node, $question, $answer ] } 10 * $from .. 10 * $to - 1;
}

# An act of a moment, after which the servers are as before but for %$changes.
{
    my %now;

    sub begin_with { %now = (servers => { @_ }, refused => {}, list => [qw(a b c)]); return }

    sub done {
        my ($time, $words, $changes, %more) = @_;
        $now{servers} = { %{ $now{servers} }, map { $_ => { %{ $now{servers}{$_} }, %{ $changes->{$_} } } } keys %$changes };
        %now = (%now, %more);
        return { words => [ split ' ', $words ], t0 => $time, t1 => $time + 0.1, %now };
    }
}

sub is_server {
    my ($upstream) = @_;
    return { up => 1, frozen => '', upstream => $upstream, role => $upstream ? 'standby' : 'primary' };
}

my $seconds = 40;
my @first_birth = [ 0, 'a', 'a1', 1, '-' ];

sub calm_sights {
    return [ seen('a', 0, $seconds, branch => 'a1', rows => 'a1:5', followers => 'b,c'),
        map { standby($_, 0, $seconds) } qw(b c) ];
}

sub judged {
    my (%told) = @_;
    my $truth = PgStatus::Histories::Truth->new(
        history => parse_script($told{script} // $three), settings => \%settings, begin => 0, end => $seconds,
        map { $_ => $told{$_} } qw(acts sights births));
    my ($wrong) = judge_record($truth, { answer => $told{answers}, promise => $told{promises} // [] });
    return join '; ', map { "$_->{kind} $_->{node} $_->{text}" } @$wrong;
}

sub begin_three { begin_with(a => is_server(), b => is_server('a'), c => is_server('a')); return }

sub standby { my ($name, $from, $to, %is) = @_; return seen($name, $from, $to, rows => 'a1:5', %is) }

subtest 'one promoted by mistake' => sub {
    begin_three();
    my @sights = (
        seen('a', 0, 10, branch => 'a1', rows => 'a1:5', followers => 'b,c'),
        seen('a', 10, $seconds, branch => 'a1', rows => 'a1:9', followers => 'c'),
        standby('b', 0, 10), seen('b', 10, $seconds, branch => 'b1', rows => 'a1:5,b1:1'), standby('c', 0, $seconds));
    my %story = (
        acts   => [ done(10, 'promote b', { b => is_server() }) ],
        sights => \@sights,
        births => [ @first_birth, [ 10, 'b', 'b1', 2, 'a1:5' ] ]);
    is(judged(%story, answers => [ map { said($_, 'master', 'a', 0, $seconds) } qw(a b c) ]), '', 'all name the primary');
    is(judged(%story, answers => [ said('a', 'master', 'a', 0, $seconds), said('c', 'master', 'b', 12, 13) ]),
        'named c names b though it is a by every rule', 'the other one is named');
    is(judged(%story, answers => [ said('b', 'raw', 'MASTER', 10, 11) ]), '', 'it may say MASTER for a while');
    is(judged(%story, answers => [ said('b', 'raw', 'MASTER', 10, 30) ]),
        'fence b says MASTER though it sees its successor, a', 'and then it may not');
    is(judged(%story, answers => [ said('a', 'limit', 'c', 0, 30), said('b', 'lag', '503', 0, 30) ]), '',
        'the standby is handed out');
};

subtest 'the right one restarts beside a superseded one' => sub {
    begin_three();
    my %story = (
        acts => [
            done(5, 'promote b', { b => is_server() }), done(6, 'follow c b', { c => is_server('b') }),
            done(25, 'restart b', {}) ],
        sights => [
            seen('a', 0, 5, branch => 'a1', rows => 'a1:5', followers => 'b,c'),
            seen('a', 5, $seconds, branch => 'a1', rows => 'a1:9'),
            standby('b', 0, 5), seen('b', 5, 6, branch => 'b1', rows => 'a1:5,b1:1'),
            seen('b', 6, 25, branch => 'b1', rows => 'a1:5,b1:1', followers => 'c'),
            (map { [ $_, $_ + 0.1, 'b', 'gone' ] } 25 .. 27),
            seen('b', 28, $seconds, branch => 'b1', rows => 'a1:5,b1:1', start => 2, followers => 'c'),
            standby('c', 0, 7), standby('c', 7, $seconds, rows => 'a1:5,b1:1') ],
        births => [ @first_birth, [ 5, 'b', 'b1', 2, 'a1:5' ] ]);
    is(judged(%story, answers => [ said('c', 'master', 'b', 8, 25), said('c', 'master', 'nobody', 25, 28) ]), '',
        'nobody is named meanwhile');
    is(judged(%story, answers => [ said('c', 'master', 'a', 25, 27) ]), 'named c names a, which has lost', 'the old one is');
    is(judged(%story, answers => [ said('a', 'raw', 'MASTER', 0, 8) ]), '', 'it says MASTER until it knows');
};

# Nothing was written on the timeline that the newest one has left: only the history files tell that it did.
subtest 'promoted after one that wrote nothing' => sub {
    begin_three();
    my %story = (
        acts => [
            done(5, 'kill a', { a => { up => 0 } }), done(6, 'promote b', { b => is_server() }),
            done(8, 'promote c', { c => is_server() }) ],
        sights => [
            seen('a', 0, 5, branch => 'a1', rows => 'a1:5', followers => 'b,c'),
            standby('b', 0, 6), seen('b', 6, $seconds, branch => 'b1', rows => 'a1:5,b1:1'),
            standby('c', 0, 8), seen('c', 8, $seconds, branch => 'c1', rows => 'a1:5,c1:1') ]);
    my $told = sub {
        my ($timeline, $forks) = @_;
        return PgStatus::Histories::Truth->new(history => parse_script($three), settings => \%settings, begin => 0,
            end => $seconds, %story,
            births => [ [ 8, 'c', 'c1', $timeline, 'a1:5', $forks ], @first_birth, [ 6, 'b', 'b1', 2, 'a1:5', '1@0/5000000' ] ]);
    };
    is($told->(3, '1@0/5000000,2@0/5000100')->relation('c1', 'b1'), 'newer', 'it left the other one');
    is($told->(2, '1@0/5000000')->relation('c1', 'b1'), 'same', 'it left the same one: siblings');
    is($told->(3, '1@0/4000000,2@0/5000100')->relation('c1', 'b1'), 'same', 'it left another one of that number: siblings');
};

subtest 'a diverged standby' => sub {
    begin_three();
    my %story = (
        acts   => [ done(5, 'promote b', { b => is_server() }), done(5.2, 'kill a', { a => { up => 0 } }) ],
        sights => [
            seen('a', 0, 5, branch => 'a1', rows => 'a1:5', followers => 'b,c'), standby('b', 0, 5),
            seen('b', 6, $seconds, branch => 'b1', rows => 'a1:5,b1:1'), standby('c', 0, $seconds, rows => 'a1:8') ],
        births => [ @first_birth, [ 5, 'b', 'b1', 2, 'a1:5' ] ]);
    is(judged(%story, answers => [ said('b', 'limit', 'b', 5, $seconds), said('c', 'replica', 'c', 5, $seconds) ]),
        '', 'without a limit');
    is(judged(%story, answers => [ said('b', 'limit', 'c', 30, 31) ]),
        'diverged b hands out (limit) c, which has another history than b', 'with one');
    is(judged(%story, answers => [ said('c', 'lag', '200', 30, 31) ]),
        q(diverged c passes /replica?lag=10MB with another history than b's), 'it passes its check');
    my @promise = (30, 30.1, 'b', 'plain', 2, '0/6000000', 'b', 'c', 0, 'b', 'b', 29);
    is(judged(%story, answers => [], promises => [ \@promise ]),
        'promise b names c for min_lsn=LSN of b, which has not the row that was written there (it has diverged)',
        'it is named for min_lsn');
};

subtest 'shut out' => sub {
    begin_three();
    my $calm = sub {
        my (%refused) = @_;
        begin_three();
        return (
            acts => [ done(10, 'shut', {}, refused => \%refused) ], births => \@first_birth,
            sights => calm_sights());
    };
    my @master = said('a', 'raw', 'MASTER', 0, $seconds);
    is(judged($calm->('b a' => 1), answers => \@master), '', 'by one: no majority');
    is(judged($calm->('b a' => 1, 'c a' => 1), answers => \@master), 'fence a says MASTER though a majority cannot reach it',
        'by two');
    is(judged($calm->('a b' => 1, 'a c' => 1), answers => \@master), 'fence a says MASTER though it sees no majority', 'from two');
    is(judged($calm->('a b' => 1, 'a c' => 1), answers => [ said('a', 'raw', 'MASTER', 0, 10 + $bounds->{bound}) ]),
        '', 'for as long as it takes');
};

subtest 'cut off' => sub {
    my $cut = sub {
        my ($name, $until) = @_;
        my %cut = map { ("$_ $name" => 1, "$name $_" => 1) } grep { $_ ne $name } qw(a b c);
        return (done(10, "cut $name", {}, cut => \%cut), defined $until ? done($until, 'heal', {}, cut => {}) : ());
    };
    my $settled = 10 + $bounds->{bound};
    begin_three();
    my %calm = (births => [ \@first_birth ], sights => calm_sights());
    %calm = (%calm, acts => [ $cut->('a') ]);
    my $alone = 'fence a says MASTER though it sees no majority';
    is(judged(%calm, answers => [ said('a', 'raw', 'MASTER', 0, $seconds) ]), $alone, 'it says MASTER');
    is(judged(%calm, answers => [ said('a', 'raw', 'MASTER', 0, $settled) ]), '', 'for as long as it takes');
    is(judged(%calm, answers => [ map { said($_, 'master', 'nobody', 20, $seconds) } qw(b c) ]), '', 'the rest names nobody');
    begin_three();
    my %failover = (
        acts => [ $cut->('a'), done(12, 'promote b', { b => is_server() }), done(13, 'follow c b', { c => is_server('b') }) ],
        sights => [
            seen('a', 0, 13, branch => 'a1', rows => 'a1:5', followers => 'b,c'),
            seen('a', 13, $seconds, branch => 'a1', rows => 'a1:9'), standby('b', 0, 12),
            seen('b', 12, $seconds, branch => 'b1', rows => 'a1:5,b1:1', followers => 'c'), standby('c', 0, 14),
            standby('c', 14, $seconds, rows => 'a1:5,b1:1') ],
        births => [ \@first_birth, [ 12, 'b', 'b1', 2, 'a1:5' ] ]);
    my @each = (said('a', 'master', 'a', 0, $seconds), map { said($_, 'master', 'b', 12, $seconds) } qw(b c));
    is(judged(%failover, answers => \@each), '', 'each side names its own');
    is(judged(%failover, answers => [ said('c', 'master', 'a', 30, 31) ]), 'named c names a though it is b by every rule',
        'the majority names who is cut off');
    is(judged(%failover, answers => [ said('c', 'master', 'c', 30, 31) ]), 'named c names c though it is b by every rule',
        'or anybody else');
    begin_three();
    %calm = (%calm, acts => [ $cut->('b', 13) ]);
    is(judged(%calm, answers => [ said('a', 'master', 'nobody', 38, 39) ]),
        'nobody a names nobody though a is the only primary', 'after the end nobody is named');
    begin_three();
    %calm = (%calm, acts => [ done(10, 'drop b a', {}, cut => { 'b a' => 1 }) ]);
    my @said = (said('a', 'raw', 'MASTER', 0, $seconds), said('b', 'master', 'nobody', 15, $seconds));
    is(judged(%calm, answers => \@said), '', 'one of three, one way: nothing is certain');
};

subtest 'calm' => sub {
    begin_three();
    my %story = (
        acts => [], births => \@first_birth,
        sights => calm_sights());
    is(judged(%story, answers => [ said('b', 'master', 'nobody', 0, 1) ]), '', 'nobody is named, for a while');
    is(judged(%story, answers => [ said('b', 'master', 'nobody', 30, 31) ]), 'nobody b names nobody though a is the only primary',
        'for long');
    my @promise = (30, 30.1, 'b', 'timeline', 1, '0/6000000', 'a', 'c', 0, 'a', 'a', 29);
    is(judged(%story, answers => [], promises => [ \@promise ]),
        'promise b names c for min_lsn=T:LSN of a, which has not the row that was written there', 'a row is not there');
    $promise[8] = 1;
    is(judged(%story, answers => [], promises => [ \@promise ]), '', 'it is');
};

subtest 'two of equal right' => sub {
    begin_three();
    my %story = (
        acts => [ done(5, 'kill a', { a => { up => 0 } }), done(6, 'promote b c', { b => is_server(), c => is_server() }) ],
        sights => [
            seen('a', 0, 5, branch => 'a1', rows => 'a1:5', followers => 'b,c'), (map { standby($_, 0, 6) } qw(b c)),
            map { seen($_, 7, $seconds, branch => $_ . 1, rows => "a1:5,${_}1:1") } qw(b c) ],
        births => [ @first_birth, map { [ 6, $_, $_ . 1, 2, 'a1:5' ] } qw(b c) ]);
    is(judged(%story, answers => [ map { said($_, 'master', 'c', 8, $seconds) } qw(b c) ]), '', 'both name one of them');
    is(judged(%story, answers => [ map { said($_, 'master', $_, 8, $seconds) } qw(b c) ]),
        'apart b and c name b and c, with the same hosts in sight', 'each names itself');
};

subtest 'a script' => sub {
    my $text = $three =~ s/fence on/fence off/r . "promote b\npause 1.5\nrebuild a b rewind\n";
    is(script_text(parse_script($text)), $text, 'is the same when it was read and written');
};

subtest 'a plan' => sub {
    my $made = sub {
        my ($seed, %can) = @_;
        my $plan    = PgStatus::Histories::Plan::new_plan($seed, vote => 1, %can);
        my $history = $plan->cluster;
        my %now     = (refused => {}, cut => { 'a b' => 1 }, list => $history->{list}, servers => {
            map { my $is = is_server($_->{upstream}); $_->{name} => { %$_, %$is } } @{ $history->{servers} } });
        $history->{acts} = [ map { ($plan->next_act(\%now), $plan->pause) } 1 .. 40 ];
        return script_text($history);
    };
    my $of_network = qr/^(?:cut|silence|drop|heal)\b/m;
    is_deeply([ grep { $made->($_) =~ $of_network } 1 .. 50 ], [], 'has no faults of the network where there is none');
    my $all = join '', map { $made->($_, network => 1) } 1 .. 50;
    is(scalar(grep { $all =~ /^$_$/m } 'cut \w', 'silence \w', 'drop \w \w', 'heal'), 4,
        'and all of them where there is one');
    is($made->(7, network => 1), $made->(7, network => 1), 'the same from the same seed');
};

# ---- real servers --------------------------------------------------------------------------------------------------

my $histories = PgStatus::Histories->new;
foreach my $fixed (PgStatus::Histories::fixed()) {
    my ($seed, %how) = @$fixed;
    my $history = $histories->from_seed($seed, %how);
    cmp_ok($history->{answers}, '>', 500, "seed $seed: $history->{acts} acts, $history->{answers} answers");
    my @wrong = map { PgStatus::Histories::told_of($_) } @{ $history->{violations} };
    is_deeply(\@wrong, [], 'nothing wrong was said')
      or diag(join "\n", 'when:', @{ $history->{times} }, 'to repeat it, test/histories --replay FILE with:',
        $history->{script});
}

done_testing;
