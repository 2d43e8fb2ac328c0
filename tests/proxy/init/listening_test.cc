#include "proxy/init/listening.h"

#include "tests/proxy/init/machines.h"
#include "tests/support/catch.h"

namespace postern::init {
namespace listening_test {

TEST_CASE("init: the kernel's tables of sockets") {
  const auto found = parse_listening(
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
      "   0: 0100007F:09DD 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 "
      "0\n"
      "   1: 0100007F:0019 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 "
      "-1\n"
      "   0: 00000000000000000000000001000000:0019 00000000000000000000000000000000:0000 0A 00000000:00000000 "
      "00:00000000 00000000     0        0 4713 1 0 100 0 0 10 0\n"
      "   2: 0100007:0019 00000000:0000 0A 0:0 0:0 0 0 0 1\n"
      "   3: : 00000000:0000 0A 0:0 0:0 0 0 0 1\n"
      "what\n");
  REQUIRE(found.size() == 2);
  CHECK(config::to_string(found[0].at) == "127.0.0.1:2525");
  CHECK(found[0].inode == 4711);
  CHECK(config::to_string(found[1].at) == "[::1]:25");
}

TEST_CASE("init: a free port is one that nobody has, or Postern itself") {
  CHECK(free_port_from(2525, {}) == 2525);
  CHECK(free_port_from(2525, {machines::listens(2525, ""), machines::listens(2526, "x")}) == 2527);
  CHECK(free_port_from(2525, {machines::listens(2525, "postern")}) == 2525);
}

}  // namespace listening_test
}  // namespace postern::init
