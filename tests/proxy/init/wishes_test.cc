#include "proxy/init/wishes.h"

#include <set>

#include "tests/support/catch.h"

namespace postern::init {
namespace wishes_test {

Result<Wishes> said(config::Variables variables) {
  return wishes_of(config::environment_of(std::move(variables)));
}

TEST_CASE("init: the environment says what options would") {
  const auto wishes = said({{"POSTERN_BACKEND", " exec /bin/x  -y "},
                            {"POSTERN_DOMAINS", "example.org, example.net"},
                            {"POSTERN_CHAIN", "/run/secrets/a.pem, /run/b.pem"},
                            {"POSTERN_KEY", "/run/a.key /run/b.key"},
                            {"POSTERN_SUBMISSION", "Yes"},
                            {"POSTERN_HOSTNAME", ""}});
  REQUIRE(wishes);
  CHECK(wishes->words(Wish::backend) == std::vector<std::string>{"exec", "/bin/x", "-y"});
  CHECK(wishes->words(Wish::domains) == std::vector<std::string>{"example.org", "example.net"});
  CHECK(wishes->words(Wish::certificate) ==
        std::vector<std::string>{"/run/secrets/a.pem", "/run/a.key", "/run/b.pem", "/run/b.key"});
  CHECK(wishes->says_yes(Wish::submission));
  CHECK_FALSE(wishes->has(Wish::hostname));
  CHECK(wishes->name_of(Wish::certificate) == "POSTERN_CHAIN and POSTERN_KEY");
}

TEST_CASE("init: a chain without its key in the environment is an error, and the other way round") {
  CHECK_FALSE(said({{"POSTERN_CHAIN", "/a"}}).has_value());
  CHECK_FALSE(said({{"POSTERN_KEY", "/a"}, {"POSTERN_CHAIN", ""}}).has_value());
}

TEST_CASE("init: every wish has one option and one variable of its own") {
  std::set<std::string_view> names;
  for (const WishRow& row : wish_rows()) {
    CHECK(names.insert(row.option).second);
    CHECK(names.insert(row.variable).second);
    CHECK(row.option.starts_with("--"));
    CHECK(row.variable.starts_with("POSTERN_"));
  }
}

}  // namespace wishes_test
}  // namespace postern::init
