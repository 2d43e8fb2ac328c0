// InboundDialogue: for whom the clock runs.
#include "proxy/smtp/inbound_dialogue.h"

#include <string>

#include "tests/proxy/smtp/inbound_openings.h"

namespace postern::smtp::inbound_time_test {

using namespace inbound_rig;

TEST_CASE("timers: each wait has its own") {
  Rig rig(with_mode(config::TlsMode::implicit));
  rig.start();
  CHECK(rig.timer == Timer::handshake);
  rig.tls(Side::client);
  CHECK(rig.timer == Timer::connect);
  rig.connected();
  CHECK(rig.timer == Timer::greeting);
  rig.server(greeting);
  CHECK(rig.timer == Timer::command);
  rig.client("DATA\r\n");
  rig.server("354 go\r\n");
  CHECK(rig.timer == Timer::data_block);
  rig.client(".\r\n");
  CHECK(rig.timer == Timer::data_end);
  rig.server("250 ok\r\n");
  CHECK(rig.timer == Timer::command);
}

TEST_CASE("timers: a command that comes octet by octet does not start time anew") {
  Rig rig;
  introduce(rig);
  const int before = rig.armed;
  for (const char octet : std::string("NOOP and so on")) rig.client(std::string(1, octet));
  CHECK(rig.armed == before);
  rig.client("\r\n");
  CHECK(rig.armed == before + 1);
}

TEST_CASE("timers: commands do not buy time from a server that owes the verdict on a message") {
  Rig rig;
  introduce(rig);
  rig.client("DATA\r\n");
  rig.server("354 go\r\n");
  rig.client(".\r\n");
  const int before = rig.armed;
  rig.client("NOOP\r\n");
  CHECK(rig.armed == before);
  CHECK(rig.timer == Timer::data_end);
}

TEST_CASE("timers: a handshake that does not end gets no plaintext reply") {
  Rig rig(with_mode(config::TlsMode::implicit));
  rig.start();
  rig.time_out();
  CHECK(rig.to_client.empty());
  CHECK(rig.ending == "timeout");
}

}  // namespace postern::smtp::inbound_time_test
