# pg_status.facts: what a server tells of its inside, held against the server's own files and views; that a role which
# can do nothing but log in gets it through the probe; and that a history file which is not there, or is damaged, is
# unknown and harms nothing. Of the text it knows the form, not what others make of it.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IO::Socket::INET;
use PgStatus;
use PostgreSQL::Test::Cluster;
use Test::More;
use Time::HiRes qw(time);

my $startup;    # a startup process that was stopped
END { kill 'CONT', $startup if $startup }

# What the server says: a hash of its lines, `forks` a list of [timeline, end].
my %run_told;    # node name -> "system identifier, start in microseconds", as told last

sub facts_of {
    my ($node, $session) = @_;
    my $query = q(SELECT current_setting('pg_status.facts'));
    my ($title, @lines) = split /\n/, $session ? $session->query($query) : sql($node, $query);
    die "not facts: $title\n" unless $title eq 'facts 1';
    my %facts = (forks => []);
    foreach (@lines) {
        my ($word, @fields) = split / /;
        if ($word eq 'fork') { push @{ $facts{forks} }, [@fields] }
        else                 { $facts{$word} = join ' ', @fields }
    }
    # (which run of which server it is, they all tell)
    $run_told{ $node->name } = join ' ', map { delete $facts{$_} // '?' } qw(system started);
    return \%facts;
}

sub wait_facts {
    my ($node, $what, $condition) = @_;
    return wait_for($node->name . " to tell $what",
        sub { my $facts = eval { facts_of($node) } // return 0; return $condition->($facts) && $facts });
}

sub history_file { return sprintf '%s/pg_wal/%08X.history', $_[0]->data_dir, $_[1] }

# The forks that a history file names, as PostgreSQL wrote them.
sub forks_in {
    my ($node, $timeline) = @_;
    return [ map { /^(\d+)\t([0-9A-F]+\/[0-9A-F]+)\t/ ? [ $1, short($2) ] : () }
          split /\n/, read_from(history_file($node, $timeline), 0) ];
}

# A position without leading zeros, as newer servers write it with some.
sub short { return $_[0] =~ s{/0+(?=.)}{/}r }

sub write_file {
    my ($path, $text) = @_;
    open my $file, '>', $path or die "$path: $!\n";
    print $file $text;
    close $file or die "$path: $!\n";
    return;
}

# A file that was of no use is looked at again after a second: asks for longer than that.
sub stays_unknown {
    my ($node, $what) = @_;
    my ($start, %seen) = (time);
    wait_for("$what to be looked at",
        sub {
            my $facts = facts_of($node);
            $seen{ "$facts->{timeline} " . ($facts->{history} // '') }++;
            return time > $start + 1.1;
        });
    is_deeply([ keys %seen ], ['3 '], "$what: the timeline is known, its history is not");
    return;
}

# "t" or "f": whether this server itself says that it streams.
sub streams { return sql($_[0], 'SELECT streaming FROM pg_status_local()') }

my %settings = (
    'pg_status.conninfo'        => 'dbname=postgres user=ordinary',
    wal_retrieve_retry_interval => '20ms',
    wal_keep_size               => 0,
    min_wal_size                => '32MB',
    wal_receiver_status_interval => '1s',
    checkpoint_timeout          => '1h');
my @nodes = map { new_node($_) } qw(primary standby cascade);
my ($primary, $standby, $cascade) = @nodes;
my $hosts = join ', ', map { name_of($_) } @nodes;

init_node($primary, 'pg_status.hosts' => $hosts, %settings);
$primary->start;
$primary->safe_psql('postgres', "CREATE EXTENSION pg_status; CREATE ROLE ordinary LOGIN;
    SELECT pg_create_physical_replication_slot('standby_slot')");
$primary->backup('base');
init_standby($standby, $primary,
    primary_conninfo  => conninfo_of($primary, $standby) =~ s/application_name=.*/application_name='the second one'/r,
    primary_slot_name => 'standby_slot');
$standby->start;
init_standby($cascade, $primary,
    primary_conninfo => conninfo_of($standby, $cascade) =~ s/application_name=.*//r, primary_slot_name => undef);
$cascade->start;
wait_roles(\@nodes, { primary => 'primary', standby => 'standby', cascade => 'standby' });

subtest 'a primary' => sub {
    my $facts = facts_of($primary);
    delete $facts->{oldest_wal};
    is_deeply($facts, { timeline => 1, history => 1, forks => [], read_only => 'off' },
        'its timeline, which is the first one, and no receiver');
    is($run_told{primary}, sql($primary, q{SELECT concat_ws(' ', (SELECT system_identifier FROM pg_control_system()),
        round(1000000 * extract(epoch FROM pg_postmaster_start_time()))::bigint)}), 'and which run of which server it is');

    wait_facts($primary, 'that old WAL is gone',
        sub {
            sql($primary, q(SELECT pg_logical_emit_message(false, 'x', 'x'), pg_switch_wal()));
            sql($primary, 'CHECKPOINT');
            return defined $_[0]{oldest_wal};
        });
    $facts = facts_of($primary);
    my $inside = $facts->{oldest_wal} =~ s/0\z/1/r;    # where a segment begins, PostgreSQL names the one before
    my ($named, $there) = split /\|/, sql($primary, "SELECT pg_walfile_name('$inside'),
        (SELECT min(name) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}\$')");
    is($named, $there, "the oldest WAL that is there begins at $facts->{oldest_wal}");
};

subtest 'standbys' => sub {
    my $facts = wait_facts($standby, 'that it streams', sub { $_[0]{receiver} eq 'streaming' });
    delete $facts->{oldest_wal};
    is_deeply($facts,
        { timeline => 1, history => 1, forks => [], receiver => 'streaming', read_only => 'off',
            upstream => '127.0.0.1 ' . $primary->port, name => 'the%20second%20one', slot => 'standby_slot' },
        'where it streams from, as whom, and with which slot');
    is(sql($primary, q(SELECT application_name FROM pg_stat_replication JOIN pg_replication_slots
        ON active_pid = pid WHERE slot_name = 'standby_slot')), 'the second one', 'the name that the primary knows');

    $facts = wait_facts($cascade, 'that it streams', sub { $_[0]{receiver} eq 'streaming' });
    delete $facts->{oldest_wal};
    is_deeply($facts,
        { timeline => 1, history => 1, forks => [], receiver => 'streaming', read_only => 'off',
            upstream => '127.0.0.1 ' . $standby->port, name => 'cascade' },
        'a cascaded one, whose receiver has no name of its own');
    is(sql($standby, 'SELECT application_name FROM pg_stat_replication'), 'cascade',
        'is called by the name of its cluster');
};

subtest 'an ordinary role' => sub {
    is(sql($primary, q(SELECT count(*) FROM pg_auth_members WHERE member = 'ordinary'::regrole)), 0,
        'the pollers may log in, and that is all');
    foreach my $node (@nodes) {
        my $row = wait_row($node, $cascade, 'streaming', sub { defined $_[0]{upstream} });
        is($row->{upstream}, name_of($standby), $node->name . ' knows whom the cascaded standby follows');
        is($row->{timeline}, 1, 'and its timeline');
        is(wait_row($node, $standby, 'streaming', sub { defined $_[0]{upstream} })->{upstream}, name_of($primary),
            'and whom the other one follows');
    }
    my $session = PgStatus::Session->new($cascade->connstr('postgres') . ' user=ordinary');
    is(facts_of($cascade, $session)->{upstream}, '127.0.0.1 ' . $standby->port, 'the role can read it itself');
    $session->close;
    is(sql($primary, q(SELECT count(*) FROM pg_settings WHERE name = 'pg_status.facts')), 0, 'it is not in lists');
    is(try_sql($primary, q(SET pg_status.facts = 'facts 1')), undef, 'and cannot be set');
};

subtest 'receivers as they are' => sub {
    my $conninfo = sql($standby, 'SHOW primary_conninfo');
    my $silent   = IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1') or die "no socket: $!\n";
    my $port     = $silent->sockport;
    set_conf($standby, primary_conninfo => $conninfo =~ s/port=\d+/port=$port/r);
    my $facts = wait_facts($standby, 'that it connects', sub { $_[0]{receiver} eq 'connecting' });
    is_deeply([ @$facts{qw(upstream name slot)} ], [ undef, undef, undef ], 'to a silent place: connected to nobody');
    is(streams($standby), 'f', 'the server itself does not say that it streams');
    my $row = wait_row($primary, $standby, 'not streaming', sub { !defined $_[0]{upstream} });
    ok(is_up($row), 'nor do the others, for whom it is up all the same');
    my %seen = map { facts_of($standby)->{receiver} => 1 } 1 .. 50;
    ok(!$seen{streaming}, 'and it goes on connecting');

    $silent->close;
    wait_facts($standby, 'that nobody is there', sub { $_[0]{receiver} eq 'none' });
    pass('a place where nobody listens: none');

    # the connection is made, and refused only when WAL is asked for, again and again
    set_conf($standby, primary_conninfo => $conninfo, primary_slot_name => 'nowhere');
    my $offset = log_offset($primary);
    %seen = ();
    my $until = time + 3;
    wait_for('many attempts',
        sub {
            $seen{ facts_of($standby)->{receiver} }++;
            $seen{'says so itself'}++ if streams($standby) eq 't';
            my @refused = log_text($primary, $offset) =~ /replication slot "nowhere" does not exist/g;
            return @refused >= 20 || time > $until && @refused >= 3;
        });
    note join ', ', map { "$_ $seen{$_}" } sort keys %seen;
    ok(!$seen{streaming} && !$seen{'says so itself'}, 'who is refused has never streamed');

    set_conf($standby, primary_slot_name => 'standby_slot');
    wait_facts($standby, 'that it streams again', sub { $_[0]{receiver} eq 'streaming' });
    wait_row($primary, $standby, 'streaming', sub { ($_[0]{upstream} // '') eq name_of($primary) });
    is(streams($standby), 't', 'and says so itself');
};

# After a switch, WAL ends where a segment does: a standby that begins there is sent nothing for a while.
subtest 'a silent sender' => sub {
    wait_caught_up($primary, $standby, $cascade);
    sql($primary, 'SELECT pg_switch_wal()');
    wait_caught_up($primary, $standby, $cascade);
    forget_session($cascade);
    $cascade->restart;
    my $start = time;
    wait_facts($cascade, 'that it streams', sub { $_[0]{receiver} eq 'streaming' });
    cmp_ok(time - $start, '<', 10, 'it streams as soon as it waits for its sender');
};

subtest 'read only' => sub {
    set_conf($primary, default_transaction_read_only => 'on');
    wait_facts($primary, 'that it is read only', sub { $_[0]{read_only} eq 'on' });
    local $ENV{PGOPTIONS} = join ' ', $ENV{PGOPTIONS} // (), '-c default_transaction_read_only=off';
    my $session = PgStatus::Session->new($primary->connstr('postgres'));
    is(facts_of($primary, $session)->{read_only}, 'on', 'whatever the session has for itself');
    $session->close;
    set_conf($primary, default_transaction_read_only => 'off');
    wait_facts($primary, 'that it is not', sub { $_[0]{read_only} eq 'off' });
    pass('and off again');
};

subtest 'a promotion that is asked for' => sub {
    wait_caught_up($primary, $standby, $cascade);
    forget_session($primary);
    $primary->stop('immediate');
    is(facts_of($standby)->{promoting}, undef, 'not yet');
    $startup = sql($standby, q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'startup'));
    kill 'STOP', $startup;
    my $before = time - 1;
    sql($standby, 'SELECT pg_promote(wait => false)');
    my $since = wait_facts($standby, 'that it was asked', sub { defined $_[0]{promoting} })->{promoting};
    ok($since / 1e6 >= $before && $since / 1e6 <= time + 1, 'and since when');
    is(facts_of($standby)->{promoting}, $since, 'which does not change');
    kill 'CONT', $startup;
    $startup = undef;
    my $facts = wait_facts($standby, 'another timeline', sub { $_[0]{timeline} == 2 && !exists $_[0]{receiver} });
    is($facts->{promoting}, undef, 'a primary is not promoted');
};

subtest 'the new timeline' => sub {
    my $forks = forks_in($standby, 2);
    is(scalar @$forks, 1, 'PostgreSQL has written where it began');
    my $facts = facts_of($standby);
    is($facts->{history}, 1, 'the whole history is known');
    is_deeply($facts->{forks}, $forks, "timeline 1 ends at $forks->[0][1]");
    $facts = wait_facts($cascade, 'the new timeline', sub { $_[0]{timeline} == 2 });
    is_deeply($facts->{forks}, $forks, 'the standby has the same history');
    foreach my $node ($standby, $cascade) {
        my $row = wait_row($node, $cascade, 'on the new timeline, with its lag',
            sub { ($_[0]{timeline} // 0) == 2 && defined $_[0]{lag_ms} });
        is($row->{upstream}, name_of($standby), $node->name . ' knows it through an ordinary role');
    }
    is(sql($cascade, 'SELECT timeline_id FROM pg_control_checkpoint()'), 1,
        'though its last restart point is on the old one');
};

# Nobody is polled, so nobody asks before the file is as it should be here.
subtest 'a history that cannot be read' => sub {
    set_conf($_, 'pg_status.hosts' => '127.0.0.1:1') foreach $standby, $cascade;
    foreach my $node ($standby, $cascade) {
        wait_for($node->name . ' to poll nobody',
            sub { sql($node, q(SELECT string_agg(host, ',') FROM pg_status_hosts())) eq '127.0.0.1:1' });
    }
    wait_for('the pollers to leave',
        sub { sql($cascade, q(SELECT count(*) FROM pg_stat_activity WHERE usename = 'ordinary')) eq '0' });
    wait_caught_up($standby, $cascade);
    sql($cascade, 'SELECT pg_promote(wait => false)');
    wait_for('it to be a primary', sub { sql($cascade, 'SELECT pg_is_in_recovery()') eq 'f' });

    my $path  = history_file($cascade, 3);
    my $whole = read_from($path, 0);
    my $random = join '', map { chr } 0 .. 255;
    write_file($path, $random);
    stays_unknown($cascade, 'a damaged file');
    write_file($path, substr $whole, 0, length($whole) - 5);
    stays_unknown($cascade, 'a file that was cut short');
    rename $path, "$path.away" or die "$path: $!\n";
    stays_unknown($cascade, 'a file that is not there');
    mkdir $path or die "$path: $!\n";
    stays_unknown($cascade, 'a folder');
    rmdir $path;
    my $forks = do { write_file($path, $whole); forks_in($cascade, 3) };
    is_deeply([ map { $_->[0] } @$forks ], [ 1, 2 ], 'whole again, it names two forks');
    my $facts = wait_facts($cascade, 'its history', sub { defined $_[0]{history} });
    is_deeply($facts->{forks}, $forks, 'which are told a moment later');
    write_file($path, $random);
    is_deeply(facts_of($cascade)->{forks}, $forks, 'it is read once');
    rename "$path.away", $path or die "$path: $!\n";
    is(raw_status($cascade), 'MASTER', 'the server took no harm');
    my @errors = grep { /(?:ERROR|FATAL|PANIC|WARNING): .*(?:history|timeline)/ } log_lines($cascade, 0);
    is_deeply(\@errors, [], 'and its log knows nothing of it');
};

done_testing;
