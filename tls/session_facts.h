// What is known of a TLS connection once its handshake is over: plain data, no TLS library in sight.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace postern::tls {

enum class Verification : std::uint8_t {
  not_requested,   // we asked for no certificate, or judge none (a backend)
  no_certificate,  // we asked, the peer sent none
  failed,          // a certificate came and did not verify; `verification_error` says why
  verified,
};
std::string_view to_string(Verification verification);

struct SessionFacts {
  std::string_view version;  // "TLSv1.3"; static storage
  std::string_view cipher;   // "TLS_AES_128_GCM_SHA256"; static storage
  std::string_view group;    // "X25519"; static storage; empty where none (RSA key exchange)
  bool resumed = false;
  std::string sni;  // lower case; empty: none sent
  Verification verification = Verification::not_requested;
  std::string verification_error;  // for people; empty unless failed
  std::string peer_subject;        // RFC 2253, from the peer's certificate; empty: none
  std::string peer_common_name;    // empty: none
};

}  // namespace postern::tls
