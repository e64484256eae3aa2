// Fuzzes a client connection (src/answer/client.cpp and request.cpp): whatever bytes come, however
// they are cut and however slowly the answers are taken, the same is answered, in bounded memory,
// and what the services are handed keeps the promises of the headers.
//
// The first byte chooses how long answers are, the second how the bytes are cut and taken; the rest
// is what the client sends.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "answer/client.hpp"

namespace pg_status {
namespace {

// Short answers, and such that a few of them fill the output.
constexpr std::size_t kPaddings[] = {0, 0, 5000, Client::kMaxOutput / 3};
constexpr int kPaddedAnswers = 10;
constexpr std::int64_t kPatienceUs = 300 * kUsPerSecond;
constexpr std::size_t kPieces[] = {1, 2, 3, 7, 16, 100, 1024, 5000};

void Require(bool holds, const char* promise) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", promise);
  std::abort();
}

bool HasNul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

void CheckRequest(const Request& request) {
  Require(!request.path.empty(), "a path is not empty");
  Require(request.path[0] == '/' || (request.path == "*" && request.method == Method::kOptions),
          "a path begins with a slash");
  Require(request.path.size() <= RequestReader::kMaxHead, "a path is bounded");
  Require(request.query.size() <= RequestReader::kMaxParameters, "parameters are bounded");
  Require(request.version_minor == 0 || request.version_minor == 1, "HTTP is 1.0 or 1.1");
  Require(request.path_ok || (request.path == "/" && request.query.empty()),
          "what is broken is not shown");
  Require(!HasNul(request.path), "a path has no NUL");
  for (const auto& [name, value] : request.query) {
    Require(!HasNul(name) && !HasNul(value), "a parameter has no NUL");
  }
}

// Writes down all it was asked.
class Scribe : public Service {
 public:
  explicit Scribe(std::size_t padding) : padding_(padding) {}

  Port port() const override { return Port::kCheck; }

  std::optional<Patience> PatienceOf(const Request& request) const override {
    CheckRequest(request);
    if (!request.path_ok || !request.Parameter("wait")) return std::nullopt;
    return Patience{1, kPatienceUs};
  }

  void AnswerHttp(const Request& request, bool close, std::string& out) override {
    Require(!request.line, "HTTP is no line");
    Require(close == (request.has_body || !request.keep_alive), "closing is said when it is done");
    const std::size_t begin = Begin(request, out);
    out += static_cast<char>('0' + static_cast<int>(request.method));
    out += request.wants_json ? 'j' : 't';
    out += request.has_body ? 'b' : '-';
    out += close ? "!\n" : "\n";
    End(close, begin, out);
  }

  void AnswerLine(const Request& request, std::string& out) override {
    Require(request.line, "a line is a line");
    Require(request.path.size() <= RequestReader::kMaxLine + 1, "a line is bounded");
    End(true, Begin(request, out), out);
  }

  void AnswerBad(int status, std::string_view help, std::string& out) override {
    Require(status == 400 || status == 431, "a refusal is 400 or 431");
    Require(!closed_, "nothing is answered after the last answer");
    const std::size_t begin = out.size();
    out.append(std::to_string(status)).append(help);
    End(true, begin, out);
  }

  std::size_t longest() const { return longest_; }

 private:
  std::size_t Begin(const Request& request, std::string& out) const {
    Require(!closed_, "nothing is answered after the last answer");
    CheckRequest(request);
    const std::size_t begin = out.size();
    out += request.path_ok ? request.path : "broken";
    for (const auto& [name, value] : request.query) out.append(name).append("=").append(value);
    return begin;
  }

  void End(bool close, std::size_t begin, std::string& out) {
    if (++answers_ <= kPaddedAnswers) out.append(padding_, '.');
    longest_ = std::max(longest_, out.size() - begin);
    closed_ = close;
  }

  const std::size_t padding_;
  std::size_t longest_ = 0;
  int answers_ = 0;
  bool closed_ = false;
};

// One whole connection, in pieces of these sizes.
class Conversation {
 public:
  Conversation(std::size_t padding, std::size_t received, std::size_t taken)
      : scribe_(padding), client_(scribe_, limits_, now_), received_(received), taken_(taken) {}

  std::string Run(std::string_view bytes) {
    while (!bytes.empty() && !client_.finished()) {
      if (!client_.wants_input()) {
        if (!client_.output().empty()) {
          Take();
        } else if (client_.held()) {
          EndHold();
        } else {
          break;
        }
        continue;
      }
      const std::string_view piece = bytes.substr(0, received_);
      // A copy of exactly that size, so that reading past the end is seen.
      const std::vector<char> copy(piece.begin(), piece.end());
      client_.Receive({copy.data(), copy.size()}, ++now_);
      bytes.remove_prefix(piece.size());
      Check();
    }
    client_.EndOfInput(++now_);
    Check();
    if (client_.held()) EndHold();
    while (!client_.output().empty()) Take();
    Require(client_.finished(), "all is answered and taken, so it is over");
    return std::move(answered_);
  }

 private:
  void Take() {
    const std::string_view piece = client_.output().substr(0, taken_);
    answered_ += piece;
    client_.Sent(piece.size(), ++now_);
    Check();
  }

  // Whether its side has ended meanwhile, and what is unsent, must not matter.
  void EndHold() {
    client_.Leaves(++now_);
    Check();
    client_.EndHold(++now_);
    Check();
  }

  void Check() const {
    Require(client_.output().size() < Client::kMaxOutput + scribe_.longest() + 1,
            "output is bounded");
    Require(!client_.finished() || !client_.wants_input(), "what is finished wants nothing");
    Require(!client_.held() || !client_.wants_input(), "nothing is read behind what is held back");
    Require(
        client_.finished() || client_.wants_input() || client_.held() || !client_.output().empty(),
        "a connection always waits for something");
    const bool is_held = client_.held() && client_.output().empty();
    Require(client_.deadline() <=
                now_ + (is_held ? kPatienceUs : std::max(limits_.head_us, limits_.idle_us)),
            "a deadline is near");
  }

  const ClientLimits limits_;
  MonoUs now_ = kUsPerSecond;
  Scribe scribe_;
  Client client_;
  const std::size_t received_;
  const std::size_t taken_;
  std::string answered_;
};

}  // namespace
}  // namespace pg_status

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pg_status;
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::size_t padding = kPaddings[data[0] % 4];
  const std::size_t received = kPieces[data[1] % 8];
  const std::size_t taken = kPieces[data[1] / 8 % 8] * (padding / 10 + 1);

  const std::string at_once = Conversation(padding, size, SIZE_MAX).Run(bytes);
  Require(Conversation(padding, received, taken).Run(bytes) == at_once,
          "answers do not depend on how bytes are cut");
  return 0;
}
