# A primary whose sessions cannot write as they come (default_transaction_read_only): /read-write says what libpq's
# read-write does, /primary what its primary does, and each surface tells it.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PgStatus;
use PgStatus::Haproxy qw(query_at);
use PgStatus::Http;
use PgStatus::Worst qw(leave_to_test);
use Test::More;

leave_to_test('default_transaction_read_only');
my @nodes = start_three();
my ($primary, $standby) = @nodes;
open_http(@nodes);

# Whether libpq takes the node for one of that kind.
sub libpq_takes {
    my ($node, $kind) = @_;
    my $place = 'host=127.0.0.1 port=' . $node->port . " target_session_attrs=$kind";
    return query_at($place, 'SELECT 1') eq '1' ? 200 : 503;
}

# (that of PostgreSQL 13 knows read-write only, and says so before it connects)
my $knows_primary = `psql -d 'host=127.0.0.1 port=1 target_session_attrs=primary' 2>&1` !~ /target_session_attrs/;

# As libpq has it, on both kinds of nodes.
sub agrees {
    my ($when) = @_;
    foreach my $node ($primary, $standby) {
        is(code($node, '/read-write'), libpq_takes($node, 'read-write'), "$when: /read-write, " . $node->name);
      SKIP: {
            skip "this libpq knows no target_session_attrs=primary: $when, " . $node->name, 1 unless $knows_primary;
            is(code($node, '/primary'), libpq_takes($node, 'primary'), "$when: /primary, " . $node->name);
        }
    }
    return;
}

sub metric {
    my ($node, $name) = @_;
    return (check($node, '/metrics'))[1] =~ /^\Q$name\E (\S+)$/m ? $1 : 'none';
}

# What all surfaces say of the primary, 0 or 1 each.
sub told {
    my $name = name_of($primary);
    my %told;
    foreach my $node (@nodes) {
        my $on = $node->name;
        my ($host) = grep { $_->{host} eq $name } @{ json_of(discover($node, '/hosts')) };
        my ($page) = grep { $_->{host} eq $name } @{ json_of(check($node, '/ui/data'))->{hosts} };
        my ($member) = grep { $_->{name} eq $name } @{ json_of(check($node, '/cluster'))->{members} };
        $told{"$on: SQL"}      = row($node, $primary)->{read_only} ? 1 : 0;
        $told{"$on: /hosts"}   = $host->{read_only} ? 1 : 0;
        $told{"$on: page"}     = $page->{read_only} ? 1 : 0;
        $told{"$on: /cluster"} = $member->{read_only} ? 1 : 0;
        $told{"$on: metric"}   = metric($node, qq{pg_status_host_read_only{host="$name"}});
        $told{"$on: table"}    = discovery_line($node, 'hosts') =~ /^\Q$name\E .*new sessions are read only/m ? 1 : 0;
    }
    $told{'its own metric'} = metric($primary, 'pg_status_local_read_only');
    $told{'its own JSON'} = json_of(check($primary, '/patroni'))->{pg_status}{read_only} ? 1 : 0;
    return \%told;
}

sub wait_told {
    my ($value) = @_;
    my $told;
    wait_for("all surfaces to say $value", sub { $told = told(); !grep { $_ ne $value } values %$told });
    is_deeply($told, { map { $_ => $value } keys %$told }, 'all surfaces say ' . ($value ? 'so' : 'no'));
    return;
}

agrees('as it comes');
wait_told(0);

subtest 'read only by default' => sub {
    set_conf($primary, default_transaction_read_only => 'on');
    wait_for('the setting to be known', sub { code($primary, '/read-write') == 503 });
    agrees('read only');
    wait_told(1);
    is(raw_status($primary), 'MASTER', 'the raw port says what it promises: it is out of recovery');
    is(line($primary, 'read-write'), "down # read only\n", 'as a line, with the reason');
    is(line($primary, 'agent?role=primary'), "up\n", 'an agent asks for the primary');
    is(code($primary, "/$_"), 200, "/$_") foreach '', qw(master leader read-only health readiness);
    is((discover($standby, '/master'))[1], name_of($primary), 'it is the primary that is named');
    is(sql($primary, q{SELECT pg_status_check('read-write')}), 503, 'in SQL, too');
    local $ENV{PGOPTIONS} = join ' ', $ENV{PGOPTIONS} // (), '-c default_transaction_read_only=off';
    is(query_at($primary->connstr('postgres'), q{SELECT pg_status_check('read-write')}), 503, 'whatever the session has for itself');
};

subtest 'a reload ends it' => sub {
    set_conf($primary, default_transaction_read_only => 'off');
    wait_for('the setting to be known', sub { code($primary, '/read-write') == 200 });
    agrees('writable again');
    wait_told(0);
};

# From the first answer on, before any poll.
subtest 'started with it' => sub {
    set_conf($primary, default_transaction_read_only => 'on');
    forget_session($primary);
    $primary->restart;
    wait_for('it to be the primary', sub { code($primary, '/primary') == 200 });
    is(code($primary, '/read-write'), 503, 'read only');
    agrees('after a start');
};

done_testing;
