#include "config/load.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "config/yaml.h"
#include "tests/support/catch.h"

namespace load_test {

using namespace postern;
using namespace postern::config;

const char* environment(const std::string& name) {
  if (name == "WORKERS") return "3";
  if (name == "MODE") return "implicit";
  if (name == "EMPTY") return "";
  if (name == "DOLLAR") return "${WORKERS}";
  if (name == "TWO_LINES") return "mail.example.org\nx";
  return nullptr;
}

Loaded load(std::string_view yaml) {
  return load_text(yaml, "test.yaml", environment);
}

std::string report(const Loaded& loaded) {
  std::string text;
  for (const Diagnostic& diagnostic : loaded.diagnostics) text += to_string(diagnostic) + "\n";
  return text;
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::filesystem::path> bad_configs() {
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(POSTERN_TESTS "/bad_configs")) {
    if (entry.path().extension() == ".yaml") found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

constexpr std::string_view minimal = R"(
inbound:
  mx:
    listen: ["127.0.0.1:2525"]
    mode: none
    backend: { address: "127.0.0.1:25", client_address: xclient }
)";

constexpr std::string_view complete = R"(
workers: 4
user: postern
hostname: mail.example.org
log: { level: debug, format: json }
certificates:
  mx:
    - { chain: /etc/postern/ecdsa.pem, key: /etc/postern/ecdsa.key }
    - { chain: /etc/postern/rsa.pem,   key: /etc/postern/rsa.key }
  mail.example.org: [{ chain: a.pem, key: a.key }]
inbound:                         # stands before tls, and has its settings all the same
  submission:
    listen: ["0.0.0.0:465", "[::]:465"]
    mode: implicit
    require_tls: true
    auth_requires_tls: false
    certificates: [mail.example.org, mx]
    client_certificates: { mode: require, ca_file: ca.pem }
    accept_proxy_protocol_from: [10.0.0.0/8, "fd00::/8"]
    backend:
      address: ["127.0.0.1:2525", "mta.internal:25", "unix:/run/smtp.sock"]
      client_address: proxy_v2
      tls: starttls
    greeting: gateway
    recipients: { allow_domains: [example.org, .example.net] }
    allow_open_relay_risk: true
    ehlo: { name: mx.example.org, hide: [vrfy, ETRN], add: [PIPELINING], pass: [x-foo, X_BAR.1], size_limit: 50MiB }
    bare_newline: reject
    limits: { command_length: 1000, errors: 5 }
    timeouts: { greeting: 1s, command: 2m, data_block: 500ms, data_end: 1h, backend_connect: 3s }
    max_version: TLSv1.2
    session_tickets: { rotate: 6h }
  mx:
    listen: ["127.0.0.1:0"]
    mode: none
    backend: { exec: [/var/qmail/bin/qmail-smtpd, -v] }
tls:
  min_version: TLSv1.2
  cipher_list: ECDHE+AESGCM
  groups: [X25519]
  handshake_timeout: 10s
  session_tickets: { enabled: false, key_file: /run/secrets/tickets }
)";

TEST_CASE("load: a minimal configuration has the defaults") {
  const Loaded loaded = load(minimal);
  CHECK(report(loaded) == "");
  REQUIRE(loaded.ok());
  const Settings& s = loaded.settings;
  CHECK(s.workers == 0);
  CHECK(s.user.empty());
  CHECK(s.log.level == LogLevel::info);
  REQUIRE(s.inbound.size() == 1);
  const InboundListener& mx = s.inbound[0];
  CHECK(mx.name == "mx");
  CHECK(mx.mode == TlsMode::none);
  CHECK(to_string(mx.listen.at(0)) == "127.0.0.1:2525");
  CHECK(to_string(mx.backend.addresses.at(0)) == "127.0.0.1:25");
  CHECK(mx.backend.client_address == ClientAddress::xclient);
  CHECK(mx.auth_requires_tls);
  CHECK(mx.guard == Guard::warn);
  CHECK(mx.bare_newline == BareNewline::normalize);
  CHECK(mx.timeouts.data_end == 10min);
  CHECK(mx.tls.handshake_timeout == 30s);
  CHECK_FALSE(mx.ehlo.size_limit.has_value());
}

TEST_CASE("load: every option reaches its member") {
  const Loaded loaded = load(complete);
  CHECK(report(loaded) == "");
  REQUIRE(loaded.ok());
  const Settings& s = loaded.settings;
  CHECK(s.workers == 4);
  CHECK(s.user == "postern");
  CHECK(s.hostname == "mail.example.org");
  CHECK(s.log.level == LogLevel::debug);
  CHECK(s.log.format == LogFormat::json);
  REQUIRE(s.certificates.size() == 2);
  CHECK(s.certificates.at("mx").at(1).chain == "/etc/postern/rsa.pem");
  CHECK(s.certificates.at("mx").at(1).key == "/etc/postern/rsa.key");
  CHECK(s.tls.cipher_list == "ECDHE+AESGCM");

  REQUIRE(s.inbound.size() == 2);
  CHECK(s.inbound[1].name == "mx");
  CHECK(s.inbound[1].backend.exec == std::vector<std::string>{"/var/qmail/bin/qmail-smtpd", "-v"});
  const InboundListener& l = s.inbound[0];
  CHECK(l.name == "submission");
  CHECK(to_string(l.listen.at(1)) == "[::]:465");
  CHECK(l.mode == TlsMode::implicit);
  CHECK(l.require_tls);
  CHECK_FALSE(l.auth_requires_tls);
  CHECK(l.certificates == std::vector<std::string>{"mail.example.org", "mx"});
  CHECK(l.client_certificates.mode == ClientCertificateMode::require);
  CHECK(l.client_certificates.ca_file == "ca.pem");
  CHECK(to_string(l.accept_proxy_protocol_from.at(1)) == "fd00::/8");
  CHECK(to_string(l.backend.addresses.at(1)) == "mta.internal:25");
  CHECK(to_string(l.backend.addresses.at(2)) == "unix:/run/smtp.sock");
  CHECK(l.backend.client_address == ClientAddress::proxy_v2);
  CHECK(l.backend.tls == TlsMode::starttls);
  CHECK(l.greeting == GreetingMode::gateway);
  CHECK(l.recipients.allow_domains.value().at(1).text == ".example.net");
  CHECK(l.allow_open_relay_risk);
  CHECK(l.ehlo.name == "mx.example.org");
  CHECK(l.ehlo.hide == std::vector<std::string>{"VRFY", "ETRN"});
  CHECK(l.ehlo.add == std::vector<std::string>{"PIPELINING"});
  CHECK(l.ehlo.pass == std::vector<std::string>{"X-FOO", "X_BAR.1"});
  CHECK(l.ehlo.size_limit.value().bytes == 50U * 1024 * 1024);
  CHECK(l.bare_newline == BareNewline::reject);
  CHECK(l.limits.command_length == 1000);
  CHECK(l.limits.errors == 5);
  CHECK(l.timeouts.greeting == 1s);
  CHECK(l.timeouts.command == 2min);
  CHECK(l.timeouts.data_block == 500ms);
  CHECK(l.timeouts.data_end == 1h);
  CHECK(l.timeouts.connect == 3s);
}

TEST_CASE("load: a listener's own TLS options are laid over the global ones, whatever their order in the file") {
  const Loaded loaded = load(complete);
  REQUIRE(loaded.ok());
  const TlsSettings& own = loaded.settings.inbound[0].tls;
  CHECK(own.max_version == TlsVersion::tls1_2);
  CHECK(own.session_tickets.rotate == 6h);
  CHECK(own.handshake_timeout == 10s);
  CHECK(own.groups == std::vector<std::string>{"X25519"});
  CHECK_FALSE(own.session_tickets.enabled);
  CHECK(own.session_tickets.key_file == "/run/secrets/tickets");
  CHECK(loaded.settings.tls.max_version == TlsVersion::tls1_3);
  CHECK(loaded.settings.tls.session_tickets.rotate == 12h);
}

TEST_CASE("load: a backend may be one address without brackets") {
  CHECK(load(minimal).settings.inbound.at(0).backend.addresses.size() == 1);
}

TEST_CASE("load: certificates are guarded in one of three ways") {
  CHECK(load(std::string(minimal) + "    guard: hold\n").settings.inbound.at(0).guard == Guard::hold);
  CHECK(load(std::string(minimal) + "    guard: off\n").settings.inbound.at(0).guard == Guard::off);
  CHECK_FALSE(load(std::string(minimal) + "    guard: on\n").ok());
}

TEST_CASE("load: what dns says is used where certificates are guarded") {
  const auto is_used = [](const std::string& guard) {
    const Loaded loaded = load(
        "dns: { servers: recursive }\ncertificates: { mx: [{ chain: /c, key: /k }] }\ninbound: { mx: { listen: "
        "[\"127.0.0.1:2525\"], certificates: [mx], backend: { address: \"127.0.0.1:25\", client_address: xclient }, "
        "guard: " +
        guard + " } }\n");
    CHECK(loaded.ok());
    return std::ranges::none_of(loaded.diagnostics, [](const Diagnostic& each) {
      return to_string(each).find("no listener uses it") != std::string::npos;
    });
  };
  CHECK(is_used("warn"));
  CHECK(is_used("hold"));
  CHECK_FALSE(is_used("off"));
}

TEST_CASE("load: a section with all its keys commented out is as if absent") {
  CHECK(load("log:\ntls:\ncertificates:\n" + std::string(minimal)).ok());
}

TEST_CASE("load: places are known for later complaints, and one level up where they are not") {
  Loaded loaded = load(complete);
  CHECK(loaded.place_of("certificates.mx[1].key") == Place{9, 45});
  CHECK(loaded.place_of("inbound.submission.listen[1]") == Place{13, 29});
  CHECK(loaded.place_of("inbound.submission") == Place{12, 3});
  CHECK(loaded.place_of("inbound.nobody") == Place{});
  loaded.add_warning("certificates.mx[0].chain", "expires soon");
  CHECK(loaded.ok());
  loaded.add_error("inbound.mx.certificates[3]", "gone");
  CHECK_FALSE(loaded.ok());
  CHECK(report(loaded) == "test.yaml:8:16: warning: expires soon\ntest.yaml:33:3: error: gone\n");
}

TEST_CASE("load: values come from the environment, quoted or not") {
  const Loaded loaded =
      load("workers: \"${WORKERS}\"\nuser: ${USER_NAME:-post}ern\nhostname: ${EMPTY:-mail.example.org}\n" +
           std::string(minimal));
  CHECK(report(loaded) == "");
  CHECK(loaded.settings.workers == 3);
  CHECK(loaded.settings.user == "postern");
  CHECK(loaded.settings.hostname == "mail.example.org");
}

TEST_CASE("load: comments and keys are not expanded") {
  CHECK(load("# ${NOT_SET}\n" + std::string(minimal)).ok());
  CHECK(report(load("${WORKERS}: 1\n" + std::string(minimal))) ==
        "test.yaml:1:1: error: unknown key '${WORKERS}'; did you mean 'workers'?\n");
}

TEST_CASE("load: a file that cannot be read is one error") {
  CHECK(report(load_file("/nonexistent/postern.yaml", environment)) ==
        "/nonexistent/postern.yaml: error: cannot be opened: No such file or directory\n");
  CHECK(report(load_file("/", environment)) == "/: error: cannot be read: Is a directory\n");
  CHECK(report(load_file("/dev/zero", environment)) == "/dev/zero: error: the file is larger than 1 MiB\n");
}

TEST_CASE("load: a file is read from disk") {
  CHECK_FALSE(load_file(POSTERN_TESTS "/bad_configs/unknown_key.yaml", environment).ok());
}

TEST_CASE("load: text and variables are kept, from which the same comes where there is no file") {
  const std::string yaml = "workers: ${WORKERS}\n" + std::string(minimal);
  const Loaded loaded = load(yaml);
  CHECK(loaded.text == yaml);
  CHECK(loaded.variables == Variables{{"WORKERS", "3"}});
  CHECK(load_text(loaded.text, loaded.file, environment_of(loaded.variables)).settings.workers == 3);
}

TEST_CASE("load: size, depth and number of values are bounded") {
  CHECK(report(load(std::string(yaml_size_limit + 1, '#'))) == "test.yaml: error: the file is larger than 1 MiB\n");
  CHECK(report(load("workers: [" + std::string(200'000, ',') + "]")).find("not YAML") != std::string::npos);
  std::string many = "workers: [";
  for (int i = 0; i < 100'000; ++i) many += "1,";
  CHECK(report(load(many + "]")).find("more than 100000 values in one file") != std::string::npos);
  CHECK(report(load("workers: " + std::string(500'000, '['))).find("nested too deeply") != std::string::npos);
  CHECK(report(load("workers: " + std::string(500'000, '{'))).find("nested too deeply") != std::string::npos);
  std::string domains = std::string(minimal) + "    recipients:\n      allow_domains: [";
  for (int i = 0; i < 50'001; ++i) domains += "a.b,";
  CHECK(report(load(domains + "]")).find("more than 50000 items") != std::string::npos);
}

TEST_CASE("load: every bad configuration fails for the reason that is expected") {
  const auto paths = bad_configs();
  CHECK(paths.size() >= 70);
  for (const auto& path : paths) {
    auto expected = path;
    expected.replace_extension(".expected");
    INFO(path.filename());
    CHECK(report(load_text(read_file(path), path.filename().string(), environment)) == read_file(expected));
  }
}

TEST_CASE("load: diagnostics stand in the order of the file and end with a sentence for people") {
  for (const auto& path : bad_configs()) {
    const Loaded loaded = load_text(read_file(path), path.filename().string(), environment);
    CHECK_FALSE(loaded.diagnostics.empty());
    CHECK(std::ranges::is_sorted(loaded.diagnostics, {}, &Diagnostic::place));
  }
}

// What a mutation does to a text: octets changed, dropped, doubled, or a piece of another place put in.
std::string mutated(std::string text, std::mt19937& random) {
  constexpr std::string_view spice = "{}[]:,-#&*!|>'\"%@`$\\ \n\t~<?0a\xc3\xff";
  const auto below = [&](std::size_t limit) { return static_cast<std::size_t>(random() % limit); };
  for (std::size_t count = 1 + below(4); count > 0 && !text.empty(); --count) {
    const std::size_t at = below(text.size());
    switch (below(5)) {
      case 0: text[at] = spice[below(spice.size())]; break;
      case 1: text.insert(at, 1, spice[below(spice.size())]); break;
      case 2: text.erase(at, 1 + below(12)); break;
      case 3: text.insert(at, text.substr(below(text.size()), 1 + below(40))); break;
      case 4: text[at] = static_cast<char>(below(256)); break;
    }
  }
  return text;
}

TEST_CASE("load: no mutation of a configuration crashes, and what fails says why") {
  std::mt19937 random(20240229);
  std::vector<std::string> seeds = {std::string(minimal), std::string(complete)};
  for (const auto& path : bad_configs()) seeds.push_back(read_file(path));
  std::size_t fine = 0;
  for (int i = 0; i < 20000; ++i) {
    const Loaded loaded = load(mutated(seeds[static_cast<std::size_t>(i) % seeds.size()], random));
    fine += loaded.ok();
    for (const Diagnostic& diagnostic : loaded.diagnostics) {
      const bool printable = std::ranges::none_of(diagnostic.message, [](char c) { return c >= 0 && c < 0x20; });
      if (!printable || diagnostic.message.empty()) FAIL(to_string(diagnostic));
    }
  }
  CHECK(fine > 0);
}

}  // namespace load_test
