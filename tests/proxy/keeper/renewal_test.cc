// Files that change below a configuration, and a gateway that says what the test has it say.
#include "proxy/keeper/renewal.h"

#include <fcntl.h>

#include <filesystem>

#include "proxy/keeper/bundle.h"
#include "proxy/keeper/signers.h"
#include "proxy/runtime/preflight.h"
#include "tests/support/catch.h"
#include "tests/support/certificates.h"
#include "tests/support/turn_until.h"

namespace renewal_test {

using namespace postern;
using namespace postern::keeper;

const test_support::TestCertificate& certificate() {
  static const auto made = test_support::make_certificate({.dns_names = {"mx.example.org"}});
  return made;
}
std::string tickets(char octet) {
  return std::string(80, octet);
}

struct Rig {
  test_support::TempDirectory directory;
  net::Loop loop;
  Prepared present;
  std::vector<std::string> orders;  // "snapshot 2", "commit 2", "renewed"
  std::vector<Bundle> bundles;      // that came with them
  int swapped = 0;
  std::optional<Renewal> renewal;

  explicit Rig(std::chrono::milliseconds between = std::chrono::milliseconds(0), const char* private_keys = "inside") {
    directory.write("ca", certificate().certificate_pem());
    directory.write("tickets", tickets('1'));
    const std::string text =
        std::string("private_keys: ") + private_keys +
        "\ncertificates: { mx: [{ chain: " + directory.write("chain", certificate().certificate_pem()) +
        ", key: " + directory.write("key", certificate().key_pem()) +
        " }] }\ntls: { session_tickets: { key_file: " + directory.path("tickets") +
        " } }\ninbound:\n  mx: { certificates: [mx], listen: [\"127.0.0.1:25\"], backend: { address: "
        "\"127.0.0.1:26\" }, client_certificates: { mode: request, ca_file: " +
        directory.path("ca") + " }, allow_open_relay_risk: true }\n";
    config::Files files;
    runtime::Made made = runtime::prepare(config::load_text(text, "renewal.yaml", {}), files);
    REQUIRE(made.runtime != nullptr);
    present.runtime = made.runtime;
    present.bundle.name = "renewal.yaml";
    present.bundle.text = text;
    present.digests = digests_of(files);
    if (made.runtime->settings.private_keys == config::PrivateKeys::separate) {
      present.keys = take_keys(made.loaded, files);
    }
    present.bundle.files = std::move(files);
    renewal.emplace(loop,
                    Renewal::Means{present, 1,
                                   [this](const Order& order, net::Descriptors descriptors) {
                                     take(order, std::move(descriptors));
                                   },
                                   [this] { ++swapped; }},
                    std::chrono::hours(1), between);
    renewal->begin();
  }
  void take(const Order& order, net::Descriptors descriptors) {
    if (const auto* snapshot = std::get_if<Snapshot>(&order))
      orders.push_back("snapshot " + std::to_string(snapshot->version));
    if (const auto* commit = std::get_if<Commit>(&order)) orders.push_back("commit " + std::to_string(commit->version));
    if (std::holds_alternative<Renewed>(order)) orders.emplace_back("renewed");
    for (const UniqueFd& fd : descriptors) {
      auto bundle = unseal(fd);
      REQUIRE(bundle);
      bundles.push_back(std::move(*bundle));
    }
  }
  std::vector<std::string> said() { return std::exchange(orders, {}); }
  // Looks, and turns until something was said.
  std::vector<std::string> looked() {
    renewal->look();
    test_support::turn_until(loop, [this] { return !orders.empty(); });
    return said();
  }
  std::string file(const std::string& name) const {
    const auto& found = present.bundle.files.at(directory.path(name));
    return found ? found->content : found.error().message;
  }
};

using Said = std::vector<std::string>;

TEST_CASE("renewal: ticket keys that have changed are handed to the snapshot that serves, alone") {
  Rig rig;
  rig.directory.write("tickets", tickets('2'));
  CHECK(rig.looked() == Said{"renewed"});
  REQUIRE(rig.bundles.size() == 1);
  CHECK(rig.bundles[0].text.empty());
  CHECK(rig.bundles[0].files.by_path().size() == 1);
  CHECK(rig.bundles[0].files.at(rig.directory.path("tickets"))->content == tickets('2'));
  CHECK(rig.file("tickets") == tickets('2'));
  CHECK(rig.swapped == 0);
}

TEST_CASE("renewal: what cannot be used is told, and another gateway does not begin with it but hears of it") {
  Rig rig;
  rig.directory.write("tickets", "short");
  CHECK(rig.looked() == Said{"renewed"});
  CHECK(rig.bundles[0].files.at(rig.directory.path("tickets"))->content == "short");
  CHECK(rig.file("tickets") == tickets('1'));
  rig.renewal->on_gateway_end();
  CHECK_FALSE(rig.renewal->hear(Serving{1}));
  CHECK(rig.looked() == Said{"renewed"});
  CHECK(rig.bundles[1].files.at(rig.directory.path("tickets"))->content == "short");
  std::filesystem::remove(rig.directory.path("tickets"));
  CHECK(rig.looked() == Said{"renewed"});
  CHECK(rig.file("tickets") == tickets('1'));
  rig.directory.write("tickets", tickets('3'));
  CHECK(rig.looked() == Said{"renewed"});
  CHECK(rig.file("tickets") == tickets('3'));
}

TEST_CASE(
    "renewal: for authorities that have changed another snapshot is made, and is the present one once it serves") {
  Rig rig;
  const auto before = rig.present.runtime;
  const std::string more = certificate().certificate_pem() + certificate().certificate_pem();
  rig.directory.write("ca", more);
  rig.directory.write("tickets", tickets('2'));
  CHECK(rig.looked() == Said{"renewed"});
  test_support::turn_until(rig.loop, [&] { return rig.orders.size() == 2; });
  CHECK(rig.said() == Said{"snapshot 2", "commit 2"});
  CHECK(rig.bundles.back().text == rig.present.bundle.text);
  CHECK(rig.bundles.back().files.at(rig.directory.path("ca"))->content == more);
  CHECK(rig.bundles.back().files.at(rig.directory.path("tickets"))->content == tickets('2'));
  CHECK(rig.bundles.back().files.at(rig.directory.path("key"))->content == certificate().key_pem());
  CHECK(rig.present.runtime == before);
  CHECK(rig.renewal->version() == 1);
  CHECK(rig.renewal->hear(Serving{2}));
  CHECK(rig.swapped == 1);
  CHECK(rig.renewal->version() == 2);
  CHECK(rig.present.runtime != before);
  CHECK(rig.file("ca") == more);
  CHECK_FALSE(rig.renewal->hear(Serving{2}));
}

TEST_CASE("renewal: authorities that cannot be used, or are gone, change nothing, and what is put right later counts") {
  Rig rig;
  const auto before = rig.present.runtime;
  rig.directory.write("ca", "nonsense");
  rig.renewal->look();
  for (int turn = 0; turn < 3; ++turn) uv_run(rig.loop.raw(), UV_RUN_NOWAIT);
  std::filesystem::remove(rig.directory.path("ca"));
  rig.renewal->look();
  for (int turn = 0; turn < 3; ++turn) uv_run(rig.loop.raw(), UV_RUN_NOWAIT);
  CHECK(rig.said().empty());
  CHECK(rig.present.runtime == before);
  CHECK(rig.file("ca") == certificate().certificate_pem());
  rig.directory.write("ca", certificate().certificate_pem() + "\n");
  CHECK(rig.looked() == Said{"snapshot 3", "commit 3"});
}

TEST_CASE("renewal: what the gateway refuses is taken back, and not tried again before something changes") {
  Rig rig;
  rig.directory.write("ca", certificate().certificate_pem() + "\n");
  CHECK(rig.looked() == Said{"snapshot 2", "commit 2"});
  CHECK(rig.renewal->hear(Refused{2, "no"}));
  CHECK(rig.file("ca") == certificate().certificate_pem());
  CHECK(rig.swapped == 0);
  rig.renewal->look();
  for (int turn = 0; turn < 3; ++turn) uv_run(rig.loop.raw(), UV_RUN_NOWAIT);
  CHECK(rig.said().empty());
  rig.directory.write("ca", certificate().certificate_pem() + "\n\n");
  CHECK(rig.looked() == Said{"snapshot 3", "commit 3"});
  CHECK_FALSE(rig.renewal->hear(Refused{2, "no"}));
  CHECK(rig.renewal->hear(Serving{3}));
}

TEST_CASE(
    "renewal: a gateway that dies over a snapshot is followed by one that has the one before, and tries once more") {
  Rig rig;
  const std::string more = certificate().certificate_pem() + "\n";
  rig.directory.write("ca", more);
  CHECK(rig.looked() == Said{"snapshot 2", "commit 2"});
  rig.renewal->on_gateway_end();
  CHECK(rig.renewal->version() == 1);
  CHECK(rig.file("ca") == certificate().certificate_pem());
  CHECK_FALSE(rig.renewal->hear(Serving{1}));
  CHECK(rig.looked() == Said{"snapshot 3", "commit 3"});
  rig.renewal->on_gateway_end();
  CHECK_FALSE(rig.renewal->hear(Serving{1}));
  rig.renewal->look();
  for (int turn = 0; turn < 3; ++turn) uv_run(rig.loop.raw(), UV_RUN_NOWAIT);
  CHECK(rig.said().empty());
  rig.directory.write("ca", more + "\n");
  CHECK(rig.looked() == Said{"snapshot 4", "commit 4"});
}

TEST_CASE("renewal: a file that changes all the time costs a snapshot now and then") {
  Rig rig(std::chrono::milliseconds(200));
  auto change = [&, times = 0]() mutable {
    rig.directory.write("ca", certificate().certificate_pem() + std::string(static_cast<std::size_t>(++times), '\n'));
    rig.renewal->look();
    uv_run(rig.loop.raw(), UV_RUN_NOWAIT);
  };
  change();
  CHECK(test_support::turn_until(rig.loop, [&] { return !rig.orders.empty(); }));
  const std::uint64_t began = rig.loop.now();
  for (int times = 0; times < 20; ++times) change();
  CHECK(rig.said() == Said{"snapshot 2", "commit 2"});
  CHECK(rig.renewal->hear(Serving{2}));
  CHECK(test_support::turn_until(rig.loop, [&] { return !rig.orders.empty(); }));
  CHECK(rig.loop.now() - began >= 150);
  CHECK(rig.said() == Said{"snapshot 3", "commit 3"});
}

TEST_CASE("renewal: what changes while there is no gateway, or while one is asked, is not lost") {
  Rig rig;
  rig.renewal->on_gateway_end();
  rig.directory.write("ca", certificate().certificate_pem() + "\n");
  rig.directory.write("tickets", tickets('2'));
  rig.renewal->look();
  for (int turn = 0; turn < 3; ++turn) uv_run(rig.loop.raw(), UV_RUN_NOWAIT);
  CHECK(rig.said() == Said{"renewed"});  // for one that has what there was before, and does not serve yet
  CHECK(rig.file("tickets") == tickets('2'));
  CHECK_FALSE(rig.renewal->hear(Serving{1}));
  CHECK(rig.looked() == Said{"snapshot 2", "commit 2"});
  rig.directory.write("ca", certificate().certificate_pem() + "\n\n");
  rig.renewal->look();
  for (int turn = 0; turn < 3; ++turn) uv_run(rig.loop.raw(), UV_RUN_NOWAIT);
  CHECK(rig.said().empty());
  CHECK(rig.renewal->hear(Serving{2}));
  CHECK(rig.looked() == Said{"snapshot 3", "commit 3"});
}

TEST_CASE("renewal: while the configuration is read anew nothing is tried, and afterwards the new one's files count") {
  Rig rig;
  CHECK(rig.renewal->begin_reload() == 2);
  const std::string more = certificate().certificate_pem() + "\n";
  rig.directory.write("ca", more);
  rig.renewal->look();
  for (int turn = 0; turn < 3; ++turn) uv_run(rig.loop.raw(), UV_RUN_NOWAIT);
  CHECK(rig.said().empty());
  SECTION("it is served") {
    rig.renewal->end_reload(true);
    CHECK(rig.renewal->version() == 2);
    CHECK(rig.looked() == Said{"snapshot 3", "commit 3"});
  }
  SECTION("it is refused") {
    rig.renewal->end_reload(false);
    CHECK(rig.renewal->version() == 1);
    CHECK(rig.looked() == Said{"snapshot 3", "commit 3"});
  }
  CHECK(rig.renewal->busy());
  CHECK(rig.renewal->hear(Serving{3}));
  CHECK_FALSE(rig.renewal->busy());
  CHECK(rig.file("ca") == more);
}

TEST_CASE("renewal: a certificate whose key stays here is taken over with it, and the key is not in the bundle") {
  Rig rig(std::chrono::milliseconds(0), "separate");
  CHECK(rig.present.keys.size() == 1);
  const std::string before = rig.present.keys.begin()->first;
  rig.renewal->look();
  for (int turn = 0; turn < 3; ++turn) uv_run(rig.loop.raw(), UV_RUN_NOWAIT);
  CHECK(rig.said().empty());  // what was kept of the key is not what the file holds
  const auto next = test_support::make_certificate({.dns_names = {"mx.example.org"}});
  rig.directory.write("key", next.key_pem());
  rig.renewal->look();
  for (int turn = 0; turn < 3; ++turn) uv_run(rig.loop.raw(), UV_RUN_NOWAIT);
  CHECK(rig.said().empty());
  CHECK(rig.renewal->troubled());
  CHECK(rig.renewal->certificates().at("mx").differs_from_disk);
  rig.directory.write("chain", next.certificate_pem());
  CHECK(rig.looked() == Said{"snapshot 2", "commit 2"});
  CHECK(rig.bundles.back().files.at(rig.directory.path("chain"))->content == next.certificate_pem());
  CHECK(rig.bundles.back().files.at(rig.directory.path("key"))->content.find("PRIVATE") == std::string::npos);
  CHECK(rig.present.keys.begin()->first == before);
  SECTION("it is served") {
    CHECK(rig.renewal->hear(Serving{2}));
    REQUIRE(rig.present.keys.size() == 1);
    const std::string after = rig.present.keys.begin()->first;
    CHECK(after != before);
    CHECK_FALSE(rig.renewal->troubled());
    CHECK_FALSE(rig.renewal->certificates().at("mx").differs_from_disk);
    CHECK(rig.renewal->certificates().at("mx").failures[static_cast<std::size_t>(RenewalFailure::mismatch)] == 1);
    rig.directory.write("ca", certificate().certificate_pem() + "\n");
    CHECK(rig.looked() == Said{"snapshot 3", "commit 3"});
    CHECK(rig.renewal->hear(Serving{3}));
    REQUIRE(rig.present.keys.size() == 1);
    CHECK(rig.present.keys.begin()->first == after);
  }
  SECTION("it is refused, and tried again by itself") {
    CHECK(rig.renewal->hear(Refused{2, "no"}));
    CHECK(rig.present.keys.begin()->first == before);
    CHECK(rig.file("chain") == certificate().certificate_pem());
    CHECK(test_support::turn_until(rig.loop, [&] { return !rig.orders.empty(); }));
    CHECK(rig.said() == Said{"snapshot 3", "commit 3"});
    CHECK(rig.renewal->hear(Serving{3}));
    CHECK(rig.present.keys.begin()->first != before);
  }
}

TEST_CASE("renewal: a file of authorities that holds a key is handed on without it") {
  Rig rig(std::chrono::milliseconds(0), "separate");
  rig.directory.write("ca", certificate().certificate_pem() + certificate().key_pem());
  CHECK(rig.looked() == Said{"snapshot 2", "commit 2"});
  CHECK(rig.bundles.back().files.at(rig.directory.path("ca"))->content.find("PRIVATE") == std::string::npos);
}

}  // namespace renewal_test
