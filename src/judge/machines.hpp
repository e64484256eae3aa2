// On which machine a host is, and on which one a walsender's peer, in one language: as seen from
// the primary. An address alone would not do. 127.0.0.1 is another machine on each machine, a node
// may know itself by an address that nobody else has (127.0.1.1 in /etc/hosts), and a host that is
// polled over IPv6 may replicate over IPv4. Private to judge/.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "config/hosts.hpp"
#include "judge/verdict.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// A machine is named by one of the addresses that it has for the primary, in its one spelling; two
// names may be the same machine.
class Machines {
 public:
  // cluster.primary is set, and has told something. Both outlive this.
  Machines(const ClusterVerdict& cluster, const std::vector<HostEntry>& entries);

  // Of who streams from the primary. Never "": who comes over a socket is on its machine.
  std::string OfRow(const Sender& row) const;

  // All that are known of the host of this index; none twice, none "".
  std::vector<std::string> OfHost(std::size_t index) const;

  // The address that the primary sees this very server come from; "" when it is not known, or means
  // nothing to others.
  const std::string& own_address() const { return own_address_; }

 private:
  bool IsPrimarys(std::string_view address) const;
  std::string Named(const std::string& address) const;

  const ClusterVerdict& cluster_;
  const std::vector<HostEntry>& entries_;
  std::vector<std::string> primary_addresses_;
  std::string own_address_;
  std::string here_;  // this machine; "" not known
};

}  // namespace pg_status
