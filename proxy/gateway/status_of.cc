#include "proxy/gateway/status_of.h"

#include <uv.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "proxy/observe/log.h"

namespace postern::gateway {

namespace {

// Of those workers that know it, the one believed is the one that tried it last.
void add_backends(status::Listener& listener, const Seen& seen) {
  std::vector<std::pair<status::Backend, std::uint64_t>> known;
  const std::uint64_t now = uv_hrtime() / 1'000'000;
  for (const auto& each : seen.condition.backends) {
    if (each.listener != listener.name) continue;
    auto found = std::ranges::find_if(known, [&](const auto& one) { return one.first.address == each.address; });
    if (found == known.end()) found = known.insert(known.end(), {{each.address, true, {}, 0}, 0});
    auto& [backend, tried_at] = *found;
    backend.connections += each.connections;
    if (each.tried_at <= tried_at) continue;
    tried_at = each.tried_at;
    backend.up = each.up;
    backend.seconds = static_cast<double>(std::max(now, each.since) - each.since) / 1000.0;
  }
  for (auto& [backend, tried_at] : known) listener.backends.push_back(std::move(backend));
}

void add_settings(status::Listener& listener, const config::Listener& settings, const limits::Tally& tally) {
  for (const auto& each : settings.listen) listener.addresses.push_back(config::to_string(each));
  listener.mode = config::to_string(settings.mode);
  listener.min_version = settings.mode == config::TlsMode::none ? "" : config::to_string(settings.tls.min_version);
  listener.limit = settings.limits.sessions;
  listener.highest = tally.highest();
}

void add_listeners(status::Status& status, const Seen& seen) {
  for (const auto& [path, book] : seen.books.listeners()) {
    status::Listener listener = status::listener_of(path, book);
    listener.trend = seen.history.of(path);
    if (listener.direction == "inbound") {
      const auto found = seen.runtime.inbound.find(listener.name);
      if (found != seen.runtime.inbound.end()) {
        add_settings(listener, found->second.settings, found->second.tally);
        add_backends(listener, seen);
      }
    } else if (const auto found = seen.runtime.outbound.find(listener.name); found != seen.runtime.outbound.end()) {
      add_settings(listener, found->second.settings, found->second.tally);
    }
    status.listeners.push_back(std::move(listener));
  }
}

std::vector<std::string> who_serves(const config::Settings& settings, const std::string& certificate) {
  std::vector<std::string> who;
  const auto add = [&](const char* direction, const auto& listeners) {
    for (const auto& each : listeners) {
      const bool does = each.mode != config::TlsMode::none &&
                        std::ranges::find(each.certificates, certificate) != each.certificates.end();
      if (does) who.push_back(std::string(direction) + "." + each.name);
    }
  };
  add("inbound", settings.inbound);
  add("outbound", settings.outbound);
  for (const auto& each : settings.outbound) {
    if (each.client_certificate == certificate) who.push_back("outbound." + each.name + ", to servers");
  }
  return who;
}

void add_certificates(status::Status& status, const Seen& seen) {
  const auto seconds = [](std::chrono::sys_seconds time) { return time.time_since_epoch().count(); };
  for (const tls::CertificateFacts& each : seen.runtime.contexts->certificates()) {
    status::Certificate certificate;
    certificate.name = each.name;
    certificate.subject = each.subject;
    certificate.not_before = seconds(each.not_before);
    certificate.not_after = seconds(each.not_after);
    const auto life = static_cast<double>(certificate.not_after - certificate.not_before);
    const auto left = static_cast<double>(certificate.not_after - status.now);
    certificate.share_left = life > 0 ? std::clamp(left / life, 0.0, 1.0) : 0;
    certificate.names = each.dns_names;
    certificate.served_by = who_serves(seen.runtime.settings, each.name);
    const auto state = seen.certificates.find(each.name);
    certificate.differs_from_disk = state != seen.certificates.end() && state->second.differs_from_disk;
    if (certificate.differs_from_disk) certificate.why = state->second.why;
    status.certificates.push_back(std::move(certificate));
  }
}

void add_process(status::Process& process, const Seen& seen) {
  process.workers = seen.workers;
  process.cpu_seconds = seen.usage.cpu_seconds;
  process.resident_bytes = seen.usage.resident_bytes;
  process.open_descriptors = seen.usage.open_descriptors;
  process.most_descriptors = seen.usage.most_descriptors;
  process.buffered_bytes = seen.runtime.tallies->buffered()->octets();
  process.buffer_limit_bytes = seen.runtime.settings.buffer_limit.bytes;
  process.log_lines_dropped = log::dropped();
  process.gateway_restarts = seen.counts.gateway_losses;
  process.resolver_restarts = seen.counts.resolver_losses;
}

}  // namespace

status::Status status_of(const Seen& seen, std::vector<std::string> troubles) {
  status::Status status;
  status.hostname = seen.runtime.hostname;
  status.version = POSTERN_VERSION;
  status.now = std::time(nullptr);
  status.started = static_cast<std::int64_t>(seen.usage.start_time);
  status.reloaded = seen.reloaded_at;
  status.reload_failed = seen.counts.reload_failed;
  status.troubles = std::move(troubles);
  add_process(status.process, seen);
  add_listeners(status, seen);
  add_certificates(status, seen);
  status.sandbox = {config::to_string(seen.sandbox.mode), seen.sandbox.files, seen.sandbox.calls, seen.sandbox.missing};
  const Worker::Drained& drained = seen.condition.drained;
  if (seen.draining) status.drained = {drained.by_themselves, drained.told, drained.cut};
  for (auto each = seen.events.rbegin(); each != seen.events.rend(); ++each) {
    status.events.push_back({each->time, to_string(each->kind), each->text});
  }
  status.dns = status::counts_of(seen.books.own(), "dns_queries_total", {}, 2);
  status.mta_sts = status::counts_of(seen.books.own(), "mta_sts_fetches_total");
  status.tls_reports = status::counts_of(seen.books.own(), "tls_report_sessions_total");
  return status;
}

}  // namespace postern::gateway
