# PgNet: what the files in this folder share. A cluster of real servers, each in a network namespace of its own, that
# stream across a bridge, and what a client next to each of them is told. Root only; where there are no namespaces the
# file that uses this is skipped, with the reason.
#
# PgStatus.pm, which comes with it, asks the servers through SQL and waits. pg_status has its default settings here,
# but for what a test gives it. What any single test is about is not known here.
package PgNet;

use strict;
use warnings;

use Exporter 'import';
use PgNet::NameServer;
use PgNet::Network qw(obstacle in_namespace);
use PgNet::Server;
use PgStatus;
use PgStatus::Http;
use PgStatus::Worst qw(is_worst make_worst);
use Test::More;
use Time::HiRes qw(time);

our @EXPORT =
  qw(start_cluster make_cluster start_all raw_word check_code wait_says picture wait_picture master_on timed in_time);

our $raw_port   = 5400;
our $check_port = 8008;

sub import_or_skip { my $why = obstacle(); plan(skip_all => $why) if $why ne ''; return }
import_or_skip();

# A cluster of running servers: make_cluster() and start_all() in one. Returns (network, servers in their order).
sub start_cluster {
    my ($names, %settings) = @_;
    my ($network, @servers) = make_cluster($names, %settings);
    start_all(\@servers);
    return ($network, @servers);
}

# A network with a server at each end of @$names, the first of them the primary of all others; none is started yet.
# pg_status.hosts names them all, by address, each under its own name. %settings go to all of them; the key `more` is a
# text appended to pg_status.hosts. Returns (network, servers in their order).
sub make_cluster {
    my ($names, %settings) = @_;
    my $more    = delete $settings{more} // '';
    my $network = PgNet::Network->new;
    $network->plug($_) foreach @$names;
    my @servers = map { PgNet::Server->new($network, $_) } @$names;
    my ($primary, @standbys) = @servers;
    $primary->init;
    make_worst($primary->data_dir, $primary->as_user) if is_worst();
    configure_all($primary, 'pg_status.hosts' => hosts_entries(@servers) . $more, %settings);
    $_->copy($primary) foreach @standbys;
    return ($network, @servers);
}

# Starts them and returns when each of them sees all of them in their roles; %more: what they see of further hosts.
sub start_all {
    my ($servers, %more) = @_;
    my ($primary, @standbys) = @$servers;
    $_->start foreach @$servers;
    sql($primary, 'CREATE EXTENSION pg_status');
    my %roles = (%more, $primary->name => 'primary', map { $_->name => 'standby' } @standbys);
    foreach my $server (@$servers) {
        wait_for($server->name . ' to have the extension', sub { defined try_sql($server, 'SELECT pg_status_live()') });
        wait_picture($server, 'the cluster', %roles);
    }
    return;
}

sub hosts_entries { return join ', ', map { $_->host . ' name=' . $_->name } @_ }

sub configure_all {
    my ($server, %settings) = @_;
    if (my $stage = $ENV{PG_STATUS_STAGE_CONF}) {
        $server->append_conf('postgresql.conf', read_from($stage, 0));
    }
    configure($server,
        shared_preload_libraries     => 'pg_status',
        listen_addresses             => '*',
        port                         => $server->port,
        shared_buffers               => '16MB',
        fsync                        => 'off',
        autovacuum                   => 'off',
        log_line_prefix              => '%m [%p] %b %q%a ',
        # replication must not outlast a fault by minutes
        wal_sender_timeout           => '3s',
        wal_receiver_timeout         => '3s',
        wal_receiver_status_interval => '1s',
        wal_retrieve_retry_interval  => '500ms',
        'pg_status.listen_addresses' => '*',
        'pg_status.check_port'       => $check_port,
        %settings);
    return;
}

# ---- what a server is seen to say ----------------------------------------------------------------------------------

# The word of the raw port, and the status of a path of the check port, to a client on the server's own side of any
# fault.
sub raw_word {
    my ($server) = @_;
    return in_namespace($server->namespace, sub { scalar raw_status($server, port => $raw_port) });
}

sub check_code {
    my ($server, $path) = @_;
    return in_namespace($server->namespace, sub { (fetch($check_port, $path))[0] });
}

# What a node says of itself: word of the raw port, status of the check port. Waited for, because a node learns of a
# lost or regained majority by its next polls.
sub wait_says {
    my ($node, $word, $status, $what) = @_;
    my $seen = '';
    eval { wait_for('', sub { ($seen = raw_word($node) . ' ' . check_code($node, '/primary')) eq "$word $status" }) };
    is($seen, "$word $status", $node->name . ": $what");
    return;
}

sub master_on { return sql($_[0], 'SELECT pg_status_master()') }

# What a server believes of all hosts, as one text: for each its role when it is up, else its state.
sub picture {
    my ($on) = @_;
    return sql($on, "SELECT string_agg(host || '=' || CASE state WHEN 'up' THEN role ELSE state END, ' ' ORDER BY host)"
          . ' FROM pg_status_hosts()');
}

# Waits until a server's picture is this: host => role or state.
sub wait_picture {
    my ($on, $what, %hosts) = @_;
    my $wanted = join ' ', map { "$_=$hosts{$_}" } sort keys %hosts;
    my $seen   = '';
    eval { wait_for('', sub { ($seen = picture($on)) eq $wanted }) }
      or die sprintf "%s: %s to see %s: timed out; last seen: %s\n", $what, $on->name, $wanted, $seen;
    return;
}

# ---- time ----------------------------------------------------------------------------------------------------------

# How many seconds each of @$servers takes, from now, until $condition->(server) is true: name => seconds.
sub timed {
    my ($what, $servers, $condition) = @_;
    my ($start, %took) = (time);
    wait_for($what,
        sub {
            foreach my $server (@$servers) {
                $took{ $server->name } //= $condition->($server) ? time - $start : undef;
            }
            return !grep { !defined } values %took;
        });
    return %took;
}

# A test for each: it took at most $limit seconds. Tells how many.
sub in_time {
    my ($what, $limit, %took) = @_;
    foreach my $name (sort keys %took) {
        cmp_ok($took{$name}, '<=', $limit, sprintf '%s: %s within %.1f s', $name, $what, $limit);
        diag(sprintf '%s: %s after %.2f s', $name, $what, $took{$name});
    }
    return;
}

1;
