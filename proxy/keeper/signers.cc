#include "proxy/keeper/signers.h"

#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

#include "proxy/net/packet_socket.h"
#include "proxy/observe/log.h"
#include "tls/certificate_pair.h"
#include "tls/contexts.h"

namespace postern::keeper {

namespace {

void tell_end(const std::string& why) {
  if (!why.empty()) log::error("a worker of the gateway was cut off from its keys", {{"reason", why}});
}

bool holds_key(std::string_view pem) {
  return pem.find("PRIVATE KEY-----") != std::string_view::npos;
}

// A chain's file may hold its key as well, which is not to be where the chain is.
std::string without_keys(const std::string& pem) {
  constexpr std::string_view begins = "-----BEGIN ";
  std::string rest;
  bool in_key = false;
  std::istringstream lines(pem);
  for (std::string line; std::getline(lines, line);) {
    const bool is_key = line.find("PRIVATE KEY-----") != std::string::npos;
    if (is_key && line.find(begins) != std::string::npos) in_key = true;
    if (!in_key) rest += line + '\n';
    if (is_key && line.find("-----END ") != std::string::npos) in_key = false;
    config::wipe(line);
  }
  return rest;
}

}  // namespace

signing::Keys take_keys(const config::Loaded& loaded, config::Files& files) {
  const bool decrypts = tls::exchanges_keys_by_rsa(loaded.settings);
  std::set<std::string> paths;
  for (const auto& file : config::files_of(loaded)) {
    if (file.use == config::FileUse::private_key) paths.insert(file.path);
  }
  signing::Keys keys;
  for (const std::string& path : paths) {
    const auto& file = files.at(path);
    if (!file || file->key_elsewhere) continue;
    auto key = tls::SigningKey::parse(path, file->content, decrypts);
    auto form = tls::public_form(path, file->content);
    if (key && form) {
      files.put(path, config::File{std::move(*form), file->world_readable, true});
      const std::string name = key->name();
      keys[name] = std::make_shared<const tls::SigningKey>(std::move(*key));
    } else {
      files.put(path, tl::unexpected(key ? form.error() : key.error()));
    }
  }
  for (const auto& file : config::files_of(loaded)) {
    const bool is_pem = file.use == config::FileUse::certificate_chain || file.use == config::FileUse::authorities ||
                        file.use == config::FileUse::client_authorities;
    const auto& read = files.at(file.path);
    if (!is_pem || paths.contains(file.path) || !read || !holds_key(read->content)) continue;
    files.put(file.path, config::File{without_keys(read->content), read->world_readable, false});
  }
  return keys;
}

signing::Keys keys_in_use(const config::Loaded& loaded, const config::Files& files, signing::Keys added,
                          const signing::Keys& before) {
  for (const auto& named : config::files_of(loaded)) {
    const auto& file = files.at(named.path);
    if (named.use != config::FileUse::private_key || !file) continue;
    const auto known = before.find(tls::name_of_key_elsewhere(named.path, *file));
    if (known != before.end()) added.insert(*known);
  }
  return added;
}

Result<std::vector<UniqueFd>> Signers::begin(unsigned workers, std::uint32_t version, const signing::Keys& keys) {
  end();
  known_.clear();
  add(version, keys);
  std::vector<UniqueFd> ends;
  for (unsigned worker = 0; worker < workers; ++worker) {
    auto pair = net::packet_pair();
    if (!pair) return tl::unexpected(pair.error());
    threads_.push_back(std::make_unique<signing::Signer>(std::move(pair->first), table_, tell_end));
    ends.push_back(std::move(pair->second));
  }
  return ends;
}

// A key that is known already stays the one that it is.
void Signers::add(std::uint32_t version, const signing::Keys& keys) {
  const auto all = table_.get();
  signing::Keys added;
  for (const auto& [name, key] : keys) {
    const auto known = all->find(name);
    added[name] = known == all->end() ? key : known->second;
  }
  known_[version] = std::move(added);
  if (known_.size() > most_snapshots) known_.erase(known_.begin());
  publish();
}

void Signers::drop(std::uint32_t version) {
  if (known_.erase(version) != 0) publish();
}

void Signers::publish() {
  auto all = std::make_shared<signing::Keys>();
  for (const auto& [version, keys] : known_) all->insert(keys.begin(), keys.end());
  table_.set(std::move(all));
}

}  // namespace postern::keeper
