#include "proxy/policy/mta_sts_policy.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "config/text.h"
#include "config/values.h"

namespace postern::policy {

namespace {

constexpr std::size_t max_id = 32;
// 64 KiB of policy hold some thousands of patterns; no domain has that many mail hosts.
constexpr std::size_t max_patterns = 1000;
constexpr std::string_view version = "STSv1";

// Splits off what stands before `separator`, or all of it.
std::string_view take_until(std::string_view& text, char separator) {
  const std::size_t end = text.find(separator);
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return part;
}

bool is_id(std::string_view text) {
  return !text.empty() && text.size() <= max_id && std::all_of(text.begin(), text.end(), config::is_alphanumeric);
}

// "v=STSv1" and then a field separator or the end: "v=STSv10" is another version.
bool is_mta_sts_record(std::string_view record) {
  constexpr std::string_view prefix = "v=STSv1";
  if (!record.starts_with(prefix)) return false;
  record = config::trim(record.substr(prefix.size()));
  return record.empty() || record.front() == ';';
}

std::optional<std::string> pattern_of(std::string_view value) {
  std::string pattern = config::lower_case(value);
  if (pattern.ends_with('.')) pattern.pop_back();
  const std::string_view name = pattern.starts_with("*.") ? std::string_view(pattern).substr(2) : pattern;
  if (!config::is_host_name(name)) return std::nullopt;
  return pattern;
}

std::optional<MtaStsMode> mode_of(std::string_view value) {
  for (const MtaStsMode mode : {MtaStsMode::none, MtaStsMode::testing, MtaStsMode::enforce}) {
    if (value == to_string(mode)) return mode;
  }
  return std::nullopt;
}

// RFC 8461 3.2: a number of seconds, 31557600 at most. What is more is meant to last as long as it can.
std::optional<std::chrono::seconds> max_age_of(std::string_view value) {
  std::uint64_t seconds = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (value.empty() || end != value.data() + value.size() || value.front() == '-') return std::nullopt;
  if (error == std::errc::result_out_of_range) return max_mta_sts_age;
  if (error != std::errc()) return std::nullopt;
  return std::min(std::chrono::seconds(std::min<std::uint64_t>(seconds, max_mta_sts_age.count())), max_mta_sts_age);
}

// Words of the network's in a sentence of ours.
std::string quote(std::string_view text) {
  constexpr std::size_t longest = 64;
  return '\'' + std::string(text.substr(0, longest)) + (text.size() > longest ? "...'" : "'");
}

// "the policy has no mode", "the policy's mode 'strict' is not enforce, testing or none".
std::string wrong_field(const std::string& name, std::optional<std::string_view> value, const std::string& wanted) {
  if (!value) return "the policy has no " + name;
  return "the policy's " + name + " " + quote(*value) + " is not " + wanted;
}

// The fields as they stand, before any is judged.
struct Fields {
  std::optional<std::string_view> version, mode, max_age;
  std::vector<std::string_view> mx;

  void take(std::string_view key, std::string_view value) {
    if (key == "mx" && mx.size() < max_patterns) mx.push_back(value);
    std::optional<std::string_view>* field = key == "version"   ? &version
                                             : key == "mode"    ? &mode
                                             : key == "max_age" ? &max_age
                                                                : nullptr;
    if (field != nullptr && !field->has_value()) *field = value;
  }
};

Fields split(std::string_view text) {
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  Fields fields;
  while (!text.empty()) {
    std::string_view line = take_until(text, '\n');
    if (line.ends_with('\r')) line.remove_suffix(1);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;  // a comment, a ruler: whatever it is, no field
    fields.take(config::trim(line.substr(0, colon)), config::trim(line.substr(colon + 1)));
  }
  return fields;
}

}  // namespace

std::string mta_sts_record_name(std::string_view domain) {
  return "_mta-sts." + std::string(domain);
}
std::string mta_sts_policy_host(std::string_view domain) {
  return "mta-sts." + std::string(domain);
}

Result<std::string> parse_mta_sts_record(std::span<const std::string> txt_records) {
  const auto ours = [](const std::string& record) { return is_mta_sts_record(record); };
  const auto count = std::count_if(txt_records.begin(), txt_records.end(), ours);
  if (count == 0) return fail(Errc::not_found, "no MTA-STS record");
  if (count > 1) return fail(Errc::protocol, "there is more than one MTA-STS record");
  std::string_view rest = *std::find_if(txt_records.begin(), txt_records.end(), ours);

  std::optional<std::string_view> id;
  while (!rest.empty()) {
    std::string_view value = config::trim(take_until(rest, ';'));
    const std::string_view key = config::trim(take_until(value, '='));
    if (key == "id" && !id) id = config::trim(value);
  }
  if (!id) return fail(Errc::protocol, "the MTA-STS record has no id");
  if (!is_id(*id)) {
    return fail(Errc::protocol, "the MTA-STS record's id " + quote(*id) + " is not 1 to 32 letters and digits");
  }
  return std::string(*id);
}

std::string_view to_string(MtaStsMode mode) {
  switch (mode) {
    case MtaStsMode::none: return "none";
    case MtaStsMode::testing: return "testing";
    case MtaStsMode::enforce: return "enforce";
  }
  return "unknown";
}

Result<MtaStsPolicy> parse_mta_sts_policy(std::string_view text) {
  if (text.size() > max_mta_sts_policy) return fail(Errc::limit_exceeded, "the policy is longer than 64 KiB");
  const Fields fields = split(text);
  if (fields.version != version) return fail(Errc::protocol, wrong_field("version", fields.version, "STSv1"));
  const auto mode = mode_of(fields.mode.value_or(""));
  if (!mode) return fail(Errc::protocol, wrong_field("mode", fields.mode, "enforce, testing or none"));
  const auto max_age = max_age_of(fields.max_age.value_or(""));
  if (!max_age) return fail(Errc::protocol, wrong_field("max_age", fields.max_age, "a number of seconds"));

  MtaStsPolicy policy{*mode, *max_age, {}};
  for (const std::string_view value : fields.mx) {
    if (auto pattern = pattern_of(value)) policy.mx.push_back(std::move(*pattern));
  }
  if (policy.mx.empty() && policy.mode != MtaStsMode::none) return fail(Errc::protocol, "the policy lists no valid mx");
  return policy;
}

std::vector<std::string> policy_strings(const MtaStsPolicy& policy) {
  std::vector<std::string> lines = {"version: " + std::string(version), "mode: " + std::string(to_string(policy.mode))};
  for (const std::string& pattern : policy.mx) lines.push_back("mx: " + pattern);
  lines.push_back("max_age: " + std::to_string(policy.max_age.count()));
  return lines;
}

std::string to_string(const MtaStsPolicy& policy) {
  std::string text;
  for (const std::string& line : policy_strings(policy)) text += line + "\r\n";
  return text;
}

bool lists_host(const MtaStsPolicy& policy, std::string_view mx_host) {
  std::string host = config::lower_case(mx_host);
  if (host.ends_with('.')) host.pop_back();
  if (!config::is_host_name(host)) return false;
  const std::size_t dot = host.find('.');
  return std::any_of(policy.mx.begin(), policy.mx.end(), [&](std::string_view pattern) {
    if (!pattern.starts_with("*.")) return pattern == host;
    return dot != std::string::npos && pattern.substr(2) == std::string_view(host).substr(dot + 1);
  });
}

}  // namespace postern::policy
