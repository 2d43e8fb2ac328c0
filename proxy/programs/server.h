// The keeper's end: starts programs for a gateway's workers, and only those that the operator's file names.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/unique_fd.h"
#include "proxy/net/child_reaper.h"
#include "proxy/net/loop.h"
#include "proxy/net/reaper.h"
#include "proxy/net/timer.h"
#include "proxy/process/spawn.h"
#include "proxy/programs/messages.h"

namespace postern::programs {

class Server {
 public:
  struct Means {
    std::optional<process::Identity> identity;  // whom programs become, where we are root
    std::string path;                           // their PATH
    std::size_t most = 10'000;                  // under way, of all workers
  };
  // Both outlive it.
  Server(net::Loop& loop, net::Reaper& reaper, Means means);
  // What still runs is killed.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // The program of `inbound.NAME`. One whose listener has gone since stays: sessions may have begun with it.
  void offer(const std::string& name, std::vector<std::string> argv);
  using Offers = std::map<std::string, std::vector<std::string>, std::less<>>;
  const Offers& offers() const { return offered_; }
  // These, and no others.
  void offer(Offers offers) { offered_ = std::move(offers); }
  // A worker's connection. When that ends, its programs have found the end of their input, and get a while to end; then
  // SIGTERM, then SIGKILL. `on_breach`: called last thing where the worker breaks the protocol, or its connection
  // broke.
  using OnBreach = std::function<void(const std::string& why)>;
  void connect(UniqueFd fd, OnBreach on_breach = {});

  // Programs under way.
  std::size_t running() const { return running_; }

 private:
  class Connection;
  class Running;

  Result<std::unique_ptr<Running>> start(const Start& start, int socket);
  void drop(Connection& connection, const std::string& why);
  void sweep();

  net::Loop& loop_;
  net::Reaper& reaper_;
  Means means_;
  Offers offered_;
  std::size_t running_ = 0;
  net::ChildReaper dismissed_;  // those whose worker has gone
  net::Timer sweeper_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

}  // namespace postern::programs
