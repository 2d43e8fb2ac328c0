// The ciphertext of one round, gathered so that it leaves in one write. Owned by the worker and reused:
// clear() keeps the memory.
#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>
#include <vector>

namespace postern::tls {

class OutputBuffer {
 public:
  void append(const void* data, std::size_t size) {
    const auto* bytes = static_cast<const char*>(data);
    bytes_.insert(bytes_.end(), bytes, bytes + size);
  }
  std::string_view view() const { return {bytes_.data(), bytes_.size()}; }
  bool empty() const { return bytes_.empty(); }
  void clear() { bytes_.clear(); }

 private:
  std::vector<char> bytes_;
};

}  // namespace postern::tls
