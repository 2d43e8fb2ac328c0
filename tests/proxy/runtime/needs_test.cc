#include "proxy/runtime/needs.h"

#include "tests/support/catch.h"

namespace needs_test {

using namespace postern;

TEST_CASE("needs: a gateway in front of a server needs nothing beyond what every one needs") {
  config::Settings settings;
  settings.inbound.emplace_back();
  settings.state_directory = "/var/lib/postern";  // which nobody uses
  const auto found = runtime::needs(settings);
  CHECK_FALSE((found.resolver || found.dane || found.own_connections || found.foreign_addresses || found.socket_marks ||
               found.programs || found.system_authorities || found.state_directory));
}

TEST_CASE("needs: what one listener needs, the configuration does") {
  config::Settings settings;
  SECTION("programs") {
    settings.inbound.resize(2);
    settings.inbound[0].backend.exec = {"/bin/cat"};
    CHECK(runtime::needs(settings).programs);
  }
  SECTION("addresses of servers behind") {
    settings.inbound.resize(2);
    settings.inbound[1].backend.addresses = {*config::parse_endpoint("127.0.0.1:25"),
                                             *config::parse_endpoint("unix:/x")};
    CHECK_FALSE(runtime::needs(settings).resolver);
    settings.inbound[1].backend.addresses.push_back(*config::parse_endpoint("mail:25"));
    CHECK(runtime::needs(settings).resolver);
    CHECK_FALSE(runtime::needs(settings).trust_anchor);
  }
  SECTION("a guard of certificates, where somebody thought of DNS or wants them held back") {
    auto& listener = settings.inbound.emplace_back();
    listener.mode = config::TlsMode::starttls;
    const auto guarded = [&settings] {
      const auto found = runtime::needs(settings);
      CHECK(found.trust_anchor == found.guard);
      CHECK(runtime::looks_up(found) == found.guard);
      CHECK_FALSE(found.resolver);
      return found.guard;
    };
    CHECK_FALSE(guarded());
    listener.guard = config::Guard::hold;
    CHECK(guarded());
    listener.mode = config::TlsMode::none;
    CHECK_FALSE(guarded());
    listener.mode = config::TlsMode::implicit;
    listener.guard = config::Guard::warn;
    settings.dns.servers.resize(1);
    CHECK(guarded());
    listener.guard = config::Guard::off;
    CHECK_FALSE(guarded());
  }
  SECTION("the client's address toward a server behind") {
    settings.inbound.resize(2);
    settings.inbound[0].backend.client_address = config::ClientAddress::transparent;
    CHECK(runtime::needs(settings).foreign_addresses);
  }
  SECTION("certificates: whether this machine knows who issued them") {
    settings.certificates["mx"];
    CHECK(runtime::needs(settings).system_authorities);
  }
  SECTION("mail that goes out") {
    settings.outbound.resize(2);
    auto& listener = settings.outbound[0];
    for (auto& each : settings.outbound) {
      each.dane = false;
      each.route = config::OutboundRoute::mx;
      each.ca_file = "/ca.pem";
    }
    CHECK((runtime::needs(settings).resolver && runtime::needs(settings).trust_anchor));
    CHECK_FALSE((runtime::needs(settings).dane || runtime::needs(settings).own_connections));
    CHECK_FALSE((runtime::needs(settings).foreign_addresses || runtime::needs(settings).system_authorities));
    settings.state_directory = "/var/lib/postern";
    CHECK(runtime::needs(settings).state_directory);
    listener.policies.resize(1);
    CHECK_FALSE(runtime::needs(settings).dane);
    listener.policies[0].level = config::TlsLevel::dane_only;
    CHECK(runtime::needs(settings).dane);
    listener.policies.clear();
    listener.level = config::TlsLevel::dane;
    CHECK(runtime::needs(settings).dane);
    listener.socket_mark = 7;
    CHECK(runtime::needs(settings).socket_marks);
    listener.source = config::OutboundSource::client;
    CHECK(runtime::needs(settings).foreign_addresses);
    listener.source = config::OutboundSource::gateway;
    listener.interception = config::Interception::tproxy;  // by which nothing comes
    CHECK_FALSE(runtime::needs(settings).foreign_addresses);
    listener.route = config::OutboundRoute::original_destination;
    CHECK(runtime::needs(settings).own_connections);
    CHECK(runtime::needs(settings).foreign_addresses);
    CHECK(runtime::is_transparent(listener));
  }
}

}  // namespace needs_test
