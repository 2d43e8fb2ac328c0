// Our own certificates: load a chain and a key, match them, and pick one for a client.
#pragma once

#include <openssl/base.h>
#include <openssl/pool.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "config/file.h"
#include "config/result.h"

namespace postern::tls {

using SystemTime = std::chrono::sys_seconds;

// Expiry nearer than this is warned of.
inline constexpr std::chrono::hours expiry_notice{30 * 24};

// A chain as we send it, leaf first, with what is known of its leaf.
struct Chain {
  std::vector<bssl::UniquePtr<CRYPTO_BUFFER>> certificates;  // DER
  std::vector<std::string> dns_names;  // lower case; SAN, or the common name where there is no SAN
  std::string subject;                 // RFC 2253
  SystemTime not_before;               // from when and until when every certificate is valid
  SystemTime not_after;
  std::vector<std::string> warnings;  // of the file, and of certificates that did not issue the one before them, …
  std::string missing_issuer;         // of a leaf that stands alone and did not issue itself; RFC 2253
};

// The certificates in the form that the library takes; they live as long as the chain.
std::vector<CRYPTO_BUFFER*> borrowed(const Chain& chain);

// Every certificate of a PEM file, whose `content` this is; see parse_pem_certificates.
Result<Chain> parse_chain(const std::string& path, std::string_view content);

enum class KeyType : std::uint8_t { rsa, ecdsa, ed25519 };

struct PrivateKey {
  bssl::UniquePtr<EVP_PKEY> key;  // the public half alone, where the key is elsewhere
  std::string elsewhere;          // the name by which whoever holds it knows it (see name_of); empty: it is here
  KeyType type = KeyType::rsa;
  std::uint16_t tls13_signature = 0;  // SignatureScheme, and group, that an EC key is tied to in TLS 1.3; 0 for RSA
  std::uint16_t group = 0;
  std::vector<std::string> warnings;  // readable by everybody; too small; odd text in the file
};

// The first private key of a PEM file. An encrypted one is an error of its own: nobody is there to type a passphrase.
// Of a file whose key is elsewhere, the first public key.
Result<PrivateKey> parse_private_key(const std::string& path, const config::File& file);

// What a key is called between those who hold it and those who have it used: the SHA-256 of its SubjectPublicKeyInfo.
std::string name_of(const EVP_PKEY& key);

// One usable pair: a chain and the key of its leaf.
struct Certificate {
  Chain chain;
  PrivateKey key;
};

// Errc::certificate unless the key belongs to the chain's first certificate; says so if it belongs to another.
// Errc::unsupported where nothing can be made of that certificate.
Result<std::shared_ptr<const Certificate>> match(Chain chain, PrivateKey key);

// "expired on 2026-01-31", "expires on … (in 12 days)", "not valid before …"; empty while all is well.
std::string expiry_warning(const Chain& chain, SystemTime now);

// Which of a listener's certificates fit the name a client asks for.
class CertificateStore {
 public:
  // `named` are the certificates of each configured name; the first name's are for clients that ask for none of ours.
  explicit CertificateStore(std::vector<std::vector<std::shared_ptr<const Certificate>>> named);

  const std::vector<std::shared_ptr<const Certificate>>& all() const { return all_; }

  // Positions in all(), never empty, ECDSA before RSA. Exact names come before wildcards, which stand for exactly one
  // leftmost label. `sni` in any case, with or without a trailing dot; empty: none.
  std::span<const std::size_t> candidates(std::string_view sni) const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  using Positions = std::vector<std::size_t>;

  void put_ecdsa_first(Positions& positions) const;

  std::vector<std::shared_ptr<const Certificate>> all_;
  Positions default_;
  std::unordered_map<std::string, Positions, Hash, std::equal_to<>> by_name_;  // wildcards as "*.example.org"
};

}  // namespace postern::tls
