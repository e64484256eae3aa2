// A link and a server that says exactly what the test wants it to, driven together.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "probe/drive.hpp"
#include "probe/libpq_link.hpp"
#include "probe/scripted_server.hpp"

namespace pg_status {

inline constexpr char kName[] = "pg_status on a";

enum class Stage { kConnecting, kSending, kReading, kDone, kFailed };

// Drives a link from Open() on, as the probe does: it looks at the socket only when asked to.
class LinkPart : public Part {
 public:
  explicit LinkPart(const std::string& conninfo = "user=monitor dbname=postgres sslmode=disable")
      : link_(MakeLibpqLink(std::make_shared<const ConnectionOptions>(
            ParseConninfo(conninfo, kName, 1000).value()))) {}

  explicit LinkPart(std::unique_ptr<Link> link) : link_(std::move(link)) {}

  void Open(const Endpoint& endpoint) {
    stage_ = Stage::kConnecting;
    Moved(link_->Open(endpoint));
  }
  void Ask(std::string_view query = "SELECT 1") {
    stage_ = Stage::kSending;
    Moved(link_->Ask(query));
  }

  Link& link() { return *link_; }
  Stage stage() const { return stage_; }
  const LinkFailure& failure() const { return link_->failure(); }

  void Watch(std::vector<pollfd>& fds) override {
    if (!waiting()) return;
    const bool both = stage_ == Stage::kSending;
    const bool read = step_ == LinkStep::kWantRead || both;
    const bool write = step_ == LinkStep::kWantWrite;
    fds.push_back({link_->socket(), Events(read, write), 0});
  }
  void Step() override {
    std::vector<pollfd> ready;
    Watch(ready);
    if (ready.empty() || poll(ready.data(), 1, 0) <= 0) return;
    switch (stage_) {
      case Stage::kConnecting:
        return Moved(link_->Connect());
      case Stage::kSending:
        return Moved(link_->Flush());
      case Stage::kReading:
        return Moved(link_->Read());
      default:
        return;
    }
  }

 private:
  static short Events(bool read, bool write) {
    return static_cast<short>((read ? POLLIN : 0) | (write ? POLLOUT : 0));
  }
  bool waiting() const {
    return (step_ == LinkStep::kWantRead || step_ == LinkStep::kWantWrite) && link_->socket() >= 0;
  }
  void Moved(LinkStep step) {
    step_ = step;
    if (step == LinkStep::kFailed) {
      stage_ = Stage::kFailed;
    } else if (step == LinkStep::kDone && stage_ == Stage::kSending) {
      stage_ = Stage::kReading;
      step_ = LinkStep::kWantRead;
    } else if (step == LinkStep::kDone) {
      stage_ = Stage::kDone;
    }
  }

  std::unique_ptr<Link> link_;
  Stage stage_ = Stage::kDone;
  LinkStep step_ = LinkStep::kDone;
};

class LibpqLinkTest : public testing::Test {
 protected:
  static Endpoint At(std::uint16_t port) { return {"127.0.0.1", {"127.0.0.1"}, port}; }
  Endpoint Here() const { return At(server_.port()); }

  bool Run(const std::function<bool()>& done) { return RunUntil({&server_, &client_}, done); }
  // Until the step under way has ended, well or not.
  Stage Ended() {
    EXPECT_TRUE(Run([&] {
      return client_.stage() == Stage::kDone || client_.stage() == Stage::kFailed;
    })) << "nothing came of it";
    return client_.stage();
  }
  void Connect() {
    client_.Open(Here());
    ASSERT_EQ(Ended(), Stage::kDone) << client_.failure().error;
  }
  // Connects, asks, is answered with these bytes (and the end of the connection).
  Stage Asked(const std::string& bytes, bool then_end = false, std::size_t pace = 0) {
    server_.on_query = [=](ScriptedServer::Session& session) {
      session.pace = pace;
      session.Send(bytes);
      if (then_end) session.End();
    };
    Connect();
    if (HasFatalFailure()) return Stage::kFailed;
    client_.Ask();
    return Ended();
  }
  void ExpectFailure(Outcome outcome) {
    EXPECT_EQ(client_.stage(), Stage::kFailed);
    EXPECT_EQ(client_.failure().outcome, outcome) << client_.failure().error;
    EXPECT_FALSE(client_.failure().error.empty());
    EXPECT_EQ(client_.failure().error.find('\n'), std::string::npos);
    EXPECT_LE(client_.failure().error.size(), 500u);
  }

  ScriptedServer server_;
  LinkPart client_;
};

}  // namespace pg_status
