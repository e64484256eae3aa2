// Room for a snapshot of n hosts, for tests. Knows nothing of what a snapshot means.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "publish/snapshot.h"

namespace pg_status {

class SnapshotStorage {
 public:
  // `filler` is what the bytes are before anybody writes them.
  explicit SnapshotStorage(std::uint32_t max_hosts, int filler = 0)
      : words_((pgst_snapshot_size(max_hosts) + sizeof(std::uint64_t) - 1) /
               sizeof(std::uint64_t)) {
    std::memset(words_.data(), filler, bytes());
    get().max_hosts = max_hosts;
  }

  // Valid as long as the storage is. A vector's buffer survives a move of the storage.
  PgstSnapshot& get() { return *reinterpret_cast<PgstSnapshot*>(words_.data()); }
  const PgstSnapshot& get() const { return *reinterpret_cast<const PgstSnapshot*>(words_.data()); }
  std::size_t bytes() const { return words_.size() * sizeof(std::uint64_t); }

 private:
  std::vector<std::uint64_t> words_;
};

}  // namespace pg_status
