#include "proxy/programs/messages.h"

#include <algorithm>
#include <iterator>

#include "config/packing.h"
#include "config/text.h"

namespace postern::programs {

namespace {

enum class Kind : std::uint8_t { start, order, news };  // the first octet of each message

// ucspi-tcp's, and those that mod_ssl has given its names.
constexpr std::string_view variables[] = {
    "PROTO",        "TCPLOCALIP", "TCPLOCALPORT", "TCPLOCALHOST",      "TCPREMOTEIP",     "TCPREMOTEPORT",     "HTTPS",
    "SSL_PROTOCOL", "SSL_CIPHER", "SSL_TLS_SNI",  "SSL_CLIENT_VERIFY", "SSL_CLIENT_S_DN", "SSL_CLIENT_S_DN_CN"};
constexpr std::size_t max_variable = 32 + max_value;  // with its name

std::string_view name_of(std::string_view variable) {
  return variable.substr(0, variable.find('='));
}

bool may_be_set(std::string_view variable) {
  const std::string_view name = name_of(variable);
  return name.size() < variable.size() && is_variable(name) && variable.size() - name.size() - 1 <= max_value &&
         variable.find('\0') == std::string_view::npos;
}

bool is_environment(const std::vector<std::string>& environment) {
  std::vector<std::string_view> names;
  for (const std::string& variable : environment) {
    if (!may_be_set(variable)) return false;
    names.push_back(name_of(variable));
  }
  std::ranges::sort(names);
  return std::ranges::adjacent_find(names) == names.end();
}

// Sentences end in logs.
std::string sentence(std::string_view text) {
  return config::without_controls(text.substr(0, max_text));
}

tl::unexpected<Error> broken() {
  return fail(Errc::protocol, "a message about a program breaks a bound");
}

}  // namespace

bool is_variable(std::string_view name) {
  return std::ranges::find(variables, name) != std::end(variables);
}

Result<std::string> encode(const Start& start) {
  if (start.listener.size() > max_listener) return fail(Errc::limit_exceeded, "a listener's name is too long");
  if (!is_environment(start.environment)) {
    return fail(Errc::invalid_argument, "the program's environment is not one that it may have");
  }
  config::Packer packer;
  packer.number(static_cast<std::uint8_t>(Kind::start));
  packer.number(start.id);
  packer.text(start.listener);
  packer.list(start.environment);
  if (packer.size() > max_message) return fail(Errc::limit_exceeded, "the program's environment is too large");
  return packer.take();
}

std::string encode(const Order& order) {
  config::Packer packer;
  packer.number(static_cast<std::uint8_t>(Kind::order));
  packer.number(order.id);
  packer.number(static_cast<std::uint8_t>(order.what));
  return packer.take();
}

std::string encode(const News& news) {
  config::Packer packer;
  packer.number(static_cast<std::uint8_t>(Kind::news));
  packer.number(news.id);
  packer.number(static_cast<std::uint8_t>(news.kind));
  packer.text(news.kind == News::Kind::refused ? sentence(news.text) : std::string());
  return packer.take();
}

Result<Request> parse_request(std::string_view message) {
  config::Unpacker unpacker(message);
  unpacker.demand(message.size() <= max_message);
  if (unpacker.choice(Kind::order) == Kind::order) {
    Order order;
    order.id = unpacker.number<std::uint32_t>();
    order.what = unpacker.choice(Order::What::kill);
    if (!unpacker.done()) return broken();
    return order;
  }
  Start start;
  start.id = unpacker.number<std::uint32_t>();
  start.listener = unpacker.text(max_listener);
  start.environment = unpacker.list(std::size(variables), max_variable);
  unpacker.demand(is_environment(start.environment));
  if (!unpacker.done()) return broken();
  return start;
}

Result<News> parse_news(std::string_view message) {
  config::Unpacker unpacker(message);
  unpacker.demand(unpacker.choice(Kind::news) == Kind::news);
  News news;
  news.id = unpacker.number<std::uint32_t>();
  news.kind = unpacker.choice(News::Kind::ended);
  news.text = sentence(unpacker.text(max_text));
  unpacker.demand(news.kind == News::Kind::refused || news.text.empty());
  if (!unpacker.done()) return broken();
  return news;
}

}  // namespace postern::programs
