#include "proxy/outbound/remote_choice.h"

#include <algorithm>
#include <utility>

#include "config/assert.h"

namespace postern::outbound {

using config::OutboundRoute;
using smtp::PolicyAnswer;
using Stage = smtp::RemoteState::Stage;

namespace {

bool is_literal(const std::string& domain) {
  return domain.starts_with('[');
}

// RFC 5321 4.1.3.
std::optional<config::IpAddress> literal_address(std::string_view domain) {
  if (domain.size() < 3 || !domain.starts_with('[') || !domain.ends_with(']')) return std::nullopt;
  domain = domain.substr(1, domain.size() - 2);
  if (domain.starts_with("ipv6:")) domain.remove_prefix(5);
  const auto address = config::parse_ip_address(domain);
  return address ? std::optional(*address) : std::nullopt;
}

// Attempts for one answer to the client: as many addresses as an itinerary tries, twice.
constexpr std::size_t attempts_in_all = 20;

std::string name_of(const Way& way) {
  return way.host.empty() ? config::to_string(way.address.address) : way.host;
}

}  // namespace

RemoteChoice::RemoteChoice(const config::OutboundListener& listener, const policy::PolicyTable& table,
                           std::optional<net::SocketAddress> original, std::string server_name, IsOurs is_ours)
    : listener_(listener),
      table_(table),
      original_(original),
      remembered_name_(std::move(server_name)),
      is_ours_(std::move(is_ours)) {
  POSTERN_ASSERT(original.has_value() == (listener.route == OutboundRoute::original_destination),
                 "an original destination belongs to an intercepted connection");
}

// --- DNS

std::optional<policy::DomainQuery> RemoteChoice::lookup_for(const std::string& domain,
                                                            std::optional<std::uint32_t> question) const {
  if (trip_ && trip_->pending && trip_->domain == domain) return std::nullopt;
  if (asks_again(domain, question)) return std::nullopt;
  using Kind = policy::RouteLookup::Kind;
  const policy::LocalPolicy& local = table_.row_for(domain).local;
  if (listener_.route == OutboundRoute::relay) {
    const config::Endpoint& relay = *listener_.relay.address;
    if (relay.kind != config::Endpoint::Kind::name) return std::nullopt;
    return policy::query_for(local, relay.name, Kind::host, relay.port);
  }
  // Neither an address literal nor <postmaster> has anything to look up.
  if (domain.empty() || domain == "." || is_literal(domain)) return std::nullopt;
  auto query = policy::query_for(local, domain, Kind::mail_domain, port());
  const bool matters = query.options.dane || query.mta_sts || row_of(local.level).proof == policy::Proof::host_name;
  return original_ && !matters ? std::nullopt : std::optional(std::move(query));
}

policy::Route RemoteChoice::route_for(const std::string& domain, const policy::DomainFacts* facts) const {
  policy::Route route;
  route.domain = domain;
  if (facts != nullptr) {
    route = facts->route;
  } else if (listener_.route == OutboundRoute::relay) {
    route.hosts = {policy::host_by_address(listener_.relay.address->address)};
  } else if (const auto address = literal_address(domain); address && listener_.route == OutboundRoute::mx) {
    route.hosts = {policy::host_by_address(*address)};
  } else if (listener_.route == OutboundRoute::mx) {
    route.outcome = policy::Route::Outcome::no_such_domain;
    route.reason = "no mail can be sent to such a domain";
  }
  if (listener_.route == OutboundRoute::mx) policy::leave_out_ourselves(route, is_ours_);
  return route;
}

std::uint16_t RemoteChoice::port() const {
  switch (listener_.route) {
    case OutboundRoute::original_destination: return original_->port;
    case OutboundRoute::relay: return listener_.relay.address->port;
    case OutboundRoute::mx: break;
  }
  return listener_.port;
}

std::optional<config::IpAddress> RemoteChoice::pinned() const {
  return original_ ? std::optional(original_->address) : std::nullopt;
}

RemoteChoice::Trip RemoteChoice::plan(const std::string& domain, const policy::DomainFacts* facts) const {
  const auto& row = domain.empty() ? table_.opening() : table_.row_for(domain);
  const auto& relay = listener_.relay.address;
  const bool by_name = listener_.route == OutboundRoute::relay && relay->kind == config::Endpoint::Kind::name;
  const policy::MtaStsFacts mta_sts = facts != nullptr ? facts->mta_sts : policy::MtaStsFacts{};
  return {domain, &row,
          policy::Itinerary(route_for(domain, facts), by_name ? relay->name : domain, row.local, mta_sts, pinned()),
          mta_sts};
}

// --- the first connection

bool RemoteChoice::begin(const policy::DomainFacts* facts) {
  trip_ = plan({}, facts);
  if (begun_) trip_->itinerary.begin_at(way_.address.address);
  const policy::Route& route = trip_->itinerary.route();
  const auto blocker = table_.blocker_of(route);
  if (blocker || !trip_->itinerary.current()) {
    refusal_ = blocker ? refuse(blocker->reply, policy::reply_line(*blocker, route.domain))
                       : refuse(trip_->itinerary.failure());
    trip_.reset();
    return false;
  }
  way_ = way_of(*trip_->itinerary.current());
  trip_->pending = begun_ = true;
  trip_->attempts = 1;
  return true;
}

// --- answers

PolicyAnswer RemoteChoice::decide(const std::string& domain, const policy::DomainFacts* facts, const Present& present) {
  decision_.reset();
  PolicyAnswer answer = weigh(domain, facts, present);
  begun_ = begun_ || answer.action == PolicyAnswer::Action::reconnect;
  if (answer.action == PolicyAnswer::Action::refuse) trip_.reset();
  if (trip_) trip_->question = present.question;
  if (trip_) trip_->taken = answer.action == PolicyAnswer::Action::proceed;
  return answer;
}

PolicyAnswer RemoteChoice::weigh(const std::string& domain, const policy::DomainFacts* facts, const Present& present) {
  if (trip_ && trip_->pending && trip_->domain == domain) return arrived(present);
  if (asks_again(domain, present.question)) return lost(present);
  Trip trip = plan(domain, facts);
  const policy::Route& route = trip.itinerary.route();
  const auto blocker = table_.blocker_of(route);
  const bool stops_nobody =
      pinned() && blocker && (blocker->reply == policy::Reply::no_such_domain || trip.row->local.observe);
  if (blocker && !stops_nobody) {
    decision_ = Decision{domain, {}, {}, policy::verdict_of(*blocker, listener_.level), {}};
    return refuse(blocker->reply, policy::reply_line(*blocker, route.domain));
  }
  if (present.state.usable() && present.state.stage != Stage::auth_failed) {
    if (const auto accepted = accepts(trip, present)) {
      const auto host = trip.itinerary.route().hosts[accepted->host];
      trip_ = std::move(trip);
      trip_->borrowed = true;
      return proceed(host, accepted->verdict, *trip_, present);
    }
  }
  trip_ = std::move(trip);
  return set_out(present);
}

bool RemoteChoice::asks_again(const std::string& domain, std::optional<std::uint32_t> question) const {
  return trip_ && trip_->taken && trip_->domain == domain && question && trip_->question == question;
}

// What the trip came to did not last until the client had its answer. The trip goes on, never begins anew: else a
// server that closes at MAIL would be called again and again.
PolicyAnswer RemoteChoice::lost(const Present& present) {
  trip_->taken = false;
  const std::string why = present.trouble();
  if (!trip_->borrowed) {
    policy::AttemptOutcome outcome;
    outcome.kind = policy::AttemptOutcome::Kind::lost;
    outcome.reply = why;
    (void)trip_->itinerary.on_outcome(outcome);
  } else {
    trip_->itinerary.on_lost(way_.address.address, why);
    // One that has served before may only have been idle for too long.
    if (!present.state.served) trip_->itinerary.pass_over(way_.address.address);
  }
  trip_->borrowed = false;
  return set_out(present);
}

PolicyAnswer RemoteChoice::connect(Way way) {
  way_ = std::move(way);
  ++trip_->attempts;
  trip_->pending = true;
  return {PolicyAnswer::Action::reconnect, {}};
}

// The connection that the trip asked for has come to something.
PolicyAnswer RemoteChoice::arrived(const Present& present) {
  trip_->pending = trip_->borrowed = false;
  const bool unfit = present.tls_failed() || (present.tls() && present.state.usable() && !accepts(*trip_, present));
  const auto less = once_more(way_.handshake, present, unfit);
  if (less && present.may_reconnect && trip_->attempts < attempts_in_all) {
    Way way = way_;
    way.handshake = *less;
    return connect(std::move(way));
  }
  if (present.state.stage == Stage::auth_failed) {
    const policy::Verdict verdict = auth_failed(present.state);
    decision_ = Decision{trip_->domain, name_of(way_), {}, verdict, {}};
    // Never permanent, whatever the relay says: it is about us, not about the message.
    return refuse(*verdict.reply, policy::reply_line(*verdict.reply, verdict.source, name_of(way_), verdict.detail));
  }
  const policy::MailHost host = trip_->itinerary.host();
  if (trip_->itinerary.on_outcome(outcome_of(present, way_.tls_error))) {
    return proceed(host, trip_->itinerary.verdict(), *trip_, present);
  }
  return set_out(present);
}

// On to the attempt that the trip has next.
PolicyAnswer RemoteChoice::set_out(const Present& present) {
  if (!trip_->itinerary.current()) return refuse(*trip_);
  Way next = way_of(*trip_->itinerary.current());
  // In the middle of a transaction, or once the client has authenticated, what we have is what counts.
  if (present.state.usable() && (same_as_present(next, present) || !present.may_reconnect)) {
    const bool observed = trip_->itinerary.demand().observe;
    return present.tls() && !parameters_fit(*trip_, present) && !observed ? wants_its_own(*trip_) : arrived(present);
  }
  if (!present.may_reconnect) return own_connection();
  if (present.late || trip_->attempts >= attempts_in_all) return refuse(*trip_);
  if (!next.use_tls && way_.use_tls && next.address == way_.address) {
    next.tls_error = smtp::tls_trouble(present.state, present.error);
    next.tls_trouble = smtp::plaintext_reason(present.state, present.closed);
  }
  return connect(std::move(next));
}

PolicyAnswer RemoteChoice::proceed(const policy::MailHost& host, const policy::Verdict& verdict, const Trip& trip,
                                   const Present& present) {
  if (!trip.domain.empty()) {
    const std::string& server_name = host.tlsa_base.empty() ? host.name : host.tlsa_base;
    decision_ = Decision{trip.domain, host.name.empty() ? name_of(way_) : host.name, server_name, verdict,
                         policy::published(verdict, host.tlsa, trip.mta_sts)};
    if (!present.tls()) {
      const auto here = smtp::plaintext_reason(present.state, present.closed);
      decision_->plaintext = here ? here : way_.tls_trouble.value_or(smtp::Plaintext::not_tried);
      decision_->plaintext_detail = here ? smtp::tls_trouble(present.state, present.error) : way_.tls_error;
    }
  }
  return {PolicyAnswer::Action::proceed, {}, vouched(host, trip, present)};
}

// Before any recipient is known nothing but opportunistic TLS is asked of a server, and a client may authenticate
// then: its password deserves what the listener demands for mail. Where it cannot, nobody looks at certificates for it.
bool RemoteChoice::vouched(const policy::MailHost& host, const Trip& trip, const Present& present) const {
  if (!present.tls() || !present.state.offers_auth) return false;
  const std::string& domain = host.name.empty() ? trip.domain : host.name;
  const auto demand = policy::demand_on(host, domain, table_.listener().local, trip.mta_sts);
  return policy::judge(outcome_of(present), host, demand).deliver;
}

PolicyAnswer RemoteChoice::refuse(const Trip& trip) {
  const auto& failure = trip.itinerary.failure();
  const auto& hosts = trip.itinerary.route().hosts;
  const auto host = std::ranges::find(hosts, failure.host, &policy::MailHost::name);
  const auto tlsa = host != hosts.end() ? host->tlsa : std::vector<tls::TlsaRecord>();
  decision_ =
      Decision{trip.domain, failure.host, {}, failure.verdict, policy::published(failure.verdict, tlsa, trip.mta_sts)};
  return refuse(failure);
}

// The certificate there may do; versions or groups, which no certificate shows, do not.
PolicyAnswer RemoteChoice::wants_its_own(const Trip& trip) {
  policy::Verdict verdict;
  verdict.demanded = trip.itinerary.demand().level;
  verdict.reason = policy::Reason::tls_parameters;
  verdict.detail = "the TLS session at hand is not one that the domain's policy allows";
  decision_ = Decision{trip.domain, name_of(way_), {}, verdict, {}};
  return own_connection();
}

PolicyAnswer RemoteChoice::own_connection() {
  return refuse(smtp::Refusal::own_connection, std::string(smtp::line_of(smtp::Refusal::own_connection)));
}

PolicyAnswer RemoteChoice::refuse(const policy::Itinerary::Failure& failure) {
  return refuse(failure.verdict.reply.value_or(smtp::Refusal::unreachable), failure.reply);
}

PolicyAnswer RemoteChoice::refuse(smtp::Refusal refusal, std::string reply) {
  return {PolicyAnswer::Action::refuse, std::move(reply), false, refusal};
}

}  // namespace postern::outbound
