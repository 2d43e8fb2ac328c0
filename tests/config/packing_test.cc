#include "config/packing.h"

#include "tests/support/catch.h"

namespace packing_test {

using namespace postern::config;

enum class Colour : std::uint8_t { red, green };

std::string packed() {
  Packer packer;
  packer.number(std::uint32_t{0x01020304});
  packer.flag(true);
  packer.number(static_cast<std::uint8_t>(Colour::green));
  packer.text("text");
  packer.list({"", "one"});
  return packer.take();
}

TEST_CASE("packing: what was packed comes out again, and the most significant octet is first") {
  const std::string octets = packed();
  CHECK(octets.substr(0, 4) == "\x01\x02\x03\x04");
  Unpacker unpacker(octets);
  CHECK(unpacker.number<std::uint32_t>() == 0x01020304);
  CHECK(unpacker.flag());
  CHECK(unpacker.choice(Colour::green) == Colour::green);
  CHECK(unpacker.text(4) == "text");
  CHECK_FALSE(unpacker.done());
  CHECK(unpacker.list(2, 3) == std::vector<std::string>{"", "one"});
  CHECK(unpacker.done());
}

TEST_CASE("packing: after what breaks a bound there is nothing more") {
  const auto check = [](std::string_view octets, auto read) {
    Unpacker unpacker(octets);
    read(unpacker);
    CHECK_FALSE(unpacker.ok());
    CHECK_FALSE(unpacker.done());
    CHECK(unpacker.number<std::uint8_t>() == 0);
    CHECK(unpacker.octets(0).empty());
  };
  check("\x01", [](Unpacker& unpacker) { CHECK(unpacker.number<std::uint16_t>() == 0); });
  check("\x02zz", [](Unpacker& unpacker) { CHECK_FALSE(unpacker.flag()); });
  check("\x02zz", [](Unpacker& unpacker) { CHECK(unpacker.choice(Colour::green) == Colour::red); });
  check({"\0\x04text", 6}, [](Unpacker& unpacker) { CHECK(unpacker.text(3).empty()); });
  check({"\0\x05text", 6}, [](Unpacker& unpacker) { CHECK(unpacker.text(10).empty()); });
  check({"\0\x03\0\0\0\0\0\0", 8}, [](Unpacker& unpacker) { CHECK(unpacker.list(2, 10).empty()); });
  check({"\0\x02\0\0", 4}, [](Unpacker& unpacker) { CHECK(unpacker.list(2, 10).size() == 2); });
  check("rest", [](Unpacker& unpacker) { unpacker.demand(false); });
}

}  // namespace packing_test
