// libpq behind the Link interface; see libpq_link.hpp.

#include "probe/libpq_link.hpp"

#include <libpq-fe.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <new>
#include <optional>
#include <system_error>

#include "base/number.hpp"
#include "probe/arrived.hpp"
#include "probe/session_settings.hpp"

namespace pg_status {
namespace {

struct ConnectionDeleter {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
struct ResultDeleter {
  void operator()(PGresult* result) const { PQclear(result); }
};
struct OptionsDeleter {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};
struct NotifyDeleter {
  void operator()(PGnotify* notify) const { PQfreemem(notify); }
};
using Connection = std::unique_ptr<PGconn, ConnectionDeleter>;
using QueryResult = std::unique_ptr<PGresult, ResultDeleter>;

// More rows, or more bytes, than the query can give: the peer is not answering our question.
constexpr std::size_t kMaxRows = 2000;
// PostgreSQL's default is 4096 rounds; this many take a tenth of a second.
constexpr std::uint64_t kMaxScramRounds = 200000;

constexpr std::size_t kMaxAnswerBytes = std::size_t{16} << 20;

// To parse and plan the question takes the peer ten times as long as to answer it, so it does that
// once for each connection that is kept.
constexpr std::string_view kPrepare = "PREPARE pg_status_probe AS ";
constexpr std::string_view kExecute = "EXECUTE pg_status_probe";

// Descriptors that are left for others: the resolver, the files that a reload reads.
constexpr rlim_t kSpareFds = 32;

// Of an error's text; a message from a peer may be as long as it likes.
constexpr std::size_t kMaxErrorBytes = 500;
constexpr std::size_t kMaxSeverityBytes = 50;

// The first line of a libpq message, without the address that our own messages name anyway.
std::string FirstLine(std::string_view text) {
  text = text.substr(0, text.find('\n'));
  constexpr std::string_view kFailed = " failed: ";
  if (text.rfind("connection to server", 0) == 0) {
    const std::size_t at = text.find(kFailed);
    if (at != std::string_view::npos) text.remove_prefix(at + kFailed.size());
  }
  return text.empty() ? "the connection ended" : std::string(text.substr(0, kMaxErrorBytes));
}

bool Mentions(const std::string& text, int error) {
  return text.find(std::generic_category().message(error)) != std::string::npos;
}

// What a server says instead of letting us in, in libpq's verbose words, whatever language the
// server speaks: severity, colon, two blanks, SQLSTATE, colon, blank, text.
struct Refusal {
  std::string_view severity, sqlstate, text;
};

std::optional<Refusal> FindRefusal(std::string_view message) {
  constexpr std::string_view kBeforeState = ":  ";
  constexpr std::string_view kAfterState = ": ";
  constexpr std::size_t kStateLength = 5;
  constexpr const char* kStateLetters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  for (std::size_t at = message.find(kBeforeState); at != std::string_view::npos;
       at = message.find(kBeforeState, at + 1)) {
    const std::string_view rest = message.substr(at + kBeforeState.size());
    const std::string_view state = rest.substr(0, kStateLength);
    if (state.size() < kStateLength ||
        state.find_first_not_of(kStateLetters) != std::string_view::npos ||
        rest.substr(kStateLength, kAfterState.size()) != kAfterState) {
      continue;
    }
    std::string_view severity = message.substr(0, at);
    severity = severity.substr(severity.rfind('\n') + 1);
    // libpq's own words about the address, also in the language of this server
    const std::size_t words = severity.rfind(": ");
    if (words != std::string_view::npos) severity.remove_prefix(words + 2);
    return Refusal{severity, state, rest.substr(kStateLength + kAfterState.size())};
  }
  return std::nullopt;
}

// A session that is ended while it begins, and a server that is full or short of something else
// (all of class 53): the server runs. Any other reason not to let us in counts.
Outcome OutcomeOfRefusal(std::string_view sqlstate) {
  if (sqlstate == "57P01") return Outcome::kTerminated;
  if (sqlstate.substr(0, 2) == "53") return Outcome::kFull;
  if (sqlstate == "57P03") return Outcome::kStarting;
  return Outcome::kRejected;
}

// Whether the startup packet may be why we were not let in: a pooler takes few parameters, and a
// server none that it does not know.
bool IsAboutParameters(std::string_view sqlstate) {
  constexpr std::string_view kStates[] = {"08P01", "0A000", "22023", "42601", "42602", "42704"};
  return std::find(std::begin(kStates), std::end(kStates), sqlstate) != std::end(kStates);
}

// Asked a second time without our own part of `options`, what a pooler still refuses is written in
// pg_status.conninfo.
constexpr std::string_view kWayOut =
    " (take it out of pg_status.conninfo, or have the pooler pass over it: PgBouncer's "
    "ignore_startup_parameters)";

// libpq tells why a connection failed in words only. What matters to us is whether nothing listens
// there (the words are the operating system's own) and whether a server has answered (it gives a
// SQLSTATE, or at least begins with FATAL).
//
// Of several addresses that were tried, each has its lines. A server's answer from one of them
// tells more than the silence of the others.
LinkFailure ConnectFailure(std::string_view message) {
  if (const std::optional<Refusal> refusal = FindRefusal(message)) {
    std::string text(refusal->severity.substr(0, kMaxSeverityBytes));
    text.append(":  ").append(FirstLine(refusal->text));
    if (refusal->sqlstate == "08P01" && text.find("startup parameter") != std::string::npos) {
      text.resize(std::min(text.size(), kMaxErrorBytes - kWayOut.size()));
      text.append(kWayOut);
    }
    return {OutcomeOfRefusal(refusal->sqlstate), FirstLine(text)};
  }
  const std::size_t fatal = message.find("FATAL:");
  if (fatal != std::string_view::npos) {
    const std::size_t line_end = message.rfind('\n', fatal);
    if (line_end != std::string_view::npos) message.remove_prefix(line_end + 1);
    return {Outcome::kRejected, FirstLine(message)};
  }
  const std::string error = FirstLine(message);
  const bool refused = Mentions(error, ECONNREFUSED) || Mentions(error, ENOENT);
  return {refused ? Outcome::kRefused : Outcome::kClosed, error};
}

std::string ErrorText(const PGresult* error) {
  const char* primary = PQresultErrorField(error, PG_DIAG_MESSAGE_PRIMARY);
  return FirstLine(primary != nullptr ? primary : PQresultErrorMessage(error));
}

// Of an error that a query met. FATAL: the session has ended with it.
Outcome OutcomeOfError(const PGresult* error) {
  const char* state = PQresultErrorField(error, PG_DIAG_SQLSTATE);
  const char* severity = PQresultErrorField(error, PG_DIAG_SEVERITY_NONLOCALIZED);
  const auto is = [state](const char* other) { return std::strcmp(state, other) == 0; };
  if (state == nullptr || is("57P02")) return Outcome::kClosed;
  if (is("57P01") || is("57P05") || is("25P03") || is("25P04")) return Outcome::kTerminated;
  const bool session_goes_on = severity != nullptr && std::strcmp(severity, "ERROR") == 0;
  if (is("40001")) return session_goes_on ? Outcome::kCancelled : Outcome::kTerminated;
  if ((is("57014") || is("40P01")) && session_goes_on) return Outcome::kCancelled;
  return Outcome::kRejected;
}

// The server knows why, and the session goes on.
bool IsError(const PGresult* error) {
  const char* severity = PQresultErrorField(error, PG_DIAG_SEVERITY_NONLOCALIZED);
  return PQresultErrorField(error, PG_DIAG_SQLSTATE) != nullptr && severity != nullptr &&
         std::strcmp(severity, "ERROR") == 0;
}

// The question names a table, a column or a function that is not there.
bool IsOfAbsence(const PGresult* error) {
  if (!IsError(error)) return false;
  const char* state = PQresultErrorField(error, PG_DIAG_SQLSTATE);
  const auto is = [state](const char* other) { return std::strcmp(state, other) == 0; };
  return is("42P01") || is("42703") || is("42883");
}

// It asks for what the role may not read or call.
bool IsOfRights(const PGresult* error) {
  return IsError(error) && std::strcmp(PQresultErrorField(error, PG_DIAG_SQLSTATE), "42501") == 0;
}

// The rows of one answer, gathered in single-row mode so that their number is bounded.
class GatheredRows : public Rows {
 public:
  std::size_t rows() const override { return results_.size(); }
  std::size_t columns() const override {
    return results_.empty() ? 0 : static_cast<std::size_t>(PQnfields(results_.front().get()));
  }
  std::optional<std::string_view> Cell(std::size_t row, std::size_t column) const override {
    if (row >= results_.size() || column >= columns()) return std::nullopt;
    const PGresult* result = results_[row].get();
    const int field = static_cast<int>(column);
    if (PQgetisnull(result, 0, field) != 0) return std::nullopt;
    return std::string_view(PQgetvalue(result, 0, field),
                            static_cast<std::size_t>(PQgetlength(result, 0, field)));
  }
  std::size_t bytes() const { return bytes_; }
  void Add(QueryResult result) {
    bytes_ += PQresultMemorySize(result.get());
    results_.push_back(std::move(result));
  }
  void Clear() {
    results_.clear();
    bytes_ = 0;
  }

 private:
  std::vector<QueryResult> results_;
  std::size_t bytes_ = 0;
};

class LibpqLink : public Link {
 public:
  explicit LibpqLink(std::shared_ptr<const ConnectionOptions> options)
      : options_(std::move(options)) {}

  LinkStep Open(const Endpoint& endpoint) override;
  LinkStep Connect() override;
  LinkStep Ask(std::string_view query) override;
  LinkStep Flush() override;
  LinkStep Read() override;
  const Rows& Answer() const override { return rows_; }
  void Prepare() override;
  bool StillThere() override;
  void Close() override;
  std::unique_ptr<Link> Another() const override {
    auto another = std::make_unique<LibpqLink>(options_);
    another->without_ours_ = without_ours_;
    another->known_version_ = known_version_;
    return another;
  }
  bool HoldsSession() const override;

  bool is_open() const override { return connection_ != nullptr; }
  std::string session() const override;
  int socket() const override { return connection_ ? PQsocket(connection_.get()) : -1; }
  int server_version() const override {
    return connection_ ? PQserverVersion(connection_.get()) : 0;
  }
  std::string peer_address() const override;
  const LinkFailure& failure() const override { return failure_; }
  std::vector<LoginWarning> warnings() const override { return warnings_; }

 private:
  LinkStep Start();
  bool SendsOurs() const { return without_ours_ == 0 && !options_->takes_none; }
  bool AsksForLess(const Refusal& refusal);
  bool AsksForMore(const Refusal& refusal);
  bool AsksOtherwise();
  LinkStep Failed(Outcome outcome, std::string error);
  bool AsksTooMuch();
  LinkStep NotConnected();
  LinkStep Ended();
  std::string InWords(std::string_view query);
  bool IsAgainstManner(const PGresult* error);
  static void OnNotice(void* link, const PGresult* notice);
  void NoteLastWords(const PGresult* error);
  void NoteWarning(const PGresult* notice);
  void DropNotifications();
  LinkStep TakeResult(QueryResult result);
  LinkStep TakeCommand();
  LinkStep TakeError(const PGresult* error);

  // How the question is put on this connection.
  enum class Manner : std::uint8_t { kPlain, kToPrepare, kPrepared, kPlainForGood };

  std::shared_ptr<const ConnectionOptions> options_;
  Endpoint endpoint_;
  Connection connection_;
  // What is sent with the startup packet beside what conninfo says: all, or nothing because that
  // was refused, for so many connections more.
  int without_ours_ = 0;
  int tries_ = 0;          // that failed, of the connection that is being made
  int known_version_ = 0;  // of the server when it let us in last; 0: it has not
  int told_version_ = 0;   // that this connection's startup packet was written for
  std::string mark_;       // that this connection's startup packet brought; "" none
  Manner manner_ = Manner::kPlain;
  GatheredRows rows_;
  LinkFailure failure_;
  bool bare_ = false;            // no settings go with a question: this peer does not take them
  std::size_t commands_ = 0;     // that go before the question and were not answered yet
  bool has_table_ = false;       // the question was
  bool to_be_repeated_ = false;  // it may be; what belongs to the failure is still to be read
  std::string last_words_;       // of the server before it ended the connection; "" none
  Outcome last_outcome_ = Outcome::kClosed;
  std::vector<LoginWarning> warnings_;
  std::string authentication_;  // what the server said last while we log in, for AsksTooMuch
};

LinkStep LibpqLink::Failed(Outcome outcome, std::string error) {
  failure_ = {outcome, std::move(error)};
  return LinkStep::kFailed;
}

LinkStep LibpqLink::NotConnected() {
  failure_ = ConnectFailure(PQerrorMessage(connection_.get()));
  return LinkStep::kFailed;
}

// The connection broke under a call. A last message from the server, if there is one, tells more
// than that: it may have come together with the end, or before there was anything to answer.
LinkStep LibpqLink::Ended() {
  const std::string broken = FirstLine(PQerrorMessage(connection_.get()));
  while (PQisBusy(connection_.get()) == 0) {
    const QueryResult result(PQgetResult(connection_.get()));
    if (!result) break;
    const ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_SINGLE_TUPLE || status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
      continue;
    }
    if (status == PGRES_FATAL_ERROR) NoteLastWords(result.get());
    break;
  }
  if (last_words_.empty()) return Failed(Outcome::kClosed, broken);
  return Failed(last_outcome_, last_words_);
}

// What a server says unasked. By itself libpq would write it to standard error, the server's log,
// as often as a peer likes. An exception must not pass through libpq.
void LibpqLink::OnNotice(void* link, const PGresult* notice) {
  try {
    const char* severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
    if (severity == nullptr) return;
    if (std::strcmp(severity, "FATAL") == 0) static_cast<LibpqLink*>(link)->NoteLastWords(notice);
    if (std::strcmp(severity, "WARNING") == 0) static_cast<LibpqLink*>(link)->NoteWarning(notice);
  } catch (const std::bad_alloc&) {
  }
}

void LibpqLink::NoteLastWords(const PGresult* error) {
  if (PQresultErrorField(error, PG_DIAG_SQLSTATE) == nullptr) return;  // libpq's own
  last_words_ = ErrorText(error);
  last_outcome_ = OutcomeOfError(error);
}

// While it lets us in: that a password will expire soon (PostgreSQL 19), or that something is wrong
// with the database.
void LibpqLink::NoteWarning(const PGresult* notice) {
  const bool let_in = PQstatus(connection_.get()) == CONNECTION_OK;
  if (let_in || warnings_.size() >= kMaxLoginWarnings) return;
  const char* detail = PQresultErrorField(notice, PG_DIAG_MESSAGE_DETAIL);
  warnings_.push_back({ErrorText(notice), detail != nullptr ? FirstLine(detail) : ""});
}

// A new descriptor has the lowest number that is free, so one with a high number tells that nearly
// all are taken.
bool IsAmongTheLast(int fd) {
  struct rlimit limit {};
  if (fd < 0 || getrlimit(RLIMIT_NOFILE, &limit) != 0) return false;
  return limit.rlim_cur != RLIM_INFINITY && static_cast<rlim_t>(fd) + kSpareFds >= limit.rlim_cur;
}

// host and hostaddr as lists of the same length: libpq tries one address after the other.
std::string Joined(const std::vector<std::string>& parts) {
  std::string joined;
  for (const std::string& part : parts) {
    if (!joined.empty()) joined += ',';
    joined += part;
  }
  return joined;
}

// Tells one connection from all others, those of other pollers included. "" when there is none.
std::string NewMark() {
  unsigned char bytes[8];
  if (getentropy(bytes, sizeof bytes) != 0) return "";
  std::string mark;
  for (const unsigned char byte : bytes) {
    mark += "0123456789abcdef"[byte >> 4];
    mark += "0123456789abcdef"[byte & 15];
  }
  return mark;
}

LinkStep LibpqLink::Open(const Endpoint& endpoint) {
  endpoint_ = endpoint;
  if (without_ours_ > 0) --without_ours_;
  tries_ = 0;
  return Start();
}

LinkStep LibpqLink::Start() {
  Close();
  const std::string host =
      endpoint_.addresses.empty()
          ? endpoint_.host
          : Joined(std::vector<std::string>(endpoint_.addresses.size(), endpoint_.host));
  const std::string hostaddr = Joined(endpoint_.addresses);
  const std::string port = std::to_string(endpoint_.port);
  mark_ = SendsOurs() ? NewMark() : "";
  told_version_ = known_version_;
  const std::string options =
      SendsOurs()
          ? SessionOptions(options_->options, options_->statement_timeout_ms, told_version_, mark_)
          : options_->options;

  std::vector<const char*> keywords;
  std::vector<const char*> values;
  for (const auto& [keyword, value] : options_->keywords) {
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  const auto add = [&](const char* keyword, const std::string& value) {
    keywords.push_back(keyword);
    values.push_back(value.c_str());
  };
  add("host", host);
  if (!hostaddr.empty()) add("hostaddr", hostaddr);
  if (!options.empty()) add("options", options);
  add("port", port);
  keywords.push_back(nullptr);
  values.push_back(nullptr);

  connection_.reset(PQconnectStartParams(keywords.data(), values.data(), 0));
  if (!connection_) return Failed(Outcome::kClosed, "out of memory");
  PQsetNoticeReceiver(connection_.get(), OnNotice, this);
  PQsetErrorVerbosity(connection_.get(), PQERRORS_VERBOSE);  // for the SQLSTATE
  if (PQstatus(connection_.get()) == CONNECTION_BAD) return NotConnected();
  if (IsAmongTheLast(socket())) {
    const std::string why = std::generic_category().message(EMFILE);
    return Failed(Outcome::kClosed, "no descriptor is left for this host: " + why);
  }
  return LinkStep::kWantWrite;  // as the manual says of PQconnectPoll's first turn
}

// A server names the number of rounds that hashing the password takes (",i=" in SCRAM's first
// message), and libpq would do them all in one call, for hours if told so. What has arrived is
// looked at before libpq takes it.
bool LibpqLink::AsksTooMuch() {
  // Not before: reading from a socket that could not connect takes the reason away from libpq.
  if (PQstatus(connection_.get()) != CONNECTION_AWAITING_RESPONSE) return false;
  char bytes[4096];
  authentication_.append(bytes, PeekArrived(connection_.get(), bytes, sizeof bytes));
  bool too_much = false;
  for (std::size_t at = authentication_.find(",i="); at != std::string::npos;
       at = authentication_.find(",i=", at + 1)) {
    const std::size_t digits = authentication_.find_first_not_of("0123456789", at + 3);
    const std::size_t end = digits == std::string::npos ? authentication_.size() : digits;
    const auto rounds = ParseUint64(std::string_view(authentication_).substr(at + 3, end - at - 3));
    too_much = too_much || (end > at + 3 && (!rounds || *rounds > kMaxScramRounds));
  }
  // A number may come in two pieces.
  constexpr std::size_t kKeep = 64;
  if (authentication_.size() > kKeep) authentication_.erase(0, authentication_.size() - kKeep);
  return too_much;
}

// The server did not let us in because of what we asked it to set: asked for less, and with less
// for the next connections, too. A pooler writes a line of log each time that it is asked for too
// much.
bool LibpqLink::AsksForLess(const Refusal& refusal) {
  constexpr int kConnectionsWithout = 10;
  if (!IsAboutParameters(refusal.sqlstate)) return false;
  if (known_version_ != 0 && refusal.sqlstate == "42704") {
    known_version_ = 0;  // there is another server now, which knows fewer settings
  } else {
    without_ours_ = kConnectionsWithout;
  }
  return true;
}

// transaction_timeout may end the login itself, before the server has told that it is of a version
// that has it.
bool LibpqLink::AsksForMore(const Refusal& refusal) {
  if (refusal.sqlstate != "25P04" || known_version_ >= kHasTransactionTimeout) return false;
  known_version_ = kHasTransactionTimeout;
  return true;
}

bool LibpqLink::AsksOtherwise() {
  constexpr int kTries = 3;  // of one connection; whoever refuses them all has no reason of ours
  const std::optional<Refusal> refusal = FindRefusal(PQerrorMessage(connection_.get()));
  return refusal && SendsOurs() && ++tries_ < kTries &&
         (AsksForLess(*refusal) || AsksForMore(*refusal));
}

LinkStep LibpqLink::Connect() {
  if (AsksTooMuch()) {
    return Failed(Outcome::kGarbled,
                  "the server asks for more than " + std::to_string(kMaxScramRounds) +
                      " rounds of password hashing: the password was set with a high "
                      "scram_iterations");
  }
  switch (PQconnectPoll(connection_.get())) {
    case PGRES_POLLING_READING:
      return LinkStep::kWantRead;
    case PGRES_POLLING_WRITING:
      return LinkStep::kWantWrite;
    case PGRES_POLLING_OK:
      if (PQsetnonblocking(connection_.get(), 1) != 0) return Ended();
      known_version_ = PQserverVersion(connection_.get());
      return LinkStep::kDone;
    default:
      return AsksOtherwise() ? Start() : NotConnected();
  }
}

// What is sent to put the question.
std::string LibpqLink::InWords(std::string_view query) {
  Statements statements;
  switch (manner_) {
    case Manner::kToPrepare:
      statements = LateSettings(told_version_, server_version());
      statements.text.append(kPrepare).append(query).append("; ").append(kExecute);
      ++statements.count;
      break;
    case Manner::kPrepared:
      statements.text = kExecute;
      break;
    case Manner::kPlain:
    case Manner::kPlainForGood:
      if (!bare_) statements = QuestionSettings(options_->statement_timeout_ms, server_version());
      statements.text.append(query);
      break;
  }
  commands_ = statements.count;
  return std::move(statements.text);
}

void LibpqLink::Prepare() {
  if (manner_ == Manner::kPlain && !bare_) manner_ = Manner::kToPrepare;
}

std::string LibpqLink::session() const {
  if (!connection_ || mark_.empty()) return "";
  return std::to_string(PQbackendPID(connection_.get())) + ' ' + mark_;
}

LinkStep LibpqLink::Ask(std::string_view query) {
  rows_.Clear();
  to_be_repeated_ = false;
  has_table_ = false;
  const std::string text = InWords(query);
  if (PQsendQuery(connection_.get(), text.c_str()) == 0) return Ended();
  // Not being able to bound the number of rows is no reason to ask unboundedly.
  if (PQsetSingleRowMode(connection_.get()) == 0) return Ended();
  return Flush();
}

LinkStep LibpqLink::Flush() {
  const int left = PQflush(connection_.get());
  if (left < 0) return Ended();
  if (left == 0) return LinkStep::kDone;
  // The server may be waiting for us to read before it takes more.
  if (PQconsumeInput(connection_.get()) == 0) return Ended();
  return LinkStep::kWantWrite;
}

LinkStep LibpqLink::Read() {
  if (PQconsumeInput(connection_.get()) == 0) return Ended();
  DropNotifications();
  while (PQisBusy(connection_.get()) == 0) {
    QueryResult result(PQgetResult(connection_.get()));
    if (!result) {
      if (to_be_repeated_) return LinkStep::kFailed;
      if (has_table_) return LinkStep::kDone;
      return Failed(Outcome::kGarbled, "the answer is not that of a PostgreSQL query");
    }
    const LinkStep step = TakeResult(std::move(result));
    if (step != LinkStep::kFailed) continue;
    to_be_repeated_ = failure_.outcome == Outcome::kCancelled || failure_.absent || failure_.denied;
    if (!to_be_repeated_) return step;
  }
  return LinkStep::kWantRead;
}

LinkStep LibpqLink::TakeResult(QueryResult result) {
  switch (PQresultStatus(result.get())) {
    case PGRES_SINGLE_TUPLE:
      if (rows_.rows() >= kMaxRows || rows_.bytes() >= kMaxAnswerBytes) {
        return Failed(Outcome::kGarbled, "the answer is too long");
      }
      has_table_ = true;
      rows_.Add(std::move(result));
      return LinkStep::kWantRead;
    case PGRES_TUPLES_OK:  // ends the rows, has none of its own
      has_table_ = true;
      return LinkStep::kWantRead;
    case PGRES_COMMAND_OK:
      return TakeCommand();
    case PGRES_FATAL_ERROR:
      return TakeError(result.get());
    default:  // a COPY, say: nothing that our query leads to
      return Failed(Outcome::kGarbled, "the answer is not that of a PostgreSQL query");
  }
}

LinkStep LibpqLink::TakeCommand() {
  if (commands_ == 0 || has_table_) {
    return Failed(Outcome::kGarbled, "the answer is not that of a PostgreSQL query");
  }
  if (--commands_ == 0 && manner_ == Manner::kToPrepare) manner_ = Manner::kPrepared;
  return LinkStep::kWantRead;
}

LinkStep LibpqLink::TakeError(const PGresult* error) {
  if (IsAgainstManner(error)) return Failed(Outcome::kCancelled, ErrorText(error));
  Failed(OutcomeOfError(error), ErrorText(error));
  failure_.absent = IsOfAbsence(error);
  failure_.denied = IsOfRights(error);
  // What is asked next is another question than the one that was prepared.
  if (failure_.denied && manner_ != Manner::kPlain) manner_ = Manner::kPlainForGood;
  return LinkStep::kFailed;
}

// Whether the question is to be put again, and in another way from then on. In plain words: what
// was prepared is gone, or is there although we have not done it, or its plan has grown old in a
// way that PostgreSQL does not mend by itself. Without settings: what is no PostgreSQL may not know
// one.
bool LibpqLink::IsAgainstManner(const PGresult* error) {
  if (!IsError(error)) return false;
  const char* state = PQresultErrorField(error, PG_DIAG_SQLSTATE);
  const auto is = [state](const char* other) { return std::strcmp(state, other) == 0; };
  const bool plain = manner_ == Manner::kPlain || manner_ == Manner::kPlainForGood;
  const std::string_view kind = std::string_view(state).substr(0, 2);
  const bool unknown = kind == "42" || kind == "0A" || kind == "22" || kind == "25";
  if (plain && !bare_ && commands_ > 0 && unknown) {
    bare_ = true;
    return true;
  }
  if (plain) return false;
  const bool before_the_question = commands_ > 0 && OutcomeOfError(error) == Outcome::kRejected;
  if (!before_the_question && !is("26000") && !is("42P05") && !is("0A000")) return false;
  manner_ = Manner::kPlainForGood;
  return true;
}

bool LibpqLink::StillThere() {
  if (PQconsumeInput(connection_.get()) == 0) return false;
  // Reads what the server said unasked (a changed setting, a last FATAL): a message of the latter
  // kind ends the connection, which the next PQconsumeInput notices.
  PQisBusy(connection_.get());
  DropNotifications();
  return PQstatus(connection_.get()) == CONNECTION_OK;
}

void LibpqLink::DropNotifications() {
  while (std::unique_ptr<PGnotify, NotifyDeleter>(PQnotifies(connection_.get()))) {
  }
}

// Whether all we sent has arrived at the peer's machine. Where the system does not tell, as of a
// Unix-domain socket: yes, and patience decides.
bool EverythingArrived(int socket) {
#if defined(__linux__)
  tcp_info info{};
  socklen_t size = sizeof info;
  const bool is_tcp = getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0;
  // What was not acknowledged, and what could not even be sent because there is no way to the peer;
  // the latter is missing in tcp_info.
  int bytes = 0;
  if (is_tcp && ioctl(socket, TIOCOUTQ, &bytes) == 0) return bytes == 0;
#else
  (void)socket;
#endif
  return true;
}

bool LibpqLink::HoldsSession() const {
  if (!connection_) return false;
  const ConnStatusType status = PQstatus(connection_.get());
  if (status == CONNECTION_BAD || status == CONNECTION_STARTED) return false;
  return EverythingArrived(PQsocket(connection_.get()));
}

void LibpqLink::Close() {
  rows_.Clear();
  authentication_.clear();
  last_words_.clear();
  warnings_.clear();
  manner_ = Manner::kPlain;
  bare_ = false;
  mark_.clear();
  connection_.reset();
}

std::string LibpqLink::peer_address() const {
  if (!connection_) return "";
  const char* address = PQhostaddr(connection_.get());
  if (address == nullptr || address[0] == '/') return "";
  return address;
}

struct Forbidden {
  const char* keyword;
  const char* why;
};

// What pg_status.hosts decides, and what would end up in the server's log: PostgreSQL logs each
// setting that a reload changes.
constexpr Forbidden kForbidden[] = {
    {"host", "\"host\" cannot be set there; hosts are listed in pg_status.hosts"},
    {"hostaddr", "\"hostaddr\" cannot be set there; hosts are listed in pg_status.hosts"},
    {"replication", "\"replication\" cannot be set there"},
    {"password", "\"password\" cannot be set there; use a passfile or a service file"},
    {"sslpassword", "\"sslpassword\" cannot be set there; use a service file"},
    // Of newer libpq. The keys are as good as the password; libpq does not mark them as secret.
    {"scram_client_key", "\"scram_client_key\" cannot be set there; use a passfile"},
    {"scram_server_key", "\"scram_server_key\" cannot be set there; use a passfile"},
    {"sslkeylogfile", "\"sslkeylogfile\" cannot be set there; it writes session keys to a file"},
};

// "" when it may be set.
std::string WhyForbidden(const PQconninfoOption& option) {
  for (const Forbidden& forbidden : kForbidden) {
    if (std::strcmp(option.keyword, forbidden.keyword) == 0) return forbidden.why;
  }
  // what libpq says is not to be shown, whatever a later version adds
  const bool secret = option.dispchar != nullptr && std::strchr(option.dispchar, '*') != nullptr;
  if (!secret) return "";
  return '"' + std::string(option.keyword) + "\" cannot be set there; use a service file";
}

bool IsSet(const PQconninfoOption* options, const char* keyword) {
  for (; options->keyword != nullptr; ++options) {
    if (std::strcmp(options->keyword, keyword) == 0) return options->val != nullptr;
  }
  return false;
}

bool LibpqKnows(const PQconninfoOption* options, const char* keyword) {
  for (; options->keyword != nullptr; ++options) {
    if (std::strcmp(options->keyword, keyword) == 0) return true;
  }
  return false;
}

}  // namespace

Result<ConnectionOptions> ParseConninfo(const std::string& conninfo,
                                        const std::string& application_name,
                                        std::int64_t statement_timeout_ms) {
  // libpq's own complaint may quote a part of a password that was not quoted well, so it is
  // dropped.
  char* complaint = nullptr;
  const std::unique_ptr<PQconninfoOption, OptionsDeleter> parsed(
      PQconninfoParse(conninfo.c_str(), &complaint));
  if (complaint != nullptr) PQfreemem(complaint);
  if (!parsed) return Error{"it is not a libpq connection string of known keywords"};

  ConnectionOptions options;
  std::vector<std::pair<std::string, std::string>> defaults = {
      {"application_name", application_name},
      {"gssencmode", "disable"},
      // A peer that owes us an answer and is cut off sends it again ever more rarely, long after it
      // can be reached again. The system notices the silence of a machine; a server that only hangs
      // goes on being waited for.
      {"keepalives_idle", "2"},
      {"keepalives_interval", "1"},
      {"keepalives_count", "3"},
  };
  options.statement_timeout_ms = statement_timeout_ms;
  // GSSAPI's library talks to servers of its own, and waits for them. Newer libpq can be told not
  // to let the peer ask for it.
  options.wants_gss = IsSet(parsed.get(), "gssencmode") || IsSet(parsed.get(), "krbsrvname");
  if (!options.wants_gss && LibpqKnows(parsed.get(), "require_auth")) {
    defaults.emplace_back("require_auth", "!gss,!sspi");
  }
  for (const PQconninfoOption* option = parsed.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr) continue;
    const std::string why = WhyForbidden(*option);
    if (!why.empty()) return Error{why};
    if (std::strcmp(option->keyword, "port") == 0) {
      const auto port = ParseUint64(option->val);
      if (!port || *port < 1 || *port > 65535) return Error{"\"port\" is not between 1 and 65535"};
      options.default_port = static_cast<std::uint16_t>(*port);
      continue;
    }
    if (std::strcmp(option->keyword, "options") == 0) {
      options.options = option->val;  // ours are added to them for each connection
      options.takes_none = options.options.empty();
      continue;
    }
    // Every host is asked for itself, whatever its role; texts come as they are there.
    if (std::strcmp(option->keyword, "target_session_attrs") == 0) continue;
    if (std::strcmp(option->keyword, "client_encoding") == 0) continue;
    for (auto it = defaults.begin(); it != defaults.end(); ++it) {
      if (it->first == option->keyword) {
        defaults.erase(it);
        break;
      }
    }
    options.keywords.emplace_back(option->keyword, option->val);
  }
  options.keywords.insert(options.keywords.end(), defaults.begin(), defaults.end());
  options.keywords.emplace_back("target_session_attrs", "any");
  options.keywords.emplace_back("client_encoding", "SQL_ASCII");
  return options;
}

// An older libpq answers a peer that asks for GSSAPI whenever it finds a ticket, so it is to find
// none.
void ShutOutKerberos() { setenv("KRB5CCNAME", "MEMORY:pg_status", 1); }

std::unique_ptr<Link> MakeLibpqLink(std::shared_ptr<const ConnectionOptions> options) {
  return std::make_unique<LibpqLink>(std::move(options));
}

}  // namespace pg_status
