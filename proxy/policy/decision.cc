#include "proxy/policy/decision.h"

#include <algorithm>

#include "tls/verify_name.h"

namespace postern::policy {

namespace {

using Stage = TlsOutcome::Stage;
using Chain = TlsOutcome::Chain;

// What one demand found wanting.
struct Finding {
  Source source = Source::local;
  Reason reason = Reason::satisfied;
  ReportResult report = ReportResult::validation_failure;
  std::string detail;
};

Finding no_tls(const TlsOutcome& outcome) {
  Finding finding{Source::local, Reason::tls_not_offered, ReportResult::starttls_not_supported, outcome.error};
  if (outcome.stage == Stage::handshake_failed) {
    finding.reason = Reason::handshake_failed;
    finding.report = ReportResult::validation_failure;
  } else if (finding.detail.empty()) {
    finding.detail = "the server does not offer STARTTLS";
  }
  return finding;
}

std::optional<Finding> check_dane(const tls::DaneResult& result) {
  Finding finding{Source::dane, Reason::tlsa_mismatch, ReportResult::validation_failure, result.reason};
  switch (result.outcome) {
    case tls::DaneOutcome::matched: return std::nullopt;
    case tls::DaneOutcome::not_checked:
    case tls::DaneOutcome::no_usable_record:
    case tls::DaneOutcome::no_certificate:
    case tls::DaneOutcome::no_match: break;
    case tls::DaneOutcome::not_trusted:
      finding.reason = Reason::certificate_untrusted;
      finding.report = ReportResult::certificate_not_trusted;
      break;
    case tls::DaneOutcome::expired:
      finding.reason = Reason::certificate_expired;
      finding.report = ReportResult::certificate_expired;
      break;
    case tls::DaneOutcome::name_mismatch:
      finding.reason = Reason::certificate_name;
      finding.report = ReportResult::certificate_host_mismatch;
      break;
  }
  return finding;
}

bool names_one_of(const TlsOutcome& outcome, const std::vector<std::string>& wanted) {
  return std::any_of(wanted.begin(), wanted.end(),
                     [&outcome](const std::string& name) { return tls::names_host(outcome.names, name); });
}

std::optional<Finding> check_chain(Source source, const TlsOutcome& outcome, const std::vector<std::string>& wanted) {
  switch (outcome.chain) {
    case Chain::trusted: break;
    case Chain::expired:
      return Finding{source, Reason::certificate_expired, ReportResult::certificate_expired, outcome.chain_error};
    case Chain::not_checked:
    case Chain::untrusted:
      return Finding{source, Reason::certificate_untrusted, ReportResult::certificate_not_trusted, outcome.chain_error};
  }
  if (names_one_of(outcome, wanted)) return std::nullopt;
  return Finding{source, Reason::certificate_name, ReportResult::certificate_host_mismatch,
                 "the certificate does not name " + (wanted.empty() ? std::string("the host") : wanted.front()) +
                     outcome.nameless};
}

std::optional<Finding> check_fingerprint(const Demand& demand, const TlsOutcome& outcome) {
  const auto listed = [&demand](const std::string& own) {
    return std::find(demand.fingerprints.begin(), demand.fingerprints.end(), own) != demand.fingerprints.end();
  };
  if (std::any_of(outcome.fingerprints.begin(), outcome.fingerprints.end(), listed)) return std::nullopt;
  return Finding{Source::local, Reason::fingerprint_mismatch, ReportResult::validation_failure,
                 "neither key nor certificate has a listed fingerprint"};
}

std::optional<Finding> check_local(const Demand& demand, const TlsOutcome& outcome) {
  switch (demand.proof) {
    case Proof::nothing: break;
    case Proof::fingerprint: return check_fingerprint(demand, outcome);
    case Proof::host_name:
    case Proof::domain_name: return check_chain(Source::local, outcome, demand.names);
  }
  return std::nullopt;
}

// What each party to the decision finds, on a session whose stage is known.
struct Findings {
  std::optional<Finding> dane, mta_sts, local;
};

Findings examine(const Demand& demand, const TlsOutcome& outcome) {
  Findings findings;
  if (outcome.stage != Stage::established) {
    const Finding finding = no_tls(outcome);
    findings = {finding, finding, finding};
    findings.dane->source = Source::dane;
    findings.mta_sts->source = Source::mta_sts;
    return findings;
  }
  if (demand.dane) findings.dane = check_dane(outcome.dane);
  if (demand.mta_sts || demand.mta_sts_testing) {
    findings.mta_sts = check_chain(Source::mta_sts, outcome, {demand.host});
    if (!demand.mta_sts_listed) {
      findings.mta_sts = Finding{Source::mta_sts, Reason::host_not_listed, ReportResult::validation_failure,
                                 "the domain's MTA-STS policy does not list this host"};
    }
  }
  findings.local = check_local(demand, outcome);
  return findings;
}

// What stops the mail: the strongest demand's finding first.
const Finding* blocking(const Demand& demand, const Findings& findings) {
  const bool dane_speaks = demand.dane || demand.tlsa_unusable;
  if (dane_speaks && findings.dane) return &*findings.dane;
  if (demand.mta_sts && findings.mta_sts) return &*findings.mta_sts;
  if (demand.encrypt && findings.local) return &*findings.local;
  return nullptr;
}

Level demanded_level(const Demand& demand) {
  if (demand.dane) return config::stronger(demand.level, Level::dane);
  // `dane` without records demands what `may` does, however far up it stands.
  const Level own = row_of(demand.level).encrypts ? demand.level : Level::may;
  if (demand.mta_sts) return config::stronger(own, Level::verify);
  if (demand.tlsa_unusable) return config::stronger(own, Level::encrypt);
  return demand.level;
}

Level reached_level(const Demand& demand, const TlsOutcome& outcome, const Findings& findings) {
  if (outcome.stage != Stage::established) return Level::none;
  if (demand.dane && !findings.dane) return Level::dane;
  const bool proven = demand.proof != Proof::nothing && !findings.local;
  if (proven && demand.proof != Proof::fingerprint) return demand.level;
  if (outcome.chain == Chain::trusted && tls::names_host(outcome.names, demand.host)) return Level::verify;
  return proven ? demand.level : Level::encrypt;
}

std::optional<ReportResult> result_of(const std::optional<Finding>& finding) {
  if (!finding) return std::nullopt;
  return finding->report;
}

std::vector<ReportRow> report(const Demand& demand, const TlsOutcome& outcome, const Findings& findings) {
  std::vector<ReportRow> rows;
  if (demand.dane) rows.push_back({ReportPolicy::tlsa, result_of(findings.dane)});
  if (demand.tlsa_unusable) rows.push_back({ReportPolicy::tlsa, ReportResult::tlsa_invalid});
  if (demand.mta_sts || demand.mta_sts_testing) rows.push_back({ReportPolicy::sts, result_of(findings.mta_sts)});
  if (demand.mta_sts_trouble) rows.push_back({ReportPolicy::sts, demand.mta_sts_trouble});
  if (rows.empty() && outcome.stage == Stage::established) {
    rows.push_back({ReportPolicy::no_policy_found, std::nullopt});
  }
  if (rows.empty()) rows.push_back({ReportPolicy::no_policy_found, no_tls(outcome).report});
  return rows;
}

void refuse(const Blocker& blocker, bool observe, Verdict& verdict) {
  verdict.satisfied = false;
  verdict.deliver = observe && blocker.policy;
  verdict.source = blocker.source;
  verdict.reason = blocker.reason;
  verdict.reply = blocker.reply;
  verdict.detail = blocker.detail;
  verdict.reports.clear();
  if (!blocker.report) return;
  const ReportPolicy policy = blocker.source == Source::mta_sts ? ReportPolicy::sts : ReportPolicy::tlsa;
  verdict.reports.push_back({policy, blocker.report});
}

void fail_with(const Finding& finding, bool observe, Verdict& verdict) {
  verdict.satisfied = false;
  verdict.deliver = observe;
  verdict.source = finding.source;
  verdict.reason = finding.reason;
  verdict.reply = finding.reason == Reason::tls_not_offered ? Reply::tls_not_offered : Reply::tls_failed;
  verdict.detail = finding.detail;
}

}  // namespace

Verdict judge(const Demand& demand, const TlsOutcome& outcome) {
  Verdict verdict;
  verdict.satisfied = verdict.deliver = true;
  verdict.source = demand.source;
  verdict.demanded = demanded_level(demand);
  if (demand.try_tls) {
    const Findings findings = examine(demand, outcome);
    verdict.reached = reached_level(demand, outcome, findings);
    verdict.trusted_only = verdict.reached == Level::dane && !demand.dane_by_secure_mx;
    verdict.reports = report(demand, outcome, findings);
    if (outcome.stage == Stage::established && demand.dane) verdict.detail = outcome.dane.reason;
    if (const Finding* finding = blocking(demand, findings)) fail_with(*finding, demand.observe, verdict);
  }
  if (demand.blocker) refuse(*demand.blocker, demand.observe, verdict);
  return verdict;
}

Verdict verdict_of(const Blocker& blocker, Level demanded) {
  Verdict verdict;
  verdict.demanded = demanded;
  refuse(blocker, false, verdict);
  return verdict;
}

std::optional<Blocker> blocker_of(const Route& route) {
  Blocker blocker{Source::local, Reason::no_address, Reply::no_such_domain, route.reason, std::nullopt, false};
  switch (route.outcome) {
    case Route::Outcome::hosts: return std::nullopt;
    case Route::Outcome::no_such_domain: return blocker;
    case Route::Outcome::null_mx: blocker.reply = Reply::null_mx; return blocker;
    case Route::Outcome::leads_back:
      blocker.reason = Reason::routing_loop;
      blocker.reply = Reply::leads_back;
      return blocker;
    case Route::Outcome::dns_failed: blocker.reason = Reason::dns_failed; break;
    case Route::Outcome::dns_bogus:
      blocker.reason = Reason::dns_bogus;
      blocker.report = ReportResult::dnssec_invalid;
      break;
  }
  blocker.reply = Reply::dns_failed;
  return blocker;
}

std::string_view to_string(Source source) {
  switch (source) {
    case Source::local: return "local";
    case Source::dane: return "dane";
    case Source::mta_sts: return "mta-sts";
  }
  return "unknown";
}

std::string_view to_string(Reason reason) {
  switch (reason) {
    case Reason::satisfied: return "satisfied";
    case Reason::dns_failed: return "dns_failed";
    case Reason::dns_bogus: return "dns_bogus";
    case Reason::no_address: return "no_address";
    case Reason::unreachable: return "unreachable";
    case Reason::lost: return "lost";
    case Reason::host_not_listed: return "host_not_listed";
    case Reason::dane_required: return "dane_required";
    case Reason::tls_not_offered: return "tls_not_offered";
    case Reason::handshake_failed: return "handshake_failed";
    case Reason::certificate_expired: return "certificate_expired";
    case Reason::certificate_untrusted: return "certificate_untrusted";
    case Reason::certificate_name: return "certificate_name";
    case Reason::fingerprint_mismatch: return "fingerprint_mismatch";
    case Reason::tlsa_mismatch: return "tlsa_mismatch";
    case Reason::credentials_refused: return "credentials_refused";
    case Reason::auth_deferred: return "auth_deferred";
    case Reason::auth_not_offered: return "auth_not_offered";
    case Reason::tls_parameters: return "tls_parameters";
    case Reason::routing_loop: return "routing_loop";
  }
  return "unknown";
}

std::string reply_line(Reply reply, Source source, std::string_view host, std::string_view detail) {
  // Details may quote the network: nothing of them may end the line or drive a terminal. RFC 5321 4.5.3.1.5: 512
  // octets.
  constexpr std::size_t longest = 500;
  std::string line(smtp::code_of(reply));
  line += ' ';
  if (!host.empty()) line.append(host).append(": ");
  if (source == Source::dane) line += "DANE: ";
  if (source == Source::mta_sts) line += "MTA-STS: ";
  line += detail;
  line.resize(std::min(line.size(), longest));
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return line;
}

std::string reply_line(const Blocker& blocker, std::string_view host) {
  return reply_line(blocker.reply, blocker.source, host, blocker.detail);
}

}  // namespace postern::policy
