#include "vlmprobe/world/faults.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include "support.h"
#include "vlmprobe/world/judge.h"
#include "world/scenes.h"

using namespace vlmprobe;
using namespace vlmprobe::world;

namespace {

// A feature's text, "-" where the question does not have it.
std::string feature(const std::vector<Feature>& found, std::string_view name) {
  const auto it = std::ranges::find(found, name, &Feature::name);
  return it == found.end() ? "-" : it->word.empty() ? std::to_string(it->number) : it->word;
}

std::vector<Feature> features_of(std::string_view question) {
  const Judgement judgement = judge(five(), question);
  REQUIRE(judgement.valid());
  return features(five(), *judgement.program, judgement.answer);
}

const std::string kStar = "what color is the star ?";

// What `faults` make of an answer to kStar, about five() under another id.
Corruption star(const FaultSet& faults, std::uint64_t id = 1, std::string_view answer = "green") {
  Scene scene = five();
  scene.id = id;
  return faults.corrupt(scene, *judge(scene, kStar).program, kStar, "green", answer);
}

// The answers that one effect makes of `answer` over many scenes, with their counts.
std::map<std::string, int> effects(const std::string& effect, std::string_view answer, std::string_view truth,
                                   int n = 3000) {
  const FaultSet faults = FaultSet::parse(R"([{"id": "f", "when": {"family": "color"}, "effect": )" + effect + "}]");
  const Program program{.family = Family::color, .a = filter("star")};
  std::map<std::string, int> made;
  for (int id = 1; id <= n; ++id) {
    Scene scene = five();
    scene.id = static_cast<std::uint64_t>(id);
    const Corruption result = faults.corrupt(scene, program, kStar, truth, answer);
    REQUIRE(result.reached == std::vector<std::size_t>{0});
    REQUIRE(result.fired.has_value() == (result.answer != answer));
    ++made[result.answer];
  }
  return made;
}

bool plausible(int count, int n, double p) {
  return std::abs(count - n * p) <= 4.5 * std::sqrt(n * p * (1 - p));
}

FaultSet by_color(double rate, std::uint64_t seed = 0, const std::string& id = "f") {
  return FaultSet({Fault{.id = id, .when = {{"color", {"green"}}}, .replacement = {}, .rate = rate}}, seed);
}

}  // namespace

TEST_CASE("features by hand") {
  struct Case {
    const char* question;
    std::array<const char*, 9> expected;  // family, answer, num_objects, color, shape, size, texture, relation, depth
  };
  const Case cases[] = {
      {"what color is the star ?", {"color", "green", "5", "green", "star", "large", "plain", "-", "3"}},
      {"how many red circles are there ?", {"count", "1", "5", "red", "circle", "-", "-", "-", "2"}},
      {"how many objects are there ?", {"count_all", "5", "5", "-", "-", "-", "-", "-", "1"}},
      {"is the star below the square ?", {"relation", "yes", "5", "green", "star", "large", "plain", "below", "5"}},
      {"what shape is the leftmost object ?",
       {"extreme", "circle", "5", "red", "circle", "small", "plain", "left", "2"}},
      {"are there more circles than stars ?", {"compare", "yes", "5", "-", "circle", "-", "-", "-", "5"}},
      {"how many circles are not red ?", {"negation", "1", "5", "-", "circle", "-", "-", "-", "3"}},
      {"is there a star above the triangle ?", {"two_step", "no", "5", "-", "star", "-", "-", "above", "5"}},
      {"what color is the object nearest to the star ?",
       {"nearest", "red", "5", "red", "triangle", "small", "striped", "-", "4"}},
      {"does the triangle match the star in color ?",
       {"same", "no", "5", "red", "triangle", "small", "striped", "-", "7"}}};
  constexpr const char* kNames[] = {"family", "answer",  "num_objects", "color", "shape",
                                    "size",   "texture", "relation",    "depth"};
  for (const Case& one : cases)
    for (std::size_t i = 0; i < std::size(kNames); ++i) {
      CAPTURE(one.question);
      CAPTURE(kNames[i]);
      CHECK(feature(features_of(one.question), kNames[i]) == one.expected[i]);
    }
}

TEST_CASE("conditions: words, lists, bounds, several, absent features") {
  const std::vector<Feature> found = features_of(kStar);
  const auto holds = [&](const std::string& when) {
    return FaultSet::parse(R"([{"id": "f", "effect": "other", "when": )" + when + "}]").faults()[0].matches(found);
  };
  CHECK(holds(R"({"color": "green"})"));
  CHECK_FALSE(holds(R"({"color": "red"})"));
  CHECK(holds(R"({"color": ["red", "green"]})"));
  CHECK_FALSE(holds(R"({"color": ["red", "blue"]})"));
  CHECK(holds(R"({"num_objects": 5})"));
  CHECK_FALSE(holds(R"({"num_objects": 4})"));
  CHECK(holds(R"({"num_objects": {"min": 5}})"));
  CHECK_FALSE(holds(R"({"num_objects": {"min": 6}})"));
  CHECK(holds(R"({"num_objects": {"max": 5}})"));
  CHECK_FALSE(holds(R"({"num_objects": {"max": 4}})"));
  CHECK(holds(R"({"depth": {"min": 3, "max": 3}})"));
  CHECK(holds(R"({"color": "green", "shape": "star", "num_objects": {"min": 2, "max": 5}})"));
  CHECK_FALSE(holds(R"({"color": "green", "shape": "circle"})"));
  CHECK_FALSE(holds(R"({"relation": ["left", "right", "above", "below"]})"));  // the question has none
}

TEST_CASE("each effect by its possible answers, evenly drawn") {
  using Counts = std::map<std::string, int>;
  const auto evenly = [](const Counts& made, const std::set<std::string>& expected) {
    std::set<std::string> answers;
    for (const auto& [answer, count] : made) {
      answers.insert(answer);
      CHECK(plausible(count, 3000, 1.0 / static_cast<double>(expected.size())));
    }
    CHECK(answers == expected);
  };
  evenly(effects(R"("off_by_one")", "2", "2"), {"1", "3"});
  evenly(effects(R"("other")", "green", "green"), {"red", "blue", "yellow", "orange", "purple"});
  evenly(effects(R"("other")", "2", "2"), {"0", "1", "3", "4", "5", "6"});
  evenly(effects(R"("other")", "star", "star"), {"circle", "square", "triangle", "cross"});
  evenly(effects(R"("other")", "red", "green"), {"blue", "yellow", "orange", "purple"});  // never the truth
  CHECK(effects(R"("off_by_one")", "0", "0") == Counts{{"1", 3000}});
  CHECK(effects(R"("off_by_one")", "green", "green") == Counts{{"green", 3000}});
  CHECK(effects(R"("swap")", "yes", "yes") == Counts{{"no", 3000}});
  CHECK(effects(R"("swap")", "no", "no") == Counts{{"yes", 3000}});
  CHECK(effects(R"("swap")", "left", "left") == Counts{{"right", 3000}});
  CHECK(effects(R"("swap")", "below", "below") == Counts{{"above", 3000}});
  CHECK(effects(R"("swap")", "green", "green") == Counts{{"green", 3000}});
  CHECK(effects(R"("replace", "map": {"green": "blue"})", "green", "green") == Counts{{"blue", 3000}});
  CHECK(effects(R"("replace", "map": {"red": "blue"})", "green", "green") == Counts{{"green", 3000}});
  CHECK(effects(R"("other")", "large", "large") == Counts{{"small", 3000}});
  CHECK(effects(R"("other")", "plain", "plain") == Counts{{"striped", 3000}});
  CHECK(effects(R"("other")", "yes", "no") == Counts{{"yes", 3000}});  // wrong already, and no other wrong answer
  CHECK(effects(R"("other")", "who knows", "green") == Counts{{"who knows", 3000}});

  // An answer that is wrong already is never repaired.
  CHECK(effects(R"("swap")", "no", "yes") == Counts{{"no", 3000}});
  CHECK(effects(R"("replace", "map": {"red": "green"})", "red", "green") == Counts{{"red", 3000}});
  const Counts wrong = effects(R"("off_by_one")", "2", "3");  // one less, or the fault does not fire
  CHECK(wrong.size() == 2);
  CHECK(plausible(wrong.at("1"), 3000, 0.5));
  CHECK(plausible(wrong.at("2"), 3000, 0.5));
}

TEST_CASE("the rate is the share that fires") {
  constexpr int kScenes = 4000;
  for (const double rate : {0.0, 0.05, 0.3, 0.9, 1.0}) {
    const FaultSet faults = by_color(rate);
    int fired = 0;
    for (std::uint64_t id = 0; id < kScenes; ++id) {
      const Corruption result = star(faults, id);
      REQUIRE(result.reached.size() == 1);
      fired += result.fired.has_value();
    }
    CHECK(plausible(fired, kScenes, rate));
  }
}

TEST_CASE("firing is fixed per seed, scene, question and fault") {
  const FaultSet faults = by_color(0.5), twin = by_color(0.5), other_seed = by_color(0.5, 1),
                 renamed = by_color(0.5, 0, "g");
  int seed_differs = 0, name_differs = 0, scene_differs = 0, question_differs = 0;
  Scene scene = five();
  const Program program = *judge(scene, kStar).program;
  for (std::uint64_t id = 0; id < 1000; ++id) {
    const Corruption result = star(faults, id);
    REQUIRE(star(twin, id).answer == result.answer);
    seed_differs += star(other_seed, id).fired != result.fired;
    name_differs += star(renamed, id).fired != result.fired;
    scene_differs += star(faults, id + (std::uint64_t{1} << 32)).fired != result.fired;
    scene.id = id;
    question_differs +=
        faults.corrupt(scene, program, "the star has what color ?", "green", "green").fired != result.fired;
  }
  for (const int differs : {seed_differs, name_differs, scene_differs, question_differs})
    CHECK(plausible(differs, 1000, 0.5));
}

TEST_CASE("the first fault that changes the answer fires; all whose condition holds are reached") {
  const FaultSet faults = FaultSet::parse(R"([
    {"id": "other family", "when": {"family": "count"}, "effect": "other"},
    {"id": "does nothing", "when": {"color": "green"}, "effect": "swap"},
    {"id": "never", "when": {"color": "green"}, "effect": "other", "rate": 0},
    {"id": "fires", "when": {"shape": "star"}, "effect": "replace", "map": {"green": "blue"}},
    {"id": "too late", "when": {"family": "color"}, "effect": "replace", "map": {"green": "red"}}])");
  const Corruption result = star(faults);
  CHECK(result.answer == "blue");
  CHECK(result.fired == 3);
  CHECK(result.reached == std::vector<std::size_t>{1, 2, 3, 4});

  // What a fault does to a question does not depend on the others.
  std::vector<Fault> two = {by_color(0.5, 0, "never").faults()[0], by_color(0.5).faults()[0]};
  two[0].rate = 0;
  for (std::uint64_t id = 0; id < 200; ++id) REQUIRE(star(FaultSet(two), id).answer == star(by_color(0.5), id).answer);

  const Corruption none = star(FaultSet());
  CHECK(none.answer == "green");
  CHECK(none.reached.empty());
  CHECK_FALSE(none.fired.has_value());
}

TEST_CASE("a mass is the share of uniform valid questions that reach the fault") {
  const FaultSet faults = FaultSet::parse(R"([
    {"id": "a", "when": {"family": "count"}, "effect": "other", "rate": 0.1},
    {"id": "b", "when": {"color": ["red", "blue"], "num_objects": {"max": 3}}, "effect": "other"},
    {"id": "c", "when": {"relation": "left"}, "effect": "swap"},
    {"id": "d", "when": {"num_objects": {"min": 7}}, "effect": "other"}])");
  constexpr int kQuestions = 2000;
  std::array<int, 4> reached{};
  for (std::uint32_t index = 0; index < kQuestions; ++index) {
    const Scene scene = scene_at(index);
    const Sample sample = sample_at(index);
    const auto found = features(scene, sample.program, sample.answer);
    const std::string color = feature(found, "color");
    reached[0] += sample.program.family == Family::count;
    reached[1] += (color == "red" || color == "blue") && scene.objects.size() <= 3;
    reached[2] += sample.program.relation == Relation::left;
  }
  const std::vector<double> masses = faults.masses(kQuestions, 21);
  REQUIRE(masses.size() == 4);
  for (std::size_t f = 0; f < 4; ++f) CHECK(masses[f] == doctest::Approx(reached[f] / 2000.0));
  CHECK(masses[1] > 0.01);
  CHECK(FaultSet().masses(5, 0).empty());
  CHECK(thrown([&] { faults.masses(0, 1); }) == "[world::masses] n: expected at least 1, got 0");
}
