// What our sessions set for themselves, as text and on a link whose peer takes it or not.
#include "probe/session_settings.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "probe/link_scene.hpp"
#include "probe/messages.hpp"

namespace pg_status {
namespace {

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(SessionOptions, OursComeBehindTheirsAndWin) {
  const std::string options = SessionOptions("-c lock_timeout=7 -c geqo=off", 750, 0, "m");
  EXPECT_EQ(options.rfind("-c lock_timeout=7 -c geqo=off -c ", 0), 0u) << options;
  EXPECT_TRUE(Has(options, " -c lock_timeout=0 ")) << options;
  EXPECT_TRUE(Has(options, " -c statement_timeout=750 ")) << options;
  EXPECT_TRUE(Has(options, " -c pg_status_session.mark=m")) << options;
}

TEST(SessionOptions, NameOnlyWhatTheServerKnows) {
  const struct {
    int version;
    bool idle_session, transaction;
  } rows[] = {{0, false, false},     {130000, false, false}, {140000, true, false},
              {160004, true, false}, {170000, true, true},   {190000, true, true}};
  for (const auto& row : rows) {
    const std::string options = SessionOptions("", 1000, row.version, "m");
    EXPECT_EQ(Has(options, " idle_session_timeout=0"), row.idle_session) << row.version;
    EXPECT_EQ(Has(options, " transaction_timeout=0"), row.transaction) << row.version;
    EXPECT_EQ(options.rfind("-c ", 0), 0u);
  }
}

std::size_t Semicolons(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), ';'));
}

TEST(QuestionSettings, HoldForOneQuestionOnly) {
  for (const int version : {130000, 150000, 170000}) {
    const Statements statements = QuestionSettings(750, version);
    EXPECT_EQ(statements.count, Semicolons(statements.text));
    EXPECT_EQ(statements.text.rfind("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", 0), 0u);
    EXPECT_TRUE(Has(statements.text, "SET LOCAL statement_timeout = 750; "));
    EXPECT_FALSE(Has(statements.text, "idle"));
    EXPECT_EQ(Has(statements.text, "transaction_timeout"), version >= 170000);
    for (std::size_t at = statements.text.find("SET "); at != std::string::npos;
         at = statements.text.find("SET ", at + 1)) {
      const std::string kind = statements.text.substr(at + 4, 6);
      EXPECT_TRUE(kind == "TRANSA" || kind == "LOCAL ") << kind;
    }
  }
}

TEST(LateSettings, AreThoseThatTheStartupPacketCouldNotName) {
  EXPECT_EQ(LateSettings(0, 130000).count, 0u);
  EXPECT_EQ(LateSettings(0, 150000).text, "SET idle_session_timeout = 0; ");
  EXPECT_EQ(LateSettings(150000, 150000).count, 0u);
  EXPECT_EQ(LateSettings(150000, 170000).text, "SET transaction_timeout = 0; ");
  EXPECT_EQ(LateSettings(0, 190000).count, 2u);
}

// ---- on a link

class SettingsTest : public LibpqLinkTest {
 protected:
  SettingsTest() { Say(Answer({"x"})); }
  void Say(const std::string& bytes) {
    server_.on_query = [=](ScriptedServer::Session& session) { session.Send(bytes); };
  }
  // From now on whose startup packet has one of these words is refused so.
  void Refuse(const std::vector<std::string>& words, const std::string& state,
              const std::string& text) {
    server_.on_startup = [=](ScriptedServer::Session& session) {
      for (const std::string& word : words) {
        if (!Has(session.startup, word)) continue;
        session.Send(ErrorResponse("FATAL", state, text));
        session.End();
        return;
      }
      session.Send(Welcome());
    };
  }
  Stage Ask() {
    client_.Ask();
    return Ended();
  }
  const ScriptedServer::Session& Last() const { return *server_.sessions().back(); }
};

TEST_F(SettingsTest, GoWithTheFirstQuestionAndNotWithWhatIsPrepared) {
  Connect();
  ASSERT_EQ(Ask(), Stage::kDone);
  EXPECT_EQ(Last().settings, QuestionSettings(1000, 150020).text);
  EXPECT_EQ(Last().query, "SELECT 1");
  client_.link().Prepare();
  Say(CommandComplete("PREPARE") + Answer({"x"}));
  ASSERT_EQ(Ask(), Stage::kDone) << client_.failure().error;
  EXPECT_EQ(Last().settings, "SET idle_session_timeout = 0; ")
      << "the first connection does not know yet which server it meets";
  Say(Answer({"x"}));
  ASSERT_EQ(Ask(), Stage::kDone);
  EXPECT_EQ(Last().settings, "");
}

TEST_F(SettingsTest, VersionIsKnownToTheNextConnection) {
  Connect();
  Connect();
  EXPECT_TRUE(Has(Last().startup, "-c idle_session_timeout=0"));
  ASSERT_EQ(Ask(), Stage::kDone);
  client_.link().Prepare();
  Say(CommandComplete("PREPARE") + Answer({"x"}));
  ASSERT_EQ(Ask(), Stage::kDone);
  EXPECT_EQ(Last().settings, "");
}

TEST_F(SettingsTest, SessionIsToldByProcessAndMark) {
  Connect();
  const std::string first = client_.link().session();
  EXPECT_EQ(first.rfind("4711 ", 0), 0u) << first;
  EXPECT_TRUE(Has(Last().startup, "pg_status_session.mark=" + first.substr(5)));
  Connect();
  EXPECT_NE(client_.link().session(), first) << "each connection has a mark of its own";
}

TEST_F(SettingsTest, PoolerThatRefusesThemIsAskedWithoutAtOnceAndForSomeConnections) {
  Refuse({"options"}, "08P01", "unsupported startup parameter: options");
  Connect();
  EXPECT_EQ(server_.sessions().size(), 2u) << "refused, and asked again";
  EXPECT_EQ(client_.link().session(), "") << "whose it is cannot be told";
  ASSERT_EQ(Ask(), Stage::kDone);
  EXPECT_EQ(Last().settings, QuestionSettings(1000, 150020).text);
  for (std::size_t i = 1; i < 10; ++i) {
    Connect();
    EXPECT_EQ(server_.sessions().size(), 2 + i) << "the pooler's log has no line for this one";
  }
  Connect();
  EXPECT_EQ(server_.sessions().size(), 13u) << "it may have learned better";
}

TEST_F(SettingsTest, LinkLikeItKnowsThatTheyAreRefused) {
  Refuse({"options"}, "08P01", "unsupported startup parameter: options");
  Connect();
  LinkPart other(client_.link().Another());
  other.Open(Here());
  EXPECT_TRUE(RunUntil({&server_, &other}, [&] { return other.stage() == Stage::kDone; }));
  EXPECT_EQ(server_.sessions().size(), 3u);
}

TEST_F(SettingsTest, ReasonsThatAreNoneOfTheirsAreNotAskedAgain) {
  for (const char* state : {"28P01", "28000", "3D000", "53300", "57P03", "42501", "XX000"}) {
    SCOPED_TRACE(state);
    const std::size_t before = server_.sessions().size();
    Refuse({"user"}, state, "why");
    client_.Open(Here());
    EXPECT_EQ(Ended(), Stage::kFailed);
    EXPECT_EQ(server_.sessions().size(), before + 1);
  }
}

TEST_F(SettingsTest, ServerThatHasGoneBackToAnOlderVersionIsAskedForWhatItKnows) {
  Connect();
  Refuse({"idle_session_timeout"}, "42704", "unrecognized configuration parameter");
  Connect();
  EXPECT_TRUE(Has(Last().startup, "pg_status_session.mark"));
  EXPECT_NE(client_.link().session(), "");
}

TEST_F(SettingsTest, LoginThatATransactionTimeoutEndsIsTriedWithoutThat) {
  const auto ends = [](ScriptedServer::Session& session) {
    session.Send(
        ErrorResponse("FATAL", "25P04", "terminating connection due to transaction timeout"));
    session.End();
  };
  server_.on_startup = [=](ScriptedServer::Session& session) {
    if (!Has(session.startup, "-c transaction_timeout=0")) return ends(session);
    session.Send(Welcome());
  };
  Connect();
  EXPECT_EQ(server_.sessions().size(), 2u);

  server_.on_startup = ends;
  client_.Open(Here());
  EXPECT_EQ(Ended(), Stage::kFailed) << "whoever ends that one, too, lets nobody in";
  EXPECT_EQ(client_.failure().outcome, Outcome::kRejected);
}

TEST_F(SettingsTest, NoServerIsAskedForEverOneWayAndTheOther) {
  server_.on_startup = [](ScriptedServer::Session& session) {
    const bool more = Has(session.startup, "-c transaction_timeout=0");
    session.Send(ErrorResponse("FATAL", more ? "42704" : "25P04", "never"));
    session.End();
  };
  client_.Open(Here());
  EXPECT_EQ(Ended(), Stage::kFailed);
  EXPECT_EQ(server_.sessions().size(), 3u);
}

TEST_F(SettingsTest, WhatIsStillRefusedHasItsWayOutTold) {
  Refuse({"user"}, "08P01", "unsupported startup parameter: geqo");
  client_.Open(Here());
  EXPECT_EQ(Ended(), Stage::kFailed);
  EXPECT_EQ(client_.failure().outcome, Outcome::kRejected);
  EXPECT_TRUE(Has(client_.failure().error, "unsupported startup parameter: geqo"));
  EXPECT_TRUE(Has(client_.failure().error, "ignore_startup_parameters"));
  Refuse({"user"}, "08P01", "unsupported startup parameter: " + std::string(600, 'x'));
  client_.Open(Here());
  EXPECT_EQ(Ended(), Stage::kFailed);
  EXPECT_TRUE(Has(client_.failure().error, "ignore_startup_parameters"));
  EXPECT_LE(client_.failure().error.size(), 500u);
}

TEST_F(SettingsTest, NoneAreSentAtTheStartWhereConninfoSaysSo) {
  LinkPart client("user=monitor sslmode=disable options=''");
  client.Open(Here());
  ASSERT_TRUE(RunUntil({&server_, &client}, [&] { return client.stage() == Stage::kDone; }));
  EXPECT_FALSE(Has(Last().startup, "-c "));
  client.Ask();
  ASSERT_TRUE(RunUntil({&server_, &client}, [&] { return client.stage() == Stage::kDone; }));
  EXPECT_EQ(Last().settings, QuestionSettings(1000, 150020).text);
}

// Something that is no PostgreSQL may not know a setting.
TEST_F(SettingsTest, PeerThatDoesNotTakeThemIsAskedWithoutFromThenOn) {
  for (const char* state : {"42704", "0A000", "22023", "25001", "42601"}) {
    SCOPED_TRACE(state);
    const std::string error = ErrorResponse("ERROR", state, "no such setting") + ReadyForQuery();
    server_.obeys_settings = false;
    server_.on_query = [&](ScriptedServer::Session& session) {
      session.Send(session.settings.empty() ? Answer({"y"}) : error);
    };
    Connect();
    Ask();
    ExpectFailure(Outcome::kCancelled);  // to be asked again
    for (int i = 0; i < 2; ++i) {
      client_.link().Prepare();
      ASSERT_EQ(Ask(), Stage::kDone) << client_.failure().error;
      EXPECT_EQ(Last().settings, "");
      EXPECT_EQ(Last().query, "SELECT 1") << "nor is anything prepared there";
    }
  }
}

TEST_F(SettingsTest, ErrorOfTheQuestionItselfIsNotTheirs) {
  Say(ErrorResponse("ERROR", "42704", "why") + ReadyForQuery());
  Connect();
  Ask();
  ExpectFailure(Outcome::kRejected);
}

TEST_F(SettingsTest, SettingsThatAreTakenAndNoAnswerAreNone) {
  Say(ReadyForQuery());
  Connect();
  Ask();
  ExpectFailure(Outcome::kGarbled);
}

TEST_F(SettingsTest, TimeoutsOfTransactionsEndASessionAndTellNothingOfTheServer) {
  for (const char* state : {"25P03", "25P04"}) {
    Say(ErrorResponse("FATAL", state, "timeout"));
    Connect();
    Ask();
    ExpectFailure(Outcome::kTerminated);
  }
}

}  // namespace
}  // namespace pg_status
