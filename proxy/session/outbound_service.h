// What the outbound sessions of one worker share: its resolver, its way to MTA-STS policies, the names of addresses,
// the counts for TLSRPT. Made before the worker's thread starts, then that thread's own.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "proxy/dns/resolver.h"
#include "proxy/policy/domain_lookup.h"
#include "proxy/policy/tls_report.h"
#include "proxy/runtime.h"
#include "proxy/session/mta_sts_fetcher.h"
#include "proxy/session/remembered_names.h"
#include "proxy/session/remote_choice.h"
#include "proxy/session/session.h"

namespace postern::session {

class OutboundService {
 public:
  // All outlive the service.
  static Result<std::unique_ptr<OutboundService>> make(Surroundings& surroundings, const Runtime& runtime);

  dns::Resolver& resolver() { return *resolver_; }
  policy::MtaStsSource& mta_sts(std::size_t listener) { return *fetchers_[listener].fetcher; }
  RememberedNames& names() { return names_; }

  // Counts the decision for the domain's TLS reports.
  void report(const Decision& decision, const Way& way, const std::string& sending_ip);
  // Every so often: refreshes policies before they end, forgets old reports, says what did not fit into a day's. `now`
  // is loop time in milliseconds.
  void sweep(std::uint64_t now);
  // The process is stopping: what is under way for its own sake is given up.
  void stop() { fetchers_.clear(); }

 private:
  struct Fetcher {
    std::unique_ptr<MtaStsFetcher> fetcher;
    bool refreshes = false;  // the listener's policies use MTA-STS
  };

  OutboundService() = default;
  void sweep_reports();

  std::unique_ptr<dns::Resolver> resolver_;
  std::vector<Fetcher> fetchers_;  // for each listener: they differ in whom they trust
  RememberedNames names_;
  policy::TlsReport tls_report_;
  policy::Day day_{};  // of the last sweep
  std::uint64_t next_sweep_ = 0;
};

}  // namespace postern::session
