#include "proxy/init/configuration.h"

#include <algorithm>
#include <random>

#include "config/load.h"
#include "proxy/init/next_steps.h"
#include "tests/proxy/init/machines.h"
#include "tests/support/catch.h"

namespace postern::init {
namespace configuration_test {

using machines::a_certificate;
using machines::bare_machine;
using machines::listens;
using machines::now;
using machines::with_exim;
using machines::with_postfix;
using machines::with_qmail;

using Words = std::vector<std::string>;

config::Loaded loaded(const std::string& text) {
  return config::load_text(text, "made.yaml", config::environment_of({}));
}

// What somebody could say, sensible or not: nothing of it may make a file that `check` refuses.
const std::vector<std::pair<Wish, std::vector<Words>>> sayings = {
    {Wish::backend,
     {{},
      {},
      {"qmail"},
      {"postfix"},
      {"exim"},
      {"127.0.0.1:2525"},
      {"mta:25", "[2001:db8::1]:2525"},
      {"unix:/run/a \"b\": ${HOME}.sock"},
      {"exec", "/usr/bin/x", "it's \"so\"\n# y: [", "$${A} \\ \t\x7f \xc2\x85 \xef\xbb\xbf"},
      {"exec", "/usr/sbin/exim4", "-bs"},
      {"localhost:25"},
      {"nonsense"}}},
    {Wish::client_address, {{}, {}, {}, {"none"}, {"xclient"}, {"proxy_v1"}, {"proxy_v2"}, {"transparent"}, {"x"}}},
    {Wish::hostname, {{}, {}, {"mx.example.org"}, {"null"}, {"1.example"}, {"a\nb: c"}, {"yes"}}},
    {Wish::certificate,
     {{},
      {},
      {"/a b/\"x\".pem", "/k'ey"},
      {"/a\nuser: root", "${KEY}"},
      {"/a", "/b", "/c", "/d"},
      {"/a"},
      {"\xff", "/b"}}},
    {Wish::self_signed, {{}, {"yes"}, {"/tmp/with blank: #x/"}, {"relative"}, {"no"}}},
    {Wish::domains, {{}, {}, {"example.org"}, {".example.org", "xn--bcher-kva.example", "null"}, {"*"}, {"a\": b"}}},
    {Wish::ports, {{}, {}, {"2525", "2465", "2587"}, {"465"}, {"25", "25"}, {"0"}, {"2587", "25"}}},
    {Wish::submission, {{}, {}, {"yes"}, {"127.0.0.1:2587"}, {"mta.example.org:587"}, {"no"}, {"127.0.0.1:465"}}},
    {Wish::outbound,
     {{},
      {"off"},
      {"mx"},
      {"relay", "smtp.example.com:587"},
      {"relay", "192.0.2.1:465"},
      {"relay"},
      {"relay", "unix:/x"},
      {"relay", "localhost:10025"},
      {"relay", "smtp.example.com:465"}}},
    {Wish::outbound_listen, {{}, {}, {"0.0.0.0:10025"}, {"[::1]:2600"}, {"0.0.0.0:25"}, {"mta:25"}, {"[::]:0"}}},
    {Wish::allow_clients, {{}, {}, {"10.0.0.0/8", "::1/128"}, {"0.0.0.0/0"}, {"10.0.0.1/8"}}},
    {Wish::user, {{}, {}, {"postern"}, {"a: b #c\n"}}},
    {Wish::state_directory, {{}, {}, {"/var/lib/x y"}, {"relative"}}},
    {Wish::control, {{}, {}, {"/run/${X}/control"}, {"relative"}}},
    {Wish::admin, {{}, {}, {"127.0.0.1:9025"}, {"unix:/run/\"x\"/a"}, {"name:1"}}},
    {Wish::log_format, {{}, {}, {"json"}, {"text"}, {"yaml\n"}}},
};

std::vector<Facts> all_machines() {
  const char* const master =
      "smtp inet n - y - - smtpd\nsubmission inet n - y - - smtpd\n -o smtpd_tls_security_level=encrypt\n";
  Facts no_guard = with_qmail(bare_machine());
  no_guard.qmail.has_rcpthosts = false;
  Facts bare = bare_machine();
  bare.hostname = "localhost.localdomain";
  bare.users.clear();
  bare.has_ipv6 = false;
  Facts rich =
      with_postfix(bare_machine(), "127.0.0.1:2525 inet n - y - - smtpd\n", "smtpd_upstream_proxy_protocol = haproxy");
  rich.certificates = {a_certificate("/etc/letsencrypt/live/evil\n\"name: x", {"mx.example.org"}),
                       a_certificate("/etc/letsencrypt/live/a \"b\": ${C}", {"mx.example.org", "a\nuser: root"})};
  rich.listening = {listens(25, "evil\nname"), listens(465, ""), listens(10025, "amavis")};
  rich.has_control_folder = rich.has_state_directory = rich.has_trust_anchor = rich.has_service = true;
  return {bare_machine(),
          bare,
          with_qmail(bare_machine()),
          no_guard,
          with_postfix(bare_machine(), master),
          with_postfix(bare_machine(), "smtp inet n - y - 1 postscreen\nsmtpd pass - - y - - smtpd\n"),
          with_exim(bare_machine(), true),
          with_exim(bare_machine(), false),
          with_qmail(with_exim(with_postfix(bare_machine(), master), true)),
          rich};
}

class Operator {
 public:
  template <class Choices>
  const auto& one_of(const Choices& choices) {
    return choices[random_() % choices.size()];
  }
  // Says something, then answers what is asked, for a while.
  std::optional<Plan> converse(const Facts& facts) {
    Wishes wishes;
    wishes.by_environment = random_() % 4 == 0;
    for (const auto& [wish, choices] : sayings) {
      // Most of the time little is wrong, or no plan would ever come of it.
      wishes.say(wish, random_() % 3 == 0 ? one_of(choices) : choices[0]);
    }
    const bool xclient = random_() % 2 == 0;
    const Surroundings around = {"/etc/postern", now(), [xclient](const auto&) { return ServerFacts{true, xclient}; }};
    for (int turn = 0; turn < 12; ++turn) {
      Decision decision = decide(facts, wishes, around);
      if (auto* plan = std::get_if<Plan>(&decision)) return std::move(*plan);
      const auto* const question = std::get_if<Question>(&decision);
      if (question == nullptr) return std::nullopt;
      const auto& choices = std::ranges::find(sayings, question->about, &decltype(sayings)::value_type::first)->second;
      std::string line;
      for (const std::string& word : one_of(choices)) line.append(line.empty() ? "" : " ").append(word);
      answer(wishes, *question, line);
    }
    return std::nullopt;
  }

 private:
  std::minstd_rand random_{20261128};
};

// Whom a listener could relay for is decided by somebody who knows the client, or by the guard.
bool could_be_open(const config::InboundListener& listener, const Plan& plan, const Facts& facts) {
  const bool guarded = listener.recipients.allow_domains.has_value();
  const bool program_knows =
      !listener.backend.exec.empty() && (plan.behind != Behind::qmail || facts.qmail.has_rcpthosts);
  return listener.allow_open_relay_risk ||
         (!guarded && !program_knows && listener.backend.client_address == config::ClientAddress::none);
}

TEST_CASE("init: whatever was found and said, what is written passes the checks and is no open relay") {
  Operator somebody;
  std::size_t made = 0;
  const std::vector<Facts> all = all_machines();
  for (int round = 0; round < 12000; ++round) {
    const Facts& facts = somebody.one_of(all);
    const auto plan = somebody.converse(facts);
    if (!plan) continue;
    ++made;
    const std::string text = print_configuration(*plan, facts);
    INFO(text);
    const config::Loaded result = loaded(text);
    INFO(result.first_error());
    REQUIRE(result.ok());
    CHECK(result.settings.user == plan->user);
    CHECK(result.settings.hostname == plan->hostname);
    const auto& pairs = result.settings.certificates.at("mx");
    REQUIRE(pairs.size() == plan->certificates.size());
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      CHECK(pairs[i].chain == plan->certificates[i].chain);
      CHECK(pairs[i].key == plan->certificates[i].key);
    }
    for (const auto& listener : result.settings.inbound) {
      CHECK_FALSE(could_be_open(listener, *plan, facts));
      if (!listener.backend.exec.empty()) CHECK(listener.backend.exec == plan->backend.exec);
    }
    for (const auto& listener : result.settings.outbound) {
      for (const auto& network : listener.allow_clients) CHECK(network.prefix_length > 0);
    }
    CHECK_FALSE(next_steps(*plan, facts, "/etc/postern/postern.yaml").empty());
  }
  CHECK(made > 500);
}

TEST_CASE("init: comments name what was found, and end with their line whatever that is") {
  const Facts rich = all_machines().back();
  Wishes wishes;
  wishes.say(Wish::outbound, {"off"});
  wishes.say(Wish::submission, {"no"});
  const Decision decision = decide(rich, wishes, {"", now(), {}});
  REQUIRE(std::holds_alternative<Plan>(decision));
  const std::string text = print_configuration(std::get<Plan>(decision), rich);
  CHECK(text.find("# For mx.example.org, a?user: root, until 2027-01-27") != std::string::npos);
  CHECK(loaded(text).settings.user == "postern");
}

}  // namespace configuration_test
}  // namespace postern::init
