#include "vlmprobe/world/faults.h"

#include <algorithm>

#include "vlmprobe/core/error.h"
#include "vlmprobe/core/random.h"
#include "vlmprobe/world/judge.h"
#include "vlmprobe/world/sample.h"

namespace vlmprobe::world {
namespace {

constexpr std::pair<std::string_view, std::string_view> kOpposites[] = {
    {"yes", "no"}, {"left", "right"}, {"above", "below"}};

bool is_number(std::string_view answer) {
  return answer.size() == 1 && answer[0] >= '0' && answer[0] <= '9';
}

// The answers of the same type as `answer`.
std::vector<std::string> same_type(std::string_view answer) {
  if (is_number(answer)) return {"0", "1", "2", "3", "4", "5", "6"};
  if (answer == "yes" || answer == "no") return {"yes", "no"};
  for (std::size_t i = 0; i < kAttributes; ++i) {
    const auto words = values(static_cast<Attribute>(i));
    if (index_of(words, answer) >= 0) return {words.begin(), words.end()};
  }
  return {std::string(answer)};
}

// `draw` in [0, 1) settles what is left open. The answer itself where the effect does not apply to it.
std::string apply(const Fault& fault, std::string_view answer, std::string_view truth, double draw) {
  const std::string same(answer);
  switch (fault.effect) {
    case Effect::off_by_one: {
      if (!is_number(answer)) return same;
      const int number = answer[0] - '0';
      return std::to_string(number == 0 || draw < 0.5 ? number + 1 : number - 1);
    }
    case Effect::swap:
      for (const auto& [one, other] : kOpposites)
        if (answer == one || answer == other) return std::string(answer == one ? other : one);
      return same;
    case Effect::replace: {
      const auto found = fault.replacement.find(same);
      return found == fault.replacement.end() ? same : found->second;
    }
    case Effect::other: {
      std::vector<std::string> others = same_type(answer);
      std::erase_if(others, [&](const std::string& word) { return word == answer || word == truth; });
      return others.empty() ? same : others[static_cast<std::size_t>(draw * static_cast<double>(others.size()))];
    }
  }
  return same;
}

}  // namespace

std::vector<Feature> features(const Scene& scene, const Program& program, std::string_view answer) {
  std::vector<Feature> found = {{"family", std::string(name_of(kFamilies, program.family)), 0},
                                {"answer", std::string(answer), 0},
                                {"num_objects", "", static_cast<int>(scene.objects.size())},
                                {"depth", "", static_cast<int>(steps(program).size())}};
  if (program.relation != Relation::none)
    found.push_back({"relation", std::string(name_of(kRelations, program.relation)), 0});
  const Filter asked = asked_about(scene, program);
  for (std::size_t i = 0; i < kAttributes; ++i) {
    if (asked.value[i] == kAny) continue;
    const auto words = values(static_cast<Attribute>(i));
    found.push_back({std::string(kAttributeNames[i]), std::string(words[static_cast<std::size_t>(asked.value[i])]), 0});
  }
  return found;
}

bool Condition::holds(const std::vector<Feature>& found) const {
  const auto it = std::ranges::find(found, feature, &Feature::name);
  if (it == found.end()) return false;
  if (!words.empty()) return std::ranges::find(words, it->word) != words.end();
  return it->word.empty() && it->number >= min && it->number <= max;
}

bool Fault::matches(const std::vector<Feature>& found) const {
  return std::ranges::all_of(when, [&](const Condition& condition) { return condition.holds(found); });
}

Corruption FaultSet::corrupt(const Scene& scene, const Program& program, std::string_view question,
                             std::string_view truth, std::string_view answer) const {
  Corruption result{std::string(answer), {}, std::nullopt};
  const std::vector<Feature> found = features(scene, program, truth);
  const random::Counter who = random::philox(
      {static_cast<std::uint32_t>(scene.id), static_cast<std::uint32_t>(scene.id >> 32),
       static_cast<std::uint32_t>(random::hash(question)), static_cast<std::uint32_t>(random::Stream::kFault)},
      seed_);
  for (std::size_t i = 0; i < faults_.size(); ++i) {
    const Fault& fault = faults_[i];
    if (!fault.matches(found)) continue;
    result.reached.push_back(i);
    if (result.fired) continue;
    const auto key = static_cast<std::uint32_t>(random::hash(fault.id));
    if (random::uniform(seed_, random::Stream::kFault, who[0], key, 0) >= fault.rate) continue;
    std::string corrupted = apply(fault, answer, truth, random::uniform(seed_, random::Stream::kFault, who[0], key, 1));
    if (corrupted == answer || corrupted == truth) continue;  // a fault never repairs a wrong answer
    result.answer = std::move(corrupted);
    result.fired = i;
  }
  return result;
}

std::vector<double> FaultSet::masses(int n, std::uint64_t seed) const {
  expect(n >= 1, "world::masses", "n: expected at least 1, got {}", n);
  std::vector<double> share(faults_.size(), 0.0);
  for (int i = 0; i < n; ++i) {
    const Scene scene = sample_scene(seed, static_cast<std::uint32_t>(i));
    random::Sequence draw(seed, random::Stream::kQuestion, static_cast<std::uint32_t>(i));
    const Sample sample = sample_question(scene, draw);
    const std::vector<Feature> found = features(scene, sample.program, sample.answer);
    for (std::size_t f = 0; f < faults_.size(); ++f) share[f] += faults_[f].matches(found);
  }
  for (double& value : share) value /= n;
  return share;
}

}  // namespace vlmprobe::world
