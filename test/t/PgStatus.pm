# PgStatus: what the TAP files share. Starts real servers with pg_status in them and asks them through SQL; what is seen
# of a server without SQL is in PgStatus::Outside, which comes with it.
#
# It must not know what any single test is about. Nothing here sleeps to let something happen: wait_for() is the one
# place that waits, and it waits for a condition with a deadline.
#
# PG_STATUS_STAGE_CONF, when set, names a file with the settings that let a server find a staged build; without it the
# extension has to be installed.
package PgStatus;

use strict;
use warnings;

use Carp;
use Exporter 'import';
use JSON::PP;
use PgStatus::Outside;
use PgStatus::Session;
use PgStatus::Worst qw(is_worst worst_node);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

our @EXPORT = (
    qw(new_node init_node init_standby conf_lines configure set_conf start_three hosts_of conninfo_of name_of move_to
      wait_for soon_is sees_all_three wait_row wait_roles wait_polls wait_caught_up is_up is_down sql try_sql session
      forget_session row all_of),
    @PgStatus::Outside::EXPORT);

# Deadline of every wait, in seconds. What is waited for takes a fraction of a second on an idle machine.
my $patience = $ENV{PG_TEST_TIMEOUT_DEFAULT} || 60;

my %session_of;    # node name -> the session that sql() uses
my %address_of;    # node name -> where the others find it, when that is not 127.0.0.1

# ---- nodes ---------------------------------------------------------------------------------------------------------

# A node that exists on paper: it has its ports, so that others can name it in their settings before it runs.
# With WORST=1 its sessions have the worst defaults that there are.
sub new_node {
    my $node = PostgreSQL::Test::Cluster->new($_[0]);
    return is_worst() ? worst_node($node) : $node;
}

# From now on the others find a node at this address.
sub move_to { my ($node, $address) = @_; $address_of{ $node->name } = $address; return }

sub address_of { return $address_of{ $_[0]->name } // '127.0.0.1' }

# The name of a node in pg_status.hosts.
sub name_of { return address_of($_[0]) . ':' . $_[0]->port }

# Settings as lines of postgresql.conf. A value of undef gives no line.
sub conf_lines {
    my (%settings) = @_;
    return map { "$_ = '" . $settings{$_} =~ s/'/''/gr . "'\n" } grep { defined $settings{$_} } sort keys %settings;
}

# Writes settings; the server reads them when it starts or reloads.
sub configure {
    my ($node, %settings) = @_;
    $node->append_conf('postgresql.conf', join '', conf_lines(%settings));
    return;
}

sub set_conf {
    my ($node, %settings) = @_;
    configure($node, %settings);
    $node->reload;
    return;
}

# What every test server has: pg_status loaded, TCP on 127.0.0.1, a log whose lines tell who wrote them, and polling
# that is faster than by default, so that tests are short. %settings come last and win.
sub configure_base {
    my ($node, %settings) = @_;
    if (my $stage = $ENV{PG_STATUS_STAGE_CONF}) {
        $node->append_conf('postgresql.conf', read_from($stage, 0));
    }
    configure($node,
        shared_preload_libraries       => 'pg_status',
        listen_addresses               => '127.0.0.1',
        max_connections                => 60,
        autovacuum                     => 'off',
        log_line_prefix                => '%m [%p] %b %q%a ',
        log_statement                  => 'none',
        log_replication_commands       => 'off',
        'pg_status.conninfo'           => 'dbname=postgres user=' . getpwuid($<),
        'pg_status.listen_addresses'   => '127.0.0.1',
        'pg_status.port'               => raw_port($node),
        'pg_status.poll_interval'      => '200ms',
        'pg_status.fast_poll_interval' => '50ms',
        %settings);
    return;
}

# A server of its own with pg_status in it, not yet started.
sub init_node {
    my ($node, %settings) = @_;
    $node->init(allows_streaming => 1);
    configure_base($node, %settings);
    return $node;
}

# Makes $node a standby of $upstream from $upstream's backup 'base', streaming over TCP.
sub init_standby {
    my ($node, $upstream, %settings) = @_;
    $node->init_from_backup($upstream, 'base', has_streaming => 1);
    configure($node,
        'pg_status.port'  => raw_port($node),
        listen_addresses  => '127.0.0.1',
        primary_conninfo  => conninfo_of($upstream, $node),
        %settings);
    return $node;
}

sub conninfo_of {
    my ($upstream, $node) = @_;
    return sprintf 'host=%s port=%d user=%s application_name=%s', address_of($upstream), $upstream->port,
      scalar getpwuid($<), $node->name;
}

# The host list of nodes, in their order.
sub hosts_of { return join ', ', map { name_of($_) . ' application_name=' . $_->name } @_ }

# Three servers that watch each other: a primary and two standbys of it. %settings go to all three; the key `more` is a
# text appended to pg_status.hosts. Returns when each of them knows the role of all of them.
sub start_three {
    my (%settings) = @_;
    my $more = delete $settings{more} // '';
    my @nodes = map { new_node($_) } qw(primary standby1 standby2);
    my ($primary, @standbys) = @nodes;
    init_node($primary, 'pg_status.hosts' => hosts_of(@nodes) . $more, %settings);
    $primary->start;
    $primary->safe_psql('postgres', 'CREATE EXTENSION pg_status');
    $primary->backup('base');
    foreach my $standby (@standbys) {
        init_standby($standby, $primary);
        $standby->start;
    }
    wait_roles(\@nodes, { primary => 'primary', standby1 => 'standby', standby2 => 'standby' });
    return @nodes;
}

# ---- waiting -------------------------------------------------------------------------------------------------------

# Polls until $condition is true and returns what it returned. Dies with $what when the deadline has passed.
sub wait_for {
    my ($what, $condition) = @_;
    my $deadline = time + $patience;
    while (1) {
        my $result = $condition->();
        return $result if $result;
        last           if time > $deadline;
        usleep(3000);
    }
    croak "timed out waiting for: $what";
}

# A test: what $get returns becomes $wanted in time. Unlike wait_for() it does not end the file when it does not.
sub soon_is {
    my ($what, $wanted, $get) = @_;
    my $seen;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    eval { wait_for($what, sub { $seen = eval { $get->() } // "none: $@"; $seen eq $wanted }) };
    return is($seen, $wanted, $what);
}

# Waits until $on shows $of in a row for which $condition, called with the row, is true.
sub wait_row {
    my ($on, $of, $what, $condition) = @_;
    my $row;
    my $whom = ref $of ? $of->name : $of;
    my $seen = eval {
        wait_for($on->name . " to see $whom $what", sub { $row = row($on, $of); $condition->($row) });
    };
    croak $@ . 'last row: ' . encode_json($row // {}) unless $seen;
    return $row;
}

# Waits until each of @$nodes sees exactly these roles (node name -> role), all up, and is ready.
sub wait_roles {
    my ($nodes, $roles) = @_;
    my %name_by_host = map { name_of($_) => $_->name } @$nodes;
    my $wanted       = join ' ', map { "$_=$roles->{$_}" } sort keys %$roles;
    foreach my $node (@$nodes) {
        wait_for($node->name . " to see $wanted",
            sub {
                return 0 unless (try_sql($node, 'SELECT pg_status_ready()') // '') eq 't';
                my $rows = all_of($node);
                my $seen = join ' ', sort map { "$name_by_host{$_->{host}}=$_->{role}" }
                  grep { exists $name_by_host{ $_->{host} } && is_up($_) } @$rows;
                return $seen eq $wanted;
            });
    }
    return;
}

# Two tests of one of start_three(): it sees a primary and two standbys, and names the primary.
sub sees_all_three {
    my ($node, $primary, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is(sql($node, q{SELECT string_agg(state || ' ' || role, ', ' ORDER BY node_id) FROM pg_status_hosts()}),
        'up primary, up standby, up standby', "$what: " . $node->name . ' sees all');
    return is(sql($node, 'SELECT pg_status_master()'), name_of($primary), "$what: " . $node->name . ' names the primary');
}

# Waits until each of these nodes has asked every host of its list anew, $times times.
sub wait_polls {
    my ($times, @nodes) = @_;
    foreach my $node ((@nodes) x $times) {
        my $since = sql($node, 'SELECT clock_timestamp()');
        my $query = "SELECT bool_and(coalesce(last_check > '$since', false)) FROM pg_status_hosts()";
        wait_for($node->name . ' to have asked all', sub { sql($node, $query) eq 't' });
    }
    return;
}

# Waits until the standbys have replayed all that the primary has written: then each of them can follow whichever is
# promoted, even when the primary is stopped in the middle of its work.
sub wait_caught_up {
    my ($primary, @standbys) = @_;
    # not the insert position: at the end of a page that is behind the next page's header, where nothing is yet
    my $lsn = sql($primary, 'SELECT pg_current_wal_flush_lsn()');
    foreach my $standby (@standbys) {
        wait_for($standby->name . ' to replay all',
            sub { sql($standby, "SELECT pg_last_wal_replay_lsn() >= '$lsn'") eq 't' });
    }
    return;
}

# ---- SQL -----------------------------------------------------------------------------------------------------------

# Runs a query in a session that stays open, one for each node; dies on an error.
sub sql {
    my ($node, $query) = @_;
    return ($session_of{ $node->name } //= session($node))->query($query);
}

# The same; undef when the server cannot be asked now (it is starting, or gone).
sub try_sql {
    my ($node, $query) = @_;
    my $result = eval { sql($node, $query) };
    forget_session($node) unless defined $result;
    return $result;
}

sub forget_session {
    my ($node) = @_;
    my $session = delete $session_of{ $node->name };
    $session->close if $session;
    return;
}

# A session of its own, for the caller to close.
sub session { return PgStatus::Session->new($_[0]->connstr('postgres')) }

# What $on believes of $of: the row of pg_status_hosts() as a hash, NULL as undef. $of is a node or a host's name.
sub row {
    my ($on, $of) = @_;
    my $name = ref $of ? name_of($of) : $of;
    my $text = sql($on, "SELECT row_to_json(h) FROM pg_status_host('$name') h");
    return $text eq '' ? undef : decode_json($text);
}

# Conditions for wait_row().
sub is_up   { return $_[0] && ($_[0]{state} // '') eq 'up' }
sub is_down { return $_[0] && ($_[0]{state} // '') eq 'down' }

sub all_of {
    my ($on) = @_;
    return decode_json(sql($on, "SELECT coalesce(json_agg(h ORDER BY node_id), '[]') FROM pg_status_hosts() h"));
}

1;
