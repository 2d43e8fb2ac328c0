#include "proxy/wire/http.h"

#include <http_parser.h>

#include <algorithm>

#include "config/text.h"

namespace postern::wire {

namespace {

constexpr std::string_view content_type = "content-type";
constexpr int ok = 200;
constexpr int switching_protocols = 101;  // we asked for no other

// "Text/Plain; charset=utf-8" -> "text/plain"
std::string media_type(std::string_view value) {
  value = value.substr(0, value.find(';'));
  while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
  return config::lower_case(value);
}

}  // namespace

struct HttpResponseReader::State {
  explicit State(const Limits& wanted) : limits(wanted) { begin(); }

  void begin() {
    http_parser_init(&parser, HTTP_RESPONSE);
    parser.data = this;
    response = {};
    in_head = true;
    interim = false;
  }

  // Each returns non-zero to stop the parser; `error` then says why.
  static State& of(http_parser* parser) { return *static_cast<State*>(parser->data); }
  static int on_header_field(http_parser* parser, const char* bytes, std::size_t size);
  static int on_header_value(http_parser* parser, const char* bytes, std::size_t size);
  static int on_headers_complete(http_parser* parser);
  static int on_body(http_parser* parser, const char* bytes, std::size_t size);
  static int on_message_complete(http_parser* parser);
  static const http_parser_settings& callbacks();

  int stop(Errc code, std::string message) {
    error = Error{code, std::move(message)};
    return -1;  // 1 would mean "no body" to the library, in one of its callbacks
  }
  std::optional<Result<HttpResponse>> outcome();

  Limits limits;
  http_parser parser{};
  HttpResponse response;
  std::string field, value;  // the header being read; no more of either than is of use
  bool in_value = false;
  bool in_head = true;
  bool interim = false;  // this response announces another one
  bool complete = false;
  bool given = false;
  std::size_t head_size = 0;
  std::optional<Error> error;

 private:
  void keep_header();
};

void HttpResponseReader::State::keep_header() {
  if (field == content_type && response.content_type.empty()) response.content_type = media_type(value);
  field.clear();
  value.clear();
  in_value = false;
}

int HttpResponseReader::State::on_header_field(http_parser* parser, const char* bytes, std::size_t size) {
  State& self = of(parser);
  if (self.in_value) self.keep_header();
  // A name longer than the one we look for cannot be it, however much longer it is.
  for (std::size_t i = 0; i < size && self.field.size() <= content_type.size(); ++i) {
    self.field.push_back(config::lower(bytes[i]));
  }
  return 0;
}

int HttpResponseReader::State::on_header_value(http_parser* parser, const char* bytes, std::size_t size) {
  State& self = of(parser);
  self.in_value = true;
  if (self.field == content_type) self.value.append(bytes, size);  // bounded by limits.head
  return 0;
}

int HttpResponseReader::State::on_headers_complete(http_parser* parser) {
  State& self = of(parser);
  self.keep_header();
  self.in_head = false;
  self.response.status = parser->status_code;
  self.interim = parser->status_code / 100 == 1 && parser->status_code != switching_protocols;
  if (self.interim) return 0;
  if (parser->status_code != ok) return self.stop(Errc::refused, "HTTP status " + std::to_string(parser->status_code));
  const bool has_length = (parser->flags & F_CONTENTLENGTH) != 0;
  if (has_length && parser->content_length > self.limits.body) {
    return self.stop(Errc::limit_exceeded, "the HTTP response is too large");
  }
  return 0;
}

int HttpResponseReader::State::on_body(http_parser* parser, const char* bytes, std::size_t size) {
  State& self = of(parser);
  if (size > self.limits.body - self.response.body.size()) {
    return self.stop(Errc::limit_exceeded, "the HTTP response is too large");
  }
  self.response.body.append(bytes, size);
  return 0;
}

int HttpResponseReader::State::on_message_complete(http_parser* parser) {
  of(parser).complete = !of(parser).interim;
  http_parser_pause(parser, 1);  // nothing behind the response is of interest
  return 0;
}

const http_parser_settings& HttpResponseReader::State::callbacks() {
  static const http_parser_settings settings = [] {
    http_parser_settings all;
    http_parser_settings_init(&all);
    all.on_header_field = on_header_field;
    all.on_header_value = on_header_value;
    all.on_headers_complete = on_headers_complete;
    all.on_body = on_body;
    all.on_message_complete = on_message_complete;
    return all;
  }();
  return settings;
}

std::optional<Result<HttpResponse>> HttpResponseReader::State::outcome() {
  if (error) return tl::unexpected(*error);
  if (complete) {
    if (given) return std::nullopt;
    given = true;
    return std::move(response);
  }
  const http_errno code = HTTP_PARSER_ERRNO(&parser);
  if (code == HPE_OK) return std::nullopt;
  error = Error{Errc::protocol, std::string("malformed HTTP response: ") + http_errno_description(code)};
  return tl::unexpected(*error);
}

HttpResponseReader::HttpResponseReader() : HttpResponseReader(Limits{}) {}
HttpResponseReader::HttpResponseReader(const Limits& limits) : state_(std::make_unique<State>(limits)) {}
HttpResponseReader::~HttpResponseReader() = default;
HttpResponseReader::HttpResponseReader(HttpResponseReader&&) noexcept = default;
HttpResponseReader& HttpResponseReader::operator=(HttpResponseReader&&) noexcept = default;

std::optional<Result<HttpResponse>> HttpResponseReader::feed(std::string_view bytes) {
  State& state = *state_;
  // The library's own bound on the head is for the whole process, so we keep ours: in steps, as it must hold for one
  // large piece as for many small ones.
  while (!bytes.empty() && !state.error && !state.complete && HTTP_PARSER_ERRNO(&state.parser) == HPE_OK) {
    const std::size_t room = state.limits.head - state.head_size;
    const std::string_view piece = state.in_head ? bytes.substr(0, std::max<std::size_t>(room, 1)) : bytes;
    if (state.in_head && room == 0) {
      state.stop(Errc::limit_exceeded, "the head of the HTTP response is too large");
      break;
    }
    if (state.in_head) state.head_size += piece.size();
    const std::size_t read = http_parser_execute(&state.parser, &State::callbacks(), piece.data(), piece.size());
    const bool another_follows = state.interim && HTTP_PARSER_ERRNO(&state.parser) == HPE_PAUSED;
    bytes.remove_prefix(another_follows ? read : piece.size());
    if (!another_follows) continue;
    state.head_size -= piece.size() - read;  // of the next head, and counted with that
    state.begin();
  }
  return state.outcome();
}

Result<HttpResponse> HttpResponseReader::finish() {
  State& state = *state_;
  // To the library an empty piece is the end of the connection.
  if (!state.error && !state.complete && HTTP_PARSER_ERRNO(&state.parser) == HPE_OK) {
    http_parser_execute(&state.parser, &State::callbacks(), "", 0);
  }
  if (!state.complete && !state.error) state.stop(Errc::closed, "the connection ended before the HTTP response did");
  if (auto outcome = state.outcome()) return std::move(*outcome);
  return fail(Errc::closed, "the HTTP response has been given already");
}

std::string print_http_get(std::string_view host, std::string_view path) {
  std::string request = "GET ";
  request.append(path).append(" HTTP/1.1\r\nHost: ").append(host);
  request += "\r\nUser-Agent: postern\r\nAccept: text/plain\r\nConnection: close\r\n\r\n";
  return request;
}

}  // namespace postern::wire
