#include "proxy/resolver/messages.h"

#include "proxy/dns/records.h"
#include "tests/support/catch.h"

namespace messages_test {

using namespace postern;
using namespace postern::resolver;
using namespace std::string_literals;

const Question question{7, How::afresh, {"_25._tcp.mx.example", dns::Type::tlsa}};

Answer found() {
  Answer answer{9, {}};
  answer.answer.status = dns::Status::exists;
  answer.answer.secure = true;
  answer.answer.ttl = std::chrono::seconds(300);
  answer.answer.canonical_name = "host.example";
  answer.answer.rdata = {"\x7f\0\0\1"s, std::string(300, 'x'), ""};
  return answer;
}

Answer failed() {
  Answer answer{9, dns::failure("no answer in time")};
  answer.answer.asked = "192.0.2.1:53 (/etc/resolv.conf)";
  return answer;
}

Settings settings() {
  return {{false, {"192.0.2.1@53", "fe80::1%eth0@53"}, "/etc/resolv.conf"}, true, {". IN DS 1 13 2 aa"}, "postern"};
}

TEST_CASE("messages: what one end says the other hears") {
  const auto asked = parse_question(encode(question));
  REQUIRE(asked);
  CHECK(asked->id == 7);
  CHECK(asked->how == How::afresh);
  CHECK(asked->question == question.question);

  const auto answer = parse_answer(encode(found()));
  REQUIRE(answer);
  CHECK(answer->id == 9);
  CHECK(answer->answer.status == dns::Status::exists);
  CHECK(answer->answer.secure);
  CHECK(answer->answer.ttl.count() == 300);
  CHECK(answer->answer.canonical_name == "host.example");
  CHECK(answer->answer.rdata == found().answer.rdata);

  const auto failure = parse_answer(encode(failed()));
  REQUIRE(failure);
  CHECK(failure->answer.status == dns::Status::failed);
  CHECK(failure->answer.reason == "no answer in time");
  CHECK(failure->answer.asked == "192.0.2.1:53 (/etc/resolv.conf)");

  const auto given = parse_settings(encode(settings()).value());
  REQUIRE(given);
  CHECK(given->servers.servers == settings().servers.servers);
  CHECK(given->servers.origin == "/etc/resolv.conf");
  CHECK(given->follow_resolv_conf);
  CHECK(given->trust_anchor == settings().trust_anchor);
  CHECK(given->user == "postern");

  const auto report = parse_report(encode(Report{Report::Kind::anchor_refused, "no\nanchor"}));
  REQUIRE(report);
  CHECK(report->kind == Report::Kind::anchor_refused);
  CHECK(report->text == "no?anchor");

  CHECK(parse_new_clients(encode(NewClients{})));
  CHECK_FALSE(parse_new_clients(encode(NewClients{}) + "x"));
  CHECK_FALSE(parse_new_clients(encode(question)));
}

TEST_CASE("messages: the three kinds of bad news and the two of absence stay five") {
  using dns::Status;
  for (const Status status : {Status::no_data, Status::no_such_name, Status::failed, Status::bogus}) {
    Answer answer{1, {}};
    answer.answer.status = status;
    if (status == Status::failed || status == Status::bogus) answer.answer.reason = "why";
    const auto heard = parse_answer(encode(answer));
    REQUIRE(heard);
    CHECK(heard->answer.status == status);
  }
}

TEST_CASE("messages: one that is cut short or has more than belongs to it is none") {
  const auto checked = [](const std::string& whole, auto parse) {
    for (std::size_t size = 0; size < whole.size(); ++size) CHECK_FALSE(parse(whole.substr(0, size)));
    CHECK(parse(whole));
    CHECK_FALSE(parse(whole + "x"));
    std::string other = whole;
    other[0] = static_cast<char>(other[0] ^ 0x10);
    CHECK_FALSE(parse(other));
  };
  checked(encode(question), [](const std::string& bytes) { return parse_question(bytes).has_value(); });
  checked(encode(found()), [](const std::string& bytes) { return parse_answer(bytes).has_value(); });
  checked(encode(failed()), [](const std::string& bytes) { return parse_answer(bytes).has_value(); });
  checked(encode(settings()).value(), [](const std::string& bytes) { return parse_settings(bytes).has_value(); });
  checked(encode(Report{Report::Kind::trouble, "x"}),
          [](const std::string& bytes) { return parse_report(bytes).has_value(); });
}

TEST_CASE("messages: a question that cannot be put is known beforehand, and refused by the other end too") {
  const auto refused = [](How how, std::string name, dns::Type type) {
    return !parse_question(encode(Question{1, how, {std::move(name), type}}));
  };
  CHECK(can_be_asked({std::string(255, 'a'), dns::Type::a}));
  for (const std::string& name : {std::string(256, 'a'), "a b"s, "a\0b"s, "a\x7f"s, "\xc3\xa9.example"s, "a\n"s}) {
    CHECK_FALSE(can_be_asked({name, dns::Type::a}));
    CHECK(refused(How::proven, name, dns::Type::a));
  }
  CHECK_FALSE(can_be_asked({"a", static_cast<dns::Type>(252)}));  // a zone transfer
  CHECK(refused(How::plain, "a", static_cast<dns::Type>(252)));
  CHECK(refused(How::system, "a", dns::Type::mx));
  CHECK_FALSE(refused(How::system, "a", dns::Type::a));
  CHECK_FALSE(refused(How::proven, "", dns::Type::dnskey));
}

TEST_CASE("messages: an answer that says more than can be true is none") {
  const auto heard = [](auto change) {
    // The octets after the kind and the number: status, security.
    std::string bytes = encode(found());
    change(bytes);
    return parse_answer(bytes).has_value();
  };
  CHECK(heard([](std::string&) {}));
  CHECK_FALSE(heard([](std::string& bytes) { bytes[5] = 1; }));       // records that do not exist
  CHECK_FALSE(heard([](std::string& bytes) { bytes[5] = 4; }));       // bogus and secure, for no reason
  CHECK_FALSE(heard([](std::string& bytes) { bytes[5] = 5; }));       // no such status
  CHECK_FALSE(heard([](std::string& bytes) { bytes[6] = 2; }));       // no such truth
  CHECK_FALSE(heard([](std::string& bytes) { bytes[7] = '\x80'; }));  // longer than a TTL can be
  CHECK_FALSE(heard([](std::string& bytes) { bytes[13] = ' '; }));    // no name
  std::string bytes = encode(failed());
  bytes[6] = 1;
  CHECK_FALSE(parse_answer(bytes));
}

TEST_CASE("messages: an answer that does not fit, or means nothing, is a failure that says so") {
  Answer large = found();
  large.answer.rdata.assign(dns::max_records, std::string(255, 'x'));
  const auto heard = parse_answer(encode(large));
  REQUIRE(heard);
  CHECK(heard->id == 9);
  CHECK(heard->answer.status == dns::Status::failed);
  CHECK(heard->answer.reason == "the answer is larger than any that mail needs");
  large.answer.rdata = {std::string(70'000, 'x')};
  CHECK(parse_answer(encode(large))->answer.status == dns::Status::failed);
  Answer empty = found();
  empty.answer.rdata.clear();
  CHECK(parse_answer(encode(empty))->answer.status == dns::Status::failed);
  Answer wordy = failed();
  wordy.answer.reason.assign(100'000, 'x');
  CHECK(parse_answer(encode(wordy))->answer.reason.size() == max_text);
  Answer silent{1, {}};
  CHECK_FALSE(parse_answer(encode(silent))->answer.reason.empty());
}

TEST_CASE("messages: settings beyond a bound are refused before they are said") {
  const auto refused = [](auto change) {
    Settings changed = settings();
    change(changed);
    const auto message = encode(changed);
    if (!message) CHECK(message.error().code == Errc::limit_exceeded);
    return !message;
  };
  CHECK_FALSE(refused([](Settings&) {}));
  CHECK(refused([](Settings& changed) { changed.trust_anchor.assign(max_anchors + 1, "x"); }));
  CHECK(refused([](Settings& changed) { changed.trust_anchor.assign(1, std::string(max_anchor + 1, 'x')); }));
  CHECK(refused([](Settings& changed) { changed.trust_anchor.assign(20, std::string(max_anchor, 'x')); }));
  CHECK(refused([](Settings& changed) { changed.servers.servers.assign(max_servers + 1, "x"); }));
  CHECK(refused([](Settings& changed) { changed.user.assign(max_user + 1, 'x'); }));
}

TEST_CASE("messages: another version is told apart from nonsense") {
  std::string message = encode(settings()).value();
  message[2] = static_cast<char>(version + 1);
  const auto heard = parse_settings(message);
  REQUIRE_FALSE(heard);
  CHECK(heard.error().code == Errc::unsupported);
}

}  // namespace messages_test
