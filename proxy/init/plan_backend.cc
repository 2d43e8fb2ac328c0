// The server behind: which it is, where, and how it learns who a client is.
#include <algorithm>
#include <array>

#include "config/diagnostic.h"
#include "proxy/init/listening.h"
#include "proxy/init/planner.h"
#include "proxy/init/postfix_files.h"
#include "proxy/init/yaml_text.h"

namespace postern::init {
namespace {

using config::ClientAddress;
using config::quote;

constexpr std::uint16_t usual_backend_port = 2525;
constexpr std::uint16_t usual_submission_backend_port = 2587;
constexpr const char* exim_user = "Debian-exim";
constexpr const char* qmail_smtpd = "/var/qmail/bin/qmail-smtpd";

// Which of the servers that we know a program on port 25 belongs to.
std::string server_of(const std::string& program) {
  constexpr std::array<std::array<const char*, 2>, 6> known = {{{"master", "postfix"},
                                                                {"smtpd", "postfix"},
                                                                {"tcpserver", "qmail"},
                                                                {"qmail-smtpd", "qmail"},
                                                                {"exim4", "exim"},
                                                                {"exim", "exim"}}};
  const auto* const found = std::ranges::find_if(known, [&program](const auto& each) { return program == each[0]; });
  return found == known.end() ? std::string() : (*found)[1];
}

}  // namespace

bool tells_exim(const config::Backend& backend) {
  const auto says = [&backend](std::string_view text) {
    return std::ranges::any_of(backend.exec, [text](const auto& word) { return word.find(text) != word.npos; });
  };
  return (says("exim") || says("sendmail")) && says("-oMa");
}

std::string Planner::usual_user() const {
  const std::string of_server = plan_.behind == Behind::qmail ? "qmaild" : "postern";
  const std::string user = tells_exim(plan_.backend) ? exim_user : of_server;
  return facts_.has_user(user) && (facts_.is_root || !wishes_.by_environment) ? user : std::string();
}

bool Planner::exim_is_told() const {
  const std::string user = wishes_.has(Wish::user) ? wishes_.text(Wish::user) : usual_user();
  return user.empty() ? facts_.is_root : user == exim_user || user == "root";
}

std::vector<std::string> Planner::backends_found() const {
  std::vector<std::string> found;
  if (facts_.qmail.found) found.emplace_back("qmail");
  if (facts_.postfix.found) found.emplace_back("postfix");
  if (facts_.exim.found) found.emplace_back("exim");
  if (found.size() < 2) return found;
  const Listening* const on_mail_port = facts_.listener_on(25);
  const std::string serves = on_mail_port == nullptr ? "" : server_of(on_mail_port->program);
  if (std::ranges::find(found, serves) != found.end()) return {serves};
  return found;
}

bool Planner::backend() {
  if (wishes_.has(Wish::backend)) return take_backend(wishes_.words(Wish::backend));
  const std::vector<std::string> found = backends_found();
  if (found.size() == 1) return take_backend(found);
  if (!found.empty()) {
    std::string names;
    for (const std::string& name : found) names.append(names.empty() ? "" : ", ").append(name);
    return ask({Wish::backend, "Several mail servers are installed: " + names + ". Which one stands behind?"});
  }
  return ask({Wish::backend,
              "No qmail, Postfix or Exim was found. What stands behind? ADDRESS:PORT, or exec PROGRAM, which is "
              "started for each session."});
}

bool Planner::take_backend(const std::vector<std::string>& words) {
  const std::string& first = words.front();
  if (words.size() == 1) {
    if (first == "qmail") return qmail();
    if (first == "postfix") return postfix();
    if (first == "exim") return exim();
  }
  if (first != "exec") return addresses(words);
  return program({words.begin() + 1, words.end()});
}

bool Planner::qmail() {
  if (!facts_.qmail.found) {
    return refuse(Wish::backend, std::string(qmail_smtpd) + " is not there: say exec PROGRAM, or its address");
  }
  plan_.behind = Behind::qmail;
  plan_.backend.exec = {qmail_smtpd};
  return true;
}

bool Planner::program(const std::vector<std::string>& words) {
  if (words.empty()) return refuse(Wish::backend, "exec needs a program: exec PROGRAM ARGUMENTS");
  if (!words[0].starts_with('/')) {
    return refuse(Wish::backend, quote(words[0]) + " is not an absolute path: write where the program is");
  }
  for (const std::string& word : words) {
    if (!can_be_written(word)) return refuse(Wish::backend, quote(word) + unwritable);
    // With -bs and no -oMa these take every client for a local one, and relay (see `check`).
    const bool is_sendmail = word.find("exim") != word.npos || word.find("sendmail") != word.npos;
    const auto says = [&words](const char* text) {
      return std::ranges::any_of(words, [text](const auto& each) { return each.find(text) != each.npos; });
    };
    if (is_sendmail && says("-bs") && !says("-oMa")) {
      return refuse(Wish::backend,
                    "this program takes a session with -bs for a local one, and relays for it: say "
                    "exim, or have a script tell it the client with -oMa");
    }
  }
  plan_.behind = Behind::program;
  plan_.backend.exec = words;
  return true;
}

bool Planner::postfix() {
  if (!facts_.postfix.found) return refuse(Wish::backend, "there is no Postfix on this machine: give its address");
  plan_.behind = Behind::postfix;
  plan_.backend.client_address = ClientAddress::xclient;
  const PostfixService* inside = nullptr;  // that already listens where only this machine gets to
  std::vector<const PostfixService*> outside;
  for (const PostfixService& service : facts_.postfix.services) {
    const auto address = own_address(service);
    const std::uint16_t port = port_of(service);
    const bool is_inside = address && address->kind == config::Endpoint::Kind::ip && is_loopback(address->address) &&
                           service.program == "smtpd" && port != 25 && use_of(port) == PortUse::mail &&
                           !is_own_port(port);
    // Behind a content filter, mail comes back without the client that it came from (10025, 10026).
    const bool is_filter = is_inside && port / 10 == 1002;
    if (is_inside && !is_filter && (service.trusts_xclient || service.takes_proxy || inside == nullptr)) {
      inside = &service;
    }
    if (port == mail_port) outside.push_back(&service);
  }
  const bool ready = inside != nullptr && (outside.empty() || inside->trusts_xclient || inside->takes_proxy);
  if (ready) {
    plan_.backend.addresses = {*own_address(*inside)};
    if (inside->takes_proxy) plan_.backend.client_address = ClientAddress::proxy_v2;
  } else {
    plan_.backend.addresses = {local_address(usual_backend_port)};
  }
  const std::string behind = config::to_string(plan_.backend.addresses[0]);
  if (outside.empty() && !ready) plan_.moved.push_back({{}, behind});
  const bool stays = !is_own_port(mail_port);
  bool placed = ready;
  for (const PostfixService* service : outside) {
    if (placed && stays) break;
    plan_.moved.push_back({*service, placed ? "" : behind, stays});
    if (!placed && service->takes_proxy) plan_.backend.client_address = ClientAddress::proxy_v2;
    placed = true;
  }
  postfix_submission();
  return true;
}

void Planner::postfix_submission() {
  const bool wanted =
      std::ranges::any_of(plan_.ports, [](const PlannedPort& port) { return port.use != PortUse::mail; });
  if (!wanted || plan_.submission) return;
  // One that was moved behind by an earlier run, and is told the client as the other is.
  const bool by_proxy = plan_.backend.client_address == ClientAddress::proxy_v2;
  for (const PostfixService& service : facts_.postfix.services) {
    const auto address = own_address(service);
    const bool is_told = service.takes_proxy == by_proxy && (by_proxy || service.trusts_xclient);
    const bool is_inside = address && address->kind == config::Endpoint::Kind::ip && is_loopback(address->address);
    const bool fits = is_inside && is_told && service.program == "smtpd" &&
                      use_of(address->port) == PortUse::submission && !is_own_port(address->port);
    if (fits && !plan_.submission) plan_.submission = address;
  }
  bool placed = plan_.submission.has_value();
  for (const PostfixService& service : facts_.postfix.services) {
    const std::uint16_t port = port_of(service);
    if ((port != 465 && port != 587) || (plan_.submission && own_address(service) == plan_.submission)) continue;
    if (!plan_.submission) plan_.submission = local_address(usual_submission_backend_port);
    const bool stays = !is_own_port(port);
    if (placed && stays) continue;
    plan_.moved.push_back({service, placed ? "" : config::to_string(*plan_.submission), stays});
    placed = true;
  }
}

bool Planner::exim() {
  if (!facts_.exim.found) return refuse(Wish::backend, "there is no Exim on this machine: give its address");
  plan_.behind = Behind::exim;
  if (facts_.exim.knows_proxy) {
    plan_.backend.addresses = {local_address(usual_backend_port)};
    plan_.backend.client_address = ClientAddress::proxy_v2;
  } else {
    plan_.backend.exec = {"/bin/sh", "-c", "exec " + facts_.exim.program + " -bs -oMa \"$TCPREMOTEIP\""};
  }
  return true;
}

bool Planner::is_here(const config::Endpoint& address) {
  return address.kind == config::Endpoint::Kind::ip ? is_loopback(address.address) || is_any(address.address)
                                                    : address.name == "localhost";
}

bool Planner::is_ours(const config::Endpoint& address) const {
  return is_here(address) && is_own_port(address.port);
}

bool Planner::addresses(const std::vector<std::string>& words) {
  plan_.behind = Behind::address;
  for (const std::string& text : words) {
    auto address = config::parse_endpoint(text);
    if (!address) {
      const bool is_word = text.find_first_of(":./") == text.npos;
      return refuse(Wish::backend, is_word ? quote(text) + " is none of ADDRESS:PORT, qmail, postfix, exim and exec"
                                           : address.error().message);
    }
    if (is_ours(*address)) {
      return refuse(Wish::backend, quote(text) +
                                       " is where Postern itself is to listen: have the server listen on "
                                       "another port, and name that");
    }
    if (!can_be_written(text)) return refuse(Wish::backend, quote(text) + unwritable);
    if (std::ranges::find(plan_.backend.addresses, *address) != plan_.backend.addresses.end()) {
      return refuse(Wish::backend, quote(text) + " is given twice");
    }
    plan_.backend.addresses.push_back(std::move(*address));
  }
  return true;
}

bool Planner::client_address() {
  using enum ClientAddress;
  const std::string said = wishes_.text(Wish::client_address);
  if (said.empty()) {
    if (plan_.behind != Behind::address || !surroundings_.ask_server) return true;
    const auto offers = [this](const auto& address) { return surroundings_.ask_server(address).has_xclient; };
    plan_.found_xclient =
        std::ranges::all_of(plan_.backend.addresses, offers) && (!plan_.submission || offers(*plan_.submission));
    if (plan_.found_xclient) plan_.backend.client_address = xclient;
    return true;
  }
  const std::array ways = {none, xclient, proxy_v1, proxy_v2, transparent};
  const auto* const way = std::ranges::find(ways, said, [](auto each) { return config::to_string(each); });
  if (way == ways.end()) {
    return refuse(Wish::client_address, quote(said) + " is none of xclient, proxy_v1, proxy_v2, transparent and none");
  }
  if (!plan_.backend.exec.empty() && *way != none) {
    return refuse(Wish::client_address, "a program learns the client's address from its environment: leave this out");
  }
  const bool by_socket = std::ranges::any_of(
      plan_.backend.addresses, [](const auto& address) { return address.kind == config::Endpoint::Kind::unix_socket; });
  if (by_socket && *way == transparent) {
    return refuse(Wish::client_address, "transparent is impossible over a unix socket");
  }
  plan_.backend.client_address = *way;
  return true;
}

}  // namespace postern::init
