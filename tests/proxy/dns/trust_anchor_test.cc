#include "proxy/dns/trust_anchor.h"

#include "tests/support/catch.h"

namespace trust_anchor_test {

using postern::dns::parse_trust_anchor;
using postern::dns::TrustAnchor;

TrustAnchor parsed(std::string_view text) {
  const auto anchor = parse_trust_anchor(text);
  INFO(text);
  REQUIRE(anchor);
  return *anchor;
}

TEST_CASE("trust_anchor: the files that Debian's packages and ldns-keygen write") {
  // dns-root-data
  CHECK(parsed(".\t172800\tIN\tDNSKEY\t257 3 8 AwEAAa= ;{id = 20326 (ksk), size = 2048b}\n"
               ".\t172800\tIN\tDNSKEY\t257 3 8 AwEAAb= ;{id = 38696 (ksk), size = 2048b}\n") ==
        TrustAnchor{". 172800 IN DNSKEY 257 3 8 AwEAAa=", ". 172800 IN DNSKEY 257 3 8 AwEAAb="});
  // unbound-anchor
  CHECK(parsed("; autotrust trust anchor file\n;;id: . 1\n;;last_queried: 1700000000 ;;Tue Nov 14 22:13:20 2023\n"
               ".\t86400\tIN\tDNSKEY\t257 3 8 AwEAAa= ;{id = 20326 (ksk)} ;;state=2 [  VALID  ] ;;count=0\n") ==
        TrustAnchor{". 86400 IN DNSKEY 257 3 8 AwEAAa="});
  // ldns-keygen
  CHECK(parsed(".\tIN\tDNSKEY\t257 3 13 AwEAAa= ;{id = 1 (ksk), size = 256b}\n") ==
        TrustAnchor{". IN DNSKEY 257 3 13 AwEAAa="});
}

TEST_CASE("trust_anchor: a record may take several lines, and its owner be that of the one before") {
  CHECK(parsed("$TTL 1d\n"
               "example. DNSKEY ( 257 3 8 ; half of it\n"
               "\tAwEA\n"
               "  Aa= )\n"
               "         IN 3600 DS 1 8 2 (00ff)\r\n"
               "\n"
               "  \t\n"
               "other. in ds 2 8 2 00ff") ==
        TrustAnchor{"example. DNSKEY 257 3 8 AwEA Aa=", "example. IN 3600 DS 1 8 2 00ff", "other. in ds 2 8 2 00ff"});
}

TEST_CASE("trust_anchor: other records do not count, and a file without any of its own is a mistake") {
  CHECK(parsed(". NS ds.example.\n. SOA a. b. 1 2 3 4 5\n. DS 1 8 2 00ff\n. TXT DNSKEY-like\n") ==
        TrustAnchor{". DS 1 8 2 00ff"});
  CHECK_FALSE(parse_trust_anchor(""));
  CHECK_FALSE(parse_trust_anchor("; nothing\n\n"));
  CHECK_FALSE(parse_trust_anchor(". NS a.example.\n"));
  CHECK_FALSE(parse_trust_anchor("DNSKEY\n"));
}

TEST_CASE("trust_anchor: what could mean something else than it seems to is refused") {
  CHECK_FALSE(parse_trust_anchor("$ORIGIN example.\nsub DS 1 8 2 00ff\n"));
  CHECK_FALSE(parse_trust_anchor(". DS 1 8 2 ( 00ff\n"));
  CHECK_FALSE(parse_trust_anchor(". DS 1 8 2 00ff\n. IN DS 1 8 2\n"));
  CHECK_FALSE(parse_trust_anchor(". IN DNSKEY 257 3 8 ; key\n"));
  CHECK_FALSE(parse_trust_anchor(". DS 1 8 2 00ff )\n. DS 1 8 2 00ff\n"));
}

TEST_CASE("trust_anchor: a record that is malformed is named, with what is wrong") {
  const auto why = [](const std::string& record) {
    const auto anchor = parse_trust_anchor(". IN DS 1 8 2 00ff\n" + record + "\n");
    return anchor ? std::string() : anchor.error().message;
  };
  CHECK(why(". IN DS x 8 2 00ff") == "'x' is no key tag: . IN DS x 8 2 00ff");
  CHECK(why(". IN DS 70000 8 2 00ff") == "'70000' is no key tag: . IN DS 70000 8 2 00ff");
  CHECK(why(". IN DS 1 300 2 00ff") == "'300' is no algorithm: . IN DS 1 300 2 00ff");
  CHECK(why(". IN DS 1 8 SHA256 00ff") == "'SHA256' is no number of a digest type: . IN DS 1 8 SHA256 00ff");
  CHECK(why(". IN DS 1 8 2 00f") == "the digest is not hexadecimal: . IN DS 1 8 2 00f");
  CHECK(why(". IN DS 1 8 2 00fg") == "the digest is not hexadecimal: . IN DS 1 8 2 00fg");
  CHECK(why(". IN DS 1 8 2 00ff extra") == "the digest is not hexadecimal: . IN DS 1 8 2 00ff extra");
  CHECK(why(". DNSKEY -1 3 8 AwEA") == "'-1' is no flags: . DNSKEY -1 3 8 AwEA");
  CHECK(why(". DNSKEY 257 4 8 AwEA") == "'4' is no protocol of DNSSEC's: . DNSKEY 257 4 8 AwEA");
  CHECK(why(". DNSKEY 257 3 256 AwEA") == "'256' is no algorithm: . DNSKEY 257 3 256 AwEA");
  CHECK(why(". DNSKEY 257 3 8 Aw*A") == "the key is not base64: . DNSKEY 257 3 8 Aw*A");
  CHECK(why(". CH DS 1 8 2 00ff") == "'CH' is neither TTL nor class IN: . CH DS 1 8 2 00ff");
  CHECK(why("a..b. DS 1 8 2 00ff") == "'a..b.' is no name: a..b. DS 1 8 2 00ff");
  CHECK(why(std::string(64, 'a') + ". DS 1 8 2 00ff").starts_with("'aaa"));
}

TEST_CASE("trust_anchor: what the library understands is left to it") {
  for (const std::string record : {". 1d in DNSKEY 257 3 RSASHA256 Aw+/ EAAa=", "a\\046b. DS 65535 255 255 00 ff",
                                   "example DS 1 8 2 00FF", ". IN DS \\# 6 0001 0802 00ff"}) {
    CHECK(parsed(record) == TrustAnchor{record});
  }
}

}  // namespace trust_anchor_test
