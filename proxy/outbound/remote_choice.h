// Which connection a recipient's domain gets, and whether the present one will do: the outbound session's answers to
// `ask_policy`. Keeps the trip under way (an Itinerary) and where the present connection went; asks nobody anything and
// opens nothing itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/settings.h"
#include "proxy/net/address.h"
#include "proxy/outbound/contact.h"
#include "proxy/outbound/own_addresses.h"
#include "proxy/policy/domain_lookup.h"
#include "proxy/policy/itinerary.h"
#include "proxy/policy/policy_table.h"
#include "proxy/policy/tls_report.h"
#include "proxy/smtp/outbound_dialogue.h"
#include "proxy/smtp/plaintext.h"

namespace postern::outbound {

// A connection: where to, and how TLS begins there.
struct Way {
  net::SocketAddress address;
  std::string host;                   // empty: only the address is known
  std::string server_name;            // for SNI; empty: none
  std::optional<std::size_t> policy;  // the row of `policies` whose TLS parameters apply
  bool use_tls = true;
  bool demand_tls = false;
  Handshake handshake;
  std::string tls_error;                            // why TLS is not tried (again); empty: it is, or was never wanted
  std::optional<smtp::Plaintext> tls_trouble = {};  // the same in a word
};

// What was decided for a domain, for log, counters and reports.
struct Decision {
  std::string domain;
  std::string host;
  std::string server_name;  // what its certificate is to be asked for; empty: not known
  policy::Verdict verdict;
  std::vector<policy::ReportedPolicy> policies;   // what the domain published, for verdict.reports
  std::optional<smtp::Plaintext> plaintext = {};  // mail goes out without TLS, and why
  std::string plaintext_detail = {};              // for people
};

// The present connection as the dialogue and the handshake left it.
struct Present : Contact {
  bool may_reconnect = false;
  bool late = false;                                        // the client has waited so long that nothing new is begun
  config::TlsVersion version = config::TlsVersion::tls1_2;  // of its TLS
  // Which command of the client is judged for: with the number of the decision before, the connection that this one let
  // proceed was lost before the client had an answer.
  std::optional<std::uint32_t> question = {};
};

class RemoteChoice {
 public:
  // `table` is the listener's. `original`: where an intercepted connection was going. `server_name`: what the
  // certificate of that address was last asked for, if anything. `is_ours`: mail handed to that address of a domain's
  // mail host would come back here. The first two outlive the choice.
  RemoteChoice(const config::OutboundListener& listener, const policy::PolicyTable& table,
               std::optional<net::SocketAddress> original, std::string server_name, IsOurs is_ours);

  // What DNS must say before the first connection, or before decide(); nothing: no answer of it would matter.
  // `domain` empty: the connection as such. `question`: as in Present.
  std::optional<policy::DomainQuery> lookup_for(const std::string& domain,
                                                std::optional<std::uint32_t> question = {}) const;

  // A connection for the client's greeting and EHLO, before any recipient is known. False: there is none, and
  // refusal() is the answer. `facts`: what lookup_for("") asked for.
  bool begin(const policy::DomainFacts* facts);
  const smtp::PolicyAnswer& refusal() const { return refusal_; }
  // There is a way: begin() found one, or a decision came to one.
  bool begun() const { return begun_; }

  // A connection is being made for the domain that decide() was asked about last.
  bool under_way() const { return trip_ && trip_->pending; }
  // … or may have to be: how many addresses there are behind the present one.
  std::size_t addresses_left() const { return trip_ ? trip_->itinerary.addresses_left() : 0; }
  // The client has had its answer: what was decided for it will not be asked about again.
  void settle() { trip_.reset(); }

  // Answers `ask_policy`. `facts`: what lookup_for(domain) asked for, else null. One question costs no more connections
  // than its domain has addresses (four of a host, ten in all), each once more where the TLS handshake is repeated with
  // less in its ClientHello, and once in plaintext where TLS fails and need not be; never more than twenty.
  smtp::PolicyAnswer decide(const std::string& domain, const policy::DomainFacts* facts, const Present& present);

  // The present connection, or the one to be made after a `reconnect`.
  const Way& way() const { return way_; }
  // Of the last decide() that came to one; not for `reconnect`, nor for the connection as such.
  const std::optional<Decision>& decision() const { return decision_; }

 private:
  struct Trip {
    std::string domain;
    const policy::PolicyTable::Row* row = nullptr;
    policy::Itinerary itinerary;
    policy::MtaStsFacts mta_sts;
    bool pending = false;   // its attempt is being made: the next decide() is told what became of it
    bool taken = false;     // the connection was let proceed
    bool borrowed = false;  // … and had been made for something else
    std::size_t attempts = 0;
    std::optional<std::uint32_t> question = {};
  };

  policy::Route route_for(const std::string& domain, const policy::DomainFacts* facts) const;
  std::uint16_t port() const;
  std::optional<config::IpAddress> pinned() const;
  Trip plan(const std::string& domain, const policy::DomainFacts* facts) const;

  bool parameters_fit(const Trip& trip, const Present& present) const;
  std::optional<policy::Itinerary::Accepted> accepts(const Trip& trip, const Present& present) const;
  Way way_of(const policy::Attempt& attempt) const;
  bool same_as_present(const Way& way, const Present& present) const;

  smtp::PolicyAnswer weigh(const std::string& domain, const policy::DomainFacts* facts, const Present& present);
  smtp::PolicyAnswer set_out(const Present& present);
  smtp::PolicyAnswer arrived(const Present& present);
  smtp::PolicyAnswer lost(const Present& present);
  bool asks_again(const std::string& domain, std::optional<std::uint32_t> question) const;
  smtp::PolicyAnswer connect(Way way);
  smtp::PolicyAnswer proceed(const policy::MailHost& host, const policy::Verdict& verdict, const Trip& trip,
                             const Present& present);
  bool vouched(const policy::MailHost& host, const Trip& trip, const Present& present) const;
  smtp::PolicyAnswer refuse(const Trip& trip);
  smtp::PolicyAnswer wants_its_own(const Trip& trip);
  static smtp::PolicyAnswer own_connection();
  static smtp::PolicyAnswer refuse(const policy::Itinerary::Failure& failure);
  static smtp::PolicyAnswer refuse(smtp::Refusal refusal, std::string reply);

  const config::OutboundListener& listener_;
  const policy::PolicyTable& table_;
  std::optional<net::SocketAddress> original_;
  std::string remembered_name_;
  IsOurs is_ours_;
  Way way_;
  std::optional<Trip> trip_;  // until its client has an answer: an idle session keeps none
  std::optional<Decision> decision_;
  smtp::PolicyAnswer refusal_;
  bool begun_ = false;
};

}  // namespace postern::outbound
