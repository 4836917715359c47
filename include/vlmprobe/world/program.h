// Programs: what a question of the world means, as a value that can be executed on a scene.
//
//   family    a                b                 other fields
//   count     counted          -
//   count_all -                -
//   exist     sought           -
//   compare   first            second            "more a than b"
//   color, shape, size, texture
//             the object       -
//   relation  the object       the reference     relation
//   nearest   the reference    -                 queried: the attribute of the object nearest to a
//   extreme   -                -                 relation (left: leftmost, above: topmost), queried
//   corner    -                -                 corner, queried
//   same      first            second            queried
//   negation  the objects      what they are not (one attribute)   number: how many, else is there any
//   two_step  the objects      the reference     relation, number: how many, else is there any
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vlmprobe/world/scene.h"
#include "vlmprobe/world/vocabulary.h"

namespace vlmprobe::world {

// A conjunction of attribute values; kAny where nothing is said.
struct Filter {
  std::array<std::int8_t, kAttributes> value = {kAny, kAny, kAny, kAny};

  std::int8_t& operator[](Attribute which) { return value[static_cast<std::size_t>(which)]; }
  std::int8_t operator[](Attribute which) const { return value[static_cast<std::size_t>(which)]; }
  bool states(Attribute which) const { return (*this)[which] != kAny; }
  int stated() const;
  bool matches(const Object& object) const;
  bool operator==(const Filter&) const = default;
};

struct Program {
  Family family = Family::count_all;
  Filter a{}, b{};
  Relation relation = Relation::none;
  Corner corner = Corner::none;
  std::optional<Attribute> queried{};
  bool number = false;
  bool operator==(const Program&) const = default;
};

// The operations in order of execution, such as {"filter", "unique", "filter", "unique", "relate_left"}; their number
// is the program's depth.
std::vector<std::string> steps(const Program& program);

// One line that names the program: equal lines, equal programs. "relation(left; red circle; blue square)".
std::string to_string(const Program& program);

// The world's own skill labels: the program's operation crossed with the attributes it touches, "relation_left x
// color".
std::vector<std::string> skills(const Program& program);

// Every label that a valid question can have, sorted; more than 100.
const std::vector<std::string>& all_skills();

}  // namespace vlmprobe::world
