#include "proxy/runtime/runtime.h"

#include <filesystem>

#include "proxy/runtime/preflight.h"
#include "tests/support/catch.h"
#include "tests/support/certificates.h"

namespace runtime_test {

using namespace postern;
using namespace std::chrono_literals;
using policy::MtaStsStore;
using test_support::TempDirectory;
using Stores = std::vector<std::shared_ptr<MtaStsStore>>;

config::Settings settings_for(const std::string& state_directory, const std::vector<std::string>& ca_files) {
  config::Settings settings;
  settings.state_directory = state_directory;
  for (const std::string& ca_file : ca_files) settings.outbound.emplace_back().ca_file = ca_file;
  return settings;
}

Stores open_stores(const config::Settings& settings, MtaStsStore::Access access = MtaStsStore::Access::read_write) {
  return runtime::open_mta_sts_stores(settings, access);
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
  const Stores stores = open_stores(settings_for("", {"system", "/a.pem", "system", "/b.pem", "/a.pem"}));
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
  for (const auto& store : open_stores(settings_for(state, ca_files))) CHECK(mx_in(*store) == "no policy");
  CHECK(std::filesystem::is_empty(state));
  {
    const Stores stores = open_stores(settings_for(state, ca_files));
    for (std::size_t i = 0; i < stores.size(); ++i)
      stores[i]->store("example.org", policy_of("mx" + std::to_string(i) + ".example"));
  }
  CHECK(std::filesystem::exists(state + "/example.org.mta-sts"));
  // Where the next version will look for it too: by the first 64 bits of the SHA-256 of the path.
  CHECK(std::filesystem::exists(state + "/ca-2d224310b6bd3113/example.org.mta-sts"));
  // Whatever the order of the listeners.
  const Stores stores = open_stores(settings_for(state, {"/b.pem", "system", "/a.pem"}));
  CHECK(mx_in(*stores[0]) == "mx2.example");
  CHECK(mx_in(*stores[1]) == "mx0.example");
  CHECK(mx_in(*stores[2]) == "mx1.example");
}

TEST_CASE("runtime: the snapshot that follows knows what was learned, by the CAs that vouched for it") {
  postern::runtime::Runtime before;
  before.settings = settings_for("", {"/a.pem", "system"});
  before.mta_sts = open_stores(before.settings);
  before.mta_sts[0]->store("example.org", policy_of("mx.a.example"));
  const Stores after =
      open_mta_sts_stores(settings_for("", {"system", "/b.pem", "/a.pem"}), MtaStsStore::Access::read_write, &before);
  CHECK(after[0] == before.mta_sts[1]);
  CHECK(mx_in(*after[1]) == "no policy");
  CHECK(mx_in(*after[2]) == "mx.a.example");
}

TEST_CASE("runtime: how fit the name servers are is no matter of one snapshot") {
  const auto made = [](const postern::runtime::Runtime* previous) {
    config::Loaded loaded;
    loaded.settings.hostname = "mx.example.org";
    postern::runtime::Prepared prepared = runtime::prepare(std::move(loaded));
    REQUIRE(prepared.contexts);
    return make_runtime(std::move(prepared), MtaStsStore::Access::read_only, previous);
  };
  const auto before = made(nullptr);
  CHECK(made(before.get())->fitness == before->fitness);
  CHECK(made(nullptr)->fitness != before->fitness);
}

TEST_CASE("runtime: who only reads the state directory makes nothing in it") {
  const TempDirectory directory;
  const std::string state = directory.path("state");
  std::filesystem::create_directory(state);
  for (const auto& store : open_stores(settings_for(state, {"system", "/a.pem"}), MtaStsStore::Access::read_only))
    store->store("example.org", policy_of("mx.example"));
  CHECK(std::filesystem::is_empty(state));
}

}  // namespace runtime_test
