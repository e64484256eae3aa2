// The limit: what a status port would cost on this machine if it had nothing to decide. One epoll
// loop that answers everybody with the same bytes, and does nothing for anybody's safety: no time
// limits, no look at who asks, no parsing, no care for unread input. Knows nothing of pg_status.
//
//   limit_server PORT                          like the raw port: one word, then the end
//   limit_server PORT REPLY_FILE CLOSING_FILE  like an HTTP port: the bytes of REPLY_FILE for each
//                                              request; those of CLOSING_FILE, then the end, for
//                                              one that has "Connection: close"
//
// Listens on 127.0.0.1, writes its process id to the standard output when it does, runs until it is
// killed.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace {

constexpr int kBacklog = 4096;
constexpr int kMaxEvents = 256;
constexpr std::string_view kWord = "MASTER\n";

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::exit(1);
}

int Listen(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) Die("socket");
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) Die("bind");
  if (listen(fd, kBacklog) != 0) Die("listen");
  return fd;
}

void Watch(int epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) Die("epoll_ctl");
}

int Accept(int door) { return accept4(door, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC); }

// Answers are far smaller than a socket's buffer; whoever has gone in the meantime gets nothing.
void Say(int fd, std::string_view bytes) {
  [[maybe_unused]] const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

void AnswerRaw(int door) {
  for (int fd = Accept(door); fd >= 0; fd = Accept(door)) {
    Say(fd, kWord);
    close(fd);
  }
}

void LetIn(int epoll, int door) {
  const int on = 1;
  for (int fd = Accept(door); fd >= 0; fd = Accept(door)) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    Watch(epoll, fd);
  }
}

// The clients send a whole request at once, and the next one when they have the answer.
void AnswerHttp(int fd, std::string_view reply, std::string_view closing_reply) {
  char buffer[16384];
  const ssize_t got = read(fd, buffer, sizeof buffer);
  if (got <= 0) {
    close(fd);
    return;
  }
  const std::string_view request(buffer, static_cast<std::size_t>(got));
  if (request.find("Connection: close") == std::string_view::npos) {
    Say(fd, reply);
    return;
  }
  Say(fd, closing_reply);
  close(fd);
}

std::string Content(const char* path) {
  std::ifstream file(path, std::ios::binary);
  std::string content{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (content.empty()) Die(path);
  return content;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 4) {
    std::fputs("usage: limit_server PORT [REPLY_FILE CLOSING_FILE]\n", stderr);
    return 64;
  }
  const bool is_http = argc == 4;
  const std::string reply = is_http ? Content(argv[2]) : "";
  const std::string closing_reply = is_http ? Content(argv[3]) : "";
  const int door = Listen(static_cast<std::uint16_t>(std::atoi(argv[1])));
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) Die("epoll_create1");
  Watch(epoll, door);
  std::printf("%d\n", getpid());
  std::fflush(stdout);
  for (;;) {
    epoll_event events[kMaxEvents];
    const int count = epoll_wait(epoll, events, kMaxEvents, -1);
    for (int i = 0; i < count; ++i) {
      const int fd = events[i].data.fd;
      if (fd != door) {
        AnswerHttp(fd, reply, closing_reply);
      } else if (is_http) {
        LetIn(epoll, door);
      } else {
        AnswerRaw(door);
      }
    }
  }
}
