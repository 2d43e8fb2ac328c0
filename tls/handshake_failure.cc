#include "tls/handshake_failure.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

namespace postern::tls {

std::string_view to_string(HandshakeFailure failure) {
  switch (failure) {
    case HandshakeFailure::other: return "other";
    case HandshakeFailure::no_common_version: return "no_common_version";
    case HandshakeFailure::no_common_cipher: return "no_common_cipher";
    case HandshakeFailure::no_common_group: return "no_common_group";
    case HandshakeFailure::peer_alert: return "peer_alert";
    case HandshakeFailure::certificate_required: return "certificate_required";
    case HandshakeFailure::certificate_bad: return "certificate_bad";
    case HandshakeFailure::not_tls: return "not_tls";
    case HandshakeFailure::no_signature: return "no_signature";
  }
  return "other";
}

HandshakeFailure handshake_failure(std::uint32_t packed) {
  if (packed == 0 || ERR_GET_LIB(packed) != ERR_LIB_SSL) return HandshakeFailure::other;
  switch (ERR_GET_REASON(packed)) {
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_NO_SUPPORTED_VERSIONS_ENABLED:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION: return HandshakeFailure::no_common_version;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_CIPHERS_AVAILABLE:
    case SSL_R_WRONG_CIPHER_RETURNED: return HandshakeFailure::no_common_cipher;
    case SSL_R_NO_SHARED_GROUP:
    case SSL_R_WRONG_CURVE: return HandshakeFailure::no_common_group;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
    case SSL_AD_REASON_OFFSET + SSL_AD_CERTIFICATE_REQUIRED: return HandshakeFailure::certificate_required;
    case SSL_R_KEY_USAGE_BIT_INCORRECT:
    case SSL_R_CANNOT_PARSE_LEAF_CERT:
    case SSL_R_WRONG_CERTIFICATE_TYPE:
    case SSL_R_CERTIFICATE_VERIFY_FAILED: return HandshakeFailure::certificate_bad;
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_WRONG_VERSION_NUMBER: return HandshakeFailure::not_tls;
    case SSL_R_PRIVATE_KEY_OPERATION_FAILED: return HandshakeFailure::no_signature;
    default: break;
  }
  return ERR_GET_REASON(packed) > SSL_AD_REASON_OFFSET ? HandshakeFailure::peer_alert : HandshakeFailure::other;
}

}  // namespace postern::tls
