#include "tls/peer_certificates.h"

#include <openssl/err.h>
#include <openssl/pool.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>

#include "config/assert.h"
#include "tls/trust_store.h"
#include "tls/verify_name.h"
#include "tls/x509_text.h"

namespace postern::tls {

namespace {

constexpr const char* does_not_parse = "the certificate does not parse";

}  // namespace

struct PeerCertificates::State {
  std::vector<bssl::UniquePtr<CRYPTO_BUFFER>> received;  // never empty
  Role role = Role::server;
  bssl::UniquePtr<STACK_OF(X509)> parsed;  // null: not yet asked for; empty: the first does not parse

  void parse();
};

void PeerCertificates::State::parse() {
  parsed.reset(sk_X509_new_null());
  POSTERN_ASSERT(parsed != nullptr, "out of memory");
  for (const auto& der : received) {
    bssl::UniquePtr<X509> one(X509_parse_from_buffer(der.get()));
    if (one != nullptr) {
      bssl::PushToStack(parsed.get(), std::move(one));
    } else if (der == received.front()) {
      break;
    }
  }
  ERR_clear_error();
}

PeerCertificates::PeerCertificates(const STACK_OF(CRYPTO_BUFFER) * chain, Role role) {
  const std::size_t sent = chain == nullptr ? 0 : sk_CRYPTO_BUFFER_num(chain);
  if (sent == 0) return;
  state_ = std::make_shared<State>();
  state_->role = role;
  for (std::size_t i = 0; i < std::min(sent, max_certificates); ++i) {
    state_->received.push_back(bssl::UpRef(sk_CRYPTO_BUFFER_value(chain, i)));
  }
}

std::size_t PeerCertificates::size() const {
  return state_ == nullptr ? 0 : state_->received.size();
}

const STACK_OF(X509) * PeerCertificates::chain() const {
  if (state_ == nullptr) return nullptr;
  if (state_->parsed == nullptr) state_->parse();
  return sk_X509_num(state_->parsed.get()) == 0 ? nullptr : state_->parsed.get();
}

const X509* PeerCertificates::leaf() const {
  const STACK_OF(X509)* all = chain();
  return all == nullptr ? nullptr : sk_X509_value(all, 0);
}

std::string PeerCertificates::subject() const {
  const X509* own = leaf();
  return own == nullptr ? std::string() : subject_of(*own);
}

std::string PeerCertificates::issuer() const {
  const X509* own = leaf();
  return own == nullptr ? std::string() : issuer_of(*own);
}

std::string PeerCertificates::common_name() const {
  const X509* own = leaf();
  return own == nullptr ? std::string() : common_name_of(*own);
}

std::vector<std::string> PeerCertificates::dns_names() const {
  const X509* own = leaf();
  return own == nullptr ? std::vector<std::string>() : certificate_dns_names(*own);
}

std::string PeerCertificates::why_nameless() const {
  const X509* own = leaf();
  return own == nullptr ? std::string() : tls::why_nameless(*own);
}

std::optional<std::chrono::sys_seconds> PeerCertificates::not_after() const {
  const X509* own = leaf();
  return own == nullptr ? std::nullopt : std::optional(to_time(*X509_get0_notAfter(own)));
}

std::vector<std::string> PeerCertificates::fingerprints() const {
  const X509* own = leaf();
  return own == nullptr ? std::vector<std::string>()
                        : std::vector{sha256(public_key_der(*own)), sha256(certificate_der(*own))};
}

ChainResult PeerCertificates::verify_chain(const TrustStore& trust) const {
  if (chain() == nullptr) return {.reason = empty() ? "the peer showed no certificate" : does_not_parse};
  return trust.verify(*chain(), state_->role);
}

DaneResult PeerCertificates::verify_dane(std::span<const TlsaRecord> records,
                                         std::span<const std::string> reference_names, std::time_t now) const {
  DaneResult result = tls::verify_dane(records, chain(), reference_names, now);
  if (result.outcome == DaneOutcome::no_certificate && !empty()) result.reason = does_not_parse;
  return result;
}

}  // namespace postern::tls
