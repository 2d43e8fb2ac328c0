#include "proxy/policy/itinerary.h"

#include <algorithm>
#include <utility>

namespace postern::policy {

namespace {

bool is_protected(const MailHost& host) {
  return host.dane == DaneState::records || host.dane == DaneState::failed || host.dane == DaneState::bogus;
}

// A host whose addresses cannot be known: the connection may well be on its way there.
bool is_unknown(const MailHost& host) {
  return host.address_state == MailHost::Addresses::failed || host.address_state == MailHost::Addresses::bogus;
}

Blocker led_astray() {
  return {Source::dane,
          Reason::host_not_listed,
          Reply::tls_failed,
          "the address is none of the domain's mail hosts",
          ReportResult::validation_failure,
          true};
}

Blocker unknown_address(const MailHost& host) {
  const bool bogus = host.address_state == MailHost::Addresses::bogus;
  return {Source::dane,
          bogus ? Reason::dns_bogus : Reason::dns_failed,
          Reply::dns_failed,
          host.name + ": " + host.reason,
          ReportResult::dnssec_invalid,
          true};
}

// Leaves the hosts that have the address of an intercepted connection, and no other address. A blocker: none has it,
// although DANE says for some of them how to know them, or may do so.
std::optional<Blocker> pin(Route& route, const config::IpAddress& address) {
  std::optional<Blocker> blocker;
  if (std::ranges::any_of(route.hosts, is_protected)) blocker = led_astray();
  const auto unknown = std::ranges::find_if(route.hosts, is_unknown);
  if (!blocker && unknown != route.hosts.end()) blocker = unknown_address(*unknown);
  std::erase_if(route.hosts, [&](const MailHost& host) { return std::ranges::count(host.addresses, address) == 0; });
  for (MailHost& host : route.hosts) host.addresses = {address};
  if (!route.hosts.empty()) return std::nullopt;
  MailHost nameless;
  nameless.address_state = MailHost::Addresses::found;
  nameless.addresses = {address};
  route.hosts.push_back(std::move(nameless));
  return blocker;
}

// Who is on the way to some address needs no DNS for it, and who only observes is not kept from it: why the domain's
// own hosts are not known stands in the log. A domain that is not in DNS is the client's own business in any case.
std::optional<Blocker> only_noted(const Route& route) {
  auto blocker = blocker_of(route);
  if (!blocker || blocker->reply == Reply::no_such_domain) return std::nullopt;
  blocker->policy = true;
  return blocker;
}

Verdict not_reached(const AttemptOutcome& outcome, const Demand& demand) {
  const bool lost = outcome.kind == AttemptOutcome::Kind::lost;
  Verdict verdict;
  verdict.demanded = demand.level;
  verdict.reason = lost ? Reason::lost : Reason::unreachable;
  verdict.reply = lost ? Reply::lost : Reply::unreachable;
  verdict.detail = outcome.reply;
  if (verdict.detail.empty()) verdict.detail = lost ? "the connection was lost" : "cannot be reached";
  return verdict;
}

}  // namespace

Verdict judge(const AttemptOutcome& outcome, const MailHost& host, const Demand& demand) {
  switch (outcome.kind) {
    case AttemptOutcome::Kind::unreachable:
    case AttemptOutcome::Kind::lost:
    case AttemptOutcome::Kind::refused: return not_reached(outcome, demand);
    case AttemptOutcome::Kind::tls_failed: return judge(demand, outcome.tls);
    case AttemptOutcome::Kind::open: break;
  }
  return outcome.evidence ? judge(demand, examine(*outcome.evidence, host, demand)) : judge(demand, outcome.tls);
}

Itinerary::Itinerary(Route route, std::string domain, const LocalPolicy& local, const MtaStsFacts& mta_sts,
                     std::optional<config::IpAddress> pinned)
    : route_(std::move(route)), domain_(std::move(domain)), pinned_(pinned.has_value()) {
  const auto nowhere = pinned && local.observe ? only_noted(route_) : std::nullopt;
  const auto astray = pinned ? pin(route_, *pinned) : std::nullopt;
  for (const MailHost& host : route_.hosts) demands_.push_back(demand_on(host, domain_, local, mta_sts));
  if (astray && local.wants_dane()) demands_.front().blocker = astray;
  if (nowhere && local.uses_tls() && !demands_.front().blocker) demands_.front().blocker = nowhere;
  begin_host(0);
}

// A host that no TLS session can help is passed over; its reason is kept for the reply.
bool Itinerary::usable(std::size_t host) const {
  const auto& blocker = demands_[host].blocker;
  return !blocker || (blocker->policy && demands_[host].observe);
}

void Itinerary::begin_host(std::size_t host) {
  current_.reset();
  for (; host < route_.hosts.size(); ++host) {
    if (!usable(host)) {
      const Blocker& blocker = *demands_[host].blocker;
      if (failure_is_policy_ && !blocker.policy) continue;
      const std::string& name = route_.hosts[host].name;
      failure_ = {reply_line(blocker, name.empty() ? domain_ : name), name, verdict_of(blocker, demands_[host].level)};
      failure_is_policy_ = blocker.policy;
      continue;
    }
    if (route_.hosts[host].addresses.empty()) continue;
    next_address_ = 0;
    current_ = Attempt{host, {}, true, false};
    return next_address();
  }
}

void Itinerary::next_address() {
  const auto& addresses = route_.hosts[current_->host].addresses;
  if (addresses_tried_ >= addresses_in_all) return current_.reset();
  if (next_address_ >= std::min(addresses.size(), addresses_per_host)) return begin_host(current_->host + 1);
  ++addresses_tried_;
  const config::IpAddress& address = addresses[next_address_++];
  if (address == passed_over_) return next_address();
  const Demand& demand = demands_[current_->host];
  current_ = Attempt{current_->host, address, demand.try_tls, !demand.allows_plaintext()};
}

std::size_t Itinerary::addresses_left() const {
  if (!current_) return 0;
  std::size_t left = 0;
  for (std::size_t host = current_->host; host < route_.hosts.size(); ++host) {
    if (!usable(host)) continue;
    const std::size_t there = std::min(route_.hosts[host].addresses.size(), addresses_per_host);
    left += host == current_->host ? there - next_address_ : there;
  }
  return std::min(left, addresses_in_all - addresses_tried_);
}

void Itinerary::begin_at(const config::IpAddress& address) {
  Itinerary ahead = *this;
  while (ahead.current_ && ahead.current_->address != address) ahead.next_address();
  if (ahead.current_) *this = std::move(ahead);
}

std::string Itinerary::name_of(std::size_t host, const config::IpAddress& address) const {
  const std::string& name = route_.hosts[host].name;
  return name.empty() ? config::to_string(address) : name;
}

void Itinerary::judged_unfit() {
  const std::string name = name_of(current_->host, current_->address);
  failure_ = {reply_line(*verdict_.reply, verdict_.source, name, verdict_.detail), name, verdict_};
  failure_is_policy_ = true;
}

// It did not come so far that a policy could be asked.
void Itinerary::not_judged(std::size_t host, const config::IpAddress& address, const AttemptOutcome& outcome) {
  if (failure_is_policy_) return;
  const std::string name = name_of(host, address);
  Verdict verdict = judge(outcome, route_.hosts[host], demands_[host]);
  // The client of an intercepted connection gets what it would have got. Else a refusal of ourselves, said in plaintext
  // by anybody, says nothing about the recipient: the message waits.
  const bool verbatim = outcome.kind == AttemptOutcome::Kind::refused && pinned_ && domain_.empty();
  std::string reply = verbatim ? outcome.reply : reply_line(*verdict.reply, Source::local, name, verdict.detail);
  failure_ = {std::move(reply), name, std::move(verdict)};
}

void Itinerary::on_lost(const config::IpAddress& address, std::string_view why) {
  std::size_t host = 0;
  while (host + 1 < route_.hosts.size() && std::ranges::count(route_.hosts[host].addresses, address) == 0) ++host;
  not_judged(host, address, {AttemptOutcome::Kind::lost, std::string(why), {}});
}

void Itinerary::pass_over(const config::IpAddress& address) {
  passed_over_ = address;
  if (current_ && current_->address == address) next_address();
}

bool Itinerary::on_outcome(const AttemptOutcome& outcome) {
  switch (outcome.kind) {
    case AttemptOutcome::Kind::unreachable:
    case AttemptOutcome::Kind::lost:
    case AttemptOutcome::Kind::refused:
      not_judged(current_->host, current_->address, outcome);
      next_address();
      return false;
    case AttemptOutcome::Kind::tls_failed:
      verdict_ = judge(outcome, host(), demand());
      if (current_->use_tls && verdict_.deliver && demand().allows_plaintext()) {
        current_->use_tls = false;  // opportunistic: once more, in plaintext, on a new connection
        return false;
      }
      judged_unfit();
      next_address();
      return false;
    case AttemptOutcome::Kind::open: break;
  }
  verdict_ = judge(outcome, host(), demand());
  if (verdict_.deliver) return true;
  judged_unfit();
  begin_host(current_->host + 1);  // another address of the host would show the same certificate
  return false;
}

std::optional<Itinerary::Accepted> Itinerary::would_accept(const config::IpAddress& address,
                                                           const AttemptOutcome& outcome) const {
  for (std::size_t i = 0; i < route_.hosts.size(); ++i) {
    if (!usable(i) || std::ranges::count(route_.hosts[i].addresses, address) == 0) continue;
    Verdict verdict = judge(outcome, route_.hosts[i], demands_[i]);
    if (verdict.deliver) return Accepted{i, std::move(verdict)};
  }
  return std::nullopt;
}

}  // namespace postern::policy
