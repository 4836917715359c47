// Characters that nobody sees: they join, part or turn what stands beside them, or fill a place with nothing.
//
//   is_invisible(value)   format characters, fillers, variation selectors, tags: Unicode's
//   Default_Ignorable_Code_Point,
//                         interlinear annotation, the blank Braille pattern, the null note head. White space and
//                         controls are no part of it (text/detail/utf8.h, is_space)
//   has_visible(text)     whether something is there besides these, white space and controls
//
// They make no question new (text/prefix.h), a text of nothing else is empty (text/responses.h), and where a text is
// shown to people they are written out (`vlmprobe.text.visible` in Python, which takes the list from here). What is
// stored keeps them: they join the parts of an emoji, and Persian and Indic letters.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <span>
#include <string_view>

#include "vlmprobe/text/detail/utf8.h"

namespace vlmprobe::text {

struct ScalarRange {
  char32_t first, last;  // both belong to it
};

// Ascending.
inline constexpr auto kInvisible = std::to_array<ScalarRange>({
    {0xAD, 0xAD},        // soft hyphen
    {0x34F, 0x34F},      // combining grapheme joiner
    {0x61C, 0x61C},      // Arabic letter mark
    {0x115F, 0x1160},    // Hangul fillers
    {0x17B4, 0x17B5},    // Khmer inherent vowels
    {0x180B, 0x180F},    // Mongolian selectors and vowel separator
    {0x200B, 0x200F},    // zero-width space and joiners, directions
    {0x202A, 0x202E},    // embedding and override of directions
    {0x2060, 0x206F},    // word joiner, invisible operators, isolation of directions
    {0x2800, 0x2800},    // blank Braille pattern
    {0x3164, 0x3164},    // Hangul filler
    {0xFE00, 0xFE0F},    // variation selectors
    {0xFEFF, 0xFEFF},    // byte order mark
    {0xFFA0, 0xFFA0},    // halfwidth Hangul filler
    {0xFFF0, 0xFFFB},    // interlinear annotation
    {0x13430, 0x1343F},  // joiners of hieroglyphs
    {0x1BCA0, 0x1BCA3},  // shorthand format controls
    {0x1D159, 0x1D159},  // null note head
    {0x1D173, 0x1D17A},  // beams and phrases of music
    {0xE0000, 0xE0FFF},  // tags, variation selectors
});

// `ranges` ascending.
inline constexpr bool within(std::span<const ScalarRange> ranges, char32_t value) {
  const auto after = std::upper_bound(ranges.begin(), ranges.end(), value,
                                      [](char32_t left, const ScalarRange& range) { return left < range.first; });
  return after != ranges.begin() && value <= std::prev(after)->last;
}

inline constexpr bool is_invisible(char32_t value) {
  return value >= 0x80 && within(kInvisible, value);
}

inline bool has_visible(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const Scalar scalar = decode(text, at);
    if (!is_space(scalar.value) && !is_invisible(scalar.value)) return true;
    at += scalar.bytes;
  }
  return false;
}

}  // namespace vlmprobe::text
