#include <cstddef>
#include <cstdio>
#include <string>

#include "proxy/commands/commands.h"
#include "proxy/resolver/launch.h"
#include "tls/library_facts.h"

// One function each of libraries whose headers belong to other folders (libuv, libyaml, jemalloc).
extern "C" {
const char* uv_version_string(void);
const char* yaml_get_version_string(void);
int mallctl(const char* name, void* old_value, std::size_t* old_size, void* new_value, std::size_t new_size)
    __attribute__((weak));  // absent in sanitizer builds
}

namespace postern::commands {
namespace {

const char* jemalloc_version() {
  const char* version = nullptr;
  std::size_t size = sizeof version;
  if (mallctl == nullptr || mallctl("version", static_cast<void*>(&version), &size, nullptr, 0) != 0) return "not used";
  return version;
}

// Which another process loads.
std::string unbound_version() {
  const auto version = resolver::unbound_version();
  return version ? *version : version.error().message;
}

const char* to_string(tls::Presence presence) {
  switch (presence) {
    case tls::Presence::no: return "no";
    case tls::Presence::yes: return "yes";
    case tls::Presence::unknown: break;
  }
  return "unknown";
}

}  // namespace

std::string version() {
  return POSTERN_VERSION;
}

void print_tls_library() {
  const tls::LibraryFacts tls = tls::library_facts();
  std::printf("BoringSSL API %d\n", tls.api_version);
  std::printf("post-quantum key exchange (X25519MLKEM768): %s\n", tls.has_x25519_mlkem768 ? "yes" : "no");
  std::printf("P-256 in assembly (by the time of a signature): %s\n", to_string(tls::has_p256_assembly()));
}

int command_version() {
  std::printf("postern %s\n", POSTERN_VERSION);
  print_tls_library();
  std::printf("libuv %s\n", uv_version_string());
  std::printf("libyaml %s\n", yaml_get_version_string());
  std::printf("jemalloc %s\n", jemalloc_version());
  std::printf("libunbound %s\n", unbound_version().c_str());
  return 0;
}

}  // namespace postern::commands
