#include "tests/fuzz/twin/sasl_client.h"

#include <cstddef>
#include <cstdint>
#include <utility>

#include "config/assert.h"

namespace postern::smtp::before {

namespace {

constexpr std::size_t command_line_limit = 512;  // RFC 5321 4.5.3.1.4, CRLF included

// RFC 5801 4: a name in the header of OAUTHBEARER.
std::string in_gs2(std::string_view name) {
  std::string result;
  for (const char octet : name) {
    if (octet == ',') {
      result += "=2C";
    } else if (octet == '=') {
      result += "=3D";
    } else {
      result += octet;
    }
  }
  return result;
}

}  // namespace

std::string in_base64(std::string_view octets) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string result;
  for (std::size_t i = 0; i < octets.size(); i += 3) {
    const std::string_view group = octets.substr(i, 3);
    std::uint32_t bits = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      bits = bits << 8 | (j < group.size() ? static_cast<unsigned char>(group[j]) : 0U);
    }
    for (std::size_t j = 0; j < 4; ++j) result += j <= group.size() ? digits[bits >> (18 - 6 * j) & 63] : '=';
  }
  return result;
}

SaslClient::SaslClient(std::string_view mechanism, std::string_view user, std::string_view secret)
    : mechanism_(mechanism == "LOGIN"         ? Mechanism::login
                 : mechanism == "XOAUTH2"     ? Mechanism::xoauth2
                 : mechanism == "OAUTHBEARER" ? Mechanism::oauthbearer
                                              : Mechanism::plain),
      name_(mechanism),
      user_(user),
      secret_(secret) {
  POSTERN_ASSERT(mechanism_ != Mechanism::plain || mechanism == "PLAIN", "no such SASL mechanism");
}

std::string SaslClient::initial() const {
  switch (mechanism_) {
    case Mechanism::plain: return std::string(1, '\0') + user_ + '\0' + secret_;
    case Mechanism::login: return {};
    case Mechanism::xoauth2:
      return "user=" + user_ +
             "\x01"
             "auth=Bearer " +
             secret_ + "\x01\x01";
    case Mechanism::oauthbearer:
      return "n,a=" + in_gs2(user_) +
             ",\x01"
             "auth=Bearer " +
             secret_ + "\x01\x01";
  }
  return {};
}

std::string SaslClient::command() {
  std::string line = "AUTH " + name_;
  if (mechanism_ == Mechanism::login) return line;
  const std::string with_initial = line + " " + in_base64(initial());
  initial_said_ = with_initial.size() + 2 <= command_line_limit;
  return initial_said_ ? with_initial : line;
}

std::optional<std::string> SaslClient::shorter_command() {
  if (!std::exchange(initial_said_, false)) return std::nullopt;
  return "AUTH " + name_;
}

std::string SaslClient::respond() {
  const int challenge = challenges_++;
  if (mechanism_ == Mechanism::login) return challenge < 2 ? in_base64(challenge == 0 ? user_ : secret_) : "*";
  if (initial_said_) return after_initial(challenge);
  return challenge == 0 ? in_base64(initial()) : after_initial(challenge - 1);
}

// A challenge then is a refusal with its details: it has to be answered before the server says the code (RFC 7628
// 3.2.3).
std::string SaslClient::after_initial(int challenge) const {
  if (challenge > 0) return "*";
  switch (mechanism_) {
    case Mechanism::plain:
    case Mechanism::login: break;
    case Mechanism::xoauth2: return {};
    case Mechanism::oauthbearer: return in_base64("\x01");
  }
  return "*";
}

}  // namespace postern::smtp::before
