#include "vlmprobe/core/shape.h"

#include <array>

#include "support.h"
#include "vlmprobe/core/error.h"
#include "vlmprobe/core/tables.h"

using namespace vlmprobe;

TEST_CASE("shapes bind names once and hold later arguments to them") {
  Shapes shapes("grpo::loss");
  const std::array<std::int64_t, 2> logp = {2, 5}, other = {3, 5};
  shapes.require("logp", logp, {"B", "T"});
  shapes.require("old", logp, {"B", "T"});
  CHECK(shapes["T"] == 5);
  CHECK(thrown([&] { shapes.require("mask", other, {"B", "T"}); }) ==
        "[grpo::loss] mask: expected shape [B, T], got [3, 5] (B=2 was set by logp)");
  CHECK(thrown([&] { shapes.require("weight", logp, {"B"}); }) ==
        "[grpo::loss] weight: expected shape [B], got [2, 5]");
  CHECK(thrown([&] { shapes.require("pair", logp, {"B", "2"}); }) ==
        "[grpo::loss] pair: expected shape [B, 2], got [2, 5]");
  CHECK(thrown([&] { static_cast<void>(shapes["D"]); }) ==
        "[grpo::loss] dimension D: expected one that an argument has set");
  CHECK_THROWS_AS(shapes.require("weight", logp, {"B"}), InvalidArgument);
}

TEST_CASE("validity: any false is no, else any unknown is unknown, else yes") {
  const Tri values[] = {Tri::no, Tri::yes, Tri::unknown};
  for (const Tri a : values)
    for (const Tri b : values)
      for (const Tri c : values)
        for (const Tri d : values) {
          const bool any_no = a == Tri::no || b == Tri::no || c == Tri::no || d == Tri::no;
          const bool all_yes = a == Tri::yes && b == Tri::yes && c == Tri::yes && d == Tri::yes;
          const Tri expected = any_no ? Tri::no : all_yes ? Tri::yes : Tri::unknown;
          CHECK(validity({a, b, c, d}) == expected);
        }
}
