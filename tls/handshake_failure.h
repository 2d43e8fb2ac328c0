// Why a TLS handshake failed, in a word: the label of a counter.
#pragma once

#include <cstdint>
#include <string_view>

namespace postern::tls {

enum class HandshakeFailure : std::uint8_t {
  other,
  no_common_version,
  no_common_cipher,
  no_common_group,
  peer_alert,            // the peer refused
  certificate_required,  // one of us wanted one of the other
  certificate_bad,       // the peer's is none that could be used
  not_tls,               // what came was something else
  no_signature,          // ours is elsewhere, and was not to be had
};
std::string_view to_string(HandshakeFailure failure);  // the enumerator's name

// Of an entry of BoringSSL's error queue.
HandshakeFailure handshake_failure(std::uint32_t packed);

}  // namespace postern::tls
