#include "config/manual.h"

#include <algorithm>
#include <map>
#include <vector>

#include "config/reference.h"
#include "config/schema.h"
#include "config/text.h"

namespace postern::config {
namespace {

constexpr std::string_view introduction = R"(.SH NAME
postern.yaml \- what the gateway for SMTP is to do
.SH DESCRIPTION
.BR postern (8)
reads one file in YAML.
A key that it does not know, a value of the wrong kind and a key that is there twice are errors, all of which
.B postern check
shows with their places.
A file may have any number of listeners, each with a name of its own: below
.B inbound
those that clients connect to, with TLS, in front of a server that has none; below
.B outbound
those that take a server's mail to other servers with TLS, by a policy.
Without a listener nothing is done.
.PP
In any value
.B ${NAME}
and
.B ${NAME:\-default}
are replaced from the environment, and
.B $$
is a dollar.
Durations are written
.BR 500ms ,
.BR 30s ,
.B 5m
or
.BR 1h ,
sizes
.B 64KiB
or
.BR 50MiB ,
addresses
.BR 127.0.0.1:25 ,
.BR [::1]:25 ,
.B host:25
or
.BR unix:/run/x.sock .
An empty list means none, and a section with nothing below it has its defaults.
.PP
What is changed counts from the next reload on (SIGHUP, or
.BR "postern reload" ),
for sessions that begin after it, unless it says here that a change needs a restart.
Certificates, keys and other files that are named are read again whenever they change.
.SH EXAMPLES
TLS in front of a server on port 2525 of the same machine, which learns the client's address by XCLIENT:
.PP
.EX
user: postern
certificates:
  mx:
    \- { chain: /etc/postern/mx.pem, key: /etc/postern/mx.key }
inbound:
  mx:
    listen: ["0.0.0.0:25", "[::]:25"]
    certificates: [mx]
    backend: { address: "127.0.0.1:2525", client_address: xclient }
.EE
.SH OPTIONS
)";

constexpr std::string_view ending = R"(.SH FILES
.TP
.I /etc/postern/postern.yaml
Where packages have it.
.SH SEE ALSO
.BR postern (8)
)";

// What a sample has beyond its listeners' names is none of the defaults.
Settings only_names(const Settings& sample) {
  Settings plain;
  for (const auto& [name, pairs] : sample.certificates) plain.certificates[name].resize(pairs.size());
  for (const InboundListener& listener : sample.inbound) plain.inbound.emplace_back().name = listener.name;
  for (const OutboundListener& listener : sample.outbound) {
    plain.outbound.emplace_back().name = listener.name;
    plain.outbound.back().policies.resize(listener.policies.size());
  }
  return plain;
}

// "inbound.mx.policies[0].match" is said of any listener and any item: "inbound.NAME.policies[].match".
std::string general_path(const std::string& path) {
  std::string printed;
  std::size_t component = 0;
  const bool has_names =
      path.starts_with("inbound.") || path.starts_with("outbound.") || path.starts_with("certificates.");
  for (std::size_t at = 0; at < path.size(); ++component) {
    const std::size_t end = std::min(path.find('.', at), path.size());
    std::string word = path.substr(at, end - at);
    const std::size_t index = std::min(word.find('['), word.size());
    const bool is_item = index < word.size();
    word.resize(index);
    printed += component == 0 ? "" : ".";
    printed += component == 1 && has_names ? R"(\fINAME\fB)" : roff(word);
    if (is_item) printed += "[]";
    at = end + 1;
  }
  return printed;
}

std::string sentence(const std::string& text) {
  return text.empty() ? "" : roff(text) + ".\n";
}

std::string print_option(const Option& option, const std::string& by_default) {
  std::string printed =
      option.depth == 1 ? ".SS " + roff(option.key) + "\n" : ".TP\n\\fB" + general_path(option.path) + "\\fP\n";
  printed += sentence(option.help);
  if (option.is_section()) return option.help.empty() ? "" : printed;
  printed +=
      ".br\n" + sentence(option.expected + (option.reload == Reload::restart ? "; a change needs a restart" : ""));
  const std::string shown = option.value.empty() ? option.example : option.value;
  if (!by_default.empty()) {
    printed += "Default: \\fB" + roff(by_default) + "\\fP.\n";
  } else if (!shown.empty()) {
    printed += "For example: \\fB" + roff(shown) + "\\fP.\n";
  }
  return printed;
}

}  // namespace

std::string roff(std::string_view text) {
  std::string printed;
  bool at_begin = true;
  for (const char c : text) {
    if (at_begin && (c == '.' || c == '\'')) printed += "\\&";
    at_begin = c == '\n';
    if (c == '\\') {
      printed += "\\e";
    } else if (c == '-') {
      printed += "\\-";
    } else {
      printed += c;
    }
  }
  return printed;
}

std::string manual_title(std::string_view name, int section, std::string_view version) {
  return ".TH " + upper_case(name) + " " + std::to_string(section) + " \"\" \"Postern " + std::string(version) +
         "\" Postern\n";
}

std::string print_manual(std::string_view version) {
  const Settings sample = sample_settings();
  std::map<std::string, std::string> defaults;
  for (const Option& option : list_options(only_names(sample))) defaults[option.path] = option.value;
  std::string printed = manual_title("postern.yaml", 5, version) + std::string(introduction);
  for (const Option& option : list_options(sample)) printed += print_option(option, defaults[option.path]);
  return printed + std::string(ending);
}

}  // namespace postern::config
