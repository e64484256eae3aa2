# What the documents say, held against real servers: docs/reference.md names every setting, function, view, path and
# metric, with what it says of them, and nothing that does not exist; what docs/runbook.md shows can be run as it
# stands, a switchover included; each refusal of the check port is explained there; links lead somewhere.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use JSON::PP;
use PgStatus;
use PgStatus::Documents;
use PgStatus::Http;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# For pg_rewind; and so that a new primary still has what the old one, stopped a moment ago, has to begin with.
my @nodes = start_three(wal_log_hints => 'on', wal_keep_size => '256MB');
my ($primary, $standby1, $standby2) = @nodes;
open_http(@nodes);

# The servers under the names that the documents give them.
my %node_of = (db1 => $primary, db2 => $standby1, db3 => $standby2);
my $hosts   = join ', ',
  map { name_of($node_of{$_}) . " name=$_ application_name=" . $node_of{$_}->name } sort keys %node_of;
set_conf($_, 'pg_status.hosts' => $hosts) foreach @nodes;
foreach my $node (@nodes) {
    foreach my $name (sort keys %node_of) {
        wait_row($node, $name, 'up', sub { is_up($_[0]) && defined $_[0]{lag_ms} });
    }
    wait_for($node->name . ' to be ready', sub { code($node, '/readiness') == 200 });
    discover($node, '/master');
}

my $reference = document('docs/reference.md');
my $runbook   = document('docs/runbook.md');
my @sections  = sections_of($reference);

# Rows of a query as hashes.
sub rows_of {
    my ($query) = @_;
    return @{ decode_json(sql($primary, "SELECT coalesce(json_agg(q), '[]') FROM ($query) q")) };
}

# ---- settings ------------------------------------------------------------------------------------------------------

my @settings = rows_of(q(SELECT name, vartype, coalesce(unit, '') AS unit, boot_val, min_val, max_val, context
    FROM pg_settings WHERE name LIKE 'pg\_status.%' ORDER BY name));
# in no list, but it can be shown
foreach my $name (qw(pg_status.facts pg_status.opinions)) {
    push @settings, { name => $name, vartype => 'string', unit => '', boot_val => '', context => 'internal' }
      if sql($primary, "SELECT current_setting('$name', true) IS NOT NULL") eq 't';
}

# A number of a setting's unit as people write it.
sub value_of {
    my ($number, $unit) = @_;
    return $number if $number == 0 || $unit eq '';
    my @units = $unit eq 'ms' ? ([ d => 86_400_000 ], [ h => 3_600_000 ], [ min => 60_000 ], [ s => 1000 ])
      : $unit eq 's' ? ([ d => 86_400 ], [ h => 3600 ], [ min => 60 ])
      :                ();
    foreach (@units) { return $number / $_->[1] . $_->[0] if $number % $_->[1] == 0 }
    return $number . $unit;
}

my %in_force = (sighup => 'reload', postmaster => 'restart', internal => 'read only');

# The line that a setting's section begins with.
sub setting_line {
    my ($setting) = @_;
    my ($type, $unit) = @$setting{qw(vartype unit)};
    my $kind = { string => 'Text', bool => 'Switch' }->{$type} // { '' => 'Number', B => 'Bytes' }->{$unit} // 'Time';
    my $is_number = $type eq 'integer';
    my $default = $is_number ? value_of($setting->{boot_val}, $unit) : $setting->{boot_val} // '';
    my $line = "**$kind**, default " . ($default eq '' ? 'empty' : "`$default`");
    $line .= sprintf ', `%s` to `%s`', map { value_of($_, $unit) } @$setting{qw(min_val max_val)} if $is_number;
    return "$line; $in_force{ $setting->{context} }.";
}

subtest 'settings' => sub {
    my %begins;
    foreach my $section (@sections) {
        my ($name) = $section->[0] =~ /^`(pg_status\.\w+)`$/ or next;
        ($begins{$name}) = $section->[1] =~ /\A\s*(\S.*)$/m;
    }
    is($begins{ $_->{name} }, setting_line($_), $_->{name}) foreach @settings;
    is_deeply([ sort keys %begins ], [ sort map { $_->{name} } @settings ], 'all of them, and no other');
};

# ---- functions and views -------------------------------------------------------------------------------------------

my $of_extension = q(d.deptype = 'e' AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_status'));
my @functions    = rows_of(qq(
    SELECT proname AS name, pg_get_function_arguments(p.oid) AS arguments, proretset AS is_set,
        format_type(prorettype, NULL) AS type,
        array(SELECT grantee::regrole::text FROM aclexplode(coalesce(proacl, acldefault('f', proowner)))
            WHERE grantee <> proowner) AS grantees,
        array(SELECT name || ' ' || format_type(type, NULL)
            FROM unnest(proargnames, proallargtypes, proargmodes) WITH ORDINALITY AS u (name, type, mode, place)
            WHERE mode = 'o' ORDER BY place) AS columns
    FROM pg_depend d JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid WHERE $of_extension));
my @views = rows_of(qq(
    SELECT relname AS name,
        array(SELECT grantee::regrole::text FROM aclexplode(relacl) WHERE grantee <> relowner) AS grantees
    FROM pg_depend d JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid AND relkind = 'v'
    WHERE $of_extension));

# "name(argument type = default, ...) → type"
sub signature {
    my ($function) = @_;
    my @arguments = grep { !/^OUT / } split /, /, $function->{arguments};
    s/^IN // foreach @arguments;
    s/ DEFAULT (\S+?)(?:::.*)?$/ = $1/ foreach @arguments;
    my $type = ($function->{is_set} ? 'setof ' : '') . $function->{type};
    return "$function->{name}(" . join(', ', @arguments) . ") \xe2\x86\x92 $type";
}

sub who_may {
    my ($grantees) = @_;
    my %may = map { $_ => 1 } @$grantees;
    return $may{'-'} ? 'For everyone.' : $may{pg_monitor} ? 'For members of `pg_monitor`.'
      :                'For superusers, and whom they grant it.';
}

# The text under a heading; one that stands directly under another shares its own with it.
sub text_under {
    my ($heading) = @_;
    my $found = 0;
    foreach my $section (@sections) {
        $found ||= $section->[0] eq $heading;
        return $section->[1] if $found && $section->[1] =~ /\S/;
    }
    return undef;
}

subtest 'functions and views' => sub {
    foreach my $function (@functions) {
        my $signature = signature($function);
        my $text = text_under("`$signature`");
        ok(defined $text, $signature) or next;
        like($text, qr/\A\s*\Q${\ who_may($function->{grantees})}/, 'who may');
        # the columns of one row of another function are told there
        next if $function->{name} eq 'pg_status_host';
        my @told = map { s/ \| / /r } $text =~ /^\| `(\w+` \| [\w ]+) \|/mg;
        is_deeply([ map { s/`//r } @told ], [ map { short_type($_) } @{ $function->{columns} } ], 'columns');
    }
    foreach my $view (@views) {
        my $text = text_under("View `$view->{name}`");
        ok(defined $text, "view $view->{name}") or next;
        like($text, qr/\A\s*\Q${\ who_may($view->{grantees})}/, 'who may');
    }
    my @told = grep { /^(?:View )?`pg_status_/ } map { $_->[0] } @sections;
    is_deeply([ sort @told ],
        [ sort((map { '`' . signature($_) . '`' } @functions), map { "View `$_->{name}`" } @views) ],
        'all of them, and no other');
};

sub short_type { return $_[0] =~ s/ timestamp with time zone$/ timestamptz/r }

# ---- metrics -------------------------------------------------------------------------------------------------------

# Why a host is in maintenance has a metric of its own, while one is.
sub all_families {
    sql($primary, q(SELECT pg_status_detach_node('db3', reason => 'a test')));
    my @families = families_of(@nodes);
    sql($primary, q(SELECT pg_status_attach_node('db3')));
    return @families;
}

my @families = all_families();

subtest 'metrics' => sub {
    my %told;
    while ($reference =~ /^\| `(pg_status_\w+)` \| (\w+) \|([^|]*)\| (.*) \|$/mg) {
        my ($name, $type, $labels, $meaning) = ($1, $2, $3, $4);
        $told{$name} = { name => $name, type => $type, labels => [ sort $labels =~ /`(\w+)`/g ] } if $meaning =~ /\w/;
    }
    is_deeply($told{ $_->{name} }, $_, $_->{name}) foreach @families;
    is_deeply([ sort keys %told ], [ map { $_->{name} } @families ], 'all of them, and no other');
};

# ---- paths ---------------------------------------------------------------------------------------------------------

# The paths in the table of a port's source. One may have a name there that stands for it.
sub paths_in {
    my $source = document($_[0]);
    my %named  = $source =~ /^constexpr std::string_view (k\w+) = ("[^"]*");/mg;
    my @paths  = $source =~ /^    \{("[^"]*"|k\w+), (?:Kind|Topic)::/mg;
    return map { m{\A"(/.*)"\z} ? $1 : () } map { $named{$_} // $_ } @paths;
}

subtest 'paths' => sub {
    my ($part) = $reference =~ /^(## Ports, paths and lines\n.*?)^## /ms;
    my %told;
    while ($part =~ /^\| (discovery|check):[^|]*\| ([^|]*) \|/mg) {
        my ($port, $paths) = ($1, $2);
        $told{"$port $_"} = 1 foreach $paths =~ m{`(/[\w-]*)`}g;
    }
    my %served = map { $_ => 1 }
      (map { "discovery $_" } paths_in('src/answer/discovery.cpp')),
      (map { "check $_" } paths_in('src/answer/health.cpp'));
    cmp_ok(scalar keys %served, '>', 30, 'there are paths');
    is_deeply([ sort keys %told ], [ sort keys %served ], 'all of them, and no other');
    foreach (sort keys %told) {
        my ($port, $path) = split;
        my ($status) = $port eq 'check' ? check($primary, $path) : discover($primary, "$path?host=db1");
        isnt($status, 404, "$port: $path");
    }
    is(line($primary, 'agent'), "up\n", 'the line');
};

# ---- names and links in all documents ------------------------------------------------------------------------------

my @documents = qw(README.md docs/reference.md docs/runbook.md docs/http.md docs/haproxy/README.md);

subtest 'nothing is named that does not exist' => sub {
    my %known = map { $_->{name} => 1 } @functions, @views, @families;
    $known{"$_->{name}$_->{suffix}"} = 1
      foreach map { my $of = $_; map { { name => $of->{name}, suffix => $_ } } qw(_bucket _sum _count) }
      grep { $_->{type} eq 'histogram' } @families;
    # the name of a prepared statement, and of what another program calls its settings
    $known{$_} = 1 foreach qw(pg_status_probe pg_status__hosts);
    my %setting = map { $_->{name} => 1 } @settings;
    # files: the dashboard, those of the extension and of its packages, and the one that keeps maintenance over a restart
    $setting{"pg_status.$_"} = 1 foreach qw(json control orders spec);
    foreach my $path (@documents) {
        my $text = document($path);
        is_deeply([ grep { !$known{$_} } $text =~ /\b(pg_status_\w+)/g ], [], "$path: functions, views, metrics");
        is_deeply([ grep { !$setting{$_} } $text =~ /\b(pg_status\.[a-z_]+)/g ], [], "$path: settings");
    }
};

subtest 'links' => sub {
    foreach my $path (@documents, qw(CONTRIBUTING.md)) {
        my @broken;
        foreach (links_of($path)) {
            my ($file, $anchor) = @$_;
            my $there = exists_in_tree($file) && ($anchor eq '' || grep { $_ eq $anchor } anchors_of(document($file)));
            push @broken, "$file#$anchor" unless $there;
        }
        is_deeply(\@broken, [], $path);
    }
};

# ---- the runbook ---------------------------------------------------------------------------------------------------

subtest 'each refusal is explained' => sub {
    my @texts = document('src/answer/health.cpp') =~ m{^    /\* k\w+ +\*/ \{\d+, "([^"]+)"\}}mg;
    cmp_ok(scalar @texts, '>', 15, 'there are refusals');
    my ($table) = $runbook =~ /^(\| it says \|.*?)\n\n/ms;
    like($table, qr/`\Q$_\E`/, $_) foreach @texts;
};

# All statements of a text in a session of its own, as a user would type them in: what psql says of errors.
sub psql_errors {
    my ($node, $text) = @_;
    IPC::Run::run([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', '-' ],
        '<', \$text, '>', \my $out, '2>', \my $error);
    return $? ? $error || 'exit ' . ($? >> 8) : '';
}

subtest 'statements' => sub {
    my @blocks = blocks_of($runbook, 'sql');
    cmp_ok(scalar @blocks, '>', 15, 'there are some');
    foreach my $block (@blocks) {
        # what writes is for the primary, and only a standby has replay to pause
        my @on = $block =~ /ALTER EXTENSION/ ? ($primary) : $block =~ /pg_is_wal_replay_paused/ ? ($standby1)
          :                                                   ($primary, $standby1);
        is(psql_errors($_, $block), '', $_->name . ': ' . ($block =~ /\A(.{0,70})/)[0]) foreach @on;
    }
    # those in the text; promotions have a test of their own
    my @inline = grep { !/pg_promote/ } $runbook =~ /`(SELECT [^`]+)`/g;
    cmp_ok(scalar @inline, '>', 3, 'there are some in the text');
    is(psql_errors($primary, $_), '', $_) foreach @inline;
    isnt(psql_errors($primary, 'SELECT pg_status_promote();'), '', 'an error would be found');
};

# A command with the places of this test's servers.
sub local_places {
    my ($text) = @_;
    my %port = (8000 => \&discovery_port, 8008 => \&check_port);
    $text =~ s/\b(db\d):(8000|8008)\b/"127.0.0.1:" . $port{$2}->($node_of{$1})/ge;
    $text =~ s/\bnc (db\d) 5400\b/"nc 127.0.0.1 " . raw_port($node_of{$1})/ge;
    $text =~ s/\bnc (db\d) 8008\b/"nc 127.0.0.1 " . check_port($node_of{$1})/ge;
    $text =~ s{/var/log/postgresql/postgresql-15-main.log}{$primary->logfile}ge;
    return $text;
}

subtest 'commands' => sub {
    my @commands = map { split /\n/ } blocks_of($runbook, 'sh');
    cmp_ok(scalar @commands, '>', 8, 'there are some');
    foreach my $command (@commands) {
        IPC::Run::run([ 'bash', '-c', 'set -e -o pipefail; ' . local_places($command) ],
            '<', \'', '>', \my $out, '2>', \my $error);
        is($?, 0, $command) or diag $error;
        like($out, qr/\w/, 'it says something');
        unlike(local_places($command), qr/\bdb\d:/, 'of a server of this test');
    }
};

subtest 'maintenance' => sub {
    my ($detach) = $runbook =~ /"(SELECT pg_status_detach_node[^"]+)"/;
    my ($attach) = $runbook =~ /"(SELECT pg_status_attach_node[^"]+)"/;
    is(sql($_, $detach), 't', $_->name . ": $detach") foreach @nodes;
    is(row($_, 'db2')->{state}, 'maintenance', $_->name . ' has it in maintenance') foreach @nodes;
    is(raw_status($standby1), 'MAINT', 'as the table says: raw port');
    is(code($standby1, $_), 503, $_) foreach qw(/replica /read-only /readiness);
    is(code($standby1, $_), 200, $_) foreach qw(/health /liveness);
    is(line($standby1, 'agent?role=replica'), "up drain # new disk\n", 'agent');
    is((discover($primary, '/replica'))[1], 'db3', 'the discovery port names the other one') foreach 1 .. 4;
    is(sql($_, $attach), 't', $_->name . ": $attach") foreach @nodes;
    wait_for('it to be back', sub { raw_status($standby1) eq 'STANDBY' && code($standby1, '/replica') == 200 });
    pass('back in service');
};

# The new primary's place in connection strings of the runbook.
sub placed {
    my ($text) = @_;
    my $port = $standby1->port;
    my $user = getpwuid $<;
    return $text =~ s/host=db2\b/host=127.0.0.1 port=$port/r =~ s/-h db2\b/-h 127.0.0.1 -p $port/gr =~
      s/user=postgres\b/user=$user/r;
}

# Runs commands of the runbook, for the data of a folder; returns what they write.
sub run_commands {
    my ($text, $data) = @_;
    local $ENV{PGDATABASE} = 'postgres';
    $text = placed($text) =~ s{/path/to/data}{$data}gr;
    my $log = $primary->logfile . '.commands';
    unlink $log;
    # (a server that is started keeps its standard output)
    system("set -e; { $text } >'$log' 2>&1 </dev/null") == 0 or die "$text: " . read_from($log, 0);
    return read_from($log, 0);
}

# Waits until each node sees db2 as the primary of a timeline, and the others as standbys that follow it.
sub wait_led_by_db2 {
    my ($timeline) = @_;
    foreach my $node (@nodes) {
        foreach my $name (sort keys %node_of) {
            my $role = $name eq 'db2' ? 'primary' : 'standby';
            wait_row($node, $name, "as $role",
                sub {
                    my ($row) = @_;
                    return 0 unless is_up($row) && $row->{role} eq $role && defined $row->{lag_ms};
                    return $row->{timeline} == $timeline;
                });
        }
        pass($node->name . " sees all on timeline $timeline");
    }
    return;
}

subtest 'planned switchover' => sub {
    my ($part) = $runbook =~ /^(## Planned switchover\n.*?)(?=^## )/ms;
    my ($stop, $promote, $follow, $start) = blocks_of($part, '');
    sql($primary, 'CREATE ROLE replication LOGIN REPLICATION');
    wait_caught_up($primary, $standby1, $standby2);
    forget_session($primary);
    run_commands($stop, $primary->data_dir);
    $primary->_update_pid(0);
    wait_for('nobody to be the primary', sub { sql($standby1, 'SELECT pg_status_master() IS NULL') eq 't' });
    my $said = run_commands($promote, $primary->data_dir);
    my ($checkpoint) = $said =~ m{Latest checkpoint location: +(\S+)};
    my ($replayed)   = $said =~ m{^ +([0-9A-F]+/[0-9A-F]+)$}m;
    is(sql($standby1, "SELECT '$replayed'::pg_lsn >= '$checkpoint'"), 't', "all was replayed: $replayed, $checkpoint");
    is(raw_status($standby1), 'MASTER', 'the new primary');
    is(psql_errors($standby2, placed($follow)), '', 'another standby follows');
    run_commands($start, $primary->data_dir);
    $primary->_update_pid(1);
    wait_led_by_db2(2);
    unlike(log_text($standby2, 0), qr/split brain/, 'there were never two primaries');
};

subtest 'a server that became primary by mistake' => sub {
    my ($part) = $runbook =~ /^(## A rebuilt or cloned server\n.*?)(?=^## )/ms;
    my ($rebuild) = blocks_of($part, '');
    my ($rewind, $copy) = map { "$_\n" } split /\n/, $rebuild;
    sql($primary, 'SELECT pg_promote()');
    wait_for('two primaries', sub { sql($standby1, 'SELECT pg_status_is_split_brain()') eq 't' });
    forget_session($primary);
    $primary->stop('fast');
    my $data     = $primary->data_dir;
    my $settings = read_from("$data/postgresql.conf", 0);
    run_commands($rewind, $data);
    # as the runbook says, they came along
    isnt(read_from("$data/postgresql.conf", 0), $settings, 'the settings are those of the other server now');
    unlink "$data/postgresql.conf";
    $primary->append_conf('postgresql.conf', $settings);
    $primary->start;
    wait_led_by_db2(2);

    my $folder = PostgreSQL::Test::Utils::tempdir() . '/copy';
    run_commands($copy, $folder);
    ok(-e "$folder/standby.signal", 'a copy is a standby from its start on');
};

done_testing;
