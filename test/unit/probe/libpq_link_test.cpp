// A connection against a server that says exactly what the test wants it to: good and ill-behaved
// servers, whole and byte by byte.
#include "probe/libpq_link.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "probe/drive.hpp"
#include "probe/link_scene.hpp"
#include "probe/messages.hpp"
#include "probe/reply.hpp"
#include "probe/reply_rows.hpp"
#include "probe/scripted_server.hpp"

namespace pg_status {
namespace {

// ---- connecting

TEST_F(LibpqLinkTest, NobodyListensIsRefused) {
  const RefusedPort nobody;
  client_.Open(At(nobody.port()));
  EXPECT_EQ(Ended(), Stage::kFailed);
  ExpectFailure(Outcome::kRefused);
  EXPECT_EQ(client_.failure().error.find("connection to server"), std::string::npos)
      << "the place is named by whoever shows the error";
}

TEST_F(LibpqLinkTest, MissingSocketIsRefused) {
  client_.Open({"/nonexistent/directory", {}, 5432});
  EXPECT_EQ(Ended(), Stage::kFailed);
  ExpectFailure(Outcome::kRefused);
}

TEST_F(LibpqLinkTest, StartupPacketSaysWhoWeAre) {
  Connect();
  EXPECT_TRUE(client_.link().is_open());
  EXPECT_GE(client_.link().socket(), 0);
  EXPECT_EQ(client_.link().server_version(), 150020);
  EXPECT_EQ(client_.link().peer_address(), "127.0.0.1");
  const std::string& startup = server_.session(0).startup;
  for (const std::string& pair :
       {Zero("user") + Zero("monitor"), Zero("database") + Zero("postgres"),
        Zero("application_name") + Zero(kName), Zero("client_encoding") + Zero("SQL_ASCII")}) {
    EXPECT_NE(startup.find(pair), std::string::npos) << pair;
  }
  for (const char* setting :
       {"-c default_transaction_isolation=read\\ committed ", "-c statement_timeout=1000 ",
        "-c extra_float_digits=1 ", "-c pg_status_session.mark="}) {
    EXPECT_NE(startup.find(setting), std::string::npos) << setting;
  }
}

TEST_F(LibpqLinkTest, NameStaysBesideTheAddress) {
  client_.Open({"no-such-host.invalid", {"127.0.0.1"}, server_.port()});
  EXPECT_EQ(Ended(), Stage::kDone) << client_.failure().error;
  EXPECT_EQ(client_.link().peer_address(), "127.0.0.1");
}

TEST_F(LibpqLinkTest, AddressesAreTriedOneAfterTheOther) {
  client_.Open({"localhost", {"127.0.0.9", "127.0.0.1"}, server_.port()});
  EXPECT_EQ(Ended(), Stage::kDone) << client_.failure().error;
  EXPECT_EQ(client_.link().peer_address(), "127.0.0.1");
}

TEST_F(LibpqLinkTest, ServerWithoutTlsIsReachedWhenTlsIsOnlyPreferred) {
  LinkPart client("user=monitor sslmode=prefer");
  client.Open(Here());
  EXPECT_TRUE(RunUntil({&server_, &client}, [&] { return client.stage() == Stage::kDone; }));
}

TEST_F(LibpqLinkTest, ServerWithoutTlsIsNotLetPassWhenTlsIsRequired) {
  LinkPart client("user=monitor sslmode=require");
  client.Open(Here());
  EXPECT_TRUE(RunUntil({&server_, &client}, [&] { return client.stage() == Stage::kFailed; }));
  EXPECT_EQ(client.failure().outcome, Outcome::kClosed);
}

TEST_F(LibpqLinkTest, EndAfterTheStartupPacketIsClosed) {
  server_.on_startup = [](ScriptedServer::Session& session) { session.End(); };
  client_.Open(Here());
  EXPECT_EQ(Ended(), Stage::kFailed);
  ExpectFailure(Outcome::kClosed);
}

TEST_F(LibpqLinkTest, ServerThatDoesNotLetUsInHasRejectedUs) {
  const struct {
    const char* severity;
    const char* state;
    const char* text;
    Outcome outcome;
  } rows[] = {
      {"FATAL", "57P03", "the database system is starting up", Outcome::kStarting},
      {"FATAL", "28P01", "password authentication failed for user \"m\"", Outcome::kRejected},
      {"FATAL", "28000", "no entry: 53300: in it", Outcome::kRejected},
      {"FATAL", "53300", "sorry, too many clients already", Outcome::kFull},
      {"FATAL", "53200", "out of memory", Outcome::kFull},
      {"FATAL", "57P01", "terminating connection", Outcome::kTerminated},
      // in its own language, which is not always that of UTF-8
      {"\u0412\u0410\u0416\u041d\u041e", "53300", "\u0443\u0436\u0435", Outcome::kFull},
      {"FATALE", "57P03", "il sistema di database si sta avviando", Outcome::kStarting},
      {"\xC2\xC0\xC6\xCD\xCE", "28000", "\xE4\xEB\xFF", Outcome::kRejected},
      {"FATAL", "", "nothing but a text", Outcome::kRejected},
      {"FATAL", "5330", "a state that is none", Outcome::kRejected},
      {"FATAL", "533000", "nor this", Outcome::kRejected},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.text);
    server_.on_startup = [&](ScriptedServer::Session& session) {
      session.Send(ErrorResponse(row.severity, row.state, row.text));
      session.End();
    };
    client_.Open(Here());
    EXPECT_EQ(Ended(), Stage::kFailed);
    ExpectFailure(row.outcome);
    EXPECT_NE(client_.failure().error.find(row.text), std::string::npos) << client_.failure().error;
    if (std::string(row.state).size() == 5) {
      EXPECT_EQ(client_.failure().error, std::string(row.severity) + ":  " + row.text);
    }
  }
}

TEST_F(LibpqLinkTest, AnotherLinkIsOneOfItsOwn) {
  Connect();
  const std::unique_ptr<Link> other = client_.link().Another();
  EXPECT_FALSE(other->is_open());
  EXPECT_EQ(other->socket(), -1);
  other->Open(Here());
  EXPECT_NE(other->socket(), client_.link().socket());
  other->Close();
  EXPECT_TRUE(client_.link().is_open());
}

// "localhost" is ::1 and 127.0.0.1: the address where nobody listens must not hide the server's own
// word from the other one.
TEST_F(LibpqLinkTest, AnswerOfOneAddressCountsMoreThanTheRefusalOfAnother) {
  server_.on_startup = [](ScriptedServer::Session& session) {
    session.Send(ErrorResponse("FATAL", "28000", "no entry for you"));
    session.End();
  };
  client_.Open({"localhost", {"127.0.0.9", "127.0.0.1"}, server_.port()});
  EXPECT_EQ(Ended(), Stage::kFailed);
  ExpectFailure(Outcome::kRejected);
  EXPECT_NE(client_.failure().error.find("no entry for you"), std::string::npos)
      << client_.failure().error;
}

TEST_F(LibpqLinkTest, GarbageInPlaceOfAWelcomeFails) {
  const std::string garbage[] = {
      "HTTP/1.1 400 Bad Request\r\n\r\n",
      std::string(4096, '\xFF'),
      std::string(4096, '\0'),
      Message('R', Int32(99)),
      Message('R', ""),
      Message('D', "x"),
      AuthenticationOk() + "garbage garbage garbage garbage",
  };
  for (const std::string& bytes : garbage) {
    SCOPED_TRACE(bytes.substr(0, 20));
    server_.on_startup = [&](ScriptedServer::Session& session) {
      session.Send(bytes);
      session.End();
    };
    client_.Open(Here());
    EXPECT_EQ(Ended(), Stage::kFailed);
    EXPECT_NE(client_.failure().outcome, Outcome::kOk);
    EXPECT_NE(client_.failure().outcome, Outcome::kRefused) << "something listens";
    EXPECT_LE(client_.failure().error.size(), 500u);
  }
}

// A file that is there as long as this lives.
class ScratchFile {
 public:
  explicit ScratchFile(const std::string& text) {
    const int fd = mkstemp(path_.data());
    MustBe(fd >= 0 && write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()),
           "mkstemp");
    close(fd);
  }
  ~ScratchFile() { unlink(path_.c_str()); }
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/pg_status-test-XXXXXX";
};

// SCRAM's first message names the rounds of hashing, which libpq would all do in one call.
TEST_F(LibpqLinkTest, EndlessPasswordHashingIsRefused) {
  const ScratchFile passfile("*:*:*:*:secret\n");
  LinkPart client("user=monitor dbname=postgres sslmode=disable passfile=" + passfile.path());
  server_.on_startup = [](ScriptedServer::Session& session) {
    session.Send(Message('R', Int32(10) + Zero("SCRAM-SHA-256") + '\0'));
  };
  server_.on_password = [](ScriptedServer::Session& session, const std::string& message) {
    const std::string nonce = message.substr(message.find(",r=") + 3);
    session.Send(Message('R', Int32(11) + "r=" + nonce + "abc,s=c2FsdHNhbHQ=,i=2000000000"));
  };
  client.Open(Here());
  ASSERT_TRUE(RunUntil({&server_, &client}, [&] { return client.stage() == Stage::kFailed; }));
  EXPECT_EQ(client.failure().outcome, Outcome::kGarbled);
  EXPECT_NE(client.failure().error.find("rounds"), std::string::npos) << client.failure().error;
}

TEST_F(LibpqLinkTest, LongErrorIsCut) {
  server_.on_startup = [](ScriptedServer::Session& session) {
    session.Send(ErrorResponse("FATAL", "28000", std::string(20000, 'x')));
    session.End();
  };
  client_.Open(Here());
  EXPECT_EQ(Ended(), Stage::kFailed);
  ExpectFailure(Outcome::kRejected);
}

TEST_F(LibpqLinkTest, OpenEndsWhatWasOpen) {
  Connect();
  Connect();
  EXPECT_TRUE(Run([&] { return server_.session(0).saw_end; }));
  EXPECT_TRUE(server_.session(1).open());
}

TEST_F(LibpqLinkTest, CloseEndsTheConnection) {
  Connect();
  client_.link().Close();
  EXPECT_FALSE(client_.link().is_open());
  EXPECT_EQ(client_.link().socket(), -1);
  EXPECT_EQ(client_.link().server_version(), 0);
  EXPECT_EQ(client_.link().peer_address(), "");
  EXPECT_TRUE(Run([&] { return server_.session(0).saw_end; }));
  client_.link().Close();
}

// ---- answers

TEST_F(LibpqLinkTest, RowsAreReadAsTheyWereSent) {
  const Cells first = {"a", std::nullopt, "", std::string("\0x", 2)};
  const Cells second = {"b", "NULL", "c", std::nullopt};
  ASSERT_EQ(Asked(Table({first, second}) + ReadyForQuery()), Stage::kDone)
      << client_.failure().error;
  EXPECT_EQ(server_.session(0).query, "SELECT 1");
  const Rows& rows = client_.link().Answer();
  ASSERT_EQ(rows.rows(), 2u);
  ASSERT_EQ(rows.columns(), 4u);
  const Cells expected[] = {first, second};
  for (std::size_t r = 0; r < 2; ++r) {
    for (std::size_t c = 0; c < 4; ++c) EXPECT_EQ(rows.Cell(r, c), expected[r][c]) << r << c;
  }
  EXPECT_EQ(rows.Cell(2, 0), std::nullopt);
  EXPECT_EQ(rows.Cell(0, 4), std::nullopt);
}

TEST_F(LibpqLinkTest, AnswerOfAServerBecomesFacts) {
  ASSERT_EQ(Asked(Answer(StandbyCells())), Stage::kDone);
  const auto facts = ParseReply(client_.link().Answer(), client_.link().server_version());
  ASSERT_TRUE(facts.ok()) << facts.error();
  EXPECT_TRUE(facts->in_recovery);
  EXPECT_EQ(facts->timeline, 3u);
}

TEST_F(LibpqLinkTest, EverythingMayComeByteByByte) {
  server_.on_startup = [](ScriptedServer::Session& session) {
    session.pace = 1;
    session.Send(Welcome());
  };
  ASSERT_EQ(Asked(Answer(PrimaryCells()), false, 1), Stage::kDone) << client_.failure().error;
  EXPECT_TRUE(ParseReply(client_.link().Answer(), 150020).ok());
}

TEST_F(LibpqLinkTest, NoRowsIsAnAnswerToo) {
  ASSERT_EQ(Asked(RowDescription(24) + CommandComplete("SELECT 0") + ReadyForQuery()),
            Stage::kDone);
  EXPECT_EQ(client_.link().Answer().rows(), 0u);
  EXPECT_EQ(client_.link().Answer().columns(), 0u);
}

TEST_F(LibpqLinkTest, WhatAServerSaysUnaskedIsPassedOver) {
  const std::string chatter = NoticeResponse("look at me") +
                              ParameterStatus("application_name", "other") +
                              NotificationResponse("channel", "payload");
  const std::string answer = chatter + RowDescription(1) + chatter + DataRow({"x"}) + chatter +
                             CommandComplete("SELECT 1") + chatter + ReadyForQuery() + chatter;
  testing::internal::CaptureStderr();
  EXPECT_EQ(Asked(answer), Stage::kDone);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "") << "that is the server's log";
  ASSERT_EQ(client_.link().Answer().rows(), 1u);
  EXPECT_EQ(client_.link().Answer().Cell(0, 0), "x");

  client_.Ask();
  EXPECT_EQ(Ended(), Stage::kDone) << "the connection is of use still";
}

TEST_F(LibpqLinkTest, NoticesWhileConnectingAreNotPrinted) {
  server_.on_startup = [](ScriptedServer::Session& session) {
    session.Send(AuthenticationOk() + NoticeResponse("welcome") + ReadyForQuery());
  };
  testing::internal::CaptureStderr();
  client_.Open(Here());
  EXPECT_EQ(Ended(), Stage::kDone);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST_F(LibpqLinkTest, WarningsOfTheLoginAreKept) {
  const std::string expires = LoginWarningResponse(
      "role password will expire soon", "The password for role \"m\" will expire.\nNow.");
  server_.on_startup = [&](ScriptedServer::Session& session) {
    std::string all = AuthenticationOk() + NoticeResponse("welcome") + expires;
    for (int i = 0; i < 1000; ++i) all += LoginWarningResponse(std::string(3000, 'x'), "");
    session.Send(session.number == 0 ? all + ReadyForQuery()
                                     : AuthenticationOk() + ReadyForQuery());
  };
  client_.Open(Here());
  ASSERT_EQ(Ended(), Stage::kDone);
  std::vector<LoginWarning> warnings = client_.link().warnings();
  ASSERT_EQ(warnings.size(), kMaxLoginWarnings);
  EXPECT_EQ(warnings[0].text, "role password will expire soon");
  EXPECT_EQ(warnings[0].detail, "The password for role \"m\" will expire.");
  EXPECT_EQ(warnings[1].text.size(), 500u);
  EXPECT_EQ(warnings[1].detail, "");

  client_.Open(Here());
  ASSERT_EQ(Ended(), Stage::kDone);
  EXPECT_TRUE(client_.link().warnings().empty()) << "those were of the connection before";
}

TEST_F(LibpqLinkTest, WarningsOfALaterTimeAreNotOfTheLogin) {
  const std::string late = LoginWarningResponse("there is no transaction in progress", "");
  EXPECT_EQ(Asked(late + Answer(PrimaryCells()) + late), Stage::kDone);
  EXPECT_TRUE(client_.link().warnings().empty());
}

TEST_F(LibpqLinkTest, WhatTheServerDoesNotHaveIsToldApart) {
  for (const char* state : {"42P01", "42703", "42883"}) {
    SCOPED_TRACE(state);
    ASSERT_EQ(Asked(ErrorResponse("ERROR", state, "no such thing") + ReadyForQuery()),
              Stage::kFailed);
    EXPECT_TRUE(client_.failure().absent);
    EXPECT_EQ(client_.failure().outcome, Outcome::kRejected);
    EXPECT_EQ(client_.failure().error, "no such thing");
    server_.on_query = [](ScriptedServer::Session& session) {
      session.Send(Answer(PrimaryCells()));
    };
    client_.Ask();
    EXPECT_EQ(Ended(), Stage::kDone) << "another question may be asked";
    EXPECT_FALSE(client_.failure().absent && client_.stage() == Stage::kFailed);
  }
  EXPECT_EQ(Asked(ErrorResponse("FATAL", "42P01", "no such thing")), Stage::kFailed);
  EXPECT_FALSE(client_.failure().absent);
  EXPECT_EQ(Asked(ErrorResponse("ERROR", "42501", "no") + ReadyForQuery()), Stage::kFailed);
  EXPECT_FALSE(client_.failure().absent);
}

TEST_F(LibpqLinkTest, OneConnectionServesManyQuestions) {
  ASSERT_EQ(Asked(Answer(PrimaryCells())), Stage::kDone);
  for (int i = 0; i < 20; ++i) {
    client_.Ask();
    ASSERT_EQ(Ended(), Stage::kDone);
    EXPECT_EQ(client_.link().Answer().rows(), 1u) << "the rows before are forgotten";
  }
  EXPECT_EQ(server_.session(0).queries, 21u);
  EXPECT_EQ(server_.sessions().size(), 1u);
}

// ---- the question is prepared once for each connection, where that is wanted

class PreparingTest : public LibpqLinkTest {
 protected:
  // Asked once in plain words, as the first time always; then it is to be prepared, and these bytes
  // are the answer to that.
  Stage Prepared(const std::string& bytes) {
    EXPECT_EQ(Asked(Answer({"plain"})), Stage::kDone);
    EXPECT_EQ(LastQuery(), "SELECT 1");
    client_.link().Prepare();
    return AskedAgain(bytes);
  }
  Stage AskedAgain(const std::string& bytes) {
    server_.on_query = [=](ScriptedServer::Session& session) { session.Send(bytes); };
    client_.Ask();
    return Ended();
  }
  const std::string& LastQuery() const { return server_.sessions().back()->query; }

  const std::string kPrepare = "PREPARE pg_status_probe AS SELECT 1; EXECUTE pg_status_probe";
  const std::string kExecute = "EXECUTE pg_status_probe";
};

TEST_F(PreparingTest, ThenItIsExecutedOnly) {
  ASSERT_EQ(Prepared(CommandComplete("PREPARE") + Answer({"first"})), Stage::kDone);
  EXPECT_EQ(LastQuery(), kPrepare);
  EXPECT_EQ(client_.link().Answer().Cell(0, 0), "first");
  for (int i = 0; i < 3; ++i) {
    client_.link().Prepare();  // is said after each answer, and changes nothing
    ASSERT_EQ(AskedAgain(Answer({"then"})), Stage::kDone);
    EXPECT_EQ(LastQuery(), kExecute);
    EXPECT_EQ(client_.link().Answer().Cell(0, 0), "then");
  }
}

TEST_F(PreparingTest, NewConnectionBeginsInPlainWords) {
  ASSERT_EQ(Prepared(CommandComplete("PREPARE") + Answer({"first"})), Stage::kDone);
  ASSERT_EQ(Asked(Answer({"plain"})), Stage::kDone);
  EXPECT_EQ(LastQuery(), "SELECT 1");
}

TEST_F(PreparingTest, WhatWasCancelledBehindItsPrepareIsExecuted) {
  Prepared(CommandComplete("PREPARE") + ErrorResponse("ERROR", "57014", "why") + ReadyForQuery());
  ExpectFailure(Outcome::kCancelled);
  ASSERT_EQ(AskedAgain(Answer({"x"})), Stage::kDone);
  EXPECT_EQ(LastQuery(), kExecute);
}

TEST_F(PreparingTest, WhatWasCancelledBeforeIsPreparedAgain) {
  Prepared(ErrorResponse("ERROR", "57014", "why") + ReadyForQuery());
  ExpectFailure(Outcome::kCancelled);
  ASSERT_EQ(AskedAgain(CommandComplete("PREPARE") + Answer({"x"})), Stage::kDone);
  EXPECT_EQ(LastQuery(), kPrepare);
}

TEST_F(PreparingTest, WhatCannotBePreparedIsAskedInPlainWordsFromThenOn) {
  for (const char* state : {"26000", "42P05", "0A000"}) {
    SCOPED_TRACE(state);
    const std::string error = ErrorResponse("ERROR", state, "why") + ReadyForQuery();
    Prepared(error);
    ExpectFailure(Outcome::kCancelled);
    for (int i = 0; i < 2; ++i) {
      client_.link().Prepare();
      ASSERT_EQ(AskedAgain(Answer({"x"})), Stage::kDone);
      EXPECT_EQ(LastQuery(), "SELECT 1");
    }
    AskedAgain(error);
    ExpectFailure(Outcome::kRejected);
  }
}

TEST_F(PreparingTest, EndBehindThePrepareIsToldApart) {
  Prepared(CommandComplete("PREPARE") + ErrorResponse("FATAL", "57P01", "terminating"));
  ExpectFailure(Outcome::kTerminated);
}

TEST_F(PreparingTest, MoreCommandsThanWereSentAreNoAnswer) {
  Prepared(CommandComplete("PREPARE") + CommandComplete("SET"));
  ExpectFailure(Outcome::kGarbled);
}

// ---- bad answers

TEST_F(LibpqLinkTest, EndsAndErrorsAreToldApart) {
  const std::string rows = RowDescription(1) + DataRow({"x"});
  const struct {
    const char* name;
    std::string bytes;
    bool then_end;
    Outcome outcome;
  } cases[] = {
      {"end without a word", "", true, Outcome::kClosed},
      {"end within a row", rows.substr(0, rows.size() - 1), true, Outcome::kClosed},
      {"end between rows", rows, true, Outcome::kClosed},
      {"terminated", ErrorResponse("FATAL", "57P01", "terminating connection"), true,
       Outcome::kTerminated},
      {"terminated within the rows", rows + ErrorResponse("FATAL", "57P01", "terminating"), true,
       Outcome::kTerminated},
      {"terminated, connection still there", ErrorResponse("FATAL", "57P01", "terminating"), false,
       Outcome::kTerminated},
      {"crash of another backend", ErrorResponse("WARNING", "57P02", "crash shutdown"), true,
       Outcome::kClosed},
      {"database dropped", ErrorResponse("FATAL", "57P04", "dropped"), true, Outcome::kRejected},
      {"query cancelled", ErrorResponse("ERROR", "57014", "statement timeout") + ReadyForQuery(),
       false, Outcome::kCancelled},
      {"in the way of recovery", ErrorResponse("ERROR", "40001", "conflict") + ReadyForQuery(),
       false, Outcome::kCancelled},
      {"victim of a deadlock", ErrorResponse("ERROR", "40P01", "deadlock") + ReadyForQuery(), false,
       Outcome::kCancelled},
      {"in the way of recovery, terminated", ErrorResponse("FATAL", "40001", "conflict"), true,
       Outcome::kTerminated},
      {"idle for too long", ErrorResponse("FATAL", "57P05", "idle"), true, Outcome::kTerminated},
      {"cancelled and ended", ErrorResponse("FATAL", "57014", "lock"), true, Outcome::kRejected},
      {"cancelled, and then the end", ErrorResponse("ERROR", "57014", "why"), true,
       Outcome::kClosed},
      {"no such function", ErrorResponse("ERROR", "42883", "no function") + ReadyForQuery(), false,
       Outcome::kRejected},
      {"error after rows", rows + ErrorResponse("ERROR", "22012", "zero") + ReadyForQuery(), false,
       Outcome::kRejected},
      {"copy", CopyOutResponse() + Message('d', "x") + Message('c', ""), false, Outcome::kGarbled},
      {"copy in", Message('G', std::string("\0", 1) + Int16(0)), false, Outcome::kGarbled},
      {"command without rows", CommandComplete("SET") + ReadyForQuery(), false, Outcome::kGarbled},
      {"empty query", Message('I', "") + ReadyForQuery(), false, Outcome::kGarbled},
  };
  for (const auto& row : cases) {
    SCOPED_TRACE(row.name);
    Asked(row.bytes, row.then_end);
    ExpectFailure(row.outcome);
  }
}

TEST_F(LibpqLinkTest, CancelledQueryMayBeAskedAgain) {
  Asked(
      RowDescription(1) + DataRow({"x"}) + ErrorResponse("ERROR", "57014", "why") + ReadyForQuery(),
      false, 1);
  ExpectFailure(Outcome::kCancelled);
  server_.on_query = [](ScriptedServer::Session& session) { session.Send(Answer({"y"})); };
  client_.Ask();
  ASSERT_EQ(Ended(), Stage::kDone) << client_.failure().error;
  ASSERT_EQ(client_.link().Answer().rows(), 1u);
  EXPECT_EQ(client_.link().Answer().Cell(0, 0), "y");
  EXPECT_EQ(server_.sessions().size(), 1u);
}

TEST_F(PreparingTest, AfterADenialAnotherQuestionMayBePut) {
  const std::string denied = ErrorResponse("ERROR", "42501", "denied") + ReadyForQuery();
  Prepared(CommandComplete("PREPARE") + denied);
  ExpectFailure(Outcome::kRejected);
  EXPECT_TRUE(client_.failure().denied);
  client_.link().Prepare();
  ASSERT_EQ(AskedAgain(Answer({"x"})), Stage::kDone);
  EXPECT_EQ(LastQuery(), "SELECT 1") << "not what was prepared";
  AskedAgain(ErrorResponse("ERROR", "42883", "no such function") + ReadyForQuery());
  EXPECT_FALSE(client_.failure().denied);
}

TEST_F(LibpqLinkTest, ErrorShowsTheServersWordsOnly) {
  Asked(ErrorResponse("ERROR", "42501", "permission denied\nsecond line") + ReadyForQuery());
  ExpectFailure(Outcome::kRejected);
  EXPECT_EQ(client_.failure().error, "permission denied");
}

TEST_F(LibpqLinkTest, LongErrorOfAQueryIsCut) {
  Asked(ErrorResponse("ERROR", "42501", std::string(1 << 20, 'x')) + ReadyForQuery());
  ExpectFailure(Outcome::kRejected);
}

TEST_F(LibpqLinkTest, RowsAreBounded) {
  std::string many = RowDescription(1);
  for (int i = 0; i < 2001; ++i) many += DataRow({"x"});
  Asked(many);  // and no end of it
  ExpectFailure(Outcome::kGarbled);
}

TEST_F(LibpqLinkTest, AsManyRowsAsAServerMayHaveAreRead) {
  const std::vector<Cells> rows(1000, WithSender(PrimaryCells(), "standby"));
  ASSERT_EQ(Asked(Table(rows) + ReadyForQuery()), Stage::kDone) << client_.failure().error;
  EXPECT_EQ(client_.link().Answer().rows(), 1000u);
}

TEST_F(LibpqLinkTest, BytesOfAnAnswerAreBounded) {
  std::string many = RowDescription(1);
  for (int i = 0; i < 40; ++i) many += DataRow({std::string(1 << 20, 'x')});
  Asked(many);
  ExpectFailure(Outcome::kGarbled);
}

TEST_F(LibpqLinkTest, GarbageInPlaceOfAnAnswerFails) {
  const std::string garbage[] = {
      "HTTP/1.1 400 Bad Request\r\n\r\n",
      std::string(100000, '\xFF'),
      std::string(100000, '\0'),
      "D",
      Message('D', "x"),
      Message('D', Int16(3) + Int32(1)),
      RowDescription(1) + Message('D', Int16(1) + Int32(1000) + "x"),
      RowDescription(1) + Message('D', Int16(2) + Int32(0) + Int32(0)),
      Message('T', Int16(0xFFFF)),
      "T" + Int32(0xFFFFFFFF),
      "D" + Int32(0),
      "Z" + Int32(3),
      Message('E', ""),
      Message('?', "what"),
  };
  for (const std::string& bytes : garbage) {
    SCOPED_TRACE(bytes.substr(0, 20));
    Asked(bytes, true);
    EXPECT_EQ(client_.stage(), Stage::kFailed);
    EXPECT_NE(client_.failure().outcome, Outcome::kOk);
    EXPECT_NE(client_.failure().outcome, Outcome::kRefused);
    EXPECT_LE(client_.failure().error.size(), 500u);
  }
}

TEST_F(LibpqLinkTest, RowsOfDifferentWidthsDoNotReachBeyondTheirEnds) {
  ASSERT_EQ(
      Asked(RowDescription(3) + DataRow({"a", "b", "c"}) + CommandComplete("SELECT 1") +
            RowDescription(1) + DataRow({"d"}) + CommandComplete("SELECT 1") + ReadyForQuery()),
      Stage::kDone);
  const Rows& rows = client_.link().Answer();
  ASSERT_EQ(rows.rows(), 2u);
  EXPECT_EQ(rows.Cell(0, 2), "c");
  EXPECT_EQ(rows.Cell(1, 0), "d");
  EXPECT_EQ(rows.Cell(1, 2), std::nullopt);
}

// ---- sending

// Larger than all buffers on the way, to a server that complains before it reads.
TEST_F(LibpqLinkTest, ServerMaySpeakWhileTheQueryIsBeingSent) {
  Connect();
  server_.session(0).deaf = true;
  client_.Ask("SELECT '" + std::string(32 << 20, 'x') + "'");
  ASSERT_EQ(client_.stage(), Stage::kSending);
  server_.session(0).Send(ErrorResponse("ERROR", "53200", "out of memory") + ReadyForQuery());
  ASSERT_TRUE(Run([&] { return server_.session(0).out.empty(); }));
  RunFor({&server_, &client_}, 50);
  ASSERT_EQ(client_.stage(), Stage::kSending);
  server_.session(0).deaf = false;
  server_.on_query = [](ScriptedServer::Session& session) { session.End(); };
  EXPECT_EQ(Ended(), Stage::kFailed);
  ExpectFailure(Outcome::kRejected);
}

TEST_F(LibpqLinkTest, ConnectionThatEndsWhileSendingIsClosed) {
  Connect();
  server_.session(0).deaf = true;
  client_.Ask("SELECT '" + std::string(32 << 20, 'x') + "'");
  server_.EndSessions();
  EXPECT_EQ(Ended(), Stage::kFailed);
  ExpectFailure(Outcome::kClosed);
}

// A session may be ended before its first query is read: the server's last words and the end are
// there before we have begun to ask.
TEST_F(LibpqLinkTest, LastWordsBeforeTheQuestionAreHeard) {
  for (const bool in_one_piece : {true, false}) {
    server_.on_startup = [&](ScriptedServer::Session& session) {
      const std::string last = ErrorResponse("FATAL", "57P01", "terminating connection");
      session.Send(in_one_piece ? Welcome() + last : Welcome());
      session.End();
    };
    if (!in_one_piece) {
      server_.on_startup = [](ScriptedServer::Session& session) { session.Send(Welcome()); };
    }
    Connect();
    ASSERT_FALSE(HasFatalFailure());
    ScriptedServer::Session& session = *server_.sessions().back();
    if (!in_one_piece) {
      session.Send(ErrorResponse("FATAL", "57P01", "terminating connection"));
      session.End();
    }
    ASSERT_TRUE(RunUntil({&server_}, [&] { return !session.open(); }));
    client_.Ask("SELECT '" + std::string(1 << 20, 'x') + "'");  // also when it cannot be sent
    EXPECT_EQ(Ended(), Stage::kFailed);
    ExpectFailure(Outcome::kTerminated);
  }
}

// ---- at rest

// Watches a connected link that nothing is asked of.
class RestingPart : public Part {
 public:
  explicit RestingPart(Link& link) : link_(link) {}
  bool there() const { return there_; }

  void Watch(std::vector<pollfd>& fds) override {
    if (there_) fds.push_back({link_.socket(), POLLIN, 0});
  }
  void Step() override {
    pollfd ready{link_.socket(), POLLIN, 0};
    if (there_ && poll(&ready, 1, 0) > 0) there_ = link_.StillThere();
  }

 private:
  Link& link_;
  bool there_ = true;
};

class RestingLinkTest : public LibpqLinkTest {
 protected:
  bool EndIsNoticed() {
    RestingPart resting(client_.link());
    return RunUntil({&server_, &resting}, [&] { return !resting.there(); });
  }
  // All that was sent has been looked at.
  bool StaysThere() {
    RestingPart resting(client_.link());
    RunUntil({&server_, &resting}, [&] { return server_.session(0).out.empty(); });
    RunFor({&server_, &resting}, 30);
    return resting.there();
  }
};

TEST_F(RestingLinkTest, SilentConnectionIsThere) {
  Connect();
  EXPECT_TRUE(client_.link().StillThere());
  EXPECT_TRUE(client_.link().StillThere());
}

TEST_F(RestingLinkTest, ConnectionThatGetsNewsIsThere) {
  Connect();
  server_.session(0).Send(ParameterStatus("in_hot_standby", "off") + NoticeResponse("hello") +
                          NotificationResponse("channel", "payload"));
  testing::internal::CaptureStderr();
  EXPECT_TRUE(StaysThere());
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  server_.on_query = [](ScriptedServer::Session& session) { session.Send(Answer({"x"})); };
  client_.Ask();
  EXPECT_EQ(Ended(), Stage::kDone);
}

TEST_F(RestingLinkTest, EndOfTheConnectionIsNoticed) {
  Connect();
  server_.session(0).End();
  EXPECT_TRUE(EndIsNoticed());
}

TEST_F(RestingLinkTest, TerminationIsNoticed) {
  Connect();
  server_.session(0).Send(ErrorResponse("FATAL", "57P01", "terminating connection"));
  server_.session(0).End();
  testing::internal::CaptureStderr();
  EXPECT_TRUE(EndIsNoticed());
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST_F(RestingLinkTest, GarbageAtRestDoesNoHarm) {
  Connect();
  server_.session(0).Send(std::string(100000, '\xFF'));
  server_.session(0).End();
  EXPECT_TRUE(EndIsNoticed());
}

TEST_F(RestingLinkTest, AskingOnADeadConnectionIsClosed) {
  Connect();
  server_.EndSessions();
  client_.Ask();
  EXPECT_EQ(Ended(), Stage::kFailed);
  ExpectFailure(Outcome::kClosed);
}

}  // namespace
}  // namespace pg_status
