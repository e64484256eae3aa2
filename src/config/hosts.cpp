// pg_status.hosts: the parser behind hosts.hpp. Asks no resolver and knows nothing of what the
// hosts answer.
//
// An entry is cut into words at blanks: the first is the place, the others are attributes. The
// first thing that is wrong ends it, with a sentence about that entry. What is accepted passes
// through CopyFixedText unchanged, so that two hosts never look the same in the snapshot.
#include "config/hosts.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/fixed_text.hpp"
#include "base/ip_address.hpp"
#include "base/number.hpp"
#include "config/list.hpp"

namespace pg_status {
namespace {

constexpr std::uint64_t kMaxPort = 65535;
constexpr double kMaxWeight = 1000;

struct Attribute {
  std::string_view key;
  std::string HostEntry::*field;  // nullptr: weight, the only number
  std::size_t max_bytes;
};

constexpr Attribute kAttributes[] = {
    {"name", &HostEntry::name, kMaxNameBytes},
    {"dc", &HostEntry::dc, kMaxLabelBytes},
    {"geo", &HostEntry::geo, kMaxLabelBytes},
    {"weight", nullptr, 0},
    {"application_name", &HostEntry::application_name, kMaxLabelBytes},
};
constexpr std::size_t kAttributeCount = std::size(kAttributes);

char LowerCase(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool IsHostNameCharacter(char c) {
  const char lower = LowerCase(c);
  return (lower >= 'a' && lower <= 'z') || IsDigit(c) || c == '.' || c == '-' || c == '_';
}

bool AllDigits(std::string_view text) { return std::all_of(text.begin(), text.end(), IsDigit); }

bool OnlyDigitsAndDots(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return IsDigit(c) || c == '.'; });
}

// One word that can be shown as it is. Empty: nothing is wrong; else how the sentence about the
// text goes on. max_bytes is at most kMaxNameBytes.
std::string ProblemOfWord(std::string_view text, std::size_t max_bytes) {
  if (text.size() > max_bytes) return fmt::format("is longer than {} bytes", max_bytes);
  char shown[kMaxNameBytes + 1];
  CopyFixedText(shown, text);
  if (text != shown || text.find_first_of(" ,") != std::string_view::npos) {
    return "has a blank, a comma, a control character or bytes that are not UTF-8 in it";
  }
  return {};
}

class EntryParser {
 public:
  EntryParser(std::string_view text, std::uint16_t default_port) : text_(text) {
    entry_.port = default_port;
  }

  Result<HostEntry> Parse() {
    std::string_view rest = text_;
    const std::string_view place = TakeWord(rest);
    entry_.name = place;
    if (!ParsePlace(place)) return error_;
    while (!rest.empty()) {
      if (!ParseAttribute(TakeWord(rest))) return error_;
    }
    // The place as written can still be too long, by zeros before the port.
    if (entry_.name.size() > kMaxNameBytes) {
      return EntryError(text_, fmt::format("has a name longer than {} bytes", kMaxNameBytes));
    }
    return std::move(entry_);
  }

 private:
  static std::string_view TakeWord(std::string_view& rest) {
    const std::string_view word = rest.substr(0, rest.find_first_of(kBlanks));
    rest = Trimmed(rest.substr(word.size()));
    return word;
  }

  bool ParsePlace(std::string_view place) {
    if (place.front() == '[') return ParseBracketed(place);
    if (place.front() == '/') return ParseSocketDirectory(place);
    return ParseHost(place);
  }

  bool ParseBracketed(std::string_view place) {
    const std::size_t close = place.find(']');
    if (close == std::string_view::npos) return Fail("has an unclosed bracket");
    const std::string_view inner = place.substr(1, close - 1);
    const std::optional<IpAddress> address = ParseIpAddress(inner);
    if (!address || address->family != IpFamily::kV6) {
      return Fail("has something in brackets that is not an IPv6 address");
    }
    entry_.kind = PlaceKind::kAddress;
    entry_.hostname = inner;
    const std::string_view behind = place.substr(close + 1);
    if (behind.empty()) return true;
    if (behind.front() != ':') return Fail("has something other than a port after the bracket");
    return ParsePort(behind.substr(1));
  }

  // A directory may have colons in its name: only digits behind the last one are a port.
  bool ParseSocketDirectory(std::string_view place) {
    const std::size_t colon = place.rfind(':');
    const bool has_port = colon != std::string_view::npos && AllDigits(place.substr(colon + 1));
    const std::string_view directory = has_port ? place.substr(0, colon) : place;
    const std::string problem = ProblemOfWord(directory, kMaxHostnameBytes);
    if (!problem.empty()) return Fail("names a socket directory that " + problem);
    entry_.kind = PlaceKind::kSocket;
    entry_.hostname = directory;
    return !has_port || ParsePort(place.substr(colon + 1));
  }

  bool ParseHost(std::string_view place) {
    const std::size_t colon = place.find(':');
    if (colon != place.rfind(':')) {
      return Fail("has more than one colon; IPv6 addresses need brackets, as in [::1]:5432");
    }
    const std::string_view host = place.substr(0, colon);
    if (!ParseHostName(host)) return false;
    return colon == std::string_view::npos || ParsePort(place.substr(colon + 1));
  }

  bool ParseHostName(std::string_view host) {
    if (host.empty()) return Fail("has no host before the colon");
    if (host.size() > kMaxHostnameBytes) {
      return Fail(fmt::format("has a host name longer than {} bytes", kMaxHostnameBytes));
    }
    if (!std::all_of(host.begin(), host.end(), IsHostNameCharacter)) {
      return Fail("has a character that no host name has");
    }
    const bool is_address = ParseIpAddress(host).has_value();
    if (!is_address && OnlyDigitsAndDots(host)) {
      return Fail("is neither an IPv4 address nor a host name");
    }
    entry_.kind = is_address ? PlaceKind::kAddress : PlaceKind::kName;
    entry_.hostname = host;
    return true;
  }

  bool ParsePort(std::string_view text) {
    if (text.empty()) return Fail("has no port number after the colon");
    const std::optional<std::uint64_t> port = ParseUint64(text);
    if (!port || *port < 1 || *port > kMaxPort) {
      return Fail(fmt::format("must have a port from 1 to {}", kMaxPort));
    }
    entry_.port = static_cast<std::uint16_t>(*port);
    return true;
  }

  bool ParseAttribute(std::string_view word) {
    const std::size_t equals = word.find('=');
    const std::string_view key = word.substr(0, equals);
    const auto* found = std::find_if(std::begin(kAttributes), std::end(kAttributes),
                                     [&](const Attribute& row) { return row.key == key; });
    if (found == std::end(kAttributes)) return FailUnknown(word);
    bool& seen = seen_[static_cast<std::size_t>(found - std::begin(kAttributes))];
    if (seen) return Fail(fmt::format("has the attribute {} twice", found->key));
    seen = true;
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view() : word.substr(equals + 1);
    if (value.empty()) return Fail(fmt::format("has no value for the attribute {}", found->key));
    return found->field == nullptr ? SetWeight(value) : SetText(*found, value);
  }

  bool SetText(const Attribute& attribute, std::string_view value) {
    const std::string problem = ProblemOfWord(value, attribute.max_bytes);
    if (!problem.empty())
      return Fail(fmt::format("gives {} a value that {}", attribute.key, problem));
    entry_.*attribute.field = value;
    return true;
  }

  bool SetWeight(std::string_view value) {
    const std::optional<double> weight = ParseDecimal(value);
    if (!weight || *weight > kMaxWeight) {
      return Fail(fmt::format("must have a weight from 0 to {}", kMaxWeight));
    }
    entry_.weight = *weight;
    return true;
  }

  // A word that is no attribute at all is most often the next host, after a forgotten comma.
  bool FailUnknown(std::string_view word) {
    const std::size_t equals = word.find('=');
    if (equals == std::string_view::npos) {
      return Fail(
          fmt::format("has {} where an attribute (name=, dc=, geo=, weight=, "
                      "application_name=) or a comma should be",
                      Quoted(word)));
    }
    return Fail(fmt::format("has an unknown attribute {}", Quoted(word.substr(0, equals))));
  }

  bool Fail(std::string_view problem) {
    error_ = EntryError(text_, problem);
    return false;
  }

  std::string_view text_;
  HostEntry entry_;
  Error error_;
  std::array<bool, kAttributeCount> seen_{};
};

// What makes two entries the same place: spellings of one name or address, and the port.
using PlaceKey = std::pair<std::string, std::uint16_t>;

PlaceKey KeyOf(const HostEntry& entry) {
  std::string key = entry.hostname;
  if (entry.kind == PlaceKind::kName) {
    std::transform(key.begin(), key.end(), key.begin(), LowerCase);
  } else if (entry.kind == PlaceKind::kAddress) {
    if (const std::optional<IpAddress> address = ParseIpAddress(key)) {
      key = FormatIpAddress(Unmapped(*address));
    }
  }
  return {std::move(key), entry.port};
}

// The entries so far, by what must be unique.
class Duplicates {
 public:
  // Takes the entry in, unless it repeats another.
  std::optional<Error> Add(std::string_view text, const HostEntry& entry) {
    const auto [same_name, new_name] = texts_by_name_.emplace(entry.name, text);
    if (!new_name) {
      return EntryError(text, fmt::format("has the same name, {}, as entry {}", Quoted(entry.name),
                                          Quoted(same_name->second)));
    }
    const auto [same_place, new_place] = texts_by_place_.emplace(KeyOf(entry), text);
    if (!new_place) {
      return EntryError(
          text, fmt::format("is the same host and port as entry {}", Quoted(same_place->second)));
    }
    return std::nullopt;
  }

 private:
  std::map<std::string, std::string_view> texts_by_name_;
  std::map<PlaceKey, std::string_view> texts_by_place_;
};

}  // namespace

bool HostEntry::operator==(const HostEntry& other) const {
  return name == other.name && kind == other.kind && hostname == other.hostname &&
         port == other.port && dc == other.dc && geo == other.geo &&
         application_name == other.application_name && weight == other.weight;
}

Result<std::vector<HostEntry>> ParseHosts(std::string_view text, std::uint16_t default_port,
                                          std::size_t max_hosts) {
  std::vector<HostEntry> entries;
  Duplicates duplicates;
  for (ListReader list(text); list.Next();) {
    if (list.entry().empty()) return EmptyEntryError(list.position());
    if (entries.size() == max_hosts) {
      return EntryError(list.entry(),
                        fmt::format("is one too many: pg_status.max_hosts allows {}", max_hosts));
    }
    Result<HostEntry> entry = EntryParser(list.entry(), default_port).Parse();
    if (!entry) return Error{entry.error()};
    if (std::optional<Error> error = duplicates.Add(list.entry(), *entry)) return *error;
    entries.push_back(std::move(entry.value()));
  }
  return entries;
}

Result<std::string> ParseLabel(std::string_view text) {
  const std::string problem = ProblemOfWord(text, kMaxLabelBytes);
  if (!problem.empty()) return Error{fmt::format("{} {}", Quoted(text), problem)};
  return std::string(text);
}

}  // namespace pg_status
