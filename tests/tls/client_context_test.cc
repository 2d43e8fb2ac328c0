#include "tls/client_context.h"

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

}  // namespace postern::tls::client_context_test
