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

// What the thread at the other end says to it.
signing::Answer::Status say(const UniqueFd& end, const tls::KeyRequest& use) {
  const std::string request = encode(signing::Request{1, use});
  REQUIRE(::send(end.get(), request.data(), request.size(), 0) == static_cast<ssize_t>(request.size()));
  char octets[signing::max_answer];
  const ssize_t size = ::recv(end.get(), octets, sizeof octets, 0);
  REQUIRE(size > 0);
  return signing::parse_answer({octets, static_cast<std::size_t>(size)})->status;
}

signing::Answer::Status ask(const UniqueFd& end, const std::string& key) {
  return say(end, {key, tls::KeyOperation::sign, 0x0403, std::string(32, 'd')});
}
signing::Answer::Status decrypt(const UniqueFd& end, const std::string& key) {
  return say(end, {key, tls::KeyOperation::decrypt, 0, std::string(256, '\1')});
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

TEST_CASE("signers: only keys of listeners whose ciphers exchange keys by RSA decrypt") {
  const auto old = make_certificate({.key = test_support::TestKey::rsa});
  const auto other =
      make_certificate({.key = test_support::TestKey::rsa, .existing_key = test_support::shared_rsa_key()});
  const auto named = [](const std::string& name, const std::string& port, const std::string& rest) {
    return name + ": {listen: ['127.0.0.1:" + port +
           "'], backend: {address: '127.0.0.1:26'}, "
           "allow_open_relay_risk: true, certificates: [" +
           name + "]" + rest + "}\n  ";
  };
  const auto loaded = load(
      "certificates: {old: [{chain: chain, key: old}], mx: [{chain: chain, key: other}], last: [{chain: chain, key: "
      "again}]}\ninbound:\n  " +
      named("last", "27", "") + named("mx", "25", "") + named("old", "28", ", cipher_list: ALL"));
  for (const auto& diagnostic : loaded.diagnostics) UNSCOPED_INFO(diagnostic.message);
  REQUIRE(loaded.ok());
  config::Files files;
  files.put("old", config::File{old.key_pem()});
  files.put("other", config::File{other.key_pem()});
  files.put("again", config::File{"# the same key\n" + old.key_pem()});
  const auto keys = take_keys(loaded, files);
  REQUIRE(keys.size() == 2);
  CHECK(keys.at(tls::name_of(*old.key))->decrypts());
  CHECK_FALSE(keys.at(tls::name_of(*other.key))->decrypts());

  Signers signers;
  auto without = tls::SigningKey::parse("old", old.key_pem(), false);
  const std::string name = without->name();
  const auto ends = signers.begin(1, 1, {{name, std::make_shared<const tls::SigningKey>(std::move(*without))}});
  CHECK(decrypt(ends->front(), name) == signing::Answer::Status::unfit);
  signers.add(2, keys);
  CHECK(decrypt(ends->front(), name) == done);
  signers.add(3, {{name, std::make_shared<const tls::SigningKey>(
                             std::move(*tls::SigningKey::parse("old", old.key_pem(), false)))}});
  signers.drop(2);
  CHECK(decrypt(ends->front(), name) == signing::Answer::Status::unfit);
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

TEST_CASE("signers: a worker that has lost its thread gets another, and not as often as it likes") {
  const auto keys = one(make_certificate({}));
  Signers signers;
  CHECK_FALSE(signers.replace(0, 10'000).has_value());
  const auto ends = signers.begin(2, 1, keys);
  const auto another = signers.replace(1, 10'000);
  REQUIRE(another.has_value());
  CHECK(ask(*another, keys.begin()->first) == done);
  char octet;
  CHECK(::recv(ends->back().get(), &octet, 1, 0) == 0);
  CHECK(ask(ends->front(), keys.begin()->first) == done);
  CHECK_FALSE(signers.replace(1, 10'499).has_value());
  CHECK(ask(*another, keys.begin()->first) == done);
  CHECK(signers.replace(0, 10'499).has_value());
  CHECK(signers.replace(1, 10'500).has_value());
  CHECK_FALSE(signers.replace(2, 20'000).has_value());
}

}  // namespace signers_test
