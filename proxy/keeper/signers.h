// The private keys that the configuration names stay with the keeper, whose threads sign for the gateway's workers.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "config/files.h"
#include "config/load.h"
#include "config/result.h"
#include "config/unique_fd.h"
#include "proxy/signing/signer.h"

namespace postern::keeper {

// Takes every private key out of `files`: of its file there is then what anybody may know
// (tls::SigningKey::public_form). Only of what a snapshot was made of: whatever cannot be read as a key is taken out
// and is nobody's. Those that are elsewhere already stay there.
signing::Keys take_keys(const config::Loaded& loaded, config::Files& files);

// Those whose public half is in `files`: `added`, and what `before` has of the others.
signing::Keys keys_in_use(const config::Loaded& loaded, const config::Files& files, signing::Keys added,
                          const signing::Keys& before);

class Signers {
 public:
  Signers() = default;
  Signers(const Signers&) = delete;
  Signers& operator=(const Signers&) = delete;

  // For a gateway that begins, which has that snapshot alone: a thread for each of its workers. What served another
  // one has ended. The gateway's ends, in order.
  Result<std::vector<UniqueFd>> begin(unsigned workers, std::uint32_t version, const signing::Keys& keys);
  // The gateway is to be given another snapshot: its keys, beside those that running sessions may still use.
  void add(std::uint32_t version, const signing::Keys& keys);
  // Nobody has that snapshot any more: nothing is signed with keys that no other one has.
  void drop(std::uint32_t version);
  // Another thread for that worker, which has lost its own; the gateway's end. An error: it asks too soon for one that
  // has a use for them, and is to ask again, or there is no such worker.
  Result<UniqueFd> replace(std::uint32_t worker, std::uint64_t now);
  // Somebody is served.
  bool running() const { return !threads_.empty(); }
  void end() { threads_.clear(); }

 private:
  struct Thread {
    std::unique_ptr<signing::Signer> signer;
    std::optional<std::uint64_t> replaced;  // loop time
  };
  Result<UniqueFd> begin_thread(Thread& thread);
  void publish();

  // Of what a gateway that never says that one has gone may keep here. An honest one has a session for each that is
  // old, and a client may have a long one.
  static constexpr std::size_t most_snapshots = 1'024;

  std::map<std::uint32_t, signing::Keys> known_;  // by the snapshot's number
  signing::KeyTable table_{std::make_shared<const signing::Keys>()};
  std::vector<Thread> threads_;  // of each worker
};

}  // namespace postern::keeper
