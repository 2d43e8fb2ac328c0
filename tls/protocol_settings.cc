#include "tls/protocol_settings.h"

#include <openssl/err.h>
#include <openssl/nid.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "config/assert.h"
#include "config/text.h"
#include "tls/error.h"

namespace postern::tls {
namespace {

// The buffers of peers' certificates, shared between connections. The library wants it to outlive everything.
CRYPTO_BUFFER_POOL* buffer_pool() {
  static CRYPTO_BUFFER_POOL* const pool = CRYPTO_BUFFER_POOL_new();
  return pool;
}

constexpr std::array<Group, 12> known_groups = {{
    {"x25519mlkem768", "X25519MLKEM768", 0x11ec, true},
    {"x25519", "X25519", SSL_CURVE_X25519},
    {"p-256", "P-256", SSL_CURVE_SECP256R1},
    {"prime256v1", "P-256", SSL_CURVE_SECP256R1},
    {"secp256r1", "P-256", SSL_CURVE_SECP256R1},
    {"p-384", "P-384", SSL_CURVE_SECP384R1},
    {"secp384r1", "P-384", SSL_CURVE_SECP384R1},
    {"p-521", "P-521", SSL_CURVE_SECP521R1},
    {"secp521r1", "P-521", SSL_CURVE_SECP521R1},
    // Known, though no BoringSSL has them: lists written for OpenSSL must load.
    {"x448", "X448", 0x001e},
    {"secp256r1mlkem768", "SecP256r1MLKEM768", 0x11eb, true},
    {"secp384r1mlkem1024", "SecP384r1MLKEM1024", 0x11ed, true},
}};

Result<const Group*> find_group(const std::string& written) {
  const std::string lower = config::lower_case(written);
  const auto* const found = std::find_if(known_groups.begin(), known_groups.end(),
                                         [&lower](const Group& group) { return group.written == lower; });
  if (found == known_groups.end()) {
    return fail(Errc::invalid_argument,
                "unknown group \"" + written + "\"; known are X25519MLKEM768, X25519, P-256, P-384, P-521");
  }
  return found;
}

bool library_has_group(SSL_CTX* context, const Group& group) {
  const bool has = SSL_CTX_set1_curves_list(context, group.library.data()) == 1;
  ERR_clear_error();
  return has;
}

// In the library's order, and without its 3DES, which takes RSA key exchange.
constexpr const char* forward_secrecy = "ALL:!kRSA";

bool is_among(const Group& group, const std::vector<const Group*>& groups) {
  return std::any_of(groups.begin(), groups.end(), [&group](const Group* other) { return other->id == group.id; });
}

}  // namespace

bssl::UniquePtr<SSL_CTX> new_ssl_ctx() {
  bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_with_buffers_method()));
  POSTERN_ASSERT(context != nullptr, "the TLS library makes no context");
  SSL_CTX_set0_buffer_pool(context.get(), buffer_pool());
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_early_data_enabled(context.get(), 0);
  SSL_CTX_set_mode(context.get(), SSL_MODE_CBC_RECORD_SPLITTING);  // TLS 1.0's only cure against BEAST
  return context;
}

std::uint16_t library_version(config::TlsVersion version) {
  switch (version) {
    case config::TlsVersion::tls1_0: return TLS1_VERSION;
    case config::TlsVersion::tls1_1: return TLS1_1_VERSION;
    case config::TlsVersion::tls1_2: return TLS1_2_VERSION;
    case config::TlsVersion::tls1_3: return TLS1_3_VERSION;
  }
  return TLS1_3_VERSION;
}

void set_versions(SSL_CTX* context, config::TlsVersion min, config::TlsVersion max) {
  const bool set = SSL_CTX_set_min_proto_version(context, library_version(min)) == 1 &&
                   SSL_CTX_set_max_proto_version(context, library_version(max)) == 1;
  POSTERN_ASSERT(set, "the TLS library has lost a protocol version");
}

Result<std::string> set_ciphers(SSL_CTX* context, const std::string& written) {
  const std::string cipher_list = written.empty() ? forward_secrecy : written;
  if (SSL_CTX_set_strict_cipher_list(context, cipher_list.c_str()) == 1) return std::string();
  const std::string reason = take_error_reason();
  if (SSL_CTX_set_cipher_list(context, cipher_list.c_str()) == 1) {
    ERR_clear_error();
    return std::string("some names in the cipher list mean nothing to this TLS library and are passed over");
  }
  ERR_clear_error();
  return fail(Errc::invalid_argument, "the cipher list cannot be used: " + reason);
}

Result<GroupChoice> set_groups(SSL_CTX* context, const std::vector<std::string>& groups) {
  GroupChoice choice;
  for (const std::string& written : groups) {
    const auto group = find_group(written);
    if (!group) return tl::unexpected(group.error());
    if (!library_has_group(context, **group)) {
      choice.skipped.push_back(written);
    } else if (!is_among(**group, choice.used)) {
      choice.used.push_back(*group);
    }
  }
  if (choice.used.empty()) return fail(Errc::invalid_argument, "this TLS library has none of the groups");
  const bool set = SSL_CTX_set1_curves_list(context, to_list(choice.used).c_str()) == 1;
  POSTERN_ASSERT(set, "groups that work one by one work together");
  return choice;
}

std::string to_list(const std::vector<const Group*>& groups) {
  std::string list;
  for (const Group* group : groups) list += (list.empty() ? "" : ":") + std::string(group->library);
  return list;
}

std::vector<const SSL_CIPHER*> usable_ciphers(const SSL_CTX* context, const config::TlsSettings& tls) {
  const std::uint16_t newest = std::min(library_version(tls.max_version), library_version(config::TlsVersion::tls1_2));
  std::vector<const SSL_CIPHER*> usable;
  for (const SSL_CIPHER* cipher : SSL_CTX_get_ciphers(context)) {
    const int proof = SSL_CIPHER_get_auth_nid(cipher);  // we have no shared keys
    if ((proof == NID_auth_rsa || proof == NID_auth_ecdsa) && SSL_CIPHER_get_min_version(cipher) <= newest &&
        SSL_CIPHER_get_max_version(cipher) >= library_version(tls.min_version)) {
      usable.push_back(cipher);
    }
  }
  return usable;
}

namespace {

// Nothing where the list is of use.
std::optional<Complaint> complain_of_ciphers(SSL_CTX* context, const config::TlsSettings& tls) {
  const auto warning = set_ciphers(context, tls.cipher_list);
  if (!warning) return Complaint{true, "cipher_list", warning.error().message};
  const bool asked_for = tls.min_version <= config::TlsVersion::tls1_2;
  if (asked_for && tls.min_version <= tls.max_version && usable_ciphers(context, tls).empty()) {
    return Complaint{true, "cipher_list",
                     "the cipher list selects nothing that TLS " +
                         std::string(tls.max_version < config::TlsVersion::tls1_2 ? "below 1.2" : "1.2") +
                         " can use here: name others, or leave those versions out by min_version"};
  }
  return warning->empty() ? std::nullopt : std::optional(Complaint{false, "cipher_list", *warning});
}

}  // namespace

std::optional<GroupChoice> set_protocol(SSL_CTX* context, const config::TlsSettings& tls,
                                        std::vector<Complaint>& complaints) {
  const std::size_t before = complaints.size();
  if (tls.min_version > tls.max_version) {
    complaints.push_back({true, "min_version", "is above max_version"});
  } else {
    set_versions(context, tls.min_version, tls.max_version);
  }
  if (auto complaint = complain_of_ciphers(context, tls)) complaints.push_back(std::move(*complaint));
  auto groups = set_groups(context, tls.groups);
  if (!groups) {
    complaints.push_back({true, "groups", groups.error().message});
  } else if (!groups->skipped.empty()) {
    std::string names;
    for (const std::string& name : groups->skipped) names += (names.empty() ? "" : ", ") + name;
    complaints.push_back({false, "groups", "this TLS library lacks " + names + ": left out"});
  }
  const bool wrong = std::any_of(complaints.begin() + static_cast<std::ptrdiff_t>(before), complaints.end(),
                                 [](const Complaint& complaint) { return complaint.is_error; });
  return wrong ? std::nullopt : std::optional(std::move(*groups));
}

ssl_verify_result_t accept_any_certificate(SSL*, std::uint8_t*) noexcept {
  return ssl_verify_ok;
}

}  // namespace postern::tls
