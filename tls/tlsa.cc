#include "tls/tlsa.h"

#include <openssl/bytestring.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include <array>
#include <memory>

#include "config/text.h"

namespace postern::tls {

namespace {

constexpr std::size_t max_rdata = 65535;

const std::uint8_t* bytes_of(std::string_view octets) {
  return reinterpret_cast<const std::uint8_t*>(octets.data());
}

// Takes what an i2d function allocated.
std::string take_der(std::uint8_t* der, int size) {
  if (size <= 0) return {};
  std::string octets(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return octets;
}

std::string_view next_word(std::string_view& text) {
  while (!text.empty() && config::is_blank(text.front())) text.remove_prefix(1);
  std::size_t end = 0;
  while (end < text.size() && !config::is_blank(text[end])) ++end;
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

std::optional<std::uint8_t> next_number(std::string_view& text) {
  return config::whole_number<std::uint8_t>(next_word(text));
}

std::optional<std::string> parse_hex(std::string_view text) {
  std::string octets;
  int high = -1;
  for (const char c : text) {
    if (config::is_blank(c)) continue;
    const int digit = config::hex_value(c);
    if (digit < 0) return std::nullopt;
    if (high < 0) {
      high = digit;
      continue;
    }
    octets.push_back(static_cast<char>(high * 16 + digit));
    high = -1;
  }
  if (high >= 0) return std::nullopt;
  return octets;
}

std::string digest_or_whole(std::string der, std::uint8_t matching_type) {
  if (matching_type == TlsaRecord::sha2_256) return sha256(der);
  if (matching_type == TlsaRecord::sha2_512) return sha512(der);
  return der;
}

bool is_certificate(std::string_view der) {
  const std::uint8_t* at = bytes_of(der);
  const bssl::UniquePtr<X509> parsed(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  return parsed && at == bytes_of(der) + der.size();
}

bool is_public_key(std::string_view der) {
  CBS reader;
  CBS_init(&reader, bytes_of(der), der.size());
  const bssl::UniquePtr<EVP_PKEY> parsed(EVP_parse_public_key(&reader));
  return parsed && CBS_len(&reader) == 0;
}

}  // namespace

Result<TlsaRecord> parse_tlsa_rdata(std::string_view rdata) {
  if (rdata.size() < 3) return fail(Errc::protocol, "TLSA record is too short");
  if (rdata.size() > max_rdata) return fail(Errc::limit_exceeded, "TLSA record is too long");
  return TlsaRecord{bytes_of(rdata)[0], bytes_of(rdata)[1], bytes_of(rdata)[2], std::string(rdata.substr(3))};
}

Result<TlsaRecord> parse_tlsa_text(std::string_view text) {
  const auto usage = next_number(text);
  const auto selector = next_number(text);
  const auto matching_type = next_number(text);
  if (!usage || !selector || !matching_type) {
    return fail(Errc::invalid_argument, "a TLSA record begins with three numbers from 0 to 255");
  }
  if (text.size() > 4 * max_rdata) return fail(Errc::limit_exceeded, "TLSA record is too long");
  auto data = parse_hex(text);
  if (!data || data->empty() || data->size() > max_rdata - 3) {
    return fail(Errc::invalid_argument, "the data of a TLSA record are pairs of hexadecimal digits");
  }
  return TlsaRecord{*usage, *selector, *matching_type, std::move(*data)};
}

std::string to_string(const TlsaRecord& record) {
  std::string text = std::to_string(record.usage) + ' ' + std::to_string(record.selector) + ' ' +
                     std::to_string(record.matching_type) + ' ';
  for (const char c : record.data) config::append_hex(text, static_cast<unsigned char>(c), 2);
  return text;
}

std::optional<std::string_view> why_unusable(const TlsaRecord& record) {
  if (record.usage != TlsaRecord::dane_ta && record.usage != TlsaRecord::dane_ee) {
    return "certificate usage is not DANE-TA(2) or DANE-EE(3)";
  }
  if (record.selector != TlsaRecord::certificate && record.selector != TlsaRecord::public_key) {
    return "selector is unknown";
  }
  switch (record.matching_type) {
    case TlsaRecord::exact:
      if (record.selector == TlsaRecord::certificate ? is_certificate(record.data) : is_public_key(record.data)) {
        return std::nullopt;
      }
      return "its data are no certificate or public key";
    case TlsaRecord::sha2_256:
      if (record.data.size() == SHA256_DIGEST_LENGTH) return std::nullopt;
      return "its digest is not 32 octets long";
    case TlsaRecord::sha2_512:
      if (record.data.size() == SHA512_DIGEST_LENGTH) return std::nullopt;
      return "its digest is not 64 octets long";
  }
  return "matching type is unknown";
}

Result<TlsaRecord> make_tlsa(const X509& certificate, std::uint8_t usage, std::uint8_t selector,
                             std::uint8_t matching_type) {
  if (selector > TlsaRecord::public_key || matching_type > TlsaRecord::sha2_512) {
    return fail(Errc::invalid_argument, "unknown TLSA selector or matching type");
  }
  std::string der = selector == TlsaRecord::certificate ? certificate_der(certificate) : public_key_der(certificate);
  if (der.empty()) return fail(Errc::certificate, "the certificate cannot be encoded");
  return TlsaRecord{usage, selector, matching_type, digest_or_whole(std::move(der), matching_type)};
}

bool selects(const TlsaRecord& record, const X509& certificate) {
  const auto own = make_tlsa(certificate, record.usage, record.selector, record.matching_type);
  return own && own->data == record.data;
}

// The i2d functions of older BoringSSL take a pointer to non-const; they only read (and fill a cache of the encoding).
std::string certificate_der(const X509& certificate) {
  std::uint8_t* der = nullptr;
  const int size = i2d_X509(const_cast<X509*>(&certificate), &der);
  return take_der(der, size);
}

std::string public_key_der(const X509& certificate) {
  std::uint8_t* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(&certificate), &der);
  return take_der(der, size);
}

std::string sha256(std::string_view octets) {
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest;
  SHA256(bytes_of(octets), octets.size(), digest.data());
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

std::string sha512(std::string_view octets) {
  std::array<std::uint8_t, SHA512_DIGEST_LENGTH> digest;
  SHA512(bytes_of(octets), octets.size(), digest.data());
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

}  // namespace postern::tls
