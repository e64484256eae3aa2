# A real Prometheus that watches test servers with the files of docs/prometheus as users get them. Only these are
# changed: the addresses and names of the targets, and times, so that a test need not wait for minutes: how often it
# scrapes and evaluates, how long a condition must hold (for:), and the windows of rates. Each change is checked to have
# been possible. Which alerts there should be is each test's own matter.
package PgStatus::Prometheus;

use strict;
use warnings;

use Carp;
use Exporter 'import';
use File::Basename;
use HTTP::Tiny;
use JSON::PP;
use PgStatus;
use PgStatus::Child;
use PgStatus::Http;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

our @EXPORT = qw(skip_without_prometheus);

# Debian has it where an ordinary user's PATH does not lead.
$ENV{PATH} .= ':/usr/local/bin';

my $docs = dirname(__FILE__) . '/../../../docs/prometheus';

my $interval = '250ms';    # of scraping and of evaluating
my $window   = '20s';      # of rates

# A test that is told to stop has to stop what it started: an exit runs END, which a signal by itself does not.
$SIG{$_} ||= sub { exit 1 }
  foreach qw(INT TERM HUP);

# Skips the whole test file where Prometheus or promtool is missing. (test/setup installs them.)
sub skip_without_prometheus {
    foreach my $program (qw(prometheus promtool)) {
        plan skip_all => "$program is not installed" unless grep { -x "$_/$program" } split /:/, $ENV{PATH};
    }
    return;
}

# ---- the files -----------------------------------------------------------------------------------------------------

# The n-th target is the n-th node.
sub local_targets {
    my ($text, @nodes) = @_;
    my @names = $text =~ /^ +labels: \{cluster: main, node: (\w+)\}$/mg;
    croak 'there are ' . @names . ' targets for ' . @nodes . ' nodes' unless @names == @nodes;
    foreach my $node (@nodes) {
        my $name = shift @names;
        my $place = '127.0.0.1:' . check_port($node);
        $text =~ s/'$name:8008'/'$place'/ or croak "no address of $name";
        $text =~ s/\bnode: $name\b/"node: '" . name_of($node) . "'"/e or croak "no name of $name";
    }
    my $given = $text =~ s/^( +(?:scrape|evaluation)_interval:) \d+s$/$1 $interval/mg;
    croak "$given intervals, not two" unless $given == 2;
    return $text;
}

sub sooner {
    my ($text)  = @_;
    my $alerts  = () = $text =~ /^ +- alert:/mg;
    my $changed = $text =~ s/^( +for:) \d+[smhd]$/$1 0s/mg;
    croak "$changed of $alerts alerts say for how long" unless $changed == $alerts;
    $text =~ s/\[\d+m\]/[$window]/g or croak 'no rule has a window';
    return $text;
}

sub write_to {
    my ($path, $text) = @_;
    open my $file, '>', $path or croak "could not write $path: $!";
    print $file $text;
    close $file or croak "could not write $path: $!";
    return;
}

# ---- the process ---------------------------------------------------------------------------------------------------

# Starts Prometheus with the check ports of nodes as its targets, in the order of scrape.yml; returns when it answers.
sub start {
    my ($class, @nodes) = @_;
    my $folder = PostgreSQL::Test::Utils::tempdir();
    my $port   = PostgreSQL::Test::Cluster::get_free_port();
    my $log    = dirname($nodes[0]->logfile) . '/' . basename($0, '.pl') . '_prometheus.log';
    my $self   = bless { place => "http://127.0.0.1:$port", client => HTTP::Tiny->new(timeout => 30) }, $class;
    write_to("$folder/scrape.yml", local_targets(read_from("$docs/scrape.yml", 0), @nodes));
    write_to("$folder/alerts.yml", sooner(read_from("$docs/alerts.yml", 0)));
    ($self->{pid}) = start_child(
        sub {
            open STDIN,  '<',  '/dev/null';
            open STDOUT, '>>', $log;
            open STDERR, '>>', $log;
            exec 'prometheus', "--config.file=$folder/scrape.yml", "--storage.tsdb.path=$folder/data",
              "--web.listen-address=127.0.0.1:$port"
              or POSIX::_exit(127);
        });
    wait_for('Prometheus',
        sub {
            croak 'Prometheus ended: ' . read_from($log, 0) if waitpid($self->{pid}, POSIX::WNOHANG()) != 0;
            return $self->{client}->get("$self->{place}/-/ready")->{success};
        });
    return $self;
}

sub stop { end_child($_[0]{pid}); return }

# ---- what it says --------------------------------------------------------------------------------------------------

# The data of an answer of its API, with the form's fields as the request; dies with its words when it refuses.
sub ask_api {
    my ($self, $path, %form) = @_;
    my $url    = "$self->{place}/api/v1/$path";
    my $answer = %form ? $self->{client}->post_form($url, \%form) : $self->{client}->get($url);
    my $said   = eval { decode_json($answer->{content}) } // { error => $answer->{content} };
    croak "Prometheus: $path: $said->{error}" unless ($said->{status} // '') eq 'success';
    return $said->{data};
}

# The samples of an expression now: [labels, value] each.
sub query {
    my ($self, $expression) = @_;
    return map { [ $_->{metric}, $_->{value}[1] ] } @{ $self->ask_api('query', query => $expression)->{result} };
}

# All rules, as Prometheus understood them: type is 'alerting' or 'recording'.
sub rules {
    my ($self) = @_;
    return map { @{ $_->{rules} } } @{ $self->ask_api('rules')->{groups} };
}

# Alerts that are raised: with this name, if one is given, and these labels.
sub raised {
    my ($self, $name, %labels) = @_;
    $labels{alertname} = $name if defined $name;
    return grep { my $of = $_->{labels}; !grep { ($of->{$_} // '') ne $labels{$_} } keys %labels }
      grep { $_->{state} eq 'firing' } @{ $self->ask_api('alerts')->{alerts} };
}

# Waits until every target was scraped anew, and the rules were evaluated with that.
sub wait_evaluated {
    my ($self) = @_;
    my $from = time;
    wait_for('new samples',
        sub { my @times = map { $_->[1] } $self->query('timestamp(up)'); @times && !grep { $_ <= $from } @times });
    # of two rounds the second has begun since then
    foreach (1 .. 2) {
        my $last = $self->last_evaluation;
        wait_for('the rules to be evaluated', sub { $self->last_evaluation ne $last });
    }
    return;
}

sub last_evaluation { return join ' ', map { $_->{lastEvaluation} } @{ $_[0]->ask_api('rules')->{groups} } }

1;
