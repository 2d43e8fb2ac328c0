// A script of tests/conversations, read. Its language is described in tests/conversations/README.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "tests/proxy/smtp/inbound_rig.h"
#include "tests/proxy/smtp/outbound_rig.h"
#include "tests/support/catch.h"

namespace postern::smtp::conversation {

struct Step {
  std::string key;    // "C:", "c>", "!", "?", …
  std::string value;  // bytes, or words
  std::string place;  // "FILE:LINE"
};

template <class Options>
struct Script {
  Options options;
  bool pipelined = true;
  bool cut = true;
  std::vector<Step> steps;
};

inline std::vector<std::string> words(const std::string& text) {
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

inline bool yes_no(const std::string& value) {
  return choose<bool>({{"yes", true}, {"no", false}}, value);
}

inline config::TlsMode tls_mode(const std::string& value) {
  using enum config::TlsMode;
  return choose<config::TlsMode>({{"none", none}, {"starttls", starttls}, {"implicit", implicit}}, value);
}

inline std::uint32_t number(const std::string& value) {
  return static_cast<std::uint32_t>(std::stoul(value));
}

// \r \n \0 \\ and \xNN
inline std::string unescape(const std::string& text) {
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

// --- options; false: there is none of that name

inline bool set_shared(config::Listener& listener, const std::string& key, const std::string& value) {
  using namespace config;
  if (key == "mode") return listener.mode = tls_mode(value), true;
  if (key == "ehlo.name") return listener.ehlo.name = value, true;
  if (key == "ehlo.hide") return listener.ehlo.hide = words(value), true;
  if (key == "ehlo.pass") return listener.ehlo.pass = words(value), true;
  if (key == "ehlo.add") return listener.ehlo.add = words(value), true;
  if (key == "ehlo.size_limit") return listener.ehlo.size_limit = parse_byte_size(value).value(), true;
  if (key == "limits.errors") return listener.limits.errors = number(value), true;
  if (key == "limits.command_length") return listener.limits.command_length = number(value), true;
  if (key == "bare_newline") {
    listener.bare_newline = choose<BareNewline>(
        {{"normalize", BareNewline::normalize}, {"reject", BareNewline::reject}, {"pass", BareNewline::pass}}, value);
    return true;
  }
  return false;
}

inline bool set_option(inbound_rig::Options& options, const std::string& key, const std::string& value) {
  using namespace config;
  auto& listener = options.listener;
  if (key == "backend.tls") return listener.backend.tls = tls_mode(value), true;
  if (key == "require_tls") return listener.require_tls = yes_no(value), true;
  if (key == "auth_requires_tls") return listener.auth_requires_tls = yes_no(value), true;
  if (key == "greeting") {
    listener.greeting =
        choose<GreetingMode>({{"backend", GreetingMode::backend}, {"gateway", GreetingMode::gateway}}, value);
    return true;
  }
  if (key == "client_address") {
    listener.backend.client_address =
        choose<ClientAddress>({{"none", ClientAddress::none}, {"xclient", ClientAddress::xclient}}, value);
    return true;
  }
  if (key == "client_certificates") {
    listener.client_certificates.mode = choose<ClientCertificateMode>(
        {{"request", ClientCertificateMode::request}, {"require", ClientCertificateMode::require}}, value);
    return true;
  }
  if (key == "allow_domains") {
    auto& domains = listener.recipients.allow_domains;
    if (!domains) domains.emplace();
    for (const auto& word : words(value)) domains->push_back(parse_domain_pattern(word).value());
    return true;
  }
  return false;
}

inline bool set_option(outbound_rig::Options& options, const std::string& key, const std::string& value) {
  if (key != "route") return false;
  options.greets_itself = choose<bool>({{"mx", true}, {"relay", false}, {"original_destination", false}}, value);
  return true;
}

// --- files

template <class Options>
void read_head(Script<Options>& script, const std::string& line) {
  const auto colon = line.find(": ");
  REQUIRE(colon != std::string::npos);
  const std::string key = line.substr(0, colon);
  const std::string value = line.substr(colon + 2);
  if (key == "pipelined") return void(script.pipelined = yes_no(value));
  if (key == "cut") return void(script.cut = yes_no(value));
  if (key == "tls_available") return void(script.options.tls_available = yes_no(value));
  if (set_shared(script.options.listener, key, value) || set_option(script.options, key, value)) return;
  FAIL("unknown option " << key);
}

inline Step read_step(const std::string& line) {
  const bool is_word = std::string_view("!?=").find(line[0]) != std::string_view::npos;
  const std::string key = line.substr(0, is_word ? 1 : 2);
  REQUIRE((is_word || key[1] == ':' || key[1] == '>'));
  std::string value = line.size() > key.size() + 1 ? line.substr(key.size() + 1) : "";
  if (!is_word) value = unescape(value) + (key[1] == ':' ? "\r\n" : "");
  return {key, value, {}};
}

template <class Options>
void read(Script<Options>& script, const std::filesystem::path& path, bool in_head) {
  std::ifstream file(path);
  INFO(path.string());
  REQUIRE(file);
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    const std::string place = path.filename().string() + ":" + std::to_string(++number);
    INFO(place << ": " << line);
    if (line.empty() || line[0] == '#') continue;
    if (line == "---") {
      in_head = false;
    } else if (in_head) {
      read_head(script, line);
    } else if (line[0] == '<') {
      read(script, path.parent_path() / (line.substr(2) + ".part"), false);
    } else {
      script.steps.push_back(read_step(line));
      script.steps.back().place = place;
    }
  }
}

template <class Options>
Script<Options> load(const std::filesystem::path& path) {
  Script<Options> script;
  read(script, path, true);
  return script;
}

}  // namespace postern::smtp::conversation
