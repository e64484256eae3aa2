// The table for people: that it is aligned, and what stands where nothing is known.
#include "answer/host_table.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "check_scene.hpp"

namespace pg_status {
namespace {

std::string Table(CheckScene& scene, bool fresh = true) {
  std::string text;
  AppendHostTable(scene.snapshot(), fresh, text);
  return text;
}

TEST(HostTable, ShowsAClusterThatIsWell) {
  CheckScene scene = CheckScene::OnReplica();
  EXPECT_EQ(
      Table(scene),
      "host  role     state   lag  lag (bytes)  lsn      timeline  sync   upstream  note\n"
      "a     primary  up     0 ms          0 B  0/F4240         3  -      -\n"
      "b     standby  up     0 ms          0 B  0/F4240         3  async  -         this server\n"
      "c     standby  up     0 ms          0 B  0/F4240         3  async  -\n");
}

TEST(HostTable, ShowsWhatIsWrong) {
  CheckScene scene = CheckScene::OnPrimary();
  PgstHost& lagging = scene.host(1);
  lagging.lag_ms = 123456;
  lagging.lag_bytes = 5 * 1024 * 1024;
  lagging.has_replay_paused = lagging.replay_paused = 1;
  CopyFixedText(lagging.upstream, "a");
  scene.host(2) = PgstHost{};
  CopyFixedText(scene.host(2).name, "c");
  scene.host(2).checked = 1;
  scene.host(2).state = PGST_STATE_DOWN;
  scene.host(2).unreachable_here = 1;
  EXPECT_EQ(
      Table(scene),
      "host  role     state    lag  lag (bytes)  lsn      timeline  sync   upstream  note\n"
      "a     primary  up      0 ms          0 B  0/F4240         3  -      -         this server\n"
      "b     standby  up     2 min       5.0 MB  0/F4240         3  async  a         replay is "
      "paused\n"
      "c     unknown  down       ?            ?  ?               ?  -      -         "
      "only this node cannot reach it\n");
}

TEST(HostTable, ShowsWhoseHistoryHasLost) {
  CheckScene scene = CheckScene::OnPrimary();
  scene.host(1).diverged = 1;
  scene.host(1).has_lag_ms = scene.host(1).has_lag_bytes = 0;
  scene.host(2).role = PGST_ROLE_PRIMARY;
  scene.host(2).superseded = 1;
  EXPECT_EQ(Table(scene),
            "host  role     state      lag  lag (bytes)  lsn      timeline  sync   upstream  note\n"
            "a     primary  up        0 ms          0 B  0/F4240         3  -      -         this "
            "server\n"
            "b     standby  diverged     ?            ?  0/F4240         3  async  -\n"
            "c     primary  up        0 ms          0 B  0/F4240         3  async  -         "
            "superseded\n");
}

TEST(HostTable, ShowsAPrimaryThatTakesNoWrites) {
  CheckScene scene = CheckScene::OnPrimary();
  for (std::uint32_t i = 0; i < 2; ++i) scene.host(i).has_read_only = scene.host(i).read_only = 1;
  const std::string table = Table(scene);
  EXPECT_NE(table.find("this server; new sessions are read only\n"), std::string::npos) << table;
  EXPECT_EQ(table.find("new sessions"), table.rfind("new sessions"))
      << "of a standby it is no news";
}

TEST(HostTable, WithoutNewsOnlyNamesAndOrdersAreTold) {
  CheckScene scene = CheckScene::OnPrimary();
  scene.host(1).maintenance = PGST_DRAIN;
  CopyFixedText(scene.host(1).maintenance_reason, "new disks");
  EXPECT_EQ(Table(scene, false),
            "host  role  state        lag  lag (bytes)  lsn  timeline  sync  upstream  note\n"
            "a     ?     ?              ?            ?  ?           ?  -     -\n"
            "b     ?     maintenance    ?            ?  ?           ?  -     -         "
            "draining; new disks\n"
            "c     ?     ?              ?            ?  ?           ?  -     -\n");
}

TEST(HostTable, WidthIsThatOfCharacters) {
  CheckScene scene = CheckScene::OnPrimary();
  CopyFixedText(scene.host(0).name, "düsseldorf");
  std::string text = Table(scene);
  std::vector<std::size_t> roles;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::string line = text.substr(at, text.find('\n', at) - at);
    const std::size_t role =
        std::min({line.find("role"), line.find("primary"), line.find("standby")});
    roles.push_back(role - (line.find("ü") == std::string::npos ? 0 : 1));
    at += line.size() + 1;
  }
  EXPECT_EQ(roles, (std::vector<std::size_t>{12, 12, 12, 12}));
}

struct FigureRow {
  std::uint64_t ms;
  std::uint64_t bytes;
  const char* lag;
  const char* behind;
};

TEST(HostTable, FiguresAreShort) {
  const FigureRow rows[] = {
      {999, 1023, "999 ms", "1023 B"},
      {1000, 1024, "1.0 s", "1.0 kB"},
      {99900, 10 * 1024, "99.9 s", "10 kB"},
      {100000, 1024 * 1024, "2 min", "1.0 MB"},
      {6000000, 3ULL << 30, "1.7 h", "3.0 GB"},
      {UINT64_MAX, UINT64_MAX, "5124095576030.4 h", "16777216 TB"},
  };
  CheckScene scene = CheckScene::OnPrimary();
  for (const FigureRow& row : rows) {
    scene.host(1).lag_ms = row.ms;
    scene.host(1).lag_bytes = row.bytes;
    EXPECT_NE(Table(scene).find(row.lag), std::string::npos) << Table(scene);
    EXPECT_NE(Table(scene).find(row.behind), std::string::npos) << Table(scene);
  }
}

TEST(HostTable, SaysWhoIsNotWhatHeSeems) {
  CheckScene scene = CheckScene::OnPrimary();
  scene.host(1).role = PGST_ROLE_PRIMARY;
  scene.host(2).foreign = 1;
  scene.host(2).streaming = 0;
  const std::string text = Table(scene);
  EXPECT_NE(text.find("not the primary that is named\n"), std::string::npos) << text;
  EXPECT_NE(text.find("of another cluster; does not stream\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace pg_status
