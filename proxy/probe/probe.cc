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

policy::AttemptOutcome::Kind kind_of(const smtp::RemoteState& state) {
  using Kind = policy::AttemptOutcome::Kind;
  using enum smtp::RemoteState::Stage;
  switch (state.stage) {
    case none:
    case connect_failed: return Kind::unreachable;
    case lost: return Kind::lost;
    case greeting_failed: return Kind::refused;
    case tls_injected:
    case tls_failed:
    case tls_broken: return Kind::tls_failed;
    case tls_not_offered:
    case tls_refused:
    case auth_failed:
    case open: break;
  }
  return Kind::open;
}

}  // namespace

Result<ProbeTarget> parse_probe_target(std::string_view target) {
  const std::string text = dns::normalize_name(dns::to_ascii(target));
  if (const auto address = config::parse_ip_address(text)) return ProbeTarget{config::to_string(*address), 25};
  if (config::is_host_name(text)) return ProbeTarget{text, std::nullopt};
  const auto endpoint = config::parse_endpoint(text);
  if (!endpoint) return tl::unexpected(endpoint.error());
  if (endpoint->kind == config::Endpoint::Kind::ip)
    return ProbeTarget{config::to_string(endpoint->address), endpoint->port};
  if (endpoint->kind == config::Endpoint::Kind::name) return ProbeTarget{endpoint->name, endpoint->port};
  return fail(Errc::invalid_argument, "a domain, or a host with a port, is wanted");
}

Probe::Probe(session::Surroundings& around, const runtime::Runtime& runtime, outbound::OutboundService& service,
             std::size_t listener, ProbeTarget target, OnDone on_done)
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
  const auto& remote = runtime_.contexts->remote(listener_);
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
  policy::MailHost host;
  host.address_state = policy::MailHost::Addresses::found;
  host.addresses = {to_relay() ? settings().relay.address->address : *config::parse_ip_address(target_.name)};
  facts.route.hosts = {host};
  return facts;
}

void Probe::look_up() {
  const bool by_address = to_relay() ? settings().relay.address->kind == config::Endpoint::Kind::ip
                                     : config::parse_ip_address(target_.name).has_value();
  report_.by = by_address ? ProbedBy::address : ProbedBy::domain;
  if (by_address) return around_.loop.post([this] { on_facts(known()); });
  policy::RouteLookup::Options options;
  options.kind = to_relay() || target_.port ? policy::RouteLookup::Kind::host : policy::RouteLookup::Kind::mail_domain;
  if (options.kind == policy::RouteLookup::Kind::host) report_.by = ProbedBy::host;
  options.port = port();
  options.dane = report_.local.wants_dane();
  options.observe = report_.local.observe;
  lookup_ = std::make_unique<policy::DomainLookup>(
      service_.resolvers(), report_.local.wants_mta_sts() ? &service_.sources()->mta_sts(listener_) : nullptr,
      to_relay() ? settings().relay.address->name : target_.name, options,
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
    policy::leave_out_ourselves(report_.facts.route, [this](const config::IpAddress& host) {
      return outbound::is_own_mail_host(runtime_.settings, {host, port()});
    });
  }
  report_.route_refusal = table().refusal_of(report_.facts.route);
  const auto& hosts = report_.facts.route.hosts;
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    report_.demands.push_back(policy::demand_on(hosts[i], judged_name(), report_.local, report_.facts.mta_sts));
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
  ProbedAddress& to = report_.addresses[next_];
  to.post_quantum = context().offers_post_quantum();
  connect(to);
}

void Probe::connect(const ProbedAddress& to) {
  ProbeConnection::Plan plan;
  plan.address = to.address;
  plan.server_name = report_.demands[to.host].server_name;
  plan.hello = runtime_.hostname;
  plan.tls_first = to_relay() ? settings().relay.mode == config::TlsMode::implicit : to.address.port == smtps;
  plan.use_tls = report_.demands[to.host].try_tls;
  plan.post_quantum = to.post_quantum;
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
  using Stage = policy::TlsOutcome::Stage;
  ProbedAddress& probed = report_.addresses[next_];
  connection_.reset();
  if (result.state.stage == smtp::RemoteState::Stage::tls_failed && std::exchange(probed.post_quantum, false)) {
    return connect(probed);
  }
  const auto& host = report_.facts.route.hosts[probed.host];
  const auto& demand = report_.demands[probed.host];
  probed.connection = std::move(result);
  const auto& connection = probed.connection;
  if (kind_of(connection.state) == policy::AttemptOutcome::Kind::tls_failed) {
    probed.outcome.stage = Stage::handshake_failed;
    probed.outcome.error = smtp::tls_trouble(connection.state, connection.error);
  } else if (connection.tls && !may_have_credentials(host, connection.certificates)) {
    probed.outcome.stage = Stage::handshake_failed;  // as far as a session comes
    probed.outcome.error = policy::without_credentials;
  } else if (connection.tls) {
    const auto& trust = runtime_.contexts->remote(listener_).trust();
    probed.outcome = policy::examine(connection.certificates, host, demand, trust, std::time(nullptr));
  } else if (connection.state.stage == smtp::RemoteState::Stage::tls_refused) {
    probed.outcome.stage = Stage::refused;
    probed.outcome.error = smtp::tls_trouble(connection.state, connection.error);
  } else if (connection.state.stage == smtp::RemoteState::Stage::tls_not_offered) {
    probed.outcome.stage = Stage::not_offered;
  }
  probed.verdict = policy::judge(demand, probed.outcome);
  const auto kind = kind_of(connection.state);
  if (kind == policy::AttemptOutcome::Kind::unreachable || kind == policy::AttemptOutcome::Kind::refused) {
    probed.verdict = {};
    probed.verdict.demanded = demand.level;
    probed.verdict.reason = policy::Reason::unreachable;
    probed.verdict.reply = policy::Reply::unreachable;
    probed.verdict.detail = connection.state.reply.empty() ? connection.error : connection.state.reply;
  }
  ++next_;
  next();
}

// A session of ours would say AUTH there; the probe does not.
bool Probe::may_have_credentials(const policy::MailHost& host, const tls::PeerCertificates& certificates) const {
  const auto& auth = settings().relay.auth;
  if (!to_relay() || !auth || auth->allow_unauthenticated) return true;
  return policy::is_authenticated(certificates, host, runtime_.contexts->remote(listener_).trust(), std::time(nullptr));
}

policy::AttemptOutcome Probe::outcome_for(const policy::Attempt& attempt) const {
  policy::AttemptOutcome outcome;
  const auto probed = std::ranges::find_if(report_.addresses, [&](const ProbedAddress& each) {
    return each.host == attempt.host && each.address.address == attempt.address;
  });
  if (probed == report_.addresses.end()) return outcome;
  outcome.kind = kind_of(probed->connection.state);
  outcome.reply = probed->connection.state.reply.empty() ? probed->connection.error : probed->connection.state.reply;
  if (outcome.kind == policy::AttemptOutcome::Kind::lost) outcome.reply = probed->connection.state.trouble;
  outcome.tls = probed->outcome;
  // In plaintext, after TLS had failed: nothing speaks against that.
  if (!attempt.use_tls && outcome.kind == policy::AttemptOutcome::Kind::tls_failed) {
    outcome.kind = policy::AttemptOutcome::Kind::open;
  }
  return outcome;
}

// Goes through what was found as a session would.
void Probe::conclude() {
  if (report_.route_refusal) {
    const auto& refusal = *report_.route_refusal;
    report_.verdict = policy::verdict_of(refusal, report_.local.level);
    report_.reply = policy::reply_line(refusal.reply, refusal.source, report_.facts.route.domain, refusal.detail);
    return on_done_(report_);
  }
  policy::Itinerary itinerary(report_.facts.route, judged_name(), report_.local, report_.facts.mta_sts);
  while (itinerary.current()) {
    const std::string host = itinerary.host().name;
    if (!itinerary.on_outcome(outcome_for(*itinerary.current()))) continue;
    report_.host = host;
    report_.verdict = itinerary.verdict();
    return on_done_(report_);
  }
  report_.host = itinerary.failure().host;
  report_.verdict = itinerary.failure().verdict;
  report_.reply = itinerary.refusal();
  on_done_(report_);
}

}  // namespace postern::probe
