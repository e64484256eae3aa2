// What has arrived on a connection and libpq has not read yet.
#pragma once

#include <libpq-fe.h>

#include <cstddef>

#include "base/cpp_only.hpp"

namespace pg_status {

// Copies up to `size` bytes of it, decrypted, to `bytes`, and leaves them where they are. Returns
// how many; 0: nothing, or it cannot be told. Never waits. Only between two calls of PQconnectPoll,
// on a connection that is made.
std::size_t PeekArrived(PGconn* connection, char* bytes, std::size_t size);

}  // namespace pg_status
