# The histories of test/histories, one after the other, and what became of them. It runs inside the place that
# test/histories has made. How a history is made and judged is in PgStatus::Histories.
use strict;
use warnings;

my $terminal;
BEGIN { open $terminal, '>&', \*STDOUT or die "STDOUT: $!" }    # PostgreSQL::Test::Utils takes STDOUT for its log

use FindBin;
use lib "$FindBin::RealBin/t", "$FindBin::RealBin/net";

# before what has to find another user, and what has to end before the namespaces do
BEGIN {
    if (grep { $_ eq '--net' } @ARGV) {
        require PgStatus::Histories::Namespaces;
        PgStatus::Histories::Namespaces::step_down($ENV{TEST_USER} || 'postgres');
    }
}

use Getopt::Long;
use PgStatus;
use PgStatus::Histories;
use Time::HiRes qw(time);

my (@seeds, $minutes, $fixed, $replay, $net);
my $acts = 8;
GetOptions('seed=i' => \@seeds, 'minutes=i' => \$minutes, 'acts=i' => \$acts, 'fixed' => \$fixed,
    'replay=s' => \$replay, 'net' => \$net)
  or exit 64;

my ($passed, $failed, $all_acts) = (0, 0, 0);
my %by_kind;
my @failures;

sub say_out { syswrite $terminal, "$_\n" foreach @_; return }

sub report {
    my ($name, $history) = @_;
    my @violations = @{ $history->{violations} };
    @violations ? $failed++ : $passed++;
    $all_acts += $history->{acts};
    say_out(sprintf
        '%s %s: %d acts, %d answers (%d %% sure), %d promises, %d violations (%.1f s, %.1f of them to judge)',
        @violations ? 'not ok' : 'ok', $name,
        @$history{qw(acts answers certain promises)}, scalar @violations,
        @$history{qw(seconds judging)});
    return unless @violations;
    $by_kind{ $_->{kind} }++ foreach @violations;
    my @told = map { '# ' . PgStatus::Histories::told_of($_) } @violations;
    my $again = 'test/histories ' . ($net ? '--net ' : '') . '--replay FILE';
    say_out(@told, "# when:", map({ "#   $_" } @{ $history->{times} }), "# to repeat it, $again with:",
        (map { "    $_" } split /\n/, $history->{script}));
    push @failures, map { "$name: " . s/\A# //r } @told;
    return;
}

sub try_one {
    my ($name, $make) = @_;
    my $history = eval { $make->() };
    if ($history) {
        report($name, $history);
    } else {
        die $@ if $@ =~ /\Ainterrupted/;
        $failed++;
        say_out("not ok $name: $@");
        push @failures, "$name: $@";
    }
    return;
}

$SIG{$_} = sub { die "interrupted\n" } foreach qw(INT TERM HUP);
eval {
    my @place     = $net ? PgStatus::Histories::Namespaces->new(@PgStatus::Histories::Cluster::names) : ();
    my $histories = PgStatus::Histories->new(@place);
    my $seeded = sub {
        my ($seed, %how) = @_;
        try_one("seed $seed", sub { $histories->from_seed($seed, acts => $acts, %how) });
    };
    if ($replay) {
        try_one('replay', sub { $histories->from_script(read_from($replay, 0)) });
    } elsif ($fixed) {
        $seeded->(@$_) foreach PgStatus::Histories::fixed();
    } elsif ($minutes) {
        my $end  = time + 60 * $minutes;
        my $seed = $seeds[0] // int(time) % 1_000_000;
        $seeded->($seed++) while time < $end;
    } else {
        @seeds = int(time) % 1_000_000 unless @seeds;
        $seeded->($_) foreach @seeds;
    }
    1;
} or do {
    $failed++;
    say_out("could not go on: $@");
};
say_out('', @failures) if @failures;
say_out('', sprintf '%d acts over %d histories; violations by kind: %s', $all_acts, $passed + $failed,
    join(', ', map { "$_ $by_kind{$_}" } sort keys %by_kind) || 'none');
say_out("$passed passed, $failed failed");
exit($failed || !$passed ? 1 : 0);
