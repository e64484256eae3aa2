# Two pollers behind connection poolers, beside clients that come and go, leave their settings and prepared statements in
# the sessions that they share, and end without a word; while operators reload, reconnect, kill and restart the poolers.
# Whatever a poller says of a host then is of that host: never the role, the position, the timeline or the system
# identifier of another server, or an older position than before.
#
# Behind each pooler are a primary, its standby and a server of another cluster, each at an address of its own. The
# poolers are those of this machine, and of the folder PGST_POOLERS (see test/poolers), in their own pool mode and in
# those where sessions change hands. PGST_POOLERS_SECONDS: how long it is watched, 10 by default.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use JSON::PP;
use List::Util qw(shuffle);
use PgStatus;
use PgStatus::Child;
use PgStatus::Http;
use PgStatus::Poolers;
use PgStatus::Wire;
use PgStatus::Worst qw(leave_to_test);
use PostgreSQL::Test::Cluster;
use Test::More;
use Time::HiRes qw(time usleep);

my @programs = pooler_programs();
plan skip_all => 'no connection pooler is installed' unless @programs;
my $seconds = $ENV{PGST_POOLERS_SECONDS} || 10;

# ---- the servers -----------------------------------------------------------------------------------------------------

# behind a pooler that passes no startup options on: what ends a session or a question before ours is heard
leave_to_test(qw(idle_session_timeout statement_timeout exit_on_error));

# Their positions tell them apart: that of the standby stands still, the primary's is beyond it, the other's far away.
my @quiet = (shared_preload_libraries => '', max_connections => 400, max_wal_senders => 4);
my $primary = init_node(new_node('primary'), @quiet);
$primary->start;
$primary->backup('base');
my $standby = init_standby(new_node('standby'), $primary);
$standby->start;
my $other = init_node(new_node('other'), @quiet);
PostgreSQL::Test::Utils::system_or_bail('pg_resetwal', '-l', '00000001000000A000000001', $other->data_dir);
$other->start;    # (what pg_resetwal leaves behind cannot be promoted)
$other->stop;
$other->set_standby_mode;
$other->start;
$other->promote;
wait_for('the other server to be promoted', sub { sql($other, 'SELECT pg_is_in_recovery()') eq 'f' });

wait_caught_up($primary, $standby);
sql($standby, 'SELECT pg_wal_replay_pause()');
wait_for('the replay to stand still', sub { sql($standby, 'SELECT pg_get_wal_replay_pause_state()') eq 'paused' })
  if sql($standby, 'SHOW server_version_num') >= 140000;
my $still = number(sql($standby, 'SELECT pg_last_wal_replay_lsn()'));
sub write_wal { return sql($primary, q{SELECT pg_logical_emit_message(true, 'x', 'x'), pg_current_wal_lsn()}) }
wait_for('the primary to be ahead', sub { write_wal(); number(sql($primary, 'SELECT pg_current_wal_lsn()')) > $still });

sub number { return join '', map { sprintf '%08X', hex } split m{/}, $_[0] }

my %identifier = map { $_->name => sql($_, 'SELECT system_identifier FROM pg_control_system()') } $primary, $standby, $other;
isnt($identifier{primary}, $identifier{other}, 'two clusters');
my %truth = (
    primary => { role => 'primary', timeline => 1, system_identifier => $identifier{primary} },
    standby => { role => 'standby', timeline => 1, system_identifier => $identifier{primary} },
    other   => { role => 'primary', timeline => 2, system_identifier => $identifier{other} });
my %position = (
    primary => sub { $_[0] gt $still && $_[0] lt number('A0/0') },
    standby => sub { $_[0] eq $still },
    other   => sub { $_[0] gt number('A0/0') });

# ---- the poolers, and two pollers --------------------------------------------------------------------------------------

my %modes = (pgbouncer => [ undef, 'transaction', 'statement' ], odyssey => [ 'session', 'transaction' ]);
my %short_lived = (
    pgbouncer => "server_lifetime = 1\nserver_idle_timeout = 1\n",
    pgpool    => "connection_life_time = 1\nchild_max_connections = 50\n",
    odyssey   => "server_lifetime 1\n",
    pgagroal  => '');
my @poolers;    # { name, of, pooler }
foreach my $program (@programs) {
    my $why = why_unusable($program, $primary);
  SKIP: { skip "$program->{name}: $why", 1 if $why; pass("$program->{name} leads to a server") }
    next if $why;
    foreach my $mode (@{ $modes{ $program->{kind} } // [undef] }) {
        foreach my $node ($primary, $standby, $other) {
            my $pooler = start_pooler($program, $node, mode => $mode, settings => $short_lived{ $program->{kind} });
            my $name = join '-', $program->{kind}, $program->{version}, $mode // 'default', $node->name;
            push @poolers, { name => $name, of => $node->name, pooler => $pooler };
        }
    }
}
note join ', ', map { $_->{name} } @programs;

my $list = join ', ', map { "127.0.0.1:$_->{pooler}{port} name=$_->{name}" } @poolers;
my @pollers = map { new_node($_) } qw(poller1 poller2);
foreach my $poller (@pollers) {
    init_node($poller,
        'pg_status.hosts'         => $list,
        'pg_status.poll_interval' => '300ms',
        'pg_status.poll_timeout'  => '2s',
        'pg_status.conn_max_age'  => '3s',
        'pg_status.http_port'     => discovery_port($poller));
    $poller->start;
    $poller->safe_psql('postgres', 'CREATE EXTENSION pg_status');
}

# What differs from the truth, by host.
sub strange_rows {
    my ($poller) = @_;
    my %row = map { $_->{host} => $_ } @{ json_of(discover($poller, '/hosts')) };
    return map { my $what = whats_wrong($row{ $_->{name} }, $_->{of}, 1); $what ? "$_->{name}: $what" : () } @poolers;
}

# '' when what is said of a host is of the right server; $whole: and when all is said.
sub whats_wrong {
    my ($row, $of, $whole) = @_;
    return 'not in the list' unless $row;
    my %is = %{ $truth{$of} };
    foreach my $key (sort keys %is) {
        my $said = $row->{$key} // 'unknown';
        next if $said eq $is{$key} || $said eq 'unknown' && !$whole;
        return "$key $said";
    }
    return "lsn $row->{lsn}" if defined $row->{lsn} && !$position{$of}->(number($row->{lsn}));
    return !$whole || $row->{state} eq 'up' && defined $row->{lsn} ? '' : "state $row->{state}";
}

sub all_are_known {
    my ($when) = @_;
    foreach my $poller (@pollers) {
        my $name = $poller->name;
        soon_is("$when: $name knows all hosts", '', sub { join ', ', strange_rows($poller) });
    }
    return;
}

all_are_known('before');

# ---- who disturbs them, and who watches ----------------------------------------------------------------------------------

# Clients of one pooler each: what they leave behind has the names that our own sessions use.
my @clients = map {
    my $port = $_->{pooler}{port};
    my ($pid, $read) = start_child(sub { come_and_go($port, $_[0]) });
    { pid => $pid, read => $read, name => $_->{name} };
} @poolers;

sub come_and_go {
    my ($port, $write) = @_;
    srand $$;
    my @left_behind = (
        q{SET pg_status_session.mark = 'feedfeedfeedfeed'}, q{PREPARE pg_status_probe AS SELECT true, 'somebody else''s'},
        'SET default_transaction_isolation = serializable', q{SET DateStyle = 'German'}, 'SET search_path = nowhere',
        'SET statement_timeout = 1000', 'SELECT pg_sleep(0.02)', 'BEGIN; SELECT pg_is_in_recovery(); COMMIT',
        'SELECT pg_backend_pid() FROM generate_series(1, 100)', 'SELECT no_such_column', 'BEGIN');
    while (has_parent()) {
        my $session = eval { PgStatus::Wire->new($port, patience => 2) } or do { usleep(20_000); next };
        eval { $session->query($left_behind[ rand @left_behind ]) } foreach 1 .. 1 + rand 4;
        rand() < 0.3 ? $session->drop : $session->close;
        syswrite $write, "\n";
        usleep(20_000 + rand 50_000);
    }
    return;
}

my @watchers = map {
    my $poller = $_;
    my ($pid, $read) = start_child(sub { watch_hosts($poller, $_[0]) });
    { name => $poller->name, read => $read };
} @pollers;

# Tells what is wrong, and at times how often it looked and how often each host was up, down, or something else.
sub watch_hosts {
    my ($poller, $write) = @_;
    my ($looked, $told, %newest, %count) = (0, time);
    while (has_parent()) {
        my ($status, $body) = discover($poller, '/hosts');
        next if $status != 200;
        my %row = map { $_->{host} => $_ } @{ decode_json($body) };
        foreach my $host (@poolers) {
            my ($name, $row) = ($host->{name}, $row{ $host->{name} });
            my $what = whats_wrong($row, $host->{of});
            if ($row && defined $row->{lsn}) {
                my $lsn = number($row->{lsn});
                $what ||= "lsn $row->{lsn} after $newest{$name}" if $lsn lt ($newest{$name} // '');
                $newest{$name} = $lsn;
            }
            syswrite $write, "wrong $name: $what\n" if $what;
            $count{$name}{ $row->{state} }++ if $row;
        }
        $looked++;
        if (time > $told + 1) {
            syswrite $write, "looked $looked\ncount " . encode_json(\%count) . "\n";
            $told = time;
        }
        usleep(10_000);
    }
    return;
}

# Takes what it told until now: the newest of each kind, and all that is wrong.
sub heard {
    my ($watcher) = @_;
    while (sysread $watcher->{read}, $watcher->{text}, 65536, length($watcher->{text} //= '')) { }
    while ($watcher->{text} =~ s/\A(\w+) (.*)\n//) {
        $1 eq 'wrong' ? push(@{ $watcher->{wrong} }, $2) : ($watcher->{$1} = $2);
    }
    return;
}

sub count_sessions { my ($client) = @_; $client->{sessions} += sysread($client->{read}, my $ticks, 65536) // 0; return }

my $end = time + $seconds;
my $acts = 0;
while (time < $end) {
    foreach my $host (shuffle @poolers) {
        last if time > $end;
        disturb($host->{pooler});
        write_wal();
        $acts++;
        heard($_) foreach @watchers;
        count_sessions($_) foreach @clients;
        usleep(1e6 * 2 / @poolers);
    }
}
end_child(map { $_->{pid} } @clients);
note "$acts times an operator did something";

foreach my $watcher (@watchers) {
    my $looked = $watcher->{looked} // 0;
    wait_for("$watcher->{name}'s watcher to look again", sub { heard($watcher); ($watcher->{looked} // 0) > $looked });
    my @wrong = @{ $watcher->{wrong} // [] };
    is(scalar(@wrong), 0, "$watcher->{name} never tells anything of another server, looked at $watcher->{looked} times")
      or diag join "\n", @wrong > 20 ? @wrong[0 .. 19] : @wrong;
    my $count = decode_json($watcher->{count});
    note "$watcher->{name}: $_: " . encode_json($count->{$_}) foreach sort keys %$count;
    my @never = grep { !$count->{$_}{up} } map { $_->{name} } @poolers;
    is("@never", '', "$watcher->{name} reaches each of them meanwhile");
}
foreach my $client (@clients) {
    cmp_ok($client->{sessions} // 0, '>', 0, "clients of $client->{name} came and went");
}
all_are_known('after');

# ---- one address that leads to both servers --------------------------------------------------------------------------------

# Polls such an address, by another name each time, until $enough, called with its row and last error, is true. Whatever
# is said meanwhile is of one of both.
sub poll_both {
    my ($what, $name, $pooler, $enough) = @_;
    my $poller = $pollers[0];
    set_conf($poller, 'pg_status.hosts' => "127.0.0.1:$pooler->{port} name=$name");
    my (@wrong, %told);
    my $reached = eval {
        wait_for("$what to be seen through", sub {
            my ($row) = grep { $_->{host} eq $name } @{ json_of(discover($poller, '/hosts')) } or return 0;
            push @wrong, encode_json($row) unless grep { whats_wrong($row, $_) eq '' } qw(primary standby);
            $told{ $row->{role} }++;
            return $enough->($poller, $name);
        });
    } or diag $@;
    is_deeply(\@wrong, [], "$what: each row is of one server");
    note "$what: " . encode_json(\%told);
    return ($reached, \%told);
}

# Each answer is true of one of them, and none is true of the address: once that shows, nothing is told of it.
my ($bouncer) = grep { $_->{kind} eq 'pgbouncer' } @programs;
SKIP: {
    skip 'PgBouncer is not here', 1 unless $bouncer;
    my $what   = 'a database that RELOAD moves';
    my $pooler = start_pooler($bouncer, $primary, mode => 'transaction');
    my ($turns, $next) = (0, time + 3);
    my ($noticed) = poll_both($what, 'moving', $pooler, sub {
        my ($poller, $name) = @_;
        if (time > $next) {
            lead_to($pooler, $turns++ % 2 ? $primary : $standby);
            $next = time + 3;
        }
        my $error = sql($poller, "SELECT last_error FROM pg_status_hosts() WHERE host = '$name'");
        return $error =~ /several servers answer here/;
    });
    ok($noticed, "$what: that there are two is noticed");
    my $row = row($pollers[0], 'moving');
    is(join(' ', map { $_ // '-' } @$row{qw(state role lsn timeline system_identifier master)}), 'suspect unknown - - - 0',
        "$what: nothing is told of it then");
    is(sql($pollers[0], 'SELECT pg_status_master()'), '', "$what: nor is it named");
}

# What is asked goes to the primary there, because it is more than one statement.
foreach my $pgpool (grep { $_->{kind} eq 'pgpool' } @programs) {
    my $pooler = start_pooler($pgpool, $primary, nodes => [ $primary, $standby ], settings => "statement_level_load_balance = on\n");
    my ($asked, $told) = poll_both("$pgpool->{name} that balances", "balanced$pgpool->{version}", $pooler, sub {
        my ($poller, $name) = @_;
        return sql($poller, "SELECT coalesce(sum(success_count), 0) >= 30 FROM pg_status_stats() WHERE host = '$name'") eq 't';
    });
    ok($asked && $told->{primary} && !$told->{standby}, "$pgpool->{name} that balances: its primary is what is seen");
}
done_testing;
