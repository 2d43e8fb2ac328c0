#include "proxy/smtp/hello_exchange.h"

#include <algorithm>
#include <utility>

namespace postern::smtp {

bool knows_no_ehlo(int code) {
  return code == 500 || code == 501 || code == 502 || code == 504;
}

bool wants_one_hello_only(int code) {
  return code == 503 || knows_no_ehlo(code);
}

HelloExchange::HelloExchange(bool extended, std::string_view name, std::vector<std::string> first, bool knows_ehlo)
    : name_(name), first_(std::move(first)), extended_(extended), knows_ehlo_(knows_ehlo) {
  std::reverse(first_.begin(), first_.end());
}

void HelloExchange::start(Effects& out) {
  say_next(out);
}

void HelloExchange::say_next(Effects& out) {
  if (first_.empty()) return say_hello(extended_ ? Stage::ehlo : Stage::helo, out);
  stage_ = Stage::xclient;
  out.send_copy(Side::server, first_.back());
  first_.pop_back();
}

void HelloExchange::say_hello(Stage stage, Effects& out) {
  stage_ = stage;
  const std::string verb = stage == Stage::ehlo ? "EHLO" : "HELO";
  out.send_copy(Side::server, verb + (name_.empty() ? "" : " " + name_) + "\r\n");
}

HelloExchange::Outcome HelloExchange::on_reply(const ReplyPiece& piece, Effects& out) {
  switch (stage_) {
    case Stage::xclient: return xclient(piece, out);
    case Stage::ehlo: return ehlo(piece, out);
    case Stage::helo: return helo(piece);
  }
  return Outcome::broken;
}

HelloExchange::Outcome HelloExchange::xclient(const ReplyPiece& piece, Effects& out) {
  if (piece.negative()) {
    if (piece.first) out.because(why(piece));  // the client, who reads it as the answer to EHLO, cannot know
    return piece.last ? Outcome::refused : Outcome::pass_on;
  }
  if (piece.code != 220) return Outcome::broken;
  if (piece.last) say_next(out);
  return Outcome::more;
}

HelloExchange::Outcome HelloExchange::ehlo(const ReplyPiece& piece, Effects& out) {
  if (piece.code == 250) {
    reply_.add_line(piece.text);
    return piece.last ? Outcome::accepted : Outcome::more;
  }
  if (!piece.negative()) return Outcome::broken;
  const bool wants_a_name = name_.empty() && piece.code == 501;
  const bool is_about_ehlo = !knows_ehlo_ && knows_no_ehlo(piece.code) && !wants_a_name;
  if (!is_about_ehlo) return piece.last ? Outcome::refused : Outcome::pass_on;
  if (piece.last) say_hello(Stage::helo, out);
  return Outcome::more;
}

std::string HelloExchange::why(const ReplyPiece& broken) const {
  const std::string_view said = stage_ == Stage::xclient ? "XCLIENT" : stage_ == Stage::ehlo ? "EHLO" : "HELO";
  return "the server answered " + std::string(said) + " with " + quote(broken);
}

HelloExchange::Outcome HelloExchange::helo(const ReplyPiece& piece) {
  if (piece.negative()) return piece.last ? Outcome::refused : Outcome::pass_on;
  if (piece.code != 250) return Outcome::broken;
  if (piece.first) reply_.add_line(piece.text);
  if (piece.last) return Outcome::accepted;
  return extended_ ? Outcome::more : Outcome::pass_on;
}

}  // namespace postern::smtp
