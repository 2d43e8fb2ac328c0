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

}  // namespace

Result<void> Listening::bind(const config::Settings& settings) {
  std::vector<Held> held;
  for (const auto& listener : settings.inbound) {
    auto done = bind("inbound." + listener.name, listener.listen, workers_, {}, held);
    if (!done) return done;
  }
  for (const auto& listener : settings.outbound) {
    auto done = bind("outbound." + listener.name, listener.listen, workers_,
                     {.transparent = runtime::is_transparent(listener)}, held);
    if (!done) return done;
  }
  held_ = std::move(held);
  return {};
}

Result<void> Listening::bind(const std::string& listener, const std::vector<config::Endpoint>& listen, unsigned workers,
                             const net::BindOptions& options, std::vector<Held>& held) {
  for (const auto& endpoint : listen) {
    auto bound = net::bind_address(endpoint, workers, options);
    if (!bound) return tl::unexpected(bound.error());
    held.push_back({listener, endpoint, std::move(*bound)});
  }
  return {};
}

Result<void> Listening::send_all(std::uint32_t version, const Send& send) const {
  Sockets message{version, {}};
  net::Descriptors descriptors;
  const auto flush = [&] {
    if (descriptors.empty()) return;
    send(message, std::exchange(descriptors, {}));
    message.entries.clear();
  };
  for (const Held& held : held_) {
    for (unsigned w = 0; w < workers_; ++w) {
      UniqueFd fd(::fcntl(held.bound.sockets[w].get(), F_DUPFD_CLOEXEC, 0));
      if (fd.get() < 0) return fail(Errc::io, std::string("handing a socket over: ") + std::strerror(errno));
      descriptors.push_back(std::move(fd));
      message.entries.push_back({Sockets::Kind::listening, w, held.endpoint, held.listener});
      if (descriptors.size() == max_descriptors) flush();
    }
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
