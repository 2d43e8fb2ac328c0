#include "config/levels.h"

#include <set>
#include <string_view>

#include "tests/support/catch.h"

namespace levels_test {

using namespace postern::config;
using Dane = LevelRow::Dane;
using Proof = LevelRow::Proof;

TEST_CASE("levels: each has one row, and they are told apart by name and strength") {
  std::set<std::string_view> names;
  std::set<int> strengths;
  for (const LevelRow& row : levels()) {
    INFO(row.name);
    CHECK(&row_of(row.level) == &row);
    CHECK(to_string(row.level) == row.name);
    names.insert(row.name);
    strengths.insert(row.strength);
  }
  CHECK(names.size() == levels().size());
  CHECK(strengths.size() == levels().size());
}

TEST_CASE("levels: no row contradicts itself") {
  for (const LevelRow& row : levels()) {
    INFO(row.name);
    if (!row.uses_tls) CHECK_FALSE(row.encrypts);
    if (row.proof != Proof::nothing) CHECK(row.encrypts);
    if (row.dane == Dane::required) CHECK(row.encrypts);
    if (row.wants_dane()) CHECK(row.uses_tls);
  }
}

TEST_CASE("levels: of two the stronger is the one further down, whatever their order") {
  for (const LevelRow& row : levels()) {
    CHECK(stronger(row.level, TlsLevel::none) == row.level);
    CHECK(stronger(TlsLevel::none, row.level) == row.level);
    CHECK(stronger(row.level, TlsLevel::dane_only) == TlsLevel::dane_only);
    CHECK(stronger(row.level, row.level) == row.level);
  }
  CHECK(stronger(TlsLevel::encrypt, TlsLevel::verify) == TlsLevel::verify);
  CHECK(stronger(TlsLevel::secure, TlsLevel::verify) == TlsLevel::secure);
}

}  // namespace levels_test
