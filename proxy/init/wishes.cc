#include "proxy/init/wishes.h"

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "config/assert.h"
#include "config/text.h"

namespace postern::init {
namespace {

constexpr std::string_view blanks = " \t\r\n";
constexpr std::string_view blanks_and_commas = " \t\r\n,";

constexpr WishRow rows[] = {
    {Wish::backend, "--backend", "POSTERN_BACKEND", blanks, "WHAT", true, false,
     "What stands behind: ADDRESS:PORT (or several), qmail, postfix, exim, or exec PROGRAM ARGUMENTS"},
    {Wish::client_address,
     "--client-address",
     "POSTERN_CLIENT_ADDRESS",
     {},
     "HOW",
     false,
     false,
     "How the server behind an address learns who the client is: xclient, proxy_v1, proxy_v2, transparent or none"},
    {Wish::hostname,
     "--hostname",
     "POSTERN_HOSTNAME",
     {},
     "NAME",
     false,
     false,
     "What the mail server is called, as its MX record says"},
    {Wish::certificate,
     "--certificate",
     "POSTERN_CHAIN",
     {},
     "CHAIN KEY",
     true,
     false,
     "The files of a certificate with its chain, and of its key; another pair (RSA beside ECDSA) behind them"},
    {Wish::self_signed,
     "--self-signed",
     "POSTERN_SELF_SIGNED",
     {},
     "[FOLDER]",
     false,
     true,
     "Make a certificate that vouches for itself, for a first try, in FOLDER (default: beside the output)"},
    {Wish::domains, "--domain", "POSTERN_DOMAINS", blanks_and_commas, "DOMAIN", true, false,
     "Only mail for these domains is let in, unless its client authenticated; .example.org is any subdomain"},
    {Wish::ports, "--ports", "POSTERN_LISTEN_PORTS", blanks_and_commas, "PORT", true, false,
     "The ports to listen on (default: 25): one that ends in 465 begins with TLS, one that ends in 587 demands "
     "STARTTLS, "
     "any other offers it"},
    {Wish::submission,
     "--submission",
     "POSTERN_SUBMISSION",
     {},
     "[ADDRESS:PORT]",
     false,
     true,
     "Listen on 465 and 587 too, for people's mail programs; the server behind for those, where it is another"},
    {Wish::outbound, "--outbound", "POSTERN_OUTBOUND", blanks, "HOW", true, false,
     "The server's own mail through Postern: mx, relay HOST:PORT, or off"},
    {Wish::outbound_listen,
     "--outbound-listen",
     "POSTERN_OUTBOUND_LISTEN",
     {},
     "ADDRESS:PORT",
     false,
     false,
     "Where the server hands in its own mail (default: 127.0.0.1:10025; with --allow-clients 0.0.0.0:10025)"},
    {Wish::allow_clients, "--allow-clients", "POSTERN_ALLOW_CLIENTS", blanks_and_commas, "NETWORK", true, false,
     "Who may hand in mail that leaves (default: this machine)"},
    {Wish::user, "--user", "POSTERN_USER", {}, "NAME", false, false, "The user that Postern becomes"},
    {Wish::state_directory,
     "--state-directory",
     "POSTERN_STATE_DIRECTORY",
     {},
     "FOLDER",
     false,
     false,
     "Where the outbound side keeps what it learns (default: /var/lib/postern, if it is there)"},
    {Wish::control,
     "--control",
     "POSTERN_CONTROL",
     {},
     "PATH",
     false,
     false,
     "The socket of postern status and reload (default: /run/postern/control, if that folder is there)"},
    {Wish::admin,
     "--admin",
     "POSTERN_ADMIN",
     {},
     "ADDRESS:PORT",
     false,
     false,
     "Serve /status, /metrics, /healthz and /readyz there (default: off)"},
    {Wish::log_format,
     "--log-format",
     "POSTERN_LOG_FORMAT",
     {},
     "FORMAT",
     false,
     false,
     "Lines of the log for people (text) or for programs (json)"},
};

const WishRow& row_of_wish(Wish wish) {
  const auto* const found = std::ranges::find(rows, wish, &WishRow::wish);
  POSTERN_ASSERT(found != std::end(rows), "every wish has its row");
  return *found;
}

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::ranges::any_of(words, [word](auto known) { return config::same_ignoring_case(word, known); });
}

}  // namespace

std::span<const WishRow> wish_rows() {
  return rows;
}

std::vector<std::string> split_words(std::string_view text, std::string_view separators) {
  std::vector<std::string> words;
  std::size_t at = text.find_first_not_of(separators);
  while (at != text.npos) {
    const std::size_t end = std::min(text.find_first_of(separators, at), text.size());
    words.emplace_back(text.substr(at, end - at));
    at = text.find_first_not_of(separators, end);
  }
  return words;
}

void Wishes::say(Wish wish, std::vector<std::string> words) {
  if (!words.empty()) said_.insert_or_assign(wish, std::move(words));
}

const std::vector<std::string>& Wishes::words(Wish wish) const {
  static const std::vector<std::string> none;
  const auto found = said_.find(wish);
  return found == said_.end() ? none : found->second;
}

std::string Wishes::text(Wish wish) const {
  std::string text;
  for (const std::string& word : words(wish)) text.append(text.empty() ? "" : " ").append(word);
  return text;
}

bool Wishes::says_yes(Wish wish) const {
  return is_one_of(text(wish), {"true", "yes", "y", "on", "1"});
}

bool Wishes::says_no(Wish wish) const {
  return is_one_of(text(wish), {"false", "no", "n", "off", "0"});
}

std::string Wishes::name_of(Wish wish) const {
  const WishRow& row = row_of_wish(wish);
  if (!by_environment) return std::string(row.option);
  return wish == Wish::certificate ? "POSTERN_CHAIN and POSTERN_KEY" : std::string(row.variable);
}

Result<Wishes> wishes_of(const config::Environment& environment) {
  const auto value = [&environment](std::string_view name) {
    const char* const found = environment(std::string(name));
    return std::string(found == nullptr ? "" : found);
  };
  Wishes wishes;
  wishes.by_environment = true;
  for (const WishRow& row : rows) {
    const std::string text = value(row.variable);
    if (text.empty() || row.wish == Wish::certificate) continue;
    wishes.say(row.wish, row.separates.empty() ? std::vector{text} : split_words(text, row.separates));
  }
  const auto chains = split_words(value("POSTERN_CHAIN"), blanks_and_commas);
  const auto keys = split_words(value("POSTERN_KEY"), blanks_and_commas);
  if (chains.size() != keys.size()) {
    return fail(Errc::invalid_argument,
                "POSTERN_CHAIN and POSTERN_KEY: as many files are wanted in each, in one order");
  }
  std::vector<std::string> pairs;
  for (std::size_t i = 0; i < chains.size(); ++i) pairs.insert(pairs.end(), {chains[i], keys[i]});
  wishes.say(Wish::certificate, std::move(pairs));
  return wishes;
}

}  // namespace postern::init
