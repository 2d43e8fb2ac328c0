// `postern probe`: what the outbound side would decide for a domain or a host, and why. Looks up what a session looks
// up, connects as a session connects, and judges by the same functions; no mail is sent.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/outbound/contact.h"
#include "proxy/outbound/outbound_service.h"
#include "proxy/policy/itinerary.h"
#include "proxy/policy/policy_table.h"
#include "proxy/probe/probe_connection.h"

namespace postern::probe {

struct ProbeTarget {
  std::string name;                   // a domain, a host, or an address
  std::optional<std::uint16_t> port;  // given: `name` is a host, not a domain with MX records
};

// "example.org", "mx.example.org:587", "192.0.2.1", "[2001:db8::1]:25".
Result<ProbeTarget> parse_probe_target(std::string_view text);

struct ProbedAddress {
  std::size_t host = 0;  // index in the route
  net::SocketAddress address;
  outbound::Handshake handshake;  // what was tried last
  ProbeConnection::Found connection;
  policy::AttemptOutcome outcome;
  policy::Verdict verdict;
};

// What DNS was asked for first: only what was looked up can be signed or not.
enum class ProbedBy : std::uint8_t { address, host, domain };

struct ProbeReport {
  std::string domain;
  ProbedBy by = ProbedBy::domain;
  // Whom DNS was asked of, and what they are fit for; nothing: there is no trust anchor.
  dns::NameServers name_servers;
  std::optional<dns::Fitness> fitness;
  std::string fitness_reason;
  policy::LocalPolicy local;
  policy::DomainFacts facts;
  std::vector<policy::Demand> demands;   // of each host
  std::vector<ProbedAddress> addresses;  // in the order in which a session would try them
  std::optional<policy::Blocker> route_blocker;
  // What a session would come to: the host that takes the mail, or the reply to RCPT.
  std::string host;
  policy::Verdict verdict;
  std::string reply;  // empty where mail would be delivered
};

class Probe {
 public:
  using OnDone = std::function<void(const ProbeReport&)>;
  // Probes with the settings of an outbound listener of that runtime. A domain's mail goes where that
  // listener sends it: to the relay, or to the domain's mail hosts. All outlive the probe.
  Probe(session::Surroundings& around, const runtime::Runtime& runtime, outbound::OutboundService& service,
        const runtime::Outbound& listener, ProbeTarget target, OnDone on_done);

 private:
  const config::OutboundListener& settings() const { return listener_.settings; }
  bool to_relay() const;
  policy::DomainFacts known() const;
  void look_up();
  void on_facts(policy::DomainFacts facts);
  void next();
  void connect(const ProbedAddress& to);
  void on_connection(ProbeConnection::Found result);
  policy::AttemptOutcome outcome_of(const ProbedAddress& probed);
  void conclude();
  policy::AttemptOutcome outcome_for(const policy::Attempt& attempt) const;
  const policy::PolicyTable& table() const { return listener_.policies; }
  const tls::ClientContext& context() const;
  // What the hosts' certificates are judged for, and where they are.
  const std::string& judged_name() const;
  std::uint16_t port() const;

  session::Surroundings& around_;
  const runtime::Runtime& runtime_;
  outbound::OutboundService& service_;
  const runtime::Outbound& listener_;
  ProbeTarget target_;
  OnDone on_done_;
  ProbeReport report_;
  std::unique_ptr<policy::DomainLookup> lookup_;
  std::optional<policy::Itinerary> itinerary_;
  std::unique_ptr<ProbeConnection> connection_;
  std::size_t next_ = 0;  // of report_.addresses
};

}  // namespace postern::probe
