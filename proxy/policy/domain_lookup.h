// Everything DNS and MTA-STS say about where a domain's mail goes and what its hosts' TLS must be: the questions of a
// RouteLookup put to a resolver, and the MTA-STS policy asked for at the same time.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/dns/resolvers.h"
#include "proxy/policy/decision.h"
#include "proxy/policy/route.h"

namespace postern::policy {

// Where MTA-STS policies come from.
class MtaStsSource {
 public:
  using Callback = std::function<void(const MtaStsFacts&)>;
  // Calls back exactly once, later, never from inside this call. Destroying the lookup cancels.
  virtual std::unique_ptr<dns::Lookup> lookup(const std::string& domain, Callback callback) = 0;
  virtual ~MtaStsSource() = default;
};

struct DomainFacts {
  Route route;
  MtaStsFacts mta_sts;
};

// What is asked for `local` to be decided upon: of a recipient's domain, or of a host by name.
struct DomainQuery {
  std::string name;
  RouteLookup::Options options;
  bool mta_sts = false;
};
DomainQuery query_for(const LocalPolicy& local, std::string name, RouteLookup::Kind kind, std::uint16_t port);

class DomainLookup {
 public:
  using Callback = std::function<void(DomainFacts)>;

  // Asks at once, or as soon as it is known whether anything can be proven; calls back once, later. `mta_sts` may be
  // null where the query does not ask for it. All that it is given outlives the lookup. Destroying it cancels; the
  // callback may destroy it. Where there is nothing to ask (the domain is no host name) it never calls back: see
  // complete().
  DomainLookup(const dns::Resolvers& resolvers, MtaStsSource* mta_sts, const DomainQuery& query, Callback callback);

  // Nothing is waited for, and the callback will not come: take() what there is.
  bool complete() const { return !waiting_ && mta_sts_done_ && route_.done(); }
  DomainFacts take();

 private:
  void begin();
  void ask();
  void on_route();
  bool wants_second_look(const Route& found) const;
  void on_answer(const dns::Question& question, const dns::Answer& answer);
  void finish_if_done();

  dns::Resolvers resolvers_;
  std::string domain_;
  RouteLookup::Options options_;
  MtaStsSource* mta_sts_;
  RouteLookup route_;
  std::optional<Route> doubted_;  // what the first look came to, while there is a second
  bool proves_ = true;
  DomainFacts facts_;
  Callback callback_;
  std::map<dns::Question, std::unique_ptr<dns::Lookup>> lookups_;
  std::unique_ptr<dns::Lookup> waiting_;  // for what the name servers are fit for
  std::unique_ptr<dns::Lookup> mta_sts_lookup_;
  bool mta_sts_done_ = true;
  bool route_known_ = false;
};

}  // namespace postern::policy
