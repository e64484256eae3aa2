// The C ABI of the core; see wall.h for its rules. Converts and catches, decides nothing.

#include "wall.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "answer/check.hpp"
#include "answer/standing.hpp"
#include "base/fixed_text.hpp"
#include "base/number.hpp"
#include "choose/choose.hpp"
#include "config/hosts.hpp"
#include "config/networks.hpp"
#include "config/orders.hpp"
#include "loop/listener.hpp"
#include "loop/poller.hpp"
#include "probe/history_file.hpp"
#include "probe/libpq_link.hpp"
#include "probe/opinions.hpp"
#include "probe/receiver_name.hpp"
#include "probe/server_facts.hpp"
#include "publish/lag_history.hpp"
#include "publish/own_opinions.hpp"
#include "version.h"

struct PgstPoller {
  explicit PgstPoller(pg_status::PollerSettings settings) : poller(std::move(settings)) {}
  pg_status::Poller poller;
};

struct PgstListener {
  PgstListener(pg_status::Server server, const char* version)
      : listener(std::move(server), version) {}
  pg_status::Listener listener;
};

namespace pg_status {
namespace {

void Say(PgstMessage* why, std::string_view text) noexcept {
  if (why != nullptr) CopyFixedText(why->text, text);
}

// Runs the body of a wall function. It returns a status itself, or throws.
template <typename Body>
PgstStatus Caught(PgstMessage* why, Body body) noexcept {
  Say(why, "");
  try {
    return body();
  } catch (const std::bad_alloc&) {
    Say(why, "out of memory");
    return PGST_OUT_OF_MEMORY;
  } catch (const std::exception& error) {
    Say(why, error.what());
    return PGST_FAILED;
  } catch (...) {
    Say(why, "an unknown exception");
    return PGST_FAILED;
  }
}

// The same for functions whose failure has one plain value.
template <typename Value, typename Body>
Value CaughtOr(Value fallback, Body body) noexcept {
  try {
    return body();
  } catch (...) {
    return fallback;
  }
}

// The server's style for what it shows as DETAIL: a full sentence.
std::string Sentence(std::string text) {
  if (!text.empty() && text.front() >= 'a' && text.front() <= 'z') {
    text.front() = static_cast<char>(text.front() - 'a' + 'A');
  }
  if (!text.empty() && text.back() != '.') text += '.';
  return text;
}

PgstStatus Invalid(PgstMessage* why, const std::string& reason) {
  Say(why, Sentence(reason));
  return PGST_INVALID;
}

template <typename T>
PgstStatus Checked(const Result<T>& result, PgstMessage* why) {
  return result ? PGST_OK : Invalid(why, result.error());
}

// Which port an entry without one means does not matter for whether the list is well-formed, but
// for two entries being the same place.
constexpr std::uint16_t kUsualPort = 5432;

Result<PollerSettings> Convert(const PgstPollerSettings& from) {
  Result<ConnectionOptions> connection =
      ParseConninfo(from.conninfo, from.application_name, from.poll_timeout_ms);
  if (!connection) return Error{"In pg_status.conninfo: " + connection.error()};
  Result<std::vector<HostEntry>> hosts =
      ParseHosts(from.hosts, connection->default_port, static_cast<std::size_t>(from.max_hosts));
  if (!hosts) return Error{"In pg_status.hosts: " + hosts.error()};

  PollerSettings to;
  to.hosts = std::move(hosts.value());
  to.connection = std::move(connection.value());
  to.max_hosts = static_cast<std::uint32_t>(from.max_hosts);
  to.limits.poll_interval_us = from.poll_interval_ms * kUsPerMs;
  to.limits.fast_poll_interval_us = from.fast_poll_interval_ms * kUsPerMs;
  to.limits.poll_timeout_us = from.poll_timeout_ms * kUsPerMs;
  to.limits.conn_max_age_us = from.conn_max_age_ms * kUsPerMs;
  to.limits.max_fails = from.max_fails;
  to.limits.sync_max_lag_ms = static_cast<std::uint64_t>(from.sync_max_lag_ms);
  to.limits.sync_max_lag_bytes = static_cast<std::uint64_t>(from.sync_max_lag_bytes);
  to.local.dc = from.dc;
  to.local.geo = from.geo;
  to.local.own.system_identifier = from.system_identifier;
  to.local.own.postmaster_start = from.postmaster_start_wall;
  to.fence = from.fence;
  return to;
}

Result<ListenerSettings> Convert(const PgstListenerSettings& from) {
  Result<std::vector<IpAddress>> addresses = ParseListenAddresses(from.listen_addresses);
  if (!addresses) return Error{"In pg_status.listen_addresses: " + addresses.error()};
  Result<std::vector<Network>> allowed = ParseNetworks(from.allow);
  if (!allowed) return Error{"In pg_status.allow: " + allowed.error()};

  ListenerSettings to;
  to.addresses = std::move(addresses.value());
  to.allowed = std::move(allowed.value());
  to.ports[static_cast<std::size_t>(Port::kRaw)] = static_cast<std::uint16_t>(from.port);
  to.ports[static_cast<std::size_t>(Port::kDiscovery)] = static_cast<std::uint16_t>(from.http_port);
  to.ports[static_cast<std::size_t>(Port::kCheck)] = static_cast<std::uint16_t>(from.check_port);
  to.max_clients = static_cast<std::size_t>(from.max_clients);
  to.client_timeout_us = from.client_timeout_ms * kUsPerMs;
  to.fence = from.fence;
  return to;
}

// The enumerations that both sides of the wall have under their own names.
static_assert(static_cast<int>(NodeState::kStarting) == PGST_NODE_STARTING);
static_assert(static_cast<int>(NodeState::kPrimary) == PGST_NODE_PRIMARY);
static_assert(static_cast<int>(NodeState::kStandby) == PGST_NODE_STANDBY);
static_assert(static_cast<int>(NodeState::kStopping) == PGST_NODE_STOPPING);
static_assert(static_cast<int>(Route::kMaster) == PGST_ROUTE_MASTER);
static_assert(static_cast<int>(Route::kReplica) == PGST_ROUTE_REPLICA);
static_assert(static_cast<int>(Route::kSyncByTime) == PGST_ROUTE_SYNC_BY_TIME);
static_assert(static_cast<int>(Route::kSyncByBytes) == PGST_ROUTE_SYNC_BY_BYTES);
static_assert(static_cast<int>(Route::kSyncByTimeOrBytes) == PGST_ROUTE_SYNC_BY_TIME_OR_BYTES);
static_assert(static_cast<int>(Route::kSyncByTimeAndBytes) == PGST_ROUTE_SYNC_BY_TIME_AND_BYTES);
static_assert(static_cast<int>(Route::kMostSyncByBytes) == PGST_ROUTE_MOST_SYNC_BY_BYTES);

NodeFacts Convert(const PgstNodeFacts& from) {
  NodeFacts to;
  to.state = static_cast<NodeState>(from.state);
  to.timeline = from.timeline;
  to.server_version = from.server_version;
  to.postmaster_start = from.postmaster_start_wall;
  to.system_identifier = from.system_identifier;
  to.written = from.written;
  to.received = from.received;
  to.replayed = from.replayed;
  to.latest_end = from.latest_end;
  to.replay_commit = from.replay_commit_wall;
  to.has_receiver = from.has_receiver;
  to.streaming = from.streaming;
  to.replay_paused = from.replay_paused;
  if (from.has_read_only) to.read_only = from.read_only;
  CopyFixedText(to.cluster_name, from.cluster_name);
  return to;
}

static_assert(static_cast<int>(ReceiverState::kNone) == PGST_RECEIVER_NONE);
static_assert(static_cast<int>(ReceiverState::kConnecting) == PGST_RECEIVER_CONNECTING);
static_assert(static_cast<int>(ReceiverState::kStreaming) == PGST_RECEIVER_STREAMING);
static_assert(PGST_MAX_FORKS == kMaxForks);

void Convert(const TimelineHistory& from, PgstHistory& to) {
  to = PgstHistory{};
  to.from = from.from;
  for (const Fork& fork : from.forks) {
    PgstFork& place = to.forks[to.fork_count++];
    place.timeline = fork.timeline;
    place.end = fork.end;
  }
}

TimelineHistory Convert(const PgstHistory& from) {
  TimelineHistory to;
  to.from = from.from;
  for (std::uint32_t i = 0; i < from.fork_count; ++i) {
    to.forks.push_back({from.forks[i].timeline, from.forks[i].end});
  }
  return to;
}

ServerFacts Convert(const PgstServerFacts& from) {
  ServerFacts to;
  to.timeline = from.timeline;
  if (from.has_history) to.history = Convert(from.history);
  if (from.has_receiver) to.receiver = static_cast<ReceiverState>(from.receiver);
  to.upstream_host = from.upstream_host;
  to.upstream_port = from.upstream_port;
  to.receiver_name = ReceiverName(from.receiver_conninfo, from.receiver_fallback).value_or("");
  to.receiver_slot = from.receiver_slot;
  if (from.promoting_since_wall != 0) to.promoting_since = from.promoting_since_wall;
  if (from.oldest_wal != 0) to.oldest_wal = from.oldest_wal;
  if (from.has_read_only) to.read_only = from.read_only;
  to.address = from.address;
  to.system_identifier = from.system_identifier;
  to.postmaster_start = from.postmaster_start_wall;
  return to;
}

World WorldOf(const PgstView& view) {
  World world;
  world.snapshot = view.snapshot;
  world.poller_alive = view.poller_alive_mono;
  world.now = EventLoop::Now();
  world.wall_now = EventLoop::WallNow();
  world.fence = view.fence;
  world.orders = view.orders;
  world.order_count = view.order_count;
  world.node = Convert(*view.node);
  world.node.state = Fenced(world.node.state, world);
  return world;
}

// Another process may take its turn between our look at the cursor and our move: then the choice is
// made anew, so that every turn is taken once.
template <typename Load, typename Move>
Choice ChooseInTurn(const PgstSnapshot& snapshot, const Wish& wish, MonoUs alive, MonoUs now,
                    Load load, Move move) {
  for (;;) {
    const Cursor cursor = load();
    const Choice choice = Choose(snapshot, wish, cursor, alive, now);
    if (choice.next_cursor == cursor || move(cursor, choice.next_cursor)) return choice;
  }
}

Server Convert(const PgstServerCalls& calls) {
  Server server;
  server.node_state = [calls] { return static_cast<NodeState>(calls.node_state()); };
  server.node_facts = [calls] {
    PgstNodeFacts facts{};
    calls.node_facts(&facts);
    return Convert(facts);
  };
  server.choose = [calls](const World& world, const Wish& wish) {
    const Choice choice = ChooseInTurn(*world.snapshot, wish, world.poller_alive, world.now,
                                       calls.cursor, calls.move_cursor);
    if (choice.host) calls.handed_out(*choice.host);
    return choice;
  };
  server.page.events = calls.newest_events;
  server.page.lags = calls.lags;
  return server;
}

template <typename Source>
bool TakeLog(Source& source, PgstLogLine* out) noexcept {
  return CaughtOr(false, [&] {
    LogLine line;
    if (!source.TakeLogLine(line)) return false;
    out->warning = line.level == LogLine::Level::kWarning;
    CopyFixedText(out->message, line.message);
    CopyFixedText(out->detail, line.detail);
    CopyFixedText(out->hint, line.hint);
    return true;
  });
}

}  // namespace
}  // namespace pg_status

using pg_status::Caught;
using pg_status::CaughtOr;
using pg_status::Checked;
using pg_status::Convert;
using pg_status::Invalid;

int64_t pgst_monotonic_us(void) noexcept { return pg_status::EventLoop::Now(); }

PgstStatus pgst_check_hosts(const char* text, int max_hosts, PgstMessage* why) noexcept {
  return Caught(why, [&] {
    return Checked(
        pg_status::ParseHosts(text, pg_status::kUsualPort, static_cast<std::size_t>(max_hosts)),
        why);
  });
}

PgstStatus pgst_check_conninfo(const char* text, PgstMessage* why) noexcept {
  return Caught(why, [&] { return Checked(pg_status::ParseConninfo(text, "", 0), why); });
}

PgstStatus pgst_check_listen_addresses(const char* text, PgstMessage* why) noexcept {
  return Caught(why, [&] { return Checked(pg_status::ParseListenAddresses(text), why); });
}

PgstStatus pgst_check_networks(const char* text, PgstMessage* why) noexcept {
  return Caught(why, [&] { return Checked(pg_status::ParseNetworks(text), why); });
}

PgstStatus pgst_check_label(const char* text, PgstMessage* why) noexcept {
  return Caught(why, [&] { return Checked(pg_status::ParseLabel(text), why); });
}

bool pgst_parse_uint64(const char* text, uint64_t* value) noexcept {
  return CaughtOr(false, [&] {
    const auto number = pg_status::ParseUint64(text);
    if (number) *value = *number;
    return number.has_value();
  });
}

static_assert(PGST_ORDER_LINE_SIZE > PGST_ORDER_NAME_SIZE + PGST_REASON_SIZE + 40);

void pgst_write_order(const PgstOrder* order, char line[PGST_ORDER_LINE_SIZE]) noexcept {
  line[0] = '\0';
  CaughtOr(false, [&] {
    const std::string text = pg_status::WriteOrder(*order);
    line[text.copy(line, PGST_ORDER_LINE_SIZE - 1)] = '\0';
    return true;
  });
}

PgstStatus pgst_parse_orders(const char* text, uint32_t max, PgstOrder* orders, uint32_t* count,
                             PgstMessage* why) noexcept {
  *count = 0;
  return Caught(why, [&] {
    const auto read = pg_status::ParseOrders(text, max);
    if (!read) return Invalid(why, read.error());
    std::copy(read->begin(), read->end(), orders);
    *count = static_cast<uint32_t>(read->size());
    return PGST_OK;
  });
}

bool pgst_set_reason(PgstOrder* order, const char* reason) noexcept {
  pg_status::CopyFixedText(order->reason, reason);
  return std::string_view(reason).size() < sizeof(order->reason);
}

PgstStatus pgst_poller_new(const PgstPollerSettings* settings, PgstPoller** poller,
                           PgstMessage* why) noexcept {
  *poller = nullptr;
  return Caught(why, [&] {
    auto converted = Convert(*settings);
    if (!converted) return Invalid(why, converted.error());
    *poller = std::make_unique<PgstPoller>(std::move(converted.value())).release();
    return PGST_OK;
  });
}

PgstStatus pgst_poller_configure(PgstPoller* poller, const PgstPollerSettings* settings,
                                 PgstMessage* why) noexcept {
  return Caught(why, [&] {
    auto converted = Convert(*settings);
    if (!converted) {
      poller->poller.RefuseSettings();
      return Invalid(why, converted.error());
    }
    poller->poller.Configure(std::move(converted.value()));
    return PGST_OK;
  });
}

PgstStatus pgst_poller_step(PgstPoller* poller, PgstMessage* why) noexcept {
  return Caught(why, [&] {
    poller->poller.Step();
    return PGST_OK;
  });
}

void pgst_poller_inherit(PgstPoller* poller, const PgstSnapshot* published) noexcept {
  CaughtOr(false, [&] {
    poller->poller.Inherit(*published);
    return true;
  });
}

void pgst_poller_tell_serving(PgstPoller* poller, char name[PGST_NAME_SIZE]) noexcept {
  poller->poller.TellServing(name);
}

void pgst_poller_spare(PgstPoller* poller, const char* name, int64_t until_mono) noexcept {
  poller->poller.Spare(name, until_mono);
}

void pgst_poller_probe_now(PgstPoller* poller) noexcept {
  CaughtOr(false, [&] {
    poller->poller.ProbeNow();
    return true;
  });
}

void pgst_poller_probe_host(PgstPoller* poller, uint32_t index) noexcept {
  CaughtOr(false, [&] {
    poller->poller.ProbeNow(index);
    return true;
  });
}

void pgst_poller_reset_tally(PgstPoller* poller, uint32_t index) noexcept {
  CaughtOr(false, [&] {
    poller->poller.ResetTally(index);
    return true;
  });
}

PgstStatus pgst_poller_set_orders(PgstPoller* poller, const PgstOrder* orders, uint32_t count,
                                  uint64_t number, PgstMessage* why) noexcept {
  return Caught(why, [&] {
    poller->poller.SetOrders(std::vector<PgstOrder>(orders, orders + count), number);
    return PGST_OK;
  });
}

int pgst_poller_fd(const PgstPoller* poller) noexcept { return poller->poller.fd(); }

int pgst_poller_timeout_ms(PgstPoller* poller) noexcept { return poller->poller.timeout_ms(); }

const PgstSnapshot* pgst_poller_take_snapshot(PgstPoller* poller) noexcept {
  return poller->poller.TakeSnapshot();
}

bool pgst_poller_take_event(PgstPoller* poller, PgstEvent* event) noexcept {
  return CaughtOr(false, [&] { return poller->poller.TakeEvent(*event); });
}

bool pgst_poller_take_log(PgstPoller* poller, PgstLogLine* line) noexcept {
  return pg_status::TakeLog(poller->poller, line);
}

void pgst_note_lags(PgstLagHistory* lags, const PgstSnapshot* snapshot) noexcept {
  pg_status::NoteLags(lags, *snapshot);
}

void pgst_poller_free(PgstPoller* poller) noexcept { delete poller; }

PgstStatus pgst_listener_new(const PgstListenerSettings* settings, const PgstServerCalls* server,
                             PgstListener** listener, PgstMessage* why) noexcept {
  *listener = nullptr;
  return Caught(why, [&] {
    auto converted = Convert(*settings);
    if (!converted) return Invalid(why, converted.error());
    auto made = std::make_unique<PgstListener>(Convert(*server), PG_STATUS_VERSION);
    made->listener.Configure(std::move(converted.value()));
    *listener = made.release();
    return PGST_OK;
  });
}

PgstStatus pgst_listener_configure(PgstListener* listener, const PgstListenerSettings* settings,
                                   PgstMessage* why) noexcept {
  return Caught(why, [&] {
    auto converted = Convert(*settings);
    if (!converted) return Invalid(why, converted.error());
    listener->listener.Configure(std::move(converted.value()));
    return PGST_OK;
  });
}

void pgst_listener_set_snapshot(PgstListener* listener, const PgstSnapshot* snapshot,
                                int64_t poller_alive_mono) noexcept {
  listener->listener.SetSnapshot(snapshot, poller_alive_mono);
}

void pgst_listener_set_generation(PgstListener* listener, uint64_t generation) noexcept {
  listener->listener.SetGeneration(generation);
}

void pgst_listener_set_orders(PgstListener* listener, const PgstOrder* orders,
                              uint32_t count) noexcept {
  listener->listener.SetOrders(orders, count);
}

PgstStatus pgst_listener_step(PgstListener* listener, PgstMessage* why) noexcept {
  return Caught(why, [&] {
    listener->listener.Step();
    return PGST_OK;
  });
}

int pgst_listener_fd(const PgstListener* listener) noexcept { return listener->listener.fd(); }

int pgst_listener_timeout_ms(PgstListener* listener) noexcept {
  return listener->listener.timeout_ms();
}

bool pgst_listener_take_log(PgstListener* listener, PgstLogLine* line) noexcept {
  return pg_status::TakeLog(listener->listener, line);
}

void pgst_listener_free(PgstListener* listener) noexcept { delete listener; }

bool pgst_is_fresh(const PgstSnapshot* snapshot, int64_t poller_alive_mono,
                   int64_t now_mono) noexcept {
  return pg_status::IsFresh(*snapshot, poller_alive_mono, now_mono);
}

PgstChoice pgst_choose(const PgstSnapshot* snapshot, const PgstWish* wish, uint64_t cursor,
                       int64_t poller_alive_mono, int64_t now_mono) noexcept {
  PgstChoice none{-1, cursor};
  return CaughtOr(none, [&] {
    pg_status::Wish asked;
    asked.route = static_cast<pg_status::Route>(wish->route);
    if (wish->has_lag_ms) asked.lag_ms = wish->lag_ms;
    if (wish->has_lag_bytes) asked.lag_bytes = wish->lag_bytes;
    asked.min_lsn = wish->min_lsn;
    if (wish->min_lsn_timeline != 0) asked.min_lsn_timeline = wish->min_lsn_timeline;
    const pg_status::Choice choice =
        pg_status::Choose(*snapshot, asked, cursor, poller_alive_mono, now_mono);
    return PgstChoice{choice.host ? static_cast<int32_t>(*choice.host) : -1, choice.next_cursor};
  });
}

bool pgst_in_maintenance(const PgstView* view) noexcept {
  return CaughtOr(false,
                  [&] { return pg_status::OwnMaintenance(pg_status::WorldOf(*view)) != nullptr; });
}

bool pgst_own_lag_bytes(const PgstView* view, uint64_t* lag_bytes) noexcept {
  return CaughtOr(false, [&] {
    const auto lag = pg_status::LagBehindLeader(pg_status::WorldOf(*view), view->node->replayed);
    if (lag) *lag_bytes = *lag;
    return lag.has_value();
  });
}

int pgst_check_code(const PgstView* view, const char* path) noexcept {
  return CaughtOr(0, [&] { return pg_status::CheckCode(pg_status::WorldOf(*view), path); });
}

void pgst_agent_line(const PgstView* view, const char* command,
                     char line[PGST_AGENT_LINE_SIZE]) noexcept {
  line[0] = '\0';
  CaughtOr(false, [&] {
    const auto world = pg_status::WorldOf(*view);
    pg_status::CopyFixedText(line, PGST_AGENT_LINE_SIZE, pg_status::AgentReply(world, command));
    return true;
  });
}

void pgst_majority(const PgstView* view, PgstMajority* majority) noexcept {
  *majority = PgstMajority{};
  CaughtOr(false, [&] {
    const auto world = pg_status::WorldOf(*view);
    const auto seen = pg_status::MajorityOf(world);
    majority->known = seen.known;
    majority->possible = seen.possible;
    majority->in_sight = seen.in_sight;
    majority->fenced = world.node.state == pg_status::NodeState::kFenced;
    majority->fence_cause = static_cast<uint8_t>(pg_status::OwnFenceCause(world));
    majority->voters = seen.voters;
    majority->voters_in_sight = seen.voters_in_sight;
    majority->majority = seen.majority;
    return true;
  });
}

static_assert(PGST_OPINIONS_SIZE > pg_status::kMaxOpinionsBytes);

void pgst_opinions(const PgstSnapshot* snapshot, int64_t poller_alive_mono,
                   char text[PGST_OPINIONS_SIZE]) noexcept {
  text[0] = '\0';
  CaughtOr(false, [&] {
    const pg_status::MonoUs now = pg_status::EventLoop::Now();
    if (!pg_status::IsFresh(*snapshot, poller_alive_mono, now)) return false;
    const std::string opinions = pg_status::WriteOpinions(pg_status::OpinionsOf(*snapshot, now));
    text[opinions.copy(text, PGST_OPINIONS_SIZE - 1)] = '\0';
    return true;
  });
}

bool pgst_parse_history(const char* text, size_t size, uint32_t timeline,
                        PgstHistory* history) noexcept {
  return CaughtOr(false, [&] {
    const auto read = pg_status::ReadHistoryFile(std::string_view(text, size), timeline);
    if (read) Convert(*read, *history);
    return read.has_value();
  });
}

static_assert(PGST_FACTS_SIZE > pg_status::kMaxFactsBytes);

void pgst_write_facts(const PgstServerFacts* facts, char text[PGST_FACTS_SIZE]) noexcept {
  text[0] = '\0';
  CaughtOr(false, [&] {
    const std::string written = pg_status::WriteServerFacts(Convert(*facts));
    text[written.copy(text, PGST_FACTS_SIZE - 1)] = '\0';
    return true;
  });
}
