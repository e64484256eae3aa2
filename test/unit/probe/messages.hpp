// Messages of a PostgreSQL server, byte for byte (PostgreSQL manual, "Message Formats"), for
// servers that follow a script.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "probe/reply_rows.hpp"

namespace pg_status {

inline std::string Int16(std::uint16_t n) {
  return {static_cast<char>(n >> 8), static_cast<char>(n & 0xFF)};
}

inline std::string Int32(std::uint32_t n) {
  return Int16(static_cast<std::uint16_t>(n >> 16)) + Int16(static_cast<std::uint16_t>(n & 0xFFFF));
}

inline std::string Zero(std::string_view text) { return std::string(text) + '\0'; }

inline std::string Message(char type, std::string_view body) {
  return type + Int32(static_cast<std::uint32_t>(body.size() + 4)) + std::string(body);
}

inline std::string AuthenticationOk() { return Message('R', Int32(0)); }
inline std::string ReadyForQuery() { return Message('Z', "I"); }
inline std::string ParameterStatus(std::string_view name, std::string_view value) {
  return Message('S', Zero(name) + Zero(value));
}
inline std::string Welcome() {
  return AuthenticationOk() + ParameterStatus("server_version", "15.20") +
         ParameterStatus("client_encoding", "UTF8") + Message('K', Int32(4711) + Int32(815)) +
         ReadyForQuery();
}

inline std::string RowDescription(std::size_t columns) {
  std::string body = Int16(static_cast<std::uint16_t>(columns));
  for (std::size_t i = 0; i < columns; ++i) {
    body +=
        Zero("c") + Int32(0) + Int16(0) + Int32(25) + Int16(0xFFFF) + Int32(0xFFFFFFFF) + Int16(0);
  }
  return Message('T', body);
}

inline std::string DataRow(const Cells& cells) {
  std::string body = Int16(static_cast<std::uint16_t>(cells.size()));
  for (const auto& cell : cells) {
    body += cell ? Int32(static_cast<std::uint32_t>(cell->size())) + *cell : Int32(0xFFFFFFFF);
  }
  return Message('D', body);
}

inline std::string CommandComplete(std::string_view tag) { return Message('C', Zero(tag)); }

inline std::string Table(const std::vector<Cells>& rows) {
  std::string bytes = RowDescription(rows.empty() ? 0 : rows.front().size());
  for (const Cells& row : rows) bytes += DataRow(row);
  return bytes + CommandComplete("SELECT " + std::to_string(rows.size()));
}

// A whole good answer to the probe.
inline std::string Answer(const Cells& row) { return Table({row}) + ReadyForQuery(); }

inline std::string Report(char type, std::string_view severity, std::string_view state,
                          std::string_view text) {
  return Message(type, "S" + Zero(severity) + "V" + Zero(severity) + "C" + Zero(state) + "M" +
                           Zero(text) + '\0');
}
inline std::string ErrorResponse(std::string_view severity, std::string_view state,
                                 std::string_view text) {
  return Report('E', severity, state, text);
}
inline std::string NoticeResponse(std::string_view text) {
  return Report('N', "NOTICE", "00000", text);
}
// As a server of 19 says it while it lets somebody in.
inline std::string LoginWarningResponse(std::string_view text, std::string_view detail) {
  return Message('N', "S" + Zero("WARNUNG") + "V" + Zero("WARNING") + "C" + Zero("01000") + "M" +
                          Zero(text) + (detail.empty() ? "" : "D" + Zero(detail)) + '\0');
}
inline std::string NotificationResponse(std::string_view channel, std::string_view payload) {
  return Message('A', Int32(1) + Zero(channel) + Zero(payload));
}
inline std::string CopyOutResponse() { return Message('H', std::string("\0", 1) + Int16(0)); }

}  // namespace pg_status
