// The words of the raw status port.
#include "answer/raw_line.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace pg_status {
namespace {

constexpr NodeState kStates[] = {NodeState::kStarting, NodeState::kPrimary, NodeState::kStandby,
                                 NodeState::kStopping, NodeState::kFenced};

TEST(RawLine, HasOneWordForEachState) {
  EXPECT_EQ(RawLine(NodeState::kStarting), "STARTING\n");
  EXPECT_EQ(RawLine(NodeState::kPrimary), "MASTER\n");
  EXPECT_EQ(RawLine(NodeState::kStandby), "STANDBY\n");
  EXPECT_EQ(RawLine(NodeState::kStopping), "STOPPING\n");
  EXPECT_EQ(RawLine(NodeState::kFenced), "FENCED\n");
}

TEST(RawLine, NoWordContainsAnotherSinceLoadBalancersMatchSubstrings) {
  for (NodeState a : kStates) {
    for (NodeState b : kStates) {
      if (a == b) continue;
      const std::string_view word = RawLine(b).substr(0, RawLine(b).size() - 1);
      EXPECT_EQ(RawLine(a).find(word), std::string_view::npos) << RawLine(a) << RawLine(b);
    }
  }
}

TEST(RawLine, TheWordOfMaintenanceIsLikeNoOther) {
  for (NodeState state : kStates) {
    EXPECT_EQ(RawLine(state).find("MAINT"), std::string_view::npos);
    EXPECT_EQ(kMaintLine.find(RawLine(state).substr(0, RawLine(state).size() - 1)),
              std::string_view::npos);
  }
}

TEST(RawLine, IsOneLineWithItsEndOnly) {
  for (NodeState state : kStates) {
    EXPECT_EQ(RawLine(state).find('\n'), RawLine(state).size() - 1);
    EXPECT_EQ(RawLine(state).find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
              RawLine(state).size() - 1);
  }
}

TEST(RawLine, NeverPromisesAnythingForAStateThatDoesNotExist) {
  EXPECT_EQ(RawLine(static_cast<NodeState>(5)), "STARTING\n");
  EXPECT_EQ(RawLine(static_cast<NodeState>(255)), "STARTING\n");
}

}  // namespace
}  // namespace pg_status
