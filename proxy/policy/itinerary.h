// Which connections are tried for a recipient's domain, one after the other, and when to give up: hosts in order, their
// addresses, TLS first, plaintext only where every demand allows it (RFC 7435, 7672 2.2, 8461 5). Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "config/values.h"
#include "proxy/policy/evidence.h"
#include "proxy/policy/route.h"

namespace postern::policy {

// One connection to be made.
struct Attempt {
  std::size_t host = 0;  // index in Route::hosts
  config::IpAddress address;
  bool use_tls = true;  // false: TLS failed with this address before, and nothing forbids plaintext
  bool demand_tls = false;
  bool operator==(const Attempt&) const = default;
};

// What became of an attempt, before any policy was asked.
struct AttemptOutcome {
  enum class Kind : std::uint8_t {
    unreachable,  // no connection
    lost,         // the host closed, was silent or spoke no SMTP before it took a recipient: `reply` says which
    refused,      // it answered connection or EHLO with 4yz or 5yz: `reply` holds its words
    tls_failed,   // handshake failed or was injected: nothing more can be said there
    open,         // it can be used; `tls` says how
  };
  Kind kind = Kind::unreachable;
  std::string reply;  // without CRLF: the host's words, or (unreachable, lost) why, for people
  TlsOutcome tls;     // tls_failed, open
  // open: of an established TLS session. It may show different things to different hosts; then `tls` is not asked.
  std::optional<Evidence> evidence = {};
};

// The same for a host that was, or might have been, behind the attempt.
Verdict judge(const AttemptOutcome& outcome, const MailHost& host, const Demand& demand);

class Itinerary {
 public:
  // `route` has hosts, `local` the operator's demand for `domain`. `pinned`, where given, is the one address to go to
  // (an intercepted connection): hosts that do not have it are left out. Where none has it the address is tried as a
  // host without a name, unless one of the domain's hosts is protected by DANE: then the client has been led astray.
  // Where policies are only observed, a pinned route may also lead nowhere: that is noted, and the address tried.
  Itinerary(Route route, std::string domain, const LocalPolicy& local, const MtaStsFacts& mta_sts,
            std::optional<config::IpAddress> pinned = std::nullopt);

  // What to try now; nothing: all is lost, and refusal() is what the client is told.
  const std::optional<Attempt>& current() const { return current_; }
  const MailHost& host() const { return route_.hosts[current_->host]; }
  const Demand& demand() const { return demands_[current_->host]; }
  const std::vector<Demand>& demands() const { return demands_; }  // of each host of the route

  // Takes the outcome of the current attempt. True: it will do, verdict() says why. False: current() is the next one.
  // An attempt that was to do may still prove lost.
  bool on_outcome(const AttemptOutcome& outcome);
  // So is the connection that would_accept() took, which was none of ours.
  void on_lost(const config::IpAddress& address, std::string_view why);
  // Does not try that address any more.
  void pass_over(const config::IpAddress& address);
  // Begins at `address`, where that is on the way: the last connection went there.
  void begin_at(const config::IpAddress& address);
  // How many addresses there may be to try behind the current one.
  std::size_t addresses_left() const;
  // What a connection that was made for something else is to this domain: where one of its hosts has the address and
  // what came of the connection will do for that host, which host and why. Changes nothing.
  struct Accepted {
    std::size_t host = 0;
    Verdict verdict;
  };
  std::optional<Accepted> would_accept(const config::IpAddress& address, const AttemptOutcome& outcome) const;

  const Route& route() const { return route_; }
  // Why the current attempt will do, after on_outcome was true.
  const Verdict& verdict() const { return verdict_; }
  // Why none did; meaningful once current() is empty. `reply` is one line without CRLF; `host` may be empty.
  struct Failure {
    std::string reply = "451 4.4.1 no mail host can be reached";
    std::string host;
    Verdict verdict{.reason = Reason::unreachable, .reply = Reply::unreachable};
  };
  const Failure& failure() const { return failure_; }
  const std::string& refusal() const { return failure_.reply; }

 private:
  // One client's wait for one reply has to do for all of them.
  static constexpr std::size_t addresses_per_host = 4;
  static constexpr std::size_t addresses_in_all = 10;

  bool usable(std::size_t host) const;
  void begin_host(std::size_t host);
  void next_address();
  std::string name_of(std::size_t host, const config::IpAddress& address) const;
  void judged_unfit();
  void not_judged(std::size_t host, const config::IpAddress& address, const AttemptOutcome& outcome);

  Route route_;
  std::string domain_;
  std::vector<Demand> demands_;  // of each host
  std::optional<Attempt> current_;
  std::size_t next_address_ = 0;
  std::size_t addresses_tried_ = 0;
  std::optional<config::IpAddress> passed_over_;
  bool pinned_ = false;
  Verdict verdict_;
  Failure failure_;
  bool failure_is_policy_ = false;  // a policy's refusal says more than a host that cannot be reached
};

}  // namespace postern::policy
