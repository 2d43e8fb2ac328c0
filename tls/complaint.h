// What is wrong with a TLS setting.
#pragma once

#include <string>

namespace postern::tls {

struct Complaint {
  bool is_error = false;
  const char* option = "";  // its name in the configuration: "cipher_list", "groups", "min_version"
  std::string message;
};

}  // namespace postern::tls
