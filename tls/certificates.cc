#include "tls/certificates.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <utility>

#include "config/assert.h"
#include "config/text.h"
#include "tls/certificate_use.h"
#include "tls/error.h"
#include "tls/pem.h"
#include "tls/tlsa.h"
#include "tls/verify_name.h"
#include "tls/x509_text.h"

namespace postern::tls {
namespace {

constexpr std::size_t max_chain = 20;
constexpr int weak_rsa_bits = 2048;

std::vector<std::string> names_of(const X509& leaf) {
  std::vector<std::string> names = certificate_dns_names(leaf);
  if (names.empty() && X509_get_ext_by_NID(&leaf, NID_subject_alt_name, -1) < 0) {
    const std::string common_name = common_name_of(leaf);
    if (!common_name.empty()) names.push_back(common_name);
  }
  for (std::string& name : names) name = config::lower_case(name);
  return names;
}

bool has_issued(X509& issuer, X509& other) {
  const bssl::UniquePtr<EVP_PKEY> key(X509_get_pubkey(&issuer));
  const bool issued =
      X509_check_issued(&issuer, &other) == X509_V_OK && key != nullptr && X509_verify(&other, key.get()) == 1;
  ERR_clear_error();
  return issued;
}

void note_order(const std::vector<PemCertificate>& loaded, Chain& chain) {
  for (std::size_t i = 1; i < loaded.size(); ++i) {
    const std::string which = "certificate " + std::to_string(i + 1) + " (" + subject_of(*loaded[i].parsed) + ") ";
    if (const std::string flaw = key_flaw(*loaded[i].parsed); !flaw.empty()) {
      chain.warnings.push_back(which + flaw + ": clients find no way over it to a root");
    } else if (!has_issued(*loaded[i].parsed, *loaded[i - 1].parsed)) {
      chain.warnings.push_back(which + "did not issue certificate " + std::to_string(i) +
                               ": clients may find no way from ours to a root");
    }
  }
}

Chain make_chain(const std::vector<PemCertificate>& loaded) {
  X509& leaf = *loaded.front().parsed;
  Chain chain;
  chain.dns_names = names_of(leaf);
  chain.subject = subject_of(leaf);
  chain.not_before = to_time(*X509_get0_notBefore(&leaf));
  chain.not_after = to_time(*X509_get0_notAfter(&leaf));
  for (const PemCertificate& one : loaded) {
    chain.certificates.emplace_back(
        CRYPTO_BUFFER_new(reinterpret_cast<const std::uint8_t*>(one.der.data()), one.der.size(), nullptr));
    POSTERN_ASSERT(chain.certificates.back() != nullptr, "out of memory");
    chain.not_before = std::max(chain.not_before, to_time(*X509_get0_notBefore(one.parsed.get())));
    chain.not_after = std::min(chain.not_after, to_time(*X509_get0_notAfter(one.parsed.get())));
  }
  note_order(loaded, chain);
  if (loaded.size() == 1 && X509_NAME_cmp(X509_get_subject_name(&leaf), X509_get_issuer_name(&leaf)) != 0) {
    chain.missing_issuer = issuer_of(leaf);
  }
  return chain;
}

}  // namespace

std::vector<CRYPTO_BUFFER*> borrowed(const Chain& chain) {
  std::vector<CRYPTO_BUFFER*> certificates;
  for (const auto& one : chain.certificates) certificates.push_back(one.get());
  return certificates;
}

Result<Chain> parse_chain(const std::string& path, std::string_view content) {
  auto loaded = parse_pem_certificates(path, content, PemUse::chain);
  if (!loaded) return tl::unexpected(loaded.error());
  if (loaded->certificates.size() > max_chain) {
    return fail(Errc::limit_exceeded, path + " holds more than " + std::to_string(max_chain) + " certificates");
  }
  Chain chain = make_chain(loaded->certificates);
  chain.warnings.insert(chain.warnings.begin(), loaded->warnings.begin(), loaded->warnings.end());
  return chain;
}

namespace {

// `text` must outlive the BIO.
bssl::UniquePtr<BIO> bio_over(std::string_view text) {
  bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  POSTERN_ASSERT(bio != nullptr, "out of memory");
  return bio;
}

// Told to the PEM reader in place of a passphrase; remembers that one was asked for.
int no_passphrase(char*, int, int, void* asked) noexcept {
  *static_cast<bool*>(asked) = true;
  return 0;
}

bool describe_ec_key(PrivateKey& key) {
  key.type = KeyType::ecdsa;
  switch (EC_GROUP_get_curve_name(EC_KEY_get0_group(EVP_PKEY_get0_EC_KEY(key.key.get())))) {
    case NID_X9_62_prime256v1:
      key.tls13_signature = SSL_SIGN_ECDSA_SECP256R1_SHA256;
      key.group = SSL_CURVE_SECP256R1;
      return true;
    case NID_secp384r1:
      key.tls13_signature = SSL_SIGN_ECDSA_SECP384R1_SHA384;
      key.group = SSL_CURVE_SECP384R1;
      return true;
    case NID_secp521r1:
      key.tls13_signature = SSL_SIGN_ECDSA_SECP521R1_SHA512;
      key.group = SSL_CURVE_SECP521R1;
      return true;
    default: return false;
  }
}

bool describe_key(PrivateKey& key) {
  switch (EVP_PKEY_id(key.key.get())) {
    case EVP_PKEY_RSA:
      key.type = KeyType::rsa;
      if (const int bits = static_cast<int>(EVP_PKEY_bits(key.key.get())); bits < weak_rsa_bits) {
        key.warnings.push_back("an RSA key of " + std::to_string(bits) + " bits is weak, and many peers refuse it");
      }
      return true;
    case EVP_PKEY_EC: return describe_ec_key(key);
    case EVP_PKEY_ED25519:
      key.type = KeyType::ed25519;
      key.tls13_signature = SSL_SIGN_ED25519;
      return true;
    default: return false;
  }
}

Error unreadable_key(const std::string& path, bool passphrase_asked) {
  if (passphrase_asked) {
    ERR_clear_error();
    return {Errc::certificate, "the private key in " + path +
                                   " is encrypted; store it without a passphrase (openssl pkey -in … -out …), "
                                   "readable by its owner alone"};
  }
  return {Errc::certificate, "the private key in " + path + " cannot be read: " + take_error_reason()};
}

Result<PrivateKey> public_half(const std::string& path, const config::File& file) {
  ERR_clear_error();
  PrivateKey key;
  key.key.reset(PEM_read_bio_PUBKEY(bio_over(file.content).get(), nullptr, nullptr, nullptr));
  if (key.key == nullptr) {
    return fail(Errc::certificate, "the public key of " + path + " cannot be read: " + take_error_reason());
  }
  key.elsewhere = name_of(*key.key);
  return key;
}

Result<PrivateKey> whole_key(const std::string& path, const config::File& file) {
  auto found = find_private_key(path, file.content);
  if (!found) return tl::unexpected(found.error());
  ERR_clear_error();
  PrivateKey key;
  bool passphrase_asked = false;
  key.key.reset(PEM_read_bio_PrivateKey(bio_over(found->text).get(), nullptr, no_passphrase, &passphrase_asked));
  OPENSSL_cleanse(found->text.data(), found->text.size());
  if (key.key == nullptr) return tl::unexpected(unreadable_key(path, passphrase_asked));
  key.warnings = std::move(found->warnings);
  return key;
}

}  // namespace

Result<PrivateKey> parse_private_key(const std::string& path, const config::File& file) {
  auto key = file.key_elsewhere ? public_half(path, file) : whole_key(path, file);
  if (!key) return key;
  if (!describe_key(*key)) {
    return fail(Errc::unsupported, "the private key in " + path + " is neither RSA, P-256, P-384, P-521 nor Ed25519");
  }
  if (file.world_readable) {
    key->warnings.push_back("the private key in " + path + " is readable by every user of this machine");
  }
  return key;
}

std::string name_of(const EVP_PKEY& key) {
  std::uint8_t* der = nullptr;
  const int size = i2d_PUBKEY(&key, &der);
  const bssl::UniquePtr<std::uint8_t> owned(der);
  POSTERN_ASSERT(size > 0, "a key that was read cannot be written");
  return sha256({reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)});
}

namespace {

bssl::UniquePtr<X509> parsed(const CRYPTO_BUFFER* der) {
  const auto* data = CRYPTO_BUFFER_data(der);
  bssl::UniquePtr<X509> certificate(d2i_X509(nullptr, &data, static_cast<long>(CRYPTO_BUFFER_len(der))));
  ERR_clear_error();
  return certificate;
}

bool belongs_together(X509* certificate, const EVP_PKEY* key) {
  const bssl::UniquePtr<EVP_PKEY> public_key(certificate == nullptr ? nullptr : X509_get_pubkey(certificate));
  const bool same = public_key != nullptr && EVP_PKEY_cmp(public_key.get(), key) == 1;
  ERR_clear_error();
  return same;
}

}  // namespace

Result<std::shared_ptr<const Certificate>> match(Chain chain, PrivateKey key) {
  const auto leaf = parsed(chain.certificates.front().get());
  if (const std::string flaw = leaf == nullptr ? "does not parse" : key_flaw(*leaf); !flaw.empty()) {
    return fail(Errc::unsupported, "the certificate (" + chain.subject + ") " + flaw);
  }
  for (std::size_t i = 0; i < chain.certificates.size(); ++i) {
    if (!belongs_together(parsed(chain.certificates[i].get()).get(), key.key.get())) continue;
    if (i > 0) {
      return fail(Errc::certificate, "the key belongs to certificate " + std::to_string(i + 1) +
                                         " of the chain: our own certificate must be the first, its issuers after it");
    }
    auto certificate = std::make_shared<const Certificate>(Certificate{std::move(chain), std::move(key)});
    if (auto useless = why_useless(*certificate)) return fail(Errc::unsupported, useless->message);
    return certificate;
  }
  return fail(Errc::certificate, "the key does not belong to the certificate (" + chain.subject + ")");
}

std::string expiry_warning(const Chain& chain, SystemTime now) {
  const std::string whose = "the certificate of " + (chain.subject.empty() ? "an empty subject" : chain.subject);
  if (now > chain.not_after) {
    return whose + ", or one of its chain, EXPIRED on " + to_date(chain.not_after) + ": peers that verify refuse it";
  }
  if (now < chain.not_before) return whose + ", or one of its chain, is not valid before " + to_date(chain.not_before);
  if (chain.not_after - now < expiry_notice) {
    const auto days = std::chrono::duration_cast<std::chrono::days>(chain.not_after - now).count();
    return whose + ", or one of its chain, expires on " + to_date(chain.not_after) + ", in " + std::to_string(days) +
           " days";
  }
  return {};
}

// --- picking

CertificateStore::CertificateStore(std::vector<std::vector<std::shared_ptr<const Certificate>>> named) {
  for (std::size_t name = 0; name < named.size(); ++name) {
    for (auto& certificate : named[name]) {
      const std::size_t position = all_.size();
      for (std::string_view dns_name : certificate->chain.dns_names) {
        if (dns_name.ends_with('.')) dns_name.remove_suffix(1);
        Positions& positions = by_name_[std::string(dns_name)];
        if (positions.empty() || positions.back() != position) positions.push_back(position);
      }
      if (name == 0) default_.push_back(position);
      all_.push_back(std::move(certificate));
    }
  }
  POSTERN_ASSERT(!default_.empty(), "a listener with TLS needs a certificate");
  put_ecdsa_first(default_);
  for (auto& [dns_name, positions] : by_name_) put_ecdsa_first(positions);
}

void CertificateStore::put_ecdsa_first(Positions& positions) const {
  std::stable_partition(positions.begin(), positions.end(),
                        [this](std::size_t position) { return all_[position]->key.type == KeyType::ecdsa; });
}

std::span<const std::size_t> CertificateStore::candidates(std::string_view sni) const {
  std::array<char, 256> name;  // SNI is at most 255 octets
  if (sni.ends_with('.')) sni.remove_suffix(1);
  if (sni.empty() || sni.size() > name.size()) return default_;
  std::ranges::transform(sni, name.begin(), config::lower);
  const std::string_view exact(name.data(), sni.size());
  if (const auto found = by_name_.find(exact); found != by_name_.end()) return found->second;
  const std::size_t dot = exact.find('.');
  if (dot == 0 || dot == std::string_view::npos) return default_;
  name[dot - 1] = '*';
  if (const auto found = by_name_.find(exact.substr(dot - 1)); found != by_name_.end()) return found->second;
  return default_;
}

}  // namespace postern::tls
