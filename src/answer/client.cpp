// One client connection: when to read, when to answer, when to give up. Knows neither HTTP's
// grammar (request's business) nor what is answered (the service's).
#include "answer/client.hpp"

#include <algorithm>
#include <iterator>

namespace pg_status {
namespace {

// Output memory above this is given back as soon as all is sent; less is used again.
constexpr std::size_t kKeptOutput = 16384;

struct BadInput {
  RequestReader::Status found;
  int status;
  std::string_view help;
};

constexpr BadInput kBadInputs[] = {
    {RequestReader::Status::kBad, 400, ""},
    {RequestReader::Status::kBadEnding, 400,
     "The lines of an HTTP request end in CR LF, not in LF alone. "
     "A bare line such as \"replica\" is answered too.\n"},
    {RequestReader::Status::kTooLarge, 431, ""},
};

const BadInput& BadInputOf(RequestReader::Status found) {
  for (const BadInput& bad : kBadInputs) {
    if (bad.found == found) return bad;
  }
  return kBadInputs[0];
}

}  // namespace

Client::Client(Service& service, const ClientLimits& limits, MonoUs now)
    : service_(service), limits_(limits), deadline_(now + limits.head_us) {}

void Client::Receive(std::string_view bytes, MonoUs now) {
  if (closing_ || input_ended_) return;
  if (pending_.empty()) bytes.remove_prefix(reader_.Feed(bytes));
  pending_.append(bytes);
  Work(now);
  SetDeadline(now, false);
}

void Client::EndOfInput(MonoUs now) {
  input_ended_ = true;
  Leaves(now);
  Work(now);
  SetDeadline(now, false);
}

void Client::EndHold(MonoUs now) {
  if (!held_) return;
  held_.reset();
  Answer(RequestReader::Status::kRequest);
  Work(now);
  SetDeadline(now, false);
}

void Client::Leaves(MonoUs now) {
  leaves_ = true;
  if (!reader_.request().line) EndHold(now);
}

void Client::Sent(std::size_t bytes, MonoUs now) {
  sent_ += std::min(bytes, output().size());
  if (output().empty()) {
    output_.clear();
    sent_ = 0;
    if (output_.capacity() > kKeptOutput) output_.shrink_to_fit();
  } else if (sent_ >= output().size()) {
    // Not before the sent part is the larger one: so each byte is moved about once, and a client
    // that never takes all of it cannot make it grow.
    output_.erase(0, sent_);
    sent_ = 0;
  }
  Work(now);
  SetDeadline(now, bytes > 0);
}

bool Client::wants_input() const {
  return !closing_ && !held_ && !input_ended_ && output().size() < kMaxOutput;
}

void Client::Work(MonoUs now) {
  while (!closing_ && !held_ && output().size() < kMaxOutput) {
    const RequestReader::Status status = reader_.Next();
    if (status == RequestReader::Status::kRequest && Hold(now)) break;
    if (status != RequestReader::Status::kNeedMore) {
      Answer(status);
    } else if (!pending_.empty()) {
      pending_.erase(0, reader_.Feed(pending_));
    } else {
      closing_ = input_ended_;
      break;
    }
  }
  if (closing_) pending_.clear();
  if (pending_.empty()) pending_.shrink_to_fit();
}

// Whether the request that was found is held back.
bool Client::Hold(MonoUs now) {
  const Request& request = reader_.request();
  if (leaves_ && !request.line) return false;
  const std::optional<Patience> patience = service_.PatienceOf(request);
  if (!patience) return false;
  held_ = Held{patience->generation, now + patience->us};
  return true;
}

void Client::Answer(RequestReader::Status status) {
  is_first_ = false;
  if (status != RequestReader::Status::kRequest) {
    const BadInput& bad = BadInputOf(status);
    service_.AnswerBad(bad.status, bad.help, output_);
    closing_ = true;
    return;
  }
  const Request& request = reader_.request();
  closing_ = request.line || request.has_body || !request.keep_alive;
  if (request.line) {
    service_.AnswerLine(request, output_);
  } else {
    service_.AnswerHttp(request, closing_, output_);
  }
}

// The deadline moves when the client makes what is waited for come to an end, and when it takes
// some of its answers; never merely because bytes came.
void Client::SetDeadline(MonoUs now, bool was_sent) {
  Waiting waiting = Waiting::kForRequest;
  if (!output().empty()) {
    waiting = Waiting::kForSending;
  } else if (held_) {
    waiting = Waiting::kForChange;
  } else if (!is_first_ && !reader_.in_the_middle()) {
    waiting = Waiting::kIdle;
  }
  if (waiting == waiting_ && !(was_sent && waiting == Waiting::kForSending)) return;
  waiting_ = waiting;
  if (waiting == Waiting::kForChange) {
    deadline_ = held_->until;
    return;
  }
  deadline_ = now + (waiting == Waiting::kIdle ? limits_.idle_us : limits_.head_us);
}

}  // namespace pg_status
