#include "tls/engine.h"

#include <openssl/aead.h>
#include <openssl/ssl.h>

#include <atomic>
#include <random>
#include <thread>

#include "tests/support/catch.h"
#include "tests/tls/engine_pair.h"

namespace postern::tls::engine_test {

using namespace engine_pair;

constexpr std::uint16_t versions[] = {TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION};

std::string random_text(std::size_t size, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::string text(size, '\0');
  for (char& letter : text) {
    letter = static_cast<char>(random());
  }
  return text;
}

TEST_CASE("engine: a handshake completes with every version, whole and starved") {
  const auto server = make_server();
  for (const std::uint16_t version : versions) {
    for (const std::size_t piece : {0, 1, 2, 5, 100}) {
      TestClient client(version);
      client.sni = "MX.Example.org";
      Pair pair(client, *server);
      CHECK_FALSE(pair.server.engine->handshake_done());
      pair.greet(piece);
      CHECK(pair.server.engine->handshake_done());
      CHECK(pair.facts().sni == "mx.example.org");
      CHECK(pair.facts().version == SSL_get_version(client.ssl));
      CHECK_FALSE(pair.facts().resumed);
      CHECK(pair.facts().verification == Verification::not_requested);
      CHECK(pair.client.engine->facts().peer_common_name == "mx.example.org");
      CHECK(pair.client.engine->facts().peer_subject == "CN=mx.example.org");
    }
  }
}

TEST_CASE("engine: facts name the cipher and the group as standards do") {
  TestClient client;
  const auto server = make_server();
  Pair pair(client, *server);
  pair.greet();
  CHECK(pair.facts().version == "TLSv1.3");
  CHECK(pair.facts().cipher.starts_with("TLS_"));
  CHECK(pair.facts().group == "X25519");
  CHECK(pair.facts().sni.empty());
}

TEST_CASE("engine: start does nothing on a server") {
  const auto server = make_server();
  Peer peer(std::move(*server->make_engine()));
  peer.start();
  CHECK(peer.out.empty());
  CHECK(peer.error.empty());
}

TEST_CASE("engine: what the client sends with the end of its handshake is decrypted in the same round") {
  const auto server = make_server();
  TestClient client;
  Pair pair(client, *server);
  pair.client.start();
  Pair::carry(pair.client, pair.server, 0);
  Pair::carry(pair.server, pair.client, 0);
  REQUIRE(pair.client.completed == 1);
  pair.client.send("EHLO early\r\n");
  const std::string bytes = pair.client.take_output();
  std::vector<char> plaintext(bytes.size() + Engine::max_record);
  const auto received = pair.server.engine->receive(bytes, plaintext, pair.server.out);
  CHECK(received.handshake_completed);
  CHECK(std::string_view(plaintext.data(), received.plaintext) == "EHLO early\r\n");
}

TEST_CASE("engine: tickets ride with the first reply") {
  const auto server = make_server();
  TestClient client;
  Pair pair(client, *server);
  pair.handshake();
  CHECK(pair.server.completed == 1);
  CHECK(client.tickets == 0);
  pair.server.send("220 hello\r\n");
  pair.run();
  CHECK(client.tickets == 1);
}

TEST_CASE("engine: big transfers of any size arrive unchanged, both ways") {
  const auto server = make_server();
  for (const std::uint16_t version : versions) {
    TestClient client(version);
    Pair pair(client, *server);
    pair.greet();
    std::mt19937 random(version);
    for (int round = 0; round < 8; ++round) {
      const std::string to_server = random_text(random() % 300'000, random());
      const std::string to_client = random_text(random() % 300'000, random());
      const std::size_t piece = random() % 4 == 0 ? 0 : 1 + random() % 40'000;
      pair.client.send(to_server);
      pair.server.send(to_client);
      pair.run(piece);
      CHECK((pair.server.text == to_server));
      CHECK((pair.client.text == to_client));
      pair.server.text.clear();
      pair.client.text.clear();
    }
  }
}

TEST_CASE("engine: plaintext goes out in full records") {
  const auto server = make_server();
  TestClient client;
  Pair pair(client, *server);
  pair.greet();
  pair.server.send(std::string(64 * 1024, 'x'));
  const std::string bytes = pair.server.take_output();
  std::size_t records = 0;
  for (std::size_t at = 0; at + 5 <= bytes.size(); ++records) {
    at += 5 + (static_cast<std::uint8_t>(bytes[at + 3]) << 8 | static_cast<std::uint8_t>(bytes[at + 4]));
  }
  CHECK(records == 4);
}

TEST_CASE("engine: sending nothing sends nothing") {
  const auto server = make_server();
  TestClient client;
  Pair pair(client, *server);
  pair.greet();
  pair.server.send("");
  CHECK(pair.server.out.empty());
}

TEST_CASE("engine: close_notify is told from a stream that merely ends") {
  const auto server = make_server();
  TestClient client(static_cast<std::uint16_t>(GENERATE(TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION)));
  Pair pair(client, *server);
  pair.greet();
  pair.client.send("last words");
  pair.run();
  CHECK_FALSE(pair.server.closed);
  pair.client.engine->close(pair.client.out);
  CHECK_FALSE(pair.client.out.empty());
  pair.run();
  CHECK(pair.server.text == "last words");
  CHECK(pair.server.closed);
  CHECK(pair.server.error.empty());

  SECTION("closing twice says it once") {
    pair.client.engine->close(pair.client.out);
    CHECK(pair.client.out.empty());
  }
  SECTION("the other side may still send what it has, then close") {
    pair.server.send("221 bye\r\n");
    pair.server.engine->close(pair.server.out);
    pair.run();
    CHECK(pair.client.text == "221 bye\r\n");
    CHECK(pair.client.closed);
  }
  SECTION("what follows a close_notify is dropped") {
    pair.server.feed("more");
    CHECK(pair.server.text == "last words");
    CHECK(pair.server.error.empty());
  }
}

TEST_CASE("engine: closing before the handshake is over is harmless") {
  const auto server = make_server();
  TestClient client;
  Pair pair(client, *server);
  pair.server.engine->close(pair.server.out);
  CHECK(pair.server.out.empty());
  pair.client.start();
  pair.client.engine->close(pair.client.out);
  pair.run();
  CHECK(pair.server.completed == 1);
}

TEST_CASE("engine: plaintext to a TLS server is a clean error") {
  const auto server = make_server();
  Peer smtp(std::move(*server->make_engine()));
  smtp.feed("EHLO client.example\r\n");
  CHECK(smtp.error == "TLS handshake failed: the peer does not speak TLS (wrong version number)");
  CHECK(smtp.out.view().substr(0, 1) == "\x15");  // an alert

  Peer http(std::move(*server->make_engine()));
  http.feed("GET / HTTP/1.0\r\n\r\n");
  CHECK(http.error == "TLS handshake failed: the peer speaks HTTP, not TLS");
}

TEST_CASE("engine: garbage at any place of a handshake ends it, with an alert and without a crash") {
  const auto server = make_server();
  TestClient recorded;
  Pair good(recorded, *server);
  good.client.start();
  const std::string hello = good.client.take_output();
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::string broken = hello;
    for (unsigned flips = 1 + random() % 4; flips > 0; --flips) {
      broken[random() % broken.size()] = static_cast<char>(random());
    }
    Peer peer(std::move(*server->make_engine()));
    peer.feed(broken);
    peer.feed(random_text(random() % 600, random()));
    CHECK(peer.completed == 0);
    if (!peer.error.empty()) {
      CHECK(peer.error.starts_with("TLS handshake failed: "));
      peer.feed("anything");  // a broken engine stays broken
    }
  }
}

TEST_CASE("engine: a record changed on the way breaks the connection") {
  const auto server = make_server();
  for (const std::uint16_t version : versions) {
    TestClient client(version);
    Pair pair(client, *server);
    pair.greet();
    pair.client.send("MAIL FROM:<a@example>\r\n");
    std::string bytes = pair.client.take_output();
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    pair.server.feed(bytes);
    CHECK(pair.server.text.size() <= 1);  // TLS 1.0 sends the first octet in a record of its own
    CHECK(pair.server.error.starts_with("TLS connection broken: "));
    CHECK_FALSE(pair.server.out.empty());
    pair.run();
    CHECK(pair.client.error.starts_with("TLS connection broken: the peer refused: "));
  }
}

TEST_CASE("engine: no common version is told in words") {
  auto options = server_options();
  options.tls.min_version = config::TlsVersion::tls1_2;
  const auto server = make_server(options);
  TestClient client(TLS1_1_VERSION);
  Pair pair(client, *server);
  pair.handshake();
  CHECK(pair.server.error == "TLS handshake failed: unsupported protocol");
  CHECK(pair.client.error == "TLS handshake failed: the peer refused: protocol version");
}

// A TLS 1.2 record of the client that carries `content`, made by hand with the connection's own keys.
std::string handmade_record(SSL* ssl, std::uint8_t type, std::uint64_t sequence, const std::string& content) {
  std::vector<std::uint8_t> keys(SSL_get_key_block_len(ssl));
  REQUIRE(SSL_generate_key_block(ssl, keys.data(), keys.size()) == 1);
  REQUIRE(keys.size() == 40);  // AES-128-GCM: two keys, two salts
  bssl::ScopedEVP_AEAD_CTX aead;
  REQUIRE(EVP_AEAD_CTX_init(aead.get(), EVP_aead_aes_128_gcm(), keys.data(), 16, 16, nullptr) == 1);
  std::uint8_t nonce[12] = {keys[32], keys[33], keys[34], keys[35], 9, 9, 9, 9, 9, 9, 9, 9};
  std::vector<std::uint8_t> associated;
  for (int shift = 56; shift >= 0; shift -= 8) {
    associated.push_back(static_cast<std::uint8_t>(sequence >> shift));
  }
  const auto size = static_cast<std::uint8_t>(content.size());
  associated.insert(associated.end(), {type, 3, 3, 0, size});
  std::vector<std::uint8_t> sealed(content.size() + 16);
  std::size_t sealed_size = 0;
  REQUIRE(EVP_AEAD_CTX_seal(aead.get(), sealed.data(), &sealed_size, sealed.size(), nonce, sizeof nonce,
                            reinterpret_cast<const std::uint8_t*>(content.data()), content.size(), associated.data(),
                            associated.size()) == 1);
  std::string record = {static_cast<char>(type), 3, 3, 0, static_cast<char>(8 + sealed_size)};
  record.append(nonce + 4, nonce + 12);
  record.append(sealed.begin(), sealed.end());
  return record;
}

TEST_CASE("engine: renegotiation is refused") {
  const auto server = make_server();
  TestClient client(TLS1_2_VERSION);
  REQUIRE(SSL_CTX_set_cipher_list(client.context.get(), "ECDHE-ECDSA-AES128-GCM-SHA256") == 1);
  Pair pair(client, *server);
  pair.handshake();
  REQUIRE(pair.server.completed == 1);

  SECTION("the record made by hand is one the server understands") {
    pair.server.feed(handmade_record(client.ssl, 23, 1, "NOOP\r\n"));
    CHECK(pair.server.text == "NOOP\r\n");
    CHECK(pair.server.error.empty());
  }
  SECTION("a second ClientHello") {
    pair.server.feed(handmade_record(client.ssl, 22, 1, std::string("\x01\0\0\x02\x03\x03", 6)));
    CHECK(pair.server.error == "TLS connection broken: no renegotiation");
    CHECK_FALSE(pair.server.out.empty());
    CHECK(pair.server.completed == 1);
  }
}

TEST_CASE("engine: threads share one context") {
  auto options = server_options();
  options.ticket_keys = TicketKeys::random(std::chrono::milliseconds(2));  // rotates all the time
  const auto server = make_server(options);
  std::vector<std::thread> threads;
  std::atomic<int> sessions{0};
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&server, &sessions, thread] {
      TestClient client(thread % 2 == 0 ? TLS1_2_VERSION : TLS1_3_VERSION);
      for (int round = 0; round < 40; ++round) {
        Pair pair(client, *server);
        pair.handshake();
        if (pair.server.completed == 1 && !pair.server.engine->send("220\r\n", pair.server.out)) {
          pair.run();
          sessions += pair.client.text == "220\r\n" && pair.facts().version.starts_with("TLS") ? 1 : 0;
        }
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(sessions == 160);
}

}  // namespace postern::tls::engine_test
