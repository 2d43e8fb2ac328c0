#include "tls/certificate_use.h"

#include "tests/support/catch.h"
#include "tests/tls/engine_pair.h"

namespace postern::tls::certificate_use_test {

using namespace engine_pair;

constexpr int key_encipherment = 2;
constexpr int data_encipherment = 3;

// openssl ecparam -genkey -name prime256v1 -param_enc explicit: a self-signed CA.
constexpr const char* explicit_curve =
    "-----BEGIN CERTIFICATE-----\n"
    "MIICcTCCAhegAwIBAgIUHm8IwrgCUoVlx1myw1f3L2d2pL4wCgYIKoZIzj0EAwIw\n"
    "EzERMA8GA1UEAwwIZXhwbGljaXQwIBcNMjYxMTI3MTUwMzA4WhgPMjEyNjExMDMx\n"
    "NTAzMDhaMBMxETAPBgNVBAMMCGV4cGxpY2l0MIIBSzCCAQMGByqGSM49AgEwgfcC\n"
    "AQEwLAYHKoZIzj0BAQIhAP////8AAAABAAAAAAAAAAAAAAAA////////////////\n"
    "MFsEIP////8AAAABAAAAAAAAAAAAAAAA///////////////8BCBaxjXYqjqT57Pr\n"
    "vVV2mIa8ZR0GsMxTsPY7zjw+J9JgSwMVAMSdNgiG5wSTamZ44ROdJreBn36QBEEE\n"
    "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54W\n"
    "K84zV2sxXs7LtkBoN79R9QIhAP////8AAAAA//////////+85vqtpxeehPO5ysL8\n"
    "YyVRAgEBA0IABEvLIPnBf57yi+cu0xdjwOWpPoRyl9/Pk4JyaBpmy2zOHoxQq48k\n"
    "G6yV2wQKo13Jbg+L1dnwPH8p1D3UX2hk8xOjUzBRMB0GA1UdDgQWBBRdvTwUcPPp\n"
    "fEtK6auJZPyKTkg+vDAfBgNVHSMEGDAWgBRdvTwUcPPpfEtK6auJZPyKTkg+vDAP\n"
    "BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQDvtGAeH828uDMRDqSw\n"
    "FQMt/8E8HttJoK5qgrSDoSliSAIgGn/JqCsSWql6QbYljYyb1Jad4DErQ1fIB0dM\n"
    "ArWeBKo=\n"
    "-----END CERTIFICATE-----\n";

// What is wrong with the pair, or nothing.
std::string refusal(const TestCertificate& made, const std::string& rest_of_chain = {}) {
  const TempDirectory directory;
  auto certificate = match(*load_chain(directory.write("chain", made.certificate_pem() + rest_of_chain)),
                           *load_private_key(directory.write("key", made.key_pem())));
  CHECK((certificate || certificate.error().code == Errc::unsupported));
  return certificate ? std::string() : certificate.error().message;
}

TEST_CASE("certificate_use: an EC or Ed25519 certificate that may not sign is refused, and what it lacks is said") {
  for (const TestKey key : {TestKey::p256, TestKey::p384, TestKey::p521, TestKey::ed25519}) {
    const auto message = refusal(
        make_certificate({.common_name = "mx", .key = key, .key_usage = {key_encipherment, data_encipherment}}));
    CHECK(
        message.starts_with("the certificate (CN=mx) cannot be used: its keyUsage (keyEncipherment, "
                            "dataEncipherment) lacks digitalSignature"));
    CHECK(refusal(make_certificate({.key = key, .key_usage = {0, key_encipherment}})).empty());
    CHECK(refusal(make_certificate({.key = key})).empty());
  }
}

TEST_CASE("certificate_use: an RSA certificate that may not sign is taken, with a warning in either role") {
  const auto made = make_certificate(
      {.common_name = "mx", .key_usage = {key_encipherment}, .existing_key = test_support::shared_rsa_key()});
  CHECK(refusal(made).empty());
  const auto loaded = load(made);
  CHECK(use_warnings(*loaded, PeerRole::server) ==
        std::vector<std::string>{"the certificate (CN=mx) may not sign: its keyUsage (keyEncipherment) lacks "
                                 "digitalSignature, so that many clients refuse it"});
  CHECK(use_warnings(*loaded, PeerRole::client).size() == 1);
  CHECK(use_warnings(*load(make_certificate({})), PeerRole::server).empty());
  CHECK(use_warnings(*load(make_certificate({})), PeerRole::client).empty());
}

TEST_CASE("certificate_use: a certificate for servers only is no client certificate, and the other way round") {
  const auto server = load(make_certificate({.common_name = "mx", .extended_key_usage = NID_server_auth}));
  CHECK(use_warnings(*server, PeerRole::server).empty());
  REQUIRE(use_warnings(*server, PeerRole::client).size() == 1);
  CHECK(use_warnings(*server, PeerRole::client)[0].find("lacks clientAuth") != std::string::npos);
  const auto client = load(make_certificate({.common_name = "mx", .extended_key_usage = NID_client_auth}));
  CHECK(use_warnings(*client, PeerRole::client).empty());
  REQUIRE(use_warnings(*client, PeerRole::server).size() == 1);
  CHECK(use_warnings(*client, PeerRole::server)[0].find("lacks serverAuth") != std::string::npos);
}

TEST_CASE(
    "certificate_use: explicit curve parameters are called that, in our own certificate, its chain and a CA file") {
  const TempDirectory directory;
  const std::string path = directory.write("explicit", explicit_curve);
  const auto other = make_certificate({});
  const auto pair = match(*load_chain(path), *load_private_key(directory.write("key", other.key_pem())));
  REQUIRE_FALSE(pair.has_value());
  CHECK(pair.error().code == Errc::unsupported);
  CHECK(pair.error().message.starts_with("the certificate (CN=explicit) describes its curve by explicit parameters"));

  const auto chain = load_chain(directory.write("chain", other.certificate_pem() + explicit_curve));
  REQUIRE(chain.has_value());
  REQUIRE(chain->warnings.size() == 1);
  CHECK(chain->warnings[0].starts_with("certificate 2 (CN=explicit) describes its curve by explicit parameters"));

  const auto trust = load_authorities(path);
  REQUIRE(trust.has_value());
  REQUIRE((*trust)->warnings().size() == 1);
  CHECK((*trust)->warnings()[0].find("line 1: this CA (CN=explicit) describes its curve by explicit") !=
        std::string::npos);
}

}  // namespace postern::tls::certificate_use_test
