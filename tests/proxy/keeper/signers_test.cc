#include "proxy/keeper/signers.h"

#include <sys/socket.h>

#include "proxy/signing/messages.h"
#include "tests/support/catch.h"
#include "tests/support/certificates.h"

namespace signers_test {

using namespace postern;
using namespace postern::keeper;
using test_support::make_certificate;

config::Loaded load(const std::string& text) {
  return config::load_text(text, "test", {});
}

signing::Keys one(const test_support::TestCertificate& made) {
  auto key = tls::SigningKey::parse("key", made.key_pem(), false);
  const std::string name = key->name();
  return {{name, std::make_shared<const tls::SigningKey>(std::move(*key))}};
}

// What the thread at the other end says to a request for a signature with that key.
signing::Answer::Status ask(const UniqueFd& end, const std::string& key) {
  const std::string request = encode(signing::Request{1, {key, tls::KeyOperation::sign, 0x0403, std::string(32, 'd')}});
  REQUIRE(::send(end.get(), request.data(), request.size(), 0) == static_cast<ssize_t>(request.size()));
  char octets[signing::max_answer];
  const ssize_t size = ::recv(end.get(), octets, sizeof octets, 0);
  REQUIRE(size > 0);
  return signing::parse_answer({octets, static_cast<std::size_t>(size)})->status;
}

constexpr auto done = signing::Answer::Status::done;
constexpr auto unknown_key = signing::Answer::Status::unknown_key;

TEST_CASE("signers: keys are taken out of what the gateway is given, and out of nothing else") {
  const auto first = make_certificate({});
  const auto second = make_certificate({.key = test_support::TestKey::p384});
  const auto loaded = load(
      "certificates: {mx: [{chain: chain, key: key}, {chain: both, key: both}]}\n"
      "inbound: {mx: {listen: ['127.0.0.1:25'], backend: {address: '127.0.0.1:26'}, certificates: [mx]}}\n");
  config::Files files;
  files.put("chain", config::File{first.certificate_pem()});
  files.put("key", config::File{first.key_pem(), true});
  files.put("both", config::File{second.key_pem() + second.certificate_pem()});
  files.put("other", config::File{"-----BEGIN PRIVATE KEY----- of somebody else"});
  const auto keys = take_keys(loaded, files);
  CHECK(keys.size() == 2);
  CHECK(files.at("chain")->content == first.certificate_pem());
  CHECK_FALSE(files.at("chain")->key_elsewhere);
  CHECK(files.at("key")->key_elsewhere);
  CHECK(files.at("key")->world_readable);
  CHECK(files.at("key")->content.find("PRIVATE") == std::string::npos);
  CHECK(files.at("both")->content.find("PRIVATE") == std::string::npos);
  CHECK(files.at("both")->content.find("BEGIN CERTIFICATE") != std::string::npos);
  CHECK_FALSE(files.at("other")->key_elsewhere);
  for (const auto& [name, key] : keys) CHECK(key->name() == name);
}

TEST_CASE("signers: what cannot be read as a key is nobody's") {
  const auto loaded = load("certificates: {mx: [{chain: chain, key: key}]}\n");
  config::Files files;
  files.put("key", config::File{"secret"});
  CHECK(take_keys(loaded, files).empty());
  CHECK_FALSE(files.at("key").has_value());
}

TEST_CASE("signers: each worker has a thread, which knows the keys of all snapshots that its gateway has") {
  const auto before = one(make_certificate({}));
  const auto after = one(make_certificate({}));
  Signers signers;
  CHECK_FALSE(signers.running());
  auto ends = signers.begin(2, 1, before);
  CHECK(signers.running());
  REQUIRE((ends.has_value() && ends->size() == 2));
  for (const UniqueFd& end : *ends) {
    CHECK(ask(end, before.begin()->first) == done);
    CHECK(ask(end, after.begin()->first) == unknown_key);
  }
  signers.add(2, after);
  for (const UniqueFd& end : *ends) {
    CHECK(ask(end, before.begin()->first) == done);
    CHECK(ask(end, after.begin()->first) == done);
  }
  signers.drop(1);
  for (const UniqueFd& end : *ends) {
    CHECK(ask(end, before.begin()->first) == unknown_key);
    CHECK(ask(end, after.begin()->first) == done);
  }
  signers.add(3, after);
  signers.drop(2);
  signers.drop(2);
  for (const UniqueFd& end : *ends) CHECK(ask(end, after.begin()->first) == done);
  const auto again = signers.begin(1, 2, after);  // for another gateway
  REQUIRE(again.has_value());
  CHECK(ask(again->front(), before.begin()->first) == unknown_key);
  CHECK(ask(again->front(), after.begin()->first) == done);
  char octet;
  CHECK(::recv(ends->front().get(), &octet, 1, 0) == 0);
}

}  // namespace signers_test
