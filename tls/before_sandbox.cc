#include "tls/before_sandbox.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <cstdint>

namespace postern::tls {

void prepare_for_sandbox() {
#ifdef POSTERN_HAS_PRE_SANDBOX_INIT
  CRYPTO_pre_sandbox_init();
#else
  CRYPTO_library_init();
#endif
  std::uint8_t octet = 0;
  RAND_bytes(&octet, sizeof octet);  // finds out where entropy comes from
}

}  // namespace postern::tls
