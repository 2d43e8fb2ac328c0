#include "proxy/outbound/mta_sts_fetcher.h"

#include <algorithm>

#include "tests/proxy/outbound/policy_host.h"
#include "tests/support/catch.h"
#include "tests/support/fake_resolver.h"

namespace mta_sts_fetcher_test {

using namespace postern;
using namespace postern::session::policy_host;
using namespace std::chrono_literals;
using policy::MtaStsFacts;
using policy::MtaStsMode;
using policy::MtaStsStore;
using policy::ReportResult;
using postern::outbound::MtaStsFetcher;
using testing::exists;
using testing::without_records;

std::string policy_text(const std::string& mx, std::chrono::seconds max_age = 240h) {
  return "version: STSv1\r\nmode: enforce\r\nmx: " + mx + "\r\nmax_age: " + std::to_string(max_age.count()) + "\r\n";
}

std::string txt_rdata(const std::string& text) {
  return static_cast<char>(text.size()) + text;
}

const std::string domain = "example.org";

// A worker that asks for the policy of example.org, published by a host of the test's.
struct World {
  explicit World(const TestCertificate& certificate = certificate_for("mta-sts.example.org"))
      : host(worker.loop, certificate) {
    publish("v=STSv1; id=1");
    const std::string address = {127, 0, 0, 1};
    resolver.set({"mta-sts.example.org", dns::Type::a}, exists(false, {address}));
    resolver.set({"mta-sts.example.org", dns::Type::aaaa}, without_records(dns::Status::no_data, false));
    host.answer_with(http_ok(policy_text("mx.example.org")));
    fetcher = make_fetcher();
  }

  void publish(const std::string& record) {
    resolver.set({"_mta-sts.example.org", dns::Type::txt}, exists(false, {txt_rdata(record)}));
  }
  void publish_nothing(dns::Status status) {
    resolver.set({"_mta-sts.example.org", dns::Type::txt}, without_records(status, false));
  }

  std::unique_ptr<postern::outbound::MtaStsFetcher> make_fetcher() {
    postern::outbound::MtaStsFetcher::Access access{worker.means(),      resolver, *store, *worker.tls,
                                                    *trust_in_test_ca(), {}};
    access.port = host.address.port;
    access.patience = patience;
    access.now = [this] { return now; };
    access.count = [this](std::string_view result) { counted.emplace_back(result); };
    access.complain = [this](const std::string& about, const Error& error) {
      complaints.push_back(about + ": " + error.message);
    };
    return std::make_unique<postern::outbound::MtaStsFetcher>(std::move(access));
  }
  void restart() {
    fetcher.reset();
    store.reset();  // the one that ends has written what it knows before the next one reads
    store = make_store();
    fetcher = make_fetcher();
  }
  // Its complaints are to be looked at after flush(): another thread makes them.
  std::unique_ptr<MtaStsStore> make_store() {
    return std::make_unique<MtaStsStore>(state, now, MtaStsStore::Access::read_write,
                                         [this](const Error& error) { complaints.push_back(error.message); });
  }

  bool turn(const std::function<bool()>& done) {
    return turn_until(worker.loop, [&] {
      resolver.deliver();
      return done();
    });
  }
  // Lookups that are under way; each has its answer, once that has come.
  struct Asked {
    std::optional<MtaStsFacts> facts;
    std::unique_ptr<dns::Lookup> lookup;
  };
  std::unique_ptr<Asked> start(postern::outbound::MtaStsFetcher& from, const std::string& name = domain) {
    auto asked = std::make_unique<Asked>();
    asked->lookup = from.lookup(name, [to = asked.get()](const MtaStsFacts& facts) {
      CHECK_FALSE(to->facts.has_value());
      to->facts = facts;
    });
    CHECK_FALSE(asked->facts.has_value());  // never from inside the call
    return asked;
  }
  MtaStsFacts ask(postern::outbound::MtaStsFetcher& from, const std::string& name = domain) {
    const auto asked = start(from, name);
    REQUIRE(turn([&] { return asked->facts.has_value(); }));
    return *asked->facts;
  }
  MtaStsFacts ask() { return ask(*fetcher); }
  std::size_t fetches() const { return host.requests.size(); }

  ErrandWorker worker;
  PolicyHost host;
  testing::FakeResolver resolver;
  TempDirectory directory;
  std::string state = directory.path("");
  policy::Time now{1'800'000'000s};
  std::chrono::milliseconds patience = 60s;
  std::vector<std::string> complaints;
  std::vector<std::string> counted;
  std::unique_ptr<MtaStsStore> store = make_store();
  std::unique_ptr<postern::outbound::MtaStsFetcher> fetcher;
};

std::string mx_of(const MtaStsFacts& facts) {
  return facts.policy ? facts.policy->mx.at(0) : "no policy";
}
std::string trouble_of(const MtaStsFacts& facts) {
  return facts.trouble ? std::string(policy::to_string(*facts.trouble)) : "none";
}

TEST_CASE("mta_sts_fetcher: a published policy is fetched once, and kept while its id stands") {
  World world;
  const auto facts = world.ask();
  REQUIRE(facts.policy);
  CHECK(facts.policy->mode == MtaStsMode::enforce);
  CHECK(mx_of(facts) == "mx.example.org");
  CHECK_FALSE(facts.trouble);
  CHECK(mx_of(world.ask()) == "mx.example.org");
  CHECK(world.fetches() == 1);
  CHECK(world.host.names == std::vector<std::string>{"mta-sts.example.org"});
  CHECK(world.complaints.empty());
  CHECK(world.counted == std::vector<std::string>{"success"});
}

TEST_CASE("mta_sts_fetcher: a wrong media type does not make a policy invalid") {
  World world;
  world.host.answer_with(http_ok(policy_text("mx.example.org"), "application/octet-stream"));
  const auto facts = world.ask();
  CHECK(mx_of(facts) == "mx.example.org");
  CHECK(facts.remark ==
        "the policy's media type is 'application/octet-stream', not text/plain (RFC 8461 3.3); it counts all the same");
  CHECK(world.complaints == std::vector<std::string>{"example.org: " + facts.remark});
}

TEST_CASE("mta_sts_fetcher: those who ask at the same time share one fetch, and one that leaves harms nobody") {
  World world;
  const auto first = world.start(*world.fetcher);
  auto leaving = world.start(*world.fetcher);
  const auto third = world.start(*world.fetcher);
  leaving->lookup.reset();
  REQUIRE(world.turn([&] { return first->facts && third->facts; }));
  CHECK(mx_of(*first->facts) == "mx.example.org");
  CHECK(mx_of(*third->facts) == "mx.example.org");
  CHECK_FALSE(leaving->facts);
  CHECK(world.fetches() == 1);
  const dns::Question record{"_mta-sts.example.org", dns::Type::txt};
  CHECK(std::count(world.resolver.asked.begin(), world.resolver.asked.end(), record) == 1);
}

TEST_CASE("mta_sts_fetcher: a fetch that nobody waits for any more is made all the same") {
  World world;
  auto asked = world.start(*world.fetcher);
  asked.reset();
  REQUIRE(world.turn([&] { return world.store->find(domain, world.now).has_value(); }));
}

TEST_CASE("mta_sts_fetcher: a restart forgets nothing, even where neither DNS nor the host answer any more") {
  World world;
  (void)world.ask();
  world.publish_nothing(dns::Status::failed);
  world.host.answer_with("HTTP/1.1 503 Later\r\n\r\n");
  world.restart();
  const auto facts = world.ask();
  CHECK(mx_of(facts) == "mx.example.org");
  CHECK(trouble_of(facts) == "none");
  CHECK(world.fetches() == 1);

  world.now += 240h;  // its max_age
  CHECK(mx_of(world.ask()) == "no policy");
}

TEST_CASE("mta_sts_fetcher: without a state directory a policy lasts as long as the process") {
  World world;
  world.state.clear();
  world.restart();
  (void)world.ask();
  CHECK(mx_of(world.ask()) == "mx.example.org");
  CHECK(world.fetches() == 1);
  world.restart();
  (void)world.ask();
  CHECK(world.fetches() == 2);
}

TEST_CASE("mta_sts_fetcher: a directory that cannot be written is complained of, and the policy counts") {
  World world;
  world.state = world.directory.path("missing/too");
  world.restart();
  CHECK(mx_of(world.ask()) == "mx.example.org");
  world.store->flush();
  REQUIRE(world.complaints.size() == 1);
  CHECK(world.complaints[0].starts_with("cannot write " + world.state + "/example.org.mta-sts: "));
}

TEST_CASE("mta_sts_fetcher: no record, or none that can be had, is no policy and no trouble") {
  World world;
  for (const auto status : {dns::Status::no_data, dns::Status::no_such_name, dns::Status::failed, dns::Status::bogus}) {
    world.publish_nothing(status);
    const auto facts = world.ask();
    CHECK(mx_of(facts) == "no policy");
    CHECK(trouble_of(facts) == "none");
  }
  world.publish("v=spf1 -all");
  CHECK(trouble_of(world.ask()) == "none");
  CHECK(world.host.connections() == 0);
}

TEST_CASE("mta_sts_fetcher: what nobody was asked is not known, and is asked again by the next message") {
  World world;
  dns::Answer unasked = dns::failure("the resolver has ended");
  unasked.unasked = true;
  world.publish("v=STSv1; id=1");
  const auto record = world.resolver.answer({"_mta-sts." + domain, dns::Type::txt});
  world.resolver.set({"_mta-sts." + domain, dns::Type::txt}, unasked);
  CHECK(world.ask().unasked);
  world.resolver.set({"_mta-sts." + domain, dns::Type::txt}, record);
  const dns::Question host{"mta-sts." + domain, dns::Type::a};
  const auto address = world.resolver.answer(host);
  world.resolver.set(host, unasked);
  world.resolver.set({host.name, dns::Type::aaaa}, unasked);
  const auto facts = world.ask();
  CHECK(facts.unasked);
  CHECK(mx_of(facts) == "no policy");
  CHECK(trouble_of(facts) == "none");
  world.resolver.set(host, address);
  const auto then = world.ask();
  CHECK_FALSE(then.unasked);
  CHECK(mx_of(then) != "no policy");
  CHECK(world.complaints.empty());
}

TEST_CASE("mta_sts_fetcher: a malformed record is trouble, and nothing is fetched for it") {
  World world;
  world.publish("v=STSv1; id=not one");
  const auto facts = world.ask();
  CHECK(mx_of(facts) == "no policy");
  CHECK(trouble_of(facts) == "sts-policy-invalid");
  CHECK(facts.remark == "the MTA-STS record's id 'not one' is not 1 to 32 letters and digits");
  CHECK(world.host.connections() == 0);
  (void)world.ask();  // for the next message: nobody wants to read it again
  CHECK(world.complaints == std::vector<std::string>{"example.org: " + facts.remark});
}

TEST_CASE("mta_sts_fetcher: what is no host name has no policy, and nobody is asked") {
  World world;
  for (const std::string name : {"192.0.2.1", "[192.0.2.1]", "2001:db8::1", "", "exa mple.org"}) {
    const auto facts = world.ask(*world.fetcher, name);
    CHECK(mx_of(facts) == "no policy");
    CHECK(trouble_of(facts) == "none");
  }
  CHECK(world.resolver.asked.empty());
}

TEST_CASE("mta_sts_fetcher: each failure has its name in reports") {
  World world;
  const auto trouble = [&](const std::string& response) {
    world.host.answer_with(response);
    world.now += 5min;
    const auto facts = world.ask();
    CHECK(mx_of(facts) == "no policy");
    return trouble_of(facts);
  };
  CHECK(trouble("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n") == "sts-policy-fetch-error");
  CHECK(trouble("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n") == "sts-policy-fetch-error");
  CHECK(trouble(http_ok("version: STSv1\r\nmode: enforce\r\nnmx: typo.example\r\nmax_age: 86400\r\n")) ==
        "sts-policy-invalid");
  CHECK(world.complaints == std::vector<std::string>{"example.org: HTTP status 404", "example.org: HTTP status 302",
                                                     "example.org: the policy lists no valid mx"});
  CHECK(world.counted ==
        std::vector<std::string>{"sts-policy-fetch-error", "sts-policy-fetch-error", "sts-policy-invalid"});
  World stranger(certificate_for("example.org"));
  CHECK(trouble_of(stranger.ask()) == "sts-webpki-invalid");
  World nowhere;
  nowhere.resolver.set({"mta-sts.example.org", dns::Type::a}, dns::failure("no server answered"));
  CHECK(trouble_of(nowhere.ask()) == "sts-policy-fetch-error");
  World silent;
  silent.host.answer_with("");
  silent.patience = 100ms;
  silent.restart();
  CHECK(trouble_of(silent.ask()) == "sts-policy-fetch-error");
}

TEST_CASE("mta_sts_fetcher: after a failure there is no new try for five minutes, by any worker, and all report it") {
  World world;
  const auto another = world.make_fetcher();
  world.host.answer_with("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
  CHECK(trouble_of(world.ask()) == "sts-policy-fetch-error");
  world.host.answer_with(http_ok(policy_text("mx.example.org")));
  world.now += 5min - 1s;
  CHECK(trouble_of(world.ask()) == "sts-policy-fetch-error");
  CHECK(trouble_of(world.ask(*another)) == "sts-policy-fetch-error");
  CHECK(world.fetches() == 1);
  world.now += 1s;
  CHECK(mx_of(world.ask(*another)) == "mx.example.org");
  const auto facts = world.ask();
  CHECK(mx_of(facts) == "mx.example.org");
  CHECK(trouble_of(facts) == "none");
  CHECK(world.fetches() == 2);
}

TEST_CASE("mta_sts_fetcher: another id is fetched although the last one could not be had") {
  World world;
  world.host.answer_with("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
  CHECK(world.ask().remark == "HTTP status 404");
  world.host.answer_with(http_ok(policy_text("mx.example.org")));
  CHECK(world.ask().remark == "HTTP status 404");
  world.publish("v=STSv1; id=2");
  CHECK(mx_of(world.ask()) == "mx.example.org");
  CHECK(world.fetches() == 2);
}

TEST_CASE("mta_sts_fetcher: a policy that ends at once ends the old one") {
  World world;
  (void)world.ask();
  world.publish("v=STSv1; id=2");
  world.host.answer_with(http_ok(policy_text("mx.example.org", 0s)));
  CHECK(mx_of(world.ask()) == "no policy");
  CHECK(mx_of(world.ask()) == "no policy");
  CHECK(world.fetches() == 2);
}

TEST_CASE("mta_sts_fetcher: a new id brings the new policy, and the old one stays where that cannot be had") {
  World world;
  (void)world.ask();
  world.publish("v=STSv1; id=2");
  world.host.answer_with("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
  const auto old = world.ask();
  CHECK(mx_of(old) == "mx.example.org");
  CHECK(trouble_of(old) == "none");  // nothing was lost
  CHECK(world.fetches() == 2);

  world.now += 5min;
  world.host.answer_with(http_ok(policy_text("new.example.org")));
  CHECK(mx_of(world.ask()) == "new.example.org");
  CHECK(world.store->find(domain, world.now)->id == "2");
}

TEST_CASE("mta_sts_fetcher: nobody waits while a policy that still stands is fetched anew") {
  World world;
  (void)world.ask();
  world.now += 24h;
  world.host.answer_with("");  // silence
  CHECK(mx_of(world.ask()) == "mx.example.org");
  REQUIRE(world.turn([&] { return world.fetches() == 2; }));
  CHECK(mx_of(world.ask()) == "mx.example.org");  // who comes while it is under way neither
  world.host.answer_now(http_ok(policy_text("new.example.org")));
  REQUIRE(world.turn([&] { return world.store->find(domain, world.now)->fetched == world.now; }));
  CHECK(mx_of(world.ask()) == "new.example.org");
  CHECK(world.fetches() == 2);
}

TEST_CASE("mta_sts_fetcher: a callback may ask for the same domain again") {
  World world;
  std::optional<MtaStsFacts> again;
  std::unique_ptr<dns::Lookup> second;
  const auto first = world.fetcher->lookup(domain, [&](const MtaStsFacts&) {
    second = world.fetcher->lookup(domain, [&](const MtaStsFacts& facts) { again = facts; });
  });
  REQUIRE(world.turn([&] { return again.has_value(); }));
  CHECK(mx_of(*again) == "mx.example.org");
}

TEST_CASE("mta_sts_fetcher: refreshing is one worker's business, and what is too old goes with its file") {
  World world;
  const auto another = world.make_fetcher();
  (void)world.ask();
  world.now += 24h;
  world.publish_nothing(dns::Status::no_such_name);  // a cached policy outlives its record
  world.host.answer_with(http_ok(policy_text("new.example.org", 48h)));
  world.fetcher->refresh();
  another->refresh();
  REQUIRE(world.turn([&] { return world.store->find(domain, world.now)->fetched == world.now; }));
  CHECK(world.fetches() == 2);
  CHECK(world.store->find(domain, world.now)->policy.mx.at(0) == "new.example.org");
  world.store->flush();
  CHECK(std::filesystem::exists(world.directory.path("example.org.mta-sts")));

  world.now += 48h;
  world.fetcher->refresh();
  world.store->flush();
  CHECK_FALSE(std::filesystem::exists(world.directory.path("example.org.mta-sts")));
  CHECK(mx_of(world.ask(*another)) == "no policy");
}

TEST_CASE("mta_sts_fetcher: where too many domains are asked about at once, the rest get what is known") {
  World world;
  (void)world.ask();
  std::vector<std::unique_ptr<World::Asked>> pending;
  for (int i = 0; i < 256; ++i) pending.push_back(world.start(*world.fetcher, "d" + std::to_string(i) + ".example"));
  const auto known = world.start(*world.fetcher);
  const auto unknown = world.start(*world.fetcher, "another.example");
  // DNS answers nobody here.
  REQUIRE(turn_until(world.worker.loop, [&] { return known->facts && unknown->facts; }));
  CHECK(mx_of(*known->facts) == "mx.example.org");
  CHECK(mx_of(*unknown->facts) == "no policy");
  CHECK_FALSE(pending.front()->facts);
  REQUIRE(world.turn([&] { return pending.back()->facts.has_value(); }));
  CHECK(mx_of(world.ask()) == "mx.example.org");
}

TEST_CASE("mta_sts_fetcher: both families of the policy host are tried, however many addresses one has") {
  World world;
  const std::string v4 = {127, 0, 0, 1};
  std::string v6(16, '\0');
  v6[15] = 1;  // ::1, where nobody listens on that port
  world.resolver.set({"mta-sts.example.org", dns::Type::aaaa}, exists(false, {v6, v6, v6, v6, v6, v6}));
  world.resolver.set({"mta-sts.example.org", dns::Type::a}, exists(false, {v4}));
  CHECK(mx_of(world.ask()) == "mx.example.org");
}

TEST_CASE("mta_sts_fetcher: destroyed in the middle of a fetch, it leaves nothing behind") {
  World world;
  world.host.answer_with("");
  const auto asked = world.start(*world.fetcher);
  REQUIRE(world.turn([&] { return world.fetches() == 1; }));
  world.fetcher.reset();
  CHECK_FALSE(asked->facts);
}

}  // namespace mta_sts_fetcher_test
