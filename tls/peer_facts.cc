#include "tls/peer_facts.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "tls/trust_store.h"
#include "tls/x509_text.h"

namespace postern::tls {
namespace {

void add_names(CRYPTO_BUFFER* leaf, SessionFacts& facts) {
  const bssl::UniquePtr<X509> certificate(X509_parse_from_buffer(leaf));
  ERR_clear_error();
  if (certificate != nullptr) {
    facts.peer_subject = subject_of(*certificate);
    facts.peer_common_name = common_name_of(*certificate);
  }
}

}  // namespace

void add_peer_facts(const SSL* ssl, const TrustStore* trust, SessionFacts& facts) {
  const STACK_OF(CRYPTO_BUFFER)* chain = SSL_get0_peer_certificates(ssl);
  const bool has_certificate = chain != nullptr && sk_CRYPTO_BUFFER_num(chain) > 0;
  if (has_certificate) {
    add_names(sk_CRYPTO_BUFFER_value(chain, 0), facts);
  }
  if (trust == nullptr) {
    facts.verification = Verification::not_requested;
    return;
  }
  if (!has_certificate) {
    facts.verification = Verification::no_certificate;
    return;
  }
  const auto peer = SSL_is_server(ssl) ? TrustStore::Peer::client : TrustStore::Peer::server;
  facts.verification_error = trust->verify(chain, peer);
  facts.verification = facts.verification_error.empty() ? Verification::verified : Verification::failed;
}

}  // namespace postern::tls
