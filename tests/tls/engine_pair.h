// A client and a server engine that talk to each other in memory.
#pragma once

#include <openssl/ssl.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/certificates.h"
#include "tests/tls/loading.h"
#include "tls/certificates.h"
#include "tls/engine.h"
#include "tls/protocol_settings.h"
#include "tls/server_context.h"
#include "tls/ticket_keys.h"
#include "tls/trust_store.h"

namespace postern::tls::engine_pair {

using test_support::CertificateWish;
using test_support::make_certificate;
using test_support::TempDirectory;
using test_support::TestCertificate;
using test_support::TestKey;

// Our own form of a test certificate, by way of the files that an operator would have.
inline std::shared_ptr<const Certificate> load(const TestCertificate& made, const std::string& rest_of_chain = {}) {
  const TempDirectory directory;
  auto chain = load_chain(directory.write("chain", made.certificate_pem() + rest_of_chain));
  auto key = load_private_key(directory.write("key", made.key_pem()));
  REQUIRE(chain.has_value());
  REQUIRE(key.has_value());
  auto certificate = match(std::move(*chain), std::move(*key));
  REQUIRE(certificate.has_value());
  return *certificate;
}

inline std::shared_ptr<const Certificate> default_certificate() {
  static const auto made = load(make_certificate({.dns_names = {"mx.example.org"}}));
  return made;
}

inline std::shared_ptr<const TrustStore> load_trust(const TestCertificate& ca) {
  const TempDirectory directory;
  auto trust = load_authorities(directory.write("ca", ca.certificate_pem()));
  REQUIRE(trust.has_value());
  return std::move(*trust);
}

inline ServerContext::Options server_options(std::vector<std::shared_ptr<const Certificate>> certificates = {
                                                 default_certificate()}) {
  ServerContext::Options options;
  options.tls.min_version = config::TlsVersion::tls1_0;
  options.tls.groups = {"X25519", "P-256"};
  options.certificates = std::make_shared<const CertificateStore>(
      std::vector<std::vector<std::shared_ptr<const Certificate>>>{std::move(certificates)});
  options.ticket_keys = TicketKeys::random(std::chrono::hours(1));
  return options;
}

inline std::unique_ptr<ServerContext> make_server(const ServerContext::Options& options = server_options()) {
  std::vector<ServerContext::Complaint> complaints;
  auto server = ServerContext::make(options, complaints);
  REQUIRE(server != nullptr);
  return server;
}

// A client that can be told anything, and that keeps the sessions it is given.
struct TestClient {
  explicit TestClient(std::uint16_t version = TLS1_3_VERSION) : context(new_ssl_ctx()) {
    SSL_CTX_set_min_proto_version(context.get(), TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context.get(), version);
    SSL_CTX_set_custom_verify(context.get(), SSL_VERIFY_PEER, [](SSL*, std::uint8_t*) { return ssl_verify_ok; });
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_set_ex_data(context.get(), index(), this);
    SSL_CTX_sess_set_new_cb(context.get(), [](SSL* from, SSL_SESSION* given) {
      auto* self = static_cast<TestClient*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(from), index()));
      self->session.reset(given);
      ++self->tickets;
      return 1;
    });
  }
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;

  static int index() {
    static const int made = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return made;
  }

  void use(const TestCertificate& certificate, const TestCertificate* issuer = nullptr) const {
    std::vector<std::string> der = {certificate.der()};
    if (issuer != nullptr) {
      der.push_back(issuer->der());
    }
    std::vector<bssl::UniquePtr<CRYPTO_BUFFER>> owned;
    std::vector<CRYPTO_BUFFER*> chain;
    for (const std::string& one : der) {
      owned.emplace_back(CRYPTO_BUFFER_new(reinterpret_cast<const std::uint8_t*>(one.data()), one.size(), nullptr));
      chain.push_back(owned.back().get());
    }
    REQUIRE(SSL_CTX_set_chain_and_key(context.get(), chain.data(), chain.size(), certificate.key.get(), nullptr) == 1);
  }

  std::unique_ptr<Engine> engine() {
    ssl = SSL_new(context.get());
    SSL_set_connect_state(ssl);
    if (!sni.empty()) {
      SSL_set_tlsext_host_name(ssl, sni.c_str());
    }
    if (session != nullptr) {
      SSL_set_session(ssl, session.get());
    }
    return std::make_unique<Engine>(ssl);
  }

  bssl::UniquePtr<SSL_CTX> context;
  std::string sni;
  bssl::UniquePtr<SSL_SESSION> session;  // offered by the next engine
  int tickets = 0;
  SSL* ssl = nullptr;  // of the last engine, which owns it
};

// An engine and all that has come out of it.
struct Peer {
  explicit Peer(std::unique_ptr<Engine> made) : engine(std::move(made)) {}

  void feed(std::string_view ciphertext) {
    std::vector<char> plaintext(ciphertext.size() + Engine::max_record);
    take(engine->receive(ciphertext, plaintext, out), plaintext);
  }
  void take(const Engine::Received& received, std::span<const char> plaintext = {}) {
    text.append(plaintext.data(), received.plaintext);
    completed += received.handshake_completed ? 1 : 0;
    closed = closed || received.peer_closed;
    waits = received.waits;
    if (received.error) {
      error = received.error->message;
    }
    if (waits && on_wait) on_wait();
  }
  void resume() {
    std::vector<char> plaintext(std::size_t{1} << 20);
    take(engine->resume(plaintext, out), plaintext);
  }
  void start() { take(engine->start(out)); }
  void send(std::string_view plaintext) { REQUIRE_FALSE(engine->send(plaintext, out)); }
  std::string take_output() {
    std::string bytes(out.view());
    out.clear();
    return bytes;
  }

  std::unique_ptr<Engine> engine;
  OutputBuffer out;
  std::string text;
  int completed = 0;
  bool closed = false;
  bool waits = false;
  std::function<void()> on_wait;  // for a key that is elsewhere
  std::string error;
};

struct Pair {
  Pair(std::unique_ptr<Engine> client_engine, std::unique_ptr<Engine> server_engine)
      : client(std::move(client_engine)), server(std::move(server_engine)) {}
  Pair(TestClient& test_client, const ServerContext& context)
      : Pair(test_client.engine(), std::move(*context.make_engine())) {}

  // Carries bytes both ways until nobody has any more; `piece` at a time, 0: all at once.
  void run(std::size_t piece = 0) {
    while (!client.out.empty() || !server.out.empty()) {
      carry(client, server, piece);
      carry(server, client, piece);
    }
  }
  static void carry(Peer& from, Peer& to, std::size_t piece) {
    const std::string bytes = from.take_output();
    const std::size_t step = piece == 0 ? bytes.size() : piece;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      to.feed(std::string_view(bytes).substr(at, step));
    }
  }
  void handshake(std::size_t piece = 0) {
    client.start();
    run(piece);
  }
  // The handshake, and one word each way, with which tickets come.
  void greet(std::size_t piece = 0) {
    handshake(piece);
    REQUIRE(client.error + server.error == "");
    REQUIRE(client.completed == 1);
    REQUIRE(server.completed == 1);
    server.send("220 hello\r\n");
    run(piece);
    client.send("EHLO me\r\n");
    run(piece);
    REQUIRE(client.text == "220 hello\r\n");
    REQUIRE(server.text == "EHLO me\r\n");
    client.text.clear();
    server.text.clear();
  }
  SessionFacts facts() const { return server.engine->facts(); }

  Peer client;
  Peer server;
};

}  // namespace postern::tls::engine_pair
