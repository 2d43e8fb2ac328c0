// The least that any proxy can cost: octets from one socket to the other, in plaintext, and nothing else.
#pragma once

namespace postern::bench {

// Relays every connection to `port` to `backend`. Serves until it is killed.
[[noreturn]] void run_relay(int port, int backend);

}  // namespace postern::bench
