// A configuration that is changed, and a gateway that says what the test has it say.
#include "proxy/keeper/reloader.h"

#include <algorithm>

#include "proxy/keeper/bundle.h"
#include "proxy/runtime/preflight.h"
#include "tests/support/catch.h"
#include "tests/support/certificates.h"

namespace reloader_test {

using namespace postern;
using namespace postern::keeper;
using Said = std::vector<std::string>;

struct Rig {
  test_support::TempDirectory directory;
  net::Loop loop;
  Prepared present;
  Listening listening{1};
  std::optional<Renewal> renewal;
  std::optional<Reloader> reloader;
  Said said;         // to the gateway, to those who sign, to whoever has asked
  std::string text;  // all that was said last to whoever has asked
  int swapped = 0;
  bool gone = false;  // the gateway

  Rig() {
    write("one.example.org");
    config::Files files;
    runtime::Made made = runtime::prepare(config::load_file(path(), config::process_environment()), files);
    REQUIRE(made.runtime != nullptr);
    present.runtime = made.runtime;
    present.bundle.name = made.loaded.file;
    present.bundle.text = made.loaded.text;
    present.digests = digests_of(files);
    present.bundle.files = std::move(files);
    REQUIRE(listening.bind(present.runtime->settings));
    const auto send = [this](const Order& order, const net::Descriptors& descriptors) { note(order, descriptors); };
    renewal.emplace(loop, Renewal::Means{present, 1, send, [] {}}, std::chrono::hours(1));
    const auto announce = [this](const Prepared&, std::uint32_t version) -> std::optional<Error> {
      said.push_back("announced " + std::to_string(version));
      return std::nullopt;
    };
    const auto withdraw = [this](std::uint32_t version) { said.push_back("withdrawn " + std::to_string(version)); };
    reloader.emplace(Reloader::Means{path(), present, listening, *renewal, 1, send, [this] { return gone; }, announce,
                                     withdraw, [this] { ++swapped; }, [] {}});
    renewal->begin();
  }
  std::string path() const { return directory.path("postern.yaml"); }
  void write(const std::string& hostname, const std::string& mode = "none") {
    directory.write("postern.yaml", "hostname: " + hostname + "\nworkers: 1\ninbound:\n  mx: { mode: " + mode +
                                        ", listen: [\"127.0.0.1:0\"], backend: { address: \"127.0.0.1:26\" }, "
                                        "allow_open_relay_risk: true }\n");
  }
  void note(const Order& order, const net::Descriptors& descriptors) {
    if (const auto* snapshot = std::get_if<Snapshot>(&order)) {
      const auto bundle = unseal(descriptors.front());
      REQUIRE(bundle);
      const std::size_t from = bundle->text.find(' ') + 1;
      said.push_back("snapshot " + std::to_string(snapshot->version) + " " +
                     bundle->text.substr(from, bundle->text.find('\n') - from));
    }
    if (const auto* commit = std::get_if<Commit>(&order)) said.push_back("commit " + std::to_string(commit->version));
    if (std::holds_alternative<Sockets>(order)) said.emplace_back("sockets");
  }
  void ask() {
    reloader->ask([this](const Reloader::Outcome& outcome) {
      text = outcome.text;
      const std::size_t line = text.rfind('\n', text.size() - 2);  // the last; before it there may be warnings
      said.push_back(line == std::string::npos ? text : text.substr(line + 1));
    });
  }
  Said heard() { return std::exchange(said, {}); }
  std::string hostname() const { return present.runtime->settings.hostname; }
};

TEST_CASE("reloader: what was read is the present one once the gateway serves it, and not before") {
  Rig rig;
  rig.write("two.example.org");
  rig.ask();
  CHECK(rig.heard() == Said{"snapshot 2 two.example.org", "announced 2", "commit 2"});
  CHECK(rig.hostname() == "one.example.org");
  CHECK_FALSE(rig.reloader->hear(Serving{1}));
  CHECK(rig.reloader->hear(Serving{2}));
  CHECK(rig.heard() == Said{"taken over: hostname\n"});
  CHECK(rig.hostname() == "two.example.org");
  CHECK(rig.renewal->version() == 2);
  CHECK(rig.swapped == 1);
  CHECK_FALSE(rig.reloader->failed());
  rig.ask();
  CHECK(rig.reloader->hear(Serving{3}));
  CHECK(rig.heard().back() == "taken over; nothing is another than before\n");
}

TEST_CASE("reloader: who asks while one is under way is served by one more, which is read afterwards") {
  Rig rig;
  rig.write("two.example.org");
  rig.ask();
  rig.ask();
  rig.write("three.example.org");
  rig.ask();
  CHECK(rig.heard().size() == 3);
  CHECK(rig.reloader->hear(Serving{2}));
  const std::string done = "taken over: hostname\n";
  CHECK(rig.heard() == Said{done, "snapshot 3 three.example.org", "announced 3", "commit 3"});
  CHECK(rig.reloader->hear(Serving{3}));
  CHECK(rig.heard() == Said{done, done});
  CHECK(rig.hostname() == "three.example.org");
}

TEST_CASE("reloader: what the gateway refuses, or does not live to serve, changes nothing") {
  Rig rig;
  rig.write("two.example.org");
  rig.ask();
  rig.heard();
  SECTION("refused") {
    CHECK(rig.reloader->hear(Refused{2, "no way"}));
    CHECK(rig.heard() == Said{"withdrawn 2", "not taken over: no way\n"});
  }
  SECTION("lost, and with another one it is tried when somebody asks") {
    rig.ask();
    rig.renewal->on_gateway_end();
    rig.reloader->on_gateway_end();
    CHECK(rig.heard() == Said{"withdrawn 2", "not taken over: the gateway was lost before it served that\n"});
    CHECK_FALSE(rig.renewal->hear(Serving{1}));
    rig.reloader->go_on();
    CHECK(rig.heard() == Said{"snapshot 3 two.example.org", "announced 3", "commit 3"});
    CHECK_FALSE(rig.reloader->hear(Serving{2}));
    CHECK(rig.reloader->hear(Refused{3, ""}));
  }
  CHECK(rig.hostname() == "one.example.org");
  CHECK(rig.renewal->version() == 1);
  CHECK(rig.reloader->failed());
  CHECK(rig.swapped == 0);
}

TEST_CASE("reloader: the gateway does not hear of what is wrong, and who has asked hears of every mistake") {
  Rig rig;
  rig.write("two.example.org", "nonsense");
  rig.ask();
  CHECK(rig.heard() == Said{"not taken over: it has mistakes\n"});
  CHECK(rig.text.starts_with(rig.path() + ":4:"));
  CHECK(rig.reloader->failed());
  rig.write("two.example.org");
  rig.ask();
  CHECK(rig.reloader->hear(Serving{3}));
  CHECK_FALSE(rig.reloader->failed());
}

TEST_CASE("reloader: while there is no gateway, what was read is the present one, and the next gateway has it") {
  Rig rig;
  rig.renewal->on_gateway_end();
  rig.write("two.example.org");
  rig.ask();
  CHECK(rig.heard().empty());  // it has only begun
  rig.gone = true;
  rig.reloader->go_on();
  CHECK(rig.heard() == Said{"taken over: hostname\n"});
  CHECK(rig.hostname() == "two.example.org");
  CHECK(rig.renewal->version() == 2);
  CHECK_FALSE(rig.renewal->serving());
}

TEST_CASE("reloader: nobody waits for a gateway that says nothing, and what it says later counts") {
  Rig rig;
  rig.write("two.example.org");
  rig.ask();
  rig.heard();
  rig.reloader->on_silence();
  CHECK(rig.heard().size() == 1);
  CHECK(rig.hostname() == "one.example.org");
  CHECK(rig.reloader->hear(Serving{2}));
  CHECK(rig.hostname() == "two.example.org");
  CHECK(rig.heard().empty());
}

TEST_CASE("reloader: nothing is taken over while the process ends, and nobody waits for that") {
  Rig rig;
  rig.ask();
  rig.ask();
  rig.heard();
  rig.reloader->end();
  const std::string ending = "not taken over: it is ending\n";
  CHECK(rig.heard() == Said{ending, ending});
  rig.ask();
  CHECK(rig.heard() == Said{ending});
  CHECK(rig.reloader->hear(Serving{2}));
  rig.reloader->on_gateway_end();
  CHECK(rig.heard().empty());
}

}  // namespace reloader_test
