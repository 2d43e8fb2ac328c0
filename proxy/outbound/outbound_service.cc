#include "proxy/outbound/outbound_service.h"

#include <chrono>
#include <utility>

#include "config/assert.h"
#include "proxy/observe/log.h"
#include "proxy/outbound/counted_resolver.h"

namespace postern::outbound {

namespace {

using resolver::How;

constexpr std::uint64_t chore_interval = 60'000;  // milliseconds

// The one line that an operator gets instead of one for each message.
void tell(const dns::NameServers& servers, const dns::FitnessState::News& news) {
  if (news.fitness == dns::Fitness::fit) {
    return log::info("DNSSEC can be used again",
                     {{"servers", dns::addresses(servers)}, {"taken_from", servers.origin}});
  }
  const bool lost = news.fitness == dns::Fitness::lost;
  log::warning(lost ? "DNSSEC cannot be used any more" : "DNSSEC cannot be used",
               {{"servers", dns::addresses(servers)},
                {"taken_from", servers.origin},
                {"reason", news.reason},
                {"effect", lost ? "it could before, so this may be an attack: mail that DANE may protect waits"
                                : "DANE cannot be known: mail waits where it is demanded (level dane, dane-only), and "
                                  "goes on elsewhere as if there were none"},
                {"remedy",
                 "name servers in dns.servers that hand on DNSSEC records, such as Unbound on this machine, "
                 "or write servers: recursive"}});
}

}  // namespace

PolicySources::PolicySources(session::Surroundings& surroundings, std::shared_ptr<const runtime::Runtime> runtime,
                             const dns::Resolvers& resolvers)
    : resolver_(resolvers), runtime_(std::move(runtime)) {
  for (const auto& [name, listener] : runtime_->outbound) {
    net::ConnectOptions connect;
    connect.mark = listener.settings.socket_mark;
    const auto& store = runtime_->mta_sts.at(listener.settings.ca_file);
    POSTERN_ASSERT(store != nullptr, "a snapshot is equipped before anybody works with it");
    MtaStsFetcher::Access access{{surroundings.loop, surroundings.scratch, surroundings.bury},
                                 resolver_,
                                 *store,
                                 listener.remotes.policy_host(),
                                 listener.remotes.trust(),
                                 connect};
    access.complain = [](const std::string& domain, const Error& error) {
      log::warning("MTA-STS policy", {{"domain", domain}, {"reason", error.message}});
    };
    access.count = [&book = surroundings.books.own()](std::string_view result) {
      book.add("mta_sts_fetches_total", {result});
    };
    fetchers_[name] = {std::make_unique<MtaStsFetcher>(std::move(access)), listener.policies.wants_mta_sts()};
  }
}

void PolicySources::refresh() {
  for (auto& [name, each] : fetchers_) {
    if (each.refreshes) each.fetcher->refresh();
  }
}

std::unique_ptr<OutboundService> OutboundService::make(session::Surroundings& surroundings,
                                                       const std::shared_ptr<const runtime::Runtime>& runtime) {
  POSTERN_ASSERT(surroundings.resolver != nullptr, "outbound listeners ask DNS");
  auto service = std::make_unique<OutboundService>(surroundings, runtime, surroundings.resolver->resolver(How::proven));
  service->watches_ = true;
  service->adopt(runtime);
  return service;
}

OutboundService::OutboundService(session::Surroundings& surroundings, std::shared_ptr<const runtime::Runtime> runtime,
                                 std::unique_ptr<dns::Resolver> resolver)
    : around_(surroundings),
      validating_(std::make_unique<CountedResolver>(std::move(resolver), around_.books.own(), around_.loop)),
      resolvers_(*validating_) {
  adopt(std::move(runtime));
}

// Without a trust anchor nothing can be proven by anybody. It may come and go with a snapshot; lookups under way go on
// with what they began with, so that the watch stays once it is there.
void OutboundService::use_anchor(const runtime::Runtime& runtime) {
  if (!watches_ || runtime.trust_anchor.empty() == (resolvers_->watch == nullptr)) return;
  if (runtime.trust_anchor.empty()) {
    resolvers_.emplace(*validating_);
    return;
  }
  if (!watch_) {
    plain_ =
        std::make_unique<CountedResolver>(around_.resolver->resolver(How::plain), around_.books.own(), around_.loop);
    dns::FitnessWatch::Means means;
    means.fresh_resolver = [client = around_.resolver] { return client->resolver(How::afresh); };
    means.later = [&loop = around_.loop](std::function<void()> task) { loop.post(std::move(task)); };
    means.tell = [this](const auto& news) { tell(servers_, news); };
    watch_ = std::make_unique<dns::FitnessWatch>(runtime.fitness, dns::keys_question(runtime.trust_anchor), means);
  }
  resolvers_.emplace(*validating_, *plain_, *watch_);
}

void OutboundService::adopt(std::shared_ptr<const runtime::Runtime> runtime) {
  servers_ = runtime->name_servers;
  use_anchor(*runtime);
  sources_ = std::make_shared<PolicySources>(around_, std::move(runtime), *resolvers_);
}

void OutboundService::report(const Decision& decision, const Way& way, const std::string& sending_ip) {
  const auto today = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now());
  policy::ReportedSession session;
  session.sending_ip = sending_ip;
  session.mx_host = decision.host;
  session.receiving_ip = config::to_string(way.address.address);
  session.reason_code = policy::to_string(decision.verdict.reason);
  session.additional = decision.verdict.detail;
  for (std::size_t i = 0; i < decision.policies.size(); ++i) {
    around_.books.own().add("tls_report_sessions_total", {decision.verdict.reports[i].failure ? "failure" : "success"});
    tls_report_.count(today, decision.domain, decision.policies[i], decision.verdict.reports[i], session);
  }
}

void OutboundService::sweep(std::uint64_t now) {
  if (watch_ && resolvers_->watch != nullptr) watch_->sweep(now);
  if (now < next_sweep_) return;
  next_sweep_ = now + chore_interval;
  if (sources_) sources_->refresh();
  sweep_reports();
}

void OutboundService::sweep_reports() {
  const auto today = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now());
  const auto ended = std::exchange(day_, today);
  if (ended == today) return;
  const auto left_out = tls_report_.left_out(ended);
  if (left_out != policy::TlsReport::LeftOut{}) {
    log::warning("more happened in a day than its TLS reports can hold",
                 {{"sessions", left_out.sessions}, {"details", left_out.details}, {"strings", left_out.strings}});
  }
  tls_report_.forget_before(today - std::chrono::days(2));
}

}  // namespace postern::outbound
