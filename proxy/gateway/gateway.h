// The life of the process: bind, drop privileges, start the workers, and end on a signal.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/result.h"
#include "proxy/gateway/file_watch.h"
#include "proxy/gateway/resolver_watch.h"
#include "proxy/gateway/worker.h"
#include "proxy/net/signal.h"
#include "proxy/runtime/runtime.h"

namespace postern::gateway {

class Gateway {
 public:
  explicit Gateway(std::shared_ptr<const runtime::Runtime> runtime);
  ~Gateway();

  // Binds every address, makes and starts the workers. Privileges are dropped before they start.
  std::optional<Error> start();
  // Until SIGTERM or SIGINT and the draining that follows (a second one stops at once).
  void run();

 private:
  static Result<std::string> bind(const std::string& listener, const std::vector<config::Endpoint>& listen,
                                  const net::BindOptions& options, std::vector<std::vector<Worker::Socket>>& sockets);
  void on_signal(int number);
  void on_worker_end();
  void report() const;

  std::shared_ptr<const runtime::Runtime> runtime_;
  net::Loop loop_;
  FileWatch watch_;
  std::vector<std::unique_ptr<net::Signal>> signals_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<ResolverWatch> resolver_;  // null: nothing is looked up
  std::size_t running_ = 0;
  bool draining_ = false;
};

}  // namespace postern::gateway
