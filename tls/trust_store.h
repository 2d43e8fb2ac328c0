// The CAs that vouch for a peer.
#pragma once

#include <openssl/base.h>
#include <openssl/pool.h>
#include <openssl/stack.h>

#include <memory>
#include <string>
#include <vector>

#include "config/result.h"

namespace postern::tls {

class TrustStore {
 public:
  // Every certificate of a PEM file is an anchor, self-signed or not. Fails where one does not parse or there is none.
  static Result<std::unique_ptr<const TrustStore>> load(const std::string& ca_file);

  enum class Peer : std::uint8_t { client, server };

  // The path validation of RFC 5280 for now, with the purpose of that kind of peer. `chain` as the peer sent it, leaf
  // first. Empty: trusted; else why not, for people. Thread-safe.
  std::string verify(const STACK_OF(CRYPTO_BUFFER) * chain, Peer peer) const;

  // The anchors' names (DER), for the certificate request of a server.
  const std::vector<bssl::UniquePtr<CRYPTO_BUFFER>>& names() const { return names_; }
  // Same CAs in the same order, same digest.
  const std::string& digest() const { return digest_; }

 private:
  TrustStore() = default;

  bssl::UniquePtr<X509_STORE> store_;
  std::vector<bssl::UniquePtr<CRYPTO_BUFFER>> names_;
  std::string digest_;
};

}  // namespace postern::tls
