# Every default that a server may have for sessions, each at its worst and all at once (PgStatus::Worst): a primary and
# two standbys that watch each other with fence on, whoever polls; what is said of them, and a failover.
use strict;
use warnings;
BEGIN { $ENV{WORST} = 1 }
use FindBin;
use lib $FindBin::RealBin;
use PgStatus;
use PgStatus::Http;
use PgStatus::Worst qw(missing_in ask_as_it_comes with_needed);
use Test::More;

my @nodes = start_three('pg_status.fence' => 'on');
my ($primary, $standby1, $standby2) = @nodes;
my ($user, $conninfo) = (scalar getpwuid $<, sql($primary, 'SHOW pg_status.conninfo'));
open_http(@nodes);
set_conf($primary, synchronous_standby_names => 'standby1');
sql($primary, 'CREATE ROLE watcher LOGIN IN ROLE pg_monitor');
# (no other test could bear these)
sql($primary, "ALTER ROLE ALL SET $_") foreach 'temp_file_limit = 0', 'track_activities = off', 'log_error_verbosity = verbose',
  'log_min_error_statement = debug5', 'debug_print_parse = on', 'debug_print_rewritten = on', 'debug_print_plan = on';
wait_caught_up(@nodes);

sub way { my ($node, $role) = @_; return 'host=127.0.0.1 dbname=postgres port=' . $node->port . " user=$role" }

# That they are really there, as a session of the polling role meets them. What some of them do is the proof of those.
subtest 'as bad as can be' => sub {
    foreach my $role ($user, 'watcher') {
        foreach my $node (@nodes) {
            my ($name, $way) = ($node->name, way($node, $role));
            is(missing_in($way), '', "$name: what a session of $role shows");
            my (undef, $error) = ask_as_it_comes($way, 'SELECT pg_catalog.pg_sleep(60)');
            like($error, qr/(?:statement|idle-session|transaction) timeout|cannot use serializable mode/,
                "$name: no query of $role is answered");
        }
        my (undef, $error) = ask_as_it_comes(with_needed(way($standby1, $role), 'default_transaction_isolation'), 'SELECT 1');
        like($error, qr/cannot use serializable mode in a hot standby/, "no query of $role on a standby is allowed at all");
        my ($shadow) = ask_as_it_comes(with_needed(way($primary, $role)), 'SELECT pg_is_in_recovery(), 1 = 1');
        is($shadow, "t|f\n", "functions and operators by their bare names are not PostgreSQL's, $role");
    }
};

# What one node says of each, by position in the list.
sub picture {
    my ($on) = @_;
    return sql($on, q{SELECT string_agg(concat_ws(' ', state, role, 'timeline', timeline, sync_state, read_only), ', ' ORDER BY node_id)
        FROM pg_status_hosts()});
}

sub sessions_of_pollers {
    return join ' ', map { sql($_, q{SELECT string_agg(pid::text, ' ' ORDER BY pid) FROM pg_stat_activity
        WHERE application_name LIKE 'pg\_status %' AND backend_start < clock_timestamp() - interval '2 s'}) } @nodes;
}

# Of what the pollers' sessions are told.
sub errors { my ($node, $offset) = @_; return grep { /\] client backend pg_status \w+ (?:ERROR|FATAL|PANIC|WARNING):/ } log_lines($node, $offset) }

sub all_is_well {
    my ($who) = @_;
    my %offset = map { $_->name => log_offset($_) } @nodes;
    sql($primary, 'CREATE TABLE numbers AS SELECT generate_series(1, 1000) AS n; DROP TABLE numbers');
    wait_caught_up(@nodes);
    my $written = sql($primary, 'SELECT pg_current_wal_flush_lsn()');
    wait_polls(3, @nodes);

    my $seen = join ', ', 'up primary timeline 1 f', 'up standby timeline 1 sync f', 'up standby timeline 1 async f';
    foreach my $node (@nodes) {
        my $name = $node->name;
        is(picture($node), $seen, "$who: $name sees all as they are");
        is(sql($node, 'SELECT pg_status_master()'), name_of($primary), "$who: $name names the primary");
        is((discover($node, '/master'))[1], name_of($primary), "$who: $name names it over HTTP");
        foreach my $of (@nodes) {
            my $row = wait_row($node, $of, 'to have caught up', sub { ($_[0]{lag_bytes} // 1) == 0 });
            is(sql($node, "SELECT '$row->{lsn}'::pg_lsn >= '$written'"), 't', "$who: $name knows the position of " . $of->name);
            cmp_ok($row->{lag_ms} // -1, '>=', 0, "$who: $name knows the lag of " . $of->name);
            is($row->{system_identifier}, sql($node, 'SELECT system_identifier FROM pg_control_system()'), 'and its cluster');
            is($row->{last_error}, undef, 'without an error');
        }
        is(join(' ', map { code($node, $_) } qw(/primary /read-write /replica /sync /async)),
            $node == $primary ? '200 200 503 503 503' : $node == $standby1 ? '503 503 200 200 503' : '503 503 200 503 200',
            "$who: $name tells what it is");
        is(raw_status($node), $node == $primary ? 'MASTER' : 'STANDBY', "$who: $name says so on its raw port");
        is(sql($node, 'SELECT in_sight, fenced FROM pg_status_quorum()'), '3|f', "$who: $name has its majority");
        is_deeply([ errors($node, $offset{$name}) ], [], "$who: nothing was refused in the sessions of pollers on $name");
    }
    return;
}

# From sessions that are new to ones that were asked some times, and stay.
foreach my $round (
    [ 'a superuser',                    $conninfo ],
    [ 'with options in conninfo',       "$conninfo options='-c geqo=off -c lock_timeout=2ms'" ],
    [ 'a member of pg_monitor',         'dbname=postgres user=watcher' ]) {
    my ($who, $how) = @$round;
    subtest $who => sub {
        set_conf($_, 'pg_status.conninfo' => $how) foreach @nodes;
        foreach my $node (@nodes) {
            $node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE application_name LIKE 'pg\_status%'});
        }
        wait_roles(\@nodes, { primary => 'primary', standby1 => 'standby', standby2 => 'standby' });
        wait_for('each to have a session on each', sub { 9 == split ' ', sessions_of_pollers() });
        my $sessions = sessions_of_pollers();
        all_is_well($who);
        wait_polls(5, @nodes);
        is(sessions_of_pollers(), $sessions, "$who: the sessions are kept");
    };
}

# What an operator orders, and what is answered in SQL, in a session that has these defaults, too.
subtest 'sessions as they come' => sub {
    my $as_it_comes = sub {
        my ($query) = @_;
        my ($out, $error) = ask_as_it_comes(with_needed(way($primary, $user)), $query);
        diag($error) if $error ne '';
        return $out =~ s/\n\z//r;
    };
    foreach my $query (q{SELECT public.pg_status_master()}, q{SELECT public.pg_status_check('/primary')},
        q{SELECT public.pg_status_agent('agent')}, q{SELECT host, role, state, lag_bytes FROM public.pg_status_hosts()},
        q{SELECT role, state, timeline FROM public.pg_status_local()}, q{SELECT * FROM public.pg_status_quorum()},
        q{SELECT host, weight, votes_up, upstream, timeline FROM public.pg_status_hosts()}, q{SELECT public.pg_status_most_sync_by_bytes(1e12)},
        q{SELECT public.pg_status_version()}) {
        is($as_it_comes->($query), sql($primary, $query), $query);
    }

    my $host = name_of($standby2);
    $as_it_comes->("SELECT public.pg_status_set_weight('$host', 0.30000001)");
    my $weight = sub { my ($of) = grep { $_->{host} eq $host } @{ json_of(discover($primary, '/hosts')) }; return $of->{weight} };
    soon_is('all digits of a weight', 0.3, sub { sprintf '%.7g', $weight->() });
    # (a database without an encoding does not convert)
    my $letters = sql($primary, 'SHOW server_encoding') eq 'UTF8';
    my $reason  = $letters ? q{convert_from(E'\\\\x93fa967b', 'SJIS')} : q{'two letters'};
    $as_it_comes->("SELECT public.pg_status_detach_node('$host', false, $reason)");
    soon_is('a reason in letters of another encoding', $letters ? "\x{65e5}\x{672c}" : 'two letters',
        sub { my ($of) = grep { $_->{host} eq $host } @{ json_of(discover($primary, '/hosts')) }; return $of->{maintenance_reason} // '' });
    $as_it_comes->("SELECT public.pg_status_attach_node('$host')");
    wait_row($primary, $standby2, 'back', \&is_up);
};

subtest 'failover' => sub {
    wait_caught_up(@nodes);
    forget_session($primary);
    $primary->stop('immediate');
    $standby1->promote;
    my @left = ($standby1, $standby2);
    foreach my $node (@left) {
        wait_row($node, $standby1, 'as the primary', sub { is_up($_[0]) && $_[0]{role} eq 'primary' && $_[0]{timeline} == 2 });
        soon_is($node->name . ' names it', name_of($standby1), sub { sql($node, 'SELECT pg_status_master()') });
        soon_is($node->name . ' does not name the old one', 'down', sub { row($node, $primary)->{state} });
    }
    soon_is('/primary', 200, sub { code($standby1, '/primary') });
    soon_is('/read-write', 200, sub { code($standby1, '/read-write') });
    soon_is('its raw port: not fenced, with two of three in sight', 'MASTER', sub { raw_status($standby1) });
    is(code($standby2, '/primary'), 503, 'the other one stays a standby');
};

$_->stop foreach $standby2, $standby1;
done_testing;
