#include "vlmprobe/world/program.h"

#include <algorithm>
#include <map>
#include <set>

#include "support.h"
#include "world/scenes.h"

using namespace vlmprobe::world;
using Strings = std::vector<std::string>;

TEST_CASE("a description matches what has all of its values") {
  const Object red_circle = object("small plain red circle", 0, 0);
  CHECK(filter("").matches(red_circle));
  CHECK(filter("red").matches(red_circle));
  CHECK(filter("small plain red circle").matches(red_circle));
  CHECK_FALSE(filter("red square").matches(red_circle));
  CHECK(filter("").stated() == 0);
  CHECK(filter("striped star").stated() == 2);
  CHECK(filter("striped star").states(Attribute::texture));
  CHECK_FALSE(filter("striped star").states(Attribute::color));
}

TEST_CASE("steps, name and skills of every family") {
  struct Case {
    Program program;
    Strings steps;
    std::string name;
    Strings skills;
  };
  const Filter red = filter("red circle"), blue = filter("blue square");
  const std::vector<Case> cases = {
      {{.family = Family::count, .a = red},
       {"filter", "count"},
       "count(red circle)",
       {"count x color", "count x shape"}},
      {{.family = Family::count_all}, {"count"}, "count_all()", {"count_all"}},
      {{.family = Family::exist, .a = filter("large")}, {"filter", "exist"}, "exist(large)", {"exist x size"}},
      {{.family = Family::compare, .a = filter("red"), .b = filter("plain")},
       {"filter", "count", "filter", "count", "greater"},
       "compare(red; plain)",
       {"compare x color", "compare x texture"}},
      {{.family = Family::color, .a = filter("star")},
       {"filter", "unique", "query_color"},
       "color(star)",
       {"query_color x shape"}},
      {{.family = Family::shape, .a = filter("large")},
       {"filter", "unique", "query_shape"},
       "shape(large)",
       {"query_shape x size"}},
      {{.family = Family::size, .a = filter("red")},
       {"filter", "unique", "query_size"},
       "size(red)",
       {"query_size x color"}},
      {{.family = Family::texture, .a = filter("red")},
       {"filter", "unique", "query_texture"},
       "texture(red)",
       {"query_texture x color"}},
      {{.family = Family::relation, .a = red, .b = blue, .relation = Relation::left},
       {"filter", "unique", "filter", "unique", "relate_left"},
       "relation(left; red circle; blue square)",
       {"relation_left x color", "relation_left x shape"}},
      {{.family = Family::nearest, .a = filter("star"), .queried = Attribute::color},
       {"filter", "unique", "nearest", "query_color"},
       "nearest(color; star)",
       {"nearest x color", "nearest x shape"}},
      {{.family = Family::extreme, .relation = Relation::above, .queried = Attribute::size},
       {"topmost", "query_size"},
       "extreme(above; size)",
       {"topmost x size"}},
      {{.family = Family::corner, .corner = Corner::top_left, .queried = Attribute::shape},
       {"corner", "query_shape"},
       "corner(top_left; shape)",
       {"corner_top_left x shape"}},
      {{.family = Family::same, .a = filter("star"), .b = filter("large circle"), .queried = Attribute::color},
       {"filter", "unique", "query_color", "filter", "unique", "query_color", "equal"},
       "same(color; star; large circle)",
       {"same_color x shape", "same_color x size"}},
      {{.family = Family::negation, .b = filter("red"), .number = true},
       {"filter", "filter_not", "count"},
       "negation(number; object; not red)",
       {"count_not x color"}},
      {{.family = Family::negation, .a = filter("star"), .b = filter("red")},
       {"filter", "filter_not", "exist"},
       "negation(star; not red)",
       {"exist_not x color", "exist_not x shape"}},
      {{.family = Family::two_step, .b = blue, .relation = Relation::below, .number = true},
       {"filter", "unique", "relate_below", "filter", "count"},
       "two_step(below; number; object; blue square)",
       {"count_below x color", "count_below x shape"}},
      {{.family = Family::two_step, .a = filter("plain"), .b = blue, .relation = Relation::right},
       {"filter", "unique", "relate_right", "filter", "exist"},
       "two_step(right; plain; blue square)",
       {"exist_right x color", "exist_right x shape", "exist_right x texture"}}};
  std::set<Family> seen;
  for (const Case& expected : cases) {
    seen.insert(expected.program.family);
    CAPTURE(expected.name);
    CHECK(to_string(expected.program) == expected.name);
    CHECK(steps(expected.program) == expected.steps);
    CHECK(skills(expected.program) == expected.skills);
  }
  CHECK(seen.size() == kFamilies.size());
}

TEST_CASE("equal lines are equal programs, and every sampled skill is listed") {
  const Strings& all = all_skills();
  CHECK(all.size() >= 100);
  CHECK(std::ranges::is_sorted(all));
  CHECK(std::set<std::string>(all.begin(), all.end()).size() == all.size());

  std::map<std::string, Program> programs;
  std::set<std::string> met;
  for (std::uint32_t index = 0; index < 20000; ++index) {
    const Program program = sample_at(index).program;
    REQUIRE(programs.try_emplace(to_string(program), program).first->second == program);
    for (const std::string& skill : skills(program)) met.insert(skill);
  }
  CHECK(std::ranges::includes(all, met));
  CHECK(met.size() == all.size());  // and every listed skill is met
  CHECK(programs.size() > 5000);
}
