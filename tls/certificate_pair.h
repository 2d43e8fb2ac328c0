// Whether the contents of two files can be used as a chain with its key, without making anything of them.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "config/file.h"
#include "config/result.h"
#include "config/settings.h"

namespace postern::tls {

struct PairFlaw {
  bool mismatch = false;  // each by itself is sound, and the key is another certificate's
  std::string why;        // names the file
};

// Nothing: the pair can be used. The key may be elsewhere (config::File::key_elsewhere).
std::optional<PairFlaw> flaw_of_pair(const config::CertificatePair& pair, const Result<config::File>& chain,
                                     const Result<config::File>& key);

// What can be told of a pair, whether it can be used or not.
struct PairFacts {
  std::vector<std::string> names = {};  // in lower case, wildcards among them
  std::chrono::sys_seconds not_before = {};
  std::chrono::sys_seconds not_after = {};
  bool is_rsa = false;
  bool self_issued = false;  // nobody else vouches for it
  std::string flaw = {};     // why it cannot be used; empty: it can
};
PairFacts facts_of_pair(const config::CertificatePair& pair, const Result<config::File>& chain,
                        const Result<config::File>& key);

// What a key that is elsewhere is called (see name_of in tls/certificates.h). Empty: it is not, or cannot be read.
std::string name_of_key_elsewhere(const std::string& path, const config::File& file);

}  // namespace postern::tls
