#include "proxy/runtime/machine_check.h"

#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "config/file.h"
#include "config/text.h"
#include "proxy/net/loop.h"
#include "proxy/net/timer.h"
#include "proxy/process/privileges.h"
#include "proxy/resolver/launch.h"
#include "proxy/runtime/needs.h"
#include "proxy/runtime/resolver_settings.h"

namespace postern::runtime {
namespace {

std::vector<gid_t> groups_of(const process::UserIds& user) {
  int count = 64;
  std::vector<gid_t> groups(static_cast<std::size_t>(count));
  if (::getgrouplist(user.name.c_str(), user.gid, groups.data(), &count) < 0) count = 64;
  groups.resize(static_cast<std::size_t>(count));
  return groups;
}

// By the file's mode alone; nobody: whoever we are now.
bool may_run(const std::string& program, const struct stat& file, const std::optional<process::UserIds>& user) {
  if (!user || user->uid == 0) return ::access(program.c_str(), X_OK) == 0;
  if (file.st_uid == user->uid) return (file.st_mode & S_IXUSR) != 0;
  const auto groups = groups_of(*user);
  const bool in_group = std::ranges::find(groups, file.st_gid) != groups.end();
  return (file.st_mode & (in_group ? S_IXGRP : S_IXOTH)) != 0;
}

// "#!/no/such/interpreter", which the system reports as if the script were not there.
std::string missing_interpreter(const std::string& program) {
  const auto file = config::read_beginning(program, 256);  // as much as the kernel looks at
  if (!file || !file->content.starts_with("#!")) return {};
  const std::string line = file->content.substr(2, file->content.find('\n') - 2);
  const std::size_t begin = line.find_first_not_of(" \t");
  if (begin == std::string::npos) return {};
  const bool carriage_return = line.ends_with('\r');
  const std::string interpreter = line.substr(begin, line.find_first_of(" \t\r", begin) - begin);
  if (carriage_return) return " is a script whose first line ends in CR LF, which no interpreter is called";
  return ::access(interpreter.c_str(), F_OK) == 0 ? "" : " is a script for " + interpreter + ", which is not there";
}

std::string what_is_wrong_with(const std::string& program, const std::optional<process::UserIds>& user) {
  struct stat file {};
  if (::stat(program.c_str(), &file) != 0) {
    if (errno != ENOENT && errno != ENOTDIR) return " cannot be looked at: " + std::string(std::strerror(errno));
    const bool line = program.find(' ') != std::string::npos;
    return std::string(" is not there") + (line ? "; each word of a command is an item of its own" : "");
  }
  if (S_ISDIR(file.st_mode)) return " is a directory";
  if (!S_ISREG(file.st_mode)) return " is no program";
  if (!may_run(program, file, user)) {
    return " may not be run" + (user ? " by " + user->name : std::string()) + ": make it executable";
  }
  return missing_interpreter(program);
}

constexpr auto machine_patience = std::chrono::seconds(5);
constexpr std::size_t most_names = 100;

// A name that the outbound side's resolver is asked for, in both families.
struct RelayName {
  std::string path;
  std::string name;
  std::vector<dns::Answer> answers;
  std::vector<std::unique_ptr<dns::Lookup>> lookups;

  RelayName(std::string at, std::string host) : path(std::move(at)), name(std::move(host)) {}

  // How often `done` will be called.
  std::size_t ask(dns::Resolver& resolver, const std::function<void()>& done) {
    std::string lower = config::lower_case(name);
    if (lower.ends_with('.')) lower.pop_back();
    for (const dns::Type type : {dns::Type::a, dns::Type::aaaa}) {
      lookups.push_back(resolver.lookup({lower, type}, [this, done](const dns::Answer& answer) {
        answers.push_back(answer);
        done();
      }));
    }
    return lookups.size();
  }

  // ": 'x' has no address now: …"; empty: it has one.
  std::string failure() const {
    if (std::ranges::any_of(answers, &dns::Answer::exists)) return {};
    std::string reason = answers.size() < lookups.size() ? "no answer from DNS" : "";
    for (const dns::Answer& answer : answers) {
      if (reason.empty() && !answer.absent()) reason = answer.reason;
    }
    if (reason.empty()) reason = "DNS has none";
    return ": " + config::quote(name) + " has no address now: " + reason;
  }
};

}  // namespace

void check_root(config::Loaded& loaded) {
  if (::geteuid() != 0 || !loaded.settings.user.empty()) return;
  loaded.diagnostics.push_back({config::Diagnostic::Severity::warning,
                                loaded.file,
                                {},
                                "started as root, the gateway stays root after binding: name another user, as in "
                                "'user: postern'"});
}

void check_programs(config::Loaded& loaded) {
  std::optional<process::UserIds> user;
  if (const auto found = process::find_user(loaded.settings.user); found && ::geteuid() == 0) user = *found;
  for (const auto& listener : loaded.settings.inbound) {
    if (listener.backend.exec.empty()) continue;
    const std::string& program = listener.backend.exec.front();
    const std::string path = "inbound." + listener.name + ".backend.exec[0]";
    if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) {
      loaded.add_warning(
          path, path +
                    ": nothing that is started from here can gain a right (NoNewPrivileges= of the service), so "
                    "that set-user-ID programs such as qmail-queue and exim4 fail");
    }
    const std::string wrong = what_is_wrong_with(program, user);
    if (!wrong.empty()) loaded.add_warning(path, (path + ": ").append(config::quote(program)).append(wrong));
  }
}

void check_relay_names(config::Loaded& loaded, const dns::NameServers& servers, const dns::TrustAnchor& anchor) {
  net::Loop loop;
  const auto own = resolver::OwnResolver::start(loop, resolver_settings(loaded.settings, servers, anchor));
  if (!own) return;  // which has been said
  const auto resolver = (*own)->client().resolver(resolver::How::proven);
  std::vector<std::unique_ptr<RelayName>> names;
  std::size_t open = 0;
  for (const auto& listener : loaded.settings.outbound) {
    const auto& address = listener.relay.address;
    const bool named = address && address->kind == config::Endpoint::Kind::name;
    if (!named || listener.route != config::OutboundRoute::relay || names.size() == most_names) continue;
    names.push_back(std::make_unique<RelayName>("outbound." + listener.name + ".relay.address", address->name));
    open += names.back()->ask(*resolver, [&] {
      if (--open == 0) loop.stop();
    });
  }
  if (names.empty()) return;
  {
    net::Timer limit(loop.raw(), [&loop] { loop.stop(); });
    limit.start(machine_patience);
    loop.run();
  }
  for (const auto& name : names) {
    if (const std::string wrong = name->failure(); !wrong.empty()) loaded.add_warning(name->path, name->path + wrong);
  }
}

void check_backend_names(config::Loaded& loaded) {
  struct Asked {
    std::string path;
    std::string name;
    std::unique_ptr<net::NameLookup> lookup;
    std::string failure = "no answer from DNS";
  };
  if (!needs(loaded.settings).resolver) return;
  net::Loop loop;
  const auto own = resolver::OwnResolver::start(loop, resolver_settings(loaded.settings, {}, {}));
  if (!own) return;  // which has been said
  std::deque<Asked> questions;
  std::size_t open = 0;
  for (const auto& listener : loaded.settings.inbound) {
    const auto& addresses = listener.backend.addresses;
    for (std::size_t i = 0; i < addresses.size() && questions.size() < most_names; ++i) {
      if (addresses[i].kind != config::Endpoint::Kind::name) continue;
      Asked& asked = questions.emplace_back();
      asked.path = "inbound." + listener.name + ".backend.address[" + std::to_string(i) + "]";
      asked.name = addresses[i].name;
      ++open;
      asked.lookup = (*own)->client().look_up(asked.name, [&](const auto& found) {
        asked.failure = found ? std::string() : found.error().message;
        if (--open == 0) loop.stop();
      });
    }
  }
  if (open > 0) {
    net::Timer limit(loop.raw(), [&loop] { loop.stop(); });
    limit.start(machine_patience);
    loop.run();
  }
  for (const Asked& asked : questions) {
    if (asked.failure.empty()) continue;
    loaded.add_warning(asked.path,
                       asked.path + ": " + config::quote(asked.name) + " has no address now: " + asked.failure);
  }
}

}  // namespace postern::runtime
