#include "config/kinds.h"

#include <charconv>
#include <limits>

#include "config/text.h"

namespace postern::config {
namespace {

std::string text_of(const DomainPattern& pattern) {
  return pattern.text;
}
std::string text_of(const std::string& text) {
  return text;
}
template <class V>
std::string text_of(const V& value) {
  return to_string(value);
}

// A kind whose text has its own parser. The parser's sentence says what is wrong.
template <class V, class Parse>
Kind<V> parsed(const std::string& expected, Parse parse) {
  Kind<V> kind;
  kind.expected = expected;
  kind.read = [parse, expected](const Cursor& cursor, V& out) {
    const std::string* value = cursor.text(expected);
    if (value == nullptr) return;
    Result<V> result = parse(*value);
    if (!result) return cursor.error(result.error().message);
    out = *std::move(result);
  };
  kind.print = [](const V& value) {
    const std::string text = text_of(value);
    return text.empty() ? text : print_yaml_text(text);
  };
  return kind;
}

// The same for an ordered quantity with bounds.
template <class V, class Parse>
Kind<V> bounded(const std::string& noun, V least, V most, Parse parse) {
  const std::string range = "from " + to_string(least) + " to " + to_string(most);
  return parsed<V>(noun + " " + range, [=](std::string_view text) -> Result<V> {
    auto value = parse(text);
    if (!value || (*value >= least && *value <= most)) return value;
    return fail(Errc::invalid_argument, quote(text) + " is out of bounds: give " + noun + " " + range);
  });
}

// "25", ":25", "*:25", "any:25": a port, and in other programs' words every address.
std::string_view port_of_every_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  const std::string_view address = colon == std::string_view::npos ? "" : text.substr(0, colon);
  const std::string_view port = colon == std::string_view::npos ? text : text.substr(colon + 1);
  const bool every = address.empty() || address == "*" || address == "any" || address == "all" || address == "0";
  return every && whole_number<std::uint16_t>(port) ? port : std::string_view();
}

Result<Endpoint> parse_listen_address(std::string_view text) {
  if (const std::string port(port_of_every_address(text)); !port.empty()) {
    return fail(Errc::invalid_argument, quote(text) + " is no address and port: for all addresses write \"0.0.0.0:" +
                                            port + "\" and \"[::]:" + port + "\"");
  }
  auto endpoint = parse_endpoint(text);
  if (!endpoint || endpoint->kind == Endpoint::Kind::ip) return endpoint;
  if (endpoint->kind == Endpoint::Kind::unix_socket) {
    return fail(Errc::unsupported, "listening on a unix socket is not supported: give an IP address and a port");
  }
  return fail(Errc::invalid_argument,
              quote(endpoint->name) + " is a name; listening needs an IP address, such as 0.0.0.0:25 or [::]:25");
}

Result<Endpoint> parse_connect_address(std::string_view text) {
  if (const std::string port(port_of_every_address(text)); !port.empty()) {
    return fail(Errc::invalid_argument,
                quote(text) + " is no address and port: for this machine write \"127.0.0.1:" + port + "\"");
  }
  auto endpoint = parse_endpoint(text);
  if (!endpoint || endpoint->kind == Endpoint::Kind::unix_socket || endpoint->port != 0) return endpoint;
  return fail(Errc::invalid_argument, "port 0 cannot be connected to: give the port that the server listens on");
}

// Unlike a server's, its port goes without saying.
Result<Endpoint> parse_name_server(std::string_view text) {
  constexpr std::uint16_t domain_port = 53;
  if (text == "recursive") return fail(Errc::invalid_argument, "recursive stands alone: write servers: recursive");
  const bool bracketed = text.size() > 2 && text.front() == '[' && text.back() == ']';
  const auto address = parse_ip_address(bracketed ? text.substr(1, text.size() - 2) : text);
  if (address) return Endpoint{.kind = Endpoint::Kind::ip, .address = *address, .name = {}, .port = domain_port};
  auto endpoint = parse_connect_address(text);
  if (endpoint && endpoint->kind == Endpoint::Kind::ip) return endpoint;
  return fail(Errc::invalid_argument,
              quote(text) + " is not the IP address of a name server, such as 127.0.0.1 or [::1]:53");
}

Result<std::string> parse_server_name(std::string_view text) {
  if (is_host_name(text)) return std::string(text);
  return fail(Errc::invalid_argument, quote(text) + " is not a host name such as mail.example.org");
}

// OpenSSL writes a colon between every two digits.
Result<std::string> parse_fingerprint(std::string_view text) {
  constexpr std::size_t digit_count = 64;
  const bool colons = text.size() == digit_count / 2 * 3 - 1;
  std::string found;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_separator = colons && i % 3 == 2;
    if (is_separator && text[i] == ':') continue;
    if (is_separator || hex_value(text[i]) < 0) break;
    found += lower(text[i]);
  }
  if (found.size() == digit_count && (colons || text.size() == digit_count)) return found;
  return fail(Errc::invalid_argument, quote(text) +
                                          " is not a SHA-256 fingerprint: give 64 hexadecimal digits, "
                                          "with a colon between every two or with none");
}

// RFC 5321 has no '_' and no '.', and some servers do.
Result<std::string> parse_keyword(std::string_view text) {
  const bool valid =
      !text.empty() && text.size() <= 64 && is_alphanumeric(text.front()) &&
      std::ranges::all_of(text, [](char c) { return is_alphanumeric(c) || c == '-' || c == '_' || c == '.'; });
  if (!valid) {
    return fail(Errc::invalid_argument,
                quote(text) + " is not an EHLO keyword: give one word of letters, digits and hyphens");
  }
  return upper_case(text);
}

// "yes" is a boolean to some YAML readers and a text to others: say what was meant instead of guessing.
std::string boolean_meant_by(std::string_view text) {
  const std::string word = upper_case(text.substr(0, 8));
  if (word == "YES" || word == "Y" || word == "ON" || word == "TRUE" || word == "1") return "; write true";
  if (word == "NO" || word == "N" || word == "OFF" || word == "FALSE" || word == "0") return "; write false";
  return "";
}

Kind<std::uint32_t> number(const std::string& expected, std::uint32_t least, std::uint32_t most,
                           bool may_be_hexadecimal = false) {
  const auto read = [=](const Cursor& cursor, std::uint32_t& out) {
    const std::string* value = cursor.bare_text(expected);
    if (value == nullptr) return;
    std::uint32_t parsed_number = 0;
    const bool hexadecimal = may_be_hexadecimal && value->starts_with("0x");
    const char* begin = value->data() + (hexadecimal ? 2 : 0);
    const char* end = value->data() + value->size();
    const auto [rest, problem] = std::from_chars(begin, end, parsed_number, hexadecimal ? 16 : 10);
    const bool in_bounds = parsed_number >= least && parsed_number <= most;
    if (problem != std::errc() || rest != end || !in_bounds) return cursor.error_expected(expected);
    if (!hexadecimal && value->size() > 1 && value->starts_with('0')) {
      return cursor.error(quote(*value) + " is octal to some readers of YAML and decimal to others: write " +
                          std::to_string(parsed_number));
    }
    out = parsed_number;
  };
  return {expected, read, [](const std::uint32_t& value) { return std::to_string(value); }};
}

// Plain YAML scalars that cannot be taken for anything else, inside [ ] and { } too.
bool is_safe_plain(std::string_view text) {
  constexpr std::string_view inner = "-_./:+*!@";
  return !text.empty() && (is_alphanumeric(text.front()) || text.front() == '/' || text.front() == '.') &&
         text.back() != ':' && std::ranges::all_of(text, [&](char c) {
           return is_alphanumeric(c) || inner.find(c) != std::string_view::npos;
         });
}

}  // namespace

std::string print_yaml_text(std::string_view text) {
  const bool plain = is_safe_plain(text) && text != "null" && text != "Null" && text != "NULL";
  std::string printed;
  for (const char c : text) {
    if (!plain && (c == '"' || c == '\\')) printed += '\\';
    if (c == '$') printed += '$';
    printed += c;
  }
  return plain ? printed : "\"" + printed + "\"";
}

std::string as_list(std::string_view text) {
  constexpr std::size_t longest = 80;
  if (text.size() > longest || text.empty() || std::ranges::any_of(text, is_control)) return "[VALUE]";
  const char separator = text.starts_with('/') ? ' ' : ',';  // a command and its arguments
  std::string list;
  while (true) {
    const std::size_t comma = text.find(separator);
    std::string_view item = text.substr(0, comma);
    item.remove_prefix(std::min(item.find_first_not_of(' '), item.size()));
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (!item.empty()) list += (list.empty() ? "[" : ", ") + print_yaml_text(item);
    if (comma == std::string_view::npos) return list.empty() ? "[VALUE]" : list + "]";
    text.remove_prefix(comma + 1);
  }
}

// Programs that write YAML turn a bare "off" into "false".
std::string word_for_boolean(std::string_view text, const std::vector<std::string_view>& words) {
  const std::string meant = boolean_meant_by(text);
  const std::string_view word = meant.ends_with("true") ? "on" : "off";
  if (meant.empty() || std::ranges::find(words, word) == words.end()) return {};
  return "; write \"" + std::string(word) + "\", with its quotes where a program writes this file";
}

std::string enumerate(const std::vector<std::string_view>& words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
    text += words[i];
  }
  return text;
}

Kind<bool> boolean() {
  const std::string expected = "true or false";
  const auto read = [expected](const Cursor& cursor, bool& out) {
    const std::string* value = cursor.bare_text(expected);
    if (value == nullptr) return;
    if (*value != "true" && *value != "false") {
      return cursor.error("expected true or false, not " + quote(*value) + boolean_meant_by(*value));
    }
    out = *value == "true";
  };
  return {expected, read, [](const bool& value) { return std::string(value ? "true" : "false"); }};
}

Kind<std::uint32_t> between(std::uint32_t least, std::uint32_t most) {
  return number("a number from " + std::to_string(least) + " to " + std::to_string(most), least, most);
}

Kind<std::uint32_t> auto_or_between(std::uint32_t least, std::uint32_t most) {
  return word_or<std::uint32_t>("auto", 0, number("auto or " + between(least, most).expected, least, most));
}

Kind<Duration> between(Duration least, Duration most) {
  return bounded("a duration", least, most, parse_duration);
}

Kind<ByteSize> between(ByteSize least, ByteSize most) {
  return bounded("a size", least, most, parse_byte_size);
}

Kind<std::string> text(const std::string& expected) {
  return parsed<std::string>(expected,
                             [](std::string_view value) -> Result<std::string> { return std::string(value); });
}

Kind<std::string> required_text(const std::string& expected) {
  return parsed<std::string>(expected, [expected](std::string_view value) -> Result<std::string> {
    if (value.empty()) return fail(Errc::invalid_argument, "expected " + expected + ", not an empty text");
    return std::string(value);
  });
}

Kind<std::string> file(FileUse use, Kind<std::string> path) {
  path.use = use;
  return path;
}

Kind<std::string> host_name(const std::string& expected) {
  return parsed<std::string>(expected, [](std::string_view value) -> Result<std::string> {
    return value.empty() ? std::string() : parse_server_name(value);
  });
}

Kind<std::string> server_name() {
  return parsed<std::string>("a host name such as mail.example.org", parse_server_name);
}

Kind<std::string> fingerprint() {
  return parsed<std::string>("a SHA-256 fingerprint of 64 hexadecimal digits", parse_fingerprint);
}

Kind<std::uint16_t> port() {
  const Kind<std::uint32_t> wide = between(1, 65535);
  const auto read = [wide](const Cursor& cursor, std::uint16_t& out) {
    std::uint32_t value = out;
    wide.read(cursor, value);
    out = static_cast<std::uint16_t>(value);
  };
  return {wide.expected, read, [](const std::uint16_t& value) { return std::to_string(value); }};
}

Kind<std::uint32_t> socket_mark() {
  constexpr std::uint32_t most = std::numeric_limits<std::uint32_t>::max();
  return number("a number from 0 to " + std::to_string(most) + ", or one such as 0x2525", 0, most, true);
}

Kind<std::string> ehlo_keyword() {
  return parsed<std::string>("an EHLO keyword", parse_keyword);
}

Kind<Network> network() {
  return parsed<Network>("a network such as 10.0.0.0/8", parse_network);
}

Kind<DomainPattern> domain() {
  return parsed<DomainPattern>("a domain such as example.org", parse_domain_pattern);
}

Kind<Endpoint> listen_address() {
  return parsed<Endpoint>("an address and port such as 0.0.0.0:25", parse_listen_address);
}

Kind<Endpoint> admin_address() {
  const auto parse = [](std::string_view text) {
    auto endpoint = parse_endpoint(text);
    return endpoint && endpoint->kind == Endpoint::Kind::unix_socket ? endpoint : parse_listen_address(text);
  };
  return parsed<Endpoint>("an address and port such as 127.0.0.1:9025, or unix:PATH", parse);
}

Kind<Endpoint> name_server() {
  return parsed<Endpoint>("an IP address such as 127.0.0.1 or [::1]:53", parse_name_server);
}

Kind<Endpoint> connect_address() {
  return parsed<Endpoint>("an address and port such as 127.0.0.1:2525", parse_connect_address);
}

}  // namespace postern::config
