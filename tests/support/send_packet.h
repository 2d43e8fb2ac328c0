// What the other end of a PacketSocket sends, by hand.
#pragma once

#include <sys/socket.h>

#include <cstring>
#include <string_view>
#include <vector>

#include "config/unique_fd.h"
#include "tests/support/catch.h"

namespace postern::test_support {

inline void send_packet(const UniqueFd& socket, std::string_view packet, const std::vector<int>& descriptors = {}) {
  iovec part{const_cast<char*>(packet.data()), packet.size()};
  const std::size_t size = descriptors.size() * sizeof(int);
  std::vector<char> space(CMSG_SPACE(size));
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    message.msg_control = space.data();
    message.msg_controllen = space.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(size);
    std::memcpy(CMSG_DATA(header), descriptors.data(), size);
  }
  REQUIRE(::sendmsg(socket.get(), &message, MSG_NOSIGNAL) == static_cast<ssize_t>(packet.size()));
}

}  // namespace postern::test_support
