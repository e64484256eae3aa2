# HAProxy's operator is master of HAProxy: what is set there (maint, drain, a weight, no agent) outlasts the replies of
# agents, with the agent.cfg of docs/haproxy as it is; and what pg_status has ordered itself it takes back, also when
# the server was restarted in between. Replies are counted where they are given, so none is taken for granted.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PgStatus;
use PgStatus::Haproxy;
use PgStatus::Http;
use Test::More;

skip_without('haproxy');
my @nodes = start_three();
my ($primary, $standby1, $standby2) = @nodes;
open_http(@nodes);
my $proxy = PgStatus::Haproxy->start('agent.cfg', \@nodes);
diag((split /\n/, `haproxy -v`)[0]);

my @backends = qw(reads reads_or_primary);

# How many agents a node has answered so far.
sub answered {
    my ($node) = @_;
    my $count = 0;
    my $text  = (check($node, '/metrics'))[1];
    $count += $1 while $text =~ /^pg_status_requests_total\{port="check",path="\/agent",code="\d+"\} (\d+)$/mg;
    return $count;
}

# Waits until a node has answered agents so often.
sub let_agents_ask {
    my ($node, $times) = @_;
    my $from = answered($node);
    wait_for("$times replies to agents", sub { answered($node) >= $from + $times });
    return;
}

sub row_of { my ($node, $backend) = @_; return $proxy->servers($backend // 'reads')->{ $node->name } }

sub wait_status {
    my ($what, $node, $status, $backend) = @_;
    my $row;
    wait_for("$what: $status", sub { $row = row_of($node, $backend); $row->{status} =~ /^$status/ });
    pass("$what: $row->{status}");
    return;
}

# That it is so at each look, while agents get as many replies.
sub stays {
    my ($what, $node, $is_so, $times) = @_;
    my $from = answered($node);
    my %seen;
    wait_for($what, sub {
        my $row = row_of($node);
        $seen{"$row->{status} weight $row->{weight}"}++ unless $is_so->($row);
        return answered($node) >= $from + ($times // 20);
    });
    is_deeply(\%seen, {}, "$what, for as long as 20 replies");
    return;
}

sub is_status { my ($status) = @_; return sub { $_[0]{status} =~ /^$status/ } }

# HAProxy's sessions end up where it says that they do.
sub is_reached {
    my ($node) = @_;
    return scalar grep { $proxy->query('reads', q{SELECT current_setting('port')}) eq $node->port } 1 .. 6;
}

$proxy->wait_serving('reads', [ $standby1, $standby2 ]);
$proxy->wait_serving('reads_or_primary', \@nodes);
# Nothing was ever ordered, so nothing is taken back.
is(line($standby1, 'agent?role=replica&lag=10MB&soft=1MB'), "up 100%\n", 'a reply with the weight that was asked for');
is(line($standby1, 'agent?role=replica&lag=10MB'), "up\n", 'and without');

foreach my $state (qw(maint drain)) {
    subtest "set server state $state" => sub {
        $proxy->operate('reads', $standby1, "set server %s state $state");
        wait_status('HAProxy', $standby1, uc $state);
        stays("it stays in $state", $standby1, is_status(uc $state));
        is(is_reached($standby1), 0, 'no session goes there');
        is(row_of($standby1, 'reads_or_primary')->{status}, 'UP', 'where nobody has said so it is up');
        $proxy->operate('reads', $standby1, 'set server %s state ready');
        wait_status('HAProxy has put it back', $standby1, 'UP');
        cmp_ok(is_reached($standby1), '>', 0, 'sessions go there again');
    };
}

subtest 'disable server' => sub {
    $proxy->operate('reads', $standby1, 'disable server %s');
    wait_status('HAProxy', $standby1, 'MAINT');
    stays('it stays disabled', $standby1, is_status('MAINT'));
    $proxy->operate('reads', $standby1, 'enable server %s');
    wait_status('enabled', $standby1, 'UP');
};

# What the operator of HAProxy has set outlasts a restart of the server as well: that is what it is for.
subtest 'a server under maintenance at HAProxy is restarted' => sub {
    $proxy->operate('reads', $standby2, 'set server %s state maint');
    wait_status('HAProxy', $standby2, 'MAINT');
    forget_session($standby2);
    $standby2->restart;
    wait_for('it to be a standby', sub { raw_status($standby2) eq 'STANDBY' });
    let_agents_ask($standby2, 4);
    is(row_of($standby2)->{status}, 'MAINT', 'it is still out');
    $proxy->operate('reads', $standby2, 'set server %s state ready');
    wait_status('put back', $standby2, 'UP');
};

# agent.cfg asks for a weight, so only "disable agent" keeps another one.
subtest 'set weight and disable agent' => sub {
    $proxy->operate('reads', $standby1, 'set weight %s 50%%');
    wait_for('the agent to set the weight anew', sub { row_of($standby1)->{weight} == 100 });
    pass('a weight that the agent was asked for is its own');
    $proxy->operate('reads', $standby1, 'disable agent %s');
    $proxy->operate('reads', $standby1, 'set weight %s 50%%');
    stays('without the agent the weight stays', $standby1, sub { $_[0]{weight} == 50 && $_[0]{status} eq 'UP' });
    $proxy->operate('reads', $standby1, 'enable agent %s');
    wait_for('the agent to set the weight again', sub { row_of($standby1)->{weight} == 100 });
    pass('with the agent it is as the agent says');
};

subtest 'set weight where no weight is asked for' => sub {
    my $plain = PgStatus::Haproxy->start('agent.cfg', \@nodes, edit => sub { $_[0] =~ s/&soft=1MB//r =~ s/&soft=1MB&primary_weight=5//r });
    $plain->wait_serving('reads', [ $standby1, $standby2 ]);
    my $usual = $proxy;
    $proxy = $plain;
    $plain->operate('reads', $standby1, 'set weight %s 30%%');
    stays('the weight stays', $standby1, sub { $_[0]{weight} == 30 });
    $plain->stop;
    $proxy = $usual;
};

sub detach { my ($node, @more) = @_; return sql($node, 'SELECT pg_status_detach_node(' . join(', ', q{'} . name_of($node) . q{'}, @more) . ')') }
sub attach { my ($node) = @_; return sql($node, q{SELECT pg_status_attach_node('} . name_of($node) . q{')}) }

# Which word each backend goes by is its own matter: both have to be told.
foreach my $gracefully (qw(false true)) {
    my $status = $gracefully eq 'true' ? 'DRAIN' : 'MAINT';
    subtest "detach and attach, gracefully => $gracefully" => sub {
        detach($standby1, "gracefully => $gracefully");
        wait_status("$_: out", $standby1, $status, $_) foreach @backends;
        stays("it stays in $status", $standby1, is_status($status));
        attach($standby1);
        wait_status("$_: back", $standby1, 'UP', $_) foreach @backends;
        like(line($standby1, 'agent?role=replica'), qr/^up ready\n/, 'for a while "ready" is said');
    };
}

# Nobody may be asked in between, so HAProxy hears of the end after the restart.
subtest 'attached, and restarted before HAProxy has asked again' => sub {
    detach($standby2);
    wait_status("$_: out", $standby2, 'MAINT', $_) foreach @backends;
    $proxy->operate($_, $standby2, 'disable agent %s') foreach @backends;
    attach($standby2);
    forget_session($standby2);
    $standby2->restart;
    wait_for('it to be a standby', sub { raw_status($standby2) eq 'STANDBY' });
    $proxy->operate($_, $standby2, 'enable agent %s') foreach @backends;
    wait_status("$_: back", $standby2, 'UP', $_) foreach @backends;
};

# A command may ask for drain and maint in place of down: then these are orders, and taken back.
subtest 'a command that asks for drain' => sub {
    my $drains = PgStatus::Haproxy->start('agent.cfg', \@nodes, edit => sub { $_[0] =~ s/&lag=10MB&soft=1MB/&lag=1MB&down=drain/gr });
    my $usual = $proxy;
    $proxy = $drains;
    wait_status('a standby that keeps up', $_, 'UP') foreach $standby1, $standby2;
    wait_status('the primary', $primary, 'DRAIN');
    sql($standby1, 'SELECT pg_wal_replay_pause()');
    sql($primary, q{SELECT pg_logical_emit_message(true, '', repeat('x', 1024 * 1024)) FROM generate_series(1, 3)});
    wait_status('one that does not', $standby1, 'DRAIN');
    sql($standby1, 'SELECT pg_wal_replay_resume()');
    wait_status('caught up', $standby1, 'UP');
    forget_session($standby1);
    $standby1->restart;
    wait_status('restarted', $standby1, 'UP');
    $drains->stop;
    $proxy = $usual;
};

subtest 'the reason in HAProxy' => sub {
    sql($standby1, 'SELECT pg_wal_replay_pause()');
    sql($primary, q{SELECT pg_logical_emit_message(true, '', repeat('x', 1024 * 1024)) FROM generate_series(1, 12)});
    wait_for('the lag to be told', sub { row_of($standby1)->{last_agt} =~ /lag \d+ over 10485760/ });
    unlike(line($standby1, 'agent?role=replica&lag=1kB'), qr/[<>]/, 'nothing that its log would escape');
    sql($standby1, 'SELECT pg_wal_replay_resume()');
};

$proxy->stop;
done_testing;
