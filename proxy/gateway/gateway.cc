#include "proxy/gateway/gateway.h"

#include <sys/socket.h>

#include <atomic>
#include <utility>
#include <variant>

#include "proxy/gateway/snapshot.h"
#include "proxy/keeper/bundle.h"
#include "proxy/observe/log.h"

namespace postern::gateway {

namespace {

// "name:3,other:1"
std::string nonzero(const std::vector<std::pair<std::string, std::uint64_t>>& counts) {
  std::string text;
  for (const auto& [name, count] : counts) text += (text.empty() ? "" : ",") + name + ":" + std::to_string(count);
  return text;
}

}  // namespace

Gateway::Gateway(UniqueFd keeper, process::SandboxState sandbox) : sandbox_(std::move(sandbox)) {
  net::PacketSocket::Owner& hears = *this;
  keeper_ = std::make_unique<net::PacketSocket>(
      loop_.raw(), std::move(keeper), net::PacketSocket::Bounds{keeper::max_message, keeper::max_descriptors}, hears);
}

Gateway::~Gateway() = default;

void Gateway::run() {
  loop_.run();
  for (auto& worker : workers_) worker->join();
  admin_.reset();
  if (runtime_ != nullptr) report();
  say(keeper::Stopped{});
}

void Gateway::say(const keeper::Report& report) {
  if (keeper_) keeper_->send(encode(report));
}

// Nobody is there to start programs, or to bind, and nobody would know that we go on.
void Gateway::on_end(const std::string& why) {
  give_up(why.empty() ? "it has ended" : why);
}

void Gateway::give_up(const std::string& why) {
  keeper_.reset();
  log::error("the keeper is lost: draining", {{"reason", why}});
  if (admin_) admin_->listen_on(UniqueFd());  // another keeper may want its address
  drain();
}

void Gateway::hear(std::string_view packet, net::Descriptors descriptors) {
  const auto order = keeper::parse_order(packet, descriptors.size());
  if (!order) return give_up(order.error().message);
  std::visit([&](const auto& each) { obey(each, descriptors); }, *order);
}

void Gateway::obey(const keeper::Snapshot& order, net::Descriptors& descriptors) {
  arriving_.emplace();
  arriving_->version = order.version;
  arriving_->bundle = std::move(descriptors.front());
}

void Gateway::obey(const keeper::Sockets& order, net::Descriptors& descriptors) {
  if (!arriving_ || arriving_->version != order.version) return give_up("sockets of no snapshot");
  arriving_->count += descriptors.size();
  if (arriving_->count > keeper::max_sockets) return give_up("too many sockets");
  for (std::size_t i = 0; i < descriptors.size(); ++i) {
    take(order.entries[i], std::move(descriptors[i]));
  }
}

void Gateway::take(const keeper::Sockets::Entry& entry, UniqueFd descriptor) {
  using Kind = keeper::Sockets::Kind;
  switch (entry.kind) {
    case Kind::listening:
      arriving_->sockets[entry.worker].push_back({{entry.endpoint, entry.listener}, std::move(descriptor)});
      return;
    case Kind::programs: arriving_->programs[entry.worker] = std::move(descriptor); return;
    case Kind::signer: arriving_->signers[entry.worker] = std::move(descriptor); return;
    case Kind::admin: arriving_->admin = std::move(descriptor); return;
  }
}

void Gateway::obey(const keeper::Commit& order, net::Descriptors&) {
  if (!arriving_ || arriving_->version != order.version) return give_up("a snapshot of which nothing is there");
  if (draining_) return;
  if (auto error = swap_in(*std::exchange(arriving_, std::nullopt), order.workers)) {
    return say(keeper::Refused{order.version, std::move(error->message)});
  }
  tell_when_serving(order.version);
}

void Gateway::obey(const keeper::Renewed&, net::Descriptors& descriptors) {
  const auto bundle = keeper::unseal(descriptors.front());
  if (!bundle) return give_up(bundle.error().message);
  if (renewals_.renew(bundle->files) && admin_) admin_->renewed();
}

void Gateway::obey(const keeper::Resolver& order, net::Descriptors& descriptors) {
  // What the one before said meanwhile, it may have said without the anchor.
  if (order.run != resolver_run_ && std::exchange(resolver_is_stale_, false)) runtime_->fitness->forget();
  resolver_run_ = order.run;
  for (std::size_t i = 0; i < descriptors.size(); ++i) {
    const auto w = static_cast<std::uint32_t>(order.first + i);
    if (w < workers_.size()) {
      use_resolver(*workers_[w], std::move(descriptors[i]), order.run);
    } else {
      resolver_connections_[w] = std::move(descriptors[i]);
    }
  }
}

// Who comes is served as before; balancers are to send nobody any more.
void Gateway::obey(const keeper::Announce&, net::Descriptors&) {
  leaving_ = true;
  if (admin_) admin_->leaving();
}

void Gateway::obey(const keeper::Drain& order, net::Descriptors&) {
  if (order.superseded && admin_) admin_->listen_on(UniqueFd());  // whoever asks is to ask the other one
  drain(order.superseded || order.sockets_live_on);
}

void Gateway::obey(const keeper::Stop&, net::Descriptors&) {
  draining_ = true;
  for (auto& worker : workers_) worker->stop();
  if (running_ == 0) loop_.stop();
}

void Gateway::obey(const keeper::Counts& order, net::Descriptors&) {
  counts_ = order;
  if (admin_) admin_->counted(counts_);
}

// It may be asked where there is no admin server.
void Gateway::obey(const keeper::Status& order, net::Descriptors& descriptors) {
  if (!runtime_) return;
  if (!admin_) start_admin({});
  if (admin_) admin_->tell_status(std::move(descriptors.front()), order.as_text);
}

// Those that the snapshot has: no more than that is kept.
void Gateway::obey(const keeper::CertificateState& order, net::Descriptors&) {
  if (runtime_ == nullptr) return;
  const auto& known = runtime_->settings.certificates;
  std::erase_if(certificates_, [&known](const auto& each) { return !known.contains(each.first); });
  if (!known.contains(order.name)) return;
  certificates_[order.name] = order;
  if (admin_) admin_->renewed(certificates_);
}

// Whoever hangs, nothing is said.
void Gateway::obey(const keeper::Ask&, net::Descriptors&) {
  struct Round {
    std::atomic<std::size_t> left;
    std::atomic<std::uint64_t> sessions = 0;
  };
  if (workers_.empty()) return say(keeper::Alive{});
  const auto round = std::make_shared<Round>();
  round->left = workers_.size();
  for (auto& worker : workers_) {
    worker->count([this, round](std::size_t sessions) {
      round->sessions += sessions;
      if (--round->left == 0) loop_.post([this, round] { say(keeper::Alive{round->sessions}); });
    });
  }
}

void Gateway::obey(const keeper::Event& order, net::Descriptors&) {
  keeper::remember(events_, order);
  if (admin_) admin_->heard(events_);
}

void Gateway::obey(const keeper::Signer& order, net::Descriptors& descriptors) {
  if (order.worker < workers_.size()) use_signer(order.worker, std::move(descriptors.front()));
}

void Gateway::drain(bool sockets_live_on) {
  if (std::exchange(draining_, true)) return;
  for (auto& worker : workers_) worker->drain(sockets_live_on);
  if (running_ == 0) loop_.stop();
}

// An error: nothing has changed.
std::optional<Error> Gateway::swap_in(Arriving arriving, std::uint32_t workers) {
  if (!workers_.empty() && workers != workers_.size()) {
    return Error{Errc::invalid_argument, "another number of workers needs a restart"};
  }
  auto made = make_snapshot(arriving.bundle, runtime_.get());
  if (!made) return made.error();
  if (runtime_ && !asks_as_before(**made, *runtime_)) resolver_is_stale_ = true;
  runtime_ = until_retired(std::move(*made), arriving.version);
  const config::LogSettings& log = runtime_->settings.log;
  if (workers_.empty()) {
    log::start(log.level, log.format);
    tell_sandbox();
    make_workers(workers, arriving);
  } else {
    log::change(log.level, log.format);
    use_programs(arriving);
    for (std::uint32_t w = 0; w < workers; ++w) workers_[w]->adopt(runtime_, std::move(arriving.sockets[w]));
  }
  look_after(std::move(arriving.admin));
  renewals_.of(live_files(*runtime_));
  return std::nullopt;
}

// The same; when the last who has it lets go of it, in whichever thread, the keeper hears of that.
std::shared_ptr<const runtime::Runtime> Gateway::until_retired(std::shared_ptr<const runtime::Runtime> runtime,
                                                               std::uint32_t version) {
  const runtime::Runtime* const itself = runtime.get();
  return {itself, [this, version, held = std::move(runtime)](const runtime::Runtime*) mutable {
            held.reset();
            loop_.post([this, version] { say(keeper::Retired{version}); });
          }};
}

void Gateway::use_programs(Arriving& arriving) {
  for (auto& [w, connection] : arriving.programs) {
    if (w < workers_.size()) workers_[w]->use_programs(std::move(connection));
  }
}

void Gateway::make_workers(std::uint32_t count, Arriving& arriving) {
  for (std::uint32_t w = 0; w < count; ++w) {
    workers_.push_back(std::make_unique<Worker>(w, runtime_));
    workers_.back()->prepare();
  }
  use_programs(arriving);
  for (auto& [w, connection] : std::exchange(resolver_connections_, {})) {
    if (w < count) use_resolver(*workers_[w], std::move(connection), resolver_run_);
  }
  for (auto& [w, connection] : arriving.signers) {
    if (w < count) use_signer(w, std::move(connection));
  }
  running_ = count;
  for (std::uint32_t w = 0; w < count; ++w) {
    workers_[w]->start(std::move(arriving.sockets[w]), [this] { loop_.post([this] { on_worker_end(); }); });
  }
}

void Gateway::look_after(UniqueFd admin) {
  if (admin_) {
    admin_->adopted(runtime_);
    if (admin.get() >= 0 || !runtime_->settings.admin.listen) admin_->listen_on(std::move(admin));
    return;
  }
  if (admin.get() >= 0) start_admin(std::move(admin));
}

// One that cannot be is a line in the log: mail goes on.
void Gateway::start_admin(UniqueFd socket) {
  auto started = Admin::start(std::move(socket), workers_, runtime_);
  if (!started) return log::error("there is no admin server", {{"reason", started.error().message}});
  admin_ = std::move(*started);
  admin_->counted(counts_);
  admin_->renewed(certificates_);
  admin_->heard(events_);
  if (leaving_) admin_->leaving();
  admin_->confined(sandbox_);
}

// Of what was asked for and cannot be had; and that one which only reports has no files to report of.
void Gateway::tell_sandbox() const {
  if (sandbox_.mode == config::SandboxMode::log) {
    log::info("the sandbox refuses nothing", {{"seccomp", "the kernel logs what would be refused"},
                                              {"landlock", "not applied: it cannot only report"}});
  }
  if (sandbox_.missing.empty()) return;
  log::warning("the sandbox is not as tight as it is to be", {{"reason", sandbox_.missing},
                                                              {"landlock", sandbox_.files ? "on" : "off"},
                                                              {"seccomp", sandbox_.calls ? "on" : "off"}});
}

// Once the last of them has done what it was told before.
void Gateway::tell_when_serving(std::uint32_t version) {
  const auto left = std::make_shared<std::atomic<std::size_t>>(workers_.size());
  for (auto& worker : workers_) {
    worker->post([this, left, version] {
      if (--*left == 0) loop_.post([this, version] { say(keeper::Serving{version}); });
    });
  }
}

void Gateway::use_resolver(Worker& worker, UniqueFd connection, std::uint64_t run) {
  worker.use_resolver(std::move(connection), [this, run](const std::string& why) {
    loop_.post([this, run, why] { say(keeper::ResolverUseless{run, why}); });
  });
}

void Gateway::use_signer(std::uint32_t worker, UniqueFd connection) {
  workers_[worker]->use_signer(std::move(connection),
                               [this, worker] { loop_.post([this, worker] { say(keeper::SignerLost{worker}); }); });
}

void Gateway::on_worker_end() {
  if (--running_ == 0) loop_.stop();
}

// What was counted in the life of the process: one line at its end.
void Gateway::report() const {
  observe::Books books;
  Worker::Drained drained;
  for (const auto& worker : workers_) {
    books.add(worker->books());
    drained.by_themselves += worker->drained().by_themselves;
    drained.told += worker->drained().told;
    drained.cut += worker->drained().cut;
  }
  const auto messages = [&books](smtp::MessageResult result) {
    return books.sum("messages_total", {smtp::to_string(result)});
  };
  const auto decisions = [&books](std::string_view result) {
    return books.sum("policy_decisions_total", {"", result});
  };
  using enum smtp::MessageResult;
  log::info("stopped", {{"sessions", books.sum("sessions_total")},
                        {"drained_by_themselves", drained.by_themselves},
                        {"drained_told", drained.told},
                        {"drained_cut", drained.cut},
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
                        {"resolver_losses", counts_.resolver_losses},
                        {"plaintext", nonzero(books.sums("plaintext_deliveries_total"))},
                        {"refusals", nonzero(books.sums("rejections_total"))}});
}

}  // namespace postern::gateway
