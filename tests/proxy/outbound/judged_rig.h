// An outbound dialogue that is judged as a session judges, by RemoteChoice; servers are told apart by their number.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/outbound/remote_choice.h"
#include "tests/proxy/smtp/outbound_rig.h"

namespace postern::session::judged_rig {

using smtp::PolicyAnswer;
using smtp::Side;
using smtp::outbound_rig::Link;
using smtp::outbound_rig::Options;
using smtp::outbound_rig::Rig;

inline policy::MailHost mail_host(const std::string& name, const std::vector<std::string>& addresses) {
  policy::MailHost host;
  host.name = host.tlsa_base = name;
  host.address_state = policy::MailHost::Addresses::found;
  for (const auto& address : addresses) host.addresses.push_back(*config::parse_ip_address(address));
  return host;
}

// A listener for one of the routes. Behind it are as many addresses as it says.
struct Journey {
  config::OutboundListener listener;
  policy::DomainFacts facts;
  std::size_t addresses = 0;

  Journey(config::OutboundRoute route, config::TlsLevel level, std::size_t count = 1) : addresses(count) {
    listener.name = "internet";
    listener.route = route;
    listener.level = level;
    listener.relay.address = config::Endpoint{};
    listener.relay.address->kind = config::Endpoint::Kind::name;
    listener.relay.address->name = "relay.example";
    listener.relay.address->port = 25;
    facts.route.domain = "one.example";
    for (std::size_t i = 0; i < count; i += 2) {
      std::vector<std::string> there = {"192.0.2." + std::to_string(i + 1)};
      if (i + 1 < count) there.push_back("192.0.2." + std::to_string(i + 2));
      const bool relay = route == config::OutboundRoute::relay;
      facts.route.hosts.push_back(mail_host(relay ? "relay.example" : "mx" + std::to_string(i) + ".example", there));
    }
  }

  // By RemoteChoice's own rule: each address, in TLS twice (post-quantum groups, resumption), and in plaintext.
  std::size_t most_connections() const {
    const bool tls = listener.level != config::TlsLevel::none;
    return std::min<std::size_t>(20, addresses * (tls ? 3 : 1));
  }
};

class Judged {
 public:
  Judged(const Journey& journey, Options options)
      : journey_(journey),
        rig_(with(journey, std::move(options))),
        table_(journey_.listener, tls_),
        choice_(journey_.listener, table_, original(), std::string(), [](const config::IpAddress&) { return false; }) {}
  Judged(const Judged&) = delete;

  // Tells the rig something, and does what a session then does of itself; all but connecting.
  template <class Event>
  void tell(Event event) {
    event(rig_);
    while (!rig_.ended() && (judge() || dial())) {
    }
    if (!rig_.dialogue().undecided()) choice_.settle();
  }
  void start() {
    tell([](Rig& rig) { rig.start(); });
  }
  void client(std::string_view bytes) {
    tell([&](Rig& rig) { rig.client(bytes); });
  }
  void server(std::string_view bytes) {
    tell([&](Rig& rig) { rig.server(bytes); });
  }
  // The connection that was asked for is there.
  void connected() {
    ++connections;
    tls_up_ = dialing_ = false;
    tell([&](Rig& rig) {
      rig.plan.try_starttls = choice_.way().use_tls;
      rig.plan.demand_tls = choice_.way().demand_tls;
      rig.connected();
    });
  }
  void connect_failed() {
    ++connections;
    dialing_ = false;
    tell([](Rig& rig) { rig.connect_failed(); });
  }
  void secured() {
    tls_up_ = true;
    tell([](Rig& rig) { rig.tls(Side::server); });
  }

  Rig& rig() { return rig_; }
  bool dialing() const { return dialing_ && rig_.link == Link::dialing; }
  std::size_t connections = 0;  // made, or tried

 private:
  static Options with(const Journey& journey, Options options) {
    const auto given = std::move(options.listener);
    options.listener = journey.listener;
    options.listener.mode = given.mode;
    options.listener.bare_newline = given.bare_newline;
    options.listener.ehlo.size_limit = given.ehlo.size_limit;
    options.listener.limits.errors = given.limits.errors;
    options.greets_itself = journey.listener.route == config::OutboundRoute::mx;
    return options;
  }

  std::optional<net::SocketAddress> original() const {
    if (journey_.listener.route != config::OutboundRoute::original_destination) return std::nullopt;
    return net::SocketAddress{journey_.facts.route.hosts.front().addresses.front(), 25};
  }

  const policy::DomainFacts* look_up(const std::string& domain, std::optional<std::uint32_t> question) const {
    return choice_.lookup_for(domain, question) ? &journey_.facts : nullptr;
  }

  // Whether a new connection is begun for what was asked before is the choice's to know, as it is in a session.
  bool dial() {
    const auto asked = static_cast<std::size_t>(std::ranges::count(rig_.events, "dial"));
    if (asked == dials_) return false;
    dials_ = asked;
    dialing_ = rig_.link == Link::dialing;
    if (!dialing_) return false;
    if (choice_.under_way() || choice_.begin(look_up({}, rig_.dialogue().question()))) return false;
    dialing_ = false;
    rig_.connect_failed();
    return true;
  }

  bool judge() {
    if (!rig_.judging) return false;
    const std::string domain = rig_.domain_judged;
    const auto question = rig_.dialogue().question();
    outbound::Present present{{rig_.dialogue().remote()}};
    present.may_reconnect = rig_.dialogue().may_reconnect();
    present.offered_post_quantum = true;
    present.version = config::TlsVersion::tls1_3;
    present.question = question;
    if (tls_up_ && rig_.link == Link::up) present.evidence.emplace();  // nobody looks at certificates here
    const auto answer = choice_.decide(domain, look_up(domain, question), present);
    rig_.vouched = answer.vouched;
    rig_.judge(answer.action, answer.reply);
    return true;
  }

  Journey journey_;
  config::TlsSettings tls_;
  Rig rig_;
  policy::PolicyTable table_;
  outbound::RemoteChoice choice_;
  bool tls_up_ = false;
  bool dialing_ = false;   // a connection is to be made
  std::size_t dials_ = 0;  // that were asked for
};

}  // namespace postern::session::judged_rig
