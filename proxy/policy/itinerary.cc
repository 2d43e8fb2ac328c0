#include "proxy/policy/itinerary.h"

#include <algorithm>
#include <utility>

namespace postern::policy {

namespace {

// The hosts that have the address of an intercepted connection, and no other address.
void pin(Route& route, const config::IpAddress& address) {
  std::erase_if(route.hosts, [&](const MailHost& host) { return std::ranges::count(host.addresses, address) == 0; });
  for (MailHost& host : route.hosts) host.addresses = {address};
  if (!route.hosts.empty()) return;
  MailHost nameless;
  nameless.address_state = MailHost::Addresses::found;
  nameless.addresses = {address};
  route.hosts.push_back(std::move(nameless));
}

}  // namespace

Itinerary::Itinerary(Route route, std::string domain, const LocalPolicy& local, const MtaStsFacts& mta_sts,
                     std::optional<config::IpAddress> pinned)
    : route_(std::move(route)), domain_(std::move(domain)) {
  if (pinned) pin(route_, *pinned);
  for (const MailHost& host : route_.hosts) demands_.push_back(demand_on(host, domain_, local, mta_sts));
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
      refusal_is_policy_ = refusal.policy;
      refusal_ = reply_line(refusal.reply, refusal.source, route_.hosts[host].name, refusal.detail);
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
  if (next_address_ >= addresses.size()) return begin_host(current_->host + 1);
  const Demand& demand = demands_[current_->host];
  current_ = Attempt{current_->host, addresses[next_address_++], demand.try_tls, !demand.allows_plaintext()};
}

void Itinerary::refuse(std::string reply) {
  refusal_ = std::move(reply);
  refusal_is_policy_ = true;
}

bool Itinerary::on_outcome(const AttemptOutcome& outcome) {
  const Demand& demand = demands_[current_->host];
  const std::string& name = route_.hosts[current_->host].name;
  switch (outcome.kind) {
    case AttemptOutcome::Kind::unreachable:
      if (!refusal_is_policy_) refusal_ = reply_line(Reply::unreachable, Source::local, name, "cannot be reached");
      next_address();
      return false;
    case AttemptOutcome::Kind::refused:
      if (!refusal_is_policy_) refusal_ = outcome.reply;
      next_address();
      return false;
    case AttemptOutcome::Kind::tls_failed:
      verdict_ = judge(demand, outcome.tls);
      if (current_->use_tls && verdict_.deliver && demand.allows_plaintext()) {
        current_->use_tls = false;  // opportunistic: once more, in plaintext, on a new connection
        return false;
      }
      refuse(reply_line(verdict_.reply, verdict_.source, name, verdict_.detail));
      next_address();
      return false;
    case AttemptOutcome::Kind::open: break;
  }
  verdict_ = judge(demand, outcome.tls);
  if (verdict_.deliver) return true;
  refuse(reply_line(verdict_.reply, verdict_.source, name, verdict_.detail));
  begin_host(current_->host + 1);  // another address of the host would show the same certificate
  return false;
}

bool Itinerary::would_accept(const config::IpAddress& address,
                             const std::function<TlsOutcome(const MailHost&, const Demand&)>& examine) const {
  for (std::size_t i = 0; i < route_.hosts.size(); ++i) {
    if (!usable(i) || std::ranges::count(route_.hosts[i].addresses, address) == 0) continue;
    if (judge(demands_[i], examine(route_.hosts[i], demands_[i])).deliver) return true;
  }
  return false;
}

}  // namespace postern::policy
