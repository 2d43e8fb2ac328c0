#include "tls/key_use.h"

#include <openssl/ssl.h>

#include <string>

#include "tests/support/held_keys.h"
#include "tests/tls/engine_pair.h"
#include "tls/client_context.h"
#include "tls/signatures.h"

// Handshakes whose keys are elsewhere.
namespace postern::tls::key_use_test {

using namespace engine_pair;
using namespace std::string_literals;
using test_support::HeldKeys;
using test_support::shared_rsa_key;

TestCertificate make(TestKey kind) {
  CertificateWish wish;
  wish.dns_names = {"mx.example.org"};
  wish.key = kind;
  if (kind == TestKey::rsa) wish.existing_key = shared_rsa_key();
  return make_certificate(wish);
}

void sign_with(Peer& peer, HeldKeys& keys) {
  peer.engine->sign_with(keys, [&peer] { peer.resume(); });
}

// Likewise, answered as soon as it is asked for.
void sign_at_once(Peer& peer, HeldKeys& keys) {
  sign_with(peer, keys);
  peer.on_wait = [&keys] { keys.answer(); };
}

struct World {
  HeldKeys keys;
  TestCertificate made;
  std::shared_ptr<const Certificate> certificate;
  std::unique_ptr<ServerContext> server;
  TestClient client;
  std::optional<Pair> pair;

  explicit World(TestKey kind = TestKey::p256, std::uint16_t version = TLS1_3_VERSION,
                 const std::string& ciphers = "DEFAULT", bool decrypts = false)
      : made(make(kind)), certificate(keys.hold(made, decrypts)), client(version) {
    auto options = server_options({certificate});
    if (ciphers != "DEFAULT") options.tls.cipher_list = ciphers;
    server = make_server(options);
    set_accepted_signatures(client.context.get(), true);
    SSL_CTX_set1_curves_list(client.context.get(), "X25519:P-256:P-384:P-521");  // of certificates, too
    connect();
  }
  Pair& connect() {
    pair.emplace(client, *server);
    return *pair;
  }
  // Up to where the server waits.
  void say_hello(const std::string& behind = {}) {
    sign_with(pair->server, keys);
    pair->client.start();
    pair->server.feed(pair->client.take_output() + behind);
  }
};

TEST_CASE("key use: a server signs with a key that is elsewhere, of any kind and in any version") {
  for (const TestKey kind : {TestKey::p256, TestKey::p384, TestKey::p521, TestKey::rsa, TestKey::ed25519}) {
    for (const std::uint16_t version : {TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION}) {
      if (kind == TestKey::ed25519 && version < TLS1_2_VERSION) continue;
      for (const std::size_t piece : {0, 1, 100}) {
        INFO(static_cast<int>(kind) << " " << version << " " << piece);
        World world(kind, version);
        sign_at_once(world.pair->server, world.keys);
        world.pair->greet(piece);
        CHECK(world.pair->facts().version == SSL_get_version(world.client.ssl));
        REQUIRE(world.keys.asked.size() == 1);
        CHECK(world.keys.asked[0].operation == KeyOperation::sign);
      }
    }
  }
}

TEST_CASE("key use: a client shows a certificate whose key is elsewhere, of any kind and in any version") {
  const auto ca = make_certificate({.common_name = "CA", .is_ca = true});
  for (const TestKey kind : {TestKey::p256, TestKey::p384, TestKey::p521, TestKey::rsa, TestKey::ed25519}) {
    for (const auto version : {config::TlsVersion::tls1_0, config::TlsVersion::tls1_2, config::TlsVersion::tls1_3}) {
      if (kind == TestKey::ed25519 && version < config::TlsVersion::tls1_2) continue;
      INFO(static_cast<int>(kind) << " " << static_cast<int>(version));
      HeldKeys keys;
      CertificateWish wish{.common_name = "client"};
      wish.key = kind;
      wish.issuer = &ca;
      if (kind == TestKey::rsa) wish.existing_key = shared_rsa_key();
      ClientContext::Options ours;
      ours.min_version = ours.max_version = version;
      ours.allow_sha1 = true;
      ours.cipher_list = "ALL";
      ours.client_certificate = std::make_shared<const CertificateStore>(
          std::vector<std::vector<std::shared_ptr<const Certificate>>>{{keys.hold(make_certificate(wish))}});
      const auto client = *ClientContext::make(ours);
      auto theirs = server_options();
      theirs.client_certificates = config::ClientCertificateMode::require;
      theirs.trust = load_trust(ca);
      const auto server = make_server(theirs);
      Pair pair(*client->make_engine("mx.example.org"), *server->make_engine());
      sign_at_once(pair.client, keys);
      pair.handshake();
      CHECK(pair.client.error + pair.server.error == "");
      REQUIRE(pair.server.completed == 1);
      CHECK(pair.facts().verification == Verification::verified);
      CHECK(pair.facts().peer_subject == "CN=client");
      CHECK(keys.asked.size() == 1);
    }
  }
}

TEST_CASE("key use: key exchange by RSA, where somebody's ciphers have it") {
  World world(TestKey::rsa, TLS1_2_VERSION, "AES128-SHA", true);
  sign_at_once(world.pair->server, world.keys);
  world.pair->greet();
  REQUIRE(world.keys.asked.size() == 1);
  CHECK(world.keys.asked[0].operation == KeyOperation::decrypt);

  World refused(TestKey::rsa, TLS1_2_VERSION, "AES128-SHA", false);
  sign_at_once(refused.pair->server, refused.keys);
  refused.pair->handshake();
  CHECK(refused.pair->server.completed == 0);
  CHECK(refused.pair->server.engine->failure() == HandshakeFailure::no_signature);
}

TEST_CASE("key use: a resumed session asks for nothing") {
  for (const std::uint16_t version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    World world(TestKey::p256, version);
    sign_at_once(world.pair->server, world.keys);
    world.pair->greet();
    REQUIRE(world.client.session != nullptr);
    Pair& again = world.connect();
    sign_at_once(again.server, world.keys);
    again.greet();
    CHECK(again.facts().resumed);
    CHECK(world.keys.asked.size() == 1);
  }
}

TEST_CASE("key use: while it waits a handshake says nothing, and goes on with what was kept") {
  const std::string change_cipher_spec = "\x14\x03\x03\x00\x01\x01"s;  // as clients send it for middleboxes
  for (const bool with_hello : {false, true}) {
    INFO(with_hello);
    World world;
    world.say_hello(with_hello ? change_cipher_spec : std::string());
    REQUIRE(world.pair->server.waits);
    CHECK(world.pair->server.out.empty());
    CHECK((world.pair->server.engine->kept() > 0) == with_hello);
    if (!with_hello) world.pair->server.engine->keep(change_cipher_spec);
    CHECK(world.pair->server.engine->kept() == change_cipher_spec.size());
    world.keys.answer();
    CHECK_FALSE(world.pair->server.waits);
    world.pair->run();
    CHECK(world.pair->server.completed == 1);
    CHECK(world.pair->client.error + world.pair->server.error == "");
  }
}

TEST_CASE("key use: rubbish behind the hello ends the handshake once it is looked at") {
  World world;
  world.say_hello(std::string(200'000, 'x'));
  REQUIRE(world.pair->server.waits);
  CHECK(world.pair->server.error.empty());
  world.keys.answer();
  CHECK_FALSE(world.pair->server.error.empty());
  CHECK(world.pair->server.engine->failure() != HandshakeFailure::no_signature);
}

TEST_CASE("key use: who is refused a signature is told so at once, and the peer hears an alert") {
  for (const std::uint16_t version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const int when : {0, 1, 2}) {
      INFO(version << " " << when);
      World world(TestKey::p256, version);
      if (when == 0) world.keys.refuses = "nobody signs now";
      world.say_hello();
      if (when == 1) world.keys.answer_with(fail(Errc::temporary, "the signer has ended"));
      if (when == 2) world.keys.answer_with(std::string(5000, 's'));
      Peer& server = world.pair->server;
      const std::string why[] = {"nobody signs now", "the signer has ended", "a signature is too long"};
      CHECK(server.error == "TLS handshake failed: no signature: " + why[when]);
      CHECK(server.engine->failure() == HandshakeFailure::no_signature);
      CHECK_FALSE(server.engine->handshake_done());
      Pair::carry(server, world.pair->client, 0);
      CHECK(world.pair->client.error.ends_with("internal error"));
    }
  }
}

TEST_CASE("key use: a false signature is found out by the peer") {
  World world;
  world.say_hello();
  world.keys.answer_with("no signature");
  world.pair->run();
  CHECK_FALSE(world.pair->client.error.empty());
  CHECK(world.pair->server.completed == 0);
}

TEST_CASE("key use: without a signer, or with a second wish, a handshake fails") {
  World world;
  world.pair->client.start();
  Pair::carry(world.pair->client, world.pair->server, 0);
  CHECK(world.pair->server.engine->failure() == HandshakeFailure::no_signature);

  KeyUse use(world.keys, [] {});
  const KeyRequest request{std::string(KeyRequest::name_size, 'k'), KeyOperation::sign, SSL_SIGN_ED25519, "message"};
  CHECK(use.begin(request));
  CHECK_FALSE(use.begin(request));
  CHECK(use.failure() == "a handshake uses its key once");

  KeyUse other(world.keys, [] {});
  CHECK_FALSE(other.begin({request.key, request.operation, request.scheme, std::string(40'000, 'm')}));
  CHECK(other.failure() == "more is to be signed with Ed25519 than can be sent for it");
}

TEST_CASE("key use: what cannot be the key exchange of our key is nobody's work, and the peer's fault") {
  for (const std::size_t size : {0, 1, 255, 257}) {
    INFO(size);
    World world(TestKey::rsa, TLS1_2_VERSION, "AES128-SHA", true);
    Pair& pair = *world.pair;
    sign_at_once(pair.server, world.keys);
    pair.client.start();
    Pair::carry(pair.client, pair.server, 0);
    Pair::carry(pair.server, pair.client, 0);
    // A record with a ClientKeyExchange (RFC 5246 7.4.7.1) in place of the client's own.
    const auto two = [](std::size_t number) {
      return std::string{static_cast<char>(number >> 8U), static_cast<char>(number & 0xffU)};
    };
    const std::string body = two(size) + std::string(size, 'x');
    pair.server.feed("\x16\x03\x03"s + two(4 + body.size()) + "\x10\0"s + two(body.size()) + body);
    CHECK(world.keys.asked.empty());
    CHECK(pair.server.error == "TLS handshake failed: its part of the key exchange is not as long as our key");
    CHECK(pair.server.engine->failure() == HandshakeFailure::other);
    CHECK_FALSE(pair.server.engine->lacked_signature());
  }
}

struct ClientWorld {
  HeldKeys keys;
  std::unique_ptr<ClientContext> client;
  std::unique_ptr<ServerContext> server;
  std::optional<Pair> pair;

  explicit ClientWorld(TestKey kind, config::ClientCertificateMode mode, config::TlsVersion version,
                       const std::vector<std::shared_ptr<const Certificate>>& servers = {default_certificate()}) {
    const auto ca = make_certificate({.common_name = "CA", .is_ca = true});
    CertificateWish wish{.common_name = "client"};
    wish.key = kind;
    wish.issuer = &ca;
    ClientContext::Options ours;
    ours.client_certificate = std::make_shared<const CertificateStore>(
        std::vector<std::vector<std::shared_ptr<const Certificate>>>{{keys.hold(make_certificate(wish))}});
    client = *ClientContext::make(ours);
    auto theirs = server_options(servers);
    theirs.tls.max_version = version;
    theirs.client_certificates = mode;
    theirs.trust = load_trust(ca);
    server = make_server(theirs);
  }
  Peer& connect(bool certificate = true) {
    pair.emplace(std::move(*client->connect({.server_name = "mx.example.org", .certificate = certificate})),
                 std::move(*server->make_engine()));
    sign_with(pair->client, keys);
    return pair->client;
  }
};

TEST_CASE("key use: a client that can have nothing signed shows no certificate, and knows that this is why") {
  const auto version = GENERATE(config::TlsVersion::tls1_2, config::TlsVersion::tls1_3);
  ClientWorld world(TestKey::p256, config::ClientCertificateMode::request, version);
  world.keys.refuses = "nobody signs now";
  Peer& refused = world.connect();
  world.pair->greet();
  CHECK(refused.engine->lacked_signature());
  CHECK(world.pair->facts().verification == Verification::no_certificate);

  world.keys.refuses.clear();
  Peer& without = world.connect(false);
  world.pair->greet();
  CHECK(without.engine->lacked_signature());
  CHECK(world.keys.asked.empty());

  Peer& fails = world.connect();
  world.pair->handshake();
  REQUIRE(fails.waits);
  world.keys.answer_with(fail(Errc::temporary, "the signer has ended"));
  CHECK(fails.engine->failure() == HandshakeFailure::no_signature);
  CHECK(fails.engine->lacked_signature());

  world.keys.refuses = "nobody signs now";
  Peer& closed_on = world.connect();
  closed_on.start();
  Pair::carry(world.pair->client, world.pair->server, 0);
  Pair::carry(world.pair->server, world.pair->client, 0);
  CHECK(closed_on.engine->lacked_signature());  // known by now: a peer may say no by closing, and nothing else
  world.keys.refuses.clear();

  Peer& signs = world.connect();
  signs.on_wait = [&] { world.keys.answer(); };
  world.pair->greet();
  CHECK_FALSE(signs.engine->lacked_signature());
  CHECK(world.pair->facts().verification == Verification::verified);
}

TEST_CASE("key use: a client whose handshake is more than Ed25519 can be sent says so") {
  CertificateWish large{.dns_names = {"mx.example.org"}};
  for (int i = 0; i < 800; ++i) large.dns_names.push_back(std::string(50, 'x') + std::to_string(i) + ".example.org");
  ClientWorld world(TestKey::ed25519, config::ClientCertificateMode::request, config::TlsVersion::tls1_2,
                    {load(make_certificate(large))});
  Peer& client = world.connect();
  world.pair->handshake();
  CHECK(client.error ==
        "TLS handshake failed: no signature: more is to be signed with Ed25519 than can be sent for it");
  CHECK(client.engine->failure() == HandshakeFailure::no_signature);
  CHECK(world.keys.asked.empty());
}

TEST_CASE("key use: the answer to a connection that is gone is nobody's") {
  World world;
  world.say_hello();
  REQUIRE(world.keys.waiting() == 1);
  SECTION("destroyed") {
    world.pair.reset();
  }
  SECTION("forgotten") {
    world.pair->server.engine->forget_signature();
  }
  world.keys.answer();
  CHECK(world.keys.waiting() == 0);
  if (world.pair) CHECK(world.pair->server.waits);  // it never went on
}

}  // namespace postern::tls::key_use_test
