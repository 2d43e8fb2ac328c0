#include "proxy/observe/recent.h"

#include "tests/support/catch.h"

namespace recent_test {

using namespace postern;
using observe::Recent;

Recent::OldTls client(const std::string& peer, std::int64_t when, const std::string& version = "TLSv1.2") {
  return {"client", version, peer, "helo." + std::to_string(when), when};
}
Recent::Unsatisfied refused(const std::string& domain, std::int64_t when) {
  return {domain, "mx." + domain, "dane", "refused", "no_tlsa_match", "at " + std::to_string(when), when};
}

TEST_CASE("recent: the latest is first, and whoever comes again counts once more") {
  Recent recent;
  recent.note(client("192.0.2.1", 10));
  recent.note(client("192.0.2.2", 20));
  recent.note(client("192.0.2.1", 30));
  REQUIRE(recent.old_tls().size() == 2);
  CHECK(recent.old_tls()[0].peer == "192.0.2.1");
  CHECK(recent.old_tls()[0].times == 2);
  CHECK(recent.old_tls()[0].name == "helo.30");
  CHECK(recent.old_tls()[1].times == 1);
}

TEST_CASE("recent: so many of a version, and those of another stay") {
  Recent recent;
  recent.note(client("192.0.2.9", 1, "TLSv1"));
  for (int i = 0; i < 100; ++i) recent.note(client("198.51.100." + std::to_string(i), 10 + i));
  CHECK(recent.old_tls().size() == Recent::kept + 1);
  CHECK(recent.old_tls().front().peer == "198.51.100.99");
  CHECK(recent.old_tls().back().peer == "192.0.2.9");
}

TEST_CASE("recent: those of two workers are one list, whichever comes first") {
  Recent one, other;
  one.note(client("192.0.2.1", 10));
  one.note(client("192.0.2.2", 40));
  other.note(client("192.0.2.1", 30));
  one.note(refused("a.example", 5));
  other.note(refused("b.example", 6));
  other.note(refused("a.example", 7));
  for (const bool turned : {false, true}) {
    Recent all;
    all.add(turned ? other : one);
    all.add(turned ? one : other);
    REQUIRE(all.old_tls().size() == 2);
    CHECK(all.old_tls()[0].peer == "192.0.2.2");
    CHECK(all.old_tls()[1].times == 2);
    CHECK(all.old_tls()[1].name == "helo.30");
    REQUIRE(all.unsatisfied().size() == 2);
    CHECK(all.unsatisfied()[0].domain == "a.example");
    CHECK(all.unsatisfied()[0].times == 2);
    CHECK(all.unsatisfied()[0].detail == "at 7");
  }
}

TEST_CASE("recent: however many domains are refused and however long their names, what is kept is bounded") {
  Recent recent;
  for (int i = 0; i < 100; ++i) recent.note(refused(std::to_string(i) + std::string(10'000, 'x'), i));
  REQUIRE(recent.unsatisfied().size() == Recent::kept);
  CHECK(recent.unsatisfied()[0].domain.starts_with("99x"));
  for (const auto& each : recent.unsatisfied()) CHECK(each.domain.size() <= Recent::longest_text);
}

}  // namespace recent_test
