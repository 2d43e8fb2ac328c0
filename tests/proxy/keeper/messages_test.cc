#include "proxy/keeper/messages.h"

#include "tests/support/catch.h"

namespace keeper_messages_test {

using namespace postern;
using namespace postern::keeper;
using namespace std::string_literals;

Sockets sockets() {
  Sockets sockets{7, {}};
  sockets.entries.push_back({Sockets::Kind::listening, 0, *config::parse_endpoint("[::]:25"), "inbound.mx"});
  sockets.entries.push_back({Sockets::Kind::signer, 1, {}, {}});
  sockets.entries.push_back({Sockets::Kind::listening, 1, *config::parse_endpoint("127.0.0.1:0"), "outbound.out"});
  sockets.entries.push_back({Sockets::Kind::programs, 1023, {}, {}});
  return sockets;
}

// What the gateway hears of what the keeper says.
template <class Kind>
Kind heard(const Kind& said, std::size_t descriptors) {
  const auto order = parse_order(encode(Order(said)), descriptors);
  REQUIRE(order);
  REQUIRE(std::holds_alternative<Kind>(*order));
  return std::get<Kind>(*order);
}
template <class Kind>
Kind reported(const Kind& said) {
  const auto report = parse_report(encode(Report(said)));
  REQUIRE(report);
  REQUIRE(std::holds_alternative<Kind>(*report));
  return std::get<Kind>(*report);
}

TEST_CASE("keeper messages: what the keeper says the gateway hears") {
  CHECK(heard(Snapshot{7}, 1).version == 7);
  const Sockets found = heard(sockets(), 4);
  CHECK(found.version == 7);
  REQUIRE(found.entries.size() == 4);
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(found.entries[i].kind == sockets().entries[i].kind);
    CHECK(found.entries[i].worker == sockets().entries[i].worker);
    CHECK(found.entries[i].endpoint == sockets().entries[i].endpoint);
    CHECK(found.entries[i].listener == sockets().entries[i].listener);
  }
  const Commit commit = heard(Commit{7, 16}, 0);
  CHECK(commit.version == 7);
  CHECK(commit.workers == 16);
  heard(Renewed{}, 1);
  const Resolver resolver = heard(Resolver{1ULL << 40U, 64}, 64);
  CHECK(resolver.run == 1ULL << 40U);
  CHECK(resolver.first == 64);
  heard(Announce{}, 0);
  heard(Ask{}, 0);
  CHECK(heard(Signer{1023}, 1).worker == 1023);
  CHECK_FALSE(parse_order(encode(Order(Signer{1024})), 1));
  CHECK_FALSE(heard(Drain{}, 0).superseded);
  CHECK(heard(Drain{true}, 0).superseded);
  CHECK_FALSE(heard(Drain{true}, 0).sockets_live_on);
  CHECK(heard(Drain{false, true}, 0).sockets_live_on);
  heard(Stop{}, 0);
  CHECK(heard(Status{true}, 1).as_text);
  CHECK_FALSE(heard(Status{}, 1).as_text);
  const CertificateState state = heard(CertificateState{"mx", true, {1, 2, 3, 1ULL << 40U, 5}}, 0);
  CHECK(state == CertificateState{"mx", true, {1, 2, 3, 1ULL << 40U, 5}});
  CHECK(heard(CertificateState{"mx", true, {}, "guard: it does not fit"}, 0).why == "guard: it does not fit");
  const Event event = heard(Event{1'700'000'000, Event::Kind::gateway_lost, "killed\nby " + std::string(1000, 'x')}, 0);
  CHECK(event.time == 1'700'000'000);
  CHECK(event.kind == Event::Kind::gateway_lost);
  CHECK(event.text == "killed?by " + std::string(max_event - 10, 'x'));
  const Counts counts = heard(Counts{3, 1ULL << 40U, true}, 0);
  CHECK(counts.gateway_losses == 3);
  CHECK(counts.resolver_losses == 1ULL << 40U);
  CHECK(counts.reload_failed);
  std::string odd = encode(Order(Counts{}));
  odd.back() = 2;
  CHECK_FALSE(parse_order(odd, 0));
}

TEST_CASE("keeper messages: what the gateway says the keeper hears, and its sentences are fit for a log") {
  CHECK(reported(Serving{3}).version == 3);
  const Refused refused = reported(Refused{3, "no\nway"});
  CHECK(refused.version == 3);
  CHECK(refused.text == "no?way");
  CHECK(reported(Refused{3, std::string(10'000, 'x')}).text == std::string(max_text, 'x'));
  const ResolverUseless useless = reported(ResolverUseless{9, "it does not answer"});
  CHECK(useless.run == 9);
  CHECK(useless.why == "it does not answer");
  CHECK(reported(Retired{4}).version == 4);
  CHECK(reported(Alive{1ULL << 40U}).sessions == 1ULL << 40U);
  CHECK(reported(SignerLost{1023}).worker == 1023);
  CHECK_FALSE(parse_report(encode(Report(SignerLost{1024}))));
  reported(Stopped{});
}

TEST_CASE("keeper messages: descriptors are as many as belong to a message") {
  const auto fits = [](const Order& order, std::size_t descriptors) {
    return parse_order(encode(order), descriptors).has_value();
  };
  for (const std::size_t count : {0U, 1U, 2U, 3U, 4U, 5U, 64U, 65U}) {
    CHECK(fits(Snapshot{1}, count) == (count == 1));
    CHECK(fits(sockets(), count) == (count == 4));
    CHECK(fits(Commit{1, 1}, count) == (count == 0));
    CHECK(fits(Renewed{}, count) == (count == 1));
    CHECK(fits(Resolver{1, 0}, count) == (count > 0 && count <= 64));
    CHECK(fits(Announce{}, count) == (count == 0));
    CHECK(fits(Ask{}, count) == (count == 0));
    CHECK(fits(Drain{}, count) == (count == 0));
    CHECK(fits(Stop{}, count) == (count == 0));
    CHECK(fits(Status{}, count) == (count == 1));
  }
  CHECK(fits(Resolver{1, 1023}, 1));
  CHECK_FALSE(fits(Resolver{1, 1023}, 2));
  CHECK_FALSE(fits(Resolver{1, 1024}, 1));
}

TEST_CASE("keeper messages: nobody takes the other's part") {
  CHECK_FALSE(parse_report(encode(Order(Stop{}))));
  CHECK_FALSE(parse_report(encode(Order(Snapshot{1}))));
  CHECK_FALSE(parse_order(encode(Report(Stopped{})), 0));
  CHECK_FALSE(parse_order(encode(Report(Serving{1})), 0));
}

TEST_CASE("keeper messages: what is cut, longer, or breaks a bound is refused") {
  const std::string whole = encode(Order(sockets()));
  for (std::size_t size = 0; size < whole.size(); ++size) CHECK_FALSE(parse_order(whole.substr(0, size), 4));
  CHECK_FALSE(parse_order(whole + "x", 4));
  CHECK_FALSE(parse_order("", 0));
  CHECK_FALSE(parse_order("\xff", 0));
  CHECK_FALSE(parse_report(""));
  CHECK_FALSE(parse_report("\xff"));
  CHECK_FALSE(parse_report(encode(Report(Stopped{})) + "x"));

  const auto refused = [](auto change) {
    Sockets wrong = sockets();
    change(wrong);
    return !parse_order(encode(Order(wrong)), wrong.entries.size());
  };
  CHECK(refused([](Sockets& wrong) { wrong.entries.clear(); }));
  CHECK(refused([](Sockets& wrong) { wrong.entries.resize(65, wrong.entries[1]); }));
  CHECK_FALSE(refused([](Sockets& fine) { fine.entries.resize(64, fine.entries[1]); }));
  CHECK(refused([](Sockets& wrong) { wrong.entries[1].worker = 1024; }));
  CHECK(refused([](Sockets& wrong) { wrong.entries[0].listener = "inbound.m x"; }));
  CHECK(refused([](Sockets& wrong) { wrong.entries[0].listener.clear(); }));
  CHECK(refused([](Sockets& wrong) { wrong.entries[0].listener = std::string(max_listener + 1, 'x'); }));
  CHECK(refused([](Sockets& wrong) { wrong.entries[0].endpoint = *config::parse_endpoint("unix:/run/x"); }));
  CHECK(refused([](Sockets& wrong) { wrong.entries[0].endpoint = *config::parse_endpoint("mx.example.org:25"); }));
  CHECK_FALSE(parse_order(encode(Order(Commit{1, 0})), 0));
  CHECK_FALSE(parse_order(encode(Order(Commit{1, 1025})), 0));
}

}  // namespace keeper_messages_test
