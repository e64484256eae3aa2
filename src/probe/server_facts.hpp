// What only the inside of a server knows, as text: how its pg_status tells the others. Written by
// the server that is asked (the setting pg_status.facts shows it), read by the one that asks. Pure.
//
//   facts 1
//   timeline 3
//   history 1
//   fork 1 0/5000000
//   fork 2 0/7000148
//   receiver streaming
//   upstream 10.0.0.1 5432
//   name db2
//   slot db2_slot
//   promoting 1700000000250000
//   oldest_wal 0/3000000
//   read_only off
//   address 10.0.0.2
//   system 7000000000000000001
//   started 1700000000250000
//
// One fact in each line, in this order; what is not known, or is not the case, has none. "history"
// tells from which timeline on the forks are known (1: all of them); each fork, the oldest first,
// names a timeline that this history has left, and the first position that is not part of it any
// more. A standby tells the timeline that it has replayed, a primary the one that it writes. Only a
// standby has a receiver (none, connecting or streaming), an upstream, a name and a slot: where its
// WAL receiver is connected to ("-" for a port that is not known), and as whom. "promoting": since
// when promotion is asked for, in microseconds since 1970. "address": as
// which the primary sees this server, when that is known. "system" and "started" tell this run of
// this server from all others, for a role that may not ask SQL for them: the system identifier, and
// the start of the postmaster in microseconds since 1970. In texts, what is not printable ASCII is
// written as %XX. Lines with other words, and more fields in a line, are of a later version: the
// reader leaves them out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/lsn.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// The end of a timeline in the history of a newer one.
struct Fork {
  std::uint32_t timeline = 0;
  Lsn end = kNoLsn;  // the first position that is not of that timeline

  bool operator==(const Fork& other) const {
    return timeline == other.timeline && end == other.end;
  }
};

// How a timeline came about.
struct TimelineHistory {
  std::uint32_t from = 1;   // of older timelines nothing is known; 1: of all there were it is
  std::vector<Fork> forks;  // rising timelines; empty: it is the first one

  bool operator==(const TimelineHistory& other) const {
    return from == other.from && forks == other.forks;
  }
};

enum class ReceiverState : std::uint8_t { kNone, kConnecting, kStreaming };

struct ServerFacts {
  std::uint32_t timeline = 0;              // 0 unknown
  std::optional<TimelineHistory> history;  // of that timeline; nullopt unknown
  std::optional<ReceiverState> receiver;   // of a standby; nullopt: a primary, or unknown
  std::string upstream_host;  // host name, address or socket directory; "" none, or unknown
  int upstream_port = 0;      // 0 unknown
  std::string receiver_name;  // the application_name that the receiver uses; "" none, or unknown
  std::string receiver_slot;  // "" none, or unknown
  std::optional<WallUs> promoting_since;  // nullopt: promotion was not asked for
  std::optional<Lsn> oldest_wal;          // the beginning of the oldest WAL that is still there
  std::optional<bool> read_only;          // default_transaction_read_only; nullopt unknown
  std::string address;                    // as which the primary sees this server; "" unknown
  std::uint64_t system_identifier = 0;    // 0 unknown
  WallUs postmaster_start = 0;            // 0 unknown

  bool operator==(const ServerFacts& other) const;
};

// More is neither written nor read.
inline constexpr std::size_t kMaxForks = 64;
inline constexpr std::size_t kMaxFactsBytes = 8192;
inline constexpr std::size_t kMaxFactText = 255;  // of a host, a name, a slot

// Whether this can be the history of that timeline: it left older ones, one after the other, and
// never went back.
bool IsHistoryOf(const TimelineHistory& history, std::uint32_t timeline);

// Of more forks than kMaxForks the newest are left, and from which timeline on they are known.
void KeepNewestForks(TimelineHistory& history);

// At most kMaxFactsBytes. Of more forks than kMaxForks the newest are told; what the reader would
// refuse is not told.
std::string WriteServerFacts(const ServerFacts& facts);

// nullopt when the text is not in this form: too long, another title, a line of ours that makes no
// sense or comes twice, forks that do not rise or are not older than the timeline. A peer's text
// may be anything.
std::optional<ServerFacts> ReadServerFacts(std::string_view text);

}  // namespace pg_status
