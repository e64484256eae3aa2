// The paths of the check port and what each demands of this node: request -> finding. HTTP, the
// line commands and SQL all ask here, so that the same path means the same to each. Knows nothing
// of heads, bodies or lines.
#pragma once

#include <cstdint>
#include <string_view>

#include "answer/request.hpp"
#include "answer/world.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// What stands against a yes.
enum class Complaint : std::uint8_t {
  kNone,
  kBrokenPath,
  kNotFound,
  kInvalidLag,
  kInvalidMode,
  kStarting,
  kStopping,
  kFenced,
  kMaintenance,
  kIsPrimary,
  kIsReplica,
  kLagging,
  kLagUnknown,
  kNotStreaming,
  kReplicationState,
  kTags,
  kNotSync,
  kNotQuorum,
  kNotAsync,
  kSyncUnknown,
  kInvalidWait,
  kInvalidGeneration,
  kInvalidSince,
  kDiverged,
  kReadOnly,
  kInvalidSessions,
  kNoSessions,
};

int CodeOf(Complaint complaint);

// A few words for people, never text that came from outside: "replica", "lag 5 > 3".
std::string_view TextOf(Complaint complaint);

// What is sent with a yes as well as with a no.
enum class Content : std::uint8_t { kNothing, kNode, kCluster, kMetrics, kPage, kPageData };

struct Finding {
  Complaint complaint = Complaint::kNone;
  Content content = Content::kNothing;
  std::uint64_t lag_bytes = 0;    // with kLagging
  std::uint64_t limit_bytes = 0;  // likewise

  int code() const { return CodeOf(complaint); }
};

// Where the page asks for what it shows; the one path whose answer may be waited for.
inline constexpr std::string_view kPageDataPath = "/ui/data";

// The path as the table of paths has it; "" when there is no such path.
std::string_view KnownPath(std::string_view path);

// What a GET of this path comes to; the method is not looked at.
Finding Examine(const World& world, const Request& request);

}  // namespace pg_status
