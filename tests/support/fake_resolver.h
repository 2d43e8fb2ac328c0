// A Resolver that answers what the test told it, when the test says so.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proxy/dns/records.h"
#include "proxy/dns/resolver.h"

namespace postern::testing {

class FakeResolver final : public dns::Resolver {
 public:
  // What will be answered. A question nobody set an answer for fails.
  void set(const dns::Question& question, dns::Answer answer) {
    if (answer.canonical_name.empty()) answer.canonical_name = question.name;
    answers_[question] = std::move(answer);
  }
  dns::Answer answer(const dns::Question& question) const {
    const auto found = answers_.find(question);
    dns::Answer answer = found == answers_.end() ? dns::Answer{} : found->second;
    if (found == answers_.end()) answer.reason = "no answer was set in the test";
    return answer;
  }

  std::unique_ptr<dns::Lookup> lookup(const dns::Question& question, Callback callback) override {
    asked.push_back(question);
    auto pending = std::make_shared<Pending>(Pending{question, std::move(callback)});
    pending_.push_back(pending);
    return std::make_unique<FakeLookup>(std::move(pending));
  }

  // Delivers all answers that are due, those of the questions asked meanwhile too.
  void deliver() {
    while (!pending_.empty()) {
      const auto next = pending_.front();
      pending_.erase(pending_.begin());
      if (const auto callback = std::exchange(next->callback, nullptr)) callback(answer(next->question));
    }
  }

  std::vector<dns::Question> asked;  // in order

 private:
  struct Pending {
    dns::Question question;
    Callback callback;
  };
  class FakeLookup final : public dns::Lookup {
   public:
    explicit FakeLookup(std::shared_ptr<Pending> pending) : pending_(std::move(pending)) {}
    ~FakeLookup() override { pending_->callback = nullptr; }

   private:
    std::shared_ptr<Pending> pending_;
  };

  std::map<dns::Question, dns::Answer> answers_;
  std::vector<std::shared_ptr<Pending>> pending_;
};

// Shorthands for answers.
inline dns::Answer exists(bool secure, std::vector<std::string> rdata, std::string canonical_name = {}) {
  dns::Answer answer;
  answer.status = dns::Status::exists;
  answer.secure = secure;
  answer.ttl = std::chrono::seconds(300);
  answer.rdata = std::move(rdata);
  answer.canonical_name = std::move(canonical_name);
  return answer;
}

inline dns::Answer without_records(dns::Status status, bool secure, std::string canonical_name = {}) {
  dns::Answer answer;
  answer.status = status;
  answer.secure = secure;
  answer.canonical_name = std::move(canonical_name);
  return answer;
}

inline std::string mx_rdata(unsigned preference, std::string_view exchange) {
  return std::string{static_cast<char>(preference >> 8), static_cast<char>(preference & 0xff)} +
         dns::name_to_wire(exchange).value_or(std::string(1, '\0'));
}

}  // namespace postern::testing
