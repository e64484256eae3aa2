# What people type at a terminal to ask the raw port: each command of the table in docs/reference.md is typed into a
# shell in a pseudo-terminal, with another command pasted behind it, which the shell gets if the first one has ended.
# And what README, runbook and demo show has to be of the kind that ends.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IO::Pty;
use IO::Select;
use PgStatus;
use PgStatus::Documents;
use PgStatus::Http;
use PgStatus::Watch;
use POSIX ();
use Test::More;

my $node = new_node('primary');
init_node($node, 'pg_status.hosts' => hosts_of($node));
$node->start;
open_http($node);
wait_for('the primary to be named', sub { (discover($node, '/master'))[0] == 200 });

# Commands as a reader would have to write them here.
sub local_places {
    my ($command) = @_;
    my %port = (5400 => raw_port($node), 8000 => discovery_port($node), 8008 => check_port($node));
    return $command =~ s{\b(?:db\d|127\.0\.0\.1)([ :/])(5400|8000|8008)\b}{"127.0.0.1$1$port{$2}"}ger;
}

# A shell in a terminal of its own.
sub open_shell {
    my $terminal = IO::Pty->new or die "no pseudo-terminal: $!";
    defined(my $pid = fork) or die "could not fork: $!";
    if (!$pid) {
        $terminal->make_slave_controlling_terminal;
        my $slave = $terminal->slave;
        close $terminal;
        open STDIN,  '<&', $slave;
        open STDOUT, '>&', $slave;
        open STDERR, '>&', $slave;
        local $ENV{PS1} = '';
        local $ENV{TERM} = 'dumb';
        exec 'bash', '--norc', '--noprofile', '--noediting', '-i' or POSIX::_exit(127);
    }
    $terminal->close_slave;
    return { terminal => $terminal, pid => $pid, said => '' };
}

sub close_shell {
    my ($shell) = @_;
    # its jobs have groups of their own; whoever reads from the terminal goes with it
    close $shell->{terminal};
    kill 'KILL', $shell->{pid};
    waitpid $shell->{pid}, 0;
    return;
}

sub type { my ($shell, $text) = @_; return syswrite $shell->{terminal}, $text }

# Reads until the condition is true, or until the time is up; returns whether it is.
sub said_within {
    my ($shell, $seconds, $condition) = @_;
    my $until  = PgStatus::Watch::now() + $seconds;
    my $select = IO::Select->new($shell->{terminal});
    while (!$condition->($shell->{said})) {
        my $left = $until - PgStatus::Watch::now();
        return 0 if $left <= 0;
        next unless $select->can_read($left);
        sysread $shell->{terminal}, $shell->{said}, 4096, length $shell->{said} or return 0;
    }
    return 1;
}

my $patience = $ENV{PG_TEST_TIMEOUT_DEFAULT} || 60;

# What becomes of a command: whether the word came, whether the shell has run what was given to it behind the command,
# and what was seen. $how: `pasted` at once; `typed` after the word, and again for as long as the command takes that;
# `stays`: pasted, and waited for a moment only.
sub try_in_terminal {
    my ($command, $how, $word) = @_;
    my $shell    = open_shell();
    my $more     = "echo pasted-\$((40 + 2))\n";
    my $is_run   = sub { $_[0] =~ /^pasted-42\r?$/m };
    my $answered = sub { $_[0] =~ /^\Q$word\E\r?$/m };
    type($shell, local_places($command) . "\n" . ($how eq 'typed' ? '' : $more));
    my $ended = $how eq 'pasted' && said_within($shell, $patience, $is_run);
    if ($how ne 'pasted') {
        said_within($shell, $patience, sub { $answered->($_[0]) || $is_run->($_[0]) });
        $ended = said_within($shell, $how eq 'typed' ? 0 : 2, $is_run);
    }
    for (my $tries = 0; $how eq 'typed' && !$ended && $tries < $patience; $tries++) {
        type($shell, $more);
        $ended = said_within($shell, 1, $is_run);
    }
    close_shell($shell);
    return ($answered->($shell->{said}) ? 1 : 0, $ended ? 1 : 0, $shell->{said});
}

my ($table) = document('docs/reference.md') =~ /^(\| client \| command \| in a terminal \|\n.*?)\n\n/ms;
my @rows = map { [ m/^\| (.*?) ?\| `([^`]+)` \| (.*) \|$/ ] } grep { /`/ } split /\n/, $table;
cmp_ok(scalar @rows, '>', 20, 'there is a table of clients');

# As the table says, what it tells of clients that stay, or lose their answer, is of these versions.
my $is_debian_12 = (eval { read_from('/etc/os-release', 0) } // '') =~ /^VERSION_ID="12"$/m;

foreach my $row (@rows) {
    my ($client, $command, $told) = @$row;
    my ($program) = $command =~ /^(\S+)/;
  SKIP: {
        skip "$program is not installed", 1
          unless $program eq 'read' || grep { -x "$_/$program" } split /:/, $ENV{PATH};
        my $how = $told eq 'stays open' ? 'stays' : $told =~ /pasted/ ? 'typed' : 'pasted';
        my ($answered, $ended, $said) = try_in_terminal($command, $how, 'MASTER');
        if ($told =~ /lose/) {
            ok($ended, "$command: $told") or diag $said;
        }
        elsif ($how eq 'stays' && !$is_debian_12) {
            ok($answered, "$command: gives the answer") or diag $said;
        }
        else {
            is("$answered $ended", $how eq 'stays' ? '1 0' : '1 1', "$command: $told") or diag $said;
        }
    }
}

# ---- what the documents show ---------------------------------------------------------------------------------------

# Each use of nc, or of telnet:// in curl: ended by its input, or with it from a pipe.
foreach my $path (qw(README.md docs/runbook.md docs/http.md docs/reference.md test/demo)) {
    my $text = document($path) =~ s/\Q$table\E//r;
    my @shown = $text =~ /^(?:.*[`"'(\$] ?|)((?:printf '[^']*' \| )?nc (?:-\w+ )*\S+ [\d\${][^`"'|\n]*)/mg;
    my @open  = grep { !m{</dev/null} && !/^printf / } @shown;
    is_deeply(\@open, [], "$path: each nc ends") or next;
    foreach my $command (grep { /\b(?:db\d|127\.0\.0\.1) (?:5400|8000|8008)\b/ } @shown) {
        my $word = $command =~ /5400/ ? 'MASTER' : undef;
        $command =~ s/\s+$//;
        next unless $word;
        my ($answered, $ended, $said) = try_in_terminal($command, 'pasted', $word);
        ok($answered && $ended, "$path: $command") or diag $said;
    }
}

# Lines to the other two ports come from a pipe.
foreach my $command (qq{printf 'master\\n' | nc db1 8000}, qq{printf 'agent?role=primary\\n' | nc db1 8008}) {
    my $word = $command =~ /8000/ ? name_of($node) : 'up';
    my ($answered, $ended, $said) = try_in_terminal($command, 'pasted', $word);
    ok($answered && $ended, $command) or diag $said;
}

done_testing;
