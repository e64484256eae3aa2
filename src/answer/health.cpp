// What each path of the check port demands of this node. A wrong parameter is complained of before
// anything else, whatever the node's state: who wrote it should hear of it at once, and not only on
// the day when it would have mattered.
#include "answer/health.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "answer/lag_size.hpp"
#include "answer/parameters.hpp"
#include "answer/standing.hpp"

namespace pg_status {
namespace {

struct ComplaintRule {
  int code;
  std::string_view text;
};

// In the order of Complaint.
constexpr ComplaintRule kComplaints[] = {
    /* kNone             */ {200, ""},
    /* kBrokenPath       */ {400, "Bad request"},
    /* kNotFound         */ {404, "Not found"},
    /* kInvalidLag       */ {400, "Invalid lag"},
    /* kInvalidMode      */ {400, "Invalid mode"},
    /* kStarting         */ {503, "starting"},
    /* kStopping         */ {503, "shutting down"},
    /* kFenced           */ {503, "fenced"},
    /* kMaintenance      */ {503, "maintenance"},
    /* kIsPrimary        */ {503, "primary"},
    /* kIsReplica        */ {503, "replica"},
    /* kLagging          */ {503, "lag"},
    /* kLagUnknown       */ {503, "lag unknown"},
    /* kNotStreaming     */ {503, "not streaming"},
    /* kReplicationState */ {503, "other replication state"},
    /* kTags             */ {503, "no tags"},
    /* kNotSync          */ {503, "not synchronous"},
    /* kNotQuorum        */ {503, "not in the quorum"},
    /* kNotAsync         */ {503, "not asynchronous"},
    /* kSyncUnknown      */ {503, "sync state unknown"},
    /* kInvalidWait      */ {400, "Invalid wait"},
    /* kInvalidGeneration */ {400, "Invalid generation"},
    /* kInvalidSince     */ {400, "Invalid since"},
    /* kDiverged         */ {503, "diverged"},
    /* kReadOnly         */ {503, "read only"},
    /* kInvalidSessions  */ {400, "Invalid sessions"},
    /* kNoSessions       */ {503, "takes no new sessions"},
};
static_assert(std::size(kComplaints) == static_cast<std::size_t>(Complaint::kNoSessions) + 1);

const ComplaintRule& RuleOf(Complaint complaint) {
  return kComplaints[static_cast<std::size_t>(complaint)];
}

// Which question a path asks.
enum class Topic : std::uint8_t {
  kRole,        // is this node of that role, and fit for it?
  kRunning,     // does the server run?
  kAlive,       // whoever can answer is alive
  kReady,       // may sessions be sent here?
  kNode,        // no question: a description that is always given
  kCluster,     // likewise
  kOwnMetrics,  // likewise
  kPage,        // likewise
  kPageData     // likewise, but parameters may be wrong
};

// Which standbys a role path accepts.
enum class Standbys : std::uint8_t { kNone, kAny, kSync, kQuorum, kAsync };

struct HealthPath {
  std::string_view path;
  Topic topic;
  bool primary_passes;  // of kRole
  Standbys standbys;    // of kRole; those that accept any take parameters
  bool writes = false;  // of kRole: sessions must be able to write, as they come
};

// The most frequent first, and aliases next to each other.
constexpr HealthPath kPaths[] = {
    {"/primary", Topic::kRole, true, Standbys::kNone},
    {"/replica", Topic::kRole, false, Standbys::kAny},
    {"/", Topic::kRole, true, Standbys::kNone},
    {"*", Topic::kRole, true, Standbys::kNone},
    {"/master", Topic::kRole, true, Standbys::kNone},
    {"/read-write", Topic::kRole, true, Standbys::kNone, true},
    {"/leader", Topic::kRole, true, Standbys::kNone},
    {"/standby-leader", Topic::kRole, false, Standbys::kNone},
    {"/standby_leader", Topic::kRole, false, Standbys::kNone},
    {"/read-only", Topic::kRole, true, Standbys::kAny},
    {"/sync", Topic::kRole, false, Standbys::kSync},
    {"/synchronous", Topic::kRole, false, Standbys::kSync},
    {"/quorum", Topic::kRole, false, Standbys::kQuorum},
    {"/async", Topic::kRole, false, Standbys::kAsync},
    {"/asynchronous", Topic::kRole, false, Standbys::kAsync},
    {"/read-only-sync", Topic::kRole, true, Standbys::kSync},
    {"/read-only-synchronous", Topic::kRole, true, Standbys::kSync},
    {"/read-only-quorum", Topic::kRole, true, Standbys::kQuorum},
    {"/health", Topic::kRunning, false, Standbys::kNone},
    {"/liveness", Topic::kAlive, false, Standbys::kNone},
    {"/readiness", Topic::kReady, false, Standbys::kNone},
    {"/patroni", Topic::kNode, false, Standbys::kNone},
    {"/node", Topic::kNode, false, Standbys::kNone},
    {"/cluster", Topic::kCluster, false, Standbys::kNone},
    {"/metrics", Topic::kOwnMetrics, false, Standbys::kNone},
    {"/ui", Topic::kPage, false, Standbys::kNone},
    {kPageDataPath, Topic::kPageData, false, Standbys::kNone},
};

// In the order of Topic.
constexpr Content kContents[] = {
    Content::kNode,    Content::kNode,    Content::kNothing, Content::kNothing,  Content::kNode,
    Content::kCluster, Content::kMetrics, Content::kPage,    Content::kPageData,
};

const HealthPath* PathAt(std::string_view path) {
  const HealthPath* const found =
      std::find_if(std::begin(kPaths), std::end(kPaths),
                   [path](const HealthPath& known) { return known.path == path; });
  return found == std::end(kPaths) ? nullptr : found;
}

// False: it was given, and is no size.
bool ReadLag(const Request& request, std::optional<std::uint64_t>& limit) {
  const std::optional<std::string_view> text = request.Parameter("lag");
  if (!text) return true;
  limit = ParseLagSize(*text);
  return limit.has_value();
}

// False: it was given, and is neither yes nor no.
bool ReadSessions(const Request& request, bool& wanted) {
  const std::string_view text = request.Parameter("sessions").value_or("0");
  wanted = text == "1" || text == "true";
  return wanted || text == "0" || text == "false";
}

// kNone while the server takes new sessions.
Complaint ComplaintOfState(NodeState state) {
  switch (state) {
    case NodeState::kPrimary:
    case NodeState::kStandby:
      return Complaint::kNone;
    case NodeState::kStopping:
      return Complaint::kStopping;
    case NodeState::kFenced:
      return Complaint::kFenced;
    case NodeState::kStarting:
      break;
  }
  return Complaint::kStarting;
}

Complaint ComplaintOfSync(const World& world, Standbys wanted) {
  if (wanted == Standbys::kAny || wanted == Standbys::kNone) return Complaint::kNone;
  const SyncState state = OwnSyncState(world);
  if (state == SyncState::kUnknown) return Complaint::kSyncUnknown;
  if (wanted == Standbys::kSync) {
    return state == SyncState::kSync ? Complaint::kNone : Complaint::kNotSync;
  }
  if (wanted == Standbys::kQuorum) {
    return state == SyncState::kQuorum ? Complaint::kNone : Complaint::kNotQuorum;
  }
  return state == SyncState::kAsync ? Complaint::kNone : Complaint::kNotAsync;
}

// This node has no tags, so whatever tag is asked for, it is another one: also as a primary, on the
// paths that standbys pass as well. Who wants the primary alone has no use for tags.
bool AsksForTag(const Request& request) {
  constexpr std::string_view kPrefix = "tag_";
  return std::any_of(request.query.begin(), request.query.end(), [&](const auto& parameter) {
    return parameter.first.compare(0, kPrefix.size(), kPrefix) == 0;
  });
}

// As libpq's target_session_attrs=read-write has it. What is set for a role or a database is not
// known here.
bool IsReadOnly(const World& world) { return world.node.read_only.value_or(false); }

void ExamineLag(const World& world, Lsn position, std::uint64_t limit, Finding& finding) {
  const std::optional<std::uint64_t> lag = LagBehindLeader(world, position);
  if (!lag) {
    finding.complaint = Complaint::kLagUnknown;
  } else if (*lag > limit) {
    finding.complaint = Complaint::kLagging;
    finding.lag_bytes = *lag;
    finding.limit_bytes = limit;
  }
}

void ExamineStandby(const World& world, const Request& request, Standbys wanted,
                    std::optional<std::uint64_t> limit, Finding& finding) {
  finding.complaint = HasDiverged(world) ? Complaint::kDiverged : ComplaintOfSync(world, wanted);
  if (finding.complaint != Complaint::kNone) return;
  const std::optional<std::string_view> state = request.Parameter("replication_state");
  if (state && *state != ReplicationState(world.node)) {
    finding.complaint = Complaint::kReplicationState;
  } else if (limit) {
    ExamineLag(world, world.node.replayed, *limit, finding);
  }
}

// A primary goes on taking what only it can take, unless somebody has insisted.
bool IsTakenOut(const World& world) {
  const PgstOrder* const order = OwnMaintenance(world);
  return order != nullptr && (world.node.state != NodeState::kPrimary || order->forced != 0);
}

void ExamineRole(const World& world, const Request& request, const HealthPath& path,
                 Finding& finding) {
  bool wants_sessions = false;
  if (!ReadSessions(request, wants_sessions)) {
    finding.complaint = Complaint::kInvalidSessions;
    return;
  }
  const bool takes_parameters = path.standbys != Standbys::kNone;
  std::optional<std::uint64_t> limit;
  if (takes_parameters && !ReadLag(request, limit)) {
    finding.complaint = Complaint::kInvalidLag;
    return;
  }
  finding.complaint = ComplaintOfState(world.node.state);
  if (finding.complaint != Complaint::kNone) return;

  const bool primary = world.node.state == NodeState::kPrimary;
  if (primary && !path.primary_passes) {
    finding.complaint = Complaint::kIsPrimary;
  } else if (!primary && path.standbys == Standbys::kNone) {
    finding.complaint = Complaint::kIsReplica;
  } else if (IsTakenOut(world)) {
    finding.complaint = Complaint::kMaintenance;
  } else if (takes_parameters && AsksForTag(request)) {
    finding.complaint = Complaint::kTags;
  } else if (path.writes && IsReadOnly(world)) {
    finding.complaint = Complaint::kReadOnly;
  } else if (wants_sessions && TakesNoSessions(world)) {
    finding.complaint = Complaint::kNoSessions;
  } else if (!primary) {
    ExamineStandby(world, request, path.standbys, limit, finding);
  }
}

// Without a snapshot there is no default limit to go by; such a standby is not ready.
std::optional<std::uint64_t> DefaultLimit(const PgstSnapshot& snapshot) {
  if (!IsPublished(snapshot)) return std::nullopt;
  return snapshot.sync_max_lag_bytes;
}

void ExamineReadiness(const World& world, const Request& request, Finding& finding) {
  const NodeFacts& node = world.node;
  std::optional<std::uint64_t> limit = DefaultLimit(*world.snapshot);
  const std::string_view mode = request.Parameter("mode").value_or("apply");
  if (!ReadLag(request, limit)) {
    finding.complaint = Complaint::kInvalidLag;
  } else if (mode != "apply" && mode != "write") {
    finding.complaint = Complaint::kInvalidMode;
  } else {
    finding.complaint = ComplaintOfState(node.state);
  }
  if (finding.complaint == Complaint::kNone && IsTakenOut(world)) {
    finding.complaint = Complaint::kMaintenance;
  }
  if (finding.complaint == Complaint::kNone && TakesNoSessions(world)) {
    finding.complaint = Complaint::kNoSessions;
  }
  if (finding.complaint != Complaint::kNone || node.state == NodeState::kPrimary) return;

  if (HasDiverged(world)) {
    finding.complaint = Complaint::kDiverged;
  } else if (!node.streaming) {
    finding.complaint = Complaint::kNotStreaming;
  } else if (!limit) {
    finding.complaint = Complaint::kLagUnknown;
  } else {
    ExamineLag(world, mode == "write" ? node.received : node.replayed, *limit, finding);
  }
}

// What is wrong with the question for what the page shows.
Complaint ComplaintOfReader(const World& world, const Request& request) {
  std::optional<std::uint64_t> since;
  switch (ReadWaiting(request, world.generation).fault) {
    case Waiting::Fault::kWait:
      return Complaint::kInvalidWait;
    case Waiting::Fault::kGeneration:
      return Complaint::kInvalidGeneration;
    case Waiting::Fault::kNone:
      break;
  }
  return ReadNumber(request, "since", since) ? Complaint::kNone : Complaint::kInvalidSince;
}

}  // namespace

int CodeOf(Complaint complaint) { return RuleOf(complaint).code; }

std::string_view TextOf(Complaint complaint) { return RuleOf(complaint).text; }

std::string_view KnownPath(std::string_view path) {
  const HealthPath* const known = PathAt(path);
  return known == nullptr ? std::string_view() : known->path;
}

Finding Examine(const World& world, const Request& request) {
  Finding finding;
  const HealthPath* const path = PathAt(request.path);
  if (!request.path_ok || path == nullptr) {
    finding.complaint = request.path_ok ? Complaint::kNotFound : Complaint::kBrokenPath;
    return finding;
  }
  finding.content = kContents[static_cast<std::size_t>(path->topic)];
  switch (path->topic) {
    case Topic::kRole:
      ExamineRole(world, request, *path, finding);
      break;
    case Topic::kReady:
      ExamineReadiness(world, request, finding);
      break;
    case Topic::kRunning:
      // A smart shutdown waits for the sessions there are: the server still runs.
      if (world.node.state == NodeState::kStarting) finding.complaint = Complaint::kStarting;
      break;
    case Topic::kPageData:
      finding.complaint = ComplaintOfReader(world, request);
      break;
    case Topic::kAlive:
    case Topic::kNode:
    case Topic::kCluster:
    case Topic::kOwnMetrics:
    case Topic::kPage:
      break;
  }
  return finding;
}

}  // namespace pg_status
