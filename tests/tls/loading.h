// From files in a test's folder to what TLS makes of their contents.
#pragma once

#include <memory>
#include <string>

#include "config/files.h"
#include "tls/certificates.h"
#include "tls/pem.h"
#include "tls/ticket_keys.h"
#include "tls/trust_store.h"

namespace postern::tls {

inline Result<config::File> read_for(config::FileUse use, const std::string& path) {
  return config::read_file(path, config::largest_file(use));
}

inline Result<PemCertificates> load_pem_certificates(const std::string& path, PemUse use) {
  const auto file = read_for(config::FileUse::authorities, path);
  return file.and_then([&](const config::File& read) { return parse_pem_certificates(path, read.content, use); });
}

inline Result<Chain> load_chain(const std::string& path) {
  const auto file = read_for(config::FileUse::certificate_chain, path);
  return file.and_then([&](const config::File& read) { return parse_chain(path, read.content); });
}

inline Result<PrivateKey> load_private_key(const std::string& path) {
  const auto file = read_for(config::FileUse::private_key, path);
  return file.and_then([&](const config::File& read) { return parse_private_key(path, read); });
}

inline Result<std::unique_ptr<const TrustStore>> load_authorities(const std::string& path) {
  const auto file = read_for(config::FileUse::authorities, path);
  return file.and_then([&](const config::File& read) { return TrustStore::parse(path, read.content); });
}

inline Result<std::unique_ptr<const TrustStore>> load_system_trust() {
  const auto [path, file] = config::read_system_authorities();
  const std::string& name = path;
  return file.and_then([&name](const config::File& read) { return TrustStore::parse_system(name, read.content); });
}

inline Result<std::shared_ptr<TicketKeys>> load_ticket_keys(const std::string& path) {
  const auto file = read_for(config::FileUse::ticket_keys, path);
  return file.and_then([&](const config::File& read) { return TicketKeys::shared(path, read.content); });
}

}  // namespace postern::tls
