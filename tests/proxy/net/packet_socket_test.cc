#include "proxy/net/packet_socket.h"

#include <sys/socket.h>

#include <cstring>
#include <functional>
#include <optional>
#include <vector>

#include "proxy/net/loop.h"
#include "tests/support/catch.h"
#include "tests/support/turn_until.h"

namespace packet_socket_test {

using namespace postern;
using test_support::turn_until;

struct Heard final : net::PacketSocket::Owner {
  std::vector<std::string> packets;
  std::optional<std::string> end;
  bool drained = false;
  std::function<void()> at_each;
  void on_packet(std::string_view packet) override {
    packets.emplace_back(packet);
    if (at_each) at_each();
  }
  void on_end(const std::string& why) override { end = why; }
  void on_drained() override { drained = true; }
};

struct World {
  net::Loop loop;
  UniqueFd other;
  Heard heard;
  std::unique_ptr<net::PacketSocket> socket;

  World() {
    auto pair = net::packet_pair();
    REQUIRE(pair);
    other = std::move(pair->first);
    socket = std::make_unique<net::PacketSocket>(loop.raw(), std::move(pair->second), 100, heard);
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

TEST_CASE("packet_socket: one that brings a descriptor ends it") {
  World world;
  char octet = 'x';
  iovec part{&octet, 1};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = space;
  message.msg_controllen = sizeof space;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int descriptor = 0;
  std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  REQUIRE(::sendmsg(world.other.get(), &message, 0) == 1);
  CHECK(turn_until(world.loop, [&] { return world.heard.end.has_value(); }));
  CHECK(world.heard.packets.empty());
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
