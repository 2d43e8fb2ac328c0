#include "config/reference.h"

#include <algorithm>

#include "config/schema.h"

namespace postern::config {
namespace {

constexpr std::size_t line_width = 110;

std::string explanation(const Option& option) {
  if (option.is_section()) return option.help;
  std::string text = option.help + " (" + option.expected;
  if (option.reload == Reload::restart) text += "; a change needs a restart";
  return text + ")";
}

// Breaks a comment at blanks so that lines stay readable.
std::string comment(std::string_view text, const std::string& indent) {
  std::string printed;
  while (!text.empty()) {
    std::size_t end = text.size();
    const std::size_t room = line_width - indent.size() - 2;
    if (end > room) end = text.rfind(' ', room);
    if (end == std::string_view::npos) end = text.size();
    printed += indent + "# " + std::string(text.substr(0, end)) + "\n";
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return printed;
}

std::string print_option(const Option& option) {
  const bool in_item = option.path.find('[') != std::string::npos;
  std::string indent((option.depth - 1) * 2 + (in_item ? 2 : 0), ' ');
  std::string printed = option.depth == 1 ? "\n" : "";
  printed += comment(explanation(option), indent);
  if (option.begins_item) indent.replace(indent.size() - 2, 2, "- ");
  const bool has_value = !option.value.empty();
  const bool left_out = option.absent || (!option.is_section() && !has_value);
  printed += indent + (left_out ? "#" : "") + option.key + ":";
  if (option.is_section()) return printed + "\n";
  return printed + " " + (has_value ? option.value : option.example) + "\n";
}

}  // namespace

Settings sample_settings() {
  Settings settings;
  settings.certificates["mx"] = {{"/etc/postern/mx.pem", "/etc/postern/mx.key"}};
  InboundListener& mx = settings.inbound.emplace_back();
  mx.name = "mx";
  mx.listen = {parse_endpoint("0.0.0.0:25").value(), parse_endpoint("[::]:25").value()};
  mx.certificates = {"mx"};
  mx.backend.addresses = {parse_endpoint("127.0.0.1:2525").value()};
  mx.recipients.allow_domains.emplace({parse_domain_pattern("example.org").value()});
  OutboundListener& internet = settings.outbound.emplace_back();
  internet.name = "internet";
  internet.listen = {parse_endpoint("127.0.0.1:10025").value()};
  OutboundPolicy& strict = internet.policies.emplace_back();
  strict.match = {parse_domain_pattern("bank.example").value(), parse_domain_pattern(".gov.example").value()};
  strict.level = TlsLevel::secure;
  return settings;
}

std::string print_reference() {
  std::string printed =
      "# Every option of Postern with its default. What is commented out has none.\n"
      "# In any value ${NAME} and ${NAME:-default} are replaced from the environment, and $$ is a dollar.\n";
  for (const Option& option : list_options(sample_settings())) printed += print_option(option);
  return printed;
}

}  // namespace postern::config
