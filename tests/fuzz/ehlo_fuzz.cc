// Whatever a server says to EHLO, a client sees clean lines, no STARTTLS but ours, and nothing that is to be hidden.
#include "proxy/smtp/ehlo.h"

#include <algorithm>
#include <set>

#include "proxy/smtp/reply.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

using postern::smtp::EhloReply;

std::string_view take_line(std::string_view& bytes) {
  const std::string_view line = bytes.substr(0, bytes.find('\n'));
  bytes.remove_prefix(std::min(line.size() + 1, bytes.size()));
  return line;
}

EhloReply read_back(std::string_view printed) {
  EhloReply reply;
  while (!printed.empty()) {
    std::string_view line = take_line(printed);
    POSTERN_ASSERT(line.ends_with('\r'), "every line ends with CRLF");
    line.remove_suffix(1);
    POSTERN_ASSERT(std::none_of(line.begin(), line.end(), [](unsigned char c) { return c < ' ' || c == 127; }),
                   "no control octet gets through");
    const auto parsed = postern::smtp::parse_reply_line(line);
    POSTERN_ASSERT(parsed && parsed->code == 250 && parsed->last == printed.empty(), "the reply is a 250");
    reply.add_line(parsed->text);
  }
  return reply;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  postern::fuzz::Input input(data, size);
  const std::uint8_t flags = input.octet();
  postern::config::EhloSettings settings;
  if ((flags & 1) != 0) settings.hide = {"CHUNKING", "VRFY", "DSN"};
  if ((flags & 2) != 0) settings.add = {"PIPELINING", "DSN", "STARTTLS"};
  if ((flags & 4) != 0) settings.size_limit = postern::config::ByteSize{1000};
  if ((flags & 8) != 0) settings.name = "gateway.example";
  if ((flags & 64) != 0) settings.pass = {"XFOO", "PRDR", "XVERP"};
  using postern::config::Direction;
  const Direction direction = (flags & 128) != 0 ? Direction::outbound : Direction::inbound;
  const postern::smtp::EhloView view{(flags & 16) != 0, (flags & 32) != 0, direction};

  EhloReply server;
  std::string_view bytes = input.rest();
  while (!bytes.empty()) server.add_line(take_line(bytes));
  const EhloReply client = read_back(print(rewrite(server, settings, view)));

  std::set<std::string> names;
  for (const auto& keyword : client.keywords) {
    POSTERN_ASSERT(names.insert(keyword.name).second, "a keyword appears once");
    POSTERN_ASSERT(!view.hide_auth || keyword.name != "AUTH", "AUTH is hidden");
    const auto* known = postern::config::find_extension(keyword.name);
    const bool ours = keyword.name == "STARTTLS" && view.offer_starttls;
    const bool passed = std::count(settings.pass.begin(), settings.pass.end(), keyword.name) > 0;
    const auto offer = known != nullptr ? known->offer(direction) : postern::config::Offer::on_request;
    POSTERN_ASSERT(
        ours || offer == postern::config::Offer::shown || (offer == postern::config::Offer::on_request && passed),
        "shown is what is understood or passed");
  }
  const bool alone = client.keywords.size() == 1;
  POSTERN_ASSERT(alone || client.keywords.empty() || client.keywords.back().name != "STARTTLS", "STARTTLS is not last");
  POSTERN_ASSERT(names.contains("STARTTLS") == view.offer_starttls, "STARTTLS is ours alone");
  for (const char* name : {"XCLIENT", "XFORWARD", "TURN", "BURL"}) POSTERN_ASSERT(!names.contains(name), "never shown");
  POSTERN_ASSERT(!names.contains("BINARYMIME") || names.contains("CHUNKING"), "BINARYMIME needs CHUNKING");
  POSTERN_ASSERT((flags & 1) == 0 || !names.contains("VRFY"), "hidden keywords are hidden");
  const auto* limit = client.find("SIZE");
  POSTERN_ASSERT((flags & 4) == 0 || (limit != nullptr && std::stoul(limit->parameters) <= 1000),
                 "SIZE keeps our limit");
  return 0;
}
