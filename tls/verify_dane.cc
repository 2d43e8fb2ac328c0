#include "tls/verify_dane.h"

#include <openssl/bytestring.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "tls/path_search.h"
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
  // Not the whole of it: certificates would drown the log.
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
  void add(bssl::UniquePtr<X509> certificate, std::size_t index) {
    anchors_.add(std::move(certificate));
    anchor_records_.push_back(index);
  }

  // Certificates that the peer sent. The leaf is none of its own issuers, so it is not looked at.
  void add_selected(std::size_t index) {
    for (std::size_t i = 1; i < chain_.size(); ++i) {
      if (selects(records_[index], *chain_[i])) add(bssl::UpRef(chain_[i]), index);
    }
  }

  // The record holds the authority whole, so the peer may leave it out: a certificate is an anchor itself, a key
  // makes one of whatever it has signed.
  void add_given(std::size_t index) {
    if (records_[index].selector == TlsaRecord::certificate) {
      if (auto certificate = parse_certificate(records_[index].data)) add(std::move(certificate), index);
      return;
    }
    const auto key = parse_public_key(records_[index].data);
    if (!key) return;
    for (X509* certificate : chain_) {
      if (X509_verify(certificate, key.get()) == 1) add(bssl::UpRef(certificate), index);
    }
  }

  std::optional<PathResult> search(std::time_t now) const;

  std::size_t record_of(const X509* certificate) const {
    for (std::size_t i = 0; i < anchor_records_.size(); ++i) {
      if (X509_cmp(anchors_.all()[i].get(), certificate) == 0) return anchor_records_[i];
    }
    return anchor_records_.front();
  }

  std::span<const TlsaRecord> records_;
  std::vector<X509*> chain_;
  Anchors anchors_;
  std::vector<std::size_t> anchor_records_;  // which record vouches for each of them
};

DaneResult from_library_error(int error) {
  return {is_expiry(error) ? DaneOutcome::expired : DaneOutcome::not_trusted, std::nullopt,
          std::string("chain does not lead to the DANE-TA record: ") + X509_verify_cert_error_string(error)};
}

// Nothing where memory ran out. An authority named by DANE need be no root (RFC 7671 5.2).
std::optional<PathResult> TrustAnchorCheck::search(std::time_t now) const {
  const bssl::UniquePtr<X509_STORE> store(X509_STORE_new());
  const bssl::UniquePtr<STACK_OF(X509)> sent(sk_X509_new_null());
  if (!store || !sent) return std::nullopt;
  for (const auto& anchor : anchors_.all()) {
    if (X509_STORE_add_cert(store.get(), anchor.get()) != 1) return std::nullopt;
  }
  for (X509* certificate : chain_) {
    if (bssl::PushToStack(sent.get(), bssl::UpRef(certificate)) == 0) return std::nullopt;
  }
  return find_path(anchors_, *store, *sent, {PeerRole::server, now});
}

DaneResult TrustAnchorCheck::verify(std::span<const std::string> reference_names, std::time_t now) {
  if (anchors_.empty()) return {DaneOutcome::no_match, std::nullopt, "no TLSA record matches the certificate chain"};
  const auto path = search(now);
  if (!path) return from_library_error(X509_V_ERR_OUT_OF_MEM);
  if (!path->found()) return from_library_error(path->error);
  if (!names_any(*chain_.front(), reference_names)) {
    return {DaneOutcome::name_mismatch, std::nullopt,
            "certificate does not name " + (reference_names.empty() ? "the host" : reference_names.front()) +
                why_nameless(*chain_.front())};
  }
  return matched(records_, record_of(path->anchor.get()));
}

std::vector<X509*> certificates_of(const STACK_OF(X509) * chain) {
  std::vector<X509*> certificates;
  if (chain == nullptr) return certificates;
  for (std::size_t i = 0; i < sk_X509_num(chain) && i < longest_chain; ++i) {
    certificates.push_back(sk_X509_value(chain, i));
  }
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
  for (std::size_t i = 0; i < records.size() && usable.size() < max_tlsa_records; ++i) {
    if (!why_unusable(records[i])) usable.push_back(i);
  }
  std::vector<std::size_t> effective;
  std::copy_if(usable.begin(), usable.end(), std::back_inserter(effective), [&](std::size_t index) {
    return std::none_of(usable.begin(), usable.end(),
                        [&](std::size_t other) { return is_weaker_digest(records[index], records[other]); });
  });
  return effective;
}

namespace {

// Numbers and the first octets of the data identify a record.
std::string in_brief(const TlsaRecord& record) {
  return to_string(record).substr(0, 22);
}

// Whoever sees his record in DNS and the right key in his server wants to know why the two do not meet.
std::string passed_over(std::span<const TlsaRecord> records, std::span<const std::size_t> effective) {
  std::string text;
  for (const TlsaRecord& record : records) {
    if (text.size() > 200 || why_unusable(record)) continue;
    const auto stronger = std::find_if(effective.begin(), effective.end(),
                                       [&](std::size_t other) { return is_weaker_digest(record, records[other]); });
    if (stronger == effective.end()) continue;
    text += "; " + in_brief(record) + " does not count beside " + in_brief(records[*stronger]) +
            ", which has a stronger digest (RFC 7671 9)";
  }
  return text;
}

}  // namespace

DaneResult verify_dane(std::span<const TlsaRecord> records, const STACK_OF(X509) * chain,
                       std::span<const std::string> reference_names, std::time_t now) {
  const std::vector<std::size_t> effective = effective_records(records);
  if (effective.empty()) return {DaneOutcome::no_usable_record, std::nullopt, "none of the TLSA records can be used"};
  std::vector<X509*> certificates = certificates_of(chain);
  if (certificates.empty()) return {DaneOutcome::no_certificate, std::nullopt, "the peer showed no certificate"};

  for (const std::size_t index : effective) {
    if (records[index].usage == TlsaRecord::dane_ee && selects(records[index], *certificates.front())) {
      return matched(records, index);
    }
  }

  TrustAnchorCheck check(records, std::move(certificates));
  for (const std::size_t index : effective) {
    if (records[index].usage == TlsaRecord::dane_ta) check.consider(index);
  }
  DaneResult result = check.verify(reference_names, now);
  if (result.outcome != DaneOutcome::matched) result.reason += passed_over(records, effective);
  return result;
}

}  // namespace postern::tls
