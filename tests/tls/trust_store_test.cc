#include "tls/trust_store.h"

#include "tests/support/catch.h"
#include "tests/support/certificates.h"

namespace postern::tls::trust_store_test {

using namespace test_support;

bssl::UniquePtr<STACK_OF(CRYPTO_BUFFER)> chain_of(const std::vector<std::string>& ders) {
  bssl::UniquePtr<STACK_OF(CRYPTO_BUFFER)> chain(sk_CRYPTO_BUFFER_new_null());
  for (const std::string& der : ders) {
    bssl::PushToStack(chain.get(), bssl::UniquePtr<CRYPTO_BUFFER>(CRYPTO_BUFFER_new(
                                       reinterpret_cast<const std::uint8_t*>(der.data()), der.size(), nullptr)));
  }
  return chain;
}

TEST_CASE("trust_store: every certificate of the file is an anchor, self-signed or not") {
  const TempDirectory directory;
  const auto root = make_certificate({.common_name = "Root", .is_ca = true});
  const auto middle = make_certificate({.common_name = "Middle", .is_ca = true, .issuer = &root});
  const auto leaf = make_certificate({.issuer = &middle});
  const auto verify = [&](const std::string& anchors, const std::vector<std::string>& chain) {
    const auto trust = TrustStore::load(directory.write("ca", anchors));
    REQUIRE(trust.has_value());
    return (*trust)->verify(chain_of(chain).get(), TrustStore::Peer::client);
  };
  CHECK(verify(root.certificate_pem(), {leaf.der(), middle.der()}) == "");
  CHECK(verify(root.certificate_pem(), {leaf.der()}) == "unable to get local issuer certificate");
  CHECK(verify(middle.certificate_pem(), {leaf.der()}) == "");
  CHECK(verify(root.certificate_pem() + middle.certificate_pem() + root.certificate_pem(), {leaf.der()}) == "");
  CHECK(verify(leaf.certificate_pem(), {leaf.der()}) == "");
  CHECK_FALSE(verify(root.certificate_pem(), {}).empty());
  CHECK(verify(root.certificate_pem(), {"no DER"}) == "the certificate does not parse");
}

TEST_CASE("trust_store: a leaf does not vouch for others") {
  const TempDirectory directory;
  const auto leaf = make_certificate({.common_name = "leaf"});
  const auto below = make_certificate({.common_name = "below", .issuer = &leaf});
  const auto trust = TrustStore::load(directory.write("ca", leaf.certificate_pem()));
  REQUIRE(trust.has_value());
  CHECK_FALSE((*trust)->verify(chain_of({below.der()}).get(), TrustStore::Peer::client).empty());
}

TEST_CASE("trust_store: names and digest follow the file") {
  const TempDirectory directory;
  const auto one = make_certificate({.common_name = "One", .is_ca = true}).certificate_pem();
  const auto two = make_certificate({.common_name = "Two", .is_ca = true}).certificate_pem();
  const auto load = [&directory](const std::string& pem) { return *TrustStore::load(directory.write("ca", pem)); };
  CHECK(load(one + two)->names().size() == 2);
  CHECK(load(one)->digest() == load("a comment\n" + one)->digest());
  CHECK(load(one)->digest() != load(two)->digest());
}

TEST_CASE("trust_store: a file that is absent, empty or broken is an error") {
  const TempDirectory directory;
  CHECK_FALSE(TrustStore::load(directory.path("absent")).has_value());
  CHECK_FALSE(TrustStore::load(directory.write("ca", "")).has_value());
  CHECK_FALSE(TrustStore::load(directory.write("ca", "-----BEGIN CERTIFICATE-----\nAA\n")).has_value());
}

}  // namespace postern::tls::trust_store_test
