#include "proxy/limits/tally.h"

#include "tests/support/catch.h"

namespace tally_test {

using namespace postern;
using limits::Limit;
using limits::minute;
using limits::Seat;

constexpr std::uint64_t start = 1000 * minute;

TEST_CASE("tally: so many seats, and one that is given back is free") {
  limits::Tallies tallies;
  limits::Tally& tally = tallies.of("inbound", "mx");
  CHECK(&tally == &tallies.of("inbound", "mx"));
  CHECK(&tally != &tallies.of("outbound", "mx"));
  Seat one, two, three;
  CHECK(one.take(tally, 2));
  CHECK(two.take(tally, 2));
  CHECK_FALSE(three.take(tally, 2));
  CHECK(tally.sessions() == 2);
  one.give_back(start);
  one.give_back(start);
  CHECK(three.take(tally, 2));
  CHECK(one.take(tally, 0));  // no limit
  for (Seat* seat : {&one, &two, &three}) seat->give_back(start);
  CHECK(tally.sessions() == 0);
  CHECK(tally.highest() == 3);
}

TEST_CASE("tally: a client's limits, each by its name") {
  limits::Tallies tallies;
  limits::Tally& tally = tallies.of("inbound", "mx");
  const auto client = *config::parse_ip_address("192.0.2.1");
  config::Limits limits;
  limits.sessions_per_client = 1;
  limits.connections_per_client_per_minute = 2;
  limits.handshakes_per_client_per_minute = 1;
  const auto bounds = limits::client_bounds(limits);
  Seat one, two;
  REQUIRE(one.take(tally, 10));
  REQUIRE(two.take(tally, 10));
  CHECK_FALSE(one.take_for_client(client, bounds, start));
  CHECK(two.take_for_client(client, bounds, start) == Limit::client_sessions);
  CHECK(one.may_begin_handshake(bounds, start));
  CHECK_FALSE(one.may_begin_handshake(bounds, start));
  one.give_back(start);
  CHECK_FALSE(two.take_for_client(client, bounds, start));
  two.give_back(start);
  REQUIRE(one.take(tally, 10));
  CHECK(one.take_for_client(client, bounds, start) == Limit::client_connections);
  CHECK(one.may_begin_handshake(bounds, start));  // nobody whose client is limited
  one.give_back(start);
  CHECK(tally.sessions() == 0);
}

TEST_CASE("tally: the configuration's word for a limit, and what it says of it") {
  config::Limits limits;
  limits.sessions = 7;
  CHECK(to_string(Limit::client_handshakes) == "handshakes_per_client_per_minute");
  CHECK(value_of(Limit::sessions, limits, {}) == 7);
  CHECK(value_of(Limit::buffers, limits, config::ByteSize{9}) == 9);
}

TEST_CASE("notice: said at once, then once a minute with the number of those between, and the last of them, too") {
  limits::Notice notice;
  CHECK_FALSE(notice.due(start));
  CHECK(notice.note(start) == 1U);
  for (int i = 0; i < 41; ++i) CHECK_FALSE(notice.note(start + 1));
  CHECK_FALSE(notice.due(start + minute - 1));
  CHECK(notice.note(start + minute) == 42U);
  CHECK_FALSE(notice.note(start + minute + 5));
  CHECK(notice.due(start + 2 * minute) == 1U);
  CHECK_FALSE(notice.due(start + 9 * minute));
}

TEST_CASE("buffered: accounts of workers add up, but for what is too little to be told") {
  const auto all = std::make_shared<limits::Buffered>();
  limits::BufferAccount one, two;
  one.share(all);
  two.share(all);
  one.add(1'000'000);
  two.add(500'000);
  CHECK(all->octets() == 1'500'000);
  one.take(1'000'000);
  CHECK(all->octets() == 500'000);
  two.take(500'000);
  two.add(1000);
  CHECK(all->octets() == 0);
  limits::BufferAccount alone;
  alone.add(1'000'000);
  CHECK(all->octets() == 0);
}

}  // namespace tally_test
