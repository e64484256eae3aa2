# The events of test/soak, what must be true after each of them, and the table at the end. It runs inside the place that
# test/soak has made. Who asks meanwhile, and which answer is wrong, is in PgStatus::Soak::Load and ::Promise.
#
# The third node, the witness, is never ended and never promoted: the memory of its workers is followed from the
# beginning to the end.
use strict;
use warnings;

my $terminal;
BEGIN { open $terminal, '>&', \*STDOUT or die "STDOUT: $!" }    # PostgreSQL::Test::Utils takes STDOUT for its log

use FindBin;
use lib "$FindBin::RealBin/t";
use JSON::PP;
use List::Util qw(max min shuffle);
use PgStatus;
use PgStatus::Clients;
use PgStatus::Failover;
use PgStatus::Http;
use PgStatus::Soak::Load;
use PgStatus::Soak::Promise;
use PgStatus::Soak::Vitals;
use PostgreSQL::Test::Cluster;
use Time::HiRes qw(time usleep);

my $minutes = shift // 20;
my $seed    = $ENV{SEED} || int(time * 1000) % 1_000_000;

# Deadline of a settled state, and of the end of all clients' connections, in seconds. It takes 1 to 5 seconds.
my $settle_time = 30;

my $memory_growth = 1024;    # of a worker of the witness, in kB, from the second quarter to the last
my $census_each   = 6;       # events

my ($passed, $failed) = (0, 0);
my %ended;                   # processes that were ended one by one: the server's log tells of them
my (%times, %longest, %samples, %files, %file_counts);
my (@nodes, %node, $witness, $nowhere, $load, $promise_path);

# What the nodes are by what was done to them: node name -> primary, standby, down, frozen; and who is the primary.
my (%state, $primary);
my $split = 0;               # two primaries, by our doing: $primary is the one of the higher timeline
my %upstream;                # node name -> of a standby, the name of whom it streams from, '' for nobody
my %more_hosts;              # node name -> hosts in its list that do not exist
my $promise = { number => 0, quiet => 0 };

# ---- telling -------------------------------------------------------------------------------------------------------

sub say_out { syswrite $terminal, "$_\n" foreach @_; return }

sub verify {
    my ($good, $what) = @_;
    $good ? $passed++ : $failed++;
    say_out('FAILED: ' . $what) unless $good;
    return $good;
}

# Waits for a condition, without dying when it does not come true.
sub eventually {
    my ($seconds, $condition) = @_;
    my $deadline = time + $seconds;
    until ($condition->()) {
        return 0 if time > $deadline;
        $load->hear if $load;
        usleep(10_000);
    }
    return 1;
}

# ---- what is allowed to be answered --------------------------------------------------------------------------------

sub live_nodes { return grep { $state{ $_->name } =~ /primary|standby/ } @nodes }
sub all_hosts  { return [ map { name_of($_) } @nodes ] }
sub any_of     { return $_[ int rand @_ ] }

sub publish {
    my (%new) = @_;
    $promise = { %$promise, %new, number => $promise->{number} + 1 };
    write_promise($promise_path, $promise);
    return;
}

# Everything is known: nothing but the truth is allowed.
sub allow_truth {
    my @standbys = map { name_of($node{$_}) } grep { $state{$_} eq 'standby' } sort keys %state;
    my %may;
    foreach my $name (keys %state) {
        my $state = $state{$name};
        $may{$name} = {
            roles   => $state =~ /primary|standby/ ? [$state] : $state eq 'frozen' ? [ role_of($name) ] : [],
            absent  => $state =~ /primary|standby/ ? 0 : 1,
            unready => $state eq 'frozen' ? 1 : 0,
            passing => 0
        };
    }
    my $named = defined $primary ? name_of($node{$primary}) : '';
    publish(
        nodes  => \%may,
        named  => [$named],
        picked => @standbys ? \@standbys : [$named],
        split  => $split ? 'must' : '');
    return;
}

# A frozen node is what it was.
sub role_of { return $upstream{ $_[0] } ? 'standby' : 'primary' }

# Something is about to happen to a node: allows more of it than now. `roles` are added.
sub allow_node {
    my ($name, %more) = @_;
    my %may = %{ $promise->{nodes}{$name} };
    $may{roles} = [ @{ $may{roles} }, @{ delete $more{roles} } ] if $more{roles};
    publish(nodes => { %{ $promise->{nodes} }, $name => { %may, %more } });
    return;
}

# The hosts that may be named as the primary, beside those of now; and as standbys, any.
sub allow_names {
    my (@more) = @_;
    publish(named => [ @{ $promise->{named} }, @more ], picked => [ @{ all_hosts() }, '' ]);
    return;
}

# ---- what must be true -----------------------------------------------------------------------------------------------

# What a node must know and say, and what it knows and says. In both, host:NAME is its state and role, and
# upstream:NAME whom it streams from, where that can be told.
sub wanted_of {
    my ($node) = @_;
    my $state  = $state{ $node->name };
    my $master = defined $primary ? name_of($node{$primary}) : '';
    my %wanted = (
        master    => $master,
        discovery => $master,
        split     => $split ? 't' : 'f',
        ready     => 't',
        live      => 't',
        raw       => $state eq 'primary' ? 'MASTER' : 'STANDBY',
        primary   => $state eq 'primary' ? 200 : 503,
        replica   => $state eq 'primary' ? 503 : 200);
    foreach my $other (@nodes) {
        my ($name, $what) = (name_of($other), $state{ $other->name });
        $wanted{"host:$name"} = $what =~ /primary|standby/ ? "up $what" : 'down unknown';
        next unless $what eq 'standby' && defined $primary && ($upstream{ $other->name } // '') eq $primary;
        $wanted{"upstream:$name"} = name_of($node{$primary});
    }
    $wanted{"host:$_"} = 'down unknown' foreach @{ $more_hosts{ $node->name } };
    return \%wanted;
}

my $look = q{SELECT json_build_object('master', coalesce(pg_status_master(), ''), 'split', pg_status_is_split_brain(),
    'ready', pg_status_ready(), 'live', pg_status_live(),
    'hosts', (SELECT json_object_agg(host, state || ' ' || role) FROM pg_status_hosts),
    'upstream', (SELECT json_object_agg(host, upstream) FROM pg_status_hosts))} =~ s/\s*\n\s*/ /gr;

sub seen_of {
    my ($node) = @_;
    my $row = eval { decode_json(try_sql($node, $look)) } // return {};
    my %seen = (master => $row->{master}, map { $_ => $row->{$_} ? 't' : 'f' } qw(split ready live));
    foreach my $name (keys %{ $row->{hosts} }) {
        $seen{"host:$name"}     = $row->{hosts}{$name};
        $seen{"upstream:$name"} = $row->{upstream}{$name} // '';
    }
    my ($status, $body) = discover($node, '/master');
    $seen{discovery} = $status == 200 ? $body : $status == 404 ? '' : "$status $body";
    $seen{raw}       = raw_status($node);
    $seen{$_}        = code($node, "/$_") foreach qw(primary replica);
    return \%seen;
}

# Hosts that should be in the list no more count as wrong, too.
sub wrong_in {
    my ($wanted, $seen) = @_;
    return grep { ($seen->{$_} // 'nothing') ne ($wanted->{$_} // 'nothing') } keys %$wanted,
      grep { /^host:/ && !exists $wanted->{$_} } keys %$seen;
}

# Waits until every node that lives knows the truth. From then on nothing else is allowed.
sub settle {
    my ($what) = @_;
    my %seen;
    my $start = time;
    my $good  = eventually($settle_time, sub {
        foreach my $node (live_nodes()) {
            $seen{ $node->name } = seen_of($node);
            return 0 if wrong_in(wanted_of($node), $seen{ $node->name });
        }
        return 1;
    });
    $longest{settled} = max($longest{settled} // 0, time - $start);
    foreach my $node (live_nodes()) {
        my ($wanted, $seen) = (wanted_of($node), $seen{ $node->name } // {});
        my %wrong = map { $_ => 1 } wrong_in($wanted, $seen);
        $passed += grep { !$wrong{$_} } keys %$wanted;
        verify(0, sprintf '%s: %s has %s "%s", not "%s"', $what, $node->name, $_, $seen->{$_} // 'nothing',
            $wanted->{$_} // 'nothing') foreach sort keys %wrong;
    }
    die "the nodes did not settle\n" unless $good;
    allow_truth();
    sample();
    return;
}

# ---- the workers ---------------------------------------------------------------------------------------------------

sub sample {
    foreach my $node (live_nodes()) {
        foreach my $kind (qw(poller listener)) {
            my $pid = worker_pid($node, $kind) // next;
            my $memory = worker_memory($pid) // next;
            push @{ $samples{"$kind of " . $node->name}{$_} }, $memory->{$_} foreach keys %$memory;
        }
    }
    return;
}

# Without clients each worker has the same files open, always, on all nodes.
sub census {
    publish(quiet => 1);
    $load->go;
    foreach my $node (live_nodes()) {
        foreach my $kind (qw(poller listener)) {
            my $pid = worker_pid($node, $kind);
            my @open;
            my $look = sub { @open = worker_files($pid); my $all = join "\n", @open; $all eq ($files{$kind} //= $all) };
            my $same = @open ? 0 : first_files($kind, $pid) && eventually($settle_time, $look);
            verify($same, sprintf 'the %s of %s has %d files open, not %d: %s; expected: %s', $kind, $node->name,
                scalar @open, scalar(split /\n/, $files{$kind}), join(' ', @open), $files{$kind} =~ s/\n/ /gr);
            push @{ $file_counts{"$kind of " . $node->name} }, scalar @open;
        }
    }
    $load->come;
    publish(quiet => 0);
    return;
}

# The first time nobody knows how many there should be: what stays the same for a second, when clients are gone.
sub first_files {
    my ($kind, $pid) = @_;
    return 1 if defined $files{$kind};
    my ($last, $since) = ('', time);
    return eventually($settle_time, sub {
        my $now = join "\n", worker_files($pid);
        ($last, $since) = ($now, time) if $now ne $last;
        return 0 if time < $since + 1 || time < $since + 7 && $kind eq 'listener';
        $files{$kind} = $now;
        return 1;
    });
}

# ---- events --------------------------------------------------------------------------------------------------------

sub movable { return grep { $_ ne $witness } sort keys %state }
sub other   { my ($name) = @_; return (grep { $_ ne $name } movable())[0] }

my %end = (
    'killed'            => \&kill_all,
    'postmaster killed' => \&kill_postmaster,
    'stopped'           => sub { $_[0]->stop('fast') },
    'stopped at once'   => sub { $_[0]->stop('immediate') });

# Ends a node and waits until the others know. Nothing is allowed of it afterwards.
sub take_down {
    my ($name, $how) = @_;
    allow_names(defined $primary && $primary eq $name ? ('') : ());
    allow_node($name, absent => 1, passing => 1, unready => 1);
    publish(split => 'may') if $split;
    forget_session($node{$name});
    $end{$how}->($node{$name});
    wait_gone($node{$name});
    $state{$name} = 'down';
    ($primary, $split) = $split ? (other($name), 0) : (undef, 0) if $split || ($primary // '') eq $name;
    settle("$name is $how");
    return;
}

# Starts a node as what it was.
sub bring_back {
    my ($name) = @_;
    my $role = role_of($name);
    allow_names($role eq 'primary' ? name_of($node{$name}) : ());
    allow_node($name, roles => [$role], absent => 1, passing => 1, unready => 1);
    start_again($node{$name});
    $state{$name} = $role;
    $primary = $name if $role eq 'primary';
    settle("$name is started again");
    return;
}

# Rebuilds an old primary as a standby of the new one.
sub bring_back_as_standby {
    my ($name) = @_;
    allow_names();
    allow_node($name, roles => ['standby'], absent => 1, passing => 1, unready => 1);
    my $how = rebuild($node{$name}, $node{$primary}, any_of('rewind', 'backup'));
    $state{$name}    = 'standby';
    $upstream{$name} = $primary;
    settle("$name is a standby by $how");
    return $how;
}

# $name, a standby, becomes the primary; the witness follows it.
sub promote {
    my ($name) = @_;
    catch_up_with($node{$name}, $node{$witness});
    allow_names(name_of($node{$name}));
    allow_node($name, roles => ['primary']);
    $node{$name}->promote;
    follow($node{$witness}, $node{$name});
    $state{$name} = 'primary';
    delete $upstream{$name};
    ($primary, $upstream{$witness}) = ($name, $name);
    return;
}

sub bounce {
    my ($name) = @_;
    my $how = any_of(sort keys %end);
    my $was = $state{$name};
    take_down($name, $how);
    bring_back($name);
    return "$name, the $was, is $how and started";
}

sub fail_over {
    my ($how) = @_;
    my ($old, $new) = ($primary, other($primary));
    take_down($old, $how);
    promote($new);
    settle("$new is promoted");
    my $rebuilt = bring_back_as_standby($old);
    return "$old is $how, $new promoted, $old a standby by $rebuilt";
}

# Two primaries: the old one goes on, or wakes up when it has been replaced.
sub split_brain {
    my ($frozen) = @_;
    my ($old, $new) = ($primary, other($primary));
    if ($frozen) {
        freeze_node($old);
        promote($new);
        settle("$new is promoted while $old is frozen");
        allow_node($old, roles => ['primary']);
        publish(split => 'may', named => [ map { name_of($node{$_}) } $old, $new ]);
        thaw();
    } else {
        # the witness must not get more of the old primary than the new one has
        detach($node{$witness});
        $upstream{$witness} = '';
        publish(split => 'may');
        promote($new);
    }
    $state{$old} = 'primary';
    $split = 1;
    settle("$old and $new are primaries");
    take_down($old, any_of('killed', 'stopped at once'));
    my $rebuilt = bring_back_as_standby($old);
    return "$new is promoted beside $old" . ($frozen ? ', which was frozen' : '') . ", $old a standby by $rebuilt";
}

# Freezes a node and waits until the others have it down.
sub freeze_node {
    my ($name) = @_;
    allow_names($name eq $primary ? '' : ());
    allow_node($name, absent => 1, unready => 1);
    freeze($node{$name});
    $state{$name} = 'frozen';
    undef $primary if $name eq $primary;
    settle("$name is frozen");
    return;
}

sub event_freeze {
    my $name = any_of(sort keys %state);
    my $was  = $state{$name};
    freeze_node($name);
    allow_names($was eq 'primary' ? name_of($node{$name}) : ());
    thaw();
    $state{$name} = $was;
    $primary = $name if $was eq 'primary';
    settle("$name goes on");
    return "$name, the $was, is frozen until it is down";
}

# Too short to be down for sure: named or not, but never another one.
sub event_freeze_shortly {
    my $name    = any_of(sort keys %state);
    my $seconds = 0.2 + rand 1.8;
    allow_names('');
    allow_node($name, absent => 1, unready => 1);
    freeze($node{$name});
    usleep($seconds * 1e6);
    thaw();
    settle("$name goes on");
    return sprintf '%s, the %s, is frozen for %.1f s', $name, $state{$name}, $seconds;
}

# A process of the server is killed: all of them start anew.
sub event_crash {
    my $name = any_of(movable());
    my $pid  = worker_pid($node{$name}, 'poller');
    my ($victim, $what) = any_child($node{$name});
    allow_names($name eq $primary ? '' : ());
    allow_node($name, absent => 1, passing => 1, unready => 1);
    $ended{$victim} = 1;
    forget_session($node{$name});
    kill 'KILL', $victim;
    wait_for("$name to start anew", sub { my $now = worker_pid($node{$name}, 'poller'); $now && $now != $pid });
    wait_for("$name to take sessions", sub { defined try_sql($node{$name}, 'SELECT 1') });
    settle("the $what of $name is killed");
    return "the $what of $name, the $state{$name}, is killed";
}

sub any_child {
    my ($node) = @_;
    my $postmaster = postmaster_pid($node);
    my %found = map { /^\s*(\d+)\s.*(checkpointer|background writer|walsender|walreceiver|walwriter)/ ? ($1, $2) : () }
      split /\n/, `ps -o pid=,args= --ppid $postmaster`;
    my $pid = any_of(sort { $found{$a} cmp $found{$b} || $a <=> $b } keys %found);
    return ($pid, $found{$pid});
}

sub event_end_worker {
    my ($name, $kind) = (any_of(movable()), any_of('poller', 'listener'));
    my $pid = worker_pid($node{$name}, $kind);
    allow_node($name, $kind eq 'poller' ? 'unready' : 'absent', 1);
    $ended{$pid} = 1;
    kill 'TERM', $pid;
    wait_for("a new $kind of $name", sub { my $now = worker_pid($node{$name}, $kind); $now && $now != $pid });
    # what the old one left is there until the new one knows better
    my $since = sql($node{$name}, 'SELECT clock_timestamp()');
    wait_for('a new check of each host',
        sub { sql($node{$name}, "SELECT bool_and(last_check > '$since') FROM pg_status_hosts") eq 't' });
    settle("the $kind of $name is ended");
    return "the $kind of $name is ended";
}

# Our sessions end, again and again: no answer may change.
sub event_end_sessions {
    my $name  = any_of(sort keys %state);
    my $count = 0;
    foreach (1 .. 5) {
        my $some = sql($node{$name}, 'SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity'
              . " WHERE application_name LIKE 'pg\\_status %'");
        $count += $some;
        wait_for('new sessions', sub {
            sql($node{$name}, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pg\\_status %'") > 0
        });
    }
    settle("sessions on $name are ended");
    return "$count sessions of pg_status on $name are ended";
}

# Other settings for a while, on some of the nodes: no answer may change.
sub event_reload {
    my $plain  = hosts_of(@nodes);
    my $dead   = '127.0.0.1:' . PostgreSQL::Test::Cluster::get_free_port();
    my %change = (
        'one more host'   => { 'pg_status.hosts' => "$plain, $nowhere name=nowhere, $dead name=dead" },
        'one host less'   => { 'pg_status.hosts' => $plain },
        'another order'   => { 'pg_status.hosts' => "$nowhere name=nowhere, " . hosts_of(reverse @nodes) },
        'a faster pace'   => { 'pg_status.poll_interval' => '300ms', 'pg_status.fast_poll_interval' => '50ms' },
        'short patience'  => { 'pg_status.poll_timeout' => '700ms', 'pg_status.max_fails' => 2 },
        'new connections' => { 'pg_status.conn_max_age' => '1s' },
        'nothing, often'  => {});
    my $what  = any_of(sort keys %change);
    my @names = (shuffle(sort keys %state))[ 0 .. int rand 3 ];
    my %hosts = ('one more host' => [qw(nowhere dead)], 'one host less' => []);
    my $many  = $what eq 'nothing, often' ? 30 : 1;
    my %back  = (
        'pg_status.hosts'              => "$plain, $nowhere name=nowhere",
        'pg_status.poll_interval'      => '1s',
        'pg_status.fast_poll_interval' => '100ms',
        'pg_status.poll_timeout'       => '1s',
        'pg_status.max_fails'          => 3,
        'pg_status.conn_max_age'       => '5min');
    foreach my $settings ($change{$what}, \%back) {
        foreach my $name (@names) {
            replace_conf($node{$name}, %$settings) if %$settings;
            kill('HUP', postmaster_pid($node{$name})), usleep(5000) foreach 1 .. $many;
            $more_hosts{$name} = $settings == \%back ? ['nowhere'] : $hosts{$what} // ['nowhere'];
        }
        settle("$what on @names");
        usleep(1_500_000) if $what eq 'new connections' && $settings != \%back;
    }
    return "$what on @names, and back";
}

# More clients than there are processes in a server: no answer may change.
sub event_flood {
    my $name = any_of(sort keys %state);
    my $node = $node{$name};
    my @crowds = (
        crowd(port => raw_port($node), count => 250, say => 'x', reset => 1, again => 1),
        crowd(port => discovery_port($node), count => 250, say => "GET /hosts HTTP/1.1\r\nHo", pace => 5, again => 1),
        crowd(port => check_port($node), count => 250, say => "GET /metrics HTTP/1.0\r\n\r\n", deaf => 1, again => 1));
    usleep(2_000_000);
    settle("$name has 750 clients");
    $_->leave foreach @crowds;
    settle('they are gone');
    return "750 clients more on $name";
}

my %events = (
    'standby bounced'        => sub { bounce(other($primary)) },
    'primary bounced'        => sub { bounce($primary) },
    'failover'               => sub { fail_over(any_of('killed', 'postmaster killed', 'stopped at once')) },
    'switchover'             => sub { fail_over('stopped') },
    'split brain'            => sub { split_brain(0) },
    'frozen and replaced'    => sub { split_brain(1) },
    'frozen'                 => \&event_freeze,
    'frozen shortly'         => \&event_freeze_shortly,
    'process killed'         => \&event_crash,
    'worker ended'           => \&event_end_worker,
    'sessions ended'         => \&event_end_sessions,
    'settings changed'       => \&event_reload,
    'flood of clients'       => \&event_flood);

# ---- the whole -----------------------------------------------------------------------------------------------------

sub start {
    $nowhere = '127.0.0.1:' . PostgreSQL::Test::Cluster::get_free_port();
    @nodes   = start_cluster([qw(node1 node2 node3)], more => ", $nowhere name=nowhere");
    %node    = map { $_->name => $_ } @nodes;
    ($primary, $witness) = ('node1', 'node3');
    %state      = (node1 => 'primary', node2 => 'standby', node3 => 'standby');
    %upstream   = (node2 => 'node1', node3 => 'node1');
    %more_hosts = map { $_ => ['nowhere'] } keys %node;
    sql($nodes[0], 'CREATE TABLE soak (i int, t text)');
    $promise_path = $nodes[0]->basedir . '/promise';
    allow_truth();
    settle('the start');
    $load = start_load($promise_path, @nodes);
    return;
}

# A name of %events: each once in a random order, then any.
{
    my @next;

    sub next_event {
        if (!defined $next[0]) {
            my @only = split /,\s*/, $ENV{EVENTS} // '';
            @next = @only ? @only : !%times ? shuffle(sort keys %events) : any_of(sort keys %events);
        }
        return shift @next;
    }
}

sub run_events {
    my $end = time + 60 * $minutes;
    my ($start, $number) = (time, 0);
    census();
    while (time < $end) {
        my $name  = next_event();
        my $event = $events{$name} or die "there is no event \"$name\"\n";
        my $begun = time;
        my $told  = $event->();
        push @{ $times{$name} }, time - $begun;
        say_out(sprintf '%7.1f s  event %d: %s (%.1f s)', time - $start, ++$number, $told, time - $begun);
        $load->hear;
        if (my @dead = $load->dead_clients) { die scalar(@dead) . " clients have died\n" }
        census() if $number % $census_each == 0;
    }
    settle('the end');
    census();
    return;
}

sub judge_answers {
    my @wrong = $load->wrong;
    $load->stop;
    my $counts = $load->counts;
    my $judged = 0;
    $judged += $counts->{$_} foreach grep { !/^no|^rows|^bad/ } keys %$counts;
    verify($judged > 0, 'clients were answered');
    verify($counts->{'rows written'}, 'rows were written');
    verify(!@wrong, @wrong . " answers were wrong, the first of them:\n" . join "\n", @wrong[ 0 .. min(19, $#wrong) ]);
    say_out('', '| answers | number |', '| --- | --- |');
    say_out("| $_ | $counts->{$_} |") foreach sort keys %$counts;
    say_out("| all that were judged | $judged |", '| of these wrong | ' . @wrong . ' |');
    return;
}

# One that has ended against our will is not to be stopped again.
sub end_servers {
    foreach my $node (@nodes) {
        my $pid = postmaster_pid($node);
        $pid && -e "/proc/$pid/exe" ? $node->stop('fast') : $node->kill9;
    }
    return;
}

sub judge_logs {
    foreach my $node (@nodes) {
        my @trouble = log_trouble($node, \%ended);
        verify(!@trouble, $node->name . "'s log has:\n" . join "\n", @trouble);
    }
    return;
}

# The workers of the witness live as long as the soak.
sub judge_memory {
    say_out('', '| worker | samples | private memory, kB: median of each quarter | resident, kB: likewise'
          . ' | files: first, middle, last |', '| --- | --- | --- | --- | --- |');
    foreach my $worker (sort keys %samples) {
        my %quarters = map { $_ => [ quarters(@{ $samples{$worker}{$_} }) ] } qw(private rss);
        my @files = @{ $file_counts{$worker} // [] };
        say_out(sprintf '| %s | %d | %s | %s | %s |', $worker, scalar @{ $samples{$worker}{rss} },
            (map { join ', ', map { sprintf '%.0f', $_ // 0 } @{ $quarters{$_} } } qw(private rss)),
            join ', ', map { $_ // '' } @files[ 0, $#files / 2, $#files ]);
        next unless $worker =~ / of \Q$witness\E\z/;
        foreach my $kind (qw(private rss)) {
            my (undef, $second, undef, $last) = @{ $quarters{$kind} };
            next unless verify(defined $last && defined $second, "$worker: enough samples of its memory");
            verify($last <= $second + $memory_growth,
                sprintf '%s: %s memory grew from %d to %d kB', $worker, $kind, $second, $last);
        }
    }
    return;
}

sub print_events {
    say_out('', '| event | times | median, s | longest, s |', '| --- | --- | --- | --- |');
    foreach my $name (sort keys %times) {
        my @seconds = @{ $times{$name} };
        say_out(sprintf '| %s | %d | %.1f | %.1f |', $name, scalar @seconds, median(@seconds), max(@seconds));
    }
    my $all = 0;
    $all += @{ $times{$_} } foreach keys %times;
    say_out("| all | $all | | |", '', sprintf 'longest time until settled: %.1f s', $longest{settled} // 0);
    return;
}

$SIG{$_} = sub { die "interrupted\n" } foreach qw(INT TERM HUP);
srand $seed;
say_out("$minutes minutes, SEED=$seed");
eval {
    start();
    run_events();
    1;
} or verify(0, "the soak could not go on: $@");
eval {
    thaw();
    judge_answers() if $load;
    end_servers();
    judge_logs();
    print_events();
    judge_memory();
    1;
} or verify(0, "the end: $@");
say_out("$passed passed, $failed failed");
exit($failed || !$passed ? 1 : 0);
