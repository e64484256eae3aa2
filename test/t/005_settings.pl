# Settings: what is refused and how, what a reload changes, and what it leaves alone.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PgStatus;
use PgStatus::Worst qw(leave_to_test);
use PostgreSQL::Test::Cluster;
use Test::More;

leave_to_test(qw(log_statement log_min_duration_statement));    # as below
my $node = new_node('node');
my $self = name_of($node);
my $dead = '127.0.0.1:' . PostgreSQL::Test::Cluster::get_free_port();
my $user = getpwuid $<;
init_node($node,
    log_min_error_statement => 'panic',    # the server would log ALTER SYSTEM and what is in it
    'pg_status.hosts'     => "$self, $dead",
    'pg_status.max_hosts' => 4,
    'pg_status.conninfo'  => "dbname=postgres user=$user");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_status');
wait_for('the first polls', sub { sql($node, 'SELECT pg_status_ready()') eq 't' });

# setting (after "pg_status."), a value that must be refused, and what the error has to say beside the value itself
my @refused = (
    [ 'hosts', 'db1:',                       qr/"db1:"/,            'a missing port number' ],
    [ 'hosts', 'db1:0',                      qr/"db1:0".*65535/,    'port 0' ],
    [ 'hosts', 'db0, db1:70000',             qr/"db1:70000".*65535/, 'a port that is too high' ],
    [ 'hosts', 'db1:54x',                    qr/"db1:54x"/,         'a port that is no number' ],
    [ 'hosts', 'db1, db2, db1',              qr/"db1"/,             'the same name twice' ],
    [ 'hosts', 'db1 name=x, db2 name=x',     qr/"x"/,               'the same name= twice' ],
    [ 'hosts', 'db1 nmae=x',                 qr/"nmae(?:=x)?"/,     'an unknown attribute' ],
    [ 'hosts', 'db1 weight=heavy',           qr/weight/,            'a weight that is no number' ],
    [ 'hosts', '[::1:5432',                  qr/"\[::1:5432"/,      'an unclosed bracket' ],
    [ 'hosts', '::1',                        qr/"::1".*bracket/,    'IPv6 without brackets' ],
    [ 'hosts', 'db1,,db2',                   qr/[Ee]ntry 2/,           'an empty entry' ],
    [ 'hosts', 'a, b, c, d, e',              qr/\b4\b/,             'more hosts than max_hosts' ],
    [ 'allow', '10.0.0.0/33',                qr/"10\.0\.0\.0\/33"/, 'a prefix that is too long' ],
    [ 'allow', '10.1.2.3/8',                 qr/"10\.1\.2\.3\/8"/,  'bits to the right of the mask' ],
    [ 'allow', 'example.com',                qr/"example\.com"/,    'a name instead of a network' ],
    [ 'listen_addresses', '127.0.0.1, nope', qr/"nope"/,            'an address that is none' ],
    # which keyword is not said: in a badly quoted text it may be a part of the password
    [ 'conninfo', 'dbname=postgres sslmoed=require password=tell-nobody-2', qr/known keywords/, 'an unknown keyword' ],
    [ 'conninfo', 'dbname=postgres password=tell-nobody-2',                 qr/passfile/, 'a password' ],
    [ 'conninfo', 'host=elsewhere',                                                         qr/\bhost\b/,  'host in conninfo' ],
    [ 'conninfo', 'dbname = postgres password',                             qr/conninfo/, 'a keyword without a value' ],
    [ 'max_fails',     '0',     qr/0 is outside the valid range/,  'max_fails below 1' ],
    [ 'port',          '70000', qr/70000 is outside the valid range/, 'a port out of range' ],
    [ 'poll_interval', '0',     qr/outside the valid range/,       'no poll interval' ]);

sub shown { return sql($node, "SELECT current_setting('pg_status.$_[0]')") }
sub hosts { return sql($node, "SELECT string_agg(host, ' ' ORDER BY node_id) FROM pg_status_hosts()") }

# The last lines of a configuration file count, so this puts a setting back.
sub restore { return set_conf($node, map { ("pg_status.$_" => $_[0]{$_}) } keys %{ $_[0] }) }

subtest 'refused by ALTER SYSTEM' => sub {
    foreach (@refused) {
        my ($setting, $value, $told, $what) = @$_;
        my $before = shown($setting);
        my ($status, undef, $error) = $node->psql('postgres', "ALTER SYSTEM SET pg_status.$setting = '$value'");
        is($status, 3, "$setting: $what");
        my $reason = $error =~ s/\QALTER SYSTEM\E.*//rs =~ s/invalid value for parameter "[^"]*": "\Q$value\E"//r;
        like($reason, $told, 'with an error that names it');
        unlike($error, qr/tell-nobody/, 'and shows no password') if $setting eq 'conninfo';
        is(shown($setting), $before, 'nothing changed');
    }
};

subtest 'refused in postgresql.conf, at a reload' => sub {
    my %now    = map { $_ => shown($_) } qw(hosts allow listen_addresses conninfo max_fails port poll_interval);
    my $hosts  = hosts();
    my $poller = worker_pid($node, 'poller');
    foreach (@refused) {
        my ($setting, $value, $told, $what) = @$_;
        my $offset = log_offset($node);
        set_conf($node, "pg_status.$setting" => $value);
        # (an error that is told now may still be the one before)
        wait_for("the reload to refuse $what, and the log to say why",
            sub { log_text($node, $offset) =~ /contains errors/ && grep { $_ =~ $told } log_lines($node, $offset) });
        pass("$setting: $what is logged");
        is(shown($setting), $now{$setting}, 'and nothing changed');
        restore({ $setting => $now{$setting} });
    }
    is(hosts(), $hosts, 'the same hosts are polled');
    is(raw_status($node), 'MASTER', 'the raw port answers');
    is(worker_pid($node, 'poller'), $poller, 'the same poller runs');
};

subtest 'refused at the start' => sub {
    my $offset = log_offset($node);
    forget_session($node);
    my $conninfo = 'dbname=postgres sslmoed=require password=tell-nobody-3';
    configure($node, 'pg_status.hosts' => 'db1:', 'pg_status.conninfo' => $conninfo);
    $node->restart;
    is(sql($node, 'SELECT 1'), 1, 'the server starts');
    ok(scalar grep({ /DETAIL: .*"db1:"/ } log_lines($node, $offset)), 'the log names the entry');
    ok(scalar grep({ /DETAIL: .*known keywords/ } log_lines($node, $offset)), 'and why, without quoting it');
    wait_for('the raw port', sub { raw_status($node) eq 'MASTER' });
    configure($node, 'pg_status.hosts' => "$self, $dead",
        'pg_status.conninfo' => "dbname=postgres user=$user");
    forget_session($node);
    $node->restart;
    wait_for('the first polls', sub { (try_sql($node, 'SELECT pg_status_ready()') // '') eq 't' });
    is_deeply([ grep { /tell-nobody/ } log_lines($node) ], [], 'no password of any conninfo is in the log');
    is($node->safe_psql('postgres', 'CREATE ROLE nobody; SET ROLE nobody; SELECT count(*) FROM pg_settings '
          . "WHERE name = 'pg_status.conninfo' AND setting LIKE '%tell%'"), 0, 'nor is it shown to everyone');
};

subtest 'hosts come and go at a reload' => sub {
    my $poller = worker_pid($node, 'poller');
    wait_row($node, $dead, 'down', \&is_down);
    wait_row($node, $node, 'up', \&is_up);
    my ($mine, $theirs) = map { row($node, $_)->{last_change} } $node, $dead;

    my $other = '127.0.0.1:' . PostgreSQL::Test::Cluster::get_free_port();
    restore({ hosts => "$other name=newcomer, $self dc=here, $dead" });
    wait_for('the newcomer', sub { row($node, 'newcomer') });
    is(hosts(), "newcomer $self $dead", 'added, in the configured order');
    is_deeply([ @{ row($node, $node) }{qw(node_id dc state last_change)} ], [ 1, 'here', 'up', $mine ],
        'what is known of a host that stays is kept, its attributes change');
    is_deeply([ @{ row($node, $dead) }{qw(node_id state last_change)} ], [ 2, 'down', $theirs ],
        'also when it is down');
    is(sql($node, 'SELECT pg_status_master()'), $self, 'the primary is known throughout');
    is(sql($node, 'SELECT pg_status_ready()'),  't',   'and it stays ready');

    restore({ hosts => $self });
    wait_for('the others to be gone', sub { hosts() eq $self });
    is(row($node, $node)->{last_change}, $mine, 'removed, and the one that stays is as it was');
    restore({ hosts => "127.0.0.1:" . $node->port . " name=renamed" });
    wait_row($node, 'renamed', 'up', \&is_up);
    is(sql($node, 'SELECT pg_status_master()'), 'renamed', 'a host can be renamed');
    restore({ hosts => '' });
    wait_for('an empty list to mean this node',
        sub { my $rows = all_of($node); @$rows == 1 && $rows->[0]{master} && $rows->[0]{port} == $node->port });
    is(worker_pid($node, 'poller'), $poller, 'all of it without a restart of anything');
};

done_testing;
