// The first step of a decision: what a host's TLS must be.
#include "proxy/policy/decision.h"

namespace postern::policy {

namespace {

// A host that cannot be connected to, whatever anybody's policy says.
std::optional<Blocker> unreachable(const MailHost& host) {
  Blocker blocker{Source::local, Reason::no_address, Reply::unreachable, host.reason, std::nullopt, false};
  switch (host.address_state) {
    case MailHost::Addresses::found: return std::nullopt;
    case MailHost::Addresses::none: return blocker;
    case MailHost::Addresses::failed: blocker.reason = Reason::dns_failed; break;
    case MailHost::Addresses::bogus: blocker.reason = Reason::dns_bogus; break;
  }
  blocker.reply = Reply::dns_failed;
  return blocker;
}

// The answer about TLSA is unknown. A man in the middle would make it so: the host waits (RFC 7672 2.1.2).
std::optional<Blocker> unknown_tlsa(const MailHost& host) {
  if (host.dane != DaneState::failed && host.dane != DaneState::bogus) return std::nullopt;
  const Reason reason = host.dane == DaneState::bogus ? Reason::dns_bogus : Reason::dns_failed;
  return Blocker{Source::dane, reason, Reply::dns_failed, host.reason, ReportResult::dnssec_invalid, true};
}

// Nor can it be known where the name servers never hand on a proof; but that is nobody's attack on this domain. Whoever
// demands DANE waits, the rest go on as if there were none.
std::optional<Blocker> unknowable_tlsa(const MailHost& host, const LocalPolicy& local) {
  if (host.dane != DaneState::unknowable || !row_of(local.level).wants_dane()) return std::nullopt;
  return Blocker{Source::local,
                 Reason::dns_failed,
                 Reply::dns_failed,
                 "DANE is demanded and cannot be known: " + host.reason,
                 ReportResult::dnssec_invalid,
                 true};
}

void add_dane(const MailHost& host, const LocalPolicy& local, Demand& demand) {
  demand.blocker = unknown_tlsa(host);
  if (!demand.blocker) demand.blocker = unknowable_tlsa(host, local);
  const bool usable = host.dane == DaneState::records && tls::any_usable(host.tlsa);
  if (host.dane == DaneState::records) {
    demand.encrypt = true;
    demand.source = Source::dane;
    demand.dane = usable;
    demand.tlsa_unusable = !usable;
    demand.dane_by_secure_mx = host.mx_secure;
  }
  const bool required = row_of(local.level).dane == config::LevelRow::Dane::required;
  if (required && !demand.blocker && !(usable && host.mx_secure)) {
    demand.blocker = Blocker{Source::dane,
                             Reason::dane_required,
                             Reply::tls_failed,
                             usable ? "the MX records are not signed" : "no usable TLSA records, proven by DNSSEC",
                             ReportResult::dane_required,
                             true};
  }
}

void add_mta_sts(const MailHost& host, const MtaStsFacts& facts, Demand& demand) {
  if (!facts.policy) demand.mta_sts_trouble = facts.trouble;  // a cached policy outlives a failed fetch
  if (!facts.policy || facts.policy->mode == MtaStsMode::none) return;
  // DANE in full says more than MTA-STS and wins. By unsigned MX records it does not: those MTA-STS must vouch for.
  if (demand.dane && demand.dane_by_secure_mx) return;
  demand.mta_sts_listed = lists_host(*facts.policy, host.name);
  if (facts.policy->mode == MtaStsMode::testing) {
    demand.mta_sts_testing = true;
    return;
  }
  demand.mta_sts = true;
  demand.encrypt = true;
  if (!demand.dane) demand.source = Source::mta_sts;
  if (!demand.mta_sts_listed && !demand.blocker) {
    demand.blocker = Blocker{Source::mta_sts,
                             Reason::host_not_listed,
                             Reply::tls_failed,
                             "the domain's MTA-STS policy does not list this host",
                             ReportResult::validation_failure,
                             true};
  }
}

void add_local(const MailHost& host, std::string_view domain, const LocalPolicy& local, Demand& demand) {
  const config::LevelRow& row = row_of(local.level);
  demand.encrypt = demand.encrypt || row.encrypts;
  demand.proof = row.proof;
  switch (row.proof) {
    case Proof::nothing: break;
    case Proof::fingerprint: demand.fingerprints = local.fingerprints; break;
    case Proof::host_name: demand.names = {host.name}; break;
    case Proof::domain_name:
      demand.names = local.names.empty() ? std::vector<std::string>{std::string(domain)} : local.names;
      break;
  }
}

}  // namespace

Demand demand_on(const MailHost& host, std::string_view domain, const LocalPolicy& local, const MtaStsFacts& mta_sts) {
  Demand demand;
  demand.level = local.level;
  demand.observe = local.observe;
  demand.host = host.name;
  demand.server_name = host.name;
  if (auto blocker = unreachable(host)) {
    demand.blocker = std::move(blocker);
    return demand;
  }
  if (!local.uses_tls()) {
    demand.try_tls = false;
    return demand;
  }
  if (local.wants_dane()) {
    demand.server_name = host.tlsa_base;
    add_dane(host, local, demand);
  }
  if (local.mta_sts) add_mta_sts(host, mta_sts, demand);
  add_local(host, domain, local, demand);
  return demand;
}

}  // namespace postern::policy
