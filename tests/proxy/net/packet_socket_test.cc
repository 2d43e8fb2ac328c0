#include "proxy/net/packet_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <optional>
#include <vector>

#include "proxy/net/loop.h"
#include "tests/support/catch.h"
#include "tests/support/send_packet.h"
#include "tests/support/turn_until.h"

namespace packet_socket_test {

using namespace postern;
using test_support::turn_until;

struct Heard final : net::PacketSocket::Owner {
  std::vector<std::string> packets;
  net::Descriptors descriptors;  // of the last packet that had any
  std::optional<std::string> end;
  bool drained = false;
  std::function<void()> at_each;
  void on_packet(std::string_view packet) override {
    packets.emplace_back(packet);
    if (at_each) at_each();
  }
  void on_packet_with(std::string_view packet, net::Descriptors brought) override {
    descriptors = std::move(brought);
    on_packet(packet);
  }
  void on_end(const std::string& why) override { end = why; }
  void on_drained() override { drained = true; }
};

struct World {
  net::Loop loop;
  UniqueFd other;
  Heard heard;
  std::unique_ptr<net::PacketSocket> socket;

  explicit World(std::size_t descriptors = 0) {
    auto pair = net::packet_pair();
    REQUIRE(pair);
    other = std::move(pair->first);
    socket = std::make_unique<net::PacketSocket>(loop.raw(), std::move(pair->second),
                                                 net::PacketSocket::Bounds{100, descriptors}, heard);
  }
  // With as many descriptors as that, all of the same pipe, of which the reading end is returned.
  UniqueFd say_with(const std::string& packet, std::size_t count) const {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const UniqueFd writing(ends[1]);
    test_support::send_packet(other, packet, std::vector<int>(count, writing.get()));
    return UniqueFd(ends[0]);
  }
  void say(const std::string& packet) const {
    REQUIRE(::send(other.get(), packet.data(), packet.size(), 0) == static_cast<ssize_t>(packet.size()));
  }
};

TEST_CASE("packet_socket: packets stay whole and in order, both ways") {
  World world;
  world.say("one");
  world.say(std::string(100, 'x'));
  CHECK(turn_until(world.loop, [&] { return world.heard.packets.size() == 2; }));
  CHECK(world.heard.packets == std::vector<std::string>{"one", std::string(100, 'x')});
  world.socket->send("answer");
  char bytes[100];
  CHECK(::recv(world.other.get(), bytes, sizeof bytes, 0) == 6);
}

TEST_CASE("packet_socket: a packet that is too large ends it") {
  World world;
  world.say(std::string(101, 'x'));
  CHECK(turn_until(world.loop, [&] { return world.heard.end.has_value(); }));
  CHECK(world.heard.packets.empty());
  CHECK_FALSE(world.heard.end->empty());
}

// Whether nobody has the writing end any more.
bool is_closed(const UniqueFd& reading) {
  pollfd looked{reading.get(), 0, 0};
  return ::poll(&looked, 1, 0) == 1 && (looked.revents & POLLHUP) != 0;
}

TEST_CASE("packet_socket: one that brings a descriptor ends it where none is expected") {
  World world;
  const UniqueFd reading = world.say_with("x", 1);
  CHECK(turn_until(world.loop, [&] { return world.heard.end.has_value(); }));
  CHECK(world.heard.packets.empty());
  CHECK(is_closed(reading));
}

TEST_CASE("packet_socket: descriptors come with the packet that they were sent with, closed on exec") {
  World world(3);
  world.say("none");
  const UniqueFd reading = world.say_with("three", 3);
  world.say("none either");
  CHECK(turn_until(world.loop, [&] { return world.heard.packets.size() == 3; }));
  REQUIRE(world.heard.descriptors.size() == 3);
  for (const UniqueFd& fd : world.heard.descriptors) CHECK((::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK_FALSE(is_closed(reading));
  world.heard.descriptors.clear();
  CHECK(is_closed(reading));
}

TEST_CASE("packet_socket: more descriptors than are expected end it, and all of them are closed") {
  for (const std::size_t allowed : {1U, 2U, 3U}) {
    for (const std::size_t more : {1U, 2U, 100U}) {
      World world(allowed);
      const UniqueFd reading = world.say_with("x", allowed + more);
      CHECK(turn_until(world.loop, [&] { return world.heard.end.has_value(); }));
      CHECK(world.heard.packets.empty());
      CHECK(is_closed(reading));
    }
  }
}

TEST_CASE(
    "packet_socket: descriptors go along with what waits for room, too, and are closed here once they have gone") {
  World world;
  Heard heard;
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  std::size_t sent = 0;
  for (; world.socket->waiting() < 3; ++sent) {
    net::Descriptors one;
    one.emplace_back(::fcntl(writing.get(), F_DUPFD_CLOEXEC, 0));
    REQUIRE(one[0].get() >= 0);
    world.socket->send(std::to_string(sent), std::move(one));
  }
  const net::PacketSocket other(world.loop.raw(), std::move(world.other), net::PacketSocket::Bounds{100, 1}, heard);
  std::size_t with = 0;
  heard.at_each = [&] { with += heard.descriptors.size(); };
  CHECK(turn_until(world.loop, [&] { return heard.packets.size() == sent; }));
  CHECK(with == sent);
  CHECK(heard.packets.back() == std::to_string(sent - 1));
  CHECK(world.socket->waiting() == 0);
  heard.descriptors.clear();
  writing = UniqueFd();
  CHECK(is_closed(reading));
}

TEST_CASE("packet_socket: the end of the other side is told once, after what it has said") {
  World world;
  world.say("last words");
  world.other = UniqueFd();
  CHECK(turn_until(world.loop, [&] { return world.heard.end.has_value(); }));
  CHECK(world.heard.packets.size() == 1);
  CHECK(world.heard.end->empty());
  world.socket->send("to nobody");
}

TEST_CASE("packet_socket: the last words of who has not read all of ours are heard") {
  World world;
  for (const char* words : {"one", "two", "three"}) world.socket->send(words);
  world.say("last words");
  world.say("indeed");
  world.other = UniqueFd();
  CHECK(turn_until(world.loop, [&] { return world.heard.end.has_value(); }));
  CHECK(world.heard.packets == std::vector<std::string>{"last words", "indeed"});
  CHECK(world.heard.end->empty());
}

TEST_CASE("packet_socket: what the kernel has no room for waits, and goes out in order") {
  World world;
  constexpr int count = 10'000;
  for (int i = 0; i < count; ++i) world.socket->send(std::to_string(i));
  CHECK(world.socket->waiting() > 0);
  int next = 0;
  CHECK(turn_until(world.loop, [&] {
    char bytes[100];
    ssize_t size = 0;
    while ((size = ::recv(world.other.get(), bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
      if (std::string(bytes, static_cast<std::size_t>(size)) == std::to_string(next)) ++next;
    }
    return next == count;
  }));
  CHECK(turn_until(world.loop, [&] { return world.heard.drained; }));
  CHECK(world.socket->waiting() == 0);
}

TEST_CASE("packet_socket: who does not read is not told, and an owner may end it while being told") {
  World world;
  world.socket->set_reading(false);
  world.say("one");
  world.say("two");
  for (int turn = 0; turn < 3; ++turn) uv_run(world.loop.raw(), UV_RUN_NOWAIT);
  CHECK(world.heard.packets.empty());
  world.heard.at_each = [&] { world.socket.reset(); };
  world.socket->set_reading(true);
  CHECK(turn_until(world.loop, [&] { return world.socket == nullptr; }));
  CHECK(world.heard.packets == std::vector<std::string>{"one"});
}

}  // namespace packet_socket_test
