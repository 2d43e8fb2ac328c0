#include "tls/client_context.h"

#include <openssl/bytestring.h>
#include <openssl/tls1.h>

#include <algorithm>

#include "tests/support/catch.h"
#include "tests/tls/engine_pair.h"

namespace postern::tls::client_context_test {

using namespace engine_pair;

std::unique_ptr<ClientContext> make_client(ClientContext::Options options = {}) {
  auto client = ClientContext::make(options);
  REQUIRE(client.has_value());
  return std::move(*client);
}

std::string sni_for(const std::string& name) {
  const auto server = make_server();
  Pair pair(std::move(*make_client()->make_engine(name)), std::move(*server->make_engine()));
  pair.greet();
  return pair.facts().sni;
}

TEST_CASE("client_context: SNI carries host names alone") {
  CHECK(sni_for("mx.example.org") == "mx.example.org");
  CHECK(sni_for("mx.example.org.") == "mx.example.org");
  CHECK(sni_for("mx_1.example.org") == "mx_1.example.org");
  CHECK(sni_for("").empty());
  CHECK(sni_for("192.0.2.1").empty());
  CHECK(sni_for("2001:db8::1").empty());
  CHECK(sni_for("not a name").empty());
}

TEST_CASE("client_context: the server's certificate is shown, not judged") {
  const auto server = make_server(server_options(
      {load(make_certificate({.common_name = "expired", .valid_from_days = -9, .valid_until_days = -2}))}));
  Pair pair(std::move(*make_client()->make_engine("mx.example.org")), std::move(*server->make_engine()));
  pair.greet();
  const SessionFacts facts = pair.client.engine->facts();
  CHECK(facts.verification == Verification::not_requested);
  CHECK(facts.peer_subject == "CN=expired");
  CHECK(facts.version == "TLSv1.3");
}

TEST_CASE("client_context: an old server is reached where that is allowed") {
  auto options = server_options({load(make_certificate({.existing_key = test_support::shared_rsa_key()}))});
  options.tls.max_version = config::TlsVersion::tls1_0;
  options.tls.cipher_list = "AES128-SHA";
  const auto server = make_server(options);
  Pair refused(std::move(*make_client()->make_engine("")), std::move(*server->make_engine()));
  refused.handshake();
  CHECK(refused.client.completed == 0);
  CHECK_FALSE(refused.server.error.empty());

  const auto client = make_client(
      {.min_version = config::TlsVersion::tls1_0, .cipher_list = "AES128-SHA", .groups = {}, .allow_sha1 = true});
  Pair pair(std::move(*client->make_engine("")), std::move(*server->make_engine()));
  pair.greet();
  CHECK(pair.client.engine->facts().version == "TLSv1");
  CHECK(pair.client.engine->facts().group.empty());
}

TEST_CASE("client_context: a bad cipher list or group is an error") {
  ClientContext::Options ciphers;
  ciphers.cipher_list = "no such thing";
  CHECK_FALSE(ClientContext::make(ciphers).has_value());
  ClientContext::Options groups;
  groups.groups = {"P-265"};
  CHECK_FALSE(ClientContext::make(groups).has_value());
}

// A server that writes down what it was offered, and can be told anything.
struct TestServer {
  explicit TestServer(const std::string& groups = "X25519:P-256") : context(new_ssl_ctx()) {
    REQUIRE(SSL_CTX_set1_curves_list(context.get(), groups.c_str()) == 1);
    const auto& own = *default_certificate();
    const auto chain = borrowed(own.chain);
    REQUIRE(SSL_CTX_set_chain_and_key(context.get(), chain.data(), chain.size(), own.key.key.get(), nullptr) == 1);
    SSL_CTX_set_ex_data(context.get(), TestClient::index(), this);
    SSL_CTX_set_select_certificate_cb(context.get(), [](const SSL_CLIENT_HELLO* hello) {
      auto* self = static_cast<TestServer*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(hello->ssl), TestClient::index()));
      self->hellos.push_back({groups_of(*hello), shares_of(*hello)});
      return ssl_select_cert_success;
    });
  }
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  void ask_for_certificate(std::vector<std::uint16_t> schemes) const {
    SSL_CTX_set_custom_verify(context.get(), SSL_VERIFY_PEER, accept_any_certificate);
    REQUIRE(SSL_CTX_set_verify_algorithm_prefs(context.get(), schemes.data(), schemes.size()) == 1);
  }

  std::unique_ptr<Engine> engine() const {
    SSL* ssl = SSL_new(context.get());
    SSL_set_accept_state(ssl);
    return std::make_unique<Engine>(ssl);
  }

  static CBS extension(const SSL_CLIENT_HELLO& hello, std::uint16_t type) {
    const std::uint8_t* data = nullptr;
    std::size_t size = 0;
    CBS list;
    CBS_init(&list, nullptr, 0);
    if (SSL_early_callback_ctx_extension_get(&hello, type, &data, &size) == 1) {  // TLS 1.2 has no key shares
      CBS body;
      CBS_init(&body, data, size);
      REQUIRE(CBS_get_u16_length_prefixed(&body, &list) == 1);
    }
    return list;
  }
  static std::vector<std::uint16_t> groups_of(const SSL_CLIENT_HELLO& hello) {
    std::vector<std::uint16_t> groups;
    CBS list = extension(hello, TLSEXT_TYPE_supported_groups);
    for (std::uint16_t group = 0; CBS_get_u16(&list, &group) == 1;) {
      groups.push_back(group);
    }
    return without_grease(groups);
  }
  static std::vector<std::uint16_t> shares_of(const SSL_CLIENT_HELLO& hello) {
    std::vector<std::uint16_t> groups;
    CBS list = extension(hello, TLSEXT_TYPE_key_share);
    CBS share;
    for (std::uint16_t group = 0; CBS_get_u16(&list, &group) == 1 && CBS_get_u16_length_prefixed(&list, &share) == 1;) {
      groups.push_back(group);
    }
    return without_grease(groups);
  }
  static std::vector<std::uint16_t> without_grease(std::vector<std::uint16_t> groups) {
    std::erase_if(groups, [](std::uint16_t group) { return (group & 0x0f0f) == 0x0a0a; });
    return groups;
  }

  struct Hello {
    std::vector<std::uint16_t> groups;
    std::vector<std::uint16_t> shares;
  };
  bssl::UniquePtr<SSL_CTX> context;
  std::vector<Hello> hellos;
};

using Numbers = std::vector<std::uint16_t>;
constexpr std::uint16_t x25519 = 29, p256 = 23, p384 = 24, p521 = 25, x25519_mlkem768 = 0x11ec;

TestServer::Hello hello_to(const TestServer& server, const ClientContext& client, bool post_quantum) {
  Pair pair(std::move(*client.connect({.server_name = "mx.example.org", .post_quantum = post_quantum})),
            server.engine());
  pair.greet();
  return server.hellos.back();
}

TEST_CASE("client_context: one classical key share is sent, whatever groups are offered") {
  const TestServer server;
  const auto client = make_client();
  const bool has_post_quantum = client->offers_post_quantum();
  const auto hello = hello_to(server, *client, true);
  CHECK(hello.shares == Numbers{x25519});
  CHECK((std::find(hello.groups.begin(), hello.groups.end(), x25519_mlkem768) != hello.groups.end()) ==
        has_post_quantum);
  const auto without = hello_to(server, *client, false);
  CHECK(without.groups == Numbers{x25519, p256, p384, p521});
  CHECK(without.shares == Numbers{x25519});
}

TEST_CASE("client_context: the operator's order of classical groups decides which share is sent") {
  const TestServer server;
  const auto client = make_client({.groups = {"X25519MLKEM768", "P-256", "X25519"}});
  CHECK(hello_to(server, *client, true).shares == Numbers{p256});
  CHECK(hello_to(server, *client, false).groups == Numbers{p256, x25519});
}

TEST_CASE("client_context: without post-quantum groups there is nothing to retry without") {
  CHECK_FALSE(make_client({.groups = {"X25519", "P-256"}})->offers_post_quantum());
}

TEST_CASE("client_context: a server that wants a post-quantum group asks for it") {
  const auto client = make_client();
  if (!client->offers_post_quantum()) {
    SUCCEED("this library has none");
    return;
  }
  const TestServer server("X25519MLKEM768");
  Pair pair(std::move(*client->connect({.server_name = "mx.example.org"})), server.engine());
  pair.client.start();
  CHECK(pair.client.out.view().size() < 700);  // one packet, with room to spare
  pair.run();
  CHECK(pair.client.error + pair.server.error == "");
  CHECK(pair.client.completed == 1);
  CHECK(pair.client.engine->facts().group == "X25519MLKEM768");

  Pair refused(std::move(*client->connect({.server_name = "mx.example.org", .post_quantum = false})), server.engine());
  refused.handshake();
  CHECK_FALSE(refused.client.error.empty());
}

TEST_CASE(
    "client_context: servers with P-384 and P-521, as certificate or as their only group, are reached by default") {
  const auto version = GENERATE(config::TlsVersion::tls1_2, config::TlsVersion::tls1_3);
  const auto reaches = [version](TestKey key, std::vector<std::string> groups) {
    auto options = server_options({load(make_certificate({.common_name = "odd", .key = key}))});
    options.tls.groups = std::move(groups);
    options.tls.max_version = version;
    const auto server = make_server(options);
    Pair pair(std::move(*make_client()->make_engine("mx.example.org")), std::move(*server->make_engine()));
    pair.greet();
    return pair.client.engine->facts().peer_subject == "CN=odd";
  };
  for (const TestKey key : {TestKey::p256, TestKey::p384, TestKey::p521, TestKey::ed25519}) {
    CHECK(reaches(key, {"X25519", "P-256", "P-384", "P-521"}));
    CHECK(reaches(key, {"P-384"}));
    CHECK(reaches(key, {"P-521"}));
  }
}

TEST_CASE("client_context: certificates on P-384 and P-521 are shown to servers that ask") {
  const auto version = GENERATE(config::TlsVersion::tls1_2, config::TlsVersion::tls1_3);
  const auto ca = make_certificate({.common_name = "CA", .is_ca = true});
  auto options = server_options();
  options.tls.max_version = version;
  options.client_certificates = config::ClientCertificateMode::require;
  options.trust = load_trust(ca);
  const auto server = make_server(options);
  for (const TestKey key : {TestKey::p256, TestKey::p384, TestKey::p521}) {
    const std::vector<std::vector<std::shared_ptr<const Certificate>>> named = {
        {load(make_certificate({.common_name = "ours", .key = key, .issuer = &ca}))}};
    const auto client = make_client({.client_certificate = std::make_shared<const CertificateStore>(named)});
    Pair pair(std::move(*client->make_engine("mx.example.org")), std::move(*server->make_engine()));
    pair.greet();
    CHECK(pair.facts().verification == Verification::verified);
    CHECK(pair.facts().peer_subject == "CN=ours");
  }
}

TEST_CASE("client_context: an RSA certificate for encipherment only is taken below TLS 1.3") {
  auto options = server_options({load(
      make_certificate({.common_name = "old", .key_usage = {2}, .existing_key = test_support::shared_rsa_key()}))});
  options.tls.max_version = config::TlsVersion::tls1_2;
  const auto server = make_server(options);
  Pair pair(std::move(*make_client()->make_engine("mx.example.org")), std::move(*server->make_engine()));
  pair.greet();
  CHECK(pair.client.engine->facts().peer_subject == "CN=old");
}

// The common name of the certificate that the server was shown.
std::string shown_to(const TestServer& server, const ClientContext& client) {
  Pair pair(std::move(*client.connect({.server_name = "mx.example.org"})), server.engine());
  pair.greet();
  return pair.server.engine->peer_certificates().common_name();
}

TEST_CASE("client_context: a server that asks is shown the certificate that it can verify") {
  const auto version = GENERATE(config::TlsVersion::tls1_2, config::TlsVersion::tls1_3);
  const auto ecdsa = load(make_certificate({.common_name = "ecdsa"}));
  const auto rsa = load(make_certificate({.common_name = "rsa", .existing_key = test_support::shared_rsa_key()}));
  const std::vector<std::vector<std::shared_ptr<const Certificate>>> named = {{rsa, ecdsa}};
  const auto client =
      make_client({.max_version = version, .client_certificate = std::make_shared<const CertificateStore>(named)});
  const auto shown_if_verifies = [&client](std::vector<std::uint16_t> schemes) {
    const TestServer server;
    server.ask_for_certificate(std::move(schemes));
    return shown_to(server, *client);
  };
  CHECK(shown_if_verifies({SSL_SIGN_ECDSA_SECP256R1_SHA256, SSL_SIGN_RSA_PSS_RSAE_SHA256}) == "ecdsa");
  CHECK(shown_if_verifies({SSL_SIGN_RSA_PSS_RSAE_SHA256, SSL_SIGN_ECDSA_SECP256R1_SHA256}) == "ecdsa");
  CHECK(shown_if_verifies({SSL_SIGN_RSA_PSS_RSAE_SHA256}) == "rsa");
  CHECK(shown_if_verifies({SSL_SIGN_ED25519}).empty());
  CHECK(shown_to(TestServer(), *client).empty());

  const TestServer asking;
  asking.ask_for_certificate({SSL_SIGN_ECDSA_SECP256R1_SHA256});
  CHECK(shown_to(asking, *make_client()).empty());
}

}  // namespace postern::tls::client_context_test
