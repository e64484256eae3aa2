# pg_status.fence = on, and what a primary hears: that the others cannot reach it, that another one has taken over, that
# it was started again beside its successor. With HAProxy in front, configured by the files of docs/haproxy.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PgStatus;
use PgStatus::Failover;
use PgStatus::Haproxy;
use PgStatus::Http;
use PgStatus::Named;
use PgStatus::Watch;
use PgStatus::Watchers;
use Test::More;

skip_without('haproxy');

# A server that is started again has to learn before it can answer.
my @not_yet = qw(gone unready nobody);

# What the raw port of a server may say that must not say MASTER, and is started again.
my @fenced_or_away = qw(FENCED STARTING STOPPING gone);

# How often watchers ask, in microseconds.
my $rest = 5000;

# Three servers with fence, each of which connects to the others as a role of its own.
sub start_nodes {
    my (@names) = @_;
    my @nodes = start_cluster(\@names, 'pg_status.fence' => 'on', 'pg_status.poll_interval' => '200ms',
        'pg_status.fast_poll_interval' => '50ms');
    create_watchers($nodes[0], @nodes);
    wait_caught_up(@nodes);
    set_conf($_, 'pg_status.conninfo' => 'dbname=postgres user=' . watcher_of($_)) foreach @nodes;
    shut_out($nodes[0]);
    foreach my $node (@nodes) {
        my $query = sprintf q(SELECT count(*) FROM pg_stat_activity WHERE usename = '%s'), watcher_of($node);
        wait_for($node->name . ' to ask as a watcher', sub { sql($nodes[0], $query) > 0 });
    }
    wait_whole(@nodes);
    return @nodes;
}

# All see all, and know that all others do.
sub wait_whole {
    my (@nodes) = @_;
    foreach my $node (@nodes) {
        wait_for($node->name . ' to know that all see all',
            sub { (try_sql($node, 'SELECT min(votes_up) FROM pg_status_hosts()') // '') eq scalar @nodes });
    }
    return;
}

sub end_nodes { foreach my $node (@_) { forget_session($node); $node->stop('immediate') } return }

# Why it is fenced, as JSON has it.
sub cause { my ($node) = @_; return json_of(check($node, '/patroni'))->{pg_status}{fence_cause} // 'none' }
sub note_of { my ($node) = @_; return sql($node, 'SELECT note FROM pg_status_quorum()') }

# The word of the raw port and the status of /primary of a node, asked without a break.
sub watch_says {
    my ($node) = @_;
    return { word => watch_word(raw_port($node), $rest), code => watch_code(check_port($node), '/primary', $rest) };
}

# Tests: from $since on the word was one of these, and so was the status.
sub said_only {
    my ($watch, $what, $since, $words, $codes) = @_;
    my %right = (word => $words, code => $codes);
    foreach my $kind (qw(word code)) {
        my @wrong = grep { my $said = $_->[1]; !grep { $_ eq $said } @{ $right{$kind} } }
          $watch->{$kind}->changes_since($since);
        is_deeply([ map { sprintf '%+.3f s: %s', $_->[0] - $since, $_->[1] } @wrong ], [],
            "$what: " . ($kind eq 'word' ? 'the word' : '/primary') . " was never anything but @{ $right{$kind} }");
    }
    return;
}

# Waits, as a test, until a node says this; returns since when that is so.
sub soon_says {
    my ($node, $word, $code, $what) = @_;
    soon_is($node->name . ": $what", "$word $code", sub { raw_status($node) . ' ' . code($node, '/primary') });
    return now();
}

subtest 'nobody from outside can reach the primary' => sub {
    my @nodes = start_nodes(qw(e1 e2 e3));
    my ($primary, @standbys) = @nodes;
    my $says = watch_says($primary);
    soon_says($primary, 'MASTER', 200, 'the primary');
    my $start = now();
    shut_out($primary, @standbys);
    soon_says($primary, 'FENCED', 503, 'nobody else gets in: it says FENCED');
    my $when = $says->{word}->when($start, sub { $_[0] eq 'FENCED' });
    cmp_ok(($when // now()) - $start, '<', 6, 'within 6 s');
    wait_row($_, $primary, 'down', \&is_down) foreach @standbys;
    soon_is('the cause in JSON', 'unreachable', sub { cause($primary) });
    like(note_of($primary), qr/FENCED.*reach/s, 'in SQL: ' . note_of($primary));
    is(sql($primary, 'SELECT in_sight FROM pg_status_quorum()'), 3, 'though it sees all others');
    is(sql($primary, 'SELECT votes_down FROM pg_status_host(' . "'@{[ name_of($primary) ]}')"), 2, 'and two say so');
    soon_is($_->name . ' names nobody', '', sub { sql($_, 'SELECT pg_status_master()') }) foreach @standbys;
    my $fenced = now();
    wait_polls(3, @nodes);
    said_only($says, 'as long as that lasts', $fenced, ['FENCED'], [503]);
    shut_out($primary);
    my $free = soon_says($primary, 'MASTER', 200, 'let in again');
    is(cause($primary), 'none', 'without a cause');
    wait_whole(@nodes);
    said_only($says, 'and stays so', $free, ['MASTER'], [200]);

    # one that cannot reach it is no majority
    my $one = now();
    shut_out($primary, $standbys[0]);
    wait_row($standbys[0], $primary, 'down', \&is_down);
    soon_is('one vote against it', 1, sub { row($primary, $primary)->{votes_down} });
    wait_polls(3, @nodes);
    shut_out($primary);
    wait_whole(@nodes);
    said_only($says, 'one node alone cannot reach it', $one, ['MASTER'], [200]);
    $_->leave foreach values %$says;
    end_nodes(@nodes);
};

subtest 'a successor in sight, behind HAProxy' => sub {
    my @nodes = start_nodes(qw(f1 f2 f3));
    my ($old, $new, $third) = @nodes;
    my %proxy = map { $_ => PgStatus::Haproxy->start("$_.cfg", \@nodes) } qw(agent http);
    my %says  = map { $_->name => watch_says($_) } $old, $new;

    # Where sessions for writes end up: port -> number.
    my $sessions = sub {
        my ($count) = @_;
        my %reached;
        foreach my $proxy (values %proxy) {
            $reached{ $proxy->query('writes', q(SELECT current_setting('port'))) || 'nobody' }++ foreach 1 .. $count;
        }
        return \%reached;
    };
    # HAProxy has what checks say of exactly these by now.
    my $served_by = sub {
        my ($what, @servers) = @_;
        foreach my $name (sort keys %proxy) {
            ok(eval { $proxy{$name}->wait_serving('writes', \@servers) }, "$name.cfg: $what") or diag $@;
        }
    };
    $served_by->('writes go to the primary', $old);
    is_deeply($sessions->(3), { $old->port => 6 }, 'with all sessions');

    # promoted, and followed by nobody: the others go on with the old one, and it is the new one that keeps away
    $new->promote;
    soon_says($new, 'FENCED', 503, 'promoted, and followed by nobody');
    $served_by->('writes go on going to the primary', $old);
    is_deeply($sessions->(3), { $old->port => 6 }, 'with all sessions');
    is(raw_status($old), 'MASTER', 'which says MASTER');

    follow($third, $new);
    my $fenced = soon_says($old, 'FENCED', 503, 'a standby has followed the promoted one: the old primary');
    my $master = soon_says($new, 'MASTER', 200, 'and the new one');
    like(cause($old), qr/\A(?:successor|outvoted)\z/, 'the cause in JSON: ' . cause($old));
    like(note_of($old), qr/FENCED/, 'in SQL: ' . note_of($old));
    $served_by->('writes go to the new primary', $new);
    is_deeply($sessions->(20), { $new->port => 40 }, 'with all sessions');
    foreach my $node (@nodes) {
        soon_is($node->name . ' names the new one', name_of($new), sub { sql($node, 'SELECT pg_status_master()') });
    }

    # The old one stands first in all lists. It comes back while sessions are made without a break.
    my %reached;
    my $count = sub { my $more = $sessions->(1); $reached{$_} += $more->{$_} foreach keys %$more };
    forget_session($old);
    $old->stop('fast');
    $count->() foreach 1 .. 5;
    $old->start;
    my $until = now() + 5;
    wait_for('the old one to be looked at for a while', sub { $count->(); now() > $until });
    is_deeply([ keys %reached ], [ $new->port ],
        "the old one was restarted: all of $reached{ $new->port } sessions to the new one");
    soon_says($old, 'FENCED', 503, 'restarted');
    said_only($says{ $old->name }, 'the old one', $fenced, \@fenced_or_away, [qw(503 gone)]);
    said_only($says{ $new->name }, 'the new one', $master, ['MASTER'], [200]);

    # The new one is away for a while, as for an upgrade: better nobody than the old one.
    %reached = ();
    my $away = now();
    restart_taking($new, 4, $count);
    soon_says($new, 'MASTER', 200, 'the new one is there again');
    $served_by->('writes go to it again', $new);
    is_deeply([ grep { $_ eq $old->port } keys %reached ], [], 'no session went to the old one meanwhile');
    said_only($says{ $old->name }, 'the old one', $away, [qw(FENCED)], [503]);
    is_deeply($sessions->(5), { $new->port => 10 }, 'all sessions go to the new one');

    forget_session($old);
    $old->stop('fast');
    rebuild($old, $new, 'rewind');
    wait_whole(@nodes);
    soon_is('rebuilt it is a standby', 'STANDBY', sub { raw_status($old) });
    $_->stop foreach values %proxy;

    # lists that grow, one node after the other, by hosts that are not there yet
    my $grow = now();
    my @free = map { sprintf '127.0.0.1:%d name=later%d', PostgreSQL::Test::Cluster::get_free_port(), $_ } 1, 2;
    foreach my $more (0, 1) {
        foreach my $node ($new, $old, $third) {
            set_conf($node, 'pg_status.hosts' => join ', ', hosts_of(@nodes), @free[ 0 .. $more ]);
            wait_row($node, 'later1', 'in the list', sub { $_[0] });
            wait_row($node, 'later' . (1 + $more), 'down', \&is_down);
            wait_polls(3, $node);
        }
    }
    said_only($says{ $new->name }, 'the list grew', $grow, ['MASTER'], [200]);
    foreach my $watch (values %says) { $_->leave foreach values %$watch }
    end_nodes(@nodes);
};

subtest 'an old primary comes back with a standby of its own' => sub {
    my @nodes = start_nodes(qw(h1 h2 h3));
    my ($old, $new, $third) = @nodes;
    my $named = PgStatus::Named->new(@nodes);
    my %says  = map { $_->name => watch_says($_) } $old, $new;
    forget_session($old);
    $old->stop('fast');
    $new->promote;
    my @left  = ($new, $third);
    my $since = $named->soon($new, @left);
    my $master = soon_says($new, 'MASTER', 200, 'promoted after the old one was stopped');

    # it was never told of another one, nor was the standby pointed elsewhere
    my $back = now();
    $old->start;
    foreach my $node (@nodes) {
        wait_for($node->name . ' to see the standby behind the old one', sub {
            my $row = try_sql($node, 'SELECT 1') && row($node, $third);
            return $row && ($row->{upstream} // '') eq name_of($old);
        });
        soon_is($node->name . ' reports the split brain', 't',
            sub { try_sql($node, 'SELECT pg_status_is_split_brain()') });
    }
    $named->soon($new, @nodes);
    sql($old, 'CREATE TABLE lost (i int)');
    wait_polls(3, @nodes);
    soon_says($old, 'FENCED', 503, 'the old one, back');
    like(cause($old), qr/\A(?:successor|outvoted)\z/, 'the cause in JSON: ' . cause($old));

    # those that just start in the middle of it
    foreach my $started ($third, $old) {
        restart_taking($started, 0);
        $named->soon($new, @nodes);
        wait_whole(@nodes);
        wait_polls(3, @nodes);
        is(raw_status($old), 'FENCED', $started->name . ' restarted: the old one says FENCED');
    }
    $named->only('the successor stayed named', $since, [$new], [$new]);
    $named->only('by the standby, too', $since, [$third], [ $new, @not_yet ]);
    $named->only('and by the old one itself, once it knows', $back, [$old], [ $new, @not_yet ]);
    said_only($says{ $old->name }, 'the old one', $back, \@fenced_or_away, [qw(503 gone)]);
    said_only($says{ $new->name }, 'the successor', $master, ['MASTER'], [200]);
    $named->end;
    foreach my $watch (values %says) { $_->leave foreach values %$watch }
    end_nodes(@nodes);
};

done_testing;
