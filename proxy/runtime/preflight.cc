#include "proxy/runtime/preflight.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "config/file.h"
#include "config/levels.h"
#include "proxy/dns/make_resolver.h"
#include "proxy/net/loop.h"
#include "proxy/observe/log.h"
#include "proxy/process/host_name.h"
#include "proxy/process/privileges.h"
#include "proxy/process/secret_file.h"
#include "proxy/runtime/machine_check.h"

namespace postern::runtime {

namespace {

bool listener_wants_dane(const config::OutboundListener& listener) {
  const auto by_level = [](config::TlsLevel level) { return config::row_of(level).wants_dane(); };
  return listener.dane || by_level(listener.level) || std::ranges::any_of(listener.policies, [&](const auto& policy) {
           return policy.level && by_level(*policy.level);
         });
}

constexpr std::size_t max_trust_anchor_file = std::size_t{1} << 20U;

Result<dns::TrustAnchor> read_trust_anchor(const std::string& path) {
  const auto file = config::read_file(path, max_trust_anchor_file);
  if (!file) return tl::unexpected(file.error());
  auto anchor = dns::parse_trust_anchor(file->content);
  if (!anchor) return fail(anchor.error().code, path + ": " + anchor.error().message);
  return anchor;
}

// Whether DNSSEC can prove anything. Only the default file may be absent.
dns::TrustAnchor check_trust_anchor(config::Loaded& loaded) {
  const std::string& path = loaded.settings.dns.trust_anchor;
  const bool given = loaded.place_of("dns.trust_anchor").line != 0;
  auto anchor = read_trust_anchor(path);
  if (anchor) return std::move(*anchor);
  const bool absent = !given && anchor.error().code == Errc::not_found;
  if (absent && wants_dane(loaded.settings)) {
    loaded.add_warning("outbound", "DANE cannot be used: there is no trust anchor for DNSSEC (" + path +
                                       "): install dns-root-data, or set dns.trust_anchor");
  }
  const bool needed = given || !loaded.settings.outbound.empty();
  if (!absent && needed) loaded.add_error("dns.trust_anchor", anchor.error().message);
  return {};
}

// Whether DNS can be asked at all.
dns::NameServers check_dns(config::Loaded& loaded, const dns::TrustAnchor& anchor) {
  auto servers = name_servers_of(loaded);
  if (!servers) {
    loaded.add_error("dns", servers.error().message);
    return {};
  }
  net::Loop loop;
  const auto resolver = dns::make_resolver(loop.raw(), *servers, anchor);
  if (!resolver) loaded.add_error(anchor.empty() ? "dns" : "dns.trust_anchor", resolver.error().message);
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

void check_secrets(config::Loaded& loaded) {
  for (const auto& listener : loaded.settings.outbound) {
    const auto& auth = listener.relay.auth;
    if (!auth) continue;
    for (const auto& [key, file] :
         {std::pair("password_file", auth->password_file), {"token_file", auth->token_file}}) {
      if (file.empty()) continue;
      const auto secret = process::read_secret_file(file);
      const std::string path = "outbound." + listener.name + ".relay.auth." + key;
      if (!secret) loaded.add_error(path, secret.error().message);
    }
  }
}

}  // namespace

Prepared prepare(const std::string& file, const tls::Contexts* previous) {
  return prepare(config::load_file(file, config::process_environment()), previous);
}

Prepared prepare(config::Loaded from, const tls::Contexts* previous) {
  Prepared prepared{std::move(from), nullptr, {}, {}};
  config::Loaded& loaded = prepared.loaded;
  if (!loaded.ok()) return prepared;  // the settings are not to be used

  if (const std::string& user = loaded.settings.user; !user.empty()) {
    if (const auto found = process::find_user(user); !found) loaded.add_error("user", found.error().message);
  }
  check_host_name(loaded);
  prepared.trust_anchor = check_trust_anchor(loaded);
  if (!loaded.settings.outbound.empty()) prepared.name_servers = check_dns(loaded, prepared.trust_anchor);
  check_state_directory(loaded);
  check_secrets(loaded);
  check_programs(loaded);
  prepared.contexts = tls::Contexts::build(loaded, previous);
  if (!loaded.ok()) prepared.contexts = nullptr;
  return prepared;
}

Result<dns::NameServers> name_servers_of(const config::Loaded& loaded) {
  const config::Place place = loaded.place_of("dns.servers");
  return dns::find_name_servers(loaded.settings.dns,
                                "dns.servers at " + loaded.file + ":" + std::to_string(place.line));
}

bool wants_dane(const config::Settings& settings) {
  return std::ranges::any_of(settings.outbound, listener_wants_dane);
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
