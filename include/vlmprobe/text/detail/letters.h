// What a character is to a word, for text/prefix.h: folded, and how it joins its neighbours.
//
//   letter_of(value)          the character in lower case and half width (table below), and its part
//   composed(before, mark)    the letter that both make (normal form C), 0 when there is none: e + U+0301, kana with
//                             voicing marks, the parts of a Hangul syllable
//
//   part      what it does
//   nothing   is dropped: punctuation, symbols, emoji, what nobody sees (text/invisible.h), ill-formed bytes
//   blank     ends a word: white space, controls, the Tibetan tsheg, the Ethiopic word space
//   letter    belongs to the word it stands in: alphabets, digits, Hangul, and every script not named here
//   mark      makes a letter of the one before it, or is dropped: accents, Hebrew points, Arabic vowel signs
//   single    begins a word of its own: Han, kana, Bopomofo, Yi; consonants of Thai, Lao, Khmer, Burmese
//   leading   the same, and the next single belongs to it: Thai and Lao vowels that are written first
//   trailing  belongs to the character before it: vowels and signs of these four scripts
//   joining   the same, and the next single belongs to it as well: their signs that stack consonants
//
// Lower case: Latin, Greek (without the polytonic block), Cyrillic, Armenian; a final sigma is a sigma. Width:
// full-width ASCII, half-width kana. Nothing else is folded.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "vlmprobe/text/detail/letter_tables.h"
#include "vlmprobe/text/detail/utf8.h"
#include "vlmprobe/text/invisible.h"

namespace vlmprobe::text {

enum class Part { nothing, blank, letter, mark, single, leading, trailing, joining };

struct Letter {
  char32_t value;
  Part part;
};

namespace detail {

inline constexpr bool between(char32_t value, char32_t first, char32_t last) {
  return value >= first && value <= last;
}

// From the table of exceptions; 0 when it is none.
inline constexpr char32_t exceptional_lower_case(char32_t value) {
  std::size_t low = 0, high = kLowerCase.size() / 2;
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    kLowerCase[2 * middle] < value ? low = middle + 1 : high = middle;
  }
  return 2 * low < kLowerCase.size() && kLowerCase[2 * low] == value ? kLowerCase[2 * low + 1] : 0;
}

inline constexpr char32_t lower_case(char32_t value) {
  if (value < 0x80) return between(value, 'A', 'Z') ? value + 0x20 : value;
  if (!between(value, 0xC0, 0x556) && !between(value, 0x1E00, 0x1EFF)) return value;
  if (const char32_t lower = exceptional_lower_case(value)) return lower;
  if ((between(value, 0xC0, 0xDE) && value != 0xD7) || between(value, 0x391, 0x3AB) || between(value, 0x410, 0x42F))
    return value + 0x20;
  if (between(value, 0x388, 0x38A)) return value + 0x25;
  if (between(value, 0x400, 0x40F)) return value + 0x50;
  if (between(value, 0x531, 0x556)) return value + 0x30;
  constexpr auto kEven = std::to_array<ScalarRange>({// an even capital before its small letter
                                                     {0x100, 0x137},
                                                     {0x14A, 0x177},
                                                     {0x1DE, 0x1EF},
                                                     {0x1F8, 0x21F},
                                                     {0x222, 0x233},
                                                     {0x246, 0x24F},
                                                     {0x370, 0x373},
                                                     {0x3D8, 0x3EF},
                                                     {0x460, 0x481},
                                                     {0x48A, 0x4BF},
                                                     {0x4D0, 0x52F},
                                                     {0x1E00, 0x1E95},
                                                     {0x1EA0, 0x1EFF}});
  constexpr auto kOdd = std::to_array<ScalarRange>({{0x139, 0x148}, {0x179, 0x17E}, {0x1CD, 0x1DC}, {0x4C1, 0x4CE}});
  return within(kEven, value) ? value | 1 : within(kOdd, value) ? value + (value & 1) : value;
}

inline constexpr char32_t usual_width(char32_t value) {
  constexpr std::u16string_view kKana =  // U+FF66 to U+FF9F
      u"\u30F2\u30A1\u30A3\u30A5\u30A7\u30A9\u30E3\u30E5\u30E7\u30C3\u30FC\u30A2\u30A4\u30A6\u30A8\u30AA\u30AB\u30AD"
      u"\u30AF\u30B1\u30B3\u30B5\u30B7\u30B9\u30BB\u30BD\u30BF\u30C1\u30C4\u30C6\u30C8\u30CA\u30CB\u30CC\u30CD\u30CE"
      u"\u30CF\u30D2\u30D5\u30D8\u30DB\u30DE\u30DF\u30E0\u30E1\u30E2\u30E4\u30E6\u30E8\u30E9\u30EA\u30EB\u30EC\u30ED"
      u"\u30EF\u30F3\u3099\u309A";
  if (between(value, 0xFF01, 0xFF5E)) return value - 0xFEE0;
  return between(value, 0xFF66, 0xFF9F) ? kKana[value - 0xFF66] : value;
}

// Thai, and Lao 0x80 behind it: `place` is what the two blocks have in common.
inline constexpr Part thai_part(char32_t place) {
  if (between(place, 0x40, 0x44)) return Part::leading;
  if (between(place, 0x50, 0x59)) return Part::letter;  // digits
  return between(place, 0x2F, 0x4E) ? Part::trailing : Part::single;
}

inline constexpr Part khmer_part(char32_t value) {
  if (value == 0x17D2) return Part::joining;
  if (between(value, 0x17E0, 0x17F9)) return Part::letter;  // digits
  return value <= 0x17B3 || value == 0x17DC ? Part::single : Part::trailing;
}

inline constexpr Part burmese_part(char32_t value) {
  constexpr auto kSingles = std::to_array<ScalarRange>({{0x1000, 0x102A},
                                                        {0x103F, 0x103F},
                                                        {0x1050, 0x1055},
                                                        {0x105A, 0x105D},
                                                        {0x1061, 0x1061},
                                                        {0x1065, 0x1066},
                                                        {0x106E, 0x1070},
                                                        {0x1075, 0x1081},
                                                        {0x108E, 0x108E}});
  if (value == 0x1039) return Part::joining;
  if (between(value, 0x1040, 0x1049) || between(value, 0x1090, 0x1099)) return Part::letter;  // digits
  return within(kSingles, value) ? Part::single : Part::trailing;
}

// Of a character that is no ornament.
inline constexpr Part part_of(char32_t value) {
  constexpr auto kSingles = std::to_array<ScalarRange>({
      {0x2E80, 0x2FDF},    // radicals
      {0x3005, 0x3007},    // iteration mark, closing mark, zero
      {0x3021, 0x30FF},    // numerals, kana
      {0x3105, 0x312F},    // Bopomofo
      {0x31A0, 0x4DBF},    // Bopomofo, kana, Han
      {0x4E00, 0xA4CF},    // Han, Yi
      {0xF900, 0xFAFF},    // Han
      {0x1AFF0, 0x1B16F},  // kana
      {0x20000, 0x3FFFF},  // Han
  });
  if (between(value, 0xE00, 0xEFF)) return thai_part(value & 0x7F);
  if (between(value, 0x1000, 0x109F)) return burmese_part(value);
  if (between(value, 0x1780, 0x17FF)) return khmer_part(value);
  return within(kSingles, value) ? Part::single : Part::letter;
}

// Kana with a voicing mark (`half`: the ring); 0 for others.
inline constexpr char32_t voiced(char32_t kana, bool half) {
  const char32_t hiragana = kana >= 0x30A1 ? kana - 0x60 : kana;
  const bool h_row = between(hiragana, 0x306F, 0x307B) && hiragana % 3 == 0;
  if (half) return h_row ? kana + 2 : 0;
  if (hiragana == 0x3046) return kana + 0x4E;
  const bool pair = (between(hiragana, 0x304B, 0x3061) && hiragana % 2 == 1) || hiragana == 0x309D ||
                    (between(hiragana, 0x3064, 0x3068) && hiragana % 2 == 0);
  return pair || h_row ? kana + 1 : 0;
}

}  // namespace detail

inline constexpr Letter letter_of(char32_t value) {
  value = detail::usual_width(value);
  if (is_space(value) || value == 0xF0B || value == 0xF0C || value == 0x1361) return {value, Part::blank};
  if (value < 0x80) {
    const char32_t lower = detail::lower_case(value);
    const bool word = detail::between(lower, 'a', 'z') || detail::between(lower, '0', '9');
    return {lower, word ? Part::letter : Part::nothing};
  }
  if (is_invisible(value)) return {value, Part::nothing};
  if (within(detail::kDiacritics, value)) return {value, Part::mark};
  if (within(detail::kOrnaments, value)) return {value, Part::nothing};
  return {detail::lower_case(value), detail::part_of(value)};
}

inline constexpr char32_t composed(char32_t before, char32_t mark) {
  if (before == 0 || mark < 0x300) return 0;
  if (mark == 0x3099 || mark == 0x309A) return detail::voiced(before, mark == 0x309A);
  if (detail::between(before, 0x1100, 0x1112) && detail::between(mark, 0x1161, 0x1175))
    return 0xAC00 + ((before - 0x1100) * 21 + (mark - 0x1161)) * 28;
  if (detail::between(before, 0xAC00, 0xD7A3) && (before - 0xAC00) % 28 == 0 && detail::between(mark, 0x11A8, 0x11C2))
    return before + (mark - 0x11A7);
  if (!within(detail::kDiacritics, mark)) return 0;
  for (std::size_t i = 0; i < detail::kComposed.size(); i += 3)
    if (detail::kComposed[i] == before && detail::kComposed[i + 1] == mark) return detail::kComposed[i + 2];
  return 0;
}

}  // namespace vlmprobe::text
