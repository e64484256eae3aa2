# Cuts between nodes that are made with pg_hba.conf: each node connects as a role of its own, its watcher, and whom a
# server does not let in cannot see it. It knows nothing of what a node makes of that; packets are not touched.
package PgStatus::Watchers;

use strict;
use warnings;

use Exporter 'import';
use PgStatus;

our @EXPORT = qw(watcher_of create_watchers shut_out);

# The role that a node connects as.
sub watcher_of { return 'watch_' . $_[0]->name }

# Makes these roles on the primary.
sub create_watchers {
    my ($primary, @nodes) = @_;
    my @roles = map { watcher_of($_) } @nodes;
    $primary->safe_psql('postgres', join ' ', map { "CREATE ROLE $_ LOGIN IN ROLE pg_monitor;" } @roles);
    return;
}

# The watchers of these nodes are not let in; everybody else is. Those that are in are thrown out.
sub shut_out {
    my ($node, @from) = @_;
    my $rules = join '', map { 'host all ' . watcher_of($_) . " all reject\n" } @from;
    unlink $node->data_dir . '/pg_hba.conf';
    $node->append_conf('pg_hba.conf', $rules . "local all,replication all trust\nhost all,replication all all trust\n");
    $node->reload;
    foreach my $other (@from) {
        my $role = watcher_of($other);
        sql($node, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '$role'");
    }
    return;
}

1;
