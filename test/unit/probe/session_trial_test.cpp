// New sessions, tried beside the one that is kept: what comes of each trial, and when silence is
// one.
#include "probe/session_trial.hpp"

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "probe/fake_link.hpp"

namespace pg_status {
namespace {

constexpr MonoUs kStart = 1000 * kUsPerSecond;
constexpr std::int64_t kQuickUs = 5 * kUsPerMs;
constexpr std::int64_t kSlowUs = 500 * kUsPerMs;

MonoUs At(std::int64_t ms) { return kStart + ms * kUsPerMs; }

class SessionTrialTest : public testing::Test {
 protected:
  void Begin() {
    Endpoint where;
    where.host = "db1";
    where.addresses = {"192.0.2.1"};
    where.port = 5433;
    trial_.Begin(At(0), std::make_unique<FakeLink>(link_), where);
  }
  // Looks each second until something is told; the second in which that was, -1 never.
  int SilentUntil(int seconds, std::int64_t answer_us) {
    for (int s = 1; s <= seconds; ++s) {
      trial_.OnLook(At(1000 * s), limits_, answer_us);
      const auto tried = trial_.Take();
      if (!tried) continue;
      EXPECT_EQ(tried->outcome, Outcome::kTimeout);
      EXPECT_FALSE(tried->error.empty());
      return s;
    }
    return -1;
  }

  LinkScript link_;
  Limits limits_;
  SessionTrial trial_;
};

TEST_F(SessionTrialTest, IsLetInAndGoes) {
  Begin();
  EXPECT_TRUE(trial_.running());
  EXPECT_TRUE(trial_.wants().write);
  ASSERT_EQ(link_.endpoints.size(), 1u);
  EXPECT_EQ(link_.endpoints[0].addresses.size(), 1u);
  trial_.OnSocket(At(3));
  const auto tried = trial_.Take();
  ASSERT_TRUE(tried);
  EXPECT_EQ(tried->outcome, Outcome::kOk);
  EXPECT_EQ(tried->finished, At(3));
  EXPECT_FALSE(trial_.running());
  EXPECT_EQ(link_.is_open, 0);
  EXPECT_EQ(link_.Count("ask"), 0u);
  EXPECT_FALSE(trial_.Take()) << "told once";
}

TEST_F(SessionTrialTest, WhatTheHostSaysIsTold) {
  for (const Outcome outcome : {Outcome::kRefused, Outcome::kRejected, Outcome::kFull,
                                Outcome::kStarting, Outcome::kClosed}) {
    link_ = LinkScript{};
    link_.Fail(link_.connect, outcome, "no");
    Begin();
    trial_.OnSocket(At(1));
    const auto tried = trial_.Take();
    ASSERT_TRUE(tried);
    EXPECT_EQ(tried->outcome, outcome);
    EXPECT_EQ(tried->error, "no");
    EXPECT_FALSE(trial_.running());
  }
}

TEST_F(SessionTrialTest, WhatFailsHereTellsNothing) {
  link_.Fail(link_.open, Outcome::kClosed, "too many open files");
  Begin();
  EXPECT_FALSE(trial_.running());
  EXPECT_FALSE(trial_.Take());
}

TEST_F(SessionTrialTest, SilenceBesideQuickAnswersIsToldAfterAWhile) {
  link_.holds_session = true;
  Begin();
  EXPECT_EQ(SilentUntil(60, kQuickUs), 5);
}

TEST_F(SessionTrialTest, WhoIsSlowInAllHasMoreTime) {
  link_.holds_session = true;
  Begin();
  EXPECT_EQ(SilentUntil(60, kSlowUs), 15);
}

TEST_F(SessionTrialTest, TimeInWhichWeDidNotLookDoesNotCount) {
  link_.holds_session = true;
  Begin();
  trial_.OnLook(At(1000), limits_, kQuickUs);
  trial_.OnLook(At(61000), limits_, kQuickUs);
  EXPECT_FALSE(trial_.Take()) << "it was us who were frozen";
}

TEST_F(SessionTrialTest, SilentOneIsWaitedForAndNotMultiplied) {
  link_.holds_session = true;
  Begin();
  EXPECT_EQ(SilentUntil(5, kQuickUs), 5);
  for (int s = 6; s < 100; ++s) {
    trial_.OnLook(At(1000 * s), limits_, kQuickUs);
    EXPECT_FALSE(trial_.Take()) << "told once";
    ASSERT_TRUE(trial_.running());
  }
  EXPECT_EQ(link_.Count("open"), 1u);
  trial_.OnSocket(At(100000));
  const auto tried = trial_.Take();
  ASSERT_TRUE(tried) << "at the moment when it goes on";
  EXPECT_EQ(tried->outcome, Outcome::kOk);
}

TEST_F(SessionTrialTest, BrokenPathIsNotWaitedFor) {
  link_.holds_session = false;
  Begin();
  EXPECT_EQ(SilentUntil(5, kQuickUs), 5);
  EXPECT_FALSE(trial_.running());
  EXPECT_EQ(link_.is_open, 0);
}

TEST_F(SessionTrialTest, WithoutMemoryThereIsNone) {
  link_.without_memory = "connect";
  Begin();
  trial_.OnSocket(At(1));
  EXPECT_FALSE(trial_.running());
  EXPECT_FALSE(trial_.Take());
}

}  // namespace
}  // namespace pg_status
