// From a recipient's domain, or a host's name, to the hosts that take its mail and what DANE has to say about each:
// RFC 5321 5.1, 7505, 7671 7, 7672 2. Asks no resolver itself: it names questions and takes answers, so that every
// row of the decision table is a test.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/values.h"
#include "proxy/dns/resolver.h"
#include "tls/tlsa.h"

namespace postern::policy {

// What DNS says about DANE for one host.
enum class DaneState : std::uint8_t {
  not_applicable,  // not asked for, or something on the way is not signed: DANE has no say
  absent,          // DNSSEC proves that there are no TLSA records
  records,         // there are, DNSSEC proves them
  failed,          // it cannot be known: the host must not be used now (a man in the middle would see to that)
  bogus,           // likewise, with a wrong signature as the reason
  unknowable,      // the name servers never handed on a proof: only whoever demands DANE has to wait for that
};
std::string_view to_string(DaneState state);

struct MailHost {
  enum class Addresses : std::uint8_t { found, none, failed, bogus };

  std::string name;  // as the MX record or the operator has it, lower case; MTA-STS patterns are held against it
  std::uint16_t preference = 0;
  Addresses address_state = Addresses::none;
  std::vector<config::IpAddress> addresses;  // IPv6 and IPv4 by turns, IPv6 first
  // The MX records (or their absence, for the domain as its own host) are signed, or the operator wrote the name.
  bool mx_secure = false;
  DaneState dane = DaneState::not_applicable;
  std::vector<tls::TlsaRecord> tlsa;
  std::string tlsa_base;                     // the base domain of the records, or the name: what to send as SNI
  std::vector<std::string> reference_names;  // that a certificate under DANE-TA may have
  std::string reason;                        // for people: why addresses or TLSA failed

  bool usable() const {
    return address_state == Addresses::found && dane != DaneState::failed && dane != DaneState::bogus;
  }
};

// Of which nothing but the address is known: DNS need not be asked.
MailHost host_by_address(const config::IpAddress& address);

struct Route {
  enum class Outcome : std::uint8_t {
    hosts,           // at least one, usable or not
    null_mx,         // the domain takes no mail (556 5.1.10)
    no_such_domain,  // neither MX nor address (550 5.1.2)
    dns_failed,      // the MX lookup failed (451 4.4.3)
    dns_bogus,       // or its signatures are wrong (451 4.4.3)
    leads_back,      // the best host is this machine itself (451 4.4.6)
  };
  Outcome outcome = Outcome::hosts;
  std::string domain;           // as asked for, normalized
  std::vector<MailHost> hosts;  // in the order in which to try them
  std::string reason;           // for people; empty with hosts
  std::chrono::seconds ttl{0};  // for how long all this holds
};
std::string_view to_string(Route::Outcome outcome);

// Leaves out the first host with an address that `is_ours`, and all that are no better (RFC 5321 5.1): a message would
// come back here. With none left the route leads_back.
void leave_out_ourselves(Route& route, const std::function<bool(const config::IpAddress&)>& is_ours);

// Some host can be connected to.
bool leads_somewhere(const Route& route);
// Something of it is bogus.
bool is_bogus(const Route& route);
// The route that answers without proof gave, where a `doubted` one leads nowhere: its hosts have what was wrong with
// that for a DANE state.
Route without_proof(Route found, const Route& doubted);

class RouteLookup {
 public:
  enum class Kind : std::uint8_t {
    mail_domain,  // a recipient's domain: MX records, or itself (implicit MX)
    host,         // a host by name, as in `relay`; a name the operator wrote counts as secure (RFC 7672 2.2.3)
  };
  struct Options {
    Kind kind = Kind::mail_domain;
    bool dane = true;          // ask for TLSA records where that makes sense
    std::uint16_t port = 25;   // in the TLSA name
    std::uint32_t random = 0;  // orders hosts of equal preference (RFC 5321 5.1)
    bool observe = false;      // where the answers are bogus, or nothing, those without a proof will do
  };
  RouteLookup(std::string_view domain, const Options& options);

  // What is answered from now on is never proven, whatever it says: there may be TLSA records for `why` to hide.
  void nothing_is_proven(std::string why);
  // What must be asked now; each question is handed out once. All may be asked at the same time.
  std::vector<dns::Question> take_questions();
  // Takes an answer to a question that was handed out.
  void on_answer(const dns::Question& question, const dns::Answer& answer);
  // Every question has its answer. Then take().
  bool done() const { return waiting_.empty() && questions_.empty(); }
  Route take();

 private:
  // Hosts beyond that are not tried: who lists more wants to keep us busy.
  static constexpr std::size_t max_hosts = 16;
  static constexpr std::size_t max_addresses = 16;

  // One host, and what it waits for.
  struct HostState {
    MailHost host;
    std::map<dns::Type, dns::Answer> addresses;
    std::string canonical_name;
    std::vector<std::string> bases;  // TLSA base domains still to be asked for
    std::string base;                // the one asked for last
    std::string tlsa_question;       // the name asked for, while its answer is awaited
  };

  void ask(std::string name, dns::Type type);
  void on_mx(const dns::Answer& answer);
  void add_host(std::string name, std::uint16_t preference, bool secure);
  void order_hosts(std::vector<std::pair<std::uint16_t, std::string>>& exchanges) const;
  void on_address(HostState& host, dns::Type type, const dns::Answer& answer);
  void on_host_answer(HostState& host, const dns::Question& question, const dns::Answer& answer);
  void addresses_known(HostState& host);
  void ask_dane(HostState& host);
  void on_alias(HostState& host, const dns::Answer& answer);
  void ask_tlsa(HostState& host, std::string base);
  void on_tlsa(HostState& host, const dns::Answer& answer);
  void keep_ttl(const dns::Answer& answer);
  std::vector<std::string> reference_names(const HostState& host) const;

  Options options_;
  std::optional<std::string> unproven_;  // why nothing can be
  Route route_;
  bool implicit_mx_ = false;     // no MX records: the domain is its own host
  std::string expanded_domain_;  // where secure CNAMEs lead the domain; the domain itself where they do not
  std::vector<HostState> hosts_;
  std::vector<dns::Question> questions_;
  std::set<dns::Question> waiting_;
};

}  // namespace postern::policy
