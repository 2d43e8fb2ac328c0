#include "proxy/policy/evidence.h"

#include "tests/support/catch.h"
#include "tests/support/shown_certificates.h"
#include "tests/tls/engine_pair.h"

namespace evidence_test {

using namespace postern;
using namespace postern::policy;
using test_support::make_certificate;
using test_support::TestCertificate;

struct Relay {
  TestCertificate root = make_certificate({.common_name = "Root", .is_ca = true});
  TestCertificate leaf = make_certificate({.dns_names = {"smtp.example.com"}, .issuer = &root});
  TestCertificate other = make_certificate({.dns_names = {"smtp.example.com"}});
  std::shared_ptr<const tls::TrustStore> trust = tls::engine_pair::load_trust(root);
  MailHost host;

  Relay() {
    host.name = "smtp.example.com";
    host.address_state = MailHost::Addresses::found;
    host.reference_names = {"smtp.example.com"};
  }
  void publish(const TestCertificate& certificate, std::uint8_t usage) {
    host.dane = DaneState::records;
    host.tlsa = {*tls::make_tlsa(*certificate.certificate, usage, 1, 1)};
  }
  bool gets_credentials(const TestCertificate& shown) const {
    return is_authenticated({test_support::shown_by_server(shown), trust.get(), std::time(nullptr)}, host);
  }
};

TEST_CASE("evidence: without TLSA records the Web PKI vouches for a relay by its name") {
  Relay relay;
  for (const DaneState state : {DaneState::not_applicable, DaneState::absent}) {
    relay.host.dane = state;
    CHECK(relay.gets_credentials(relay.leaf));
    CHECK_FALSE(relay.gets_credentials(relay.other));
  }
  relay.host.name = "other.example.com";
  CHECK_FALSE(relay.gets_credentials(relay.leaf));
  relay.host.name.clear();
  CHECK_FALSE(relay.gets_credentials(relay.leaf));
}

TEST_CASE("evidence: TLSA records that can be used decide alone") {
  Relay relay;
  relay.publish(relay.other, 3);
  CHECK(relay.gets_credentials(relay.other));
  CHECK_FALSE(relay.gets_credentials(relay.leaf));  // whoever issued that
}

TEST_CASE("evidence: records that cannot be used leave it to the Web PKI") {
  Relay relay;
  relay.publish(relay.other, 1);
  CHECK(relay.gets_credentials(relay.leaf));
  CHECK_FALSE(relay.gets_credentials(relay.other));
}

TEST_CASE("evidence: where it cannot be known whether there are records nobody gets credentials") {
  Relay relay;
  for (const DaneState state : {DaneState::failed, DaneState::bogus}) {
    relay.host.dane = state;
    CHECK_FALSE(relay.gets_credentials(relay.leaf));
  }
}

}  // namespace evidence_test
