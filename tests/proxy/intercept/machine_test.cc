#include "proxy/intercept/machine.h"

#include <sys/socket.h>

#include <chrono>
#include <filesystem>
#include <string>

#include "proxy/intercept/tools.h"
#include "proxy/net/listener.h"
#include "tests/support/catch.h"
#include "tests/support/temp_directory.h"

namespace machine_test {

using namespace postern;
using namespace postern::intercept;

std::vector<std::string> texts(const std::vector<config::Endpoint>& endpoints) {
  std::vector<std::string> found;
  for (const config::Endpoint& endpoint : endpoints) found.push_back(config::to_string(endpoint));
  return found;
}

TEST_CASE("machine: those who listen are told from those who are connected") {
  const std::string header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n";
  CHECK(
      texts(listening_in(header + "   0: 0100007F:2729 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0\n"
                                  "   1: 0A6433C6:0019 0100007F:8000 01 00000000:00000000 00:00000000 00000000     0\n"
                                  "   2: 00000000:0019 00000000:0000 0A\n")) ==
      std::vector<std::string>{"127.0.0.1:10025", "0.0.0.0:25"});
  CHECK(texts(listening_in(header +
                           "   0: 00000000000000000000000001000000:2729 00000000000000000000000000000000:0000 0A 0\n"
                           "   1: B80D0120000000000000000007000000:0019 00000000000000000000000000000000:0000 0A")) ==
        std::vector<std::string>{"[::1]:10025", "[2001:db8::7]:25"});
  CHECK(listening_in("").empty());
  CHECK(listening_in("nonsense\n 0: 01:02 03:04 0A\n 0: 0100007F 0:0 0A\n 0: 0100007G:0019 0:0 0A\n\n").empty());
}

TEST_CASE("machine: what is bound shows once it listens") {
  const auto bound = net::bind_address(*config::parse_endpoint("127.0.0.1:0"), 1);
  REQUIRE(bound);
  Plan plan;
  plan.catches.emplace_back();
  plan.catches[0].v4 = *config::parse_endpoint("127.0.0.1:" + std::to_string(bound->address.port));
  CHECK(deaf(plan, listening_now()).size() == 1);
  REQUIRE(::listen(bound->sockets[0].get(), 1) == 0);
  CHECK(deaf(plan, listening_now()).empty());
}

TEST_CASE("machine: one that listens on all addresses listens on each of its family") {
  Plan plan;
  plan.catches.emplace_back();
  plan.catches[0].v4 = *config::parse_endpoint("10.0.0.1:25");
  plan.catches[0].v6 = *config::parse_endpoint("[::1]:25");
  CHECK(texts(deaf(plan, {*config::parse_endpoint("0.0.0.0:25")})) == std::vector<std::string>{"[::1]:25"});
  CHECK(deaf(plan, {*config::parse_endpoint("10.0.0.1:25"), *config::parse_endpoint("[::]:25")}).empty());
  CHECK(deaf(plan, {*config::parse_endpoint("10.0.0.2:25"), *config::parse_endpoint("[::]:26")}).size() == 2);
}

TEST_CASE("tools: a program is looked for in the folders that count, and has to be one") {
  const test_support::TempDirectory folder;
  const std::string file = folder.write("nft", "#!/bin/sh\n");
  const std::string place = file.substr(0, file.rfind('/'));
  const auto missing = find_tool("nft", {place});
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == Errc::not_found);
  std::filesystem::permissions(file, std::filesystem::perms::owner_all);
  CHECK(find_tool("nft", {"/nowhere", place}).value_or("") == file);
}

TEST_CASE("tools: what a program reads, writes and ends with; no shell sees its words") {
  const auto cat = run_tool({"/bin/cat"}, std::string(200'000, 'x'));
  REQUIRE(cat);
  CHECK(cat->good());
  CHECK(cat->output == std::string(200'000, 'x'));
  const auto echo = run_tool({"/bin/echo", "$(id); \"a\""});
  REQUIRE(echo);
  CHECK(echo->output == "$(id); \"a\"\n");
  CHECK(run_tool({"/bin/sh", "-c", "echo a; echo b >&2; exit 3"})->output == "a\nb\n");
  CHECK(run_tool({"/bin/sh", "-c", "exit 3"})->status == 3);
  CHECK(run_tool({"/bin/sh", "-c", "kill -9 $$"})->status == 128 + 9);
  CHECK(run_tool({"/usr/bin/env"})->output == "PATH=/usr/sbin:/usr/bin:/sbin:/bin\nLC_ALL=C\n");
  CHECK_FALSE(run_tool({"/no/such/program"}));
}

TEST_CASE("tools: one that does not end is ended") {
  const auto ran =
      run_tool({"/bin/sh", "-c", "trap '' TERM INT HUP; echo $$; exec sleep 600"}, {}, std::chrono::milliseconds(50));
  REQUIRE_FALSE(ran);
  CHECK(ran.error().message.find("/bin/sh has not ended within 50ms") != std::string::npos);
}

}  // namespace machine_test
