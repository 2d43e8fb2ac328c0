#include "proxy/limits/client_table.h"

#include <thread>
#include <vector>

#include "tests/support/catch.h"

namespace client_table_test {

using namespace postern;
using limits::ClientBounds;
using limits::ClientKey;
using limits::ClientTable;
using limits::Entry;
using limits::minute;

constexpr std::uint64_t start = 1000 * minute;

ClientKey key(const char* address) {
  return ClientKey(*config::parse_ip_address(address));
}

TEST_CASE("client table: a client is an IPv4 address, or the first 64 bits of an IPv6 address") {
  CHECK(key("192.0.2.1") == key("::ffff:192.0.2.1"));
  CHECK_FALSE(key("192.0.2.1") == key("192.0.2.2"));
  CHECK(key("2001:db8:1:2::1") == key("2001:db8:1:2:ffff::9"));
  CHECK_FALSE(key("2001:db8:1:2::1") == key("2001:db8:1:3::1"));
  CHECK_FALSE(key("0.0.0.1") == key("0:0:0:1::"));
}

TEST_CASE("client table: so many sessions at a time, and others when some have left") {
  ClientTable table;
  const ClientBounds bounds{.sessions = 2};
  ClientTable::Place first, second, third, other;
  CHECK(table.enter(key("192.0.2.1"), bounds, start, first) == Entry::admitted);
  CHECK(table.enter(key("192.0.2.1"), bounds, start, second) == Entry::admitted);
  CHECK(table.enter(key("192.0.2.1"), bounds, start, third) == Entry::too_many_sessions);
  CHECK(table.enter(key("192.0.2.2"), bounds, start, other) == Entry::admitted);
  table.leave(first, start + 1);
  CHECK(table.enter(key("192.0.2.1"), bounds, start + 1, third) == Entry::admitted);
  CHECK(table.size() == 2);
  table.leave(second, start + 2);
  table.leave(third, start + 2);
  table.leave(other, start + 2);
  CHECK(table.size() == 0);
}

TEST_CASE("client table: so many connections within a minute, those refused not among them") {
  ClientTable table;
  const ClientBounds bounds{.connections = 3};
  const auto connect = [&](std::uint64_t when) {
    ClientTable::Place place;
    const Entry entry = table.enter(key("192.0.2.1"), bounds, when, place);
    if (entry == Entry::admitted) table.leave(place, when);
    return entry;
  };
  for (int i = 0; i < 3; ++i) CHECK(connect(start) == Entry::admitted);
  for (int i = 0; i < 100; ++i) CHECK(connect(start + minute / 3 - 1) == Entry::too_many_connections);
  CHECK(connect(start + minute / 3) == Entry::admitted);
  CHECK(connect(start + minute / 3) == Entry::too_many_connections);
  // A minute of silence, and it is as at the beginning.
  for (int i = 0; i < 3; ++i) CHECK(connect(start + 2 * minute) == Entry::admitted);
  CHECK(connect(start + 2 * minute) == Entry::too_many_connections);
}

TEST_CASE("client table: handshakes are counted for themselves, over all sessions of a client") {
  ClientTable table;
  const ClientBounds bounds{.handshakes = 2};
  ClientTable::Place one, two;
  REQUIRE(table.enter(key("192.0.2.1"), bounds, start, one) == Entry::admitted);
  REQUIRE(table.enter(key("192.0.2.1"), bounds, start, two) == Entry::admitted);
  CHECK(table.begin_handshake(one, bounds.handshakes, start));
  CHECK(table.begin_handshake(two, bounds.handshakes, start));
  CHECK_FALSE(table.begin_handshake(one, bounds.handshakes, start));
  table.leave(one, start);
  table.leave(two, start);
  REQUIRE(table.enter(key("192.0.2.1"), bounds, start + 1, one) == Entry::admitted);
  CHECK_FALSE(table.begin_handshake(one, bounds.handshakes, start + 1));
  CHECK(table.begin_handshake(one, bounds.handshakes, start + minute / 2));
  CHECK(table.begin_handshake(one, 0, start + minute / 2));  // no limit any more
  table.leave(one, start + minute / 2);
}

TEST_CASE("client table: whoever comes, it stays within its bound, and nobody who is inside is forgotten") {
  ClientTable table;
  const ClientBounds bounds{.sessions = 1, .connections = 1};
  ClientTable::Place stays;
  REQUIRE(table.enter(key("192.0.2.1"), bounds, start, stays) == Entry::admitted);
  config::IpAddress address = *config::parse_ip_address("2001:db8::");
  for (std::uint32_t i = 0; i < 200'000; ++i) {
    for (std::size_t octet = 0; octet < 4; ++octet)
      address.bytes[4 + octet] = static_cast<std::uint8_t>(i >> 8 * octet);
    ClientTable::Place place;
    REQUIRE(table.enter(ClientKey(address), bounds, start + i, place) == Entry::admitted);
    table.leave(place, start + i);
  }
  CHECK(table.size() > ClientTable::remembered_limit / 2);
  CHECK(table.size() <= ClientTable::remembered_limit + ClientTable::shard_count + 1);
  ClientTable::Place another;
  CHECK(table.enter(key("192.0.2.1"), bounds, start + minute, another) == Entry::too_many_sessions);
  table.leave(stays, start + 3 * minute);
  // Their minutes are over, and who comes and goes sweeps a little.
  for (std::uint32_t i = 0; i < 200'000; ++i) {
    for (std::size_t octet = 0; octet < 4; ++octet)
      address.bytes[4 + octet] = static_cast<std::uint8_t>(i >> 8 * octet);
    REQUIRE(table.enter(ClientKey(address), {.sessions = 1}, start + 3 * minute, another) == Entry::admitted);
    table.leave(another, start + 3 * minute);
  }
  CHECK(table.size() == 0);
}

TEST_CASE("client table: threads share it, and no session is lost or counted twice") {
  ClientTable table;
  const ClientBounds bounds{.sessions = 1'000'000};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5'000; ++i) {
        ClientTable::Place one, two;
        if (table.enter(key("192.0.2.1"), bounds, start, one) == Entry::admitted) table.leave(one, start);
        if (table.enter(key("2001:db8::1"), bounds, start, two) == Entry::admitted) table.leave(two, start);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(table.size() == 0);
}

}  // namespace client_table_test
