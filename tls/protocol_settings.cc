#include "tls/protocol_settings.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "config/assert.h"
#include "tls/error.h"

namespace postern::tls {
namespace {

// The buffers of peers' certificates, shared between connections. The library wants it to outlive everything.
CRYPTO_BUFFER_POOL* buffer_pool() {
  static CRYPTO_BUFFER_POOL* const pool = CRYPTO_BUFFER_POOL_new();
  return pool;
}

struct GroupName {
  std::string_view written;  // lower case
  std::string_view library;
};
constexpr std::array<GroupName, 12> group_names = {{
    {"x25519mlkem768", "X25519MLKEM768"},
    {"x25519", "X25519"},
    {"p-256", "P-256"},
    {"prime256v1", "P-256"},
    {"secp256r1", "P-256"},
    {"p-384", "P-384"},
    {"secp384r1", "P-384"},
    {"p-521", "P-521"},
    {"secp521r1", "P-521"},
    // Known, though no BoringSSL has them: lists written for OpenSSL must load.
    {"x448", "X448"},
    {"secp256r1mlkem768", "SecP256r1MLKEM768"},
    {"secp384r1mlkem1024", "SecP384r1MLKEM1024"},
}};

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return lower;
}

Result<std::string> library_group_name(const std::string& written) {
  const std::string lower = lower_case(written);
  const auto found = std::find_if(group_names.begin(), group_names.end(),
                                  [&lower](const GroupName& name) { return name.written == lower; });
  if (found == group_names.end()) {
    return fail(Errc::invalid_argument,
                "unknown group \"" + written + "\"; known are X25519MLKEM768, X25519, P-256, P-384, P-521");
  }
  return std::string(found->library);
}

bool library_has_group(SSL_CTX* context, const std::string& name) {
  const bool has = SSL_CTX_set1_curves_list(context, name.c_str()) == 1;
  ERR_clear_error();
  return has;
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

Result<std::string> set_ciphers(SSL_CTX* context, const std::string& cipher_list) {
  if (cipher_list.empty() || SSL_CTX_set_strict_cipher_list(context, cipher_list.c_str()) == 1) {
    return std::string();
  }
  const std::string reason = take_error_reason();
  if (SSL_CTX_set_cipher_list(context, cipher_list.c_str()) == 1) {
    ERR_clear_error();
    return std::string("some names in the cipher list mean nothing to this TLS library and are passed over");
  }
  ERR_clear_error();
  return fail(Errc::invalid_argument, "the cipher list cannot be used: " + reason);
}

Result<std::vector<std::string>> set_groups(SSL_CTX* context, const std::vector<std::string>& groups) {
  std::vector<std::string> skipped;
  std::string usable;
  for (const std::string& group : groups) {
    const auto name = library_group_name(group);
    if (!name) {
      return tl::unexpected(name.error());
    }
    if (!library_has_group(context, *name)) {
      skipped.push_back(group);
    } else if ((':' + usable + ':').find(':' + *name + ':') == std::string::npos) {
      usable += (usable.empty() ? "" : ":") + *name;
    }
  }
  if (usable.empty()) {
    return fail(Errc::invalid_argument, "this TLS library has none of the groups");
  }
  const bool set = SSL_CTX_set1_curves_list(context, usable.c_str()) == 1;
  POSTERN_ASSERT(set, "groups that work one by one work together");
  return skipped;
}

ssl_verify_result_t accept_any_certificate(SSL*, std::uint8_t*) noexcept {
  return ssl_verify_ok;
}

}  // namespace postern::tls
