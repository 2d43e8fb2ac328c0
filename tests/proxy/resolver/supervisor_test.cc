// With postern-resolver itself, which asks a name server that nobody is.
#include "proxy/resolver/supervisor.h"

#include <csignal>
#include <optional>
#include <utility>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/turn_until.h"

namespace supervisor_test {

using namespace postern;
using namespace postern::resolver;
using test_support::turn_until;
using News = Supervisor::News;

const Settings settings{{false, {"127.0.0.1@1"}, "the test"}, false, {}, {}};

struct World {
  net::Loop loop;
  Client client{loop};
  std::vector<News> news;
  std::uint64_t run = 0;
  std::optional<Supervisor> supervisor;

  explicit World(const Settings& given = settings) {
    auto program = find_program();
    REQUIRE(program);
    supervisor.emplace(loop, Supervisor::Means{std::move(*program), given, 1,
                                               [this](std::vector<UniqueFd> connections, std::uint64_t number) {
                                                 run = number;
                                                 client.connect(std::move(connections[0]));
                                               },
                                               [this](const News& told) { news.push_back(told); }});
  }
  std::size_t count(News::Kind kind) const {
    return static_cast<std::size_t>(std::ranges::count(news, kind, &News::kind));
  }
  // Asks for what needs no name server.
  bool answers() {
    const auto way = client.resolver(How::plain);
    std::optional<dns::Answer> answer;
    const auto lookup = way->lookup({"localhost", dns::Type::a}, [&](const dns::Answer& came) { answer = came; });
    CHECK(turn_until(loop, [&] { return answer.has_value(); }));
    return answer && answer->exists();
  }
};

TEST_CASE("supervisor: the resolver serves once it has started, and the system's names too") {
  World world;
  REQUIRE_FALSE(world.supervisor->start());
  CHECK(world.answers());
  std::optional<bool> found;
  const auto lookup = world.client.look_up("localhost", [&](const auto& addresses) { found = addresses.has_value(); });
  CHECK(turn_until(world.loop, [&] { return found.has_value(); }));
  CHECK(found == true);
  CHECK(world.news.empty());
}

TEST_CASE("supervisor: settings that cannot be used are refused with a reason") {
  const auto refused = [](const Settings& given) {
    World world(given);
    const auto error = world.supervisor->start();
    return error ? error->message : std::string();
  };
  Settings wrong = settings;
  wrong.servers.servers = {"localhost@53"};
  CHECK(refused(wrong).find("DNS server localhost@53") != std::string::npos);
  wrong = settings;
  wrong.trust_anchor = {"this is no record"};
  CHECK(refused(wrong).find("trust anchor") != std::string::npos);
  const auto tried = try_settings(wrong);
  REQUIRE(tried);
  CHECK(tried->kind == Report::Kind::anchor_refused);
  CHECK(try_settings(settings)->kind == Report::Kind::ready);
}

TEST_CASE("supervisor: one that is killed is followed by another, which is told and counted") {
  World world;
  REQUIRE_FALSE(world.supervisor->start());
  CHECK(world.answers());
  REQUIRE(::kill(world.supervisor->pid(), SIGKILL) == 0);
  CHECK(turn_until(world.loop, [&] { return world.count(News::Kind::back) == 1; }));
  CHECK(world.answers());
  CHECK(world.supervisor->losses() == 1);
  REQUIRE(world.count(News::Kind::lost) == 1);
  CHECK(world.news[0].text == "killed by signal 9");
}

TEST_CASE("supervisor: clients that begin anew get connections of their own, and the resolver stays") {
  World world;
  REQUIRE_FALSE(world.supervisor->start());
  const int pid = world.supervisor->pid();
  world.supervisor->connect_again();
  CHECK(world.answers());
  world.supervisor->connect_again();
  CHECK(world.answers());
  CHECK(world.supervisor->pid() == pid);
  CHECK(world.news.empty());
}

TEST_CASE("supervisor: with other settings another one follows at once, which is no loss") {
  World world;
  REQUIRE_FALSE(world.supervisor->start());
  CHECK(world.answers());
  const std::uint64_t first = world.run;
  const int pid = world.supervisor->pid();
  Settings others = settings;
  others.servers.servers = {"127.0.0.2@1"};
  world.supervisor->renew(others);
  CHECK(world.run == first + 1);
  CHECK(world.supervisor->pid() != pid);
  CHECK(world.answers());
  // Nobody asks it any more.
  CHECK(turn_until(world.loop, [&] { return ::kill(pid, 0) != 0; }));
  CHECK(world.news.empty());
  CHECK(world.supervisor->losses() == 0);
}

TEST_CASE("supervisor: one that a client finds of no use is replaced, and not the one after it") {
  World world;
  REQUIRE_FALSE(world.supervisor->start());
  world.supervisor->replace(world.run + 1, "who?");
  CHECK(world.answers());
  const std::uint64_t first = world.run;
  world.supervisor->replace(first, "it does not answer");
  CHECK(turn_until(world.loop, [&] { return world.count(News::Kind::back) == 1; }));
  CHECK(world.news[0].text == "killed by signal 9: it does not answer");
  world.supervisor->replace(first, "it does not answer");
  CHECK(world.answers());
  CHECK(world.supervisor->losses() == 1);
}

TEST_CASE("supervisor: signals that end the gateway do not end its resolver, which ends with it") {
  World world;
  REQUIRE_FALSE(world.supervisor->start());
  const int pid = world.supervisor->pid();
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) REQUIRE(::kill(pid, signal) == 0);
  CHECK(world.answers());
  world.supervisor.reset();
  CHECK(::kill(pid, 0) != 0);
}

TEST_CASE("own resolver: it serves for the time of a command") {
  net::Loop loop;
  const auto own = OwnResolver::start(loop, settings);
  REQUIRE(own);
  const auto way = (*own)->client().resolver(How::proven);
  std::optional<dns::Answer> answer;
  const auto lookup = way->lookup({"localhost", dns::Type::a}, [&](const dns::Answer& came) { answer = came; });
  CHECK(turn_until(loop, [&] { return answer.has_value(); }));
  CHECK(answer->exists());
  const auto version = unbound_version();
  REQUIRE(version);
  CHECK(version->find('.') != std::string::npos);
}

}  // namespace supervisor_test
