#include "config/files.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "config/schema.h"

namespace postern::config {
namespace {

constexpr std::array system_files = {
    "/etc/ssl/certs/ca-certificates.crt",                 // Debian, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",                   // Fedora, RHEL
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // the same, newer
    "/etc/ssl/ca-bundle.pem",                             // openSUSE
    "/etc/ssl/cert.pem",                                  // BSDs
};

const Result<File>& never_read() {
  static const Result<File> error = fail(Errc::not_found, "the file was not read");
  return error;
}

}  // namespace

std::string_view to_string(FileUse value) {
  switch (value) {
    case FileUse::none: return "none";
    case FileUse::certificate_chain: return "certificate chain";
    case FileUse::private_key: return "private key";
    case FileUse::client_authorities: return "authorities of clients";
    case FileUse::authorities: return "authorities";
    case FileUse::ticket_keys: return "ticket keys";
    case FileUse::secret: return "secret";
    case FileUse::trust_anchor: return "trust anchor";
  }
  return "unknown";
}

std::vector<NamedFile> files_of(const Loaded& loaded) {
  std::vector<NamedFile> files;
  for (Option& option : list_options(loaded.settings)) {
    if (option.use == FileUse::none || option.absent || option.file.empty()) continue;
    if (option.use == FileUse::authorities && option.file == system_authorities) continue;
    const Place place = loaded.place_of(option.path);
    files.push_back({std::move(option.path), std::move(option.file), option.use, place});
  }
  return files;
}

std::map<std::string, std::size_t> limits_of(const std::vector<NamedFile>& files) {
  std::map<std::string, std::size_t> limits;
  for (const NamedFile& file : files) {
    std::size_t& limit = limits[file.path];
    limit = std::max(limit, largest_file(file.use));
  }
  return limits;
}

bool uses_system_authorities(const Settings& settings) {
  return !settings.certificates.empty() || std::ranges::find(settings.outbound, system_authorities,
                                                             &OutboundListener::ca_file) != settings.outbound.end();
}

// ---

Files::Files() : authorities_{{}, fail(Errc::not_found, "this system's list of CAs was not read")} {}

Files::~Files() {
  wipe();
}

Files& Files::operator=(Files&& other) noexcept {
  wipe();
  files_ = std::move(other.files_);
  authorities_ = std::move(other.authorities_);
  return *this;
}

void Files::wipe() noexcept {
  for (auto& [path, file] : files_) {
    if (file) config::wipe(file->content);
  }
}

void Files::put(const std::string& path, Result<File> file) {
  auto& place = files_.try_emplace(path, File()).first->second;
  if (place) config::wipe(place->content);
  place = std::move(file);
  if (file) config::wipe(file->content);
}

void Files::take(Files& other) {
  for (auto& [path, file] : other.files_) put(path, std::move(file));
  if (!other.authorities_.path.empty()) put_authorities(std::move(other.authorities_));
  other = Files();
}

void Files::exchange(Files& other) {
  for (auto& [path, file] : other.files_) {
    std::swap(files_.try_emplace(path, never_read()).first->second, file);
  }
  if (!other.authorities_.path.empty()) std::swap(authorities_, other.authorities_);
}

const Result<File>& Files::at(const std::string& path) const {
  const auto found = files_.find(path);
  return found == files_.end() ? never_read() : found->second;
}

Files read_files(const Loaded& loaded) {
  Files files;
  for (const auto& [path, limit] : limits_of(files_of(loaded))) files.put(path, read_file(path, limit));
  if (uses_system_authorities(loaded.settings)) files.put_authorities(read_system_authorities());
  return files;
}

Files::Authorities read_system_authorities() {
  const std::size_t limit = largest_file(FileUse::authorities);
  const char* named = std::getenv("SSL_CERT_FILE");
  if (named != nullptr && *named != '\0') return {named, read_file(named, limit)};
  for (const char* path : system_files) {
    auto file = read_file(path, limit);
    if (file || file.error().code != Errc::not_found) return {path, std::move(file)};
  }
  return {system_files.front(),
          fail(Errc::not_found, std::string("this system has no list of CAs, as in ") + system_files.front())};
}

// The whole of its memory: a short one that was moved elsewhere has left its octets.
void wipe(std::string& secret) noexcept {
  secret.resize(secret.capacity());
  ::explicit_bzero(secret.data(), secret.size());
  secret.clear();
}

}  // namespace postern::config
