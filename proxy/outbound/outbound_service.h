// What the outbound sessions of one worker share. A snapshot has its way to MTA-STS policies; the resolver, the names
// of addresses and the counts for TLSRPT outlive it. Made before the worker's thread starts, then that thread's own.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/dns/resolvers.h"
#include "proxy/outbound/mta_sts_fetcher.h"
#include "proxy/outbound/remembered_names.h"
#include "proxy/outbound/remote_choice.h"
#include "proxy/policy/domain_lookup.h"
#include "proxy/policy/tls_report.h"
#include "proxy/runtime/runtime.h"
#include "proxy/session/session.h"

namespace postern::outbound {

// The ways to MTA-STS policies that go with one snapshot: listeners differ in whom they trust.
class PolicySources {
 public:
  // `surroundings` and what `resolvers` are outlive it.
  PolicySources(session::Surroundings& surroundings, std::shared_ptr<const runtime::Runtime> runtime,
                const dns::Resolvers& resolvers);

  // For that listener of the snapshot's.
  policy::MtaStsSource& mta_sts(std::string_view listener) { return *fetchers_.find(listener)->second.fetcher; }
  // Fetches anew what will be too old soon.
  void refresh();

 private:
  struct Fetcher {
    std::unique_ptr<MtaStsFetcher> fetcher;
    bool refreshes = false;  // the listener's policies use MTA-STS
  };

  dns::FittingResolver resolver_;                         // no proof is needed
  std::shared_ptr<const runtime::Runtime> runtime_;       // whose contexts and stores the fetchers use
  std::map<std::string, Fetcher, std::less<>> fetchers_;  // by the listener's name
};

class OutboundService {
 public:
  // `surroundings` outlive the service; by their resolver.
  static std::unique_ptr<OutboundService> make(session::Surroundings& surroundings,
                                               const std::shared_ptr<const runtime::Runtime>& runtime);
  // With another way to DNS.
  OutboundService(session::Surroundings& surroundings, std::shared_ptr<const runtime::Runtime> runtime,
                  std::unique_ptr<dns::Resolver> resolver);

  // Another snapshot takes over: for sessions that begin from now on.
  void adopt(std::shared_ptr<const runtime::Runtime> runtime);
  // Those of the present snapshot; a session keeps the ones that it began with.
  const std::shared_ptr<PolicySources>& sources() const { return sources_; }

  const dns::Resolvers& resolvers() const { return *resolvers_; }
  RememberedNames& names() { return names_; }

  // Counts the decision for the domain's TLS reports.
  void report(const Decision& decision, const Way& way, const std::string& sending_ip);
  // Every so often: refreshes policies before they end, forgets old reports, says what did not fit into a day's. `now`
  // is loop time in milliseconds.
  void sweep(std::uint64_t now);
  // The process is stopping: what is under way for its own sake is given up.
  void stop() {
    sources_.reset();
    watch_.reset();
  }

 private:
  void use_anchor(const runtime::Runtime& runtime);
  void sweep_reports();

  session::Surroundings& around_;
  std::unique_ptr<dns::Resolver> validating_, plain_;
  std::unique_ptr<dns::FitnessWatch> watch_;  // null: there was never a trust anchor, or it is for others to watch
  bool watches_ = false;
  dns::NameServers servers_;                 // that are asked now, for the log
  std::optional<dns::Resolvers> resolvers_;  // by the present snapshot's trust anchor
  std::shared_ptr<PolicySources> sources_;
  RememberedNames names_;
  policy::TlsReport tls_report_;
  policy::Day day_{};  // of the last sweep
  std::uint64_t next_sweep_ = 0;
};

}  // namespace postern::outbound
