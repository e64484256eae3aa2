// A node that serves the discovery port, for the tests of that port: a primary "p" and two standbys
// "s1" and "s2", all well; requests as they come from the reader, and answers taken apart. Knows
// nothing of what is answered, but the rules that every answer must fulfil.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "answer/discovery.hpp"
#include "base/fixed_text.hpp"
#include "publish/snapshot_storage.hpp"

namespace pg_status {

using Query = std::vector<std::pair<std::string, std::string>>;

inline Request Get(std::string path, Query query = {}) {
  Request request;
  request.keep_alive = true;
  request.path = std::move(path);
  request.query = std::move(query);
  return request;
}

inline Request GetJson(std::string path, Query query = {}) {
  Request request = Get(std::move(path), std::move(query));
  request.wants_json = true;
  return request;
}

// A response taken apart, by rules that every answer must fulfil.
struct Response {
  std::string status;  // "200 OK"
  std::vector<std::string> fields;
  std::string body;

  explicit Response(const std::string& bytes) {
    const std::size_t end = bytes.find("\r\n\r\n");
    if (end == std::string::npos) {
      ADD_FAILURE() << "the head does not end: " << bytes;
      return;
    }
    body = bytes.substr(end + 4);
    std::string head = bytes.substr(0, end + 2);
    for (std::size_t cut = head.find("\r\n"); cut != std::string::npos; cut = head.find("\r\n")) {
      fields.push_back(head.substr(0, cut));
      head.erase(0, cut + 2);
    }
    EXPECT_EQ(fields[0].substr(0, 9), "HTTP/1.1 ");
    status = fields[0].substr(9);
    fields.erase(fields.begin());
    EXPECT_TRUE(Has("Content-Length: " + std::to_string(body.size()))) << bytes;
    EXPECT_TRUE(Has("Cache-Control: no-store")) << bytes;
    EXPECT_TRUE(Has("X-Pg-Status-Port: discovery")) << bytes;
    EXPECT_EQ(TypeOf().empty(), body.empty()) << bytes;
    EXPECT_EQ(Has("Allow: GET"), status.substr(0, 3) == "405") << bytes;
  }

  bool Has(const std::string& field) const {
    return std::count(fields.begin(), fields.end(), field) == 1;
  }
  std::string TypeOf() const {
    const std::string name = "Content-Type: ";
    for (const std::string& field : fields) {
      if (field.compare(0, name.size(), name) == 0) return field.substr(name.size());
    }
    return "";
  }
  bool Mentions(const std::string& name) const {
    return std::any_of(fields.begin(), fields.end(), [&](const std::string& field) {
      return field.compare(0, name.size() + 1, name + ":") == 0;
    });
  }
};

// A primary "p", two standbys "s1" and "s2" (5 and 9 ms behind, 50 and 90 bytes) and a service that
// chooses among them as the real one does.
class DiscoveryScene {
 public:
  static constexpr MonoUs kNow = 1000 * kUsPerSecond;
  static constexpr WallUs kWallNow = 1700000000 * kUsPerSecond;
  static constexpr std::int64_t kStaleAfter = 6 * kUsPerSecond;

  explicit DiscoveryScene(std::uint32_t max_hosts = 8)
      : storage_(max_hosts),
        service_(
            world_, [this](const World& world, const Wish& wish) { return TakeTurn(world, wish); },
            "1.2.3", traffic_) {
    snapshot().layout = PGST_SNAPSHOT_LAYOUT;
    snapshot().ready = 1;
    snapshot().primary = 0;
    snapshot().generation = 1;
    snapshot().made_mono = kNow - 250 * kUsPerMs;
    snapshot().made_wall = kWallNow - 250 * kUsPerMs;
    snapshot().stale_after = kStaleAfter;
    snapshot().sync_max_lag_ms = 1000;
    snapshot().sync_max_lag_bytes = 1000000;
    AddHost("p", PGST_ROLE_PRIMARY, 0);
    AddHost("s1", PGST_ROLE_STANDBY, 5);
    AddHost("s2", PGST_ROLE_STANDBY, 9);
    host(0).primary = 1;
    world_.snapshot = &snapshot();
    world_.poller_alive = kNow;
    world_.now = kNow;
    world_.wall_now = kWallNow;
  }
  DiscoveryScene(const DiscoveryScene&) = delete;
  DiscoveryScene& operator=(const DiscoveryScene&) = delete;

  PgstSnapshot& snapshot() { return storage_.get(); }
  PgstHost& host(std::uint32_t index) { return snapshot().hosts[index]; }
  World& world() { return world_; }
  const Traffic& traffic() const { return traffic_; }
  Discovery& service() { return service_; }

  void AddHost(std::string_view name, PgstRole role, std::uint64_t lag) {
    PgstHost& added = host(snapshot().host_count++);
    added = PgstHost{};
    CopyFixedText(added.name, name);
    CopyFixedText(added.dc, "east");
    added.role = static_cast<std::uint8_t>(role);
    added.state = PGST_STATE_UP;
    added.checked = 1;
    added.weight = 1;
    added.timeline = 1;
    added.has_lag_ms = 1;
    added.lag_ms = lag;
    added.has_lag_bytes = 1;
    added.lag_bytes = lag * 10;
    added.has_lsn = 1;
    added.lsn = 0x3000060;
    added.last_success_wall = kWallNow - 1250 * kUsPerMs;
  }
  void Publish() { ++snapshot().generation; }

  std::string HttpBytes(const Request& request, bool close = false) {
    std::string out;
    service_.AnswerHttp(request, close, out);
    return out;
  }
  Response Http(const Request& request, bool close = false) {
    return Response(HttpBytes(request, close));
  }
  std::string Line(const std::string& path, Query query = {}) {
    Request request;
    request.line = true;
    request.path = path;
    request.query = std::move(query);
    std::string out;
    service_.AnswerLine(request, out);
    return out;
  }

  std::vector<Wish> wishes;       // what the service wished for
  std::optional<Choice> instead;  // what it gets, instead of a real choice

 private:
  Choice TakeTurn(const World& world, const Wish& wish) {
    wishes.push_back(wish);
    if (instead) return *instead;
    const Choice choice = Choose(*world.snapshot, wish, cursor_, world.poller_alive, world.now);
    cursor_ = choice.next_cursor;
    return choice;
  }

  SnapshotStorage storage_;
  World world_;
  Cursor cursor_ = 0;
  Traffic traffic_;
  Discovery service_;
};

}  // namespace pg_status
