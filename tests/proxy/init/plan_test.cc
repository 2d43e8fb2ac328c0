#include "proxy/init/plan.h"

#include <algorithm>

#include "config/load.h"
#include "proxy/init/configuration.h"
#include "tests/proxy/init/machines.h"
#include "tests/support/catch.h"

namespace postern::init {
namespace plan_test {

using config::ClientAddress;
using machines::a_certificate;
using machines::bare_machine;
using machines::listens;
using machines::now;
using machines::with_exim;
using machines::with_postfix;
using machines::with_qmail;

using Said = std::vector<std::pair<Wish, std::vector<std::string>>>;

Decision decided(const Facts& facts, const Said& said, ServerFacts server = {}) {
  Wishes wishes;
  for (const auto& [wish, words] : said) wishes.say(wish, words);
  return decide(facts, wishes, {"/etc/postern", now(), [server](const config::Endpoint&) { return server; }});
}

// Nobody is asked what need not be asked.
Plan plan_of(const Facts& facts, Said said, ServerFacts server = {}) {
  said.push_back({Wish::outbound, {"off"}});
  const Decision decision = decided(facts, said, server);
  if (const auto* error = std::get_if<Error>(&decision)) FAIL(error->message);
  if (const auto* question = std::get_if<Question>(&decision)) FAIL(question->text);
  return std::get<Plan>(decision);
}

Question question_of(const Facts& facts, const Said& said, ServerFacts server = {}) {
  const Decision decision = decided(facts, said, server);
  REQUIRE(std::holds_alternative<Question>(decision));
  return std::get<Question>(decision);
}

std::string error_of(const Facts& facts, const Said& said) {
  const Decision decision = decided(facts, said);
  REQUIRE(std::holds_alternative<Error>(decision));
  return std::get<Error>(decision).message;
}

const Said usual = {{Wish::hostname, {"mx.example.org"}}, {Wish::self_signed, {"yes"}}};

Said with(Said said, const Said& more) {
  said.insert(said.end(), more.begin(), more.end());
  return said;
}

TEST_CASE("init: a machine with qmail and a certificate is asked nothing but whether mail is to leave") {
  Facts facts = with_qmail(bare_machine());
  facts.certificates = {a_certificate("/etc/letsencrypt/live/mx.example.org", {"mx.example.org"})};
  const Question asked = question_of(facts, {});
  CHECK(asked.about == Wish::outbound);
  CHECK_FALSE(asked.needed);
  const Plan plan = plan_of(facts, {});
  CHECK(plan.behind == Behind::qmail);
  CHECK(plan.hostname == "mx.example.org");
  CHECK(plan.user == "qmaild");
  CHECK(plan.certificates[0].chain == "/etc/letsencrypt/live/mx.example.org/fullchain.pem");
  CHECK(plan.domains.empty());  // control/rcpthosts says whose mail it takes
}

TEST_CASE("init: qmail without rcpthosts would relay for all, so that the domains are asked for") {
  Facts facts = with_qmail(bare_machine());
  facts.qmail.has_rcpthosts = false;
  CHECK(question_of(facts, usual).about == Wish::domains);
  CHECK(plan_of(facts, with(usual, {{Wish::domains, {"example.org"}}})).domains ==
        std::vector<std::string>{"example.org"});
}

TEST_CASE("init: Postfix leaves port 25 and is told the client by XCLIENT") {
  const Plan plan = plan_of(with_postfix(bare_machine(), "smtp inet n - y - - smtpd\n"), usual);
  CHECK(plan.backend.client_address == ClientAddress::xclient);
  CHECK(config::to_string(plan.backend.addresses[0]) == "127.0.0.1:2525");
  REQUIRE(plan.moved.size() == 1);
  CHECK(plan.moved[0].to == "127.0.0.1:2525");
}

TEST_CASE("init: a Postfix that listens inside already is used where it listens, by the protocol that it takes") {
  const auto facts = with_postfix(bare_machine(),
                                  "127.0.0.1:10025 inet n - n - - smtpd\n"
                                  " -o smtpd_authorized_xclient_hosts=127.0.0.0/8\n"
                                  "127.0.0.1:2600 inet n - n - - smtpd\n"
                                  " -o smtpd_upstream_proxy_protocol=haproxy\n");
  const Plan plan = plan_of(facts, usual);
  CHECK(config::to_string(plan.backend.addresses[0]) == "127.0.0.1:2600");  // 10025: back from a content filter
  CHECK(plan.backend.client_address == ClientAddress::proxy_v2);
  CHECK(plan.moved.empty());
}

TEST_CASE("init: Postfix leaves the ports that are ours, each of them, and no other") {
  const auto facts = with_postfix(bare_machine(),
                                  "192.0.2.1:25 inet n - y - - smtpd\n"
                                  "192.0.2.2:25 inet n - y - - smtpd\n"
                                  "smtps inet n - y - - smtpd\n");
  const Plan both = plan_of(facts, usual);
  REQUIRE(both.moved.size() == 2);
  CHECK((both.moved[0].to == "127.0.0.1:2525" && !both.moved[0].stays));
  CHECK((both.moved[1].to.empty() && !both.moved[1].stays));
  // For a trial: a copy of the first has another address, and all go on.
  const Plan trial = plan_of(facts, with(usual, {{Wish::ports, {"2025"}}}));
  REQUIRE(trial.moved.size() == 1);
  CHECK((trial.moved[0].to == "127.0.0.1:2525" && trial.moved[0].stays));
  // 25 is Postfix's still, 465 is ours.
  const Plan other = plan_of(facts, with(usual, {{Wish::ports, {"465"}}}));
  REQUIRE(other.moved.size() == 2);
  CHECK((other.moved[0].to == "127.0.0.1:2525" && other.moved[0].stays));
  CHECK((other.moved[1].to == "127.0.0.1:2587" && !other.moved[1].stays));
}

TEST_CASE("init: a port that somebody has is not given to the server behind") {
  Facts facts = with_postfix(bare_machine(), "smtp inet n - y - - smtpd\n");
  facts.listening = {listens(2525, "other"), listens(2526, "postern")};
  CHECK(config::to_string(plan_of(facts, usual).backend.addresses[0]) == "127.0.0.1:2526");
}

TEST_CASE("init: people's mail programs go to the services of Postfix that were theirs") {
  const auto facts = with_postfix(bare_machine(),
                                  "smtp inet n - y - - smtpd\n"
                                  "submission inet n - y - - smtpd\n"
                                  " -o smtpd_sasl_auth_enable=yes\n"
                                  "smtps inet n - y - - smtpd\n");
  const Plan plan = plan_of(facts, with(usual, {{Wish::submission, {"yes"}}}));
  REQUIRE(plan.submission.has_value());
  CHECK(config::to_string(*plan.submission) == "127.0.0.1:2587");
  REQUIRE(plan.moved.size() == 3);
  CHECK(plan.moved[1].to == "127.0.0.1:2587");
  CHECK(plan.moved[2].to.empty());  // one is enough
  CHECK(plan.ports.size() == 3);
}

TEST_CASE("init: people's mail programs stay with the service of Postfix that an earlier run has moved behind") {
  const Facts facts = with_postfix(bare_machine(),
                                   "127.0.0.1:2525 inet n - y - - smtpd\n"
                                   " -o smtpd_authorized_xclient_hosts=127.0.0.1\n"
                                   "127.0.0.1:2587 inet n - y - - smtpd -o smtpd_sasl_auth_enable=yes\n"
                                   " -o smtpd_authorized_xclient_hosts=127.0.0.1\n");
  const Plan plan = plan_of(facts, with(usual, {{Wish::submission, {"yes"}}}));
  CHECK(config::to_string(plan.backend.addresses[0]) == "127.0.0.1:2525");
  REQUIRE(plan.submission.has_value());
  CHECK(config::to_string(*plan.submission) == "127.0.0.1:2587");
  CHECK(plan.moved.empty());
}

TEST_CASE("init: Exim is told the client by PROXY protocol where it knows that, and by -oMa where it does not") {
  CHECK(plan_of(with_exim(bare_machine(), true), usual).backend.client_address == ClientAddress::proxy_v2);
  const Plan plan = plan_of(with_exim(bare_machine(), false), usual);
  CHECK(plan.backend.exec ==
        std::vector<std::string>{"/bin/sh", "-c", "exec /usr/sbin/exim4 -bs -oMa \"$TCPREMOTEIP\""});
  CHECK(plan.user == "Debian-exim");  // whom Exim lets say who the client is
}

TEST_CASE("init: of several mail servers the one on port 25 stands behind, and else somebody is asked") {
  Facts facts = with_qmail(with_postfix(bare_machine(), "smtp inet n - y - - smtpd\n"));
  CHECK(question_of(facts, usual).about == Wish::backend);
  facts.listening = {listens(25, "master")};
  CHECK(plan_of(facts, usual).behind == Behind::postfix);
  facts.listening = {listens(25, "tcpserver")};
  CHECK(plan_of(facts, usual).behind == Behind::qmail);
}

TEST_CASE("init: a server by its address has a relay guard, unless it can be told who the client is") {
  const Said said = with(usual, {{Wish::backend, {"192.168.0.7:25"}}});
  CHECK(question_of(bare_machine(), said).about == Wish::domains);
  CHECK(plan_of(bare_machine(), said, {true, true}).backend.client_address == ClientAddress::xclient);
  const Plan told = plan_of(bare_machine(), with(said, {{Wish::client_address, {"proxy_v1"}}}));
  CHECK(told.backend.client_address == ClientAddress::proxy_v1);
  CHECK(told.domains.empty());
}

TEST_CASE("init: nothing that could be an open relay is planned") {
  const Said address = with(usual, {{Wish::backend, {"192.168.0.7:25"}}});
  CHECK(
      error_of(bare_machine(), with(address, {{Wish::domains, {"*"}}})).starts_with("--domain: '*' would let anybody"));
  CHECK(question_of(bare_machine(), with(address, {{Wish::client_address, {"none"}}})).about == Wish::domains);
  const Said exim = with(usual, {{Wish::backend, {"exec", "/usr/sbin/exim4", "-bs"}}});
  CHECK(error_of(bare_machine(), exim).find("relays for it") != std::string::npos);
  const Said told = with(usual, {{Wish::backend, {"exec", "/bin/sh", "-c", "exec exim -bs -oMa \"$TCPREMOTEIP\""}}});
  for (const Said& way : {with(usual, {{Wish::backend, {"exim"}}}), told}) {
    CHECK(plan_of(with_exim(bare_machine(), false), way).user == "Debian-exim");
    const std::string refused = error_of(with_exim(bare_machine(), false), with(way, {{Wish::user, {"postern"}}}));
    CHECK(refused.starts_with("--user: Exim believes"));  // and from another user every session is a local one
    Facts self_built = with_exim(bare_machine(), false);
    self_built.users = {"postern"};
    CHECK(plan_of(self_built, way).user.empty());  // root, whom it believes
    const Said as_other = with(way, {{Wish::user, {"mail"}}});
    CHECK(question_of(self_built, as_other).about == Wish::domains);
    CHECK(plan_of(self_built, with(as_other, {{Wish::domains, {"example.org"}}})).user == "mail");
    self_built.is_root = false;
    CHECK(question_of(self_built, way).about == Wish::domains);
  }
  const Said by_net = with(
      usual, {{Wish::backend, {"exec", "/bin/x"}}, {Wish::outbound, {"mx"}}, {Wish::allow_clients, {"0.0.0.0/0"}}});
  CHECK(error_of(bare_machine(), by_net).find("send mail to anywhere") != std::string::npos);
  const Said split = with(usual, {{Wish::backend, {"exec", "/bin/x"}}, {Wish::submission, {"192.168.0.7:25"}}});
  CHECK(question_of(bare_machine(), split).about == Wish::domains);  // that server knows the client by nothing
}

TEST_CASE("init: the server behind is not where Postern listens") {
  CHECK(error_of(bare_machine(), with(usual, {{Wish::backend, {"127.0.0.1:25"}}})).find("itself") != std::string::npos);
  CHECK(error_of(bare_machine(), with(usual, {{Wish::backend, {"localhost:465"}}, {Wish::submission, {"yes"}}}))
            .find("itself") != std::string::npos);
}

TEST_CASE("init: certificates are those for the name that others vouch for and that are valid, one of each kind") {
  Facts facts = with_qmail(bare_machine());
  auto rsa = a_certificate("/rsa", {"mx.example.org"});
  rsa.is_rsa = true;
  auto longer = a_certificate("/longer", {"*.example.org"});
  longer.not_after += std::chrono::hours(24);
  auto own = a_certificate("/own", {"mx.example.org"});
  own.self_issued = true;
  auto broken = a_certificate("/broken", {"mx.example.org"});
  broken.flaw = "no key";
  auto past = a_certificate("/past", {"mx.example.org"});
  past.not_after = now() - std::chrono::hours(1);
  facts.certificates = {own, broken, past, a_certificate("/other", {"example.org"})};
  const Question asked = question_of(facts, {{Wish::hostname, {"mx.example.org"}}});
  CHECK(asked.about == Wish::certificate);
  CHECK(asked.text.find("/broken/fullchain.pem: no key") != std::string::npos);
  CHECK(asked.text.find("/past/fullchain.pem: expired") != std::string::npos);
  facts.certificates.insert(facts.certificates.end(), {rsa, a_certificate("/ec", {"mx.example.org"}), longer});
  const Plan plan = plan_of(facts, {{Wish::hostname, {"MX.example.org"}}});
  REQUIRE(plan.certificates.size() == 2);
  CHECK(plan.certificates[0].chain == "/longer/fullchain.pem");
  CHECK(plan.certificates[1].chain == "/rsa/fullchain.pem");
}

TEST_CASE("init: an answer at the prompt counts like the option, and an empty one is the suggestion") {
  Wishes wishes;
  answer(wishes, {Wish::certificate, "?", "", true}, " self-signed ");
  CHECK(wishes.says_yes(Wish::self_signed));
  answer(wishes, {Wish::domains, "?", "", true}, "example.org, .example.net");
  CHECK(wishes.words(Wish::domains) == std::vector<std::string>{"example.org", ".example.net"});
  answer(wishes, {Wish::outbound, "?", "off", false}, "");
  CHECK(wishes.says_no(Wish::outbound));
}

TEST_CASE("init: errors name the variable where the environment speaks") {
  const auto wishes = wishes_of(config::environment_of(
      {{"POSTERN_BACKEND", "mta:2525"}, {"POSTERN_SELF_SIGNED", "/run/x"}, {"POSTERN_DOMAINS", "example.org *"}}));
  REQUIRE(wishes);
  const Decision decision = decide(bare_machine(), *wishes, {"", now(), {}});
  REQUIRE(std::holds_alternative<Error>(decision));
  CHECK(std::get<Error>(decision).message.starts_with("POSTERN_DOMAINS: "));
}

TEST_CASE("init: mail that leaves is taken from this machine alone, unless others may hand it in") {
  const Said out = with(usual, {{Wish::outbound, {"relay", "smtp.example.com:587"}}});
  const Decision alone = decided(with_qmail(bare_machine()), out);
  REQUIRE(std::holds_alternative<Plan>(alone));
  CHECK(config::to_string(std::get<Plan>(alone).outbound_listen) == "127.0.0.1:10025");
  CHECK(config::to_string(*std::get<Plan>(alone).relay) == "smtp.example.com:587");
  const Decision many = decided(with_qmail(bare_machine()), with(out, {{Wish::allow_clients, {"10.0.0.0/8"}}}));
  REQUIRE(std::holds_alternative<Plan>(many));
  CHECK(config::to_string(std::get<Plan>(many).outbound_listen) == "0.0.0.0:10025");
  CHECK(std::get<Plan>(many).allow_clients.size() == 3);  // qmail is on this machine
}

TEST_CASE("init: ports by their endings") {
  CHECK(use_of(25) == PortUse::mail);
  CHECK(use_of(2525) == PortUse::mail);
  CHECK(use_of(465) == PortUse::implicit);
  CHECK(use_of(10465) == PortUse::implicit);
  CHECK(use_of(2587) == PortUse::submission);
}

}  // namespace plan_test
}  // namespace postern::init
