// Text of a questioner or an answerer that is quoted to a verifier must not be able to end its own quotation.
//
// Every delimiter of our prompts is a tag (`<question>`, `</answer>`, `<response_1>`, `<|im_end|>`), so every `<` and
// `>` becomes U+2039 and U+203A: readable, and no tag is left, however it was spaced or nested. The marks of chat
// templates and of thinking that have other ends get the same: a word in square brackets that begins with a slash or is
// of three capitals or more (`[/INST]`, `[IMG]`, `[THINK]`; `[think]` as well), and one between U+25C1 and U+25B7.
// Other bytes stay, so `[a]` and `[12]` do. Idempotent.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include "vlmprobe/text/ascii.h"

namespace vlmprobe::text {

namespace detail {

inline constexpr std::string_view kOpenAngle = "\xE2\x80\xB9", kCloseAngle = "\xE2\x80\xBA";

// The word of the mark that begins the text between `open` and `close`, with its slash; empty where none does.
inline std::string_view marked_word(std::string_view text, std::string_view open, std::string_view close) {
  if (!text.starts_with(open)) return {};
  text.remove_prefix(open.size());
  const auto of_name = [](char c) {
    return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '_';
  };
  const auto begin = text.begin() + text.starts_with('/');
  const auto end = std::find_if_not(begin, text.end(), of_name);
  const auto size = static_cast<std::size_t>(end - text.begin());
  return end != begin && text.substr(size).starts_with(close) ? text.substr(0, size) : std::string_view{};
}

inline bool is_control_word(std::string_view inside) {
  const auto capital = [](char c) { return !(c >= 'a' && c <= 'z'); };
  const bool letter_first = !inside.empty() && lower(inside[0]) >= 'a' && lower(inside[0]) <= 'z';
  return inside.starts_with('/') || same_letters(inside, "think") ||
         (letter_first && inside.size() >= 3 && std::all_of(inside.begin(), inside.end(), capital));
}

}  // namespace detail

inline std::string neutralise(std::string_view quoted) {
  std::string out;
  out.reserve(quoted.size());
  const auto put = [&](std::string_view inside) {
    out.append(detail::kOpenAngle).append(inside).append(detail::kCloseAngle);
  };
  for (std::size_t at = 0; at < quoted.size();) {
    const std::string_view rest = quoted.substr(at);
    if (rest[0] == '<' || rest[0] == '>') {
      out += rest[0] == '<' ? detail::kOpenAngle : detail::kCloseAngle;
      ++at;
    } else if (const auto word = detail::marked_word(rest, "[", "]"); detail::is_control_word(word)) {
      put(word);
      at += word.size() + 2;
    } else if (const auto other = detail::marked_word(rest, "\xE2\x97\x81", "\xE2\x96\xB7"); !other.empty()) {
      put(other);
      at += other.size() + 6;
    } else {
      out.push_back(rest[0]);
      ++at;
    }
  }
  return out;
}

}  // namespace vlmprobe::text
