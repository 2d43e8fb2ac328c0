#include "proxy/runtime/runtime.h"

#include <algorithm>
#include <filesystem>

#include "tests/support/catch.h"
#include "tests/support/certificates.h"
#include "tls/remote_contexts.h"
#include "tls/trust_store.h"

namespace runtime_test {

using namespace postern;
using namespace std::chrono_literals;
using policy::MtaStsStore;
using test_support::TempDirectory;
using Stores = std::vector<std::shared_ptr<MtaStsStore>>;

// One listener for each, of which a name server is never asked.
config::Loaded loaded_for(const std::string& state_directory, const std::vector<std::string>& ca_files) {
  config::Loaded loaded;
  config::Settings& settings = loaded.settings;
  settings.hostname = "mx.example.org";
  settings.state_directory = state_directory;
  for (const std::string& ca_file : ca_files) {
    auto& listener = settings.outbound.emplace_back();
    listener.name = "out" + std::to_string(settings.outbound.size());
    listener.ca_file = ca_file;
  }
  return loaded;
}

// The files are the same whatever they are called: nothing of the disk is read.
config::Files files_with(const std::vector<std::string>& ca_files) {
  static const std::string authority = test_support::make_certificate({.is_ca = true}).certificate_pem();
  config::Files files;
  for (const std::string& ca_file : ca_files) files.put(ca_file, config::File{authority, false});
  return files;
}

std::shared_ptr<postern::runtime::Runtime> snapshot(const std::string& state_directory,
                                                    const std::vector<std::string>& ca_files,
                                                    MtaStsStore::Access access = MtaStsStore::Access::read_write,
                                                    const postern::runtime::Runtime* previous = nullptr) {
  const auto made =
      postern::runtime::make_runtime(loaded_for(state_directory, ca_files), files_with(ca_files), previous);
  for (const auto& diagnostic : made.loaded.diagnostics) UNSCOPED_INFO(config::to_string(diagnostic));
  REQUIRE(made.runtime);
  equip(*made.runtime, access);
  return made.runtime;
}

// Those of the listeners, in their order.
Stores stores_of(const postern::runtime::Runtime& runtime) {
  Stores stores;
  for (const auto& listener : runtime.settings.outbound) stores.push_back(runtime.mta_sts.at(listener.ca_file));
  return stores;
}

Stores open_stores(const std::string& state_directory, const std::vector<std::string>& ca_files,
                   MtaStsStore::Access access = MtaStsStore::Access::read_write) {
  return stores_of(*snapshot(state_directory, ca_files, access));
}

policy::Time now() {
  return std::chrono::floor<std::chrono::seconds>(policy::Clock::now());
}

policy::CachedPolicy policy_of(const std::string& mx) {
  return {"1", {policy::MtaStsMode::enforce, 240h, {mx}}, now()};
}

std::string mx_in(const MtaStsStore& store) {
  const auto found = store.find("example.org", now());
  return found ? found->policy.mx.at(0) : "no policy";
}

TEST_CASE("runtime: what one listener's CAs vouched for counts for those who trust the same CAs, and nobody else") {
  const Stores stores = open_stores("", {"system", "/a.pem", "system", "/b.pem", "/a.pem"});
  REQUIRE(stores.size() == 5);
  stores[1]->store("example.org", policy_of("mx.a.example"));
  stores[3]->fetch_failed("example.org", "1", {policy::ReportResult::sts_webpki_invalid, ""}, now());
  CHECK(mx_in(*stores[0]) == "no policy");
  CHECK(mx_in(*stores[1]) == "mx.a.example");
  CHECK(mx_in(*stores[2]) == "no policy");
  CHECK(mx_in(*stores[3]) == "no policy");
  CHECK(mx_in(*stores[4]) == "mx.a.example");
  CHECK(stores[0] == stores[2]);
  CHECK(stores[0]->should_fetch("example.org", "1", now()));
  CHECK_FALSE(stores[3]->should_fetch("example.org", "1", now()));
}

TEST_CASE("runtime: MTA-STS policies are kept apart on disk too, those of the system's CAs where they always were") {
  const TempDirectory directory;
  const std::string state = directory.path("state");
  std::filesystem::create_directory(state);
  const std::vector<std::string> ca_files = {"system", "/a.pem", "/b.pem"};
  for (const auto& store : open_stores(state, ca_files)) CHECK(mx_in(*store) == "no policy");
  CHECK(std::filesystem::is_empty(state));
  {
    const Stores stores = open_stores(state, ca_files);
    for (std::size_t i = 0; i < stores.size(); ++i)
      stores[i]->store("example.org", policy_of("mx" + std::to_string(i) + ".example"));
  }
  CHECK(std::filesystem::exists(state + "/example.org.mta-sts"));
  // Where the next version will look for it too: by the first 64 bits of the SHA-256 of the path.
  CHECK(std::filesystem::exists(state + "/ca-2d224310b6bd3113/example.org.mta-sts"));
  // Whatever the order of the listeners.
  const Stores stores = open_stores(state, {"/b.pem", "system", "/a.pem"});
  CHECK(mx_in(*stores[0]) == "mx2.example");
  CHECK(mx_in(*stores[1]) == "mx0.example");
  CHECK(mx_in(*stores[2]) == "mx1.example");
}

TEST_CASE("runtime: the snapshot that follows knows what was learned, by the CAs that vouched for it") {
  const auto first = snapshot("", {"/a.pem", "system"});
  const Stores before = stores_of(*first);
  before[0]->store("example.org", policy_of("mx.a.example"));
  const Stores after =
      stores_of(*snapshot("", {"system", "/b.pem", "/a.pem"}, MtaStsStore::Access::read_write, first.get()));
  CHECK(after[0] == before[1]);
  CHECK(mx_in(*after[1]) == "no policy");
  CHECK(mx_in(*after[2]) == "mx.a.example");
}

TEST_CASE("runtime: how fit the name servers are is no matter of one snapshot") {
  const auto made = [](const postern::runtime::Runtime* previous) {
    return snapshot("", {}, MtaStsStore::Access::read_only, previous);
  };
  const auto before = made(nullptr);
  CHECK(made(before.get())->fitness == before->fitness);
  CHECK(made(nullptr)->fitness != before->fitness);
}

TEST_CASE("runtime: who only reads the state directory makes nothing in it") {
  const TempDirectory directory;
  const std::string state = directory.path("state");
  std::filesystem::create_directory(state);
  for (const auto& store : open_stores(state, {"system", "/a.pem"}, MtaStsStore::Access::read_only))
    store->store("example.org", policy_of("mx.example"));
  CHECK(std::filesystem::is_empty(state));
}

// A configuration with one of everything that names a file, none of which is on any disk.
constexpr std::string_view everything = R"(hostname: mx.example.org
certificates: { mx: [{ chain: /no/chain, key: /no/key }] }
tls: { session_tickets: { key_file: /no/tickets } }
dns: { servers: ["127.0.0.1:1"], trust_anchor: /no/anchor }
inbound:
  mx:
    listen: ["127.0.0.1:25"]
    certificates: [mx]
    client_certificates: { mode: request, ca_file: /no/clients }
    backend: { address: "127.0.0.1:26" }
    allow_open_relay_risk: true
outbound:
  relay:
    listen: ["127.0.0.1:28"]
    route: relay
    ca_file: /no/ca
    relay:
      address: "192.0.2.1:587"
      auth: { mechanism: plain, username: me, password_file: /no/password }
)";

struct Everything {
  Everything() {
    const auto made = test_support::make_certificate({.dns_names = {"mx.example.org"}});
    const std::string authority = test_support::make_certificate({.is_ca = true}).certificate_pem();
    files.put("/no/chain", config::File{made.certificate_pem(), false});
    files.put("/no/key", config::File{made.key_pem(), false});
    files.put("/no/tickets", config::File{std::string(80, 't'), false});
    files.put(
        "/no/anchor",
        config::File{". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D", false});
    files.put("/no/clients", config::File{authority, false});
    files.put("/no/ca", config::File{authority, false});
    files.put("/no/password", config::File{"open sesame\n", false});
  }
  postern::runtime::Made make(const postern::runtime::Runtime* previous = nullptr) const {
    return postern::runtime::make_runtime(config::load_text(everything, "everything.yaml", {}), files, previous);
  }
  config::Files files;
};

TEST_CASE("runtime: a snapshot comes of a text and of contents, whatever is on the disk") {
  const Everything world;
  const auto made = world.make();
  for (const auto& diagnostic : made.loaded.diagnostics) UNSCOPED_INFO(config::to_string(diagnostic));
  REQUIRE(made.runtime);
  CHECK(made.loaded.ok());
  CHECK(made.runtime->hostname == "mx.example.org");
  CHECK(made.runtime->trust_anchor.size() == 1);
  CHECK(made.runtime->contexts->certificates().at(0).dns_names.at(0) == "mx.example.org");
  CHECK(made.runtime->inbound.at("mx").tls != nullptr);
  CHECK(made.runtime->inbound.at("mx").backend_tls == nullptr);
  CHECK(made.runtime->outbound.at("relay").remotes.trust().names().size() == 1);
  CHECK(*made.runtime->outbound.at("relay").credentials->now() == "open sesame");
}

TEST_CASE("runtime: whatever is wrong with the files is told at once, each where it is named") {
  const auto made =
      postern::runtime::make_runtime(config::load_text(everything, "everything.yaml", {}), config::Files());
  CHECK(made.runtime == nullptr);
  std::vector<std::size_t> lines;
  for (const auto& diagnostic : made.loaded.diagnostics) {
    UNSCOPED_INFO(config::to_string(diagnostic));
    if (diagnostic.severity == config::Diagnostic::Severity::error) lines.push_back(diagnostic.place.line);
  }
  std::ranges::sort(lines);
  // Chain and key, ticket keys, the trust anchor, the clients' CAs, the servers' CAs, the password.
  CHECK(lines == std::vector<std::size_t>{2, 2, 3, 4, 9, 16, 19});
}

TEST_CASE("runtime: a trust anchor that cannot be read is a mistake where mail goes out, or where somebody wrote it") {
  const auto good = [](const std::string& rest) {
    config::Files files = files_with({"/no/ca"});
    files.put("/usr/share/dns/root.key", fail(Errc::io, "cannot read it"));
    files.put("/no/anchor", fail(Errc::io, "cannot read it"));
    const std::string inbound =
        "hostname: mx.example.org\ninbound: { mx: { mode: none, listen: [\"127.0.0.1:25\"], backend: "
        "{ address: \"server.example:26\" }, allow_open_relay_risk: true } }\n";
    return postern::runtime::make_runtime(config::load_text(inbound + rest, "anchor.yaml", {}), files).loaded.ok();
  };
  CHECK(good(""));  // its server's name is looked up, and proves nothing
  CHECK_FALSE(good("dns: { trust_anchor: /no/anchor }\n"));
  CHECK_FALSE(good("outbound: { out: { listen: [\"127.0.0.1:28\"], route: mx, ca_file: /no/ca } }\n"));
}

TEST_CASE("runtime: a secret is one object in all snapshots, and only a good one changes it") {
  Everything world;
  const auto before = world.make();
  REQUIRE(before.runtime);
  const auto secret = before.runtime->outbound.at("relay").credentials;
  world.files.put("/no/password", config::File{"another\n", false});
  world.files.put("/no/key", config::File{"no key", false});
  CHECK(world.make(before.runtime.get()).runtime == nullptr);
  CHECK(*secret->now() == "open sesame");
  world.files = Everything().files;
  world.files.put("/no/password", config::File{"another\n", false});
  const auto after = world.make(before.runtime.get());
  REQUIRE(after.runtime);
  CHECK(after.runtime->outbound.at("relay").credentials == secret);
  CHECK(*secret->now() == "another");
}

TEST_CASE("runtime: secrets and ticket keys are the files that may change while it lives") {
  const Everything world;
  const auto made = world.make();
  REQUIRE(made.runtime);
  const auto live = live_files(*made.runtime);
  REQUIRE(live.size() == 2);
  CHECK(live[0].path == "/no/password");
  CHECK(live[0].renew(config::File{"open sesame\n", false}) == false);
  CHECK(live[0].renew(config::File{"another\n", false}) == true);
  CHECK(*made.runtime->outbound.at("relay").credentials->now() == "another");
  CHECK_FALSE(live[0].renew(config::File{"\n", false}).has_value());
  CHECK_FALSE(made.runtime->outbound.at("relay").credentials->now().has_value());
  CHECK(live[1].path == "/no/tickets");
  CHECK(live[1].renew(config::File{std::string(80, 't'), false}) == false);
  CHECK(live[1].renew(config::File{std::string(80, 'u'), false}) == true);
  CHECK_FALSE(live[1].renew(config::File{"short", false}).has_value());
}

}  // namespace runtime_test
