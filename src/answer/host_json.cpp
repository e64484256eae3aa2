// Hosts as JSON: the keys, their order and when a value is null. Knows nothing of HTTP, nor of how
// a host came to be in a state.
#include "answer/host_json.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>

#include "answer/json_writer.hpp"
#include "base/fixed_text.hpp"
#include "base/lsn.hpp"

namespace pg_status {
namespace {

// In the order of PgstRole and of PgstState.
constexpr std::string_view kRoleWords[] = {"unknown", "primary", "standby"};
constexpr std::string_view kStateWords[] = {"unknown", "up", "suspect", "down"};

// A number that no enumerator has is as good as not known.
template <std::size_t N>
std::string_view WordOf(const std::string_view (&words)[N], std::uint8_t value) {
  return value < N ? words[value] : words[0];
}

void WritePlace(const PgstHost& host, JsonWriter& json) {
  json.TextOrNull("dc", FixedText(host.dc));
  json.TextOrNull("geo", FixedText(host.geo));
}

// The keys that clients of this interface have always known, in their order. Three states are told
// apart, as (alive, possible_dead): up (true, false), suspect (true, true), and all else
// (false, true). Of a host that is not alive nothing is claimed that may have changed since.
void WriteState(const PgstHost& host, JsonWriter& json) {
  const bool up = host.state == PGST_STATE_UP;
  const bool alive = up || host.state == PGST_STATE_SUSPECT;
  json.Flag("master", alive && host.primary != 0);
  json.Flag("alive", alive);
  json.Flag("possible_dead", !up);
  json.NumberOrNull("lag_ms", alive && host.has_lag_ms != 0, host.lag_ms);
  json.Flag("sync_by_time", alive && host.sync_by_time != 0);
  json.NumberOrNull("lag_bytes", alive && host.has_lag_bytes != 0, host.lag_bytes);
  json.Flag("sync_by_bytes", alive && host.sync_by_bytes != 0);
  json.TextOrNull("lsn", alive && host.has_lsn != 0 ? FormatLsn(host.lsn) : std::string());
}

// Ours, after all of the others. The system identifier is a text because many readers of JSON take
// every number for a double.
void WriteMore(const PgstHost& host, WallUs answer_wall, JsonWriter& json) {
  const std::uint64_t system = host.system_identifier;
  const std::optional<std::uint64_t> age_ms = AgeMs(host.last_success_wall, answer_wall);
  json.Text("role", RoleWord(host.role));
  json.Text("state", StateWord(host));
  json.NumberOrNull("timeline", host.timeline != 0, host.timeline);
  json.TextOrNull("system_identifier", system != 0 ? std::to_string(system) : std::string());
  json.NumberOrNull("last_ok_ms", age_ms.has_value(), age_ms.value_or(0));
  json.Fraction("weight", host.weight);
  json.Number("votes_up", host.votes_up);
  json.Number("votes_down", host.votes_down);
  json.Flag("unreachable_here", host.unreachable_here != 0);
  json.Flag("diverged", host.diverged != 0);
  json.Flag("superseded", host.superseded != 0);
  json.FlagOrNull("read_only", host.has_read_only != 0, host.read_only != 0);
  json.FlagOrNull("takes_sessions", host.has_takes_sessions != 0, host.takes_sessions != 0);
  json.Flag("maintenance", host.maintenance != PGST_IN_SERVICE);
  json.TextOrNull("maintenance_reason", FixedText(host.maintenance_reason));
}

void WriteStatus(const PgstHost& host, WallUs answer_wall, JsonWriter& json) {
  WritePlace(host, json);
  WriteState(host, json);
  WriteMore(host, answer_wall, json);
}

}  // namespace

std::uint32_t HostCount(const PgstSnapshot& snapshot) {
  return std::min(snapshot.host_count, snapshot.max_hosts);
}

std::string_view RoleWord(std::uint8_t role) { return WordOf(kRoleWords, role); }

std::string_view LivenessWord(std::uint8_t state) { return WordOf(kStateWords, state); }

bool IsDiverged(const PgstHost& host) {
  const bool live = host.state == PGST_STATE_UP || host.state == PGST_STATE_SUSPECT;
  return live && host.role == PGST_ROLE_STANDBY && host.diverged != 0;
}

std::string_view StateWord(const PgstHost& host) {
  if (host.maintenance != PGST_IN_SERVICE) return "maintenance";
  return IsDiverged(host) ? "diverged" : LivenessWord(host.state);
}

std::string_view HostName(const PgstHost& host) { return FixedText(host.name); }

std::optional<std::uint64_t> AgeMs(WallUs then, WallUs now) {
  if (then == 0 || now == 0) return std::nullopt;
  return static_cast<std::uint64_t>(std::max<std::int64_t>(now - then, 0) / kUsPerMs);
}

void AppendNamedHost(const PgstHost& host, std::string& out) {
  JsonWriter json(out);
  json.Begin();
  json.Text("host", HostName(host));
  WritePlace(host, json);
  json.End();
}

void AppendHostStatus(const PgstHost& host, WallUs answer_wall, std::string& out) {
  JsonWriter json(out);
  json.Begin();
  WriteStatus(host, answer_wall, json);
  json.End();
}

void AppendHostList(const PgstSnapshot& snapshot, WallUs answer_wall, std::string& out) {
  JsonWriter json(out);
  json.BeginList();
  const PgstHost* const hosts = snapshot.hosts;
  for (std::uint32_t i = 0; i < HostCount(snapshot); ++i) {
    json.Begin();
    json.Text("host", HostName(hosts[i]));
    WriteStatus(hosts[i], answer_wall, json);
    json.End();
  }
  json.EndList();
}

}  // namespace pg_status
