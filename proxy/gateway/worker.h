// One thread, one event loop, its listening sockets and its sessions. Workers share nothing but the runtime snapshot.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "proxy/gateway/signer_link.h"
#include "proxy/inbound/inbound_session.h"
#include "proxy/net/listener.h"
#include "proxy/net/loop.h"
#include "proxy/net/timer.h"
#include "proxy/observe/book.h"
#include "proxy/outbound/outbound_service.h"
#include "proxy/runtime/runtime.h"

namespace postern::gateway {

class Worker {
 public:
  // Where a bound socket belongs: in any snapshot to the listener that has its address, as it stands in the
  // configuration. Port 0 may stand there more than once: then the listener's path decides, too ("inbound.mx").
  struct Place {
    config::Endpoint address;
    std::string listener;
  };
  struct Socket {
    Place place;
    UniqueFd fd;
  };

  Worker(unsigned number, std::shared_ptr<const runtime::Runtime> runtime);
  ~Worker();

  // Makes what the first session needs, before any worker starts.
  void prepare();
  // Thread-safe: names are looked up there from now on. `on_trouble` is called in the worker's thread.
  void use_resolver(UniqueFd connection, const resolver::Client::OnTrouble& on_trouble);
  // Thread-safe: leads to whoever holds the private keys, where they are not here. Another is asked for in the worker's
  // thread.
  void use_signer(UniqueFd connection, SignerLink::Ask ask_for_another);
  // Thread-safe: programs are started there from now on.
  void use_programs(UniqueFd connection);
  // After prepare(): takes the sockets and starts the thread. `on_end` is called in that thread when the worker has
  // drained.
  void start(std::vector<Socket> sockets, std::function<void()> on_end);
  // Thread-safe: another snapshot takes over, for sessions that begin from now on; running ones keep theirs. Sockets
  // whose address it still has stay open and serve the listener that has it now; the others are closed, and `added`
  // begin. What needs a restart (config::changes_that_need_restart) must not differ.
  void adopt(std::shared_ptr<const runtime::Runtime> runtime, std::vector<Socket> added);
  // Thread-safe: `task` runs in the worker's thread, after what it was told before. Not any more once it has ended.
  void post(std::function<void()> task) { loop_.post(std::move(task)); }
  // Thread-safe: no new sessions, running ones end after their transaction, as `drain` of the configuration says; then
  // on_end. Who connected and waits to be accepted is told to come again, unless he waits at sockets that somebody else
  // has, too.
  void drain(bool sockets_live_on = false);
  // Thread-safe: ends everything at once.
  void stop();
  void join();

  // What it knows of a server behind an inbound listener. Times as in BackendPool.
  struct KnownBackend {
    std::string listener;
    std::string address;
    bool up = true;
    std::uint64_t tried_at = 0;
    std::uint64_t since = 0;
    std::uint32_t connections = 0;
  };
  // Of the sessions that were told to drain, or to stop, how many ended how.
  struct Drained {
    std::uint64_t by_themselves = 0;
    std::uint64_t told = 0;
    std::uint64_t cut = 0;
  };
  // How a worker is, beside what it has counted.
  struct Condition {
    bool draining = false;
    bool without_resolver = false;  // it has something to ask, and nobody is there
    std::vector<KnownBackend> backends;
    Drained drained;
  };
  // Thread-safe: `use` is called with what it has counted and the state of the servers behind, in the worker's thread,
  // or at once, when that has ended.
  void gather(std::function<void(const observe::Books&, const Condition&)> use);
  // Likewise, with the number of its sessions.
  void count(std::function<void(std::size_t sessions)> use);
  // After join().
  const observe::Books& books() const { return books_; }
  // Likewise.
  const Drained& drained() const { return drained_; }

 private:
  void run(std::vector<Socket> sockets);
  void tell(const std::function<void(const observe::Books&, const Condition&)>& use) const;
  void take_over(std::shared_ptr<const runtime::Runtime> runtime, std::vector<Socket> added);
  void listen(Socket socket);
  void accept(const Place& place, std::uint32_t socket, net::StreamPtr connection);
  void on_accept_error(net::AcceptError error);
  void say_limits();
  void renew_pools();
  void serve(std::unique_ptr<session::Session> session, std::uint32_t socket);
  void retire(session::Session& session);
  void sweep();
  void end_of_turn();
  void begin_drain(bool sockets_live_on);
  void drain_closed(std::uint64_t now);
  void drain_sessions(const std::function<bool(const session::Session&)>& which);
  void stop_now();
  void end_if_drained();

  unsigned number_;
  std::shared_ptr<const runtime::Runtime> runtime_;
  observe::Books books_;  // this thread's
  net::Loop loop_;
  net::Timer sweeper_;
  stream::Scratch scratch_;
  smtp::Effects effects_;
  programs::Client programs_;
  net::ChildReaper reaper_;
  resolver::Client resolver_;
  SignerLink signer_;
  session::Surroundings surroundings_;
  // What is known of the servers behind the inbound listeners, by the listener's name: it outlives a snapshot.
  std::map<std::string, std::shared_ptr<inbound::BackendPool>, std::less<>> pools_;
  std::unique_ptr<outbound::OutboundService> outbound_;  // until the thread ends, where there are such listeners
  struct Listening {
    Place place;
    std::uint32_t number = 0;  // its own for as long as the worker lives
    std::unique_ptr<net::Listener> listener;
  };
  std::vector<Listening> listeners_;
  std::uint32_t next_listener_ = 0;
  std::map<std::uint32_t, std::uint64_t> closed_;  // numbers of those that are no more: when their sessions drain
  std::vector<std::unique_ptr<session::Session>> sessions_;
  std::vector<std::unique_ptr<session::Session>> retired_;  // freed at the end of the turn, as are:
  std::vector<std::unique_ptr<stream::Stream>> buried_;
  std::uint64_t next_session_ = 0;
  bool draining_ = false;
  Drained drained_;
  std::mutex ended_mutex_;
  bool ended_ = false;  // the thread does nothing any more
  std::function<void()> on_end_;
  std::thread thread_;
};

}  // namespace postern::gateway
