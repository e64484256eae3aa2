# /metrics of every node of a real cluster, read by promtool as Prometheus would read it: in health, with hosts that
# are down or have strange names, and with two primaries. It knows the names and values of the promise; that a family
# is written as the format wants it is promtool's business.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use PgStatus;
use PgStatus::Http;
use PostgreSQL::Test::Cluster;
use Test::More;

# What a host may be called: all that the text format has to escape.
my $strange = 'a"b\\c\\n{d}=#é';
my $gone    = PostgreSQL::Test::Cluster::get_free_port();
my $entry   = "127.0.0.1:$gone name=$strange dc=\"x\\y" =~ s/\\/\\\\/gr;    # as postgresql.conf wants backslashes
my @nodes   = start_three(more => ", $entry", cluster_name => 'metrics');
my ($primary, $standby1, $standby2) = @nodes;
my ($p, $s1, $s2) = map { name_of($_) } @nodes;
open_http(@nodes);

# The samples of a node: 'name{labels}' => value. The prefix that all names have is left out.
sub samples {
    my ($node) = @_;
    my ($status, $text, $head) = check($node, '/metrics');
    my $type = field_of($head, 'Content-Type');
    die "/metrics: $status, $type" unless $status == 200 && $type eq 'text/plain; version=0.0.4; charset=utf-8';
    my %samples;
    foreach my $line (grep { !/^#/ } split /\n/, $text) {
        my ($name, $value) = $line =~ /^pg_status_(.*) (\S+)$/ or die "no sample: $line";
        die "twice: $name" if exists $samples{$name};
        $samples{$name} = $value;
    }
    return \%samples;
}

sub label {
    my ($host) = @_;
    return 'host="' . $host =~ s/([\\"])/\\$1/gr . '"';
}

# promtool's verdict on a node's metrics: exit status and all it says, which is nothing when it is content.
sub promtool {
    my ($node) = @_;
    my ($status, $text) = check($node, '/metrics');
    my ($out, $err) = ('', '');
    IPC::Run::run([qw(promtool check metrics)], '<', \$text, '>', \$out, '2>', \$err);
    return join '|', $? >> 8, $out . $err;
}

sub content {
    my ($what, @of) = @_;
    is(promtool($_), '0|', $_->name . ": promtool is content, $what") foreach @of;
    return;
}

# Holds samples of a node to what is expected; undef: there must be none.
sub has {
    my ($what, $node, %expected) = @_;
    my $samples = samples($node);
    is_deeply({ map { $_ => $samples->{$_} } keys %expected }, \%expected, $node->name . ": $what");
    return;
}

# The roles that hosts are shown to have: host_info has them as labels.
sub roles {
    my ($node) = @_;
    return { map { /^host_info\{host="(.*?)",dc="(.*)",geo="(.*)",role="(\w+)"/ ? ($1 => $4) : () }
          keys %{ samples($node) } };
}

subtest 'promtool finds what is wrong' => sub {
    my $err = '';
    IPC::Run::run([qw(promtool check metrics)], '<', \"pg_status_x{ 1\n", '>', \my $out, '2>', \$err);
    isnt($? >> 8, 0, 'a broken text is refused');
    isnt($err, '', 'with a word about it');
};

subtest 'a healthy cluster' => sub {
    my $version = sql($primary, 'SELECT pg_status_version()');
    my $number  = sql($primary, 'SHOW server_version_num');
    foreach my $node (@nodes) {
        wait_row($node, $strange, 'down', \&is_down);
        wait_row($node, $_, 'replicating', sub { $_[0]{sync_state} }) foreach $standby1, $standby2;
        content('all is well but for one host', $node);
        has('of the cluster', $node,
            qq(build_info{version="$version",server_version="$number"}) => 1,
            ready       => 1,
            primaries   => 1,
            split_brain => 0);
        has('of each host', $node,
            map { my $host = label($_); my $is_primary = $_ eq $p;
                ("host_up{$host}"            => 1,
                 "host_possibly_down{$host}" => 0,
                 "host_primary{$host}"       => $is_primary ? 1 : 0,
                 "host_timeline{$host}"      => 1,
                 "host_sync_standby{$host}"  => $is_primary ? undef : 0) } $p, $s1, $s2);
        has('of the primary it is known that it is not behind', $node,
            'host_lag_bytes{' . label($p) . '}' => 0, 'host_lag_seconds{' . label($p) . '}' => '0.000');
        my $lost = label($strange);
        has('of a host that is down nothing else is claimed', $node,
            "host_up{$lost}"            => 0,
            "host_possibly_down{$lost}" => 1,
            "host_primary{$lost}"       => 0,
            qq(host_info{$lost,dc="\\"x\\\\y",geo="",role="unknown",application_name=""}) => 1,
            map { ("host_$_\{$lost}" => undef) }
              qw(lag_bytes lag_seconds wal_position_bytes timeline last_success_timestamp_seconds sync_standby));
        my $is_primary = $node == $primary;
        has('of itself', $node,
            local_primary       => $is_primary ? 1     : 0,
            local_in_recovery   => $is_primary ? 0     : 1,
            local_streaming     => $is_primary ? undef : 1,
            local_replay_paused => $is_primary ? undef : 0);
        my $age = time - samples($node)->{ 'host_last_success_timestamp_seconds{' . label($s1) . '}' };
        cmp_ok(abs $age, '<', 60, $node->name . ': a host was seen just now');
    }
    like(join(' ', keys %{ samples($primary) }), qr/host_info\{\Q${\ label($s1)}\E,[^}]*application_name="standby1"/,
        'the name that a standby replicates under');
    wait_for('the position to be the same in SQL, before and after',
        sub {
            my $lsn = sql($primary, "SELECT pg_current_wal_lsn() - '0/0'");
            return samples($primary)->{ 'host_wal_position_bytes{' . label($p) . '}' } eq $lsn;
        });
    pass('positions are in bytes');
};

# The sum of the samples whose name and labels match.
sub sum_of {
    my ($samples, $pattern) = @_;
    my $sum = 0;
    $sum += $samples->{$_} foreach grep { /^$pattern/ } keys %$samples;
    return $sum;
}

subtest 'checks are counted' => sub {
    my ($good, $bad) = map { quotemeta label($_) } $s1, $strange;
    my $before = samples($primary);
    wait_for('more checks',
        sub { sum_of(samples($primary), "polls_total\\{$_") > sum_of($before, "polls_total\\{$_") + 1 })
      foreach $good, $bad;
    my $samples = samples($primary);
    cmp_ok(sum_of($samples, qq(polls_total\\{$good,result="ok")), '>=', 2, 'a host that is up: checks that went well');
    is(sum_of($samples, qq(polls_total\\{$bad,result="ok")), 0, 'a host that is down: none of those');
    cmp_ok(sum_of($samples, qq(polls_total\\{$bad,result="error")), '>=', 3, 'but errors');
    cmp_ok(sum_of($samples, "state_changes_total\\{$bad"), '>=', 1, 'it went down');
    foreach my $host ($good, $bad) {
        my $all = sum_of($samples, "polls_total\\{$host");
        is(sum_of($samples, "poll_duration_seconds_count\\{$host"), $all, 'each has a duration');
        is(sum_of($samples, qq(poll_duration_seconds_bucket\\{$host,le="\\+Inf")), $all, 'in the widest class, too');
    }
    cmp_ok(sum_of($samples, "poll_duration_seconds_sum\\{$good"), '>', 0, 'checks take time');
    my $reconnects = sum_of($samples, "reconnects_total\\{$good");
    sql($standby1, q(SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'pg_status%'));
    wait_for('another connection', sub { sum_of(samples($primary), "reconnects_total\\{$good") > $reconnects });
};

subtest 'answers are counted' => sub {
    my %ask = (
        'port="check",path="/replica",code="503"'     => sub { code($_[0], '/replica') },
        'port="check",path="/agent",code="200"'       => sub { line($_[0], 'agent?role=primary') },
        'port="check",path="other",code="404"'        => sub { code($_[0], '/' . rand) },
        'port="check",path="/primary",code="405"'     => sub { code($_[0], '/primary', 'DELETE') },
        'port="discovery",path="/master",code="200"'  => sub { discover($_[0], '/master') },
        'port="discovery",path="/replica",code="400"' => sub { discover($_[0], '/replica?lag_ms=x') },
        'port="raw",path="",code="MASTER"'            => sub { raw_status($_[0]) });
    foreach my $labels (sort keys %ask) {
        my $before = samples($primary)->{"requests_total{$labels}"} // 0;
        $ask{$labels}->($primary) for 1 .. 3;
        is(samples($primary)->{"requests_total{$labels}"}, $before + 3, $labels);
    }
    has('who asks is connected', $primary, 'connections{port="check"}' => 1, 'connections{port="raw"}' => 0);
    content('after all that', $primary);
};

subtest 'reloads are counted' => sub {
    has('the settings are in force', $primary, config_last_reload_success => 1);
    my $before = samples($primary)->{config_reloads_total};
    # each is right by itself: only together they name the same place twice
    set_conf($primary, 'pg_status.hosts' => '127.0.0.1 name=a, 127.0.0.1:5433 name=b',
        'pg_status.conninfo' => 'port=5433 dbname=postgres user=' . getpwuid $<);
    wait_for('them to be refused', sub { samples($primary)->{config_last_reload_success} == 0 });
    is(samples($primary)->{config_reloads_total}, $before + 1, 'a reload that is refused is one, too');
    content('with settings that do not fit together', $primary);
    set_conf($primary, 'pg_status.hosts' => hosts_of(@nodes) . ", $entry",
        'pg_status.conninfo' => 'dbname=postgres user=' . getpwuid $<);
    wait_for('them to be taken', sub { samples($primary)->{config_last_reload_success} == 1 });
    wait_row($primary, $standby2, 'known', \&is_up);
};

subtest 'a standby that lags' => sub {
    sql($standby2, 'SELECT pg_wal_replay_pause()');
    sql($primary, q(SELECT pg_logical_emit_message(true, 'filler', repeat('x', 100000))));
    my $host = label($s2);
    foreach my $node (@nodes) {
        wait_for($node->name . ' to measure it',
            sub {
                my $samples = samples($node);
                return ($samples->{"host_lag_bytes{$host}"} // 0) >= 100_000
                  && ($samples->{"host_lag_seconds{$host}"} // 0) > 0;
            });
        content('one standby lags', $node);
    }
    has('replay is paused', $standby2, local_replay_paused => 1, local_streaming => 1);
    sql($standby2, 'SELECT pg_wal_replay_resume()');
    set_conf($primary, synchronous_standby_names => 'standby1');
    my $other = label($s1);
    wait_for('a synchronous standby',
        sub { (samples($standby2)->{"host_sync_standby{$other}"} // 0) == 1 });
    has('the other one is none', $standby2, "host_sync_standby{$host}" => 0);
    set_conf($primary, synchronous_standby_names => '');
};

subtest 'a host goes down' => sub {
    forget_session($primary);
    $primary->stop('immediate');
    my $host = label($p);
    foreach my $node ($standby1, $standby2) {
        wait_row($node, $primary, 'down', \&is_down);
        has('no primary', $node,
            primaries                         => 0,
            split_brain                       => 0,
            ready                             => 1,
            "host_up{$host}"                  => 0,
            "host_possibly_down{$host}"       => 1,
            "host_primary{$host}"             => 0,
            "host_timeline{$host}"            => 1,
            "host_lag_bytes{$host}"           => undef,
            "host_wal_position_bytes{$host}"  => undef,
            'host_up{' . label($s1) . '}'     => 1);
        cmp_ok(samples($node)->{"host_last_change_timestamp_seconds{$host}"}, '>', 0, 'it is told when that changed');
        content('without a primary', $node);
    }
};

subtest 'two primaries' => sub {
    $standby1->promote;
    $primary->start;
    wait_for('its check port', sub { code($primary, '/liveness') == 200 });
    foreach my $node (@nodes) {
        wait_for($node->name . ' to see the split brain',
            sub { (try_sql($node, 'SELECT pg_status_is_split_brain()') // '') eq 't' });
        # (diverged, as soon as the old primary has sent it what the new one's history has not)
        wait_row($node, $standby2, 'in sight', sub { ($_[0]{state} // '') =~ /\A(?:up|diverged)\z/ });
        has('split brain', $node,
            primaries   => 2,
            split_brain => 1,
            (map { ('host_up{' . label($_) . '}' => 1) } $p, $s1, $s2),
            'host_primary{' . label($p) . '}'   => 0,
            'host_primary{' . label($s1) . '}'  => 1,
            'host_primary{' . label($s2) . '}'  => 0,
            'host_timeline{' . label($p) . '}'  => 1,
            'host_timeline{' . label($s1) . '}' => 2);
        is_deeply([ @{ roles($node) }{ $p, $s1, $s2 } ], [qw(primary primary standby)],
            $node->name . ': both have the role');
        content('in a split brain', $node);
    }
    has('both say so of themselves', $_, local_primary => 1, local_in_recovery => 0) foreach $primary, $standby1;
};

done_testing;
