#include "proxy/smtp/client_input.h"

#include <string>
#include <vector>

#include "tests/support/catch.h"

namespace postern::smtp::client_input_test {

using Item = ClientInput::Item;
using Mode = ClientInput::Mode;

// What a client says, taken item by item, and what of it reaches the server.
struct Talk {
  explicit Talk(const config::Listener& settings = {}) : listener(settings), input(listener) {}

  std::vector<Item> say(std::string_view said) {
    std::vector<Item> items;
    while (!said.empty()) {
      Effects out;
      const auto taken = input.take(said, standing, out);
      if (taken.item == Item::command || taken.item == Item::response) lines += std::string(taken.line.text) + "|";
      if (taken.item != Item::more) items.push_back(taken.item);
      for (const Effect& effect : out.list()) server += effect.bytes;
    }
    return items;
  }

  // … octet by octet.
  std::vector<Item> say_slowly(std::string_view said) {
    std::vector<Item> items;
    for (; !said.empty(); said.remove_prefix(1)) {
      const std::string octet(said.substr(0, 1));
      for (const Item item : say(octet)) items.push_back(item);
    }
    return items;
  }

  config::Listener listener;
  ClientInput input;
  ClientStanding standing;
  std::string lines;
  std::string server;
};

config::Listener with_limit(std::uint64_t octets) {
  config::Listener listener;
  listener.ehlo.size_limit = config::ByteSize{octets};
  return listener;
}

config::Listener rejecting() {
  config::Listener listener;
  listener.bare_newline = config::BareNewline::reject;
  return listener;
}

TEST_CASE("client input: lines are commands until something else is expected") {
  Talk talk;
  CHECK(talk.say("NOOP\r\nRSET\r\nQU") == std::vector{Item::command, Item::command});
  CHECK(talk.input.partial());
  CHECK(talk.say("IT\r\n") == std::vector{Item::command});
  CHECK(!talk.input.partial());
  talk.input.expect_response();
  CHECK(talk.say("AGEAYg==\r\nNOOP\r\n") == std::vector{Item::response, Item::command});
  CHECK(talk.lines == "NOOP|RSET|QUIT|AGEAYg==|NOOP|");
}

TEST_CASE("client input: what is no command is told before its line is whole, and only at the beginning of one") {
  Talk talk;
  CHECK(talk.say("\x16\x03\x01") == std::vector{Item::no_command});
  CHECK(talk.say("NOOP \x80\r\n") == std::vector{Item::command});
}

TEST_CASE("client input: only who is offered AUTH may send a long line") {
  Talk talk;
  const std::string line = "AUTH PLAIN " + std::string(3000, 'x') + "\r\n";
  CHECK(talk.say(line) == std::vector{Item::command});
  CHECK(talk.lines == "|");  // too long: without text
  EhloReply shown;
  shown.add_line("mx.example");
  shown.add_line("AUTH PLAIN");
  talk.standing.offer(shown);
  talk.lines.clear();
  CHECK(talk.say(line) == std::vector{Item::command});
  CHECK(talk.lines.size() == line.size() - 1);
}

TEST_CASE("client input: content goes on to its end, however it is cut, and commands follow") {
  for (const bool slowly : {false, true}) {
    Talk talk;
    talk.input.expect_content();
    CHECK(talk.input.sends_on());
    const std::string_view said = "a\r\n..b\r\n.\r\nNOOP\r\n";
    CHECK((slowly ? talk.say_slowly(said) : talk.say(said)) == std::vector{Item::content_end, Item::command});
    CHECK(talk.server == "a\r\n..b\r\n.\r\n");
    CHECK(!talk.input.in_message());
  }
}

TEST_CASE("client input: content over the limit is told once, and the rest of it goes nowhere") {
  for (const bool slowly : {false, true}) {
    Talk talk(with_limit(4));
    talk.input.expect_content();
    const std::string_view said = "1234\r\n5678\r\nNOOP\r\n.\r\nQUIT\r\n";
    const auto items = slowly ? talk.say_slowly(said) : talk.say(said);
    if (slowly) {
      CHECK(items == std::vector{Item::too_large, Item::discarded, Item::command});
    } else {
      CHECK(items == std::vector{Item::too_large, Item::command});  // its end came with it
    }
    CHECK(talk.server.size() <= 8);
    CHECK(talk.lines == "QUIT|");
  }
}

TEST_CASE("client input: what made content too large comes before a bare newline behind it") {
  config::Listener listener = rejecting();
  listener.ehlo.size_limit = config::ByteSize{4};
  Talk talk(listener);
  talk.input.expect_content();
  CHECK(talk.say("123456789\n") == std::vector{Item::too_large});
  CHECK(!talk.input.in_message());
}

TEST_CASE("client input: a bare newline in content is told at once, in content that is thrown away not at all") {
  Talk talk(rejecting());
  talk.input.expect_content();
  CHECK(talk.say("a\n") == std::vector{Item::bare_newline});
  CHECK(!talk.input.in_message());

  for (const bool slowly : {false, true}) {
    Talk other(rejecting());
    other.input.expect_content();
    CHECK(other.say("a\r\n").empty());
    other.input.discard();
    CHECK(!other.input.sends_on());
    CHECK(other.input.in_message());
    const std::string_view said = "b\nMAIL FROM:<x@y>\n.\n\r\n.\r\nNOOP\r\n";
    CHECK((slowly ? other.say_slowly(said) : other.say(said)) == std::vector{Item::discarded, Item::command});
    CHECK(other.lines == "NOOP|");
    CHECK(other.server == "a");
    other.input.expect_content();  // the next message is looked at again
    CHECK(other.say("c\n") == std::vector{Item::bare_newline});
  }
}

TEST_CASE("client input: the octets of a chunk are never commands, wanted or not") {
  Talk talk;
  talk.input.expect_chunk({6, false});
  CHECK(talk.say("QUIT\r\nNOOP\r\n") == std::vector{Item::chunk_end, Item::command});
  CHECK(talk.server == "QUIT\r\n");
  talk.input.discard_chunk({6, true});
  CHECK(!talk.input.sends_on());
  CHECK(talk.say_slowly("QUIT\r\nNOOP\r\n") == std::vector{Item::discarded, Item::command});
  talk.input.expect_chunk({6, true});
  CHECK(talk.say("QUI").empty());
  talk.input.discard();
  CHECK(talk.say("T\r\nNOOP\r\n") == std::vector{Item::discarded, Item::command});
  CHECK(talk.server == "QUIT\r\nQUI");
  CHECK(talk.lines == "NOOP|NOOP|NOOP|");
}

TEST_CASE("client input: a chunk without octets is over at once") {
  Talk talk;
  talk.input.expect_chunk({0, true});
  CHECK(talk.input.mode() == Mode::commands);
  talk.input.discard_chunk({0, true});
  CHECK(talk.input.mode() == Mode::commands);
}

TEST_CASE("client input: chunks of one message are held to the limit together") {
  Talk talk(with_limit(10));
  CHECK(talk.input.fits(10));
  CHECK(!talk.input.fits(11));
  talk.input.expect_chunk({6, false});
  CHECK(talk.say("123456") == std::vector{Item::chunk_end});
  CHECK(talk.input.fits(4));
  CHECK(!talk.input.fits(5));
  CHECK(!talk.input.fits(~std::uint64_t{0}));
  talk.input.expect_chunk({4, true});
  CHECK(talk.say("1234") == std::vector{Item::chunk_end});
  CHECK(talk.input.fits(10));  // the next message
  talk.input.expect_chunk({6, false});
  CHECK(talk.say("123456") == std::vector{Item::chunk_end});
  talk.input.begin_message();
  CHECK(talk.input.fits(10));
}

}  // namespace postern::smtp::client_input_test
