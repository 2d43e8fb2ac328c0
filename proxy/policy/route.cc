#include "proxy/policy/route.h"

#include <algorithm>
#include <random>

#include "config/assert.h"
#include "proxy/dns/records.h"

namespace postern::policy {

namespace {

constexpr std::chrono::seconds longest_ttl{86400};

std::vector<config::IpAddress> addresses_of(dns::Type type, const dns::Answer& answer) {
  std::vector<config::IpAddress> addresses;
  for (const std::string& rdata : answer.rdata) {
    if (const auto address = dns::parse_address(type, rdata)) addresses.push_back(*address);
  }
  return addresses;
}

// By turns, so that a dead family costs one attempt, not all of them.
std::vector<config::IpAddress> by_turns(const std::vector<config::IpAddress>& first,
                                        const std::vector<config::IpAddress>& second, std::size_t limit) {
  std::vector<config::IpAddress> mixed;
  for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) mixed.push_back(first[i]);
    if (i < second.size()) mixed.push_back(second[i]);
  }
  mixed.resize(std::min(mixed.size(), limit));
  return mixed;
}

std::string failure_of(std::string_view what, const dns::Answer& answer) {
  return std::string(what) + " lookup: " + std::string(dns::to_string(answer.status)) +
         (answer.reason.empty() ? "" : ", " + answer.reason) + (answer.asked.empty() ? "" : ", asked: " + answer.asked);
}

bool broken(const dns::Answer& answer) {
  return !answer.exists() && !answer.absent();
}

DaneState broken_dane(const dns::Answer& answer) {
  return answer.status == dns::Status::bogus ? DaneState::bogus : DaneState::failed;
}

}  // namespace

std::string_view to_string(DaneState state) {
  switch (state) {
    case DaneState::not_applicable: return "not applicable";
    case DaneState::absent: return "absent";
    case DaneState::records: return "records";
    case DaneState::failed: return "failed";
    case DaneState::bogus: return "bogus";
    case DaneState::unknowable: return "cannot be known";
  }
  return "unknown";
}

std::string_view to_string(Route::Outcome outcome) {
  switch (outcome) {
    case Route::Outcome::hosts: return "hosts";
    case Route::Outcome::null_mx: return "null MX";
    case Route::Outcome::no_such_domain: return "no such domain";
    case Route::Outcome::dns_failed: return "DNS failed";
    case Route::Outcome::dns_bogus: return "DNS bogus";
    case Route::Outcome::leads_back: return "leads back";
  }
  return "unknown";
}

bool leads_somewhere(const Route& route) {
  return route.outcome == Route::Outcome::hosts &&
         std::ranges::any_of(route.hosts, [](const MailHost& host) { return !host.addresses.empty(); });
}

bool is_bogus(const Route& route) {
  return route.outcome == Route::Outcome::dns_bogus || std::ranges::any_of(route.hosts, [](const MailHost& host) {
           return host.address_state == MailHost::Addresses::bogus || host.dane == DaneState::bogus;
         });
}

Route without_proof(Route found, const Route& doubted) {
  for (MailHost& host : found.hosts) {
    const auto before = std::ranges::find(doubted.hosts, host.name, &MailHost::name);
    const bool known = before != doubted.hosts.end();
    const bool bogus =
        doubted.outcome == Route::Outcome::dns_bogus || (known && before->address_state == MailHost::Addresses::bogus);
    host.dane = bogus ? DaneState::bogus : DaneState::failed;
    host.reason = known ? before->reason : doubted.reason;
  }
  return found;
}

MailHost host_by_address(const config::IpAddress& address) {
  MailHost host;
  host.address_state = MailHost::Addresses::found;
  host.addresses = {address};
  host.mx_secure = true;
  return host;
}

void leave_out_ourselves(Route& route, const std::function<bool(const config::IpAddress&)>& is_ours) {
  const auto own = std::ranges::find_if(
      route.hosts, [&](const MailHost& host) { return std::ranges::any_of(host.addresses, is_ours); });
  if (own == route.hosts.end()) return;
  const std::string name =
      own->name.empty() ? config::to_string(*std::ranges::find_if(own->addresses, is_ours)) : own->name;
  const auto preference = own->preference;
  std::erase_if(route.hosts, [&](const MailHost& host) { return host.preference >= preference; });
  if (!route.hosts.empty()) return;
  route.outcome = Route::Outcome::leads_back;
  route.reason = "its mail host " + name + " is this machine";
}

RouteLookup::RouteLookup(std::string_view domain, const Options& options) : options_(options) {
  route_.domain = dns::normalize_name(domain);
  route_.ttl = longest_ttl;
  expanded_domain_ = route_.domain;
  if (!config::is_host_name(route_.domain)) {
    route_.outcome = Route::Outcome::no_such_domain;
    route_.reason = "not a domain name";
  } else if (options_.kind == Kind::host) {
    add_host(route_.domain, 0, true);
  } else {
    ask(route_.domain, dns::Type::mx);
  }
}

void RouteLookup::nothing_is_proven(std::string why) {
  unproven_ = std::move(why);
}

std::vector<dns::Question> RouteLookup::take_questions() {
  waiting_.insert(questions_.begin(), questions_.end());
  return std::exchange(questions_, {});
}

void RouteLookup::ask(std::string name, dns::Type type) {
  dns::Question question{std::move(name), type};
  const bool asked =
      waiting_.contains(question) || std::find(questions_.begin(), questions_.end(), question) != questions_.end();
  if (!asked) questions_.push_back(std::move(question));
}

void RouteLookup::on_answer(const dns::Question& question, const dns::Answer& answer) {
  POSTERN_ASSERT(waiting_.erase(question) == 1, "a route lookup takes answers only to what it asked");
  keep_ttl(answer);
  if (question.type == dns::Type::mx) return on_mx(answer);
  for (HostState& host : hosts_) on_host_answer(host, question, answer);
}

void RouteLookup::on_host_answer(HostState& state, const dns::Question& question, const dns::Answer& answer) {
  if (question.type == dns::Type::tlsa) {
    // Several hosts may be aliases of one, and wait for the same records.
    if (state.tlsa_question != question.name) return;
    state.tlsa_question.clear();
    on_tlsa(state, answer);
  } else if (question.name == state.host.name) {
    question.type == dns::Type::cname ? on_alias(state, answer) : on_address(state, question.type, answer);
  }
}

void RouteLookup::keep_ttl(const dns::Answer& answer) {
  route_.ttl = std::min(route_.ttl, answer.ttl);
}

void RouteLookup::on_mx(const dns::Answer& answer) {
  if (broken(answer)) {
    route_.outcome = answer.status == dns::Status::bogus ? Route::Outcome::dns_bogus : Route::Outcome::dns_failed;
    route_.reason = failure_of("MX", answer);
    return;
  }
  if (answer.status == dns::Status::no_such_name) {
    route_.outcome = Route::Outcome::no_such_domain;
    route_.reason = "the domain does not exist";
    return;
  }
  if (answer.secure) expanded_domain_ = answer.canonical_name;
  if (answer.status == dns::Status::no_data) {
    implicit_mx_ = true;
    return add_host(route_.domain, 0, answer.secure);
  }

  std::vector<std::pair<std::uint16_t, std::string>> exchanges;
  bool null_mx = false;
  for (const std::string& rdata : answer.rdata) {
    auto mx = dns::parse_mx(rdata);
    null_mx = null_mx || (mx && mx->exchange.empty());
    if (mx && config::is_host_name(mx->exchange)) exchanges.emplace_back(mx->preference, std::move(mx->exchange));
  }
  if (exchanges.empty()) {
    route_.outcome = null_mx ? Route::Outcome::null_mx : Route::Outcome::dns_failed;
    route_.reason = null_mx ? "the domain takes no mail (null MX)" : "no MX record names a host";
    return;
  }
  order_hosts(exchanges);
  for (auto& [preference, name] : exchanges) add_host(std::move(name), preference, answer.secure);
}

// By preference, equal ones shuffled; a host listed twice keeps its better place.
void RouteLookup::order_hosts(std::vector<std::pair<std::uint16_t, std::string>>& exchanges) const {
  std::sort(exchanges.begin(), exchanges.end());
  std::mt19937 random(options_.random);
  std::shuffle(exchanges.begin(), exchanges.end(), random);
  std::stable_sort(exchanges.begin(), exchanges.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::set<std::string> seen;
  std::erase_if(exchanges, [&seen](const auto& exchange) { return !seen.insert(exchange.second).second; });
  exchanges.resize(std::min(exchanges.size(), max_hosts));
}

void RouteLookup::add_host(std::string name, std::uint16_t preference, bool secure) {
  HostState state;
  state.host.name = std::move(name);
  state.host.preference = preference;
  state.host.mx_secure = secure;
  state.host.tlsa_base = state.host.name;
  state.canonical_name = state.host.name;
  ask(state.host.name, dns::Type::aaaa);
  ask(state.host.name, dns::Type::a);
  hosts_.push_back(std::move(state));
}

void RouteLookup::on_address(HostState& host, dns::Type type, const dns::Answer& answer) {
  host.addresses[type] = answer;
  if (host.addresses.size() == 2) addresses_known(host);
}

void RouteLookup::addresses_known(HostState& state) {
  const dns::Answer& a = state.addresses[dns::Type::a];
  const dns::Answer& aaaa = state.addresses[dns::Type::aaaa];
  MailHost& host = state.host;
  host.addresses = by_turns(addresses_of(dns::Type::aaaa, aaaa), addresses_of(dns::Type::a, a), max_addresses);
  // One family is enough: the other may fail (a server that answers AAAA badly would else take the host away).
  if (!host.addresses.empty()) {
    host.address_state = MailHost::Addresses::found;
    if (options_.dane && unproven_) {
      host.dane = DaneState::unknowable;
      host.reason = *unproven_;
    } else if (options_.dane) {
      ask_dane(state);
    }
  } else if (broken(a) || broken(aaaa)) {
    const dns::Answer& failed = broken(a) ? a : aaaa;
    host.address_state = failed.status == dns::Status::bogus ? MailHost::Addresses::bogus : MailHost::Addresses::failed;
    host.reason = failure_of("address", failed);
  } else {
    host.reason = "the host has no address";
  }
}

// RFC 7672 2.2.2. TLSA is never asked for under names that are not signed: servers there answer with SERVFAIL,
// and a failure would take the host away for nothing.
void RouteLookup::ask_dane(HostState& state) {
  const dns::Answer* secure = nullptr;
  const dns::Answer* any = nullptr;
  for (const auto& [type, answer] : state.addresses) {
    if (!answer.exists()) continue;
    any = &answer;
    if (answer.secure) secure = &answer;
  }
  if (any == nullptr) return;
  state.canonical_name = (secure != nullptr ? secure : any)->canonical_name;
  const bool alias = state.canonical_name != state.host.name;
  if (secure != nullptr) {
    if (alias) state.bases.push_back(state.host.name);
    ask_tlsa(state, state.canonical_name);
  } else if (alias && state.host.mx_secure) {
    ask(state.host.name, dns::Type::cname);
  }
}

// The address is not signed, the alias may be: then the records stand at the name before it.
void RouteLookup::on_alias(HostState& state, const dns::Answer& answer) {
  if (broken(answer)) {
    state.host.dane = broken_dane(answer);
    state.host.reason = failure_of("CNAME", answer);
  } else if (answer.exists() && answer.secure) {
    ask_tlsa(state, state.host.name);
  }
}

void RouteLookup::ask_tlsa(HostState& state, std::string base) {
  state.base = std::move(base);
  state.tlsa_question = '_' + std::to_string(options_.port) + "._tcp." + state.base;
  ask(state.tlsa_question, dns::Type::tlsa);
}

void RouteLookup::on_tlsa(HostState& state, const dns::Answer& answer) {
  MailHost& host = state.host;
  if (broken(answer)) {
    host.dane = broken_dane(answer);
    host.reason = failure_of("TLSA", answer);
    return;
  }
  if (answer.exists() && answer.secure) {
    host.dane = DaneState::records;
    host.tlsa_base = state.base;
    host.reference_names = reference_names(state);
    for (const std::string& rdata : answer.rdata) {
      host.tlsa.push_back(tls::parse_tlsa_rdata(rdata).value_or(tls::TlsaRecord{255, 255, 255, {}}));
    }
    return;
  }
  if (!state.bases.empty()) {
    std::string next = std::move(state.bases.back());
    state.bases.pop_back();
    return ask_tlsa(state, std::move(next));
  }
  host.dane = answer.secure ? DaneState::absent : DaneState::not_applicable;
}

std::vector<std::string> RouteLookup::reference_names(const HostState& state) const {
  std::vector<std::string> names = {state.host.tlsa_base};
  for (const std::string& name : {route_.domain, expanded_domain_}) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return names;
}

Route RouteLookup::take() {
  POSTERN_ASSERT(done(), "a route is taken when all its questions have been answered");
  for (HostState& state : hosts_) route_.hosts.push_back(std::move(state.host));
  hosts_.clear();
  if (implicit_mx_ && route_.hosts.front().address_state == MailHost::Addresses::none) {
    route_.outcome = Route::Outcome::no_such_domain;
    route_.reason = "the domain has neither MX nor address records";
  }
  return std::move(route_);
}

}  // namespace postern::policy
