#include "proxy/wire/http_request.h"

#include "tests/support/catch.h"

namespace http_request_test {

using postern::wire::HttpRequest;
using postern::wire::HttpRequestReader;
using postern::wire::print_http_response;

// The same whole, and octet by octet.
std::optional<HttpRequest> read(std::string_view text) {
  HttpRequestReader whole;
  const auto at_once = whole.feed(text);
  HttpRequestReader cut;
  std::optional<HttpRequest> bit_by_bit;
  for (const char octet : text) {
    bit_by_bit = cut.feed({&octet, 1});
    if (bit_by_bit) break;
  }
  CHECK(at_once.has_value() == bit_by_bit.has_value());
  if (at_once && bit_by_bit) {
    CHECK(at_once->status == bit_by_bit->status);
    if (at_once->status == 200) CHECK(at_once->path == bit_by_bit->path);
  }
  return at_once;
}

int status_of(std::string_view text) {
  const auto request = read(text);
  return request ? request->status : 0;
}

TEST_CASE("http request: a GET, its query apart") {
  const auto request = read("GET /metrics?name=x HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\nGET /other");
  REQUIRE(request);
  CHECK(request->status == 200);
  CHECK(request->path == "/metrics");
  CHECK(request->query == "name=x");
  CHECK(read("GET / HTTP/1.0\r\n\r\n")->path == "/");
}

TEST_CASE("http request: more is needed until the head is whole") {
  CHECK_FALSE(read(""));
  CHECK_FALSE(read("GET /metrics HTTP/1.1\r\nHost: a\r\n"));
}

TEST_CASE("http request: nothing but GET, and no body") {
  CHECK(status_of("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello") == 405);
  CHECK(status_of("HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n") == 405);
  CHECK(status_of("CONNECT a:25 HTTP/1.1\r\nHost: a\r\n\r\n") == 405);
  CHECK(status_of("GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello") == 413);
  CHECK(status_of("GET /metrics HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n") == 413);
  CHECK(status_of("GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n") == 200);
}

TEST_CASE("http request: what is no HTTP ends at once, what is too long at its limit") {
  CHECK(status_of("EHLO client.example\r\n") == 400);
  CHECK(status_of(std::string("\x16\x03\x01\x02\x00", 5)) == 400);
  CHECK(status_of("GET /metrics HTTP/1.1\r\nno colon here\r\n\r\n") == 400);
  CHECK(status_of("GET /" + std::string(2000, 'a')) == 414);
  CHECK(status_of("GET / HTTP/1.1\r\nX: " + std::string(20'000, 'a')) == 431);
  std::string many = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 5000; ++i) many += "a: b\r\n";
  CHECK(status_of(many) == 431);
}

TEST_CASE("http request: a response says how long it is, and that it is the last") {
  const std::string text = print_http_response(200, "text/plain", "ready\n");
  CHECK(text.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n"));
  CHECK(text.find("\r\nConnection: close\r\n") != std::string::npos);
  CHECK(text.ends_with("\r\n\r\nready\n"));
  CHECK(print_http_response(405, "text/plain", "").find("\r\nAllow: GET\r\n") != std::string::npos);
}

}  // namespace http_request_test
