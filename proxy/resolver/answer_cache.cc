#include "proxy/resolver/answer_cache.h"

#include <algorithm>

namespace postern::resolver {

namespace {

std::size_t size_of(const dns::Answer& answer) {
  std::size_t size = answer.canonical_name.size();
  for (const std::string& rdata : answer.rdata) size += sizeof(std::string) + rdata.size();
  return size;
}

}  // namespace

void AnswerCache::put(How how, const dns::Question& question, const dns::Answer& answer, std::uint64_t now) {
  const bool known = answer.exists() || answer.absent();
  const bool kept = how == How::proven || how == How::plain;
  if (!known || !kept || answer.ttl.count() <= 0 || size_of(answer) > largest) return;
  if (entries_.size() >= most) std::erase_if(entries_, [now](const auto& entry) { return entry.second.until <= now; });
  if (entries_.size() >= most) entries_.clear();  // the resolver has them
  const auto ttl = static_cast<std::uint64_t>(std::chrono::milliseconds(answer.ttl).count());
  entries_[{how, question}] = {answer, now, now + std::min(ttl, longest)};
}

std::optional<dns::Answer> AnswerCache::get(How how, const dns::Question& question, std::uint64_t now) const {
  const auto found = entries_.find({how, question});
  if (found == entries_.end() || found->second.until <= now) return std::nullopt;
  dns::Answer answer = found->second.answer;
  answer.ttl -= std::chrono::seconds((now - found->second.since) / 1'000);
  return answer;
}

}  // namespace postern::resolver
