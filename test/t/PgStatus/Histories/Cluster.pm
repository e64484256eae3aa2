# The servers of a history, and what can be done to them. Each act is done, waited for as far as it is our doing, and
# noted with the time before and after. It knows what was done to whom, and nothing of what pg_status makes of it.
#
# Acts, as they stand in a script:
#   kill X                 all processes at the same moment
#   stop X                 fast
#   start X                as it was
#   restart X SECONDS      stopped fast, started so much later
#   unsignal X             a standby is stopped and started without standby.signal
#   promote X [Y]          at the same moment
#   follow X Y             X, a standby, streams from Y from now on (if it can)
#   rebuild X Y HOW        X becomes a standby of Y by 'rewind' or 'backup'
#   freeze X               all processes; freeze_poller X: that one only; thaw X
#   refuse X Y             X's pg_status is not let into Y; what it has there is ended
#   shut_in X              nobody else is let into X; shut_out X: X is let in nowhere else; allow: everybody everywhere
#   cut X                  its cable is out; silence X: no packet comes or goes
#   drop X Y               what X sends to Y's port is lost; heal: all three of them are over
#   sessions X             sessions of pg_status on X are ended for a second, again and again
#   list X...              pg_status.hosts of all servers, by a reload
#   pause SECONDS
package PgStatus::Histories::Cluster;

use strict;
use warnings;

use Carp;
use File::Path qw(rmtree);
use PgStatus;
use PgStatus::Failover;
use PgStatus::Http;
use PgStatus::Watchers;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(clock_gettime usleep CLOCK_MONOTONIC);

# What all servers have; Truth derives its bounds from these, in seconds.
our %settings = (poll_interval => 0.2, fast_poll_interval => 0.05, poll_timeout => 0.5, max_fails => 3);

my $promotion_time = 10;    # a promotion that takes longer is not waited for

sub now { return clock_gettime(CLOCK_MONOTONIC) }

our @names = 'a' .. 'e';

# The servers a to e on paper, and one that all of them are copied from: a history begins without initdb and backups.
# $place: a Histories::Place.
sub new {
    my ($class, $place) = @_;
    my $self = bless { nodes => {}, place => $place, can => { network => $place->has_network } }, $class;
    $ENV{PGCTLTIMEOUT} = 8;    # a standby that cannot become consistent never gets ready
    my $template = $self->{template} = new_node('template');
    $self->{nodes}{$_} = new_node($_) foreach @names;
    move_to($self->{nodes}{$_}, $place->address($_)) foreach @names;
    init_node($template,
        shared_preload_libraries      => 'pg_status',
        dynamic_shared_memory_type    => 'mmap',    # killed servers leave nothing outside of their folder
        wal_log_hints                 => 'on',      # for pg_rewind
        wal_keep_size                 => '256MB',
        wal_retrieve_retry_interval   => '200ms',
        wal_sender_timeout            => '3s',      # a frozen standby holds up a fast shutdown for so long
        wal_receiver_timeout          => '3s',
        wal_receiver_status_interval  => '1s',
        recovery_target_timeline      => 'latest',
        restart_after_crash           => 'on',
        full_page_writes              => 'off',
        checkpoint_timeout            => '1h',
        'pg_status.poll_interval'     => "$settings{poll_interval}s",
        'pg_status.fast_poll_interval'=> 1000 * $settings{fast_poll_interval} . 'ms',
        'pg_status.poll_timeout'      => 1000 * $settings{poll_timeout} . 'ms',
        'pg_status.max_fails'         => $settings{max_fails});
    $template->start;
    $template->safe_psql('postgres', 'CREATE EXTENSION pg_status;'
          . ' CREATE TABLE written (branch text, seq int, PRIMARY KEY (branch, seq));'
          . ' CREATE TABLE promised (id text PRIMARY KEY)');
    create_watchers($template, values %{ $self->{nodes} });
    ($self->{can}{vote}) = $template->psql('postgres', q(ALTER SYSTEM SET pg_status.hosts = 'db1 vote=no')) == 0;
    $template->safe_psql('postgres', 'ALTER SYSTEM RESET ALL');
    $template->stop('fast');
    return $self;
}

# ---- beginning and end ---------------------------------------------------------------------------------------------

# Starts the servers of a history and waits until each pg_status names the primary.
sub begin {
    my ($self, $history) = @_;
    $self->{refused} = {};
    $self->{cut}     = {};
    $self->{list}    = [ @{ $history->{list} } ];
    $self->{fence}   = $history->{fence};
    $self->{servers} = {};
    foreach my $server (@{ $history->{servers} }) {
        $self->{servers}{ $server->{name} } = {
            %$server,
            node    => $self->{nodes}{ $server->{name} },
            role    => defined $server->{upstream} ? 'standby' : 'primary',
            up      => 0,
            frozen  => '',
            log     => -e $self->{nodes}{ $server->{name} }->logfile ? log_offset($self->{nodes}{ $server->{name} }) : 0
        };
    }
    foreach my $server (@{ $history->{servers} }) {
        $self->copy_template($self->{servers}{ $server->{name} });
        $self->bring_up($self->{servers}{ $server->{name} }) or die "$server->{name} does not start\n";
    }
    my $primary = $history->{servers}[0]{name};
    foreach my $server (grep { $_->{pg_status} } values %{ $self->{servers} }) {
        wait_for("$server->{name} to name the primary", sub {
            my ($status, $body) = $self->{place}->at($server->{name}, sub { discover($server->{node}, '/master') });
            return $status == 200 && $body eq name_of($self->{nodes}{$primary});
        });
    }
    return;
}

# The folder stays: by its number in the file system a server finds what its killed forerunner left.
sub copy_template {
    my ($self, $server) = @_;
    my $node   = $server->{node};
    my $folder = $node->data_dir;
    mkdir $folder, 0700 unless -d $folder;
    rmtree($folder, { keep_root => 1 });
    PostgreSQL::Test::Utils::system_log('cp', '-a', $self->{template}->data_dir . '/.', $folder) == 0
      or die "could not copy the template\n";
    chmod 0700, $folder;
    replace_conf($node,
        port                        => $node->port,
        unix_socket_directories     => $node->host,
        listen_addresses            => $self->{place}->listens,
        shared_preload_libraries    => $server->{pg_status} ? 'pg_status' : '',
        primary_conninfo            => $server->{upstream} ? conninfo_of($self->{nodes}{ $server->{upstream} }, $node) : '',
        'pg_status.port'            => raw_port($node),
        'pg_status.http_port'       => discovery_port($node),
        'pg_status.check_port'      => check_port($node),
        'pg_status.conninfo'        => 'dbname=postgres user=' . watcher_of($node),
        'pg_status.fence'           => $self->{fence} ? 'on' : 'off',
        'pg_status.hosts'           => $self->hosts);
    $self->write_hba($server);
    append_to_file("$folder/standby.signal", '') if $server->{role} eq 'standby';
    return;
}

sub hosts {
    my ($self) = @_;
    return join ', ', map { hosts_of($self->{nodes}{$_}) . ($self->{servers}{$_}{vote} ? '' : ' vote=no') }
      @{ $self->{list} };
}

sub end {
    my ($self) = @_;
    $self->{place}->heal;
    foreach my $server (values %{ $self->{servers} }) {
        forget_session($server->{node});
        kill 'CONT', @{ delete $server->{stopped} // [] };
        my $pid = running_pid($server) or next;
        kill 'QUIT', $pid;
    }
    foreach my $server (values %{ $self->{servers} }) {
        wait_for("the end of $server->{name}", sub { !processes_in($server) });
        $server->{node}->kill9;    # it is dead already; now its object knows
    }
    return;
}

# What the servers' logs say that nobody but pg_status can be the cause of.
sub trouble {
    my ($self) = @_;
    my @trouble;
    foreach my $name (sort keys %{ $self->{servers} }) {
        my $server = $self->{servers}{$name};
        push @trouble, map { "$name: $_" }
          grep { /PANIC:|TRAP:|AddressSanitizer|was terminated by signal|pg_status worker (?:cannot go on|was stuck)/ }
          log_lines($server->{node}, $server->{log});
    }
    return @trouble;
}

# ---- small things --------------------------------------------------------------------------------------------------

sub running_pid {
    my ($server) = @_;
    my $pid = postmaster_pid($server->{node}) or return undef;
    return (readlink "/proc/$pid/cwd" // '') eq $server->{node}->data_dir ? $pid : undef;
}

sub processes_in {
    my ($server) = @_;
    my $folder = $server->{node}->data_dir;
    return grep { (readlink "$_/cwd" // '') eq $folder } glob '/proc/[0-9]*';
}

# Whether it runs afterwards. One that waits for WAL that nobody has runs, and lets nobody in.
sub bring_up {
    my ($self, $server) = @_;
    wait_gone($server->{node});
    $server->{node}->kill9;    # one that has ended by itself
    $self->{place}->at($server->{name}, sub { $server->{node}->start(fail_ok => 1) });
    $server->{up} = running_pid($server) ? 1 : 0;
    return $server->{up};
}

sub bring_down {
    my ($self, $server) = @_;
    forget_session($server->{node});
    if (!running_pid($server)) {
        $server->{node}->kill9;
    } elsif (!$server->{node}->stop('fast', fail_ok => 1)) {
        kill_all($server->{node});
    }
    wait_for("the end of $server->{name}", sub { !processes_in($server) });
    $server->{up} = 0;
    return;
}

sub write_hba {
    my ($self, $server) = @_;
    my $path  = $server->{node}->data_dir . '/pg_hba.conf';
    my $rules = join '', map { 'host all ' . watcher_of($self->{nodes}{$_}) . " all reject\n" }
      grep { $self->{refused}{"$_ $server->{name}"} } sort keys %{ $self->{servers} };
    unlink $path;
    append_to_file($path, $rules . "local all,replication all trust\nhost all,replication all all trust\n");
    return;
}

# Brings pg_hba.conf of a running server up to date, and ends what is not let in any more.
sub apply_hba {
    my ($self, $server) = @_;
    $self->write_hba($server);
    return unless $server->{up} && $server->{frozen} ne 'all';
    my $pid = running_pid($server) or return;
    kill 'HUP', $pid;
    foreach my $name (grep { $self->{refused}{"$_ $server->{name}"} } sort keys %{ $self->{servers} }) {
        my $role = watcher_of($self->{nodes}{$name});
        try_sql($server->{node}, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '$role'");
    }
    forget_session($server->{node});
    return;
}

# ---- acts ----------------------------------------------------------------------------------------------------------

my %acts = (
    kill => sub {
        my ($self, $server) = @_;
        forget_session($server->{node});
        kill_all($server->{node});
        wait_for("the end of $server->{name}", sub { !processes_in($server) });
        @$server{qw(up frozen)} = (0, '');
        delete $server->{stopped};
    },
    stop    => sub { $_[0]->bring_down($_[1]) },
    start   => sub { $_[0]->bring_up($_[1]) },
    restart => sub {
        my ($self, $server, $seconds) = @_;
        $self->bring_down($server);
        usleep(1e6 * $seconds);
        $self->bring_up($server);
    },
    unsignal => sub {
        my ($self, $server) = @_;
        $self->bring_down($server);
        unlink $server->{node}->data_dir . '/standby.signal';
        @$server{qw(role upstream)} = ('primary', undef);
        $self->bring_up($server);
    },
    promote => sub {
        my ($self, @servers) = @_;
        foreach my $server (@servers) {
            append_to_file($server->{node}->data_dir . '/promote', '');
            kill 'USR1', running_pid($server) // next;
        }
        my $deadline = now() + $promotion_time;
        foreach my $server (@servers) {
            usleep(5000) until pid_status($server->{node}) eq 'ready' || now() > $deadline;
            @$server{qw(role upstream)} = ('primary', undef);
        }
    },
    follow => sub {
        my ($self, $server, $upstream) = @_;
        follow($server->{node}, $upstream->{node});
        $server->{upstream} = $upstream->{name};
    },
    rebuild => sub {
        my ($self, $server, $upstream, $how) = @_;
        $self->bring_down($server) if $server->{up};
        @$server{qw(role upstream)} = ('standby', $upstream->{name});
        $server->{node}->kill9;
        # one that gets no WAL that fits does not get ready, which is no failure of ours
        my $done = eval {
            $self->{place}->at($server->{name}, sub { rebuild($server->{node}, $upstream->{node}, $how) });
            1;
        };
        $server->{up} = running_pid($server) ? 1 : 0;
        $server->{ruined} = $done || $server->{up} || -e $server->{node}->data_dir . '/standby.signal' ? 0 : 1;
        forget_session($upstream->{node});
    },
    freeze => sub {
        my ($self, $server) = @_;
        forget_session($server->{node});
        my $pid = running_pid($server) // return;
        kill 'STOP', $pid;    # so that nothing new is started
        $server->{stopped} = [ processes_of($server->{node}) ];
        kill 'STOP', @{ $server->{stopped} };
        $server->{frozen} = 'all';
    },
    freeze_poller => sub {
        my ($self, $server) = @_;
        my $pid = worker_pid($server->{node}, 'poller') // return;
        $server->{stopped} = [$pid];
        kill 'STOP', $pid;
        $server->{frozen} = 'poller';
    },
    thaw => sub {
        my ($self, $server) = @_;
        kill 'CONT', @{ delete $server->{stopped} // [] };
        $server->{frozen} = '';
    },
    refuse   => sub { my ($self, $who, $where) = @_; $self->shut([ $who->{name}, $where->{name} ]) },
    shut_in  => sub { my ($self, $server) = @_; $self->shut(map { [ $_, $server->{name} ] } $self->others($server)) },
    shut_out => sub { my ($self, $server) = @_; $self->shut(map { [ $server->{name}, $_ ] } $self->others($server)) },
    allow    => sub {
        my ($self) = @_;
        $self->{refused} = {};
        $self->apply_hba($_) foreach values %{ $self->{servers} };
    },
    cut => sub {
        my ($self, $server) = @_;
        $self->{place}->cut($server->{name});
        $self->part(map { ("$_ $server->{name}", "$server->{name} $_") } $self->others($server));
    },
    silence => sub {
        my ($self, $server) = @_;
        $self->{place}->silence($server->{name});
        $self->part(map { ("$_ $server->{name}", "$server->{name} $_") } $self->others($server));
    },
    drop => sub {
        my ($self, $who, $where) = @_;
        $self->{place}->drop($who->{name}, $where->{name}, $where->{node}->port);
        $self->part("$who->{name} $where->{name}");
    },
    heal => sub {
        my ($self) = @_;
        $self->{place}->heal;
        $self->{cut} = {};
    },
    sessions => sub {
        my ($self, $server) = @_;
        try_sql($server->{node}, q{DO $$ BEGIN FOR i IN 1 .. 20 LOOP PERFORM pg_terminate_backend(pid) FROM
            pg_stat_get_activity(NULL) WHERE application_name LIKE 'pg\\_status %'; PERFORM pg_sleep(0.05);
            PERFORM pg_stat_clear_snapshot(); END LOOP; END $$} =~ s/\s*\n\s*/ /gr);
        forget_session($server->{node});
    },
    list => sub {
        my ($self, @servers) = @_;
        $self->{list} = [ map { $_->{name} } @servers ];
        my $hosts = $self->hosts;
        foreach my $server (grep { !$_->{ruined} } values %{ $self->{servers} }) {
            replace_conf($server->{node}, 'pg_status.hosts' => $hosts);
            my $pid = $server->{up} ? running_pid($server) : undef;
            kill 'HUP', $pid if $pid;
        }
    },
    pause => sub { my ($self, $seconds) = @_; usleep(1e6 * $seconds) });

sub others { my ($self, $server) = @_; return grep { $_ ne $server->{name} } sort keys %{ $self->{servers} } }

# Notes who gets nothing to whom through the network.
sub part { my ($self, @pairs) = @_; $self->{cut}{$_} = 1 foreach @pairs; return }

# Who has no pg_status asks nobody.
sub shut {
    my ($self, @pairs) = @_;
    my %where;
    foreach my $pair (grep { $self->{servers}{ $_->[0] }{pg_status} } @pairs) {
        $self->{refused}{"@$pair"} = 1;
        $where{ $pair->[1] } = 1;
    }
    $self->apply_hba($self->{servers}{$_}) foreach sort keys %where;
    return;
}

# Does it; returns what was done: { words, t0, t1, servers, refused, cut, list }, from servers on as it was afterwards.
sub act {
    my ($self, @words) = @_;
    my ($word, @more) = @words;
    my $do = $acts{$word} or croak "there is no act \"$word\"";
    die "\"$word\" needs --net\n" if $word =~ /\A(?:cut|silence|drop|heal)\z/ && !$self->{place}->has_network;
    my $t0 = now();
    $do->($self, map { $self->{servers}{$_} // $_ } @more);
    my %after;
    foreach my $name (keys %{ $self->{servers} }) {
        my $server = $self->{servers}{$name};
        $after{$name} = { map { $_ => $server->{$_} } qw(up role upstream frozen) };
    }
    return {
        words   => \@words,
        t0      => $t0,
        t1      => now(),
        servers => \%after,
        refused => { %{ $self->{refused} } },
        cut     => { %{ $self->{cut} } },
        list    => [ @{ $self->{list} } ]
    };
}

1;
