#include "proxy/init/listening.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

#include "proxy/init/wishes.h"

namespace postern::init {
namespace {

constexpr std::string_view state_listen = "0A";

template <class Number>
std::optional<Number> number_in(std::string_view text, int base) {
  Number number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number, base);
  if (text.empty() || error != std::errc() || rest != end) return std::nullopt;
  return number;
}

// "0100007F": words of 32 bits as they lie in memory.
std::optional<config::IpAddress> address_in(std::string_view text) {
  if (text.size() != 8 && text.size() != 32) return std::nullopt;
  config::IpAddress address;
  address.family = text.size() == 8 ? config::IpAddress::Family::v4 : config::IpAddress::Family::v6;
  for (std::size_t at = 0; at < text.size(); at += 8) {
    const auto word = number_in<std::uint32_t>(text.substr(at, 8), 16);
    if (!word) return std::nullopt;
    std::memcpy(address.bytes.data() + at / 2, &*word, sizeof *word);
  }
  return address;
}

}  // namespace

std::vector<Listening> parse_listening(std::string_view table) {
  std::vector<Listening> found;
  for (const std::string& line : split_words(table, "\n")) {
    // sl local_address rem_address st queues timer retransmits uid timeout inode
    const std::vector<std::string> words = split_words(line, " \t");
    if (words.size() < 10 || words[3] != state_listen) continue;
    const std::string_view local = words[1];
    const std::size_t colon = std::min(local.find(':'), local.size() - 1);
    const auto address = address_in(local.substr(0, colon));
    const auto port = number_in<std::uint16_t>(local.substr(colon + 1), 16);
    const auto inode = number_in<std::uint64_t>(words[9], 10);
    if (!address || !port || !inode) continue;
    Listening& socket = found.emplace_back();
    socket.at.address = *address;
    socket.at.port = *port;
    socket.inode = *inode;
  }
  return found;
}

std::uint16_t free_port_from(std::uint16_t wanted, const std::vector<Listening>& listening) {
  const auto is_taken = [&listening](std::uint16_t port) {
    return std::ranges::any_of(
        listening, [port](const Listening& each) { return each.at.port == port && each.program != "postern"; });
  };
  std::uint16_t port = wanted;
  while (port < 65535 && is_taken(port)) ++port;
  return port;
}

const Listening* Facts::listener_on(std::uint16_t port) const {
  const auto found = std::ranges::find_if(listening, [port](const auto& each) { return each.at.port == port; });
  return found == listening.end() ? nullptr : &*found;
}

}  // namespace postern::init
