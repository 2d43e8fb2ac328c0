#include "proxy/init/next_steps.h"

#include <algorithm>

#include "config/diagnostic.h"
#include "config/text.h"
#include "proxy/init/postfix_files.h"

namespace postern::init {
namespace {

// Where the servers of this machine usually are: they have to leave it.
bool takes_usual_ports(const Plan& plan) {
  return std::ranges::any_of(plan.ports, [](const PlannedPort& each) {
    return each.number == mail_port || each.number == submission_port || each.number == submissions_port;
  });
}

// For a shell, as one word.
std::string shell_word(const std::string& text) {
  constexpr std::string_view harmless = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-:+@%";
  if (!text.empty() && text.find_first_not_of(harmless) == text.npos) return text;
  return config::shell_quoted(text);
}

class Steps {
 public:
  Steps(const Plan& plan, const Facts& facts, std::string file) : plan_(plan), facts_(facts), file_(std::move(file)) {}

  std::string print() {
    own_user();
    programs();
    switch (plan_.behind) {
      case Behind::qmail: qmail(); break;
      case Behind::postfix: postfix(); break;
      case Behind::exim: exim(); break;
      case Behind::program:
      case Behind::address: server(); break;
    }
    others_on_ports();
    if (plan_.uses_outbound) outbound();
    start();
    attempts();
    return std::move(out_);
  }

 private:
  void step(const std::string& text) { out_ += std::to_string(++number_) + ". " + text + "\n"; }
  void shell(const std::string& text) { out_ += "     " + text + "\n"; }

  void own_user();
  void programs();
  void qmail();
  void postfix();
  void exim();
  void server();
  void others_on_ports();
  void outbound();
  void hand_in();
  void start();
  void attempts();
  bool is_own_server(const std::string& program) const;

  const Plan& plan_;
  const Facts& facts_;
  const std::string file_;
  std::string out_;
  int number_ = 0;
};

void Steps::own_user() {
  if (!plan_.user.empty() || !facts_.is_root) return;
  if (tells_exim(plan_.backend)) {
    step(
        "Postern would stay root. Have it run as Exim's own user instead, and as no other: Exim would take all "
        "clients\n"
        "   for this machine, and relay for them. Say so in the configuration (user: NAME), by the name that is here:");
    return shell(shell_word(facts_.exim.found ? facts_.exim.program : "exim") + " -bP exim_user");
  }
  step("Give Postern a user of its own, and say so in the configuration (user: postern); it would stay root:");
  shell("adduser --system --group --no-create-home postern");
}

void Steps::programs() {
  if (plan_.backend.exec.empty() || !facts_.confines_programs) return;
  step("Have the service let programs do what a mail server does (those that write the queue are set-user-ID):");
  shell("install -D -m 644 /usr/share/postern/exec.conf /etc/systemd/system/postern.service.d/exec.conf");
  shell("systemctl daemon-reload");
}

void Steps::qmail() {
  if (!takes_usual_ports(plan_)) return;  // beside tcpserver, for a trial
  if (facts_.qmail.services.empty()) {
    step("Stop the tcpserver that starts qmail-smtpd, wherever it is started: Postern takes its ports.");
  } else {
    step("Stop the tcpserver that starts qmail-smtpd, for good: Postern takes its ports.");
    for (const std::string& service : facts_.qmail.services) {
      shell("svc -d " + shell_word(service) + " && touch " + shell_word(service + "/down"));
    }
  }
  if (facts_.qmail.relays_by_rules) {
    step(
        "Some clients may relay because tcpserver's rules (tcp.smtp) say RELAYCLIENT, which Postern does not read. "
        "Give\n"
        "   those a listener of their own, on an address that only they reach: README, \"qmail in five minutes\".");
  }
}

void Steps::postfix() {
  const bool xclient = plan_.backend.client_address == config::ClientAddress::xclient;
  const bool leaves = std::ranges::any_of(plan_.moved, [](const MovedService& each) { return !each.stays; });
  if (leaves) {
    step("Postfix leaves the ports that are Postern's from now on, and listens behind it (master.cf):");
  } else if (!plan_.moved.empty()) {
    step("Postfix listens behind Postern, too (master.cf):");
  }
  for (const auto& [service, to, stays] : plan_.moved) {
    if (service.line != 0 && !stays) {
      out_ += "     # line " + std::to_string(service.line) + ": " + config::quote(service.text) + "\n";
      shell("postconf -MX " + shell_word(service.address + "/inet"));
    }
    if (to.empty()) continue;
    shell("postconf -Me " + shell_word(to + "/inet=" + moved_line(service, to, plan_.backend.client_address)));
  }
  const bool trusted = std::ranges::any_of(facts_.postfix.services, &PostfixService::trusts_xclient);
  const bool to_be_told = plan_.moved.empty() && xclient && !trusted;
  if (to_be_told) {
    step("Postfix believes this machine who a client is:");
    shell("postconf -e smtpd_authorized_xclient_hosts=127.0.0.1");
  }
  if (!plan_.moved.empty() || to_be_told) shell("systemctl restart postfix     # a reload does not give a port up");
}

void Steps::exim() {
  const bool by_program = !plan_.backend.exec.empty();
  if (by_program && !takes_usual_ports(plan_)) return;
  const std::string port = by_program ? "2525" : std::to_string(plan_.backend.addresses[0].port);
  step(by_program ? "Exim's daemon leaves port 25, and goes on with its queue:"
                  : "Exim listens behind Postern, and expects a PROXY header from there:");
  if (!facts_.exim.by_debian) {
    shell("# in the main section of its configuration");
    shell("local_interfaces = <; 127.0.0.1." + port);
    if (!by_program) shell("hosts_proxy = 127.0.0.1");
    return;
  }
  shell("sed -i \"s/^dc_local_interfaces=.*/dc_local_interfaces='127.0.0.1." + port +
        "'/\" /etc/exim4/update-exim4.conf.conf");
  if (!by_program) shell("echo 'hosts_proxy = 127.0.0.1' >>/etc/exim4/exim4.conf.localmacros");
  shell("update-exim4.conf && systemctl restart exim4");
}

void Steps::server() {
  if (plan_.behind == Behind::program) return;
  std::string addresses;
  for (const config::Endpoint& each : plan_.backend.addresses) {
    addresses.append(addresses.empty() ? "" : ", ").append(config::to_string(each));
  }
  switch (plan_.backend.client_address) {
    case config::ClientAddress::none:
      return step("See to it that the server at " + addresses +
                  " relays for nobody because of this machine's address,\n   and that strangers cannot reach it but "
                  "through Postern.");
    case config::ClientAddress::xclient:
      if (plan_.found_xclient) return;
      return step("Have the server at " + addresses + " take XCLIENT from this machine.");
    case config::ClientAddress::proxy_v1:
    case config::ClientAddress::proxy_v2:
      return step("Have the server at " + addresses + " expect a PROXY header from this machine.");
    case config::ClientAddress::transparent:
      return step("Route the answers of " + addresses + " back through this machine: docs/operation.md.");
  }
}

bool Steps::is_own_server(const std::string& program) const {
  switch (plan_.behind) {
    case Behind::qmail: return program == "tcpserver" || program == "qmail-smtpd";
    case Behind::postfix: return program == "master" || program == "smtpd";
    case Behind::exim: return program.starts_with("exim");
    case Behind::program:
    case Behind::address: break;
  }
  return false;
}

void Steps::others_on_ports() {
  for (const auto& [port, use] : plan_.ports) {
    const Listening* const found = facts_.listener_on(port);
    if (found == nullptr || found->program == "postern" || is_own_server(found->program)) continue;
    const std::string who = found->program.empty()
                                ? "Somebody"
                                : config::quote(found->program) + " (process " + std::to_string(found->process) + ")";
    step(who + " listens on port " + std::to_string(port) + ": have it leave that to Postern.");
  }
}

void Steps::hand_in() {
  const config::Endpoint& at = plan_.outbound_listen;
  const std::string port = std::to_string(at.port);
  switch (plan_.behind) {
    case Behind::postfix:
      step("Have Postfix hand in what leaves:");
      return shell("postconf -e 'relayhost = [127.0.0.1]:" + port +
                   "' smtp_tls_security_level=none && systemctl reload postfix");
    case Behind::qmail:
      step("Have qmail hand in what leaves:");
      return shell("echo ':127.0.0.1:" + port + "' >>/var/qmail/control/smtproutes");
    case Behind::exim:
      return step("Have Exim hand in what leaves: a smarthost, 127.0.0.1::" + port +
                  (facts_.exim.by_debian ? " (dpkg-reconfigure exim4-config)." : "."));
    case Behind::program:
    case Behind::address: break;
  }
  const bool anywhere = at.address == config::IpAddress();
  step("Have the server hand in what leaves: its smarthost is " +
       (anywhere ? "this machine, port " + port : config::to_string(at)) + ".");
}

void Steps::outbound() {
  if (plan_.state_directory.empty()) {
    step("Policies that are learned outlive a restart in a folder of their own; then take the # off state_directory:");
    shell("install -d -o " + shell_word(plan_.user.empty() ? "postern" : plan_.user) + " -m 700 " +
          shell_word(plan_.state_directory_to_be));
  }
  if (!facts_.has_trust_anchor) {
    step("Without the root zone's key there is no DANE:");
    shell("apt-get install dns-root-data");
  }
}

void Steps::start() {
  step(facts_.has_service && file_ == "/etc/postern/postern.yaml" ? "Start it, now and at each start of the machine:"
                                                                  : "Start it, in the foreground to begin with:");
  if (facts_.has_service && file_ == "/etc/postern/postern.yaml") {
    shell("systemctl enable --now postern     # where it runs already: systemctl restart postern");
  } else {
    shell("postern run --config " + shell_word(file_));
  }
  if (plan_.uses_outbound) hand_in();
}

void Steps::attempts() {
  step("Try it:");
  const std::string host = plan_.hostname.empty() ? "localhost" : plan_.hostname;
  for (const auto& [port, use] : plan_.ports) {
    shell("openssl s_client -quiet -crlf " + std::string(use == PortUse::implicit ? "" : "-starttls smtp ") +
          "-servername " + shell_word(host) + " -connect localhost:" + std::to_string(port));
  }
  if (plan_.uses_outbound) shell("postern probe example.org --config " + shell_word(file_));
  if (!plan_.control.empty()) shell("postern status --config " + shell_word(file_));
}

}  // namespace

std::string next_steps(const Plan& plan, const Facts& facts, const std::string& file) {
  return Steps(plan, facts, file).print();
}

}  // namespace postern::init
