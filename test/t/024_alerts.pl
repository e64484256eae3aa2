# The alerts, the dashboard and the example of a scrape job in docs/prometheus and docs/grafana: a real Prometheus
# watches a real cluster. On a healthy cluster no alert is raised; then the condition of each is caused, one after the
# other, and each is raised for the host or node that it is about; maintenance silences those of its host. And what the
# files name exists: metrics in /metrics, sections in the runbook.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use JSON::PP;
use PgStatus;
use PgStatus::Documents;
use PgStatus::Http;
use PgStatus::Prometheus;
use PgStatus::Watchers;
use PostgreSQL::Test::Cluster;
use Test::More;

skip_without_prometheus();

my $docs = "$FindBin::RealBin/../../docs";
my %caused;    # alert -> 1

my @nodes = map { new_node($_) } qw(primary standby1 standby2);
my ($primary, $standby1, $standby2) = @nodes;
my ($p, $s1, $s2) = map { name_of($_) } @nodes;

sub watched_as { return 'dbname=postgres user=' . watcher_of($_[0]) }

# What Prometheus calls a node.
sub instance { return '127.0.0.1:' . check_port($_[0]) }

init_node($primary, 'pg_status.hosts' => hosts_of(@nodes), 'pg_status.conninfo' => watched_as($primary));
$primary->start;
$primary->safe_psql('postgres', 'CREATE EXTENSION pg_status');
create_watchers($primary, @nodes);
shut_out($primary);
$primary->backup('base');
foreach my $standby ($standby1, $standby2) {
    init_standby($standby, $primary, 'pg_status.conninfo' => watched_as($standby));
    $standby->start;
}
wait_roles(\@nodes, { primary => 'primary', standby1 => 'standby', standby2 => 'standby' });
open_http(@nodes);

# ---- the files -----------------------------------------------------------------------------------------------------

# The names of metrics in an expression that no node has.
sub unknown_metrics {
    my ($expression, $families) = @_;
    return grep { !exists $families->{$_} && ($families->{s/_(?:bucket|sum|count)\z//r} // '') ne 'histogram' }
      $expression =~ /\b(pg_status_\w+)/g;
}

sub promtool {
    my (@arguments) = @_;
    IPC::Run::run([ 'promtool', @arguments ], '<', \'', '>', \my $out, '2>', \my $err);
    return ($? >> 8, $out . $err);
}

# Asked of all ports of all nodes, so that there is something to count.
foreach my $node (@nodes, @nodes) {
    raw_status($node);
    discover($node, $_) foreach qw(/master /replica);
    check($node, $_) foreach qw(/primary /replica);
}
# Why a host is in maintenance has a metric of its own, while one is.
sql($primary, "SELECT pg_status_detach_node('$s2')");
my $families = { map { $_->{name} => $_->{type} } families_of(@nodes) };
sql($primary, "SELECT pg_status_attach_node('$s2')");

my $prometheus = PgStatus::Prometheus->start(@nodes);
my @rules      = $prometheus->rules;
my @alerts     = grep { $_->{type} eq 'alerting' } @rules;

subtest 'promtool accepts the files' => sub {
    foreach my $arguments ([qw(check rules), "$docs/prometheus/alerts.yml"],
        [qw(check config), "$docs/prometheus/scrape.yml"], [qw(test rules), "$docs/prometheus/alerts_test.yml"]) {
        my ($status, $said) = promtool(@$arguments);
        is($status, 0, "promtool @$arguments[0, 1]") or diag $said;
    }
};

subtest 'rules' => sub {
    my %anchor = map { $_ => 1 } anchors_of(document('docs/runbook.md'));
    cmp_ok(scalar @alerts, '>=', 15, 'there are alerts');
    is_deeply([ unknown_metrics($_->{query}, $families) ], [], "$_->{name}: its metrics exist") foreach @rules;
    foreach my $rule (@alerts) {
        my ($labels, $notes) = @{$rule}{qw(labels annotations)};
        like($labels->{severity}, qr/\A(?:critical|warning)\z/, "$rule->{name}: severity");
        ok($notes->{$_}, "$rule->{name}: $_") foreach qw(summary description);
        my ($where) = ($notes->{runbook} // '') =~ m{\Adocs/runbook\.md#(.+)\z};
        ok($anchor{ $where // '' }, "$rule->{name}: the runbook has a section on it");
    }
    is_deeply([ unknown_metrics('rate(pg_status_host_upp[5m]) + pg_status_ready_sum', $families) ],
        [qw(pg_status_host_upp pg_status_ready_sum)], 'a name that does not exist is found');
};

# The targets of panels, wherever in the dashboard they are.
sub targets_in {
    my ($part) = @_;
    return map { targets_in($_) } @$part if ref $part eq 'ARRAY';
    return () unless ref $part eq 'HASH';
    return ((exists $part->{expr} ? $part : ()), map { targets_in($part->{$_}) } sort keys %$part);
}

subtest 'dashboard' => sub {
    my $dashboard = decode_json(read_from("$docs/grafana/pg_status.json", 0));
    my @targets   = targets_in($dashboard);
    # a rate takes two samples
    $prometheus->wait_evaluated foreach 1 .. 2;
    cmp_ok(scalar @targets, '>', 40, 'there are expressions');
    is($dashboard->{id}, undef, 'it has no id of somebody else');
    my @panels = @{ $dashboard->{panels} };
    my %panel  = map { $_->{id} => $_ } @panels;
    is(scalar keys %panel, scalar @panels, 'each panel has an id');
    my @wide = grep { my $at = $_->{gridPos}; $at->{x} + $at->{w} > 24 } @panels;
    is_deeply([ map { $_->{title} } @wide ], [], 'and fits in');
    is_deeply([ map { overlapping($_, @panels) } @panels ], [], 'where no other one is');
    my @dumb = grep { !$_->{description} && $_->{type} ne 'row' } @panels;
    is_deeply([ map { $_->{title} } @dumb ], [], 'each is explained');
    foreach my $panel (@panels) {
        my %target = map { $_->{refId} => 1 } @{ $panel->{targets} // [] };
        is(scalar keys %target, scalar @{ $panel->{targets} // [] }, "$panel->{title}: targets");
    }
    foreach my $variable (@{ $dashboard->{templating}{list} }) {
        is_deeply([ unknown_metrics($variable->{definition} // '', $families) ], [], "variable $variable->{name}");
    }
    my %used;
    my @sources = map { $_->{datasource} } @targets, @{ $dashboard->{panels} };
    is_deeply([ grep { $_ && $_->{uid} ne '${datasource}' } @sources ], [], 'all ask the source that is chosen');
    foreach my $target (@targets) {
        my $expression = $target->{expr};
        my @samples    = eval { $prometheus->query(filled_in($expression)) };
        is($@, '', "Prometheus understands: $expression");
        # there was no change of the primary yet, and nobody is in maintenance
        ok(scalar @samples, 'and has samples') unless $expression =~ /\bchanges\(|_maintenance_info\b/;
        is_deeply([ unknown_metrics($expression, $families) ], [], 'its metrics exist');
        $used{$_} = 1 foreach $expression =~ /\b(pg_status_\w+?)(?:_bucket|_sum|_count)?\b/g;
    }
    # what another metric shows as well
    my @left = grep { !$used{$_} && !/_(?:local_in_recovery|local_primary)\z/ } sort keys %$families;
    is_deeply(\@left, [], 'every metric is shown');
    ok(!defined eval { $prometheus->query('sum(') }, 'an expression that is none is refused');
};

# The titles of panels that lie upon this one.
sub overlapping {
    my ($panel, @others) = @_;
    my $in = $panel->{gridPos};
    return map { $_->{title} } grep {
        my $at = $_->{gridPos};
        $_ != $panel && $at->{x} < $in->{x} + $in->{w} && $in->{x} < $at->{x} + $at->{w}
          && $at->{y} < $in->{y} + $in->{h} && $in->{y} < $at->{y} + $at->{h}
    } @others;
}

# An expression with what Grafana puts in the place of variables.
sub filled_in {
    my ($expression) = @_;
    my %value = (cluster => 'main', host => '.*', __rate_interval => '1m');
    return $expression =~ s/\$(\w+)/$value{$1} \/\/ die "no variable $1"/ger;
}

# ---- the alerts ----------------------------------------------------------------------------------------------------

# Waits until an alert is raised with these labels.
sub raises {
    my ($name, %labels) = @_;
    my $alert = wait_for("$name for @{[%labels]}",
        sub { my @raised = $prometheus->raised($name, %labels); return $raised[0] });
    ok($alert->{annotations}{summary} !~ /<no value>|\{\{|\berror\b/i, "$name: $alert->{annotations}{summary}");
    unlike($alert->{annotations}{description}, qr/<no value>|\{\{/, 'described');
    $caused{$name} = 1;
    return;
}

sub is_over {
    my ($name, %labels) = @_;
    wait_for("$name to be over", sub { !$prometheus->raised($name, %labels) });
    pass("$name: over");
    return;
}

sub names_raised { return [ sort map { $_->{labels}{alertname} } $prometheus->raised ] }

subtest 'a healthy cluster' => sub {
    wait_for('all targets', sub { my ($sum) = $prometheus->query('sum(pg_status_ready)'); $sum && $sum->[1] == 3 });
    # (on a busy machine a check may have been late at first)
    wait_for('no alert', sub { !@{ names_raised() } });
    $prometheus->wait_evaluated;
    is_deeply(names_raised(), [], 'no alert is raised');
};

subtest 'replay is paused' => sub {
    sql($standby2, 'SELECT pg_wal_replay_pause()');
    # what makes it fall behind; it is looked at further down, when that has been so for a while
    sql($primary, q(SELECT pg_logical_emit_message(true, 'filler', 'x')));
    raises('PgStatusReplayPaused', instance => instance($standby2), node => $s2, cluster => 'main');
};

subtest 'settings that do not fit together' => sub {
    # each is right by itself: only together they name the same place twice
    set_conf($standby1, 'pg_status.hosts' => '127.0.0.1 name=a, 127.0.0.1:5433 name=b',
        'pg_status.conninfo' => 'port=5433 ' . watched_as($standby1));
    raises('PgStatusReloadRefused', instance => instance($standby1));
    set_conf($standby1, 'pg_status.hosts' => hosts_of(@nodes), 'pg_status.conninfo' => watched_as($standby1));
    is_over('PgStatusReloadRefused');
};

subtest 'clients that are not allowed' => sub {
    set_conf($primary, 'pg_status.allow' => '127.0.0.1');
    wait_for('them to be turned away', sub { raw_status($primary, from => '127.0.0.2') ne 'MASTER' });
    raw_status($primary, from => '127.0.0.2') foreach 1 .. 30;
    raises('PgStatusClientsTurnedAway', instance => instance($primary), port => 'raw');
    set_conf($primary, 'pg_status.allow' => '');
};

my $poller;    # that is stopped
END { local $?; kill 'CONT', $poller if $poller }

subtest 'a poller that is silent' => sub {
    $poller = worker_pid($standby1, 'poller');
    kill 'STOP', $poller;
    raises('PgStatusNotReady', instance => instance($standby1));
    kill 'CONT', $poller;
    undef $poller;
    raises('PgStatusPollerLate', instance => instance($standby1));
    is_over('PgStatusNotReady');
};

subtest 'a host that comes and goes' => sub {
    # (its backends stand still for longer than a check may take; a new connection is answered)
    my $sessions = q(SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'pg_status%' AND state = 'idle');
    my @frozen;
    wait_for('enough of it',
        sub {
            return 1 if $prometheus->raised('PgStatusHostFlapping', host => $s1);
            if (!@frozen) {
                @frozen = split /\n/, sql($standby1, $sessions);
                @frozen = () if @frozen < @nodes;
                kill 'STOP', @frozen;
            }
            elsif (row($primary, $s1)->{state} ne 'up') {
                kill 'CONT', splice @frozen;
            }
            return 0;
        });
    kill 'CONT', @frozen;
    raises('PgStatusHostFlapping', host => $s1, cluster => 'main');
};

subtest 'a host that one node cannot reach' => sub {
    shut_out($primary, $standby1);
    raises('PgStatusHostUnreachableFromOneNode', host => $p, instance => instance($standby1));
    is_deeply([ $prometheus->raised('PgStatusHostDown') ], [], 'it is not down');
    shut_out($primary);
    is_over('PgStatusHostUnreachableFromOneNode');
};

subtest 'a postmaster that is frozen' => sub {
    my $pid = postmaster_pid($standby1);
    kill 'STOP', $pid;
    raises('PgStatusNoNewSessions', host => $s1, cluster => 'main');
    kill 'CONT', $pid;
    is_over('PgStatusNoNewSessions');
};

subtest 'a primary that sees nobody else' => sub {
    shut_out($_, $primary) foreach $standby1, $standby2;
    raises('PgStatusNoMajority', instance => instance($primary));
    is_deeply([ $prometheus->raised('PgStatusFenced') ], [], 'it is not fenced');
    set_conf($primary, 'pg_status.fence' => 'on');
    raises('PgStatusFenced', instance => instance($primary), node => $p);
    shut_out($_) foreach $standby1, $standby2;
    is_over($_) foreach qw(PgStatusFenced PgStatusNoMajority);
    set_conf($primary, 'pg_status.fence' => 'off');
};

subtest 'a standby that lags' => sub {
    raises('PgStatusStandbyLagging', host => $s2, cluster => 'main');
    is_deeply([ map { $_->{labels}{host} } $prometheus->raised('PgStatusStandbyLagging') ], [$s2], 'only that one');
    sql($standby2, 'SELECT pg_wal_replay_resume()');
    is_over($_) foreach qw(PgStatusStandbyLagging PgStatusReplayPaused);
};

subtest 'a standby that does not stream' => sub {
    set_conf($standby2, primary_conninfo => '');
    raises('PgStatusStandbyNotStreaming', instance => instance($standby2));
};

subtest 'a standby in maintenance' => sub {
    sql($primary, "SELECT pg_status_detach_node('$s2', reason => 'a test')");
    raises('PgStatusMaintenanceLong', host => $s2, cluster => 'main');
    is_over('PgStatusStandbyNotStreaming');
    sql($primary, "SELECT pg_status_attach_node('$s2')");
    is_over('PgStatusMaintenanceLong');
    raises('PgStatusStandbyNotStreaming', instance => instance($standby2));
};

subtest 'the primary is down' => sub {
    forget_session($primary);
    $primary->stop('immediate');
    raises('PgStatusNoPrimary', cluster => 'main');
    raises('PgStatusHostDown', host => $p, cluster => 'main');
    raises('PgStatusScrapeDown', instance => instance($primary), node => $p);
};

subtest 'another one is promoted, and one standby follows nobody' => sub {
    $standby1->promote;
    is_over('PgStatusNoPrimary');
    raises('PgStatusLagUnknown', host => $s2, cluster => 'main');
};

subtest 'the old primary comes back' => sub {
    $primary->start;
    raises('PgStatusSplitBrain', cluster => 'main');
    is_over($_) foreach qw(PgStatusHostDown PgStatusScrapeDown);
};

# The one that is named forked off before what it is sent now.
subtest 'a standby follows the old primary' => sub {
    set_conf($standby2, primary_conninfo => conninfo_of($primary, $standby2));
    sql($primary, q(SELECT pg_logical_emit_message(true, 'filler', 'lost')));
    raises('PgStatusStandbyDiverged', host => $s2, cluster => 'main');
    is_deeply([ map { $_->{labels}{host} } $prometheus->raised('PgStatusStandbyDiverged') ], [$s2], 'only that one');
};

subtest 'nobody is left' => sub {
    forget_session($_) foreach @nodes;
    $_->stop('immediate') foreach @nodes;
    raises('PgStatusClusterSilent', cluster => 'main');
};

is_deeply([ sort keys %caused ], [ sort map { $_->{name} } @alerts ], 'each alert was raised');
done_testing;
