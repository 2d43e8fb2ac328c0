// Reads the command line and hands over to one of the commands.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "config/diagnostic.h"
#include "config/suggest.h"
#include "proxy/commands/command_facts.h"
#include "proxy/commands/commands.h"

namespace {

constexpr int usage_error = 2;

// Collects what CLI11 puts into plain members: the same object lives through parsing and running.
struct Arguments {
  bool version = false;
  postern::commands::RunOptions run;
  postern::commands::InitOptions init;
  postern::commands::ReloadOptions reload;
  postern::commands::StatusOptions status;
  postern::process::Privileges gateway;
  std::string identity;
  bool sandbox = false;
  bool sandbox_log = false;
  postern::commands::CheckOptions check;
  postern::commands::ProbeOptions probe;
  postern::commands::TlsaOptions tlsa;
  postern::commands::InterceptOptions intercept;
  std::string intercept_what;
  std::vector<std::string> intercept_from;
  std::string intercept_within = "60s";
  postern::sink::SinkOptions sink;
  std::vector<std::string> sink_listen = {"127.0.0.1:2526"};
  bool sink_no_pipelining = false;
  bool sink_no_chunking = false;
  bool sink_helo_only = false;
  postern::commands::DemoOptions demo;
  std::string help_about;  // a command; empty: all of them
  bool print_manual = false;
  std::string completed_shell;  // whose completion is to be printed
};

void describe_general(CLI::App& app, Arguments& arguments) {
  app.require_subcommand(0, 1);
  app.add_flag("--version", arguments.version, "Print versions, ours and the libraries', and exit");
  app.add_subcommand("version", "The same as --version");
  CLI::App* help = app.add_subcommand("help", "Print what a command does and takes");
  help->add_option("command", arguments.help_about, "The command; without it, all of them")->type_name("COMMAND");
  // For packages.
  help->add_flag("--print-manual", arguments.print_manual)->group("");
  help->add_option("--print-completion", arguments.completed_shell)->group("")->check(CLI::IsMember({"bash", "zsh"}));
}

// Started by `run`, and in nobody's help.
void describe_gateway(CLI::App& app, Arguments& arguments) {
  CLI::App* gateway = app.add_subcommand("gateway", "")->group("");
  gateway->add_option("--user", arguments.gateway.user, "Whom to become");
  gateway->add_option("--identity", arguments.identity, "Its numbers");
  gateway->add_flag("--foreign-addresses", arguments.gateway.foreign_source_addresses, "Keep the right to use them");
  gateway->add_flag("--socket-marks", arguments.gateway.marks_sockets, "Keep the right to set them");
  gateway->add_flag("--sandbox", arguments.sandbox, "Enter it");
  gateway->add_flag("--sandbox-log", arguments.sandbox_log, "Enter one that refuses nothing");
  gateway->add_option("--directory", arguments.gateway.sandbox.directory, "The only one with files");
}

void describe_init(CLI::App& app, Arguments& arguments) {
  postern::commands::InitOptions& options = arguments.init;
  CLI::App* init = app.add_subcommand(
      "init", "Look at this machine, write a configuration for it, and say what to do next; asks what it cannot know");
  for (const postern::init::WishRow& row : postern::init::wish_rows()) {
    CLI::Option* option = init->add_option(std::string(row.option), options.said[row.wish], std::string(row.help))
                              ->type_name(std::string(row.type_name));
    if (!row.has_words) option->expected(row.may_be_bare ? 0 : 1, 1);
  }
  init->add_option("--output", options.output, "The file to write; - is stdout")
      ->type_name("FILE")
      ->capture_default_str();
  init->add_flag("--from-environment", options.from_environment,
                 "Take what no option says from POSTERN_BACKEND, POSTERN_HOSTNAME and so on, and ask nothing");
  init->add_flag("--yes", options.yes, "Ask nothing: take what would be suggested");
  init->add_flag("--force", options.force, "Replace a file that somebody has changed; it is kept as FILE.old");
}

// Those that ask the one that runs.
void describe_running(CLI::App& app, Arguments& arguments) {
  CLI::App* reload =
      app.add_subcommand("reload", "Have the running gateway read its configuration anew, and say what came of it");
  reload->add_option("--config", arguments.reload.config, "The configuration file, which names the control socket")
      ->required()
      ->type_name("FILE");

  CLI::App* status =
      app.add_subcommand("status", "Show how the running gateway is: sessions, TLS, refusals, certificates");
  status->add_option("--config", arguments.status.config, "The configuration file, which names the control socket")
      ->required()
      ->type_name("FILE");
  status->add_flag("--json", arguments.status.json, "As JSON");
}

void describe_intercept(CLI::App& app, Arguments& arguments) {
  CLI::App* intercept = app.add_subcommand(
      "intercept", "Print, put in place or remove the firewall's rules that bring connections to the listeners");
  postern::commands::InterceptOptions& options = arguments.intercept;
  intercept->add_option("action", arguments.intercept_what, "What to do with them")
      ->required()
      ->type_name("show|on|off");
  intercept->add_option("--config", options.config, "The configuration file")->required()->type_name("FILE");
  intercept->add_flag("--host", options.wishes.host, "The connections of this machine");
  intercept->add_flag("--router", options.wishes.router, "Those of others, which this machine forwards");
  intercept->add_option("--from", arguments.intercept_from, "Whose (default: the networks in allow_clients)")
      ->delimiter(',')
      ->type_name("NETWORK");
  intercept->add_option("--ports", options.wishes.ports, "To which ports")
      ->delimiter(',')
      ->check(CLI::Range(1, 65535))
      ->type_name("PORT")
      ->default_str("25");
  intercept
      ->add_option("--listener", options.wishes.listener,
                   "For this listener alone (default: all with route: original_destination)")
      ->type_name("NAME");
  intercept->add_flag("--confirm", options.confirm, "on: keep the rules, without a key being pressed");
  intercept->add_option("--within", arguments.intercept_within, "on: when they are taken back if no key was pressed")
      ->type_name("DURATION")
      ->capture_default_str();
  intercept->add_flag("--force", options.force, "on: though nobody listens");
}

void describe(CLI::App& app, Arguments& arguments) {
  CLI::App* run = app.add_subcommand("run", "Run the gateway in the foreground, logging to stderr");
  run->add_option("--config", arguments.run.config, "The configuration file")->required()->type_name("FILE");

  describe_init(app, arguments);
  describe_running(app, arguments);

  CLI::App* check = app.add_subcommand("check", "Check a configuration with its certificates, binding nothing");
  CLI::Option* file =
      check->add_option("--config", arguments.check.config, "The configuration file")->type_name("FILE");
  check->add_flag("--print-reference", arguments.check.print_reference, "Print every option with its default instead")
      ->excludes(file);
  check->add_flag("--print-metrics", arguments.check.print_metrics)->group("")->excludes(file);
  check->add_flag("--print-manual", arguments.check.print_manual)->group("")->excludes(file);
  check->add_flag("-v,--verbose", arguments.check.verbose, "Say what the TLS library has, too");

  CLI::App* probe = app.add_subcommand(
      "probe", "Show what the outbound side would decide for a domain or a mail host, and why; sends no mail");
  probe->add_option("target", arguments.probe.target, "A domain, or a host with a port")
      ->required()
      ->type_name("DOMAIN|HOST[:PORT]");
  probe->add_option("--config", arguments.probe.config, "Take policies, trust and DNS from this configuration file")
      ->type_name("FILE");
  probe
      ->add_option("--listener", arguments.probe.listener,
                   "The outbound listener whose settings count (default: the first)")
      ->type_name("NAME");
  probe->add_flag("--json", arguments.probe.json, "Print JSON instead of text");

  CLI::App* tlsa = app.add_subcommand(
      "tlsa", "Print the TLSA records that match the configured certificates, ready for the zone file");
  tlsa->add_option("--config", arguments.tlsa.config, "The configuration file")->required()->type_name("FILE");
  tlsa->add_flag("--verify", arguments.tlsa.verify, "Compare with what DNS publishes instead");
  tlsa->add_option("--host", arguments.tlsa.hosts,
                   "A mail host's name; may be given several times (default: all that the certificates name)")
      ->type_name("NAME");
  tlsa->add_option("--port", arguments.tlsa.ports,
                   "The port that senders use; may be given several times (default: the listeners', or 25)")
      ->check(CLI::Range(1, 65535))
      ->type_name("PORT");

  CLI::App* sink =
      app.add_subcommand("sink", "A plaintext SMTP server that accepts and stores mail, for tests and demos");
  sink->add_option("--listen", arguments.sink_listen,
                   "Where to listen; may be given several times; port 0: any free one")
      ->type_name("ADDRESS:PORT")
      ->capture_default_str();
  sink->add_option("--maildir", arguments.sink.maildir,
                   "Store each message in DIR/new, its envelope in DIR/envelopes; otherwise messages are only counted")
      ->type_name("DIR");
  sink->add_flag("--sync", arguments.sink.sync, "Acknowledge a message only once it is on the disk");
  sink->add_flag("--quiet", arguments.sink.quiet, "No line on stdout for each message");
  sink->add_flag("--no-pipelining", arguments.sink_no_pipelining, "Do not offer PIPELINING");
  sink->add_flag("--no-chunking", arguments.sink_no_chunking, "Neither offer CHUNKING nor know BDAT");
  sink->add_flag("--helo-only", arguments.sink_helo_only, "Do not know EHLO");

  CLI::App* demo = app.add_subcommand("demo", "Send two messages through a gateway of its own, and show how");
  demo->add_flag("--once", arguments.demo.once, "Exit afterwards instead of staying up");
  describe_intercept(app, arguments);
  describe_gateway(app, arguments);
  describe_general(app, arguments);
}

int refuse(const std::string& message) {
  std::fprintf(stderr, "postern: %s\nRun postern --help for more information.\n", message.c_str());
  return usage_error;
}

std::vector<std::string> command_names(CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App* each) { return !each->get_group().empty(); })) {
    names.push_back(command->get_name());
  }
  return names;
}

std::string did_you_mean(const std::string& word, const std::vector<std::string>& known) {
  return postern::config::did_you_mean(word, {known.begin(), known.end()});
}

int no_such_command(const std::string& word, const std::vector<std::string>& known) {
  return refuse("there is no command " + postern::config::quote(word) + did_you_mean(word, known));
}

// A word too much, or an option that the command does not have.
int unexpected(const CLI::App& command, const std::string& word) {
  const std::string said = command.get_name() + ": ";
  if (!word.starts_with('-')) {
    const CLI::Option* config = command.get_option_no_throw("--config");
    const bool is_file = config != nullptr && config->count() == 0;
    return refuse(said + postern::config::quote(word) + " was not expected" +
                  (is_file ? "; did you mean " + postern::config::quote("--config " + word) + "?" : ""));
  }
  std::vector<std::string> known;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  }
  if (std::ranges::find(known, word) != known.end()) return refuse(said + word + " goes behind the command");
  return refuse(said + "there is no option " + postern::config::quote(word) + did_you_mean(word, known));
}

int explain(CLI::App& app, const CLI::ParseError& error, const std::vector<std::string>& words) {
  if (error.get_exit_code() == 0) return app.exit(error);  // --help
  const std::vector<std::string> commands = command_names(app);
  const bool is_command = !words.empty() && !words[0].starts_with('-');
  if (is_command && std::ranges::find(commands, words[0]) == commands.end()) return no_such_command(words[0], commands);
  const std::vector<std::string> extras = app.remaining(true);
  if (!extras.empty() && !app.get_subcommands().empty()) return unexpected(*app.get_subcommands().front(), extras[0]);
  app.exit(error);
  return usage_error;
}

postern::commands::CommandFacts facts_of(const CLI::App& command, bool is_command) {
  postern::commands::CommandFacts facts{is_command ? command.get_name() : "", command.get_description(), {}};
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_group().empty()) continue;
    postern::commands::OptionFacts& known = facts.options.emplace_back();
    for (const std::string& name : option->get_snames()) known.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) known.names.push_back("--" + name);
    if (option->get_items_expected_max() > 0) known.type = option->get_type_name();
    known.type.resize(std::min(known.type.find(":INT in "), known.type.size()));  // what is checked stands behind it
    known.help = option->get_description();
    known.required = option->get_required();
    known.repeated = option->get_items_expected_max() > 1;
  }
  return facts;
}

std::vector<postern::commands::CommandFacts> all_facts(CLI::App& app) {
  std::vector<postern::commands::CommandFacts> facts = {facts_of(app, false)};
  for (const std::string& name : command_names(app)) facts.push_back(facts_of(*app.get_subcommand(name), true));
  return facts;
}

int print_help(CLI::App& app, const Arguments& arguments) {
  using namespace postern::commands;
  const std::string& about = arguments.help_about;
  std::string text;
  if (arguments.print_manual) text = print_manual(all_facts(app), version());
  if (arguments.completed_shell == "bash") text = print_bash_completion(all_facts(app));
  if (arguments.completed_shell == "zsh") text = print_zsh_completion(all_facts(app));
  if (!text.empty()) return std::fputs(text.c_str(), stdout) < 0 ? 1 : 0;
  const std::vector<std::string> commands = command_names(app);
  if (!about.empty() && std::ranges::find(commands, about) == commands.end()) return no_such_command(about, commands);
  app.clear();  // else it is the help of `help`
  text = about.empty() ? app.help() : app.get_subcommand(about)->help(app.get_name());
  std::fputs(text.c_str(), stdout);
  return 0;
}

int run_sink(Arguments& arguments) {
  for (const std::string& text : arguments.sink_listen) {
    const auto endpoint = postern::config::parse_endpoint(text);
    if (!endpoint) return refuse("--listen " + text + ": " + endpoint.error().message);
    if (endpoint->kind != postern::config::Endpoint::Kind::ip) {
      return refuse("--listen " + text + ": an IP address and a port are wanted");
    }
    arguments.sink.listen.push_back(*endpoint);
  }
  arguments.sink.capabilities = {!arguments.sink_no_pipelining, !arguments.sink_no_chunking, !arguments.sink_helo_only};
  return postern::commands::command_sink(arguments.sink);
}

int run_intercept(Arguments& arguments) {
  postern::commands::InterceptOptions& options = arguments.intercept;
  const std::vector<std::string> actions = {"show", "on", "off"};
  const auto action = std::ranges::find(actions, arguments.intercept_what);
  if (action == actions.end()) {
    return refuse("intercept: show, on or off is wanted, not " + postern::config::quote(arguments.intercept_what) +
                  did_you_mean(arguments.intercept_what, actions));
  }
  options.what = static_cast<postern::commands::InterceptOptions::What>(action - actions.begin());
  for (const std::string& text : arguments.intercept_from) {
    const auto network = postern::config::parse_network(text);
    if (!network) return refuse("intercept: --from " + text + ": " + network.error().message);
    options.wishes.from.push_back(*network);
  }
  if (!options.wishes.from.empty() && options.wishes.host && !options.wishes.router) {
    return refuse("intercept: --from is about --router");
  }
  const auto within = postern::config::parse_duration(arguments.intercept_within);
  if (!within) return refuse("intercept: --within " + arguments.intercept_within + ": " + within.error().message);
  if (*within < std::chrono::seconds(1) || *within > std::chrono::hours(1)) {
    return refuse("intercept: --within " + arguments.intercept_within + ": from 1s to 1h");
  }
  options.within = *within;
  return postern::commands::command_intercept(options);
}

int run_gateway(Arguments& arguments) {
  if (!arguments.identity.empty()) {
    auto identity = postern::process::parse_identity(arguments.gateway.user, arguments.identity);
    if (!identity) return refuse("gateway: " + identity.error().message);
    arguments.gateway.identity = std::move(*identity);
  }
  using enum postern::config::SandboxMode;
  arguments.gateway.sandbox.mode = arguments.sandbox ? on : arguments.sandbox_log ? log : off;
  return postern::commands::command_gateway(arguments.gateway);
}

int dispatch(CLI::App& app, Arguments& arguments) {
  if (app.got_subcommand("help")) return print_help(app, arguments);
  if (arguments.version || app.got_subcommand("version")) return postern::commands::command_version();
  if (app.got_subcommand("run")) return postern::commands::command_run(arguments.run);
  if (app.got_subcommand("init")) return postern::commands::command_init(arguments.init);
  if (app.got_subcommand("reload")) return postern::commands::command_reload(arguments.reload);
  if (app.got_subcommand("status")) return postern::commands::command_status(arguments.status);
  if (app.got_subcommand("gateway")) return run_gateway(arguments);
  if (app.got_subcommand("probe")) return postern::commands::command_probe(arguments.probe);
  if (app.got_subcommand("tlsa")) return postern::commands::command_tlsa(arguments.tlsa);
  if (app.got_subcommand("intercept")) return run_intercept(arguments);
  if (app.got_subcommand("sink")) return run_sink(arguments);
  if (app.got_subcommand("demo")) return postern::commands::command_demo(arguments.demo);
  if (app.got_subcommand("check")) {
    if (arguments.check.config.empty() && !arguments.check.print_reference && !arguments.check.print_metrics &&
        !arguments.check.print_manual) {
      return refuse("check: --config is required");
    }
    return postern::commands::command_check(arguments.check);
  }
  std::fputs(app.help().c_str(), stderr);
  return usage_error;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  CLI::App app("Postern puts TLS in front of mail servers that have none.", "postern");
  Arguments arguments;
  describe(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return explain(app, error, {argv + 1, argv + argc});
  }
  return dispatch(app, arguments);
}
