// One thread, one event loop, its listening sockets and its sessions. Workers share nothing but the runtime snapshot.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "proxy/net/listener.h"
#include "proxy/net/loop.h"
#include "proxy/observe/counters.h"
#include "proxy/runtime.h"
#include "proxy/session/inbound_session.h"
#include "proxy/session/outbound_service.h"

namespace postern {

class Worker {
 public:
  // A bound socket and the listener that it belongs to: its index in Settings::inbound, or in Settings::outbound.
  struct Socket {
    bool outbound = false;
    std::size_t listener = 0;
    net::UniqueFd fd;
  };

  Worker(unsigned number, std::shared_ptr<const Runtime> runtime);
  ~Worker();

  // Makes what can fail to be made, before any worker starts.
  std::optional<Error> prepare();
  // After prepare(): takes the sockets and starts the thread. `on_end` is called in that thread when the worker has
  // drained.
  void start(std::vector<Socket> sockets, std::function<void()> on_end);
  // Thread-safe: no new sessions, running ones end after their transaction; then on_end.
  void drain();
  // Thread-safe: ends everything at once.
  void stop();
  void join();

  const observe::Counters& counters() const { return counters_; }

 private:
  void run(std::vector<Socket> sockets);
  void listen(Socket socket);
  void serve(std::unique_ptr<session::Session> session);
  void retire(session::Session& session);
  void sweep();
  void end_of_turn();
  void begin_drain();
  void stop_now();
  void end_if_drained();

  unsigned number_;
  std::shared_ptr<const Runtime> runtime_;
  observe::Counters counters_;
  net::Loop loop_;
  net::HandlePtr<uv_timer_t> sweeper_;
  session::Scratch scratch_;
  smtp::Effects effects_;
  net::ChildReaper reaper_;
  session::Surroundings surroundings_;
  std::vector<session::ServedListener> served_;
  std::unique_ptr<session::OutboundService> outbound_;  // until the thread ends, where there are such listeners
  std::vector<std::unique_ptr<net::Listener>> listeners_;
  std::vector<std::unique_ptr<session::Session>> sessions_;
  std::vector<std::unique_ptr<session::Session>> retired_;  // freed at the end of the turn, as are:
  std::vector<std::unique_ptr<session::Stream>> buried_;
  std::uint64_t next_session_ = 0;
  bool draining_ = false;
  std::function<void()> on_end_;
  std::thread thread_;
};

}  // namespace postern
