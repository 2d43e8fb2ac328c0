// Whether a peer's chain leads to a CA that we trust.
#pragma once

#include <cstdint>
#include <string>

namespace postern::tls {

// What a certificate is shown for; it may be restricted to one of them.
enum class PeerRole : std::uint8_t { client, server };

struct ChainResult {
  bool trusted = false;
  bool expired = false;     // it would be trusted, but a certificate on the way is not valid now (any more, or yet)
  std::string reason = {};  // for people; empty where trusted
};

}  // namespace postern::tls
