// How much TLS a level demands of a remote server, one row each: whoever asks anything of a level reads it here. A new
// level is an enumerator in settings.h and a row.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "config/settings.h"

namespace postern::config {

struct LevelRow {
  // When the TLSA records count that a host has.
  enum class Dane : std::uint8_t {
    if_wanted,  // where the listener says `dane: true`
    always,
    required,  // and nothing is sent where none can be used
  };
  // What the server has to show beyond encryption, whatever is published.
  enum class Proof : std::uint8_t {
    nothing,
    fingerprint,  // one of the policy's
    host_name,    // a Web-PKI chain, and the mail host's name
    domain_name,  // a Web-PKI chain, and the recipient domain's name, or one of the policy's
  };

  TlsLevel level;
  std::string_view name;  // in the configuration, in the log, in `postern probe`
  int strength = 0;       // of two demands the one with more is named as what was demanded
  bool uses_tls = true;   // false: not even where it is offered
  bool encrypts = true;   // no plaintext, whatever is published
  Dane dane = Dane::if_wanted;
  Proof proof = Proof::nothing;

  bool wants_dane() const { return dane != Dane::if_wanted; }
  // No server passes that is known by nothing but its address.
  bool needs_host_name() const {
    return proof == Proof::host_name || proof == Proof::domain_name || dane == Dane::required;
  }
};

// From the weakest to the strongest.
std::span<const LevelRow> levels();
const LevelRow& row_of(TlsLevel level);

TlsLevel stronger(TlsLevel one, TlsLevel other);

}  // namespace postern::config
