// pg_status.hosts: text -> the hosts to poll, or an error that names the bad entry.
//
//   entry     = place *( blanks attribute )          entries are separated by commas
//   place     = host [":" port] / "[" IPv6 "]" [":" port] / "/directory" [":" port]
//   attribute = ("name" / "dc" / "geo" / "weight" / "application_name") "=" value
//
// Values have no blanks and no commas in them; blanks (line ends too) may stand around entries.
// Names and values are valid UTF-8 without control characters. Digits behind the last colon of a
// directory are a port; other colons in it belong to its name. Pure: no I/O, no clock, no resolver.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

enum class PlaceKind : std::uint8_t {
  kName,     // a host name, to be resolved
  kAddress,  // an IPv4 or IPv6 literal
  kSocket,   // the directory of a Unix-domain socket
};

struct HostEntry {
  std::string name;  // what pg_status calls it everywhere: the place as written, or name=
  PlaceKind kind = PlaceKind::kName;
  std::string hostname;  // name, literal without brackets, or directory
  std::uint16_t port = 0;
  std::string dc;                // "" when not given
  std::string geo;               // "" when not given
  std::string application_name;  // "" when not given
  double weight = 1.0;           // 0 .. 1000; 0 = never for reads

  bool operator==(const HostEntry& other) const;
  bool operator!=(const HostEntry& other) const { return !(*this == other); }
};

inline constexpr std::size_t kMaxNameBytes = 263;  // room for a 255-byte host name, ':' and a port
inline constexpr std::size_t kMaxHostnameBytes = 255;  // RFC 1035; also bounds a socket directory
inline constexpr std::size_t kMaxLabelBytes = 63;  // dc, geo, application_name (NAMEDATALEN - 1)

// default_port: for entries without one. max_hosts: more entries are an error.
// Empty or blank text gives an empty list. Errors (one sentence each, naming the entry in double
// quotes): empty entry, missing port number, port outside 1..65535, unclosed bracket, IPv6 without
// brackets, bracketed text that is not IPv6, characters that no host name has, over-long name,
// unknown or repeated attribute, attribute without a value, weight outside 0..1000, the same name
// twice, the same place (hostname and port) twice, too many hosts. An empty entry is named by its
// position. Places are the same whatever the case of a host name or the spelling of an address;
// names and directories are compared as written.
Result<std::vector<HostEntry>> ParseHosts(std::string_view text, std::uint16_t default_port,
                                          std::size_t max_hosts);

// pg_status.dc and pg_status.geo: "" or up to kMaxLabelBytes bytes without blanks, commas or
// control characters.
Result<std::string> ParseLabel(std::string_view text);

}  // namespace pg_status
