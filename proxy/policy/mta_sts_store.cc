#include "proxy/policy/mta_sts_store.h"

#include <system_error>
#include <utility>

namespace postern::policy {

namespace {
// Longer than a fetch may take; short enough that a refresh which came to nothing is made up for.
constexpr std::chrono::minutes taken_for{5};
}  // namespace

MtaStsStore::MtaStsStore(std::string directory, Time now, Access access, Complain complain)
    : directory_(std::move(directory)),
      access_(access),
      complain_(complain ? std::move(complain) : [](const Error&) {}) {
  if (directory_.empty()) return;
  const Keep keep = access_ == Access::read_only ? Keep::all : Keep::useful;
  if (const auto error = read_cached_policies(directory_, now, keep, cache_)) complain_(*error);
}

MtaStsStore::~MtaStsStore() {
  {
    const std::scoped_lock lock(mutex_);
    ending_ = true;
    wake_.notify_one();
  }
  if (writer_.joinable()) {
    writer_.join();
  } else {
    write_changes();
  }
}

std::optional<CachedPolicy> MtaStsStore::find(std::string_view domain, Time now) const {
  const std::scoped_lock lock(mutex_);
  const CachedPolicy* found = cache_.find(domain, now);
  return found != nullptr ? std::optional(*found) : std::nullopt;
}

bool MtaStsStore::should_fetch(std::string_view domain, std::string_view id, Time now) const {
  const std::scoped_lock lock(mutex_);
  return cache_.should_fetch(domain, id, now);
}

std::vector<std::string> MtaStsStore::take_due(Time now, std::size_t limit) {
  const std::scoped_lock lock(mutex_);
  std::erase_if(taken_, [now](const auto& taken) { return taken.second + taken_for <= now; });
  std::vector<std::string> domains = cache_.due(now, limit + taken_.size());
  std::erase_if(domains, [this](const std::string& domain) { return taken_.contains(domain); });
  if (domains.size() > limit) domains.resize(limit);
  for (const std::string& domain : domains) taken_.emplace(domain, now);
  return domains;
}

void MtaStsStore::fetch_failed(std::string_view domain, std::string_view id, Trouble trouble, Time now) {
  const std::scoped_lock lock(mutex_);
  cache_.fetch_failed(domain, id, now);
  if (troubles_.size() >= max_troubles) troubles_.clear();
  troubles_.insert_or_assign(std::string(domain), std::move(trouble));
}

std::optional<MtaStsStore::Trouble> MtaStsStore::trouble(std::string_view domain) const {
  const std::scoped_lock lock(mutex_);
  const auto found = troubles_.find(domain);
  return found != troubles_.end() ? std::optional(found->second) : std::nullopt;
}

void MtaStsStore::store(std::string_view domain, CachedPolicy entry) {
  const std::scoped_lock lock(mutex_);
  const auto gone = cache_.store(domain, std::move(entry));
  if (const auto trouble = troubles_.find(domain); trouble != troubles_.end()) troubles_.erase(trouble);
  changed(std::string(domain));
  for (const std::string& other : gone) changed(other);
}

void MtaStsStore::expire(Time now) {
  const std::scoped_lock lock(mutex_);
  for (const std::string& domain : cache_.expire(now)) changed(domain);
}

// With the mutex held.
void MtaStsStore::changed(std::string domain) {
  if (directory_.empty() || access_ == Access::read_only) return;
  if (changed_.size() < max_changed) {
    changed_.insert(std::move(domain));
  } else if (!changed_.contains(domain)) {
    ++missed_;
  }
  if (!writer_.joinable()) {
    try {
      writer_ = std::thread([this] { write_changes(); });
    } catch (const std::system_error&) {
      return;  // no thread to be had: the next change tries again, and the destructor writes what is left
    }
  }
  wake_.notify_one();
}

// What the file is to hold is looked up only when it is written: however many changes came in between and from whom,
// the last one counts.
void MtaStsStore::write_changes() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return ending_ || !changed_.empty(); });
    if (changed_.empty()) return;
    const std::string domain = std::move(changed_.extract(changed_.begin()).value());
    const CachedPolicy* known = cache_.find(domain, Time::min());  // too old or not: that is for expire() to say
    const std::optional<CachedPolicy> entry = known != nullptr ? std::optional(*known) : std::nullopt;
    const std::size_t missed = std::exchange(missed_, 0);
    writing_ = true;
    lock.unlock();
    const auto error =
        entry ? write_cached_policy(directory_, domain, *entry) : remove_cached_policy(directory_, domain);
    if (error) complain_(*error);
    if (missed != 0) {
      complain_({Errc::io, std::to_string(missed) + " changes were not written, as " + directory_ + " was too slow"});
    }
    lock.lock();
    writing_ = false;
    if (changed_.empty()) settled_.notify_all();
  }
}

void MtaStsStore::flush() {
  std::unique_lock lock(mutex_);
  settled_.wait(lock, [this] { return changed_.empty() && !writing_; });
}

}  // namespace postern::policy
