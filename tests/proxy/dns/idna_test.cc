#include "proxy/dns/idna.h"

#include "tests/support/catch.h"

namespace idna_test {

using postern::dns::to_ascii;

TEST_CASE("idna: a domain in UTF-8 has another name in DNS, whatever its case and composition") {
  CHECK(to_ascii("b\xc3\xbc"
                 "cher.example") == "xn--bcher-kva.example");
  CHECK(to_ascii("B\xc3\x9c"
                 "CHER.example") == "xn--bcher-kva.example");
  CHECK(to_ascii("bu\xcc\x88"
                 "cher.example") == "xn--bcher-kva.example");
  CHECK(to_ascii("stra\xc3\x9f"
                 "e.example") == "xn--strae-oqa.example");
}

TEST_CASE("idna: other dots than ASCII's are dots") {
  CHECK(to_ascii("bank\xe3\x80\x82"
                 "example\xe3\x80\x82") == "bank.example");
  CHECK(to_ascii("bank.example\xef\xbc\x8e") == "bank.example");
  CHECK(to_ascii("\xe3\x80\x82") == "\xe3\x80\x82");                          // not the root
  CHECK(to_ascii("bank.example\xe2\x80\xa6") == "bank.example\xe2\x80\xa6");  // three at once
}

TEST_CASE("idna: what is ASCII, and what no such name can be, stays as it is") {
  for (const std::string& name :
       {std::string(), std::string("example.org"), std::string("old_office.example"), std::string("[192.0.2.1]"),
        std::string("\xff\xfe.example"), std::string("\xc3\xbc\0.example", 11),
        "\xc3\xbc" + std::string(300, 'x') + ".example"}) {
    CHECK(to_ascii(name) == name);
  }
}

}  // namespace idna_test
