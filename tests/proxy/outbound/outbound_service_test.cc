#include "proxy/outbound/outbound_service.h"

#include "proxy/runtime/preflight.h"
#include "tests/support/catch.h"

namespace outbound_service_test {

using namespace postern;
using namespace std::chrono_literals;
using Domains = std::vector<std::string>;

// A worker with these listeners, whose store knows a policy that is a day old.
struct World {
  explicit World(const std::vector<config::OutboundListener>& listeners) {
    config::Loaded loaded;
    loaded.settings.outbound = listeners;
    loaded.settings.dns.servers = {*config::parse_endpoint("127.0.0.1:1")};  // where nobody answers
    loaded.settings.dns.trust_anchor.clear();
    postern::runtime::Made made_runtime = runtime::prepare(std::move(loaded));
    REQUIRE(made_runtime.runtime);
    runtime = std::move(made_runtime.runtime);
    for (const auto& [ca_file, store] : runtime->mta_sts)
      store->store("example.org", {"1", {policy::MtaStsMode::enforce, 240h, {"mx.example.org"}}, now() - 25h});
    service = postern::outbound::OutboundService::make(around, runtime);
  }
  ~World() {
    service->stop();
    service.reset();
    buried.clear();
  }

  static policy::Time now() { return std::chrono::floor<std::chrono::seconds>(policy::Clock::now()); }
  // Whether the listener's store has given the policy to somebody to refresh.
  bool refreshed(std::size_t listener) {
    const auto& ca_file = runtime->settings.outbound[listener].ca_file;
    return runtime->mta_sts.at(ca_file)->take_due(now(), 10).empty();
  }

  std::shared_ptr<const postern::runtime::Runtime> runtime;
  net::Loop loop;
  postern::stream::Scratch scratch;
  smtp::Effects effects;
  net::ChildReaper reaper;
  observe::Books books;
  resolver::Client client{loop};  // which nobody answers
  std::vector<std::unique_ptr<postern::stream::Stream>> buried;
  postern::session::Surroundings around{
      loop,
      scratch,
      effects,
      reaper,
      books,
      [](postern::session::Session&) {},
      [this](std::unique_ptr<postern::stream::Stream> stream) { buried.push_back(std::move(stream)); },
      &client};
  std::unique_ptr<postern::outbound::OutboundService> service;
};

config::OutboundListener listener(const std::string& name) {
  config::OutboundListener made;
  made.name = name;
  made.route = config::OutboundRoute::mx;
  return made;
}

config::OutboundPolicy row(config::TlsLevel level) {
  config::OutboundPolicy made;
  made.match = {*config::parse_domain_pattern("example.org")};
  made.level = level;
  return made;
}

TEST_CASE("outbound service: a listener whose policies never use MTA-STS refreshes none") {
  auto without = listener("without");
  without.mta_sts = false;
  auto never = listener("never");
  never.level = config::TlsLevel::none;
  never.policies = {row(config::TlsLevel::none)};
  auto sometimes = listener("sometimes");
  sometimes.level = config::TlsLevel::none;
  sometimes.policies = {row(config::TlsLevel::none), row(config::TlsLevel::encrypt)};
  for (const auto& [alone, refreshes] :
       {std::pair(listener("always"), true), {without, false}, {never, false}, {sometimes, true}}) {
    World world({alone});
    world.service->sweep(1);
    CHECK(world.refreshed(0) == refreshes);
  }
  World together({without, listener("always")});
  together.service->sweep(1);
  CHECK(together.refreshed(0));
}

}  // namespace outbound_service_test
