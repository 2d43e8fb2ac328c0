#include "tls/library_facts.h"

#include <openssl/base.h>
#include <openssl/ec_key.h>
#include <openssl/ecdsa.h>
#include <openssl/nid.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <limits>

#include "tls/protocol_settings.h"

namespace postern::tls {
namespace {

double thread_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// The quickest of some signatures: whatever else the machine does makes them slower only. 0: it cannot be done.
double seconds_for_signature(int curve) {
  const bssl::UniquePtr<EC_KEY> key(EC_KEY_new_by_curve_name(curve));
  if (key == nullptr || EC_KEY_generate_key(key.get()) != 1) return 0;
  const std::array<std::uint8_t, 32> digest{1};
  std::array<std::uint8_t, 256> signature{};
  double quickest = std::numeric_limits<double>::max();
  for (int i = 0; i < 12; ++i) {
    unsigned size = 0;
    const double begin = thread_seconds();
    if (ECDSA_sign(0, digest.data(), digest.size(), signature.data(), &size, key.get()) != 1) return 0;
    quickest = std::min(quickest, thread_seconds() - begin);
  }
  return quickest;
}

}  // namespace

LibraryFacts library_facts() {
  const auto context = new_ssl_ctx();
  const auto groups = set_groups(context.get(), {"X25519MLKEM768", "P-256"});
  return {BORINGSSL_API_VERSION, groups.has_value() && groups->skipped.empty()};
}

Presence p256_assembly_by(double ratio) {
  // Measured: 8 to 9 without, in Debian 12 and 13. With it a signature is several times as fast, so more than 16 is
  // expected: no such library was at hand.
  if (ratio >= 16) return Presence::yes;
  return ratio > 0 && ratio <= 12 ? Presence::no : Presence::unknown;
}

Presence has_p256_assembly() {
  const double p256 = seconds_for_signature(NID_X9_62_prime256v1);
  return p256_assembly_by(p256 > 0 ? seconds_for_signature(NID_secp384r1) / p256 : 0);
}

}  // namespace postern::tls
