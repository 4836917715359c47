// The prefix of a question: its first `length` words, which the lexical term counts (paper, eq. for delta_ifreq).
//
// Words: split at white space and controls, in lower case, punctuation and symbols removed wherever they stand
// ("What's" is "whats": a dot inside a word does not make a new prefix); a piece of punctuation only is no word. What
// nobody sees is removed as well, full width is folded, accents are one with their letters (detail/letters.h), so that
// no other spelling of the same beginning is new. Well-formed UTF-8, whatever the question holds. Fewer words than
// `length`: all of them; none: "". Joined by one blank. Throws InvalidArgument for length < 1.
//
// Where words have no blanks between them, each character is a word: Han, kana, and with the vowels and signs that
// belong to it a consonant of Thai, Lao, Khmer or Burmese. One character and not two, for the templates of these
// languages name the thing asked about early (Japanese: "in the picture", three characters, then the thing): with
// longer words it would be in the prefix, and every question of one template would be new. A prefix of L = 2 is coarser
// there than in English; a larger L is finer. Scripts without blanks that are not named here are not cut.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vlmprobe/core/error.h"
#include "vlmprobe/text/detail/letters.h"
#include "vlmprobe/text/detail/utf8.h"

namespace vlmprobe::text {

inline constexpr std::int64_t kPrefixLength = 2;  // the paper's L (table 4)

namespace detail {

// Eight characters in one integer, the first one in its lowest byte; predicates set the high bit of each byte.
struct EightBytes {
  static constexpr std::uint64_t kEach = 0x0101010101010101, kHigh = 0x80 * kEach;

  explicit EightBytes(const char* text) { std::memcpy(&bytes, text, sizeof bytes); }
  // Bytes of ASCII from `low` to `high`. A sum of 7 bits and less than 128 stays inside its byte.
  std::uint64_t between(unsigned char low, unsigned char high) const {
    const std::uint64_t ascii = bytes & ~kHigh;
    return ((ascii + (0x80U - low) * kEach) ^ (ascii + (0x7FU - high) * kEach)) & ~bytes & kHigh;
  }
  std::uint64_t blank() const { return between(' ', ' '); }
  std::uint64_t upper() const { return between('A', 'Z'); }
  std::uint64_t word() const { return upper() | between('a', 'z') | between('0', '9'); }
  std::uint64_t lower_case() const { return bytes | (upper() >> 2); }  // 'a' is 'A' and the bit 0x20

  std::uint64_t bytes;
};

}  // namespace detail

// Cuts prefixes one after the other in a buffer of its own. Not for several threads at once.
class PrefixCutter {
 public:
  explicit PrefixCutter(std::int64_t length = kPrefixLength) : length_(length) {
    expect(length >= 1, "text::prefix", "length: expected at least 1, got {}", length);
  }

  // Valid until the next call.
  std::string_view operator()(std::string_view question) {
    if (buffer_.size() < question.size()) buffer_.resize(question.size());  // of ASCII: no longer than its question
    std::size_t size = 0;
    if (cut_plain(question, size) || cut_ascii(question, size)) return {buffer_.data(), size};
    return cut_any(question);
  }

 private:
  static constexpr char kNothing = 0, kEndOfWord = ' ', kOther = 1;
  // What becomes of each byte.
  static constexpr std::array<char, 256> kKept = [] {
    std::array<char, 256> kept{};
    for (std::size_t byte = 0; byte < kept.size(); ++byte) {
      const auto [value, part] = letter_of(static_cast<char32_t>(byte));
      kept[byte] = byte >= 0x80            ? kOther
                   : part == Part::blank   ? kEndOfWord
                   : part == Part::nothing ? kNothing
                                           : static_cast<char>(value);
    }
    return kept;
  }();

  // By the definition, a character at a time.
  std::string_view cut_any(std::string_view question) {
    folded_.clear();
    std::int64_t words = 0;  // begun so far
    bool inside = false;     // a letter goes on with the word
    bool joined = false;     // so does a single
    char32_t before = 0;     // the last character, at `place`
    std::size_t place = 0;
    for (std::size_t at = 0; at < question.size();) {
      const Scalar scalar = decode(question, at);
      at += scalar.bytes;
      const auto [value, part] = letter_of(scalar.value);
      if (part == Part::nothing) continue;
      if (part == Part::blank) {
        inside = joined = false, before = 0;
        continue;
      }
      if (const char32_t both = composed(before, value)) {
        folded_.resize(place);
        append(folded_, before = both);
        continue;
      }
      if (part == Part::mark) continue;
      const bool goes_on = before != 0 && (part == Part::letter   ? inside
                                           : part == Part::single ? joined
                                                                  : part == Part::trailing || part == Part::joining);
      if (!goes_on) {
        if (words == length_) break;
        if (words++ > 0) folded_.push_back(' ');
      }
      place = folded_.size();
      append(folded_, before = value);
      inside = part == Part::letter;
      joined = part == Part::leading || part == Part::joining;
    }
    return folded_;
  }

  // The same for ASCII; false when another character comes before the end of the prefix.
  bool cut_ascii(std::string_view question, std::size_t& size) {
    char* out = buffer_.data();
    std::int64_t words = 0;  // begun so far
    bool inside = false;
    for (const char character : question) {
      const char kept = kKept[static_cast<unsigned char>(character)];
      if (kept == kOther) return false;
      if (kept == kEndOfWord) {
        inside = false;
      } else if (kept != kNothing) {
        if (!inside) {
          if (words == length_) break;
          if (words++ > 0) *out++ = ' ';
          inside = true;
        }
        *out++ = kept;
      }
    }
    size = static_cast<std::size_t>(out - buffer_.data());
    return true;
  }

  // The same, eight bytes at a time, for a question that starts with whole words between single blanks, and in which
  // eight bytes reach beyond them; false for any other.
  bool cut_plain(std::string_view question, std::size_t& size) {
    if constexpr (std::endian::native != std::endian::little) return false;
    std::uint64_t before = 0x80;  // the blank bit of the byte before; a question may not start with a blank
    std::int64_t left = length_;
    for (std::size_t at = 0; at + sizeof(std::uint64_t) <= question.size(); at += sizeof(std::uint64_t)) {
      const detail::EightBytes eight(question.data() + at);
      std::uint64_t blanks = eight.blank();
      std::uint64_t odd = ~(eight.word() | blanks) & detail::EightBytes::kHigh;
      odd |= blanks & ((blanks << 8) | before);  // a blank after a blank
      before = blanks >> 56;
      const std::uint64_t lower = eight.lower_case();
      std::memcpy(buffer_.data() + at, &lower, sizeof lower);
      for (; blanks != 0; blanks &= blanks - 1) {
        if (--left > 0) continue;
        const int bit = std::countr_zero(blanks);
        size = at + static_cast<std::size_t>(bit / 8);
        return (odd & ((std::uint64_t{2} << bit) - 1)) == 0;  // up to and with the bit
      }
      if (odd != 0) return false;
    }
    return false;
  }

  std::int64_t length_;
  std::string buffer_, folded_;
};

inline std::string prefix(std::string_view question, std::int64_t length = kPrefixLength) {
  return std::string(PrefixCutter(length)(question));
}

// Of equal prefixes the same, on machines of the same byte order.
inline std::uint64_t prefix_hash(std::string_view prefix) {
  constexpr std::uint64_t kOdd = 0x9E3779B97F4A7C15;  // 2^64 over the golden ratio
  std::uint64_t hash = prefix.size();
  const auto mix = [&](std::uint64_t word) {
    hash = (hash ^ word) * kOdd;
    hash ^= hash >> 32;
  };
  std::size_t at = 0;
  std::uint64_t word = 0;
  for (; at + sizeof word <= prefix.size(); at += sizeof word)
    std::memcpy(&word, prefix.data() + at, sizeof word), mix(word);
  word = 0;
  for (std::size_t i = at; i < prefix.size(); ++i) word = (word << 8) | static_cast<unsigned char>(prefix[i]);
  mix(word);
  return hash;
}

// One prefix per question; Text is std::string or std::string_view.
template <class Text>
std::vector<std::string> prefixes(std::span<const Text> questions, std::int64_t length = kPrefixLength) {
  expect(length >= 1, "text::prefixes", "length: expected at least 1, got {}", length);
  PrefixCutter cut(length);
  std::vector<std::string> out;
  out.reserve(questions.size());
  for (const Text& question : questions) out.emplace_back(cut(question));
  return out;
}

}  // namespace vlmprobe::text
