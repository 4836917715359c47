#include "given_away.h"

namespace vlmprobe::world {
namespace {

// Everything that `narrow` matches, `wide` matches too.
bool implies(const Filter& narrow, const Filter& wide) {
  for (std::size_t i = 0; i < kAttributes; ++i)
    if (wide.value[i] != kAny && wide.value[i] != narrow.value[i]) return false;
  return true;
}

// If the object of `other` had the value that `one` states, it would be the one and only object of `one`.
bool sets_apart(const Filter& one, const Filter& other, Attribute which) {
  Filter rest = one;
  rest[which] = kAny;
  return one.states(which) && implies(other, rest);
}

std::string same(const Filter& a, const Filter& b, Attribute which) {
  if (a == b) return "both sides are the same";
  if (a.states(which) && b.states(which)) return "the question states both values";
  return sets_apart(a, b, which) || sets_apart(b, a, which) ? "only one object has the stated value" : "";
}

std::string nearest(const Filter& a, Attribute which) {
  const bool either_or = values(which).size() == 2;
  return either_or && a.stated() == 1 && a.states(which) ? "all others have the other value" : "";
}

std::string negation(const Filter& a, const Filter& b) {
  for (std::size_t i = 0; i < kAttributes; ++i)
    if (b.value[i] != kAny && a.value[i] != kAny) return "the exclusion follows from the description";
  return "";
}

}  // namespace

std::string given_away(const Program& program) {
  const Filter &a = program.a, &b = program.b;
  switch (program.family) {
    case Family::color:
    case Family::shape:
    case Family::size:
    case Family::texture: {
      const int own = index_of(kAttributeNames, name_of(kFamilies, program.family));
      return a.states(static_cast<Attribute>(own)) ? "the question states its own answer" : "";
    }
    case Family::compare:
      if (a == b) return "both sides are the same";
      return implies(a, b) ? "the first set is part of the second" : "";
    case Family::relation:
      return a == b ? "both sides are the same" : "";
    case Family::same:
      return same(a, b, *program.queried);
    case Family::nearest:
      return nearest(a, *program.queried);
    case Family::negation:
      return negation(a, b);
    case Family::two_step:
      return implies(a, b) ? "only the reference itself fits the description" : "";
    default:
      return "";
  }
}

}  // namespace vlmprobe::world
