// The present connection as RemoteChoice sees it: what it has come to, and for whom it will do.
#include <algorithm>

#include "proxy/outbound/remote_choice.h"
#include "proxy/smtp/plaintext.h"

namespace postern::outbound {

using config::OutboundRoute;
using Stage = smtp::RemoteState::Stage;

std::string RemoteChoice::Link::trouble() const {
  if (state.trouble.empty() || error.empty()) return state.trouble.empty() ? std::string(error) : state.trouble;
  return state.trouble + " (" + std::string(error) + ")";
}

// The TLS session there is one that this domain's own row of parameters could have made.
bool RemoteChoice::parameters_fit(const Trip& trip, const Link& link) const {
  return way_.policy == trip.row->number || trip.row->could_have_made(link.version);
}

std::optional<policy::Itinerary::Accepted> RemoteChoice::accepts(const Trip& trip, const Link& link) const {
  if (link.tls ? !parameters_fit(trip, link) : way_.demand_tls) return std::nullopt;
  const bool has_way = trip.itinerary.current().has_value();
  if (link.tls && has_way && !trip.itinerary.demand().try_tls) return std::nullopt;  // `none` never uses TLS
  const auto examine = [&](const policy::MailHost& host, const policy::Demand& demand) {
    return tls_outcome(link, host, demand);
  };
  auto accepted = trip.itinerary.would_accept(way_.address.address, examine);
  if (!accepted || link.tls || way_.use_tls || !has_way) return accepted;
  // In plaintext only because TLS failed there, or was not wanted: with this domain's own parameters and name it may
  // succeed.
  const auto& demand = trip.itinerary.demand();
  const bool failed =
      !way_.tls_error.empty() && way_.policy == trip.row->number && way_.server_name == demand.server_name;
  return !demand.try_tls || failed ? accepted : std::nullopt;
}

policy::TlsOutcome RemoteChoice::tls_outcome(const Link& link, const policy::MailHost& host,
                                             const policy::Demand& demand) const {
  using Result = policy::TlsOutcome::Stage;
  if (link.tls) return link.examine(host, demand);
  policy::TlsOutcome outcome;
  if (link.state.stage == Stage::tls_not_offered) {
    outcome.stage = Result::not_offered;
  } else if (link.state.stage == Stage::tls_refused) {
    outcome.stage = Result::refused;
    outcome.error = smtp::tls_trouble(link.state, link.error);
  } else if (!way_.tls_error.empty()) {
    outcome.stage = Result::handshake_failed;
    outcome.error = way_.tls_error;
  }
  return outcome;
}

policy::AttemptOutcome RemoteChoice::outcome_of(const Link& link) const {
  using Kind = policy::AttemptOutcome::Kind;
  policy::AttemptOutcome outcome;
  switch (link.state.stage) {
    case Stage::none:
    case Stage::connect_failed:
      outcome.kind = Kind::unreachable;
      outcome.reply = link.error;
      break;
    case Stage::lost:
      outcome.kind = Kind::lost;
      outcome.reply = link.trouble();
      break;
    case Stage::greeting_failed:
      outcome.kind = Kind::refused;
      outcome.reply = link.state.reply;
      break;
    case Stage::tls_injected:
    case Stage::tls_failed:
    case Stage::tls_broken:
      outcome.kind = Kind::tls_failed;
      outcome.tls.stage = smtp::plaintext_reason(link.state, false) == smtp::Plaintext::refused
                              ? policy::TlsOutcome::Stage::refused
                              : policy::TlsOutcome::Stage::handshake_failed;
      outcome.tls.error = smtp::tls_trouble(link.state, link.error);
      break;
    case Stage::tls_not_offered:
    case Stage::tls_refused:
    case Stage::auth_failed:
    case Stage::open:
      outcome.kind = Kind::open;
      outcome.tls = tls_outcome(link, trip_->itinerary.host(), trip_->itinerary.demand());
      break;
  }
  return outcome;
}

Way RemoteChoice::way_of(const policy::Attempt& attempt) const {
  Way way;
  way.address.address = attempt.address;
  switch (listener_.route) {
    case OutboundRoute::original_destination: way.address.port = original_->port; break;
    case OutboundRoute::relay: way.address.port = listener_.relay.address->port; break;
    case OutboundRoute::mx: way.address.port = listener_.port; break;
  }
  way.host = trip_->itinerary.host().name;
  way.server_name = trip_->itinerary.demand().server_name;
  if (way.server_name.empty()) way.server_name = remembered_name_;
  way.policy = trip_->row->number;
  way.use_tls = attempt.use_tls;
  way.demand_tls = attempt.demand_tls;
  return way;
}

// Another connection there would be no other.
bool RemoteChoice::same_as_present(const Way& way, const Link& link) const {
  // One in plaintext that was made for nothing but TLS takes no mail.
  if (!link.tls && way_.demand_tls && !way.demand_tls) return false;
  return way.address == way_.address && way.server_name == way_.server_name && way.policy == way_.policy &&
         way.use_tls == way_.use_tls;
}

}  // namespace postern::outbound
