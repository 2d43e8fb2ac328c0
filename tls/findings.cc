#include "tls/findings.h"

#include <string_view>
#include <utility>

namespace postern::tls {

void Findings::mistake(const std::string& path, std::string message) {
  if (!loaded_.is_wrong(path)) loaded_.add_error(path, std::move(message));
  ok_ = false;
}

void Findings::warning(const std::string& path, const std::string& message) {
  if (warnings_.insert(path + '\n' + message).second) loaded_.add_warning(path, message);
}

void Findings::report(const std::string& owner, const Complaint& complaint) {
  const std::string path = place_of(owner, complaint.option);
  if (complaint.is_error) {
    mistake(path, complaint.message);
    return;
  }
  if (std::string_view(complaint.option) != "groups") {
    warning(path, complaint.message);
    return;
  }
  // One line says it for all listeners, and none where nobody wrote a list: --version says what the library lacks.
  if (loaded_.places.contains(path) && !std::exchange(groups_warned_, true)) warning(path, complaint.message);
}

std::string Findings::place_of(const std::string& owner, const std::string& option) const {
  std::string own = owner + "." + option;
  if (loaded_.places.contains(own)) return own;
  std::string own_maximum = owner + ".max_version";  // too low for a minimum from elsewhere
  return option == "min_version" && loaded_.places.contains(own_maximum) ? own_maximum : "tls." + option;
}

}  // namespace postern::tls
