// HTTP, as far as Postern needs it: one GET and its response, for MTA-STS policies (RFC 8461 3.3). The one place that
// knows the HTTP parser library. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "config/result.h"

namespace postern::wire {

// "GET path HTTP/1.1" with the headers that go with it; asks the server to close the connection. `host` and `path` come
// from us and hold no CR, LF or blank.
std::string print_http_get(std::string_view host, std::string_view path);

struct HttpResponse {
  int status = 0;
  std::string content_type;  // the media type alone, lower case, without parameters; empty: none given
  std::string body;
};

// Reads one response, fed as it comes. Only status 200 is a success: a redirect is never followed (RFC 8461 3.3), and
// the rest are refusals, but for interim responses (1xx), which are passed over (RFC 9110 15.2). Chunked bodies, and
// bodies that the end of the connection ends, are understood.
class HttpResponseReader {
 public:
  struct Limits {
    std::size_t body = 64 * 1024;
    std::size_t head = 16 * 1024;  // status line and headers
  };
  HttpResponseReader();
  explicit HttpResponseReader(const Limits& limits);
  ~HttpResponseReader();
  HttpResponseReader(HttpResponseReader&&) noexcept;
  HttpResponseReader& operator=(HttpResponseReader&&) noexcept;

  // Nothing: more is needed. A response is given once; what follows it is not read. Errors: Errc::refused (a status
  // other than 200), Errc::limit_exceeded, Errc::protocol; after one, the reader gives it again.
  std::optional<Result<HttpResponse>> feed(std::string_view bytes);
  // The peer has closed. An error (Errc::closed) if that cuts the response short.
  Result<HttpResponse> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace postern::wire
