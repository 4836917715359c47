// A verdict in lines, `key: value`, or as the value alone (rules 3c and 3d of text/verdict.h).
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vlmprobe/text/detail/ascii.h"
#include "vlmprobe/text/findings.h"

namespace vlmprobe::text::detail {

inline constexpr std::string_view kKeyEnds = ":=", kPairEnds = ",;";

// Without emphasis, a bullet or a number before it.
inline std::string_view key_of_line(std::string_view raw) {
  std::string_view key = trimmed(raw, "\"'*_-`#");
  const std::size_t digits = std::min(key.find_first_not_of("0123456789"), key.size());
  const bool numbered = digits > 0 && digits < key.size() && (key[digits] == '.' || key[digits] == ')');
  return numbered ? trimmed(key.substr(digits + 1), kAroundKeys) : key;
}

using Pair = std::pair<std::string_view, std::string_view>;

// `key: value, key: value`; a piece without a key belongs to the value before it, a reason takes the rest of the line.
// Nothing where a key is neither asked for nor the reason.
inline std::vector<Pair> pairs_of(std::string_view line, const Findings& found) {
  std::vector<Pair> pairs;
  for (std::size_t begin = 0; begin < line.size();) {
    const std::size_t colon = line.find_first_of(kKeyEnds, begin);
    if (colon == line.npos) return {};
    const std::string_view key = key_of_line(line.substr(begin, colon - begin));
    if (found.place_of(key) < 0) return {};
    const std::size_t next = is_reason(key) ? line.npos : line.find_first_of(kKeyEnds, colon + 1);
    const std::size_t cut = next == line.npos ? line.npos : line.find_last_of(kPairEnds, next);
    if (next != line.npos && (cut == line.npos || cut < colon)) return {};
    const std::size_t end = std::min(cut, line.size());
    pairs.emplace_back(key, trimmed(line.substr(colon + 1, end - colon - 1), ",;"));
    begin = end + 1;
  }
  return pairs;
}

inline void read_lines(std::string_view text, std::span<const std::string_view> keys, Findings& found) {
  if (keys.size() == 1 && text.find_first_of(":=\n<{") == text.npos) return found.add(keys[0], text);
  enum { before, reason, after } place = before;
  std::string words;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = trimmed(text.substr(begin, end - begin));
    begin = end + 1;
    if (line.empty()) continue;
    const std::vector<Pair> pairs = pairs_of(line, found);
    if (pairs.empty() && place != reason) {
      found = Findings(keys);
      return;
    }
    if (pairs.empty()) words.append(" ").append(line);
    for (const auto& [key, value] : pairs) is_reason(key) ? void(words = value) : found.add(key, value);
    const bool ends_in_reason = pairs.empty() || is_reason(pairs.back().first);
    place = ends_in_reason ? reason : place == before ? before : after;
  }
  found.reason = std::move(words);
}

}  // namespace vlmprobe::text::detail
