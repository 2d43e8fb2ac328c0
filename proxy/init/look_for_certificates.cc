#include <algorithm>
#include <filesystem>
#include <initializer_list>
#include <system_error>
#include <utility>

#include "config/file.h"
#include "config/files.h"
#include "proxy/init/look_around.h"
#include "proxy/init/postfix_files.h"
#include "proxy/init/wishes.h"
#include "tls/certificate_pair.h"

namespace postern::init {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_octets_of_pem = std::size_t{1} << 20U;
constexpr std::size_t most_pairs = 200;

// Chain and key as somebody seems to keep them; whether they are there is another matter.
class Pairs {
 public:
  explicit Pairs(std::string root) : root_(std::move(root)) {}

  void add(const std::string& chain, const std::string& key) {
    const auto same = [&chain](const auto& pair) { return pair.chain == chain; };
    if (pairs_.size() < most_pairs && is_there(chain) && is_there(key) && std::ranges::none_of(pairs_, same)) {
      pairs_.push_back({chain, key});
    }
  }

  std::vector<std::string> entries(const std::string& folder) const {
    std::vector<std::string> names;
    std::error_code error;
    for (fs::directory_iterator each(root_ + folder, error), end; !error && each != end; each.increment(error)) {
      if (names.size() < 10 * most_pairs) names.push_back(each->path().filename().string());
    }
    std::ranges::sort(names);
    return names;
  }

  // A folder of folders, one for each certificate (certbot, dehydrated).
  void add_folders(const std::string& folder) {
    for (const std::string& name : entries(folder)) {
      const std::string own = (folder + "/").append(name);
      add(own + "/fullchain.pem", own + "/privkey.pem");
    }
  }

  // NAME.key with its certificate in one of these.
  void add_keys(const std::string& folder, std::initializer_list<const char*> chains) {
    for (const std::string& name : entries(folder)) {
      if (!name.ends_with(".key")) continue;
      const std::string stem = name.substr(0, name.size() - 4);
      for (const std::string chain_folder : chains) {
        for (const char* const end : {".fullchain.pem", ".pem", ".crt"}) {
          add((chain_folder + "/").append(stem).append(end), (folder + "/").append(name));
        }
      }
    }
  }

  const std::vector<config::CertificatePair>& all() const { return pairs_; }
  const std::string& root() const { return root_; }

 private:
  bool is_there(const std::string& path) const {
    std::error_code error;
    return !path.empty() && path[0] == '/' && fs::is_regular_file(root_ + path, error);
  }

  std::string root_;
  std::vector<config::CertificatePair> pairs_;
};

void add_postfix_pairs(Pairs& pairs) {
  const auto file = config::read_beginning(pairs.root() + "/etc/postfix/main.cf", most_octets_of_pem);
  if (!file) return;
  const PostfixParameters main = parse_main_cf(file->content);
  const auto value = [&main](const std::string& name) {
    const auto found = main.find(name);
    return found == main.end() ? std::string() : found->second;
  };
  for (const std::string& both : split_words(value("smtpd_tls_chain_files"), ", \t")) pairs.add(both, both);
  for (const std::string kind : {"smtpd_tls_ec", "smtpd_tls_"}) {
    const std::string chain = value(kind + "cert_file");
    const std::string key = value(kind + "key_file");
    pairs.add(chain, key.empty() || key.starts_with('$') ? chain : key);
  }
}

}  // namespace

FoundCertificate look_at_certificate(const config::CertificatePair& files, const std::string& root) {
  const auto chain = config::read_file(root + files.chain, most_octets_of_pem);
  auto key = config::read_file(root + files.key, most_octets_of_pem);
  FoundCertificate found{tls::facts_of_pair(files, chain, key), files};
  if (key) config::wipe(key->content);
  return found;
}

std::vector<FoundCertificate> look_for_certificates(const std::string& root) {
  Pairs pairs(root);
  pairs.add_folders("/etc/letsencrypt/live");
  pairs.add_folders("/var/lib/dehydrated/certs");
  pairs.add_keys("/etc/postern", {"/etc/postern"});
  add_postfix_pairs(pairs);
  pairs.add("/etc/exim4/exim.crt", "/etc/exim4/exim.key");
  pairs.add("/var/qmail/control/servercert.pem", "/var/qmail/control/servercert.pem");
  pairs.add_keys("/etc/ssl/private", {"/etc/ssl/certs", "/etc/ssl/private", "/etc/ssl"});
  std::vector<FoundCertificate> found;
  for (const config::CertificatePair& files : pairs.all()) found.push_back(look_at_certificate(files, root));
  return found;
}

}  // namespace postern::init
