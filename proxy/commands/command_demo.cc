// A certificate, a plaintext server and a gateway, all temporary, and a real message through each of its two ports.
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <sstream>
#include <thread>

#include "config/file.h"
#include "proxy/commands/commands.h"
#include "proxy/commands/demo_child.h"
#include "proxy/commands/demo_client.h"
#include "proxy/net/listener.h"
#include "tls/client_context.h"
#include "tls/self_signed.h"

namespace postern::commands {
namespace {

namespace fs = std::filesystem;

constexpr const char* certificate_name = "postern-demo.localhost";
constexpr const char* recipient = "you@demo.example";
constexpr std::uint16_t starttls_port = 2525;
constexpr std::uint16_t implicit_port = 2465;
constexpr auto patience = std::chrono::seconds(10);

// A folder that goes away with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (fs::temp_directory_path() / "postern-demo.XXXXXX").string();
    if (::mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// What there is of it: logs grow meanwhile.
std::string content_of(const fs::path& path) {
  auto file = config::read_beginning(path.string(), std::size_t{16} << 20U);
  return file ? std::move(file->content) : std::string();
}

bool port_is_free(std::uint16_t port) {
  config::Endpoint endpoint;
  endpoint.address.bytes = {127, 0, 0, 1};
  endpoint.port = port;
  return net::bind_address(endpoint, 1).has_value();
}

// `wanted`, or where that is taken a port that is free now.
Result<std::uint16_t> choose_port(std::uint16_t wanted) {
  if (port_is_free(wanted)) return wanted;
  config::Endpoint any;
  any.address.bytes = {127, 0, 0, 1};
  const auto bound = net::bind_address(any, 1);
  if (!bound) return tl::unexpected(bound.error());
  std::printf("Port %u is taken, so %u is used instead.\n", wanted, bound->address.port);
  return bound->address.port;
}

// Asks again and again until `answer` has a value, the child has ended or ten seconds have passed.
template <class Answer>
auto await(DemoChild& child, Answer answer) -> decltype(answer()) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (child.running() && std::chrono::steady_clock::now() < until) {
    if (auto found = answer()) return found;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return answer();
}

std::optional<std::uint16_t> announced_port(const fs::path& output) {
  constexpr std::string_view words = "listening on 127.0.0.1:";
  const std::string text = content_of(output);
  if (!text.starts_with(words) || text.find('\n') == text.npos) return std::nullopt;
  return static_cast<std::uint16_t>(std::strtoul(text.c_str() + words.size(), nullptr, 10));
}

// The sink and the gateway in front of it, running.
class Demo {
 public:
  // Errors come with what the child said.
  Result<void> start();
  // Sends a message each way; true if both arrived as they were sent.
  bool send_both();
  // Says how to go on, then waits for SIGINT or SIGTERM. False where a child ended by itself.
  bool stay_up();

 private:
  Result<void> start_sink();
  Result<void> start_gateway();
  Result<void> send_one(config::TlsMode mode, std::uint16_t port);
  Result<void> converse(DemoClient& client, config::TlsMode mode, std::uint16_t port, const std::string& message);
  Result<void> encrypt(DemoClient& client);
  std::optional<std::string> find_message(const std::string& message) const;
  std::string configuration() const;
  void suggest() const;
  fs::path file(const char* name) const { return folder_.path() / name; }
  Result<void> write(const char* name, const std::string& content) const;

  TemporaryFolder folder_;
  std::uint16_t sink_port_ = 0;
  std::uint16_t starttls_port_ = 0;
  std::uint16_t implicit_port_ = 0;
  std::optional<DemoChild> sink_;
  std::optional<DemoChild> gateway_;
  std::unique_ptr<tls::ClientContext> client_context_;
};

Result<void> Demo::start() {
  if (folder_.path().empty()) return fail(Errc::io, "cannot make a temporary folder");
  auto context = tls::ClientContext::make({});
  if (!context) return tl::unexpected(context.error());
  client_context_ = std::move(*context);
  const auto certificate = tls::make_self_signed(certificate_name);
  if (!certificate) return tl::unexpected(certificate.error());
  if (auto written = write("certificate.pem", certificate->certificate_pem); !written) return written;
  if (auto written = write("key.pem", certificate->key_pem); !written) return written;
  if (auto started = start_sink(); !started) return started;
  return start_gateway();
}

Result<void> Demo::write(const char* name, const std::string& content) const {
  if (auto error = config::write_file(file(name).string(), content)) return tl::unexpected(std::move(*error));
  return {};
}

Result<void> Demo::start_sink() {
  const fs::path output = file("sink.log");
  auto child = DemoChild::start({"sink", "--listen", "127.0.0.1:0", "--maildir", file("mail").string()}, output);
  if (!child) return tl::unexpected(child.error());
  sink_.emplace(std::move(*child));
  const auto port = await(*sink_, [&] { return announced_port(output); });
  if (!port) return fail(Errc::io, "the plaintext server did not start:\n" + content_of(output));
  sink_port_ = *port;
  return {};
}

Result<void> Demo::start_gateway() {
  const auto starttls = choose_port(starttls_port);
  if (!starttls) return tl::unexpected(starttls.error());
  const auto implicit = choose_port(implicit_port);
  if (!implicit) return tl::unexpected(implicit.error());
  starttls_port_ = *starttls;
  implicit_port_ = *implicit;
  if (auto written = write("gateway.yaml", configuration()); !written) return written;

  const fs::path output = file("gateway.log");
  auto child = DemoChild::start({"run", "--config", file("gateway.yaml").string()}, output);
  if (!child) return tl::unexpected(child.error());
  gateway_.emplace(std::move(*child));
  const bool up = await(*gateway_, [&] {
    return DemoClient().connect(starttls_port_).has_value() && DemoClient().connect(implicit_port_).has_value();
  });
  if (!up || !gateway_->running()) return fail(Errc::io, "the gateway did not start:\n" + content_of(output));
  std::printf(
      "A plaintext mail server runs on 127.0.0.1:%u, and in front of it Postern with this configuration:\n\n%s\n",
      sink_port_, configuration().c_str());
  return {};
}

std::string Demo::configuration() const {
  const auto listener = [&](const char* mode, std::uint16_t port) {
    return std::string("  ") + mode + ":\n    listen: [\"127.0.0.1:" + std::to_string(port) + "\"]\n    mode: " + mode +
           "\n    certificates: [demo]\n    backend: { address: \"127.0.0.1:" + std::to_string(sink_port_) +
           "\" }\n    recipients: { allow_domains: [demo.example] }\n";
  };
  return "workers: 1\nhostname: localhost\ncertificates:\n  demo:\n    - { chain: \"" +
         file("certificate.pem").string() + "\", key: \"" + file("key.pem").string() + "\" }\ninbound:\n" +
         listener("starttls", starttls_port_) + listener("implicit", implicit_port_);
}

std::string compose(std::string_view way) {
  const std::time_t now = std::time(nullptr);
  std::array<char, 64> date{};
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::strftime(date.data(), date.size(), "%a, %d %b %Y %H:%M:%S +0000", &utc);
  const std::string id = std::to_string(now) + "." + std::string(way) + "@demo.example";
  return "From: Demo <demo@demo.example>\r\nTo: <" + std::string(recipient) + ">\r\nSubject: Hello by " +
         std::string(way) + "\r\nDate: " + date.data() + "\r\nMessage-ID: <" + id +
         ">\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
         "This message left its client encrypted: grüß Gott!\r\n"
         ".\r\n"
         "..The dots above and here tried to end it early.\r\n";
}

bool Demo::send_both() {
  bool all_arrived = true;
  for (const auto& [mode, port] :
       {std::pair{config::TlsMode::starttls, starttls_port_}, std::pair{config::TlsMode::implicit, implicit_port_}}) {
    const auto sent = send_one(mode, port);
    if (!sent) std::printf("\nFAILED: %s\n", sent.error().message.c_str());
    all_arrived = all_arrived && sent.has_value();
  }
  if (!all_arrived) std::printf("\nThe gateway's log:\n%s", content_of(file("gateway.log")).c_str());
  return all_arrived;
}

Result<void> Demo::send_one(config::TlsMode mode, std::uint16_t port) {
  const bool starttls = mode == config::TlsMode::starttls;
  std::printf("--- A message by %s, port %u\n", starttls ? "STARTTLS" : "implicit TLS", port);
  const std::string message = compose(starttls ? "STARTTLS" : "implicit-TLS");
  DemoClient client;
  if (auto done = converse(client, mode, port, message); !done) return done;
  const auto found = find_message(message);
  if (!found) return fail(Errc::io, "the server has no message that equals the one sent");
  std::printf("\nIt arrived: %zu octets, each as it was sent (mail/new/%s).\n\n", message.size(), found->c_str());
  return {};
}

Result<void> Demo::converse(DemoClient& client, config::TlsMode mode, std::uint16_t port, const std::string& message) {
  constexpr const char* hello = "EHLO client.demo.example";
  const std::string mail = "MAIL FROM:<demo@demo.example> BODY=8BITMIME SIZE=" + std::to_string(message.size());
  const std::string rcpt = "RCPT TO:<" + std::string(recipient) + ">";
  using Step = std::function<Result<void>()>;
  std::vector<Step> steps = {[&] { return client.connect(port); }};
  if (mode == config::TlsMode::implicit) steps.emplace_back([&] { return encrypt(client); });
  steps.emplace_back([&] { return client.expect('2'); });
  if (mode == config::TlsMode::starttls) {
    steps.emplace_back([&] { return client.command(hello, '2'); });
    steps.emplace_back([&] { return client.command("STARTTLS", '2'); });
    steps.emplace_back([&] { return encrypt(client); });
  }
  steps.emplace_back([&] { return client.command(hello, '2'); });
  steps.emplace_back([&] { return client.command(mail, '2'); });
  steps.emplace_back([&] { return client.command(rcpt, '2'); });
  steps.emplace_back([&] { return client.command("DATA", '3'); });
  steps.emplace_back([&] { return client.content(message); });
  steps.emplace_back([&] { return client.command("QUIT", '2'); });
  for (const Step& step : steps) {
    if (auto done = step(); !done) return done;
  }
  return {};
}

Result<void> Demo::encrypt(DemoClient& client) {
  const auto facts = client.start_tls(*client_context_, certificate_name);
  if (!facts) return tl::unexpected(facts.error());
  if (facts->peer_common_name != certificate_name) {
    return fail(Errc::certificate, "the certificate is for \"" + facts->peer_common_name + "\", not the one just made");
  }
  std::printf("   (%s with %s and %s; the certificate is the one just made)\n", std::string(facts->version).c_str(),
              std::string(facts->cipher).c_str(), std::string(facts->group).c_str());
  return {};
}

std::optional<std::string> Demo::find_message(const std::string& message) const {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_.path() / "mail" / "new", error)) {
    if (content_of(entry.path()) == message) return entry.path().filename().string();
  }
  return std::nullopt;
}

bool is_installed(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "/usr/bin" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    folder.append("/").append(program);
    if (::access(folder.c_str(), X_OK) == 0) return true;
  }
  return false;
}

// -quiet: else a line that begins with Q or R is a command to s_client itself.
void Demo::suggest() const {
  std::printf("The gateway stays up. Try it yourself:\n\n");
  const bool has_swaks = is_installed("swaks");
  const bool has_openssl = is_installed("openssl");
  if (has_swaks) {
    std::printf("  swaks --server 127.0.0.1 --port %u --tls --to %s\n", starttls_port_, recipient);
    std::printf("  swaks --server 127.0.0.1 --port %u --tls-on-connect --to %s\n", implicit_port_, recipient);
  }
  if (has_openssl) {
    std::printf(
        "  openssl s_client -quiet -crlf -starttls smtp -connect 127.0.0.1:%u\n"
        "  openssl s_client -quiet -crlf -connect 127.0.0.1:%u\n"
        "    (then, a line each: EHLO me, MAIL FROM:<me@demo.example>, RCPT TO:<%s>, DATA, text, a lone dot, QUIT)\n",
        starttls_port_, implicit_port_, recipient);
  }
  if (!has_swaks) {
    std::printf("  %s: apt-get install swaks; then swaks --server 127.0.0.1 --port %u --tls --to %s\n",
                has_openssl ? "With less typing" : "What does that", starttls_port_, recipient);
  }
  std::printf(
      "\nMail arrives in %s/mail/new, the gateway's log is %s/gateway.log.\n"
      "Ctrl-C ends it all and removes that folder.\n",
      folder_.path().c_str(), folder_.path().c_str());
  std::fflush(stdout);
}

bool Demo::stay_up() {
  suggest();
  sigset_t awaited;
  ::sigemptyset(&awaited);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) ::sigaddset(&awaited, number);
  while (gateway_->running() && sink_->running()) {
    const int number = ::sigwaitinfo(&awaited, nullptr);
    if (number == SIGINT || number == SIGTERM || number == SIGHUP) return true;
  }
  std::printf("The gateway or the server ended by itself.\n%s", content_of(file("gateway.log")).c_str());
  return false;
}

// So that Ctrl-C finds us where we wait for it and the folder is removed.
void block_signals() {
  sigset_t blocked;
  ::sigemptyset(&blocked);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) ::sigaddset(&blocked, number);
  ::sigprocmask(SIG_BLOCK, &blocked, nullptr);
}

}  // namespace

int command_demo(const DemoOptions& options) {
  block_signals();
  Demo demo;
  if (const auto started = demo.start(); !started) {
    std::fprintf(stderr, "postern demo: %s\n", started.error().message.c_str());
    return 1;
  }
  const bool arrived = demo.send_both();
  std::printf(arrived ? "Both messages arrived intact.\n" : "Not every message arrived intact.\n");
  std::fflush(stdout);
  if (options.once || !arrived) return arrived ? 0 : 1;
  return demo.stay_up() ? 0 : 1;
}

}  // namespace postern::commands
