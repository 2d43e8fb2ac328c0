#include "config/files.h"

#include <cstdlib>

#include "tests/support/catch.h"
#include "tests/support/temp_directory.h"

namespace files_test {

using namespace postern;
using namespace postern::config;

// Everything that names a file, some of it twice and some of it commented out.
constexpr std::string_view yaml = R"(certificates:
  mx: [{ chain: /c.pem, key: /k.pem }, { chain: /both.pem, key: /both.pem }]
tls: { session_tickets: { key_file: "/tickets $$ 1" } }
dns: { servers: ["127.0.0.1:1"], trust_anchor: /root.key }
inbound:
  mx:
    listen: ["127.0.0.1:25"]
    certificates: [mx]
    client_certificates: { mode: request, ca_file: system }
    backend: { address: "127.0.0.1:26" }
    allow_open_relay_risk: true
outbound:
  direct: { listen: ["127.0.0.1:27"], route: mx }
  relay:
    listen: ["127.0.0.1:28"]
    route: relay
    ca_file: /ca.pem
    relay:
      address: "relay.example:587"
      auth: { mechanism: plain, username: me, password_file: /password }
)";

std::string described(const std::vector<NamedFile>& files) {
  std::string text;
  for (const NamedFile& file : files) {
    text += file.option + " = " + file.path + " (" + std::string(to_string(file.use)) + ", line " +
            std::to_string(file.place.line) + ")\n";
  }
  return text;
}

TEST_CASE("files: those that a configuration names come out of the schema's rows, with their use and place") {
  const Loaded loaded = load_text(yaml, "postern.yaml", {});
  REQUIRE(loaded.ok());
  CHECK(described(files_of(loaded)) ==
        "certificates.mx[0].chain = /c.pem (certificate chain, line 2)\n"
        "certificates.mx[0].key = /k.pem (private key, line 2)\n"
        "certificates.mx[1].chain = /both.pem (certificate chain, line 2)\n"
        "certificates.mx[1].key = /both.pem (private key, line 2)\n"
        "tls.session_tickets.key_file = /tickets $ 1 (ticket keys, line 3)\n"
        "inbound.mx.client_certificates.ca_file = system (authorities of clients, line 9)\n"
        "inbound.mx.session_tickets.key_file = /tickets $ 1 (ticket keys, line 0)\n"
        "outbound.direct.session_tickets.key_file = /tickets $ 1 (ticket keys, line 0)\n"
        "outbound.relay.relay.auth.password_file = /password (secret, line 20)\n"
        "outbound.relay.ca_file = /ca.pem (authorities, line 17)\n"
        "outbound.relay.session_tickets.key_file = /tickets $ 1 (ticket keys, line 0)\n"
        "dns.trust_anchor = /root.key (trust anchor, line 4)\n");
}

TEST_CASE("files: this machine's authorities are asked for by certificates, and by ca_file: system") {
  Settings settings;
  CHECK_FALSE(uses_system_authorities(settings));
  settings.outbound.emplace_back().ca_file = "/ca.pem";
  CHECK_FALSE(uses_system_authorities(settings));
  settings.outbound.emplace_back();
  CHECK(uses_system_authorities(settings));
  settings.outbound.clear();
  settings.certificates["mx"];
  CHECK(uses_system_authorities(settings));
}

TEST_CASE("files: each is read, or it is told why not, and what nobody read is not found") {
  const test_support::TempDirectory directory;
  const char* const before = std::getenv("SSL_CERT_FILE");
  const std::string kept = before != nullptr ? before : "";
  ::setenv("SSL_CERT_FILE", directory.write("system", "CAs").c_str(), 1);
  Loaded loaded;
  loaded.settings.certificates["mx"] = {{directory.write("chain", "abc"), directory.path("absent")}};
  loaded.settings.tls.session_tickets.key_file = directory.write("tickets", std::string(1281, 'k'));
  loaded.settings.dns.trust_anchor.clear();
  Files files = read_files(loaded);
  CHECK(files.at(directory.path("chain"))->content == "abc");
  CHECK(files.at(directory.path("absent")).error().code == Errc::not_found);
  CHECK(files.at(directory.path("tickets")).error().message ==
        directory.path("tickets") + " is larger than 1280 octets");
  CHECK(files.at(directory.path("system")).error().code == Errc::not_found);
  CHECK(files.authorities().path == directory.path("system"));
  CHECK(files.authorities().file->content == "CAs");
  // A file that is one thing as well as another may be as large as either.
  loaded.settings.certificates["mx"][0].key = directory.path("tickets");
  files = read_files(loaded);
  CHECK(files.at(directory.path("tickets"))->content.size() == 1281);
  ::setenv("SSL_CERT_FILE", directory.path("absent").c_str(), 1);
  CHECK(read_system_authorities().file.error().code == Errc::not_found);
  before != nullptr ? ::setenv("SSL_CERT_FILE", kept.c_str(), 1) : ::unsetenv("SSL_CERT_FILE");
}

TEST_CASE("files: another content takes the place of the one before, and an error does") {
  Files files;
  files.put("/key", File{"one", true});
  files.put("/key", File{"two"});
  CHECK(files.at("/key")->content == "two");
  CHECK_FALSE(files.at("/key")->world_readable);
  files.put("/key", fail(Errc::io, "gone"));
  CHECK(files.at("/key").error().message == "gone");
  CHECK(files.by_path().size() == 1);
}

TEST_CASE("files: what has changed is tried, and taken back or kept") {
  Files files;
  files.put("/a", File{"a"});
  files.put("/b", File{"b"});
  files.put_authorities({"/cas", File{"CAs"}});
  Files changed;
  CHECK(changed.empty());
  changed.put("/b", File{"new b"});
  changed.put("/c", File{"new c"});
  changed.put_authorities({"/others", File{"others"}});
  CHECK_FALSE(changed.empty());
  files.exchange(changed);
  CHECK(files.at("/a")->content == "a");
  CHECK(files.at("/b")->content == "new b");
  CHECK(files.at("/c")->content == "new c");
  CHECK(files.authorities().path == "/others");
  CHECK(changed.at("/b")->content == "b");
  files.exchange(changed);
  CHECK(files.at("/b")->content == "b");
  CHECK(files.at("/c").error().code == Errc::not_found);
  CHECK(files.authorities().file->content == "CAs");
  CHECK(changed.at("/b")->content == "new b");
  files.take(changed);
  CHECK(files.at("/b")->content == "new b");
  CHECK(files.authorities().path == "/others");
  CHECK(changed.empty());
  files.take(changed);
  CHECK(files.authorities().path == "/others");
}

TEST_CASE("files: a secret that is wiped leaves nothing behind") {
  std::string secret(100, 's');
  const char* const octets = secret.data();
  wipe(secret);
  CHECK(secret.empty());
  CHECK(std::string_view(octets, 100) == std::string(100, '\0'));
  std::string small = "password";
  const char* const left = small.data();
  const std::string taken = std::move(small);
  wipe(small);  // NOLINT(bugprone-use-after-move)
  CHECK(std::string_view(left, 8) == std::string(8, '\0'));
  CHECK(taken == "password");
}

}  // namespace files_test
