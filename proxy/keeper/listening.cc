#include "proxy/keeper/listening.h"

#include <fcntl.h>

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
  if (admin && admin->kind == config::Endpoint::Kind::unix_socket) {
    auto bound = bind_admin(*admin);
    if (!bound) return tl::unexpected(bound.error());
    admin_ = {admin, std::move(*bound)};
  }
  if (settings.control.empty()) return {};
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
    for (unsigned w = 0; w < workers_; ++w) {
      auto fd = duplicate(held.bound.sockets[w]);
      if (!fd) return tl::unexpected(fd.error());
      descriptors.push_back(std::move(*fd));
      message.entries.push_back({Sockets::Kind::listening, w, held.endpoint, held.listener});
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
