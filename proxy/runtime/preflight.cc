#include "proxy/runtime/preflight.h"

#include <sys/stat.h>

#include <cstdio>
#include <utility>

#include "config/files.h"
#include "proxy/observe/log.h"
#include "proxy/process/host_name.h"
#include "proxy/process/privileges.h"
#include "proxy/resolver/launch.h"
#include "proxy/runtime/machine_check.h"
#include "proxy/runtime/needs.h"
#include "proxy/runtime/resolver_settings.h"

namespace postern::runtime {

namespace {

void try_dns(config::Loaded& loaded, const dns::NameServers& servers, const dns::TrustAnchor& anchor) {
  resolver::Settings tried = resolver_settings(loaded.settings, servers, anchor);
  tried.user.clear();
  const auto report = resolver::try_settings(tried);
  if (!report) {
    loaded.add_error(loaded.settings.outbound.empty() ? "inbound" : "outbound", report.error().message);
  } else if (is_refusal(report->kind)) {
    const bool by_anchor = report->kind == resolver::Report::Kind::anchor_refused;
    loaded.add_error(by_anchor ? "dns.trust_anchor" : "dns", report->text);
  }
}

// Whether names can be looked up at all. What serves already is not tried again.
dns::NameServers check_dns(config::Loaded& loaded, const dns::TrustAnchor& anchor, const Runtime* previous) {
  auto servers = needs(loaded.settings).trust_anchor ? name_servers_of(loaded) : dns::NameServers();
  if (!servers) {
    loaded.add_error("dns", servers.error().message);
    return {};
  }
  const bool serves = previous != nullptr && looks_up(needs(previous->settings)) &&
                      dns::are_the_same(previous->name_servers, *servers) && previous->trust_anchor == anchor;
  if (!serves) try_dns(loaded, *servers, anchor);
  return std::move(*servers);
}

// What we call ourselves is what this machine is called, unless `hostname` says otherwise.
void check_host_name(config::Loaded& loaded) {
  if (!loaded.settings.hostname.empty()) return;
  if (const auto name = process::unusable_host_name()) {
    loaded.add_warning("hostname", "this machine is called '" + *name +
                                       "', which is no domain name, so that replies and EHLO say "
                                       "localhost.localdomain: set hostname");
  }
}

void check_state_directory(config::Loaded& loaded) {
  const std::string& path = loaded.settings.state_directory;
  struct stat found {};
  if (path.empty()) return;
  if (::stat(path.c_str(), &found) != 0 || !S_ISDIR(found.st_mode)) {
    loaded.add_error("state_directory",
                     path + " is not a directory: create it, owned by the user that Postern runs as");
  }
}

void check_user(config::Loaded& loaded) {
  const std::string& user = loaded.settings.user;
  if (user.empty()) return;
  if (const auto found = process::find_user(user); !found) loaded.add_error("user", found.error().message);
}

}  // namespace

Made prepare(const std::string& file, const Runtime* previous) {
  return prepare(config::load_file(file, config::process_environment()), previous);
}

Made prepare(config::Loaded loaded, const Runtime* previous) {
  config::Files files;
  return prepare(std::move(loaded), files, previous);
}

Made prepare(config::Loaded loaded, config::Files& files, const Runtime* previous) {
  if (!loaded.ok()) return {std::move(loaded), nullptr, {}};  // the settings are not to be used
  check_user(loaded);
  check_host_name(loaded);
  check_state_directory(loaded);
  check_programs(loaded);
  files = config::read_files(loaded);
  Made made = make_runtime(std::move(loaded), files, previous);
  if (looks_up(needs(made.loaded.settings))) {
    auto servers = check_dns(made.loaded, made.trust_anchor, previous);
    if (made.runtime != nullptr) made.runtime->name_servers = std::move(servers);
  }
  if (!made.loaded.ok()) made.runtime = nullptr;
  return made;
}

Made prepare_again(config::Loaded loaded, const config::Files& files, const Runtime& previous) {
  if (!loaded.ok()) return {std::move(loaded), nullptr, {}};
  Made made = make_runtime(std::move(loaded), files, &previous);
  if (looks_up(needs(made.loaded.settings)) && made.trust_anchor != previous.trust_anchor) {
    try_dns(made.loaded, previous.name_servers, made.trust_anchor);
  }
  if (!made.loaded.ok()) made.runtime = nullptr;
  return made;
}

Result<dns::NameServers> name_servers_of(const config::Loaded& loaded) {
  const config::Place place = loaded.place_of("dns.servers");
  return dns::find_name_servers(loaded.settings.dns,
                                "dns.servers at " + loaded.file + ":" + std::to_string(place.line));
}

void log_diagnostics(const config::Loaded& loaded) {
  if (loaded.settings.log.format == config::LogFormat::text) return print_diagnostics(loaded);
  for (const config::Diagnostic& diagnostic : loaded.diagnostics) {
    const bool is_error = diagnostic.severity == config::Diagnostic::Severity::error;
    std::vector<log::Field> fields = {{"file", diagnostic.file}};
    if (diagnostic.place.line != 0) {
      fields.emplace_back("line", diagnostic.place.line);
      fields.emplace_back("column", diagnostic.place.column);
    }
    fields.emplace_back("reason", diagnostic.message);
    log::write(is_error ? config::LogLevel::error : config::LogLevel::warning, "configuration", fields);
  }
}

void print_diagnostics(const config::Loaded& loaded) {
  for (const config::Diagnostic& diagnostic : loaded.diagnostics) {
    std::fprintf(stderr, "%s\n", config::to_string(diagnostic).c_str());
  }
}

}  // namespace postern::runtime
