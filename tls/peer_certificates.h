// What a peer showed of itself, and what can be found out about it.
#pragma once

#include <chrono>
#include <cstddef>
#include <ctime>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tls/chain_result.h"
#include "tls/tlsa.h"
#include "tls/verify_dane.h"

struct stack_st_CRYPTO_BUFFER;
struct stack_st_X509;
typedef struct x509_st X509;

namespace postern::tls {

class TrustStore;  // tls/trust_store.h

// The certificates of one handshake, the peer's own first: as received, so that they can be judged whenever somebody
// asks, by the clock and the records of that moment. Copies share them. For one thread at a time, the copies too.
//
// A hostile chain costs little: what follows the first `max_certificates` is not looked at, and a certificate that does
// not parse counts as not sent, unless it is the peer's own: then nothing can be found out.
class PeerCertificates {
 public:
  using Role = PeerRole;
  static constexpr std::size_t max_certificates = 16;

  PeerCertificates() = default;
  // `chain` may be null. It is shared, not copied.
  PeerCertificates(const stack_st_CRYPTO_BUFFER* chain, Role role);

  bool empty() const { return size() == 0; }
  std::size_t size() const;  // as many as were sent, up to max_certificates

  // Of the peer's own certificate; empty where there is none or it does not parse.
  std::string subject() const;                 // RFC 2253
  std::string issuer() const;                  // RFC 2253
  std::string common_name() const;             // the most specific one
  std::vector<std::string> dns_names() const;  // SAN dNSNames, as certificate_dns_names
  std::string why_nameless() const;            // as tls::why_nameless
  std::optional<std::chrono::sys_seconds> not_after() const;
  std::vector<std::string> fingerprints() const;  // SHA-256 of its public key (SPKI) and of itself, 32 octets each

  // The path validation of RFC 5280, for now, with the purpose of the peer's role. Names are not looked at.
  ChainResult verify_chain(const TrustStore& trust) const;

  // See verify_dane.h.
  DaneResult verify_dane(std::span<const TlsaRecord> records, std::span<const std::string> reference_names,
                         std::time_t now) const;

 private:
  const stack_st_X509* chain() const;  // null: there is none, or the first does not parse
  const X509* leaf() const;            // likewise

  struct State;
  std::shared_ptr<State> state_;  // null: none
};

}  // namespace postern::tls
