// What a server showed in its handshake, as far as a demand asks for it: sessions and `postern probe` judge by the
// same.
#pragma once

#include <ctime>
#include <string_view>

#include "proxy/policy/decision.h"
#include "tls/peer_certificates.h"
#include "tls/trust_store.h"

namespace postern::policy {

// Stage::established, with chain, names, fingerprints and DANE match where the demand wants them.
TlsOutcome examine(const tls::PeerCertificates& certificates, const MailHost& host, const Demand& demand,
                   const tls::TrustStore& trust, std::time_t now);

// Somebody vouches for the server called `host`: its TLSA records, or where there are none that could be used, the Web
// PKI for its name. Our own credentials are given to nobody else.
inline constexpr std::string_view without_credentials = "nobody vouches for its certificate, so it gets no credentials";
bool is_authenticated(const tls::PeerCertificates& certificates, const MailHost& host, const tls::TrustStore& trust,
                      std::time_t now);

}  // namespace postern::policy
