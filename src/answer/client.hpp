// One client connection as a state machine: bytes in, bytes out, deadlines. No sockets, no clock.
//
//   reading    waits for a request; idle between two requests, or in the middle of one
//   held       has a request that is answered when something changes, or its time is up; reads
//   nothing answering  has output to send; reading is held back while much is unsent closing    the
//   last answer is on its way; when it is out the caller shuts down its side and drains
//
// Answers leave in the order of their requests, however many came at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "answer/port.hpp"
#include "answer/request.hpp"
#include "base/clock.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

// What a request may wait for before it is answered: that the generation of changes is not this one
// any more.
struct Patience {
  std::uint64_t generation = 0;
  std::int64_t us = 0;  // for so long at most; more than 0
};

// Turns requests into answers. Implemented by the discovery port and the check port.
class Service {
 public:
  virtual ~Service() = default;
  virtual Port port() const = 0;
  // Whether the answer to this request is to be held back, as things are; nullopt: it is due.
  virtual std::optional<Patience> PatienceOf(const Request& /*request*/) const {
    return std::nullopt;
  }
  // Appends the whole answer to an HTTP request: head and body. `close`: the head must say that the
  // connection ends.
  virtual void AnswerHttp(const Request& request, bool close, std::string& out) = 0;
  // Appends the answer to a line command, its newline included.
  virtual void AnswerLine(const Request& request, std::string& out) = 0;
  // Appends an answer to what is no request: status 400, 413 or 431, always closing. `help` is the
  // body ("" none).
  virtual void AnswerBad(int status, std::string_view help, std::string& out) = 0;
};

struct ClientLimits {
  std::int64_t head_us = 5 * kUsPerSecond;   // from a request's first byte to its last
  std::int64_t idle_us = 60 * kUsPerSecond;  // between two requests; the first one has head_us
};

class Client {
 public:
  Client(Service& service, const ClientLimits& limits, MonoUs now);

  // Bytes arrived. Answers whatever is complete, as far as there is room for output.
  void Receive(std::string_view bytes, MonoUs now);

  // The client has ended its side (no more bytes will come). What is complete is still answered;
  // the answers do not say that the connection ends, as nothing can be sent on it anyway.
  void EndOfInput(MonoUs now);

  // The request that is held back, and no input is wanted; nullopt: none is. The caller looks after
  // it: when the generation is another one, or it is `until`, EndHold() is due.
  struct Held {
    std::uint64_t generation = 0;
    MonoUs until = 0;
  };
  const std::optional<Held>& held() const { return held_; }

  // Answers the request that is held back as things are now, and goes on with those behind it.
  void EndHold(MonoUs now);

  // The client has ended its side while a request was held back; there may be more to be read that
  // it sent before. Over HTTP that is how a client goes away, so the request is answered at once,
  // as are all that follow; after a line it is how a script ends its input, so it stays held.
  void Leaves(MonoUs now);

  // Unsent output, valid until the next call; Sent(n) removes its first n bytes, and goes on with
  // requests that had to wait.
  std::string_view output() const { return std::string_view(output_).substr(sent_); }
  void Sent(std::size_t bytes, MonoUs now);

  // Whether to read from the socket: not while closing, nor while a request is held back, nor while
  // much output is unsent.
  bool wants_input() const;

  // Everything is sent and nothing more will be: shut down, drain, close.
  bool finished() const { return closing_ && output().empty(); }

  // Between two requests, with nothing to send.
  bool idle() const { return waiting_ == Waiting::kIdle; }

  // When to give up on the client (monotonic): no whole request, idle, or not taking its answer in
  // time; with a request that is held back and nothing to send, when that is over. It never moves
  // while a request drips in, nor by sending requests without reading answers.
  MonoUs deadline() const { return deadline_; }

  static constexpr std::size_t kMaxOutput =
      65536;  // above this no further request is answered until some is sent

 private:
  enum class Waiting : std::uint8_t { kForRequest, kIdle, kForSending, kForChange };

  void Work(MonoUs now);
  bool Hold(MonoUs now);
  void Answer(RequestReader::Status status);
  void SetDeadline(MonoUs now, bool was_sent);

  Service& service_;
  const ClientLimits limits_;
  RequestReader reader_;
  std::string pending_;  // received, not yet fed; empty whenever there is room for output
  std::string output_;
  std::size_t sent_ = 0;
  std::optional<Held> held_;
  bool closing_ = false;
  bool input_ended_ = false;
  bool leaves_ = false;   // its side has ended, though not all that it sent may have been read
  bool is_first_ = true;  // nothing was answered yet
  Waiting waiting_ = Waiting::kForRequest;
  MonoUs deadline_;
};

}  // namespace pg_status
