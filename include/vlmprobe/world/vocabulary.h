// The words of the embedded world: what an object can be, and what a question can ask about.
//
// An attribute's values are addressed by index; kAny stands for "not stated".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace vlmprobe::world {

enum class Attribute : std::int8_t { color, shape, size, texture };
inline constexpr std::size_t kAttributes = 4;
inline constexpr std::int8_t kAny = -1;

inline constexpr std::array<std::string_view, kAttributes> kAttributeNames = {"color", "shape", "size", "texture"};
inline constexpr std::array<std::string_view, 6> kColors = {"red", "green", "blue", "yellow", "orange", "purple"};
inline constexpr std::array<std::string_view, 5> kShapes = {"circle", "square", "triangle", "star", "cross"};
inline constexpr std::array<std::string_view, 5> kShapePlurals = {"circles", "squares", "triangles", "stars",
                                                                  "crosses"};
inline constexpr std::array<std::string_view, 2> kSizes = {"small", "large"};
inline constexpr std::array<std::string_view, 2> kTextures = {"plain", "striped"};

constexpr std::span<const std::string_view> values(Attribute attribute) {
  switch (attribute) {
    case Attribute::color:
      return kColors;
    case Attribute::shape:
      return kShapes;
    case Attribute::size:
      return kSizes;
    case Attribute::texture:
      return kTextures;
  }
  return {};
}

enum class Relation : std::int8_t { none = -1, left, right, above, below };
inline constexpr std::array<std::string_view, 4> kRelations = {"left", "right", "above", "below"};

enum class Corner : std::int8_t { none = -1, top_left, top_right, bottom_left, bottom_right };

// The fifteen kinds of question.
enum class Family : std::int8_t {
  count,
  count_all,
  exist,
  compare,
  color,
  shape,
  size,
  texture,
  relation,
  nearest,
  extreme,
  corner,
  same,
  negation,
  two_step
};
inline constexpr std::array<std::string_view, 15> kFamilies = {
    "count",    "count_all", "exist",   "compare", "color", "shape",    "size",    "texture",
    "relation", "nearest",   "extreme", "corner",  "same",  "negation", "two_step"};

// The index of `word` in `words`, or -1.
constexpr int index_of(std::span<const std::string_view> words, std::string_view word) {
  for (std::size_t i = 0; i < words.size(); ++i)
    if (words[i] == word) return static_cast<int>(i);
  return -1;
}

template <class Enum>
constexpr std::string_view name_of(std::span<const std::string_view> names, Enum value) {
  return names[static_cast<std::size_t>(value)];
}

}  // namespace vlmprobe::world
