#include "proxy/gateway/gateway.h"

#include <csignal>

#include <algorithm>

#include "config/assert.h"
#include "proxy/observe/log.h"
#include "proxy/process/cpu_count.h"
#include "proxy/process/descriptors.h"
#include "proxy/process/file_limit.h"
#include "proxy/process/privileges.h"
#include "proxy/runtime/needs.h"

namespace postern::gateway {

namespace {

std::string describe_backend(const config::Backend& backend) {
  std::string text;
  for (const auto& address : backend.addresses) text += (text.empty() ? "" : ", ") + config::to_string(address);
  for (const auto& word : backend.exec) text += (text.empty() ? "exec " : " ") + word;
  return text;
}

std::string describe_route(const config::OutboundListener& listener) {
  std::string text(config::to_string(listener.route));
  if (listener.route == config::OutboundRoute::relay) text += ' ' + config::to_string(*listener.relay.address);
  if (listener.route == config::OutboundRoute::original_destination) {
    text += " by " + std::string(config::to_string(listener.interception));
  }
  return text;
}

// "name:3,other:1"
std::string nonzero(const std::vector<std::pair<std::string, std::uint64_t>>& counts) {
  std::string text;
  for (const auto& [name, count] : counts) text += (text.empty() ? "" : ",") + name + ":" + std::to_string(count);
  return text;
}

}  // namespace

Gateway::Gateway(std::shared_ptr<const runtime::Runtime> runtime) : runtime_(std::move(runtime)), watch_(loop_) {
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
    signals_.push_back(std::make_unique<net::Signal>(loop_.raw(), number, [this, number] { on_signal(number); }));
  }
}

Gateway::~Gateway() {
  resolver_.reset();
  signals_.clear();
}

std::optional<Error> Gateway::start() {
  const auto& settings = runtime_->settings;
  const unsigned count = settings.workers != 0 ? settings.workers : process::cpu_count();
  process::close_on_exec_from(3);
  process::raise_file_limit();  // two descriptors a session, and the soft limit is often 1024
  std::vector<std::vector<Worker::Socket>> sockets(count);
  for (const auto& listener : settings.inbound) {
    const auto addresses = bind("inbound." + listener.name, listener.listen, {}, sockets);
    if (!addresses) return addresses.error();
    log::info("listening", {{"listener", listener.name},
                            {"addresses", *addresses},
                            {"mode", config::to_string(listener.mode)},
                            {"backend", describe_backend(listener.backend)},
                            {"workers", count}});
  }
  for (const auto& listener : settings.outbound) {
    const auto addresses =
        bind("outbound." + listener.name, listener.listen, {.transparent = runtime::is_transparent(listener)}, sockets);
    if (!addresses) return addresses.error();
    log::info("listening", {{"listener", listener.name},
                            {"addresses", *addresses},
                            {"mode", config::to_string(listener.mode)},
                            {"route", describe_route(listener)},
                            {"level", config::to_string(listener.level)},
                            {"enforcement", config::to_string(listener.enforcement)},
                            {"workers", count}});
  }
  for (unsigned w = 0; w < count; ++w) {
    workers_.push_back(std::make_unique<Worker>(w, runtime_));
    workers_.back()->prepare();
  }
  const runtime::Needs wanted = runtime::needs(settings);
  if (wanted.resolver) {
    auto started = ResolverWatch::start(loop_, *runtime_, workers_);
    if (!started) return started.error();
    resolver_ = std::move(*started);
  }
  const auto dropped = process::drop_privileges({.user = settings.user,
                                                 .foreign_source_addresses = wanted.foreign_addresses,
                                                 .marks_sockets = wanted.socket_marks,
                                                 .may_gain_by_exec = wanted.programs});
  if (!dropped) return dropped.error();
  watch_.watch(live_files(*runtime_));
  running_ = count;
  for (unsigned w = 0; w < count; ++w) {
    workers_[w]->start(std::move(sockets[w]), [this] { loop_.post([this] { on_worker_end(); }); });
  }
  return std::nullopt;
}

// Binds a listener's addresses, one socket for each worker; returns them as text, with the ports that were chosen.
Result<std::string> Gateway::bind(const std::string& listener, const std::vector<config::Endpoint>& listen,
                                  const net::BindOptions& options, std::vector<std::vector<Worker::Socket>>& sockets) {
  std::string addresses;
  for (const auto& endpoint : listen) {
    auto bound = net::bind_address(endpoint, static_cast<unsigned>(sockets.size()), options);
    if (!bound) return tl::unexpected(bound.error());
    addresses += (addresses.empty() ? "" : ", ") + net::to_string(bound->address);
    for (std::size_t w = 0; w < sockets.size(); ++w) {
      sockets[w].push_back({{endpoint, listener}, std::move(bound->sockets[w])});
    }
  }
  return addresses;
}

void Gateway::run() {
  loop_.run();
  for (auto& worker : workers_) worker->join();
  report();
}

void Gateway::on_signal(int number) {
  if (number == SIGHUP) {
    log::warning("SIGHUP: reloading is not built yet; the running configuration stays");
    return;
  }
  log::info(draining_ ? "stopping at once" : "draining", {{"signal", number == SIGTERM ? "SIGTERM" : "SIGINT"}});
  for (auto& worker : workers_) draining_ ? worker->stop() : worker->drain();
  draining_ = true;
}

void Gateway::on_worker_end() {
  if (--running_ == 0) loop_.stop();
}

// What was counted in the life of the process: one line at its end.
void Gateway::report() const {
  observe::Books books;
  for (const auto& worker : workers_) books.add(worker->books());
  const auto messages = [&books](smtp::MessageResult result) {
    return books.sum("messages_total", {smtp::to_string(result)});
  };
  const auto decisions = [&books](std::string_view result) {
    return books.sum("policy_decisions_total", {"", result});
  };
  using enum smtp::MessageResult;
  log::info("stopped", {{"sessions", books.sum("sessions_total")},
                        {"tls_handshakes", books.sum("tls_handshakes_total")},
                        {"tls_handshake_failures", books.sum("tls_handshake_failures_total")},
                        {"backend_failures", books.sum("backend_connect_failures_total")},
                        {"messages_accepted", messages(accepted)},
                        {"messages_refused_temporarily", messages(refused_temporarily)},
                        {"messages_refused_permanently", messages(refused_permanently)},
                        {"messages_lost", messages(lost) + messages(in_doubt)},
                        {"messages_possibly_delivered_twice", books.sum("messages_possibly_delivered_twice_total")},
                        {"policy_satisfied", decisions("satisfied")},
                        {"policy_observed", decisions("observed")},
                        {"policy_refused", decisions("refused")},
                        {"resolver_losses", resolver_ ? resolver_->losses() : 0},
                        {"plaintext", nonzero(books.sums("plaintext_deliveries_total"))},
                        {"refusals", nonzero(books.sums("rejections_total"))}});
}

}  // namespace postern::gateway
