// What the guard lets pass ends in our domains, and every reader of the path sees it so.
#include "proxy/smtp/relay_guard.h"

#include <string>

#include "proxy/smtp/command.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view path = postern::fuzz::Input(data, size).rest();
  const std::vector<postern::config::DomainPattern> ours = {{"example.org"}, {".example.net"}};
  if (!postern::smtp::recipient_allowed(path, ours)) return 0;
  const std::string argument = "TO:<" + std::string(path) + ">";
  const auto parsed = postern::smtp::parse_path_argument(argument, "TO");
  POSTERN_ASSERT(parsed && parsed->path == path, "the path is the same between brackets");
  const std::string_view domain = postern::smtp::domain_of(path);
  if (domain.empty()) {
    POSTERN_ASSERT(path.size() == std::string_view("postmaster").size(), "only postmaster has no domain");
    return 0;
  }
  POSTERN_ASSERT(matches(ours[0], domain) || matches(ours[1], domain), "the domain is ours");
  POSTERN_ASSERT(path.find_first_of("%!") == std::string_view::npos, "no detour passes");
  const std::string_view mailbox = path.starts_with('@') ? path.substr(path.find(':') + 1) : path;
  POSTERN_ASSERT(std::count(mailbox.begin(), mailbox.end(), '@') == 1, "a mailbox has one @");
  return 0;
}
