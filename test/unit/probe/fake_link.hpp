// A connection that follows a script, for tests of the probe's state machine. Unless told otherwise
// it connects after one wait, takes the query at once and answers after one wait as a good primary.
#pragma once

#include <deque>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "probe/link.hpp"
#include "probe/reply_rows.hpp"

namespace pg_status {

// What the link is to do, and what was done to it. The test keeps it; links come and go.
struct LinkScript {
  // Next results of each call; the usual one when empty.
  std::deque<LinkStep> open, connect, ask, flush, read;
  std::deque<bool> still_there;
  // Why the next kFailed failed, in turn.
  std::deque<LinkFailure> failures;
  std::vector<Cells> answer{PrimaryCells()};
  int server_version = 150020;
  std::vector<LoginWarning> warnings;
  bool holds_session = false;
  std::string without_memory;  // the call that gets none, once

  std::vector<std::string> calls;
  std::vector<Endpoint> endpoints;
  std::string query;
  int is_open = 0;  // how many links are, of those that follow this script

  void Fail(std::deque<LinkStep>& step, Outcome outcome, std::string error) {
    step.push_back(LinkStep::kFailed);
    failures.push_back({outcome, std::move(error)});
  }
  std::size_t Count(std::string_view call) const {
    std::size_t count = 0;
    for (const std::string& made : calls) count += made == call ? 1 : 0;
    return count;
  }
};

class FakeLink : public Link {
 public:
  static constexpr int kSocket = 42;
  static constexpr const char* kSession = "4711 mark";

  explicit FakeLink(LinkScript& script) : script_(script) {}
  ~FakeLink() override { SetOpen(false); }

  LinkStep Open(const Endpoint& endpoint) override {
    script_.endpoints.push_back(endpoint);
    SetOpen(true);
    return Next("open", script_.open, LinkStep::kWantWrite);
  }
  LinkStep Connect() override { return Next("connect", script_.connect, LinkStep::kDone); }
  LinkStep Ask(std::string_view query) override {
    script_.query = query;
    return Next("ask", script_.ask, LinkStep::kDone);
  }
  LinkStep Flush() override { return Next("flush", script_.flush, LinkStep::kDone); }
  LinkStep Read() override {
    const LinkStep step = Next("read", script_.read, LinkStep::kDone);
    rows_ = FakeRows(script_.answer);
    return step;
  }
  const Rows& Answer() const override { return rows_; }
  void Prepare() override { script_.calls.emplace_back("prepare"); }
  bool StillThere() override {
    script_.calls.emplace_back("still there");
    if (script_.still_there.empty()) return true;
    const bool there = script_.still_there.front();
    script_.still_there.pop_front();
    return there;
  }
  void Close() override {
    if (open_) script_.calls.emplace_back("close");
    SetOpen(false);
    failure_ = {};
  }
  std::unique_ptr<Link> Another() const override { return std::make_unique<FakeLink>(script_); }

  bool HoldsSession() const override { return open_ && script_.holds_session; }

  bool is_open() const override { return open_; }
  std::string session() const override { return open_ ? kSession : ""; }
  int socket() const override { return open_ ? kSocket : -1; }
  int server_version() const override { return open_ ? script_.server_version : 0; }
  std::string peer_address() const override { return open_ ? "192.0.2.1" : ""; }
  const LinkFailure& failure() const override { return failure_; }
  std::vector<LoginWarning> warnings() const override {
    return open_ ? script_.warnings : std::vector<LoginWarning>();
  }

 private:
  void SetOpen(bool open) {
    if (open && !open_) ++script_.is_open;
    // (the test may have begun a new script meanwhile)
    if (!open && open_ && script_.is_open > 0) --script_.is_open;
    open_ = open;
  }

  LinkStep Next(const char* call, std::deque<LinkStep>& steps, LinkStep usual) {
    script_.calls.emplace_back(call);
    if (script_.without_memory == call) {
      script_.without_memory.clear();
      throw std::bad_alloc();
    }
    LinkStep step = usual;
    if (!steps.empty()) {
      step = steps.front();
      steps.pop_front();
    }
    if (step == LinkStep::kFailed) {
      failure_ = {};
      if (!script_.failures.empty()) {
        failure_ = script_.failures.front();
        script_.failures.pop_front();
      }
    }
    return step;
  }

  LinkScript& script_;
  bool open_ = false;
  FakeRows rows_;
  LinkFailure failure_;
};

}  // namespace pg_status
