// PEM files: certificates and whatever else stands in them.
#pragma once

#include <openssl/base.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.h"

namespace postern::tls {

struct PemCertificate {
  std::string der;
  bssl::UniquePtr<X509> parsed;
  std::size_t line = 0;  // of its BEGIN
};

struct PemCertificates {
  std::vector<PemCertificate> certificates;  // never empty
  std::vector<std::string> warnings;         // "PATH: line 12: …"
};

// What a file is read for. An operator's file is right as a whole or not at all.
enum class PemUse : std::uint8_t {
  chain,
  authorities,
  system_authorities,  // nobody here wrote it: what does not parse is left out
};

// Every certificate of the file at `path`, whose `content` this is; at least one. CERTIFICATE blocks, and TRUSTED
// CERTIFICATE ones: what these say about trust is nothing to peers, so that it is left out in a chain, and refused in
// authorities, where it would be lost. Keys and parameters are passed over, other blocks are named. Errc::certificate
// where a block is broken or does not parse, or where one could be lost: the message says on which line.
Result<PemCertificates> parse_pem_certificates(const std::string& path, std::string_view content, PemUse use);

struct PemKey {
  std::string text;                   // the file's first private key, as one clean PEM block; the caller wipes it
  std::vector<std::string> warnings;  // as above
};
// `content` is the file's. Errc::certificate where there is no such block, or it is broken.
Result<PemKey> find_private_key(const std::string& path, std::string_view content);

}  // namespace postern::tls
