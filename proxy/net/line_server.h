// A socket at which a command asks this process for something: whoever connects says one line, and is answered to the
// end of the stream. Few are heard at a time, and only for a while: who comes beyond that is closed at once.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/result.h"
#include "config/unique_fd.h"
#include "proxy/net/listener.h"

namespace postern::net {

class LineServer {
 public:
  struct Bounds {
    std::size_t callers = 8;                    // at a time, those included that wait for their answer
    std::size_t line = 64;                      // octets
    std::chrono::milliseconds patience{5'000};  // with who says its line, and again with who is to read the answer
  };
  // In the loop. The line comes without its end; the caller waits for answer() or take(), both of which may be called
  // from here.
  using OnLine = std::function<void(std::string_view line, std::uint64_t caller)>;
  // `socket` is bound. `loop` outlives it.
  static Result<std::unique_ptr<LineServer>> start(uv_loop_t* loop, UniqueFd socket, Bounds bounds, OnLine on_line);
  ~LineServer();
  LineServer(const LineServer&) = delete;
  LineServer& operator=(const LineServer&) = delete;

  // Once; a caller that is not there any more is nobody.
  void answer(std::uint64_t caller, std::string text);
  // The connection, for somebody else to answer. Nothing: the caller is not there any more.
  UniqueFd take(std::uint64_t caller);

 private:
  class Caller;
  LineServer(uv_loop_t* loop, Bounds bounds, OnLine on_line);
  void accept(StreamPtr connection);
  Caller* find(std::uint64_t id) const;
  void drop(const Caller& caller);

  uv_loop_t* loop_;
  Bounds bounds_;
  OnLine on_line_;
  std::unique_ptr<Listener> listener_;
  std::vector<std::unique_ptr<Caller>> callers_;
  std::uint64_t next_ = 0;
};

}  // namespace postern::net
