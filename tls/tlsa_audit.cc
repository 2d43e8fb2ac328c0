#include "tls/tlsa_audit.h"

#include <openssl/pool.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <set>

#include "tls/peer_certificates.h"
#include "tls/verify_name.h"
#include "tls/x509_text.h"

namespace postern::tls {
namespace {

constexpr std::uint16_t smtp_port = 25;

void add_record(const X509& certificate, std::uint8_t usage, std::vector<TlsaRecord>& records) {
  if (auto record = make_tlsa(certificate, usage, TlsaRecord::public_key, TlsaRecord::sha2_256)) {
    records.push_back(std::move(*record));
  }
}

// What peers are shown, as they would judge it.
PeerCertificates as_shown(std::span<const std::string> chain) {
  const bssl::UniquePtr<STACK_OF(CRYPTO_BUFFER)> buffers(sk_CRYPTO_BUFFER_new_null());
  for (const std::string& der : chain) {
    bssl::UniquePtr<CRYPTO_BUFFER> one(
        CRYPTO_BUFFER_new(reinterpret_cast<const std::uint8_t*>(der.data()), der.size(), nullptr));
    bssl::PushToStack(buffers.get(), std::move(one));
  }
  return {buffers.get(), PeerRole::server};
}

// Of the listeners that show the certificate called `name`.
std::set<std::uint16_t> ports_of(const config::Settings& settings, const std::string& name) {
  std::set<std::uint16_t> ports;
  for (const config::InboundListener& listener : settings.inbound) {
    const auto& shown = listener.certificates;
    if (listener.mode == config::TlsMode::none || std::find(shown.begin(), shown.end(), name) == shown.end()) continue;
    for (const config::Endpoint& endpoint : listener.listen) {
      if (endpoint.kind != config::Endpoint::Kind::unix_socket && endpoint.port != 0) ports.insert(endpoint.port);
    }
  }
  return ports.empty() ? std::set{smtp_port} : ports;
}

bool is_name_for_dns(const std::string& name) {
  return config::is_host_name(name.starts_with("*.") ? name.substr(2) : name) &&
         !config::parse_ip_address(name).has_value();
}

std::vector<std::string> hosts_of(const CertificateFacts& certificate, const std::vector<std::string>& wanted) {
  std::vector<std::string> hosts;
  const auto& from = wanted.empty() ? certificate.dns_names : wanted;
  std::copy_if(from.begin(), from.end(), std::back_inserter(hosts), [&](const std::string& host) {
    return is_name_for_dns(host) && (wanted.empty() || names_host(certificate.dns_names, host));
  });
  return hosts;
}

bool fits_but_fails(DaneOutcome outcome) {
  switch (outcome) {
    case DaneOutcome::not_trusted:
    case DaneOutcome::expired:
    case DaneOutcome::name_mismatch: return true;
    case DaneOutcome::not_checked:
    case DaneOutcome::matched:
    case DaneOutcome::no_usable_record:
    case DaneOutcome::no_certificate:
    case DaneOutcome::no_match: break;
  }
  return false;
}

}  // namespace

std::vector<TlsaRecord> records_to_publish(std::span<const std::string> chain) {
  std::vector<TlsaRecord> records;
  bssl::UniquePtr<X509> authority;
  for (const std::string& der : chain) {
    auto certificate = parse_certificate(der);
    if (certificate == nullptr) continue;
    if (&der == chain.data()) {
      add_record(*certificate, TlsaRecord::dane_ee, records);
    } else if (X509_check_ca(certificate.get()) != 0) {
      authority = std::move(certificate);
    }
  }
  if (authority != nullptr) add_record(*authority, TlsaRecord::dane_ta, records);
  return records;
}

std::string TlsaPlace::owner() const {
  return '_' + std::to_string(port) + "._tcp." + host;
}

TlsaPlaces tlsa_places(const config::Settings& settings, std::span<const CertificateFacts> certificates,
                       const TlsaWishes& wishes) {
  TlsaPlaces places;
  for (std::size_t position = 0; position < certificates.size(); ++position) {
    const CertificateFacts& certificate = certificates[position];
    const std::set<std::uint16_t> ports = wishes.ports.empty() ? ports_of(settings, certificate.name)
                                                               : std::set(wishes.ports.begin(), wishes.ports.end());
    for (const std::string& host : hosts_of(certificate, wishes.hosts)) {
      for (const std::uint16_t port : ports) {
        auto& shown = places[{host, port}];
        if (shown.empty() || shown.back() != position) shown.push_back(position);
      }
    }
  }
  return places;
}

TlsaAudit audit_tlsa(std::span<const TlsaRecord> published, std::span<const std::vector<std::string>> chains,
                     const std::string& host, std::time_t now) {
  const std::vector<std::string> names = {host};
  TlsaAudit audit;
  for (const TlsaRecord& record : published) {
    audit.records.push_back({std::string(why_unusable(record).value_or("")), {}, {}});
  }
  for (std::size_t position = 0; position < chains.size(); ++position) {
    const PeerCertificates shown = as_shown(chains[position]);
    audit.chains.push_back(shown.verify_dane(published, names, now));
    for (std::size_t i = 0; i < published.size(); ++i) {
      const DaneResult result = shown.verify_dane(published.subspan(i, 1), names, now);
      if (result.outcome == DaneOutcome::matched) {
        audit.records[i].matches.push_back(position);
      } else if (fits_but_fails(result.outcome)) {
        audit.records[i].flaw = result.reason;
      }
    }
  }
  audit.good = std::all_of(audit.chains.begin(), audit.chains.end(),
                           [](const DaneResult& chain) { return chain.outcome == DaneOutcome::matched; });
  return audit;
}

}  // namespace postern::tls
