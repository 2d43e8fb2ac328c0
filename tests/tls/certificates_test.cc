#include "tls/certificates.h"

#include <openssl/evp.h>

#include <filesystem>

#include "tests/support/catch.h"
#include "tests/support/certificates.h"
#include "tests/tls/loading.h"

namespace postern::tls::certificates_test {

using namespace test_support;

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

SystemTime now() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

TEST_CASE("certificates: a chain tells subject, names and times") {
  const TempDirectory directory;
  const auto made = make_certificate({.common_name = "not counted", .dns_names = {"MX.example.org", "*.example.net"}});
  const auto chain = load_chain(directory.write("chain", "a comment\n" + made.certificate_pem()));
  REQUIRE(chain.has_value());
  CHECK(chain->certificates.size() == 1);
  CHECK(chain->subject == "CN=not counted");
  CHECK(chain->dns_names == std::vector<std::string>{"mx.example.org", "*.example.net"});
  CHECK(chain->warnings.empty());
  CHECK(std::chrono::abs(chain->not_after - now() - std::chrono::days(90)) < std::chrono::minutes(5));
}

TEST_CASE("certificates: the common name counts only where there is no SAN") {
  const TempDirectory directory;
  const auto chain =
      load_chain(directory.write("chain", make_certificate({.common_name = "Old.Example"}).certificate_pem()));
  REQUIRE(chain.has_value());
  CHECK(chain->dns_names == std::vector<std::string>{"old.example"});
}

TEST_CASE("certificates: a chain out of order is warned of, and the earliest expiry counts") {
  const TempDirectory directory;
  const auto root = make_certificate({.common_name = "Root", .is_ca = true, .valid_until_days = 300});
  const auto middle =
      make_certificate({.common_name = "Middle", .is_ca = true, .valid_until_days = 5, .issuer = &root});
  const auto leaf = make_certificate({.dns_names = {"mx.example.org"}, .issuer = &middle});
  const auto good = load_chain(directory.write("good", leaf.certificate_pem() + middle.certificate_pem()));
  REQUIRE(good.has_value());
  CHECK(good->warnings.empty());
  CHECK(holds(expiry_warning(*good, now() + std::chrono::hours(1)), "in 4 days"));
  const auto swapped =
      load_chain(directory.write("bad", leaf.certificate_pem() + root.certificate_pem() + middle.certificate_pem()));
  REQUIRE(swapped.has_value());
  REQUIRE(swapped->warnings.size() == 2);
  CHECK(holds(swapped->warnings[0], "certificate 2 (CN=Root) did not issue certificate 1"));
}

TEST_CASE("certificates: broken chain files are refused as a whole") {
  const TempDirectory directory;
  const auto made = make_certificate({});
  const std::string pem = made.certificate_pem();
  const auto message = [&directory](const std::string& content) {
    const auto chain = load_chain(directory.write("chain", content));
    return chain ? std::string() : chain.error().message;
  };
  CHECK(message(pem + made.key_pem()) == "");
  CHECK(holds(message(""), "holds no certificate"));
  CHECK(holds(message(made.key_pem()), "holds no certificate"));
  CHECK(holds(message(pem + pem.substr(0, pem.size() / 2)), "has no END"));
  CHECK(holds(message(pem + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
              "certificate 2 does not parse"));
  CHECK(load_chain(directory.path("absent")).error().code == Errc::not_found);
  CHECK(load_chain(directory.path("")).error().code == Errc::io);
}

TEST_CASE("certificates: keys of every kind load; what is wrong with others is said") {
  const TempDirectory directory;
  const auto load = [&directory](const std::string& content) {
    return load_private_key(directory.write("key", content));
  };
  CHECK(load(make_certificate({.key = TestKey::p256}).key_pem())->type == KeyType::ecdsa);
  CHECK(load(make_certificate({.key = TestKey::p384}).key_pem())->type == KeyType::ecdsa);
  CHECK(load(make_certificate({.key = TestKey::ed25519}).key_pem())->type == KeyType::ed25519);
  CHECK(load(make_certificate({.existing_key = shared_rsa_key()}).key_pem())->type == KeyType::rsa);
  CHECK(holds(load(make_certificate({.key = TestKey::rsa1024}).key_pem())->warnings.at(0), "1024 bits"));

  const auto made = make_certificate({});
  CHECK(load(made.certificate_pem() + made.key_pem()).has_value());
  CHECK(holds(load(made.encrypted_key_pem("secret")).error().message, "is encrypted"));
  CHECK(holds(load(made.certificate_pem()).error().message, "holds no private key"));
  CHECK(holds(load("").error().message, "holds no private key"));
  CHECK(
      holds(load("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").error().message, "cannot be read"));
  CHECK(load_private_key(directory.path("absent")).error().code == Errc::not_found);
}

TEST_CASE("certificates: a key that every user may read is warned of") {
  const TempDirectory directory;
  const std::string path = directory.write("key", make_certificate({}).key_pem());
  CHECK(load_private_key(path)->warnings.empty());
  std::filesystem::permissions(path, std::filesystem::perms::others_read, std::filesystem::perm_options::add);
  REQUIRE(load_private_key(path)->warnings.size() == 1);
  CHECK(holds(load_private_key(path)->warnings[0], "readable by every user"));
}

TEST_CASE("certificates: key and chain must belong together") {
  const TempDirectory directory;
  const auto ca = make_certificate({.common_name = "CA", .is_ca = true});
  const auto leaf = make_certificate({.common_name = "leaf", .issuer = &ca});
  const auto matched = [&directory](const std::string& chain, const TestCertificate& key) {
    const auto pair =
        match(*load_chain(directory.write("chain", chain)), *load_private_key(directory.write("key", key.key_pem())));
    return pair ? std::string() : pair.error().message;
  };
  CHECK(matched(leaf.certificate_pem() + ca.certificate_pem(), leaf) == "");
  CHECK(matched(leaf.certificate_pem(), ca) == "the key does not belong to the certificate (CN=leaf)");
  CHECK(holds(matched(ca.certificate_pem() + leaf.certificate_pem(), leaf), "must be the first"));
}

TEST_CASE("certificates: expiry is warned of 30 days before") {
  Chain chain;
  chain.subject = "CN=mx";
  chain.not_before = SystemTime(std::chrono::seconds(1'000'000));
  chain.not_after = chain.not_before + std::chrono::days(90);
  CHECK(expiry_warning(chain, chain.not_after - std::chrono::days(31)).empty());
  CHECK(holds(expiry_warning(chain, chain.not_after - std::chrono::days(29)), "expires on 1970-04-12, in 29 days"));
  CHECK(expiry_warning(chain, chain.not_after).find("EXPIRED") == std::string::npos);
  CHECK(holds(expiry_warning(chain, chain.not_after + std::chrono::seconds(1)), "EXPIRED on 1970-04-12"));
  CHECK(holds(expiry_warning(chain, chain.not_before - std::chrono::seconds(1)), "not valid before 1970-01-12"));
}

std::shared_ptr<const Certificate> named(std::vector<std::string> names, KeyType type) {
  Certificate certificate;
  certificate.chain.dns_names = std::move(names);
  certificate.key.type = type;
  return std::make_shared<const Certificate>(std::move(certificate));
}

TEST_CASE("certificates: candidates by name, ECDSA first") {
  const CertificateStore store({
      {named({"a.example", "*.example"}, KeyType::rsa), named({"a.example"}, KeyType::ecdsa)},
      {named({"b.example", "B.Example."}, KeyType::rsa), named({"*.b.example"}, KeyType::ed25519)},
  });
  const auto positions = [&store](std::string_view sni) {
    const auto found = store.candidates(sni);
    return std::vector<std::size_t>(found.begin(), found.end());
  };
  using Positions = std::vector<std::size_t>;
  CHECK(positions("") == Positions{1, 0});
  CHECK(positions(".") == Positions{1, 0});
  CHECK(positions("a.example") == Positions{1, 0});
  CHECK(positions("A.EXAMPLE.") == Positions{1, 0});
  CHECK(positions("c.example") == Positions{0});
  CHECK(positions("b.example") == Positions{2});
  CHECK(positions("x.b.example") == Positions{3});
  CHECK(positions("y.x.b.example") == Positions{1, 0});
  CHECK(positions(".b.example") == Positions{1, 0});
  CHECK(positions("unknown") == Positions{1, 0});
  CHECK(positions(std::string(255, 'a')) == Positions{1, 0});
  CHECK(positions(std::string(300, 'a')) == Positions{1, 0});
}

}  // namespace postern::tls::certificates_test
