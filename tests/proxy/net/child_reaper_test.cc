#include "proxy/net/child_reaper.h"

#include <string>

#include "tests/support/catch.h"

namespace child_reaper_test {

using namespace postern;

struct Told {
  std::string signals;
  bool exited = false;
  bool destroyed = false;
};

class FakeChild final : public net::Child {
 public:
  explicit FakeChild(Told& told) : told_(told) {}
  ~FakeChild() override { told_.destroyed = true; }
  void terminate() override { told_.signals += "TERM "; }
  void kill() override { told_.signals += "KILL "; }
  bool exited() const override { return told_.exited; }

 private:
  Told& told_;
};

TEST_CASE("child_reaper: a program is asked to end, then killed, then forgotten") {
  net::ChildReaper reaper;
  Told told;
  reaper.take(std::make_unique<FakeChild>(told), 0, 0);
  CHECK(told.signals == "TERM ");
  reaper.sweep(net::ChildReaper::kill_after - 1);
  CHECK_FALSE(reaper.empty());  // it ignores SIGTERM
  CHECK(told.signals == "TERM ");
  reaper.sweep(net::ChildReaper::kill_after);
  reaper.sweep(net::ChildReaper::kill_after + 1);
  CHECK(told.signals == "TERM KILL ");
  CHECK_FALSE(reaper.empty());
  told.exited = true;
  reaper.sweep(net::ChildReaper::kill_after + 2);
  CHECK(reaper.empty());
  CHECK(told.destroyed);
}

TEST_CASE("child_reaper: one that has time to end by itself hears nothing before that is over") {
  net::ChildReaper reaper;
  Told patient;
  Told gone;
  gone.exited = true;
  reaper.take(std::make_unique<FakeChild>(patient), 1'000, 5'000);
  reaper.take(std::make_unique<FakeChild>(gone), 1'000, 0);
  CHECK(gone.destroyed);
  reaper.sweep(5'999);
  CHECK(patient.signals.empty());
  reaper.sweep(6'000);
  CHECK(patient.signals == "TERM ");
  reaper.kill_all();
  CHECK(patient.signals == "TERM KILL ");
}

}  // namespace child_reaper_test
