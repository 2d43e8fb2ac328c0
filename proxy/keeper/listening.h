// The listening sockets: bound once, and kept for as long as the configuration has them, whatever becomes of the
// gateway that serves them.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/settings.h"
#include "proxy/keeper/messages.h"
#include "proxy/net/listener.h"
#include "proxy/net/packet_socket.h"

namespace postern::keeper {

class Listening {
 private:
  struct Held {
    std::string listener;  // "inbound.mx"
    config::Endpoint endpoint;
    bool transparent = false;
    net::BoundAddress bound;
  };
  struct Admin {
    std::optional<config::Endpoint> endpoint;
    UniqueFd socket;  // none: there is no admin server
  };

 public:
  explicit Listening(unsigned workers) : workers_(workers) {}

  // A socket that somebody else has bound. Whose it is its address says, as it stands in the configuration; with port 0
  // the listener, too.
  struct Given {
    config::Endpoint endpoint;
    std::string name;  // a listener's ("mx", "inbound.mx"), or any other, and then it says nothing
    UniqueFd fd;
  };
  // Before anything is bound: these are not bound again. Each must be some listener's, admin.listen's or `control`'s,
  // unless some may be left over, as of who has gone on with another configuration.
  Result<void> inherit(std::vector<Given> given, const config::Settings& settings, bool some_left_over);

  // What other settings come to: an address that is there already is kept, whoever has it now.
  class Change {
    friend Listening;
    std::vector<Held> added_;                  // bound, and in use once the change is taken
    std::map<std::size_t, std::string> kept_;  // by position, with the listener whose it is
    std::optional<Admin> admin_;               // another one, or none; nothing: it stays
  };
  // Binds what is new, a socket for each worker. Nothing has changed yet.
  Result<Change> plan(const config::Settings& settings) const;
  // From now on it is like that: what is not kept is closed.
  void take(Change change);
  // Both at once.
  Result<void> bind(const config::Settings& settings);
  // What has a path: admin.listen, where that is one, and `control`. Before the right to use any folder is given up.
  Result<void> bind_paths(const config::Settings& settings);
  // The socket of `control`, to be listened on; none: there is none.
  UniqueFd control() const;
  // None of them is ours any more: where nobody else has them, nobody can connect.
  void close() {
    held_.clear();
    admin_ = Admin();
  }

  // All of them, or those that a change adds, as messages with duplicates.
  using Send = std::function<void(const Order& order, net::Descriptors descriptors)>;
  Result<void> send_all(std::uint32_t version, const Send& send) const {
    return send_these(held_, &admin_, version, send);
  }
  Result<void> send_added(const Change& change, std::uint32_t version, const Send& send) const {
    return send_these(change.added_, change.admin_ ? &*change.admin_ : nullptr, version, send);
  }

  // All of them, and that of `control`, to who takes our place.
  Result<void> send_to_successor(const Send& send) const;

  // Says in the log what is listened on.
  void tell(const config::Settings& settings) const;

 private:
  struct Wanted {
    std::string listener;
    config::Endpoint endpoint;
    bool transparent = false;
  };
  static std::vector<Wanted> wanted_by(const config::Settings& settings);
  static bool fits(const Held& held, const Wanted& wanted);
  Result<bool> take_given(Given& given, const std::vector<Wanted>& wanted);
  bool take_path(Given& given, const config::Settings& settings);
  bool follows_one(const config::Endpoint& endpoint, const std::map<std::size_t, std::string>& kept) const;
  Result<void> send_these(const std::vector<Held>& these, const Admin* admin, std::uint32_t version,
                          const Send& send) const;
  std::string addresses(const std::string& listener) const;

  unsigned workers_;
  std::vector<Held> held_;
  Admin admin_;
  UniqueFd control_;
};

}  // namespace postern::keeper
