// Whatever a client calls itself and a server lists, XCLIENT commands are short and hold our attributes alone.
#include "proxy/smtp/xclient.h"

#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  postern::fuzz::Input input(data, size);
  const std::uint8_t flags = input.octet();
  const std::string_view rest = input.rest();
  const std::size_t cut = std::min(rest.find('\n'), rest.size());
  postern::smtp::ClientAttributes client;
  client.address.bytes.fill(0x20);
  if ((flags & 1) != 0) client.address.family = postern::config::IpAddress::Family::v6;
  client.extended = (flags & 2) != 0;
  client.port = flags;
  client.helo = std::string(rest.substr(std::min(cut + 1, rest.size())));
  const std::string listed =
      std::string((flags & 4) != 0 ? "NAME ADDR PORT PROTO HELO " : "") + std::string(rest.substr(0, cut));
  for (const std::string& command : xclient_commands(client, listed)) {
    POSTERN_ASSERT(command.size() <= 512, "512 octets at most");
    POSTERN_ASSERT(command.starts_with("XCLIENT ") && command.ends_with("\r\n"), "one command line");
    POSTERN_ASSERT(std::all_of(command.begin(), command.end() - 2, [](char c) { return c >= ' ' && c < 127; }), "text");
    const auto blanks = std::count(command.begin(), command.end(), ' ');
    const auto values = std::count(command.begin(), command.end(), '=');
    POSTERN_ASSERT(blanks == values && blanks <= 6, "as many values as attributes");
  }
  return 0;
}
