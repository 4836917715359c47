#include <algorithm>
#include <cmath>
#include <set>

#include "support.h"
#include "vlmprobe/world/faults.h"
#include "world/scenes.h"

using namespace vlmprobe;
using namespace vlmprobe::world;

TEST_CASE("random faults are a function of seed and options") {
  const FaultSet faults = random_faults(4);
  CHECK(faults.faults().size() == 10);
  CHECK(faults.seed() == 4);
  CHECK(random_faults(4).to_json() == faults.to_json());
  CHECK(random_faults(5).to_json() != faults.to_json());
  CHECK(FaultSet::parse(faults.to_json()).to_json() == faults.to_json());
}

TEST_CASE("random faults have one or two features, differ, and lie inside the mass bounds") {
  constexpr int kFresh = 20000;
  for (const auto& options : {RandomFaultOptions{.count = 40}, RandomFaultOptions{8, 0.03, 0.08}}) {
    const FaultSet faults = random_faults(6, options);
    CHECK(static_cast<int>(faults.faults().size()) == options.count);
    std::set<std::string> ids, conditions;
    for (const Fault& fault : faults.faults()) {
      ids.insert(fault.id);
      CHECK((fault.when.size() == 1 || fault.when.size() == 2));
      CHECK(fault.rate == 1);
      std::vector<std::string> parts;
      for (const Condition& condition : fault.when)
        parts.push_back(condition.feature +
                        (condition.words.empty() ? std::to_string(condition.min) : condition.words[0]));
      std::ranges::sort(parts);
      conditions.insert(parts[0] + "+" + parts.back());
    }
    CHECK(ids.size() == faults.faults().size());
    CHECK(conditions.size() == faults.faults().size());  // in whatever order they are named

    // The bounds hold for the generator's own estimate (n = 8000); fresh questions of another seed add their noise.
    const std::vector<double> masses = faults.masses(kFresh, 77);
    for (const double mass : masses) {
      const double noise = 4.5 * std::sqrt(options.max_mass * (1.0 / kFresh + 1.0 / 8000));
      CHECK(mass > 0);
      CHECK(mass >= options.min_mass - noise);
      CHECK(mass <= options.max_mass + noise);
    }
  }
}

TEST_CASE("options of random faults outside their ranges are named") {
  const auto message = [](const RandomFaultOptions& options) { return thrown([&] { random_faults(1, options); }); };
  CHECK(message({.count = 0}) == "[world::random_faults] count: expected 1 to 64, got 0");
  CHECK(message({.count = 65}) == "[world::random_faults] count: expected 1 to 64, got 65");
  CHECK(message({3, 0.1, 0.05}) ==
        "[world::random_faults] masses: expected 0 <= min_mass <= max_mass <= 1, got 0.1 and 0.05");
  CHECK(message({3, -0.1, 0.05}) ==
        "[world::random_faults] masses: expected 0 <= min_mass <= max_mass <= 1, got -0.1 and 0.05");
  CHECK(message({3, 0.1, 1.5}) ==
        "[world::random_faults] masses: expected 0 <= min_mass <= max_mass <= 1, got 0.1 and 1.5");
  CHECK(message({3, std::nan(""), 0.5}) ==
        "[world::random_faults] masses: expected 0 <= min_mass <= max_mass <= 1, got nan and 0.5");
  CHECK(message({3, 0.9, 1}) ==
        "[world::random_faults] count: expected a number of faults that the masses allow, found 0 of 3");
}
