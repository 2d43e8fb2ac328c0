#include "config/check.h"

#include <algorithm>
#include <map>

#include "config/check_listener.h"

namespace postern::config {
namespace {

// Two sockets on one address would share its clients by chance. Port 0 is a new one each time.
class DistinctAddresses {
 public:
  explicit DistinctAddresses(Loaded& loaded) : loaded_(loaded) {}

  void add(const std::string& listener_path, const std::vector<Endpoint>& listen) {
    for (std::size_t i = 0; i < listen.size(); ++i) add(at(listener_path + ".listen", i), listen[i]);
  }
  void add(const std::string& path, const Endpoint& listen) {
    if ((listen.kind == Endpoint::Kind::ip && listen.port == 0) || loaded_.is_wrong(path)) return;
    const auto [first, is_new] = seen_.emplace(listen, path);
    if (is_new) return;
    loaded_.add_error(path, path + ": " + quote(to_string(listen)) + " is given twice: the first is " + first->second +
                                " on line " + std::to_string(loaded_.place_of(first->second).line));
  }

 private:
  Loaded& loaded_;
  std::map<Endpoint, std::string> seen_;
};

void check_listen_addresses(Loaded& loaded) {
  DistinctAddresses addresses(loaded);
  for (const InboundListener& l : loaded.settings.inbound) addresses.add("inbound." + l.name, l.listen);
  for (const OutboundListener& l : loaded.settings.outbound) addresses.add("outbound." + l.name, l.listen);
  if (loaded.settings.admin.listen) addresses.add("admin.listen", *loaded.settings.admin.listen);
}

void check_listeners(Loaded& loaded) {
  const Settings& s = loaded.settings;
  ListenAddresses own;
  for (const InboundListener& listener : s.inbound) own.add(listener.listen);
  for (const InboundListener& listener : s.inbound) {
    check_inbound(loaded, listener, own);
    check_limits(loaded, "inbound." + listener.name, listener.limits);
  }
  for (const OutboundListener& listener : s.outbound) own.add(listener.listen);
  for (const OutboundListener& listener : s.outbound) {
    check_outbound(loaded, listener, own);
    check_limits(loaded, "outbound." + listener.name, listener.limits);
  }
}

void check_any_listener(Loaded& loaded) {
  const Settings& s = loaded.settings;
  const bool wrong = loaded.is_wrong("inbound") || loaded.is_wrong("outbound") || loaded.wrong.contains("");
  if (!s.inbound.empty() || !s.outbound.empty() || wrong) return;
  loaded.add_error("inbound", "there is no listener: give at least one under 'inbound' or 'outbound'");
}

// `postern probe` and `postern tlsa` look at these, too, so that they need not be a mistake.
void check_used(Loaded& loaded) {
  const Settings& s = loaded.settings;
  if (s.inbound.empty() || !s.outbound.empty() || loaded.is_wrong("outbound")) return;
  const bool guarded = std::ranges::any_of(s.inbound, [&s](const auto& listener) { return is_guarded(listener, s); });
  for (const std::string path : {"dns.servers", "dns.trust_anchor", "state_directory"}) {
    if (guarded && path != "state_directory") continue;
    if (loaded.place_of(path).line == 0 || loaded.is_wrong(path)) continue;
    loaded.add_warning(path, path + ": no listener uses it, since there is none under 'outbound'");
  }
}

void check_drain(Loaded& loaded) {
  const DrainSettings& drain = loaded.settings.drain;
  if (drain.spread <= drain.timeout || loaded.is_wrong("drain.spread") || loaded.is_wrong("drain.timeout")) return;
  loaded.add_error("drain.spread", "drain.spread: some would never be told, since all ends after drain.timeout, " +
                                       to_string(drain.timeout));
}

}  // namespace

void check(Loaded& loaded) {
  const TlsSettings& tls = loaded.settings.tls;
  check_any_listener(loaded);
  check_versions(loaded, "tls", tls.min_version, tls.max_version, "peer");
  check_listeners(loaded);
  check_listen_addresses(loaded);
  check_used(loaded);
  check_drain(loaded);
}

}  // namespace postern::config
