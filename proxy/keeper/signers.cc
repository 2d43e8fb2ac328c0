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

// The same key may be in two files, or in two snapshots, and be used to decrypt in one of them alone.
void add_key(signing::Keys& keys, std::shared_ptr<const tls::SigningKey> key) {
  auto& known = keys[key->name()];
  if (known == nullptr || key->decrypts()) known = std::move(key);
}

}  // namespace

signing::Keys take_keys(const config::Loaded& loaded, config::Files& files) {
  const auto decrypting = tls::keys_that_decrypt(loaded.settings);
  std::set<std::string> paths;
  for (const auto& file : config::files_of(loaded)) {
    if (file.use == config::FileUse::private_key) paths.insert(file.path);
  }
  signing::Keys keys;
  for (const std::string& path : paths) {
    const auto& file = files.at(path);
    if (!file || file->key_elsewhere) continue;
    auto key = tls::SigningKey::parse(path, file->content, decrypting.contains(path));
    if (key) {
      files.put(path, config::File{key->public_form(path, file->content), file->world_readable, true});
      add_key(keys, std::make_shared<const tls::SigningKey>(std::move(*key)));
    } else {
      files.put(path, tl::unexpected(key.error()));
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
    auto end = begin_thread(threads_.emplace_back());
    if (!end) return tl::unexpected(end.error());
    ends.push_back(std::move(*end));
  }
  return ends;
}

Result<UniqueFd> Signers::begin_thread(Thread& thread) {
  auto pair = net::packet_pair();
  if (!pair) return tl::unexpected(pair.error());
  thread.signer = std::make_unique<signing::Signer>(std::move(pair->first), table_, tell_end);
  return std::move(pair->second);
}

// A gateway that was taken over may ask for nothing else. One that was not pauses for a second after the first time.
Result<UniqueFd> Signers::replace(std::uint32_t worker, std::uint64_t now) {
  constexpr std::uint64_t shortest = 500;  // milliseconds
  if (worker >= threads_.size()) return fail(Errc::invalid_argument, "nobody signs for such a worker");
  Thread& thread = threads_[worker];
  if (thread.replaced && now - *thread.replaced < shortest) return fail(Errc::temporary, "it asks too often");
  thread.replaced = now;
  return begin_thread(thread);
}

// A key that is known already stays the one that it is, unless it is to be used for other things.
void Signers::add(std::uint32_t version, const signing::Keys& keys) {
  const auto all = table_.get();
  signing::Keys added;
  for (const auto& [name, key] : keys) {
    const auto known = all->find(name);
    const bool same = known != all->end() && known->second->decrypts() == key->decrypts();
    added[name] = same ? known->second : key;
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
  for (const auto& [version, keys] : known_) {
    for (const auto& [name, key] : keys) add_key(*all, key);
  }
  table_.set(std::move(all));
}

}  // namespace postern::keeper
