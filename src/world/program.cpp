#include "vlmprobe/world/program.h"

#include <algorithm>

#include "vlmprobe/core/detail/format.h"

namespace vlmprobe::world {
namespace {

constexpr std::array<std::string_view, 4> kExtremes = {"leftmost", "rightmost", "topmost", "bottommost"};
constexpr std::array<std::string_view, 4> kCornerNames = {"top_left", "top_right", "bottom_left", "bottom_right"};

std::string describe(const Filter& filter) {
  std::vector<std::string_view> words;
  for (const Attribute which : {Attribute::size, Attribute::texture, Attribute::color, Attribute::shape})
    if (filter.states(which)) words.push_back(values(which)[static_cast<std::size_t>(filter[which])]);
  return words.empty() ? "object" : formatted("{}", joined(words, " "));
}

// The operation a skill label begins with.
std::string operation(const Program& program) {
  const std::string family(name_of(kFamilies, program.family));
  switch (program.family) {
    case Family::color:
    case Family::shape:
    case Family::size:
    case Family::texture:
      return formatted("query_{}", family);
    case Family::relation:
    case Family::two_step: {
      const auto direction = name_of(kRelations, program.relation);
      if (program.family == Family::relation) return formatted("relation_{}", direction);
      return formatted("{}_{}", program.number ? "count" : "exist", direction);
    }
    case Family::extreme:
      return std::string(name_of(kExtremes, program.relation));
    case Family::corner:
      return formatted("corner_{}", name_of(kCornerNames, program.corner));
    case Family::same:
      return formatted("same_{}", name_of(kAttributeNames, *program.queried));
    case Family::negation:
      return program.number ? "count_not" : "exist_not";
    default:
      return family;
  }
}

}  // namespace

int Filter::stated() const {
  return static_cast<int>(std::ranges::count_if(value, [](std::int8_t v) { return v != kAny; }));
}

bool Filter::matches(const Object& object) const {
  for (std::size_t i = 0; i < kAttributes; ++i)
    if (value[i] != kAny && value[i] != object.attribute[i]) return false;
  return true;
}

std::vector<std::string> steps(const Program& program) {
  const std::string query = program.queried ? formatted("query_{}", name_of(kAttributeNames, *program.queried)) : "";
  const std::string relate =
      program.relation != Relation::none ? formatted("relate_{}", name_of(kRelations, program.relation)) : "";
  const std::string reduce = program.number ? "count" : "exist";
  switch (program.family) {
    case Family::count:
      return {"filter", "count"};
    case Family::count_all:
      return {"count"};
    case Family::exist:
      return {"filter", "exist"};
    case Family::compare:
      return {"filter", "count", "filter", "count", "greater"};
    case Family::color:
    case Family::shape:
    case Family::size:
    case Family::texture:
      return {"filter", "unique", formatted("query_{}", name_of(kFamilies, program.family))};
    case Family::relation:
      return {"filter", "unique", "filter", "unique", relate};
    case Family::nearest:
      return {"filter", "unique", "nearest", query};
    case Family::extreme:
      return {std::string(name_of(kExtremes, program.relation)), query};
    case Family::corner:
      return {"corner", query};
    case Family::same:
      return {"filter", "unique", query, "filter", "unique", query, "equal"};
    case Family::negation:
      return {"filter", "filter_not", reduce};
    case Family::two_step:
      return {"filter", "unique", relate, "filter", reduce};
  }
  return {};
}

std::string to_string(const Program& program) {
  std::vector<std::string> parts;
  if (program.relation != Relation::none) parts.emplace_back(name_of(kRelations, program.relation));
  if (program.corner != Corner::none) parts.emplace_back(name_of(kCornerNames, program.corner));
  if (program.queried) parts.emplace_back(name_of(kAttributeNames, *program.queried));
  if (program.number) parts.emplace_back("number");
  const bool uses_a =
      program.family != Family::count_all && program.family != Family::extreme && program.family != Family::corner;
  const bool uses_b = program.family == Family::compare || program.family == Family::relation ||
                      program.family == Family::same || program.family == Family::negation ||
                      program.family == Family::two_step;
  if (uses_a) parts.push_back(describe(program.a));
  if (uses_b) parts.push_back(formatted("{}{}", program.family == Family::negation ? "not " : "", describe(program.b)));
  return formatted("{}({})", name_of(kFamilies, program.family), joined(parts, "; "));
}

std::vector<std::string> skills(const Program& program) {
  std::array<bool, kAttributes> touched{};
  for (std::size_t i = 0; i < kAttributes; ++i) {
    const auto which = static_cast<Attribute>(i);
    touched[i] = program.a.states(which) || program.b.states(which);
  }
  const bool names_queried = program.family != Family::same;  // its operation names it
  if (program.queried && names_queried) touched[static_cast<std::size_t>(*program.queried)] = true;

  std::vector<std::string> labels;
  for (std::size_t i = 0; i < kAttributes; ++i)
    if (touched[i]) labels.push_back(formatted("{} x {}", operation(program), kAttributeNames[i]));
  if (labels.empty()) labels.push_back(operation(program));
  return labels;
}

const std::vector<std::string>& all_skills() {
  static const std::vector<std::string> kAll = [] {
    std::vector<std::string> labels;
    const auto add = [&](const Program& program) {
      for (std::string& label : skills(program)) labels.push_back(std::move(label));
    };
    for (std::size_t f = 0; f < kFamilies.size(); ++f)
      for (std::size_t i = 0; i < kAttributes; ++i)
        for (int direction = 0; direction < 4; ++direction)
          for (const bool number : {false, true})
            for (std::size_t q = 0; q < kAttributes; ++q) {
              Program program{.family = static_cast<Family>(f)};
              const Family family = program.family;
              const bool by_position = family == Family::extreme || family == Family::corner;
              const bool by_relation =
                  family == Family::relation || family == Family::two_step || family == Family::extreme;
              const bool asks = by_position || family == Family::nearest || family == Family::same;
              if (by_relation) program.relation = static_cast<Relation>(direction);
              if (family == Family::corner) program.corner = static_cast<Corner>(direction);
              if (asks) program.queried = static_cast<Attribute>(q);
              if (!by_position && family != Family::count_all) program.a.value[i] = 0;
              program.number = number && (family == Family::negation || family == Family::two_step);
              const std::string own(kFamilies[f]);
              if (own == kAttributeNames[i]) continue;  // answered by the question
              add(program);
            }
    std::ranges::sort(labels);
    labels.erase(std::ranges::unique(labels).begin(), labels.end());
    return labels;
  }();
  return kAll;
}

}  // namespace vlmprobe::world
