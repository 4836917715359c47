// What models put around and into a short answer without meaning anything by it.
//
//   unwrapped(text)   without what stands at both ends: blanks, a Markdown fence or emphasis, special tokens such as
//                     `<|im_end|>`, `<|begin_of_box|>`, `</s>`, `[EOS]`
//   plain(text)       a copy in which quotes are ' and ", full width is ASCII, any blank is ' ' and any line break
//                     '\n', bullets and dashes are '-', and what nobody sees (text/invisible.h) is left out; ill-formed
//                     bytes become U+FFFD
//
// For texts that are nothing but an answer: tags are looked for before, so that neither makes one of what is none.
// Linear; never throw.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "vlmprobe/text/detail/ascii.h"
#include "vlmprobe/text/detail/utf8.h"
#include "vlmprobe/text/invisible.h"

namespace vlmprobe::text {

namespace detail {

inline constexpr std::string_view kEmphasis = "*_`~";
inline constexpr std::size_t kLongestToken = 40;  // bytes of a special token

// Bytes of the special token at the end (or else the beginning) of the text; 0 without one.
inline std::size_t special_token(std::string_view text, bool at_end) {
  constexpr std::array<std::string_view, 8> kNames = {"<s>",   "</s>",  "<eos>", "<bos>",
                                                      "[EOS]", "[BOS]", "<pad>", "[PAD]"};
  for (const std::string_view name : kNames) {
    if (text.size() < name.size()) continue;
    if (same_letters(at_end ? text.substr(text.size() - name.size()) : text.substr(0, name.size()), name))
      return name.size();
  }
  const std::string_view near =
      at_end ? text.substr(text.size() - (text.size() < kLongestToken ? text.size() : kLongestToken))
             : text.substr(0, kLongestToken);
  const std::size_t begin = at_end ? near.rfind("<|") : 0;
  if (begin == near.npos || !near.substr(begin).starts_with("<|")) return 0;
  const std::size_t end = near.find("|>", begin + 2);
  if (end == near.npos || (at_end && end + 2 != near.size())) return 0;
  const bool one_word = near.substr(begin, end - begin).find_first_of(" \n{}\"") == near.npos;
  return one_word ? end + 2 - begin : 0;
}

inline std::string_view without_fence(std::string_view text) {
  if (!text.starts_with("```")) return text;
  text.remove_prefix(3);
  std::size_t language = 0;
  while (language < text.size() && lower(text[language]) >= 'a' && lower(text[language]) <= 'z') ++language;
  const bool ends =
      language < text.size() && (static_cast<unsigned char>(text[language]) <= 0x20 || text[language] == '{');
  return text.substr(ends ? language : 0);
}

// The scalar that `plain` makes of another; 0 where it is left out.
inline char32_t plain_scalar(char32_t value) {
  if (value == U'\r' || value == 0x2028 || value == 0x2029 || value == U'\n') return U'\n';
  if (is_space(value)) return U' ';
  if (is_invisible(value)) return 0;
  if (value >= 0xFF01 && value <= 0xFF5E) value -= 0xFEE0;
  if (value < 0x80) return value;
  constexpr std::u32string_view kDouble = U"\u201C\u201D\u201E\u201F\u00AB\u00BB\u300C\u300D\u300E\u300F\u2033";
  constexpr std::u32string_view kSingle = U"\u2018\u2019\u201A\u201B\u00B4\u2032\u02BC";
  constexpr std::u32string_view kDash = U"\u2010\u2011\u2012\u2013\u2014\u2022\u00B7\u25CF\u25AA";
  if (kDouble.find(value) != kDouble.npos) return U'"';
  if (kSingle.find(value) != kSingle.npos) return U'\'';
  if (kDash.find(value) != kDash.npos) return U'-';
  return value == 0x3001 ? U',' : value == 0x3002 ? U'.' : value;
}

}  // namespace detail

inline std::string_view unwrapped(std::string_view text) {
  for (std::size_t before = text.npos; before != text.size();) {
    before = text.size();
    text = trimmed(detail::without_fence(trimmed(text)), detail::kEmphasis);
    text.remove_prefix(detail::special_token(text, false));
    text.remove_suffix(detail::special_token(text, true));
  }
  return text;
}

inline std::string plain(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const Scalar scalar = decode(text, at);
    if (const char32_t value = detail::plain_scalar(scalar.value)) append(out, value);
    at += scalar.bytes;
  }
  return out;
}

}  // namespace vlmprobe::text
