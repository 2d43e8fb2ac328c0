#include "proxy/intercept/ruleset.h"

#include <algorithm>
#include <string_view>

#include "config/text.h"
#include "proxy/intercept/reach.h"

namespace postern::intercept {

namespace {

using config::Endpoint;
using config::Interception;
using config::IpAddress;
using config::Network;
using Family = IpAddress::Family;

constexpr std::string_view local_is_left_alone = "# SMTP to this machine itself is left alone.";
constexpr std::string_view none_go_on = "# Sessions from before these rules, and all else, do not go on in plaintext.";

std::string hexadecimal(std::uint32_t number) {
  std::string text = "0x";
  config::append_hex(text, number, 8);
  return text;
}

// "25", or "{ 25, 587 }".
std::string set_of(const std::vector<std::string>& items) {
  return items.size() == 1 ? items.front() : "{ " + config::listed(items) + " }";
}

std::string port_set(const std::vector<std::uint16_t>& ports) {
  return ports.size() == 1 ? listed_ports(ports) : "{ " + listed_ports(ports) + " }";
}

// What of `networks` is of the family; empty: nothing.
std::string sources(const std::vector<Network>& networks, Family family) {
  std::vector<std::string> texts;
  for (const Network& network : networks) {
    if (network.address.family != family) continue;
    if (network.prefix_length == 0) return family == Family::v4 ? "meta nfproto ipv4" : "meta nfproto ipv6";
    texts.push_back(config::to_string(network));
  }
  if (texts.empty()) return {};
  return (family == Family::v4 ? "ip saddr " : "ip6 saddr ") + set_of(texts);
}

std::string_view protocol(Family family) {
  return family == Family::v4 ? "ip" : "ip6";
}

// Where REDIRECT leads to on its own: of a machine's own connections loopback, of others the interface's address.
std::string led_to(const Endpoint& at, bool from_here) {
  const std::string address = config::to_string(at.address);
  const bool first_of_loopback = address == "127.0.0.1" || address == "::1";
  if (is_any(at.address) || (from_here && first_of_loopback)) return "redirect to :" + std::to_string(at.port);
  return "dnat " + std::string(protocol(at.address.family)) + " to " + config::to_string(at);
}

std::string taken_to(const Endpoint& at) {
  const std::string where = is_any(at.address) ? ":" + std::to_string(at.port) : config::to_string(at);
  return "tproxy " + std::string(protocol(at.address.family)) + " to " + where;
}

class Writer {
 public:
  explicit Writer(const Plan& plan)
      : plan_(plan), to_ports_("tcp dport " + port_set(plan.ports)), mark_(hexadecimal(plan.names.number)) {}

  std::string table() {
    prerouting_of_transparent();
    prerouting_of_redirect();
    output_of_tproxy();
    output_of_redirect();
    output_behind();
    answers_of_this_machine();
    forward();
    std::string text = "table inet " + plan_.names.table + " {\n";
    text += "    comment \"" + comment() + "\"\n";
    return text + chains_ + "}\n";
  }

 private:
  void chain(std::string_view name, std::string_view hook, const std::vector<std::string>& lines) {
    if (lines.empty()) return;
    chains_.append("    chain ").append(name).append(" {\n        type ").append(hook).append(";\n");
    for (const std::string& line : lines) chains_.append("        ").append(line).append("\n");
    chains_ += "    }\n";
  }

  bool any(bool Catch::*who, Interception by) const {
    return std::ranges::any_of(plan_.catches, [&](const Catch& one) { return one.*who && one.by == by; });
  }

  // Connections that Postern has under addresses that are not this machine's, and those that are to become such.
  void prerouting_of_transparent() {
    std::vector<std::string> lines;
    const std::string to_here = " socket transparent 1 meta mark set " + mark_ + " accept";
    if (plan_.needs_routes()) lines.emplace_back("# What belongs to connections that Postern has ends here.");
    if (plan_.has(Interception::tproxy)) lines.push_back(to_ports_ + to_here);
    if (!plan_.answering_ports.empty()) lines.push_back("tcp sport " + port_set(plan_.answering_ports) + to_here);
    if (plan_.has(Interception::tproxy)) {
      lines.emplace_back(local_is_left_alone);
      lines.emplace_back("fib daddr type local return");
    }
    for (const Catch& one : plan_.catches) {
      if (one.by != Interception::tproxy) continue;
      for (const auto& at : {one.v4, one.v6}) {
        if (!at) continue;
        const std::string family = at->address.family == Family::v4 ? "ipv4 " : "ipv6 ";
        if (one.host) {
          lines.push_back("iifname \"lo\" meta mark " + mark_ + " meta nfproto " + family + to_ports_ + " " +
                          taken_to(*at) + " accept");
        }
        const std::string from = one.router ? sources(one.from, at->address.family) : std::string();
        if (!from.empty()) {
          lines.push_back(from + " " + to_ports_ + " " + taken_to(*at) + " meta mark set " + mark_ + " accept");
        }
      }
    }
    // The kernel itself would not answer in the name of a foreign address.
    if (any(&Catch::host, Interception::tproxy)) {
      lines.emplace_back(none_go_on);
      lines.push_back("iifname \"lo\" meta mark " + mark_ + " " + to_ports_ + " reject with tcp reset");
    }
    chain("prerouting_transparent", "filter hook prerouting priority mangle", lines);
  }

  void prerouting_of_redirect() {
    if (!any(&Catch::router, Interception::redirect)) return;
    std::vector<std::string> lines = {std::string(local_is_left_alone), "fib daddr type local return"};
    for (const Catch& one : plan_.catches) {
      if (!one.router || one.by != Interception::redirect) continue;
      for (const auto& at : {one.v4, one.v6}) {
        const std::string from = at ? sources(one.from, at->address.family) : std::string();
        if (!from.empty()) lines.push_back(from + " " + to_ports_ + " " + led_to(*at, false));
      }
    }
    chain("prerouting_redirect", "nat hook prerouting priority dstnat", lines);
  }

  std::vector<std::string> without_own() const {
    std::vector<std::string> lines = {"# Postern's own connections go out as they are."};
    std::vector<std::string> marks;
    for (const std::uint32_t mark : plan_.own.marks) marks.push_back(hexadecimal(mark));
    if (!marks.empty()) lines.push_back("meta mark " + set_of(marks) + " return");
    if (plan_.own.user) lines.push_back("meta skuid " + std::to_string(*plan_.own.user) + " return");
    for (const Endpoint& server : plan_.own.servers) {
      lines.push_back(std::string(protocol(server.address.family)) + " daddr " + config::to_string(server.address) +
                      " tcp dport " + std::to_string(server.port) + " return");
    }
    lines.emplace_back(local_is_left_alone);
    lines.emplace_back("fib daddr type local return");
    return lines;
  }

  // A connection that is closed has no user any more, but packets still. Of ours these go the way of those before; of
  // others, too, so that it does not do to leave alone what has no user. Marks of somebody else's are let be.
  std::vector<std::string> without_closed_own() const {
    if (!plan_.own.user) return {};
    const std::string own = hexadecimal(plan_.names.number + 0x1'0000U);
    return {
        "# Once closed, they are known by what they were before.",
        "meta skuid " + std::to_string(*plan_.own.user) + " " + to_ports_ + " ct mark 0x00000000 ct mark set " + own,
        "ct mark " + own + " return"};
  }

  // They come in again by `lo`, where they can be taken.
  void output_of_tproxy() {
    if (!any(&Catch::host, Interception::tproxy)) return;
    std::vector<std::string> lines = without_closed_own();
    for (std::string& line : without_own()) lines.push_back(std::move(line));
    for (const Catch& one : plan_.catches) {
      if (!one.host || one.by != Interception::tproxy) continue;
      for (const auto& at : {one.v4, one.v6}) {
        if (!at) continue;
        lines.push_back(std::string("meta nfproto ") + (at->address.family == Family::v4 ? "ipv4 " : "ipv6 ") +
                        to_ports_ + " meta mark set " + mark_);
      }
    }
    chain("output_transparent", "route hook output priority mangle", lines);
  }

  void output_of_redirect() {
    if (!any(&Catch::host, Interception::redirect)) return;
    std::vector<std::string> lines = without_own();
    for (const Catch& one : plan_.catches) {
      if (!one.host || one.by != Interception::redirect) continue;
      for (const auto& at : {one.v4, one.v6}) {
        if (!at) continue;
        lines.push_back(std::string("meta nfproto ") + (at->address.family == Family::v4 ? "ipv4 " : "ipv6 ") +
                        to_ports_ + " " + led_to(*at, true));
      }
    }
    chain("output_redirect", "nat hook output priority -100", lines);
  }

  void output_behind() {
    if (std::ranges::none_of(plan_.catches, &Catch::host)) return;
    std::vector<std::string> lines = without_own();
    if (any(&Catch::host, Interception::tproxy)) lines.push_back("meta mark " + mark_ + " return");
    lines.emplace_back(none_go_on);
    // Not so what has no user: it is the end of a connection that is closed, of which nobody would hear.
    const std::string others = plan_.own.user ? "meta skuid != " + std::to_string(*plan_.own.user) + " " : "";
    lines.push_back(others + to_ports_ + " reject with tcp reset");
    chain("output", "filter hook output priority filter", lines);
  }

  // A server on this machine: its answers, to whomever, would leave without having come in.
  void answers_of_this_machine() {
    if (!plan_.clients_addresses_behind) return;
    chain("output_answers", "route hook output priority mangle",
          {"# What servers on this machine answer to connections under the addresses of clients ends here, too.",
           "tcp dport " + port_set(plan_.answering_ports) +
               " fib saddr type != local fib daddr type local ct mark set " + mark_,
           "ct direction reply ct mark " + mark_ + " meta mark set " + mark_});
  }

  void forward() {
    std::vector<std::string> lines;
    for (const Catch& one : plan_.catches) {
      for (const Family family : {Family::v4, Family::v6}) {
        const std::string from = one.router ? sources(one.from, family) : std::string();
        if (!from.empty()) lines.push_back(from + " " + to_ports_ + " reject with tcp reset");
      }
    }
    if (!lines.empty()) lines.insert(lines.begin(), std::string(none_go_on));
    chain("forward", "filter hook forward priority filter", lines);
  }

  // A string of nft has no way to write a quotation mark, and 128 octets.
  std::string comment() const {
    constexpr std::size_t most = 100;
    std::string text;
    for (const char c : plan_.config) {
      const bool plain = config::is_alphanumeric(c) || std::string_view("/._-+=@, ").find(c) != std::string_view::npos;
      text += plain ? c : '?';
    }
    return text.size() > most ? text.substr(text.size() - most) : text;
  }

  const Plan& plan_;
  std::string to_ports_;
  std::string mark_;
  std::string chains_;
};

std::string shown(const Words& words, const char* family) {
  std::string line = std::string("# ip ") + family;
  for (const std::string& word : words) line += " " + word;
  return line + "\n";
}

}  // namespace

std::string rules_without(const Names& names) {
  return "table inet " + names.table + "\ndelete table inet " + names.table + "\n";
}

std::string rules_of(const Plan& plan) {
  std::string text = "# postern intercept, for " + config::without_controls(plan.config) + "\n";
  for (const std::string& note : plan.notes) text += "# " + config::without_controls(note) + "\n";
  if (plan.needs_routes()) {
    text += "# The rules need these, which nft does not know:\n";
    for (const char* family : {"-4", "-6"}) {
      text += shown(rule_words(plan.names, "add"), family) + shown(route_words(plan.names, "replace"), family);
    }
  }
  return text + rules_without(plan.names) + Writer(plan).table();
}

Words rule_words(const Names& names, const std::string& verb) {
  // Before those of the machine's own, whatever they are.
  return {"rule", verb, "priority", "170", "fwmark", hexadecimal(names.number), "lookup", std::to_string(names.number)};
}

Words route_words(const Names& names, const std::string& verb) {
  return {"route", verb, "local", "default", "dev", "lo", "table", std::to_string(names.number)};
}

}  // namespace postern::intercept
