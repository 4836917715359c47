// Letters, blanks and ends of text in ASCII, for text in which keywords are looked for; other bytes stay as they are.
#pragma once

#include <algorithm>
#include <string_view>

namespace vlmprobe::text {

inline char lower(char character) {
  return character >= 'A' && character <= 'Z' ? static_cast<char>(character + ('a' - 'A')) : character;
}

inline bool same_letters(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

// Without the ASCII characters of `more`, blanks and controls at both ends.
inline std::string_view trimmed(std::string_view text, std::string_view more = "") {
  const auto outside = [&](char c) { return static_cast<unsigned char>(c) <= 0x20 || more.find(c) != more.npos; };
  while (!text.empty() && outside(text.front())) text.remove_prefix(1);
  while (!text.empty() && outside(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace vlmprobe::text
