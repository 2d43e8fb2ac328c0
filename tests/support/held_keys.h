// Private keys that are elsewhere: a signer in the same thread, which answers when the test says so.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "tests/support/catch.h"
#include "tests/support/certificates.h"
#include "tls/certificates.h"
#include "tls/signing_key.h"

namespace postern::test_support {

class HeldKeys final : public tls::Signer {
 public:
  // The certificate as a gateway has it; its key is held here.
  std::shared_ptr<const tls::Certificate> hold(const TestCertificate& made, bool decrypts = false) {
    auto key = tls::SigningKey::parse("key", made.key_pem(), decrypts);
    REQUIRE(key.has_value());
    const std::string name = key->name();
    config::File file;
    file.content = key->public_form("key", made.key_pem());
    keys_.insert_or_assign(name, std::move(*key));
    file.key_elsewhere = true;
    auto chain = tls::parse_chain("chain", made.certificate_pem());
    auto half = tls::parse_private_key("key", file);
    REQUIRE((chain.has_value() && half.has_value()));
    CHECK(half->elsewhere == name);
    auto certificate = tls::match(std::move(*chain), std::move(*half));
    REQUIRE(certificate.has_value());
    return *certificate;
  }

  bool signs() const override { return refuses.empty(); }
  Result<std::unique_ptr<Ticket>> ask(const tls::KeyRequest& request, OnAnswer on_answer) override {
    if (!refuses.empty()) return fail(Errc::temporary, refuses);
    asked.push_back(request);
    waiting_.push_back(std::make_shared<OnAnswer>(std::move(on_answer)));
    return std::make_unique<Cancelling>(waiting_.back());
  }
  std::size_t waiting() const { return waiting_.size(); }

  // The oldest request that was not answered yet.
  void answer() {
    const auto& request = asked[asked.size() - waiting_.size()];
    answer_with(keys_.at(request.key).perform(request));
  }
  void answer_with(Result<std::string> answer) {
    const auto on_answer = std::exchange(*waiting_.front(), nullptr);
    waiting_.pop_front();
    if (on_answer) on_answer(std::move(answer));
  }

  std::string refuses;  // what is asked has failed at once, and so
  std::deque<tls::KeyRequest> asked;

 private:
  struct Cancelling final : Ticket {
    explicit Cancelling(std::shared_ptr<OnAnswer> waits_for) : on_answer(std::move(waits_for)) {}
    ~Cancelling() override { *on_answer = nullptr; }
    std::shared_ptr<OnAnswer> on_answer;
  };
  std::map<std::string, tls::SigningKey> keys_;
  std::deque<std::shared_ptr<OnAnswer>> waiting_;
};

}  // namespace postern::test_support
