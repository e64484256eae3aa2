// A PostgreSQL server that says exactly what a test tells it to, on 127.0.0.1 and a port of its
// own. It understands where a client's messages begin and end, and statements that only set
// something.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "probe/drive.hpp"
#include "probe/messages.hpp"

namespace pg_status {

inline sockaddr_in Loopback(std::uint16_t port) {
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_port = htons(port);
  place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return place;
}

inline void MustBe(bool good, const char* what) {
  if (!good) throw std::runtime_error(what);
}

inline void SetNonBlocking(int fd) {
  MustBe(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0, "fcntl");
}

inline std::uint16_t PortOf(int fd) {
  sockaddr_in place{};
  socklen_t size = sizeof place;
  MustBe(getsockname(fd, reinterpret_cast<sockaddr*>(&place), &size) == 0, "getsockname");
  return ntohs(place.sin_port);
}

// A bound port that nobody listens on: connections are refused as long as this lives.
class RefusedPort {
 public:
  RefusedPort() : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in place = Loopback(0);
    MustBe(bind(fd_, reinterpret_cast<sockaddr*>(&place), sizeof place) == 0, "bind");
  }
  ~RefusedPort() { close(fd_); }
  RefusedPort(const RefusedPort&) = delete;
  RefusedPort& operator=(const RefusedPort&) = delete;
  std::uint16_t port() const { return PortOf(fd_); }

 private:
  int fd_;
};

class ScriptedServer : public Part {
 public:
  // One client. Sent bytes go out as fast as the client takes them, or `pace` bytes a turn.
  struct Session {
    int fd = -1;
    std::size_t number = 0;  // in the order of arrival
    std::string in, out;
    std::string startup;  // the startup packet's body
    std::size_t queries = 0;
    std::string settings;  // SET statements that the last query began with
    std::string query;     // what came behind them
    bool started = false;
    bool saw_end = false;  // the client is gone
    bool end_after_output = false;
    bool deaf = false;     // reads nothing
    std::size_t pace = 0;  // 0: all at once

    void Send(const std::string& bytes) { out += bytes; }
    // Closes in an orderly way when all is sent.
    void End() { end_after_output = true; }
    bool open() const { return fd >= 0; }
  };

  // What to do about the startup packet and about each query. The usual: let everybody in, answer
  // as a good primary.
  std::function<void(Session&)> on_startup = [](Session& session) { session.Send(Welcome()); };
  bool obeys_settings = true;  // answers SET statements that a query begins with
  std::function<void(Session&)> on_query = [](Session& session) {
    session.Send(Answer(PrimaryCells()));
  };

  // What to do about each message of a client that proves who it is.
  std::function<void(Session&, const std::string&)> on_password = [](Session&, const std::string&) {
  };

  // port 0: any free one.
  explicit ScriptedServer(std::uint16_t port = 0) { Listen(port); }
  ~ScriptedServer() override {
    StopListening();
    EndSessions();
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  std::uint16_t port() const { return port_; }
  // In the order of arrival, those that have ended too.
  const std::vector<std::unique_ptr<Session>>& sessions() const { return sessions_; }
  Session& session(std::size_t number) { return *sessions_.at(number); }
  std::size_t open_sessions() const {
    std::size_t count = 0;
    for (const auto& session : sessions_) count += session->open() ? 1 : 0;
    return count;
  }
  std::size_t queries() const {
    std::size_t count = 0;
    for (const auto& session : sessions_) count += session->queries;
    return count;
  }

  // As a server that goes down: new connections are refused, old ones end.
  void GoDown() {
    StopListening();
    EndSessions();
  }
  void ComeBack() { Listen(port_); }
  void EndSessions() {
    for (const auto& session : sessions_) Close(*session);
  }

  void Watch(std::vector<pollfd>& fds) override {
    if (listening_ >= 0) fds.push_back({listening_, POLLIN, 0});
    for (const auto& session : sessions_) {
      if (!session->open()) continue;
      const bool has_output = !session->out.empty() || session->end_after_output;
      const short events =
          static_cast<short>((session->deaf ? 0 : POLLIN) | (has_output ? POLLOUT : 0));
      fds.push_back({session->fd, events, 0});
    }
  }

  void Step() override {
    for (int fd = 0; listening_ >= 0 && (fd = accept(listening_, nullptr, nullptr)) >= 0;) {
      SetNonBlocking(fd);
      sessions_.push_back(std::make_unique<Session>());
      sessions_.back()->fd = fd;
      sessions_.back()->number = sessions_.size() - 1;
    }
    for (std::size_t i = 0; i < sessions_.size(); ++i) {
      Receive(*sessions_[i]);
      Understand(*sessions_[i]);
      Transmit(*sessions_[i]);
    }
  }

 private:
  void Listen(std::uint16_t port) {
    listening_ = socket(AF_INET, SOCK_STREAM, 0);
    const int on = 1;
    setsockopt(listening_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in place = Loopback(port);
    MustBe(bind(listening_, reinterpret_cast<sockaddr*>(&place), sizeof place) == 0, "bind");
    MustBe(listen(listening_, 64) == 0, "listen");
    SetNonBlocking(listening_);
    port_ = PortOf(listening_);
  }
  void StopListening() {
    if (listening_ >= 0) close(listening_);
    listening_ = -1;
  }
  static void Close(Session& session) {
    if (session.fd >= 0) close(session.fd);
    session.fd = -1;
  }

  static void Receive(Session& session) {
    char bytes[4096];
    while (session.open() && !session.deaf) {
      const ssize_t got = recv(session.fd, bytes, sizeof bytes, 0);
      if (got > 0) {
        session.in.append(bytes, static_cast<std::size_t>(got));
        continue;
      }
      if (got < 0 && errno == EAGAIN) return;
      session.saw_end = true;
      Close(session);
    }
  }

  static std::uint32_t Number(const std::string& bytes, std::size_t at) {
    std::uint32_t number = 0;
    std::memcpy(&number, bytes.data() + at, sizeof number);
    return ntohl(number);
  }

  void Understand(Session& session) {
    for (;;) {
      const std::size_t head = session.started ? 1 : 0;
      if (session.in.size() < head + 4) return;
      const std::size_t size = head + Number(session.in, head);
      if (session.in.size() < size) return;
      const char type = session.started ? session.in[0] : '\0';
      const std::string body = session.in.substr(head + 4, size - head - 4);
      session.in.erase(0, size);
      Obey(session, type, body);
    }
  }

  // How long the SET statements are that a query begins with; each is answered.
  std::size_t Settings(Session& session, const std::string& query) const {
    std::size_t at = 0;
    while (query.compare(at, 4, "SET ") == 0) {
      if (obeys_settings) session.Send(CommandComplete("SET"));
      at = query.find("; ", at) + 2;
    }
    return at;
  }

  void Obey(Session& session, char type, const std::string& body) const {
    constexpr std::uint32_t kProtocol3 = 3 << 16;
    if (!session.started && Number(body, 0) != kProtocol3) {
      session.Send("N");  // no TLS, no GSSAPI
    } else if (!session.started) {
      session.started = true;
      session.startup = body.substr(4);
      on_startup(session);
    } else if (type == 'p') {
      on_password(session, body);
    } else if (type == 'Q') {
      ++session.queries;
      const std::size_t settings = Settings(session, body);
      session.settings = body.substr(0, settings);
      session.query = body.substr(settings, body.size() - 1 - settings);
      on_query(session);
    }
  }

  static void Transmit(Session& session) {
    while (session.open() && !session.out.empty()) {
      const std::size_t size =
          session.pace == 0 ? session.out.size() : std::min(session.pace, session.out.size());
      const ssize_t sent = send(session.fd, session.out.data(), size, MSG_NOSIGNAL);
      if (sent < 0 && errno == EAGAIN) return;
      if (sent < 0) {
        session.saw_end = true;
        Close(session);
        return;
      }
      session.out.erase(0, static_cast<std::size_t>(sent));
      if (session.pace != 0) return;
    }
    if (session.end_after_output && session.out.empty()) Close(session);
  }

  int listening_ = -1;
  std::uint16_t port_ = 0;
  std::vector<std::unique_ptr<Session>> sessions_;
};

}  // namespace pg_status
