// Keeper's part in an upgrade: who takes its place.
#include <unistd.h>

#include <utility>

#include "proxy/keeper/keeper.h"
#include "proxy/observe/log.h"

namespace postern::keeper {

// Sockets that another process has bound for us: the service manager, or whose place we take.
Result<void> Keeper::inherit(const config::Settings& settings) {
  auto predecessor = Predecessor::meet(loop_);
  if (!predecessor) return tl::unexpected(predecessor.error());
  predecessor_ = std::move(*predecessor);
  if (predecessor_) return listening_->inherit(predecessor_->take_sockets(), settings, true);
  auto activated = activated_sockets();
  if (!activated) return tl::unexpected(activated.error());
  activated_ = !activated->empty();
  return listening_->inherit(std::move(*activated), settings, false);
}

// A service manager believes the one that it started until that has said who takes its place.
void Keeper::say_ready() {
  if (!predecessor_) return service_.ready();
  predecessor_->serving([this] { service_.ready(); });
}

void Keeper::upgrade() {
  const auto refuse = [](const std::string& why) { log::error("no upgrade", {{"reason", why}}); };
  if (ending_) return refuse("this one is stopping already");
  if (successor_) return refuse("there is one under way");
  if (!has_served_) return refuse("this one does not serve yet");
  if (file_.empty()) return refuse("where this binary was started from is not known");
  // With the first process its container, or its machine, ends.
  if (::getpid() == 1) return refuse("the first process of a container cannot be followed by another");
  const config::Settings& settings = present_->runtime->settings;
  auto started =
      Successor::start(loop_, file_, {"postern", "run", "--config", configuration_}, settings.upgrade_grace, *this);
  if (!started) return refuse(started.error().message);
  successor_ = std::move(*started);
  log::info("upgrading", {{"signal", "SIGUSR2"}, {"file", file_}, {"pid", successor_->pid()}});
  const auto sent = listening_->send_to_successor(
      [this](const Order& order, net::Descriptors descriptors) { successor_->send(order, std::move(descriptors)); });
  if (!sent) return on_successor_fails(sent.error().message);
  successor_->send(Commit{});
}

void Keeper::on_successor_serves() {
  log::info("another one has taken our place: draining", {{"pid", successor_->pid()}});
  service_.handed_over_to(successor_->pid());
  successor_->let_go();
  ending_ = superseded_ = true;
  reloader_->end();
  control_.reset();
  restart_.stop();
  drain();
}

void Keeper::on_successor_fails(const std::string& why) {
  log::error("no upgrade", {{"reason", why}, {"effect", "this one goes on"}});
  successor_.reset();
}

}  // namespace postern::keeper
