#include "proxy/inbound/backend_pool.h"

#include "tests/support/catch.h"

namespace backend_pool_test {

using postern::config::Endpoint;
using postern::inbound::BackendPool;

std::vector<Endpoint> three() {
  std::vector<Endpoint> endpoints;
  for (const char* text : {"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"}) {
    endpoints.push_back(*postern::config::parse_endpoint(text));
  }
  return endpoints;
}

TEST_CASE("backend_pool: the server with the fewest connections is chosen, the first among equals") {
  BackendPool pool(three());
  CHECK(pool.pick(0, 0) == 0U);
  pool.connected(0);
  CHECK(pool.pick(0, 0) == 1U);
  pool.connected(1);
  pool.connected(2);
  pool.released(1);
  CHECK(pool.pick(0, 0) == 1U);
}

TEST_CASE("backend_pool: a server that was tried already is not chosen again, and at last none is") {
  const BackendPool pool(three());
  CHECK(pool.pick(0b001, 0) == 1U);
  CHECK(pool.pick(0b011, 0) == 2U);
  CHECK_FALSE(pool.pick(0b111, 0).has_value());
}

TEST_CASE(
    "backend_pool: a failed server is left alone for a while, longer each time, and again for a short one after "
    "success") {
  BackendPool pool(three());
  pool.failed(0, 1000);
  CHECK(pool.pick(0, 1000) == 1U);
  CHECK(pool.pick(0, 1000 + BackendPool::first_rest) == 0U);
  pool.failed(0, 5000);
  CHECK_FALSE(pool.healthy(0, 5000 + BackendPool::first_rest));
  CHECK(pool.healthy(0, 5000 + 2 * BackendPool::first_rest));
  pool.succeeded(0, 9000);
  CHECK(pool.healthy(0, 5000));
  pool.failed(0, 9000);
  CHECK(pool.healthy(0, 9000 + BackendPool::first_rest));
  for (int i = 0; i < 40; ++i) pool.failed(0, 9000);
  CHECK(pool.healthy(0, 9000 + BackendPool::longest_rest));
}

TEST_CASE("backend_pool: it is known whether a server could be reached when last tried, in the next snapshot, too") {
  BackendPool pool(three());
  pool.failed(0, 1000);
  pool.failed(1, 1000);
  pool.succeeded(1, 2000);
  const BackendPool next({three()[1], three()[0], three()[2]}, &pool);
  CHECK_FALSE(pool.up(0));
  CHECK_FALSE(next.up(1));
  CHECK(next.tried_at(1) == 1000);
  CHECK(next.up(0));
  CHECK(next.tried_at(0) == 2000);
  CHECK(next.up(2));
  CHECK(next.tried_at(2) == 0);
}

TEST_CASE("backend_pool: where all have failed, they are still tried") {
  BackendPool pool(three());
  for (std::size_t i = 0; i < 3; ++i) pool.failed(i, 0);
  CHECK(pool.pick(0, 1).has_value());
  CHECK(pool.pick(0b110, 1) == 0U);
}

TEST_CASE("backend_pool: since when a server is up or down is not moved by another try") {
  BackendPool pool(three());
  pool.succeeded(0, 1000);
  pool.succeeded(0, 2000);
  CHECK(pool.since(0) == 1000);
  pool.failed(0, 3000);
  pool.failed(0, 9000);
  CHECK(pool.since(0) == 3000);
  CHECK(pool.tried_at(0) == 9000);
}

}  // namespace backend_pool_test
