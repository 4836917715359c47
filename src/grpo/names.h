// Enumerators by name and by number, for options that come from outside. For src/grpo only.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "vlmprobe/core/error.h"

namespace vlmprobe::grpo {

// The enumerator called `name`; `names` are in the enumerators' order.
template <class Enum, std::size_t N>
Enum parse(const std::array<std::string_view, N>& names, std::string_view op, std::string_view field,
           std::string_view name) {
  const auto found = std::ranges::find(names, name);
  expect(found != names.end(), op, "{}: expected one of {}, got '{}'", field, joined(names, ", "), name);
  return static_cast<Enum>(found - names.begin());
}

template <std::size_t N, class Enum>
std::string_view name_of(const std::array<std::string_view, N>& names, Enum value) {
  return names.at(static_cast<std::size_t>(value));
}

// The enumerator that `number` stands for.
template <class Enum, std::size_t N>
Enum enumerator(const std::array<std::string_view, N>&, double number, std::string_view op, std::string_view field) {
  const bool known = number >= 0 && number < static_cast<double>(N) && number == std::floor(number);
  expect(known, op, "options: expected {} in 0 to {}, got {}", field, N - 1, number);
  return static_cast<Enum>(number);
}

}  // namespace vlmprobe::grpo
