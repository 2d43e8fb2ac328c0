#include "proxy/wire/proxy_protocol.h"

#include <string>

#include "tests/support/catch.h"

namespace proxy_protocol_test {

using postern::config::parse_ip_address;
using postern::wire::parse_proxy_header;
using postern::wire::print_proxy_v1;
using postern::wire::print_proxy_v2;
using postern::wire::ProxyAddresses;
using postern::wire::ProxyHeaderWatch;
using postern::wire::ProxyTls;
using namespace std::string_literals;

const std::string signature = "\r\n\r\n\0\r\nQUIT\n"s;

ProxyAddresses addresses(std::string_view source, std::string_view destination) {
  return {parse_ip_address(source).value(), parse_ip_address(destination).value(), 56324, 25};
}

// What a header says, as one line; "more", or "error".
std::string parsed(std::string_view bytes) {
  const auto result = parse_proxy_header(bytes);
  if (!result) return "error";
  if (!*result) return "more";
  const auto& header = **result;
  std::string text = std::to_string(header.size);
  if (!header.addresses) return text;
  const auto& found = *header.addresses;
  return text + " " + to_string(found.source) + " " + std::to_string(found.source_port) + " " +
         to_string(found.destination) + " " + std::to_string(found.destination_port);
}

// A version 2 header around `block`.
std::string v2(char command, char family, const std::string& block) {
  const auto size = block.size();
  return signature + command + family + static_cast<char>(size >> 8) + static_cast<char>(size & 0xff) + block;
}

std::string tlv(int type, const std::string& value) {
  return static_cast<char>(type) + std::string{static_cast<char>(value.size() >> 8), static_cast<char>(value.size())} +
         value;
}

const std::string tcp4 = "\xc0\x00\x02\x01\xc0\x00\x02\x19\xdc\x04\x00\x19"s;

bool every_cut_asks_for_more(const std::string& header) {
  for (std::size_t size = 0; size < header.size(); ++size) {
    if (parsed(std::string_view(header).substr(0, size)) != "more") return false;
  }
  return true;
}

TEST_CASE("proxy protocol: a version 1 line is read, and only that") {
  CHECK(parsed("PROXY TCP4 192.0.2.1 192.0.2.25 56324 25\r\nEHLO x\r\n") == "42 192.0.2.1 56324 192.0.2.25 25");
  CHECK(parsed("PROXY TCP6 2001:db8::1 ::1 0 65535\r\n") == "36 2001:db8::1 0 ::1 65535");
  CHECK(parsed("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n") == "37 192.0.2.1 1 ::1 2");
  CHECK(parsed("PROXY UNKNOWN\r\n") == "15");
  CHECK(parsed("PROXY UNKNOWN ffff::1 whatever 1\r\n") == "34");
  CHECK(every_cut_asks_for_more("PROXY TCP4 192.0.2.1 192.0.2.25 56324 25\r\n"));
}

TEST_CASE("proxy protocol: a malformed version 1 line is refused") {
  for (const char* words : {"TCP4 192.0.2.1 192.0.2.25 56324",
                            "TCP4 192.0.2.1 192.0.2.25 56324 25 1",
                            "TCP4 192.0.2.1 192.0.2.25 65536 25",
                            "TCP4 192.0.2.1 192.0.2.25 056 25",
                            "TCP4 192.0.2.1 192.0.2.25 -1 25",
                            "TCP4 192.0.2.1 192.0.2.25  1 25",
                            "TCP4 192.0.2.1 192.0.2.25 1 25 ",
                            " TCP4 192.0.2.1 192.0.2.25 1 25",
                            "TCP4 ::1 ::1 1 25",
                            "TCP6 192.0.2.1 192.0.2.25 1 25",
                            "TCP4 192.0.2 192.0.2.25 1 25",
                            "TCP4 192.0.2.1x 192.0.2.25 1 25",
                            "tcp4 192.0.2.1 192.0.2.25 1 25",
                            "TCP5 192.0.2.1 192.0.2.25 1 25",
                            "UNKNOWNX",
                            "",
                            "TCP4",
                            "TCP4\t1 2 3 4",
                            "UDP4 192.0.2.1 192.0.2.25 1 25",
                            "TCP6 [::1] ::1 1 25",
                            "TCP6 fe80::1%eth0 ::1 1 25"}) {
    INFO(words);
    CHECK(parsed("PROXY "s + words + "\r\n") == "error");
  }
  CHECK(parsed("PROXY UNKNOWN\n") == "error");
  CHECK(parsed("PROXY UNKNOWN\rx\r\n") == "error");
}

TEST_CASE("proxy protocol: a version 1 line has 107 octets at most") {
  const auto line = [](std::size_t size) { return "PROXY UNKNOWN " + std::string(size - 16, 'x') + "\r\n"; };
  CHECK(parsed(line(107)) == "107");
  CHECK(every_cut_asks_for_more(line(107)));
  CHECK(parsed(line(108)) == "error");
  CHECK(parsed("PROXY UNKNOWN " + std::string(92, 'x')) == "more");
  CHECK(parsed("PROXY UNKNOWN " + std::string(93, 'x')) == "error");
}

TEST_CASE("proxy protocol: what does not begin as a header is none, at once") {
  for (const std::string& bytes : {"EHLO x\r\n"s, "PROXZ"s, "proxy TCP4"s, "\r\n\r\n\r"s, "\r\r"s, "\x16\x03\x01"s}) {
    CHECK(parsed(bytes) == "error");
  }
  CHECK(parsed("") == "more");
}

TEST_CASE(
    "proxy protocol: a client's first octets are no header until nothing else can be meant, however they are cut") {
  for (const std::string& bytes :
       {"EHLO x\r\n"s, "PROXZ x"s, "proxy TCP4"s, "\r\n"s, "P"s, "PR"s, "PROXY"s, "\r\n\r\n"s, "\r\nEHLO x\r\n"s,
        "PR\r\nPROXY TCP4 "s, "\r\r"s, "\x16\x03\x01"s, ""s}) {
    ProxyHeaderWatch whole;
    CHECK_FALSE(whole.sees_header(bytes));
    ProxyHeaderWatch starved;
    for (const char octet : bytes) CHECK_FALSE(starved.sees_header({&octet, 1}));
  }
  for (const std::string& bytes : {"PROXY "s, "PROXY TCP4 "s, "\r\n\r\n\0"s, signature, signature + "x"}) {
    ProxyHeaderWatch whole;
    CHECK(whole.sees_header(bytes));
    CHECK(whole.over());
    ProxyHeaderWatch starved;
    bool seen = false;
    for (const char octet : bytes) seen = starved.sees_header({&octet, 1}) || seen;
    CHECK(seen);
  }
}

TEST_CASE("proxy protocol: a version 2 header is read, and only that") {
  const std::string header = v2(0x21, 0x11, tcp4 + tlv(0x02, "mx.example"));
  CHECK(parsed(header + "EHLO x\r\n") == "41 192.0.2.1 56324 192.0.2.25 25");
  CHECK(every_cut_asks_for_more(header));
  const std::string mapped = std::string(10, '\0') + "\xff\xff";
  const std::string loopback = std::string(15, '\0') + "\1";
  CHECK(parsed(v2(0x21, 0x21, mapped + "\xc0\x00\x02\x01"s + loopback + "\0\1\0\2"s)) == "52 192.0.2.1 1 ::1 2");
}

TEST_CASE("proxy protocol: LOCAL and families that are no TCP leave the connection's own addresses") {
  CHECK(parsed(v2(0x20, 0x00, "")) == "16");
  CHECK(parsed(v2(0x20, 0x11, tcp4)) == "28");
  CHECK(parsed(v2(0x20, 0x7f, "anything")) == "24");
  CHECK(parsed(v2(0x21, 0x00, "")) == "16");
  CHECK(parsed(v2(0x21, 0x00, tlv(4, "pad"))) == "22");
  CHECK(parsed(v2(0x21, 0x12, tcp4)) == "28");
  CHECK(parsed(v2(0x21, 0x31, std::string(216, 'x'))) == "232");
}

TEST_CASE("proxy protocol: a malformed version 2 header is refused") {
  for (const char command : {'\x11', '\x22', '\x2f', '\x01', '\x31'}) CHECK(parsed(v2(command, 0x11, tcp4)) == "error");
  for (const char family : {'\x41', '\x13', '\x1f', '\xf1'}) CHECK(parsed(v2(0x21, family, tcp4)) == "error");
  CHECK(parsed(v2(0x21, 0x11, tcp4.substr(1))) == "error");
  CHECK(parsed(v2(0x21, 0x21, tcp4)) == "error");
  CHECK(parsed(v2(0x21, 0x31, std::string(215, 'x'))) == "error");
  CHECK(parsed(v2(0x21, 0x11, tcp4 + "\x04")) == "error");
  CHECK(parsed(v2(0x21, 0x11, tcp4 + "\x04\0"s)) == "error");
  CHECK(parsed(v2(0x21, 0x11, tcp4 + "\x04\0\2x"s)) == "error");
  CHECK(parsed(v2(0x21, 0x11, tcp4 + tlv(0x20, "\1\0\0\0"s))) == "error");
  CHECK(parsed(v2(0x21, 0x11, tcp4 + tlv(0x20, "\1\0\0\0\0\x21\0"s))) == "error");
  CHECK(parsed(v2(0x21, 0x11, tcp4 + tlv(0x20, "\1\0\0\0\0\x21\0\x05TLS"s))) == "error");
  CHECK(parsed(v2(0x21, 0x11, tcp4 + tlv(0x20, "\1\0\0\0\0"s + tlv(0x21, "TLSv1.3")))) != "error");
}

TEST_CASE("proxy protocol: a version 2 header may have 4096 octets and no more") {
  const auto header = [](std::size_t size) { return v2(0x21, 0x00, tlv(4, std::string(size - 16 - 3, '\0'))); };
  CHECK(parsed(header(4096)) == "4096");
  CHECK(parsed(header(4097)) == "error");
  CHECK(parsed(header(4097).substr(0, 16)) == "error");
}

TEST_CASE("proxy protocol: the checksum is checked where there is one") {
  // The four octets are the CRC32C of this header with zeros in their place, computed apart from this code.
  const std::string good = v2(0x21, 0x11, tcp4 + tlv(0x03, "\x4d\x56\x6b\x96"s));
  CHECK(parsed(good) == "35 192.0.2.1 56324 192.0.2.25 25");
  for (std::size_t i = 16; i < good.size(); ++i) {
    if (i >= 28 && i < 31) continue;  // another type is another TLV
    std::string wrong = good;
    wrong[i] = static_cast<char>(wrong[i] ^ 1);
    CHECK(parsed(wrong) == "error");
  }
  CHECK(parsed(v2(0x21, 0x11, tcp4 + tlv(0x03, "abc"))) == "error");
  CHECK(parsed(v2(0x21, 0x11, tcp4 + tlv(0x03, "\0\0\0\0"s) + tlv(0x03, "\0\0\0\0"s))) == "error");
}

TEST_CASE("proxy protocol: what is printed is read again") {
  const auto v4 = addresses("192.0.2.1", "192.0.2.25");
  CHECK(print_proxy_v1(v4) == "PROXY TCP4 192.0.2.1 192.0.2.25 56324 25\r\n");
  CHECK(print_proxy_v2(v4, std::nullopt) == v2(0x21, 0x11, tcp4));
  for (const auto& each :
       {v4, addresses("2001:db8::1", "::1"), addresses("192.0.2.1", "2001:db8::1"),
        addresses("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff2")}) {
    for (const std::string& header : {print_proxy_v1(each), print_proxy_v2(each, std::nullopt),
                                      print_proxy_v2(each, ProxyTls{"TLSv1.3", "AES", "sni", "cn", true, true})}) {
      CHECK(parsed(header) == std::to_string(header.size()) + " " + to_string(each.source) + " 56324 " +
                                  to_string(each.destination) + " 25");
      CHECK(every_cut_asks_for_more(header));
    }
  }
}

TEST_CASE("proxy protocol: families that differ are both written as IPv6") {
  CHECK(print_proxy_v1(addresses("192.0.2.1", "::1")) == "PROXY TCP6 ::ffff:192.0.2.1 ::1 56324 25\r\n");
  CHECK(print_proxy_v2(addresses("::1", "192.0.2.1"), std::nullopt).substr(12, 4) == "\x21\x21\0\x24"s);
}

TEST_CASE("proxy protocol: TLS facts ride in version 2") {
  const auto v4 = addresses("192.0.2.1", "192.0.2.25");
  const auto tlvs = [&](const ProxyTls& tls) { return print_proxy_v2(v4, tls).substr(28); };
  CHECK(tlvs({"TLSv1.3", "TLS_AES", "mx.example", "", false, false}) ==
        tlv(0x02, "mx.example") + tlv(0x20, "\x01\0\0\0\1"s + tlv(0x21, "TLSv1.3") + tlv(0x23, "TLS_AES")));
  CHECK(tlvs({"TLSv1.2", "", "", "Client", true, true}) ==
        tlv(0x20, "\x07\0\0\0\0"s + tlv(0x21, "TLSv1.2") + tlv(0x22, "Client")));
  CHECK(tlvs({"TLSv1.2", "", "", "Client", true, false}).substr(3, 5) == "\x07\0\0\0\1"s);
  CHECK(tlvs({"TLSv1.2", "", "", "", false, true}).substr(3, 5) == "\x01\0\0\0\1"s);
  CHECK(tlvs({"", "", std::string(513, 'x'), std::string(70000, 'x'), false, false}) == tlv(0x20, "\x01\0\0\0\1"s));
}

}  // namespace proxy_protocol_test
