// The present connection as RemoteChoice sees it: what it has come to, and for whom it will do.
#include "proxy/outbound/remote_choice.h"

namespace postern::outbound {

// The TLS session there is one that this domain's own row of parameters could have made.
bool RemoteChoice::parameters_fit(const Trip& trip, const Present& present) const {
  return way_.policy == trip.row->number || trip.row->could_have_made(present.version);
}

std::optional<policy::Itinerary::Accepted> RemoteChoice::accepts(const Trip& trip, const Present& present) const {
  if (present.tls() ? !parameters_fit(trip, present) : way_.demand_tls) return std::nullopt;
  const bool has_way = trip.itinerary.current().has_value();
  if (present.tls() && has_way && !trip.itinerary.demand().try_tls) return std::nullopt;  // `none` never uses TLS
  auto accepted = trip.itinerary.would_accept(way_.address.address, outcome_of(present, way_.tls_error));
  if (!accepted || present.tls() || way_.use_tls || !has_way) return accepted;
  // In plaintext only because TLS failed there, or was not wanted: with this domain's own parameters and name it may
  // succeed.
  const auto& demand = trip.itinerary.demand();
  const bool failed =
      !way_.tls_error.empty() && way_.policy == trip.row->number && way_.server_name == demand.server_name;
  return !demand.try_tls || failed ? accepted : std::nullopt;
}

Way RemoteChoice::way_of(const policy::Attempt& attempt) const {
  Way way;
  way.address = {attempt.address, port()};
  way.host = trip_->itinerary.host().name;
  way.server_name = trip_->itinerary.demand().server_name;
  if (way.server_name.empty()) way.server_name = remembered_name_;
  way.policy = trip_->row->number;
  way.use_tls = attempt.use_tls;
  way.demand_tls = attempt.demand_tls;
  return way;
}

// Another connection there would be no other.
bool RemoteChoice::same_as_present(const Way& way, const Present& present) const {
  // One in plaintext that was made for nothing but TLS takes no mail.
  if (!present.tls() && way_.demand_tls && !way.demand_tls) return false;
  return way.address == way_.address && way.server_name == way_.server_name && way.policy == way_.policy &&
         way.use_tls == way_.use_tls;
}

}  // namespace postern::outbound
