#include "proxy/inbound/ucspi.h"

#include "config/text.h"

namespace postern::inbound {

namespace {

void add(std::vector<std::string>& environment, std::string_view name, std::string_view value) {
  environment.push_back(std::string(name) + "=" + config::without_controls(value));
}

void add_tls(std::vector<std::string>& environment, const tls::SessionFacts& facts) {
  add(environment, "HTTPS", "on");  // mod_ssl's own way to say that TLS is there
  add(environment, "SSL_PROTOCOL", facts.version);
  add(environment, "SSL_CIPHER", facts.cipher);
  if (!facts.sni.empty()) add(environment, "SSL_TLS_SNI", facts.sni);
  switch (facts.verification) {
    case tls::Verification::not_requested:
    case tls::Verification::no_certificate: add(environment, "SSL_CLIENT_VERIFY", "NONE"); break;
    case tls::Verification::failed: add(environment, "SSL_CLIENT_VERIFY", "FAILED:" + facts.verification_error); break;
    case tls::Verification::verified: add(environment, "SSL_CLIENT_VERIFY", "SUCCESS"); break;
  }
  if (facts.verification != tls::Verification::verified) return;
  add(environment, "SSL_CLIENT_S_DN", facts.peer_subject);
  add(environment, "SSL_CLIENT_S_DN_CN", facts.peer_common_name);
}

}  // namespace

std::vector<std::string> ucspi_environment(const net::SocketAddress& local, const net::SocketAddress& remote,
                                           std::string_view local_host, const tls::SessionFacts* facts) {
  std::vector<std::string> environment;
  add(environment, "PROTO", remote.address.family == config::IpAddress::Family::v6 ? "TCP6" : "TCP");
  add(environment, "TCPLOCALIP", config::to_string(local.address));
  add(environment, "TCPLOCALPORT", std::to_string(local.port));
  add(environment, "TCPLOCALHOST", local_host);
  add(environment, "TCPREMOTEIP", config::to_string(remote.address));
  add(environment, "TCPREMOTEPORT", std::to_string(remote.port));
  if (facts != nullptr) add_tls(environment, *facts);
  return environment;
}

}  // namespace postern::inbound
