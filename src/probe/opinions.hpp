// What one node thinks of the hosts, as text: how the nodes of a cluster tell each other. Written
// by the node that is asked (the setting pg_status.opinions shows it), read by the one that asks.
// Pure.
//
//   opinions 1
//   db1:5432 up 120 7000000000000000001 1700000000250000 primary
//   db2:5432 down 61000 7000000000000000001 1700000003000000 -
//   db3:5432 down - 0 0 -
//
// One line for each host: its name in the list of the node that speaks, what it is there, how many
// milliseconds ago it last answered (rounded up; "-" never), and which run of which server that
// was: system identifier and start in microseconds since 1970 (0 unknown). Then what it is to that
// node: "primary" (the one it names), "incumbent" (it was named last and is not to be seen now; it
// names nobody) or "-". A version that does not tell has no such field. In names, what is not
// printable ASCII is written as %XX. More fields may follow in a line, and are of a later version.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// What a host is to the node that speaks.
enum class Rank : std::uint8_t { kUnknown, kNone, kIncumbent, kPrimary };

struct Opinion {
  std::string host;                            // its name in the list of the node that speaks
  bool reachable = false;                      // up or suspect there; else down
  std::optional<std::int64_t> success_age_us;  // since its last good probe there; nullopt never
  std::uint64_t system_identifier = 0;         // of the server seen there last; 0 unknown
  WallUs postmaster_start = 0;                 // likewise
  Rank rank = Rank::kUnknown;
};

using Opinions = std::vector<Opinion>;

// More than this is neither written nor read: some 300 hosts.
inline constexpr std::size_t kMaxOpinionsBytes = 16384;

// At most kMaxOpinionsBytes; hosts that do not fit are left out.
std::string WriteOpinions(const Opinions& opinions);

// nullopt when the text is not in this form. A peer's text may be anything.
std::optional<Opinions> ReadOpinions(std::string_view text);

}  // namespace pg_status
