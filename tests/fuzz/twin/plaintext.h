// Why mail leaves without TLS where TLS is not demanded: the log's words, and labels of a counter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "tests/fuzz/twin/remote_opening.h"

namespace postern::smtp::before {

enum class Plaintext : std::uint8_t {
  not_tried,    // the level is none
  not_offered,  // no STARTTLS in the EHLO reply
  refused,      // STARTTLS was answered 4yz or 5yz
  misanswered,  // … with what is no answer to it
  injected,     // octets followed the 220 to it in plaintext: somebody is interfering
  closed,       // the connection ended at STARTTLS, or before the first reply inside TLS
  handshake_failed,
};
inline constexpr std::size_t plaintext_count = static_cast<std::size_t>(Plaintext::handshake_failed) + 1;

// The enumerator's name, with "starttls_" before what happened to that command.
std::string_view to_string(Plaintext why);

// Why a connection that came to this is without TLS, or the one after it will be; nothing: it has TLS, or TLS is no
// question. `closed`: the handshake failed because the connection ended.
std::optional<Plaintext> plaintext_reason(const RemoteState& state, bool closed);

}  // namespace postern::smtp::before
