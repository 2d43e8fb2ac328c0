#include "tls/trust_store.h"

#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "config/assert.h"
#include "tls/certificate_use.h"
#include "tls/tlsa.h"
#include "tls/x509_text.h"

namespace postern::tls {
namespace {

// Null where the library does not write what it has read.
bssl::UniquePtr<CRYPTO_BUFFER> name_of(const X509& certificate) {
  std::uint8_t* der = nullptr;
  const int size = i2d_X509_NAME(X509_get_subject_name(&certificate), &der);
  const bssl::UniquePtr<std::uint8_t> owned(der);
  return size < 0 ? nullptr
                  : bssl::UniquePtr<CRYPTO_BUFFER>(CRYPTO_BUFFER_new(der, static_cast<std::size_t>(size), nullptr));
}

// Why this one will vouch for nobody; empty: it will.
std::string anchor_flaw(X509& anchor) {
  if (X509_cmp_current_time(X509_get0_notAfter(&anchor)) < 0) {
    return "expired on " + to_date(to_time(*X509_get0_notAfter(&anchor)));
  }
  if (X509_cmp_current_time(X509_get0_notBefore(&anchor)) > 0) {
    return "is not valid before " + to_date(to_time(*X509_get0_notBefore(&anchor)));
  }
  return key_flaw(anchor);
}

}  // namespace

TrustStore::TrustStore(PemCertificates from) : store_(X509_STORE_new()), warnings_(std::move(from.warnings)) {
  POSTERN_ASSERT(store_ != nullptr, "out of memory");
  // An intermediate in the file is trusted as it stands: that is what the operator wrote.
  X509_STORE_set_flags(store_.get(), X509_V_FLAG_PARTIAL_CHAIN);
  std::string all;
  for (PemCertificate& anchor : from.certificates) {
    X509_STORE_add_cert(store_.get(), anchor.parsed.get());
    if (auto name = name_of(*anchor.parsed)) names_.push_back(std::move(name));
    all += anchor.der;
    anchors_.add(std::move(anchor.parsed));
  }
  ERR_clear_error();  // the same certificate twice is no error
  digest_ = sha256(all);
}

Result<std::unique_ptr<const TrustStore>> TrustStore::parse(const std::string& ca_file, std::string_view content) {
  auto anchors = parse_pem_certificates(ca_file, content, PemUse::authorities);
  if (!anchors) return tl::unexpected(anchors.error());
  constexpr std::size_t most = 10;
  for (const PemCertificate& anchor : anchors->certificates) {
    const std::string flaw = anchor_flaw(*anchor.parsed);
    if (!flaw.empty() && anchors->warnings.size() < most) {
      std::string warning = ca_file + ": line " + std::to_string(anchor.line);
      warning.append(": this CA (").append(subject_of(*anchor.parsed)).append(") ").append(flaw);
      anchors->warnings.push_back(warning + ": it vouches for nobody");
    }
  }
  return std::unique_ptr<const TrustStore>(new TrustStore(std::move(*anchors)));
}

Result<std::unique_ptr<const TrustStore>> TrustStore::parse_system(const std::string& ca_file,
                                                                   std::string_view content) {
  auto anchors = parse_pem_certificates(ca_file, content, PemUse::system_authorities);
  if (!anchors) return tl::unexpected(anchors.error());
  return std::unique_ptr<const TrustStore>(new TrustStore(std::move(*anchors)));
}

std::unique_ptr<const TrustStore> TrustStore::nobody() {
  return std::unique_ptr<const TrustStore>(new TrustStore({}));
}

ChainResult TrustStore::verify(const STACK_OF(X509) & chain, PeerRole peer) const {
  POSTERN_ASSERT(sk_X509_num(&chain) > 0, "there is nothing to verify");
  if (anchors_.empty()) return {.reason = "there is no CA that we trust"};
  const PathResult path = find_path(anchors_, *store_, chain, {.peer = peer, .time = {}});
  if (path.found()) return {true, false, {}};
  return {false, is_expiry(path.error), X509_verify_cert_error_string(path.error)};
}

}  // namespace postern::tls
