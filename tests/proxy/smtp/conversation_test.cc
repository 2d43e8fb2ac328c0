// Plays the scripts of tests/conversations: whole, cut after every octet, and pipelined. Their language is described in
// tests/conversations/README.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "tests/proxy/smtp/inbound_rig.h"
#include "tests/support/catch.h"

namespace postern::smtp::conversation_test {

using inbound_rig::Options;
using inbound_rig::Rig;

enum class Play { whole, cut, pipelined };

struct Step {
  std::string key;    // "C:", "c>", "!", "?", …
  std::string value;  // bytes, or words
  int line = 0;
};

struct Script {
  Options options;
  bool pipelined = true;
  std::vector<Step> steps;
};

std::vector<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> result;
  for (std::string word; stream >> word;) result.push_back(word);
  return result;
}

template <class Value>
Value choose(const std::map<std::string, Value>& values, const std::string& name) {
  const auto found = values.find(name);
  INFO(name);
  REQUIRE(found != values.end());
  return found->second;
}

// \r \n \0 \\ and \xNN
std::string unescape(const std::string& text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      result += text[i];
      continue;
    }
    switch (text.at(++i)) {
      case 'r': result += '\r'; break;
      case 'n': result += '\n'; break;
      case '0': result += '\0'; break;
      case 'x':
        result += static_cast<char>(std::strtol(text.substr(i + 1, 2).c_str(), nullptr, 16));
        i += 2;
        break;
      default: result += text[i];
    }
  }
  return result;
}

void set_option(Script& script, const std::string& key, const std::string& value) {
  using namespace config;
  static const std::map<std::string, bool> yes_no = {{"yes", true}, {"no", false}};
  static const std::map<std::string, TlsMode> tls_modes = {
      {"none", TlsMode::none}, {"starttls", TlsMode::starttls}, {"implicit", TlsMode::implicit}};
  auto& listener = script.options.listener;
  if (key == "mode") return void(listener.mode = choose(tls_modes, value));
  if (key == "backend.tls") return void(listener.backend.tls = choose(tls_modes, value));
  if (key == "require_tls") return void(listener.require_tls = choose(yes_no, value));
  if (key == "auth_requires_tls") return void(listener.auth_requires_tls = choose(yes_no, value));
  if (key == "tls_available") return void(script.options.tls_available = choose(yes_no, value));
  if (key == "pipelined") return void(script.pipelined = choose(yes_no, value));
  if (key == "greeting") {
    listener.greeting =
        choose<GreetingMode>({{"backend", GreetingMode::backend}, {"gateway", GreetingMode::gateway}}, value);
    return;
  }
  if (key == "client_address") {
    listener.backend.client_address =
        choose<ClientAddress>({{"none", ClientAddress::none}, {"xclient", ClientAddress::xclient}}, value);
    return;
  }
  if (key == "client_certificates") {
    listener.client_certificates.mode = choose<ClientCertificateMode>(
        {{"request", ClientCertificateMode::request}, {"require", ClientCertificateMode::require}}, value);
    return;
  }
  if (key == "bare_newline") {
    listener.bare_newline = choose<BareNewline>(
        {{"normalize", BareNewline::normalize}, {"reject", BareNewline::reject}, {"pass", BareNewline::pass}}, value);
    return;
  }
  if (key == "allow_domains") {
    auto& domains = listener.recipients.allow_domains;
    if (!domains) domains.emplace();
    for (const auto& word : words(value)) domains->push_back(parse_domain_pattern(word).value());
    return;
  }
  if (key == "ehlo.name") return void(listener.ehlo.name = value);
  if (key == "ehlo.hide") return void(listener.ehlo.hide = words(value));
  if (key == "ehlo.pass") return void(listener.ehlo.pass = words(value));
  if (key == "ehlo.add") return void(listener.ehlo.add = words(value));
  if (key == "ehlo.size_limit") return void(listener.ehlo.size_limit = parse_byte_size(value).value());
  if (key == "limits.errors") return void(listener.limits.errors = static_cast<std::uint32_t>(std::stoul(value)));
  if (key == "limits.command_length") {
    return void(listener.limits.command_length = static_cast<std::uint32_t>(std::stoul(value)));
  }
  FAIL("unknown option " << key);
}

Script load(const std::filesystem::path& path) {
  Script script;
  std::ifstream file(path);
  bool in_head = true;
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    INFO(path.filename().string() << ":" << number << ": " << line);
    if (line.empty() || line[0] == '#') continue;
    if (line == "---") {
      in_head = false;
      continue;
    }
    if (in_head) {
      const auto colon = line.find(": ");
      REQUIRE(colon != std::string::npos);
      set_option(script, line.substr(0, colon), line.substr(colon + 2));
      continue;
    }
    const bool is_word = line[0] == '!' || line[0] == '?';
    const std::string key = line.substr(0, is_word ? 1 : 2);
    REQUIRE((is_word || key[1] == ':' || key[1] == '>'));
    std::string value = line.size() > key.size() + 1 ? line.substr(key.size() + 1) : "";
    if (!is_word) value = unescape(value) + (key[1] == ':' ? "\r\n" : "");
    script.steps.push_back({key, value, number});
  }
  return script;
}

class Player {
 public:
  Player(const Script& script, Play play) : script_(script), play_(play), rig_(options(script, play)) {}

  void play() {
    rig_.start();
    for (at_ = 0; at_ < script_.steps.size(); ++at_) {
      const Step& step = script_.steps[at_];
      INFO((play_ == Play::whole ? "whole"
            : play_ == Play::cut ? "cut"
                                 : "pipelined")
           << ", line " << step.line << ": " << step.key << " " << step.value);
      INFO("client was sent: " << rig_.to_client << "\nserver was sent: " << rig_.to_server);
      perform(step);
    }
    INFO("at the end of playing " << (play_ == Play::whole ? "whole" : play_ == Play::cut ? "cut" : "pipelined"));
    nothing_unexpected();
    auto events = rig_.events;
    if (play_ == Play::pipelined) {
      std::sort(events.begin(), events.end());
      std::sort(expected_events_.begin(), expected_events_.end());
    }
    CHECK(events == expected_events_);
  }

 private:
  static Options options(const Script& script, Play play) {
    Options result = script.options;
    result.cut = play == Play::cut;
    return result;
  }

  void perform(const Step& step) {
    switch (step.key[0]) {
      case 'C': return client_says(step);
      case 'S':
        if (play_ != Play::pipelined) CHECK(rig_.to_server.empty());
        return rig_.server(step.value);
      case 'c': expected_client_ += step.value; return;
      case 's': return server_hears(step);
      case '!':
        nothing_unexpected();
        segment_sent_ = false;
        return happens(words(step.value));
      case '?': expected_events_.push_back(step.value); return;
    }
  }

  void client_says(const Step& step) {
    if (play_ != Play::pipelined) {
      if (at_ > 0 && script_.steps[at_ - 1].key[0] == 'c') client_heard_all();
      return rig_.client(step.value);
    }
    if (std::exchange(segment_sent_, true)) return;
    // All that the client says up to the next event, at once.
    std::string all;
    for (std::size_t i = at_; i < script_.steps.size() && script_.steps[i].key != "!"; ++i) {
      if (script_.steps[i].key[0] == 'C') all += script_.steps[i].value;
    }
    rig_.client(all);
  }

  void server_hears(const Step& step) {
    REQUIRE(rig_.to_server.substr(0, step.value.size()) == step.value);
    rig_.to_server.erase(0, step.value.size());
  }

  void client_heard_all() {
    CHECK(rig_.to_client == expected_client_);
    rig_.to_client.clear();
    expected_client_.clear();
  }

  void nothing_unexpected() {
    client_heard_all();
    CHECK(rig_.to_server.empty());
    rig_.to_server.clear();
  }

  void happens(const std::vector<std::string>& event) {
    static const std::map<std::string, Side> sides = {{"client", Side::client}, {"backend", Side::backend}};
    const std::string& what = event.at(0);
    if (what == "connected") return rig_.connected();
    if (what == "connect-failed") return rig_.connect_failed();
    if (what == "drain") return rig_.drain();
    if (what == "close") return rig_.close(choose(sides, event.at(1)));
    if (what == "tls-failed") return rig_.tls_failed(choose(sides, event.at(1)));
    if (what == "tls") {
      const bool verified = event.size() > 2 && event[2] == "verified";
      return rig_.tls(choose(sides, event.at(1)),
                      verified ? tls::Verification::verified : tls::Verification::not_requested);
    }
    if (what == "timeout") {
      CHECK(dialogue_rig::name_of(rig_.timer) == event.at(1));
      return rig_.time_out();
    }
    FAIL("unknown event " << what);
  }

  const Script& script_;
  Play play_;
  Rig rig_;
  std::size_t at_ = 0;
  bool segment_sent_ = false;
  std::string expected_client_;
  std::vector<std::string> expected_events_;
};

std::vector<std::filesystem::path> scripts() {
  std::vector<std::filesystem::path> result;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(POSTERN_TESTS) + "/conversations")) {
    if (entry.path().extension() == ".txt") result.push_back(entry.path());
  }
  std::sort(result.begin(), result.end());
  return result;
}

TEST_CASE("conversations: each goes as written, cut after every octet, and pipelined") {
  const auto paths = scripts();
  REQUIRE(paths.size() > 50);
  for (const auto& path : paths) {
    DYNAMIC_SECTION(path.stem().string()) {
      const Script script = load(path);
      Player(script, Play::whole).play();
      Player(script, Play::cut).play();
      if (script.pipelined) Player(script, Play::pipelined).play();
    }
  }
}

}  // namespace postern::smtp::conversation_test
