#include "proxy/wire/http_request.h"

#include <http_parser.h>

#include <algorithm>
#include <utility>

namespace postern::wire {

namespace {

std::string_view reason_of(int status) {
  switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 431: return "Request Header Fields Too Large";
    case 503: return "Service Unavailable";
    default: return "Internal Server Error";
  }
}

}  // namespace

struct HttpRequestReader::State {
  State() {
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = this;
  }

  static State& of(http_parser* parser) { return *static_cast<State*>(parser->data); }
  static const http_parser_settings& callbacks();

  int refuse(int status) {
    request.status = status;
    complete = true;
    return -1;  // 1 would mean "no body" to the library, in one of its callbacks
  }

  http_parser parser{};
  HttpRequest request;
  std::size_t size = 0;
  bool complete = false;
};

const http_parser_settings& HttpRequestReader::State::callbacks() {
  static const http_parser_settings settings = [] {
    http_parser_settings made;
    http_parser_settings_init(&made);
    made.on_url = [](http_parser* parser, const char* bytes, std::size_t size) {
      State& self = of(parser);
      if (self.request.path.size() + size > target_limit) return self.refuse(414);
      self.request.path.append(bytes, size);
      return 0;
    };
    made.on_headers_complete = [](http_parser* parser) {
      State& self = of(parser);
      if (parser->method != HTTP_GET) return self.refuse(405);
      const bool has_length = (parser->flags & F_CONTENTLENGTH) != 0 && parser->content_length != 0;
      if (has_length || (parser->flags & F_CHUNKED) != 0) return self.refuse(413);
      self.complete = true;
      if (const std::size_t mark = self.request.path.find('?'); mark != std::string::npos) {
        self.request.query = self.request.path.substr(mark + 1);
        self.request.path.resize(mark);
      }
      return -1;  // what follows is nobody's
    };
    return made;
  }();
  return settings;
}

HttpRequestReader::HttpRequestReader() : state_(std::make_unique<State>()) {}
HttpRequestReader::~HttpRequestReader() = default;
HttpRequestReader::HttpRequestReader(HttpRequestReader&&) noexcept = default;
HttpRequestReader& HttpRequestReader::operator=(HttpRequestReader&&) noexcept = default;

std::optional<HttpRequest> HttpRequestReader::feed(std::string_view bytes) {
  State& state = *state_;
  if (state.complete) return state.request;
  const std::string_view head = bytes.substr(0, head_limit - state.size);
  state.size += head.size();
  const std::size_t parsed = http_parser_execute(&state.parser, &State::callbacks(), head.data(), head.size());
  if (state.complete) return state.request;
  if (parsed != head.size() || state.parser.upgrade != 0) {
    (void)state.refuse(400);
  } else if (state.size == head_limit) {
    (void)state.refuse(431);
  }
  return state.complete ? std::optional(state.request) : std::nullopt;
}

std::string print_http_response(int status, std::string_view type, std::string_view body, std::string_view policy) {
  std::string text = "HTTP/1.1 " + std::to_string(status) + " " + std::string(reason_of(status)) + "\r\n";
  if (status == 405) text += "Allow: GET\r\n";
  if (!policy.empty())
    text += "Content-Security-Policy: " + std::string(policy) + "\r\nReferrer-Policy: no-referrer\r\n";
  text += "Content-Type: " + std::string(type) + "\r\nContent-Length: " + std::to_string(body.size()) +
          "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n";
  text += body;
  return text;
}

}  // namespace postern::wire
