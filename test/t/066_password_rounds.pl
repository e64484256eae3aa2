# A password that takes its time: a server names the rounds of hashing that it takes, and a poller that did them all would
# ask nobody else meanwhile. With TLS and without, a real server whose password takes ten million is refused at once and
# told of; one of a hundred thousand is done.
use strict;
use warnings;
use Digest::SHA qw(hmac_sha256 sha256);
use FindBin;
use lib $FindBin::RealBin;
use MIME::Base64 qw(encode_base64);
use PgStatus;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

plan skip_all => 'openssl is not installed' unless grep { -x "$_/openssl" } split /:/, $ENV{PATH};

my ($server, $other, $watcher) = map { new_node($_) } qw(server other watcher);
init_node($_, shared_preload_libraries => '', 'pg_status.port' => undef) foreach $server, $other;
my $folder = $server->data_dir;
system_or_bail(qw(openssl req -new -x509 -days 3 -nodes -subj /CN=server -out), "$folder/server.crt", '-keyout', "$folder/server.key");
chmod 0600, "$folder/server.key";
configure($server, ssl => 'on');
$_->start foreach $server, $other;

# As PostgreSQL stores a password; without one, what no password fits.
sub verifier {
    my ($rounds, $password) = @_;
    my ($salt, $key) = ('saltsaltsaltsalt', "\0" x 32);
    if (defined $password) {
        my $last = $key = hmac_sha256($salt . pack('N', 1), $password);
        $key ^= $last = hmac_sha256($last, $password) foreach 2 .. $rounds;
    }
    my @keys = (sha256(hmac_sha256('Client Key', $key)), hmac_sha256('Server Key', $key));
    return "SCRAM-SHA-256\$$rounds:" . encode_base64($salt, '') . '$' . join ':', map { encode_base64($_, '') } @keys;
}

my $quick = verifier(100_000, 'secret');
foreach my $node ($server, $other) {
    $node->safe_psql('postgres', "CREATE ROLE $_->[0] LOGIN IN ROLE pg_monitor PASSWORD '$_->[1]'")
      foreach [ slow => $node == $server ? verifier(10_000_000) : verifier(4096, 'secret') ], [ quick => $quick ];
    open my $hba, '>', $node->data_dir . '/pg_hba.conf' or die "pg_hba.conf: $!";
    print $hba "local all all trust\nhost all slow,quick all scram-sha-256\n";
    close $hba;
    $node->reload;
}
my $passfile = PostgreSQL::Test::Utils::tempdir() . '/pass';
append_to_file($passfile, "*:*:*:*:secret\n");
chmod 0600, $passfile;

init_node($watcher, 'pg_status.hosts' => join(', ', map { name_of($_) . ' name=' . $_->name } $server, $other));
$watcher->start;
$watcher->safe_psql('postgres', 'CREATE EXTENSION pg_status');

foreach my $mode (qw(disable require)) {
    my $way = sub { my ($role, $sslmode) = @_; return "dbname=postgres user=$role passfile=$passfile sslmode=$sslmode" };
    subtest "sslmode=$mode" => sub {
        # (the other one has no TLS)
        set_conf($watcher, 'pg_status.hosts' => name_of($server) . ' name=server', 'pg_status.conninfo' => $way->('quick', $mode));
        my $row = wait_row($watcher, 'server', 'up, after a hundred thousand rounds', \&is_up);
        is($row->{last_error}, undef, 'a hundred thousand rounds are done');
        my $ssl = q{SELECT bool_or(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'quick'};
        soon_is('this is how it is asked', $mode eq 'require' ? 't' : 'f', sub { $server->safe_psql('postgres', $ssl) });

        my $mixed = $mode eq 'require' ? 'prefer' : $mode;
        set_conf($watcher, 'pg_status.hosts' => join(', ', map { name_of($_) . ' name=' . $_->name } $server, $other),
            'pg_status.conninfo' => $way->('slow', $mixed));
        my ($start, $oldest) = (time, 0);
        wait_for('the verdict', sub {
            my ($error, $age) = split /\|/, sql($watcher, q{SELECT
                (SELECT last_error FROM pg_status_host('server')),
                (SELECT extract(epoch FROM clock_timestamp() - last_success) FROM pg_status_host('other'))}), -1;
            $oldest = $age if $age ne '' && time - $start > 2 && $age > $oldest;
            return $error =~ /more than 200000 rounds of password hashing/ && time - $start > 6;
        });
        is(row($watcher, 'server')->{state}, 'down', 'ten million rounds are not done');
        is(row($watcher, 'other')->{state}, 'up', 'the other host is up');
        cmp_ok($oldest, '<', 3, sprintf 'and is asked all the while: last answer at most %.1f s old', $oldest);
    };
}
done_testing;
