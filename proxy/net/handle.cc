#include "proxy/net/handle.h"

#include "config/assert.h"

namespace postern::net {

StreamPtr make_tcp(uv_loop_t* loop) {
  auto handle = std::make_unique<uv_tcp_t>();
  POSTERN_ASSERT(uv_tcp_init(loop, handle.get()) == 0, "a TCP handle could not be initialised");
  handle->data = nullptr;
  return StreamPtr(reinterpret_cast<uv_stream_t*>(handle.release()));
}

StreamPtr make_pipe(uv_loop_t* loop) {
  auto handle = std::make_unique<uv_pipe_t>();
  POSTERN_ASSERT(uv_pipe_init(loop, handle.get(), 0) == 0, "a pipe handle could not be initialised");
  handle->data = nullptr;
  return StreamPtr(reinterpret_cast<uv_stream_t*>(handle.release()));
}

}  // namespace postern::net
