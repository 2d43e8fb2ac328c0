#include "proxy/keeper/keeper.h"

#include <sys/prctl.h>

#include <csignal>
#include <ctime>
#include <utility>
#include <variant>

#include "proxy/keeper/bundle.h"
#include "proxy/observe/log.h"
#include "proxy/process/cpu_count.h"
#include "proxy/process/descriptors.h"
#include "proxy/process/file_limit.h"
#include "proxy/runtime/needs.h"

namespace postern::keeper {

namespace {

constexpr std::chrono::seconds patience_with_stop(5);
constexpr std::chrono::seconds patience_with_snapshot(30);
// Beyond drain.timeout: who was cut has seconds to read that, and a program to end.
constexpr std::chrono::seconds patience_with_drain(45);

process::Privileges gateway_privileges(const config::Settings& settings) {
  const runtime::Needs wanted = runtime::needs(settings);
  std::optional<process::Identity> identity;  // the gateway could only look it up in files
  if (!settings.user.empty()) {
    if (auto found = process::find_identity(settings.user)) identity = std::move(*found);
  }
  return {.user = settings.user,
          .identity = std::move(identity),
          .foreign_source_addresses = wanted.foreign_addresses,
          .marks_sockets = wanted.socket_marks,
          .sandbox = {process::Sandbox::Of::gateway, settings.sandbox, settings.state_directory}};
}

}  // namespace

Keeper::Keeper(std::string configuration)
    : configuration_(std::move(configuration)),
      reaper_(loop_),
      service_(loop_, [this] { return ask_gateway(); }),
      restart_(loop_.raw(), [this] { start_gateway_again(); }),
      last_resort_(loop_.raw(),
                   [this] {
                     if (gateway_) gateway_->kill();
                   }),
      silence_(loop_.raw(), [this] { on_silence(); }),
      delay_(loop_.raw(), [this] { drain(); }) {
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR2}) {
    signals_.push_back(std::make_unique<net::Signal>(loop_.raw(), number, [this, number] { on_signal(number); }));
  }
}

Keeper::~Keeper() = default;

int Keeper::run() {
  if (!begin()) return 1;
  loop_.run();
  return status_;
}

bool Keeper::begin() {
  process::close_on_exec_from(3);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);  // keys are in our memory: no image of it, and nobody of our user looks
  process::raise_file_limit();           // as many as there are sockets; the gateway inherits it
  auto postern = net::Executable::open("/proc/self/exe");
  if (postern) postern_ = std::move(*postern);
  config::Loaded loaded = config::load_file(configuration_, config::process_environment());
  std::optional<Error> error;
  // Before threads start, of which the log is the first.
  if (loaded.ok()) {
    workers_ = loaded.settings.workers != 0 ? loaded.settings.workers : process::cpu_count();
    listening_.emplace(workers_);
    if (const auto inherited = inherit(loaded.settings); !inherited) error = inherited.error();
    if (!error) {
      if (const auto bound = listening_->bind_paths(loaded.settings); !bound) error = bound.error();
    }
    const bool starts_programs = runtime::needs(loaded.settings).programs;
    const auto done = process::drop_all_but_keeping(gateway_privileges(loaded.settings), starts_programs);
    if (!done && !error) error = done.error();
  }
  present_ = prepare(std::move(loaded), nullptr).prepared;
  if (!present_) return false;
  const config::Settings& settings = present_->runtime->settings;
  renewal_.emplace(loop_, Renewal::Means{*present_, workers_,
                                         [this](const Order& order, net::Descriptors descriptors) {
                                           send(order, std::move(descriptors));
                                         },
                                         [this] { on_swapped(); }, [this] { tell_counts(); }, &signers_, &guard_,
                                         [this](const std::string& files) { note(Event::Kind::renewed, files); }});
  reloader_.emplace(means_of_reloader());
  if (!postern) error = postern.error();
  if (!error) error = service_.begin();
  if (!error) {
    if (auto bound = listening_->bind(settings); !bound) error = bound.error();
  }
  if (!error && runtime::looks_up(runtime::needs(settings))) error = start_resolver();
  if (!error) error = start_gateway();
  if (!error) error = start_control();
  if (error) log::error("cannot start", {{"reason", error->message}});
  return !error;
}

std::optional<Error> Keeper::start_gateway() {
  signers_.end();  // of another gateway
  programs_connected_ = false;
  pauses_.begun(loop_.now());
  refusal_.clear();
  GatewayProcess::Owner& hears = *this;
  auto started = GatewayProcess::start(loop_, *postern_, gateway_privileges(present_->runtime->settings), hears);
  if (!started) return started.error();
  gateway_ = std::move(*started);
  if (resolver_) resolver_->connect_again();
  return send_snapshot();
}

// What comes back is Serving or Refused.
std::optional<Error> Keeper::send_snapshot() {
  auto bundle = seal(present_->bundle);
  if (!bundle) return bundle.error();
  const std::uint32_t version = renewal_->version();
  net::Descriptors one;
  one.push_back(std::move(*bundle));
  send(Snapshot{version}, std::move(one));
  const auto sent = listening_->send_all(
      version, [this](const Order& order, net::Descriptors descriptors) { send(order, std::move(descriptors)); });
  if (!sent) return sent.error();
  if (auto error = send_signers()) return error;
  if (auto error = connect_programs(present_->runtime->settings, version)) return error;
  send(Commit{version, workers_});
  told_.clear();
  tell_counts();
  for (const Event& each : events_) send(each);
  return std::nullopt;
}

// To the gateway that there is.
void Keeper::send(const Order& order, net::Descriptors descriptors) {
  if (!gateway_) return;
  gateway_->send(order, std::move(descriptors));
  if (std::holds_alternative<Commit>(order)) silence_.start(patience_with_snapshot);
}

void Keeper::on_silence() {
  log::warning("the gateway does not say whether it serves what it was given",
               {{"effect", "nothing else is taken over until it does"}, {"pid", gateway_ ? gateway_->pid() : 0}});
  silence_.start(patience_with_snapshot);
  reloader_->on_silence();
}

std::optional<Error> Keeper::start_control() {
  UniqueFd socket = listening_->control();
  if (socket.get() < 0) return std::nullopt;
  auto started = Control::start(loop_, std::move(socket),
                                {[this](const Reloader::OnOutcome& on_outcome) { reload(on_outcome); },
                                 [this](UniqueFd connection, bool as_text) {
                                   net::Descriptors one;
                                   one.push_back(std::move(connection));
                                   if (one.front().get() >= 0) send(Status{as_text}, std::move(one));
                                 }});
  if (!started) return started.error();
  control_ = std::move(*started);
  return std::nullopt;
}

Reloader::Means Keeper::means_of_reloader() {
  return {.file = configuration_,
          .present = *present_,
          .listening = *listening_,
          .renewal = *renewal_,
          .workers = workers_,
          .send = [this](const Order& order, net::Descriptors descriptors) { send(order, std::move(descriptors)); },
          .nobody_there = [this] { return gateway_ == nullptr; },
          .announce = [this](const Prepared& next, std::uint32_t version) { return announce(next, version); },
          .withdraw = [this](std::uint32_t version) { withdraw(version); },
          .swapped = [this] { on_swapped(); },
          .ended = [this] { tell_counts(); },
          .told =
              [this](bool taken_over, const std::string& what) {
                note(taken_over ? Event::Kind::reloaded : Event::Kind::reload_refused, what);
              }};
}

void Keeper::tell_counts() {
  send(Counts{losses_, resolver_ ? resolver_->losses() : 0, renewal_->troubled() || reloader_->failed()});
  for (const auto& [name, state] : renewal_->certificates()) {
    CertificateState& told = told_[name];
    told.name = name;
    if (state == told || name.size() > max_name) continue;
    told = state;
    send(state);
  }
}

// The status page has the last ones, whichever gateway they happened to.
void Keeper::note(Event::Kind kind, std::string text) {
  if (text.size() > max_event) text.resize(max_event);
  remember(events_, {std::time(nullptr), kind, std::move(text)});
  send(events_.back());
}

void Keeper::reload(const Reloader::OnOutcome& on_outcome) {
  service_.reloading();
  reloader_->ask([this, on_outcome](const Reloader::Outcome& outcome) {
    service_.reloaded();
    if (on_outcome) on_outcome(outcome);
  });
}

void Keeper::on_signal(int number) {
  if (number == SIGUSR2) return upgrade();
  if (number == SIGHUP) {
    log::info("reloading", {{"signal", "SIGHUP"}});
    return reload({});
  }
  // A service manager tells all processes: who drains already is not meant.
  if (std::exchange(superseded_, false)) return;
  log::info(ending_ ? "stopping at once" : "draining", {{"signal", number == SIGTERM ? "SIGTERM" : "SIGINT"}});
  reloader_->end();
  if (std::exchange(ending_, true)) {
    stop_at_once();
  } else {
    stop();
  }
}

// The service manager wants to know how it is.
bool Keeper::ask_gateway() {
  if (gateway_) send(Ask{});
  return gateway_ != nullptr;
}

void Keeper::stop() {
  service_.stopping();
  successor_.reset();
  restart_.stop();
  const config::DrainSettings& settings = present_->runtime->settings.drain;
  if (!gateway_ || settings.delay == settings.delay.zero()) return drain();
  gateway_->send(Announce{});
  delay_.start(settings.delay);
}

// The gateway closes its own sockets: from then on nobody can connect.
void Keeper::drain() {
  listening_->close();
  if (!gateway_) return loop_.stop();
  gateway_->send(Drain{superseded_, activated_});
  last_resort_.start(present_->runtime->settings.drain.timeout + patience_with_drain);
}

void Keeper::stop_at_once() {
  delay_.stop();
  listening_->close();
  if (!gateway_) return loop_.stop();
  if (std::exchange(stopping_, true)) return;
  gateway_->send(Stop{});
  last_resort_.start(patience_with_stop);
}

void Keeper::on_report(const Report& report) {
  std::visit([this](const auto& each) { hear(each); }, report);
}

void Keeper::hear(const Serving& report) {
  silence_.stop();
  if (reloader_->hear(report)) return;
  if (renewal_->hear(report)) return reloader_->go_on();
  if (report.version != renewal_->version() || ending_) return;
  if (std::exchange(has_served_, true)) {
    log::info("there is a gateway again");
  } else {
    renewal_->begin();
    listening_->tell(present_->runtime->settings);
  }
  say_ready();
  reloader_->go_on();
}

// It has nothing to serve, and goes.
void Keeper::hear(const Refused& report) {
  silence_.stop();
  if (reloader_->hear(report)) return;
  if (renewal_->hear(report)) return reloader_->go_on();
  if (!refusal_.empty()) return;  // it has been told
  refusal_ = report.text.empty() ? "it gave no reason" : report.text;
  gateway_->send(Stop{});
  last_resort_.start(patience_with_stop);
}

void Keeper::hear(const ResolverUseless& report) {
  if (resolver_) resolver_->replace(report.run, report.why);
}

void Keeper::hear(const Retired& report) {
  signers_.drop(report.version);
}

void Keeper::hear(const SignerLost& report) {
  auto end = signers_.replace(report.worker, loop_.now());
  if (!end) return;  // it asks again
  net::Descriptors one;
  one.push_back(std::move(*end));
  gateway_->send(Signer{report.worker}, std::move(one));
}

void Keeper::hear(const Stopped&) {
  drained_ = true;
}

void Keeper::on_gateway_end(const std::string& how) {
  const bool well = std::exchange(drained_, false) && how == net::HelperProcess::ended_well;
  // One that is not there yet can be ended by a signal that is meant for all: it knows of nobody.
  const bool served = renewal_->serving();
  gateway_.reset();
  service_.on_gateway_end();
  silence_.stop();
  renewal_->on_gateway_end();
  reloader_->on_gateway_end();
  last_resort_.stop();
  const std::string why = refusal_.empty() ? how : refusal_;
  if (ending_) {
    if (!well && served) {
      log::error("the gateway was lost before it had drained", {{"reason", how}});
      status_ = 1;
    }
    return loop_.stop();
  }
  if (!has_served_) {
    log::error("cannot start", {{"reason", refusal_.empty() ? "the gateway has ended: " + how : refusal_}});
    status_ = 1;
    return loop_.stop();
  }
  lose_gateway(why);
}

void Keeper::lose_gateway(const std::string& why) {
  ++losses_;
  note(Event::Kind::gateway_lost, why);
  const auto pause = pauses_.ended(loop_.now());
  log::error("the gateway was lost", {{"reason", why},
                                      {"effect", "its sessions have ended; who connects waits for another one"},
                                      {"losses", losses_},
                                      {"another_after_ms", pause.count()}});
  restart_.start(pause);
  reloader_->go_on();
}

void Keeper::start_gateway_again() {
  if (const auto error = start_gateway()) {
    gateway_.reset();
    lose_gateway(error->message);
  }
}

}  // namespace postern::keeper
