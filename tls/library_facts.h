// What the TLS library at hand is and can do: for `postern --version`.
#pragma once

#include <cstdint>

namespace postern::tls {

enum class Presence : std::uint8_t { no, yes, unknown };

struct LibraryFacts {
  int api_version = 0;  // BORINGSSL_API_VERSION
  bool has_x25519_mlkem768 = false;
};
LibraryFacts library_facts();

// Whether P-256 is done in assembly, which makes its handshakes cost half. The library does not say (CRYPTO_has_asm()
// speaks of all the rest), so a few signatures are timed: some ten milliseconds of CPU time.
Presence has_p256_assembly();

// From the time of a signature with P-384, which is made by the same code in all builds, divided by that of one with
// P-256.
Presence p256_assembly_by(double ratio);

}  // namespace postern::tls
