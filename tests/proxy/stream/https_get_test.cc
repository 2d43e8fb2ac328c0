#include "proxy/stream/https_get.h"

#include "tests/proxy/outbound/policy_host.h"
#include "tests/support/catch.h"

namespace https_get_test {

using namespace postern;
using namespace postern::session::policy_host;
using namespace std::chrono_literals;
using postern::stream::HttpsGet;

using Outcome = std::optional<Result<postern::wire::HttpResponse>>;

// A policy host with a certificate, and one GET to it.
struct World {
  explicit World(const TestCertificate& certificate = certificate_for("mta-sts.example.org"))
      : host(worker.loop, certificate) {
    request.host = "mta-sts.example.org";
    request.path = "/.well-known/mta-sts.txt";
    request.addresses = {host.address};
  }

  std::unique_ptr<postern::stream::HttpsGet> start() {
    return std::make_unique<postern::stream::HttpsGet>(
        worker.means(), *worker.tls, *trust, request,
        [this](Result<postern::wire::HttpResponse> result) { outcome = std::move(result); });
  }
  Result<postern::wire::HttpResponse> get() {
    const auto getting = start();
    CHECK_FALSE(outcome.has_value());  // never from inside the call
    REQUIRE(turn_until(worker.loop, [this] { return outcome.has_value(); }));
    return *outcome;
  }
  Error error() {
    const auto result = get();
    REQUIRE_FALSE(result.has_value());
    return result.error();
  }
  Error error_for(std::string response, PolicyHost::After after = PolicyHost::After::stay) {
    host.answer_with(std::move(response), after);
    outcome.reset();
    return error();
  }

  ErrandWorker worker;
  PolicyHost host;
  std::shared_ptr<const tls::TrustStore> trust = trust_in_test_ca();
  postern::stream::HttpsGet::Request request;
  Outcome outcome;
};

TEST_CASE("https_get: the file comes, and the host was asked for by its name") {
  World world;
  world.host.answer_with(http_ok("version: STSv1\r\n"));
  const auto got = world.get();
  REQUIRE(got.has_value());
  CHECK(got->body == "version: STSv1\r\n");
  CHECK(got->content_type == "text/plain");
  CHECK(world.host.names == std::vector<std::string>{"mta-sts.example.org"});
  REQUIRE(world.host.requests.size() == 1);
  CHECK(world.host.requests[0] == wire::print_http_get("mta-sts.example.org", "/.well-known/mta-sts.txt"));
}

TEST_CASE("https_get: a chunked file is a file") {
  World world;
  world.host.answer_with("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nvers\r\n3\r\nion\r\n0\r\n\r\n");
  const auto got = world.get();
  REQUIRE(got.has_value());
  CHECK(got->body == "version");
}

TEST_CASE("https_get: a redirect is not followed, and no other status will do") {
  World world;
  const auto moved =
      world.error_for("HTTP/1.1 301 Moved\r\nLocation: https://example.org/\r\nContent-Length: 0\r\n\r\n");
  CHECK(moved.code == Errc::refused);
  CHECK(world.error_for("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno\n").message == "HTTP status 404");
  CHECK(world.error_for("HTTP/1.1 204 No Content\r\n\r\n").code == Errc::refused);
  CHECK(world.host.requests.size() == 3);
}

TEST_CASE("https_get: a host that cannot show who it is gets no request") {
  const auto refused = [](const TestCertificate& certificate) {
    World world(certificate);
    world.host.answer_with(http_ok("version: STSv1\r\n"));
    const Error error = world.error();
    CHECK(error.code == Errc::certificate);
    REQUIRE(turn_until(world.worker.loop, [&] { return world.host.ends == 1; }));
    CHECK(world.host.names.size() == 1);
    CHECK(world.host.requests.empty());
    return error.message;
  };
  CHECK(refused(certificate_for("example.org")) == "the certificate does not name mta-sts.example.org");
  CHECK(refused(certificate_for("*.mta-sts.example.org")) == "the certificate does not name mta-sts.example.org");

  World world(certificate_for("*.example.org"));
  world.host.answer_with(http_ok("here"));
  CHECK(world.get().has_value());
}

TEST_CASE("https_get: chains that lead nowhere, and expired certificates, are refused") {
  const auto refused = [](const TestCertificate& certificate) {
    World world(certificate);
    world.host.answer_with(http_ok("version: STSv1\r\n"));
    const Error error = world.error();
    return error.code == Errc::certificate && error.message.starts_with("mta-sts.example.org: ") &&
           world.host.requests.empty();
  };
  CHECK(refused(make_certificate({.common_name = "", .dns_names = {"mta-sts.example.org"}})));
  const auto stranger = make_certificate({.common_name = "Another CA", .is_ca = true});
  CHECK(refused(make_certificate({.common_name = "", .dns_names = {"mta-sts.example.org"}, .issuer = &stranger})));
  CHECK(refused(make_certificate({.common_name = "",
                                  .dns_names = {"mta-sts.example.org"},
                                  .valid_from_days = -9,
                                  .valid_until_days = -2,
                                  .issuer = &test_ca()})));
}

TEST_CASE("https_get: more than 64 KiB is too much, announced or not") {
  World world;
  CHECK(world.error_for("HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n").code == Errc::limit_exceeded);
  std::string endless = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 17; ++i) endless += "1000\r\n" + std::string(0x1000, 'x') + "\r\n";
  CHECK(world.error_for(endless).code == Errc::limit_exceeded);
  world.host.answer_with(http_ok(std::string(std::size_t{64} * 1024, 'x')));
  world.outcome.reset();
  CHECK(world.get().has_value());
}

TEST_CASE(
    "https_get: a response that is cut short is none, and the connection's end is an end only where TLS says so") {
  World world;
  using After = PolicyHost::After;
  const std::string part = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nversion: STSv1\r\n";
  const std::string unbounded = "HTTP/1.1 200 OK\r\n\r\nversion: STSv1\r\n";
  CHECK(world.error_for(part, After::close).code == Errc::closed);
  CHECK(world.error_for(part, After::cut).code == Errc::closed);
  world.host.answer_with(unbounded, After::close);
  world.outcome.reset();
  CHECK(world.get()->body == "version: STSv1\r\n");
  CHECK(world.error_for(unbounded, After::cut).code == Errc::closed);
}

TEST_CASE("https_get: a response after an interim one counts") {
  World world;
  world.host.answer_with("HTTP/1.1 103 Early Hints\r\n\r\n" + http_ok("here"));
  CHECK(world.get()->body == "here");
}

TEST_CASE("https_get: what is no TLS is not listened to") {
  World world;
  world.host.speaks_tls = false;
  world.host.answer_with(http_ok("version: STSv1\r\n"));
  CHECK(world.error().code == Errc::tls);
}

TEST_CASE("https_get: a host that is silent is given up in time") {
  World world;
  world.request.patience = 100ms;
  const Error error = world.error();
  CHECK(error.code == Errc::timeout);
  CHECK(error.message == "mta-sts.example.org: no answer in time");
  CHECK(world.host.requests.size() == 1);
}

TEST_CASE("https_get: addresses are tried until one connects") {
  World world;
  world.host.answer_with(http_ok("here"));
  net::SocketAddress closed;
  {
    const auto bound = net::bind_address(*config::parse_endpoint("127.0.0.1:0"), 1);
    closed = bound->address;
  }
  world.request.addresses = {closed, closed, world.host.address};
  CHECK(world.get().has_value());

  world.request.addresses = {closed};
  world.outcome.reset();
  CHECK(world.error().message == "connection refused");
  world.request.addresses = {};
  world.outcome.reset();
  CHECK(world.error().message == "mta-sts.example.org has no address");
}

TEST_CASE("https_get: an address that does not answer leaves time for the next") {
  World world;
  const DeadEnd dead_end;
  world.host.answer_with(http_ok("here"));
  world.request.addresses = {dead_end.address(), world.host.address};
  world.request.connect_patience = 20ms;
  CHECK(world.get().has_value());

  world.request.addresses = {dead_end.address()};
  world.request.patience = 100ms;
  world.outcome.reset();
  CHECK(world.error().code == Errc::timeout);
}

TEST_CASE("https_get: destroyed at any step, it is silent") {
  World world;
  world.host.answer_with(http_ok("here"));
  bool came = false;
  for (int turns = 0; !came; ++turns) {
    REQUIRE(turns < 1000);
    auto getting = world.start();
    for (int i = 0; i < turns && !world.outcome; ++i) uv_run(world.worker.loop.raw(), UV_RUN_NOWAIT);
    came = world.outcome.has_value();
    getting.reset();
    for (int i = 0; i < 20; ++i) uv_run(world.worker.loop.raw(), UV_RUN_NOWAIT);
    CHECK(world.outcome.has_value() == came);
  }
  CHECK(world.outcome->value().body == "here");
}

TEST_CASE("https_get: the callback may destroy it") {
  World world;
  world.host.answer_with(http_ok("here"));
  std::unique_ptr<postern::stream::HttpsGet> getting;
  bool called = false;
  getting =
      std::make_unique<postern::stream::HttpsGet>(world.worker.means(), *world.worker.tls, *world.trust, world.request,
                                                  [&](const Result<postern::wire::HttpResponse>& result) {
                                                    getting.reset();
                                                    called = result.has_value();
                                                  });
  CHECK(turn_until(world.worker.loop, [&] { return called; }));
}

}  // namespace https_get_test
