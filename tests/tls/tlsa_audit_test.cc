#include "tls/tlsa_audit.h"

#include "tests/support/catch.h"
#include "tests/tls/engine_pair.h"

namespace postern::tls::tlsa_audit_test {

using namespace engine_pair;

TlsaRecord record_of(const TestCertificate& certificate, std::uint8_t usage,
                     std::uint8_t matching_type = TlsaRecord::sha2_256) {
  return *make_tlsa(*certificate.certificate, usage, TlsaRecord::public_key, matching_type);
}

struct Family {
  TestCertificate root = make_certificate({.common_name = "Root", .is_ca = true});
  TestCertificate middle = make_certificate({.common_name = "Middle", .is_ca = true, .issuer = &root});
  TestCertificate leaf = make_certificate({.dns_names = {"mx.example.org"}, .issuer = &middle});
  std::vector<std::string> chain = {leaf.der(), middle.der(), root.der()};
};

TEST_CASE("tlsa_audit: the leaf's key, and that of the last CA of the chain, are to be published") {
  const Family family;
  CHECK(records_to_publish(family.chain) ==
        std::vector{record_of(family.leaf, TlsaRecord::dane_ee), record_of(family.root, TlsaRecord::dane_ta)});
  const std::vector<std::string> alone = {family.leaf.der()};
  CHECK(records_to_publish(alone) == std::vector{record_of(family.leaf, TlsaRecord::dane_ee)});
  const std::vector<std::string> with_no_ca = {family.leaf.der(), make_certificate({}).der()};
  CHECK(records_to_publish(with_no_ca).size() == 1);
}

std::string places_of(const config::Settings& settings, const std::vector<CertificateFacts>& certificates,
                      const TlsaWishes& wishes = {}) {
  std::string text;
  for (const auto& [place, shown] : tlsa_places(settings, certificates, wishes)) {
    text += place.owner() + ":";
    for (const std::size_t position : shown) {
      text += " " + std::to_string(position);
    }
    text += place.is_wildcard() ? " wildcard\n" : "\n";
  }
  return text;
}

CertificateFacts facts(const std::string& name, const std::vector<std::string>& dns_names) {
  CertificateFacts made;
  made.name = name;
  made.dns_names = dns_names;
  return made;
}

config::Settings settings_with(const std::vector<std::string>& listen,
                               config::TlsMode mode = config::TlsMode::starttls) {
  config::Settings settings;
  auto& listener = settings.inbound.emplace_back();
  listener.mode = mode;
  listener.certificates = {"mx"};
  for (const std::string& endpoint : listen) {
    listener.listen.push_back(*config::parse_endpoint(endpoint));
  }
  return settings;
}

TEST_CASE("tlsa_audit: every host name, with all certificates that hold it") {
  const std::vector<CertificateFacts> both = {facts("mx", {"mx.example.org", "mx.example.org", "mail.example.org"}),
                                              facts("mx", {"mx.example.org", "192.0.2.1", "no host name"})};
  CHECK(places_of({}, both) == "_25._tcp.mail.example.org: 0\n_25._tcp.mx.example.org: 0 1\n");
}

TEST_CASE("tlsa_audit: the ports are those of the listeners that show the certificate") {
  const std::vector<CertificateFacts> one = {facts("mx", {"mx.example.org"})};
  const std::string at_25 = "_25._tcp.mx.example.org: 0\n";
  CHECK(places_of({}, one) == at_25);
  CHECK(places_of(settings_with({"192.0.2.1:587"}, config::TlsMode::none), one) == at_25);
  CHECK(places_of(settings_with({"unix:/run/x", "127.0.0.1:0"}), one) == at_25);
  CHECK(places_of(settings_with({"0.0.0.0:25", "[::]:25", "[::]:465"}), one) ==
        at_25 + "_465._tcp.mx.example.org: 0\n");
  CHECK(places_of(settings_with({"0.0.0.0:465"}), {facts("other", {"mx.example.org"})}) == at_25);
  CHECK(places_of(settings_with({"0.0.0.0:2525"}), one, {.hosts = {}, .ports = {25}}) == at_25);
}

TEST_CASE("tlsa_audit: wildcards are told apart, and stand for hosts that are named") {
  const std::vector<CertificateFacts> one = {facts("mx", {"*.example.org"})};
  CHECK(places_of({}, one) == "_25._tcp.*.example.org: 0 wildcard\n");
  CHECK(places_of({}, one, {.hosts = {"mx.example.org", "mx.example.net"}, .ports = {}}) ==
        "_25._tcp.mx.example.org: 0\n");
}

TlsaAudit audit(const std::vector<TlsaRecord>& published, const std::vector<std::vector<std::string>>& chains,
                const std::string& host = "mx.example.org") {
  return audit_tlsa(published, chains, host, std::time(nullptr));
}

TEST_CASE("tlsa_audit: what we print passes") {
  const Family family;
  const auto result = audit(records_to_publish(family.chain), {family.chain});
  CHECK(result.good);
  REQUIRE(result.records.size() == 2);
  CHECK(result.records[0].matches == std::vector<std::size_t>{0});
  CHECK(result.records[1].matches == std::vector<std::size_t>{0});
  CHECK(result.chains.at(0).outcome == DaneOutcome::matched);
}

TEST_CASE("tlsa_audit: one matching record suffices, and a stale one does no harm") {
  const Family family;
  const auto stale = record_of(make_certificate({}), TlsaRecord::dane_ee);
  const auto result = audit({stale, record_of(family.root, TlsaRecord::dane_ta)}, {family.chain});
  CHECK(result.good);
  CHECK(result.records.at(0).matches.empty());
  CHECK(result.records.at(0).problem.empty());
  CHECK_FALSE(audit({stale}, {family.chain}).good);
  CHECK(audit({stale}, {family.chain}).chains.at(0).outcome == DaneOutcome::no_match);
}

TEST_CASE("tlsa_audit: every certificate needs a record, the RSA one beside the ECDSA one too") {
  const Family family;
  const auto second = make_certificate({.dns_names = {"mx.example.org"}});
  const auto first_record = record_of(family.leaf, TlsaRecord::dane_ee);
  const auto second_record = record_of(second, TlsaRecord::dane_ee);
  const auto half = audit({first_record}, {family.chain, {second.der()}});
  CHECK_FALSE(half.good);
  CHECK(half.chains.at(0).outcome == DaneOutcome::matched);
  CHECK(half.chains.at(1).outcome == DaneOutcome::no_match);
  const auto whole = audit({first_record, second_record}, {family.chain, {second.der()}});
  CHECK(whole.good);
  CHECK(whole.records.at(1).matches == std::vector<std::size_t>{1});
}

TEST_CASE("tlsa_audit: nothing published, and nothing that can be used") {
  const Family family;
  CHECK_FALSE(audit({}, {family.chain}).good);
  auto pkix = record_of(family.leaf, TlsaRecord::dane_ee);
  pkix.usage = 1;
  const auto result = audit({pkix}, {family.chain});
  CHECK_FALSE(result.good);
  CHECK_FALSE(result.records.at(0).problem.empty());
  CHECK(result.records.at(0).matches.empty());
  CHECK(result.chains.at(0).outcome == DaneOutcome::no_usable_record);
}

TEST_CASE("tlsa_audit: a record that matches is of no use if senders will look at a stronger digest that does not") {
  const Family family;
  const auto old = record_of(make_certificate({}), TlsaRecord::dane_ee, TlsaRecord::sha2_512);
  const auto result = audit({record_of(family.leaf, TlsaRecord::dane_ee), old}, {family.chain});
  CHECK_FALSE(result.good);
  CHECK(result.records.at(0).matches.size() == 1);
}

TEST_CASE("tlsa_audit: an authority vouches for valid certificates of the right name alone") {
  const Family family;
  const std::vector<TlsaRecord> authority = {record_of(family.root, TlsaRecord::dane_ta)};
  CHECK(audit(authority, {family.chain}).good);
  CHECK(audit(authority, {family.chain}, "mx.example.net").chains.at(0).outcome == DaneOutcome::name_mismatch);
  const auto old = make_certificate(
      {.dns_names = {"mx.example.org"}, .valid_from_days = -9, .valid_until_days = -2, .issuer = &family.root});
  CHECK(audit(authority, {{old.der(), family.root.der()}}).chains.at(0).outcome == DaneOutcome::expired);
}

TEST_CASE("tlsa_audit: the record of an authority whose chain has expired is not taken for a stale one") {
  const Family family;
  const auto old = make_certificate(
      {.dns_names = {"mx.example.org"}, .valid_from_days = -9, .valid_until_days = -2, .issuer = &family.root});
  const auto stale = record_of(make_certificate({}), TlsaRecord::dane_ta);
  const auto result = audit({record_of(family.root, TlsaRecord::dane_ta), stale}, {{old.der(), family.root.der()}});
  CHECK(result.records.at(0).matches.empty());
  CHECK(result.records.at(0).flaw.find("expired") != std::string::npos);
  CHECK(result.records.at(1).flaw.empty());
  CHECK(audit({record_of(family.root, TlsaRecord::dane_ta)}, {family.chain}).records.at(0).flaw.empty());
}

}  // namespace postern::tls::tlsa_audit_test
