// TLSA records for our own certificates: which to publish, under which names, and whether those that are published fit.
#pragma once

#include <cstdint>
#include <ctime>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "config/settings.h"
#include "tls/contexts.h"
#include "tls/tlsa.h"
#include "tls/verify_dane.h"

namespace postern::tls {

// What to publish for a chain (DER, leaf first): 3 1 1 of the leaf, and 2 1 1 of the last of its CAs, if it has any,
// which lives on when the leaf gets a new key.
std::vector<TlsaRecord> records_to_publish(std::span<const std::string> chain);

// A host and port at which certificates of ours are shown.
struct TlsaPlace {
  std::string host;  // lower case; "*.example.org" where a certificate has nothing better
  std::uint16_t port = 25;
  auto operator<=>(const TlsaPlace&) const = default;

  bool is_wildcard() const { return host.starts_with("*."); }
  std::string owner() const;  // "_25._tcp.mx.example.org"
};

struct TlsaWishes {
  std::vector<std::string> hosts;    // these alone, and wildcards stand for them; empty: all that certificates name
  std::vector<std::uint16_t> ports;  // empty: those of the inbound listeners that show the certificate, or 25
};

// Every place, with the certificates shown there: their positions in `certificates`.
using TlsaPlaces = std::map<TlsaPlace, std::vector<std::size_t>>;
TlsaPlaces tlsa_places(const config::Settings& settings, std::span<const CertificateFacts> certificates,
                       const TlsaWishes& wishes);

// What senders make of the records that are published at one place, for each chain that they may be shown there.
struct TlsaAudit {
  struct Record {
    std::string problem;               // why SMTP cannot use it; empty: it can
    std::vector<std::size_t> matches;  // positions of chains
    std::string flaw;                  // it is for such a chain, yet senders refuse that: the authority's certificate
                                       // fits, and the chain has expired, say; with neither, it is stale, or another's
  };
  std::vector<Record> records;     // as published
  std::vector<DaneResult> chains;  // what all the records together are for each
  bool good = false;               // every chain is matched
};
TlsaAudit audit_tlsa(std::span<const TlsaRecord> published, std::span<const std::vector<std::string>> chains,
                     const std::string& host, std::time_t now);

}  // namespace postern::tls
