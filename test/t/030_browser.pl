# The page in a real browser, on a real cluster with a cascade, through maintenance, a failover and the end of the
# server that answers: what it says at each moment, without being loaded again. No complaint in the console, no request
# to anybody else, a security policy that holds; on a narrow screen and in the dark, and by the keyboard alone.
#
# SCREENSHOTS=FOLDER keeps the pictures (docs/ui has those of the last release), and LOAD=SECONDS first lets the servers
# work for so long, with breaks, so that there is a history to be seen.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PgStatus;
use PgStatus::Browser;
use PgStatus::Failover;
use PgStatus::Http;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

skip_without_browser();

# db1 is the primary, db2 and db3 stream from it, db4 from db2. The page is that of db3, which lives through it all.
my ($db1, $db2, $db3, $db4) = my @nodes = start_cluster([qw(db1 db2 db3 db4)]);
my $hosts = join ', ', map { name_of($_) . ' name=' . $_->name . ' application_name=' . $_->name } @nodes;
foreach my $node (@nodes) {
    replace_conf($node, 'pg_status.hosts' => $hosts);
    $node->reload;
}
follow($db4, $db2);
wait_row($db3, 'db4', 'behind db2', sub { ($_[0]{upstream} // '') eq 'db2' });
wait_row($db3, $_, 'in step', sub { defined $_[0]{lag_ms} && ($_[0]{sync_state} // '') eq 'async' })
  foreach qw(db2 db3);

my $origin  = 'http://127.0.0.1:' . check_port($db3);
my $browser = PgStatus::Browser->new;

# ---- what the page shows -------------------------------------------------------------------------------------------

my $verdict = q{document.querySelector('#verdict').innerText.replace(/\s+/g, ' ').trim()};
my $tone    = q{document.querySelector('#verdict').dataset.tone};

sub card { return qq{document.querySelector('#cluster [data-host="$_[0]"]')} }
sub card_text { return card($_[0]) . q{.innerText.replace(/\s+/g, ' ').trim()} }

sub wait_verdict {
    my ($what, $pattern, $wanted_tone) = @_;
    ok($browser->wait_until("verdict of $what", qq{$pattern.test($verdict) && $tone === '$wanted_tone'}), $what);
    note($browser->eval($verdict));
    return;
}

sub picture {
    my ($name, %how) = @_;
    my $folder = $ENV{SCREENSHOTS} || PostgreSQL::Test::Utils::tempdir();
    $browser->screenshot("$folder/$name.png", full => 1, %how);
    cmp_ok(-s "$folder/$name.png", '>', 10_000, "picture $name");
    return;
}

# Nothing is wider than the screen, and nothing was complained of, nor asked of anybody else.
sub all_quiet {
    my ($what) = @_;
    is_deeply([ $browser->complaints ], [], "$what: no complaint");
    is_deeply([ map { $_->{url} } $browser->foreign_requests($origin) ], [], 'no request to anybody else');
    cmp_ok($browser->eval('document.documentElement.scrollWidth - document.documentElement.clientWidth'), '<=', 0,
        'nothing is too wide');
    return;
}

$browser->screen(1280, 900);
is($browser->open("$origin/ui"), 200, 'the page is there');

subtest 'a healthy cluster' => sub {
    wait_verdict('a healthy cluster', '/db1 is the primary\b.*3 standbys, all in sync/', 'ok');
    my $upstream = $browser->eval(q{Object.fromEntries([...document.querySelectorAll('#tree [data-host]')]
        .map((card) => {
            const up = card.closest('li').parentElement.closest('li');
            return [card.dataset.host, up ? up.querySelector('[data-host]').dataset.host : null];
        }))});
    is_deeply($upstream, { db1 => undef, db2 => 'db1', db3 => 'db1', db4 => 'db2' }, 'who streams from whom');
    my $states = $browser->eval(q{[...document.querySelectorAll('#cluster [data-host]')]
        .map((card) => [card.dataset.host, card.dataset.role, card.dataset.state].join(' ')).sort()});
    is_deeply($states, [ 'db1 primary up', map { "db$_ standby up" } 2 .. 4 ], 'roles and states');
    like($browser->eval(card_text('db3')), qr/answers this page/, 'which one answers');
    ok($browser->wait_until('votes', card_text('db4') . q{.includes('4 of 4 nodes see it')}), 'votes');
    like($browser->eval('document.title'), qr/\Adb1 is primary \x{b7} /, 'the title of the tab');
    like($browser->eval(q{document.querySelector('#facts').innerText}), qr/4 of 4 nodes in sight/, 'the majority');
};

subtest 'lag comes into the plot, and stays there' => sub {
    sql($db4, 'SELECT pg_wal_replay_pause()');
    sql($db1, 'CREATE TABLE filler AS SELECT i, repeat(i::text, 60) FROM generate_series(1, 10000) i');
    wait_verdict('a standby that is behind', '/db4/', 'warn');
    like($browser->eval(card_text('db4')), qr/replay is paused/, 'its card says why');
    sql($db4, 'SELECT pg_wal_replay_resume()');
    wait_verdict('it has caught up', '/all in sync/', 'ok');
    $browser->eval(q{document.querySelector('#plot input[value=bytes]').click()});
    my $rows = q{Object.fromEntries([...document.querySelectorAll('#legend tbody tr')]
        .map((row) => [row.dataset.host, row.cells[2].innerText]))};
    ok($browser->wait_until('the peak', "/MiB/.test($rows.db4)"), 'the highest lag of the last ten minutes, in bytes');
    is($browser->eval(q{document.querySelectorAll('#plot path.line[data-host]').length}), 3, 'a line for each standby');
    $browser->eval(q{document.querySelector('#plot input[value=ms]').click()});
};

subtest 'maintenance' => sub {
    sql($db3, "SELECT pg_status_detach_node('db2', reason => 'new disk')");
    wait_verdict('a standby that was taken out', '/2 of 3 standbys in sync/', 'ok');
    ok($browser->wait_until('the reason', card_text('db2') . q{.includes('new disk')}), 'its card has the reason');
    ok($browser->wait_until('the event', q{document.querySelector('#events [data-kind=maintenance]')?.innerText
        .includes('new disk')}), 'it is an event');
    picture('maintenance');
    sql($db3, q{SELECT pg_status_attach_node('db2')});
    wait_verdict('it is back', '/3 standbys, all in sync/', 'ok');
};

# Some megabytes now and then, which db4 at times replays late.
sub work_for {
    my ($seconds) = @_;
    my $end = time + $seconds;
    for (my $round = 0; time < $end; $round++) {
        sql($db4, 'SELECT pg_wal_replay_pause()') if $round % 5 == 2;
        sql($db1, 'INSERT INTO filler SELECT i, repeat(i::text, 60) FROM generate_series(1, 300) i, pg_sleep(0.02)')
          foreach 1 .. 20 + 60 * ($round % 4);
        sql($db1, 'SELECT pg_sleep(7)');
        sql($db4, 'SELECT pg_wal_replay_resume()') if $round % 5 == 2;
    }
    return;
}
work_for($ENV{LOAD} // 0);
wait_verdict('before the failover', '/3 standbys, all in sync/', 'ok');
picture('before');
all_quiet('before the failover');

# ---- the failover --------------------------------------------------------------------------------------------------

subtest 'the primary is killed' => sub {
    wait_caught_up($db1, $db2, $db3);
    $browser->eval(q{document.querySelector('#verdict').dataset.seen = 'before'});
    forget_session($db1);
    kill_all($db1);
    wait_verdict('no primary', '/No primary/', 'bad');
    ok($browser->wait_until('db1 down', card('db1') . q{.dataset.state === 'down'}), 'its card says that it is down');
    like($browser->eval('document.title'), qr/\ANO PRIMARY/, 'so does the tab');
    picture('during');
};

subtest 'another one is promoted' => sub {
    sql($db2, 'SELECT pg_promote()');
    wait_verdict('a new primary', '/db2 is the primary/', 'warn');
    follow($db3, $db2);
    ok($browser->wait_until('db3 behind db2', card('db3') . q{.closest('li').parentElement.closest('li')
        ?.querySelector('[data-host]').dataset.host === 'db2'}), 'db3 follows it');
    wait_verdict('what is left of it', '/db2 is the primary.*2 of 3 standbys in sync; db1 is down/', 'warn');
    my $events = $browser->eval(q{[...document.querySelectorAll('#events [data-kind=primary]')]
        .map((row) => row.innerText.replace(/\s+/g, ' '))});
    like($events->[0], qr/db2 is the primary now/, 'the newest event comes first');
    like($events->[1], qr/no primary now \(before: db1\)/, 'then the one before');
    is($browser->eval(q{document.querySelector('#verdict').dataset.seen}), 'before', 'it is still the page of before');
    picture('after');
};
all_quiet('after the failover');

subtest 'the killed primary comes back as one' => sub {
    start_again($db1);
    wait_verdict('two primaries', '/Split brain: db1 and db2 both say primary\. db2 is named/', 'bad');
    like($browser->eval('document.title'), qr/\ASPLIT BRAIN/, 'the tab says it, too');
    ok($browser->wait_until('the word on the card', card_text('db1') . q{.includes('says that it is primary, too')}),
        'and the card of the one that is not named');
    picture('split-brain');
    kill_all($db1);
    wait_verdict('one of them is gone', '/db2 is the primary.*2 of 3 standbys in sync; db1 is down/', 'warn');
    ok($browser->wait_until('the word on the card', card_text('db1') . q{.includes('make sure that it is stopped')}),
        'what it was is not forgotten');
    my $rows = q{[...document.querySelectorAll('#events [data-kind=split_brain]')].map((row) => row.innerText)};
    ok($browser->wait_until('its end', "/no split brain any more/.test($rows\[0])"), 'its end is an event');
    like($browser->eval($rows)->[1], qr/more than one primary/, 'as its beginning was');
};
all_quiet('after a split brain');

# ---- other screens, other hands ------------------------------------------------------------------------------------

subtest 'a telephone in the dark' => sub {
    my $light = $browser->eval(q{getComputedStyle(document.body).backgroundColor});
    $browser->screen(375, 812, scale => 2, mobile => 1, dark => 1);
    ok($browser->wait_until('the narrow layout', 'document.documentElement.clientWidth === 375'), '375 pixels');
    isnt($browser->eval(q{getComputedStyle(document.body).backgroundColor}), $light, 'other colours');
    my $wide = $browser->eval(q{[...document.querySelectorAll('body *')].filter((element) => {
        const box = element.getBoundingClientRect();
        return box.width > 1 && box.right > 375.5 && !element.closest('.vh, .scroll');
    }).map((element) => element.tagName + '.' + element.className)});
    is_deeply($wide, [], 'nothing leaves the screen');
    all_quiet('on a telephone');
    picture('phone');
    $browser->screen(1280, 900, dark => 1);
    picture('dark');
    $browser->screen(1280, 900);
};

subtest 'by the keyboard alone' => sub {
    $browser->eval('document.activeElement.blur()');
    my %reached;
    foreach (1 .. 60) {
        $browser->key('Tab');
        my $where = $browser->eval(q{(() => {
            const at = document.activeElement, style = getComputedStyle(at);
            const ring = at.matches('input[type=radio]') ? getComputedStyle(at.nextElementSibling) : style;
            return [at.id || at.getAttribute('href') || at.value || at.tagName,
                at === document.body || parseFloat(ring.outlineWidth) > 0];
        })()});
        last if $where->[0] eq 'BODY' && keys %reached;
        $reached{ $where->[0] } = $where->[1];
    }
    ok($reached{$_}, "Tab reaches $_, and it is to be seen") foreach qw(cursor ms SUMMARY /cluster /metrics);
    is_deeply([ grep { !$reached{$_} } keys %reached ], [], 'every place can be seen');
    $browser->eval(q{document.querySelector('#cursor').focus()});
    my $value = q{document.querySelector('#cursor').getAttribute('aria-valuetext')};
    $browser->key('ArrowLeft', 'ArrowLeft');
    like(my $earlier = $browser->eval($value), qr/\d\d:\d\d:\d\d: .*db3/, 'arrows move through the plot');
    $browser->key('Home');
    isnt($browser->eval($value), $earlier, 'Home goes to its beginning');
    $browser->key('Escape');
    is($browser->eval($value), 'now', 'Escape back to now');
    $browser->eval(q{document.querySelector('#plot input[value=ms]').focus()});
    $browser->key('ArrowRight');
    ok($browser->wait_until('bytes', q{document.querySelector('#plot input[value=bytes]').checked}),
        'a choice by an arrow');
    $browser->eval(card('db2') . q{.querySelector('summary').focus()});
    $browser->key('Enter');
    ok($browser->eval(card('db2') . q{.querySelector('details').open}), 'Enter unfolds');
    ok($browser->wait_until('details', '/127\.0\.0\.1, port \d+/.test(' . card_text('db2') . ')'), 'the details');
};
all_quiet('at the end');

# ---- the policy, and the end of the server -------------------------------------------------------------------------

subtest 'what looks like HTML is text' => sub {
    my $reason = q{<img src=x onerror="window.hacked = 1">};
    sql($db3, "SELECT pg_status_detach_node('db4', reason => '$reason')");
    foreach my $place (card('db4'), q{document.querySelector('#events')}) {
        ok($browser->wait_until('the reason', qq{$place.innerText.includes('$reason')}),
            'it is shown as it was written');
    }
    is($browser->eval(q{document.querySelectorAll('img').length}), 0, 'and makes nothing');
    sql($db3, q{SELECT pg_status_attach_node('db4')});
    wait_verdict('it is back', '/2 of 3 standbys in sync/', 'warn');
    all_quiet('with that');
};

subtest 'the policy is in force' => sub {
    # (later, because what the driver itself evaluates may do it)
    my $text = q{new Promise((done, failed) => setTimeout(() => {
        try { done((0, eval)('window.hacked = 1')); } catch (error) { failed(error); }
    }))};
    my $picture = q{new Promise((done) => { new Image().src = 'http://127.0.0.2:9/x.png'; setTimeout(done, 50); })};
    my $script  = q{document.head.append(document.createElement('script').appendChild(
        document.createTextNode('window.hacked = 1')).parentNode)};
    foreach my $attack (
        [ 'a script in a text',    $script ],
        [ 'HTML in a text',        q{document.body.innerHTML = '<img src=x onerror="window.hacked = 1">'} ],
        [ 'a text that is run',    $text ],
        [ 'another origin',        q{fetch('http://127.0.0.2:9/')} ],
        [ 'a picture from there',  $picture ],
        [ 'a form',                q{document.body.appendChild(document.createElement('form')).submit()} ])
    {
        my ($what, $js) = @$attack;
        $browser->forget;
        eval { $browser->eval($js) };
        my $complaints = wait_for("the browser to refuse $what", sub { my @all = $browser->complaints; @all && \@all });
        like("@$complaints", qr/Content Security Policy|CSP:/, "$what is refused");
        is($browser->eval('typeof window.hacked'), 'undefined', 'and does nothing');
    }
    $browser->open("$origin/ui");
    wait_verdict('loaded anew', '/db2 is the primary/', 'warn');
};

subtest 'the server that answers is stopped, and comes back' => sub {
    forget_session($db3);
    $db3->stop('fast');
    my $banner = q{document.querySelector('#banner')};
    ok($browser->wait_until('the banner', "!$banner.hidden"), 'the page says that nobody answers');
    like($browser->eval("$banner.innerText"), qr/as of \d\d:\d\d:\d\d/, 'and how old it is');
    is($browser->eval($tone), 'none', 'it claims nothing any more');
    $db3->start;
    ok($browser->wait_until('the end of it', "$banner.hidden"), 'it goes on by itself');
    wait_verdict('the end', '/db2 is the primary/', 'warn');
};

$browser->quit;
done_testing();
