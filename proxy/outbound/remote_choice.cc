#include "proxy/outbound/remote_choice.h"

#include <algorithm>
#include <utility>

#include "config/assert.h"

namespace postern::outbound {

using config::OutboundRoute;
using smtp::Judgement;
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

policy::MailHost nameless(const config::IpAddress& address) {
  policy::MailHost host;
  host.address_state = policy::MailHost::Addresses::found;
  host.addresses = {address};
  host.mx_secure = true;
  return host;
}

policy::ReportedPolicy published(const policy::ReportRow& row, const std::vector<tls::TlsaRecord>& tlsa,
                                 const policy::MtaStsFacts& mta_sts) {
  policy::ReportedPolicy found{row.policy, {}, {}};
  if (row.policy == policy::ReportPolicy::tlsa) {
    for (const auto& record : tlsa) found.text.push_back(tls::to_string(record));
  } else if (row.policy == policy::ReportPolicy::sts && mta_sts.policy) {
    found.text = policy::policy_strings(*mta_sts.policy);
    found.mx_hosts = mta_sts.policy->mx;
  }
  return found;
}

// Attempts for one answer to the client: as many addresses as an itinerary tries, twice.
constexpr std::size_t attempts_in_all = 20;

std::string name_of(const Way& way) {
  return way.host.empty() ? config::to_string(way.address.address) : way.host;
}

// Three things that are never one: a refusal of the credentials, a server that cannot say now, and one that was never
// asked. No reply is quoted that no server gave.
policy::Verdict auth_failed(const smtp::RemoteState& state) {
  policy::Verdict verdict;
  const bool deferred = state.reply.starts_with('4');
  verdict.reason = state.reply.empty() ? policy::Reason::auth_not_offered
                   : deferred          ? policy::Reason::auth_deferred
                                       : policy::Reason::credentials_refused;
  verdict.reply = deferred ? policy::Reply::auth_deferred : policy::Reply::credentials;
  verdict.detail = state.reply.empty() ? state.trouble
                   : deferred          ? "the server does not authenticate us now: " + state.reply
                                       : "our credentials were refused: " + state.reply;
  return verdict;
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

std::optional<RemoteChoice::Lookup> RemoteChoice::lookup_for(const std::string& domain,
                                                             std::optional<std::uint32_t> question) const {
  if (trip_ && trip_->pending && trip_->domain == domain) return std::nullopt;
  if (asks_again(domain, question)) return std::nullopt;
  const policy::LocalPolicy& local = table_.row_for(domain).local;
  Lookup lookup;
  lookup.name = domain;
  lookup.mta_sts = local.wants_mta_sts();
  lookup.options.dane = local.wants_dane();
  lookup.options.observe = local.observe;
  switch (listener_.route) {
    case OutboundRoute::relay:
      if (listener_.relay.address->kind != config::Endpoint::Kind::name) return std::nullopt;
      lookup.name = listener_.relay.address->name;
      lookup.options.kind = policy::RouteLookup::Kind::host;
      lookup.options.port = listener_.relay.address->port;
      return lookup;
    case OutboundRoute::mx: lookup.options.port = listener_.port; break;
    case OutboundRoute::original_destination:
      if (!lookup.options.dane && !lookup.mta_sts && row_of(local.level).proof != policy::Proof::host_name)
        return std::nullopt;
      lookup.options.port = original_->port;
      break;
  }
  // Neither an address literal nor <postmaster> has anything to look up.
  if (domain.empty() || domain == "." || is_literal(domain)) return std::nullopt;
  return lookup;
}

policy::Route RemoteChoice::route_for(const std::string& domain, const policy::DomainFacts* facts) const {
  policy::Route route;
  route.domain = domain;
  if (facts != nullptr) {
    route = facts->route;
  } else if (listener_.route == OutboundRoute::relay) {
    route.hosts = {nameless(listener_.relay.address->address)};
  } else if (const auto address = literal_address(domain); address && listener_.route == OutboundRoute::mx) {
    route.hosts = {nameless(*address)};
  } else if (listener_.route == OutboundRoute::mx) {
    route.outcome = policy::Route::Outcome::no_such_domain;
    route.reason = "no mail can be sent to such a domain";
  }
  if (listener_.route == OutboundRoute::mx) policy::leave_out_ourselves(route, is_ours_);
  return route;
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
  const auto refusal = table_.refusal_of(route);
  if (refusal || !trip_->itinerary.current()) {
    refusal_ = refusal ? refuse(refusal->reply,
                                policy::reply_line(refusal->reply, refusal->source, route.domain, refusal->detail))
                       : refuse(trip_->itinerary.failure());
    trip_.reset();
    return false;
  }
  way_ = way_of(*trip_->itinerary.current());
  trip_->pending = begun_ = true;
  trip_->attempts = 1;
  return true;
}

// --- judgements

Judgement RemoteChoice::decide(const std::string& domain, const policy::DomainFacts* facts, const Link& link) {
  decision_.reset();
  Judgement judgement = weigh(domain, facts, link);
  begun_ = begun_ || judgement.action == Judgement::Action::reconnect;
  if (judgement.action == Judgement::Action::refuse) trip_.reset();
  if (trip_) trip_->question = link.question;
  if (trip_) trip_->taken = judgement.action == Judgement::Action::proceed;
  return judgement;
}

Judgement RemoteChoice::weigh(const std::string& domain, const policy::DomainFacts* facts, const Link& link) {
  if (trip_ && trip_->pending && trip_->domain == domain) return arrived(link);
  if (asks_again(domain, link.question)) return lost(link);
  Trip trip = plan(domain, facts);
  const policy::Route& route = trip.itinerary.route();
  const auto refusal = table_.refusal_of(route);
  const bool stops_nobody =
      pinned() && refusal &&
      (refusal->reply == policy::Reply::no_such_domain || listener_.enforcement == config::Enforcement::observe);
  if (refusal && !stops_nobody) {
    decision_ = Decision{domain, {}, {}, policy::verdict_of(*refusal, listener_.level), {}};
    return refuse(refusal->reply, policy::reply_line(refusal->reply, refusal->source, route.domain, refusal->detail));
  }
  if (link.state.usable() && link.state.stage != Stage::auth_failed) {
    if (const auto accepted = accepts(trip, link)) {
      const auto host = trip.itinerary.route().hosts[accepted->host];
      trip_ = std::move(trip);
      trip_->borrowed = true;
      return proceed(host, accepted->verdict, *trip_, link);
    }
  }
  trip_ = std::move(trip);
  return set_out(link);
}

bool RemoteChoice::asks_again(const std::string& domain, std::optional<std::uint32_t> question) const {
  return trip_ && trip_->taken && trip_->domain == domain && question && trip_->question == question;
}

// What the trip came to did not last until the client had its answer. The trip goes on, never begins anew: else a
// server that closes at MAIL would be called again and again.
Judgement RemoteChoice::lost(const Link& link) {
  trip_->taken = false;
  const std::string why = link.trouble();
  if (!trip_->borrowed) {
    policy::AttemptOutcome outcome;
    outcome.kind = policy::AttemptOutcome::Kind::lost;
    outcome.reply = why;
    (void)trip_->itinerary.on_outcome(outcome);
  } else {
    trip_->itinerary.on_lost(way_.address.address, why);
    // One that has served before may only have been idle for too long.
    if (!link.state.served) trip_->itinerary.pass_over(way_.address.address);
  }
  trip_->borrowed = false;
  return set_out(link);
}

Judgement RemoteChoice::once_more(Way way) {
  way_ = std::move(way);
  ++trip_->attempts;
  trip_->pending = true;
  return {Judgement::Action::reconnect, {}};
}

// The connection that the trip asked for has come to something.
Judgement RemoteChoice::arrived(const Link& link) {
  trip_->pending = trip_->borrowed = false;
  // A ClientHello with post-quantum groups breaks some servers; and a resumed session shows the certificates of its
  // first handshake: there may be better ones by now. Once more without either, before TLS counts as broken.
  const bool failed = link.state.stage == Stage::tls_failed || link.state.stage == Stage::tls_broken;
  const bool unfit = failed || (link.tls && !accepts(*trip_, link));
  const bool too_new = link.state.stage == Stage::tls_failed && way_.post_quantum && link.offers_post_quantum;
  const bool too_old = link.resumed && unfit;
  const bool for_the_first_time = way_.resume;
  if ((too_new || too_old) && for_the_first_time && link.may_reconnect && trip_->attempts < attempts_in_all) {
    Way way = way_;
    way.resume = false;
    if (too_new) way.post_quantum = false;
    return once_more(std::move(way));
  }
  if (link.state.stage == Stage::auth_failed) {
    const policy::Verdict verdict = auth_failed(link.state);
    decision_ = Decision{trip_->domain, name_of(way_), {}, verdict, {}};
    // Never permanent, whatever the relay says: it is about us, not about the message.
    return refuse(*verdict.reply, policy::reply_line(*verdict.reply, verdict.source, name_of(way_), verdict.detail));
  }
  const policy::MailHost host = trip_->itinerary.host();
  if (trip_->itinerary.on_outcome(outcome_of(link))) return proceed(host, trip_->itinerary.verdict(), *trip_, link);
  return set_out(link);
}

// On to the attempt that the trip has next.
Judgement RemoteChoice::set_out(const Link& link) {
  if (!trip_->itinerary.current()) return refuse(*trip_);
  Way next = way_of(*trip_->itinerary.current());
  // In the middle of a transaction, or once the client has authenticated, what we have is what counts.
  if (link.state.usable() && (same_as_present(next, link) || !link.may_reconnect)) {
    const bool observed = trip_->itinerary.demand().observe;
    return link.tls && !parameters_fit(*trip_, link) && !observed ? wants_its_own(*trip_) : arrived(link);
  }
  if (!link.may_reconnect) return own_connection();
  if (link.late || trip_->attempts >= attempts_in_all) return refuse(*trip_);
  if (!next.use_tls && way_.use_tls && next.address == way_.address) {
    next.tls_error = smtp::tls_trouble(link.state, link.error);
    next.tls_trouble = smtp::plaintext_reason(link.state, link.closed);
  }
  return once_more(std::move(next));
}

Judgement RemoteChoice::proceed(const policy::MailHost& host, const policy::Verdict& verdict, const Trip& trip,
                                const Link& link) {
  if (!trip.domain.empty()) {
    const std::string& server_name = host.tlsa_base.empty() ? host.name : host.tlsa_base;
    decision_ = Decision{trip.domain, host.name.empty() ? name_of(way_) : host.name, server_name, verdict, {}};
    for (const auto& row : verdict.reports) decision_->policies.push_back(published(row, host.tlsa, trip.mta_sts));
    if (!link.tls) {
      const auto here = smtp::plaintext_reason(link.state, link.closed);
      decision_->plaintext = here ? here : way_.tls_trouble.value_or(smtp::Plaintext::not_tried);
      decision_->plaintext_detail = here ? smtp::tls_trouble(link.state, link.error) : way_.tls_error;
    }
  }
  return {Judgement::Action::proceed, {}, vouched(host, trip, link)};
}

// Before any recipient is known nothing but opportunistic TLS is asked of a server, and a client may authenticate
// then: its password deserves what the listener demands for mail.
bool RemoteChoice::vouched(const policy::MailHost& host, const Trip& trip, const Link& link) const {
  if (!link.tls) return false;
  const std::string& domain = host.name.empty() ? trip.domain : host.name;
  const auto demand = policy::demand_on(host, domain, table_.listener().local, trip.mta_sts);
  return policy::judge(demand, link.examine(host, demand)).deliver;
}

Judgement RemoteChoice::refuse(const Trip& trip) {
  const auto& failure = trip.itinerary.failure();
  decision_ = Decision{trip.domain, failure.host, {}, failure.verdict, {}};
  const auto& hosts = trip.itinerary.route().hosts;
  const auto host = std::ranges::find(hosts, failure.host, &policy::MailHost::name);
  const std::vector<tls::TlsaRecord> none;
  for (const auto& row : failure.verdict.reports) {
    decision_->policies.push_back(published(row, host != hosts.end() ? host->tlsa : none, trip.mta_sts));
  }
  return refuse(failure);
}

// The certificate there may do; versions or groups, which no certificate shows, do not.
Judgement RemoteChoice::wants_its_own(const Trip& trip) {
  policy::Verdict verdict;
  verdict.demanded = trip.itinerary.demand().level;
  verdict.reason = policy::Reason::tls_parameters;
  verdict.detail = "the TLS session at hand is not one that the domain's policy allows";
  decision_ = Decision{trip.domain, name_of(way_), {}, verdict, {}};
  return own_connection();
}

Judgement RemoteChoice::own_connection() {
  return refuse(smtp::Refusal::own_connection, std::string(smtp::line_of(smtp::Refusal::own_connection)));
}

Judgement RemoteChoice::refuse(const policy::Itinerary::Failure& failure) {
  return refuse(failure.verdict.reply.value_or(smtp::Refusal::unreachable), failure.reply);
}

Judgement RemoteChoice::refuse(smtp::Refusal refusal, std::string reply) {
  return {Judgement::Action::refuse, std::move(reply), false, refusal};
}

}  // namespace postern::outbound
