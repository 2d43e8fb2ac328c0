// What the operator has said to `postern init`, by an option, a variable of the environment or at a prompt: words that
// nobody has looked at yet.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/environment.h"
#include "config/result.h"

namespace postern::init {

enum class Wish : std::uint8_t {
  backend,
  client_address,
  hostname,
  certificate,
  self_signed,
  domains,
  ports,
  submission,
  outbound,
  outbound_listen,
  allow_clients,
  user,
  state_directory,
  control,
  admin,
  log_format,
};

// How a wish is said. A new one is a row.
struct WishRow {
  Wish wish;
  std::string_view option;     // "--backend"
  std::string_view variable;   // "POSTERN_BACKEND"
  std::string_view separates;  // what parts the words of the variable; empty: it is one word, whatever is in it
  std::string_view type_name;  // in --help
  bool has_words;              // takes any number of words; else one
  bool may_be_bare;            // needs none: "--submission" alone says yes
  std::string_view help;
};
std::span<const WishRow> wish_rows();

class Wishes {
 public:
  // Saying nothing is as if it were not said.
  void say(Wish wish, std::vector<std::string> words);
  bool has(Wish wish) const { return said_.contains(wish); }
  const std::vector<std::string>& words(Wish wish) const;
  std::string text(Wish wish) const;  // the words with blanks between them
  // "true", "yes", "on" or "1", and what an option says that stands alone.
  bool says_yes(Wish wish) const;
  bool says_no(Wish wish) const;

  // How whoever is asked is to say it: "--backend", or "POSTERN_BACKEND" where the environment is what speaks.
  std::string name_of(Wish wish) const;
  bool by_environment = false;

 private:
  std::map<Wish, std::vector<std::string>> said_;
};

// Empty variables have not been set. A variable that belongs to another, which is missing, is an error.
Result<Wishes> wishes_of(const config::Environment& environment);

// The parts of a text between any of `separators`, without empty ones.
std::vector<std::string> split_words(std::string_view text, std::string_view separators);

}  // namespace postern::init
