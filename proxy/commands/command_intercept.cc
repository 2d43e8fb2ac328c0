#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "config/load.h"
#include "config/text.h"
#include "proxy/commands/commands.h"
#include "proxy/intercept/kernel_rules.h"
#include "proxy/intercept/machine.h"
#include "proxy/intercept/ruleset.h"
#include "proxy/intercept/tools.h"
#include "proxy/intercept/trial.h"

namespace postern::commands {

namespace {

int intercept_failed(const std::string& words) {
  std::fprintf(stderr, "postern: intercept: %s\n", words.c_str());
  return 1;
}

// Symbolic links are not followed: one that is pointed elsewhere, or has lost its file, is the same configuration.
std::string absolute_path(const std::string& path) {
  std::error_code failed;
  const auto absolute = std::filesystem::absolute(path, failed);
  return failed ? path : absolute.lexically_normal().string();
}

std::optional<intercept::Plan> plan_of(const InterceptOptions& options) {
  config::Loaded loaded = config::load_file(options.config, config::process_environment());
  std::optional<intercept::Plan> plan;
  if (loaded.ok()) {
    plan = intercept::make_plan(loaded, absolute_path(options.config), options.wishes,
                                intercept::look_at_machine(loaded.settings));
  }
  for (const config::Diagnostic& diagnostic : loaded.diagnostics) {
    if (diagnostic.severity != config::Diagnostic::Severity::error) continue;
    std::fprintf(stderr, "%s\n", config::to_string(diagnostic).c_str());
  }
  return plan;
}

// The rules are on stdout, and have the notes as comments: here they are for whoever sends that elsewhere.
void print_notes(const intercept::Plan& plan) {
  for (const std::string& note : plan.notes) std::fprintf(stderr, "postern: intercept: %s\n", note.c_str());
}

int intercept_show(const InterceptOptions& options) {
  const auto plan = plan_of(options);
  if (!plan) return 1;
  if (::isatty(STDOUT_FILENO) == 0) print_notes(*plan);
  std::fputs(intercept::rules_of(*plan).c_str(), stdout);
  return std::fflush(stdout) == 0 ? 0 : 1;
}

Result<intercept::KernelRules> kernel_rules_for(const InterceptOptions& options) {
  if (!intercept::may_change_network()) {
    return fail(Errc::refused, "this needs root, or CAP_NET_ADMIN (show prints the rules without)");
  }
  return intercept::KernelRules::find(intercept::names_for(absolute_path(options.config)));
}

// Mail that is led to nobody is refused.
bool somebody_listens(const intercept::Plan& plan, bool force) {
  std::vector<std::string> nobody;
  for (const config::Endpoint& at : intercept::deaf(plan, intercept::listening_now())) {
    nobody.push_back(config::to_string(at));
  }
  if (nobody.empty()) return true;
  const std::string words = "nobody listens on " + config::listed(nobody) + " (in this network namespace)";
  if (force) {
    std::fprintf(stderr, "postern: intercept: %s: connections that are led there are refused until somebody does\n",
                 words.c_str());
    return true;
  }
  intercept_failed(words +
                   ", so that connections that are led there would be refused: start Postern first, or say --force");
  return false;
}

// Mail of this machine that comes under an address which is not let in is refused for good: it would be lost.
bool this_machine_is_let_in(const intercept::Plan& plan, bool force) {
  bool all = true;
  for (const intercept::Catch& one : plan.catches) {
    if (one.strangers.empty() || force) continue;  // a note says it
    std::vector<std::string> addresses;
    for (const config::IpAddress& address : one.strangers) addresses.push_back(config::to_string(address));
    const std::string listed = config::listed(addresses);
    intercept_failed("mail that this machine sends from " + listed +
                     " would be refused for good, with 554 5.7.1: add these addresses to outbound." + one.listener +
                     ".allow_clients and reload, or say --force");
    all = false;
  }
  return all;
}

bool may_go_on(const intercept::Plan& plan, bool force) {
  const bool heard = somebody_listens(plan, force);
  return this_machine_is_let_in(plan, force) && heard;
}

void say_how_to_keep(const InterceptOptions& options, bool can_press) {
  const std::string within = config::to_string(options.within);
  if (can_press) {
    std::fprintf(stderr,
                 "The rules are in place. Press a key to keep them; without one they are taken back in %s (Ctrl-C: at "
                 "once).\n",
                 within.c_str());
  } else {
    std::fprintf(
        stderr,
        "The rules are in place, and taken back in %s: there is no terminal to press a key at (--confirm keeps "
        "them).\n",
        within.c_str());
  }
}

int tell(const intercept::Verdict& verdict) {
  using Kind = intercept::Verdict::Kind;
  switch (verdict.kind) {
    case Kind::kept: std::fputs("The rules stay, until `postern intercept off` or the next boot.\n", stderr); return 0;
    case Kind::taken_back: return intercept_failed("the rules were taken back: " + verdict.words);
    case Kind::replaced: return intercept_failed("somebody has changed the rules meanwhile: theirs stay");
    case Kind::failed: break;
  }
  return intercept_failed(verdict.words);
}

int intercept_on(const InterceptOptions& options) {
  const auto plan = plan_of(options);
  if (!plan) return 1;
  const auto kernel = kernel_rules_for(options);
  if (!kernel) return intercept_failed(kernel.error().message);
  if (!may_go_on(*plan, options.force)) return 1;
  print_notes(*plan);
  const std::string rules = intercept::rules_of(*plan);
  if (!options.confirm) {
    return tell(intercept::try_out(*kernel, rules, plan->needs_routes(), options.within,
                                   [&options](bool can_press) { say_how_to_keep(options, can_press); }));
  }
  const auto before = kernel->look();
  if (!before) return intercept_failed(before.error().message);
  if (const auto put = kernel->put(rules, plan->needs_routes()); !put) {
    const auto back = kernel->put_back(*before, {});
    return intercept_failed(put.error().message +
                            (back ? "" : "; and what was there before is not: " + back.error().message));
  }
  return tell({intercept::Verdict::Kind::kept, {}});
}

int intercept_off(const InterceptOptions& options) {
  const auto kernel = kernel_rules_for(options);
  if (!kernel) return intercept_failed(kernel.error().message);
  const auto removed = kernel->remove();
  if (!removed) return intercept_failed(removed.error().message);
  std::fputs(*removed ? "The rules are gone.\n" : "There are no rules of this configuration.\n", stderr);
  return 0;
}

}  // namespace

int command_intercept(const InterceptOptions& options) {
  switch (options.what) {
    case InterceptOptions::What::show: return intercept_show(options);
    case InterceptOptions::What::on: return intercept_on(options);
    case InterceptOptions::What::off: break;
  }
  return intercept_off(options);
}

}  // namespace postern::commands
