#include "tls/verify_dane.h"

#include <openssl/bytestring.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "tls/verify_name.h"
#include "tls/x509_text.h"

namespace postern::tls {

namespace {

// No honest chain is longer, and each certificate costs signature checks.
constexpr std::size_t longest_chain = 16;

bool is_weaker_digest(const TlsaRecord& record, const TlsaRecord& other) {
  return record.usage == other.usage && record.selector == other.selector &&
         record.matching_type == TlsaRecord::sha2_256 && other.matching_type == TlsaRecord::sha2_512;
}

// A certificate that a DANE-TA record vouches for.
struct Anchor {
  bssl::UniquePtr<X509> certificate;
  std::size_t record = 0;
};

bssl::UniquePtr<EVP_PKEY> parse_public_key(const std::string& der) {
  CBS reader;
  CBS_init(&reader, reinterpret_cast<const std::uint8_t*>(der.data()), der.size());
  return bssl::UniquePtr<EVP_PKEY>(EVP_parse_public_key(&reader));
}

bool names_any(const X509& certificate, std::span<const std::string> reference_names) {
  const std::vector<std::string> names = certificate_dns_names(certificate);
  return std::any_of(reference_names.begin(), reference_names.end(),
                     [&names](const std::string& name) { return names_host(names, name); });
}

DaneResult matched(std::span<const TlsaRecord> records, std::size_t index) {
  // Numbers and the first octets of the data identify a record; whole certificates would drown the log.
  return {DaneOutcome::matched, index, "matched TLSA record " + to_string(records[index]).substr(0, 22)};
}

class TrustAnchorCheck {
 public:
  TrustAnchorCheck(std::span<const TlsaRecord> records, std::vector<X509*> chain)
      : records_(records), chain_(std::move(chain)) {}

  void consider(std::size_t index) {
    add_selected(index);
    if (records_[index].matching_type == TlsaRecord::exact) add_given(index);
  }

  DaneResult verify(std::span<const std::string> reference_names, std::time_t now);

 private:
  void add(X509* certificate, std::size_t index) {
    X509_up_ref(certificate);
    anchors_.push_back({bssl::UniquePtr<X509>(certificate), index});
  }

  // Certificates that the peer sent. The leaf is none of its own issuers, so it is not looked at.
  void add_selected(std::size_t index) {
    for (std::size_t i = 1; i < chain_.size(); ++i)
      if (selects(records_[index], *chain_[i])) add(chain_[i], index);
  }

  // The record holds the authority whole, so the peer may leave it out: a certificate is an anchor itself, a key
  // makes one of whatever it has signed.
  void add_given(std::size_t index) {
    if (records_[index].selector == TlsaRecord::certificate) {
      if (auto certificate = parse_certificate(records_[index].data))
        anchors_.push_back({std::move(certificate), index});
      return;
    }
    const auto key = parse_public_key(records_[index].data);
    if (!key) return;
    for (X509* certificate : chain_)
      if (X509_verify(certificate, key.get()) == 1) add(certificate, index);
  }

  bool prepare(std::time_t now);

  std::size_t record_of(const X509* certificate) const {
    const auto anchor = std::find_if(anchors_.begin(), anchors_.end(), [certificate](const Anchor& candidate) {
      return X509_cmp(candidate.certificate.get(), certificate) == 0;
    });
    return anchor == anchors_.end() ? anchors_.front().record : anchor->record;
  }

  std::span<const TlsaRecord> records_;
  std::vector<X509*> chain_;
  std::vector<Anchor> anchors_;
  // The context borrows the other two: it goes first.
  bssl::UniquePtr<X509_STORE> store_;
  bssl::UniquePtr<STACK_OF(X509)> untrusted_;
  bssl::UniquePtr<X509_STORE_CTX> context_;
};

DaneResult from_library_error(int error) {
  const bool time = error == X509_V_ERR_CERT_HAS_EXPIRED || error == X509_V_ERR_CERT_NOT_YET_VALID;
  return {time ? DaneOutcome::expired : DaneOutcome::not_trusted, std::nullopt,
          std::string("chain does not lead to the DANE-TA record: ") + X509_verify_cert_error_string(error)};
}

bool TrustAnchorCheck::prepare(std::time_t now) {
  store_.reset(X509_STORE_new());
  untrusted_.reset(sk_X509_new_null());
  context_.reset(X509_STORE_CTX_new());
  if (!store_ || !untrusted_ || !context_) return false;
  for (const Anchor& anchor : anchors_)
    if (X509_STORE_add_cert(store_.get(), anchor.certificate.get()) != 1) return false;
  for (X509* certificate : chain_)
    if (bssl::PushToStack(untrusted_.get(), bssl::UpRef(certificate)) == 0) return false;
  if (X509_STORE_CTX_init(context_.get(), store_.get(), chain_.front(), untrusted_.get()) != 1) return false;

  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context_.get());
  // An authority named by DANE need be no root (RFC 7671 5.2), and must win over whatever else the peer sent.
  X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
  X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_SSL_SERVER);
  X509_VERIFY_PARAM_set_time(parameters, now);
  return true;
}

DaneResult TrustAnchorCheck::verify(std::span<const std::string> reference_names, std::time_t now) {
  if (anchors_.empty()) return {DaneOutcome::no_match, std::nullopt, "no TLSA record matches the certificate chain"};
  if (!prepare(now)) return from_library_error(X509_V_ERR_OUT_OF_MEM);
  if (X509_verify_cert(context_.get()) != 1) return from_library_error(X509_STORE_CTX_get_error(context_.get()));

  const STACK_OF(X509)* built = X509_STORE_CTX_get0_chain(context_.get());
  X509* top = sk_X509_value(built, sk_X509_num(built) - 1);
  // The library takes a trust anchor as it comes; we want one that has signed others to be an authority.
  if (sk_X509_num(built) > 1 && X509_check_ca(top) == 0) return from_library_error(X509_V_ERR_INVALID_CA);
  if (!names_any(*chain_.front(), reference_names))
    return {DaneOutcome::name_mismatch, std::nullopt,
            "certificate does not name " + (reference_names.empty() ? "the host" : reference_names.front())};
  return matched(records_, record_of(top));
}

std::vector<X509*> certificates_of(const STACK_OF(X509) * chain) {
  std::vector<X509*> certificates;
  if (chain == nullptr) return certificates;
  for (std::size_t i = 0; i < sk_X509_num(chain) && i < longest_chain; ++i)
    certificates.push_back(sk_X509_value(chain, i));
  return certificates;
}

}  // namespace

std::string_view to_string(DaneOutcome outcome) {
  switch (outcome) {
    case DaneOutcome::not_checked: return "not checked";
    case DaneOutcome::matched: return "matched";
    case DaneOutcome::no_usable_record: return "no usable record";
    case DaneOutcome::no_certificate: return "no certificate";
    case DaneOutcome::no_match: return "no match";
    case DaneOutcome::not_trusted: return "not trusted";
    case DaneOutcome::expired: return "expired";
    case DaneOutcome::name_mismatch: return "name mismatch";
  }
  return "unknown";
}

bool any_usable(std::span<const TlsaRecord> records) {
  return std::any_of(records.begin(), records.end(), [](const TlsaRecord& record) { return !why_unusable(record); });
}

std::vector<std::size_t> effective_records(std::span<const TlsaRecord> records) {
  std::vector<std::size_t> usable;
  for (std::size_t i = 0; i < records.size() && usable.size() < max_tlsa_records; ++i)
    if (!why_unusable(records[i])) usable.push_back(i);
  std::vector<std::size_t> effective;
  std::copy_if(usable.begin(), usable.end(), std::back_inserter(effective), [&](std::size_t index) {
    return std::none_of(usable.begin(), usable.end(),
                        [&](std::size_t other) { return is_weaker_digest(records[index], records[other]); });
  });
  return effective;
}

DaneResult verify_dane(std::span<const TlsaRecord> records, const STACK_OF(X509) * chain,
                       std::span<const std::string> reference_names, std::time_t now) {
  const std::vector<std::size_t> effective = effective_records(records);
  if (effective.empty()) return {DaneOutcome::no_usable_record, std::nullopt, "none of the TLSA records can be used"};
  std::vector<X509*> certificates = certificates_of(chain);
  if (certificates.empty()) return {DaneOutcome::no_certificate, std::nullopt, "the peer showed no certificate"};

  for (const std::size_t index : effective)
    if (records[index].usage == TlsaRecord::dane_ee && selects(records[index], *certificates.front()))
      return matched(records, index);

  TrustAnchorCheck check(records, std::move(certificates));
  for (const std::size_t index : effective)
    if (records[index].usage == TlsaRecord::dane_ta) check.consider(index);
  return check.verify(reference_names, now);
}

}  // namespace postern::tls
