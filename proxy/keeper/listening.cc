#include "proxy/keeper/listening.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "proxy/observe/log.h"
#include "proxy/runtime/needs.h"

namespace postern::keeper {

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

// A socket of ours, for somebody else to have as well.
Result<UniqueFd> duplicate(const UniqueFd& socket) {
  UniqueFd fd(::fcntl(socket.get(), F_DUPFD_CLOEXEC, 0));
  if (fd.get() < 0) return fail(Errc::io, std::string("handing a socket over: ") + std::strerror(errno));
  return fd;
}

// A name that is a listener's means that one.
bool names_another(const std::string& name, const std::string& listener, const config::Settings& settings) {
  std::vector<std::string> meant;
  for (const auto& each : settings.inbound) {
    if (name == each.name || name == "inbound." + each.name) meant.push_back("inbound." + each.name);
  }
  for (const auto& each : settings.outbound) {
    if (name == each.name || name == "outbound." + each.name) meant.push_back("outbound." + each.name);
  }
  return !meant.empty() && std::ranges::find(meant, listener) == meant.end();
}

tl::unexpected<Error> misplaced(const Listening::Given& given, const std::string& but) {
  return fail(Errc::invalid_argument, "the socket \"" + given.name + "\" that was handed over is bound to " +
                                          config::to_string(given.endpoint) + ", where " + but);
}

Result<UniqueFd> bind_admin(const config::Endpoint& endpoint) {
  if (endpoint.kind == config::Endpoint::Kind::unix_socket) return net::bind_unix(endpoint.name);
  return net::bind_address(endpoint, 1).map([](net::BoundAddress bound) { return std::move(bound.sockets[0]); });
}

}  // namespace

std::vector<Listening::Wanted> Listening::wanted_by(const config::Settings& settings) {
  std::vector<Wanted> wanted;
  for (const auto& listener : settings.inbound) {
    for (const auto& endpoint : listener.listen) wanted.push_back({"inbound." + listener.name, endpoint, false});
  }
  for (const auto& listener : settings.outbound) {
    const bool transparent = runtime::is_transparent(listener);
    for (const auto& endpoint : listener.listen) {
      wanted.push_back({"outbound." + listener.name, endpoint, transparent});
    }
  }
  return wanted;
}

// As gateway::Worker finds whose a connection is.
bool Listening::fits(const Held& held, const Wanted& wanted) {
  return held.endpoint == wanted.endpoint && (held.endpoint.port != 0 || held.listener == wanted.listener);
}

Result<void> Listening::inherit(std::vector<Given> given, const config::Settings& settings, bool some_left_over) {
  const auto wanted = wanted_by(settings);
  for (Given& each : given) {
    for (const Wanted& one : wanted) {
      if (!fits({each.name, each.endpoint, false, {}}, one) || !names_another(each.name, one.listener, settings))
        continue;
      return misplaced(each, one.listener + " listens");
    }
    const auto taken = take_given(each, wanted);
    if (!taken) return tl::unexpected(taken.error());
    if (*taken || take_path(each, settings) || some_left_over) continue;
    return misplaced(each, "no listener listens");
  }
  return {};
}

// Several may have one address: each is listened on.
Result<bool> Listening::take_given(Given& given, const std::vector<Wanted>& wanted) {
  const auto whose = std::ranges::find_if(wanted, [&](const Wanted& each) {
    return fits({given.name, given.endpoint, false, {}}, each);
  });
  if (whose == wanted.end()) return false;
  auto bound = net::take_bound(std::move(given.fd), {.transparent = whose->transparent});
  if (!bound) return fail(bound.error().code, whose->listener + ": " + bound.error().message);
  for (Held& held : held_) {
    if (!fits(held, *whose)) continue;
    held.bound.sockets.push_back(std::move(bound->sockets[0]));
    return true;
  }
  held_.push_back({whose->listener, whose->endpoint, whose->transparent, std::move(*bound)});
  return true;
}

bool Listening::take_path(Given& given, const config::Settings& settings) {
  if (given.endpoint == settings.admin.listen) {
    admin_ = {given.endpoint, std::move(given.fd)};
    return true;
  }
  const bool is_path = given.endpoint.kind == config::Endpoint::Kind::unix_socket;
  if (!is_path || settings.control.empty() || given.endpoint.name != settings.control) return false;
  control_ = std::move(given.fd);
  return true;
}

// Whether one that goes has its port, as where 0.0.0.0:25 becomes 127.0.0.1:25.
bool Listening::follows_one(const config::Endpoint& endpoint, const std::map<std::size_t, std::string>& kept) const {
  for (std::size_t at = 0; at < held_.size(); ++at) {
    if (!kept.contains(at) && held_[at].endpoint.port == endpoint.port) return true;
  }
  return false;
}

Result<Listening::Change> Listening::plan(const config::Settings& settings) const {
  Change change;
  std::vector<Wanted> added;
  for (Wanted& wanted : wanted_by(settings)) {
    std::size_t at = 0;
    while (at < held_.size() && (change.kept_.contains(at) || !fits(held_[at], wanted))) ++at;
    if (at < held_.size()) {
      if (held_[at].transparent != wanted.transparent) {
        return fail(Errc::invalid_argument, wanted.listener + ": " + config::to_string(wanted.endpoint) +
                                                " was bound otherwise than tproxy wants it: that needs a restart");
      }
      change.kept_[at] = wanted.listener;
      continue;
    }
    added.push_back(std::move(wanted));
  }
  for (Wanted& wanted : added) {
    const net::BindOptions options{.transparent = wanted.transparent,
                                   .beside_ours = follows_one(wanted.endpoint, change.kept_)};
    auto bound = net::bind_address(wanted.endpoint, workers_, options);
    if (!bound) return tl::unexpected(bound.error());
    change.added_.push_back({wanted.listener, std::move(wanted.endpoint), wanted.transparent, std::move(*bound)});
  }
  const auto& admin = settings.admin.listen;
  if (admin == admin_.endpoint) return change;
  change.admin_.emplace();
  change.admin_->endpoint = admin;
  if (!admin) return change;
  auto bound = bind_admin(*admin);
  if (!bound) return tl::unexpected(bound.error());
  change.admin_->socket = std::move(*bound);
  return change;
}

void Listening::take(Change change) {
  std::vector<Held> held;
  for (auto& [at, listener] : change.kept_) {
    held.push_back(std::move(held_[at]));
    held.back().listener = std::move(listener);
  }
  for (Held& added : change.added_) held.push_back(std::move(added));
  held_ = std::move(held);
  if (change.admin_) admin_ = std::move(*change.admin_);
}

Result<void> Listening::bind(const config::Settings& settings) {
  auto change = plan(settings);
  if (!change) return tl::unexpected(change.error());
  take(std::move(*change));
  return {};
}

Result<void> Listening::bind_paths(const config::Settings& settings) {
  const auto& admin = settings.admin.listen;
  if (admin && admin->kind == config::Endpoint::Kind::unix_socket && admin_.endpoint != admin) {
    auto bound = bind_admin(*admin);
    if (!bound) return tl::unexpected(bound.error());
    admin_ = {admin, std::move(*bound)};
  }
  if (settings.control.empty() || control_.get() >= 0) return {};
  auto bound = net::bind_unix(settings.control, net::OpenTo::owner);
  if (!bound) return tl::unexpected(bound.error());
  control_ = std::move(*bound);
  return {};
}

UniqueFd Listening::control() const {
  return control_.get() < 0 ? UniqueFd() : duplicate(control_).value_or(UniqueFd());
}

Result<void> Listening::send_these(const std::vector<Held>& these, const Admin* admin, std::uint32_t version,
                                   const Send& send) const {
  Sockets message{version, {}};
  net::Descriptors descriptors;
  const auto flush = [&] {
    if (descriptors.empty()) return;
    send(message, std::exchange(descriptors, {}));
    message.entries.clear();
  };
  for (const Held& held : these) {
    // One for each worker, where we have bound them. Of those that were inherited there may be more or fewer: none may
    // be left alone, and no worker idle.
    const std::size_t there = held.bound.sockets.size();
    for (std::size_t i = 0; i < std::max<std::size_t>(there, workers_); ++i) {
      auto fd = duplicate(held.bound.sockets[i % there]);
      if (!fd) return tl::unexpected(fd.error());
      descriptors.push_back(std::move(*fd));
      const auto worker = static_cast<std::uint32_t>(i % workers_);
      message.entries.push_back({Sockets::Kind::listening, worker, held.endpoint, held.listener});
      if (descriptors.size() == max_descriptors) flush();
    }
  }
  if (admin != nullptr && admin->socket.get() >= 0) {
    auto fd = duplicate(admin->socket);
    if (!fd) return tl::unexpected(fd.error());
    descriptors.push_back(std::move(*fd));
    message.entries.push_back({Sockets::Kind::admin, 0, {}, {}});
  }
  flush();
  return {};
}

Result<void> Listening::send_to_successor(const Send& send) const {
  if (auto sent = send_these(held_, &admin_, 0, send); !sent || control_.get() < 0) return sent;
  auto fd = duplicate(control_);
  if (!fd) return tl::unexpected(fd.error());
  net::Descriptors one;
  one.push_back(std::move(*fd));
  send(Sockets{0, {{Sockets::Kind::admin, 0, {}, {}}}}, std::move(one));
  return {};
}

// As text, with the ports that were chosen.
std::string Listening::addresses(const std::string& listener) const {
  std::string text;
  for (const Held& held : held_) {
    if (held.listener == listener) text += (text.empty() ? "" : ", ") + net::to_string(held.bound.address);
  }
  return text;
}

void Listening::tell(const config::Settings& settings) const {
  for (const auto& listener : settings.inbound) {
    log::info("listening", {{"listener", listener.name},
                            {"addresses", addresses("inbound." + listener.name)},
                            {"mode", config::to_string(listener.mode)},
                            {"backend", describe_backend(listener.backend)},
                            {"workers", workers_}});
  }
  for (const auto& listener : settings.outbound) {
    log::info("listening", {{"listener", listener.name},
                            {"addresses", addresses("outbound." + listener.name)},
                            {"mode", config::to_string(listener.mode)},
                            {"route", describe_route(listener)},
                            {"level", config::to_string(listener.level)},
                            {"enforcement", config::to_string(listener.enforcement)},
                            {"workers", workers_}});
  }
}

}  // namespace postern::keeper
