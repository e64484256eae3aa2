// What a probe needs of a connection to a peer, without saying how: the real one speaks libpq
// (libpq_link.hpp), the one in the tests follows a script. No call here waits for anything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "probe/observation.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// Where to connect. Names were resolved before: a link never does.
struct Endpoint {
  std::string host;  // as configured (TLS checks the name); a directory for a socket
  std::vector<std::string> addresses;  // numeric, tried in this order; empty for a socket
  std::uint16_t port = 0;
};

// How far a step got. kWantRead and kWantWrite: call again when the socket is ready for that.
enum class LinkStep : std::uint8_t { kWantRead, kWantWrite, kDone, kFailed };

// Why a step failed. The text is one line for people.
struct LinkFailure {
  Outcome outcome = Outcome::kClosed;
  std::string error;
  bool absent = false;  // the question names what is not there, and the session goes on
  bool denied = false;  // a right is missing for it (42501), likewise
};

// Of more that a server says at the login the rest is dropped.
inline constexpr std::size_t kMaxLoginWarnings = 4;

// The rows of an answer. Cells are valid until the next call on the link.
class Rows {
 public:
  virtual ~Rows() = default;
  virtual std::size_t rows() const = 0;
  virtual std::size_t columns() const = 0;
  // nullopt for SQL NULL and for a cell outside the answer.
  virtual std::optional<std::string_view> Cell(std::size_t row, std::size_t column) const = 0;
};

class Link {
 public:
  virtual ~Link() = default;

  // Starts to connect; whatever was open is closed. Then Connect() until it is kDone or kFailed.
  // The socket may be another one after each of these calls, under the same number.
  virtual LinkStep Open(const Endpoint& endpoint) = 0;
  virtual LinkStep Connect() = 0;

  // Sends a query, the same one each time, together with what makes the session answer it as ours
  // (session_settings.hpp), then Flush() until kDone, then Read() until kDone: Answer() has the
  // rows. After a failure the connection is of no use, but for kCancelled, when
  // the query may be sent again, and for what is absent or denied, when another may be.
  virtual LinkStep Ask(std::string_view query) = 0;
  virtual LinkStep Flush() = 0;
  virtual LinkStep Read() = 0;
  virtual const Rows& Answer() const = 0;

  // From the next question on it may be kept at the peer, ready to be executed. Only where the
  // session is ours alone: behind a pooler somebody else's question might have our name.
  virtual void Prepare() = 0;

  // Between two questions the socket became readable: takes in what came. False when the connection
  // has ended.
  virtual bool StillThere() = 0;

  virtual void Close() = 0;

  // A link of the same kind, not connected.
  virtual std::unique_ptr<Link> Another() const = 0;

  // Whether a process of the peer may be busy with this connection: it was made, and the peer's
  // machine has taken in all that was sent. To close it and make another would leave that process
  // behind, and its place among max_connections with it.
  virtual bool HoldsSession() const = 0;

  virtual bool is_open() const = 0;
  // The process that serves us, as it was told us at the login, and the mark that we gave it
  // (kMarkSetting), with a blank between them. "" when it has none of us: it may be anybody's.
  virtual std::string session() const = 0;
  virtual int socket() const = 0;  // -1 when there is none
  virtual int server_version() const = 0;
  virtual std::string peer_address() const = 0;  // numeric; "" for a socket
  virtual const LinkFailure& failure() const = 0;
  virtual std::vector<LoginWarning> warnings() const { return {}; }
};

}  // namespace pg_status
