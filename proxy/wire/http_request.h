// The server's side of HTTP, as far as the admin server needs it: a GET without a body, and the response to it. Pure.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace postern::wire {

// What came of reading a request: a status to refuse it with, or 200 and what is wanted.
struct HttpRequest {
  int status = 200;
  std::string path;   // without the query
  std::string query;  // behind the "?"; empty: there is none
};

// Reads one request, fed as it comes. Whatever follows it is not read: the connection ends with the response.
class HttpRequestReader {
 public:
  static constexpr std::size_t head_limit = 8 * 1024;  // request line and headers
  static constexpr std::size_t target_limit = 1024;

  HttpRequestReader();
  ~HttpRequestReader();
  HttpRequestReader(HttpRequestReader&&) noexcept;
  HttpRequestReader& operator=(HttpRequestReader&&) noexcept;

  // Nothing: more is needed. 400: no HTTP. 405: not GET. 413: with a body. 414, 431: too long.
  std::optional<HttpRequest> feed(std::string_view bytes);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// A whole response that closes the connection. All of it comes from us. `policy`: a Content-Security-Policy, or empty.
std::string print_http_response(int status, std::string_view type, std::string_view body, std::string_view policy = {});

}  // namespace postern::wire
