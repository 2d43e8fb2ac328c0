#include "tls/pem.h"

#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "config/assert.h"
#include "tls/error.h"
#include "tls/file.h"
#include "tls/x509_text.h"

namespace postern::tls {

bssl::UniquePtr<BIO> bio_over(std::string_view text) {
  bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  POSTERN_ASSERT(bio != nullptr, "out of memory");
  return bio;
}

Result<std::optional<PemBlock>> next_pem_block(BIO* text) {
  char* name = nullptr;
  char* header = nullptr;
  unsigned char* data = nullptr;
  long size = 0;
  ERR_clear_error();
  if (PEM_read_bio(text, &name, &header, &data, &size) != 1) {
    if (ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE) {
      ERR_clear_error();
      return std::nullopt;
    }
    return tl::unexpected(take_error(Errc::certificate, "broken PEM"));
  }
  const bssl::UniquePtr<char> own_name(name);
  const bssl::UniquePtr<char> own_header(header);
  const bssl::UniquePtr<unsigned char> own_data(data);
  return PemBlock{name, std::string(data, data + size)};
}

Result<std::vector<PemCertificate>> load_pem_certificates(const std::string& path, Unparsable unparsable) {
  const auto file = read_file(path, max_pem_file);
  if (!file) {
    return tl::unexpected(file.error());
  }
  const auto text = bio_over(file->content);
  std::vector<PemCertificate> certificates;
  for (;;) {
    auto block = next_pem_block(text.get());
    if (!block) {
      return fail(Errc::certificate, path + ": " + block.error().message);
    }
    if (!*block) {
      break;
    }
    if ((*block)->name != PEM_STRING_X509 && (*block)->name != PEM_STRING_X509_OLD) {
      continue;
    }
    auto parsed = parse_certificate((*block)->der);
    if (parsed == nullptr && unparsable == Unparsable::left_out) {
      continue;
    }
    if (parsed == nullptr) {
      return fail(Errc::certificate,
                  path + ": certificate " + std::to_string(certificates.size() + 1) + " does not parse");
    }
    certificates.push_back({std::move((*block)->der), std::move(parsed)});
  }
  if (certificates.empty()) {
    return fail(Errc::certificate, path + " holds no certificate (PEM is expected)");
  }
  return certificates;
}

}  // namespace postern::tls
