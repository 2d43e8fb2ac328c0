#include "proxy/init/configuration.h"

#include <algorithm>

#include "config/text.h"
#include "proxy/init/yaml_text.h"
#include "tls/x509_text.h"

namespace postern::init {
namespace {

using config::ClientAddress;

std::string text_of(const std::vector<config::Endpoint>& addresses) {
  if (addresses.size() == 1) return yaml_scalar(config::to_string(addresses[0]));
  std::vector<std::string> texts(addresses.size());
  std::ranges::transform(addresses, texts.begin(), [](const auto& address) { return config::to_string(address); });
  return yaml_list(texts);
}

class Printer {
 public:
  Printer(const Plan& plan, const Facts& facts) : plan_(plan), facts_(facts) {}

  std::string print() {
    comment("Every option, with its default: postern check --print-reference", 0);
    process();
    certificates();
    out_ += "\ninbound:\n";
    listener("mx", PortUse::mail);
    listener("submission", PortUse::submission);
    listener("submissions", PortUse::implicit);
    if (plan_.uses_outbound) outbound();
    return std::move(out_);
  }

 private:
  void comment(std::string_view text, std::size_t indent) { out_ += yaml_comment(text, indent); }
  void line(std::size_t indent, std::string_view key, const std::string& value) {
    out_.append(indent, ' ').append(key).append(": ").append(value).append("\n");
  }

  void process();
  void user();
  void certificates();
  void pair(const config::CertificatePair& files);
  void listener(const std::string& name, PortUse use);
  void backend(PortUse use);
  void guard();
  void outbound();
  void route();
  void state();
  std::string why_client_address() const;
  std::string why_program() const;

  const Plan& plan_;
  const Facts& facts_;
  std::string out_;
};

void Printer::process() {
  user();
  if (!plan_.hostname.empty()) {
    comment("For replies that Postern makes itself, and its EHLO to remote servers.", 0);
    line(0, "hostname", yaml_scalar(plan_.hostname));
  }
  if (!plan_.log_format.empty()) out_ += "log: { format: " + plan_.log_format + " }\n";
  if (!plan_.control.empty()) {
    comment("Where `postern status` and `postern reload` ask the running one.", 0);
    line(0, "control", yaml_scalar(plan_.control));
  }
  if (!plan_.admin.empty()) {
    comment("/status for people, /metrics for Prometheus, /healthz and /readyz. It has no password.", 0);
    out_ += "admin: { listen: " + yaml_scalar(plan_.admin) + " }\n";
  }
}

void Printer::user() {
  if (!plan_.user.empty()) {
    comment("Whom the processes become that speak with the network, once keys are read and ports are bound." +
                std::string(plan_.behind == Behind::qmail ? " As under tcpserver, qmail-smtpd runs as it, too." : ""),
            0);
    return line(0, "user", yaml_scalar(plan_.user));
  }
  if (!facts_.is_root) return;  // who is nobody special stays that
  comment(
      "There is no user of its own on this machine, so that Postern, started as root, would stay root. Make one "
      "(adduser --system --group --no-create-home postern) and put it here:\nuser: postern",
      0);
}

void Printer::certificates() {
  out_ += "\ncertificates:\n  mx:\n";
  if (plan_.makes_certificate) {
    comment(
        "For a first try: it vouches for itself, so that whoever checks certificates refuses it, and others are "
        "as safe from listeners as with any. Put your own here; postern reload takes it over.",
        4);
  } else {
    comment("Files that change are taken over by themselves, a chain together with its key: no hook is needed.", 4);
  }
  for (const config::CertificatePair& files : plan_.certificates) pair(files);
}

void Printer::pair(const config::CertificatePair& files) {
  const auto found = std::ranges::find_if(
      facts_.certificates, [&files](const auto& each) { return each.files.chain == files.chain && each.flaw.empty(); });
  if (found != facts_.certificates.end()) {
    std::string names;
    for (const std::string& name : found->names) names.append(names.empty() ? "" : ", ").append(name);
    comment("For " + config::without_controls(names) + ", until " + tls::to_date(found->not_after), 4);
  }
  out_ += "    - { chain: " + yaml_scalar(files.chain) + ", key: " + yaml_scalar(files.key) + " }\n";
}

void Printer::listener(const std::string& name, PortUse use) {
  const std::vector<std::string> listen = listen_addresses(plan_, use);
  if (listen.empty()) return;
  const bool implicit = use == PortUse::implicit;
  switch (use) {
    case PortUse::mail:
      comment("Mail from other servers. TLS is offered: who does not know it still gets in.", 2);
      break;
    case PortUse::submission: comment("People's mail programs, which turn TLS on before anything else.", 2); break;
    case PortUse::implicit: comment("People's mail programs, with TLS from the first octet.", 2); break;
  }
  out_ += "  " + name + ":\n";
  line(4, "listen", yaml_list(listen));
  line(4, "mode", implicit ? "implicit" : "starttls");
  if (use == PortUse::submission) line(4, "require_tls", "true");
  line(4, "certificates", "[mx]");
  backend(use);
  guard();
}

std::string Printer::why_program() const {
  switch (plan_.behind) {
    case Behind::qmail:
      return "Started for each session, with the environment that tcpserver gives (TCPREMOTEIP and so on), so that it "
             "knows the client, and control/rcpthosts says whose mail it takes. tcpserver's rules (tcp.smtp) are not "
             "read.";
    case Behind::exim:
      return "This Exim knows no PROXY protocol, so that it is started for each session; -oMa tells it the client, "
             "which it would otherwise take for a local one, and relay for.";
    case Behind::program:
    case Behind::postfix:
    case Behind::address: break;
  }
  return "Started for each session. Its environment says who the client is (TCPREMOTEIP and so on), as under "
         "tcpserver: it has to decide by that for whom it relays.";
}

std::string Printer::why_client_address() const {
  switch (plan_.backend.client_address) {
    case ClientAddress::xclient:
      return std::string(plan_.found_xclient ? "The server was asked, and offers XCLIENT: " : "XCLIENT: ") +
             "it learns who the client is, for its own rules, its log and its lists. A server that does not offer it "
             "gets no mail (421), so that it never takes a stranger for this machine.";
    case ClientAddress::proxy_v1:
    case ClientAddress::proxy_v2:
      return "A PROXY header tells the server who the client is, for its own rules, its log and its lists. It has to "
             "expect one from here.";
    case ClientAddress::transparent:
      return "The connection seems to come from the client: the server's answers have to be routed back through this "
             "machine (docs/operation.md).";
    case ClientAddress::none: break;
  }
  return "The server sees this machine for a client. The relay guard below keeps strangers from relaying through it.";
}

void Printer::backend(PortUse use) {
  out_ += "    backend:\n";
  if (!plan_.backend.exec.empty() && (use == PortUse::mail || !plan_.submission)) {
    comment(why_program(), 6);
    return line(6, "exec", yaml_list(plan_.backend.exec));
  }
  const bool other = use != PortUse::mail && plan_.submission;
  line(6, "address", other ? yaml_scalar(config::to_string(*plan_.submission)) : text_of(plan_.backend.addresses));
  comment(why_client_address(), 6);
  line(6, "client_address", std::string(config::to_string(plan_.backend.client_address)));
}

void Printer::guard() {
  if (plan_.domains.empty()) return;
  comment("Relay guard: mail to other domains is refused (550), unless the client has authenticated.", 4);
  out_ += "    recipients: { allow_domains: " + yaml_list(plan_.domains) + " }\n";
}

void Printer::route() {
  if (!plan_.relay) {
    comment("Postern finds the mail hosts of each recipient's domain.", 4);
    return line(4, "route", "mx");
  }
  const bool implicit = plan_.relay->port == 465;
  comment("All goes to one server. One that wants a password gets `auth` beside `address` (docs/outbound.md).", 4);
  line(4, "route", "relay");
  out_ += "    relay: { address: " + yaml_scalar(config::to_string(*plan_.relay)) +
          ", mode: " + (implicit ? "implicit" : "starttls") + " }\n";
}

void Printer::outbound() {
  out_ += "\noutbound:\n";
  comment("The server's own mail, which it hands in here.", 2);
  out_ += "  internet:\n";
  line(4, "listen", yaml_list({config::to_string(plan_.outbound_listen)}));
  if (!plan_.allow_clients.empty()) {
    std::vector<std::string> networks;
    for (const config::Network& network : plan_.allow_clients) networks.push_back(config::to_string(network));
    comment("Who else could send mail to anywhere through this.", 4);
    line(4, "allow_clients", yaml_list(networks));
  }
  route();
  const bool by_name = plan_.relay && plan_.relay->kind == config::Endpoint::Kind::name;
  comment(by_name ? "Its certificate must be good, and name it; else mail waits where it came from."
                  : "TLS wherever it is offered, and what the recipient publishes (DANE, MTA-STS) on top of that.",
          4);
  line(4, "level", by_name ? "verify" : "may");
  if (!plan_.relay) {
    comment(
        "To begin with: mail is delivered as with `may`, and the log says what would have been refused "
        "(`policy decision`). Once there is nothing surprising in it: enforce.",
        4);
    line(4, "enforcement", "observe");
  }
  state();
}

void Printer::state() {
  out_ += '\n';
  if (!plan_.state_directory.empty()) {
    comment("MTA-STS policies outlive a restart here.", 0);
    return line(0, "state_directory", yaml_scalar(plan_.state_directory));
  }
  comment(
      "Where MTA-STS policies would outlive a restart, once the folder is there and belongs to `user`:\n"
      "state_directory: " +
          plan_.state_directory_to_be,
      0);
}

}  // namespace

std::vector<std::string> listen_addresses(const Plan& plan, PortUse use) {
  std::vector<std::string> addresses;
  for (const PlannedPort& port : plan.ports) {
    if (port.use != use) continue;
    addresses.push_back("0.0.0.0:" + std::to_string(port.number));
    if (plan.listens_by_ipv6) addresses.push_back("[::]:" + std::to_string(port.number));
  }
  return addresses;
}

std::string print_configuration(const Plan& plan, const Facts& facts) {
  return Printer(plan, facts).print();
}

}  // namespace postern::init
