// Whether the peer of a TCP connection is still there, asked of the kernel without reading: octets that it sent before
// it went may lie in front of its end.
#pragma once

#include <uv.h>

#include <cstdint>

namespace postern::net {

enum class Presence : std::uint8_t {
  there,
  leaving,  // it has sent its last octet, and may still read
  gone,     // reset
};
Presence presence_of_peer(const uv_stream_t* stream);

// Throws away what has come from it, so that closing does not become a reset that eats our last words.
void discard_received(const uv_stream_t* stream);

}  // namespace postern::net
