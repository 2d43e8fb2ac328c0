#include "proxy/intercept/plan.h"

#include <algorithm>

#include "config/diagnostic.h"
#include "config/text.h"
#include "proxy/intercept/own_traffic.h"
#include "proxy/intercept/reach.h"

namespace postern::intercept {

namespace {

using config::Endpoint;
using config::Interception;
using config::IpAddress;
using config::Network;
using config::OutboundListener;

class Planner {
 public:
  Planner(config::Loaded& loaded, const std::string& path, const Wishes& wishes, const Machine& machine)
      : loaded_(loaded), wishes_(wishes), machine_(machine) {
    plan_.config = path;
    plan_.names = names_for(path);
    plan_.ports = wishes.ports;
    tidy(plan_.ports);
  }

  std::optional<Plan> run() {
    const auto listeners = chosen();
    for (const OutboundListener* listener : listeners) add(*listener, listeners.size() > 1);
    answers();
    if (plan_.catches.empty() && !plan_.clients_addresses_behind && !failed_) nothing_to_do();
    if (std::ranges::count_if(plan_.catches, &Catch::host) > 1) {
      error("outbound", "the connections of this machine can go to one listener only: say which by --listener NAME");
    }
    if (!failed_ && std::ranges::any_of(plan_.catches, &Catch::host)) {
      auto own = own_traffic(loaded_, plan_.ports, machine_.user);
      if (!own) return std::nullopt;
      plan_.own = std::move(*own);
      if (plan_.own.user) {
        note("connections of user " + config::quote(loaded_.settings.user) +
             " are left alone, since not all of Postern's own bear a socket_mark: a mail server that runs as the same "
             "user is not intercepted");
      }
    }
    if (failed_) return std::nullopt;
    return std::move(plan_);
  }

 private:
  void error(const std::string& path, const std::string& message) {
    loaded_.add_error(path, message);
    failed_ = true;
  }
  void note(std::string text) { plan_.notes.push_back(std::move(text)); }

  std::vector<const OutboundListener*> chosen() const {
    std::vector<const OutboundListener*> found;
    for (const OutboundListener& listener : loaded_.settings.outbound) {
      const bool wanted = wishes_.listener.empty() || wishes_.listener == listener.name;
      if (wanted && listener.route == config::OutboundRoute::original_destination) found.push_back(&listener);
    }
    return found;
  }

  void nothing_to_do() {
    if (wishes_.listener.empty()) {
      return error("outbound", "no listener has route: original_destination, so there is nothing to intercept");
    }
    error("outbound", "no listener " + config::quote(wishes_.listener) + " has route: original_destination");
  }

  void add(const OutboundListener& listener, bool among_others) {
    const std::string path = "outbound." + listener.name;
    if (listener.socket_mark == plan_.names.number) {
      return error(path + ".socket_mark", "this mark is for packets that are routed to Postern: set another one");
    }
    Catch one{
        listener.name, listener.interception, wishes_.host, wishes_.router || !wishes_.from.empty(), {}, {}, {}, {}};
    if (!wishes_.from.empty() && among_others) {
      return error(path, "--from is for one listener: say which by --listener NAME");
    }
    const auto others = networks_of_others(listener.allow_clients, machine_.addresses);
    if (!one.host && !one.router) decide(one, listener, !others.empty());
    if (one.router) one.from = without_covered(wishes_.from.empty() ? others : wishes_.from);
    if (one.router && one.from.empty()) {
      return error(path + ".allow_clients",
                   "nobody but this machine is in it: say whose connections are to be intercepted by --from NETWORK");
    }
    one.v4 = landing(listener.listen, IpAddress::Family::v4, one);
    one.v6 = landing(listener.listen, IpAddress::Family::v6, one);
    if (!one.v4 && !one.v6) {
      return error(path + ".listen", one.router && one.by == Interception::redirect
                                         ? "connections of others cannot be led to a loopback address: listen on an "
                                           "address that they reach, 0.0.0.0 or [::]"
                                         : "there is no address with a port that connections could be led to");
    }
    one.strangers = strangers_here(one, listener);
    describe(one);
    warn_of_strangers(one, listener);
    if (listener.source == config::OutboundSource::client) answers_from(plan_.ports);
    plan_.catches.push_back(std::move(one));
  }

  // Who is let in says where they come from.
  void decide(Catch& one, const OutboundListener& listener, bool serves_others) {
    const bool unreachable =
        one.by == Interception::redirect &&
        std::ranges::all_of(listener.listen, [](const Endpoint& at) { return is_loopback(at.address); });
    one.router = serves_others && !unreachable;
    one.host = !one.router;
    const std::string reason = one.router       ? "allow_clients has networks of others"
                               : !serves_others ? "allow_clients has this machine's own addresses only"
                                                : "it listens on loopback addresses only";
    note("outbound." + listener.name + ": as " + (one.router ? "--router" : "--host") + ", since " + reason + " (" +
         (one.router ? "--host for this machine's own connections" : "--router --from NETWORK for those of others") +
         ")");
  }

  void describe(const Catch& one) {
    std::string text = "outbound." + one.listener + ": connections ";
    if (one.host) text += "of this machine ";
    if (one.host && one.router) text += "and ";
    if (one.router) text += "from " + listed_networks(one.from) + " ";
    text += "to port " + listed_ports(plan_.ports) + " are led to ";
    if (one.v4) text += config::to_string(*one.v4);
    if (one.v4 && one.v6) text += " and ";
    if (one.v6) text += config::to_string(*one.v6);
    note(text + " (" + std::string(config::to_string(one.by)) + ")");
    missing(one, IpAddress::Family::v4, one.v4.has_value(), "IPv4");
    missing(one, IpAddress::Family::v6, one.v6.has_value(), "IPv6");
  }

  // Nothing gets past in plaintext where it was to be taken.
  void missing(const Catch& one, IpAddress::Family family, bool is_there, const std::string& name) {
    const bool has_networks =
        std::ranges::any_of(one.from, [family](const Network& network) { return network.address.family == family; });
    if (one.router && !one.host && !has_networks) {
      return note("outbound." + one.listener + ": " + name + " is left alone: no network of it is named");
    }
    if (is_there) return;
    note("outbound." + one.listener + ": connections over " + name +
         " are refused: it listens on no address that they could be led to");
  }

  // A redirected connection keeps the address that it would have gone out with.
  std::vector<IpAddress> strangers_here(const Catch& one, const OutboundListener& listener) const {
    std::vector<IpAddress> strangers;
    if (!one.host) return strangers;
    for (const IpAddress& address : machine_.addresses) {
      const bool taken = address.family == IpAddress::Family::v4 ? one.v4.has_value() : one.v6.has_value();
      const bool used = taken && !is_loopback(address) && !is_link_local(address);
      if (used && !config::contains(listener.allow_clients, address)) strangers.push_back(address);
    }
    return strangers;
  }

  // Who is brought here and not let in hears 554.
  void warn_of_strangers(const Catch& one, const OutboundListener& listener) {
    std::vector<std::string> strangers;
    for (const Network& network : one.from) {
      if (!is_covered(network, listener.allow_clients)) strangers.push_back(config::to_string(network));
    }
    for (const IpAddress& address : one.strangers) strangers.push_back(config::to_string(address));
    if (strangers.empty()) return;
    note("outbound." + listener.name +
         ": not in allow_clients, and so refused with 554 5.7.1 when brought here: " + config::listed(strangers));
  }

  void answers() {
    for (const auto& listener : loaded_.settings.inbound) {
      if (listener.backend.client_address != config::ClientAddress::transparent) continue;
      plan_.clients_addresses_behind = true;
      std::vector<std::uint16_t> ports;
      for (const Endpoint& server : listener.backend.addresses) ports.push_back(server.port);
      answers_from(ports);
      note("inbound." + listener.name + ": what the server behind answers to clients ends here (port " +
           listed_ports(ports) + ")");
    }
  }

  void answers_from(const std::vector<std::uint16_t>& ports) {
    auto& all = plan_.answering_ports;
    all.insert(all.end(), ports.begin(), ports.end());
    tidy(all);
  }

  config::Loaded& loaded_;
  const Wishes& wishes_;
  const Machine& machine_;
  Plan plan_;
  bool failed_ = false;
};

}  // namespace

// FNV-1a. The table's name has all of it; the number begins with what is nobody's habit.
Names names_for(const std::string& path) {
  std::uint32_t hash = 2'166'136'261U;
  for (const char c : path) hash = (hash ^ static_cast<unsigned char>(c)) * 16'777'619U;
  Names names{"postern_", 0x5053'0000U | (hash & 0xffffU)};
  config::append_hex(names.table, hash, 8);
  return names;
}

bool Plan::has(Interception by) const {
  return std::ranges::any_of(catches, [by](const Catch& one) { return one.by == by; });
}

bool Plan::needs_routes() const {
  return has(Interception::tproxy) || !answering_ports.empty();
}

std::optional<Plan> make_plan(config::Loaded& loaded, const std::string& path, const Wishes& wishes,
                              const Machine& machine) {
  return Planner(loaded, path, wishes, machine).run();
}

}  // namespace postern::intercept
