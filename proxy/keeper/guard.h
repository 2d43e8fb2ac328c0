// Whether certificates that are about to be served fit the TLSA records of the hosts that they name: senders that look
// at those do not deliver to a server whose certificate fits none (RFC 7672).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "config/settings.h"
#include "proxy/dns/resolver.h"
#include "tls/contexts.h"
#include "tls/tlsa_audit.h"

namespace postern::keeper {

// --- pure

// Where listeners that are guarded will show chains that they do not show yet.
struct GuardedPlace {
  tls::TlsaPlace place;                          // no wildcard: those cannot be asked for
  std::vector<std::vector<std::string>> chains;  // DER, leaf first
  std::string certificates;                      // their names: "mx, mx2"
  bool holds = false;  // they are not to be shown before they fit: `guard: hold`, and what they replace is still valid
};
std::vector<GuardedPlace> guarded_places(const config::Settings& settings,
                                         std::span<const tls::CertificateFacts> present,
                                         std::span<const tls::CertificateFacts> next, std::chrono::sys_seconds now);

struct GuardFinding {
  enum class Kind : std::uint8_t { fits, misfits, unknown };
  Kind kind = Kind::fits;
  std::string reason;  // empty: it fits, or nobody would look
};
GuardFinding judge(const GuardedPlace& place, const dns::Answer& answer, std::chrono::sys_seconds now);

// --- asks

class Guard {
 public:
  using Clock = std::function<std::uint64_t()>;  // milliseconds
  // `resolver` outlives it.
  Guard(dns::Resolver& resolver, Clock clock);

  // Why they are held back; empty: they may be served. What is only to be warned of is in the log by then.
  using Done = std::function<void(const std::string& why)>;
  // Calls back once, later. False: there is nothing to be asked.
  bool ask(std::vector<GuardedPlace> places, Done done);
  // Nobody waits for the answer any more.
  void forget();

 private:
  struct Question {
    GuardedPlace place;
    dns::Answer answer;
    std::unique_ptr<dns::Lookup> lookup;
  };
  // Records that did not fit. Others may remember them for their time to live.
  struct Misfit {
    std::chrono::seconds ttl{0};
    std::uint64_t until = 0;
  };
  void finish();
  GuardFinding find(const Question& question);

  dns::Resolver& resolver_;
  Clock clock_;
  std::vector<Question> questions_;
  std::size_t left_ = 0;
  Done done_;
  std::map<std::string, Misfit, std::less<>> misfits_;  // by the records' owner, for a while
};

}  // namespace postern::keeper
