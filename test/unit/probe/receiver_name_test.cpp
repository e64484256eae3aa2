// The name of a WAL receiver, from connection strings as PostgreSQL shows them.
#include "probe/receiver_name.hpp"

#include <optional>
#include <string>

#include <gtest/gtest.h>

namespace pg_status {
namespace {

TEST(ReceiverName, IsTheOneThatTheConnectionUses) {
  const std::string start = "user=repl passfile=/var/lib/.pgpass channel_binding=prefer ";
  const std::string place = "dbname=replication host=127.0.0.1 port=5432 ";
  const std::string end = " sslmode=prefer sslcompression=0 target_session_attrs=any";
  const struct {
    std::string options;
    std::optional<std::string> name;
  } rows[] = {
      {"application_name=db2 fallback_application_name=walreceiver", "db2"},
      {"fallback_application_name=walreceiver", "walreceiver"},
      {"application_name=the second server fallback_application_name=walreceiver",
       "the second server"},
      {"application_name=a=b fallback_application_name=walreceiver", "a=b"},
      {"options=-c wal_sender_timeout=5s application_name=db2 "
       "fallback_application_name=walreceiver",
       "db2"},
      // the server prefers what libpq sends
      {"options=-c application_name=x fallback_application_name=walreceiver", "walreceiver"},
      {"options=-c application_name=x application_name=y fallback_application_name=walreceiver",
       "y"},
      {"options=-capplication_name=x fallback_application_name=walreceiver", "walreceiver"},
      // a value that looks like an option
      {"application_name=x application_name=y fallback_application_name=walreceiver", std::nullopt},
      {"application_name=x fallback_application_name=walreceiver"
       " fallback_application_name=walreceiver",
       std::nullopt},
      // the name of another receiver than PostgreSQL's, or a text that was cut
      {"application_name=db2 fallback_application_name=main", std::nullopt},
      {"application_name=db2", std::nullopt},
      {"", std::nullopt},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(ReceiverName(start + place + row.options + end, "walreceiver"), row.name)
        << row.options;
  }
  EXPECT_EQ(ReceiverName("", "walreceiver"), std::nullopt);
  EXPECT_EQ(ReceiverName("fallback_application_name=walreceiver", "walreceiver"), "walreceiver");
}

TEST(ReceiverName, FallsBackToTheNameOfTheCluster) {
  EXPECT_EQ(ReceiverName("port=1 fallback_application_name=15/main sslmode=prefer", "15/main"),
            "15/main");
  EXPECT_EQ(ReceiverName("application_name=db2 fallback_application_name=15/main", "15/main"),
            "db2");
}

// As PostgreSQL cuts it.
TEST(ReceiverName, IsCut) {
  const std::string name(80, 'x');
  EXPECT_EQ(ReceiverName("application_name=" + name + " fallback_application_name=walreceiver",
                         "walreceiver"),
            std::string(63, 'x'));
  EXPECT_EQ(ReceiverName("fallback_application_name=" + name, name), std::string(63, 'x'));
}

}  // namespace
}  // namespace pg_status
