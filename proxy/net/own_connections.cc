#include "proxy/net/own_connections.h"

namespace postern::net {

OwnConnections::Entry::~Entry() {
  if (list_ == nullptr) return;
  const std::lock_guard lock(list_->mutex_);
  const auto found = list_->open_.find(key_);
  if (--found->second == 0) list_->open_.erase(found);
}

OwnConnections::Entry OwnConnections::note(const SocketAddress& remote,
                                           const std::function<std::optional<SocketAddress>()>& begin) {
  const std::lock_guard lock(mutex_);
  const auto local = begin();
  if (!local) return {};
  const Entry::Key key{*local, remote};
  ++open_[key];
  return {*this, key};
}

bool OwnConnections::contains(const SocketAddress& peer, const SocketAddress& destination) const {
  const std::lock_guard lock(mutex_);
  return open_.contains({peer, destination});
}

}  // namespace postern::net
