// Ownership of libuv handles: closing is asynchronous, so the box closes first and frees later.
#pragma once

#include <uv.h>

#include <memory>

namespace postern::net {

// Closes on destruction and frees in the close callback. `data` is cleared first: late callbacks find nobody home.
// A box is filled only after uv_*_init has succeeded.
template <class H>
struct CloseThenFree {
  void operator()(H* handle) const noexcept {
    handle->data = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(handle), [](uv_handle_t* closed) { delete reinterpret_cast<H*>(closed); });
  }
};
template <class H>
using HandlePtr = std::unique_ptr<H, CloseThenFree<H>>;

// A connected socket of either kind (TCP, or a unix stream socket as uv_pipe_t).
template <>
struct CloseThenFree<uv_stream_t> {
  void operator()(uv_stream_t* handle) const noexcept {
    handle->data = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(handle), [](uv_handle_t* closed) {
      if (closed->type == UV_TCP) {
        delete reinterpret_cast<uv_tcp_t*>(closed);
      } else {
        delete reinterpret_cast<uv_pipe_t*>(closed);
      }
    });
  }
};
using StreamPtr = HandlePtr<uv_stream_t>;

// Fresh, unconnected handles. Initialising one cannot fail for these types but by running out of memory, which ends us.
StreamPtr make_tcp(uv_loop_t* loop);
StreamPtr make_pipe(uv_loop_t* loop);

}  // namespace postern::net
