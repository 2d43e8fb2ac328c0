#include "proxy/preflight.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "proxy/dns/make_resolver.h"
#include "proxy/net/loop.h"
#include "proxy/process/privileges.h"
#include "proxy/process/secret_file.h"

namespace postern {

namespace {

bool wants_dane(const config::OutboundListener& listener) {
  using config::TlsLevel;
  const auto by_level = [](TlsLevel level) { return level == TlsLevel::dane || level == TlsLevel::dane_only; };
  return listener.dane || by_level(listener.level) || std::ranges::any_of(listener.policies, [&](const auto& policy) {
           return policy.level && by_level(*policy.level);
         });
}

// Whether DNS can be asked at all, and whether DNSSEC can prove anything.
void check_dns(config::Loaded& loaded) {
  const auto& dns = loaded.settings.dns;
  const bool given = loaded.place_of("dns.trust_anchor").line != 0;
  const bool there = ::access(dns.trust_anchor.c_str(), F_OK) == 0;
  if (!there && given) loaded.add_error("dns.trust_anchor", dns.trust_anchor + " does not exist");
  if (!there && !given && std::ranges::any_of(loaded.settings.outbound, wants_dane)) {
    loaded.add_warning("outbound", "there is no trust anchor for DNSSEC (" + dns.trust_anchor +
                                       "), so DANE protects nothing: install dns-root-data, or set dns.trust_anchor");
  }
  net::Loop loop;
  const auto resolver = dns::make_resolver(loop.raw(), dns);
  if (!resolver) loaded.add_error(given ? "dns.trust_anchor" : "dns", resolver.error().message);
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

Prepared prepare(const std::string& file) {
  return prepare(config::load_file(file, config::process_environment()));
}

Prepared prepare(config::Loaded from) {
  Prepared prepared{std::move(from), nullptr};
  config::Loaded& loaded = prepared.loaded;
  if (!loaded.ok()) return prepared;  // the settings are not to be used

  if (const std::string& user = loaded.settings.user; !user.empty()) {
    if (const auto found = process::find_user(user); !found) loaded.add_error("user", found.error().message);
  }
  if (!loaded.settings.outbound.empty()) check_dns(loaded);
  check_state_directory(loaded);
  check_secrets(loaded);
  prepared.contexts = tls::Contexts::build(loaded);
  if (!loaded.ok()) prepared.contexts = nullptr;
  return prepared;
}

std::shared_ptr<policy::MtaStsStore> open_mta_sts_store(const config::Settings& settings) {
  const auto now = std::chrono::floor<std::chrono::seconds>(policy::Clock::now());
  return std::make_shared<policy::MtaStsStore>(settings.state_directory, now);
}

void print_diagnostics(const config::Loaded& loaded) {
  for (const config::Diagnostic& diagnostic : loaded.diagnostics) {
    std::fprintf(stderr, "%s\n", config::to_string(diagnostic).c_str());
  }
}

}  // namespace postern
