#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <map>
#include <string>
#include <utility>
#include <variant>

#include "config/diagnostic.h"
#include "proxy/commands/commands.h"
#include "proxy/init/ask_server.h"
#include "proxy/init/configuration.h"
#include "proxy/init/look_around.h"
#include "proxy/init/next_steps.h"
#include "proxy/init/place.h"
#include "proxy/init/stamp.h"
#include "proxy/process/host_name.h"
#include "proxy/process/privileges.h"
#include "proxy/runtime/machine_check.h"
#include "proxy/runtime/preflight.h"

namespace postern::commands {
namespace {

constexpr int init_failed = 1;
constexpr int init_usage = 2;
constexpr int most_attempts = 5;  // at an answer that cannot be

int refuse_usage(const std::string& message) {
  std::fprintf(stderr, "postern: init: %s\nRun postern help init for more information.\n", message.c_str());
  return init_usage;
}

int say_failure(const std::string& message) {
  std::fprintf(stderr, "postern: init: %s\n", message.c_str());
  return init_failed;
}

// A line that somebody types; nothing: nobody does any more.
std::optional<std::string> read_line(const std::string& prompt) {
  std::fprintf(stderr, "%s ", prompt.c_str());
  std::fflush(stderr);
  std::string line;
  if (std::getline(std::cin, line)) return line;
  std::fputc('\n', stderr);
  return std::nullopt;
}

class Initiation {
 public:
  explicit Initiation(const InitOptions& options) : options_(options) {}

  int run();

 private:
  bool to_stdout() const { return options_.output == "-"; }
  bool may_ask() const {
    return !options_.yes && !options_.from_environment && ::isatty(STDIN_FILENO) == 1 && ::isatty(STDERR_FILENO) == 1;
  }
  Result<void> take_wishes();
  void look();
  init::Decision decide();
  int settle(init::Plan& plan);
  int settle_by(const init::Question& question, init::Decision& decision);
  int write(const init::Plan& plan);
  void look_at_certificates(const init::Plan& plan);
  bool is_good(const std::string& text) const;
  bool is_wanted(const std::string& text) const;

  const InitOptions& options_;
  init::Wishes wishes_;
  init::Facts facts_;
  init::Surroundings surroundings_;
  std::map<std::string, init::ServerFacts> asked_;
};

Result<void> Initiation::take_wishes() {
  if (options_.from_environment) {
    auto wishes = init::wishes_of(config::process_environment());
    if (!wishes) return tl::unexpected(wishes.error());
    wishes_ = std::move(*wishes);
  }
  for (const auto& [wish, words] : options_.said) {
    // In quotes it is several words all the same ('exec PROGRAM'), and an option that stands alone says yes.
    const bool in_quotes = words.size() == 1 && (wish == init::Wish::backend || wish == init::Wish::outbound);
    const bool is_bare = words.size() == 1 && words[0].empty();
    wishes_.say(wish, is_bare     ? std::vector<std::string>{"yes"}
                      : in_quotes ? init::split_words(words[0], " \t")
                                  : words);
  }
  return {};
}

void Initiation::look() {
  init::Machine machine;
  machine.is_root = ::geteuid() == 0;
  machine.has_user = [](const std::string& user) { return process::find_user(user).has_value(); };
  if (!wishes_.has(init::Wish::hostname)) machine.hostname = process::host_name();
  facts_ = init::look_around(machine);
  namespace fs = std::filesystem;
  if (!to_stdout()) surroundings_.folder = fs::absolute(options_.output).parent_path().string();
  surroundings_.now = std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
  // In a container it would depend on which of them starts first.
  if (options_.from_environment) return;
  surroundings_.ask_server = [this](const config::Endpoint& address) {
    const auto [found, is_new] = asked_.try_emplace(config::to_string(address));
    if (is_new) found->second = init::ask_server(address);
    return found->second;
  };
}

init::Decision Initiation::decide() {
  return init::decide(facts_, wishes_, surroundings_);
}

// Asks until the answer can be used; 0: it was.
int Initiation::settle_by(const init::Question& question, init::Decision& decision) {
  if (!may_ask()) {
    if (question.suggestion.empty() || (question.needed && !options_.yes)) {
      return refuse_usage(wishes_.name_of(question.about) + " is needed. " + question.text);
    }
    init::answer(wishes_, question, "");
    decision = decide();
    return 0;
  }
  const init::Wishes before = wishes_;
  const std::string suggestion = question.suggestion.empty() ? "" : " [" + question.suggestion + "]";
  std::fprintf(stderr, "\n%s\n", question.text.c_str());
  for (int attempt = 0; attempt < most_attempts; ++attempt) {
    const auto line = read_line(std::string(wishes_.name_of(question.about)).substr(2) + suggestion + ":");
    if (!line) break;
    wishes_ = before;
    init::answer(wishes_, question, *line);
    decision = decide();
    const auto* const error = std::get_if<Error>(&decision);
    const auto* const again = std::get_if<init::Question>(&decision);
    if (error == nullptr && (again == nullptr || again->about != question.about)) return 0;
    if (error != nullptr) std::fprintf(stderr, "%s\n", error->message.c_str());
  }
  return refuse_usage(wishes_.name_of(question.about) + " is needed");
}

int Initiation::settle(init::Plan& plan) {
  init::Decision decision = decide();
  while (const auto* const question = std::get_if<init::Question>(&decision)) {
    const init::Question asked = *question;
    if (const int status = settle_by(asked, decision); status != 0) return status;
  }
  if (const auto* const error = std::get_if<Error>(&decision)) return refuse_usage(error->message);
  plan = std::move(std::get<init::Plan>(decision));
  return 0;
}

// By what `check` does, whose errors and warnings are shown.
bool Initiation::is_good(const std::string& text) const {
  const std::string name = to_stdout() ? "standard output" : options_.output;
  runtime::Made made = runtime::prepare(config::load_text(text, name, config::process_environment()));
  if (made.runtime != nullptr && !options_.from_environment) {
    runtime::check_root(made.loaded);
    runtime::check_backend_names(made.loaded);
    runtime::check_relay_names(made.loaded, made.runtime->name_servers, made.runtime->trust_anchor);
  }
  runtime::print_diagnostics(made.loaded);
  return made.runtime != nullptr;
}

bool Initiation::is_wanted(const std::string& text) const {
  if (!may_ask()) return true;
  if (!to_stdout()) std::fprintf(stderr, "\n%s\n", text.c_str());
  const auto line = read_line("Is this to be written to " + (to_stdout() ? "stdout" : options_.output) + "? [yes]:");
  return line && (line->empty() || *line == "y" || *line == "yes");
}

// What they say of themselves stands beside them in the configuration, whoever named them.
void Initiation::look_at_certificates(const init::Plan& plan) {
  bool named = plan.hostname.empty();
  for (const config::CertificatePair& files : plan.certificates) {
    facts_.certificates.insert(facts_.certificates.begin(), init::look_at_certificate(files, ""));
    const init::FoundCertificate& found = facts_.certificates.front();
    named |= !found.flaw.empty() || init::names_host(found, plan.hostname);  // what is wrong is said by the check
  }
  if (!named) {
    std::fprintf(stderr, "postern: init: warning: no certificate names %s: who looks at names will refuse it\n",
                 plan.hostname.c_str());
  }
}

int Initiation::write(const init::Plan& plan) {
  init::PutPair pair;
  if (plan.makes_certificate) {
    const config::CertificatePair& files = plan.certificates[0];
    auto made = init::put_self_signed(files.chain, files.key, plan.hostname.empty() ? facts_.hostname : plan.hostname);
    if (!made) return say_failure(made.error().message);
    pair = std::move(*made);
  }
  look_at_certificates(plan);
  const std::string text = init::stamped(init::print_configuration(plan, facts_));
  if (!is_good(text) || !is_wanted(text)) {
    if (pair.made) init::take_back(plan.certificates[0].chain, plan.certificates[0].key, pair);
    return say_failure("nothing was written");
  }
  if (to_stdout()) {
    std::fputs(text.c_str(), stdout);
    return std::fflush(stdout) == 0 ? 0 : say_failure("cannot write to stdout");
  }
  if (const auto put = init::put_configuration(options_.output, text); !put) return say_failure(put.error().message);
  if (options_.from_environment) return 0;
  std::printf("%s is written. What is left to do:\n\n%s", options_.output.c_str(),
              init::next_steps(plan, facts_, options_.output).c_str());
  return 0;
}

int Initiation::run() {
  if (const auto taken = take_wishes(); !taken) return refuse_usage(taken.error().message);
  if (!to_stdout() && !options_.force) {
    if (const auto may = init::may_be_written(options_.output); !may) return say_failure(may.error().message);
  }
  look();
  init::Plan plan;
  if (const int status = settle(plan); status != 0) return status;
  return write(plan);
}

}  // namespace

int command_init(const InitOptions& options) {
  return Initiation(options).run();
}

}  // namespace postern::commands
