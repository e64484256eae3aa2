// A Link over libpq's asynchronous functions (PostgreSQL manual, "Asynchronous Command
// Processing"). The only user of libpq.
//
// What could block, and why it does not: names (always hostaddr), GSSAPI (off unless asked for: its
// library talks to servers of its own), sending (non-blocking mode), receiving (only after the
// socket was readable). Reading a passfile, a service file or certificates is local file access.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "probe/link.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// pg_status.conninfo, taken apart once: libpq keywords and values, with our own defaults added.
struct ConnectionOptions {
  std::vector<std::pair<std::string, std::string>> keywords;
  std::string options;      // what conninfo says for the server's command line; ours come behind it
  bool takes_none = false;  // conninfo says: none at all, for a pooler that refuses them
  std::int64_t statement_timeout_ms = 0;
  std::uint16_t default_port = 5432;
  bool wants_gss = false;  // GSSAPI was asked for, with the waiting that it may bring

  bool operator==(const ConnectionOptions& other) const {
    return keywords == other.keywords && options == other.options &&
           takes_none == other.takes_none && statement_timeout_ms == other.statement_timeout_ms &&
           default_port == other.default_port;
  }
};

// application_name: what our sessions call themselves on the peers, unless conninfo says otherwise.
// statement_timeout_ms: for the sessions (session_settings.hpp). The error never repeats the text,
// which may hold a password. host, hostaddr and a list of ports are errors.
Result<ConnectionOptions> ParseConninfo(const std::string& conninfo,
                                        const std::string& application_name,
                                        std::int64_t statement_timeout_ms);

// Keeps GSSAPI authentication out of this process, for good. For pollers whose settings do not ask
// for it.
void ShutOutKerberos();

std::unique_ptr<Link> MakeLibpqLink(std::shared_ptr<const ConnectionOptions> options);

}  // namespace pg_status
