#include "proxy/probe/probe.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include "proxy/dns/idna.h"
#include "proxy/dns/records.h"
#include "proxy/outbound/own_addresses.h"
#include "proxy/policy/evidence.h"

namespace postern::probe {

namespace {

constexpr std::size_t addresses_per_host = 4;  // enough to see whether both families agree
constexpr std::uint16_t smtps = 465;
// Somebody looks on: sessions may wait for longer.
constexpr std::chrono::milliseconds longest_wait = std::chrono::minutes(1);

}  // namespace

Result<ProbeTarget> parse_probe_target(std::string_view target) {
  const std::string text = dns::normalize_name(dns::to_ascii(target));
  if (const auto address = config::parse_ip_address(text)) return ProbeTarget{config::to_string(*address), 25};
  if (config::is_host_name(text)) return ProbeTarget{text, std::nullopt};
  const auto endpoint = config::parse_endpoint(text);
  if (!endpoint) return tl::unexpected(endpoint.error());
  if (endpoint->kind == config::Endpoint::Kind::ip) {
    return ProbeTarget{config::to_string(endpoint->address), endpoint->port};
  }
  if (endpoint->kind == config::Endpoint::Kind::name) return ProbeTarget{endpoint->name, endpoint->port};
  return fail(Errc::invalid_argument, "a domain, or a host with a port, is wanted");
}

Probe::Probe(session::Surroundings& around, const runtime::Runtime& runtime, outbound::OutboundService& service,
             const runtime::Outbound& listener, ProbeTarget target, OnDone on_done)
    : around_(around),
      runtime_(runtime),
      service_(service),
      listener_(listener),
      target_(std::move(target)),
      on_done_(std::move(on_done)) {
  report_.domain = target_.name;
  report_.local = table().row_for(report_.domain).local;
  look_up();
}

const tls::ClientContext& Probe::context() const {
  const auto& remote = listener_.remotes;
  const auto row = table().row_for(report_.domain).number;
  return row ? remote.policy(*row) : remote.base();
}

// A host that is named with its port, or an address, is probed for itself.
bool Probe::to_relay() const {
  return settings().route == config::OutboundRoute::relay && !target_.port;
}

const std::string& Probe::judged_name() const {
  return to_relay() && !settings().relay.address->name.empty() ? settings().relay.address->name : report_.domain;
}

std::uint16_t Probe::port() const {
  return to_relay() ? settings().relay.address->port : target_.port.value_or(settings().port);
}

// Where an address is given there is nothing to ask.
policy::DomainFacts Probe::known() const {
  policy::DomainFacts facts;
  facts.route.domain = target_.name;
  facts.route.hosts = {policy::host_by_address(to_relay() ? settings().relay.address->address
                                                          : *config::parse_ip_address(target_.name))};
  return facts;
}

void Probe::look_up() {
  const bool by_address = to_relay() ? settings().relay.address->kind == config::Endpoint::Kind::ip
                                     : config::parse_ip_address(target_.name).has_value();
  report_.by = by_address ? ProbedBy::address : ProbedBy::domain;
  if (by_address) return around_.loop.post([this] { on_facts(known()); });
  using Kind = policy::RouteLookup::Kind;
  const Kind kind = to_relay() || target_.port ? Kind::host : Kind::mail_domain;
  if (kind == Kind::host) report_.by = ProbedBy::host;
  const std::string& name = to_relay() ? settings().relay.address->name : target_.name;
  lookup_ = std::make_unique<policy::DomainLookup>(
      service_.resolvers(), &service_.sources()->mta_sts(settings().name),
      policy::query_for(report_.local, name, kind, port()),
      [this](const policy::DomainFacts& facts) { around_.loop.post([this, facts] { on_facts(facts); }); });
  if (lookup_->complete()) around_.loop.post([this] { on_facts(lookup_->take()); });
}

void Probe::on_facts(policy::DomainFacts facts) {
  lookup_.reset();
  report_.facts = std::move(facts);
  report_.name_servers = runtime_.name_servers;
  if (const auto* watch = service_.resolvers().watch; watch != nullptr) {
    report_.fitness = watch->now();
    report_.fitness_reason = watch->reason();
  }
  if (settings().route == config::OutboundRoute::mx && !target_.port) {
    policy::leave_out_ourselves(report_.facts.route, outbound::own_mail_hosts(runtime_.settings, settings()));
  }
  report_.route_blocker = table().blocker_of(report_.facts.route);
  itinerary_.emplace(report_.facts.route, judged_name(), report_.local, report_.facts.mta_sts);
  report_.demands = itinerary_->demands();
  const auto& hosts = report_.facts.route.hosts;
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    const std::size_t count = std::min(hosts[i].addresses.size(), addresses_per_host);
    for (std::size_t a = 0; a < count; ++a) {
      ProbedAddress& probed = report_.addresses.emplace_back();
      probed.host = i;
      probed.address = {hosts[i].addresses[a], port()};
    }
  }
  next();
}

void Probe::next() {
  if (next_ == report_.addresses.size()) return conclude();
  connect(report_.addresses[next_]);
}

void Probe::connect(const ProbedAddress& to) {
  ProbeConnection::Plan plan;
  plan.address = to.address;
  plan.server_name = report_.demands[to.host].server_name;
  plan.hello = runtime_.hostname;
  plan.tls_first = to_relay() ? settings().relay.mode == config::TlsMode::implicit : to.address.port == smtps;
  plan.use_tls = report_.demands[to.host].try_tls;
  plan.handshake = to.handshake;
  plan.connect.mark = settings().socket_mark;
  if (settings().source_address) plan.connect.source = net::SocketAddress{*settings().source_address, 0};
  const auto wait = [](std::chrono::milliseconds limit) { return std::min(limit, longest_wait); };
  plan.connect_patience = wait(settings().timeouts.connect);
  plan.greeting_patience = wait(settings().timeouts.greeting);
  plan.reply_patience = wait(settings().timeouts.reply);
  connection_ = std::make_unique<ProbeConnection>(
      stream::Errand::Means{around_.loop, around_.scratch, around_.bury}, context(), std::move(plan),
      [this](ProbeConnection::Found result) { on_connection(std::move(result)); });
}

void Probe::on_connection(ProbeConnection::Found result) {
  ProbedAddress& probed = report_.addresses[next_];
  connection_.reset();
  probed.connection = std::move(result);
  probed.outcome = outcome_of(probed);
  const auto& host = report_.facts.route.hosts[probed.host];
  const auto& demand = report_.demands[probed.host];
  if (const auto& evidence = probed.outcome.evidence) probed.outcome.tls = policy::examine(*evidence, host, demand);
  probed.outcome.evidence.reset();
  probed.verdict = policy::judge(probed.outcome, host, demand);
  outbound::Contact contact{probed.connection.state};
  contact.offered_post_quantum = !probed.connection.tls && context().offers_post_quantum();
  contact.resumed = probed.connection.tls && probed.connection.tls->resumed;
  if (const auto less = outbound::once_more(probed.handshake, contact, !probed.verdict.deliver)) {
    probed.handshake = *less;
    return connect(probed);
  }
  ++next_;
  next();
}

// A session of ours would say AUTH there, where it may; the probe does not.
policy::AttemptOutcome Probe::outcome_of(const ProbedAddress& probed) {
  const auto& connection = probed.connection;
  if (!connection.tls) return outbound::outcome_of({connection.state, connection.error});
  const auto& trust = listener_.remotes.trust();
  const policy::Evidence evidence{connection.certificates, &trust, std::time(nullptr)};
  const auto& host = report_.facts.route.hosts[probed.host];
  if (!to_relay() || outbound::may_have_credentials(settings().relay, host, evidence)) {
    outbound::Contact contact{connection.state, connection.error};
    contact.evidence = evidence;
    return outbound::outcome_of(contact);
  }
  smtp::RemoteState broken_off;
  broken_off.stage = smtp::RemoteState::Stage::tls_failed;
  return outbound::outcome_of({broken_off, policy::without_credentials});
}

// In plaintext, after TLS had failed, nothing speaks against a server.
policy::AttemptOutcome Probe::outcome_for(const policy::Attempt& attempt) const {
  const auto probed = std::ranges::find_if(report_.addresses, [&](const ProbedAddress& each) {
    return each.host == attempt.host && each.address.address == attempt.address;
  });
  if (probed == report_.addresses.end()) return {};
  policy::AttemptOutcome outcome = probed->outcome;
  const bool failed = outcome.kind == policy::AttemptOutcome::Kind::tls_failed;
  if (!attempt.use_tls && failed) outcome.kind = policy::AttemptOutcome::Kind::open;
  return outcome;
}

// Goes through what was found as a session would.
void Probe::conclude() {
  if (report_.route_blocker) {
    report_.verdict = policy::verdict_of(*report_.route_blocker, report_.local.level);
    report_.reply = policy::reply_line(*report_.route_blocker, report_.facts.route.domain);
    return on_done_(report_);
  }
  while (itinerary_->current()) {
    const std::string host = itinerary_->host().name;
    if (!itinerary_->on_outcome(outcome_for(*itinerary_->current()))) continue;
    report_.host = host;
    report_.verdict = itinerary_->verdict();
    return on_done_(report_);
  }
  report_.host = itinerary_->failure().host;
  report_.verdict = itinerary_->failure().verdict;
  report_.reply = itinerary_->refusal();
  on_done_(report_);
}

}  // namespace postern::probe
