// PEM files: certificates and whatever else stands in them.
#pragma once

#include <openssl/base.h>
#include <openssl/bio.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.h"

namespace postern::tls {

inline constexpr std::size_t max_pem_file = 4 * 1024 * 1024;  // a system's whole list of CAs is below 300 KiB

struct PemBlock {
  std::string name;  // "CERTIFICATE"
  std::string der;
};

// `text` must outlive the BIO.
bssl::UniquePtr<BIO> bio_over(std::string_view text);

// The next block of a PEM text; nothing at its end.
Result<std::optional<PemBlock>> next_pem_block(BIO* text);

struct PemCertificate {
  std::string der;
  bssl::UniquePtr<X509> parsed;
};

// What to do with a certificate that does not parse. An operator's file is right as a whole or not at all.
enum class Unparsable : std::uint8_t { is_an_error, left_out };

// Every CERTIFICATE block of the file, at least one; other blocks (a key) are passed over. Errc::certificate where the
// PEM is broken, or one does not parse.
Result<std::vector<PemCertificate>> load_pem_certificates(const std::string& path,
                                                          Unparsable unparsable = Unparsable::is_an_error);

}  // namespace postern::tls
