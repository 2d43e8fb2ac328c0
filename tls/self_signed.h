// A certificate that vouches for itself: for `postern demo`, never for real mail.
#pragma once

#include <string>

#include "config/result.h"

namespace postern::tls {

struct SelfSigned {
  std::string certificate_pem;
  std::string key_pem;  // P-256, not encrypted
};

// For the host `name` (its common name and its only DNS name), valid from an hour ago for 90 days.
Result<SelfSigned> make_self_signed(const std::string& name);

}  // namespace postern::tls
