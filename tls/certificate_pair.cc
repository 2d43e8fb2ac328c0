#include "tls/certificate_pair.h"

#include <openssl/evp.h>

#include <utility>

#include "tls/certificates.h"

namespace postern::tls {

std::optional<PairFlaw> flaw_of_pair(const config::CertificatePair& pair, const Result<config::File>& chain,
                                     const Result<config::File>& key) {
  auto certificates =
      chain.and_then([&pair](const config::File& file) { return parse_chain(pair.chain, file.content); });
  if (!certificates) return PairFlaw{false, certificates.error().message};
  auto parsed = key.and_then([&pair](const config::File& file) { return parse_private_key(pair.key, file); });
  if (!parsed) return PairFlaw{false, parsed.error().message};
  const auto matched = match(std::move(*certificates), std::move(*parsed));
  if (matched) return std::nullopt;
  return PairFlaw{matched.error().code == Errc::certificate, matched.error().message};
}

PairFacts facts_of_pair(const config::CertificatePair& pair, const Result<config::File>& chain,
                        const Result<config::File>& key) {
  PairFacts facts;
  if (const auto flaw = flaw_of_pair(pair, chain, key)) facts.flaw = flaw->why;
  if (key) {
    const auto parsed = parse_private_key(pair.key, *key);
    facts.is_rsa = parsed && parsed->type == KeyType::rsa;
  }
  const auto parsed =
      chain.and_then([&pair](const config::File& file) { return parse_chain(pair.chain, file.content); });
  if (!parsed) return facts;
  facts.names = parsed->dns_names;
  facts.not_before = parsed->not_before;
  facts.not_after = parsed->not_after;
  facts.self_issued = parsed->certificates.size() == 1 && parsed->missing_issuer.empty();
  return facts;
}

std::string name_of_key_elsewhere(const std::string& path, const config::File& file) {
  if (!file.key_elsewhere) return {};
  const auto key = parse_private_key(path, file);
  return key ? key->elsewhere : std::string();
}

}  // namespace postern::tls
