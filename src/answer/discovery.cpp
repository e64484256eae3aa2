// The discovery port's answers. A request becomes a Finding (what is to be said), and the Finding
// becomes an HTTP response or a line: the two ways of asking share every decision. Knows nothing of
// sockets, clocks or how a host is chosen.
#include "answer/discovery.hpp"

#include <iterator>
#include <limits>
#include <utility>

#include "answer/host_json.hpp"
#include "answer/host_table.hpp"
#include "answer/http_head.hpp"
#include "answer/parameters.hpp"
#include "answer/standing.hpp"
#include "base/lsn.hpp"
#include "base/number.hpp"

namespace pg_status {
namespace {

// What there is to say. All before kOk is the same for every such request and written in kFixed.
enum class Outcome : std::uint8_t {
  kWrongMethod,
  kBrokenPath,
  kHasBody,
  kNotFound,
  kNotReady,
  kStale,
  kBadLagMs,
  kBadLagBytes,
  kBadMinLsn,
  kBadWait,
  kBadGeneration,
  kNoHostGiven,
  kUnknownHost,
  kNobody,   // no host fulfils the wish
  kLost,     // nobody does: what it wants to read is of a history that is not the primary's
  kUntold,   // or perhaps not: it cannot be told
  kOk,       // there is nothing more to it
  kVersion,  // from here on with a body of its own
  kHost,
  kHostList,
  kHostStatus,
};

struct Fixed {
  int status;
  std::string_view json;  // the body of the HTTP answer, whatever Accept says; "" none
  std::string_view line;
  std::string_view reason = {};  // of X-Pg-Status-Reason; "" none
};

// In the order of Outcome.
constexpr Fixed kFixed[] = {
    /* kWrongMethod */ {405, "", "error not allowed\n"},
    /* kBrokenPath  */ {400, "", "error bad request\n"},
    /* kHasBody     */ {413, "", "error bad request\n"},
    /* kNotFound    */ {404, "", "error not found\n"},
    /* kNotReady    */ {503, R"({"error_text": "pg_monitor is not ready"})", "error not ready\n"},
    /* kStale       */ {503, R"({"error_text": "pg_monitor is stale"})", "error stale\n"},
    /* kBadLagMs    */ {400, R"({"error_text": "Invalid lag_ms"})", "error Invalid lag_ms\n"},
    /* kBadLagBytes */ {400, R"({"error_text": "Invalid lag_bytes"})", "error Invalid lag_bytes\n"},
    /* kBadMinLsn   */ {400, R"({"error_text": "Invalid min_lsn"})", "error Invalid min_lsn\n"},
    /* kBadWait       */ {400, R"({"error_text": "Invalid wait"})", "error Invalid wait\n"},
    /* kBadGeneration */
    {400, R"({"error_text": "Invalid generation"})", "error Invalid generation\n"},
    /* kNoHostGiven */
    {400, R"({"error_text": "Get parameter 'host' wasn't passed"})",
     "error Get parameter 'host' wasn't passed\n"},
    /* kUnknownHost */ {404, "", "\n"},
    /* kNobody      */ {404, "", "\n"},
    /* kLost        */ {404, "", "\n", "lost"},
    /* kUntold      */ {404, "", "\n", "unknown"},
};

static_assert(std::size(kFixed) == static_cast<std::size_t>(Outcome::kOk));

constexpr std::string_view kOkText = "OK";
constexpr std::string_view kListPath = "/hosts";

enum class Kind : std::uint8_t { kSelector, kHostList, kHostStatus, kReady, kLive, kVersion };

struct Endpoint {
  std::string_view path;
  Kind kind;
  Route route;          // of a selector; not looked at elsewhere
  bool has_parameters;  // likewise
};

// The most frequent first.
constexpr Endpoint kEndpoints[] = {
    {"/master", Kind::kSelector, Route::kMaster, false},
    {"/replica", Kind::kSelector, Route::kReplica, true},
    {"/sync_by_time", Kind::kSelector, Route::kSyncByTime, true},
    {"/sync_by_bytes", Kind::kSelector, Route::kSyncByBytes, true},
    {"/sync_by_time_or_bytes", Kind::kSelector, Route::kSyncByTimeOrBytes, true},
    {"/sync_by_time_and_bytes", Kind::kSelector, Route::kSyncByTimeAndBytes, true},
    {"/most_sync_by_bytes", Kind::kSelector, Route::kMostSyncByBytes, true},
    {kListPath, Kind::kHostList, Route::kMaster, false},
    {"/status", Kind::kHostStatus, Route::kMaster, false},
    {"/ready", Kind::kReady, Route::kMaster, false},
    {"/live", Kind::kLive, Route::kMaster, false},
    {"/version", Kind::kVersion, Route::kMaster, false},
};

const Endpoint* EndpointAt(std::string_view path) {
  for (const Endpoint& endpoint : kEndpoints) {
    if (endpoint.path == path) return &endpoint;
  }
  return nullptr;
}

std::string_view PathLabel(const Request& request) {
  const Endpoint* const endpoint = request.path_ok ? EndpointAt(request.path) : nullptr;
  return endpoint == nullptr ? Traffic::kOtherPath : endpoint->path;
}

int StatusOf(Outcome outcome) {
  return outcome < Outcome::kOk ? kFixed[static_cast<std::size_t>(outcome)].status : 200;
}

// "2" of "2:0/5000148"; nullopt: it is no timeline.
std::optional<std::uint32_t> ParseTimeline(std::string_view text) {
  const std::optional<std::uint64_t> number = ParseUint64(text);
  if (!number || *number == 0 || *number > std::numeric_limits<std::uint32_t>::max()) {
    return std::nullopt;
  }
  return static_cast<std::uint32_t>(*number);
}

// min_lsn=0/5000148, or min_lsn=2:0/5000148 with its timeline. False: there is such a parameter,
// and it is neither.
bool ReadMinLsn(const Request& request, Wish& wish) {
  std::optional<std::string_view> text = request.Parameter("min_lsn");
  if (!text) return true;
  const std::size_t colon = text->find(':');
  if (colon != std::string_view::npos) {
    wish.min_lsn_timeline = ParseTimeline(text->substr(0, colon));
    if (!wish.min_lsn_timeline) return false;
    text->remove_prefix(colon + 1);
  }
  const std::optional<Lsn> lsn = ParseLsn(*text);
  wish.min_lsn = lsn.value_or(kNoLsn);
  return lsn.has_value();
}

// kOk, or which parameter is the first to be wrong. A route that has no use for one of them refuses
// it all the same when it is wrong: whoever sent it believes that it counts.
Outcome ReadWish(const Request& request, Wish& wish) {
  if (!ReadNumber(request, "lag_ms", wish.lag_ms)) return Outcome::kBadLagMs;
  if (!ReadNumber(request, "lag_bytes", wish.lag_bytes)) return Outcome::kBadLagBytes;
  if (!ReadMinLsn(request, wish)) return Outcome::kBadMinLsn;
  return Outcome::kOk;
}

// What a choice without a host means.
Outcome OutcomeOf(Reason reason, const Wish& wish) {
  switch (reason) {
    case Reason::kNotReady:
      return Outcome::kNotReady;
    case Reason::kStale:
      return Outcome::kStale;
    case Reason::kLost:
      return Outcome::kLost;
    case Reason::kNone:
      if (wish.min_lsn != kNoLsn && wish.min_lsn_timeline) return Outcome::kUntold;
      break;
    case Reason::kFound:
    case Reason::kFallback:
      break;
  }
  return Outcome::kNobody;
}

// kOk, or why nothing may be said of any host. Choose has the rule; the wish for the primary is the
// cheapest to ask it with, and takes no turn.
Outcome Readiness(const World& world) {
  const Reason reason =
      Choose(*world.snapshot, Wish{}, Cursor{}, world.poller_alive, world.now).reason;
  const Outcome outcome = OutcomeOf(reason, Wish{});
  return outcome == Outcome::kNobody ? Outcome::kOk : outcome;
}

using Generation = std::optional<std::uint64_t>;

// An answer from its fields to its end. generation: nullopt where it is not told.
void AppendRest(std::string_view content_type, std::string_view allow, Generation generation,
                std::string_view body, std::string& out, std::string_view reason = {}) {
  HeadFields fields;
  fields.port = PortWord(Port::kDiscovery);
  fields.content_type = content_type;
  fields.content_length = body.size();
  fields.allow = allow;
  fields.generation = generation;
  fields.reason = reason;
  AppendFields(fields, out);
  out.append(body);
}

void AppendAnswer(int status, Persistence persistence, std::string_view content_type,
                  std::string_view body, std::string& out, Generation generation = std::nullopt,
                  std::string_view reason = {}) {
  AppendStatus(status, persistence, out);
  AppendRest(body.empty() ? std::string_view() : content_type, status == 405 ? "GET" : "",
             generation, body, out, reason);
}

void AppendFixed(Outcome outcome, bool wants_json, Persistence persistence, Generation generation,
                 std::string& out) {
  const Fixed& fixed = kFixed[static_cast<std::size_t>(outcome)];
  // The one answer whose body depends on what the client likes to read.
  const bool nobody =
      outcome == Outcome::kNobody || outcome == Outcome::kLost || outcome == Outcome::kUntold;
  if (outcome == Outcome::kHasBody) persistence = Persistence::kClose;
  AppendAnswer(fixed.status, persistence, kJsonType,
               nobody && wants_json ? kNobodyJson : fixed.json, out, generation, fixed.reason);
}

void AppendOk(Persistence persistence, std::string_view rest, std::string& out) {
  AppendStatus(200, persistence, out);
  out.append(rest);
}

void AppendLine(std::string_view text, std::string& out) {
  out.append(text);
  out.push_back('\n');
}

}  // namespace

struct Discovery::Finding {
  Outcome outcome = Outcome::kOk;
  std::uint32_t host = 0;                           // with kHost and kHostStatus
  std::optional<Patience> patience = std::nullopt;  // with kHostList: it is not due yet
};

Discovery::Discovery(const World& world, Chooser chooser, std::string_view version,
                     Traffic& traffic)
    : world_(world), chooser_(std::move(chooser)), version_(version), traffic_(traffic) {}

// The order is part of the promise: what is wrong with the request as such, then whether there is
// such a path, then whether anything is known, then the parameters.
Discovery::Finding Discovery::Find(const Request& request) const {
  if (!request.line && request.method != Method::kGet) return {Outcome::kWrongMethod};
  if (!request.path_ok) return {Outcome::kBrokenPath};
  if (!request.line && request.has_body) return {Outcome::kHasBody};

  const Endpoint* const endpoint = EndpointAt(request.path);
  if (endpoint == nullptr) return {Outcome::kNotFound};
  if (endpoint->kind == Kind::kLive) return {Outcome::kOk};
  if (endpoint->kind == Kind::kVersion) return {Outcome::kVersion};

  const Outcome readiness = Readiness(world_);
  if (readiness != Outcome::kOk || endpoint->kind == Kind::kReady) return {readiness};
  if (endpoint->kind == Kind::kHostList) return FindList(request);
  if (endpoint->kind == Kind::kHostStatus) return FindStatus(request);
  return FindHost(request, endpoint->route, endpoint->has_parameters);
}

Discovery::Finding Discovery::FindHost(const Request& request, Route route,
                                       bool has_parameters) const {
  Wish wish;
  wish.route = route;
  if (has_parameters) {
    const Outcome read = ReadWish(request, wish);
    if (read != Outcome::kOk) return {read};
  }
  const Choice choice = chooser_(world_, wish);
  if (choice.host && *choice.host < HostCount(*world_.snapshot)) {
    return {Outcome::kHost, *choice.host};
  }
  return {OutcomeOf(choice.reason, wish)};
}

Discovery::Finding Discovery::FindStatus(const Request& request) const {
  const std::optional<std::string_view> name = request.Parameter("host");
  if (!name) return {Outcome::kNoHostGiven};
  const PgstSnapshot& snapshot = *world_.snapshot;
  const PgstHost* const hosts = snapshot.hosts;
  for (std::uint32_t i = 0; i < HostCount(snapshot); ++i) {
    if (HostName(hosts[i]) == *name) return {Outcome::kHostStatus, i};
  }
  return {Outcome::kUnknownHost};
}

Discovery::Finding Discovery::FindList(const Request& request) const {
  const Waiting waiting = ReadWaiting(request, world_.generation);
  if (waiting.fault == Waiting::Fault::kWait) return {Outcome::kBadWait};
  if (waiting.fault == Waiting::Fault::kGeneration) return {Outcome::kBadGeneration};
  Finding list = {Outcome::kHostList};
  list.patience = waiting.patience;
  return list;
}

std::optional<Patience> Discovery::PatienceOf(const Request& request) const {
  if (request.query.empty() || request.path != kListPath) return std::nullopt;
  return Find(request).patience;
}

void Discovery::AnswerHttp(const Request& request, bool close, std::string& out) {
  const Finding finding = Find(request);
  traffic_.Count(port(), PathLabel(request), StatusOf(finding.outcome));
  const Persistence persistence = PersistenceFor(request, close);
  switch (finding.outcome) {
    case Outcome::kOk:
      AppendAnswer(200, persistence, kTextType, kOkText, out);
      break;
    case Outcome::kVersion:
      AppendAnswer(200, persistence, kTextType, version_, out);
      break;
    case Outcome::kHost:
      AppendOk(persistence, NameOf(finding.host, request.wants_json).bytes(), out);
      break;
    case Outcome::kHostList:
      AppendOk(persistence, HostList().bytes(), out);
      break;
    case Outcome::kHostStatus:
      scratch_.clear();
      AppendHostStatus(world_.snapshot->hosts[finding.host], AnswerWall(world_), scratch_);
      AppendAnswer(200, persistence, kJsonType, scratch_, out);
      break;
    default:
      AppendFixed(finding.outcome, request.wants_json, persistence, GenerationFor(request), out);
      break;
  }
}

// Every answer to a GET of the list tells it, those that complain, too.
std::optional<std::uint64_t> Discovery::GenerationFor(const Request& request) const {
  if (request.method != Method::kGet || request.path != kListPath) return std::nullopt;
  return world_.generation;
}

void Discovery::AnswerLine(const Request& request, std::string& out) {
  const Finding finding = Find(request);
  traffic_.Count(port(), PathLabel(request), StatusOf(finding.outcome));
  switch (finding.outcome) {
    case Outcome::kOk:
      AppendLine(kOkText, out);
      break;
    case Outcome::kVersion:
      AppendLine(version_, out);
      break;
    case Outcome::kHost:
      AppendLine(NameOf(finding.host, false).body(), out);
      break;
    case Outcome::kHostList:
      // Whoever types a line wants to read; programs have HTTP.
      out.append(host_table_.Update(world_, [this](std::string& table) {
        AppendHostTable(*world_.snapshot, IsFresh(world_), table);
      }));
      break;
    case Outcome::kHostStatus:
      AppendHostStatus(world_.snapshot->hosts[finding.host], AnswerWall(world_), out);
      out.push_back('\n');
      break;
    case Outcome::kNotFound:
      // A load balancer's agent that came to the wrong port must not go unnoticed.
      if (request.path == "/agent") {
        out.append("fail # this is the discovery port\n");
        break;
      }
      [[fallthrough]];
    default:
      out.append(kFixed[static_cast<std::size_t>(finding.outcome)].line);
      break;
  }
}

void Discovery::AnswerBad(int status, std::string_view help, std::string& out) {
  traffic_.Count(port(), Traffic::kOtherPath, status);
  AppendAnswer(status, Persistence::kClose, kTextType, help, out);
}

template <typename WriteBody>
const Discovery::KeptAnswer& Discovery::Update(KeptAnswer& answer, std::string_view content_type,
                                               std::optional<std::uint64_t> generation,
                                               WriteBody write) {
  answer.kept.Update(world_, [&](std::string& out) {
    scratch_.clear();
    write(scratch_);
    AppendRest(content_type, "", generation, scratch_, out);
    answer.body_at = out.size() - scratch_.size();
  });
  return answer;
}

const Discovery::KeptAnswer& Discovery::NameOf(std::uint32_t host, bool json) {
  if (names_.size() <= host) names_.resize(HostCount(*world_.snapshot));
  const PgstHost& named = world_.snapshot->hosts[host];
  if (json) {
    return Update(names_[host].json, kJsonType, std::nullopt,
                  [&](std::string& body) { AppendNamedHost(named, body); });
  }
  return Update(names_[host].text, kTextType, std::nullopt,
                [&](std::string& body) { body.append(HostName(named)); });
}

const Discovery::KeptAnswer& Discovery::HostList() {
  return Update(host_list_, kJsonType, world_.generation, [this](std::string& body) {
    AppendHostList(*world_.snapshot, AnswerWall(world_), body);
  });
}

}  // namespace pg_status
