// Why something changed, in words that the log and the events share. Private to judge/. What is
// said is a full sentence where that is written here, else a part of one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/hosts.hpp"
#include "judge/verdict.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// "1 failure", "3 failures".
std::string Failures(int count);

// "primary, timeline 2" or "standby".
std::string RoleText(const HostVerdict& host);

// "unknown", "primary" or "standby".
std::string_view RoleWord(Role role);

// "text: reason", or the text alone where there is none.
std::string WithReason(std::string text, const std::string& reason);

// That a host which is down "is down" is more than this node's word.
std::string_view DownWords(const HostVerdict& host);

// Of a host that only this node cannot reach; sentences.
std::string WhyUnreachableHere(const HostVerdict& host, const Quorum& quorum);

// Of a host of another cluster than that of this system identifier; a sentence.
std::string WhyForeign(const HostVerdict& host, std::uint64_t system_identifier);

// What to do so that the row of a standby can be told from others; a sentence.
std::string WhatTellsRowsApart(const HostEntry& entry);

// Why the primary that was, the host of this index, is none any more, or is not named; a sentence,
// or "" where nothing is known.
std::string WhyNotPrimary(const ClusterVerdict& after, std::size_t was,
                          const std::vector<HostEntry>& entries);

// `"a:5432" (timeline 1), "b:5432" (timeline 2)`: those who say that they are the primary.
std::string ClaimantNames(const ClusterVerdict& cluster, const std::vector<HostEntry>& entries);

// Names those of the primaries that were (claimed, by index) that have not become standbys, nor
// refuse connections as a machine without the server does; a sentence, "" when there are none. The
// page knows it by its first two words.
std::string WhatIsOutOfSight(const std::vector<bool>& claimed, const ClusterVerdict& after,
                             const std::vector<HostEntry>& entries);

// Names the primary, or says that there is none; a sentence.
std::string WhoIsPrimary(const ClusterVerdict& cluster, const std::vector<HostEntry>& entries);

// Whether there should be a majority in sight, and is not. With the others still starting, or just
// added, there is nothing to miss yet.
bool MissesMajority(const ClusterVerdict& cluster);

// "1 of 3 voting nodes".
std::string VotersInSight(const Quorum& quorum);

}  // namespace pg_status
