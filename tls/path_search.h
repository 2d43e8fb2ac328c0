// Looks for any valid path from a peer's certificate to somebody we trust (RFC 5280 6, RFC 4158, RFC 7671 5.2). The
// library follows a single one, so that an expired certificate hides its renewed twin; here, the others are tried too.
#pragma once

#include <openssl/base.h>
#include <openssl/x509.h>

#include <cstddef>
#include <ctime>
#include <optional>
#include <unordered_map>
#include <vector>

#include "tls/chain_result.h"

namespace postern::tls {

// Certificates that are trusted as they stand, roots or not, found by their names.
class Anchors {
 public:
  void add(bssl::UniquePtr<X509> certificate);
  bool empty() const { return all_.empty(); }
  const std::vector<bssl::UniquePtr<X509>>& all() const { return all_; }  // in the order of add

  // Those that may have issued it.
  std::vector<X509*> issuers_of(X509& certificate) const;
  bool contains(X509& certificate) const;

 private:
  std::vector<bssl::UniquePtr<X509>> all_;
  std::unordered_multimap<unsigned long, X509*> by_name_;  // by the hash of the subject, which others may share
};

struct PathTerms {
  PeerRole peer = PeerRole::server;
  std::optional<std::time_t> time = {};  // nothing: now
};

struct PathResult {
  int error = 0;                 // X509_V_OK, or what was wrong with the most promising path
  bssl::UniquePtr<X509> anchor;  // where the path ends; null unless found
  bool found() const { return anchor != nullptr; }
};

// What a hostile peer can make of one search, beyond the library's own single path: checks of a signature. An honest
// chain with all its twins takes a dozen.
inline constexpr std::size_t max_signature_checks = 48;

// `sent`: as the peer sent it, its own certificate first, not empty. `store` holds the same anchors, with
// X509_V_FLAG_PARTIAL_CHAIN. Whoever issues a certificate of the path must be a CA. Thread-safe.
PathResult find_path(const Anchors& anchors, X509_STORE& store, const STACK_OF(X509) & sent, const PathTerms& terms);

bool is_expiry(int error);  // X509_V_ERR_CERT_HAS_EXPIRED or _NOT_YET_VALID

}  // namespace postern::tls
