#include "config/check_listener.h"

#include <algorithm>

#include "config/suggest.h"
#include "config/text.h"

namespace postern::config {
namespace {

// What the gateway keeps by itself, and what a server does whether it says so or not.
bool needs_no_promise(std::string_view keyword) {
  return keyword == "PIPELINING" || keyword == "HELP" || keyword == "VRFY" || keyword == "EXPN";
}

std::string remedy_for_keyword(const std::string& keyword) {
  if (keyword == "STARTTLS") return "set mode: starttls, and the gateway offers it";
  if (keyword == "SIZE") return "use ehlo.size_limit";
  return "only the server itself can keep what it promises";
}

std::string enumerate_some(const std::vector<std::string_view>& names) {
  if (names.size() > 10) return std::to_string(names.size()) + " others";
  return listed(names);
}

}  // namespace

std::string at(const std::string& path, std::size_t index) {
  return path + "[" + std::to_string(index) + "]";
}

bool ListenAddresses::reached_by(const Endpoint& address) const {
  if (addresses_.contains(address)) return true;
  if (address.kind != Endpoint::Kind::ip || !is_loopback(address.address)) return false;
  Endpoint any = address;  // who listens on 0.0.0.0 listens on 127.0.0.1
  any.address.bytes = {};
  return addresses_.contains(any);
}

void check_versions(Loaded& loaded, const std::string& path, TlsVersion min, TlsVersion max, std::string_view peer) {
  const std::string min_path = path + ".min_version";
  const std::string max_path = path + ".max_version";
  const bool min_given = loaded.place_of(min_path).line != 0;
  const bool max_given = loaded.place_of(max_path).line != 0;
  if (loaded.is_wrong(min_path) || loaded.is_wrong(max_path)) return;
  if (min > max && (min_given || max_given)) {
    loaded.add_error(min_given ? min_path : max_path, path + ": min_version " + std::string(to_string(min)) +
                                                          " is above max_version " + std::string(to_string(max)) +
                                                          ": no version is left, lower one or raise the other");
  }
  if (min < TlsVersion::tls1_2 && min_given) {
    loaded.add_warning(min_path, min_path + ": " + std::string(to_string(min)) +
                                     " is weak and deprecated (RFC 8996): use TLSv1.2 unless an old " +
                                     std::string(peer) + " needs less");
  }
}

void check_limits(Loaded& loaded, const std::string& path, const Limits& limits) {
  const std::string all = path + ".limits.sessions";
  const std::string each = path + ".limits.sessions_per_client";
  if (loaded.is_wrong(all) || loaded.is_wrong(each) || loaded.place_of(each).line == 0) return;
  if (limits.sessions == 0 || limits.sessions_per_client <= limits.sessions) return;
  loaded.add_warning(
      each, each + ": never reached, since sessions, for all clients together, is " + std::to_string(limits.sessions));
}

void ListenerCheck::error(const std::string& key, const std::string& message) {
  loaded_.add_error(at_key(key), at_key(key) + ": " + message);
}

void ListenerCheck::warning(const std::string& key, const std::string& message) {
  loaded_.add_warning(at_key(key), at_key(key) + ": " + message);
}

void ListenerCheck::certificates(TlsMode mode, const std::vector<std::string>& names) {
  if (wrong("mode")) return;
  if (mode != TlsMode::none && names.empty() && !wrong("certificates")) {
    error("certificates",
          "mode " + std::string(to_string(mode)) + " needs a certificate: name at least one here, or set mode: none");
  }
  if (mode == TlsMode::none && !names.empty()) warning("certificates", "not used, since mode is none");
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string key = at("certificates", i);
    const auto here = names.begin() + static_cast<std::ptrdiff_t>(i);
    if (wrong(key)) continue;
    if (std::find(names.begin(), here, *here) != here) {
      error(key, quote(*here) + " is named twice: remove one of them");
    } else {
      certificate_exists(key, *here);
    }
  }
}

void ListenerCheck::certificate_exists(const std::string& key, const std::string& name) {
  if (loaded_.is_wrong("certificates." + name)) return;
  const auto found = loaded_.settings.certificates.find(name);
  if (found != loaded_.settings.certificates.end()) {
    if (found->second.empty()) error(key, "the certificate " + quote(name) + " has no pair of chain and key");
    return;
  }
  error(key, "there is no certificate " + quote(name) + certificate_meant_by(name));
}

std::string ListenerCheck::certificate_meant_by(const std::string& name) const {
  if (loaded_.settings.certificates.empty()) return "; define it under the top-level key 'certificates'";
  std::vector<std::string_view> known;
  for (const auto& [defined, pairs] : loaded_.settings.certificates) known.push_back(defined);
  const std::string suggestion = did_you_mean(name, known);
  return suggestion.empty() ? "; 'certificates' defines " + enumerate_some(known) : suggestion;
}

void ListenerCheck::added_keyword(const std::string& key, const std::string& keyword, Direction direction) {
  const Extension* known = find_extension(keyword);
  const bool fits = known != nullptr && needs_no_promise(keyword) && known->offer(direction) == Offer::shown;
  if (known != nullptr && !fits) error(key, keyword + " cannot be added: " + remedy_for_keyword(keyword));
  if (known == nullptr) {
    warning(key, "the gateway does not understand " + keyword +
                     ": if a server behind offers it, name it in ehlo.pass instead; if none does, remove it");
  }
}

void ListenerCheck::passed_keyword(const std::string& key, const std::string& keyword, Direction direction) {
  const Extension* known = find_extension(keyword);
  if (known == nullptr) return;
  switch (known->offer(direction)) {
    case Offer::shown: return warning(key, keyword + " is shown where a server offers it: remove it from ehlo.pass");
    case Offer::on_request: return;
    case Offer::never: return error(key, keyword + " cannot be passed, since " + std::string(known->why));
  }
}

void ListenerCheck::ehlo(TlsMode mode, const EhloSettings& ehlo, Direction direction) {
  const auto both = [&](const std::string& key, const std::string& keyword, const std::string& other) {
    if (std::ranges::find(ehlo.hide, keyword) == ehlo.hide.end()) return false;
    error(key, keyword + " is both hidden and " + other + ": remove it from one of the two");
    return true;
  };
  for (std::size_t i = 0; i < ehlo.add.size(); ++i) {
    const std::string key = at("ehlo.add", i);
    if (!wrong(key) && !both(key, ehlo.add[i], "added")) added_keyword(key, ehlo.add[i], direction);
  }
  for (std::size_t i = 0; i < ehlo.pass.size(); ++i) {
    const std::string key = at("ehlo.pass", i);
    if (!wrong(key) && !both(key, ehlo.pass[i], "passed")) passed_keyword(key, ehlo.pass[i], direction);
  }
  const auto hidden = std::ranges::find(ehlo.hide, "STARTTLS");
  if (mode == TlsMode::starttls && !wrong("mode") && hidden != ehlo.hide.end()) {
    error(at("ehlo.hide", static_cast<std::size_t>(hidden - ehlo.hide.begin())),
          "STARTTLS is what mode starttls offers: set mode to none to hide it");
  }
}

}  // namespace postern::config
