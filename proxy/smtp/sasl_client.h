// Our own credentials for a server that wants them, for a client that cannot authenticate (RFC 4954): PLAIN (RFC 4616),
// LOGIN, XOAUTH2, OAUTHBEARER (RFC 7628).
#pragma once

#include <string>
#include <string_view>

namespace postern::smtp {

class SaslClient {
 public:
  // `mechanism` is one of "PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"; `secret` the password or the token.
  SaslClient(std::string_view mechanism, std::string_view user, std::string_view secret);

  // "AUTH PLAIN …", with the initial response where the mechanism has one; without CRLF.
  std::string command() const;
  // What answers a 334, whatever its text; without CRLF. "*" gives up, where the server asks for more than there is.
  std::string respond();

 private:
  enum class Mechanism { plain, login, xoauth2, oauthbearer };
  std::string initial() const;

  Mechanism mechanism_;
  std::string name_;
  std::string user_;
  std::string secret_;
  int challenges_ = 0;
};

// RFC 4648 4, with padding.
std::string in_base64(std::string_view octets);

}  // namespace postern::smtp
