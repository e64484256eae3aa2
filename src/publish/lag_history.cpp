// The history of lag; see lag_history.hpp.
#include "publish/lag_history.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string_view>
#include <type_traits>

#include "base/fixed_text.hpp"

namespace pg_status {
namespace {

static_assert(std::is_trivially_copyable_v<PgstLagHistory> &&
              std::is_standard_layout_v<PgstLagHistory>);
static_assert(sizeof(PgstLagHistory) ==
                  PGST_NAME_SIZE + sizeof(std::uint64_t) * (3 + 2 * PGST_LAG_COLUMNS),
              "no hole that nobody writes");

// What one snapshot says of a host.
struct Lag {
  std::uint64_t ms = PGST_LAG_UNKNOWN;
  std::uint64_t bytes = PGST_LAG_UNKNOWN;
};

Lag LagOf(const PgstHost& host) {
  Lag lag;
  if (host.role != PGST_ROLE_STANDBY || host.state != PGST_STATE_UP) return lag;
  if (host.has_lag_ms != 0) lag.ms = host.lag_ms;
  if (host.has_lag_bytes != 0) lag.bytes = host.lag_bytes;
  return lag;
}

std::size_t PlaceOf(std::int64_t column) {
  return static_cast<std::size_t>(column % PGST_LAG_COLUMNS);
}

std::uint64_t Worst(std::uint64_t a, std::uint64_t b) {
  if (a == PGST_LAG_UNKNOWN) return b;
  return b == PGST_LAG_UNKNOWN ? a : std::max(a, b);
}

void Put(PgstLagHistory& row, std::int64_t column, const Lag& lag) {
  row.ms[PlaceOf(column)] = lag.ms;
  row.bytes[PlaceOf(column)] = lag.bytes;
}

// Whether what was noted last, in the newest column, is still believed in a later one that it is
// all there is for.
bool Holds(const PgstLagHistory& row, std::int64_t column, std::int64_t stale_after) {
  return (column - row.newest - 1) * PGST_LAG_COLUMN_US <= stale_after;
}

void Begin(PgstLagHistory& row, std::string_view host, std::int64_t column) {
  row = PgstLagHistory{};
  CopyFixedText(row.host, host);
  row.newest = column;
  std::fill(std::begin(row.ms), std::end(row.ms), PGST_LAG_UNKNOWN);
  std::fill(std::begin(row.bytes), std::end(row.bytes), PGST_LAG_UNKNOWN);
}

// Opens the columns up to this one. Those in between are of a time when nothing new was published.
void Advance(PgstLagHistory& row, std::int64_t column, std::int64_t stale_after) {
  const std::int64_t first = std::max(row.newest + 1, column - PGST_LAG_COLUMNS + 1);
  for (std::int64_t between = first; between < column; ++between) {
    Put(row, between, Holds(row, between, stale_after) ? Lag{row.last_ms, row.last_bytes} : Lag{});
  }
  if (row.newest < column) Put(row, column, Lag{});
  row.newest = column;
}

void Note(PgstLagHistory& row, std::int64_t column, const Lag& lag) {
  const std::size_t place = PlaceOf(column);
  Put(row, column, {Worst(row.ms[place], lag.ms), Worst(row.bytes[place], lag.bytes)});
  row.last_ms = lag.ms;
  row.last_bytes = lag.bytes;
}

}  // namespace

void NoteLags(PgstLagHistory* rows, const PgstSnapshot& snapshot) {
  const std::uint32_t count = std::min(snapshot.host_count, snapshot.max_hosts);
  const std::int64_t column = LagColumnOf(snapshot.made_mono);
  for (std::uint32_t i = 0; i < count; ++i) {
    PgstLagHistory& row = rows[i];
    const std::string_view host = FixedText(snapshot.hosts[i].name);
    if (FixedText(row.host) != host) Begin(row, host, column);
    // (the clock does not go back; were it to, the newest column would take it all)
    const std::int64_t now = std::max(column, row.newest);
    Advance(row, now, snapshot.stale_after);
    Note(row, now, LagOf(snapshot.hosts[i]));
  }
  for (PgstLagHistory* row = rows + count; row != rows + snapshot.max_hosts; ++row) {
    if (row->host[0] != '\0') *row = PgstLagHistory{};
  }
}

namespace {

std::uint64_t ValueAt(const PgstLagHistory& row, const std::uint64_t (&kept)[PGST_LAG_COLUMNS],
                      std::uint64_t last, std::int64_t column, std::int64_t stale_after) {
  if (row.host[0] == '\0' || column < 0 || column <= row.newest - PGST_LAG_COLUMNS) {
    return PGST_LAG_UNKNOWN;
  }
  if (column <= row.newest) return kept[PlaceOf(column)];
  return Holds(row, column, stale_after) ? last : PGST_LAG_UNKNOWN;
}

}  // namespace

std::uint64_t LagMsAt(const PgstLagHistory& row, std::int64_t column, std::int64_t stale_after) {
  return ValueAt(row, row.ms, row.last_ms, column, stale_after);
}

std::uint64_t LagBytesAt(const PgstLagHistory& row, std::int64_t column, std::int64_t stale_after) {
  return ValueAt(row, row.bytes, row.last_bytes, column, stale_after);
}

}  // namespace pg_status
