// Both ends of the connection: a gateway's thread, and the thread that holds its keys.
#include <sys/socket.h>

#include <mutex>
#include <optional>

#include "proxy/signing/client.h"
#include "proxy/signing/signer.h"
#include "tests/support/turn_until.h"
#include "tests/tls/engine_pair.h"
#include "tls/signatures.h"

namespace signing_test {

using namespace postern;
using namespace postern::signing;
using test_support::make_certificate;
using test_support::TestCertificate;
using test_support::TestKey;
using test_support::turn_until;
using tls::KeyOperation;
using tls::KeyRequest;

TestCertificate make(TestKey kind) {
  test_support::CertificateWish wish;
  wish.key = kind;
  if (kind == TestKey::rsa) wish.existing_key = test_support::shared_rsa_key();
  return make_certificate(wish);
}

std::shared_ptr<const tls::Certificate> without_key(const TestCertificate& made) {
  config::File file;
  file.content = tls::SigningKey::parse("key", made.key_pem(), false)->public_form("key", made.key_pem());
  file.key_elsewhere = true;
  return *tls::match(*tls::parse_chain("chain", made.certificate_pem()), *tls::parse_private_key("key", file));
}

// Said in the signer's thread, read in the test's.
class Ends {
 public:
  void add(const std::string& why) {
    const std::lock_guard lock(mutex_);
    ends_.push_back(why);
  }
  std::vector<std::string> all() const {
    const std::lock_guard lock(mutex_);
    return ends_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> ends_;
};

struct World {
  net::Loop loop;
  KeyTable table{std::make_shared<const Keys>()};
  Ends ends;
  std::optional<Signer> signer;
  Client client{loop};
  std::vector<std::string> lost;
  std::vector<Result<std::string>> answers;

  std::string hold(const TestCertificate& made) {
    auto key = tls::SigningKey::parse("key", made.key_pem(), true);
    const std::string name = key->name();
    Keys keys = *table.get();
    keys[name] = std::make_shared<const tls::SigningKey>(std::move(*key));
    table.set(std::make_shared<const Keys>(std::move(keys)));
    return name;
  }
  // The far end, which the test plays.
  UniqueFd connect() {
    auto pair = net::packet_pair();
    client.connect(std::move(pair->first), [this](const std::string& why) { lost.push_back(why); });
    return std::move(pair->second);
  }
  void serve() {
    signer.emplace(connect(), table, [this](const std::string& why) { ends.add(why); });
  }
  std::unique_ptr<tls::Signer::Ticket> ask(const KeyRequest& request) {
    auto ticket = client.ask(request, [this](Result<std::string> answer) { answers.push_back(std::move(answer)); });
    if (!ticket) answers.push_back(tl::unexpected(ticket.error()));
    return ticket ? std::move(*ticket) : nullptr;
  }
};

const KeyRequest unknown{std::string(KeyRequest::name_size, 'u'), KeyOperation::sign, 0x0403, std::string(32, 'd')};

TEST_CASE("signing: handshakes with every kind of key") {
  World world;
  world.serve();
  for (const TestKey kind : {TestKey::p256, TestKey::p384, TestKey::p521, TestKey::rsa, TestKey::ed25519}) {
    const auto made = make(kind);
    world.hold(made);
    const auto server = tls::engine_pair::make_server(tls::engine_pair::server_options({without_key(made)}));
    for (const std::uint16_t version : {0x0303, 0x0304}) {
      tls::engine_pair::TestClient test_client(version);
      tls::set_accepted_signatures(test_client.context.get(), false);
      SSL_CTX_set1_curves_list(test_client.context.get(), "X25519:P-256:P-384:P-521");
      tls::engine_pair::Pair pair(test_client, *server);
      pair.server.engine->sign_with(world.client, [&] { pair.server.resume(); });
      pair.handshake();
      CHECK(turn_until(world.loop, [&] { return !pair.server.waits; }));
      pair.run();
      CHECK(pair.server.completed == 1);
      CHECK(pair.server.error + pair.client.error == "");
    }
  }
}

TEST_CASE("signing: many at once are answered in their turn, each with its own") {
  World world;
  const std::string name = world.hold(make(TestKey::ed25519));
  world.serve();
  std::vector<std::unique_ptr<tls::Signer::Ticket>> tickets;
  for (int i = 0; i < 2'000; ++i) tickets.push_back(world.ask({name, KeyOperation::sign, 0x0807, std::to_string(i)}));
  REQUIRE(turn_until(world.loop, [&] { return world.answers.size() == 2'000; }));
  const auto key = world.table.get()->at(name);
  for (std::size_t i = 0; i < 2'000; i += 97) {
    CHECK(*world.answers[i] == *key->perform({name, KeyOperation::sign, 0x0807, std::to_string(i)}));
  }
}

TEST_CASE("signing: what the signer does not do is an answer, too, and others go on") {
  World world;
  const std::string name = world.hold(make(TestKey::p256));
  world.serve();
  const auto first = world.ask(unknown);
  const auto second = world.ask({name, KeyOperation::sign, 0x0804, std::string(32, 'd')});
  const auto third = world.ask({name, KeyOperation::sign, 0x0403, std::string(32, 'd')});
  REQUIRE(turn_until(world.loop, [&] { return world.answers.size() == 3; }));
  CHECK(world.answers[0].error().message == "nobody holds the key");
  CHECK(world.answers[1].error().message == "the key does not do that");
  CHECK(world.answers[2].has_value());
}

TEST_CASE("signing: a key that comes later is known to who runs already, and one that goes is not") {
  World world;
  world.serve();
  const std::string name = world.hold(make(TestKey::ed25519));
  const auto first = world.ask({name, KeyOperation::sign, 0x0807, "m"});
  REQUIRE(turn_until(world.loop, [&] { return world.answers.size() == 1; }));
  CHECK(world.answers[0].has_value());
  world.table.set(std::make_shared<const Keys>());
  const auto second = world.ask({name, KeyOperation::sign, 0x0807, "m"});
  REQUIRE(turn_until(world.loop, [&] { return world.answers.size() == 2; }));
  CHECK_FALSE(world.answers[1].has_value());
}

TEST_CASE("signing: an answer that nobody waits for any more is dropped") {
  World world;
  world.serve();
  world.ask(unknown).reset();
  const auto kept = world.ask(unknown);
  REQUIRE(turn_until(world.loop, [&] { return world.answers.size() == 1; }));
  CHECK(world.lost.empty());
}

TEST_CASE("signing: a signer that is gone fails what is under way, and what comes after, at once") {
  World world;
  CHECK(world.ask(unknown) == nullptr);
  CHECK(world.answers.at(0).error().message == "nobody signs now");
  auto far = world.connect();
  const auto waits = world.ask(unknown);
  far = {};
  REQUIRE(turn_until(world.loop, [&] { return world.answers.size() == 2; }));
  CHECK(world.answers[1].error().message == "the signer has ended");
  CHECK(world.lost == std::vector<std::string>{""});
  CHECK_FALSE(world.client.connected());
  CHECK(world.ask(unknown) == nullptr);

  world.hold(make(TestKey::p256));
  world.serve();  // another one
  const auto again = world.ask(unknown);
  REQUIRE(turn_until(world.loop, [&] { return world.answers.size() == 4; }));
  CHECK(world.answers[3].error().message == "nobody holds the key");
}

TEST_CASE("signing: a signer that hangs is asked nothing more until it answers") {
  net::Loop loop;
  Client client(loop, {.with_signer = 100});
  std::vector<bool> changes;
  client.on_change([&] { changes.push_back(client.signs()); });
  auto pair = net::packet_pair();
  client.connect(std::move(pair->first));
  std::vector<Result<std::string>> answers;
  const auto hear = [&](Result<std::string> answer) { answers.push_back(std::move(answer)); };
  const auto waits = client.ask(unknown, hear);
  REQUIRE(turn_until(loop, [&] { return answers.size() == 1; }));
  CHECK(answers[0].error().message == "the signer does not answer");
  CHECK_FALSE(client.ask(unknown, hear).has_value());
  CHECK(client.connected());
  CHECK_FALSE(client.signs());

  const std::string late = encode(Answer{0, Answer::Status::unknown_key, {}});
  REQUIRE(::send(pair->second.get(), late.data(), late.size(), 0) == static_cast<ssize_t>(late.size()));
  REQUIRE(turn_until(loop, [&] { return client.signs(); }));
  CHECK(answers.size() == 1);
  CHECK(client.ask(unknown, hear).has_value());
  CHECK(changes == std::vector<bool>{true, false, true});
}

TEST_CASE("signing: a signer that breaks the protocol is left") {
  for (const std::string& packet :
       {std::string("rubbish"), encode(Answer{1, Answer::Status::failed, {}}), std::string(max_answer + 1, 'x')}) {
    World world;
    const auto far = world.connect();
    const auto waits = world.ask(unknown);
    REQUIRE(::send(far.get(), packet.data(), packet.size(), 0) == static_cast<ssize_t>(packet.size()));
    REQUIRE(turn_until(world.loop, [&] { return world.answers.size() == 1; }));
    CHECK_FALSE(world.answers[0].has_value());
    CHECK(world.lost.size() == 1);
    CHECK_FALSE(world.client.connected());
  }
}

TEST_CASE("signing: what is under way is bounded") {
  World world;
  const auto far = world.connect();
  std::vector<std::unique_ptr<tls::Signer::Ticket>> tickets;
  for (std::size_t i = 0; i < Client::most_sent + Client::most_in_line; ++i) tickets.push_back(world.ask(unknown));
  CHECK(world.answers.empty());
  CHECK(world.ask(unknown) == nullptr);
  CHECK(world.answers.at(0).error().message == "too many signatures are under way");
}

// How many requests have come there.
std::size_t received(const UniqueFd& far) {
  std::size_t count = 0;
  char octet;
  while (::recv(far.get(), &octet, 1, MSG_DONTWAIT) > 0) ++count;
  return count;
}

TEST_CASE("signing: of a flood the signer has a few at a time, and never those that nobody waits for any more") {
  World world;
  const auto far = world.connect();
  std::vector<std::unique_ptr<tls::Signer::Ticket>> tickets;
  for (std::size_t i = 0; i < 1'000; ++i) tickets.push_back(world.ask(unknown));
  const auto last = world.ask(unknown);
  CHECK(received(far) == Client::most_sent);
  tickets.clear();
  const auto answer = [&](std::uint32_t id) {
    const std::string message = encode(Answer{id, Answer::Status::unknown_key, {}});
    return ::send(far.get(), message.data(), message.size(), 0) == static_cast<ssize_t>(message.size());
  };
  for (std::uint32_t id = 0; id < Client::most_sent; ++id) REQUIRE(answer(id));
  std::size_t came = 0;
  REQUIRE(turn_until(world.loop, [&] { return (came += received(far)) > 0; }));
  REQUIRE(answer(1'000));
  REQUIRE(turn_until(world.loop, [&] { return world.answers.size() == 1; }));
  CHECK(came + received(far) == 1);
  CHECK(world.answers[0].error().message == "nobody holds the key");
  CHECK(world.lost.empty());
}

TEST_CASE("signing: who has stood in line for too long is told so, and what the signer has is waited for") {
  net::Loop loop;
  auto client = std::make_unique<Client>(loop, Client::Patience{.in_line = 100});
  auto pair = net::packet_pair();
  client->connect(std::move(pair->first));
  std::vector<Result<std::string>> answers;
  std::vector<std::unique_ptr<tls::Signer::Ticket>> tickets;
  const auto hear = [&](Result<std::string> answer) { answers.push_back(std::move(answer)); };
  for (std::size_t i = 0; i < Client::most_sent + 3; ++i) tickets.push_back(*client->ask(unknown, hear));
  REQUIRE(turn_until(loop, [&] { return answers.size() >= 3; }));
  CHECK(answers.size() == 3);
  CHECK(answers[0].error().message == "too many signatures were asked for before it");
  CHECK(client->signs());
  tickets.push_back(*client->ask(unknown, hear));
  client.reset();  // before those who wait
  tickets.clear();
  CHECK(answers.size() == 3);
}

TEST_CASE("signing: a gateway that breaks the protocol is cut off") {
  World world;
  const std::string name = world.hold(make(TestKey::ed25519));
  for (const std::string& packet : {std::string("rubbish"), std::string(max_request + 1, 'x')}) {
    auto pair = net::packet_pair();
    Ends ends;
    Signer signer(std::move(pair->first), world.table, [&](const std::string& why) { ends.add(why); });
    REQUIRE(::send(pair->second.get(), packet.data(), packet.size(), 0) == static_cast<ssize_t>(packet.size()));
    const std::string good = encode(Request{1, {name, KeyOperation::sign, 0x0807, "m"}});
    (void)::send(pair->second.get(), good.data(), good.size(), MSG_NOSIGNAL);
    REQUIRE(turn_until(world.loop, [&] { return !ends.all().empty(); }));
    CHECK(ends.all()[0].starts_with("a request "));
    char octet;
    CHECK(::recv(pair->second.get(), &octet, 1, MSG_DONTWAIT) <= 0);
  }
}

TEST_CASE("signing: a signer ends with its gateway, and at once where it is told to") {
  World world;
  auto pair = net::packet_pair();
  Ends ends;
  std::optional<Signer> signer;
  signer.emplace(std::move(pair->first), world.table, [&](const std::string& why) { ends.add(why); });
  SECTION("the gateway ends") {
    pair->second = {};
    REQUIRE(turn_until(world.loop, [&] { return !ends.all().empty(); }));
  }
  SECTION("it is told to, while nobody reads what it says") {
    const std::string request = encode(Request{1, unknown});
    while (::send(pair->second.get(), request.data(), request.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) continue;
  }
  signer.reset();
  CHECK(ends.all() == std::vector<std::string>{""});
}

}  // namespace signing_test
