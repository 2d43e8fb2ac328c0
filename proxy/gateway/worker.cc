#include "proxy/gateway/worker.h"

#include <algorithm>
#include <random>
#include <set>
#include <utility>

#include "proxy/observe/log.h"
#include "proxy/outbound/outbound_session.h"
#include "proxy/runtime/needs.h"
#include "proxy/session/limit_log.h"

namespace postern::gateway {

namespace {
constexpr std::chrono::milliseconds sweep_interval(250);  // the precision of every timeout

// Null: no listener of the snapshot has that address.
template <class Listener>
const Listener* find_at(const runtime::Runtime::ByName<Listener>& listeners, std::string_view direction,
                        const Worker::Place& place) {
  const auto found = std::ranges::find_if(listeners, [&](const auto& each) {
    const auto& [name, listener] = each;
    const auto& listen = listener.settings.listen;
    const bool has_it = std::ranges::find(listen, place.address) != listen.end();
    return has_it && (place.address.port != 0 || place.listener == std::string(direction) + "." + name);
  });
  return found == listeners.end() ? nullptr : &found->second;
}

const runtime::Inbound* inbound_at(const runtime::Runtime& runtime, const Worker::Place& place) {
  return find_at(runtime.inbound, "inbound", place);
}
const runtime::Outbound* outbound_at(const runtime::Runtime& runtime, const Worker::Place& place) {
  return find_at(runtime.outbound, "outbound", place);
}

}  // namespace

Worker::Worker(unsigned number, std::shared_ptr<const runtime::Runtime> runtime)
    : number_(number),
      runtime_(std::move(runtime)),
      sweeper_(loop_.raw(), [this] { sweep(); }),
      programs_(loop_),
      resolver_(loop_),
      signer_(loop_),
      surroundings_{loop_,
                    scratch_,
                    effects_,
                    reaper_,
                    books_,
                    [this](session::Session& session) { retire(session); },
                    [this](std::unique_ptr<stream::Stream> stream) { buried_.push_back(std::move(stream)); },
                    &resolver_,
                    &programs_} {
  scratch_.waiting.share(runtime_->tallies->buffered());
  renew_pools();
  // Session numbers are told to people and logs, not secrets; a random start keeps those of restarts apart.
  next_session_ = (static_cast<std::uint64_t>(std::random_device{}()) << 16U) & 0xffff'ffff'0000U;
  loop_.at_end_of_turn([this] { end_of_turn(); });
}

Worker::~Worker() {
  join();
}

void Worker::prepare() {
  if (!runtime_->outbound.empty()) outbound_ = outbound::OutboundService::make(surroundings_, runtime_);
}

void Worker::use_resolver(UniqueFd connection, const resolver::Client::OnTrouble& on_trouble) {
  auto held = std::make_shared<UniqueFd>(std::move(connection));  // a task of the loop is copyable, a socket is not
  loop_.post([this, held, on_trouble] { resolver_.connect(std::move(*held), on_trouble); });
}

void Worker::use_signer(UniqueFd connection, SignerLink::Ask ask_for_another) {
  auto held = std::make_shared<UniqueFd>(std::move(connection));
  loop_.post([this, held, ask = std::move(ask_for_another)] {
    scratch_.signer = &signer_.client();
    signer_.client().on_change([this] {
      for (const auto& session : sessions_) session->on_signer();
    });
    signer_.connect(std::move(*held), ask, [this](const std::string& why) {
      log::error("nobody signs for a worker", {{"worker", number_},
                                               {"reason", why.empty() ? "the keeper has closed" : why},
                                               {"effect", "handshakes that need a private key fail"}});
    });
  });
}

void Worker::use_programs(UniqueFd connection) {
  auto held = std::make_shared<UniqueFd>(std::move(connection));
  loop_.post([this, held] { programs_.connect(std::move(*held)); });
}

void Worker::start(std::vector<Socket> sockets, std::function<void()> on_end) {
  on_end_ = std::move(on_end);
  thread_ = std::thread([this, taken = std::move(sockets)]() mutable { run(std::move(taken)); });
}

void Worker::join() {
  if (thread_.joinable()) thread_.join();
}

void Worker::adopt(std::shared_ptr<const runtime::Runtime> runtime, std::vector<Socket> added) {
  // A task of the loop is copyable, sockets are not.
  auto sockets = std::make_shared<std::vector<Socket>>(std::move(added));
  loop_.post([this, taken = std::move(runtime), sockets] { take_over(taken, std::move(*sockets)); });
}

void Worker::gather(std::function<void(const observe::Books&, const Condition&)> use) {
  {
    const std::lock_guard lock(ended_mutex_);
    if (!ended_) return loop_.post([this, use = std::move(use)] { tell(use); });
  }
  tell(use);
}

void Worker::count(std::function<void(std::size_t sessions)> use) {
  {
    const std::lock_guard lock(ended_mutex_);
    if (!ended_) return loop_.post([this, use = std::move(use)] { use(sessions_.size()); });
  }
  use(0);
}

void Worker::tell(const std::function<void(const observe::Books&, const Condition&)>& use) const {
  observe::Books books = books_;
  Condition condition{draining_, !resolver_.connected() && runtime::needs(runtime_->settings).resolver, {}, drained_};
  for (const auto& [listener, pool] : pools_) {
    for (std::size_t i = 0; i < pool->size(); ++i) {
      std::string address = config::to_string(pool->endpoint(i));
      books.of("inbound", listener).tell("backend_up", {address}, pool->up(i), pool->tried_at(i));
      condition.backends.push_back(
          {listener, std::move(address), pool->up(i), pool->tried_at(i), pool->since(i), pool->connections(i)});
    }
  }
  // That what is configured shows before anybody has come.
  for (const auto& [name, listener] : runtime_->inbound) (void)books.of("inbound", name);
  for (const auto& [name, listener] : runtime_->outbound) (void)books.of("outbound", name);
  use(books, condition);
}

void Worker::drain(bool sockets_live_on) {
  loop_.post([this, sockets_live_on] { begin_drain(sockets_live_on); });
}

void Worker::stop() {
  loop_.post([this] { stop_now(); });
}

void Worker::run(std::vector<Socket> sockets) {
  uv_update_time(loop_.raw());
  for (Socket& socket : sockets) listen(std::move(socket));
  sweeper_.start(sweep_interval);
  loop_.run();
  retired_.clear();
  buried_.clear();
  outbound_.reset();
  {
    // Together: from then on others may look at what this thread has left, which then nobody changes.
    const std::lock_guard lock(ended_mutex_);
    ended_ = true;
    loop_.run_posted();  // who asked before, and would wait for ever
  }
  on_end_();
}

void Worker::listen(Socket socket) {
  const std::uint32_t number = next_listener_++;
  const auto on_connection = [this, place = socket.place, number](net::StreamPtr connection) {
    accept(place, number, std::move(connection));
  };
  auto started = net::Listener::start(loop_.raw(), std::move(socket.fd), on_connection,
                                      [this](net::AcceptError error) { on_accept_error(error); });
  if (started) {
    listeners_.push_back({std::move(socket.place), number, std::move(*started)});
  } else {
    log::error("cannot listen", {{"worker", number_}, {"reason", started.error().message}});
  }
}

void Worker::on_accept_error(net::AcceptError error) {
  books_.own().add("accept_errors_total", {net::to_string(error)});
  if (error == net::AcceptError::aborted) return;
  const auto count = runtime_->tallies->accepting_pauses().note(loop_.now() * 1000);
  if (!count) return;
  const bool pauses = error != net::AcceptError::other;
  log::error(pauses ? "accepting pauses: no descriptors or memory are left" : "a connection cannot be accepted",
             {{"reason", net::to_string(error)}, {"times", *count}});
}

// Said by one worker for all: what became of floods since their last line.
void Worker::say_limits() {
  if (number_ != 0) return;
  const std::uint64_t now = loop_.now() * 1000;
  const auto buffer_limit = runtime_->settings.buffer_limit;
  for (const auto& [name, each] : runtime_->inbound) {
    session::log_limits(each.tally, "inbound", each.settings, buffer_limit, now);
  }
  for (const auto& [name, each] : runtime_->outbound) {
    session::log_limits(each.tally, "outbound", each.settings, buffer_limit, now);
  }
}

// Looked up anew for each connection: a snapshot that took over may have given the address to another listener.
void Worker::accept(const Place& place, std::uint32_t socket, net::StreamPtr connection) {
  if (const auto* const inbound = inbound_at(*runtime_, place)) {
    serve(
        std::make_unique<inbound::InboundSession>(surroundings_, runtime_, *inbound, pools_.at(inbound->settings.name),
                                                  next_session_++, std::move(connection)),
        socket);
  } else if (const auto* const outbound = outbound_at(*runtime_, place); outbound != nullptr && outbound_) {
    serve(std::make_unique<outbound::OutboundSession>(surroundings_, runtime_, *outbound_, *outbound, next_session_++,
                                                      std::move(connection)),
          socket);
  }
}

void Worker::renew_pools() {
  auto before = std::exchange(pools_, {});
  for (const auto& listener : runtime_->settings.inbound) {
    const auto known = before.find(listener.name);
    pools_[listener.name] = std::make_shared<inbound::BackendPool>(
        listener.backend.addresses, known == before.end() ? nullptr : known->second.get());
  }
}

void Worker::take_over(std::shared_ptr<const runtime::Runtime> runtime, std::vector<Socket> added) {
  if (draining_) return;
  const auto stays = [&snapshot = *runtime](const Listening& each) {
    return inbound_at(snapshot, each.place) != nullptr || outbound_at(snapshot, each.place) != nullptr;
  };
  // Who waits at one that goes begins with what it was.
  for (const Listening& each : listeners_) {
    if (!stays(each)) each.listener->accept_all();
  }
  runtime_ = std::move(runtime);
  renew_pools();
  if (outbound_) {
    outbound_->adopt(runtime_);
  } else {
    prepare();
  }
  const auto leave = static_cast<std::uint64_t>(runtime_->settings.drain.timeout.count());
  std::erase_if(listeners_, [&](const Listening& each) {
    if (stays(each)) return false;
    closed_[each.number] = loop_.now() + leave;
    return true;
  });
  for (Socket& socket : added) listen(std::move(socket));
}

void Worker::serve(std::unique_ptr<session::Session> session, std::uint32_t socket) {
  session::Session& started = *session;
  started.slot = static_cast<std::uint32_t>(sessions_.size());
  started.door = socket;
  sessions_.push_back(std::move(session));
  started.start();
}

void Worker::retire(session::Session& session) {
  if (const auto how = session.drained()) {
    using enum session::Drained;
    ++(how == cut ? drained_.cut : how == told ? drained_.told : drained_.by_themselves);
  }
  const std::uint32_t slot = session.slot;
  retired_.push_back(std::move(sessions_[slot]));
  if (slot + 1 != sessions_.size()) {
    sessions_[slot] = std::move(sessions_.back());
    sessions_[slot]->slot = slot;
  }
  sessions_.pop_back();
}

// Backwards: a session that ends takes its slot with it, and the one moved there was looked at already.
void Worker::sweep() {
  sweeper_.start(sweep_interval);
  const std::uint64_t now = loop_.now();
  for (std::size_t i = sessions_.size(); i-- > 0;) {
    if (i < sessions_.size()) sessions_[i]->sweep(now);
  }
  reaper_.sweep(now);
  drain_closed(now);
  if (outbound_) outbound_->sweep(now);
  say_limits();
  end_if_drained();
}

void Worker::end_of_turn() {
  if (retired_.empty() && buried_.empty()) return;
  retired_.clear();
  buried_.clear();
  end_if_drained();
}

void Worker::begin_drain(bool sockets_live_on) {
  if (draining_) return;
  draining_ = true;
  for (const Listening& each : listeners_) {
    if (!sockets_live_on) each.listener->accept_all();
  }
  listeners_.clear();
  drain_sessions([](const session::Session&) { return true; });
  end_if_drained();
}

// Sessions of a socket that went with a snapshot have as long to end by themselves as they would have to be ended.
void Worker::drain_closed(std::uint64_t now) {
  std::set<std::uint32_t> due;
  std::erase_if(closed_, [&](const auto& each) {
    if (now >= each.second) due.insert(each.first);
    return now >= each.second;
  });
  if (due.empty() || draining_) return;
  drain_sessions([&due](const session::Session& session) { return due.contains(session.door); });
}

// Those who are told unasked are told one after the other: all of them would connect again, elsewhere, at once.
void Worker::drain_sessions(const std::function<bool(const session::Session&)>& which) {
  const config::DrainSettings& settings = runtime_->settings.drain;
  const auto count = std::ranges::count_if(sessions_, [&](const auto& session) { return which(*session); });
  const std::uint64_t now = loop_.now();
  const std::uint64_t end = now + static_cast<std::uint64_t>(settings.timeout.count());
  std::int64_t told = 0;
  for (std::size_t i = sessions_.size(); i-- > 0;) {
    if (i >= sessions_.size() || !which(*sessions_[i])) continue;
    const auto wait = settings.spread * told++ / count;
    sessions_[i]->on_drain({now + static_cast<std::uint64_t>(wait.count()), end});
  }
}

void Worker::stop_now() {
  draining_ = true;
  listeners_.clear();
  while (!sessions_.empty()) sessions_.back()->abandon();
  reaper_.kill_all();
  end_if_drained();
}

void Worker::end_if_drained() {
  if (ended_ || !draining_ || !sessions_.empty() || !reaper_.empty()) return;
  if (outbound_) outbound_->stop();
  loop_.stop();
}

}  // namespace postern::gateway
