// The steps of decide(): each fills in a part of the plan, or stops with a question or an error.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "proxy/init/plan.h"

namespace postern::init {

class Planner {
 public:
  Planner(const Facts& facts, const Wishes& wishes, const Surroundings& surroundings)
      : facts_(facts), wishes_(wishes), surroundings_(surroundings) {}

  Decision decide();

 private:
  // False: stop_ says why. The later ones use what the earlier ones found.
  bool ports();
  bool backend();
  bool client_address();
  bool hostname();
  bool guard();
  bool certificates();
  bool outbound();
  bool service();

  bool take_backend(const std::vector<std::string>& words);
  bool qmail();
  bool postfix();
  bool exim();
  bool program(const std::vector<std::string>& words);
  bool addresses(const std::vector<std::string>& words);
  bool submission();
  void postfix_submission();
  bool certificate_pairs();
  bool self_signed();
  std::vector<config::CertificatePair> fitting_certificates() const;
  std::string certificates_question() const;
  bool relay(const std::vector<std::string>& words);
  bool allow_clients();
  bool outbound_listen();
  bool word(Wish wish, std::string& value);  // one that can be written

  std::vector<std::string> backends_found() const;
  std::string usual_user() const;
  bool exim_is_told() const;  // by its own user, or by root
  bool is_own_port(std::uint16_t port) const;
  static bool is_here(const config::Endpoint& address);  // this machine, as far as its address tells
  bool is_ours(const config::Endpoint& address) const;   // where Postern is to listen for mail that comes in
  config::Endpoint local_address(std::uint16_t wanted) const;

  bool ask(Question question) {
    stop_ = std::move(question);
    return false;
  }
  bool refuse(Wish wish, const std::string& why) {
    stop_ = Error{Errc::invalid_argument, wishes_.name_of(wish) + ": " + why};
    return false;
  }

  const Facts& facts_;
  const Wishes& wishes_;
  const Surroundings& surroundings_;
  Plan plan_;
  Decision stop_ = Error{};
};

}  // namespace postern::init
