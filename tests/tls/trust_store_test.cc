#include "tls/trust_store.h"

#include "tests/support/catch.h"
#include "tests/support/certificates.h"
#include "tests/tls/loading.h"
#include "tests/tls/variable.h"

namespace postern::tls::trust_store_test {

using namespace test_support;

std::unique_ptr<const TrustStore> load(const std::string& pem) {
  const TempDirectory directory;
  auto trust = load_authorities(directory.write("ca", pem));
  REQUIRE(trust.has_value());
  return std::move(*trust);
}

ChainResult verify(const TrustStore& trust, const std::vector<TestCertificate>& sent) {
  const bssl::UniquePtr<STACK_OF(X509)> chain(sk_X509_new_null());
  for (const TestCertificate& one : sent) {
    bssl::PushToStack(chain.get(), bssl::UpRef(one.certificate.get()));
  }
  const ChainResult result = trust.verify(*chain, PeerRole::server);
  CHECK(result.trusted == result.reason.empty());
  CHECK_FALSE((result.trusted && result.expired));
  return result;
}

TEST_CASE("trust_store: every certificate of the file is an anchor, self-signed or not") {
  const auto root = make_certificate({.common_name = "Root", .is_ca = true});
  const auto middle = make_certificate({.common_name = "Middle", .is_ca = true, .issuer = &root});
  const auto leaf = make_certificate({.issuer = &middle});
  const auto trusted = [](const std::string& anchors, const std::vector<TestCertificate>& sent) {
    return verify(*load(anchors), sent).trusted;
  };
  CHECK(trusted(root.certificate_pem(), {leaf, middle}));
  CHECK(verify(*load(root.certificate_pem()), {leaf}).reason == "unable to get local issuer certificate");
  CHECK(trusted(middle.certificate_pem(), {leaf}));
  CHECK(trusted(root.certificate_pem() + middle.certificate_pem() + root.certificate_pem(), {leaf}));
  CHECK(trusted(leaf.certificate_pem(), {leaf}));
}

TEST_CASE("trust_store: a leaf does not vouch for others") {
  const auto leaf = make_certificate({.common_name = "leaf"});
  const auto below = make_certificate({.common_name = "below", .issuer = &leaf});
  CHECK_FALSE(verify(*load(leaf.certificate_pem()), {below}).trusted);
}

TEST_CASE("trust_store: expired and not yet valid are told from not trusted, wherever in the chain") {
  const auto root = make_certificate({.common_name = "Root", .is_ca = true});
  const auto trust = load(root.certificate_pem());
  const auto old_leaf = make_certificate({.valid_from_days = -9, .valid_until_days = -2, .issuer = &root});
  CHECK(verify(*trust, {old_leaf}).expired);
  CHECK(verify(*trust, {make_certificate({.valid_from_days = 2, .issuer = &root})}).expired);
  const auto old_middle = make_certificate(
      {.common_name = "Middle", .is_ca = true, .valid_from_days = -9, .valid_until_days = -2, .issuer = &root});
  CHECK(verify(*trust, {make_certificate({.issuer = &old_middle}), old_middle}).expired);

  const auto stranger = verify(*trust, {make_certificate({.valid_from_days = -9, .valid_until_days = -2})});
  CHECK_FALSE(stranger.expired);
  CHECK_FALSE(stranger.trusted);
}

TEST_CASE("trust_store: an expired cross-signature that the peer sends does not hide our own root") {
  const auto key = std::shared_ptr<EVP_PKEY>(make_key(TestKey::p256).release(), EVP_PKEY_free);
  const auto root = make_certificate({.common_name = "Root", .is_ca = true, .existing_key = key});
  const auto old_root =
      make_certificate({.common_name = "Old", .is_ca = true, .valid_from_days = -9, .valid_until_days = -1});
  const auto cross = make_certificate({.common_name = "Root", .is_ca = true, .issuer = &old_root, .existing_key = key});
  const auto leaf = make_certificate({.issuer = &root});
  CHECK(verify(*load(root.certificate_pem() + old_root.certificate_pem()), {leaf, cross}).trusted);
}

std::shared_ptr<EVP_PKEY> new_key() {
  return {make_key(TestKey::p256).release(), EVP_PKEY_free};
}

// Certificates of the same name and key: one is valid, one has expired, one is not valid yet, one is signed by somebody
// whom nobody knows.
struct Twins {
  Twins(const std::string& name, const TestCertificate* issuer) {
    const auto key = new_key();
    const auto make = [&](int from, int until, const TestCertificate* by) {
      return make_certificate({.common_name = name,
                               .is_ca = true,
                               .valid_from_days = from,
                               .valid_until_days = until,
                               .issuer = by,
                               .existing_key = key});
    };
    valid = make(-1, 90, issuer);
    expired = make(-90, -1, issuer);
    early = make(10, 90, issuer);
    strange = make(-1, 90, &stranger);
  }
  TestCertificate stranger = make_certificate({.common_name = "Stranger", .is_ca = true});
  TestCertificate valid, expired, early, strange;
};

TEST_CASE("trust_store: an authority that has expired hides none of the same name and key, wherever either stands") {
  const Twins root("Root", nullptr);
  const Twins middle("Middle", &root.valid);
  const auto leaf = make_certificate({.issuer = &middle.valid});
  const auto pem = [](const std::vector<TestCertificate>& all) {
    std::string text;
    for (const auto& one : all) text += one.certificate_pem();
    return text;
  };
  const std::vector<std::vector<TestCertificate>> files = {
      {root.expired, root.valid}, {root.valid, root.expired},   {root.early, root.valid},
      {root.strange, root.valid}, {middle.expired, root.valid}, {root.expired, root.expired, root.early, root.valid}};
  const std::vector<std::vector<TestCertificate>> chains = {
      {leaf, middle.valid},
      {leaf, middle.expired, middle.valid},
      {leaf, middle.valid, middle.expired},
      {leaf, middle.strange, middle.early, middle.valid},
      {leaf, middle.strange, middle.stranger, middle.valid},
      {leaf, root.expired, root.strange, middle.expired, middle.valid},
      {leaf, middle.expired, middle.early, middle.valid, root.expired, root.valid}};
  for (const auto& file : files) {
    const auto trust = load(pem(file));
    for (const auto& chain : chains) {
      CAPTURE(&file - files.data(), &chain - chains.data());
      CHECK(verify(*trust, chain).trusted);
    }
    CHECK_FALSE(verify(*trust, {leaf, middle.strange, middle.stranger}).trusted);
    CHECK(verify(*trust, {leaf, middle.expired}).expired);
  }
  CHECK(verify(*load(pem({root.expired})), chains[4]).expired);
  CHECK_FALSE(verify(*load(pem({root.strange})), {leaf}).trusted);
}

TEST_CASE("trust_store: a name that two authorities share leads to the one that has signed") {
  const auto root = make_certificate({.common_name = "Root", .is_ca = true});
  const auto namesake = make_certificate({.common_name = "Root", .is_ca = true});
  const auto middle = make_certificate({.common_name = "Middle", .is_ca = true, .issuer = &root});
  const auto other_middle = make_certificate({.common_name = "Middle", .is_ca = true, .issuer = &namesake});
  const auto leaf = make_certificate({.issuer = &middle});
  for (const auto& anchors :
       {root.certificate_pem() + namesake.certificate_pem(), namesake.certificate_pem() + root.certificate_pem()}) {
    CHECK(verify(*load(anchors), {leaf, other_middle, middle}).trusted);
    CHECK(verify(*load(anchors), {leaf, middle, other_middle}).trusted);
  }
  CHECK_FALSE(verify(*load(namesake.certificate_pem()), {leaf, middle, other_middle}).trusted);
}

TEST_CASE("trust_store: a chain of many twins ends in bounded work") {
  const auto key = new_key();
  const auto root = make_certificate({.common_name = "Root", .is_ca = true});
  std::vector<TestCertificate> sent;
  // Each has signed all the others, and none leads anywhere.
  for (int i = 0; i < 15; ++i) {
    sent.push_back(make_certificate({.common_name = "Same", .is_ca = true, .existing_key = key}));
  }
  sent.insert(sent.begin(), make_certificate({.issuer = &sent.front()}));
  const auto trust = load(root.certificate_pem());
  for (int round = 0; round < 10; ++round) {  // without a bound, the first would not end
    CHECK_FALSE(verify(*trust, sent).trusted);
  }
}

TEST_CASE("trust_store: the operator hears of authorities that vouch for nobody, and on which line they stand") {
  const auto good = make_certificate({.common_name = "Good", .is_ca = true}).certificate_pem();
  const auto old =
      make_certificate({.common_name = "Old", .is_ca = true, .valid_from_days = -9, .valid_until_days = -2});
  const auto early = make_certificate({.common_name = "Early", .is_ca = true, .valid_from_days = 2});
  CHECK(load(good)->warnings().empty());
  const auto trust = load("a comment\n" + old.certificate_pem() + good + early.certificate_pem());
  REQUIRE(trust->warnings().size() == 2);
  CHECK(trust->warnings()[0].find("line 2: this CA (CN=Old) expired on ") != std::string::npos);
  CHECK(trust->warnings()[1].find("this CA (CN=Early) is not valid before ") != std::string::npos);
}

TEST_CASE("trust_store: a certificate for clients is none for servers") {
  const auto root = make_certificate({.common_name = "Root", .is_ca = true});
  const auto client = make_certificate({.extended_key_usage = NID_client_auth, .issuer = &root});
  const auto result = verify(*load(root.certificate_pem()), {client});
  CHECK_FALSE(result.trusted);
  CHECK_FALSE(result.expired);
}

TEST_CASE("trust_store: names and digest follow the file") {
  const auto one = make_certificate({.common_name = "One", .is_ca = true}).certificate_pem();
  const auto two = make_certificate({.common_name = "Two", .is_ca = true}).certificate_pem();
  CHECK(load(one + two)->names().size() == 2);
  CHECK(load(one)->digest() == load("a comment\n" + one)->digest());
  CHECK(load(one)->digest() != load(two)->digest());
}

TEST_CASE("trust_store: nobody") {
  const auto root = make_certificate({.common_name = "Root", .is_ca = true});
  const auto result = verify(*TrustStore::nobody(), {root});
  CHECK_FALSE(result.trusted);
  CHECK(result.reason == "there is no CA that we trust");
}

TEST_CASE("trust_store: the system's CAs are those that SSL_CERT_FILE names, without what does not parse") {
  const TempDirectory directory;
  const auto root = make_certificate({.common_name = "Root", .is_ca = true});
  const std::string junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  {
    const Variable file("SSL_CERT_FILE", directory.write("ca", junk + root.certificate_pem()));
    const auto trust = load_system_trust();
    REQUIRE(trust.has_value());
    CHECK((*trust)->names().size() == 1);
    CHECK(verify(**trust, {make_certificate({.issuer = &root})}).trusted);
  }
  const Variable file("SSL_CERT_FILE", directory.path("absent"));
  const auto trust = load_system_trust();
  REQUIRE_FALSE(trust.has_value());
  CHECK(trust.error().code == Errc::not_found);
}

TEST_CASE("trust_store: a file that is absent, empty or broken is an error") {
  const TempDirectory directory;
  CHECK_FALSE(load_authorities(directory.path("absent")).has_value());
  CHECK_FALSE(load_authorities(directory.write("ca", "")).has_value());
  CHECK_FALSE(load_authorities(directory.write("ca", "-----BEGIN CERTIFICATE-----\nAA\n")).has_value());
}

}  // namespace postern::tls::trust_store_test
