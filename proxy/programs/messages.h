// What a gateway's worker and the keeper say about programs (`backend.exec`), a message a packet (SOCK_SEQPACKET).
// Either may have been taken over, so that each end believes nothing that the other has not shown to be within bounds.
// Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/result.h"

namespace postern::programs {

inline constexpr std::size_t max_message = 65'536;  // octets
inline constexpr std::size_t max_listener = 1'024;  // octets of its name
inline constexpr std::size_t max_value = 16'384;    // octets of a variable's: a certificate's subject may be long
inline constexpr std::size_t max_text = 1'024;      // octets of a sentence

// Start the program of a listener. The message brings one descriptor, the program's end of its socket.
struct Start {
  std::uint32_t id = 0;  // none that is under way
  std::string listener;
  std::vector<std::string> environment;  // "NAME=value": variables of is_variable, each once; PATH is not the gateway's
};
// Harmless where the program has ended.
struct Order {
  enum class What : std::uint8_t { terminate, kill };
  std::uint32_t id = 0;
  What what = What::terminate;
};
using Request = std::variant<Start, Order>;

// What becomes of a start: refused, or started and, sooner or later, ended.
struct News {
  enum class Kind : std::uint8_t { started, refused, ended };
  std::uint32_t id = 0;
  Kind kind = Kind::ended;
  std::string text;  // why it was refused
};

// A name that the environment of a program may have.
bool is_variable(std::string_view name);

// Errc::limit_exceeded: more than a message holds; Errc::invalid_argument: not an environment that may be sent.
Result<std::string> encode(const Start& start);
std::string encode(const Order& order);
std::string encode(const News& news);

// Errc::protocol: no such message, or one that breaks a bound.
Result<Request> parse_request(std::string_view message);
Result<News> parse_news(std::string_view message);

}  // namespace postern::programs
