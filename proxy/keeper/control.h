// The socket of `control`, where `postern reload` and `postern status` ask: a line, and the answer to the end of the
// stream. To `reload` that is "done" or "refused", a line, and behind it what people are told.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "config/result.h"
#include "config/unique_fd.h"
#include "proxy/keeper/reloader.h"
#include "proxy/net/line_server.h"
#include "proxy/net/loop.h"

namespace postern::keeper {

inline constexpr std::string_view control_reload = "reload";
inline constexpr std::string_view control_status = "status";  // as JSON
inline constexpr std::string_view control_status_text = "status text";
inline constexpr std::string_view control_done = "done\n";
inline constexpr std::string_view control_refused = "refused\n";

class Control {
 public:
  struct Means {
    std::function<void(Reloader::OnOutcome on_outcome)> reload;
    // Somebody is to be told the status, as text or as JSON.
    std::function<void(UniqueFd connection, bool as_text)> status;
  };
  // `socket` is bound. `loop` outlives it, and it outlives whoever calls back.
  static Result<std::unique_ptr<Control>> start(net::Loop& loop, UniqueFd socket, Means means);

 private:
  explicit Control(Means means) : means_(std::move(means)) {}
  void on_line(std::string_view line, std::uint64_t caller);

  Means means_;
  std::unique_ptr<net::LineServer> server_;
};

}  // namespace postern::keeper
