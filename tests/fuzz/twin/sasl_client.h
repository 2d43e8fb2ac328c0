// Our own credentials for a server that wants them, for a client that cannot authenticate (RFC 4954): PLAIN (RFC 4616),
// LOGIN, XOAUTH2, OAUTHBEARER (RFC 7628).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace postern::smtp::before {

class SaslClient {
 public:
  // `mechanism` is one of "PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"; `secret` the password or the token.
  SaslClient(std::string_view mechanism, std::string_view user, std::string_view secret);

  // "AUTH PLAIN …", with the initial response where the mechanism has one and the line stays within 512 octets
  // (RFC 4954 4); without CRLF.
  std::string command();
  // After a server has refused that line for its length or syntax: "AUTH PLAIN", once. Nothing: there is no other way
  // to say it.
  std::optional<std::string> shorter_command();
  // What answers a 334, whatever its text; without CRLF. "*" gives up, where the server asks for more than there is.
  std::string respond();

 private:
  enum class Mechanism { plain, login, xoauth2, oauthbearer };
  std::string initial() const;
  std::string after_initial(int challenge) const;

  Mechanism mechanism_;
  std::string name_;
  std::string user_;
  std::string secret_;
  int challenges_ = 0;
  bool initial_said_ = false;
};

// RFC 4648 4, with padding.
std::string in_base64(std::string_view octets);

}  // namespace postern::smtp::before
