#include "tls/ticket_keys.h"

#include <filesystem>

#include "tests/support/catch.h"
#include "tests/support/certificates.h"
#include "tests/tls/loading.h"

namespace postern::tls::ticket_keys_test {

using test_support::TempDirectory;
using Octets = std::vector<std::uint8_t>;
using namespace std::chrono_literals;

const Octets session = {'s', 'e', 's', 's', 'i', 'o', 'n'};

Octets seal(TicketKeys& keys) {
  Octets ticket(session.size() + TicketKey::overhead);
  const auto size = keys.current()->front()->seal(session, ticket);
  REQUIRE(size == ticket.size());
  return ticket;
}

bool opens(TicketKeys& keys, const Octets& ticket) {
  for (const auto& key : *keys.current()) {
    Octets out(ticket.size());
    if (const auto size = key->open(ticket, out)) {
      out.resize(*size);
      CHECK(out == session);
      return true;
    }
  }
  return false;
}

struct Clock {
  std::chrono::steady_clock::time_point now;
  TicketKeys::Clock function() {
    return [this] { return now; };
  }
};

// As whoever watches the file does.
Result<bool> reread(TicketKeys& keys, const std::string& path) {
  const auto file = read_for(config::FileUse::ticket_keys, path);
  return file.and_then([&](const config::File& read) { return keys.renew(path, read.content); });
}

TEST_CASE("ticket_keys: what is sealed opens, in place as well, and no two tickets are alike") {
  const auto keys = TicketKeys::random(1h);
  const Octets ticket = seal(*keys);
  CHECK(opens(*keys, ticket));
  CHECK(seal(*keys) != ticket);

  Octets buffer = session;
  buffer.resize(session.size() + TicketKey::overhead);
  const auto& key = keys->current()->front();
  REQUIRE(key->seal(std::span(buffer).first(session.size()), buffer) == buffer.size());
  CHECK(opens(*keys, buffer));
  REQUIRE(key->open(buffer, buffer) == session.size());
  buffer.resize(session.size());
  CHECK(buffer == session);
}

TEST_CASE("ticket_keys: no octet of a ticket may change, none may be missing") {
  const auto keys = TicketKeys::random(1h);
  const Octets ticket = seal(*keys);
  for (std::size_t at = 0; at < ticket.size(); ++at) {
    Octets changed = ticket;
    changed[at] ^= 1;
    CHECK_FALSE(opens(*keys, changed));
    CHECK_FALSE(opens(*keys, Octets(ticket.begin(), ticket.begin() + static_cast<std::ptrdiff_t>(at))));
  }
  CHECK_FALSE(opens(*TicketKeys::random(1h), ticket));
}

TEST_CASE("ticket_keys: a buffer too small is refused") {
  const auto keys = TicketKeys::random(1h);
  Octets small(session.size() + TicketKey::overhead - 1);
  CHECK_FALSE(keys->current()->front()->seal(session, small));
}

TEST_CASE("ticket_keys: keys rotate, the previous one still opens") {
  Clock clock;
  const auto keys = TicketKeys::random(12h, clock.function());
  const Octets first = seal(*keys);
  clock.now += 12h - 1s;
  CHECK(keys->current()->size() == 1);
  clock.now += 1s;
  CHECK(keys->current()->size() == 2);
  CHECK(opens(*keys, first));
  const Octets second = seal(*keys);
  CHECK_FALSE(keys->current()->front()->has_name_of(first));
  clock.now += 12h;
  CHECK_FALSE(opens(*keys, first));
  CHECK(opens(*keys, second));
}

TEST_CASE("ticket_keys: after a quiet time of two periods nothing old opens") {
  Clock clock;
  const auto keys = TicketKeys::random(1h, clock.function());
  const Octets ticket = seal(*keys);
  clock.now += 2h;
  CHECK_FALSE(opens(*keys, ticket));
}

TEST_CASE("ticket_keys: a file of 80 or 48 octets a key") {
  const TempDirectory directory;
  const auto count = [&directory](std::size_t size) {
    const auto keys = load_ticket_keys(directory.write("keys", std::string(size, 'k')));
    return keys ? (*keys)->current()->size() : 0;
  };
  CHECK(count(80) == 1);
  CHECK(count(48) == 1);
  CHECK(count(96) == 2);
  CHECK(count(160) == 2);
  CHECK(count(240) == 3);  // three of 80, not five of 48
  for (const std::size_t wrong : {0, 1, 47, 49, 79, 81, 128}) {
    CHECK(count(wrong) == 0);
  }
  CHECK(count(80 * 17) == 0);
  CHECK(load_ticket_keys(directory.path("absent")).error().code == Errc::not_found);
}

TEST_CASE("ticket_keys: instances with one file open each other's tickets; a new file is noticed") {
  const TempDirectory directory;
  const std::string old_key(80, 'a');
  const std::string new_key(80, 'b');
  const std::string path = directory.write("keys", old_key);
  const auto one = *load_ticket_keys(path);
  const auto other = *load_ticket_keys(path);
  const Octets first = seal(*one);
  CHECK(opens(*other, first));

  std::filesystem::rename(directory.write("next", new_key + old_key), path);
  CHECK(one->current()->size() == 1);
  CHECK(reread(*one, path) == true);
  CHECK(reread(*one, path) == false);
  CHECK(one->current()->size() == 2);
  CHECK(opens(*one, first));
  const Octets second = seal(*one);
  CHECK_FALSE(one->current()->front()->has_name_of(first));

  SECTION("an unusable file leaves the keys as they were") {
    directory.write("keys", "short");
    CHECK_FALSE(reread(*one, path).has_value());
    CHECK(opens(*one, second));
    std::filesystem::remove(path);
    CHECK_FALSE(reread(*one, path).has_value());
    CHECK(opens(*one, second));
    directory.write("keys", old_key);
    CHECK(reread(*one, path) == true);
    CHECK_FALSE(opens(*one, second));
    CHECK(opens(*one, first));
  }
}

}  // namespace postern::tls::ticket_keys_test
