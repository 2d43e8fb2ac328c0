// What is found wrong with TLS settings, put among the configuration's diagnostics with its place.
#pragma once

#include <set>
#include <string>

#include "config/load.h"
#include "tls/complaint.h"

namespace postern::tls {

class Findings {
 public:
  explicit Findings(config::Loaded& loaded) : loaded_(loaded) {}

  bool ok() const { return ok_; }  // no mistake yet
  // What several listeners stumble over is told once.
  void mistake(const std::string& path, std::string message);
  void warning(const std::string& path, const std::string& message);

  // The complaint is about an option of `owner` ("inbound.mx"), or of `tls`, whose defaults it takes over.
  void report(const std::string& owner, const Complaint& complaint);
  // Where that option stands.
  std::string place_of(const std::string& owner, const std::string& option) const;

 private:
  config::Loaded& loaded_;
  std::set<std::string> warnings_;
  bool groups_warned_ = false;
  bool ok_ = true;
};

}  // namespace postern::tls
