// Text of a questioner or an answerer that is quoted to a model must not be able to end its own quotation, open a turn
// or end somebody's thinking.
//
//   < >  and their wide and small forms    ‹ ›  U+2039, U+203A    <question> </answer> <|im_end|> <think>
//   triangles U+25C1, U+25B7               ‹ ›                    thinking marks of Kimi
//   [ ]  around a word in capitals         ⁅ ⁆  U+2045, U+2046    [INST] [/INST] [TOOL_CALLS] [IMG]
//   [ ]  around "think" in any case        ⁅ ⁆                    [THINK] [/think]
//
// Every delimiter of our prompts is a tag, and no tag is left, however it was spaced or nested. A word in brackets is
// letters and underscores, two at least, behind at most one slash. The text stays readable; other bytes stay as they
// are. Idempotent. A model in this process is held to its own tokenizer's list besides (models/special_tokens.py).
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

namespace vlmprobe::text {

namespace detail {

inline constexpr auto kAngles = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"<", "\xE2\x80\xB9"},
    {"\xEF\xBC\x9C", "\xE2\x80\xB9"},  // U+FF1C
    {"\xEF\xB9\xA4", "\xE2\x80\xB9"},  // U+FE64
    {"\xE2\x97\x81", "\xE2\x80\xB9"},  // U+25C1
    {">", "\xE2\x80\xBA"},
    {"\xEF\xBC\x9E", "\xE2\x80\xBA"},  // U+FF1E
    {"\xEF\xB9\xA5", "\xE2\x80\xBA"},  // U+FE65
    {"\xE2\x96\xB7", "\xE2\x80\xBA"},  // U+25B7
});

// What stands between the brackets with which the text begins, where it is a mark; else nothing.
inline std::string_view bracketed_mark(std::string_view text) {
  if (!text.starts_with('[')) return {};
  const std::size_t end = text.find_first_of("[]", 1);
  if (end == text.npos || text[end] != ']') return {};
  const std::string_view inside = text.substr(1, end - 1);
  const std::string_view word = inside.substr(inside.starts_with('/'));
  constexpr std::string_view kThink = "think";
  const auto lower = [](char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); };
  const bool thinks = std::ranges::equal(word, kThink, {}, lower);
  const auto capital = [](char c) { return (c >= 'A' && c <= 'Z') || c == '_'; };
  return thinks || (word.size() > 1 && std::ranges::all_of(word, capital)) ? inside : std::string_view{};
}

}  // namespace detail

inline std::string neutralise(std::string_view quoted) {
  std::string out;
  out.reserve(quoted.size());
  while (!quoted.empty()) {
    const auto begins = [&](const auto& angle) { return quoted.starts_with(angle.first); };
    if (const auto angle = std::ranges::find_if(detail::kAngles, begins); angle != detail::kAngles.end()) {
      out += angle->second;
      quoted.remove_prefix(angle->first.size());
    } else if (const std::string_view mark = detail::bracketed_mark(quoted); !mark.empty()) {
      out.append("\xE2\x81\x85").append(mark).append("\xE2\x81\x86");
      quoted.remove_prefix(mark.size() + 2);
    } else {
      out.push_back(quoted.front());
      quoted.remove_prefix(1);
    }
  }
  return out;
}

}  // namespace vlmprobe::text
