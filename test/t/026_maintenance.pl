# Operators take servers out of service and put them back: what each surface says of it, what a real HAProxy makes of
# that, and that a server that was taken out stays out, whatever becomes of it in between.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PgStatus;
use PgStatus::Child;
use PgStatus::Failover;
use PgStatus::Haproxy;
use PgStatus::Http;
use PgStatus::Watch;
use PostgreSQL::Test::Utils;
use Test::More;

my @nodes = start_cluster([qw(primary standby1 standby2)]);
my ($primary, $standby1, $standby2) = @nodes;
my $reason = "new kernel, 'til \"noon\"";

# On every node, as a runbook would have it: an order holds where it was given.
sub everywhere {
    my ($function, $node, @more) = @_;
    my $arguments = join ', ', map { literal($_) } name_of($node);
    $arguments = join ', ', $arguments, @more;
    sql($_, "SELECT pg_status_$function($arguments)") foreach @nodes;
    return;
}

sub literal { return q{'} . $_[0] =~ s/'/''/gr . q{'} }

sub detach_everywhere { my ($node, @more) = @_; return everywhere('detach_node', $node, @more) }
sub attach_everywhere { my ($node) = @_; return everywhere('attach_node', $node) }

# Whom a number of questions name.
sub named {
    my ($node, $path) = @_;
    my %named;
    $named{ (discover($node, $path))[1] }++ foreach 1 .. 6;
    return [ sort keys %named ];
}

sub kept_file { return $_[0]->data_dir . '/pg_status.orders' }

sub sample {
    my ($node, $name) = @_;
    return (check($node, '/metrics'))[1] =~ /^\Q$name\E (\S+)$/m ? $1 : undef;
}

my $no_haproxy = PgStatus::Haproxy::what_is_missing('haproxy');
my %proxy;
%proxy = map { $_ => PgStatus::Haproxy->start("$_.cfg", \@nodes) } qw(raw http agent) unless $no_haproxy;

# What HAProxy says of a node among those that are read from.
sub wait_balancers {
    my ($node, %status) = @_;
  SKIP: {
        skip $no_haproxy, scalar keys %status if $no_haproxy;
    }
    foreach my $name (sort keys %proxy) {
        my $row;
        wait_for("$name.cfg to have " . $node->name . " as $status{$name}", sub {
            $row = $proxy{$name}->servers('reads')->{ $node->name };
            return $row->{status} =~ /^$status{$name}/;
        });
        pass("$name.cfg: " . $node->name . " is $row->{status}");
    }
    return;
}

my %out     = (raw => 'DOWN', http => 'DOWN', agent => 'MAINT');
my %serving = (raw => 'UP',   http => 'UP',   agent => 'UP');

wait_balancers($_, %serving) foreach $standby1, $standby2;

subtest 'a standby is taken out' => sub {
    my $known = sql($primary, 'SELECT pg_status_generation()');
    my $wait  = session($primary);
    $wait->send("SELECT pg_status_wait($known, 60) > $known");
    detach_everywhere($standby1, 'false', literal($reason));
    my $name = name_of($standby1);
    is($wait->receive, 't', 'who waits for a change is told of it');
    $wait->close;
    is(sql($primary, "SELECT host, kind, coalesce(old, '-'), new, detail FROM pg_status_events WHERE seq > $known"),
        "$name|maintenance|-|maint|$reason", 'it is an event');
    foreach my $node (@nodes) {
        my $row = row($node, $standby1);
        is("$row->{state}, $row->{maintenance_reason}, $row->{alive}", "maintenance, $reason, 1", $node->name . ': in SQL');
        is_deeply(named($node, '/replica'), [ name_of($standby2) ], '... /replica names the other one only');
        is_deeply(named($node, '/master'),  [ name_of($primary) ],  '... /master names whom it did');
        my ($json) = grep { $_->{host} eq $name } @{ json_of(discover($node, '/hosts')) };
        is("$json->{state}, $json->{maintenance_reason}, $json->{alive}", "maintenance, $reason, 1", '... in /hosts');
        is(sample($node, qq{pg_status_host_maintenance{host="$name"}}), 1, '... in the metrics');
        like((check($node, '/metrics'))[1], qr/^pg_status_host_maintenance_info\{host="\Q$name\E",mode="maint",/m,
            '... with how and why');
        is(sample($node, 'pg_status_local_maintenance'), $node == $standby1 ? 1 : 0, '... and whether it is itself');
        is(sql($node, 'SELECT maintenance FROM pg_status_local()'), $node == $standby1 ? 't' : 'f', '... likewise in SQL');
    }
    is_deeply([ map { raw_status($_) } @nodes ], [qw(MASTER MAINT STANDBY)], 'on the raw port');
    is(code($standby1, "/$_"), 503, "/$_") foreach qw(replica read-only async readiness);
    is(code($standby1, "/$_"), 200, "/$_") foreach qw(health liveness patroni);
    is(json_of(check($standby1, '/replica'))->{pg_status}{maintenance_reason}, $reason, 'the reason is in the body');
    is(line($standby1, 'agent?role=replica'), "up maint # $reason\n", 'to an agent');
    is(sql($standby1, q{SELECT pg_status_agent('replica')}), "up maint # $reason", 'to an agent, tried out in SQL');
    is(sql($standby1, q{SELECT pg_status_check('replica')}), 503, 'to a check, tried out in SQL');
    is(code($standby2, '/replica'), 200, 'the other standby goes on as before');
    like(log_text($standby1), qr/pg_status: "\S+" has taken host "\Q$name\E" out of service: \Q$reason\E/, 'it is logged');
    wait_balancers($standby1, %out);
    wait_balancers($standby2, %serving);
};

# From the first answer on: a load balancer that was told otherwise for a moment would act on it.
subtest 'killed and started again, it is still out' => sub {
    my $word  = watch_word(raw_port($standby1));
    my $since = PgStatus::Watch::now();
    forget_session($standby1);
    kill_all($standby1);
    $word->wait_when('the port to be closed', $since, sub { $_[0] eq 'gone' });
    start_again($standby1);
    wait_for('SQL to be answered', sub { defined try_sql($standby1, 'SELECT 1') });
    wait_row($standby1, $standby1, 'alive', sub { $_[0] && $_[0]{alive} });
    is(raw_status($standby1), 'MAINT', 'it says so');
    my %said = map { $_ => 1 } grep { $_ ne 'gone' } $word->answers_since($since);
    is_deeply([ sort keys %said ], ['MAINT'], 'and has said nothing else since');
    $word->leave;
    is(row($standby1, $standby1)->{maintenance_reason}, $reason, 'the reason is kept');
    is(code($standby1, '/replica'), 503, '/replica');
    wait_balancers($standby1, %out);
};

subtest 'the workers are killed' => sub {
    forget_session($standby1);
    my %killed = map { $_ => worker_pid($standby1, $_) } qw(poller listener);
    kill 'KILL', $killed{poller};
    foreach my $worker (sort keys %killed) {
        wait_for("another $worker", sub { my $pid = eval { worker_pid($standby1, $worker) }; $pid && $pid != $killed{$worker} });
    }
    wait_for('the server to run again', sub { (try_sql($standby1, 'SELECT pg_status_ready()') // '') eq 't' });
    is(raw_status($standby1), 'MAINT', 'still out');
    is(row($standby1, $standby1)->{state}, 'maintenance', 'in SQL, too');
};

subtest 'it is put back' => sub {
    attach_everywhere($standby1);
    foreach my $node (@nodes) {
        my $row = row($node, $standby1);
        is($row->{state}, 'up', $node->name . ': it is up as soon as the function has returned');
        is($row->{maintenance_reason}, undef, '... without a reason');
    }
    is(raw_status($standby1), 'STANDBY', 'on the raw port');
    is(code($standby1, '/replica'), 200, '/replica');
    is(line($standby1, 'agent?role=replica'), "up ready\n", 'to an agent');
    ok(!-e kept_file($standby1), 'and no file is left');
    wait_balancers($standby1, %serving);
};

# A check that fails is what HAProxy goes by before all, so it drains only who passes it.
subtest 'gracefully' => sub {
    $proxy{'agent'}->stop unless $no_haproxy;
    $proxy{'agent'} = PgStatus::Haproxy->start('agent.cfg', \@nodes,
        edit => sub { $_[0] =~ s{httpchk GET /replica$}{httpchk GET /health}mr }) unless $no_haproxy;
    wait_balancers($standby1, %serving);
    detach_everywhere($standby1, 'true');
    is(line($standby1, 'agent?role=replica'), "up drain # maintenance\n", 'an agent says drain');
    is(code($standby1, '/replica'), 503, 'a check that knows no drain fails');
    wait_balancers($standby1, raw => 'DOWN', http => 'DOWN', agent => 'DRAIN');
    attach_everywhere($standby1);
    wait_balancers($standby1, %serving);
};

subtest 'the primary' => sub {
    my $name = literal(name_of($primary));
    my ($status, $out, $notice) = $primary->psql('postgres', "SELECT pg_status_detach_node($name)");
    my $told = 'NOTICE:  host "' . name_of($primary) . '" is the primary';
    like($notice, qr/\Q$told\E/, 'whoever takes it out is told what that means');
    is(raw_status($primary), 'MAINT', 'it says so');
    is_deeply(named($primary, '/master'), [ name_of($primary) ], 'but is named: there is no other one');
    is(code($primary, '/primary'), 200, 'and its check passes');
    is(sql($primary, 'SELECT pg_status_master()'), name_of($primary), 'in SQL, too');

    sql($primary, "SELECT pg_status_detach_node($name, force => true)");
    is((discover($primary, '/master'))[0], 404, 'by force it is not');
    is(code($primary, '/primary'), 503, 'and its check fails');
    is(sql($primary, 'SELECT coalesce(pg_status_master(), $$none$$)'), 'none', 'in SQL, too');
    is((discover($standby2, '/master'))[1], name_of($primary), 'on the other nodes nothing has changed');
    sql($primary, 'SELECT pg_status_attach_node(0)');
    is((discover($primary, '/master'))[1], name_of($primary), 'put back, by its number');
    is(raw_status($primary), 'MASTER', 'on the raw port, too');
};

# Who is taken out stays out under another name, and while it is not in the list.
subtest 'the list is written anew' => sub {
    my $place = name_of($standby1);
    sql($_, "SELECT pg_status_detach_node('$place')") foreach $primary, $standby1;
    my $as_before = hosts_of(@nodes);
    foreach my $node ($primary, $standby1) {
        replace_conf($node, 'pg_status.hosts' => $as_before =~ s/\Q$place\E/$place name=other/r);
        $node->reload;
        wait_for('the new name', sub { row($node, 'other') });
        is(row($node, 'other')->{state}, 'maintenance', $node->name . ': under another name');
        replace_conf($node, 'pg_status.hosts' => hosts_of($standby1, $standby2));
        $node->reload;
        wait_for('a shorter list', sub { sql($node, 'SELECT count(*) FROM pg_status_hosts') == 2 });
        is(sql($node, 'SELECT count(*) FROM pg_status_events WHERE kind = $$maintenance$$ AND host = $$' . name_of($standby2) . '$$'),
            0, '... nobody else is taken out because the list has moved');
        is(row($node, $standby1)->{state}, 'maintenance', '... but who was');
        replace_conf($node, 'pg_status.hosts' => $as_before =~ s/, \Q$place\E[^,]*//r);
        $node->reload;
        wait_for('the list without it', sub { !row($node, $standby1) });
        is(raw_status($standby1), 'MAINT', '... on the raw port while it is not in the list');
        replace_conf($node, 'pg_status.hosts' => $as_before =~ s/\Q$place\E/$place name=third/r);
        $node->reload;
        wait_row($node, 'third', 'alive', sub { $_[0] && $_[0]{alive} });
        is(row($node, 'third')->{state}, 'maintenance', '... and when it is there again');
        is_deeply(named($node, '/replica'), [ name_of($standby2) ], '... nobody is sent there');
        is(sql($node, q{SELECT pg_status_attach_node('third')}), 't', '... and it is put back under that name');
        is(row($node, 'third')->{state}, 'up', '... at once');
        replace_conf($node, 'pg_status.hosts' => $as_before);
        $node->reload;
        wait_row($node, $standby1, 'up', \&is_up);
    }
    is(raw_status($standby1), 'STANDBY', 'it says so, too');
};

# The number is told when it is acknowledged; one more may have been on its way. With fsync, which test servers do
# without, most of the time goes into the file.
subtest 'killed at any moment' => sub {
    my $name = name_of($standby2);
    set_conf($standby1, fsync => 'on');
    foreach my $round (1 .. 6) {
        my ($pid, $read) = start_child(sub {
            my ($write) = @_;
            my $session = session($standby1);
            for (my $i = 1;; $i++) {
                eval { $session->query("SELECT pg_status_detach_node('$name', reason => 'number $i')"); 1 } or last;
                syswrite $write, "$i\n";
            }
        });
        my $acknowledged = '';
        wait_for('some orders', sub { sysread $read, $acknowledged, 65536, length $acknowledged; $acknowledged =~ /^$round\n/m });
        forget_session($standby1);
        kill_all($standby1);
        wait_for('the client to notice', sub { !sysread $read, $acknowledged, 65536, length $acknowledged });
        end_child($pid);
        my $last = (split /\n/, $acknowledged)[-1];
        my $from = log_offset($standby1);
        start_again($standby1);
        wait_for('SQL', sub { defined try_sql($standby1, 'SELECT 1') });
        my ($kept) = row($standby1, $standby2)->{maintenance_reason} =~ /(\d+)/;
        ok($kept == $last || $kept == $last + 1, "round $round: $last orders were acknowledged, $kept is kept");
        unlike(log_text($standby1, $from), qr/are not used/, '... and the file is whole');
    }
    sql($standby1, "SELECT pg_status_attach_node('$name')");
};

subtest 'what cannot be kept is refused' => sub {
    my $unfinished = kept_file($standby1) . '.tmp';
    unlink $unfinished;
    mkdir $unfinished or die $!;
    ok(!eval { sql($standby1, q{SELECT pg_status_detach_node(} . literal(name_of($standby1)) . ')') }, 'an error');
    like($@, qr/could not create file "pg_status.orders.tmp"/, '... that says why');
    is(raw_status($standby1), 'STANDBY', 'and nothing has changed');
    rmdir $unfinished or die $!;
    symlink '/dev/full', $unfinished or die $!;
    ok(!eval { sql($standby1, q{SELECT pg_status_detach_node(} . literal(name_of($standby1)) . ')') }, 'a full disk');
    like($@, qr/could not write file "pg_status.orders.tmp": No space left/, '... is told');
    is(raw_status($standby1), 'STANDBY', 'and nothing has changed either');
    is(row($standby1, $standby1)->{state}, 'up', '... in SQL');
    unlink $unfinished or die $!;
    foreach my $wrong (q{detach_node('nobody')}, q{detach_node(77)}, q{detach_node(-1)}, q{attach_node('nobody')},
        q{set_weight('nobody', 1)}, q{poll_now('nobody')}) {
        ok(!eval { sql($standby1, "SELECT pg_status_$wrong") }, $wrong);
        like($@, qr/there is no host/, '... is no host');
    }
    ok(!eval { sql($standby1, q{SELECT pg_status_detach_node(0, reason => repeat('r', 201))}) }, 'too long a reason');
    like($@, qr/the reason is too long/, '... is told');
    ok(!eval { sql($standby1, "SELECT pg_status_set_weight(0, $_)") }, "a weight of $_") foreach q{-1}, q{1001}, q{'NaN'};
};

# As PostgreSQL computes it (Castagnoli).
sub crc32c {
    my ($bytes) = @_;
    my $crc = 0xFFFFFFFF;
    foreach my $byte (unpack 'C*', $bytes) {
        $crc ^= $byte;
        $crc = $crc & 1 ? $crc >> 1 ^ 0x82F63B78 : $crc >> 1 foreach 1 .. 8;
    }
    return $crc ^ 0xFFFFFFFF;
}

# pg_basebackup copies all files of a data directory.
subtest 'a copy of a server that was taken out is in service' => sub {
    sql($standby1, 'SELECT pg_status_detach_node(' . literal(name_of($standby1)) . ')');
    $standby1->backup('of_one_that_is_out');
    my $copy = new_node('copy');
    $copy->init_from_backup($standby1, 'of_one_that_is_out', has_streaming => 1);
    configure($copy, port => $copy->port, PgStatus::Failover::http_ports($copy), 'pg_status.port' => raw_port($copy));
    ok(-s kept_file($copy), 'the file was copied');
    $copy->start;
    wait_for('an answer', sub { raw_status($copy) =~ /^[A-Z]+$/ && raw_status($copy) ne 'STARTING' });
    is(raw_status($copy), 'STANDBY', 'but the copy is in service');
    wait_for('a warning', sub { log_text($copy) =~ /came here with a copy of another data directory/ });
    ok(!-e kept_file($copy) && -e kept_file($copy) . '.unused', 'the file is set aside');
    $copy->stop;
    is(raw_status($standby1), 'MAINT', 'the server itself is still out');
};

subtest 'a damaged file is set aside' => sub {
    my $crc = sub { sprintf '%08X', crc32c($_[0]) };
    foreach my $damage (
        [ 'lines that are none', sub { $_[0] =~ s/ \w+\n.*/' ' . $crc->("stop it\n") . "\nstop it\n"/ser } ],
        [ 'a changed character', sub { $_[0] =~ s/maint here/maint herE/r } ],
        [ 'a missing end',       sub { substr $_[0], 0, -3 } ],
        [ 'no content',          sub { '' } ],
        [ 'something else',      sub { "\x00\xff" x 500_000 } ]
      )
    {
        my ($what, $change) = @$damage;
        sql($standby1, 'SELECT pg_status_detach_node(' . literal(name_of($standby1)) . ')');
        forget_session($standby1);
        $standby1->stop;
        my $text = read_from(kept_file($standby1), 0);
        open my $file, '+<', kept_file($standby1) or die $!;    # the same inode
        truncate $file, 0;
        print {$file} $change->($text);
        close $file or die $!;
        my $from = log_offset($standby1);
        $standby1->start;
        wait_for('it to be a standby', sub { raw_status($standby1) eq 'STANDBY' });
        like(log_text($standby1, $from), qr/WARNING:  pg_status: the orders of maintenance in "pg_status.orders" are not used/,
            "$what: a warning, and the server is in service");
        ok(unlink(kept_file($standby1) . '.unused'), '... the file is kept aside');
        ok(!-e kept_file($standby1), '... and not where it was');
    }
};

# Whatever lies where the file should be: nobody waits for it.
subtest 'something else in the place of the file' => sub {
    sql($standby1, 'SELECT pg_status_detach_node(' . literal(name_of($standby1)) . ')');
    forget_session($standby1);
    $standby1->stop;
    unlink kept_file($standby1);
    system_or_bail('mkfifo', kept_file($standby1), kept_file($standby1) . '.tmp');
    my $from = log_offset($standby1);
    $standby1->start;
    wait_for('it to be a standby', sub { raw_status($standby1) eq 'STANDBY' });
    like(log_text($standby1, $from), qr/are not used/, 'a pipe is set aside');
    ok(!eval { sql($standby1, 'SELECT pg_status_detach_node(' . literal(name_of($standby1)) . ')') }, 'a pipe is not written to');
    unlink map { kept_file($standby1) . $_ } '.tmp', '.unused';
    is(sql($standby1, q{SELECT pg_status_attach_node(1)}) =~ s/.*\n//r, 't', 'who is in service can be attached');
};

subtest 'weights' => sub {
    my $name = name_of($standby1);
    wait_row($primary, $_, 'up', \&is_up) foreach $standby1, $standby2;
    is(sql($primary, "SELECT pg_status_set_weight('$name', 0)"), 't', 'no reads for one');
    is_deeply(named($primary, '/replica'), [ name_of($standby2) ], 'so the other one gets them');
    is(row($primary, $standby1)->{weight}, 0, 'the weight is shown');
    set_conf($primary, 'pg_status.sync_max_lag_ms' => 999);
    wait_for('the reload', sub { sample($primary, 'pg_status_config_reloads_total') > 0 });
    is(row($primary, $standby1)->{weight}, 0, 'a reload does not change it');
    sql($primary, "SELECT pg_status_set_weight('$name', NULL)");
    is(row($primary, $standby1)->{weight}, 1, 'until it is taken back');
    is(scalar @{ named($primary, '/replica') }, 2, 'then both are read from');
};

subtest 'checks out of turn' => sub {
    set_conf($primary, 'pg_status.poll_interval' => '1h');
    my $name = name_of($standby2);
    wait_for('the interval to be in force', sub { sql($primary, 'SELECT pg_status_poll_now()') eq 't' });
    my $before = sql($primary, "SELECT last_check FROM pg_status_host('$name')");
    is(sql($primary, "SELECT pg_status_poll_now('$name')"), 't', 'one host');
    is(sql($primary, "SELECT last_check > '$before' FROM pg_status_host('$name')"), 't', '... was checked');
    $before = sql($primary, 'SELECT clock_timestamp()');
    is(sql($primary, 'SELECT pg_status_poll_now()'), 't', 'all hosts');
    is(sql($primary, "SELECT count(*) FROM pg_status_hosts WHERE last_check > '$before'::timestamptz - interval '0.2s'"), 3,
        '... were checked');
    my $reloads = sample($primary, 'pg_status_config_reloads_total');
    configure($primary, 'pg_status.poll_interval' => '200ms');
    is(sql($primary, 'SELECT pg_status_reload()'), 't', 'settings are read anew');
    wait_for('the reload', sub { sample($primary, 'pg_status_config_reloads_total') > $reloads });
};

subtest 'who may' => sub {
    sql($primary, 'CREATE ROLE operator LOGIN');
    my @calls = ('detach_node(1)', q{detach_node('x')}, 'attach_node(1)', q{attach_node('x')}, 'set_weight(1, NULL)',
        q{set_weight('x', NULL)}, 'poll_now()', 'reload()', 'stats_reset()');
    foreach my $call (@calls) {
        ok(!eval { sql($primary, "SET ROLE operator; SELECT pg_status_$call") }, "$call is not for everybody");
        like($@, qr/permission denied/, '... permission denied');
        sql($primary, 'RESET ROLE');
    }
    sql($primary, 'GRANT EXECUTE ON FUNCTION pg_status_detach_node(int, bool, text, bool) TO operator');
    is(sql($primary, 'SET ROLE operator; SELECT pg_status_detach_node(1)'), 't', 'but can be granted');
    sql($primary, 'RESET ROLE; SELECT pg_status_attach_node(1)');
};

# It is not a standby any more, but what it was taken out for still holds.
subtest 'one that is out is promoted' => sub {
    my $name = literal(name_of($standby2));
    sql($standby2, "SELECT pg_status_detach_node($name)");
    my $word  = watch_word(raw_port($standby2));
    my $since = PgStatus::Watch::now();
    $standby2->promote;
    wait_for('it to be a primary', sub { code($standby2, '/primary') == 200 });
    my %said = map { $_->[1] => 1 } $word->changes_since($since);
    is_deeply([ sort keys %said ], ['MAINT'], 'the raw port has said nothing else');
    $word->leave;
    is(line($standby2, 'agent?role=any'), "up maint # maintenance\n", 'no reads go there');
    is(line($standby2, 'agent?role=primary'), "up\n", 'but writes, which nobody else takes');
    sql($standby2, 'SELECT pg_status_attach_node(2)');
    is(raw_status($standby2), 'MASTER', 'put back');
};

$_->stop foreach values %proxy;
done_testing();
