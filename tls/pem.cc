#include "tls/pem.h"

#include <openssl/base64.h>
#include <openssl/bytestring.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "tls/pem_text.h"
#include "tls/x509_text.h"

namespace postern::tls {
namespace {

constexpr std::size_t most_warnings = 10;  // of one file

std::string at_line(const std::string& path, std::size_t line) {
  return path + ": line " + std::to_string(line) + ": ";
}

tl::unexpected<Error> broken(const std::string& path, const PemText::Note& note) {
  return fail(Errc::certificate, at_line(path, note.line) + note.message);
}

// What is no PEM at all, in words.
std::optional<Error> not_text(const std::string& path, std::string_view content) {
  const std::string_view first = content.substr(0, 8);
  const bool is_binary = std::any_of(first.begin(), first.end(), [](char c) { return c >= 0 && c < '\t'; });
  if (first.starts_with('\x30') && is_binary) {
    return Error{Errc::certificate, path + " is DER, but PEM is expected (openssl x509 or pkey, -inform der)"};
  }
  if (content.starts_with("\xff\xfe") || content.starts_with("\xfe\xff") ||
      content.find('\0') != std::string_view::npos) {
    return Error{Errc::certificate, path + " is no plain text (UTF-16?), but PEM is expected"};
  }
  return std::nullopt;
}

std::optional<std::string> from_base64(std::string_view body) {
  std::string text = clean_body(body);
  text.erase(std::remove(text.begin(), text.end(), '\n'), text.end());
  std::size_t size = 0;
  if (EVP_DecodedLength(&size, text.size()) != 1) return std::nullopt;
  std::string der(size, '\0');
  if (EVP_DecodeBase64(reinterpret_cast<std::uint8_t*>(der.data()), &size, der.size(),
                       reinterpret_cast<const std::uint8_t*>(text.data()), text.size()) != 1) {
    return std::nullopt;
  }
  der.resize(size);
  return der;
}

bool is_private_key(std::string_view label) {
  return label.ends_with("PRIVATE KEY");
}

bool is_plain_certificate(std::string_view label) {
  return label == "CERTIFICATE" || label == "X509 CERTIFICATE";
}

// Which may stand beside certificates, and say nothing about them.
bool is_company(std::string_view label) {
  return is_private_key(label) || label.ends_with("PARAMETERS");
}

// OpenSSL's TRUSTED CERTIFICATE: a certificate, and an X509_CERT_AUX after it.
struct Trusted {
  std::string der;
  bool has_settings = false;  // whom it is trusted or distrusted for
};

std::optional<Trusted> split_trusted(const std::string& both) {
  CBS rest;
  CBS certificate;
  CBS_init(&rest, reinterpret_cast<const std::uint8_t*>(both.data()), both.size());
  if (CBS_get_asn1_element(&rest, &certificate, CBS_ASN1_SEQUENCE) != 1) return std::nullopt;
  Trusted found;
  found.der.assign(CBS_data(&certificate), CBS_data(&certificate) + CBS_len(&certificate));
  CBS settings;
  if (CBS_len(&rest) > 0) {
    constexpr unsigned distrusted = CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | 0U;
    const bool readable = CBS_get_asn1(&rest, &settings, CBS_ASN1_SEQUENCE) == 1;
    found.has_settings = !readable || CBS_peek_asn1_tag(&settings, CBS_ASN1_SEQUENCE) == 1 ||
                         CBS_peek_asn1_tag(&settings, distrusted) == 1;
  }
  return found;
}

class CertificateReader {
 public:
  CertificateReader(const std::string& path, PemUse use) : path_(path), use_(use) {}
  Result<PemCertificates> read(std::string_view content);

 private:
  std::optional<PemText::Note> take(const PemText::Block& block);
  std::optional<PemText::Note> take_trusted(const PemText::Block& block);
  std::optional<PemText::Note> add(const PemText::Block& block, std::string der);
  void warn(const PemText::Note& note);
  bool is_operators() const { return use_ != PemUse::system_authorities; }

  const std::string& path_;
  const PemUse use_;
  PemCertificates found_;
  std::size_t warnings_ = 0;
};

void CertificateReader::warn(const PemText::Note& note) {
  if (is_operators() && ++warnings_ <= most_warnings) {
    found_.warnings.push_back(at_line(path_, note.line) + note.message);
  }
}

std::optional<PemText::Note> CertificateReader::add(const PemText::Block& block, std::string der) {
  auto parsed = parse_certificate(der);
  if (parsed == nullptr) {
    return PemText::Note{block.line, true,
                         "certificate " + std::to_string(found_.certificates.size() + 1) + " does not parse"};
  }
  found_.certificates.push_back({std::move(der), std::move(parsed), block.line});
  return std::nullopt;
}

std::optional<PemText::Note> CertificateReader::take_trusted(const PemText::Block& block) {
  const auto both = from_base64(block.body);
  auto trusted = both ? split_trusted(*both) : std::nullopt;
  if (!trusted) return PemText::Note{block.line, true, "the TRUSTED CERTIFICATE that begins here is broken"};
  if (trusted->has_settings && use_ != PemUse::chain) {
    return PemText::Note{block.line, true,
                         "this TRUSTED CERTIFICATE says for what it is trusted, which would be lost here: store it as "
                         "CERTIFICATE (openssl x509 -in … -out …), if it vouches for mail"};
  }
  return add(block, std::move(trusted->der));
}

// What is wrong with the block: an error loses a certificate.
std::optional<PemText::Note> CertificateReader::take(const PemText::Block& block) {
  if (block.label == "TRUSTED CERTIFICATE") return take_trusted(block);
  if (is_plain_certificate(block.label)) {
    auto der = from_base64(block.body);
    return der ? add(block, std::move(*der))
               : PemText::Note{block.line, true, "broken PEM: the certificate that begins here is no base64"};
  }
  if (is_company(block.label)) return std::nullopt;
  const bool holds_some = block.label == "PKCS7" || block.label == "PKCS #7 SIGNED DATA" || block.label == "CMS";
  return PemText::Note{block.line, holds_some,
                       holds_some ? "certificates in a " + std::string(block.label) +
                                        " block are not read: store them as CERTIFICATE (openssl pkcs7 -print_certs)"
                                  : "this block of " + std::string(block.label) + " is passed over"};
}

Result<PemCertificates> CertificateReader::read(std::string_view content) {
  if (const auto wrong = not_text(path_, content)) return tl::unexpected(*wrong);
  const PemText text = scan_pem(content);
  std::vector<PemText::Note> notes = text.notes;
  for (const PemText::Block& block : text.blocks) {
    if (auto note = take(block)) notes.push_back(std::move(*note));
  }
  std::stable_sort(notes.begin(), notes.end(),
                   [](const auto& one, const auto& other) { return one.line < other.line; });
  for (const PemText::Note& note : notes) {
    if (note.is_error && is_operators()) return broken(path_, note);
    warn(note);
  }
  if (found_.certificates.empty()) {
    const std::string why = found_.warnings.empty() ? std::string() : "; " + found_.warnings.front();
    return fail(Errc::certificate, path_ + " holds no certificate (PEM is expected)" + why);
  }
  return std::move(found_);
}

}  // namespace

Result<PemCertificates> parse_pem_certificates(const std::string& path, std::string_view content, PemUse use) {
  auto read = CertificateReader(path, use).read(content);
  ERR_clear_error();
  return read;
}

Result<PemKey> find_private_key(const std::string& path, std::string_view content) {
  if (const auto wrong = not_text(path, content)) return tl::unexpected(*wrong);
  const PemText text = scan_pem(content);
  const auto block = std::find_if(text.blocks.begin(), text.blocks.end(),
                                  [](const PemText::Block& one) { return is_private_key(one.label); });
  if (block == text.blocks.end()) {
    if (!text.notes.empty()) return broken(path, text.notes.front());
    return fail(Errc::certificate, path + " holds no private key (PEM is expected)");
  }
  PemKey key;
  for (const PemText::Note& note : text.notes) {
    if (key.warnings.size() < most_warnings) key.warnings.push_back(at_line(path, note.line) + note.message);
  }
  const std::string label(block->label);
  key.text.reserve(block->body.size() + 2 * label.size() + 64);
  key.text += "-----BEGIN " + label + "-----\n";
  std::string body = clean_body(block->body);
  key.text += body;
  std::fill(body.begin(), body.end(), '\0');
  key.text += "-----END " + label + "-----\n";
  return key;
}

}  // namespace postern::tls
