// The hosts as a table for people; see host_table.hpp.
#include "answer/host_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "answer/host_json.hpp"
#include "base/fixed_text.hpp"
#include "base/lsn.hpp"

namespace pg_status {
namespace {

constexpr std::size_t kColumns = 10;
using Row = std::array<std::string, kColumns>;

constexpr std::array<std::string_view, kColumns> kHeadings = {
    "host", "role", "state", "lag", "lag (bytes)", "lsn", "timeline", "sync", "upstream", "note"};

// Figures stand below each other by their ends.
constexpr std::array<bool, kColumns> kRight = {false, false, false, true,  true,
                                               false, true,  false, false, false};

constexpr std::string_view kGap = "  ";
constexpr const char* kUnknown = "?";
constexpr const char* kNone = "-";

bool IsLive(const PgstHost& host) {
  return host.state == PGST_STATE_UP || host.state == PGST_STATE_SUSPECT;
}

// Characters, not bytes, are what takes room. Names are valid UTF-8.
std::size_t WidthOf(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

// "850 ms", "2.5 s", "12 min", "3.1 h"
std::string DurationText(std::uint64_t ms) {
  if (ms < 1000) return fmt::format("{} ms", ms);
  const double seconds = static_cast<double>(ms) / 1000;
  if (seconds < 100) return fmt::format("{:.1f} s", seconds);
  if (seconds < 6000) return fmt::format("{:.0f} min", seconds / 60);
  return fmt::format("{:.1f} h", seconds / 3600);
}

// "120 B", "16 kB", "1.5 MB": steps of 1024, as PostgreSQL has them.
std::string SizeText(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 4> kUnits = {"kB", "MB", "GB", "TB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double size = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (size >= 1024 && unit + 1 < kUnits.size()) {
    size /= 1024;
    ++unit;
  }
  return fmt::format(size < 10 ? "{:.1f} {}" : "{:.0f} {}", size, kUnits[unit]);
}

std::string TextOr(std::string_view text, const char* otherwise) {
  return text.empty() ? otherwise : std::string(text);
}

// What is worth knowing beside the columns.
std::string NoteOf(const PgstHost& host, bool known) {
  std::string note;
  const auto add = [&note](std::string_view text) {
    note += note.empty() ? "" : "; ";
    note += text;
  };
  if (host.maintenance == PGST_DRAIN) add("draining");
  if (host.maintenance_reason[0] != '\0') add(FixedText(host.maintenance_reason));
  if (!known) return note;
  if (host.self != 0) add("this server");
  if (host.foreign != 0) add("of another cluster");
  if (host.superseded != 0) {
    add("superseded");
  } else if (host.role == PGST_ROLE_PRIMARY && host.primary == 0 && host.foreign == 0) {
    add("not the primary that is named");
  }
  if (host.role == PGST_ROLE_PRIMARY && host.has_read_only != 0 && host.read_only != 0) {
    add("new sessions are read only");
  }
  if (host.has_takes_sessions != 0 && host.takes_sessions == 0) add("takes no new sessions");
  if (host.unreachable_here != 0) add("only this node cannot reach it");
  if (host.has_replay_paused != 0 && host.replay_paused != 0) add("replay is paused");
  if (host.has_streaming != 0 && host.streaming == 0 && host.role == PGST_ROLE_STANDBY) {
    add("does not stream");
  }
  return note;
}

Row RowOf(const PgstHost& host, bool fresh) {
  const bool known = fresh && host.checked != 0;
  const bool live = known && IsLive(host);
  const bool maintenance = host.maintenance != PGST_IN_SERVICE;
  return {std::string(HostName(host)),
          known ? std::string(RoleWord(host.role)) : kUnknown,
          known || maintenance ? std::string(StateWord(host)) : kUnknown,
          live && host.has_lag_ms != 0 ? DurationText(host.lag_ms) : kUnknown,
          live && host.has_lag_bytes != 0 ? SizeText(host.lag_bytes) : kUnknown,
          live && host.has_lsn != 0 ? FormatLsn(host.lsn) : kUnknown,
          known && host.timeline != 0 ? std::to_string(host.timeline) : kUnknown,
          TextOr(live ? FixedText(host.sync_state) : "", kNone),
          TextOr(live ? FixedText(host.upstream) : "", kNone),
          NoteOf(host, known)};
}

void AppendRow(const Row& row, const std::array<std::size_t, kColumns>& widths, std::string& out) {
  std::string line;
  for (std::size_t i = 0; i < kColumns; ++i) {
    const std::string blanks(widths[i] - WidthOf(row[i]), ' ');
    if (i > 0) line += kGap;
    line += kRight[i] ? blanks + row[i] : row[i] + blanks;
  }
  line.erase(line.find_last_not_of(' ') + 1);
  out += line;
  out += '\n';
}

}  // namespace

void AppendHostTable(const PgstSnapshot& snapshot, bool fresh, std::string& out) {
  std::vector<Row> rows(1);
  std::copy(kHeadings.begin(), kHeadings.end(), rows[0].begin());
  const PgstHost* const hosts = snapshot.hosts;
  for (std::uint32_t i = 0; i < HostCount(snapshot); ++i) rows.push_back(RowOf(hosts[i], fresh));

  std::array<std::size_t, kColumns> widths{};
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < kColumns; ++i) widths[i] = std::max(widths[i], WidthOf(row[i]));
  }
  for (const Row& row : rows) AppendRow(row, widths, out);
}

}  // namespace pg_status
