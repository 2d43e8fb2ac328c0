// What becomes of files that change while the gateway serves. It takes note of passwords and ticket keys in the
// snapshot that it has; for certificates, authorities and the trust anchor another snapshot is made, of the same text,
// and swapped in, or refused, and then nothing has changed.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/files.h"
#include "proxy/keeper/file_watch.h"
#include "proxy/keeper/guard.h"
#include "proxy/keeper/messages.h"
#include "proxy/keeper/pending.h"
#include "proxy/keeper/prepared.h"
#include "proxy/keeper/signers.h"
#include "proxy/net/loop.h"
#include "proxy/net/packet_socket.h"
#include "proxy/net/timer.h"

namespace postern::keeper {

class Renewal {
 public:
  struct Means {
    Prepared& present;     // what the gateway serves, or would; changed here
    unsigned workers = 1;  // its
    // To the gateway that there is.
    std::function<void(const Order& order, net::Descriptors descriptors)> send;
    // `present` is another one now, which the gateway serves.
    std::function<void()> swapped;
    // What troubled() or certificates() say may be something else. Empty: nobody asks.
    std::function<void()> on_trouble = {};
    // Who signs with the keys of a snapshot knows them before the gateway has it. Null: nobody does.
    Signers* signers = nullptr;
    // What certificates have to pass that are to be served. Null: nothing.
    Guard* guard = nullptr;
    // These were read again, and are served.
    std::function<void(const std::string& files)> renewed = {};
  };
  // A file that changes all the time costs a snapshot this often. `loop` outlives it.
  static constexpr std::chrono::milliseconds pause = std::chrono::seconds(2);
  Renewal(net::Loop& loop, Means means, std::chrono::milliseconds look_every = std::chrono::seconds(60),
          std::chrono::milliseconds between = pause);

  // The gateway serves what is present. From now on its files are watched, and those of what was present before no
  // more.
  void begin();
  // As it does by itself.
  void look() { watch_.look(); }

  // A snapshot is to be made of the configuration read anew, by others: its number. Until end_reload() nothing is tried
  // here; what is being tried already (busy()) is awaited first.
  std::uint32_t begin_reload();
  // `served`: what is present is that snapshot, and begin() is called here. Else nothing has changed.
  void end_reload(bool served);
  // The gateway is being asked for a snapshot that was sent from here.
  bool busy() const { return trial_.has_value(); }

  // True: that is about a snapshot that was sent from here. False: another gateway serves the present one, or does not.
  bool hear(const Serving& report);
  bool hear(const Refused& report);
  // The next one is told of the present snapshot first.
  void on_gateway_end();
  // Something that has changed could not be taken over, and what was there before is served.
  bool troubled() const { return pending_.troubled(); }
  const Pending::Certificates& certificates() const { return pending_.certificates(); }
  // There is a gateway, and it serves.
  bool serving() const { return serving_; }
  // The number of the present snapshot.
  std::uint32_t version() const { return version_; }

 private:
  struct Trial {
    std::uint32_t version = 0;
    std::shared_ptr<const runtime::Runtime> runtime;  // null: not sent yet
    std::vector<config::NamedFile> files;             // those that have changed, each once
    signing::Keys keys;                               // all of it, that are not in the bundle
  };
  void on_change(FileWatch::Changes changes);
  void renew(config::Files live);
  config::Files usable_of(const config::Files& live);
  void schedule();
  void attempt();
  void read_what_failed();
  void tell();
  bool asks_guard(const std::shared_ptr<const runtime::Runtime>& runtime);
  void try_it(std::shared_ptr<const runtime::Runtime> runtime);
  Result<void> send_trial(std::shared_ptr<const runtime::Runtime> runtime);
  void take_back(const std::string& why, RenewalFailure reason = RenewalFailure::refused, bool deadly = false);
  std::vector<config::NamedFile> changed_files(const config::Loaded& loaded) const;

  net::Loop& loop_;
  Means means_;
  std::chrono::milliseconds between_;
  FileWatch watch_;
  net::Timer timer_;
  Pending pending_;
  config::Files before_;                         // during a trial: what was there before, of what is tried
  std::set<std::string, std::less<>> unusable_;  // passwords and ticket keys as they are now, by path
  std::optional<Trial> trial_;
  std::optional<std::uint64_t> last_;  // loop time of the last attempt
  bool reloading_ = false;             // by others
  bool serving_ = false;               // there is a gateway, and it serves
  std::uint32_t version_ = 1;
  std::uint32_t latest_ = 1;  // of all that were sent
};

}  // namespace postern::keeper
