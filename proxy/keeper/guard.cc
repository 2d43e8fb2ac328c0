#include "proxy/keeper/guard.h"

#include <algorithm>
#include <set>
#include <utility>

#include "config/text.h"
#include "proxy/observe/log.h"

namespace postern::keeper {

namespace {

using tls::CertificateFacts;

// A certificate names a hundred hosts at most, as authorities have it; whoever has more of them has them guarded in
// part.
constexpr std::size_t most_places = 500;

// What is held back is asked for every minute at least.
constexpr std::uint64_t kept_on = 120'000;

config::Settings with_guard(const config::Settings& settings, config::Guard guard) {
  config::Settings some = settings;
  some.outbound.clear();
  std::erase_if(some.inbound, [guard](const config::InboundListener& listener) {
    return listener.guard != guard || listener.mode == config::TlsMode::none;
  });
  return some;
}

// What these listeners will show and do not show yet.
std::vector<CertificateFacts> fresh_ones(const config::Settings& settings, std::span<const CertificateFacts> present,
                                         std::span<const CertificateFacts> next) {
  std::set<std::string> shown;
  for (const auto& listener : settings.inbound) {
    shown.insert(listener.certificates.begin(), listener.certificates.end());
  }
  std::vector<CertificateFacts> fresh;
  for (const CertificateFacts& each : next) {
    const bool known = std::ranges::any_of(
        present, [&each](const auto& other) { return other.name == each.name && other.chain == each.chain; });
    if (!known && shown.contains(each.name)) fresh.push_back(each);
  }
  return fresh;
}

std::vector<tls::TlsaRecord> records_of(const dns::Answer& answer) {
  std::vector<tls::TlsaRecord> records;
  for (const std::string& rdata : answer.rdata) {
    if (auto record = tls::parse_tlsa_rdata(rdata)) records.push_back(std::move(*record));
  }
  return records;
}

}  // namespace

std::vector<GuardedPlace> guarded_places(const config::Settings& settings, std::span<const CertificateFacts> present,
                                         std::span<const CertificateFacts> next, std::chrono::sys_seconds now) {
  std::map<tls::TlsaPlace, GuardedPlace> places;
  for (const config::Guard guard : {config::Guard::warn, config::Guard::hold}) {
    const config::Settings some = with_guard(settings, guard);
    const auto fresh = fresh_ones(some, present, next);
    for (const auto& [place, positions] : tls::tlsa_places(some, fresh, {})) {
      if (place.is_wildcard() || (places.size() >= most_places && !places.contains(place))) continue;
      GuardedPlace& guarded = places[place];
      guarded.place = place;
      std::set<std::string> names;
      for (const std::size_t position : positions) {
        const std::string& name = fresh[position].name;
        names.insert(name);
        guarded.chains.push_back(fresh[position].chain);
        guarded.holds |= guard == config::Guard::hold && std::ranges::any_of(present, [&](const auto& old) {
                           return old.name == name && old.not_after > now;
                         });
      }
      guarded.certificates += (guarded.certificates.empty() ? "" : ", ") + config::listed(names);
    }
  }
  std::vector<GuardedPlace> all;
  for (auto& [place, guarded] : places) all.push_back(std::move(guarded));
  return all;
}

// As senders go (RFC 7672 2.1, 2.2): what is not signed they do not use, and without a record that can be used any
// certificate will do.
GuardFinding judge(const GuardedPlace& place, const dns::Answer& answer, std::chrono::sys_seconds now) {
  using Kind = GuardFinding::Kind;
  const std::string owner = place.place.owner();
  if (answer.status == dns::Status::failed || answer.status == dns::Status::bogus) {
    return {Kind::unknown, "nobody can say whether it fits the TLSA records of " + owner + ": " + answer.reason};
  }
  if (!answer.exists() || !answer.secure) return {};
  const auto records = records_of(answer);
  if (!tls::any_usable(records)) return {};
  const auto audit = tls::audit_tlsa(records, place.chains, place.place.host, now.time_since_epoch().count());
  if (audit.good) return {};
  return {Kind::misfits, "no TLSA record of " + owner + " fits it"};
}

Guard::Guard(dns::Resolver& resolver, Clock clock) : resolver_(resolver), clock_(std::move(clock)) {}

bool Guard::ask(std::vector<GuardedPlace> places, Done done) {
  forget();
  std::erase_if(misfits_, [now = clock_()](const auto& known) { return known.second.until + kept_on < now; });
  if (places.empty()) return false;
  done_ = std::move(done);
  left_ = places.size();
  for (GuardedPlace& place : places) questions_.push_back({std::move(place), {}, nullptr});
  for (Question& question : questions_) {
    question.lookup =
        resolver_.lookup({question.place.place.owner(), dns::Type::tlsa}, [this, &question](const dns::Answer& answer) {
          question.answer = answer;
          if (--left_ == 0) finish();
        });
  }
  return true;
}

void Guard::forget() {
  questions_.clear();
  left_ = 0;
  done_ = nullptr;
}

void Guard::finish() {
  std::string held;
  for (const Question& question : questions_) {
    const GuardFinding found = find(question);
    if (found.kind == GuardFinding::Kind::fits) continue;
    if (question.place.holds) {
      if (held.empty()) held = found.reason;
      continue;
    }
    log::warning("a certificate does not fit its TLSA records",
                 {{"certificate", question.place.certificates},
                  {"host", question.place.place.host},
                  {"reason", found.reason},
                  {"effect", "it is served; senders that check DANE may not deliver"},
                  {"remedy", "postern tlsa prints what to publish"}});
  }
  const Done done = std::move(done_);
  forget();
  done(held);
}

// Where the records did not fit a while ago, somebody may still have those.
GuardFinding Guard::find(const Question& question) {
  const GuardFinding found = judge(question.place, question.answer,
                                   std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()));
  const std::string owner = question.place.place.owner();
  if (found.kind == GuardFinding::Kind::misfits) {
    Misfit& misfit = misfits_[owner];
    misfit.ttl = std::max(misfit.ttl, question.answer.ttl);
    misfit.until = clock_() + static_cast<std::uint64_t>(misfit.ttl.count()) * 1000;
    return found;
  }
  const auto known = misfits_.find(owner);
  if (found.kind != GuardFinding::Kind::fits || known == misfits_.end() || known->second.until <= clock_())
    return found;
  return {GuardFinding::Kind::misfits, "the TLSA records of " + owner +
                                           " fit it, and senders may remember those before for " +
                                           std::to_string(known->second.ttl.count()) + " s"};
}

}  // namespace postern::keeper
