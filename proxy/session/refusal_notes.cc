#include "proxy/session/refusal_notes.h"

#include "config/text.h"

namespace postern::session {

namespace {

// As clients write them. What is no verb that we know may be anything, a password too, and is not named.
std::string name_of(std::string_view what) {
  if (what == "other") return "an unknown command";
  if (what == "invalid") return "a malformed command";
  if (what == "http") return "an HTTP request";
  return config::upper_case(what);
}

}  // namespace

void RefusalNotes::add(std::string_view what, std::string_view label, std::string_view reply, std::string_view reason) {
  std::string text = name_of(what);
  if (!text.empty()) text += ": ";
  text += reply.substr(0, reply.find('\r'));
  if (!label.empty()) text += " [" + std::string(label) + "]";
  if (!reason.empty()) text += ": " + std::string(reason);
  if (text.size() > text_limit) text.replace(text_limit, std::string::npos, "...");
  if (!entries_.empty() && entries_.back().text == text) {
    ++entries_.back().times;
    return;
  }
  if (entries_.size() == entry_limit) {
    left_out_ += entries_.front().times;
    entries_.erase(entries_.begin());
  }
  entries_.push_back({std::move(text), 1});
}

std::vector<std::string> RefusalNotes::items() const {
  std::vector<std::string> items;
  for (const Entry& each : entries_) {
    items.push_back(each.times == 1 ? each.text : each.text + " (" + std::to_string(each.times) + " times)");
  }
  return items;
}

}  // namespace postern::session
