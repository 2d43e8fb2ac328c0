// All that a gateway has to know to make a snapshot, for one that may open nothing itself: the configuration's text and
// what it names, in sealed memory whose descriptor is handed over. Once read, a bundle is what whoever sealed it had
// read; nobody can change it in between.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/environment.h"
#include "config/files.h"
#include "config/result.h"
#include "config/unique_fd.h"
#include "proxy/dns/name_servers.h"

namespace postern::keeper {

// Bounds: octets, or how many there are. Whatever can be in a configuration, whose text is at most 1 MiB, is below
// them.
inline constexpr std::size_t max_bundle = std::size_t{1} << 30U;
inline constexpr std::size_t max_index = std::size_t{1} << 24U;
inline constexpr std::size_t max_configuration = std::size_t{1} << 20U;
inline constexpr std::size_t max_variables = 16'384;
inline constexpr std::size_t max_variable_name = 4'096;
inline constexpr std::size_t max_variable = std::size_t{1} << 20U;
inline constexpr std::size_t max_files = 65'535;
inline constexpr std::size_t max_path = 4'096;  // PATH_MAX: no file has a longer one
inline constexpr std::size_t max_file = config::largest_file(config::FileUse::authorities);  // the largest of all
inline constexpr std::size_t max_reason = 8'192;  // why a file could not be read; longer ones are cut
inline constexpr std::size_t max_hostname = 255;
inline constexpr std::size_t max_servers = 64;
inline constexpr std::size_t max_server = 128;  // the longest of them, and where they were found: max_path

// Made of what was read, or parsed. Not to be copied: there are keys in it, which are wiped with it.
struct Bundle {
  std::string name;             // of the configuration's file, as the operator wrote it
  std::string text;             // what was in it
  config::Variables variables;  // of the environment: those that it refers to
  std::string hostname;         // our own; empty: unknown yet
  dns::NameServers name_servers;
  config::Files files;  // those that the configuration names; of `renewed`, those that have changed
};

// Into memory that nobody changes any more. Contents are copied once, into it. Errc::limit_exceeded names what is too
// large; Errc::io.
Result<UniqueFd> seal(const Bundle& bundle);

// Contents are copied once, out of it. Errc::protocol: it is no sealed memory, or what is in it breaks a bound.
Result<Bundle> unseal(const UniqueFd& sealed);

// The pure parts.

// A bundle as the octets that are sealed, in order, as parts: `index` and then contents, which lie in the bundle.
struct Packed {
  std::string index;
  std::vector<std::string_view> contents;
};
Result<Packed> pack(const Bundle& bundle);
Result<Bundle> unpack(std::string_view octets);

}  // namespace postern::keeper
