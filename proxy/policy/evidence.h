// What a server showed in its handshake, as far as a demand asks for it: sessions and `postern probe` judge by the
// same.
#pragma once

#include <ctime>
#include <string_view>

#include "proxy/policy/decision.h"
#include "tls/peer_certificates.h"
#include "tls/trust_store.h"

namespace postern::policy {

// What was shown, and what it is held against: facts, to be looked at for one host and its demand after the other.
struct Evidence {
  tls::PeerCertificates certificates;
  const tls::TrustStore* trust = nullptr;  // outlives it
  std::time_t now = 0;
};

// Stage::established, with chain, names, fingerprints and DANE match where the demand wants them.
TlsOutcome examine(const Evidence& evidence, const MailHost& host, const Demand& demand);

// Somebody vouches for the server called `host`: its TLSA records, or where there are none that could be used, the Web
// PKI for its name. Our own credentials are given to nobody else.
inline constexpr std::string_view without_credentials = "nobody vouches for its certificate, so it gets no credentials";
bool is_authenticated(const Evidence& evidence, const MailHost& host);

}  // namespace postern::policy
