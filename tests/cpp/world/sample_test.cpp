#include "vlmprobe/world/sample.h"

#include <array>
#include <cmath>
#include <set>

#include "support.h"
#include "vlmprobe/world/judge.h"
#include "world/scenes.h"

using namespace vlmprobe;
using namespace vlmprobe::world;

TEST_CASE("samples are valid and a function of their draw") {
  constexpr int kSamples = 15000;
  std::array<int, kFamilies.size()> families{};
  for (std::uint32_t index = 0; index < kSamples; ++index) {
    const Sample sample = sample_at(index), again = sample_at(index);
    REQUIRE(sample.question == again.question);
    REQUIRE(sample.program == again.program);
    const Judgement judgement = judge(scene_at(index), sample.question);
    REQUIRE(judgement.valid());
    REQUIRE(judgement.answer == sample.answer);
    ++families[static_cast<std::size_t>(sample.program.family)];
  }
  // Uniform over the fifteen but for scenes that do not allow a family: 1000 each, standard deviation 31.
  for (const int count : families) CHECK(std::abs(count - kSamples / 15) < 150);
}

TEST_CASE("a family that the scene does not allow is refused by name, or drawn again") {
  const Scene one = sample_scene(1, 0, {.min_objects = 1, .max_objects = 1, .clutter = 0});
  random::Sequence draw = draw_at(0);
  CHECK(thrown([&] { sample_question(one, Family::relation, draw); }) ==
        "[world::sample_question] family: expected one that the scene allows, got relation");
  for (int i = 0; i < 300; ++i) REQUIRE(sample_question(one, draw).program.family != Family::relation);
}

TEST_CASE("an invalid question breaks exactly the criterion asked for") {
  std::vector<Scene> scenes = {five(), scene_of({object("small plain red circle", 32, 32)}),
                               scene_of(std::vector<Object>(2, object("large plain red star", 32, 32)))};
  for (std::uint32_t index = 0; index < 60; ++index) scenes.push_back(scene_at(index));
  for (const Criterion broken :
       {Criterion::grammatical, Criterion::atomic, Criterion::grounded, Criterion::objective}) {
    std::set<std::string> said;
    std::set<std::string> reasons;
    for (std::size_t s = 0; s < scenes.size(); ++s)
      for (std::uint32_t part = 0; part < 40; ++part) {
        random::Sequence draw = draw_at(static_cast<std::uint32_t>(s), part), twin = draw;
        const std::string question = sample_invalid(scenes[s], broken, draw);
        REQUIRE(question == sample_invalid(scenes[s], broken, twin));
        const Judgement judgement = judge(scenes[s], question);
        const std::array found = {judgement.criteria.grammatical, judgement.criteria.atomic,
                                  judgement.criteria.grounded, judgement.criteria.objective};
        for (std::size_t c = 0; c < found.size(); ++c)
          REQUIRE((found[c] == Tri::no) == (c == static_cast<std::size_t>(broken)));
        said.insert(question), reasons.insert(judgement.reason);
      }
    CHECK(said.size() > 200);
    CHECK(reasons.size() >= (broken == Criterion::grounded || broken == Criterion::objective ? 4 : 1));
  }
}
