#include "proxy/init/postfix_files.h"

#include <algorithm>
#include <array>
#include <utility>

#include "config/text.h"
#include "proxy/init/wishes.h"

namespace postern::init {
namespace {

constexpr std::string_view white = " \t\r";

// A line with those that continue it, which begin with a blank (postconf(5)).
struct LogicalLine {
  std::size_t number = 0;
  std::string first = {};  // as it stands
  std::string whole = {};
};

std::vector<LogicalLine> logical_lines(std::string_view text) {
  std::vector<LogicalLine> lines;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t begin = line.find_first_not_of(white);
    if (begin == line.npos || line[begin] == '#') continue;
    if (begin > 0 && !lines.empty()) {
      lines.back().whole.append(" ").append(line.substr(begin));
    } else {
      lines.push_back({number, std::string(line), std::string(line)});
    }
  }
  return lines;
}

std::string trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(white);
  if (begin == text.npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(white) + 1 - begin));
}

// "name=value"
void take_parameter(std::string_view text, PostfixParameters& parameters) {
  const std::size_t equals = text.find('=');
  if (equals == text.npos) return;
  parameters.insert_or_assign(trimmed(text.substr(0, equals)), trimmed(text.substr(equals + 1)));
}

// What a service's command has behind it, each thing whole: "-v", "-o name=value", "-o { name = value }".
std::vector<std::string> arguments_of(const std::vector<std::string>& words) {
  std::vector<std::string> arguments;
  for (std::size_t i = 8; i < words.size(); ++i) {
    std::string& argument = arguments.emplace_back(words[i]);
    if (words[i] != "-o" || i + 1 == words.size()) continue;
    argument.append(" ").append(words[++i]);
    if (!words[i].starts_with('{')) continue;
    while (!argument.ends_with('}') && i + 1 < words.size()) argument.append(" ").append(words[++i]);
  }
  return arguments;
}

// "name=value" of an argument; empty: it is none.
std::string parameter_in(std::string argument) {
  if (!argument.starts_with("-o ")) return {};
  argument.erase(0, 3);
  if (argument.starts_with('{')) argument = argument.substr(1, argument.size() - (argument.ends_with('}') ? 2 : 1));
  return argument;
}

bool is_replaced(const std::string& argument) {
  const std::string parameter = parameter_in(argument);
  const std::string name = trimmed(parameter.substr(0, parameter.find('=')));
  constexpr std::array ours = {"smtpd_tls_security_level", "smtpd_tls_wrappermode", "smtpd_tls_auth_only",
                               "smtpd_authorized_xclient_hosts", "smtpd_upstream_proxy_protocol"};
  return std::ranges::find(ours, name) != ours.end();
}

std::string value_of(const PostfixParameters& parameters, const std::string& name) {
  const auto found = parameters.find(name);
  return found == parameters.end() ? std::string() : found->second;
}

bool lists_loopback(const std::string& hosts) {
  const auto words = split_words(hosts, ", \t\r");
  return std::ranges::any_of(words, [](const std::string& host) {
    const auto network = config::parse_network(host);
    return network && config::contains(*network, *config::parse_ip_address("127.0.0.1"));
  });
}

}  // namespace

PostfixParameters parse_main_cf(std::string_view text) {
  PostfixParameters parameters;
  for (const LogicalLine& line : logical_lines(text)) take_parameter(line.whole, parameters);
  return parameters;
}

std::vector<PostfixService> parse_master_cf(std::string_view text, const PostfixParameters& main) {
  std::vector<PostfixService> services;
  for (const LogicalLine& line : logical_lines(text)) {
    const std::vector<std::string> words = split_words(line.whole, white);
    // service type private unpriv chroot wakeup maxproc command (master(5))
    if (words.size() < 8 || words[1] != "inet") continue;
    PostfixService& service = services.emplace_back();
    service.address = words[0];
    service.program = words[7];
    service.line = line.number;
    service.text = line.first;
    PostfixParameters parameters = main;
    for (const std::string& argument : arguments_of(words)) take_parameter(parameter_in(argument), parameters);
    service.words = words;
    const std::string prefix = service.program == "postscreen" ? "postscreen" : "smtpd";
    service.takes_proxy = value_of(parameters, prefix + "_upstream_proxy_protocol") == "haproxy";
    service.trusts_xclient = lists_loopback(value_of(parameters, "smtpd_authorized_xclient_hosts"));
  }
  return services;
}

std::string moved_line(const PostfixService& service, const std::string& to, config::ClientAddress client_address) {
  std::string line = to + " inet";
  if (service.program == "smtpd") {
    for (std::size_t i = 2; i < 8; ++i) line.append(" ").append(service.words[i]);
    for (const std::string& argument : arguments_of(service.words)) {
      if (!is_replaced(argument)) line.append(" ").append(argument);
    }
  } else {
    line += " n - y - - smtpd";
  }
  line += " -o smtpd_tls_security_level=none -o smtpd_tls_auth_only=no";
  if (client_address == config::ClientAddress::xclient) line += " -o smtpd_authorized_xclient_hosts=127.0.0.1";
  const bool by_proxy =
      client_address == config::ClientAddress::proxy_v1 || client_address == config::ClientAddress::proxy_v2;
  return by_proxy ? line + " -o smtpd_upstream_proxy_protocol=haproxy" : line;
}

std::optional<config::Endpoint> own_address(const PostfixService& service) {
  const std::size_t colon = service.address.rfind(':');
  if (colon == std::string::npos || colon == 0) return std::nullopt;
  const auto endpoint = config::parse_endpoint(service.address);
  if (!endpoint) return std::nullopt;
  return *endpoint;
}

std::uint16_t port_of(const PostfixService& service) {
  const std::string& address = service.address;
  const std::string port = address.substr(address.rfind(':') + 1);  // npos + 1 is 0
  if (port == "smtp") return 25;
  if (port == "submission") return 587;
  if (port == "submissions" || port == "smtps") return 465;
  return config::whole_number<std::uint16_t>(port).value_or(0);
}

}  // namespace postern::init
