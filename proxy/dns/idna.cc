#include "proxy/dns/idna.h"

#include <idn2.h>

#include <algorithm>
#include <memory>

#include "config/values.h"

namespace postern::dns {

std::string to_ascii(std::string_view domain) {
  std::string text(domain);
  const bool ascii = std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (ascii || text.find('\0') != std::string::npos) return text;
  char* found = nullptr;
  const int status = idn2_to_ascii_8z(text.c_str(), &found, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  const std::unique_ptr<char, void (*)(void*)> owned(found, idn2_free);
  if (status != IDN2_OK) return text;
  std::string name(found);
  if (name.ends_with('.')) name.pop_back();
  return config::is_host_name(name) ? name : text;
}

}  // namespace postern::dns
