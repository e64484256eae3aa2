// Counting answers. There are a few dozen kinds of them, of which a server sees a handful, so they
// are kept in a list in the order in which they first came: the usual ones are found at once.
#include "answer/traffic.hpp"

#include <algorithm>

namespace pg_status {
namespace {

struct CodeText {
  int status;
  std::string_view text;
};

// Every status that a port answers with.
constexpr CodeText kCodes[] = {
    {200, "200"}, {400, "400"}, {404, "404"}, {405, "405"},
    {413, "413"}, {431, "431"}, {503, "503"},
};

std::string_view TextOfStatus(int status) {
  for (const CodeText& code : kCodes) {
    if (code.status == status) return code.text;
  }
  return "other";
}

}  // namespace

void Traffic::Count(Port port, std::string_view path, std::string_view code) {
  const auto found = std::find_if(requests_.begin(), requests_.end(), [&](const Requests& known) {
    return known.port == port && known.code == code && known.path == path;
  });
  if (found != requests_.end()) {
    ++found->count;
  } else {
    requests_.push_back({port, path, code, 1});
  }
}

void Traffic::Count(Port port, std::string_view path, int status) {
  Count(port, path, TextOfStatus(status));
}

}  // namespace pg_status
