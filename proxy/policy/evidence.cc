#include "proxy/policy/evidence.h"

#include "tls/verify_name.h"

namespace postern::policy {

namespace {

void add_chain(const tls::PeerCertificates& certificates, const tls::TrustStore& trust, TlsOutcome& outcome) {
  const auto chain = certificates.verify_chain(trust);
  outcome.chain_error = chain.reason;
  if (chain.trusted) {
    outcome.chain = TlsOutcome::Chain::trusted;
  } else {
    outcome.chain = chain.expired ? TlsOutcome::Chain::expired : TlsOutcome::Chain::untrusted;
  }
  outcome.names = certificates.dns_names();
  outcome.nameless = certificates.why_nameless();
}

}  // namespace

TlsOutcome examine(const tls::PeerCertificates& certificates, const MailHost& host, const Demand& demand,
                   const tls::TrustStore& trust, std::time_t now) {
  TlsOutcome outcome;
  outcome.stage = TlsOutcome::Stage::established;
  if (demand.dane) outcome.dane = certificates.verify_dane(host.tlsa, host.reference_names, now);
  if (demand.wants_chain()) add_chain(certificates, trust, outcome);
  if (demand.proof == Proof::fingerprint) outcome.fingerprints = certificates.fingerprints();
  return outcome;
}

bool is_authenticated(const tls::PeerCertificates& certificates, const MailHost& host, const tls::TrustStore& trust,
                      std::time_t now) {
  // What the Web PKI says does not make up for records that do not match, or that somebody keeps from us.
  if (host.dane == DaneState::failed || host.dane == DaneState::bogus) return false;
  if (host.dane == DaneState::records && tls::any_usable(host.tlsa)) {
    return certificates.verify_dane(host.tlsa, host.reference_names, now).outcome == tls::DaneOutcome::matched;
  }
  return certificates.verify_chain(trust).trusted && tls::names_host(certificates.dns_names(), host.name);
}

}  // namespace postern::policy
