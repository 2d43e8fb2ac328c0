#include "proxy/init/plan.h"

#include <algorithm>

#include "config/diagnostic.h"
#include "config/text.h"
#include "proxy/init/listening.h"
#include "proxy/init/planner.h"
#include "proxy/init/yaml_text.h"

namespace postern::init {
namespace {

using config::quote;

constexpr std::uint16_t usual_outbound_port = 10025;

std::optional<std::uint16_t> port_in(const std::string& text) {
  const auto port = config::whole_number<std::uint16_t>(text);
  return port && *port != 0 ? port : std::nullopt;
}

bool is_local_suffix(const std::string& host) {
  return host.ends_with(".localdomain") || host.ends_with(".local") || host == "localhost";
}

}  // namespace

PortUse use_of(std::uint16_t port) {
  if (port % 1000 == submissions_port) return PortUse::implicit;
  return port % 1000 == submission_port ? PortUse::submission : PortUse::mail;
}

bool names_host(const FoundCertificate& certificate, const std::string& host) {
  const std::string name = config::lower_case(host);
  const std::size_t dot = name.find('.');
  const std::string wildcard = dot == name.npos ? std::string() : "*" + name.substr(dot);
  return std::ranges::any_of(certificate.names, [&](const auto& each) { return each == name || each == wildcard; });
}

Decision decide(const Facts& facts, const Wishes& wishes, const Surroundings& surroundings) {
  return Planner(facts, wishes, surroundings).decide();
}

void answer(Wishes& wishes, const Question& question, const std::string& line) {
  const std::string text(config::trim(line));
  const std::string taken = text.empty() ? question.suggestion : text;
  if (question.about == Wish::certificate && taken == "self-signed") return wishes.say(Wish::self_signed, {"yes"});
  wishes.say(question.about, split_words(taken, question.about == Wish::domains ? " \t," : " \t"));
}

Decision Planner::decide() {
  const bool complete =
      ports() && backend() && client_address() && hostname() && guard() && certificates() && outbound() && service();
  return complete ? Decision(std::move(plan_)) : std::move(stop_);
}

bool Planner::ports() {
  for (const std::string& text : wishes_.words(Wish::ports)) {
    const auto port = port_in(text);
    if (!port) return refuse(Wish::ports, quote(text) + " is not a port from 1 to 65535");
    if (is_own_port(*port)) return refuse(Wish::ports, quote(text) + " is given twice");
    plan_.ports.push_back({*port, use_of(*port)});
  }
  if (plan_.ports.empty()) plan_.ports.push_back({mail_port, PortUse::mail});
  plan_.listens_by_ipv6 = facts_.has_ipv6;
  return submission();
}

bool Planner::submission() {
  const std::string said = wishes_.text(Wish::submission);
  if (said.empty()) {
    const auto is_served = [this](std::uint16_t port) {
      const Listening* const found = facts_.listener_on(port);
      return found != nullptr && found->program != "postern";
    };
    if (wishes_.has(Wish::ports) || (!is_served(submissions_port) && !is_served(submission_port))) return true;
    return ask({Wish::submission,
                "People's mail programs are served here on ports 465 or 587. Is Postern to take these over, too?", "no",
                false});
  }
  if (wishes_.says_no(Wish::submission)) return true;
  if (!wishes_.says_yes(Wish::submission)) {
    auto address = config::parse_endpoint(said);
    if (!address) return refuse(Wish::submission, address.error().message);
    if (!can_be_written(said)) return refuse(Wish::submission, quote(said) + unwritable);
    plan_.submission = std::move(*address);
  }
  if (!is_own_port(submission_port)) plan_.ports.push_back({submission_port, PortUse::submission});
  if (!is_own_port(submissions_port)) plan_.ports.push_back({submissions_port, PortUse::implicit});
  if (plan_.submission && is_ours(*plan_.submission)) {
    return refuse(Wish::submission, quote(said) + " is where Postern itself is to listen");
  }
  return true;
}

bool Planner::hostname() {
  if (!word(Wish::hostname, plan_.hostname)) return false;
  if (!plan_.hostname.empty()) {
    return config::is_host_name(plan_.hostname) ||
           refuse(Wish::hostname, quote(plan_.hostname) + " is no host name such as mx.example.org");
  }
  const std::string& by_server = plan_.behind == Behind::qmail     ? facts_.qmail.hostname
                                 : plan_.behind == Behind::postfix ? facts_.postfix.hostname
                                                                   : facts_.hostname;
  for (const std::string& name : {by_server, facts_.hostname}) {
    if (config::is_host_name(name) && name.find('.') != name.npos && !is_local_suffix(name)) {
      plan_.hostname = name;
      return true;
    }
  }
  if (wishes_.by_environment) return true;  // the machine is asked again at each start
  return ask({Wish::hostname, "What is this mail server called, as its MX record says?", "", true});
}

bool Planner::guard() {
  const bool no_exim_user = tells_exim(plan_.backend) && !exim_is_told();
  if (no_exim_user && facts_.has_user("Debian-exim") && wishes_.has(Wish::user)) {
    return refuse(Wish::user,
                  "Exim believes root and its own user, Debian-exim, alone who a client is: leave this out");
  }
  for (const std::string& text : wishes_.words(Wish::domains)) {
    const auto domain = config::parse_domain_pattern(text);
    if (!domain) return refuse(Wish::domains, domain.error().message);
    if (domain->text == "*") {
      return refuse(Wish::domains, "'*' would let anybody send mail to anywhere: list your own domains");
    }
    plan_.domains.push_back(domain->text);
  }
  if (!plan_.domains.empty()) return true;
  // A program knows the client by its environment; a server beside it for people's mail programs does not.
  const bool told =
      plan_.backend.exec.empty() ? plan_.backend.client_address != config::ClientAddress::none : !plan_.submission;
  if (plan_.behind == Behind::qmail && !facts_.qmail.has_rcpthosts) {
    return ask({Wish::domains,
                "qmail has no control/rcpthosts, so that it takes mail for anywhere from anybody. Which are your "
                "domains?"});
  }
  if (no_exim_user) {
    return ask({Wish::domains,
                "Exim believes root and its own user alone who a client is, and takes all for its own machines if "
                "another tells it. Which are your domains, so that mail to others is refused?"});
  }
  if (told) return true;
  return ask({Wish::domains,
              "The server behind cannot be told who a client is, and could take all of them for its own machines. "
              "Which are your domains, so that mail to others is refused?"});
}

std::vector<config::CertificatePair> Planner::fitting_certificates() const {
  const FoundCertificate* best[2] = {nullptr, nullptr};  // of the keys that are RSA, and of the others
  for (const FoundCertificate& each : facts_.certificates) {
    const bool valid = each.not_before <= surroundings_.now && surroundings_.now < each.not_after &&
                       can_be_written(each.files.chain) && can_be_written(each.files.key);
    if (!each.flaw.empty() || each.self_issued || !valid || !names_host(each, plan_.hostname)) continue;
    const FoundCertificate*& place = best[each.is_rsa ? 0 : 1];
    if (place == nullptr || place->not_after < each.not_after) place = &each;
  }
  std::vector<config::CertificatePair> pairs;
  for (const FoundCertificate* const each : {best[1], best[0]}) {
    if (each != nullptr) pairs.push_back(each->files);
  }
  return pairs;
}

std::string Planner::certificates_question() const {
  std::string text = "No certificate for " + (plan_.hostname.empty() ? "this machine" : plan_.hostname) +
                     " was found that can be used.";
  std::size_t listed = 0;
  for (const FoundCertificate& each : facts_.certificates) {
    if (++listed > 8) break;
    std::string names;
    for (const std::string& name : each.names) names.append(names.empty() ? "" : ", ").append(name);
    const std::string why = !each.flaw.empty()                    ? each.flaw
                            : each.self_issued                    ? "nobody else vouches for it"
                            : each.not_after <= surroundings_.now ? "expired"
                            : names_host(each, plan_.hostname)    ? "not valid yet"
                                                                  : "names " + names;
    text += "\n  " + each.files.chain + ": " + why;
  }
  return text +
         "\nWhich files are it, CHAIN and KEY? Or self-signed: one that is made now, for a first try, which no "
         "sender trusts.";
}

bool Planner::certificates() {
  if (wishes_.has(Wish::certificate)) return certificate_pairs();
  if (wishes_.has(Wish::self_signed) && !wishes_.says_no(Wish::self_signed)) return self_signed();
  plan_.certificates = fitting_certificates();
  if (!plan_.certificates.empty()) return true;
  return ask({Wish::certificate, certificates_question()});
}

bool Planner::certificate_pairs() {
  const std::vector<std::string>& words = wishes_.words(Wish::certificate);
  if (words.size() % 2 != 0) return refuse(Wish::certificate, "each CHAIN needs its KEY behind it");
  for (std::size_t i = 0; i < words.size(); i += 2) {
    for (const std::string& path : {words[i], words[i + 1]}) {
      if (!can_be_written(path)) return refuse(Wish::certificate, quote(path) + unwritable);
    }
    plan_.certificates.push_back({words[i], words[i + 1]});
  }
  return true;
}

bool Planner::self_signed() {
  std::string folder = wishes_.text(Wish::self_signed);
  if (!folder.starts_with('/')) {
    if (!wishes_.says_yes(Wish::self_signed)) {
      return refuse(Wish::self_signed, quote(folder) + " is not an absolute path: write where the folder is");
    }
    folder = surroundings_.folder;
  }
  if (folder.empty()) {
    return refuse(Wish::self_signed, "name a folder for it, since the configuration goes to no file");
  }
  if (!can_be_written(folder)) return refuse(Wish::self_signed, quote(folder) + unwritable);
  while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
  plan_.certificates = {{folder + "/self-signed.pem", folder + "/self-signed.key"}};
  plan_.makes_certificate = true;
  return true;
}

bool Planner::outbound() {
  const std::vector<std::string>& words = wishes_.words(Wish::outbound);
  if (words.empty()) {
    return ask({Wish::outbound,
                "Is the server's own mail to leave through Postern, too? mx: to the hosts that DNS names, with the "
                "TLS that they publish; relay HOST:PORT: all to one server; off: as it does now.",
                "off", false});
  }
  if (wishes_.says_no(Wish::outbound)) return true;
  plan_.uses_outbound = true;
  if ((words.size() != 1 || words[0] != "mx") && !relay(words)) return false;
  return allow_clients() && outbound_listen();
}

bool Planner::relay(const std::vector<std::string>& words) {
  if (words.size() != 2 || words[0] != "relay") {
    return refuse(Wish::outbound, quote(wishes_.text(Wish::outbound)) + " is none of mx, relay HOST:PORT and off");
  }
  const std::string& text = words[1];
  auto address = config::parse_endpoint(text);
  if (!address) return refuse(Wish::outbound, address.error().message);
  if (address->kind == config::Endpoint::Kind::unix_socket) {
    return refuse(Wish::outbound, "a relay is not reached by a unix socket: give its host name and port");
  }
  if (is_ours(*address)) return refuse(Wish::outbound, quote(text) + " is where Postern itself is to listen");
  plan_.relay = std::move(*address);
  return true;
}

bool Planner::allow_clients() {
  for (const std::string& text : wishes_.words(Wish::allow_clients)) {
    const auto network = config::parse_network(text);
    if (!network) return refuse(Wish::allow_clients, network.error().message);
    if (network->prefix_length == 0) {
      return refuse(Wish::allow_clients, quote(text) + " would let anybody send mail to anywhere");
    }
    plan_.allow_clients.push_back(*network);
  }
  // The server behind is on this machine, and is to go on as one of those.
  const bool is_local = plan_.behind != Behind::address && !plan_.allow_clients.empty();
  if (is_local && !config::contains(plan_.allow_clients, *config::parse_ip_address("127.0.0.1"))) {
    const auto own = config::loopback_networks();
    plan_.allow_clients.insert(plan_.allow_clients.begin(), own.begin(), own.end());
  }
  return true;
}

bool Planner::outbound_listen() {
  config::Endpoint& listen = plan_.outbound_listen;
  listen = local_address(usual_outbound_port);
  if (!plan_.allow_clients.empty()) listen.address = {};  // 0.0.0.0: the networks decide
  if (wishes_.has(Wish::outbound_listen)) {
    const auto said = config::parse_endpoint(wishes_.text(Wish::outbound_listen));
    if (!said) return refuse(Wish::outbound_listen, said.error().message);
    if (said->kind != config::Endpoint::Kind::ip || said->port == 0) {
      return refuse(Wish::outbound_listen, "an IP address and a port are wanted, such as 127.0.0.1:10025");
    }
    listen = *said;
  }
  const std::string port = std::to_string(listen.port);
  if (is_own_port(listen.port)) return refuse(Wish::outbound_listen, port + " is for mail that comes in already");
  if (plan_.relay && is_here(*plan_.relay) && plan_.relay->port == listen.port) {
    return refuse(Wish::outbound_listen, port + " on this machine is the relay's");
  }
  return true;
}

bool Planner::word(Wish wish, std::string& value) {
  const std::string said = wishes_.text(wish);
  if (!can_be_written(said)) return refuse(wish, quote(said) + unwritable);
  if (!said.empty()) value = said;
  return true;
}

bool Planner::service() {
  plan_.user = usual_user();
  if (facts_.has_control_folder) plan_.control = "/run/postern/control";
  if (!word(Wish::user, plan_.user)) return false;
  // The package keeps giving its folder to its own user.
  const bool is_own_user = plan_.user.empty() || plan_.user == "postern";
  plan_.state_directory_to_be = "/var/lib/postern" + (is_own_user ? "" : "-" + plan_.user);
  if (is_own_user && facts_.has_state_directory) plan_.state_directory = plan_.state_directory_to_be;
  if (!word(Wish::control, plan_.control) || !word(Wish::state_directory, plan_.state_directory) ||
      !word(Wish::log_format, plan_.log_format)) {
    return false;
  }
  for (const auto& [wish, path] :
       {std::pair{Wish::control, plan_.control}, std::pair{Wish::state_directory, plan_.state_directory}}) {
    if (!path.empty() && path[0] != '/') return refuse(wish, quote(path) + " is not an absolute path");
  }
  if (!plan_.uses_outbound) plan_.state_directory.clear();  // nobody would use it
  if (!plan_.log_format.empty() && plan_.log_format != "text" && plan_.log_format != "json") {
    return refuse(Wish::log_format, quote(plan_.log_format) + " is neither text nor json");
  }
  if (!wishes_.has(Wish::admin) || wishes_.says_no(Wish::admin)) return true;
  const auto admin = config::parse_endpoint(wishes_.text(Wish::admin));
  if (!admin) return refuse(Wish::admin, admin.error().message);
  if (admin->kind == config::Endpoint::Kind::name) {
    return refuse(Wish::admin, "an IP address and a port are wanted, such as 127.0.0.1:9025, or unix:PATH");
  }
  const bool is_taken = is_own_port(admin->port) || (plan_.uses_outbound && admin->port == plan_.outbound_listen.port);
  if (admin->kind == config::Endpoint::Kind::ip && is_taken) {
    return refuse(Wish::admin, "port " + std::to_string(admin->port) + " is for mail already");
  }
  return word(Wish::admin, plan_.admin);
}

bool Planner::is_own_port(std::uint16_t port) const {
  return std::ranges::find(plan_.ports, port, &PlannedPort::number) != plan_.ports.end();
}

config::Endpoint Planner::local_address(std::uint16_t wanted) const {
  config::Endpoint address;
  address.address.bytes = {127, 0, 0, 1};
  address.port = free_port_from(wanted, facts_.listening);
  while (is_own_port(address.port)) {
    address.port = free_port_from(static_cast<std::uint16_t>(address.port + 1), facts_.listening);
  }
  return address;
}

}  // namespace postern::init
