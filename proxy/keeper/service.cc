#include "proxy/keeper/service.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace postern::keeper {

namespace {

constexpr std::chrono::milliseconds leisure(10'000);  // between looks where no watchdog wants more
constexpr int looks = 3;                              // for each time that the watchdog waits

const process::Variables environment = [](const char* name) { return std::getenv(name); };

}  // namespace

Service::Service(net::Loop& loop, std::function<bool()> ask)
    : ask_(std::move(ask)), timer_(loop.raw(), [this] { tick(); }) {}

std::optional<Error> Service::begin() {
  auto found = process::ServiceManager::find(environment);
  if (!found) return found.error();
  manager_ = std::move(*found);
  if (!manager_.listens()) return std::nullopt;
  interval_ = leisure;
  const auto watchdog = std::chrono::duration_cast<std::chrono::milliseconds>(manager_.watchdog());
  if (manager_.watchdog().count() != 0) {
    interval_ = std::clamp(watchdog / looks, std::chrono::milliseconds(1), leisure);
  }
  return std::nullopt;
}

void Service::ready() {
  if (std::exchange(ready_, true)) return;
  manager_.ready();
  if (manager_.listens()) tick();
}

void Service::stopping() {
  stopping_ = true;
  manager_.stopping();
  if (manager_.listens()) tick();
}

// What we say afterwards would be taken for its.
void Service::handed_over_to(pid_t pid) {
  manager_.main_process(pid);
  manager_ = {};
  timer_.stop();
}

// Whoever does not answer is asked nothing more, and the watchdog hears nothing.
void Service::tick() {
  timer_.start(interval_);
  if (asked_) return;
  asked_ = ask_();
  if (asked_) return;
  manager_.alive();
  tell("the gateway was lost, and another one begins");
}

void Service::hear(const Alive& report) {
  asked_ = false;
  if (!manager_.listens()) return;
  manager_.alive();
  tell(std::string(stopping_ ? "draining" : "serving") + ", " + std::to_string(report.sessions) +
       (report.sessions == 1 ? " session" : " sessions"));
}

void Service::tell(const std::string& status) {
  if (status == status_) return;
  status_ = status;
  manager_.status(status);
}

Result<std::vector<Listening::Given>> activated_sockets() {
  constexpr int first = 3;  // SD_LISTEN_FDS_START
  auto names = process::activated_names(environment);
  if (!names) return tl::unexpected(names.error());
  std::vector<Listening::Given> given;
  for (std::size_t i = 0; i < names->size(); ++i) {
    Listening::Given each{{}, std::move((*names)[i]), UniqueFd(first + static_cast<int>(i))};
    auto endpoint = net::bound_to(each.fd);
    if (!endpoint) {
      return fail(Errc::invalid_argument,
                  "the socket \"" + each.name + "\" that was handed over: " + endpoint.error().message);
    }
    each.endpoint = std::move(*endpoint);
    given.push_back(std::move(each));
  }
  return given;
}

}  // namespace postern::keeper
