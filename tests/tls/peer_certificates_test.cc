#include "tls/peer_certificates.h"

#include "tests/support/catch.h"
#include "tests/tls/engine_pair.h"
#include "tls/client_context.h"

namespace postern::tls::peer_certificates_test {

using namespace engine_pair;

PeerCertificates shown(const std::vector<std::string>& ders, PeerRole role = PeerRole::server) {
  const bssl::UniquePtr<STACK_OF(CRYPTO_BUFFER)> chain(sk_CRYPTO_BUFFER_new_null());
  for (const std::string& der : ders) {
    bssl::PushToStack(chain.get(), bssl::UniquePtr<CRYPTO_BUFFER>(CRYPTO_BUFFER_new(
                                       reinterpret_cast<const std::uint8_t*>(der.data()), der.size(), nullptr)));
  }
  return {chain.get(), role};
}

struct Family {
  TestCertificate root = make_certificate({.common_name = "Root", .is_ca = true});
  TestCertificate middle = make_certificate({.common_name = "Middle", .is_ca = true, .issuer = &root});
  TestCertificate leaf = make_certificate({.common_name = "MX", .dns_names = {"mx.example.org"}, .issuer = &middle});
  std::shared_ptr<const TrustStore> trust = load_trust(root);
};

TlsaRecord record_of(const TestCertificate& certificate, std::uint8_t usage) {
  return *make_tlsa(*certificate.certificate, usage, TlsaRecord::public_key, TlsaRecord::sha2_256);
}

TEST_CASE("peer_certificates: what the peer's own certificate says") {
  const Family family;
  const auto peer = shown({family.leaf.der(), family.middle.der()});
  CHECK(peer.size() == 2);
  CHECK(peer.subject() == "CN=MX");
  CHECK(peer.issuer() == "CN=Middle");
  CHECK(peer.common_name() == "MX");
  CHECK(peer.dns_names() == std::vector<std::string>{"mx.example.org"});
  CHECK(peer.fingerprints() ==
        std::vector<std::string>{sha256(public_key_der(*family.leaf.certificate)), sha256(family.leaf.der())});
  REQUIRE(peer.not_after().has_value());
  const auto left = *peer.not_after() - std::chrono::system_clock::now();
  CHECK(left > std::chrono::days(89));
  CHECK(left < std::chrono::days(91));
}

TEST_CASE("peer_certificates: nothing was shown") {
  const Family family;
  for (const PeerCertificates& peer : {PeerCertificates(), shown({}), PeerCertificates(nullptr, PeerRole::server)}) {
    CHECK(peer.empty());
    CHECK(peer.subject().empty());
    CHECK(peer.dns_names().empty());
    CHECK(peer.fingerprints().empty());
    CHECK_FALSE(peer.not_after().has_value());
    CHECK_FALSE(peer.verify_chain(*family.trust).trusted);
    CHECK(peer.verify_chain(*family.trust).reason == "the peer showed no certificate");
    const std::vector<TlsaRecord> records = {record_of(family.leaf, TlsaRecord::dane_ee)};
    CHECK(peer.verify_dane(records, {}, 0).outcome == DaneOutcome::no_certificate);
  }
}

TEST_CASE("peer_certificates: a chain is judged by the CAs given") {
  const Family family;
  const auto peer = shown({family.leaf.der(), family.middle.der()});
  CHECK(peer.verify_chain(*family.trust).trusted);
  CHECK(peer.verify_chain(*family.trust).reason.empty());
  CHECK_FALSE(peer.verify_chain(*load_trust(make_certificate({.is_ca = true}))).trusted);
  CHECK_FALSE(peer.verify_chain(*TrustStore::nobody()).trusted);
  CHECK_FALSE(shown({family.leaf.der()}).verify_chain(*family.trust).trusted);
  const auto old = make_certificate({.valid_from_days = -9, .valid_until_days = -2, .issuer = &family.root});
  CHECK(shown({old.der()}).verify_chain(*family.trust).expired);
}

TEST_CASE("peer_certificates: the purpose is the role's") {
  const Family family;
  const auto client = make_certificate({.extended_key_usage = NID_client_auth, .issuer = &family.root});
  CHECK(shown({client.der()}, PeerRole::client).verify_chain(*family.trust).trusted);
  CHECK_FALSE(shown({client.der()}, PeerRole::server).verify_chain(*family.trust).trusted);
}

TEST_CASE("peer_certificates: TLSA records of the leaf, of the chain, of nobody") {
  const Family family;
  const auto peer = shown({family.leaf.der(), family.middle.der()});
  const std::vector<std::string> names = {"mx.example.org"};
  const auto outcome = [&](const TlsaRecord& record) {
    return peer.verify_dane(std::vector{record}, names, std::time(nullptr)).outcome;
  };
  CHECK(outcome(record_of(family.leaf, TlsaRecord::dane_ee)) == DaneOutcome::matched);
  CHECK(outcome(record_of(family.middle, TlsaRecord::dane_ta)) == DaneOutcome::matched);
  CHECK(outcome(record_of(family.root, TlsaRecord::dane_ta)) == DaneOutcome::no_match);
}

TEST_CASE("peer_certificates: a certificate beyond the first that does not parse counts as not sent") {
  const Family family;
  const auto peer = shown({family.leaf.der(), "no DER", family.middle.der()});
  CHECK(peer.size() == 3);
  CHECK(peer.verify_chain(*family.trust).trusted);
}

TEST_CASE("peer_certificates: nothing is known of a peer whose own certificate does not parse") {
  const Family family;
  const auto peer = shown({family.leaf.der() + "more", family.middle.der()});
  CHECK_FALSE(peer.empty());
  CHECK(peer.subject().empty());
  CHECK(peer.fingerprints().empty());
  CHECK(peer.verify_chain(*family.trust).reason == "the certificate does not parse");
  const auto dane = peer.verify_dane(std::vector{record_of(family.middle, TlsaRecord::dane_ta)}, {}, 0);
  CHECK(dane.outcome == DaneOutcome::no_certificate);
  CHECK(dane.reason == "the certificate does not parse");
}

TEST_CASE("peer_certificates: an endless chain is not followed") {
  const Family family;
  std::vector<std::string> ders(PeerCertificates::max_certificates, family.leaf.der());
  ders.back() = family.middle.der();
  CHECK(shown(ders).verify_chain(*family.trust).trusted);
  ders.insert(ders.begin(), family.leaf.der());
  CHECK(shown(ders).size() == PeerCertificates::max_certificates);
  CHECK_FALSE(shown(ders).verify_chain(*family.trust).trusted);
}

TEST_CASE("peer_certificates: both sides of a handshake have them, and they outlive the connection") {
  const Family family;
  const auto server = make_server(server_options({load(family.leaf, family.middle.certificate_pem())}));
  PeerCertificates peer;
  {
    Pair pair(std::move(*(*ClientContext::make({}))->make_engine("mx.example.org")), std::move(*server->make_engine()));
    pair.greet();
    peer = pair.client.engine->peer_certificates();
    CHECK(pair.server.engine->peer_certificates().empty());
  }
  CHECK(peer.size() == 2);
  CHECK(peer.verify_chain(*family.trust).trusted);
}

}  // namespace postern::tls::peer_certificates_test
