#include "proxy/keeper/prepared.h"

#include <utility>

#include "proxy/keeper/signers.h"
#include "proxy/observe/log.h"
#include "proxy/runtime/machine_check.h"
#include "proxy/runtime/needs.h"
#include "proxy/runtime/preflight.h"

namespace postern::keeper {

namespace {

void warn_of_dane(const runtime::Runtime& runtime) {
  if (!runtime.trust_anchor.empty() || !runtime::needs(runtime.settings).dane) return;
  log::warning("DANE cannot be used", {{"reason", "there is no trust anchor for DNSSEC"},
                                       {"trust_anchor", runtime.settings.dns.trust_anchor}});
}

}  // namespace

Preparation prepare(config::Loaded loaded, const runtime::Runtime* previous) {
  if (previous == nullptr) log::set_early_format(loaded.settings.log.format);
  config::Files files;
  runtime::Made made = runtime::prepare(std::move(loaded), files, previous);
  if (made.runtime != nullptr) runtime::check_root(made.loaded);
  runtime::log_diagnostics(made.loaded);
  if (made.runtime == nullptr) return {std::nullopt, std::move(made.loaded.diagnostics)};

  const config::LogSettings& wanted = made.runtime->settings.log;
  if (previous == nullptr) log::start(wanted.level, wanted.format, log::queue_of_events);
  find_own_name(*made.runtime);
  warn_of_dane(*made.runtime);
  Digests digests = digests_of(files);  // before keys are taken out of them
  signing::Keys keys;
  if (made.runtime->settings.private_keys == config::PrivateKeys::separate) keys = take_keys(made.loaded, files);
  Bundle bundle{.name = made.loaded.file,
                .text = std::move(made.loaded.text),
                .variables = std::move(made.loaded.variables),
                .hostname = made.runtime->hostname,
                .name_servers = made.runtime->name_servers,
                .files = std::move(files)};
  return {Prepared{std::move(made.runtime), std::move(bundle), std::move(keys), std::move(digests)},
          std::move(made.loaded.diagnostics)};
}

}  // namespace postern::keeper
