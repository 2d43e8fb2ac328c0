#include "proxy/session/outbound_service.h"

#include <chrono>
#include <utility>

#include "proxy/dns/make_resolver.h"
#include "proxy/observe/log.h"

namespace postern::session {

namespace {

constexpr std::uint64_t chore_interval = 60'000;  // milliseconds

// Toward some domain at least.
bool uses_mta_sts(const config::OutboundListener& listener) {
  const auto in_row = [&listener](std::optional<std::size_t> row) {
    const auto local = local_policy(listener, row);
    return local.mta_sts && local.level != policy::Level::none;
  };
  bool found = in_row(std::nullopt);
  for (std::size_t row = 0; row < listener.policies.size(); ++row) found = found || in_row(row);
  return found;
}

}  // namespace

PolicySources::PolicySources(Surroundings& surroundings, std::shared_ptr<const Runtime> runtime,
                             dns::Resolver& resolver)
    : runtime_(std::move(runtime)) {
  for (std::size_t i = 0; i < runtime_->settings.outbound.size(); ++i) {
    const auto& remote = runtime_->contexts->remote(i);
    net::ConnectOptions connect;
    connect.mark = runtime_->settings.outbound[i].socket_mark;
    MtaStsFetcher::Access access{{surroundings.loop, surroundings.scratch, surroundings.bury},
                                 resolver,
                                 *runtime_->mta_sts[i],
                                 remote.policy_host(),
                                 remote.trust(),
                                 connect};
    access.complain = [](const std::string& domain, const Error& error) {
      log::warning("MTA-STS policy", {{"domain", domain}, {"reason", error.message}});
    };
    fetchers_.push_back(
        {std::make_unique<MtaStsFetcher>(std::move(access)), uses_mta_sts(runtime_->settings.outbound[i])});
  }
}

void PolicySources::refresh() {
  for (auto& [fetcher, refreshes] : fetchers_) {
    if (refreshes) fetcher->refresh();
  }
}

Result<std::unique_ptr<OutboundService>> OutboundService::make(Surroundings& surroundings,
                                                               std::shared_ptr<const Runtime> runtime) {
  auto resolver = dns::make_resolver(surroundings.loop.raw(), runtime->settings.dns, runtime->trust_anchor);
  if (!resolver) return tl::unexpected(resolver.error());
  return std::make_unique<OutboundService>(surroundings, std::move(runtime), std::move(*resolver));
}

OutboundService::OutboundService(Surroundings& surroundings, std::shared_ptr<const Runtime> runtime,
                                 std::unique_ptr<dns::Resolver> resolver)
    : around_(surroundings), resolver_(std::move(resolver)) {
  adopt(std::move(runtime));
}

void OutboundService::adopt(std::shared_ptr<const Runtime> runtime) {
  sources_ = std::make_shared<PolicySources>(around_, std::move(runtime), *resolver_);
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
    tls_report_.count(today, decision.domain, decision.policies[i], decision.verdict.reports[i], session);
  }
}

void OutboundService::sweep(std::uint64_t now) {
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

}  // namespace postern::session
