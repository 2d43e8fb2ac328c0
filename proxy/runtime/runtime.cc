#include "proxy/runtime/runtime.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "config/text.h"
#include "proxy/observe/log.h"
#include "proxy/process/host_name.h"
#include "proxy/runtime/needs.h"
#include "tls/ticket_keys.h"
#include "tls/tlsa.h"

namespace postern::runtime {

namespace {

policy::Time now() {
  return std::chrono::floor<std::chrono::seconds>(policy::Clock::now());
}

// One snapshot in the making.
class Builder {
 public:
  Builder(config::Loaded& loaded, const config::Files& files, const Runtime* previous)
      : loaded_(loaded), files_(files), previous_(previous) {}

  dns::TrustAnchor trust_anchor();
  std::shared_ptr<Runtime> build(const dns::TrustAnchor& anchor);

 private:
  void check_secrets();
  void check_secret(const std::string& option, const std::string& path);
  void add_listeners();
  void take_over();
  void keep_secrets();
  std::shared_ptr<process::Secret> secret_of(const config::OutboundListener& listener) const;
  std::shared_ptr<policy::MtaStsStore> known_store(const std::string& ca_file) const;

  config::Loaded& loaded_;
  const config::Files& files_;
  const Runtime* previous_;
  std::shared_ptr<Runtime> made_ = std::make_shared<Runtime>();
};

// All of them look, so that the operator hears of every mistake at once.
std::shared_ptr<Runtime> Builder::build(const dns::TrustAnchor& anchor) {
  check_secrets();
  made_->contexts = tls::Contexts::build(loaded_, files_, previous_ != nullptr ? previous_->contexts.get() : nullptr);
  if (!loaded_.ok()) return nullptr;
  made_->settings = loaded_.settings;
  made_->trust_anchor = anchor;
  take_over();
  keep_secrets();
  add_listeners();
  return std::move(made_);
}

// Whether DNSSEC can prove anything. Only the default file may be absent.
dns::TrustAnchor Builder::trust_anchor() {
  const std::string& path = loaded_.settings.dns.trust_anchor;
  const bool given = loaded_.place_of("dns.trust_anchor").line != 0;
  const auto& file = files_.at(path);
  auto anchor = file.and_then([](const config::File& read) { return dns::parse_trust_anchor(read.content); });
  if (anchor) return std::move(*anchor);
  const bool absent = !given && !file && file.error().code == Errc::not_found;
  const Needs wanted = needs(loaded_.settings);
  const auto warn = [&](const char* where, const char* what) {
    loaded_.add_warning(where, std::string(what) + ": there is no trust anchor for DNSSEC (" + path +
                                   "): install dns-root-data, or set dns.trust_anchor");
  };
  const auto holds = [](const config::InboundListener& listener) {
    return listener.mode != config::TlsMode::none && listener.guard == config::Guard::hold;
  };
  if (absent && wanted.dane) warn("outbound", "DANE cannot be used");
  if (absent && std::ranges::any_of(loaded_.settings.inbound, holds)) {
    warn("inbound", "guard: hold holds nothing back");
  }
  if (!absent && (given || wanted.trust_anchor)) {
    loaded_.add_error("dns.trust_anchor", (file ? path + ": " : std::string()) + anchor.error().message);
  }
  return {};
}

void Builder::check_secrets() {
  for (const auto& listener : loaded_.settings.outbound) {
    if (!listener.relay.auth) continue;
    const std::string auth = "outbound." + listener.name + ".relay.auth.";
    check_secret(auth + "password_file", listener.relay.auth->password_file);
    check_secret(auth + "token_file", listener.relay.auth->token_file);
  }
}

void Builder::check_secret(const std::string& option, const std::string& path) {
  if (path.empty()) return;
  const auto secret = process::secret_in(path, files_.at(path));
  if (!secret) loaded_.add_error(option, secret.error().message);
}

void Builder::take_over() {
  made_->hostname = made_->settings.hostname;
  made_->tallies = previous_ != nullptr ? previous_->tallies : std::make_shared<limits::Tallies>();
  if (previous_ == nullptr) return;
  if (made_->hostname.empty() && previous_->settings.hostname.empty()) made_->hostname = previous_->hostname;
  made_->own_connections = previous_->own_connections;
  // Unless others are asked, which whoever finds them knows: what was fit is remembered.
  made_->fitness = previous_->fitness;
  made_->name_servers = previous_->name_servers;
}

// Sessions of the snapshot before have the same objects, so that they hear of what is new, too.
void Builder::keep_secrets() {
  for (const auto& listener : made_->settings.outbound) {
    const auto& auth = listener.relay.auth;
    if (!auth) continue;
    const std::string& path = auth->password_file.empty() ? auth->token_file : auth->password_file;
    auto& secret = made_->secrets[path];
    if (secret == nullptr && previous_ != nullptr) {
      if (const auto known = previous_->secrets.find(path); known != previous_->secrets.end()) secret = known->second;
    }
    if (secret == nullptr) secret = std::make_shared<process::Secret>(path);
    secret->renew(files_.at(path));
  }
}

std::shared_ptr<process::Secret> Builder::secret_of(const config::OutboundListener& listener) const {
  const auto& auth = listener.relay.auth;
  return auth ? made_->secrets.at(auth->password_file.empty() ? auth->token_file : auth->password_file) : nullptr;
}

// Null: it is to be opened.
std::shared_ptr<policy::MtaStsStore> Builder::known_store(const std::string& ca_file) const {
  const std::string& directory = made_->settings.state_directory;
  if (previous_ != nullptr && previous_->settings.state_directory == directory) {
    const auto known = previous_->mta_sts.find(ca_file);
    if (known != previous_->mta_sts.end()) return known->second;
  }
  return directory.empty() ? std::make_shared<policy::MtaStsStore>(directory, now()) : nullptr;
}

void Builder::add_listeners() {
  const config::Settings& settings = made_->settings;
  const tls::Contexts& contexts = *made_->contexts;
  for (const auto& listener : settings.inbound) {
    made_->inbound.emplace(listener.name, Inbound{listener, made_->tallies->of("inbound", listener.name),
                                                  contexts.server(listener.name), contexts.backend(listener.name)});
  }
  for (const auto& listener : settings.outbound) {
    made_->outbound.emplace(
        listener.name,
        Outbound{listener, made_->tallies->of("outbound", listener.name), contexts.outbound_server(listener.name),
                 contexts.remote(listener.name), policy::PolicyTable(listener, settings.tls), secret_of(listener)});
    auto& store = made_->mta_sts[listener.ca_file];
    if (store == nullptr) store = known_store(listener.ca_file);
  }
  if (!made_->own_connections && needs(settings).own_connections) {
    made_->own_connections = std::make_shared<net::OwnConnections>();
  }
}

std::string own_name() {
  return process::host_name([](const std::string& host, bool given_up) {
    log::warning(
        given_up ? "DNS does not tell this machine's full name" : "waiting for DNS to tell this machine's full name",
        {{"host", host}, {"remedy", "set hostname in the configuration, or give the name in /etc/hosts"}});
  });
}

}  // namespace

Made make_runtime(config::Loaded loaded, const config::Files& files, const Runtime* previous) {
  Made made{std::move(loaded), nullptr, {}};
  Builder builder(made.loaded, files, previous);
  made.trust_anchor = builder.trust_anchor();
  made.runtime = builder.build(made.trust_anchor);
  return made;
}

void find_own_name(Runtime& runtime) {
  if (runtime.hostname.empty()) runtime.hostname = own_name();
}

void equip(Runtime& runtime, policy::MtaStsStore::Access access) {
  find_own_name(runtime);
  const auto complain = [](const Error& error) {
    log::warning("MTA-STS policies in state_directory", {{"reason", error.message}});
  };
  for (auto& [ca_file, store] : runtime.mta_sts) {
    if (store != nullptr) continue;
    store = std::make_shared<policy::MtaStsStore>(mta_sts_directory(runtime.settings.state_directory, ca_file), now(),
                                                  access, complain);
  }
}

// A path is no file name, so its digest is: 64 bits of it, as whoever wrote the path is the operator.
std::string mta_sts_directory(const std::string& state_directory, const std::string& ca_file) {
  if (state_directory.empty() || ca_file == config::system_authorities) return state_directory;
  std::string directory = state_directory + "/ca-";
  for (const char octet : tls::sha256(ca_file).substr(0, 8)) {
    config::append_hex(directory, static_cast<unsigned char>(octet), 2);
  }
  return directory;
}

std::vector<LiveFile> live_files(const Runtime& runtime) {
  std::vector<LiveFile> files;
  for (const auto& [path, secret] : runtime.secrets) {
    files.push_back(
        {path, config::FileUse::secret, [secret = secret](const Result<config::File>& read) -> Result<bool> {
           const bool changed = secret->renew(read);
           const auto now = secret->now();
           return now ? Result<bool>(changed) : tl::unexpected(now.error());
         }});
  }
  for (const auto& [path, keys] : runtime.contexts->shared_ticket_keys()) {
    files.push_back({path, config::FileUse::ticket_keys,
                     [path = path, keys = keys](const Result<config::File>& read) -> Result<bool> {
                       return read ? keys->renew(path, read->content) : tl::unexpected(read.error());
                     }});
  }
  return files;
}

}  // namespace postern::runtime
