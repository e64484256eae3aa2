# Servers that come to harm and are put right again: killed, stopped, started, promoted, pointed at another server,
# rebuilt as a standby. It does to servers what a failure or an administrator would do, and knows nothing of what
# pg_status makes of it.
package PgStatus::Failover;

use strict;
use warnings;

use Carp;
use Exporter 'import';
use File::Path qw(rmtree);
use PgStatus;
use PgStatus::Http;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(time);

our @EXPORT = qw(start_cluster replace_conf kill_all kill_postmaster stop_fast wait_gone start_again restart_taking
  restart_without_signal end_pollers_sessions follow detach catch_up_with rebuild);

# Starts servers of these names that watch each other with the default settings: the first is the primary, the others
# stream from it. All three ports are open on each. %settings go to all; `more` is a text appended to pg_status.hosts.
sub start_cluster {
    my ($names, %settings) = @_;
    my $more  = delete $settings{more} // '';
    my @nodes = map { new_node($_) } @$names;
    my ($primary, @standbys) = @nodes;
    init_node($primary,
        'pg_status.hosts'              => hosts_of(@nodes) . $more,
        'pg_status.poll_interval'      => '1s',
        'pg_status.fast_poll_interval' => '100ms',
        dynamic_shared_memory_type     => 'mmap',            # killed servers leave nothing outside of their folder
        wal_log_hints                  => 'on',              # for pg_rewind
        wal_keep_size                  => '512MB',
        wal_retrieve_retry_interval    => '200ms',
        recovery_target_timeline       => 'latest',
        restart_after_crash            => 'on',              # as by default; test clusters have it off
        http_ports($primary),
        %settings);
    $primary->start;
    $primary->safe_psql('postgres', 'CREATE EXTENSION pg_status');
    $primary->backup('base');
    foreach my $standby (@standbys) {
        init_standby($standby, $primary, http_ports($standby));
        $standby->start;
    }
    wait_roles(\@nodes, { $primary->name => 'primary', map { $_->name => 'standby' } @standbys });
    return @nodes;
}

sub http_ports {
    my ($node) = @_;
    return ('pg_status.http_port' => discovery_port($node), 'pg_status.check_port' => check_port($node));
}

# Gives settings new values, in place of the lines that gave them one; the file does not grow. Not yet read by the
# server, unless it has a reload to do still: so that it never reads half a file, the new one takes the place of the old
# one at once.
sub replace_conf {
    my ($node, %settings) = @_;
    my $path  = $node->data_dir . '/postgresql.conf';
    my $names = join '|', map { quotemeta } keys %settings;
    my @lines = grep { !/^(?:$names)\s*=/ } split /^/, read_from($path, 0);
    open my $file, '>', "$path.new" or croak "could not write $path.new: $!";
    print $file @lines, conf_lines(%settings);
    close $file or croak "could not write $path.new: $!";
    rename "$path.new", $path or croak "could not rename $path.new: $!";
    return;
}

# ---- ends and beginnings -------------------------------------------------------------------------------------------

# Ends the postmaster and all its processes at the same moment, as a power cut would.
sub kill_all {
    my ($node) = @_;
    # held still, it has no time to tell its children of each other's end, nor they to notice its own
    kill 'STOP', postmaster_pid($node);
    kill 'KILL', reverse processes_of($node);
    $node->kill9;    # it is dead already; now its object knows
    return;
}

# Ends the postmaster only; its children notice.
sub kill_postmaster { $_[0]->kill9; return }

# As an administrator ends a primary before another one takes over.
sub stop_fast { $_[0]->stop('fast'); return }

# Waits until no process of the server is left, and makes sure that a new one can be started: where the dead are reaped
# late, or by nobody, the number in their lock files is still taken.
sub wait_gone {
    my ($node) = @_;
    my $folder = $node->data_dir;
    wait_for('the end of all processes of ' . $node->name,
        sub { !grep { (readlink "$_/cwd" // '') eq $folder } glob '/proc/[0-9]*' });
    unlink "$folder/postmaster.pid", sprintf '%s/.s.PGSQL.%d.lock', $node->host, $node->port;
    return;
}

# After any end. The server's own log has the reason when this dies.
sub start_again {
    my ($node) = @_;
    wait_gone($node);
    $node->start(fail_ok => 1) or croak $node->name . ' does not start';
    return;
}

# A restart during which the server is away for so many seconds. $meanwhile, if given, is called all that time.
sub restart_taking {
    my ($node, $seconds, $meanwhile) = @_;
    forget_session($node);
    $node->stop('fast');
    my $end = time + $seconds;
    wait_for('the time to be over', sub { $meanwhile->() if $meanwhile; time > $end });
    $node->start;
    return;
}

# A standby is started as if it were none: it recovers, and takes writes on the timeline on which it was.
sub restart_without_signal {
    my ($node) = @_;
    forget_session($node);
    $node->stop('fast');
    unlink $node->data_dir . '/standby.signal' or croak "standby.signal: $!";
    $node->start;
    return;
}

# For so many seconds, each $pause seconds, one of the sessions that pollers have on a server is ended. Returns how
# many were.
sub end_pollers_sessions {
    my ($node, $pause, $seconds) = @_;
    my $one = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'pg\\_status %' ORDER BY random() LIMIT 1";
    my ($ended, $next, $end) = (0, time, time + $seconds);
    wait_for('the time to be over',
        sub {
            if (time >= $next) {
                $ended += sql($node, "SELECT count(pg_terminate_backend(pid)) FROM ($one) one");
                $next += $pause;
            }
            return time > $end;
        });
    return $ended;
}

# ---- who follows whom ----------------------------------------------------------------------------------------------

# Points a running standby at another server.
sub follow {
    my ($node, $upstream) = @_;
    replace_conf($node, primary_conninfo => conninfo_of($upstream, $node));
    $node->reload;
    return;
}

# A standby that receives nothing from anybody.
sub detach {
    my ($node) = @_;
    replace_conf($node, primary_conninfo => '');
    $node->reload;
    wait_for($node->name . ' to receive no more',
        sub { sql($node, 'SELECT count(*) FROM pg_stat_wal_receiver') eq '0' });
    return;
}

# Makes sure that $node has all that $other has received, so that the latter can follow the former. Both are standbys.
sub catch_up_with {
    my ($node, $other) = @_;
    my $lsn = sql($other, 'SELECT pg_last_wal_receive_lsn()');
    my $has = sub { sql($node, "SELECT pg_last_wal_receive_lsn() >= '$lsn'") eq 't' };
    return if $has->();
    follow($node, $other);
    wait_for($node->name . ' to have all of ' . $other->name, $has);
    return;
}

# Makes a standby of $upstream from a server that has ended: by pg_rewind ('rewind'), or from nothing ('backup').
# Starts it. Returns how it was done in the end: what cannot be rewound is made from nothing.
sub rebuild {
    my ($node, $upstream, $how) = @_;
    wait_gone($node);
    my $folder   = $node->data_dir;
    my $settings = read_from("$folder/postgresql.conf", 0);
    if ($how eq 'rewind') {
        sql($upstream, 'CHECKPOINT');    # pg_rewind looks for the new timeline in the control file
        my $done = run_quietly('pg_rewind', '-D', $folder, '--source-server', $upstream->connstr('postgres'),
            '--no-sync');
        $how = 'backup' unless $done;
    }
    if ($how eq 'backup') {
        # The folder stays: by its number in the file system the server finds what its killed forerunner left.
        rmtree($folder, { keep_root => 1 });
        run_quietly('pg_basebackup', '-D', $folder, '-d', $upstream->connstr('postgres'), '-c', 'fast', '-X', 'fetch',
            '--no-sync')
          or croak 'pg_basebackup did not work';
    }
    unlink "$folder/postgresql.conf";
    append_to_file("$folder/postgresql.conf", $settings);
    replace_conf($node, primary_conninfo => conninfo_of($upstream, $node));
    append_to_file("$folder/standby.signal", '');
    start_again($node);
    return $how;
}

# Runs a command with its output in the test's log; whether it succeeded.
sub run_quietly { return PostgreSQL::Test::Utils::system_log(@_) == 0 }

1;
