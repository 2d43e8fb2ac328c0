#include <algorithm>
#include <cstdio>

#include "proxy/commands/commands.h"
#include "proxy/observe/log.h"
#include "proxy/probe/probe.h"
#include "proxy/probe/probe_report.h"
#include "proxy/resolver/launch.h"
#include "proxy/runtime/preflight.h"
#include "proxy/runtime/resolver_settings.h"

namespace postern::commands {

namespace {

constexpr int not_satisfied = 1;
constexpr int usage_error = 2;

// Without a configuration file: what a listener that says nothing would do.
runtime::Made defaults() {
  config::Loaded loaded;
  loaded.file = "defaults";
  auto& listener = loaded.settings.outbound.emplace_back();
  listener.name = "probe";
  listener.route = config::OutboundRoute::mx;
  listener.tls = loaded.settings.tls;
  return runtime::prepare(std::move(loaded));
}

// `name` empty: the first in the file. Null: there is none.
const runtime::Outbound* find_listener(const runtime::Runtime& runtime, const std::string& name) {
  const auto& in_file = runtime.settings.outbound;
  const auto found = runtime.outbound.find(name.empty() && !in_file.empty() ? in_file.front().name : name);
  return found == runtime.outbound.end() ? nullptr : &found->second;
}

// Everything a worker has, for one probe.
class ProbeRun {
 public:
  explicit ProbeRun(std::shared_ptr<const runtime::Runtime> runtime)
      : runtime_(std::move(runtime)),
        surroundings_{loop_,
                      scratch_,
                      effects_,
                      reaper_,
                      books_,
                      [](session::Session&) {},
                      [this](std::unique_ptr<stream::Stream> stream) { buried_.push_back(std::move(stream)); }} {
    loop_.at_end_of_turn([this] { buried_.clear(); });
  }

  Result<probe::ProbeReport> run(const runtime::Outbound& listener, const probe::ProbeTarget& target) {
    const auto own = resolver::OwnResolver::start(
        loop_, runtime::resolver_settings(runtime_->settings, runtime_->name_servers, runtime_->trust_anchor));
    if (!own) return tl::unexpected(own.error());
    surroundings_.resolver = &(*own)->client();
    const auto service = outbound::OutboundService::make(surroundings_, runtime_);
    probe::ProbeReport found;
    {
      const probe::Probe probe(surroundings_, *runtime_, *service, listener, target,
                               [&](const probe::ProbeReport& report) {
                                 found = report;
                                 loop_.stop();
                               });
      loop_.run();
    }
    service->stop();
    buried_.clear();
    return found;
  }

 private:
  std::shared_ptr<const runtime::Runtime> runtime_;
  net::Loop loop_;
  stream::Scratch scratch_;
  smtp::Effects effects_;
  net::ChildReaper reaper_;
  observe::Books books_;
  std::vector<std::unique_ptr<stream::Stream>> buried_;
  session::Surroundings surroundings_;
};

}  // namespace

int command_probe(const ProbeOptions& options) {
  const auto target = probe::parse_probe_target(options.target);
  if (!target) {
    std::fprintf(stderr, "postern: probe %s: %s\n", options.target.c_str(), target.error().message.c_str());
    return usage_error;
  }
  const runtime::Made made = options.config.empty() ? defaults() : runtime::prepare(options.config);
  runtime::print_diagnostics(made.loaded);
  if (made.runtime == nullptr) return not_satisfied;
  const auto* const listener = find_listener(*made.runtime, options.listener);
  if (listener == nullptr) {
    std::fprintf(stderr, "postern: probe: %s has no such outbound listener\n", options.config.c_str());
    return usage_error;
  }
  // Whoever asks is not who runs the service: files of theirs would be in its way.
  equip(*made.runtime, policy::MtaStsStore::Access::read_only);
  const auto report = ProbeRun(made.runtime).run(*listener, *target);
  if (!report) {
    std::fprintf(stderr, "postern: probe: %s\n", report.error().message.c_str());
    return not_satisfied;
  }
  const std::string text = options.json ? print_probe_json(*report) : print_probe(*report);
  std::fputs(text.c_str(), stdout);
  return report->verdict.satisfied ? 0 : not_satisfied;
}

}  // namespace postern::commands
