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

Refusal led_astray() {
  return {Source::dane,
          Reason::host_not_listed,
          Reply::tls_failed,
          "the address is none of the domain's mail hosts",
          ReportResult::validation_failure,
          true};
}

Refusal unknown_address(const MailHost& host) {
  const bool bogus = host.address_state == MailHost::Addresses::bogus;
  return {Source::dane,
          bogus ? Reason::dns_bogus : Reason::dns_failed,
          Reply::dns_failed,
          host.name + ": " + host.reason,
          ReportResult::dnssec_invalid,
          true};
}

// Leaves the hosts that have the address of an intercepted connection, and no other address. A refusal: none has it,
// although DANE says for some of them how to know them, or may do so.
std::optional<Refusal> pin(Route& route, const config::IpAddress& address) {
  std::optional<Refusal> refusal;
  if (std::ranges::any_of(route.hosts, is_protected)) refusal = led_astray();
  const auto unknown = std::ranges::find_if(route.hosts, is_unknown);
  if (!refusal && unknown != route.hosts.end()) refusal = unknown_address(*unknown);
  std::erase_if(route.hosts, [&](const MailHost& host) { return std::ranges::count(host.addresses, address) == 0; });
  for (MailHost& host : route.hosts) host.addresses = {address};
  if (!route.hosts.empty()) return std::nullopt;
  MailHost nameless;
  nameless.address_state = MailHost::Addresses::found;
  nameless.addresses = {address};
  route.hosts.push_back(std::move(nameless));
  return refusal;
}

// Who is on the way to some address needs no DNS for it, and who only observes is not kept from it: why the domain's
// own hosts are not known stands in the log. A domain that is not in DNS is the client's own business in any case.
std::optional<Refusal> only_noted(const Route& route) {
  auto refusal = refusal_of(route);
  if (!refusal || refusal->reply == Reply::no_such_domain) return std::nullopt;
  refusal->policy = true;
  return refusal;
}

}  // namespace

Itinerary::Itinerary(Route route, std::string domain, const LocalPolicy& local, const MtaStsFacts& mta_sts,
                     std::optional<config::IpAddress> pinned)
    : route_(std::move(route)), domain_(std::move(domain)), pinned_(pinned.has_value()) {
  const auto nowhere = pinned && local.observe ? only_noted(route_) : std::nullopt;
  const auto astray = pinned ? pin(route_, *pinned) : std::nullopt;
  for (const MailHost& host : route_.hosts) demands_.push_back(demand_on(host, domain_, local, mta_sts));
  if (astray && local.wants_dane()) demands_.front().refusal = astray;
  if (nowhere && local.uses_tls() && !demands_.front().refusal) demands_.front().refusal = nowhere;
  begin_host(0);
}

// A host that no TLS session can help is passed over; its reason is kept for the reply.
bool Itinerary::usable(std::size_t host) const {
  const auto& refusal = demands_[host].refusal;
  return !refusal || (refusal->policy && demands_[host].observe);
}

void Itinerary::begin_host(std::size_t host) {
  current_.reset();
  for (; host < route_.hosts.size(); ++host) {
    if (!usable(host)) {
      const Refusal& refusal = *demands_[host].refusal;
      if (failure_is_policy_ && !refusal.policy) continue;
      const std::string& name = route_.hosts[host].name;
      failure_ = {reply_line(refusal.reply, refusal.source, name.empty() ? domain_ : name, refusal.detail), name,
                  verdict_of(refusal, demands_[host].level)};
      failure_is_policy_ = refusal.policy;
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

Verdict Itinerary::nobody_reached() {
  Verdict verdict;
  verdict.reason = Reason::unreachable;
  verdict.reply = Reply::unreachable;
  return verdict;
}

std::string Itinerary::name_of_current() const {
  const std::string& name = route_.hosts[current_->host].name;
  return name.empty() ? config::to_string(current_->address) : name;
}

void Itinerary::judged_unfit() {
  const std::string name = name_of_current();
  failure_ = {reply_line(*verdict_.reply, verdict_.source, name, verdict_.detail), name, verdict_};
  failure_is_policy_ = true;
}

void Itinerary::unreachable(std::string reply, std::string detail) {
  if (failure_is_policy_) return;
  Verdict verdict = nobody_reached();
  verdict.demanded = demands_[current_->host].level;
  verdict.detail = std::move(detail);
  failure_ = {std::move(reply), name_of_current(), std::move(verdict)};
}

void Itinerary::lost(std::size_t host, const std::string& name, std::string_view why) {
  if (failure_is_policy_) return;
  Verdict verdict = nobody_reached();
  verdict.demanded = demands_[host].level;
  verdict.reason = Reason::lost;
  verdict.reply = Reply::lost;
  verdict.detail = why.empty() ? "the connection was lost" : why;
  failure_ = {reply_line(Reply::lost, Source::local, name, verdict.detail), name, verdict};
}

void Itinerary::on_lost(const config::IpAddress& address, std::string_view why) {
  std::size_t host = 0;
  while (host + 1 < route_.hosts.size() && std::ranges::count(route_.hosts[host].addresses, address) == 0) ++host;
  const std::string& name = route_.hosts[host].name;
  lost(host, name.empty() ? config::to_string(address) : name, why);
}

void Itinerary::pass_over(const config::IpAddress& address) {
  passed_over_ = address;
  if (current_ && current_->address == address) next_address();
}

bool Itinerary::on_outcome(const AttemptOutcome& outcome) {
  const Demand& demand = demands_[current_->host];
  const std::string name = name_of_current();
  switch (outcome.kind) {
    case AttemptOutcome::Kind::unreachable: {
      const std::string detail = outcome.reply.empty() ? "cannot be reached" : outcome.reply;
      unreachable(reply_line(Reply::unreachable, Source::local, name, detail), detail);
      next_address();
      return false;
    }
    case AttemptOutcome::Kind::lost:
      lost(current_->host, name, outcome.reply);
      next_address();
      return false;
    case AttemptOutcome::Kind::refused: {
      // The client of an intercepted connection gets what it would have got. Else a refusal of ourselves, said in
      // plaintext by anybody, says nothing about the recipient: the message waits.
      const bool verbatim = pinned_ && domain_.empty();
      unreachable(verbatim ? outcome.reply : reply_line(Reply::unreachable, Source::local, name, outcome.reply),
                  outcome.reply);
      next_address();
      return false;
    }
    case AttemptOutcome::Kind::tls_failed:
      verdict_ = judge(demand, outcome.tls);
      if (current_->use_tls && verdict_.deliver && demand.allows_plaintext()) {
        current_->use_tls = false;  // opportunistic: once more, in plaintext, on a new connection
        return false;
      }
      judged_unfit();
      next_address();
      return false;
    case AttemptOutcome::Kind::open: break;
  }
  verdict_ = judge(demand, outcome.tls);
  if (verdict_.deliver) return true;
  judged_unfit();
  begin_host(current_->host + 1);  // another address of the host would show the same certificate
  return false;
}

std::optional<Itinerary::Accepted> Itinerary::would_accept(const config::IpAddress& address,
                                                           const Examine& examine) const {
  for (std::size_t i = 0; i < route_.hosts.size(); ++i) {
    if (!usable(i) || std::ranges::count(route_.hosts[i].addresses, address) == 0) continue;
    Verdict verdict = judge(demands_[i], examine(route_.hosts[i], demands_[i]));
    if (verdict.deliver) return Accepted{i, std::move(verdict)};
  }
  return std::nullopt;
}

}  // namespace postern::policy
