// What a peer would have shown in a handshake, without one.
#pragma once

#include <openssl/pool.h>
#include <openssl/ssl.h>

#include <map>
#include <string>

#include "tests/support/catch.h"
#include "tests/support/certificates.h"
#include "tls/peer_certificates.h"
#include "tls/trust_store.h"

namespace postern::test_support {

inline tls::PeerCertificates shown_by_server(const TestCertificate& certificate) {
  const bssl::UniquePtr<STACK_OF(CRYPTO_BUFFER)> chain(sk_CRYPTO_BUFFER_new_null());
  const std::string der = certificate.der();
  bssl::PushToStack(chain.get(), bssl::UniquePtr<CRYPTO_BUFFER>(CRYPTO_BUFFER_new(
                                     reinterpret_cast<const std::uint8_t*>(der.data()), der.size(), nullptr)));
  return {chain.get(), tls::PeerRole::server};
}

// An authority that is trusted, and servers with certificates of its own: one for a name.
struct TrustedWorld {
  TestCertificate root = make_certificate({.common_name = "Root", .is_ca = true});
  std::shared_ptr<const tls::TrustStore> trust = load(root);
  std::map<std::string, tls::PeerCertificates> servers;

  const tls::PeerCertificates& server(const std::string& name) {
    const auto [found, is_new] = servers.try_emplace(name);
    if (is_new) found->second = shown_by_server(make_certificate({.dns_names = {name}, .issuer = &root}));
    return found->second;
  }

 private:
  static std::shared_ptr<const tls::TrustStore> load(const TestCertificate& ca) {
    auto trust = tls::TrustStore::parse("ca", ca.certificate_pem());
    REQUIRE(trust.has_value());
    return std::move(*trust);
  }
};

}  // namespace postern::test_support
