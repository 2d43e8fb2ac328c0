// What works for the gateway's sessions outside of it: the resolver, who signs, who starts programs.
#include <utility>

#include "proxy/keeper/keeper.h"
#include "proxy/keeper/programs.h"
#include "proxy/observe/log.h"
#include "proxy/resolver/launch.h"
#include "proxy/runtime/needs.h"
#include "proxy/runtime/resolver_settings.h"

namespace postern::keeper {

namespace {

void tell(const resolver::Supervisor::News& news) {
  using Kind = resolver::Supervisor::News::Kind;
  switch (news.kind) {
    case Kind::lost:
      return log::warning("the resolver was lost",
                          {{"reason", news.text},
                           {"effect", "what it was asked has failed, and mail that needs the answer waits"},
                           {"another_after_ms", news.pause.count()}});
    case Kind::back: return log::info("there is a resolver again", {});
    case Kind::servers_changed: return log::info("the name servers have changed", {{"servers", news.text}});
    case Kind::trouble: return log::warning("the resolver complains", {{"reason", news.text}});
  }
}

resolver::Settings settings_of_resolver(const runtime::Runtime& runtime) {
  return runtime::resolver_settings(runtime.settings, runtime.name_servers, runtime.trust_anchor);
}

// Without where that stands in a file, which is no reason for another one.
std::string essence_of(resolver::Settings settings) {
  settings.servers.origin.clear();
  return encode(settings).value_or(std::string());
}

}  // namespace

std::optional<Error> Keeper::start_resolver() {
  auto program = resolver::find_program();
  if (!program) return program.error();
  resolver::Settings settings = settings_of_resolver(*present_->runtime);
  resolver_knows_ = essence_of(settings);
  resolver_ = std::make_unique<resolver::Supervisor>(
      loop_, resolver::Supervisor::Means{std::move(*program), std::move(settings), workers_ + 1,
                                         [this](std::vector<UniqueFd> connections, std::uint64_t run) {
                                           connect_resolver(std::move(connections), run);
                                         },
                                         [this](const resolver::Supervisor::News& news) {
                                           tell(news);
                                           if (news.kind == resolver::Supervisor::News::Kind::lost) {
                                             note(Event::Kind::resolver_lost, news.text);
                                           }
                                           tell_counts();
                                         }});
  return resolver_->start();
}

// The present snapshot is another one: what it says of log, programs and DNS may be, too.
void Keeper::on_swapped() {
  tell_counts();
  const runtime::Runtime& runtime = *present_->runtime;
  log::change(runtime.settings.log.level, runtime.settings.log.format);
  if (programs_) offer_programs(*programs_, runtime.settings);
  if (!runtime::looks_up(runtime::needs(runtime.settings))) return;
  if (resolver_) {
    resolver::Settings settings = settings_of_resolver(runtime);
    const std::string essence = essence_of(settings);
    if (essence == std::exchange(resolver_knows_, essence)) return;
    resolver_->renew(std::move(settings));
  } else if (const auto error = start_resolver()) {
    resolver_.reset();
    log::error("there is no resolver", {{"reason", error->message}});
  }
}

// A gateway that begins later asks for connections of its own.
void Keeper::connect_resolver(std::vector<UniqueFd> connections, std::uint64_t run) {
  lookups_.connect(std::move(connections.back()), [this, run](const std::string& why) {
    if (resolver_ && !why.empty()) resolver_->replace(run, why);
  });
  connections.pop_back();
  if (!gateway_) return;
  for (std::size_t first = 0; first < connections.size(); first += max_descriptors) {
    net::Descriptors some;
    for (std::size_t i = first; i < connections.size() && some.size() < max_descriptors; ++i) {
      some.push_back(std::move(connections[i]));
    }
    gateway_->send(Resolver{run, static_cast<std::uint32_t>(first)}, std::move(some));
  }
}

// A gateway that begins has nobody yet who signs for it.
std::optional<Error> Keeper::send_signers() {
  if (present_->runtime->settings.private_keys == config::PrivateKeys::inside) return std::nullopt;
  const std::uint32_t version = renewal_->version();
  auto ends = signers_.begin(workers_, version, present_->keys);
  if (!ends) return ends.error();
  send_connections(Sockets::Kind::signer, version, std::move(*ends));
  return std::nullopt;
}

std::optional<Error> Keeper::announce(const Prepared& next, std::uint32_t version) {
  signers_.add(version, next.keys);
  if (programs_) programs_before_ = programs_->offers();
  return connect_programs(next.runtime->settings, version);
}

void Keeper::withdraw(std::uint32_t version) {
  signers_.drop(version);
  if (programs_) programs_->offer(programs_before_);
}

// Each worker has one of its own, for as long as its gateway lives: what it has started is known there.
std::optional<Error> Keeper::connect_programs(const config::Settings& settings, std::uint32_t version) {
  if (!runtime::needs(settings).programs) return std::nullopt;
  if (programs_) {
    offer_new_programs(*programs_, settings);
  } else {
    auto programs = start_programs(loop_, reaper_, settings);
    if (!programs) return programs.error();
    programs_ = std::move(*programs);
  }
  if (std::exchange(programs_connected_, true)) return std::nullopt;
  auto connections = keeper::connect_programs(*programs_, workers_, [this, run = losses_](const std::string& why) {
    log::error("the gateway is not believed any more", {{"reason", why}});
    if (gateway_ && losses_ == run) gateway_->kill();
  });
  if (!connections) return connections.error();
  send_connections(Sockets::Kind::programs, version, std::move(*connections));
  return std::nullopt;
}

// One for each worker.
void Keeper::send_connections(Sockets::Kind kind, std::uint32_t version, std::vector<UniqueFd> connections) {
  Sockets message{version, {}};
  net::Descriptors descriptors;
  for (std::size_t w = 0; w < connections.size(); ++w) {
    message.entries.push_back({kind, static_cast<std::uint32_t>(w), {}, {}});
    descriptors.push_back(std::move(connections[w]));
    if (descriptors.size() < max_descriptors && w + 1 < connections.size()) continue;
    send(message, std::exchange(descriptors, {}));
    message.entries.clear();
  }
}

}  // namespace postern::keeper
