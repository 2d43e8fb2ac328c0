#include "tls/contexts.h"

#include <algorithm>

#include "tests/support/catch.h"
#include "tests/tls/engine_pair.h"
#include "tests/tls/variable.h"
#include "tls/client_context.h"
#include "tls/trust_store.h"

namespace postern::tls::contexts_test {

using namespace engine_pair;

// A configuration with one certificate and one listener, to be spoilt.
struct Configuration {
  Configuration() {
    const auto made = make_certificate({.dns_names = {"mx.example.org"}});
    loaded.file = "postern.yaml";
    loaded.settings.certificates["mx"] = {
        {directory.write("chain", made.certificate_pem()), directory.write("key", made.key_pem())}};
    config::InboundListener listener;
    listener.name = "mx";
    listener.certificates = {"mx"};
    listener.tls.groups = loaded.settings.tls.groups = {"X25519", "P-256"};
    loaded.settings.inbound.push_back(listener);
    std::size_t line = 0;
    for (const char* path : {"certificates.mx[0].chain", "certificates.mx[0].key", "tls.groups", "tls.cipher_list",
                             "tls.session_tickets.key_file", "inbound.mx.client_certificates.ca_file"}) {
      loaded.places[path] = {++line, 7};
    }
  }
  config::InboundListener& listener() { return loaded.settings.inbound.front(); }
  config::CertificatePair& pair() { return loaded.settings.certificates["mx"].front(); }
  std::shared_ptr<const Contexts> build(const Contexts* previous = nullptr) {
    return Contexts::build(loaded, config::read_files(loaded), previous);
  }
  // "line severity message" of the only diagnostic.
  std::string only_diagnostic() const {
    REQUIRE(loaded.diagnostics.size() == 1);
    const auto& told = loaded.diagnostics.front();
    return std::to_string(told.place.line) +
           (told.severity == config::Diagnostic::Severity::error ? " error " : " warning ") + told.message;
  }
  std::string failure() {
    REQUIRE(build() == nullptr);
    return only_diagnostic();
  }
  std::string warning() {
    REQUIRE(build() != nullptr);
    return only_diagnostic();
  }

  TempDirectory directory;
  config::Loaded loaded;
};

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("contexts: a good configuration gives servers that work") {
  Configuration configuration;
  const auto contexts = configuration.build();
  REQUIRE(contexts != nullptr);
  CHECK(configuration.loaded.diagnostics.empty());
  REQUIRE(contexts->server("mx") != nullptr);
  CHECK(contexts->backend("mx") == nullptr);
  REQUIRE(contexts->certificates().size() == 1);
  CHECK(contexts->certificates()[0].name == "mx");
  CHECK(contexts->certificates()[0].subject == "CN=mx.example.org");
  TestClient client;
  Pair pair(client, *contexts->server("mx"));
  pair.greet();
}

TEST_CASE("contexts: a listener without TLS has no server, a backend with TLS has a client") {
  Configuration configuration;
  configuration.listener().mode = config::TlsMode::none;
  configuration.listener().backend.tls = config::TlsMode::starttls;
  const auto contexts = configuration.build();
  REQUIRE(contexts != nullptr);
  CHECK(contexts->server("mx") == nullptr);
  REQUIRE(contexts->backend("mx") != nullptr);

  auto old = server_options({load(make_certificate({.existing_key = test_support::shared_rsa_key()}))});
  old.tls.max_version = config::TlsVersion::tls1_0;
  old.tls.cipher_list = "DES-CBC3-SHA";
  const auto server = make_server(old);
  Pair pair(std::move(*contexts->backend("mx")->make_engine("backend.example")), std::move(*server->make_engine()));
  pair.greet();
  CHECK(pair.facts().version == "TLSv1");
}

TEST_CASE("contexts: mistakes are told with their place") {
  Configuration configuration;
  SECTION("no chain") {
    configuration.pair().chain = configuration.directory.path("absent");
    CHECK(configuration.failure().starts_with("1 error cannot read "));
  }
  SECTION("no key") {
    configuration.pair().key = configuration.directory.path("absent");
    CHECK(configuration.failure().starts_with("2 error cannot read "));
  }
  SECTION("encrypted key") {
    configuration.directory.write("key", make_certificate({}).encrypted_key_pem("secret"));
    CHECK(holds(configuration.failure(), "is encrypted"));
  }
  SECTION("another's key") {
    configuration.directory.write("key", make_certificate({}).key_pem());
    CHECK(configuration.failure() == "2 error the key does not belong to the certificate (CN=mx.example.org)");
  }
  SECTION("no group left, in defaults that two listeners share") {
    configuration.listener().tls.groups = {"X448"};
    configuration.loaded.settings.inbound.push_back(configuration.listener());
    CHECK(configuration.failure() == "3 error this TLS library has none of the groups");
  }
  SECTION("a bad cipher list") {
    configuration.listener().tls.cipher_list = "no such thing";
    CHECK(configuration.failure().starts_with("4 error the cipher list cannot be used: "));
  }
  SECTION("a bad cipher list of the listener's own") {
    configuration.loaded.places["inbound.mx.cipher_list"] = {99, 1};
    configuration.listener().tls.cipher_list = "no such thing";
    CHECK(configuration.failure().starts_with("99 error the cipher list cannot be used: "));
  }
  SECTION("a bad cipher list that nobody uses") {
    configuration.listener().mode = config::TlsMode::none;
    configuration.loaded.settings.tls.cipher_list = "!ALL";
    CHECK(configuration.failure().starts_with("4 error the cipher list cannot be used: "));
  }
  SECTION("a certificate that may not sign, also beside a good one") {
    const auto bad = make_certificate({.common_name = "enc", .key_usage = {2, 3}});
    configuration.loaded.settings.certificates["mx"].push_back(
        {configuration.directory.write("chain2", bad.certificate_pem()),
         configuration.directory.write("key2", bad.key_pem())});
    configuration.loaded.places["certificates.mx[1].chain"] = {77, 1};
    CHECK(
        configuration.failure().starts_with("77 error the certificate (CN=enc) cannot be used: its keyUsage "
                                            "(keyEncipherment, dataEncipherment) lacks digitalSignature"));
  }
  SECTION("no ticket keys") {
    configuration.listener().tls.session_tickets.key_file = configuration.directory.write("tickets", "short");
    CHECK(holds(configuration.failure(), "holds 5 octets, but ticket keys take 80 or 48 each"));
  }
  SECTION("no CA file") {
    configuration.listener().client_certificates = {config::ClientCertificateMode::require,
                                                    configuration.directory.path("absent")};
    CHECK(configuration.failure().starts_with("6 error cannot read "));
  }
  SECTION("all at once") {
    configuration.pair() = {configuration.directory.path("absent"), configuration.directory.path("absent")};
    configuration.listener().tls.session_tickets.key_file = configuration.directory.path("absent");
    configuration.listener().client_certificates = {config::ClientCertificateMode::require,
                                                    configuration.directory.path("absent")};
    CHECK(configuration.build() == nullptr);
    CHECK(configuration.loaded.diagnostics.size() == 4);
  }
}

TEST_CASE("contexts: warnings do not keep the gateway from starting") {
  Configuration configuration;
  const auto write = [&configuration](const TestCertificate& made) {
    configuration.directory.write("chain", made.certificate_pem());
    configuration.directory.write("key", made.key_pem());
  };
  SECTION("expired") {
    write(make_certificate({.valid_from_days = -10, .valid_until_days = -1}));
    CHECK(holds(configuration.warning(), "EXPIRED"));
  }
  SECTION("soon to expire") {
    write(make_certificate({.valid_until_days = 20}));
    CHECK(configuration.warning().starts_with("1 warning "));
  }
  SECTION("a leaf without the certificate of who issued it") {
    const auto root = make_certificate({.common_name = "Root", .is_ca = true});
    const test_support::Variable system("SSL_CERT_FILE",
                                        configuration.directory.write("system", root.certificate_pem()));
    const auto middle = make_certificate({.common_name = "Middle", .is_ca = true, .issuer = &root});
    const auto leaf = make_certificate({.common_name = "leaf", .issuer = &middle});
    write(leaf);
    CHECK(configuration.warning().starts_with(
        "1 warning holds one certificate only, whose issuer (CN=Middle) is no root that this system knows"));
    configuration.loaded.diagnostics.clear();
    configuration.directory.write("chain", leaf.certificate_pem() + middle.certificate_pem());
    REQUIRE(configuration.build() != nullptr);
    write(make_certificate({.common_name = "leaf", .issuer = &root}));
    REQUIRE(configuration.build() != nullptr);
    CHECK(configuration.loaded.diagnostics.empty());
  }
  SECTION("an expired authority of clients") {
    configuration.listener().client_certificates = {
        config::ClientCertificateMode::request,
        configuration.directory.write(
            "ca", make_certificate({.is_ca = true, .valid_from_days = -9, .valid_until_days = -2}).certificate_pem())};
    CHECK(configuration.warning().starts_with("6 warning "));
    CHECK(holds(configuration.loaded.diagnostics[0].message, "line 1: this CA (CN=mx.example.org) expired on "));
  }
  SECTION("skipped groups, one warning for all listeners") {
    configuration.listener().tls.groups = {"X448", "X25519"};
    configuration.loaded.settings.inbound.push_back(configuration.listener());
    CHECK(configuration.warning() == "3 warning this TLS library lacks X448: left out");
  }
  SECTION("skipped groups that nobody wrote: none") {
    configuration.listener().tls.groups = {"X448", "X25519"};
    configuration.loaded.places.erase("tls.groups");
    REQUIRE(configuration.build() != nullptr);
    CHECK(configuration.loaded.diagnostics.empty());
  }
}

TEST_CASE("contexts: listeners share ticket keys, and so do the contexts after a reload") {
  Configuration configuration;
  configuration.loaded.settings.inbound.push_back(configuration.listener());
  configuration.loaded.settings.inbound.back().name = "second";
  const auto first = configuration.build();
  const auto resumes = [](TestClient& client, const Contexts& contexts, std::string_view listener) {
    Pair pair(client, *contexts.server(listener));
    pair.greet();
    return pair.facts().resumed;
  };
  TestClient client;
  CHECK_FALSE(resumes(client, *first, "mx"));
  CHECK(resumes(client, *first, "second"));
  CHECK(resumes(client, *configuration.build(first.get()), "mx"));
  CHECK_FALSE(resumes(client, *configuration.build(), "mx"));
}

// The same with an outbound listener.
struct Outbound : Configuration {
  Outbound() {
    loaded.settings.inbound.clear();
    loaded.settings.tls.groups = {"X25519", "P-256"};
    config::OutboundListener made;
    made.name = "internet";
    made.ca_file = directory.write("ca", make_certificate({.is_ca = true}).certificate_pem());
    made.tls = loaded.settings.tls;
    loaded.settings.outbound.push_back(made);
    std::size_t line = 20;
    for (const char* path : {"outbound.internet", "outbound.internet.ca_file", "outbound.internet.certificates",
                             "outbound.internet.client_certificate", "outbound.internet.policies[1].min_version",
                             "outbound.internet.policies[1].groups"}) {
      loaded.places[path] = {line++, 3};
    }
  }
  config::OutboundListener& outbound() { return loaded.settings.outbound.front(); }
};

std::string_view version_with(const ClientContext& client) {
  const auto server = make_server();
  Pair pair(std::move(*client.connect({.server_name = "mx.example.org"})), std::move(*server->make_engine()));
  pair.greet();
  return pair.client.engine->facts().version;
}

TEST_CASE("contexts: an outbound listener has clients for its policies, and for policy hosts") {
  Outbound configuration;
  configuration.loaded.settings.tls.max_version = config::TlsVersion::tls1_2;
  configuration.outbound().policies.resize(3);
  configuration.outbound().policies[0].max_version = config::TlsVersion::tls1_3;
  configuration.outbound().policies[1].level = config::TlsLevel::encrypt;
  configuration.outbound().policies[2].max_version = config::TlsVersion::tls1_3;
  const auto contexts = configuration.build();
  REQUIRE(contexts != nullptr);
  CHECK(configuration.loaded.diagnostics.empty());
  CHECK(contexts->outbound_server("internet") == nullptr);
  const RemoteContexts& remote = contexts->remote("internet");
  CHECK(version_with(remote.base()) == "TLSv1.2");
  CHECK(version_with(remote.policy(0)) == "TLSv1.3");
  CHECK(version_with(remote.policy_host()) == "TLSv1.3");
  CHECK(remote.trust().names().size() == 1);

  CHECK(&remote.policy(1) == &remote.base());
  CHECK(&remote.policy(2) == &remote.policy(0));
}

TEST_CASE("contexts: outbound listeners that are alike share their clients, and with those before a reload") {
  Outbound configuration;
  configuration.loaded.settings.outbound.push_back(configuration.outbound());
  configuration.loaded.settings.outbound.back().name = "second";
  const auto first = configuration.build();
  REQUIRE(first != nullptr);
  CHECK(&first->remote("internet").base() == &first->remote("second").base());
  CHECK(&configuration.build(first.get())->remote("internet").base() == &first->remote("internet").base());
  configuration.loaded.settings.tls.max_version = config::TlsVersion::tls1_2;
  CHECK(&configuration.build(first.get())->remote("internet").base() != &first->remote("internet").base());
}

TEST_CASE("contexts: an outbound listener may offer TLS to its own clients") {
  Outbound configuration;
  configuration.outbound().mode = config::TlsMode::starttls;
  configuration.outbound().certificates = {"mx"};
  const auto contexts = configuration.build();
  REQUIRE(contexts != nullptr);
  TestClient client;
  Pair(client, *contexts->outbound_server("internet")).greet();
}

TEST_CASE("contexts: an outbound listener's certificate is shown to servers that ask") {
  Outbound configuration;
  configuration.outbound().client_certificate = "mx";
  const auto contexts = configuration.build();
  REQUIRE(contexts != nullptr);
  auto options = server_options();
  options.client_certificates = config::ClientCertificateMode::request;
  options.trust = load_trust(make_certificate({.is_ca = true}));
  const auto server = make_server(options);
  Pair pair(std::move(*contexts->remote("internet").base().connect({})), std::move(*server->make_engine()));
  pair.greet();
  CHECK(pair.facts().peer_subject == "CN=mx.example.org");
  Pair other(std::move(*contexts->remote("internet").policy_host().connect({})), std::move(*server->make_engine()));
  other.greet();
  CHECK(other.facts().verification == Verification::no_certificate);
}

TEST_CASE("contexts: what keeps servers from taking the client certificate is told with its place") {
  Outbound configuration;
  const auto made = make_certificate({.common_name = "c", .extended_key_usage = NID_server_auth});
  configuration.directory.write("chain", made.certificate_pem());
  configuration.directory.write("key", made.key_pem());
  configuration.outbound().client_certificate = "mx";
  CHECK(configuration.warning().starts_with("23 warning the certificate (CN=c) is not for clients"));
}

TEST_CASE("contexts: mistakes of the outbound side are told with their place") {
  Outbound configuration;
  SECTION("no CA file") {
    configuration.outbound().ca_file = configuration.directory.path("absent");
    CHECK(configuration.failure().starts_with("21 error cannot read "));
  }
  SECTION("no certificate to offer TLS with") {
    configuration.outbound().mode = config::TlsMode::implicit;
    CHECK(configuration.failure() == "22 error no usable certificate for internet");
  }
  SECTION("no such client certificate") {
    configuration.outbound().client_certificate = "my";
    CHECK(configuration.failure() == "23 error no usable certificate is called my");
  }
  SECTION("a policy's own minimum") {
    configuration.outbound().policies.resize(2);
    configuration.outbound().policies[1].min_version = config::TlsVersion::tls1_3;
    configuration.loaded.settings.tls.max_version = config::TlsVersion::tls1_2;
    CHECK(configuration.failure() == "24 error is above max_version");
  }
  SECTION("a policy's own groups") {
    configuration.outbound().policies.resize(2);
    configuration.outbound().policies[1].groups = {"X448"};
    CHECK(configuration.failure() == "25 error this TLS library has none of the groups");
  }
  SECTION("a cipher list in the defaults") {
    configuration.loaded.settings.tls.cipher_list = "no such thing";
    CHECK(configuration.failure().starts_with("4 error the cipher list cannot be used: "));
  }
}

TEST_CASE("contexts: without the system's CAs nobody is trusted, and the operator is told") {
  Outbound configuration;
  const test_support::Variable file("SSL_CERT_FILE", configuration.directory.path("absent"));
  configuration.outbound().ca_file = "system";
  const auto contexts = configuration.build();
  REQUIRE(contexts != nullptr);
  CHECK(configuration.only_diagnostic().starts_with("21 warning cannot read "));
  CHECK(holds(configuration.only_diagnostic(), "no certificate of a remote server will be trusted"));
  CHECK(contexts->remote("internet").trust().names().empty());
}

}  // namespace postern::tls::contexts_test
