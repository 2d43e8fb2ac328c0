#include "proxy/probe/probe_report.h"

#include <chrono>
#include <cstdio>

#include "proxy/wire/json.h"

namespace postern::probe {

namespace {

// What came from the network must not drive a terminal.
std::string safe(std::string_view text) {
  std::string shown(text);
  for (char& octet : shown) octet = octet < ' ' || octet > '~' ? '?' : octet;
  return shown;
}

std::string date_of(std::chrono::sys_seconds time) {
  const std::time_t value = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  gmtime_r(&value, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
  return text;
}

std::string_view result_of(const policy::Verdict& verdict) {
  if (verdict.satisfied) return "satisfied";
  return verdict.deliver ? "not satisfied, observed only" : "not satisfied";
}

std::string stage_of(const ProbedAddress& probed) {
  using enum smtp::RemoteState::Stage;
  const auto& state = probed.connection.state;
  switch (state.stage) {
    case none:
    case connect_failed: return "no connection: " + probed.connection.error;
    case lost: return "connection lost: " + state.trouble;
    case greeting_failed: return "refuses to serve: " + state.reply;
    case tls_not_offered: return "STARTTLS is not offered";
    case tls_refused:
    case tls_injected:
    case tls_failed:
    case tls_broken: return smtp::tls_trouble(state, probed.connection.error);
    case auth_failed:
    case open: break;
  }
  return probed.connection.tls ? "TLS established" : "connected, TLS is not tried";
}

class Text {
 public:
  explicit Text(const ProbeReport& report) : report_(report) {}

  std::string print() {
    line(0, "domain", report_.domain);
    line(0, "level",
         std::string(config::to_string(report_.local.level)) + (report_.local.dane ? ", DANE" : "") +
             (report_.local.mta_sts ? ", MTA-STS" : "") + (report_.local.observe ? ", observed only" : ""));
    if (report_.by != ProbedBy::address) line(0, "name servers", name_servers());
    line(0, "mail hosts", mail_hosts());
    if (report_.local.mta_sts) line(0, "MTA-STS", mta_sts());
    for (std::size_t i = 0; i < report_.facts.route.hosts.size(); ++i) host(i);
    text_ += "\n";
    conclusion();
    return std::move(text_);
  }

 private:
  void line(int depth, std::string_view key, std::string_view value) {
    text_.append(static_cast<std::size_t>(depth) * 2, ' ');
    text_ += key;
    const std::size_t used = static_cast<std::size_t>(depth) * 2 + key.size();
    text_.append(used < 20 ? 20 - used : 1, ' ');
    text_ += safe(value) + "\n";
  }

  std::string mail_hosts() const {
    const auto& route = report_.facts.route;
    if (route.outcome != policy::Route::Outcome::hosts) {
      return std::string(policy::to_string(route.outcome)) + (route.reason.empty() ? "" : ": " + route.reason);
    }
    if (route.hosts.empty()) return "none";
    const std::string count = std::to_string(route.hosts.size());
    switch (report_.by) {
      case ProbedBy::address: return count + ", by address: nothing was looked up";
      case ProbedBy::host: return count + ", by name: no MX records were looked up";
      case ProbedBy::domain: break;
    }
    if (route.hosts.front().dane == policy::DaneState::unknowable) return count + ", signed or not: cannot be known";
    return count + ", records " + (route.hosts.front().mx_secure ? "signed (DNSSEC)" : "not signed");
  }

  std::string name_servers() const {
    const std::string servers = dns::to_string(report_.name_servers);
    if (!report_.fitness) return servers + ": no trust anchor, DNSSEC is not used";
    switch (*report_.fitness) {
      case dns::Fitness::fit: return servers + ": fit for DNSSEC";
      case dns::Fitness::unknown:
      case dns::Fitness::unfit:
      case dns::Fitness::lost: break;
    }
    return servers + ": NOT fit for DNSSEC" + (report_.fitness_reason.empty() ? "" : ": " + report_.fitness_reason);
  }

  std::string mta_sts() const {
    const auto& found = report_.facts.mta_sts;
    if (found.policy) {
      std::string text(policy::to_string(found.policy->mode));
      for (const auto& pattern : found.policy->mx) text += " " + pattern;
      return text + (found.remark.empty() ? "" : " (" + found.remark + ")");
    }
    if (!found.trouble) return "none";
    return "none: " + std::string(policy::to_string(*found.trouble)) +
           (found.remark.empty() ? "" : " (" + found.remark + ")");
  }

  void host(std::size_t index) {
    const auto& host = report_.facts.route.hosts[index];
    text_ += "\n";
    line(0, "host", host.name.empty() ? "(an address)" : host.name + ", preference " + std::to_string(host.preference));
    if (host.address_state != policy::MailHost::Addresses::found) line(1, "addresses", "none: " + host.reason);
    line(1, "DANE", std::string(policy::to_string(host.dane)) + (host.reason.empty() ? "" : ": " + host.reason));
    for (const auto& record : host.tlsa) {
      const auto why = tls::why_unusable(record);
      line(2, "TLSA", tls::to_string(record) + (why ? " (unusable: " + std::string(*why) + ")" : ""));
    }
    if (const auto& blocker = report_.demands[index].blocker) line(1, "not used", blocker->detail);
    for (const auto& probed : report_.addresses) {
      if (probed.host == index) address(probed);
    }
  }

  void address(const ProbedAddress& probed) {
    line(1, "address", net::to_string(probed.address) + ": " + stage_of(probed));
    if (const auto& tls = probed.connection.tls) {
      line(2, "TLS",
           std::string(tls->version) + " " + std::string(tls->cipher) + " " + std::string(tls->group) +
               (tls->sni.empty() ? ", no SNI" : ", SNI " + tls->sni));
      certificate(probed);
    }
    line(2, "verdict", of_use(probed) ? verdict_text(probed.verdict) : "a session has given up before it comes here");
  }

  // One address that would do is no comfort where a session never gets to it.
  bool of_use(const ProbedAddress& probed) const { return report_.verdict.satisfied || !probed.verdict.satisfied; }

  void certificate(const ProbedAddress& probed) {
    const auto& certificates = probed.connection.certificates;
    line(2, "certificate", certificates.subject() + ", issued by " + certificates.issuer());
    if (const auto end = certificates.not_after()) line(2, "valid until", date_of(*end));
    std::string names;
    for (const auto& name : certificates.dns_names()) names += (names.empty() ? "" : " ") + name;
    line(2, "names", names.empty() ? "none" : names);
    using Chain = policy::TlsOutcome::Chain;
    const auto& outcome = probed.outcome.tls;
    if (outcome.chain != Chain::not_checked) {
      line(2, "chain", outcome.chain == Chain::trusted ? "trusted" : outcome.chain_error);
    }
    if (outcome.dane.outcome != tls::DaneOutcome::not_checked) line(2, "DANE match", outcome.dane.reason);
  }

  static std::string verdict_text(const policy::Verdict& verdict) {
    std::string text = std::string(result_of(verdict)) + ": " + std::string(policy::to_string(verdict.source)) +
                       " demands " + std::string(config::to_string(verdict.demanded)) + ", reached " +
                       std::string(config::to_string(verdict.reached));
    if (!verdict.satisfied) text += " (" + std::string(policy::to_string(verdict.reason)) + ")";
    if (!verdict.detail.empty()) text += ": " + verdict.detail;
    return text;
  }

  void conclusion() {
    if (!report_.host.empty()) line(0, "host chosen", report_.host);
    line(0, "policy", verdict_text(report_.verdict));
    line(0, "reply to RCPT", report_.reply.empty() ? "the server's own" : report_.reply);
  }

  const ProbeReport& report_;
  std::string text_;
};

// --- JSON

void add_verdict(wire::JsonWriter& json, const policy::Verdict& verdict) {
  json.begin_object("verdict");
  json.flag("satisfied", verdict.satisfied);
  json.flag("deliver", verdict.deliver);
  json.value("policy", policy::to_string(verdict.source));
  json.value("level", config::to_string(verdict.demanded));
  json.value("level_reached", config::to_string(verdict.reached));
  json.value("reason", policy::to_string(verdict.reason));
  json.value("detail", verdict.detail);
  json.end_object();
}

void add_address(wire::JsonWriter& json, const ProbedAddress& probed) {
  json.begin_object();
  json.value("address", net::to_string(probed.address));
  json.value("stage", stage_of(probed));
  if (const auto& tls = probed.connection.tls) {
    const auto& certificates = probed.connection.certificates;
    json.begin_object("tls");
    json.value("version", tls->version);
    json.value("cipher", tls->cipher);
    json.value("group", tls->group);
    json.value("sni", tls->sni);
    json.value("subject", certificates.subject());
    json.value("issuer", certificates.issuer());
    if (const auto end = certificates.not_after()) json.value("not_after", date_of(*end));
    json.values("names", certificates.dns_names());
    using Chain = policy::TlsOutcome::Chain;
    const auto& outcome = probed.outcome.tls;
    if (outcome.chain != Chain::not_checked) json.flag("chain_trusted", outcome.chain == Chain::trusted);
    if (!outcome.chain_error.empty()) json.value("chain_error", outcome.chain_error);
    if (outcome.dane.outcome != tls::DaneOutcome::not_checked) {
      json.value("dane", tls::to_string(outcome.dane.outcome));
      json.value("dane_detail", outcome.dane.reason);
    }
    json.end_object();
  }
  add_verdict(json, probed.verdict);
  json.end_object();
}

void add_host(wire::JsonWriter& json, const ProbeReport& report, std::size_t index) {
  const auto& host = report.facts.route.hosts[index];
  json.begin_object();
  json.value("name", host.name);
  json.value("preference", static_cast<std::uint64_t>(host.preference));
  if (report.by == ProbedBy::domain) json.flag("mx_secure", host.mx_secure);
  json.value("dane", policy::to_string(host.dane));
  std::vector<std::string> records;
  for (const auto& record : host.tlsa) records.push_back(tls::to_string(record));
  json.values("tlsa", records);
  if (!host.reason.empty()) json.value("reason", host.reason);
  if (const auto& blocker = report.demands[index].blocker) json.value("not_used", blocker->detail);
  json.begin_array("addresses");
  for (const auto& probed : report.addresses) {
    if (probed.host == index) add_address(json, probed);
  }
  json.end_array();
  json.end_object();
}

void add_name_servers(wire::JsonWriter& json, const ProbeReport& report) {
  json.begin_object("name_servers");
  json.value("addresses", dns::addresses(report.name_servers));
  json.value("taken_from", report.name_servers.origin);
  json.value("dnssec", report.fitness ? dns::to_string(*report.fitness) : "off");
  if (!report.fitness_reason.empty()) json.value("reason", report.fitness_reason);
  json.end_object();
}

void add_mta_sts(wire::JsonWriter& json, const policy::MtaStsFacts& facts) {
  json.begin_object("mta_sts");
  json.value("mode", facts.policy ? policy::to_string(facts.policy->mode) : "none");
  json.values("mx", facts.policy ? facts.policy->mx : std::vector<std::string>());
  if (facts.trouble) json.value("trouble", policy::to_string(*facts.trouble));
  if (!facts.remark.empty()) json.value("remark", facts.remark);
  json.end_object();
}

}  // namespace

std::string print_probe(const ProbeReport& report) {
  return Text(report).print();
}

std::string print_probe_json(const ProbeReport& report) {
  wire::JsonWriter json;
  json.begin_object();
  json.value("domain", report.domain);
  json.value("level", config::to_string(report.local.level));
  json.value("route", policy::to_string(report.facts.route.outcome));
  if (!report.facts.route.reason.empty()) json.value("route_reason", report.facts.route.reason);
  if (report.by != ProbedBy::address) add_name_servers(json, report);
  if (report.local.mta_sts) add_mta_sts(json, report.facts.mta_sts);
  json.begin_array("hosts");
  for (std::size_t i = 0; i < report.facts.route.hosts.size(); ++i) add_host(json, report, i);
  json.end_array();
  json.value("host", report.host);
  add_verdict(json, report.verdict);
  json.value("reply", report.reply);
  json.end_object();
  return json.take() + "\n";
}

}  // namespace postern::probe
