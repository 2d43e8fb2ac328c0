// What the operator demands of remote servers: an outbound listener and the rows of its `policies`, worked out once for
// a snapshot. Immutable; refers to nothing of the settings.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "config/settings.h"
#include "proxy/policy/decision.h"

namespace postern::policy {

class PolicyTable {
 public:
  struct Row {
    std::optional<std::size_t> number;  // in `policies`, and of its TLS parameters; nothing: the listener's own
    std::vector<config::DomainPattern> match;
    LocalPolicy local;
    config::TlsVersion min_version = config::TlsVersion::tls1_2;
    config::TlsVersion max_version = config::TlsVersion::tls1_3;
    bool own_groups = false;

    // A TLS session of that version, made by another row's parameters, is one that these could have made.
    bool could_have_made(config::TlsVersion version) const {
      return !own_groups && min_version <= version && version <= max_version;
    }
  };

  // `tls` are the global settings, which rows overlay.
  PolicyTable(const config::OutboundListener& listener, const config::TlsSettings& tls);

  // The first row that matches the recipient's domain, else the listener's own.
  const Row& row_for(std::string_view domain) const;
  const Row& listener() const { return rows_.back(); }
  // Before any recipient is known: TLS if it can be had. What is demanded shows at RCPT, and is answered there.
  const Row& opening() const { return opening_; }
  // Some row honours MTA-STS.
  bool wants_mta_sts() const;

  // Why a route leads nowhere, with the reply that the client gets. A relay that cannot be found is the operator's
  // mistake, not the recipient's: never permanent.
  std::optional<Blocker> blocker_of(const Route& route) const;

 private:
  bool to_relay_ = false;
  std::vector<Row> rows_;  // those of `policies`, and the listener's own
  Row opening_;
};

}  // namespace postern::policy
