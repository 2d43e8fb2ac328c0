// What has changed on disk and is not served yet, in groups that are taken over as a whole or not yet: a chain with its
// key, and whatever other pairs have one of these, too; any other file by itself. Whatever becomes of one, the others
// go on. What fails is tried again after 1, 2, 4 … 60 s, or when it has changed. Pure: time is handed in, and contents.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/files.h"
#include "config/load.h"
#include "proxy/keeper/file_watch.h"
#include "proxy/keeper/messages.h"

namespace postern::keeper {

class Pending {
 public:
  using Time = std::uint64_t;  // milliseconds
  using Paths = std::set<std::string, std::less<>>;
  using Certificates = std::map<std::string, CertificateState, std::less<>>;  // by name

  // A group that fails, and did not before, or for another reason.
  struct News {
    std::string certificates;  // "mx", "mx, mx2"; empty: none of them
    Paths files;
    RenewalFailure reason = RenewalFailure::refused;
    std::string why;
  };

  // All that is served is what was read so.
  void begin(const config::Loaded& loaded, Digests served);
  // What is in these now; what was read of them is handed over. It may be what is served.
  void put(config::Files& changed, Time now);

  // Of these the contents have been let go of: to be put again before take().
  Paths wanted(Time now) const;
  // Contents of the groups that are due and, by themselves, can be used beside what there is `present`ly; the others
  // have failed. Nothing: there are none. What comes of it is said by served() or failed().
  std::optional<config::Files> take(const config::Files& present, Time now);
  void served(Time now);
  // All of it together. `deadly`: a gateway has died over it; the second time it is not tried again before it changes.
  void failed(RenewalFailure reason, const std::string& why, bool deadly, Time now);

  // From when on take() may give something. Nothing: as long as nothing is put, never.
  std::optional<Time> due() const;
  bool troubled() const;
  const Certificates& certificates() const { return certificates_; }
  // What there is to say since this was asked last.
  std::vector<News> news() { return std::exchange(news_, {}); }

 private:
  struct Group {
    std::set<std::string> certificates;  // their names
    std::vector<config::CertificatePair> pairs;
    Paths paths;
    config::Files contents;  // of what is pending, until it is tried
    Digests tried;
    std::string trouble;                              // of the last failure; empty: it has not failed
    RenewalFailure reason = RenewalFailure::refused;  // likewise
    unsigned failures = 0;
    unsigned deaths = 0;
    bool alone = false;  // it failed together with others: who knows because of which
    Time due = 0;
  };
  struct Flaw {
    RenewalFailure reason = RenewalFailure::refused;
    std::string why;
  };

  Group& group_of(const std::string& path);
  void add_pair(const std::string& name, const config::CertificatePair& pair);
  void note(const std::string& path, std::string digest, Group& group, Time now);
  bool differs(const std::string& path) const;
  bool differs(const Group& group) const;
  bool is_there(const Group& group) const;
  bool may_be_tried(const Group& group) const;
  std::optional<Flaw> flaw_of(const Group& group, const config::Files& present) const;
  void fail(Group& group, const Flaw& flaw, Time now);
  void settle(Group& group);
  void update_certificates();

  std::list<Group> groups_;
  std::vector<Group*> taken_;
  Digests served_;
  Digests on_disk_;  // of what was put
  Certificates certificates_;
  std::vector<News> news_;
};

}  // namespace postern::keeper
