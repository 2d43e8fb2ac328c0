#include "tls/tlsa.h"

#include "tests/support/catch.h"

namespace tlsa_test {

using postern::tls::parse_tlsa_rdata;
using postern::tls::parse_tlsa_text;
using postern::tls::TlsaRecord;
using postern::tls::why_unusable;

TlsaRecord record(int usage, int selector, int matching_type, std::size_t size) {
  return {static_cast<std::uint8_t>(usage), static_cast<std::uint8_t>(selector),
          static_cast<std::uint8_t>(matching_type), std::string(size, 'x')};
}

TEST_CASE("tlsa: RDATA is three numbers and the rest") {
  const auto parsed = parse_tlsa_rdata(std::string_view("\x03\x01\x01\xab\xcd", 5));
  REQUIRE(parsed);
  CHECK(*parsed == TlsaRecord{3, 1, 1, "\xab\xcd"});
  CHECK_FALSE(parse_tlsa_rdata(std::string_view("\x03\x01", 2)));
  CHECK_FALSE(parse_tlsa_rdata(""));
  CHECK(parse_tlsa_rdata(std::string_view("\xff\xff\xff", 3))->data.empty());
}

TEST_CASE("tlsa: text is read as zone files write it, and printed in one form") {
  const auto parsed = parse_tlsa_text("3 1\t1  AB cd0 1");
  REQUIRE(parsed);
  CHECK(*parsed == TlsaRecord{3, 1, 1, std::string("\xab\xcd\x01", 3)});
  CHECK(to_string(*parsed) == "3 1 1 abcd01");
  CHECK(parse_tlsa_text(to_string(*parsed)).value() == *parsed);
}

TEST_CASE("tlsa: malformed text is refused") {
  for (const char* text :
       {"", "3", "3 1 1", "3 1 1 ", "3 1 1 abc", "3 1 1 zz", "256 1 1 ab", "-3 1 1 ab", "3 1 x ab", "a b c d"})
    CHECK_FALSE(parse_tlsa_text(text));
}

TEST_CASE("tlsa: digests of the right length are usable with usages 2 and 3 and both selectors") {
  for (const int usage : {2, 3})
    for (const int selector : {0, 1}) {
      CHECK_FALSE(why_unusable(record(usage, selector, 1, 32)));
      CHECK_FALSE(why_unusable(record(usage, selector, 2, 64)));
    }
}

TEST_CASE("tlsa: PKIX usages, private and unknown numbers, and wrong digest lengths are unusable") {
  CHECK(why_unusable(record(0, 1, 1, 32)));
  CHECK(why_unusable(record(1, 1, 1, 32)));
  CHECK(why_unusable(record(4, 1, 1, 32)));
  CHECK(why_unusable(record(255, 1, 1, 32)));
  CHECK(why_unusable(record(3, 2, 1, 32)));
  CHECK(why_unusable(record(3, 255, 1, 32)));
  CHECK(why_unusable(record(3, 1, 3, 32)));
  CHECK(why_unusable(record(3, 1, 255, 32)));
  CHECK(why_unusable(record(3, 1, 1, 31)));
  CHECK(why_unusable(record(3, 1, 1, 33)));
  CHECK(why_unusable(record(3, 1, 1, 0)));
  CHECK(why_unusable(record(3, 1, 2, 32)));
}

TEST_CASE("tlsa: a whole certificate or key that does not parse is unusable") {
  CHECK(why_unusable(record(2, 0, 0, 100)));
  CHECK(why_unusable(record(3, 1, 0, 100)));
  CHECK(why_unusable(record(3, 1, 0, 0)));
}

TEST_CASE("tlsa: the digests are SHA-256 and SHA-512") {
  CHECK(to_string(TlsaRecord{3, 0, 1, postern::tls::sha256("abc")}) ==
        "3 0 1 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(postern::tls::sha512("abc").size() == 64);
}

}  // namespace tlsa_test
