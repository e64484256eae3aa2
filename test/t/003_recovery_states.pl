# What the raw port says while a server starts, recovers, is promoted and stops; and that pg_status holds none of this
# up.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PgStatus;
use PostgreSQL::Test::Cluster;
use Test::More;
use Time::HiRes qw(time usleep);

# Asks the raw port every few milliseconds until $done, called with the last word, says so; returns the words, without
# repetitions, and how often each was said.
sub words_until {
    my ($node, $what, $done) = @_;
    my (@words, %count);
    wait_for($what,
        sub {
            my $stop = $done->(@words ? $words[-1] : '');
            my $word = raw_status($node);
            push @words, $word if !@words || $words[-1] ne $word;
            $count{$word}++;
            return $stop;
        });
    note "$what: @words (" . join(', ', map { "$_ $count{$_}" } sort keys %count) . ')';
    return (\@words, \%count);
}

# Runs pg_ctl without waiting for what it starts.
sub pg_ctl {
    my ($node, @arguments) = @_;
    local @ENV{qw(PGAPPNAME PGOPTIONS)};
    delete @ENV{qw(PGAPPNAME PGOPTIONS)};
    system('pg_ctl', '-W', '-s', '-D', $node->data_dir, '-l', $node->logfile, @arguments) == 0
      or die "pg_ctl @arguments: exit $?";
    return;
}

# Seconds that a fast shutdown takes.
sub seconds_to_stop {
    my ($node) = @_;
    my $start = time;
    $node->stop('fast');
    return time - $start;
}

my $primary = init_node(new_node('primary'),
    checkpoint_timeout => '1h', max_wal_size => '10GB', shared_buffers => '64MB');
$primary->start;
$primary->safe_psql('postgres', 'CREATE EXTENSION pg_status');

subtest 'crash recovery' => sub {
    sql($primary, 'CREATE TABLE filler (i int, t text)');
    sql($primary, 'CHECKPOINT');
    my $before = $primary->lsn('insert');
    sql($primary, "INSERT INTO filler SELECT i, repeat('x', 100) FROM generate_series(1, 800000) i");
    my $redo = sql($primary, "SELECT pg_current_wal_lsn() - '$before'::pg_lsn");
    cmp_ok($redo, '>', 100_000_000, "$redo bytes to redo");
    forget_session($primary);
    $primary->stop('immediate');
    is(raw_status($primary), 'refused', 'nobody answers for a stopped server');

    pg_ctl($primary, '-o', '--cluster-name=primary', 'start');
    my ($words, $count) = words_until($primary, 'crash recovery', sub { $_[0] eq 'MASTER' });
    shift @$words while @$words && $words->[0] eq 'refused';
    is_deeply($words, [ 'STARTING', 'MASTER' ], 'STARTING and then MASTER, nothing else, never STANDBY');
    cmp_ok($count->{STARTING}, '>=', 3, 'it said STARTING ' . $count->{STARTING} . ' times');
    wait_for('the server to be ready', sub { pid_status($primary) eq 'ready' });
    $primary->_update_pid(1);
    is(sql($primary, 'SELECT count(*) FROM filler'), 800_000, 'and everything is there');
    $primary->backup('base');
};

subtest 'a standby that accepts no sessions' => sub {
    my $closed = init_standby(new_node('closed'), $primary, hot_standby => 'off');
    $closed->start;
    wait_for('it to be up', sub { pid_status($closed) eq 'standby' && raw_status($closed) ne 'refused' });
    my $asked = 0;
    my (undef, $count) = words_until($closed, 'hot_standby = off', sub { $asked++ >= 100 });
    is_deeply([ keys %$count ], ['STARTING'], 'hot_standby = off: STARTING every time');
    cmp_ok(seconds_to_stop($closed), '<', 10, 'and it stops');
    is(raw_status($closed), 'refused', 'refused when it is stopped');
};

subtest 'promotion' => sub {
    my $standby = init_standby(new_node('standby'), $primary);
    $standby->start;
    my ($words) = words_until($standby, 'a standby', sub { $_[0] =~ /^[A-Z]/ });
    is_deeply([ grep { $_ ne 'refused' } @$words ], ['STANDBY'], 'STANDBY before, from its first answer on');
    my $session = session($standby);
    my (%early, @late);
    my $start = time;
    is($session->query('SELECT pg_promote(wait => false)'), 't', 'promotion requested');
    wait_for('recovery to end',
        sub {
            my $over = $session->query('SELECT pg_is_in_recovery()') eq 'f';
            my $word = raw_status($standby);
            $over ? push @late, $word : $early{$word}++;
            return $over;
        });
    my $seconds = time - $start;
    delete @early{qw(STANDBY MASTER)};
    is_deeply(\%early, {}, 'STANDBY or MASTER until SQL says that recovery is over');
    is_deeply(\@late, ['MASTER'], 'MASTER at the first connection after that');
    cmp_ok($seconds, '<', 5, sprintf 'promotion was not held up: %.3f s', $seconds);
    $session->close;

    $start = time;
    sql($standby, 'CREATE DATABASE short_lived');
    sql($standby, 'DROP DATABASE short_lived');
    cmp_ok(time - $start, '<', 5, sprintf 'nor is DROP DATABASE: %.3f s', time - $start);
    wait_for('its poller to name it', sub { sql($standby, 'SELECT pg_status_master()') ne '' });
    is(row($standby, sql($standby, 'SELECT pg_status_master()'))->{timeline}, 2, 'on the new timeline');
    forget_session($standby);
    $standby->stop('fast');
};

subtest 'fast shutdown' => sub {
    my $plain = init_node(new_node('plain'),
        shared_preload_libraries => '', 'pg_status.port' => undef);
    $plain->start;
    my $without = seconds_to_stop($plain);

    sql($primary, 'UPDATE filler SET i = -i WHERE i % 10 = 0');
    forget_session($primary);
    my $start = time;
    pg_ctl($primary, '-m', 'fast', 'stop');
    wait_for('the shutdown to begin', sub { pid_status($primary) ne 'ready' });
    my (undef, $count) = words_until($primary, 'fast shutdown', sub { !defined postmaster_pid($primary) });
    my $with = time - $start;
    ok(!exists $count->{MASTER} && !exists $count->{STANDBY}, 'no role once a fast shutdown has begun');
    cmp_ok($count->{refused}, '>=', 1, 'but refused');
    cmp_ok($with, '<', $without + 2, sprintf 'stopped after %.2f s, a server without pg_status after %.2f s',
        $with, $without);
    $primary->_update_pid(0);
    $primary->start;
};

subtest 'smart shutdown with a client connected' => sub {
    my $watcher = init_node(new_node('watcher'), 'pg_status.hosts' => name_of($primary));
    $watcher->start;
    my $polled = "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'pg_status watcher'";
    wait_for('the watcher to be connected', sub { sql($primary, $polled) eq 't' });
    my $client = session($primary);
    forget_session($primary);
    pg_ctl($primary, '-m', 'smart', 'stop');
    wait_for('the shutdown to begin', sub { pid_status($primary) eq 'stopping' });
    my $asked = 0;
    my (undef, $count) = words_until($primary, 'smart shutdown', sub { $asked++ >= 100 });
    delete $count->{refused};
    is_deeply([ keys %$count ], ['STOPPING'], 'STOPPING, never MASTER');
    is($client->query('SELECT 1'), 1, 'while the client that is there goes on');
    $client->close;

    # The sessions of the pollers, its own and the watcher's, are no clients to wait for.
    wait_for('the server to be gone', sub { !defined postmaster_pid($primary) });
    is(raw_status($primary), 'refused', 'refused when it is stopped');
    $primary->_update_pid(0);
};

done_testing;
