// The prefix of a question: its first `length` words, which the lexical term counts (paper, eq. for delta_ifreq).
//
// Words: split at ASCII white space and controls, ASCII letters in lower case, ASCII punctuation removed wherever it
// stands ("What's" is "whats": a dot inside a word does not make a new prefix); a piece of punctuation only is no word.
// Bytes of other scripts are kept as they are, so UTF-8 stays UTF-8; their case and punctuation are not folded.
// Fewer words than `length`: all of them; none: "". Joined by one blank. Throws InvalidArgument for length < 1.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vlmprobe/core/error.h"

namespace vlmprobe::text {

inline constexpr std::int64_t kPrefixLength = 2;  // the paper's L (table 4)

inline std::string prefix(std::string_view question, std::int64_t length = kPrefixLength) {
  expect(length >= 1, "text::prefix", "length: expected at least 1, got {}", length);

  std::string out;
  std::int64_t words = 0;  // begun so far
  bool inside = false;
  for (const char character : question) {
    const auto byte = static_cast<unsigned char>(character);
    if (byte <= 0x20 || byte == 0x7F) {
      inside = false;
      continue;
    }
    const bool upper = byte >= 'A' && byte <= 'Z';
    const bool word = upper || (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte >= 0x80;
    if (!word) continue;
    if (!inside) {
      if (words == length) break;
      if (words++ > 0) out.push_back(' ');
      inside = true;
    }
    out.push_back(upper ? static_cast<char>(byte + ('a' - 'A')) : character);
  }
  return out;
}

// One prefix per question; Text is std::string or std::string_view.
template <class Text>
std::vector<std::string> prefixes(std::span<const Text> questions, std::int64_t length = kPrefixLength) {
  expect(length >= 1, "text::prefixes", "length: expected at least 1, got {}", length);
  std::vector<std::string> cut;
  cut.reserve(questions.size());
  for (const Text& question : questions) cut.push_back(prefix(question, length));
  return cut;
}

}  // namespace vlmprobe::text
