#include "tls/path_search.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "config/assert.h"

namespace postern::tls {
namespace {

bool is_same(const X509* one, const X509* other) {
  return X509_cmp(one, other) == 0;
}

// The library takes an anchor as it stands (RFC 5280 6.1), so that somebody's own certificate, listed to let them in,
// would let in all whom they vouch for.
bool only_cas_vouch(X509_STORE_CTX* validation) {
  const STACK_OF(X509)* path = X509_STORE_CTX_get0_chain(validation);
  for (std::size_t i = 1; i < sk_X509_num(path); ++i) {
    if (X509_check_ca(sk_X509_value(path, i)) == 0) return false;
  }
  return true;
}

// One path, as the library finds it.
PathResult verify(X509_STORE& store, const STACK_OF(X509) & sent, const PathTerms& terms) {
  const bssl::UniquePtr<X509_STORE_CTX> validation(X509_STORE_CTX_new());
  POSTERN_ASSERT(validation != nullptr, "out of memory");
  // The library takes the peer's certificates by a pointer to non-const, and only reads.
  if (X509_STORE_CTX_init(validation.get(), &store, sk_X509_value(&sent, 0), const_cast<STACK_OF(X509)*>(&sent)) != 1 ||
      X509_STORE_CTX_set_default(validation.get(), terms.peer == PeerRole::client ? "ssl_client" : "ssl_server") != 1) {
    return {X509_V_ERR_UNSPECIFIED, nullptr};
  }
  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(validation.get());
  X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
  if (terms.time) X509_VERIFY_PARAM_set_time(parameters, *terms.time);
  if (X509_verify_cert(validation.get()) != 1) return {X509_STORE_CTX_get_error(validation.get()), nullptr};
  if (!only_cas_vouch(validation.get())) return {X509_V_ERR_INVALID_CA, nullptr};
  const STACK_OF(X509)* path = X509_STORE_CTX_get0_chain(validation.get());
  return {X509_V_OK, bssl::UpRef(sk_X509_value(path, sk_X509_num(path) - 1))};
}

class Search {
 public:
  Search(const Anchors& anchors, const STACK_OF(X509) & sent, const PathTerms& terms)
      : anchors_(anchors), sent_(sent), terms_(terms) {}

  // Certificates that are not valid now lead nowhere; with `dated`, they are followed too, to tell an old path from
  // none.
  PathResult run(bool dated);

 private:
  bool extend();
  bool try_anchor(X509* anchor);
  bool is_valid_now(const X509& certificate) const;
  bool has_signed(X509* issuer, X509* certificate);
  bool is_on_path(const X509* certificate) const;

  const Anchors& anchors_;
  const STACK_OF(X509) & sent_;
  const PathTerms& terms_;
  bool dated_ = false;
  std::size_t checks_ = 0;
  std::vector<X509*> path_;
  PathResult result_{X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, nullptr};
};

PathResult Search::run(bool dated) {
  dated_ = dated;
  path_ = {sk_X509_value(&sent_, 0)};
  extend();
  return std::move(result_);
}

bool Search::is_valid_now(const X509& certificate) const {
  std::time_t now = terms_.time.value_or(0);
  std::time_t* at = terms_.time ? &now : nullptr;  // null: the library's own clock
  const bool valid = X509_cmp_time(X509_get0_notBefore(&certificate), at) < 0 &&
                     X509_cmp_time(X509_get0_notAfter(&certificate), at) > 0;
  ERR_clear_error();
  return valid;
}

bool Search::has_signed(X509* issuer, X509* certificate) {
  if (++checks_ > max_signature_checks) return false;
  const bssl::UniquePtr<EVP_PKEY> key(X509_get_pubkey(issuer));
  return key != nullptr && X509_verify(certificate, key.get()) == 1;
}

bool Search::is_on_path(const X509* certificate) const {
  return std::any_of(path_.begin(), path_.end(), [certificate](const X509* one) { return is_same(one, certificate); });
}

// The library itself judges the path so far, with that anchor and nothing else to choose from.
bool Search::try_anchor(X509* anchor) {
  checks_ += path_.size();
  if (checks_ > max_signature_checks) return false;
  const bssl::UniquePtr<X509_STORE> store(X509_STORE_new());
  const bssl::UniquePtr<STACK_OF(X509)> path(sk_X509_new_null());
  POSTERN_ASSERT(store != nullptr && path != nullptr, "out of memory");
  X509_STORE_add_cert(store.get(), anchor);
  for (X509* one : path_) bssl::PushToStack(path.get(), bssl::UpRef(one));
  PathResult tried = verify(*store, *path, terms_);
  const bool better = tried.found() || is_expiry(tried.error) || !is_expiry(result_.error);
  if (better) result_ = std::move(tried);
  return result_.found();
}

bool Search::extend() {
  X509* last = path_.back();
  if (path_.size() == 1 && anchors_.contains(*last) && try_anchor(last)) return true;
  for (X509* anchor : anchors_.issuers_of(*last)) {
    if ((dated_ || is_valid_now(*anchor)) && try_anchor(anchor)) return true;
  }
  for (std::size_t i = 1; i < sk_X509_num(&sent_) && checks_ <= max_signature_checks; ++i) {
    X509* next = sk_X509_value(&sent_, i);
    if ((!dated_ && !is_valid_now(*next)) || X509_check_issued(next, last) != X509_V_OK || is_on_path(next) ||
        !has_signed(next, last)) {
      continue;
    }
    path_.push_back(next);
    if (extend()) return true;
    path_.pop_back();
  }
  return false;
}

}  // namespace

void Anchors::add(bssl::UniquePtr<X509> certificate) {
  by_name_.emplace(X509_NAME_hash(X509_get_subject_name(certificate.get())), certificate.get());
  all_.push_back(std::move(certificate));
}

std::vector<X509*> Anchors::issuers_of(X509& certificate) const {
  std::vector<X509*> issuers;
  const auto [first, last] = by_name_.equal_range(X509_NAME_hash(X509_get_issuer_name(&certificate)));
  for (auto at = first; at != last; ++at) {
    if (X509_check_issued(at->second, &certificate) == X509_V_OK) issuers.push_back(at->second);
  }
  return issuers;
}

bool Anchors::contains(X509& certificate) const {
  const auto [first, last] = by_name_.equal_range(X509_NAME_hash(X509_get_subject_name(&certificate)));
  return std::any_of(first, last, [&certificate](const auto& one) { return is_same(one.second, &certificate); });
}

PathResult find_path(const Anchors& anchors, X509_STORE& store, const STACK_OF(X509) & sent, const PathTerms& terms) {
  PathResult result = verify(store, sent, terms);
  if (!result.found()) {
    if (PathResult other = Search(anchors, sent, terms).run(false); other.found()) {
      result = std::move(other);
    } else if (!is_expiry(result.error)) {
      PathResult dated = Search(anchors, sent, terms).run(true);
      result.error = is_expiry(dated.error) ? dated.error : result.error;
    }
  }
  ERR_clear_error();
  return result;
}

bool is_expiry(int error) {
  return error == X509_V_ERR_CERT_HAS_EXPIRED || error == X509_V_ERR_CERT_NOT_YET_VALID;
}

}  // namespace postern::tls
