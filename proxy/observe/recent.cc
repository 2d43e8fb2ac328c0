#include "proxy/observe/recent.h"

#include <algorithm>
#include <utility>

namespace postern::observe {

namespace {

bool are_alike(const Recent::OldTls& a, const Recent::OldTls& b) {
  return a.peer == b.peer && a.version == b.version && a.side == b.side;
}
bool are_alike(const Recent::Unsatisfied& a, const Recent::Unsatisfied& b) {
  return a.domain == b.domain && a.host == b.host && a.reason == b.reason && a.result == b.result;
}

// Of one kind, of which there are `kept`.
bool are_of_a_kind(const Recent::OldTls& a, const Recent::OldTls& b) {
  return a.version == b.version && a.side == b.side;
}
bool are_of_a_kind(const Recent::Unsatisfied&, const Recent::Unsatisfied&) {
  return true;
}

// The latest is in front.
template <class Event>
void put(std::vector<Event>& events, Event event) {
  const auto known = std::ranges::find_if(events, [&](const Event& each) { return are_alike(each, event); });
  if (known != events.end()) {
    event.times += known->times;
    if (known->last > event.last) {
      std::swap(event, *known);  // what is said of it is what was said last
      event.times = known->times;
    }
    events.erase(known);
  }
  const auto place = std::ranges::find_if(events, [&](const Event& each) { return each.last <= event.last; });
  const auto put_at = events.insert(place, std::move(event));
  const Event& there = *put_at;
  const auto fits = [&](const Event& each) { return are_of_a_kind(each, there); };
  if (static_cast<std::size_t>(std::ranges::count_if(events, fits)) <= Recent::kept) return;
  const auto oldest = std::find_if(events.rbegin(), events.rend(), fits);
  events.erase(std::next(oldest).base());
}

void cut(std::string& text) {
  if (text.size() > Recent::longest_text) text.resize(Recent::longest_text);
}

}  // namespace

void Recent::note(OldTls peer) {
  cut(peer.name);
  put(old_tls_, std::move(peer));
}

void Recent::note(Unsatisfied decision) {
  for (std::string* text : {&decision.domain, &decision.host, &decision.detail}) cut(*text);
  put(unsatisfied_, std::move(decision));
}

void Recent::add(const Recent& other) {
  for (const OldTls& each : other.old_tls_) put(old_tls_, each);
  for (const Unsatisfied& each : other.unsatisfied_) put(unsatisfied_, each);
}

}  // namespace postern::observe
