// Answers to the probe's query as tables of cells, for tests: what a good primary and a good
// standby say, to be spoiled one cell at a time. Knows the order of the columns, not their meaning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "probe/link.hpp"

namespace pg_status {

using Cells = std::vector<std::optional<std::string>>;

// The columns of ProbeQuery, as the tests know them.
enum ReplyColumn : std::size_t {
  kColInRecovery,
  kColSystemIdentifier,
  kColControlTimeline,
  kColWalFile,
  kColPostmasterStart,
  kColClusterName,
  kColClock,
  kColWriteLsn,
  kColReceiveLsn,
  kColReplayLsn,
  kColReplayCommit,
  kColReplayPaused,
  kColReceiverPid,
  kColReceiverStatus,
  kColReceiverHost,
  kColReceiverPort,
  kColReceiverTimeline,
  kColReceiverLatestEnd,
  kColReceiverSlot,
  kColReceiverConninfo,
  kColNodeState,
  kColOpinions,
  kColFacts,
  kColSenderPid,
  kColSenderUser,
  kColSenderName,
  kColSenderAddress,
  kColSenderState,
  kColSenderSyncState,
  kColSenderSyncPriority,
  kColSenderSlot,
  kColSenderKind,
  kColReplayTimeline,
  kColAsker,
  kColBackendPid,
  kColMark,
  kReplyColumns
};

inline Cells PrimaryCells() {
  Cells cells(kReplyColumns);
  cells[kColInRecovery] = "f";
  cells[kColSystemIdentifier] = "7000000000000000001";
  cells[kColWalFile] = "000000030000000A000000FE";
  cells[kColPostmasterStart] = "1700000000.25";
  cells[kColClusterName] = "main";
  cells[kColClock] = "1700000100.5";
  cells[kColWriteLsn] = "A/FE000060";
  return cells;
}

inline Cells StandbyCells() {
  Cells cells(kReplyColumns);
  cells[kColInRecovery] = "t";
  cells[kColSystemIdentifier] = "7000000000000000001";
  cells[kColControlTimeline] = "2";
  cells[kColPostmasterStart] = "1700000000.25";
  cells[kColClusterName] = "";
  cells[kColClock] = "1700000100.5";
  cells[kColReceiveLsn] = "A/FE000060";
  cells[kColReplayLsn] = "A/FE000000";
  cells[kColReplayCommit] = "1700000099.123456";
  cells[kColReplayPaused] = "f";
  cells[kColReceiverPid] = "4711";
  cells[kColReceiverStatus] = "streaming";
  cells[kColReceiverHost] = "db1";
  cells[kColReceiverPort] = "5432";
  cells[kColReceiverTimeline] = "3";
  cells[kColReceiverLatestEnd] = "A/FE000060";
  cells[kColReceiverSlot] = "db2_slot";
  cells[kColReceiverConninfo] =
      "user=repl host=db1 application_name=db2 "
      "fallback_application_name=walreceiver sslmode=prefer";
  return cells;
}

inline Cells WithSender(Cells cells, const std::string& name) {
  cells[kColSenderPid] = "4712";
  cells[kColSenderUser] = "replicator";
  cells[kColSenderName] = name;
  cells[kColSenderAddress] = "192.0.2.7";
  cells[kColSenderState] = "streaming";
  cells[kColSenderSyncState] = "async";
  cells[kColSenderSyncPriority] = "0";
  cells[kColSenderSlot] = "";
  cells[kColSenderKind] = "standby";
  return cells;
}

class FakeRows : public Rows {
 public:
  FakeRows() = default;
  explicit FakeRows(std::vector<Cells> table) : table_(std::move(table)) {}

  std::size_t rows() const override { return table_.size(); }
  std::size_t columns() const override { return table_.empty() ? 0 : table_.front().size(); }
  std::optional<std::string_view> Cell(std::size_t row, std::size_t column) const override {
    if (row >= table_.size() || column >= table_[row].size()) return std::nullopt;
    const auto& cell = table_[row][column];
    return cell ? std::optional<std::string_view>(*cell) : std::nullopt;
  }

 private:
  std::vector<Cells> table_;
};

}  // namespace pg_status
