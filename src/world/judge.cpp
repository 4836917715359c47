#include "vlmprobe/world/judge.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "given_away.h"
#include "vlmprobe/world/grammar.h"

namespace vlmprobe::world {
namespace {

using Referent = const Object*;

// How far `object` lies in the direction of `relation` from `from`, in pixels; negative on the other side.
double along(Relation relation, const Object& object, const Object& from) {
  switch (relation) {
    case Relation::left:
      return from.x - object.x;
    case Relation::right:
      return object.x - from.x;
    case Relation::above:
      return from.y - object.y;
    case Relation::below:
      return object.y - from.y;
    case Relation::none:
      break;
  }
  return 0;
}

// The only object the filter matches, or nullptr.
Referent unique(const Scene& scene, const Filter& filter) {
  Referent found = nullptr;
  for (const Object& object : scene.objects) {
    if (!filter.matches(object)) continue;
    if (found) return nullptr;
    found = &object;
  }
  return found;
}

// The object with the smallest score, if it wins by the margin; `skip` does not take part.
template <class Score>
Referent winner(const Scene& scene, Score&& score, Referent skip = nullptr) {
  Referent best = nullptr;
  double lowest = std::numeric_limits<double>::infinity(), second = lowest;
  for (const Object& object : scene.objects) {
    if (&object == skip) continue;
    const double value = score(object);
    if (value < lowest) {
      second = std::exchange(lowest, value);
      best = &object;
    } else {
      second = std::min(second, value);
    }
  }
  return second - lowest >= kMargin ? best : nullptr;
}

Referent extreme(const Scene& scene, Relation side) {
  const Object origin{};
  return winner(scene, [&](const Object& object) { return -along(side, object, origin); });
}

Referent in_corner(const Scene& scene, Corner corner) {
  const double x = corner == Corner::top_left || corner == Corner::bottom_left ? 0 : kCanvas;
  const double y = corner == Corner::top_left || corner == Corner::top_right ? 0 : kCanvas;
  return winner(scene, [&](const Object& object) { return std::hypot(object.x - x, object.y - y); });
}

Referent neighbour(const Scene& scene, const Object& of) {
  return winner(scene, [&](const Object& object) { return std::hypot(object.x - of.x, object.y - of.y); }, &of);
}

// The one object a question of these families is about, or nullptr.
Referent subject(const Scene& scene, const Program& program) {
  switch (program.family) {
    case Family::extreme:
      return extreme(scene, program.relation);
    case Family::corner:
      return in_corner(scene, program.corner);
    case Family::nearest: {
      const Referent reference = unique(scene, program.a);
      return reference ? neighbour(scene, *reference) : nullptr;
    }
    default:
      return unique(scene, program.a);
  }
}

std::string value_of(const Object& object, Attribute which) {
  return std::string(values(which)[static_cast<std::size_t>(object[which])]);
}

std::string yes_no(bool truth) {
  return truth ? "yes" : "no";
}

int count(const Scene& scene, const Filter& filter) {
  return static_cast<int>(
      std::ranges::count_if(scene.objects, [&](const Object& object) { return filter.matches(object); }));
}

bool queries_attribute(Family family) {
  return family >= Family::color && family <= Family::texture;
}

Attribute own_attribute(Family family) {
  return static_cast<Attribute>(static_cast<int>(family) - static_cast<int>(Family::color));
}

struct Outcome {
  std::string answer, open;  // `open` says why the picture does not decide
};

Outcome count_or_exist(int number, bool wants_number) {
  return {wants_number ? std::to_string(number) : yes_no(number > 0), ""};
}

Outcome related(const Scene& scene, const Program& program) {
  const Referent object = unique(scene, program.a), reference = unique(scene, program.b);
  if (!object || !reference || object == reference) return {"", "a description names no object or several"};
  const double distance = along(program.relation, *object, *reference);
  if (std::abs(distance) < kMargin) return {"", "the two are level"};
  return {yes_no(distance > 0), ""};
}

Outcome two_step(const Scene& scene, const Program& program) {
  const Referent reference = unique(scene, program.b);
  if (!reference) return {"", "a description names no object or several"};
  int number = 0;
  for (const Object& object : scene.objects) {
    if (&object == reference || !program.a.matches(object)) continue;
    const double distance = along(program.relation, object, *reference);
    if (std::abs(distance) < kMargin) return {"", "an object is level with the reference"};
    number += distance > 0;
  }
  return count_or_exist(number, program.number);
}

Outcome same(const Scene& scene, const Program& program) {
  const Referent first = unique(scene, program.a), second = unique(scene, program.b);
  if (!first || !second || first == second) return {"", "a description names no object or several"};
  return {yes_no((*first)[*program.queried] == (*second)[*program.queried]), ""};
}

Outcome queried(const Scene& scene, const Program& program) {
  const Referent object = subject(scene, program);
  if (!object) return {"", "no single object is meant"};
  return {value_of(*object, program.queried.value_or(own_attribute(program.family))), ""};
}

Outcome execute(const Scene& scene, const Program& program) {
  switch (program.family) {
    case Family::count:
      return {std::to_string(count(scene, program.a)), ""};
    case Family::count_all:
      return {std::to_string(scene.objects.size()), ""};
    case Family::exist:
      return {yes_no(count(scene, program.a) > 0), ""};
    case Family::compare:
      return {yes_no(count(scene, program.a) > count(scene, program.b)), ""};
    case Family::relation:
      return related(scene, program);
    case Family::same:
      return same(scene, program);
    case Family::two_step:
      return two_step(scene, program);
    case Family::negation: {
      const auto counts = [&](const Object& object) { return program.a.matches(object) && !program.b.matches(object); };
      return count_or_exist(static_cast<int>(std::ranges::count_if(scene.objects, counts)), program.number);
    }
    default:
      return queried(scene, program);
  }
}

}  // namespace

Judgement judge(const Scene& scene, const Program& program) {
  Judgement judgement{{Tri::yes, Tri::yes, Tri::yes, Tri::yes}, program, "", ""};
  judgement.reason = given_away(program);
  if (!judgement.reason.empty()) judgement.criteria.grounded = Tri::no;

  Outcome outcome = execute(scene, program);
  if (!outcome.open.empty()) {
    judgement.criteria.objective = Tri::no;
    if (judgement.reason.empty()) judgement.reason = outcome.open;
  }
  if (judgement.valid()) judgement.answer = std::move(outcome.answer);
  return judgement;
}

Judgement judge(const Scene& scene, std::string_view question) {
  const Parse parse = world::parse(question);
  switch (parse.kind) {
    case ParseKind::question:
      return judge(scene, parse.program);
    case ParseKind::compound:
      return {{Tri::yes, Tri::no, Tri::yes, Tri::yes}, std::nullopt, "", "several questions in one"};
    case ParseKind::ungrounded:
      return {{Tri::yes, Tri::yes, Tri::no, Tri::yes}, std::nullopt, "", "the picture is not needed"};
    case ParseKind::subjective:
      return {{Tri::yes, Tri::yes, Tri::yes, Tri::no}, std::nullopt, "", "a matter of taste"};
    case ParseKind::ungrammatical:
      break;
  }
  return {{Tri::no, Tri::unknown, Tri::unknown, Tri::unknown}, std::nullopt, "", "not a sentence of the grammar"};
}

Filter asked_about(const Scene& scene, const Program& program) {
  const bool about_one = queries_attribute(program.family) || program.family == Family::relation ||
                         program.family == Family::same || program.queried.has_value();
  const Referent object = about_one ? subject(scene, program) : nullptr;
  return object ? Filter{object->attribute} : program.a;
}

}  // namespace vlmprobe::world
