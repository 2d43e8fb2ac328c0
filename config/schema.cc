#include "config/schema.h"

#include "config/kinds.h"
#include "config/listener_rows.h"
#include "config/rows.h"

namespace postern::config {
namespace {

using enum Reload;

Rows<LogSettings> log_rows() {
  using L = LogSettings;
  return {
      row("level", &L::level, one_of<LogLevel>({LogLevel::debug, LogLevel::info, LogLevel::warning, LogLevel::error}),
          at_once, "the least important lines to be written"),
      row("format", &L::format, one_of<LogFormat>({LogFormat::text, LogFormat::json}), at_once,
          "lines for people or for programs; both have the same fields"),
      row("envelope", &L::envelope, boolean(), at_once,
          "name the sender and the recipients of each message in the session's line"),
  };
}

Rows<AdminSettings> admin_rows() {
  return {
      row("listen", &AdminSettings::listen, maybe(admin_address()), at_once,
          "an address and port, or unix:PATH; whoever reaches it may read everything there, and change nothing")
          .example("127.0.0.1:9025"),
  };
}

Rows<DrainSettings> drain_rows() {
  using D = DrainSettings;
  return {
      row("timeout", &D::timeout, between(1s, 24h), at_once, "what still runs then is ended"),
      row("delay", &D::delay, between(0s, 1h), at_once,
          "how long /readyz says no before accepting stops, for balancers to notice"),
      row("spread", &D::spread, between(0s, 1h), at_once, "within this time idle sessions are told, not all at once"),
  };
}

Rows<CertificatePair> certificate_pair_rows() {
  using P = CertificatePair;
  return {
      row("chain", &P::chain, file(FileUse::certificate_chain, required_text("the path of a PEM file")), new_sessions,
          "PEM file with the certificate first, then those that vouch for it")
          .required(),
      row("key", &P::key, file(FileUse::private_key, required_text("the path of a PEM file")), new_sessions,
          "PEM file with its private key")
          .required(),
  };
}

Row<Settings> certificates_row() {
  auto result = section_row<Settings>("certificates",
                                      "pairs of chain and key by name; a name may hold several, such as ECDSA and RSA");
  result.read = [rows = certificate_pair_rows()](const Cursor& cursor, Settings& out) {
    read_named(cursor, [&](const Cursor& entry, const std::string& name) {
      read_items(entry, rows, "a list of pairs, as in [{ chain: FILE, key: FILE }]", out.certificates[name]);
    });
  };
  result.list = [rows = certificate_pair_rows()](const Settings& object, const Option& option,
                                                 std::vector<Option>& out) {
    out.push_back(option);
    for (const auto& [name, pairs] : object.certificates) {
      const Option entry = named_option(option, name);
      out.push_back(entry);
      list_items(pairs, rows, entry, out);
    }
  };
  return result;
}

const Rows<Settings>& settings_rows() {
  using S = Settings;
  static const Rows<S> rows = {
      row("workers", &S::workers, auto_or_between(1, 1024), restart,
          "event-loop threads; auto: one for each CPU that this process may use"),
      row("user", &S::user, text("the name of a user"), restart,
          "the user to become after binding, when started as root")
          .example("postern"),
      row("hostname", &S::hostname, host_name("a host name"), new_sessions,
          "for replies the gateway makes itself; without it the machine's own full name")
          .example("mail.example.org"),
      section("log", &S::log, log_rows(), "what goes to stderr"),
      section("admin", &S::admin, admin_rows(), "an HTTP server for /status, /metrics, /healthz and /readyz"),
      row("control", &S::control, text("the path of a unix socket"), restart,
          "where postern reload and postern status ask the running one; for its own user alone")
          .example("/run/postern/control"),
      row("private_keys", &S::private_keys, one_of<PrivateKeys>({PrivateKeys::separate, PrivateKeys::inside}), restart,
          "separate: the process that reads them signs for the one that serves; inside: that one has them in its "
          "memory"),
      row("sandbox", &S::sandbox, one_of<SandboxMode>({SandboxMode::on, SandboxMode::log, SandboxMode::off}), restart,
          "Landlock and seccomp for the processes that face the network; log: the kernel only logs what seccomp would "
          "refuse"),
      section("drain", &S::drain, drain_rows(), "how a stop comes to its end"),
      row("upgrade_grace", &S::upgrade_grace, between(1s, 10min), at_once,
          "how long another binary, started by SIGUSR2, has to begin in the place of this one"),
      row("buffer_limit", &S::buffer_limit, between(ByteSize{1 << 20}, ByteSize{std::uint64_t{1} << 40}), new_sessions,
          "what may wait in memory for peers that do not read, all together; beyond it new sessions are refused"),
      certificates_row(),
      section("tls", &S::tls, tls_rows(), "defaults; every listener may have its own"),
      inbound_row(),
      outbound_row(),
      section("dns", &S::dns, dns_rows(), "how the outbound listeners look up servers and their policies"),
      row("state_directory", &S::state_directory, text("the path of a directory"), restart,
          "for what is learned and worth keeping, such as MTA-STS policies; without it they stay in memory")
          .example("/var/lib/postern"),
  };
  return rows;
}

}  // namespace

std::string_view to_string(Reload value) {
  switch (value) {
    case Reload::at_once: return "at once";
    case Reload::new_sessions: return "new sessions";
    case Reload::restart: return "restart";
  }
  return "unknown";
}

bool is_entry_name(const Cursor& cursor, std::string_view name) {
  constexpr std::string_view allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
  constexpr std::size_t longest = 64;
  if (!name.empty() && name.size() <= longest && name.find_first_not_of(allowed) == std::string_view::npos) return true;
  cursor.loaded.add_error(cursor.path, quote(name) +
                                           " is not a good name: use at most 64 letters, digits, dots, "
                                           "hyphens and underscores");
  return false;
}

// In { } and behind a quoted key YAML wants a blank after the colon: {port:25} is one key.
static std::string key_meant_by(std::string_view key, const std::vector<std::string_view>& known) {
  const std::size_t colon = key.find(':');
  const std::string_view word = key.substr(0, colon);
  if (colon == std::string_view::npos || std::ranges::find(known, word) == known.end()) return did_you_mean(key, known);
  return "; write a blank behind its colon, as in " +
         quote(std::string(word) + ": " + std::string(key.substr(colon + 1)));
}

void report_unknown_keys(const Cursor& section, const std::vector<std::string_view>& known) {
  for (const Node& child : section.node.children) {
    if (std::ranges::find(known, child.key) != known.end()) continue;
    const std::string path = section.path_of(child.key);
    section.loaded.places[path] = child.key_place;
    const std::string where = section.path.empty() ? "" : " in " + section.path;
    section.loaded.add_error(path, "unknown key " + quote(child.key) + where + key_meant_by(child.key, known));
  }
}

Option named_option(const Option& parent, const std::string& name) {
  Option option;
  option.path = parent.path + "." + name;
  option.key = name;
  option.depth = parent.depth + 1;
  return option;
}

void read_settings(const Node& root, Loaded& loaded) {
  loaded.places.emplace("", root.place);
  read_section(Cursor{root, "", loaded}, settings_rows(), loaded.settings);
}

std::vector<Option> list_options(const Settings& settings) {
  std::vector<Option> options;
  list_section(settings, settings_rows(), Option{}, options);
  return options;
}

std::vector<std::string> changed_options(const Settings& before, const Settings& after) {
  const auto values_of = [](const std::vector<Option>& options) {
    std::map<std::string, std::string> values;
    for (const Option& option : options) values[option.path] = option.value;
    return values;
  };
  std::vector<std::string> changed;
  // Whatever is below one that was added follows upon it.
  const auto add = [&changed](const std::string& path) {
    const bool below = !changed.empty() && path.starts_with(changed.back()) && path.size() > changed.back().size() &&
                       (path[changed.back().size()] == '.' || path[changed.back().size()] == '[');
    if (!below) changed.push_back(path);
  };
  const std::vector<Option> then = list_options(before);
  const std::vector<Option> now = list_options(after);
  const auto old = values_of(then);
  for (const Option& option : now) {
    const auto found = old.find(option.path);
    if (found == old.end() || found->second != option.value) add(option.path);
  }
  const auto fresh = values_of(now);
  for (const Option& option : then) {
    if (!fresh.contains(option.path)) add(option.path);
  }
  return changed;
}

std::vector<std::string> changes_that_need_restart(const Settings& before, const Settings& after) {
  std::map<std::string, std::string> values;
  for (const Option& option : list_options(before)) values[option.path] = option.value;
  std::vector<std::string> changed;
  for (const Option& option : list_options(after)) {
    const auto old = values.find(option.path);
    const bool differs = old != values.end() && old->second != option.value;
    if (option.reload == Reload::restart && differs) changed.push_back(option.path);
  }
  return changed;
}

}  // namespace postern::config
