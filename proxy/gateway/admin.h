// What the admin server says: /metrics, /healthz, /readyz, /status. Asks the workers, each in its own thread, and waits
// for none.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "config/published.h"
#include "proxy/gateway/worker.h"
#include "proxy/keeper/messages.h"
#include "proxy/observe/admin_server.h"
#include "proxy/observe/facts.h"
#include "proxy/process/process_usage.h"
#include "proxy/process/sandbox.h"
#include "proxy/runtime/runtime.h"
#include "proxy/status/history.h"

namespace postern::gateway {

class Admin {
 public:
  using Workers = std::vector<std::unique_ptr<Worker>>;
  using Certificates = std::map<std::string, keeper::CertificateState>;  // by name
  using Events = std::vector<keeper::Event>;                             // the oldest first
  // `socket` is bound; or there is none: then only those are answered whom somebody else lets in. `workers`, which may
  // not run yet, outlive it, and are joined before it goes.
  static Result<std::unique_ptr<Admin>> start(UniqueFd socket, const Workers& workers,
                                              std::shared_ptr<const runtime::Runtime> runtime);

  // Thread-safe: at another address from now on; none: nobody can ask.
  void listen_on(UniqueFd socket) { server_->listen_on(std::move(socket)); }
  // Thread-safe: another snapshot serves from now on.
  void adopted(std::shared_ptr<const runtime::Runtime> runtime);
  // Thread-safe: so was a file of it.
  void renewed();
  // Thread-safe: soon nobody new is taken.
  void leaving() { leaving_ = true; }
  // Thread-safe: what the keeper has seen.
  void counted(const keeper::Counts& counts);
  // Likewise: how those fare that were not always what there is on disk.
  void renewed(const Certificates& certificates);
  // Likewise: what has happened lately.
  void heard(const Events& events);
  // Thread-safe: the status, to whoever is at the other end of that unix socket.
  void tell_status(UniqueFd connection, bool as_text);
  // Likewise: what the gateway is in.
  void confined(const process::SandboxState& sandbox);

 private:
  // What the workers said to one question.
  struct Round {
    std::mutex mutex;
    std::size_t left = 0;
    std::vector<bool> answered;
    observe::Books books;
    Worker::Condition condition;  // of all of them
  };
  struct Waiting {
    std::string path;
    std::string query;
    observe::AdminServer::Answer answer;
  };

  Admin(const Workers& workers, std::shared_ptr<const runtime::Runtime> runtime);
  // In the server's thread.
  void serve(std::string_view path, std::string_view query, observe::AdminServer::Answer answer);
  void ask();
  void tick();
  void finish(const std::shared_ptr<Round>& round);
  observe::AdminServer::Page page(const Waiting& wanted, const Round& round) const;
  observe::AdminServer::Page status(std::string_view query, const Round& round,
                                    std::vector<std::string> troubles) const;
  observe::Facts facts(const Round& round) const;

  const Workers& workers_;
  config::Published<runtime::Runtime> runtime_;
  process::ProcessUsage usage_;
  config::Published<keeper::Counts> counts_;
  config::Published<Certificates> certificates_;
  std::atomic<std::int64_t> reloaded_at_;
  std::atomic<bool> leaving_ = false;
  config::Published<process::SandboxState> sandbox_;
  config::Published<Events> events_;
  std::shared_ptr<Round> round_;  // null: nobody asks
  std::vector<Waiting> waiting_;
  unsigned age_ = 0;  // of the round, in ticks
  unsigned ticks_ = 0;
  status::History history_;
  std::unique_ptr<observe::AdminServer> server_;
};

}  // namespace postern::gateway
