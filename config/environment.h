// ${NAME} and ${NAME:-default} in the values of a configuration file.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "config/diagnostic.h"
#include "config/result.h"

namespace postern::config {

struct Node;  // config/yaml.h

// Looks up an environment variable; nullptr where it is not set. Tests pass their own.
using Environment = std::function<const char*(const std::string& name)>;

// Those that are set, with their values.
using Variables = std::map<std::string, std::string>;

// The process's own environment.
Environment process_environment();
// Of these and no others.
Environment environment_of(Variables variables);
// That one, which notes in `used` what it was asked for and has. Both outlive what is returned.
Environment recording(const Environment& environment, Variables& used);

// Replaces ${NAME}, ${NAME:-default} (used when NAME is unset or empty, as in a shell) and $$ (one dollar). An unset
// NAME without default, and a dollar that is none of these, are errors. What is put in is not expanded again.
Result<std::string> expand(std::string_view text, const Environment& environment);

// Expands every value of the tree, never a key. A value that cannot be expanded becomes Node::Kind::invalid.
void expand_values(Node& root, const Environment& environment, Mistakes& mistakes);

}  // namespace postern::config
