// The private keys that the configuration names stay with the keeper, whose threads sign for the gateway's workers.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "config/files.h"
#include "config/load.h"
#include "config/result.h"
#include "config/unique_fd.h"
#include "proxy/signing/signer.h"

namespace postern::keeper {

// Takes every private key out of `files`: of its file there is then what anybody may know (tls::public_form). Only of
// what a snapshot was made of: whatever cannot be read as a key is taken out and is nobody's.
signing::Keys take_keys(const config::Loaded& loaded, config::Files& files);

class Signers {
 public:
  Signers() = default;
  Signers(const Signers&) = delete;
  Signers& operator=(const Signers&) = delete;

  // For a gateway that begins, which has that snapshot alone: a thread for each of its workers. What served another
  // one has ended. The gateway's ends, in order.
  Result<std::vector<UniqueFd>> begin(unsigned workers, const signing::Keys& keys);
  // The gateway is given another snapshot: its keys, beside those that running sessions may still use.
  void add(const signing::Keys& keys);
  // Somebody is served.
  bool running() const { return !threads_.empty(); }
  void end() { threads_.clear(); }

 private:
  void publish();

  // Snapshots that a gateway may still use: sessions sign at their beginning, or soon after.
  static constexpr std::size_t most_snapshots = 16;

  std::deque<signing::Keys> known_;  // the newest last
  signing::KeyTable table_{std::make_shared<const signing::Keys>()};
  std::vector<std::unique_ptr<signing::Signer>> threads_;
};

}  // namespace postern::keeper
