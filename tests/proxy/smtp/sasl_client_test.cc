#include "proxy/smtp/sasl_client.h"

#include <string>

#include "tests/support/catch.h"

namespace postern::smtp::sasl_client_test {

TEST_CASE("sasl client: base64 as in RFC 4648 10") {
  CHECK(in_base64("").empty());
  CHECK(in_base64("f") == "Zg==");
  CHECK(in_base64("fo") == "Zm8=");
  CHECK(in_base64("foo") == "Zm9v");
  CHECK(in_base64("foob") == "Zm9vYg==");
  CHECK(in_base64("\xff\xfe\xfd") == "//79");
}

TEST_CASE("sasl client: PLAIN says all at once, and gives up when asked for more") {
  SaslClient client("PLAIN", "tim", "tanstaaftanstaaf");
  CHECK(client.command() == "AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm");  // RFC 4616 4
  CHECK(client.respond() == "*");
}

TEST_CASE("sasl client: LOGIN answers two questions, whatever their text") {
  SaslClient client("LOGIN", "user", "secret");
  CHECK(client.command() == "AUTH LOGIN");
  CHECK(client.respond() == "dXNlcg==");
  CHECK(client.respond() == "c2VjcmV0");
  CHECK(client.respond() == "*");
}

TEST_CASE("sasl client: XOAUTH2 answers the details of a refusal with an empty line") {
  SaslClient client("XOAUTH2", "u@x", "tok");
  CHECK(client.command() == "AUTH XOAUTH2 " + in_base64("user=u@x\x01"
                                                        "auth=Bearer tok\x01\x01"));
  CHECK(client.respond().empty());
  CHECK(client.respond() == "*");
}

TEST_CASE("sasl client: OAUTHBEARER escapes the name and answers a refusal with ^A") {
  SaslClient client("OAUTHBEARER", "a,b=c", "tok");
  CHECK(client.command() == "AUTH OAUTHBEARER " + in_base64("n,a=a=2Cb=3Dc,\x01"
                                                            "auth=Bearer tok\x01\x01"));
  CHECK(client.respond() == "AQ==");
}

TEST_CASE("sasl client: a line of 512 octets is not exceeded, and what is long follows the challenge") {
  // "AUTH PLAIN " and CRLF leave 499 octets: 496 in base64, which are 372 before that.
  const std::string fits(372 - 6, 'x');
  SaslClient within("PLAIN", "user", fits);
  CHECK(within.command().size() + 2 <= 512);
  CHECK(within.command() == "AUTH PLAIN " + in_base64(std::string("\0user\0", 6) + fits));
  CHECK(within.respond() == "*");
  CHECK(SaslClient("PLAIN", "user", fits + "x").command() == "AUTH PLAIN");

  const std::string token(9000, 't');
  for (const std::string_view mechanism : {"PLAIN", "XOAUTH2", "OAUTHBEARER"}) {
    INFO(mechanism);
    SaslClient client(mechanism, "user", token);
    CHECK(client.command() == "AUTH " + std::string(mechanism));
    CHECK_FALSE(client.shorter_command());
    CHECK(client.respond().size() > 12000);
    CHECK(client.respond() == (mechanism == "PLAIN" ? "*" : mechanism == "XOAUTH2" ? "" : "AQ=="));
    CHECK(client.respond() == "*");
  }
}

TEST_CASE("sasl client: a shorter way is taken once") {
  SaslClient client("XOAUTH2", "u", "t");
  const std::string command = client.command();
  CHECK(client.shorter_command() == "AUTH XOAUTH2");
  CHECK_FALSE(client.shorter_command());
  CHECK("AUTH XOAUTH2 " + client.respond() == command);
  CHECK_FALSE(SaslClient("LOGIN", "u", "p").shorter_command());
}

}  // namespace postern::smtp::sasl_client_test
