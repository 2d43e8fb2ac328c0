#include "tls/unasked_clients.h"

#include <algorithm>

namespace postern::tls {

void UnaskedClients::add(const config::IpAddress& client) {
  const auto until = clock_() + memory;
  const std::lock_guard lock(mutex_);
  until_[client] = until;
  if (until_.size() > most) {
    until_.erase(std::min_element(until_.begin(), until_.end(),
                                  [](const auto& one, const auto& other) { return one.second < other.second; }));
  }
}

bool UnaskedClients::contains(const config::IpAddress& client) const {
  const auto now = clock_();
  const std::lock_guard lock(mutex_);
  const auto found = until_.find(client);
  return found != until_.end() && now < found->second;
}

}  // namespace postern::tls
