#include "config/schema.h"

#include <algorithm>

#include "tests/support/catch.h"

namespace schema_test {

using namespace postern::config;

TEST_CASE("schema: every option has a help text, and a default or an example") {
  Settings settings;
  settings.certificates["mx"] = {{"chain.pem", "chain.key"}};
  settings.inbound.emplace_back().name = "mx";
  for (const Option& option : list_options(settings)) {
    INFO(option.path);
    const bool is_name = option.path == "inbound.mx" || option.path == "certificates.mx";
    CHECK(option.help.empty() == is_name);
    const bool always_given = option.path == "inbound.mx.listen" || option.path == "inbound.mx.certificates" ||
                              option.path == "inbound.mx.backend.address";
    if (!option.is_section() && !always_given) CHECK_FALSE((option.value + option.example).empty());
  }
}

TEST_CASE("schema: the options of a listener include its own TLS ones") {
  Settings settings;
  settings.inbound.emplace_back().name = "mx";
  const auto options = list_options(settings);
  const auto has = [&](const char* path) { return std::ranges::count(options, path, &Option::path) == 1; };
  CHECK(has("inbound.mx.min_version"));
  CHECK(has("inbound.mx.session_tickets.rotate"));
  CHECK(has("tls.session_tickets.rotate"));
  CHECK(has("workers"));
}

TEST_CASE("schema: a reload tells which changes need a restart") {
  Settings before, after;
  CHECK(changes_that_need_restart(before, after).empty());
  after.workers = 3;
  after.user = "postern";
  after.hostname = "mail.example.org";
  after.inbound.emplace_back().name = "mx";
  CHECK(changes_that_need_restart(before, after) == std::vector<std::string>{"workers", "user"});
}

}  // namespace schema_test
