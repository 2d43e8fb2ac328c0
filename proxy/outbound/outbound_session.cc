#include "proxy/outbound/outbound_session.h"

#include <algorithm>
#include <ctime>
#include <random>
#include <utility>

#include "config/assert.h"
#include "proxy/dns/idna.h"
#include "proxy/net/original_destination.h"
#include "proxy/observe/log.h"
#include "proxy/outbound/own_addresses.h"
#include "proxy/policy/evidence.h"
#include "tls/client_context.h"
#include "tls/server_context.h"

namespace postern::outbound {

using config::OutboundRoute;
using smtp::Refusal;
using smtp::Side;
using smtp::Timer;

namespace {

// For one recipient's reply a client waits five minutes (RFC 5321 4.5.3.2.3). Connections are begun up to here, and as
// long as there are others to be made, each has its share of that and no more.
constexpr std::uint64_t patience_of_clients = 200'000;  // milliseconds
constexpr std::chrono::milliseconds smallest_share = std::chrono::seconds(5);

// The library says TLSv1 where a configuration says TLSv1.0; whatever else it may say is no better than that.
config::TlsVersion version_of(const tls::SessionFacts& facts) {
  using enum config::TlsVersion;
  for (const auto version : {tls1_3, tls1_2, tls1_1}) {
    if (config::to_string(version) == facts.version) return version;
  }
  return tls1_0;
}

std::string sasl_name(config::AuthMechanism mechanism) {
  switch (mechanism) {
    case config::AuthMechanism::plain: return "PLAIN";
    case config::AuthMechanism::login: return "LOGIN";
    case config::AuthMechanism::xoauth2: return "XOAUTH2";
    case config::AuthMechanism::oauthbearer: return "OAUTHBEARER";
  }
  return {};
}

}  // namespace

OutboundSession::OutboundSession(session::Surroundings& surroundings, std::shared_ptr<const runtime::Runtime> runtime,
                                 OutboundService& service, const runtime::Outbound& listener, std::uint64_t id,
                                 net::StreamPtr client)
    : session::Session(surroundings, std::move(runtime), id, std::move(client)),
      service_(service),
      sources_(service.sources()),
      listener_(listener) {}

// --- the beginning

void OutboundSession::on_client() {
  std::optional<net::SocketAddress> original;
  if (settings().route == OutboundRoute::original_destination) original = find_original();
  // First, and never for good: the mail behind it is a client's that was let in.
  const auto refuse = [this](Refusal refusal) { turn_away(refusal, smtp::row(refusal).ending); };
  if (original && was_ours(*original)) {
    record_.reason =
        "one of our own connections was led back here: the firewall's rules must leave alone what bears socket_mark, "
        "and every outbound listener must set it";
    return refuse(Refusal::routing_loop);
  }
  if (!contains(settings().allow_clients, record_.client.address)) return refuse(Refusal::client_not_allowed);
  if (settings().route == OutboundRoute::original_destination && !original) return refuse(Refusal::routing_loop);
  if (!admit()) return;
  choice_.emplace(settings(), listener_.policies, original, original ? service_.names().find(*original) : std::string(),
                  own_mail_hosts(runtime_->settings, settings()));
  smtp::OutboundFacts facts;
  facts.listener = &settings();
  facts.hostname = runtime_->hostname;
  facts.tls_available = tls_available();
  facts.greets_itself = settings().route == OutboundRoute::mx;
  facts.notes_envelopes = runtime_->settings.log.envelope;
  auto dialogue = std::make_unique<smtp::OutboundDialogue>(facts, &gate());
  outbound_ = dialogue.get();
  begin(std::move(dialogue));
}

// Nothing: the client wanted to reach the gateway itself, or what the kernel has forgotten.
std::optional<net::SocketAddress> OutboundSession::find_original() const {
  if (settings().interception == config::Interception::tproxy) {
    const auto local = net::local_address(client_.socket());
    return local && !is_outbound_listener(runtime_->settings, *local) ? local : std::nullopt;
  }
  const auto found = net::redirected_destination(client_.socket());
  const auto local = net::local_address(client_.socket());
  if (!found || (local && *local == *found) || is_outbound_listener(runtime_->settings, *found)) return std::nullopt;
  return *found;
}

bool OutboundSession::was_ours(const net::SocketAddress& original) const {
  return runtime_->own_connections && runtime_->own_connections->contains(record_.client, original);
}

// --- DNS

// What failed is asked again for the next recipient.
bool OutboundSession::RelayFacts::answer(const policy::DomainQuery& wanted) const {
  return (dane || !wanted.options.dane) && (mta_sts || !wanted.mta_sts) &&
         std::ranges::all_of(found.route.hosts, &policy::MailHost::usable);
}

void OutboundSession::look_up(const std::string& domain, Need need) {
  auto wanted = choice_->lookup_for(domain, outbound_->question());
  if (!wanted) return on_facts(need, nullptr);
  if (relay_facts_ && relay_facts_->answer(*wanted)) return on_facts(need, &relay_facts_->found);
  static thread_local std::minstd_rand random(std::random_device{}());
  wanted->options.random = static_cast<std::uint32_t>(random());
  looks_up_for_ = need;
  lookup_ = std::make_unique<policy::DomainLookup>(
      service_.resolvers(), &sources_->mta_sts(settings().name), *wanted,
      [this, need, dane = wanted->options.dane, mta_sts = wanted->mta_sts](const policy::DomainFacts& facts) {
        if (over()) return;
        lookup_.reset();
        if (settings().route == OutboundRoute::relay && facts.route.outcome == policy::Route::Outcome::hosts) {
          relay_facts_ = std::make_unique<RelayFacts>(RelayFacts{facts, dane, mta_sts});
        }
        on_facts(need, &facts);
        pump();
      });
  if (!lookup_->complete()) return;
  const auto facts = lookup_->take();
  lookup_.reset();
  on_facts(need, &facts);
}

void OutboundSession::on_facts(Need need, const policy::DomainFacts* facts) {
  switch (need) {
    case Need::connection: return connect_by(facts);
    case Need::answer: return answer_by(facts);
  }
}

// --- the remote server

void OutboundSession::dial() {
  note_question();
  if (choice_->under_way()) return connect();
  look_up({}, Need::connection);
}

void OutboundSession::connect_by(const policy::DomainFacts* facts) {
  if (choice_->begin(facts)) return connect();
  connect_failed(choice_->refusal().reply);
}

void OutboundSession::connect() {
  if (!read_secret()) return connect_failed("our credentials for the relay cannot be read");
  record_.note_dialing(around_.loop.now());
  const Way& way = choice_->way();
  net::ConnectOptions options;
  options.mark = settings().socket_mark;
  if (settings().source == config::OutboundSource::client) {
    options.source = net::SocketAddress{record_.client.address, 0};
    options.transparent = true;
  } else if (settings().source_address) {
    options.source = net::SocketAddress{*settings().source_address, 0};
  }
  config::Endpoint endpoint;
  endpoint.address = way.address.address;
  endpoint.port = way.address.port;
  std::optional<Error> error;
  const auto begin = [&]() -> std::optional<net::SocketAddress> {
    auto started = net::Connector::start(around_.loop.raw(), endpoint, options, [this](Result<net::StreamPtr> socket) {
      connector_.reset();
      if (over()) return;
      on_connected(std::move(socket));
      pump();
    });
    if (!started) {
      error = started.error();
      return std::nullopt;
    }
    connector_ = std::move(*started);
    return connector_->local_address();
  };
  if (runtime_->own_connections) {
    own_ = runtime_->own_connections->note(way.address, begin);
  } else {
    (void)begin();
  }
  if (error) connect_failed(error->message);
}

void OutboundSession::on_connected(Result<net::StreamPtr> socket) {
  const Way& way = choice_->way();
  if (!socket) return connect_failed(socket.error().message);
  record_.note_connection((way.host.empty() ? std::string() : way.host + " ") + net::to_string(way.address),
                          around_.loop.now());
  record_.server_tls.reset();
  record_.reason.clear();
  lacked_signature_ = false;
  adopt_server(std::move(*socket));
  if (settings().route == OutboundRoute::relay && settings().relay.mode == config::TlsMode::implicit && way.use_tls) {
    return start_tls(Side::server);  // the dialogue is told once that is over
  }
  plan_remote();
  connected();
}

void OutboundSession::plan_remote() {
  const Way& way = choice_->way();
  smtp::RemotePlan plan;
  plan.tls_first = record_.server_tls != nullptr;
  plan.try_starttls = way.use_tls;
  plan.demand_tls = way.demand_tls;
  if (const auto& auth = settings().relay.auth) {
    plan.auth_mechanism = sasl_name(auth->mechanism);
    plan.auth_user = auth->username;
    plan.auth_secret = std::exchange(secret_, {});
  }
  outbound_->plan(std::move(plan));
}

// For each connection, so that a new password counts at once. Without one nothing is tried: the relay would take us for
// a stranger, and refuse the mail for good.
bool OutboundSession::read_secret() {
  if (listener_.credentials == nullptr) return true;
  auto secret = listener_.credentials->now();
  if (secret) {
    secret_ = std::move(*secret);
    return true;
  }
  log::error("no credentials for the relay", {{"listener", settings().name}, {"reason", secret.error().message}});
  return false;
}

bool OutboundSession::dial_timed_out() {
  if (server_) {  // implicit TLS: it was reached
    record_.note_failed_handshake(Side::server, "timeout");
    tls_failed(Side::server, "the TLS handshake took too long");
    return true;
  }
  lookup_.reset();
  connector_.reset();
  record_.reason = "no connection in time";
  return false;
}

// An answer that is being looked up is still waited for, whatever has become of the connection.
void OutboundSession::release_server() {
  if (looks_up_for_ == Need::connection) lookup_.reset();
  connector_.reset();
  own_ = {};
  if (server_) (void)server_->finish();  // a QUIT still goes out, and close_notify
}

// --- TLS

const tls::ClientContext& OutboundSession::context() const {
  const auto& row = choice_->way().policy;
  return row ? contexts().policy(*row) : contexts().base();
}

Result<std::unique_ptr<tls::Engine>> OutboundSession::make_engine(Side side) {
  if (side == Side::client) {
    POSTERN_ASSERT(listener_.tls != nullptr, "TLS was asked for on a listener that has none");
    return listener_.tls->make_engine();
  }
  const Way& way = choice_->way();
  const tls::ClientContext::Target target{way.server_name, net::to_string(way.address), way.handshake.post_quantum,
                                          way.handshake.resume, way.handshake.certificate};
  if (!way.handshake.resume) context().forget_sessions(target);  // they are not good enough any more
  return context().connect(target);
}

void OutboundSession::on_tls_up(Side side) {
  if (side == Side::client) {
    dialogue_->on_tls(side, *record_.client_tls, effects());
    return carry_out();
  }
  if (settings().relay.auth && !may_have_credentials()) {
    record_.reason = policy::without_credentials;
    dialogue_->on_tls_failed(side, effects());
    return carry_out();
  }
  if (settings().route == OutboundRoute::relay && settings().relay.mode == config::TlsMode::implicit) {
    plan_remote();
    return connected();
  }
  dialogue_->on_tls(side, *record_.server_tls, effects());
  carry_out();
}

bool OutboundSession::may_have_credentials() const {
  policy::MailHost host;
  if (relay_facts_ && !relay_facts_->found.route.hosts.empty()) host = relay_facts_->found.route.hosts.front();
  return outbound::may_have_credentials(settings().relay, host, evidence());
}

policy::Evidence OutboundSession::evidence() const {
  return {server_->engine()->peer_certificates(), &contexts().trust(), std::time(nullptr)};
}

// --- the policy's answers

void OutboundSession::ask_policy(std::string_view domain) {
  asked_domain_ = dns::to_ascii(domain);
  note_question();
  look_up(asked_domain_, Need::answer);
}

// Time is one budget for the whole of an answer, however many connections it takes.
void OutboundSession::note_question() {
  if (question_ == outbound_->question()) return;
  question_ = outbound_->question();
  asked_since_ = around_.loop.now();
}

std::chrono::milliseconds OutboundSession::share_of(std::chrono::milliseconds limit) const {
  const std::size_t others = outbound_->asking() ? choice_->addresses_left() : 0;
  if (others == 0) return limit;
  const std::uint64_t spent = std::min(around_.loop.now() - asked_since_, patience_of_clients);
  const std::chrono::milliseconds share((patience_of_clients - spent) / (others + 1));
  return std::min(limit, std::max(share, smallest_share));
}

void OutboundSession::answer_by(const policy::DomainFacts* facts) {
  const bool nowhere_to_go = !choice_->begun() && settings().route != OutboundRoute::mx;
  answer_ = nowhere_to_go ? choice_->refusal() : choice_->decide(asked_domain_, facts, present());
  if (const auto& decision = choice_->decision()) record(*decision);
  if (answer_->action == smtp::PolicyAnswer::Action::proceed) record_.reason.clear();
}

bool OutboundSession::tell_more() {
  if (!outbound_->undecided()) choice_->settle();
  if (!answer_) return false;
  const auto answer = *std::exchange(answer_, std::nullopt);
  outbound_->on_policy_answer(answer, effects());
  return true;
}

Present OutboundSession::present() const {
  Present found{{outbound_->remote()}};
  found.may_reconnect = outbound_->may_reconnect();
  found.late = around_.loop.now() - asked_since_ > patience_of_clients;
  found.question = outbound_->question();
  found.offered_post_quantum = !record_.server_tls && context().offers_post_quantum();
  found.error = record_.reason;
  found.closed = closed_in_handshake_;
  found.lacked_signature = lacked_signature_;
  found.resumed = record_.server_tls && record_.server_tls->resumed;
  if (server_ && server_->engine() != nullptr && record_.server_tls) {
    found.version = version_of(*record_.server_tls);
    found.evidence = evidence();
  }
  return found;
}

void OutboundSession::record(const Decision& decision) {
  const auto& verdict = decision.verdict;
  const Way& way = choice_->way();
  const auto local = server_ ? net::local_address(server_->socket()) : std::nullopt;
  service_.report(decision, way, local ? config::to_string(local->address) : std::string());
  if (verdict.satisfied && !decision.server_name.empty() && settings().route == OutboundRoute::original_destination) {
    service_.names().remember(way.address, decision.server_name);
  }
  record_.note_decision(
      {decision.domain, decision.host, std::string(policy::to_string(verdict.source)),
       std::string(config::to_string(verdict.demanded)), std::string(config::to_string(verdict.reached)),
       std::string(verdict.satisfied ? "satisfied" : (verdict.deliver ? "observed" : "refused")),
       std::string(policy::to_string(verdict.reason)), verdict.detail, decision.plaintext, decision.plaintext_detail});
  log_decision(record_, settings().name);
}

std::chrono::milliseconds OutboundSession::wait_for(Timer timer) const {
  const auto limit = Session::wait_for(timer);
  const bool on_the_way = timer == Timer::greeting || timer == Timer::reply || timer == Timer::connect;
  return on_the_way ? share_of(limit) : limit;
}

}  // namespace postern::outbound
