#include "proxy/intercept/machine.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <optional>

#include "config/file.h"
#include "config/text.h"
#include "proxy/intercept/reach.h"
#include "proxy/net/interface_addresses.h"
#include "proxy/process/privileges.h"

namespace postern::intercept {

namespace {

using config::Endpoint;
using config::IpAddress;

constexpr std::string_view state_listen = "0A";
constexpr std::size_t most_octets = std::size_t{4} << 20U;  // who listens stands before the rest

template <class Number>
std::optional<Number> hexadecimal_number(std::string_view text) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "0100007F": words of 32 bits, each in the order of this machine.
std::optional<IpAddress> kernel_address(std::string_view text) {
  IpAddress address;
  if (text.size() != 8 && text.size() != 32) return std::nullopt;
  address.family = text.size() == 8 ? IpAddress::Family::v4 : IpAddress::Family::v6;
  for (std::size_t word = 0; word < text.size() / 8; ++word) {
    const auto value = hexadecimal_number<std::uint32_t>(text.substr(word * 8, 8));
    if (!value) return std::nullopt;
    std::memcpy(address.bytes.data() + word * 4, &*value, 4);
  }
  return address;
}

std::string_view next_field(std::string_view& line) {
  line = config::trim(line);
  const std::size_t size = std::min(line.find(' '), line.size());
  const std::string_view field = line.substr(0, size);
  line.remove_prefix(size);
  return field;
}

// "   0: 0100007F:2729 00000000:0000 0A …"
std::optional<Endpoint> listener_in(std::string_view line) {
  next_field(line);
  const std::string_view local = next_field(line);
  next_field(line);
  const std::size_t colon = local.find(':');
  if (next_field(line) != state_listen || colon == std::string_view::npos) return std::nullopt;
  const auto address = kernel_address(local.substr(0, colon));
  const auto port = hexadecimal_number<std::uint16_t>(local.substr(colon + 1));
  if (!address || !port) return std::nullopt;
  Endpoint endpoint;
  endpoint.address = *address;
  endpoint.port = *port;
  return endpoint;
}

}  // namespace

Machine look_at_machine(const config::Settings& settings) {
  Machine machine{net::interface_addresses(), {}};
  if (settings.user.empty()) return machine;
  if (const auto user = process::find_user(settings.user)) machine.user = user->uid;
  return machine;
}

std::vector<Endpoint> listening_in(std::string_view table) {
  std::vector<Endpoint> found;
  while (!table.empty()) {
    const std::size_t size = std::min(table.find('\n'), table.size());
    if (auto endpoint = listener_in(table.substr(0, size))) found.push_back(std::move(*endpoint));
    table.remove_prefix(std::min(size + 1, table.size()));
  }
  return found;
}

std::vector<Endpoint> listening_now() {
  std::vector<Endpoint> found;
  for (const char* path : {"/proc/self/net/tcp", "/proc/self/net/tcp6"}) {
    const auto table = config::read_beginning(path, most_octets);
    if (!table) continue;
    const auto listening = listening_in(table->content);
    found.insert(found.end(), listening.begin(), listening.end());
  }
  return found;
}

std::vector<Endpoint> deaf(const Plan& plan, const std::vector<Endpoint>& listening) {
  std::vector<Endpoint> found;
  for (const Catch& one : plan.catches) {
    for (const auto& at : {one.v4, one.v6}) {
      const auto serves = [&at](const Endpoint& other) {
        return other.port == at->port && other.address.family == at->address.family &&
               (other.address == at->address || is_wildcard(other.address));
      };
      if (at && std::ranges::none_of(listening, serves)) found.push_back(*at);
    }
  }
  return found;
}

}  // namespace postern::intercept
