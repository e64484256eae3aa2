// One host being asked, for tests of its state machine: the clock and the connection are the test's
// own.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "probe/fake_link.hpp"
#include "probe/peer_probe.hpp"

namespace pg_status {

using State = PeerProbe::State;
using Addresses = std::vector<std::string>;

inline constexpr MonoUs kStart = 1000 * kUsPerSecond;

inline MonoUs At(std::int64_t ms) { return kStart + ms * kUsPerMs; }

inline HostEntry Entry(PlaceKind kind, const std::string& hostname) {
  HostEntry entry;
  entry.name = hostname + ":5433";
  entry.kind = kind;
  entry.hostname = hostname;
  entry.port = 5433;
  return entry;
}

class PeerProbeTest : public testing::Test {
 protected:
  PeerProbeTest() { UseHost(PlaceKind::kAddress, "192.0.2.1"); }

  void UseHost(PlaceKind kind, const std::string& hostname) {
    probe_.reset();
    probe_ = std::make_unique<PeerProbe>(Entry(kind, hostname), std::make_unique<FakeLink>(link_));
  }

  void Begin(std::int64_t ms) { probe_->Begin(At(ms), limits_); }

  Observation Take() {
    const auto observation = probe_->TakeObservation();
    EXPECT_TRUE(observation.has_value()) << "the probe has not ended";
    return observation.value_or(Observation{});
  }

  // A whole good probe from 0 to 3 ms, which leaves a connection behind.
  void ProbeWell(std::int64_t ms) {
    Begin(ms);
    if (probe_->needs_addresses()) probe_->OnResolved(At(ms), {"192.0.2.1", "192.0.2.2"}, "");
    if (probe_->state() == State::kConnecting) probe_->OnSocket(At(ms + 1));
    probe_->OnSocket(At(ms + 3));
    ASSERT_EQ(Take().outcome, Outcome::kOk);
    link_.calls.clear();
    link_.endpoints.clear();
  }

  void ExpectResting(const Observation& seen, Outcome outcome, std::int64_t finished_ms) {
    EXPECT_EQ(seen.outcome, outcome);
    EXPECT_EQ(seen.finished, At(finished_ms));
    EXPECT_EQ(seen.error.empty(), outcome == Outcome::kOk) << seen.error;
    EXPECT_EQ(probe_->state(), State::kResting);
    EXPECT_EQ(probe_->deadline(), 0);
    EXPECT_EQ(link_.is_open, outcome == Outcome::kOk ? 1 : 0) << "a failure ends the connection";
    EXPECT_FALSE(probe_->TakeObservation().has_value()) << "an observation is taken once";
  }

  LinkScript link_;
  Limits limits_;  // poll_timeout 1 s, conn_max_age 300 s
  std::unique_ptr<PeerProbe> probe_;
};

}  // namespace pg_status
