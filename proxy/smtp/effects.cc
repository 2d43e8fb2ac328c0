#include "proxy/smtp/effects.h"

namespace postern::smtp {

namespace {

bool continues(std::string_view before, std::string_view after) {
  return before.data() + before.size() == after.data();
}

}  // namespace

std::string_view to_string(MessageResult result) {
  switch (result) {
    case MessageResult::accepted: return "accepted";
    case MessageResult::refused_temporarily: return "refused_temporarily";
    case MessageResult::refused_permanently: return "refused_permanently";
    case MessageResult::lost: return "lost";
    case MessageResult::in_doubt: return "in_doubt";
  }
  return "lost";
}

void Effects::send(Side side, std::string_view bytes) {
  if (bytes.empty()) return;
  if (!list_.empty()) {
    Effect& last = list_.back();
    if (last.kind == Effect::Kind::send && last.side == side && continues(last.bytes, bytes)) {
      last.bytes = std::string_view(last.bytes.data(), last.bytes.size() + bytes.size());
      return;
    }
  }
  list_.push_back({.kind = Effect::Kind::send, .side = side, .bytes = bytes});
}

void Effects::send_copy(Side side, std::string_view bytes) {
  if (bytes.empty()) return;
  list_.push_back({.kind = Effect::Kind::send, .side = side, .bytes = keep(bytes)});
}

void Effects::start_tls(Side side) {
  list_.push_back({.kind = Effect::Kind::start_tls, .side = side});
}

void Effects::connect_server() {
  list_.push_back({.kind = Effect::Kind::connect_server, .side = Side::server});
}

void Effects::drop_server() {
  list_.push_back({.kind = Effect::Kind::drop_server, .side = Side::server});
}

void Effects::arm(Timer timer) {
  list_.push_back({.kind = Effect::Kind::arm, .timer = timer});
}

void Effects::ask_policy(std::string_view domain) {
  list_.push_back({.kind = Effect::Kind::ask_policy, .bytes = keep(domain)});
}

void Effects::refused(Refusal refusal, std::string_view what, std::string_view reason) {
  list_.push_back({.kind = Effect::Kind::refused, .refusal = refusal, .bytes = what, .reason = keep(reason)});
}

void Effects::turned_away(Refusal refusal, std::string_view what, std::string_view reply) {
  list_.push_back({.kind = Effect::Kind::turned_away, .refusal = refusal, .bytes = what, .reason = keep(reply)});
}

void Effects::message(MessageResult result, std::string_view reason, std::string_view about) {
  list_.push_back(
      {.kind = Effect::Kind::message, .message_result = result, .bytes = keep(about), .reason = keep(reason)});
}

void Effects::because(std::string_view reason) {
  list_.push_back({.kind = Effect::Kind::because, .bytes = keep(reason)});
}

void Effects::finish(Ending ending) {
  list_.push_back({.kind = Effect::Kind::finish, .ending = ending});
}

std::string_view Effects::keep(std::string_view text) {
  if (text.empty()) return {};
  kept_.push_back(std::make_unique<std::string>(text));
  return *kept_.back();
}

void Effects::clear() {
  list_.clear();
  kept_.clear();
}

}  // namespace postern::smtp
