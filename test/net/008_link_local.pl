# Two servers that poll each other over link-local IPv6 addresses, with the interface as README says, while replication
# goes over IPv4: the standby's row is found by its name, and so it is the other way round. The ports listen on such an
# address, too, and answer who comes from there.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/../t";
use PgNet;
use PgNet::Network qw(command);
use PgStatus;
use PgStatus::Http;
use Test::More;

my ($network, @nodes) = make_cluster([qw(db1 db2)]);
my ($db1, $db2) = @nodes;

my %link_local;
foreach my $node (@nodes) {
    wait_for($node->name . ' to have a link-local address',
        sub {
            my $shown = command('ip', '-n', $node->namespace, qw(-6 -o addr show dev eth0 scope link));
            return 0 if $shown =~ /tentative/;
            ($link_local{ $node->name }) = $shown =~ m{inet6 (fe80:[0-9a-f:]+)/} or return 0;
        });
}

foreach my $node (@nodes) {
    my $own = "$link_local{ $node->name }%eth0";
    $node->append_conf('pg_hba.conf', "host all,replication all fe80::/10 trust\n");
    configure($node,
        'pg_status.hosts'            => join(', ', map { '[' . uc($link_local{ $_->name }) . '%eth0] name=' . $_->name } @nodes),
        'pg_status.listen_addresses' => "127.0.0.1, $own",
        'pg_status.allow'            => '127.0.0.1, fe80::/10');
}
start_all(\@nodes);

sub all_see {
    my ($what, $upstream) = @_;
    foreach my $node (@nodes) {
        my $row = wait_row($node, 'db2', $what, sub { ($_[0]{replication_state} // '') eq 'streaming' });
        is($row->{sync_state}, 'async', $node->name . ": $what: its row is found");
        soon_is($node->name . ": $what: upstream", $upstream, sub { row($node, 'db2')->{upstream} });
    }
    return;
}

all_see('replication over IPv4', $db1->host . ':5432');

# From db1 to the port of db2, over the link.
my $answer = command($network->at('db1'), qw(curl -s -o /dev/null -w %{http_code} --max-time 20),
    "http://[$link_local{db2}%25eth0]:$PgNet::check_port/replica");
is($answer, 200, 'the check port answers at the link-local address');

sql($db2, q(ALTER SYSTEM SET primary_conninfo = 'user=postgres host=) . "$link_local{db1}%eth0'");
$db2->reload;
wait_for('replication over the link', sub { sql($db1, q(SELECT host(client_addr) FROM pg_stat_replication)) eq $link_local{db2} });
all_see('replication over the link, without an application_name', 'db1');

done_testing;
