#include "tls/server_context.h"

#include <openssl/ssl.h>

#include "tests/support/catch.h"
#include "tests/tls/engine_pair.h"
#include "tls/unasked_clients.h"

namespace postern::tls::server_context_test {

using namespace engine_pair;
using Certificates = std::vector<std::shared_ptr<const Certificate>>;

TestCertificate make_rsa(CertificateWish wish) {
  wish.existing_key = test_support::shared_rsa_key();
  return make_certificate(wish);
}

// The subject of the certificate that the server shows.
std::string shown(TestClient& client, const ServerContext& server) {
  Pair pair(client, server);
  pair.handshake();
  return pair.client.completed == 1 ? pair.client.engine->facts().peer_subject : "! " + pair.server.error;
}

std::string shown_for(const ServerContext& server, const std::string& sni) {
  TestClient client;
  client.sni = sni;
  return shown(client, server);
}

TEST_CASE("server_context: SNI picks the certificate: exact, then wildcard, then the default") {
  const auto server = make_server(server_options({
      load(make_certificate({.common_name = "default", .dns_names = {"mx.example.org"}})),
      load(make_certificate({.common_name = "wild", .dns_names = {"*.example.net"}})),
      load(make_certificate({.common_name = "exact", .dns_names = {"mx.example.net", "other.example"}})),
      load(make_certificate({.common_name = "named.example"})),
  }));
  CHECK(shown_for(*server, "") == "CN=default");
  CHECK(shown_for(*server, "mx.example.org") == "CN=default");
  CHECK(shown_for(*server, "nobody.example") == "CN=default");
  CHECK(shown_for(*server, "mx.example.net") == "CN=exact");
  CHECK(shown_for(*server, "MX.EXAMPLE.NET") == "CN=exact");
  CHECK(shown_for(*server, "mx.example.net.") == "CN=exact");
  CHECK(shown_for(*server, "other.example") == "CN=exact");
  CHECK(shown_for(*server, "a.example.net") == "CN=wild");
  CHECK(shown_for(*server, "a.b.example.net") == "CN=default");
  CHECK(shown_for(*server, "example.net") == "CN=default");
  CHECK(shown_for(*server, "named.example") == "CN=named.example");
}

TEST_CASE("server_context: ECDSA goes to clients that can check it, RSA to the others") {
  auto both = server_options({
      load(make_rsa({.common_name = "rsa", .dns_names = {"mx.example.org"}})),
      load(make_certificate({.common_name = "ecdsa", .dns_names = {"mx.example.org"}})),
  });
  both.tls.cipher_list = "ALL";
  const auto server = make_server(both);
  for (const std::uint16_t version : {TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION}) {
    TestClient able(static_cast<std::uint16_t>(version));
    CHECK(shown(able, *server) == "CN=ecdsa");
  }
  SECTION("TLS 1.3 without ECDSA signatures") {
    TestClient client;
    const std::uint16_t prefs[] = {SSL_SIGN_RSA_PSS_RSAE_SHA256};
    SSL_CTX_set_verify_algorithm_prefs(client.context.get(), prefs, 1);
    CHECK(shown(client, *server) == "CN=rsa");
  }
  SECTION("TLS 1.3 with ECDSA on another curve only") {
    TestClient client;
    const std::uint16_t prefs[] = {SSL_SIGN_ECDSA_SECP384R1_SHA384, SSL_SIGN_RSA_PSS_RSAE_SHA256};
    SSL_CTX_set_verify_algorithm_prefs(client.context.get(), prefs, 2);
    CHECK(shown(client, *server) == "CN=rsa");
  }
  SECTION("TLS 1.2 without an ECDSA cipher suite") {
    TestClient client(TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(client.context.get(), "ECDHE-RSA-AES128-GCM-SHA256");
    CHECK(shown(client, *server) == "CN=rsa");
  }
  SECTION("TLS 1.2 with RSA key exchange") {
    TestClient client(TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(client.context.get(), "AES128-SHA");
    CHECK(shown(client, *server) == "CN=rsa");
  }
  SECTION("TLS 1.2 without the certificate's curve") {
    TestClient client(TLS1_2_VERSION);
    SSL_CTX_set1_curves_list(client.context.get(), "X25519");
    CHECK(shown(client, *server) == "CN=rsa");
  }
  SECTION("TLS 1.0 without an ECDSA cipher suite") {
    TestClient client(TLS1_VERSION);
    SSL_CTX_set_cipher_list(client.context.get(), "ECDHE-RSA-AES128-SHA");
    CHECK(shown(client, *server) == "CN=rsa");
  }
  SECTION("a client that takes TLS 1.3, from a server that does not") {
    auto options =
        server_options({load(make_certificate({.common_name = "ecdsa"})), load(make_rsa({.common_name = "rsa"}))});
    options.tls.max_version = config::TlsVersion::tls1_2;
    options.tls.cipher_list = "ECDHE-RSA-AES128-GCM-SHA256";
    const auto rsa_only = make_server(options);
    TestClient client;
    CHECK(shown(client, *rsa_only) == "CN=rsa");
  }
  SECTION("neither will do: an error of the handshake") {
    TestClient client;
    const std::uint16_t prefs[] = {SSL_SIGN_ED25519};
    SSL_CTX_set_verify_algorithm_prefs(client.context.get(), prefs, 1);
    CHECK(shown(client, *server) == "! TLS handshake failed: no common signature algorithms");
  }
}

TEST_CASE("server_context: P-384, P-521 and Ed25519 keys serve, too") {
  TestClient client;
  const std::uint16_t prefs[] = {SSL_SIGN_ED25519, SSL_SIGN_ECDSA_SECP384R1_SHA384, SSL_SIGN_ECDSA_SECP521R1_SHA512};
  SSL_CTX_set_verify_algorithm_prefs(client.context.get(), prefs, 3);
  const auto p521 =
      make_server(server_options({load(make_certificate({.common_name = "p521", .key = TestKey::p521}))}));
  CHECK(shown(client, *p521) == "CN=p521");
  const auto p384 =
      make_server(server_options({load(make_certificate({.common_name = "p384", .key = TestKey::p384}))}));
  CHECK(shown(client, *p384) == "CN=p384");
  const auto ed25519 =
      make_server(server_options({load(make_certificate({.common_name = "ed25519", .key = TestKey::ed25519}))}));
  CHECK(shown(client, *ed25519) == "CN=ed25519");
}

TEST_CASE("server_context: groups the library lacks are left out, with one complaint") {
  auto options = server_options();
  options.tls.groups = {"X448", "P-384", "secp384r1", "prime256v1"};
  std::vector<ServerContext::Complaint> complaints;
  const auto server = ServerContext::make(options, complaints);
  REQUIRE(server != nullptr);
  REQUIRE(complaints.size() == 1);
  CHECK_FALSE(complaints[0].is_error);
  CHECK(complaints[0].option == std::string("groups"));
  CHECK(complaints[0].message.find("X448") != std::string::npos);
  TestClient client;
  SSL_CTX_set1_curves_list(client.context.get(), "X25519:P-384");
  Pair pair(client, *server);
  pair.greet();
  CHECK(pair.facts().group == "P-384");

  options.tls.groups = {"X448"};
  CHECK(ServerContext::make(options, complaints) == nullptr);
  CHECK(complaints.back().is_error);
  options.tls.groups = {"X25519", "P-265"};
  CHECK(ServerContext::make(options, complaints) == nullptr);
  CHECK(complaints.back().message.find("P-265") != std::string::npos);
}

TEST_CASE("server_context: a cipher list that cannot be used is an error, unknown names in it a warning") {
  auto options = server_options();
  std::vector<ServerContext::Complaint> complaints;
  options.tls.cipher_list = "no such thing";
  CHECK(ServerContext::make(options, complaints) == nullptr);
  REQUIRE(complaints.size() == 1);
  CHECK(complaints[0].is_error);
  CHECK(complaints[0].option == std::string("cipher_list"));

  complaints.clear();
  options.tls.cipher_list = "ECDHE-ECDSA-AES128-GCM-SHA256:DHE-RSA-AES128-GCM-SHA256";
  CHECK(ServerContext::make(options, complaints) != nullptr);
  REQUIRE(complaints.size() == 1);
  CHECK_FALSE(complaints[0].is_error);
}

TEST_CASE("server_context: a cipher list must select something that these versions and certificates can use") {
  const auto complaint = [](const std::string& list, config::TlsVersion min, config::TlsVersion max) {
    auto options = server_options();
    options.tls.cipher_list = list;
    options.tls.min_version = min;
    options.tls.max_version = max;
    std::vector<ServerContext::Complaint> complaints;
    const auto server = ServerContext::make(options, complaints);
    CHECK((server == nullptr) == (!complaints.empty() && complaints[0].is_error));
    if (complaints.empty()) {
      return std::string();
    }
    CHECK(complaints.size() == 1);
    CHECK(complaints[0].option == std::string("cipher_list"));
    return (complaints[0].is_error ? "error " : "warning ") + complaints[0].message;
  };
  using enum config::TlsVersion;
  for (const char* list : {"!ALL", "ALL:!ALL", "TLS_AES_128_GCM_SHA256", ":", " ", "ECDHE-PSK-AES128-CBC-SHA", "PSK"}) {
    CAPTURE(list);
    CHECK(complaint(list, tls1_2, tls1_3).starts_with("error the cipher list "));
    CHECK(complaint(list, tls1_0, tls1_2).starts_with("error the cipher list "));
  }
  CHECK(complaint("ECDHE+AESGCM", tls1_0, tls1_1).starts_with("error the cipher list selects nothing"));
  CHECK(complaint("ECDHE+AESGCM", tls1_0, tls1_2).empty());
  CHECK(complaint("ECDHE-RSA-AES128-GCM-SHA256", tls1_2, tls1_2).starts_with("error no cipher of the list"));
  CHECK(complaint("ECDHE-RSA-AES128-GCM-SHA256", tls1_2, tls1_3).starts_with("warning no cipher of the list"));
  CHECK(complaint("ECDHE-RSA-AES128-GCM-SHA256", tls1_3, tls1_3).empty());
  CHECK(complaint("", tls1_0, tls1_0).empty());
}

TEST_CASE("server_context: key exchange without forward secrecy takes its explicit name") {
  const auto with = [](const std::string& ours, const std::string& theirs) {
    auto options = server_options({load(make_rsa({.common_name = "rsa"}))});
    options.tls.cipher_list = ours;
    TestClient client(TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(client.context.get(), theirs.c_str());
    return shown(client, *make_server(options));
  };
  CHECK(with("", "kRSA") == "! TLS handshake failed: no shared cipher");
  CHECK(with("AES128-SHA", "kRSA") == "CN=rsa");
  CHECK(with("", "ECDHE-RSA-AES128-SHA") == "CN=rsa");
}

TEST_CASE("server_context: our order of ciphers and groups counts") {
  auto options = server_options();
  options.tls.groups = {"P-384", "X25519"};
  options.tls.cipher_list = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256";
  const auto server = make_server(options);
  TestClient client(TLS1_2_VERSION);
  SSL_CTX_set1_curves_list(client.context.get(), "X25519:P-256:P-384");
  SSL_CTX_set_cipher_list(client.context.get(), "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384");
  Pair pair(client, *server);
  pair.greet();
  CHECK(pair.facts().group == "P-384");
  CHECK(pair.facts().cipher == "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384");
}

TEST_CASE("server_context: the default groups give post-quantum key exchange where the library has it") {
  auto options = server_options();
  options.tls = {};
  const auto server = make_server(options);
  TestClient client;
  const bool has = SSL_CTX_set1_curves_list(client.context.get(), "X25519MLKEM768:X25519") == 1;
  for (const std::size_t piece : {0, 1}) {
    Pair pair(client, *server);
    pair.greet(piece);
    CHECK(pair.facts().group == (has ? "X25519MLKEM768" : "X25519"));
    client.session.reset();
  }
}

TEST_CASE("server_context: max_version holds") {
  auto options = server_options();
  options.tls.max_version = config::TlsVersion::tls1_2;
  const auto server = make_server(options);
  TestClient client;
  Pair pair(client, *server);
  pair.greet();
  CHECK(pair.facts().version == "TLSv1.2");
}

TEST_CASE("server_context: ALPN") {
  const auto server = make_server();
  const auto with = [&server](const std::string& offered) {
    TestClient client;
    SSL_CTX_set_alpn_protos(client.context.get(), reinterpret_cast<const std::uint8_t*>(offered.data()),
                            static_cast<unsigned>(offered.size()));
    Pair pair(client, *server);
    pair.handshake();
    const std::uint8_t* chosen = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(client.ssl, &chosen, &size);
    return pair.server.error + std::string(chosen, chosen + size);
  };
  CHECK(with("") == "");
  CHECK(with("\x04smtp") == "smtp");
  CHECK(with("\x08http/1.1\x04smtp") == "smtp");
  CHECK(with("\x02h2\x08http/1.1") == "TLS handshake failed: no application protocol");
}

// --- sessions

bool resumes(TestClient& client, const ServerContext& server) {
  Pair pair(client, server);
  pair.greet();
  CHECK(pair.facts().resumed == (SSL_session_reused(client.ssl) == 1));
  return pair.facts().resumed;
}

TEST_CASE("server_context: sessions resume, with TLS 1.2 and 1.3") {
  const auto server = make_server();
  for (const std::uint16_t version : {TLS1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION}) {
    TestClient client(static_cast<std::uint16_t>(version));
    client.sni = "mx.example.org";
    CHECK_FALSE(resumes(client, *server));
    CHECK(client.tickets == 1);
    CHECK(resumes(client, *server));
    CHECK(resumes(client, *server));
  }
}

TEST_CASE("server_context: sessions resume whichever certificate was shown first") {
  const auto server = make_server(server_options({
      load(make_certificate({.common_name = "one", .dns_names = {"one.example"}})),
      load(make_certificate({.common_name = "two", .dns_names = {"two.example"}})),
  }));
  TestClient client;
  client.sni = "two.example";
  CHECK_FALSE(resumes(client, *server));
  CHECK(resumes(client, *server));
}

TEST_CASE("server_context: a session made under one name, or with one certificate, is not resumed under another") {
  const auto one = load(make_certificate({.common_name = "one", .dns_names = {"one.example", "both.example"}}));
  const auto two = load(make_certificate({.common_name = "two", .dns_names = {"two.example"}}));
  auto options = server_options({one, two});
  const auto server = make_server(options);
  auto swapped = server_options({two, one});
  swapped.ticket_keys = options.ticket_keys;
  const auto another = make_server(swapped);
  const std::uint16_t version = GENERATE(TLS1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION);
  const auto carries_over = [version](const ServerContext& first, const char* made_as, const ServerContext& then,
                                      const char* offered_as) {
    TestClient client(version);
    client.sni = made_as;
    CHECK_FALSE(resumes(client, first));
    client.sni = offered_as;
    return resumes(client, then);
  };
  CHECK(carries_over(*server, "one.example", *server, "ONE.example"));
  CHECK(carries_over(*server, "one.example", *another, "one.example"));
  CHECK_FALSE(carries_over(*server, "one.example", *server, "two.example"));
  CHECK_FALSE(carries_over(*server, "two.example", *server, "one.example"));
  CHECK_FALSE(carries_over(*server, "one.example", *server, "both.example"));
  CHECK_FALSE(carries_over(*server, "one.example", *server, ""));
  CHECK_FALSE(carries_over(*server, "", *server, "one.example"));
  CHECK_FALSE(carries_over(*server, "", *another, ""));
}

TEST_CASE("server_context: no tickets where they are switched off") {
  auto options = server_options();
  options.ticket_keys = nullptr;
  const auto server = make_server(options);
  for (const std::uint16_t version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TestClient client(static_cast<std::uint16_t>(version));
    CHECK_FALSE(resumes(client, *server));
    CHECK(client.tickets == 0);
    CHECK_FALSE(resumes(client, *server));
  }
}

TEST_CASE("server_context: a ticket outlives one rotation, not two") {
  std::chrono::steady_clock::time_point now;
  auto options = server_options();
  options.ticket_keys = TicketKeys::random(std::chrono::hours(12), [&now] { return now; });
  const auto server = make_server(options);
  for (const std::uint16_t version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TestClient client(static_cast<std::uint16_t>(version));
    resumes(client, *server);
    const auto kept = bssl::UpRef(client.session);
    now += std::chrono::hours(13);
    CHECK(resumes(client, *server));
    client.session = bssl::UpRef(kept);
    now += std::chrono::hours(13);
    CHECK_FALSE(resumes(client, *server));
  }
}

TEST_CASE("server_context: two gateways share tickets through a key file") {
  const TempDirectory directory;
  const std::string path = directory.write("keys", std::string(80, 'k'));
  auto first = server_options();
  first.ticket_keys = *load_ticket_keys(path);
  auto second = server_options();
  second.ticket_keys = *load_ticket_keys(path);
  TestClient client;
  CHECK_FALSE(resumes(client, *make_server(first)));
  CHECK(resumes(client, *make_server(second)));
}

TEST_CASE("server_context: a forged ticket means a full handshake") {
  const auto server = make_server();
  const auto stranger = make_server();  // with keys of its own
  TestClient client;
  resumes(client, *stranger);
  CHECK_FALSE(resumes(client, *server));
}

// --- client certificates

struct ClientCertificates {
  TestCertificate ca = make_certificate({.common_name = "Our CA", .is_ca = true});
  TestCertificate stranger = make_certificate({.common_name = "Strange CA", .is_ca = true});

  ServerContext::Options options(config::ClientCertificateMode mode = config::ClientCertificateMode::require) const {
    auto made = server_options();
    made.client_certificates = mode;
    made.trust = load_trust(ca);
    return made;
  }
  TestCertificate client(CertificateWish wish = {}) const {
    wish.common_name = "client 7";
    wish.issuer = wish.issuer == nullptr ? &ca : wish.issuer;
    return make_certificate(wish);
  }
};

SessionFacts facts_with(TestClient& client, const ServerContext& server) {
  Pair pair(client, server);
  pair.greet();
  return pair.facts();
}

TEST_CASE("server_context: a client certificate is judged, and never fails the handshake") {
  const ClientCertificates made;
  const auto server = make_server(made.options());
  TestClient client(static_cast<std::uint16_t>(GENERATE(TLS1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION)));
  SECTION("none was asked for") {
    client.use(made.client());
    const auto facts = facts_with(client, *make_server());
    CHECK(facts.verification == Verification::not_requested);
    CHECK(facts.peer_subject.empty());
  }
  SECTION("none came") {
    const auto facts = facts_with(client, *server);
    CHECK(facts.verification == Verification::no_certificate);
    CHECK(facts.peer_subject.empty());
  }
  SECTION("of our CA") {
    client.use(made.client());
    const auto facts = facts_with(client, *server);
    CHECK(facts.verification == Verification::verified);
    CHECK(facts.verification_error.empty());
    CHECK(facts.peer_subject == "CN=client 7");
    CHECK(facts.peer_common_name == "client 7");
    const auto resumed = facts_with(client, *server);
    CHECK(resumed.resumed);
    CHECK(resumed.verification == Verification::verified);
    CHECK(resumed.peer_subject == "CN=client 7");
  }
  SECTION("of another CA") {
    client.use(made.client({.issuer = &made.stranger}), &made.stranger);
    const auto facts = facts_with(client, *server);
    CHECK(facts.verification == Verification::failed);
    CHECK_FALSE(facts.verification_error.empty());
    CHECK(facts.peer_subject == "CN=client 7");
    const auto resumed = facts_with(client, *server);
    CHECK(resumed.resumed);
    CHECK(resumed.verification == Verification::failed);
  }
  SECTION("expired") {
    client.use(made.client({.valid_from_days = -20, .valid_until_days = -10}));
    const auto facts = facts_with(client, *server);
    CHECK(facts.verification == Verification::failed);
    CHECK(facts.verification_error == "certificate has expired");
  }
  SECTION("for servers only") {
    client.use(made.client({.extended_key_usage = NID_server_auth}));
    CHECK(facts_with(client, *server).verification == Verification::failed);
  }
  SECTION("for clients") {
    client.use(made.client({.extended_key_usage = NID_client_auth}));
    CHECK(facts_with(client, *server).verification == Verification::verified);
  }
  SECTION("on a large curve") {
    for (const TestKey key : {TestKey::p384, TestKey::p521}) {
      client.use(made.client({.key = key}));
      client.session = nullptr;
      CHECK(facts_with(client, *server).verification == Verification::verified);
    }
  }
  SECTION("through an intermediate CA that the client sends") {
    const auto middle = make_certificate({.common_name = "Middle", .is_ca = true, .issuer = &made.ca});
    client.use(made.client({.issuer = &middle}), &middle);
    CHECK(facts_with(client, *server).verification == Verification::verified);
  }
}

TEST_CASE("server_context: a client whose certificate may not sign is not asked again, where it need not have one") {
  const ClientCertificates made;
  const auto address = *config::parse_ip_address("192.0.2.7");
  const std::uint16_t version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  const auto error_of = [&](const ServerContext& server, const std::optional<config::IpAddress>& from) {
    TestClient client(version);
    // RSA: the library lets no client use such a pair with another key.
    const auto bad = made.client({.key_usage = {2}, .existing_key = test_support::shared_rsa_key()});
    client.use(bad);
    Pair pair(client.engine(), std::move(*server.make_engine(from)));
    pair.handshake();
    if (pair.server.error.empty()) {
      CHECK(pair.facts().verification == Verification::no_certificate);
    }
    return pair.server.error;
  };
  const std::string refused =
      "TLS handshake failed: the peer's certificate may not sign: its keyUsage lacks digitalSignature";
  const auto requesting = make_server(made.options(config::ClientCertificateMode::request));
  CHECK(error_of(*requesting, address) == refused);
  CHECK(error_of(*requesting, address).empty());
  CHECK(error_of(*requesting, config::parse_ip_address("192.0.2.8").value()) == refused);
  CHECK(error_of(*requesting, std::nullopt) == refused);
  const auto requiring = make_server(made.options());
  CHECK(error_of(*requiring, address) == refused);
  CHECK(error_of(*requiring, address) == refused);
}

TEST_CASE("server_context: clients that are not asked are forgotten in time, and the oldest when there are many") {
  std::chrono::steady_clock::time_point now;
  UnaskedClients clients([&now] { return now; });
  const auto numbered = [](int number) {
    return *config::parse_ip_address("10.0." + std::to_string(number / 250) + "." + std::to_string(number % 250));
  };
  for (int number = 0; number <= static_cast<int>(UnaskedClients::most); ++number) {
    clients.add(numbered(number));
    now += std::chrono::milliseconds(1);
  }
  CHECK_FALSE(clients.contains(numbered(0)));
  CHECK(clients.contains(numbered(1)));
  now += UnaskedClients::memory;
  CHECK_FALSE(clients.contains(numbered(UnaskedClients::most)));
}

TEST_CASE("server_context: a session does not carry over to other client-certificate settings") {
  const ClientCertificates made;
  auto options = made.options(config::ClientCertificateMode::request);
  const auto asking = make_server(options);
  TestClient client;
  CHECK_FALSE(resumes(client, *asking));
  CHECK(resumes(client, *make_server(options)));
  options.client_certificates = config::ClientCertificateMode::require;
  CHECK_FALSE(resumes(client, *make_server(options)));

  CHECK_FALSE(resumes(client, *asking));
  options.client_certificates = config::ClientCertificateMode::request;
  options.trust = load_trust(made.stranger);
  CHECK_FALSE(resumes(client, *make_server(options)));

  CHECK_FALSE(resumes(client, *asking));
  options.client_certificates = config::ClientCertificateMode::off;
  options.trust = nullptr;
  CHECK_FALSE(resumes(client, *make_server(options)));
}

}  // namespace postern::tls::server_context_test
