#include "proxy/wire/http.h"

#include "tests/support/catch.h"

namespace http_test {

using postern::Errc;
using postern::Result;
using postern::wire::HttpResponse;
using postern::wire::HttpResponseReader;

Result<HttpResponse> read(const std::string& bytes, std::size_t step, const HttpResponseReader::Limits& limits = {}) {
  HttpResponseReader reader(limits);
  for (std::size_t at = 0; at < bytes.size(); at += step)
    if (auto outcome = reader.feed(std::string_view(bytes).substr(at, step))) return *outcome;
  return reader.finish();
}

// Whole, and cut after every octet: how bytes are cut changes nothing.
Result<HttpResponse> read(const std::string& bytes, const HttpResponseReader::Limits& limits = {}) {
  auto whole = read(bytes, bytes.size() + 1, limits);
  const auto cut = read(bytes, 1, limits);
  REQUIRE(whole.has_value() == cut.has_value());
  if (whole) {
    CHECK(whole->body == cut->body);
    CHECK(whole->content_type == cut->content_type);
  } else {
    CHECK(whole.error().code == cut.error().code);
  }
  return whole;
}

Errc error_of(const std::string& bytes, const HttpResponseReader::Limits& limits = {}) {
  const auto outcome = read(bytes, limits);
  REQUIRE_FALSE(outcome);
  return outcome.error().code;
}

const std::string head = "HTTP/1.1 200 OK\r\n";

TEST_CASE("http: a body with its length, its media type without parameters") {
  const auto response =
      read(head + "Server: x\r\nContent-TYPE:  Text/Plain ; charset=utf-8\r\nContent-Length: 5\r\n\r\nhello");
  REQUIRE(response);
  CHECK(response->status == 200);
  CHECK(response->content_type == "text/plain");
  CHECK(response->body == "hello");
}

TEST_CASE("http: a chunked body, and one that the end of the connection ends") {
  CHECK(read(head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n")->body == "abcde");
  CHECK(read(head + "\r\nabcde")->body == "abcde");
  CHECK(read("HTTP/1.0 200 OK\r\n\r\nabc")->body == "abc");
  CHECK(read(head + "\r\n")->body.empty());
  CHECK(read(head + "\r\n")->content_type.empty());
}

TEST_CASE("http: what follows the response is not read") {
  CHECK(read(head + "Content-Length: 2\r\n\r\nabHTTP/1.1 500 no\r\n\r\n")->body == "ab");
}

TEST_CASE("http: redirects and every status but 200 are refusals") {
  CHECK(error_of("HTTP/1.1 301 Moved\r\nLocation: https://example.org/\r\nContent-Length: 0\r\n\r\n") == Errc::refused);
  CHECK(error_of("HTTP/1.1 204 No Content\r\n\r\n") == Errc::refused);
  CHECK(error_of("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno!") == Errc::refused);
  CHECK(error_of("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n") == Errc::refused);
}

TEST_CASE("http: interim responses are passed over, as many as the head's limit allows") {
  const std::string early = "HTTP/1.1 103 Early Hints\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n";
  const auto response = read("HTTP/1.1 100 Continue\r\n\r\n" + early + early + head +
                             "Content-Type: text/plain\r\nContent-Length: 1\r\n\r\nx");
  REQUIRE(response);
  CHECK(response->body == "x");
  CHECK(response->content_type == "text/plain");
  CHECK(read("HTTP/1.1 100 Continue\r\n\r\n" + head + "\r\nabc")->body == "abc");
  CHECK(error_of("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n") == Errc::refused);
  CHECK(error_of("HTTP/1.1 100 Continue\r\n\r\n") == Errc::closed);
  std::string endless;
  for (int i = 0; i < 1000; ++i) endless += "HTTP/1.1 100 Continue\r\n\r\n";
  CHECK(error_of(endless) == Errc::limit_exceeded);
}

TEST_CASE("http: body and head have their limits") {
  HttpResponseReader::Limits limits;
  limits.body = 10;
  limits.head = 100;
  CHECK(read(head + "Content-Length: 10\r\n\r\n0123456789", limits)->body.size() == 10);
  CHECK(error_of(head + "Content-Length: 11\r\n\r\n", limits) == Errc::limit_exceeded);
  CHECK(error_of(head + "\r\n01234567890", limits) == Errc::limit_exceeded);
  CHECK(error_of(head + "Transfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n6\r\nabcdef\r\n0\r\n\r\n", limits) ==
        Errc::limit_exceeded);
  CHECK(error_of(head + "X: " + std::string(200, 'x') + "\r\n\r\n", limits) == Errc::limit_exceeded);
  CHECK(error_of(head + "Content-Length: 99999999999999999999999\r\n\r\n") == Errc::protocol);
}

TEST_CASE("http: a response cut short is no response") {
  CHECK(error_of("") == Errc::closed);
  CHECK(error_of("HTTP/1.1 200 OK\r\n") == Errc::closed);
  CHECK(error_of(head + "Content-Length: 5\r\n\r\nhell") == Errc::closed);
  CHECK(error_of(head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhell") == Errc::closed);
}

TEST_CASE("http: what is no HTTP response is refused") {
  CHECK(error_of("220 mx.example.org ESMTP\r\n") == Errc::protocol);
  CHECK(error_of("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n") == Errc::protocol);
  CHECK(error_of("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab") == Errc::protocol);
}

TEST_CASE("http: an error stays, a response is given once") {
  HttpResponseReader reader;
  CHECK_FALSE(*reader.feed("nonsense\r\n"));
  CHECK_FALSE(*reader.feed(head + "Content-Length: 0\r\n\r\n"));
  HttpResponseReader good;
  CHECK(*good.feed(head + "Content-Length: 0\r\n\r\n"));
  CHECK_FALSE(good.feed("more"));
}

TEST_CASE("http: the request names the host and asks for the end") {
  CHECK(postern::wire::print_http_get("mta-sts.example.org", "/.well-known/mta-sts.txt") ==
        "GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.example.org\r\nUser-Agent: postern\r\n"
        "Accept: text/plain\r\nConnection: close\r\n\r\n");
}

}  // namespace http_test
