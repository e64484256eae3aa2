# Three servers on one machine, all of one name: which row of pg_stat_replication is whose cannot be told, and every
# surface of every node says so, until the standbys have names of their own. And the WAL receiver as it is (none,
# connecting, streaming) is the same on the port, in SQL, in metrics, in /cluster and on the page.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IO::Socket::INET;
use JSON::PP;
use PgStatus;
use PgStatus::Http;
use PostgreSQL::Test::Utils;
use Test::More;

my @nodes = map { new_node($_) } qw(primary standby1 standby2);
my ($primary, @standbys) = @nodes;
init_node($primary,
    'pg_status.hosts' => join(', ', map { name_of($_) . ' name=' . $_->name } @nodes));
$primary->start;
$primary->safe_psql('postgres', 'CREATE EXTENSION pg_status');
$primary->backup('base');

sub way { my ($more) = @_; return sprintf 'host=127.0.0.1 port=%d user=%s%s', $primary->port, scalar getpwuid($<), $more // '' }

foreach my $standby (@standbys) {
    init_standby($standby, $primary, primary_conninfo => way(' application_name=main'));
    $standby->start;
}
set_conf($_, 'pg_status.http_port' => discovery_port($_), 'pg_status.check_port' => check_port($_)) foreach @nodes;

sub sync_of { my ($on, $of) = @_; return row($on, $of->name)->{sync_state} // 'unknown' }

sub metric {
    my ($on, $name) = @_;
    my ($value) = (check($on, '/metrics'))[1] =~ /^\Qpg_status_$name\E ([^\n]*)/m;
    return $value // 'none';
}

sub member {
    my ($on, $of) = @_;
    my ($member) = grep { $_->{name} eq $of->name } @{ json_of(check($on, '/cluster'))->{members} };
    return $member;
}

subtest 'two rows that nothing tells apart' => sub {
    my %offset = map { $_->name => log_offset($_) } @nodes;
    foreach my $node (@nodes) {
        foreach my $standby (@standbys) {
            wait_row($node, $standby->name, 'streaming', sub { ($_[0]{upstream} // '') eq 'primary' });
        }
        wait_for($node->name . ' to tell it', sub { 2 == grep { /which row of pg_stat_replication/ } pg_status_log($node, 0) });
        my $row = row($node, 'standby1');
        is_deeply([ @$row{qw(sync_state replication_state sync_priority)} ], [ undef, undef, undef ], $node->name . ' does not know');
        is(member($node, $standbys[0])->{role}, 'unknown', 'and says so in /cluster');
        my @told = grep { /which row of pg_stat_replication is that of host "standby1"/ } log_lines($node, 0);
        is(scalar @told, 1, 'once');
        like(log_text($node, 0), qr/HINT:  Give the WAL receiver .*application_name=standby1/, 'with the cure');
    }
    is(code($standbys[0], $_), 503, "$_ is 503") foreach qw(/sync /async /quorum /read-only-sync);
    is(code($standbys[0], '/replica'), 200, '/replica is not');
};

subtest 'a slot tells them apart' => sub {
    sql($primary, "SELECT pg_create_physical_replication_slot('$_')") foreach qw(one two);
    foreach my $i (0, 1) { set_conf($standbys[$i], primary_slot_name => (qw(one two))[$i]) }
    sql($primary, q(ALTER SYSTEM SET synchronous_standby_names = 'FIRST 1 (main)'));
    $primary->reload;
    wait_for('both to use their slots', sub { sql($primary, 'SELECT count(*) FROM pg_replication_slots WHERE active') eq '2' });
    my $truth = q(SELECT sync_state FROM pg_stat_replication JOIN pg_replication_slots ON active_pid = pid WHERE slot_name = '%s');
    foreach my $i (0, 1) {
        my $slot = (qw(one two))[$i];
        foreach my $node (@nodes) {
            soon_is($node->name . ": $slot", 1,
                sub { my $is = sql($primary, sprintf $truth, $slot); $is ne '' && $is eq sync_of($node, $standbys[$i]) ? 1 : 0 });
        }
    }
    is(join(' ', sort map { sync_of($primary, $_) } @standbys), 'potential sync', 'one of each');
    ok(scalar(grep { /the row of host "standby1" in pg_stat_replication is found/ } pg_status_log($_, 0)), $_->name . ' tells it')
      foreach @nodes;
    foreach my $standby (@standbys) {
        set_conf($standby, primary_slot_name => '', primary_conninfo => way(' application_name=' . uc $standby->name));
    }
    sql($primary, q(ALTER SYSTEM SET synchronous_standby_names = 'standby2'));
    $primary->reload;
    foreach my $node (@nodes) {
        soon_is($node->name . ': and so does a name', 'async sync', sub { join ' ', map { sync_of($node, $_) } @standbys });
    }
    is(code($standbys[1], '/sync'), 200, 'a name of synchronous_standby_names in other letters');
};

# An end that accepts and says nothing, as a frozen primary does.
my $silent = IO::Socket::INET->new(Listen => 50, LocalAddr => '127.0.0.1') or die "no socket: $!";

my %conninfo = (
    none       => '',
    connecting => 'host=127.0.0.1 user=nobody application_name=standby2 port=' . $silent->sockport,
    streaming  => way(' application_name=standby2'));

foreach my $state (qw(connecting none streaming)) {
    subtest "a receiver: $state" => sub {
        my $standby   = $standbys[1];
        my $streaming = $state eq 'streaming';
        set_conf($standby, primary_conninfo => $conninfo{$state});
        my $inside = sub { sql($standby, q(SHOW pg_status.facts)) =~ /^receiver (\w+)/m ? $1 : '' };
        soon_is('the inside', $state, $inside);
        my $word = $streaming ? 'streaming' : 'in archive recovery';
        soon_is('/patroni', $word, sub { json_of(check($standby, '/patroni'))->{replication_state} });
        soon_is('local_streaming', $streaming ? 1 : 0, sub { metric($standby, 'local_streaming') });
        soon_is('/readiness', $streaming ? 200 : 503, sub { code($standby, '/readiness') });
        soon_is('/readiness?mode=write', $streaming ? 200 : 503, sub { code($standby, '/readiness?mode=write') });
        soon_is('/sync', $streaming ? 200 : 503, sub { code($standby, '/sync') });
        soon_is('/async', $streaming ? 503 : 200, sub { code($standby, '/async') });
        foreach my $node (@nodes) {
            my $name = $node->name;
            soon_is("$name: /cluster", ($streaming ? 'sync_standby ' : 'replica ') . $word,
                sub { my $is = member($node, $standby); "$is->{role} $is->{state}" });
            soon_is("$name: SQL", $streaming ? 'sync streaming' : 'async none',
                sub { my $row = row($node, $standby->name); join ' ', $row->{sync_state}, $row->{replication_state} // 'none' });
            soon_is("$name: metrics", $streaming ? 1 : 0, sub { metric($node, 'host_sync_standby{host="standby2"}') });
            soon_is("$name: the page", $streaming ? 'sync 1' : 'async 0',
                sub {
                    my ($host) = grep { $_->{host} eq 'standby2' } @{ json_of(check($node, '/ui/data'))->{hosts} };
                    "$host->{sync_state} " . ($host->{streaming} ? 1 : 0);
                });
        }
        my $xlog = json_of(check($standby, '/patroni'))->{xlog};
        cmp_ok($xlog->{received_location}, '>=', $xlog->{replayed_location}, 'what was replayed has been received');
    };
}

# db1 -> db2 -> db3: the primary does not list who is behind another standby.
subtest 'cascaded' => sub {
    set_conf($standbys[1], primary_conninfo => way(' application_name=standby2') =~ s/port=\d+/'port=' . $standbys[0]->port/er);
    foreach my $node (@nodes) {
        wait_row($node, 'standby2', 'behind standby1', sub { ($_[0]{upstream} // '') eq 'standby1' && ($_[0]{sync_state} // '') eq 'async' });
        pass($node->name . ' knows that it is asynchronous');
    }
    soon_is("$_->[0]", $_->[1], sub { code($standbys[1], $_->[0]) }) foreach [ '/sync', 503 ], [ '/async', 200 ];
    is(line($standbys[1], 'async'), "up\n", 'as a line');
};

done_testing;
