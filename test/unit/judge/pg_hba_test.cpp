// The line that is missing in a pg_hba.conf, from the server's complaint.
#include "judge/pg_hba.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "judge/scene.hpp"

namespace pg_status {
namespace {

TEST(PgHba, TheMissingLineIsMadeOfTheComplaint) {
  const struct {
    const char* error;
    const char* line;
  } cases[] = {
      {"FATAL:  no pg_hba.conf entry for host \"127.0.0.1\", user \"monitor\", database "
       "\"postgres\", no encryption",
       "host postgres monitor 127.0.0.1/32 scram-sha-256"},
      {"FATAL:  kein pg_hba.conf-Eintrag für Host »10.0.0.2«", ""},
      {"FATAL:  kein pg_hba.conf-Eintrag für Host »10.0.0.2«, Benutzer »m«, Datenbank »p«, keine "
       "Verschlüsselung",
       "host p m 10.0.0.2/32 scram-sha-256"},
      {"no hay una línea en pg_hba.conf para «10.0.0.2», usuario «m», base de datos «p», sin "
       "cifrado",
       "host p m 10.0.0.2/32 scram-sha-256"},
      {"aucune entrée dans pg_hba.conf pour l'hôte « 10.0.0.2 », utilisateur « m », base de "
       "données « p », aucun chiffrement",
       "host p m 10.0.0.2/32 scram-sha-256"},
      {"kein pg_hba.conf-Eintrag für Host »10.0.0.2«, Benutzer »m«, Datenbank »p", ""},
      {"pg_hba.conf rejects connection for host \"2001:db8::1\", user \"m\", database \"p\"",
       "host p m 2001:db8::1/128 scram-sha-256"},
      {"no pg_hba.conf entry for host \"[local]\", user \"m\", database \"p\"",
       "local p m scram-sha-256"},
      {"password authentication failed for user \"monitor\"", ""},
      {"no entry for host \"10.0.0.2\", user \"m\", database \"p\"", ""},
      {"no pg_hba.conf entry for host \"10.0.0.2\", user \"m x\", database \"p\"", ""},
      {"no pg_hba.conf entry for host \"10.0.0.2\", user \"m\", database \"p", ""},
      {"no pg_hba.conf entry for host \"evil\nline\", user \"m\", database \"p\"", ""},
      // what would have to be quoted there is left to who knows its rules
      {"no pg_hba.conf entry for host \"10.0.0.2\", user \"Mon\", database \"p\"", ""},
      {"no pg_hba.conf entry for host \"10.0.0.2\", user \"m{\", database \"p\"", ""},
      {"no pg_hba.conf entry for host \"10.0.0.2\", user \"m:\", database \"p\"", ""},
      {"no pg_hba.conf entry for host \"10.0.0.2\", user \"m_2\", database \"p9\"",
       "host p9 m_2 10.0.0.2/32 scram-sha-256"},
      {"no pg_hba.conf entry for host \"10.0.0.2\", user \"m\", database \"\"", ""},
      {"pg_hba.conf", ""},
      {"", ""},
  };
  for (const auto& row : cases) EXPECT_EQ(MissingPgHbaLine(row.error), row.line) << row.error;
}

TEST(PgHba, IsToldOnceWithTheHostThatGoesDown) {
  Scene scene(2);
  const char* const error =
      "no pg_hba.conf entry for host \"127.0.0.1\", user \"m\", database \"p\"";
  int told = 0;
  for (int ms = 1000; ms < 9000; ms += 1000) {
    const ClusterVerdict before = scene.cluster;
    scene.See(0, Failure(Outcome::kRejected, ms, error));
    for (const LogLine& line : DescribeChanges(before, scene.cluster, scene.entries, false)) {
      if (line.hint.empty()) continue;
      ++told;
      EXPECT_EQ(line.level, LogLine::Level::kWarning);
      EXPECT_EQ(line.hint,
                "Add this line to pg_hba.conf there, and reload: host p m 127.0.0.1/32 "
                "scram-sha-256");
    }
  }
  EXPECT_EQ(told, 1);
}

}  // namespace
}  // namespace pg_status
