#include "proxy/process/service_manager.h"

#include <sys/auxv.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <system_error>
#include <utility>

#include "config/text.h"

namespace postern::process {

namespace {

constexpr std::uint32_t most_sockets = 4'096;

std::string_view value_of(const Variables& variables, const char* name) {
  const char* const found = variables(name);
  return found == nullptr ? std::string_view() : std::string_view(found);
}

// Those of a service's start are meant for the process that was started, and are inherited by all below it.
bool is_ours(std::string_view pid) {
  return config::whole_number<pid_t>(pid) == ::getpid();
}

}  // namespace

Result<ServiceManager> ServiceManager::find(const Variables& variables) {
  ServiceManager manager;
  std::string address(value_of(variables, "NOTIFY_SOCKET"));
  if (address.empty()) return manager;
  if ((address.front() != '/' && address.front() != '@') || address.size() < 2 ||
      address.size() >= sizeof sockaddr_un{}.sun_path) {
    return fail(Errc::invalid_argument, "NOTIFY_SOCKET: " + address + " is no unix socket's address");
  }
  if (address.front() == '@') address.front() = '\0';
  manager.address_ = std::move(address);
  manager.socket_ = UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!manager.listens()) return fail(Errc::io, std::string("NOTIFY_SOCKET: ") + std::strerror(errno));
  const timeval patience = {0, 100'000};  // with one that is busy
  ::setsockopt(manager.socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);

  const std::string_view interval = value_of(variables, "WATCHDOG_USEC");
  const std::string_view whose = value_of(variables, "WATCHDOG_PID");
  if (interval.empty() || (!whose.empty() && !is_ours(whose))) return manager;
  const auto microseconds = config::whole_number<std::uint64_t>(interval);
  if (!microseconds || *microseconds == 0 || *microseconds > INT64_MAX) {
    return fail(Errc::invalid_argument, "WATCHDOG_USEC: " + std::string(interval) + " is no number of microseconds");
  }
  manager.watchdog_ = std::chrono::microseconds(static_cast<std::int64_t>(*microseconds));
  return manager;
}

// The time tells this reload from one that was under way before (Type=notify-reload).
void ServiceManager::reloading() const {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const std::int64_t microseconds = std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1'000;
  say("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(microseconds));
}

void ServiceManager::status(std::string_view text) const {
  std::string line = "STATUS=" + std::string(text);
  std::ranges::replace(line, '\n', ' ');
  say(line);
}

void ServiceManager::say(const std::string& state) const {
  if (!listens()) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, address_.data(), address_.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
  // Nobody there: then nobody waits for it.
  (void)::sendto(socket_.get(), state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
                 size);
}

Result<std::vector<std::string>> activated_names(const Variables& variables) {
  std::vector<std::string> names;
  if (!is_ours(value_of(variables, "LISTEN_PID"))) return names;
  const std::string_view count = value_of(variables, "LISTEN_FDS");
  const auto sockets = config::whole_number<std::uint32_t>(count);
  if (!sockets || *sockets > most_sockets) {
    return fail(Errc::invalid_argument, "LISTEN_FDS: " + std::string(count) + " is no number of sockets");
  }
  std::string_view rest = value_of(variables, "LISTEN_FDNAMES");
  while (names.size() < *sockets) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    names.emplace_back(rest.empty() ? "unknown" : rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return names;
}

std::string path_of_program() {
  const auto* const name = reinterpret_cast<const char*>(::getauxval(AT_EXECFN));
  std::string path = name == nullptr ? "" : name;
  if (path.starts_with("/proc/") || path.starts_with("/dev/fd/")) return {};
  if (path.empty() || path.front() == '/') return path;
  std::error_code error;
  const auto folder = std::filesystem::current_path(error);
  return error ? std::string() : (folder / path).string();
}

std::vector<std::string> environment_of_successor() {
  std::vector<std::string> variables;
  for (char** each = environ; each != nullptr && *each != nullptr; ++each) {
    const std::string_view variable = *each;
    static constexpr std::array<std::string_view, 4> ours = {
        "LISTEN_PID=", "LISTEN_FDS=", "LISTEN_FDNAMES=", "WATCHDOG_PID="};
    const bool stays = std::ranges::none_of(ours, [&](std::string_view name) { return variable.starts_with(name); });
    if (stays) variables.emplace_back(variable);
  }
  return variables;
}

}  // namespace postern::process
