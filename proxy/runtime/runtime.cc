#include "proxy/runtime/runtime.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <utility>

#include "proxy/observe/log.h"
#include "proxy/process/host_name.h"
#include "proxy/runtime/preflight.h"
#include "tls/tlsa.h"

namespace postern::runtime {

namespace {

// A path is no file name, so its digest is: 64 bits of it, as whoever wrote the path is the operator.
std::string mta_sts_directory(const std::string& state_directory, const std::string& ca_file) {
  if (state_directory.empty() || ca_file == "system") return state_directory;
  std::string directory = state_directory + "/ca-";
  for (const char octet : tls::sha256(ca_file).substr(0, 8)) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(static_cast<unsigned char>(octet)));
    directory += digits;
  }
  return directory;
}

bool intercepts(const config::Settings& settings) {
  return std::ranges::any_of(settings.outbound, [](const auto& listener) {
    return listener.route == config::OutboundRoute::original_destination;
  });
}

std::string own_name() {
  return process::host_name([](const std::string& host, bool given_up) {
    log::warning(
        given_up ? "DNS does not tell this machine's full name" : "waiting for DNS to tell this machine's full name",
        {{"host", host}, {"remedy", "set hostname in the configuration, or give the name in /etc/hosts"}});
  });
}

}  // namespace

std::vector<std::shared_ptr<policy::MtaStsStore>> open_mta_sts_stores(const config::Settings& settings,
                                                                      policy::MtaStsStore::Access access,
                                                                      const Runtime* previous) {
  const auto now = std::chrono::floor<std::chrono::seconds>(policy::Clock::now());
  const auto complain = [](const Error& error) {
    log::warning("MTA-STS policies in state_directory", {{"reason", error.message}});
  };
  std::map<std::string, std::shared_ptr<policy::MtaStsStore>> by_ca_file;
  if (previous != nullptr && previous->settings.state_directory == settings.state_directory) {
    for (std::size_t i = 0; i < previous->mta_sts.size(); ++i) {
      by_ca_file[previous->settings.outbound[i].ca_file] = previous->mta_sts[i];
    }
  }
  std::vector<std::shared_ptr<policy::MtaStsStore>> stores;
  for (const auto& listener : settings.outbound) {
    auto& store = by_ca_file[listener.ca_file];
    if (!store) {
      store = std::make_shared<policy::MtaStsStore>(mta_sts_directory(settings.state_directory, listener.ca_file), now,
                                                    access, complain);
    }
    stores.push_back(store);
  }
  return stores;
}

std::shared_ptr<Runtime> make_runtime(Prepared prepared, policy::MtaStsStore::Access access, const Runtime* previous) {
  auto runtime = std::make_shared<Runtime>();
  runtime->settings = std::move(prepared.loaded.settings);
  runtime->contexts = std::move(prepared.contexts);
  runtime->trust_anchor = std::move(prepared.trust_anchor);
  runtime->name_servers = std::move(prepared.name_servers);
  runtime->hostname = runtime->settings.hostname.empty() ? own_name() : runtime->settings.hostname;
  for (const auto& listener : runtime->settings.outbound) {
    runtime->policies.emplace_back(listener, runtime->settings.tls);
  }
  runtime->mta_sts = open_mta_sts_stores(runtime->settings, access, previous);
  if (previous != nullptr) {
    runtime->own_connections = previous->own_connections;
    runtime->fitness =
        previous->fitness;  // of the name servers, which only a restart changes: what was fit is remembered
  }
  if (!runtime->own_connections && intercepts(runtime->settings)) {
    runtime->own_connections = std::make_shared<net::OwnConnections>();
  }
  return runtime;
}

}  // namespace postern::runtime
