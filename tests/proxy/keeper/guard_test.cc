#include "proxy/keeper/guard.h"

#include "tests/support/catch.h"
#include "tests/support/certificates.h"
#include "tests/support/fake_resolver.h"

namespace guard_test {

using namespace postern;
using namespace postern::keeper;
using config::Guard;
using Kind = GuardFinding::Kind;

constexpr std::chrono::sys_seconds now{std::chrono::seconds(1'800'000'000)};

// A certificate that is shown, as it was read.
tls::CertificateFacts facts(const std::string& name, const std::string& host, const std::string& chain,
                            std::chrono::hours left = std::chrono::hours(24)) {
  return {name, name + ".pem", "CN=" + host, now - left, now + left, {host}, {chain}};
}

config::Settings settings(Guard guard, const std::string& certificate = "mx") {
  config::Settings made;
  auto& listener = made.inbound.emplace_back();
  listener.name = "in";
  listener.guard = guard;
  listener.mode = config::TlsMode::starttls;
  listener.certificates = {certificate};
  listener.listen = {*config::parse_endpoint("127.0.0.1:25")};
  return made;
}

TEST_CASE("guard: what is asked for are the places at which a certificate will be shown that was not before") {
  const std::vector present = {facts("mx", "mx.example.org", "old")};
  const std::vector next = {facts("mx", "mx.example.org", "new"), facts("other", "other.example.org", "new")};
  const auto places = guarded_places(settings(Guard::hold), present, next, now);
  REQUIRE(places.size() == 1);
  CHECK(places[0].place.owner() == "_25._tcp.mx.example.org");
  CHECK(places[0].certificates == "mx");
  CHECK(places[0].chains == std::vector<std::vector<std::string>>{{"new"}});
  CHECK(places[0].holds);
  CHECK_FALSE(guarded_places(settings(Guard::warn), present, next, now).at(0).holds);
  CHECK(guarded_places(settings(Guard::off), present, next, now).empty());
  CHECK(guarded_places(settings(Guard::hold), next, next, now).empty());
  CHECK(guarded_places(settings(Guard::hold), present, std::vector{facts("mx", "*.example.org", "new")}, now).empty());
  auto plain = settings(Guard::hold);
  plain.inbound[0].mode = config::TlsMode::none;
  CHECK(guarded_places(plain, present, next, now).empty());
}

TEST_CASE("guard: nothing is held back for one that has expired, or was not there") {
  const std::vector next = {facts("mx", "mx.example.org", "new")};
  const std::vector expired = {facts("mx", "mx.example.org", "old", std::chrono::hours(-1))};
  CHECK_FALSE(guarded_places(settings(Guard::hold), expired, next, now).at(0).holds);
  CHECK_FALSE(guarded_places(settings(Guard::hold), {}, next, now).at(0).holds);
}

dns::Answer answer(const std::vector<std::string>& rdata, bool secure = true) {
  dns::Answer made;
  made.status = rdata.empty() ? dns::Status::no_data : dns::Status::exists;
  made.secure = secure;
  made.rdata = rdata;
  made.ttl = std::chrono::seconds(300);
  return made;
}

std::string record(const test_support::TestCertificate& certificate, char usage = 3) {
  const auto made = tls::make_tlsa(*certificate.certificate, tls::TlsaRecord::dane_ee, tls::TlsaRecord::public_key,
                                   tls::TlsaRecord::sha2_256);
  return std::string{usage, 1, 1} + made->data;
}

TEST_CASE("guard: it fits, or not, as senders see it") {
  const auto ours = test_support::make_certificate({.dns_names = {"mx.example.org"}});
  const auto other = test_support::make_certificate({});
  GuardedPlace place{{"mx.example.org", 25}, {{ours.der()}}, "mx", true};
  const auto kind = [&](const dns::Answer& given) { return judge(place, given, now).kind; };
  CHECK(kind(answer({record(ours)})) == Kind::fits);
  CHECK(kind(answer({record(other), record(ours)})) == Kind::fits);
  CHECK(kind(answer({record(other)})) == Kind::misfits);
  CHECK(judge(place, answer({record(other)}), now).reason == "no TLSA record of _25._tcp.mx.example.org fits it");
  CHECK(kind(answer({record(other)}, false)) == Kind::fits);  // nobody uses it
  CHECK(kind(answer({})) == Kind::fits);
  CHECK(kind(answer({record(other, 1)})) == Kind::fits);  // senders cannot use it, so that any certificate will do
  CHECK(kind(dns::failure("no answer")) == Kind::unknown);
  dns::Answer bogus = dns::failure("bad signature");
  bogus.status = dns::Status::bogus;
  CHECK(kind(bogus) == Kind::unknown);
  place.chains.push_back({other.der()});
  CHECK(kind(answer({record(ours)})) == Kind::misfits);  // both are shown there
}

TEST_CASE("guard: what did not fit is held back until its record is there and the one before is forgotten") {
  const auto ours = test_support::make_certificate({.dns_names = {"mx.example.org"}});
  const auto other = test_support::make_certificate({});
  testing::FakeResolver resolver;
  std::uint64_t time = 1'000'000;
  keeper::Guard guard(resolver, [&time] { return time; });
  const dns::Question question{"_25._tcp.mx.example.org", dns::Type::tlsa};
  const auto asked = [&](bool holds) {
    std::string why = "not asked";
    CHECK(guard.ask({{{"mx.example.org", 25}, {{ours.der()}}, "mx", holds}},
                    [&why](const std::string& said) { why = said; }));
    resolver.deliver();
    return why;
  };
  CHECK_FALSE(guard.ask({}, {}));
  resolver.set(question, answer({record(other)}));
  CHECK(asked(false).empty());  // only a line in the log
  CHECK(asked(true) == "no TLSA record of _25._tcp.mx.example.org fits it");
  resolver.set(question, answer({record(other), record(ours)}));
  CHECK(asked(true) ==
        "the TLSA records of _25._tcp.mx.example.org fit it, and senders may remember those before for 300 s");
  time += 299'000;
  CHECK_FALSE(asked(true).empty());
  time += 2'000;
  CHECK(asked(true).empty());
  resolver.set(question, dns::failure("no answer"));
  CHECK_FALSE(asked(true).empty());
}

TEST_CASE("guard: nobody is told of what nobody waits for any more") {
  testing::FakeResolver resolver;
  keeper::Guard guard(resolver, [] { return std::uint64_t{0}; });
  bool told = false;
  CHECK(guard.ask({{{"mx.example.org", 25}, {{"chain"}}, "mx", true}}, [&told](const std::string&) { told = true; }));
  guard.forget();
  resolver.deliver();
  CHECK_FALSE(told);
}

}  // namespace guard_test
