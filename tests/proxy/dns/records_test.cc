#include "proxy/dns/records.h"

#include "tests/support/catch.h"

namespace records_test {

using namespace postern::dns;
using namespace std::string_literals;

std::string number16(unsigned value) {
  return {static_cast<char>(value >> 8 & 0xff), static_cast<char>(value & 0xff)};
}
std::string wire(const std::string& name) {
  return name_to_wire(name).value();
}

struct Rr {
  std::string owner;  // in wire form, may be a pointer
  unsigned type = 0;
  unsigned ttl = 300;
  std::string rdata;
};

std::string print(const Rr& rr) {
  return rr.owner + number16(rr.type) + number16(1) + number16(rr.ttl >> 16) + number16(rr.ttl & 0xffff) +
         number16(static_cast<unsigned>(rr.rdata.size())) + rr.rdata;
}

std::string message(const Question& question, const std::vector<Rr>& answers, const std::vector<Rr>& authorities = {},
                    unsigned flags = 0x8180) {
  std::string bytes = number16(7) + number16(flags) + number16(1) + number16(static_cast<unsigned>(answers.size())) +
                      number16(static_cast<unsigned>(authorities.size())) + number16(0) + wire(question.name) +
                      number16(static_cast<unsigned>(question.type)) + number16(1);
  for (const Rr& rr : answers) bytes += print(rr);
  for (const Rr& rr : authorities) bytes += print(rr);
  return bytes;
}

const std::string asked = "\xc0\x0c"s;  // points at the question's name
const std::string loopback = "\x7f\0\0\1"s;

Rr soa(unsigned ttl, unsigned minimum) {
  return {asked, 6, ttl,
          wire("ns.example") + wire("root.example") + std::string(16, '\0') + number16(minimum >> 16) +
              number16(minimum & 0xffff)};
}

TEST_CASE("records: an answer's records are collected, with the lowest TTL") {
  const Question question{"mx.example.org", Type::a};
  const auto answer = parse_message(
      message(question,
              {{asked, 1, 300, loopback}, {wire("MX.Example.org"), 1, 60, loopback}, {wire("x.y"), 1, 1, loopback}}),
      question);
  CHECK(answer.status == Status::exists);
  CHECK(answer.rdata == std::vector<std::string>{loopback, loopback});
  CHECK(answer.ttl.count() == 60);
  CHECK(answer.canonical_name == "mx.example.org");
  CHECK_FALSE(answer.secure);
}

TEST_CASE("records: CNAMEs are followed, in any order, to the canonical name") {
  const Question question{"a.example", Type::a};
  const auto answer = parse_message(message(question, {{wire("c.example"), 1, 300, loopback},
                                                       {wire("B.example"), 5, 20, wire("c.example")},
                                                       {asked, 5, 300, wire("b.Example")}}),
                                    question);
  CHECK(answer.exists());
  CHECK(answer.canonical_name == "c.example");
  CHECK(answer.ttl.count() == 20);
}

TEST_CASE("records: a question for the CNAME itself is answered by it") {
  const Question question{"a.example", Type::cname};
  const auto answer = parse_message(message(question, {{asked, 5, 300, wire("b.example")}}), question);
  CHECK(answer.exists());
  CHECK(answer.canonical_name == "a.example");
}

TEST_CASE("records: an alias to nothing is absent, under the name it leads to") {
  const Question question{"a.example", Type::aaaa};
  const auto answer =
      parse_message(message(question, {{asked, 5, 300, wire("b.example")}}, {soa(900, 30)}, 0x8183), question);
  CHECK(answer.status == Status::no_such_name);
  CHECK(answer.canonical_name == "b.example");
  CHECK(answer.ttl.count() == 30);
}

TEST_CASE("records: absence has the SOA's TTL, and none without a SOA") {
  const Question question{"a.example", Type::mx};
  const auto answer = parse_message(message(question, {}, {soa(20, 30)}), question);
  CHECK(answer.status == Status::no_data);
  CHECK(answer.ttl.count() == 20);
  CHECK(parse_message(message(question, {}), question).ttl.count() == 0);
}

TEST_CASE("records: loops of aliases, SERVFAIL and truncation are failures, not absence") {
  const Question question{"a.example", Type::a};
  CHECK(parse_message(message(question, {{asked, 5, 300, asked}}), question).status == Status::failed);
  CHECK(parse_message(message(question, {}, {}, 0x8182), question).status == Status::failed);
  CHECK(parse_message(message(question, {}, {}, 0x8185), question).status == Status::failed);
  CHECK(parse_message(message(question, {}, {}, 0x8380), question).status == Status::failed);
  CHECK(parse_message(message(question, {}, {}, 0x0180), question).status == Status::failed);
}

TEST_CASE("records: records that cannot be read do not pass for absence") {
  const Question question{"a.example", Type::mx};
  CHECK(parse_message(message(question, {{asked, 15, 300, "\0"s}}), question).status == Status::failed);
  CHECK(parse_message(message(question, {{asked, 15, 300, "\0\1\xc0\xff"s}}), question).status == Status::failed);
}

TEST_CASE("records: every cut of a message is a failure") {
  const Question question{"a.example", Type::mx};
  const std::string whole = message(question, {{asked, 15, 300, "\0\12"s + wire("mx.example")}});
  REQUIRE(parse_message(whole, question).exists());
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK(parse_message(std::string_view(whole).substr(0, size), question).status == Status::failed);
}

TEST_CASE("records: compression pointers forward or onto themselves end nowhere and are refused") {
  const Question question{"a.example", Type::cname};
  const std::string start = message(question, {});
  const auto self = number16(0xc000U | static_cast<unsigned>(start.size() + 12));
  CHECK(parse_message(message(question, {{asked, 5, 300, self}}), question).status == Status::failed);
  CHECK(parse_message(message(question, {{asked, 5, 300, "\xff\xff"s}}), question).status == Status::failed);
}

TEST_CASE("records: names in MX records come out decompressed and in lower case") {
  const Question question{"example.org", Type::mx};
  const auto answer =
      parse_message(message(question, {{asked, 15, 300, "\0\12\2MX"s + asked}, {asked, 15, 300, "\0\0\0"s}}), question);
  REQUIRE(answer.rdata.size() == 2);
  CHECK(parse_mx(answer.rdata[0]).value() == Mx{10, "mx.example.org"});
  CHECK(parse_mx(answer.rdata[1]).value() == Mx{0, ""});
}

TEST_CASE("records: an exchange with odd bytes, a bad length or something behind it is refused") {
  CHECK_FALSE(parse_mx(""));
  CHECK_FALSE(parse_mx("\0\1"s));
  CHECK_FALSE(parse_mx("\0\1\3a.b\0"s));
  CHECK_FALSE(parse_mx("\0\1\3a\rb\0"s));
  CHECK_FALSE(parse_mx("\0\1\3a\0b\0"s));
  CHECK_FALSE(parse_mx("\0\1\3abc\0x"s));
  CHECK_FALSE(parse_mx("\0\1\3ab"s));
  CHECK_FALSE(parse_mx("\0\1\x80"s + "abc"s));
}

TEST_CASE("records: addresses have their size, and no IPv4 address hides in an AAAA record") {
  CHECK(to_string(parse_address(Type::a, loopback).value()) == "127.0.0.1");
  CHECK(to_string(parse_address(Type::aaaa, std::string(15, '\0') + "\1").value()) == "::1");
  CHECK_FALSE(parse_address(Type::a, "\1\2\3"s));
  CHECK_FALSE(parse_address(Type::aaaa, loopback));
  CHECK_FALSE(parse_address(Type::aaaa, std::string(10, '\0') + "\xff\xff" + loopback));
}

TEST_CASE("records: the strings of a TXT record are joined") {
  CHECK(parse_txt("\3abc\2de"s).value() == "abcde");
  CHECK(parse_txt("\0"s).value().empty());
  CHECK_FALSE(parse_txt(""));
  CHECK_FALSE(parse_txt("\4abc"s));
}

TEST_CASE("records: names to wire form") {
  CHECK(name_to_wire("a.bc").value() == "\1a\2bc\0"s);
  CHECK(name_to_wire("a.bc.").value() == "\1a\2bc\0"s);
  CHECK(name_to_wire("").value() == "\0"s);
  CHECK_FALSE(name_to_wire("a..b"));
  CHECK_FALSE(name_to_wire(std::string(64, 'a')));
  CHECK(normalize_name("MX.Example.ORG.") == "mx.example.org");
}

}  // namespace records_test
