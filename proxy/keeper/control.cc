#include "proxy/keeper/control.h"

#include <utility>

#include "proxy/observe/log.h"

namespace postern::keeper {

Result<std::unique_ptr<Control>> Control::start(net::Loop& loop, UniqueFd socket, Means means) {
  std::unique_ptr<Control> control(new Control(std::move(means)));
  auto server = net::LineServer::start(
      loop.raw(), std::move(socket), {},
      [raw = control.get()](std::string_view line, std::uint64_t caller) { raw->on_line(line, caller); });
  if (!server) return tl::unexpected(server.error());
  control->server_ = std::move(*server);
  return control;
}

void Control::on_line(std::string_view line, std::uint64_t caller) {
  const bool as_text = line == control_status_text;
  if (as_text || line == control_status) return means_.status(server_->take(caller), as_text);
  if (line != control_reload) {
    return server_->answer(caller, std::string(control_refused) + "there are reload and status\n");
  }
  log::info("reloading", {{"asked_by", "control"}});
  means_.reload([this, caller](const Reloader::Outcome& outcome) {
    server_->answer(caller, std::string(outcome.taken_over ? control_done : control_refused) + outcome.text);
  });
}

}  // namespace postern::keeper
