#include "config/environment.h"

#include <cstdlib>
#include <utility>

#include "config/yaml.h"

namespace postern::config {
namespace {

// What all variables of one file may add: as much as the file itself.
constexpr std::size_t expansion_limit = std::size_t{1} << 20;

bool is_variable_name(std::string_view name) {
  constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
  constexpr std::string_view others = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
  return !name.empty() && letters.find(name[0]) != std::string_view::npos &&
         name.find_first_not_of(others) == std::string_view::npos;
}

// The value of what stands between the braces: "NAME" or "NAME:-default".
Result<std::string> look_up(std::string_view reference, const Environment& environment) {
  const std::size_t separator = reference.find(":-");
  const std::string name(reference.substr(0, separator));
  if (!is_variable_name(name)) {
    return fail(Errc::invalid_argument, quote(name) +
                                            " cannot be the name of an environment variable; write $$ where a "
                                            "dollar is meant");
  }
  const char* value = environment(name);
  if (separator == std::string_view::npos) {
    if (value != nullptr) return std::string(value);
    return fail(Errc::not_found, "the environment variable " + quote(name) +
                                     " is not set; set it, or give a default as in ${NAME:-default}");
  }
  if (value != nullptr && *value != '\0') return std::string(value);
  return std::string(reference.substr(separator + 2));
}

class Expansion {
 public:
  Expansion(const Environment& environment, Mistakes& mistakes) : environment_(environment), mistakes_(mistakes) {}

  void visit(Node& node) {
    if (node.kind == Node::Kind::scalar && node.scalar.find('$') != std::string::npos) expand_scalar(node);
    for (Node& child : node.children) visit(child);
  }

 private:
  void expand_scalar(Node& node) {
    auto text = expand(node.scalar, environment_);
    if (!text) return refuse(node, text.error().message);
    added_ += text->size();
    if (added_ > expansion_limit) return refuse(node, "environment variables make the file larger than 1 MiB");
    node.scalar = std::move(*text);
    node.quoted = false;  // "${WORKERS}" has to be quoted inside { }, and is a number all the same
  }

  void refuse(Node& node, std::string message) {
    mistakes_.push_back({node.place, std::move(message)});
    node.kind = Node::Kind::invalid;
  }

  const Environment& environment_;
  Mistakes& mistakes_;
  std::size_t added_ = 0;
};

}  // namespace

Environment process_environment() {
  return [](const std::string& name) -> const char* { return std::getenv(name.c_str()); };
}

Environment environment_of(Variables variables) {
  return [variables = std::move(variables)](const std::string& name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
}

Environment recording(const Environment& environment, Variables& used) {
  return [&environment, &used](const std::string& name) -> const char* {
    const char* const value = environment(name);
    if (value != nullptr) used.insert_or_assign(name, value);
    return value;
  };
}

Result<std::string> expand(std::string_view text, const Environment& environment) {
  std::string expanded;
  while (true) {
    const std::size_t dollar = text.find('$');
    expanded += text.substr(0, dollar);
    if (expanded.size() > expansion_limit) return fail(Errc::limit_exceeded, "the value is larger than 1 MiB");
    if (dollar == std::string_view::npos) return expanded;
    text.remove_prefix(dollar + 1);
    if (text.starts_with('$')) {
      expanded += '$';
      text.remove_prefix(1);
      continue;
    }
    if (!text.starts_with('{')) {
      return fail(Errc::invalid_argument, "a lone dollar: write $$ for a dollar, ${NAME} for a variable");
    }
    const std::size_t end = text.find('}');
    if (end == std::string_view::npos) return fail(Errc::invalid_argument, "'${' without its closing '}'");
    auto value = look_up(text.substr(1, end - 1), environment);
    if (!value) return value;
    expanded += *value;
    text.remove_prefix(end + 1);
  }
}

void expand_values(Node& root, const Environment& environment, Mistakes& mistakes) {
  Expansion(environment, mistakes).visit(root);
}

}  // namespace postern::config
