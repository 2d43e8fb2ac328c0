#include "proxy/resolver/client.h"

#include <sys/socket.h>

#include <optional>
#include <utility>

#include "proxy/resolver/server.h"
#include "tests/support/catch.h"
#include "tests/support/fake_resolver.h"
#include "tests/support/turn_until.h"

// Both ends of the connections: a client and the server that answers it.
namespace client_test {

using namespace postern;
using namespace postern::resolver;
using namespace std::string_literals;
using test_support::turn_until;

// Answers what the test says, or keeps silent where `silent`.
class Answers final : public dns::Resolver {
 public:
  explicit Answers(testing::FakeResolver& table, int* alive = nullptr) : table_(table), alive_(alive) {
    if (alive_ != nullptr) ++*alive_;
  }
  ~Answers() override {
    if (alive_ != nullptr) --*alive_;
  }
  std::unique_ptr<dns::Lookup> lookup(const dns::Question& question, Callback callback) override {
    return table_.lookup(question, std::move(callback));
  }

 private:
  testing::FakeResolver& table_;
  int* alive_;
};

class FakeNames final : public net::Names {
 public:
  std::unique_ptr<net::NameLookup> look_up(const std::string& name, Callback callback) override {
    asked.emplace_back(name, std::move(callback));
    return std::make_unique<net::NameLookup>();
  }
  std::vector<std::pair<std::string, Callback>> asked;
};

const std::string loopback = "\x7f\0\0\1"s;
const dns::Question mx{"example", dns::Type::mx};

struct World {
  bool follows;
  net::Loop loop;
  testing::FakeResolver table;
  FakeNames names;
  int alive = 0;  // resolvers that were made and are not gone
  std::vector<std::string> made;
  std::vector<Report> reports;
  std::vector<std::string> given_up;
  Result<std::optional<dns::NameServers>> resolv_conf = std::optional<dns::NameServers>();
  std::optional<Server> server;
  std::vector<std::string> troubles;
  Client client{loop};

  explicit World(bool follow = false) : follows(follow) { serve(); }
  void serve() {
    server.emplace(loop, Server::Means{[this](const dns::NameServers& servers, const dns::TrustAnchor& anchor,
                                              config::Duration) -> Result<std::unique_ptr<dns::Resolver>> {
                                         made.push_back(dns::addresses(servers) + (anchor.empty() ? " plain" : ""));
                                         return std::make_unique<Answers>(table, &alive);
                                       },
                                       names, [this] { return resolv_conf; },
                                       [this](const Report& report) { reports.push_back(report); },
                                       [this](const std::string& why) { given_up.push_back(why); }});
    CHECK_FALSE(server->configure({{false, {"192.0.2.1@53"}, "the test"}, follows, {". IN DS 1 13 2 aa"}, {}}));
    join();
  }
  void join() {
    auto pair = net::packet_pair();
    server->serve(std::move(pair->first));
    client.connect(std::move(pair->second), [this](const std::string& why) { troubles.push_back(why); });
  }
  // Turns until the server was asked `count` questions in all.
  void wait_for(std::size_t count) {
    CHECK(turn_until(loop, [&] { return table.asked.size() == count; }));
  }
  std::optional<dns::Answer> ask(const dns::Question& question, How how = How::proven) {
    std::optional<dns::Answer> answer;
    const auto way = client.resolver(how);
    const auto lookup = way->lookup(question, [&](const dns::Answer& came) { answer = came; });
    CHECK_FALSE(answer);
    CHECK(turn_until(loop, [&] {
      table.deliver();
      return answer.has_value();
    }));
    return answer;
  }
};

TEST_CASE("client: what the resolver says arrives as it was said") {
  World world;
  dns::Answer bogus = dns::failure("signature expired");
  bogus.status = dns::Status::bogus;
  bogus.asked = "192.0.2.1:53 (the test)";
  world.table.set({"bogus.example", dns::Type::a}, bogus);
  world.table.set({"gone.example", dns::Type::a}, testing::without_records(dns::Status::no_such_name, true));
  world.table.set({"mx.example", dns::Type::a}, testing::exists(true, {loopback}, "host.example"));

  const auto found = world.ask({"mx.example", dns::Type::a});
  CHECK(found->status == dns::Status::exists);
  CHECK(found->secure);
  CHECK(found->rdata == std::vector<std::string>{loopback});
  CHECK(found->canonical_name == "host.example");
  CHECK(world.ask({"gone.example", dns::Type::a})->status == dns::Status::no_such_name);
  CHECK(world.ask({"bogus.example", dns::Type::a})->status == dns::Status::bogus);
  CHECK(world.ask({"bogus.example", dns::Type::a})->reason == "signature expired");
  CHECK(world.ask({"bogus.example", dns::Type::a})->asked == "192.0.2.1:53 (the test)");
  CHECK(world.ask({"other.example", dns::Type::a})->status == dns::Status::failed);
}

TEST_CASE("client: what it knows for its TTL it does not ask again, in its own way") {
  World world;
  world.table.set(mx, testing::exists(false, {testing::mx_rdata(1, "mx.example")}));
  world.ask(mx);
  world.ask(mx);
  CHECK(world.table.asked.size() == 1);
  world.ask(mx, How::plain);
  CHECK(world.table.asked.size() == 2);
  world.ask(mx, How::afresh);
  world.ask(mx, How::afresh);
  CHECK(world.table.asked.size() == 4);
}

TEST_CASE("client: a resolver that remembers nothing lives for one question") {
  World world;
  CHECK(world.alive == 2);
  world.ask(mx, How::afresh);
  CHECK(turn_until(world.loop, [&] { return world.alive == 2; }));
  CHECK(world.made.size() == 3);
}

TEST_CASE("client: a destroyed lookup never calls back, and answers find their own questions") {
  World world;
  world.table.set({"a.example", dns::Type::a}, testing::exists(true, {loopback}));
  const auto way = world.client.resolver(How::proven);
  bool called = false;
  std::vector<std::string> heard;
  auto dropped = way->lookup({"dropped.example", dns::Type::a}, [&](const dns::Answer&) { called = true; });
  std::unique_ptr<dns::Lookup> second;
  auto first = way->lookup({"a.example", dns::Type::a}, [&](const dns::Answer& answer) {
    heard.push_back(answer.exists() ? "a" : "?");
    second = way->lookup({"b.example", dns::Type::a}, [&](const dns::Answer& other) {
      heard.push_back(other.exists() ? "?" : "b");
      second.reset();
    });
  });
  dropped.reset();
  CHECK(turn_until(world.loop, [&] {
    world.table.deliver();
    return heard.size() == 2;
  }));
  CHECK(heard == std::vector<std::string>{"a", "b"});
  CHECK_FALSE(called);
}

TEST_CASE("client: what is under way when the resolver ends is asked of the next one, once") {
  World world;
  std::vector<dns::Answer> heard;
  const auto way = world.client.resolver(How::proven);
  std::vector<std::unique_ptr<dns::Lookup>> lookups;
  const auto ask = [&](const std::string& name) {
    lookups.push_back(way->lookup({name, dns::Type::mx}, [&](const dns::Answer& answer) { heard.push_back(answer); }));
  };
  for (int i = 0; i < 5; ++i) ask("x" + std::to_string(i) + ".example");
  world.wait_for(5);
  const auto end = [&](std::size_t troubles) {
    world.server.reset();
    CHECK(turn_until(world.loop, [&] { return world.troubles.size() == troubles; }));
    CHECK(world.troubles.back().empty());
  };
  end(1);
  ask("late.example");  // who asks while nobody is there waits, too
  for (int turn = 0; turn < 5; ++turn) uv_run(world.loop.raw(), UV_RUN_NOWAIT);
  CHECK(heard.empty());
  world.serve();
  world.wait_for(11);
  end(2);
  CHECK(turn_until(world.loop, [&] { return heard.size() == 5; }));
  for (const dns::Answer& answer : heard) {
    CHECK(answer.status == dns::Status::failed);
    CHECK(answer.reason == "the resolver has ended");
    CHECK(answer.unasked);
  }
  world.serve();
  world.table.set({"late.example", dns::Type::mx}, testing::exists(true, {testing::mx_rdata(1, "mx.example")}));
  CHECK(turn_until(world.loop, [&] {
    world.table.deliver();
    return heard.size() == 6;
  }));
  CHECK(heard.back().exists());
}

TEST_CASE("client: where nobody comes a question has failed soon") {
  net::Loop loop;
  Client client(loop);
  const auto way = client.resolver(How::proven);
  std::optional<dns::Answer> answer;
  const auto lookup = way->lookup(mx, [&](const dns::Answer& came) { answer = came; });
  CHECK(turn_until(loop, [&] { return answer.has_value(); }));
  CHECK(answer->status == dns::Status::failed);
  CHECK(answer->reason == "there is no resolver now");
  CHECK(answer->unasked);
}

TEST_CASE("client: more questions than a connection may have under way fail at once, and the others do not") {
  World world;
  const auto way = world.client.resolver(How::proven);
  std::vector<std::unique_ptr<dns::Lookup>> lookups;
  std::size_t failed = 0, answered = 0;
  for (std::size_t i = 0; i < max_questions + 10; ++i) {
    dns::Question question{"x" + std::to_string(i) + ".example", dns::Type::a};
    world.table.set(question, testing::exists(false, {loopback}));
    lookups.push_back(
        way->lookup(question, [&](const dns::Answer& answer) { ++(answer.exists() ? answered : failed); }));
  }
  CHECK(turn_until(world.loop, [&] {
    if (world.table.asked.size() == max_questions) world.table.deliver();
    return answered + failed == lookups.size();
  }));
  CHECK(failed == 10);
  CHECK(world.given_up.empty());
}

TEST_CASE("client: a name that cannot be is a failure that nobody is asked about") {
  World world;
  CHECK(world.ask({std::string(300, 'a'), dns::Type::a})->status == dns::Status::failed);
  CHECK(world.ask({"a b"s, dns::Type::a})->status == dns::Status::failed);
  CHECK(world.table.asked.empty());
}

TEST_CASE("client: the system's names have addresses, or none, or cannot be asked now") {
  World world;
  std::optional<Result<std::vector<config::IpAddress>>> heard;
  const auto ask = [&](const std::string& name, const Result<std::vector<config::IpAddress>>& answer) {
    heard.reset();
    world.names.asked.clear();
    const auto lookup = world.client.look_up(name, [&](auto found) { heard = std::move(found); });
    CHECK(turn_until(world.loop, [&] { return world.names.asked.size() == 1; }));
    CHECK(world.names.asked[0].first == name);
    world.names.asked[0].second(answer);
    CHECK(turn_until(world.loop, [&] { return heard.has_value(); }));
  };
  const std::vector<config::IpAddress> both = {*config::parse_ip_address("::1"),
                                               *config::parse_ip_address("127.0.0.1")};
  ask("mail", both);
  CHECK(**heard == both);
  ask("nobody", fail(Errc::not_found, "unknown node or service"));
  CHECK(heard->error().code == Errc::not_found);
  ask("nobody", fail(Errc::temporary, "try again"));
  CHECK(heard->error().code == Errc::temporary);
  CHECK(heard->error().message == "try again");
}

TEST_CASE("client: a resolver that breaks the protocol is left, and that is told") {
  net::Loop loop;
  Client client(loop);
  auto pair = net::packet_pair();
  std::vector<std::string> troubles;
  client.connect(std::move(pair->second), [&](const std::string& why) { troubles.push_back(why); });
  const auto way = client.resolver(How::proven);
  std::optional<dns::Answer> answer;
  const auto lookup = way->lookup(mx, [&](const dns::Answer& came) { answer = came; });
  REQUIRE(::send(pair->first.get(), "nonsense", 8, 0) == 8);
  CHECK(turn_until(loop, [&] { return answer.has_value(); }));
  CHECK(answer->status == dns::Status::failed);
  CHECK(answer->unasked);
  REQUIRE(troubles.size() == 1);
  CHECK_FALSE(troubles[0].empty());
}

TEST_CASE("client: an answer that nobody has asked for is nobody's") {
  net::Loop loop;
  Client client(loop);
  auto pair = net::packet_pair();
  client.connect(std::move(pair->second));
  const auto way = client.resolver(How::proven);
  std::optional<dns::Answer> answer;
  const auto lookup = way->lookup(mx, [&](const dns::Answer& came) { answer = came; });
  for (const std::uint32_t id : {77U, 0U, 0U}) {
    const std::string packet = encode(Answer{id, testing::without_records(dns::Status::no_data, false)});
    REQUIRE(::send(pair->first.get(), packet.data(), packet.size(), 0) > 0);
  }
  CHECK(turn_until(loop, [&] { return answer.has_value(); }));
  CHECK(answer->status == dns::Status::no_data);
  for (int turn = 0; turn < 5; ++turn) uv_run(loop.raw(), UV_RUN_NOWAIT);
}

TEST_CASE("server: a gateway that breaks the protocol is given up") {
  World world;
  auto pair = net::packet_pair();
  world.server->serve(std::move(pair->first));
  REQUIRE(::send(pair->second.get(), "nonsense", 8, 0) == 8);
  CHECK(turn_until(world.loop, [&] { return world.given_up.size() == 1; }));
}

TEST_CASE("server: who leaves leaves the others as they are") {
  World world;
  auto pair = net::packet_pair();
  world.server->serve(std::move(pair->first));
  const std::string packet = encode(Question{1, How::afresh, mx});
  REQUIRE(::send(pair->second.get(), packet.data(), packet.size(), 0) > 0);
  world.wait_for(1);
  pair->second = UniqueFd();
  CHECK(turn_until(world.loop, [&] { return world.alive == 2; }));
  world.table.deliver();
  world.table.set(mx, testing::exists(true, {testing::mx_rdata(1, "mx.example")}));
  CHECK(world.ask(mx)->exists());
  CHECK(world.given_up.empty());
}

TEST_CASE("server: name servers that change are asked from then on, and those of before end with their questions") {
  World world(true);
  std::optional<dns::Answer> answer;
  world.resolv_conf = dns::NameServers{false, {"192.0.2.9@53"}, "/etc/resolv.conf"};
  world.table.set(mx, testing::exists(true, {testing::mx_rdata(1, "mx.example")}));
  CHECK(world.ask(mx)->exists());
  CHECK(world.made ==
        std::vector<std::string>{"192.0.2.1:53 plain", "192.0.2.1:53", "192.0.2.9:53 plain", "192.0.2.9:53"});
  REQUIRE(world.reports.size() == 1);
  CHECK(world.reports[0].kind == Report::Kind::servers_changed);
  CHECK(world.reports[0].text == "192.0.2.9:53");
  CHECK(turn_until(world.loop, [&] { return world.alive == 2; }));
}

TEST_CASE("server: a resolv.conf that cannot be read is said once, and those of before are asked") {
  World world(true);
  world.resolv_conf = fail(Errc::io, "/etc/resolv.conf: Permission denied");
  world.table.set(mx, testing::exists(true, {testing::mx_rdata(1, "mx.example")}));
  CHECK(world.ask(mx)->exists());
  REQUIRE(world.reports.size() == 1);
  CHECK(world.reports[0].kind == Report::Kind::trouble);
}

}  // namespace client_test
