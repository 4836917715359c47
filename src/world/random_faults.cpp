
#include <algorithm>

#include "vlmprobe/core/error.h"
#include "vlmprobe/core/random.h"
#include "vlmprobe/world/faults.h"
#include "vlmprobe/world/sample.h"

namespace vlmprobe::world {
namespace {

using FeatureRow = std::vector<Feature>;

constexpr int kPool = 8000;  // questions that masses are estimated on; the standard error of 0.0005 is 0.00025
constexpr int kTries = 4000;

std::vector<FeatureRow> pool(std::uint64_t seed) {
  std::vector<FeatureRow> rows;
  for (int i = 0; i < kPool; ++i) {
    const Scene scene = sample_scene(seed, static_cast<std::uint32_t>(i));
    random::Sequence draw(seed, random::Stream::kQuestion, static_cast<std::uint32_t>(i), 1);
    const Sample sample = sample_question(scene, draw);
    rows.push_back(features(scene, sample.program, sample.answer));
  }
  return rows;
}

// One or two conditions read off a question of the pool, so that something can reach the fault.
Fault candidate(const std::vector<FeatureRow>& rows, random::Sequence& draw) {
  const FeatureRow& row = rows[static_cast<std::size_t>(draw.below(static_cast<int>(rows.size())))];
  Fault fault;
  const int conditions = 1 + draw.below(2);
  while (static_cast<int>(fault.when.size()) < conditions) {
    const Feature& feature = row[static_cast<std::size_t>(draw.below(static_cast<int>(row.size())))];
    if (std::ranges::find(fault.when, feature.name, &Condition::feature) != fault.when.end()) continue;
    fault.when.push_back(feature.word.empty() ? Condition{feature.name, {}, feature.number, feature.number}
                                              : Condition{feature.name, {feature.word}, 0, 0});
  }
  std::ranges::sort(fault.when, {}, &Condition::feature);  // so that equal conditions have equal ids
  fault.effect = Effect::other;
  std::string name;
  for (const Condition& condition : fault.when)
    name += formatted("{}{}={}", name.empty() ? "" : "+", condition.feature,
                      condition.words.empty() ? std::to_string(condition.min) : condition.words[0]);
  fault.id = name;
  return fault;
}

}  // namespace

FaultSet random_faults(std::uint64_t seed, const RandomFaultOptions& options) {
  constexpr const char* kOp = "world::random_faults";
  expect(options.count >= 1 && options.count <= 64, kOp, "count: expected 1 to 64, got {}", options.count);
  expect(options.min_mass >= 0 && options.min_mass <= options.max_mass && options.max_mass <= 1, kOp,
         "masses: expected 0 <= min_mass <= max_mass <= 1, got {} and {}", options.min_mass, options.max_mass);

  const std::vector<FeatureRow> rows = pool(seed);
  random::Sequence draw(seed, random::Stream::kFault, 0);
  std::vector<Fault> faults;
  for (int attempt = 0; attempt < kTries && static_cast<int>(faults.size()) < options.count; ++attempt) {
    Fault fault = candidate(rows, draw);
    const auto reached = std::ranges::count_if(rows, [&](const FeatureRow& row) { return fault.matches(row); });
    const double mass = static_cast<double>(reached) / static_cast<double>(rows.size());
    const bool known = std::ranges::find(faults, fault.id, &Fault::id) != faults.end();
    if (!known && mass >= options.min_mass && mass <= options.max_mass) faults.push_back(std::move(fault));
  }
  expect(static_cast<int>(faults.size()) == options.count, kOp,
         "count: expected a number of faults that the masses allow, found {} of {}", faults.size(), options.count);
  return FaultSet(std::move(faults), seed);
}

}  // namespace vlmprobe::world
