# A real browser without a window, which a test drives: pages are opened, looked at, measured, given keys, and what the
# browser complains about and whom it asks is written down. What a page should show is each test's own matter.
package PgStatus::Browser;

use strict;
use warnings;

use Carp;
use Exporter 'import';
use JSON::PP;
use MIME::Base64;
use parent 'PgStatus::Chromium';
use Test::More;
use Time::HiRes qw(time usleep);

our @EXPORT = qw(skip_without_browser);

my $json = JSON::PP->new->canonical->allow_nonref;    # for what people read

# What is watched in a page, and in workers and frames that have a process of their own.
my @watch = (
    [ 'Page.enable' ], [ 'Runtime.enable' ], [ 'Network.enable' ], [ 'Log.enable' ], [ 'Audits.enable' ],
    [ 'Page.setLifecycleEventsEnabled', enabled => JSON::PP::true ],
    [ 'Emulation.setFocusEmulationEnabled', enabled => JSON::PP::true ],
    [ 'Target.setAutoAttach', map { $_ => JSON::PP::true } qw(autoAttach waitForDebuggerOnStart flatten) ],
    [ 'Runtime.runIfWaitingForDebugger' ]);

my %key_of = (    # name -> key, code, number, text
    (map { $_ => [ $_, $_, { PageUp => 33, PageDown => 34, End => 35, Home => 36, Escape => 27, Tab => 9 }->{$_}, '' ] }
        qw(PageUp PageDown End Home Escape Tab)),
    (map { ; "Arrow$_" => [ "Arrow$_", "Arrow$_", { Left => 37, Up => 38, Right => 39, Down => 40 }->{$_}, '' ] }
        qw(Left Up Right Down)),
    Enter => [ 'Enter', 'Enter', 13, "\r" ], Space => [ ' ', 'Space', 32, ' ' ],
    Backspace => [ 'Backspace', 'Backspace', 8, '' ]);
my %modifier = (Alt => 1, Control => 2, Shift => 8);

# Skips the whole test file where there is no browser.
sub skip_without_browser {
    my $missing = PgStatus::Chromium::what_is_missing();
    plan skip_all => $missing if $missing;
    return;
}

# Starts a browser with one empty page of 1280 x 800; dies where there is none, or when it does not start.
sub new {
    my ($class) = @_;
    my $self = $class->start;
    $self->{$_} = {} foreach qw(loaded request_of);
    $self->{$_} = [] foreach qw(requests complaints);
    $self->ask(@$_) foreach @watch;
    $self->screen(1280, 800);
    return $self;
}

# ---- what happens in the page --------------------------------------------------------------------------------------

# The text of a value in the page.
sub text_of {
    my ($self, $object) = @_;
    my ($value) = grep { defined } @$object{qw(value description unserializableValue type)};
    return ref $value ? $json->encode($value) : $value;
}

# The text of an exception: what it says of itself, with the place.
sub exception_text {
    my ($self, $details) = @_;
    return $details->{exception} ? $self->text_of($details->{exception}) : $details->{text};
}

sub complain { my ($self, @words) = @_; push @{ $self->{complaints} }, join ' ', grep { defined } @words; return }

sub take_event {
    my ($self, $method, $event, $session) = @_;
    my $taken = {
        'Page.lifecycleEvent' => sub { $self->{loaded}{ $event->{loaderId} } = 1 if $event->{name} eq 'load' },
        'Page.javascriptDialogOpening' => sub {
            $self->complain("dialog ($event->{type}):", $event->{message});
            $self->post($session, 'Page.handleJavaScriptDialog', accept => JSON::PP::false);
        },
        'Inspector.targetCrashed'   => sub { $self->give_up('the page crashed') },
        'Target.attachedToTarget'   => sub { $self->post($event->{sessionId}, @$_) foreach @watch },
        'Runtime.consoleAPICalled'  => sub {
            $self->complain("console.$event->{type}:", map { $self->text_of($_) } @{ $event->{args} })
              if $event->{type} =~ /\A(?:warning|error|assert)\z/;
        },
        'Runtime.exceptionThrown' => sub {
            $self->complain('exception:', $self->exception_text($event->{exceptionDetails}));
        },
        'Log.entryAdded' => sub {
            my $entry = $event->{entry};
            $self->complain("$entry->{source} $entry->{level}:", @$entry{qw(text url)})
              if $entry->{level} =~ /\A(?:warning|error)\z/;
        },
        'Audits.issueAdded' => sub {
            my $details = $event->{issue}{details}{contentSecurityPolicyIssueDetails} or return;
            $self->complain('CSP:', @$details{qw(contentSecurityPolicyViolationType violatedDirective blockedURL)});
        },
        'Network.requestWillBeSent' => sub {
            $self->take_response($session, $event, $event->{redirectResponse}) if $event->{redirectResponse};
            $self->take_request($session, $event, @{ $event->{request} }{qw(method url)});
        },
        'Network.webSocketCreated'  => sub { $self->take_request($session, $event, 'GET', $event->{url}) },
        'Network.responseReceived'  => sub { $self->take_response($session, $event, $event->{response}) },
        'Network.loadingFailed'     => sub {
            my $request = $self->{request_of}{"$session $event->{requestId}"} or return;
            $request->{error} = join ' ', grep { defined } @$event{qw(errorText blockedReason)};
        }
    }->{$method} or return;
    $taken->();
    return;
}

sub take_request {
    my ($self, $session, $event, $method, $url) = @_;
    my $request = { method => $method, url => $url, status => undef, error => undef, headers => {} };
    push @{ $self->{requests} }, $self->{request_of}{"$session $event->{requestId}"} = $request;
    return;
}

sub take_response {
    my ($self, $session, $event, $response) = @_;
    my $request = $self->{request_of}{"$session $event->{requestId}"} or return;
    $request->{status}  = $response->{status};
    $request->{headers} = { map { lc $_ => $response->{headers}{$_} } keys %{ $response->{headers} } };
    return;
}

# ---- what a test does ----------------------------------------------------------------------------------------------

# Opens a URL; returns when it is loaded, with the status of the answer. Dies when there was none.
sub open {
    my ($self, $url) = @_;
    my $answer = $self->ask('Page.navigate', url => $url);
    croak "$url: $answer->{errorText}" if $answer->{errorText};
    my $loader = $answer->{loaderId} // return;    # another place in the same page
    $self->wait_for_message("$url to be loaded", sub { $self->{loaded}{$loader} });
    return ($self->{request_of}{"$self->{session} $loader"} // {})->{status};
}

# The value of a JavaScript expression in the page, as Perl has it; of a promise, what it promised. Dies with the text
# of an exception.
sub eval {
    my ($self, $expression) = @_;
    my %how = map { $_ => JSON::PP::true } qw(returnByValue awaitPromise userGesture);
    my $answer = $self->ask('Runtime.evaluate', expression => $expression, %how);
    croak 'in the page: ' . $self->exception_text($answer->{exceptionDetails}) if $answer->{exceptionDetails};
    return $answer->{result}{value};
}

# Polls until a JavaScript expression is true in the page; returns its value. Dies with $what and what it was last when
# $deadline seconds have passed. An exception counts as not true.
sub wait_until {
    my ($self, $what, $expression, $deadline) = @_;
    my $end = time + ($deadline // $PgStatus::Chromium::patience);
    while (1) {
        my $value = eval { $self->eval($expression) };
        return $value if $value;
        my $last = $@ =~ s/ at \S+ line \d+\.\n\z//r || $json->encode($value);
        croak "timed out waiting for: $what; last: $last" if time > $end || !$self->is_running;
        usleep(20_000);
    }
}

# The screen from now on, in CSS pixels; scale: device pixels for each of them (default 1); mobile: as telephones lay
# out (default 0); dark: what the page is told of the user's taste (default 0).
sub screen {
    my ($self, $width, $height, %how) = @_;
    $self->ask('Emulation.setDeviceMetricsOverride',
        width => $width + 0, height => $height + 0, deviceScaleFactor => ($how{scale} // 1) + 0,
        mobile => $how{mobile} ? JSON::PP::true : JSON::PP::false);
    my $scheme = { name => 'prefers-color-scheme', value => $how{dark} ? 'dark' : 'light' };
    $self->ask('Emulation.setEmulatedMedia', features => [$scheme]);
    return;
}

# Writes a PNG of what is on the screen to a file; full: of the whole page.
sub screenshot {
    my ($self, $path, %how) = @_;
    my %what = (format => 'png');
    if ($how{full}) {
        my $size = $self->ask('Page.getLayoutMetrics')->{cssContentSize};
        %what = (%what, captureBeyondViewport => JSON::PP::true, clip => { %$size, scale => 1 });
    }
    my $png = decode_base64($self->ask('Page.captureScreenshot', %what)->{data});
    CORE::open my $file, '>:raw', $path or croak "could not write $path: $!";
    print $file $png;
    close $file or croak "could not write $path: $!";
    return;
}

# Presses and releases keys one after the other: names of the table above or single characters, with modifiers before
# them: key('Tab', 'Shift+Tab', 'Enter', 'a').
sub key {
    my ($self, @names) = @_;
    foreach my $name (@names) {
        my ($before, $plain) = $name =~ /\A((?:(?:Alt|Control|Shift)\+)*)(.+)\z/s;
        my ($key, $code, $number, $text) = @{ $key_of{$plain} // key_of_character($plain) };
        my $held = 0;
        $held |= $modifier{$_} foreach split /\+/, $before;
        $text = '' if $before =~ /Alt|Control/;
        my %event = (key => $key, code => $code, windowsVirtualKeyCode => $number, modifiers => $held);
        my %down = length $text ? (type => 'keyDown', text => $text) : (type => 'rawKeyDown');
        $self->ask('Input.dispatchKeyEvent', %event, %$_) foreach \%down, { type => 'keyUp' };
    }
    return;
}

sub key_of_character {
    my ($character) = @_;
    croak "no key $character" unless length $character == 1;
    return [ $character, '', $character =~ /[A-Za-z0-9]/ ? ord uc $character : 0, $character ];
}

# ---- what a test is told -------------------------------------------------------------------------------------------

# All that came before a round trip through the page has been taken.
sub catch_up { $_[0]->eval('0'); return }

# Since the last forget(), a line of text for each: warnings and errors in the console, exceptions that nobody caught,
# what the network or the page's security policy refused, dialogs.
sub complaints { my ($self) = @_; $self->catch_up; return @{ $self->{complaints} } }

# What was asked for since the last forget(), in that order: {method, url, status (undef: no answer yet, or none), error
# (undef: none), headers of the answer}. What the page's security policy forbade is among them, with an error.
sub requests { my ($self) = @_; $self->catch_up; return @{ $self->{requests} } }

# Those of the requests that went, or wanted to go, anywhere but to "http://host:port".
sub foreign_requests {
    my ($self, $origin) = @_;
    return grep { $_->{url} !~ m{\A(?:\Q$origin\E(?:[/?#]|\z)|data:|about:)} } $self->requests;
}

# The headers of the newest answer for a URL: name in lower case -> value. Dies when there was none.
sub response_headers {
    my ($self, $url) = @_;
    my ($request) = grep { $_->{url} eq $url && $_->{status} } reverse $self->requests;
    return ($request // croak "no answer for $url")->{headers};
}

# From here on new complaints and requests only.
sub forget {
    my ($self) = @_;
    $self->catch_up;
    @$self{qw(complaints requests request_of)} = ([], [], {});
    return;
}

1;
