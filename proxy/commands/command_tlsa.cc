#include <algorithm>
#include <cstdio>
#include <ctime>
#include <iterator>
#include <set>

#include "proxy/commands/commands.h"
#include "proxy/dns/fitness_watch.h"
#include "proxy/dns/records.h"
#include "proxy/net/loop.h"
#include "proxy/resolver/launch.h"
#include "proxy/runtime/preflight.h"
#include "proxy/runtime/resolver_settings.h"
#include "tls/tlsa_audit.h"

namespace postern::commands {

namespace {

constexpr int not_good = 1;

using tls::CertificateFacts;
using tls::TlsaPlace;
using tls::TlsaPlaces;
using tls::TlsaRecord;

std::string describe(const CertificateFacts& certificate) {
  return certificate.name + " (" + certificate.file + ")";
}

std::string zone_line(const TlsaPlace& place, const TlsaRecord& record) {
  const std::string line = place.owner() + ". IN TLSA " + to_string(record);
  return place.is_wildcard() ? "; " + line + " ; a wildcard: write the name of each mail host in its place" : line;
}

// --- printing

int print_records(const TlsaPlaces& places, const std::vector<CertificateFacts>& certificates) {
  std::set<std::string> printed;  // certificates often share their authority
  for (std::size_t position = 0; position < certificates.size(); ++position) {
    const CertificateFacts& certificate = certificates[position];
    std::printf("; %s: %s\n", describe(certificate).c_str(), certificate.subject.c_str());
    for (const auto& [place, shown] : places) {
      if (std::ranges::find(shown, position) == shown.end()) continue;
      for (const TlsaRecord& record : tls::records_to_publish(certificate.chain)) {
        const std::string line = zone_line(place, record);
        if (printed.insert(line).second) std::printf("%s\n", line.c_str());
      }
    }
  }
  return 0;
}

// --- comparing with DNS

// All answers, in the order of the places; wildcards, which cannot be asked for, have an empty one.
std::vector<dns::Answer> look_up(net::Loop& loop, resolver::Client& client, const TlsaPlaces& places) {
  const auto resolver = client.resolver(resolver::How::proven);
  std::vector<dns::Answer> answers(places.size());
  std::vector<std::unique_ptr<dns::Lookup>> lookups;
  std::size_t awaited = 0;
  std::size_t index = 0;
  for (const auto& [place, shown] : places) {
    dns::Answer& answer = answers[index++];
    if (place.is_wildcard()) continue;
    ++awaited;
    lookups.push_back(resolver->lookup({place.owner(), dns::Type::tlsa}, [&](const dns::Answer& given) {
      answer = given;
      if (--awaited == 0) loop.stop();
    }));
  }
  if (awaited > 0) loop.run();
  return answers;
}

std::vector<TlsaRecord> records_of(const dns::Answer& answer) {
  std::vector<TlsaRecord> records;
  for (const std::string& rdata : answer.rdata) {
    if (auto record = tls::parse_tlsa_rdata(rdata)) records.push_back(std::move(*record));
  }
  return records;
}

// Why senders would not use DANE, or not deliver; empty: all is well.
std::string problem_of(const dns::Answer& answer, const tls::TlsaAudit& audit) {
  switch (answer.status) {
    case dns::Status::failed: return "the lookup failed: " + answer.reason;
    case dns::Status::bogus: return "bogus, senders will not deliver: " + answer.reason;
    case dns::Status::no_data:
    case dns::Status::no_such_name:
      return answer.secure ? "nothing is published" : "nothing is published, and the zone is not signed (DNSSEC)";
    case dns::Status::exists: break;
  }
  if (!answer.secure) return "not signed (DNSSEC), DANE will not be used";
  if (std::ranges::none_of(audit.records, [](const auto& record) { return record.problem.empty(); })) {
    return "no record can be used: senders demand TLS, and any certificate will do";  // RFC 7672 2.2
  }
  return audit.good ? std::string() : "senders will not deliver, or not always";
}

void print_record(const TlsaRecord& record, const tls::TlsaAudit::Record& found,
                  const std::vector<const CertificateFacts*>& shown) {
  std::string verdict;
  for (const std::size_t match : found.matches) {
    verdict += (verdict.empty() ? "matches " : ", ") + describe(*shown[match]);
  }
  if (!found.problem.empty()) verdict = "cannot be used: " + found.problem;
  if (verdict.empty() && !found.flaw.empty()) verdict = "is of no help: " + found.flaw;
  if (verdict.empty()) verdict = "stale: matches no configured certificate";
  std::printf("  %s: %s\n", to_string(record).c_str(), verdict.c_str());
}

void print_missing(const tls::DaneResult& result, const CertificateFacts& certificate,
                   const std::vector<TlsaRecord>& published) {
  const std::string why = published.empty() ? std::string() : " (" + result.reason + ")";
  std::printf("  missing for %s%s: publish one of\n", describe(certificate).c_str(), why.c_str());
  for (const TlsaRecord& record : tls::records_to_publish(certificate.chain)) {
    if (std::ranges::find(published, record) == published.end()) std::printf("    %s\n", to_string(record).c_str());
  }
}

bool verify_place(const TlsaPlace& place, const dns::Answer& answer,
                  const std::vector<const CertificateFacts*>& shown) {
  const std::vector<TlsaRecord> records = records_of(answer);
  std::vector<std::vector<std::string>> chains;
  std::ranges::transform(shown, std::back_inserter(chains), &CertificateFacts::chain);
  const tls::TlsaAudit audit = tls::audit_tlsa(records, chains, place.host, std::time(nullptr));
  const std::string problem = problem_of(answer, audit);
  std::printf("%s: %s\n", place.owner().c_str(), problem.empty() ? "ok" : problem.c_str());
  for (std::size_t i = 0; i < records.size(); ++i) print_record(records[i], audit.records[i], shown);
  if (!answer.exists() && !answer.absent()) return false;  // who knows what is published
  for (std::size_t i = 0; i < shown.size(); ++i) {
    if (audit.chains[i].outcome != tls::DaneOutcome::matched) print_missing(audit.chains[i], *shown[i], records);
  }
  return problem.empty();
}

// False: no name server hands on what a comparison needs, and that is said.
bool can_be_verified(net::Loop& loop, resolver::Client& client, const dns::NameServers& servers,
                     const dns::TrustAnchor& anchor) {
  const auto resolver = client.resolver(resolver::How::afresh);
  dns::KeysFound found;
  const auto lookup = resolver->lookup(dns::keys_question(anchor), [&](const dns::Answer& answer) {
    found = dns::keys_found(answer);
    loop.stop();
  });
  loop.run();
  if (found.result != dns::KeysFound::Result::withheld) return true;
  std::fprintf(stderr, "postern: tlsa --verify: %s cannot be asked about DNSSEC, so nothing can be compared: %s\n",
               dns::to_string(servers).c_str(), found.reason.c_str());
  return false;
}

int verify(const TlsaPlaces& places, const std::vector<CertificateFacts>& certificates, const config::Loaded& loaded,
           const dns::TrustAnchor& anchor) {
  if (anchor.empty()) {
    std::fprintf(stderr, "postern: tlsa --verify: cannot read the trust anchor %s, so nothing will count as signed\n",
                 loaded.settings.dns.trust_anchor.c_str());
  }
  net::Loop loop;
  const auto servers = runtime::name_servers_of(loaded);
  const auto own =
      servers ? resolver::OwnResolver::start(loop, runtime::resolver_settings(loaded.settings, *servers, anchor))
              : tl::unexpected(servers.error());
  if (!own) {
    std::fprintf(stderr, "postern: tlsa --verify: %s\n", own.error().message.c_str());
    return not_good;
  }
  resolver::Client& client = (*own)->client();
  if (!anchor.empty() && !can_be_verified(loop, client, *servers, anchor)) return not_good;
  const auto answers = look_up(loop, client, places);
  if (std::ranges::any_of(answers, [](const auto& answer) { return !answer.asked.empty(); })) {
    std::fprintf(stderr, "postern: tlsa --verify: asked: %s\n", dns::to_string(*servers).c_str());
  }
  std::size_t verified = 0;
  bool good = true;
  auto answer = answers.begin();
  for (const auto& [place, positions] : places) {
    const dns::Answer& given = *answer++;
    if (place.is_wildcard()) {
      std::printf("%s: a wildcard: name the mail host with --host\n", place.owner().c_str());
      continue;
    }
    std::vector<const CertificateFacts*> shown;
    for (const std::size_t position : positions) shown.push_back(&certificates[position]);
    good = verify_place(place, given, shown) && good;
    ++verified;
  }
  return good && verified > 0 ? 0 : not_good;
}

// False where a host that was asked for is in no certificate.
bool are_all_known(const std::vector<std::string>& hosts, const TlsaPlaces& places) {
  bool known = true;
  for (const std::string& host : hosts) {
    const auto is_it = [&host](const auto& place) { return place.first.host == host; };
    if (std::ranges::none_of(places, is_it)) {
      std::fprintf(stderr, "postern: tlsa: no configured certificate names %s\n", host.c_str());
      known = false;
    }
  }
  return known;
}

}  // namespace

int command_tlsa(const TlsaOptions& options) {
  const runtime::Made made = runtime::prepare(options.config);
  runtime::print_diagnostics(made.loaded);
  if (made.runtime == nullptr) return not_good;
  const auto& certificates = made.runtime->contexts->certificates();
  const config::Settings& settings = made.runtime->settings;
  tls::TlsaWishes wishes{{}, options.ports};
  for (const std::string& host : options.hosts) wishes.hosts.push_back(dns::normalize_name(host));
  const TlsaPlaces places = tls::tlsa_places(settings, certificates, wishes);
  if (!are_all_known(wishes.hosts, places)) return not_good;
  if (places.empty()) {
    std::fprintf(stderr, "postern: tlsa: no certificate with a host name is configured\n");
    return not_good;
  }
  if (options.verify) return verify(places, certificates, made.loaded, made.runtime->trust_anchor);
  return print_records(places, certificates);
}

}  // namespace postern::commands
