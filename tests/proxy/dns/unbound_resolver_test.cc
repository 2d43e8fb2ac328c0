#include "proxy/dns/unbound_resolver.h"

#include <arpa/inet.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <map>

#include "proxy/dns/records.h"
#include "tests/support/catch.h"

namespace unbound_resolver_test {

using namespace postern::dns;
using namespace std::string_literals;

std::string number16(unsigned value) {
  return {static_cast<char>(value >> 8 & 0xff), static_cast<char>(value & 0xff)};
}

// A DNS server on the loopback that answers by table, without signatures. What it has no row for, it does not answer.
class FakeServer {
 public:
  struct Reply {
    unsigned rcode = 0;
    std::vector<std::string> records;  // whole, as they stand in the answer section
  };

  explicit FakeServer(uv_loop_t* loop) {
    REQUIRE(uv_udp_init(loop, &socket_) == 0);
    sockaddr_in any{};
    REQUIRE(uv_ip4_addr("127.0.0.1", 0, &any) == 0);
    REQUIRE(uv_udp_bind(&socket_, reinterpret_cast<const sockaddr*>(&any), 0) == 0);
    socket_.data = this;
    uv_udp_recv_start(&socket_, allocate, receive);
    uv_unref(reinterpret_cast<uv_handle_t*>(&socket_));
  }
  ~FakeServer() { CHECK(uv_is_closing(reinterpret_cast<uv_handle_t*>(&socket_))); }
  void close() { uv_close(reinterpret_cast<uv_handle_t*>(&socket_), nullptr); }

  unsigned port() const {
    sockaddr_in own{};
    int size = sizeof own;
    REQUIRE(uv_udp_getsockname(&socket_, reinterpret_cast<sockaddr*>(&own), &size) == 0);
    return ntohs(own.sin_port);
  }

  std::map<Question, Reply> table;
  int queries = 0;

 private:
  static void allocate(uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
    auto* self = static_cast<FakeServer*>(handle->data);
    *buffer = uv_buf_init(self->bytes_, sizeof self->bytes_);
  }
  static void receive(uv_udp_t* handle, ssize_t size, const uv_buf_t* buffer, const sockaddr* from, unsigned) {
    if (size > 12 && from != nullptr)
      static_cast<FakeServer*>(handle->data)->answer({buffer->base, static_cast<std::size_t>(size)}, from);
  }
  void answer(std::string_view query, const sockaddr* from) {
    ++queries;
    std::size_t at = 12;
    std::string name;
    while (query[at] != 0) {
      const auto length = static_cast<std::size_t>(query[at]);
      name += (name.empty() ? "" : ".") + std::string(query.substr(at + 1, length));
      at += length + 1;
    }
    const auto type = static_cast<unsigned char>(query[at + 1]) * 256U + static_cast<unsigned char>(query[at + 2]);
    const auto row = table.find({normalize_name(name), static_cast<Type>(type)});
    if (row == table.end()) return;
    std::string reply = std::string(query.substr(0, 2)) + number16(0x8180 | row->second.rcode) + number16(1) +
                        number16(static_cast<unsigned>(row->second.records.size())) + number16(0) + number16(0) +
                        std::string(query.substr(12, at + 5 - 12));
    for (const std::string& record : row->second.records) reply += record;
    uv_buf_t buffer = uv_buf_init(reply.data(), static_cast<unsigned>(reply.size()));
    uv_udp_try_send(&socket_, &buffer, 1, from);
  }

  uv_udp_t socket_{};
  char bytes_[4096];
};

std::string record(const std::string& owner, unsigned type, const std::string& rdata) {
  return name_to_wire(owner).value() + number16(type) + number16(1) + number16(0) + number16(300) +
         number16(static_cast<unsigned>(rdata.size())) + rdata;
}

// A loop with a server and a resolver that forwards to it; at the end nothing may be left in the loop.
struct World {
  uv_loop_t loop;
  std::unique_ptr<FakeServer> server;
  std::unique_ptr<Resolver> resolver;

  explicit World(const std::string& trust_anchor = {}, std::chrono::milliseconds timeout = std::chrono::seconds(10)) {
    REQUIRE(uv_loop_init(&loop) == 0);
    server = std::make_unique<FakeServer>(&loop);
    ResolverSettings settings;
    settings.servers = {false, {"127.0.0.1@" + std::to_string(server->port())}, "the test"};
    if (!trust_anchor.empty()) settings.trust_anchor = {trust_anchor};
    settings.timeout = timeout;
    auto made = make_unbound_resolver(&loop, settings);
    REQUIRE(made);
    resolver = std::move(*made);
  }
  ~World() {
    resolver.reset();
    server->close();
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&loop) == 0);
  }

  Answer ask(const Question& question) {
    std::optional<Answer> answer;
    const auto lookup = resolver->lookup(question, [&answer](const Answer& came) {
      CHECK_FALSE(answer);
      answer = came;
    });
    CHECK_FALSE(answer);
    while (!answer) uv_run(&loop, UV_RUN_ONCE);
    return *answer;
  }
};

const std::string loopback = "\x7f\0\0\1"s;
const std::string anchor = "example. IN DS 12345 13 2 " + std::string(64, 'a');
const std::string root_anchor = ". IN DS 12345 13 2 " + std::string(64, 'a');

TEST_CASE("unbound_resolver: records, no data and no such name are told apart") {
  World world;
  world.server->table[{"mx.example", Type::a}] = {0, {record("mx.example", 1, loopback)}};
  world.server->table[{"mx.example", Type::aaaa}] = {0, {}};
  world.server->table[{"gone.example", Type::a}] = {3, {}};

  const Answer found = world.ask({"mx.example", Type::a});
  CHECK(found.status == Status::exists);
  CHECK(found.rdata == std::vector<std::string>{loopback});
  CHECK_FALSE(found.secure);
  CHECK(found.ttl.count() == 300);
  CHECK(world.ask({"mx.example", Type::aaaa}).status == Status::no_data);
  CHECK(world.ask({"gone.example", Type::a}).status == Status::no_such_name);
}

TEST_CASE("unbound_resolver: what is in the cache is not asked again, and still comes in a later turn") {
  World world;
  world.server->table[{"mx.example", Type::a}] = {0, {record("mx.example", 1, loopback)}};
  world.ask({"mx.example", Type::a});
  const int queries = world.server->queries;
  CHECK(world.ask({"mx.example", Type::a}).exists());
  CHECK(world.server->queries == queries);
}

TEST_CASE("unbound_resolver: the canonical name behind an alias is known") {
  World world;
  world.server->table[{"mx.example", Type::a}] = {
      0, {record("mx.example", 5, name_to_wire("host.example").value()), record("host.example", 1, loopback)}};
  world.server->table[{"host.example", Type::a}] = {0, {record("host.example", 1, loopback)}};
  const Answer answer = world.ask({"mx.example", Type::a});
  CHECK(answer.exists());
  CHECK(answer.canonical_name == "host.example");
}

TEST_CASE("unbound_resolver: SERVFAIL is a failure") {
  World world;
  world.server->table[{"mx.example", Type::a}] = {2, {}};
  const Answer answer = world.ask({"mx.example", Type::a});
  CHECK(answer.status == Status::failed);
  CHECK(answer.reason == "no usable answer");  // the library says the same where nobody has answered: no code
  CHECK(answer.asked == "127.0.0.1:" + std::to_string(world.server->port()) + " (the test)");
}

TEST_CASE("unbound_resolver: names that the library would answer by itself are asked for like all others") {
  for (const std::string name :
       {"nas.home.arpa", "mx.test", "mx.invalid", "mx.onion", "1.0.168.192.in-addr.arpa", "1.0.0.10.in-addr.arpa",
        "1.0.16.172.in-addr.arpa", "d.f.ip6.arpa", "5.0.0.127.in-addr.arpa"}) {
    INFO(name);
    // The root denies the names of private networks; loopback's reverse zone is anybody's.
    World world(name.ends_with("127.in-addr.arpa") ? "" : root_anchor);
    world.server->table[{name, Type::a}] = {0, {record(name, 1, loopback)}};
    world.server->table[{"gone." + name, Type::a}] = {3, {}};
    const Answer found = world.ask({name, Type::a});
    CHECK(found.status == Status::exists);
    CHECK_FALSE(found.secure);
    CHECK(found.asked.empty());
    CHECK(world.ask({"gone." + name, Type::a}).status == Status::no_such_name);
  }
}

TEST_CASE("unbound_resolver: localhost is this machine, whatever a server says") {
  World world;
  CHECK(world.ask({"localhost", Type::a}).rdata == std::vector<std::string>{loopback});
  CHECK(world.ask({"mail.localhost", Type::a}).rdata == std::vector<std::string>{loopback});
  CHECK(world.ask({"mail.localhost", Type::mx}).status == Status::no_data);
  CHECK(world.server->queries == 0);
}

TEST_CASE("unbound_resolver: a server that says nothing is a failure once time is out") {
  World world({}, std::chrono::milliseconds(100));
  const Answer answer = world.ask({"silent.example", Type::a});
  CHECK(answer.status == Status::failed);
  CHECK(answer.reason == "no answer in time");
}

TEST_CASE("unbound_resolver: unsigned answers below a trust anchor are bogus, whether they hold records or none") {
  World world(anchor);
  world.server->table[{"mx.example", Type::a}] = {0, {record("mx.example", 1, loopback)}};
  world.server->table[{"mx.example", Type::tlsa}] = {3, {}};
  // The zone's keys: none that the anchor vouches for.
  world.server->table[{"example", static_cast<Type>(48)}] = {0, {}};
  const Answer answer = world.ask({"mx.example", Type::a});
  CHECK(answer.status == Status::bogus);
  CHECK_FALSE(answer.secure);
  CHECK_FALSE(answer.reason.empty());
  CHECK(world.ask({"mx.example", Type::tlsa}).status == Status::bogus);
}

TEST_CASE("unbound_resolver: a destroyed lookup never calls back") {
  World world;
  world.server->table[{"mx.example", Type::a}] = {0, {record("mx.example", 1, loopback)}};
  bool called = false;
  auto lookup = world.resolver->lookup({"mx.example", Type::a}, [&called](const Answer&) { called = true; });
  lookup.reset();
  CHECK(world.ask({"mx.example", Type::a}).exists());
  CHECK_FALSE(called);
}

TEST_CASE("unbound_resolver: a callback may destroy its lookup and start another") {
  World world;
  world.server->table[{"mx.example", Type::a}] = {0, {record("mx.example", 1, loopback)}};
  world.server->table[{"mx.example", Type::aaaa}] = {0, {}};
  std::unique_ptr<Lookup> lookup;
  std::optional<Answer> second;
  lookup = world.resolver->lookup({"mx.example", Type::a}, [&](const Answer&) {
    lookup = world.resolver->lookup({"mx.example", Type::aaaa}, [&](const Answer& answer) {
      second = answer;
      lookup.reset();
    });
  });
  while (!second) uv_run(&world.loop, UV_RUN_ONCE);
  CHECK(second->status == Status::no_data);
}

TEST_CASE("unbound_resolver: the resolver may go while lookups are under way") {
  bool called = false;
  std::unique_ptr<Lookup> orphan;
  {
    World world;
    for (int i = 0; i < 50; ++i) {
      auto lookup = world.resolver->lookup({"silent" + std::to_string(i) + ".example", Type::mx},
                                           [&called](const Answer&) { called = true; });
      if (i == 7) orphan = std::move(lookup);
    }
    uv_run(&world.loop, UV_RUN_NOWAIT);
  }
  CHECK_FALSE(called);
}

TEST_CASE("unbound_resolver: a name that cannot be is a failure, not a crash") {
  World world;
  CHECK(world.ask({"a..b", Type::a}).status == Status::failed);
  CHECK(world.ask({std::string(300, 'a'), Type::a}).status == Status::failed);
}

TEST_CASE("unbound_resolver: wrong settings are refused with a reason") {
  uv_loop_t loop;
  REQUIRE(uv_loop_init(&loop) == 0);
  const auto refused = [&loop](const std::function<void(ResolverSettings&)>& change) {
    ResolverSettings settings;
    settings.servers.servers = {"127.0.0.1@53"};
    change(settings);
    const auto made = make_unbound_resolver(&loop, settings);
    if (!made) CHECK_FALSE(made.error().message.empty());
    return !made;
  };
  CHECK_FALSE(refused([](ResolverSettings&) {}));
  CHECK(refused([](ResolverSettings& settings) { settings.servers.servers.clear(); }));
  CHECK(refused([](ResolverSettings& settings) { settings.servers.servers = {"localhost@53"}; }));
  CHECK_FALSE(refused([](ResolverSettings& settings) { settings.servers = {true, {}, {}}; }));
  CHECK_FALSE(refused([](ResolverSettings& settings) { settings.trust_anchor = {anchor, ". " + anchor.substr(9)}; }));
  CHECK(refused([](ResolverSettings& settings) { settings.trust_anchor = {anchor, "this is no record"}; }));
  CHECK(refused([](ResolverSettings& settings) { settings.trust_anchor = {"example. IN DNSKEY 257"}; }));
  CHECK_FALSE(refused([](ResolverSettings&) {}));  // whoever comes after one that was refused does not suffer from it
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(uv_loop_close(&loop) == 0);
}

}  // namespace unbound_resolver_test
