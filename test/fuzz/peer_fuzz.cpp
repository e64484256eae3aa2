// Fuzzes a whole peer (src/probe/libpq_link.cpp, peer_probe.cpp and libpq itself, which is not
// instrumented): a server on a Unix-domain socket sends the fuzzer's bytes, cut in any way, and
// ends the connection or falls silent. Each probe ends, at the latest when its time is up, with an
// observation that keeps the promises of the headers; nothing is left open.
//
// The first byte: bits 0 to 2 choose how the bytes are cut; bit 3: the connection ends after them;
// bit 4: the bytes come after a good login, otherwise in place of one; bit 5: they are followed by
// a good answer; bit 6: two probes, the second on the connection of the first if it was kept. The
// rest is what the server sends, over and over.
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "probe/libpq_link.hpp"
#include "probe/messages.hpp"
#include "probe/peer_probe.hpp"
#include "probe/reply.hpp"
#include "shown.hpp"

namespace pg_status {
namespace {

constexpr std::size_t kPieces[] = {1, 2, 5, 7, 16, 100, 1024, 1 << 20};
constexpr int kMaxTurns = 3000;

// The listening socket, in a folder of its own; one for the whole run.
class Place {
 public:
  Place() : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0)) {
    char folder[] = "/tmp/pg_status_fuzz.XXXXXX";
    Require(mkdtemp(folder) != nullptr, "a folder can be made");
    folder_ = folder;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_ = folder_ + "/.s.PGSQL.5432";
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    Require(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                listen(fd_, 16) == 0,
            "a socket can be bound");
  }
  ~Place() {
    close(fd_);
    unlink(path_.c_str());
    rmdir(folder_.c_str());
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  const std::string& folder() const { return folder_; }
  int Accept() const { return accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK); }

 private:
  std::string folder_, path_;
  int fd_;
};

// One connection, seen from the server.
class Server {
 public:
  Server(const Place& place, std::uint8_t choice, std::string_view bytes)
      : place_(place), choice_(choice), bytes_(bytes) {}
  ~Server() { End(); }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Does one turn. False: it has nothing more to say, and nobody is there who would hear it.
  void Turn() {
    if (fd_ < 0) {
      fd_ = place_.Accept();
      if (fd_ < 0) return;
      out_ = (choice_ & 0x10) != 0 ? Welcome() + std::string(bytes_) : std::string(bytes_);
      if ((choice_ & 0x20) != 0) out_ += Answer(PrimaryCells());
    }
    char ignored[4096];
    ssize_t got = 0;
    while ((got = recv(fd_, ignored, sizeof ignored, 0)) > 0) heard_ = true;
    if (got == 0) return End();
    if (!heard_) return;  // the client speaks first
    if (!out_.empty()) {
      const ssize_t sent =
          send(fd_, out_.data(), std::min(kPieces[choice_ & 7], out_.size()), MSG_NOSIGNAL);
      if (sent > 0) out_.erase(0, static_cast<std::size_t>(sent));
    } else if ((choice_ & 8) != 0) {
      End();
    }
  }
  bool silent() const { return heard_ && out_.empty(); }

 private:
  void End() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
    heard_ = false;
  }

  const Place& place_;
  const std::uint8_t choice_;
  const std::string_view bytes_;
  std::string out_;
  int fd_ = -1;
  bool heard_ = false;
};

void CheckObservation(const Observation& seen) {
  Require(seen.error.empty() == (seen.outcome == Outcome::kOk), "a failure says why");
  Require(seen.error.size() <= 500, "an error is bounded");
  Require(seen.error.find('\n') == std::string::npos, "an error is one line");
  Require(seen.finished >= seen.started && seen.finished >= seen.asked, "time goes on");
  Require(seen.outcome != Outcome::kUnresolved, "a folder needs no resolver");
  if (seen.outcome != Outcome::kOk) return;
  Require(seen.asked != 0, "who answers was asked");
  Require(seen.facts.in_recovery || seen.facts.write_lsn, "a primary tells where it writes");
}

// Whether the socket is ready for what the probe waits for.
bool IsReady(const PeerProbe::Wants& wants) {
  if (wants.fd < 0) return false;
  pollfd ready{wants.fd,
               static_cast<short>((wants.read ? POLLIN : 0) | (wants.write ? POLLOUT : 0)), 0};
  return poll(&ready, 1, 0) > 0;
}

std::shared_ptr<const ConnectionOptions> Options() {
  static const auto options = std::make_shared<const ConnectionOptions>(
      ParseConninfo("user=fuzz dbname=fuzz sslmode=disable passfile=/nonexistent", "fuzz", 1000)
          .value());
  return options;
}

void FuzzPeer(std::uint8_t choice, std::string_view bytes) {
  static const Place place;
  HostEntry entry;
  entry.name = entry.hostname = place.folder();
  entry.kind = PlaceKind::kSocket;
  entry.port = 5432;
  Server server(place, choice, bytes);
  PeerProbe probe(entry, MakeLibpqLink(Options()));
  FuzzedCluster cluster;
  MonoUs now = 1000 * kUsPerSecond;
  const Limits limits;
  for (int round = 0; round < ((choice & 0x40) != 0 ? 2 : 1); ++round) {
    probe.Begin(now, limits);
    int idle = 0;
    for (int turn = 0; turn < kMaxTurns && idle < 3 && probe.state() != PeerProbe::State::kResting;
         ++turn) {
      server.Turn();
      now += 10;
      const bool ready = IsReady(probe.wants());
      if (ready) probe.OnSocket(now);
      idle = ready || !server.silent() ? 0 : idle + 1;
    }
    now = std::max(now, probe.deadline());
    if (probe.state() != PeerProbe::State::kResting) probe.OnDeadline(now);
    Require(probe.state() == PeerProbe::State::kResting, "a probe ends when its time is up");
    const std::optional<Observation> seen = probe.TakeObservation();
    Require(seen.has_value(), "a probe ends with an observation");
    CheckObservation(*seen);
    cluster.Hears(*seen);
    // what comes while nobody asks
    for (int turn = 0; turn < 20; ++turn) {
      server.Turn();
      if (IsReady(probe.wants())) probe.OnSocket(now += 10);
    }
    now += kUsPerSecond;
  }
  cluster.CheckAnswers();
}

}  // namespace
}  // namespace pg_status

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  pg_status::FuzzPeer(data[0], std::string_view(reinterpret_cast<const char*>(data) + 1, size - 1));
  return 0;
}
