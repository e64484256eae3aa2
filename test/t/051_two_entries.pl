# Two entries for one server, such as its name and the address of a service that is there just now: told of once in the
# log; and one of them can be taken out without the server being out for good.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PgStatus;
use PgStatus::Http;
use Test::More;

my @nodes = start_three();
my ($primary, $standby) = @nodes;
open_http(@nodes);

my $own     = name_of($standby);
my $both    = hosts_of(@nodes) . ', localhost:' . $standby->port . ' name=service';
my $without = hosts_of(@nodes);
my $from    = log_offset($standby);
my $other   = hosts_of(@nodes) . ', localhost:' . $primary->port . ' name=service';    # it has moved

sub set_hosts {
    my ($hosts) = @_;
    set_conf($standby, 'pg_status.hosts' => $hosts);
    return;
}

sub wait_service {
    my ($what, $condition) = @_;
    wait_for($what, sub { my $row = row($standby, 'service'); $row && $condition->($row) });
    return;
}

my $same = qr/WARNING:  pg_status: hosts "\Q$own\E" and "service" are the same server/;

subtest 'it is told once' => sub {
    set_hosts($both);
    wait_service('the other entry', \&is_up);
    wait_for('the warning', sub { log_text($standby, $from) =~ $same });
    sql($standby, 'SELECT pg_status_poll_now()') foreach 1 .. 3;
    $standby->reload;
    sql($standby, 'SELECT pg_status_poll_now()') foreach 1 .. 3;
    my @told = log_text($standby, $from) =~ /$same/g;
    is(scalar @told, 1, 'one line of the log');
};

subtest 'the alias is taken out' => sub {
    my ($result, $out, $said) = $standby->psql('postgres', q{SELECT pg_status_detach_node('service')});
    like($said, qr/WARNING:  hosts "service" and "\Q$own\E" are this same server/, 'whoever does it is told');
    is(row($standby, 'service')->{state}, 'maintenance', 'it is out');
    is(raw_status($standby), 'MAINT', 'so is the server, for as long as it leads here');
    set_hosts($other);
    wait_service('it to lead to the primary', sub { $_[0]{role} eq 'primary' });
    is(row($standby, 'service')->{state}, 'maintenance', 'it is out there as well');
    is(raw_status($standby), 'STANDBY', 'the server is not');
    is(code($standby, '/replica'), 200, 'nor for a check');
    forget_session($standby);
    $standby->restart;
    wait_for('it to be a standby', sub { raw_status($standby) eq 'STANDBY' });
    wait_service('it to be known', sub { $_[0]{alive} });
    is(raw_status($standby), 'STANDBY', 'nor after a restart');
    sql($standby, q{SELECT pg_status_attach_node('service')});
    is(raw_status($standby), 'STANDBY', 'put back');
};

subtest 'both are taken out, and put back one by one' => sub {
    set_hosts($both);
    wait_service('it to lead here', sub { is_up($_[0]) && $_[0]{role} eq 'standby' });
    $standby->psql('postgres', "SELECT pg_status_detach_node('$own'); SELECT pg_status_detach_node('service')");
    is(row($standby, $_)->{state}, 'maintenance', "$_ is out") foreach $own, 'service';
    sql($standby, "SELECT pg_status_attach_node('$own')");
    is(row($standby, $own)->{state}, 'up', 'one is back');
    is(row($standby, 'service')->{state}, 'maintenance', 'and the other one has an order of its own');
    is(raw_status($standby), 'MAINT', 'which leads here');
    sql($standby, q{SELECT pg_status_attach_node('service')});
    is(raw_status($standby), 'STANDBY', 'both are back');
};

# The order for the server itself is from a time when it had one entry.
subtest 'the server is out, and the address of a service comes to it' => sub {
    set_hosts($without);
    wait_for('the shorter list', sub { !row($standby, 'service') });
    sql($standby, "SELECT pg_status_detach_node('$own')");
    set_hosts($both);
    wait_service('the service to be here', sub { $_[0]{alive} });
    is(raw_status($standby), 'MAINT', 'it is still out');
    $standby->psql('postgres', q{SELECT pg_status_detach_node('service')});
    sql($standby, q{SELECT pg_status_attach_node('service')});
    is(raw_status($standby), 'MAINT', 'what is done to the service does not end that');
    is(row($standby, $own)->{state}, 'maintenance', 'under its own name');
    sql($standby, "SELECT pg_status_attach_node('$own')");
    is(raw_status($standby), 'STANDBY', 'but what is done to itself');
};

done_testing;
