# The worst defaults that a server, its databases and roles may legally have for sessions, all of them at once: what
# ends a query, changes how it is planned or printed, or which function or view a bare name means. A session that has not
# settled a thing for itself meets them, whatever its role.
#
# make_worst() gives them to a server that was never started: postgresql.conf for the server's own processes, ALTER
# ROLE ALL for every session (which goes before the file, where a test sets something). The tests' own sessions keep
# PostgreSQL's defaults, by way of PGOPTIONS, which a server must not inherit: see unshielded().
#
# WORST=1 in the environment does so with all servers of all tests. It needs nothing else of the tests.
package PgStatus::Worst;

use strict;
use warnings;

use Carp;
use Exporter 'import';
use IPC::Run ();

our @EXPORT_OK = qw(is_worst worst_node make_worst leave_to_test unshielded missing_in ask_as_it_comes with_needed);

# What every session may set: name, worst value, and the value of a session of the tests. What a PostgreSQL does not
# know is left out there.
my @of_users = (
    # what ends a query, or keeps it waiting
    [ default_transaction_isolation           => 'serializable',   'read committed' ],
    [ default_transaction_deferrable          => 'on',             'off' ],
    [ statement_timeout                       => '1ms',            '0' ],
    [ lock_timeout                            => '1ms',            '0' ],
    [ idle_in_transaction_session_timeout     => '1ms',            '0' ],
    [ client_connection_check_interval        => '1ms',            '0' ],
    [ tcp_user_timeout                        => '1s',             '0' ],
    [ tcp_keepalives_idle                     => '1',              '0' ],
    [ tcp_keepalives_interval                 => '1',              '0' ],
    [ tcp_keepalives_count                    => '1',              '0' ],
    [ exit_on_error                           => 'on',             'off' ],
    [ row_security                            => 'off',            'on' ],
    [ restrict_nonsystem_relation_kind        => 'view, foreign-table', '' ],
    # what a name, an operator or a literal means
    [ search_path                             => 'shadow, pg_catalog', '"$user", public' ],
    [ standard_conforming_strings             => 'off',            'on' ],
    [ backslash_quote                         => 'off',            'safe_encoding' ],
    [ transform_null_equals                   => 'on',             'off' ],
    [ array_nulls                             => 'off',            'on' ],
    [ xmloption                               => 'document',       'content' ],
    [ timezone_abbreviations                  => 'India',          'Default' ],
    [ default_tablespace                      => 'pg_global',      '' ],
    [ check_function_bodies                   => 'off',            'on' ],
    # how an answer is written
    [ DateStyle                               => 'SQL, DMY',       'ISO, MDY' ],
    [ IntervalStyle                           => 'iso_8601',       'postgres' ],
    [ TimeZone                                => 'Asia/Kathmandu', 'UTC' ],
    [ bytea_output                            => 'escape',         'hex' ],
    [ extra_float_digits                      => '-15',            '1' ],
    [ xmlbinary                               => 'hex',            'base64' ],
    [ client_encoding                         => 'SJIS',           'UTF8' ],
    [ quote_all_identifiers                   => 'on',             'off' ],
    [ client_min_messages                     => 'debug5',         'notice' ],
    # how it is planned
    [ jit                                     => 'on',             'off' ],
    [ jit_above_cost                          => '0',              '100000' ],
    [ jit_inline_above_cost                   => '0',              '500000' ],
    [ jit_optimize_above_cost                 => '0',              '500000' ],
    [ force_parallel_mode                     => 'on',             'off' ],
    [ debug_parallel_query                    => 'on',             'off' ],
    [ max_parallel_workers_per_gather         => '8',              '2' ],
    [ parallel_setup_cost                     => '0',              '1000' ],
    [ parallel_tuple_cost                     => '0',              '0.1' ],
    [ parallel_leader_participation           => 'off',            'on' ],
    [ min_parallel_table_scan_size            => '0',              '8MB' ],
    [ enable_seqscan                          => 'off',            'on' ],
    [ enable_indexscan                        => 'off',            'on' ],
    [ enable_nestloop                         => 'off',            'on' ],
    [ enable_hashjoin                         => 'off',            'on' ],
    [ enable_material                         => 'off',            'on' ],
    [ enable_sort                             => 'off',            'on' ],
    [ geqo_threshold                          => '2',              '12' ],
    [ from_collapse_limit                     => '1',              '8' ],
    [ join_collapse_limit                     => '1',              '8' ],
    [ plan_cache_mode                         => 'force_generic_plan', 'auto' ],
    [ stats_fetch_consistency                 => 'snapshot',       'cache' ],
    [ work_mem                                => '64kB',           '4MB' ],
);

# Only in ALTER ROLE, because the file would change what the server itself does: what /read-write has to say
# (052_read_only), whether WAL receivers get as far as to ask for WAL, whether anybody gets in at all (a login is a
# transaction, too), whether recovery cancels who is in its way. (transaction_timeout holds for a parallel worker that starts,
# whatever the session has set, so that it has to leave time for that.)
my @of_roles = (
    [ default_transaction_read_only           => 'on',             'off' ],
    [ idle_session_timeout                    => '1ms',            '0' ],
    [ transaction_timeout                     => '200ms',          '0' ],
    [ deadlock_timeout                        => '1ms' ],
);

# What only a superuser may set: name, worst value. The tests' sessions bear them.
my @of_superusers = (
    [ session_preload_libraries               => 'auto_explain' ],
    [ 'auto_explain.log_min_duration'         => '0' ],
    [ 'auto_explain.log_analyze'              => 'on' ],
    [ 'auto_explain.log_verbose'              => 'on' ],
    [ 'auto_explain.log_nested_statements'    => 'on' ],
    [ compute_query_id                        => 'on' ],
    [ lo_compat_privileges                    => 'on' ],
    [ log_duration                            => 'on' ],
    [ log_lock_waits                          => 'on' ],
    [ log_min_duration_statement              => '0' ],
    [ log_statement                           => 'all' ],
    [ log_statement_stats                     => 'on' ],
    [ max_stack_depth                         => '100kB' ],
    [ session_replication_role                => 'replica' ],
    [ track_functions                         => 'all' ],
    [ track_io_timing                         => 'on' ],
    [ update_process_title                    => 'off' ],
);

# What a session is given before it may set anything: in the file only.
my @of_backends = ([ ignore_system_indexes => 'on', 'off' ], [ log_disconnections => 'on' ]);

# In front of pg_catalog in search_path. Each says something that is not so, or is an error.
my @shadows = (
    'CREATE SCHEMA shadow',
    'GRANT USAGE ON SCHEMA shadow TO PUBLIC',
    (map { "CREATE DOMAIN shadow.$_->[0] AS pg_catalog.$_->[1] CHECK (false)" }
          [ text => 'text' ], [ pg_lsn => 'pg_lsn' ], [ int8 => 'int8' ], [ bool => 'bool' ]),
    (map { "CREATE FUNCTION shadow.$_->[0] RETURNS $_->[1] LANGUAGE sql AS \$\$ SELECT $_->[2] \$\$" }
          [ 'pg_is_in_recovery()',              'pg_catalog.bool',   'NOT pg_catalog.pg_is_in_recovery()' ],
          [ 'pg_current_wal_lsn()',             'pg_catalog.pg_lsn', q('0/1'::pg_catalog.pg_lsn) ],
          [ 'pg_last_wal_receive_lsn()',        'pg_catalog.pg_lsn', q('0/1'::pg_catalog.pg_lsn) ],
          [ 'pg_last_wal_replay_lsn()',         'pg_catalog.pg_lsn', q('0/1'::pg_catalog.pg_lsn) ],
          [ 'pg_is_wal_replay_paused()',        'pg_catalog.bool',   'true' ],
          [ 'pg_backend_pid()',                 'pg_catalog.int4',   '1' ],
          [ 'inet_client_addr()',               'pg_catalog.inet',   q('192.0.2.1'::pg_catalog.inet) ],
          [ 'clock_timestamp()',                'timestamptz',       q('2001-01-01'::timestamptz) ],
          [ 'pg_postmaster_start_time()',       'timestamptz',       'pg_catalog.clock_timestamp()' ],
          [ 'pg_last_xact_replay_timestamp()',  'timestamptz',       q('2001-01-01'::timestamptz) ],
          [ 'pg_walfile_name(pg_catalog.pg_lsn)', 'pg_catalog.text', q('000000FF0000000000000001'::pg_catalog.text) ],
          [ 'date_part(pg_catalog.text, timestamptz)', 'float8',     '1::float8' ],
          [ 'host(pg_catalog.inet)',            'pg_catalog.text',   q('192.0.2.1'::pg_catalog.text) ],
          [ 'current_setting(pg_catalog.text)', 'pg_catalog.text',   q('shadow'::pg_catalog.text) ],
          [ 'current_setting(pg_catalog.text, pg_catalog.bool)', 'pg_catalog.text', q('shadow'::pg_catalog.text) ],
          [ 'never(pg_catalog.text, pg_catalog.text)', 'pg_catalog.bool', 'false' ],
          [ 'never(pg_catalog.int4, pg_catalog.int4)', 'pg_catalog.bool', 'false' ],
          [ 'never(pg_catalog.int8, pg_catalog.int4)', 'pg_catalog.bool', 'false' ]),
    (map { "CREATE OPERATOR shadow.= (FUNCTION = shadow.never, LEFTARG = pg_catalog.$_->[0], RIGHTARG = pg_catalog.$_->[1])" }
          [qw(text text)], [qw(int4 int4)], [qw(int8 int4)]),
    (map { "CREATE VIEW shadow.$_ AS SELECT * FROM pg_catalog.$_ WHERE false" }
          qw(pg_stat_replication pg_stat_wal_receiver pg_replication_slots pg_stat_activity pg_settings)),
    (map { "CREATE FUNCTION shadow.$_() RETURNS TABLE (nothing pg_catalog.int4) LANGUAGE sql AS \$\$ SELECT 1 WHERE false \$\$" }
          qw(pg_control_system pg_control_checkpoint pg_control_recovery)),
    'GRANT SELECT ON ALL TABLES IN SCHEMA shadow TO PUBLIC',
);

# From PostgreSQL 17 on a trigger may run at each login, whoever's, and say something.
my @login_trigger = (
    q(CREATE FUNCTION shadow.on_login() RETURNS event_trigger LANGUAGE plpgsql AS $$ )
      . q(BEGIN IF pg_catalog.left(pg_catalog.current_setting('application_name'), 9) OPERATOR(pg_catalog.=) 'pg_status' THEN )
      . q(RAISE NOTICE 'of a login trigger'; RAISE LOG 'of a login trigger'; END IF; END $$),
    'CREATE EVENT TRIGGER on_login ON login EXECUTE FUNCTION shadow.on_login()',
    'ALTER EVENT TRIGGER on_login ENABLE ALWAYS',
);

# Whether all servers of all tests are to have them.
sub is_worst { return $ENV{WORST} ? 1 : 0 }

my @given;       # all of it that this PostgreSQL knows
my %left;        # names of what the test gives values to itself
my $shielded;

# Makes a node (of PostgreSQL::Test::Cluster) one whose servers have them, from init() on.
sub worst_node {
    my ($node) = @_;
    @PgStatus::Worst::Node::ISA = (ref $node);
    return bless $node, 'PgStatus::Worst::Node';
}

# For a test that is about these settings, or cannot do without them: they are what the test makes of them.
sub leave_to_test { my (@names) = @_; @left{@names} = (1) x @names; return }

# Gives them to a server that was initialized and never started. @as: the command that runs programs as its user, if any.
sub make_worst {
    my ($data, @as) = @_;
    my %known = map { $_ => 1 } ask_offline($data, \@as, 'SELECT name FROM pg_settings') =~ /"(\w+)"/g;
    $known{search_path} or croak "$data: its settings could not be read";
    delete @known{ keys %left };
    # it warns of each look for a login trigger
    delete $known{ignore_system_indexes} if $known{event_triggers};
    delete $known{session_preload_libraries} unless -e library_folder() . '/auto_explain.so';
    my $fits = sub { my ($name) = @_; return $name =~ /^auto_explain\./ ? $known{session_preload_libraries} : $known{$name} };
    my @for_all = grep { $fits->($_->[0]) } @of_superusers, @of_users;
    my @for_roles = grep { $fits->($_->[0]) } @of_roles;
    my @for_file = grep { $fits->($_->[0]) } @of_backends;

    # a client that is refused an order would go on; what is not obeyed here ends the test
    my @orders = (map({ "ALTER ROLE ALL SET $_->[0] = $_->[1]" } map { [ $_->[0], value_in_sql(@$_) ] } @for_all, @for_roles),
        @shadows, $known{event_triggers} ? @login_trigger : ());
    ask_offline($data, \@as, @orders);
    @given = (@for_all, @for_roles, @for_file);

    open my $file, '>>', "$data/postgresql.conf" or croak "$data/postgresql.conf: $!";
    print $file map { "$_->[0] = " . quoted($_->[1]) . "\n" } @for_all, @for_file;
    close $file or croak "$data/postgresql.conf: $!";
    shield(grep { defined $_->[2] } @given);
    return;
}

# search_path is a list of names, everything else one text.
sub value_in_sql { my ($name, $value) = @_; return $name eq 'search_path' ? $value : quoted($value) }
sub quoted       { return "'" . $_[0] =~ s/'/''/gr . "'" }

sub library_folder {
    my $program = $ENV{PG_CONFIG} || 'pg_config';
    chomp(my $folder = `$program --pkglibdir`);
    return $folder;
}

# Has statements obeyed in the databases that there are from the beginning, without a server; returns what was said.
sub ask_offline {
    my ($data, $as, @statements) = @_;
    my $text = '';
    foreach my $database (qw(template1 postgres)) {
        # to all databases at once, so once is enough
        my $input = join '', map { "$_\n" } $database eq 'postgres' ? grep { !/ROLE ALL/ } @statements : @statements;
        my ($out, $err);
        IPC::Run::run([ @$as, 'postgres', '--single', '-D', $data, $database ], '<', \$input, '>', \$out, '2>', \$err)
          or croak "postgres --single: $err";
        croak "postgres --single: $1" if $err =~ /((?:ERROR|FATAL|PANIC): .*)/;
        $text .= $out;
    }
    return $text;
}

# From now on what this program asks, and what it starts, is asked in sessions as they usually are; once is enough. What
# PGOPTIONS has already goes last.
sub shield {
    my (@settings) = @_;
    return if $shielded++;
    $ENV{PGOPTIONS} = join ' ', options_of(@settings), $ENV{PGOPTIONS} // ();
    return;
}

# Runs something without that: what starts a server, which would hand it on, or a session that is to meet the defaults.
sub unshielded {
    my ($code) = @_;
    local $ENV{PGOPTIONS};
    delete $ENV{PGOPTIONS};
    return $code->();
}

# What a session of a server that runs has otherwise than it should, one a line; '' when all is as bad as can be. That of
# the few which keep it from answering has to be seen by what they do. $connstr: for libpq.
sub missing_in {
    my ($connstr) = @_;
    # (of a Unix-domain socket, and in a parallel worker, which answers here, a tcp_ setting is 0)
    my @asked = grep { !is_needed($_->[0]) && $_->[0] !~ /^tcp_/ } @given;
    my $query = 'SELECT name, seen, wanted FROM (VALUES '
      . join(', ', map { sprintf "('%s', pg_catalog.current_setting('%s'), %s)", @$_[ 0, 0 ], quoted($_->[1]) } @asked)
      . ') v (name, seen, wanted) WHERE seen OPERATOR(pg_catalog.<>) wanted';
    my ($out, $err) = ask_as_it_comes(with_needed($connstr), $query);
    return $err =~ /^(?:psql|ERROR|FATAL)\b/m ? $out . $err : $out;    # (a login trigger may be warned of)
}

# Without these a query has no time to be answered, or is not allowed; and a DEBUG message comes before each answer.
sub is_needed {
    return $_[0] =~ /\A(?:default_transaction_isolation|(?:statement|transaction|idle_session)_timeout|client_min_messages)\z/;
}

# A connection string whose sessions can be asked, and have all other defaults, and the isolation level if so said.
sub with_needed {
    my ($connstr, $but) = @_;
    my $options = options_of(grep { is_needed($_->[0]) && $_->[0] ne ($but // '') } @given);
    return "$connstr options='" . $options =~ s/([\\'])/\\$1/gr . "'";
}

# The usual values, as options of a startup packet.
sub options_of { return join ' ', map { "-c $_->[0]=" . $_->[2] =~ s/([\\ ])/\\$1/gr } @_ }

# Puts a question in a session that has set nothing for itself; returns what psql wrote: output, errors.
sub ask_as_it_comes {
    my ($connstr, $query) = @_;
    my ($out, $err);
    unshielded(sub { IPC::Run::run([ 'psql', '-XAtq', '-d', $connstr, '-c', $query ], '<', \undef, '>', \$out, '2>', \$err) });
    return ($out, $err);
}

# ---- nodes ---------------------------------------------------------------------------------------------------------

package PgStatus::Worst::Node;

our @ISA;

sub init {
    my ($self, @how) = @_;
    $self->SUPER::init(@how);
    PgStatus::Worst::make_worst($self->data_dir);
    $self->{worst_unseen} = 1;
    return;
}

# The first time, it is seen that its sessions meet them.
sub start {
    my ($self, @how) = @_;
    my $started = PgStatus::Worst::unshielded(sub { $self->SUPER::start(@how) });
    return $started unless $started && delete $self->{worst_unseen};
    my $missing = PgStatus::Worst::missing_in($self->connstr('postgres'));
    Carp::croak($self->name . " has other defaults than it should: $missing") if $missing ne '';
    return $started;
}

sub restart { my ($self, @how) = @_; return PgStatus::Worst::unshielded(sub { $self->SUPER::restart(@how) }) }

1;
