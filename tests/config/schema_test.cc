#include "config/schema.h"

#include <algorithm>

#include "tests/support/catch.h"

namespace schema_test {

using namespace postern::config;

TEST_CASE("schema: every option has a help text, and a default or an example") {
  Settings settings;
  settings.certificates["mx"] = {{"chain.pem", "chain.key"}};
  settings.inbound.emplace_back().name = "mx";
  settings.outbound.emplace_back().name = "internet";
  settings.outbound.back().policies.emplace_back();
  const auto is_one_of = [](const std::string& path, const std::vector<std::string>& paths) {
    return std::ranges::find(paths, path) != paths.end();
  };
  for (const Option& option : list_options(settings)) {
    INFO(option.path);
    const bool is_name = is_one_of(option.path, {"inbound.mx", "outbound.internet", "certificates.mx"});
    CHECK(option.help.empty() == is_name);
    const bool always_given =
        is_one_of(option.path, {"inbound.mx.listen", "inbound.mx.backend.address", "outbound.internet.listen",
                                "outbound.internet.policies[0].match"});
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

TEST_CASE("schema: what an outbound listener has is listed, and what it lacks is marked as absent") {
  Settings settings;
  OutboundListener& listener = settings.outbound.emplace_back();
  listener.name = "internet";
  listener.source = OutboundSource::address;
  listener.source_address = parse_ip_address("2001:db8::1").value();
  listener.level = TlsLevel::dane_only;
  listener.policies.resize(2);
  listener.policies[1].level = TlsLevel::secure;
  settings.dns.recursive = true;
  const auto listed = [&](const std::string& path) {
    const auto options = list_options(settings);
    REQUIRE(std::ranges::count(options, path, &Option::path) == 1);
    return *std::ranges::find(options, path, &Option::path);
  };
  CHECK(listed("outbound.internet.source").value == "2001:db8::1");
  CHECK(listed("outbound.internet.level").value == "dane-only");
  CHECK(listed("outbound.internet.allow_clients").value == "[127.0.0.0/8, \"::1/128\"]");
  CHECK(listed("outbound.internet.policies[0].level").value.empty());
  CHECK(listed("outbound.internet.policies[1].level").value == "secure");
  CHECK(listed("dns.servers").value == "recursive");
  CHECK(listed("outbound.internet.relay.mode").absent);
  CHECK(listed("outbound.internet.relay.auth.mechanism").absent);
  CHECK_FALSE(listed("outbound.internet.route").absent);
  listener.relay.address = parse_endpoint("smtp.example.com:587").value();
  CHECK_FALSE(listed("outbound.internet.relay.mode").absent);
  CHECK(listed("outbound.internet.relay.auth.mechanism").absent);
}

TEST_CASE("schema: a reload tells which changes need a restart") {
  Settings before, after;
  CHECK(changes_that_need_restart(before, after).empty());
  after.workers = 3;
  after.user = "postern";
  after.hostname = "mail.example.org";
  after.inbound.emplace_back().name = "mx";
  after.outbound.emplace_back().name = "internet";
  CHECK(changes_that_need_restart(before, after) == std::vector<std::string>{"workers", "user"});
  after = before;
  after.dns.recursive = true;
  after.state_directory = "/var/lib/postern";
  CHECK(changes_that_need_restart(before, after) == std::vector<std::string>{"state_directory"});
}

TEST_CASE("schema: a reload tells by key what has changed, and of a listener that comes or goes its name alone") {
  Settings before, after;
  CHECK(changed_options(before, after).empty());
  before.inbound.emplace_back().name = "mx";
  before.inbound.emplace_back().name = "old";
  after.inbound.emplace_back().name = "mx";
  after.inbound[0].timeouts.command = std::chrono::minutes(1);
  after.inbound.emplace_back().name = "mx2";
  after.hostname = "mail.example.org";
  CHECK(changed_options(before, after) ==
        std::vector<std::string>{"hostname", "inbound.mx.timeouts.command", "inbound.mx2", "inbound.old"});
}

}  // namespace schema_test
