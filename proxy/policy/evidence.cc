#include "proxy/policy/evidence.h"

#include "tls/verify_name.h"

namespace postern::policy {

namespace {

void add_chain(const Evidence& evidence, TlsOutcome& outcome) {
  const auto chain = evidence.certificates.verify_chain(*evidence.trust);
  outcome.chain_error = chain.reason;
  if (chain.trusted) {
    outcome.chain = TlsOutcome::Chain::trusted;
  } else {
    outcome.chain = chain.expired ? TlsOutcome::Chain::expired : TlsOutcome::Chain::untrusted;
  }
  outcome.names = evidence.certificates.dns_names();
  outcome.nameless = evidence.certificates.why_nameless();
}

}  // namespace

TlsOutcome examine(const Evidence& evidence, const MailHost& host, const Demand& demand) {
  TlsOutcome outcome;
  outcome.stage = TlsOutcome::Stage::established;
  if (demand.dane) outcome.dane = evidence.certificates.verify_dane(host.tlsa, host.reference_names, evidence.now);
  if (demand.wants_chain()) add_chain(evidence, outcome);
  if (demand.proof == Proof::fingerprint) outcome.fingerprints = evidence.certificates.fingerprints();
  return outcome;
}

bool is_authenticated(const Evidence& evidence, const MailHost& host) {
  // What the Web PKI says does not make up for records that do not match, or that somebody keeps from us.
  if (host.dane == DaneState::failed || host.dane == DaneState::bogus) return false;
  if (host.dane == DaneState::records && tls::any_usable(host.tlsa)) {
    return evidence.certificates.verify_dane(host.tlsa, host.reference_names, evidence.now).outcome ==
           tls::DaneOutcome::matched;
  }
  return evidence.certificates.verify_chain(*evidence.trust).trusted &&
         tls::names_host(evidence.certificates.dns_names(), host.name);
}

}  // namespace postern::policy
