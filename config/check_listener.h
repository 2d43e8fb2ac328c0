// What the rules for inbound and for outbound listeners have in common.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/extensions.h"
#include "config/load.h"

namespace postern::config {

// "listen[0]"
std::string at(const std::string& path, std::size_t index);

// What this gateway listens on, to find out whether an address leads back to it.
class ListenAddresses {
 public:
  void add(const std::vector<Endpoint>& addresses) { addresses_.insert(addresses.begin(), addresses.end()); }
  bool reached_by(const Endpoint& address) const;

 private:
  std::set<Endpoint> addresses_;
};

// A range of TLS versions whose options stand below `path`. Speaks up only about what was given there. `peer` is who
// may need an old version.
void check_versions(Loaded& loaded, const std::string& path, TlsVersion min, TlsVersion max, std::string_view peer);

class ListenerCheck {
 protected:
  ListenerCheck(Loaded& loaded, std::string path) : loaded_(loaded), path_(std::move(path)) {}

  std::string at_key(const std::string& key) const { return path_ + "." + key; }
  bool given(const std::string& key) const { return loaded_.place_of(at_key(key)).line != 0; }
  bool wrong(const std::string& key) const { return loaded_.is_wrong(at_key(key)); }
  void error(const std::string& key, const std::string& message);
  void warning(const std::string& key, const std::string& message);

  void certificates(TlsMode mode, const std::vector<std::string>& names);
  void certificate_exists(const std::string& key, const std::string& name);
  void ehlo(TlsMode mode, const EhloSettings& ehlo, Direction direction);
  void versions(TlsVersion min, TlsVersion max) { check_versions(loaded_, path_, min, max, "client"); }

  Loaded& loaded_;
  const std::string path_;

 private:
  std::string certificate_meant_by(const std::string& name) const;
  void added_keyword(const std::string& key, const std::string& keyword, Direction direction);
  void passed_keyword(const std::string& key, const std::string& keyword, Direction direction);
};

// `own_addresses`: those that lead to an inbound listener.
void check_limits(Loaded& loaded, const std::string& path, const Limits& limits);

void check_inbound(Loaded& loaded, const InboundListener& listener, const ListenAddresses& own_addresses);
// `own_addresses`: those that lead to any listener.
void check_outbound(Loaded& loaded, const OutboundListener& listener, const ListenAddresses& own_addresses);

}  // namespace postern::config
