# The page for people and what it lives on, asked as a browser asks: one document whose security policy lets it run what
# it holds and nothing else; data that agree with SQL; a blocking query on the check port; a history of lag that keeps
# peaks, outlives a poller and follows hosts through the list; and nothing in it that is for pg_monitor only. What a
# browser makes of it is shown in 030_browser.
use strict;
use warnings;
use Digest::SHA qw(sha256_base64);
use FindBin;
use lib $FindBin::RealBin;
use JSON::PP;
use PgStatus;
use PgStatus::Failover;
use PgStatus::Http;
use PgStatus::Outside;
use PostgreSQL::Test::Cluster;
use Test::More;

my ($primary, $standby1, $standby2) = my @nodes = start_three();
my ($p, $s1, $s2) = map { name_of($_) } @nodes;
open_http(@nodes);

# What GET /ui/data?$query says on a node. While the poller writes them, history and events are left out: then it is
# asked once more.
sub data_of {
    my ($node, $query) = @_;
    return wait_for($node->name . ' to tell all', sub {
        my $data = json_of(check($node, '/ui/data' . ($query ? "?$query" : '')));
        return $data->{lag} && ($data->{events} || $data->{generation}) && $data;
    });
}

sub host_in { my ($data, $name) = @_; return (grep { $_->{host} eq $name } @{ $data->{hosts} })[0] }

# The history of one host in bytes: column -> lag, of the columns of which it is known.
sub history_of {
    my ($node, $name) = @_;
    my $data = data_of($node);
    my ($i) = grep { $data->{hosts}[$_]{host} eq $name } 0 .. $#{ $data->{hosts} };
    my ($lag, $row) = ($data->{lag}, $data->{lag}{bytes}[$i]);
    return { map { $lag->{first} + $_ => $row->[$_] } grep { defined $row->[$_] } 0 .. $#$row };
}

subtest 'one document, and a policy that fits it' => sub {
    foreach my $node ($primary, $standby1) {
        my ($status, $page, $head) = check($node, '/ui');
        is($status, 200, $node->name . ' has the page');
        is(field_of($head, 'Content-Type'),   'text/html; charset=utf-8', 'as HTML');
        is(field_of($head, 'Content-Length'), length $page,               'whole');
        my $policy = field_of($head, 'Content-Security-Policy');
        foreach my $name ('script', 'style') {
            my @texts = $page =~ m{<$name>(.*?)</$name>}sg;
            is(scalar @texts, 1, "one $name");
            my $hash = sha256_base64($texts[0]);
            $hash .= '=' while length($hash) % 4;
            like($policy, qr/(?:\A|; )$name-src 'sha256-\Q$hash\E'(?:;|\z)/, "the policy knows this $name only");
        }
        like($policy, qr/\Adefault-src 'none';/, 'and forbids what it does not name');
        unlike($policy, qr/unsafe|\*|https?:/, 'without exceptions');
        unlike($page, qr/\s(?:src|href|action|data|poster|srcset)\s*=\s*["']?(?:https?:|\/\/)/i,
            'nothing is fetched from elsewhere');
        unlike($page, qr/\s(?:on[a-z]+|style)\s*=\s*"/i, 'no script or style in an attribute');
    }
    is(code($primary, '/ui/'), 404, 'another path is none');
    is((discover($primary, '/ui'))[0], 404, 'nor is it on the discovery port');
};

subtest 'the data agree with SQL' => sub {
    my $data = data_of($standby1);
    is($data->{node}{name},  $s1,       'this node');
    is($data->{node}{state}, 'standby', 'is a standby');
    is($data->{primary},     $p,        'the primary');
    is($data->{version}, sql($standby1, 'SELECT pg_status_version()'), 'the version');
    ok($data->{known} && $data->{ready} && !$data->{split_brain}, 'all is known');
    my %sql = map { $_->{host} => $_ } @{ all_of($standby1) };
    is_deeply([ map { $_->{host} } @{ $data->{hosts} } ], [ $p, $s1, $s2 ], 'every host, in order');
    foreach my $host (@{ $data->{hosts} }) {
        my $row = $sql{ $host->{host} };
        is_deeply(
            { map { $_ => $host->{$_} } qw(state role timeline upstream replication_state sync_state server_version) },
            { map { $_ => $row->{$_} } qw(state role timeline upstream replication_state sync_state server_version) },
            "$host->{host} is what SQL says");
    }
    is(host_in($data, $s1)->{self}, JSON::PP::true, 'it knows itself');
    is($data->{events}[0]{seq}, sql($standby1, 'SELECT pg_status_generation()'), 'the newest event comes first');
    is($data->{generation}, $data->{events}[0]{seq}, 'and is the generation');
    is(data_of($standby1, "generation=$data->{generation}")->{events}, undef, 'who has it is not told again');
};

subtest 'a blocking query' => sub {
    my $known  = data_of($primary)->{generation};
    my $socket = connect_to(check_port($primary));
    syswrite $socket, "GET /ui/data?wait=60&generation=$known HTTP/1.1\r\nHost: x\r\n\r\n";
    is(code($primary, '/primary'), 200, 'others are served meanwhile');
    sql($primary, "SELECT pg_status_detach_node('$s2', reason => '<b>new</b> disk')");
    my $data = decode_json(receive($socket)->{body});
    cmp_ok($data->{generation}, '>', $known, 'it ends with the change');
    my $order = host_in($data, $s2)->{maintenance};
    is("$order->{kind}: $order->{reason}", 'maint: <b>new</b> disk', 'and shows it');
    my ($event) = @{ $data->{events} };
    is("$event->{kind} $event->{host} $event->{new}: $event->{detail}", "maintenance $s2 maint: <b>new</b> disk",
        'as an event, too');
    is(host_in(data_of($standby1), $s2)->{maintenance}, undef, 'another node was given no such order');
    sql($primary, "SELECT pg_status_attach_node('$s2')");
    wait_row($primary, $standby2, 'in service', \&is_up);
    foreach my $wrong ('wait=5', 'wait=x&generation=1', 'generation=x', 'since=x') {
        is(code($primary, "/ui/data?$wrong"), 400, "$wrong is refused");
    }
};

# standby1 stops to replay until there is a column in which it was half a megabyte behind and standby2 was not.
my $peak;
subtest 'a peak of lag is kept' => sub {
    sql($standby1, 'SELECT pg_wal_replay_pause()');
    sql($primary,  'CREATE TABLE filler AS SELECT i, repeat(i::text, 20) FROM generate_series(1, 10000) i');
    $peak = wait_for('a column of their difference', sub {
        my ($one, $two) = map { history_of($standby2, $_) } $s1, $s2;
        my ($newest) = sort { $b <=> $a } keys %$one;
        return $newest && $one->{$newest} > 500_000 && defined $two->{$newest} && $two->{$newest} < 100_000 && $newest;
    });
    sql($standby1, 'SELECT pg_wal_replay_resume()');
    wait_row($standby2, $standby1, 'in step', sub { ($_[0]{lag_bytes} // 1) == 0 });
    wait_for('the next column', sub { defined history_of($standby2, $s1)->{ $peak + 1 } });
    cmp_ok(history_of($standby2, $s1)->{$peak}, '>', 500_000, 'it is in the history when it is over');
    is_deeply(history_of($standby2, $p), {}, 'a primary has none');

    my $lag = data_of($standby2)->{lag};
    is($lag->{column_ms}, 5000, 'columns of five seconds');
    my $columns = $lag->{newest} - $lag->{first} + 1;
    is($columns, $lag->{newest} < 120 ? $lag->{newest} + 1 : 120, 'ten minutes of them, or since the machine started');
    is(scalar @{ $lag->{ms}[1] }, $columns, 'in each row');
    my $since = data_of($standby2, "since=$lag->{newest}")->{lag};
    is($since->{first}, $lag->{newest}, 'from a column on');
    cmp_ok(scalar @{ $since->{ms}[1] }, '<', 100, 'only those are told');
};

subtest 'the history outlives the poller, and follows the hosts' => sub {
    my $both = sub { [ map { history_of($standby2, $_)->{$peak} } $s1, $s2 ] };
    my $before = $both->();
    my $old    = worker_pid($standby2, 'poller');
    kill 'TERM', $old;
    wait_for('another poller', sub { my $pid = worker_pid($standby2, 'poller'); $pid && $pid != $old });
    wait_row($standby2, $standby1, 'up', \&is_up);
    is_deeply($both->(), $before, 'another poller goes on with it');

    set_conf($standby2, 'pg_status.hosts' => hosts_of($standby2, $standby1, $primary));
    wait_for('the list turned around', sub { data_of($standby2)->{hosts}[0]{host} eq $s2 });
    is_deeply($both->(), $before, 'each host takes its own along');
    set_conf($standby2, 'pg_status.hosts' => hosts_of($standby2, $primary));
    wait_for('a shorter list', sub { @{ data_of($standby2)->{hosts} } == 2 });
    is(history_of($standby2, $s2)->{$peak}, $before->[1], 'who stays keeps it');
    set_conf($standby2, 'pg_status.hosts' => hosts_of(@nodes));
    wait_row($standby2, $standby1, 'up', \&is_up);
    is($both->()[0], undef, 'who left the list begins anew');
    is($both->()[1], $before->[1], 'and nobody else does');
};

# The error of a server that is down names its address and the user; only pg_monitor may see that.
subtest 'errors are not told' => sub {
    $standby2->stop('immediate');
    wait_row($primary, $standby2, 'down', \&is_down);
    my $secret = sql($primary, "SELECT detail FROM pg_status_events
        WHERE host = '$s2' AND new = 'down' ORDER BY seq DESC LIMIT 1");
    my ($word) = $secret =~ /(refused|failed|closed|timeout)/;
    ok($word, 'SQL tells why it is down') or note($secret);
    my $data = data_of($primary);
    my ($event) = grep { ($_->{host} // '') eq $s2 && $_->{kind} eq 'state' } @{ $data->{events} };
    is("$event->{old} $event->{new}", 'suspect down', 'the page that it is');
    is($event->{detail}, undef, 'and no more');
    unlike(JSON::PP->new->encode($data), qr/\Q$word\E/, 'nowhere');
    is_deeply([ @{ host_in($data, $s2) }{qw(state role lag_ms lag_bytes)} ], [ 'down', 'unknown', undef, undef ],
        'nothing is claimed of it');
    my $newest = data_of($primary)->{lag}{newest};
    my ($last) = sort { $b <=> $a } keys %{ history_of($primary, $s2) };
    cmp_ok($last, '<=', $newest, 'what was known before stays');
    wait_for('a gap in its history',
        sub { data_of($primary)->{lag}{newest} > $newest + 1 && !exists history_of($primary, $s2)->{ $newest + 1 } });
    ok(exists history_of($primary, $s2)->{$last}, 'then there is a gap');
};

done_testing();
