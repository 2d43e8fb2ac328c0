// A small HTTP server for who looks after us: GET, one request a connection, in a thread of its own. What hostile
// clients cost is bounded: so many connections, each with a head of 8 KiB at most, one response and ten seconds in all;
// who comes beyond that is closed at once.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "config/result.h"
#include "config/unique_fd.h"
#include "proxy/net/listener.h"
#include "proxy/net/loop.h"
#include "proxy/net/timer.h"

namespace postern::observe {

class AdminServer {
 public:
  static constexpr std::size_t connection_limit = 32;
  static constexpr std::chrono::milliseconds patience{10'000};

  struct Page {
    int status = 200;
    std::string type = "text/plain; charset=utf-8";
    std::string body;
    std::string policy = {};  // a Content-Security-Policy
  };
  using Answer = std::function<void(Page)>;
  // Called in this server's thread with a path and the query behind it. `answer` may be called at once or later, in any
  // thread, once, while the server is there.
  using Serve = std::function<void(std::string_view path, std::string_view query, Answer answer)>;

  // `socket` is bound: a TCP or a unix socket; or there is none, and nobody comes by himself. `tick` is called in this
  // server's thread once a second.
  static Result<std::unique_ptr<AdminServer>> make(UniqueFd socket, Serve serve, std::function<void()> tick = {});
  // Starts the thread, once whoever serves knows the server.
  void run();
  // Ends the thread, and with it what is under way.
  ~AdminServer();
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  // Thread-safe: from now on that one is listened on, and no other; none: no one is.
  void listen_on(UniqueFd socket);
  // Thread-safe: whoever is at the other end of that unix socket gets the body of that page, without HTTP.
  void tell(UniqueFd connection, std::string path, std::string query);
  // Thread-safe: done in this server's thread.
  void post(std::function<void()> task) { loop_.post(std::move(task)); }

 private:
  class Connection;
  AdminServer(Serve serve, std::function<void()> tick);
  Result<void> listen(UniqueFd socket);
  void accept(net::StreamPtr socket);
  void ask(std::uint64_t id, std::string_view path, std::string_view query);
  void answer(std::uint64_t id, const Page& page);
  void close(const Connection& connection);
  void sweep();

  net::Loop loop_;
  Serve serve_;
  std::function<void()> tick_;
  net::Timer sweeper_;
  std::unique_ptr<net::Listener> listener_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::uint64_t next_ = 0;
  std::thread thread_;
};

}  // namespace postern::observe
