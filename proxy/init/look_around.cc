#include "proxy/init/look_around.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "config/file.h"
#include "config/text.h"
#include "proxy/init/listening.h"
#include "proxy/init/postfix_files.h"

namespace postern::init {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_octets = std::size_t{4} << 20U;
constexpr std::size_t most_services = 200;  // folders of daemontools that are looked into

// The kernel's tables say of themselves that they are empty regular files, and end where they end.
std::string content_at(const std::string& path) {
  auto file = config::read_beginning(path, most_octets);
  return file ? std::move(file->content) : std::string();
}

bool exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

std::string first_line(const std::string& text) {
  return std::string(config::trim(std::string_view(text).substr(0, text.find('\n'))));
}

PostfixFacts look_for_postfix(const std::string& root) {
  PostfixFacts facts;
  facts.found = exists(root + "/etc/postfix/master.cf");
  const PostfixParameters main = parse_main_cf(content_at(root + "/etc/postfix/main.cf"));
  if (const auto name = main.find("myhostname"); name != main.end() && config::is_host_name(name->second)) {
    facts.hostname = name->second;
  }
  facts.services = parse_master_cf(content_at(root + "/etc/postfix/master.cf"), main);
  return facts;
}

std::vector<std::string> qmail_services(const std::string& root) {
  std::vector<std::string> services;
  std::size_t looked = 0;
  for (const char* const folder : {"/service", "/etc/service", "/var/service"}) {
    std::error_code error;
    for (fs::directory_iterator each(root + folder, error), end; !error && each != end; each.increment(error)) {
      if (++looked > most_services) break;
      const std::string name = each->path().filename().string();
      const std::string run = content_at(each->path().string() + "/run");
      if (run.find("qmail-smtpd") != run.npos) services.push_back(std::string(folder) + "/" + name);
    }
  }
  std::ranges::sort(services);
  return services;
}

QmailFacts look_for_qmail(const std::string& root) {
  QmailFacts facts;
  facts.found = exists(root + "/var/qmail/bin/qmail-smtpd");
  if (!facts.found) return facts;
  facts.hostname = first_line(content_at(root + "/var/qmail/control/me"));
  facts.has_rcpthosts = exists(root + "/var/qmail/control/rcpthosts");
  for (const char* const rules : {"/etc/tcp.smtp", "/etc/tcprules.d/tcp.qmail-smtp", "/home/vpopmail/etc/tcp.smtp",
                                  "/var/qmail/control/tcp.smtp"}) {
    facts.relays_by_rules |= content_at(root + rules).find("RELAYCLIENT") != std::string::npos;
  }
  facts.services = qmail_services(root);
  return facts;
}

EximFacts look_for_exim(const std::string& root) {
  EximFacts facts;
  for (const char* const program :
       {"/usr/sbin/exim4", "/usr/sbin/exim", "/usr/local/sbin/exim", "/usr/exim/bin/exim"}) {
    if (!exists(root + program)) continue;
    facts.found = true;
    facts.program = program;
    // The name of the option is in the program only where it was built with SUPPORT_PROXY: Debian's heavy one.
    facts.knows_proxy = content_at(root + program).find("hosts_proxy") != std::string::npos;
    break;
  }
  facts.by_debian = exists(root + "/etc/exim4/update-exim4.conf.conf");
  return facts;
}

std::vector<Listening> look_for_listeners(const std::string& root) {
  std::vector<Listening> listening = parse_listening(content_at(root + "/proc/net/tcp"));
  for (Listening& each : parse_listening(content_at(root + "/proc/net/tcp6"))) listening.push_back(std::move(each));
  name_programs(listening, root);
  return listening;
}

}  // namespace

Facts look_around(const Machine& machine) {
  const std::string& root = machine.root;
  Facts facts;
  facts.hostname = machine.hostname;
  facts.is_root = machine.is_root;
  facts.has_ipv6 = !exists(root + "/proc/net/tcp") || !content_at(root + "/proc/net/if_inet6").empty();
  for (const char* const user : {"postern", "qmaild", "Debian-exim"}) {
    if (machine.has_user && machine.has_user(user)) facts.users.insert(user);
  }
  facts.listening = look_for_listeners(root);
  facts.certificates = look_for_certificates(root);
  facts.postfix = look_for_postfix(root);
  facts.qmail = look_for_qmail(root);
  facts.exim = look_for_exim(root);
  facts.has_state_directory = exists(root + "/var/lib/postern");
  facts.has_trust_anchor = exists(root + "/usr/share/dns/root.key");
  for (const char* const folder : {"/etc/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system"}) {
    facts.has_service |= exists(root + folder + "/postern.service");
  }
  facts.confines_programs = facts.has_service && exists(root + "/usr/share/postern/exec.conf");
  facts.has_control_folder = facts.has_service || exists(root + "/run/postern");
  return facts;
}

}  // namespace postern::init
