#include "tls/client_context.h"

#include <openssl/ssl.h>

#include "config/assert.h"
#include "config/values.h"
#include "tls/error.h"
#include "tls/protocol_settings.h"

namespace postern::tls {
namespace {

// Signatures a server may make, SHA-1 last.
constexpr std::uint16_t signatures[] = {
    SSL_SIGN_ECDSA_SECP256R1_SHA256,
    SSL_SIGN_RSA_PSS_RSAE_SHA256,
    SSL_SIGN_RSA_PKCS1_SHA256,
    SSL_SIGN_ECDSA_SECP384R1_SHA384,
    SSL_SIGN_RSA_PSS_RSAE_SHA384,
    SSL_SIGN_RSA_PKCS1_SHA384,
    SSL_SIGN_ECDSA_SECP521R1_SHA512,
    SSL_SIGN_RSA_PSS_RSAE_SHA512,
    SSL_SIGN_RSA_PKCS1_SHA512,
    SSL_SIGN_ED25519,
    SSL_SIGN_ECDSA_SHA1,
    SSL_SIGN_RSA_PKCS1_SHA1,
};
constexpr std::size_t sha1_signatures = 2;

// What SNI says for a server called `name`; empty: nothing (RFC 6066 3: no addresses, no trailing dot).
std::string sni_for(std::string name) {
  if (name.ends_with('.')) {
    name.pop_back();
  }
  return config::is_host_name(name) && !config::parse_ip_address(name).has_value() ? name : std::string();
}

}  // namespace

void ClientContext::FreeContext::operator()(SSL_CTX* context) const noexcept {
  SSL_CTX_free(context);
}

ClientContext::ClientContext(SSL_CTX* context) : context_(context) {}
ClientContext::~ClientContext() = default;

Result<std::unique_ptr<ClientContext>> ClientContext::make(const Options& options) {
  auto context = new_ssl_ctx();
  set_versions(context.get(), options.min_version, options.max_version);
  if (const auto ciphers = set_ciphers(context.get(), options.cipher_list); !ciphers) {
    return tl::unexpected(ciphers.error());
  }
  if (!options.groups.empty()) {
    if (const auto groups = set_groups(context.get(), options.groups); !groups) {
      return tl::unexpected(groups.error());
    }
  }
  const std::size_t count = std::size(signatures) - (options.allow_sha1 ? 0 : sha1_signatures);
  const bool set = SSL_CTX_set_verify_algorithm_prefs(context.get(), signatures, count) == 1;
  POSTERN_ASSERT(set, "the TLS library has lost a signature algorithm");
  SSL_CTX_set_custom_verify(context.get(), SSL_VERIFY_PEER, accept_any_certificate);
  return std::unique_ptr<ClientContext>(new ClientContext(context.release()));
}

Result<std::unique_ptr<Engine>> ClientContext::make_engine(const std::string& server_name) const {
  bssl::UniquePtr<SSL> ssl(SSL_new(context_.get()));
  if (ssl == nullptr) {
    return tl::unexpected(take_error(Errc::tls, "cannot start TLS"));
  }
  SSL_set_connect_state(ssl.get());
  const std::string sni = sni_for(server_name);
  if (!sni.empty() && SSL_set_tlsext_host_name(ssl.get(), sni.c_str()) != 1) {
    return tl::unexpected(take_error(Errc::tls, "cannot name the server"));
  }
  return std::make_unique<Engine>(ssl.release());
}

}  // namespace postern::tls
