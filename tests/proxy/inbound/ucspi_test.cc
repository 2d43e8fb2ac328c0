#include "proxy/inbound/ucspi.h"

#include <algorithm>

#include "tests/support/catch.h"

namespace ucspi_test {

using postern::inbound::ucspi_environment;
using postern::net::SocketAddress;

SocketAddress at(const char* address, std::uint16_t port) {
  return {*postern::config::parse_ip_address(address), port};
}

bool has(const std::vector<std::string>& environment, const std::string& entry) {
  return std::find(environment.begin(), environment.end(), entry) != environment.end();
}
bool has_name(const std::vector<std::string>& environment, const std::string& name) {
  return std::any_of(environment.begin(), environment.end(),
                     [&](const auto& entry) { return entry.rfind(name + "=", 0) == 0; });
}

TEST_CASE("ucspi: a program learns both addresses") {
  const auto environment = ucspi_environment(at("127.0.0.1", 25), at("192.0.2.7", 4711), "mx.example.org", nullptr);
  CHECK(has(environment, "PROTO=TCP"));
  CHECK(has(environment, "TCPLOCALIP=127.0.0.1"));
  CHECK(has(environment, "TCPLOCALPORT=25"));
  CHECK(has(environment, "TCPLOCALHOST=mx.example.org"));
  CHECK(has(environment, "TCPREMOTEIP=192.0.2.7"));
  CHECK(has(environment, "TCPREMOTEPORT=4711"));
  CHECK_FALSE(has_name(environment, "RELAYCLIENT"));
  CHECK_FALSE(has_name(environment, "SSL_PROTOCOL"));
}

TEST_CASE("ucspi: IPv6 has a protocol name of its own") {
  CHECK(has(ucspi_environment(at("::1", 25), at("2001:db8::1", 1), "h", nullptr), "PROTO=TCP6"));
}

TEST_CASE("ucspi: TLS facts carry mod_ssl's names, and the peer's own words no control characters") {
  postern::tls::SessionFacts facts;
  facts.version = "TLSv1.3";
  facts.cipher = "TLS_AES_128_GCM_SHA256";
  facts.sni = "mx.example.org";
  facts.verification = postern::tls::Verification::verified;
  facts.peer_subject = "CN=a\nb";
  const auto environment = ucspi_environment(at("127.0.0.1", 465), at("192.0.2.7", 1), "h", &facts);
  CHECK(has(environment, "SSL_PROTOCOL=TLSv1.3"));
  CHECK(has(environment, "SSL_CIPHER=TLS_AES_128_GCM_SHA256"));
  CHECK(has(environment, "SSL_TLS_SNI=mx.example.org"));
  CHECK(has(environment, "SSL_CLIENT_VERIFY=SUCCESS"));
  CHECK(has(environment, "SSL_CLIENT_S_DN=CN=a?b"));
}

}  // namespace ucspi_test
