// Enumerators by name and by number, for options that come from outside: names stand in the enumerators' order.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "vlmprobe/core/error.h"
#include "vlmprobe/grpo/advantage.h"
#include "vlmprobe/grpo/options.h"

namespace vlmprobe::grpo::detail {

using std::string_view_literals::operator""sv;

constexpr auto names_of(Policy) {
  return std::array{"clip"sv, "cispo"sv, "sapo"sv};
}
constexpr auto names_of(RatioLevel) {
  return std::array{"token"sv, "sequence"sv};
}
constexpr auto names_of(KlEstimator) {
  return std::array{"k1"sv, "k2"sv, "k3"sv};
}
constexpr auto names_of(Reduction) {
  return std::array{"grpo"sv, "bnpo"sv, "dapo"sv, "dr_grpo"sv};
}
constexpr auto names_of(Scale) {
  return std::array{"group"sv, "batch"sv, "none"sv};
}
constexpr auto names_of(Baseline) {
  return std::array{"mean"sv, "leave_one_out"sv};
}
constexpr auto names_of(Singleton) {
  return std::array{"zero"sv, "raw"sv};
}

// The enumerator called `name`.
template <class Enum, std::size_t N>
Enum parse(const std::array<std::string_view, N>& names, std::string_view op, std::string_view field,
           std::string_view name) {
  const auto found = std::ranges::find(names, name);
  expect(found != names.end(), op, "{}: expected one of {}, got '{}'", field, joined(names, ", "), name);
  return static_cast<Enum>(found - names.begin());
}
template <class Enum>
Enum parse(std::string_view op, std::string_view field, std::string_view name) {
  return parse<Enum>(names_of(Enum()), op, field, name);
}

template <class Enum>
constexpr std::string_view name_of(Enum value) {
  return names_of(value).at(static_cast<std::size_t>(value));
}

// The enumerator that `number` stands for.
template <class Enum>
Enum enumerator(double number, std::string_view op, std::string_view field) {
  constexpr std::size_t kCount = names_of(Enum()).size();
  const bool known = number >= 0 && number < static_cast<double>(kCount) && number == std::floor(number);
  expect(known, op, "options: expected {} in 0 to {}, got {}", field, kCount - 1, number);
  return static_cast<Enum>(number);
}

}  // namespace vlmprobe::grpo::detail
