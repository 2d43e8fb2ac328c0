#include "proxy/process/host_name.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "config/values.h"
#include "proxy/process/name_lookup.h"

namespace postern::process {
namespace {

using namespace std::chrono_literals;

// DNS answers within milliseconds, or, where nobody is there to answer, not at all.
constexpr auto usual = 1s;
constexpr auto longest = 5s;

std::string canonical_name(const std::string& host, const Waiting& waiting) {
  auto answer = look_up_name(host);
  const auto ready = [&answer](auto time) { return answer.wait_for(time) == std::future_status::ready; };
  if (!ready(usual)) {
    if (waiting) waiting(host, false);
    if (!ready(longest - usual)) {
      if (waiting) waiting(host, true);
      return {};
    }
  }
  return answer.get().canonical_name;
}

std::string bare_name() {
  std::array<char, 256> bare{};
  if (::gethostname(bare.data(), bare.size() - 1) != 0) bare[0] = '\0';
  return bare.data();
}

}  // namespace

std::optional<std::string> unusable_host_name() {
  std::string name = bare_name();
  if (config::is_host_name(name)) return std::nullopt;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return name;
}

std::string host_name(const Waiting& waiting) {
  const std::string host = bare_name();
  if (!config::is_host_name(host)) return "localhost.localdomain";
  const std::string full = canonical_name(host, waiting);
  // A machine whose /etc/hosts maps its name to "localhost" first is better served by the name it was given.
  const bool better =
      full.find('.') != std::string::npos && config::is_host_name(full) && !full.starts_with("localhost");
  return better ? full : host;
}

}  // namespace postern::process
