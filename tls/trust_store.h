// The CAs that vouch for a peer.
#pragma once

#include <openssl/base.h>
#include <openssl/pool.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.h"
#include "tls/chain_result.h"
#include "tls/path_search.h"
#include "tls/pem.h"

namespace postern::tls {

class TrustStore {
 public:
  // Every certificate of a PEM file, whose `content` this is, is an anchor, self-signed or not. Fails as
  // parse_pem_certificates does.
  static Result<std::unique_ptr<const TrustStore>> parse(const std::string& ca_file, std::string_view content);

  // The same of the list of CAs that this system trusts. What does not parse there is left out: nobody here wrote it.
  static Result<std::unique_ptr<const TrustStore>> parse_system(const std::string& ca_file, std::string_view content);

  // Trusts nobody.
  static std::unique_ptr<const TrustStore> nobody();

  // The path validation of RFC 5280 for now, with the purpose of that kind of peer: any valid path will do. `chain` as
  // the peer sent it, leaf first, not empty. Thread-safe.
  ChainResult verify(const STACK_OF(X509) & chain, PeerRole peer) const;

  // The anchors' names (DER), for the certificate request of a server.
  const std::vector<bssl::UniquePtr<CRYPTO_BUFFER>>& names() const { return names_; }
  // Same CAs in the same order, same digest.
  const std::string& digest() const { return digest_; }
  // What an operator should know of the file: odd text in it, CAs that vouch for nobody (any more).
  const std::vector<std::string>& warnings() const { return warnings_; }
  // An anchor whose name issued this certificate. Its signature is not looked at.
  bool knows_issuer_of(X509& certificate) const { return !anchors_.issuers_of(certificate).empty(); }

 private:
  explicit TrustStore(PemCertificates anchors);

  Anchors anchors_;
  bssl::UniquePtr<X509_STORE> store_;
  std::vector<bssl::UniquePtr<CRYPTO_BUFFER>> names_;
  std::string digest_;
  std::vector<std::string> warnings_;
};

}  // namespace postern::tls
