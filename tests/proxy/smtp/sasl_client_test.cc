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

}  // namespace postern::smtp::sasl_client_test
